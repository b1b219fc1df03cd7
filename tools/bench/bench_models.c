/* SPDX-License-Identifier: MIT
 *
 * bench_models.c - what a call of a model costs the host, without recording, store or clock: the page allocator, the object
 * allocators by number of live objects, main memory by load, and what a machine's size costs before the first call.
 *
 *     kmemsim-bench-models
 *
 * Times are processor seconds, the least of REPEATS. The yardstick is glibc's malloc with the same sizes in the same order.
 */
#include "models/kernel_layout.h"
#include "models/registry.h"
#include "models/settings.h"
#include "sim/metric.h"
#include "sim/rng.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define REPEATS 3
#define CALLS 2000000u
#define OBJECT_BYTES_MAX 1024u
#define MIB (1024ull * 1024)

struct rig {
	struct settings settings;
	struct layout layout;
	struct steps steps;
	struct page_allocator *pages;
	struct object_allocator *objects;
};

static double seconds(void)
{
	struct timespec now;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static double resident_mib(void)
{
	FILE *statm = fopen("/proc/self/statm", "r");
	unsigned long size = 0, resident = 0;
	if (statm) {
		if (fscanf(statm, "%lu %lu", &size, &resident) != 2)
			resident = 0;
		fclose(statm);
	}
	return (double)resident * PAGE_SIZE / (double)MIB;
}

static void rig_init(struct rig *rig, uint64_t memory_bytes, const char *allocator)
{
	struct error error = {0};
	settings_init(&rig->settings);
	rig->settings.machine.memory_bytes = memory_bytes;
	rig->settings.machine.cpus = 1;
	kernel_layout_init(&rig->layout, &rig->settings, 0);
	steps_init(&rig->steps, false);
	const struct page_allocator_wiring pages = {&rig->settings, &rig->layout, &rig->steps, NULL, 1};
	rig->pages = page_allocator_model("buddy", &error)->create(&pages, &error);
	const struct object_allocator_wiring objects = {&rig->settings, rig->pages, &rig->layout, &rig->steps, 1};
	rig->objects = rig->pages ? object_allocator_model(allocator, &error)->create(&objects, &error) : NULL;
	if (!rig->objects) {
		fprintf(stderr, "kmemsim-bench-models: %s\n", error.text);
		exit((int)error.kind);
	}
}

static void rig_release(struct rig *rig)
{
	object_allocator_destroy(rig->objects);
	page_allocator_destroy(rig->pages);
	steps_release(&rig->steps);
	layout_release(&rig->layout);
	settings_release(&rig->settings);
}

static void bench_sizes(void)
{
	static const struct {
		const char *name;
		uint64_t bytes;
	} sizes[] = {{"4 GiB", 4096 * MIB}, {"1 TiB", 1024 * 1024 * MIB}};
	for (size_t index = 0; index < sizeof sizes / sizeof sizes[0]; index++) {
		struct rig rig;
		double before = resident_mib(), started = seconds();
		rig_init(&rig, sizes[index].bytes, "slub");
		printf("start of %s of memory      %8.3f s    %6.1f MiB of host memory before the first call\n",
		       sizes[index].name, seconds() - started, resident_mib() - before);
		rig_release(&rig);
	}
}

/* A random mix of orders 0..3 over up to 4096 live blocks. */
static double page_calls(struct rig *rig)
{
	static uint32_t live[4096];
	static uint8_t orders[4096];
	struct rng rng;
	rng_init(&rng, 1, "bench");
	memset(live, 0, sizeof live);
	double started = seconds();
	for (unsigned call = 0; call < CALLS; call++) {
		uint32_t random = (uint32_t)rng_next(&rng), slot = random % 4096;
		if (live[slot]) {
			page_free(rig->pages, pfn_of(live[slot]), orders[slot], 0);
			live[slot] = 0;
		} else {
			orders[slot] = (uint8_t)(random >> 12 & 15) < 12 ? 0 : random >> 12 & 3;
			live[slot] = page_alloc(rig->pages, orders[slot], GFP_KERNEL, 0).nr;
		}
	}
	double took = seconds() - started;
	for (unsigned slot = 0; slot < 4096; slot++)
		if (live[slot])
			page_free(rig->pages, pfn_of(live[slot]), orders[slot], 0);
	return took;
}

static void bench_pages(void)
{
	struct rig rig;
	double best = 1e9;
	rig_init(&rig, 1024 * MIB, "slub");
	for (unsigned repeat = 0; repeat < REPEATS; repeat++) {
		double took = page_calls(&rig);
		best = took < best ? took : best;
	}
	page_allocator_check(rig.pages);
	printf("buddy, orders 0..3, random   %8.1f M calls/s\n", CALLS / best / 1e6);
	rig_release(&rig);
}

/* kmalloc and kfree of random sizes with `slots` objects about half live; NULL objects: malloc and free. */
static double object_calls(struct object_allocator *objects, uint64_t *live, unsigned slots)
{
	struct rng rng;
	rng_init(&rng, 2, "bench");
	memset(live, 0, slots * sizeof *live);
	double started = seconds();
	for (unsigned call = 0; call < CALLS; call++) {
		uint64_t random = rng_next(&rng);
		uint32_t slot = (uint32_t)((random >> 32) * slots >> 32), bytes = 1 + (uint32_t)random % OBJECT_BYTES_MAX;
		if (live[slot]) {
			if (objects)
				object_kfree(objects, vaddr_of(live[slot]), 0);
			else
				free((void *)(uintptr_t)live[slot]);
			live[slot] = 0;
		} else {
			live[slot] = objects ? object_kmalloc(objects, bytes, GFP_KERNEL, 0).at.addr
			                     : (uint64_t)(uintptr_t)malloc(bytes);
		}
	}
	double took = seconds() - started;
	for (unsigned slot = 0; slot < slots; slot++) {
		if (live[slot] && objects)
			object_kfree(objects, vaddr_of(live[slot]), 0);
		else
			free((void *)(uintptr_t)live[slot]);
	}
	return took;
}

static double best_object_rate(const char *allocator, uint64_t *live, unsigned slots)
{
	double best = 1e9;
	for (unsigned repeat = 0; repeat < REPEATS; repeat++) {
		struct rig rig;
		if (allocator)
			rig_init(&rig, 2048 * MIB, allocator);
		double took = object_calls(allocator ? rig.objects : NULL, live, slots);
		best = took < best ? took : best;
		if (allocator)
			rig_release(&rig);
	}
	return CALLS / best / 1e6;
}

static void bench_objects(void)
{
	static const char *const allocators[] = {"slub", "slab", "slob", "ideal"};
	static const unsigned slots[] = {20, 2000, 20000, 200000};
	uint64_t *live = xcalloc(slots[3], sizeof *live);
	printf("\nkmalloc and kfree of 1..%u bytes, M calls/s (in brackets: of glibc's rate)\nlive objects   glibc",
	       OBJECT_BYTES_MAX);
	for (size_t index = 0; index < sizeof allocators / sizeof allocators[0]; index++)
		printf("  %14s", allocators[index]);
	for (size_t row = 0; row < sizeof slots / sizeof slots[0]; row++) {
		double glibc = best_object_rate(NULL, live, slots[row]);
		printf("\n%12u  %6.1f", slots[row] / 2, glibc);
		for (size_t index = 0; index < sizeof allocators / sizeof allocators[0]; index++) {
			double rate = best_object_rate(allocators[index], live, slots[row]);
			printf("  %6.1f (%5.2f)", rate, rate / glibc);
			fflush(stdout);
		}
	}
	printf("\n");
	free(live);
}

/* Loads of main memory. `apart`: cycles between two requests, 0: each begins when the one before it has arrived. */
static const struct dram_load {
	const char *name;
	unsigned apart;
	bool random, writes;
} dram_loads[] = {
        {"random, one after another", 0, true, false},         {"random, every 400 cycles", 400, true, false},
        {"random, every 100 cycles", 100, true, false},        {"random, every 20 cycles", 20, true, false},
        {"random, every 5 cycles: full", 5, true, false},      {"in order, every 5 cycles", 5, false, false},
        {"in order, every cycle: full", 1, false, false},      {"a third writes, every 400 cycles", 400, true, true},
        {"a third writes, every 100 cycles", 100, true, true}, {"a third writes, every 20 cycles", 20, true, true},
};

struct dram_rate {
	double host_seconds;
	/* Simulated. */
	cycle end;
	double read_cycles; /* of a read, mean */
};

static double metric_named(const struct dram *dram, const char *name)
{
	for (const struct metric *metric = dram->ops->metrics; metric->name; metric++)
		if (strcmp(metric->name, name) == 0)
			return (double)metric_value(metric, dram->ops->counters(dram));
	return 0;
}

static struct dram_rate dram_calls(const char *model, const struct dram_load *load)
{
	struct settings settings;
	struct error error = {0};
	settings_init(&settings);
	struct dram *dram = dram_model(model, &error)->create(&(struct dram_wiring){.settings = &settings}, &error);
	struct rng rng;
	rng_init(&rng, 3, "bench");
	cycle now = 0, end = 0;
	double started = seconds();
	for (unsigned call = 0; call < CALLS; call++) {
		uint64_t random = rng_next(&rng), address = load->random ? random & 0xffffffff : call * 64ull;
		end = dram_access(dram, address, load->writes && (random >> 32) % 3 == 0, now);
		now = load->apart ? now + load->apart : end;
	}
	struct dram_rate rate = {.host_seconds = seconds() - started,
	                         .end = end,
	                         .read_cycles = metric_named(dram, "read_cycles") / metric_named(dram, "reads")};
	dram_check(dram);
	dram_destroy(dram);
	settings_release(&settings);
	return rate;
}

/* Host time, and what the simulated memory reached, by a core of 3 GHz. */
static void bench_dram(void)
{
	printf("\nmain memory: DDR4-3200, 2 channels    fixed, ns a line    ddr, ns a line    ddr, GB/s    a read, cycles\n");
	for (size_t index = 0; index < sizeof dram_loads / sizeof dram_loads[0]; index++) {
		struct dram_rate best[2] = {{.host_seconds = 1e9}, {.host_seconds = 1e9}};
		for (unsigned repeat = 0; repeat < 2 * REPEATS; repeat++) {
			struct dram_rate rate = dram_calls(repeat % 2 ? "ddr" : "fixed", &dram_loads[index]);
			if (rate.host_seconds < best[repeat % 2].host_seconds)
				best[repeat % 2] = rate;
		}
		printf("%-36s  %15.1f  %16.1f  %11.1f  %16.1f\n", dram_loads[index].name, best[0].host_seconds / CALLS * 1e9,
		       best[1].host_seconds / CALLS * 1e9, CALLS * 64.0 / ((double)best[1].end / 3.0), best[1].read_cycles);
	}
}

int main(void)
{
	bench_sizes();
	bench_pages();
	bench_objects();
	bench_dram();
	return EXIT_SUCCESS;
}
