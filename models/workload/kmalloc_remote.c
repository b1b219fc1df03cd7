/* SPDX-License-Identifier: MIT
 *
 * kmalloc_remote.c - what one core allocates another one frees: cores in pairs, the first of each kmallocs, the second kfrees
 * what is `depth` allocations old. share= tells how much of it goes to the other core; the rest the first one frees itself.
 *
 * It is what a network driver and a reader on another core do, or a producer and a consumer of messages.
 */
#include "sim/setting.h"
#include "sim/workload.h"

#include <stdlib.h>

extern const struct workload_ops workload_kmalloc_remote_ops;

struct kmalloc_remote {
	char *name;
	uint32_t size, count, depth, share;
};

#define AT(field) .offset = offsetof(struct kmalloc_remote, field), .size = sizeof(((struct kmalloc_remote *)0)->field)
#define CHOICE "a choice: enough to be past the start"

static const struct setting keys[] = {
        SETTING_LINE_NAME(struct kmalloc_remote, "kmalloc_remote"),
        {.key = "size",
         .type = SETTING_SIZE,
         .default_text = "256 B",
         .min = 1,
         .max = 4 << 20,
         .help = "Bytes of each allocation",
         .source = "a small network packet's buffer",
         AT(size)},
        {.key = "count",
         .type = SETTING_COUNT,
         .unit = "allocations",
         .default_text = "10000",
         .min = 1,
         .max = 100000000,
         .help = "Allocations by each pair of cores",
         .source = CHOICE,
         AT(count)},
        {.key = "depth",
         .type = SETTING_COUNT,
         .unit = "allocations",
         .default_text = "64",
         .min = 1,
         .max = 10000000,
         .help = "Allocations of a pair that are live at once",
         .source = CHOICE,
         AT(depth)},
        {.key = "share",
         .type = SETTING_COUNT,
         .unit = "percent",
         .default_text = "100",
         .min = 0,
         .max = 100,
         .help = "Of them freed by the other core",
         .source = CHOICE,
         AT(share)},
        {.key = NULL},
};

/* queue: the live blocks of a pair, a ring of `depth`; nr: which of all its allocations. */
static void free_oldest(struct workload *workload, const struct kmalloc_remote *values, const workload_block *queue, uint32_t nr,
                        unsigned cpu)
{
	bool remote = rng_below(workload_rng(workload), 100) < values->share;
	unsigned other = cpu + 1 < workload_cpus(workload) ? cpu + 1 : cpu;
	workload_free(workload, remote ? other : cpu, queue[nr % values->depth]);
}

static void generate(struct workload *workload, const void *opaque)
{
	const struct kmalloc_remote *values = opaque;
	unsigned cpus = workload_cpus(workload), pairs = (cpus + 1) / 2;
	workload_kind kind = workload_kmalloc(workload, "produce", values->size, GFP_KERNEL);
	workload_block **queues = xcalloc(pairs, sizeof *queues);
	for (unsigned pair = 0; pair < pairs; pair++)
		queues[pair] = xcalloc(values->depth, sizeof **queues);
	for (uint32_t i = 0; i < values->count; i++) {
		for (unsigned pair = 0; pair < pairs; pair++) {
			if (i >= values->depth)
				free_oldest(workload, values, queues[pair], i, 2 * pair);
			queues[pair][i % values->depth] = workload_alloc(workload, 2 * pair, kind);
		}
		if (i % 4096 == 0)
			workload_tell(workload, i, values->count);
	}
	uint32_t live = values->count < values->depth ? values->count : values->depth;
	for (uint32_t i = values->count - live; i < values->count; i++)
		for (unsigned pair = 0; pair < pairs; pair++)
			free_oldest(workload, values, queues[pair], i, 2 * pair);
	for (unsigned pair = 0; pair < pairs; pair++)
		free(queues[pair]);
	free(queues);
}

const struct workload_ops workload_kmalloc_remote_ops = {
        .name = "kmalloc_remote",
        .help = "one core allocates, another one frees",
        .keys = keys,
        .values_bytes = sizeof(struct kmalloc_remote),
        .generate = generate,
};
