/* SPDX-License-Identifier: MIT
 *
 * test_khugepaged.c - what khugepaged makes huge pages of, how many in a scan, and what that takes, counted by hand from the
 * rules of Linux 6.1's mm/khugepaged.c; each test names the mistake it would catch.
 *
 * Small pages come by where huge ones are given at faults: a read gets the huge zero page, and the write behind it takes that
 * apart.
 */
#include "tests/unit/mm_rig.h"

#define CPUS 4
#define SECOND 1000000000ull

/* `shape` may change the settings of khugepaged; NULL: the kernel's. */
static void begin(struct mm_rig *rig, const struct khugepaged_settings *shape)
{
	mm_rig_init(rig, 256ull << 20, CPUS);
	rig->settings.kernel.thp = THP_ALWAYS;
	if (shape)
		rig->settings.kernel.khugepaged = *shape;
	mm_rig_make(rig, "ideal", "ideal", true);
}

static struct khugepaged_settings defaults(void)
{
	struct settings settings;
	settings_init(&settings);
	struct khugepaged_settings shape = settings.kernel.khugepaged;
	settings_release(&settings);
	return shape;
}

/* `pages` small pages at the beginning of the range of 2 MiB with that number, the rest zero pages. */
static void make_small(struct mm_rig *rig, process_id process, uint64_t range, uint64_t pages)
{
	mm_rig_touch(rig, process, BASE + range * HUGE_BYTES, 1, ACCESS_LOAD, 0);
	mm_rig_touch(rig, process, BASE + range * HUGE_BYTES, pages, ACCESS_STORE, 0);
}

static void turn(struct mm_rig *rig, uint64_t now_ns)
{
	steps_clear(&rig->steps);
	rig->steps.now_ns = now_ns;
	user_memory_tick(rig->users, 0, now_ns);
	user_memory_check(rig->users);
}

/* A process with so many ranges, each of which has `pages` small pages. */
static process_id sparse(struct mm_rig *rig, uint64_t ranges, uint64_t pages)
{
	process_id process = user_create(rig->users, 0);
	mm_rig_map(rig, process, BASE, ranges * FRAMES_OF_HUGE, USER_ANONYMOUS, 0);
	for (uint64_t range = 0; range < ranges; range++)
		make_small(rig, process, range, pages);
	return process;
}

/*
 * Twenty ranges with one page each. The first fault wakes the daemon at once; each collapse costs 512 steps and one for the
 * address space that is begun anew behind it, so a scan of 4,096 has room for eight (7 * 513 < 4096 <= 8 * 513), each 10 s. The
 * third scan has four left; then it comes to the end by way of the stack (2 steps), begins anew, and with 2,042 steps left looks
 * at four huge pages. Of each range one page is copied and 511 are cleared, and three CPUs are interrupted. Would catch: ranges
 * lost or counted twice, a collapse without its step, a scan that goes on for ever, a sleep of another length.
 */
static void eight_ranges_a_scan(void **state)
{
	(void)state;
	struct mm_rig rig;
	begin(&rig, NULL);
	assert_true(rig.users->next_tick_ns == UINT64_MAX);
	process_id process = sparse(&rig, 20, 1);
	const struct mm_counters *counters = &rig.mm->counters;
	assert_true(rig.users->next_tick_ns == 0);
	uint64_t anonymous = counters->anonymous_pages, tables = counters->table_pages;
	static const uint64_t collapsed[] = {8, 16, 20, 20}, mapped[] = {0, 0, 4, 12};
	for (unsigned i = 0; i < 4; i++) {
		turn(&rig, i * 10 * SECOND);
		assert_int_equal(counters->khugepaged_pages_collapsed, collapsed[i]);
		assert_int_equal(counters->thp_scan_pmd_mapped, mapped[i]);
		assert_true(rig.users->next_tick_ns == (i + 1) * 10 * SECOND);
	}
	assert_int_equal(counters->khugepaged_full_scans, 1);
	assert_int_equal(counters->thp_collapse_copied, 20);
	assert_int_equal(counters->thp_collapse_cleared, 20 * 511);
	assert_int_equal(counters->thp_collapse_sync_ipis, 20 * (CPUS - 1));
	/* The pages that were there are gone; each table is kept for its huge page. */
	assert_int_equal(counters->anonymous_pages, anonymous - 20 + 20 * FRAMES_OF_HUGE);
	assert_int_equal(counters->table_pages, tables);
	struct process_view view;
	assert_true(rig.users->ops->view(rig.users, process, &view));
	assert_int_equal(view.huge, 20 * FRAMES_OF_HUGE);
	/* Written to without a fault. */
	uint64_t faults = counters->faults;
	mm_rig_touch(&rig, process, BASE, 20 * FRAMES_OF_HUGE, ACCESS_STORE, 0);
	assert_int_equal(counters->faults, faults);
	user_exit(rig.users, process, 0);
	mm_rig_end(&rig);
}

/* With max_ptes_none 510 one page is too few, and two are enough. Would catch: a limit that is off by one, or forgotten. */
static void few_pages_are_refused(void **state)
{
	(void)state;
	struct mm_rig rig;
	struct khugepaged_settings shape = defaults();
	shape.max_ptes_none = 510;
	begin(&rig, &shape);
	process_id process = sparse(&rig, 2, 1);
	mm_rig_touch(&rig, process, BASE + HUGE_BYTES, 2, ACCESS_STORE, 0);
	turn(&rig, 0);
	assert_int_equal(rig.mm->counters.thp_scan_exceed_none_pte, 1);
	assert_int_equal(rig.mm->counters.khugepaged_pages_collapsed, 1);
	mm_rig_end(&rig);
}

/* What nobody used since its accessed bits were cleared stays small. Would catch: pages that a process has left behind made huge.
 */
static void old_pages_are_refused(void **state)
{
	(void)state;
	struct mm_rig rig;
	begin(&rig, NULL);
	process_id process = sparse(&rig, 1, 3);
	bool executable;
	for (unsigned i = 0; i < 3; i++)
		rig.users->ops->referenced(rig.users, mm_rig_frame(&rig, process, BASE + i * PAGE_SIZE), &executable, 0);
	turn(&rig, 0);
	assert_int_equal(rig.mm->counters.thp_scan_lack_referenced, 1);
	assert_int_equal(rig.mm->counters.thp_collapse_alloc, 0);
	mm_rig_touch(&rig, process, BASE, 1, ACCESS_LOAD, 0);
	turn(&rig, 10 * SECOND);
	assert_int_equal(rig.mm->counters.khugepaged_pages_collapsed, 1);
	assert_int_equal(rig.mm->counters.thp_collapse_copied, 3);
	mm_rig_end(&rig);
}

/*
 * Behind fork() 257 shared pages are too many (max_ptes_shared 256). 256 of them are not, but nothing may be written; a write to
 * one makes that page the parent's own, and the range collapses: the child keeps the 257 frames, and is alone with all. Would
 * catch: pages of others freed or taken along, a page that is write-protected made writable.
 */
static void shared_pages_are_copied(void **state)
{
	(void)state;
	struct mm_rig rig;
	begin(&rig, NULL);
	process_id parent = sparse(&rig, 1, 257);
	process_id child = user_fork(rig.users, parent, false, 0);
	/* Both address spaces. */
	turn(&rig, 0);
	assert_int_equal(rig.mm->counters.thp_scan_exceed_shared_pte, 2);
	mm_rig_touch(&rig, parent, BASE + 256 * PAGE_SIZE, 1, ACCESS_STORE, 0);
	/* Now the child has one page alone: which it may not write to. */
	turn(&rig, 10 * SECOND);
	assert_int_equal(rig.mm->counters.thp_scan_page_ro, 1);
	assert_int_equal(rig.mm->counters.khugepaged_pages_collapsed, 1);
	assert_int_equal(rig.mm->counters.thp_collapse_copied, 257);
	struct process_view view;
	assert_true(rig.users->ops->view(rig.users, parent, &view));
	assert_int_equal(view.huge, FRAMES_OF_HUGE);
	for (unsigned i = 0; i < 257; i++)
		assert_int_equal(rig.users->ops->map_count(rig.users, mm_rig_frame(&rig, child, BASE + i * PAGE_SIZE)), 1);
	mm_rig_end(&rig);
}

/* A swap device whose pages come at once, or not at all. */
struct device {
	struct mm_rig *rig;
	bool waits;
	uint32_t asked;
};

static pfn bring_in(void *context, const struct user_swap_fault *fault, unsigned cpu, bool *alone)
{
	struct device *device = context;
	device->asked++;
	assert_non_null(fault->waits);
	*fault->waits = device->waits;
	*alone = true;
	return device->waits ? PFN_NONE : page_alloc(device->rig->pages, 0, GFP_HIGHUSER_MOVABLE, cpu);
}

static void swap_out(struct mm_rig *rig, process_id process, uint64_t first, uint64_t pages)
{
	bool dirty;
	for (uint64_t i = first; i < first + pages; i++) {
		pfn frame = mm_rig_frame(rig, process, BASE + i * PAGE_SIZE);
		assert_int_equal(rig->users->ops->unmap_page(rig->users, frame, i + 1, &dirty, 0), 1);
		assert_int_equal(page_free(rig->pages, frame, 0, 0), PAGE_FREE_OK);
	}
}

/*
 * Of 400 pages 65 are in swap: too many (max_ptes_swap 64). With 64 of 320, and 256 used, all are brought in; where the device
 * has to be waited for the first one ends it, and the huge page goes back. With 255 used it is not tried. Would catch: limits off
 * by one, a huge page lost, a fault counted for what the daemon brings in.
 */
static void swapped_pages_come_back(void **state)
{
	(void)state;
	static const struct {
		uint32_t pages, out;
		bool waits;
		uint32_t asked, collapsed;
	} cases[] = {{400, 65, false, 0, 0}, {320, 64, false, 64, 1}, {320, 64, true, 1, 0}, {319, 64, false, 0, 0}};
	for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct mm_rig rig;
		begin(&rig, NULL);
		struct device device = {.rig = &rig, .waits = cases[i].waits};
		rig.users->watcher.swap_in = bring_in;
		rig.users->watcher.context = &device;
		process_id process = sparse(&rig, 1, cases[i].pages);
		swap_out(&rig, process, 0, cases[i].out);
		uint64_t faults = rig.mm->counters.faults, held = rig.pages->allocated_pages;
		turn(&rig, 0);
		assert_int_equal(device.asked, cases[i].asked);
		assert_int_equal(rig.mm->counters.khugepaged_pages_collapsed, cases[i].collapsed);
		assert_int_equal(rig.mm->counters.thp_scan_exceed_swap_pte, i == 0);
		assert_int_equal(rig.mm->counters.thp_scan_swap_in_failed, cases[i].waits);
		assert_int_equal(rig.mm->counters.thp_scan_lack_referenced, i == 3);
		assert_int_equal(rig.mm->counters.thp_collapse_swapped_in, cases[i].collapsed * cases[i].out);
		assert_int_equal(rig.mm->counters.faults, faults);
		if (!cases[i].collapsed)
			assert_int_equal(rig.pages->allocated_pages, held);
		mm_rig_end(&rig);
	}
}

/*
 * The table leaves the tree and every CPU with the address space drops all its translations (512 pages > 33) before a page is
 * copied; then all CPUs are interrupted, the one that has nothing to do with it too. Would catch: a copy that a thread still
 * writes to, a walker that is not waited for.
 */
static void translations_go_before_the_copy(void **state)
{
	(void)state;
	struct mm_rig rig;
	begin(&rig, NULL);
	process_id process = sparse(&rig, 1, 5);
	process_id thread = user_fork(rig.users, process, true, 0);
	mm_rig_touch(&rig, thread, BASE, 1, ACCESS_LOAD, 1);
	turn(&rig, 0);
	uint32_t at = 0, waits = 0, flushed = 0, empty = 0, copies = 0;
	for (; at < rig.steps.count; at++) {
		const struct step *step = &rig.steps.at[at];
		waits += step->kind == STEP_IPI_WAIT;
		flushed += step->kind == STEP_IPI && step->address == STEP_USER_ADDRESSES;
		empty += step->kind == STEP_IPI && step->address == STEP_NO_ADDRESS;
		if (step->kind == STEP_READ && step->bytes == PAGE_SIZE) {
			copies++;
			assert_int_equal(waits, 2);
		}
	}
	assert_int_equal(flushed, 1);
	assert_int_equal(empty, CPUS - 1);
	assert_int_equal(copies, 5);
	assert_int_equal(mm_rig_steps(&rig, STEP_WRITE, PAGE_SIZE), FRAMES_OF_HUGE);
	/* The process that had the CPU goes on there, under tables that are loaded anew: the daemon's flush let go of them. */
	assert_int_equal(rig.mm->cpu[0].current, process.nr);
	assert_false(rig.mm->cpu[0].lazy);
	assert_true(rig.mm->cpu[0].loaded == rig.mm->processes[process.nr].space);
	mm_rig_end(&rig);
}

/* No page of order 9. */
static pfn small_only(void *context, unsigned order, gfp flags, unsigned cpu)
{
	const struct mm_rig *rig = context;
	return order == HUGE_ORDER ? PFN_NONE : page_alloc_unsupplied(rig->pages, order, flags, cpu);
}

static enum page_free_result give(void *context, pfn first, unsigned order, unsigned cpu)
{
	const struct mm_rig *rig = context;
	return page_free_unsupplied(rig->pages, first, order, cpu);
}

/*
 * Without a page of order 9 a scan sleeps 60 s in its middle, tries the next range, and sleeps 10 s when that fails, too; a
 * process that comes onto the list meanwhile does not wake it. Would catch: a daemon that never stops to try.
 */
static void want_of_pages_sleeps(void **state)
{
	(void)state;
	struct mm_rig rig;
	begin(&rig, NULL);
	sparse(&rig, 3, 1);
	const struct page_supply supply = {.alloc = small_only, .free = give, .context = &rig};
	rig.pages->supply = &supply;
	turn(&rig, 0);
	assert_int_equal(rig.mm->counters.thp_collapse_alloc_failed, 1);
	assert_true(rig.users->next_tick_ns == 60 * SECOND);
	sparse(&rig, 1, 1);
	assert_true(rig.users->next_tick_ns == 60 * SECOND);
	turn(&rig, 60 * SECOND);
	assert_int_equal(rig.mm->counters.thp_collapse_alloc_failed, 2);
	assert_int_equal(rig.mm->counters.khugepaged_wakes, 1);
	assert_true(rig.users->next_tick_ns == 70 * SECOND);
	rig.pages->supply = NULL;
	turn(&rig, 70 * SECOND);
	/* The third range; the other process; and the first two, as the list begins anew. */
	assert_int_equal(rig.mm->counters.khugepaged_pages_collapsed, 4);
	mm_rig_end(&rig);
}

/*
 * The address space that the daemon stands in outlives its process until the next turn; others leave the list at once, and
 * without any it sleeps until somebody comes. Would catch: a leak, a walk of freed tables, a daemon that wakes for nothing.
 */
static void exits_are_followed(void **state)
{
	(void)state;
	struct mm_rig rig;
	struct khugepaged_settings shape = defaults();
	shape.pages_to_scan = 1;
	begin(&rig, &shape);
	process_id first = sparse(&rig, 2, 1), second = sparse(&rig, 1, 1);
	turn(&rig, 0);
	assert_int_equal(rig.mm->counters.khugepaged_pages_collapsed, 1);
	user_exit(rig.users, second, 0);
	assert_int_equal(rig.mm->counters.khugepaged_slots, 1);
	user_exit(rig.users, first, 0);
	user_switch(rig.users, PROCESS_NONE, 0);
	assert_int_equal(rig.mm->counters.khugepaged_slots, 1);
	user_memory_check(rig.users);
	turn(&rig, 10 * SECOND);
	assert_int_equal(rig.mm->counters.khugepaged_slots, 0);
	assert_true(rig.users->next_tick_ns == UINT64_MAX);
	rig.steps.now_ns = 15 * SECOND;
	sparse(&rig, 1, 1);
	assert_true(rig.users->next_tick_ns == 15 * SECOND);
	/* At the end it stands in a live one: destroy() follows. */
	turn(&rig, 15 * SECOND);
	mm_rig_end(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(eight_ranges_a_scan),     cmocka_unit_test(few_pages_are_refused),
	        cmocka_unit_test(old_pages_are_refused),   cmocka_unit_test(shared_pages_are_copied),
	        cmocka_unit_test(swapped_pages_come_back), cmocka_unit_test(translations_go_before_the_copy),
	        cmocka_unit_test(want_of_pages_sleeps),    cmocka_unit_test(exits_are_followed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
