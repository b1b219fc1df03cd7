/* SPDX-License-Identifier: MIT
 *
 * procfs.c - printing memory in the kernel's formats (interface: procfs.h; reading: procfs_read.c).
 *
 * Each function names the function of Linux 6.1 whose output it equals.
 */
#include "sim/procfs.h"

#include <inttypes.h>

/* Where pagetypeinfo stops counting a free list: pagetypeinfo_showfree_print(). */
#define LIST_COUNT_MAX 100000u

/* mm/page_alloc.c: migratetype_names. */
static const char *const migratetype_names[MIGRATE_TYPES] = {[MIGRATE_UNMOVABLE] = "Unmovable",
                                                             [MIGRATE_MOVABLE] = "Movable",
                                                             [MIGRATE_RECLAIMABLE] = "Reclaimable",
                                                             [MIGRATE_HIGHATOMIC] = "HighAtomic"};

/* ---- free lists as numbers ---- */

static uint64_t free_blocks_of(const struct zone_view *zone, unsigned order)
{
	uint64_t blocks = 0;
	for (unsigned type = 0; type < MIGRATE_TYPES; type++)
		blocks += zone->free_blocks[order][type];
	return blocks;
}

/* The free lists of a zone as fill_contig_page_info() sums them for one order. */
struct free_summary {
	uint64_t pages, blocks;
	uint64_t suitable; /* blocks of the order that free memory holds */
};

static struct free_summary summarise_free(const struct zone_view *zone, unsigned suitable_order)
{
	struct free_summary summary = {0};
	for (unsigned order = 0; order < ORDERS; order++) {
		uint64_t blocks = free_blocks_of(zone, order);
		summary.blocks += blocks;
		summary.pages += blocks << order;
		if (order >= suitable_order)
			summary.suitable += blocks << (order - suitable_order);
	}
	return summary;
}

unsigned procfs_unusable_index(const struct zone_view *zone, unsigned order)
{
	struct free_summary summary = summarise_free(zone, order);
	if (summary.pages == 0)
		return 1000;
	return (unsigned)((summary.pages - (summary.suitable << order)) * 1000 / summary.pages);
}

int procfs_extfrag_index(const struct zone_view *zone, unsigned order)
{
	struct free_summary summary = summarise_free(zone, order);
	if (summary.blocks == 0)
		return 0;
	if (summary.suitable > 0)
		return -1000;
	uint64_t requests = summary.pages * 1000 >> order;
	return 1000 - (int)((1000 + requests) / summary.blocks);
}

/* ---- tables of zones and orders ---- */

static bool is_populated(const struct zone_view *zone)
{
	return zone->present > 0;
}

static void print_zone_head(const struct zone_view *zone, FILE *out)
{
	fprintf(out, "Node %u, zone %8s ", zone->node, zone->name);
}

/* frag_show_print() */
void procfs_print_buddyinfo(const struct zone_view *zones, size_t count, FILE *out)
{
	for (size_t i = 0; i < count; i++) {
		const struct zone_view *zone = &zones[i];
		if (!is_populated(zone))
			continue;
		print_zone_head(zone, out);
		for (unsigned order = 0; order < ORDERS; order++)
			fprintf(out, "%6" PRIu64 " ", free_blocks_of(zone, order));
		fputc('\n', out);
	}
}

/* unusable_show_print() */
void procfs_print_unusable_index(const struct zone_view *zones, size_t count, FILE *out)
{
	for (size_t i = 0; i < count; i++) {
		const struct zone_view *zone = &zones[i];
		if (!is_populated(zone))
			continue;
		print_zone_head(zone, out);
		for (unsigned order = 0; order < ORDERS; order++) {
			unsigned index = procfs_unusable_index(zone, order);
			fprintf(out, "%u.%03u ", index / 1000, index % 1000);
		}
		fputc('\n', out);
	}
}

/* extfrag_show_print(). An index between -1000 and 0 shows as " 0.-250", there as here. */
void procfs_print_extfrag_index(const struct zone_view *zones, size_t count, FILE *out)
{
	for (size_t i = 0; i < count; i++) {
		const struct zone_view *zone = &zones[i];
		if (!is_populated(zone))
			continue;
		print_zone_head(zone, out);
		for (unsigned order = 0; order < ORDERS; order++) {
			int index = procfs_extfrag_index(zone, order);
			fprintf(out, "%2d.%03d ", index / 1000, index % 1000);
		}
		fputc('\n', out);
	}
}

/* ---- pagetypeinfo ---- */

/* pagetypeinfo_showfree_print() */
static void print_free_by_type(const struct zone_view *zone, FILE *out)
{
	for (unsigned type = 0; type < MIGRATE_TYPES; type++) {
		fprintf(out, "Node %4u, zone %8s, type %12s ", zone->node, zone->name, migratetype_names[type]);
		for (unsigned order = 0; order < ORDERS; order++) {
			uint64_t blocks = zone->free_blocks[order][type];
			if (blocks >= LIST_COUNT_MAX)
				fprintf(out, ">%6u ", LIST_COUNT_MAX);
			else
				fprintf(out, "%6" PRIu64 " ", blocks);
		}
		fputc('\n', out);
	}
}

/* One node's part: pagetypeinfo_show(). */
static void print_pagetypeinfo_node(const struct zone_view *zones, size_t count, unsigned pageblock_order, FILE *out)
{
	fprintf(out, "Page block order: %u\nPages per block:  %u\n\n", pageblock_order, 1u << pageblock_order);
	fprintf(out, "%-43s ", "Free pages count per migrate type at order");
	for (unsigned order = 0; order < ORDERS; order++)
		fprintf(out, "%6u ", order);
	fputc('\n', out);
	for (size_t i = 0; i < count; i++)
		if (is_populated(&zones[i]))
			print_free_by_type(&zones[i], out);

	fprintf(out, "\n%-23s", "Number of blocks type ");
	for (unsigned type = 0; type < MIGRATE_TYPES; type++)
		fprintf(out, "%12s ", migratetype_names[type]);
	fputc('\n', out);
	for (size_t i = 0; i < count; i++) {
		const struct zone_view *zone = &zones[i];
		if (!is_populated(zone))
			continue;
		print_zone_head(zone, out);
		for (unsigned type = 0; type < MIGRATE_TYPES; type++)
			fprintf(out, "%12" PRIu64 " ", zone->pageblocks[type]);
		fputc('\n', out);
	}
}

void procfs_print_pagetypeinfo(const struct zone_view *zones, size_t count, unsigned pageblock_order, FILE *out)
{
	for (size_t first = 0, next; first < count; first = next) {
		bool has_memory = false;
		for (next = first; next < count && zones[next].node == zones[first].node; next++)
			has_memory |= is_populated(&zones[next]);
		if (has_memory)
			print_pagetypeinfo_node(zones + first, next - first, pageblock_order, out);
	}
}

/* ---- zoneinfo ---- */

/* Number of the highest bit set, from 1; 0 for 0: the kernel's fls(). */
static unsigned highest_bit(uint64_t value)
{
	return value ? 64 - (unsigned)__builtin_clzll(value) : 0;
}

/* calculate_normal_threshold(): how far a CPU's page counts may be off; at most 125, memory in units of 128 MiB. */
static unsigned stat_threshold(const struct zone_view *zone)
{
	unsigned threshold = 2 * highest_bit(zone->cpus) * (1 + highest_bit(zone->managed >> (27 - PAGE_SHIFT)));
	return threshold < 125 ? threshold : 125;
}

static void print_pagesets(const struct zone_view *zone, FILE *out)
{
	fputs("\n  pagesets", out);
	for (unsigned cpu = 0; cpu < zone->cpus; cpu++)
		fprintf(out,
		        "\n    cpu: %u"
		        "\n              count: %" PRIu32 "\n              high:  %" PRIu32 "\n              batch: %" PRIu32
		        "\n  vm stats threshold: %u",
		        cpu, zone->pcp[cpu].count, zone->pcp[cpu].high, zone->pcp[cpu].batch, stat_threshold(zone));
}

/* zoneinfo_show_print(). The watermarks it shows include the boost: min_wmark_pages() and its like. */
static void print_zone(const struct zone_view *zone, FILE *out)
{
	fprintf(out, "Node %u, zone %8s", zone->node, zone->name);
	fprintf(out,
	        "\n  pages free     %" PRIu64 "\n        boost    %" PRIu64 "\n        min      %" PRIu64
	        "\n        low      %" PRIu64 "\n        high     %" PRIu64,
	        zone->free_pages, zone->watermark_boost, zone->watermark_min + zone->watermark_boost,
	        zone->watermark_low + zone->watermark_boost, zone->watermark_high + zone->watermark_boost);
	fprintf(out,
	        "\n        spanned  %" PRIu64 "\n        present  %" PRIu64 "\n        managed  %" PRIu64 "\n        cma      0"
	        "\n        protection: (%" PRIu64,
	        zone->spanned, zone->present, zone->managed, zone->lowmem_reserve[0]);
	for (unsigned i = 1; i < LOWMEM_RESERVE_ZONES; i++)
		fprintf(out, ", %" PRIu64, zone->lowmem_reserve[i]);
	fputs(")", out);
	if (is_populated(zone)) {
		fprintf(out, "\n      %-12s %" PRIu64, "nr_free_pages", zone->free_pages);
		print_pagesets(zone, out);
		fprintf(out, "\n  start_pfn:           %" PRIu64, zone->start_pfn);
	}
	fputc('\n', out);
}

void procfs_print_zoneinfo(const struct zone_view *zones, size_t count, FILE *out)
{
	for (size_t i = 0; i < count; i++)
		print_zone(&zones[i], out);
}

/* ---- slabinfo ---- */

/* print_slabinfo_header(), cache_show() */
void procfs_print_slabinfo(const struct cache_view *caches, size_t count, FILE *out)
{
	fputs("slabinfo - version: 2.1\n"
	      "# name            <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab> : tunables <limit> <batchcount> "
	      "<sharedfactor> : slabdata <active_slabs> <num_slabs> <sharedavail>\n",
	      out);
	for (size_t i = 0; i < count; i++) {
		const struct cache_view *cache = &caches[i];
		fprintf(out, "%-17s %6" PRIu64 " %6" PRIu64 " %6" PRIu32 " %4" PRIu32 " %4" PRIu32, cache->name,
		        cache->active_objects, cache->total_objects, cache->size, cache->objects_per_slab, cache->pages_per_slab);
		fprintf(out, " : tunables %4" PRIu32 " %4" PRIu32 " %4" PRIu32, cache->limit, cache->batchcount, cache->shared);
		fprintf(out, " : slabdata %6" PRIu64 " %6" PRIu64 " %6" PRIu64 "\n", cache->active_slabs, cache->slabs,
		        cache->shared_available);
	}
}
