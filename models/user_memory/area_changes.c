/* SPDX-License-Identifier: MIT
 *
 * area_changes.c - what a program says of areas that are there: advice and rights (interface: mm.h).
 *
 * A part of an area that becomes another is an area of its own first; a huge page over its edge is taken apart. MADV_FREE makes
 * entries old and clean, and tells who looks after the pages that they may go while they are that.
 *
 * Source: Linux 6.1 mm/madvise.c: madvise_walk_vmas(), madvise_vma_behavior(), madvise_update_vma(),
 * madvise_dontneed_single_vma(), madvise_free_pte_range(); mm/huge_memory.c: hugepage_madvise(), madvise_free_huge_pmd(),
 * change_huge_pmd(); mm/mprotect.c: do_mprotect_pkey(),
 * mprotect_fixup(), change_pte_range(), can_change_pte_writable(); arch/x86/include/asm/tlbflush.h: pte_needs_flush().
 */
#include "models/kernel_code.h"
#include "models/user_memory/mm.h"

/* ---- madvise ---- */

/* What the area is once it is advised; false: the same. */
static bool advised(const struct area *area, enum user_advice advice, struct area *then)
{
	static const enum file_advice readings[USER_ADVICES] = {
	        [USER_READ_NORMAL] = FILE_NORMAL, [USER_READ_RANDOM] = FILE_RANDOM, [USER_READ_SEQUENTIAL] = FILE_SEQUENTIAL};
	*then = *area;
	if (advice == USER_HUGEPAGE || advice == USER_NOHUGEPAGE) {
		then->wants_huge = advice == USER_HUGEPAGE;
		then->refuses_huge = !then->wants_huge;
	} else {
		then->reading = readings[advice];
	}
	return then->wants_huge != area->wants_huge || then->refuses_huge != area->refuses_huge || then->reading != area->reading;
}

/* madvise_vma_behavior(), madvise_update_vma(): the part of an area in [start, end) becomes one of its own, and is advised. */
static bool advise_area(struct mm *mm, struct space *space, struct area *area, uint64_t start, uint64_t end,
                        enum user_advice advice, unsigned cpu)
{
	struct area then;
	if (!advised(area, advice, &then))
		return true;
	if (!areas_split_edges(mm, space, start, end, cpu))
		return false;
	area = area_at(space, start);
	area->wants_huge = then.wants_huge;
	area->refuses_huge = then.refuses_huge;
	area->reading = then.reading;
	write_field(mm, &area->object, VMA_FLAGS);
	if (advice == USER_HUGEPAGE)
		khugepaged_enter_area(mm, space, area, cpu);
	return true;
}

/* madvise_dontneed_single_vma(): tables stay. */
static void forget_pages(struct mm *mm, struct space *space, uint64_t start, uint64_t end, unsigned cpu)
{
	areas_split_huge(mm, space, start, cpu);
	areas_split_huge(mm, space, end, cpu);
	gather_begin(mm);
	areas_zap(mm, space, start, end, cpu);
	gather_end(mm, space, false, false, cpu);
}

/* ---- MADV_FREE ---- */

/* The part of a range that one table of pages maps, or one huge page. */
struct freeing {
	struct mm *mm;
	struct space *space;
	uint64_t at, end;
	unsigned cpu;
	struct entry entry;
};

static bool may_forget(const struct freeing *freeing, pfn frame, uint32_t entries)
{
	const struct page_watcher *watcher = &freeing->mm->port.watcher;
	return !watcher->may_forget || watcher->may_forget(watcher->context, frame, entries, freeing->cpu);
}

static bool take_apart(const struct freeing *freeing, pfn first)
{
	const struct page_watcher *watcher = &freeing->mm->port.watcher;
	return watcher->split && watcher->split(watcher->context, first, freeing->cpu);
}

/* The entry is old and clean from now on, and the page may go until it is written. */
static void let_go(struct freeing *freeing, pfn frame, uint64_t word, uint64_t bytes)
{
	struct mm *mm = freeing->mm;
	const struct page_watcher *watcher = &mm->port.watcher;
	if (word & (WORD_ACCESSED | WORD_DIRTY)) {
		entry_write(mm, &freeing->entry, word & ~(WORD_ACCESSED | WORD_DIRTY));
		gather_range(mm, freeing->at, bytes);
	}
	if (watcher->lazyfree)
		watcher->lazyfree(watcher->context, frame, freeing->cpu);
}

/* madvise_free_huge_pmd(). True: the entry is done with; false: it is of a table of pages now. */
static bool free_huge(struct freeing *freeing)
{
	struct mm *mm = freeing->mm;
	uint64_t word = entry_word(&freeing->entry);
	pfn first = pfn_of((uint32_t)((word & WORD_FRAME) >> PAGE_SHIFT));
	entry_read(mm, &freeing->entry);
	if (word & WORD_SPECIAL || mm->page[first.nr].map_count != 1)
		return true;
	if (freeing->end - freeing->at < HUGE_BYTES)
		return !take_apart(freeing, first);
	entry_lock(mm, &freeing->entry);
	/* pmdp_invalidate() */
	if (word & (WORD_ACCESSED | WORD_DIRTY))
		flush_range(mm, freeing->space, freeing->at, FRAMES_OF_HUGE, true, freeing->cpu);
	if (may_forget(freeing, first, 1))
		let_go(freeing, first, word, HUGE_BYTES);
	entry_unlock(mm, &freeing->entry);
	return true;
}

static void give_slot_back(struct freeing *freeing, uint64_t word)
{
	const struct page_watcher *watcher = &freeing->mm->port.watcher;
	entry_write(freeing->mm, &freeing->entry, 0);
	freeing->space->rss[MAPPED_NOT]--;
	watcher->swap_given(watcher->context, (word & WORD_FRAME) >> WORD_SWAP_SHIFT, freeing->cpu);
}

/* A part of a huge page that no other process seems to have: it is taken apart first. False: it stays whole. */
static bool free_part(struct freeing *freeing, pfn frame)
{
	struct mm *mm = freeing->mm;
	pfn first = pfn_of(frame.nr & ~(FRAMES_OF_HUGE - 1));
	/* folio_estimated_sharers(): what maps its first frame. */
	if (mm->port.ops->map_count(&mm->port, first) != 1)
		return false;
	entry_unlock(mm, &freeing->entry);
	bool taken = take_apart(freeing, first);
	entry_lock(mm, &freeing->entry);
	return taken;
}

/* madvise_free_pte_range() */
static void free_entries(struct freeing *freeing)
{
	struct mm *mm = freeing->mm;
	entry_lock(mm, &freeing->entry);
	while (freeing->at < freeing->end) {
		uint64_t word = entry_word(&freeing->entry);
		pfn frame = pfn_of((uint32_t)((word & WORD_FRAME) >> PAGE_SHIFT));
		entry_read(mm, &freeing->entry);
		if (word & WORD_PRESENT && !(word & WORD_SPECIAL) && (mm->page[frame.nr].head || mm->page[frame.nr].tail)) {
			if (!free_part(freeing, frame))
				break;
			continue;
		}
		if (word)
			step_spend(mm->steps, mm->cost.protect_entry);
		if (word & WORD_SWAP && !(word & WORD_PRESENT))
			give_slot_back(freeing, word);
		else if (word && !(word & WORD_SPECIAL) && may_forget(freeing, frame, mm->page[frame.nr].map_count))
			let_go(freeing, frame, word, PAGE_SIZE);
		freeing->at += PAGE_SIZE;
		freeing->entry.index++;
	}
	entry_unlock(mm, &freeing->entry);
}

/* madvise_free_single_vma() */
static void free_pages(struct mm *mm, struct space *space, uint64_t start, uint64_t end, unsigned cpu)
{
	const struct page_watcher *watcher = &mm->port.watcher;
	uint64_t span = 1ull << mm->mode->level[1].shift;
	if (watcher->drain)
		watcher->drain(watcher->context, cpu, false);
	gather_begin(mm);
	for (uint64_t at = start; at < end; at = (at | (span - 1)) + 1) {
		uint64_t most = (at | (span - 1)) + 1;
		struct freeing freeing = {.mm = mm, .space = space, .at = at, .end = most < end ? most : end, .cpu = cpu};
		entry_find(mm, space, at, &freeing.entry);
		bool huge = freeing.entry.level == huge_level(mm) && entry_word(&freeing.entry);
		if (huge && free_huge(&freeing))
			continue;
		if (huge)
			entry_find(mm, space, at, &freeing.entry);
		if (freeing.entry.level == 0)
			free_entries(&freeing);
	}
	gather_end(mm, space, false, false, cpu);
}

/* ---- madvise() itself ---- */

/* The areas' part in [start, end), which lies in one. */
static enum user_result advise_part(struct mm *mm, struct space *space, struct area *area, uint64_t start, uint64_t end,
                                    enum user_advice advice, unsigned cpu)
{
	if (advice == USER_DONTNEED)
		forget_pages(mm, space, start, end, cpu);
	else if (advice != USER_FREE)
		return advise_area(mm, space, area, start, end, advice, cpu) ? USER_OK : USER_NO_MEMORY;
	else if (!user_area_is_anonymous(area->kind))
		return USER_BAD_KIND;
	else
		free_pages(mm, space, start, end, cpu);
	return USER_OK;
}

/* madvise_walk_vmas() */
enum user_result areas_advise(struct mm *mm, struct space *space, uint64_t start, uint64_t pages, enum user_advice advice,
                              unsigned cpu)
{
	if (!user_range_is_valid(mm->user_end, start, pages))
		return USER_BAD_RANGE;
	uint64_t end = start + (pages << PAGE_SHIFT);
	bool write = advice != USER_DONTNEED && advice != USER_FREE;
	enum user_result result = USER_OK;
	lock_space(mm, space, write);
	step_run(mm->steps, CODE_MADVISE, mm->cost.madvise);
	while (start < end && (result == USER_OK || result == USER_HOLE)) {
		uint32_t index = area_index(space, start);
		struct area *area = index < space->areas_count ? space->areas[index] : NULL;
		uint64_t from = area && area->start > start ? area->start : start;
		if (!area || from > start)
			result = USER_HOLE;
		if (!area || from >= end)
			break;
		uint64_t to = area->end < end ? area->end : end;
		enum user_result part = advise_part(mm, space, area, from, to, advice, cpu);
		result = part == USER_OK ? result : part;
		start = to;
	}
	unlock_space(mm, space, write);
	return result;
}

/* ---- mprotect ---- */

struct protecting {
	struct mm *mm;
	const struct area *area;
	struct table *locked; /* whose ptl is held */
};

/*
 * What an entry says with the area's rights. Private pages are write-protected first; then can_change_pte_writable() gives the
 * right back where a write would find nothing to do: what is dirty, and private to nobody else or of the file. Without any right
 * the processor finds a page of the kernel's own. MODEL: a kernel clears the present bit then (_PAGE_PROTNONE).
 */
static uint64_t protected_word(const struct protecting *protecting, const struct entry *entry)
{
	const struct mm *mm = protecting->mm;
	const struct area *area = protecting->area;
	uint64_t old = entry_word(entry), word = old & ~(WORD_WRITE | WORD_USER | WORD_EXECUTE);
	const struct mapped_page *page = &mm->page[(word & WORD_FRAME) >> PAGE_SHIFT];
	if (area->rights)
		word |= WORD_USER;
	if (area->rights & USER_EXECUTE)
		word |= WORD_EXECUTE;
	if (!(area->rights & USER_WRITE) || entry->level > 0 || word & WORD_SPECIAL)
		return word;
	bool alone = page->kind == MAPPED_ANONYMOUS && page->exclusive;
	bool writable = area->kind == USER_SHARED || (word & WORD_DIRTY && (user_area_is_shared(area->kind) || alone));
	return writable ? word | WORD_WRITE : word;
}

/* change_pte_range(), change_huge_pmd() */
static void protect_one(void *context, const struct entry *entry, uint64_t linear)
{
	struct protecting *protecting = context;
	struct mm *mm = protecting->mm;
	uint64_t old = entry_word(entry);
	if (!(old & WORD_PRESENT))
		return;
	if (protecting->locked != entry->table) {
		if (protecting->locked)
			entry_unlock(mm, &(struct entry){.table = protecting->locked});
		entry_lock(mm, entry);
		protecting->locked = entry->table;
	}
	uint64_t word = protected_word(protecting, entry);
	step_spend(mm->steps, mm->cost.protect_entry);
	entry_read(mm, entry);
	entry_write(mm, entry, word);
	/* pte_needs_flush() */
	if ((old ^ word) & WORD_RIGHTS)
		gather_range(mm, linear, entry->level > 0 ? HUGE_BYTES : PAGE_SIZE);
}

/* mprotect_fixup() */
static bool protect_area(struct mm *mm, struct space *space, struct area *area, uint64_t start, uint64_t end, unsigned rights,
                         unsigned cpu)
{
	if (area->rights == rights)
		return true;
	if (!areas_split_edges(mm, space, start, end, cpu))
		return false;
	area = area_at(space, start);
	area->rights = rights;
	write_field(mm, &area->object, VMA_FLAGS);
	struct protecting protecting = {.mm = mm, .area = area};
	tables_visit(mm, space, start, end, protect_one, &protecting);
	if (protecting.locked)
		entry_unlock(mm, &(struct entry){.table = protecting.locked});
	return true;
}

/* do_mprotect_pkey(). One flush, behind all areas. */
enum user_result areas_protect(struct mm *mm, struct space *space, uint64_t start, uint64_t pages, unsigned rights, unsigned cpu)
{
	if (!user_range_is_valid(mm->user_end, start, pages))
		return USER_BAD_RANGE;
	uint64_t end = start + (pages << PAGE_SHIFT);
	enum user_result result = USER_OK;
	lock_space(mm, space, true);
	step_run(mm->steps, CODE_MPROTECT, mm->cost.mprotect);
	gather_begin(mm);
	while (start < end && result == USER_OK) {
		struct area *area = area_at(space, start);
		uint64_t to = area && area->end < end ? area->end : end;
		if (!area)
			result = USER_HOLE;
		else if (!protect_area(mm, space, area, start, to, rights, cpu))
			result = USER_NO_MEMORY;
		start = to;
	}
	gather_end(mm, space, false, false, cpu);
	unlock_space(mm, space, true);
	return result;
}
