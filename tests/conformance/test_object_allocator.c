/* SPDX-License-Identifier: MIT
 *
 * test_object_allocator.c - every model of the object_allocator port (models.def) against what the port promises.
 *
 * The models stand on a page allocator of this file, which does no more than the page port asks for, can refuse the n-th request,
 * and says at the end whether anything is still out. What the models hand out is entered in a map with one mark for each 8
 * bytes of memory; the map knows overlaps, and nothing of how a model works.
 */
#include "models/settings.h"
#include "sim/metric.h"
#include "sim/port/object_allocator.h"
#include "sim/rng.h"
#include "tests/unit/test.h"

#include <stdlib.h>
#include <string.h>

/* ---- the models ---- */

typedef struct object_allocator *create_function(const struct object_allocator_wiring *, struct error *);

struct model {
	const struct object_allocator_ops *ops;
	create_function *create;
};

#define MODEL_object_allocator(name) \
	extern const struct object_allocator_ops object_allocator_##name##_ops; \
	create_function object_allocator_##name##_create;
#include "models/models.def"

static struct model models[] = {
#define MODEL_object_allocator(name) {&object_allocator_##name##_ops, object_allocator_##name##_create},
#include "models/models.def"
};
#define MODELS (sizeof models / sizeof *models)

/* ---- the page allocator below them ---- */

#define FRAMES (1u << 15) /* 128 MiB */

struct test_pages {
	struct page_allocator base;
	uint32_t fresh; /* frames from here on were never handed out */
	uint32_t free_count[ORDERS];
	uint32_t *free_blocks[ORDERS];
	uint8_t out[FRAMES]; /* by first frame: order + 1 of a block handed out */
	uint64_t calls;
	uint64_t fail_from, fail_to; /* calls with a number in [fail_from, fail_to) are refused */
};

static pfn test_pages_alloc(struct page_allocator *base, unsigned order, gfp flags, unsigned cpu)
{
	struct test_pages *pages = (struct test_pages *)base;
	(void)flags;
	(void)cpu;
	uint64_t call = ++pages->calls;
	assert_true(order < ORDERS);
	if (call >= pages->fail_from && call < pages->fail_to)
		return PFN_NONE;
	uint32_t first;
	if (pages->free_count[order]) {
		first = pages->free_blocks[order][--pages->free_count[order]];
	} else {
		uint32_t frames = 1u << order;
		first = (pages->fresh + frames - 1) & ~(frames - 1);
		if (first + frames > FRAMES)
			return PFN_NONE;
		pages->fresh = first + frames;
	}
	pages->out[first] = (uint8_t)(order + 1);
	return pfn_of(first);
}

static enum page_free_result test_pages_free(struct page_allocator *base, pfn first, unsigned order, unsigned cpu)
{
	struct test_pages *pages = (struct test_pages *)base;
	(void)cpu;
	if (first.nr >= FRAMES || !pages->out[first.nr])
		return PAGE_FREE_NOT_ALLOCATED;
	if (pages->out[first.nr] != order + 1)
		return PAGE_FREE_WRONG_ORDER;
	pages->out[first.nr] = 0;
	pages->free_blocks[order][pages->free_count[order]++] = first.nr;
	return PAGE_FREE_OK;
}

static const struct page_allocator_ops test_pages_ops = {.name = "test", .alloc = test_pages_alloc, .free = test_pages_free};

/* ---- one allocator under test ---- */

#define OBJECTS_MAX 4096
#define CACHES 12

struct object_record {
	vaddr at;
	uint32_t size;
	uint32_t cache; /* index into caches, CACHES for a kmalloc */
};

struct bench {
	struct settings settings;
	struct layout layout;
	struct steps steps;
	struct test_pages pages;
	struct object_allocator *objects;
	cache_id caches[CACHES];
	struct object_record live[OBJECTS_MAX];
	uint32_t count;
	uint64_t live_in_cache[CACHES + 1];
	uint8_t *taken; /* by 8 bytes of memory */
	struct rng rng;
};

/* Sizes around the bounds of the kernel's allocators: a word, a cache line, SLOB's lists, SLUB's orders, a page, more than one.
 */
static const struct cache_spec specs[CACHES] = {
        {"word", 8, 0, 0, false, 0, 0},
        {"odd", 27, 0, 0, false, 0, 0},
        {"aligned", 40, 32, 0, false, 0, 0},
        {"line", 100, 0, SLAB_HWCACHE_ALIGN, false, 0, 0},
        {"constructed", 192, 0, 0, true, 0, 0},
        {"rcu", 200, 0, SLAB_TYPESAFE_BY_RCU, false, 0, 0},
        {"reclaimable", 576, 0, SLAB_RECLAIM_ACCOUNT, false, 0, 0},
        {"half", 1000, 512, 0, false, 0, 0},
        {"large", 2944, 0, SLAB_PANIC, false, 0, 0},
        {"page", 4096, 0, 0, false, 0, 0},
        {"rcu-page", 4090, 0, SLAB_TYPESAFE_BY_RCU, false, 0, 0},
        {"pages", 9000, 0, SLAB_HWCACHE_ALIGN, false, 0, 0},
};

static struct bench *bench_create(const struct model *model, bool recording)
{
	struct bench *bench = xcalloc(1, sizeof *bench);
	settings_init(&bench->settings);
	bench->settings.machine.cpus = 2;
	bench->settings.machine.memory_bytes = (uint64_t)FRAMES << PAGE_SHIFT;
	bench->settings.kernel.slab_merge = false; /* merged caches would not tell each other's objects apart */
	layout_init(&bench->layout, 64);
	steps_init(&bench->steps, recording);
	bench->pages.base = (struct page_allocator){.ops = &test_pages_ops, .end_pfn = FRAMES, .managed_pages = FRAMES};
	bench->pages.fresh = 1;
	for (unsigned order = 0; order < ORDERS; order++)
		bench->pages.free_blocks[order] = xcalloc(FRAMES >> order, sizeof(uint32_t));
	bench->taken = lazy_alloc((size_t)FRAMES * PAGE_SIZE / 8, 1);
	rng_init(&bench->rng, 1, "conformance");
	struct object_allocator_wiring wiring = {&bench->settings, &bench->pages.base, &bench->layout, &bench->steps, 1};
	struct error error = {0};
	bench->objects = model->create(&wiring, &error);
	assert_non_null(bench->objects);
	assert_int_equal(bench->pages.base.allocated_pages, 0);
	return bench;
}

static void bench_make_caches(struct bench *bench)
{
	for (uint32_t i = 0; i < CACHES; i++) {
		bench->caches[i] = cache_create(bench->objects, &specs[i]);
		assert_int_not_equal(bench->caches[i].nr, UINT32_MAX);
	}
}

static void bench_destroy(struct bench *bench)
{
	object_allocator_destroy(bench->objects);
	for (unsigned order = 0; order < ORDERS; order++)
		free(bench->pages.free_blocks[order]);
	lazy_free(bench->taken, (size_t)FRAMES * PAGE_SIZE / 8, 1);
	steps_release(&bench->steps);
	settings_release(&bench->settings);
	free(bench);
}

/* Marks the object's bytes; no mark may be there yet, and none may be missing when it is taken away. */
static void mark(struct bench *bench, vaddr at, uint32_t bytes, uint8_t was)
{
	assert_true(at.addr >= bench->layout.direct_map && at.addr % 8 == 0);
	uint64_t first = (at.addr - bench->layout.direct_map) / 8, last = (at.addr - bench->layout.direct_map + bytes - 1) / 8;
	assert_true(last < (uint64_t)FRAMES * PAGE_SIZE / 8);
	for (uint64_t i = first; i <= last; i++) {
		assert_int_equal(bench->taken[i], was);
		bench->taken[i] = !was;
	}
}

static void check_alignment(vaddr at, uint32_t size, uint32_t cache)
{
	uint32_t align = 8;
	if (cache == CACHES && (size & (size - 1)) == 0 && size <= PAGE_SIZE)
		align = size;
	if (cache < CACHES && specs[cache].align > align)
		align = specs[cache].align;
	if (size >= PAGE_SIZE && cache == CACHES)
		align = PAGE_SIZE;
	assert_int_equal(at.addr % align, 0);
}

/* Allocates from a cache (or with cache == CACHES by kmalloc) and enters the object. false: no memory. */
static bool take(struct bench *bench, uint32_t cache, uint32_t size, gfp flags, unsigned cpu)
{
	struct object object = cache < CACHES ? cache_alloc(bench->objects, bench->caches[cache], flags, cpu)
	                                      : object_kmalloc(bench->objects, size, flags, cpu);
	if (!object.at.addr)
		return false;
	assert_true(object.bytes_alloc >= size);
	check_alignment(object.at, size, cache);
	uint32_t usable = bench->objects->ops->ksize(bench->objects, object.at);
	assert_true(usable >= size);
	mark(bench, object.at, size, 0);
	assert_true(bench->count < OBJECTS_MAX);
	bench->live[bench->count++] = (struct object_record){object.at, size, cache};
	bench->live_in_cache[cache]++;
	return true;
}

static bool take_random(struct bench *bench, unsigned cpu)
{
	uint32_t cache = rng_below(&bench->rng, 2 * CACHES);
	gfp flags = rng_below(&bench->rng, 8) ? GFP_KERNEL : GFP_ATOMIC | __GFP_ZERO;
	if (cache < CACHES)
		return take(bench, cache, specs[cache].object_size, specs[cache].ctor ? GFP_KERNEL : flags, cpu);
	uint32_t size = 1 + rng_below(&bench->rng, 1u << (3 + rng_below(&bench->rng, 12)));
	return take(bench, CACHES, size, flags, cpu);
}

static enum object_free_result free_at(struct bench *bench, uint32_t cache, vaddr at, unsigned cpu)
{
	return cache < CACHES ? cache_free(bench->objects, bench->caches[cache], at, cpu) : object_kfree(bench->objects, at, cpu);
}

static struct object_record give_back(struct bench *bench, uint32_t i, unsigned cpu)
{
	struct object_record record = bench->live[i];
	assert_int_equal(free_at(bench, record.cache, record.at, cpu), OBJECT_FREE_OK);
	mark(bench, record.at, record.size, 1);
	bench->live[i] = bench->live[--bench->count];
	bench->live_in_cache[record.cache]--;
	return record;
}

/* What must hold at any time: the model's own laws, and its numbers against ours. */
static void check_state(struct bench *bench)
{
	object_allocator_check(bench->objects);
	assert_int_equal(bench->objects->live_objects, bench->count);
	assert_int_equal(bench->objects->ops->pages_held(bench->objects), bench->pages.base.allocated_pages);
	assert_true(bench->objects->ops->pages_large(bench->objects) <= bench->pages.base.allocated_pages);
	for (uint32_t i = 0; i < CACHES; i++) {
		struct cache_view view;
		if (!bench->objects->ops->cache_view(bench->objects, bench->caches[i], &view))
			continue;
		assert_string_equal(view.name, specs[i].name);
		assert_int_equal(view.object_size, specs[i].object_size);
		assert_int_equal(view.live_objects, bench->live_in_cache[i]);
		assert_true(view.size >= view.object_size && view.active_objects >= view.live_objects * (view.slabs > 0));
		assert_true(view.total_objects >= view.active_objects);
		assert_false(view.kmalloc);
	}
}

/*
 * Empty slabs that a model keeps in store go back, those of its own kmalloc caches too. The last cache first: what a slab keeps
 * beside itself (SLAB's index arrays) lies in a kmalloc cache, and those were made first.
 */
static void shrink_all(struct bench *bench)
{
	struct cache_view view;
	for (uint32_t nr = bench->objects->ops->cache_limit(bench->objects); nr-- > 0;)
		if (bench->objects->ops->cache_view(bench->objects, (cache_id){nr}, &view))
			bench->objects->ops->cache_shrink(bench->objects, (cache_id){nr}, 0);
}

/* Frees all, shrinks all, destroys what can be: then no page may be out. */
static void give_everything_back(struct bench *bench)
{
	while (bench->count)
		give_back(bench, rng_below(&bench->rng, bench->count), rng_below(&bench->rng, 2));
	for (uint32_t i = 0; i < CACHES; i++)
		assert_true(cache_destroy(bench->objects, bench->caches[i], 0));
	shrink_all(bench);
	object_allocator_check(bench->objects);
	assert_int_equal(bench->objects->live_objects, 0);
	assert_int_equal(bench->objects->ops->pages_held(bench->objects), 0);
	assert_int_equal(bench->pages.base.allocated_pages, 0);
}

/* ---- the laws ---- */

/* Objects that overlap, misplaced ones, lost pages, counts that drift: a long mixed run with phases of growth and decline. */
static void test_mixed(void **state)
{
	static const uint32_t take_percent[] = {70, 50, 30, 60, 40, 80, 20, 55};
	struct bench *bench = bench_create(*state, false);
	bench_make_caches(bench);
	for (uint32_t op = 0; op < 40000; op++) {
		unsigned cpu = rng_below(&bench->rng, 2);
		bool grow = rng_below(&bench->rng, 100) < take_percent[op / 1000 % 8];
		if (bench->count == 0 || (grow && bench->count < 3000))
			assert_true(take_random(bench, cpu));
		else
			give_back(bench, rng_below(&bench->rng, bench->count), cpu);
		if (op % 2000 == 1999)
			check_state(bench);
	}
	give_everything_back(bench);
	bench_destroy(bench);
}

/* Steps written for a page that has been given back, or an unbalanced lock, would show here (or in the sanitizers). */
static void test_locks_are_released_within_each_op(void **state)
{
	struct bench *bench = bench_create(*state, true);
	bench_make_caches(bench);
	uint64_t touched = 0;
	for (uint32_t op = 0; op < 6000; op++) {
		steps_clear(&bench->steps);
		if (bench->count == 0 || (bench->count < 1000 && rng_below(&bench->rng, 100) < 60))
			assert_true(take_random(bench, op % 2));
		else
			give_back(bench, rng_below(&bench->rng, bench->count), op % 2);
		uint32_t held = 0;
		for (uint32_t i = 0; i < bench->steps.count; i++) {
			held += bench->steps.at[i].kind == STEP_LOCK;
			held -= bench->steps.at[i].kind == STEP_UNLOCK;
			assert_true(held <= 4);
			touched += bench->steps.at[i].kind == STEP_READ || bench->steps.at[i].kind == STEP_WRITE;
		}
		assert_int_equal(held, 0);
	}
	assert_true(touched > 6000); /* no op gets along without memory */
	give_everything_back(bench);
	bench_destroy(bench);
}

/* Recording steps is a look at the run, not a part of it: a model that decides otherwise when watched. */
static void test_recording_decides_nothing(void **state)
{
	struct bench *quiet = bench_create(*state, false), *watched = bench_create(*state, true);
	bench_make_caches(quiet);
	bench_make_caches(watched);
	struct rng rng;
	rng_init(&rng, 2, "growth");
	for (uint32_t op = 0; op < 8000; op++) {
		bool grow = quiet->count == 0 || (quiet->count < 1500 && rng_below(&rng, 100) < 55);
		steps_clear(&watched->steps);
		if (grow) {
			assert_true(take_random(quiet, 0) && take_random(watched, 0));
			assert_true(quiet->live[quiet->count - 1].at.addr == watched->live[watched->count - 1].at.addr);
		} else {
			uint32_t i = rng_below(&rng, quiet->count);
			give_back(quiet, i, 0);
			give_back(watched, i, 0);
		}
		assert_int_equal(quiet->pages.base.allocated_pages, watched->pages.base.allocated_pages);
	}
	bench_destroy(quiet);
	bench_destroy(watched);
}

static void assert_unchanged(struct bench *bench, uint64_t pages, enum object_free_result result)
{
	assert_int_not_equal(result, OBJECT_FREE_OK);
	assert_int_equal(bench->pages.base.allocated_pages, pages);
	check_state(bench);
}

/* A free that is believed without a look: twice, inside an object, with the wrong cache, of memory that is no object's. */
static void test_wrong_frees(void **state)
{
	struct bench *bench = bench_create(*state, false);
	bench_make_caches(bench);
	while (bench->count < 400)
		assert_true(take_random(bench, 0));
	for (uint32_t round = 0; round < 300; round++) {
		uint32_t i = rng_below(&bench->rng, bench->count);
		struct object_record record = bench->live[i];
		uint64_t pages = bench->pages.base.allocated_pages;
		assert_unchanged(bench, pages, free_at(bench, record.cache, vaddr_of(record.at.addr + 1), 0));
		if (record.size > 16) {
			enum object_free_result inside = free_at(bench, record.cache, vaddr_of(record.at.addr + 8), 0);
			assert_unchanged(bench, pages, inside);
			assert_int_equal(inside, OBJECT_FREE_NOT_OBJECT);
		}
		uint32_t other = (record.cache + 1) % CACHES;
		enum object_free_result wrong = cache_free(bench->objects, bench->caches[other], record.at, 0);
		assert_unchanged(bench, pages, wrong);
		assert_int_equal(wrong, OBJECT_FREE_WRONG_CACHE);

		record = give_back(bench, i, 0);
		pages = bench->pages.base.allocated_pages;
		enum object_free_result twice = free_at(bench, record.cache, record.at, 0);
		assert_unchanged(bench, pages, twice);
		assert_int_not_equal(twice, OBJECT_FREE_WRONG_CACHE);
		while (bench->count < 400)
			assert_true(take_random(bench, 0));
	}
	uint64_t pages = bench->pages.base.allocated_pages;
	vaddr nowhere[] = {vaddr_of(17), vaddr_of(bench->layout.direct_map - 8), vaddr_of(bench->layout.direct_map),
	                   vaddr_of(bench->layout.direct_map + ((uint64_t)FRAMES << PAGE_SHIFT)), vaddr_of(UINT64_MAX - 7)};
	for (size_t i = 0; i < sizeof nowhere / sizeof *nowhere; i++)
		assert_unchanged(bench, pages, object_kfree(bench->objects, nowhere[i], 0));
	give_everything_back(bench);
	bench_destroy(bench);
}

/* A double free right after a single allocation and free, when the object may lie in a list of one CPU. */
static void test_double_free_of_the_only_object(void **state)
{
	struct bench *bench = bench_create(*state, false);
	bench_make_caches(bench);
	for (uint32_t cache = 0; cache <= CACHES; cache++) {
		assert_true(take(bench, cache, cache < CACHES ? specs[cache].object_size : 64, GFP_KERNEL, 1));
		struct object_record record = give_back(bench, 0, 1);
		assert_unchanged(bench, bench->pages.base.allocated_pages, free_at(bench, cache, record.at, 0));
		assert_unchanged(bench, bench->pages.base.allocated_pages, free_at(bench, cache, record.at, 1));
	}
	give_everything_back(bench);
	bench_destroy(bench);
}

/* kmalloc's edges: nothing asked for, the smallest, around each power of two and a page, the largest block, one more. */
static void test_kmalloc_edges(void **state)
{
	struct bench *bench = bench_create(*state, false);
	bench_make_caches(bench);
	assert_int_equal(object_kfree(bench->objects, VADDR_NULL, 0), OBJECT_FREE_OK);
	assert_int_equal(object_kfree(bench->objects, ZERO_SIZE_PTR, 0), OBJECT_FREE_OK);
	assert_true(object_kmalloc(bench->objects, 0, GFP_KERNEL, 0).at.addr == ZERO_SIZE_PTR.addr);
	assert_int_equal(bench->pages.base.allocated_pages, 0);
	for (uint32_t power = 1; power <= 1u << 21; power *= 2)
		for (uint32_t size = power - 1; size <= power + 1; size++)
			if (size > 0)
				assert_true(take(bench, CACHES, size, GFP_KERNEL, 0));
	for (uint32_t size = 4070; size < 4100; size++)
		assert_true(take(bench, CACHES, size, GFP_KERNEL, 0));
	assert_true(take(bench, CACHES, 4u << 20, GFP_KERNEL, 0));
	uint64_t pages = bench->pages.base.allocated_pages;
	uint64_t held_large = bench->objects->ops->pages_large(bench->objects);
	assert_true(held_large >= 1024);
	uint32_t too_large[] = {(4u << 20) + 1, 8u << 20, 64u << 20, UINT32_MAX};
	for (size_t i = 0; i < 4; i++)
		assert_true(object_kmalloc(bench->objects, too_large[i], GFP_KERNEL, 0).at.addr == 0);
	assert_int_equal(bench->pages.base.allocated_pages, pages);
	check_state(bench);
	give_everything_back(bench);
	bench_destroy(bench);
}

/* In the kernel kfree() takes objects of any cache; the other way round is told as a wrong cache. */
static void test_kfree_of_cache_objects(void **state)
{
	struct bench *bench = bench_create(*state, false);
	bench_make_caches(bench);
	for (uint32_t cache = 0; cache < CACHES; cache++) {
		assert_true(take(bench, cache, specs[cache].object_size, GFP_KERNEL, 0));
		struct object_record record = bench->live[--bench->count];
		mark(bench, record.at, record.size, 1);
		bench->live_in_cache[cache]--;
		assert_int_equal(object_kfree(bench->objects, record.at, 0), OBJECT_FREE_OK);
		check_state(bench);
	}
	give_everything_back(bench);
	bench_destroy(bench);
}

/*
 * A cache that goes while objects are in it. As in the kernel the refused cache may stay for good; its objects can be freed, and
 * shrinking it gives its pages back.
 */
static void test_destroy_is_refused_while_objects_live(void **state)
{
	struct bench *bench = bench_create(*state, false);
	bench_make_caches(bench);
	for (uint32_t cache = 0; cache < CACHES; cache++)
		assert_true(take(bench, cache, specs[cache].object_size, GFP_KERNEL, 0));
	for (uint32_t cache = 0; cache < CACHES; cache++)
		assert_false(cache_destroy(bench->objects, bench->caches[cache], 0));
	check_state(bench);
	while (bench->count)
		give_back(bench, 0, 0);
	shrink_all(bench);
	check_state(bench);
	assert_int_equal(bench->pages.base.allocated_pages, 0);
	bench_destroy(bench);
}

/* A destroyed cache that is still shown or keeps pages, a refused spec that is accepted. */
static void test_cache_lifetime(void **state)
{
	struct bench *bench = bench_create(*state, false);
	bench_make_caches(bench);
	for (uint32_t round = 0; round < 3; round++) {
		struct cache_view view;
		for (uint32_t cache = 0; cache < CACHES; cache++) {
			assert_true(take(bench, cache, specs[cache].object_size, GFP_KERNEL, 0));
			give_back(bench, 0, 1);
			assert_true(cache_destroy(bench->objects, bench->caches[cache], 0));
			assert_false(bench->objects->ops->cache_view(bench->objects, bench->caches[cache], &view));
		}
		shrink_all(bench);
		assert_int_equal(bench->pages.base.allocated_pages, 0);
		bench_make_caches(bench);
	}
	struct cache_spec none = {.name = "none", .object_size = 0}, huge = {.name = "huge", .object_size = (4u << 20) + 1};
	assert_int_equal(cache_create(bench->objects, &none).nr, UINT32_MAX);
	assert_int_equal(cache_create(bench->objects, &huge).nr, UINT32_MAX);
	give_everything_back(bench);
	bench_destroy(bench);
}

#define BULK 300

/* Bulk calls: objects twice, counts that go wrong, a failed call that keeps some, kfree_bulk() of objects of several caches. */
static void test_bulk(void **state)
{
	struct bench *bench = bench_create(*state, false);
	bench_make_caches(bench);
	vaddr at[BULK], mixed[2 * CACHES];
	for (uint32_t cache = 0; cache < CACHES; cache++) {
		uint64_t live = bench->objects->live_objects;
		assert_true(cache_alloc_bulk(bench->objects, bench->caches[cache], GFP_KERNEL, BULK, at, 0));
		assert_int_equal(bench->objects->live_objects, live + BULK);
		for (uint32_t i = 0; i < BULK; i++)
			mark(bench, at[i], specs[cache].object_size, 0);
		object_allocator_check(bench->objects);
		for (uint32_t i = 2; i < BULK; i++)
			mark(bench, at[i], specs[cache].object_size, 1);
		assert_int_equal(cache_free_bulk(bench->objects, bench->caches[cache], BULK - 2, at + 2, 0), OBJECT_FREE_OK);
		assert_int_equal(bench->objects->live_objects, live + 2);
		mixed[2 * cache] = at[0];
		mixed[2 * cache + 1] = at[1];
		object_allocator_check(bench->objects);
		/* No memory on the way: nothing is kept. */
		bench->pages.fail_from = bench->pages.calls + 3;
		bench->pages.fail_to = UINT64_MAX;
		vaddr many[OBJECTS_MAX];
		live = bench->objects->live_objects;
		assert_false(cache_alloc_bulk(bench->objects, bench->caches[cache], GFP_KERNEL, OBJECTS_MAX, many, 1));
		assert_int_equal(bench->objects->live_objects, live);
		bench->pages.fail_to = 0;
		object_allocator_check(bench->objects);
	}
	assert_int_equal(cache_free_bulk(bench->objects, CACHE_NONE, 2 * (size_t)CACHES, mixed, 1), OBJECT_FREE_OK);
	assert_int_equal(bench->objects->live_objects, 0);
	shrink_all(bench);
	assert_int_equal(bench->pages.base.allocated_pages, 0);
	bench_destroy(bench);
}

/* A CPU that goes away: objects it had freed are lost, or live ones freed with them, or a second time breaks the state. */
static void test_cpu_dead(void **state)
{
	struct bench *bench = bench_create(*state, false);
	bench_make_caches(bench);
	for (uint32_t round = 0; round < 3; round++) {
		while (bench->count < 600)
			assert_true(take_random(bench, 1));
		while (bench->count > 100)
			give_back(bench, rng_below(&bench->rng, bench->count), 1);
		uint64_t live = bench->objects->live_objects;
		object_allocator_cpu_dead(bench->objects, 1, 0);
		assert_int_equal(bench->objects->live_objects, live);
		check_state(bench);
		while (bench->count < 300)
			assert_true(take_random(bench, 0));
		check_state(bench);
	}
	give_everything_back(bench);
	bench_destroy(bench);
}

/* A name that the caller frees after cache_create() must have been copied. */
static void test_cache_names_are_copied(void **state)
{
	struct bench *bench = bench_create(*state, false);
	char *name = xstrdup("short-lived");
	struct cache_spec spec = {.name = name, .object_size = 64};
	cache_id cache = cache_create(bench->objects, &spec);
	memset(name, 'x', strlen(name));
	free(name);
	struct cache_view view;
	assert_true(bench->objects->ops->cache_view(bench->objects, cache, &view));
	assert_string_equal(view.name, "short-lived");
	bench_destroy(bench);
}

/* Half-made slabs, counters that ran ahead, objects handed out of nothing when the page allocator refuses. */
static void run_with_refusals(const struct model *model, uint64_t from, uint64_t to)
{
	struct bench *bench = bench_create(model, false);
	bench_make_caches(bench);
	bench->pages.fail_from = from;
	bench->pages.fail_to = to;
	for (uint32_t op = 0; op < 300; op++) {
		if (bench->count && rng_below(&bench->rng, 3) == 0)
			give_back(bench, rng_below(&bench->rng, bench->count), op % 2);
		else
			take_random(bench, op % 2);
		if (bench->pages.calls + 2 >= from && bench->pages.calls <= from + 2)
			check_state(bench);
	}
	check_state(bench);
	bench->pages.fail_to = from;
	assert_true(take_random(bench, 0)); /* it has recovered */
	give_everything_back(bench);
	bench_destroy(bench);
}

static void test_refused_pages(void **state)
{
	for (uint64_t call = 1; call <= 60; call++) {
		run_with_refusals(*state, call, call + 1);
		run_with_refusals(*state, call, call + 7);
	}
	for (uint64_t call = 1; call <= 100; call += 11)
		run_with_refusals(*state, call, UINT64_MAX);
}

/* Two runs of the same calls that differ: an address, hash or uninitialised byte decided something. */
static void test_same_calls_same_addresses(void **state)
{
	uint64_t sums[2] = {0, 0};
	for (int run = 0; run < 2; run++) {
		struct bench *bench = bench_create(*state, false);
		bench_make_caches(bench);
		for (uint32_t op = 0; op < 5000; op++) {
			if (bench->count == 0 || rng_below(&bench->rng, 100) < 55)
				assert_true(take_random(bench, op % 2));
			else
				give_back(bench, rng_below(&bench->rng, bench->count), op % 2);
			if (bench->count)
				sums[run] = sums[run] * 31 + bench->live[bench->count - 1].at.addr;
		}
		bench_destroy(bench);
	}
	assert_true(sums[0] == sums[1]);
}

/* A model without a name, help or rows for its counters cannot be listed. */
static void test_table(void **state)
{
	const struct model *model = *state;
	assert_true(strlen(model->ops->name) > 0 && strlen(model->ops->help) > 0);
	struct bench *bench = bench_create(model, false);
	assert_ptr_equal(bench->objects->ops, model->ops);
	const void *counters = model->ops->counters(bench->objects);
	for (const struct metric *row = model->ops->metrics; row && row->name; row++) {
		assert_true(strlen(row->unit) > 0 && strlen(row->help) > 0);
		assert_int_equal(metric_value(row, counters), 0);
	}
	bench_destroy(bench);
}

static const struct {
	const char *name;
	CMUnitTestFunction function;
} laws[] = {
        {"table", test_table},
        {"mixed", test_mixed},
        {"locks_are_released_within_each_op", test_locks_are_released_within_each_op},
        {"recording_decides_nothing", test_recording_decides_nothing},
        {"wrong_frees", test_wrong_frees},
        {"double_free_of_the_only_object", test_double_free_of_the_only_object},
        {"kmalloc_edges", test_kmalloc_edges},
        {"kfree_of_cache_objects", test_kfree_of_cache_objects},
        {"destroy_is_refused_while_objects_live", test_destroy_is_refused_while_objects_live},
        {"cache_lifetime", test_cache_lifetime},
        {"bulk", test_bulk},
        {"cpu_dead", test_cpu_dead},
        {"cache_names_are_copied", test_cache_names_are_copied},
        {"refused_pages", test_refused_pages},
        {"same_calls_same_addresses", test_same_calls_same_addresses},
};
#define LAWS (sizeof laws / sizeof *laws)

int main(void)
{
	struct CMUnitTest tests[MODELS * LAWS];
	for (size_t i = 0; i < MODELS * LAWS; i++) {
		struct model *model = &models[i / LAWS];
		tests[i] = (struct CMUnitTest){
		        .name = xasprintf("%s: %s", model->ops->name, laws[i % LAWS].name),
		        .test_func = laws[i % LAWS].function,
		        .initial_state = model,
		};
	}
	int failed = cmocka_run_group_tests_name("object_allocator", tests, NULL, NULL);
	for (size_t i = 0; i < MODELS * LAWS; i++)
		free((void *)(uintptr_t)tests[i].name);
	return failed;
}
