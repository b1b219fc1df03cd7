/* SPDX-License-Identifier: MIT
 *
 * boot_percpu.c - the frames of the first chunk of per-CPU data (interface: boot_internal.h).
 *
 * Embedded: each group's units in whole allocations, as high as they go; what no CPU uses of them is given back.
 *
 * By pages: a list of pages is taken first, then page after page of unit after unit, each the highest frame that is free, so they
 * descend; then tables for the area at the start of vmalloc's range, whose last levels nobody has needed before. The list goes
 * back.
 *
 * Source: mm/percpu.c: pcpu_embed_first_chunk(), pcpu_page_first_chunk(), pcpu_fc_alloc(), pcpu_alloc_alloc_info(); mm/vmalloc.c:
 * vm_area_register_early(); arch/x86/mm/init_64.c: populate_extra_pte(), spp_getpage(); init_32.c: populate_extra_pte().
 */
#include "models/page_allocator/boot_internal.h"

/* struct pcpu_alloc_info; the array of areas of groups. */
#define PERCPU_INFO_PAGES 1u
#define PERCPU_NOTES_PAGES 2u

#define TABLE_ENTRIES_LOG 9u
#define PGDIR_SHIFT_5LEVEL 48u

void boot_plan_per_cpu(const struct boot *boot, unsigned cpus)
{
	uint32_t of_settings = boot->settings->kernel.percpu_static_bytes;
	uint32_t bytes = of_settings ? of_settings : boot->kernel->percpu_static_bytes;
	const struct percpu_sizes sizes = boot->settings->kernel.percpu_alloc == PERCPU_ALLOC_PAGE
	                                          ? percpu_sizes_by_pages(!boot->is_32bit, bytes)
	                                          : percpu_sizes_x86(!boot->is_32bit, bytes);
	percpu_plan(&boot->map->per_cpu, &sizes, cpus, boot->map->node_of_cpu);
}

/* ---- embedded ---- */

static unsigned node_of_group(const struct memory_map *map, unsigned group)
{
	for (unsigned cpu = 0; cpu < map->per_cpu.cpus; cpu++)
		if (map->per_cpu.group_of_cpu[cpu] == group)
			return map->node_of_cpu[cpu];
	return 0;
}

/* Of a group's frames those of its CPUs' units stay, each as far as it is used. */
static void trim_group(struct boot *boot, unsigned group)
{
	const struct percpu_chunk *chunk = &boot->map->per_cpu;
	uint32_t first = boot->map->per_cpu_pfn[group], unit = chunk->unit_bytes / PAGE_SIZE;
	uint32_t used = percpu_used_bytes(chunk) / PAGE_SIZE, units = chunk->group[group].units;
	memblock_free(&boot->memblock, (struct range){first, first + units * unit});
	for (unsigned i = 0; i < chunk->group[group].cpus; i++)
		memblock_reserve(&boot->memblock, (struct range){first + i * unit, first + i * unit + used});
}

/* All groups are taken before the first is trimmed. */
static bool take_embedded(struct boot *boot)
{
	struct memory_map *map = boot->map;
	const struct percpu_chunk *chunk = &map->per_cpu;
	const struct range all = {HIGH_MEMORY_START, boot->end};
	struct range notes = {boot_take(boot, PERCPU_NOTES_PAGES, 1, all), 0};
	notes.end = notes.start + PERCPU_NOTES_PAGES;
	if (notes.start == MEMBLOCK_NONE)
		return false;
	unsigned placed = 0;
	while (placed < chunk->groups) {
		uint32_t pages = (uint32_t)(percpu_group_bytes(chunk, placed) / PAGE_SIZE);
		uint32_t first =
		        boot_take(boot, pages, chunk->atom_bytes / (uint32_t)PAGE_SIZE, map->nodes[node_of_group(map, placed)]);
		if (first == MEMBLOCK_NONE)
			break;
		map->per_cpu_pfn[placed++] = first;
	}
	for (unsigned group = 0; group < placed; group++)
		trim_group(boot, group);
	memblock_free(&boot->memblock, notes);
	return placed == chunk->groups;
}

/* ---- by pages ---- */

static uint32_t unit_pages(const struct boot *boot)
{
	return boot->map->per_cpu.unit_bytes / (uint32_t)PAGE_SIZE;
}

/* Where the area begins: VMALLOC_START. */
static uint64_t area_start(const struct boot *boot)
{
	const struct layout_32bit machine = settings_layout_32bit(boot->settings);
	return boot->is_32bit ? layout_vmalloc_32bit(&machine).first
	                      : layout_vmalloc_start_64bit(settings_are_5level(boot->settings));
}

/* log2 of what a table of the last level maps, and of what the largest table maps that the area still lacks. */
static unsigned first_shift(const struct boot *boot)
{
	return boot->is_32bit && !settings_are_pae(boot->settings) ? 22 : 21;
}

static unsigned last_shift(const struct boot *boot)
{
	if (boot->is_32bit)
		return first_shift(boot);
	return settings_are_5level(boot->settings) ? PGDIR_SHIFT_5LEVEL : PGDIR_SHIFT_5LEVEL - TABLE_ENTRIES_LOG;
}

static uint64_t tables_of(const struct boot *boot, unsigned shift)
{
	uint64_t start = area_start(boot), bytes = (uint64_t)boot->map->per_cpu.cpus * boot->map->per_cpu.unit_bytes;
	return ((start + bytes - 1) >> shift) - (start >> shift) + 1;
}

static bool take_table(struct boot *boot, uint64_t linear, unsigned shift)
{
	const struct memblock_request request = {1, 1, HIGH_MEMORY_START, boot->end};
	uint32_t frame = boot->is_32bit ? boot_low_pages(boot, 1) : MEMBLOCK_NONE;
	if (frame == MEMBLOCK_NONE)
		frame = memblock_alloc(&boot->memblock, &request);
	if (frame == MEMBLOCK_NONE)
		return false;
	boot_note_table(boot, linear >> shift << shift, shift, frame);
	return true;
}

/* pcpu_populate_pte() of each page: from the top down what is missing above the area's first page, then table after table. */
static bool take_tables(struct boot *boot)
{
	uint64_t start = area_start(boot);
	unsigned shift = last_shift(boot);
	for (; shift > first_shift(boot); shift -= TABLE_ENTRIES_LOG)
		if (!take_table(boot, start, shift))
			return false;
	for (uint64_t table = 0; table < tables_of(boot, shift); table++)
		if (!take_table(boot, start + (table << shift), shift))
			return false;
	return true;
}

static bool take_page(struct boot *boot, uint32_t page)
{
	struct memory_map *map = boot->map;
	const unsigned cpu = page / unit_pages(boot);
	uint32_t frame = boot_take(boot, 1, 1, map->nodes[map->node_of_cpu[cpu]]);
	if (frame == MEMBLOCK_NONE)
		return false;
	const struct percpu_run *last = map->per_cpu_runs ? &map->per_cpu_run[map->per_cpu_runs - 1] : NULL;
	if (last && last->pfn - (page - last->page) == frame)
		return true;
	SIM_ASSERT(map->per_cpu_runs < PERCPU_RUNS_MAX);
	map->per_cpu_run[map->per_cpu_runs++] = (struct percpu_run){page, frame};
	return true;
}

static bool take_by_pages(struct boot *boot)
{
	const struct range all = {HIGH_MEMORY_START, boot->end};
	const uint32_t pages = boot->map->per_cpu.cpus * unit_pages(boot), pointer = boot->is_32bit ? 4 : 8;
	const uint32_t list_pages = (pages * pointer + (uint32_t)PAGE_SIZE - 1) / (uint32_t)PAGE_SIZE;
	struct range info = {boot_take(boot, PERCPU_INFO_PAGES, 1, all), 0}, list = {boot_take(boot, list_pages, 1, all), 0};
	if (info.start == MEMBLOCK_NONE || list.start == MEMBLOCK_NONE)
		return false;
	info.end = info.start + PERCPU_INFO_PAGES;
	list.end = list.start + list_pages;
	for (uint32_t page = 0; page < pages; page++)
		if (!take_page(boot, page))
			return false;
	if (!take_tables(boot))
		return false;
	memblock_free(&boot->memblock, list);
	memblock_free(&boot->memblock, info);
	return true;
}

/* ---- either ---- */

uint64_t boot_per_cpu_pages(const struct boot *boot)
{
	const struct percpu_chunk *chunk = &boot->map->per_cpu;
	if (!chunk->by_pages)
		return (uint64_t)chunk->cpus * percpu_used_bytes(chunk) / PAGE_SIZE;
	uint64_t tables = 0;
	for (unsigned shift = first_shift(boot); shift <= last_shift(boot); shift += TABLE_ENTRIES_LOG)
		tables += tables_of(boot, shift);
	return (uint64_t)chunk->cpus * unit_pages(boot) + tables;
}

bool boot_take_per_cpu(struct boot *boot)
{
	boot->map->per_cpu_placed = boot->map->per_cpu.by_pages ? take_by_pages(boot) : take_embedded(boot);
	return boot->map->per_cpu_placed;
}
