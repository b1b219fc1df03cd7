/* SPDX-License-Identifier: MIT
 *
 * kmalloc_loop.c - `count` kmallocs in a row, then as many kfrees, for each power of two from `min` to `max`; on every core at
 * once. With batch=1 each is freed before the next: pairs.
 *
 * Source of the shape: the slab benchmark that kernel developers publish numbers of (Christoph Lameter, "slab test" module, 2007
 * and later: 10,000 kmallocs, then their kfrees; 10,000 pairs).
 */
#include "sim/setting.h"
#include "sim/workload.h"

#include <stdlib.h>

extern const struct workload_ops workload_kmalloc_loop_ops;

struct kmalloc_loop {
	char *name;
	uint32_t min, max;
	uint32_t count, batch, rounds;
	bool backwards;
};

#define AT(field) .offset = offsetof(struct kmalloc_loop, field), .size = sizeof(((struct kmalloc_loop *)0)->field)
#define SHAPE "the slab benchmark published with SLUB, 2007"

static const struct setting keys[] = {
        SETTING_LINE_NAME(struct kmalloc_loop, "kmalloc_loop"),
        {.key = "min",
         .type = SETTING_SIZE,
         .default_text = "8 B",
         .min = 1,
         .max = 4 << 20,
         .help = "Bytes of the smallest allocation",
         .source = SHAPE,
         AT(min)},
        {.key = "max",
         .type = SETTING_SIZE,
         .default_text = "16 KiB",
         .min = 1,
         .max = 4 << 20,
         .help = "Bytes of the largest; in between are the doubles of the smallest",
         .source = SHAPE,
         AT(max)},
        {.key = "count",
         .type = SETTING_COUNT,
         .unit = "allocations",
         .default_text = "10000",
         .min = 1,
         .max = 100000000,
         .help = "Allocations of each size, on each core and in each round",
         .source = SHAPE,
         AT(count)},
        {.key = "batch",
         .type = SETTING_COUNT,
         .unit = "allocations",
         .default_text = "all",
         .zero_word = "all",
         .min = 1,
         .max = 100000000,
         .help = "Allocations in a row before their frees; 1: pairs",
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
        {.key = "backwards",
         .type = SETTING_BOOL,
         .default_text = "false",
         .help = "Frees begin with the latest allocation",
         .source = SHAPE,
         AT(backwards)},
        {.key = NULL},
};

struct loop {
	struct workload *workload;
	const struct kmalloc_loop *values;
	workload_block *blocks; /* [cpu][batch] */
	uint32_t batch;
};

/* All cores allocate, one after the other, then all free. */
static void run_batch(const struct loop *loop, workload_kind kind, uint32_t count)
{
	struct workload *workload = loop->workload;
	unsigned cpus = workload_cpus(workload);
	for (uint32_t i = 0; i < count; i++)
		for (unsigned cpu = 0; cpu < cpus; cpu++)
			loop->blocks[(size_t)cpu * loop->batch + i] = workload_alloc(workload, cpu, kind);
	for (uint32_t i = 0; i < count; i++)
		for (unsigned cpu = 0; cpu < cpus; cpu++) {
			uint32_t which = loop->values->backwards ? count - 1 - i : i;
			workload_free(workload, cpu, loop->blocks[(size_t)cpu * loop->batch + which]);
		}
}

static void run_size(const struct loop *loop, uint32_t bytes)
{
	char *site = xasprintf("kmalloc_%u", bytes);
	workload_kind kind = workload_kmalloc(loop->workload, site, bytes, GFP_KERNEL);
	free(site);
	for (uint32_t done = 0; done < loop->values->count; done += loop->batch) {
		uint32_t left = loop->values->count - done;
		run_batch(loop, kind, left < loop->batch ? left : loop->batch);
	}
}

static void generate(struct workload *workload, const void *opaque)
{
	const struct kmalloc_loop *values = opaque;
	struct loop loop = {.workload = workload, .values = values, .batch = values->batch};
	if (loop.batch == 0 || loop.batch > values->count)
		loop.batch = values->count;
	loop.blocks = xcalloc((size_t)workload_cpus(workload) * loop.batch, sizeof *loop.blocks);
	for (uint32_t round = 0; round < values->rounds; round++) {
		for (uint64_t bytes = values->min; bytes <= values->max; bytes *= 2)
			run_size(&loop, (uint32_t)bytes);
		workload_tell(workload, round + 1, values->rounds);
	}
	free(loop.blocks);
}

static bool check(const void *opaque, const char *place, struct error *error)
{
	const struct kmalloc_loop *values = opaque;
	return values->min <= values->max ||
	       error_set(error, ERROR_USAGE, "%s: kmalloc_loop: min=%uB is more than max=%uB", place, values->min, values->max);
}

const struct workload_ops workload_kmalloc_loop_ops = {
        .name = "kmalloc_loop",
        .help = "many kmallocs in a row, then their kfrees, by size; or pairs",
        .keys = keys,
        .values_bytes = sizeof(struct kmalloc_loop),
        .generate = generate,
        .check = check,
};
