/* SPDX-License-Identifier: MIT
 *
 * process_pages.c - pages of processes kept by age (interface: process_pages.h).
 *
 * Laws: entries of page tables and shared memory that name slots = what the swap device counts; frames held = those of the lists
 * less those that processes map.
 */
#include "models/page_reclaim/process_pages.h"
#include "models/page_reclaim/page_cache.h"
#include "models/settings.h"

#include <stdlib.h>

/* mm/swapfile.c: SWAPFILE_CLUSTER, with and without huge pages that are swapped whole. */
#define CLUSTER_SLOTS_64BIT 512
#define CLUSTER_SLOTS_32BIT 256

struct process_pages {
	struct page_lru *lru;
	struct user_memory *users;
	struct steps *steps;
	uint64_t anonymous_mapped; /* pages of the lists that the model of processes counts as its own, shared ones too */
	uint64_t entries;          /* of page tables, and of shared memory, that name slots */
	uint32_t *files;           /* owned: of each file its number, and the cache's */
	uint32_t file_count;
};

/* Each call from the processes is at its op's time. */
static struct page_lru *lru_at(struct process_pages *kept, unsigned cpu)
{
	page_lru_op(kept->lru, cpu, kept->steps->now_ns);
	return kept->lru;
}

/* --- answers to the LRU (struct reverse_map) --- */

static uint32_t entries_of(void *context, uint32_t frame)
{
	const struct process_pages *kept = context;
	return kept->users->ops->map_count(kept->users, pfn_of(frame));
}

static uint32_t huge_entries_of(void *context, uint32_t frame, uint32_t *whole)
{
	const struct process_pages *kept = context;
	return kept->users->ops->huge_map_count(kept->users, pfn_of(frame), whole);
}

static void split(void *context, uint32_t frame, unsigned cpu)
{
	struct process_pages *kept = context;
	kept->anonymous_mapped -= kept->users->ops->split_page(kept->users, pfn_of(frame), cpu);
}

static uint32_t referenced(void *context, uint32_t frame, bool *executable, unsigned cpu)
{
	struct process_pages *kept = context;
	return kept->users->ops->referenced(kept->users, pfn_of(frame), executable, cpu);
}

static bool unmap(void *context, uint32_t frame, uint32_t slot, unsigned cpu)
{
	struct process_pages *kept = context;
	bool dirty = false;
	uint32_t entries = kept->users->ops->unmap_page(kept->users, pfn_of(frame), slot, &dirty, cpu);
	bool discarded = page_has(kept->lru, frame, PG_LAZYFREE) && !lru_entries(kept->lru, frame);
	if (entries && (slot != SWAP_SLOT_NONE || discarded))
		kept->anonymous_mapped -= page_frames(page_of(kept->lru, frame));
	return dirty;
}

static void flush(void *context, bool only_dirty, unsigned cpu)
{
	const struct process_pages *kept = context;
	kept->users->ops->flush_unmapped(kept->users, only_dirty, cpu);
}

static void shared_left(void *context, uint32_t frame, uint32_t slot, unsigned cpu)
{
	struct process_pages *kept = context;
	(void)cpu;
	kept->users->ops->shared_left(kept->users, pfn_of(frame), slot);
	kept->anonymous_mapped--;
	if (slot == SWAP_SLOT_NONE)
		return;
	kept->entries++;
	page_swap_duplicate(kept->lru, slot);
}

/* --- pages of processes (struct page_watcher) --- */

static void added(void *context, pfn frame, unsigned order, unsigned cpu)
{
	struct process_pages *kept = context;
	SIM_ASSERT(order == 0 || order == HUGE_PAGE_ORDER);
	kept->anonymous_mapped += 1ull << order;
	page_lru_add(lru_at(kept, cpu), cpu, frame.nr, order ? PG_HUGE : 0);
}

/* Comes from within reclaim, too. */
static void parts_unmapped(void *context, pfn frame)
{
	page_lru_split_later(((struct process_pages *)context)->lru, frame.nr);
}

static bool removed(void *context, pfn frame, unsigned order, unsigned cpu)
{
	struct process_pages *kept = context;
	if (!page_has(kept->lru, frame.nr, PG_KNOWN))
		return false;
	kept->anonymous_mapped -= 1ull << order;
	return page_lru_forget(lru_at(kept, cpu), cpu, frame.nr);
}

static void swap_taken(void *context, uint64_t entry)
{
	struct process_pages *kept = context;
	kept->entries++;
	page_swap_duplicate(kept->lru, (uint32_t)entry);
}

static void swap_given(void *context, uint64_t entry, unsigned cpu)
{
	struct process_pages *kept = context;
	kept->entries--;
	page_swap_entry_gone(lru_at(kept, cpu), cpu, (uint32_t)entry);
}

static uint32_t slot_of(void *context, uint64_t page)
{
	const struct user_swap_fault *fault = context;
	return (uint32_t)fault->entry_of(fault->space, page);
}

static pfn swap_in(void *context, const struct user_swap_fault *asked, unsigned cpu, bool *alone)
{
	struct process_pages *kept = context;
	struct page_lru *lru = lru_at(kept, cpu);
	const struct swap_fault fault = {.page = asked->page,
	                                 .first_page = asked->first_page,
	                                 .end_page = asked->end_page,
	                                 .read_ahead = asked->read_ahead,
	                                 .slot_of = slot_of,
	                                 .context = (void *)(uintptr_t)asked,
	                                 .flags = GFP_HIGHUSER_MOVABLE,
	                                 .retries = asked->waits != NULL};
	uint32_t frame;
	enum swap_in_result result = page_swap_in(lru, cpu, (uint32_t)asked->entry, &fault, &frame);
	if (asked->waits)
		*asked->waits = result == SWAP_IN_RETRY;
	if (result == SWAP_IN_NO_MEMORY || result == SWAP_IN_RETRY)
		return PFN_NONE;
	kept->entries--;
	uint32_t head = page_head(lru, frame);
	kept->anonymous_mapped += lru_entries(lru, head) ? 0 : page_frames(page_of(lru, head));
	*alone = page_swapped_in(lru, cpu, (uint32_t)asked->entry, frame, asked->write);
	return pfn_of(frame);
}

static bool alone(void *context, pfn frame, unsigned cpu)
{
	struct process_pages *kept = context;
	uint32_t head = page_head(kept->lru, frame.nr);
	if (!page_has(kept->lru, head, PG_SWAPCACHE))
		return true;
	/* The swap cache holds each frame of a huge page. */
	return !page_has(kept->lru, head, PG_HUGE) && lru_free_swap(kept->lru, cpu, head);
}

static bool may_forget(void *context, pfn frame, uint32_t entries, unsigned cpu)
{
	struct process_pages *kept = context;
	struct user_page *page = page_of(kept->lru, frame.nr);
	if (!(page->marks & (PG_SWAPCACHE | PG_DIRTY)))
		return true;
	if (entries != 1 || (page->marks & PG_SWAPCACHE && !lru_free_swap(kept->lru, cpu, frame.nr)))
		return false;
	page->marks &= (uint16_t)~PG_DIRTY;
	return true;
}

static void lazyfree(void *context, pfn frame, unsigned cpu)
{
	page_lru_lazyfree(lru_at(context, cpu), cpu, frame.nr);
}

static bool take_apart(void *context, pfn first, unsigned cpu)
{
	return lru_split(lru_at(context, cpu), cpu, first.nr);
}

/* A part of a huge page is where the whole is. */
static unsigned state(const void *context, pfn frame)
{
	const struct process_pages *kept = context;
	const struct user_page *page = page_of(kept->lru, page_head(kept->lru, frame.nr));
	if (!(page->marks & PG_KNOWN))
		return WATCHED_LISTED;
	return (page->marks & PG_HUGE ? WATCHED_HUGE : 0u) | (page->marks & PG_LRU ? WATCHED_LISTED : 0u) |
	       (page->pins ? WATCHED_PINNED : 0u) | (page->marks & PG_REFERENCED ? WATCHED_REFERENCED : 0u);
}

static void drain(void *context, unsigned cpu, bool all)
{
	struct page_lru *lru = lru_at(context, cpu);
	for (unsigned each = 0; each < lru->spec.cpus; each++)
		if (all || each == cpu)
			page_lru_drain(lru, each);
}

static void shared_added(void *context, pfn frame, unsigned cpu)
{
	struct process_pages *kept = context;
	kept->anonymous_mapped++;
	page_lru_add(lru_at(kept, cpu), cpu, frame.nr, PG_SHMEM);
}

static void shared_used(void *context, pfn frame, bool accessed, bool dirty, unsigned cpu)
{
	struct process_pages *kept = context;
	struct page_lru *lru = lru_at(kept, cpu);
	if (dirty)
		lru->frames[frame.nr].marks |= PG_DIRTY;
	if (accessed)
		page_lru_mark_accessed(lru, cpu, frame.nr);
}

static pfn shared_in(void *context, uint64_t entry, unsigned cpu)
{
	struct process_pages *kept = context;
	uint32_t frame = page_shared_in(lru_at(kept, cpu), cpu, (uint32_t)entry, GFP_HIGHUSER_MOVABLE);
	if (frame == PAGE_NONE)
		return PFN_NONE;
	kept->entries--;
	kept->anonymous_mapped++;
	return pfn_of(frame);
}

static bool moved(void *context, pfn from, pfn to)
{
	struct process_pages *kept = context;
	if (!page_has(kept->lru, from.nr, PG_KNOWN))
		return false;
	page_lru_move(kept->lru, 0, from.nr, to.nr);
	return true;
}

static uint64_t pages_held(void *context)
{
	const struct process_pages *kept = context;
	return kept->lru->counters.nr_lru_pages - kept->anonymous_mapped;
}

static void check(const void *context)
{
	const struct process_pages *kept = context;
	uint64_t entries = 0;
	page_lru_check(kept->lru);
	for (uint32_t slot = 1; slot < kept->lru->swap.slots; slot++)
		entries += swap_entries(&kept->lru->swap, slot);
	SIM_ASSERT(entries == kept->entries && kept->anonymous_mapped <= kept->lru->counters.nr_lru_pages);
}

/* --- files (struct file_pages) --- */

/* The cache's number of a file; it is made when an area first shows it. */
static void shown(void *context, uint32_t file, uint64_t pages)
{
	struct process_pages *kept = context;
	uint32_t most = pages < CACHED_FILE_PAGES_MAX ? (uint32_t)pages : CACHED_FILE_PAGES_MAX;
	uint32_t nr = 0;
	while (nr < kept->file_count && kept->files[2 * nr] != file)
		nr++;
	if (nr < kept->file_count) {
		page_cache_grow_file(kept->lru->cache, kept->files[2 * nr + 1], most);
		return;
	}
	kept->files = xrealloc(kept->files, 2 * (kept->file_count + 1) * sizeof *kept->files);
	kept->files[2 * nr] = file;
	kept->files[2 * nr + 1] = page_cache_add_file(kept->lru->cache, most);
	kept->file_count++;
}

static uint32_t number_in_cache(const struct process_pages *kept, uint32_t file)
{
	for (uint32_t nr = 0; nr < kept->file_count; nr++)
		if (kept->files[2 * nr] == file)
			return kept->files[2 * nr + 1];
	SIM_UNREACHABLE("a file that no area shows");
}

/* The frame is pinned until put(). Beyond what the cache holds of a file there is no page: as if there were no memory. */
static pfn fault_in(struct process_pages *kept, uint32_t file, uint64_t index, enum file_advice advice, unsigned cpu, bool *again)
{
	uint32_t frame;
	if (index >= CACHED_FILE_PAGES_MAX)
		return PFN_NONE;
	struct page_cache *cache = lru_at(kept, cpu)->cache;
	enum file_fault_result result =
	        page_cache_fault(cache, cpu, number_in_cache(kept, file), (uint32_t)index, advice, &frame);
	*again = result != FILE_FAULT_MINOR;
	return result <= FILE_FAULT_MAJOR ? pfn_of(frame) : PFN_NONE;
}

static pfn find(void *context, uint32_t file, uint64_t index, enum file_advice advice, unsigned cpu, bool *again)
{
	struct process_pages *kept = context;
	if (index >= CACHED_FILE_PAGES_MAX ||
	    page_cache_find(kept->lru->cache, number_in_cache(kept, file), (uint32_t)index) == PAGE_NONE)
		return PFN_NONE;
	return fault_in(kept, file, index, advice, cpu, again);
}

static pfn read_in(void *context, uint32_t file, uint64_t index, enum file_advice advice, unsigned cpu, bool *again)
{
	return fault_in(context, file, index, advice, cpu, again);
}

static pfn next(void *context, uint32_t file, uint64_t *index, uint64_t last, unsigned cpu)
{
	struct process_pages *kept = context;
	if (*index >= CACHED_FILE_PAGES_MAX)
		return PFN_NONE;
	uint32_t at = (uint32_t)*index, end = last < CACHED_FILE_PAGES_MAX ? (uint32_t)last : CACHED_FILE_PAGES_MAX;
	uint32_t frame = page_cache_next(lru_at(kept, cpu)->cache, cpu, number_in_cache(kept, file), &at, end);
	*index = at;
	return frame == PAGE_NONE ? PFN_NONE : pfn_of(frame);
}

static void put(void *context, pfn frame, unsigned cpu)
{
	page_lru_unpin(((struct process_pages *)context)->lru, cpu, frame.nr);
}

static void used(void *context, pfn frame, bool accessed, bool dirty, unsigned cpu)
{
	struct process_pages *kept = context;
	struct page_lru *lru = lru_at(kept, cpu);
	if (dirty)
		page_cache_set_dirty(lru->cache, cpu, frame.nr);
	if (accessed)
		page_lru_mark_accessed(lru, cpu, frame.nr);
}

/* --- making --- */

static struct lru_spec spec_of(const struct settings *settings)
{
	const struct device_settings *swap = &settings->swap.device, *disk = &settings->disk;
	bool is_64bit = settings->machine.architecture != ARCHITECTURE_X86_32;
	uint64_t slots = settings->swap.bytes / PAGE_SIZE;
	return (struct lru_spec){
	        .swap = {.slots = (uint32_t)slots,
	                 .cluster_slots = is_64bit ? CLUSTER_SLOTS_64BIT : CLUSTER_SLOTS_32BIT,
	                 .seed = settings->seed},
	        .swap_device = {swap->read_latency_ns, swap->write_latency_ns, swap->bandwidth, (uint32_t)swap->queue},
	        .disk = {disk->read_latency_ns, disk->write_latency_ns, disk->bandwidth, (uint32_t)disk->queue},
	        .swap_synchronous = settings->swap.synchronous,
	        .page_cluster = settings->kernel.page_cluster,
	        .swappiness = settings->kernel.swappiness,
	        .read_ahead_pages = (uint32_t)(settings->kernel.read_ahead_bytes / PAGE_SIZE),
	        .pageout_ns = settings->kernel.pageout_ns,
	        .dirty_background_ratio = settings->kernel.dirty_background_ratio,
	        .dirty_ratio = settings->kernel.dirty_ratio,
	        .cost = settings->cost,
	        .cpus = settings->machine.cpus,
	};
}

struct process_pages *process_pages_create(const struct settings *settings, struct page_allocator *pages, struct layout *layout,
                                           struct steps *steps, struct user_memory *users)
{
	struct process_pages *kept = xcalloc(1, sizeof *kept);
	const struct reverse_map rmap = {.entries = entries_of,
	                                 .huge_entries = huge_entries_of,
	                                 .split = split,
	                                 .referenced = referenced,
	                                 .unmap = unmap,
	                                 .flush = flush,
	                                 .shared_left = shared_left,
	                                 .context = kept};
	kept->users = users;
	kept->steps = steps;
	kept->lru = page_lru_create(
	        &(struct lru_wiring){.spec = spec_of(settings), .pages = pages, .steps = steps, .layout = layout, .rmap = &rmap});
	users->watcher = (struct page_watcher){.added = added,
	                                       .parts_unmapped = parts_unmapped,
	                                       .removed = removed,
	                                       .swap_in = swap_in,
	                                       .alone = alone,
	                                       .swap_taken = swap_taken,
	                                       .swap_given = swap_given,
	                                       .may_forget = may_forget,
	                                       .lazyfree = lazyfree,
	                                       .split = take_apart,
	                                       .state = state,
	                                       .drain = drain,
	                                       .shared_added = shared_added,
	                                       .shared_used = shared_used,
	                                       .shared_in = shared_in,
	                                       .moved = moved,
	                                       .pages_held = pages_held,
	                                       .check = check,
	                                       .swap_pages = swap_total_slots(&kept->lru->swap),
	                                       .context = kept};
	users->files = (struct file_pages){
	        .find = find, .read = read_in, .next = next, .put = put, .shown = shown, .used = used, .context = kept};
	return kept;
}

void process_pages_destroy(struct process_pages *kept)
{
	if (!kept)
		return;
	for (unsigned cpu = 0; cpu < kept->lru->spec.cpus; cpu++)
		page_lru_drain(kept->lru, cpu);
	page_lru_destroy(kept->lru);
	free(kept->files);
	free(kept);
}

struct page_lru *process_pages_lru(struct process_pages *kept)
{
	return kept->lru;
}

const void *process_pages_counters(const struct process_pages *kept)
{
	return page_lru_counters(kept->lru);
}
