/* SPDX-License-Identifier: MIT
 *
 * meminfo.h - what the memory of a simulated machine is used for, by kind, as far as its models know: the numbers of
 * /proc/meminfo, and those that it has no line for. In pages of 4 KiB, but for vmalloc_total.
 *
 * Laws (meminfo_check): mem_total = mem_free + pcp_lists + cached + anon_pages + slab_reclaimable + slab_unreclaimable +
 * vmalloc_used + area_tables + page_tables + stack_blocks + other; kernel stacks in areas are part of vmalloc_used. percpu is no
 * part of mem_total: the first chunk never gets to the page allocator.
 *
 * Source of lines and format: fs/proc/meminfo.c: meminfo_proc_show(); mm/percpu.c: pcpu_nr_pages().
 *
 * MODEL: page_tables are those of processes, of all levels; a kernel counts the two lowest. A reclaimable cache's slabs count as
 * of its usual order; pages of further per-CPU chunks are not taken from the page allocator. Effect: a few pages of each process
 * and chunk.
 */
#ifndef SIM_MEMINFO_H
#define SIM_MEMINFO_H

#include "sim/metric.h"
#include "sim/port/object_allocator.h"
#include "sim/port/page_allocator.h"
#include "sim/port/user_memory.h"
#include "sim/port/virtual_allocator.h"

#include <stdio.h>

struct meminfo {
	uint64_t mem_total, mem_free, pcp_lists;
	uint64_t cached, anon_pages;
	uint64_t slab_reclaimable, slab_unreclaimable;
	uint64_t kernel_stack; /* of tasks that live; those that CPUs keep for the next task are not counted */
	uint64_t page_tables;
	uint64_t vmalloc_used;          /* pages of vmalloc and its kin, kernel stacks among them */
	uint64_t area_tables;           /* page tables of areas */
	uint64_t stack_blocks;          /* kernel stacks that are blocks of pages */
	uint64_t percpu;                /* of all CPUs' units */
	uint64_t other;                 /* blocks of pages that the load asked for itself; what a start state had in use */
	uint64_t vmalloc_total;         /* KiB */
	uint64_t high_total, high_free; /* of mem_total and mem_free, zone HighMem's */
};

extern const struct metric meminfo_metrics[];

/* What the memory is asked of; pointers to parts that a machine does not have are NULL. */
struct meminfo_parts {
	const struct page_allocator *pages;
	const struct object_allocator *objects;
	const struct virtual_allocator *areas;
	const struct user_memory *users;
	const struct layout *layout;
};

void meminfo_read(struct meminfo *info, const struct meminfo_parts *parts);
void meminfo_check(const struct meminfo *info);

/* The lines of /proc/meminfo that the models know, in the kernel's order and format. */
void meminfo_print(const struct meminfo *info, FILE *out);

#endif
