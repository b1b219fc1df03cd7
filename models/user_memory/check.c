/* SPDX-License-Identifier: MIT
 *
 * check.c - the laws of the model `mm`, proved by walking everything (laws: mm.c).
 */
#include "models/user_memory/mm.h"

#include <stdlib.h>

struct recount {
	const struct mm *mm;
	struct counted {
		uint32_t own, whole;
	} * frames;
	uint64_t rss[4], huge, pages, zero, entries; /* of a space, and of all: */
	uint64_t all_pages, all_zero, all_entries;
};

static void count_entry(void *context, const struct entry *entry, uint64_t linear)
{
	struct recount *recount = context;
	const struct mm *mm = recount->mm;
	uint64_t word = entry_word(entry);
	bool whole = entry->level > 0;
	(void)linear;
	if (word & WORD_SPECIAL) {
		SIM_ASSERT(!(word & WORD_WRITE));
		recount->zero++;
		return;
	}
	if (!(word & WORD_PRESENT)) {
		SIM_ASSERT(word & WORD_SWAP);
		recount->rss[MAPPED_NOT]++;
		return;
	}
	uint32_t frame = (uint32_t)((word & WORD_FRAME) >> PAGE_SHIFT);
	const struct mapped_page *page = &mm->page[frame];
	SIM_ASSERT(frame < mm->end_pfn && page->kind != MAPPED_NOT && (!whole || page->head));
	SIM_ASSERT(page->kind != MAPPED_ANONYMOUS || !(word & WORD_WRITE) || page->exclusive);
	recount->rss[page->kind] += whole ? FRAMES_OF_HUGE : 1;
	recount->huge += whole;
	recount->pages += whole ? FRAMES_OF_HUGE : 1;
	recount->entries++;
	if (whole)
		recount->frames[frame].whole++;
	else
		recount->frames[frame].own++;
}

static uint64_t count_tables(const struct mm *mm, const struct table *table, unsigned level)
{
	uint32_t entries = 1u << mm->mode->level[level].index_bits, present = 0;
	uint64_t frames = level + 1 == mm->mode->levels ? 2 : 1;
	for (uint32_t i = 0; i < entries; i++) {
		present += table->word[i] != 0;
		if (table->child && table->child[i]) {
			SIM_ASSERT((table->word[i] & WORD_FRAME) >> PAGE_SHIFT == table->child[i]->frame.nr);
			frames += count_tables(mm, table->child[i], level - 1);
		}
	}
	SIM_ASSERT(present == table->present);
	for (const struct table *kept = level > 0 ? table->deposit : NULL; kept; kept = kept->deposit)
		frames++;
	return frames;
}

static void check_areas(const struct space *space)
{
	uint64_t end = 0;
	for (uint32_t i = 0; i < space->areas_count; i++) {
		const struct area *area = space->areas[i];
		SIM_ASSERT(area->start >= end && area->end > area->start && area->end % PAGE_SIZE == 0);
		SIM_ASSERT(!area->anon_vma || area->chains_count > 0);
		end = area->end;
	}
}

static void check_space(struct recount *recount, const struct space *space)
{
	const struct mm *mm = recount->mm;
	for (unsigned kind = 0; kind < 4; kind++)
		recount->rss[kind] = 0;
	recount->huge = recount->pages = recount->zero = recount->entries = 0;
	check_areas(space);
	tables_visit(mm, space, 0, mm->user_end, count_entry, recount);
	for (unsigned kind = 0; kind < 4; kind++)
		SIM_ASSERT(recount->rss[kind] == space->rss[kind]);
	SIM_ASSERT(recount->huge == space->huge);
	SIM_ASSERT(count_tables(mm, space->root, mm->mode->levels - 1) == space->tables);
	recount->all_pages += recount->pages;
	recount->all_zero += recount->zero;
	recount->all_entries += recount->entries;
}

/* Every frame's counts, and how many frames there are of each kind. */
static void check_frames(const struct recount *recount)
{
	const struct mm *mm = recount->mm;
	uint64_t kinds[4] = {0};
	for (uint32_t nr = 0; nr < mm->end_pfn; nr++) {
		const struct mapped_page *page = &mm->page[nr];
		uint32_t count = recount->frames[nr].own + recount->frames[nr].whole;
		SIM_ASSERT(page->own_count == recount->frames[nr].own && page->whole == recount->frames[nr].whole);
		for (uint32_t i = 1; page->head && i < FRAMES_OF_HUGE; i++)
			count += recount->frames[nr + i].own;
		SIM_ASSERT(page->tail || page->map_count == count);
		kinds[page->kind]++;
		SIM_ASSERT(page->kind != MAPPED_ANONYMOUS || page->tail || count > 0);
	}
	SIM_ASSERT(kinds[MAPPED_ANONYMOUS] == mm->counters.anonymous_pages);
	SIM_ASSERT(kinds[MAPPED_SHARED] == mm->counters.shared_pages && kinds[MAPPED_FILE] == mm->counters.file_pages);
}

static void check_counters(const struct mm *mm)
{
	const struct mm_counters *counters = &mm->counters;
	SIM_ASSERT(counters->faults == counters->faults_anonymous + counters->faults_zero + counters->faults_file +
	                                       counters->faults_shared + counters->faults_copied + counters->faults_reused +
	                                       counters->faults_made_writable + counters->faults_swapped + counters->faults_huge +
	                                       counters->faults_huge_zero + counters->faults_huge_reused +
	                                       counters->faults_retried + counters->faults_no_memory + counters->faults_wrong);
	SIM_ASSERT(counters->around_found == counters->around_own + counters->around_mapped + counters->around_there);
	SIM_ASSERT(counters->around_own <= counters->around_faults && counters->faults_again <= counters->faults);
	SIM_ASSERT(counters->around_found <= counters->around_faults * mm->around_pages);
	SIM_ASSERT(counters->remaps_moved <= counters->remaps);
	SIM_ASSERT(counters->remaps_moved || counters->moved_entries + counters->moved_tables + counters->moved_huge == 0);
	SIM_ASSERT(counters->areas_made == counters->areas_gone + counters->live_areas);
	SIM_ASSERT(counters->processes_created + counters->processes_forked + counters->threads_created ==
	           counters->exits + mm->port.live_processes);
	SIM_ASSERT(counters->cr3_flushes <= counters->cr3_loads && counters->switches_lazy <= counters->switches);
	SIM_ASSERT(counters->huge_asked == counters->faults_huge + counters->faults_huge_zero + counters->huge_fallback);
	SIM_ASSERT(mm->gather.count == 0 && !mm->gather.active && !mm->unmapped.required);
	SIM_ASSERT(counters->flush_batches <= counters->flushes_put_off);
}

/* Each CPU's space is there, says that the CPU has it, and is counted by it. */
static void check_cpus(const struct mm *mm)
{
	for (uint32_t i = 0; i < mm->spaces_count; i++) {
		const struct space *space = mm->spaces[i];
		uint32_t holders = (space->sharers > 0 ? 1u : 0u) + (space->mm_slot.at.addr ? 1u : 0u);
		for (unsigned cpu = 0; cpu < mm->cpus; cpu++) {
			bool loaded = mm->cpu[cpu].loaded == space;
			SIM_ASSERT(loaded == (space->cpumask[cpu] != 0));
			SIM_ASSERT(!loaded || mm->cpu[cpu].ctx[mm->cpu[cpu].asid].ctx_id == space->ctx_id);
			holders += loaded;
		}
		SIM_ASSERT(holders == space->lazy);
	}
}

void mm_check(const struct user_memory *users)
{
	const struct mm *mm = mm_const(users);
	struct recount recount = {.mm = mm};
	uint64_t areas = 0, tables = 0;
	recount.frames = lazy_alloc(mm->end_pfn, sizeof *recount.frames);
	for (uint32_t i = 0; i < mm->spaces_count; i++) {
		check_space(&recount, mm->spaces[i]);
		areas += mm->spaces[i]->areas_count;
		tables += mm->spaces[i]->tables;
	}
	SIM_ASSERT(areas == mm->counters.live_areas && tables == mm->counters.table_pages);
	SIM_ASSERT(recount.all_pages == mm->counters.mapped_pages && recount.all_zero == mm->counters.zero_entries);
	SIM_ASSERT(recount.all_entries == mm->counters.entries_set - mm->counters.entries_cleared);
	check_frames(&recount);
	check_cpus(mm);
	check_counters(mm);
	khugepaged_check(mm);
	if (users->watcher.check)
		users->watcher.check(users->watcher.context);
	lazy_free(recount.frames, mm->end_pfn, sizeof *recount.frames);
}
