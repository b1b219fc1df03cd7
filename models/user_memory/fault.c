/* SPDX-License-Identifier: MIT
 *
 * fault.c - accesses of a process to a page, and the faults that let them go on (interface: mm.h).
 *
 *   no entry      anonymous      read: the zero page; write: a page of zeroes     do_anonymous_page()
 *                 file           read: the cache's page, and others round it      do_read_fault()
 *                                written, private: a copy; shared: that page      do_cow_fault(), do_shared_fault()
 *                 shared         a page of the common ones, of zeroes when new    shmem_fault()
 *                 swapped        back in                                          do_swap_page()
 *   not writable  anonymous      the only user takes it as it is, else a copy     do_wp_page(), wp_page_copy()
 *                 zero page, private file   a copy                                wp_page_copy()
 *                 shared         made writable                                    wp_page_shared()
 *
 * Source: Linux 6.1 mm/memory.c (functions above, handle_mm_fault(), zap_pte_range()), arch/x86/mm/fault.c
 * (do_user_addr_fault()), mm/rmap.c (page_add_new_anon_rmap(), page_remove_rmap()).
 * MODEL: a fault that is made once more (VM_FAULT_RETRY) finds the page that it waited for. MODEL: a file's page is dirty from
 * its first write on; a kernel write-protects it again after writing it out. MODEL: dirty and accessed bits are set here, too,
 * where the access is decided.
 */
#include "models/kernel_code.h"
#include "models/user_memory/mm.h"

#include <stdlib.h>

#define GFP_PAGE GFP_HIGHUSER_MOVABLE
/* MODEL: an access whose page is reclaimed under it this many times finds no memory; a kernel goes on for ever. */
#define FAULT_TRIES 16

/* ---- frames ---- */

pfn page_new(struct mm *mm, unsigned order, gfp flags, unsigned cpu)
{
	pfn frame = page_alloc(mm->pages, order, flags, cpu);
	if (frame.nr == UINT32_MAX)
		return frame;
	SIM_ASSERT(frame.nr + (1u << order) <= mm->end_pfn && mm->page[frame.nr].kind == MAPPED_NOT);
	if (flags & __GFP_ZERO)
		mm->counters.pages_zeroed += 1ull << order;
	return frame;
}

void page_free_new(struct mm *mm, pfn frame, unsigned order, unsigned cpu)
{
	step_run(mm->steps, CODE_RELEASE_PAGE, mm->cost.release_page);
	if (!mm->port.watcher.removed || !mm->port.watcher.removed(mm->port.watcher.context, frame, order, cpu))
		gather_free(mm, frame, order, cpu);
}

/* The CPU's batch of pages for the LRU takes a reference (folio_add_lru()), where nobody keeps lists who tells it. */
static void touch_batch(struct mm *mm, pfn frame)
{
	if (mm->port.watcher.added)
		return;
	step_atomic(mm->steps, page_field(mm, frame, PAGE_REFCOUNT), 4);
	step_write(mm->steps, page_field(mm, frame, PAGE_LRU), 16);
}

static void tell_added(struct mm *mm, pfn frame, unsigned cpu)
{
	touch_batch(mm, frame);
	if (mm->port.watcher.added)
		mm->port.watcher.added(mm->port.watcher.context, frame, 0, cpu);
}

/* ---- gathering ---- */

void gather_begin(struct mm *mm)
{
	SIM_ASSERT(!mm->gather.active && mm->gather.count == 0);
	mm->gather.active = true;
	mm->gather.start = UINT64_MAX;
	mm->gather.end = 0;
}

void gather_range(struct mm *mm, uint64_t linear, uint64_t bytes)
{
	if (linear < mm->gather.start)
		mm->gather.start = linear;
	if (linear + bytes > mm->gather.end)
		mm->gather.end = linear + bytes;
}

static void give_back(struct mm *mm, pfn frame, unsigned order, unsigned cpu)
{
	step_atomic(mm->steps, page_field(mm, frame, PAGE_REFCOUNT), 4);
	enum page_free_result result = page_free(mm->pages, frame, order, cpu);
	SIM_ASSERT(result == PAGE_FREE_OK);
}

void gather_free(struct mm *mm, pfn frame, unsigned order, unsigned cpu)
{
	if (!mm->gather.active) {
		give_back(mm, frame, order, cpu);
		return;
	}
	if (mm->gather.count == mm->gather.room) {
		mm->gather.room = mm->gather.room ? 2 * mm->gather.room : 64;
		mm->gather.at = xrealloc(mm->gather.at, mm->gather.room * sizeof *mm->gather.at);
	}
	mm->gather.at[mm->gather.count++] = (struct gathered){frame, order};
}

/* The free of one frame may let kcompactd run. */
bool gather_moved(struct mm *mm, pfn from, pfn to)
{
	for (uint32_t i = 0; i < mm->gather.count; i++)
		if (mm->gather.at[i].frame.nr == from.nr) {
			mm->gather.at[i].frame = to;
			return true;
		}
	return false;
}

/*
 * tlb_flush_mmu_tlbonly(): where nothing was mapped, nothing is flushed. MODEL: the pages that list what was gathered (one for
 * 510 of it) are left out. MODEL: huge pages alone are flushed as the whole space, where a kernel drops up to 33 of them one by
 * one.
 */
void gather_end(struct mm *mm, struct space *space, bool all, bool freed_tables, unsigned cpu)
{
	uint64_t start = mm->gather.start, end = mm->gather.end;
	if (start < end)
		flush_range(mm, space, all ? 0 : start, all ? UINT32_MAX : (end - start) >> PAGE_SHIFT, freed_tables, cpu);
	mm->gather.active = false;
	for (uint32_t i = 0; i < mm->gather.count; i++) {
		struct gathered next = mm->gather.at[i];
		mm->gather.at[i].frame = PFN_NONE;
		give_back(mm, next.frame, next.order, cpu);
	}
	mm->gather.count = 0;
}

/* ---- who maps what ---- */

/* The head of the huge page that a frame is of, else itself. */
static struct mapped_page *head_of(struct mm *mm, pfn frame)
{
	struct mapped_page *page = &mm->page[frame.nr];
	return page->tail ? &mm->page[frame.nr & ~(FRAMES_OF_HUGE - 1)] : page;
}

void page_mapped(struct mm *mm, struct space *space, pfn frame, bool whole)
{
	struct mapped_page *page = &mm->page[frame.nr], *head = head_of(mm, frame);
	step_atomic(mm->steps, page_field(mm, frame, PAGE_MAPCOUNT), 4);
	step_update(mm->steps, mm_field(&space->object, MM_RSS_STAT + 8u * page->kind), 8);
	if (whole)
		page->whole++;
	else
		page->own_count++;
	head->map_count++;
	page->mapper = space->slot;
	space->rss[page->kind] += whole ? FRAMES_OF_HUGE : 1;
	space->huge += whole;
	mm->counters.entries_set++;
	mm->counters.mapped_pages += whole ? FRAMES_OF_HUGE : 1;
	if (page->kind == MAPPED_FILE && head->map_count == 1) {
		mm->counters.file_pages++;
		if (mm->port.files.mapped)
			mm->port.files.mapped(mm->port.files.context, frame);
	}
}

/* The last entry that maps it is gone. */
static void last_unmapped(struct mm *mm, pfn frame, bool dirty, unsigned cpu)
{
	struct mapped_page *page = &mm->page[frame.nr];
	if (page->kind == MAPPED_FILE) {
		mm->counters.file_pages--;
		*page = (struct mapped_page){0};
		if (mm->port.files.unmapped)
			mm->port.files.unmapped(mm->port.files.context, frame, dirty);
		return;
	}
	if (page->kind == MAPPED_SHARED)
		return; /* the areas' common pages keep it */
	unsigned order = page->head ? HUGE_ORDER : 0;
	bool taken_away = mm->taken_away.nr == frame.nr;
	mm->counters.anonymous_pages -= 1ull << order;
	for (uint32_t i = 0; i < 1u << order; i++)
		page[i] = (struct mapped_page){0};
	if (!taken_away)
		page_free_new(mm, frame, order, cpu);
}

/* Whether some of a huge page's frames are mapped and some are not, none by an entry of 2 MiB. */
static bool is_mapped_in_part(const struct mapped_page *head, bool was_whole)
{
	if (!head->head || head->whole || !head->map_count)
		return false;
	for (uint32_t i = 0; was_whole && i < FRAMES_OF_HUGE; i++)
		if (head[i].own_count == 0)
			return true;
	return !was_whole;
}

void page_unmapped(struct mm *mm, struct space *space, pfn frame, bool whole, bool dirty, unsigned cpu)
{
	struct mapped_page *page = &mm->page[frame.nr], *head = head_of(mm, frame);
	step_atomic(mm->steps, page_field(mm, frame, PAGE_MAPCOUNT), 4);
	step_update(mm->steps, mm_field(&space->object, MM_RSS_STAT + 8u * page->kind), 8);
	uint32_t *count = whole ? &page->whole : &page->own_count;
	SIM_ASSERT(*count > 0 && head->map_count > 0);
	--*count;
	space->rss[page->kind] -= whole ? FRAMES_OF_HUGE : 1;
	space->huge -= whole;
	mm->counters.entries_cleared++;
	mm->counters.mapped_pages -= whole ? FRAMES_OF_HUGE : 1;
	pfn first = pfn_of((uint32_t)(head - mm->page));
	if (--head->map_count == 0)
		last_unmapped(mm, first, dirty, cpu);
	else if (*count == 0 && is_mapped_in_part(head, whole) && mm->port.watcher.parts_unmapped)
		mm->port.watcher.parts_unmapped(mm->port.watcher.context, first);
}

static pfn frame_of_word(uint64_t word)
{
	return pfn_of((uint32_t)((word & WORD_FRAME) >> PAGE_SHIFT));
}

/* Whoever reads on and on does not come back. */
static bool is_sequential(const struct space *space, uint64_t linear)
{
	const struct area *area = area_at(space, linear);
	return area && area->reading == FILE_SEQUENTIAL;
}

/* What the processor marked in an entry that goes, to who looks after pages that are not anonymous. */
static void tell_used(struct mm *mm, const struct space *space, pfn frame, uint64_t word, uint64_t linear, unsigned cpu)
{
	const struct file_pages *files = &mm->port.files;
	const struct page_watcher *watcher = &mm->port.watcher;
	unsigned kind = mm->page[frame.nr].kind;
	if (kind == MAPPED_ANONYMOUS)
		return;
	bool accessed = word & WORD_ACCESSED && !is_sequential(space, linear);
	if (kind == MAPPED_FILE && files->used)
		files->used(files->context, frame, accessed, word & WORD_DIRTY, cpu);
	if (kind == MAPPED_SHARED && watcher->shared_used)
		watcher->shared_used(watcher->context, frame, accessed, word & WORD_DIRTY, cpu);
}

void entry_zap(struct mm *mm, struct space *space, const struct entry *entry, uint64_t linear, unsigned cpu)
{
	uint64_t word = entry_word(entry);
	bool whole = entry->level > 0;
	step_run(mm->steps, CODE_UNMAP_ENTRY, mm->cost.unmap_entry);
	entry_read(mm, entry);
	if (whole)
		huge_withdraw(mm, space, entry->table, cpu);
	entry_write(mm, entry, 0);
	/* tlb_remove_tlb_entry() */
	if (word & WORD_PRESENT)
		gather_range(mm, linear, whole ? HUGE_BYTES : PAGE_SIZE);
	if (word & WORD_SPECIAL) {
		mm->counters.zero_entries--;
	} else if (word & WORD_SWAP) {
		space->rss[MAPPED_NOT]--;
		if (mm->port.watcher.swap_given)
			mm->port.watcher.swap_given(mm->port.watcher.context, (word & WORD_FRAME) >> WORD_SWAP_SHIFT, cpu);
	} else {
		tell_used(mm, space, frame_of_word(word), word, linear, cpu);
		page_unmapped(mm, space, frame_of_word(word), whole, word & WORD_DIRTY, cpu);
	}
}

/* What an entry for a page of the area says; `write`: it may be written at once, and will be. */
uint64_t area_word(const struct area *area, pfn frame, bool write)
{
	uint64_t word = (uint64_t)frame.nr << PAGE_SHIFT | WORD_PRESENT | WORD_USER | WORD_ACCESSED;
	if (area->rights & USER_EXECUTE)
		word |= WORD_EXECUTE;
	return write ? word | WORD_WRITE | WORD_DIRTY : word;
}

/* A fault on its way. */
struct fault {
	struct mm *mm;
	struct space *space;
	struct area *area;
	uint64_t linear; /* of the page */
	bool write;
	unsigned cpu;
	struct entry entry;
	uint64_t word; /* that was found */
};

static enum user_result no_memory(struct fault *fault)
{
	fault->mm->counters.faults_no_memory++;
	return USER_NO_MEMORY;
}

/* Writes the entry under its lock, and counts the page in. */
static void set_entry(struct fault *fault, pfn frame, uint64_t word)
{
	entry_lock(fault->mm, &fault->entry);
	entry_read(fault->mm, &fault->entry);
	if (!(word & WORD_SPECIAL))
		page_mapped(fault->mm, fault->space, frame, false);
	entry_write(fault->mm, &fault->entry, word);
	entry_unlock(fault->mm, &fault->entry);
}

/* A new private page's record. */
static void become_anonymous(struct fault *fault, pfn frame)
{
	fault->mm->page[frame.nr] = (struct mapped_page){
	        .kind = MAPPED_ANONYMOUS, .exclusive = true, .place = area_private_page(fault->area, fault->linear)};
	fault->mm->counters.anonymous_pages++;
	step_write(fault->mm->steps, page_field(fault->mm, frame, PAGE_MAPPING), 16);
}

static enum user_result anonymous(struct fault *fault)
{
	struct mm *mm = fault->mm;
	if (!fault->write) {
		step_run(mm->steps, CODE_FAULT_ZERO, mm->cost.fault_zero);
		set_entry(fault, pfn_of(ZERO_FRAME), area_word(fault->area, pfn_of(ZERO_FRAME), false) | WORD_SPECIAL);
		mm->counters.zero_entries++;
		mm->counters.faults_zero++;
		return USER_OK;
	}
	step_run(mm->steps, CODE_FAULT_ANONYMOUS, mm->cost.fault_anonymous);
	if (!area_prepare_anon(mm, fault->area, fault->cpu))
		return no_memory(fault);
	pfn frame = page_new(mm, 0, GFP_PAGE | __GFP_ZERO, fault->cpu);
	if (frame.nr == UINT32_MAX)
		return no_memory(fault);
	become_anonymous(fault, frame);
	tell_added(mm, frame, fault->cpu);
	set_entry(fault, frame, area_word(fault->area, frame, true));
	mm->counters.faults_anonymous++;
	return USER_OK;
}

/* copy_user_highpage(): through the direct map, pages of high memory through local slots. */
void page_copy_contents(struct mm *mm, pfn from, pfn to, unsigned cpu)
{
	const struct page_contents contents = {mm->mapper, mm->layout, mm->steps};
	page_contents_copy(&contents, to, from, cpu);
	step_spend(mm->steps, mm->cost.copy_page);
}

static void copy_page(struct mm *mm, pfn from, pfn to, unsigned cpu)
{
	page_copy_contents(mm, from, to, cpu);
	mm->counters.pages_copied++;
}

/* The page of a file, from who keeps them. */
static pfn file_page(struct fault *fault, uint64_t index, bool *again)
{
	struct mm *mm = fault->mm;
	const struct file_pages *files = &mm->port.files;
	uint32_t file = fault->area->file;
	enum file_advice reading = fault->area->reading;
	unsigned cpu = fault->cpu;
	*again = false;
	pfn frame = files->find ? files->find(files->context, file, index, reading, cpu, again)
	                        : page_store_find(&mm->kept, file, index);
	if (frame.nr != UINT32_MAX)
		return frame;
	frame = files->read ? files->read(files->context, file, index, reading, cpu, again) : mm_kept_read(mm, file, index, cpu);
	mm->counters.faults_file_read += frame.nr != UINT32_MAX;
	return frame;
}

static void put_file_page(const struct fault *fault, pfn frame)
{
	const struct file_pages *files = &fault->mm->port.files;
	if (files->put)
		files->put(files->context, frame, fault->cpu);
}

void page_is_of_file(struct mm *mm, pfn frame, uint32_t file, uint64_t index)
{
	if (mm->page[frame.nr].map_count == 0)
		mm->page[frame.nr] = (struct mapped_page){.kind = MAPPED_FILE, .place = index, .file = file};
}

/* do_read_fault(): true if that mapped the fault's own page. */
static bool look_around(struct fault *fault)
{
	struct mm *mm = fault->mm;
	if (fault->write || mm->around_pages == 1)
		return false;
	step_run(mm->steps, CODE_FAULT_AROUND, mm->cost.fault_around);
	return fault_around(mm, fault->space, fault->area, &fault->entry, fault->linear, fault->cpu);
}

/* A private page with the contents of a file's. */
static enum user_result copy_of_file(struct fault *fault, pfn from)
{
	struct mm *mm = fault->mm;
	step_run(mm->steps, CODE_FAULT_FILE_COPY, mm->cost.fault_file_copy);
	if (!area_prepare_anon(mm, fault->area, fault->cpu))
		return no_memory(fault);
	pfn frame = page_new(mm, 0, GFP_PAGE, fault->cpu);
	if (frame.nr == UINT32_MAX)
		return no_memory(fault);
	copy_page(mm, from, frame, fault->cpu);
	become_anonymous(fault, frame);
	tell_added(mm, frame, fault->cpu);
	set_entry(fault, frame, area_word(fault->area, frame, true));
	mm->counters.faults_copied++;
	return USER_OK;
}

static void look_up_area(const struct fault *fault)
{
	struct mm *mm = fault->mm;
	lock_space(mm, fault->space, false);
	if (fault->space->nodes_count)
		step_read(mm->steps, fault->space->nodes[0].at, 64);
	if (fault->area)
		read_field(mm, &fault->area->object, VMA_START);
}

/* mmap_lock was dropped while the device read (FAULT_FLAG_TRIED): the same way once more, up to the entry. */
static void begin_again(struct fault *fault)
{
	struct mm *mm = fault->mm;
	mm->counters.faults_again++;
	unlock_space(mm, fault->space, false);
	step_run(mm->steps, CODE_FAULT, mm->cost.fault);
	look_up_area(fault);
	bool found = tables_entry(mm, fault->space, fault->linear, 0, false, fault->cpu, &fault->entry);
	SIM_ASSERT(found && fault->entry.level == 0);
	entry_read(mm, &fault->entry);
}

/* finish_fault() of a page that the caller has pinned. */
static void map_file_page(struct fault *fault, pfn frame, uint64_t index)
{
	struct mm *mm = fault->mm;
	/* find_get_page() takes a reference, the entry keeps it. */
	step_atomic(mm->steps, page_field(mm, frame, PAGE_REFCOUNT), 4);
	page_is_of_file(mm, frame, fault->area->file, index);
	set_entry(fault, frame, area_word(fault->area, frame, fault->write));
}

static enum user_result of_file(struct fault *fault)
{
	struct mm *mm = fault->mm;
	uint64_t index = area_page(fault->area, fault->linear);
	bool again, mapped = false;
	if (look_around(fault)) {
		mm->counters.faults_file++;
		return USER_OK;
	}
	step_run(mm->steps, CODE_FAULT_FILE, mm->cost.fault_file);
	pfn frame = file_page(fault, index, &again);
	if (frame.nr == UINT32_MAX)
		return no_memory(fault);
	if (again) {
		begin_again(fault);
		mapped = look_around(fault);
		if (!mapped)
			step_run(mm->steps, CODE_FAULT_FILE, mm->cost.fault_file);
	}
	if (fault->write && fault->area->kind == USER_FILE_PRIVATE) {
		enum user_result copied = copy_of_file(fault, frame);
		put_file_page(fault, frame);
		return copied;
	}
	if (!mapped)
		map_file_page(fault, frame, index);
	put_file_page(fault, frame);
	mm->counters.faults_file++;
	return USER_OK;
}

/* shmem_get_folio_gfp(): a new page of zeroes, or one that was swapped out. */
static pfn make_shared_page(struct fault *fault, uint32_t place)
{
	struct mm *mm = fault->mm;
	const struct page_watcher *watcher = &mm->port.watcher;
	if (place & SHARED_SWAPPED)
		return watcher->shared_in(watcher->context, place & ~SHARED_SWAPPED, fault->cpu);
	step_run(mm->steps, CODE_FAULT_SHARED_NEW, mm->cost.fault_shared_new);
	pfn made = page_new(mm, 0, GFP_PAGE | __GFP_ZERO, fault->cpu);
	if (made.nr == UINT32_MAX)
		return made;
	touch_batch(mm, made);
	if (watcher->shared_added)
		watcher->shared_added(watcher->context, made, fault->cpu);
	return made;
}

static enum user_result of_shared(struct fault *fault)
{
	struct mm *mm = fault->mm;
	struct shared *shared = fault->area->shared;
	uint64_t index = area_page(fault->area, fault->linear);
	SIM_ASSERT(index < shared->pages);
	if (look_around(fault)) {
		mm->counters.faults_shared++;
		return USER_OK;
	}
	step_run(mm->steps, CODE_FAULT_FILE, mm->cost.fault_file);
	if (!shared->frames[index] || shared->frames[index] & SHARED_SWAPPED) {
		pfn made = make_shared_page(fault, shared->frames[index]);
		if (made.nr == UINT32_MAX)
			return no_memory(fault);
		mm->page[made.nr] = (struct mapped_page){.kind = MAPPED_SHARED, .place = index, .file = shared->number};
		shared->frames[index] = made.nr + 1;
		mm->counters.shared_pages++;
	}
	pfn frame = pfn_of(shared->frames[index] - 1);
	step_atomic(mm->steps, page_field(mm, frame, PAGE_REFCOUNT), 4);
	/* Pages of shmem are not watched for writes: what may be written is writable at once. */
	bool writable = fault->area->rights & USER_WRITE;
	uint64_t word = area_word(fault->area, frame, fault->write);
	set_entry(fault, frame, writable ? word | WORD_WRITE : word);
	mm->counters.faults_shared++;
	return USER_OK;
}

static uint64_t entry_of_page(void *opaque, uint64_t page)
{
	const struct fault *fault = opaque;
	struct entry entry;
	entry_find(fault->mm, fault->space, page << PAGE_SHIFT, &entry);
	uint64_t word = entry_word(&entry);
	return entry.level == 0 && word & WORD_SWAP && !(word & WORD_PRESENT) ? (word & WORD_FRAME) >> WORD_SWAP_SHIFT : 0;
}

static enum user_result write_protected(struct fault *fault);

/* Nothing has mapped the page since it was unmapped; of a huge one, nothing any part of it. */
static void come_back(struct fault *fault, pfn frame)
{
	struct mm *mm = fault->mm;
	const struct page_watcher *watcher = &mm->port.watcher;
	pfn first = pfn_of(frame.nr & ~(FRAMES_OF_HUGE - 1));
	if (watcher->state && watcher->state(watcher->context, frame) & WATCHED_HUGE)
		huge_become_anonymous(mm, first, area_private_page(fault->area, fault->linear) - (frame.nr - first.nr), false);
	else
		become_anonymous(fault, frame);
}

/*
 * do_swap_page(): the page is there, mapped, and fault->word is its entry. waits: not NULL, the device is not waited for
 * (FAULT_FLAG_ALLOW_RETRY). False: there is none. What is written, and is nobody else's, is writable at once.
 */
static bool bring_in(struct fault *fault, bool *waits)
{
	struct mm *mm = fault->mm;
	const struct page_watcher *watcher = &mm->port.watcher;
	struct user_swap_fault swap = {.entry = (fault->word & WORD_FRAME) >> WORD_SWAP_SHIFT,
	                               .page = fault->linear >> PAGE_SHIFT,
	                               .first_page = fault->area->start >> PAGE_SHIFT,
	                               .end_page = fault->area->end >> PAGE_SHIFT,
	                               .write = fault->write,
	                               .waits = waits,
	                               .read_ahead = &fault->area->read_ahead,
	                               .entry_of = entry_of_page,
	                               .space = fault};
	bool alone = false;
	SIM_ASSERT(watcher->swap_in);
	step_run(mm->steps, CODE_FAULT_SWAP, mm->cost.fault_swap);
	pfn frame = watcher->swap_in(watcher->context, &swap, fault->cpu, &alone);
	if (frame.nr == UINT32_MAX)
		return false;
	if (mm->page[frame.nr].kind == MAPPED_NOT)
		come_back(fault, frame);
	mm->page[frame.nr].exclusive = alone;
	fault->word = area_word(fault->area, frame, fault->write && alone);
	set_entry(fault, frame, fault->word);
	fault->space->rss[MAPPED_NOT]--;
	return true;
}

static enum user_result swapped(struct fault *fault)
{
	if (!bring_in(fault, NULL))
		return no_memory(fault);
	/* The fault goes on as one of a write to a page of several, and is counted as that. */
	if (fault->write && !(fault->word & WORD_WRITE))
		return write_protected(fault);
	fault->mm->counters.faults_swapped++;
	return USER_OK;
}

bool fault_swap_in(struct mm *mm, struct space *space, struct area *area, uint64_t linear, unsigned cpu)
{
	struct fault fault = {.mm = mm, .space = space, .area = area, .linear = linear, .cpu = cpu};
	bool waits = false;
	entry_find(mm, space, linear, &fault.entry);
	fault.word = entry_word(&fault.entry);
	SIM_ASSERT(fault.entry.level == 0 && fault.word & WORD_SWAP);
	return bring_in(&fault, &waits);
}

/* ---- writes to what is there ---- */

/* wp_page_copy(): a page of its own in place of one that others use. */
static enum user_result copy_on_write(struct fault *fault)
{
	struct mm *mm = fault->mm;
	bool zero = fault->word & WORD_SPECIAL;
	pfn old = frame_of_word(fault->word);
	step_run(mm->steps, CODE_FAULT_COPY, mm->cost.fault_copy);
	if (!area_prepare_anon(mm, fault->area, fault->cpu))
		return no_memory(fault);
	pfn frame = page_new(mm, 0, zero ? GFP_PAGE | __GFP_ZERO : GFP_PAGE, fault->cpu);
	if (frame.nr == UINT32_MAX)
		return no_memory(fault);
	/* What made room for it may have taken the very page that is to be copied: the access faults once more (pte_same()). */
	if ((entry_word(&fault->entry) ^ fault->word) & ~WORD_ACCESSED) {
		gather_free(mm, frame, 0, fault->cpu);
		mm->counters.faults_retried++;
		return USER_OK;
	}
	if (!zero) {
		step_atomic(mm->steps, page_field(mm, old, PAGE_REFCOUNT), 4);
		copy_page(mm, old, frame, fault->cpu);
	}
	become_anonymous(fault, frame);
	entry_lock(mm, &fault->entry);
	entry_read(mm, &fault->entry);
	entry_write(mm, &fault->entry, 0);
	flush_range(mm, fault->space, fault->linear, 1, false, fault->cpu);
	page_mapped(mm, fault->space, frame, false);
	tell_added(mm, frame, fault->cpu);
	entry_write(mm, &fault->entry, area_word(fault->area, frame, true));
	if (zero)
		mm->counters.zero_entries--;
	else
		page_unmapped(mm, fault->space, old, false, fault->word & WORD_DIRTY, fault->cpu);
	entry_unlock(mm, &fault->entry);
	if (!zero)
		step_atomic(mm->steps, page_field(mm, old, PAGE_REFCOUNT), 4);
	mm->counters.faults_copied++;
	return USER_OK;
}

/* wp_page_reuse(): the processor drops the old translation when it faults, others may fault once more. */
static void make_writable(struct fault *fault)
{
	step_run(fault->mm->steps, CODE_FAULT_REUSE, fault->mm->cost.fault_reuse);
	entry_write(fault->mm, &fault->entry, fault->word | WORD_WRITE | WORD_DIRTY | WORD_ACCESSED);
	entry_unlock(fault->mm, &fault->entry);
}

static bool is_alone(const struct fault *fault, pfn frame)
{
	const struct page_watcher *watcher = &fault->mm->port.watcher;
	return !watcher->alone || watcher->alone(watcher->context, frame, fault->cpu);
}

static enum user_result write_protected(struct fault *fault)
{
	struct mm *mm = fault->mm;
	pfn frame = frame_of_word(fault->word);
	if (fault->word & WORD_SPECIAL)
		return copy_on_write(fault);
	struct mapped_page *page = &mm->page[frame.nr];
	step_read(mm->steps, page_field(mm, frame, PAGE_FLAGS), 8);
	if (user_area_is_shared(fault->area->kind)) {
		entry_lock(mm, &fault->entry);
		make_writable(fault);
		mm->counters.faults_made_writable++;
		return USER_OK;
	}
	if (page->kind != MAPPED_ANONYMOUS)
		return copy_on_write(fault);
	step_read(mm->steps, page_field(mm, frame, PAGE_REFCOUNT), 4);
	/* A part of a huge page has the references of the whole. */
	if (!page->exclusive && (head_of(mm, frame)->map_count > 1 || !is_alone(fault, frame)))
		return copy_on_write(fault);
	entry_lock(mm, &fault->entry);
	if (!page->exclusive) {
		step_atomic(mm->steps, page_field(mm, frame, PAGE_FLAGS), 8); /* its lock bit */
		step_write(mm->steps, page_field(mm, frame, PAGE_MAPPING), 8);
		step_atomic(mm->steps, page_field(mm, frame, PAGE_FLAGS), 8);
		page->exclusive = true;
	}
	make_writable(fault);
	mm->counters.faults_reused++;
	return USER_OK;
}

/* ---- the fault ---- */

static enum user_result handle_entry(struct fault *fault)
{
	fault->word = entry_word(&fault->entry);
	if (fault->word & WORD_PRESENT)
		return write_protected(fault);
	if (fault->word & WORD_SWAP)
		return swapped(fault);
	if (fault->area->kind == USER_SHARED)
		return of_shared(fault);
	return user_area_has_file(fault->area->kind) ? of_file(fault) : anonymous(fault);
}

/* handle_mm_fault() */
static enum user_result handle(struct fault *fault)
{
	struct mm *mm = fault->mm;
	enum user_result result;
	unsigned huge = huge_level(mm);
	if (!tables_entry(mm, fault->space, fault->linear, mm->huge_pages ? huge : 0, true, fault->cpu, &fault->entry))
		return no_memory(fault);
	if (mm->huge_pages && fault->entry.level == huge && !fault->entry.table->child[fault->entry.index]) {
		bool is_there = entry_word(&fault->entry) & WORD_PRESENT;
		if (!is_there && huge_fault(mm, fault->space, fault->area, fault->linear, fault->write, fault->cpu, &result))
			return result;
		if (is_there && huge_write(mm, fault->space, &fault->entry, fault->linear, fault->cpu, &result))
			return result;
	}
	if (!tables_entry(mm, fault->space, fault->linear, 0, true, fault->cpu, &fault->entry))
		return no_memory(fault);
	entry_read(mm, &fault->entry);
	return handle_entry(fault);
}

/* do_user_addr_fault() */
static enum user_result page_fault(struct mm *mm, struct space *space, struct area *area, uint64_t linear, enum access_kind kind,
                                   unsigned cpu)
{
	struct fault fault = {.mm = mm,
	                      .space = space,
	                      .area = area,
	                      .linear = linear & ~(uint64_t)(PAGE_SIZE - 1),
	                      .write = kind == ACCESS_STORE,
	                      .cpu = cpu};
	mm->counters.faults++;
	step_irqs(mm->steps, IRQS_EXCEPTION);
	step_run(mm->steps, CODE_FAULT_ENTRY, mm->cost.fault_entry);
	step_run(mm->steps, CODE_FAULT, mm->cost.fault);
	look_up_area(&fault);
	enum user_result result = USER_NO_AREA;
	if (area && user_rights_allow(area->rights, kind))
		result = handle(&fault);
	else
		mm->counters.faults_wrong++;
	if (area && !user_rights_allow(area->rights, kind))
		result = USER_NO_RIGHT;
	unlock_space(mm, space, false);
	return result;
}

/* MODEL: code is read as data is: a program's instructions are few, and the core fetches none. */
void user_access(struct mm *mm, uint64_t linear, uint32_t bytes, enum access_kind kind)
{
	if (kind == ACCESS_STORE)
		step_write(mm->steps, vaddr_of(linear), bytes);
	else
		step_read(mm->steps, vaddr_of(linear), bytes);
}

enum user_result fault_touch(struct mm *mm, struct space *space, uint64_t linear, enum access_kind kind, unsigned cpu)
{
	struct entry entry;
	mm->counters.touched_pages++;
	if (linear >= mm->user_end)
		return page_fault(mm, space, NULL, linear, kind, cpu);
	entry_find(mm, space, linear, &entry);
	if (entry_allows(&entry, kind)) {
		entry_mark_used(&entry, kind);
		return USER_OK;
	}
	/* The processor walks the tables in vain; the access is made once more behind the fault. */
	if (mm->cpu[cpu].loaded == space)
		user_access(mm, linear, 1, kind);
	for (unsigned tries = 0; tries < FAULT_TRIES; tries++) {
		enum user_result result = page_fault(mm, space, area_at(space, linear), linear, kind, cpu);
		if (result != USER_OK)
			return result;
		entry_find(mm, space, linear, &entry);
		if (entry_allows(&entry, kind)) {
			entry_mark_used(&entry, kind);
			return USER_OK;
		}
	}
	return USER_NO_MEMORY;
}
