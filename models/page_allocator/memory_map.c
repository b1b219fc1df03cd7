/* SPDX-License-Identifier: MIT
 *
 * memory_map.c - the frames of a described machine (interface: memory_map.h).
 *
 * Memory is a PC's: frames 1..9e and from 100 up, on machines that reach beyond 4 GiB with a hole for devices below; without the
 * ranges of machine.reserved, each widened to whole frames, as the firmware's memory map (e820) is cut to whole frames of memory.
 * Source: arch/x86/kernel/setup.c (the first MiB is reserved), e820.c (e820__memblock_setup), mm/page_alloc.c
 * (alloc_large_system_hash, alloc_node_mem_map), arch/x86/mm/init_32.c (highmem_pfn_init); recorded boots of Linux 6.1.192 in
 * QEMU from 64 MiB to 6 GiB, and one of 1 GiB on i386, for the sizes below.
 *
 * MODEL: frames the kernel keeps lie together: its image from 16 MiB up (or the next 2 MiB of memory where that is reserved),
 * everything else at the end of the memory it can map, on a machine with nodes at the end of the node it is for, tables of the
 * whole machine on the last one. In a real boot these have small gaps. Effect: a handful of blocks more or less in the highest
 * zone with kernel memory.
 *
 * Invariant: kept ranges do not overlap.
 */
#include "models/page_allocator/memory_map.h"

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

#define KERNEL_START (16u * MIB_PAGES)
/* CONFIG_PHYSICAL_ALIGN: where a kernel may be loaded. */
#define KERNEL_ALIGN (2u * MIB_PAGES)
/* The struct page array covers whole sections of 128 MiB on x86-64 (SECTION_SIZE_BITS), largest blocks on x86-32 without PAE. */
#define SECTION_PAGES (128u * MIB_PAGES)
#define LARGEST_BLOCK_PAGES (1u << (ORDERS - 1))
/* swiotlb: 64 MiB under 4 GiB on machines with memory above, and its table. */
#define SWIOTLB_PAGES (64u * MIB_PAGES)
#define SWIOTLB_TABLE_PAGES 195u
/* alloc_large_system_hash(): one bucket per 2^13 (dentry) and 2^14 (inode) bytes of memory. */
#define DENTRY_HASH_SCALE 13
#define INODE_HASH_SCALE 14
/* On 64 bits the scales grow by one for each fourfold beyond 64 GiB (ADAPT_SCALE_NPAGES, ADAPT_SCALE_SHIFT). */
#define HASH_ADAPT_PAGES ((64ull << 30) / PAGE_SIZE)

/* Memory that is the largest the page allocator's frame numbers can name; and what x86-32 reaches without PAE, and with it. */
#define MEMORY_MAX_PAGES (UINT32_MAX - (1u << 24))
#define MEMORY_MAX_PAGES_32 DMA32_END
#define MEMORY_MAX_PAGES_PAE (16u << 20) /* 36 bits of physical address */

/* What kernels like the recorded ones keep; frames. */
struct kernel_size {
	uint32_t image;      /* text, data, bss that stay */
	uint32_t freed_late; /* given back after the watermarks were computed: initrd, initmem, gaps in the image */
	uint32_t per_cpu;    /* per-CPU data of a CPU */
	uint32_t other;      /* odds and ends */
	uint32_t hash_bucket_bytes;
};

/* x86-64: initrd 673, initmem 190, gaps in the image 511 + 96. x86-32: initrd 265, initmem 77. */
static const struct kernel_size kernel_64 = {2790, 1470, 50, 10, 8}, kernel_32 = {935, 342, 29, 13, 4};

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

/* The frames of memory in a range, from the first to the last; empty if there are none. */
static struct range memory_within(const struct memory_map *map, struct range range)
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

static bool set_memory(struct memory_map *map, const struct settings *settings, struct error *error)
{
	uint64_t end_pfn = settings->machine.memory_bytes >> PAGE_SHIFT;
	if (end_pfn <= HIGH_MEMORY_START || end_pfn > MEMORY_MAX_PAGES)
		return error_set(error, ERROR_USAGE, "memory: %llu bytes; expected between 2 MiB and 15 TiB",
		                 (unsigned long long)settings->machine.memory_bytes);
	bool pae = settings_are_pae(settings);
	if (is_32bit(settings) && end_pfn > (pae ? MEMORY_MAX_PAGES_PAE : MEMORY_MAX_PAGES_32))
		return error_set(error, ERROR_USAGE, "memory: %llu bytes; x86-32 %s",
		                 (unsigned long long)settings->machine.memory_bytes,
		                 pae ? "reaches 64 GiB with PAE" : "reaches 4 GiB, or 64 GiB with machine.paging: x86_pae");
	add_memory(map, FIRST_FRAME, LOW_MEMORY_END);
	add_memory(map, HIGH_MEMORY_START, end_pfn > DMA32_END ? DEVICE_HOLE_START : (uint32_t)end_pfn);
	if (end_pfn > DMA32_END)
		add_memory(map, DMA32_END, (uint32_t)end_pfn);
	if (!cut_reserved(map, settings, error))
		return false;
	if (memory_in(map, (struct range){HIGH_MEMORY_START, UINT32_MAX}) == 0)
		return error_set(error, ERROR_USAGE, "machine.reserved: leaves no memory above the first MiB");
	map->end_pfn = map->memory[map->memory_count - 1].end;
	map->lowmem_end_pfn = UINT32_MAX;
	uint64_t lowmem_pages = settings_layout_32bit(settings).lowmem_bytes >> PAGE_SHIFT;
	if (is_32bit(settings) && lowmem_pages < map->end_pfn)
		map->lowmem_end_pfn = (uint32_t)lowmem_pages;
	return true;
}

/* ---- what the kernel keeps ---- */

static uint64_t round_up(uint64_t value, uint64_t to)
{
	return (value + to - 1) / to * to;
}

static uint64_t hash_pages(const struct memory_map *map, uint64_t memory_pages, unsigned scale, uint32_t bucket_bytes)
{
	uint64_t entries = round_up(memory_pages, MIB_PAGES), size = 1;
	for (uint64_t adapt = HASH_ADAPT_PAGES; map->lowmem_end_pfn == UINT32_MAX && adapt < entries; adapt <<= 2)
		scale++;
	entries >>= scale - PAGE_SHIFT;
	while (size < entries)
		size <<= 1;
	return size * bucket_bytes / PAGE_SIZE;
}

static bool range_has(struct range range, uint32_t nr)
{
	return nr >= range.start && nr < range.end;
}

/*
 * The struct page array of a node: x86-64 has a part for each section with memory, on the node of its first frame; x86-32 has one
 * over everything, holes too.
 */
static uint64_t memmap_pages(const struct memory_map *map, const struct settings *settings, struct range node)
{
	uint64_t bytes = settings->kernel.page_struct_bytes, pages = 0;
	if (is_32bit(settings))
		return round_up(round_up(map->end_pfn, LARGEST_BLOCK_PAGES) * bytes, PAGE_SIZE) / PAGE_SIZE;
	for (uint64_t start = 0; start < map->end_pfn; start += SECTION_PAGES) {
		uint64_t end = start + SECTION_PAGES < map->end_pfn ? start + SECTION_PAGES : map->end_pfn;
		struct range present = memory_within(map, (struct range){(uint32_t)start, (uint32_t)end});
		if (present.end > 0 && range_has(node, present.start))
			pages += SECTION_PAGES * bytes / PAGE_SIZE;
	}
	return pages;
}

static uint32_t lowmem_end(const struct memory_map *map)
{
	return map->end_pfn < map->lowmem_end_pfn ? map->end_pfn : map->lowmem_end_pfn;
}

/* What the kernel keeps at the end of each node: memory map and per-CPU data, on the last one the tables of the whole machine. */
static void count_kept(const struct memory_map *map, const struct settings *settings, const struct kernel_size *kernel,
                       unsigned cpus, uint64_t rest[MACHINE_NODES_MAX])
{
	uint64_t low = memory_in(map, (struct range){0, lowmem_end(map)}), memmap = 0;
	for (unsigned node = 0; node < map->nodes_count; node++) {
		rest[node] = memmap_pages(map, settings, map->nodes[node]);
		memmap += rest[node];
	}
	for (unsigned cpu = 0; cpu < cpus; cpu++)
		rest[map->node_of_cpu[cpu]] += kernel->per_cpu;
	low = low > memmap ? low - memmap : 0;
	rest[map->nodes_count - 1] += kernel->other + hash_pages(map, low, DENTRY_HASH_SCALE, kernel->hash_bucket_bytes) +
	                              hash_pages(map, low, INODE_HASH_SCALE, kernel->hash_bucket_bytes);
	if (map->end_pfn > DMA32_END && !is_32bit(settings)) /* which alone has a swiotlb (arch/x86/Kconfig) */
		rest[map->nodes_count - 1] += SWIOTLB_TABLE_PAGES;
}

/* What nodes without enough memory of their own cannot keep, their neighbours do: the one below, in the end the first ones. */
static void level_kept(const struct memory_map *map, uint64_t rest[MACHINE_NODES_MAX])
{
	for (unsigned round = 0; round < 2 * map->nodes_count; round++) {
		unsigned node = map->nodes_count - 1 - round % map->nodes_count;
		unsigned next = node > 0 ? node - 1 : map->nodes_count - 1;
		uint64_t room = memory_in(map, range_both(map->nodes[node], (struct range){HIGH_MEMORY_START, UINT32_MAX}));
		if (rest[node] > room && next != node) {
			rest[next] += rest[node] - room;
			rest[node] = room;
		}
	}
}

/* The frame from which on there are `pages` frames of memory below `end`. */
static uint32_t start_of_last(const struct memory_map *map, uint32_t end, uint64_t pages)
{
	for (unsigned i = map->memory_count; i-- > 0;) {
		struct range range = range_both(map->memory[i], (struct range){0, end});
		if (range_frames(range) >= pages)
			return range.end - (uint32_t)pages;
		pages -= range_frames(range);
	}
	return 0;
}

/* The first place for the image from 16 MiB up; 0 if there is none. */
static uint32_t place_image(const struct memory_map *map, uint32_t pages)
{
	for (unsigned i = 0; i < map->memory_count; i++) {
		struct range range = range_both(map->memory[i], (struct range){KERNEL_START, lowmem_end(map)});
		uint64_t start = round_up(range.start, KERNEL_ALIGN);
		if (start + pages <= range.end)
			return (uint32_t)start;
	}
	return 0;
}

static void keep(struct memory_map *map, uint32_t start, uint32_t end)
{
	struct range range = {start, end};
	unsigned at = map->kept_count;
	if (start >= end)
		return;
	SIM_ASSERT(at < KEPT_RANGES_MAX);
	for (; at > 0 && map->kept[at - 1].start > start; at--)
		map->kept[at] = map->kept[at - 1];
	map->kept[at] = range;
	map->kept_count++;
}

/* 64 MiB for devices that cannot reach beyond 4 GiB, the last that nobody else keeps; left out where there is no room. */
static void keep_swiotlb(struct memory_map *map)
{
	uint32_t end = DEVICE_HOLE_START;
	for (unsigned i = map->kept_count; i-- > 0;) {
		if (memory_in(map, (struct range){HIGH_MEMORY_START, end}) < SWIOTLB_PAGES)
			return;
		struct range buffer = {start_of_last(map, end, SWIOTLB_PAGES), end};
		if (range_frames(range_both(buffer, map->kept[i])) > 0)
			end = map->kept[i].start;
	}
	if (memory_in(map, (struct range){HIGH_MEMORY_START, end}) >= SWIOTLB_PAGES)
		keep(map, start_of_last(map, end, SWIOTLB_PAGES), end);
}

/* The node that a frame is on. */
static unsigned node_of(const struct memory_map *map, uint32_t nr)
{
	for (unsigned node = 0; node < map->nodes_count; node++)
		if (range_has(map->nodes[node], nr))
			return node;
	return 0;
}

/*
 * Chooses the kept frames: the image has a place of its own where there is memory for it and for what its node keeps behind it.
 * False if there is not that much memory.
 */
static bool set_kept(struct memory_map *map, uint32_t image, uint64_t rest[MACHINE_NODES_MAX], bool swiotlb)
{
	uint64_t buffer = swiotlb ? SWIOTLB_PAGES : 0, pages = image + buffer;
	for (unsigned node = 0; node < map->nodes_count; node++)
		pages += rest[node];
	if (pages >= memory_in(map, (struct range){HIGH_MEMORY_START, lowmem_end(map)}))
		return false;
	map->image_pfn = place_image(map, image);
	unsigned home = node_of(map, map->image_pfn);
	uint32_t home_end = map->nodes[home].end < lowmem_end(map) ? map->nodes[home].end : lowmem_end(map);
	if (map->image_pfn && memory_in(map, (struct range){map->image_pfn, home_end}) > image + rest[home] + buffer)
		keep(map, map->image_pfn, map->image_pfn + image);
	else
		rest[home] += image;
	level_kept(map, rest);
	for (unsigned node = 0; node < map->nodes_count; node++) {
		uint32_t end = map->nodes[node].end < lowmem_end(map) ? map->nodes[node].end : lowmem_end(map);
		if (rest[node] > 0)
			keep(map, start_of_last(map, end, rest[node]), end);
	}
	if (swiotlb)
		keep_swiotlb(map);
	return true;
}

/* kernel.reserved: with the first MiB, and the image as far as it goes; the rest by the nodes' memory. */
static void share_kept(const struct memory_map *map, uint64_t pages, uint32_t *image, uint64_t rest[MACHINE_NODES_MAX])
{
	uint64_t low = memory_in(map, (struct range){0, HIGH_MEMORY_START}), all = memory_in(map, (struct range){0, UINT32_MAX});
	pages = pages > low ? pages - low : 0;
	*image = pages < *image ? (uint32_t)pages : *image;
	pages -= *image;
	uint64_t left = pages;
	for (unsigned node = 0; node < map->nodes_count; node++) {
		rest[node] = node + 1 == map->nodes_count ? left : pages * memory_in(map, map->nodes[node]) / all;
		left -= rest[node];
	}
}

bool memory_map_describe(struct memory_map *map, const struct settings *settings, unsigned cpus, struct error *error)
{
	const struct kernel_size *kernel = is_32bit(settings) ? &kernel_32 : &kernel_64;
	uint64_t rest[MACHINE_NODES_MAX] = {0}, pages = settings->kernel.reserved_bytes >> PAGE_SHIFT;
	*map = (struct memory_map){.freed_late_pages = kernel->freed_late};
	if (!set_memory(map, settings, error) || !set_nodes(map, settings, cpus, error))
		return false;
	bool swiotlb = !pages && map->end_pfn > DMA32_END && !is_32bit(settings);
	uint32_t image = pages || lowmem_end(map) > KERNEL_START ? kernel->image : 0;
	if (pages)
		share_kept(map, pages, &image, rest);
	else
		count_kept(map, settings, kernel, cpus, rest);
	if (set_kept(map, image, rest, swiotlb))
		return true;
	pages = memory_in(map, (struct range){0, HIGH_MEMORY_START}) + image + (swiotlb ? SWIOTLB_PAGES : 0);
	for (unsigned node = 0; node < map->nodes_count; node++)
		pages += rest[node];
	return error_set(error, ERROR_USAGE, "memory: %llu bytes; the kernel alone keeps %llu of them (kernel.reserved)",
	                 (unsigned long long)settings->machine.memory_bytes, (unsigned long long)pages << PAGE_SHIFT);
}
