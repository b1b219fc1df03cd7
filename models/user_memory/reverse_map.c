/* SPDX-License-Identifier: MIT
 *
 * reverse_map.c - from a frame to the entries that map it (interface: mm.h): pages that move, are looked at, or are taken away.
 *
 * An anonymous page is at the same linear address in every address space that maps it, unless mremap() moved its area there; a
 * page of a file or of shared memory is where each area that shows it has it.
 *
 * Source: Linux 6.1 mm/rmap.c: rmap_walk(), folio_referenced_one(), try_to_unmap_one(), try_to_migrate_one();
 * arch/x86/mm/pgtable.c: pmdp_clear_flush_young(); mm/migrate.c: remove_migration_pte().
 * MODEL: the walk's own steps are those of the entries: the trees of areas (anon_vma, i_mmap) are passed over for nothing, and
 * address spaces are looked at one by one, which costs the host time alone.
 */
#include "models/user_memory/mm.h"

struct rmap {
	struct mm *mm;
	pfn frame;
	unsigned cpu;
	void (*visit)(struct rmap *, struct space *, const struct entry *, uint64_t linear);
	bool stops;  /* an entry was dirty whose page was to go with its contents */
	bool splits; /* entries of 2 MiB are taken apart first (TTU_SPLIT_HUGE_PMD) */
	pfn part;    /* what the entry maps: `frame`, or one behind it in a huge page */
	/* What the visitors gather or are told. */
	pfn to;
	uint64_t swap_entry;
	uint32_t count;
	const struct area *counted; /* the last area that was */
	bool dirty, executable;
};

/* True: the frame is mapped there. */
static bool visit_at(struct rmap *rmap, struct space *space, uint64_t linear)
{
	struct entry entry;
	entry_find(rmap->mm, space, linear, &entry);
	uint64_t word = entry_word(&entry);
	bool found = entry.level == 0 && word & WORD_PRESENT && !(word & WORD_SPECIAL) &&
	             (word & WORD_FRAME) >> PAGE_SHIFT == rmap->frame.nr;
	rmap->part = rmap->frame;
	if (found)
		rmap->visit(rmap, space, &entry, linear);
	return found;
}

/*
 * The entries of a space that map a huge page, of which the whole would lie at an address, and its parts from `first` up to but
 * without `end` do; how many there were.
 */
static uint32_t visit_huge_at(struct rmap *rmap, struct space *space, uint64_t linear, uint32_t first, uint32_t end)
{
	struct mm *mm = rmap->mm;
	struct entry entry;
	uint32_t found = 0;
	entry_find(mm, space, linear + ((uint64_t)first << PAGE_SHIFT), &entry);
	bool whole = first == 0 && entry.level > 0 && entry_word(&entry) & WORD_PRESENT &&
	             (entry_word(&entry) & WORD_FRAME) >> PAGE_SHIFT == rmap->frame.nr;
	rmap->part = rmap->frame;
	if (whole && rmap->splits)
		huge_split(mm, space, &entry, linear, rmap->cpu);
	else if (whole)
		rmap->visit(rmap, space, &entry, linear);
	for (uint32_t i = first; i < end && (!whole || rmap->splits); i++) {
		uint64_t at = linear + ((uint64_t)i << PAGE_SHIFT);
		entry_find(mm, space, at, &entry);
		uint64_t word = entry_word(&entry);
		rmap->part = pfn_of(rmap->frame.nr + i);
		if (entry.level > 0 || !(word & WORD_PRESENT) || word & WORD_SPECIAL ||
		    (word & WORD_FRAME) >> PAGE_SHIFT != rmap->part.nr)
			continue;
		rmap->visit(rmap, space, &entry, at);
		found++;
	}
	return whole ? 1 : found;
}

static bool shows(const struct area *area, const struct mapped_page *page)
{
	uint64_t pages = (area->end - area->start) >> PAGE_SHIFT;
	bool same = page->kind == MAPPED_SHARED ? area->shared && area->shared->number == page->file
	                                        : user_area_has_file(area->kind) && area->file == page->file;
	return same && page->place >= area->first_page && page->place - area->first_page < pages;
}

/* A private page of a space whose areas may be elsewhere than when it came: what each area's pages say of it. */
static uint32_t visit_moved(struct rmap *rmap, struct space *space, const struct mapped_page *page)
{
	uint64_t end = page->place + (page->head ? FRAMES_OF_HUGE : 1);
	uint32_t found = 0;
	for (uint32_t i = 0; i < space->areas_count; i++) {
		const struct area *area = space->areas[i];
		uint64_t area_end = area->private_first + ((area->end - area->start) >> PAGE_SHIFT);
		uint64_t from = page->place > area->private_first ? page->place : area->private_first;
		uint64_t to = end < area_end ? end : area_end;
		if (from >= to)
			continue;
		/* The address of the page's first frame may lie before the area. */
		uint64_t linear = area->start - ((area->private_first - page->place) << PAGE_SHIFT);
		if (page->head)
			found += visit_huge_at(rmap, space, linear, (uint32_t)(from - page->place), (uint32_t)(to - page->place));
		else
			found += visit_at(rmap, space, linear);
	}
	return found;
}

/* How many entries of the space map it. */
static uint32_t visit_space(struct rmap *rmap, struct space *space, const struct mapped_page *page)
{
	uint32_t found = 0;
	if (page->kind == MAPPED_ANONYMOUS && space->has_moved)
		return visit_moved(rmap, space, page);
	if (page->head)
		return visit_huge_at(rmap, space, page->place << PAGE_SHIFT, 0, FRAMES_OF_HUGE);
	if (page->kind == MAPPED_ANONYMOUS)
		return visit_at(rmap, space, page->place << PAGE_SHIFT);
	for (uint32_t i = 0; i < space->areas_count; i++) {
		const struct area *area = space->areas[i];
		if (shows(area, page))
			found += visit_at(rmap, space, area->start + ((page->place - area->first_page) << PAGE_SHIFT));
	}
	return found;
}

/* Until as many entries are found as there are. One alone is most often where the page was mapped last. */
static void walk(struct rmap *rmap)
{
	struct mm *mm = rmap->mm;
	const struct mapped_page page = mm->page[rmap->frame.nr];
	uint32_t left = page.head ? page.map_count : page.own_count;
	if (left == 1 && page.mapper < mm->spaces_count)
		left -= visit_space(rmap, mm->spaces[page.mapper], &page);
	for (uint32_t i = 0; i < mm->spaces_count && left > 0; i++)
		left -= visit_space(rmap, mm->spaces[i], &page);
}

static void move_entry(struct rmap *rmap, struct space *space, const struct entry *entry, uint64_t linear)
{
	(void)space;
	(void)linear;
	entry_write(rmap->mm, entry, (entry_word(entry) & ~WORD_FRAME) | (uint64_t)rmap->to.nr << PAGE_SHIFT);
}

bool rmap_moved(struct mm *mm, pfn from, pfn to)
{
	struct mapped_page *page = &mm->page[from.nr];
	bool kept = page_store_moved(&mm->kept, from, to);
	if (page->kind == MAPPED_NOT)
		return kept;
	SIM_ASSERT(!page->head && !page->tail && mm->page[to.nr].kind == MAPPED_NOT);
	struct rmap rmap = {.mm = mm, .frame = from, .to = to, .visit = move_entry};
	walk(&rmap);
	if (page->kind == MAPPED_SHARED)
		shared_of(mm, from)->frames[page->place] = to.nr + 1;
	mm->page[to.nr] = *page;
	*page = (struct mapped_page){0};
	return true;
}

static void look_at(struct rmap *rmap, struct space *space, const struct entry *entry, uint64_t linear)
{
	const struct area *area = area_at(space, linear);
	bool whole = entry->level > 0;
	entry_read(rmap->mm, entry);
	if (!(entry_word(entry) & WORD_ACCESSED))
		return;
	/* Whoever reads on and on does not come back. */
	if ((whole || area->reading != FILE_SEQUENTIAL) && rmap->counted != area) {
		rmap->counted = area;
		rmap->count++;
		rmap->executable |= (area->rights & USER_EXECUTE) != 0;
	}
	entry_write(rmap->mm, entry, entry_word(entry) & ~WORD_ACCESSED);
	if (whole)
		flush_range(rmap->mm, space, linear, FRAMES_OF_HUGE, true, rmap->cpu);
}

/*
 * ptep_clear_flush_young() of x86 does not flush: an old translation may keep the next use from being seen;
 * pmdp_clear_flush_young() does.
 */
uint32_t rmap_referenced(struct mm *mm, pfn frame, bool *executable, unsigned cpu)
{
	struct rmap rmap = {.mm = mm, .frame = frame, .cpu = cpu, .visit = look_at};
	if (mm->page[frame.nr].kind != MAPPED_NOT)
		walk(&rmap);
	*executable = rmap.executable;
	return rmap.count;
}

static void take_away(struct rmap *rmap, struct space *space, const struct entry *entry, uint64_t linear)
{
	struct mm *mm = rmap->mm;
	const struct page_watcher *watcher = &mm->port.watcher;
	uint64_t word = entry_word(entry);
	bool anonymous = mm->page[rmap->part.nr].kind == MAPPED_ANONYMOUS;
	uint64_t swap_entry = rmap->swap_entry + (rmap->part.nr - rmap->frame.nr);
	if (rmap->stops)
		return;
	rmap->count++;
	rmap->dirty |= (word & WORD_DIRTY) != 0;
	entry_lock(mm, entry);
	entry_write(mm, entry, 0);
	if (!flush_put_off(mm, space, word & WORD_DIRTY, rmap->cpu))
		flush_range(mm, space, linear, 1, false, rmap->cpu);
	if (anonymous && !rmap->swap_entry && rmap->dirty) {
		entry_write(mm, entry, word);
		entry_unlock(mm, entry);
		rmap->stops = true;
		return;
	}
	if (anonymous && rmap->swap_entry) {
		entry_write(mm, entry, WORD_SWAP | swap_entry << WORD_SWAP_SHIFT);
		space->rss[MAPPED_NOT]++;
		if (watcher->swap_taken)
			watcher->swap_taken(watcher->context, swap_entry);
	}
	entry_unlock(mm, entry);
	page_unmapped(mm, space, rmap->part, false, rmap->dirty, rmap->cpu);
}

uint32_t rmap_unmap(struct mm *mm, pfn frame, uint64_t entry, bool *dirty, unsigned cpu)
{
	struct rmap rmap = {.mm = mm, .frame = frame, .cpu = cpu, .swap_entry = entry, .splits = true, .visit = take_away};
	const struct mapped_page *page = &mm->page[frame.nr];
	*dirty = false;
	if (page->map_count == 0 || page->tail)
		return 0;
	mm->taken_away = frame;
	walk(&rmap);
	mm->taken_away = PFN_NONE;
	*dirty = rmap.dirty;
	return rmap.count;
}

/* try_to_migrate_one(), remove_migration_pte(): out of the tables, and in again. */
static void take_out_and_in(struct rmap *rmap, struct space *space, const struct entry *entry, uint64_t linear)
{
	struct mm *mm = rmap->mm;
	uint64_t word = entry_word(entry);
	entry_lock(mm, entry);
	entry_write(mm, entry, 0);
	flush_range(mm, space, linear, 1, false, rmap->cpu);
	entry_unlock(mm, entry);
	entry_lock(mm, entry);
	entry_write(mm, entry, word);
	entry_unlock(mm, entry);
}

/* An entry of 2 MiB is away when it is taken apart, and flushed once; others one by one. */
static void split_entry(struct rmap *rmap, struct space *space, const struct entry *entry, uint64_t linear)
{
	if (entry->level > 0)
		huge_split(rmap->mm, space, entry, linear, rmap->cpu);
	else
		take_out_and_in(rmap, space, entry, linear);
}

void rmap_split(struct mm *mm, pfn first, unsigned cpu)
{
	struct rmap rmap = {.mm = mm, .frame = first, .cpu = cpu, .visit = split_entry};
	walk(&rmap);
}
