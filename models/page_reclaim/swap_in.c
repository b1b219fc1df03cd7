/* SPDX-License-Identifier: MIT
 *
 * swap_in.c - pages back from the swap device, and their neighbours with them (interface: page_lru.h).
 *
 * Algorithm: the window of pages around the fault that are read with it follows the faults of the area: read ahead and used,
 * it grows to 2^page_cluster, else it shrinks to 1. It lies behind the fault, before it, or around it, as the last fault of the
 * area tells.
 * Pages of shared memory lie in no area in particular: of them it is a window of slots.
 * Source: mm/swap_state.c of Linux 6.1: swap_cache_get_folio, __read_swap_cache_async, __swapin_nr_pages, swap_ra_info,
 * swap_vma_readahead, swapin_nr_pages, swap_cluster_readahead; mm/shmem.c: shmem_swapin_folio; mm/memory.c: do_swap_page,
 * should_try_to_free_swap; mm/swapfile.c: free_swap_and_cache,
 * __try_to_reclaim_swap. The device has no seek times, so the window is one of virtual addresses (swap_use_vma_readahead).
 */
#include "models/kernel_code.h"
#include "models/page_reclaim/page_lru.h"

/* mm/swap_state.c: hits that an area has at first; how many are remembered (SWAP_RA_HITS_MAX); include/linux/swap.h:
 * SWAP_RA_ORDER_CEILING. */
#define FIRST_HITS 4
#define HITS_MAX 63
#define ORDER_CEILING 5
/* Pages that one page table maps: the window does not reach beyond it. */
#define TABLE_PAGES 512

static uint64_t larger(uint64_t one, uint64_t other)
{
	return one > other ? one : other;
}

static uint64_t smaller(uint64_t one, uint64_t other)
{
	return one < other ? one : other;
}

/* __swapin_nr_pages() */
static uint32_t window_of(uint64_t last_page, uint64_t page, uint32_t hits, uint32_t most, uint32_t last_window)
{
	uint32_t pages = hits + 2;
	if (hits == 0) {
		if (page != last_page + 1 && page + 1 != last_page)
			pages = 1;
	} else {
		uint32_t rounded = 4;
		while (rounded < pages)
			rounded *= 2;
		pages = rounded;
	}
	if (pages > most)
		pages = most;
	return pages < last_window / 2 ? last_window / 2 : pages;
}

static uint32_t most_pages(const struct page_lru *lru, uint32_t order)
{
	return 1u << (lru->spec.page_cluster < order ? lru->spec.page_cluster : order);
}

/* swap_ra_info(): the pages to read, the fault's among them; false: the fault's alone. */
static bool window_around(const struct page_lru *lru, const struct swap_fault *fault, uint64_t *first, uint64_t *end)
{
	struct swap_read_ahead *state = fault->read_ahead;
	uint32_t most = most_pages(lru, ORDER_CEILING);
	if (most == 1)
		return false;
	if (!state->is_set)
		*state = (struct swap_read_ahead){.hits = FIRST_HITS, .is_set = true};
	uint64_t page = fault->page, last = state->page;
	uint32_t window = window_of(last, page, state->hits, most, state->window);
	state->page = page;
	state->window = window;
	state->hits = 0;
	if (window == 1)
		return false;
	/* Pages of the window before the fault's; none lie before address 0. */
	uint64_t before = page == last + 1 ? 0 : last == page + 1 ? window - 1 : (window - 1) / 2;
	*first = page - smaller(before, page);
	*end = page - before + window;
	uint64_t table = page / TABLE_PAGES * TABLE_PAGES;
	*first = larger(*first, larger(fault->first_page, table));
	*end = smaller(*end, smaller(fault->end_page, table + TABLE_PAGES));
	return true;
}

static void read_page(struct page_lru *lru, unsigned cpu, uint32_t frame)
{
	if (!lru->spec.swap_synchronous)
		step_run(lru->steps, CODE_BLOCK_REQUEST, lru->spec.cost.block_request);
	struct block_answer answer = block_device_read(&lru->swap_device, page_lru_now(lru, cpu), PAGE_SIZE);
	lru->frames[frame].ready_ns = answer.done_ns;
	lru->counters.pswpin++;
	page_lru_wait_until(lru, cpu, answer.taken_ns);
}

/* A frame for the page of a slot, on its way to a list. PAGE_NONE: no memory. */
static uint32_t new_page(struct page_lru *lru, unsigned cpu, uint32_t slot, gfp flags, unsigned marks)
{
	pfn frame = page_alloc(lru->pages, 0, flags, cpu);
	if (frame.nr == UINT32_MAX)
		return PAGE_NONE;
	bool cached = marks & PG_SWAPCACHE;
	step_run(lru->steps, CODE_SWAP_IN_PAGE, cached ? lru->spec.cost.swap_in_page : lru->spec.cost.swap_in_direct);
	page_shadow shadow = lru->swap.map[slot].shadow;
	if (cached)
		swap_cache_add(&lru->swap, slot, frame.nr);
	lru_refault(lru, frame.nr, &marks, shadow);
	lru->frames[frame.nr].index = slot;
	lru->frames[frame.nr].ready_ns = UINT64_MAX; /* being read */
	page_lru_add(lru, cpu, frame.nr, marks);
	read_page(lru, cpu, frame.nr);
	return frame.nr;
}

/* __read_swap_cache_async() and the read. PAGE_NONE: no memory. */
static uint32_t read_into_cache(struct page_lru *lru, unsigned cpu, uint32_t slot, gfp flags, bool ahead)
{
	uint32_t frame = swap_cache_find(&lru->swap, slot);
	if (frame != SWAP_FRAME_NONE)
		return frame;
	frame = new_page(lru, cpu, slot, flags, ahead ? PG_SWAPCACHE | PG_READAHEAD : PG_SWAPCACHE);
	lru->counters.swap_ra += ahead && frame != PAGE_NONE;
	return frame;
}

static uint32_t read_around(struct page_lru *lru, unsigned cpu, uint32_t slot, const struct swap_fault *fault)
{
	uint64_t first, end;
	if (window_around(lru, fault, &first, &end)) {
		for (uint64_t page = first; page < end; page++) {
			uint32_t other = page == fault->page ? slot : fault->slot_of(fault->context, page);
			if (other != SWAP_SLOT_NONE)
				read_into_cache(lru, cpu, other, fault->flags, page != fault->page);
		}
		page_lru_drain(lru, cpu);
	}
	return read_into_cache(lru, cpu, slot, fault->flags, false);
}

/* swapin_nr_pages(): hits since the last look, the slot of the last one without any. */
static uint32_t cluster_window(struct page_lru *lru, uint32_t slot)
{
	struct swap_read_ahead *state = &lru->cluster;
	uint32_t most = most_pages(lru, lru->spec.page_cluster);
	if (most == 1)
		return 1;
	uint32_t hits = state->is_set ? state->hits : FIRST_HITS;
	state->is_set = true;
	state->window = window_of(state->page, slot, hits, most, state->window);
	state->hits = 0;
	if (!hits)
		state->page = slot;
	return state->window;
}

/* swap_cluster_readahead(): slots around the fault's, in use, from a multiple of the window on. */
static uint32_t read_cluster(struct page_lru *lru, unsigned cpu, uint32_t slot, gfp flags)
{
	uint32_t mask = cluster_window(lru, slot) - 1;
	if (mask) {
		uint32_t first = slot & ~mask, last = slot | mask;
		for (uint32_t other = first ? first : 1; other <= last && other < lru->swap.slots; other++)
			if (swap_entries(&lru->swap, other))
				read_into_cache(lru, cpu, other, flags, other != slot);
		page_lru_drain(lru, cpu);
	}
	return read_into_cache(lru, cpu, slot, flags, false);
}

uint32_t page_shared_in(struct page_lru *lru, unsigned cpu, uint32_t slot, gfp flags)
{
	uint32_t frame = swap_cache_find(&lru->swap, slot);
	if (frame != SWAP_FRAME_NONE) {
		bool ahead = page_has(lru, frame, PG_READAHEAD);
		lru->frames[frame].marks &= (uint16_t)~PG_READAHEAD;
		lru->counters.swap_ra_hit += ahead;
		lru->cluster.hits += ahead;
	} else {
		frame = read_cluster(lru, cpu, slot, flags);
		if (frame == PAGE_NONE)
			return PAGE_NONE;
		lru->counters.pgmajfault++;
	}
	page_lru_wait_until(lru, cpu, lru->frames[frame].ready_ns);
	writeback_wait(lru, cpu, frame);
	swap_cache_remove(&lru->swap, cpu, slot, SHADOW_NONE);
	lru->frames[frame].marks = (uint16_t)((lru->frames[frame].marks & ~PG_SWAPCACHE) | PG_SHMEM | PG_DIRTY);
	swap_free(&lru->swap, cpu, slot);
	return frame;
}

/* swap_cache_get_folio(): a page read ahead was wanted. Huge ones are not read ahead, and tell nothing. */
static void note_hit(struct page_lru *lru, uint32_t frame, const struct swap_fault *fault)
{
	struct swap_read_ahead *state = fault->read_ahead;
	if (page_has(lru, frame, PG_HUGE))
		return;
	bool ahead = page_has(lru, frame, PG_READAHEAD);
	lru->frames[frame].marks &= (uint16_t)~PG_READAHEAD;
	lru->counters.swap_ra_hit += ahead;
	if (!state->is_set)
		*state = (struct swap_read_ahead){.hits = FIRST_HITS, .is_set = true};
	state->page = fault->page;
	if (ahead && state->hits < HITS_MAX)
		state->hits++;
}

enum swap_in_result page_swap_in(struct page_lru *lru, unsigned cpu, uint32_t slot, const struct swap_fault *fault,
                                 uint32_t *frame)
{
	enum swap_in_result result = SWAP_IN_MINOR;
	*frame = swap_cache_find(&lru->swap, slot);
	if (*frame != SWAP_FRAME_NONE) {
		note_hit(lru, page_head(lru, *frame), fault);
	} else {
		bool alone = lru->spec.swap_synchronous && swap_entries(&lru->swap, slot) == 1;
		*frame = alone ? new_page(lru, cpu, slot, fault->flags, 0) : read_around(lru, cpu, slot, fault);
		if (*frame == PAGE_NONE)
			return SWAP_IN_NO_MEMORY;
		lru->counters.pgmajfault++;
		result = SWAP_IN_MAJOR;
	}
	uint32_t head = page_head(lru, *frame);
	bool locked = lru->frames[head].ready_ns > page_lru_now(lru, cpu);
	if (fault->retries && locked && page_has(lru, head, PG_SWAPCACHE))
		return SWAP_IN_RETRY;
	page_lru_pin(lru, head);
	page_lru_wait_until(lru, cpu, lru->frames[head].ready_ns);
	return result;
}

bool page_swapped_in(struct page_lru *lru, unsigned cpu, uint32_t slot, uint32_t frame, bool write)
{
	uint32_t head = page_head(lru, frame);
	struct user_page *page = page_of(lru, head);
	bool cached = page->marks & PG_SWAPCACHE, huge = page->marks & PG_HUGE;
	SIM_ASSERT(!cached || page->index + (frame - head) == slot);
	if (cached && write && !(page->marks & PG_LRU))
		page_lru_drain(lru, cpu);
	swap_free(&lru->swap, cpu, slot);
	/* A huge page has a reference of the swap cache for each of its frames. */
	bool sole = !huge && page->pins == 1 && !lru->rmap.entries(lru->rmap.context, frame);
	if (cached && (swap_is_full(&lru->swap) || (write && sole)))
		lru_free_swap(lru, cpu, head);
	/* What the device alone had, and the cache never saw, is the reader's own, and dirty, as no slot has it any more. */
	if (!cached)
		page->marks |= PG_DIRTY;
	sole = !lru->rmap.entries(lru->rmap.context, frame) && (!(page->marks & PG_SWAPCACHE) || !swap_entries(&lru->swap, slot));
	page_lru_unpin(lru, cpu, head);
	return sole;
}

void page_swap_duplicate(struct page_lru *lru, uint32_t slot)
{
	swap_duplicate(&lru->swap, slot);
}

/* free_swap_and_cache() */
void page_swap_entry_gone(struct page_lru *lru, unsigned cpu, uint32_t slot)
{
	uint32_t frame = swap_cache_find(&lru->swap, slot);
	swap_free(&lru->swap, cpu, slot);
	if (frame == SWAP_FRAME_NONE || swap_entries(&lru->swap, slot))
		return;
	uint32_t head = page_head(lru, frame);
	if (lru_is_named(lru, head))
		return;
	if (!lru_entries(lru, head))
		page_lru_release(lru, cpu, head);
	else if (swap_is_full(&lru->swap))
		lru_free_swap(lru, cpu, head);
}
