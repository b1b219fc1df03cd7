/* SPDX-License-Identifier: MIT
 *
 * test_writeback.c - pages that reclaim and the flusher write: when they come free, who waits, and for how long, against
 * mm/vmscan.c, mm/filemap.c and mm/swap.c of Linux 6.1 worked out by hand. The swap device passes a page in 2,048 ns and is done
 * 20,000 ns later.
 */
#include "tests/unit/lru_rig.h"

#define FRAMES 2048u
#define PAGES 20u
#define PASS_NS 2048u
#define LATENCY_NS 20000u

static struct lru_rig *make_with(uint32_t min, uint32_t low, uint32_t high)
{
	struct lru_rig *rig = rig_make(FRAMES, min, low, high, 4097);
	rig->lru->spec.page_cluster = 0;
	rig->lru->spec.pageout_ns = 0;
	return rig;
}

static struct lru_rig *make(void)
{
	return make_with(32, 40, 48);
}

/* The program's first pages, written, and not used since: on the inactive list, page 0 at its end. */
static void touch_pages(struct lru_rig *rig, uint32_t pages)
{
	for (uint32_t page = 0; page < pages; page++) {
		assert_true(rig_touch(rig, page, true));
		rig->entries[page].accessed = false;
	}
	page_lru_drain(rig->lru, 0);
}

static uint64_t shrink(struct lru_rig *rig, bool kswapd, struct reclaim_result *result)
{
	const struct reclaim_request request = {.end_pfn = FRAMES,
	                                        .priority = 0,
	                                        .to_reclaim = 32,
	                                        .flags = GFP_KERNEL,
	                                        .kswapd = kswapd,
	                                        .may_swap = true,
	                                        .may_writepage = true,
	                                        .result = result};
	*result = (struct reclaim_result){0};
	rig->lru->reclaimer.shrink(rig->lru, &request);
	page_lru_check(rig->lru);
	return result->reclaimed;
}

static uint32_t cached(const struct lru_rig *rig, uint32_t page)
{
	return swap_cache_find(&rig->lru->swap, rig->entries[page].slot);
}

/*
 * All go to the device at once, and none is free before its write has ended: at (k + 1) * 2,048 + 20,000 ns the k-th. What has
 * ended lies at the end of the list, the first one at the very end. Would catch: a page that is free while it is written, an end
 * that comes at another time, written pages that wait for all the others.
 */
static void pages_come_free_when_they_are_written(void **state)
{
	(void)state;
	struct lru_rig *rig = make();
	struct page_lru *lru = rig->lru;
	struct reclaim_result result;
	touch_pages(rig, PAGES);
	assert_int_equal(shrink(rig, false, &result), 0);
	assert_int_equal(page_lru_now(lru, 0), 0);
	assert_int_equal(lru->counters.pswpout, PAGES);
	assert_int_equal(page_lru_counters(lru)->nr_writeback, PAGES);
	assert_int_equal(rig->mapped, 0);
	/* Younger ones in front of them; the list is as if they had never left it. */
	for (uint32_t page = PAGES; page < 2 * PAGES; page++)
		assert_true(rig_touch(rig, page, true));
	page_lru_drain(lru, 0);
	page_lru_wait_until(lru, 0, PASS_NS * 7 + LATENCY_NS - 1);
	assert_int_equal(lru->counters.nr_written, 6);
	page_lru_wait_until(lru, 0, PASS_NS * 7 + LATENCY_NS);
	assert_int_equal(lru->counters.nr_written, 7);
	/* In the batch of 15 until it is emptied. */
	assert_int_equal(lru->counters.pgrotated, 0);
	page_lru_drain(lru, 0);
	assert_int_equal(lru->counters.pgrotated, 7);
	assert_int_equal(lru_list_last(lru, 0, LRU_INACTIVE_ANON), cached(rig, 6));
	assert_int_equal(shrink(rig, false, &result), 7);
	for (uint32_t page = 0; page < PAGES; page++)
		assert_int_equal(cached(rig, page) == SWAP_FRAME_NONE, page < 7);
	rig_end(rig);
}

/*
 * A write that ends while its page is still isolated with 31 others moves it nowhere: it goes back to the head of the list with
 * them, clean, and its turn comes a whole list later. With 3 us for a page 32 of them take 96 us: that of page k ends at
 * 3,000 * k + 22,048, so that those of the first 25 have ended by then. Would catch: pages that are moved though nobody has them
 * on a list.
 */
static void what_ends_while_it_is_isolated_is_not_moved(void **state)
{
	(void)state;
	struct lru_rig *rig = make();
	struct page_lru *lru = rig->lru;
	struct reclaim_result result;
	lru->spec.pageout_ns = 3000;
	touch_pages(rig, 32);
	assert_int_equal(shrink(rig, false, &result), 0);
	assert_int_equal(page_lru_now(lru, 0), 32 * 3000);
	assert_int_equal(lru->counters.nr_written, 25);
	page_lru_wait_until(lru, 0, lru->swap_device.last_done_ns);
	page_lru_drain(lru, 0);
	assert_int_equal(lru->counters.pgrotated, 7);
	assert_int_equal(shrink(rig, false, &result), 32);
	rig_end(rig);
}

/*
 * Wanted again under its write, a page is in the swap cache: no read, no wait. It keeps its slot, which reclaim wanted to have
 * written, does not go to the end of the list, and is written once more when it is dirty and unused again. Would catch: a page
 * that leaves the swap cache under its write, a slot that is given away, a read of what is in memory.
 */
static void wanted_again_under_its_write(void **state)
{
	(void)state;
	struct lru_rig *rig = make();
	struct page_lru *lru = rig->lru;
	struct reclaim_result result;
	touch_pages(rig, 1);
	assert_int_equal(shrink(rig, false, &result), 0);
	uint32_t frame = cached(rig, 0), slot = rig->entries[0].slot;
	assert_false(lru->spec.swap.drop(lru, frame, 0));
	assert_true(rig_touch(rig, 0, true));
	assert_int_equal(rig->entries[0].frame, frame);
	assert_int_equal(page_lru_now(lru, 0), 0);
	assert_int_equal(lru->counters.pswpin, 0);
	assert_true(page_has(lru, frame, PG_SWAPCACHE) && page_has(lru, frame, PG_WRITEBACK));
	assert_int_equal(swap_cache_find(&lru->swap, slot), frame);
	page_lru_wait_until(lru, 0, lru->swap_device.last_done_ns);
	page_lru_drain(lru, 0);
	assert_int_equal(lru->counters.pgrotated, 0);
	/* Young, then not: out again, to the same slot. */
	assert_int_equal(shrink(rig, false, &result), 0);
	assert_int_equal(shrink(rig, false, &result), 0);
	assert_int_equal(lru->counters.pswpout, 2);
	assert_int_equal(rig->entries[0].slot, slot);
	rig_end(rig);
}

/*
 * Its owner ends under the write: the page and its slot stay until the write has ended, and reclaim comes by. Would catch: a
 * frame or a slot that is free while the device reads it, or never.
 */
static void left_under_its_write(void **state)
{
	(void)state;
	struct lru_rig *rig = make();
	struct page_lru *lru = rig->lru;
	struct reclaim_result result;
	touch_pages(rig, PAGES);
	shrink(rig, false, &result);
	for (uint32_t page = 0; page < PAGES; page++) {
		page_swap_entry_gone(lru, 0, rig->entries[page].slot);
		rig->entries[page].slot = SWAP_SLOT_NONE;
		rig->swapped--;
	}
	assert_int_equal(page_lru_counters(lru)->nr_lru_pages, PAGES);
	page_lru_wait_until(lru, 0, lru->swap_device.last_done_ns);
	page_lru_drain(lru, 0);
	assert_int_equal(lru->swap.cached, PAGES);
	assert_int_equal(shrink(rig, false, &result), PAGES);
	assert_int_equal(page_lru_counters(lru)->nr_lru_pages, 0);
	rig_end(rig);
}

/*
 * kswapd that meets nothing but pages under writeback remembers it; when it meets a marked one then, it sleeps until more than 32
 * writes have ended, or a tenth of a second; when the node is balanced it forgets. Nobody waits for it. Would catch: a sleep at
 * the first look, one for ever, a CPU that sleeps in its place, what was learnt kept.
 */
static void kswapd_sleeps_for_writes_it_has_marked(void **state)
{
	(void)state;
	static const struct {
		uint32_t pages;
		uint64_t until_ns;
	} cases[] = {{40, 33 * PASS_NS + LATENCY_NS}, {PAGES, 100000000}};
	for (unsigned i = 0; i < 2; i++) {
		struct lru_rig *rig = make();
		struct page_lru *lru = rig->lru;
		struct lruvec *lists = &lru->nodes[0];
		struct reclaim_result result = {0};
		touch_pages(rig, cases[i].pages);
		/* Writes all; then twice over the pages, which are made active and inactive again meanwhile. */
		for (unsigned pass = 0; pass < 12 && !result.asleep; pass++)
			shrink(rig, true, &result);
		assert_true(lists->writeback);
		assert_true(result.asleep && !result.unfinished);
		assert_int_equal(lists->kswapd_ns, cases[i].until_ns);
		assert_int_equal(lru->counters.kswapd_sleeps, 1);
		assert_int_equal(lru->counters.io_waits, 0);
		assert_true(lru->reclaimer.kswapd_sleeps(lru, 0, 0));
		lru->reclaimer.wait_for_kswapd(lru, 0, 0);
		assert_int_equal(page_lru_now(lru, 0), cases[i].until_ns);
		assert_false(lru->reclaimer.kswapd_sleeps(lru, 0, 0));
		lru->reclaimer.end(lru, 0, true);
		assert_false(lists->writeback || lists->dirty || lists->congested);
		rig_end(rig);
	}
}

/*
 * A queue of 4 is full behind 4 pages: direct reclaim waits for room at each of the others, kswapd finishes the 32 pages it is at
 * and sleeps until the device has taken the last of them. Would catch: a CPU that waits in kswapd's place, kswapd that goes on
 * without room.
 */
static void a_full_queue(void **state)
{
	(void)state;
	for (unsigned kswapd = 0; kswapd < 2; kswapd++) {
		struct lru_rig *rig = make();
		struct page_lru *lru = rig->lru;
		struct reclaim_result result;
		const struct block_device_spec spec = {80000, LATENCY_NS, 2000000000, 4};
		block_device_init(&lru->swap_device, &spec);
		touch_pages(rig, 100);
		shrink(rig, kswapd, &result);
		assert_int_equal(result.unfinished, kswapd);
		assert_int_equal(lru->counters.pswpout > 32, !kswapd);
		assert_int_equal(lru->counters.io_waits > 0, !kswapd);
		/* The 33rd page would be taken when the 29th is done, the seventh of groups of 4 behind each other's latency. */
		if (kswapd) {
			assert_int_equal(lru->counters.pswpout, 32);
			assert_int_equal(lru->nodes[0].kswapd_ns, 7 * (PASS_NS + LATENCY_NS) + 3 * PASS_NS);
		}
		rig_end(rig);
	}
}

/*
 * Direct reclaim that has got nothing down to priority 1 sleeps a jiffy where more than half of what could be had is under
 * writeback, and not where the half or less is. Would catch: a wait where others could be had, none where nothing can.
 */
static void reclaim_without_progress_sleeps_a_jiffy(void **state)
{
	(void)state;
	for (unsigned more = 0; more < 2; more++) {
		struct lru_rig *rig = make();
		struct page_lru *lru = rig->lru;
		struct reclaim_result result;
		touch_pages(rig, PAGES + more);
		shrink(rig, false, &result);
		for (uint32_t page = PAGES + more; page < 2 * PAGES + more; page++)
			assert_true(rig_touch(rig, page, true));
		page_lru_drain(lru, 0);
		assert_int_equal(writeback_pages(lru), PAGES + more);
		lru->reclaimer.no_progress(lru, 0);
		assert_int_equal(page_lru_now(lru, 0), more ? 4000000 : 0);
		assert_int_equal(lru->counters.reclaim_throttled, more);
		rig_end(rig);
	}
}

/*
 * Files: pages that come by a second time under their write, marked at the first, are what a congested node is known by; then
 * direct reclaim sleeps a jiffy behind each pass, until kswapd has balanced the node or has given it up. Would catch: a flag that
 * is set at the first look, or by direct reclaim; reclaim that is not held up by it.
 */
static void a_congested_node(void **state)
{
	(void)state;
	struct lru_rig *rig = make();
	struct page_lru *lru = rig->lru;
	struct lruvec *lists = &lru->nodes[0];
	struct reclaim_result result;
	uint32_t file = page_cache_add_file(lru->cache, 100), frame;
	lru->disk.spec.write_latency_ns = 1000000000;
	for (uint32_t index = 0; index < PAGES; index++) {
		page_cache_fault(lru->cache, 0, file, index, FILE_RANDOM, &frame);
		page_cache_set_dirty(lru->cache, 0, frame);
		page_lru_unpin(lru, 0, frame);
	}
	page_lru_drain(lru, 0);
	page_cache_wake_flusher(lru->cache, 0);
	shrink(rig, true, &result);
	assert_true(lists->writeback && !lists->congested && !result.asleep);
	/* Made active, then aged: the second look is two passes later at most. */
	for (unsigned pass = 0; pass < 2 && !lists->congested; pass++) {
		lists->kswapd_ns = 0;
		shrink(rig, false, &result);
		shrink(rig, true, &result);
	}
	assert_true(lists->congested && result.asleep);
	uint64_t now_ns = page_lru_now(lru, 0), throttled = lru->counters.reclaim_throttled;
	shrink(rig, false, &result);
	assert_int_equal(page_lru_now(lru, 0) - now_ns, 4000000);
	assert_int_equal(lru->counters.reclaim_throttled, throttled + 1);
	const struct reclaim_request given_up = {.end_pfn = FRAMES,
	                                         .priority = 0,
	                                         .to_reclaim = 32,
	                                         .flags = GFP_KERNEL,
	                                         .kswapd_failed = true,
	                                         .result = &result};
	lru->reclaimer.shrink(lru, &given_up);
	assert_int_equal(lru->counters.reclaim_throttled, throttled + 1);
	page_cache_remove_file(lru->cache, 0, file);
	rig_end(rig);
}

/*
 * kswapd of an allocator that is short: it writes in one turn what the queue takes, has its next one 4 calls later, when the
 * device is done, and frees then what it wrote; only when it is through with that it sleeps for good. Would catch: kswapd that is
 * woken for nothing, a pass that is lost, a run that counts twice.
 */
static void kswapd_goes_on_in_a_later_turn(void **state)
{
	(void)state;
	struct lru_rig *rig = make_with(16, 60, 80);
	struct page_lru *lru = rig->lru;
	struct buddy *buddy = rig->bench.buddy;
	const struct block_device_spec spec = {80000, LATENCY_NS, 2000000000, 4};
	block_device_init(&lru->swap_device, &spec);
	buddy->kswapd_delay = 4;
	uint32_t page = 0;
	while (!buddy->nodes[0].balancing.is_under_way) {
		assert_true(rig_touch(rig, page, true));
		rig->entries[page++].accessed = false;
	}
	assert_int_equal(buddy->counters.kswapd_runs, 1);
	assert_int_equal(buddy->counters.allocstall, 0);
	assert_int_equal(lru->counters.io_waits, 0);
	assert_true(lru->counters.pswpout > 0 && lru->reclaimer.kswapd_sleeps(lru, 0, 0));
	assert_true(buddy->nodes[0].kswapd_awake);
	uint64_t written = lru->counters.pswpout;
	/* Until it may go on, its turns are none. */
	for (unsigned call = 0; call < 4; call++)
		assert_true(rig_touch(rig, page++, true));
	assert_int_equal(lru->counters.pswpout, written);
	assert_int_equal(buddy->kswapd_countdown, 4);
	for (unsigned turn = 0; turn < 200 && buddy->nodes[0].kswapd_awake; turn++) {
		lru->reclaimer.wait_for_kswapd(lru, 0, 0);
		page_lru_wait_until(lru, 0, lru->swap_device.last_done_ns);
		buddy->kswapd_countdown = 1;
		assert_true(rig_touch(rig, page++, true));
		rig_check(rig);
	}
	assert_false(buddy->nodes[0].kswapd_awake || buddy->nodes[0].balancing.is_under_way);
	assert_int_equal(buddy->counters.kswapd_runs, 1);
	assert_true(buddy->counters.pgsteal_kswapd > 0 && lru->counters.kswapd_sleeps > 1);
	rig_end(rig);
}

/*
 * A page that is written to again under its write stays dirty, is left by the flusher that comes meanwhile, and is not moved when
 * the write ends; the next flusher writes it. Would catch: what was written meanwhile lost, two writes of a page at once.
 */
static void dirty_again_under_its_write(void **state)
{
	(void)state;
	struct lru_rig *rig = make();
	struct page_lru *lru = rig->lru;
	uint32_t file = page_cache_add_file(lru->cache, 100), frame;
	for (uint32_t index = 0; index < 3; index++) {
		assert_int_equal(page_cache_fault(lru->cache, 0, file, index, FILE_RANDOM, &frame), FILE_FAULT_MAJOR);
		page_cache_set_dirty(lru->cache, 0, frame);
		page_lru_unpin(lru, 0, frame);
	}
	page_lru_drain(lru, 0);
	page_cache_wake_flusher(lru->cache, 0);
	assert_int_equal(lru->disk.counters.writes, 1);
	frame = page_cache_find(lru->cache, file, 1);
	lru->frames[frame].marks |= PG_READAHEAD;
	page_cache_set_dirty(lru->cache, 0, frame);
	assert_false(page_has(lru, frame, PG_READAHEAD));
	page_cache_wake_flusher(lru->cache, 0);
	assert_int_equal(lru->counters.pgpgout, 3);
	/* Reclaim marks it again, and a fault that finds that mark reads nothing ahead for it. */
	lru->frames[frame].marks |= PG_READAHEAD;
	uint32_t found;
	uint64_t read = lru->counters.pgpgin;
	assert_int_equal(page_cache_fault(lru->cache, 0, file, 1, FILE_NORMAL, &found), FILE_FAULT_AGAIN);
	page_lru_unpin(lru, 0, found);
	assert_int_equal(lru->counters.pgpgin, read);
	assert_true(page_has(lru, frame, PG_READAHEAD));
	page_lru_wait_until(lru, 0, lru->disk.last_done_ns);
	page_lru_drain(lru, 0);
	assert_int_equal(lru->counters.pgrotated, 0);
	assert_true(page_has(lru, frame, PG_DIRTY) && !page_has(lru, frame, PG_WRITEBACK));
	page_cache_wake_flusher(lru->cache, 0);
	assert_int_equal(lru->counters.pgpgout, 4);
	/* A file that goes waits for its writes. */
	uint64_t done_ns = lru->disk.last_done_ns;
	page_cache_remove_file(lru->cache, 0, file);
	assert_int_equal(page_lru_now(lru, 0), done_ns);
	rig_end(rig);
}

/*
 * A device that answers while the caller waits: the page is free at once, and its write has been waited for. Would catch: such a
 * page under writeback, a write without its time.
 */
static void a_synchronous_device(void **state)
{
	(void)state;
	struct lru_rig *rig = make();
	struct page_lru *lru = rig->lru;
	struct reclaim_result result;
	lru->spec.swap_synchronous = true;
	touch_pages(rig, PAGES);
	assert_int_equal(shrink(rig, false, &result), PAGES);
	assert_int_equal(page_lru_now(lru, 0), PAGES * (PASS_NS + LATENCY_NS));
	assert_int_equal(lru->counters.nr_written, PAGES);
	rig_end(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(pages_come_free_when_they_are_written),
	        cmocka_unit_test(what_ends_while_it_is_isolated_is_not_moved),
	        cmocka_unit_test(wanted_again_under_its_write),
	        cmocka_unit_test(left_under_its_write),
	        cmocka_unit_test(kswapd_sleeps_for_writes_it_has_marked),
	        cmocka_unit_test(a_full_queue),
	        cmocka_unit_test(reclaim_without_progress_sleeps_a_jiffy),
	        cmocka_unit_test(a_congested_node),
	        cmocka_unit_test(kswapd_goes_on_in_a_later_turn),
	        cmocka_unit_test(dirty_again_under_its_write),
	        cmocka_unit_test(a_synchronous_device),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
