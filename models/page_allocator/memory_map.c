/* SPDX-License-Identifier: MIT
 *
 * memory_map.c - the frames of a described machine (interface: memory_map.h).
 *
 * Memory is a PC's: frames 1..9e and from 100 up, on machines that reach beyond 4 GiB with a hole for devices below; without the
 * ranges of machine.reserved, each widened to whole frames, as the firmware's memory map (e820) is cut to whole frames of memory.
 * boot_memory.c says what of it the kernel keeps.
 * Source: arch/x86/kernel/setup.c (the first MiB is reserved), e820.c (e820__memblock_setup), arch/x86/mm/init_32.c
 * (highmem_pfn_init); recorded boots of Linux 6.1.192 in QEMU from 64 MiB to 6 GiB, and one of 1 GiB on i386.
 *
 * Invariant: kept ranges do not overlap.
 */
#include "models/page_allocator/memory_map.h"

#include "models/page_allocator/boot_memory.h"
#include "models/reserved_range.h"

#define MIB_PAGES (1024u * 1024u / PAGE_SIZE)
#define DMA32_END (4096u * MIB_PAGES)

/* Frame 0 and the firmware's frames from 9f on are no memory; below 1 MiB nothing is given out. */
#define FIRST_FRAME 1u
#define LOW_MEMORY_END 0x9fu
#define HIGH_MEMORY_START 0x100u
/* Where the hole for devices begins on machines with memory above 4 GiB: QEMU's PC, ACPI tables under 3 GiB. */
#define DEVICE_HOLE_START 0xbffe0u
/* Of these addresses no memory is installed on such machines. */
#define PCI_HOLE_START (3072u * MIB_PAGES)
#define PCI_HOLE_PAGES (1024u * MIB_PAGES)

/* Memory that is the largest the page allocator's frame numbers can name; and what x86-32 reaches without PAE, and with it. */
#define MEMORY_MAX_PAGES (UINT32_MAX - (1u << 24))
#define MEMORY_MAX_PAGES_32 DMA32_END
#define MEMORY_MAX_PAGES_PAE (16u << 20) /* 36 bits of physical address */

static bool is_32bit(const struct settings *settings)
{
	return settings->machine.architecture == ARCHITECTURE_X86_32;
}

static uint32_t range_frames(struct range range)
{
	return range.end > range.start ? range.end - range.start : 0;
}

uint64_t memory_in(const struct memory_map *map, struct range range)
{
	uint64_t pages = 0;
	for (unsigned i = 0; i < map->memory_count; i++)
		pages += range_frames(range_both(map->memory[i], range));
	return pages;
}

uint64_t kept_in(const struct memory_map *map, struct range range)
{
	uint64_t pages = memory_in(map, range_both(range, (struct range){FIRST_FRAME, HIGH_MEMORY_START}));
	for (unsigned i = 0; i < map->kept_count; i++)
		pages += memory_in(map, range_both(range, map->kept[i]));
	return pages;
}

/* ---- memory ---- */

static void add_memory(struct memory_map *map, uint32_t start, uint32_t end)
{
	SIM_ASSERT(map->memory_count < MEMORY_RANGES_MAX);
	if (start < end)
		map->memory[map->memory_count++] = (struct range){start, end};
}

/* Takes a range out of the memory; a range within one of memory's cuts it in two. */
static void cut_out(struct memory_map *map, struct range hole)
{
	struct range before[MEMORY_RANGES_MAX];
	unsigned count = map->memory_count;
	for (unsigned i = 0; i < count; i++)
		before[i] = map->memory[i];
	map->memory_count = 0;
	for (unsigned i = 0; i < count; i++) {
		struct range at = before[i];
		if (range_frames(range_both(at, hole)) == 0) {
			add_memory(map, at.start, at.end);
			continue;
		}
		add_memory(map, at.start, hole.start < at.end ? hole.start : at.end);
		add_memory(map, hole.end > at.start ? hole.end : at.start, at.end);
	}
}

static bool cut_reserved(struct memory_map *map, const struct settings *settings, struct error *error)
{
	for (uint32_t i = 0; i < settings->machine.reserved_count; i++) {
		struct reserved_range bytes;
		if (!reserved_range_parse(settings->machine.reserved[i], &bytes, error))
			return false;
		uint64_t start = bytes.start >> PAGE_SHIFT, end = (bytes.end + PAGE_SIZE - 1) >> PAGE_SHIFT;
		if (start < MEMORY_MAX_PAGES)
			cut_out(map, (struct range){(uint32_t)start, end < UINT32_MAX ? (uint32_t)end : UINT32_MAX});
	}
	return true;
}

/* Cuts a range of memory in two where a node ends. */
static void cut_at(struct memory_map *map, uint32_t nr)
{
	for (unsigned i = 0; i < map->memory_count; i++) {
		struct range range = map->memory[i];
		if (nr <= range.start || nr >= range.end)
			continue;
		SIM_ASSERT(map->memory_count < MEMORY_RANGES_MAX);
		for (unsigned at = map->memory_count++; at > i; at--)
			map->memory[at] = map->memory[at - 1];
		map->memory[i].end = map->memory[i + 1].start = nr;
		return;
	}
}

struct range memory_within(const struct memory_map *map, struct range range)
{
	struct range found = {0, 0};
	for (unsigned i = 0; i < map->memory_count; i++) {
		struct range both = range_both(map->memory[i], range);
		if (both.start >= both.end)
			continue;
		found.start = found.end ? found.start : both.start;
		found.end = both.end;
	}
	return found;
}

/*
 * A node has so many bytes of addresses behind those of the node before it, the device hole left out: as many as its memory
 * modules have, whatever the firmware reserves of them.
 */
static void place_nodes(struct memory_map *map, const struct machine_nodes *nodes, uint64_t end_pfn)
{
	uint64_t installed = 0;
	uint32_t start = 0;
	for (unsigned node = 0; node < nodes->count; node++) {
		installed += nodes->memory_bytes[node] >> PAGE_SHIFT;
		uint64_t end = end_pfn > DMA32_END && installed > PCI_HOLE_START ? installed + PCI_HOLE_PAGES : installed;
		cut_at(map, (uint32_t)end);
		map->nodes[node] = memory_within(map, (struct range){start, (uint32_t)end});
		start = (uint32_t)end;
		for (unsigned other = 0; other < nodes->count; other++)
			map->distance[node][other] = nodes->distance[node][other];
	}
}

static bool set_nodes(struct memory_map *map, const struct settings *settings, unsigned cpus, struct error *error)
{
	struct machine_nodes nodes;
	map->nodes_count = 1;
	map->nodes[0] = (struct range){map->memory[0].start, map->end_pfn};
	if (!machine_nodes_parse(&nodes, settings, error))
		return false;
	if (nodes.count == 0)
		return true;
	if (is_32bit(settings))
		return error_set(error, ERROR_USAGE, "machine.nodes: nodes are those of x86-64");
	uint64_t end_pfn = settings->machine.memory_bytes >> PAGE_SHIFT, given = 0;
	uint64_t bytes = (end_pfn > DMA32_END ? end_pfn - PCI_HOLE_PAGES : end_pfn) << PAGE_SHIFT;
	if (!machine_nodes_share(&nodes, cpus, bytes, error))
		return false;
	for (unsigned node = 0; node < nodes.count; node++)
		given += nodes.memory_bytes[node];
	if (given != bytes)
		return error_set(
		        error, ERROR_USAGE,
		        "machine.nodes: the nodes have %llu bytes of the machine's %llu (memory); leave out one node's memory= "
		        "to give it the rest",
		        (unsigned long long)given, (unsigned long long)bytes);
	map->nodes_count = nodes.count;
	place_nodes(map, &nodes, end_pfn);
	for (unsigned cpu = 0; cpu < cpus; cpu++)
		map->node_of_cpu[cpu] = nodes.node_of_cpu[cpu];
	return true;
}

/* Whether kernel, page tables and processor can name all of its frames. */
static bool is_reached(const struct settings *settings, struct error *error)
{
	const struct machine_settings *machine = &settings->machine;
	uint64_t end_pfn = machine->memory_bytes >> PAGE_SHIFT;
	bool pae = settings_are_pae(settings);
	if (is_32bit(settings) && end_pfn > (pae ? MEMORY_MAX_PAGES_PAE : MEMORY_MAX_PAGES_32))
		return error_set(error, ERROR_USAGE, "memory: %llu bytes; x86-32 %s", (unsigned long long)machine->memory_bytes,
		                 pae ? "reaches 64 GiB with PAE" : "reaches 4 GiB, or 64 GiB with machine.paging: x86_pae");
	if (strcmp(settings_paging(settings), "x86_32") == 0 && end_pfn > MEMORY_MAX_PAGES_32)
		return error_set(error, ERROR_USAGE, "memory: %llu bytes; machine.paging: x86_32 reaches 4 GiB",
		                 (unsigned long long)machine->memory_bytes);
	return end_pfn <= 1ull << (machine->physical_address_bits - PAGE_SHIFT) ||
	       error_set(error, ERROR_USAGE, "memory: %llu bytes; %u bits of machine.physical_address_bits reach %llu GiB",
	                 (unsigned long long)machine->memory_bytes, machine->physical_address_bits,
	                 (1ull << machine->physical_address_bits) >> 30);
}

static bool set_memory(struct memory_map *map, const struct settings *settings, struct error *error)
{
	uint64_t end_pfn = settings->machine.memory_bytes >> PAGE_SHIFT;
	if (end_pfn <= HIGH_MEMORY_START || end_pfn > MEMORY_MAX_PAGES)
		return error_set(error, ERROR_USAGE, "memory: %llu bytes; expected between 2 MiB and 15 TiB",
		                 (unsigned long long)settings->machine.memory_bytes);
	if (!is_reached(settings, error))
		return false;
	add_memory(map, FIRST_FRAME, LOW_MEMORY_END);
	add_memory(map, HIGH_MEMORY_START, end_pfn > DMA32_END ? DEVICE_HOLE_START : (uint32_t)end_pfn);
	if (end_pfn > DMA32_END)
		add_memory(map, DMA32_END, (uint32_t)end_pfn);
	if (!cut_reserved(map, settings, error))
		return false;
	if (is_32bit(settings) && !settings_check_32bit(settings, error))
		return false;
	/* highmem= can leave memory above unused (highmem_pfn_init() lowers max_pfn). */
	const struct layout_32bit layout = settings_layout_32bit(settings);
	if (is_32bit(settings) && layout.memory_bytes >> PAGE_SHIFT < end_pfn)
		cut_out(map, (struct range){(uint32_t)(layout.memory_bytes >> PAGE_SHIFT), UINT32_MAX});
	if (memory_in(map, (struct range){HIGH_MEMORY_START, UINT32_MAX}) == 0)
		return error_set(error, ERROR_USAGE, "machine.reserved: leaves no memory above the first MiB");
	map->end_pfn = map->memory[map->memory_count - 1].end;
	map->lowmem_end_pfn = UINT32_MAX;
	uint64_t lowmem_pages = layout.lowmem_bytes >> PAGE_SHIFT;
	if (is_32bit(settings) && lowmem_pages < map->end_pfn)
		map->lowmem_end_pfn = (uint32_t)lowmem_pages;
	return true;
}

bool memory_map_describe(struct memory_map *map, const struct settings *settings, unsigned cpus, struct error *error)
{
	*map = (struct memory_map){0};
	return set_memory(map, settings, error) && set_nodes(map, settings, cpus, error) &&
	       boot_memory_keep(map, settings, cpus, error);
}
