/* SPDX-License-Identifier: MIT
 *
 * kernel_map.h - the kernel's own page tables: the regions of sim/layout.h, mapped as Linux 6.1 maps them at boot.
 *
 *   direct map   each range of memory in the largest pages whose whole block is memory: 1 GiB where the processor has them,
 *                2 MiB (4 MiB without PAE), else 4 KiB; i386 keeps 4 KiB for the first 2 or 4 MiB, ends at its low memory, and
 *                holds text, struct pages and per-CPU data too
 *                (arch/x86/mm/init.c: split_mem_range(), adjust_range_page_size_mask())
 *   text         the image from physical 16 MiB on, 2 MiB pages
 *   vmemmap      2 MiB pages, for the sections of 128 MiB that hold memory (vmemmap_populate_hugepages())
 *   per-CPU      with the direct map; with percpu_alloc=page in 4 KiB pages at the start of vmalloc; in a region of its own 2 MiB
 *                pages, where a CPU first touches them
 *   entry areas  4 KiB pages, of each CPU's per-CPU data (sim/entry_area.h); IRQ stacks where no virtual allocator maps them
 *   vmalloc, modules   as a virtual allocator has them mapped: its steps (STEP_MAP, STEP_UNMAP) change the tables when a core has
 *                come to them (kernel_map_remap()), and last-level tables lie in the frames that it took for them. Without one (a
 *                trace of a kernel's accesses does not tell its areas) 4 KiB pages, where they are first touched
 *   fixmap, kmap   4 KiB pages, as kmap() and kmap_local_page() have them mapped, by such steps too; any other page of them where
 *                it is first touched; so are i386's later chunks of per-CPU data, in the vmalloc area
 *
 * An access to an address of an area that is not there is a wrong one: it is counted, and goes no further. A translation that a
 * TLB still has serves on until the flush.
 *
 * Tables that the layout knows the boot's frames of (layout_place_tables()) lie there: of i386 those of the fixmap, of permanent
 * kmaps and of the end of low memory, and those of per-CPU data by pages.
 *
 * MODEL: frames of other tables above, of vmemmap and further chunks of per-CPU data, and of vmalloc areas that nobody tells of,
 * lie behind the machine's last frame, in the order of their use: a kernel takes them from memory that the page allocator never
 * gets (memblock) or from the page allocator. Effect: other sets of physically indexed caches; page sizes and the number of walks
 * are the kernel's.
 *
 * MODEL: decisions come in one order, but each core comes to its steps in its own time; where one core unmaps, or maps anew, what
 * another has not come to mapping, or unmapping, the later step does nothing (kernel_map_counters: overtaken), and an access
 * between the two finds no page. In a kernel the one waits for the other. Effect: none on one core.
 *
 * Laws (kernel_map_check): pages of areas mapped - unmapped = leaves of the tables in the ranges of areas + unmappings that were
 * overtaken - mappings that were. Once every core has come to all its steps, leaves = pages that the virtual allocator's areas
 * map.
 */
#ifndef SIM_KERNEL_MAP_H
#define SIM_KERNEL_MAP_H

#include "sim/layout.h"
#include "sim/metric.h"
#include "sim/page_table.h"
#include "sim/steps.h"
#include "sim/walker.h"

/* Memory from start up to, and without, end. */
struct ram_range {
	uint64_t start, end;
};

struct kernel_map_counters {
	uint64_t mapped, unmapped;         /* pages of areas, of any size */
	uint64_t area_tables;              /* tables for areas, in frames that the virtual allocator took for them */
	uint64_t tables_elsewhere;         /* tables for areas, in frames behind the last one */
	uint64_t tables_dropped;           /* in whose place a large page came */
	uint64_t first_touches;            /* pages mapped where they were first touched */
	uint64_t wrong_touches;            /* accesses to what is not mapped */
	uint64_t overtaken;                /* pages whose mapping or unmapping another core's overtook */
	uint64_t overtaken_touches;        /* accesses to a page that was unmapped before it was mapped */
	uint64_t pages_small, pages_large; /* of areas, mapped now */
	uint64_t pages_mapped;             /* the same in pages of 4 KiB */
};

extern const struct metric kernel_map_metrics[];

/*
 * Where the tables of areas lie: the physical address of the table for `linear` that maps 2^shift bytes, FRAME_NONE if it is not
 * known. NULL: never.
 */
struct area_tables {
	uint64_t (*frame)(const void *context, uint64_t linear, unsigned shift);
	const void *context;
};

/* A page whose steps came in another order than they were decided in. */
struct overtaken_page {
	uint64_t page;   /* linear address + log2 of its bytes; 0: empty slot */
	int32_t unmaps;  /* still to come (above 0), or that came before the mappings they are of (below) */
	bool was_undone; /* it was unmapped before it was mapped, or before its own unmapping */
};

struct kernel_map {
	struct page_tables tables;
	const struct layout *layout;
	uint64_t next_frame;              /* behind the last frame of memory */
	bool areas_told;                  /* by steps; else they are mapped where they are first touched */
	struct area_tables areas;         /* where their tables lie */
	uint64_t first_wrong;             /* address of the first of counters.wrong_touches */
	struct overtaken_page *overtaken; /* owned; open addressing, at most half full */
	size_t overtaken_slots, overtaken_used;
	struct kernel_map_counters counters;
};

/*
 * Builds the tables. ram: ascending, not touching; its last end is that of memory. *map, once built, stays where it is. false
 * only if the mode has no tables.
 */
bool kernel_map_init(struct kernel_map *map, const struct translation_ops *mode, const struct paging_controls *controls,
                     struct physical_memory *memory, const struct layout *layout, const struct ram_range *ram, size_t ranges);
void kernel_map_release(struct kernel_map *map);

/* The size of the page that maps a byte of memory in the direct map; PAGE_SIZES if none does. */
enum page_size kernel_map_page_size(const struct translation_ops *mode, const struct paging_controls *controls,
                                    const struct layout *layout, const struct ram_range *ram, size_t ranges, uint64_t physical);

/*
 * Maps the CPUs' entry areas and, where the layout has them outside of the direct map, their IRQ stacks, to the frames of their
 * per-CPU data; units have been placed (layout_place_per_cpu()), on 64 bits. IRQ stacks that a virtual allocator has mapped by
 * steps are left out: `irq_stacks` false.
 */
void kernel_map_entry_areas(struct kernel_map *map, unsigned cpus, bool irq_stacks);

/* From now on areas are mapped by steps alone. `areas` may be NULL. */
void kernel_map_tell_areas(struct kernel_map *map, const struct area_tables *areas);

/* struct table_keeper: remap, with the map as its context. */
void kernel_map_remap(void *map, const struct step *step);

/* All that a decision maps and unmaps, at once: where nobody pays for its steps. */
void kernel_map_remap_all(struct kernel_map *map, const struct steps *steps);

/* Pages of areas that are mapped now, in pages of 4 KiB. */
uint64_t kernel_map_area_pages(const struct kernel_map *map);

/* The first law, with the tables walked. */
void kernel_map_check(const struct kernel_map *map);

/* struct mmu: fault, with the map as its context: maps what is mapped at first touch. */
bool kernel_map_fault(void *map, uint64_t linear, enum walk_outcome outcome, unsigned error_code);

#endif
