/* SPDX-License-Identifier: MIT
 *
 * test_process_pages.c - processes that have more memory than there is: fork, copies, exit and reclaim at once, on the zoned page
 * allocator; and what of it can be said by hand.
 *
 * After each batch of events all laws are proved: pages on lists, slots and the entries that name them, frames by owner.
 */
#include "models/page_reclaim/process_pages.h"
#include "sim/rng.h"
#include "tests/unit/mm_rig.h"

#define CPUS 2
#define PROCESSES 6

struct rig {
	struct mm_rig mm;
	struct process_pages *kept;
	uint64_t moved;
};

static void tell_moved(void *context, pfn from, pfn to)
{
	struct rig *rig = context;
	rig->moved += rig->mm.users->ops->moved(rig->mm.users, from, to);
}

static void begin(struct rig *rig, uint64_t swap_bytes, bool synchronous, enum thp thp)
{
	*rig = (struct rig){0};
	mm_rig_init(&rig->mm, (thp == THP_NEVER ? 64ull : 160ull) << 20, CPUS);
	rig->mm.settings.kernel.thp = thp;
	/* An event is a millisecond or more. */
	rig->mm.settings.kernel.khugepaged.scan_sleep_millisecs = 5;
	rig->mm.settings.kernel.khugepaged.alloc_sleep_millisecs = 7;
	rig->mm.settings.kernel.khugepaged.max_ptes_swap = 511;
	rig->mm.settings.kernel.khugepaged.max_ptes_shared = 511;
	rig->mm.settings.kernel.kswapd_delay = 7;
	rig->mm.settings.swap.bytes = swap_bytes;
	rig->mm.settings.swap.synchronous = synchronous;
	mm_rig_make(&rig->mm, "buddy", "slub", false);
	rig->mm.pages->moved = (struct page_moved){.tell = tell_moved, .context = rig};
	rig->kept = process_pages_create(&rig->mm.settings, rig->mm.pages, &rig->mm.layout, &rig->mm.steps, rig->mm.users);
}

static const struct lru_counters *counters_of(const struct rig *rig)
{
	return process_pages_counters(rig->kept);
}

static void check(const struct rig *rig)
{
	user_memory_check(rig->mm.users);
	page_allocator_check(rig->mm.pages);
	assert_int_equal(rig->mm.pages->allocated_pages,
	                 rig->mm.users->ops->pages_held(rig->mm.users) + rig->mm.objects->ops->pages_held(rig->mm.objects));
}

static void end(struct rig *rig)
{
	check(rig);
	user_memory_destroy(rig->mm.users);
	process_pages_destroy(rig->kept);
	object_allocator_check(rig->mm.objects);
	assert_int_equal(rig->mm.pages->allocated_pages, rig->mm.objects->ops->pages_held(rig->mm.objects));
	mm_rig_release(&rig->mm);
}

static enum user_result map(struct rig *rig, process_id process, uint64_t start, uint64_t pages, enum user_area_kind kind)
{
	const struct user_area_request request = {
	        .start = start, .pages = pages, .kind = kind, .rights = USER_READ | USER_WRITE, .file = 3};
	return user_map(rig->mm.users, process, &request, 0);
}

static enum user_result touch(struct rig *rig, process_id process, uint64_t page, uint64_t pages, bool write, unsigned cpu)
{
	const struct user_touch run = {.address = BASE + page * PAGE_SIZE,
	                               .bytes = pages * PAGE_SIZE,
	                               .stride = PAGE_SIZE,
	                               .kind = write ? ACCESS_STORE : ACCESS_LOAD};
	rig->mm.steps.now_ns += 1000000;
	if (rig->mm.users->next_tick_ns <= rig->mm.steps.now_ns)
		user_memory_tick(rig->mm.users, 0, rig->mm.steps.now_ns);
	return user_touch(rig->mm.users, process, &run, cpu);
}

/* Areas of each process: private memory, a file shared, a file private, and shared memory, which overlap memory by far. */
static void map_all(struct rig *rig, process_id process)
{
	map(rig, process, BASE, 12000, USER_ANONYMOUS);
	map(rig, process, BASE + 12000 * PAGE_SIZE, 6000, USER_FILE_SHARED);
	map(rig, process, BASE + 18000 * PAGE_SIZE, 6000, USER_FILE_PRIVATE);
	map(rig, process, BASE + 24000 * PAGE_SIZE, 5000, USER_SHARED);
}

static void one_event(struct rig *rig, struct rng *rng, process_id processes[PROCESSES])
{
	uint32_t nr = rng_below(rng, PROCESSES);
	unsigned cpu = rng_below(rng, CPUS);
	if (processes[nr].nr == UINT32_MAX) {
		uint32_t parent = rng_below(rng, PROCESSES);
		if (processes[parent].nr != UINT32_MAX)
			processes[nr] = user_fork(rig->mm.users, processes[parent], false, cpu);
		return;
	}
	uint32_t what = rng_below(rng, 100);
	if (what < 3 && nr > 0) {
		user_exit(rig->mm.users, processes[nr], cpu);
		processes[nr] = PROCESS_NONE;
	} else if (what < 6) {
		enum user_advice advice = (enum user_advice)rng_below(rng, USER_ADVICES);
		uint64_t start = rng_below(rng, 26000);
		user_advise(rig->mm.users, processes[nr], BASE + start * PAGE_SIZE, 1 + rng_below(rng, 3000), advice, cpu);
	} else if (what < 8) {
		uint64_t start = rng_below(rng, 26000);
		unsigned rights = rng_below(rng, 3) ? USER_READ | USER_WRITE : USER_READ;
		user_protect(rig->mm.users, processes[nr], BASE + start * PAGE_SIZE, 1 + rng_below(rng, 3000), rights, cpu);
	} else if (what < 10) {
		/* Elsewhere, and more or less of it, in place of what is there. */
		const struct user_remap remap = {.start = BASE + rng_below(rng, 90000) * PAGE_SIZE,
		                                 .pages = 1 + rng_below(rng, 1500),
		                                 .to = BASE + (60000 + rng_below(rng, 30000)) * PAGE_SIZE,
		                                 .new_pages = 1 + rng_below(rng, 1500)};
		user_remap(rig->mm.users, processes[nr], &remap, cpu);
	} else if (what < 13) {
		uint64_t start = rng_below(rng, 2) ? rng_below(rng, 26000) : 60000 + rng_below(rng, 30000);
		user_unmap(rig->mm.users, processes[nr], BASE + start * PAGE_SIZE, 1 + rng_below(rng, 3000), cpu);
		map_all(rig, processes[nr]);
	} else {
		uint64_t start = rng_below(rng, 5) ? rng_below(rng, 28000) : 60000 + rng_below(rng, 30000);
		touch(rig, processes[nr], start, 1 + rng_below(rng, 1000), rng_below(rng, 2), cpu);
	}
}

static void random_events(uint64_t swap_bytes, bool synchronous, enum thp thp)
{
	struct rig rig;
	struct rng rng;
	process_id processes[PROCESSES];
	begin(&rig, swap_bytes, synchronous, thp);
	rng_init(&rng, 7, "events");
	for (unsigned nr = 0; nr < PROCESSES; nr++)
		processes[nr] = PROCESS_NONE;
	processes[0] = user_create(rig.mm.users, 0);
	map_all(&rig, processes[0]);
	for (unsigned event = 0; event < (thp == THP_NEVER ? 600u : 1000u); event++) {
		one_event(&rig, &rng, processes);
		if (event % 30 == 0)
			check(&rig);
	}
	const struct lru_counters *counters = counters_of(&rig);
	assert_true(!swap_bytes || (counters->pswpin > 1000 && counters->pswpout > 1000));
	assert_true(counters->pgpgin > 1000 && counters->workingset_refault_file > 0);
	const struct mm_counters *made = rig.mm.users->ops->counters(rig.mm.users);
	assert_true(thp == THP_NEVER || made->khugepaged_pages_collapsed > 10);
	if (thp != THP_NEVER) {
		assert_true(counters->thp_deferred_split_page > 0);
		assert_true(swap_bytes > 64ull << 20 ? counters->thp_swpout > 5 : counters->thp_split_page > 0);
	}
	end(&rig);
}

/* Would catch: a slot or a frame that is lost or used twice by fork, copies, exit, munmap, moves and reclaim. */
static void everything_at_once(void **state)
{
	(void)state;
	random_events(256ull << 20, false, THP_NEVER);
	random_events(256ull << 20, true, THP_NEVER);
}

/* The device fills up: slots of pages in memory are given up, requests fail. Would catch: the same at the end of swap. */
static void a_small_device(void **state)
{
	(void)state;
	random_events(8ull << 20, false, THP_NEVER);
	random_events(0, false, THP_NEVER);
}

/*
 * Huge pages, which reclaim takes as a whole or takes apart, and of which processes have a part only. khugepaged makes more of
 * them, of pages that are in swap, on lists, in batches, or that reclaim and compaction move for it. The device has room, or too
 * little, or there is none. Would catch: a page lost on that way.
 */
static void with_huge_pages(void **state)
{
	(void)state;
	random_events(256ull << 20, false, THP_ALWAYS);
	random_events(256ull << 20, true, THP_ALWAYS);
	random_events(24ull << 20, false, THP_ALWAYS);
	random_events(0, false, THP_ALWAYS);
}

/*
 * A page that fork shares has one slot, named twice. The first to come back reads it, the second finds it in the swap cache; a
 * write of the one copies it, as the other has it still. Would catch: two frames of one page, a slot freed too early, a page
 * that is written though another process sees it.
 */
static void shared_pages_come_back_shared(void **state)
{
	(void)state;
	struct rig rig;
	begin(&rig, 256ull << 20, false, THP_NEVER);
	process_id parent = user_create(rig.mm.users, 0);
	map_all(&rig, parent);
	assert_int_equal(touch(&rig, parent, 0, 1, true, 0), USER_OK);
	process_id child = user_fork(rig.mm.users, parent, false, 0);
	/* Pressure, until the page is gone: nobody uses it meanwhile. */
	assert_int_equal(map(&rig, parent, BASE + 30000 * PAGE_SIZE, 20000, USER_ANONYMOUS), USER_OK);
	assert_int_equal(touch(&rig, parent, 30000, 20000, true, 0), USER_OK);
	assert_int_equal(touch(&rig, parent, 30000, 20000, true, 0), USER_OK);
	uint64_t faults = counters_of(&rig)->pgmajfault;
	assert_int_equal(touch(&rig, parent, 0, 1, false, 0), USER_OK);
	assert_int_equal(counters_of(&rig)->pgmajfault, faults + 1);
	assert_int_equal(touch(&rig, child, 0, 1, false, 0), USER_OK);
	assert_int_equal(counters_of(&rig)->pgmajfault, faults + 1);
	check(&rig);
	assert_int_equal(touch(&rig, child, 0, 1, true, 0), USER_OK);
	check(&rig);
	user_exit(rig.mm.users, child, 0);
	end(&rig);
}

/* So much memory that all there is goes through it twice, and what nobody uses meanwhile is gone. */
static void press(struct rig *rig, process_id process)
{
	assert_int_equal(map(rig, process, BASE + 30000 * PAGE_SIZE, 20000, USER_ANONYMOUS), USER_OK);
	for (unsigned round = 0; round < 2; round++)
		assert_int_equal(touch(rig, process, 30000, 20000, true, 0), USER_OK);
	assert_int_equal(user_unmap(rig->mm.users, process, BASE + 30000 * PAGE_SIZE, 20000, 0), USER_OK);
}

static uint64_t word_of(const struct rig *rig, process_id process, uint64_t page)
{
	struct entry entry;
	entry_find(mm_of(rig->mm.users), mm_of(rig->mm.users)->processes[process.nr].space, BASE + page * PAGE_SIZE, &entry);
	return entry_word(&entry);
}

static uint32_t frame_of(const struct rig *rig, process_id process, uint64_t page)
{
	return (uint32_t)((word_of(rig, process, page) & WORD_FRAME) >> PAGE_SHIFT);
}

/*
 * A written page of shared memory goes to a slot that the shared memory names once, whoever maps it; the first process that
 * touches it again brings it back for all, dirty, and without the slot. One that was only read is zeroes again. With read-ahead
 * off each page of the device is a fault. Would catch: a copy for each process, a slot named by page tables or never given back,
 * contents lost, a clean page written.
 */
static void shared_memory_goes_and_comes_back(void **state)
{
	(void)state;
	struct rig rig;
	begin(&rig, 256ull << 20, false, THP_NEVER);
	struct page_lru *lru = process_pages_lru(rig.kept);
	lru->spec.page_cluster = 0;
	process_id parent = user_create(rig.mm.users, 0);
	assert_int_equal(map(&rig, parent, BASE, 4, USER_SHARED), USER_OK);
	assert_int_equal(touch(&rig, parent, 0, 2, true, 0), USER_OK);
	assert_int_equal(touch(&rig, parent, 2, 2, false, 0), USER_OK);
	process_id child = user_fork(rig.mm.users, parent, false, 0);
	assert_int_equal(touch(&rig, child, 0, 4, false, 1), USER_OK);
	assert_int_equal(rig.mm.users->ops->map_count(rig.mm.users, pfn_of(frame_of(&rig, child, 0))), 2);
	bool executable;
	for (unsigned page = 0; page < 4; page++)
		assert_int_equal(rig.mm.users->ops->referenced(rig.mm.users, pfn_of(frame_of(&rig, child, page)), &executable, 0),
		                 2);
	press(&rig, parent);
	check(&rig);
	const struct mm *mm = mm_const(rig.mm.users);
	for (unsigned page = 0; page < 4; page++) {
		uint32_t place = mm->shared->frames[page];
		assert_int_equal(place != 0, page < 2);
		assert_int_equal(place >= SHARED_SWAPPED, page < 2);
		if (place)
			assert_int_equal(swap_entries(&lru->swap, place & ~SHARED_SWAPPED), 1);
	}
	uint64_t major = counters_of(&rig)->pgmajfault;
	uint32_t slot = mm->shared->frames[1] & ~SHARED_SWAPPED;
	assert_int_equal(touch(&rig, child, 1, 1, false, 1), USER_OK);
	assert_int_equal(touch(&rig, parent, 1, 3, false, 0), USER_OK);
	assert_int_equal(counters_of(&rig)->pgmajfault, major + 1);
	assert_int_equal(frame_of(&rig, child, 1), frame_of(&rig, parent, 1));
	assert_int_equal(swap_entries(&lru->swap, slot), 0);
	assert_true(page_has(lru, frame_of(&rig, parent, 1), PG_DIRTY));
	assert_false(page_has(lru, frame_of(&rig, parent, 2), PG_DIRTY));
	/* Page 0 goes with the memory, from the device. */
	assert_true(mm->shared->frames[0] >= SHARED_SWAPPED);
	/* What the child alone wrote is dirty for all when its entry goes. */
	assert_int_equal(touch(&rig, child, 3, 1, true, 1), USER_OK);
	user_exit(rig.mm.users, child, 1);
	assert_true(page_has(lru, frame_of(&rig, parent, 3), PG_DIRTY));
	user_exit(rig.mm.users, parent, 0);
	check(&rig);
	end(&rig);
}

/*
 * A device that takes a second for a write. A page of shared memory that is wanted again under its write waits for it, a private
 * one does not; what a process leaves under its writes is held until they end, and nothing of it is left then. Would catch:
 * contents that come back before they are out, a frame lost with its owner.
 */
static void wanted_and_left_under_writes(void **state)
{
	(void)state;
	struct rig rig;
	begin(&rig, 256ull << 20, false, THP_NEVER);
	struct page_lru *lru = process_pages_lru(rig.kept);
	const struct block_device_spec slow = {80000, 1000000000, 2000000000, 1000};
	block_device_init(&lru->swap_device, &slow);
	process_id process = user_create(rig.mm.users, 0);
	assert_int_equal(map(&rig, process, BASE, 10, USER_SHARED), USER_OK);
	assert_int_equal(map(&rig, process, BASE + 10 * PAGE_SIZE, 20000, USER_ANONYMOUS), USER_OK);
	assert_int_equal(touch(&rig, process, 0, 10, true, 0), USER_OK);
	uint32_t place = 0;
	const struct mm *mm = mm_const(rig.mm.users);
	for (uint64_t page = 10; page < 20000 && place < SHARED_SWAPPED; page += 50, place = mm->shared->frames[0])
		assert_int_equal(touch(&rig, process, page, 50, true, 0), USER_OK);
	uint32_t frame = swap_cache_find(&lru->swap, place & ~SHARED_SWAPPED);
	assert_true(place >= SHARED_SWAPPED && frame != SWAP_FRAME_NONE && page_has(lru, frame, PG_WRITEBACK));
	uint64_t written = lru->counters.nr_written, waits = lru->counters.io_waits, now_ns = page_lru_now(lru, 0);
	uint64_t page = 10;
	while (page < 20010 && !(word_of(&rig, process, page) & WORD_SWAP))
		page++;
	assert_int_equal(touch(&rig, process, page, 1, false, 0), USER_OK);
	assert_int_equal(lru->counters.io_waits, waits);
	assert_true(page_has(lru, frame_of(&rig, process, page), PG_WRITEBACK));
	assert_int_equal(touch(&rig, process, 0, 1, false, 0), USER_OK);
	assert_true(page_lru_now(lru, 0) > now_ns + 900000000 && lru->counters.nr_written > written);
	assert_false(page_has(lru, frame, PG_WRITEBACK));
	assert_int_equal(frame_of(&rig, process, 0), frame);
	check(&rig);
	assert_true(page_lru_counters(lru)->nr_writeback > 0);
	user_exit(rig.mm.users, process, 0);
	check(&rig);
	assert_true(page_lru_counters(lru)->nr_lru_pages > 0);
	end(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(everything_at_once),
	        cmocka_unit_test(a_small_device),
	        cmocka_unit_test(with_huge_pages),
	        cmocka_unit_test(shared_pages_come_back_shared),
	        cmocka_unit_test(shared_memory_goes_and_comes_back),
	        cmocka_unit_test(wanted_and_left_under_writes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
