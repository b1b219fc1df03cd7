/* SPDX-License-Identifier: MIT
 *
 * test_lru_steps.c - what lists and batches of the LRU touch, step by step: how often the lists' lock is taken, and for which
 * pages (Linux 6.1 mm/swap.c: folio_batch_move_lru(), release_pages(); mm/vmscan.c: shrink_inactive_list()).
 */
#include "tests/unit/pages_rig.h"

#define LOCK_OFFSET 80u /* of struct lruvec: behind five list heads */

static process_id begin(struct pages_rig *rig)
{
	mm_rig_init(&rig->mm, 64ull << 20, 1);
	rig->mm.settings.kernel.thp = THP_NEVER;
	rig->mm.settings.swap.bytes = 64ull << 20;
	pages_rig_make(rig, true);
	process_id process = user_create(rig->mm.users, 0);
	mm_rig_map(&rig->mm, process, BASE, 1000, USER_ANONYMOUS, 0);
	/* The page of arguments goes to its list, which the first line of it makes known. */
	page_lru_drain(rig->lru, 0);
	steps_clear(&rig->mm.steps);
	return process;
}

/* Steps of a kind on bytes of the node's lruvec; each lock that is taken is given up. */
static uint32_t steps_on(const struct pages_rig *rig, enum step_kind kind, uint32_t from, uint32_t bytes)
{
	uint64_t at = rig->lru->places.lruvec[0] + from;
	uint32_t count = 0;
	for (uint32_t i = 0; i < rig->mm.steps.count; i++) {
		const struct step *step = &rig->mm.steps.at[i];
		count += step->kind == kind && step->address >= at && step->address < at + bytes;
	}
	return count;
}

static uint32_t locks(const struct pages_rig *rig)
{
	uint32_t taken = steps_on(rig, STEP_LOCK, LOCK_OFFSET, 4);
	assert_int_equal(taken, steps_on(rig, STEP_UNLOCK, LOCK_OFFSET, 4));
	return taken;
}

/*
 * Of 15 faults one takes the lock, for all of them: 15 pages come to the head of the inactive list, whose pointer is written each
 * time. Each page has its own place in the CPU's batch. Would catch: a lock for each page, none at all, pages that come to the
 * list one by one.
 */
static void one_lock_for_fifteen(void **state)
{
	(void)state;
	struct pages_rig rig;
	process_id process = begin(&rig);
	const uint64_t batch = layout_per_cpu(&rig.mm.layout, rig.lru->places.batches, 0).addr;
	for (unsigned page = 0; page < 2 * PAGEVEC_SIZE; page++) {
		mm_rig_touch(&rig.mm, process, BASE + page * PAGE_SIZE, 1, ACCESS_STORE, 0);
		bool full = page % PAGEVEC_SIZE == PAGEVEC_SIZE - 1;
		assert_int_equal(locks(&rig), full);
		assert_int_equal(steps_on(&rig, STEP_WRITE, 0, 8), full ? PAGEVEC_SIZE : 0);
		uint32_t places = 0;
		for (uint32_t i = 0; i < rig.mm.steps.count; i++)
			places += rig.mm.steps.at[i].kind == STEP_WRITE && rig.mm.steps.at[i].bytes == 8 &&
			          rig.mm.steps.at[i].address == batch + 8 + 8 * (page % PAGEVEC_SIZE);
		assert_int_equal(places, 1);
	}
	pages_rig_end(&rig);
}

/*
 * A pass over 31 pages, all used: one lock to take them off the list, one to put them back, one for the costs, which are noted
 * though there were none. Each page is referenced by a compare-and-exchange. Would catch: a pass that holds no lock, or one a
 * page.
 */
static void a_pass_of_reclaim(void **state)
{
	(void)state;
	struct pages_rig rig;
	process_id process = begin(&rig);
	mm_rig_touch(&rig.mm, process, BASE, 2 * PAGEVEC_SIZE, ACCESS_STORE, 0);
	steps_clear(&rig.mm.steps);
	assert_int_equal(pages_rig_shrink(&rig, 0, 32), 0);
	assert_int_equal(rig.lru->counters.pgscan_anon, 2 * PAGEVEC_SIZE + 1);
	assert_int_equal(locks(&rig), 3);
	assert_int_equal(steps_on(&rig, STEP_UPDATE, 88, 24), 1);
	assert_int_equal(mm_rig_steps(&rig.mm, STEP_CMPXCHG, 4), 2 * PAGEVEC_SIZE + 1);
	/* Off the list each page writes the pointer of the head or of its neighbour, on it again the head's. */
	assert_int_equal(steps_on(&rig, STEP_WRITE, 8, 8), 2 * PAGEVEC_SIZE + 1 + 1);
	pages_rig_end(&rig);
}

/* Pages that go take the lock once for 32 (release_pages()). Would catch: a lock for each page that a process gives up. */
static void one_lock_for_thirty_two_that_go(void **state)
{
	(void)state;
	struct pages_rig rig;
	process_id process = begin(&rig);
	mm_rig_touch(&rig.mm, process, BASE, 330, ACCESS_STORE, 0);
	page_lru_drain(rig.lru, 0);
	steps_clear(&rig.mm.steps);
	assert_int_equal(user_unmap(rig.mm.users, process, BASE, 320, 0), USER_OK);
	assert_int_equal(locks(&rig), 10);
	steps_clear(&rig.mm.steps);
	assert_int_equal(user_unmap(rig.mm.users, process, BASE + 320 * PAGE_SIZE, 10, 0), USER_OK);
	assert_int_equal(locks(&rig), 1);
	pages_rig_end(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(one_lock_for_fifteen),
	        cmocka_unit_test(a_pass_of_reclaim),
	        cmocka_unit_test(one_lock_for_thirty_two_that_go),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
