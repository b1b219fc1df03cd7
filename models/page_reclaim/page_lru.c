/* SPDX-License-Identifier: MIT
 *
 * page_lru.c - frames of user memory and of the page cache: lists, batches, marks, refaults (interface, source and laws:
 * page_lru.h).
 *
 * Lists are circular, through the frames' records; a node's list heads stand behind the last frame.
 */
#include "models/page_reclaim/page_lru.h"
#include "models/page_reclaim/page_cache.h"

#include <stdlib.h>

const struct metric lru_metrics[] = {
        METRIC(struct lru_counters, pgscan_anon, "pages", "Anonymous pages that reclaim looked at"),
        METRIC(struct lru_counters, pgscan_file, "pages", "Pages of files that reclaim looked at"),
        METRIC(struct lru_counters, pgsteal_anon, "pages", "Anonymous pages that reclaim freed"),
        METRIC(struct lru_counters, pgsteal_file, "pages", "Pages of files that reclaim freed"),
        METRIC(struct lru_counters, pgscan_skip, "pages", "Pages passed over, as their zone does not help"),
        METRIC(struct lru_counters, pgrefill, "pages", "Pages looked at on active lists"),
        METRIC(struct lru_counters, pgactivate, "pages", "Pages that went to an active list"),
        METRIC(struct lru_counters, pgdeactivate, "pages", "Pages that went from an active to an inactive list"),
        METRIC(struct lru_counters, workingset_refault_anon, "pages", "Evicted anonymous pages that came back"),
        METRIC(struct lru_counters, workingset_refault_file, "pages", "Evicted pages of files that came back"),
        METRIC(struct lru_counters, workingset_activate_anon, "pages",
               "Of the former, those that came back soon enough to be active"),
        METRIC(struct lru_counters, workingset_activate_file, "pages", "Of the latter, likewise"),
        METRIC(struct lru_counters, workingset_restore_anon, "pages",
               "Of these, anonymous ones that had been active when evicted"),
        METRIC(struct lru_counters, workingset_restore_file, "pages", "Of these, those of files"),
        METRIC(struct lru_counters, nr_vmscan_write, "pages", "Pages that reclaim wrote out"),
        METRIC(struct lru_counters, nr_vmscan_immediate_reclaim, "pages",
               "Dirty pages of files that reclaim left to the flusher, to be freed as soon as written"),
        METRIC(struct lru_counters, nr_written, "pages", "Pages whose write has ended"),
        METRIC(struct lru_counters, pgrotated, "pages",
               "Pages that went to the end of their list as reclaim had waited for their write"),
        METRIC(struct lru_counters, reclaim_throttled, "1",
               "Times that direct reclaim slept a jiffy, as half of what it could get was dirty or under writeback"),
        METRIC(struct lru_counters, kswapd_sleeps, "1", "Times that kswapd went to sleep on a device, in the middle of its work"),
        METRIC(struct lru_counters, pswpin, "pages", "Pages read from the swap device"),
        METRIC(struct lru_counters, pswpout, "pages", "Pages written to the swap device"),
        METRIC(struct lru_counters, swap_ra, "pages", "Of those read, those read ahead"),
        METRIC(struct lru_counters, swap_ra_hit, "pages", "Pages read ahead from swap that were then used"),
        METRIC(struct lru_counters, pgpgin, "pages", "Pages of files read from disk"),
        METRIC(struct lru_counters, pgpgout, "pages", "Pages of files written to disk"),
        METRIC(struct lru_counters, pgmajfault, "1", "Faults that had to read"),
        METRIC(struct lru_counters, io_waits, "1", "Times an op slept until a device was done"),
        METRIC(struct lru_counters, io_wait_ns, "ns", "How long, together"),
        METRIC(struct lru_counters, pages_added, "pages", "Frames that became pages of these lists"),
        METRIC(struct lru_counters, pages_freed, "pages", "Frames that left them"),
        METRIC(struct lru_counters, pages_moved, "pages", "Pages that compaction moved to another frame"),
        METRIC(struct lru_counters, pglazyfree, "pages", "Pages that came to an inactive list of files as MADV_FREE named them"),
        METRIC(struct lru_counters, pglazyfreed, "pages", "Of them, those that reclaim freed, with what they held"),
        METRIC(struct lru_counters, thp_swpout, "1", "Pages of 2 MiB that were written to the swap device as a whole"),
        METRIC(struct lru_counters, thp_swpout_fallback, "1",
               "Pages of 2 MiB that were taken apart, as no cluster of slots was free"),
        METRIC(struct lru_counters, thp_split_page, "1", "Pages of 2 MiB that were taken apart"),
        METRIC(struct lru_counters, thp_split_page_failed, "1", "Pages of 2 MiB that could not be"),
        METRIC(struct lru_counters, thp_deferred_split_page, "1",
               "Pages of 2 MiB that came to wait for it, as a part of them was mapped no more"),
        GAUGE(struct lru_counters, nr_inactive_anon, "pages", "On the inactive anonymous lists"),
        GAUGE(struct lru_counters, nr_active_anon, "pages", "On the active anonymous lists"),
        GAUGE(struct lru_counters, nr_inactive_file, "pages", "On the inactive lists of files"),
        GAUGE(struct lru_counters, nr_active_file, "pages", "On the active lists of files"),
        GAUGE(struct lru_counters, nr_lru_pages, "pages", "Pages of user memory and page cache, on lists or in batches"),
        GAUGE(struct lru_counters, nr_swapcached, "pages", "Pages in memory that have a slot of the swap device, too"),
        GAUGE(struct lru_counters, nr_dirty, "pages", "Pages of files that are not written yet"),
        GAUGE(struct lru_counters, nr_writeback, "pages", "Pages on their way to a device"),
        GAUGE(struct lru_counters, swap_slots_used, "pages", "Slots of the swap device in use"),
        GAUGE(struct lru_counters, nr_anon_huge, "1", "Pages of 2 MiB, on lists or off"),
        GAUGE(struct lru_counters, nr_split_queue, "1", "Pages of 2 MiB that wait to be taken apart"),
        METRIC_END};

/* --- making --- */

static void learn_zones(struct page_lru *lru)
{
	lru->zone_count = lru->pages->ops->zones(lru->pages);
	SIM_ASSERT(lru->zone_count <= ZONES_MAX);
	for (unsigned nr = 0; nr < lru->zone_count; nr++) {
		struct zone_view view;
		lru->pages->ops->zone_view(lru->pages, nr, &view);
		SIM_ASSERT(view.node < LRU_NODES_MAX);
		lru->zones[nr].start = (uint32_t)view.start_pfn;
		lru->zones[nr].end = (uint32_t)(view.start_pfn + view.spanned);
		lru->zones[nr].node = view.node;
	}
}

/* The page gives its slot up to a scan for free slots. */
static bool drop_from_swap_cache(void *context, uint32_t frame, unsigned cpu)
{
	struct page_lru *lru = context;
	return lru_free_swap(lru, cpu, page_head(lru, frame));
}

struct page_lru *page_lru_create(const struct lru_wiring *wiring)
{
	struct page_lru *lru = xcalloc(1, sizeof *lru);
	lru->pages = wiring->pages;
	lru->steps = wiring->steps;
	lru->rmap = *wiring->rmap;
	lru->spec = wiring->spec;
	lru->spec.swap.drop = drop_from_swap_cache;
	lru->spec.swap.context = lru;
	lru->spec.swap.cpus = lru->spec.cpus;
	lru->end_pfn = wiring->pages->end_pfn;
	lru->frames = xcalloc((size_t)lru->end_pfn + LRU_NODES_MAX * LRU_HEADS, sizeof *lru->frames);
	for (uint32_t head = lru->end_pfn; head < lru->end_pfn + LRU_NODES_MAX * LRU_HEADS; head++)
		lru->frames[head].next = lru->frames[head].prev = head;
	learn_zones(lru);
	lru_places_init(&lru->places, wiring->layout);
	swap_init(&lru->swap, &lru->spec.swap);
	block_device_init(&lru->swap_device, &lru->spec.swap_device);
	block_device_init(&lru->disk, &lru->spec.disk);
	lru->cache = page_cache_create(lru);
	lru->reclaimer = lru_reclaimer;
	lru->reclaimer.context = lru;
	lru->pages->reclaimer = &lru->reclaimer;
	return lru;
}

bool lru_is_named(const struct page_lru *lru, uint32_t frame)
{
	const struct user_page *page = page_of(lru, frame);
	for (uint32_t i = 0; i < page_frames(page); i++)
		if (swap_entries(&lru->swap, page->index + i))
			return true;
	return false;
}

/* `mapped`: whoever maps pages is there to be asked. */
static void settle(struct page_lru *lru, bool mapped)
{
	writeback_finish(lru, 0);
	for (unsigned cpu = 0; cpu < lru->spec.cpus; cpu++)
		page_lru_drain(lru, cpu);
	for (uint32_t frame = 0; frame < lru->end_pfn; frame++)
		if (page_has(lru, frame, PG_SWAPCACHE) && !lru_is_named(lru, frame) && !(mapped && lru_entries(lru, frame)))
			page_lru_release(lru, 0, frame);
}

void page_lru_settle(struct page_lru *lru)
{
	settle(lru, true);
}

void page_lru_destroy(struct page_lru *lru)
{
	if (!lru)
		return;
	settle(lru, false);
	page_cache_destroy(lru->cache);
	lru->pages->reclaimer = NULL;
	swap_release(&lru->swap);
	writeback_release(lru);
	free(lru->frames);
	free(lru);
}

/* --- clocks --- */

static void set_clock(struct page_lru *lru, unsigned cpu, uint64_t op_ns)
{
	SIM_ASSERT(cpu < lru->spec.cpus);
	if (lru->op_ns[cpu] < op_ns)
		lru->op_ns[cpu] = op_ns;
	writeback_catch_up(lru, cpu);
}

void page_lru_op(struct page_lru *lru, unsigned cpu, uint64_t op_ns)
{
	set_clock(lru, cpu, op_ns);
	page_cache_tick(lru->cache, cpu);
}

void page_lru_catch_up(struct page_lru *lru, unsigned cpu)
{
	set_clock(lru, cpu, lru->steps->now_ns);
}

void page_lru_work(struct page_lru *lru, unsigned cpu, uint64_t ns)
{
	lru->waited_ns[cpu] += ns;
	writeback_catch_up(lru, cpu);
}

uint64_t page_lru_now(const struct page_lru *lru, unsigned cpu)
{
	return lru->op_ns[cpu] + lru->waited_ns[cpu];
}

void page_lru_wait_until(struct page_lru *lru, unsigned cpu, uint64_t ns)
{
	uint64_t now_ns = page_lru_now(lru, cpu);
	if (ns <= now_ns)
		return;
	lru->waited_ns[cpu] += ns - now_ns;
	lru->counters.io_waits++;
	lru->counters.io_wait_ns += ns - now_ns;
	step_sleep(lru->steps, ns - now_ns);
	writeback_catch_up(lru, cpu);
}

/* --- lists --- */

static unsigned zone_of_frame(const struct page_lru *lru, uint32_t frame)
{
	for (unsigned nr = 0; nr < lru->zone_count; nr++)
		if (frame >= lru->zones[nr].start && frame < lru->zones[nr].end)
			return nr;
	SIM_UNREACHABLE("a frame of no zone");
}

/* folio_lru_list() */
static enum lru_list list_of_page(const struct page_lru *lru, uint32_t frame)
{
	unsigned marks = lru->frames[frame].marks;
	enum lru_list list = kind_of_page(lru, frame) == PAGE_FILE ? LRU_INACTIVE_FILE : LRU_INACTIVE_ANON;
	return marks & PG_ACTIVE ? (enum lru_list)(list + 1) : list;
}

static void count_page(struct page_lru *lru, uint32_t frame, bool comes)
{
	enum lru_list list = list_of_page(lru, frame);
	uint64_t *of_zone = &lru->zones[lru->frames[frame].zone].pages[list];
	uint64_t *of_node = &lru->nodes[node_of_page(lru, frame)].pages[list];
	uint64_t frames = page_frames(page_of(lru, frame));
	*of_zone = comes ? *of_zone + frames : *of_zone - frames;
	*of_node = comes ? *of_node + frames : *of_node - frames;
}

void lru_link_after(struct page_lru *lru, uint32_t frame, uint32_t head)
{
	uint32_t next = lru->frames[head].next;
	lru->frames[frame].next = next;
	lru->frames[frame].prev = head;
	lru->frames[next].prev = frame;
	lru->frames[head].next = frame;
}

void lru_unlink(struct page_lru *lru, uint32_t frame)
{
	uint32_t next = lru->frames[frame].next, prev = lru->frames[frame].prev;
	lru->frames[next].prev = prev;
	lru->frames[prev].next = next;
}

void lru_list_add_after(struct page_lru *lru, uint32_t frame, uint32_t place)
{
	SIM_ASSERT(!page_has(lru, frame, PG_LRU));
	lru_step_link(lru, frame, place, lru->frames[place].next);
	lru_link_after(lru, frame, place);
	lru->frames[frame].marks |= PG_LRU;
	count_page(lru, frame, true);
}

void lru_list_add(struct page_lru *lru, uint32_t frame)
{
	lru_list_add_after(lru, frame, lru_list_head(lru, node_of_page(lru, frame), list_of_page(lru, frame)));
}

void lru_list_del(struct page_lru *lru, uint32_t frame)
{
	SIM_ASSERT(page_has(lru, frame, PG_LRU));
	lru_step_unlink(lru, frame);
	lru_unlink(lru, frame);
	count_page(lru, frame, false);
	lru->frames[frame].marks &= (uint16_t)~PG_LRU;
}

uint32_t lru_list_last(const struct page_lru *lru, unsigned node, enum lru_list list)
{
	return lru->frames[lru_list_head(lru, node, list)].prev;
}

/* From wherever it is to the head of its list. */
void lru_list_rotate(struct page_lru *lru, uint32_t frame)
{
	lru_unlink(lru, frame);
	lru_link_after(lru, frame, lru_list_head(lru, node_of_page(lru, frame), list_of_page(lru, frame)));
}

/* lru_move_tail_fn() */
static void move_to_tail(struct page_lru *lru, uint32_t frame)
{
	lru_list_del(lru, frame);
	lru->frames[frame].marks &= (uint16_t)~PG_ACTIVE;
	uint32_t head = lru_list_head(lru, node_of_page(lru, frame), list_of_page(lru, frame));
	lru_list_add_after(lru, frame, lru->frames[head].prev);
}

/* lruvec_lru_size(): those of the node below a frame. */
uint64_t lru_pages_of_node(const struct page_lru *lru, unsigned node, enum lru_list list, uint32_t end_pfn)
{
	uint64_t pages = 0;
	for (unsigned nr = 0; nr < lru->zone_count; nr++)
		if (lru->zones[nr].node == node && lru->zones[nr].end <= end_pfn)
			pages += lru->zones[nr].pages[list];
	return pages;
}

/* --- leaving --- */

bool lru_free_swap(struct page_lru *lru, unsigned cpu, uint32_t frame)
{
	struct user_page *page = page_of(lru, frame);
	if (!(page->marks & PG_SWAPCACHE) || page->marks & PG_WRITEBACK || lru_is_named(lru, frame))
		return false;
	if (page->marks & PG_HUGE)
		swap_cache_remove_cluster(&lru->swap, cpu, page->index, SHADOW_NONE);
	else
		swap_cache_remove(&lru->swap, cpu, page->index, SHADOW_NONE);
	page->marks = (uint16_t)((page->marks & ~PG_SWAPCACHE) | PG_DIRTY);
	return true;
}

static void forget_frame(struct page_lru *lru, uint32_t frame)
{
	struct user_page *page = page_of(lru, frame);
	uint32_t frames = page_frames(page);
	SIM_ASSERT(page->marks & PG_KNOWN && !(page->marks & (PG_LRU | PG_SWAPCACHE | PG_WRITEBACK)) && !page->pins);
	if (page->marks & PG_HUGE) {
		lru_leave_split_queue(lru, frame);
		lru->counters.nr_anon_huge--;
	}
	for (uint32_t i = 0; i < frames; i++)
		page[i] = (struct user_page){0};
	lru->counters.nr_lru_pages -= frames;
	lru->counters.pages_freed += frames;
}

static void give_back(struct page_lru *lru, unsigned cpu, uint32_t frame, unsigned order)
{
	enum page_free_result result = page_free(lru->pages, pfn_of(frame), order, cpu);
	SIM_ASSERT(result == PAGE_FREE_OK);
}

static unsigned order_of_page(const struct page_lru *lru, uint32_t frame)
{
	return page_has(lru, frame, PG_HUGE) ? HUGE_PAGE_ORDER : 0;
}

void lru_free_frame(struct page_lru *lru, unsigned cpu, uint32_t frame)
{
	unsigned order = order_of_page(lru, frame);
	forget_frame(lru, frame);
	give_back(lru, cpu, frame, order);
}

uint32_t lru_entries(const struct page_lru *lru, uint32_t frame)
{
	uint32_t whole;
	return page_has(lru, frame, PG_HUGE) ? lru->rmap.huge_entries(lru->rmap.context, frame, &whole)
	                                     : lru->rmap.entries(lru->rmap.context, frame);
}

bool lru_is_nobodys(const struct page_lru *lru, uint32_t frame)
{
	const struct user_page *page = page_of(lru, frame);
	return !(page->marks & (PG_FILE | PG_SHMEM | PG_SWAPCACHE)) && !page->pins && !lru_entries(lru, frame);
}

/* The last reference: __page_cache_release() and the free. */
static void put_last(struct page_lru *lru, unsigned cpu, uint32_t frame)
{
	if (page_has(lru, frame, PG_LRU))
		lru_list_release(lru, cpu, frame);
	lru_free_frame(lru, cpu, frame);
}

void page_lru_pin(struct page_lru *lru, uint32_t frame)
{
	SIM_ASSERT(lru->frames[frame].pins < UINT8_MAX);
	lru->frames[frame].pins++;
}

void page_lru_unpin(struct page_lru *lru, unsigned cpu, uint32_t frame)
{
	SIM_ASSERT(lru->frames[frame].pins);
	if (--lru->frames[frame].pins || !page_has(lru, frame, PG_RELEASED))
		return;
	/* Reclaim may have found a slot for it meanwhile. */
	if (!page_has(lru, frame, PG_SWAPCACHE) || lru_free_swap(lru, cpu, frame))
		put_last(lru, cpu, frame);
}

bool page_lru_forget(struct page_lru *lru, unsigned cpu, uint32_t frame)
{
	struct user_page *page = page_of(lru, frame);
	SIM_ASSERT(page->marks & PG_KNOWN && !(page->marks & PG_RELEASED));
	/* Others may name its slot still, or it is being written: then it stays in the swap cache, for reclaim to take. */
	if (page->marks & PG_SWAPCACHE && !lru_free_swap(lru, cpu, frame))
		return true;
	page->marks |= PG_RELEASED;
	page->marks &= (uint16_t)~PG_DIRTY;
	if (page->pins)
		return true;
	if (page->marks & PG_LRU)
		lru_list_release(lru, cpu, frame);
	forget_frame(lru, frame);
	return false;
}

void page_lru_release(struct page_lru *lru, unsigned cpu, uint32_t frame)
{
	unsigned order = order_of_page(lru, frame);
	if (!page_lru_forget(lru, cpu, frame))
		give_back(lru, cpu, frame, order);
}

/* --- batches --- */

/* The pages come out of the batch before they are unpinned: the free of one may look at the others. */
static struct page_batch take_batch(struct page_batch *batch)
{
	struct page_batch taken = *batch;
	batch->count = 0;
	return taken;
}

static void unpin_batch(struct page_lru *lru, unsigned cpu, const struct page_batch *batch)
{
	for (uint32_t i = 0; i < batch->count; i++) {
		lru_step_reference(lru, batch->frames[i]);
		page_lru_unpin(lru, cpu, batch->frames[i]);
	}
}

static void empty_lru_add(struct page_lru *lru, unsigned cpu)
{
	struct page_batch batch = take_batch(&lru->lru_add[cpu]);
	unsigned held = NO_NODE;
	for (uint32_t i = 0; i < batch.count; i++) {
		lru_relock(lru, batch.frames[i], &held);
		lru_list_add(lru, batch.frames[i]);
		lru_step_flag(lru, batch.frames[i]);
	}
	lru_unlock_held(lru, held);
	unpin_batch(lru, cpu, &batch);
}

/* folio_test_clear_lru(), and the lock: a page that is isolated meanwhile stays as it is. */
static bool may_move(struct page_lru *lru, uint32_t frame, unsigned *held)
{
	lru_step_flag(lru, frame);
	if (!page_has(lru, frame, PG_LRU))
		return false;
	lru_relock(lru, frame, held);
	return true;
}

static void empty_rotate(struct page_lru *lru, unsigned cpu)
{
	struct page_batch batch = take_batch(&lru->rotate[cpu]);
	unsigned held = NO_NODE;
	for (uint32_t i = 0; i < batch.count; i++) {
		if (!may_move(lru, batch.frames[i], &held))
			continue;
		move_to_tail(lru, batch.frames[i]);
		lru->counters.pgrotated += page_frames(page_of(lru, batch.frames[i]));
		lru_step_flag(lru, batch.frames[i]);
	}
	lru_unlock_held(lru, held);
	unpin_batch(lru, cpu, &batch);
}

static bool may_be_lazyfree(const struct page_lru *lru, uint32_t frame)
{
	return page_has(lru, frame, PG_LRU) && !(page_of(lru, frame)->marks & (PG_FILE | PG_SHMEM | PG_LAZYFREE | PG_SWAPCACHE));
}

/* lru_lazyfree_fn() */
static void empty_lazyfree(struct page_lru *lru, unsigned cpu)
{
	struct page_batch batch = take_batch(&lru->lazyfree[cpu]);
	unsigned held = NO_NODE;
	for (uint32_t i = 0; i < batch.count; i++) {
		uint32_t frame = batch.frames[i];
		if (!may_move(lru, frame, &held) || !may_be_lazyfree(lru, frame))
			continue;
		lru_list_del(lru, frame);
		lru->frames[frame].marks = (uint16_t)((lru->frames[frame].marks & ~(PG_ACTIVE | PG_REFERENCED)) | PG_LAZYFREE);
		lru_list_add(lru, frame);
		lru->counters.pglazyfree += page_frames(page_of(lru, frame));
		lru_step_flag(lru, frame);
	}
	lru_unlock_held(lru, held);
	unpin_batch(lru, cpu, &batch);
}

static void empty_activate(struct page_lru *lru, unsigned cpu)
{
	struct page_batch batch = take_batch(&lru->activate[cpu]);
	unsigned held = NO_NODE;
	for (uint32_t i = 0; i < batch.count; i++) {
		uint32_t frame = batch.frames[i];
		if (!may_move(lru, frame, &held) || page_has(lru, frame, PG_ACTIVE))
			continue;
		lru_list_del(lru, frame);
		lru->frames[frame].marks |= PG_ACTIVE;
		lru_list_add(lru, frame);
		lru->counters.pgactivate++;
		lru_step_flag(lru, frame);
	}
	lru_unlock_held(lru, held);
	unpin_batch(lru, cpu, &batch);
}

void page_lru_drain(struct page_lru *lru, unsigned cpu)
{
	empty_lru_add(lru, cpu);
	empty_rotate(lru, cpu);
	empty_lazyfree(lru, cpu);
	empty_activate(lru, cpu);
}

void page_lru_lazyfree(struct page_lru *lru, unsigned cpu, uint32_t frame)
{
	struct page_batch *batch = &lru->lazyfree[cpu];
	if (!may_be_lazyfree(lru, frame))
		return;
	page_lru_pin(lru, frame);
	lru_step_batch(lru, cpu, BATCH_LAZYFREE, batch->count, frame);
	batch->frames[batch->count++] = frame;
	if (batch->count == PAGEVEC_SIZE || page_has(lru, frame, PG_HUGE))
		empty_lazyfree(lru, cpu);
}

void lru_rotate_later(struct page_lru *lru, unsigned cpu, uint32_t frame)
{
	struct page_batch *batch = &lru->rotate[cpu];
	page_lru_pin(lru, frame);
	lru_step_batch(lru, cpu, BATCH_ROTATE, batch->count, frame);
	batch->frames[batch->count++] = frame;
	if (batch->count == PAGEVEC_SIZE || page_has(lru, frame, PG_HUGE))
		empty_rotate(lru, cpu);
}

void page_lru_add(struct page_lru *lru, unsigned cpu, uint32_t frame, unsigned marks)
{
	struct user_page *page = page_of(lru, frame);
	SIM_ASSERT(frame < lru->end_pfn && !page->marks && !page->pins);
	page->marks = (uint16_t)(marks | PG_KNOWN);
	page->zone = (uint8_t)zone_of_frame(lru, frame);
	page->pins = 1;
	lru->counters.pages_added += page_frames(page);
	lru->counters.nr_lru_pages += page_frames(page);
	if (marks & PG_HUGE) {
		lru->counters.nr_anon_huge++;
		for (uint32_t i = 1; i < HUGE_PAGE_FRAMES; i++)
			page[i].marks = PG_TAIL;
	}
	struct page_batch *batch = &lru->lru_add[cpu];
	lru_step_batch(lru, cpu, BATCH_LRU_ADD, batch->count, frame);
	batch->frames[batch->count++] = frame;
	/* folio_may_be_lru_cached(): a huge page does not wait. */
	if (batch->count == PAGEVEC_SIZE || marks & PG_HUGE)
		empty_lru_add(lru, cpu);
}

/* folio_activate() */
static void activate_later(struct page_lru *lru, unsigned cpu, uint32_t frame)
{
	struct page_batch *batch = &lru->activate[cpu];
	page_lru_pin(lru, frame);
	lru_step_batch(lru, cpu, BATCH_ACTIVATE, batch->count, frame);
	batch->frames[batch->count++] = frame;
	if (batch->count == PAGEVEC_SIZE)
		empty_activate(lru, cpu);
}

/* __lru_cache_activate_folio(): only this CPU's batch is looked at. */
static void activate_in_batch(struct page_lru *lru, unsigned cpu, uint32_t frame)
{
	const struct page_batch *batch = &lru->lru_add[cpu];
	for (uint32_t i = 0; i < batch->count; i++)
		if (batch->frames[i] == frame)
			lru->frames[frame].marks |= PG_ACTIVE;
}

void page_lru_mark_accessed(struct page_lru *lru, unsigned cpu, uint32_t frame)
{
	struct user_page *page = page_of(lru, frame);
	lru_step_flag(lru, frame);
	if (!(page->marks & PG_REFERENCED)) {
		page->marks |= PG_REFERENCED;
		return;
	}
	if (page->marks & PG_ACTIVE)
		return;
	if (page->marks & PG_LRU)
		activate_later(lru, cpu, frame);
	else
		activate_in_batch(lru, cpu, frame);
	page->marks &= (uint16_t)~PG_REFERENCED;
	lru->nodes[node_of_page(lru, frame)].nonresident_age++;
}

static void rename_in_batch(struct page_batch *batch, uint32_t from, uint32_t to)
{
	for (uint32_t i = 0; i < batch->count; i++)
		if (batch->frames[i] == from)
			batch->frames[i] = to;
}

/*
 * MODEL: what waits in a batch keeps its place there, and what is being written goes on being written; a kernel does not move
 * such pages. What was on a list comes to the head of it, without the way through a batch that putback_lru_page() takes.
 */
void page_lru_move(struct page_lru *lru, unsigned cpu, uint32_t from, uint32_t to)
{
	struct user_page *page = page_of(lru, to);
	(void)cpu;
	SIM_ASSERT(page_has(lru, from, PG_KNOWN) && !page_has(lru, from, PG_HUGE) && !page->marks);
	bool listed = page_has(lru, from, PG_LRU);
	unsigned held = NO_NODE;
	if (listed) {
		lru_relock(lru, from, &held);
		lru_list_del(lru, from);
	}
	*page = *page_of(lru, from);
	page->zone = (uint8_t)zone_of_frame(lru, to);
	*page_of(lru, from) = (struct user_page){0};
	if (listed) {
		lru_relock(lru, to, &held);
		lru_list_add(lru, to);
	}
	lru_unlock_held(lru, held);
	for (unsigned other = 0; other < lru->spec.cpus; other++) {
		rename_in_batch(&lru->lru_add[other], from, to);
		rename_in_batch(&lru->rotate[other], from, to);
		rename_in_batch(&lru->lazyfree[other], from, to);
		rename_in_batch(&lru->activate[other], from, to);
	}
	if (page->marks & PG_WRITEBACK)
		writeback_moved(lru, from, to);
	if (page->marks & PG_SWAPCACHE)
		lru->swap.map[page->index].frame = to;
	else if (page->marks & PG_FILE)
		page_cache_moved(lru->cache, page->file, page->index, to);
	lru->counters.pages_moved++;
}

/* --- refaults (mm/workingset.c) --- */

void lru_note_cost(struct page_lru *lru, unsigned node, enum page_kind kind, uint64_t pages)
{
	struct lruvec *lists = &lru->nodes[node];
	uint64_t size = 0;
	lru_step_cost(lru, node);
	for (unsigned list = 0; list < LRU_LISTS; list++)
		size += lists->pages[list];
	*(kind == PAGE_FILE ? &lists->file_cost : &lists->anon_cost) += pages;
	if (lists->file_cost + lists->anon_cost > size / 4) {
		lists->file_cost /= 2;
		lists->anon_cost /= 2;
	}
}

page_shadow lru_evict(struct page_lru *lru, uint32_t frame)
{
	unsigned node = node_of_page(lru, frame);
	uint64_t age = lru->nodes[node].nonresident_age;
	lru->nodes[node].nonresident_age += page_frames(page_of(lru, frame));
	return shadow_pack(age, node, page_has(lru, frame, PG_WORKINGSET));
}

void lru_refault(struct page_lru *lru, uint32_t frame, unsigned *marks, page_shadow shadow)
{
	if (!shadow_exists(shadow))
		return;
	bool file = *marks & PG_FILE;
	struct lruvec *evicted = &lru->nodes[shadow_node(shadow)];
	uint64_t distance = evicted->nonresident_age - shadow_age(shadow);
	uint64_t size = evicted->pages[LRU_ACTIVE_FILE];
	*(file ? &lru->counters.workingset_refault_file : &lru->counters.workingset_refault_anon) += 1;
	if (!file)
		size += evicted->pages[LRU_INACTIVE_FILE];
	if (swap_free_slots(&lru->swap) > 0) {
		size += evicted->pages[LRU_ACTIVE_ANON];
		size += file ? evicted->pages[LRU_INACTIVE_ANON] : 0;
	}
	if (distance > size)
		return;
	*marks |= PG_ACTIVE;
	evicted->nonresident_age++;
	evicted->activated[file ? PAGE_FILE : PAGE_ANON]++;
	*(file ? &lru->counters.workingset_activate_file : &lru->counters.workingset_activate_anon) += 1;
	if (!shadow_workingset(shadow))
		return;
	*marks |= PG_WORKINGSET;
	lru_note_cost(lru, lru->zones[zone_of_frame(lru, frame)].node, file ? PAGE_FILE : PAGE_ANON, 1);
	*(file ? &lru->counters.workingset_restore_file : &lru->counters.workingset_restore_anon) += 1;
}

/* --- counters and laws --- */

const struct lru_counters *page_lru_counters(struct page_lru *lru)
{
	struct lru_counters *counters = &lru->counters;
	counters->nr_inactive_anon = counters->nr_active_anon = 0;
	counters->nr_inactive_file = counters->nr_active_file = 0;
	for (unsigned node = 0; node < LRU_NODES_MAX; node++) {
		counters->nr_inactive_anon += lru->nodes[node].pages[LRU_INACTIVE_ANON];
		counters->nr_active_anon += lru->nodes[node].pages[LRU_ACTIVE_ANON];
		counters->nr_inactive_file += lru->nodes[node].pages[LRU_INACTIVE_FILE];
		counters->nr_active_file += lru->nodes[node].pages[LRU_ACTIVE_FILE];
	}
	counters->nr_swapcached = lru->swap.cached;
	counters->swap_slots_used = lru->swap.in_use;
	counters->nr_dirty = page_cache_dirty_pages(lru->cache);
	counters->nr_writeback = writeback_pages(lru);
	counters->nr_split_queue = 0;
	for (unsigned node = 0; node < LRU_NODES_MAX; node++)
		counters->nr_split_queue += lru->nodes[node].split_queue;
	return counters;
}

/* Walks a list; returns its length and counts its pages by zone. */
static uint64_t check_list(const struct page_lru *lru, unsigned node, enum lru_list list, uint64_t by_zone[ZONES_MAX])
{
	uint32_t head = lru_list_head(lru, node, list);
	uint64_t length = 0;
	for (uint32_t frame = lru->frames[head].next; frame != head; frame = lru->frames[frame].next) {
		uint32_t frames = page_frames(page_of(lru, frame));
		length += frames;
		SIM_ASSERT(frame < lru->end_pfn && lru->frames[lru->frames[frame].next].prev == frame);
		SIM_ASSERT(page_has(lru, frame, PG_KNOWN) && page_has(lru, frame, PG_LRU));
		SIM_ASSERT(list_of_page(lru, frame) == list && node_of_page(lru, frame) == node);
		by_zone[lru->frames[frame].zone] += frames;
	}
	return length;
}

static void check_lists(const struct page_lru *lru)
{
	uint64_t listed = 0, marked = 0;
	for (unsigned list = 0; list < LRU_LISTS; list++) {
		uint64_t by_zone[ZONES_MAX] = {0};
		for (unsigned node = 0; node < LRU_NODES_MAX; node++) {
			uint64_t length = check_list(lru, node, (enum lru_list)list, by_zone);
			SIM_ASSERT(length == lru->nodes[node].pages[list]);
			listed += length;
		}
		for (unsigned nr = 0; nr < lru->zone_count; nr++)
			SIM_ASSERT(lru->zones[nr].pages[list] == by_zone[nr]);
	}
	for (uint32_t frame = 0; frame < lru->end_pfn; frame++)
		marked += page_has(lru, frame, PG_LRU) ? page_frames(page_of(lru, frame)) : 0;
	SIM_ASSERT(marked == listed);
}

/* Between ops a page is on a list or in some CPU's batch, and only batches hold pins. */
static void check_pages(const struct page_lru *lru)
{
	uint64_t known = 0, cached = 0, pins = 0, batched = 0, huge = 0, tails = 0;
	for (unsigned cpu = 0; cpu < lru->spec.cpus; cpu++)
		batched += lru->lru_add[cpu].count + lru->rotate[cpu].count + lru->lazyfree[cpu].count + lru->activate[cpu].count;
	for (uint32_t frame = 0; frame < lru->end_pfn; frame++) {
		const struct user_page *page = page_of(lru, frame);
		huge += (page->marks & PG_HUGE) != 0;
		pins += page->pins;
		if (page->marks & PG_TAIL) {
			tails++;
			SIM_ASSERT(page->marks == PG_TAIL && page_has(lru, page_head(lru, frame), PG_HUGE));
			continue;
		}
		known += page->marks & PG_KNOWN ? page_frames(page) : 0;
		SIM_ASSERT(page->marks & PG_KNOWN ? page->marks & PG_LRU || page->pins : !page->marks);
		for (uint32_t i = 0; page->marks & PG_SWAPCACHE && i < page_frames(page); i++) {
			cached++;
			SIM_ASSERT(!(page->marks & (PG_FILE | PG_LAZYFREE)) &&
			           swap_cache_find(&lru->swap, page->index + i) == frame + i);
		}
	}
	SIM_ASSERT(known == lru->counters.nr_lru_pages && pins == batched);
	SIM_ASSERT(huge == lru->counters.nr_anon_huge && tails == huge * (HUGE_PAGE_FRAMES - 1));
	SIM_ASSERT(cached == lru->swap.cached);
}

static void check_counters(const struct page_lru *lru)
{
	const struct lru_counters *c = &lru->counters;
	uint64_t activated = 0;
	for (unsigned node = 0; node < LRU_NODES_MAX; node++)
		activated += lru->nodes[node].activated[PAGE_ANON] + lru->nodes[node].activated[PAGE_FILE];
	SIM_ASSERT(c->pages_added - c->pages_freed == c->nr_lru_pages);
	SIM_ASSERT(c->pglazyfreed <= c->pglazyfree);
	SIM_ASSERT(c->thp_swpout * HUGE_PAGE_FRAMES <= c->pswpout && c->thp_swpout_fallback <= c->thp_split_page);
	SIM_ASSERT(c->pgsteal_anon <= c->pgscan_anon && c->pgsteal_file <= c->pgscan_file);
	SIM_ASSERT(c->workingset_activate_anon <= c->workingset_refault_anon);
	SIM_ASSERT(c->workingset_activate_file <= c->workingset_refault_file);
	SIM_ASSERT(c->workingset_restore_anon <= c->workingset_activate_anon);
	SIM_ASSERT(c->workingset_restore_file <= c->workingset_activate_file);
	SIM_ASSERT(activated == c->workingset_activate_anon + c->workingset_activate_file);
	SIM_ASSERT(c->pswpin * PAGE_SIZE == lru->swap_device.counters.bytes_read);
	SIM_ASSERT(c->pswpout * PAGE_SIZE == lru->swap_device.counters.bytes_written);
	SIM_ASSERT(c->pgpgin * PAGE_SIZE == lru->disk.counters.bytes_read);
	SIM_ASSERT(c->pgpgout * PAGE_SIZE == lru->disk.counters.bytes_written);
	SIM_ASSERT(c->pswpout + c->pgpgout == c->nr_written + writeback_pages(lru) && c->pgrotated <= c->nr_written);
	/* A mark of reclaim, which is the same bit, is a hit as well where the page is wanted again. */
	SIM_ASSERT(c->swap_ra_hit <= c->swap_ra + c->pgscan_anon && c->swap_ra <= c->pswpin);
}

void page_lru_check(const struct page_lru *lru)
{
	check_lists(lru);
	lru_check_split_queues(lru);
	check_pages(lru);
	check_counters(lru);
	swap_check(&lru->swap);
	page_cache_check(lru->cache);
	writeback_check(lru);
}
