/* SPDX-License-Identifier: MIT
 *
 * buddy.h - small hand-made states of the buddy model, for its unit tests.
 *
 * A bench holds one model with zones as the test describes them: no statistics are held back (stat_threshold 0) and per-CPU lists
 * take one block at a time unless the test says otherwise, so that every number can be worked out on paper.
 */
#ifndef TESTS_UNIT_BUDDY_H
#define TESTS_UNIT_BUDDY_H

#include "models/page_allocator/buddy.h"
#include "tests/unit/test.h"

#include <string.h>

struct bench {
	struct settings settings;
	struct layout layout;
	struct steps steps;
	struct buddy_spec spec;
	struct buddy *buddy;
	struct page_allocator *pages;
};

/* One zone "Normal" on one CPU; the test adds to bench->spec before bench_empty(). */
static inline void bench_describe(struct bench *bench, uint32_t start, uint32_t frames)
{
	memset(bench, 0, sizeof *bench);
	layout_init(&bench->layout, 64);
	steps_init(&bench->steps, false);
	bench->spec = (struct buddy_spec){.pageblock_order = 10, .cpus = 1, .zone_count = 1};
	bench->spec.zones[0] = (struct zone_spec){.name = "Normal",
	                                          .kind = ZONE_NORMAL,
	                                          .index = 2,
	                                          .start_pfn = start,
	                                          .spanned = frames,
	                                          .present = frames,
	                                          .managed = frames,
	                                          .pcp_high = 1000,
	                                          .pcp_batch = 1};
}

static inline void bench_empty(struct bench *bench)
{
	struct error error = {0};
	struct page_allocator_wiring wiring = {.settings = &bench->settings, .layout = &bench->layout, .steps = &bench->steps};
	bench->buddy = buddy_empty(&bench->spec, &wiring, &error);
	if (!bench->buddy)
		fail_msg("%s", error.text);
	bench->buddy->mobility_disabled = false;
	bench->pages = &bench->buddy->port;
}

static inline void bench_place(struct bench *bench, uint32_t nr, unsigned order, unsigned type)
{
	struct error error = {0};
	if (!buddy_place_free(bench->buddy, buddy_zone_of(bench->buddy, nr), nr, order, type, &error))
		fail_msg("%s", error.text);
}

/* Sets the type of the pageblocks from `nr` on. */
static inline void bench_pageblocks(struct bench *bench, uint32_t nr, unsigned count, unsigned type)
{
	for (unsigned i = 0; i < count; i++)
		buddy_place_pageblock(bench->buddy, buddy_zone_of(bench->buddy, nr), nr + (i << bench->spec.pageblock_order),
		                      type);
}

static inline void bench_start(struct bench *bench)
{
	struct error error = {0};
	if (!buddy_start(bench->buddy, &error))
		fail_msg("%s", error.text);
	page_allocator_check(bench->pages);
}

static inline void bench_end(struct bench *bench)
{
	page_allocator_check(bench->pages);
	page_allocator_destroy(bench->pages);
	steps_release(&bench->steps);
}

static inline uint32_t bench_alloc(struct bench *bench, unsigned order, gfp flags)
{
	return page_alloc(bench->pages, order, flags, 0).nr;
}

static inline void bench_free(struct bench *bench, uint32_t nr, unsigned order)
{
	assert_int_equal(page_free(bench->pages, pfn_of(nr), order, 0), PAGE_FREE_OK);
}

/* The list must hold exactly these frames, head first; the frames end with 0. */
static inline void assert_list(const struct buddy *buddy, uint32_t head, const uint32_t *expected)
{
	uint32_t nr = frame_at(buddy, head)->next;
	for (; *expected; expected++, nr = frame_at(buddy, nr)->next)
		assert_int_equal(nr, *expected);
	assert_int_equal(nr, head);
}

#define FRAMES_OF(...) ((const uint32_t[]){__VA_ARGS__, 0})
#define NO_FRAMES ((const uint32_t[]){0})

static inline void assert_free_list(const struct bench *bench, unsigned zone, unsigned order, unsigned type,
                                    const uint32_t *expected)
{
	assert_list(bench->buddy, list_head_of(&bench->buddy->zones[zone], order, type), expected);
}

static inline void assert_pcp_list(const struct bench *bench, unsigned zone, unsigned order, unsigned type,
                                   const uint32_t *expected)
{
	assert_list(bench->buddy, bench->buddy->zones[zone].pcp[0].lists + order_to_pindex(type, order), expected);
}

#endif
