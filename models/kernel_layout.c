/* SPDX-License-Identifier: MIT
 *
 * kernel_layout.c - the layout of a described machine's kernel (interface: kernel_layout.h).
 */
#include "models/kernel_layout.h"

#include "models/page_allocator/memory_map.h"

static void place_per_cpu(struct layout *layout, const struct memory_map *map, bool is_32bit)
{
	struct layout_places places = {.per_cpu = &map->per_cpu};
	for (unsigned group = 0; group < map->per_cpu.groups; group++)
		places.per_cpu_group[group] = (uint64_t)map->per_cpu_pfn[group] << PAGE_SHIFT;
	places.per_cpu_run = map->per_cpu_run;
	places.per_cpu_runs = map->per_cpu_runs;
	if (is_32bit) {
		places.mem_map = (uint64_t)map->mem_map[0].start << PAGE_SHIFT;
		places.mem_map_bytes = (uint64_t)(map->mem_map[0].end - map->mem_map[0].start) << PAGE_SHIFT;
	}
	layout_place_per_cpu(layout, &places);
}

static unsigned cpus_of(const struct settings *settings)
{
	return settings->machine.cpus ? settings->machine.cpus : 1;
}

/* The paging mode decides, but beside a recorded state the kernel that was recorded. */
static bool is_5level(const struct settings *settings, uint64_t direct_map)
{
	if (!direct_map)
		return settings_are_5level(settings);
	return direct_map >= LAYOUT_DIRECT_MAP_5LEVEL && direct_map < LAYOUT_DIRECT_MAP_5LEVEL_END;
}

void kernel_layout_init(struct layout *layout, const struct settings *settings, uint64_t direct_map)
{
	bool is_32bit = settings->machine.architecture == ARCHITECTURE_X86_32;
	struct memory_map map;
	struct error none = {0};
	layout_init(layout, settings->kernel.page_struct_bytes);
	if (is_5level(settings, direct_map))
		layout_set_5level(layout);
	if (is_32bit) {
		const struct layout_32bit machine = settings_layout_32bit(settings);
		layout_set_32bit(layout, &machine);
	}
	if (direct_map)
		layout->direct_map = direct_map;
	if (!memory_map_describe(&map, settings, cpus_of(settings), &none))
		return;
	layout_place_tables(layout, map.table, map.tables);
	if (map.per_cpu_placed)
		place_per_cpu(layout, &map, is_32bit);
}

void kernel_layout_print_per_cpu(const struct settings *settings, FILE *out)
{
	struct memory_map map;
	struct error none = {0};
	if (memory_map_describe(&map, settings, cpus_of(settings), &none))
		percpu_print(&map.per_cpu, out);
}
