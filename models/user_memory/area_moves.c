/* SPDX-License-Identifier: MIT
 *
 * area_moves.c - mremap(): an area that grows or shrinks where it is, or goes elsewhere with its pages (interface: mm.h).
 *
 * What moves becomes a new area first; then its page tables go, as large a piece at a time as lies alike in both places: a table
 * of tables (1 GiB), a table of pages or a huge page (2 MiB), else entries one by one, up to the end of a table on either side.
 * Each piece is flushed where it was. Then the old place is unmapped as munmap() does it. What is mapped where it goes is
 * unmapped before all that, and stays so where the move fails.
 *
 * Source: Linux 6.1 mm/mremap.c: mremap_to(), vma_to_resize(), vma_expandable(), move_vma(), move_page_tables(), get_extent(),
 * move_normal_pud(), move_normal_pmd(), move_ptes(); mm/huge_memory.c: move_huge_pmd(); mm/mmap.c: copy_vma().
 * MODEL: instructions are those of mmap() for the new area or the growth, of munmap() for the old place, and of mprotect() for
 * each entry, as none were counted. MODEL: shared memory without a file does not grow; a kernel lets it, and ends the program
 * that touches what is too much.
 */
#include "models/kernel_code.h"
#include "models/user_memory/mm.h"

/* What lies from `from` on goes to `to`. */
struct move {
	struct mm *mm;
	struct space *space;
	uint64_t from, to, end; /* `end`: of what moves, where it was */
	unsigned cpu;
	struct entry old, new; /* entries of the piece, at one level */
};

static uint64_t span_at(const struct mm *mm, unsigned level)
{
	return 1ull << mm->mode->level[level].shift;
}

/* get_extent(): up to where an entry of the level ends on either side. */
static uint64_t extent_at(const struct move *move, unsigned level)
{
	uint64_t span = span_at(move->mm, level);
	uint64_t here = span - move->from % span, there = span - move->to % span, all = move->end - move->from;
	uint64_t least = here < there ? here : there;
	return least < all ? least : all;
}

/* get_old_pud(), get_old_pmd(): false, nothing is there. */
static bool find_old(struct move *move, unsigned level)
{
	tables_entry(move->mm, move->space, move->from, level, false, move->cpu, &move->old);
	return move->old.level == level && entry_word(&move->old);
}

/* alloc_new_pud(), alloc_new_pmd(), pte_alloc(): false, there is no memory. */
static bool make_new(struct move *move, unsigned level)
{
	return tables_entry(move->mm, move->space, move->to, level, true, move->cpu, &move->new);
}

/* move_normal_pud(), move_normal_pmd(): the table below the entry goes as it is. */
static bool move_table(struct move *move)
{
	struct mm *mm = move->mm;
	struct table **old = &move->old.table->child[move->old.index], **new = &move->new.table->child[move->new.index];
	uint64_t word = entry_word(&move->old);
	if (!*old || entry_word(&move->new))
		return false;
	struct table *table = *old;
	*old = NULL;
	entry_write(mm, &move->old, 0);
	*new = table;
	entry_write(mm, &move->new, word);
	tables_forget(move->space);
	flush_range(mm, move->space, move->from, span_at(mm, move->old.level) >> PAGE_SHIFT, true, move->cpu);
	mm->counters.moved_tables++;
	return true;
}

/* move_huge_pmd(); its table in reserve goes with it. */
static bool move_huge(struct move *move)
{
	struct mm *mm = move->mm;
	uint64_t word = entry_word(&move->old);
	if (entry_word(&move->new))
		return false;
	entry_lock(mm, &move->old);
	if (move->new.table != move->old.table)
		entry_lock(mm, &move->new);
	entry_write(mm, &move->old, 0);
	if (move->new.table != move->old.table)
		huge_keep_table(mm, move->new.table, huge_take_table(mm, move->old.table));
	entry_write(mm, &move->new, word);
	flush_range(mm, move->space, move->from, FRAMES_OF_HUGE, true, move->cpu);
	if (move->new.table != move->old.table)
		entry_unlock(mm, &move->new);
	entry_unlock(mm, &move->old);
	mm->counters.moved_huge++;
	return true;
}

/* move_ptes(): entries of one table to one table. */
static void move_entries(struct move *move, uint64_t bytes)
{
	struct mm *mm = move->mm;
	bool flush = false;
	entry_lock(mm, &move->old);
	if (move->new.table != move->old.table)
		entry_lock(mm, &move->new);
	for (uint64_t pages = bytes >> PAGE_SHIFT; pages > 0; pages--, move->old.index++, move->new.index++) {
		uint64_t word = entry_word(&move->old);
		entry_read(mm, &move->old);
		if (!word)
			continue;
		step_spend(mm->steps, mm->cost.protect_entry);
		entry_write(mm, &move->old, 0);
		entry_write(mm, &move->new, word);
		flush |= (word & WORD_PRESENT) != 0;
		mm->counters.moved_entries++;
	}
	if (flush)
		flush_range(mm, move->space, move->from, bytes >> PAGE_SHIFT, true, move->cpu);
	if (move->new.table != move->old.table)
		entry_unlock(mm, &move->new);
	entry_unlock(mm, &move->old);
}

/* The next piece goes; how long it was, 0: there is no memory. */
static uint64_t move_piece(struct move *move)
{
	struct mm *mm = move->mm;
	uint64_t extent;
	if (mm->mode->levels > 2) {
		extent = extent_at(move, 2);
		if (!find_old(move, 2))
			return extent;
		if (!make_new(move, 2))
			return 0;
		if (extent == span_at(mm, 2) && move_table(move))
			return extent;
	}
	extent = extent_at(move, 1);
	if (!find_old(move, 1))
		return extent;
	if (!make_new(move, 1))
		return 0;
	bool whole = extent == span_at(mm, 1);
	/* What made room for a table may have taken a huge page apart. */
	if (!move->old.table->child[move->old.index]) {
		if (whole && move_huge(move))
			return extent;
		huge_split(mm, move->space, &move->old, move->from, move->cpu);
	} else if (whole && move_table(move)) {
		return extent;
	}
	if (!make_new(move, 0))
		return 0;
	find_old(move, 0);
	if (move->old.level == 0)
		move_entries(move, extent);
	return extent;
}

/* move_page_tables(): how many bytes have moved. */
static uint64_t move_page_tables(struct mm *mm, struct space *space, uint64_t from, uint64_t to, uint64_t bytes, unsigned cpu)
{
	struct move move = {.mm = mm, .space = space, .from = from, .to = to, .end = from + bytes, .cpu = cpu};
	while (move.from < move.end) {
		uint64_t extent = move_piece(&move);
		if (!extent)
			break;
		move.from += extent;
		move.to += extent;
	}
	return move.from - from;
}

/* move_vma() */
static enum user_result move_area(struct mm *mm, struct space *space, struct area *area, const struct user_remap *remap,
                                  unsigned cpu)
{
	uint64_t bytes = remap->pages << PAGE_SHIFT;
	step_run(mm->steps, CODE_MMAP, mm->cost.mmap);
	if (!area_copy(mm, space, area, remap->start, remap->to, remap->new_pages, cpu))
		return USER_NO_MEMORY;
	/* From now on pages are looked for in either place. */
	space->has_moved = true;
	mm->counters.remaps_moved++;
	uint64_t moved = move_page_tables(mm, space, remap->start, remap->to, bytes, cpu);
	if (moved < bytes) {
		move_page_tables(mm, space, remap->to, remap->start, moved, cpu);
		areas_unmap_locked(mm, space, remap->to, remap->new_pages, cpu);
		return USER_NO_MEMORY;
	}
	/* Where there is no memory for a part that is left, the old area stays, and is empty. */
	areas_unmap_locked(mm, space, remap->start, remap->pages, cpu);
	return USER_OK;
}

/* vma_to_resize() and what follows of it. */
static enum user_result move_or_grow(struct mm *mm, struct space *space, const struct user_remap *remap, unsigned cpu)
{
	struct area *area = area_at(space, remap->start);
	uint64_t pages = remap->pages, more = remap->new_pages - pages, end = remap->start + (pages << PAGE_SHIFT);
	if (!area || end > area->end)
		return USER_NO_AREA;
	if (more && area->kind == USER_SHARED)
		return USER_BAD_RANGE;
	const struct user_area_request growth = {.pages = more, .kind = area->kind, .rights = area->rights};
	if (user_area_is_too_much(&growth, mm->pages->managed_pages + mm->port.watcher.swap_pages))
		return USER_NO_MEMORY;
	uint64_t file_end = area_page(area, remap->start) + remap->new_pages;
	if (user_area_has_file(area->kind) && mm->port.files.shown)
		mm->port.files.shown(mm->port.files.context, area->file, file_end);
	if (remap->to != remap->start)
		return move_area(mm, space, area, remap, cpu);
	uint32_t next = area_index(space, area->end);
	if (end < area->end || (next < space->areas_count && space->areas[next]->start < end + (more << PAGE_SHIFT)))
		return USER_BAD_RANGE;
	step_run(mm->steps, CODE_MMAP, mm->cost.mmap);
	area_grow(mm, space, area, more, cpu);
	return USER_OK;
}

static bool is_free(const struct space *space, uint64_t start, uint64_t pages)
{
	uint32_t index = area_index(space, start);
	return index == space->areas_count || space->areas[index]->start >= start + (pages << PAGE_SHIFT);
}

static enum user_result remap_locked(struct mm *mm, struct space *space, const struct user_remap *remap, unsigned cpu)
{
	struct user_remap rest = *remap;
	bool moves = remap->to != remap->start;
	if (!area_at(space, remap->start))
		return USER_NO_AREA;
	if (moves && !is_free(space, remap->to, remap->new_pages) &&
	    areas_unmap_locked(mm, space, remap->to, remap->new_pages, cpu) != USER_OK)
		return USER_NO_MEMORY;
	if (remap->new_pages < remap->pages) {
		uint64_t end = remap->start + (remap->new_pages << PAGE_SHIFT);
		if (areas_unmap_locked(mm, space, end, remap->pages - remap->new_pages, cpu) != USER_OK)
			return USER_NO_MEMORY;
		rest.pages = remap->new_pages;
	}
	if (!moves && remap->new_pages <= remap->pages)
		return USER_OK;
	return move_or_grow(mm, space, &rest, cpu);
}

enum user_result areas_remap(struct mm *mm, struct space *space, const struct user_remap *remap, unsigned cpu)
{
	if (!user_remap_is_valid(mm->user_end, remap))
		return USER_BAD_RANGE;
	mm->counters.remaps++;
	lock_space(mm, space, true);
	enum user_result result = remap_locked(mm, space, remap, cpu);
	unlock_space(mm, space, true);
	return result;
}
