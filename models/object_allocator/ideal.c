/* SPDX-License-Identifier: MIT
 *
 * ideal.c - the object allocator that has no rules to obey: the bound that the kernel's allocators are held against.
 *
 * Interface: object_allocator_ideal_ops (sim/port/object_allocator.h). Each cache packs its objects, rounded up to 8 bytes and to
 * the alignment asked for, into single pages; an object above a page is a block of the page allocator. The lowest free place of
 * the page that last had one freed is taken; a page whose last object is freed is given back at once. kmalloc has a cache for
 * each multiple of 8 bytes up to a page and for each order of blocks above. No per-CPU lists, no colouring, no page kept back, no
 * memory for descriptors.
 *
 * MODEL: no kernel has it. SLAB_HWCACHE_ALIGN and the debugging flags, which cost space, are not followed.
 *
 * Invariants: a slab is on its cache's list exactly if it has a free place; the bits of its used places are its live objects;
 * no slab is empty.
 */
#include "models/kernel_code.h"
#include "models/object_allocator/frame_map.h"

#include "models/settings.h"
#include "sim/metric.h"
#include "sim/port/object_allocator.h"

#include <stdlib.h>
#include <string.h>

#define ALIGN_MIN 8u
#define PLACES_MAX (PAGE_SIZE / ALIGN_MIN)
#define BITS 64u
#define WORDS (PLACES_MAX / BITS)
/* Caches of kmalloc: by size / 8 up to a page, then one for each order above. */
#define SIZE_CLASSES (PAGE_SIZE / ALIGN_MIN + ORDERS)

/* The largest block of the page allocator. */
#define SIZE_MAX_BYTES (PAGE_SIZE << (ORDERS - 1))

struct ideal_cache {
	char *name; /* NULL: the id is not in use */
	uint32_t object_size, size, align, flags;
	bool kmalloc, large; /* made by kmalloc; above a page */
	uint32_t places;     /* objects in a slab */
	uint32_t with_room;  /* slabs with a free place: number + 1 of the first, 0 = none */
	uint64_t live, slabs;
};

/* One page of objects, or a block that is one object; a block's tail frames hold no start of an object. */
struct ideal_slab {
	cache_id cache;
	pfn first; /* PFN_NONE: not in use */
	uint32_t order;
	uint32_t live;
	uint32_t prev, next;  /* number + 1; `next` also chains unused entries */
	uint64_t used[WORDS]; /* by place; places that are not there count as used */
};

struct ideal_counters {
	uint64_t objects_allocated, objects_freed, slab_requests, slabs_created, slabs_freed, slab_failures;
};

static const struct metric ideal_metrics[] = {
        METRIC(struct ideal_counters, objects_allocated, "1", "Objects handed out"),
        METRIC(struct ideal_counters, objects_freed, "1", "Objects given back"),
        METRIC(struct ideal_counters, slab_requests, "1", "Blocks asked of the page allocator"),
        METRIC(struct ideal_counters, slabs_created, "1", "Of them, got"),
        METRIC(struct ideal_counters, slab_failures, "1", "Of them, refused"),
        METRIC(struct ideal_counters, slabs_freed, "1", "Blocks given back because their last object was freed"),
        METRIC_END};

struct ideal {
	struct object_allocator base;
	struct object_allocator_wiring wiring;
	struct frame_map frames; /* number + 1 of the slab that begins in a frame */
	struct ideal_cache *caches;
	uint32_t caches_used, caches_capacity;
	struct ideal_slab *slabs;
	uint32_t slabs_used, slabs_capacity, slabs_unused; /* the last: number + 1 */
	cache_id size_class[SIZE_CLASSES];                 /* made when first asked for */
	uint64_t pages, pages_large;
	struct ideal_counters counters;
};

static struct ideal *ideal_of(struct object_allocator *objects)
{
	return (struct ideal *)objects;
}

static const struct ideal *ideal_const(const struct object_allocator *objects)
{
	return (const struct ideal *)objects;
}

static unsigned order_of(uint32_t bytes)
{
	unsigned order = 0;
	while ((uint64_t)PAGE_SIZE << order < bytes)
		order++;
	return order;
}

/* ---- caches ---- */

static cache_id make_cache(struct ideal *ideal, const struct cache_spec *spec, bool kmalloc)
{
	uint32_t align = spec->align > ALIGN_MIN ? spec->align : ALIGN_MIN;
	if (spec->object_size == 0 || spec->object_size > SIZE_MAX_BYTES || align > SIZE_MAX_BYTES)
		return CACHE_NONE;
	uint32_t size = (spec->object_size + align - 1) & ~(align - 1), nr = 0;
	while (nr < ideal->caches_used && ideal->caches[nr].name)
		nr++;
	if (nr == ideal->caches_capacity) {
		ideal->caches_capacity = nr ? 2 * nr : 64;
		ideal->caches = xrealloc(ideal->caches, ideal->caches_capacity * sizeof *ideal->caches);
	}
	ideal->caches_used += nr == ideal->caches_used;
	ideal->caches[nr] = (struct ideal_cache){
	        .name = xstrdup(spec->name),
	        .object_size = spec->object_size,
	        .size = size,
	        .align = align,
	        .flags = spec->flags,
	        .kmalloc = kmalloc,
	        .large = kmalloc && size > PAGE_SIZE,
	        .places = size < PAGE_SIZE ? PAGE_SIZE / size : 1,
	};
	return (cache_id){nr};
}

static cache_id ideal_cache_create(struct object_allocator *objects, const struct cache_spec *spec)
{
	return make_cache(ideal_of(objects), spec, false);
}

static struct ideal_cache *cache_of(const struct ideal *ideal, cache_id cache)
{
	SIM_ASSERT(cache.nr < ideal->caches_used && ideal->caches[cache.nr].name);
	return &ideal->caches[cache.nr];
}

static bool ideal_cache_destroy(struct object_allocator *objects, cache_id id, unsigned cpu)
{
	(void)cpu;
	struct ideal_cache *cache = cache_of(ideal_of(objects), id);
	if (cache->live || cache->kmalloc)
		return false;
	free(cache->name);
	*cache = (struct ideal_cache){0};
	return true;
}

static void ideal_cache_shrink(struct object_allocator *objects, cache_id cache, unsigned cpu)
{
	(void)cpu;
	cache_of(ideal_of(objects), cache);
}

/* ---- slabs ---- */

static void enter_list(struct ideal *ideal, struct ideal_cache *cache, uint32_t nr)
{
	struct ideal_slab *slab = &ideal->slabs[nr];
	slab->prev = 0;
	slab->next = cache->with_room;
	if (slab->next)
		ideal->slabs[slab->next - 1].prev = nr + 1;
	cache->with_room = nr + 1;
}

static void leave_list(struct ideal *ideal, struct ideal_cache *cache, uint32_t nr)
{
	struct ideal_slab *slab = &ideal->slabs[nr];
	if (slab->prev)
		ideal->slabs[slab->prev - 1].next = slab->next;
	else
		cache->with_room = slab->next;
	if (slab->next)
		ideal->slabs[slab->next - 1].prev = slab->prev;
}

static uint32_t take_entry(struct ideal *ideal)
{
	uint32_t entry = ideal->slabs_unused;
	if (entry) {
		ideal->slabs_unused = ideal->slabs[entry - 1].next;
		return entry - 1;
	}
	if (ideal->slabs_used == ideal->slabs_capacity) {
		ideal->slabs_capacity = ideal->slabs_capacity ? 2 * ideal->slabs_capacity : 64;
		ideal->slabs = xrealloc(ideal->slabs, ideal->slabs_capacity * sizeof *ideal->slabs);
	}
	return ideal->slabs_used++;
}

/* Gets a fresh slab for a cache that has none with room. false: no memory. */
static bool grow(struct ideal *ideal, cache_id id, gfp flags, unsigned cpu)
{
	struct ideal_cache *cache = &ideal->caches[id.nr];
	unsigned order = order_of(cache->size);
	step_run(ideal->wiring.steps, CODE_SLUB_NEW_SLAB, ideal->wiring.settings->cost.slub_new_slab);
	ideal->counters.slab_requests++;
	pfn first = page_alloc(ideal->wiring.pages, order, (flags & ~(gfp)__GFP_ZERO) | (order ? __GFP_COMP : 0), cpu);
	if (first.nr == UINT32_MAX) {
		ideal->counters.slab_failures++;
		return false;
	}
	uint32_t nr = take_entry(ideal);
	struct ideal_slab *slab = &ideal->slabs[nr];
	*slab = (struct ideal_slab){.cache = id, .first = first, .order = order};
	memset(slab->used, 0xff, sizeof slab->used);
	memset(slab->used, 0, cache->places / BITS * sizeof *slab->used);
	if (cache->places % BITS)
		slab->used[cache->places / BITS] = ~0ull << cache->places % BITS;
	frame_map_set(&ideal->frames, first, 1, nr + 1);
	ideal->counters.slabs_created++;
	ideal->pages += 1ull << order;
	ideal->pages_large += cache->large ? 1ull << order : 0;
	cache->slabs++;
	enter_list(ideal, cache, nr);
	return true;
}

/* The slab is empty and on no list. */
static void free_slab(struct ideal *ideal, uint32_t nr, unsigned cpu)
{
	struct ideal_slab *slab = &ideal->slabs[nr];
	struct ideal_cache *cache = &ideal->caches[slab->cache.nr];
	pfn first = slab->first;
	step_run(ideal->wiring.steps, CODE_SLUB_DISCARD, ideal->wiring.settings->cost.slub_discard);
	frame_map_set(&ideal->frames, first, 1, 0);
	ideal->counters.slabs_freed++;
	ideal->pages -= 1ull << slab->order;
	ideal->pages_large -= cache->large ? 1ull << slab->order : 0;
	cache->slabs--;
	slab->first = PFN_NONE;
	slab->next = ideal->slabs_unused;
	ideal->slabs_unused = nr + 1;
	enum page_free_result result = page_free(ideal->wiring.pages, first, slab->order, cpu);
	SIM_ASSERT(result == PAGE_FREE_OK);
}

/* Marks the lowest free place as used and returns it. There is one. */
static uint32_t take_place(struct ideal_slab *slab)
{
	uint32_t word = 0;
	while (!~slab->used[word])
		word++;
	SIM_ASSERT(word < WORDS);
	uint32_t bit = (uint32_t)__builtin_ctzll(~slab->used[word]);
	slab->used[word] |= 1ull << bit;
	slab->live++;
	return word * BITS + bit;
}

/* ---- objects ---- */

static void touch(const struct ideal *ideal, const struct ideal_slab *slab)
{
	if (ideal->wiring.steps->recording)
		step_write(ideal->wiring.steps, layout_struct_page(ideal->wiring.layout, slab->first), ALIGN_MIN);
}

static struct object ideal_alloc(struct object_allocator *objects, cache_id id, gfp flags, unsigned cpu)
{
	struct ideal *ideal = ideal_of(objects);
	struct ideal_cache *cache = cache_of(ideal, id);
	struct object object = {.bytes_alloc = cache->size, .cache = id};
	step_run(ideal->wiring.steps, CODE_SLUB_ALLOC, ideal->wiring.settings->cost.slub_alloc);
	if (!cache->with_room && !grow(ideal, id, flags, cpu))
		return object;
	uint32_t nr = cache->with_room - 1;
	struct ideal_slab *slab = &ideal->slabs[nr];
	uint32_t place = take_place(slab);
	if (slab->live == cache->places)
		leave_list(ideal, cache, nr);
	cache->live++;
	ideal->counters.objects_allocated++;
	object.at = vaddr_of(layout_page_address(ideal->wiring.layout, slab->first).addr + (uint64_t)place * cache->size);
	touch(ideal, slab);
	if (flags & __GFP_ZERO)
		step_write(ideal->wiring.steps, object.at, cache->object_size);
	return object;
}

/* As in the kernel, a size that is a power of two is aligned to itself, and beyond 4 MiB there is nothing. */
static struct object ideal_kmalloc(struct object_allocator *objects, uint32_t size, gfp flags, unsigned cpu)
{
	struct ideal *ideal = ideal_of(objects);
	if (size == 0)
		return (struct object){.at = ZERO_SIZE_PTR, .cache = CACHE_NONE};
	if (size > SIZE_MAX_BYTES)
		return (struct object){.bytes_alloc = size, .cache = CACHE_NONE};
	uint32_t class = size <= PAGE_SIZE ? (size + ALIGN_MIN - 1) / ALIGN_MIN : PAGE_SIZE / ALIGN_MIN + order_of(size);
	if (ideal->size_class[class].nr == UINT32_MAX) {
		uint32_t bytes = size <= PAGE_SIZE ? class * ALIGN_MIN : PAGE_SIZE << order_of(size);
		char *name = xasprintf("kmalloc-%u", bytes);
		struct cache_spec spec = {.name = name, .object_size = bytes, .align = (bytes & (bytes - 1)) == 0 ? bytes : 0};
		ideal->size_class[class] = make_cache(ideal, &spec, true);
		free(name);
	}
	struct object object = ideal_alloc(objects, ideal->size_class[class], flags, cpu);
	if (size > PAGE_SIZE)
		object.cache = CACHE_NONE;
	return object;
}

/* What is at an address: the slab and the place in it, or why there is nothing. */
static enum object_free_result find(const struct ideal *ideal, vaddr at, uint32_t *slab_nr, uint32_t *place)
{
	uint32_t entry = frame_map_get(&ideal->frames, layout_pfn_of(ideal->wiring.layout, at));
	uint32_t offset = (uint32_t)(at.addr & (PAGE_SIZE - 1));
	if (!entry)
		return OBJECT_FREE_NOT_OBJECT;
	const struct ideal_slab *slab = &ideal->slabs[entry - 1];
	const struct ideal_cache *cache = &ideal->caches[slab->cache.nr];
	*slab_nr = entry - 1;
	*place = offset / cache->size;
	if (offset % cache->size || *place >= cache->places)
		return OBJECT_FREE_NOT_OBJECT;
	return slab->used[*place / BITS] >> *place % BITS & 1 ? OBJECT_FREE_OK : OBJECT_FREE_NOT_ALLOCATED;
}

static void free_place(struct ideal *ideal, uint32_t nr, uint32_t place, unsigned cpu)
{
	struct ideal_slab *slab = &ideal->slabs[nr];
	step_run(ideal->wiring.steps, CODE_SLUB_FREE, ideal->wiring.settings->cost.slub_free);
	touch(ideal, slab);
	slab->used[place / BITS] &= ~(1ull << place % BITS);
	slab->live--;
	ideal->counters.objects_freed++;
	struct ideal_cache *cache = &ideal->caches[slab->cache.nr];
	cache->live--;
	bool was_full = slab->live + 1 == cache->places;
	if (slab->live == 0) {
		if (!was_full)
			leave_list(ideal, cache, nr);
		free_slab(ideal, nr, cpu);
	} else if (was_full) {
		enter_list(ideal, cache, nr);
	}
}

static enum object_free_result ideal_free(struct object_allocator *objects, cache_id cache, vaddr at, unsigned cpu)
{
	struct ideal *ideal = ideal_of(objects);
	uint32_t nr, place;
	enum object_free_result result = find(ideal, at, &nr, &place);
	if (result != OBJECT_FREE_OK)
		return result;
	if (ideal->slabs[nr].cache.nr != cache.nr)
		return OBJECT_FREE_WRONG_CACHE;
	free_place(ideal, nr, place, cpu);
	return OBJECT_FREE_OK;
}

static enum object_free_result ideal_kfree(struct object_allocator *objects, vaddr at, unsigned cpu)
{
	struct ideal *ideal = ideal_of(objects);
	uint32_t nr, place;
	if (at.addr <= ZERO_SIZE_PTR.addr)
		return OBJECT_FREE_OK;
	enum object_free_result result = find(ideal, at, &nr, &place);
	if (result == OBJECT_FREE_OK)
		free_place(ideal, nr, place, cpu);
	return result;
}

static uint32_t ideal_ksize(const struct object_allocator *objects, vaddr at)
{
	const struct ideal *ideal = ideal_const(objects);
	uint32_t nr, place;
	if (find(ideal, at, &nr, &place) != OBJECT_FREE_OK)
		return 0;
	return ideal->caches[ideal->slabs[nr].cache.nr].size;
}

/* ---- views ---- */

static uint32_t ideal_cache_limit(const struct object_allocator *objects)
{
	return ideal_const(objects)->caches_used;
}

static bool ideal_cache_view(const struct object_allocator *objects, cache_id id, struct cache_view *view)
{
	const struct ideal *ideal = ideal_const(objects);
	if (id.nr >= ideal->caches_used || !ideal->caches[id.nr].name)
		return false;
	const struct ideal_cache *cache = &ideal->caches[id.nr];
	*view = (struct cache_view){
	        .name = cache->name,
	        .object_size = cache->object_size,
	        .size = cache->size,
	        .align = cache->align,
	        .flags = cache->flags,
	        .objects_per_slab = cache->places,
	        .pages_per_slab = 1u << order_of(cache->size),
	        .active_objects = cache->live,
	        .total_objects = cache->slabs * cache->places,
	        .active_slabs = cache->slabs,
	        .slabs = cache->slabs,
	        .live_objects = cache->live,
	        .kmalloc = cache->kmalloc,
	};
	return true;
}

static uint64_t ideal_pages_held(const struct object_allocator *objects)
{
	return ideal_const(objects)->pages;
}

static uint64_t ideal_pages_large(const struct object_allocator *objects)
{
	return ideal_const(objects)->pages_large;
}

static const void *ideal_counters(const struct object_allocator *objects)
{
	return &ideal_const(objects)->counters;
}

/* ---- check ---- */

static void check_slab(const struct ideal *ideal, const struct ideal_slab *slab, uint32_t entry)
{
	uint32_t places = ideal->caches[slab->cache.nr].places, used = 0;
	for (uint32_t word = 0; word < WORDS; word++)
		used += (uint32_t)__builtin_popcountll(slab->used[word]);
	SIM_ASSERT(used == PLACES_MAX - places + slab->live && slab->live > 0);
	SIM_ASSERT(frame_map_get(&ideal->frames, slab->first) == entry);
}

/* Slabs of the cache that are on its list; each has room. */
static uint64_t check_list(const struct ideal *ideal, uint32_t cache)
{
	uint64_t count = 0;
	uint32_t prev = 0;
	for (uint32_t entry = ideal->caches[cache].with_room; entry; prev = entry, entry = ideal->slabs[entry - 1].next) {
		const struct ideal_slab *slab = &ideal->slabs[entry - 1];
		SIM_ASSERT(slab->cache.nr == cache && slab->prev == prev && slab->live < ideal->caches[cache].places);
		count++;
		SIM_ASSERT(count <= ideal->slabs_used);
	}
	return count;
}

static void ideal_check(const struct object_allocator *objects)
{
	const struct ideal *ideal = ideal_const(objects);
	struct sums {
		uint64_t live, slabs, with_room;
	} *sums = xcalloc(ideal->caches_used, sizeof *sums);
	uint64_t slabs = 0, live = 0, pages = 0, pages_large = 0;
	for (uint32_t nr = 0; nr < ideal->slabs_used; nr++) {
		const struct ideal_slab *slab = &ideal->slabs[nr];
		if (slab->first.nr == UINT32_MAX)
			continue;
		check_slab(ideal, slab, nr + 1);
		slabs++;
		live += slab->live;
		pages += 1ull << slab->order;
		pages_large += ideal->caches[slab->cache.nr].large ? 1ull << slab->order : 0;
		sums[slab->cache.nr].live += slab->live;
		sums[slab->cache.nr].slabs++;
		sums[slab->cache.nr].with_room += slab->live < ideal->caches[slab->cache.nr].places;
	}
	for (uint32_t nr = 0; nr < ideal->caches_used; nr++) {
		const struct ideal_cache *cache = &ideal->caches[nr];
		SIM_ASSERT(cache->live == sums[nr].live && cache->slabs == sums[nr].slabs);
		SIM_ASSERT(check_list(ideal, nr) == sums[nr].with_room);
	}
	free(sums);
	const struct ideal_counters *count = &ideal->counters;
	SIM_ASSERT(pages == ideal->pages && pages_large == ideal->pages_large);
	SIM_ASSERT(live == objects->live_objects && live == count->objects_allocated - count->objects_freed);
	SIM_ASSERT(slabs == count->slabs_created - count->slabs_freed);
	SIM_ASSERT(count->slab_requests == count->slabs_created + count->slab_failures);
}

/* ---- making and ending ---- */

static void ideal_destroy(struct object_allocator *objects)
{
	struct ideal *ideal = ideal_of(objects);
	for (uint32_t nr = 0; nr < ideal->caches_used; nr++)
		free(ideal->caches[nr].name);
	free(ideal->caches);
	free(ideal->slabs);
	frame_map_release(&ideal->frames);
	free(ideal);
}

const struct object_allocator_ops object_allocator_ideal_ops = {
        .name = "ideal",
        .help = "The bound: objects packed by cache, every empty page given back at once, nothing kept in store",
        .cache_create = ideal_cache_create,
        .cache_destroy = ideal_cache_destroy,
        .cache_shrink = ideal_cache_shrink,
        .alloc = ideal_alloc,
        .free = ideal_free,
        .kmalloc = ideal_kmalloc,
        .kfree = ideal_kfree,
        .ksize = ideal_ksize,
        .cache_limit = ideal_cache_limit,
        .cache_view = ideal_cache_view,
        .pages_held = ideal_pages_held,
        .pages_large = ideal_pages_large,
        .check = ideal_check,
        .metrics = ideal_metrics,
        .counters = ideal_counters,
        .destroy = ideal_destroy,
};

struct object_allocator *object_allocator_ideal_create(const struct object_allocator_wiring *wiring, struct error *error);

struct object_allocator *object_allocator_ideal_create(const struct object_allocator_wiring *wiring, struct error *error)
{
	(void)error;
	struct ideal *ideal = xcalloc(1, sizeof *ideal);
	ideal->base.ops = &object_allocator_ideal_ops;
	ideal->wiring = *wiring;
	frame_map_init(&ideal->frames, wiring->pages->end_pfn);
	for (uint32_t class = 0; class < SIZE_CLASSES; class ++)
		ideal->size_class[class] = CACHE_NONE;
	return &ideal->base;
}
