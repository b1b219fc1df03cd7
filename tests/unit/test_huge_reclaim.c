/* SPDX-License-Identifier: MIT
 *
 * test_huge_reclaim.c - huge pages on the lists of reclaim: gone as a whole and back in parts, taken apart where they must be,
 * and those that wait for it; worked out by hand from Linux 6.1 mm/vmscan.c: shrink_folio_list() and mm/huge_memory.c.
 */
#include "tests/unit/pages_rig.h"

#define HUGE (FRAMES_OF_HUGE * PAGE_SIZE)
/* A multiple of 2 MiB. */
#define AT 0x40000000ull

static process_id begin(struct pages_rig *rig, uint64_t swap_bytes, uint64_t huge_pages)
{
	mm_rig_init(&rig->mm, 128ull << 20, 1);
	rig->mm.settings.kernel.thp = THP_ALWAYS;
	rig->mm.settings.kernel.khugepaged.defrag = false;
	rig->mm.settings.kernel.page_cluster = 0;
	rig->mm.settings.swap.bytes = swap_bytes;
	pages_rig_make(rig, false);
	/* A write takes long, so that no page of it comes by twice. */
	block_device_init(&rig->lru->swap_device, &(struct block_device_spec){80000, 1000000000, 2000000000, 1024});
	process_id process = user_create(rig->mm.users, 0);
	mm_rig_map(&rig->mm, process, AT, huge_pages * FRAMES_OF_HUGE, USER_ANONYMOUS, 0);
	for (uint64_t page = 0; page < huge_pages; page++)
		mm_rig_touch(&rig->mm, process, AT + page * HUGE, 1, ACCESS_STORE, 0);
	assert_int_equal(rig->mm.mm->counters.faults_huge, huge_pages);
	return process;
}

/* All pages are old from now on. */
static void forget_uses(struct pages_rig *rig)
{
	bool executable;
	for (uint32_t frame = 0; frame < rig->lru->end_pfn; frame++)
		if (page_has(rig->lru, frame, PG_KNOWN)) {
			rig->mm.users->ops->referenced(rig->mm.users, pfn_of(frame), &executable, 0);
			rig->lru->frames[frame].marks &= (uint16_t)~PG_REFERENCED;
		}
}

static void wait_for_writes(struct pages_rig *rig)
{
	page_lru_wait_until(rig->lru, 0, rig->lru->swap_device.last_done_ns);
	page_lru_drain(rig->lru, 0);
}

/*
 * A huge page counts for 512 on its list, past the batch; it is spared while it was used; then it takes a cluster of slots as a
 * whole, is one write of 2 MiB, and its frames are given back as the block they were. Each of its pages comes back alone, from
 * its own slot. Would catch: slots that do not lie in order, a block given back in pieces or a part of it, a read of more than
 * one page, a page written 512 times.
 */
static void goes_whole_and_comes_back_in_parts(void **state)
{
	(void)state;
	struct pages_rig rig;
	process_id process = begin(&rig, 64ull << 20, 1);
	const struct lru_counters *counters = page_lru_counters(rig.lru);
	/* The page of arguments comes with it. */
	assert_int_equal(counters->nr_inactive_anon, FRAMES_OF_HUGE + 1);
	assert_int_equal(pages_rig_shrink(&rig, 5, 32), 0);
	assert_int_equal(counters->pgscan_anon, FRAMES_OF_HUGE + 1);
	assert_int_equal(counters->pswpout, 0);
	forget_uses(&rig);
	pages_rig_shrink(&rig, 0, 32);
	pages_rig_check(&rig);
	assert_int_equal(counters->thp_swpout, 1);
	assert_int_equal(counters->pswpout, FRAMES_OF_HUGE + 1);
	assert_int_equal(rig.lru->swap_device.counters.writes, 2);
	assert_int_equal(counters->thp_split_page, 0);
	uint32_t first = pages_rig_slot(&rig, process, AT);
	assert_int_equal(first % FRAMES_OF_HUGE, 0);
	for (uint32_t i = 0; i < FRAMES_OF_HUGE; i++) {
		assert_int_equal(pages_rig_slot(&rig, process, AT + i * PAGE_SIZE), first + i);
		assert_int_equal(swap_entries(&rig.lru->swap, first + i), 1);
	}
	wait_for_writes(&rig);
	/* The one whose write ended last is at the end of the list, and more than was wanted. */
	uint64_t before = rig.mm.pages->allocated_pages;
	assert_int_equal(pages_rig_shrink(&rig, 0, 32), FRAMES_OF_HUGE);
	assert_int_equal(rig.mm.pages->allocated_pages, before - FRAMES_OF_HUGE);
	assert_int_equal(page_lru_counters(rig.lru)->nr_anon_huge, 0);
	pages_rig_check(&rig);
	mm_rig_touch(&rig.mm, process, AT + 7 * PAGE_SIZE, 3, ACCESS_LOAD, 0);
	assert_int_equal(counters->pswpin, 3);
	assert_int_equal(counters->pgmajfault, 3);
	struct process_view view;
	rig.mm.users->ops->view(rig.mm.users, process, &view);
	assert_int_equal(view.huge, 0);
	assert_int_equal(view.anonymous, 3);
	assert_int_equal(view.swapped, FRAMES_OF_HUGE + 1 - 3);
	pages_rig_end(&rig);
}

/*
 * A part that is wanted while the page is written comes without a read, as a part of that page: the others of it are still in
 * their slots, and the page is counted as mapped again. Nothing of it is writable but what is written alone. When it is unmapped
 * again it is the old page that goes. Would catch: a second frame for the part, a frame of the huge page that is given back, an
 * entry for the wrong frame.
 */
static void a_part_is_wanted_under_the_write(void **state)
{
	(void)state;
	struct pages_rig rig;
	process_id process = begin(&rig, 64ull << 20, 1);
	pfn whole = mm_rig_frame(&rig.mm, process, AT);
	forget_uses(&rig);
	pages_rig_shrink(&rig, 0, 32);
	assert_true(page_has(rig.lru, whole.nr, PG_WRITEBACK) && page_has(rig.lru, whole.nr, PG_HUGE));
	mm_rig_touch(&rig.mm, process, AT + 9 * PAGE_SIZE, 1, ACCESS_STORE, 0);
	assert_int_equal(mm_rig_frame(&rig.mm, process, AT + 9 * PAGE_SIZE).nr, whole.nr + 9);
	assert_int_equal(rig.lru->counters.pswpin, 0);
	pages_rig_check(&rig);
	uint32_t count, huge;
	count = rig.mm.users->ops->huge_map_count(rig.mm.users, whole, &huge);
	assert_int_equal(count, 1);
	assert_int_equal(huge, 0);
	process_id child = user_fork(rig.mm.users, process, false, 0);
	assert_int_equal(rig.mm.users->ops->huge_map_count(rig.mm.users, whole, &huge), 2);
	/* The child writes: a copy, as the page has more references than its own. */
	mm_rig_touch(&rig.mm, child, AT + 9 * PAGE_SIZE, 1, ACCESS_STORE, 0);
	assert_int_not_equal(mm_rig_frame(&rig.mm, child, AT + 9 * PAGE_SIZE).nr, whole.nr + 9);
	user_exit(rig.mm.users, child, 0);
	pages_rig_check(&rig);
	wait_for_writes(&rig);
	forget_uses(&rig);
	/* Dirty in one part: all of it is written once more. */
	pages_rig_shrink(&rig, 0, 32);
	assert_int_equal(rig.lru->counters.thp_swpout, 2);
	assert_int_equal(pages_rig_slot(&rig, process, AT + 9 * PAGE_SIZE) % FRAMES_OF_HUGE, 9);
	wait_for_writes(&rig);
	pages_rig_shrink(&rig, 0, 32);
	assert_int_equal(page_lru_counters(rig.lru)->nr_anon_huge, 0);
	pages_rig_end(&rig);
}

/*
 * With no cluster free the huge page is taken apart and its pages go one by one, in the order of addresses, to any slots. Would
 * catch: a huge page that never goes, a page lost on the way, one looked at twice.
 */
static void without_a_cluster_it_is_taken_apart(void **state)
{
	(void)state;
	struct pages_rig rig;
	/* Two clusters, both short of some slots: the header's, and the last one's end. */
	process_id process = begin(&rig, 4000ull << 10, 1);
	const struct lru_counters *counters = &rig.lru->counters;
	forget_uses(&rig);
	uint64_t scanned = counters->pgscan_anon;
	pages_rig_shrink(&rig, 0, 1024);
	pages_rig_check(&rig);
	assert_int_equal(counters->thp_swpout, 0);
	assert_int_equal(counters->thp_swpout_fallback, 1);
	assert_int_equal(counters->thp_split_page, 1);
	/* The share of the list is 513 pages in portions of 32, the first of which took all of them. */
	assert_int_equal(counters->pgscan_anon - scanned, FRAMES_OF_HUGE + 1 + FRAMES_OF_HUGE + 1 - 32);
	assert_int_equal(counters->pswpout, FRAMES_OF_HUGE + 1);
	assert_int_equal(rig.mm.mm->counters.huge_splits, 1);
	wait_for_writes(&rig);
	uint64_t before = rig.mm.pages->allocated_pages;
	assert_int_equal(pages_rig_shrink(&rig, 0, 1024), FRAMES_OF_HUGE + 1);
	assert_int_equal(rig.mm.pages->allocated_pages, before - FRAMES_OF_HUGE - 1);
	mm_rig_touch(&rig.mm, process, AT, FRAMES_OF_HUGE, ACCESS_LOAD, 0);
	assert_int_equal(counters->pswpin, FRAMES_OF_HUGE);
	pages_rig_end(&rig);
}

static enum user_result forget(struct pages_rig *rig, process_id process, uint64_t page, uint64_t pages)
{
	return user_advise(rig->mm.users, process, AT + page * PAGE_SIZE, pages, USER_DONTNEED, 0);
}

/*
 * A huge page of which 500 pages are forgotten keeps its 512 frames, and waits to be taken apart; reclaim that comes to it does
 * so, and the 500 come free without a write, though each had a slot for a moment; the other 12 are written. Would catch: frames
 * that wait for the last part, contents of nobody that are written.
 */
static void what_nothing_maps_goes_without_a_write(void **state)
{
	(void)state;
	struct pages_rig rig;
	process_id process = begin(&rig, 64ull << 20, 1);
	uint64_t held = rig.mm.pages->allocated_pages;
	assert_int_equal(forget(&rig, process, 10, 500), USER_OK);
	assert_int_equal(rig.mm.pages->allocated_pages, held);
	assert_int_equal(page_lru_counters(rig.lru)->nr_split_queue, 1);
	assert_int_equal(rig.lru->counters.thp_deferred_split_page, 1);
	pages_rig_check(&rig);
	forget_uses(&rig);
	pages_rig_shrink(&rig, 0, 1024);
	pages_rig_check(&rig);
	assert_int_equal(rig.lru->counters.thp_split_page, 1);
	assert_int_equal(rig.lru->counters.thp_swpout_fallback, 0);
	assert_int_equal(rig.lru->counters.pswpout, 12 + 1);
	assert_int_equal(rig.mm.pages->allocated_pages, held - 500);
	assert_int_equal(page_lru_counters(rig.lru)->nr_split_queue, 0);
	assert_int_equal(rig.lru->counters.nr_vmscan_write, FRAMES_OF_HUGE + 1);
	pages_rig_end(&rig);
}

/*
 * The same without a swap device, where nobody looks at the lists of anonymous memory: the queue's turn behind them takes it
 * apart, its used pages keep their place in order on the list, the others are free. A pass at priority 12 looks at 2/4096 of the
 * queue, which is nothing, and keeps that in mind. Would catch: a queue that is never looked at, pages in use taken, a list out
 * of order.
 */
static void the_queue_has_its_turn(void **state)
{
	(void)state;
	struct pages_rig rig;
	process_id process = begin(&rig, 0, 3);
	uint64_t held = rig.mm.pages->allocated_pages;
	pfn first = mm_rig_frame(&rig.mm, process, AT + HUGE);
	assert_int_equal(forget(&rig, process, 512 + 100, 412), USER_OK);
	assert_int_equal(page_lru_counters(rig.lru)->nr_split_queue, 1);
	pages_rig_shrink(&rig, 12, 32);
	assert_int_equal(page_lru_counters(rig.lru)->nr_split_queue, 1);
	assert_int_equal(pages_rig_shrink(&rig, 0, 32), 0);
	assert_int_equal(page_lru_counters(rig.lru)->nr_split_queue, 0);
	assert_int_equal(rig.mm.pages->allocated_pages, held - 412);
	assert_int_equal(rig.lru->counters.pswpout, 0);
	assert_int_equal(page_lru_counters(rig.lru)->nr_anon_huge, 2);
	for (uint32_t i = 0; i < 100; i++) {
		assert_true(page_has(rig.lru, first.nr + i, PG_LRU));
		/* Records link from the younger to the older: the first frame is the oldest. */
		assert_true(i == 0 || rig.lru->frames[first.nr + i].next == first.nr + i - 1);
	}
	pages_rig_check(&rig);
	/* Frames of their own now: the next one that is forgotten goes at once. */
	assert_int_equal(forget(&rig, process, 512, 1), USER_OK);
	assert_int_equal(rig.mm.pages->allocated_pages, held - 413);
	/* A page that waits and is freed leaves the queue. */
	assert_int_equal(forget(&rig, process, 1, 1), USER_OK);
	assert_int_equal(page_lru_counters(rig.lru)->nr_split_queue, 1);
	assert_int_equal(forget(&rig, process, 0, 512), USER_OK);
	assert_int_equal(page_lru_counters(rig.lru)->nr_split_queue, 0);
	assert_int_equal(rig.lru->counters.thp_deferred_split_page, 2);
	pages_rig_end(&rig);
}

/*
 * A huge page that two processes map, one as a whole and one in parts: nothing of it waits while it is mapped as a whole, uses
 * count once for each of them, and reclaim unmaps all 512 + 500 entries, naming each slot as often as it was mapped. Would catch:
 * uses counted by parts, entries that are left.
 */
static void shared_whole_and_in_parts(void **state)
{
	(void)state;
	struct pages_rig rig;
	bool executable;
	process_id parent = begin(&rig, 64ull << 20, 1);
	process_id child = user_fork(rig.mm.users, parent, false, 0);
	pfn first = mm_rig_frame(&rig.mm, parent, AT);
	assert_int_equal(forget(&rig, child, 0, 12), USER_OK);
	assert_int_equal(page_lru_counters(rig.lru)->nr_split_queue, 0);
	forget_uses(&rig);
	mm_rig_touch(&rig.mm, parent, AT, 3, ACCESS_LOAD, 0);
	mm_rig_touch(&rig.mm, child, AT + 20 * PAGE_SIZE, 5, ACCESS_LOAD, 0);
	assert_int_equal(rig.mm.users->ops->referenced(rig.mm.users, first, &executable, 0), 2);
	assert_int_equal(rig.mm.users->ops->referenced(rig.mm.users, first, &executable, 0), 0);
	pages_rig_shrink(&rig, 0, 32);
	pages_rig_check(&rig);
	assert_int_equal(rig.lru->counters.thp_swpout, 1);
	uint32_t slot = pages_rig_slot(&rig, parent, AT);
	assert_int_equal(swap_entries(&rig.lru->swap, slot + 11), 1);
	assert_int_equal(swap_entries(&rig.lru->swap, slot + 12), 2);
	assert_int_equal(pages_rig_slot(&rig, child, AT + 12 * PAGE_SIZE), slot + 12);
	/* The parent gone as a whole under the write, the parts of the child alone keep the page. */
	user_exit(rig.mm.users, parent, 0);
	pages_rig_check(&rig);
	assert_int_equal(page_lru_counters(rig.lru)->nr_anon_huge, 1);
	user_exit(rig.mm.users, child, 0);
	pages_rig_check(&rig);
	pages_rig_end(&rig);
}

/*
 * split_huge_page_to_list(): a page that is being written, or that somebody holds, has references that nobody could account for,
 * so it stays whole. Would catch: a page taken apart under its write or under who holds it; a failure told as a success, after
 * which the parts would be looked for.
 */
static void what_is_held_stays_whole(void **state)
{
	(void)state;
	struct pages_rig rig;
	process_id process = begin(&rig, 64ull << 20, 1);
	uint32_t whole = mm_rig_frame(&rig.mm, process, AT).nr;
	page_lru_drain(rig.lru, 0);
	rig.lru->frames[whole].pins++;
	assert_false(lru_split(rig.lru, 0, whole));
	rig.lru->frames[whole].pins--;
	rig.lru->frames[whole].marks |= PG_WRITEBACK;
	assert_false(lru_split(rig.lru, 0, whole));
	rig.lru->frames[whole].marks &= (uint16_t)~PG_WRITEBACK;
	assert_int_equal(rig.lru->counters.thp_split_page_failed, 2);
	assert_true(page_has(rig.lru, whole, PG_HUGE));
	assert_true(lru_split(rig.lru, 0, whole));
	assert_int_equal(rig.lru->counters.thp_split_page, 1);
	assert_false(page_has(rig.lru, whole, PG_HUGE));
	pages_rig_end(&rig);
}

/*
 * The shrinker takes batches of 128, and leaves what is less than one. At priority 1 its share of 130 waiting pages is 65 times 2
 * (do_shrink_slab(), two seeks), so one batch goes and two pages go on waiting. Would catch: a batch that is one longer, past the
 * end of what was set aside for it.
 */
static void the_queue_goes_by_batches(void **state)
{
	(void)state;
	struct pages_rig rig;
	mm_rig_init(&rig.mm, 512ull << 20, 1);
	rig.mm.settings.kernel.thp = THP_ALWAYS;
	rig.mm.settings.kernel.khugepaged.defrag = false;
	pages_rig_make(&rig, false);
	process_id process = user_create(rig.mm.users, 0);
	mm_rig_map(&rig.mm, process, AT, 130 * FRAMES_OF_HUGE, USER_ANONYMOUS, 0);
	for (uint64_t huge = 0; huge < 130; huge++) {
		mm_rig_touch(&rig.mm, process, AT + huge * HUGE, 1, ACCESS_STORE, 0);
		assert_int_equal(forget(&rig, process, huge * FRAMES_OF_HUGE + 3, 1), USER_OK);
	}
	assert_int_equal(page_lru_counters(rig.lru)->nr_split_queue, 130);
	lru_shrink_split_queue(rig.lru, 0, 1, 0);
	assert_int_equal(page_lru_counters(rig.lru)->nr_split_queue, 2);
	assert_int_equal(rig.lru->counters.thp_split_page, 128);
	/* What was not looked at is for the next time. */
	assert_int_equal(rig.lru->nodes[0].split_deferred, 130 - 128);
	pages_rig_end(&rig);
}

static enum user_result free_later(struct pages_rig *rig, process_id process, uint64_t at, uint64_t pages)
{
	return user_advise(rig->mm.users, process, at, pages, USER_FREE, 0);
}

/*
 * MADV_FREE: entries are old and clean, and stay; the pages come to the inactive list of files by the batch of 15; from there
 * reclaim frees them without a write or a slot, but for one that was written since, which is anonymous memory again, and active.
 * Memory of files and what is shared is not advised so. Would catch: contents that are written out, contents lost that were
 * written after the advice, pages gone at once, a page that stays of another kind.
 */
static void what_may_go_goes_without_a_slot(void **state)
{
	(void)state;
	struct pages_rig rig;
	process_id process = begin(&rig, 64ull << 20, 1);
	const uint64_t small = AT + HUGE;
	rig.lru->spec.swappiness = 0;
	const struct lru_counters *counters = page_lru_counters(rig.lru);
	mm_rig_map(&rig.mm, process, small, 40, USER_ANONYMOUS, 0);
	mm_rig_map(&rig.mm, process, small + 40 * PAGE_SIZE, 1, USER_SHARED, 0);
	mm_rig_touch(&rig.mm, process, small, 32, ACCESS_STORE, 0);
	mm_rig_touch(&rig.mm, process, small + 32 * PAGE_SIZE, 1, ACCESS_LOAD, 0); /* the zero page */
	uint64_t held = rig.mm.pages->allocated_pages, faults = rig.mm.mm->counters.faults;
	assert_int_equal(free_later(&rig, process, small, 40), USER_OK);
	assert_int_equal(rig.mm.pages->allocated_pages, held);
	/* Two batches of 15; two pages wait. */
	assert_int_equal(counters->pglazyfree, 30);
	assert_int_equal(page_lru_counters(rig.lru)->nr_inactive_file, 30);
	pages_rig_check(&rig);
	for (unsigned page = 0; page < 32; page++)
		assert_false(pages_rig_word(&rig, process, small + page * PAGE_SIZE) & (WORD_DIRTY | WORD_ACCESSED));
	mm_rig_touch(&rig.mm, process, small + 3 * PAGE_SIZE, 1, ACCESS_STORE, 0);
	mm_rig_touch(&rig.mm, process, small + 4 * PAGE_SIZE, 1, ACCESS_LOAD, 0);
	assert_int_equal(rig.mm.mm->counters.faults, faults);
	/* What was used is spared once; the last two come to the list when its share of 30 is told already. */
	assert_int_equal(pages_rig_shrink(&rig, 0, 1024), 28);
	assert_int_equal(counters->pglazyfree, 32);
	assert_int_equal(counters->pglazyfreed, 28);
	assert_int_equal(counters->pswpout, 0);
	assert_int_equal(pages_rig_word(&rig, process, small), 0);
	assert_int_equal(rig.mm.pages->allocated_pages, held - 28);
	/* Written, and not used since: reclaim finds it dirty. */
	forget_uses(&rig);
	uint64_t active = page_lru_counters(rig.lru)->nr_active_anon;
	assert_int_equal(pages_rig_shrink(&rig, 0, 1024), 3);
	assert_int_equal(page_lru_counters(rig.lru)->nr_active_anon, active + 1);
	assert_int_equal(counters->pglazyfreed, 31);
	assert_true(pages_rig_word(&rig, process, small + 3 * PAGE_SIZE) & WORD_DIRTY);
	pages_rig_check(&rig);
	/* It faults anew, and is of zeroes. */
	mm_rig_touch(&rig.mm, process, small, 1, ACCESS_STORE, 0);
	assert_int_equal(rig.mm.mm->counters.faults, faults + 1);
	assert_int_equal(free_later(&rig, process, small, 41), USER_BAD_KIND);
	pages_rig_end(&rig);
}

/*
 * Of a huge page: as a whole it stays one; in part it is taken apart first; where another process maps it nothing happens. Slots
 * are given back at once. Would catch: a huge page discarded that a child has, entries of slots that stay.
 */
static void huge_pages_may_go(void **state)
{
	(void)state;
	struct pages_rig rig;
	process_id process = begin(&rig, 64ull << 20, 3);
	process_id child = user_fork(rig.mm.users, process, false, 0);
	assert_int_equal(free_later(&rig, process, AT, FRAMES_OF_HUGE), USER_OK);
	page_lru_drain(rig.lru, 0);
	assert_int_equal(rig.lru->counters.pglazyfree, 0);
	user_exit(rig.mm.users, child, 0);
	mm_rig_touch(&rig.mm, process, AT + 2 * HUGE, 1, ACCESS_STORE, 0);
	assert_int_equal(free_later(&rig, process, AT + 2 * HUGE, FRAMES_OF_HUGE), USER_OK);
	assert_int_equal(rig.lru->counters.pglazyfree, FRAMES_OF_HUGE);
	assert_int_equal(rig.lru->counters.thp_split_page, 0);
	assert_int_equal(free_later(&rig, process, AT + HUGE, 12), USER_OK);
	assert_int_equal(rig.lru->counters.thp_split_page, 1);
	page_lru_drain(rig.lru, 0);
	assert_int_equal(rig.lru->counters.pglazyfree, FRAMES_OF_HUGE + 12);
	pages_rig_check(&rig);
	forget_uses(&rig);
	uint64_t held = rig.mm.pages->allocated_pages;
	rig.lru->spec.swappiness = 0;
	assert_int_equal(pages_rig_shrink(&rig, 1, 4096), FRAMES_OF_HUGE + 12);
	assert_int_equal(rig.lru->counters.pglazyfreed, FRAMES_OF_HUGE + 12);
	assert_int_equal(rig.mm.pages->allocated_pages, held - FRAMES_OF_HUGE - 12);
	pages_rig_check(&rig);
	/* The others go to the device, and are named there for nothing. */
	rig.lru->spec.swappiness = 60;
	forget_uses(&rig);
	pages_rig_shrink(&rig, 0, 4096);
	wait_for_writes(&rig);
	pages_rig_shrink(&rig, 0, 4096);
	struct process_view view;
	rig.mm.users->ops->view(rig.mm.users, process, &view);
	assert_true(view.swapped > FRAMES_OF_HUGE);
	assert_int_equal(free_later(&rig, process, AT, 3 * FRAMES_OF_HUGE), USER_OK);
	rig.mm.users->ops->view(rig.mm.users, process, &view);
	assert_true(view.swapped <= 1); /* the page of arguments */
	pages_rig_end(&rig);
}

/* do_shrink_slab() goes on while its share is all there is, however little. Would catch: a short queue that is never taken apart.
 */
static void a_short_queue_goes_as_a_whole(void **state)
{
	(void)state;
	struct pages_rig rig;
	process_id process = begin(&rig, 0, 2);
	for (uint64_t huge = 0; huge < 2; huge++)
		assert_int_equal(forget(&rig, process, huge * FRAMES_OF_HUGE + 3, 1), USER_OK);
	assert_int_equal(page_lru_counters(rig.lru)->nr_split_queue, 2);
	lru_shrink_split_queue(rig.lru, 0, 1, 0); /* (2 >> 1) * 2 */
	assert_int_equal(page_lru_counters(rig.lru)->nr_split_queue, 0);
	pages_rig_end(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(goes_whole_and_comes_back_in_parts),
	        cmocka_unit_test(a_part_is_wanted_under_the_write),
	        cmocka_unit_test(without_a_cluster_it_is_taken_apart),
	        cmocka_unit_test(what_nothing_maps_goes_without_a_write),
	        cmocka_unit_test(the_queue_has_its_turn),
	        cmocka_unit_test(shared_whole_and_in_parts),
	        cmocka_unit_test(what_is_held_stays_whole),
	        cmocka_unit_test(the_queue_goes_by_batches),
	        cmocka_unit_test(what_may_go_goes_without_a_slot),
	        cmocka_unit_test(huge_pages_may_go),
	        cmocka_unit_test(a_short_queue_goes_as_a_whole),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
