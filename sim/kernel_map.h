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
 *   per-CPU      2 MiB pages, where a CPU first touches them
 *   vmalloc, modules, fixmap, kmap   4 KiB pages, where they are first touched
 *
 * MODEL: frames of tables, vmemmap, per-CPU data and vmalloc areas lie behind the machine's last frame, in the order of their
 * use: a kernel takes them from memory that the page allocator never gets (memblock) or from the page allocator. Effect: other
 * sets of physically indexed caches; page sizes and the number of walks are the kernel's.
 */
#ifndef SIM_KERNEL_MAP_H
#define SIM_KERNEL_MAP_H

#include "sim/layout.h"
#include "sim/page_table.h"
#include "sim/walker.h"

/* Memory from start up to, and without, end. */
struct ram_range {
	uint64_t start, end;
};

struct kernel_map {
	struct page_tables tables;
	const struct layout *layout;
	uint64_t next_frame; /* behind the last frame of memory */
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

/* struct mmu: fault, with the map as its context: maps what is mapped at first touch. */
bool kernel_map_fault(void *map, uint64_t linear, enum walk_outcome outcome, unsigned error_code);

/* struct mmu: set_page, with the map as its context: what kmap() writes into the tables. */
void kernel_map_set_page(void *map, uint64_t linear, uint32_t frame);

#endif
