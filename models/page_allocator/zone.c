/* SPDX-License-Identifier: MIT
 *
 * zone.c - zones: how watermarks, reserves and per-CPU list sizes follow from the memory a zone manages, and the empty allocator
 * over a list of zones, with the functions that put its start state in place. node.c has nodes and zone lists.
 *
 * Source: mm/page_alloc.c of Linux 6.1: calculate_min_free_kbytes, __setup_per_zone_wmarks, setup_per_zone_lowmem_reserve,
 * zone_batchsize, zone_highsize, free_area_init_core, calc_memmap_size, build_all_zonelists; mm/vmstat.c:
 * calculate_normal_threshold; mm/khugepaged.c: set_recommended_min_free_kbytes; include/linux/gfp.h: GFP_ZONE_TABLE; mm/vmstat.c:
 * pagetypeinfo_showblockcount_print.
 *
 * Invariant: after buddy_start(), for each zone managed = free + on per-CPU lists + in use.
 */
#include "models/page_allocator/buddy.h"

#include <stdlib.h>
#include <string.h>

/* calculate_min_free_kbytes(): the square root of 16 times the kilobytes, within these bounds. */
#define MIN_FREE_KBYTES_MIN 128
#define MIN_FREE_KBYTES_MAX 262144
#define KBYTES_PER_PAGE (PAGE_SIZE / 1024)
/* set_recommended_min_free_kbytes(): at most 1/20 of memory. */
#define HUGEPAGE_MIN_FREE_PART 20
/* __setup_per_zone_wmarks(): bounds of a highmem zone's min watermark (SWAP_CLUSTER_MAX, 128). */
#define HIGHMEM_MIN_LOW 32
#define HIGHMEM_MIN_HIGH 128
#define HIGHMEM_MIN_PART 1024
#define WATERMARK_SCALE_UNIT 10000
/* zone_batchsize(): 1/1024 of the zone, at most 1 MiB, a quarter of that. */
#define BATCH_PART_SHIFT 10
#define BATCH_MAX_PAGES (1024 * 1024 / PAGE_SIZE)
/* zone_highsize(): at least four batches. */
#define HIGH_PER_BATCH 4
/* calculate_normal_threshold(): memory in units of 128 MiB; at most 125. */
#define THRESHOLD_UNIT_SHIFT (27 - PAGE_SHIFT)
#define THRESHOLD_MAX 125
/* calc_memmap_size(): with more holes than that part of its memory, only memory has struct pages. */
#define MEMMAP_HOLES_PART 16

/* Any kernel has larger pageblocks than orders with per-CPU lists by far; bounds the pageblock bitmap. */
#define PAGEBLOCK_ORDER_MIN 6

/* The largest pair that buddy arithmetic may look at beyond the last frame. */
#define FRAMES_AROUND (2 * BLOCK_MAX_FRAMES)

static uint64_t square_root(uint64_t value)
{
	uint64_t root = 0;
	for (uint64_t bit = 1ull << 31; bit; bit >>= 1)
		if ((root + bit) * (root + bit) <= value)
			root += bit;
	return root;
}

uint64_t min_free_kbytes_of(uint64_t lowmem_pages)
{
	uint64_t kbytes = square_root(lowmem_pages * KBYTES_PER_PAGE * 16);
	if (kbytes < MIN_FREE_KBYTES_MIN)
		return MIN_FREE_KBYTES_MIN;
	return kbytes > MIN_FREE_KBYTES_MAX ? MIN_FREE_KBYTES_MAX : kbytes;
}

uint64_t min_free_kbytes_for_hugepages(uint64_t min_free_kbytes, unsigned pageblock_order, unsigned populated_zones,
                                       uint64_t lowmem_pages)
{
	/* Two pageblocks a zone, and for each pair of types one to fall back to. */
	uint64_t pages = ((uint64_t)populated_zones << pageblock_order) * (2 + MIGRATE_PCPTYPES * MIGRATE_PCPTYPES);
	if (pages > lowmem_pages / HUGEPAGE_MIN_FREE_PART)
		pages = lowmem_pages / HUGEPAGE_MIN_FREE_PART;
	uint64_t kbytes = pages * KBYTES_PER_PAGE;
	return kbytes > min_free_kbytes ? kbytes : min_free_kbytes;
}

static bool is_highmem(const struct zone_spec *zone)
{
	return zone->kind == ZONE_HIGHMEM;
}

static void set_watermarks(struct zone_spec *zone, uint64_t lowmem_pages, const struct zone_tuning *tuning)
{
	uint64_t pages_min = tuning->min_free_kbytes / KBYTES_PER_PAGE;
	uint64_t share = lowmem_pages ? pages_min * zone->managed / lowmem_pages : 0;
	uint64_t scaled = zone->managed * tuning->watermark_scale_factor / WATERMARK_SCALE_UNIT;
	uint64_t min = share;
	if (is_highmem(zone)) {
		min = zone->managed / HIGHMEM_MIN_PART;
		min = min < HIGHMEM_MIN_LOW ? HIGHMEM_MIN_LOW : min;
		min = min > HIGHMEM_MIN_HIGH ? HIGHMEM_MIN_HIGH : min;
	}
	uint64_t distance = share / 4 > scaled ? share / 4 : scaled;
	zone->watermark[WMARK_MIN] = min;
	zone->watermark[WMARK_LOW] = min + distance;
	zone->watermark[WMARK_HIGH] = min + 2 * distance;
}

static uint32_t zone_batchsize(uint64_t managed)
{
	uint64_t batch = managed >> BATCH_PART_SHIFT;
	if (batch > BATCH_MAX_PAGES)
		batch = BATCH_MAX_PAGES;
	batch /= 4;
	if (batch < 1)
		batch = 1;
	batch += batch / 2;
	/* One below a power of two, and at least one (zone_set_pageset_high_and_batch). */
	uint32_t power = 1u << (31 - __builtin_clz((uint32_t)batch));
	return power > 2 ? power - 1 : 1;
}

static uint32_t zone_highsize(const struct zone_spec *zone, const struct zone_tuning *tuning)
{
	uint64_t total = zone->watermark[WMARK_LOW];
	if (tuning->percpu_pagelist_high_fraction)
		total = zone->managed / tuning->percpu_pagelist_high_fraction;
	unsigned near = tuning->node_cpus[zone->node];
	uint64_t high = total / (near ? near : tuning->cpus);
	uint64_t least = (uint64_t)zone->pcp_batch * HIGH_PER_BATCH;
	return (uint32_t)(high < least ? least : high);
}

static unsigned last_bit_set(uint64_t value)
{
	return value ? 64 - (unsigned)__builtin_clzll(value) : 0;
}

static int32_t stat_threshold(const struct zone_spec *zone, unsigned cpus)
{
	unsigned threshold = 2 * last_bit_set(cpus) * (1 + last_bit_set(zone->managed >> THRESHOLD_UNIT_SHIFT));
	return threshold > THRESHOLD_MAX ? THRESHOLD_MAX : (int32_t)threshold;
}

/* What a zone keeps from requests that a higher zone could serve: a part of all the memory up there. */
static void set_lowmem_reserve(struct zone_spec *zones, unsigned zone_count, unsigned at, const struct zone_tuning *tuning)
{
	struct zone_spec *zone = &zones[at];
	uint32_t ratio = zone->managed ? tuning->lowmem_reserve_ratio[zone->kind] : 0;
	memset(zone->lowmem_reserve, 0, sizeof zone->lowmem_reserve);
	for (unsigned index = zone->index + 1; ratio && index < LOWMEM_RESERVE_ZONES; index++) {
		uint64_t above = 0;
		for (unsigned i = 0; i < zone_count; i++)
			if (zones[i].node == zone->node && zones[i].index > zone->index && zones[i].index <= index)
				above += zones[i].managed;
		zone->lowmem_reserve[index] = above / ratio;
	}
}

struct zone_tuning zone_tuning_of(const struct settings *settings, unsigned cpus)
{
	const struct kernel_settings *kernel = &settings->kernel;
	return (struct zone_tuning){
	        .min_free_kbytes = kernel->min_free_kbytes,
	        .watermark_scale_factor = kernel->watermark_scale_factor,
	        .percpu_pagelist_high_fraction = kernel->percpu_pagelist_high_fraction,
	        .lowmem_reserve_ratio = {[ZONE_DMA] = kernel->lowmem_reserve_dma,
	                                 [ZONE_DMA32] = kernel->lowmem_reserve_dma32,
	                                 [ZONE_NORMAL] = kernel->lowmem_reserve_normal},
	        .cpus = cpus,
	};
}

void zones_set_limits(struct zone_spec *zones, unsigned zone_count, const struct zone_tuning *tuning)
{
	uint64_t lowmem_pages = 0;
	for (unsigned i = 0; i < zone_count; i++)
		lowmem_pages += is_highmem(&zones[i]) ? 0 : zones[i].managed;
	for (unsigned i = 0; i < zone_count; i++) {
		set_watermarks(&zones[i], lowmem_pages, tuning);
		zones[i].pcp_batch = zone_batchsize(zones[i].managed);
		zones[i].pcp_high = zone_highsize(&zones[i], tuning);
		/* refresh_zone_stat_thresholds() passes over zones without memory. */
		zones[i].stat_threshold = zones[i].present ? stat_threshold(&zones[i], tuning->cpus) : 0;
		set_lowmem_reserve(zones, zone_count, i, tuning);
	}
}

struct zone *buddy_zone_of(struct buddy *buddy, uint32_t nr)
{
	for (unsigned i = 0; i < buddy->zone_count; i++)
		if (zone_spans(&buddy->zones[i], nr))
			return &buddy->zones[i];
	return NULL;
}

const struct zone *buddy_zone_linked(struct buddy *buddy, uint32_t nr)
{
	const struct zone *above = NULL, *below = NULL;
	for (unsigned i = 0; i < buddy->zone_count; i++) {
		const struct zone *zone = &buddy->zones[i];
		if (zone_spans(zone, nr))
			return zone;
		if (!zone->present)
			continue;
		if (zone->start_pfn > nr && (!above || zone->start_pfn < above->start_pfn))
			above = zone;
		if (zone->end_pfn <= nr && (!below || zone->end_pfn > below->end_pfn))
			below = zone;
	}
	return above ? above : below;
}

/* The index of the first zone of a kind, `otherwise` where the kernel has no such zone. */
static unsigned index_of_kind(const struct buddy *buddy, enum zone_kind kind, unsigned otherwise)
{
	for (unsigned i = 0; i < buddy->zone_count; i++)
		if (buddy->zones[i].kind == kind)
			return buddy->zones[i].index;
	return otherwise;
}

/* GFP_ZONE_TABLE: the highest zone by the zone bits; combinations that the kernel forbids read as its table's 0. */
static void set_gfp_zones(struct buddy *buddy)
{
	unsigned normal = index_of_kind(buddy, ZONE_NORMAL, 0);
	unsigned dma = index_of_kind(buddy, ZONE_DMA, normal);
	unsigned dma32 = index_of_kind(buddy, ZONE_DMA32, normal);
	unsigned highmem = index_of_kind(buddy, ZONE_HIGHMEM, normal);
	unsigned movable = index_of_kind(buddy, ZONE_MOVABLE, highmem);
	buddy->gfp_zone[0] = (uint8_t)normal;
	buddy->gfp_zone[__GFP_DMA] = (uint8_t)dma;
	buddy->gfp_zone[__GFP_HIGHMEM] = (uint8_t)highmem;
	buddy->gfp_zone[__GFP_DMA32] = (uint8_t)dma32;
	buddy->gfp_zone[__GFP_MOVABLE] = (uint8_t)normal;
	buddy->gfp_zone[__GFP_MOVABLE | __GFP_DMA] = (uint8_t)dma;
	buddy->gfp_zone[__GFP_MOVABLE | __GFP_HIGHMEM] = (uint8_t)movable;
	buddy->gfp_zone[__GFP_MOVABLE | __GFP_DMA32] = (uint8_t)dma32;
}

static bool spec_is_sound(const struct buddy_spec *spec, struct error *error)
{
	if (!spec->zone_count || spec->zone_count > ZONES_MAX || !spec->cpus || spec->cpus > CPUS_MAX)
		return error_set(error, ERROR_INPUT, "page allocator: 1..%u zones and 1..%u CPUs are possible, not %u and %u",
		                 ZONES_MAX, CPUS_MAX, spec->zone_count, spec->cpus);
	if (spec->pageblock_order < PAGEBLOCK_ORDER_MIN || spec->pageblock_order >= ORDERS)
		return error_set(error, ERROR_INPUT, "page allocator: pageblock order %u is not in %u..%u", spec->pageblock_order,
		                 PAGEBLOCK_ORDER_MIN, ORDERS - 1);
	if (spec->node_count > NODES_MAX)
		return error_set(error, ERROR_INPUT, "page allocator: at most %u nodes are possible, not %u", NODES_MAX,
		                 spec->node_count);
	for (unsigned i = 0; i < spec->zone_count; i++) {
		const struct zone_spec *zone = &spec->zones[i];
		uint64_t end = (uint64_t)zone->start_pfn + zone->spanned;
		if (zone->index >= LOWMEM_RESERVE_ZONES || zone->node >= (spec->node_count ? spec->node_count : 1) ||
		    zone->kind >= ZONE_KINDS || zone->present > zone->spanned || zone->managed > zone->present ||
		    end > UINT32_MAX - (1u << 24))
			return error_set(
			        error, ERROR_INPUT,
			        "page allocator: zone %s: index %u, start %x, spanned %x, present %llx, managed %llx do not "
			        "fit together",
			        zone->name, zone->index, zone->start_pfn, zone->spanned, (unsigned long long)zone->present,
			        (unsigned long long)zone->managed);
		for (unsigned j = 0; j < i; j++)
			if (zone->spanned && spec->zones[j].spanned &&
			    zone->start_pfn < spec->zones[j].start_pfn + spec->zones[j].spanned && spec->zones[j].start_pfn < end)
				return error_set(error, ERROR_INPUT, "page allocator: zones %s and %s overlap",
				                 spec->zones[j].name, zone->name);
	}
	return true;
}

/* Pageblocks a zone touches: one entry each, also for the part of a pageblock that two zones share. */
static uint32_t pageblock_entries(const struct buddy *buddy, const struct zone *zone)
{
	if (zone->end_pfn == zone->start_pfn)
		return 0;
	return ((zone->end_pfn - 1) >> buddy->pageblock_order) - (zone->start_pfn >> buddy->pageblock_order) + 1;
}

uint32_t pageblocks_counted(const struct buddy *buddy, const struct zone *zone)
{
	return (zone->end_pfn - zone->start_pfn + pageblock_frames(buddy) - 1) >> buddy->pageblock_order;
}

void buddy_place_pageblock(struct buddy *buddy, struct zone *zone, uint32_t nr, unsigned type)
{
	uint32_t index = pageblock_index(buddy, zone, nr);
	unsigned old = zone->pageblock_type[index];
	if (index < pageblocks_counted(buddy, zone)) {
		if (old != PAGEBLOCK_ABSENT)
			zone->pageblocks[old]--;
		if (type != PAGEBLOCK_ABSENT)
			zone->pageblocks[type]++;
	}
	zone->pageblock_type[index] = (uint8_t)type;
}

static uint32_t new_list_head(struct buddy *buddy, uint32_t *next_head)
{
	uint32_t head = (*next_head)++;
	frame_at(buddy, head)->next = head;
	frame_at(buddy, head)->prev = head;
	return head;
}

static void init_lists(struct buddy *buddy, struct zone *zone, uint32_t *next_head)
{
	zone->free_lists = *next_head;
	for (unsigned i = 0; i < ORDERS * MIGRATE_TYPES; i++)
		new_list_head(buddy, next_head);
	for (unsigned cpu = 0; cpu < buddy->cpus; cpu++) {
		zone->pcp[cpu].lists = *next_head;
		for (unsigned i = 0; i < PCP_LISTS_MAX; i++)
			new_list_head(buddy, next_head);
	}
}

static void init_zone(struct buddy *buddy, struct zone *zone, const struct zone_spec *spec, struct layout *layout)
{
	*zone = (struct zone){
	        .start_pfn = spec->start_pfn,
	        .end_pfn = spec->start_pfn + spec->spanned,
	        .number = (uint8_t)(zone - buddy->zones),
	        .index = (uint8_t)spec->index,
	        .kind = (uint8_t)spec->kind,
	        .present = spec->present,
	        .managed = spec->managed,
	        .node = spec->node,
	        .address = layout_kernel_data(layout, ZONE_BYTES),
	        .pcp_offset = layout_per_cpu_alloc(layout, PCP_BYTES, PCP_ALIGN),
	        .stat_offset = layout_per_cpu_alloc(layout, ZONESTAT_BYTES, ZONESTAT_ALIGN),
	        .pcp = xcalloc(buddy->cpus, sizeof(struct pcp)),
	};
	memcpy(zone->name, spec->name, sizeof zone->name - 1);
	layout_name(layout, zone->address, ZONE_BYTES, "zone", zone->name);
	for (unsigned cpu = 0; cpu < buddy->cpus; cpu++)
		layout_name(layout, layout_per_cpu(layout, zone->pcp_offset, cpu), PCP_BYTES, "per_cpu_pages", zone->name);
	memcpy(zone->watermark, spec->watermark, sizeof zone->watermark);
	memcpy(zone->lowmem_reserve, spec->lowmem_reserve, sizeof zone->lowmem_reserve);
	for (unsigned cpu = 0; cpu < buddy->cpus; cpu++) {
		zone->pcp[cpu].high = spec->pcp_high;
		zone->pcp[cpu].batch = spec->pcp_batch ? spec->pcp_batch : 1;
		zone->pcp[cpu].stat_threshold = spec->stat_threshold;
	}
	zone->pageblock_type = lazy_alloc(pageblock_entries(buddy, zone), 1);
	zone->pageblock_skip = lazy_alloc(pageblock_entries(buddy, zone), 1);
	zone->pageblocks[MIGRATE_UNMOVABLE] = pageblocks_counted(buddy, zone);
}

static void alloc_frames(struct buddy *buddy)
{
	uint32_t end = buddy->port.end_pfn;
	uint32_t lists =
	        buddy->zone_count * (ORDERS * MIGRATE_TYPES + buddy->cpus * PCP_LISTS_MAX) + buddy->node_count * NODE_LISTS;
	buddy->list_heads = (end + FRAMES_AROUND - 1) / FRAMES_AROUND * FRAMES_AROUND;
	buddy->largest_heads = buddy->list_heads + lists;
	buddy->frame_records = buddy->largest_heads + buddy->largest_heads / BLOCK_MAX_FRAMES + 1;
	buddy->frames = lazy_alloc(buddy->frame_records, sizeof *buddy->frames);
}

/* The frames that struct pages of a zone take, as calc_memmap_size() estimates them. */
static uint64_t memmap_frames(const struct zone_spec *zone, const struct settings *settings)
{
	uint64_t pages = zone->spanned;
	bool sparsemem = settings->machine.architecture != ARCHITECTURE_X86_32;
	if (sparsemem && pages > zone->present + zone->present / MEMMAP_HOLES_PART)
		pages = zone->present;
	return (pages * settings->kernel.page_struct_bytes + PAGE_SIZE - 1) / PAGE_SIZE;
}

/*
 * nr_free_zone_pages() when build_all_zonelists() asks. At that moment of the boot a zone has what free_area_init_core() takes
 * for its managed frames, and no watermark.
 */
static uint64_t total_pages_at_boot(const struct buddy_spec *spec, const struct settings *settings)
{
	uint64_t total = 0;
	for (unsigned i = 0; i < spec->zone_count; i++) {
		const struct zone_spec *zone = &spec->zones[i];
		uint64_t memmap = zone->kind == ZONE_HIGHMEM ? 0 : memmap_frames(zone, settings);
		uint64_t free_size = zone->present >= memmap ? zone->present - memmap : zone->present;
		total += zone->index == 0 && free_size > spec->dma_reserve ? free_size - spec->dma_reserve : free_size;
	}
	return total;
}

bool mobility_disabled(const struct settings *settings, bool otherwise)
{
	enum mobility_grouping grouping = settings->kernel.page_group_by_mobility;
	return grouping == MOBILITY_GROUPING_AUTO ? otherwise : grouping == MOBILITY_GROUPING_OFF;
}

struct buddy *buddy_empty(const struct buddy_spec *spec, const struct page_allocator_wiring *wiring, struct error *error)
{
	if (!spec_is_sound(spec, error))
		return NULL;
	struct buddy *buddy = xcalloc(1, sizeof *buddy);
	buddy->port.ops = &page_allocator_buddy_ops;
	buddy->zone_count = spec->zone_count;
	buddy->cpus = spec->cpus;
	buddy->node_count = spec->node_count ? spec->node_count : 1;
	buddy->pageblock_order = spec->pageblock_order;
	buddy->transparent_hugepage = spec->transparent_hugepage;
	buddy->movable_is_lru = spec->movable_is_lru;
	buddy->watermark_boost_factor = spec->watermark_boost_factor;
	buddy->steps = wiring->steps;
	buddy->layout = wiring->layout;
	buddy->contents = (struct page_contents){wiring->mapper, wiring->layout, wiring->steps};
	buddy->cost = wiring->settings->cost;
	buddy->event_offset = layout_per_cpu_static(wiring->layout, VM_EVENT_BYTES);
	buddy->init_on_alloc = wiring->settings->kernel.init_on_alloc;
	buddy->compaction = wiring->settings->kernel.compaction;
	buddy->kswapd_delay = wiring->settings->kernel.kswapd_delay;
	for (unsigned i = 0; i < spec->zone_count; i++) {
		init_zone(buddy, &buddy->zones[i], &spec->zones[i], wiring->layout);
		buddy->port.managed_pages += spec->zones[i].managed;
		if (buddy->zones[i].end_pfn > buddy->port.end_pfn)
			buddy->port.end_pfn = buddy->zones[i].end_pfn;
		buddy->has_dma32 |= spec->zones[i].kind == ZONE_DMA32;
	}
	buddy->vm_total_pages = total_pages_at_boot(spec, wiring->settings);
	/* build_all_zonelists(): no grouping by mobility where each type could not have a pageblock. */
	bool too_small = buddy->vm_total_pages < (uint64_t)pageblock_frames(buddy) * MIGRATE_TYPES;
	buddy->mobility_disabled = mobility_disabled(wiring->settings, too_small);
	alloc_frames(buddy);
	uint32_t next_head = buddy->list_heads;
	for (unsigned i = 0; i < spec->zone_count; i++)
		init_lists(buddy, &buddy->zones[i], &next_head);
	set_gfp_zones(buddy);
	nodes_init(buddy, spec, next_head);
	buddy->vmstat = wiring->settings->kernel.vmstat;
	for (unsigned node = 0; buddy->vmstat && node < buddy->node_count; node++)
		buddy->nodes[node].stat_offset = layout_per_cpu_alloc(wiring->layout, NODESTAT_BYTES, PER_CPU_ALIGN_MIN);
	buddy->pageblock_bits = layout_kernel_data(wiring->layout, (buddy->port.end_pfn >> buddy->pageblock_order) / 2 + 8);
	return buddy;
}

static bool can_place(struct buddy *buddy, const struct zone *zone, uint32_t nr, unsigned order, struct error *error)
{
	if (order >= ORDERS || nr & ((1u << order) - 1) || !zone_spans(zone, nr) || zone->end_pfn - nr < 1u << order)
		return error_set(error, ERROR_INPUT, "page allocator: a free block of order %u at frame %x is not in zone %s",
		                 order, nr, zone->name);
	for (uint32_t at = nr; at < nr + (1u << order); at++)
		if (frame_at(buddy, at)->state != FRAME_REST)
			return error_set(error, ERROR_INPUT, "page allocator: frame %x is free twice", at);
	for (unsigned above = order + 1; above < ORDERS; above++) {
		uint32_t head = nr & ~((1u << above) - 1);
		if (frame_at(buddy, head)->state != FRAME_REST && frame_at(buddy, head)->order >= above)
			return error_set(error, ERROR_INPUT, "page allocator: frame %x is free twice", nr);
	}
	return true;
}

bool buddy_place_free(struct buddy *buddy, struct zone *zone, uint32_t nr, unsigned order, unsigned type, struct error *error)
{
	if (type >= MIGRATE_TYPES)
		return error_set(error, ERROR_INPUT, "page allocator: there is no migrate type %u", type);
	if (!can_place(buddy, zone, nr, order, error))
		return false;
	*frame_at(buddy, nr) =
	        (struct frame){.state = FRAME_BUDDY, .order = (uint8_t)order, .type = (uint8_t)type, .zone = zone->number};
	list_add_tail(buddy, nr, list_head_of(zone, order, type));
	zone->free_blocks[order][type]++;
	zone->nonempty[type] = (uint16_t)(zone->nonempty[type] | 1u << order);
	zone->free_pages += 1 << order;
	return true;
}

bool buddy_place_pcp(struct buddy *buddy, struct zone *zone, unsigned cpu, unsigned list, uint32_t nr, unsigned type,
                     struct error *error)
{
	if (cpu >= buddy->cpus || list >= pcp_lists(buddy) || type >= MIGRATE_TYPES)
		return error_set(error, ERROR_INPUT, "page allocator: zone %s has no per-CPU list %u on CPU %u", zone->name, list,
		                 cpu);
	unsigned order = pindex_to_order(buddy, list);
	if (!can_place(buddy, zone, nr, order, error))
		return false;
	*frame_at(buddy, nr) =
	        (struct frame){.state = FRAME_PCP, .order = (uint8_t)order, .type = (uint8_t)type, .zone = zone->number};
	list_add_tail(buddy, nr, zone->pcp[cpu].lists + list);
	zone->pcp[cpu].count += 1u << order;
	return true;
}

void buddy_place_lru(struct buddy *buddy, uint32_t nr)
{
	SIM_ASSERT(nr < buddy->port.end_pfn);
	frame_at(buddy, nr)->lru = true;
}

bool buddy_start(struct buddy *buddy, struct error *error)
{
	for (unsigned i = 0; i < buddy->zone_count; i++) {
		const struct zone *zone = &buddy->zones[i];
		uint64_t free_pages = 0, pcp_pages = 0;
		for (unsigned cpu = 0; cpu < buddy->cpus; cpu++)
			pcp_pages += zone->pcp[cpu].count;
		for (unsigned order = 0; order < ORDERS; order++)
			for (unsigned type = 0; type < MIGRATE_TYPES; type++)
				free_pages += zone->free_blocks[order][type] << order;
		if (free_pages + pcp_pages > zone->managed)
			return error_set(
			        error, ERROR_INPUT,
			        "page allocator: zone %s has %llu frames free and %llu on per-CPU lists, but manages %llu",
			        zone->name, (unsigned long long)free_pages, (unsigned long long)pcp_pages,
			        (unsigned long long)zone->managed);
		buddy->start_free += free_pages;
		buddy->start_pcp += pcp_pages;
		buddy->start_highatomic += zone->nr_reserved_highatomic;
		buddy->start_boosted += zone->boosted;
	}
	buddy->start_cache = buddy->cache_pages;
	buddy->start_allocated = buddy->port.managed_pages - buddy->start_free - buddy->start_pcp - buddy->start_cache;
	buddy->unknown_in_use = buddy->start_allocated;
	buddy->port.allocated_pages = buddy->start_allocated;
	return true;
}

bool buddy_adopt(struct buddy *buddy, uint32_t nr, unsigned order)
{
	struct error unused = {0};
	struct zone *zone = nr < buddy->port.end_pfn ? buddy_zone_of(buddy, nr) : NULL;
	if (!zone || buddy->unknown_in_use < 1ull << order || !can_place(buddy, zone, nr, order, &unused))
		return false;
	*frame_at(buddy, nr) = (struct frame){.state = FRAME_ALLOCATED, .order = (uint8_t)order, .zone = zone->number};
	buddy->unknown_in_use -= 1ull << order;
	return true;
}

void buddy_destroy(struct page_allocator *pages)
{
	struct buddy *buddy = buddy_of(pages);
	if (!buddy)
		return;
	for (unsigned i = 0; i < buddy->zone_count; i++) {
		lazy_free(buddy->zones[i].pageblock_type, pageblock_entries(buddy, &buddy->zones[i]), 1);
		lazy_free(buddy->zones[i].pageblock_skip, pageblock_entries(buddy, &buddy->zones[i]), 1);
		free(buddy->zones[i].pcp);
	}
	lazy_free(buddy->frames, buddy->frame_records, sizeof *buddy->frames);
	free(buddy);
}
