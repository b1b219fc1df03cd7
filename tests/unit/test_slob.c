/* SPDX-License-Identifier: MIT
 *
 * test_slob.c - SLOB's placement, worked by hand after mm/slob.c of Linux 6.1: which page, which offset, which list in which
 * order.
 *
 * The pages below are frames 10, 11, 12 ... (hex) in the order they are asked for; the last one given back comes first again.
 * Lists are written as in the recorder's dumps: `frame units [ offset+units ... ]`, head first, frames and offsets in hex.
 */
#include "models/object_allocator/slob.h"
#include "models/settings.h"
#include "sim/metric.h"
#include "tests/unit/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct object_allocator *object_allocator_slob_create(const struct object_allocator_wiring *wiring, struct error *error);

#define FIRST_FRAME 0x10u
#define FRAMES 0x10000u
#define RETURNED_MAX 1024u

struct test_pages {
	struct page_allocator base;
	uint32_t fresh;
	uint32_t returned[RETURNED_MAX], returned_count;
	unsigned order; /* of the last request */
	gfp flags;
	uint32_t requests;
	bool refuse;
};

static pfn pages_alloc(struct page_allocator *base, unsigned order, gfp flags, unsigned cpu)
{
	struct test_pages *pages = (struct test_pages *)base;
	(void)cpu;
	pages->requests++;
	pages->order = order;
	pages->flags = flags;
	if (pages->refuse)
		return PFN_NONE;
	if (order == 0 && pages->returned_count)
		return pfn_of(pages->returned[--pages->returned_count]);
	uint32_t first = (pages->fresh + (1u << order) - 1) & ~((1u << order) - 1);
	pages->fresh = first + (1u << order);
	return pfn_of(first);
}

static enum page_free_result pages_free(struct page_allocator *base, pfn first, unsigned order, unsigned cpu)
{
	struct test_pages *pages = (struct test_pages *)base;
	(void)cpu;
	assert_true(pages->returned_count < RETURNED_MAX);
	if (order == 0)
		pages->returned[pages->returned_count++] = first.nr;
	return PAGE_FREE_OK;
}

static const struct page_allocator_ops test_pages_ops = {.name = "test", .alloc = pages_alloc, .free = pages_free};

struct bench {
	struct settings settings;
	struct layout layout;
	struct steps steps;
	struct test_pages pages;
	struct object_allocator *objects;
};

static int set_up(void **state)
{
	struct bench *bench = xcalloc(1, sizeof *bench);
	settings_init(&bench->settings);
	layout_init(&bench->layout, 64);
	steps_init(&bench->steps, false);
	bench->pages.base = (struct page_allocator){.ops = &test_pages_ops, .end_pfn = FRAMES, .managed_pages = FRAMES};
	bench->pages.fresh = FIRST_FRAME;
	struct object_allocator_wiring wiring = {&bench->settings, &bench->pages.base, &bench->layout, &bench->steps, 1};
	bench->objects = object_allocator_slob_create(&wiring, NULL);
	*state = bench;
	return 0;
}

static int tear_down(void **state)
{
	struct bench *bench = *state;
	object_allocator_check(bench->objects);
	assert_int_equal(bench->objects->ops->pages_held(bench->objects), bench->pages.base.allocated_pages);
	object_allocator_destroy(bench->objects);
	steps_release(&bench->steps);
	settings_release(&bench->settings);
	free(bench);
	return 0;
}

static cache_id make_cache(struct bench *bench, uint32_t size, uint32_t align, uint32_t flags)
{
	struct cache_spec spec = {.name = "test", .object_size = size, .align = align, .flags = flags};
	return cache_create(bench->objects, &spec);
}

static vaddr at(const struct bench *bench, uint32_t frame, uint32_t offset)
{
	return vaddr_of(layout_page_address(&bench->layout, pfn_of(frame)).addr + offset);
}

/* Allocates and says where: frame << 12 | offset. 0: no memory. */
static uint64_t place_of(const struct bench *bench, vaddr address)
{
	return address.addr ? address.addr - bench->layout.direct_map : 0;
}

static uint64_t alloc(struct bench *bench, cache_id cache)
{
	return place_of(bench, cache_alloc(bench->objects, cache, GFP_KERNEL, 0).at);
}

static uint64_t kmalloc(struct bench *bench, uint32_t size)
{
	return place_of(bench, object_kmalloc(bench->objects, size, GFP_KERNEL, 0).at);
}

static void free_object(struct bench *bench, cache_id cache, uint32_t frame, uint32_t offset)
{
	assert_int_equal(cache_free(bench->objects, cache, at(bench, frame, offset), 0), OBJECT_FREE_OK);
}

static void kfree(struct bench *bench, uint32_t frame, uint32_t offset)
{
	assert_int_equal(object_kfree(bench->objects, at(bench, frame, offset), 0), OBJECT_FREE_OK);
}

static void expect_list(const struct bench *bench, enum slob_list list, const char *expected)
{
	char text[4096];
	size_t used = 0;
	struct slob_page_view page;
	text[0] = '\0';
	for (uint32_t cursor = 0; slob_next_page(bench->objects, list, &cursor, &page);) {
		used += (size_t)snprintf(text + used, sizeof text - used, "%s%x %u [", used ? " " : "", page.frame.nr,
		                         page.units);
		for (uint32_t i = 0; i < page.count; i++)
			used += (size_t)snprintf(text + used, sizeof text - used, " %x+%u", page.blocks[i].offset * SLOB_UNIT,
			                         page.blocks[i].units);
		used += (size_t)snprintf(text + used, sizeof text - used, " ]");
	}
	assert_string_equal(text, expected);
}

static uint64_t counter(const struct bench *bench, const char *name)
{
	const void *counters = bench->objects->ops->counters(bench->objects);
	for (const struct metric *row = bench->objects->ops->metrics; row->name; row++)
		if (strcmp(row->name, name) == 0)
			return metric_value(row, counters);
	fail_msg("no metric %s", name);
	return 0;
}

/*
 * The header is 8 bytes, blocks are made of 2-byte units, and the object (not its header) is aligned. These are the first small
 * requests of a recorded script (slob64/smp1/kmalloc_rand.log): 1, 5, 43 bytes came out at offsets 8, 18, 28 of a fresh range.
 * Would catch: a header of 4 or 16 bytes, blocks rounded to 8, the header aligned instead of the object.
 */
static void test_kmalloc_header_and_units(void **state)
{
	struct bench *bench = *state;
	assert_int_equal(kmalloc(bench, 1), 0x10008);
	expect_list(bench, SLOB_SMALL, "10 2043 [ a+2043 ]");
	assert_int_equal(kmalloc(bench, 5), 0x10018);
	expect_list(bench, SLOB_SMALL, "10 2036 [ a+3 1e+2033 ]");
	assert_int_equal(kmalloc(bench, 43), 0x10028);
	expect_list(bench, SLOB_SMALL, "10 2010 [ a+3 1e+1 54+2006 ]");
}

/* Sizes that are powers of two lie on a multiple of themselves behind the header; what is skipped stays free. */
static void test_kmalloc_powers_of_two(void **state)
{
	struct bench *bench = *state;
	assert_int_equal(kmalloc(bench, 64), 0x10040);
	expect_list(bench, SLOB_SMALL, "10 2012 [ 0+28 80+1984 ]");
	assert_int_equal(kmalloc(bench, 32),
	                 0x100a0); /* at 18 its 40 bytes would reach to 40, where 38 begins the first header */
	expect_list(bench, SLOB_SMALL, "10 1992 [ 0+28 80+12 c0+1952 ]");
	assert_int_equal(kmalloc(bench, 16), 0x10010);
	expect_list(bench, SLOB_SMALL, "10 1980 [ 0+4 20+12 80+12 c0+1952 ]");
	assert_int_equal(kmalloc(bench, 8), 0x10028);
	assert_int_equal(kmalloc(bench, 2048),
	                 0x11800); /* recorded in slob64/smp1/kmalloc_pow2.log: offset 800 of a fresh page */
	expect_list(bench, SLOB_LARGE, "11 1020 [ 0+1020 ]");
}

/* The three lists: by the size of the run, header included. A request never looks at another list's pages. */
static void test_lists_by_size(void **state)
{
	struct bench *bench = *state;
	kmalloc(bench, 247);                         /* 255 with its header: small */
	kmalloc(bench, 248);                         /* 256: medium */
	alloc(bench, make_cache(bench, 1023, 0, 0)); /* made even: 1024, large */
	alloc(bench, make_cache(bench, 1022, 0, 0)); /* medium */
	kmalloc(bench, 1016);                        /* 1024: large */
	expect_list(bench, SLOB_SMALL, "10 1920 [ 100+1920 ]");
	expect_list(bench, SLOB_MEDIUM, "11 1409 [ 4fe+1409 ]");
	expect_list(bench, SLOB_LARGE, "12 1024 [ 800+1024 ]");
}

/*
 * A page that was full comes to the head of its list; a list is turned, not reordered, so that the page found comes first, but
 * not if the page is full now; a page with too few free units is passed over; a fresh page goes to the head.
 * Would catch: tail instead of head, move-to-front instead of rotation, rotation at a page that has left the list.
 */
static void test_list_order(void **state)
{
	struct bench *bench = *state;
	cache_id small = make_cache(bench, 128, 0, 0), wide = make_cache(bench, 192, 0, 0), wider = make_cache(bench, 248, 0, 0);
	for (uint32_t i = 0; i < 3 * 32; i++)
		alloc(bench, small);
	expect_list(bench, SLOB_SMALL, "");
	free_object(bench, small, 0x10, 0);
	free_object(bench, small, 0x11, 0);
	free_object(bench, small, 0x11, 0x80);
	free_object(bench, small, 0x12, 0x100);
	expect_list(bench, SLOB_SMALL, "12 64 [ 100+64 ] 11 128 [ 0+128 ] 10 64 [ 0+64 ]");

	uint64_t scanned = counter(bench, "slob_pages_scanned"), too_full = counter(bench, "slob_pages_too_full");
	assert_int_equal(alloc(bench, wide), 0x11000);
	expect_list(bench, SLOB_SMALL, "11 32 [ c0+32 ] 10 64 [ 0+64 ] 12 64 [ 100+64 ]");
	assert_int_equal(counter(bench, "slob_pages_scanned"), scanned + 2);
	assert_int_equal(counter(bench, "slob_pages_too_full"), too_full + 1);

	assert_int_equal(alloc(bench, small), 0x10000);
	expect_list(bench, SLOB_SMALL, "11 32 [ c0+32 ] 12 64 [ 100+64 ]");
	assert_int_equal(alloc(bench, wider), 0x13000);
	expect_list(bench, SLOB_SMALL, "13 1924 [ f8+1924 ] 11 32 [ c0+32 ] 12 64 [ 100+64 ]");
	assert_int_equal(counter(bench, "slob_pages_small"), 3);
	assert_int_equal(counter(bench, "slob_pages_full"), 1);
	assert_int_equal(counter(bench, "slob_free_bytes_small"), 2 * (1924 + 32 + 64));
}

/* A page with enough free units in blocks that are each too small is looked into, passed, and stays where it is. */
static void test_no_block_fits(void **state)
{
	struct bench *bench = *state;
	cache_id small = make_cache(bench, 128, 0, 0), wide = make_cache(bench, 192, 0, 0);
	for (uint32_t i = 0; i < 32; i++)
		alloc(bench, small);
	free_object(bench, small, 0x10, 0);
	free_object(bench, small, 0x10, 0x100);
	for (uint64_t i = 1; i <= 2; i++) { /* the second time the page is known to hold no larger block; it counts the same */
		assert_int_equal(alloc(bench, wide), 0x11000);
		expect_list(bench, SLOB_SMALL, "11 1952 [ c0+1952 ] 10 128 [ 0+64 100+64 ]");
		assert_int_equal(counter(bench, "slob_pages_no_fit"), i);
		assert_int_equal(counter(bench, "slob_blocks_no_fit"), 2 * i);
		free_object(bench, wide, 0x11, 0);
	}
	expect_list(bench, SLOB_SMALL, "10 128 [ 0+64 100+64 ]");
}

/* Freed runs join what they touch, on either side and on both; an empty page is given back at once, the last one too. */
static void test_merging(void **state)
{
	struct bench *bench = *state;
	cache_id cache = make_cache(bench, 64, 0, 0);
	for (uint32_t i = 0; i < 6; i++)
		assert_int_equal(alloc(bench, cache), 0x10000 + 0x40 * i);
	free_object(bench, cache, 0x10, 0x40);
	expect_list(bench, SLOB_SMALL, "10 1888 [ 40+32 180+1856 ]");
	assert_int_equal(cache_free(bench->objects, cache, at(bench, 0x10, 0x40), 0), OBJECT_FREE_NOT_ALLOCATED);
	free_object(bench, cache, 0x10, 0xc0);
	expect_list(bench, SLOB_SMALL, "10 1920 [ 40+32 c0+32 180+1856 ]");
	free_object(bench, cache, 0x10, 0x80);
	expect_list(bench, SLOB_SMALL, "10 1952 [ 40+96 180+1856 ]");
	free_object(bench, cache, 0x10, 0);
	expect_list(bench, SLOB_SMALL, "10 1984 [ 0+128 180+1856 ]");
	free_object(bench, cache, 0x10, 0x140);
	expect_list(bench, SLOB_SMALL, "10 2016 [ 0+128 140+1888 ]");
	free_object(bench, cache, 0x10, 0x100);
	expect_list(bench, SLOB_SMALL, "");
	assert_int_equal(bench->pages.base.allocated_pages, 0);
}

/* The first block that fits is cut, even where a later one fits exactly. Would catch: best fit, cutting from the end. */
static void test_first_fit(void **state)
{
	struct bench *bench = *state;
	cache_id wide = make_cache(bench, 128, 0, 0), small = make_cache(bench, 64, 0, 0);
	for (uint32_t i = 0; i < 4; i++)
		alloc(bench, wide);
	alloc(bench, small);
	alloc(bench, small);
	free_object(bench, wide, 0x10, 0x80);
	free_object(bench, small, 0x10, 0x200);
	expect_list(bench, SLOB_SMALL, "10 1824 [ 80+64 200+32 280+1728 ]");
	assert_int_equal(alloc(bench, small), 0x10080);
	expect_list(bench, SLOB_SMALL, "10 1792 [ c0+32 200+32 280+1728 ]");
}

/* Objects of a cache follow its alignment; the gaps stay free for others. SLAB_HWCACHE_ALIGN aligns to the part of a line needed.
 */
static void test_cache_alignment(void **state)
{
	struct bench *bench = *state;
	cache_id half = make_cache(bench, 1000, 512, 0); /* as recorded in slob64/smp1/slab_1000_a512.log */
	for (uint32_t i = 0; i < 4; i++)
		assert_int_equal(alloc(bench, half), 0x10000 + 0x400 * i);
	expect_list(bench, SLOB_MEDIUM, "10 48 [ 3e8+12 7e8+12 be8+12 fe8+12 ]");
	cache_id line = make_cache(bench, 100, 0, SLAB_HWCACHE_ALIGN), part = make_cache(bench, 20, 0, SLAB_HWCACHE_ALIGN);
	assert_int_equal(alloc(bench, line), 0x11000);
	assert_int_equal(alloc(bench, line), 0x11080);
	expect_list(bench, SLOB_SMALL, "11 1948 [ 64+14 e4+1934 ]");
	assert_int_equal(alloc(bench, part), 0x11100); /* multiples of 32: 80 is taken, e0 too */
	cache_id tiny = make_cache(bench, 1, 0, 0);
	assert_int_equal(alloc(bench, tiny), 0x11068); /* one unit, on 8 bytes */
	expect_list(bench, SLOB_SMALL, "11 1937 [ 64+2 6a+11 e4+14 114+1910 ]");
	assert_int_equal(make_cache(bench, 100, 8192, 0).nr, UINT32_MAX);
}

/*
 * From PAGE_SIZE - 8 bytes on kmalloc is whole blocks without a header, marked compound above order 0; a cache's objects are from
 * a page on, and never marked. Heap pages are asked for without __GFP_ZERO.
 */
static void test_whole_pages(void **state)
{
	struct bench *bench = *state;
	struct object object = object_kmalloc(bench->objects, 4087, GFP_KERNEL | __GFP_ZERO, 0);
	assert_int_equal(place_of(bench, object.at), 0x10008);
	assert_int_equal(object.bytes_alloc, 4095);
	assert_int_equal(bench->pages.flags, GFP_KERNEL);
	assert_int_equal(bench->objects->ops->ksize(bench->objects, object.at), 4088);
	expect_list(bench, SLOB_LARGE, "");
	assert_int_equal(counter(bench, "slob_pages_full"), 1);

	object = object_kmalloc(bench->objects, 4088, GFP_KERNEL | __GFP_ZERO, 0);
	assert_int_equal(place_of(bench, object.at), 0x11000);
	assert_int_equal(object.bytes_alloc, 4096);
	assert_int_equal(bench->pages.flags, GFP_KERNEL | __GFP_ZERO);
	object = object_kmalloc(bench->objects, 8193, GFP_KERNEL, 0);
	assert_int_equal(place_of(bench, object.at), 0x14000);
	assert_int_equal(object.bytes_alloc, 16384);
	assert_int_equal(bench->pages.flags, GFP_KERNEL | __GFP_COMP);
	assert_int_equal(bench->objects->ops->ksize(bench->objects, object.at), 16384);
	assert_int_equal(bench->objects->ops->pages_large(bench->objects), 5);

	cache_id page = make_cache(bench, 4095, 0, 0), pages = make_cache(bench, 4097, 0, 0);
	object = cache_alloc(bench->objects, page, GFP_KERNEL, 0);
	assert_int_equal(bench->pages.order, 0);
	assert_int_equal(object.bytes_alloc, 4096);
	object = cache_alloc(bench->objects, pages, GFP_KERNEL | __GFP_ZERO, 0);
	assert_int_equal(bench->pages.order, 1);
	assert_int_equal(bench->pages.flags, GFP_KERNEL | __GFP_ZERO);
	assert_int_equal(object.bytes_alloc, 4098);
	assert_int_equal(bench->objects->ops->pages_large(bench->objects), 5);
	assert_int_equal(bench->objects->ops->pages_held(bench->objects), 9);
	kfree(bench, 0x10, 8);
	kfree(bench, 0x11, 0);
	kfree(bench, 0x14, 0);
	assert_int_equal(bench->objects->ops->pages_held(bench->objects), 3);
}

/* bytes_req and bytes_alloc as a SLOB kernel's tracepoints printed them (slob64/trace-small-smp1/trace.txt). */
static void test_bytes_alloc_as_recorded(void **state)
{
	struct bench *bench = *state;
	static const uint32_t kmallocs[][2] = {{64, 72}, {6, 14}, {27, 35}, {2592, 2600}, {4096, 4096}};
	for (size_t i = 0; i < sizeof kmallocs / sizeof *kmallocs; i++)
		assert_int_equal(object_kmalloc(bench->objects, kmallocs[i][0], GFP_KERNEL, 0).bytes_alloc, kmallocs[i][1]);
	/* A footer of 24 bytes where objects are freed after a grace period: sighand_cache, anon_vma. */
	static const uint32_t caches[][3] = {{2080, SLAB_TYPESAFE_BY_RCU, 2104}, {96, SLAB_TYPESAFE_BY_RCU, 120}, {704, 0, 704}};
	for (size_t i = 0; i < sizeof caches / sizeof *caches; i++) {
		cache_id cache = make_cache(bench, caches[i][0], 0, caches[i][1]);
		struct object object = cache_alloc(bench->objects, cache, GFP_KERNEL, 0);
		assert_int_equal(object.bytes_alloc, caches[i][2]);
		assert_int_equal(bench->objects->ops->ksize(bench->objects, object.at), caches[i][0]);
	}
	cache_id over = make_cache(bench, 4080, 0, SLAB_TYPESAFE_BY_RCU); /* 4104 with its footer: no longer in a page */
	assert_int_equal(cache_alloc(bench->objects, over, GFP_KERNEL, 0).bytes_alloc, 4104);
	assert_int_equal(bench->pages.order, 1);
}

static enum object_free_result kfree_result(struct bench *bench, uint32_t frame, uint32_t offset)
{
	return object_kfree(bench->objects, at(bench, frame, offset), 0);
}

/* Wrong frees: of a header, of free memory, of what now lies inside another object, of nothing. */
static void test_wrong_frees(void **state)
{
	struct bench *bench = *state;
	kmalloc(bench, 24);  /* 0 .. 20, given out as 8 */
	kmalloc(bench, 24);  /* 20 .. 40, given out as 28 */
	kmalloc(bench, 100); /* 40 .. ac */
	assert_int_equal(kfree_result(bench, 0x10, 0), OBJECT_FREE_NOT_OBJECT);
	assert_int_equal(kfree_result(bench, 0x10, 0x10), OBJECT_FREE_NOT_OBJECT);
	assert_int_equal(kfree_result(bench, 0x10, 0xc), OBJECT_FREE_NOT_OBJECT);
	assert_int_equal(kfree_result(bench, 0x10, 0x200), OBJECT_FREE_NOT_ALLOCATED);
	assert_int_equal(kfree_result(bench, 0x11, 0), OBJECT_FREE_NOT_OBJECT);
	kfree(bench, 0x10, 8);
	assert_int_equal(kfree_result(bench, 0x10, 8), OBJECT_FREE_NOT_ALLOCATED);
	kfree(bench, 0x10, 0x28);
	assert_int_equal(kmalloc(bench, 50), 0x10008); /* 0 .. 3a: over both */
	assert_int_equal(kfree_result(bench, 0x10, 0x28), OBJECT_FREE_NOT_OBJECT);
	expect_list(bench, SLOB_SMALL, "10 1965 [ 3a+3 ac+1962 ]");
	cache_id cache = make_cache(bench, 24, 0, 0);
	assert_int_equal(cache_free(bench->objects, cache, at(bench, 0x10, 8), 0), OBJECT_FREE_WRONG_CACHE);
}

/* No page to be had: no object, nothing changed but the counters, and the next request is served. */
static void test_no_memory(void **state)
{
	struct bench *bench = *state;
	bench->pages.refuse = true;
	assert_int_equal(kmalloc(bench, 100), 0);
	assert_int_equal(kmalloc(bench, 5000), 0);
	assert_int_equal(counter(bench, "slob_failures"), 1);
	assert_int_equal(counter(bench, "slob_list_misses"), 1);
	assert_int_equal(counter(bench, "slob_whole_page_failures"), 1);
	bench->pages.refuse = false;
	assert_int_equal(kmalloc(bench, 100), 0x10008);
}

/* 4 MiB is the largest request (order 10); more is refused without asking for pages. */
static void test_largest_request(void **state)
{
	struct bench *bench = *state;
	assert_int_equal(kmalloc(bench, (4u << 20) + 1), 0);
	assert_int_equal(kmalloc(bench, UINT32_MAX), 0);
	assert_int_equal(bench->pages.requests, 0);
	assert_int_not_equal(kmalloc(bench, 4u << 20), 0);
	assert_int_equal(bench->pages.order, 10);
}

/* A recorded state: pages in list order, holes as they were, objects of before can be freed, unknown space cannot. */
static void test_loading(void **state)
{
	struct bench *bench = *state;
	static const struct slob_block holes[] = {{0x10 / 2, 8}, {0x40 / 2, 100}}, rest[] = {{0, 50}};
	bench->pages.base.allocated_pages = 3;
	assert_true(slob_load_page(bench->objects, SLOB_SMALL, pfn_of(0x100), holes, 2, NULL));
	assert_true(slob_load_page(bench->objects, SLOB_SMALL, pfn_of(0x90), rest, 1, NULL));
	assert_true(slob_load_page(bench->objects, SLOB_FULL, pfn_of(0x101), NULL, 0, NULL));
	expect_list(bench, SLOB_SMALL, "100 108 [ 10+8 40+100 ] 90 50 [ 0+50 ]");
	object_allocator_check(bench->objects);
	assert_int_equal(kmalloc(bench, 4), 0x100018);

	cache_id cache = make_cache(bench, 32, 0, 0);
	assert_true(slob_load_object(bench->objects, at(bench, 0x100, 0x20), cache, 0, NULL));
	assert_true(slob_load_object(bench->objects, at(bench, 0x101, 0x408), CACHE_NONE, 500, NULL));
	bench->objects->live_objects += 2;
	object_allocator_check(bench->objects);
	assert_int_equal(kfree_result(bench, 0x100, 0), OBJECT_FREE_NOT_OBJECT);
	free_object(bench, cache, 0x100, 0x20);
	expect_list(bench, SLOB_SMALL, "100 118 [ 1c+118 ] 90 50 [ 0+50 ]");
	kfree(bench, 0x101, 0x408); /* 508 bytes from 400 on: the page opens on the list of that size */
	expect_list(bench, SLOB_MEDIUM, "101 254 [ 400+254 ]");
}

static void expect_refused(struct bench *bench, enum slob_list list, uint32_t frame, const struct slob_block *blocks,
                           uint32_t count)
{
	struct error error = {0};
	assert_false(slob_load_page(bench->objects, list, pfn_of(frame), blocks, count, &error));
	assert_int_equal(error.kind, ERROR_INPUT);
}

/* States that no SLOB can be in are refused, so that a damaged file does not become a damaged heap. */
static void test_loading_is_guarded(void **state)
{
	struct bench *bench = *state;
	static const struct slob_block good[] = {{0, 4}, {8, 4}}, touching[] = {{0, 4}, {4, 4}}, falling[] = {{8, 4}, {0, 4}};
	static const struct slob_block beyond[] = {{2040, 16}}, nothing[] = {{8, 0}}, empty_page[] = {{0, 2048}};
	bench->pages.base.allocated_pages = 1;
	assert_true(slob_load_page(bench->objects, SLOB_LARGE, pfn_of(0x20), good, 2, NULL));
	expect_refused(bench, SLOB_SMALL, 0x20, good, 2);
	expect_refused(bench, SLOB_SMALL, FRAMES, good, 2);
	expect_refused(bench, SLOB_SMALL, UINT32_MAX, good, 2);
	expect_refused(bench, SLOB_SMALL, 0x21, touching, 2);
	expect_refused(bench, SLOB_SMALL, 0x21, falling, 2);
	expect_refused(bench, SLOB_SMALL, 0x21, beyond, 1);
	expect_refused(bench, SLOB_SMALL, 0x21, nothing, 1);
	expect_refused(bench, SLOB_SMALL, 0x21, empty_page, 1);
	expect_refused(bench, SLOB_SMALL, 0x21, NULL, 0);
	expect_refused(bench, SLOB_FULL, 0x21, good, 2);

	cache_id cache = make_cache(bench, 64, 0, 0);
	assert_false(slob_load_object(bench->objects, at(bench, 0x20, 0), cache, 0, NULL));     /* free */
	assert_false(slob_load_object(bench->objects, at(bench, 0x21, 0), cache, 0, NULL));     /* no page of ours */
	assert_false(slob_load_object(bench->objects, at(bench, 0x20, 0x104), cache, 0, NULL)); /* no place of an object */
	assert_false(slob_load_object(bench->objects, at(bench, 0x20, 0xfe0), cache, 0, NULL)); /* over the end */
	assert_false(slob_load_object(bench->objects, at(bench, 0x20, 0x100), CACHE_NONE, 4087, NULL));
	assert_true(slob_load_object(bench->objects, at(bench, 0x20, 0x100), cache, 0, NULL));
	bench->objects->live_objects++;
	assert_false(slob_load_object(bench->objects, at(bench, 0x20, 0xe0), cache, 0, NULL));        /* over another */
	assert_false(slob_load_object(bench->objects, at(bench, 0x20, 0x140), CACHE_NONE, 10, NULL)); /* its header would be */
	assert_true(slob_load_object(bench->objects, at(bench, 0x20, 0x148), CACHE_NONE, 10, NULL));
	bench->objects->live_objects++;
}

/* A page cut into as many blocks as objects can make: 512 objects of 2 bytes on 8-byte places, with a hole of 3 units behind
 * each. */
static void test_many_blocks_in_a_page(void **state)
{
	struct bench *bench = *state;
	cache_id tiny = make_cache(bench, 2, 0, 0);
	for (uint32_t i = 0; i < 512; i++)
		assert_int_equal(alloc(bench, tiny), 0x10000 + 8 * i);
	struct slob_page_view page;
	uint32_t cursor = 0;
	assert_true(slob_next_page(bench->objects, SLOB_SMALL, &cursor, &page));
	assert_int_equal(page.count, 512);
	assert_int_equal(page.units, 1536);
	assert_int_equal(alloc(bench, tiny), 0x11000); /* no hole is on a multiple of 8 */
	object_allocator_check(bench->objects);
	for (uint32_t i = 0; i < 512; i += 2)
		free_object(bench, tiny, 0x10, 8 * i);
	for (uint32_t i = 1; i < 512; i += 2)
		free_object(bench, tiny, 0x10, 8 * i);
	expect_list(bench, SLOB_SMALL, "11 2047 [ 2+2047 ]");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	        TEST(kmalloc_header_and_units),
	        TEST(kmalloc_powers_of_two),
	        TEST(lists_by_size),
	        TEST(list_order),
	        TEST(no_block_fits),
	        TEST(merging),
	        TEST(first_fit),
	        TEST(cache_alignment),
	        TEST(whole_pages),
	        TEST(bytes_alloc_as_recorded),
	        TEST(wrong_frees),
	        TEST(no_memory),
	        TEST(largest_request),
	        TEST(loading),
	        TEST(loading_is_guarded),
	        TEST(many_blocks_in_a_page),
	};
	return cmocka_run_group_tests_name("slob", tests, NULL, NULL);
}
