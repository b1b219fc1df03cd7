/* SPDX-License-Identifier: MIT
 *
 * lru_rig.h - a page allocator of one small zone, an LRU over it, and a program that is nothing but an array of page-table
 * entries, for the tests of models/page_reclaim.
 */
#ifndef TESTS_UNIT_LRU_RIG_H
#define TESTS_UNIT_LRU_RIG_H

#include "models/page_reclaim/page_cache.h"
#include "models/page_reclaim/page_lru.h"
#include "tests/unit/buddy.h"

#define RIG_PAGES 8192u

struct rig_entry {
	uint32_t frame; /* PAGE_NONE: not mapped */
	uint32_t slot;
	bool accessed, dirty;
};

struct lru_rig {
	struct bench bench;
	struct page_lru *lru;
	struct rig_entry entries[RIG_PAGES]; /* of the program */
	uint32_t page_of_frame[RIG_PAGES];
	struct swap_read_ahead read_ahead;
	uint64_t faults, major;
	uint32_t mapped, swapped;
	unsigned flushes;
	bool executable; /* the program's memory is code */
};

static inline uint32_t rig_mapped(void *context, uint32_t frame)
{
	const struct lru_rig *rig = context;
	return rig->page_of_frame[frame] != PAGE_NONE;
}

static inline uint32_t rig_referenced(void *context, uint32_t frame, bool *executable, unsigned cpu)
{
	struct lru_rig *rig = context;
	struct rig_entry *entry = &rig->entries[rig->page_of_frame[frame]];
	(void)cpu;
	*executable = entry->accessed && rig->executable;
	bool was = entry->accessed;
	entry->accessed = false;
	return was;
}

static inline bool rig_unmap(void *context, uint32_t frame, uint32_t slot, unsigned cpu)
{
	struct lru_rig *rig = context;
	struct rig_entry *entry = &rig->entries[rig->page_of_frame[frame]];
	bool dirty = entry->dirty;
	(void)cpu;
	rig->page_of_frame[frame] = PAGE_NONE;
	*entry = (struct rig_entry){.frame = PAGE_NONE, .slot = slot};
	rig->mapped--;
	rig->swapped += slot != SWAP_SLOT_NONE;
	if (slot != SWAP_SLOT_NONE)
		page_swap_duplicate(rig->lru, slot);
	return dirty;
}

static inline void rig_flush(void *context, bool only_dirty, unsigned cpu)
{
	(void)cpu;
	((struct lru_rig *)context)->flushes += !only_dirty;
}

static inline uint32_t rig_slot_of(void *context, uint64_t page)
{
	return ((struct lru_rig *)context)->entries[page].slot;
}

/* Frames of one zone from 0 on, with these watermarks; swap of so many slots with the header. */
static inline struct lru_rig *rig_make(uint32_t frames, uint32_t min, uint32_t low, uint32_t high, uint32_t slots)
{
	struct lru_rig *rig = xcalloc(1, sizeof *rig);
	bench_describe(&rig->bench, 0, frames);
	struct zone_spec *zone = &rig->bench.spec.zones[0];
	zone->watermark[WMARK_MIN] = min;
	zone->watermark[WMARK_LOW] = low;
	zone->watermark[WMARK_HIGH] = high;
	zone->pcp_high = 0;
	bench_empty(&rig->bench);
	for (uint32_t nr = 0; nr < frames; nr += BLOCK_MAX_FRAMES)
		bench_place(&rig->bench, nr, 10, MIGRATE_MOVABLE);
	bench_pageblocks(&rig->bench, 0, frames / BLOCK_MAX_FRAMES, MIGRATE_MOVABLE);
	bench_start(&rig->bench);
	for (uint32_t page = 0; page < RIG_PAGES; page++) {
		rig->entries[page].frame = PAGE_NONE;
		rig->page_of_frame[page] = PAGE_NONE;
	}
	const struct reverse_map rmap = {
	        .entries = rig_mapped, .referenced = rig_referenced, .unmap = rig_unmap, .flush = rig_flush, .context = rig};
	struct lru_wiring wiring = {
	        .spec = {.swap = {.slots = slots, .cluster_slots = 256},
	                 .swap_device = {80000, 20000, 2000000000, 128},
	                 .disk = {100000, 30000, 1000000000, 128},
	                 .page_cluster = 3,
	                 .swappiness = 60,
	                 .read_ahead_pages = 32,
	                 .pageout_ns = 2000,
	                 .dirty_background_ratio = 10,
	                 .dirty_ratio = 20,
	                 .cpus = 1},
	        .pages = rig->bench.pages,
	        .steps = &rig->bench.steps,
	        .rmap = &rmap,
	};
	rig->lru = page_lru_create(&wiring);
	return rig;
}

static inline void rig_check(struct lru_rig *rig)
{
	uint32_t slots = 0;
	page_lru_check(rig->lru);
	page_allocator_check(rig->bench.pages);
	for (uint32_t slot = 1; slot < rig->lru->swap.slots; slot++)
		slots += swap_entries(&rig->lru->swap, slot);
	assert_int_equal(slots, rig->swapped);
}

static inline bool rig_map(struct lru_rig *rig, uint32_t page, uint32_t frame, bool write)
{
	rig->entries[page] = (struct rig_entry){.frame = frame, .accessed = true, .dirty = write};
	rig->page_of_frame[frame] = page;
	rig->mapped++;
	return true;
}

/* An access of the program, with the fault it takes. False: no memory. */
static inline bool rig_touch(struct lru_rig *rig, uint32_t page, bool write)
{
	struct rig_entry *entry = &rig->entries[page];
	if (entry->frame != PAGE_NONE) {
		entry->accessed = true;
		entry->dirty |= write;
		return true;
	}
	rig->faults++;
	if (entry->slot == SWAP_SLOT_NONE) {
		pfn frame = page_alloc(rig->bench.pages, 0, GFP_HIGHUSER_MOVABLE, 0);
		if (frame.nr == UINT32_MAX)
			return false;
		rig_map(rig, page, frame.nr, write);
		page_lru_add(rig->lru, 0, frame.nr, 0);
		return true;
	}
	uint32_t frame, slot = entry->slot;
	const struct swap_fault fault = {.page = page,
	                                 .end_page = RIG_PAGES,
	                                 .read_ahead = &rig->read_ahead,
	                                 .slot_of = rig_slot_of,
	                                 .context = rig,
	                                 .flags = GFP_HIGHUSER_MOVABLE};
	enum swap_in_result result = page_swap_in(rig->lru, 0, slot, &fault, &frame);
	if (result == SWAP_IN_NO_MEMORY)
		return false;
	rig->major += result == SWAP_IN_MAJOR;
	rig->swapped--;
	page_swapped_in(rig->lru, 0, slot, frame, write);
	return rig_map(rig, page, frame, write);
}

/* The program ends; all its memory goes, and then the LRU. */
static inline void rig_end(struct lru_rig *rig)
{
	page_lru_drain(rig->lru, 0);
	for (uint32_t page = 0; page < RIG_PAGES; page++) {
		struct rig_entry *entry = &rig->entries[page];
		uint32_t frame = entry->frame;
		if (frame != PAGE_NONE) {
			rig->page_of_frame[frame] = PAGE_NONE;
			rig->mapped--;
			page_lru_release(rig->lru, 0, frame);
		} else if (entry->slot != SWAP_SLOT_NONE) {
			rig->swapped--;
			page_swap_entry_gone(rig->lru, 0, entry->slot);
		}
		*entry = (struct rig_entry){.frame = PAGE_NONE};
	}
	rig_check(rig);
	page_lru_settle(rig->lru);
	rig_check(rig);
	swap_drain_stores(&rig->lru->swap);
	assert_int_equal(rig->lru->swap.in_use, 0);
	page_lru_destroy(rig->lru);
	assert_int_equal(rig->bench.pages->allocated_pages, 0);
	bench_end(&rig->bench);
	free(rig);
}

#endif
