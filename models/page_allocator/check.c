/* SPDX-License-Identifier: MIT
 *
 * check.c - the laws of the buddy model: walks every list and every frame that is not in a free block, recounts, and compares.
 *
 * Laws, for the lists: links hold both ways; a block on the list of (order, type) is marked so; free_blocks and nonempty agree;
 * no frame is in two blocks. For each zone: what is managed is free, on per-CPU lists or in use. For the counters: pages that
 * moved are accounted for, and each event has one outcome.
 */
#include "models/page_allocator/buddy.h"

struct survey {
	const struct buddy *buddy;
	uint64_t *covered; /* bit per frame: in a free block or on a per-CPU list */
	size_t words;
	uint64_t free_pages, pcp_pages, allocated, cache;
};

static bool is_covered(const struct survey *survey, uint32_t nr)
{
	return survey->covered[nr / 64] >> (nr % 64) & 1;
}

static void cover(struct survey *survey, uint32_t nr, unsigned order)
{
	for (uint32_t at = nr; at < nr + (1u << order);) {
		uint64_t mask = UINT64_MAX;
		uint32_t step = 64;
		if (order < 6) {
			step = 1u << order;
			mask = ((1ull << step) - 1) << (nr % 64);
		}
		SIM_ASSERT(!(survey->covered[at / 64] & mask));
		survey->covered[at / 64] |= mask;
		at += step;
	}
}

/* Walks one list whose blocks have this state and order; returns how many there are. */
static uint64_t check_list(struct survey *survey, const struct zone *zone, uint32_t head, enum frame_state state, unsigned order)
{
	const struct buddy *buddy = survey->buddy;
	uint64_t blocks = 0;
	for (uint32_t nr = frame_at(buddy, head)->next; nr != head; nr = frame_at(buddy, nr)->next) {
		const struct frame *frame = frame_at(buddy, nr);
		SIM_ASSERT(frame_at(buddy, frame->next)->prev == nr && frame_at(buddy, frame->prev)->next == nr);
		SIM_ASSERT(zone_spans(zone, nr) && zone->end_pfn - nr >= 1u << order && !(nr & ((1u << order) - 1)));
		SIM_ASSERT(frame->state == state && frame->order == order && frame->zone == zone->number);
		cover(survey, nr, order);
		blocks++;
	}
	return blocks;
}

static uint64_t check_free_lists(struct survey *survey, const struct zone *zone)
{
	uint64_t pages = 0;
	for (unsigned order = 0; order < ORDERS; order++)
		for (unsigned type = 0; type < MIGRATE_TYPES; type++) {
			uint32_t head = list_head_of(zone, order, type);
			uint64_t blocks = check_list(survey, zone, head, FRAME_BUDDY, order);
			for (uint32_t nr = frame_at(survey->buddy, head)->next; nr != head;
			     nr = frame_at(survey->buddy, nr)->next)
				SIM_ASSERT(frame_at(survey->buddy, nr)->type == type);
			SIM_ASSERT(blocks == zone->free_blocks[order][type]);
			SIM_ASSERT((zone->nonempty[type] >> order & 1) == (blocks > 0));
			pages += blocks << order;
		}
	return pages;
}

static uint64_t check_pcp(struct survey *survey, const struct zone *zone)
{
	uint64_t pages = 0;
	for (unsigned cpu = 0; cpu < survey->buddy->cpus; cpu++) {
		const struct pcp *pcp = &zone->pcp[cpu];
		uint64_t count = 0;
		for (unsigned pindex = 0; pindex < pcp_lists(survey->buddy); pindex++) {
			unsigned order = pindex_to_order(survey->buddy, pindex);
			count += check_list(survey, zone, pcp->lists + pindex, FRAME_PCP, order) << order;
		}
		SIM_ASSERT(count == pcp->count);
		SIM_ASSERT(pcp->free_factor <= PCP_BATCH_SCALE_MAX);
		SIM_ASSERT(pcp->free_pages_delta <= pcp->stat_threshold && -pcp->free_pages_delta <= pcp->stat_threshold);
		pages += count;
	}
	return pages;
}

/* The load model's frames: one each, on their node's lists, and nowhere else. */
static void check_cache(struct survey *survey)
{
	const struct buddy *buddy = survey->buddy;
	uint64_t file_pages[ZONES_MAX] = {0};
	for (unsigned node = 0; node < buddy->node_count; node++) {
		const struct node *self = &buddy->nodes[node];
		const uint32_t heads[NODE_LISTS] = {self->page_cache, self->slab_cache};
		uint64_t count[NODE_LISTS] = {0};
		for (unsigned list = 0; list < NODE_LISTS; list++)
			for (uint32_t nr = frame_at(buddy, heads[list])->next; nr != heads[list];
			     nr = frame_at(buddy, nr)->next) {
				const struct frame *frame = frame_at(buddy, nr);
				SIM_ASSERT(frame->state == FRAME_CACHE && frame->order == 0 && frame->lru == (list == 0));
				SIM_ASSERT(buddy->zones[frame->zone].node == node && zone_spans(&buddy->zones[frame->zone], nr));
				cover(survey, nr, 0);
				file_pages[frame->zone] += list == 0;
				count[list]++;
			}
		SIM_ASSERT(count[1] == self->slab_pages);
		survey->cache += count[0] + count[1];
	}
	for (unsigned i = 0; i < buddy->zone_count; i++)
		SIM_ASSERT(file_pages[i] == buddy->zones[i].file_pages);
	SIM_ASSERT(survey->cache == buddy->cache_pages);
}

/* The allocated blocks of a zone: none overlaps a free one or another allocated one. */
static uint64_t check_allocated(struct survey *survey, const struct zone *zone)
{
	const struct buddy *buddy = survey->buddy;
	uint64_t pages = 0;
	for (uint32_t nr = zone->start_pfn; nr < zone->end_pfn; nr++) {
		if (nr % 64 == 0 && survey->covered[nr / 64] == UINT64_MAX) {
			nr += 63;
			continue;
		}
		const struct frame *frame = frame_at(buddy, nr);
		/* What is covered and marked is the head of a list's block; nothing else inside may bear a mark. */
		if (is_covered(survey, nr) || frame->state != FRAME_ALLOCATED) {
			SIM_ASSERT(is_covered(survey, nr) ? frame->state != FRAME_ALLOCATED : frame->state == FRAME_REST);
			continue;
		}
		SIM_ASSERT(frame->order < ORDERS && !(nr & ((1u << frame->order) - 1)) && frame->zone == zone->number);
		cover(survey, nr, frame->order);
		pages += 1ull << frame->order;
	}
	return pages;
}

static int64_t free_pages_of(const struct buddy *buddy, const struct zone *zone)
{
	int64_t pages = zone->free_pages;
	for (unsigned cpu = 0; cpu < buddy->cpus; cpu++)
		pages += zone->pcp[cpu].free_pages_delta;
	return pages;
}

/* pageblocks[] is what a walk as /proc/pagetypeinfo's finds. */
static void check_pageblocks(const struct buddy *buddy, const struct zone *zone)
{
	uint64_t pageblocks[MIGRATE_TYPES + 1] = {0};
	for (uint32_t i = 0; i < pageblocks_counted(buddy, zone); i++) {
		SIM_ASSERT(zone->pageblock_type[i] <= PAGEBLOCK_ABSENT);
		pageblocks[zone->pageblock_type[i]]++;
	}
	for (unsigned type = 0; type < MIGRATE_TYPES; type++)
		SIM_ASSERT(pageblocks[type] == zone->pageblocks[type]);
}

static void check_zone(struct survey *survey, const struct zone *zone)
{
	uint64_t free_pages = check_free_lists(survey, zone);
	uint64_t pcp_pages = check_pcp(survey, zone);
	uint64_t allocated = check_allocated(survey, zone);
	SIM_ASSERT(free_pages + pcp_pages + allocated <= zone->managed);
	SIM_ASSERT((int64_t)free_pages == free_pages_of(survey->buddy, zone));
	check_pageblocks(survey->buddy, zone);
	survey->free_pages += free_pages;
	survey->pcp_pages += pcp_pages;
	survey->allocated += allocated;
}

/* Where everything went that compaction set aside and reclaim freed. */
static void check_reclaim_counters(const struct buddy *buddy)
{
	const struct buddy_counters *counters = &buddy->counters;
	SIM_ASSERT(counters->compact_isolated_free == counters->pgmigrate_success + counters->compact_released_free);
	SIM_ASSERT(counters->compact_isolated_migrate == counters->pgmigrate_success + counters->compact_putback);
	SIM_ASSERT(counters->compact_isolated_migrate <= counters->compact_migrate_scanned);
	SIM_ASSERT(counters->compact_isolated_free <= counters->compact_free_scanned);
	SIM_ASSERT(counters->compact_stall == counters->compact_success + counters->compact_fail);
	SIM_ASSERT(counters->alloc_captured <= counters->compact_success);
	SIM_ASSERT(counters->compact_success <= counters->allocslow_success);
	SIM_ASSERT(counters->pgsteal_kswapd <= counters->pgscan_kswapd && counters->pgsteal_direct <= counters->pgscan_direct);
	SIM_ASSERT(counters->slab_pages_reclaimed <= counters->slabs_scanned);
	SIM_ASSERT(buddy->start_cache == buddy->cache_pages + counters->pgsteal_kswapd + counters->pgsteal_direct +
	                                         counters->slab_pages_reclaimed - counters->pgsteal_reclaimer);
	SIM_ASSERT(counters->pgsteal_reclaimer <= counters->pgfree);
	SIM_ASSERT(counters->kswapd_wake <= counters->kswapd_runs + buddy->node_count);
	SIM_ASSERT(counters->nofail_failed <= counters->allocslow_fail);
	SIM_ASSERT(counters->oom <= counters->allocslow);
}

static void check_counters(const struct survey *survey)
{
	const struct buddy *buddy = survey->buddy;
	const struct buddy_counters *counters = &buddy->counters;
	uint64_t pgalloc = counters->pgalloc_dma + counters->pgalloc_dma32 + counters->pgalloc_normal + counters->pgalloc_high +
	                   counters->pgalloc_movable;
	uint64_t highatomic = 0;
	for (unsigned i = 0; i < buddy->zone_count; i++)
		highatomic += buddy->zones[i].nr_reserved_highatomic;

	SIM_ASSERT(pgalloc == counters->pcp_alloc_pages + counters->buddy_alloc_pages + counters->captured_pages);
	SIM_ASSERT(counters->pgfree == counters->pcp_free_pages + counters->buddy_free_pages);
	SIM_ASSERT(buddy->start_allocated + buddy->start_cache + pgalloc + counters->compact_isolated_free ==
	           buddy->port.allocated_pages + buddy->cache_pages + counters->pgfree);
	SIM_ASSERT(buddy->start_pcp + counters->pcp_refill_pages + counters->pcp_free_pages ==
	           survey->pcp_pages + counters->pcp_alloc_pages + counters->pcp_drain_pages);
	SIM_ASSERT(buddy->start_free + counters->pcp_drain_pages + counters->buddy_free_pages ==
	           survey->free_pages + counters->pcp_refill_pages + counters->buddy_alloc_pages + counters->captured_pages +
	                   counters->compact_isolated_free);
	SIM_ASSERT(buddy->start_highatomic + counters->highatomic_reserved_pages ==
	           highatomic + counters->highatomic_unreserved_pages);
	SIM_ASSERT(counters->numa_hit + counters->numa_miss == counters->alloc_pcp + counters->alloc_buddy);
	SIM_ASSERT(counters->numa_local + counters->numa_other == counters->alloc_pcp + counters->alloc_buddy);
	SIM_ASSERT(counters->alloc_requests ==
	           counters->alloc_pcp + counters->alloc_buddy + counters->alloc_captured + counters->alloc_fail);
	SIM_ASSERT(counters->free_requests == counters->frees + counters->wrong_frees);
	SIM_ASSERT(counters->allocslow == counters->allocslow_success + counters->allocslow_fail);
	SIM_ASSERT(counters->kswapd_wake_slowpath <= counters->allocslow);
	SIM_ASSERT(counters->pcp_drain_all <= counters->allocstall);
	SIM_ASSERT(counters->kswapd_wake_boost <= counters->watermark_boosts + buddy->start_boosted);
	check_reclaim_counters(buddy);
	SIM_ASSERT(counters->extfrag ==
	           counters->extfrag_whole + counters->extfrag_claimed + counters->extfrag_moved + counters->extfrag_single);
	SIM_ASSERT(counters->extfrag == counters->extfrag_whole + counters->extfrag_unmovable + counters->extfrag_movable +
	                                        counters->extfrag_reclaimable);
}

void buddy_check(const struct page_allocator *pages)
{
	const struct buddy *buddy = buddy_const(pages);
	struct survey survey = {.buddy = buddy, .words = (size_t)pages->end_pfn / 64 + 1};
	survey.covered = lazy_alloc(survey.words, sizeof *survey.covered);
	check_cache(&survey);
	for (unsigned i = 0; i < buddy->zone_count; i++)
		check_zone(&survey, &buddy->zones[i]);
	lazy_free(survey.covered, survey.words, sizeof *survey.covered);
	SIM_ASSERT(survey.allocated + buddy->unknown_in_use == pages->allocated_pages);
	SIM_ASSERT(survey.free_pages + survey.pcp_pages + survey.cache + pages->allocated_pages == pages->managed_pages);
	check_counters(&survey);
}
