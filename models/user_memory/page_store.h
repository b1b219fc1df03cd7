/* SPDX-License-Identifier: MIT
 *
 * page_store.h - frames by what they hold: page `index` of content `number` (a file, shared memory). Models of user memory keep
 * pages in it that nobody else keeps. Frames come from a page allocator and stay until the store drops them.
 */
#ifndef MODELS_USER_MEMORY_PAGE_STORE_H
#define MODELS_USER_MEMORY_PAGE_STORE_H

#include "sim/port/page_allocator.h"
#include "sim/trace_table.h"

struct page_store {
	struct page_allocator *pages;
	struct number_map contents; /* by number + 1: their pages */
	struct number_map frames;   /* by frame + 1: which page it is */
};

void page_store_init(struct page_store *store, struct page_allocator *pages);
/* Gives everything back. */
void page_store_release(struct page_store *store);

/* Frames that it holds. */
static inline uint64_t page_store_count(const struct page_store *store)
{
	return store->frames.count;
}

/* PFN_NONE: it is not there. */
pfn page_store_find(const struct page_store *store, uint32_t number, uint64_t index);
/* Takes a frame (GFP_HIGHUSER_MOVABLE) for a page that is not there. PFN_NONE: no memory. */
pfn page_store_make(struct page_store *store, uint32_t number, uint64_t index, unsigned cpu);
/* Gives all pages of a content back, in ascending order. */
void page_store_drop(struct page_store *store, uint32_t number, unsigned cpu);
/* A frame that the page allocator moved; false: it is not in the store. */
bool page_store_moved(struct page_store *store, pfn from, pfn to);

#endif
