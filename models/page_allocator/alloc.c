/* SPDX-License-Identifier: MIT
 *
 * alloc.c - from gfp flags to a block: which zones may serve a request, and which watermark each must keep.
 *
 * Algorithm: walk the zone list from the highest zone the flags allow; the first zone that stays above its watermark and has a
 * block serves. The fast path keeps the low watermark; slowpath.c has what follows when it fails.
 * Source: mm/page_alloc.c of Linux 6.1: __alloc_pages, get_page_from_freelist, zone_watermark_fast, __zone_watermark_ok,
 * rmqueue, rmqueue_buddy, alloc_flags_nofragment, __alloc_pages_bulk; include/linux/gfp.h: gfp_migratetype.
 *
 * MODEL: no cpusets, no dirty limit of a node, no node reclaim (vm.zone_reclaim_mode 0, the default). A request prefers the
 * node of its CPU: no memory policies.
 */
#include "models/kernel_code.h"
#include "models/page_allocator/request.h"

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

bool watermark_ok(const struct zone *zone, unsigned order, int64_t mark, unsigned highest_zone, unsigned alloc_flags,
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

/* zone_watermark_fast(); for a block of several pages __zone_watermark_ok() also looks for a list that has one. */
static void touch_watermark(const struct buddy *buddy, const struct zone *zone, const struct request *request,
                            unsigned alloc_flags)
{
	struct steps *steps = buddy->steps;
	if (!steps->recording)
		return;
	step_read(steps, zone_field(zone, ZONE_VM_STAT_OFFSET), ZONE_WORD);
	step_read(steps, zone_field(zone, ZONE_BOOST_OFFSET), ZONE_WORD);
	step_read(steps, zone_field(zone, ZONE_WATERMARK_OFFSET + (alloc_flags & ALLOC_WMARK_MASK) * ZONE_WORD), ZONE_WORD);
	step_read(steps, zone_field(zone, ZONE_HIGHATOMIC_OFFSET), ZONE_WORD);
	step_read(steps, zone_field(zone, ZONE_LOWMEM_RESERVE_OFFSET + request->highest_zone * ZONE_WORD), ZONE_WORD);
	for (unsigned order = request->order; request->order && order < ORDERS; order++) {
		step_read(steps, zone_field(zone, ZONE_FREE_AREA_OFFSET + order * ZONE_FREE_AREA_BYTES + ZONE_NR_FREE_OFFSET),
		          ZONE_WORD);
		for (unsigned type = 0; type < MIGRATE_PCPTYPES; type++) {
			bool empty = !(zone->nonempty[type] >> order & 1);
			if (zone->nonempty[MIGRATE_UNMOVABLE] >> order & 1 || zone->nonempty[MIGRATE_MOVABLE] >> order & 1 ||
			    zone->nonempty[MIGRATE_RECLAIMABLE] >> order & 1)
				step_read(steps, free_list_address(zone, order, type), ZONE_WORD);
			if (!empty)
				return;
		}
	}
}

/* rmqueue_buddy(): straight from the free lists. */
static uint32_t rmqueue_buddy(struct buddy *buddy, struct zone *zone, const struct request *request, unsigned alloc_flags)
{
	uint32_t nr = BLOCK_NONE;
	step_path(buddy->steps, PATH_LISTS);
	step_run(buddy->steps, CODE_PAGE_ZONE_ALLOC, buddy->cost.page_zone_alloc);
	step_lock_irqsave(buddy->steps, zone_lock_address(zone));
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
	step_unlock_irqrestore(buddy->steps, zone_lock_address(zone));
	if (nr != BLOCK_NONE)
		touch_check_pages(buddy, nr, request->order);
	return nr;
}

void count_nodes(struct buddy *buddy, const struct zone *zone, const struct request *request, uint64_t blocks)
{
	bool preferred = request->zonelist->length && zone->node == buddy->zones[request->zonelist->zones[0]].node;
	bool local = zone->node == buddy->node_of_cpu[request->cpu];
	*(preferred ? &buddy->counters.numa_hit : &buddy->counters.numa_miss) += blocks;
	*(local ? &buddy->counters.numa_local : &buddy->counters.numa_other) += blocks;
}

/* __count_zid_vm_events(), zone_statistics() of a zone of the preferred node that is the CPU's own. */
static void touch_statistics(const struct buddy *buddy, const struct zone *zone, uint32_t nr, unsigned cpu)
{
	page_read(buddy, nr, PAGE_FLAGS);
	touch_vm_event(buddy, cpu, VM_EVENT_PGALLOC_OFFSET);
	step_read(buddy->steps, zone_field(zone, ZONE_NODE_OFFSET), INT_BYTES);
	step_read(buddy->steps, zone_field(zone, ZONE_ZONESTATS_OFFSET), ZONE_WORD);
	step_use(buddy->steps);
	step_update(buddy->steps, zone_stat_field(buddy, zone, cpu, ZONESTAT_NUMA_HIT_OFFSET), ZONE_WORD);
	step_update(buddy->steps, zone_stat_field(buddy, zone, cpu, ZONESTAT_NUMA_LOCAL_OFFSET), ZONE_WORD);
}

static uint32_t rmqueue(struct buddy *buddy, struct zone *zone, const struct request *request, unsigned alloc_flags)
{
	uint32_t nr = BLOCK_NONE;
	if (pcp_allowed_order(buddy, request->order) && !buddy->port.lists_locked)
		nr = rmqueue_pcplist(buddy, zone, request->order, request->type, alloc_flags, request->cpu);
	if (nr != BLOCK_NONE)
		buddy->counters.alloc_pcp++;
	else
		nr = rmqueue_buddy(buddy, zone, request, alloc_flags);
	if (nr != BLOCK_NONE) {
		count_nodes(buddy, zone, request, 1);
		touch_statistics(buddy, zone, nr, request->cpu);
	}
	step_read(buddy->steps, zone_field(zone, ZONE_FLAGS_OFFSET), ZONE_WORD);
	if (zone->boosted) {
		zone->boosted = false;
		buddy->counters.kswapd_wake_boost++;
		wakeup_kswapd(buddy, zone, 0, 0, zone->index);
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

/* prep_new_page(), post_alloc_hook(), prep_compound_page(): the zeroing aside, each tail of a compound page is made one. */
static void touch_new_page(const struct buddy *buddy, uint32_t nr, unsigned order, gfp flags, bool zeroed, unsigned cpu)
{
	page_write(buddy, nr, PAGE_PRIVATE);
	step_write(buddy->steps, page_refcount_address(buddy, nr), INT_BYTES);
	if (zeroed)
		page_contents_clear(&buddy->contents, pfn_of(nr), order, cpu);
	if (order && flags & __GFP_COMP) {
		step_update(buddy->steps, page_word_address(buddy, nr, PAGE_FLAGS), page_word_bytes(buddy));
		for (uint32_t tail = nr + 1; tail < nr + (1u << order); tail++) {
			step_run(buddy->steps, CODE_PAGE_TAIL_ALLOC, buddy->cost.page_tail_alloc);
			page_write(buddy, tail, PAGE_MAPPING);
			page_write(buddy, tail, PAGE_LRU);
			page_write(buddy, tail, PAGE_PRIVATE);
		}
		/* compound_dtor, compound_order, compound_mapcount, compound_pincount and compound_nr of the first tail */
		step_write(buddy->steps, vaddr_of(page_word_address(buddy, nr + 1, PAGE_LRU).addr + page_word_bytes(buddy)),
		           LIST_HEAD_BYTES);
	}
	page_write(buddy, nr, PAGE_LRU);
}

void hand_out(struct buddy *buddy, const struct zone *zone, uint32_t nr, unsigned order, gfp flags, unsigned cpu)
{
	struct frame *frame = frame_at(buddy, nr);
	frame->state = FRAME_ALLOCATED;
	frame->order = (uint8_t)order;
	frame->lru = buddy->movable_is_lru && !order && flags & __GFP_MOVABLE;
	frame->compound = order && flags & __GFP_COMP;
	count_pgalloc(buddy, zone, 1ull << order);
	bool zeroed = flags & __GFP_ZERO || buddy->init_on_alloc;
	if (buddy->steps->recording)
		touch_new_page(buddy, nr, order, flags, zeroed, cpu);
	else if (zeroed) /* slots are counted */
		page_contents_clear(&buddy->contents, pfn_of(nr), order, cpu);
}

/*
 * Takes the block from one zone, if the zone stays above its watermark. ALLOC_NO_WATERMARKS stands in the watermark's bits alone:
 * there is no mark to look up.
 */
static uint32_t try_zone(struct buddy *buddy, struct zone *zone, const struct request *request, unsigned alloc_flags)
{
	touch_watermark(buddy, zone, request, alloc_flags);
	if (!(alloc_flags & ALLOC_NO_WATERMARKS) &&
	    !watermark_fast(zone, request, boosted_watermark(zone, alloc_flags), alloc_flags))
		return BLOCK_NONE;
	uint32_t nr = rmqueue(buddy, zone, request, alloc_flags);
	if (nr == BLOCK_NONE)
		return BLOCK_NONE;
	hand_out(buddy, zone, nr, request->order, request->flags, request->cpu);
	if (alloc_flags & ALLOC_HIGHATOMIC)
		reserve_highatomic_pageblock(buddy, zone, nr);
	return nr;
}

/* One walk over the zones. With ALLOC_NOFRAGMENT it ends with the preferred node: being near counts for more. */
static uint32_t walk_zones(struct buddy *buddy, const struct request *request, unsigned alloc_flags)
{
	const struct zonelist *zonelist = request->zonelist;
	for (unsigned i = 0; i < zonelist->length; i++) {
		struct zone *zone = &buddy->zones[zonelist->zones[i]];
		if (alloc_flags & ALLOC_NOFRAGMENT && i && zone->node != buddy->zones[zonelist->zones[0]].node)
			return BLOCK_NONE;
		uint32_t nr = try_zone(buddy, zone, request, alloc_flags);
		if (nr != BLOCK_NONE)
			return nr;
	}
	return BLOCK_NONE;
}

uint32_t get_page_from_freelist(struct buddy *buddy, const struct request *request, unsigned alloc_flags)
{
	uint32_t nr = walk_zones(buddy, request, alloc_flags);
	if (nr == BLOCK_NONE && alloc_flags & ALLOC_NOFRAGMENT)
		nr = walk_zones(buddy, request, alloc_flags & ~(unsigned)ALLOC_NOFRAGMENT);
	return nr;
}

/*
 * alloc_flags_nofragment(): a request for Normal tries DMA32 before it mixes types in Normal; on a machine of several nodes only
 * where its node has DMA32 memory.
 */
static unsigned nofragment_flags(const struct buddy *buddy, const struct request *request)
{
	unsigned alloc_flags = request->flags & __GFP_KSWAPD_RECLAIM;
	if (!buddy->has_dma32 || !request->zonelist->length)
		return alloc_flags;
	const struct zone *preferred = &buddy->zones[request->zonelist->zones[0]];
	step_read(buddy->steps, zone_field(preferred, ZONE_PGDAT_OFFSET), ZONE_WORD); /* zone_idx() */
	if (preferred->kind != ZONE_NORMAL)
		return alloc_flags;
	if (buddy->node_count > 1 && !(preferred->number && preferred[-1].node == preferred->node && preferred[-1].present))
		return alloc_flags;
	return alloc_flags | ALLOC_NOFRAGMENT;
}

/* prepare_alloc_pages(): what follows from the flags and the CPU. */
struct request request_of(const struct buddy *buddy, unsigned order, gfp flags, unsigned cpu)
{
	unsigned highest_zone = buddy->gfp_zone[flags & (__GFP_DMA | __GFP_HIGHMEM | __GFP_DMA32 | __GFP_MOVABLE)];
	unsigned node = buddy->node_of_cpu[cpu];
	return (struct request){
	        .order = order,
	        .type = gfp_migratetype(buddy, flags),
	        .cpu = cpu,
	        .flags = flags,
	        .highest_zone = highest_zone,
	        .zonelist = flags & __GFP_THISNODE ? &buddy->thisnode[node][highest_zone] : &buddy->zonelist[node][highest_zone],
	};
}

pfn buddy_alloc(struct page_allocator *pages, unsigned order, gfp flags, unsigned cpu)
{
	struct buddy *buddy = buddy_of(pages);
	SIM_ASSERT(cpu < buddy->cpus);
	if (buddy->kswapd_countdown && !--buddy->kswapd_countdown)
		daemons_turn(buddy, cpu);
	struct request request = request_of(buddy, order, flags, cpu);
	buddy->counters.alloc_requests++;
	step_run(buddy->steps, CODE_PAGE_ALLOC, buddy->cost.page_alloc);
	uint32_t nr = BLOCK_NONE;
	if (order < ORDERS) {
		nr = get_page_from_freelist(buddy, &request, ALLOC_WMARK_LOW | nofragment_flags(buddy, &request));
		if (nr == BLOCK_NONE)
			nr = alloc_slowpath(buddy, &request);
	}
	if (nr == BLOCK_NONE)
		buddy->counters.alloc_fail++;
	return nr == BLOCK_NONE ? PFN_NONE : pfn_of(nr);
}

/* The first zone of the preferred node that stays above low + wanted, as the bulk allocator asks; NULL if none does. */
static struct zone *bulk_zone(struct buddy *buddy, const struct request *request, unsigned wanted)
{
	const struct zonelist *zonelist = request->zonelist;
	struct request first = *request;
	if (!zonelist->length)
		return NULL;
	/* The kernel checks against the reserve for the preferred zone here, not for the highest one allowed. */
	const struct zone *preferred = &buddy->zones[zonelist->zones[0]];
	first.highest_zone = preferred->index;
	for (unsigned i = 0; i < zonelist->length; i++) {
		struct zone *zone = &buddy->zones[zonelist->zones[i]];
		if (zone->node != preferred->node)
			return NULL;
		touch_watermark(buddy, zone, &first, ALLOC_WMARK_LOW);
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
	step_run(buddy->steps, CODE_PAGE_ALLOC, buddy->cost.page_alloc);
	unsigned taken = rmqueue_pcplist_bulk(buddy, zone, request->type, ALLOC_WMARK_LOW, request->cpu, wanted, frames);
	buddy->counters.alloc_requests += taken;
	buddy->counters.alloc_pcp += taken;
	count_nodes(buddy, zone, request, taken);
	for (unsigned i = 0; i < taken; i++)
		hand_out(buddy, zone, frames[i].nr, 0, request->flags, request->cpu);
	buddy->port.allocated_pages += taken;
	return taken;
}

unsigned buddy_alloc_bulk(struct page_allocator *pages, gfp flags, unsigned cpu, unsigned wanted, pfn *frames)
{
	struct buddy *buddy = buddy_of(pages);
	SIM_ASSERT(cpu < buddy->cpus);
	if (!wanted)
		return 0;
	struct request request = request_of(buddy, 0, flags, cpu);
	unsigned taken = take_bulk(buddy, &request, wanted, frames);
	if (taken)
		return taken;
	frames[0] = page_alloc(pages, 0, flags, cpu);
	return frames[0].nr != UINT32_MAX;
}
