/* SPDX-License-Identifier: MIT
 *
 * ideal.c - memory with unlimited caches: what an access costs is decided by who touched the line last.
 *
 *   this core                                    -> l1_cycles
 *   another core, and it holds the line clean    -> llc_cycles
 *   another core, and it holds the line written  -> remote_cycles
 *   nobody yet                                   -> dram_cycles
 *
 * A locked instruction costs atomic_cycles on top. An access over several lines costs their sum: nothing overlaps.
 *
 * MODEL: nothing is ever evicted and nothing waits for bandwidth, so misses for want of space do not show.
 * Law: accesses = l1_hits + llc_hits + remote_hits + dram_accesses.
 */
#include "models/settings.h"
#include "sim/metric.h"
#include "sim/port/memory.h"

#include <stdlib.h>

extern const struct memory_ops memory_ideal_ops;
struct memory *memory_ideal_create(const struct memory_wiring *wiring, struct error *error);

struct ideal_counters {
	uint64_t accesses, l1_hits, llc_hits, remote_hits, dram_accesses;
};

/* A line's state: 0 = never touched, else the cpu that touched it last + 1, with a bit for "written". */
#define WRITTEN 0x8000u
_Static_assert(CPUS_MAX < WRITTEN, "a CPU's number + 1 stands beside the bit");

struct line_page {
	uint64_t page; /* address >> PAGE_SHIFT, plus 1; 0 = empty slot */
	uint16_t *lines;
};

struct ideal_memory {
	struct memory memory;
	struct machine_settings machine;
	unsigned lines_per_page;
	unsigned line_shift;
	struct line_page *pages; /* open addressing, a power of two, at most half full */
	size_t capacity, count;
	struct ideal_counters counters;
};

static const struct metric ideal_metrics[] = {
        METRIC(struct ideal_counters, accesses, "1", "Cache lines accessed"),
        METRIC(struct ideal_counters, l1_hits, "1", "Accesses to a line that this core touched last"),
        METRIC(struct ideal_counters, llc_hits, "1", "Accesses to a clean line that another core brought in"),
        METRIC(struct ideal_counters, remote_hits, "1", "Accesses to a line that another core wrote last"),
        METRIC(struct ideal_counters, dram_accesses, "1", "First accesses to a line"),
        METRIC_END,
};

static struct line_page *page_slot(struct ideal_memory *ideal, uint64_t page)
{
	size_t index = (size_t)((page * 0x9e3779b97f4a7c15u) >> 20) & (ideal->capacity - 1);
	while (ideal->pages[index].page && ideal->pages[index].page != page + 1)
		index = (index + 1) & (ideal->capacity - 1);
	return &ideal->pages[index];
}

static void grow(struct ideal_memory *ideal)
{
	struct line_page *old = ideal->pages;
	size_t old_capacity = ideal->capacity;
	ideal->capacity = old_capacity ? 2 * old_capacity : 1024;
	ideal->pages = xcalloc(ideal->capacity, sizeof *ideal->pages);
	for (size_t index = 0; index < old_capacity; index++)
		if (old[index].page)
			*page_slot(ideal, old[index].page - 1) = old[index];
	free(old);
}

static uint16_t *line_state(struct ideal_memory *ideal, uint64_t address)
{
	struct line_page *page = page_slot(ideal, address >> PAGE_SHIFT);
	if (!page->page) {
		if (2 * (ideal->count + 1) > ideal->capacity) {
			grow(ideal);
			page = page_slot(ideal, address >> PAGE_SHIFT);
		}
		ideal->count++;
		page->page = (address >> PAGE_SHIFT) + 1;
		page->lines = xcalloc(ideal->lines_per_page, sizeof *page->lines);
	}
	return &page->lines[(address & (PAGE_SIZE - 1)) >> ideal->line_shift];
}

static void line_cost(struct ideal_memory *ideal, unsigned cpu, uint16_t state, struct cost *cost)
{
	ideal->counters.accesses++;
	if (state == 0) {
		ideal->counters.dram_accesses++;
		cost->cycles[COST_DRAM] += ideal->machine.dram_cycles;
	} else if ((state & ~WRITTEN) == cpu + 1) {
		ideal->counters.l1_hits++;
		cost->cycles[COST_L1] += ideal->machine.l1_cycles;
	} else if (state & WRITTEN) {
		ideal->counters.remote_hits++;
		cost->cycles[COST_COHERENCE] += ideal->machine.remote_cycles;
	} else {
		ideal->counters.llc_hits++;
		cost->cycles[COST_LLC] += ideal->machine.llc_cycles;
	}
}

static cycle ideal_access(struct memory *memory, const struct memory_request *request, struct cost *cost)
{
	struct ideal_memory *ideal = (struct ideal_memory *)memory;
	unsigned cpu = request->cpu;
	bool writes = request->kind == ACCESS_STORE || request->kind == ACCESS_MODIFY;
	SIM_ASSERT(cpu < CPUS_MAX);
	struct cost own;
	if (!cost) {
		ideal_access(memory, request, &own);
		return cost_total(&own);
	}
	*cost = (struct cost){0};
	if (request->bytes == 0)
		return 0;
	uint64_t line_bytes = 1ull << ideal->line_shift;
	uint64_t last = (request->address + request->bytes - 1) & ~(line_bytes - 1);
	for (uint64_t line = request->address & ~(line_bytes - 1);; line += line_bytes) {
		uint16_t *state = line_state(ideal, line);
		line_cost(ideal, cpu, *state, cost);
		uint16_t written = writes || ((*state & ~WRITTEN) == cpu + 1 && (*state & WRITTEN)) ? WRITTEN : 0;
		*state = (uint16_t)((cpu + 1) | written);
		if (line == last)
			break;
	}
	if (request->is_locked)
		cost->cycles[COST_COMPUTE] += ideal->machine.atomic_cycles;
	return 0;
}

static void ideal_check(const struct memory *memory)
{
	const struct ideal_counters *counters = &((const struct ideal_memory *)memory)->counters;
	SIM_ASSERT(counters->accesses ==
	           counters->l1_hits + counters->llc_hits + counters->remote_hits + counters->dram_accesses);
}

static const void *ideal_counters(const struct memory *memory)
{
	return &((const struct ideal_memory *)memory)->counters;
}

static void ideal_destroy(struct memory *memory)
{
	struct ideal_memory *ideal = (struct ideal_memory *)memory;
	for (size_t index = 0; index < ideal->capacity; index++)
		free(ideal->pages[index].lines);
	free(ideal->pages);
	free(ideal);
}

const struct memory_ops memory_ideal_ops = {
        .name = "ideal",
        .help = "unlimited caches: fixed cycles by who touched the line last",
        .access = ideal_access,
        .check = ideal_check,
        .metrics = ideal_metrics,
        .counters = ideal_counters,
        .destroy = ideal_destroy,
};

struct memory *memory_ideal_create(const struct memory_wiring *wiring, struct error *error)
{
	const struct machine_settings *machine = &wiring->settings->machine;
	uint32_t line_bytes = machine->cache_line_bytes;
	if (line_bytes < 8 || line_bytes > PAGE_SIZE || (line_bytes & (line_bytes - 1)) != 0) {
		error_set(error, ERROR_USAGE, "machine.cache_line is %u bytes; expected a power of two from 8 to %u", line_bytes,
		          PAGE_SIZE);
		return NULL;
	}
	struct ideal_memory *ideal = xcalloc(1, sizeof *ideal);
	ideal->memory.ops = &memory_ideal_ops;
	ideal->machine = *machine;
	ideal->line_shift = (unsigned)__builtin_ctz(line_bytes);
	ideal->lines_per_page = PAGE_SIZE >> ideal->line_shift;
	grow(ideal);
	return &ideal->memory;
}
