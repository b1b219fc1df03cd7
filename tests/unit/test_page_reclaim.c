/* SPDX-License-Identifier: MIT
 *
 * test_page_reclaim.c - a program larger than memory, against what is known of LRU in closed form, and the kernel's rules of
 * reclaim worked out by hand (mm/vmscan.c, mm/workingset.c of Linux 6.1).
 */
#include "tests/unit/lru_rig.h"

#include "sim/rng.h"

#define FRAMES 2048u
#define MIN 32u
#define LOW 40u
#define HIGH 48u
#define SLOTS (8192u + 1)

static struct lru_rig *make(void)
{
	struct lru_rig *rig = rig_make(FRAMES, MIN, LOW, HIGH, SLOTS);
	rig->lru->spec.page_cluster = 0;
	return rig;
}

static void rounds(struct lru_rig *rig, uint32_t pages, unsigned count)
{
	for (unsigned round = 0; round < count; round++)
		for (uint32_t page = 0; page < pages; page++)
			assert_true(rig_touch(rig, page, true));
}

/* Would catch: pages that are reclaimed although there is room, slots taken for nothing. */
static void what_fits_never_faults_again(void **state)
{
	(void)state;
	struct lru_rig *rig = make();
	uint32_t pages = FRAMES - 128;
	rounds(rig, pages, 5);
	assert_int_equal(rig->faults, pages);
	assert_int_equal(page_lru_counters(rig->lru)->pswpout, 0);
	assert_int_equal(rig->lru->swap.in_use, 0);
	rig_check(rig);
	rig_end(rig);
}

/*
 * In turn over more than memory holds, LRU always evicts what is wanted next: every access faults, however little is too
 * much. So it is with the two lists here: no page is used between two looks at it, so none is spared, and what comes back comes
 * back later than the pages in memory. Would catch: victims that are the youngest pages, a list whose ends are exchanged.
 */
static void in_turn_over_more_than_memory(void **state)
{
	(void)state;
	struct lru_rig *rig = make();
	uint32_t pages = FRAMES * 3 / 2;
	rounds(rig, pages, 2);
	uint64_t before = rig->faults;
	rounds(rig, pages, 8);
	double share = (double)(rig->faults - before) / (8.0 * pages);
	rig_check(rig);
	/* The best there could be, keeping a fixed part, is 1 - memory / working set: 0.33. */
	assert_true(share > 0.99 && share <= 1.0);
	rig_end(rig);
}

/*
 * Of accesses that are equally likely everywhere the share that hits is memory / working set, whoever is evicted. Memory is what
 * the allocator lets the program have: all but what stays free. Would catch: pages that leave memory without need, or are
 * kept twice.
 */
static void uniform_accesses_hit_as_often_as_memory_is_large(void **state)
{
	(void)state;
	const uint32_t ratio_percent[] = {125, 150, 200, 300};
	for (unsigned nr = 0; nr < 4; nr++) {
		struct lru_rig *rig = make();
		struct rng rng;
		uint32_t pages = FRAMES * ratio_percent[nr] / 100;
		uint64_t accesses = 40000, mapped = 0, before = 0;
		rng_init(&rng, 1, "uniform");
		rounds(rig, pages, 1);
		for (unsigned access = 0; access < 2 * accesses; access++) {
			if (access == accesses)
				before = rig->faults;
			assert_true(rig_touch(rig, rng_below(&rng, pages), rng_below(&rng, 2)));
			if (access >= accesses)
				mapped += rig->mapped;
		}
		double hits = 1.0 - (double)(rig->faults - before) / (double)accesses;
		double expected = (double)mapped / (double)accesses / pages;
		/* Three standard deviations of so many draws. */
		assert_true(hits > expected - 0.0075 && hits < expected + 0.0075);
		/*
		 * Most of memory is the program's. Beside what is free there are pages that are being written, that wait to be
		 * looked at again, and, most with all pages dirty, those whose write ended while they were isolated.
		 */
		assert_true((double)mapped / (double)accesses > FRAMES * 0.85);
		rig_check(rig);
		rig_end(rig);
	}
}

/* Would catch: a page written although the slot still has its contents; one not written although it was changed. */
static void only_what_changed_is_written(void **state)
{
	(void)state;
	struct lru_rig *rig = make();
	uint32_t pages = FRAMES * 3 / 2;
	rounds(rig, pages, 1);
	for (unsigned round = 0; round < 3; round++)
		for (uint32_t page = 0; page < pages; page++)
			assert_true(rig_touch(rig, page, false));
	uint64_t written = rig->lru->counters.pswpout;
	/* Read only, each page goes out once, and at most half of the slots are in use: none is given up. */
	assert_true(written <= pages);
	for (uint32_t page = 0; page < pages; page++)
		assert_true(rig_touch(rig, page, true));
	for (uint32_t page = 0; page < pages; page++)
		assert_true(rig_touch(rig, page, false));
	assert_true(rig->lru->counters.pswpout >= written + pages - FRAMES);
	/* Back by a load, and written to without a fault: only the entry tells, and the slot has the old contents. */
	for (uint32_t page = 0; page < 2 * pages; page++)
		assert_true(rig_touch(rig, page % pages, false));
	written = rig->lru->counters.pswpout;
	for (uint32_t page = 0; page < pages; page++)
		assert_true(rig_touch(rig, page, false) && rig_touch(rig, page, true));
	for (uint32_t page = 0; page < pages; page++)
		assert_true(rig_touch(rig, page, false));
	assert_true(rig->lru->counters.pswpout >= written + pages - FRAMES);
	rig_check(rig);
	rig_end(rig);
}

/* Would catch: a loop without an end, slots lost, a failed allocation that is not told. */
static void without_room_on_the_device_memory_ends(void **state)
{
	(void)state;
	struct lru_rig *rig = rig_make(FRAMES, MIN, LOW, HIGH, 301);
	uint32_t page = 0;
	while (page < RIG_PAGES && rig_touch(rig, page, true))
		page++;
	assert_in_range(page, FRAMES + 300 - HIGH - 2 * PAGEVEC_SIZE - SWAP_STORE_SLOTS, FRAMES + 300);
	rig_check(rig);
	rig_end(rig);
	rig = rig_make(FRAMES, MIN, LOW, HIGH, 0);
	page = 0;
	while (page < RIG_PAGES && rig_touch(rig, page, true))
		page++;
	assert_in_range(page, FRAMES - HIGH, FRAMES);
	assert_int_equal(rig->lru->counters.pswpout, 0);
	rig_end(rig);
}

/*
 * A page used between two looks is spared once, and is active when it was used before the second as well. One that was not used
 * is written at the second look, and gone at the third, when the device has it.
 */
static void second_chance(void **state)
{
	(void)state;
	struct lru_rig *rig = make();
	struct reclaim_result result = {0};
	struct reclaim_request request = {.end_pfn = FRAMES,
	                                  .priority = 0,
	                                  .to_reclaim = 32,
	                                  .flags = GFP_KERNEL,
	                                  .may_swap = true,
	                                  .may_writepage = true,
	                                  .result = &result};
	for (uint32_t page = 0; page < 30; page++)
		rig_touch(rig, page, true);
	page_lru_drain(rig->lru, 0);
	/* All came in by a fault and are young still: every one is spared. */
	rig->lru->reclaimer.shrink(rig->lru, &request);
	assert_int_equal(result.reclaimed, 0);
	assert_int_equal(result.scanned, 30);
	/* Used again: active. Not used: on their way. */
	for (uint32_t page = 0; page < 10; page++)
		rig_touch(rig, page, false);
	rig->lru->reclaimer.shrink(rig->lru, &request);
	assert_int_equal(result.reclaimed, 0);
	assert_int_equal(rig->lru->counters.pgactivate, 10);
	for (uint32_t page = 0; page < 30; page++)
		assert_int_equal(rig->entries[page].frame != PAGE_NONE, page < 10);
	assert_int_equal(rig->flushes, 2);
	page_lru_wait_until(rig->lru, 0, rig->lru->swap_device.last_done_ns);
	rig->entries[0].accessed = rig->entries[5].accessed = true;
	rig->lru->reclaimer.shrink(rig->lru, &request);
	assert_int_equal(result.reclaimed, 20);
	/* With as many inactive as none the active list was aged at once: 10 * 1 > 0. */
	assert_int_equal(rig->lru->nodes[0].pages[LRU_INACTIVE_ANON], 10);
	assert_int_equal(rig->lru->counters.pgdeactivate, 10);
	rig_check(rig);
	rig_end(rig);
}

/*
 * Pages of files in executable memory: one use makes them active, and on the active list one use keeps them there; of other
 * memory it takes two, and on the active list none counts. Would catch: code that leaves as soon as data.
 */
static void code_stays_longer(void **state)
{
	(void)state;
	for (unsigned executable = 0; executable < 2; executable++) {
		struct lru_rig *rig = make();
		struct reclaim_result result = {0};
		struct reclaim_request request = {.end_pfn = FRAMES,
		                                  .priority = 0,
		                                  .to_reclaim = 32,
		                                  .flags = GFP_KERNEL,
		                                  .force_deactivate = true,
		                                  .result = &result};
		uint32_t file = page_cache_add_file(rig->lru->cache, 20), frame;
		rig->executable = executable;
		for (uint32_t index = 0; index < 20; index++) {
			page_cache_fault(rig->lru->cache, 0, file, index, FILE_RANDOM, &frame);
			rig_map(rig, index, frame, false);
			page_lru_unpin(rig->lru, 0, frame);
		}
		page_lru_drain(rig->lru, 0);
		rig->lru->reclaimer.shrink(rig->lru, &request);
		assert_int_equal(rig->lru->counters.pgactivate, executable ? 20 : 0);
		assert_int_equal(result.reclaimed, 0);
		/* Now all are made active, and half of them are used again. */
		for (uint32_t index = 0; index < 20; index++) {
			uint32_t at = rig->entries[index].frame;
			rig->entries[index].accessed = index < 10;
			page_lru_mark_accessed(rig->lru, 0, at);
			page_lru_mark_accessed(rig->lru, 0, at);
		}
		page_lru_drain(rig->lru, 0);
		assert_int_equal(rig->lru->nodes[0].pages[LRU_ACTIVE_FILE], 20);
		uint64_t deactivated = rig->lru->counters.pgdeactivate;
		rig->lru->reclaimer.shrink(rig->lru, &request);
		assert_int_equal(rig->lru->counters.pgdeactivate - deactivated, executable ? 10 : 20);
		assert_int_equal(rig->lru->nodes[0].pages[LRU_ACTIVE_FILE], executable ? 10 : 0);
		rig_check(rig);
		for (uint32_t index = 0; index < 20; index++)
			if (rig->entries[index].frame != PAGE_NONE)
				rig_unmap(rig, rig->entries[index].frame, SWAP_SLOT_NONE, 0);
		page_cache_remove_file(rig->lru->cache, 0, file);
		rig_end(rig);
	}
}

/* Whether a pass ages the active list of files, where the lists are so long. */
static bool ages_active_files(uint64_t inactive, uint64_t active)
{
	struct lru_rig *rig = make();
	struct lruvec *lists = &rig->lru->nodes[0];
	struct reclaim_result result = {0};
	struct reclaim_request request = {
	        .end_pfn = FRAMES, .priority = 0, .to_reclaim = 32, .flags = GFP_KERNEL, .result = &result};
	uint32_t file = page_cache_add_file(rig->lru->cache, 64), frame;
	for (uint32_t index = 0; index < 64; index++) {
		assert_int_equal(page_cache_fault(rig->lru->cache, 0, file, index, FILE_RANDOM, &frame), FILE_FAULT_MAJOR);
		page_lru_mark_accessed(rig->lru, 0, frame);
		page_lru_mark_accessed(rig->lru, 0, frame);
		page_lru_unpin(rig->lru, 0, frame);
	}
	page_lru_drain(rig->lru, 0);
	uint64_t more_inactive = inactive - lists->pages[LRU_INACTIVE_FILE], more_active = active - lists->pages[LRU_ACTIVE_FILE];
	lists->pages[LRU_INACTIVE_FILE] += more_inactive;
	lists->pages[LRU_ACTIVE_FILE] += more_active;
	rig->lru->reclaimer.shrink(rig->lru, &request);
	lists->pages[LRU_INACTIVE_FILE] -= more_inactive;
	lists->pages[LRU_ACTIVE_FILE] -= more_active;
	assert_true(result.skipped_deactivate == !rig->lru->counters.pgrefill);
	rig_check(rig);
	page_cache_remove_file(rig->lru->cache, 0, file);
	rig_end(rig);
	return !result.skipped_deactivate;
}

/*
 * The table above inactive_is_low() in mm/vmscan.c: 1:1 below a gigabyte, then 3:1, 10:1 from 10 GiB and 31:1 from 100 GiB on.
 * Would catch: another ratio, one that does not grow with memory.
 */
static void share_of_the_inactive_list(void **state)
{
	(void)state;
	const uint64_t gigabyte = (1ull << 30) / PAGE_SIZE;
	assert_false(ages_active_files(1000, 1000));
	assert_true(ages_active_files(1000, 1001));
	assert_false(ages_active_files(gigabyte / 4, gigabyte * 3 / 4));
	assert_true(ages_active_files(gigabyte / 4, gigabyte * 3 / 4 + 1));
	assert_false(ages_active_files(gigabyte, 10 * gigabyte - gigabyte / 4));
	assert_true(ages_active_files(gigabyte, 10 * gigabyte + 1));
	assert_false(ages_active_files(4 * gigabyte, 4 * 31 * gigabyte * 3 / 4));
	assert_false(ages_active_files(100 * gigabyte / 32 + 1, 31 * (100 * gigabyte / 32 + 1)));
	assert_true(ages_active_files(100 * gigabyte / 32 + 1, 31 * (100 * gigabyte / 32 + 1) + 1));
}

/*
 * get_scan_count() by hand, swappiness 60, half of 400 pages of each kind: 60 : 140 without costs; with costs of 300 and 100 it
 * is 60 * 1201 / 701 = 102 to 140 * 1201 / 501 = 335. What is written out is a cost, and all costs are halved above a quarter of
 * the lists. Where no evicted page of a file came back and many are inactive, files are taken alone. Would catch: shares
 * exchanged, costs that are not noted or never forgotten, anonymous memory taken although files would do, or the other way round.
 */
static void shares_of_memory_and_files(void **state)
{
	(void)state;
	const struct {
		uint64_t anon_cost, file_cost, came_back, scanned_anon, scanned_file;
	} cases[] = {{0, 0, 1, 60, 140}, {300, 100, 1, 200 * 102 / 437, 200 * 335 / 437}, {0, 0, 0, 0, 200}};
	for (unsigned nr = 0; nr < 3; nr++) {
		struct lru_rig *rig = make();
		struct lruvec *lists = &rig->lru->nodes[0];
		struct reclaim_result result = {0};
		struct reclaim_request request = {.end_pfn = FRAMES,
		                                  .priority = 1,
		                                  .to_reclaim = UINT64_MAX,
		                                  .flags = GFP_KERNEL,
		                                  .may_swap = true,
		                                  .may_writepage = true,
		                                  .result = &result};
		uint32_t file = page_cache_add_file(rig->lru->cache, 400), frame;
		for (uint32_t page = 0; page < 400; page++) {
			rig_touch(rig, page, true);
			rig->entries[page].accessed = false;
			page_cache_fault(rig->lru->cache, 0, file, page, FILE_RANDOM, &frame);
			page_lru_unpin(rig->lru, 0, frame);
		}
		page_lru_drain(rig->lru, 0);
		lists->anon_cost = cases[nr].anon_cost;
		lists->file_cost = cases[nr].file_cost;
		lists->activated[PAGE_FILE] = cases[nr].came_back; /* since the last reclaim */
		rig->lru->reclaimer.shrink(rig->lru, &request);
		lists->activated[PAGE_FILE] = 0;
		assert_int_equal(rig->lru->counters.pgscan_anon, cases[nr].scanned_anon);
		assert_int_equal(rig->lru->counters.pgscan_file, cases[nr].scanned_file);
		if (nr == 0) {
			assert_int_equal(rig->lru->counters.pswpout, 60);
			assert_int_equal(lists->anon_cost, 60);
			/* 260 pages' cost, 600 pages on the lists. */
			lru_note_cost(rig->lru, 0, PAGE_FILE, 200);
			assert_int_equal(lists->anon_cost, 30);
			assert_int_equal(lists->file_cost, 100);
		}
		rig_check(rig);
		page_cache_remove_file(rig->lru->cache, 0, file);
		rig_end(rig);
	}
}

/* Would catch: a distance taken from the wrong end, a size that leaves a list out, a refault that is not counted. */
static void refault_distance(void **state)
{
	(void)state;
	struct lru_rig *rig = make();
	struct lruvec *lists = &rig->lru->nodes[0];
	unsigned marks = 0;
	lists->nonresident_age = 1000;
	lists->pages[LRU_ACTIVE_ANON] = 70;
	lists->pages[LRU_ACTIVE_FILE] = 20;
	lists->pages[LRU_INACTIVE_FILE] = 10;
	lists->pages[LRU_INACTIVE_ANON] = 500;
	/* Anonymous: against active anonymous pages and all of files. */
	lru_refault(rig->lru, 5, &marks, shadow_pack(899, 0, false));
	assert_int_equal(marks, 0);
	lru_refault(rig->lru, 5, &marks, shadow_pack(900, 0, false));
	assert_int_equal(marks, PG_ACTIVE);
	assert_int_equal(lists->nonresident_age, 1001);
	/* Of a file: against all but its own inactive list. */
	marks = PG_FILE;
	lru_refault(rig->lru, 5, &marks, shadow_pack(1001 - 591, 0, true));
	assert_int_equal(marks, PG_FILE);
	lru_refault(rig->lru, 5, &marks, shadow_pack(1001 - 590, 0, true));
	assert_int_equal(marks, PG_FILE | PG_ACTIVE | PG_WORKINGSET);
	assert_int_equal(lists->file_cost, 1);
	lru_refault(rig->lru, 5, &marks, SHADOW_NONE);
	assert_int_equal(rig->lru->counters.workingset_refault_anon, 2);
	assert_int_equal(rig->lru->counters.workingset_refault_file, 2);
	assert_int_equal(rig->lru->counters.workingset_activate_anon, 1);
	assert_int_equal(rig->lru->counters.workingset_restore_file, 1);
	/* An eviction is an event, too, and its shadow tells when it was. */
	uint64_t age = lists->nonresident_age;
	rig->lru->frames[5].marks = PG_WORKINGSET;
	page_shadow shadow = lru_evict(rig->lru, 5);
	rig->lru->frames[5].marks = 0;
	assert_int_equal(shadow_age(shadow), age);
	assert_true(shadow_workingset(shadow));
	assert_int_equal(lists->nonresident_age, age + 1);
	/* Of another node's lists: they age and are active again, the cost is where the page is now. */
	struct lruvec *other = &rig->lru->nodes[1];
	marks = PG_FILE;
	other->nonresident_age = 500;
	lru_refault(rig->lru, 5, &marks, shadow_pack(500, 1, true));
	assert_int_equal(other->nonresident_age, 501);
	assert_int_equal(other->activated[PAGE_FILE], 1);
	assert_int_equal(lists->nonresident_age, age + 1);
	assert_int_equal(lists->file_cost, 2);
	assert_int_equal(other->file_cost, 0);
	for (unsigned list = 0; list < LRU_LISTS; list++)
		lists->pages[list] = 0;
	rig_end(rig);
}

/* Would catch: a batch of another size, a mark that is forgotten, a page that is active after one use. */
static void batches_and_marks(void **state)
{
	(void)state;
	struct lru_rig *rig = make();
	struct page_lru *lru = rig->lru;
	for (uint32_t page = 0; page < PAGEVEC_SIZE - 1; page++)
		rig_touch(rig, page, true);
	assert_int_equal(lru->nodes[0].pages[LRU_INACTIVE_ANON], 0);
	/* In the batch: active on the second use, and comes to its list with it. */
	uint32_t waiting = rig->entries[3].frame;
	page_lru_mark_accessed(lru, 0, waiting);
	page_lru_mark_accessed(lru, 0, waiting);
	rig_touch(rig, PAGEVEC_SIZE - 1, true);
	assert_int_equal(lru->nodes[0].pages[LRU_INACTIVE_ANON], PAGEVEC_SIZE - 1);
	assert_int_equal(lru->nodes[0].pages[LRU_ACTIVE_ANON], 1);
	/* On a list: by way of the other batch. */
	uint32_t listed = rig->entries[4].frame;
	page_lru_mark_accessed(lru, 0, listed);
	assert_true(page_has(lru, listed, PG_REFERENCED));
	page_lru_mark_accessed(lru, 0, listed);
	assert_false(page_has(lru, listed, PG_ACTIVE));
	page_lru_drain(lru, 0);
	assert_true(page_has(lru, listed, PG_ACTIVE));
	assert_false(page_has(lru, listed, PG_REFERENCED));
	assert_int_equal(lru->nodes[0].nonresident_age, 2);
	rig_check(rig);
	rig_end(rig);
}

/*
 * Accesses in turn: the window doubles from what hits say up to 2^page_cluster, so of eight pages one is waited for, and the
 * others were read with it. Would catch: a window that stays small, one that reads behind, hits that are not counted.
 */
static void read_ahead_in_turn(void **state)
{
	(void)state;
	struct lru_rig *rig = rig_make(FRAMES, MIN, LOW, HIGH, SLOTS);
	uint32_t pages = FRAMES * 3 / 2;
	rounds(rig, pages, 3);
	uint64_t major = rig->major, in = rig->lru->counters.pswpin, ahead = rig->lru->counters.swap_ra;
	rounds(rig, pages, 1);
	major = rig->major - major;
	in = rig->lru->counters.pswpin - in;
	ahead = rig->lru->counters.swap_ra - ahead;
	assert_int_equal(in, major + ahead);
	assert_true(major * 7 <= in && major * 8 >= in);
	rig_check(rig);
	rig_end(rig);
}

/* Who waits for a page waits as long as the device says. Would catch: a wait that is not counted, or counted twice. */
static void waiting_is_time_of_the_device(void **state)
{
	(void)state;
	struct lru_rig *rig = make();
	uint32_t pages = FRAMES * 3 / 2;
	rounds(rig, pages, 1);
	page_lru_op(rig->lru, 0, 1000000000);
	uint64_t waited = rig->lru->counters.io_wait_ns;
	uint32_t swapped = 0;
	while (rig->entries[swapped].frame != PAGE_NONE ||
	       swap_cache_find(&rig->lru->swap, rig->entries[swapped].slot) != SWAP_FRAME_NONE)
		swapped++;
	assert_true(rig_touch(rig, swapped, false));
	/* 80 us, and 4096 bytes at 2 GB/s; what is written to make room stands behind the read or before it, up to 2 * 32 pages.
	 */
	waited = rig->lru->counters.io_wait_ns - waited;
	assert_in_range(waited, 80000 + 2048, 80000 + 2048 * (1 + 2 * SWAP_CLUSTER_MAX));
	/* The clock is the op's, what it waited, and the work of what was written. */
	assert_int_equal(page_lru_now(rig->lru, 0),
	                 1000000000 + rig->lru->counters.io_wait_ns + rig->lru->spec.pageout_ns * rig->lru->counters.pswpout);
	rig_end(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(what_fits_never_faults_again),
	        cmocka_unit_test(in_turn_over_more_than_memory),
	        cmocka_unit_test(uniform_accesses_hit_as_often_as_memory_is_large),
	        cmocka_unit_test(only_what_changed_is_written),
	        cmocka_unit_test(without_room_on_the_device_memory_ends),
	        cmocka_unit_test(second_chance),
	        cmocka_unit_test(code_stays_longer),
	        cmocka_unit_test(share_of_the_inactive_list),
	        cmocka_unit_test(shares_of_memory_and_files),
	        cmocka_unit_test(refault_distance),
	        cmocka_unit_test(batches_and_marks),
	        cmocka_unit_test(read_ahead_in_turn),
	        cmocka_unit_test(waiting_is_time_of_the_device),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
