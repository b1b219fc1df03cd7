/* SPDX-License-Identifier: MIT
 *
 * test_slab.c - the SLAB model: geometry against recorded kernels, and the order in which objects come and go worked out by hand
 * from the rules of Linux 6.1 mm/slab.c. Each test's comment names the mistake it would catch.
 */
#include "models/object_allocator/slab.h"
#include "sim/metric.h"
#include "sim/rng.h"
#include "tests/unit/test.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TABLE "tests/data/slab-caches.csv"
#define FRAMES 65536u

/* ---- a page allocator that hands out frames upward, each once, and remembers what came back ---- */

struct pages {
	struct page_allocator base;
	uint32_t next;
	uint32_t fail_after; /* allocations that still succeed */
	gfp last_flags;
	unsigned order_of[FRAMES]; /* order + 1 of a block handed out, 0 */
	uint32_t freed[FRAMES];    /* frames in the order in which they came back */
	uint32_t freed_count;
};

static pfn pages_alloc(struct page_allocator *base, unsigned order, gfp flags, unsigned cpu)
{
	struct pages *pages = (struct pages *)(void *)base;
	(void)cpu;
	pages->last_flags = flags;
	if (pages->fail_after == 0)
		return PFN_NONE;
	pages->fail_after--;
	uint32_t frames = 1u << order;
	uint32_t first = (pages->next + frames - 1) & ~(frames - 1);
	assert_true(first + frames <= FRAMES);
	pages->next = first + frames;
	pages->order_of[first] = order + 1;
	return pfn_of(first);
}

static enum page_free_result pages_free(struct page_allocator *base, pfn first, unsigned order, unsigned cpu)
{
	struct pages *pages = (struct pages *)(void *)base;
	(void)cpu;
	assert_int_equal(pages->order_of[first.nr], order + 1);
	pages->order_of[first.nr] = 0;
	pages->freed[pages->freed_count++] = first.nr;
	return PAGE_FREE_OK;
}

static const struct page_allocator_ops pages_ops = {.name = "upward", .alloc = pages_alloc, .free = pages_free};

/* ---- a SLAB on it ---- */

struct rig {
	struct settings settings;
	struct layout layout;
	struct steps steps;
	struct pages *pages;
	struct object_allocator *objects;
	struct slab_allocator *slab;
};

static void rig_init(struct rig *rig, uint32_t cpus)
{
	*rig = (struct rig){0};
	rig->settings.machine.cpus = cpus;
	rig->settings.machine.cache_line_bytes = 64;
	rig->settings.kernel.slab_max_order = SLAB_MAX_ORDER_AUTO;
	rig->pages = xcalloc(1, sizeof *rig->pages);
	rig->pages->base = (struct page_allocator){.ops = &pages_ops, .end_pfn = FRAMES, .managed_pages = FRAMES};
	rig->pages->next = 256;
	rig->pages->fail_after = UINT32_MAX;
	layout_init(&rig->layout, 64);
	steps_init(&rig->steps, false);
}

static void rig_start(struct rig *rig)
{
	struct object_allocator_wiring wiring = {
	        .settings = &rig->settings, .pages = &rig->pages->base, .layout = &rig->layout, .steps = &rig->steps, .seed = 1};
	struct error error = {0};
	rig->objects = object_allocator_slab_create(&wiring, &error);
	assert_non_null(rig->objects);
	rig->slab = slab_allocator_of(rig->objects);
}

static void rig_make(struct rig *rig, uint32_t cpus)
{
	rig_init(rig, cpus);
	rig_start(rig);
}

static void rig_release(struct rig *rig)
{
	object_allocator_check(rig->objects);
	object_allocator_destroy(rig->objects);
	steps_release(&rig->steps);
	free(rig->pages);
}

static cache_id make(struct rig *rig, uint32_t size, uint32_t flags, bool ctor)
{
	struct cache_spec spec = {.name = "test", .object_size = size, .flags = flags, .ctor = ctor};
	cache_id id = cache_create(rig->objects, &spec);
	assert_int_not_equal(id.nr, CACHE_NONE.nr);
	return id;
}

static vaddr take(struct rig *rig, cache_id id, unsigned cpu)
{
	vaddr at = cache_alloc(rig->objects, id, GFP_KERNEL, cpu).at;
	assert_int_not_equal(at.addr, 0);
	return at;
}

static void give(struct rig *rig, cache_id id, vaddr at, unsigned cpu)
{
	assert_int_equal(cache_free(rig->objects, id, at, cpu), OBJECT_FREE_OK);
}

/* Frame and place in the slab of an object. */
static uint32_t frame_of(const struct rig *rig, vaddr at)
{
	return layout_pfn_of(&rig->layout, at).nr;
}

static uint32_t index_of(const struct rig *rig, vaddr at)
{
	struct slab_entry entry = slab_find_object(rig->slab, at);
	assert_int_not_equal(entry.slab, 0);
	return entry.index;
}

static struct slab *slab_of(const struct rig *rig, vaddr at)
{
	return slab_at(rig->slab, slab_find_object(rig->slab, at).slab);
}

static const struct slab_counters *counted(const struct rig *rig)
{
	return &rig->slab->counters;
}

/* ---- geometry ---- */

struct row {
	char boot[16], name[64];
	uint32_t object_size, size, align, flags, order, num, colour, colour_off, freelist_size, limit, batchcount, shared,
	        allocflags;
	int ref;
	int ctor;
	uint32_t usersize, free_limit;
};

static bool read_row(FILE *table, struct row *row)
{
	char line[512];
	while (fgets(line, sizeof line, table)) {
		int fields = sscanf(line,
		                    "%15[^,],%63[^,],%" SCNu32 ",%" SCNu32 ",%" SCNu32 ",%" SCNx32 ",%" SCNu32 ",%" SCNu32
		                    ",%" SCNu32 ",%" SCNu32 ",%" SCNu32 ",%" SCNu32 ",%" SCNu32 ",%" SCNu32 ",%" SCNx32
		                    ",%d,%d,%" SCNu32 ",%" SCNu32,
		                    row->boot, row->name, &row->object_size, &row->size, &row->align, &row->flags, &row->order,
		                    &row->num, &row->colour, &row->colour_off, &row->freelist_size, &row->limit, &row->batchcount,
		                    &row->shared, &row->allocflags, &row->ref, &row->ctor, &row->usersize, &row->free_limit);
		if (fields == 19)
			return true;
	}
	return false;
}

static struct slab_rules rules_of(const struct row *row)
{
	return (struct slab_rules){.cache_line_bytes = 64, .max_order = 1, .cpus = strcmp(row->boot, "smp2") == 0 ? 2 : 1};
}

static void check_row(const struct row *row)
{
	struct slab_rules rules = rules_of(row);
	struct cache_spec spec = {.name = row->name,
	                          .object_size = row->object_size,
	                          .align = row->align,
	                          .flags = row->flags & ~(CFLGS_OBJFREELIST_SLAB | CFLGS_OFF_SLAB),
	                          .ctor = row->ctor};
	struct slab_geometry geometry;
	assert_true(slab_geometry_of(&rules, &spec, &geometry));
	assert_int_equal(geometry.size, row->size);
	assert_int_equal(geometry.align, row->align);
	assert_int_equal(geometry.flags, row->flags);
	assert_int_equal(geometry.order, row->order);
	assert_int_equal(geometry.num, row->num);
	assert_int_equal(geometry.num, row->freelist_size);
	assert_int_equal(geometry.colour, row->colour);
	assert_int_equal(geometry.colour_off, row->colour_off);
	assert_int_equal(geometry.limit, row->limit);
	assert_int_equal(geometry.batchcount, row->batchcount);
	assert_int_equal(geometry.shared, row->shared);
	assert_int_equal(geometry.allocflags, row->allocflags);
	/* Whether a cache was made before the second CPU came up is not recorded, but kmalloc caches always were. */
	uint32_t early = slab_free_limit(&rules, &geometry, true), late = slab_free_limit(&rules, &geometry, false);
	assert_true(row->free_limit == early || (row->free_limit == late && strncmp(row->name, "kmalloc-", 8) != 0));
}

/* Catches any wrong rule of size, order, colour, freelist place or array limits that a real cache depends on. */
static void every_recorded_cache_has_its_geometry(void **state)
{
	(void)state;
	FILE *table = fopen(TABLE, "r");
	assert_non_null(table);
	struct row row;
	unsigned rows = 0;
	for (; read_row(table, &row); rows++)
		check_row(&row);
	fclose(table);
	assert_int_equal(rows, 88 + 88 + 69);
}

/* Catches a kmalloc cache that is missing, misnamed, or of another size or type than the recorded kernel's. */
static void kmalloc_caches_are_those_of_the_recorded_kernel(void **state)
{
	(void)state;
	struct rig rig;
	rig_make(&rig, 2);
	FILE *table = fopen(TABLE, "r");
	assert_non_null(table);
	struct row row;
	unsigned found = 0;
	while (read_row(table, &row)) {
		if (strcmp(row.boot, "smp2") != 0 || !strstr(row.name, "kmalloc-"))
			continue;
		for (uint32_t nr = 0; nr < rig.slab->cache_limit; nr++) {
			const struct slab_cache *cache = rig.slab->caches[nr];
			if (strcmp(cache->name, row.name) != 0)
				continue;
			assert_int_equal(cache->size, row.size);
			assert_int_equal(cache->geometry.flags, row.flags);
			assert_int_equal(cache->node.free_limit, row.free_limit);
			found++;
		}
	}
	fclose(table);
	assert_int_equal(found, rig.slab->cache_limit);
	assert_int_equal(found, 33);
	rig_release(&rig);
}

/* Catches a merge that the kernel refuses or misses: the same caches, made in the kernel's order, share as under slab_merge. */
static void caches_merge_as_recorded(void **state)
{
	(void)state;
	static struct row made[256], merged[256];
	size_t made_count = 0, merged_count = 0;
	FILE *table = fopen(TABLE, "r");
	assert_non_null(table);
	struct row row;
	while (read_row(table, &row)) {
		/* The allocator's own caches: kmem_cache and the kmalloc caches are made and excluded at boot. */
		if (row.ref < 0 || row.flags & SLAB_KMALLOC)
			continue;
		if (strcmp(row.boot, "smp1") == 0)
			made[made_count++] = row;
		if (strcmp(row.boot, "merge") == 0)
			merged[merged_count++] = row;
	}
	fclose(table);
	struct rig rig;
	rig_init(&rig, 1);
	rig.settings.kernel.slab_merge = true;
	rig_start(&rig);
	uint32_t before = rig.slab->cache_limit;
	for (size_t i = made_count; i-- > 0;) { /* slab_caches has the newest first */
		struct cache_spec spec = {.name = made[i].name,
		                          .object_size = made[i].object_size,
		                          .align = made[i].align,
		                          .flags = made[i].flags & ~(CFLGS_OBJFREELIST_SLAB | CFLGS_OFF_SLAB),
		                          .ctor = made[i].ctor,
		                          .usersize = made[i].usersize};
		assert_int_not_equal(cache_create(rig.objects, &spec).nr, CACHE_NONE.nr);
	}
	assert_int_equal(rig.slab->cache_limit - before, merged_count);
	for (size_t i = 0; i < merged_count; i++) {
		const struct slab_cache *cache = rig.slab->caches[rig.slab->cache_limit - 1 - i];
		assert_string_equal(cache->name, merged[i].name);
		assert_int_equal(cache->refcount, merged[i].ref);
		assert_int_equal(cache->object_size, merged[i].object_size);
	}
	rig_release(&rig);
}

static struct slab_geometry geometry_of(uint32_t size, uint32_t align, uint32_t flags, bool ctor, uint32_t max_order)
{
	struct slab_rules rules = {.cache_line_bytes = 64, .max_order = max_order, .cpus = 1};
	struct cache_spec spec = {.name = "x", .object_size = size, .align = align, .flags = flags, .ctor = ctor};
	struct slab_geometry geometry;
	assert_true(slab_geometry_of(&rules, &spec, &geometry));
	return geometry;
}

/*
 * 1024 bytes with a constructor: 4 fill a page, nothing is left for 4 index bytes, a kmalloc-32 object is at most half of 1024.
 * Catches an index array put on the slab (3 objects) or into a constructed object.
 */
static void index_array_goes_off_slab(void **state)
{
	(void)state;
	struct slab_geometry geometry = geometry_of(1024, 0, 0, true, 1);
	assert_int_equal(geometry.flags, CFLGS_OFF_SLAB);
	assert_int_equal(geometry.num, 4);
	assert_int_equal(geometry.order, 0);
	/* SLAB_NOLEAKTRACE forbids it: 4096 / 1025 = 3 objects, 1021 bytes left; 3069 > 1/8 of a page, so order 1: 7, 1017 left.
	 */
	geometry = geometry_of(1024, 0, SLAB_NOLEAKTRACE, true, 1);
	assert_int_equal(geometry.flags, SLAB_NOLEAKTRACE);
	assert_int_equal(geometry.num, 7);
	assert_int_equal(geometry.order, 1);
	assert_int_equal(geometry.colour, 15);
}

/*
 * 40 bytes aligned to 128: 32 objects, a 32-byte array. Half of 40 is less than the 32 bytes of kmalloc-32, so the array stays on
 * the slab: 4096 / 129 = 31 objects. Catches judging the benefit by the aligned size.
 */
static void off_slab_benefit_is_judged_by_the_unaligned_size(void **state)
{
	(void)state;
	struct slab_geometry geometry = geometry_of(40, 128, 0, true, 1);
	assert_int_equal(geometry.flags, 0);
	assert_int_equal(geometry.num, 31);
}

/* Catches an object smaller than 16 bytes (more than 255 to a page) and a lost alignment. */
static void smallest_objects_take_sixteen_bytes(void **state)
{
	(void)state;
	struct slab_geometry geometry = geometry_of(1, 0, 0, false, 1);
	assert_int_equal(geometry.size, 16);
	assert_int_equal(geometry.num, 240); /* 4096 / 17: 256 objects need more than 255 indexes */
	assert_int_equal(geometry_of(1, 32, 0, false, 1).size, 32);
	assert_int_equal(geometry_of(17, 0, SLAB_HWCACHE_ALIGN, false, 1).size, 32);
	assert_int_equal(geometry_of(33, 0, SLAB_HWCACHE_ALIGN, false, 1).size, 64);
}

/* Catches a wrong limit at each border of enable_cpucache(). */
static void array_limits_follow_the_size(void **state)
{
	(void)state;
	static const uint32_t sizes[][2] = {{256, 120}, {264, 54}, {1024, 54},  {1032, 24},
	                                    {4096, 24}, {4104, 8}, {131072, 8}, {131080, 1}};
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		struct slab_geometry geometry = geometry_of(sizes[i][0], 0, 0, false, 1);
		assert_int_equal(geometry.limit, sizes[i][1]);
		assert_int_equal(geometry.batchcount, (sizes[i][1] + 1) / 2);
	}
}

/*
 * 1736 bytes: order 0 holds 2 and leaves 624, 624 * 8 > 4096; order 1 holds 4 and leaves 1248, 9984 > 8192; order 2 holds 9 and
 * leaves 760, 6080 <= 16384. Catches an ignored slab_max_order and the exception for reclaimable caches.
 */
static void slab_order_is_bounded(void **state)
{
	(void)state;
	assert_int_equal(geometry_of(1736, 0, 0, false, 0).order, 0);
	assert_int_equal(geometry_of(1736, 0, 0, false, 1).order, 1);
	assert_int_equal(geometry_of(1736, 0, 0, false, 5).order, 2);
	assert_int_equal(geometry_of(1736, 0, 0, false, 5).num, 9);
	assert_int_equal(geometry_of(1736, 0, SLAB_RECLAIM_ACCOUNT, false, 5).order, 0);
	assert_int_equal(geometry_of(20000, 0, 0, false, 0).order, 3); /* the first order that holds one */
	assert_int_equal(slab_max_order_auto(8192), 0);                /* 32 MiB */
	assert_int_equal(slab_max_order_auto(8193), 1);
	/* slab_max_order=0 is an order like others, not "auto", which is 1 on this machine: 1536-byte objects, two in a page. */
	static const uint32_t orders[] = {0, 1, SLAB_MAX_ORDER_AUTO}, pages[] = {1, 2, 2};
	for (size_t i = 0; i < 3; i++) {
		struct rig rig;
		struct cache_view view;
		rig_init(&rig, 1);
		rig.settings.kernel.slab_max_order = orders[i];
		rig_start(&rig);
		cache_id id = make(&rig, 1536, 0, false);
		assert_true(rig.objects->ops->cache_view(rig.objects, id, &view));
		assert_int_equal(view.pages_per_slab, pages[i]);
		rig_release(&rig);
	}
}

/* Catches a refusal that the kernel does not make, or a cache that it would not make. */
static void impossible_caches_are_refused(void **state)
{
	(void)state;
	struct rig rig;
	rig_make(&rig, 1);
	struct cache_spec spec = {.name = "x", .object_size = 4u << 20};
	assert_int_not_equal(cache_create(rig.objects, &spec).nr, CACHE_NONE.nr);
	spec.object_size = (4u << 20) + 1;
	assert_int_equal(cache_create(rig.objects, &spec).nr, CACHE_NONE.nr);
	spec.object_size = 64;
	spec.flags = 0x80000000u; /* the allocator's own */
	assert_int_equal(cache_create(rig.objects, &spec).nr, CACHE_NONE.nr);
	rig_release(&rig);
}

/* ---- the order of objects ---- */

/*
 * 96 bytes: 42 to a slab, limit 120, batch 60. Catches: a first refill larger than 16, a refill that goes on into a new slab,
 * FIFO arrays.
 */
static void fresh_slab_comes_in_batches_last_first(void **state)
{
	(void)state;
	struct rig rig;
	rig_make(&rig, 1);
	cache_id id = make(&rig, 96, 0, false);
	for (uint32_t i = 0; i < 16; i++)
		assert_int_equal(index_of(&rig, take(&rig, id, 0)), 15 - i);
	for (uint32_t i = 0; i < 26; i++)
		assert_int_equal(index_of(&rig, take(&rig, id, 0)), 41 - i);
	assert_int_equal(counted(&rig)->grown, 1);
	assert_int_equal(index_of(&rig, take(&rig, id, 0)), 41); /* batch 60 takes the whole second slab */
	assert_int_equal(counted(&rig)->grown, 2);
	assert_int_equal(counted(&rig)->refill_lists, 1);
	assert_int_equal(rig.pages->last_flags, GFP_KERNEL | __GFP_COMP);
	rig_release(&rig);
}

/*
 * shuffle_freelist(): the index stack is the cache's sequence from some place on; where the array lies in an object, the first
 * drawn stands last and holds it. Catches an order new in each slab, objects twice or never, the array in the wrong object.
 */
static void shuffled_slabs_are_turns_of_one_sequence(void **state)
{
	(void)state;
	for (unsigned ctor = 0; ctor < 2; ctor++) {
		struct rig rig;
		rig_init(&rig, 1);
		rig.settings.kernel.slab_freelist_random = true;
		rig_start(&rig);
		cache_id id = make(&rig, 96, 0, ctor);
		struct slab_cache *cache = slab_cache_of(rig.slab, id);
		bool in_object = cache->geometry.flags & CFLGS_OBJFREELIST_SLAB;
		assert_int_equal(in_object, !ctor);
		uint32_t num = cache->num, starts = 0, last = UINT32_MAX;
		uint64_t seen = 0;
		for (uint32_t i = 0; i < num; i++)
			seen |= 1ull << cache->random_seq[i];
		assert_int_equal(seen, (1ull << num) - 1);
		for (uint32_t grown = 0; grown < 20;) {
			vaddr at = take(&rig, id, 0);
			if (counted(&rig)->grown == grown)
				continue;
			grown = (uint32_t)counted(&rig)->grown;
			struct slab *slab = slab_of(&rig, at);
			const uint8_t *stack = slab_index(cache, slab);
			uint32_t first = in_object ? stack[num - 1] : stack[0], start = 0;
			while (cache->random_seq[start] != first)
				start++;
			for (uint32_t i = 0; i < num; i++)
				assert_int_equal(stack[in_object ? (i + num - 1) % num : i],
				                 cache->random_seq[(start + i) % num]);
			if (in_object && slab->freelist)
				assert_int_equal(slab->freelist, slab_object_address(cache, slab, first));
			starts += first != last;
			last = first;
			object_allocator_check(rig.objects);
		}
		assert_true(starts > 5);
		rig_release(&rig);
	}
}

/*
 * get_first_slab(): 96 bytes, 42 to a slab. Slab A is empty, slab B has 20 free objects, the array is empty: the next refill
 * takes from B. Catches free slabs broken while there are partial ones.
 */
static void partial_slabs_come_before_free_ones(void **state)
{
	(void)state;
	struct rig rig;
	rig_make(&rig, 1);
	cache_id id = make(&rig, 96, 0, false);
	struct slab_cache *cache = slab_cache_of(rig.slab, id);
	vaddr objects[126];
	for (uint32_t i = 0; i < 126; i++)
		objects[i] = take(&rig, id, 0);
	uint32_t empty = frame_of(&rig, objects[0]), partial = frame_of(&rig, objects[125]), given = 0;
	for (uint32_t i = 0; i < 126; i++)
		if (frame_of(&rig, objects[i]) == empty || (frame_of(&rig, objects[i]) == partial && given++ < 20))
			give(&rig, id, objects[i], 0);
	slab_tune_cpucache(rig.slab, cache, 120, 60, 0, 0); /* empties the array and keeps the slabs */
	assert_int_equal(cache->node.free_slabs, 1);
	assert_int_equal(cache->node.free_objects, 62);
	for (uint32_t i = 0; i < 16; i++)
		assert_int_equal(frame_of(&rig, take(&rig, id, 0)), partial);
	assert_int_equal(cache->node.free_slabs, 1);
	rig_release(&rig);
}

/* 704 aligned to 64: 5 to a page, 576 bytes left, 9 colours. Catches a first slab without colour and a wrong wrap-around. */
static void colours_are_counted_up_before_use(void **state)
{
	(void)state;
	struct rig rig;
	rig_make(&rig, 1);
	cache_id id = make(&rig, 704, SLAB_HWCACHE_ALIGN | SLAB_RECLAIM_ACCOUNT, false);
	for (uint32_t slab = 0; slab < 10; slab++) {
		vaddr first = VADDR_NULL;
		for (uint32_t i = 0; i < 5; i++)
			first = take(&rig, id, 0);
		uint64_t begin = layout_page_address(&rig.layout, pfn_of(frame_of(&rig, first))).addr;
		assert_int_equal(slab_of(&rig, first)->s_mem - begin, (slab + 1) % 9 * 64);
	}
	rig_release(&rig);
}

/*
 * 4096 bytes: one to a slab, limit 24, batch 12. 30 objects are freed in order: 24 fill the array, the 25th flushes the 12 oldest
 * into their slabs, each of which goes to the head of the free list. free_limit is 2 * 12 + 1 = 25, nothing is given back.
 * Catches: flushing the newest, a free list filled at its tail, an array not moved down.
 */
static void flush_takes_the_oldest_batch(void **state)
{
	(void)state;
	struct rig rig;
	rig_make(&rig, 1);
	cache_id id = make(&rig, 4096, 0, false);
	struct slab_cache *cache = slab_cache_of(rig.slab, id);
	vaddr at[30];
	for (uint32_t i = 0; i < 30; i++)
		at[i] = take(&rig, id, 0);
	for (uint32_t i = 0; i < 30; i++)
		give(&rig, id, at[i], 0);
	const struct array_cache *array = cpu_array(cache, 0);
	assert_int_equal(array->avail, 18);
	uint32_t number = cache->node.list[SLABS_FREE].first;
	for (uint32_t i = 0; i < 12; i++, number = slab_at(rig.slab, number)->next)
		assert_int_equal(slab_at(rig.slab, number)->frame, frame_of(&rig, at[11 - i]));
	assert_int_equal(number, 0);
	for (uint32_t i = 0; i < 18; i++)
		assert_int_equal(take(&rig, id, 0).addr, at[29 - i].addr);
	/* The refill takes 12 slabs from the free list's head: at[11], at[10] ...; the last one taken is handed out first. */
	assert_false(cache->node.free_touched);
	for (uint32_t i = 0; i < 12; i++)
		assert_int_equal(take(&rig, id, 0).addr, at[i].addr);
	assert_true(cache->node.free_touched);
	rig_release(&rig);
}

/*
 * As before with 48 objects: three flushes put 36 free slabs, 11 beyond the limit of 25, taken from the free list's tail: the
 * 26th to the 36th free slab push out at[0] .. at[10] in turn; within one flush the one taken last is freed first.
 * Catches: giving back from the head, a limit off by one, the wrong order of giving back.
 */
static void slabs_beyond_the_limit_leave_from_the_tail(void **state)
{
	(void)state;
	struct rig rig;
	rig_make(&rig, 1);
	cache_id id = make(&rig, 4096, 0, false);
	vaddr at[60];
	for (uint32_t i = 0; i < 60; i++)
		at[i] = take(&rig, id, 0);
	for (uint32_t i = 0; i < 60; i++)
		give(&rig, id, at[i], 0);
	/* Flushes at the 25th, 37th and 49th free: 36 objects inside at the third, 11 too many, freed at[10] first. */
	assert_int_equal(counted(&rig)->flush_lists, 3);
	assert_int_equal(rig.pages->freed_count, 11);
	for (uint32_t i = 0; i < 11; i++)
		assert_int_equal(rig.pages->freed[i], frame_of(&rig, at[10 - i]));
	assert_int_equal(counted(&rig)->over_limit, 11);
	rig_release(&rig);
}

/*
 * 2048 bytes: two to a slab, batch 12 = 6 slabs. Frees one object of each of 12 slabs: they go to the partial list's tail in that
 * order, and the next refill takes them from its head. Catches: partial slabs at the head, free slabs before partial ones.
 */
static void partial_slabs_queue_up(void **state)
{
	(void)state;
	struct rig rig;
	rig_make(&rig, 1);
	cache_id id = make(&rig, 2048, 0, false);
	struct slab_cache *cache = slab_cache_of(rig.slab, id);
	vaddr at[48];
	for (uint32_t i = 0; i < 48; i++)
		at[i] = take(&rig, id, 0);
	assert_int_equal(cpu_array(cache, 0)->avail, 0);
	/* Each new slab gives objects 1, 0. The even ones of 24 slabs fill the array; the 25th free flushes at[0] .. at[22]. */
	for (uint32_t i = 0; i < 48; i += 2)
		give(&rig, id, at[i], 0);
	give(&rig, id, at[47], 0);
	uint32_t number = cache->node.list[SLABS_PARTIAL].first;
	for (uint32_t i = 0; i < 12; i++, number = slab_at(rig.slab, number)->next) {
		assert_int_equal(slab_at(rig.slab, number)->frame, frame_of(&rig, at[2 * i]));
		assert_int_equal(slab_at(rig.slab, number)->active, 1);
	}
	assert_int_equal(number, 0);
	for (uint32_t i = 0; i < 13; i++)
		take(&rig, id, 0);
	/* The refill entered at[0], at[2] .. at[22] into the array: at[22] is handed out first, its slab is the full list's head.
	 */
	assert_int_equal(take(&rig, id, 0).addr, at[22].addr);
	assert_int_equal(slab_at(rig.slab, cache->node.list[SLABS_FULL].first)->frame, frame_of(&rig, at[22]));
	rig_release(&rig);
}

/*
 * 96 bytes, two partial slabs of 42. A refill of 16 leaves the first one partial: it returns to the list's head. Catches a slab
 * that goes to the tail after it was taken from.
 */
static void taken_from_slab_stays_first(void **state)
{
	(void)state;
	struct rig rig;
	rig_make(&rig, 1);
	cache_id id = make(&rig, 96, 0, false);
	struct slab_cache *cache = slab_cache_of(rig.slab, id);
	vaddr at[84];
	for (uint32_t i = 0; i < 84; i++)
		at[i] = take(&rig, id, 0);
	for (uint32_t i = 0; i < 30; i++)
		give(&rig, id, at[i], 0);
	rig.objects->ops->cache_shrink(rig.objects, id, 0);
	for (uint32_t i = 50; i < 80; i++)
		give(&rig, id, at[i], 0);
	rig.objects->ops->cache_shrink(rig.objects, id, 0);
	cpu_array(cache, 0)->touched = 0;
	assert_int_equal(frame_of(&rig, take(&rig, id, 0)), frame_of(&rig, at[0]));
	const struct slab *first = slab_at(rig.slab, cache->node.list[SLABS_PARTIAL].first);
	assert_int_equal(first->frame, frame_of(&rig, at[0]));
	assert_int_equal(first->active, 12 + 16);
	assert_int_equal(slab_at(rig.slab, first->next)->active, 12);
	rig_release(&rig);
}

/*
 * 96 bytes, shared array of 480. The other CPU's first refill takes 16 of them, so the next flush of 60 finds room for 16: only
 * those 16 leave the array. Catches a flush that moves all or nothing.
 */
static void shared_array_takes_what_it_has_room_for(void **state)
{
	(void)state;
	struct rig rig;
	rig_make(&rig, 2);
	cache_id id = make(&rig, 96, 0, false);
	struct slab_cache *cache = slab_cache_of(rig.slab, id);
	vaddr at[800];
	for (uint32_t i = 0; i < 800; i++)
		at[i] = take(&rig, id, 0);
	uint32_t next = 0;
	while (cache->node.shared->avail < 480)
		give(&rig, id, at[next++], 0);
	take(&rig, id, 1);
	assert_int_equal(cache->node.shared->avail, 464);
	uint64_t flushes = counted(&rig)->flush_shared;
	while (counted(&rig)->flush_shared == flushes)
		give(&rig, id, at[next++], 0);
	assert_int_equal(cache->node.shared->avail, 480);
	assert_int_equal(cpu_array(cache, 0)->avail, 120 - 16 + 1);
	assert_int_equal(counted(&rig)->flush_lists, 0);
	rig_release(&rig);
}

/*
 * Two CPUs share an array of 8 * 12 = 96 objects of 2048 bytes. Catches: a shared array that is skipped, taken from its bottom,
 * or filled beyond its limit.
 */
static void shared_array_passes_objects_on(void **state)
{
	(void)state;
	struct rig rig;
	rig_make(&rig, 2);
	cache_id id = make(&rig, 2048, 0, false);
	struct slab_cache *cache = slab_cache_of(rig.slab, id);
	vaddr at[200];
	for (uint32_t i = 0; i < 200; i++)
		at[i] = take(&rig, id, 0);
	for (uint32_t i = 0; i < 25; i++)
		give(&rig, id, at[i], 0);
	assert_int_equal(cache->node.shared->avail, 12);
	/* The other CPU gets the top batch of the shared array, at[0] .. at[11], in order, and hands out the last. */
	assert_int_equal(take(&rig, id, 1).addr, at[11].addr);
	assert_int_equal(counted(&rig)->refill_shared, 1);
	assert_int_equal(cache->node.shared->touched, 1);
	give(&rig, id, at[11], 1);
	for (uint32_t i = 25; i < 200; i++)
		give(&rig, id, at[i], 0);
	assert_int_equal(cache->node.shared->avail, 96);
	assert_true(counted(&rig)->flush_lists > 0);
	object_allocator_check(rig.objects);
	rig_release(&rig);
}

/*
 * 512 bytes: 8 to a page, the index array in a free object: the last one of a fresh slab; none when full; then in the first that
 * is freed back. Catches an array that stays in an object in use.
 */
static void index_array_moves_with_the_free_objects(void **state)
{
	(void)state;
	struct rig rig;
	rig_make(&rig, 1);
	cache_id id = make(&rig, 512, 0, false);
	struct slab_cache *cache = slab_cache_of(rig.slab, id);
	assert_int_equal(cache->geometry.flags, CFLGS_OBJFREELIST_SLAB);
	vaddr at[16];
	for (uint32_t i = 0; i < 16; i++)
		at[i] = take(&rig, id, 0);
	struct slab *slab = slab_of(&rig, at[0]);
	assert_int_equal(slab->freelist, 0);
	give(&rig, id, at[3], 0);
	rig.objects->ops->cache_shrink(rig.objects, id, 0);
	assert_int_equal(slab->freelist, at[3].addr);
	give(&rig, id, at[5], 0);
	rig.objects->ops->cache_shrink(rig.objects, id, 0);
	assert_int_equal(slab->freelist, at[3].addr);
	assert_int_equal(slab_index(cache, slab)[7], index_of(&rig, at[3]));
	assert_int_equal(slab_index(cache, slab)[6], index_of(&rig, at[5]));
	for (uint32_t i = 0; i < 16; i++)
		if (i != 3 && i != 5)
			give(&rig, id, at[i], 0);
	rig_release(&rig);
}

/* ---- index arrays in another cache ---- */

static const struct slab_cache *kmalloc_32(const struct rig *rig)
{
	return rig->slab->caches[kmalloc_slab(&rig->slab->kmalloc, 32, GFP_KERNEL).nr];
}

/* Catches index arrays that are not allocated, not given back, or counted as the user's objects. */
static void off_slab_arrays_live_in_kmalloc(void **state)
{
	(void)state;
	struct rig rig;
	rig_make(&rig, 1);
	cache_id id = make(&rig, 1024, 0, true);
	vaddr at[9];
	for (uint32_t i = 0; i < 9; i++)
		at[i] = take(&rig, id, 0);
	assert_int_equal(kmalloc_32(&rig)->live, 3);
	assert_int_equal(rig.objects->live_objects, 9);
	object_allocator_check(rig.objects);
	for (uint32_t i = 0; i < 9; i++)
		give(&rig, id, at[i], 0);
	assert_true(cache_destroy(rig.objects, id, 0));
	assert_int_equal(kmalloc_32(&rig)->live, 0);
	rig_release(&rig);
}

/* Catches a frame that is lost when the index array gets no memory, and a broken state after failures. */
static void failures_leave_a_sound_state(void **state)
{
	(void)state;
	struct rig rig;
	rig_make(&rig, 1);
	cache_id off_slab = make(&rig, 1024, 0, true);
	rig.pages->fail_after = 0;
	assert_int_equal(cache_alloc(rig.objects, off_slab, GFP_KERNEL, 0).at.addr, 0);
	assert_int_equal(rig.pages->base.allocated_pages, 0);
	rig.pages->fail_after = 1; /* the slab's own page comes, the index array's does not */
	assert_int_equal(cache_alloc(rig.objects, off_slab, GFP_KERNEL, 0).at.addr, 0);
	assert_int_equal(rig.pages->base.allocated_pages, 0);
	assert_int_equal(counted(&rig)->alloc_failed, 3);
	object_allocator_check(rig.objects);
	rig.pages->fail_after = UINT32_MAX;
	give(&rig, off_slab, take(&rig, off_slab, 0), 0);
	rig_release(&rig);
}

/* ---- wrong frees ---- */

/* Catches a wrong free that is taken, or that changes anything. */
static void wrong_frees_are_told_and_change_nothing(void **state)
{
	(void)state;
	struct rig rig;
	rig_make(&rig, 2);
	cache_id id = make(&rig, 704, SLAB_HWCACHE_ALIGN, false), other = make(&rig, 64, 0, false);
	vaddr at = take(&rig, id, 0);
	struct slab_counters before = *counted(&rig);
	assert_int_equal(cache_free(rig.objects, other, at, 0), OBJECT_FREE_WRONG_CACHE);
	assert_int_equal(cache_free(rig.objects, id, vaddr_of(at.addr + 8), 0), OBJECT_FREE_NOT_OBJECT);
	assert_int_equal(cache_free(rig.objects, id, vaddr_of(slab_of(&rig, at)->s_mem - 64), 0), OBJECT_FREE_NOT_OBJECT);
	assert_int_equal(cache_free(rig.objects, id, vaddr_of(slab_of(&rig, at)->s_mem), 0), OBJECT_FREE_NOT_ALLOCATED);
	assert_int_equal(cache_free(rig.objects, id, vaddr_of(at.addr + (1u << 24)), 0), OBJECT_FREE_NOT_OBJECT);
	assert_int_equal(object_kfree(rig.objects, vaddr_of(0xffff900000000000u), 0), OBJECT_FREE_NOT_OBJECT);
	assert_int_equal(object_kfree(rig.objects, vaddr_of(0x1000), 0), OBJECT_FREE_NOT_OBJECT);
	assert_memory_equal(&before, counted(&rig), sizeof before);
	vaddr large = object_kmalloc(rig.objects, 10000, GFP_KERNEL, 0).at;
	assert_int_equal(cache_free(rig.objects, id, large, 0), OBJECT_FREE_WRONG_CACHE);
	assert_int_equal(object_kfree(rig.objects, vaddr_of(large.addr + PAGE_SIZE), 0), OBJECT_FREE_NOT_OBJECT);
	assert_int_equal(object_kfree(rig.objects, large, 0), OBJECT_FREE_OK);
	give(&rig, id, at, 1);
	before = *counted(&rig);
	assert_int_equal(cache_free(rig.objects, id, at, 1), OBJECT_FREE_NOT_ALLOCATED);
	assert_int_equal(object_kfree(rig.objects, at, 0), OBJECT_FREE_NOT_ALLOCATED);
	assert_memory_equal(&before, counted(&rig), sizeof before);
	assert_int_equal(object_kfree(rig.objects, VADDR_NULL, 0), OBJECT_FREE_OK);
	assert_int_equal(object_kfree(rig.objects, ZERO_SIZE_PTR, 0), OBJECT_FREE_OK);
	rig_release(&rig);
}

/* ---- kmalloc ---- */

/* Catches a wrong class, slot size or hand-over: SLAB's smallest is 32, kmalloc-96 has slots of 128 but ksize 96. */
static void kmalloc_sizes_are_slabs(void **state)
{
	(void)state;
	static const uint32_t sizes[][3] = {{1, 32, 32},
	                                    {32, 32, 32},
	                                    {33, 64, 64},
	                                    {65, 96, 128},
	                                    {97, 128, 128},
	                                    {129, 192, 192},
	                                    {193, 256, 256},
	                                    {4097, 8192, 8192},
	                                    {8192, 8192, 8192},
	                                    {8193, 16384, 16384},
	                                    {4u << 20, 4u << 20, 4u << 20}};
	struct rig rig;
	rig_make(&rig, 1);
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		struct object object = object_kmalloc(rig.objects, sizes[i][0], GFP_KERNEL, 0);
		assert_int_not_equal(object.at.addr, 0);
		assert_int_equal(rig.objects->ops->ksize(rig.objects, object.at), sizes[i][1]);
		assert_int_equal(object.bytes_alloc, sizes[i][2]);
		assert_int_equal(object_kfree(rig.objects, object.at, 0), OBJECT_FREE_OK);
		assert_int_equal(rig.objects->ops->ksize(rig.objects, object.at), 0);
	}
	assert_int_equal(object_kmalloc(rig.objects, 0, GFP_KERNEL, 0).at.addr, ZERO_SIZE_PTR.addr);
	assert_int_equal(object_kmalloc(rig.objects, (4u << 20) + 1, GFP_KERNEL, 0).at.addr, 0);
	object_kfree(rig.objects, object_kmalloc(rig.objects, 100, GFP_KERNEL | __GFP_DMA, 0).at, 0);
	assert_int_equal(rig.pages->last_flags, GFP_KERNEL | __GFP_COMP | GFP_DMA);
	object_kfree(rig.objects, object_kmalloc(rig.objects, 100, GFP_KERNEL | __GFP_RECLAIMABLE | __GFP_NOFAIL, 0).at, 0);
	assert_int_equal(rig.pages->last_flags, GFP_KERNEL | __GFP_COMP | __GFP_RECLAIMABLE);
	rig_release(&rig);
}

/* ---- whole caches ---- */

/* Catches a destroy that loses objects, an id that is not used again, and a shared cache destroyed too early. */
static void caches_come_and_go(void **state)
{
	(void)state;
	struct rig rig;
	rig_init(&rig, 2);
	rig.settings.kernel.slab_merge = true;
	rig_start(&rig);
	cache_id id = make(&rig, 192, 0, false);
	assert_int_equal(make(&rig, 188, 0, false).nr, id.nr);
	assert_true(cache_destroy(rig.objects, id, 0));
	vaddr at = take(&rig, id, 1);
	assert_false(cache_destroy(rig.objects, id, 0));
	object_allocator_check(rig.objects);
	give(&rig, id, at, 0);
	assert_false(cache_destroy(rig.objects, id, 0)); /* the kernel's count is below zero now: it does not try again */
	cache_id second = make(&rig, 4000, 0, false);
	assert_int_not_equal(second.nr, id.nr);
	assert_true(cache_destroy(rig.objects, second, 0));
	struct cache_view view;
	assert_false(rig.objects->ops->cache_view(rig.objects, second, &view));
	assert_int_equal(make(&rig, 5000, 0, false).nr, second.nr);
	rig_release(&rig);
}

/* Catches slabinfo numbers that leave the arrays' objects out: 50 in use, 42 + 8 outside a slab of 42, and what the arrays hold.
 */
static void view_is_slabinfo(void **state)
{
	(void)state;
	struct rig rig;
	rig_make(&rig, 2);
	cache_id id = make(&rig, 96, 0, false);
	for (uint32_t i = 0; i < 50; i++)
		take(&rig, id, 0);
	struct cache_view view;
	assert_true(rig.objects->ops->cache_view(rig.objects, id, &view));
	assert_int_equal(view.live_objects, 50);
	assert_int_equal(view.active_objects, 84); /* the second slab went into the array whole */
	assert_int_equal(view.total_objects, 84);
	assert_int_equal(view.slabs, 2);
	assert_int_equal(view.active_slabs, 2);
	assert_int_equal(view.limit, 120);
	assert_int_equal(view.batchcount, 60);
	assert_int_equal(view.shared, 8);
	assert_int_equal(rig.objects->ops->pages_held(rig.objects), 2);
	rig_release(&rig);
}

/* ---- the reaper ---- */

/*
 * 4096 bytes, limit 24. Catches: draining a touched array, the wrong share, the wrong end, free slabs reaped when the free list
 * was used, and a node reaped more often than every four seconds.
 */
static void reaper_takes_a_fifth(void **state)
{
	(void)state;
	struct rig rig;
	rig_make(&rig, 1);
	cache_id id = make(&rig, 4096, 0, false);
	struct slab_cache *cache = slab_cache_of(rig.slab, id);
	struct array_cache *array = cpu_array(cache, 0);
	cache->node.next_reap_ms = 4000;
	vaddr at[20];
	for (uint32_t i = 0; i < 20; i++)
		at[i] = take(&rig, id, 0);
	for (uint32_t i = 0; i < 20; i++)
		give(&rig, id, at[i], 0);
	cache->node.free_touched = true;
	slab_reap(rig.objects, 0, 2000);
	assert_int_equal(array->avail, 20);
	assert_int_equal(array->touched, 0);
	/* (24 + 4) / 5 = 5 leave the bottom. The node's turn: the free list was used, which is only forgotten now. */
	slab_reap(rig.objects, 0, 4000);
	assert_int_equal(array->avail, 15);
	assert_int_equal(cache->node.free_slabs, 5);
	assert_false(cache->node.free_touched);
	slab_reap(rig.objects, 0, 6000);
	assert_int_equal(cache->node.free_slabs, 10);
	/* free_limit 2 * 12 + 1 = 25, a fifth of it in slabs of one object: (25 + 5 - 1) / 5 = 5. */
	slab_reap(rig.objects, 0, 8000);
	assert_int_equal(counted(&rig)->reaped, 5);
	assert_int_equal(rig.pages->freed[0], frame_of(&rig, at[0])); /* the free list's tail */
	slab_reap(rig.objects, 0, 10000);
	assert_int_equal(array->avail, 0);
	slab_reap(rig.objects, 0, 12000);
	assert_int_equal(counted(&rig)->reaped, 10);
	rig_release(&rig);
}

/* Three objects are less than a fifth of the limit: the older half, rounded up, leaves. */
static void reaper_halves_a_small_array(void **state)
{
	(void)state;
	struct rig rig;
	rig_make(&rig, 1);
	cache_id id = make(&rig, 4096, 0, false);
	struct slab_cache *cache = slab_cache_of(rig.slab, id);
	cache->node.next_reap_ms = UINT64_MAX;
	vaddr at[3];
	for (uint32_t i = 0; i < 3; i++)
		at[i] = take(&rig, id, 0);
	for (uint32_t i = 0; i < 3; i++)
		give(&rig, id, at[i], 0);
	slab_reap(rig.objects, 0, 2000);
	slab_reap(rig.objects, 0, 4000);
	assert_int_equal(cpu_array(cache, 0)->avail, 1);
	assert_int_equal(take(&rig, id, 0).addr, at[2].addr);
	rig_release(&rig);
}

/*
 * 2048 bytes, two to a slab: free_limit 2 * 12 + 2 = 26, so (26 + 5 * 2 - 1) / (5 * 2) = 3 free slabs leave. Catches a share that
 * is rounded down or counted in objects.
 */
static void reaper_rounds_slabs_up(void **state)
{
	(void)state;
	struct rig rig;
	rig_make(&rig, 1);
	cache_id id = make(&rig, 2048, 0, false);
	struct slab_cache *cache = slab_cache_of(rig.slab, id);
	cache->node.next_reap_ms = 2000;
	vaddr at[48];
	for (uint32_t i = 0; i < 48; i++)
		at[i] = take(&rig, id, 0);
	for (uint32_t i = 0; i < 48; i++)
		give(&rig, id, at[i], 0);
	assert_int_equal(cache->node.free_slabs, 12);
	slab_reap(rig.objects, 0, 2000);
	assert_int_equal(cache->node.free_slabs, 9);
	assert_int_equal(counted(&rig)->reaped, 3);
	rig_release(&rig);
}

/*
 * The reaper's times: 2^32 - 75000 + 1.816 s in ticks of 4 ms is the first whole second of jiffies after one second of uptime;
 * CPU 1 is three ticks earlier. Catches a first call that reaps, CPUs in step, a reap that drifts with late calls, and none at
 * all.
 */
static void the_reaper_comes_every_two_seconds(void **state)
{
	(void)state;
	const uint64_t ms = 1000000;
	struct rig rig;
	rig_make(&rig, 2);
	cache_id id = make(&rig, 96, 0, false);
	struct array_cache *array = cpu_array(slab_cache_of(rig.slab, id), 0);
	give(&rig, id, take(&rig, id, 0), 0);
	assert_int_equal(array->avail, 16);
	assert_int_equal((4294967296u - 75000 + 1816 / 4) % 250, 0);
	assert_int_equal(object_allocator_tick(rig.objects, 0, 10 * ms), 1816 * ms);
	assert_int_equal(object_allocator_tick(rig.objects, 1, 10 * ms), 1804 * ms);
	assert_int_equal(object_allocator_tick(rig.objects, 1, 1804 * ms), 3804 * ms);
	assert_int_equal(array->touched, 1); /* not this CPU's */
	assert_int_equal(object_allocator_tick(rig.objects, 0, 1816 * ms), 3816 * ms);
	assert_int_equal(array->touched, 0);
	assert_int_equal(array->avail, 16);
	assert_int_equal(object_allocator_tick(rig.objects, 0, 2000 * ms), 3816 * ms); /* too early: nothing */
	assert_int_equal(array->avail, 16);
	assert_int_equal(object_allocator_tick(rig.objects, 0, 3900 * ms), 5816 * ms);
	assert_int_equal(array->avail, 8); /* (120 + 4) / 5 = 24 are more than 16: half of them */
	rig_release(&rig);
}

/* ---- loading ---- */

/* Catches a loaded state that hands out other objects than the kernel would, and states that no kernel can have. */
static void recorded_states_load(void **state)
{
	(void)state;
	struct rig rig;
	rig_make(&rig, 1);
	cache_id id = make(&rig, 512, 0, false);
	struct slab_cache *cache = slab_cache_of(rig.slab, id);
	uint64_t begin = layout_page_address(&rig.layout, pfn_of(300)).addr;
	static const uint8_t stack[] = {6, 2, 5};
	struct slab_state slab = {.frame = pfn_of(300), .active = 5, .freelist = begin + 5 * 512, .stack = stack};
	assert_false(slab_load_slab(rig.slab, cache, SLABS_FULL, &slab));
	slab.freelist = begin;
	assert_false(slab_load_slab(rig.slab, cache, SLABS_PARTIAL, &slab));
	slab.freelist = begin + 5 * 512;
	slab.colour_bytes = 64;
	assert_false(slab_load_slab(rig.slab, cache, SLABS_PARTIAL, &slab));
	slab.colour_bytes = 0;
	assert_true(slab_load_slab(rig.slab, cache, SLABS_PARTIAL, &slab));
	assert_false(slab_load_slab(rig.slab, cache, SLABS_PARTIAL, &slab));
	vaddr in_array[] = {vaddr_of(begin), vaddr_of(begin + 3 * 512)}, inside = vaddr_of(begin + 2 * 512);
	assert_false(slab_load_array(rig.slab, cache, cpu_array(cache, 0), &inside, 1, 0));
	assert_true(slab_load_array(rig.slab, cache, cpu_array(cache, 0), in_array, 2, 1));
	vaddr other = vaddr_of(begin + 4 * 512);
	assert_false(slab_load_array(rig.slab, cache, cpu_array(cache, 0), NULL, 0, 0));
	assert_false(slab_load_array(rig.slab, cache, cpu_array(cache, 0), &other, 1, 0));
	struct slab_node_state node = {.total_slabs = 1, .free_objects = 2, .free_limit = 68};
	assert_false(slab_load_node(rig.slab, cache, &node));
	node.free_objects = 3;
	assert_true(slab_load_node(rig.slab, cache, &node));
	assert_int_equal(rig.objects->live_objects, 3);
	object_allocator_check(rig.objects);
	static const uint32_t expected[] = {3, 0, 5, 2, 6};
	for (size_t i = 0; i < sizeof expected / sizeof *expected; i++)
		assert_int_equal(index_of(&rig, take(&rig, id, 0)), expected[i]);
	assert_int_equal(counted(&rig)->grown, 0);
	give(&rig, id, vaddr_of(begin + 4 * 512), 0);
	rig_release(&rig);
}

/* ---- everything at once ---- */

/* Catches whatever check() can see: two CPUs, several caches, 60,000 operations, page failures; at the end all pages are back. */
static void random_operations_keep_the_laws(void **state)
{
	(void)state;
	struct rig rig;
	rig_make(&rig, 2);
	static const uint32_t sizes[] = {24, 192, 704, 1024, 2240, 8192};
	enum { KINDS = sizeof sizes / sizeof *sizes, LIVE = 1500 };
	cache_id ids[KINDS];
	for (uint32_t kind = 0; kind < KINDS; kind++)
		ids[kind] = make(&rig, sizes[kind], 0, kind % 2 == 1);
	static struct {
		vaddr at;
		uint32_t kind;
	} live[LIVE];
	memset(live, 0, sizeof live);
	struct rng rng;
	rng_init(&rng, 7, "slab");
	for (uint32_t op = 0; op < 60000; op++) {
		uint32_t place = rng_below(&rng, LIVE), kind = rng_below(&rng, KINDS + 1);
		unsigned cpu = rng_below(&rng, 2);
		rig.pages->fail_after = rng_below(&rng, 20) ? UINT32_MAX : 0;
		if (live[place].at.addr != 0) {
			kind = live[place].kind;
			enum object_free_result freed = kind < KINDS && op % 2
			                                        ? cache_free(rig.objects, ids[kind], live[place].at, cpu)
			                                        : object_kfree(rig.objects, live[place].at, cpu);
			assert_int_equal(freed, OBJECT_FREE_OK);
			live[place].at = VADDR_NULL;
		} else {
			live[place].kind = kind;
			live[place].at = (kind < KINDS ? cache_alloc(rig.objects, ids[kind], GFP_KERNEL, cpu)
			                               : object_kmalloc(rig.objects, 1 + rng_below(&rng, 20000), GFP_KERNEL, cpu))
			                         .at;
		}
		if (op % 1000 == 999) {
			object_allocator_check(rig.objects);
			slab_reap(rig.objects, cpu, 2000 * (op / 1000));
		}
		if (rig.pages->next > FRAMES - 64)
			rig.pages->next = 256;
		while (rig.pages->order_of[rig.pages->next] != 0)
			rig.pages->next++;
		rig.pages->freed_count = 0;
	}
	rig.pages->fail_after = UINT32_MAX;
	for (uint32_t place = 0; place < LIVE; place++)
		assert_int_equal(object_kfree(rig.objects, live[place].at, 0), OBJECT_FREE_OK);
	/* The kmalloc caches last: index arrays of the others come back to them. */
	for (uint32_t nr = rig.slab->cache_limit; nr-- > 0;)
		rig.objects->ops->cache_shrink(rig.objects, (cache_id){nr}, 0);
	assert_int_equal(rig.objects->live_objects, 0);
	assert_int_equal(rig.pages->base.allocated_pages, 0);
	assert_int_equal(rig.objects->ops->pages_held(rig.objects), 0);
	rig_release(&rig);
}

/* Catches a metric row that points beside its counter. */
static void metrics_read_their_counters(void **state)
{
	(void)state;
	struct rig rig;
	rig_make(&rig, 1);
	cache_id id = make(&rig, 96, 0, false);
	take(&rig, id, 0);
	take(&rig, id, 0);
	object_kmalloc(rig.objects, 10000, GFP_KERNEL, 0);
	const void *base = rig.objects->ops->counters(rig.objects);
	unsigned seen = 0;
	for (const struct metric *metric = rig.objects->ops->metrics; metric->name; metric++) {
		uint64_t value = metric_value(metric, base);
		if (strcmp(metric->name, "allochit") == 0 || strcmp(metric->name, "allocmiss") == 0 ||
		    strcmp(metric->name, "large_allocs") == 0 || strcmp(metric->name, "pages_slab") == 0) {
			assert_int_equal(value, 1);
			seen++;
		}
		if (strcmp(metric->name, "num_active") == 0) {
			assert_int_equal(value, 16);
			seen++;
		}
	}
	assert_int_equal(seen, 5);
	rig_release(&rig);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	        cmocka_unit_test(every_recorded_cache_has_its_geometry),
	        cmocka_unit_test(kmalloc_caches_are_those_of_the_recorded_kernel),
	        cmocka_unit_test(caches_merge_as_recorded),
	        cmocka_unit_test(index_array_goes_off_slab),
	        cmocka_unit_test(off_slab_benefit_is_judged_by_the_unaligned_size),
	        cmocka_unit_test(smallest_objects_take_sixteen_bytes),
	        cmocka_unit_test(array_limits_follow_the_size),
	        cmocka_unit_test(slab_order_is_bounded),
	        cmocka_unit_test(impossible_caches_are_refused),
	        cmocka_unit_test(fresh_slab_comes_in_batches_last_first),
	        cmocka_unit_test(shuffled_slabs_are_turns_of_one_sequence),
	        cmocka_unit_test(partial_slabs_come_before_free_ones),
	        cmocka_unit_test(colours_are_counted_up_before_use),
	        cmocka_unit_test(flush_takes_the_oldest_batch),
	        cmocka_unit_test(slabs_beyond_the_limit_leave_from_the_tail),
	        cmocka_unit_test(partial_slabs_queue_up),
	        cmocka_unit_test(taken_from_slab_stays_first),
	        cmocka_unit_test(shared_array_takes_what_it_has_room_for),
	        cmocka_unit_test(shared_array_passes_objects_on),
	        cmocka_unit_test(index_array_moves_with_the_free_objects),
	        cmocka_unit_test(off_slab_arrays_live_in_kmalloc),
	        cmocka_unit_test(failures_leave_a_sound_state),
	        cmocka_unit_test(wrong_frees_are_told_and_change_nothing),
	        cmocka_unit_test(kmalloc_sizes_are_slabs),
	        cmocka_unit_test(caches_come_and_go),
	        cmocka_unit_test(view_is_slabinfo),
	        cmocka_unit_test(reaper_takes_a_fifth),
	        cmocka_unit_test(the_reaper_comes_every_two_seconds),
	        cmocka_unit_test(reaper_halves_a_small_array),
	        cmocka_unit_test(reaper_rounds_slabs_up),
	        cmocka_unit_test(recorded_states_load),
	        cmocka_unit_test(random_operations_keep_the_laws),
	        cmocka_unit_test(metrics_read_their_counters),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
