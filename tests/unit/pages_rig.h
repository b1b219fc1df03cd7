/* SPDX-License-Identifier: MIT
 *
 * pages_rig.h - processes on the model `mm` whose pages are kept by age, on the zoned page allocator, for tests: made, and taken
 * apart with all laws proved.
 */
#ifndef TESTS_UNIT_PAGES_RIG_H
#define TESTS_UNIT_PAGES_RIG_H

#include "models/page_reclaim/page_cache.h"
#include "models/page_reclaim/process_pages.h"
#include "tests/unit/mm_rig.h"

struct pages_rig {
	struct mm_rig mm;
	struct process_pages *kept;
	struct page_lru *lru;
	uint64_t moved;
};

static inline void pages_rig_moved(void *context, pfn from, pfn to)
{
	struct pages_rig *rig = context;
	rig->moved += rig->mm.users->ops->moved(rig->mm.users, from, to);
}

/* After mm_rig_init() of rig->mm; the test changes what settings it wants between the two. */
static inline void pages_rig_make(struct pages_rig *rig, bool recording)
{
	mm_rig_make(&rig->mm, "buddy", "slub", recording);
	rig->moved = 0;
	rig->mm.pages->moved = (struct page_moved){.tell = pages_rig_moved, .context = rig};
	rig->kept = process_pages_create(&rig->mm.settings, rig->mm.pages, &rig->mm.layout, &rig->mm.steps, rig->mm.users);
	rig->lru = process_pages_lru(rig->kept);
}

static inline void pages_rig_check(const struct pages_rig *rig)
{
	user_memory_check(rig->mm.users);
	page_allocator_check(rig->mm.pages);
	assert_int_equal(rig->mm.pages->allocated_pages,
	                 rig->mm.users->ops->pages_held(rig->mm.users) + rig->mm.objects->ops->pages_held(rig->mm.objects));
}

static inline void pages_rig_end(struct pages_rig *rig)
{
	pages_rig_check(rig);
	user_memory_destroy(rig->mm.users);
	process_pages_destroy(rig->kept);
	object_allocator_check(rig->mm.objects);
	assert_int_equal(rig->mm.pages->allocated_pages, rig->mm.objects->ops->pages_held(rig->mm.objects));
	mm_rig_release(&rig->mm);
}

/* A pass of direct reclaim over the node's lists; how many frames it gave back. */
static inline uint64_t pages_rig_shrink(struct pages_rig *rig, int priority, uint64_t wanted)
{
	struct reclaim_result result = {0};
	const struct reclaim_request request = {.end_pfn = UINT32_MAX,
	                                        .priority = priority,
	                                        .to_reclaim = wanted,
	                                        .flags = GFP_KERNEL,
	                                        .may_swap = true,
	                                        .may_writepage = true,
	                                        .result = &result};
	rig->lru->reclaimer.shrink(rig->lru, &request);
	return result.reclaimed;
}

static inline uint64_t pages_rig_word(const struct pages_rig *rig, process_id process, uint64_t linear)
{
	struct entry entry;
	entry_find(rig->mm.mm, rig->mm.mm->processes[process.nr].space, linear, &entry);
	return entry_word(&entry);
}

/* The slot that an entry names. */
static inline uint32_t pages_rig_slot(const struct pages_rig *rig, process_id process, uint64_t linear)
{
	uint64_t word = pages_rig_word(rig, process, linear);
	assert_true(word & WORD_SWAP && !(word & WORD_PRESENT));
	return (uint32_t)((word & WORD_FRAME) >> WORD_SWAP_SHIFT);
}

#endif
