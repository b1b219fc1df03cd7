/* SPDX-License-Identifier: MIT
 *
 * slob.c - SLOB, Linux 6.1's simple list of blocks: every object, of whatever cache, is a run of bytes in one heap.
 *
 * Interface: object_allocator_slob_ops (sim/port/object_allocator.h); slob.h to look at its lists and to load a recorded state.
 * Parts: this file knows who owns what (caches, kmalloc, whole pages); slob_heap.c places runs in pages.
 *
 * Algorithm, after mm/slob.c (__do_kmalloc_node, kfree, __ksize, __kmem_cache_create, slob_alloc_node, __kmem_cache_free):
 *   - an object of a cache is a run of the cache's size, made even, with the cache's alignment; a cache whose objects are freed
 *     after an RCU grace period has a footer behind each;
 *   - kmalloc puts a header that holds the size in front; sizes that are powers of two lie on a multiple of themselves;
 *   - an object that needs a page or more is a block of the page allocator.
 *
 * The kernel finds the size of a run in the header or in the cache, and detects nothing. Here each page has a mark for every
 * 8 bytes (slob_body.owner): 0, or who owns the object that begins there. A mark of 1 .. MARK_CACHE - 1 is a kmalloc of that many
 * bytes, MARK_CACHE + id an object of that cache.
 *
 * Invariant: the units of a page that are not free are those of its marked objects and its unknown ones (loaded pages).
 *
 * MODEL: what the kernel allocates for a cache's own descriptor and name is not allocated by cache_create().
 * MODEL: objects of a SLAB_TYPESAFE_BY_RCU cache are free at once instead of after the grace period, so that their place is used
 * again a little earlier than in the kernel.
 * MODEL: kfree() of a cache's object frees it with the cache's size; the kernel takes a header for granted and corrupts its heap.
 * MODEL: cache_destroy() of a cache with live objects is refused, as the port asks for; SLOB does not know of them and succeeds.
 */
#include "models/kernel_code.h"
#include "models/object_allocator/kmalloc.h"
#include "models/object_allocator/slab_common.h"
#include "models/object_allocator/slob_heap.h"

#include "models/settings.h"
#include "sim/metric.h"

#include <stdlib.h>
#include <string.h>

/* Bytes in front of a kmalloc'ed object (ARCH_KMALLOC_MINALIGN), of which the first four hold its size. */
#define KMALLOC_HEADER ARCH_MINALIGN
#define KMALLOC_HEADER_WORD 4u

/* struct slob_rcu: a struct rcu_head and an int, on 64 bits. */
#define SLOB_RCU_BYTES 24u

#define POINTER_BYTES 8u

#define MARK_CACHE PAGE_SIZE
#define CACHES_MAX (UINT16_MAX - MARK_CACHE + 1)

struct slob_cache {
	char *name; /* NULL: the id is not in use */
	uint32_t object_size, size, align, flags;
	uint64_t live;
};

/* A live block of whole pages. */
struct slob_whole {
	pfn first;      /* PFN_NONE: not in use */
	uint32_t order; /* not in use: the next such entry + 1, 0 = none */
	cache_id cache; /* CACHE_NONE: a kmalloc */
};

struct slob {
	struct object_allocator base;
	struct object_allocator_wiring wiring;
	struct slob_heap heap;
	struct slob_cache *caches;
	uint32_t caches_used, caches_capacity;
	struct slob_whole *whole;
	uint32_t whole_used, whole_capacity;
	uint32_t whole_unused;  /* chain of unused entries + 1, 0 = none */
	uint64_t pages_whole;   /* frames of whole blocks */
	uint64_t pages_kmalloc; /* of them those of kmalloc */
	uint64_t loaded_objects;
};

#define COUNTER(field, unit, help) METRIC(struct slob_counters, field, unit, help)
#define LIST_GAUGE(name, field, list, unit, help) \
	{ \
		name, unit, METRIC_GAUGE, help, offsetof(struct slob_counters, field[list]) \
	}

static const struct metric slob_metrics[] = {
        COUNTER(slob_allocs, "1", "Objects placed in heap pages"),
        COUNTER(slob_list_hits, "1", "Of them, placed in a partly free page of their list"),
        COUNTER(slob_list_misses, "1", "Walks over a list that found no room"),
        COUNTER(slob_new_pages, "pages", "Pages fetched for the heap, one for each object that no listed page had room for"),
        COUNTER(slob_failures, "1", "Walks that found no room and got no page either"),
        COUNTER(slob_pages_scanned, "pages", "Pages looked at while walking lists"),
        COUNTER(slob_pages_too_full, "pages", "Of them, passed over by their number of free units"),
        COUNTER(slob_pages_no_fit, "pages", "Of them, with enough free units but no block that holds the object"),
        COUNTER(slob_blocks_scanned, "1", "Free blocks looked at for an object"),
        COUNTER(slob_blocks_no_fit, "1", "Of them, too small after alignment"),
        COUNTER(slob_frees, "1", "Objects of heap pages given back"),
        COUNTER(slob_frees_inside, "1", "Of them, behind at least one free block of their page"),
        COUNTER(slob_free_blocks_scanned, "1", "Free blocks passed to find the place of a freed object"),
        COUNTER(slob_freed_pages, "pages", "Heap pages given back because they became empty"),
        COUNTER(slob_whole_page_requests, "1", "Requests for a page or more, which go to the page allocator"),
        COUNTER(slob_whole_page_allocs, "1", "Of them, served"),
        COUNTER(slob_whole_page_failures, "1", "Of them, refused for lack of memory"),
        COUNTER(slob_whole_page_frees, "1", "Such objects given back"),
        LIST_GAUGE("slob_pages_small", slob_pages, SLOB_SMALL, "pages",
                   "Partly free pages on the list for objects below 256 bytes"),
        LIST_GAUGE("slob_pages_medium", slob_pages, SLOB_MEDIUM, "pages",
                   "Partly free pages on the list for objects below 1024 bytes"),
        LIST_GAUGE("slob_pages_large", slob_pages, SLOB_LARGE, "pages", "Partly free pages on the list for larger objects"),
        LIST_GAUGE("slob_pages_full", slob_pages, SLOB_FULL, "pages", "Heap pages without a free unit, on no list"),
        LIST_GAUGE("slob_free_bytes_small", slob_free_bytes, SLOB_SMALL, "bytes",
                   "Free bytes in the pages of the list below 256 bytes"),
        LIST_GAUGE("slob_free_bytes_medium", slob_free_bytes, SLOB_MEDIUM, "bytes",
                   "Free bytes in the pages of the list below 1024 bytes"),
        LIST_GAUGE("slob_free_bytes_large", slob_free_bytes, SLOB_LARGE, "bytes",
                   "Free bytes in the pages of the list for larger objects"),
        METRIC_END};

static struct slob *slob_of(struct object_allocator *objects)
{
	return (struct slob *)objects;
}

static const struct slob *slob_const(const struct object_allocator *objects)
{
	return (const struct slob *)objects;
}

static struct slob_cache *cache_of(const struct slob *slob, cache_id cache)
{
	SIM_ASSERT(cache.nr < slob->caches_used && slob->caches[cache.nr].name);
	return &slob->caches[cache.nr];
}

/* ---- whole pages ---- */

static uint32_t take_whole_entry(struct slob *slob)
{
	uint32_t entry = slob->whole_unused;
	if (entry) {
		slob->whole_unused = slob->whole[entry - 1].order;
		return entry - 1;
	}
	if (slob->whole_used == slob->whole_capacity) {
		slob->whole_capacity = slob->whole_capacity ? 2 * slob->whole_capacity : 64;
		slob->whole = xrealloc(slob->whole, slob->whole_capacity * sizeof *slob->whole);
	}
	return slob->whole_used++;
}

static vaddr whole_alloc(struct slob *slob, cache_id cache, unsigned order, gfp flags, unsigned cpu)
{
	step_run(slob->wiring.steps, CODE_SLOB_WHOLE_PAGE, slob->wiring.settings->cost.slob_whole_page);
	slob->heap.counters.slob_whole_page_requests++;
	pfn first = order < ORDERS ? page_alloc(slob->wiring.pages, order, flags, cpu) : PFN_NONE;
	if (first.nr == UINT32_MAX) {
		slob->heap.counters.slob_whole_page_failures++;
		return VADDR_NULL;
	}
	uint32_t entry = take_whole_entry(slob);
	slob->whole[entry] = (struct slob_whole){first, order, cache};
	frame_map_set(&slob->heap.frames, first, 1, FRAME_LARGE | entry);
	slob->heap.counters.slob_whole_page_allocs++;
	slob->pages_whole += 1ull << order;
	slob->pages_kmalloc += cache.nr == UINT32_MAX ? 1ull << order : 0;
	return layout_page_address(slob->wiring.layout, first);
}

static void whole_free(struct slob *slob, uint32_t entry, unsigned cpu)
{
	struct slob_whole block = slob->whole[entry];
	step_run(slob->wiring.steps, CODE_SLOB_FREE_PAGE, slob->wiring.settings->cost.slob_free_page);
	slob->whole[entry] = (struct slob_whole){.first = PFN_NONE, .order = slob->whole_unused};
	slob->whole_unused = entry + 1;
	frame_map_set(&slob->heap.frames, block.first, 1, 0);
	slob->heap.counters.slob_whole_page_frees++;
	slob->pages_whole -= 1ull << block.order;
	slob->pages_kmalloc -= block.cache.nr == UINT32_MAX ? 1ull << block.order : 0;
	enum page_free_result result = page_free(slob->wiring.pages, block.first, block.order, cpu);
	SIM_ASSERT(result == PAGE_FREE_OK);
}

/* ---- who owns an address ---- */

/* What lives at an address: nothing (the result says why), an object of the heap, or a block of whole pages. */
struct slob_found {
	enum object_free_result result;
	bool is_whole;
	uint32_t whole;          /* entry */
	struct slob_place place; /* of the object, behind a kmalloc header */
	uint16_t mark;
	cache_id cache; /* CACHE_NONE: a kmalloc */
};

static struct slob_found find_in_page(const struct slob *slob, struct slob_place place)
{
	struct slob_found found = {.result = OBJECT_FREE_NOT_OBJECT, .place = place, .cache = CACHE_NONE};
	if (place.offset % SLOB_SLOT != 0)
		return found;
	found.mark = slob->heap.bodies[place.page].owner[place.offset / SLOB_SLOT];
	if (!found.mark) {
		if (slob_heap_is_free(&slob->heap, place))
			found.result = OBJECT_FREE_NOT_ALLOCATED;
		return found;
	}
	found.result = OBJECT_FREE_OK;
	if (found.mark >= MARK_CACHE)
		found.cache.nr = found.mark - MARK_CACHE;
	return found;
}

static struct slob_found find_object(const struct slob *slob, vaddr at)
{
	struct slob_found nothing = {.result = OBJECT_FREE_NOT_OBJECT};
	uint32_t entry = frame_map_get(&slob->heap.frames, layout_pfn_of(slob->wiring.layout, at));
	uint32_t offset = (uint32_t)(at.addr & (PAGE_SIZE - 1));
	if (!entry)
		return nothing;
	if (!(entry & FRAME_LARGE))
		return find_in_page(slob, (struct slob_place){entry, offset});
	if (offset)
		return nothing;
	uint32_t whole = entry & ~FRAME_LARGE;
	return (struct slob_found){.result = OBJECT_FREE_OK, .is_whole = true, .whole = whole, .cache = slob->whole[whole].cache};
}

static void set_mark(struct slob *slob, struct slob_place place, uint32_t mark)
{
	slob->heap.bodies[place.page].owner[place.offset / SLOB_SLOT] = (uint16_t)mark;
}

/* The run an object of the heap takes, from its header if it has one. */
static struct slob_place run_of(const struct slob *slob, const struct slob_found *found, uint32_t *bytes)
{
	struct slob_place place = found->place;
	if (found->cache.nr != UINT32_MAX) {
		*bytes = slob->caches[found->cache.nr].size;
		return place;
	}
	*bytes = found->mark + KMALLOC_HEADER;
	place.offset -= KMALLOC_HEADER;
	return place;
}

static void free_found(struct slob *slob, const struct slob_found *found, unsigned cpu)
{
	if (found->cache.nr != UINT32_MAX)
		slob->caches[found->cache.nr].live--;
	if (found->is_whole) {
		whole_free(slob, found->whole, cpu);
		return;
	}
	uint32_t bytes;
	struct slob_place run = run_of(slob, found, &bytes);
	if (found->cache.nr == UINT32_MAX)
		step_read(slob->wiring.steps, slob_address(&slob->heap, run), KMALLOC_HEADER_WORD);
	set_mark(slob, found->place, 0);
	slob_heap_free(&slob->heap, run, bytes, cpu);
}

/* ---- caches ---- */

/* An unused id, the lowest; CACHE_NONE if all are taken. */
static cache_id take_cache_id(struct slob *slob)
{
	for (uint32_t nr = 0; nr < slob->caches_used; nr++)
		if (!slob->caches[nr].name)
			return (cache_id){nr};
	if (slob->caches_used == CACHES_MAX)
		return CACHE_NONE;
	if (slob->caches_used == slob->caches_capacity) {
		slob->caches_capacity = slob->caches_capacity ? 2 * slob->caches_capacity : 64;
		slob->caches = xrealloc(slob->caches, slob->caches_capacity * sizeof *slob->caches);
	}
	return (cache_id){slob->caches_used++};
}

/*
 * MODEL: an alignment above a page is refused. SLOB accepts it, and stops the kernel (BUG_ON in slob_alloc) at the first page
 * that does not happen to lie on it.
 */
static cache_id slob_cache_create(struct object_allocator *objects, const struct cache_spec *spec)
{
	struct slob *slob = slob_of(objects);
	uint32_t align = calculate_alignment(spec->flags, spec->align, spec->object_size,
	                                     slob->wiring.settings->machine.cache_line_bytes, POINTER_BYTES);
	if (spec->object_size == 0 || spec->object_size > KMALLOC_MAX_SIZE || align > PAGE_SIZE)
		return CACHE_NONE;
	cache_id cache = take_cache_id(slob);
	if (cache.nr == UINT32_MAX)
		return CACHE_NONE;
	uint32_t footer = spec->flags & SLAB_TYPESAFE_BY_RCU ? SLOB_RCU_BYTES : 0;
	slob->caches[cache.nr] = (struct slob_cache){
	        .name = xstrdup(spec->name),
	        .object_size = spec->object_size,
	        .size = slob_units(spec->object_size + footer) * SLOB_UNIT,
	        .align = align,
	        .flags = spec->flags,
	};
	return cache;
}

static bool slob_cache_destroy(struct object_allocator *objects, cache_id id, unsigned cpu)
{
	(void)cpu;
	struct slob_cache *cache = cache_of(slob_of(objects), id);
	if (cache->live)
		return false;
	free(cache->name);
	*cache = (struct slob_cache){0};
	return true;
}

/* SLOB keeps no empty pages, so there is nothing to give back. */
static void slob_cache_shrink(struct object_allocator *objects, cache_id cache, unsigned cpu)
{
	(void)cpu;
	cache_of(slob_of(objects), cache);
}

static struct object slob_cache_alloc(struct object_allocator *objects, cache_id id, gfp flags, unsigned cpu)
{
	struct slob *slob = slob_of(objects);
	struct slob_cache *cache = cache_of(slob, id);
	struct object object = {.bytes_alloc = cache->size, .cache = id};
	if (cache->size >= PAGE_SIZE) {
		object.at = whole_alloc(slob, id, get_order(cache->size), flags, cpu);
		cache->live += object.at.addr != 0;
		return object;
	}
	struct slob_place place = slob_heap_alloc(&slob->heap, cache->size, cache->align, 0, flags, cpu);
	if (!place.page)
		return object;
	set_mark(slob, place, MARK_CACHE + id.nr);
	cache->live++;
	object.at = slob_address(&slob->heap, place);
	return object;
}

static enum object_free_result slob_cache_free(struct object_allocator *objects, cache_id cache, vaddr at, unsigned cpu)
{
	struct slob *slob = slob_of(objects);
	struct slob_found found = find_object(slob, at);
	if (found.result != OBJECT_FREE_OK)
		return found.result;
	if (found.cache.nr != cache.nr)
		return OBJECT_FREE_WRONG_CACHE;
	free_found(slob, &found, cpu);
	return OBJECT_FREE_OK;
}

/* ---- kmalloc ---- */

static struct object kmalloc_whole(struct slob *slob, uint32_t size, gfp flags, unsigned cpu)
{
	unsigned order = get_order(size);
	struct object object = {.bytes_alloc = order + PAGE_SHIFT < 32 ? PAGE_SIZE << order : UINT32_MAX, .cache = CACHE_NONE};
	object.at = whole_alloc(slob, CACHE_NONE, order, order ? flags | __GFP_COMP : flags, cpu);
	return object;
}

/* A power of two lies on a multiple of itself. */
static uint32_t kmalloc_align(uint32_t size)
{
	bool power_of_two = (size & (size - 1)) == 0;
	return power_of_two && size > KMALLOC_HEADER ? size : KMALLOC_HEADER;
}

static struct object slob_kmalloc(struct object_allocator *objects, uint32_t size, gfp flags, unsigned cpu)
{
	struct slob *slob = slob_of(objects);
	if (size >= PAGE_SIZE - KMALLOC_HEADER)
		return kmalloc_whole(slob, size, flags, cpu);
	if (size == 0)
		return (struct object){.at = ZERO_SIZE_PTR, .cache = CACHE_NONE};
	uint32_t align = kmalloc_align(size);
	struct object object = {.bytes_alloc = size + KMALLOC_HEADER, .cache = CACHE_NONE};
	struct slob_place place = slob_heap_alloc(&slob->heap, size + KMALLOC_HEADER, align, KMALLOC_HEADER, flags, cpu);
	if (!place.page)
		return object;
	step_write(slob->wiring.steps, slob_address(&slob->heap, place), KMALLOC_HEADER_WORD);
	place.offset += KMALLOC_HEADER;
	set_mark(slob, place, size);
	object.at = slob_address(&slob->heap, place);
	return object;
}

static enum object_free_result slob_kfree(struct object_allocator *objects, vaddr at, unsigned cpu)
{
	struct slob *slob = slob_of(objects);
	if (at.addr <= ZERO_SIZE_PTR.addr)
		return OBJECT_FREE_OK;
	struct slob_found found = find_object(slob, at);
	if (found.result == OBJECT_FREE_OK)
		free_found(slob, &found, cpu);
	return found.result;
}

/* The kernel answers for kmalloc only; an object of a cache has its size up to the RCU footer. */
static uint32_t slob_ksize(const struct object_allocator *objects, vaddr at)
{
	const struct slob *slob = slob_const(objects);
	struct slob_found found = find_object(slob, at);
	if (found.result != OBJECT_FREE_OK)
		return 0;
	if (found.cache.nr != UINT32_MAX) {
		const struct slob_cache *cache = &slob->caches[found.cache.nr];
		return cache->size - (cache->flags & SLAB_TYPESAFE_BY_RCU ? SLOB_RCU_BYTES : 0);
	}
	return found.is_whole ? PAGE_SIZE << slob->whole[found.whole].order : slob_units(found.mark) * SLOB_UNIT;
}

/* ---- views ---- */

static uint32_t slob_cache_limit(const struct object_allocator *objects)
{
	return slob_const(objects)->caches_used;
}

/* A kernel with SLOB has no /proc/slabinfo: objects share pages with those of other caches, so there are no slabs to count. */
static bool slob_cache_view(const struct object_allocator *objects, cache_id id, struct cache_view *view)
{
	const struct slob *slob = slob_const(objects);
	if (id.nr >= slob->caches_used || !slob->caches[id.nr].name)
		return false;
	const struct slob_cache *cache = &slob->caches[id.nr];
	*view = (struct cache_view){
	        .name = cache->name,
	        .object_size = cache->object_size,
	        .size = cache->size,
	        .align = cache->align,
	        .flags = cache->flags,
	        .live_objects = cache->live,
	};
	return true;
}

static uint64_t slob_pages_held(const struct object_allocator *objects)
{
	return slob_heap_pages(&slob_const(objects)->heap) + slob_const(objects)->pages_whole;
}

static uint64_t slob_pages_large(const struct object_allocator *objects)
{
	return slob_const(objects)->pages_kmalloc;
}

static const void *slob_counters(const struct object_allocator *objects)
{
	return &slob_const(objects)->heap.counters;
}

bool slob_next_page(const struct object_allocator *objects, enum slob_list list, uint32_t *cursor, struct slob_page_view *view)
{
	const struct slob_heap *heap = &slob_const(objects)->heap;
	SIM_ASSERT(list < SLOB_LISTS);
	uint32_t page = heap->pages[*cursor ? *cursor : list].next;
	if (page == list)
		return false;
	*cursor = page;
	*view = (struct slob_page_view){heap->bodies[page].frame, heap->pages[page].units, heap->bodies[page].block,
	                                heap->pages[page].blocks};
	return true;
}

/* ---- loading ---- */

bool slob_load_page(struct object_allocator *objects, enum slob_list list, pfn frame, const struct slob_block *blocks,
                    uint32_t count, struct error *error)
{
	return slob_heap_load(&slob_of(objects)->heap, list, frame, blocks, count, error);
}

/* Whether [place, place + units) is neither free nor part of a known object. */
static bool is_unknown(const struct slob *slob, struct slob_place place, uint32_t units)
{
	if (place.offset / SLOB_UNIT + units > SLOB_PAGE_UNITS || units > slob->heap.bodies[place.page].unknown)
		return false;
	for (uint32_t i = 0; i < units; i++)
		if (slob_heap_is_free(&slob->heap, (struct slob_place){place.page, place.offset + i * SLOB_UNIT}))
			return false;
	for (uint32_t slot = 0; slot < SLOB_PAGE_SLOTS; slot++) {
		struct slob_found found = find_in_page(slob, (struct slob_place){place.page, slot * SLOB_SLOT});
		if (found.result != OBJECT_FREE_OK)
			continue;
		uint32_t bytes;
		struct slob_place run = run_of(slob, &found, &bytes);
		if (run.offset < place.offset + units * SLOB_UNIT && place.offset < run.offset + slob_units(bytes) * SLOB_UNIT)
			return false;
	}
	return true;
}

bool slob_load_object(struct object_allocator *objects, vaddr at, cache_id cache, uint32_t size, struct error *error)
{
	struct slob *slob = slob_of(objects);
	uint32_t page = frame_map_get(&slob->heap.frames, layout_pfn_of(slob->wiring.layout, at));
	uint32_t header = cache.nr == UINT32_MAX ? KMALLOC_HEADER : 0;
	uint32_t bytes = header ? size + header : cache_of(slob, cache)->size;
	struct slob_found found = {.place = {page, (uint32_t)(at.addr & (PAGE_SIZE - 1))}};
	if (!page || page & FRAME_LARGE || found.place.offset % SLOB_SLOT || found.place.offset < header || bytes == header ||
	    bytes >= PAGE_SIZE)
		return error_set(error, ERROR_INPUT, "no SLOB object can live at %llx", (unsigned long long)at.addr);
	struct slob_place run = {page, found.place.offset - header};
	if (!is_unknown(slob, run, slob_units(bytes)))
		return error_set(error, ERROR_INPUT, "the SLOB object at %llx overlaps free memory or another object",
		                 (unsigned long long)at.addr);
	struct slob_body *body = &slob->heap.bodies[page];
	body->unknown = (uint16_t)(body->unknown - slob_units(bytes));
	set_mark(slob, found.place, header ? size : MARK_CACHE + cache.nr);
	if (!header)
		slob->caches[cache.nr].live++;
	slob->loaded_objects++;
	return true;
}

/* ---- check ---- */

/* The page's objects in address order: none overlaps the one before or a free block, and all units are accounted for. */
static uint64_t check_objects_of_page(const struct slob *slob, uint32_t page, uint64_t *live)
{
	const struct slob_page *entry = &slob->heap.pages[page];
	const struct slob_body *body = &slob->heap.bodies[page];
	uint64_t objects = 0;
	uint32_t end = 0, units = 0, block = 0;
	for (uint32_t slot = 0; slot < SLOB_PAGE_SLOTS; slot++) {
		if (!body->owner[slot])
			continue;
		struct slob_found found = find_in_page(slob, (struct slob_place){page, slot * SLOB_SLOT});
		uint32_t bytes;
		struct slob_place run = run_of(slob, &found, &bytes);
		SIM_ASSERT(run.offset >= end && run.offset + bytes <= PAGE_SIZE);
		end = run.offset + slob_units(bytes) * SLOB_UNIT;
		units += slob_units(bytes);
		while (block < entry->blocks && body->block[block].offset * SLOB_UNIT < run.offset)
			block++;
		SIM_ASSERT(block == 0 ||
		           (body->block[block - 1].offset + body->block[block - 1].units) * SLOB_UNIT <= run.offset);
		SIM_ASSERT(block == entry->blocks || body->block[block].offset * SLOB_UNIT >= end);
		if (found.cache.nr != UINT32_MAX)
			live[found.cache.nr]++;
		objects++;
	}
	SIM_ASSERT(units + entry->units + body->unknown == SLOB_PAGE_UNITS);
	return objects;
}

static void check_whole(const struct slob *slob, uint64_t *live)
{
	uint64_t blocks = 0, pages = 0, kmalloc_pages = 0;
	for (uint32_t i = 0; i < slob->whole_used; i++) {
		const struct slob_whole *whole = &slob->whole[i];
		if (whole->first.nr == UINT32_MAX)
			continue;
		SIM_ASSERT(frame_map_get(&slob->heap.frames, whole->first) == (FRAME_LARGE | i));
		blocks++;
		pages += 1ull << whole->order;
		if (whole->cache.nr == UINT32_MAX)
			kmalloc_pages += 1ull << whole->order;
		else
			live[whole->cache.nr]++;
	}
	SIM_ASSERT(pages == slob->pages_whole && kmalloc_pages == slob->pages_kmalloc);
	const struct slob_counters *count = &slob->heap.counters;
	SIM_ASSERT(blocks == count->slob_whole_page_allocs - count->slob_whole_page_frees);
	SIM_ASSERT(count->slob_whole_page_requests == count->slob_whole_page_allocs + count->slob_whole_page_failures);
}

static void slob_check(const struct object_allocator *objects)
{
	const struct slob *slob = slob_const(objects);
	slob_heap_check(&slob->heap);
	uint64_t *live = xcalloc(slob->caches_used, sizeof *live);
	uint64_t in_heap = 0;
	for (uint32_t page = SLOB_LISTS; page < slob->heap.used; page++)
		if (slob->heap.bodies[page].block)
			in_heap += check_objects_of_page(slob, page, live);
	check_whole(slob, live);
	for (uint32_t nr = 0; nr < slob->caches_used; nr++)
		SIM_ASSERT(slob->caches[nr].live == live[nr] && (slob->caches[nr].name || !live[nr]));
	free(live);
	const struct slob_counters *count = &slob->heap.counters;
	SIM_ASSERT(in_heap == count->slob_allocs + slob->loaded_objects - count->slob_frees);
	SIM_ASSERT(in_heap + count->slob_whole_page_allocs - count->slob_whole_page_frees == objects->live_objects);
}

/* ---- making and ending ---- */

static void slob_destroy(struct object_allocator *objects)
{
	struct slob *slob = slob_of(objects);
	for (uint32_t nr = 0; nr < slob->caches_used; nr++)
		free(slob->caches[nr].name);
	free(slob->caches);
	free(slob->whole);
	slob_heap_release(&slob->heap);
	free(slob);
}

static bool slob_load_state(struct object_allocator *objects, const struct state_dump *dump, struct error *error)
{
	struct page_allocator *pages = slob_of(objects)->wiring.pages;
	return slob_load_lists(objects, pages, dump, error) && slob_load_full(objects, pages, dump, error);
}

static bool slob_adopt(struct object_allocator *objects, vaddr at, cache_id cache, uint32_t size)
{
	struct error unknown = {0};
	return slob_load_object(objects, at, cache, size, &unknown);
}

static bool slob_holds(const struct object_allocator *objects, pfn first)
{
	return frame_map_get(&slob_const(objects)->heap.frames, first) != 0;
}

/* What one call asks of the heap; size 0: it needs none, or whole pages. */
struct slob_request {
	uint32_t size, align, header, mark;
};

static struct slob_request request_of(const struct slob *slob, cache_id id, uint32_t bytes)
{
	if (id.nr != UINT32_MAX) {
		const struct slob_cache *cache = cache_of(slob, id);
		return (struct slob_request){cache->size < PAGE_SIZE ? cache->size : 0, cache->align, 0, MARK_CACHE + id.nr};
	}
	bool in_heap = bytes > 0 && bytes < PAGE_SIZE - KMALLOC_HEADER;
	return (struct slob_request){in_heap ? bytes + KMALLOC_HEADER : 0, kmalloc_align(bytes), KMALLOC_HEADER, bytes};
}

static vaddr slob_foresee(const struct object_allocator *objects, cache_id cache, uint32_t bytes)
{
	const struct slob *slob = slob_const(objects);
	struct slob_request request = request_of(slob, cache, bytes);
	if (request.size == 0)
		return cache.nr == UINT32_MAX && bytes == 0 ? ZERO_SIZE_PTR : VADDR_NULL;
	struct slob_place place = slob_heap_foresee(&slob->heap, request.size, request.align, request.header);
	return place.page ? vaddr_of(slob_address(&slob->heap, place).addr + request.header) : VADDR_NULL;
}

static bool slob_place_at(struct object_allocator *objects, cache_id cache, uint32_t bytes, gfp flags, unsigned cpu, vaddr at,
                          struct object *object)
{
	struct slob *slob = slob_of(objects);
	struct slob_request request = request_of(slob, cache, bytes);
	vaddr from = vaddr_of(at.addr - request.header);
	struct slob_place place;
	if (request.size == 0 || at.addr < slob->wiring.layout->direct_map + PAGE_SIZE || at.addr % SLOB_SLOT != 0)
		return false;
	pfn frame = layout_pfn_of(slob->wiring.layout, from);
	if (frame.nr >= slob->wiring.pages->end_pfn || frame_map_get(&slob->heap.frames, frame) & FRAME_LARGE)
		return false;
	if (!slob_heap_place_at(&slob->heap, request.size, frame, (uint32_t)(from.addr & (PAGE_SIZE - 1)), flags, cpu, &place))
		return false;
	place.offset += request.header;
	set_mark(slob, place, request.mark);
	if (cache.nr != UINT32_MAX)
		slob->caches[cache.nr].live++;
	*object = (struct object){.at = at, .bytes_alloc = request.size, .cache = cache};
	return true;
}

/* Objects of a heap page are gone with it. */
static uint64_t evict_objects(struct slob *slob, uint32_t page)
{
	uint64_t count = 0;
	for (uint32_t offset = 0; offset < PAGE_SIZE; offset += SLOB_SLOT) {
		struct slob_found found = find_in_page(slob, (struct slob_place){page, offset});
		if (found.result != OBJECT_FREE_OK)
			continue;
		if (found.cache.nr != UINT32_MAX)
			slob->caches[found.cache.nr].live--;
		set_mark(slob, found.place, 0);
		slob->heap.counters.slob_frees++;
		count++;
	}
	return count;
}

static uint64_t slob_evict(struct object_allocator *objects, pfn first, unsigned cpu)
{
	struct slob *slob = slob_of(objects);
	uint32_t entry = frame_map_get(&slob->heap.frames, first);
	if (entry & FRAME_LARGE) {
		cache_id cache = slob->whole[entry & ~FRAME_LARGE].cache;
		if (cache.nr != UINT32_MAX)
			slob->caches[cache.nr].live--;
		whole_free(slob, entry & ~FRAME_LARGE, cpu);
		return 1;
	}
	uint64_t count = evict_objects(slob, entry);
	slob_heap_evict(&slob->heap, entry, cpu);
	return count;
}

static const struct object_follow_ops slob_follow_ops = {
        .holds = slob_holds, .evict = slob_evict, .foresee = slob_foresee, .place = slob_place_at, .rcu_frees_objects = true};

const struct object_allocator_ops object_allocator_slob_ops = {
        .name = "slob",
        .help = "Linux 6.1 SLOB: one heap of pages with first-fit blocks, three lists by size, a header before each kmalloc",
        .cache_create = slob_cache_create,
        .cache_destroy = slob_cache_destroy,
        .cache_shrink = slob_cache_shrink,
        .alloc = slob_cache_alloc,
        .free = slob_cache_free,
        .kmalloc = slob_kmalloc,
        .kfree = slob_kfree,
        .ksize = slob_ksize,
        .cache_limit = slob_cache_limit,
        .cache_view = slob_cache_view,
        .pages_held = slob_pages_held,
        .pages_large = slob_pages_large,
        .print_state = slob_print_state,
        .load_state = slob_load_state,
        .adopt = slob_adopt,
        .follow = &slob_follow_ops,
        .check = slob_check,
        .metrics = slob_metrics,
        .counters = slob_counters,
        .destroy = slob_destroy,
};

struct object_allocator *object_allocator_slob_create(const struct object_allocator_wiring *wiring, struct error *error);

struct object_allocator *object_allocator_slob_create(const struct object_allocator_wiring *wiring, struct error *error)
{
	(void)error;
	struct slob *slob = xcalloc(1, sizeof *slob);
	slob->base.ops = &object_allocator_slob_ops;
	slob->wiring = *wiring;
	slob_heap_init(&slob->heap, &slob->wiring);
	return &slob->base;
}
