/* SPDX-License-Identifier: MIT
 *
 * test_mm.c - the model `mm` of processes: what a fault, a fork, a copy and an exit do, counted by hand; who is interrupted by
 * munmap; which slots of a TLB a CPU hands out.
 *
 * The expected numbers are worked out from the rules of Linux 6.1, in the comments; each test names the mistake it would catch.
 */
#include "sim/replay_process.h"
#include "tests/unit/mm_rig.h"

#define CPUS 4

static void begin(struct mm_rig *rig, bool pcid, enum thp thp)
{
	mm_rig_init(rig, 64ull << 20, CPUS);
	rig->settings.kernel.pcid = pcid;
	rig->settings.kernel.thp = thp;
	mm_rig_make(rig, "ideal", "ideal", true);
}

/*
 * A read of new anonymous memory gets the zero page and no frame; the write after it gets one, zeroed, and flushes the old
 * translation; a write at first gets its frame at once. Would catch: a frame for every read, or a copy of the zero page.
 */
static void reads_get_the_zero_page(void **state)
{
	(void)state;
	struct mm_rig rig;
	begin(&rig, true, THP_NEVER);
	process_id process = user_create(rig.users, 0);
	mm_rig_map(&rig, process, BASE, 8, USER_ANONYMOUS, 0);
	uint64_t before = rig.mm->counters.anonymous_pages;
	mm_rig_touch(&rig, process, BASE, 4, ACCESS_LOAD, 0);
	assert_int_equal(rig.mm->counters.faults_zero, 4);
	assert_int_equal(rig.mm->counters.anonymous_pages, before);
	assert_int_equal(mm_rig_frame(&rig, process, BASE).nr, ZERO_FRAME);
	mm_rig_touch(&rig, process, BASE, 2, ACCESS_STORE, 0);
	assert_int_equal(rig.mm->counters.faults_copied, 2);
	assert_int_equal(rig.mm->counters.pages_copied, 0);
	/* Each clears a page of 4096 bytes and drops one translation. */
	assert_int_equal(mm_rig_steps(&rig, STEP_WRITE, PAGE_SIZE), 2);
	assert_int_equal(mm_rig_steps(&rig, STEP_INVALIDATE, 1), 2);
	mm_rig_touch(&rig, process, BASE + 6 * PAGE_SIZE, 1, ACCESS_STORE, 0);
	assert_int_equal(mm_rig_steps(&rig, STEP_INVALIDATE, 0), 0);
	/* The argument page is the first. */
	assert_int_equal(rig.mm->counters.faults_anonymous, 1 + 1);
	assert_int_equal(rig.mm->counters.anonymous_pages, before + 3);
	assert_int_equal(rig.mm->counters.zero_entries, 2);
	mm_rig_end(&rig);
}

/*
 * fork() copies an entry for each page of private memory, write-protects both, and flushes the parent. The first write after it
 * copies 4096 bytes; the second process then is alone with the page and takes it; so does the parent once the child is gone.
 * Would catch: eager copies, a page that stays write-protected for ever, a copy for the last user.
 */
static void a_write_after_fork_copies_once(void **state)
{
	(void)state;
	struct mm_rig rig;
	begin(&rig, true, THP_NEVER);
	process_id parent = user_create(rig.users, 0);
	mm_rig_map(&rig, parent, BASE, 3, USER_ANONYMOUS, 0);
	mm_rig_touch(&rig, parent, BASE, 3, ACCESS_STORE, 0);
	steps_clear(&rig.steps);
	uint64_t flushes = rig.mm->counters.flush_full;
	process_id child = user_fork(rig.users, parent, false, 0);
	/* Three pages and that of the arguments. */
	assert_int_equal(rig.mm->counters.entries_forked, 4);
	assert_int_equal(rig.mm->counters.flush_full, flushes + 1);
	for (unsigned i = 0; i < 3; i++) {
		pfn frame = mm_rig_frame(&rig, parent, BASE + i * PAGE_SIZE);
		assert_int_equal(frame.nr, mm_rig_frame(&rig, child, BASE + i * PAGE_SIZE).nr);
		assert_int_equal(rig.users->ops->map_count(rig.users, frame), 2);
	}
	assert_int_equal(rig.mm->counters.pages_copied, 0);
	pfn shared = mm_rig_frame(&rig, parent, BASE);
	mm_rig_touch(&rig, child, BASE, 1, ACCESS_STORE, 0);
	assert_int_equal(rig.mm->counters.pages_copied, 1);
	assert_int_equal(mm_rig_steps(&rig, STEP_READ, PAGE_SIZE), 1);
	assert_int_equal(mm_rig_steps(&rig, STEP_WRITE, PAGE_SIZE), 1);
	assert_int_not_equal(mm_rig_frame(&rig, child, BASE).nr, shared.nr);
	assert_int_equal(rig.users->ops->map_count(rig.users, shared), 1);
	mm_rig_touch(&rig, parent, BASE, 1, ACCESS_STORE, 0);
	assert_int_equal(rig.mm->counters.faults_reused, 1);
	assert_int_equal(mm_rig_frame(&rig, parent, BASE).nr, shared.nr);
	user_exit(rig.users, child, 0);
	mm_rig_touch(&rig, parent, BASE, 3, ACCESS_STORE, 0);
	assert_int_equal(rig.mm->counters.faults_reused, 3);
	assert_int_equal(rig.mm->counters.pages_copied, 1);
	mm_rig_end(&rig);
}

/* Every exit gives back what its process had: pages, tables of all levels and objects, to the last one. Would catch: a leak. */
static void exit_gives_everything_back(void **state)
{
	(void)state;
	struct mm_rig rig;
	begin(&rig, true, THP_NEVER);
	uint64_t pages = rig.users->ops->pages_held(rig.users), objects = rig.objects->live_objects;
	process_id process = user_create(rig.users, 0);
	mm_rig_map(&rig, process, BASE, 600, USER_ANONYMOUS, 0);
	mm_rig_touch(&rig, process, BASE, 600, ACCESS_STORE, 0);
	process_id child = user_fork(rig.users, process, false, 1), thread = user_fork(rig.users, process, true, 2);
	mm_rig_touch(&rig, child, BASE, 600, ACCESS_STORE, 1);
	user_exit(rig.users, process, 0);
	assert_int_equal(rig.mm->counters.anonymous_pages,
	                 2 * 600 + 1); /* the thread keeps the space; the page of arguments is shared */
	user_exit(rig.users, thread, 2);
	user_exit(rig.users, child, 1);
	assert_int_equal(rig.mm->counters.anonymous_pages + rig.mm->counters.live_areas + rig.mm->counters.mapped_pages, 0);
	assert_int_equal(rig.users->ops->pages_held(rig.users), pages);
	assert_int_equal(rig.objects->live_objects, objects);
	mm_rig_end(&rig);
}

/*
 * munmap() of a process with threads on other CPUs interrupts each of them once, and waits for all, before a page goes back; a
 * CPU that keeps the space lazily is left alone unless tables are freed. Up to 33 pages are dropped one by one, more as a whole.
 * Would catch: a page freed before the flush, a CPU that is not told, a wait for none.
 */
static void munmap_waits_for_all(void **state)
{
	(void)state;
	struct mm_rig rig;
	begin(&rig, true, THP_NEVER);
	process_id first = user_create(rig.users, 0);
	mm_rig_map(&rig, first, BASE, 512, USER_ANONYMOUS, 0);
	mm_rig_touch(&rig, first, BASE, 512, ACCESS_STORE, 0);
	for (unsigned cpu = 1; cpu < CPUS; cpu++) {
		process_id thread = user_fork(rig.users, first, true, 0);
		mm_rig_touch(&rig, thread, BASE, 1, ACCESS_LOAD, cpu);
	}
	user_switch(rig.users, PROCESS_NONE, 3);
	steps_clear(&rig.steps);
	assert_int_equal(user_unmap(rig.users, first, BASE, 33, 0), USER_OK);
	assert_int_equal(mm_rig_steps(&rig, STEP_IPI, 0), 2);
	assert_int_equal(mm_rig_steps(&rig, STEP_IPI_WAIT, 0), 1);
	assert_int_equal(mm_rig_steps(&rig, STEP_INVALIDATE, 33), 1);
	uint32_t at = 0;
	while (rig.steps.at[at].kind != STEP_IPI_WAIT)
		at++;
	for (uint32_t i = 0; i < at; i++)
		if (rig.steps.at[i].kind == STEP_IPI)
			assert_int_equal(STEP_PAGES(rig.steps.at[i].bytes), 33);
	steps_clear(&rig.steps);
	assert_int_equal(user_unmap(rig.users, first, BASE + 33 * PAGE_SIZE, 34, 0), USER_OK);
	for (uint32_t i = 0; i < rig.steps.count; i++)
		if (rig.steps.at[i].kind == STEP_IPI || rig.steps.at[i].kind == STEP_INVALIDATE)
			assert_true(rig.steps.at[i].address == STEP_USER_ADDRESSES);
	/* With the last pages their table goes: the lazy CPU has to leave. */
	steps_clear(&rig.steps);
	assert_int_equal(user_unmap(rig.users, first, BASE + 67 * PAGE_SIZE, 512 - 67, 0), USER_OK);
	assert_int_equal(mm_rig_steps(&rig, STEP_IPI, 0), 3);
	assert_null(rig.mm->cpu[3].loaded);
	mm_rig_end(&rig);
}

/*
 * What munmap() flushes goes from the first entry that was there to the last, whatever the range; where none was, nobody is
 * interrupted (tlb_remove_tlb_entry(), tlb_flush_mmu_tlbonly()). The page behind the ranges keeps the table. Would catch: a flush
 * of the whole range, or of memory that nobody touched.
 */
static void munmap_flushes_what_was_mapped(void **state)
{
	(void)state;
	struct mm_rig rig;
	begin(&rig, true, THP_NEVER);
	process_id first = user_create(rig.users, 0);
	mm_rig_map(&rig, first, BASE, 512, USER_ANONYMOUS, 0);
	process_id thread = user_fork(rig.users, first, true, 0);
	mm_rig_touch(&rig, thread, BASE + 511 * PAGE_SIZE, 1, ACCESS_STORE, 1);
	steps_clear(&rig.steps);
	assert_int_equal(user_unmap(rig.users, first, BASE, 100, 0), USER_OK);
	assert_int_equal(mm_rig_steps(&rig, STEP_IPI, 0) + mm_rig_steps(&rig, STEP_INVALIDATE, 0), 0);
	/* Pages 203, the zero page, and 206: four pages lie in it. */
	mm_rig_touch(&rig, first, BASE + 203 * PAGE_SIZE, 1, ACCESS_LOAD, 0);
	mm_rig_touch(&rig, first, BASE + 206 * PAGE_SIZE, 1, ACCESS_STORE, 0);
	steps_clear(&rig.steps);
	assert_int_equal(user_unmap(rig.users, first, BASE + 100 * PAGE_SIZE, 200, 0), USER_OK);
	assert_int_equal(mm_rig_steps(&rig, STEP_IPI, 0), 1);
	assert_int_equal(mm_rig_steps(&rig, STEP_INVALIDATE, 4), 1);
	mm_rig_end(&rig);
}

/* The STEP_SWITCH among the steps: its PCID with STEP_NO_FLUSH, UINT32_MAX if there is none. */
static uint32_t switch_of(struct mm_rig *rig, process_id process, unsigned cpu)
{
	steps_clear(&rig->steps);
	user_switch(rig->users, process, cpu);
	uint32_t found = UINT32_MAX;
	for (uint32_t i = 0; i < rig->steps.count; i++)
		if (rig->steps.at[i].kind == STEP_SWITCH)
			found = rig->steps.at[i].bytes;
	return found;
}

/*
 * With PCIDs a CPU has six slots, given by turns beginning with the second (the first is init_mm's at boot): a space that has one
 * comes back without a flush, unless its tables changed elsewhere meanwhile; the seventh takes another one's. Without, every
 * load flushes under PCID 0. Would catch: a slot given to two spaces, a flush that is missing or one too many.
 */
static void slots_are_given_by_turns(void **state)
{
	(void)state;
	struct mm_rig rig;
	process_id processes[7];
	begin(&rig, true, THP_NEVER);
	for (unsigned i = 0; i < 7; i++)
		processes[i] = user_create(rig.users, 0);
	/* asid 1 .. 5, then 0: PCID is one more. */
	for (unsigned i = 0; i < 6; i++)
		assert_int_equal(switch_of(&rig, processes[i], 1), i < 5 ? i + 2 : 1);
	for (unsigned i = 0; i < 6; i++)
		assert_int_equal(switch_of(&rig, processes[i], 1), (i < 5 ? i + 2 : 1) | STEP_NO_FLUSH);
	/* The seventh takes the slot of the first, which then takes that of the second. */
	assert_int_equal(switch_of(&rig, processes[6], 1), 2);
	assert_int_equal(switch_of(&rig, processes[0], 1), 3);
	assert_int_equal(switch_of(&rig, processes[2], 1), 4 | STEP_NO_FLUSH);
	/* Its tables change while it is not loaded on this CPU. */
	assert_int_equal(switch_of(&rig, processes[3], 1), 5 | STEP_NO_FLUSH);
	mm_rig_map(&rig, processes[2], BASE, 1, USER_ANONYMOUS, 2);
	mm_rig_touch(&rig, processes[2], BASE, 1, ACCESS_STORE, 2);
	assert_int_equal(user_unmap(rig.users, processes[2], BASE, 1, 2), USER_OK);
	assert_int_equal(switch_of(&rig, processes[2], 1), 4);
	mm_rig_end(&rig);
	begin(&rig, false, THP_NEVER);
	for (unsigned i = 0; i < 2; i++)
		processes[i] = user_create(rig.users, 0);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(switch_of(&rig, processes[i & 1], 1), 0);
	mm_rig_end(&rig);
}

/* A kernel thread between two turns of a process costs no load of CR3. Would catch: a switch to the kernel's own tables. */
static void a_kernel_thread_keeps_the_space(void **state)
{
	(void)state;
	struct mm_rig rig;
	begin(&rig, false, THP_NEVER);
	process_id process = user_create(rig.users, 0);
	assert_int_equal(switch_of(&rig, process, 1), 0);
	assert_int_equal(switch_of(&rig, PROCESS_NONE, 1), UINT32_MAX);
	assert_int_equal(switch_of(&rig, process, 1), UINT32_MAX);
	mm_rig_end(&rig);
}

/*
 * A fault in 2 MiB of anonymous memory gets one page of order 9 and a table in reserve; a child's write takes the entry apart and
 * copies 4 KiB; munmap of a part does so, too. Would catch: 2 MiB copied, or the rest lost.
 */
static void huge_pages_are_taken_apart(void **state)
{
	(void)state;
	struct mm_rig rig;
	begin(&rig, true, THP_ALWAYS);
	process_id parent = user_create(rig.users, 0);
	mm_rig_map(&rig, parent, BASE, 1024, USER_ANONYMOUS, 0);
	mm_rig_touch(&rig, parent, BASE, 1024, ACCESS_STORE, 0);
	assert_int_equal(rig.mm->counters.faults_huge, 2);
	process_id child = user_fork(rig.users, parent, false, 0);
	assert_int_equal(rig.users->ops->map_count(rig.users, mm_rig_frame(&rig, parent, BASE)), 2);
	mm_rig_touch(&rig, child, BASE + 5 * PAGE_SIZE, 1, ACCESS_STORE, 0);
	assert_int_equal(rig.mm->counters.huge_splits, 1);
	assert_int_equal(rig.mm->counters.pages_copied, 1);
	user_memory_check(rig.users);
	assert_int_equal(user_unmap(rig.users, parent, BASE + 512 * PAGE_SIZE, 10, 0), USER_OK);
	assert_int_equal(rig.mm->counters.huge_splits, 2);
	user_memory_check(rig.users);
	user_exit(rig.users, child, 0);
	user_memory_check(rig.users);
	mm_rig_end(&rig);
}

/* Taking a page away leaves its slot in every entry, and the next touch asks for it. */
static pfn bring_in(void *context, const struct user_swap_fault *fault, unsigned cpu, bool *alone)
{
	struct mm_rig *rig = context;
	assert_int_equal(fault->entry, 77);
	assert_int_equal(fault->page, BASE >> PAGE_SHIFT);
	*alone = true;
	return page_alloc(rig->pages, 0, GFP_HIGHUSER_MOVABLE, cpu);
}

/* Would catch: an entry that keeps the frame, a frame freed twice, a dirty bit that is forgotten. */
static void pages_can_be_taken_away(void **state)
{
	(void)state;
	struct mm_rig rig;
	bool dirty, executable;
	begin(&rig, true, THP_NEVER);
	rig.users->watcher.swap_in = bring_in;
	rig.users->watcher.context = &rig;
	process_id parent = user_create(rig.users, 0);
	mm_rig_map(&rig, parent, BASE, 1, USER_ANONYMOUS, 0);
	mm_rig_touch(&rig, parent, BASE, 1, ACCESS_STORE, 0);
	process_id child = user_fork(rig.users, parent, false, 0);
	pfn frame = mm_rig_frame(&rig, parent, BASE);
	/* The child's entry is old. */
	assert_int_equal(rig.users->ops->referenced(rig.users, frame, &executable, 0), 1);
	assert_int_equal(rig.users->ops->referenced(rig.users, frame, &executable, 0), 0);
	assert_int_equal(rig.users->ops->unmap_page(rig.users, frame, 77, &dirty, 0), 2);
	assert_true(dirty);
	assert_int_equal(page_free(rig.pages, frame, 0, 0), PAGE_FREE_OK);
	user_memory_check(rig.users);
	mm_rig_touch(&rig, child, BASE, 1, ACCESS_LOAD, 0);
	mm_rig_touch(&rig, parent, BASE, 1, ACCESS_STORE, 0);
	assert_int_equal(rig.mm->counters.faults_swapped, 2);
	mm_rig_end(&rig);
}

/*
 * Three pages that processes on three CPUs map, taken by a fourth: no CPU is interrupted for an entry, and each once for all
 * nine, when the flush comes; if nothing written was among them it need not come before a write. A page that only the CPU itself
 * may hold translations of is flushed at once, alone. Would catch: an interrupt for each entry, a CPU that is forgotten, a flush
 * that comes twice.
 */
static void taken_pages_are_flushed_together(void **state)
{
	(void)state;
	struct mm_rig rig;
	bool dirty;
	begin(&rig, true, THP_NEVER);
	process_id process[3] = {user_create(rig.users, 0)};
	mm_rig_map(&rig, process[0], BASE, 3, USER_FILE_PRIVATE, 0);
	for (unsigned cpu = 1; cpu < 3; cpu++)
		process[cpu] = user_fork(rig.users, process[0], false, 0);
	for (unsigned cpu = 0; cpu < 3; cpu++)
		mm_rig_touch(&rig, process[cpu], BASE, 3, ACCESS_LOAD, cpu);
	pfn frames[3];
	for (unsigned page = 0; page < 3; page++)
		frames[page] = mm_rig_frame(&rig, process[0], BASE + page * PAGE_SIZE);
	steps_clear(&rig.steps);
	for (unsigned page = 0; page < 3; page++)
		assert_int_equal(rig.users->ops->unmap_page(rig.users, frames[page], 0, &dirty, 3), 3);
	assert_int_equal(mm_rig_steps(&rig, STEP_IPI, 0), 0);
	assert_int_equal(rig.mm->counters.flushes_put_off, 9);
	rig.users->ops->flush_unmapped(rig.users, true, 3);
	assert_int_equal(rig.mm->counters.flush_batches, 0);
	rig.users->ops->flush_unmapped(rig.users, false, 3);
	rig.users->ops->flush_unmapped(rig.users, false, 3);
	assert_int_equal(rig.mm->counters.flush_batches, 1);
	assert_int_equal(mm_rig_steps(&rig, STEP_IPI, 0), 3);
	for (uint32_t i = 0; i < rig.steps.count; i++)
		if (rig.steps.at[i].kind == STEP_IPI)
			assert_true(rig.steps.at[i].address == STEP_USER_ADDRESSES);
	assert_int_equal(mm_rig_steps(&rig, STEP_IPI_WAIT, 0), 1);
	for (unsigned cpu = 0; cpu < 3; cpu++)
		assert_int_equal(rig.mm->cpu[cpu].ctx[rig.mm->cpu[cpu].asid].tlb_gen, rig.mm->cpu[cpu].loaded->tlb_gen);
	/* On CPU 1 alone. */
	mm_rig_map(&rig, process[1], BASE + 3 * PAGE_SIZE, 1, USER_FILE_PRIVATE, 1);
	mm_rig_touch(&rig, process[1], BASE + 3 * PAGE_SIZE, 1, ACCESS_LOAD, 1);
	pfn alone = mm_rig_frame(&rig, process[1], BASE + 3 * PAGE_SIZE);
	steps_clear(&rig.steps);
	assert_int_equal(rig.users->ops->unmap_page(rig.users, alone, 0, &dirty, 1), 1);
	assert_int_equal(mm_rig_steps(&rig, STEP_INVALIDATE, 1), 1);
	assert_int_equal(mm_rig_steps(&rig, STEP_IPI, 0), 0);
	assert_int_equal(rig.mm->counters.flushes_put_off, 9);
	user_memory_check(rig.users);
	/* A written page is flushed before it is written out. */
	mm_rig_map(&rig, process[1], BASE + 4 * PAGE_SIZE, 1, USER_ANONYMOUS, 1);
	mm_rig_touch(&rig, process[1], BASE + 4 * PAGE_SIZE, 1, ACCESS_STORE, 1);
	pfn written = mm_rig_frame(&rig, process[1], BASE + 4 * PAGE_SIZE);
	assert_int_equal(rig.users->ops->unmap_page(rig.users, written, 5, &dirty, 3), 1);
	rig.users->ops->flush_unmapped(rig.users, true, 3);
	assert_int_equal(rig.mm->counters.flush_batches, 2);
	assert_int_equal(page_free(rig.pages, written, 0, 0), PAGE_FREE_OK);
	assert_int_equal(user_unmap(rig.users, process[1], BASE + 4 * PAGE_SIZE, 1, 1), USER_OK);
	mm_rig_end(&rig);
}

/* A page that compaction moved is found at its new frame by all who map it, of any kind. Would catch: an entry left behind. */
static void moved_pages_are_followed(void **state)
{
	(void)state;
	struct mm_rig rig;
	begin(&rig, true, THP_NEVER);
	process_id parent = user_create(rig.users, 0);
	mm_rig_map(&rig, parent, BASE, 1, USER_ANONYMOUS, 0);
	mm_rig_map(&rig, parent, BASE + PAGE_SIZE, 1, USER_SHARED, 0);
	mm_rig_map(&rig, parent, BASE + 2 * PAGE_SIZE, 1, USER_FILE_PRIVATE, 0);
	mm_rig_touch(&rig, parent, BASE, 2, ACCESS_STORE, 0);
	mm_rig_touch(&rig, parent, BASE + 2 * PAGE_SIZE, 1, ACCESS_LOAD, 0);
	process_id child = user_fork(rig.users, parent, false, 0);
	mm_rig_touch(&rig, child, BASE + PAGE_SIZE, 2, ACCESS_LOAD, 0);
	for (uint64_t linear = BASE; linear < BASE + 3 * PAGE_SIZE; linear += PAGE_SIZE) {
		pfn from = mm_rig_frame(&rig, parent, linear), to = page_alloc(rig.pages, 0, GFP_HIGHUSER_MOVABLE, 0);
		assert_true(rig.users->ops->moved(rig.users, from, to));
		assert_int_equal(page_free(rig.pages, from, 0, 0), PAGE_FREE_OK);
		assert_int_equal(mm_rig_frame(&rig, parent, linear).nr, to.nr);
		assert_int_equal(mm_rig_frame(&rig, child, linear).nr, to.nr);
		assert_int_equal(rig.users->ops->map_count(rig.users, to), 2);
	}
	assert_false(rig.users->ops->moved(rig.users, pfn_of(1), pfn_of(2)));
	user_memory_check(rig.users);
	user_exit(rig.users, parent, 0);
	mm_rig_touch(&rig, child, BASE, 3, ACCESS_LOAD, 0);
	mm_rig_end(&rig);
}

static void advise(struct mm_rig *rig, process_id process, uint64_t page, uint64_t pages, enum user_advice advice)
{
	steps_clear(&rig->steps);
	assert_int_equal(user_advise(rig->users, process, BASE + page * PAGE_SIZE, pages, advice, 0), USER_OK);
	user_memory_check(rig->users);
}

/*
 * With kernel.thp madvise an area has huge pages where it asked for them, with always where it did not refuse: the part that is
 * advised is an area of its own then, and only if it was not so before. Would catch: advice for the whole area, areas split for
 * nothing, huge pages for all or for nobody.
 */
static void huge_pages_as_advised(void **state)
{
	(void)state;
	for (unsigned always = 0; always < 2; always++) {
		struct mm_rig rig;
		begin(&rig, true, always ? THP_ALWAYS : THP_MADVISE);
		process_id process = user_create(rig.users, 0);
		mm_rig_map(&rig, process, BASE, 3 * 512, USER_ANONYMOUS, 0);
		uint64_t areas = rig.mm->counters.live_areas;
		advise(&rig, process, 512, 512, always ? USER_NOHUGEPAGE : USER_HUGEPAGE);
		assert_int_equal(rig.mm->counters.live_areas, areas + 2);
		advise(&rig, process, 700, 100, always ? USER_NOHUGEPAGE : USER_HUGEPAGE);
		assert_int_equal(rig.mm->counters.live_areas, areas + 2);
		for (unsigned part = 0; part < 3; part++)
			mm_rig_touch(&rig, process, BASE + part * 512 * PAGE_SIZE, 1, ACCESS_STORE, 0);
		assert_int_equal(rig.mm->counters.faults_huge, always ? 2 : 1);
		assert_int_equal(rig.mm->counters.faults_anonymous, always ? 2 : 3); /* that of the arguments */
		/* The other way round, from the next touch on. */
		advise(&rig, process, 512, 512, always ? USER_HUGEPAGE : USER_NOHUGEPAGE);
		advise(&rig, process, 512, 512, USER_DONTNEED);
		mm_rig_touch(&rig, process, BASE + 512 * PAGE_SIZE, 1, ACCESS_STORE, 0);
		/* Its table of pages is there, and keeps it small. */
		assert_int_equal(rig.mm->counters.faults_huge, always ? 2 : 1);
		mm_rig_end(&rig);
	}
}

/*
 * MADV_DONTNEED of 11 pages in a huge one takes that apart, and clears as many entries, flushed in one range; tables and areas
 * stay. Would catch: the whole huge page gone, tables given back, a flush for each page.
 */
static void forgotten_pages_leave_their_tables(void **state)
{
	(void)state;
	struct mm_rig rig;
	begin(&rig, true, THP_ALWAYS);
	process_id process = user_create(rig.users, 0);
	mm_rig_map(&rig, process, BASE, 512, USER_ANONYMOUS, 0);
	mm_rig_touch(&rig, process, BASE, 1, ACCESS_STORE, 0);
	assert_int_equal(rig.mm->counters.faults_huge, 1);
	uint64_t tables = rig.mm->counters.table_pages, areas = rig.mm->counters.live_areas,
	         mapped = rig.mm->counters.mapped_pages;
	advise(&rig, process, 10, 11, USER_DONTNEED);
	assert_int_equal(rig.mm->counters.huge_splits, 1);
	assert_int_equal(rig.mm->counters.mapped_pages, mapped - 11);
	assert_int_equal(rig.mm->counters.table_pages, tables);
	assert_int_equal(rig.mm->counters.live_areas, areas);
	uint64_t flushes = rig.mm->counters.flushes;
	advise(&rig, process, 30, 5, USER_DONTNEED);
	assert_int_equal(rig.mm->counters.flushes, flushes + 1);
	/* Where nothing is mapped, nothing is flushed. */
	advise(&rig, process, 10, 11, USER_DONTNEED);
	assert_int_equal(rig.mm->counters.flushes, flushes + 1);
	advise(&rig, process, 0, 512, USER_DONTNEED);
	assert_int_equal(rig.mm->counters.mapped_pages, mapped - 512);
	assert_int_equal(rig.mm->counters.table_pages, tables);
	mm_rig_end(&rig);
}

static uint64_t word_at(const struct mm_rig *rig, process_id process, uint64_t page)
{
	struct entry entry;
	entry_find(rig->mm, rig->mm->processes[process.nr].space, BASE + page * PAGE_SIZE, &entry);
	return entry_word(&entry);
}

/*
 * mprotect(): the write bits of all 8 written pages go in one flush, the 2 that show the zero page have none. Back again, what is
 * the process's own is writable at once, without a fault; what a child shares since is not, and is copied; what is as it was
 * costs nothing. Would catch: a write bit that stays, a fault for each page behind it, a page of two writers, a flush for each
 * page.
 */
static void write_bits_go_and_come(void **state)
{
	(void)state;
	struct mm_rig rig;
	begin(&rig, true, THP_NEVER);
	process_id parent = user_create(rig.users, 0);
	mm_rig_map(&rig, parent, BASE, 10, USER_ANONYMOUS, 0);
	mm_rig_touch(&rig, parent, BASE, 8, ACCESS_STORE, 0);
	mm_rig_touch(&rig, parent, BASE + 8 * PAGE_SIZE, 2, ACCESS_LOAD, 0);
	uint64_t faults = rig.mm->counters.faults, flushes = rig.mm->counters.flushes;
	steps_clear(&rig.steps);
	assert_int_equal(user_protect(rig.users, parent, BASE, 10, USER_READ, 0), USER_OK);
	assert_int_equal(mm_rig_steps(&rig, STEP_ENTRY, 0), 10);
	assert_int_equal(rig.mm->counters.flushes, flushes + 1);
	for (unsigned page = 0; page < 10; page++)
		assert_int_equal(word_at(&rig, parent, page) & WORD_WRITE, 0);
	assert_int_equal(user_protect(rig.users, parent, BASE, 10, USER_READ, 0), USER_OK);
	assert_int_equal(rig.mm->counters.flushes, flushes + 1);
	assert_int_equal(user_protect(rig.users, parent, BASE, 10, USER_READ | USER_WRITE, 0), USER_OK);
	mm_rig_touch(&rig, parent, BASE, 8, ACCESS_STORE, 0);
	assert_int_equal(rig.mm->counters.faults, faults);
	mm_rig_touch(&rig, parent, BASE + 8 * PAGE_SIZE, 1, ACCESS_STORE, 0);
	assert_int_equal(rig.mm->counters.faults_copied, 1);
	process_id child = user_fork(rig.users, parent, false, 0);
	assert_int_equal(user_protect(rig.users, child, BASE, 4, USER_READ, 0), USER_OK);
	assert_int_equal(user_protect(rig.users, child, BASE, 4, USER_READ | USER_WRITE, 0), USER_OK);
	user_memory_check(rig.users);
	mm_rig_touch(&rig, child, BASE, 4, ACCESS_STORE, 0);
	assert_int_equal(rig.mm->counters.faults_copied, 1 + 4);
	assert_int_equal(user_protect(rig.users, child, BASE, 10, 0, 0), USER_OK);
	assert_int_equal(word_at(&rig, child, 0) & WORD_USER, 0);
	user_exit(rig.users, child, 0);
	mm_rig_end(&rig);
}

static struct process_op_done op_of(struct mm_rig *rig, process_id subject, const struct op *op)
{
	return process_op(rig->users, op, subject, op->cpu);
}

/*
 * Each kind of op of a recording is the call that it names, with its fields where they belong; what no program may do is told,
 * and changes nothing. Would catch: pages taken for bytes, a file's page lost, a wrong op that passes for a right one.
 */
static void ops_of_recordings_are_calls(void **state)
{
	(void)state;
	struct mm_rig rig;
	begin(&rig, true, THP_NEVER);
	process_id process = op_of(&rig, PROCESS_NONE, &(struct op){.kind = OP_PROCESS_CREATE}).process;
	const struct op map_file = {.kind = OP_PROCESS_MAP,
	                            .address = BASE,
	                            .bytes_req = 3,
	                            .bytes_alloc = 9,
	                            .gfp = USER_READ | 5u << PROCESS_MAP_PAGE_SHIFT,
	                            .order = USER_FILE_SHARED};
	assert_int_equal(op_of(&rig, process, &map_file).result, PROCESS_OP_DONE);
	assert_int_equal(op_of(&rig, process, &map_file).result, PROCESS_OP_WRONG);
	struct op touched = {
	        .kind = OP_PROCESS_TOUCH, .address = BASE, .bytes_req = 2 * PAGE_SIZE, .bytes_alloc = 8, .order = TOUCH_READ};
	steps_clear(&rig.steps);
	assert_int_equal(op_of(&rig, process, &touched).result, PROCESS_OP_DONE);
	assert_int_equal(rig.mm->counters.faults_file, 2);
	/* One access of 8 bytes every 8, beside those of the structures, which do not lie there; each first one faulted in vain.
	 */
	uint32_t accesses = 0;
	for (uint32_t i = 0; i < rig.steps.count; i++)
		accesses += rig.steps.at[i].address >= BASE && rig.steps.at[i].address < BASE + 3 * PAGE_SIZE &&
		            rig.steps.at[i].kind == STEP_READ;
	assert_int_equal(accesses, 2 * PAGE_SIZE / 8 + 2);
	assert_int_equal(rig.mm->page[mm_rig_frame(&rig, process, BASE + PAGE_SIZE).nr].place, 5 + 1);
	assert_int_equal(rig.mm->page[mm_rig_frame(&rig, process, BASE + PAGE_SIZE).nr].file, 9);
	touched.order = TOUCH_WRITE;
	assert_string_equal(op_of(&rig, process, &touched).what, "it touches an area against its rights: a segmentation fault");
	touched.address = BASE + 3 * PAGE_SIZE;
	assert_string_equal(op_of(&rig, process, &touched).what,
	                    "it touches what is no area (a segmentation fault), or moves what is not of one");
	const struct op forget = {.kind = OP_PROCESS_ADVISE, .address = BASE + PAGE_SIZE, .bytes_req = 2, .order = USER_DONTNEED};
	assert_int_equal(op_of(&rig, process, &forget).result, PROCESS_OP_DONE);
	assert_int_equal(rig.mm->counters.file_pages, 1);
	const struct op protect = {.kind = OP_PROCESS_PROTECT, .address = BASE, .bytes_req = 1, .order = 0};
	assert_int_equal(op_of(&rig, process, &protect).result, PROCESS_OP_DONE);
	assert_int_equal(area_at(rig.mm->processes[process.nr].space, BASE)->rights, 0);
	assert_int_equal(area_at(rig.mm->processes[process.nr].space, BASE + PAGE_SIZE)->rights, USER_READ);
	const struct op hole = {.kind = OP_PROCESS_ADVISE, .address = BASE, .bytes_req = 4, .order = USER_READ_RANDOM};
	assert_string_equal(op_of(&rig, process, &hole).what, "a part of its range is no area");
	const struct op away = {
	        .kind = OP_PROCESS_REMAP, .address = BASE, .bytes_req = 1, .gfp = 0x80000000u, .order = 7, .bytes_alloc = 1};
	const struct op back = {.kind = OP_PROCESS_REMAP,
	                        .address = 0x780000000ull << PAGE_SHIFT,
	                        .bytes_req = 1,
	                        .gfp = BASE >> PAGE_SHIFT,
	                        .bytes_alloc = 1};
	assert_int_equal(op_of(&rig, process, &away).result, PROCESS_OP_DONE);
	assert_int_equal(op_of(&rig, process, &back).result, PROCESS_OP_DONE);
	assert_int_equal(rig.mm->counters.remaps_moved, 2);
	const struct op unmap = {.kind = OP_PROCESS_UNMAP, .address = BASE, .bytes_req = 3};
	assert_int_equal(op_of(&rig, process, &unmap).result, PROCESS_OP_DONE);
	assert_int_equal(rig.mm->counters.file_pages, 0);
	process_id thread = op_of(&rig, process, &(struct op){.kind = OP_PROCESS_FORK, .order = FORK_THREAD}).process;
	assert_int_equal(rig.mm->counters.threads_created, 1);
	op_of(&rig, thread, &(struct op){.kind = OP_PROCESS_SWITCH, .cpu = 2});
	assert_int_equal(rig.mm->cpu[2].current, thread.nr);
	op_of(&rig, PROCESS_NONE, &(struct op){.kind = OP_PROCESS_LEAVE, .cpu = 2});
	assert_true(rig.mm->cpu[2].lazy);
	op_of(&rig, thread, &(struct op){.kind = OP_PROCESS_EXEC, .cpu = 2});
	op_of(&rig, thread, &(struct op){.kind = OP_PROCESS_EXIT, .cpu = 2});
	op_of(&rig, process, &(struct op){.kind = OP_PROCESS_EXIT});
	assert_int_equal(rig.users->live_processes, 0);
	mm_rig_end(&rig);
}

/* A page allocator whose next table costs a page of a file, as reclaim would take it. */
struct scarce {
	struct mm_rig *rig;
	pfn victim;
	unsigned tables; /* to be given before the victim goes */
	uint32_t taken;
};

static pfn scarce_alloc(void *context, unsigned order, gfp flags, unsigned cpu)
{
	struct scarce *scarce = context;
	bool dirty;
	if (order == 0 && flags == GFP_TABLE && scarce->tables-- == 0)
		scarce->taken = scarce->rig->users->ops->unmap_page(scarce->rig->users, scarce->victim, 0, &dirty, cpu);
	return page_alloc_unsupplied(scarce->rig->pages, order, flags, cpu);
}

static enum page_free_result scarce_free(void *context, pfn first, unsigned order, unsigned cpu)
{
	const struct scarce *scarce = context;
	return page_free_unsupplied(scarce->rig->pages, first, order, cpu);
}

/*
 * fork() copies an area with a page of its own and one of the file, and the child's last table of three takes the file's page
 * away: the child gets no entry for it (copy_pte_range() looks at each entry once the table is there). Would catch: frame 0
 * mapped in the child.
 */
static void a_fork_sees_what_reclaim_took(void **state)
{
	(void)state;
	struct mm_rig rig;
	begin(&rig, true, THP_NEVER);
	process_id parent = user_create(rig.users, 0);
	mm_rig_map(&rig, parent, BASE, 2, USER_FILE_PRIVATE, 0);
	mm_rig_touch(&rig, parent, BASE, 1, ACCESS_LOAD, 0);
	mm_rig_touch(&rig, parent, BASE + PAGE_SIZE, 1, ACCESS_STORE, 0);
	struct scarce scarce = {.rig = &rig, .victim = mm_rig_frame(&rig, parent, BASE), .tables = 2};
	const struct page_supply supply = {.alloc = scarce_alloc, .free = scarce_free, .context = &scarce};
	rig.pages->supply = &supply;
	process_id child = user_fork(rig.users, parent, false, 0);
	rig.pages->supply = NULL;
	assert_int_not_equal(child.nr, UINT32_MAX);
	assert_int_equal(scarce.taken, 1);
	struct process_view view;
	assert_true(rig.users->ops->view(rig.users, child, &view));
	/* The page that the parent wrote, and that of its arguments. */
	assert_int_equal(view.anonymous, 2);
	assert_int_equal(view.file + view.shared + view.swapped, 0);
	mm_rig_end(&rig);
}

/* Would catch: a process that is gone, or never was, told as one that lives. */
static void who_is_gone_has_no_view(void **state)
{
	(void)state;
	struct mm_rig rig;
	struct process_view view;
	begin(&rig, true, THP_NEVER);
	process_id process = user_create(rig.users, 0);
	assert_true(rig.users->ops->view(rig.users, process, &view));
	assert_false(rig.users->ops->view(rig.users, (process_id){process.nr + 1}, &view));
	user_exit(rig.users, process, 0);
	assert_false(rig.users->ops->view(rig.users, process, &view));
	mm_rig_end(&rig);
}

/* Would catch: a frame inside a huge page that is mapped as a whole taken for one that nobody maps. */
static void every_frame_of_a_huge_page_is_mapped(void **state)
{
	(void)state;
	struct mm_rig rig;
	begin(&rig, true, THP_ALWAYS);
	process_id process = user_create(rig.users, 0);
	mm_rig_map(&rig, process, BASE, 2 * FRAMES_OF_HUGE, USER_ANONYMOUS, 0);
	for (unsigned huge = 0; huge < 2; huge++) {
		mm_rig_touch(&rig, process, BASE + huge * FRAMES_OF_HUGE * PAGE_SIZE, 1, ACCESS_STORE, 0);
		uint32_t first = mm_rig_frame(&rig, process, BASE + huge * FRAMES_OF_HUGE * PAGE_SIZE).nr;
		for (uint32_t i = 0; i < FRAMES_OF_HUGE; i++)
			assert_int_equal(rig.users->ops->map_count(rig.users, pfn_of(first + i)), 1);
	}
	assert_int_equal(rig.mm->counters.faults_huge, 2);
	assert_int_equal(rig.users->ops->map_count(rig.users, pfn_of(UINT32_MAX - 1)), 0);
	mm_rig_end(&rig);
}

/* Would catch: the last page of user addresses refused, or the first one behind them taken. */
static void user_addresses_have_a_last_page(void **state)
{
	(void)state;
	struct mm_rig rig;
	begin(&rig, true, THP_NEVER);
	process_id process = user_create(rig.users, 0);
	struct user_touch run = {
	        .address = rig.mm->user_end - PAGE_SIZE, .bytes = PAGE_SIZE, .stride = PAGE_SIZE, .kind = ACCESS_LOAD};
	assert_int_not_equal(user_touch(rig.users, process, &run, 0), USER_BAD_RANGE);
	run.bytes++;
	assert_int_equal(user_touch(rig.users, process, &run, 0), USER_BAD_RANGE);
	mm_rig_end(&rig);
}

/* A fault holds mmap_lock for reading: one atomic to take it, one to let go. Would catch: a lock that costs half, or nothing. */
static void a_fault_takes_and_releases_the_lock(void **state)
{
	(void)state;
	struct mm_rig rig;
	begin(&rig, true, THP_NEVER);
	process_id process = user_create(rig.users, 0);
	mm_rig_map(&rig, process, BASE, 8, USER_ANONYMOUS, 0);
	mm_rig_touch(&rig, process, BASE, 1, ACCESS_STORE, 0); /* its table is there */
	mm_rig_touch(&rig, process, BASE + PAGE_SIZE, 1, ACCESS_STORE, 0);
	uint64_t lock = mm_field(&rig.mm->processes[process.nr].space->object, MM_MMAP_LOCK).addr;
	unsigned atomics = 0;
	for (uint32_t i = 0; i < rig.steps.count; i++)
		atomics += rig.steps.at[i].kind == STEP_ATOMIC && rig.steps.at[i].address == lock;
	assert_int_equal(atomics, 2);
	mm_rig_end(&rig);
}

/*
 * A CPU that has the space lazily is left alone by the flush of a page (flush_tlb_page(), a copy), and interrupted by that of a
 * range or of all of it (flush_tlb_range(), flush_tlb_mm(): a fork, a huge page taken apart), whatever is dropped. What is taken
 * apart is flushed as a whole, as 512 pages are above the ceiling. Would catch: a fork that does not reach it, a copy that does,
 * one page flushed for 512.
 */
static void whom_a_flush_reaches(void **state)
{
	(void)state;
	struct mm_rig rig;
	begin(&rig, true, THP_ALWAYS);
	const struct mm_counters *counters = &rig.mm->counters;
	const uint64_t huge = (BASE + HUGE_BYTES) & ~(HUGE_BYTES - 1);
	process_id process = user_create(rig.users, 0);
	mm_rig_map(&rig, process, huge, 2 * FRAMES_OF_HUGE, USER_ANONYMOUS, 0);
	mm_rig_map(&rig, process, huge - PAGE_SIZE, 1, USER_ANONYMOUS, 0);
	mm_rig_touch(&rig, process, huge, 1, ACCESS_STORE, 0);
	mm_rig_touch(&rig, process, huge - PAGE_SIZE, 1, ACCESS_LOAD, 0);
	user_switch(rig.users, process, 1);
	user_switch(rig.users, PROCESS_NONE, 1);
	user_switch(rig.users, process, 0);
	uint64_t ipis = counters->flush_ipis;
	/* The zero page is copied: one page. */
	mm_rig_touch(&rig, process, huge - PAGE_SIZE, 1, ACCESS_STORE, 0);
	assert_int_equal(counters->flush_ipis, ipis);
	assert_true(rig.mm->cpu[1].lazy);
	uint64_t full = counters->flush_full;
	assert_int_equal(user_protect(rig.users, process, huge + PAGE_SIZE, 1, USER_READ, 0), USER_OK);
	assert_int_equal(counters->huge_splits, 1);
	assert_int_equal(counters->flush_full, full + 1);
	assert_int_equal(counters->flush_ipis, ipis + 1);
	assert_null(rig.mm->cpu[1].loaded);
	user_switch(rig.users, process, 1);
	user_switch(rig.users, PROCESS_NONE, 1);
	user_switch(rig.users, process, 0);
	process_id child = user_fork(rig.users, process, false, 0);
	assert_int_equal(counters->flush_ipis, ipis + 2);
	assert_null(rig.mm->cpu[1].loaded);
	user_exit(rig.users, child, 0);
	mm_rig_end(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(reads_get_the_zero_page),
	        cmocka_unit_test(a_write_after_fork_copies_once),
	        cmocka_unit_test(exit_gives_everything_back),
	        cmocka_unit_test(munmap_waits_for_all),
	        cmocka_unit_test(slots_are_given_by_turns),
	        cmocka_unit_test(a_kernel_thread_keeps_the_space),
	        cmocka_unit_test(huge_pages_are_taken_apart),
	        cmocka_unit_test(pages_can_be_taken_away),
	        cmocka_unit_test(taken_pages_are_flushed_together),
	        cmocka_unit_test(moved_pages_are_followed),
	        cmocka_unit_test(huge_pages_as_advised),
	        cmocka_unit_test(forgotten_pages_leave_their_tables),
	        cmocka_unit_test(write_bits_go_and_come),
	        cmocka_unit_test(ops_of_recordings_are_calls),
	        cmocka_unit_test(a_fork_sees_what_reclaim_took),
	        cmocka_unit_test(munmap_flushes_what_was_mapped),
	        cmocka_unit_test(who_is_gone_has_no_view),
	        cmocka_unit_test(every_frame_of_a_huge_page_is_mapped),
	        cmocka_unit_test(user_addresses_have_a_last_page),
	        cmocka_unit_test(a_fault_takes_and_releases_the_lock),
	        cmocka_unit_test(whom_a_flush_reaches),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
