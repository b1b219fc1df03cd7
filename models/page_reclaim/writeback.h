/* SPDX-License-Identifier: MIT
 *
 * writeback.h - pages on their way to a device (PG_writeback): when each write ends, and what becomes of its page then.
 *
 * A page under writeback is clean unless somebody writes to it again, may be mapped and used, keeps its slot or its place in its
 * file, and cannot go. When the write ends, a page that reclaim has marked for that (PG_reclaim) goes to the end of its inactive
 * list, by way of the CPU's batch: it is the next to be looked at.
 *
 * Source: Linux 6.1 mm/page_io.c: __swap_writepage, end_swap_bio_write; mm/filemap.c: folio_end_writeback; mm/swap.c:
 * folio_rotate_reclaimable, lru_move_tail_fn; mm/page-writeback.c: folio_wait_writeback.
 * MODEL: a write has ended once the clock of some CPU has come to its end, which is where that CPU's next op of the LRU begins,
 * or where its wait ends; the interrupt takes no time.
 *
 * Law: pages marked PG_WRITEBACK = writes under way, each of one page or a huge one, which end in the order in which they lie
 * here.
 */
#ifndef MODELS_PAGE_RECLAIM_WRITEBACK_H
#define MODELS_PAGE_RECLAIM_WRITEBACK_H

#include "sim/base.h"

struct page_lru;

/* A device's writes end in the order in which it got them. */
enum write_device { WRITE_SWAP, WRITE_DISK, WRITE_DEVICES };

struct page_write {
	uint32_t frame;
	uint64_t done_ns;
};

struct write_queue {
	struct page_write *at; /* owned; a ring of `room`, which is a power of two */
	uint32_t first, count, room;
	uint64_t pages; /* of 4 KiB, in all its writes */
};

struct writeback {
	struct write_queue queue[WRITE_DEVICES];
};

/* The page has been given to the device, which is done at done_ns, not before what it was given last. */
void writeback_start(struct page_lru *lru, enum write_device device, uint32_t frame, uint64_t done_ns);
/* Ends the writes that have ended on the CPU's clock. */
void writeback_catch_up(struct page_lru *lru, unsigned cpu);
/* folio_wait_writeback(): the CPU sleeps until the page's write has ended, if there is one. */
void writeback_wait(struct page_lru *lru, unsigned cpu, uint32_t frame);
/* When the n-th page from now on is written, n >= 1; UINT64_MAX: so many are not under way. */
uint64_t writeback_nth_end(const struct page_lru *lru, uint32_t n);
uint64_t writeback_pages(const struct page_lru *lru);
/* Compaction moved the page. */
void writeback_moved(struct page_lru *lru, uint32_t from, uint32_t to);
/* Ends all, whenever that is. */
void writeback_finish(struct page_lru *lru, unsigned cpu);
void writeback_release(struct page_lru *lru);
void writeback_check(const struct page_lru *lru);

#endif
