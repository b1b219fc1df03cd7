/* SPDX-License-Identifier: MIT
 *
 * request.h - one request of the buddy model on its way: what its parts hand to each other once the flags are read.
 *
 *   alloc.c     watermarks, the walk over the zones, the fast path, bulk allocation
 *   slowpath.c  what is tried, in which order, when no zone serves
 *   compact.c   moving pages so that free frames join
 *   reclaim.c   the load model: page cache and slab that can be taken back, by the request itself or by kswapd
 *
 * Source: struct alloc_context (mm/internal.h), enum compact_result and enum compact_priority (include/linux/compaction.h) of
 * Linux 6.1.
 */
#ifndef MODELS_PAGE_ALLOCATOR_REQUEST_H
#define MODELS_PAGE_ALLOCATOR_REQUEST_H

#include "models/page_allocator/buddy.h"

/* mm/internal.h: how often the slow path goes round without progress, and kswapd tries before it leaves a node alone. */
#define MAX_RECLAIM_RETRIES 16

/* What stays the same through one request (struct alloc_context). */
struct request {
	unsigned order, type, cpu;
	gfp flags;
	unsigned highest_zone; /* zone index: lowmem_reserve[highest_zone] is kept from it */
	const struct zonelist *zonelist;
};

/* --- alloc.c --- */

/* __zone_watermark_ok(): enough is left above `mark`, and for an order above 0 there is a block. */
bool watermark_ok(const struct zone *zone, unsigned order, int64_t mark, unsigned highest_zone, unsigned alloc_flags,
                  int64_t free_pages);
/* zone_statistics(): whether the blocks come from the node that was asked first, and whether that is the CPU's own. */
void count_nodes(struct buddy *buddy, const struct zone *zone, const struct request *request, uint64_t blocks);
/* prepare_alloc_pages(): what follows from the flags and the CPU. */
struct request request_of(const struct buddy *buddy, unsigned order, gfp flags, unsigned cpu);
/* Walks the zones of the request once. BLOCK_NONE if none serves. */
uint32_t get_page_from_freelist(struct buddy *buddy, const struct request *request, unsigned alloc_flags);
/* prep_new_page(): the block is its owner's. */
void hand_out(struct buddy *buddy, const struct zone *zone, uint32_t nr, unsigned order, gfp flags, unsigned cpu);

/* The watermark that the lowest two bits of alloc_flags choose, with its boost. */
static inline int64_t boosted_watermark(const struct zone *zone, unsigned alloc_flags)
{
	return (int64_t)(zone->watermark[alloc_flags & ALLOC_WMARK_MASK] + zone->watermark_boost);
}

/* Free pages of a zone with what the CPUs hold back (zone_page_state_snapshot). */
static inline int64_t free_pages_snapshot(const struct buddy *buddy, const struct zone *zone)
{
	int64_t pages = zone->free_pages;
	for (unsigned cpu = 0; cpu < buddy->cpus; cpu++)
		pages += zone->pcp[cpu].free_pages_delta;
	return pages < 0 ? 0 : pages;
}

/* --- slowpath.c --- */

/* __alloc_pages_slowpath(). May change request->flags. */
uint32_t alloc_slowpath(struct buddy *buddy, struct request *request);

/* --- compact.c --- */

/* Ascending: the best result of several zones is the largest. */
enum compact_result {
	COMPACT_NOT_SUITABLE_ZONE, /* only inside compaction_suitable() */
	COMPACT_SKIPPED,           /* too few free frames to move anything to */
	COMPACT_DEFERRED,          /* it failed not long ago */
	COMPACT_NO_SUITABLE_PAGE,  /* only inside compact_finished() */
	COMPACT_CONTINUE,
	COMPACT_COMPLETE,        /* the whole zone was scanned in vain */
	COMPACT_PARTIAL_SKIPPED, /* a part of the zone was scanned in vain */
	COMPACT_CONTENDED,       /* given up in between */
	COMPACT_SUCCESS
};

/* Descending effort; a lower number is tried later. */
enum compact_priority { COMPACT_PRIO_SYNC_FULL, COMPACT_PRIO_SYNC_LIGHT, COMPACT_PRIO_ASYNC };

/* Whether a zone is worth compacting for an order: SKIPPED, SUCCESS (a block is there already) or CONTINUE. */
enum compact_result compaction_suitable(const struct zone *zone, unsigned order, unsigned alloc_flags, unsigned highest_zone);
/* The same by the watermarks alone, if `free_pages` were free. */
enum compact_result compaction_suitable_with(const struct zone *zone, unsigned order, unsigned alloc_flags, unsigned highest_zone,
                                             int64_t free_pages);
/*
 * Compacts the zones of the request one after the other. A block that became whole on the way and was caught is *captured
 * (BLOCK_NONE: none); it is not handed out yet.
 */
enum compact_result try_to_compact_pages(struct buddy *buddy, const struct request *request, unsigned alloc_flags,
                                         enum compact_priority priority, uint32_t *captured);
/* compaction_defer_reset(): it worked for this order, or (alloc_success) even gave the block. */
void compaction_defer_reset(struct zone *zone, unsigned order, bool alloc_success);
/* compact_gap(): free frames that moving pages for an order needs beyond the watermark. */
static inline uint64_t compact_gap(unsigned order)
{
	return 2ull << order;
}
/* Forgets which pageblocks had nothing to give, in the node's zones that were scanned whole. */
void reset_isolation_suitable(struct buddy *buddy, unsigned node);
void wakeup_kcompactd(struct buddy *buddy, unsigned node, unsigned order, unsigned highest_zone);
/* Lets kcompactd of a node do what it was woken for; `cpu` does the work. */
void kcompactd_do_work(struct buddy *buddy, unsigned node, unsigned cpu);

/* --- reclaim.c --- */

/* What could be reclaimed in a zone; the free pages where nothing can be (zone_reclaimable_pages). */
uint64_t zone_reclaimable_pages(const struct buddy *buddy, const struct zone *zone);
/* Direct reclaim for a request. Returns how many pages came free; 1 as well if compaction can already go ahead. */
uint64_t try_to_free_pages(struct buddy *buddy, const struct request *request);
/* Wakes the kswapd of the zone's node for an order if the node needs it. */
void wakeup_kswapd(struct buddy *buddy, const struct zone *zone, gfp flags, unsigned order, unsigned highest_zone);
/* The kswapds that were woken run until they sleep, on `cpu`; kcompactd after them. */
void daemons_turn(struct buddy *buddy, unsigned cpu);

#endif
