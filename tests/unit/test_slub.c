/* SPDX-License-Identifier: MIT
 *
 * test_slub.c - SLUB's decisions, each by a small example worked by hand from Linux 6.1 mm/slub.c (the function is named), its
 * refusals, loading of states, and a random load under the sanity walker.
 *
 * Most examples use objects of 1 KiB in slabs of one page: four objects each. The test's page allocator hands out frames FIRST,
 * FIRST + 1 ..., so object i of the n-th slab is at(n, i).
 */
#include "tests/unit/test.h"

#include "models/object_allocator/slub.h"
#include "models/settings.h"
#include "sim/metric.h"
#include "sim/rng.h"
#include "tests/unit/frames.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST 0x100u
#define PER_SLAB 4u

struct fixture {
	struct settings settings;
	struct layout layout;
	struct steps steps;
	struct frames frames;
	struct object_allocator *objects;
	struct slub *slub;
	cache_id id;
	struct slub_cache *cache;
};

static cache_id create(struct fixture *f, const char *name, uint32_t size, uint32_t align, uint32_t flags)
{
	struct cache_spec spec = {.name = name, .object_size = size, .align = align, .flags = flags};
	return cache_create(f->objects, &spec);
}

static struct fixture *fixture_start(uint32_t cpus)
{
	struct fixture *f = calloc(1, sizeof *f);
	assert_non_null(f);
	settings_init(&f->settings);
	f->settings.machine.cpus = cpus;
	f->settings.kernel.slub_max_order = 0;
	f->settings.kernel.slub_cpu_partial = true;
	f->settings.kernel.slab_merge = false;
	f->settings.kernel.memcg_kmem = false;
	f->settings.kernel.slab_freelist_random = false;
	f->settings.kernel.slab_freelist_hardened = false;
	layout_init(&f->layout, 64);
	steps_init(&f->steps, false);
	frames_init(&f->frames, FIRST);
	return f;
}

static void fixture_open(struct fixture *f)
{
	struct object_allocator_wiring wiring = {
	        .settings = &f->settings, .pages = &f->frames.base, .layout = &f->layout, .steps = &f->steps};
	struct error error = {0};
	f->objects = object_allocator_slub_create(&wiring, &error);
	assert_non_null(f->objects);
	f->slub = slub_of(f->objects);
	assert_int_equal(f->frames.asked, 0); /* making the kmalloc caches takes no pages */
}

/* `cpus` CPUs and a cache of 1 KiB objects whose cpu partial lists may hold two slabs. */
static struct fixture *fixture_new(uint32_t cpus)
{
	struct fixture *f = fixture_start(cpus);
	fixture_open(f);
	f->id = create(f, "test", 1024, 0, 0);
	f->cache = f->slub->caches[f->id.nr];
	assert_int_equal(f->cache->geometry.objects, PER_SLAB);
	assert_true(slub_tune_cpu_partial(f->slub, f->cache, 4));
	assert_int_equal(f->cache->geometry.cpu_partial_slabs, 2);
	return f;
}

static void fixture_free(struct fixture *f)
{
	object_allocator_check(f->objects);
	object_allocator_destroy(f->objects);
	steps_release(&f->steps);
	settings_release(&f->settings);
	free(f);
}

static vaddr at(const struct fixture *f, uint32_t slab, uint32_t index)
{
	return vaddr_of(layout_page_address(&f->layout, pfn_of(FIRST + slab)).addr + index * 1024u);
}

/* Allocates on `cpu` and demands this object. */
static void gives(struct fixture *f, unsigned cpu, uint32_t slab, uint32_t index)
{
	struct object object = cache_alloc(f->objects, f->id, GFP_KERNEL, cpu);
	if (object.at.addr != at(f, slab, index).addr)
		fail_msg("got frame %x offset %x, expected slab %u object %u", layout_pfn_of(&f->layout, object.at).nr - FIRST,
		         (unsigned)(object.at.addr & 0xfff), slab, index);
	object_allocator_check(f->objects);
}

static void takes(struct fixture *f, unsigned cpu, uint32_t slab, uint32_t index)
{
	assert_int_equal(cache_free(f->objects, f->id, at(f, slab, index), cpu), OBJECT_FREE_OK);
	object_allocator_check(f->objects);
}

/* Fills slabs first .. last on `cpu`, object by object. */
static void fill(struct fixture *f, unsigned cpu, uint32_t first, uint32_t last)
{
	for (uint32_t slab = first; slab <= last; slab++)
		for (uint32_t i = 0; i < PER_SLAB; i++)
			gives(f, cpu, slab, i);
}

static void take_all(struct fixture *f, unsigned cpu, uint32_t slab)
{
	for (uint32_t i = 0; i < PER_SLAB; i++)
		takes(f, cpu, slab, i);
}

/* Slabs of a list as text, "3 0 1": numbers in the order the frames were handed out. */
static const char *list_of(const struct slub_slab *head)
{
	static char text[256];
	int length = 0;
	text[0] = '\0';
	for (const struct slub_slab *slab = head; slab; slab = slab->next)
		length +=
		        snprintf(text + length, sizeof text - (size_t)length, "%s%u", length ? " " : "", slab->first.nr - FIRST);
	return text;
}

static const char *node_list(const struct fixture *f)
{
	return list_of(f->cache->partial.head);
}

static const char *cpu_list(const struct fixture *f, unsigned cpu)
{
	return list_of(f->cache->cpus[cpu].partial);
}

static uint64_t count(const struct fixture *f, const char *name)
{
	for (const struct metric *metric = f->objects->ops->metrics; metric->name; metric++)
		if (strcmp(metric->name, name) == 0)
			return metric_value(metric, f->objects->ops->counters(f->objects));
	fail_msg("no metric %s", name);
	return 0;
}

/* ---- the CPU's own chain ---- */

/* allocate_slab, do_slab_free. Catches a fresh slab not in address order, a chain that is first in first out. */
static void fresh_slabs_ascend_and_frees_come_back_last_first(void **state)
{
	(void)state;
	struct fixture *f = fixture_new(1);
	fill(f, 0, 0, 0);
	gives(f, 0, 1, 0);
	gives(f, 0, 1, 1);
	takes(f, 0, 1, 0);
	takes(f, 0, 1, 1);
	gives(f, 0, 1, 1);
	gives(f, 0, 1, 0);
	gives(f, 0, 1, 2);
	assert_int_equal(count(f, "alloc_slab"), 2);
	assert_int_equal(count(f, "alloc_slowpath"), 2);
	assert_int_equal(count(f, "alloc_fastpath"), 7);
	assert_int_equal(count(f, "free_fastpath"), 2);
	assert_int_equal(count(f, "deactivate_bypass"), 1);
	fixture_free(f);
}

/* get_freelist. Catches taking a partial slab before what others freed into the CPU's own slab. */
static void the_slabs_own_chain_comes_before_partial_slabs(void **state)
{
	(void)state;
	struct fixture *f = fixture_new(2);
	fill(f, 0, 0, 0);
	gives(f, 0, 1, 0);
	gives(f, 0, 1, 1);
	takes(f, 0, 0, 2); /* slab 0 was full: now it is cpu 0's partial slab */
	takes(f, 1, 1, 0); /* from the other cpu, into the slab's own chain */
	takes(f, 1, 1, 1);
	assert_int_equal(count(f, "free_frozen"), 2);
	gives(f, 0, 1, 2); /* first the cpu's chain ... */
	gives(f, 0, 1, 3);
	gives(f, 0, 1, 1); /* ... then the slab's, last in first out ... */
	gives(f, 0, 1, 0);
	gives(f, 0, 0, 2); /* ... then the partial slab, then a fresh one */
	gives(f, 0, 2, 0);
	assert_int_equal(count(f, "alloc_refill"), 2);
	assert_int_equal(count(f, "cpu_partial_alloc"), 1);
	fixture_free(f);
}

/* ---- cpu partial lists ---- */

/* __slab_free, put_cpu_partial. Catches appending instead of pushing, and moving a slab that is there already. */
static void cpu_partial_is_last_in_first_out(void **state)
{
	(void)state;
	struct fixture *f = fixture_new(1);
	fill(f, 0, 0, 2);
	gives(f, 0, 3, 0);
	takes(f, 0, 0, 3);
	takes(f, 0, 1, 1);
	takes(f, 0, 0, 1);
	assert_string_equal(cpu_list(f, 0), "1 0");
	assert_int_equal(count(f, "cpu_partial_free"), 2);
	assert_int_equal(count(f, "free_frozen"), 1);
	for (uint32_t i = 1; i < PER_SLAB; i++)
		gives(f, 0, 3, i);
	gives(f, 0, 1, 1);
	gives(f, 0, 0, 1);
	gives(f, 0, 0, 3);
	fixture_free(f);
}

/* put_cpu_partial, __unfreeze_partials. Catches a limit off by one, a drain of one slab only, a drain to the list's head or from
 * the chain's tail, and a drain that takes the new slab along. */
static void a_full_cpu_partial_list_goes_to_the_nodes_tail(void **state)
{
	(void)state;
	struct fixture *f = fixture_new(1);
	fill(f, 0, 0, 4);
	gives(f, 0, 5, 0);
	takes(f, 0, 0, 0);
	takes(f, 0, 1, 0);
	assert_string_equal(cpu_list(f, 0), "1 0");
	assert_string_equal(node_list(f), "");
	takes(f, 0, 2, 0);
	assert_string_equal(cpu_list(f, 0), "2");
	assert_string_equal(node_list(f), "1 0");
	takes(f, 0, 3, 0);
	takes(f, 0, 4, 0);
	assert_string_equal(cpu_list(f, 0), "4");
	assert_string_equal(node_list(f), "1 0 3 2");
	assert_int_equal(count(f, "cpu_partial_drain"), 2);
	assert_int_equal(count(f, "free_add_partial"), 4);
	fixture_free(f);
}

/* __unfreeze_partials. Catches keeping or giving back one empty slab too many, and the order in which they are given back. */
static void a_drain_gives_back_empty_slabs_beyond_min_partial(void **state)
{
	(void)state;
	struct fixture *f = fixture_new(1);
	slub_tune_min_partial(f->cache, 2);
	assert_true(slub_tune_cpu_partial(f->slub, f->cache, 8)); /* four slabs */
	fill(f, 0, 0, 4);
	gives(f, 0, 5, 0);
	take_all(f, 0, 0);
	take_all(f, 0, 1);
	takes(f, 0, 2, 0);
	take_all(f, 0, 3);
	takes(f, 0, 4, 0); /* the fifth: 3 2 1 0 are unfrozen; 3 stays (none there), 2 has objects, then 2 are there: 1 and 0 go,
	                      0 first */
	assert_string_equal(node_list(f), "3 2");
	assert_int_equal(f->frames.given, 2);
	assert_int_equal(f->frames.given_frame[0], FIRST + 0);
	assert_int_equal(f->frames.given_frame[1], FIRST + 1);
	assert_int_equal(count(f, "deactivate_empty"), 2);
	assert_int_equal(count(f, "free_slab"), 2);
	fixture_free(f);
}

/* ---- the node's partial list ---- */

/* get_partial_node. Catches refilling from the tail, taking one slab too few or too many, and the order they get on the cpu. */
static void a_refill_takes_slabs_until_more_than_half(void **state)
{
	(void)state;
	struct fixture *f = fixture_new(2);
	fill(f, 0, 0, 7);
	gives(f, 0, 8, 0);
	for (uint32_t slab = 0; slab < 7; slab++)
		takes(f, 0, slab, slab % PER_SLAB);
	assert_string_equal(node_list(f), "1 0 3 2 5 4");
	assert_string_equal(cpu_list(f, 0), "6");
	gives(f, 1, 1, 1); /* cpu 1 has nothing: the head becomes its slab, 0 and 3 its partial slabs: 2 > 2 / 2 */
	assert_string_equal(node_list(f), "2 5 4");
	assert_string_equal(cpu_list(f, 1), "3 0");
	assert_int_equal(count(f, "alloc_from_partial"), 1);
	assert_int_equal(count(f, "cpu_partial_node"), 2);
	gives(f, 1, 3, 3);
	gives(f, 1, 0, 0);
	gives(f, 1, 2, 2);
	assert_string_equal(cpu_list(f, 1), "4 5");
	fixture_free(f);
}

/* get_partial_node. Catches half of one slab taken for a whole one, so that two would come. */
static void a_refill_with_a_limit_of_one_takes_one(void **state)
{
	(void)state;
	struct fixture *f = fixture_new(2);
	assert_true(slub_tune_cpu_partial(f->slub, f->cache, 2)); /* one slab: half of it is 0, so one is taken */
	fill(f, 0, 0, 3);
	gives(f, 0, 4, 0);
	for (uint32_t slab = 0; slab < 4; slab++)
		takes(f, 0, slab, 0);
	assert_string_equal(node_list(f), "0 1 2");
	gives(f, 1, 0, 0);
	assert_string_equal(cpu_list(f, 1), "1");
	assert_string_equal(node_list(f), "2");
	assert_int_equal(count(f, "cpu_partial_drain"), 3);
	fixture_free(f);
}

/* __slab_free. Catches an empty slab on the node's list that stays although there are min_partial others, or goes too early. */
static void an_emptied_slab_on_the_node_list_leaves_if_enough_remain(void **state)
{
	(void)state;
	struct fixture *f = fixture_new(1);
	fill(f, 0, 0, 3);
	gives(f, 0, 4, 0);
	for (uint32_t slab = 0; slab < 3; slab++)
		takes(f, 0, slab, 0);
	assert_string_equal(node_list(f), "1 0");
	slub_tune_min_partial(f->cache, 3);
	for (uint32_t i = 1; i < PER_SLAB; i++)
		takes(f, 0, 1, i); /* 2 < 3: stays, where it is */
	assert_string_equal(node_list(f), "1 0");
	slub_tune_min_partial(f->cache, 2);
	for (uint32_t i = 1; i < PER_SLAB; i++)
		takes(f, 0, 0, i); /* the list counts the slab itself: 2 >= 2 */
	assert_string_equal(node_list(f), "1");
	assert_int_equal(f->frames.given, 1);
	assert_int_equal(f->frames.given_frame[0], FIRST + 0);
	assert_int_equal(count(f, "free_remove_partial"), 1);
	assert_int_equal(cache_free(f->objects, f->id, at(f, 0, 0), 0), OBJECT_FREE_NOT_OBJECT);
	fixture_free(f);
}

/* __slab_free without CONFIG_SLUB_CPU_PARTIAL. Catches the list's head instead of its tail, and slabs on cpu partial lists. */
static void without_cpu_partial_slabs_go_to_the_nodes_tail_at_once(void **state)
{
	(void)state;
	struct fixture *f = fixture_start(2);
	f->settings.kernel.slub_cpu_partial = false;
	fixture_open(f);
	f->id = create(f, "test", 1024, 0, 0);
	f->cache = f->slub->caches[f->id.nr];
	assert_false(slub_tune_cpu_partial(f->slub, f->cache, 4));
	fill(f, 0, 0, 2);
	gives(f, 0, 3, 0);
	takes(f, 0, 1, 0);
	takes(f, 0, 0, 2);
	takes(f, 0, 2, 0);
	assert_string_equal(node_list(f), "1 0 2");
	gives(f, 1, 1, 0); /* one slab, not several */
	assert_string_equal(node_list(f), "0 2");
	assert_string_equal(cpu_list(f, 1), "");
	slub_tune_min_partial(f->cache, 2);
	takes(f, 0, 0, 0);
	takes(f, 0, 0, 1);
	takes(f, 0, 0, 3);
	assert_string_equal(node_list(f), "2");
	slub_flush_cpu(f->slub, f->cache, 0);
	slub_flush_cpu(f->slub, f->cache, 1);
	fixture_free(f);
}

/* ---- flushing, shrinking, destroying ---- */

/* deactivate_slab. Catches head and tail exchanged, and a chain spliced behind the slab's own. */
static void a_flushed_slab_goes_to_the_head_or_with_remote_frees_to_the_tail(void **state)
{
	(void)state;
	struct fixture *f = fixture_new(3);
	gives(f, 0, 0, 0);
	gives(f, 1, 1, 0);
	gives(f, 2, 2, 0);
	slub_flush_cpu(f->slub, f->cache, 0);
	assert_string_equal(node_list(f), "0");
	slub_flush_cpu(f->slub, f->cache, 1);
	assert_string_equal(node_list(f), "1 0");
	gives(f, 2, 2, 1);
	gives(f, 2, 2, 2);
	takes(f, 0, 2, 1); /* from another cpu */
	takes(f, 0, 2, 0);
	slub_flush_cpu(f->slub, f->cache, 2);
	assert_string_equal(node_list(f), "1 0 2");
	/* the cpu's chain (3), then the slab's own (0 1) */
	const struct slub_slab *slab = f->cache->partial.tail;
	assert_int_equal(slab->freelist, 3);
	assert_int_equal(slab->links[3], 0);
	assert_int_equal(slab->links[0], 1);
	assert_int_equal(slab->inuse, 1);
	assert_int_equal(count(f, "deactivate_to_head"), 2);
	assert_int_equal(count(f, "deactivate_to_tail"), 1);
	assert_int_equal(count(f, "deactivate_remote_frees"), 1);
	assert_int_equal(count(f, "cpuslab_flush"), 3);
	fixture_free(f);
}

/* deactivate_slab. Catches an empty slab that stays beyond min_partial, and a full one put on the list. */
static void flushing_empty_and_full_slabs(void **state)
{
	(void)state;
	struct fixture *f = fixture_new(3);
	slub_tune_min_partial(f->cache, 1);
	gives(f, 0, 0, 0);
	takes(f, 0, 0, 0);
	gives(f, 1, 1, 0);
	takes(f, 1, 1, 0);
	fill(f, 2, 2, 2);
	slub_flush_cpu(f->slub, f->cache, 0); /* nothing on the list: stays */
	slub_flush_cpu(f->slub, f->cache, 1); /* one there: leaves */
	slub_flush_cpu(f->slub, f->cache, 2);
	assert_string_equal(node_list(f), "0");
	assert_int_equal(f->frames.given, 1);
	assert_int_equal(f->frames.given_frame[0], FIRST + 1);
	assert_int_equal(count(f, "deactivate_full"), 1);
	assert_int_equal(count(f, "deactivate_empty"), 1);
	assert_int_equal(count(f, "deactivate_to_head"), 1);
	takes(f, 0, 2, 1); /* the full one comes back by a free */
	assert_string_equal(cpu_list(f, 0), "2");
	fixture_free(f);
}

/* __kmem_cache_do_shrink. Catches slabs sorted the other way or not turned round within a class, and empty ones given back in the
 * wrong order. */
static void shrink_sorts_by_free_objects_and_gives_back_the_empty(void **state)
{
	(void)state;
	struct fixture *f = fixture_new(1);
	assert_true(slub_tune_cpu_partial(f->slub, f->cache, 200));
	slub_tune_min_partial(f->cache, 20);
	fill(f, 0, 0, 6);
	gives(f, 0, 7, 0);
	static const uint32_t free_objects[] = {2, 1, 4, 3, 1, 4, 2};
	for (uint32_t slab = 0; slab < 7; slab++)
		for (uint32_t i = 0; i < free_objects[slab]; i++)
			takes(f, 0, slab, i);
	assert_string_equal(cpu_list(f, 0), "6 5 4 3 2 1 0");
	/* Flushed: 7 to the head, then the cpu partial list to the tail: 7(3) 6(2) 5(4) 4(1) 3(3) 2(4) 1(1) 0(2). */
	f->objects->ops->cache_shrink(f->objects, f->id, 0);
	assert_string_equal(node_list(f), "1 4 0 6 3 7");
	assert_int_equal(f->frames.given, 2);
	assert_int_equal(f->frames.given_frame[0], FIRST + 2);
	assert_int_equal(f->frames.given_frame[1], FIRST + 5);
	assert_int_equal(count(f, "shrink_slab"), 2);
	assert_int_equal(count(f, "free_slab"), 0);
	fixture_free(f);
}

/* SHRINK_PROMOTE_MAX is 32. Catches sorting slabs with more free objects, which must stay behind in their order. */
static void shrink_leaves_slabs_with_more_than_32_free_in_order(void **state)
{
	(void)state;
	struct fixture *f = fixture_start(1);
	fixture_open(f);
	f->id = create(f, "small", 64, 64, 0);
	f->cache = f->slub->caches[f->id.nr];
	vaddr object[4 * 64];
	for (uint32_t i = 0; i < 4 * 64; i++)
		object[i] = cache_alloc(f->objects, f->id, GFP_KERNEL, 0).at;
	static const uint32_t free_objects[] = {33, 40, 32, 34};
	for (uint32_t slab = 0; slab < 4; slab++)
		for (uint32_t i = 0; i < free_objects[slab]; i++)
			assert_int_equal(cache_free(f->objects, f->id, object[slab * 64 + i], 0), OBJECT_FREE_OK);
	/* Slab 3 was the cpu's: it is flushed to the head. */
	f->objects->ops->cache_shrink(f->objects, f->id, 0);
	assert_string_equal(node_list(f), "2 3 1 0");
	fixture_free(f);
}

/* kmem_cache_destroy. Catches a cache destroyed under live objects, lost pages, and descriptors that are never used again. */
static void destroy_refuses_while_objects_live(void **state)
{
	(void)state;
	struct fixture *f = fixture_new(2);
	fill(f, 0, 0, 1);
	gives(f, 1, 2, 0);
	take_all(f, 0, 0);
	takes(f, 1, 2, 0);
	assert_false(cache_destroy(f->objects, f->id, 0));
	object_allocator_check(f->objects);
	assert_ptr_equal(f->slub->caches[f->id.nr], f->cache);
	assert_int_equal(f->objects->ops->pages_held(f->objects), 1);
	assert_int_equal(f->frames.given, 2);
	assert_int_equal(f->frames.given_frame[0], FIRST + 0); /* added at the tail after 2, so it goes first */
	assert_false(cache_destroy(f->objects, f->id, 0));
	take_all(f, 0, 1); /* what lives can still be freed */
	fixture_free(f);

	f = fixture_new(1);
	uint64_t used = f->layout.kernel_data_used, per_cpu = f->layout.per_cpu_used;
	for (int i = 0; i < 100; i++) {
		struct object object = cache_alloc(f->objects, f->id, GFP_KERNEL, 0);
		assert_int_equal(cache_free(f->objects, f->id, object.at, 0), OBJECT_FREE_OK);
		assert_true(cache_destroy(f->objects, f->id, 0));
		object_allocator_check(f->objects);
		struct cache_view view;
		assert_false(f->objects->ops->cache_view(f->objects, f->id, &view));
		assert_int_equal(f->objects->ops->pages_held(f->objects), 0);
		f->id = create(f, "again", 1024, 0, 0);
	}
	assert_int_equal(f->layout.kernel_data_used, used);
	assert_int_equal(f->layout.per_cpu_used, per_cpu);
	assert_int_equal(count(f, "alloc_slab"), 100); /* the counts of destroyed caches are kept */
	fixture_free(f);
}

/* ---- slabs from the page allocator ---- */

/* allocate_slab, new_slab. Catches flags that must not reach the page allocator, or that must and do not. */
static void gfp_flags_of_a_slab(void **state)
{
	(void)state;
	struct fixture *f = fixture_start(1);
	f->settings.kernel.slub_max_order = 3;
	fixture_open(f);
	/* 512 bytes, one CPU: eight in a page, the smallest order too, so the reclaim bits stay. */
	f->id = create(f, "plain", 512, 512, SLAB_RECLAIM_ACCOUNT);
	cache_alloc(f->objects, f->id, GFP_KERNEL | __GFP_ZERO | __GFP_ACCOUNT | __GFP_NOFAIL | __GFP_HIGHMEM | __GFP_MOVABLE, 0);
	assert_int_equal(f->frames.asked_flags[0], GFP_KERNEL | __GFP_NOWARN | __GFP_NORETRY | __GFP_RECLAIMABLE);
	/* 1 KiB: order 1, above the smallest: the first try may not reclaim. */
	f->id = create(f, "higher", 1024, 1024, SLAB_CACHE_DMA);
	cache_alloc(f->objects, f->id, GFP_KERNEL, 0);
	assert_int_equal(f->frames.asked_order[1], 1);
	assert_int_equal(f->frames.asked_flags[1],
	                 __GFP_IO | __GFP_FS | __GFP_NOWARN | __GFP_NORETRY | __GFP_NOMEMALLOC | __GFP_COMP | __GFP_DMA);
	/* An atomic request keeps what it has: kswapd's wake-up too. */
	f->id = create(f, "atomic", 1024, 1024, SLAB_CACHE_DMA32);
	cache_alloc(f->objects, f->id, GFP_ATOMIC, 0);
	assert_int_equal(f->frames.asked_flags[2], GFP_ATOMIC | __GFP_NOWARN | __GFP_NORETRY | __GFP_COMP | __GFP_DMA32);
	fixture_free(f);
}

/* allocate_slab. Catches a second try of the same order, with the first one's flags, or objects counted as of the higher order.
 */
static void the_smallest_order_is_tried_when_memory_is_short(void **state)
{
	(void)state;
	struct fixture *f = fixture_start(1);
	f->settings.kernel.slub_max_order = 3;
	fixture_open(f);
	f->id = create(f, "test", 1024, 1024, 0);
	f->cache = f->slub->caches[f->id.nr];
	f->frames.fail_from_order = 1;
	fill(f, 0, 0, 0);
	assert_int_equal(f->frames.asked, 2);
	assert_int_equal(f->frames.asked_order[0], 1);
	assert_int_equal(f->frames.asked_order[1], 0);
	assert_int_equal(f->frames.asked_flags[1], GFP_KERNEL | __GFP_COMP);
	assert_int_equal(count(f, "order_fallback"), 1);
	assert_int_equal(f->cache->total_objects, 4);
	f->frames.fail_from_order = 0;
	struct object none = cache_alloc(f->objects, f->id, GFP_KERNEL, 0);
	assert_int_equal(none.at.addr, 0);
	assert_int_equal(count(f, "alloc_failed"), 1);
	f->frames.fail_from_order = ORDERS;
	assert_int_not_equal(cache_alloc(f->objects, f->id, GFP_KERNEL, 0).at.addr, 0);
	assert_int_equal(f->cache->total_objects, 12);
	assert_int_equal(f->objects->ops->pages_held(f->objects), 3);
	fixture_free(f);
}

/* ---- shuffled and hardened free lists ---- */

/* Whether `got` is the cache's sequence from some place on, without the objects a slab of `count` objects does not have. */
static bool is_turn_of(const struct slub_cache *cache, const uint32_t *got, uint32_t count)
{
	uint32_t total = cache->geometry.objects;
	for (uint32_t start = 0; start < total; start++) {
		uint32_t equal = 0;
		for (uint32_t i = 0; i < total; i++) {
			uint32_t index = cache->random_seq[(start + i) % total];
			if (index >= count)
				continue;
			if (index != got[equal])
				break;
			equal++;
		}
		if (equal == count)
			return true;
	}
	return false;
}

/* Takes all objects of one fresh slab; their numbers in it in the order they came. */
static void take_fresh(struct fixture *f, uint32_t count, uint32_t *got)
{
	uint64_t first, objects[64] = {0};
	for (uint32_t i = 0; i < count; i++)
		objects[i] = cache_alloc(f->objects, f->id, GFP_KERNEL, 0).at.addr;
	first = slub_first_object(f->slub, slub_slab_of(f->slub, vaddr_of(objects[0])));
	for (uint32_t i = 0; i < count; i++)
		got[i] = (uint32_t)(objects[i] - first) / f->cache->geometry.size;
}

/*
 * init_cache_random_seq, shuffle_freelist, next_freelist_entry: one permutation for a cache, which each slab enters at a place of
 * its own. Catches a new order for each slab, one place for all, objects twice or never, and a smaller slab with objects beyond
 * its end.
 */
static void shuffled_slabs_are_turns_of_one_sequence(void **state)
{
	(void)state;
	struct fixture *f = fixture_start(4);
	f->settings.kernel.slab_freelist_random = true;
	f->settings.kernel.slub_max_order = 3;
	fixture_open(f);
	f->id = create(f, "test", 512, 512, 0);
	f->cache = f->slub->caches[f->id.nr];
	uint32_t total = f->cache->geometry.objects, seen = 0, starts = 0, got[64];
	assert_true(total > f->cache->geometry.min_objects && total <= 32);
	for (uint32_t i = 0; i < total; i++)
		seen |= 1u << f->cache->random_seq[i];
	assert_int_equal(seen, (uint32_t)((1ull << total) - 1));
	for (uint32_t slab = 0; slab < 32; slab++) {
		take_fresh(f, total, got);
		assert_true(is_turn_of(f->cache, got, total));
		starts |= 1u << got[0];
	}
	assert_true(__builtin_popcount(starts) > 4);
	f->frames.fail_from_order = 1;
	for (uint32_t slab = 0; slab < 32; slab++) {
		take_fresh(f, f->cache->geometry.min_objects, got);
		assert_true(is_turn_of(f->cache, got, f->cache->geometry.min_objects));
	}
	/* Two caches of one kind have two orders, and one object makes no order. */
	const struct slub_cache *other = f->slub->caches[create(f, "other", 512, 512, 0).nr];
	assert_memory_not_equal(other->random_seq, f->cache->random_seq, total * sizeof *other->random_seq);
	assert_null(f->slub->caches[create(f, "one", 1u << 22, 0, 0).nr]->random_seq);
	fixture_free(f);
}

static uint64_t cycles_of(struct fixture *f)
{
	uint64_t cycles = 0;
	steps_clear(&f->steps);
	vaddr object = cache_alloc(f->objects, f->id, GFP_KERNEL, 0).at;
	cache_free(f->objects, f->id, object, 0);
	for (uint32_t i = 0; i < f->steps.count; i++)
		cycles += f->steps.at[i].kind == STEP_SPEND ? f->steps.at[i].bytes : 0;
	return cycles;
}

/*
 * freelist_ptr(): hardening moves no object; the fast paths read a pointer in the allocation, read and write one in the free.
 * Catches an order that hardening changes, and a pointer that costs nothing.
 */
static void hardened_pointers_cost_cycles_only(void **state)
{
	(void)state;
	uint64_t cycles[2], address[2];
	for (unsigned hardened = 0; hardened < 2; hardened++) {
		struct fixture *f = fixture_start(1);
		f->settings.kernel.slab_freelist_hardened = hardened;
		f->settings.cost.freelist_decode = 100;
		fixture_open(f);
		f->id = create(f, "test", 1024, 0, 0);
		cache_alloc(f->objects, f->id, GFP_KERNEL, 0);
		f->steps.recording = true;
		cycles[hardened] = cycles_of(f);
		address[hardened] = cache_alloc(f->objects, f->id, GFP_KERNEL, 0).at.addr;
		fixture_free(f);
	}
	assert_int_equal(cycles[1] - cycles[0], 3 * 100);
	assert_int_equal(address[0], address[1]);
}

/* ---- caches with debugging ---- */

/* alloc_single_from_partial, alloc_single_from_new_slab, free_to_partial_list. Catches cpu slabs, a fresh slab at the tail, a
 * slab that was full at the head, and objects that do not begin behind their red zone. */
static void debug_caches_work_on_the_node_list_only(void **state)
{
	(void)state;
	struct fixture *f = fixture_start(1);
	fixture_open(f);
	f->id = create(f, "debug", 1000, 8, SLAB_RED_ZONE | SLAB_CONSISTENCY_CHECKS);
	f->cache = f->slub->caches[f->id.nr];
	/* 1000, a word for the zone behind (1000 is a multiple of 8), a word more, 8 before: 1024 */
	assert_int_equal(f->cache->geometry.size, 1024);
	assert_int_equal(f->cache->geometry.red_left_pad, 8);
	vaddr object[9];
	for (uint32_t i = 0; i < 9; i++) {
		object[i] = cache_alloc(f->objects, f->id, GFP_KERNEL, 0).at;
		assert_int_equal(object[i].addr, at(f, i / 4, i % 4).addr + 8);
		assert_null(f->cache->cpus[0].slab);
		object_allocator_check(f->objects);
	}
	assert_string_equal(node_list(f), "2");
	assert_int_equal(cache_free(f->objects, f->id, vaddr_of(object[0].addr - 8), 0), OBJECT_FREE_NOT_OBJECT);
	assert_int_equal(cache_free(f->objects, f->id, object[5], 0), OBJECT_FREE_OK);
	assert_int_equal(cache_free(f->objects, f->id, object[0], 0), OBJECT_FREE_OK);
	assert_string_equal(node_list(f), "2 1 0");
	slub_tune_min_partial(f->cache, 3);
	assert_int_equal(cache_free(f->objects, f->id, object[8], 0), OBJECT_FREE_OK); /* empty, and three are enough */
	assert_string_equal(node_list(f), "1 0");
	assert_int_equal(cache_alloc(f->objects, f->id, GFP_KERNEL, 0).at.addr, object[5].addr);
	assert_string_equal(node_list(f), "0");
	assert_int_equal(f->objects->ops->ksize(f->objects, object[5]), 1000);
	fixture_free(f);
}

/* The setting reaches the caches: kmalloc caches too, a named one alone. Catches a model that ignores kernel.slub_debug. */
static void debugging_by_setting(void **state)
{
	(void)state;
	struct fixture *f = fixture_start(1);
	char text[] = "Z,test,kmalloc-1k";
	f->settings.kernel.slub_debug = text;
	fixture_open(f);
	f->id = create(f, "test", 1000, 8, 0);
	f->cache = f->slub->caches[f->id.nr];
	assert_true(f->cache->debug);
	assert_int_equal(f->cache->geometry.size, 1024);
	assert_false(f->slub->caches[create(f, "other", 1000, 8, 0).nr]->debug);
	vaddr object = cache_alloc(f->objects, f->id, GFP_KERNEL, 0).at;
	assert_int_equal(object.addr, at(f, 0, 0).addr + 8);
	/* 1024, a word of red zone, and 1024 on the left to keep the alignment: 3072 */
	assert_int_equal(object_kmalloc(f->objects, 1000, GFP_KERNEL, 0).bytes_alloc, 3072);
	assert_int_equal(object_kmalloc(f->objects, 500, GFP_KERNEL, 0).bytes_alloc, 512);
	f->settings.kernel.slub_debug = NULL;
	fixture_free(f);
	f = fixture_start(1);
	char wrong[] = "Z?";
	f->settings.kernel.slub_debug = wrong;
	struct object_allocator_wiring wiring = {
	        .settings = &f->settings, .pages = &f->frames.base, .layout = &f->layout, .steps = &f->steps};
	struct error error = {0};
	assert_null(object_allocator_slub_create(&wiring, &error));
	assert_int_equal(error.kind, ERROR_USAGE);
	f->settings.kernel.slub_debug = NULL;
	settings_release(&f->settings);
	free(f);
}

/* ---- bulk calls ---- */

/* build_detached_freelist, slab_free_freelist_hook. Catches a chain in the array's order, and an array not searched on. */
static void bulk_frees_make_one_chain_for_each_slab(void **state)
{
	(void)state;
	struct fixture *f = fixture_new(1);
	fill(f, 0, 0, 1);
	gives(f, 0, 2, 0);
	vaddr objects[] = {at(f, 0, 0), at(f, 1, 0), at(f, 0, 1), at(f, 1, 1), at(f, 0, 2)};
	assert_int_equal(slub_free_bulk(f->slub, f->id, 5, objects, 0), OBJECT_FREE_OK);
	object_allocator_check(f->objects);
	/*
	 * From the end: slab 0 with 2, 1, 0 (the array's last first). Bringing 1 and 0 there by exchange has left the array
	 * as 1.1 1.0, so slab 1 follows with 0, 1. Both were full: cpu partial, 1 on top.
	 */
	assert_int_equal(count(f, "free_slowpath"), 2);
	assert_int_equal(count(f, "free_bulk"), 3);
	assert_string_equal(cpu_list(f, 0), "1 0");
	for (uint32_t i = 1; i < PER_SLAB; i++)
		gives(f, 0, 2, i);
	gives(f, 0, 1, 0);
	gives(f, 0, 1, 1);
	gives(f, 0, 0, 2);
	gives(f, 0, 0, 1);
	gives(f, 0, 0, 0);
	fixture_free(f);
}

/* build_detached_freelist: after three objects of other slabs the search ends. Catches a lookahead off by one. */
static void bulk_frees_look_past_two_others(void **state)
{
	(void)state;
	struct fixture *f = fixture_new(1);
	fill(f, 0, 0, 1);
	gives(f, 0, 2, 0);
	vaddr two[] = {at(f, 0, 0), at(f, 1, 0), at(f, 1, 1), at(f, 0, 1)};
	assert_int_equal(slub_free_bulk(f->slub, f->id, 4, two, 0), OBJECT_FREE_OK);
	assert_int_equal(count(f, "free_slowpath"), 2);
	fixture_free(f);
	f = fixture_new(1);
	fill(f, 0, 0, 1);
	gives(f, 0, 2, 0);
	vaddr three[] = {at(f, 0, 0), at(f, 1, 0), at(f, 1, 1), at(f, 1, 2), at(f, 0, 1)};
	assert_int_equal(slub_free_bulk(f->slub, f->id, 5, three, 0), OBJECT_FREE_OK);
	assert_int_equal(count(f, "free_slowpath"), 3);
	fixture_free(f);
}

/* Catches a bulk free that has done something before it finds a wrong object, also one that stands in the array twice. */
static void wrong_bulk_frees_change_nothing(void **state)
{
	(void)state;
	struct fixture *f = fixture_new(1);
	fill(f, 0, 0, 1);
	vaddr twice[] = {at(f, 0, 0), at(f, 1, 0), at(f, 0, 0)};
	assert_int_equal(slub_free_bulk(f->slub, f->id, 3, twice, 0), OBJECT_FREE_NOT_ALLOCATED);
	object_allocator_check(f->objects);
	vaddr inside[] = {at(f, 0, 0), vaddr_of(at(f, 1, 0).addr + 8)};
	assert_int_equal(slub_free_bulk(f->slub, f->id, 2, inside, 0), OBJECT_FREE_NOT_OBJECT);
	object_allocator_check(f->objects);
	assert_int_equal(f->objects->live_objects, 8);
	vaddr large = object_kmalloc(f->objects, 10000, GFP_KERNEL, 0).at;
	vaddr mixed[] = {large, at(f, 1, 1), large};
	assert_int_equal(slub_free_bulk(f->slub, CACHE_NONE, 3, mixed, 0), OBJECT_FREE_NOT_ALLOCATED);
	assert_int_equal(slub_free_bulk(f->slub, CACHE_NONE, 2, mixed, 0), OBJECT_FREE_OK);
	assert_int_equal(f->objects->live_objects, 7);
	assert_int_equal(f->objects->ops->pages_large(f->objects), 0);
	assert_int_equal(count(f, "wrong_frees"), 3);
	fixture_free(f);
}

/* kmem_cache_alloc_bulk. Catches objects kept when memory runs out on the way, and fast-path counts for bulk objects. */
static void bulk_allocations_give_all_or_nothing(void **state)
{
	(void)state;
	struct fixture *f = fixture_new(1);
	vaddr objects[16];
	assert_true(slub_alloc_bulk(f->slub, f->id, GFP_KERNEL, 6, objects, 0));
	object_allocator_check(f->objects);
	for (uint32_t i = 0; i < 6; i++)
		assert_int_equal(objects[i].addr, at(f, i / 4, i % 4).addr);
	assert_int_equal(count(f, "alloc_fastpath"), 0);
	assert_int_equal(count(f, "alloc_slowpath"), 2);
	assert_int_equal(count(f, "alloc_bulk"), 4);
	assert_int_equal(f->objects->live_objects, 6);
	f->frames.fail_from_order = 0;
	assert_false(slub_alloc_bulk(f->slub, f->id, GFP_KERNEL, 3, objects + 6, 0));
	object_allocator_check(f->objects);
	assert_int_equal(f->objects->live_objects, 6);
	assert_int_equal(slub_cache_live(f->cache), 6);
	assert_true(slub_alloc_bulk(f->slub, f->id, GFP_KERNEL, 2, objects + 6, 0));
	fixture_free(f);
}

/* ---- kmalloc ---- */

/* Catches kmalloc(0), sizes at the border to whole pages, what the tracepoint prints, and the cache that is told. */
static void kmalloc_and_kfree(void **state)
{
	(void)state;
	struct fixture *f = fixture_new(1);
	struct object zero = object_kmalloc(f->objects, 0, GFP_KERNEL, 0);
	assert_int_equal(zero.at.addr, ZERO_SIZE_PTR.addr);
	assert_int_equal(object_kfree(f->objects, zero.at, 0), OBJECT_FREE_OK);
	assert_int_equal(object_kfree(f->objects, VADDR_NULL, 0), OBJECT_FREE_OK);
	assert_int_equal(f->objects->live_objects, 0);
	struct object small = object_kmalloc(f->objects, 97, GFP_KERNEL | __GFP_RECLAIMABLE, 0);
	struct cache_view view;
	assert_true(f->objects->ops->cache_view(f->objects, small.cache, &view));
	assert_string_equal(view.name, "kmalloc-rcl-128");
	assert_true(view.kmalloc);
	assert_int_equal(small.bytes_alloc, 128);
	assert_int_equal(f->objects->ops->ksize(f->objects, small.at), 128);
	struct object border = object_kmalloc(f->objects, 8192, GFP_KERNEL, 0),
	              large = object_kmalloc(f->objects, 8193, GFP_KERNEL, 0);
	assert_int_equal(border.bytes_alloc, 8192);
	assert_int_equal(large.bytes_alloc, 16384);
	assert_int_equal(f->objects->ops->ksize(f->objects, large.at), 16384);
	assert_int_equal(f->objects->ops->pages_large(f->objects), 4);
	assert_int_equal(f->objects->live_objects, 3);
	object_allocator_check(f->objects);
	assert_int_equal(cache_free(f->objects, f->id, large.at, 0), OBJECT_FREE_WRONG_CACHE);
	assert_int_equal(object_kfree(f->objects, vaddr_of(large.at.addr + 4096), 0), OBJECT_FREE_NOT_OBJECT);
	assert_int_equal(object_kfree(f->objects, large.at, 0), OBJECT_FREE_OK);
	assert_int_equal(object_kfree(f->objects, large.at, 0), OBJECT_FREE_NOT_OBJECT);
	assert_int_equal(object_kfree(f->objects, border.at, 0), OBJECT_FREE_OK);
	assert_int_equal(object_kfree(f->objects, small.at, 0), OBJECT_FREE_OK);
	assert_int_equal(count(f, "large_allocs"), 1);
	assert_int_equal(count(f, "large_frees"), 1);
	assert_int_equal(count(f, "wrong_frees"), 3);
	assert_false(cache_destroy(f->objects, small.cache, 0)); /* a kmalloc cache is for ever */
	fixture_free(f);
}

/* ---- wrong frees ---- */

/* Catches a wrong free that is taken for a right one, or leaves a trace in lists, counts or later addresses. */
static void wrong_frees_are_told_apart_and_change_nothing(void **state)
{
	(void)state;
	struct fixture *f = fixture_new(2);
	cache_id other = create(f, "other", 512, 512, 0);
	fill(f, 0, 0, 0);
	gives(f, 0, 1, 0);
	assert_int_equal(cache_free(f->objects, other, at(f, 0, 1), 0), OBJECT_FREE_WRONG_CACHE);
	assert_int_equal(cache_free(f->objects, f->id, vaddr_of(at(f, 0, 1).addr + 1), 0), OBJECT_FREE_NOT_OBJECT);
	assert_int_equal(cache_free(f->objects, f->id, vaddr_of(at(f, 0, 1).addr + 512), 0), OBJECT_FREE_NOT_OBJECT);
	assert_int_equal(cache_free(f->objects, f->id, at(f, 1, 1), 0), OBJECT_FREE_NOT_ALLOCATED); /* never handed out */
	assert_int_equal(cache_free(f->objects, f->id, at(f, 9, 0), 0), OBJECT_FREE_NOT_OBJECT);    /* no slab */
	assert_int_equal(cache_free(f->objects, f->id, vaddr_of(42), 0), OBJECT_FREE_NOT_OBJECT);   /* no frame */
	assert_int_equal(cache_free(f->objects, f->id, vaddr_of(UINT64_MAX), 0), OBJECT_FREE_NOT_OBJECT);
	takes(f, 0, 0, 2);
	assert_int_equal(cache_free(f->objects, f->id, at(f, 0, 2), 0), OBJECT_FREE_NOT_ALLOCATED);
	assert_int_equal(cache_free(f->objects, f->id, at(f, 0, 2), 1), OBJECT_FREE_NOT_ALLOCATED);
	assert_int_equal(object_kfree(f->objects, at(f, 0, 2), 0), OBJECT_FREE_NOT_ALLOCATED);
	takes(f, 0, 1, 0); /* the cpu's chain */
	assert_int_equal(cache_free(f->objects, f->id, at(f, 1, 0), 0), OBJECT_FREE_NOT_ALLOCATED);
	assert_int_equal(count(f, "wrong_frees"), 11);
	assert_int_equal(f->objects->live_objects, 3);
	object_allocator_check(f->objects);
	for (uint32_t i = 0; i < PER_SLAB; i++)
		gives(f, 0, 1, i);
	gives(f, 0, 0, 2);
	fixture_free(f);
}

/* Bytes behind the last object of a slab belong to no object. Catches an index beyond the objects. */
static void the_rest_of_a_slab_is_no_object(void **state)
{
	(void)state;
	struct fixture *f = fixture_start(1);
	fixture_open(f);
	f->id = create(f, "odd", 1000, 8, 0); /* 4 x 1000 = 4000 */
	cache_alloc(f->objects, f->id, GFP_KERNEL, 0);
	uint64_t slab = layout_page_address(&f->layout, pfn_of(FIRST)).addr;
	assert_int_equal(cache_free(f->objects, f->id, vaddr_of(slab + 4000), 0), OBJECT_FREE_NOT_OBJECT);
	assert_int_equal(cache_free(f->objects, f->id, vaddr_of(slab + 3000), 0), OBJECT_FREE_NOT_ALLOCATED);
	assert_int_equal(cache_free(f->objects, f->id, vaddr_of(slab), 0), OBJECT_FREE_OK);
	fixture_free(f);
}

/* Catches a reciprocal that is off by one for some size and some object. */
static void every_object_of_every_size_is_found(void **state)
{
	(void)state;
	struct fixture *f = fixture_start(1);
	f->settings.kernel.slub_max_order = 10;
	f->settings.kernel.slub_min_order = 5;
	fixture_open(f);
	for (uint32_t size = 8; size <= KMALLOC_MAX_SIZE; size = size < 4096 ? size + 24 : 2 * size - 8) {
		cache_id id = create(f, "any", size, 8, 0);
		const struct slub_cache *cache = f->slub->caches[id.nr];
		f->frames.next = FIRST;
		for (uint32_t i = 0; i < cache->geometry.objects; i++)
			assert_int_not_equal(cache_alloc(f->objects, id, GFP_KERNEL, 0).at.addr, 0);
		const struct slub_slab *slab = cache->cpus[0].slab;
		for (uint32_t i = 0; i < cache->geometry.objects; i++) {
			vaddr object = vaddr_of(slub_first_object(f->slub, slab) + (uint64_t)i * cache->geometry.size);
			assert_int_equal(object_kfree(f->objects, vaddr_of(object.addr + 1), 0), OBJECT_FREE_NOT_OBJECT);
			assert_int_equal(object_kfree(f->objects, vaddr_of(object.addr + size - 1), 0), OBJECT_FREE_NOT_OBJECT);
			assert_int_equal(object_kfree(f->objects, object, 0), OBJECT_FREE_OK);
		}
		assert_true(cache_destroy(f->objects, id, 0));
	}
	fixture_free(f);
}

/* ---- caches ---- */

/* kmem_cache_create_usercopy, find_mergeable. Catches caches merged that a real kernel keeps apart, or the other way round. */
static void merging_as_a_recorded_kernel_did(void **state)
{
	(void)state;
	struct fixture *f = fixture_start(1);
	f->settings.kernel.slab_merge = true;
	f->settings.kernel.slub_max_order = 3;
	fixture_open(f);
	FILE *in = fopen("tests/data/slub/merge-linux-6.1.csv", "r");
	assert_non_null(in);
	struct {
		char name[64];
		unsigned object_size, align, flags, ref, merged_object_size;
		cache_id id;
	} rows[128];
	uint32_t used = 0;
	char line[256];
	while (fgets(line, sizeof line, in)) {
		if (sscanf(line, "%63[^,],%u,%u,%x,%u,%u", rows[used].name, &rows[used].object_size, &rows[used].align,
		           &rows[used].flags, &rows[used].ref, &rows[used].merged_object_size) != 6)
			continue;
		uint32_t flags = rows[used].flags & ~SLUB_CMPXCHG_DOUBLE;
		rows[used].id = create(f, rows[used].name, rows[used].object_size, rows[used].align, flags);
		assert_int_not_equal(rows[used].id.nr, UINT32_MAX);
		used++;
	}
	fclose(in);
	assert_int_equal(used, 41);
	for (uint32_t i = 0; i < used; i++) {
		const struct slub_cache *cache = f->slub->caches[rows[i].id.nr];
		bool own = strcmp(cache->name, rows[i].name) == 0;
		if (own != (rows[i].ref > 0) || (own && (unsigned)cache->refcount != rows[i].ref) ||
		    (own && cache->geometry.object_size != rows[i].merged_object_size))
			fail_msg("%s: in cache %s of %d users and %u bytes, expected %u users and %u bytes", rows[i].name,
			         cache->name, cache->refcount, cache->geometry.object_size, rows[i].ref,
			         rows[i].merged_object_size);
	}
	fixture_free(f);
}

/* Catches a merged cache that is destroyed with its first user, and a merge across what must not be shared. */
static void merged_caches_live_until_their_last_user(void **state)
{
	(void)state;
	struct fixture *f = fixture_start(1);
	f->settings.kernel.slab_merge = true;
	fixture_open(f);
	cache_id one = create(f, "one", 100, 0, 0), two = create(f, "two", 104, 8, 0);
	assert_int_equal(one.nr, two.nr);
	assert_int_equal(f->slub->caches[one.nr]->geometry.object_size, 104);
	assert_int_not_equal(create(f, "rcu", 104, 8, SLAB_TYPESAFE_BY_RCU).nr, one.nr);
	assert_int_not_equal(create(f, "reclaim", 104, 8, SLAB_RECLAIM_ACCOUNT).nr, one.nr);
	assert_int_not_equal(create(f, "smaller", 96, 8, 0).nr, one.nr);
	assert_int_not_equal(create(f, "aligned", 104, 16, 0).nr, one.nr);
	struct cache_spec with_ctor = {.name = "ctor", .object_size = 104, .align = 8, .ctor = true};
	assert_int_not_equal(cache_create(f->objects, &with_ctor).nr, one.nr);
	/* A region for user copies keeps a cache alone, as the new one and as the old one; one outside the object is none. */
	struct cache_spec usercopy = {.name = "usercopy", .object_size = 104, .align = 8, .useroffset = 8, .usersize = 96};
	cache_id alone = cache_create(f->objects, &usercopy);
	assert_int_not_equal(alone.nr, one.nr);
	assert_true(cache_destroy(f->objects, one, 0));
	assert_true(cache_destroy(f->objects, two, 0));
	one = create(f, "one", 100, 0, 0);
	assert_int_not_equal(one.nr, alone.nr);
	usercopy.useroffset = 9;
	two = cache_create(f->objects, &usercopy);
	assert_int_equal(two.nr, one.nr);
	/* Without memory cgroups SLAB_ACCOUNT means nothing. */
	cache_id accounted = create(f, "accounted", 104, 8, SLAB_ACCOUNT);
	assert_int_equal(accounted.nr, one.nr);
	assert_true(cache_destroy(f->objects, accounted, 0));
	vaddr object = cache_alloc(f->objects, one, GFP_KERNEL, 0).at;
	assert_true(cache_destroy(f->objects, one, 0));
	assert_int_equal(cache_free(f->objects, two, object, 0), OBJECT_FREE_OK);
	assert_true(cache_destroy(f->objects, two, 0));
	struct cache_view view;
	assert_false(f->objects->ops->cache_view(f->objects, two, &view));
	fixture_free(f);
}

/* Catches flags that a kernel refuses and the model takes. */
static void refused_specs(void **state)
{
	(void)state;
	struct fixture *f = fixture_new(1);
	assert_int_equal(create(f, "flags", 64, 0, 0x1).nr, UINT32_MAX);
	assert_int_equal(create(f, "empty", 0, 0, 0).nr, UINT32_MAX);
	assert_int_equal(create(f, "huge", (1u << 22) + 1, 0, 0).nr, UINT32_MAX);
	assert_int_not_equal(create(f, "largest", 1u << 22, 0, 0).nr, UINT32_MAX);
	fixture_free(f);
	f = fixture_start(1);
	f->settings.kernel.slub_min_order = 11;
	struct object_allocator_wiring wiring = {
	        .settings = &f->settings, .pages = &f->frames.base, .layout = &f->layout, .steps = &f->steps};
	struct error error = {0};
	assert_null(object_allocator_slub_create(&wiring, &error));
	assert_int_equal(error.kind, ERROR_USAGE);
	assert_non_null(strstr(error.text, "kernel.slub_min_order"));
	settings_release(&f->settings);
	free(f);
}

/* get_slabinfo. Catches free objects of cpu slabs and cpu partial slabs counted as free. */
static void slabinfo_counts_what_cpus_hold_as_active(void **state)
{
	(void)state;
	struct fixture *f = fixture_new(1);
	fill(f, 0, 0, 3);
	gives(f, 0, 4, 0);
	for (uint32_t slab = 0; slab < 3; slab++)
		takes(f, 0, slab, 0);
	takes(f, 0, 0, 1);
	assert_string_equal(node_list(f), "1 0"); /* three free objects; two more on the cpu's list and slab do not count */
	struct cache_view view;
	assert_true(f->objects->ops->cache_view(f->objects, f->id, &view));
	assert_string_equal(view.name, "test");
	assert_int_equal(view.total_objects, 20);
	assert_int_equal(view.active_objects, 17);
	assert_int_equal(view.slabs, 5);
	assert_int_equal(view.active_slabs, 5);
	assert_int_equal(view.live_objects, 13);
	assert_int_equal(view.objects_per_slab, 4);
	assert_int_equal(view.pages_per_slab, 1);
	assert_int_equal(view.limit + view.batchcount + view.shared, 0);
	assert_false(view.kmalloc);
	assert_true(view.name != NULL && f->objects->ops->cache_limit(f->objects) == f->id.nr + 1);
	fixture_free(f);
}

/* ---- steps ---- */

/* Catches a decision that depends on whether steps are recorded. */
static void recording_changes_no_decision(void **state)
{
	(void)state;
	struct fixture *a = fixture_new(2), *b = fixture_new(2);
	b->steps.recording = true;
	struct rng rng;
	rng_init(&rng, 7, "test");
	vaddr live[64] = {{0}};
	for (uint32_t i = 0; i < 20000; i++) {
		uint32_t slot = rng_below(&rng, 64), cpu = rng_below(&rng, 2);
		steps_clear(&b->steps);
		if (live[slot].addr) {
			assert_int_equal(cache_free(a->objects, a->id, live[slot], cpu),
			                 cache_free(b->objects, b->id, live[slot], cpu));
			live[slot] = VADDR_NULL;
		} else {
			live[slot] = cache_alloc(a->objects, a->id, GFP_KERNEL, cpu).at;
			assert_int_equal(cache_alloc(b->objects, b->id, GFP_KERNEL, cpu).at.addr, live[slot].addr);
		}
		uint32_t locks = 0, unlocks = 0;
		for (uint32_t s = 0; s < b->steps.count; s++) {
			locks += b->steps.at[s].kind == STEP_LOCK;
			unlocks += b->steps.at[s].kind == STEP_UNLOCK;
		}
		assert_int_equal(locks, unlocks);
	}
	fixture_free(a);
	fixture_free(b);
}

/* ---- loading ---- */

/* Catches lists loaded in another order, counts that a loaded slab leaves out, and chains that break on the next calls. */
static void a_loaded_state_goes_on_as_it_was(void **state)
{
	(void)state;
	struct fixture *f = fixture_new(1);
	static const uint16_t lockless[] = {3}, own[] = {1, 0}, one[] = {2}, all[] = {1, 3, 0, 2};
	const struct slub_loaded_slab slabs[] = {
	        {pfn_of(FIRST + 10), 2, 4, own, lockless, 2, 1}, {pfn_of(FIRST + 11), 3, 4, one, NULL, 1, 0},
	        {pfn_of(FIRST + 12), 0, 4, all, NULL, 4, 0},     {pfn_of(FIRST + 13), 3, 4, one, NULL, 1, 0},
	        {pfn_of(FIRST + 14), 4, 4, NULL, NULL, 0, 0},
	};
	static const enum slub_place places[] = {SLUB_CPU, SLUB_CPU_PARTIAL, SLUB_CPU_PARTIAL, SLUB_NODE_PARTIAL, SLUB_FULL};
	struct error error = {0};
	for (size_t i = 0; i < 5; i++)
		assert_true(slub_load_slab(f->slub, f->cache, &slabs[i], places[i], 0, &error));
	slub_load_unseen(f->slub, f->cache, 2, 8);
	f->frames.base.allocated_pages = 7;
	for (size_t i = 0; i < 5; i++)
		f->frames.held[slabs[i].first.nr] = 1;
	object_allocator_check(f->objects);
	assert_int_equal(f->objects->ops->pages_held(f->objects), 7);
	assert_int_equal(f->cache->total_objects, 28);
	assert_int_equal(f->objects->live_objects, 1 + 3 + 0 + 3 + 4);
	assert_string_equal(cpu_list(f, 0), "11 12");
	gives(f, 0, 10, 3);
	gives(f, 0, 10, 1);
	gives(f, 0, 10, 0);
	gives(f, 0, 11, 2);
	gives(f, 0, 12, 1);
	gives(f, 0, 12, 3);
	gives(f, 0, 12, 0);
	gives(f, 0, 12, 2);
	gives(f, 0, 13, 2);
	gives(f, 0, 0, 0);
	takes(f, 0, 14, 3);
	fixture_free(f);
}

/* Catches a damaged state that gets in: overlapping slabs, chains with strangers or circles, counts that do not fit. */
static void damaged_states_are_refused(void **state)
{
	(void)state;
	struct fixture *f = fixture_new(1);
	static const uint16_t one[] = {2}, twice[] = {2, 2}, beyond[] = {4};
	const struct slub_loaded_slab good = {pfn_of(FIRST), 3, 4, one, NULL, 1, 0};
	struct slub_loaded_slab bad[10];
	for (size_t i = 0; i < 10; i++)
		bad[i] = good;
	bad[0].inuse = 2;                  /* does not fit the chain */
	bad[1].inuse = 5;                  /* more than there are */
	bad[2].objects = 5;                /* no slab of this cache */
	bad[3].first = pfn_of(FRAMES_END); /* no memory there */
	bad[4].chain = beyond;
	bad[5].chain = twice, bad[5].chain_length = 2, bad[5].inuse = 2;
	bad[6].lockless = one, bad[6].lockless_length = 1; /* not a cpu slab */
	bad[7].chain_length = 0, bad[7].inuse = 4;         /* full slabs are on no list */
	bad[8].inuse = UINT32_MAX;
	bad[9].first = PFN_NONE;
	for (size_t i = 0; i < 10; i++) {
		struct error error = {0};
		assert_false(slub_load_slab(f->slub, f->cache, &bad[i], SLUB_NODE_PARTIAL, 0, &error));
		assert_int_equal(error.kind, ERROR_INPUT);
		object_allocator_check(f->objects);
		assert_int_equal(f->cache->nr_slabs, 0);
	}
	struct error error = {0};
	assert_false(slub_load_slab(f->slub, f->cache, &good, SLUB_CPU_PARTIAL, 1, &error)); /* no such cpu */
	assert_true(slub_load_slab(f->slub, f->cache, &good, SLUB_CPU, 0, NULL));
	assert_false(slub_load_slab(f->slub, f->cache, &good, SLUB_CPU_PARTIAL, 0, NULL)); /* there is one there */
	struct slub_loaded_slab other = good;
	other.first = pfn_of(FIRST + 1);
	assert_false(slub_load_slab(f->slub, f->cache, &other, SLUB_CPU, 0, NULL)); /* a cpu has one slab */
	assert_false(slub_load_slab(f->slub, f->cache, &other, SLUB_FULL, 0, NULL));
	fixture_free(f);
}

/* ---- everything at once ---- */

/* Catches two live objects in one place, and anything the sanity walker knows, under a load on four CPUs and four caches with
 * memory running out now and then. */
static void random_load_keeps_all_laws(void **state)
{
	(void)state;
	enum { SLOTS = 600, OPS = 60000 };
	struct fixture *f = fixture_start(4);
	f->settings.kernel.slub_max_order = 1;
	fixture_open(f);
	cache_id ids[4] = {create(f, "a", 1024, 0, 0), create(f, "b", 72, 0, SLAB_HWCACHE_ALIGN), create(f, "c", 4096, 0, 0),
	                   create(f, "d", 200, 0, SLAB_RED_ZONE | SLAB_POISON | SLAB_STORE_USER | SLAB_CONSISTENCY_CHECKS)};
	struct {
		vaddr at;
		uint32_t cache;
	} live[SLOTS] = {{{0}, 0}};
	struct rng rng;
	rng_init(&rng, 1, "test");
	for (uint32_t op = 0; op < OPS; op++) {
		uint32_t slot = rng_below(&rng, SLOTS), cpu = rng_below(&rng, 4), what = rng_below(&rng, 1000);
		f->frames.fail_from_order = what < 50 ? what % 3 : ORDERS;
		if (live[slot].at.addr) {
			assert_int_equal(cache_free(f->objects, ids[live[slot].cache], live[slot].at, cpu), OBJECT_FREE_OK);
			assert_int_not_equal(cache_free(f->objects, ids[live[slot].cache], live[slot].at, cpu), OBJECT_FREE_OK);
			live[slot].at = VADDR_NULL;
		} else {
			live[slot].cache = rng_below(&rng, 4);
			live[slot].at = cache_alloc(f->objects, ids[live[slot].cache], GFP_KERNEL, cpu).at;
			for (uint32_t i = 0; i < SLOTS && live[slot].at.addr && op % 16 == 0; i++)
				assert_true(i == slot || live[i].at.addr != live[slot].at.addr);
		}
		if (what == 999)
			f->objects->ops->cache_shrink(f->objects, ids[rng_below(&rng, 4)], cpu);
		if (op % 500 == 0)
			object_allocator_check(f->objects);
	}
	f->frames.fail_from_order = ORDERS;
	for (uint32_t slot = 0; slot < SLOTS; slot++)
		if (live[slot].at.addr)
			assert_int_equal(cache_free(f->objects, ids[live[slot].cache], live[slot].at, slot % 4), OBJECT_FREE_OK);
	object_allocator_check(f->objects);
	assert_int_equal(f->objects->live_objects, 0);
	for (uint32_t i = 0; i < 4; i++)
		assert_true(cache_destroy(f->objects, ids[i], 0));
	assert_int_equal(f->objects->ops->pages_held(f->objects), 0);
	assert_int_equal(f->frames.base.allocated_pages, 0);
	fixture_free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(fresh_slabs_ascend_and_frees_come_back_last_first),
	        cmocka_unit_test(the_slabs_own_chain_comes_before_partial_slabs),
	        cmocka_unit_test(cpu_partial_is_last_in_first_out),
	        cmocka_unit_test(a_full_cpu_partial_list_goes_to_the_nodes_tail),
	        cmocka_unit_test(a_drain_gives_back_empty_slabs_beyond_min_partial),
	        cmocka_unit_test(a_refill_takes_slabs_until_more_than_half),
	        cmocka_unit_test(a_refill_with_a_limit_of_one_takes_one),
	        cmocka_unit_test(an_emptied_slab_on_the_node_list_leaves_if_enough_remain),
	        cmocka_unit_test(without_cpu_partial_slabs_go_to_the_nodes_tail_at_once),
	        cmocka_unit_test(a_flushed_slab_goes_to_the_head_or_with_remote_frees_to_the_tail),
	        cmocka_unit_test(flushing_empty_and_full_slabs),
	        cmocka_unit_test(shrink_sorts_by_free_objects_and_gives_back_the_empty),
	        cmocka_unit_test(shrink_leaves_slabs_with_more_than_32_free_in_order),
	        cmocka_unit_test(destroy_refuses_while_objects_live),
	        cmocka_unit_test(gfp_flags_of_a_slab),
	        cmocka_unit_test(the_smallest_order_is_tried_when_memory_is_short),
	        cmocka_unit_test(shuffled_slabs_are_turns_of_one_sequence),
	        cmocka_unit_test(hardened_pointers_cost_cycles_only),
	        cmocka_unit_test(debug_caches_work_on_the_node_list_only),
	        cmocka_unit_test(debugging_by_setting),
	        cmocka_unit_test(bulk_frees_make_one_chain_for_each_slab),
	        cmocka_unit_test(bulk_frees_look_past_two_others),
	        cmocka_unit_test(wrong_bulk_frees_change_nothing),
	        cmocka_unit_test(bulk_allocations_give_all_or_nothing),
	        cmocka_unit_test(kmalloc_and_kfree),
	        cmocka_unit_test(wrong_frees_are_told_apart_and_change_nothing),
	        cmocka_unit_test(the_rest_of_a_slab_is_no_object),
	        cmocka_unit_test(every_object_of_every_size_is_found),
	        cmocka_unit_test(merging_as_a_recorded_kernel_did),
	        cmocka_unit_test(merged_caches_live_until_their_last_user),
	        cmocka_unit_test(refused_specs),
	        cmocka_unit_test(slabinfo_counts_what_cpus_hold_as_active),
	        cmocka_unit_test(recording_changes_no_decision),
	        cmocka_unit_test(a_loaded_state_goes_on_as_it_was),
	        cmocka_unit_test(damaged_states_are_refused),
	        cmocka_unit_test(random_load_keeps_all_laws),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
