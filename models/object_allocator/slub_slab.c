/* SPDX-License-Identifier: MIT
 *
 * slub_slab.c - slabs coming and going: their descriptors, their links, their frames (interface: slub.h, slub_internal.h).
 *
 * Descriptors are numbered densely; a given-back number is the next to be used. The array of descriptors is as long as there
 * are frames, but only the part that was ever used costs host memory. Links come from chunks cut into blocks of 2^n.
 *
 * Source: Linux 6.1 mm/slub.c (allocate_slab, new_slab, shuffle_freelist, next_freelist_entry, discard_slab, __free_slab).
 */
#include "models/kernel_code.h"
#include "models/object_allocator/slub_internal.h"
#include "models/object_allocator/slub_steps.h"

#include <stdlib.h>
#include <string.h>

/* The gfp flags of an allocation that reach the page allocator (GFP_RECLAIM_MASK | GFP_CONSTRAINT_MASK of mm/internal.h). */
#define SLAB_PAGE_FLAGS \
	(__GFP_RECLAIM | __GFP_HIGH | __GFP_IO | __GFP_FS | __GFP_NOWARN | __GFP_RETRY_MAYFAIL | __GFP_NOFAIL | __GFP_NORETRY | \
	 __GFP_MEMALLOC | __GFP_NOMEMALLOC | __GFP_ATOMIC | __GFP_HARDWALL | __GFP_THISNODE)

/* Links in one chunk; the largest block is a whole chunk. */
#define CHUNK_LINKS (1u << (SLUB_LINK_CLASSES - 1))
/* The smallest block still holds the pointer that chains unused blocks. */
#define SMALLEST_CLASS 2u

struct slub_link_chunk {
	struct slub_link_chunk *next;
	uint16_t links[CHUNK_LINKS];
};

static unsigned link_class(uint32_t objects)
{
	if (objects <= 1u << SMALLEST_CLASS)
		return SMALLEST_CLASS;
	return 32 - (unsigned)__builtin_clz(objects - 1);
}

static uint16_t *links_take(struct slub_link_pool *pool, uint32_t objects)
{
	unsigned class = link_class(objects);
	SIM_ASSERT(class < SLUB_LINK_CLASSES);
	uint16_t *block = pool->unused[class];
	if (block) {
		memcpy(&pool->unused[class], block, sizeof(uint16_t *));
		return block;
	}
	size_t links = (size_t)1 << class;
	if (!pool->chunks || pool->chunk_used + links > CHUNK_LINKS) {
		struct slub_link_chunk *chunk = xcalloc(1, sizeof *chunk);
		chunk->next = pool->chunks;
		pool->chunks = chunk;
		pool->chunk_used = 0;
	}
	block = pool->chunks->links + pool->chunk_used;
	pool->chunk_used += links;
	return block;
}

static void links_give(struct slub_link_pool *pool, uint16_t *block, uint32_t objects)
{
	unsigned class = link_class(objects);
	memcpy(block, &pool->unused[class], sizeof(uint16_t *));
	pool->unused[class] = block;
}

void slub_links_release(struct slub_link_pool *pool)
{
	while (pool->chunks) {
		struct slub_link_chunk *chunk = pool->chunks;
		pool->chunks = chunk->next;
		free(chunk);
	}
}

void slub_list_add(struct slub_list *list, struct slub_slab *slab, bool tail)
{
	slab->prev = tail ? list->tail : NULL;
	slab->next = tail ? NULL : list->head;
	*(slab->prev ? &slab->prev->next : &list->head) = slab;
	*(slab->next ? &slab->next->prev : &list->tail) = slab;
	list->nr++;
}

void slub_list_remove(struct slub_list *list, struct slub_slab *slab)
{
	*(slab->prev ? &slab->prev->next : &list->head) = slab->next;
	*(slab->next ? &slab->next->prev : &list->tail) = slab->prev;
	slab->prev = slab->next = NULL;
	list->nr--;
}

void slub_add_partial(struct slub *slub, struct slub_slab *slab, bool tail)
{
	slab->place = SLUB_NODE_PARTIAL;
	slub_list_add(&slab->cache->partial, slab, tail);
	slub_touch_add(slub, slab, tail);
}

void slub_remove_partial(struct slub *slub, struct slub_slab *slab)
{
	slub_touch_remove(slub, slab);
	slub_list_remove(&slab->cache->partial, slab);
	slab->place = SLUB_FULL;
}

static struct slub_slab *descriptor_take(struct slub *slub)
{
	struct slub_slab *slab = slub->slab_unused;
	if (slab)
		slub->slab_unused = slab->next;
	else
		slab = &slub->slabs[slub->slab_limit++];
	SIM_ASSERT(slub->slab_limit <= slub->kmalloc.frames.frames);
	return slab;
}

struct slub_slab *slub_slab_create(struct slub *slub, struct slub_cache *cache, pfn first, uint32_t order, uint32_t objects)
{
	struct slub_slab *slab = descriptor_take(slub);
	*slab = (struct slub_slab){
	        .cache = cache,
	        .links = links_take(&slub->links, objects),
	        .first = first,
	        .inuse = (uint16_t)objects,
	        .objects = (uint16_t)objects,
	        .freelist = LINK_NONE,
	        .order = (uint8_t)order,
	        .place = SLUB_FULL,
	};
	for (uint32_t i = 0; i < objects; i++)
		slab->links[i] = LINK_LIVE;
	frame_map_set(&slub->kmalloc.frames, first, 1u << order, (uint32_t)(slab - slub->slabs) + 1);
	cache->nr_slabs++;
	cache->total_objects += objects;
	slub->pages_slabs += 1ull << order;
	return slab;
}

void slub_slab_release(struct slub *slub, struct slub_slab *slab)
{
	struct slub_cache *cache = slab->cache;
	cache->nr_slabs--;
	cache->total_objects -= slab->objects;
	slub->pages_slabs -= 1ull << slab->order;
	frame_map_set(&slub->kmalloc.frames, slab->first, 1u << slab->order, 0);
	links_give(&slub->links, slab->links, slab->objects);
	*slab = (struct slub_slab){.next = slub->slab_unused};
	slub->slab_unused = slab;
}

/* Asks for a slab of the wished order without trying hard, then for the smallest that holds one object. */
static pfn allocate_frames(struct slub *slub, struct slub_cache *cache, gfp flags, unsigned cpu, uint32_t *order)
{
	const struct slub_geometry *g = &cache->geometry;
	gfp page_flags = (flags & SLAB_PAGE_FLAGS) | g->allocflags;
	gfp light = (page_flags | __GFP_NOWARN | __GFP_NORETRY) & ~(gfp)__GFP_NOFAIL;
	if (light & __GFP_DIRECT_RECLAIM && g->order > g->min_order)
		light = (light | __GFP_NOMEMALLOC) & ~(gfp)__GFP_RECLAIM;
	*order = g->order;
	pfn first = page_alloc(slub->wiring.pages, g->order, light, cpu);
	if (first.nr != UINT32_MAX)
		return first;
	*order = g->min_order;
	first = page_alloc(slub->wiring.pages, g->min_order, page_flags, cpu);
	if (first.nr != UINT32_MAX)
		cache->counters.order_fallback++;
	return first;
}

/*
 * Chains all objects in the order of the cache's sequence, from a random place of it on. A slab of the smallest order has fewer
 * objects than the sequence: the others are passed over.
 */
static void chain_shuffled(struct slub *slub, struct slub_slab *slab)
{
	const struct slub_cache *cache = slab->cache;
	uint32_t count = cache->geometry.objects, position = rng_below(&slub->freelist_rng, count);
	uint16_t *end = &slab->freelist;
	for (uint32_t chained = 0; chained < slab->objects; position = position + 1 < count ? position + 1 : 0) {
		uint16_t index = cache->random_seq[position];
		if (index >= slab->objects)
			continue;
		*end = index;
		end = &slab->links[index];
		chained++;
	}
	*end = LINK_NONE;
	slab->inuse = 0;
}

/* Chains all objects in address order. */
static void chain_all(struct slub_slab *slab)
{
	for (uint32_t i = 0; i < slab->objects; i++)
		slab->links[i] = (uint16_t)(i + 1);
	slab->links[slab->objects - 1] = LINK_NONE;
	slab->freelist = 0;
	slab->inuse = 0;
}

void slub_touch_init(const struct slub *slub, const struct slub_cache *cache, gfp flags, uint64_t object)
{
	bool zero = flags & __GFP_ZERO;
	if (slub->wiring.settings->kernel.init_on_alloc) {
		slub_read_field(slub, cache, CACHE_CTOR);
		if (!cache->ctor)
			slub_read_field(slub, cache, CACHE_FLAGS);
		if (cache->ctor)
			zero = false;
		else if (!(cache->geometry.flags & (SLAB_TYPESAFE_BY_RCU | SLAB_POISON)))
			zero = true;
	}
	if (!zero || !object)
		return;
	slub_read_field(slub, cache, CACHE_OBJECT_SIZE);
	step_write(slub_steps(slub), vaddr_of(object), cache->geometry.object_size);
}

void slub_touch_node_stat(const struct slub *slub, unsigned cpu)
{
	vaddr at = vaddr_of(layout_per_cpu(slub->wiring.layout, slub->node_stat_offset, cpu).addr + NODESTAT_SLAB_OFFSET);
	step_update(slub_steps(slub), at, 1);
}

/* setup_object(): a constructor writes the object, debugging its patterns. */
static void touch_setup_object(const struct slub *slub, const struct slub_slab *slab, uint16_t index)
{
	const struct slub_geometry *g = &slab->cache->geometry;
	vaddr object = vaddr_of(slub_first_object(slub, slab) + (uint64_t)index * g->size);
	slub_read_field(slub, slab->cache, CACHE_CTOR);
	if (slab->cache->ctor || g->flags & (SLAB_RED_ZONE | SLAB_STORE_USER | SLUB_OBJECT_POISON))
		step_write(slub_steps(slub), object, g->object_size);
}

/*
 * allocate_slab() behind the page allocator: the page becomes a slab, then its objects are chained, in the chain's order; each
 * pointer is written when the object behind it has been set up.
 */
static void touch_fresh_slab(const struct slub *slub, const struct slub_slab *slab, unsigned cpu)
{
	struct steps *steps = slub_steps(slub);
	if (!steps->recording)
		return;
	const struct slub_geometry *g = &slab->cache->geometry;
	step_run(steps, CODE_SLUB_NEW_SLAB, slub->wiring.settings->cost.slub_new_slab);
	step_path(steps, PATH_PAGES);
	slub_update_slab(slub, slab, SLAB_FLAGS_WORD);
	slub_read_slab(slub, slab, SLAB_LIST_WORD);
	slub_update_slab(slub, slab, SLAB_COUNTERS_WORD);
	slub_touch_node_stat(slub, cpu);
	slub_write_slab(slub, slab, SLAB_CACHE_WORD);
	if (g->flags & SLAB_POISON)
		step_write(steps, layout_page_address(slub->wiring.layout, slab->first), PAGE_SIZE << slab->order);
	slub_read_field(slub, slab->cache, CACHE_RANDOM_SEQ);
	touch_setup_object(slub, slab, slab->freelist);
	slub_write_slab(slub, slab, SLAB_FREELIST_WORD);
	for (uint16_t i = slab->freelist; i != LINK_NONE; i = slab->links[i]) {
		if (slab->links[i] != LINK_NONE)
			touch_setup_object(slub, slab, slab->links[i]);
		slub_write_pointer(slub, slab, i);
	}
	step_spend(steps, slub->wiring.settings->cost.slub_setup_object * slab->objects);
}

struct slub_slab *slub_new_slab(struct slub *slub, struct slub_cache *cache, gfp flags, unsigned cpu)
{
	uint32_t order;
	slub_read_field(slub, cache, CACHE_OO);
	slub_read_field(slub, cache, CACHE_ALLOCFLAGS);
	pfn first = allocate_frames(slub, cache, flags, cpu, &order);
	if (first.nr == UINT32_MAX)
		return NULL;
	const struct slub_geometry *g = &cache->geometry;
	uint32_t objects = order == g->order ? g->objects : g->min_objects;
	struct slub_slab *slab = slub_slab_create(slub, cache, first, order, objects);
	if (cache->random_seq && objects > 1)
		chain_shuffled(slub, slab);
	else
		chain_all(slab);
	touch_fresh_slab(slub, slab, cpu);
	cache->counters.alloc_slab++;
	return slab;
}

/* discard_slab(), free_slab(), __free_slab() up to the page allocator: the page is no slab any more. */
static void touch_discard(const struct slub *slub, const struct slub_slab *slab, unsigned cpu)
{
	step_run(slub_steps(slub), CODE_SLUB_DISCARD, slub->wiring.settings->cost.slub_discard);
	step_path(slub_steps(slub), PATH_PAGES);
	slub_read_slab(slub, slab, SLAB_COUNTERS_WORD);
	slub_touch_nr_slabs(slub, slab);
	slub_read_field(slub, slab->cache, CACHE_FLAGS);
	slub_read_slab(slub, slab, SLAB_FLAGS_WORD);
	if (slab->order > 0) /* folio_order(): compound_order, in the second struct page */
		step_read(slub_steps(slub),
		          vaddr_of(layout_struct_page(slub->wiring.layout, pfn_of(slab->first.nr + 1)).addr +
		                   slub_words(slub, SLAB_SLABS_WORD) + 1),
		          1);
	slub_update_slab(slub, slab, SLAB_FLAGS_WORD);
	slub_write_slab(slub, slab, SLAB_CACHE_WORD);
	slub_touch_node_stat(slub, cpu);
}

/* MODEL: slabs of SLAB_TYPESAFE_BY_RCU caches go back at once, without the grace period; their frames are free a little early. */
void slub_discard_slab(struct slub *slub, struct slub_slab *slab, unsigned cpu)
{
	SIM_ASSERT(slab->inuse == 0);
	pfn first = slab->first;
	uint32_t order = slab->order;
	touch_discard(slub, slab, cpu);
	slub_slab_release(slub, slab);
	enum page_free_result result = page_free(slub->wiring.pages, first, order, cpu);
	SIM_ASSERT(result == PAGE_FREE_OK);
}
