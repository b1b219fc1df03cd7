/* SPDX-License-Identifier: MIT
 *
 * slub_geometry.c - how SLUB lays out a cache: object size with metadata, order of its slabs, how many slabs to keep (interface:
 * slub.h).
 *
 * Source: Linux 6.1 mm/slub.c (calculate_sizes, calc_slab_order, calculate_order, kmem_cache_open, set_cpu_partial).
 */
#include "models/object_allocator/slub.h"

/* Bounds of min_partial (MIN_PARTIAL, MAX_PARTIAL). */
#define MIN_PARTIAL 5u
#define MAX_PARTIAL 10u

/* These need more than the freelist and the counters to change together, so the kernel takes a lock (SLAB_NO_CMPXCHG). */
#define SLAB_NO_CMPXCHG (SLAB_CONSISTENCY_CHECKS | SLAB_STORE_USER | SLAB_TRACE)

/* Flags for which an object carries more bytes (DEBUG_METADATA_FLAGS). */
#define DEBUG_METADATA_FLAGS ((uint32_t)(SLAB_RED_ZONE | SLAB_POISON | SLAB_STORE_USER))

/* The waste that is accepted at first is 1/16 of a slab, then 1/8, then 1/4. */
#define FIRST_FRACTION 16u
#define LAST_FRACTION 4u

static uint32_t min_of(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static uint32_t max_of(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

/* The number of the highest bit of value > 0, counted from 0. */
static uint32_t highest_bit(uint32_t value)
{
	return 31 - (uint32_t)__builtin_clz(value);
}

static uint32_t order_objects(uint32_t order, uint32_t size)
{
	return (PAGE_SIZE << order) / size;
}

/* Two records of who allocated and who freed: address, stack handle, cpu, pid, time; padded to the alignment of an address. */
static uint32_t track_bytes(uint32_t pointer_bytes)
{
	return 2 * (2 * pointer_bytes + align_up(3 * 4, pointer_bytes));
}

/* The smallest order that holds min_objects and wastes at most 1/fraction of the slab; above max_order if there is none. */
static uint32_t calc_slab_order(uint32_t size, uint32_t min_objects, uint32_t min_order, uint32_t max_order, uint32_t fraction)
{
	if (order_objects(min_order, size) > MAX_OBJS_PER_PAGE)
		return get_order(size * MAX_OBJS_PER_PAGE) - 1;
	uint32_t order = max_of(min_order, get_order(min_objects * size));
	for (; order <= max_order; order++) {
		uint32_t slab_bytes = PAGE_SIZE << order;
		if (slab_bytes % size <= slab_bytes / fraction)
			break;
	}
	return order;
}

uint32_t slub_calculate_order(const struct slub_config *config, uint32_t size)
{
	uint32_t max_order = min_of(config->max_order, ORDERS - 1);
	uint32_t min_order = config->min_order;
	if (min_order >= ORDERS)
		return UINT32_MAX;
	uint32_t min_objects = config->min_objects ? config->min_objects : 4 * (highest_bit(config->cpus) + 2);
	min_objects = min_of(min_objects, order_objects(max_order, size));
	for (; min_objects > 1; min_objects--) {
		for (uint32_t fraction = FIRST_FRACTION; fraction >= LAST_FRACTION; fraction /= 2) {
			uint32_t order = calc_slab_order(size, min_objects, min_order, max_order, fraction);
			if (order <= max_order)
				return order;
		}
	}
	uint32_t order = calc_slab_order(size, 1, min_order, max_order, 1);
	if (order <= max_order)
		return order;
	order = calc_slab_order(size, 1, min_order, ORDERS, 1);
	return order < ORDERS ? order : UINT32_MAX;
}

/* Where the object ends, where its free pointer lies, and what else each object carries: sets all but order and lists. */
static void calculate_layout(struct slub_geometry *g, const struct slub_config *config, bool ctor)
{
	const uint32_t word = config->pointer_bytes;
	uint32_t flags = g->flags;
	uint32_t size = align_up(g->object_size, word);
	if (flags & SLAB_POISON && !(flags & SLAB_TYPESAFE_BY_RCU) && !ctor)
		g->flags |= SLUB_OBJECT_POISON;
	else
		g->flags &= ~SLUB_OBJECT_POISON;
	/* A red zone needs at least a byte behind the object. */
	if (flags & SLAB_RED_ZONE && size == g->object_size)
		size += word;
	g->inuse = size;
	g->red_left_pad = 0;

	/* The free pointer may lie in the middle of the object unless somebody looks at free objects. */
	bool pointer_behind =
	        flags & (SLAB_TYPESAFE_BY_RCU | SLAB_POISON) || (flags & SLAB_RED_ZONE && g->object_size < word) || ctor;
	if (pointer_behind) {
		g->offset = size;
		size += word;
	} else {
		g->offset = g->object_size / 2 / word * word;
	}
	if (flags & SLAB_STORE_USER) {
		size += track_bytes(word);
		if (flags & SLAB_KMALLOC)
			size += 4; /* the size that was asked for */
	}
	if (flags & SLAB_RED_ZONE) {
		g->red_left_pad = align_up(word, g->align);
		size += word + g->red_left_pad;
	}
	g->size = align_up(size, g->align);
}

static gfp page_flags(const struct slub_geometry *g)
{
	gfp flags = 0;
	if (g->order)
		flags |= __GFP_COMP;
	if (g->flags & SLAB_CACHE_DMA)
		flags |= GFP_DMA;
	if (g->flags & SLAB_CACHE_DMA32)
		flags |= GFP_DMA32;
	if (g->flags & SLAB_RECLAIM_ACCOUNT)
		flags |= __GFP_RECLAIMABLE;
	return flags;
}

/* set_cpu_partial(): the larger the object, the fewer free ones a CPU may keep to itself. */
static uint32_t cpu_partial_objects(uint32_t size)
{
	if (size >= PAGE_SIZE)
		return 6;
	if (size >= 1024)
		return 24;
	return size >= 256 ? 52 : 120;
}

uint32_t slub_cpu_partial_slabs(uint32_t nr_objects, uint32_t objects_per_slab)
{
	/* Slabs are taken to be half full. */
	return (2 * nr_objects + objects_per_slab - 1) / objects_per_slab;
}

bool slub_geometry_calculate(struct slub_geometry *geometry, const struct slub_config *config, uint32_t object_size,
                             uint32_t align, uint32_t flags, bool ctor)
{
	*geometry = (struct slub_geometry){.object_size = object_size, .align = align, .flags = flags & ~SLUB_CMPXCHG_DOUBLE};
	if (object_size == 0 || object_size > KMALLOC_MAX_SIZE || align > KMALLOC_MAX_SIZE)
		return false;
	calculate_layout(geometry, config, ctor);
	if (config->debug_order_kept && get_order(geometry->size) > get_order(object_size)) {
		geometry->flags &= ~DEBUG_METADATA_FLAGS;
		calculate_layout(geometry, config, ctor);
	}
	if (geometry->size > KMALLOC_MAX_SIZE)
		return false;
	geometry->order = slub_calculate_order(config, geometry->size);
	if (geometry->order == UINT32_MAX)
		return false;
	geometry->objects = order_objects(geometry->order, geometry->size);
	geometry->min_order = get_order(geometry->size);
	geometry->min_objects = order_objects(geometry->min_order, geometry->size);
	geometry->allocflags = page_flags(geometry);
	if (!(geometry->flags & SLAB_NO_CMPXCHG))
		geometry->flags |= SLUB_CMPXCHG_DOUBLE;
	geometry->min_partial = max_of(MIN_PARTIAL, min_of(MAX_PARTIAL, highest_bit(geometry->size) / 2));
	if (config->cpu_partial && !(geometry->flags & SLUB_DEBUG_FLAGS)) {
		geometry->cpu_partial = cpu_partial_objects(geometry->size);
		geometry->cpu_partial_slabs = slub_cpu_partial_slabs(geometry->cpu_partial, geometry->objects);
	}
	return geometry->objects > 0;
}
