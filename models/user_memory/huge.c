/* SPDX-License-Identifier: MIT
 *
 * huge.c - transparent huge pages at faults (interface: mm.h).
 *
 * A fault in a 2 MiB range that lies in an anonymous area as a whole and has no page table yet asks for a block of order 9; if
 * there is none it gets a small page. A read gets the huge zero page. Each huge entry has a table for its parts in reserve, so
 * that it can be taken apart without memory: for a part that is unmapped, or written while others use the page.
 *
 * Source: Linux 6.1 mm/huge_memory.c: do_huge_pmd_anonymous_page(), vma_thp_gfp_mask() (defrag: madvise), do_huge_pmd_wp_page(),
 * __split_huge_pmd_locked(); mm/pgtable-generic.c.
 * A huge page whose parts are mapped one by one goes back to the page allocator as a whole, with its last part, unless who looks
 * after pages took it apart before (huge_split_page()).
 * MODEL: the huge zero page stays once it was needed.
 */
#include "models/kernel_code.h"
#include "models/user_memory/mm.h"

#include <stdlib.h>

#define GFP_HUGE ((GFP_HIGHUSER_MOVABLE | __GFP_COMP | __GFP_NOMEMALLOC | __GFP_NOWARN | __GFP_ZERO) & ~(gfp)__GFP_RECLAIM)
#define GFP_HUGE_ZERO ((GFP_HIGHUSER | __GFP_COMP | __GFP_NOMEMALLOC | __GFP_NOWARN | __GFP_ZERO) & ~(gfp)__GFP_RECLAIM)

void huge_keep_table(struct mm *mm, struct table *table, struct table *parts)
{
	parts->deposit = table->deposit;
	table->deposit = parts;
	step_write(mm->steps, page_field(mm, table->frame, PAGE_LRU), 8);
}

bool huge_deposit(struct mm *mm, struct space *space, struct table *table, unsigned cpu)
{
	struct table *made = table_make(mm, space, 0, cpu);
	if (made)
		huge_keep_table(mm, table, made);
	return made != NULL;
}

struct table *huge_take_table(struct mm *mm, struct table *table)
{
	struct table *kept = table->deposit;
	SIM_ASSERT(kept);
	table->deposit = kept->deposit;
	kept->deposit = NULL;
	step_write(mm->steps, page_field(mm, table->frame, PAGE_LRU), 8);
	return kept;
}

void huge_withdraw(struct mm *mm, struct space *space, struct table *table, unsigned cpu)
{
	table_free(mm, space, huge_take_table(mm, table), 0, cpu);
}

bool huge_is_suitable(const struct mm *mm, const struct area *area, uint64_t linear)
{
	uint64_t first = linear & ~(HUGE_BYTES - 1);
	bool anonymous = !user_area_has_file(area->kind) && area->kind != USER_SHARED;
	if (area->refuses_huge || (mm->huge_if_advised && !area->wants_huge))
		return false;
	return anonymous && first >= area->start && first + HUGE_BYTES <= area->end;
}

static bool get_huge_zero(struct mm *mm, unsigned cpu)
{
	if (mm->huge_zero.nr == UINT32_MAX)
		mm->huge_zero = page_new(mm, HUGE_ORDER, GFP_HUGE_ZERO, cpu);
	return mm->huge_zero.nr != UINT32_MAX;
}

/* The entry for a huge page, with a table in reserve. */
static bool find_place(struct mm *mm, struct space *space, uint64_t linear, struct entry *entry, unsigned cpu)
{
	return tables_entry(mm, space, linear, huge_level(mm), true, cpu, entry) && huge_deposit(mm, space, entry->table, cpu);
}

static bool map_zero(struct mm *mm, struct space *space, struct area *area, uint64_t linear, unsigned cpu)
{
	struct entry entry;
	if (!get_huge_zero(mm, cpu) || !find_place(mm, space, linear, &entry, cpu))
		return false;
	entry_lock(mm, &entry);
	entry_write(mm, &entry, area_word(area, mm->huge_zero, false) | WORD_SPECIAL);
	entry_unlock(mm, &entry);
	mm->counters.zero_entries++;
	mm->counters.faults_huge_zero++;
	return true;
}

void huge_become_anonymous(struct mm *mm, pfn first, uint64_t place, bool exclusive)
{
	for (uint32_t i = 0; i < FRAMES_OF_HUGE; i++)
		mm->page[first.nr + i] = (struct mapped_page){
		        .kind = MAPPED_ANONYMOUS, .exclusive = exclusive, .head = i == 0, .tail = i > 0, .place = place + i};
	mm->counters.anonymous_pages += FRAMES_OF_HUGE;
}

void huge_map(struct mm *mm, struct space *space, const struct area *area, const struct entry *entry, pfn frame, uint64_t linear,
              unsigned cpu)
{
	huge_become_anonymous(mm, frame, area_private_page(area, linear & ~(HUGE_BYTES - 1)), true);
	if (mm->port.watcher.added)
		mm->port.watcher.added(mm->port.watcher.context, frame, HUGE_ORDER, cpu);
	entry_lock(mm, entry);
	page_mapped(mm, space, frame, true);
	entry_write(mm, entry, area_word(area, frame, true));
	entry_unlock(mm, entry);
}

static bool map_huge(struct mm *mm, struct space *space, struct area *area, uint64_t linear, unsigned cpu)
{
	struct entry entry;
	pfn frame = page_new(mm, HUGE_ORDER, area->wants_huge ? GFP_HUGE | __GFP_DIRECT_RECLAIM : GFP_HUGE, cpu);
	if (frame.nr == UINT32_MAX)
		return false;
	if (!find_place(mm, space, linear, &entry, cpu)) {
		gather_free(mm, frame, HUGE_ORDER, cpu);
		return false;
	}
	huge_map(mm, space, area, &entry, frame, linear, cpu);
	mm->counters.faults_huge++;
	return true;
}

bool huge_fault(struct mm *mm, struct space *space, struct area *area, uint64_t linear, bool write, unsigned cpu,
                enum user_result *result)
{
	if (!huge_is_suitable(mm, area, linear))
		return false;
	step_run(mm->steps, CODE_FAULT_ANONYMOUS, mm->cost.fault_anonymous);
	if (!area_prepare_anon(mm, area, cpu)) {
		mm->counters.faults_no_memory++;
		*result = USER_NO_MEMORY;
		return true;
	}
	khugepaged_enter_area(mm, space, area, cpu);
	mm->counters.huge_asked++;
	bool mapped = write ? map_huge(mm, space, area, linear, cpu) : map_zero(mm, space, area, linear, cpu);
	mm->counters.huge_fallback += !mapped;
	*result = USER_OK;
	return mapped;
}

/* The parts' entries say what the whole one did. */
static void fill_parts(struct mm *mm, struct table *parts, uint64_t word)
{
	bool special = word & WORD_SPECIAL;
	for (uint32_t i = 0; i < FRAMES_OF_HUGE; i++) {
		uint64_t frame = special ? ZERO_FRAME : ((word & WORD_FRAME) >> PAGE_SHIFT) + i;
		entry_write(mm, &(struct entry){parts, 0, i}, (word & ~WORD_FRAME) | frame << PAGE_SHIFT);
	}
}

void huge_split(struct mm *mm, struct space *space, const struct entry *entry, uint64_t linear, unsigned cpu)
{
	uint64_t word = entry_word(entry);
	struct table *parts = huge_take_table(mm, entry->table);
	entry_lock(mm, entry);
	entry_write(mm, entry, 0);
	flush_range(mm, space, linear & ~(HUGE_BYTES - 1), FRAMES_OF_HUGE, true, cpu);
	fill_parts(mm, parts, word);
	entry->table->child[entry->index] = parts;
	entry_write(mm, entry,
	            (uint64_t)parts->frame.nr << PAGE_SHIFT | WORD_PRESENT | WORD_WRITE | WORD_USER | WORD_EXECUTE |
	                    WORD_ACCESSED);
	entry_unlock(mm, entry);
	mm->counters.huge_splits++;
	if (word & WORD_SPECIAL) {
		mm->counters.zero_entries += FRAMES_OF_HUGE - 1;
		return;
	}
	struct mapped_page *head = &mm->page[(word & WORD_FRAME) >> PAGE_SHIFT];
	SIM_ASSERT(head->head && head->whole > 0);
	head->whole--;
	head->map_count += FRAMES_OF_HUGE - 1;
	for (uint32_t i = 0; i < FRAMES_OF_HUGE; i++) {
		head[i].own_count++;
		head[i].exclusive = head->exclusive;
	}
	space->huge--;
	mm->counters.entries_set += FRAMES_OF_HUGE;
	mm->counters.entries_cleared++;
}

/* __split_huge_page(): each frame has a record of its own. */
uint32_t huge_split_page(struct mm *mm, pfn first, unsigned cpu)
{
	struct mapped_page *head = &mm->page[first.nr];
	uint32_t unused = 0;
	if (!head->head)
		return 0;
	rmap_split(mm, first, cpu);
	SIM_ASSERT(head->whole == 0);
	for (uint32_t i = 0; i < FRAMES_OF_HUGE; i++) {
		struct mapped_page *part = &head[i];
		part->head = part->tail = false;
		part->map_count = part->own_count;
		step_write(mm->steps, page_field(mm, pfn_of(first.nr + i), PAGE_FLAGS), 64);
		if (part->map_count)
			continue;
		*part = (struct mapped_page){0};
		mm->counters.anonymous_pages--;
		unused++;
	}
	return unused;
}

bool huge_write(struct mm *mm, struct space *space, const struct entry *entry, uint64_t linear, unsigned cpu,
                enum user_result *result)
{
	uint64_t word = entry_word(entry);
	struct mapped_page *head = &mm->page[(word & WORD_FRAME) >> PAGE_SHIFT];
	step_run(mm->steps, CODE_FAULT_REUSE, mm->cost.fault_reuse);
	if (!(word & WORD_SPECIAL) && (head->exclusive || head->map_count == 1)) {
		entry_lock(mm, entry);
		entry_write(mm, entry, word | WORD_WRITE | WORD_DIRTY | WORD_ACCESSED);
		entry_unlock(mm, entry);
		head->exclusive = true;
		mm->counters.faults_huge_reused++;
		*result = USER_OK;
		return true;
	}
	huge_split(mm, space, entry, linear, cpu);
	return false;
}
