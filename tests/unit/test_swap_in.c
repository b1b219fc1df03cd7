/* SPDX-License-Identifier: MIT
 *
 * test_swap_in.c - which pages come back from the swap device with a fault, and what becomes of the slot, against
 * mm/swap_state.c and do_swap_page() of Linux 6.1 worked out by hand.
 */
#include "tests/unit/lru_rig.h"

#define FRAMES 2048u
#define PAGES 1200u

/* All pages of the program are on the device alone. */
static struct lru_rig *swapped_out(void)
{
	struct lru_rig *rig = rig_make(FRAMES, 32, 40, 48, 8193);
	struct reclaim_result result = {0};
	const struct reclaim_request request = {.end_pfn = FRAMES,
	                                        .priority = 0,
	                                        .to_reclaim = UINT64_MAX,
	                                        .flags = GFP_KERNEL,
	                                        .may_swap = true,
	                                        .may_writepage = true,
	                                        .result = &result};
	for (uint32_t page = 0; page < PAGES; page++) {
		assert_true(rig_touch(rig, page, true));
		rig->entries[page].accessed = false;
	}
	page_lru_drain(rig->lru, 0);
	for (unsigned pass = 0; (rig->mapped || rig->lru->swap.cached) && pass < 8; pass++) {
		rig->lru->reclaimer.shrink(rig->lru, &request);
		page_lru_wait_until(rig->lru, 0, rig->lru->swap_device.last_done_ns);
	}
	assert_int_equal(rig->swapped, PAGES);
	assert_int_equal(rig->lru->swap.cached, 0);
	return rig;
}

static bool is_in_memory(const struct lru_rig *rig, uint32_t page)
{
	return rig->entries[page].frame != PAGE_NONE ||
	       swap_cache_find(&rig->lru->swap, rig->entries[page].slot) != SWAP_FRAME_NONE;
}

/* A load of the page reads those of [first, end) that were not in memory, and no others. */
static void assert_reads(struct lru_rig *rig, uint32_t page, uint32_t first, uint32_t end)
{
	static bool before[PAGES];
	for (uint32_t other = 0; other < PAGES; other++)
		before[other] = is_in_memory(rig, other);
	assert_true(rig_touch(rig, page, false));
	for (uint32_t other = 0; other < PAGES; other++)
		if (is_in_memory(rig, other) != (before[other] || (other >= first && other < end)))
			fail_msg("page %u after a fault at %u", other, page);
}

/*
 * Nothing that was read ahead is used: the window halves from the 8 pages of the first fault (4 hits to begin with, and 2: 6,
 * rounded up to 8) to 1, around faults that are no neighbours. Would catch: a window that ends at once, or never; one that does
 * not lie around its fault.
 */
static void the_window_halves_without_hits(void **state)
{
	(void)state;
	struct lru_rig *rig = swapped_out();
	assert_reads(rig, 300, 297, 305);
	assert_reads(rig, 200, 199, 203);
	assert_reads(rig, 100, 100, 102);
	assert_reads(rig, 400, 400, 401);
	assert_reads(rig, 50, 50, 51);
	assert_int_equal(rig->lru->counters.swap_ra, 7 + 3 + 1);
	rig_check(rig);
	rig_end(rig);
}

/*
 * Faults that go downward: a neighbour below the last fault has a window of 2 that ends with it; each hit makes it larger: 1 hit
 * and 2 are 4, 3 hits and 2 are 8. Would catch: a window above the fault, where the pages are in memory already, hits that
 * are not counted downward.
 */
static void downward_the_window_lies_below(void **state)
{
	(void)state;
	struct lru_rig *rig = swapped_out();
	rig->read_ahead = (struct swap_read_ahead){.page = 251, .window = 1, .is_set = true};
	assert_reads(rig, 250, 249, 251);
	assert_reads(rig, 249, 249, 250);
	assert_reads(rig, 248, 245, 249);
	for (uint32_t page = 247; page >= 245; page--)
		assert_reads(rig, page, page, page + 1);
	assert_reads(rig, 244, 237, 245);
	assert_int_equal(rig->major, 3);
	assert_int_equal(rig->lru->counters.swap_ra, 1 + 3 + 7);
	assert_int_equal(rig->lru->counters.swap_ra_hit, 1 + 3);
	rig_check(rig);
	rig_end(rig);
}

/* The window ends with the page table of the fault, and with its area. Would catch: reads beyond either. */
static void the_window_ends_with_the_table(void **state)
{
	(void)state;
	struct lru_rig *rig = swapped_out();
	rig->read_ahead = (struct swap_read_ahead){.page = 515, .window = 8, .hits = 7, .is_set = true};
	assert_reads(rig, 514, 512, 515);
	rig->read_ahead = (struct swap_read_ahead){.page = 1020, .window = 8, .hits = 7, .is_set = true};
	assert_reads(rig, 1021, 1021, 1024);
	rig->read_ahead = (struct swap_read_ahead){.page = 3, .window = 8, .hits = 7, .is_set = true};
	assert_reads(rig, 2, 0, 3);
	rig_end(rig);
}

/*
 * should_try_to_free_swap(): a page that is written by its only user gives its slot up, and is dirty; one that is read keeps it,
 * and one that another entry names as well. Would catch: a slot that is kept for contents that are old, one given up although
 * its contents are wanted.
 */
static void a_page_written_alone_gives_its_slot_up(void **state)
{
	(void)state;
	struct lru_rig *rig = swapped_out();
	struct page_lru *lru = rig->lru;
	lru->spec.page_cluster = 0;
	uint32_t written = rig->entries[0].slot, read = rig->entries[1].slot, shared = rig->entries[2].slot;
	page_swap_duplicate(lru, shared);
	rig->swapped++;
	assert_true(rig_touch(rig, 0, true) && rig_touch(rig, 1, false) && rig_touch(rig, 2, true));
	assert_false(page_has(lru, rig->entries[0].frame, PG_SWAPCACHE));
	assert_true(page_has(lru, rig->entries[0].frame, PG_DIRTY));
	assert_int_equal(swap_cache_find(&lru->swap, written), SWAP_FRAME_NONE);
	assert_true(page_has(lru, rig->entries[1].frame, PG_SWAPCACHE));
	assert_false(page_has(lru, rig->entries[1].frame, PG_DIRTY));
	assert_int_equal(swap_cache_find(&lru->swap, read), rig->entries[1].frame);
	assert_int_equal(swap_cache_find(&lru->swap, shared), rig->entries[2].frame);
	assert_int_equal(swap_entries(&lru->swap, shared), 1);
	rig_check(rig);
	page_swap_entry_gone(lru, 0, shared);
	rig->swapped--;
	rig_end(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(the_window_halves_without_hits),
	        cmocka_unit_test(downward_the_window_lies_below),
	        cmocka_unit_test(the_window_ends_with_the_table),
	        cmocka_unit_test(a_page_written_alone_gives_its_slot_up),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
