/* SPDX-License-Identifier: MIT
 *
 * frames.h - the plainest page allocator, for unit tests of what stands on one: blocks in ascending order, each frame used once,
 * with a diary of what was asked for and given back, and a switch that makes requests fail.
 */
#ifndef TESTS_UNIT_FRAMES_H
#define TESTS_UNIT_FRAMES_H

#include "sim/port/page_allocator.h"

#include <string.h>

#define FRAMES_END (1u << 20)
#define FRAMES_DIARY 4096

struct frames {
	struct page_allocator base;
	uint32_t next;
	unsigned fail_from_order; /* requests of this order and above fail */
	uint32_t asked, given;    /* entries of the diaries, the oldest first; later ones are not kept */
	gfp asked_flags[FRAMES_DIARY];
	unsigned asked_order[FRAMES_DIARY];
	uint32_t given_frame[FRAMES_DIARY];
	uint8_t held[FRAMES_END]; /* by first frame: order + 1 */
};

static inline pfn frames_alloc(struct page_allocator *base, unsigned order, gfp flags, unsigned cpu)
{
	struct frames *frames = (struct frames *)base;
	(void)cpu;
	if (frames->asked < FRAMES_DIARY) {
		frames->asked_flags[frames->asked] = flags;
		frames->asked_order[frames->asked++] = order;
	}
	uint32_t count = 1u << order, first = (frames->next + count - 1) & ~(count - 1);
	if (order >= frames->fail_from_order || first + count > FRAMES_END)
		return PFN_NONE;
	frames->next = first + count;
	frames->held[first] = (uint8_t)(order + 1);
	return pfn_of(first);
}

static inline enum page_free_result frames_free(struct page_allocator *base, pfn first, unsigned order, unsigned cpu)
{
	struct frames *frames = (struct frames *)base;
	(void)cpu;
	if (first.nr >= FRAMES_END || frames->held[first.nr] == 0)
		return PAGE_FREE_NOT_ALLOCATED;
	if (frames->held[first.nr] != order + 1)
		return PAGE_FREE_WRONG_ORDER;
	frames->held[first.nr] = 0;
	if (frames->given < FRAMES_DIARY)
		frames->given_frame[frames->given++] = first.nr;
	return PAGE_FREE_OK;
}

static const struct page_allocator_ops frames_ops = {.name = "frames", .alloc = frames_alloc, .free = frames_free};

/* Frames are handed out from `first` on. */
static inline void frames_init(struct frames *frames, uint32_t first)
{
	memset(frames, 0, sizeof *frames);
	frames->base = (struct page_allocator){.ops = &frames_ops, .end_pfn = FRAMES_END, .managed_pages = FRAMES_END};
	frames->next = first;
	frames->fail_from_order = ORDERS;
}

#endif
