/* SPDX-License-Identifier: MIT
 *
 * memory_map.h - the physical memory of a described machine at the end of its kernel's early boot: which frames are memory, which
 * of them the kernel keeps to itself, and where its zones end. boot.c hands the rest to the page allocator.
 *
 * Ranges of frames are half open, [start, end), and ascend.
 */
#ifndef MODELS_PAGE_ALLOCATOR_MEMORY_MAP_H
#define MODELS_PAGE_ALLOCATOR_MEMORY_MAP_H

#include "models/machine_nodes.h"
#include "models/settings.h"
#include "sim/percpu.h"

struct range {
	uint32_t start, end;
};

/* Most values of a list setting, each of which may cut a range in two; the ranges a PC has anyway; ends of nodes. */
#define RESERVED_RANGES_MAX 64
#define MEMORY_RANGES_MAX (RESERVED_RANGES_MAX + 3 + MACHINE_NODES_MAX)
/* A unit of per-CPU data for each CPU; the image's parts, struct pages of each node, tables, what goes around holes. */
#define KEPT_RANGES_MAX (CPUS_MAX + 2 * MEMORY_RANGES_MAX)

struct memory_map {
	struct range memory[MEMORY_RANGES_MAX]; /* none lies on two nodes */
	unsigned memory_count;
	struct range kept[KEPT_RANGES_MAX]; /* what the kernel keeps; ascending */
	unsigned kept_count;
	struct percpu_chunk per_cpu;
	uint32_t per_cpu_pfn[PERCPU_GROUPS_MAX]; /* where each group's units begin, unless they lie in pages */
	struct percpu_run per_cpu_run[PERCPU_RUNS_MAX];
	unsigned per_cpu_runs;
	bool per_cpu_placed;                          /* false: kernel.reserved is too small for it */
	struct range mem_map[MACHINE_NODES_MAX];      /* struct pages of each node; empty where they do not lie together */
	struct range nodes[MACHINE_NODES_MAX];        /* from its first frame of memory to its last; empty without memory */
	unsigned nodes_count;                         /* at least 1 */
	struct layout_table table[LAYOUT_TABLES_MAX]; /* page tables that the boot made, as far as they are known */
	unsigned tables;
	uint8_t node_of_cpu[CPUS_MAX];
	uint8_t distance[MACHINE_NODES_MAX][MACHINE_NODES_MAX];
	uint32_t end_pfn;
	uint32_t lowmem_end_pfn;   /* from here on memory is HIGHMEM; UINT32_MAX on x86-64, which has none */
	uint32_t image_pfn;        /* where the kernel's image begins */
	uint32_t freed_late_pages; /* given back after the watermarks were computed, of the image's zone */
};

/* Frames of memory in a range, and those of them that the kernel keeps. */
uint64_t memory_in(const struct memory_map *map, struct range range);
uint64_t kept_in(const struct memory_map *map, struct range range);

/* The frames of memory in a range, from the first to the last; empty if there are none. */
struct range memory_within(const struct memory_map *map, struct range range);

static inline struct range range_both(struct range a, struct range b)
{
	return (struct range){a.start > b.start ? a.start : b.start, a.end < b.end ? a.end : b.end};
}

/* The machine that the settings describe. False with *error if no kernel could boot there. */
bool memory_map_describe(struct memory_map *map, const struct settings *settings, unsigned cpus, struct error *error);

#endif
