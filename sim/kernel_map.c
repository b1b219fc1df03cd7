/* SPDX-License-Identifier: MIT
 *
 * kernel_map.c - the kernel's page tables (interface and sources: kernel_map.h).
 */
#include "sim/kernel_map.h"

#include "sim/entry_area.h"
#include "sim/kernel_map_areas.h"

#include <stdlib.h>

#define ISA_END 0x100000u          /* ISA_END_ADDRESS: mapped whatever lies there */
#define SECTION_BYTES (1ull << 27) /* SECTION_SIZE_BITS on x86-64 */

static uint64_t take_frame(void *context)
{
	struct kernel_map *map = context;
	uint64_t frame = map->next_frame;
	map->next_frame += PAGE_SIZE;
	return frame;
}

/* Frames for a page of any size, aligned to it. */
static uint64_t take_page(struct kernel_map *map, enum page_size size)
{
	uint64_t bytes = page_size_bytes(size), first = (map->next_frame + bytes - 1) & ~(bytes - 1);
	map->next_frame = first + bytes;
	return first;
}

static bool is_memory(const struct ram_range *ram, size_t ranges, uint64_t start, uint64_t end)
{
	for (size_t i = 0; i < ranges; i++)
		if (start >= ram[i].start && end <= ram[i].end)
			return true;
	return false;
}

static bool has_size(const struct translation_ops *mode, const struct paging_controls *controls, enum page_size size)
{
	if (size == PAGE_1G && !controls->gigabyte_pages)
		return false;
	if (size == PAGE_4M && !controls->large_pages)
		return false;
	return translation_leaf_level(mode, size) < mode->levels;
}

enum page_size kernel_map_page_size(const struct translation_ops *mode, const struct paging_controls *controls,
                                    const struct layout *layout, const struct ram_range *ram, size_t ranges, uint64_t physical)
{
	uint64_t limit = (uint64_t)layout->direct_map_frames << PAGE_SHIFT, frame = physical & ~(uint64_t)(PAGE_SIZE - 1);
	if (physical >= limit || (physical >= ISA_END && !is_memory(ram, ranges, frame, frame + PAGE_SIZE)))
		return PAGE_SIZES;
	for (unsigned size = PAGE_SIZES; --size > PAGE_4K;) {
		uint64_t bytes = page_size_bytes((enum page_size)size), start = physical & ~(bytes - 1);
		bool first_of_i386 = !mode->sign_extended && start == 0;
		if (has_size(mode, controls, (enum page_size)size) && !first_of_i386 && start + bytes <= limit &&
		    is_memory(ram, ranges, start, start + bytes))
			return (enum page_size)size;
	}
	return PAGE_4K;
}

static void map_page(struct kernel_map *map, uint64_t linear, uint64_t physical, enum page_size size, uint64_t rights)
{
	uint64_t bytes = page_size_bytes(size);
	enum map_result result =
	        page_tables_map(&map->tables, linear & ~(bytes - 1), (physical & ~(bytes - 1)) | WORD_KERNEL | rights, size);
	SIM_ASSERT(result != MAP_NO_MEMORY);
}

static void map_range_directly(struct kernel_map *map, const struct ram_range *ram, size_t ranges, uint64_t start, uint64_t end)
{
	const struct page_tables *tables = &map->tables;
	for (uint64_t at = start & ~(uint64_t)(PAGE_SIZE - 1); at < end;) {
		enum page_size size = kernel_map_page_size(tables->mode, &tables->controls, map->layout, ram, ranges, at);
		if (size == PAGE_SIZES) {
			at += PAGE_SIZE;
			continue;
		}
		map_page(map, map->layout->direct_map + at, at, size, tables->mode->sign_extended ? 0 : WORD_EXECUTE);
		at = (at & ~(page_size_bytes(size) - 1)) + page_size_bytes(size);
	}
}

/* i386: a region of the direct map that the kernel took for itself, whatever the ranges of memory say. */
static void map_own_data(struct kernel_map *map, enum region region)
{
	const struct layout_span *span = layout_span_of(map->layout, region);
	if (!span)
		return;
	const struct ram_range own = {span->first - map->layout->direct_map, span->last + 1 - map->layout->direct_map};
	map_range_directly(map, &own, 1, own.start, own.end);
}

/* Per-CPU data by pages, in the order in which they were mapped (pcpu_page_first_chunk()). */
static void map_units_by_pages(struct kernel_map *map)
{
	const struct layout *layout = map->layout;
	for (unsigned cpu = 0; cpu < layout->per_cpu_group[0].cpus; cpu++)
		for (uint64_t offset = 0; offset < layout->per_cpu_stride; offset += PAGE_SIZE)
			map_page(map, layout->per_cpu_unit[cpu] + offset, layout_per_cpu_physical(layout, offset, cpu), PAGE_4K,
			         0);
}

/* Tables that the boot made lie where it took them. What is above one of them is made as it comes. */
static void place_tables(struct kernel_map *map)
{
	const struct translation_ops *mode = map->tables.mode;
	for (unsigned i = 0; i < map->layout->tables; i++) {
		const struct layout_table *table = &map->layout->table[i];
		unsigned level;
		while ((level = page_tables_level(&map->tables, table->linear)) > 0 && mode->level[level].shift >= table->shift) {
			bool is_it = mode->level[level].shift == table->shift;
			uint64_t frame = is_it ? (uint64_t)table->pfn << PAGE_SHIFT : take_frame(map);
			page_tables_add(&map->tables, table->linear, frame);
		}
	}
}

/* Per-CPU data on 32 bits, as far as it lies in the direct map. */
static void map_own_units(struct kernel_map *map)
{
	if (map->layout->per_cpu_by_pages)
		return;
	for (unsigned group = 0; group < map->layout->per_cpu_groups; group++) {
		const struct layout_units *units = &map->layout->per_cpu_group[group];
		const uint64_t first = units->first - map->layout->direct_map;
		const struct ram_range own = {first, first + units->bytes};
		map_range_directly(map, &own, 1, own.start, own.end);
	}
}

static uint64_t least(uint64_t left, uint64_t right)
{
	return left < right ? left : right;
}

static enum page_size large_size(const struct translation_ops *mode)
{
	return translation_leaf_level(mode, PAGE_2M) < mode->levels ? PAGE_2M : PAGE_4M;
}

/* One large page of the struct pages of a section at a time. */
static void map_vmemmap(struct kernel_map *map, const struct ram_range *range)
{
	const uint64_t bytes = page_size_bytes(PAGE_2M);
	uint64_t first = range->start & ~(SECTION_BYTES - 1), last = (range->end + SECTION_BYTES - 1) & ~(SECTION_BYTES - 1);
	uint64_t at = map->layout->vmemmap + (first >> PAGE_SHIFT) * map->layout->page_struct_bytes;
	uint64_t end = map->layout->vmemmap + (last >> PAGE_SHIFT) * map->layout->page_struct_bytes;
	enum page_size size;
	for (at &= ~(bytes - 1); at < end; at += bytes)
		if (!page_tables_find(&map->tables, at, &size))
			map_page(map, at, take_page(map, PAGE_2M), PAGE_2M, 0);
}

static void map_text(struct kernel_map *map)
{
	const struct layout_span *text = layout_span_of(map->layout, REGION_TEXT);
	const uint64_t bytes = page_size_bytes(PAGE_2M);
	for (uint64_t at = text->first; at < text->last; at += bytes)
		map_page(map, at, at - text->first, PAGE_2M, WORD_EXECUTE);
}

bool kernel_map_init(struct kernel_map *map, const struct translation_ops *mode, const struct paging_controls *controls,
                     struct physical_memory *memory, const struct layout *layout, const struct ram_range *ram, size_t ranges)
{
	uint64_t end = ranges ? ram[ranges - 1].end : 0, limit = (uint64_t)layout->direct_map_frames << PAGE_SHIFT;
	*map = (struct kernel_map){.layout = layout, .next_frame = (end + PAGE_SIZE - 1) & ~(uint64_t)(PAGE_SIZE - 1)};
	map->tables = (struct page_tables){
	        .mode = mode, .controls = *controls, .memory = memory, .frames = {.take = take_frame, .context = map}};
	if (mode->levels == 0 || !page_tables_init(&map->tables))
		return false;
	place_tables(map);
	if (layout->per_cpu_by_pages)
		map_units_by_pages(map);
	map_range_directly(map, ram, ranges, 0, least(ISA_END, limit));
	for (size_t i = 0; i < ranges; i++) {
		uint64_t start = ram[i].start < ISA_END ? ISA_END : ram[i].start;
		map_range_directly(map, ram, ranges, start, least(ram[i].end, limit));
	}
	if (!mode->sign_extended) {
		map_own_units(map);
		map_own_data(map, REGION_VMEMMAP);
		return true;
	}
	for (size_t i = 0; i < ranges; i++)
		map_vmemmap(map, &ram[i]);
	map_text(map);
	return true;
}

/* Maps pages of a CPU's unit a second time. */
static void map_again(struct kernel_map *map, uint64_t linear, unsigned cpu, uint64_t offset, uint64_t bytes)
{
	for (uint64_t at = 0; at < bytes; at += PAGE_SIZE)
		map_page(map, linear + at, layout_per_cpu_physical(map->layout, offset + at, cpu), PAGE_4K, 0);
}

void kernel_map_entry_areas(struct kernel_map *map, unsigned cpus, bool irq_stacks)
{
	const struct layout *layout = map->layout;
	SIM_ASSERT(layout->per_cpu_groups > 0 && map->tables.mode->sign_extended);
	for (unsigned cpu = 0; cpu < cpus; cpu++) {
		for (const struct entry_part *part = entry_parts; part->pages > 0; part++)
			map_again(map, entry_area(cpu) + (uint64_t)part->area_page * PAGE_SIZE, cpu,
			          (uint64_t)part->unit_page * PAGE_SIZE, (uint64_t)part->pages * PAGE_SIZE);
		if (irq_stacks && layout->irq_stack[cpu] && layout_region(layout, layout->irq_stack[cpu]) == REGION_VMALLOC)
			map_again(map, layout->irq_stack[cpu], cpu, IRQ_STACK_PER_CPU_OFFSET, IRQ_STACK_BYTES);
	}
}

void kernel_map_release(struct kernel_map *map)
{
	free(map->overtaken);
	map->overtaken = NULL;
	if (map->tables.mode && map->tables.mode->levels)
		page_tables_release(&map->tables);
}

/* Whether the address has its page at first touch; *size and *rights are those of the page. */
static bool comes_at_first_touch(const struct kernel_map *map, uint64_t linear, enum page_size *size, uint64_t *rights)
{
	*size = PAGE_4K;
	*rights = 0;
	switch (layout_region(map->layout, linear)) {
	case REGION_PER_CPU:
		*size = large_size(map->tables.mode);
		return true;
	case REGION_MODULES:
		*rights = WORD_EXECUTE;
		return !map->areas_told;
	case REGION_VMALLOC:
		return !map->areas_told || layout_is_per_cpu_chunk(map->layout, linear);
	case REGION_FIXMAP:
	case REGION_KMAP:
		return true;
	default:
		return false;
	}
}

bool kernel_map_fault(void *context, uint64_t linear, enum walk_outcome outcome, unsigned error_code)
{
	struct kernel_map *map = context;
	enum page_size size;
	uint64_t rights;
	bool absent = outcome == WALK_PAGE_FAULT && !(error_code & PF_PRESENT);
	if (!absent || !comes_at_first_touch(map, linear, &size, &rights)) {
		kernel_map_note_wrong(map, linear);
		return false;
	}
	map_page(map, linear, take_page(map, size), size, rights);
	map->counters.first_touches++;
	return true;
}
