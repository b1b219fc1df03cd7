/* SPDX-License-Identifier: MIT
 *
 * boot_memory.c - the frames that the kernel takes before there is a page allocator (interface: boot_memory.h).
 *
 * In this order, each the highest frames that are free (memblock.h), low memory alone on 32 bits:
 *
 *   image, initrd   where the boot loader put them: from 16 MiB up, and the last frames below 2 GiB (32 bits: of low memory)
 *   page tables     32 bits: of the fixmap and kmaps, most of them within the image (boot_tables.c)
 *   other           odds and ends; on 32 bits below the struct pages
 *   struct pages    of each node, in whole sections on x86-64, from a multiple of 2 MiB
 *   per-CPU data    of each node: units in allocations of 2 MiB (32 bits: of pages), below two pages of notes; or page by page
 *                   (boot_percpu.c)
 *   hash tables     of dentries and inodes
 *   swiotlb         64 MiB below 4 GiB where memory goes beyond, and its table
 *
 * The initrd and parts of the image are given back later. Source: arch/x86/kernel/setup.c: setup_arch(), relocate_initrd();
 * mm/sparse.c: sparse_init_nid(); mm/page_alloc.c: alloc_node_mem_map(), alloc_large_system_hash(); kernel/dma/swiotlb.c; and
 * recorded boots of Linux 6.1.192, whose reserved frames these are (tests/unit/test_boot_memory.c).
 *
 * MODEL: image, initrd, odds and ends are those of the recorded kernels, whatever kernel is described; firmware and loader
 * reserve nothing else. Effect: a distribution's image is some thousand frames longer; structures above lie elsewhere by the
 * difference of the initrds. MODEL: with kernel.reserved the size is what it says: per-CPU data first, then the rest as high as
 * it goes, where there is room.
 *
 * Invariant: kept = taken at the end of the boot.
 */
#include "models/page_allocator/boot_memory.h"

#include "models/page_allocator/boot_internal.h"

#define DMA32_END (4096u * MIB_PAGES)
#define KERNEL_START (16u * MIB_PAGES)
/* CONFIG_PHYSICAL_ALIGN: where a kernel may be loaded. */
#define KERNEL_ALIGN (2u * MIB_PAGES)
/* The boot protocol's initrd_addr_max of 64-bit kernels: the loader goes no higher. */
#define INITRD_END (2048u * MIB_PAGES)
/* The struct page array covers whole sections of 128 MiB on x86-64 (SECTION_SIZE_BITS), largest blocks on x86-32 without PAE. */
#define SECTION_PAGES (128u * MIB_PAGES)
#define SECTION_MAP_ALIGN (2u * MIB_PAGES)
#define LARGEST_BLOCK_PAGES (1u << (ORDERS - 1))
/* swiotlb: 64 MiB under 4 GiB on machines with memory above, and its table. */
#define SWIOTLB_PAGES (64u * MIB_PAGES)
#define SWIOTLB_TABLE_PAGES 195u
/* alloc_large_system_hash(): one bucket per 2^13 (dentry) and 2^14 (inode) bytes of memory. */
#define DENTRY_HASH_SCALE 13
#define INODE_HASH_SCALE 14
/* On 64 bits the scales grow by one for each fourfold beyond 64 GiB (ADAPT_SCALE_NPAGES, ADAPT_SCALE_SHIFT). */
#define HASH_ADAPT_PAGES ((64ull << 30) / PAGE_SIZE)

/* Static per-CPU data that has room for the stacks of x86-64 and for what is modelled besides. */
#define PERCPU_STATIC_MIN_64BIT (128u * 1024)

/* x86-64: initrd 673, initmem 190, gaps in the image 511 + 96. x86-32: initrd 265, initmem 77. */
static const struct kernel_size kernel_64 = {
        {{0, 0x601}, {0x800, 0x9a0}, {0xa00, 0xc0d}, {0xcce, 0xe06}}, 673, 1470, 10, 8, 165824};
static const struct kernel_size kernel_32 = {{{0, 0x35f}, {0x3ae, 0x402}}, 265, 342, 1, 4, 86188};

static uint64_t round_up(uint64_t value, uint64_t to)
{
	return (value + to - 1) / to * to;
}

static uint32_t least(uint32_t left, uint32_t right)
{
	return left < right ? left : right;
}

/* ---- sizes ---- */

static uint64_t hash_pages(const struct boot *boot, uint64_t memory_pages, unsigned scale)
{
	uint64_t entries = round_up(memory_pages, MIB_PAGES), size = 1;
	for (uint64_t adapt = HASH_ADAPT_PAGES; !boot->is_32bit && adapt < entries; adapt <<= 2)
		scale++;
	entries >>= scale - PAGE_SHIFT;
	while (size < entries)
		size <<= 1;
	return size * boot->kernel->hash_bucket_bytes / PAGE_SIZE;
}

/*
 * The struct page array of a node: x86-64 has a part for each section with memory, on the node of its first frame; x86-32 has one
 * over everything, holes too.
 */
static uint64_t mem_map_pages(const struct boot *boot, struct range node)
{
	const struct memory_map *map = boot->map;
	uint64_t bytes = boot->settings->kernel.page_struct_bytes, pages = 0;
	if (boot->is_32bit)
		return round_up(round_up(map->end_pfn, LARGEST_BLOCK_PAGES) * bytes, PAGE_SIZE) / PAGE_SIZE;
	for (uint64_t start = 0; start < map->end_pfn; start += SECTION_PAGES) {
		uint64_t end = start + SECTION_PAGES < map->end_pfn ? start + SECTION_PAGES : map->end_pfn;
		struct range present = memory_within(map, (struct range){(uint32_t)start, (uint32_t)end});
		if (present.end > 0 && present.start >= node.start && present.start < node.end)
			pages += SECTION_PAGES * bytes / PAGE_SIZE;
	}
	return pages;
}

/* ---- places ---- */

uint32_t boot_take(struct boot *boot, uint64_t pages, uint32_t align, struct range node)
{
	const struct range from[] = {range_both(node, (struct range){GOAL, boot->end}),
	                             {GOAL, boot->end},
	                             range_both(node, (struct range){HIGH_MEMORY_START, boot->end}),
	                             {HIGH_MEMORY_START, boot->end}};
	for (unsigned i = 0; i < sizeof from / sizeof from[0]; i++) {
		const struct memblock_request request = {pages, align, from[i].start, from[i].end};
		uint32_t first = from[i].start < from[i].end ? memblock_alloc(&boot->memblock, &request) : MEMBLOCK_NONE;
		if (first != MEMBLOCK_NONE)
			return first;
	}
	return MEMBLOCK_NONE;
}

/* In one piece if it goes, else in several. */
static bool take_anyhow(struct boot *boot, uint64_t pages, uint32_t align, struct range node)
{
	const struct memblock_request request = {pages, 1, HIGH_MEMORY_START, boot->end};
	return pages == 0 || boot_take(boot, pages, align, node) != MEMBLOCK_NONE ||
	       memblock_alloc_scattered(&boot->memblock, &request);
}

static uint32_t image_pages(const struct kernel_size *kernel)
{
	uint32_t pages = 0;
	for (unsigned part = 0; part < IMAGE_PARTS; part++)
		pages += kernel->image[part].end - kernel->image[part].start;
	return pages;
}

/* The first place for the image from 16 MiB up; 0 if there is none. */
static uint32_t place_image(const struct boot *boot, uint32_t pages)
{
	for (unsigned i = 0; i < boot->map->memory_count; i++) {
		struct range range = range_both(boot->map->memory[i], (struct range){KERNEL_START, boot->end});
		uint64_t start = round_up(range.start, KERNEL_ALIGN);
		if (start + pages <= range.end)
			return (uint32_t)start;
	}
	return 0;
}

static bool take_image(struct boot *boot)
{
	const struct kernel_size *kernel = boot->kernel;
	uint32_t span = 0;
	for (unsigned part = 0; part < IMAGE_PARTS; part++)
		span = kernel->image[part].end > span ? kernel->image[part].end : span;
	uint32_t at = boot->map->image_pfn = place_image(boot, span);
	if (!at) /* a machine below the image's usual place has a smaller kernel */
		return boot->end <= KERNEL_START ||
		       take_anyhow(boot, image_pages(kernel), 1, (struct range){HIGH_MEMORY_START, boot->end});
	for (unsigned part = 0; part < IMAGE_PARTS; part++) {
		struct range range = {at + kernel->image[part].start, at + kernel->image[part].end};
		if (range.start < range.end)
			memblock_reserve(&boot->memblock, range);
	}
	boot->image_is_whole = true;
	return true;
}

/* Where the initrd is while the boot goes on; empty if there is no room for one. */
static struct range take_initrd(struct boot *boot)
{
	const struct memblock_request request = {boot->kernel->initrd, 1, GOAL, least(boot->end, INITRD_END)};
	uint32_t first = request.lowest < request.end ? memblock_alloc(&boot->memblock, &request) : MEMBLOCK_NONE;
	return first == MEMBLOCK_NONE ? (struct range){0, 0} : (struct range){first, first + boot->kernel->initrd};
}

static bool take_mem_map(struct boot *boot)
{
	struct memory_map *map = boot->map;
	for (unsigned node = 0; node < map->nodes_count; node++) {
		uint64_t pages = mem_map_pages(boot, map->nodes[node]);
		if (pages == 0)
			continue;
		uint32_t first = boot_take(boot, pages, boot->is_32bit ? 1 : SECTION_MAP_ALIGN, map->nodes[node]);
		if (first != MEMBLOCK_NONE)
			map->mem_map[node] = (struct range){first, first + (uint32_t)pages};
		else if (!take_anyhow(boot, pages, 1, map->nodes[node]))
			return false;
	}
	return true;
}

/* 64 MiB for devices that cannot reach beyond 4 GiB; left out where there is no room. */
static void take_swiotlb(struct boot *boot)
{
	const struct memblock_request request = {SWIOTLB_PAGES, 1, HIGH_MEMORY_START, DMA32_END};
	memblock_alloc(&boot->memblock, &request);
}

static bool take_all(struct boot *boot)
{
	const struct range all = {HIGH_MEMORY_START, boot->end};
	uint64_t low = memory_in(boot->map, (struct range){0, boot->end}), mem_map = 0;
	bool has_swiotlb = boot->map->end_pfn > DMA32_END && !boot->is_32bit; /* which 32 bits never have (arch/x86/Kconfig) */
	for (unsigned node = 0; node < boot->map->nodes_count; node++)
		mem_map += mem_map_pages(boot, boot->map->nodes[node]);
	low = low > mem_map ? low - mem_map : 0;
	if (!take_image(boot))
		return false;
	/* A loader's initrd in high memory is moved down once low memory is mapped. */
	bool moves_initrd = boot->is_32bit && boot->end < boot->map->end_pfn;
	if (moves_initrd)
		boot_map_memory(boot);
	struct range initrd = take_initrd(boot);
	if (boot->is_32bit && !moves_initrd)
		boot_map_memory(boot);
	if (boot->is_32bit)
		boot_map_kmaps(boot);
	bool taken = (boot->is_32bit || take_anyhow(boot, boot->kernel->other, 1, all)) && take_mem_map(boot) &&
	             (!boot->is_32bit || take_anyhow(boot, boot->kernel->other, 1, all)) && boot_take_per_cpu(boot) &&
	             take_anyhow(boot, hash_pages(boot, low, DENTRY_HASH_SCALE), 1, all) &&
	             take_anyhow(boot, hash_pages(boot, low, INODE_HASH_SCALE), 1, all);
	if (taken && has_swiotlb) {
		take_swiotlb(boot);
		taken = take_anyhow(boot, SWIOTLB_TABLE_PAGES, 1, all);
	}
	if (initrd.start < initrd.end)
		memblock_free(&boot->memblock, initrd);
	return taken;
}

/* kernel.reserved, the first MiB counted in: the image as far as it goes, per-CPU data, the rest by the nodes' memory. */
static bool take_reserved(struct boot *boot, uint64_t pages)
{
	struct memory_map *map = boot->map;
	uint64_t low = memory_in(map, (struct range){0, HIGH_MEMORY_START}), all = memory_in(map, (struct range){0, UINT32_MAX});
	pages = pages > low ? pages - low : 0;
	uint32_t image = pages < image_pages(boot->kernel) ? (uint32_t)pages : image_pages(boot->kernel);
	map->image_pfn = place_image(boot, image);
	if (map->image_pfn && image) {
		memblock_reserve(&boot->memblock, (struct range){map->image_pfn, map->image_pfn + image});
		pages -= image;
	}
	if (pages >= boot_per_cpu_pages(boot) && boot_take_per_cpu(boot))
		pages -= boot_per_cpu_pages(boot);
	uint64_t left = pages;
	for (unsigned node = 0; node < map->nodes_count; node++) {
		uint64_t share = node + 1 == map->nodes_count ? left : pages * memory_in(map, map->nodes[node]) / all;
		left -= share;
		if (!take_anyhow(boot, share, 1, map->nodes[node]))
			return false;
	}
	return true;
}

bool boot_memory_keep(struct memory_map *map, const struct settings *settings, unsigned cpus, struct error *error)
{
	bool is_32bit = settings->machine.architecture == ARCHITECTURE_X86_32;
	struct boot boot = {.map = map,
	                    .settings = settings,
	                    .kernel = is_32bit ? &kernel_32 : &kernel_64,
	                    .end = least(map->end_pfn, map->lowmem_end_pfn),
	                    .is_32bit = is_32bit};
	uint64_t reserved = settings->kernel.reserved_bytes >> PAGE_SHIFT;
	map->freed_late_pages = boot.kernel->freed_late;
	uint32_t percpu_static = settings->kernel.percpu_static_bytes;
	if (!is_32bit && percpu_static && percpu_static < PERCPU_STATIC_MIN_64BIT)
		return error_set(error, ERROR_USAGE, "kernel.percpu_static: %u bytes; expected at least %u on x86-64",
		                 percpu_static, PERCPU_STATIC_MIN_64BIT);
	memblock_init(&boot.memblock, map);
	boot_plan_per_cpu(&boot, cpus);
	if (!(reserved ? take_reserved(&boot, reserved) : take_all(&boot)))
		return error_set(error, ERROR_USAGE,
		                 "memory: %llu bytes; the kernel alone has no room there for its image, struct pages, tables and "
		                 "per-CPU data of %u CPUs; expected more memory, fewer machine.cpus or a small kernel.reserved",
		                 (unsigned long long)settings->machine.memory_bytes, cpus);
	for (; map->kept_count < boot.memblock.count; map->kept_count++)
		map->kept[map->kept_count] = boot.memblock.taken[map->kept_count];
	return true;
}
