// SPDX-License-Identifier: GPL-2.0
/*
 * pages.c - the page allocator's state: zones, free lists and per-CPU lists in list order, pageblock types, a map of all frames.
 */
#include "oracle.h"
#include <linux/mmzone.h>

static void dump_memory(void)
{
	const int *mobility_off = symbols.page_group_by_mobility_disabled;

	say("@MEM totalram=%lu totalhigh=%lu pageshift=%d max_order=%d pageblock_order=%d migratetypes=%d mobility_off=%d "
	    "max_low_pfn=%lx max_pfn=%lx\n",
	    totalram_pages(), (unsigned long)totalhigh_pages(), PAGE_SHIFT, MAX_ORDER, pageblock_order, MIGRATE_TYPES,
	    mobility_off ? *mobility_off : -1, symbols.max_low_pfn, symbols.max_pfn);
}

/* Watermarks are printed without the boost, the number of free pages without what the CPUs have not yet added to it. */
static void dump_zone(int index, struct zone *zone)
{
	int i, cpu;

	say("@ZONE %d %s start=%lx spanned=%lu present=%lu managed=%lu wmin=%lu wlow=%lu whigh=%lu boost=%lu highatomic=%lu "
	    "phigh=%d pbatch=%d zflags=%lx nr_free=%ld",
	    index, zone->name, zone->zone_start_pfn, zone->spanned_pages, zone->present_pages, zone_managed_pages(zone),
	    zone->_watermark[WMARK_MIN], zone->_watermark[WMARK_LOW], zone->_watermark[WMARK_HIGH], zone->watermark_boost,
	    zone->nr_reserved_highatomic, zone->pageset_high, zone->pageset_batch, zone->flags,
	    atomic_long_read(&zone->vm_stat[NR_FREE_PAGES]));
	for_each_online_cpu(cpu) {
		struct per_cpu_zonestat *stat = per_cpu_ptr(zone->per_cpu_zonestats, cpu);

		say(" diff%d=%d thr%d=%d", cpu, stat->vm_stat_diff[NR_FREE_PAGES], cpu, stat->stat_threshold);
	}
	say(" reserve=");
	for (i = 0; i < MAX_NR_ZONES; i++)
		say("%ld%c", zone->lowmem_reserve[i], i == MAX_NR_ZONES - 1 ? ' ' : ',');
	say("compact=%u,%u,%d drift=%lu\n", zone->compact_considered, zone->compact_defer_shift, zone->compact_order_failed,
	    zone->percpu_drift_mark);
}

static void dump_free_lists(int index, struct zone *zone)
{
	struct page *page;
	unsigned long flags;
	int order, type;

	spin_lock_irqsave(&zone->lock, flags);
	for (order = 0; order < MAX_ORDER; order++)
		for (type = 0; type < MIGRATE_TYPES; type++) {
			struct list_head *list = &zone->free_area[order].free_list[type];

			if (list_empty(list))
				continue;
			say("@FREE %d %d %d :", index, order, type);
			list_for_each_entry(page, list, buddy_list)
				say(" %lx", page_to_pfn(page));
			say("\n");
		}
	spin_unlock_irqrestore(&zone->lock, flags);
}

static void dump_pcp_lists(int index, struct zone *zone, int cpu)
{
	struct per_cpu_pages *pcp = per_cpu_ptr(zone->per_cpu_pageset, cpu);
	struct page *page;
	int i;

	say("@PCP %d %d count=%d high=%d batch=%d free_factor=%d\n", index, cpu, pcp->count, pcp->high, pcp->batch,
	    pcp->free_factor);
	for (i = 0; i < NR_PCP_LISTS; i++) {
		if (list_empty(&pcp->lists[i]))
			continue;
		say("@PCPL %d %d %d :", index, cpu, i);
		list_for_each_entry(page, &pcp->lists[i], pcp_list)
			say(" %lx", page_to_pfn(page));
		say("\n");
	}
}

static void dump_pageblocks(int index, struct zone *zone)
{
	unsigned long first = ALIGN_DOWN(zone->zone_start_pfn, pageblock_nr_pages), block, pfn;

	say("@PB %d %lx :", index, first);
	for (block = first; block < zone_end_pfn(zone); block += pageblock_nr_pages) {
		pfn = max(block, zone->zone_start_pfn);
		if (!pfn_valid(pfn) || !symbols.get_pfnblock_flags_mask)
			say("-");
		else
			say("%lu", symbols.get_pfnblock_flags_mask(pfn_to_page(pfn), pfn, MIGRATETYPE_MASK));
	}
	say("\n");
}

void dump_pages(void)
{
	struct zone *zone;
	int i, cpu;

	dump_memory();
	for (i = 0; i < MAX_NR_ZONES; i++)
		dump_zone(i, contig_page_data.node_zones + i);
	for (i = 0; i < MAX_NR_ZONES; i++) {
		zone = contig_page_data.node_zones + i;
		if (!populated_zone(zone))
			continue;
		dump_free_lists(i, zone);
		for_each_online_cpu(cpu)
			dump_pcp_lists(i, zone, cpu);
		dump_pageblocks(i, zone);
	}
}

static char kind_of(struct page *page)
{
	if (PageBuddy(page))
		return 'B';
	if (PageReserved(page))
		return 'R';
	if (PageSlab(page))
		return 's';
	if (PageTable(page))
		return 't';
	if (PageLRU(page))
		return PageAnon(page) ? 'a' : 'l';
	if (!page_count(page))
		return '0'; /* on a per-CPU list */
	return 'x';
}

/* The other frames of a free block and of a compound page are of its first frame's kind. */
static unsigned long frames_of_same_kind(struct page *page, char kind)
{
	if (kind == 'B')
		return 1UL << page_private(page);
	return PageHead(page) ? 1UL << compound_order(page) : 1;
}

void dump_map(void)
{
	unsigned long pfn, run = 0, skip = 0;
	char kind, last = 0;

	say("@MAP 0 :");
	for (pfn = 0; pfn < symbols.max_pfn; pfn++) {
		if (skip) {
			skip--;
			kind = last;
		} else if (!pfn_valid(pfn)) {
			kind = '-';
		} else {
			kind = kind_of(pfn_to_page(pfn));
			skip = frames_of_same_kind(pfn_to_page(pfn), kind) - 1;
		}
		if (kind != last) {
			if (run)
				say(" %c%lu", last, run);
			last = kind;
			run = 0;
		}
		run++;
	}
	say(" %c%lu\n", last, run);
}
