/* SPDX-License-Identifier: MIT
 *
 * test_boot_memory.c - which frames a kernel keeps, against recorded boots of Linux 6.1.192 in QEMU (machine pc): the reserved
 * frames of the memory map right after boot, frame by frame. Each test names the mistake it would catch.
 */
#include "models/kernel_layout.h"
#include "models/page_allocator/memblock.h"
#include "models/page_allocator/memory_map.h"
#include "tests/unit/test.h"

#include <stdlib.h>
#include <string.h>

#define MIB (1024ull * 1024)
#define RANGES_MAX 16

struct recorded_boot {
	const char *source;
	uint32_t end_pfn;
	unsigned cpus;
	bool is_32bit;
	struct range reserved[RANGES_MAX]; /* above the first MiB, as the map of all pages shows them; ends with an empty one */
};

#define IMAGE_64 \
	{0x1000, 0x1601}, {0x1800, 0x19a0}, {0x1a00, 0x1c0d}, \
	{ \
		0x1cce, 0x1e06 \
	}

static const struct recorded_boot boots[] = {
        {"-m 64M", 0x3fe0, 1, false, {IMAGE_64, {0x3800, 0x3832}, {0x3a00, 0x3c00}, {0x3d1d, 0x3d3f}}},
        {"-m 128M", 0x7fe0, 1, false, {IMAGE_64, {0x7800, 0x7832}, {0x7a00, 0x7c00}, {0x7d05, 0x7d3f}}},
        {"-m 256M", 0xffe0, 1, false, {IMAGE_64, {0xf600, 0xf632}, {0xf800, 0xfc00}, {0xfcd5, 0xfd3f}}},
        {"-m 512M", 0x1ffe0, 1, false, {IMAGE_64, {0x1f200, 0x1f232}, {0x1f400, 0x1fc00}, {0x1fc75, 0x1fd3f}}},
        {"-m 512M -smp 2",
         0x1ffe0,
         2,
         false,
         {IMAGE_64, {0x1f200, 0x1f232}, {0x1f300, 0x1f332}, {0x1f400, 0x1fc00}, {0x1fc75, 0x1fd3f}}},
        {"-m 512M -smp 4",
         0x1ffe0,
         4,
         false,
         {IMAGE_64,
          {0x1f200, 0x1f232},
          {0x1f280, 0x1f2b2},
          {0x1f300, 0x1f332},
          {0x1f380, 0x1f3b2},
          {0x1f400, 0x1fc00},
          {0x1fc75, 0x1fd3f}}},
        {"-m 1G", 0x3ffe0, 1, false, {IMAGE_64, {0x3ea00, 0x3ea32}, {0x3eb80, 0x3fc00}, {0x3fc35, 0x3fd3f}}},
        {"-m 2G", 0x7ffe0, 1, false, {IMAGE_64, {0x7d800, 0x7da32}, {0x7dc00, 0x7fc00}, {0x7fc35, 0x7fd3f}}},
        {"-m 4G",
         0x140000,
         1,
         false,
         {IMAGE_64, {0xbbfe0, 0xbffe0}, {0x13b600, 0x13bc32}, {0x13be00, 0x13fe00}, {0x13ff33, 0x140000}}},
        {"-m 6G",
         0x1c0000,
         1,
         false,
         {IMAGE_64, {0xbbfe0, 0xbffe0}, {0x1b9000, 0x1b9c32}, {0x1b9e00, 0x1bfe00}, {0x1bff33, 0x1c0000}}},
        {"i386, -m 1G", 0x3ffe0, 1, true, {{0x1000, 0x135f}, {0x13ae, 0x1402}, {0x36a15, 0x36af2}, {0x36af4, 0x372f5}}},
};

static void describe(struct settings *settings, const struct recorded_boot *boot)
{
	settings_init(settings);
	settings->machine.memory_bytes = (uint64_t)boot->end_pfn << PAGE_SHIFT;
	settings->machine.cpus = boot->cpus;
	settings->machine.architecture = boot->is_32bit ? ARCHITECTURE_X86_32 : ARCHITECTURE_X86_64;
	settings->kernel.page_struct_bytes = boot->is_32bit ? 32 : 64;
	settings->kernel.nr_cpus = 4;
}

/* Ranges that touch, as one. */
static unsigned merged(const struct range *ranges, unsigned count, struct range *merged)
{
	unsigned found = 0;
	for (unsigned i = 0; i < count; i++)
		if (found > 0 && merged[found - 1].end == ranges[i].start)
			merged[found - 1].end = ranges[i].end;
		else
			merged[found++] = ranges[i];
	return found;
}

/*
 * All reserved frames of 11 boots. Would catch: requests that are not served from the top, alignments, units that are not
 * trimmed, an order of requests that leaves other holes, an initrd that is forgotten or kept.
 */
static void kept_frames_are_those_that_kernels_reserved(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof boots / sizeof boots[0]; i++) {
		struct settings settings;
		struct memory_map map;
		struct error error = {0};
		struct range kept[KEPT_RANGES_MAX];
		describe(&settings, &boots[i]);
		if (!memory_map_describe(&map, &settings, boots[i].cpus, &error))
			fail_msg("%s: %s", boots[i].source, error.text);
		unsigned count = merged(map.kept, map.kept_count, kept), expected = 0;
		for (; boots[i].reserved[expected].end; expected++) {
			struct range want = boots[i].reserved[expected],
			             got = expected < count ? kept[expected] : (struct range){0, 0};
			if (got.start != want.start || got.end != want.end)
				fail_msg("%s: [%x, %x) is kept, [%x, %x) was reserved", boots[i].source, got.start, got.end,
				         want.start, want.end);
		}
		assert_int_equal(count, expected);
		settings_release(&settings);
	}
}

/* Of these boots the first unit of each CPU, in the direct map. Would catch: units counted from another base than the kernel's.
 */
static void units_are_at_the_frames_that_were_reserved(void **state)
{
	(void)state;
	struct settings settings;
	struct layout layout;
	describe(&settings, &boots[5]);
	kernel_layout_init(&layout, &settings, 0);
	for (unsigned cpu = 0; cpu < 4; cpu++)
		assert_int_equal(layout_per_cpu(&layout, 0, cpu).addr,
		                 0xffff888000000000u + ((0x1f200ull + cpu * 0x80) << PAGE_SHIFT));
	layout_release(&layout);
	settings_release(&settings);
	describe(&settings, &boots[10]); /* tables of 192 frames below, two frames given back above */
	kernel_layout_init(&layout, &settings, 0);
	assert_int_equal(layout_per_cpu(&layout, 0, 0).addr, 0xc0000000u + (0x36ad5ull << PAGE_SHIFT));
	assert_int_equal(layout_struct_page(&layout, pfn_of(0)).addr, 0xc0000000u + (0x36af5ull << PAGE_SHIFT));
	assert_int_equal(layout_region(&layout, 0xc0000000u + (0x36af5ull << PAGE_SHIFT)), REGION_VMEMMAP);
	assert_int_equal(layout_region(&layout, 0xc0000000u + (0x372f5ull << PAGE_SHIFT)), REGION_DIRECT_MAP);
	assert_int_equal(layout_region(&layout, 0xc0000000u + (0x36ad5ull << PAGE_SHIFT)), REGION_PER_CPU);
	layout_release(&layout);
	settings_release(&settings);
}

/*
 * Two nodes of 1 GiB and two CPUs each: each group lies in its node's memory, from a multiple of 2 MiB (published: "pcpu-alloc:
 * [0] 0 1 [1] 2 3"). Would catch: per-CPU data of all nodes on one.
 */
static void each_nodes_units_lie_on_it(void **state)
{
	(void)state;
	struct settings settings;
	struct memory_map map;
	struct error error = {0};
	char *nodes[] = {"memory=1 GiB cpus=0-1", "cpus=2-3"};
	settings_init(&settings);
	settings.machine.memory_bytes = 2048 * MIB;
	settings.machine.cpus = 4;
	settings.machine.nodes = nodes;
	settings.machine.nodes_count = 2;
	assert_true(memory_map_describe(&map, &settings, 4, &error));
	assert_int_equal(map.per_cpu.groups, 2);
	for (unsigned group = 0; group < 2; group++) {
		assert_int_equal(map.per_cpu_pfn[group] % 512, 0);
		assert_in_range(map.per_cpu_pfn[group], group * 0x40000, group * 0x40000 + 0x3ffff);
	}
	settings.machine.nodes = NULL;
	settings.machine.nodes_count = 0;
	settings_release(&settings);
}

/*
 * percpu_alloc=page on the machine of boots[5], by hand from pcpu_page_first_chunk(): below the recorded 1fd35 come a page of
 * notes, one for the list of pages, and 4 units of 46 pages (165824 + 8192 + 12288 bytes), downward from 1fd32; then the tables
 * of vmalloc's first 512 GiB, 1 GiB and 2 MiB. The dentry table, 128 pages, has no room above the struct pages any more, that of
 * inodes has. Would catch: pages in one piece upward, units that keep their 28 KiB of dynamic data, tables before the pages,
 * notes that stay.
 */
static void units_by_pages_lie_where_frames_are_free(void **state)
{
	(void)state;
	static const struct range expected[] = {IMAGE_64, {0x1f380, 0x1fc00}, {0x1fc38, 0x1fd33}, {0x1fd35, 0x1fd3f}};
	static const struct layout_table tables[] = {
	        {0xffffc90000000000u, 39, 0x1fc7a}, {0xffffc90000000000u, 30, 0x1fc79}, {0xffffc90000000000u, 21, 0x1fc78}};
	struct settings settings;
	struct memory_map map;
	struct error error = {0};
	describe(&settings, &boots[5]);
	settings.kernel.percpu_alloc = PERCPU_ALLOC_PAGE;
	assert_true(memory_map_describe(&map, &settings, 4, &error));
	assert_true(map.per_cpu_placed && map.per_cpu.by_pages);
	assert_int_equal(map.per_cpu.unit_bytes, 46 * PAGE_SIZE);
	assert_int_equal(map.per_cpu_runs, 1);
	assert_int_equal(map.per_cpu_run[0].page, 0);
	assert_int_equal(map.per_cpu_run[0].pfn, 0x1fd32);
	assert_int_equal(map.kept_count, sizeof expected / sizeof expected[0]);
	for (unsigned i = 0; i < map.kept_count; i++)
		if (map.kept[i].start != expected[i].start || map.kept[i].end != expected[i].end)
			fail_msg("[%x, %x) is kept, not [%x, %x)", map.kept[i].start, map.kept[i].end, expected[i].start,
			         expected[i].end);
	assert_int_equal(map.tables, 3);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(map.table[i].linear, tables[i].linear);
		assert_int_equal(map.table[i].shift, tables[i].shift);
		assert_int_equal(map.table[i].pfn, tables[i].pfn);
	}
	settings_release(&settings);
}

/* Pages of a CPU lie on its node. Would catch: units of pages that all come from the last node. */
static void units_by_pages_lie_on_their_nodes(void **state)
{
	(void)state;
	struct settings settings;
	struct memory_map map;
	struct error error = {0};
	char *nodes[] = {"memory=1 GiB cpus=0,2", "cpus=1,3"};
	settings_init(&settings);
	settings.machine.memory_bytes = 2048 * MIB;
	settings.machine.cpus = 4;
	settings.machine.nodes = nodes;
	settings.machine.nodes_count = 2;
	settings.kernel.percpu_alloc = PERCPU_ALLOC_PAGE;
	assert_true(memory_map_describe(&map, &settings, 4, &error));
	assert_int_equal(map.per_cpu_runs, 4);
	for (unsigned cpu = 0; cpu < 4; cpu++) {
		assert_int_equal(map.per_cpu_run[cpu].page, cpu * 46);
		assert_in_range(map.per_cpu_run[cpu].pfn, cpu % 2 * 0x40000, cpu % 2 * 0x40000 + 0x3ffff);
	}
	settings.machine.nodes = NULL;
	settings.machine.nodes_count = 0;
	settings_release(&settings);
}

static void expect_table(const struct layout *layout, uint64_t linear, unsigned shift, uint32_t frame)
{
	pfn table = layout_table_frame(layout, linear, shift);
	if (table.nr != frame)
		fail_msg("the table of %llx lies in %x, not %x", (unsigned long long)linear, table.nr, frame);
}

/*
 * Tables of the last GiB, by hand from init_32.c. The recorded i386 boot: its brk, of 12 frames, ends at 1402; six tables of the
 * startup, then pgt_buf: the end of low memory takes the first, permanent kmaps the second; the fixmap's is early_ioremap()'s, in
 * .bss. With PAE, for 32 CPUs and 4 GiB, local kmaps reach over two tables, which are made in a row, one of them in the place of
 * one that was just made: all six are used up. Would catch: tables that are counted twice or not, another order, a frame that the
 * page allocator gets.
 */
static void tables_of_fixed_addresses_lie_in_the_image(void **state)
{
	(void)state;
	struct settings settings;
	struct layout layout;
	describe(&settings, &boots[10]);
	kernel_layout_init(&layout, &settings, 0);
	assert_int_equal(layout.tables, 3);
	expect_table(&layout, 0xf7000000u, 22, 0x13fc);
	expect_table(&layout, 0xffc00000u, 22, 0x13b3);
	expect_table(&layout, 0xff400000u, 22, 0x13fd);
	expect_table(&layout, 0xf7400000u, 22, UINT32_MAX);
	layout_release(&layout);
	settings.machine.memory_bytes = 4096 * MIB;
	settings.kernel.nr_cpus = 32;
	free(settings.machine.paging);
	settings.machine.paging = xstrdup("x86_pae");
	kernel_layout_init(&layout, &settings, 0);
	assert_int_equal(layout.tables, 6);
	expect_table(&layout, 0xf6e00000u, 21, 0x13fc);
	expect_table(&layout, 0xff800000u, 21, 0x13ff);
	expect_table(&layout, 0xffa00000u, 21, 0x13b3);
	expect_table(&layout, 0xffc00000u, 21, 0x13fd);
	expect_table(&layout, 0xffe00000u, 21, 0x13fe);
	expect_table(&layout, 0xff000000u, 21, 0x1401);
	layout_release(&layout);
	settings_release(&settings);
}

/* A machine and its boot parameters, and what init_32.c makes of them; a sentence: it prints that and ignores the parameter. */
struct highmem_boot {
	uint64_t memory_mib, highmem_mib, lowmem_mib, reserve_top_mib;
	uint32_t lowmem_end, memory_end;
	const char *sentence;
};

/*
 * lowmem_pfn_init() and highmem_pfn_init(), by hand; MAXMEM is 373fe000 where kernel.lowmem does not say otherwise. The third
 * sentence is that of a published boot log (1024 MiB less a little, 896 MiB low). Would catch: memory above that stays in use, a
 * zone that begins elsewhere, limits that are off by a page, a message of the other kind.
 */
static const struct highmem_boot highmem_boots[] = {
        {512, 128, 0, 0, 384 << 8, 512 << 8, NULL},
        {512, 448, 0, 0, 64 << 8, 512 << 8, NULL},
        {512, 449, 0, 0, 0, 0, "highmem size (449MB) results in <64MB lowmem, ignoring it!"},
        {512, 512, 0, 0, 0, 0, "highmem size (512MB) is bigger than pages available (512MB)!"},
        {2048, 512, 0, 0, 0x373fe, 0x373fe + (512 << 8), NULL},
        {2048, 512, 0, 8, 0x36bfe, 0x36bfe + (512 << 8), NULL},
        {1023, 512, 896, 0, 0, 0, "only 127MB highmem pages available, ignoring highmem size of 512MB!"},
        {2048, 0, 0, 900, 0, 0, "MiB of low memory; expected 32 MiB at least"},
};

static void highmem_moves_the_end_of_low_memory(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof highmem_boots / sizeof highmem_boots[0]; i++) {
		const struct highmem_boot *boot = &highmem_boots[i];
		struct settings settings;
		struct memory_map map;
		struct error error = {0};
		describe(&settings, &boots[10]);
		settings.machine.memory_bytes = boot->memory_mib * MIB;
		settings.kernel.highmem_bytes = boot->highmem_mib * MIB;
		settings.kernel.lowmem_bytes = boot->lowmem_mib * MIB;
		settings.kernel.reserve_top_bytes = (uint32_t)(boot->reserve_top_mib * MIB);
		bool boots_so = memory_map_describe(&map, &settings, 1, &error);
		if (boot->sentence && (boots_so || !strstr(error.text, boot->sentence)))
			fail_msg("case %zu: expected \"%s\", got \"%s\"", i, boot->sentence, error.text);
		if (!boot->sentence) {
			assert_true(boots_so);
			assert_int_equal(map.lowmem_end_pfn, boot->lowmem_end);
			assert_int_equal(map.end_pfn, boot->memory_end);
		}
		settings_release(&settings);
	}
}

/* By hand, in 16 frames. Would catch: a request that overlaps another, one that goes across a hole, frames given back that stay.
 */
static void memblock_gives_the_highest_free_frames(void **state)
{
	(void)state;
	struct memory_map map = {.memory = {{0, 8}, {10, 16}}, .memory_count = 2};
	struct memblock memblock;
	memblock_init(&memblock, &map);
	memblock_reserve(&memblock, (struct range){13, 14});
	assert_int_equal(memblock_alloc(&memblock, &(struct memblock_request){2, 1, 0, 16}), 14);
	assert_int_equal(memblock_alloc(&memblock, &(struct memblock_request){4, 1, 0, 16}), 4);
	assert_int_equal(memblock_alloc(&memblock, &(struct memblock_request){2, 4, 0, 16}), 0);
	assert_int_equal(memblock_alloc(&memblock, &(struct memblock_request){2, 4, 1, 16}), MEMBLOCK_NONE);
	memblock_free(&memblock, (struct range){5, 7});
	assert_int_equal(memblock_alloc(&memblock, &(struct memblock_request){4, 1, 0, 16}), MEMBLOCK_NONE);
	assert_int_equal(memblock_alloc(&memblock, &(struct memblock_request){2, 1, 0, 10}), 5);
	assert_true(memblock_alloc_scattered(&memblock, &(struct memblock_request){4, 1, 0, 16}));
	assert_false(memblock_alloc_scattered(&memblock, &(struct memblock_request){2, 1, 0, 16}));
	assert_true(memblock_alloc_scattered(&memblock, &(struct memblock_request){1, 1, 0, 16}));
	unsigned taken = 0;
	for (unsigned i = 0; i < memblock.count; i++)
		taken += memblock.taken[i].end - memblock.taken[i].start;
	assert_int_equal(taken, 14);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(kept_frames_are_those_that_kernels_reserved),
	        cmocka_unit_test(units_are_at_the_frames_that_were_reserved),
	        cmocka_unit_test(each_nodes_units_lie_on_it),
	        cmocka_unit_test(units_by_pages_lie_where_frames_are_free),
	        cmocka_unit_test(units_by_pages_lie_on_their_nodes),
	        cmocka_unit_test(tables_of_fixed_addresses_lie_in_the_image),
	        cmocka_unit_test(highmem_moves_the_end_of_low_memory),
	        cmocka_unit_test(memblock_gives_the_highest_free_frames),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
