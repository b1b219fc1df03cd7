/* SPDX-License-Identifier: MIT
 *
 * boot.c - the state that a boot leaves in a described machine: its zones, and the memory that the kernel does not keep on the
 * free lists, in the order in which the boot gives it there. memory_map.c says which frames those are.
 *
 * Zones of x86-64: DMA below 16 MiB, DMA32 below 4 GiB, Normal above, Movable empty; of x86-32: DMA below 16 MiB, Normal up to
 * kernel.lowmem (896 MiB), HighMem above, Movable empty. Free ranges go to the lists in ascending order, each cut into the
 * largest aligned blocks, each block to its list's tail. High memory is given frame by frame, ascending, each to its list's head
 * where no merge is likely, so that its largest blocks end up highest first. Source: mm/memblock.c: __free_pages_memory;
 * mm/page_alloc.c: memmap_init_range, __free_pages_core, zone_spanned_pages_in_node; arch/x86/mm/init.c: zone_sizes_init,
 * init_32.c: add_highpages_with_active_regions. Where struct pages are set up late (CONFIG_DEFERRED_STRUCT_PAGE_INIT), pageblocks
 * are given in the same ascending order and merge to the same lists.
 *
 * MODEL: what the running system has allocated since then is not there: all that is managed is free. Effect: a recording
 * that begins in mid-life finds more and longer free memory than its machine had.
 *
 * Invariant: present = managed + kept, in each zone.
 */
#include "models/page_allocator/buddy.h"
#include "models/page_allocator/memory_map.h"
#include "models/page_allocator/reclaim.h"

#define MIB_PAGES (1024u * 1024u / PAGE_SIZE)
#define DMA_END (16u * MIB_PAGES)
#define DMA32_END (4096u * MIB_PAGES)
/* Below 1 MiB nothing is given out. */
#define HIGH_MEMORY_START 0x100u
/* Sections of the memory map of x86-64 (SECTION_SIZE_BITS); x86-32 without PAE has one map without sections. */
#define SECTION_PAGES (128u * MIB_PAGES)

static uint64_t round_up(uint64_t value, uint64_t to)
{
	return (value + to - 1) / to * to;
}

static void describe_zone(struct zone_spec *zone, const struct memory_map *map, enum zone_kind kind, struct range range)
{
	static const char *const names[ZONE_KINDS] = {"DMA", "DMA32", "Normal", "HighMem", "Movable"};
	zone->kind = kind;
	for (unsigned i = 0; names[kind][i]; i++)
		zone->name[i] = names[kind][i];
	range = range_both(range, map->nodes[zone->node]);
	if (range.start >= range.end)
		return;
	zone->start_pfn = range.start;
	zone->spanned = range.end - range.start;
	zone->present = memory_in(map, range);
	zone->managed = zone->present - kept_in(map, range);
}

/* The zones of each node, node after node. */
static unsigned describe_zones(struct zone_spec *zones, const struct memory_map *map, bool is_32bit)
{
	struct zone_limit {
		enum zone_kind kind;
		struct range range;
	};
	const struct zone_limit zones_64[] = {
	        {ZONE_DMA, {0, DMA_END}},
	        {ZONE_DMA32, {DMA_END, DMA32_END}},
	        {ZONE_NORMAL, {DMA32_END, UINT32_MAX}},
	        {ZONE_MOVABLE, {0, 0}},
	};
	const struct zone_limit zones_32[] = {
	        {ZONE_DMA, {0, DMA_END}},
	        {ZONE_NORMAL, {DMA_END, map->lowmem_end_pfn}},
	        {ZONE_HIGHMEM, {map->lowmem_end_pfn, UINT32_MAX}},
	        {ZONE_MOVABLE, {0, 0}},
	};
	unsigned kinds = sizeof zones_64 / sizeof zones_64[0], count = 0;
	for (unsigned node = 0; node < map->nodes_count; node++)
		for (unsigned i = 0; i < kinds; i++) {
			const struct zone_limit *limit = is_32bit ? &zones_32[i] : &zones_64[i];
			zones[count].index = i;
			zones[count].node = node;
			describe_zone(&zones[count++], map, limit->kind, limit->range);
		}
	return count;
}

static void describe_nodes(struct buddy_spec *spec, const struct memory_map *map)
{
	_Static_assert(MACHINE_NODES_MAX == NODES_MAX, "each node that can be described has its zones");
	spec->node_count = map->nodes_count;
	for (unsigned node = 0; node < map->nodes_count; node++)
		for (unsigned other = 0; other < map->nodes_count; other++)
			spec->distance[node][other] = map->distance[node][other];
	for (unsigned cpu = 0; cpu < spec->cpus; cpu++)
		spec->node_of_cpu[cpu] = map->node_of_cpu[cpu];
}

/*
 * Computes the limits as the boot does: from what was managed before the last frames were given back. With huge pages, on
 * machines with at least 512 MiB (hugepage_init), khugepaged raises min_free_kbytes.
 */
static void set_limits(struct buddy_spec *spec, const struct memory_map *map, const struct settings *settings)
{
	struct zone_spec early[ZONES_MAX];
	uint64_t lowmem_pages = 0;
	unsigned populated = 0;
	for (unsigned i = 0; i < spec->zone_count; i++) {
		early[i] = spec->zones[i];
		struct range range = {early[i].start_pfn, early[i].start_pfn + early[i].spanned};
		uint32_t image = map->image_pfn ? map->image_pfn : DMA_END, late = map->freed_late_pages;
		if (range.start <= image && image < range.end && early[i].managed > 2 * late)
			early[i].managed -= late;
		lowmem_pages += early[i].kind == ZONE_HIGHMEM ? 0 : early[i].managed;
		populated += early[i].present > 0;
	}
	struct zone_tuning tuning = zone_tuning_of(settings, spec->cpus);
	for (unsigned cpu = 0; spec->node_count > 1 && cpu < spec->cpus; cpu++)
		tuning.node_cpus[spec->node_of_cpu[cpu]]++;
	if (!tuning.min_free_kbytes) {
		tuning.min_free_kbytes = min_free_kbytes_of(lowmem_pages);
		if (spec->transparent_hugepage && lowmem_pages >= 512 * MIB_PAGES)
			tuning.min_free_kbytes = min_free_kbytes_for_hugepages(tuning.min_free_kbytes, spec->pageblock_order,
			                                                       populated, lowmem_pages);
	}
	zones_set_limits(early, spec->zone_count, &tuning);
	for (unsigned i = 0; i < spec->zone_count; i++) {
		early[i].managed = spec->zones[i].managed;
		spec->zones[i] = early[i];
	}
}

/* Sections of the memory map that hold no memory do not exist. */
static void place_absent_pageblocks(struct buddy *buddy, const struct memory_map *map)
{
	for (uint64_t start = 0; start < map->end_pfn; start += SECTION_PAGES) {
		struct range section = {(uint32_t)start, (uint32_t)(start + SECTION_PAGES)};
		struct zone *zone = memory_in(map, section) ? NULL : buddy_zone_of(buddy, section.start);
		for (uint32_t at = section.start; zone && at < section.end && at < zone->end_pfn; at += pageblock_frames(buddy))
			buddy_place_pageblock(buddy, zone, at, PAGEBLOCK_ABSENT);
	}
}

/* memmap_init_range(): a pageblock whose first frame is memory is MOVABLE; the others keep type 0. */
static void place_pageblocks(struct buddy *buddy, const struct memory_map *map)
{
	uint32_t frames = pageblock_frames(buddy);
	for (unsigned i = 0; i < map->memory_count; i++) {
		uint64_t start = round_up(map->memory[i].start, frames);
		for (uint64_t at = start; at < map->memory[i].end; at += frames)
			buddy_place_pageblock(buddy, buddy_zone_of(buddy, (uint32_t)at), (uint32_t)at, MIGRATE_MOVABLE);
	}
}

/* __free_pages_memory(): the largest aligned blocks, ascending. */
static void free_range(struct buddy *buddy, uint32_t start, uint32_t end)
{
	while (start < end) {
		unsigned order = start ? (unsigned)__builtin_ctz(start) : ORDERS - 1;
		if (order > ORDERS - 1)
			order = ORDERS - 1;
		while (1u << order > end - start)
			order--;
		struct zone *zone = buddy_zone_of(buddy, start);
		free_one_page(buddy, zone, start, order, pageblock_type(buddy, zone, start), true, 0);
		start += 1u << order;
	}
}

/* free_highmem_page(): one frame after the other. */
static void free_high_range(struct buddy *buddy, uint32_t start, uint32_t end)
{
	for (uint32_t nr = start; nr < end; nr++) {
		struct zone *zone = buddy_zone_of(buddy, nr);
		free_one_page(buddy, zone, nr, 0, pageblock_type(buddy, zone, nr), false, 0);
	}
}

/* Frees what of a range is not kept; the kept ranges ascend. */
static void free_around_kept(struct buddy *buddy, const struct memory_map *map, struct range range)
{
	for (unsigned i = 0; i < map->kept_count; i++) {
		struct range kept = map->kept[i];
		if (kept.end <= range.start || kept.start >= range.end)
			continue;
		if (kept.start > range.start)
			free_range(buddy, range.start, kept.start);
		range.start = kept.end;
	}
	if (range.start < range.end)
		free_range(buddy, range.start, range.end);
}

/* Frees everything with the statistics of the boot: nothing is held back by a CPU. */
static void free_memory(struct buddy *buddy, const struct memory_map *map)
{
	bool recording = buddy->steps->recording;
	buddy->steps->recording = false;
	for (unsigned i = 0; i < buddy->zone_count; i++)
		buddy->zones[i].pcp[0].stat_threshold = 0;
	for (unsigned i = 0; i < map->memory_count; i++) {
		struct range range = map->memory[i], low = range_both(range, (struct range){0, map->lowmem_end_pfn});
		struct range high = range_both(range, (struct range){map->lowmem_end_pfn, UINT32_MAX});
		free_high_range(buddy, high.start, high.end);
		if (low.start >= HIGH_MEMORY_START && low.start < low.end)
			free_around_kept(buddy, map, low);
	}
	buddy->steps->recording = recording;
}

static struct buddy *boot(const struct buddy_spec *spec, const struct memory_map *map, const struct page_allocator_wiring *wiring,
                          struct error *error)
{
	struct buddy *buddy = buddy_empty(spec, wiring, error);
	if (!buddy)
		return NULL;
	if (wiring->settings->machine.architecture != ARCHITECTURE_X86_32)
		place_absent_pageblocks(buddy, map);
	place_pageblocks(buddy, map);
	free_memory(buddy, map);
	for (unsigned i = 0; i < buddy->zone_count; i++)
		buddy->zones[i].pcp[0].stat_threshold = spec->zones[i].stat_threshold;
	reclaim_fill(buddy, wiring->settings->kernel.reclaim_page_cache, wiring->settings->kernel.reclaim_slab, wiring->seed);
	if (buddy_start(buddy, error))
		return buddy;
	buddy_destroy(&buddy->port);
	return NULL;
}

struct page_allocator *buddy_boot(const struct page_allocator_wiring *wiring, struct error *error)
{
	const struct settings *settings = wiring->settings;
	struct buddy_spec spec = {
	        .cpus = settings->machine.cpus ? settings->machine.cpus : 1,
	        .pageblock_order = settings->kernel.pageblock_order ? settings->kernel.pageblock_order : ORDERS - 1,
	        .transparent_hugepage = settings->kernel.transparent_hugepage,
	        .movable_is_lru = true,
	        .watermark_boost_factor = settings->kernel.watermark_boost_factor,
	};
	struct memory_map map;
	if (spec.cpus > CPUS_MAX) {
		error_set(error, ERROR_USAGE, "machine.cpus: %u; expected at most %u", spec.cpus, CPUS_MAX);
		return NULL;
	}
	if (!memory_map_describe(&map, settings, spec.cpus, error))
		return NULL;
	describe_nodes(&spec, &map);
	/* memblock_find_dma_reserve(): of the first 16 MiB, the first is reserved; the image lies above. */
	if (settings->machine.architecture != ARCHITECTURE_X86_32)
		spec.dma_reserve = (uint32_t)memory_in(&map, (struct range){0, MIB_PAGES});
	spec.zone_count = describe_zones(spec.zones, &map, settings->machine.architecture == ARCHITECTURE_X86_32);
	set_limits(&spec, &map, settings);
	struct buddy *buddy = boot(&spec, &map, wiring, error);
	return buddy ? &buddy->port : NULL;
}
