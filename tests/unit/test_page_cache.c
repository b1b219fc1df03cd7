/* SPDX-License-Identifier: MIT
 *
 * test_page_cache.c - pages of files: what is read ahead, what is written and when, what leaves, against mm/readahead.c,
 * mm/filemap.c and mm/page-writeback.c of Linux 6.1 worked out by hand.
 */
#include "tests/unit/lru_rig.h"

#define FRAMES 4096u

struct file_rig {
	struct lru_rig *rig;
	struct page_cache *cache;
	uint32_t file;
};

static struct file_rig make(uint32_t pages)
{
	struct file_rig rig = {.rig = rig_make(FRAMES, 32, 40, 48, 0)};
	rig.cache = rig.rig->lru->cache;
	rig.file = page_cache_add_file(rig.cache, pages);
	return rig;
}

static enum file_fault_result fault(struct file_rig *rig, uint32_t index, enum file_advice advice)
{
	uint32_t frame;
	enum file_fault_result result = page_cache_fault(rig->cache, 0, rig->file, index, advice, &frame);
	if (result <= FILE_FAULT_MAJOR)
		page_lru_unpin(rig->rig->lru, 0, frame);
	page_lru_check(rig->rig->lru);
	return result;
}

static void assert_cached(const struct file_rig *rig, uint32_t first, uint32_t end)
{
	for (uint32_t index = first; index < end; index++)
		assert_int_not_equal(page_cache_find(rig->cache, rig->file, index), PAGE_NONE);
}

static void end(struct file_rig *rig)
{
	struct lru_rig *below = rig->rig;
	page_cache_remove_file(rig->cache, 0, rig->file);
	rig_end(below);
}

/* 32 pages around the fault; behind the mark, a quarter before their end, the next window is read. Would catch: a window that
 * begins at the fault, a mark at another page, a page that is read twice. */
static void around_a_fault(void **state)
{
	(void)state;
	struct file_rig rig = make(4000);
	assert_int_equal(fault(&rig, 1000, FILE_NORMAL), FILE_FAULT_MAJOR);
	assert_int_equal(rig.rig->lru->counters.pgpgin, 32);
	assert_cached(&rig, 984, 1016);
	/* One request of 32 pages: 100 us, and 131,072 ns of data. */
	assert_int_equal(rig.rig->lru->counters.io_wait_ns, 100000 + 131072);
	assert_true(page_has(rig.rig->lru, page_cache_find(rig.cache, rig.file, 984 + 24), PG_READAHEAD));
	assert_int_equal(fault(&rig, 1007, FILE_NORMAL), FILE_FAULT_MINOR);
	assert_int_equal(rig.rig->lru->counters.pgpgin, 32);
	assert_int_equal(fault(&rig, 1008, FILE_NORMAL), FILE_FAULT_AGAIN);
	assert_int_equal(rig.rig->lru->counters.pgpgin, 64);
	assert_cached(&rig, 984, 1048);
	end(&rig);
}

/* At both ends of the file. Would catch: reads beyond it. */
static void ends_of_the_file(void **state)
{
	(void)state;
	struct file_rig rig = make(50);
	assert_int_equal(fault(&rig, 3, FILE_NORMAL), FILE_FAULT_MAJOR);
	assert_int_equal(rig.rig->lru->counters.pgpgin, 32);
	assert_cached(&rig, 0, 32);
	assert_int_equal(fault(&rig, 49, FILE_NORMAL), FILE_FAULT_MAJOR);
	/* From 16 before it to the end: page 32 is in neither window. */
	assert_int_equal(rig.rig->lru->counters.pgpgin, 49);
	assert_int_equal(fault(&rig, 50, FILE_NORMAL), FILE_FAULT_BEYOND_END);
	end(&rig);
}

/* madvise(): page by page, or in windows from the first page on. */
static void advice(void **state)
{
	(void)state;
	struct file_rig rig = make(4000);
	assert_int_equal(fault(&rig, 1000, FILE_RANDOM), FILE_FAULT_MAJOR);
	assert_int_equal(rig.rig->lru->counters.pgpgin, 1);
	end(&rig);
	rig = make(4000);
	/* Of a whole window's request the mark would be its first page: half of the window is behind the mark instead. */
	assert_int_equal(fault(&rig, 0, FILE_SEQUENTIAL), FILE_FAULT_MAJOR);
	assert_int_equal(rig.rig->lru->counters.pgpgin, 32);
	unsigned major = 0;
	for (uint32_t index = 1; index < 640; index++)
		major += fault(&rig, index, FILE_SEQUENTIAL) == FILE_FAULT_MAJOR;
	assert_int_equal(major, 0);
	assert_int_equal(rig.rig->lru->counters.pgpgin % 32, 0);
	assert_in_range(rig.rig->lru->counters.pgpgin, 640, 640 + 64);
	end(&rig);
}

/* After 100 misses more than hits nothing is read around any more. */
static void misses_end_reading_around(void **state)
{
	(void)state;
	struct file_rig rig = make(1u << 20);
	for (uint32_t i = 0; i < 110; i++)
		assert_int_equal(fault(&rig, 1000 + i * 4096, FILE_NORMAL), FILE_FAULT_MAJOR);
	assert_int_equal(rig.rig->lru->counters.pgpgin, 100 * 32 + 10);
	end(&rig);
}

/* Clean pages of a file go without a word to the disk, and leave a shadow. Would catch: pages written, refaults not counted. */
static void a_file_larger_than_memory(void **state)
{
	(void)state;
	struct file_rig rig = make(3 * FRAMES);
	for (unsigned round = 0; round < 2; round++)
		for (uint32_t index = 0; index < 3 * FRAMES; index++)
			assert_true(fault(&rig, index, FILE_RANDOM) == FILE_FAULT_MAJOR);
	const struct lru_counters *counters = page_lru_counters(rig.rig->lru);
	assert_int_equal(counters->pgpgin, 6 * FRAMES);
	assert_int_equal(counters->pgpgout, 0);
	assert_int_equal(counters->workingset_refault_file, 3 * FRAMES);
	assert_true(counters->nr_lru_pages > FRAMES - 128);
	rig_check(rig.rig);
	end(&rig);
}

/* Would catch: a limit of another number, a flusher that writes too much or too little, pages that stay dirty. */
static void dirty_pages_are_written(void **state)
{
	(void)state;
	struct file_rig rig = make(2000);
	struct page_lru *lru = rig.rig->lru;
	lru->spec.read_ahead_pages = 0;
	for (uint32_t index = 0; index < 1000; index++) {
		fault(&rig, index, FILE_NORMAL);
		page_cache_set_dirty(rig.cache, 0, page_cache_find(rig.cache, rig.file, index));
		/* Looked at once in 32 pages: a tenth of 4,096 frames, less what batches hold. */
		assert_true(page_cache_dirty_pages(rig.cache) <= 409 + 32);
	}
	/* It stops at the end of 64 pages. */
	assert_in_range(page_cache_dirty_pages(rig.cache), 409 - 16 - 64, 409 + 32);
	assert_int_equal(lru->counters.pgpgout, 1000 - page_cache_dirty_pages(rig.cache));
	/* 30 s later all of it. */
	uint64_t now_ns = 40000000000;
	page_lru_op(lru, 0, now_ns);
	assert_int_equal(page_cache_dirty_pages(rig.cache), 0);
	assert_int_equal(lru->counters.pgpgout, 1000);
	rig_check(rig.rig);
	end(&rig);
}

/*
 * Who dirties a page beyond dirty_ratio waits until the disk has written what it was given; below it nobody waits. Would catch: a
 * wait that is left out, one at the other limit.
 */
static void beyond_the_limit_who_dirties_waits(void **state)
{
	(void)state;
	struct file_rig rig = make(2000);
	struct page_lru *lru = rig.rig->lru;
	lru->spec.read_ahead_pages = 0;
	for (uint32_t index = 0; index < 480; index++)
		fault(&rig, index, FILE_NORMAL);
	uint64_t waited_ns = lru->counters.io_wait_ns;
	for (uint32_t index = 0; index < 448; index++)
		page_cache_set_dirty(rig.cache, 0, page_cache_find(rig.cache, rig.file, index));
	/* Written at a tenth of 4,096 frames, in the background. */
	assert_true(lru->counters.pgpgout > 0);
	assert_int_equal(lru->counters.io_wait_ns, waited_ns);
	/* Some 380 are dirty, others being written, of which 449 may be together now. */
	assert_in_range(page_cache_dirty_pages(rig.cache), 300, 409);
	lru->spec.dirty_ratio = 11;
	uint64_t now_ns = page_lru_now(lru, 0);
	for (uint32_t index = 448; index < 480; index++)
		page_cache_set_dirty(rig.cache, 0, page_cache_find(rig.cache, rig.file, index));
	assert_true(lru->counters.io_wait_ns > waited_ns);
	assert_int_equal(page_lru_now(lru, 0), lru->disk.last_done_ns);
	assert_int_equal(page_lru_now(lru, 0) - now_ns, lru->counters.io_wait_ns - waited_ns);
	end(&rig);
}

/*
 * A page that only its entry knows to be dirty is dirty when it is unmapped: it stays, active, for the flusher, and goes when it
 * is written. Would catch: what was written through a mapping is lost.
 */
static void dirty_by_its_entry_alone(void **state)
{
	(void)state;
	struct file_rig rig = make(100);
	struct page_lru *lru = rig.rig->lru;
	struct reclaim_result result = {0};
	struct reclaim_request request = {.end_pfn = FRAMES,
	                                  .priority = 0,
	                                  .to_reclaim = 32,
	                                  .flags = GFP_KERNEL,
	                                  .may_writepage = true,
	                                  .result = &result};
	assert_int_equal(fault(&rig, 7, FILE_RANDOM), FILE_FAULT_MAJOR);
	uint32_t frame = page_cache_find(rig.cache, rig.file, 7);
	rig_map(rig.rig, 0, frame, true);
	rig.rig->entries[0].accessed = false;
	page_lru_drain(lru, 0);
	lru->reclaimer.shrink(lru, &request);
	assert_int_equal(result.reclaimed, 0);
	assert_int_equal(rig.rig->mapped, 0);
	assert_true(page_has(lru, frame, PG_DIRTY) && page_has(lru, frame, PG_ACTIVE));
	page_cache_wake_flusher(rig.cache, 0);
	assert_int_equal(lru->counters.pgpgout, 1);
	assert_true(page_has(lru, frame, PG_WRITEBACK) && page_has(lru, frame, PG_ACTIVE));
	page_lru_wait_until(lru, 0, lru->disk.last_done_ns);
	page_lru_drain(lru, 0);
	lru->reclaimer.shrink(lru, &request);
	assert_int_equal(result.reclaimed, 1);
	assert_int_equal(page_cache_find(rig.cache, rig.file, 7), PAGE_NONE);
	end(&rig);
}

/*
 * kswapd leaves dirty pages that it meets for the first time to the flusher, and wakes it where it met no others; written, they
 * are the next to go. Would catch: single pages written by kswapd, a flusher that sleeps, pages that stay active.
 */
static void reclaim_wakes_the_flusher(void **state)
{
	(void)state;
	struct file_rig rig = make(100);
	struct page_lru *lru = rig.rig->lru;
	struct reclaim_result result = {0};
	struct reclaim_request request = {.end_pfn = FRAMES,
	                                  .priority = 0,
	                                  .to_reclaim = 32,
	                                  .flags = GFP_KERNEL,
	                                  .kswapd = true,
	                                  .may_writepage = true,
	                                  .result = &result};
	for (uint32_t index = 0; index < 10; index++) {
		fault(&rig, index, FILE_RANDOM);
		page_cache_set_dirty(rig.cache, 0, page_cache_find(rig.cache, rig.file, index));
	}
	page_lru_drain(lru, 0);
	lru->reclaimer.shrink(lru, &request);
	assert_int_equal(result.reclaimed, 0);
	assert_int_equal(lru->counters.nr_vmscan_immediate_reclaim, 10);
	assert_int_equal(lru->counters.nr_vmscan_write, 0);
	assert_int_equal(lru->counters.pgpgout, 10);
	/* They were made active to be out of the way, and are the first ones of the inactive list when they are written. */
	assert_int_equal(lru->nodes[0].pages[LRU_ACTIVE_FILE], 10);
	page_lru_wait_until(lru, 0, lru->disk.last_done_ns);
	page_lru_drain(lru, 0);
	assert_int_equal(lru->counters.pgrotated, 10);
	assert_int_equal(lru->nodes[0].pages[LRU_INACTIVE_FILE], 10);
	lru->reclaimer.shrink(lru, &request);
	assert_int_equal(result.reclaimed, 10);
	rig_check(rig.rig);
	end(&rig);
}

/*
 * set_bit(PGDAT_DIRTY) of shrink_node(): only a pass that met nothing but dirty pages lets kswapd write some itself. Would catch:
 * a node that counts as dirty because of a few pages, or never does.
 */
static void a_node_is_dirty_when_all_it_meets_is(void **state)
{
	(void)state;
	for (uint32_t dirty = 5; dirty <= 10; dirty += 5) {
		struct file_rig rig = make(100);
		struct page_lru *lru = rig.rig->lru;
		struct reclaim_result result = {0};
		const struct reclaim_request request = {.end_pfn = FRAMES,
		                                        .priority = 0,
		                                        .to_reclaim = 32,
		                                        .flags = GFP_KERNEL,
		                                        .kswapd = true,
		                                        .may_writepage = true,
		                                        .result = &result};
		for (uint32_t index = 0; index < 10; index++) {
			fault(&rig, index, FILE_RANDOM);
			if (index < dirty)
				page_cache_set_dirty(rig.cache, 0, page_cache_find(rig.cache, rig.file, index));
		}
		page_lru_drain(lru, 0);
		assert_false(lru->nodes[0].dirty);
		lru->reclaimer.shrink(lru, &request);
		assert_int_equal(lru->nodes[0].dirty, dirty == 10);
		end(&rig);
	}
}

/*
 * Of a file that is read in order, a fault far from all that was read says nothing of what comes: a window is read as it is, and
 * none behind it is prepared. A fault asks for a whole window, so try_context_readahead() never finds more history than that.
 * Would catch: each jump taken for the beginning of a new run, which would read twice as much.
 */
static void a_jump_begins_no_run(void **state)
{
	(void)state;
	struct file_rig rig = make(4000);
	assert_int_equal(fault(&rig, 1000, FILE_SEQUENTIAL), FILE_FAULT_MAJOR);
	assert_cached(&rig, 1000, 1032);
	assert_int_equal(rig.rig->lru->counters.pgpgin, 32);
	for (uint32_t index = 1000; index < 1032; index++)
		assert_false(page_has(rig.rig->lru, page_cache_find(rig.cache, rig.file, index), PG_READAHEAD));
	assert_int_equal(fault(&rig, 1031, FILE_SEQUENTIAL), FILE_FAULT_MINOR);
	assert_int_equal(rig.rig->lru->counters.pgpgin, 32);
	assert_int_equal(fault(&rig, 1032, FILE_SEQUENTIAL), FILE_FAULT_MAJOR);
	end(&rig);
}

/* do_async_mmap_readahead(): nothing is read behind a page of a file that is read at random. Would catch: a fault made twice
 * there. */
static void a_page_read_at_random_is_there(void **state)
{
	(void)state;
	struct file_rig rig = make(4000);
	assert_int_equal(fault(&rig, 1000, FILE_NORMAL), FILE_FAULT_MAJOR);
	/* The page with the mark: at random it means nothing. */
	assert_true(page_has(rig.rig->lru, page_cache_find(rig.cache, rig.file, 1008), PG_READAHEAD));
	assert_int_equal(fault(&rig, 1008, FILE_RANDOM), FILE_FAULT_MINOR);
	assert_int_equal(rig.rig->lru->counters.pgpgin, 32);
	end(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(around_a_fault),
	        cmocka_unit_test(ends_of_the_file),
	        cmocka_unit_test(advice),
	        cmocka_unit_test(misses_end_reading_around),
	        cmocka_unit_test(a_file_larger_than_memory),
	        cmocka_unit_test(dirty_pages_are_written),
	        cmocka_unit_test(beyond_the_limit_who_dirties_waits),
	        cmocka_unit_test(dirty_by_its_entry_alone),
	        cmocka_unit_test(reclaim_wakes_the_flusher),
	        cmocka_unit_test(a_node_is_dirty_when_all_it_meets_is),
	        cmocka_unit_test(a_jump_begins_no_run),
	        cmocka_unit_test(a_page_read_at_random_is_there),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
