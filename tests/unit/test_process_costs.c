/* SPDX-License-Identifier: MIT
 *
 * test_process_costs.c - which of the settings cost.* a path of a process is paid by, and how often; by the way that the kernel
 * goes (mm/memory.c, mm/rmap.c, kernel/fork.c of Linux 6.1), worked out by hand. Each setting is a place of a number to base 64,
 * all others are 0, so that the sum of a path's instructions tells how often it paid each.
 */
#include "models/page_reclaim/process_pages.h"
#include "tests/unit/mm_rig.h"

#define PLACES 5
#define FILE_NUMBER 3

struct rig {
	struct mm_rig mm;
	struct process_pages *kept;
	process_id process;
};

static uint32_t place(unsigned nr)
{
	return 1u << (6 * nr);
}

static void begin(struct rig *rig, const struct cost_settings *cost)
{
	mm_rig_init(&rig->mm, 64ull << 20, 1);
	rig->mm.settings.kernel.thp = THP_NEVER;
	rig->mm.settings.cost = *cost;
	mm_rig_make(&rig->mm, "buddy", "slub", true);
	rig->kept = process_pages_create(&rig->mm.settings, rig->mm.pages, &rig->mm.layout, &rig->mm.steps, rig->mm.users);
	rig->process = user_create(rig->mm.users, 0);
	mm_rig_map(&rig->mm, rig->process, BASE, 64, USER_ANONYMOUS, 0);
	mm_rig_touch(&rig->mm, rig->process, BASE + 63 * PAGE_SIZE, 1, ACCESS_STORE, 0); /* the tables are there */
	steps_clear(&rig->mm.steps);
}

static void end(struct rig *rig)
{
	user_memory_check(rig->mm.users);
	user_memory_destroy(rig->mm.users);
	process_pages_destroy(rig->kept);
	mm_rig_release(&rig->mm);
}

static uint64_t spent(const struct rig *rig)
{
	uint64_t sum = 0;
	for (uint32_t i = 0; i < rig->mm.steps.count; i++) {
		const struct step *step = &rig->mm.steps.at[i];
		sum += step->kind == STEP_SPEND || step->kind == STEP_RUN ? step->bytes : 0;
	}
	return sum;
}

/* How often the setting of a place was paid since the steps were cleared. */
static unsigned times(const struct rig *rig, unsigned nr)
{
	assert_true(nr < PLACES && spent(rig) < 1ull << (6 * PLACES));
	return (unsigned)(spent(rig) >> (6 * nr) & 63);
}

static unsigned exceptions(const struct rig *rig)
{
	return mm_rig_steps(&rig->mm, STEP_IRQS, IRQS_EXCEPTION);
}

/*
 * A page read first comes as the zero page, is copied at its write, and made anew as a neighbour's is; what a child left is taken
 * as it is. Would catch: a page of zeroes that pays for the zero page too, or the zero page for it; a copy where there was none;
 * a fault without its exception.
 */
static void each_fault_pays_for_its_kind(void **state)
{
	(void)state;
	struct cost_settings cost = {.fault = place(0),
	                             .fault_zero = place(1),
	                             .fault_anonymous = place(2),
	                             .fault_copy = place(3),
	                             .fault_reuse = place(4)};
	static const struct {
		uint64_t page;
		enum access_kind kind;
		unsigned paid[PLACES];
	} cases[] = {{0, ACCESS_LOAD, {1, 1, 0, 0, 0}},
	             {0, ACCESS_STORE, {1, 0, 0, 1, 0}},
	             {1, ACCESS_STORE, {1, 0, 1, 0, 0}},
	             {1, ACCESS_STORE, {0, 0, 0, 0, 0}}};
	struct rig rig;
	begin(&rig, &cost);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		mm_rig_touch(&rig.mm, rig.process, BASE + cases[i].page * PAGE_SIZE, 1, cases[i].kind, 0);
		assert_int_equal(exceptions(&rig), cases[i].paid[0]);
		for (unsigned nr = 0; nr < PLACES; nr++)
			assert_int_equal(times(&rig, nr), cases[i].paid[nr]);
	}
	user_exit(rig.mm.users, user_fork(rig.mm.users, rig.process, false, 0), 0);
	mm_rig_touch(&rig.mm, rig.process, BASE + PAGE_SIZE, 1, ACCESS_STORE, 0);
	assert_int_equal(spent(&rig), place(0) + place(4));
	end(&rig);
}

/*
 * A read of a file looks round it and finds nothing, then its page; the next finds 15 more beside its own, and looks no further;
 * a private page's write is a copy, shared memory's first a new page. Would catch: a search for a page that the look round it has
 * mapped; one that a write makes; a copy or a new page that pays for nothing.
 */
static void files_pay_for_what_is_looked_at(void **state)
{
	(void)state;
	struct cost_settings cost = {.fault_file = place(0),
	                             .fault_around = place(1),
	                             .fault_around_page = place(2),
	                             .fault_file_copy = place(3),
	                             .fault_shared_new = place(4)};
	struct rig rig;
	begin(&rig, &cost);
	struct user_area_request file = {.start = BASE + 512 * PAGE_SIZE,
	                                 .pages = 16,
	                                 .kind = USER_FILE_SHARED,
	                                 .rights = USER_READ | USER_WRITE,
	                                 .file = FILE_NUMBER};
	assert_int_equal(user_map(rig.mm.users, rig.process, &file, 0), USER_OK);
	for (unsigned nr = 0; nr < 16; nr++)
		mm_rig_touch(&rig.mm, rig.process, file.start + nr * PAGE_SIZE, 1, ACCESS_STORE, 0);
	assert_int_equal(spent(&rig), place(0));
	file.start += 512 * PAGE_SIZE;
	file.kind = USER_FILE_PRIVATE;
	assert_int_equal(user_map(rig.mm.users, rig.process, &file, 0), USER_OK);
	mm_rig_touch(&rig.mm, rig.process, file.start, 1, ACCESS_LOAD, 0);
	assert_int_equal(spent(&rig), place(1) + 16 * place(2));
	file.start += 512 * PAGE_SIZE;
	assert_int_equal(user_map(rig.mm.users, rig.process, &file, 0), USER_OK);
	mm_rig_touch(&rig.mm, rig.process, file.start, 1, ACCESS_STORE, 0);
	assert_int_equal(spent(&rig), place(0) + place(3));
	mm_rig_map(&rig.mm, rig.process, file.start + 512 * PAGE_SIZE, 16, USER_SHARED, 0);
	mm_rig_touch(&rig.mm, rig.process, file.start + 512 * PAGE_SIZE, 1, ACCESS_LOAD, 0);
	assert_int_equal(spent(&rig), place(0) + place(1) + place(4));
	mm_rig_touch(&rig.mm, rig.process, file.start + 512 * PAGE_SIZE, 1, ACCESS_STORE, 0);
	assert_int_equal(spent(&rig), 0);
	end(&rig);
}

/*
 * fork() of three areas, of which two have pages (the stack is one), copies two entries; at the child's end three areas go, two
 * of them with their anon_vmas, two entries, and no page. Would catch: an area that pays as one with pages does; pages that are
 * let go of while the parent has them.
 */
static void areas_pay_by_what_they_have(void **state)
{
	(void)state;
	struct cost_settings cost = {.fork_area = place(0), .fork_anon_vma = place(1), .fork_entry = place(2)};
	struct rig rig;
	begin(&rig, &cost);
	mm_rig_map(&rig.mm, rig.process, BASE + 1024 * PAGE_SIZE, 4, USER_ANONYMOUS, 0);
	steps_clear(&rig.mm.steps);
	user_fork(rig.mm.users, rig.process, false, 0);
	assert_int_equal(spent(&rig), 3 * place(0) + 2 * place(1) + 2 * place(2));
	end(&rig);

	cost = (struct cost_settings){
	        .exit_area = place(0), .unlink_anon_vma = place(1), .unmap_entry = place(2), .release_page = place(3)};
	begin(&rig, &cost);
	mm_rig_map(&rig.mm, rig.process, BASE + 1024 * PAGE_SIZE, 4, USER_ANONYMOUS, 0);
	process_id child = user_fork(rig.mm.users, rig.process, false, 0);
	steps_clear(&rig.mm.steps);
	user_exit(rig.mm.users, child, 0);
	assert_int_equal(spent(&rig), 3 * place(0) + 2 * place(1) + 2 * place(2));
	steps_clear(&rig.mm.steps);
	user_exit(rig.mm.users, rig.process, 0);
	assert_int_equal(spent(&rig), 3 * place(0) + 2 * place(1) + 2 * place(2) + 2 * place(3));
	end(&rig);
}

/*
 * The first page far from all others takes a table of entries, and munmap() of its area takes that away and lets go of the page;
 * a second page beside it takes none. Would catch: tables for nothing; a page's free paid twice.
 */
static void tables_pay_when_they_come_and_go(void **state)
{
	(void)state;
	struct cost_settings cost = {.table_make = place(0),
	                             .table_free = place(1),
	                             .release_page = place(2),
	                             .unlink_anon_vma = place(3),
	                             .munmap = place(4)};
	const uint64_t at = BASE + 4 * 512 * PAGE_SIZE;
	struct rig rig;
	begin(&rig, &cost);
	mm_rig_map(&rig.mm, rig.process, at, 4, USER_ANONYMOUS, 0);
	mm_rig_touch(&rig.mm, rig.process, at, 1, ACCESS_STORE, 0);
	assert_int_equal(spent(&rig), place(0));
	mm_rig_touch(&rig.mm, rig.process, at + PAGE_SIZE, 1, ACCESS_STORE, 0);
	assert_int_equal(spent(&rig), 0);
	steps_clear(&rig.mm.steps);
	assert_int_equal(user_unmap(rig.mm.users, rig.process, at, 4, 0), USER_OK);
	assert_int_equal(spent(&rig), place(1) + 2 * place(2) + place(3) + place(4));
	end(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(each_fault_pays_for_its_kind),
	        cmocka_unit_test(files_pay_for_what_is_looked_at),
	        cmocka_unit_test(areas_pay_by_what_they_have),
	        cmocka_unit_test(tables_pay_when_they_come_and_go),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
