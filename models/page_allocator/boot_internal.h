/* SPDX-License-Identifier: MIT
 *
 * boot_internal.h - what the parts of the early boot share: frames that the kernel takes (boot_memory.c), among them those of
 * per-CPU data (boot_percpu.c) and of page tables (boot_tables.c).
 */
#ifndef MODELS_PAGE_ALLOCATOR_BOOT_INTERNAL_H
#define MODELS_PAGE_ALLOCATOR_BOOT_INTERNAL_H

#include "models/page_allocator/memblock.h"

#define MIB_PAGES (1024u * 1024u / PAGE_SIZE)
/* Below 1 MiB nothing is given out. */
#define HIGH_MEMORY_START 0x100u
/* MAX_DMA_ADDRESS: requests for struct pages and per-CPU data rather lie above. */
#define GOAL (16u * MIB_PAGES)

#define IMAGE_PARTS 4

/* What kernels like the recorded ones keep; frames. */
struct kernel_size {
	struct range image[IMAGE_PARTS]; /* text, data, bss that stay, from where the image begins; ascending */
	uint32_t initrd;
	uint32_t freed_late; /* given back after the watermarks were computed: initrd, initmem, gaps in the image */
	uint32_t other;      /* odds and ends */
	uint32_t hash_bucket_bytes;
	uint32_t percpu_static_bytes;
};

struct boot {
	struct memory_map *map;
	const struct settings *settings;
	const struct kernel_size *kernel;
	struct memblock memblock;
	uint32_t end; /* of the memory that the boot can take: low memory */
	bool is_32bit;
	bool image_is_whole;   /* its parts lie from map->image_pfn on */
	uint32_t pgt_buf_used; /* frames of pgt_buf (boot_tables.c) */
};

/* Frames in one piece from the node's memory above the goal, else from any, else from below; MEMBLOCK_NONE: nowhere. */
uint32_t boot_take(struct boot *boot, uint64_t pages, uint32_t align, struct range node);

/* The shape of the first chunk of per-CPU data; the frames that it keeps; and their places: false if there is no room. */
void boot_plan_per_cpu(const struct boot *boot, unsigned cpus);
uint64_t boot_per_cpu_pages(const struct boot *boot);
bool boot_take_per_cpu(struct boot *boot);

/* alloc_low_pages() of 32 bits: frames for page tables, one behind the other. MEMBLOCK_NONE: not known, or none are left. */
uint32_t boot_low_pages(struct boot *boot, uint32_t pages);

/* One page table more whose frame is known. */
void boot_note_table(struct boot *boot, uint64_t linear, unsigned shift, uint32_t frame);

/*
 * The tables of 32 bits that per-CPU data and struct pages come behind: of the ends of low memory that large pages cannot map,
 * then of the fixmap (init_mem_mapping()); of permanent kmaps (paging_init()).
 */
void boot_map_memory(struct boot *boot);
void boot_map_kmaps(struct boot *boot);

#endif
