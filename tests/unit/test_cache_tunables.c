/* SPDX-License-Identifier: MIT
 *
 * test_cache_tunables.c - kernel.cache_tunables: entries read and refused, and what they do to caches of SLUB and SLAB (Linux 6.1
 * mm/slub.c: cpu_partial_store, min_partial_store; mm/slab.c: slabinfo_write, do_tune_cpucache, setup_kmem_cache_node).
 */
#include "models/object_allocator/cache_tunables.h"
#include "models/object_allocator/slab.h"
#include "models/object_allocator/slub.h"
#include "tests/unit/frames.h"
#include "tests/unit/test.h"

#include <stdlib.h>

typedef struct object_allocator *create_function(const struct object_allocator_wiring *, struct error *);

struct bench {
	struct settings settings;
	struct layout layout;
	struct steps steps;
	struct frames frames;
	struct object_allocator *objects;
	char *entries[4];
};

static struct bench *bench_open(create_function *create, uint32_t cpus, const char *first, const char *second)
{
	struct bench *bench = xcalloc(1, sizeof *bench);
	bench->settings.machine.cpus = cpus;
	bench->settings.machine.cache_line_bytes = 64;
	bench->settings.kernel.slub_cpu_partial = true;
	bench->settings.kernel.slub_max_order = 3;
	bench->settings.kernel.cache_tunables = bench->entries;
	for (const char *const *at = (const char *const[]){first, second, NULL}; *at; at++)
		bench->entries[bench->settings.kernel.cache_tunables_count++] = xstrdup(*at);
	layout_init(&bench->layout, 64);
	steps_init(&bench->steps, false);
	frames_init(&bench->frames, 256);
	struct object_allocator_wiring wiring = {
	        .settings = &bench->settings, .pages = &bench->frames.base, .layout = &bench->layout, .steps = &bench->steps};
	struct error error = {0};
	bench->objects = create(&wiring, &error);
	if (!bench->objects)
		fail_msg("%s", error.text);
	return bench;
}

static void bench_close(struct bench *bench)
{
	object_allocator_check(bench->objects);
	object_allocator_destroy(bench->objects);
	steps_release(&bench->steps);
	layout_release(&bench->layout);
	for (uint32_t i = 0; i < bench->settings.kernel.cache_tunables_count; i++)
		free(bench->entries[i]);
	free(bench);
}

static cache_id make(struct bench *bench, const char *name, uint32_t size)
{
	struct cache_spec spec = {.name = name, .object_size = size};
	return cache_create(bench->objects, &spec);
}

static void refuse(const char *entry, const char *message)
{
	char *entries[] = {xstrdup(entry)};
	struct settings settings = {.kernel = {.cache_tunables = entries, .cache_tunables_count = 1}};
	struct error error = {0};
	if (cache_tunables_check(&settings, &error))
		fail_msg("\"%s\" was taken", entry);
	assert_int_equal(error.kind, ERROR_USAGE);
	if (!strstr(error.text, "kernel.cache_tunables") || !strstr(error.text, message))
		fail_msg("\"%s\" does not say \"%s\"", error.text, message);
	free(entries[0]);
}

/* Catches entries that a kernel would refuse, taken in silence or told without the reason. */
static void wrong_entries_say_why(void **state)
{
	(void)state;
	refuse("", "name");
	refuse("limit=1 batchcount=1 shared=0", "name");
	refuse("filp", "sets nothing");
	refuse("filp  ", "sets nothing");
	refuse("filp cpu_partials=1", "key that no cache has");
	refuse("filp cpu_partial", "whole number");
	refuse("filp cpu_partial=", "whole number");
	refuse("filp cpu_partial=-1", "whole number");
	refuse("filp cpu_partial=4k", "whole number");
	refuse("filp cpu_partial=2147483648", "whole number");
	refuse("filp limit=32", "only a part");
	refuse("filp limit=32 batchcount=33 shared=0", "1 <= batchcount <= limit");
	refuse("filp limit=0 batchcount=0 shared=0", "1 <= batchcount <= limit");
	refuse("filp limit=16385 batchcount=1 shared=0", "16384");
	refuse("filp limit=9 batchcount=9 shared=2147483647", "16384");
}

/* Catches a tunable that misses its cache or hits another, one lost because another follows, and SLAB's keys refused by SLUB. */
static void slub_caches_are_tuned(void **state)
{
	(void)state;
	struct bench *bench = bench_open(object_allocator_slub_create, 1, "test cpu_partial=6 limit=2 batchcount=1 shared=0",
	                                 "test  min_partial=77");
	struct slub *slub = slub_of(bench->objects);
	const struct slub_geometry *test = &slub->caches[make(bench, "test", 256).nr]->geometry;
	assert_int_equal(test->objects, 16);
	assert_int_equal(test->cpu_partial, 6);
	assert_int_equal(test->cpu_partial_slabs, 1); /* 12 objects in half-full slabs of 16 */
	assert_int_equal(test->min_partial, 77);
	const struct slub_geometry *other = &slub->caches[make(bench, "tes", 256).nr]->geometry;
	assert_int_equal(other->cpu_partial, 52);
	assert_int_equal(other->min_partial, 5);
	bench_close(bench);
	bench = bench_open(object_allocator_slub_create, 1, "kmalloc-64 min_partial=9", NULL);
	slub = slub_of(bench->objects);
	assert_int_equal(slub->caches[kmalloc_slab(&slub->kmalloc, 64, GFP_KERNEL).nr]->geometry.min_partial, 9);
	bench_close(bench);
}

/* Catches limits that do not reach the arrays, a free limit of the old batch, a shared array that one CPU cannot have. */
static void slab_caches_are_tuned(void **state)
{
	(void)state;
	struct bench *bench =
	        bench_open(object_allocator_slab_create, 1, "test limit=300 batchcount=16 shared=4 cpu_partial=0", NULL);
	struct slab_allocator *slab = slab_allocator_of(bench->objects);
	struct slab_cache *cache = slab_cache_of(slab, make(bench, "test", 96));
	assert_int_equal(cpu_array(cache, 0)->limit, 300);
	assert_int_equal(cpu_array(cache, 0)->batchcount, 16);
	assert_int_equal(cache->node.shared->limit, 64);
	assert_int_equal(cache->node.free_limit, 2 * 16 + 42);
	struct cache_view view;
	assert_true(bench->objects->ops->cache_view(bench->objects, (cache_id){cache->id}, &view));
	assert_int_equal(view.limit, 300);
	assert_int_equal(view.batchcount, 16);
	assert_int_equal(view.shared, 4);
	vaddr objects[400];
	for (unsigned i = 0; i < 400; i++)
		objects[i] = cache_alloc(bench->objects, (cache_id){cache->id}, GFP_KERNEL, 0).at;
	for (unsigned i = 0; i < 300; i++)
		cache_free(bench->objects, (cache_id){cache->id}, objects[i], 0);
	assert_int_equal(cache->node.shared->avail, 16); /* the array was not empty before: one batch had to leave */
	bench_close(bench);
}

/*
 * do_tune_cpucache() at work, by hand: 96 bytes, 42 to a slab, two CPUs. CPU 0 and 1 hold objects in arrays; tuning puts all back
 * into the slabs. Catches objects lost or handed out twice, an array left as it was, the shared array forgotten.
 */
static void tuning_empties_the_arrays(void **state)
{
	(void)state;
	struct bench *bench = bench_open(object_allocator_slab_create, 2, NULL, NULL);
	struct slab_allocator *slab = slab_allocator_of(bench->objects);
	cache_id id = make(bench, "test", 96);
	struct slab_cache *cache = slab_cache_of(slab, id);
	vaddr objects[400];
	for (unsigned i = 0; i < 400; i++)
		objects[i] = cache_alloc(bench->objects, id, GFP_KERNEL, i % 2).at;
	for (unsigned i = 0; i < 390; i++)
		cache_free(bench->objects, id, objects[i], 0);
	assert_true(cpu_array(cache, 0)->avail > 0 && cpu_array(cache, 1)->avail > 0 && cache->node.shared->avail > 0);
	slab_tune_cpucache(slab, cache, 8, 4, 0, 1);
	assert_int_equal(cpu_array(cache, 0)->avail + cpu_array(cache, 1)->avail, 0);
	assert_null(cache->node.shared);
	assert_int_equal(cache->node.free_limit, 3 * 4 + 42);
	assert_true(cache->node.free_objects <= 3 * 4 + 42 || cache->node.free_slabs == 0);
	assert_int_equal(cache->live, 10);
	object_allocator_check(bench->objects);
	slab_tune_cpucache(slab, cache, 120, 60, 8, 0);
	assert_non_null(cache->node.shared);
	for (unsigned i = 390; i < 400; i++)
		assert_int_equal(cache_free(bench->objects, id, objects[i], 1), OBJECT_FREE_OK);
	assert_true(cache_destroy(bench->objects, id, 0));
	assert_int_equal(bench->objects->ops->pages_held(bench->objects), 0);
	bench_close(bench);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(wrong_entries_say_why),
	        cmocka_unit_test(slub_caches_are_tuned),
	        cmocka_unit_test(slab_caches_are_tuned),
	        cmocka_unit_test(tuning_empties_the_arrays),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
