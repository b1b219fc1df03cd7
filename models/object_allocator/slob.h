/* SPDX-License-Identifier: MIT
 *
 * slob.h - what SLOB shows of itself beside its port: its lists of partly free pages, to be compared with a recorded state, and
 * the functions that put such a state into a fresh allocator.
 *
 * A recorded state is loaded page by page, each list from its head: slob_load_page() for every page of a list, then
 * slob_load_object() for each object that is known to live in one of those pages. Space that is neither free nor such an object
 * belongs to somebody unknown: it is never given back by the model, and no address in it can be freed.
 * The page allocator is not told: the state it starts from has the same frames as taken.
 */
#ifndef MODELS_OBJECT_ALLOCATOR_SLOB_H
#define MODELS_OBJECT_ALLOCATOR_SLOB_H

#include "sim/port/object_allocator.h"

/* SLOB counts memory in units of two bytes. */
#define SLOB_UNIT 2u
#define SLOB_PAGE_UNITS (PAGE_SIZE / SLOB_UNIT)

/* The lists of partly free pages, by the size of what is looked for: below 256, below 1024, above. A full page is on none. */
enum slob_list { SLOB_SMALL, SLOB_MEDIUM, SLOB_LARGE, SLOB_LISTS, SLOB_FULL = SLOB_LISTS };

/* A free block of a page. */
struct slob_block {
	uint16_t offset; /* units from the page's start */
	uint16_t units;
};

/* One page on a list. */
struct slob_page_view {
	pfn frame;
	uint32_t units;                  /* free ones */
	const struct slob_block *blocks; /* in address order; valid until the next call of the allocator */
	uint32_t count;
};

/*
 * Walks a list from its head: *cursor starts at 0 and is moved on; false behind the last page.
 */
bool slob_next_page(const struct object_allocator *objects, enum slob_list list, uint32_t *cursor, struct slob_page_view *view);

/*
 * Adds a page with these free blocks to the tail of a list (SLOB_FULL with no block: a page on no list). false with *error if
 * the frame is beyond memory or held already, or the blocks are not ascending, apart from each other and inside the page.
 */
bool slob_load_page(struct object_allocator *objects, enum slob_list list, pfn frame, const struct slob_block *blocks,
                    uint32_t count, struct error *error);

/*
 * Says that the kmem_cache object (or, with CACHE_NONE, the kmalloc object of `size` bytes) at `at` is live in a loaded page, so
 * that it can be freed. The caller adds it to the port's live_objects. false with *error if the place is free or taken.
 */
bool slob_load_object(struct object_allocator *objects, vaddr at, cache_id cache, uint32_t size, struct error *error);

/* slob_state.c: the lists as lines of a state dump. */
void slob_print_state(const struct object_allocator *objects, cache_id one, FILE *out);
bool slob_load_state(struct object_allocator *objects, const struct state_dump *dump, struct error *error);

#endif
