/* SPDX-License-Identifier: MIT
 *
 * reclaim.c - takes pages off the ends of the lists: how much of which list, second chances, writing out, freeing.
 *
 * Algorithm: a pass at priority p looks at 1/2^p of each list, anonymous memory and files weighed by swappiness and by what each
 * cost lately, 32 pages at a time. A page of an inactive list that was used since is spared or made active; else it is unmapped
 * and, if it is clean, freed, a shadow in its place. If it is dirty, its write begins and it stays, marked: when the write has
 * ended it is at the end of the list, and goes at its next look. One that is found under writeback is marked for that, too, and
 * made active to be out of the way meanwhile. Pages of an active list become inactive, used or not (but for executable ones of
 * files that were), while that list is larger than its share. A huge page goes as a whole, to a free cluster of the swap
 * device; where there is none, or no entry maps it as a whole, it is taken apart, and its frames are looked at one by one.
 * Source: mm/vmscan.c of Linux 6.1: prepare_scan_count, get_scan_count, inactive_is_low, shrink_lruvec, shrink_list,
 * isolate_lru_folios, shrink_inactive_list, shrink_folio_list, folio_check_references, pageout, __remove_mapping,
 * move_folios_to_lru, shrink_active_list, shrink_node, reclaim_throttle, skip_throttle_noprogress, kswapd_age_node,
 * snapshot_refaults, zone_reclaimable_pages.
 *
 * Time. Direct reclaim waits, on its CPU, where a device's queue is full and where reclaim_throttle() says so; a page it writes
 * takes it lru_spec.pageout_ns besides. kswapd makes nobody wait: it sleeps (lruvec.kswapd_ns) where it would wait, behind the 32
 * pages it is at, and goes on in a later turn.
 *
 * MODEL: nobody is throttled by too_many_isolated(), as decisions of CPUs do not overlap. MODEL: kswapd that wakes up begins a
 * new pass at the priority it was at, where a kernel's goes on in the old one, and its work takes no time on the clock of
 * devices. MODEL: a device that answers while the caller waits (swap_synchronous) writes a page by itself. MODEL: what is dirty
 * or under writeback is compared with what all nodes together could give (skip_throttle_noprogress() looks at one). MODEL: a
 * huge page is one request of the device, which a kernel's block layer cuts in pieces (max_sectors_kb), and takes its writer no
 * longer than a small one does.
 */
#include "models/kernel_code.h"
#include "models/page_reclaim/page_cache.h"
#include "models/page_reclaim/page_lru.h"

/* CONFIG_HZ=250 of Debian's kernel: a jiffy. reclaim_throttle(): HZ/10. */
#define JIFFY_NS 4000000ull
#define WRITEBACK_TIMEOUT_NS (25 * JIFFY_NS)

/* folio_check_references() */
enum verdict { VERDICT_RECLAIM, VERDICT_RECLAIM_CLEAN, VERDICT_KEEP, VERDICT_ACTIVATE };

/* What was met (struct reclaim_stat): dirty, unqueued_dirty and congested of files, the others of all pages. */
struct met {
	uint64_t taken, file_taken;
	uint64_t dirty, unqueued_dirty, congested, writeback, immediate;
};

/* As many pages as the last of a batch may be, a huge one, and as it may become. */
#define ISOLATED_MAX (SWAP_CLUSTER_MAX + HUGE_PAGE_FRAMES)

/*
 * Pages taken off a list, oldest first, and those of them to be freed; a huge page is one of `count` until it is taken apart, its
 * other frames are behind all then. `pages`, `reclaimed`: counted by frames.
 */
struct isolated {
	uint32_t frames[ISOLATED_MAX], freed[ISOLATED_MAX];
	uint32_t count, freed_count, kept;
	uint64_t pages, reclaimed, scanned, paged_out;
	struct met met;
};

/* A pass of a node (struct scan_control). */
struct pass {
	struct page_lru *lru;
	const struct reclaim_request *request;
	struct lruvec *lists;
	bool deactivate[PAGE_KINDS];
	bool cache_trim_mode, file_is_tiny;
	uint64_t anon_cost, file_cost;
	uint64_t scanned, reclaimed;
	struct met met;
	bool skipped_deactivate;
};

static uint64_t integer_square_root(uint64_t of)
{
	uint64_t root = 0;
	while ((root + 1) * (root + 1) <= of)
		root++;
	return root;
}

/* --- who waits --- */

static bool kswapd_sleeps(void *context, unsigned node, unsigned cpu)
{
	const struct page_lru *lru = context;
	return lru->nodes[node].kswapd_ns > page_lru_now(lru, cpu);
}

/* kswapd lies down, or the CPU of a direct reclaim waits. */
static void sleep_until(struct pass *pass, uint64_t ns)
{
	struct page_lru *lru = pass->lru;
	if (!pass->request->kswapd)
		page_lru_wait_until(lru, pass->request->cpu, ns);
	else if (ns > page_lru_now(lru, pass->request->cpu) && ns > pass->lists->kswapd_ns)
		pass->lists->kswapd_ns = ns;
}

static bool must_stop(const struct pass *pass)
{
	return pass->request->kswapd && kswapd_sleeps(pass->lru, pass->request->node, pass->request->cpu);
}

/* reclaim_throttle() of direct reclaim that gets on badly. Not where most of what there is could be had at once. */
static void throttle_noprogress(struct page_lru *lru, unsigned cpu)
{
	uint64_t reclaimable = 0;
	for (unsigned zone = 0; zone < lru->zone_count; zone++)
		reclaimable += lru->reclaimer.reclaimable(lru, zone);
	if (2 * (page_cache_dirty_pages(lru->cache) + writeback_pages(lru)) <= reclaimable)
		return;
	lru->counters.reclaim_throttled++;
	page_lru_wait_until(lru, cpu, page_lru_now(lru, cpu) + JIFFY_NS);
}

static bool inactive_is_low(const struct lruvec *lists, enum page_kind kind)
{
	enum lru_list list = kind == PAGE_FILE ? LRU_INACTIVE_FILE : LRU_INACTIVE_ANON;
	uint64_t inactive = lists->pages[list], active = lists->pages[list + 1];
	uint64_t gigabytes = (inactive + active) * PAGE_SIZE >> 30;
	uint64_t ratio = gigabytes ? integer_square_root(10 * gigabytes) : 1;
	return inactive * ratio < active;
}

/* --- isolation --- */

/* isolate_lru_folios(): younger pages of zones that do not help come to the head. */
static void isolate(struct pass *pass, enum lru_list list, uint64_t wanted, struct isolated *taken)
{
	struct page_lru *lru = pass->lru;
	uint64_t left = pass->lists->pages[list];
	taken->count = taken->freed_count = taken->kept = 0;
	taken->pages = taken->reclaimed = taken->scanned = taken->paged_out = 0;
	taken->met = (struct met){0};
	SIM_ASSERT(wanted <= SWAP_CLUSTER_MAX);
	lru_lock(lru, pass->request->node);
	while (taken->pages < wanted && left > 0) {
		uint32_t frame = lru_list_last(lru, pass->request->node, list), frames = page_frames(page_of(lru, frame));
		taken->scanned += frames;
		left -= frames;
		if (frame >= pass->request->end_pfn) {
			lru->counters.pgscan_skip += frames;
			lru_list_rotate(lru, frame);
			continue;
		}
		lru_step_try_reference(lru, frame);
		lru_step_flag(lru, frame);
		lru_list_del(lru, frame);
		taken->frames[taken->count++] = frame;
		taken->pages += frames;
	}
	lru_unlock(lru, pass->request->node);
}

/* move_folios_to_lru() of one page, with the lock held. */
static void put_back(struct pass *pass, uint32_t frame)
{
	lru_step_flag(pass->lru, frame);
	lru_step_reference(pass->lru, frame);
	lru_list_add(pass->lru, frame);
	if (page_has(pass->lru, frame, PG_ACTIVE))
		pass->lists->nonresident_age += page_frames(page_of(pass->lru, frame));
}

/* move_folios_to_lru() of all that stays. What is nobody's, as a part that nothing mapped, goes, the youngest first. */
static void put_back_kept(struct pass *pass, const struct isolated *taken)
{
	uint32_t unused[ISOLATED_MAX], count = 0;
	lru_lock(pass->lru, pass->request->node);
	for (uint32_t i = 0; i < taken->kept; i++) {
		step_spend(pass->lru->steps, pass->lru->spec.cost.reclaim_keep);
		if (lru_is_nobodys(pass->lru, taken->frames[i]))
			unused[count++] = taken->frames[i];
		else
			put_back(pass, taken->frames[i]);
	}
	lru_unlock(pass->lru, pass->request->node);
	while (count-- > 0)
		lru_free_frame(pass->lru, pass->request->cpu, unused[count]);
}

/* --- one page --- */

/* folio_referenced() */
static uint32_t referenced(const struct pass *pass, uint32_t frame, bool *executable)
{
	struct page_lru *lru = pass->lru;
	if (!lru_entries(lru, frame))
		return 0;
	step_run(lru->steps, CODE_RECLAIM_REFERENCED, lru->spec.cost.reclaim_referenced);
	return lru->rmap.referenced(lru->rmap.context, frame, executable, pass->request->cpu);
}

static enum verdict check_references(struct pass *pass, uint32_t frame)
{
	struct page_lru *lru = pass->lru;
	struct user_page *page = page_of(lru, frame);
	bool executable = false, was_referenced = page->marks & PG_REFERENCED;
	uint32_t young = referenced(pass, frame, &executable);
	page->marks &= (uint16_t)~PG_REFERENCED;
	if (young) {
		page->marks |= PG_REFERENCED;
		if (was_referenced || young > 1 || (executable && kind_of_page(lru, frame) == PAGE_FILE))
			return VERDICT_ACTIVATE;
		return VERDICT_KEEP;
	}
	return was_referenced && kind_of_page(lru, frame) == PAGE_FILE ? VERDICT_RECLAIM_CLEAN : VERDICT_RECLAIM;
}

static void activate(struct pass *pass, uint32_t frame)
{
	struct page_lru *lru = pass->lru;
	if (swap_is_full(&lru->swap))
		lru_free_swap(lru, pass->request->cpu, frame);
	lru->frames[frame].marks |= PG_ACTIVE;
	lru->counters.pgactivate += page_frames(page_of(lru, frame));
}

/* add_to_swap(). MODEL: the nodes of the swap cache's tree are not allocated. */
static bool add_to_swap(struct pass *pass, uint32_t frame)
{
	struct page_lru *lru = pass->lru;
	bool huge = page_has(lru, frame, PG_HUGE);
	uint32_t slot = huge ? swap_take_cluster(&lru->swap) : swap_take(&lru->swap, pass->request->cpu);
	if (slot == SWAP_SLOT_NONE)
		return false;
	step_run(lru->steps, CODE_SWAP_ADD, lru->spec.cost.swap_add);
	if (huge)
		swap_cache_add_cluster(&lru->swap, slot, frame);
	else
		swap_cache_add(&lru->swap, slot, frame);
	lru->frames[frame].index = slot;
	lru->frames[frame].marks |= PG_SWAPCACHE | PG_DIRTY;
	return true;
}

/* split_folio_to_list(): what comes of it follows behind all others. */
static bool take_apart(struct pass *pass, uint32_t frame, struct isolated *taken)
{
	if (!lru_split(pass->lru, pass->request->cpu, frame))
		return false;
	for (uint32_t part = frame + 1; part < frame + HUGE_PAGE_FRAMES; part++)
		taken->frames[taken->count++] = part;
	SIM_ASSERT(taken->count <= ISOLATED_MAX);
	return true;
}

/*
 * A slot for an anonymous page. A huge one that no entry maps as a whole is taken apart first, as some of its frames may be
 * nobody's; another one only where there is no cluster for it.
 */
static bool find_slot(struct pass *pass, uint32_t frame, struct isolated *taken)
{
	struct page_lru *lru = pass->lru;
	uint32_t whole = 0;
	if (page_has(lru, frame, PG_HUGE)) {
		lru->rmap.huge_entries(lru->rmap.context, frame, &whole);
		/* can_split_folio() */
		if (lru->frames[frame].pins || (!whole && !take_apart(pass, frame, taken)))
			return false;
	}
	if (add_to_swap(pass, frame))
		return true;
	if (!page_has(lru, frame, PG_HUGE) || !take_apart(pass, frame, taken))
		return false;
	lru->counters.thp_swpout_fallback++;
	return add_to_swap(pass, frame);
}

static void unmap(struct pass *pass, uint32_t frame)
{
	struct page_lru *lru = pass->lru;
	struct user_page *page = page_of(lru, frame);
	if (!lru_entries(lru, frame))
		return;
	uint32_t slot = page->marks & PG_SWAPCACHE ? page->index : SWAP_SLOT_NONE;
	step_run(lru->steps, CODE_RECLAIM_UNMAP, lru->spec.cost.reclaim_unmap);
	bool found = lru->rmap.unmap(lru->rmap.context, frame, slot, pass->request->cpu);
	if (!found)
		return;
	if (page->marks & PG_FILE)
		page_cache_found_dirty(lru->cache, pass->request->cpu, frame);
	else
		page->marks |= PG_DIRTY;
}

/*
 * Contents that may go do, unless an entry was written since, or somebody holds the page: then it is anonymous memory like other
 * again (try_to_unmap_one(): "MADV_FREE page check"). False: that.
 */
static bool discard(struct pass *pass, uint32_t frame)
{
	struct page_lru *lru = pass->lru;
	struct user_page *page = page_of(lru, frame);
	if (!page->pins && lru_entries(lru, frame) &&
	    lru->rmap.unmap(lru->rmap.context, frame, SWAP_SLOT_NONE, pass->request->cpu))
		page->marks |= PG_DIRTY;
	if (!page->pins && !lru_entries(lru, frame)) {
		lru->counters.pglazyfreed += page_frames(page);
		return true;
	}
	page->marks &= (uint16_t)~PG_LAZYFREE;
	return false;
}

/* shmem_writepage(): the page leaves shared memory for the swap cache. */
static bool move_to_swap(struct pass *pass, uint32_t frame)
{
	struct page_lru *lru = pass->lru;
	if (!add_to_swap(pass, frame))
		return false;
	lru->frames[frame].marks &= (uint16_t)~PG_SHMEM;
	lru->rmap.shared_left(lru->rmap.context, frame, lru->frames[frame].index, pass->request->cpu);
	return true;
}

/* __swap_writepage(). Returns the time until when the writer is busy with it. */
static uint64_t write_to_swap(struct page_lru *lru, unsigned cpu, uint32_t frame)
{
	uint32_t frames = page_frames(page_of(lru, frame));
	struct block_answer answer = block_device_write(&lru->swap_device, page_lru_now(lru, cpu), frames * PAGE_SIZE);
	lru->frames[frame].marks &= (uint16_t)~PG_DIRTY;
	lru->counters.pswpout += frames;
	lru->counters.thp_swpout += frames > 1;
	if (lru->spec.swap_synchronous) {
		lru->counters.nr_written += frames;
		return answer.done_ns;
	}
	lru->frames[frame].marks |= PG_READAHEAD;
	writeback_start(lru, WRITE_SWAP, frame, answer.done_ns);
	return answer.taken_ns;
}

/* pageout(). False: the page is under writeback, or nobody's any more (swap_writepage() tries that first). */
static bool page_out(struct pass *pass, uint32_t frame, struct isolated *taken)
{
	struct page_lru *lru = pass->lru;
	unsigned cpu = pass->request->cpu;
	uint64_t busy_ns;
	lru->counters.nr_vmscan_write += page_frames(page_of(lru, frame));
	taken->paged_out += page_frames(page_of(lru, frame));
	if (lru_free_swap(lru, cpu, frame))
		return false;
	step_run(lru->steps, CODE_PAGEOUT, lru->spec.cost.pageout);
	if (page_has(lru, frame, PG_FILE) || !lru->spec.swap_synchronous)
		step_run(lru->steps, CODE_BLOCK_REQUEST, lru->spec.cost.block_request);
	if (page_has(lru, frame, PG_FILE)) {
		busy_ns = page_cache_write(lru->cache, cpu, frame);
		lru->frames[frame].marks |= PG_READAHEAD;
	} else {
		busy_ns = write_to_swap(lru, cpu, frame);
	}
	bool is_clean = !page_has(lru, frame, PG_WRITEBACK);
	sleep_until(pass, busy_ns);
	if (!pass->request->kswapd)
		page_lru_work(lru, cpu, lru->spec.pageout_ns);
	return is_clean;
}

/* Whether a dirty page is clean now; if not, *verdict says what becomes of it. */
static bool clean(struct pass *pass, uint32_t frame, struct isolated *taken, enum verdict *verdict)
{
	struct page_lru *lru = pass->lru;
	struct user_page *page = page_of(lru, frame);
	const struct reclaim_request *request = pass->request;
	if (!(page->marks & PG_DIRTY))
		return true;
	if (page->marks & PG_FILE && (!request->kswapd || !(page->marks & PG_READAHEAD) || !pass->lists->dirty)) {
		page->marks |= PG_READAHEAD;
		lru->counters.nr_vmscan_immediate_reclaim++;
		*verdict = VERDICT_ACTIVATE;
		return false;
	}
	bool may_enter_fs = request->flags & __GFP_FS || (page->marks & PG_SWAPCACHE && request->flags & __GFP_IO);
	if (*verdict == VERDICT_RECLAIM_CLEAN || !may_enter_fs || !request->may_writepage || page->pins) {
		*verdict = VERDICT_KEEP;
		return false;
	}
	lru->rmap.flush(lru->rmap.context, true, request->cpu);
	if (page->marks & PG_SHMEM && !move_to_swap(pass, frame)) {
		*verdict = VERDICT_ACTIVATE;
		return false;
	}
	if (page_out(pass, frame, taken))
		return true;
	*verdict = VERDICT_KEEP;
	return false;
}

/* __remove_mapping() */
static void remove_mapping(struct pass *pass, uint32_t frame)
{
	struct page_lru *lru = pass->lru;
	struct user_page *page = page_of(lru, frame);
	page_shadow shadow = lru_evict(lru, frame);
	lru_step_try_reference(lru, frame);
	if (page->marks & PG_SWAPCACHE) {
		if (page->marks & PG_HUGE)
			swap_cache_remove_cluster(&lru->swap, pass->request->cpu, page->index, shadow);
		else
			swap_cache_remove(&lru->swap, pass->request->cpu, page->index, shadow);
		page->marks &= (uint16_t)~PG_SWAPCACHE;
	} else if (page->marks & PG_SHMEM) {
		lru->rmap.shared_left(lru->rmap.context, frame, SWAP_SLOT_NONE, pass->request->cpu);
	} else {
		page_cache_evict(lru->cache, page->file, page->index, shadow);
	}
}

/* folio_check_dirty_writeback(), and what follows of it: pages that are not of files are nobody's but reclaim's to write. */
static void meet(struct met *met, const struct user_page *page)
{
	bool dirty = page->marks & PG_DIRTY, writeback = page->marks & PG_WRITEBACK;
	if (!(page->marks & PG_FILE))
		return;
	met->dirty += dirty || writeback;
	met->unqueued_dirty += dirty && !writeback;
	met->congested += writeback && page->marks & PG_READAHEAD;
}

/* A page whose write has not ended yet: out of the way, until it has. */
static enum verdict meet_writeback(const struct pass *pass, struct user_page *page, struct met *met)
{
	if (pass->request->kswapd && page->marks & PG_READAHEAD && pass->lists->writeback) {
		met->immediate += page_frames(page);
		return VERDICT_ACTIVATE;
	}
	page->marks |= PG_READAHEAD;
	met->writeback += page_frames(page);
	return VERDICT_ACTIVATE;
}

/* A page of shrink_folio_list(). RECLAIM: it is free to go. */
static enum verdict shrink_page(struct pass *pass, uint32_t frame, struct isolated *taken)
{
	struct page_lru *lru = pass->lru;
	struct user_page *page = page_of(lru, frame);
	if (page->ready_ns > page_lru_now(lru, pass->request->cpu))
		return VERDICT_KEEP; /* locked, while it is being read */
	meet(&taken->met, page);
	if (page->marks & PG_WRITEBACK)
		return meet_writeback(pass, page, &taken->met);
	enum verdict verdict = check_references(pass, frame);
	if (verdict >= VERDICT_KEEP)
		return verdict;
	if (page->marks & PG_LAZYFREE)
		return discard(pass, frame) ? VERDICT_RECLAIM : VERDICT_ACTIVATE;
	if (!(page->marks & (PG_FILE | PG_SHMEM | PG_SWAPCACHE))) {
		if (!(pass->request->flags & __GFP_IO))
			return VERDICT_KEEP;
		if (!find_slot(pass, frame, taken))
			return VERDICT_ACTIVATE;
	}
	unmap(pass, frame);
	if (!clean(pass, frame, taken, &verdict))
		return verdict;
	if (page->pins)
		return VERDICT_KEEP;
	remove_mapping(pass, frame);
	return VERDICT_RECLAIM;
}

static void free_page(struct pass *pass, uint32_t frame)
{
	step_run(pass->lru->steps, CODE_RECLAIM_FREE, pass->lru->spec.cost.reclaim_free);
	lru_free_frame(pass->lru, pass->request->cpu, frame);
}

/* A huge page goes at once, others behind the flush of all. */
static void free_reclaimed(struct pass *pass, uint32_t frame, struct isolated *taken)
{
	struct page_lru *lru = pass->lru;
	if (!page_has(lru, frame, PG_HUGE)) {
		taken->freed[taken->freed_count++] = frame;
		return;
	}
	lru->rmap.flush(lru->rmap.context, false, pass->request->cpu);
	free_page(pass, frame);
}

static void shrink_pages(struct pass *pass, struct isolated *taken)
{
	for (uint32_t i = 0; i < taken->count; i++) {
		uint32_t frame = taken->frames[i];
		step_spend(pass->lru->steps, pass->lru->spec.cost.reclaim_page);
		/* folio_trylock(), folio_unlock() */
		lru_step_flag(pass->lru, frame);
		enum verdict verdict = shrink_page(pass, frame, taken);
		lru_step_flag(pass->lru, frame);
		if (verdict <= VERDICT_RECLAIM_CLEAN) {
			taken->reclaimed += page_frames(page_of(pass->lru, frame));
			free_reclaimed(pass, frame, taken);
			continue;
		}
		if (verdict == VERDICT_ACTIVATE)
			activate(pass, frame);
		taken->frames[taken->kept++] = frame;
	}
	/* Out of the TLBs before anybody else may have the frames; the youngest goes first. */
	pass->lru->rmap.flush(pass->lru->rmap.context, false, pass->request->cpu);
	for (uint32_t i = taken->freed_count; i-- > 0;)
		free_page(pass, taken->freed[i]);
}

/* --- lists --- */

static void add_met(struct met *sum, const struct met *met)
{
	sum->taken += met->taken;
	sum->file_taken += met->file_taken;
	sum->dirty += met->dirty;
	sum->unqueued_dirty += met->unqueued_dirty;
	sum->congested += met->congested;
	sum->writeback += met->writeback;
	sum->immediate += met->immediate;
}

static uint64_t shrink_inactive_list(struct pass *pass, enum lru_list list, uint64_t wanted)
{
	struct page_lru *lru = pass->lru;
	struct isolated taken;
	bool file = list >= LRU_INACTIVE_FILE;
	page_lru_drain(lru, pass->request->cpu);
	isolate(pass, list, wanted, &taken);
	*(file ? &lru->counters.pgscan_file : &lru->counters.pgscan_anon) += taken.scanned;
	pass->scanned += taken.pages;
	if (pass->request->kswapd)
		pass->request->result->scanned_kswapd += taken.scanned;
	else
		pass->request->result->scanned_direct += taken.scanned;
	if (!taken.count)
		return 0;
	step_run(lru->steps, CODE_RECLAIM_BATCH, lru->spec.cost.reclaim_batch);
	shrink_pages(pass, &taken);
	put_back_kept(pass, &taken);
	*(file ? &lru->counters.pgsteal_file : &lru->counters.pgsteal_anon) += taken.reclaimed;
	lru_note_cost(lru, pass->request->node, file ? PAGE_FILE : PAGE_ANON, taken.paged_out);
	page_cache_balance(lru->cache, pass->request->cpu, false);
	if (taken.met.unqueued_dirty == taken.pages)
		page_cache_wake_flusher(lru->cache, pass->request->cpu);
	taken.met.taken = taken.pages;
	taken.met.file_taken = file ? taken.pages : 0;
	add_met(&pass->met, &taken.met);
	return taken.reclaimed;
}

static void shrink_active_list(struct pass *pass, enum lru_list list, uint64_t wanted)
{
	struct page_lru *lru = pass->lru;
	struct isolated taken;
	page_lru_drain(lru, pass->request->cpu);
	isolate(pass, list, wanted, &taken);
	lru->counters.pgrefill += taken.scanned;
	step_run(lru->steps, CODE_DEACTIVATE, lru->spec.cost.deactivate_page * taken.count);
	uint32_t rotated[SWAP_CLUSTER_MAX], rotated_count = 0;
	uint64_t deactivated = 0;
	for (uint32_t i = 0; i < taken.count; i++) {
		uint32_t frame = taken.frames[i];
		bool executable = false;
		if (referenced(pass, frame, &executable) && executable && kind_of_page(lru, frame) == PAGE_FILE) {
			rotated[rotated_count++] = frame;
			continue;
		}
		lru->frames[frame].marks = (uint16_t)((lru->frames[frame].marks & ~PG_ACTIVE) | PG_WORKINGSET);
		taken.frames[taken.kept++] = frame;
		deactivated += page_frames(page_of(lru, frame));
	}
	lru_lock(lru, pass->request->node);
	for (uint32_t i = 0; i < rotated_count; i++)
		put_back(pass, rotated[i]);
	for (uint32_t i = 0; i < taken.kept; i++)
		put_back(pass, taken.frames[i]);
	lru_unlock(lru, pass->request->node);
	lru->counters.pgdeactivate += deactivated;
}

static uint64_t shrink_list(struct pass *pass, enum lru_list list, uint64_t wanted)
{
	bool active = list == LRU_ACTIVE_ANON || list == LRU_ACTIVE_FILE;
	if (!active)
		return shrink_inactive_list(pass, list, wanted);
	if (pass->deactivate[list == LRU_ACTIVE_FILE ? PAGE_FILE : PAGE_ANON])
		shrink_active_list(pass, list, wanted);
	else
		pass->skipped_deactivate = true;
	return 0;
}

/* --- how much of which --- */

static void prepare_scan_count(struct pass *pass)
{
	const struct reclaim_request *request = pass->request;
	const struct lruvec *lists = pass->lists;
	pass->anon_cost = lists->anon_cost;
	pass->file_cost = lists->file_cost;
	for (unsigned kind = 0; kind < PAGE_KINDS; kind++)
		pass->deactivate[kind] = request->force_deactivate || lists->activated[kind] != lists->refaults[kind] ||
		                         inactive_is_low(lists, (enum page_kind)kind);
	pass->cache_trim_mode = lists->pages[LRU_INACTIVE_FILE] >> request->priority && !pass->deactivate[PAGE_FILE];
	uint64_t file = lists->pages[LRU_ACTIVE_FILE] + lists->pages[LRU_INACTIVE_FILE];
	pass->file_is_tiny = file + request->free_pages <= request->high_watermarks && !pass->deactivate[PAGE_ANON] &&
	                     lists->pages[LRU_INACTIVE_ANON] >> request->priority;
}

/* How anonymous memory and files share the pass: fractions of their sum; {1, 1} of 1: each list by its size. */
struct balance {
	uint64_t anon, file, whole;
};

static struct balance balance_of(const struct pass *pass)
{
	const struct reclaim_request *request = pass->request;
	uint64_t swappiness = pass->lru->spec.swappiness;
	if (!request->may_swap || !swap_free_slots(&pass->lru->swap))
		return (struct balance){0, 1, 1};
	if (!request->priority && swappiness)
		return (struct balance){1, 1, 1};
	if (pass->file_is_tiny)
		return (struct balance){1, 0, 1};
	if (pass->cache_trim_mode)
		return (struct balance){0, 1, 1};
	uint64_t total = pass->anon_cost + pass->file_cost;
	uint64_t anon = total + pass->anon_cost, file = total + pass->file_cost;
	total = anon + file;
	struct balance balance = {.anon = swappiness * (total + 1) / (anon + 1),
	                          .file = (200 - swappiness) * (total + 1) / (file + 1)};
	balance.whole = balance.anon + balance.file;
	return balance;
}

static void get_scan_count(const struct pass *pass, uint64_t counts[LRU_LISTS])
{
	const struct reclaim_request *request = pass->request;
	struct balance balance = balance_of(pass);
	for (unsigned list = 0; list < LRU_LISTS; list++) {
		uint64_t size = lru_pages_of_node(pass->lru, request->node, (enum lru_list)list, request->end_pfn);
		uint64_t share = list >= LRU_INACTIVE_FILE ? balance.file : balance.anon;
		counts[list] = (size >> request->priority) * share / balance.whole;
	}
}

/* Enough came free: the kind with less left is done, the other gets as large a part of its target as that had of its own. */
static bool stop_smaller(const uint64_t targets[LRU_LISTS], uint64_t counts[LRU_LISTS])
{
	uint64_t anon = counts[LRU_INACTIVE_ANON] + counts[LRU_ACTIVE_ANON];
	uint64_t file = counts[LRU_INACTIVE_FILE] + counts[LRU_ACTIVE_FILE];
	if (!anon || !file)
		return true;
	unsigned smaller = file > anon ? LRU_INACTIVE_ANON : LRU_INACTIVE_FILE;
	unsigned other = file > anon ? LRU_INACTIVE_FILE : LRU_INACTIVE_ANON;
	uint64_t target = targets[smaller] + targets[smaller + 1] + 1;
	uint64_t percentage = (file > anon ? anon : file) * 100 / target;
	counts[smaller] = counts[smaller + 1] = 0;
	for (unsigned list = other; list <= other + 1; list++) {
		uint64_t scanned = targets[list] - counts[list];
		uint64_t wanted = targets[list] * (100 - percentage) / 100;
		counts[list] = wanted > scanned ? wanted - scanned : 0;
	}
	return false;
}

static bool can_age_anon(const struct pass *pass)
{
	return swap_total_slots(&pass->lru->swap) && inactive_is_low(pass->lists, PAGE_ANON);
}

static void shrink_lruvec(struct pass *pass)
{
	const struct reclaim_request *request = pass->request;
	bool proportional = !request->kswapd && request->priority == DEF_PRIORITY;
	uint64_t counts[LRU_LISTS], targets[LRU_LISTS], reclaimed = 0;
	get_scan_count(pass, counts);
	for (unsigned list = 0; list < LRU_LISTS; list++)
		targets[list] = counts[list];
	while (counts[LRU_INACTIVE_ANON] || counts[LRU_ACTIVE_FILE] || counts[LRU_INACTIVE_FILE]) {
		for (unsigned list = 0; list < LRU_LISTS; list++) {
			uint64_t wanted = counts[list] < SWAP_CLUSTER_MAX ? counts[list] : SWAP_CLUSTER_MAX;
			counts[list] -= wanted;
			if (wanted && !must_stop(pass))
				reclaimed += shrink_list(pass, (enum lru_list)list, wanted);
		}
		if (must_stop(pass))
			break;
		if (reclaimed < request->to_reclaim || proportional)
			continue;
		if (stop_smaller(targets, counts))
			break;
	}
	pass->reclaimed += reclaimed;
	if (!must_stop(pass) && can_age_anon(pass))
		shrink_active_list(pass, LRU_ACTIVE_ANON, SWAP_CLUSTER_MAX);
}

/* --- the port --- */

static struct pass pass_of(struct page_lru *lru, const struct reclaim_request *request)
{
	SIM_ASSERT(request->node < LRU_NODES_MAX && request->priority >= 0 && request->priority <= DEF_PRIORITY);
	return (struct pass){.lru = lru, .request = request, .lists = &lru->nodes[request->node]};
}

/* What kswapd learns of a pass, until the node is balanced. */
static void set_flags(const struct pass *pass)
{
	const struct met *met = &pass->met;
	pass->lists->writeback |= met->writeback && met->writeback == met->taken;
	pass->lists->dirty |= met->unqueued_dirty == met->file_taken;
	pass->lists->congested |= met->dirty && met->dirty == met->congested;
}

/* reclaim_throttle(VMSCAN_THROTTLE_WRITEBACK) of kswapd: until more than 32 writes have ended, or for a tenth of a second. */
static void throttle_writeback(struct pass *pass)
{
	uint64_t timeout_ns = page_lru_now(pass->lru, pass->request->cpu) + WRITEBACK_TIMEOUT_NS;
	uint64_t written_ns = writeback_nth_end(pass->lru, SWAP_CLUSTER_MAX + 1);
	sleep_until(pass, written_ns < timeout_ns ? written_ns : timeout_ns);
}

static void shrink(void *context, const struct reclaim_request *request)
{
	struct page_lru *lru = context;
	struct pass pass = pass_of(lru, request);
	page_lru_catch_up(lru, request->cpu);
	prepare_scan_count(&pass);
	shrink_lruvec(&pass);
	if (!must_stop(&pass))
		lru_shrink_split_queue(lru, request->node, request->priority, request->cpu);
	request->result->unfinished = must_stop(&pass);
	if (request->kswapd)
		set_flags(&pass);
	if (request->kswapd && pass.met.immediate)
		throttle_writeback(&pass);
	if (!request->kswapd && pass.lists->congested && !request->kswapd_failed)
		throttle_noprogress(lru, request->cpu);
	lru->counters.kswapd_sleeps += must_stop(&pass);
	request->result->asleep = must_stop(&pass);
	request->result->scanned += pass.scanned;
	request->result->reclaimed += pass.reclaimed;
	request->result->skipped_deactivate |= pass.skipped_deactivate;
}

static void no_progress(void *context, unsigned cpu)
{
	throttle_noprogress(context, cpu);
}

static void wait_for_kswapd(void *context, unsigned node, unsigned cpu)
{
	struct page_lru *lru = context;
	page_lru_wait_until(lru, cpu, lru->nodes[node].kswapd_ns);
}

/* kswapd_age_node() */
static void age(void *context, const struct reclaim_request *request)
{
	struct pass pass = pass_of(context, request);
	if (can_age_anon(&pass))
		shrink_active_list(&pass, LRU_ACTIVE_ANON, SWAP_CLUSTER_MAX);
}

/* snapshot_refaults(); what was learnt of the node does not hold any more when it is balanced (clear_pgdat_congested). */
static void end(void *context, unsigned node, bool balanced)
{
	struct page_lru *lru = context;
	for (unsigned kind = 0; kind < PAGE_KINDS; kind++)
		lru->nodes[node].refaults[kind] = lru->nodes[node].activated[kind];
	if (balanced)
		lru->nodes[node].dirty = lru->nodes[node].writeback = lru->nodes[node].congested = false;
}

static uint64_t reclaimable(void *context, unsigned zone)
{
	const struct page_lru *lru = context;
	const uint64_t *pages = lru->zones[zone].pages;
	uint64_t sum = pages[LRU_INACTIVE_FILE] + pages[LRU_ACTIVE_FILE];
	if (swap_free_slots(&lru->swap))
		sum += pages[LRU_INACTIVE_ANON] + pages[LRU_ACTIVE_ANON];
	return sum;
}

static uint64_t inactive(void *context, unsigned node)
{
	const struct page_lru *lru = context;
	uint64_t pages = lru->nodes[node].pages[LRU_INACTIVE_FILE];
	return swap_free_slots(&lru->swap) ? pages + lru->nodes[node].pages[LRU_INACTIVE_ANON] : pages;
}

const struct page_reclaimer lru_reclaimer = {.shrink = shrink,
                                             .age = age,
                                             .end = end,
                                             .reclaimable = reclaimable,
                                             .inactive = inactive,
                                             .no_progress = no_progress,
                                             .kswapd_sleeps = kswapd_sleeps,
                                             .wait_for_kswapd = wait_for_kswapd};
