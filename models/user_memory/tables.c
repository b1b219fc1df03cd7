/* SPDX-License-Identifier: MIT
 *
 * tables.c - page tables of an address space (interface: mm.h).
 *
 * A table is a frame of the page allocator and the words that decisions know; what a walker finds in physical memory follows from
 * the steps (sim/steps.h: step_table_entry, step_new_table). Tables come zeroed, one frame each, with GFP_PGTABLE_USER; the top
 * table takes two (PGD_ALLOCATION_ORDER 1: Debian's kernels are built with page table isolation, arch/x86/include/asm/pgalloc.h),
 * and gets the kernel's half copied in (pgd_ctor(), arch/x86/mm/pgtable.c).
 *
 * Source: Linux 6.1 mm/memory.c: __pte_alloc(), __pmd_alloc(), free_pgd_range(); mm/pgtable-generic.c.
 * MODEL: page table isolation itself is off: there is no second top table. MODEL: the lock of tables above those of pages is left
 * out; one fault in 512 takes it.
 */
#include "models/kernel_code.h"
#include "models/user_memory/mm.h"

#include <stdlib.h>

#define ROOT_ORDER 1u

static uint32_t entries_of(const struct mm *mm, unsigned level)
{
	return 1u << mm->mode->level[level].index_bits;
}

static unsigned order_of(const struct mm *mm, unsigned level)
{
	return level + 1 == mm->mode->levels ? ROOT_ORDER : 0;
}

unsigned huge_level(const struct mm *mm)
{
	return translation_leaf_level(mm->mode, PAGE_2M);
}

struct table *table_make(struct mm *mm, struct space *space, unsigned level, unsigned cpu)
{
	unsigned order = order_of(mm, level);
	pfn frame = page_alloc(mm->pages, order, GFP_TABLE, cpu);
	if (frame.nr == UINT32_MAX)
		return NULL;
	struct table *table = xcalloc(1, sizeof *table);
	table->frame = frame;
	table->word = xcalloc(entries_of(mm, level), sizeof *table->word);
	table->child = level > 0 ? xcalloc(entries_of(mm, level), sizeof(struct table *)) : NULL;
	bool is_root = level + 1 == mm->mode->levels;
	step_new_table(mm->steps, (uint64_t)frame.nr << PAGE_SHIFT, is_root);
	/* pgtable_pte_page_ctor() and inc_mm_nr_ptes(). */
	if (level == 0)
		step_write(mm->steps, page_field(mm, frame, PAGE_PTL), 4);
	step_update(mm->steps, mm_field(&space->object, MM_TABLES_BYTES), 8);
	space->tables += 1u << order;
	mm->counters.table_pages += 1u << order;
	mm->counters.tables_made++;
	return table;
}

void table_free(struct mm *mm, struct space *space, struct table *table, unsigned level, unsigned cpu)
{
	unsigned order = order_of(mm, level);
	SIM_ASSERT(table->present == 0);
	step_update(mm->steps, mm_field(&space->object, MM_TABLES_BYTES), 8);
	gather_free(mm, table->frame, order, cpu);
	space->tables -= 1u << order;
	mm->counters.table_pages -= 1u << order;
	mm->counters.tables_freed++;
	free(table->word);
	free(table->child);
	free(table);
}

static vaddr entry_address(const struct mm *mm, const struct entry *entry)
{
	return vaddr_of(layout_page_address(mm->layout, entry->table->frame).addr +
	                (uint64_t)entry->index * mm->mode->entry_bytes);
}

void entry_read(struct mm *mm, const struct entry *entry)
{
	step_read(mm->steps, entry_address(mm, entry), mm->mode->entry_bytes);
}

/* What a walker finds: of a word that is not present nothing but that. */
static uint64_t raw_word(const struct mm *mm, const struct entry *entry, uint64_t word)
{
	bool is_leaf = !(entry->table->child && entry->table->child[entry->index]);
	if (!(word & WORD_PRESENT))
		return 0;
	return mm->mode->encode(&mm->controls, entry->level, word & ~(WORD_SWAP | WORD_SPECIAL), is_leaf);
}

void entry_write(struct mm *mm, const struct entry *entry, uint64_t word)
{
	struct table *table = entry->table;
	table->present += word != 0;
	table->present -= table->word[entry->index] != 0;
	table->word[entry->index] = word;
	step_write(mm->steps, entry_address(mm, entry), mm->mode->entry_bytes);
	if (!mm->steps->recording)
		return;
	uint64_t physical = ((uint64_t)table->frame.nr << PAGE_SHIFT) + (uint64_t)entry->index * mm->mode->entry_bytes;
	step_table_entry(mm->steps, physical, raw_word(mm, entry, word));
}

void entry_lock(struct mm *mm, const struct entry *entry)
{
	step_lock(mm->steps, page_field(mm, entry->table->frame, PAGE_PTL));
}

void entry_unlock(struct mm *mm, const struct entry *entry)
{
	step_unlock(mm->steps, page_field(mm, entry->table->frame, PAGE_PTL));
}

static bool add_child(struct mm *mm, struct space *space, const struct entry *entry, unsigned cpu)
{
	step_run(mm->steps, CODE_TABLE_MAKE, mm->cost.table_make);
	struct table *child = table_make(mm, space, entry->level - 1, cpu);
	if (!child)
		return false;
	entry->table->child[entry->index] = child;
	entry_write(mm, entry,
	            (uint64_t)child->frame.nr << PAGE_SHIFT | WORD_PRESENT | WORD_WRITE | WORD_USER | WORD_EXECUTE |
	                    WORD_ACCESSED);
	return true;
}

bool tables_init(struct mm *mm, struct space *space, unsigned cpu)
{
	unsigned top = mm->mode->levels - 1;
	space->root = table_make(mm, space, top, cpu);
	if (!space->root)
		return false;
	uint32_t bytes = mm->kernel_entries * mm->mode->entry_bytes;
	step_read(mm->steps, vaddr_of(mm->layout->kernel_data), bytes);
	step_write(mm->steps,
	           vaddr_of(layout_page_address(mm->layout, space->root->frame).addr +
	                    (uint64_t)(entries_of(mm, top) - mm->kernel_entries) * mm->mode->entry_bytes),
	           bytes);
	/* PAE loads its top table with CR3, so what that points to is there from the start (preallocate_pmds()). */
	for (uint32_t index = 0; index < mm->mode->root_registers && index + mm->kernel_entries < entries_of(mm, top); index++)
		if (!add_child(mm, space, &(struct entry){space->root, top, index}, cpu)) {
			tables_release(mm, space, cpu);
			return false;
		}
	return true;
}

bool tables_entry(struct mm *mm, struct space *space, uint64_t linear, unsigned leaf, bool make, unsigned cpu,
                  struct entry *entry)
{
	*entry = (struct entry){.table = space->root, .level = mm->mode->levels - 1};
	for (;;) {
		entry->index = (uint32_t)paging_index(&mm->mode->level[entry->level], linear);
		if (entry->level <= leaf)
			return true;
		entry_read(mm, entry);
		struct table *child = entry->table->child[entry->index];
		if (!child && entry->table->word[entry->index])
			return true; /* a huge page */
		if (!child && (!make || !add_child(mm, space, entry, cpu)))
			return !make;
		step_use(mm->steps);
		entry->table = entry->table->child[entry->index];
		entry->level--;
	}
}

static void walk(const struct mm *mm, const struct space *space, uint64_t linear, struct entry *entry)
{
	*entry = (struct entry){.table = space->root, .level = mm->mode->levels - 1};
	for (;;) {
		entry->index = (uint32_t)paging_index(&mm->mode->level[entry->level], linear);
		struct table *child = entry->table->child ? entry->table->child[entry->index] : NULL;
		if (!child)
			return;
		entry->table = child;
		entry->level--;
	}
}

void entry_find(const struct mm *mm, struct space *space, uint64_t linear, struct entry *entry)
{
	uint64_t place = linear >> mm->mode->level[1].shift;
	if (entry_found(mm, space, linear, entry))
		return;
	walk(mm, space, linear, entry);
	if (entry->level > 0)
		return;
	space->found[place % FOUND_TABLES].place = place;
	space->found[place % FOUND_TABLES].table = entry->table;
}

void tables_forget(struct space *space)
{
	for (unsigned index = 0; index < FOUND_TABLES; index++)
		space->found[index].table = NULL;
}

/* ---- over ranges ---- */

static uint64_t span_of(const struct mm *mm, unsigned level)
{
	return 1ull << mm->mode->level[level].shift;
}

static void visit_table(const struct mm *mm, struct table *table, unsigned level, uint64_t base, uint64_t start, uint64_t end,
                        entry_visitor *visit, void *context)
{
	uint64_t span = span_of(mm, level);
	uint32_t first = start > base ? (uint32_t)((start - base) / span) : 0;
	for (uint32_t index = first; index < entries_of(mm, level); index++) {
		uint64_t at = base + index * span;
		if (at >= end)
			return;
		if (!table->word[index])
			continue;
		struct table *child = table->child ? table->child[index] : NULL;
		if (child)
			visit_table(mm, child, level - 1, at, start, end, visit, context);
		else
			visit(context, &(struct entry){table, level, index}, at);
	}
}

void tables_visit(const struct mm *mm, const struct space *space, uint64_t start, uint64_t end, entry_visitor *visit,
                  void *context)
{
	visit_table(mm, space->root, mm->mode->levels - 1, 0, start, end, visit, context);
}

static bool is_preallocated(const struct mm *mm, unsigned level)
{
	return mm->mode->root_registers && level + 1 == mm->mode->levels;
}

/* Whether an area outside of the range [start, end) lies in [from, to): its tables stay (free_pgtables(): floor and ceiling). */
static bool is_needed(const struct space *space, uint64_t from, uint64_t to, uint64_t start, uint64_t end)
{
	for (uint32_t i = area_index(space, from); i < space->areas_count && space->areas[i]->start < to; i++)
		if (space->areas[i]->start >= end || space->areas[i]->end <= start)
			return true;
	return false;
}

/* Frees tables below this one that are empty and touch the range. */
static bool prune_table(struct mm *mm, struct space *space, struct table *table, unsigned level, uint64_t base, uint64_t start,
                        uint64_t end, unsigned cpu)
{
	uint64_t span = span_of(mm, level);
	uint32_t first = start > base ? (uint32_t)((start - base) / span) : 0;
	bool freed = false;
	for (uint32_t index = first; table->child && index < entries_of(mm, level) && base + index * span < end; index++) {
		struct table *child = table->child[index];
		if (!child)
			continue;
		uint64_t at = base + index * span;
		freed |= prune_table(mm, space, child, level - 1, at, start, end, cpu);
		if (child->present || is_preallocated(mm, level) || is_needed(space, at, at + span, start, end))
			continue;
		table->child[index] = NULL;
		tables_forget(space);
		entry_write(mm, &(struct entry){table, level, index}, 0);
		step_run(mm->steps, CODE_TABLE_FREE, mm->cost.table_free);
		gather_range(mm, at, PAGE_SIZE); /* pte_free_tlb() */
		table_free(mm, space, child, level - 1, cpu);
		freed = true;
	}
	return freed;
}

bool tables_prune(struct mm *mm, struct space *space, uint64_t start, uint64_t end, unsigned cpu)
{
	return prune_table(mm, space, space->root, mm->mode->levels - 1, 0, start, end, cpu);
}

void tables_release(struct mm *mm, struct space *space, unsigned cpu)
{
	unsigned top = mm->mode->levels - 1;
	tables_prune(mm, space, 0, mm->user_end, cpu);
	for (uint32_t index = 0; index < mm->mode->root_registers; index++) {
		struct table *child = space->root->child[index];
		if (!child)
			continue;
		space->root->child[index] = NULL;
		tables_forget(space);
		entry_write(mm, &(struct entry){space->root, top, index}, 0);
		table_free(mm, space, child, top - 1, cpu);
	}
	table_free(mm, space, space->root, top, cpu);
	space->root = NULL;
}
