/* SPDX-License-Identifier: MIT
 *
 * slab_common.h - rules for caches that SLAB and SLUB share: the alignment of objects and which caches may be one.
 *
 * Source: Linux 6.1 mm/slab_common.c (calculate_alignment, slab_unmergeable, find_mergeable, kmem_cache_create_usercopy,
 * freelist_randomize, cache_random_seq_create) and mm/slab.h (the flags a cache may have).
 */
#ifndef MODELS_OBJECT_ALLOCATOR_SLAB_COMMON_H
#define MODELS_OBJECT_ALLOCATOR_SLAB_COMMON_H

#include "sim/port/object_allocator.h"
#include "sim/rng.h"

/* Flags of include/linux/slab.h beside those of the port: of no effect on where objects lie, but part of what a cache shows. */
#define SLAB_KMALLOC 0x00001000u       /* one of the kmalloc caches */
#define SLAB_MEM_SPREAD 0x00100000u    /* spread over NUMA nodes, SLAB only */
#define SLAB_TRACE 0x00200000u         /* log every call */
#define SLAB_NO_USER_FLAGS 0x10000000u /* boot options for debugging leave this cache alone */

/* Alignment every object has at least (ARCH_SLAB_MINALIGN, ARCH_KMALLOC_MINALIGN: that of unsigned long long). */
#define ARCH_MINALIGN 8u

/* ALIGN() of the kernel: `value` rounded up to a power of two. */
static inline uint32_t align_up(uint32_t value, uint32_t power)
{
	return (value + power - 1) & ~(power - 1);
}

/*
 * The alignment of a cache's objects: what was asked for, with SLAB_HWCACHE_ALIGN at least a cache line (or the smallest
 * half, quarter ... of one that holds the object), and never less than a pointer or ARCH_MINALIGN.
 */
uint32_t calculate_alignment(uint32_t flags, uint32_t align, uint32_t size, uint32_t cache_line_bytes, uint32_t pointer_bytes);

/*
 * The order in which a cache's fresh slabs hand out their objects with kernel.slab_freelist_random: a shuffle of 0 .. count-1
 * that each slab enters at a place of its own. NULL for fewer than two objects. Free it with free(). MODEL: the numbers come from
 * the run's seeded stream, the kernel's from its entropy.
 */
uint16_t *cache_random_seq_create(struct rng *rng, uint32_t count);

/* Bytes of a cache's region for user copies: 0 if it does not lie in the object. */
uint32_t slab_usersize(const struct cache_spec *spec);

/* What find_mergeable() compares. */
struct mergeable {
	uint32_t size; /* of the object with all padding (s->size) */
	uint32_t align;
	uint32_t flags;
	bool never; /* constructor, a region for user copies (kmalloc caches), or excluded at boot */
};

/*
 * Whether a new cache may share the cache `have`: as one step of find_mergeable(), which tries the caches oldest first. For
 * the new cache, want->size is the object size and want->align the alignment asked for. align_must_divide is SLAB's extra rule.
 */
bool slab_mergeable(const struct mergeable *have, const struct mergeable *want, uint32_t cache_line_bytes, uint32_t pointer_bytes,
                    bool align_must_divide);

#endif
