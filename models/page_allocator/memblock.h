/* SPDX-License-Identifier: MIT
 *
 * memblock.h - the allocator of the kernel's early boot: ranges of memory, and those of them that are taken. Counts in frames.
 *
 * A request gets the highest aligned place below a limit that is free as a whole (top down). Frames that are given back are free
 * for later requests. What is still taken in the end never gets to the page allocator. Source: mm/memblock.c:
 * __memblock_find_range_top_down(), memblock_alloc_range_nid(), memblock_alloc_internal().
 *
 * Invariant: taken ranges ascend, lie in memory or reach over its holes, and do not overlap or touch.
 */
#ifndef MODELS_PAGE_ALLOCATOR_MEMBLOCK_H
#define MODELS_PAGE_ALLOCATOR_MEMBLOCK_H

#include "models/page_allocator/memory_map.h"

#define MEMBLOCK_NONE UINT32_MAX

struct memblock {
	const struct memory_map *map;
	struct range taken[KEPT_RANGES_MAX];
	unsigned count;
};

/* What a request asks for: the place of `pages` frames, a multiple of `align` (a power of two), in [lowest, end). */
struct memblock_request {
	uint64_t pages;
	uint32_t align;
	uint32_t lowest, end;
};

void memblock_init(struct memblock *memblock, const struct memory_map *map);

/* memblock_reserve(): these frames, of which none is taken yet. */
void memblock_reserve(struct memblock *memblock, struct range range);

/* memblock_free(): frames that are taken, all in one stretch. */
void memblock_free(struct memblock *memblock, struct range range);

/* memblock_alloc(): the first frame, MEMBLOCK_NONE if there is no such place. */
uint32_t memblock_alloc(struct memblock *memblock, const struct memblock_request *request);

/* Frames that do not have to lie together, the highest free ones. False if there are not that many; then none is taken. */
bool memblock_alloc_scattered(struct memblock *memblock, const struct memblock_request *request);

#endif
