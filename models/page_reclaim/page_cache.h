/* SPDX-License-Identifier: MIT
 *
 * page_cache.h - pages of files in memory: which frame holds which page, read-ahead, and who writes what is dirty.
 *
 * A file is a number and a length. A fault that finds its page reads on behind it where a page is marked for that; one that does
 * not reads what lies around it, and waits for the disk. An evicted page leaves its shadow in its place.
 *
 * Source: mm/filemap.c of Linux 6.1: filemap_fault, do_sync_mmap_readahead, do_async_mmap_readahead, filemap_add_folio,
 * next_uptodate_page, filemap_map_pages;
 * mm/readahead.c: page_cache_ra_unbounded, do_page_cache_ra, ondemand_readahead, get_init_ra_size, get_next_ra_size,
 * try_context_readahead, page_cache_async_ra, page_cache_sync_ra; mm/page-writeback.c: domain_dirty_limits,
 * balance_dirty_pages; fs/fs-writeback.c: wb_do_writeback.
 * MODEL: nodes of the files' trees are not allocated; no large folios; a run of neighbouring pages is one request.
 * MODEL: the flusher gives the disk all it has to at once, file after file, each in ascending order, and waits for nobody: when
 * more than dirty_background_ratio percent of free memory and file pages is dirty, until no more is; all files when reclaim wakes
 * it; and every 5 s those that have been dirty for 30 s. With more than dirty_ratio dirty or under writeback who dirties waits
 * until the disk has written all it was given. Limits are looked at where a page is found to be dirty: of one that was written
 * out once that is where it is unmapped, by reclaim, too, which does not wait. A kernel write-protects it then, and looks in the
 * next write's fault.
 *
 * Laws: a page of the cache is marked with its file and its place; dirty pages are counted by chunks, files and all.
 */
#ifndef MODELS_PAGE_RECLAIM_PAGE_CACHE_H
#define MODELS_PAGE_RECLAIM_PAGE_CACHE_H

#include "models/page_reclaim/page_lru.h"

/* The longest file: 256 GiB. */
#define CACHED_FILE_PAGES_MAX (1u << 26)

struct page_cache *page_cache_create(struct page_lru *lru);
/* Pages that are left are given back; none of them may be mapped. */
void page_cache_destroy(struct page_cache *cache);

/* A file of so many pages, 1..CACHED_FILE_PAGES_MAX, of which nothing is in memory. */
uint32_t page_cache_add_file(struct page_cache *cache, uint32_t pages);
/* It has at least so many pages, up to CACHED_FILE_PAGES_MAX. */
void page_cache_grow_file(struct page_cache *cache, uint32_t file, uint32_t pages);
/* Its pages go, written or not; none of them may be mapped. */
void page_cache_remove_file(struct page_cache *cache, unsigned cpu, uint32_t file);

/* PAGE_NONE: not in memory. */
uint32_t page_cache_find(const struct page_cache *cache, uint32_t file, uint32_t index);

/* AGAIN: the page was in memory, but on its way, or more was read behind it: mmap_lock was dropped, as it is for MAJOR. */
enum file_fault_result { FILE_FAULT_MINOR, FILE_FAULT_AGAIN, FILE_FAULT_MAJOR, FILE_FAULT_NO_MEMORY, FILE_FAULT_BEYOND_END };

/* filemap_fault(): the page comes into memory if it is not there, the CPU waits for it, and *frame is pinned. */
enum file_fault_result page_cache_fault(struct page_cache *cache, unsigned cpu, uint32_t file, uint32_t index,
                                        enum file_advice advice, uint32_t *frame);
/*
 * next_uptodate_page(): the first page from *index on, up to `last`, that may be mapped beside the one that a fault asks for: it
 * is whole, and bears no mark. It tells against reading around faults (mmap_miss). *index: its place; PAGE_NONE: there is none.
 */
uint32_t page_cache_next(struct page_cache *cache, unsigned cpu, uint32_t file, uint32_t *index, uint32_t last);

/* The page has been written to. The CPU may have to wait (balance_dirty_pages). */
void page_cache_set_dirty(struct page_cache *cache, unsigned cpu, uint32_t frame);

/* --- for page_lru.c and reclaim.c --- */

/* The same, without a look at the limits. */
void page_cache_found_dirty(struct page_cache *cache, unsigned cpu, uint32_t frame);
/* balance_dirty_pages_ratelimited(): the flusher begins, if it is time, and the CPU waits beyond the limit, if it may. */
void page_cache_balance(struct page_cache *cache, unsigned cpu, bool waits);
/* The page goes to disk, on behalf of a CPU. Returns the time until when that waits for room in the disk's queue. */
uint64_t page_cache_write(struct page_cache *cache, unsigned cpu, uint32_t frame);
/* The page leaves memory, its shadow stays. */
void page_cache_evict(struct page_cache *cache, uint32_t file, uint32_t index, page_shadow shadow);
void page_cache_moved(struct page_cache *cache, uint32_t file, uint32_t index, uint32_t to);
/* wakeup_flusher_threads(): all that is dirty is written. */
void page_cache_wake_flusher(struct page_cache *cache, unsigned cpu);
/* Time has come to an op of the CPU: what has been dirty for long is written. */
void page_cache_tick(struct page_cache *cache, unsigned cpu);
uint64_t page_cache_dirty_pages(const struct page_cache *cache);
void page_cache_check(const struct page_cache *cache);

#endif
