/* SPDX-License-Identifier: MIT
 *
 * test_buddy.c - the buddy model in small states worked out by hand from the rules of mm/page_alloc.c of Linux 6.1. Each test's
 * comment names the mistake that it would catch.
 */
#include "tests/unit/buddy.h"

#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- splitting and merging ---- */

/* Would catch: giving out the upper half, or putting the halves on the wrong lists. */
static void a_split_gives_the_lower_half(void **state)
{
	(void)state;
	struct bench bench;
	bench_describe(&bench, 0x400, 0x400);
	bench_empty(&bench);
	bench_place(&bench, 0x408, 3, MIGRATE_UNMOVABLE);
	bench_start(&bench);
	assert_int_equal(bench_alloc(&bench, 0, GFP_KERNEL), 0x408);
	assert_free_list(&bench, 0, 0, MIGRATE_UNMOVABLE, FRAMES_OF(0x409));
	assert_free_list(&bench, 0, 1, MIGRATE_UNMOVABLE, FRAMES_OF(0x40a));
	assert_free_list(&bench, 0, 2, MIGRATE_UNMOVABLE, FRAMES_OF(0x40c));
	assert_free_list(&bench, 0, 3, MIGRATE_UNMOVABLE, NO_FRAMES);
	bench_end(&bench);
}

/* Would catch: taking the largest instead of the smallest sufficient block, or the list's tail instead of its head. */
static void the_smallest_block_at_the_head_serves(void **state)
{
	(void)state;
	struct bench bench;
	bench_describe(&bench, 0x400, 0x800);
	bench_empty(&bench);
	bench_place(&bench, 0x800, 8, MIGRATE_UNMOVABLE);
	bench_place(&bench, 0x460, 5, MIGRATE_UNMOVABLE);
	bench_place(&bench, 0x420, 5, MIGRATE_UNMOVABLE);
	bench_start(&bench);
	assert_int_equal(bench_alloc(&bench, 5, GFP_KERNEL), 0x460);
	assert_int_equal(bench_alloc(&bench, 5, GFP_KERNEL), 0x420);
	assert_int_equal(bench_alloc(&bench, 5, GFP_KERNEL), 0x800);
	bench_end(&bench);
}

/* Would catch: no merging, merging one order too few or many, a merged block with the buddy's number. */
static void freed_halves_become_one_block_again(void **state)
{
	(void)state;
	struct bench bench;
	bench_describe(&bench, 0x400, 0x400);
	bench_empty(&bench);
	bench_place(&bench, 0x400, 10, MIGRATE_UNMOVABLE);
	bench_start(&bench);
	uint32_t low = bench_alloc(&bench, 9, GFP_KERNEL), high = bench_alloc(&bench, 9, GFP_KERNEL);
	assert_int_equal(low, 0x400);
	assert_int_equal(high, 0x600);
	assert_int_equal(bench_alloc(&bench, 4, GFP_KERNEL), BLOCK_NONE);
	bench_free(&bench, low, 9);
	assert_free_list(&bench, 0, 9, MIGRATE_UNMOVABLE, FRAMES_OF(0x400));
	bench_free(&bench, high, 9);
	assert_free_list(&bench, 0, 9, MIGRATE_UNMOVABLE, NO_FRAMES);
	assert_free_list(&bench, 0, 10, MIGRATE_UNMOVABLE, FRAMES_OF(0x400));
	bench_end(&bench);
}

/*
 * Would catch: always head, always tail, or asking for the buddy's buddy at the wrong order. 440 is freed while the pair beside
 * it (460, order 5) is free: tail. 500 has no such neighbour: head.
 */
static void a_block_that_would_merge_next_waits_at_the_tail(void **state)
{
	(void)state;
	struct bench bench;
	bench_describe(&bench, 0x400, 0x400);
	bench_empty(&bench);
	bench_place(&bench, 0x700, 4, MIGRATE_UNMOVABLE);
	bench_place(&bench, 0x440, 4, MIGRATE_UNMOVABLE);
	bench_place(&bench, 0x500, 4, MIGRATE_UNMOVABLE);
	bench_place(&bench, 0x460, 5, MIGRATE_UNMOVABLE);
	bench_start(&bench);
	assert_int_equal(bench_alloc(&bench, 4, GFP_KERNEL), 0x700);
	assert_int_equal(bench_alloc(&bench, 4, GFP_KERNEL), 0x440);
	assert_int_equal(bench_alloc(&bench, 4, GFP_KERNEL), 0x500);
	bench_free(&bench, 0x700, 4);
	bench_free(&bench, 0x440, 4);
	bench_free(&bench, 0x500, 4);
	assert_free_list(&bench, 0, 4, MIGRATE_UNMOVABLE, FRAMES_OF(0x500, 0x700, 0x440));
	bench_end(&bench);
}

/* Would catch: trying the tail rule at order 9, where the kernel stops (MAX_ORDER - 2). 800's pair would have 0xc00 free beside
 * it. */
static void order_nine_always_goes_to_the_head(void **state)
{
	(void)state;
	struct bench bench;
	bench_describe(&bench, 0x400, 0x1c00);
	bench_empty(&bench);
	bench_place(&bench, 0x800, 9, MIGRATE_UNMOVABLE);
	bench_place(&bench, 0x1000, 9, MIGRATE_UNMOVABLE);
	bench_place(&bench, 0xc00, 10, MIGRATE_UNMOVABLE);
	bench_start(&bench);
	assert_int_equal(bench_alloc(&bench, 9, GFP_KERNEL), 0x800);
	bench_free(&bench, 0x800, 9);
	assert_free_list(&bench, 0, 9, MIGRATE_UNMOVABLE, FRAMES_OF(0x800, 0x1000));
	bench_end(&bench);
}

/*
 * Would catch: a zone test by the zone's span alone. Frame 0 is in no zone, but its struct page names the zone above, so block
 * 100 sees its pair's buddy 200 and goes to the tail (recorded in slub64/smp1/pages_mix3 at call 30000).
 */
static void frame_zero_belongs_to_the_zone_above(void **state)
{
	(void)state;
	struct bench bench;
	bench_describe(&bench, 1, 0xfff);
	bench.spec.zones[0].managed = 0xf00;
	bench_empty(&bench);
	bench_place(&bench, 0x100, 8, MIGRATE_UNMOVABLE);
	bench_place(&bench, 0x400, 8, MIGRATE_UNMOVABLE);
	bench_place(&bench, 0x200, 9, MIGRATE_UNMOVABLE);
	bench_start(&bench);
	assert_int_equal(bench_alloc(&bench, 8, GFP_KERNEL), 0x100);
	bench_free(&bench, 0x100, 8);
	assert_free_list(&bench, 0, 8, MIGRATE_UNMOVABLE, FRAMES_OF(0x400, 0x100));
	bench_end(&bench);
}

/* Would catch: merging across a zone boundary (its lists and counts would both be wrong). */
static void zones_do_not_merge(void **state)
{
	(void)state;
	struct bench bench;
	bench_describe(&bench, 0x410, 0x3f0);
	bench.spec.zones[1] = bench.spec.zones[0];
	bench.spec.zones[1].index = 2;
	bench.spec.zones[0] = (struct zone_spec){.name = "DMA32",
	                                         .kind = ZONE_DMA32,
	                                         .index = 1,
	                                         .start_pfn = 0x400,
	                                         .spanned = 0x10,
	                                         .present = 0x10,
	                                         .managed = 0x10,
	                                         .pcp_high = 1000,
	                                         .pcp_batch = 1};
	bench.spec.zone_count = 2;
	bench_empty(&bench);
	bench_place(&bench, 0x400, 4, MIGRATE_UNMOVABLE);
	bench_place(&bench, 0x410, 4, MIGRATE_UNMOVABLE);
	bench_start(&bench);
	assert_int_equal(bench_alloc(&bench, 4, GFP_KERNEL), 0x410);
	bench_free(&bench, 0x410, 4);
	assert_free_list(&bench, 0, 4, MIGRATE_UNMOVABLE, FRAMES_OF(0x400));
	assert_free_list(&bench, 1, 4, MIGRATE_UNMOVABLE, FRAMES_OF(0x410));
	bench_end(&bench);
}

/* Would catch: merging a HIGHATOMIC pageblock with a normal one above pageblock_order, which spoils the reserve's count. */
static void highatomic_pageblocks_stay_apart(void **state)
{
	(void)state;
	struct bench bench;
	bench_describe(&bench, 0x400, 0x400);
	bench.spec.pageblock_order = 9;
	bench_empty(&bench);
	bench_pageblocks(&bench, 0x400, 1, MIGRATE_HIGHATOMIC);
	bench_place(&bench, 0x400, 9, MIGRATE_HIGHATOMIC);
	bench_place(&bench, 0x600, 9, MIGRATE_UNMOVABLE);
	bench_start(&bench);
	assert_int_equal(bench_alloc(&bench, 9, GFP_KERNEL), 0x600);
	bench_free(&bench, 0x600, 9);
	assert_free_list(&bench, 0, 9, MIGRATE_UNMOVABLE, FRAMES_OF(0x600));
	assert_free_list(&bench, 0, 9, MIGRATE_HIGHATOMIC, FRAMES_OF(0x400));
	bench_end(&bench);
}

/* ---- per-CPU lists ---- */

/* Would catch: a refill to the head (descending frames), a batch not scaled by order, or its lower bound of 2 missing. */
static void a_refill_is_handed_out_in_ascending_order(void **state)
{
	(void)state;
	struct bench bench;
	bench_describe(&bench, 0x400, 0x400);
	bench.spec.zones[0].pcp_batch = 7;
	bench_empty(&bench);
	bench_place(&bench, 0x400, 10, MIGRATE_UNMOVABLE);
	bench_start(&bench);
	assert_int_equal(bench_alloc(&bench, 0, GFP_KERNEL), 0x400);
	assert_pcp_list(&bench, 0, 0, MIGRATE_UNMOVABLE, FRAMES_OF(0x401, 0x402, 0x403, 0x404, 0x405, 0x406));
	/* 7 >> 1 = 3 blocks of order 1; the 2 frames left of the first split come first. */
	assert_int_equal(bench_alloc(&bench, 1, GFP_KERNEL), 0x408);
	assert_pcp_list(&bench, 0, 1, MIGRATE_UNMOVABLE, FRAMES_OF(0x40a, 0x40c));
	/* 7 >> 3 = 0, but at least 2. */
	assert_int_equal(bench_alloc(&bench, 3, GFP_KERNEL), 0x410);
	assert_pcp_list(&bench, 0, 3, MIGRATE_UNMOVABLE, FRAMES_OF(0x418));
	assert_int_equal(bench.buddy->zones[0].pcp[0].count, 6 + 4 + 8);
	bench_end(&bench);
}

/* Would catch: a queue instead of a stack, or lists shared between orders or types. */
static void the_last_page_freed_is_the_next_one_given(void **state)
{
	(void)state;
	struct bench bench;
	bench_describe(&bench, 0x400, 0x400);
	bench_empty(&bench);
	bench_place(&bench, 0x400, 4, MIGRATE_UNMOVABLE);
	bench_start(&bench);
	uint32_t a = bench_alloc(&bench, 0, GFP_KERNEL), b = bench_alloc(&bench, 0, GFP_KERNEL);
	uint32_t pair = bench_alloc(&bench, 1, GFP_KERNEL);
	bench_free(&bench, a, 0);
	bench_free(&bench, b, 0);
	bench_free(&bench, pair, 1);
	assert_int_equal(bench_alloc(&bench, 0, GFP_KERNEL), b);
	assert_int_equal(bench_alloc(&bench, 0, GFP_KERNEL), a);
	assert_int_equal(bench_alloc(&bench, 1, GFP_KERNEL), pair);
	bench_end(&bench);
}

/* A zone whose per-CPU lists are full at 8 frames, with 64 single frames in hand. */
static void full_at_eight(struct bench *bench, uint32_t *held)
{
	bench_describe(bench, 0x400, 0x400);
	bench->spec.zones[0].pcp_high = 8;
	bench->spec.zones[0].pcp_batch = 2;
	bench_empty(bench);
	bench_place(bench, 0x400, 10, MIGRATE_UNMOVABLE);
	bench_start(bench);
	for (unsigned i = 0; i < 64; i++)
		held[i] = bench_alloc(bench, 0, GFP_KERNEL);
	assert_int_equal(bench->buddy->zones[0].pcp[0].count, 0);
}

/*
 * Would catch: draining above instead of at `high`, from the head instead of the tail, a constant or wrongly bounded batch.
 * The 8th free drains batch << 0 = 2 frames, the oldest. Then each further 2 frees reach 8 again: batch << 1 = 4, then 8 cut to
 * high - batch = 6, and 6 again.
 */
static void full_lists_give_back_twice_as_much_each_time(void **state)
{
	(void)state;
	struct bench bench;
	uint32_t held[64];
	full_at_eight(&bench, held);
	const struct pcp *pcp = &bench.buddy->zones[0].pcp[0];
	unsigned next = 0;
	const struct {
		unsigned frees, left;
	} drains[] = {{8, 6}, {2, 4}, {4, 2}, {6, 2}, {6, 2}};
	for (unsigned i = 0; i < sizeof drains / sizeof drains[0]; i++) {
		for (unsigned j = 0; j < drains[i].frees; j++)
			bench_free(&bench, held[next++], 0);
		assert_int_equal(pcp->count, drains[i].left);
	}
	assert_pcp_list(&bench, 0, 0, MIGRATE_UNMOVABLE, FRAMES_OF(held[25], held[24]));
	/* batch << 2 = 8 is no longer below high - batch, so the factor stays at 2; an allocation halves it. */
	assert_int_equal(pcp->free_factor, 2);
	bench_alloc(&bench, 0, GFP_KERNEL);
	assert_int_equal(pcp->free_factor, 1);
	bench_end(&bench);
}

/* Would catch: a missing bound on free_factor (CONFIG_PCP_BATCH_SCALE_MAX = 5). */
static void the_free_factor_stops_at_five(void **state)
{
	(void)state;
	struct bench bench;
	static uint32_t held[4096];
	bench_describe(&bench, 0x1000, 0x1000);
	bench.spec.zones[0].pcp_high = 200;
	bench.spec.zones[0].pcp_batch = 1;
	bench_empty(&bench);
	for (uint32_t nr = 0x1000; nr < 0x2000; nr += 0x400)
		bench_place(&bench, nr, 10, MIGRATE_UNMOVABLE);
	bench_start(&bench);
	for (unsigned i = 0; i < 4000; i++)
		held[i] = bench_alloc(&bench, 0, GFP_KERNEL);
	for (unsigned i = 0; i < 4000; i++)
		bench_free(&bench, held[i], 0);
	assert_int_equal(bench.buddy->zones[0].pcp[0].free_factor, 5);
	bench_end(&bench);
}

/* Would catch: keeping orders 1..3 while the CPU only frees (free_high), or doing it when free_factor is 0. */
static void freeing_higher_orders_in_a_row_empties_the_lists(void **state)
{
	(void)state;
	struct bench bench;
	uint32_t held[64];
	full_at_eight(&bench, held);
	uint32_t pair = bench_alloc(&bench, 1, GFP_KERNEL);
	const struct pcp *pcp = &bench.buddy->zones[0].pcp[0];
	unsigned before = pcp->count;
	bench_free(&bench, pair, 1);
	assert_int_equal(pcp->count, before + 2);
	for (unsigned i = 0; pcp->free_factor == 0; i++)
		bench_free(&bench, held[i], 0);
	bench_free(&bench, held[63], 0);
	pair = bench_alloc(&bench, 1, GFP_KERNEL);
	/* That allocation halved the factor to 0; two more drains raise it. */
	for (unsigned i = 20; pcp->free_factor == 0; i++)
		bench_free(&bench, held[i], 0);
	assert_true(pcp->count > 0);
	bench_free(&bench, pair, 1);
	assert_int_equal(pcp->count, 0);
	bench_end(&bench);
}

/* Would catch: a drain that begins at another list than the freed page's, or never comes to the last list. */
static void a_drain_begins_at_the_freed_pages_list(void **state)
{
	(void)state;
	struct bench bench;
	uint32_t held[64];
	full_at_eight(&bench, held);
	for (unsigned i = 0; i < 7; i++)
		bench_free(&bench, held[i], 0);
	bench_pageblocks(&bench, 0x400, 1, MIGRATE_MOVABLE);
	bench_free(&bench, held[7], 0);
	/* Two frames: the one on the movable list, then round again from list 0's tail. */
	assert_pcp_list(&bench, 0, 0, MIGRATE_MOVABLE, NO_FRAMES);
	assert_pcp_list(&bench, 0, 0, MIGRATE_UNMOVABLE, FRAMES_OF(held[6], held[5], held[4], held[3], held[2], held[1]));
	bench_end(&bench);

	full_at_eight(&bench, held);
	uint32_t eight = bench_alloc(&bench, 3, GFP_KERNEL);
	bench.pages->ops->drain(bench.pages);
	bench_pageblocks(&bench, 0x400, 1, MIGRATE_RECLAIMABLE);
	bench_free(&bench, eight, 3);
	assert_int_equal(bench.buddy->zones[0].pcp[0].count, 0);
	bench_end(&bench);
}

/* Would catch: a page going back to its list's type instead of the type its pageblock had when it was freed. */
static void highatomic_pages_wait_on_the_movable_list_and_go_home(void **state)
{
	(void)state;
	struct bench bench;
	bench_describe(&bench, 0x400, 0x400);
	bench_empty(&bench);
	bench_place(&bench, 0x404, 2, MIGRATE_UNMOVABLE);
	bench_start(&bench);
	uint32_t page = bench_alloc(&bench, 2, GFP_KERNEL);
	bench_pageblocks(&bench, 0x400, 1, MIGRATE_HIGHATOMIC);
	bench_free(&bench, page, 2);
	assert_pcp_list(&bench, 0, 2, MIGRATE_MOVABLE, FRAMES_OF(page));
	bench.pages->ops->drain(bench.pages);
	assert_free_list(&bench, 0, 2, MIGRATE_HIGHATOMIC, FRAMES_OF(page));
	bench_end(&bench);
}

/* Would catch: no per-CPU list for whole pageblocks with huge pages, or one for them without. */
static void huge_pages_have_per_cpu_lists(void **state)
{
	(void)state;
	for (unsigned huge = 0; huge < 2; huge++) {
		struct bench bench;
		bench_describe(&bench, 0x400, 0x400);
		bench.spec.pageblock_order = 9;
		bench.spec.transparent_hugepage = huge;
		bench_empty(&bench);
		bench_pageblocks(&bench, 0x400, 2, MIGRATE_MOVABLE);
		bench_place(&bench, 0x400, 9, MIGRATE_MOVABLE);
		bench_start(&bench);
		bench_free(&bench, bench_alloc(&bench, 9, GFP_HIGHUSER_MOVABLE), 9);
		assert_int_equal(bench.buddy->zones[0].pcp[0].count, huge ? 512 : 0);
		bench_end(&bench);
	}
}

/* ---- other types ---- */

/*
 * Would catch: the smallest block instead of the largest, no take-over, a take-over that does not move the other free blocks,
 * moves them to the head or in another order than ascending. Two thirds of the pageblock are free, so it becomes UNMOVABLE.
 */
static void an_unmovable_request_takes_a_pageblock_over(void **state)
{
	(void)state;
	struct bench bench;
	bench_describe(&bench, 0x400, 0x800);
	bench_empty(&bench);
	bench_pageblocks(&bench, 0x400, 2, MIGRATE_MOVABLE);
	bench_place(&bench, 0x804, 2, MIGRATE_MOVABLE);
	bench_place(&bench, 0x440, 6, MIGRATE_MOVABLE);
	bench_place(&bench, 0x420, 4, MIGRATE_MOVABLE);
	bench_place(&bench, 0x410, 4, MIGRATE_MOVABLE);
	bench_place(&bench, 0x500, 8, MIGRATE_MOVABLE);
	bench_place(&bench, 0x600, 9, MIGRATE_MOVABLE);
	bench_start(&bench);
	assert_int_equal(bench_alloc(&bench, 4, GFP_KERNEL), 0x410);
	assert_int_equal(pageblock_type(bench.buddy, &bench.buddy->zones[0], 0x600), MIGRATE_UNMOVABLE);
	assert_int_equal(pageblock_type(bench.buddy, &bench.buddy->zones[0], 0x804), MIGRATE_MOVABLE);
	assert_free_list(&bench, 0, 4, MIGRATE_UNMOVABLE, FRAMES_OF(0x420));
	assert_free_list(&bench, 0, 6, MIGRATE_UNMOVABLE, FRAMES_OF(0x440));
	assert_free_list(&bench, 0, 9, MIGRATE_UNMOVABLE, FRAMES_OF(0x600));
	assert_free_list(&bench, 0, 2, MIGRATE_MOVABLE, FRAMES_OF(0x804));
	assert_int_equal(bench.buddy->counters.extfrag_claimed, 1);
	bench_end(&bench);
}

/* Would catch: a take-over without the majority. 64 free and 0 alike of 1024: moved, but the pageblock stays RECLAIMABLE. */
static void a_minority_moves_without_a_take_over(void **state)
{
	(void)state;
	struct bench bench;
	bench_describe(&bench, 0x400, 0x400);
	bench_empty(&bench);
	bench_pageblocks(&bench, 0x400, 1, MIGRATE_RECLAIMABLE);
	bench_place(&bench, 0x440, 5, MIGRATE_RECLAIMABLE);
	bench_place(&bench, 0x480, 5, MIGRATE_RECLAIMABLE);
	bench_start(&bench);
	assert_int_equal(bench_alloc(&bench, 5, GFP_KERNEL), 0x440);
	assert_free_list(&bench, 0, 5, MIGRATE_UNMOVABLE, FRAMES_OF(0x480));
	assert_int_equal(pageblock_type(bench.buddy, &bench.buddy->zones[0], 0x400), MIGRATE_RECLAIMABLE);
	assert_int_equal(bench.buddy->counters.extfrag_moved, 1);
	assert_int_equal(bench.buddy->counters.extfrag_unmovable, 1);
	bench_end(&bench);
}

/* Would catch: alike pages not counted. 64 frames free, 960 in use; from a MOVABLE pageblock those not on an LRU list are alike.
 */
static void pages_in_use_count_as_alike(void **state)
{
	(void)state;
	for (unsigned lru = 0; lru < 2; lru++) {
		struct bench bench;
		bench_describe(&bench, 0x400, 0x400);
		bench_empty(&bench);
		bench_pageblocks(&bench, 0x400, 1, MIGRATE_MOVABLE);
		for (uint32_t nr = 0x600; lru && nr < 0x800; nr++)
			buddy_place_lru(bench.buddy, nr);
		bench_place(&bench, 0x440, 5, MIGRATE_MOVABLE);
		bench_place(&bench, 0x480, 4, MIGRATE_MOVABLE);
		bench_start(&bench);
		bench_alloc(&bench, 4, GFP_KERNEL);
		/* Free 48 + alike: 1024 - 48 = 976, or 976 - 512 on LRU lists = 464: exactly 512 and 1024 of the needed 512. */
		assert_int_equal(pageblock_type(bench.buddy, &bench.buddy->zones[0], 0x400), MIGRATE_UNMOVABLE);
		bench_end(&bench);
		bench_describe(&bench, 0x400, 0x400);
		bench_empty(&bench);
		bench_pageblocks(&bench, 0x400, 1, MIGRATE_MOVABLE);
		for (uint32_t nr = 0x5ff; nr < 0x800; nr++)
			buddy_place_lru(bench.buddy, nr);
		bench_place(&bench, 0x440, 5, MIGRATE_MOVABLE);
		bench_place(&bench, 0x480, 4, MIGRATE_MOVABLE);
		bench_start(&bench);
		bench_alloc(&bench, 4, GFP_KERNEL);
		/* 513 on LRU lists: 511 free or alike, one too few. */
		assert_int_equal(pageblock_type(bench.buddy, &bench.buddy->zones[0], 0x400), MIGRATE_MOVABLE);
		bench_end(&bench);
	}
}

/* Would catch: a movable request that breaks up the largest foreign block although it cannot take the pageblock over. */
static void a_movable_request_takes_the_smallest_foreign_block(void **state)
{
	(void)state;
	struct bench bench;
	bench_describe(&bench, 0x400, 0x400);
	bench_empty(&bench);
	bench_place(&bench, 0x410, 4, MIGRATE_UNMOVABLE);
	bench_place(&bench, 0x402, 1, MIGRATE_UNMOVABLE);
	bench_start(&bench);
	assert_int_equal(bench_alloc(&bench, 0, GFP_HIGHUSER_MOVABLE), 0x402);
	assert_free_list(&bench, 0, 4, MIGRATE_UNMOVABLE, FRAMES_OF(0x410));
	assert_int_equal(bench.buddy->counters.extfrag_single, 1);
	assert_int_equal(bench.buddy->counters.extfrag_movable, 1);
	bench_end(&bench);
}

/* Would catch: the wrong threshold: from pageblock_order / 2 = 5 on a movable request does take the pageblock's free memory. */
static void a_movable_request_steals_from_half_a_pageblock_order(void **state)
{
	(void)state;
	struct bench bench;
	bench_describe(&bench, 0x400, 0x400);
	bench_empty(&bench);
	bench_place(&bench, 0x420, 5, MIGRATE_UNMOVABLE);
	bench_place(&bench, 0x402, 1, MIGRATE_UNMOVABLE);
	bench_start(&bench);
	assert_int_equal(bench_alloc(&bench, 0, GFP_HIGHUSER_MOVABLE), 0x402);
	assert_free_list(&bench, 0, 5, MIGRATE_MOVABLE, FRAMES_OF(0x420));
	assert_int_equal(bench.buddy->counters.extfrag_moved, 1);
	bench_end(&bench);
}

/* Would catch: RECLAIMABLE and MOVABLE asked in the wrong order. */
static void fallbacks_are_tried_in_their_order(void **state)
{
	(void)state;
	static const struct {
		gfp flags;
		uint32_t expected;
	} cases[] = {{GFP_KERNEL, 0x800}, {GFP_KERNEL | __GFP_RECLAIMABLE, 0x400}, {GFP_HIGHUSER_MOVABLE, 0x800}};
	for (unsigned i = 0; i < 3; i++) {
		struct bench bench;
		bench_describe(&bench, 0x400, 0xc00);
		bench_empty(&bench);
		/* The request's own type has nothing; the two others have one block each. */
		unsigned own = cases[i].flags & __GFP_MOVABLE       ? MIGRATE_MOVABLE
		               : cases[i].flags & __GFP_RECLAIMABLE ? MIGRATE_RECLAIMABLE
		                                                    : MIGRATE_UNMOVABLE;
		if (own != MIGRATE_UNMOVABLE)
			bench_place(&bench, 0x400, 7, MIGRATE_UNMOVABLE);
		if (own != MIGRATE_RECLAIMABLE)
			bench_place(&bench, 0x800, 7, MIGRATE_RECLAIMABLE);
		if (own != MIGRATE_MOVABLE)
			bench_place(&bench, 0xc00, 7, MIGRATE_MOVABLE);
		bench_start(&bench);
		assert_int_equal(bench_alloc(&bench, 7, cases[i].flags), cases[i].expected);
		bench_end(&bench);
	}
}

/* Would catch: not converting every pageblock that a larger block covers. */
static void a_block_over_two_pageblocks_converts_both(void **state)
{
	(void)state;
	struct bench bench;
	bench_describe(&bench, 0x400, 0x400);
	bench.spec.pageblock_order = 9;
	bench_empty(&bench);
	bench_pageblocks(&bench, 0x400, 2, MIGRATE_MOVABLE);
	bench_place(&bench, 0x400, 10, MIGRATE_MOVABLE);
	bench_start(&bench);
	bench_alloc(&bench, 4, GFP_KERNEL);
	assert_int_equal(bench.buddy->zones[0].pageblocks[MIGRATE_UNMOVABLE], 2);
	assert_int_equal(bench.buddy->zones[0].watermark_boost, 0);
	bench_end(&bench);
}

/* Would catch: moving the free blocks of a pageblock that reaches beyond its zone (the kernel leaves them). */
static void a_pageblock_beyond_the_zones_end_is_not_moved(void **state)
{
	(void)state;
	struct bench bench;
	bench_describe(&bench, 0x400, 0x200);
	bench_empty(&bench);
	bench_pageblocks(&bench, 0x400, 1, MIGRATE_MOVABLE);
	bench_place(&bench, 0x480, 7, MIGRATE_MOVABLE);
	bench_place(&bench, 0x420, 5, MIGRATE_MOVABLE);
	bench_start(&bench);
	assert_int_equal(bench_alloc(&bench, 7, GFP_KERNEL), 0x480);
	assert_free_list(&bench, 0, 5, MIGRATE_MOVABLE, FRAMES_OF(0x420));
	assert_int_equal(pageblock_type(bench.buddy, &bench.buddy->zones[0], 0x400), MIGRATE_MOVABLE);
	bench_end(&bench);
}

/*
 * Would catch: a boost without bound or of the wrong size. The factor 15000 bounds it at 150 % of high (3000), a pageblock at a
 * time; small zones (4 pageblocks > managed) get none.
 */
static void mixing_types_boosts_the_watermarks(void **state)
{
	(void)state;
	for (unsigned small = 0; small < 2; small++) {
		struct bench bench;
		bench_describe(&bench, 0x400, 0x4000);
		bench.spec.zones[0].managed = small ? 4095 : 4096;
		bench.spec.zones[0].watermark[WMARK_HIGH] = 2000;
		bench.spec.watermark_boost_factor = 15000;
		bench_empty(&bench);
		/* Each request finds only RECLAIMABLE blocks in pageblocks that it cannot take over. */
		for (uint32_t i = 0; i < 4; i++) {
			bench_pageblocks(&bench, 0x400 + i * 0x400, 1, MIGRATE_RECLAIMABLE);
			bench_place(&bench, 0x400 + i * 0x400, 8, MIGRATE_RECLAIMABLE);
		}
		bench_place(&bench, 0x2000, 10, MIGRATE_MOVABLE);
		bench_start(&bench);
		bench_alloc(&bench, 8, GFP_ATOMIC | __GFP_MEMALLOC);
		assert_int_equal(bench.buddy->zones[0].watermark_boost, 0); /* a whole MOVABLE pageblock */
		for (unsigned i = 0; i < 3; i++)
			bench_alloc(&bench, 8, GFP_ATOMIC | __GFP_MEMALLOC);
		uint64_t expected[] = {1024, 2048, 3000, 3000};
		for (unsigned i = 0; i < 4; i++) {
			assert_int_not_equal(bench_alloc(&bench, 8, GFP_ATOMIC | __GFP_MEMALLOC), BLOCK_NONE);
			assert_int_equal(bench.buddy->zones[0].watermark_boost, small ? 0 : expected[i]);
		}
		assert_int_equal(bench.buddy->counters.kswapd_wake_boost, small ? 0 : 4);
		bench_end(&bench);
	}
}

/* ---- watermarks and zones ---- */

/* How many single frames a zone with 1000 free and min 100, low 200 gives for these flags. */
static unsigned frames_until_failure(gfp flags, uint64_t boost)
{
	struct bench bench;
	unsigned count = 0;
	bench_describe(&bench, 0x400, 0x400);
	bench.spec.zones[0].watermark[WMARK_MIN] = 100;
	bench.spec.zones[0].watermark[WMARK_LOW] = 200;
	bench.spec.zones[0].watermark[WMARK_HIGH] = 300;
	bench_empty(&bench);
	bench.buddy->zones[0].watermark_boost = boost;
	bench_place(&bench, 0x400, 9, MIGRATE_UNMOVABLE);
	bench_place(&bench, 0x600, 8, MIGRATE_UNMOVABLE);
	bench_place(&bench, 0x700, 7, MIGRATE_UNMOVABLE);
	bench_place(&bench, 0x780, 6, MIGRATE_UNMOVABLE);
	bench_place(&bench, 0x7c0, 5, MIGRATE_UNMOVABLE);
	bench_place(&bench, 0x7e0, 3, MIGRATE_UNMOVABLE);
	bench_start(&bench);
	while (bench_alloc(&bench, 0, flags) != BLOCK_NONE)
		count++;
	bench_end(&bench);
	return count;
}

/*
 * Would catch: >= for >, a wrong share of the reserve, or one given to the wrong flags. A request passes while free > mark. 100
 * is min;
 * __GFP_HIGH may use half of it (50), GFP_ATOMIC another quarter of what is left (38: 50 - 12); the boost counts for all but
 * atomic single frames; __GFP_MEMALLOC knows no mark.
 */
static void each_flag_stops_at_its_mark(void **state)
{
	(void)state;
	assert_int_equal(frames_until_failure(GFP_KERNEL, 0), 900);
	assert_int_equal(frames_until_failure(GFP_NOWAIT, 0), 900);
	assert_int_equal(frames_until_failure(GFP_KERNEL | __GFP_HIGH, 0), 950);
	assert_int_equal(frames_until_failure(GFP_ATOMIC, 0), 962);
	assert_int_equal(frames_until_failure(GFP_ATOMIC | __GFP_NOMEMALLOC, 0), 950);
	assert_int_equal(frames_until_failure(GFP_KERNEL | __GFP_MEMALLOC, 0), 1000);
	assert_int_equal(frames_until_failure(GFP_KERNEL | __GFP_MEMALLOC | __GFP_NOMEMALLOC, 0), 900);
	assert_int_equal(frames_until_failure(GFP_KERNEL | __GFP_NOFAIL, 0), 1000);
	assert_int_equal(frames_until_failure(GFP_KERNEL, 60), 840);
	assert_int_equal(frames_until_failure(GFP_ATOMIC, 60), 962);
	assert_int_equal(frames_until_failure(GFP_KERNEL | __GFP_HIGH, 60), 920); /* not atomic: half of 160 */
}

/* Would catch: no slow path, or kswapd woken above the low mark. */
static void below_the_low_mark_kswapd_is_woken(void **state)
{
	(void)state;
	struct bench bench;
	bench_describe(&bench, 0x400, 0x400);
	bench.spec.zones[0].watermark[WMARK_MIN] = 100;
	bench.spec.zones[0].watermark[WMARK_LOW] = 1022;
	bench_empty(&bench);
	bench_place(&bench, 0x400, 10, MIGRATE_UNMOVABLE);
	bench_start(&bench);
	bench_alloc(&bench, 0, GFP_KERNEL);
	bench_alloc(&bench, 0, GFP_KERNEL);
	assert_int_equal(bench.buddy->counters.kswapd_wake_slowpath, 0);
	bench_alloc(&bench, 0, GFP_KERNEL);
	bench_alloc(&bench, 0, GFP_KERNEL & ~__GFP_KSWAPD_RECLAIM);
	assert_int_equal(bench.buddy->counters.kswapd_wake_slowpath, 1);
	assert_int_equal(bench.buddy->counters.allocslow, 2);
	bench_end(&bench);
}

/* Would catch: a fragmented zone that passes for a high order because it has frames enough. */
static void a_high_order_needs_a_block_not_only_frames(void **state)
{
	(void)state;
	struct bench bench;
	bench_describe(&bench, 0x400, 0x400);
	bench_empty(&bench);
	for (uint32_t nr = 0x400; nr < 0x800; nr += 0x20)
		bench_place(&bench, nr, 4, MIGRATE_UNMOVABLE);
	bench_start(&bench);
	assert_int_equal(bench_alloc(&bench, 5, GFP_KERNEL), BLOCK_NONE);
	assert_int_equal(bench_alloc(&bench, 4, GFP_KERNEL), 0x400);
	bench_end(&bench);
}

/* Would catch: the exact count used for a watermark check where the kernel sees only what CPUs have handed in. */
static void watermarks_see_the_global_count_only(void **state)
{
	(void)state;
	struct bench bench;
	bench_describe(&bench, 0x400, 0x400);
	bench.spec.zones[0].stat_threshold = 5;
	bench.spec.zones[0].watermark[WMARK_MIN] = 1020;
	bench.spec.zones[0].watermark[WMARK_LOW] = 1020;
	bench_empty(&bench);
	bench_place(&bench, 0x400, 10, MIGRATE_UNMOVABLE);
	bench_start(&bench);
	/* The count reads 1024 until 6 frames are gone; then it reads 1018 and the zone is closed. */
	for (unsigned i = 0; i < 6; i++)
		assert_int_not_equal(bench_alloc(&bench, 0, GFP_NOWAIT), BLOCK_NONE);
	assert_int_equal(bench_alloc(&bench, 0, GFP_NOWAIT), BLOCK_NONE);
	assert_int_equal(bench.buddy->zones[0].free_pages, 1018);
	bench_end(&bench);
}

/* Would catch: the threshold itself counted as exceeded when frames come back. */
static void a_cpu_holds_back_changes_up_to_its_threshold(void **state)
{
	(void)state;
	struct bench bench;
	bench_describe(&bench, 0x400, 0x400);
	bench.spec.zones[0].stat_threshold = 16;
	bench_empty(&bench);
	bench_place(&bench, 0x400, 10, MIGRATE_UNMOVABLE);
	bench_start(&bench);
	const struct zone *zone = &bench.buddy->zones[0];
	uint32_t small = bench_alloc(&bench, 4, GFP_KERNEL), large = bench_alloc(&bench, 5, GFP_KERNEL);
	assert_int_equal(zone->free_pages, 1024 - 48);
	assert_int_equal(zone->pcp[0].free_pages_delta, 0);
	bench_free(&bench, small, 4);
	assert_int_equal(zone->free_pages, 1024 - 48);
	assert_int_equal(zone->pcp[0].free_pages_delta, 16);
	bench_free(&bench, large, 5);
	assert_int_equal(zone->free_pages, 1024);
	bench_end(&bench);
}

/* DMA32 and Normal, 1024 frames each. */
static void describe_two_zones(struct bench *bench)
{
	bench_describe(bench, 0x800, 0x400);
	bench->spec.zones[1] = bench->spec.zones[0];
	bench->spec.zones[0].start_pfn = 0x400;
	bench->spec.zones[0].kind = ZONE_DMA32;
	bench->spec.zones[0].index = 1;
	memcpy(bench->spec.zones[0].name, "DMA32", 6);
	bench->spec.zone_count = 2;
}

/* Would catch: lowmem_reserve not kept, kept from the wrong requests, or the wrong zone first. */
static void a_lower_zone_keeps_its_reserve_from_higher_requests(void **state)
{
	(void)state;
	struct bench bench;
	unsigned normal = 0, dma32 = 0;
	describe_two_zones(&bench);
	bench.spec.zones[0].lowmem_reserve[2] = 1000;
	bench_empty(&bench);
	bench_place(&bench, 0x400, 10, MIGRATE_UNMOVABLE);
	bench_place(&bench, 0x800, 10, MIGRATE_UNMOVABLE);
	bench_start(&bench);
	for (uint32_t nr; (nr = bench_alloc(&bench, 0, GFP_KERNEL)) != BLOCK_NONE; normal++)
		assert_true(normal < 1024 ? nr >= 0x800 : nr < 0x800);
	assert_int_equal(normal, 1024 + 24);
	while (bench_alloc(&bench, 0, GFP_KERNEL | __GFP_DMA32) != BLOCK_NONE)
		dma32++;
	assert_int_equal(dma32, 1000);
	assert_int_equal(bench_alloc(&bench, 0, GFP_KERNEL | __GFP_DMA), BLOCK_NONE);
	bench_end(&bench);
}

/*
 * Would catch: ALLOC_NOFRAGMENT missing or never given up. Normal has only a small MOVABLE block: an unmovable request goes to
 * DMA32 first, and when DMA32 has nothing of its type either, mixes types in Normal.
 */
static void normal_is_not_fragmented_while_dma32_has_the_type(void **state)
{
	(void)state;
	struct bench bench;
	describe_two_zones(&bench);
	bench_empty(&bench);
	bench_pageblocks(&bench, 0x800, 1, MIGRATE_MOVABLE);
	bench_place(&bench, 0x400, 5, MIGRATE_UNMOVABLE);
	bench_place(&bench, 0x800, 5, MIGRATE_MOVABLE);
	bench_start(&bench);
	assert_int_equal(bench_alloc(&bench, 5, GFP_KERNEL), 0x400);
	assert_int_equal(bench_alloc(&bench, 5, GFP_KERNEL), 0x800);
	bench_end(&bench);
}

/* ---- high-order atomic reserve ---- */

/*
 * Would catch: no reserve, one of the wrong size, one that anybody may use or that its owner may not, and none given back before
 * failing. managed / 100 + a pageblock = 1074 allows two pageblocks.
 */
static void high_order_atomics_reserve_pageblocks(void **state)
{
	(void)state;
	struct bench bench;
	bench_describe(&bench, 0x400, 5 * 0x400);
	bench.settings.kernel.compaction = true; /* without, a costly request stops before it gives the reserve up */
	bench_empty(&bench);
	struct zone *zone = &bench.buddy->zones[0];
	for (uint32_t nr = 0x400; nr < 0x1400; nr += 0x400)
		bench_place(&bench, nr, 10, MIGRATE_UNMOVABLE);
	bench_start(&bench);
	/* The fast path needs no reserve: a full zone stays as it is until the low mark is not met. */
	zone->watermark[WMARK_LOW] = 100000;
	assert_int_equal(bench_alloc(&bench, 4, GFP_ATOMIC), 0x400);
	assert_int_equal(zone->nr_reserved_highatomic, 1024);
	assert_int_equal(pageblock_type(bench.buddy, zone, 0x400), MIGRATE_HIGHATOMIC);
	assert_free_list(&bench, 0, 9, MIGRATE_HIGHATOMIC, FRAMES_OF(0x600));
	/* The owner comes back to it, others do not. */
	assert_int_equal(bench_alloc(&bench, 4, GFP_ATOMIC), 0x410);
	assert_int_equal(bench_alloc(&bench, 4, GFP_KERNEL), 0x800);
	assert_int_equal(bench_alloc(&bench, 10, GFP_KERNEL), 0xc00);
	assert_int_equal(bench_alloc(&bench, 10, GFP_KERNEL), 0x1000);
	assert_int_equal(bench_alloc(&bench, 9, GFP_KERNEL), 0xa00);
	/* 0x600 is free in the reserve alone: a blocking request gets it when it is given up, just before failing. */
	assert_int_equal(bench_alloc(&bench, 9, GFP_KERNEL | __GFP_NORETRY), BLOCK_NONE);
	assert_int_equal(bench_alloc(&bench, 9, GFP_KERNEL | __GFP_RETRY_MAYFAIL), 0x600);
	assert_int_equal(zone->nr_reserved_highatomic, 0);
	assert_int_equal(pageblock_type(bench.buddy, zone, 0x400), MIGRATE_UNMOVABLE);
	bench_end(&bench);
}

/* Would catch: a reserve that grows beyond 1 % of the zone and a pageblock (20480 / 100 + 1024: two), or is made for single
 * frames. */
static void the_reserve_has_a_limit(void **state)
{
	(void)state;
	struct bench bench;
	bench_describe(&bench, 0x400, 20 * 0x400);
	bench_empty(&bench);
	for (uint32_t nr = 0x400; nr < 0x400 + 20 * 0x400; nr += 0x400)
		bench_place(&bench, nr, 10, MIGRATE_UNMOVABLE);
	bench_start(&bench);
	struct zone *zone = &bench.buddy->zones[0];
	zone->watermark[WMARK_LOW] = 100000;
	bench_alloc(&bench, 0, GFP_ATOMIC);
	assert_int_equal(zone->nr_reserved_highatomic, 0);
	for (unsigned i = 0; i < 8; i++)
		assert_int_not_equal(bench_alloc(&bench, 9, GFP_ATOMIC), BLOCK_NONE);
	assert_int_equal(zone->nr_reserved_highatomic, 2048);
	assert_int_equal(zone->pageblocks[MIGRATE_HIGHATOMIC], 2);
	bench_end(&bench);
}

/* Would catch: reserved memory that counts as free for those who may not have it. 1000 free, min 100, 200 reserved. */
static void the_reserve_is_not_free_memory_for_others(void **state)
{
	(void)state;
	static const struct {
		gfp flags;
		unsigned expected;
	} cases[] = {{GFP_KERNEL | __GFP_NORETRY, 700}, {GFP_NOWAIT, 900}, {GFP_ATOMIC, 962}};
	for (unsigned i = 0; i < 3; i++) {
		struct bench bench;
		unsigned count = 0;
		bench_describe(&bench, 0x400, 0x400);
		bench.spec.zones[0].watermark[WMARK_MIN] = 100;
		bench.spec.zones[0].watermark[WMARK_LOW] = 100;
		bench.spec.zones[0].watermark[WMARK_HIGH] = 100;
		bench_empty(&bench);
		bench.buddy->zones[0].nr_reserved_highatomic = 200;
		for (uint32_t nr = 0x400; nr < 0x7e8; nr += 8)
			bench_place(&bench, nr, 3, MIGRATE_UNMOVABLE);
		bench_start(&bench);
		while (bench_alloc(&bench, 0, cases[i].flags) != BLOCK_NONE)
			count++;
		assert_int_equal(count, cases[i].expected);
		bench_end(&bench);
	}
}

/* Would catch: order-0 atomic requests that fail while the reserve has memory (rmqueue_buddy's last try). */
static void single_atomic_frames_may_use_the_reserve_at_last(void **state)
{
	(void)state;
	struct bench bench;
	bench_describe(&bench, 0x400, 0x800);
	bench_empty(&bench);
	bench_pageblocks(&bench, 0x400, 1, MIGRATE_HIGHATOMIC);
	bench.buddy->zones[0].nr_reserved_highatomic = 1024;
	bench_place(&bench, 0x400, 0, MIGRATE_HIGHATOMIC);
	bench_start(&bench);
	assert_int_equal(bench_alloc(&bench, 0, GFP_KERNEL | __GFP_NORETRY), BLOCK_NONE);
	assert_int_equal(bench_alloc(&bench, 0, GFP_ATOMIC), 0x400);
	bench_end(&bench);
}

/* ---- bulk ---- */

/* Would catch: a bulk request that ignores low + wanted, that halves free_factor, or that does not fall back to one frame. */
static void the_bulk_allocator_takes_from_one_zone(void **state)
{
	(void)state;
	struct bench bench;
	pfn frames[64];
	bench_describe(&bench, 0x400, 0x400);
	bench.spec.zones[0].watermark[WMARK_LOW] = 1000;
	bench.spec.zones[0].pcp_batch = 8;
	bench_empty(&bench);
	bench_place(&bench, 0x400, 10, MIGRATE_UNMOVABLE);
	bench_start(&bench);
	bench.buddy->zones[0].pcp[0].free_factor = 4;
	/* 1024 > 1000 + 10. */
	assert_int_equal(buddy_alloc_bulk(bench.pages, GFP_KERNEL, 0, 10, frames), 10);
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(frames[i].nr, 0x400 + i);
	assert_int_equal(bench.buddy->zones[0].pcp[0].free_factor, 4);
	/* 1008 = 1000 + 8 is not above: one frame by the normal path, which halves the factor. */
	assert_int_equal(buddy_alloc_bulk(bench.pages, GFP_KERNEL, 0, 8, frames), 1);
	assert_int_equal(frames[0].nr, 0x40a);
	assert_int_equal(bench.buddy->zones[0].pcp[0].free_factor, 2);
	assert_int_equal(bench.pages->allocated_pages, 11);
	bench_end(&bench);
}

/* Would catch: the reserve against the highest zone allowed, where the kernel's bulk path takes the preferred zone's. */
static void the_bulk_allocator_keeps_the_preferred_zones_reserve(void **state)
{
	(void)state;
	struct bench bench;
	pfn frames[4];
	bench_describe(&bench, 0x400, 0x400);
	bench.spec.zones[0].lowmem_reserve[3] = 1022;
	bench.spec.zones[1] = (struct zone_spec){.name = "Movable", .kind = ZONE_MOVABLE, .index = 3};
	bench.spec.zone_count = 2;
	bench_empty(&bench);
	bench_place(&bench, 0x400, 10, MIGRATE_MOVABLE);
	bench_start(&bench);
	assert_int_equal(buddy_alloc_bulk(bench.pages, GFP_HIGHUSER_MOVABLE, 0, 4, frames), 4);
	assert_int_equal(bench_alloc(&bench, 0, GFP_HIGHUSER_MOVABLE | __GFP_NORETRY), BLOCK_NONE);
	bench_end(&bench);
}

/* ---- wrong frees, steps, laws ---- */

/* Would catch: a wrong free that is taken, or told as something else, or that changes the state. */
static void wrong_frees_change_nothing(void **state)
{
	(void)state;
	struct bench bench;
	bench_describe(&bench, 0x400, 0x400);
	bench_empty(&bench);
	bench_place(&bench, 0x400, 9, MIGRATE_UNMOVABLE);
	bench_start(&bench);
	uint32_t block = bench_alloc(&bench, 4, GFP_KERNEL);
	static const struct {
		uint32_t offset;
		unsigned order;
		enum page_free_result expected;
	} cases[] = {{0, 3, PAGE_FREE_WRONG_ORDER},
	             {0, 5, PAGE_FREE_WRONG_ORDER},
	             {0, 77, PAGE_FREE_WRONG_ORDER},
	             {5, 0, PAGE_FREE_NOT_HEAD},
	             {8, 3, PAGE_FREE_NOT_HEAD},
	             {0x10, 4, PAGE_FREE_NOT_ALLOCATED},
	             {0x31, 0, PAGE_FREE_NOT_ALLOCATED},
	             {0x300, 0, PAGE_FREE_NOT_ALLOCATED},
	             {0xfffffbffu, 0, PAGE_FREE_NOT_ALLOCATED}};
	for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		assert_int_equal(page_free(bench.pages, pfn_of(block + cases[i].offset), cases[i].order, 0), cases[i].expected);
		page_allocator_check(bench.pages);
	}
	bench_free(&bench, block, 4);
	assert_int_equal(page_free(bench.pages, pfn_of(block), 4, 0), PAGE_FREE_NOT_ALLOCATED);
	uint32_t single = bench_alloc(&bench, 0, GFP_KERNEL);
	bench_free(&bench, single, 0);
	assert_int_equal(page_free(bench.pages, pfn_of(single), 0, 0), PAGE_FREE_NOT_ALLOCATED);
	assert_int_equal(bench.buddy->counters.wrong_frees, 11);
	bench_end(&bench);
}

/* Would catch: frames in use since the start that cannot be freed, can be freed twice, or are made up. */
static void blocks_from_before_the_start_can_be_adopted(void **state)
{
	(void)state;
	struct bench bench;
	bench_describe(&bench, 0x400, 0x400);
	bench_empty(&bench);
	bench_place(&bench, 0x400, 9, MIGRATE_UNMOVABLE);
	bench_start(&bench);
	assert_int_equal(page_free(bench.pages, pfn_of(0x700), 2, 0), PAGE_FREE_NOT_ALLOCATED);
	assert_true(buddy_adopt(bench.buddy, 0x700, 2));
	assert_false(buddy_adopt(bench.buddy, 0x700, 2));
	assert_false(buddy_adopt(bench.buddy, 0x702, 0));
	assert_false(buddy_adopt(bench.buddy, 0x480, 0));
	assert_false(buddy_adopt(bench.buddy, 0x800, 0));
	bench_free(&bench, 0x700, 2);
	bench_end(&bench);
}

static unsigned count_steps(const struct steps *steps, enum step_kind kind, uint64_t address)
{
	unsigned count = 0;
	for (uint32_t i = 0; i < steps->count; i++)
		count += steps->at[i].kind == kind && (!address || steps->at[i].address == address);
	return count;
}

/* Would catch: locks left held, a zone lock on the fast path or none on the slow one, steps while not recording. */
static void steps_take_the_locks_that_the_kernel_takes(void **state)
{
	(void)state;
	struct bench bench;
	bench_describe(&bench, 0x400, 0x400);
	bench.spec.zones[0].pcp_batch = 4;
	bench_empty(&bench);
	bench_place(&bench, 0x400, 10, MIGRATE_UNMOVABLE);
	bench_start(&bench);
	uint64_t zone_lock = zone_lock_address(&bench.buddy->zones[0]).addr;
	uint64_t pcp_lock = pcp_address(bench.buddy, &bench.buddy->zones[0], 0).addr;
	bench.steps.recording = true;
	for (unsigned i = 0; i < 3; i++) {
		steps_clear(&bench.steps);
		bench_alloc(&bench, 0, GFP_KERNEL);
		assert_int_equal(count_steps(&bench.steps, STEP_LOCK, pcp_lock), 1);
		assert_int_equal(count_steps(&bench.steps, STEP_LOCK, zone_lock), i == 0);
		assert_int_equal(count_steps(&bench.steps, STEP_LOCK, 0), count_steps(&bench.steps, STEP_UNLOCK, 0));
	}
	steps_clear(&bench.steps);
	uint32_t large = bench_alloc(&bench, 6, GFP_KERNEL | __GFP_ZERO);
	assert_int_equal(count_steps(&bench.steps, STEP_LOCK, pcp_lock), 0);
	assert_int_equal(count_steps(&bench.steps, STEP_LOCK, zone_lock), 1);
	assert_int_equal(count_steps(&bench.steps, STEP_WRITE, layout_page_address(&bench.layout, pfn_of(large)).addr), 1);
	steps_clear(&bench.steps);
	bench_free(&bench, large, 6);
	assert_int_equal(count_steps(&bench.steps, STEP_LOCK, zone_lock), 1);
	assert_int_equal(count_steps(&bench.steps, STEP_LOCK, 0), count_steps(&bench.steps, STEP_UNLOCK, 0));
	bench.steps.recording = false;
	steps_clear(&bench.steps);
	bench_alloc(&bench, 0, GFP_KERNEL);
	assert_int_equal(bench.steps.count, 0);
	bench_end(&bench);
}

/* Runs check() in a child; true if it stopped the child. */
static bool check_complains(const struct bench *bench)
{
	int status;
	fflush(NULL);
	pid_t child = fork();
	if (child == 0) {
		signal(SIGABRT, SIG_DFL);
		assert_true(freopen("/dev/null", "w", stderr) != NULL);
		page_allocator_check(bench->pages);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	return !(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* Would catch: a check() that looks at nothing. Each line breaks one law. */
static void check_sees_broken_laws(void **state)
{
	(void)state;
	struct bench bench;
	bench_describe(&bench, 0x400, 0x400);
	bench_empty(&bench);
	bench_place(&bench, 0x400, 9, MIGRATE_UNMOVABLE);
	bench_place(&bench, 0x600, 8, MIGRATE_UNMOVABLE);
	bench_start(&bench);
	uint32_t page = bench_alloc(&bench, 0, GFP_KERNEL);
	bench_free(&bench, bench_alloc(&bench, 1, GFP_KERNEL), 1);
	struct zone *zone = &bench.buddy->zones[0];
	assert_false(check_complains(&bench));
#define BROKEN(change, repair) \
	do { \
		change; \
		assert_true(check_complains(&bench)); \
		repair; \
		assert_false(check_complains(&bench)); \
	} while (0)
	BROKEN(zone->free_blocks[9][0]++, zone->free_blocks[9][0]--);
	BROKEN(zone->nonempty[0] = (uint16_t)(zone->nonempty[0] ^ 512), zone->nonempty[0] = (uint16_t)(zone->nonempty[0] ^ 512));
	BROKEN(zone->free_pages++, zone->free_pages--);
	BROKEN(zone->pcp[0].count++, zone->pcp[0].count--);
	BROKEN(frame_at(bench.buddy, page)->state = FRAME_REST, frame_at(bench.buddy, page)->state = FRAME_ALLOCATED);
	BROKEN(frame_at(bench.buddy, 0x605)->state = FRAME_ALLOCATED, frame_at(bench.buddy, 0x605)->state = FRAME_REST);
	BROKEN(frame_at(bench.buddy, 0x604)->prev ^= 1, frame_at(bench.buddy, 0x604)->prev ^= 1);
	BROKEN(bench.pages->allocated_pages++, bench.pages->allocated_pages--);
	BROKEN(zone->pageblocks[1]++, zone->pageblocks[1]--);
	BROKEN(bench.buddy->counters.pgfree++, bench.buddy->counters.pgfree--);
	BROKEN(bench.buddy->counters.alloc_pcp++, bench.buddy->counters.alloc_pcp--);
	bench_end(&bench);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(a_split_gives_the_lower_half),
	        cmocka_unit_test(the_smallest_block_at_the_head_serves),
	        cmocka_unit_test(freed_halves_become_one_block_again),
	        cmocka_unit_test(a_block_that_would_merge_next_waits_at_the_tail),
	        cmocka_unit_test(order_nine_always_goes_to_the_head),
	        cmocka_unit_test(frame_zero_belongs_to_the_zone_above),
	        cmocka_unit_test(zones_do_not_merge),
	        cmocka_unit_test(highatomic_pageblocks_stay_apart),
	        cmocka_unit_test(a_refill_is_handed_out_in_ascending_order),
	        cmocka_unit_test(the_last_page_freed_is_the_next_one_given),
	        cmocka_unit_test(full_lists_give_back_twice_as_much_each_time),
	        cmocka_unit_test(the_free_factor_stops_at_five),
	        cmocka_unit_test(freeing_higher_orders_in_a_row_empties_the_lists),
	        cmocka_unit_test(a_drain_begins_at_the_freed_pages_list),
	        cmocka_unit_test(highatomic_pages_wait_on_the_movable_list_and_go_home),
	        cmocka_unit_test(huge_pages_have_per_cpu_lists),
	        cmocka_unit_test(an_unmovable_request_takes_a_pageblock_over),
	        cmocka_unit_test(a_minority_moves_without_a_take_over),
	        cmocka_unit_test(pages_in_use_count_as_alike),
	        cmocka_unit_test(a_movable_request_takes_the_smallest_foreign_block),
	        cmocka_unit_test(a_movable_request_steals_from_half_a_pageblock_order),
	        cmocka_unit_test(fallbacks_are_tried_in_their_order),
	        cmocka_unit_test(a_block_over_two_pageblocks_converts_both),
	        cmocka_unit_test(a_pageblock_beyond_the_zones_end_is_not_moved),
	        cmocka_unit_test(mixing_types_boosts_the_watermarks),
	        cmocka_unit_test(each_flag_stops_at_its_mark),
	        cmocka_unit_test(below_the_low_mark_kswapd_is_woken),
	        cmocka_unit_test(a_high_order_needs_a_block_not_only_frames),
	        cmocka_unit_test(watermarks_see_the_global_count_only),
	        cmocka_unit_test(a_cpu_holds_back_changes_up_to_its_threshold),
	        cmocka_unit_test(a_lower_zone_keeps_its_reserve_from_higher_requests),
	        cmocka_unit_test(normal_is_not_fragmented_while_dma32_has_the_type),
	        cmocka_unit_test(high_order_atomics_reserve_pageblocks),
	        cmocka_unit_test(the_reserve_has_a_limit),
	        cmocka_unit_test(the_reserve_is_not_free_memory_for_others),
	        cmocka_unit_test(single_atomic_frames_may_use_the_reserve_at_last),
	        cmocka_unit_test(the_bulk_allocator_takes_from_one_zone),
	        cmocka_unit_test(the_bulk_allocator_keeps_the_preferred_zones_reserve),
	        cmocka_unit_test(wrong_frees_change_nothing),
	        cmocka_unit_test(blocks_from_before_the_start_can_be_adopted),
	        cmocka_unit_test(steps_take_the_locks_that_the_kernel_takes),
	        cmocka_unit_test(check_sees_broken_laws),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
