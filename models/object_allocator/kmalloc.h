/* SPDX-License-Identifier: MIT
 *
 * kmalloc.h - the part of kmalloc that SLAB and SLUB share: size classes, cache types, names, and requests beyond the largest
 * cache, which go straight to the page allocator. (SLOB has a kmalloc of its own.)
 *
 * Use, by the allocator that embeds a struct kmalloc:
 *     kmalloc_init()           once, with the shift of its smallest cache (KMALLOC_SHIFT_LOW_SLUB or _SLAB);
 *     kmalloc_create_caches()  once, with a function that makes one cache; needs no pages;
 *     kmalloc_slab()           the cache that serves a request of 1 .. KMALLOC_MAX_CACHE_SIZE bytes;
 *     kmalloc_large() / kfree_large() / kmalloc_large_bytes()   everything larger;
 *     kmalloc_check()          recounts the large blocks;
 *     kmalloc_release()        at the end.
 * The embedding allocator puts its own slabs into kmalloc.frames (frame_map.h); large blocks are entered there by this part.
 *
 * Source of the rules: Linux 6.1 mm/slab_common.c (kmalloc_info, size_index, kmalloc_slab, new_kmalloc_cache,
 * create_kmalloc_caches, create_boot_cache, __kmalloc_large_node, free_large_kmalloc) and include/linux/slab.h.
 *
 * Invariants: pages_large is the sum of 2^order over the live large blocks; large_allocs - large_frees is their number; each
 * has its FRAME_LARGE entry.
 */
#ifndef MODELS_OBJECT_ALLOCATOR_KMALLOC_H
#define MODELS_OBJECT_ALLOCATOR_KMALLOC_H

#include "models/object_allocator/frame_map.h"
#include "sim/port/object_allocator.h"

/* Sizes from include/linux/slab.h: SLUB's smallest cache is 8 bytes, SLAB's 32; the largest of both is 8 KiB; the largest
 * request is one block of order 10, 4 MiB. */
#define KMALLOC_SHIFT_LOW_SLUB 3
#define KMALLOC_SHIFT_LOW_SLAB 5
#define KMALLOC_SHIFT_HIGH (PAGE_SHIFT + 1)
#define KMALLOC_MAX_CACHE_SIZE (1u << KMALLOC_SHIFT_HIGH)
#define KMALLOC_SHIFT_MAX (ORDERS + PAGE_SHIFT - 1)
#define KMALLOC_MAX_SIZE (1u << KMALLOC_SHIFT_MAX)

/* Up to this size the cache is looked up in a table, above it follows from the size's highest bit. */
#define KMALLOC_TABLE_MAX 192u

/* Two caches are no power of two: index 1 and 2 of the kernel's tables, whose places the powers 2 and 4 leave free. */
#define KMALLOC_INDEX_96 1
#define KMALLOC_INDEX_192 2

/* In the order in which a kernel with memory cgroups makes them. */
enum kmalloc_cache_type { KMALLOC_NORMAL, KMALLOC_CGROUP, KMALLOC_RECLAIM, KMALLOC_DMA, NR_KMALLOC_TYPES };

struct kmalloc_info {
	const char *name[NR_KMALLOC_TYPES];
	uint32_t size;
};

/* By index as kmalloc_index() gives it; index 0 is no cache. */
extern const struct kmalloc_info kmalloc_info[KMALLOC_SHIFT_HIGH + 1];

/* A live block of the page allocator that serves one large request. */
struct kmalloc_large_block {
	pfn first; /* PFN_NONE: the entry is unused and `order` is the next unused one + 1, 0 = none */
	uint32_t order;
};

struct kmalloc_counters {
	uint64_t large_allocs;   /* blocks handed out */
	uint64_t large_frees;    /* blocks given back */
	uint64_t large_failures; /* requests that got no memory, or were above KMALLOC_MAX_SIZE */
};

struct kmalloc {
	const struct object_allocator_wiring *wiring; /* of the embedding allocator, which keeps a copy of it */
	bool memcg_kmem;
	uint8_t size_index[KMALLOC_TABLE_MAX / 8]; /* by (size - 1) / 8 */
	cache_id caches[NR_KMALLOC_TYPES][KMALLOC_SHIFT_HIGH + 1];
	unsigned shift_low;
	vaddr size_index_at, caches_at; /* of the two tables in the simulated kernel */

	struct frame_map frames; /* shared with the embedding allocator's slabs */
	struct kmalloc_large_block *large;
	uint32_t large_used, large_capacity;
	uint32_t large_unused; /* head of the chain of unused entries + 1, 0 = none */
	uint64_t pages_large;
	struct kmalloc_counters counters;
};

/* `wiring` must stay where it is as long as the kmalloc. */
void kmalloc_init(struct kmalloc *kmalloc, const struct object_allocator_wiring *wiring, unsigned shift_low);
void kmalloc_release(struct kmalloc *kmalloc);

/*
 * Makes one kmalloc cache. spec->align is the alignment create_boot_cache() starts from (8, or the size if that is a power of
 * two); the maker applies calculate_alignment() (slab_common.h) as for every cache. These caches are never merged.
 */
typedef cache_id kmalloc_cache_maker(void *owner, const struct cache_spec *spec, enum kmalloc_cache_type type);

/*
 * Makes the caches in the kernel's order: per type the powers of two upward, 96 right after 64 and 192 right after 128.
 * `flags` are given to each cache (SLUB 0, SLAB SLAB_HWCACHE_ALIGN); reclaim, dma and cgroup caches get theirs in addition.
 * A kernel without memory cgroups has no kmalloc-cg-* caches.
 */
void kmalloc_create_caches(struct kmalloc *kmalloc, uint32_t flags, kmalloc_cache_maker *make, void *owner);

/* The index that serves `size` bytes, 1 .. KMALLOC_MAX_CACHE_SIZE. */
static inline unsigned kmalloc_index(const struct kmalloc *kmalloc, uint32_t size)
{
	if (size <= KMALLOC_TABLE_MAX)
		return kmalloc->size_index[(size - 1) / 8];
	return 32 - (unsigned)__builtin_clz(size - 1);
}

/* DMA wins over reclaimable, reclaimable over accounted. */
static inline enum kmalloc_cache_type kmalloc_type(const struct kmalloc *kmalloc, gfp flags)
{
	if ((flags & (__GFP_DMA | __GFP_RECLAIMABLE | __GFP_ACCOUNT)) == 0)
		return KMALLOC_NORMAL;
	if (flags & __GFP_DMA)
		return KMALLOC_DMA;
	if (flags & __GFP_RECLAIMABLE)
		return KMALLOC_RECLAIM;
	return kmalloc->memcg_kmem ? KMALLOC_CGROUP : KMALLOC_NORMAL;
}

/* The cache that serves a request of 1 .. KMALLOC_MAX_CACHE_SIZE bytes. */
static inline cache_id kmalloc_slab(const struct kmalloc *kmalloc, uint32_t size, gfp flags)
{
	return kmalloc->caches[kmalloc_type(kmalloc, flags)][kmalloc_index(kmalloc, size)];
}

/*
 * What finding the cache touches, as __kmalloc() does it: size_index[] for small sizes, then kmalloc_caches[type][index].
 * MODEL: callers whose size is a constant know the index when they are compiled; a recording does not tell them apart.
 */
void kmalloc_touch_slab(const struct kmalloc *kmalloc, uint32_t size, gfp flags);

/* The order of the smallest block that holds `size` bytes, size > 0. */
static inline unsigned get_order(uint32_t size)
{
	uint32_t last_page = (size - 1) >> PAGE_SHIFT;
	return last_page ? 32 - (unsigned)__builtin_clz(last_page) : 0;
}

/*
 * A request above KMALLOC_MAX_CACHE_SIZE: a whole block of the page allocator. VADDR_NULL if that has none, or if the request
 * is above KMALLOC_MAX_SIZE. bytes_alloc is the block's size, as the tracepoint prints it, also for a failed request.
 */
struct object kmalloc_large(struct kmalloc *kmalloc, uint32_t size, gfp flags, unsigned cpu);

/* Gives back the large block at `at`, whose frame's entry has FRAME_LARGE. An address inside its first frame is refused. */
enum object_free_result kfree_large(struct kmalloc *kmalloc, vaddr at, unsigned cpu);

/* Usable bytes of the large block at `at`; 0 if none begins there. */
uint32_t kmalloc_large_bytes(const struct kmalloc *kmalloc, vaddr at);

/* Live large blocks. */
static inline uint64_t kmalloc_large_live(const struct kmalloc *kmalloc)
{
	return kmalloc->counters.large_allocs - kmalloc->counters.large_frees;
}

void kmalloc_check(const struct kmalloc *kmalloc);

#endif
