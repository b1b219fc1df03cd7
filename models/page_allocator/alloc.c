/* SPDX-License-Identifier: MIT
 *
 * alloc.c - from gfp flags to a block: which zones may serve a request, which watermark each must keep, and what is tried in
 * which order when none can.
 *
 * Algorithm: walk the zone list from the highest zone the flags allow; the first zone that stays above its watermark and has a
 * block serves. The fast path keeps the low watermark; the slow path wakes kswapd and tries down to what the flags allow.
 * Source: mm/page_alloc.c of Linux 6.1: __alloc_pages, get_page_from_freelist, zone_watermark_fast, __zone_watermark_ok,
 * rmqueue, rmqueue_buddy, __alloc_pages_slowpath, gfp_to_alloc_flags, should_reclaim_retry, __alloc_pages_may_oom,
 * __alloc_pages_bulk; include/linux/gfp.h: gfp_migratetype.
 *
 * MODEL: kswapd is woken but does not run: a boosted watermark stays boosted. Effect: after much mixing of types, free memory
 * is kept a little higher than in a kernel whose kswapd lowers the boost again.
 * MODEL: direct reclaim gets no page back, but is taken to have made progress, so that the highatomic reserve beyond one
 * pageblock and all per-CPU lists are given back before the last try. Compaction moves nothing. Effect: memory runs out
 * where a kernel would drop page cache or compact.
 * MODEL: the OOM killer frees nothing: the request fails. __GFP_NOFAIL gets the reserves and then fails too (a kernel loops).
 * MODEL: no task is a real-time task, an OOM victim or a reclaimer (PF_MEMALLOC); no cpusets; one node.
 */
#include "models/page_allocator/buddy.h"

/* mm/internal.h: how often the slow path goes round without progress. */
#define MAX_RECLAIM_RETRIES 16

/* What stays the same through one request (struct alloc_context). */
struct request {
	unsigned order, type, cpu;
	gfp flags;
	unsigned highest_zone; /* zone index: lowmem_reserve[highest_zone] is kept from it */
};

static unsigned gfp_migratetype(const struct buddy *buddy, gfp flags)
{
	if (buddy->mobility_disabled)
		return MIGRATE_UNMOVABLE;
	/* MODEL: both mobility flags at once, which the kernel forbids, count as movable. */
	if (flags & __GFP_MOVABLE)
		return MIGRATE_MOVABLE;
	return flags & __GFP_RECLAIMABLE ? MIGRATE_RECLAIMABLE : MIGRATE_UNMOVABLE;
}

/* Free memory that does not count: what a block of the order may leave over, and the reserve of others. */
static int64_t unusable_free(const struct zone *zone, unsigned order, unsigned alloc_flags)
{
	int64_t unusable = (1 << order) - 1;
	if (!(alloc_flags & ALLOC_RESERVES))
		unusable += (int64_t)zone->nr_reserved_highatomic;
	return unusable;
}

static bool has_block(const struct zone *zone, unsigned order, unsigned alloc_flags)
{
	unsigned orders = 0;
	for (unsigned type = 0; type < MIGRATE_PCPTYPES; type++)
		orders |= zone->nonempty[type];
	if (alloc_flags & (ALLOC_HIGHATOMIC | ALLOC_OOM))
		orders |= zone->nonempty[MIGRATE_HIGHATOMIC];
	return orders >> order;
}

/* __zone_watermark_ok(): enough is left above `mark`, and for an order above 0 there is a block. */
static bool watermark_ok(const struct zone *zone, unsigned order, int64_t mark, unsigned highest_zone, unsigned alloc_flags,
                         int64_t free_pages)
{
	int64_t min = mark;
	free_pages -= unusable_free(zone, order, alloc_flags);
	if (alloc_flags & ALLOC_MIN_RESERVE) {
		min -= min / 2;
		if (alloc_flags & ALLOC_NON_BLOCK)
			min -= min / 4;
	}
	if (alloc_flags & ALLOC_OOM)
		min -= min / 2;
	if (free_pages <= min + (int64_t)zone->lowmem_reserve[highest_zone])
		return false;
	return order == 0 || has_block(zone, order, alloc_flags);
}

/* zone_watermark_fast(), for a mark that already holds the boost. */
static bool watermark_fast(const struct zone *zone, const struct request *request, int64_t mark, unsigned alloc_flags)
{
	int64_t free_pages = zone_free_pages(zone);
	if (!request->order) {
		int64_t usable = free_pages - unusable_free(zone, 0, alloc_flags);
		if ((usable < 0 ? 0 : usable) > mark + (int64_t)zone->lowmem_reserve[request->highest_zone])
			return true;
	}
	if (watermark_ok(zone, request->order, mark, request->highest_zone, alloc_flags, free_pages))
		return true;
	if (request->order || !(request->flags & __GFP_ATOMIC) || !zone->watermark_boost ||
	    (alloc_flags & ALLOC_WMARK_MASK) != ALLOC_WMARK_MIN)
		return false;
	return watermark_ok(zone, 0, (int64_t)zone->watermark[WMARK_MIN], request->highest_zone, alloc_flags, free_pages);
}

static int64_t boosted_watermark(const struct zone *zone, unsigned alloc_flags)
{
	unsigned wmark = alloc_flags & ALLOC_WMARK_MASK;
	return (int64_t)(zone->watermark[wmark] + zone->watermark_boost);
}

static void touch_watermark(const struct buddy *buddy, const struct zone *zone)
{
	step_read(buddy->steps, vaddr_of(zone->address.addr + ZONE_WATERMARK_OFFSET), ZONE_WATERMARK_BYTES);
	step_read(buddy->steps, vaddr_of(zone->address.addr + ZONE_VM_STAT_OFFSET), sizeof(uint64_t));
}

/* rmqueue_buddy(): straight from the free lists. */
static uint32_t rmqueue_buddy(struct buddy *buddy, struct zone *zone, const struct request *request, unsigned alloc_flags)
{
	uint32_t nr = BLOCK_NONE;
	step_lock(buddy->steps, zone_lock_address(zone));
	if (alloc_flags & ALLOC_HIGHATOMIC)
		nr = rmqueue_smallest(buddy, zone, request->order, MIGRATE_HIGHATOMIC);
	if (nr == BLOCK_NONE)
		nr = rmqueue_locked(buddy, zone, request->order, request->type, alloc_flags);
	if (nr == BLOCK_NONE && alloc_flags & (ALLOC_OOM | ALLOC_NON_BLOCK))
		nr = rmqueue_smallest(buddy, zone, request->order, MIGRATE_HIGHATOMIC);
	if (nr != BLOCK_NONE) {
		zone_mod_free_pages(buddy, zone, request->cpu, -(1 << request->order));
		buddy->counters.buddy_alloc_pages += 1ull << request->order;
		buddy->counters.alloc_buddy++;
	}
	step_unlock(buddy->steps, zone_lock_address(zone));
	step_spend(buddy->steps, buddy->cost.page_alloc_slow);
	return nr;
}

static uint32_t rmqueue(struct buddy *buddy, struct zone *zone, const struct request *request, unsigned alloc_flags)
{
	uint32_t nr = BLOCK_NONE;
	if (pcp_allowed_order(buddy, request->order))
		nr = rmqueue_pcplist(buddy, zone, request->order, request->type, alloc_flags, request->cpu);
	if (nr != BLOCK_NONE)
		buddy->counters.alloc_pcp++;
	else
		nr = rmqueue_buddy(buddy, zone, request, alloc_flags);
	if (zone->boosted) {
		zone->boosted = false;
		buddy->counters.kswapd_wake_boost++;
	}
	return nr;
}

static void count_pgalloc(struct buddy *buddy, const struct zone *zone, uint64_t pages)
{
	uint64_t *const by_kind[ZONE_KINDS] = {
	        [ZONE_DMA] = &buddy->counters.pgalloc_dma,         [ZONE_DMA32] = &buddy->counters.pgalloc_dma32,
	        [ZONE_NORMAL] = &buddy->counters.pgalloc_normal,   [ZONE_HIGHMEM] = &buddy->counters.pgalloc_high,
	        [ZONE_MOVABLE] = &buddy->counters.pgalloc_movable,
	};
	*by_kind[zone->kind] += pages;
}

/* prep_new_page(): the block is its owner's. */
static void hand_out(struct buddy *buddy, const struct zone *zone, uint32_t nr, unsigned order, gfp flags)
{
	struct frame *frame = frame_at(buddy, nr);
	frame->state = FRAME_ALLOCATED;
	frame->order = (uint8_t)order;
	frame->lru = buddy->movable_is_lru && !order && flags & __GFP_MOVABLE;
	count_pgalloc(buddy, zone, 1ull << order);
	if (!buddy->steps->recording)
		return;
	step_write(buddy->steps, layout_struct_page(buddy->layout, pfn_of(nr)), buddy->layout->page_struct_bytes << order);
	if (flags & __GFP_ZERO)
		step_write(buddy->steps, layout_page_address(buddy->layout, pfn_of(nr)), PAGE_SIZE << order);
}

/* One walk over the zones with these flags. */
static uint32_t walk_zones(struct buddy *buddy, const struct request *request, unsigned alloc_flags)
{
	const uint8_t *zonelist = buddy->zonelist[request->highest_zone];
	unsigned length = buddy->zonelist_length[request->highest_zone];
	for (unsigned i = 0; i < length; i++) {
		struct zone *zone = &buddy->zones[zonelist[i]];
		touch_watermark(buddy, zone);
		/* ALLOC_NO_WATERMARKS stands in the watermark's bits alone: there is no mark to look up. */
		if (!(alloc_flags & ALLOC_NO_WATERMARKS) &&
		    !watermark_fast(zone, request, boosted_watermark(zone, alloc_flags), alloc_flags))
			continue;
		uint32_t nr = rmqueue(buddy, zone, request, alloc_flags);
		if (nr == BLOCK_NONE)
			continue;
		hand_out(buddy, zone, nr, request->order, request->flags);
		if (alloc_flags & ALLOC_HIGHATOMIC)
			reserve_highatomic_pageblock(buddy, zone, nr);
		return nr;
	}
	return BLOCK_NONE;
}

static uint32_t get_page_from_freelist(struct buddy *buddy, const struct request *request, unsigned alloc_flags)
{
	uint32_t nr = walk_zones(buddy, request, alloc_flags);
	if (nr == BLOCK_NONE && alloc_flags & ALLOC_NOFRAGMENT)
		nr = walk_zones(buddy, request, alloc_flags & ~(unsigned)ALLOC_NOFRAGMENT);
	return nr;
}

/* alloc_flags_nofragment(): a request for Normal tries DMA32 before it mixes types in Normal. */
static unsigned nofragment_flags(const struct buddy *buddy, const struct request *request)
{
	unsigned alloc_flags = request->flags & __GFP_KSWAPD_RECLAIM;
	if (!buddy->has_dma32 || !buddy->zonelist_length[request->highest_zone])
		return alloc_flags;
	if (buddy->zones[buddy->zonelist[request->highest_zone][0]].kind == ZONE_NORMAL)
		alloc_flags |= ALLOC_NOFRAGMENT;
	return alloc_flags;
}

/* gfp_to_alloc_flags(): what the slow path may do. __GFP_HIGH and __GFP_KSWAPD_RECLAIM have the bits of their ALLOC_ flags. */
static unsigned gfp_to_alloc_flags(const struct request *request)
{
	unsigned alloc_flags = ALLOC_WMARK_MIN | (request->flags & (__GFP_HIGH | __GFP_KSWAPD_RECLAIM));
	if (request->flags & (__GFP_DIRECT_RECLAIM | __GFP_NOMEMALLOC))
		return alloc_flags;
	alloc_flags |= ALLOC_NON_BLOCK;
	if (request->order && alloc_flags & ALLOC_MIN_RESERVE)
		alloc_flags |= ALLOC_HIGHATOMIC;
	return alloc_flags;
}

/* __alloc_pages_direct_reclaim() with a reclaim that finds nothing. */
static uint32_t direct_reclaim(struct buddy *buddy, const struct request *request, unsigned alloc_flags)
{
	buddy->counters.allocstall++;
	uint32_t nr = get_page_from_freelist(buddy, request, alloc_flags);
	if (nr != BLOCK_NONE)
		return nr;
	unreserve_highatomic_pageblock(buddy, request->highest_zone, request->type, false);
	drain_all_pages(buddy, request->cpu);
	buddy->counters.pcp_drain_all++;
	return get_page_from_freelist(buddy, request, alloc_flags);
}

/* Free pages of a zone with what the CPUs hold back (zone_page_state_snapshot). */
static int64_t free_pages_snapshot(const struct buddy *buddy, const struct zone *zone)
{
	int64_t pages = zone->free_pages;
	for (unsigned cpu = 0; cpu < buddy->cpus; cpu++)
		pages += zone->pcp[cpu].free_pages_delta;
	return pages < 0 ? 0 : pages;
}

/* should_reclaim_retry() without anything reclaimable: go round again if some zone would do, or a reserve was given up. */
static bool should_retry(struct buddy *buddy, const struct request *request, unsigned alloc_flags, unsigned *no_progress_loops)
{
	if (++*no_progress_loops <= MAX_RECLAIM_RETRIES) {
		for (unsigned i = 0; i < buddy->zonelist_length[request->highest_zone]; i++) {
			const struct zone *zone = &buddy->zones[buddy->zonelist[request->highest_zone][i]];
			if (watermark_ok(zone, request->order, boosted_watermark(zone, ALLOC_WMARK_MIN), request->highest_zone,
			                 alloc_flags, free_pages_snapshot(buddy, zone)))
				return true;
		}
	}
	return unreserve_highatomic_pageblock(buddy, request->highest_zone, request->type, true);
}

/* What is left when reclaim has failed (__alloc_pages_may_oom and what follows it). */
static uint32_t last_resort(struct buddy *buddy, const struct request *request)
{
	uint32_t nr = BLOCK_NONE;
	if (!(request->flags & __GFP_NORETRY))
		nr = get_page_from_freelist(buddy, request, ALLOC_WMARK_HIGH);
	if (nr == BLOCK_NONE && request->flags & __GFP_NOFAIL)
		nr = get_page_from_freelist(buddy, request, ALLOC_NO_WATERMARKS);
	return nr;
}

/* A costly request that must not insist stops where compaction, tried first for it, says that it cannot help. */
static bool gives_up_after_compaction(const struct request *request)
{
	return request->order > PAGE_ALLOC_COSTLY_ORDER && request->flags & __GFP_NORETRY && request->flags & __GFP_IO &&
	       (!(request->flags & __GFP_MEMALLOC) || request->flags & __GFP_NOMEMALLOC);
}

static uint32_t slowpath_with_reclaim(struct buddy *buddy, const struct request *request, unsigned alloc_flags)
{
	unsigned no_progress_loops = 0;
	for (;;) {
		uint32_t nr = direct_reclaim(buddy, request, alloc_flags);
		if (nr != BLOCK_NONE)
			return nr;
		if (request->flags & __GFP_NORETRY)
			return last_resort(buddy, request);
		if (request->order > PAGE_ALLOC_COSTLY_ORDER && !(request->flags & __GFP_RETRY_MAYFAIL))
			return request->flags & __GFP_NOFAIL ? last_resort(buddy, request) : BLOCK_NONE;
		if (!should_retry(buddy, request, alloc_flags, &no_progress_loops))
			return last_resort(buddy, request);
		nr = get_page_from_freelist(buddy, request, alloc_flags);
		if (nr != BLOCK_NONE)
			return nr;
	}
}

static uint32_t try_slowpath(struct buddy *buddy, struct request *request)
{
	/* Atomic and blocking at once contradict each other; the kernel warns and takes it as blocking. */
	if ((request->flags & (__GFP_ATOMIC | __GFP_DIRECT_RECLAIM)) == (__GFP_ATOMIC | __GFP_DIRECT_RECLAIM))
		request->flags &= ~(gfp)__GFP_ATOMIC;
	unsigned alloc_flags = gfp_to_alloc_flags(request);
	if (!buddy->zonelist_length[request->highest_zone])
		return BLOCK_NONE;
	if (alloc_flags & ALLOC_KSWAPD)
		buddy->counters.kswapd_wake_slowpath++;
	uint32_t nr = get_page_from_freelist(buddy, request, alloc_flags);
	if (nr != BLOCK_NONE)
		return nr;
	if (request->flags & __GFP_DIRECT_RECLAIM && gives_up_after_compaction(request))
		return last_resort(buddy, request);
	if (request->flags & __GFP_MEMALLOC && !(request->flags & __GFP_NOMEMALLOC))
		alloc_flags = ALLOC_NO_WATERMARKS | (alloc_flags & ALLOC_KSWAPD);
	nr = get_page_from_freelist(buddy, request, alloc_flags);
	if (nr != BLOCK_NONE || !(request->flags & __GFP_DIRECT_RECLAIM))
		return nr;
	return slowpath_with_reclaim(buddy, request, alloc_flags);
}

static uint32_t slowpath(struct buddy *buddy, struct request *request)
{
	buddy->counters.allocslow++;
	uint32_t nr = try_slowpath(buddy, request);
	if (nr == BLOCK_NONE)
		buddy->counters.allocslow_fail++;
	else
		buddy->counters.allocslow_success++;
	return nr;
}

static unsigned highest_zone_of(const struct buddy *buddy, gfp flags)
{
	return buddy->gfp_zone[flags & (__GFP_DMA | __GFP_HIGHMEM | __GFP_DMA32 | __GFP_MOVABLE)];
}

pfn buddy_alloc(struct page_allocator *pages, unsigned order, gfp flags, unsigned cpu)
{
	struct buddy *buddy = buddy_of(pages);
	struct request request = {
	        .order = order,
	        .type = gfp_migratetype(buddy, flags),
	        .cpu = cpu,
	        .flags = flags,
	        .highest_zone = highest_zone_of(buddy, flags),
	};
	SIM_ASSERT(cpu < buddy->cpus);
	buddy->counters.alloc_requests++;
	step_spend(buddy->steps, buddy->cost.page_alloc_fast);
	uint32_t nr = BLOCK_NONE;
	if (order < ORDERS) {
		nr = get_page_from_freelist(buddy, &request, ALLOC_WMARK_LOW | nofragment_flags(buddy, &request));
		if (nr == BLOCK_NONE)
			nr = slowpath(buddy, &request);
	}
	if (nr == BLOCK_NONE)
		buddy->counters.alloc_fail++;
	return nr == BLOCK_NONE ? PFN_NONE : pfn_of(nr);
}

/* The first zone that stays above low + wanted, as the bulk allocator asks; NULL if none does. */
static struct zone *bulk_zone(struct buddy *buddy, const struct request *request, unsigned wanted)
{
	const uint8_t *zonelist = buddy->zonelist[request->highest_zone];
	struct request first = *request;
	if (!buddy->zonelist_length[request->highest_zone])
		return NULL;
	/* The kernel checks against the reserve for the preferred zone here, not for the highest one allowed. */
	first.highest_zone = buddy->zones[zonelist[0]].index;
	for (unsigned i = 0; i < buddy->zonelist_length[request->highest_zone]; i++) {
		struct zone *zone = &buddy->zones[zonelist[i]];
		touch_watermark(buddy, zone);
		if (watermark_fast(zone, &first, boosted_watermark(zone, ALLOC_WMARK_LOW) + wanted, ALLOC_WMARK_LOW))
			return zone;
	}
	return NULL;
}

static unsigned take_bulk(struct buddy *buddy, const struct request *request, unsigned wanted, pfn *frames)
{
	struct zone *zone = wanted > 1 ? bulk_zone(buddy, request, wanted) : NULL;
	if (!zone)
		return 0;
	step_spend(buddy->steps, buddy->cost.page_alloc_fast);
	unsigned taken = rmqueue_pcplist_bulk(buddy, zone, request->type, ALLOC_WMARK_LOW, request->cpu, wanted, frames);
	buddy->counters.alloc_requests += taken;
	buddy->counters.alloc_pcp += taken;
	for (unsigned i = 0; i < taken; i++)
		hand_out(buddy, zone, frames[i].nr, 0, request->flags);
	buddy->port.allocated_pages += taken;
	return taken;
}

unsigned buddy_alloc_bulk(struct page_allocator *pages, gfp flags, unsigned cpu, unsigned wanted, pfn *frames)
{
	struct buddy *buddy = buddy_of(pages);
	struct request request = {
	        .type = gfp_migratetype(buddy, flags),
	        .cpu = cpu,
	        .flags = flags,
	        .highest_zone = highest_zone_of(buddy, flags),
	};
	SIM_ASSERT(cpu < buddy->cpus);
	if (!wanted)
		return 0;
	unsigned taken = take_bulk(buddy, &request, wanted, frames);
	if (taken)
		return taken;
	frames[0] = page_alloc(pages, 0, flags, cpu);
	return frames[0].nr != UINT32_MAX;
}
