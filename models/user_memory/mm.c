/* SPDX-License-Identifier: MIT
 *
 * mm.c - processes and their memory as Linux 6.1 has them (interface: the user_memory port; parts: mm.h).
 *
 *   processes -> address space (shared by threads) -> areas (vm_area_struct, anon_vma)
 *                                                  -> page tables -> frames, each counted by the entries that map it
 *   CPUs -> the address space loaded, six others that the TLB may still know (space_switch.c)
 *
 * Laws (check): entries set - entries cleared = entries that map a page = the sum of all frames' counts; each frame's count is
 * that of the entries found; a space's rss, tables and areas are those found; faults = the sum of their kinds; spaces, areas,
 * tables: made - gone = there are; frames of anonymous pages are those with an entry.
 */
#include "models/user_memory/mm.h"

#include "models/kernel_caches.h"

#include <stdlib.h>
#include <string.h>

extern const struct user_memory_ops user_memory_mm_ops;
struct user_memory *user_memory_mm_create(const struct user_memory_wiring *wiring, struct error *error);

static const struct metric mm_metrics[] = {
        METRIC(struct mm_counters, processes_created, "1", "Processes made by the kernel itself"),
        METRIC(struct mm_counters, processes_forked, "1", "Processes made by fork()"),
        METRIC(struct mm_counters, threads_created, "1", "Threads made by clone(CLONE_VM)"),
        METRIC(struct mm_counters, forks_failed, "1", "Processes and threads for which there was no memory"),
        METRIC(struct mm_counters, execs, "1", "Programs that took a process over (execve)"),
        METRIC(struct mm_counters, exits, "1", "Processes and threads that ended"),
        METRIC(struct mm_counters, faults, "1", "Page faults (pgfault)"),
        METRIC(struct mm_counters, faults_anonymous, "1", "Of them, those that got a page of zeroes"),
        METRIC(struct mm_counters, faults_zero, "1", "Of them, reads that got the zero page"),
        METRIC(struct mm_counters, faults_file, "1", "Of them, those that mapped a page of a file"),
        METRIC(struct mm_counters, faults_shared, "1", "Of them, those that mapped a page of shared memory"),
        METRIC(struct mm_counters, faults_copied, "1", "Of them, writes that got a page of their own in place of another (COW)"),
        METRIC(struct mm_counters, faults_reused, "1", "Of them, writes to a page that nobody else used any more (pgreuse)"),
        METRIC(struct mm_counters, faults_made_writable, "1", "Of them, first writes to a shared page"),
        METRIC(struct mm_counters, faults_retried, "1", "Of them, those that ended in vain, as reclaim took the page meanwhile"),
        METRIC(struct mm_counters, faults_swapped, "1", "Of them, those that brought a page in from a swap device"),
        METRIC(struct mm_counters, faults_huge, "1", "Of them, those that got a page of 2 MiB (thp_fault_alloc)"),
        METRIC(struct mm_counters, faults_huge_zero, "1", "Of them, reads that got the huge zero page"),
        METRIC(struct mm_counters, faults_huge_reused, "1", "Of them, writes to a huge page that nobody else used any more"),
        METRIC(struct mm_counters, faults_no_memory, "1", "Of them, those for which there was no memory"),
        METRIC(struct mm_counters, faults_wrong, "1", "Of them, those outside of all areas or against their rights"),
        METRIC(struct mm_counters, faults_file_read, "1",
               "Faults that read their page of a file in; pgmajfault (page_lru) has those that read from swap, too"),
        METRIC(struct mm_counters, faults_again, "1",
               "Faults on a file that let go of mmap_lock to wait or to read ahead, and were made once more: pgfault has them "
               "twice"),
        METRIC(struct mm_counters, around_faults, "1", "Read faults that looked for pages round theirs (do_fault_around)"),
        METRIC(struct mm_counters, around_found, "pages", "Pages in memory that they found, their own among them"),
        METRIC(struct mm_counters, around_own, "pages", "Of them, those that were asked for"),
        METRIC(struct mm_counters, around_mapped, "pages", "Of them, those mapped beside, for which nobody need fault"),
        METRIC(struct mm_counters, around_there, "pages", "Of them, those whose entry was in use"),
        METRIC(struct mm_counters, touched_pages, "1", "Pages that touches came by, each time counted"),
        METRIC(struct mm_counters, pages_zeroed, "pages", "Zeroed for faults"),
        METRIC(struct mm_counters, pages_copied, "pages", "Copied for faults"),
        METRIC(struct mm_counters, areas_made, "1", "Areas (vm_area_struct) made"),
        METRIC(struct mm_counters, areas_gone, "1", "Areas that went"),
        METRIC(struct mm_counters, remaps, "1", "Calls of mremap()"),
        METRIC(struct mm_counters, remaps_moved, "1", "Of them, those that moved an area"),
        METRIC(struct mm_counters, moved_entries, "1", "Page table entries that went with it one by one"),
        METRIC(struct mm_counters, moved_tables, "1", "Page tables that went with it as they were"),
        METRIC(struct mm_counters, moved_huge, "1", "Entries of 2 MiB that did"),
        METRIC(struct mm_counters, entries_set, "1", "Page table entries that came to map a page"),
        METRIC(struct mm_counters, entries_cleared, "1", "Page table entries that ceased to"),
        METRIC(struct mm_counters, entries_forked, "1", "Page table entries that fork() copied"),
        METRIC(struct mm_counters, tables_made, "1", "Page tables made"),
        METRIC(struct mm_counters, tables_freed, "1", "Page tables given back"),
        METRIC(struct mm_counters, huge_asked, "1", "Faults that asked for a page of 2 MiB"),
        METRIC(struct mm_counters, huge_fallback, "1", "Of them, those that got a small one (thp_fault_fallback)"),
        METRIC(struct mm_counters, huge_splits, "1", "Entries of 2 MiB taken apart (thp_split_pmd)"),
        METRIC(struct mm_counters, khugepaged_scanned, "1", "Ranges of 2 MiB that khugepaged looked at"),
        METRIC(struct mm_counters, khugepaged_pages_collapsed, "1", "Of them, those that it made one page of (pages_collapsed)"),
        METRIC(struct mm_counters, thp_scan_pmd_none, "1", "Of them, those without a page table"),
        METRIC(struct mm_counters, thp_scan_pmd_mapped, "1", "Of them, those that are huge pages"),
        METRIC(struct mm_counters, thp_scan_exceed_none_pte, "1", "Of them, those with too few pages (max_ptes_none)"),
        METRIC(struct mm_counters, thp_scan_exceed_swap_pte, "1", "Of them, those with too many in swap (max_ptes_swap)"),
        METRIC(struct mm_counters, thp_scan_exceed_shared_pte, "1", "Of them, those with too many shared (max_ptes_shared)"),
        METRIC(struct mm_counters, thp_scan_page_ro, "1", "Of them, those without a writable page (SCAN_PAGE_RO)"),
        METRIC(struct mm_counters, thp_scan_lack_referenced, "1", "Of them, those not used of late (SCAN_LACK_REFERENCED_PAGE)"),
        METRIC(struct mm_counters, thp_scan_page_lru, "1", "Of them, those with a page on no LRU list (SCAN_PAGE_LRU)"),
        METRIC(struct mm_counters, thp_scan_page_count, "1", "Of them, those with a page that is held (SCAN_PAGE_COUNT)"),
        METRIC(struct mm_counters, thp_scan_pte_non_present, "1", "Of them, those of which reclaim took a page meanwhile"),
        METRIC(struct mm_counters, thp_scan_swap_in_failed, "1",
               "Of them, those with a page that did not come from swap at once"),
        METRIC(struct mm_counters, thp_collapse_alloc_failed, "1", "Of them, those for which there was no page of 2 MiB"),
        METRIC(struct mm_counters, thp_collapse_alloc, "1", "Pages of 2 MiB that khugepaged got"),
        METRIC(struct mm_counters, thp_collapse_unused, "1", "Of them, those given back before the range was touched"),
        METRIC(struct mm_counters, thp_collapse_undone, "1", "Of them, those given back after its table was taken out"),
        METRIC(struct mm_counters, thp_collapse_copied, "pages", "Small pages copied into huge ones by khugepaged"),
        METRIC(struct mm_counters, thp_collapse_cleared, "pages", "Parts of huge pages that khugepaged cleared"),
        METRIC(struct mm_counters, thp_collapse_swapped_in, "pages", "Brought in from swap by khugepaged"),
        METRIC(struct mm_counters, thp_collapse_sync_ipis, "1", "CPUs that khugepaged interrupted, as they might walk a table"),
        METRIC(struct mm_counters, khugepaged_wakes, "1", "Scans of khugepaged"),
        METRIC(struct mm_counters, khugepaged_full_scans, "1", "Times that it came to the end of its list (full_scans)"),
        METRIC(struct mm_counters, khugepaged_slots_made, "1", "Address spaces that came onto its list"),
        METRIC(struct mm_counters, khugepaged_slots_gone, "1", "Address spaces that left it"),
        METRIC(struct mm_counters, switches, "1", "Context switches"),
        METRIC(struct mm_counters, switches_same, "1", "Switches asked for to what ran already"),
        METRIC(struct mm_counters, switches_lazy, "1", "Of the context switches, those to a kernel thread or to nothing"),
        METRIC(struct mm_counters, switches_moved, "1", "Processes that went on on another CPU than before"),
        METRIC(struct mm_counters, cr3_loads, "1", "Writes of CR3"),
        METRIC(struct mm_counters, cr3_flushes, "1", "Of them, those that flush what is not global"),
        METRIC(struct mm_counters, flushes, "1", "Flushes of translations asked for (flush_tlb_mm_range)"),
        METRIC(struct mm_counters, flush_ipis, "1", "Other CPUs that were interrupted for them (nr_tlb_remote_flush_received)"),
        METRIC(struct mm_counters, flush_pages, "1", "Pages dropped one by one, on all CPUs"),
        METRIC(struct mm_counters, flush_full, "1", "Flushes of a whole space on a CPU"),
        METRIC(struct mm_counters, flushes_put_off, "1", "Entries that reclaim took and whose flush waited for others"),
        METRIC(struct mm_counters, flush_batches, "1", "Flushes of all that waited (arch_tlbbatch_flush)"),
        GAUGE(struct mm_counters, live_areas, "1", "Areas at the end"),
        GAUGE(struct mm_counters, mapped_pages, "pages", "Mapped by page tables at the end, each as often as it is (rss)"),
        GAUGE(struct mm_counters, zero_entries, "1", "Entries that map the zero page at the end"),
        GAUGE(struct mm_counters, table_pages, "pages", "Page tables at the end"),
        GAUGE(struct mm_counters, anonymous_pages, "pages", "Frames of private pages at the end"),
        GAUGE(struct mm_counters, shared_pages, "pages", "Frames of shared memory at the end"),
        GAUGE(struct mm_counters, file_pages, "pages", "Frames of files that are mapped at the end"),
        GAUGE(struct mm_counters, kept_pages, "pages", "Frames of files that the model keeps at the end"),
        GAUGE(struct mm_counters, stack_pages, "pages", "Kernel stacks that are blocks of pages, at the end"),
        GAUGE(struct mm_counters, khugepaged_slots, "1", "Address spaces on khugepaged's list at the end"),
        METRIC_END,
};

struct mm *mm_of(struct user_memory *users)
{
	return (struct mm *)users;
}

const struct mm *mm_const(const struct user_memory *users)
{
	return (const struct mm *)users;
}

struct object mm_object(struct mm *mm, enum object_kind kind, gfp flags, unsigned cpu)
{
	return cache_alloc(mm->objects, mm->cache[kind], flags, cpu);
}

void mm_free_object(struct mm *mm, enum object_kind kind, const struct object *object, unsigned cpu)
{
	enum object_free_result result = cache_free(mm->objects, mm->cache[kind], object->at, cpu);
	SIM_ASSERT(result == OBJECT_FREE_OK);
}

void lock_space(struct mm *mm, struct space *space, bool write)
{
	if (write)
		step_cmpxchg(mm->steps, mm_field(&space->object, MM_MMAP_LOCK), 8);
	else
		step_atomic(mm->steps, mm_field(&space->object, MM_MMAP_LOCK), 8);
}

void unlock_space(struct mm *mm, struct space *space, bool write)
{
	(void)write;
	step_atomic(mm->steps, mm_field(&space->object, MM_MMAP_LOCK), 8);
}

pfn mm_kept_read(struct mm *mm, uint32_t file, uint64_t index, unsigned cpu)
{
	pfn frame = page_store_make(&mm->kept, file, index, cpu);
	mm->counters.kept_pages = page_store_count(&mm->kept);
	return frame;
}

/* ---- the port ---- */

static process_id port_create(struct user_memory *users, unsigned cpu)
{
	return process_create(mm_of(users), cpu);
}

static process_id port_fork(struct user_memory *users, process_id parent, bool thread, unsigned cpu)
{
	return process_fork(mm_of(users), parent, thread, cpu);
}

static enum user_result port_exec(struct user_memory *users, process_id process, unsigned cpu)
{
	return process_exec(mm_of(users), process, cpu);
}

static void port_exit(struct user_memory *users, process_id process, unsigned cpu)
{
	process_exit(mm_of(users), process, cpu);
}

static enum user_result port_map(struct user_memory *users, process_id process, const struct user_area_request *request,
                                 unsigned cpu)
{
	struct mm *mm = mm_of(users);
	struct process *at = process_of(mm, process);
	if (!at)
		return USER_NO_PROCESS;
	switch_to_process(mm, process, cpu);
	return areas_map(mm, at->space, request, cpu);
}

static enum user_result port_unmap(struct user_memory *users, process_id process, uint64_t start, uint64_t pages, unsigned cpu)
{
	struct mm *mm = mm_of(users);
	struct process *at = process_of(mm, process);
	if (!at)
		return USER_NO_PROCESS;
	switch_to_process(mm, process, cpu);
	return areas_unmap(mm, at->space, start, pages, cpu);
}

static enum user_result port_protect(struct user_memory *users, process_id process, uint64_t start, uint64_t pages,
                                     unsigned rights, unsigned cpu)
{
	struct mm *mm = mm_of(users);
	struct process *at = process_of(mm, process);
	if (!at)
		return USER_NO_PROCESS;
	switch_to_process(mm, process, cpu);
	return areas_protect(mm, at->space, start, pages, rights, cpu);
}

static enum user_result port_remap(struct user_memory *users, process_id process, const struct user_remap *remap, unsigned cpu)
{
	struct mm *mm = mm_of(users);
	struct process *at = process_of(mm, process);
	if (!at)
		return USER_NO_PROCESS;
	switch_to_process(mm, process, cpu);
	return areas_remap(mm, at->space, remap, cpu);
}

static enum user_result port_advise(struct user_memory *users, process_id process, uint64_t start, uint64_t pages,
                                    enum user_advice advice, unsigned cpu)
{
	struct mm *mm = mm_of(users);
	struct process *at = process_of(mm, process);
	if (!at)
		return USER_NO_PROCESS;
	switch_to_process(mm, process, cpu);
	return areas_advise(mm, at->space, start, pages, advice, cpu);
}

/* The accesses of a touch that begin in the page of an address, from there on. */
static void make_accesses(struct mm *mm, const struct user_touch *touch, uint64_t at)
{
	uint64_t next = user_touch_next_page(touch, at);
	for (; at < next && at - touch->address < touch->bytes; at += touch->stride) {
		user_access(mm, at, user_access_bytes(touch, at), touch->kind);
		step_spend(mm->steps, mm->cost.user_access);
	}
}

static enum user_result port_touch(struct user_memory *users, process_id process, const struct user_touch *touch, unsigned cpu)
{
	struct mm *mm = mm_of(users);
	struct process *at = process_of(mm, process);
	if (!at)
		return USER_NO_PROCESS;
	if (touch->address >= mm->user_end || touch->bytes > mm->user_end - touch->address)
		return USER_BAD_RANGE;
	switch_to_process(mm, process, cpu);
	for (uint64_t to = touch->address; to - touch->address < touch->bytes; to = user_touch_next_page(touch, to)) {
		enum user_result result = fault_touch(mm, at->space, to, touch->kind, cpu);
		if (result != USER_OK)
			return result;
		if (mm->steps->recording)
			make_accesses(mm, touch, to);
	}
	return USER_OK;
}

/* What an access needs of its page. */
static enum access_kind kind_needed(const struct access *access)
{
	return access->kind == ACCESS_MODIFY ? ACCESS_STORE : (enum access_kind)access->kind;
}

/* An access to a page that needs a look: the tables are walked, or it faults. */
static void slow_access(struct mm *mm, struct space *space, const struct access *access, enum access_kind kind,
                        struct user_run *run, unsigned cpu)
{
	uint64_t faults = mm->counters.faults;
	run->before = mm->steps->count;
	space->last_cpu = cpu;
	run->result = fault_touch(mm, space, access->address, kind, cpu);
	run->faulted = mm->counters.faults != faults;
	steps_reserve(mm->steps, USER_ACCESS_STEPS);
	if (run->result == USER_OK)
		user_access_steps(mm->steps, run, access, vaddr_of(access->address));
}

/* Pages that a run has found as accesses of some kinds need them, the last ones of those with the same lowest bits. Nothing but
 * a look at the tables (slow_access) changes that. */
#define SEEN_PAGES 64u

struct seen_page {
	uint64_t page;  /* its number plus 1; 0: none */
	uint64_t kinds; /* a bit each */
};

/* Whether the access finds its page as it has to be, told without a walk; then the page is marked, as the processor does. */
static bool finds_page(const struct mm *mm, const struct space *space, const struct access *access, enum access_kind kind,
                       struct seen_page *seen)
{
	const uint64_t page = access->address / PAGE_SIZE + 1;
	struct entry entry;
	if (seen->page == page && seen->kinds >> kind & 1)
		return true;
	if (!entry_found(mm, space, access->address, &entry) || !entry_allows(&entry, kind))
		return false;
	entry_mark_used(&entry, kind);
	seen->kinds = (seen->page == page ? seen->kinds : 0) | 1ull << kind;
	seen->page = page;
	return true;
}

/* The accesses before the first one that needs a look, of which there may be none. Returns how many. */
static size_t quick_accesses(struct mm *mm, const struct space *space, const struct access *accesses, size_t count,
                             const struct user_run *run, struct seen_page seen[SEEN_PAGES])
{
	size_t made = 0, prefetches = 0;
	for (; made < count; made++) {
		const struct access *access = &accesses[made];
		enum access_kind kind = kind_needed(access);
		if (kind == ACCESS_PREFETCH)
			prefetches++;
		else if (!finds_page(mm, space, access, kind, &seen[access->address / PAGE_SIZE % SEEN_PAGES]))
			break;
		user_access_steps(mm->steps, run, access, vaddr_of(access->address));
	}
	mm->counters.touched_pages += made - prefetches;
	return made;
}

static size_t port_run(struct user_memory *users, process_id process, const struct access *accesses, size_t count,
                       struct user_run *run, unsigned cpu)
{
	struct mm *mm = mm_of(users);
	struct process *at = process_of(mm, process);
	struct seen_page seen[SEEN_PAGES] = {0};
	size_t made = 0;
	run->before = mm->steps->count;
	run->result = at ? USER_OK : USER_NO_PROCESS;
	if (!at)
		return 1;
	if (mm->cpu[cpu].current != process.nr)
		switch_to_process(mm, process, cpu);
	while (made < count && !run->faulted && run->result == USER_OK) {
		steps_reserve(mm->steps, (uint32_t)(count - made) * USER_ACCESS_STEPS);
		made += quick_accesses(mm, at->space, accesses + made, count - made, run, seen);
		if (made == count)
			break;
		slow_access(mm, at->space, &accesses[made], kind_needed(&accesses[made]), run, cpu);
		memset(seen, 0, sizeof seen);
		made++;
	}
	return made;
}

static void port_switch(struct user_memory *users, process_id process, unsigned cpu)
{
	struct mm *mm = mm_of(users);
	if (process.nr == UINT32_MAX)
		switch_to_kernel(mm, cpu);
	else if (process_of(mm, process))
		switch_to_process(mm, process, cpu);
}

static void port_tick(struct user_memory *users, unsigned cpu, uint64_t now_ns)
{
	khugepaged_turn(mm_of(users), cpu, now_ns);
}

static bool port_moved(struct user_memory *users, pfn from, pfn to)
{
	const struct page_watcher *watcher = &users->watcher;
	bool mapped = rmap_moved(mm_of(users), from, to);
	bool watched = watcher->moved && watcher->moved(watcher->context, from, to);
	return mapped || watched || gather_moved(mm_of(users), from, to);
}

static uint32_t port_map_count(const struct user_memory *users, pfn frame)
{
	const struct mm *mm = mm_const(users);
	if (frame.nr >= mm->end_pfn)
		return 0;
	const struct mapped_page *page = &mm->page[frame.nr];
	const struct mapped_page *head = page->tail ? &mm->page[frame.nr & ~(FRAMES_OF_HUGE - 1)] : page;
	return page->own_count + head->whole;
}

static uint32_t port_huge_map_count(const struct user_memory *users, pfn first, uint32_t *whole)
{
	const struct mapped_page *head = &mm_const(users)->page[first.nr];
	*whole = head->whole;
	return head->map_count;
}

static uint32_t port_split_page(struct user_memory *users, pfn first, unsigned cpu)
{
	return huge_split_page(mm_of(users), first, cpu);
}

static uint32_t port_referenced(struct user_memory *users, pfn frame, bool *executable, unsigned cpu)
{
	return rmap_referenced(mm_of(users), frame, executable, cpu);
}

static uint32_t port_unmap_page(struct user_memory *users, pfn frame, uint64_t entry, bool *dirty, unsigned cpu)
{
	return rmap_unmap(mm_of(users), frame, entry, dirty, cpu);
}

static void port_flush_unmapped(struct user_memory *users, bool only_dirty, unsigned cpu)
{
	flush_unmapped(mm_of(users), only_dirty, cpu);
}

static void port_shared_left(struct user_memory *users, pfn frame, uint64_t entry)
{
	struct mm *mm = mm_of(users);
	struct mapped_page *page = &mm->page[frame.nr];
	SIM_ASSERT(page->kind == MAPPED_SHARED && page->map_count == 0 && entry < SHARED_SWAPPED);
	shared_of(mm, frame)->frames[page->place] = entry ? SHARED_SWAPPED | (uint32_t)entry : 0;
	*page = (struct mapped_page){0};
	mm->counters.shared_pages--;
}

static bool port_view(const struct user_memory *users, process_id process, struct process_view *view)
{
	const struct mm *mm = mm_const(users);
	if (process.nr >= mm->processes_count || !mm->processes[process.nr].used)
		return false;
	const struct space *space = mm->processes[process.nr].space;
	*view = (struct process_view){.areas = space->areas_count,
	                              .anonymous = space->rss[MAPPED_ANONYMOUS],
	                              .file = space->rss[MAPPED_FILE],
	                              .shared = space->rss[MAPPED_SHARED],
	                              .swapped = space->rss[MAPPED_NOT],
	                              .huge = space->huge * FRAMES_OF_HUGE,
	                              .tables = space->tables,
	                              .sharers = space->sharers,
	                              .root = (uint64_t)space->root->frame.nr << PAGE_SHIFT,
	                              .last_cpu = space->last_cpu};
	for (uint32_t i = 0; i < space->areas_count; i++)
		view->area_pages += (space->areas[i]->end - space->areas[i]->start) >> PAGE_SHIFT;
	return true;
}

static uint64_t port_pages_held(const struct user_memory *users)
{
	const struct mm *mm = mm_const(users);
	const struct mm_counters *counters = &mm->counters;
	const struct page_watcher *watcher = &users->watcher;
	return counters->table_pages + counters->anonymous_pages + counters->shared_pages + counters->kept_pages +
	       counters->stack_pages + (mm->huge_zero.nr != UINT32_MAX ? FRAMES_OF_HUGE : 0) +
	       (watcher->pages_held ? watcher->pages_held(watcher->context) : 0);
}

static const void *port_counters(const struct user_memory *users)
{
	return &mm_const(users)->counters;
}

static void port_destroy(struct user_memory *users)
{
	struct mm *mm = mm_of(users);
	for (uint32_t nr = 0; nr < mm->processes_count; nr++)
		if (mm->processes[nr].used)
			process_exit(mm, (process_id){nr}, 0);
	for (unsigned cpu = 0; cpu < mm->cpus; cpu++)
		if (mm->cpu[cpu].loaded)
			switch_to_space(mm, NULL, cpu);
	khugepaged_release(mm);
	SIM_ASSERT(mm->spaces_count == 0);
	page_store_release(&mm->kept);
	if (mm->huge_zero.nr != UINT32_MAX)
		gather_free(mm, mm->huge_zero, HUGE_ORDER, 0);
	free(mm->gather.at);
	free(mm->spaces);
	free(mm->processes);
	free(mm->free_processes);
	lazy_free(mm->page, mm->end_pfn, sizeof *mm->page);
	free(mm);
}

const struct user_memory_ops user_memory_mm_ops = {
        .name = "mm",
        .help = "processes as in Linux 6.1: demand faults, copy-on-write, transparent huge pages, lazy TLB and PCIDs",
        .create = port_create,
        .fork = port_fork,
        .exec = port_exec,
        .exit = port_exit,
        .map = port_map,
        .unmap = port_unmap,
        .remap = port_remap,
        .advise = port_advise,
        .protect = port_protect,
        .touch = port_touch,
        .run = port_run,
        .switch_to = port_switch,
        .tick = port_tick,
        .moved = port_moved,
        .map_count = port_map_count,
        .huge_map_count = port_huge_map_count,
        .referenced = port_referenced,
        .unmap_page = port_unmap_page,
        .split_page = port_split_page,
        .flush_unmapped = port_flush_unmapped,
        .shared_left = port_shared_left,
        .view = port_view,
        .pages_held = port_pages_held,
        .check = mm_check,
        .metrics = mm_metrics,
        .counters = port_counters,
        .destroy = port_destroy,
};

/* ---- making it ---- */

static const enum kernel_cache cache_of_kind[OBJECT_KINDS] = {
        [OBJECT_TASK] = CACHE_TASK_STRUCT,     [OBJECT_SIGHAND] = CACHE_SIGHAND, [OBJECT_SIGNAL] = CACHE_SIGNAL,
        [OBJECT_FILES] = CACHE_FILES,          [OBJECT_FS] = CACHE_FS,           [OBJECT_MM] = CACHE_MM_STRUCT,
        [OBJECT_VMA] = CACHE_VM_AREA_STRUCT,   [OBJECT_NODE] = CACHE_MAPLE_NODE, [OBJECT_ANON_VMA] = CACHE_ANON_VMA,
        [OBJECT_CHAIN] = CACHE_ANON_VMA_CHAIN, [OBJECT_PID] = CACHE_PID,         [OBJECT_CRED] = CACHE_CRED_JAR,
        [OBJECT_NAMES] = CACHE_NAMES,          [OBJECT_MM_SLOT] = CACHE_MM_SLOT,
};

static bool make_caches(struct mm *mm, struct error *error)
{
	unsigned kinds = mm->huge_pages ? OBJECT_KINDS : OBJECT_MM_SLOT;
	for (unsigned kind = 0; kind < kinds; kind++) {
		const struct workload_cache_spec *row = &kernel_caches[cache_of_kind[kind]];
		const struct cache_spec spec = {.name = row->name,
		                                .object_size = row->bytes,
		                                .align = row->align,
		                                .flags = row->flags,
		                                .ctor = row->ctor};
		mm->cache[kind] = cache_create(mm->objects, &spec);
		if (mm->cache[kind].nr == UINT32_MAX)
			return error_set(error, ERROR_USAGE, "memory: none is left for the cache %s", row->name);
	}
	return true;
}

/* Where user mode ends, and how much of a top table is the kernel's. */
static void set_halves(struct mm *mm)
{
	unsigned top = mm->mode->levels - 1;
	uint32_t entries = 1u << mm->mode->level[top].index_bits;
	mm->user_end = user_end_of(mm->mode);
	mm->kernel_entries =
	        mm->mode->sign_extended ? entries / 2 : entries - (uint32_t)(mm->user_end >> mm->mode->level[top].shift);
}

struct user_memory *user_memory_mm_create(const struct user_memory_wiring *wiring, struct error *error)
{
	const struct settings *settings = wiring->settings;
	struct mm *mm = xcalloc(1, sizeof *mm);
	SIM_ASSERT(wiring->mode->levels > 0 && wiring->cpus > 0 && wiring->cpus <= CPUS_MAX);
	*mm = (struct mm){.port.ops = &user_memory_mm_ops,
	                  .pages = wiring->pages,
	                  .objects = wiring->objects,
	                  .stacks = wiring->areas,
	                  .layout = wiring->layout,
	                  .mapper = wiring->mapper,
	                  .steps = wiring->steps,
	                  .mode = wiring->mode,
	                  .controls = *wiring->controls,
	                  .cpus = wiring->cpus,
	                  .cost = settings->cost,
	                  .end_pfn = wiring->pages->end_pfn,
	                  .next_ctx_id = 1,
	                  .taken_away = PFN_NONE,
	                  .huge_zero = PFN_NONE};
	set_halves(mm);
	/* 64 bits only (X86_FEATURE_PCID is cleared on 32). */
	mm->pcid = settings->kernel.pcid && mm->mode->sign_extended;
	mm->around_pages = 1;
	while (2ull * mm->around_pages * PAGE_SIZE <= settings->kernel.fault_around_bytes)
		mm->around_pages *= 2;
	mm->huge_if_advised = settings->kernel.thp == THP_MADVISE;
	mm->huge_pages =
	        settings->kernel.thp != THP_NEVER && settings->kernel.transparent_hugepage && huge_level(mm) < mm->mode->levels;
	khugepaged_init(mm, &settings->kernel.khugepaged);
	page_store_init(&mm->kept, mm->pages);
	mm->page = lazy_alloc(mm->end_pfn, sizeof *mm->page);
	mm->tlb_state = layout_per_cpu_static(mm->layout, 320);
	for (unsigned cpu = 0; cpu < CPUS_MAX; cpu++) {
		mm->cpu[cpu] = (struct cpu_state){.next_asid = 1, .current = UINT32_MAX};
		mm->cpu[cpu].ctx[0].ctx_id = 1; /* init_mm */
	}
	if (make_caches(mm, error))
		return &mm->port;
	port_destroy(&mm->port);
	return NULL;
}
