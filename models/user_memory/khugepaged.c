/* SPDX-License-Identifier: MIT
 *
 * khugepaged.c - the daemon that looks for small pages to make huge ones of: its list of address spaces, its place in it, its
 * sleep (interface: mm.h; what becomes of a range: collapse.c).
 *
 * An address space comes to the end of the list at the first fault in an area that has room for a huge page, or by fork() from
 * one that is there. A scan goes on where the last one ended, by `pages_to_scan` steps: an entry of a range is one, so is an area
 * that is passed over and an address space that is begun. Behind each page of order 9 that it asked for it begins anew with the
 * address space, whose lock it had to give up. Then it sleeps; without any address space until there is one; where no page of
 * order 9 was to be had, `alloc_sleep_millisecs` in the middle of a scan, once.
 *
 * Source: Linux 6.1 mm/khugepaged.c: khugepaged_do_scan(), khugepaged_scan_mm_slot(), collect_mm_slot(), khugepaged_wait_work(),
 * __khugepaged_enter(), __khugepaged_exit(); mm/huge_memory.c: hugepage_vma_check().
 * MODEL: mmap_lock is always free for it. MODEL: files and shared memory are passed over, as Debian's kernels do
 * (CONFIG_READ_ONLY_THP_FOR_FS is not set, shmem_enabled is never). MODEL: batches of other CPUs are drained by the daemon, not
 * by a work on each. MODEL: the raise of min_free_kbytes that comes with it is left to the setting of that name. MODEL: a turn is
 * decided as a whole at its time; what it takes comes behind what the cores had to do before.
 */
#include "models/user_memory/mm.h"

#include <stdlib.h>
#include <string.h>

#define NS_OF_MS 1000000ull
#define SLOT_LIST 16u /* mm_slot.mm_node */

void khugepaged_init(struct mm *mm, const struct khugepaged_settings *settings)
{
	mm->khugepaged.settings = *settings;
	mm->port.next_tick_ns = UINT64_MAX;
	if (mm->huge_pages)
		mm->khugepaged.lock = layout_kernel_data(mm->layout, 64);
}

/* ---- the list ---- */

static uint32_t place_of(const struct khugepaged *daemon, const struct space *space)
{
	uint32_t place = 0;
	while (daemon->at[place] != space)
		place++;
	return place;
}

/* Its slot goes, and its hold on the address space. */
static void remove_slot(struct mm *mm, struct space *space, unsigned cpu)
{
	struct khugepaged *daemon = &mm->khugepaged;
	uint32_t place = place_of(daemon, space);
	daemon->count--;
	memmove(daemon->at + place, daemon->at + place + 1, (daemon->count - place) * sizeof(struct space *));
	write_field(mm, &space->mm_slot, SLOT_LIST);
	mm_free_object(mm, OBJECT_MM_SLOT, &space->mm_slot, cpu);
	space->mm_slot = (struct object){0};
	mm->counters.khugepaged_slots--;
	mm->counters.khugepaged_slots_gone++;
	space_put(mm, space, cpu);
}

/* A daemon without a list sleeps until somebody comes; one that sleeps for want of a page is woken as well. */
static void wake(struct mm *mm)
{
	if (mm->port.next_tick_ns == UINT64_MAX || mm->khugepaged.scans)
		mm->port.next_tick_ns = mm->steps->now_ns;
}

/* __khugepaged_enter() */
static void enter(struct mm *mm, struct space *space, unsigned cpu)
{
	struct khugepaged *daemon = &mm->khugepaged;
	struct object slot = mm_object(mm, OBJECT_MM_SLOT, GFP_KERNEL | __GFP_ZERO, cpu);
	if (!slot.at.addr)
		return;
	if (daemon->count == daemon->room) {
		daemon->room = daemon->room ? 2 * daemon->room : 16;
		daemon->at = xrealloc(daemon->at, daemon->room * sizeof(struct space *));
	}
	if (daemon->count == 0)
		wake(mm);
	daemon->at[daemon->count++] = space;
	space->mm_slot = slot;
	space->lazy++;
	step_lock(mm->steps, daemon->lock);
	write_field(mm, &slot, 0);
	write_field(mm, &slot, SLOT_LIST);
	step_unlock(mm->steps, daemon->lock);
	step_atomic(mm->steps, mm_field(&space->object, MM_COUNT), 4);
	mm->counters.khugepaged_slots++;
	mm->counters.khugepaged_slots_made++;
}

/* hugepage_vma_check(), for the daemon: an anonymous area that was written to, with room for one huge page at least. */
static bool has_work(const struct mm *mm, const struct area *area)
{
	return area->anon_vma && area->end > HUGE_BYTES && huge_is_suitable(mm, area, area->end - HUGE_BYTES);
}

void khugepaged_enter_area(struct mm *mm, struct space *space, const struct area *area, unsigned cpu)
{
	if (mm->huge_pages && mm->khugepaged.settings.pages_to_scan && !space->mm_slot.at.addr && has_work(mm, area))
		enter(mm, space, cpu);
}

void khugepaged_fork(struct mm *mm, struct space *to, const struct space *from, unsigned cpu)
{
	if (from->mm_slot.at.addr)
		enter(mm, to, cpu);
}

/* One that the daemon stands in stays on the list until it has come by. */
void khugepaged_exit(struct mm *mm, struct space *space, unsigned cpu)
{
	if (!space->mm_slot.at.addr)
		return;
	step_lock(mm->steps, mm->khugepaged.lock);
	step_unlock(mm->steps, mm->khugepaged.lock);
	if (mm->khugepaged.current != space) {
		remove_slot(mm, space, cpu);
		return;
	}
	lock_space(mm, space, true);
	unlock_space(mm, space, true);
}

void khugepaged_release(struct mm *mm)
{
	struct khugepaged *daemon = &mm->khugepaged;
	if (daemon->current)
		remove_slot(mm, daemon->current, 0);
	daemon->current = NULL;
	SIM_ASSERT(daemon->count == 0);
	free(daemon->at);
}

/* ---- a scan ---- */

enum pass { PASS_ON, PASS_PAUSES, PASS_LOST_LOCK };

/* The ranges of an area, from the daemon's address on. */
static enum pass scan_area(struct mm *mm, struct space *space, struct area *area, uint32_t pages, uint32_t *progress,
                           enum collapse_result *result, unsigned cpu)
{
	struct khugepaged *daemon = &mm->khugepaged;
	uint64_t start = (area->start + HUGE_BYTES - 1) & ~(HUGE_BYTES - 1), end = area->end & ~(HUGE_BYTES - 1);
	read_field(mm, &area->object, VMA_START);
	if (!has_work(mm, area) || daemon->address > end) {
		++*progress;
		return PASS_ON;
	}
	if (daemon->address < start)
		daemon->address = start;
	while (daemon->address < end) {
		*result = collapse_range(mm, space, area, daemon->address, cpu);
		daemon->address += HUGE_BYTES;
		*progress += FRAMES_OF_HUGE;
		if (*result != COLLAPSE_REFUSED)
			return PASS_LOST_LOCK;
		if (*progress >= pages)
			return PASS_PAUSES;
	}
	return PASS_ON;
}

/* The areas of an address space, from the daemon's address on. True: it came to the end of them. */
static bool scan_space(struct mm *mm, struct space *space, uint32_t pages, uint32_t *progress, enum collapse_result *result,
                       unsigned cpu)
{
	enum pass pass = PASS_ON;
	if (space->sharers == 0)
		return true;
	space->last_cpu = cpu;
	lock_space(mm, space, false);
	for (uint32_t i = area_index(space, mm->khugepaged.address); pass == PASS_ON && i < space->areas_count; i++)
		pass = scan_area(mm, space, space->areas[i], pages, progress, result, cpu);
	if (pass != PASS_LOST_LOCK)
		unlock_space(mm, space, false);
	return pass == PASS_ON;
}

/* khugepaged_scan_mm_slot(): the steps that it took of `pages`. */
static uint32_t scan_slot(struct mm *mm, uint32_t pages, enum collapse_result *result, unsigned cpu)
{
	struct khugepaged *daemon = &mm->khugepaged;
	uint32_t progress = 1;
	if (!daemon->current) {
		daemon->current = daemon->at[0];
		daemon->address = 0;
	}
	struct space *space = daemon->current;
	*result = COLLAPSE_REFUSED;
	read_field(mm, &space->mm_slot, SLOT_LIST);
	bool ended = scan_space(mm, space, pages, &progress, result, cpu);
	step_lock(mm->steps, daemon->lock);
	if (ended) {
		uint32_t next = place_of(daemon, space) + 1;
		mm->counters.khugepaged_full_scans += next == daemon->count;
		daemon->current = next < daemon->count ? daemon->at[next] : NULL;
		daemon->address = 0;
	}
	step_unlock(mm->steps, daemon->lock);
	if (space->sharers == 0)
		remove_slot(mm, space, cpu);
	return progress;
}

/* khugepaged_do_scan(), from its beginning or where it went to sleep. True: it sleeps in the middle, for want of a page. */
static bool scan(struct mm *mm, unsigned cpu)
{
	struct khugepaged *daemon = &mm->khugepaged;
	const struct page_watcher *watcher = &mm->port.watcher;
	bool may_sleep = !daemon->scans;
	if (!daemon->scans) {
		daemon->progress = daemon->passes = 0;
		mm->counters.khugepaged_wakes++;
		if (watcher->drain)
			watcher->drain(watcher->context, cpu, true);
	}
	while (daemon->progress < daemon->settings.pages_to_scan) {
		enum collapse_result result;
		daemon->passes += !daemon->current;
		if (daemon->count == 0 || daemon->passes >= 2)
			return false;
		daemon->progress += scan_slot(mm, daemon->settings.pages_to_scan - daemon->progress, &result, cpu);
		if (result == COLLAPSE_NO_PAGE && daemon->progress < daemon->settings.pages_to_scan)
			return may_sleep;
	}
	return false;
}

void khugepaged_turn(struct mm *mm, unsigned cpu, uint64_t now_ns)
{
	struct khugepaged *daemon = &mm->khugepaged;
	/* Meanwhile nobody wakes it. */
	mm->port.next_tick_ns = now_ns;
	kernel_thread_begin(mm, cpu);
	daemon->scans = scan(mm, cpu);
	kernel_thread_end(mm, cpu);
	if (daemon->scans)
		mm->port.next_tick_ns = now_ns + daemon->settings.alloc_sleep_millisecs * NS_OF_MS;
	else if (daemon->count > 0)
		mm->port.next_tick_ns = now_ns + daemon->settings.scan_sleep_millisecs * NS_OF_MS;
	else
		mm->port.next_tick_ns = UINT64_MAX;
}

/* ---- laws ---- */

void khugepaged_check(const struct mm *mm)
{
	const struct khugepaged *daemon = &mm->khugepaged;
	const struct mm_counters *counters = &mm->counters;
	uint64_t slots = 0, begun = counters->khugepaged_pages_collapsed + counters->thp_collapse_undone;
	for (uint32_t i = 0; i < mm->spaces_count; i++)
		slots += mm->spaces[i]->mm_slot.at.addr != 0;
	for (uint32_t i = 0; i < daemon->count; i++)
		SIM_ASSERT(daemon->at[i]->mm_slot.at.addr && (daemon->at[i]->sharers > 0 || daemon->at[i] == daemon->current));
	SIM_ASSERT(slots == daemon->count && slots == counters->khugepaged_slots);
	SIM_ASSERT(slots == counters->khugepaged_slots_made - counters->khugepaged_slots_gone);
	SIM_ASSERT(counters->khugepaged_scanned ==
	           counters->khugepaged_pages_collapsed + counters->thp_scan_pmd_none + counters->thp_scan_pmd_mapped +
	                   counters->thp_scan_exceed_none_pte + counters->thp_scan_exceed_swap_pte +
	                   counters->thp_scan_exceed_shared_pte + counters->thp_scan_page_ro +
	                   counters->thp_scan_lack_referenced + counters->thp_scan_page_lru + counters->thp_scan_page_count +
	                   counters->thp_scan_pte_non_present + counters->thp_scan_swap_in_failed +
	                   counters->thp_collapse_alloc_failed);
	SIM_ASSERT(counters->thp_collapse_alloc == begun + counters->thp_collapse_unused);
	SIM_ASSERT(counters->thp_collapse_copied + counters->thp_collapse_cleared ==
	           counters->khugepaged_pages_collapsed * FRAMES_OF_HUGE);
	SIM_ASSERT(counters->thp_collapse_sync_ipis == begun * (mm->cpus - 1));
	/* A scan ends with the range that takes it to its limit, and comes by the head of the list twice at most. */
	SIM_ASSERT(counters->khugepaged_full_scans <= 2 * counters->khugepaged_wakes);
	SIM_ASSERT(counters->khugepaged_scanned * FRAMES_OF_HUGE <=
	           counters->khugepaged_wakes * ((uint64_t)daemon->settings.pages_to_scan + FRAMES_OF_HUGE));
}
