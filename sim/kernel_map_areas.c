/* SPDX-License-Identifier: MIT
 *
 * kernel_map_areas.c - areas of the vmalloc range and of modules in the kernel's page tables, mapped and unmapped by the steps of
 * who hands them out (interface and rules: kernel_map.h).
 *
 * A page whose steps come in the order of their decisions is mapped, then unmapped. Where cores overtake each other, the page's
 * number in a hash table is remembered with what is still to come: a mapping onto a mapped page owes an unmapping, which then
 * does nothing; an unmapping of a page that is not mapped owes a mapping. So every page ends as the last decision left it.
 */
#include "sim/kernel_map_areas.h"

#include <stdlib.h>

#define SLOTS_MIN 64u

const struct metric kernel_map_metrics[] = {
        METRIC(struct kernel_map_counters, mapped, "1", "Pages of areas mapped, small and large"),
        METRIC(struct kernel_map_counters, unmapped, "1", "Pages of areas unmapped"),
        METRIC(struct kernel_map_counters, area_tables, "1", "Page tables of areas, in frames taken for them"),
        METRIC(struct kernel_map_counters, tables_elsewhere, "1", "Page tables of areas whose frame is not known"),
        METRIC(struct kernel_map_counters, tables_dropped, "1", "Page tables in whose place a large page came"),
        METRIC(struct kernel_map_counters, first_touches, "1", "Pages mapped where they were first touched"),
        METRIC(struct kernel_map_counters, wrong_touches, "1", "Accesses to addresses that nothing maps"),
        METRIC(struct kernel_map_counters, overtaken, "1", "Pages whose mapping or unmapping another core's overtook"),
        METRIC(struct kernel_map_counters, overtaken_touches, "1",
               "Accesses to pages that were unmapped before they were mapped"),
        GAUGE(struct kernel_map_counters, pages_small, "1", "Pages of 4 KiB of areas, mapped at the end"),
        GAUGE(struct kernel_map_counters, pages_large, "1", "Larger pages of areas, mapped at the end"),
        GAUGE(struct kernel_map_counters, pages_mapped, "pages", "All of them in pages of 4 KiB"),
        METRIC_END,
};

/* ---- pages that were overtaken ---- */

static struct overtaken_page *slot_of(const struct kernel_map *map, uint64_t page)
{
	size_t mask = map->overtaken_slots - 1, index = (size_t)((page * PHYSICAL_HASH_FACTOR) >> 32) & mask;
	while (map->overtaken[index].page && map->overtaken[index].page != page)
		index = (index + 1) & mask;
	return &map->overtaken[index];
}

/* A page's lowest bits are free in its address: they hold its size. */
static uint64_t key_of(uint64_t linear, enum page_size size)
{
	return linear | page_size_shift(size);
}

/* NULL: its steps came in order. */
static struct overtaken_page *overtaken_at(const struct kernel_map *map, uint64_t linear, enum page_size size)
{
	if (!map->overtaken_used)
		return NULL;
	struct overtaken_page *slot = slot_of(map, key_of(linear, size));
	return slot->page ? slot : NULL;
}

static void grow(struct kernel_map *map)
{
	struct overtaken_page *old = map->overtaken;
	size_t slots = map->overtaken_slots;
	map->overtaken_slots = slots ? 2 * slots : SLOTS_MIN;
	map->overtaken = xcalloc(map->overtaken_slots, sizeof *map->overtaken);
	for (size_t i = 0; i < slots; i++)
		if (old[i].page)
			*slot_of(map, old[i].page) = old[i];
	free(old);
}

static struct overtaken_page *overtake(struct kernel_map *map, uint64_t linear, enum page_size size)
{
	if (2 * map->overtaken_used >= map->overtaken_slots)
		grow(map);
	struct overtaken_page *slot = slot_of(map, key_of(linear, size));
	map->overtaken_used += slot->page == 0;
	slot->page = key_of(linear, size);
	map->counters.overtaken++;
	return slot;
}

void kernel_map_note_wrong(struct kernel_map *map, uint64_t linear)
{
	for (unsigned size = 0; size < PAGE_SIZES; size++) {
		uint64_t start = linear & ~(page_size_bytes((enum page_size)size) - 1);
		const struct overtaken_page *page = overtaken_at(map, start, (enum page_size)size);
		if (!page || !page->was_undone)
			continue;
		map->counters.overtaken_touches++;
		return;
	}
	if (map->counters.wrong_touches++ == 0)
		map->first_wrong = linear;
}

/* One page more, or (change -1) less. */
static void count_page(struct kernel_map *map, enum page_size size, int change)
{
	uint64_t *pages = size == PAGE_4K ? &map->counters.pages_small : &map->counters.pages_large;
	*pages += (uint64_t)(int64_t)change;
	map->counters.pages_mapped += (uint64_t)(int64_t)change * (page_size_bytes(size) >> PAGE_SHIFT);
}

/* ---- tables ---- */

static uint64_t frame_for_table(struct kernel_map *map, uint64_t linear, unsigned level)
{
	const struct translation_ops *mode = map->tables.mode;
	unsigned shift = mode->level[level].shift + mode->level[level].index_bits;
	uint64_t frame = map->areas.frame ? map->areas.frame(map->areas.context, linear, shift) : FRAME_NONE;
	if (frame != FRAME_NONE) {
		map->counters.area_tables++;
		return frame;
	}
	map->counters.tables_elsewhere++;
	frame = map->next_frame;
	map->next_frame += PAGE_SIZE;
	return frame;
}

/* What is still mapped there has an unmapping to come, which then does nothing. */
static void unmap_overtaken(struct kernel_map *map, uint64_t linear)
{
	enum page_size size;
	if (!page_tables_find(&map->tables, linear, &size))
		return;
	linear &= ~(page_size_bytes(size) - 1);
	page_tables_unmap(&map->tables, linear);
	count_page(map, size, -1);
	struct overtaken_page *page = overtake(map, linear, size);
	page->unmaps++;
	page->was_undone = true;
}

/* Makes the tables that are missing down to a leaf's level, or takes away one that stands in the place of a large page. */
static void make_way(struct kernel_map *map, uint64_t linear, enum page_size size)
{
	unsigned leaf = translation_leaf_level(map->tables.mode, size), level;
	enum page_size there;
	if (page_tables_find(&map->tables, linear, &there) && there != size)
		unmap_overtaken(map, linear);
	while ((level = page_tables_level(&map->tables, linear)) > leaf)
		page_tables_add(&map->tables, linear, frame_for_table(map, linear, level - 1));
	if (level == leaf)
		return;
	for (uint64_t at = linear; at < linear + page_size_bytes(size); at += PAGE_SIZE)
		unmap_overtaken(map, at);
	for (; level < leaf; level++) {
		page_tables_drop(&map->tables, linear, level);
		map->counters.tables_dropped++;
	}
}

/* ---- pages ---- */

static enum page_size size_of_shift(unsigned shift)
{
	for (unsigned size = 0; size < PAGE_SIZES; size++)
		if (page_size_shift((enum page_size)size) == shift)
			return (enum page_size)size;
	SIM_UNREACHABLE("a size of a page");
}

/* Modules are code; 32-bit ones lie among all other areas. */
static uint64_t rights_of(const struct kernel_map *map, uint64_t linear)
{
	bool code = !map->tables.mode->sign_extended || layout_region(map->layout, linear) == REGION_MODULES;
	return WORD_KERNEL | (code ? WORD_EXECUTE : 0);
}

static void map_one(struct kernel_map *map, uint64_t linear, uint64_t frame, enum page_size size)
{
	uint64_t word = (frame << PAGE_SHIFT & WORD_FRAME) | rights_of(map, linear);
	struct overtaken_page *page = overtaken_at(map, linear, size);
	map->counters.mapped++;
	if (page && page->unmaps < 0) {
		page->unmaps++;
		page->was_undone = true;
		return;
	}
	if (page)
		page->was_undone = false;
	make_way(map, linear, size);
	if (page_tables_map(&map->tables, linear, word, size) == MAP_TAKEN) {
		page_tables_change(&map->tables, linear, word);
		overtake(map, linear, size)->unmaps++;
		return;
	}
	count_page(map, size, 1);
}

static void unmap_one(struct kernel_map *map, uint64_t linear, enum page_size size)
{
	struct overtaken_page *page = overtaken_at(map, linear, size);
	enum page_size there;
	map->counters.unmapped++;
	if (page && page->unmaps > 0) {
		page->unmaps--;
		return;
	}
	if (!page_tables_find(&map->tables, linear, &there) || there != size) {
		overtake(map, linear, size)->unmaps--;
		return;
	}
	page_tables_unmap(&map->tables, linear);
	count_page(map, size, -1);
}

/*
 * A slot of kmap() or kmap_local_page(): what came last counts.
 * MODEL: where cores overtake each other a permanent slot has the frame of who came last, until the next mapping.
 */
static void set_slot(struct kernel_map *map, uint64_t linear, uint64_t frame, bool present)
{
	enum page_size size;
	uint64_t word = frame << PAGE_SHIFT | WORD_KERNEL;
	if (!present) {
		page_tables_unmap(&map->tables, linear);
		return;
	}
	if (page_tables_find(&map->tables, linear, &size)) {
		page_tables_change(&map->tables, linear, word);
		return;
	}
	enum map_result result = page_tables_map(&map->tables, linear, word, PAGE_4K);
	SIM_ASSERT(result == MAP_OK);
}

static bool is_slot(const struct kernel_map *map, uint64_t linear)
{
	enum region region = layout_region(map->layout, linear);
	return region == REGION_KMAP || (region == REGION_FIXMAP && !map->tables.mode->sign_extended);
}

void kernel_map_tell_areas(struct kernel_map *map, const struct area_tables *areas)
{
	map->areas_told = true;
	map->areas = areas ? *areas : (struct area_tables){0};
}

void kernel_map_remap(void *context, const struct step *step)
{
	struct kernel_map *map = context;
	const struct step_mapping mapping = steps_mapping_of(step);
	enum page_size size = size_of_shift(mapping.page_shift);
	uint64_t frames = 1ull << (mapping.page_shift - PAGE_SHIFT);
	if (is_slot(map, mapping.linear)) {
		set_slot(map, mapping.linear, mapping.frame, step->kind == STEP_MAP);
		return;
	}
	for (uint64_t i = 0; i < 1ull << mapping.order; i++) {
		uint64_t linear = mapping.linear + (i << mapping.page_shift);
		if (step->kind == STEP_MAP)
			map_one(map, linear, mapping.frame + i * frames, size);
		else
			unmap_one(map, linear, size);
	}
}

void kernel_map_remap_all(struct kernel_map *map, const struct steps *steps)
{
	for (uint32_t i = 0; i < steps->count; i++)
		if (steps->at[i].kind == STEP_MAP || steps->at[i].kind == STEP_UNMAP)
			kernel_map_remap(map, &steps->at[i]);
}

uint64_t kernel_map_area_pages(const struct kernel_map *map)
{
	return map->counters.pages_mapped;
}

/* ---- laws ---- */

struct area_census {
	const struct kernel_map *map;
	uint64_t small, large, pages;
};

static void count_leaf(void *context, uint64_t linear, uint64_t word, enum page_size size)
{
	struct area_census *census = context;
	const struct layout *layout = census->map->layout;
	enum region region = layout_region(layout, linear);
	(void)word;
	/* On 32 bits a small machine's vmalloc range begins below the span of the map. */
	bool is_area = region == REGION_VMALLOC || region == REGION_MODULES || region == REGION_HOLE;
	if (!is_area || layout_is_per_cpu_chunk(layout, linear))
		return;
	census->small += size == PAGE_4K;
	census->large += size != PAGE_4K;
	census->pages += page_size_bytes(size) >> PAGE_SHIFT;
}

void kernel_map_check(const struct kernel_map *map)
{
	const struct kernel_map_counters *counters = &map->counters;
	struct area_census census = {.map = map};
	uint64_t to_come = 0; /* mappings as well, as negative numbers */
	page_tables_check(&map->tables);
	if (!map->areas_told)
		return;
	for (size_t i = 0; i < map->overtaken_slots; i++)
		to_come += (uint64_t)(int64_t)map->overtaken[i].unmaps;
	page_tables_visit(&map->tables, count_leaf, &census);
	SIM_ASSERT(census.small == counters->pages_small && census.large == counters->pages_large);
	SIM_ASSERT(census.pages == counters->pages_mapped);
	SIM_ASSERT(counters->mapped - counters->unmapped == census.small + census.large + to_come);
}
