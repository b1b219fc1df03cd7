/* SPDX-License-Identifier: MIT
 *
 * huge_lru.c - huge pages taken apart into pages of 4 KiB, and those that wait for it (interface and laws: page_lru.h).
 *
 * Algorithm: all entries that map it are of 4 KiB then; each frame is a page with the marks of the whole, and its slot if that
 * has some. What nothing maps goes. A huge page that is mapped in part only comes to its node's queue when its first part goes,
 * and stays there until it is freed or taken apart; each pass of reclaim looks at 2/2^priority of the queue, 128 at a time.
 * Source: Linux 6.1 mm/huge_memory.c: split_huge_page_to_list, __split_huge_page, __split_huge_page_tail, lru_add_page_tail,
 * deferred_split_huge_page, deferred_split_scan; mm/vmscan.c: do_shrink_slab.
 * MODEL: a queue belongs to a node, where a kernel with control groups has one for each group.
 */
#include "models/page_reclaim/page_lru.h"

/* include/linux/shrinker.h, mm/vmscan.c; do_shrink_slab() takes four objects a seek. */
#define DEFAULT_SEEKS 2
#define SEEKS_UNIT 4
#define SHRINK_BATCH 128

/* Marks that each part has of the whole (__split_huge_page_tail()). */
#define PART_MARKS (PG_KNOWN | PG_REFERENCED | PG_SWAPCACHE | PG_ACTIVE | PG_WORKINGSET | PG_DIRTY | PG_LAZYFREE)

/* --- the queue --- */

/* The record that a huge page waits by; its links are 0 while it does not. */
static uint32_t waiter_of(uint32_t frame)
{
	return frame + 1;
}

static bool is_waiting(const struct page_lru *lru, uint32_t frame)
{
	return page_of(lru, waiter_of(frame))->next != 0;
}

static void append_to_queue(struct page_lru *lru, uint32_t frame)
{
	uint32_t head = lru_list_head(lru, node_of_page(lru, frame), LRU_LISTS);
	lru_link_after(lru, waiter_of(frame), lru->frames[head].prev);
}

void page_lru_split_later(struct page_lru *lru, uint32_t frame)
{
	SIM_ASSERT(page_has(lru, frame, PG_HUGE));
	/* Reclaim is at it. */
	if (page_has(lru, frame, PG_SWAPCACHE) || is_waiting(lru, frame))
		return;
	append_to_queue(lru, frame);
	lru->nodes[node_of_page(lru, frame)].split_queue++;
	lru->counters.thp_deferred_split_page++;
}

void lru_leave_split_queue(struct page_lru *lru, uint32_t frame)
{
	if (!is_waiting(lru, frame))
		return;
	lru_unlink(lru, waiter_of(frame));
	page_of(lru, waiter_of(frame))->next = page_of(lru, waiter_of(frame))->prev = 0;
	lru->nodes[node_of_page(lru, frame)].split_queue--;
}

void lru_check_split_queues(const struct page_lru *lru)
{
	for (unsigned node = 0; node < LRU_NODES_MAX; node++) {
		uint32_t head = lru_list_head(lru, node, LRU_LISTS);
		uint64_t length = 0;
		for (uint32_t at = lru->frames[head].next; at != head; at = lru->frames[at].next, length++)
			SIM_ASSERT(at % HUGE_PAGE_FRAMES == 1 && page_has(lru, at - 1, PG_HUGE) &&
			           node_of_page(lru, at - 1) == node);
		SIM_ASSERT(length == lru->nodes[node].split_queue);
	}
}

/* --- taking apart --- */

/* Each frame's own record; the whole is off its list. */
static void make_parts(struct page_lru *lru, uint32_t frame)
{
	struct user_page *page = page_of(lru, frame);
	page->marks &= (uint16_t)~PG_HUGE;
	for (uint32_t i = 1; i < HUGE_PAGE_FRAMES; i++)
		page[i] = (struct user_page){.index = page->marks & PG_SWAPCACHE ? page->index + i : 0,
		                             .ready_ns = page->ready_ns,
		                             .marks = (uint16_t)(page->marks & PART_MARKS),
		                             .zone = page->zone};
}

/* free_page_and_swap_cache() of parts whose whole was on a list. */
static void free_unused_parts(struct page_lru *lru, unsigned cpu, uint32_t frame)
{
	for (uint32_t part = frame + 1; part < frame + HUGE_PAGE_FRAMES; part++) {
		if (!lru_entries(lru, part))
			lru_free_swap(lru, cpu, part);
		if (!lru_is_nobodys(lru, part))
			continue;
		lru_list_release(lru, cpu, part);
		lru_free_frame(lru, cpu, part);
	}
}

bool lru_split(struct page_lru *lru, unsigned cpu, uint32_t frame)
{
	struct user_page *page = page_of(lru, frame);
	SIM_ASSERT(page->marks & PG_HUGE);
	if (page->marks & PG_WRITEBACK || page->pins || !page_split(lru->pages, pfn_of(frame), HUGE_PAGE_ORDER)) {
		lru->counters.thp_split_page_failed++;
		return false;
	}
	bool listed = page->marks & PG_LRU;
	lru_leave_split_queue(lru, frame);
	lru->rmap.split(lru->rmap.context, frame, cpu);
	lru->counters.thp_split_page++;
	lru->counters.nr_anon_huge--;
	if (listed) {
		uint32_t younger = page->prev;
		unsigned node = node_of_page(lru, frame);
		lru_lock(lru, node);
		lru_list_del(lru, frame);
		make_parts(lru, frame);
		/* In the place of the whole: the first frame is the oldest, and each next one comes behind it. */
		for (uint32_t part = frame; part < frame + HUGE_PAGE_FRAMES; part++)
			lru_list_add_after(lru, part, younger);
		lru_unlock(lru, node);
		free_unused_parts(lru, cpu, frame);
	} else {
		make_parts(lru, frame);
	}
	return true;
}

/* --- the shrinker --- */

/* deferred_split_scan(): those that cannot be taken apart wait behind the others. Whether there is any use in going on. */
static bool scan_queue(struct page_lru *lru, unsigned node, uint64_t wanted, unsigned cpu)
{
	uint32_t head = lru_list_head(lru, node, LRU_LISTS), taken[SHRINK_BATCH], count = 0, split = 0;
	for (uint32_t at = lru->frames[head].next; at != head && count < wanted; at = lru->frames[at].next)
		taken[count++] = at - 1;
	for (uint32_t i = 0; i < count; i++) {
		if (!lru_split(lru, cpu, taken[i])) {
			lru_unlink(lru, waiter_of(taken[i]));
			append_to_queue(lru, taken[i]);
			continue;
		}
		split++;
		/* The reference that held it while it was taken apart goes. */
		if (!lru_is_nobodys(lru, taken[i]))
			continue;
		if (page_has(lru, taken[i], PG_LRU))
			lru_list_release(lru, cpu, taken[i]);
		lru_free_frame(lru, cpu, taken[i]);
	}
	return split || lru->nodes[node].split_queue;
}

void lru_shrink_split_queue(struct page_lru *lru, unsigned node, int priority, unsigned cpu)
{
	struct lruvec *lists = &lru->nodes[node];
	uint64_t freeable = lists->split_queue, scanned = 0;
	if (!freeable)
		return;
	uint64_t delta = (freeable >> priority) * SEEKS_UNIT / DEFAULT_SEEKS;
	uint64_t total = (lists->split_deferred >> priority) + delta;
	if (total > 2 * freeable)
		total = 2 * freeable;
	while (total >= SHRINK_BATCH || total >= freeable) {
		uint64_t batch = total < SHRINK_BATCH ? total : SHRINK_BATCH;
		if (!scan_queue(lru, node, batch, cpu))
			break;
		total -= batch;
		scanned += batch;
	}
	uint64_t deferred = lists->split_deferred + delta;
	deferred = deferred > scanned ? deferred - scanned : 0;
	lists->split_deferred = deferred > 2 * freeable ? 2 * freeable : deferred;
}
