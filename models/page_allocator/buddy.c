/* SPDX-License-Identifier: MIT
 *
 * buddy.c - the page_allocator port over the zoned buddy system of Linux 6.1: wrong frees, views, counters, creation.
 * buddy.h says which file holds what.
 *
 * A free must name the first frame and the order of an allocated block: frame records mark first frames, so a wrong free is
 * found in at most one look per order, and changes nothing.
 * Source: mm/page_alloc.c of Linux 6.1: free_the_page, __free_pages_ok.
 *
 * MODEL: the pages of a block are not split after allocation (split_page); a block is freed as it was allocated.
 * MODEL: an order-0 page allocated with __GFP_MOVABLE counts as a page on an LRU list from allocation to free (user memory and
 * page cache are; it decides whether a movable request takes a whole pageblock over). Effect: none where no pageblock is stolen.
 *
 * Invariant: see buddy.h.
 */
#include "models/kernel_code.h"
#include "models/page_allocator/request.h"

#include <string.h>

/*
 * __free_pages(), free_pages_prepare(): the last reference goes, and every page of the block is looked at: of a compound page
 * the tails lose their mapping, compound_head and flags.
 */
static void touch_prepare_free(const struct buddy *buddy, uint32_t nr, unsigned order)
{
	if (!buddy->steps->recording)
		return;
	step_run(buddy->steps, CODE_PAGE_FREE, buddy->cost.page_free);
	page_read(buddy, nr, PAGE_FLAGS);
	step_atomic(buddy->steps, page_refcount_address(buddy, nr), INT_BYTES);
	page_read(buddy, nr, PAGE_LRU);
	page_read(buddy, nr, PAGE_FLAGS);
	for (uint32_t tail = nr + 1; tail < nr + (1u << order); tail++) {
		step_run(buddy->steps, CODE_PAGE_TAIL_FREE, buddy->cost.page_tail_free);
		if (frame_at(buddy, nr)->compound) {
			page_write(buddy, tail, PAGE_MAPPING);
			page_write(buddy, tail, PAGE_LRU);
		}
		touch_check_pages(buddy, tail, 0);
		page_write(buddy, tail, PAGE_FLAGS);
	}
	step_read(buddy->steps, page_word_address(buddy, nr, PAGE_MAPPING), 1);
	page_write(buddy, nr, PAGE_PRIVATE);
	page_write(buddy, nr, PAGE_FLAGS);
}

static void free_allocated(struct buddy *buddy, uint32_t nr, unsigned order, unsigned cpu)
{
	struct zone *zone = &buddy->zones[frame_at(buddy, nr)->zone];
	frame_at(buddy, nr)->lru = false;
	buddy->counters.frees++;
	buddy->counters.pgfree += 1ull << order;
	touch_prepare_free(buddy, nr, order);
	if (pcp_allowed_order(buddy, order) && !buddy->port.lists_locked) {
		free_unref_page(buddy, zone, nr, order, cpu);
		return;
	}
	step_path(buddy->steps, PATH_LISTS);
	step_run(buddy->steps, CODE_PAGE_ZONE_FREE, buddy->cost.page_zone_free);
	step_read(buddy->steps, pageblock_word(buddy, nr), ZONE_WORD);
	step_lock_irqsave(buddy->steps, zone_lock_address(zone));
	buddy->counters.buddy_free_pages += 1ull << order;
	free_one_page(buddy, zone, nr, order, pageblock_type(buddy, zone, nr), false, cpu);
	step_unlock_irqrestore(buddy->steps, zone_lock_address(zone));
	touch_vm_event(buddy, cpu, VM_EVENT_PGFREE_OFFSET);
}

/* Why a block cannot be freed. */
static enum page_free_result wrong_free(const struct buddy *buddy, uint32_t nr)
{
	if (nr >= buddy->port.end_pfn)
		return PAGE_FREE_NOT_ALLOCATED;
	if (frame_at(buddy, nr)->state == FRAME_ALLOCATED)
		return PAGE_FREE_WRONG_ORDER;
	if (frame_at(buddy, nr)->state != FRAME_REST)
		return PAGE_FREE_NOT_ALLOCATED;
	for (unsigned order = 1; order < ORDERS; order++) {
		const struct frame *head = frame_at(buddy, nr & ~((1u << order) - 1));
		if (head->state != FRAME_REST && head->order >= order)
			return head->state == FRAME_ALLOCATED ? PAGE_FREE_NOT_HEAD : PAGE_FREE_NOT_ALLOCATED;
	}
	return PAGE_FREE_NOT_ALLOCATED;
}

static enum page_free_result buddy_free(struct page_allocator *pages, pfn first, unsigned order, unsigned cpu)
{
	struct buddy *buddy = buddy_of(pages);
	SIM_ASSERT(cpu < buddy->cpus);
	buddy->counters.free_requests++;
	if (first.nr < pages->end_pfn && frame_at(buddy, first.nr)->state == FRAME_ALLOCATED &&
	    frame_at(buddy, first.nr)->order == order) {
		free_allocated(buddy, first.nr, order, cpu);
		/* Not before the free: compaction could move the very page that the caller names. */
		if (buddy->kswapd_countdown && !buddy->reclaiming && !--buddy->kswapd_countdown)
			daemons_turn(buddy, cpu);
		return PAGE_FREE_OK;
	}
	buddy->counters.wrong_frees++;
	return wrong_free(buddy, first.nr);
}

static void buddy_drain(struct page_allocator *pages)
{
	drain_all_pages(buddy_of(pages), 0);
}

static unsigned buddy_zones(const struct page_allocator *pages)
{
	return buddy_const(pages)->zone_count;
}

static void buddy_zone_view(const struct page_allocator *pages, unsigned number, struct zone_view *view)
{
	const struct buddy *buddy = buddy_const(pages);
	SIM_ASSERT(number < buddy->zone_count);
	const struct zone *zone = &buddy->zones[number];
	*view = (struct zone_view){
	        .name = zone->name,
	        .node = zone->node,
	        .start_pfn = zone->start_pfn,
	        .spanned = zone->end_pfn - zone->start_pfn,
	        .present = zone->present,
	        .managed = zone->managed,
	        .watermark_min = zone->watermark[WMARK_MIN],
	        .watermark_low = zone->watermark[WMARK_LOW],
	        .watermark_high = zone->watermark[WMARK_HIGH],
	        .watermark_boost = zone->watermark_boost,
	        .cpus = buddy->cpus,
	};
	memcpy(view->lowmem_reserve, zone->lowmem_reserve, sizeof view->lowmem_reserve);
	memcpy(view->free_blocks, zone->free_blocks, sizeof view->free_blocks);
	memcpy(view->pageblocks, zone->pageblocks, sizeof view->pageblocks);
	for (unsigned order = 0; order < ORDERS; order++)
		for (unsigned type = 0; type < MIGRATE_TYPES; type++)
			view->free_pages += zone->free_blocks[order][type] << order;
	for (unsigned cpu = 0; cpu < buddy->cpus; cpu++) {
		view->pcp[cpu].count = zone->pcp[cpu].count;
		view->pcp[cpu].high = zone->pcp[cpu].high;
		view->pcp[cpu].batch = zone->pcp[cpu].batch;
	}
}

static unsigned buddy_pageblock_order(const struct page_allocator *pages)
{
	return buddy_const(pages)->pageblock_order;
}

static const void *buddy_counters(const struct page_allocator *pages)
{
	return &buddy_const(pages)->counters;
}

const struct metric buddy_metrics[] = {
        METRIC(struct buddy_counters, pgalloc_dma, "pages", "Pages handed out from zone DMA"),
        METRIC(struct buddy_counters, pgalloc_dma32, "pages", "Pages handed out from zone DMA32"),
        METRIC(struct buddy_counters, pgalloc_normal, "pages", "Pages handed out from zone Normal"),
        METRIC(struct buddy_counters, pgalloc_high, "pages", "Pages handed out from zone HighMem"),
        METRIC(struct buddy_counters, pgalloc_movable, "pages", "Pages handed out from zone Movable"),
        METRIC(struct buddy_counters, pgfree, "pages", "Pages taken back"),
        METRIC(struct buddy_counters, alloc_requests, "1", "Blocks asked for"),
        METRIC(struct buddy_counters, alloc_pcp, "1", "Blocks served from a per-CPU list"),
        METRIC(struct buddy_counters, alloc_buddy, "1", "Blocks served from the free lists under the zone lock"),
        METRIC(struct buddy_counters, numa_hit, "1", "Blocks from the node that was asked first"),
        METRIC(struct buddy_counters, numa_miss, "1", "Blocks from another node than that"),
        METRIC(struct buddy_counters, numa_local, "1", "Blocks from the node of the CPU that asked"),
        METRIC(struct buddy_counters, numa_other, "1", "Blocks from another node than that of the CPU that asked"),
        METRIC(struct buddy_counters, alloc_fail, "1", "Requests that got nothing"),
        METRIC(struct buddy_counters, free_requests, "1", "Frees asked for"),
        METRIC(struct buddy_counters, frees, "1", "Blocks taken back"),
        METRIC(struct buddy_counters, wrong_frees, "1", "Frees of what is not an allocated block of that order"),
        METRIC(struct buddy_counters, pcp_alloc_pages, "pages", "Pages taken from per-CPU lists by allocations"),
        METRIC(struct buddy_counters, pcp_free_pages, "pages", "Pages put on per-CPU lists by frees"),
        METRIC(struct buddy_counters, pcp_refill_pages, "pages", "Pages moved from the free lists to per-CPU lists"),
        METRIC(struct buddy_counters, pcp_drain_pages, "pages", "Pages moved from per-CPU lists back to the free lists"),
        METRIC(struct buddy_counters, buddy_alloc_pages, "pages", "Pages taken from the free lists by allocations"),
        METRIC(struct buddy_counters, buddy_free_pages, "pages", "Pages given to the free lists by frees"),
        METRIC(struct buddy_counters, allocslow, "1", "Requests that entered the slow path"),
        METRIC(struct buddy_counters, allocslow_success, "1", "Requests that the slow path served"),
        METRIC(struct buddy_counters, allocslow_fail, "1", "Requests that failed in the slow path"),
        METRIC(struct buddy_counters, allocstall, "1", "Entries into direct reclaim"),
        METRIC(struct buddy_counters, pcp_drain_all, "1", "Drains of all per-CPU lists by direct reclaim"),
        METRIC(struct buddy_counters, kswapd_wake_slowpath, "1", "Slow paths that woke kswapd"),
        METRIC(struct buddy_counters, kswapd_wake_boost, "1", "Wake-ups of kswapd because a watermark was boosted"),
        METRIC(struct buddy_counters, watermark_boosts, "1", "Times a zone's watermarks were boosted"),
        METRIC(struct buddy_counters, extfrag, "1", "Allocations that took a free block of another migrate type"),
        METRIC(struct buddy_counters, extfrag_whole, "1", "Of these, whole pageblocks changed type"),
        METRIC(struct buddy_counters, extfrag_claimed, "1", "Of these, the pageblock was taken over"),
        METRIC(struct buddy_counters, extfrag_moved, "1",
               "Of these, the pageblock's free pages were moved, but it kept its type"),
        METRIC(struct buddy_counters, extfrag_single, "1", "Of these, only the block itself was taken"),
        METRIC(struct buddy_counters, extfrag_unmovable, "1",
               "All but the whole ones (the event's \"fragmenting\"), for unmovable pages"),
        METRIC(struct buddy_counters, extfrag_movable, "1", "The same, for movable pages"),
        METRIC(struct buddy_counters, extfrag_reclaimable, "1", "The same, for reclaimable pages"),
        METRIC(struct buddy_counters, highatomic_reserved_pages, "pages", "Pages of pageblocks reserved for high-order atomics"),
        METRIC(struct buddy_counters, highatomic_unreserved_pages, "pages", "Pages of such pageblocks given up again"),
        METRIC(struct buddy_counters, alloc_captured, "1", "Blocks caught while compaction freed them"),
        METRIC(struct buddy_counters, captured_pages, "pages", "Pages of these blocks"),
        METRIC(struct buddy_counters, compact_stall, "1", "Direct compactions that ran in a zone"),
        METRIC(struct buddy_counters, compact_success, "1", "Of these, those that served the request"),
        METRIC(struct buddy_counters, compact_fail, "1", "Of these, those that did not"),
        METRIC(struct buddy_counters, compact_migrate_scanned, "pages", "Frames looked at for pages to move"),
        METRIC(struct buddy_counters, compact_free_scanned, "pages", "Frames looked at for room to move them to"),
        METRIC(struct buddy_counters, compact_isolated_free, "pages", "Free frames set aside for pages to move to"),
        METRIC(struct buddy_counters, compact_released_free, "pages", "Of these, those freed again"),
        METRIC(struct buddy_counters, compact_isolated_migrate, "pages", "Pages set aside to be moved"),
        METRIC(struct buddy_counters, compact_putback, "pages", "Of these, those that stayed where they were"),
        METRIC(struct buddy_counters, pgmigrate_success, "pages", "Pages moved to another frame"),
        METRIC(struct buddy_counters, kswapd_wake, "1", "Times kswapd was woken from its sleep"),
        METRIC(struct buddy_counters, kswapd_runs, "1", "Times kswapd set out to balance a node (pageoutrun)"),
        METRIC(struct buddy_counters, kcompactd_runs, "1", "Times kcompactd compacted a node"),
        METRIC(struct buddy_counters, pgscan_kswapd, "pages", "Pages that kswapd looked at"),
        METRIC(struct buddy_counters, pgscan_direct, "pages", "Pages that direct reclaim looked at"),
        METRIC(struct buddy_counters, pgsteal_kswapd, "pages", "Pages that kswapd freed"),
        METRIC(struct buddy_counters, pgsteal_direct, "pages", "Pages that direct reclaim freed"),
        METRIC(struct buddy_counters, pgsteal_reclaimer, "pages",
               "Of the two, pages of user memory and of files: not of the load model"),
        METRIC(struct buddy_counters, slabs_scanned, "1", "Objects that shrinkers looked at"),
        METRIC(struct buddy_counters, slab_pages_reclaimed, "pages", "Slab that shrinkers freed"),
        METRIC(struct buddy_counters, oom, "1", "Requests for which the OOM killer was called"),
        METRIC(struct buddy_counters, nofail_failed, "1", "Requests that may not fail, and failed"),
        METRIC_END};

static bool buddy_adopt_block(struct page_allocator *pages, pfn first, unsigned order)
{
	return buddy_adopt(buddy_of(pages), first.nr, order);
}

/*
 * split_page(): every frame gets a count of its own. What is compound is a huge page of user memory (__split_huge_page()), and
 * its frames are movable.
 */
static void buddy_split(struct page_allocator *pages, pfn first, unsigned order)
{
	struct buddy *buddy = buddy_of(pages);
	const struct frame whole = *frame_at(buddy, first.nr);
	SIM_ASSERT(whole.state == FRAME_ALLOCATED && whole.order == order);
	for (uint32_t nr = first.nr; nr < first.nr + (1u << order); nr++) {
		*frame_at(buddy, nr) = whole;
		frame_at(buddy, nr)->order = 0;
		frame_at(buddy, nr)->compound = false;
		frame_at(buddy, nr)->lru = buddy->movable_is_lru && whole.compound;
		page_write(buddy, nr, PAGE_MAPCOUNT); /* and its neighbour, the count */
	}
}

const struct page_allocator_ops page_allocator_buddy_ops = {
        .name = "buddy",
        .help = "Linux 6.1: zones, buddy lists by migrate type, per-CPU lists, watermarks",
        .alloc = buddy_alloc,
        .free = buddy_free,
        .adopt = buddy_adopt_block,
        .follow = &buddy_follow_ops,
        .alloc_bulk = buddy_alloc_bulk,
        .split = buddy_split,
        .drain = buddy_drain,
        .zones = buddy_zones,
        .zone_view = buddy_zone_view,
        .pageblock_order = buddy_pageblock_order,
        .print_state = buddy_print_state,
        .tick = buddy_tick,
        .check = buddy_check,
        .metrics = buddy_metrics,
        .counters = buddy_counters,
        .destroy = buddy_destroy,
};

struct page_allocator *page_allocator_buddy_create(const struct page_allocator_wiring *wiring, struct error *error)
{
	return buddy_boot(wiring, error);
}
