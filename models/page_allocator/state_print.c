/* SPDX-License-Identifier: MIT
 *
 * state_print.c - the buddy model's state as lines of a state dump (sim/state_dump.h), as buddy_load() reads them back: @MEM, one
 * @ZONE each, then of each zone with memory its free lists, per-CPU lists and pageblocks, and @MAP.
 *
 * MODEL: @MAP cannot tell what a frame in use is used for: 'l' on an LRU list, 'x' else, also for frames that are reserved.
 * What the model does not have is printed as the kernel prints it at rest: compact=0,0,0 drift=0.
 */
#include "models/page_allocator/buddy.h"

#include <inttypes.h>

static void print_memory(const struct buddy *buddy, FILE *out)
{
	uint64_t total = 0, high = 0;
	uint32_t low_end = 0;
	for (unsigned i = 0; i < buddy->zone_count; i++) {
		const struct zone *zone = &buddy->zones[i];
		total += zone->managed;
		if (zone->kind == ZONE_HIGHMEM)
			high += zone->managed;
		else if (zone->present && zone->end_pfn > low_end)
			low_end = zone->end_pfn;
	}
	fprintf(out, "@MEM totalram=%" PRIu64 " totalhigh=%" PRIu64 " pageshift=%d max_order=%d pageblock_order=%u ", total, high,
	        PAGE_SHIFT, ORDERS, buddy->pageblock_order);
	fprintf(out, "migratetypes=%d mobility_off=%d max_low_pfn=%x max_pfn=%x\n", MIGRATE_TYPES, buddy->mobility_disabled,
	        low_end, buddy->port.end_pfn);
}

static void print_zone(const struct buddy *buddy, const struct zone *zone, FILE *out)
{
	uint32_t high = zone->pcp[0].high, batch = zone->pcp[0].batch;
	fprintf(out, "@ZONE %u %s start=%x spanned=%u present=%" PRIu64 " managed=%" PRIu64 " ", zone->index, zone->name,
	        zone->start_pfn, zone->end_pfn - zone->start_pfn, zone->present, zone->managed);
	fprintf(out, "wmin=%" PRIu64 " wlow=%" PRIu64 " whigh=%" PRIu64 " boost=%" PRIu64 " highatomic=%" PRIu64 " ",
	        zone->watermark[WMARK_MIN], zone->watermark[WMARK_LOW], zone->watermark[WMARK_HIGH], zone->watermark_boost,
	        zone->nr_reserved_highatomic);
	fprintf(out, "phigh=%u pbatch=%u zflags=%x nr_free=%" PRId64, high, batch,
	        (unsigned)zone->boosted << ZONE_BOOSTED_WATERMARK_BIT | (unsigned)zone->reclaim_active << ZONE_RECLAIM_ACTIVE_BIT,
	        zone->free_pages);
	for (unsigned cpu = 0; cpu < buddy->cpus; cpu++)
		fprintf(out, " diff%u=%d thr%u=%d", cpu, zone->pcp[cpu].free_pages_delta, cpu, zone->pcp[cpu].stat_threshold);
	fprintf(out, " reserve=");
	for (unsigned i = 0; i < LOWMEM_RESERVE_ZONES; i++)
		fprintf(out, "%" PRIu64 "%c", zone->lowmem_reserve[i], i + 1 < LOWMEM_RESERVE_ZONES ? ',' : ' ');
	fprintf(out, "compact=0,0,0 drift=0\n");
}

static void print_list(const struct buddy *buddy, uint32_t head, FILE *out)
{
	for (uint32_t nr = frame_at(buddy, head)->next; nr != head; nr = frame_at(buddy, nr)->next)
		fprintf(out, " %x", nr);
	fprintf(out, "\n");
}

static void print_free_lists(const struct buddy *buddy, const struct zone *zone, FILE *out)
{
	for (unsigned order = 0; order < ORDERS; order++)
		for (unsigned type = 0; type < MIGRATE_TYPES; type++) {
			uint32_t head = list_head_of(zone, order, type);
			if (list_empty(buddy, head))
				continue;
			fprintf(out, "@FREE %u %u %u :", zone->index, order, type);
			print_list(buddy, head, out);
		}
}

static void print_pcp(const struct buddy *buddy, const struct zone *zone, unsigned cpu, FILE *out)
{
	const struct pcp *pcp = &zone->pcp[cpu];
	fprintf(out, "@PCP %u %u count=%u high=%u batch=%u free_factor=%u\n", zone->index, cpu, pcp->count, pcp->high, pcp->batch,
	        pcp->free_factor);
	for (unsigned pindex = 0; pindex < pcp_lists(buddy); pindex++) {
		if (list_empty(buddy, pcp->lists + pindex))
			continue;
		fprintf(out, "@PCPL %u %u %u :", zone->index, cpu, pindex);
		print_list(buddy, pcp->lists + pindex, out);
	}
}

static void print_pageblocks(const struct buddy *buddy, const struct zone *zone, FILE *out)
{
	uint32_t first = zone->start_pfn >> buddy->pageblock_order, end = (zone->end_pfn - 1) >> buddy->pageblock_order;
	fprintf(out, "@PB %u %x :", zone->index, first << buddy->pageblock_order);
	for (uint32_t block = 0; block <= end - first; block++) {
		uint8_t type = zone->pageblock_type[block];
		fputc(type < MIGRATE_TYPES ? '0' + type : '-', out);
	}
	fputc('\n', out);
}

/* The letter of @MAP for a block's first frame, and how many frames it stands for. */
static char kind_of(struct buddy *buddy, uint32_t nr, uint32_t *frames)
{
	const struct frame *frame = frame_at(buddy, nr);
	*frames = frame->state == FRAME_REST ? 1 : 1u << frame->order;
	switch ((enum frame_state)frame->state) {
	case FRAME_BUDDY:
		return 'B';
	case FRAME_PCP:
		return '0';
	case FRAME_REST:
	case FRAME_ALLOCATED:
	case FRAME_CACHE:
		break;
	}
	return frame->lru ? 'l' : buddy_zone_of(buddy, nr) ? 'x' : '-';
}

static void print_map(const struct page_allocator *pages, FILE *out)
{
	struct buddy *buddy = buddy_of((struct page_allocator *)(uintptr_t)pages); /* buddy_zone_of() only looks */
	uint32_t run = 0, frames;
	char current = 0;
	fprintf(out, "@MAP 0 :");
	for (uint32_t nr = 0; nr < pages->end_pfn; nr += frames, run += frames) {
		char kind = kind_of(buddy, nr, &frames);
		if (kind == current)
			continue;
		if (run)
			fprintf(out, " %c%u", current, run);
		current = kind;
		run = 0;
	}
	if (run)
		fprintf(out, " %c%u", current, run);
	fputc('\n', out);
}

void buddy_print_state(const struct page_allocator *pages, FILE *out)
{
	const struct buddy *buddy = buddy_const(pages);
	print_memory(buddy, out);
	for (unsigned i = 0; i < buddy->zone_count; i++)
		print_zone(buddy, &buddy->zones[i], out);
	for (unsigned i = 0; i < buddy->zone_count; i++) {
		const struct zone *zone = &buddy->zones[i];
		if (!zone->present)
			continue;
		print_free_lists(buddy, zone, out);
		for (unsigned cpu = 0; cpu < buddy->cpus; cpu++)
			print_pcp(buddy, zone, cpu, out);
		print_pageblocks(buddy, zone, out);
	}
	print_map(pages, out);
}
