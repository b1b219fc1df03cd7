/* SPDX-License-Identifier: MIT
 *
 * collapse.c - one huge page in place of the small ones of a range (interface: mm.h; who asks for it: khugepaged.c).
 *
 * The entries are looked at twice: under the table's lock, whether it is worth while; and once more when there is a page of order
 * 9, the table is out of the tree, its translations are gone from all TLBs and all CPUs were interrupted, so that none walks it.
 * Then what is mapped is copied and let go of, the rest is cleared, the huge page comes in the table's place, and the table is
 * kept for its parts. Copies are made under no lock that others wait for but mmap_lock.
 *
 * Source: Linux 6.1 mm/khugepaged.c: hpage_collapse_scan_pmd(), collapse_huge_page(), __collapse_huge_page_swapin(),
 * __collapse_huge_page_isolate(), __collapse_huge_page_copy(); mm/mmu_gather.c: tlb_remove_table_sync_one()
 * (CONFIG_MMU_GATHER_RCU_TABLE_FREE comes with CONFIG_PARAVIRT, which Debian's kernels have).
 * MODEL: pages are not taken off the LRU while they are copied: nobody else decides meanwhile. MODEL: small pages go back to the
 * page allocator when all are copied, not one by one. MODEL: the node of the new page is the page allocator's choice for the CPU,
 * not the one that most of the small pages are on.
 */
#include "models/kernel_code.h"
#include "models/user_memory/mm.h"

struct collapse {
	struct mm *mm;
	struct space *space;
	struct area *area;
	uint64_t linear;
	unsigned cpu;
	struct entry entry;  /* of the range */
	struct table *table; /* of its small pages */
	uint64_t word;       /* that names the table */
	/* What was seen of the entries. */
	uint32_t none, shared, swapped, referenced;
	bool writable, isolates;
};

static bool is_swap(uint64_t word)
{
	return word & WORD_SWAP && !(word & WORD_PRESENT);
}

static unsigned state_of(const struct mm *mm, pfn frame)
{
	const struct page_watcher *watcher = &mm->port.watcher;
	return watcher->state ? watcher->state(watcher->context, frame) : WATCHED_LISTED;
}

/* The counter of why an entry forbids it; NULL: it does not. */
static uint64_t *look_at_page(struct collapse *collapse, uint64_t word)
{
	struct mm *mm = collapse->mm;
	pfn frame = pfn_of((uint32_t)((word & WORD_FRAME) >> PAGE_SHIFT));
	collapse->writable |= (word & WORD_WRITE) != 0;
	if (!collapse->isolates)
		step_spend(mm->steps, mm->cost.collapse_page);
	step_read(mm->steps, page_field(mm, frame, PAGE_MAPCOUNT), 8);
	if (mm->port.ops->map_count(&mm->port, frame) > 1 && ++collapse->shared > mm->khugepaged.settings.max_ptes_shared)
		return &mm->counters.thp_scan_exceed_shared_pte;
	unsigned state = state_of(mm, frame);
	step_read(mm->steps, page_field(mm, frame, PAGE_FLAGS), 8);
	if (!(state & WATCHED_LISTED))
		return &mm->counters.thp_scan_page_lru;
	if (state & WATCHED_PINNED)
		return &mm->counters.thp_scan_page_count;
	/* PG_locked and PG_lru, and the list's links; unlocked and put back later. */
	if (collapse->isolates) {
		step_atomic(mm->steps, page_field(mm, frame, PAGE_FLAGS), 8);
		step_atomic(mm->steps, page_field(mm, frame, PAGE_REFCOUNT), 4);
		step_atomic(mm->steps, page_field(mm, frame, PAGE_FLAGS), 8);
		step_write(mm->steps, page_field(mm, frame, PAGE_LRU), 16);
	}
	collapse->referenced += word & WORD_ACCESSED || state & WATCHED_REFERENCED;
	return NULL;
}

static uint64_t *look_at(struct collapse *collapse, uint64_t word)
{
	struct mm *mm = collapse->mm;
	const struct khugepaged_settings *settings = &mm->khugepaged.settings;
	if (is_swap(word)) {
		if (collapse->isolates)
			return &mm->counters.thp_scan_pte_non_present;
		return ++collapse->swapped > settings->max_ptes_swap ? &mm->counters.thp_scan_exceed_swap_pte : NULL;
	}
	if (!word || word & WORD_SPECIAL)
		return ++collapse->none > settings->max_ptes_none ? &mm->counters.thp_scan_exceed_none_pte : NULL;
	return look_at_page(collapse, word);
}

/* All entries, under the table's lock. NULL: nothing forbids it; else the counter of what does. */
static uint64_t *look_at_all(struct collapse *collapse, bool isolates)
{
	struct mm *mm = collapse->mm;
	struct entry entry = {.table = collapse->table};
	uint64_t *refused = NULL;
	collapse->none = collapse->shared = collapse->swapped = collapse->referenced = 0;
	collapse->writable = false;
	collapse->isolates = isolates;
	entry_lock(mm, &entry);
	for (entry.index = 0; !refused && entry.index < FRAMES_OF_HUGE; entry.index++) {
		entry_read(mm, &entry);
		step_spend(mm->steps, mm->cost.collapse_entry);
		refused = look_at(collapse, entry_word(&entry));
	}
	entry_unlock(mm, &entry);
	if (refused)
		return refused;
	if (!collapse->writable)
		return &mm->counters.thp_scan_page_ro;
	if (!collapse->referenced || (collapse->swapped && collapse->referenced < FRAMES_OF_HUGE / 2))
		return &mm->counters.thp_scan_lack_referenced;
	return NULL;
}

/* __collapse_huge_page_swapin(). False: one page does not come now. */
static bool swap_in(struct collapse *collapse)
{
	struct mm *mm = collapse->mm;
	const struct page_watcher *watcher = &mm->port.watcher;
	struct entry entry = {.table = collapse->table};
	uint64_t before = mm->counters.thp_collapse_swapped_in;
	for (entry.index = 0; entry.index < FRAMES_OF_HUGE; entry.index++) {
		entry_read(mm, &entry);
		if (!is_swap(entry_word(&entry)))
			continue;
		uint64_t linear = collapse->linear + ((uint64_t)entry.index << PAGE_SHIFT);
		if (!fault_swap_in(mm, collapse->space, collapse->area, linear, collapse->cpu))
			return false;
		mm->counters.thp_collapse_swapped_in++;
	}
	if (mm->counters.thp_collapse_swapped_in != before && watcher->drain)
		watcher->drain(watcher->context, collapse->cpu, false);
	return true;
}

/* tlb_remove_table_sync_one(): a CPU that walks tables with interrupts off is waited for. */
static void interrupt_walkers(struct mm *mm, unsigned cpu)
{
	for (unsigned other = 0; other < mm->cpus; other++) {
		if (other == cpu)
			continue;
		step_ipi(mm->steps, other, STEP_NO_ADDRESS);
		mm->counters.thp_collapse_sync_ipis++;
	}
	if (mm->cpus > 1)
		step_ipi_wait(mm->steps);
}

static void lock_anon_vma(struct collapse *collapse)
{
	step_atomic(collapse->mm->steps, mm_field(&collapse->area->anon_vma->parent->object, 8), 8);
}

/* pmdp_collapse_flush(). The table stays where the model's own walks find it: its pages may move while CPUs are waited for. */
static void take_table_out(struct collapse *collapse)
{
	struct mm *mm = collapse->mm;
	entry_lock(mm, &collapse->entry);
	entry_write(mm, &collapse->entry, 0);
	flush_range(mm, collapse->space, collapse->linear, FRAMES_OF_HUGE, true, collapse->cpu);
	entry_unlock(mm, &collapse->entry);
	interrupt_walkers(mm, collapse->cpu);
}

static void put_table_back(struct collapse *collapse)
{
	entry_lock(collapse->mm, &collapse->entry);
	entry_write(collapse->mm, &collapse->entry, collapse->word);
	entry_unlock(collapse->mm, &collapse->entry);
}

/* One page of the huge one, of a small one or of zeroes. */
static void fill_page(struct collapse *collapse, const struct entry *entry, pfn to)
{
	struct mm *mm = collapse->mm;
	uint64_t word = entry_word(entry);
	pfn from = pfn_of((uint32_t)((word & WORD_FRAME) >> PAGE_SHIFT));
	if (!word || word & WORD_SPECIAL) {
		const struct page_contents contents = {mm->mapper, mm->layout, mm->steps};
		page_contents_clear(&contents, to, 0, collapse->cpu);
		mm->counters.thp_collapse_cleared++;
		mm->counters.zero_entries -= word != 0;
	} else {
		step_spend(mm->steps, mm->cost.collapse_move);
		page_copy_contents(mm, from, to, collapse->cpu);
		mm->counters.thp_collapse_copied++;
	}
	if (!word)
		return;
	entry_lock(mm, entry);
	entry_write(mm, entry, 0);
	if (!(word & WORD_SPECIAL))
		page_unmapped(mm, collapse->space, from, false, word & WORD_DIRTY, collapse->cpu);
	entry_unlock(mm, entry);
}

/* __collapse_huge_page_copy(), and the huge page comes in. */
static void exchange(struct collapse *collapse, pfn huge)
{
	struct mm *mm = collapse->mm;
	struct entry entry = {.table = collapse->table};
	struct table *above = collapse->entry.table;
	gather_begin(mm);
	for (entry.index = 0; entry.index < FRAMES_OF_HUGE; entry.index++) {
		step_spend(mm->steps, mm->cost.collapse_entry);
		fill_page(collapse, &entry, pfn_of(huge.nr + entry.index));
	}
	SIM_ASSERT(collapse->table->present == 0);
	above->child[collapse->entry.index] = NULL;
	tables_forget(collapse->space);
	huge_keep_table(mm, above, collapse->table);
	huge_map(mm, collapse->space, collapse->area, &collapse->entry, huge, collapse->linear, collapse->cpu);
	gather_end(mm, collapse->space, false, false, collapse->cpu);
}

/* With mmap_lock held for writing. True: the huge page is mapped. */
static bool replace_table(struct collapse *collapse, pfn huge)
{
	struct mm *mm = collapse->mm;
	lock_anon_vma(collapse);
	take_table_out(collapse);
	uint64_t *refused = look_at_all(collapse, true);
	if (refused)
		put_table_back(collapse);
	lock_anon_vma(collapse);
	if (refused) {
		++*refused;
		mm->counters.thp_collapse_undone++;
		return false;
	}
	exchange(collapse, huge);
	mm->counters.khugepaged_pages_collapsed++;
	return true;
}

/* collapse_huge_page(). mmap_lock is held for reading, and by nobody when it is done. */
static enum collapse_result collapse_to_huge(struct collapse *collapse)
{
	struct mm *mm = collapse->mm;
	const gfp flags = mm->khugepaged.settings.defrag ? GFP_TRANSHUGE : GFP_TRANSHUGE_LIGHT;
	unlock_space(mm, collapse->space, false);
	step_run(mm->steps, CODE_COLLAPSE, mm->cost.collapse);
	pfn huge = page_new(mm, HUGE_ORDER, flags, collapse->cpu);
	if (huge.nr == UINT32_MAX) {
		mm->counters.thp_collapse_alloc_failed++;
		return COLLAPSE_NO_PAGE;
	}
	mm->counters.thp_collapse_alloc++;
	lock_space(mm, collapse->space, false);
	bool there = collapse->swapped == 0 || swap_in(collapse);
	unlock_space(mm, collapse->space, false);
	bool done = false;
	if (there) {
		lock_space(mm, collapse->space, true);
		done = replace_table(collapse, huge);
		unlock_space(mm, collapse->space, true);
	} else {
		mm->counters.thp_scan_swap_in_failed++;
		mm->counters.thp_collapse_unused++;
	}
	if (!done)
		gather_free(mm, huge, HUGE_ORDER, collapse->cpu);
	return done ? COLLAPSE_DONE : COLLAPSE_GIVEN_UP;
}

enum collapse_result collapse_range(struct mm *mm, struct space *space, struct area *area, uint64_t linear, unsigned cpu)
{
	struct collapse collapse = {.mm = mm, .space = space, .area = area, .linear = linear, .cpu = cpu};
	mm->counters.khugepaged_scanned++;
	step_run(mm->steps, CODE_COLLAPSE_RANGE, mm->cost.collapse_range);
	bool found = tables_entry(mm, space, linear, huge_level(mm), false, cpu, &collapse.entry);
	SIM_ASSERT(found);
	collapse.word = entry_word(&collapse.entry);
	if (!collapse.word) {
		mm->counters.thp_scan_pmd_none++;
		return COLLAPSE_REFUSED;
	}
	entry_read(mm, &collapse.entry);
	collapse.table = collapse.entry.table->child[collapse.entry.index];
	if (!collapse.table) {
		mm->counters.thp_scan_pmd_mapped++;
		return COLLAPSE_REFUSED;
	}
	uint64_t *refused = look_at_all(&collapse, false);
	if (!refused)
		return collapse_to_huge(&collapse);
	++*refused;
	return COLLAPSE_REFUSED;
}
