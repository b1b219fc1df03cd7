/* SPDX-License-Identifier: MIT
 *
 * boot.c - the state that a boot leaves in a described machine (memory size, CPUs, page block order): which frames are memory,
 * which of them the kernel keeps, and the rest given to the free lists as the boot gives it.
 *
 * Memory is an x86-64 PC's: frames 1..9e and from 100 up, with a hole for devices under 4 GiB on machines that reach beyond.
 * Zones: DMA below 16 MiB, DMA32 below 4 GiB, Normal above, Movable empty. Free ranges go to the lists in ascending order,
 * each cut into the largest aligned blocks, each block to its list's tail.
 * Source: arch/x86/kernel/setup.c (the first MiB is reserved), mm/memblock.c: __free_pages_memory; mm/page_alloc.c:
 * memmap_init_range, __free_pages_core, alloc_large_system_hash; recorded boots of Linux 6.1.192 in QEMU from 64 MiB to 6 GiB for
 * the sizes below.
 *
 * MODEL: what the running system has allocated since then is not there: all that is managed is free. Effect: a recording
 * that begins in mid-life finds more and longer free memory than its machine had.
 * MODEL: frames the kernel keeps lie together: its image from 16 MiB up, everything else at the end of memory. In a real boot
 * the latter has small gaps. Effect: a handful of blocks more or less in the highest zone.
 *
 * Invariant: present = managed + kept, in each zone.
 */
#include "models/page_allocator/buddy.h"
#include "models/page_allocator/reclaim.h"

#define MIB_PAGES (1024u * 1024u / PAGE_SIZE)
#define DMA_END (16u * MIB_PAGES)
#define DMA32_END (4096u * MIB_PAGES)

/* Frame 0 and the firmware's frames from 9f on are no memory; below 1 MiB nothing is given out. */
#define FIRST_FRAME 1u
#define LOW_MEMORY_END 0x9fu
#define HIGH_MEMORY_START 0x100u
/* Where the hole for devices begins on machines with memory above 4 GiB: QEMU's PC, ACPI tables under 3 GiB. */
#define DEVICE_HOLE_START 0xbffe0u

/* Frames of the kernel's image that stay (text, data, bss), from 16 MiB up. */
#define KERNEL_START DMA_END
#define KERNEL_PAGES 2790u
/* Frames given back after the watermarks were computed: the initrd (673), initmem (190), gaps in the image (511 + 96). */
#define FREED_LATE_PAGES 1470u
/* Per-CPU data of a CPU, and odds and ends. */
#define PER_CPU_PAGES 50u
#define OTHER_PAGES 10u
/* The struct page array covers whole sections of 128 MiB (SECTION_SIZE_BITS). */
#define SECTION_PAGES (128u * MIB_PAGES)
/* swiotlb: 64 MiB under 4 GiB on machines with memory above, and its table. */
#define SWIOTLB_PAGES (64u * MIB_PAGES)
#define SWIOTLB_TABLE_PAGES 195u
/* alloc_large_system_hash(): one bucket of 8 bytes per 2^13 (dentry) and 2^14 (inode) bytes of memory. */
#define DENTRY_HASH_SCALE 13
#define INODE_HASH_SCALE 14
#define HASH_BUCKET_BYTES 8
/* The scales grow by one for each fourfold beyond 64 GiB (ADAPT_SCALE_NPAGES, ADAPT_SCALE_SHIFT). */
#define HASH_ADAPT_PAGES ((64ull << 30) / PAGE_SIZE)

/* Memory that is the largest the page allocator's frame numbers can name. */
#define MEMORY_MAX_PAGES (UINT32_MAX - (1u << 24))

/* The image, the swiotlb buffer, the rest. */
#define KEPT_RANGES 3

struct range {
	uint32_t start, end;
};

struct machine {
	struct range memory[3]; /* ascending */
	unsigned memory_count;
	struct range kept[KEPT_RANGES]; /* the image, the swiotlb buffer, the rest: ascending */
	uint32_t end_pfn;
};

static struct range both(struct range a, struct range b)
{
	return (struct range){a.start > b.start ? a.start : b.start, a.end < b.end ? a.end : b.end};
}

static uint32_t overlap(struct range a, struct range b)
{
	struct range common = both(a, b);
	return common.end > common.start ? common.end - common.start : 0;
}

static uint64_t memory_in(const struct machine *machine, struct range range)
{
	uint64_t pages = 0;
	for (unsigned i = 0; i < machine->memory_count; i++)
		pages += overlap(machine->memory[i], range);
	return pages;
}

static uint64_t kept_in(const struct machine *machine, struct range range)
{
	uint64_t pages = overlap(range, (struct range){FIRST_FRAME, LOW_MEMORY_END});
	for (unsigned i = 0; i < KEPT_RANGES; i++)
		pages += overlap(range, machine->kept[i]) ? memory_in(machine, both(range, machine->kept[i])) : 0;
	return pages;
}

static void set_memory(struct machine *machine, uint32_t end_pfn)
{
	machine->end_pfn = end_pfn;
	machine->memory[0] = (struct range){FIRST_FRAME, LOW_MEMORY_END};
	machine->memory[1] = (struct range){HIGH_MEMORY_START, end_pfn};
	machine->memory_count = 2;
	if (end_pfn <= DMA32_END)
		return;
	machine->memory[1].end = DEVICE_HOLE_START;
	machine->memory[2] = (struct range){DMA32_END, end_pfn};
	machine->memory_count = 3;
}

static uint64_t round_up(uint64_t value, uint64_t to)
{
	return (value + to - 1) / to * to;
}

static uint64_t hash_pages(uint64_t memory_pages, unsigned scale)
{
	uint64_t entries = round_up(memory_pages, MIB_PAGES), size = 1;
	for (uint64_t adapt = HASH_ADAPT_PAGES; adapt < entries; adapt <<= 2)
		scale++;
	entries >>= scale - PAGE_SHIFT;
	while (size < entries)
		size <<= 1;
	return size * HASH_BUCKET_BYTES / PAGE_SIZE;
}

static uint64_t memmap_pages(const struct machine *machine, uint32_t page_struct_bytes)
{
	uint64_t pages = 0;
	for (uint64_t start = 0; start < machine->end_pfn; start += SECTION_PAGES) {
		uint64_t end = start + SECTION_PAGES < machine->end_pfn ? start + SECTION_PAGES : machine->end_pfn;
		if (memory_in(machine, (struct range){(uint32_t)start, (uint32_t)end}))
			pages += (uint64_t)SECTION_PAGES * page_struct_bytes / PAGE_SIZE;
	}
	return pages;
}

/* What a kernel like the recorded one keeps apart from its image, the swiotlb buffer and the first MiB. */
static uint64_t kept_at_the_end(const struct machine *machine, const struct settings *settings, unsigned cpus)
{
	uint64_t memmap = memmap_pages(machine, settings->kernel.page_struct_bytes);
	uint64_t memory = memory_in(machine, (struct range){0, machine->end_pfn});
	uint64_t low = memory > memmap ? memory - memmap : 0;
	uint64_t pages = memmap + OTHER_PAGES + (uint64_t)PER_CPU_PAGES * cpus;
	pages += hash_pages(low, DENTRY_HASH_SCALE) + hash_pages(low, INODE_HASH_SCALE);
	if (machine->end_pfn > DMA32_END)
		pages += SWIOTLB_TABLE_PAGES;
	return pages;
}

/* The frame from which on there are `pages` frames of memory. */
static uint32_t start_of_last(const struct machine *machine, uint64_t pages)
{
	for (unsigned i = machine->memory_count; i-- > 0;) {
		struct range range = machine->memory[i];
		if (range.end - range.start >= pages)
			return range.end - (uint32_t)pages;
		pages -= range.end - range.start;
	}
	return 0;
}

/* Chooses the kept frames; `pages` counts all of them with the first MiB's. False if there is not that much memory. */
static bool set_kept(struct machine *machine, uint64_t pages, bool swiotlb)
{
	uint64_t low = LOW_MEMORY_END - FIRST_FRAME;
	uint64_t memory = memory_in(machine, (struct range){HIGH_MEMORY_START, machine->end_pfn});
	pages = pages > low ? pages - low : 0;
	if (pages >= memory)
		return false;
	if (memory_in(machine, (struct range){KERNEL_START, machine->end_pfn}) > pages) {
		uint32_t image = pages < KERNEL_PAGES ? (uint32_t)pages : KERNEL_PAGES;
		machine->kept[0] = (struct range){KERNEL_START, KERNEL_START + image};
		pages -= image;
	}
	pages -= swiotlb ? SWIOTLB_PAGES : 0;
	machine->kept[2] = (struct range){start_of_last(machine, pages), machine->end_pfn};
	if (swiotlb) {
		uint32_t end = machine->kept[2].start < DEVICE_HOLE_START ? machine->kept[2].start : DEVICE_HOLE_START;
		machine->kept[1] = (struct range){end - SWIOTLB_PAGES, end};
	}
	return true;
}

static bool describe_machine(struct machine *machine, const struct settings *settings, unsigned cpus, struct error *error)
{
	uint64_t end_pfn = settings->machine.memory_bytes >> PAGE_SHIFT;
	if (end_pfn <= HIGH_MEMORY_START || end_pfn > MEMORY_MAX_PAGES)
		return error_set(error, ERROR_USAGE, "memory: %llu bytes; expected between 2 MiB and 15 TiB",
		                 (unsigned long long)settings->machine.memory_bytes);
	set_memory(machine, (uint32_t)end_pfn);
	uint64_t pages = settings->kernel.reserved_bytes >> PAGE_SHIFT;
	bool swiotlb = !pages && end_pfn > DMA32_END;
	if (!pages) {
		pages = LOW_MEMORY_END - FIRST_FRAME + kept_at_the_end(machine, settings, cpus);
		pages += end_pfn > KERNEL_START ? KERNEL_PAGES : 0;
		pages += swiotlb ? SWIOTLB_PAGES : 0;
	}
	if (!set_kept(machine, pages, swiotlb))
		return error_set(error, ERROR_USAGE, "memory: %llu bytes; the kernel alone keeps %llu of them (kernel.reserved)",
		                 (unsigned long long)settings->machine.memory_bytes, (unsigned long long)pages << PAGE_SHIFT);
	return true;
}

static void describe_zone(struct zone_spec *zone, const struct machine *machine, enum zone_kind kind, struct range range)
{
	static const char *const names[ZONE_KINDS] = {"DMA", "DMA32", "Normal", "HighMem", "Movable"};
	zone->kind = kind;
	for (unsigned i = 0; names[kind][i]; i++)
		zone->name[i] = names[kind][i];
	if (range.end > machine->end_pfn)
		range.end = machine->end_pfn;
	if (range.start >= range.end)
		return;
	zone->start_pfn = range.start;
	zone->spanned = range.end - range.start;
	zone->present = memory_in(machine, range);
	zone->managed = zone->present - kept_in(machine, range);
}

static unsigned describe_zones(struct zone_spec *zones, const struct machine *machine)
{
	static const struct {
		enum zone_kind kind;
		struct range range;
	} table[] = {
	        {ZONE_DMA, {FIRST_FRAME, DMA_END}},
	        {ZONE_DMA32, {DMA_END, DMA32_END}},
	        {ZONE_NORMAL, {DMA32_END, UINT32_MAX}},
	        {ZONE_MOVABLE, {0, 0}},
	};
	unsigned count = sizeof table / sizeof table[0];
	for (unsigned i = 0; i < count; i++) {
		zones[i].index = i;
		describe_zone(&zones[i], machine, table[i].kind, table[i].range);
	}
	return count;
}

/*
 * Computes the limits as the boot does: from what was managed before the last frames were given back. With huge pages, on
 * machines with at least 512 MiB (hugepage_init), khugepaged raises min_free_kbytes.
 */
static void set_limits(struct buddy_spec *spec, const struct settings *settings)
{
	struct zone_spec early[ZONES_MAX];
	uint64_t lowmem_pages = 0;
	unsigned populated = 0;
	for (unsigned i = 0; i < spec->zone_count; i++) {
		early[i] = spec->zones[i];
		struct range range = {early[i].start_pfn, early[i].start_pfn + early[i].spanned};
		if (range.start <= KERNEL_START && KERNEL_START < range.end && early[i].managed > 2 * FREED_LATE_PAGES)
			early[i].managed -= FREED_LATE_PAGES;
		lowmem_pages += early[i].managed;
		populated += early[i].present > 0;
	}
	struct zone_tuning tuning = {
	        .min_free_kbytes = settings->kernel.min_free_kbytes,
	        .watermark_scale_factor = settings->kernel.watermark_scale_factor,
	        .percpu_pagelist_high_fraction = settings->kernel.percpu_pagelist_high_fraction,
	        .lowmem_reserve_ratio = {settings->kernel.lowmem_reserve_dma, settings->kernel.lowmem_reserve_dma32},
	        .cpus = spec->cpus,
	};
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
static void place_absent_pageblocks(struct buddy *buddy, const struct machine *machine)
{
	for (uint64_t start = 0; start < machine->end_pfn; start += SECTION_PAGES) {
		struct range section = {(uint32_t)start, (uint32_t)(start + SECTION_PAGES)};
		struct zone *zone = memory_in(machine, section) ? NULL : buddy_zone_of(buddy, section.start);
		for (uint32_t at = section.start; zone && at < section.end && at < zone->end_pfn; at += pageblock_frames(buddy))
			buddy_place_pageblock(buddy, zone, at, PAGEBLOCK_ABSENT);
	}
}

/* memmap_init_range(): a pageblock whose first frame is memory is MOVABLE; the others keep type 0. */
static void place_pageblocks(struct buddy *buddy, const struct machine *machine)
{
	uint32_t frames = pageblock_frames(buddy);
	for (unsigned i = 0; i < machine->memory_count; i++) {
		uint64_t start = round_up(machine->memory[i].start, frames);
		for (uint64_t at = start; at < machine->memory[i].end; at += frames)
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

/* Frees what of a range is not kept; the kept ranges ascend. */
static void free_around_kept(struct buddy *buddy, const struct machine *machine, struct range range)
{
	for (unsigned i = 0; i < KEPT_RANGES; i++) {
		struct range kept = machine->kept[i];
		if (!overlap(range, kept))
			continue;
		if (kept.start > range.start)
			free_range(buddy, range.start, kept.start);
		range.start = kept.end;
	}
	if (range.start < range.end)
		free_range(buddy, range.start, range.end);
}

/* Frees everything with the statistics of the boot: nothing is held back by a CPU. */
static void free_memory(struct buddy *buddy, const struct machine *machine)
{
	bool recording = buddy->steps->recording;
	buddy->steps->recording = false;
	for (unsigned i = 0; i < buddy->zone_count; i++)
		buddy->zones[i].pcp[0].stat_threshold = 0;
	for (unsigned i = 0; i < machine->memory_count; i++)
		if (machine->memory[i].start >= HIGH_MEMORY_START)
			free_around_kept(buddy, machine, machine->memory[i]);
	buddy->steps->recording = recording;
}

static struct buddy *boot(const struct buddy_spec *spec, const struct machine *machine,
                          const struct page_allocator_wiring *wiring, struct error *error)
{
	struct buddy *buddy = buddy_empty(spec, wiring, error);
	if (!buddy)
		return NULL;
	place_absent_pageblocks(buddy, machine);
	place_pageblocks(buddy, machine);
	free_memory(buddy, machine);
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
	struct machine machine = {0};
	if (spec.cpus > CPUS_MAX) {
		error_set(error, ERROR_USAGE, "machine.cpus: %u; expected at most %u", spec.cpus, CPUS_MAX);
		return NULL;
	}
	if (!describe_machine(&machine, settings, spec.cpus, error))
		return NULL;
	spec.zone_count = describe_zones(spec.zones, &machine);
	set_limits(&spec, settings);
	struct buddy *buddy = boot(&spec, &machine, wiring, error);
	return buddy ? &buddy->port : NULL;
}
