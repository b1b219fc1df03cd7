/* SPDX-License-Identifier: MIT
 *
 * slab_geometry.c - how SLAB lays out a cache: object size, slab order, place of the index array, colours, array limits.
 *
 * Interface: slab.h. Source: Linux 6.1 mm/slab.c (__kmem_cache_create, set_objfreelist_slab_cache, set_off_slab_cache,
 * set_on_slab_cache, calculate_slab_order, cache_estimate, enable_cpucache, init_cache_node) of a kernel without
 * CONFIG_DEBUG_SLAB, and mm/slab.h for the flags a cache may have. Pure functions: the same rules and spec give the same
 * geometry.
 *
 * The three places of the index array are tried in this order: in a free object, in another cache, at the slab's end.
 */
#include "models/object_allocator/slab.h"

/* BYTES_PER_WORD of a 64-bit kernel. */
#define BYTES_PER_WORD 8u

/* KMALLOC_MAX_ORDER: the largest order calculate_slab_order() looks at. */
#define KMALLOC_MAX_ORDER (KMALLOC_SHIFT_MAX - PAGE_SHIFT)

/* SLAB_MAX_ORDER_HI and _LO, and the memory above which the larger one holds (kmem_cache_init). */
#define SLAB_MAX_ORDER_HI 1u
#define SLAB_MAX_ORDER_LO 0u
#define SLAB_MAX_ORDER_HI_ABOVE_BYTES (32u << 20)

/* A slab is accepted when no more than 1/8 of it is left over. */
#define LEFT_OVER_SHARE 8u

/* SLAB_FLAGS_PERMITTED: others are refused. SLAB_KMALLOC is the allocator's own. */
#define FLAGS_PERMITTED \
	(SLAB_HWCACHE_ALIGN | SLAB_CACHE_DMA | SLAB_CACHE_DMA32 | SLAB_PANIC | SLAB_TYPESAFE_BY_RCU | SLAB_RED_ZONE | \
	 SLAB_POISON | SLAB_STORE_USER | SLAB_TRACE | SLAB_CONSISTENCY_CHECKS | SLAB_MEM_SPREAD | SLAB_NOLEAKTRACE | \
	 SLAB_RECLAIM_ACCOUNT | SLAB_ACCOUNT | SLAB_KMALLOC | SLAB_NO_USER_FLAGS)

/* CACHE_CREATE_MASK of SLAB without CONFIG_DEBUG_SLAB, and SLAB_KMALLOC: the flags that a cache keeps. */
#define FLAGS_KEPT \
	(SLAB_HWCACHE_ALIGN | SLAB_CACHE_DMA | SLAB_CACHE_DMA32 | SLAB_PANIC | SLAB_TYPESAFE_BY_RCU | SLAB_MEM_SPREAD | \
	 SLAB_NOLEAKTRACE | SLAB_RECLAIM_ACCOUNT | SLAB_ACCOUNT | SLAB_KMALLOC)

uint32_t slab_max_order_auto(uint64_t managed_pages)
{
	return managed_pages > SLAB_MAX_ORDER_HI_ABOVE_BYTES >> PAGE_SHIFT ? SLAB_MAX_ORDER_HI : SLAB_MAX_ORDER_LO;
}

/* The slot of the kmalloc cache that would hold an index array of `bytes`, at most SLAB_OBJ_MAX_NUM. */
static uint32_t freelist_slot_bytes(const struct slab_rules *rules, uint32_t bytes)
{
	uint32_t best = KMALLOC_MAX_CACHE_SIZE;
	for (unsigned index = 1; index <= KMALLOC_SHIFT_HIGH; index++) {
		uint32_t size = kmalloc_info[index].size;
		if (size >= 1u << KMALLOC_SHIFT_LOW_SLAB && size >= bytes && size < best)
			best = size;
	}
	bool power_of_two = (best & (best - 1)) == 0;
	uint32_t align = calculate_alignment(SLAB_HWCACHE_ALIGN, power_of_two ? best : ARCH_MINALIGN, best,
	                                     rules->cache_line_bytes, BYTES_PER_WORD);
	return align_up(best, align);
}

/* cache_estimate(): objects in a slab of that order, and what is left over. */
static uint32_t cache_estimate(unsigned order, uint32_t size, uint32_t flags, uint32_t *left_over)
{
	uint32_t slab_bytes = PAGE_SIZE << order;
	uint32_t each = flags & (CFLGS_OBJFREELIST_SLAB | CFLGS_OFF_SLAB) ? size : size + 1;
	*left_over = slab_bytes % each;
	return slab_bytes / each;
}

/* calculate_slab_order(): fills num and order, num 0 if no order fits; returns what is left over. */
static uint32_t calculate_slab_order(const struct slab_rules *rules, uint32_t size, uint32_t flags,
                                     struct slab_geometry *geometry)
{
	uint32_t left_over = 0;
	geometry->num = 0;
	for (unsigned order = 0; order <= KMALLOC_MAX_ORDER; order++) {
		uint32_t remainder;
		uint32_t num = cache_estimate(order, size, flags, &remainder);
		if (num == 0)
			continue;
		if (num > SLAB_OBJ_MAX_NUM)
			break;
		/* The benefit is judged by the size before alignment, because the kernel sets the aligned one at the end. */
		if (flags & CFLGS_OFF_SLAB && freelist_slot_bytes(rules, num) > geometry->object_size / 2)
			continue;
		geometry->num = num;
		geometry->order = order;
		left_over = remainder;
		if (flags & SLAB_RECLAIM_ACCOUNT || order >= rules->max_order ||
		    left_over * LEFT_OVER_SHARE <= PAGE_SIZE << order)
			break;
	}
	return left_over;
}

/* In a free object: not where the object's bytes must outlive the free, and only if the array fits into the object. */
static bool set_objfreelist_slab_cache(const struct slab_rules *rules, bool ctor, struct slab_geometry *geometry)
{
	if (ctor || geometry->flags & SLAB_TYPESAFE_BY_RCU)
		return false;
	uint32_t left = calculate_slab_order(rules, geometry->size, geometry->flags | CFLGS_OBJFREELIST_SLAB, geometry);
	if (geometry->num == 0 || geometry->num > geometry->object_size)
		return false;
	geometry->colour = left / geometry->colour_off;
	return true;
}

/* In another cache: worth it only if the array would not fit into what is left over anyway. */
static bool set_off_slab_cache(const struct slab_rules *rules, struct slab_geometry *geometry)
{
	if (geometry->flags & SLAB_NOLEAKTRACE)
		return false;
	uint32_t left = calculate_slab_order(rules, geometry->size, geometry->flags | CFLGS_OFF_SLAB, geometry);
	if (geometry->num == 0 || left >= geometry->num)
		return false;
	geometry->colour = left / geometry->colour_off;
	return true;
}

static bool set_on_slab_cache(const struct slab_rules *rules, struct slab_geometry *geometry)
{
	uint32_t left = calculate_slab_order(rules, geometry->size, geometry->flags, geometry);
	if (geometry->num == 0)
		return false;
	geometry->colour = left / geometry->colour_off;
	return true;
}

static bool place_index_array(const struct slab_rules *rules, bool ctor, struct slab_geometry *geometry)
{
	if (set_objfreelist_slab_cache(rules, ctor, geometry)) {
		geometry->flags |= CFLGS_OBJFREELIST_SLAB;
		return true;
	}
	if (set_off_slab_cache(rules, geometry)) {
		geometry->flags |= CFLGS_OFF_SLAB;
		return true;
	}
	return set_on_slab_cache(rules, geometry);
}

static gfp allocflags_of(uint32_t flags)
{
	gfp allocflags = __GFP_COMP;
	if (flags & SLAB_CACHE_DMA)
		allocflags |= GFP_DMA;
	if (flags & SLAB_CACHE_DMA32)
		allocflags |= GFP_DMA32;
	if (flags & SLAB_RECLAIM_ACCOUNT)
		allocflags |= __GFP_RECLAIMABLE;
	return allocflags;
}

/* enable_cpucache(): how many objects an array holds, by the object's size. */
static uint32_t array_limit(uint32_t size)
{
	if (size > 131072)
		return 1;
	if (size > PAGE_SIZE)
		return 8;
	if (size > 1024)
		return 24;
	if (size > 256)
		return 54;
	return ARRAY_LIMIT_MAX;
}

static void set_array_limits(const struct slab_rules *rules, struct slab_geometry *geometry)
{
	geometry->limit = array_limit(geometry->size);
	geometry->batchcount = (geometry->limit + 1) / 2;
	geometry->shared = geometry->size <= PAGE_SIZE && rules->cpus > 1 ? 8 : 0;
}

uint32_t slab_free_limit(const struct slab_rules *rules, const struct slab_geometry *geometry, bool before_smp)
{
	uint32_t counted = before_smp && rules->cpus > 1 ? rules->cpus - 1 : rules->cpus;
	return (1 + counted) * geometry->batchcount + geometry->num;
}

bool slab_geometry_of(const struct slab_rules *rules, const struct cache_spec *spec, struct slab_geometry *geometry)
{
	if (spec->flags & ~FLAGS_PERMITTED || spec->object_size == 0 || spec->object_size > KMALLOC_MAX_SIZE ||
	    spec->align > KMALLOC_MAX_SIZE)
		return false;
	*geometry = (struct slab_geometry){.object_size = spec->object_size, .flags = spec->flags & FLAGS_KEPT};
	if (!rules->memcg_kmem)
		geometry->flags &= ~(uint32_t)SLAB_ACCOUNT;
	uint32_t align =
	        calculate_alignment(geometry->flags, spec->align, spec->object_size, rules->cache_line_bytes, BYTES_PER_WORD);
	geometry->align = align > BYTES_PER_WORD ? align : BYTES_PER_WORD;
	geometry->colour_off = rules->cache_line_bytes > geometry->align ? rules->cache_line_bytes : geometry->align;
	geometry->size = align_up(align_up(spec->object_size, BYTES_PER_WORD), geometry->align);
	if (geometry->size < SLAB_OBJ_MIN_SIZE)
		geometry->size = align_up(SLAB_OBJ_MIN_SIZE, geometry->align);
	if (!place_index_array(rules, spec->ctor, geometry))
		return false;
	geometry->allocflags = allocflags_of(geometry->flags);
	set_array_limits(rules, geometry);
	return true;
}
