/* SPDX-License-Identifier: MIT
 *
 * test_boot_memory.c - which frames a kernel keeps, against recorded boots of Linux 6.1.192 in QEMU (machine pc): the reserved
 * frames of the memory map right after boot, frame by frame. Each test names the mistake it would catch.
 */
#include "models/kernel_layout.h"
#include "models/page_allocator/memblock.h"
#include "models/page_allocator/memory_map.h"
#include "tests/unit/test.h"

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
	        cmocka_unit_test(memblock_gives_the_highest_free_frames),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
