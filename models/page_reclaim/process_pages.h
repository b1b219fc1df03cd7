/* SPDX-License-Identifier: MIT
 *
 * process_pages.h - the pages of processes, and of the files they map, kept by age: an LRU (page_lru.h) between a page allocator
 * and a model of user memory. It becomes the one's reclaimer and the other's page cache and watcher.
 */
#ifndef MODELS_PAGE_RECLAIM_PROCESS_PAGES_H
#define MODELS_PAGE_RECLAIM_PROCESS_PAGES_H

#include "models/page_reclaim/page_lru.h"

struct settings; /* models/settings.h */
struct process_pages;

/* From the settings swap.*, disk.*, kernel.swappiness and the like. All pointers outlive it; `users` has no process yet. */
struct process_pages *process_pages_create(const struct settings *settings, struct page_allocator *pages, struct layout *layout,
                                           struct steps *steps, struct user_memory *users);
/* After `users`, before the page allocator. */
void process_pages_destroy(struct process_pages *kept);

struct page_lru *process_pages_lru(struct process_pages *kept);
/* For lru_metrics. Laws are checked with those of `users`. */
const void *process_pages_counters(const struct process_pages *kept);

#endif
