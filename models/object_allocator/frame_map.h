/* SPDX-License-Identifier: MIT
 *
 * frame_map.h - whose memory is this frame: one 32-bit entry per page frame, for allocators that find an object's owner by its
 * address.
 *
 * An entry is 0 (not ours), a slab's number + 1 (set for every frame of the slab), or FRAME_LARGE | number for the first frame
 * of a large kmalloc (kmalloc.h); the frames behind that first one stay 0, because no address in them is the start of anything.
 * The array costs host memory only where frames were used. The kernel keeps the same facts in struct page (PG_slab,
 * slab_cache, compound order).
 */
#ifndef MODELS_OBJECT_ALLOCATOR_FRAME_MAP_H
#define MODELS_OBJECT_ALLOCATOR_FRAME_MAP_H

#include "sim/base.h"

/* The bit that tells a large kmalloc from a slab. */
#define FRAME_LARGE 0x80000000u

struct frame_map {
	uint32_t *at;
	uint32_t frames; /* entries; frames beyond are nobody's */
};

static inline void frame_map_init(struct frame_map *map, uint32_t end_pfn)
{
	*map = (struct frame_map){.at = lazy_alloc(end_pfn, sizeof(uint32_t)), .frames = end_pfn};
}

static inline void frame_map_release(struct frame_map *map)
{
	lazy_free(map->at, map->frames, sizeof(uint32_t));
	*map = (struct frame_map){0};
}

static inline uint32_t frame_map_get(const struct frame_map *map, pfn frame)
{
	return frame.nr < map->frames ? map->at[frame.nr] : 0;
}

/* Sets the entries of `count` frames from `first` on. */
static inline void frame_map_set(struct frame_map *map, pfn first, uint32_t count, uint32_t entry)
{
	SIM_ASSERT(first.nr < map->frames && count <= map->frames - first.nr);
	for (uint32_t i = 0; i < count; i++)
		map->at[first.nr + i] = entry;
}

#endif
