/* SPDX-License-Identifier: MIT
 *
 * writeback.c - pages on their way to a device (interface, source and law: writeback.h).
 */
#include "models/page_reclaim/writeback.h"
#include "models/page_reclaim/page_lru.h"

#include <stdlib.h>

#define FIRST_ROOM 64u

static struct page_write *write_at(const struct write_queue *queue, uint32_t place)
{
	return &queue->at[(queue->first + place) & (queue->room - 1)];
}

static void grow(struct write_queue *queue)
{
	struct write_queue grown = {
	        .room = queue->room ? 2 * queue->room : FIRST_ROOM, .count = queue->count, .pages = queue->pages};
	grown.at = xcalloc(grown.room, sizeof *grown.at);
	for (uint32_t i = 0; i < queue->count; i++)
		grown.at[i] = *write_at(queue, i);
	free(queue->at);
	*queue = grown;
}

void writeback_start(struct page_lru *lru, enum write_device device, uint32_t frame, uint64_t done_ns)
{
	struct write_queue *queue = &lru->writeback.queue[device];
	SIM_ASSERT(page_has(lru, frame, PG_KNOWN) && !page_has(lru, frame, PG_WRITEBACK));
	SIM_ASSERT(!queue->count || write_at(queue, queue->count - 1)->done_ns <= done_ns);
	if (queue->count == queue->room)
		grow(queue);
	*write_at(queue, queue->count++) = (struct page_write){frame, done_ns};
	lru->frames[frame].marks |= PG_WRITEBACK;
	queue->pages += page_frames(page_of(lru, frame));
}

/* folio_end_writeback() */
static void end_first(struct page_lru *lru, struct write_queue *queue, unsigned cpu)
{
	uint32_t frame = write_at(queue, 0)->frame;
	struct user_page *page = page_of(lru, frame);
	queue->first = (queue->first + 1) & (queue->room - 1);
	queue->count--;
	bool marked = page->marks & PG_READAHEAD;
	page->marks &= (uint16_t) ~(PG_READAHEAD | PG_WRITEBACK);
	queue->pages -= page_frames(page);
	lru->counters.nr_written += page_frames(page);
	if (marked && page->marks & PG_LRU && !(page->marks & PG_DIRTY))
		lru_rotate_later(lru, cpu, frame);
}

/* The queue whose first write ends first; NULL: none is under way. */
static struct write_queue *next_to_end(struct page_lru *lru)
{
	struct write_queue *next = NULL;
	for (unsigned device = 0; device < WRITE_DEVICES; device++) {
		struct write_queue *queue = &lru->writeback.queue[device];
		if (queue->count && (!next || write_at(queue, 0)->done_ns < write_at(next, 0)->done_ns))
			next = queue;
	}
	return next;
}

static void end_until(struct page_lru *lru, unsigned cpu, uint64_t ns)
{
	struct write_queue *next = next_to_end(lru);
	while (next && write_at(next, 0)->done_ns <= ns) {
		end_first(lru, next, cpu);
		next = next_to_end(lru);
	}
}

void writeback_catch_up(struct page_lru *lru, unsigned cpu)
{
	end_until(lru, cpu, page_lru_now(lru, cpu));
}

void writeback_finish(struct page_lru *lru, unsigned cpu)
{
	end_until(lru, cpu, UINT64_MAX);
}

static uint64_t end_of(const struct page_lru *lru, uint32_t frame)
{
	for (unsigned device = 0; device < WRITE_DEVICES; device++) {
		const struct write_queue *queue = &lru->writeback.queue[device];
		for (uint32_t i = 0; i < queue->count; i++)
			if (write_at(queue, i)->frame == frame)
				return write_at(queue, i)->done_ns;
	}
	SIM_UNREACHABLE("a page whose write is under way nowhere");
}

void writeback_wait(struct page_lru *lru, unsigned cpu, uint32_t frame)
{
	if (!page_has(lru, frame, PG_WRITEBACK))
		return;
	page_lru_wait_until(lru, cpu, end_of(lru, frame));
	/* The CPU's clock may have been beyond it already. */
	writeback_catch_up(lru, cpu);
	SIM_ASSERT(!page_has(lru, frame, PG_WRITEBACK));
}

uint64_t writeback_nth_end(const struct page_lru *lru, uint32_t n)
{
	uint32_t at[WRITE_DEVICES] = {0};
	uint64_t end = UINT64_MAX, ended = 0;
	while (ended < n) {
		unsigned first = WRITE_DEVICES;
		end = UINT64_MAX;
		for (unsigned device = 0; device < WRITE_DEVICES; device++) {
			const struct write_queue *queue = &lru->writeback.queue[device];
			if (at[device] == queue->count || write_at(queue, at[device])->done_ns >= end)
				continue;
			end = write_at(queue, at[device])->done_ns;
			first = device;
		}
		if (first == WRITE_DEVICES)
			return UINT64_MAX;
		ended += page_frames(page_of(lru, write_at(&lru->writeback.queue[first], at[first])->frame));
		at[first]++;
	}
	return end;
}

uint64_t writeback_pages(const struct page_lru *lru)
{
	return lru->writeback.queue[WRITE_SWAP].pages + lru->writeback.queue[WRITE_DISK].pages;
}

void writeback_moved(struct page_lru *lru, uint32_t from, uint32_t to)
{
	for (unsigned device = 0; device < WRITE_DEVICES; device++) {
		const struct write_queue *queue = &lru->writeback.queue[device];
		for (uint32_t i = 0; i < queue->count; i++)
			if (write_at(queue, i)->frame == from)
				write_at(queue, i)->frame = to;
	}
}

void writeback_release(struct page_lru *lru)
{
	for (unsigned device = 0; device < WRITE_DEVICES; device++) {
		free(lru->writeback.queue[device].at);
		lru->writeback.queue[device] = (struct write_queue){0};
	}
}

void writeback_check(const struct page_lru *lru)
{
	uint64_t marked = 0;
	for (unsigned device = 0; device < WRITE_DEVICES; device++) {
		const struct write_queue *queue = &lru->writeback.queue[device];
		uint64_t pages = 0;
		for (uint32_t i = 0; i < queue->count; i++) {
			pages += page_frames(page_of(lru, write_at(queue, i)->frame));
			const struct page_write *write = write_at(queue, i);
			SIM_ASSERT(page_has(lru, write->frame, PG_WRITEBACK));
			SIM_ASSERT(page_has(lru, write->frame, device == WRITE_DISK ? PG_FILE : PG_SWAPCACHE));
			SIM_ASSERT(!i || write_at(queue, i - 1)->done_ns <= write->done_ns);
		}
		SIM_ASSERT(pages == queue->pages);
	}
	for (uint32_t frame = 0; frame < lru->end_pfn; frame++)
		marked += page_has(lru, frame, PG_WRITEBACK) ? page_frames(page_of(lru, frame)) : 0;
	SIM_ASSERT(marked == writeback_pages(lru));
}
