/* SPDX-License-Identifier: MIT
 *
 * percpu.h - the shape of the first chunk of per-CPU data, as Linux 6.1 plans it at boot.
 *
 * A CPU's unit of the chunk is
 *
 *     | static data of the kernel | reserved for modules | dynamic |  (rest of the unit, given back)
 *     0                       static_bytes                      used bytes                 unit_bytes
 *
 * Units of CPUs that are near each other lie side by side, in a group; a group is a whole number of allocations of alloc_bytes, a
 * multiple of atom_bytes. As many units go into an allocation as leave at most a third of the CPUs' number unused, and as take
 * the fewest allocations. Units without a CPU are given back.
 *
 * So it is embedded in the direct map. By pages (percpu_alloc=page) the units are one group, each as long as its pages, in an
 * area at the start of vmalloc's range; their pages are taken one by one, wherever they are free.
 *
 * Source: mm/percpu.c: pcpu_build_alloc_info(), pcpu_embed_first_chunk(), pcpu_page_first_chunk(), pcpu_dump_alloc_info();
 * arch/x86/kernel/setup_percpu.c: setup_per_cpu_areas(), pcpu_cpu_distance(); include/linux/percpu.h.
 *
 * Laws: used bytes are whole pages and at most unit_bytes; units x unit_bytes of a group is a multiple of alloc_bytes; every CPU
 * has a unit, none has two CPUs.
 */
#ifndef SIM_PERCPU_H
#define SIM_PERCPU_H

#include "sim/base.h"

#include <stdio.h>

/* Nodes of a machine. */
#define PERCPU_GROUPS_MAX 4

struct percpu_sizes {
	uint32_t static_bytes;   /* __per_cpu_end - __per_cpu_start */
	uint32_t reserved_bytes; /* for modules' per-CPU variables */
	uint32_t dynamic_bytes;  /* at least; grows to the end of the page */
	uint32_t atom_bytes;     /* a multiple of pages */
	bool by_pages;           /* percpu_alloc=page */
};

/* What arch/x86 asks for: on 64 bits 8 KiB reserved, 28 KiB dynamic, atoms of 2 MiB; on 32 bits 28 KiB dynamic, atoms of a page.
 */
struct percpu_sizes percpu_sizes_x86(bool is_64bit, uint32_t static_bytes);

/* The same with percpu_alloc=page: the least dynamic data there is, atoms of a page. */
struct percpu_sizes percpu_sizes_by_pages(bool is_64bit, uint32_t static_bytes);

struct percpu_chunk {
	uint32_t static_bytes, reserved_bytes, dynamic_bytes;
	uint32_t unit_bytes, alloc_bytes, atom_bytes;
	bool by_pages;
	unsigned cpus, groups;
	struct percpu_group {
		unsigned cpus, units;
	} group[PERCPU_GROUPS_MAX];
	uint8_t group_of_cpu[CPUS_MAX];
	uint8_t unit_of_cpu[CPUS_MAX]; /* within its group */
};

/*
 * Where pages of units lie that were taken one by one: the one of number `page`, counted over all units, in frame `pfn`, the next
 * ones in the frames below it, up to the next run.
 */
struct percpu_run {
	uint32_t page, pfn;
};

/* A run for each CPU, and for each hole or frame in use that they go around. */
#define PERCPU_RUNS_MAX (CPUS_MAX + 96)

/* Plans the chunk. cpus: 1..CPUS_MAX; node_of_cpu: below PERCPU_GROUPS_MAX; NULL: all are on one node. */
void percpu_plan(struct percpu_chunk *chunk, const struct percpu_sizes *sizes, unsigned cpus, const uint8_t *node_of_cpu);

/* Bytes of a unit that stay per-CPU data; whole pages. */
static inline uint32_t percpu_used_bytes(const struct percpu_chunk *chunk)
{
	return chunk->static_bytes + chunk->reserved_bytes + chunk->dynamic_bytes;
}

static inline uint64_t percpu_group_bytes(const struct percpu_chunk *chunk, unsigned group)
{
	return (uint64_t)chunk->group[group].units * chunk->unit_bytes;
}

/* The lines of the boot log: "percpu: Embedded ...", or "percpu: 50 4K pages/cpu ...", and "pcpu-alloc: ...". */
void percpu_print(const struct percpu_chunk *chunk, FILE *out);

#endif
