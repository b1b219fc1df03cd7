/* SPDX-License-Identifier: MIT
 *
 * vmalloc_loop.c - `count` areas of kernel addresses in a row, then their frees, for each power of two from `min` to `max`; on
 * every core at once. With batch=1 each is freed before the next: pairs. `call` says by which of the kernel's calls.
 *
 * Source of the shape: lib/test_vmalloc.c of Linux 6.1, whose tests are such loops (fix_size_alloc_test, random_size_alloc_test,
 * vm_map_ram_test).
 */
#include "sim/setting.h"
#include "sim/workload.h"

#include <stdlib.h>

extern const struct workload_ops workload_vmalloc_loop_ops;

struct vmalloc_loop {
	char *name;
	enum virtual_call call;
	uint32_t min, max;
	uint32_t count, batch, rounds;
};

#define AT(field) .offset = offsetof(struct vmalloc_loop, field), .size = sizeof(((struct vmalloc_loop *)0)->field)
#define SHAPE "lib/test_vmalloc.c"
/* Where a machine's devices lie that are mapped: below 4 GiB, above what an i386 has of memory. */
#define DEVICES 0xe0000000u

static const char *const call_names[] = {[CALL_VMALLOC] = "vmalloc",           [CALL_VMAP] = "vmap",
                                         [CALL_VMALLOC_HUGE] = "vmalloc_huge", [CALL_IOREMAP] = "ioremap",
                                         [CALL_MODULE_ALLOC] = "module_alloc", [CALL_THREAD_STACK] = "thread_stack",
                                         [CALL_VM_MAP_RAM] = "vm_map_ram",     NULL};

static const struct setting keys[] = {
        SETTING_LINE_NAME(struct vmalloc_loop, "vmalloc_loop"),
        {.key = "call",
         .type = SETTING_ENUM,
         .names = call_names,
         .default_text = "vmalloc",
         .help = "What is called: vmalloc, vmap, vmalloc_huge, ioremap, module_alloc, thread_stack (of one size) or vm_map_ram",
         .source = SHAPE,
         AT(call)},
        {.key = "min",
         .type = SETTING_SIZE,
         .default_text = "4 KiB",
         .min = 1,
         .max = 2048u << 20,
         .help = "Bytes of the smallest area",
         .source = SHAPE,
         AT(min)},
        {.key = "max",
         .type = SETTING_SIZE,
         .default_text = "1 MiB",
         .min = 1,
         .max = 2048u << 20,
         .help = "Bytes of the largest; in between are the doubles of the smallest",
         .source = SHAPE,
         AT(max)},
        {.key = "count",
         .type = SETTING_COUNT,
         .unit = "areas",
         .default_text = "100",
         .min = 1,
         .max = 10000000,
         .help = "Areas of each size, on each core and in each round",
         .source = SHAPE,
         AT(count)},
        {.key = "batch",
         .type = SETTING_COUNT,
         .unit = "areas",
         .default_text = "1",
         .min = 1,
         .max = 10000000,
         .help = "Areas in a row before their frees; 1: pairs",
         .source = SHAPE,
         AT(batch)},
        {.key = "rounds",
         .type = SETTING_COUNT,
         .unit = "times",
         .default_text = "1",
         .min = 1,
         .max = 1000000,
         .help = "How often all of it is done",
         .source = SHAPE,
         AT(rounds)},
        {.key = NULL},
};

struct loop {
	struct workload *workload;
	const struct vmalloc_loop *values;
	workload_block *blocks; /* [cpu][batch] */
	uint32_t batch;
};

static workload_block make_area(const struct loop *loop, unsigned cpu, workload_kind kind)
{
	if (loop->values->call == CALL_IOREMAP)
		return workload_ioremap(loop->workload, cpu, kind, DEVICES);
	return workload_alloc(loop->workload, cpu, kind);
}

/* All cores allocate, one after the other, then all free. */
static void run_batch(const struct loop *loop, workload_kind kind, uint32_t count)
{
	unsigned cpus = workload_cpus(loop->workload);
	for (uint32_t i = 0; i < count; i++)
		for (unsigned cpu = 0; cpu < cpus; cpu++)
			loop->blocks[(size_t)cpu * loop->batch + i] = make_area(loop, cpu, kind);
	for (uint32_t i = 0; i < count; i++)
		for (unsigned cpu = 0; cpu < cpus; cpu++)
			workload_free(loop->workload, cpu, loop->blocks[(size_t)cpu * loop->batch + i]);
}

static void run_size(const struct loop *loop, uint32_t bytes)
{
	char *site = xasprintf("%s_%u", call_names[loop->values->call], bytes);
	workload_kind kind = workload_area(loop->workload, site, loop->values->call, bytes);
	free(site);
	for (uint32_t done = 0; done < loop->values->count; done += loop->batch) {
		uint32_t left = loop->values->count - done;
		run_batch(loop, kind, left < loop->batch ? left : loop->batch);
	}
}

static void generate(struct workload *workload, const void *opaque)
{
	const struct vmalloc_loop *values = opaque;
	struct loop loop = {.workload = workload, .values = values, .batch = values->batch};
	if (loop.batch > values->count)
		loop.batch = values->count;
	loop.blocks = xcalloc((size_t)workload_cpus(workload) * loop.batch, sizeof *loop.blocks);
	for (uint32_t round = 0; round < values->rounds; round++) {
		for (uint64_t bytes = values->min; bytes <= values->max; bytes *= 2)
			run_size(&loop, (uint32_t)bytes);
		workload_tell(workload, round + 1, values->rounds);
	}
	free(loop.blocks);
}

const struct workload_ops workload_vmalloc_loop_ops = {
        .name = "vmalloc_loop",
        .help = "many areas of kernel addresses in a row, then their frees, by size; or pairs",
        .keys = keys,
        .values_bytes = sizeof(struct vmalloc_loop),
        .generate = generate,
};
