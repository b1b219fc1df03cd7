/* SPDX-License-Identifier: MIT
 *
 * start_slabs.c - places the slabs of a slabinfo (interface, rule and departures: start_slabs.h).
 */
#include "models/start_slabs.h"

#include "sim/rng.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Random places that are tried before memory is searched on from where the last search ended. */
#define TRIES 64
/* No slab has more (mm/slub.c: MAX_OBJS_PER_PAGE). */
#define OBJECTS_MAX 32767u

/* With and without a constructor, reclaimable or not. */
#define VARIANTS 4u

/* One cache's share: what is to be placed. */
struct share {
	cache_id cache;
	const char *name;
	uint32_t objects, pages; /* per slab */
	uint64_t slabs, live_slabs, live;
};

struct placing {
	struct object_allocator *objects;
	struct page_allocator *pages;
	uint32_t end; /* frames below have an address */
	struct rng rng;
	uint32_t searched;          /* where the last search of this order ended, in slabs */
	uint64_t in_use[ZONES_MAX]; /* frames that may still become slabs */
	struct zone_view *zones;
	unsigned zones_count;
	uint16_t free[OBJECTS_MAX];
};

static cache_id find_cache(const struct object_allocator *objects, const char *name, struct cache_view *view)
{
	for (uint32_t nr = 0; nr < objects->ops->cache_limit(objects); nr++)
		if (objects->ops->cache_view(objects, (cache_id){nr}, view) && strcmp(view->name, name) == 0)
			return (cache_id){nr};
	return CACHE_NONE;
}

static bool same_slabs(const struct cache_view *told, const struct cache_view *have)
{
	return told->objects_per_slab == have->objects_per_slab && told->pages_per_slab == have->pages_per_slab;
}

/*
 * Makes the cache so that its slabs are the file's, which does not tell two things that SLAB's choice depends on: a constructor,
 * and whether slabs are reclaimable. It is kept apart from like caches, as the file shows it apart.
 */
static cache_id make_cache(struct object_allocator *objects, const struct cache_view *told, struct cache_view *have)
{
	for (unsigned variant = 0; variant <= VARIANTS; variant++) {
		unsigned chosen = variant % VARIANTS; /* the first again if none has the file's slabs */
		struct cache_spec spec = {.name = told->name,
		                          .object_size = told->size,
		                          .flags = SLAB_NOLEAKTRACE | (chosen & 1 ? SLAB_RECLAIM_ACCOUNT : 0),
		                          .ctor = chosen & 2};
		cache_id made = cache_create(objects, &spec);
		if (made.nr == UINT32_MAX)
			return made;
		objects->ops->cache_view(objects, made, have);
		if (variant == VARIANTS || same_slabs(told, have))
			return made;
		cache_destroy(objects, made, 0);
	}
	return CACHE_NONE;
}

static bool share_of(struct share *share, const struct cache_view *told, struct object_allocator *objects, struct error *error)
{
	struct cache_view have = {0};
	cache_id cache = find_cache(objects, told->name, &have);
	if (cache.nr == UINT32_MAX)
		cache = make_cache(objects, told, &have);
	if (cache.nr == UINT32_MAX)
		return error_set(error, ERROR_INPUT, "start: '%s' makes no cache %s of %" PRIu32 " bytes", objects->ops->name,
		                 told->name, told->size);
	*share = (struct share){.cache = cache,
	                        .name = told->name,
	                        .objects = have.objects_per_slab,
	                        .pages = have.pages_per_slab,
	                        .slabs = told->slabs,
	                        .live_slabs =
	                                told->active_slabs < told->active_objects ? told->active_slabs : told->active_objects,
	                        .live = told->active_objects};
	bool fits = same_slabs(told, &have) && told->total_objects == told->slabs * told->objects_per_slab &&
	            told->active_objects <= share->live_slabs * told->objects_per_slab;
	if (fits || share->objects == 0)
		return share->objects > 0 || told->active_objects == 0 ||
		       error_set(error, ERROR_USAGE, "start: '%s' has no slabs for cache %s", objects->ops->name, told->name);
	share->slabs = share->live_slabs = (share->live + share->objects - 1) / share->objects;
	return true;
}

/* The zone of a slab's frames, ZONES_MAX if they are not of one zone with so many frames in use. */
static unsigned zone_for(const struct placing *placing, uint32_t nr, uint32_t pages)
{
	for (unsigned i = 0; i < placing->zones_count; i++) {
		const struct zone_view *zone = &placing->zones[i];
		if (nr >= zone->start_pfn && nr + pages <= zone->start_pfn + zone->spanned)
			return placing->in_use[i] >= pages ? i : ZONES_MAX;
	}
	return ZONES_MAX;
}

static bool try_place(struct placing *placing, const struct share *share, uint32_t slot, uint32_t free_count)
{
	uint32_t nr = slot * share->pages;
	unsigned zone = zone_for(placing, nr, share->pages);
	if (zone == ZONES_MAX ||
	    !placing->objects->ops->place_slab(placing->objects, share->cache, pfn_of(nr), placing->free, free_count))
		return false;
	placing->in_use[zone] -= share->pages;
	return true;
}

static bool place_slab(struct placing *placing, const struct share *share, uint32_t free_count)
{
	uint32_t slots = placing->end / share->pages;
	for (unsigned tries = 0; slots && tries < TRIES; tries++)
		if (try_place(placing, share, rng_below(&placing->rng, slots), free_count))
			return true;
	/* Places only fill up, so what was searched in vain is not searched again. */
	for (; placing->searched < slots; placing->searched++)
		if (try_place(placing, share, placing->searched, free_count))
			return true;
	return false;
}

/* Draws which slots of a slab are free: `live` of `slots` are still to be given out over this slab and those that follow. */
static uint32_t draw_free(struct placing *placing, const struct share *share, bool has_live, uint64_t *live, uint64_t *slots)
{
	uint32_t count = 0, sure = has_live ? rng_below(&placing->rng, share->objects) : UINT32_MAX;
	for (uint32_t i = 0; i < share->objects; i++) {
		if (i == sure)
			continue;
		bool taken = has_live && rng_next(&placing->rng) % *slots < *live;
		*slots -= has_live;
		*live -= taken;
		if (!taken)
			placing->free[count++] = (uint16_t)i;
	}
	return count;
}

static bool place_cache(struct placing *placing, const struct share *share, struct error *error)
{
	uint64_t live = share->live - share->live_slabs, slots = share->live_slabs * (share->objects - 1);
	for (uint64_t slab = 0; slab < share->slabs; slab++) {
		uint32_t free_count = draw_free(placing, share, slab < share->live_slabs, &live, &slots);
		if (!place_slab(placing, share, free_count))
			return error_set(
			        error, ERROR_INPUT,
			        "start: %" PRIu64 " slabs of cache %s, %" PRIu32
			        " pages each: there are not so many frames in use; say how large the machine was (memory)",
			        share->slabs, share->name, share->pages);
	}
	return true;
}

static void look_at_zones(struct placing *placing, const struct layout *layout)
{
	const struct page_allocator_ops *ops = placing->pages->ops;
	placing->zones_count = ops->zones(placing->pages);
	placing->zones = xcalloc(placing->zones_count, sizeof *placing->zones);
	placing->end = placing->pages->end_pfn < layout->direct_map_frames ? placing->pages->end_pfn : layout->direct_map_frames;
	for (unsigned i = 0; i < placing->zones_count; i++) {
		struct zone_view *zone = &placing->zones[i];
		ops->zone_view(placing->pages, i, zone);
		placing->in_use[i] = zone->managed - zone->free_pages;
		for (unsigned cpu = 0; cpu < zone->cpus; cpu++)
			placing->in_use[i] -= zone->pcp[cpu].count;
	}
}

bool start_slabs_place(const struct procfs_slabinfo *slabs, struct object_allocator *objects,
                       const struct object_allocator_wiring *wiring, struct error *error)
{
	if (slabs->count == 0)
		return true;
	if (!objects->ops->place_slab)
		return error_set(
		        error, ERROR_USAGE,
		        "start: '%s' has no slabs, so it cannot start from a slabinfo; leave that out, or run slub or slab",
		        objects->ops->name);
	struct placing *placing = xcalloc(1, sizeof *placing);
	struct share *shares = xcalloc(slabs->count, sizeof *shares);
	placing->objects = objects;
	placing->pages = wiring->pages;
	look_at_zones(placing, wiring->layout);
	rng_init(&placing->rng, wiring->seed, "start slabs");
	bool placed = true;
	for (size_t i = 0; placed && i < slabs->count; i++)
		placed = share_of(&shares[i], &slabs->at[i], objects, error);
	for (uint32_t pages = 1u << (ORDERS - 1); placed && pages > 0; pages /= 2) {
		placing->searched = 0;
		for (size_t i = 0; placed && i < slabs->count; i++)
			if (shares[i].pages == pages)
				placed = place_cache(placing, &shares[i], error);
	}
	free(placing->zones);
	free(placing);
	free(shares);
	return placed;
}
