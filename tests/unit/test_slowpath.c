/* SPDX-License-Identifier: MIT
 *
 * test_slowpath.c - what the buddy model does when no zone serves: rounds, compaction, reclaim, kswapd, nodes. Small states
 * worked out by hand from mm/page_alloc.c, mm/compaction.c and mm/vmscan.c of Linux 6.1. Each test's comment names the mistake
 * that it would catch.
 */
#include "models/page_allocator/reclaim.h"
#include "models/page_allocator/request.h"
#include "sim/rng.h"
#include "tests/unit/buddy.h"

#include <stdlib.h>

/* ---- rounds ---- */

/* 400 frames in blocks of order 4, and a min mark. */
static void describe_short(struct bench *bench, uint64_t min)
{
	bench_describe(bench, 0x400, 0x400);
	bench->settings.kernel.compaction = true;
	for (unsigned mark = 0; mark < WMARKS; mark++)
		bench->spec.zones[0].watermark[mark] = min;
	bench_empty(bench);
	for (uint32_t i = 0; i < 25; i++)
		bench_place(bench, 0x400 + i * 0x20, 4, MIGRATE_UNMOVABLE);
	bench_start(bench);
}

struct outcome {
	unsigned order;
	gfp flags;
	uint64_t min;
	bool served;
	uint64_t rounds, oom, nofail_failed;
};

/*
 * Would catch: another number of rounds, costly orders that insist, the OOM killer for those it cannot help, reserves for the
 * wrong ones. With nothing reclaimable the kernel counts the free pages once more: 800 > 500 promises enough, so it goes round 16
 * times and once more to see that it may not; 800 <= 1000 does not.
 */
static void each_flag_has_its_rounds(void **state)
{
	(void)state;
	static const struct outcome cases[] = {
	        {0, GFP_KERNEL, 500, false, 17, 1, 0},
	        {0, GFP_KERNEL, 1000, false, 1, 1, 0},
	        {0, GFP_KERNEL | __GFP_NORETRY, 500, false, 1, 0, 0},
	        {0, GFP_KERNEL | __GFP_RETRY_MAYFAIL, 500, false, 17, 0, 0},
	        {0, GFP_KERNEL | __GFP_THISNODE, 500, false, 17, 0, 0},
	        {0, GFP_KERNEL & ~(gfp)__GFP_FS, 500, false, 17, 0, 0},
	        {0, GFP_NOWAIT, 500, true, 0, 0, 0},
	        {0, GFP_NOWAIT | __GFP_NOMEMALLOC, 500, false, 0, 0, 0},
	        {0, GFP_KERNEL | __GFP_NOFAIL, 1000, true, 1, 1, 0},
	        {4, GFP_KERNEL, 500, false, 1, 0, 0},
	        {4, GFP_KERNEL | __GFP_NORETRY, 500, false, 0, 0, 0},
	        {4, GFP_KERNEL | __GFP_RETRY_MAYFAIL, 500, false, 17, 0, 0},
	        {4, (GFP_KERNEL | __GFP_RETRY_MAYFAIL) & ~(gfp)__GFP_IO, 500, false, 1, 0, 0},
	        {4, GFP_KERNEL | __GFP_NOFAIL, 500, true, 1, 0, 0},
	        {4, GFP_KERNEL | __GFP_NOFAIL, 2000, false, 1, 0, 1},
	        {4, GFP_KERNEL | __GFP_MEMALLOC, 2000, true, 0, 0, 0},
	};
	for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct bench bench;
		describe_short(&bench, cases[i].min);
		/* GFP_NOWAIT has nothing below min: only __GFP_HIGH halves it. */
		bool served = bench_alloc(&bench, cases[i].order, cases[i].flags) != BLOCK_NONE;
		const struct buddy_counters *counters = &bench.buddy->counters;
		if (cases[i].flags == GFP_NOWAIT) {
			assert_false(served);
		} else if (served != cases[i].served || counters->allocstall != cases[i].rounds ||
		           counters->oom != cases[i].oom || counters->nofail_failed != cases[i].nofail_failed) {
			fail_msg("case %u: served %d, rounds %llu, oom %llu, nofail_failed %llu", i, served,
			         (unsigned long long)counters->allocstall, (unsigned long long)counters->oom,
			         (unsigned long long)counters->nofail_failed);
		}
		/* Nothing was reclaimed, so there is no second try with the lists drained. */
		assert_int_equal(counters->pcp_drain_all, 0);
		bench_end(&bench);
	}
}

/* Would catch: the OOM killer for a request that only low memory can serve (highest_zoneidx < ZONE_NORMAL). */
static void nobody_is_killed_for_low_memory(void **state)
{
	(void)state;
	struct bench bench;
	bench_describe(&bench, 0x400, 0x400);
	bench.spec.zones[1] = bench.spec.zones[0];
	bench.spec.zones[0] =
	        (struct zone_spec){.name = "DMA", .kind = ZONE_DMA, .start_pfn = 1, .spanned = 0x100, .present = 0x100};
	bench.spec.zone_count = 2;
	bench_empty(&bench);
	bench_start(&bench);
	assert_int_equal(bench_alloc(&bench, 0, GFP_KERNEL | __GFP_DMA), BLOCK_NONE);
	assert_int_equal(bench.buddy->counters.oom, 0);
	assert_int_equal(bench_alloc(&bench, 0, GFP_KERNEL), BLOCK_NONE);
	assert_int_equal(bench.buddy->counters.oom, 1);
	bench_end(&bench);
}

/* ---- compaction ---- */

#define MOVES_MAX 4096

struct moves {
	unsigned count;
	uint32_t from[MOVES_MAX], to[MOVES_MAX];
};

static void note_move(void *context, pfn from, pfn to)
{
	struct moves *moves = context;
	assert_true(moves->count < MOVES_MAX);
	moves->from[moves->count] = from.nr;
	moves->to[moves->count++] = to.nr;
}

/*
 * Eight pageblocks from 400 on. 400 is a page in use, and movable; with the fifteen free frames behind it it would be a block of
 * order 4. The last pageblock has 128 free blocks of order 2. All else is in use.
 */
static void describe_holes(struct bench *bench, unsigned type)
{
	bench_describe(bench, 0x400, 8 * 0x400);
	bench->settings.kernel.compaction = true;
	bench->spec.movable_is_lru = true;
	bench_empty(bench);
	bench_pageblocks(bench, 0x400, 1, type);
	bench_pageblocks(bench, 0x800, 7, MIGRATE_MOVABLE);
	bench_place(bench, 0x400, 0, type);
	for (unsigned order = 0; order < 4; order++)
		bench_place(bench, 0x400 + (1u << order), order, type);
	for (uint32_t i = 0; i < 128; i++)
		bench_place(bench, 0x2000 + 8 * i, 2, MIGRATE_MOVABLE);
	bench_start(bench);
	uint32_t page = bench_alloc(bench, 0, type == MIGRATE_MOVABLE ? GFP_HIGHUSER_MOVABLE : GFP_KERNEL);
	assert_int_equal(page, 0x400);
	frame_at(bench->buddy, page)->lru = true;
}

/*
 * Would catch: scanners at the wrong ends, the wrong frame of an isolated block, pages that are not flushed when the scanner
 * leaves their block, left-over frames lost. The free search finds the list's last block (23f8, order 2) in the top quarter; its
 * last frame is used first.
 */
static void a_page_moves_so_that_a_block_comes_together(void **state)
{
	(void)state;
	struct bench bench;
	struct moves moves = {0};
	describe_holes(&bench, MIGRATE_MOVABLE);
	bench.pages->moved = (struct page_moved){note_move, &moves};
	assert_int_equal(bench_alloc(&bench, 3, GFP_HIGHUSER_MOVABLE), 0x408);
	assert_int_equal(bench_alloc(&bench, 3, GFP_HIGHUSER_MOVABLE), 0x400);
	assert_int_equal(moves.count, 1);
	assert_int_equal(moves.from[0], 0x400);
	assert_int_equal(moves.to[0], 0x23fb);
	assert_pcp_list(&bench, 0, 0, MIGRATE_MOVABLE, FRAMES_OF(0x23f8, 0x23f9, 0x23fa));
	const struct zone *zone = &bench.buddy->zones[0];
	assert_int_equal(bench.buddy->counters.compact_success, 1);
	assert_int_equal(bench.buddy->counters.alloc_captured, 0); /* movable blocks below a pageblock are not caught */
	assert_int_equal(zone->compact_order_failed, 4);
	assert_int_equal(zone->compact_cached_free_pfn, 0x2000);
	assert_int_equal(zone->compact_cached_migrate_pfn[1], 0x400);
	assert_int_equal(zone->pageblock_skip[0], true);
	bench_free(&bench, 0x23fb, 0);
	bench_free(&bench, 0x400, 3);
	bench_free(&bench, 0x408, 3);
	bench_end(&bench);
}

/*
 * Would catch: a repair of the kernel's own slip. The fast search finds 408 and marks the pageblock, so that nobody else begins
 * with it; being the zone's first, where the scan stood anyway, it is then passed over because of that mark.
 */
static void the_first_pageblock_is_missed_by_the_fast_search(void **state)
{
	(void)state;
	struct bench bench;
	struct moves moves = {0};
	describe_holes(&bench, MIGRATE_MOVABLE);
	bench.pages->moved = (struct page_moved){note_move, &moves};
	assert_int_equal(bench_alloc(&bench, 4, GFP_HIGHUSER_MOVABLE), BLOCK_NONE);
	assert_int_equal(moves.count, 0);
	assert_true(bench.buddy->zones[0].pageblock_skip[0]);
	bench_end(&bench);
}

/* Would catch: a block given back to the lists, where somebody else could take it, instead of kept for the request. */
static void a_block_is_caught_as_it_comes_together(void **state)
{
	(void)state;
	struct bench bench;
	struct moves moves = {0};
	describe_holes(&bench, MIGRATE_UNMOVABLE);
	bench.pages->moved = (struct page_moved){note_move, &moves};
	assert_int_equal(bench_alloc(&bench, 4, GFP_KERNEL), 0x400);
	assert_int_equal(bench.buddy->counters.alloc_captured, 1);
	assert_int_equal(moves.count, 1);
	assert_int_equal(moves.to[0], 0x23fb);
	bench_free(&bench, 0x23fb, 0);
	bench_end(&bench);
}

/* Would catch: moving what nobody follows, or without __GFP_IO, or in a kernel without compaction. */
static void nothing_moves_without_leave(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		struct bench bench;
		struct moves moves = {0};
		describe_holes(&bench, MIGRATE_MOVABLE);
		if (i)
			bench.pages->moved = (struct page_moved){note_move, &moves};
		bench.buddy->compaction = i < 2;
		assert_int_equal(bench_alloc(&bench, 3, GFP_HIGHUSER_MOVABLE), 0x408);
		gfp flags = i == 1 ? GFP_HIGHUSER_MOVABLE & ~(gfp)__GFP_IO : GFP_HIGHUSER_MOVABLE;
		assert_int_equal(bench_alloc(&bench, 3, flags), BLOCK_NONE);
		assert_int_equal(bench.buddy->counters.pgmigrate_success, 0);
		assert_int_equal(moves.count, 0);
		bench_end(&bench);
	}
}

/*
 * Would catch: a wrong mark or gap, a missing look at the fragmentation index. 527 frames in 132 blocks: the index for order 4 is
 * 1000 - (1000 + 527000 / 16) / 132 = 743; in blocks of order 3 it is 1000 - (1000 + 512000 / 16) / 64 = 485: too little memory.
 */
static void compaction_needs_room_and_fragments(void **state)
{
	(void)state;
	struct bench bench;
	describe_holes(&bench, MIGRATE_MOVABLE);
	struct zone *zone = &bench.buddy->zones[0];
	assert_int_equal(zone_free_pages(zone), 527);
	assert_int_equal(compaction_suitable(zone, 4, ALLOC_WMARK_MIN, 2), COMPACT_CONTINUE);
	/* A costly order: low mark and twice the block must be left. */
	zone->watermark[WMARK_LOW] = 527 - 32;
	assert_int_equal(compaction_suitable(zone, 4, ALLOC_WMARK_MIN, 2), COMPACT_SKIPPED);
	zone->watermark[WMARK_LOW]--;
	assert_int_equal(compaction_suitable(zone, 4, ALLOC_WMARK_MIN, 2), COMPACT_CONTINUE);
	assert_int_equal(compaction_suitable(zone, 3, ALLOC_WMARK_MIN, 2), COMPACT_SUCCESS); /* 408 is there */
	bench_end(&bench);

	bench_describe(&bench, 0x400, 0x400);
	bench_empty(&bench);
	for (uint32_t i = 0; i < 64; i++)
		bench_place(&bench, 0x400 + 16 * i, 3, MIGRATE_MOVABLE);
	bench_start(&bench);
	assert_int_equal(compaction_suitable(&bench.buddy->zones[0], 4, ALLOC_WMARK_MIN, 2), COMPACT_SKIPPED);
	assert_int_equal(compaction_suitable_with(&bench.buddy->zones[0], 4, ALLOC_WMARK_MIN, 2, 512), COMPACT_CONTINUE);
	bench_end(&bench);
}

/*
 * Would catch: deferral that never ends, begins at once for asynchronous runs, or grows wrongly. Each request tries twice, first
 * asynchronously; only the second time counts as a failure. Of 1, 2, 4, 8 tries the last one runs.
 */
static void failures_are_tried_less_and_less_often(void **state)
{
	(void)state;
	struct bench bench;
	static const uint32_t shift_after[] = {1, 2, 2, 3, 3, 3, 3, 4};
	describe_holes(&bench, MIGRATE_MOVABLE);
	struct zone *zone = &bench.buddy->zones[0];
	for (unsigned i = 0; i < sizeof shift_after / sizeof shift_after[0]; i++) {
		assert_int_equal(bench_alloc(&bench, 4, GFP_HIGHUSER_MOVABLE), BLOCK_NONE);
		assert_int_equal(zone->compact_defer_shift, shift_after[i]);
	}
	for (unsigned i = 0; i < 200; i++)
		bench_alloc(&bench, 4, GFP_HIGHUSER_MOVABLE);
	assert_int_equal(zone->compact_defer_shift, 6);
	compaction_defer_reset(zone, 4, false);
	assert_int_equal(zone->compact_defer_shift, 6);
	assert_int_equal(zone->compact_order_failed, 5);
	compaction_defer_reset(zone, 4, true);
	assert_int_equal(zone->compact_defer_shift, 0);
	bench_end(&bench);
}

/* Would catch: free frames taken below the min mark, or a whole free pageblock that keeps its old type. */
static void free_blocks_are_isolated_above_the_min_mark(void **state)
{
	(void)state;
	struct bench bench;
	bench_describe(&bench, 0x400, 0x800);
	bench_empty(&bench);
	bench_place(&bench, 0x400, 10, MIGRATE_UNMOVABLE);
	bench_place(&bench, 0x800, 0, MIGRATE_UNMOVABLE);
	bench_start(&bench);
	struct zone *zone = &bench.buddy->zones[0];
	zone->watermark[WMARK_MIN] = 1;
	assert_false(isolate_free_page(bench.buddy, zone, 0x400, 0));
	zone->watermark[WMARK_MIN] = 0;
	assert_true(isolate_free_page(bench.buddy, zone, 0x400, 0));
	assert_int_equal(pageblock_type(bench.buddy, zone, 0x400), MIGRATE_MOVABLE);
	assert_int_equal(pageblock_type(bench.buddy, zone, 0x800), MIGRATE_UNMOVABLE);
	assert_int_equal(zone_free_pages(zone), 1);
	page_allocator_destroy(bench.pages);
	steps_release(&bench.steps);
}

/* ---- reclaim ---- */

/* Eight free pageblocks, of which half becomes page cache or slab; no marks yet. */
static void describe_cache(struct bench *bench, uint32_t page_cache, uint32_t slab)
{
	bench_describe(bench, 0x400, 8 * 0x400);
	bench->settings.kernel.compaction = true;
	bench_empty(bench);
	bench_pageblocks(bench, 0x400, 8, MIGRATE_MOVABLE);
	for (uint32_t i = 0; i < 8; i++)
		bench_place(bench, 0x400 + i * 0x400, 10, MIGRATE_MOVABLE);
	reclaim_fill(bench->buddy, page_cache, slab, 1);
	bench_start(bench);
}

static void set_marks(struct bench *bench, uint64_t min, uint64_t low, uint64_t high)
{
	const uint64_t marks[WMARKS] = {min, low, high};
	memcpy(bench->buddy->zones[0].watermark, marks, sizeof marks);
}

static unsigned frames_until_none(struct bench *bench, gfp flags)
{
	unsigned count = 0;
	while (bench_alloc(bench, 0, flags) != BLOCK_NONE)
		count++;
	return count;
}

/*
 * Would catch: other portions, or a reclaim that stops at once or never. 4096 pages of cache: 1 at priority 12, 4095 >> 11 = 1,
 * then 3, 7, 15 (27 so far) and 4069 >> 7 = 31: with 58 there are more than 32. They wait on per-CPU lists, so the lists
 * are drained before the request is served.
 */
static void direct_reclaim_takes_its_portions(void **state)
{
	(void)state;
	struct bench bench;
	describe_cache(&bench, 50, 0);
	assert_int_equal(zone_free_pages(&bench.buddy->zones[0]), 4096);
	assert_int_equal(bench.buddy->zones[0].file_pages, 4096);
	set_marks(&bench, 4096, 4096, 4096);
	assert_int_not_equal(bench_alloc(&bench, 0, GFP_KERNEL), BLOCK_NONE);
	assert_int_equal(bench.buddy->counters.pgsteal_direct, 58);
	assert_int_equal(bench.buddy->counters.pcp_drain_all, 1);
	assert_int_equal(bench.buddy->counters.allocstall, 1);
	bench_end(&bench);
}

/*
 * Would catch: a first pass that stops at 32, or a cluster freed from its oldest page on. 262144 pages of cache are 64 at
 * priority 12, in two clusters of 32. Freed pages lie on top of those freed before: the second cluster's first, then the oldest
 * of all.
 */
static void a_cluster_is_freed_from_its_youngest_page_on(void **state)
{
	(void)state;
	struct bench bench;
	bench_describe(&bench, 0x400, 512 * 0x400);
	bench.spec.zones[0].pcp_high = 1000000;
	bench_empty(&bench);
	bench_pageblocks(&bench, 0x400, 512, MIGRATE_MOVABLE);
	for (uint32_t i = 0; i < 512; i++)
		bench_place(&bench, 0x400 + i * 0x400, 10, MIGRATE_MOVABLE);
	reclaim_fill(bench.buddy, 50, 0, 1);
	bench_start(&bench);
	uint32_t oldest = frame_at(bench.buddy, bench.buddy->nodes[0].page_cache)->prev;
	struct request request = {.flags = GFP_KERNEL, .highest_zone = 2, .zonelist = &bench.buddy->zonelist[0][2]};
	assert_int_equal(try_to_free_pages(bench.buddy, &request), 64);
	/* Two clusters of 32: the second one's oldest page was freed last. */
	uint32_t list = bench.buddy->zones[0].pcp[0].lists + MIGRATE_MOVABLE, nr = list;
	for (unsigned i = 0; i <= 63; i++) {
		nr = frame_at(bench.buddy, nr)->next;
		if (i == 32)
			assert_int_equal(nr, oldest);
	}
	assert_int_equal(bench.buddy->zones[0].pcp[0].count, 64);
	bench_end(&bench);
}

/* Would catch: another part of the slab, or no batches. 262144 frames: 64 at priority 12, twice over, are one batch of 128. */
static void a_shrinker_takes_its_batches(void **state)
{
	(void)state;
	struct bench bench;
	bench_describe(&bench, 0x400, 512 * 0x400);
	bench.spec.zones[0].pcp_high = 1000000;
	bench_empty(&bench);
	bench_pageblocks(&bench, 0x400, 512, MIGRATE_RECLAIMABLE);
	for (uint32_t i = 0; i < 512; i++)
		bench_place(&bench, 0x400 + i * 0x400, 10, MIGRATE_RECLAIMABLE);
	reclaim_fill(bench.buddy, 0, 50, 1);
	bench_start(&bench);
	struct request request = {.flags = GFP_KERNEL, .highest_zone = 2, .zonelist = &bench.buddy->zonelist[0][2]};
	assert_int_equal(try_to_free_pages(bench.buddy, &request), 128);
	assert_int_equal(bench.buddy->nodes[0].slab_deferred, 0);
	bench_end(&bench);
}

/* Would catch: cache that is lost, or given to those who may not reclaim. 8192 frames, 100 are kept. */
static void all_that_can_be_reclaimed_is(void **state)
{
	(void)state;
	static const struct {
		uint32_t page_cache, slab;
		gfp flags;
		unsigned expected;
	} cases[] = {
	        {0, 0, GFP_KERNEL, 8092},
	        {50, 0, GFP_KERNEL, 8092},
	        {50, 0, GFP_KERNEL & ~(gfp)__GFP_FS, 8092},
	        {50, 0, GFP_NOWAIT, 3996},
	        {0, 50, GFP_KERNEL, 8092},
	        {0, 50, GFP_KERNEL & ~(gfp)__GFP_FS, 3996}, /* no file system frees its slab for GFP_NOFS */
	        {25, 25, GFP_KERNEL, 8092},
	};
	for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct bench bench;
		describe_cache(&bench, cases[i].page_cache, cases[i].slab);
		set_marks(&bench, 100, 200, 300);
		unsigned count = frames_until_none(&bench, cases[i].flags);
		if (count != cases[i].expected)
			fail_msg("case %u: %u frames, expected %u", i, count, cases[i].expected);
		bench_end(&bench);
	}
}

/* Would catch: ages that follow addresses, or a shuffle that seeds do not decide. */
static void the_seed_decides_the_ages(void **state)
{
	(void)state;
	uint32_t first[3];
	static const uint64_t seeds[] = {1, 1, 2};
	for (unsigned i = 0; i < 3; i++) {
		struct bench bench;
		bench_describe(&bench, 0x400, 0x400);
		bench_empty(&bench);
		bench_place(&bench, 0x400, 10, MIGRATE_MOVABLE);
		reclaim_fill(bench.buddy, 50, 0, seeds[i]);
		bench_start(&bench);
		first[i] = frame_at(bench.buddy, bench.buddy->nodes[0].page_cache)->prev;
		bench_end(&bench);
	}
	assert_int_equal(first[0], first[1]);
	assert_int_not_equal(first[0], first[2]);
}

/* ---- kswapd ---- */

/* Would catch: kswapd at the wrong call, one that stops below the high mark, or that fills all of memory. */
static void kswapd_restores_the_high_mark_in_its_turn(void **state)
{
	(void)state;
	struct bench bench;
	describe_cache(&bench, 50, 0);
	set_marks(&bench, 100, 200, 300);
	bench.buddy->kswapd_delay = 3;
	struct zone *zone = &bench.buddy->zones[0];
	while (!bench.buddy->counters.kswapd_wake)
		assert_int_not_equal(bench_alloc(&bench, 0, GFP_KERNEL), BLOCK_NONE);
	assert_int_equal(zone_free_pages(zone), 199); /* low had 200; the request took its frame below it */
	bench_alloc(&bench, 0, GFP_KERNEL);
	bench_alloc(&bench, 0, GFP_KERNEL);
	assert_int_equal(bench.buddy->counters.kswapd_runs, 0);
	bench_alloc(&bench, 0, GFP_KERNEL);
	assert_int_equal(bench.buddy->counters.kswapd_runs, 1);
	assert_false(bench.buddy->nodes[0].kswapd_awake);
	assert_false(zone->reclaim_active);
	assert_int_equal(bench.buddy->counters.pgsteal_direct, 0);
	assert_in_range(bench.buddy->counters.pgsteal_kswapd, 104, 104 + 300);
	assert_in_range(zone_free_pages(zone), 300, 600);
	bench_end(&bench);
}

/* Steps that take a page off its LRU list. */
static uint32_t pages_isolated(const struct bench *bench, uint32_t first, uint32_t end)
{
	uint32_t count = 0;
	for (uint32_t i = first; i < end; i++) {
		const struct step *step = &bench->steps.at[i];
		count += step->kind == STEP_UPDATE && step->bytes == LIST_HEAD_BYTES &&
		         step->address % bench->layout.page_struct_bytes == PAGE_LRU * sizeof(uint64_t);
	}
	return count;
}

/*
 * The call that lets kswapd run has the steps of it in one part, before its own: each page that was reclaimed is taken off the
 * LRU list there, none elsewhere. Would catch: reclaim that nobody pays for, or the request.
 */
static void kswapds_steps_are_its_own(void **state)
{
	(void)state;
	struct bench bench;
	describe_cache(&bench, 50, 0);
	set_marks(&bench, 100, 200, 300);
	bench.buddy->kswapd_delay = 1;
	while (!bench.buddy->counters.kswapd_wake)
		bench_alloc(&bench, 0, GFP_KERNEL);
	bench.steps.recording = true;
	bench_alloc(&bench, 0, GFP_KERNEL);
	bench.steps.recording = false;
	assert_int_equal(bench.buddy->counters.kswapd_runs, 1);
	assert_int_equal(bench.steps.daemons_count, 1);
	const struct daemon_part *part = &bench.steps.daemons[0];
	assert_int_equal(part->daemon, DAEMON_KSWAPD);
	assert_int_equal(part->first, 0);
	assert_true(part->count > 0 && part->count < bench.steps.count);
	assert_int_equal(pages_isolated(&bench, 0, part->count), bench.buddy->counters.pgsteal_kswapd);
	assert_int_equal(pages_isolated(&bench, part->count, bench.steps.count), 0);
	assert_int_equal(part->path, PATH_LISTS);
	bench_end(&bench);
}

static unsigned steps_of_kind(const struct bench *bench, enum step_kind kind)
{
	unsigned count = 0;
	for (uint32_t i = 0; i < bench->steps.count; i++)
		count += bench->steps.at[i].kind == kind;
	return count;
}

/*
 * One zone on one node: 11 and 43 counters are exchanged, and what the CPU held back of the free pages is added to the zone's by
 * one locked instruction (refresh_cpu_vm_stats). Would catch: a fold before its second, pages that are lost or counted twice, a
 * fold of nothing, a CPU's turn at another one's time.
 */
static void a_cpu_folds_its_statistics_once_a_second(void **state)
{
	(void)state;
	struct bench bench;
	bench_describe(&bench, 0x400, 8 * 0x400);
	bench.spec.cpus = 2;
	bench.spec.zones[0].stat_threshold = 125;
	bench.settings.kernel.vmstat = true;
	bench.settings.cost.vmstat_item = 8;
	bench_empty(&bench);
	bench_pageblocks(&bench, 0x400, 8, MIGRATE_MOVABLE);
	bench_place(&bench, 0x400, 10, MIGRATE_MOVABLE);
	bench_start(&bench);
	const struct zone *zone = &bench.buddy->zones[0];
	assert_int_equal(page_allocator_tick(bench.pages, 0, 5), 1000000000);
	assert_int_equal(page_allocator_tick(bench.pages, 1, 5), 12000000);
	bench_alloc(&bench, 3, GFP_KERNEL);
	assert_int_equal(zone->pcp[0].free_pages_delta, -8);
	assert_int_equal(zone->free_pages, 1024);
	bench.steps.recording = true;
	assert_int_equal(page_allocator_tick(bench.pages, 1, 12000000), 1012000000);
	assert_int_equal(bench.steps.count, 0);
	assert_int_equal(page_allocator_tick(bench.pages, 0, 1000000000), 2000000000);
	assert_int_equal(zone->pcp[0].free_pages_delta, 0);
	assert_int_equal(zone->free_pages, 1016);
	assert_int_equal(steps_of_kind(&bench, STEP_UPDATE), 11 + 43);
	assert_int_equal(steps_of_kind(&bench, STEP_SPEND), 11 + 43);
	assert_int_equal(steps_of_kind(&bench, STEP_ATOMIC), 1);
	steps_clear(&bench.steps);
	assert_int_equal(page_allocator_tick(bench.pages, 0, 2000000000), 3000000000);
	assert_int_equal(bench.steps.count, 0);
	bench.steps.recording = false;
	bench_end(&bench);
}

/* Would catch: a boost that stays, and a kswapd that tries for ever where nothing can be had. */
static void kswapd_lowers_the_boost_until_it_is_hopeless(void **state)
{
	(void)state;
	struct bench bench;
	describe_cache(&bench, 0, 0);
	set_marks(&bench, 100, 200, 300);
	bench.buddy->kswapd_delay = 1;
	struct zone *zone = &bench.buddy->zones[0];
	bench.buddy->start_boosted = MAX_RECLAIM_RETRIES + 1; /* the flag below is set by hand */
	for (unsigned i = 0; i <= MAX_RECLAIM_RETRIES; i++) {
		zone->watermark_boost = 1024;
		zone->boosted = true;
		bench_alloc(&bench, 0, GFP_KERNEL); /* wakes */
		bench_alloc(&bench, 0, GFP_KERNEL); /* kswapd runs */
		assert_int_equal(zone->watermark_boost, i < MAX_RECLAIM_RETRIES ? 0 : 1024);
	}
	assert_int_equal(bench.buddy->counters.kswapd_runs, MAX_RECLAIM_RETRIES);
	bench_end(&bench);
}

/* ---- a reclaimer whose pages are on their way ---- */

#define PASSES_MAX 64

/* Gets nothing, and sleeps as kswapd in each pass as the test says: in the middle of it, or behind it. */
struct busy {
	unsigned passes, no_progress, waits;
	int priority[PASSES_MAX];
	bool unfinished[PASSES_MAX], asleep[PASSES_MAX];
	bool sleeps; /* until somebody waits for it */
};

static void busy_shrink(void *context, const struct reclaim_request *request)
{
	struct busy *busy = context;
	unsigned pass = busy->passes++;
	if (pass >= PASSES_MAX)
		return;
	busy->priority[pass] = request->priority;
	request->result->asleep = request->kswapd && busy->asleep[pass];
	request->result->unfinished = request->kswapd && busy->unfinished[pass];
	busy->sleeps |= request->result->asleep;
}

static void busy_age(void *context, const struct reclaim_request *request)
{
	(void)context;
	(void)request;
}

static void busy_end(void *context, unsigned node, bool balanced)
{
	(void)context;
	(void)node;
	(void)balanced;
}

static uint64_t busy_pages(void *context, unsigned nr)
{
	(void)context;
	(void)nr;
	return 10000;
}

static void busy_no_progress(void *context, unsigned cpu)
{
	(void)cpu;
	((struct busy *)context)->no_progress++;
}

static bool busy_sleeps(void *context, unsigned node, unsigned cpu)
{
	(void)node;
	(void)cpu;
	return ((struct busy *)context)->sleeps;
}

static void busy_wait(void *context, unsigned node, unsigned cpu)
{
	struct busy *busy = context;
	(void)node;
	(void)cpu;
	busy->waits++;
	busy->sleeps = false;
}

static struct page_reclaimer busy_reclaimer(struct busy *busy)
{
	return (struct page_reclaimer){.shrink = busy_shrink,
	                               .age = busy_age,
	                               .end = busy_end,
	                               .reclaimable = busy_pages,
	                               .inactive = busy_pages,
	                               .no_progress = busy_no_progress,
	                               .kswapd_sleeps = busy_sleeps,
	                               .wait_for_kswapd = busy_wait,
	                               .context = busy};
}

/*
 * Reclaim that gets nothing is held up once a time, behind its pass at priority 1, and not where kswapd has given the node up.
 * Would catch: a request that goes round without a pause, one that sleeps 13 times.
 */
static void reclaim_without_progress_is_held_up(void **state)
{
	(void)state;
	for (unsigned failed = 0; failed < 2; failed++) {
		struct bench bench;
		struct busy busy = {0};
		struct page_reclaimer reclaimer = busy_reclaimer(&busy);
		describe_short(&bench, 500);
		bench.buddy->port.reclaimer = &reclaimer;
		bench.buddy->nodes[0].kswapd_failures = failed * MAX_RECLAIM_RETRIES;
		assert_int_equal(bench_alloc(&bench, 0, GFP_KERNEL), BLOCK_NONE);
		assert_int_equal(bench.buddy->counters.allocstall, 17);
		assert_int_equal(busy.passes, 17 * 13);
		assert_int_equal(busy.no_progress, failed ? 0 : 17);
		bench_end(&bench);
	}
}

/*
 * kswapd that sleeps in the middle of a pass begins it anew at the same priority, behind one it goes on with the next; its turns
 * are none while it sleeps, and all of it is one run. Would catch: a pass left out, a run begun anew, a turn that never comes
 * again.
 */
static void kswapd_goes_on_where_it_slept(void **state)
{
	(void)state;
	struct bench bench;
	struct busy busy = {.asleep = {true, true, [3] = true}, .unfinished = {true}};
	static const int priorities[] = {12, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1};
	struct page_reclaimer reclaimer = busy_reclaimer(&busy);
	describe_short(&bench, 100);
	set_marks(&bench, 50, 300, 350);
	bench.buddy->port.reclaimer = &reclaimer;
	bench.buddy->kswapd_delay = 2;
	while (!busy.passes)
		assert_int_not_equal(bench_alloc(&bench, 0, GFP_KERNEL), BLOCK_NONE);
	assert_int_equal(busy.passes, 1);
	for (unsigned call = 0; call < 6; call++)
		bench_alloc(&bench, 0, GFP_KERNEL);
	assert_int_equal(busy.passes, 1);
	assert_true(bench.buddy->nodes[0].kswapd_awake && bench.buddy->zones[0].reclaim_active);
	busy.sleeps = false;
	bench_alloc(&bench, 0, GFP_KERNEL);
	bench_alloc(&bench, 0, GFP_KERNEL);
	assert_int_equal(busy.passes, 2);
	busy.sleeps = false;
	bench_alloc(&bench, 0, GFP_KERNEL);
	bench_alloc(&bench, 0, GFP_KERNEL);
	assert_int_equal(busy.passes, 4);
	assert_int_equal(bench.buddy->counters.kswapd_runs, 1);
	assert_int_equal(bench.buddy->nodes[0].kswapd_failures, 0);
	busy.sleeps = false;
	bench_alloc(&bench, 0, GFP_KERNEL);
	bench_alloc(&bench, 0, GFP_KERNEL);
	for (unsigned pass = 0; pass < 13; pass++)
		assert_int_equal(busy.priority[pass], priorities[pass]);
	/* That was one failure, and all others follow at once. */
	assert_int_equal(bench.buddy->nodes[0].kswapd_failures, MAX_RECLAIM_RETRIES);
	assert_false(bench.buddy->nodes[0].kswapd_awake || bench.buddy->zones[0].reclaim_active);
	assert_int_equal(bench.buddy->counters.kswapd_runs, MAX_RECLAIM_RETRIES);
	bench_end(&bench);
}

/* A request that finds the reserves half gone waits as long as kswapd sleeps. Would catch: one that does not wait, or for ever.
 */
static void requests_wait_for_kswapd_at_the_end(void **state)
{
	(void)state;
	struct bench bench;
	struct busy busy = {.asleep = {true, true, true}};
	struct page_reclaimer reclaimer = busy_reclaimer(&busy);
	describe_short(&bench, 1000);
	bench.buddy->port.reclaimer = &reclaimer;
	bench.buddy->kswapd_delay = 1000;
	assert_int_equal(bench_alloc(&bench, 0, GFP_KERNEL | __GFP_NORETRY), BLOCK_NONE);
	assert_int_equal(busy.waits, 3);
	assert_int_equal(bench.buddy->nodes[0].kswapd_failures, MAX_RECLAIM_RETRIES);
	bench_end(&bench);
}

/* Would catch: kswapd woken where its node is balanced, or running where it is switched off. */
static void a_balanced_node_lets_kswapd_sleep(void **state)
{
	(void)state;
	struct bench bench;
	describe_cache(&bench, 50, 0);
	set_marks(&bench, 100, 200, 300);
	bench.buddy->kswapd_delay = 1;
	wakeup_kswapd(bench.buddy, &bench.buddy->zones[0], GFP_KERNEL, 0, 2);
	assert_int_equal(bench.buddy->kswapd_countdown, 0);
	set_marks(&bench, 100, 200, 4096);
	bench.buddy->kswapd_delay = 0;
	wakeup_kswapd(bench.buddy, &bench.buddy->zones[0], GFP_KERNEL, 0, 2);
	assert_int_equal(bench.buddy->kswapd_countdown, 0);
	bench.buddy->kswapd_delay = 1;
	wakeup_kswapd(bench.buddy, &bench.buddy->zones[0], GFP_KERNEL, 0, 2);
	assert_int_equal(bench.buddy->kswapd_countdown, 1);
	bench_end(&bench);
}

/* Would catch: marks of pageblocks that are never looked at again. kswapd forgets them when it goes to sleep. */
static void kswapd_clears_skip_marks(void **state)
{
	(void)state;
	struct bench bench;
	describe_holes(&bench, MIGRATE_MOVABLE);
	struct zone *zone = &bench.buddy->zones[0];
	zone->pageblock_skip[0] = zone->pageblock_skip[7] = zone->pageblock_skip[3] = true;
	reset_isolation_suitable(bench.buddy, 0);
	assert_true(zone->pageblock_skip[0]); /* no scan has come to its end */
	zone->compact_blockskip_flush = true;
	reset_isolation_suitable(bench.buddy, 0);
	assert_false(zone->pageblock_skip[0]); /* 400 can be moved */
	assert_false(zone->pageblock_skip[7]); /* has free frames */
	assert_true(zone->pageblock_skip[3]);  /* has neither */
	assert_int_equal(zone->compact_cached_migrate_pfn[1], 0x400);
	assert_int_equal(zone->compact_init_free_pfn, 0x23ff);
	assert_false(zone->compact_blockskip_flush);
	bench_end(&bench);
}

/* ---- nodes ---- */

/* Four nodes, 0 and 1 near each other, 2 and 3 too; each has a pageblock of Normal and a CPU. */
static void describe_pairs(struct bench *bench)
{
	bench_describe(bench, 0x400, 0x400);
	bench->spec.node_count = bench->spec.zone_count = bench->spec.cpus = NODES_MAX;
	for (unsigned i = 0; i < NODES_MAX; i++) {
		bench->spec.zones[i] = bench->spec.zones[0];
		bench->spec.zones[i].node = i;
		bench->spec.zones[i].start_pfn = 0x400 + i * 0x400;
		bench->spec.node_of_cpu[i] = (uint8_t)i;
		for (unsigned j = 0; j < NODES_MAX; j++) {
			bench->spec.distance[i][j] = (uint8_t)(i == j ? 10 : i / 2 == j / 2 ? 20 : 30);
		}
	}
	bench_empty(bench);
	for (uint32_t i = 0; i < NODES_MAX; i++)
		bench_place(bench, 0x400 + i * 0x400, 10, MIGRATE_UNMOVABLE);
	bench_start(bench);
}

/*
 * Would catch: order by distance alone, no load, load for all instead of the first of a group. Node 0: 1, then 2 before 3 (loads
 * now 1: 1, 2: 1). Node 1: 0, then 3, for 2 has a load (0: 1, 3: 1). Node 2: 3, then 0 and 1 have equal loads (3: 2, 0: 2). Node
 * 3: 2, then 1, for 0 has the larger load.
 */
static void nodes_are_tried_by_distance_and_load(void **state)
{
	(void)state;
	static const uint8_t expected[NODES_MAX][NODES_MAX] = {{0, 1, 2, 3}, {1, 0, 3, 2}, {2, 3, 0, 1}, {3, 2, 1, 0}};
	struct bench bench;
	describe_pairs(&bench);
	for (unsigned node = 0; node < NODES_MAX; node++) {
		assert_int_equal(bench.buddy->zonelist[node][2].length, NODES_MAX);
		assert_memory_equal(bench.buddy->zonelist[node][2].zones, expected[node], NODES_MAX);
		assert_int_equal(bench.buddy->thisnode[node][2].length, 1);
		assert_int_equal(bench.buddy->thisnode[node][2].zones[0], node);
		assert_int_equal(bench.buddy->zonelist[node][1].length, 0);
	}
	bench_end(&bench);
}

/* Would catch: memory from a far node while the own has some, __GFP_THISNODE that strays, bulk calls that leave the node. */
static void a_cpu_is_served_by_its_node_first(void **state)
{
	(void)state;
	struct bench bench;
	pfn frames[4];
	describe_pairs(&bench);
	assert_int_equal(page_alloc(bench.pages, 9, GFP_KERNEL, 3).nr, 0x1000);
	assert_int_equal(page_alloc(bench.pages, 9, GFP_KERNEL | __GFP_THISNODE, 3).nr, 0x1200);
	assert_int_equal(page_alloc(bench.pages, 9, GFP_KERNEL | __GFP_THISNODE, 3).nr, BLOCK_NONE);
	assert_int_equal(page_alloc(bench.pages, 9, GFP_KERNEL, 3).nr, 0xc00);
	/* One frame from elsewhere, as the single path gives it, instead of a batch. */
	assert_int_equal(buddy_alloc_bulk(bench.pages, GFP_KERNEL, 3, 4, frames), 1);
	assert_int_equal(frames[0].nr, 0xe00);
	assert_int_equal(buddy_alloc_bulk(bench.pages, GFP_KERNEL, 1, 4, frames), 4);
	assert_int_equal(frames[0].nr, 0x800);
	bench_end(&bench);
}

/* Would catch: a CPU's lists sized as if all CPUs shared each node. 1000 of low mark, 4 CPUs, 2 of them near. */
static void per_cpu_lists_are_sized_by_the_nodes_cpus(void **state)
{
	(void)state;
	struct zone_spec zone = {.kind = ZONE_NORMAL, .index = 2, .node = 1, .present = 100000, .managed = 100000};
	struct zone_tuning tuning = {.min_free_kbytes = 3200, .watermark_scale_factor = 10, .cpus = 4, .node_cpus = {2, 2}};
	zones_set_limits(&zone, 1, &tuning);
	assert_int_equal(zone.watermark[WMARK_LOW], 1000);
	assert_int_equal(zone.pcp_high, 500);
}

/* ---- everything at once ---- */

#define FRAMES (16 * 0x400)
#define LIVE_MAX 12000

struct owner {
	uint32_t frame[LIVE_MAX];
	uint8_t order[LIVE_MAX];
	uint32_t live;
	uint32_t id_of[0x400 + FRAMES];
};

static void follow(void *context, pfn from, pfn to)
{
	struct owner *owner = context;
	uint32_t id = owner->id_of[from.nr];
	assert_true(id < owner->live && owner->frame[id] == from.nr && owner->order[id] == 0);
	owner->frame[id] = to.nr;
	owner->id_of[to.nr] = id;
}

static void own(struct owner *owner, uint32_t nr, unsigned order)
{
	owner->id_of[nr] = owner->live;
	owner->frame[owner->live] = nr;
	owner->order[owner->live++] = (uint8_t)order;
}

static void give_up(struct bench *bench, struct owner *owner, uint32_t id)
{
	bench_free(bench, owner->frame[id], owner->order[id]);
	owner->live--;
	if (id == owner->live)
		return;
	owner->frame[id] = owner->frame[owner->live];
	owner->order[id] = owner->order[owner->live];
	owner->id_of[owner->frame[id]] = id;
}

static void ask(struct bench *bench, struct owner *owner, unsigned order, gfp flags)
{
	uint32_t nr = bench_alloc(bench, order, flags);
	if (nr != BLOCK_NONE)
		own(owner, nr, order);
}

/* Movable pages all over memory with holes between them, then requests for blocks: what compaction is good at. */
static void scatter_and_compact(struct bench *bench, struct owner *owner, struct rng *rng)
{
	for (unsigned i = 0; i < 9000; i++)
		ask(bench, owner, 0, GFP_HIGHUSER_MOVABLE);
	for (unsigned i = 0; i < 20000; i++) {
		give_up(bench, owner, rng_below(rng, owner->live));
		ask(bench, owner, 0, GFP_HIGHUSER_MOVABLE);
	}
	for (unsigned i = 0; i < 3000; i++)
		give_up(bench, owner, rng_below(rng, owner->live));
	for (unsigned i = 0; i < 60; i++)
		ask(bench, owner, 3 + i % 6, i & 1 ? GFP_KERNEL | __GFP_COMP : GFP_HIGHUSER_MOVABLE);
	page_allocator_check(bench->pages);
}

/* Would catch: any law broken by compaction, reclaim and kswapd together, a page whose owner is not told, a run that differs. */
static uint64_t churn(uint64_t seed, unsigned pageblock_order)
{
	struct bench bench;
	struct rng rng;
	struct owner *owner = calloc(1, sizeof *owner);
	assert_non_null(owner);
	bench_describe(&bench, 0x400, FRAMES);
	bench.settings.kernel.compaction = true;
	bench.settings.kernel.kswapd_delay = 7;
	bench.spec.movable_is_lru = true;
	bench.spec.pageblock_order = pageblock_order;
	bench.spec.zones[0].pcp_batch = 31;
	bench.spec.zones[0].pcp_high = 200;
	bench.spec.watermark_boost_factor = 15000;
	const uint64_t marks[WMARKS] = {200, 250, 300};
	memcpy(bench.spec.zones[0].watermark, marks, sizeof marks);
	bench_empty(&bench);
	bench_pageblocks(&bench, 0x400, FRAMES >> pageblock_order, MIGRATE_MOVABLE);
	for (uint32_t i = 0; i < FRAMES; i += 0x400)
		bench_place(&bench, 0x400 + i, 10, MIGRATE_MOVABLE);
	reclaim_fill(bench.buddy, 20, 10, seed);
	bench_start(&bench);
	bench.pages->moved = (struct page_moved){follow, owner};
	rng_init(&rng, seed, "churn");
	scatter_and_compact(&bench, owner, &rng);
	static const gfp flags[] = {GFP_KERNEL,
	                            GFP_HIGHUSER_MOVABLE,
	                            GFP_HIGHUSER_MOVABLE,
	                            GFP_HIGHUSER_MOVABLE,
	                            GFP_KERNEL | __GFP_RECLAIMABLE,
	                            GFP_ATOMIC,
	                            GFP_KERNEL | __GFP_COMP,
	                            GFP_KERNEL | __GFP_NORETRY | __GFP_COMP,
	                            GFP_KERNEL | __GFP_RETRY_MAYFAIL,
	                            GFP_HIGHUSER_MOVABLE | __GFP_NOFAIL};
	for (unsigned i = 0; i < 60000; i++) {
		/* Memory is kept two thirds full, where there are frames enough but in pieces; in the end it runs out. */
		bool grows = rng_below(&rng, 5) < (i > 40000 || bench.pages->allocated_pages < FRAMES / 3 * 2 ? 4u : 2u);
		if (owner->live && (!grows || owner->live == LIVE_MAX)) {
			give_up(&bench, owner, rng_below(&rng, owner->live));
		} else {
			unsigned order = rng_below(&rng, 8) ? 0 : 1 + rng_below(&rng, rng_below(&rng, 8) ? 6 : ORDERS - 1);
			ask(&bench, owner, order, flags[rng_below(&rng, 10)]);
		}
		if (i % 1000 == 0)
			page_allocator_check(bench.pages);
	}
	const struct buddy_counters *counters = &bench.buddy->counters;
	assert_true(counters->pgmigrate_success > 100 && counters->compact_success && counters->compact_fail > 10);
	assert_true(counters->pgsteal_kswapd && counters->slab_pages_reclaimed && counters->kswapd_runs);
	uint64_t digest = counters->pgmigrate_success;
	for (uint32_t id = 0; id < owner->live; id++)
		digest = digest * 1099511628211ull + owner->frame[id];
	while (owner->live)
		give_up(&bench, owner, owner->live - 1);
	bench_end(&bench);
	free(owner);
	return digest;
}

static void laws_hold_when_memory_runs_out(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 3; seed++)
		for (unsigned order = 9; order <= 10; order++)
			assert_int_equal(churn(seed, order), churn(seed, order));
}

/*
 * Direct compaction that does not wait gives a block of the wanted order up at the first page that cannot move, and goes on with
 * the next aligned block (isolate_migratepages_block(): skip_on_failure). Of the 32 pages from 800 on the fourth stays: the three
 * before it are put back, the twelve behind it are not looked at, and the next sixteen move. Would catch: an end of the block
 * that is not aligned, pages moved in vain.
 */
static void a_page_that_stays_spoils_its_block(void **state)
{
	(void)state;
	struct bench bench;
	struct moves moves = {0};
	bench_describe(&bench, 0x400, 8 * 0x400);
	bench.settings.kernel.compaction = true;
	bench.spec.movable_is_lru = true;
	bench_empty(&bench);
	bench_pageblocks(&bench, 0x400, 8, MIGRATE_MOVABLE);
	for (uint32_t nr = 0x800; nr < 0x820; nr++)
		bench_place(&bench, nr, 0, MIGRATE_MOVABLE);
	for (uint32_t i = 0; i < 128; i++)
		bench_place(&bench, 0x2000 + 8 * i, 0, MIGRATE_MOVABLE);
	bench_start(&bench);
	bench.pages->moved = (struct page_moved){note_move, &moves};
	for (uint32_t nr = 0x800; nr < 0x820; nr++)
		assert_int_equal(bench_alloc(&bench, 0, GFP_HIGHUSER_MOVABLE), nr);
	frame_at(bench.buddy, 0x803)->lru = false;
	assert_int_equal(bench_alloc(&bench, 4, GFP_HIGHUSER_MOVABLE), 0x810);
	assert_int_equal(moves.count, 16);
	for (uint32_t i = 0; i < 16; i++)
		assert_int_equal(moves.from[i], 0x81f - i);
	bench_end(&bench);
}

/* Frees are calls like others. Would catch: kswapd at the first free after it was woken, or not until an allocation comes. */
static void kswapds_turn_comes_with_frees_too(void **state)
{
	(void)state;
	struct bench bench;
	uint32_t got[3];
	describe_cache(&bench, 50, 0);
	set_marks(&bench, 100, 200, 300);
	bench.buddy->kswapd_delay = 3;
	for (unsigned i = 0; i < 3; i++)
		got[i] = bench_alloc(&bench, 0, GFP_KERNEL);
	while (!bench.buddy->counters.kswapd_wake)
		assert_int_not_equal(bench_alloc(&bench, 0, GFP_KERNEL), BLOCK_NONE);
	bench_free(&bench, got[0], 0);
	bench_free(&bench, got[1], 0);
	assert_int_equal(bench.buddy->counters.kswapd_runs, 0);
	bench_free(&bench, got[2], 0);
	assert_int_equal(bench.buddy->counters.kswapd_runs, 1);
	bench_end(&bench);
}

/*
 * should_reclaim_retry(): only rounds that bring nothing are counted. 4096 frames are free and 4096 are cache, and the mark is 7000: each
 * round brings some 58 frames, so it takes about fifty. Would catch: a request given up after 16 rounds that all brought something.
 */
static void progress_starts_the_count_again(void **state)
{
	(void)state;
	struct bench bench;
	describe_cache(&bench, 50, 0);
	set_marks(&bench, 7000, 7000, 7000);
	assert_int_not_equal(bench_alloc(&bench, 0, GFP_KERNEL), BLOCK_NONE);
	assert_in_range(bench.buddy->counters.allocstall, 17 + 1, 2904 / 32);
	assert_true(zone_free_pages(&bench.buddy->zones[0]) >= 7000);
	bench_end(&bench);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(each_flag_has_its_rounds),
	        cmocka_unit_test(nobody_is_killed_for_low_memory),
	        cmocka_unit_test(a_page_moves_so_that_a_block_comes_together),
	        cmocka_unit_test(the_first_pageblock_is_missed_by_the_fast_search),
	        cmocka_unit_test(a_block_is_caught_as_it_comes_together),
	        cmocka_unit_test(nothing_moves_without_leave),
	        cmocka_unit_test(compaction_needs_room_and_fragments),
	        cmocka_unit_test(failures_are_tried_less_and_less_often),
	        cmocka_unit_test(free_blocks_are_isolated_above_the_min_mark),
	        cmocka_unit_test(direct_reclaim_takes_its_portions),
	        cmocka_unit_test(a_cluster_is_freed_from_its_youngest_page_on),
	        cmocka_unit_test(a_shrinker_takes_its_batches),
	        cmocka_unit_test(all_that_can_be_reclaimed_is),
	        cmocka_unit_test(the_seed_decides_the_ages),
	        cmocka_unit_test(kswapd_restores_the_high_mark_in_its_turn),
	        cmocka_unit_test(kswapds_steps_are_its_own),
	        cmocka_unit_test(a_cpu_folds_its_statistics_once_a_second),
	        cmocka_unit_test(kswapd_lowers_the_boost_until_it_is_hopeless),
	        cmocka_unit_test(reclaim_without_progress_is_held_up),
	        cmocka_unit_test(kswapd_goes_on_where_it_slept),
	        cmocka_unit_test(requests_wait_for_kswapd_at_the_end),
	        cmocka_unit_test(a_balanced_node_lets_kswapd_sleep),
	        cmocka_unit_test(kswapd_clears_skip_marks),
	        cmocka_unit_test(nodes_are_tried_by_distance_and_load),
	        cmocka_unit_test(a_cpu_is_served_by_its_node_first),
	        cmocka_unit_test(per_cpu_lists_are_sized_by_the_nodes_cpus),
	        cmocka_unit_test(laws_hold_when_memory_runs_out),
	        cmocka_unit_test(a_page_that_stays_spoils_its_block),
	        cmocka_unit_test(kswapds_turn_comes_with_frees_too),
	        cmocka_unit_test(progress_starts_the_count_again),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
