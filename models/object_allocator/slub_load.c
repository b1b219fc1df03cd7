/* SPDX-License-Identifier: MIT
 *
 * slub_load.c - puts a recorded state into SLUB: cpu slabs, cpu partial lists, node partial lists and full slabs with their
 * chains in order (interface: slub.h).
 *
 * What is loaded comes from a file, so every number is looked at before it is used. A slab's order is not recorded; it is that of
 * the cache, or its smallest, whichever holds so many objects.
 * MODEL: full slabs that a state only counts are taken to be of the cache's usual order; memory held is then a little high if
 * some are smaller.
 */
#include "models/object_allocator/slub_internal.h"

static bool frames_are_free(const struct slub *slub, pfn first, uint32_t order)
{
	uint32_t frames = 1u << order;
	if (first.nr >= slub->kmalloc.frames.frames || slub->kmalloc.frames.frames - first.nr < frames || first.nr % frames != 0)
		return false;
	for (uint32_t i = 0; i < frames; i++)
		if (frame_map_get(&slub->kmalloc.frames, pfn_of(first.nr + i)) != 0)
			return false;
	return true;
}

/* Chains objects that are live as yet; false if one is no object of the slab, or is chained already. */
static bool chain_up(struct slub_slab *slab, const uint16_t *chain, uint32_t length, uint16_t *head)
{
	*head = LINK_NONE;
	for (uint32_t i = length; i-- > 0;) {
		if (chain[i] >= slab->objects || slab->links[chain[i]] != LINK_LIVE)
			return false;
		slab->links[chain[i]] = *head;
		*head = chain[i];
	}
	return true;
}

static void append_cpu_partial(struct slub_cpu *c, struct slub_slab *slab)
{
	struct slub_slab **end = &c->partial;
	for (; *end; end = &(*end)->next)
		(*end)->slabs++;
	slab->slabs = 1;
	*end = slab;
}

static void enter(struct slub *slub, struct slub_slab *slab, enum slub_place place, unsigned cpu, uint16_t lockless)
{
	struct slub_cache *cache = slab->cache;
	struct slub_cpu *c = &cache->cpus[cpu];
	slab->place = (uint8_t)place;
	switch (place) {
	case SLUB_CPU:
		*c = (struct slub_cpu){.slab = slab,
		                       .links = slab->links,
		                       .address = slub_first_object(slub, slab),
		                       .partial = c->partial,
		                       .freelist = lockless};
		cache->start.cpu_slabs++;
		break;
	case SLUB_CPU_PARTIAL:
		append_cpu_partial(c, slab);
		cache->start.cpu_partial++;
		break;
	case SLUB_NODE_PARTIAL:
		slub_list_add(&cache->partial, slab, true);
		cache->start.node_partial++;
		break;
	case SLUB_FULL:
		break;
	}
	cache->start.slabs++;
}

static bool place_fits(const struct slub_cache *cache, const struct slub_loaded_slab *loaded, enum slub_place place, unsigned cpu)
{
	bool chained = loaded->chain_length > 0, on_list = place == SLUB_CPU_PARTIAL || place == SLUB_NODE_PARTIAL;
	if ((on_list && !chained) || (place == SLUB_FULL && chained) || (place != SLUB_CPU && loaded->lockless_length > 0))
		return false;
	if (place == SLUB_CPU_PARTIAL && !cache->has_cpu_partial)
		return false;
	return place != SLUB_CPU || (!cache->cpus[cpu].slab && !cache->debug);
}

bool slub_load_slab(struct slub *slub, struct slub_cache *cache, const struct slub_loaded_slab *loaded, enum slub_place place,
                    unsigned cpu, struct error *error)
{
	const struct slub_geometry *g = &cache->geometry;
	bool usual = loaded->objects == g->objects;
	uint32_t order = usual ? g->order : g->min_order;
	if (cpu >= slub->cpus)
		return error_set(error, ERROR_INPUT, "cache %s: cpu %u, but there are only %u", cache->name, cpu, slub->cpus);
	if (!usual && loaded->objects != g->min_objects)
		return error_set(error, ERROR_INPUT, "cache %s: a slab of %u objects, but they have %u or %u", cache->name,
		                 loaded->objects, g->objects, g->min_objects);
	if (!frames_are_free(slub, loaded->first, order))
		return error_set(error, ERROR_INPUT, "cache %s: no slab of order %u can lie at frame %x", cache->name, order,
		                 loaded->first.nr);
	if (!place_fits(cache, loaded, place, cpu) || loaded->inuse > loaded->objects ||
	    loaded->objects - loaded->inuse != loaded->chain_length)
		return error_set(error, ERROR_INPUT, "cache %s: the slab at frame %x has %u of %u objects in use but %u chained",
		                 cache->name, loaded->first.nr, loaded->inuse, loaded->objects, loaded->chain_length);
	struct slub_slab *slab = slub_slab_create(slub, cache, loaded->first, order, loaded->objects);
	uint16_t lockless;
	if (!chain_up(slab, loaded->chain, loaded->chain_length, &slab->freelist) ||
	    !chain_up(slab, loaded->lockless, loaded->lockless_length, &lockless)) {
		slub_slab_release(slub, slab);
		return error_set(error, ERROR_INPUT, "cache %s: the chains of the slab at frame %x name an object twice, or none",
		                 cache->name, loaded->first.nr);
	}
	slab->inuse = (uint16_t)loaded->inuse;
	enter(slub, slab, place, cpu, lockless);
	uint64_t live = (uint64_t)loaded->inuse - loaded->lockless_length;
	cache->start.objects += live;
	slub->base.live_objects += live;
	return true;
}

void slub_load_unseen(struct slub *slub, struct slub_cache *cache, uint64_t slabs, uint64_t objects)
{
	cache->start.unseen_slabs += slabs;
	cache->start.unseen_objects += objects;
	cache->nr_slabs += slabs;
	cache->total_objects += objects;
	slub->pages_slabs += slabs << cache->geometry.order;
}

bool slub_place_slab(struct object_allocator *objects, cache_id id, pfn first, const uint16_t *free_objects, uint32_t free_count)
{
	struct slub *slub = slub_of(objects);
	struct slub_cache *cache = slub->caches[id.nr];
	struct slub_loaded_slab loaded = {.first = first,
	                                  .inuse = cache->geometry.objects - free_count,
	                                  .objects = cache->geometry.objects,
	                                  .chain = free_objects,
	                                  .chain_length = free_count};
	struct error error = {0};
	if (!frames_are_free(slub, first, cache->geometry.order) || !page_adopt(slub->wiring.pages, first, cache->geometry.order))
		return false;
	bool loadable = slub_load_slab(slub, cache, &loaded, free_count ? SLUB_NODE_PARTIAL : SLUB_FULL, 0, &error);
	SIM_ASSERT(loadable);
	return loadable;
}
