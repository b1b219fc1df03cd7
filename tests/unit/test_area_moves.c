/* SPDX-License-Identifier: MIT
 *
 * test_area_moves.c - mremap() of the model `mm` by hand: which pieces go in which way, what is flushed, and that reclaim finds
 * pages where they went (Linux 6.1 mm/mremap.c: move_page_tables()).
 */
#include "tests/unit/pages_rig.h"

#define HUGE (FRAMES_OF_HUGE * PAGE_SIZE)
#define GIB (1ull << 30)
/* A multiple of 1 GiB. */
#define AT 0x40000000ull

static process_id begin(struct pages_rig *rig, enum thp thp, uint64_t pages)
{
	mm_rig_init(&rig->mm, 256ull << 20, 2);
	rig->mm.settings.kernel.thp = thp;
	rig->mm.settings.swap.bytes = 64ull << 20;
	pages_rig_make(rig, true);
	process_id process = user_create(rig->mm.users, 0);
	mm_rig_map(&rig->mm, process, AT, pages, USER_ANONYMOUS, 0);
	steps_clear(&rig->mm.steps);
	return process;
}

static void write_pages(struct pages_rig *rig, process_id process, uint64_t at, uint64_t pages)
{
	mm_rig_touch(&rig->mm, process, at, pages, ACCESS_STORE, 0);
	steps_clear(&rig->mm.steps);
}

static enum user_result go(struct pages_rig *rig, process_id process, uint64_t from, uint64_t pages, uint64_t to, uint64_t then)
{
	const struct user_remap remap = {.start = from, .pages = pages, .to = to, .new_pages = then};
	steps_clear(&rig->mm.steps);
	enum user_result result = user_remap(rig->mm.users, process, &remap, 0);
	user_memory_check(rig->mm.users);
	return result;
}

/*
 * 2 MiB and a page, aligned alike: the first table goes as it is, with one flush of all (512 pages), the page behind it alone,
 * with one of a page; nothing is left for munmap() to flush. Aligned otherwise each page goes, in pieces that end with a table on
 * either side: 3 of 512 and 1 pages at an offset of a page. Would catch: a table copied entry by entry, a flush for each page,
 * one for all pieces, a page that stays.
 */
static void by_tables_or_by_entries(void **state)
{
	(void)state;
	struct pages_rig rig;
	process_id process = begin(&rig, THP_NEVER, FRAMES_OF_HUGE + 1);
	const struct mm_counters *counters = &rig.mm.mm->counters;
	write_pages(&rig, process, AT, FRAMES_OF_HUGE + 1);
	pfn first = mm_rig_frame(&rig.mm, process, AT), last = mm_rig_frame(&rig.mm, process, AT + HUGE);
	uint64_t flushes = counters->flushes, full = counters->flush_full, tables = counters->tables_made;
	assert_int_equal(go(&rig, process, AT, FRAMES_OF_HUGE + 1, AT + 9 * HUGE, FRAMES_OF_HUGE + 1), USER_OK);
	assert_int_equal(counters->moved_tables, 1);
	assert_int_equal(counters->moved_entries, 1);
	assert_int_equal(counters->flushes - flushes, 3); /* and munmap()'s, of the table that it frees */
	assert_int_equal(counters->flush_full - full, 1);
	assert_int_equal(counters->tables_made - tables, 1);
	assert_int_equal(mm_rig_frame(&rig.mm, process, AT + 9 * HUGE).nr, first.nr);
	assert_int_equal(mm_rig_frame(&rig.mm, process, AT + 10 * HUGE).nr, last.nr);
	flushes = counters->flushes;
	assert_int_equal(go(&rig, process, AT + 9 * HUGE, FRAMES_OF_HUGE + 1, AT + 20 * HUGE + PAGE_SIZE, FRAMES_OF_HUGE + 1),
	                 USER_OK);
	assert_int_equal(counters->moved_tables, 1);
	assert_int_equal(counters->moved_entries, 1 + FRAMES_OF_HUGE + 1);
	/* 511 pages, the last of the table, the page behind it; and munmap()'s. */
	assert_int_equal(counters->flushes - flushes, 4);
	assert_int_equal(mm_rig_frame(&rig.mm, process, AT + 20 * HUGE + PAGE_SIZE).nr, first.nr);
	assert_int_equal(mm_rig_frame(&rig.mm, process, AT + 21 * HUGE + PAGE_SIZE).nr, last.nr);
	pages_rig_end(&rig);
}

/* 1 GiB with two pages in it goes with one write for its table of tables. Would catch: a walk of all tables below. */
static void a_gibibyte_at_once(void **state)
{
	(void)state;
	struct pages_rig rig;
	process_id process = begin(&rig, THP_NEVER, 1);
	const struct mm_counters *counters = &rig.mm.mm->counters;
	/* As much as can be promised at once, side by side. */
	for (uint64_t at = AT + GIB; at < AT + 2 * GIB; at += GIB / 8)
		mm_rig_map(&rig.mm, process, at, GIB / 8 / PAGE_SIZE, USER_ANONYMOUS, 0);
	write_pages(&rig, process, AT + GIB, 1);
	assert_int_equal(go(&rig, process, AT + GIB, GIB / 8 / PAGE_SIZE, AT + 3 * GIB, GIB / 8 / PAGE_SIZE), USER_OK);
	/* An eighth of it: its table of pages. */
	assert_int_equal(counters->moved_tables, 1);
	assert_int_equal(counters->moved_entries, 0);
	const struct user_area_request file = {
	        .start = AT + 8 * GIB, .pages = GIB / PAGE_SIZE, .kind = USER_FILE_SHARED, .rights = USER_READ, .file = 1};
	assert_int_equal(user_map(rig.mm.users, process, &file, 0), USER_OK);
	mm_rig_touch(&rig.mm, process, AT + 8 * GIB, 1, ACCESS_LOAD, 0);
	uint64_t made = counters->tables_made;
	assert_int_equal(go(&rig, process, AT + 8 * GIB, GIB / PAGE_SIZE, AT + 16 * GIB, GIB / PAGE_SIZE), USER_OK);
	assert_int_equal(counters->moved_tables, 2);
	assert_int_equal(counters->moved_entries, 0);
	assert_int_equal(counters->tables_made, made);
	pages_rig_end(&rig);
}

/* An aligned huge page goes whole, its table in reserve with it; another one is taken apart. Would catch: a huge page split for
 * nothing, a reserve that is left in a table that goes. */
static void huge_pages_go_whole(void **state)
{
	(void)state;
	struct pages_rig rig;
	process_id process = begin(&rig, THP_ALWAYS, 2 * FRAMES_OF_HUGE);
	const struct mm_counters *counters = &rig.mm.mm->counters;
	write_pages(&rig, process, AT, 1);
	write_pages(&rig, process, AT + HUGE, 1);
	pfn first = mm_rig_frame(&rig.mm, process, AT);
	assert_int_equal(go(&rig, process, AT, 2 * FRAMES_OF_HUGE, AT + 3 * GIB, 2 * FRAMES_OF_HUGE), USER_OK);
	assert_int_equal(counters->moved_huge, 2);
	assert_int_equal(counters->huge_splits, 0);
	assert_int_equal(mm_rig_frame(&rig.mm, process, AT + 3 * GIB).nr, first.nr);
	/* The middle of the first one is taken out of it. */
	assert_int_equal(go(&rig, process, AT + 3 * GIB + 100 * PAGE_SIZE, 3, AT, 3), USER_OK);
	assert_int_equal(counters->huge_splits, 1);
	assert_int_equal(counters->moved_entries, 3);
	assert_int_equal(mm_rig_frame(&rig.mm, process, AT + PAGE_SIZE).nr, first.nr + 101);
	assert_int_equal(go(&rig, process, AT + 3 * GIB + HUGE, FRAMES_OF_HUGE, AT + 7 * PAGE_SIZE, FRAMES_OF_HUGE), USER_OK);
	assert_int_equal(counters->huge_splits, 2);
	pages_rig_check(&rig);
	pages_rig_end(&rig);
}

/*
 * Pages that have moved, in part, in a child too, are found by who takes them: uses, slots, the way back; parts of a huge page in
 * two places are one page still. Would catch: an entry that is looked for where it was.
 */
static void reclaim_finds_what_moved(void **state)
{
	(void)state;
	struct pages_rig rig;
	bool executable;
	process_id process = begin(&rig, THP_ALWAYS, 2 * FRAMES_OF_HUGE);
	write_pages(&rig, process, AT, 1);
	/* The second range is of small pages. */
	assert_int_equal(user_advise(rig.mm.users, process, AT + HUGE, FRAMES_OF_HUGE, USER_NOHUGEPAGE, 0), USER_OK);
	write_pages(&rig, process, AT + HUGE, 10);
	process_id child = user_fork(rig.mm.users, process, false, 0);
	assert_int_equal(go(&rig, process, AT + HUGE + PAGE_SIZE, 4, AT + GIB + 5 * PAGE_SIZE, 4), USER_OK);
	pfn small = mm_rig_frame(&rig.mm, process, AT + GIB + 6 * PAGE_SIZE);
	assert_int_equal(small.nr, mm_rig_frame(&rig.mm, child, AT + HUGE + 2 * PAGE_SIZE).nr);
	rig.mm.users->ops->referenced(rig.mm.users, small, &executable, 0);
	mm_rig_touch(&rig.mm, process, AT + GIB + 6 * PAGE_SIZE, 1, ACCESS_LOAD, 0);
	mm_rig_touch(&rig.mm, child, AT + HUGE + 2 * PAGE_SIZE, 1, ACCESS_LOAD, 0);
	assert_int_equal(rig.mm.users->ops->referenced(rig.mm.users, small, &executable, 0), 2);
	/* Moved twice, and forked after. */
	assert_int_equal(go(&rig, process, AT + GIB + 5 * PAGE_SIZE, 4, AT + 2 * GIB, 4), USER_OK);
	process_id second = user_fork(rig.mm.users, process, false, 0);
	assert_int_equal(rig.mm.users->ops->map_count(rig.mm.users, small), 3);
	pfn fresh = page_alloc(rig.mm.pages, 0, GFP_HIGHUSER_MOVABLE, 0);
	assert_true(rig.mm.users->ops->moved(rig.mm.users, small, fresh));
	page_free(rig.mm.pages, small, 0, 0);
	assert_int_equal(mm_rig_frame(&rig.mm, process, AT + 2 * GIB + PAGE_SIZE).nr, fresh.nr);
	assert_int_equal(mm_rig_frame(&rig.mm, second, AT + 2 * GIB + PAGE_SIZE).nr, fresh.nr);
	pfn whole = mm_rig_frame(&rig.mm, process, AT);
	assert_int_equal(go(&rig, process, AT + 100 * PAGE_SIZE, 50, AT + 3 * GIB, 50), USER_OK);
	uint32_t huge, count = rig.mm.users->ops->huge_map_count(rig.mm.users, whole, &huge);
	assert_int_equal(count, FRAMES_OF_HUGE + 2);
	assert_int_equal(huge, 2);
	rig.mm.users->ops->referenced(rig.mm.users, whole, &executable, 0);
	mm_rig_touch(&rig.mm, process, AT + 3 * GIB + 7 * PAGE_SIZE, 1, ACCESS_LOAD, 0);
	assert_int_equal(rig.mm.users->ops->referenced(rig.mm.users, whole, &executable, 0), 1);
	/* All of it goes to the device, and comes back. */
	for (unsigned pass = 0; pass < 4; pass++) {
		pages_rig_shrink(&rig, 0, UINT32_MAX);
		page_lru_wait_until(rig.lru, 0, rig.lru->swap_device.last_done_ns);
		page_lru_drain(rig.lru, 0);
	}
	pages_rig_check(&rig);
	uint32_t slot = pages_rig_slot(&rig, process, AT + 2 * GIB + PAGE_SIZE);
	assert_int_equal(pages_rig_slot(&rig, child, AT + HUGE + 2 * PAGE_SIZE), slot);
	assert_int_equal(swap_entries(&rig.lru->swap, slot), 3);
	assert_int_equal(pages_rig_slot(&rig, process, AT + 3 * GIB), pages_rig_slot(&rig, child, AT + 100 * PAGE_SIZE));
	/* An entry that names a slot moves like another. */
	assert_int_equal(go(&rig, process, AT + 2 * GIB, 4, AT + 5 * GIB, 4), USER_OK);
	assert_int_equal(pages_rig_slot(&rig, process, AT + 5 * GIB + PAGE_SIZE), slot);
	mm_rig_touch(&rig.mm, process, AT + 5 * GIB, 4, ACCESS_STORE, 0);
	mm_rig_touch(&rig.mm, second, AT + 2 * GIB, 4, ACCESS_LOAD, 0);
	pages_rig_check(&rig);
	pages_rig_end(&rig);
}

/* A page allocator that has so many tables left. */
struct scarce {
	struct page_allocator *pages;
	unsigned tables;
};

static pfn scarce_alloc(void *context, unsigned order, gfp flags, unsigned cpu)
{
	struct scarce *scarce = context;
	if (order == 0 && flags == GFP_TABLE && scarce->tables-- == 0)
		return PFN_NONE;
	return page_alloc_unsupplied(scarce->pages, order, flags, cpu);
}

static enum page_free_result scarce_free(void *context, pfn first, unsigned order, unsigned cpu)
{
	return page_free_unsupplied(((struct scarce *)context)->pages, first, order, cpu);
}

/*
 * A move of three tables' pages to where it takes a table of tables and four of pages: with fewer all is where it was, some of it
 * having been moved to and fro. Would catch: pages on both sides, a new area that stays, a table lost.
 */
static void without_memory_all_stays(void **state)
{
	(void)state;
	for (unsigned tables = 0; tables <= 5; tables++) {
		struct pages_rig rig;
		process_id process = begin(&rig, THP_NEVER, 3 * FRAMES_OF_HUGE);
		for (unsigned table = 0; table < 3; table++)
			write_pages(&rig, process, AT + table * HUGE + HUGE - PAGE_SIZE, 1);
		struct scarce scarce = {rig.mm.pages, tables};
		const struct page_supply supply = {scarce_alloc, scarce_free, &scarce};
		struct process_view before, after;
		rig.mm.users->ops->view(rig.mm.users, process, &before);
		rig.mm.pages->supply = &supply;
		enum user_result result = go(&rig, process, AT, 3 * FRAMES_OF_HUGE, AT + GIB + PAGE_SIZE, 3 * FRAMES_OF_HUGE);
		rig.mm.pages->supply = NULL;
		assert_int_equal(result, tables < 5 ? USER_NO_MEMORY : USER_OK);
		/* Of the first table's pages the last one is in a table of its own. */
		assert_int_equal(rig.mm.mm->counters.moved_entries, tables < 3 ? 0 : tables < 5 ? 2 * (tables - 2) : 3);
		rig.mm.users->ops->view(rig.mm.users, process, &after);
		assert_int_equal(after.areas, before.areas);
		assert_int_equal(after.anonymous, before.anonymous);
		assert_int_equal(after.tables, tables < 5 ? before.tables : before.tables + 1);
		uint64_t at = result == USER_OK ? AT + GIB + PAGE_SIZE : AT, faults = rig.mm.mm->counters.faults;
		for (unsigned table = 0; table < 3; table++)
			mm_rig_touch(&rig.mm, process, at + table * HUGE + HUGE - PAGE_SIZE, 1, ACCESS_LOAD, 0);
		assert_int_equal(rig.mm.mm->counters.faults, faults);
		pages_rig_end(&rig);
	}
}

/*
 * Three pages go over the last two of an area and the place behind it: what was there is unmapped, the rest of it stays. Would
 * catch: a move that is refused, pages in the way that stay mapped, more unmapped than the new place takes.
 */
static void what_is_in_the_way_goes(void **state)
{
	(void)state;
	struct pages_rig rig;
	process_id process = begin(&rig, THP_NEVER, 3);
	uint64_t other = AT + 16 * PAGE_SIZE;
	struct process_view before, after;
	mm_rig_map(&rig.mm, process, other, 4, USER_ANONYMOUS, 0);
	write_pages(&rig, process, AT, 3);
	write_pages(&rig, process, other, 4);
	pfn moved = mm_rig_frame(&rig.mm, process, AT), stays = mm_rig_frame(&rig.mm, process, other + PAGE_SIZE);
	rig.mm.users->ops->view(rig.mm.users, process, &before);
	assert_int_equal(go(&rig, process, AT, 3, other + 2 * PAGE_SIZE, 3), USER_OK);
	assert_int_equal(mm_rig_frame(&rig.mm, process, other + 2 * PAGE_SIZE).nr, moved.nr);
	assert_int_equal(mm_rig_frame(&rig.mm, process, other + PAGE_SIZE).nr, stays.nr);
	rig.mm.users->ops->view(rig.mm.users, process, &after);
	assert_int_equal(after.anonymous, before.anonymous - 2);
	/* Over itself is no move. */
	assert_int_equal(go(&rig, process, other, 2, other + PAGE_SIZE, 2), USER_BAD_RANGE);
	pages_rig_end(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(by_tables_or_by_entries),  cmocka_unit_test(a_gibibyte_at_once),
	        cmocka_unit_test(huge_pages_go_whole),      cmocka_unit_test(reclaim_finds_what_moved),
	        cmocka_unit_test(without_memory_all_stays), cmocka_unit_test(what_is_in_the_way_goes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
