/* SPDX-License-Identifier: MIT
 *
 * test_zones.c - the numbers of zones and the state after a boot, against facts of Linux 6.1.192 booted in QEMU (machine pc) with
 * 64 MiB to 6 GiB and 1, 2 and 4 CPUs: /proc/zoneinfo and the zones' internals right after boot. Each test names the mistake it
 * would catch.
 */
#include "models/reserved_range.h"
#include "tests/unit/buddy.h"

#include <stdio.h>
#include <sys/resource.h>
#include <time.h>

struct zone_fact {
	const char *name;
	uint32_t start;
	uint64_t spanned, present, managed;
	uint64_t min, low, high;
	uint64_t reserve[LOWMEM_RESERVE_ZONES];
	uint32_t pcp_high, pcp_batch;
	int32_t threshold;
};

struct machine_fact {
	const char *source; /* the boot */
	uint32_t end_pfn, cpus;
	uint64_t total_pages; /* dmesg: "Built 1 zonelists, mobility grouping on.  Total pages:" */
	struct zone_fact zones[3];
};

static const struct machine_fact boots[] = {
        {"-m 64M",
         0x3fe0,
         1,
         15840,
         {{"DMA", 1, 4095, 3998, 3840, 72, 90, 108, {0, 28, 28, 28}, 90, 1, 2},
          {"DMA32", 0x1000, 12256, 12256, 8870, 139, 173, 207, {0, 0, 0, 0}, 173, 1, 2},
          {"Normal", 0, 0, 0, 0, 0, 0, 0, {0}, 4, 1, 0}}},
        {"-m 128M",
         0x7fe0,
         1,
         31968,
         {{"DMA", 1, 4095, 3998, 3840, 46, 57, 68, {0, 92, 92, 92}, 57, 1, 2},
          {"DMA32", 0x1000, 28640, 28640, 25230, 285, 356, 427, {0, 0, 0, 0}, 356, 3, 2},
          {"Normal", 0, 0, 0, 0, 0, 0, 0, {0}, 4, 1, 0}}},
        {"-m 256M",
         0xffe0,
         1,
         64224,
         {{"DMA", 1, 4095, 3998, 3840, 31, 38, 45, {0, 218, 218, 218}, 38, 1, 2},
          {"DMA32", 0x1000, 61408, 61408, 57438, 457, 571, 685, {0, 0, 0, 0}, 571, 15, 4},
          {"Normal", 0, 0, 0, 0, 0, 0, 0, {0}, 4, 1, 0}}},
        {"-m 512M",
         0x1ffe0,
         1,
         128736,
         {{"DMA", 1, 4095, 3998, 3840, 21, 26, 31, {0, 470, 470, 470}, 26, 1, 2},
          {"DMA32", 0x1000, 126944, 126944, 121854, 682, 852, 1022, {0, 0, 0, 0}, 852, 31, 6},
          {"Normal", 0, 0, 0, 0, 0, 0, 0, {0}, 4, 1, 0}}},
        {"-m 512M -smp 2",
         0x1ffe0,
         2,
         128736,
         {{"DMA", 1, 4095, 3998, 3840, 21, 26, 31, {0, 470, 470, 470}, 13, 1, 4},
          {"DMA32", 0x1000, 126944, 126944, 121804, 682, 852, 1022, {0, 0, 0, 0}, 426, 31, 12},
          {"Normal", 0, 0, 0, 0, 0, 0, 0, {0}, 4, 1, 0}}},
        {"-m 512M -smp 4",
         0x1ffe0,
         4,
         128736,
         {{"DMA", 1, 4095, 3998, 3840, 21, 26, 31, {0, 469, 469, 469}, 6, 1, 6},
          {"DMA32", 0x1000, 126944, 126944, 121704, 682, 852, 1022, {0, 0, 0, 0}, 213, 31, 18},
          {"Normal", 0, 0, 0, 0, 0, 0, 0, {0}, 4, 1, 0}}},
        {"-m 1G",
         0x3ffe0,
         1,
         257760,
         {{"DMA", 1, 4095, 3998, 3840, 15, 18, 21, {0, 973, 973, 973}, 18, 1, 2},
          {"DMA32", 0x1000, 258016, 258016, 250686, 990, 1239, 1488, {0, 0, 0, 0}, 1239, 63, 8},
          {"Normal", 0, 0, 0, 0, 0, 0, 0, {0}, 4, 1, 0}}},
        {"-m 2G",
         0x7ffe0,
         1,
         515808,
         {{"DMA", 1, 4095, 3998, 3840, 10, 13, 16, {0, 1980, 1980, 1980}, 13, 1, 2},
          {"DMA32", 0x1000, 520160, 520160, 508350, 1418, 1924, 2430, {0, 0, 0, 0}, 1924, 63, 10},
          {"Normal", 0, 0, 0, 0, 0, 0, 0, {0}, 4, 1, 0}}},
        {"-m 4G",
         0x140000,
         1,
         1031904,
         {{"DMA", 1, 4095, 3998, 3840, 7, 10, 13, {0, 2975, 3928, 3928}, 10, 1, 2},
          {"DMA32", 0x1000, 1044480, 782304, 763130, 1515, 2276, 3037, {0, 0, 953, 953}, 2276, 63, 12},
          {"Normal", 0x100000, 262144, 262144, 243969, 485, 728, 971, {0, 0, 0, 0}, 728, 63, 8}}},
        {"-m 6G",
         0x1c0000,
         1,
         1548000,
         {{"DMA", 1, 4095, 3998, 3840, 6, 9, 12, {0, 2975, 5938, 5938}, 9, 1, 2},
          {"DMA32", 0x1000, 1044480, 782304, 763130, 1233, 1994, 2755, {0, 0, 2963, 2963}, 1994, 63, 12},
          {"Normal", 0x100000, 786432, 786432, 758529, 1228, 1986, 2744, {0, 0, 0, 0}, 1986, 63, 12}}},
        {"i386, -m 1G",
         0x3ffe0,
         1,
         260246,
         {{"DMA", 1, 4095, 3998, 3840, 16, 20, 24, {0, 854, 993, 993}, 20, 1, 2},
          {"Normal", 0x1000, 222206, 222206, 218989, 926, 1157, 1388, {0, 0, 1119, 1119}, 1157, 63, 8},
          {"HighMem", 0x373fe, 35810, 35810, 35810, 34, 71, 108, {0, 0, 0, 0}, 71, 7, 4}}},
};

/* The kernel of the i386 fact: struct page of 32 bytes, lowmem up to its PKMAP_BASE - 8 KiB - 128 MiB. */
static void describe_32bit(struct bench *bench)
{
	bench->settings.machine.architecture = ARCHITECTURE_X86_32;
	bench->settings.kernel.lowmem_bytes = 0x373fe000;
	bench->settings.kernel.page_struct_bytes = 32;
}

static bool is_32bit(const struct machine_fact *boot)
{
	return strcmp(boot->zones[2].name, "HighMem") == 0;
}

/* What the kernels of the facts were: pageblock order 10, no huge pages. */
static void describe_kernel(struct bench *bench, uint64_t end_pfn, uint32_t cpus)
{
	memset(bench, 0, sizeof *bench);
	settings_init(&bench->settings);
	layout_init(&bench->layout, 64);
	steps_init(&bench->steps, false);
	bench->settings.machine.memory_bytes = end_pfn << PAGE_SHIFT;
	bench->settings.machine.cpus = cpus;
	bench->settings.kernel.pageblock_order = 10;
	bench->settings.kernel.transparent_hugepage = false;
}

static struct page_allocator *boot(struct bench *bench, struct error *error)
{
	struct page_allocator_wiring wiring = {.settings = &bench->settings, .layout = &bench->layout, .steps = &bench->steps};
	bench->pages = page_allocator_buddy_create(&wiring, error);
	bench->buddy = (struct buddy *)bench->pages;
	return bench->pages;
}

static void finish(struct bench *bench)
{
	page_allocator_destroy(bench->pages);
	steps_release(&bench->steps);
	settings_release(&bench->settings);
}

static void compare_zone(const struct zone_fact *fact, const struct zone *zone, const struct zone_view *view)
{
	assert_string_equal(view->name, fact->name);
	assert_int_equal(view->start_pfn, fact->start);
	assert_int_equal(view->spanned, fact->spanned);
	assert_int_equal(view->present, fact->present);
	assert_int_equal(view->managed, fact->managed);
	assert_int_equal(view->watermark_min, fact->min);
	assert_int_equal(view->watermark_low, fact->low);
	assert_int_equal(view->watermark_high, fact->high);
	for (unsigned i = 0; i < LOWMEM_RESERVE_ZONES; i++)
		assert_int_equal(view->lowmem_reserve[i], fact->reserve[i]);
	for (unsigned cpu = 0; cpu < view->cpus; cpu++) {
		assert_int_equal(view->pcp[cpu].high, fact->pcp_high);
		assert_int_equal(view->pcp[cpu].batch, fact->pcp_batch);
		assert_int_equal(zone->pcp[cpu].stat_threshold, fact->threshold);
	}
}

/* Would catch: any wrong formula or rounding in managed counts, watermarks, reserves, pcp sizes, stat thresholds. */
static void a_described_machine_has_the_recorded_zones(void **state)
{
	(void)state;
	for (unsigned i = 0; i < sizeof boots / sizeof boots[0]; i++) {
		struct bench bench;
		struct error error = {0};
		print_message("%s\n", boots[i].source);
		describe_kernel(&bench, boots[i].end_pfn, boots[i].cpus);
		if (is_32bit(&boots[i]))
			describe_32bit(&bench);
		assert_non_null(boot(&bench, &error));
		assert_int_equal(bench.pages->ops->zones(bench.pages), 4);
		assert_int_equal(bench.buddy->vm_total_pages, boots[i].total_pages);
		assert_false(bench.buddy->mobility_disabled);
		for (unsigned z = 0; z < 3; z++) {
			struct zone_view view;
			bench.pages->ops->zone_view(bench.pages, z, &view);
			compare_zone(&boots[i].zones[z], &bench.buddy->zones[z], &view);
			assert_int_equal(view.free_pages, view.managed);
		}
		page_allocator_check(bench.pages);
		finish(&bench);
	}
}

/* Would catch: head instead of tail, descending order, blocks cut too small or not merged; DMA of every recorded boot. */
static void boot_memory_lies_on_the_lists_in_ascending_order(void **state)
{
	(void)state;
	struct bench bench;
	struct error error = {0};
	describe_kernel(&bench, 0x140000, 1);
	assert_non_null(boot(&bench, &error));
	assert_free_list(&bench, 0, 8, MIGRATE_UNMOVABLE, FRAMES_OF(0x100));
	assert_free_list(&bench, 0, 9, MIGRATE_UNMOVABLE, FRAMES_OF(0x200));
	assert_free_list(&bench, 0, 10, MIGRATE_MOVABLE, FRAMES_OF(0x400, 0x800, 0xc00));
	uint32_t head = list_head_of(&bench.buddy->zones[2], 10, MIGRATE_MOVABLE), blocks = 0;
	for (uint32_t nr = frame_at(bench.buddy, head)->next; nr != head; nr = frame_at(bench.buddy, nr)->next)
		assert_int_equal(nr, 0x100000 + 0x400 * blocks++);
	/* The map of all pages of -m 4G: the lowest reserved frame above 4 GiB is 13b600. */
	assert_int_equal(blocks, (0x13b600 - 0x100000) / 1024);
	/* /proc/pagetypeinfo of -m 6G: DMA32 has 764 pageblocks, those of the hole under 4 GiB do not exist; the first of DMA
	 * begins at frame 1 and stays UNMOVABLE. */
	assert_int_equal(bench.buddy->zones[1].pageblocks[MIGRATE_MOVABLE], 764);
	assert_int_equal(bench.buddy->zones[1].pageblocks[MIGRATE_UNMOVABLE], 0);
	assert_int_equal(bench.buddy->zones[0].pageblocks[MIGRATE_UNMOVABLE], 1);
	assert_int_equal(bench.buddy->zones[0].pageblocks[MIGRATE_MOVABLE], 3);
	finish(&bench);
}

static void reserve(struct bench *bench, const char *text)
{
	struct machine_settings *machine = &bench->settings.machine;
	machine->reserved = xrealloc(machine->reserved, (machine->reserved_count + 1) * sizeof *machine->reserved);
	machine->reserved[machine->reserved_count++] = xstrdup(text);
}

/*
 * Four pageblocks of order 10 are 4,096 frames. DMA has 3,998, less 64 of struct pages and the 158 below the first MiB: 3,776.
 * DMA32's first 325 have 6 of struct pages: 4,095 together; with one frame more grouping is on. Would catch: a rule that goes by
 * what the page allocator manages at the end of the boot, which is thousands of frames less; a setting that is not asked; DMA's
 * reserve or the struct pages forgotten.
 */
static void small_machines_do_not_group_by_mobility(void **state)
{
	(void)state;
	static const struct {
		uint32_t end_pfn;
		uint64_t total_pages;
		enum mobility_grouping asked;
		bool disabled;
	} cases[] = {
	        {0x10bc, 3998 - 64 - 158 + 188 - 3, MOBILITY_GROUPING_AUTO, true},
	        {0x1145, 3998 - 64 - 158 + 325 - 6, MOBILITY_GROUPING_AUTO, true},
	        {0x1146, 3998 - 64 - 158 + 326 - 6, MOBILITY_GROUPING_AUTO, false},
	        {0x1145, 3998 - 64 - 158 + 325 - 6, MOBILITY_GROUPING_ON, false},
	        {0x1146, 3998 - 64 - 158 + 326 - 6, MOBILITY_GROUPING_OFF, true},
	};
	for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct bench bench;
		struct error error = {0};
		describe_kernel(&bench, cases[i].end_pfn, 1);
		bench.settings.kernel.page_group_by_mobility = cases[i].asked;
		bench.settings.kernel.reserved_bytes = 1u << 20; /* a kernel that leaves something of so little memory */
		if (!boot(&bench, &error))
			fail_msg("%s", error.text);
		assert_int_equal(bench.buddy->vm_total_pages, cases[i].total_pages);
		assert_int_equal(bench.buddy->mobility_disabled, cases[i].disabled);
		finish(&bench);
	}
}

/*
 * Would catch: requests that still ask for their own type, and pageblocks that become theirs. The boot gave all to MOVABLE
 * (memmap_init_range() comes before build_all_zonelists()); each request takes the pageblock over for UNMOVABLE.
 */
static void without_grouping_all_pages_are_unmovable(void **state)
{
	(void)state;
	static const gfp flags[] = {GFP_KERNEL, GFP_HIGHUSER_MOVABLE, GFP_KERNEL | __GFP_RECLAIMABLE};
	struct bench bench;
	struct error error = {0};
	describe_kernel(&bench, 0x20000, 1);
	bench.settings.kernel.page_group_by_mobility = MOBILITY_GROUPING_OFF;
	assert_non_null(boot(&bench, &error));
	const struct zone *zone = &bench.buddy->zones[1];
	uint64_t movable = zone->pageblocks[MIGRATE_MOVABLE];
	pfn first[3];
	for (unsigned i = 0; i < 3; i++) {
		first[i] = page_alloc(bench.pages, 4, flags[i], 0);
		assert_int_equal(pageblock_type(bench.buddy, zone, first[i].nr), MIGRATE_UNMOVABLE);
		assert_int_equal(first[i].nr, first[0].nr + 16 * i);
	}
	assert_int_equal(zone->pageblocks[MIGRATE_MOVABLE], movable - 1);
	assert_int_equal(bench.buddy->counters.extfrag_whole, 1);
	assert_int_equal(bench.buddy->counters.extfrag, 1);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(page_free(bench.pages, first[i], 4, 0), PAGE_FREE_OK);
	page_allocator_check(bench.pages);
	finish(&bench);
}

/* The recorded machines as their owner would describe them: QEMU's size, and what /proc/iomem calls Reserved. Would catch: a
 * range that is off by a frame, or that counts as present. */
static void reserved_ranges_give_the_recorded_zones(void **state)
{
	(void)state;
	for (unsigned i = 0; i < sizeof boots / sizeof boots[0]; i++) {
		struct bench bench;
		struct error error = {0};
		char text[64];
		describe_kernel(&bench, (boots[i].end_pfn + 0x3ffu) & ~0x3ffu, boots[i].cpus);
		if (is_32bit(&boots[i]))
			describe_32bit(&bench);
		uint64_t end = (uint64_t)boots[i].end_pfn << PAGE_SHIFT;
		snprintf(text, sizeof text, "%08llx-%08llx", (unsigned long long)end, (unsigned long long)end + 0x1ffff);
		reserve(&bench, "00000000-00000fff");
		reserve(&bench, "0009fc00-0009ffff");
		reserve(&bench, "000f0000-000fffff");
		reserve(&bench, text);
		assert_non_null(boot(&bench, &error));
		for (unsigned z = 0; z < 3; z++) {
			struct zone_view view;
			bench.pages->ops->zone_view(bench.pages, z, &view);
			compare_zone(&boots[i].zones[z], &bench.buddy->zones[z], &view);
		}
		page_allocator_check(bench.pages);
		finish(&bench);
	}
}

/* Would catch: frames of a hole given out, a hole that is not widened to whole frames, a pageblock that begins in a hole and
 * still counts as MOVABLE (memmap_init_range), the image left in a hole, absent sections that count as pageblocks. */
static void holes_are_never_given_out(void **state)
{
	(void)state;
	/* Reserved frames from 1000 on of the recorded boots: the image's parts. */
	static const uint32_t image[][2] = {{0, 0x601}, {0x800, 0x9a0}, {0xa00, 0xc0d}, {0xcce, 0xe06}};
	struct bench bench, whole;
	struct error error = {0};
	describe_kernel(&whole, 0x20000, 1);
	assert_non_null(boot(&whole, &error));
	describe_kernel(&bench, 0x20000, 1);
	reserve(&bench, "16 MiB at 64 MiB");    /* frames 4000..4fff */
	reserve(&bench, "5801800-58027ff");     /* a bit of 5801 and of 5802 */
	reserve(&bench, "2 MiB at 0x1000000");  /* where the image would lie */
	reserve(&bench, "0x8000000-0xfffffff"); /* a whole section of 128 MiB */
	assert_non_null(boot(&bench, &error));
	const struct zone *zone = &bench.buddy->zones[1], *all = &whole.buddy->zones[1];
	assert_int_equal(zone->present, all->present - 0x1000 - 2 - 512 - 0x8000);
	assert_int_equal(zone->end_pfn, all->end_pfn);
	/* memmap has no struct pages for the absent section; hash tables of less memory are the same size or half */
	assert_true(zone->managed > all->managed - 0x1000 - 2 - 512 - 0x8000);
	for (unsigned order = 0; order < ORDERS; order++)
		for (unsigned type = 0; type < MIGRATE_TYPES; type++) {
			uint32_t head = list_head_of(zone, order, type);
			for (uint32_t nr = frame_at(bench.buddy, head)->next; nr != head; nr = frame_at(bench.buddy, nr)->next) {
				uint32_t end = nr + (1u << order);
				assert_true(end <= 0x4000 || nr >= 0x5000);
				assert_true(end <= 0x5801 || nr >= 0x5803);
				assert_true(end <= 0x8000 || nr >= 0x10000);
				assert_true(nr >= 0x1200); /* the image follows the hole */
				for (unsigned part = 0; part < 4; part++)
					assert_true(end <= 0x1200 + image[part][0] || nr >= 0x1200 + image[part][1]);
			}
		}
	/* 5800 is the one frame before the small hole, 5803 the one behind it. */
	assert_int_equal(frame_at(bench.buddy, 0x5800)->order, 0);
	assert_int_equal(frame_at(bench.buddy, 0x5803)->order, 0);
	assert_int_equal(frame_at(bench.buddy, 0x5804)->order, 2);
	assert_int_equal(pageblock_type(bench.buddy, zone, 0x3c00), MIGRATE_MOVABLE);
	assert_int_equal(pageblock_type(bench.buddy, zone, 0x4000), MIGRATE_UNMOVABLE);
	assert_int_equal(pageblock_type(bench.buddy, zone, 0x5800), MIGRATE_MOVABLE);
	assert_int_equal(pageblock_type(bench.buddy, zone, 0x8000), PAGEBLOCK_ABSENT);
	page_allocator_check(bench.pages);
	finish(&bench);
	finish(&whole);
}

/* Would catch: a text that is taken for another range, and memory that is all reserved. */
static void reserved_ranges_are_read_or_refused(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		uint64_t start, end;
	} good[] = {{"3ffe0000-3fffffff", 0x3ffe0000, 0x40000000},
	            {"0x3ffe0000 - 0x3fffffff", 0x3ffe0000, 0x40000000},
	            {"16 MiB at 1 GiB", 1u << 30, (1u << 30) + (16u << 20)},
	            {"0x1000 at 0x10000", 0x10000, 0x11000},
	            {"0-0", 0, 1}};
	static const char *const bad[] = {"",         "16 MiB",       "1 GiB-2 GiB",   "2000-1000",        "-1000-2000",
	                                  "1000-",    "1000-20g0",    "0 B at 1 GiB",  "16 at 1 GiB",      "16 MiB at",
	                                  "16 MiB@1", "1000-2000 at", "1000-2000 foo", "0-ffffffffffffff", "x-y"};
	for (unsigned i = 0; i < sizeof good / sizeof good[0]; i++) {
		struct reserved_range range;
		struct error error = {0};
		assert_true(reserved_range_parse(good[i].text, &range, &error));
		assert_int_equal(range.start, good[i].start);
		assert_int_equal(range.end, good[i].end);
	}
	for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct reserved_range range;
		struct error error = {0};
		if (reserved_range_parse(bad[i], &range, &error))
			fail_msg("\"%s\" was taken for %llx..%llx", bad[i], (unsigned long long)range.start,
			         (unsigned long long)range.end);
		assert_int_equal(error.kind, ERROR_USAGE);
	}
	struct bench bench;
	struct error error = {0};
	describe_kernel(&bench, 0x20000, 1);
	reserve(&bench, "511 MiB at 1 MiB");
	assert_null(boot(&bench, &error));
	assert_int_equal(error.kind, ERROR_USAGE);
	finish(&bench);
}

/* Would catch: high memory given in blocks (its largest would ascend: in the recorded boot they descend), a first pageblock of
 * HighMem that counts as MOVABLE, lowmem that is not HighMem's. */
static void high_memory_is_given_frame_by_frame(void **state)
{
	(void)state;
	struct bench bench;
	struct error error = {0};
	describe_kernel(&bench, 0x3ffe0, 1);
	describe_32bit(&bench);
	assert_non_null(boot(&bench, &error));
	const struct zone *high = &bench.buddy->zones[2];
	uint32_t head = list_head_of(high, 10, MIGRATE_MOVABLE), expected = 0x3f800;
	for (uint32_t nr = frame_at(bench.buddy, head)->next; nr != head; nr = frame_at(bench.buddy, nr)->next, expected -= 0x400)
		assert_int_equal(nr, expected);
	assert_int_equal(expected, 0x37000);
	assert_free_list(&bench, 2, 1, MIGRATE_UNMOVABLE, FRAMES_OF(0x373fe));
	/* /proc/pagetypeinfo of that boot before anything changed a type: one UNMOVABLE pageblock, the one shared with Normal. */
	assert_int_equal(high->pageblocks[MIGRATE_UNMOVABLE], 1);
	assert_int_equal(pageblock_type(bench.buddy, high, 0x37400), MIGRATE_MOVABLE);
	assert_int_equal(pageblock_type(bench.buddy, &bench.buddy->zones[1], 0x37000), MIGRATE_MOVABLE);
	/* Requests for high memory get it, those for the kernel's own use never do. */
	assert_true(bench_alloc(&bench, 0, GFP_KERNEL | __GFP_HIGHMEM) >= 0x373fe);
	assert_true(bench_alloc(&bench, 0, GFP_HIGHUSER_MOVABLE) >= 0x373fe);
	for (unsigned i = 0; i < 2000; i++)
		assert_true(bench_alloc(&bench, 0, GFP_KERNEL) < 0x373fe);
	page_allocator_check(bench.pages);
	finish(&bench);
}

/* Would catch: huge pages' larger min_free_kbytes missing, or applied below 512 MiB. Facts of a kernel with THP=madvise. */
static void huge_pages_raise_the_watermarks(void **state)
{
	(void)state;
	struct zone_spec zones[3] = {
	        {.name = "DMA", .kind = ZONE_DMA, .index = 0, .present = 3998, .managed = 3840},
	        {.name = "DMA32", .kind = ZONE_DMA32, .index = 1, .present = 782304, .managed = 763124 - 1464},
	        {.name = "Normal", .kind = ZONE_NORMAL, .index = 2, .present = 786432, .managed = 758529},
	};
	static const uint64_t expected[3][3] = {{42, 52, 62}, {8444, 10555, 12666}, {8409, 10511, 12613}};
	uint64_t lowmem = zones[0].managed + zones[1].managed + zones[2].managed;
	struct zone_tuning tuning = {.min_free_kbytes = min_free_kbytes_for_hugepages(min_free_kbytes_of(lowmem), 9, 3, lowmem),
	                             .watermark_scale_factor = 10,
	                             .lowmem_reserve_ratio = {[ZONE_DMA] = 256, [ZONE_DMA32] = 256},
	                             .cpus = 1};
	assert_int_equal(tuning.min_free_kbytes, 512 * 3 * (2 + 9) * 4);
	zones_set_limits(zones, 3, &tuning);
	for (unsigned i = 0; i < 3; i++)
		for (unsigned mark = 0; mark < WMARKS; mark++)
			assert_int_equal(zones[i].watermark[mark], expected[i][mark]);

	struct bench bench;
	struct error error = {0};
	describe_kernel(&bench, 0x1ffe0, 1);
	bench.settings.kernel.pageblock_order = 9;
	bench.settings.kernel.transparent_hugepage = true;
	assert_non_null(boot(&bench, &error));
	assert_int_equal(bench.buddy->zones[1].watermark[WMARK_LOW], 852);
	finish(&bench);
}

/* Would catch: highmem counted as lowmem, or its min not bounded. Facts of an i386 kernel with 1 GiB; initrd and initmem came
 * later. */
static void highmem_has_its_own_rule(void **state)
{
	(void)state;
	struct zone_spec zones[3] = {
	        {.name = "DMA", .kind = ZONE_DMA, .index = 0, .present = 3998, .managed = 3840},
	        {.name = "Normal", .kind = ZONE_NORMAL, .index = 1, .present = 222206, .managed = 218989 - 265 - 77},
	        {.name = "HighMem", .kind = ZONE_HIGHMEM, .index = 2, .present = 35810, .managed = 35810},
	};
	static const uint64_t expected[3][3] = {{16, 20, 24}, {926, 1157, 1388}, {34, 71, 108}};
	struct zone_tuning tuning = {.min_free_kbytes = min_free_kbytes_of(zones[0].managed + zones[1].managed),
	                             .watermark_scale_factor = 10,
	                             .lowmem_reserve_ratio = {[ZONE_DMA] = 256, [ZONE_NORMAL] = 32},
	                             .cpus = 1};
	zones_set_limits(zones, 3, &tuning);
	for (unsigned i = 0; i < 3; i++)
		for (unsigned mark = 0; mark < WMARKS; mark++)
			assert_int_equal(zones[i].watermark[mark], expected[i][mark]);
	assert_int_equal(zones[0].lowmem_reserve[1], 854);
	assert_int_equal(zones[0].lowmem_reserve[2], 993);
	assert_int_equal(zones[1].lowmem_reserve[2], 1119);
	assert_int_equal(zones[2].pcp_batch, 7);
	assert_int_equal(zones[2].pcp_high, 71);
	assert_int_equal(zones[2].stat_threshold, 4);
}

/* Would catch: the bounds of min_free_kbytes, or a square root off by one. Values of the comment above
 * calculate_min_free_kbytes(). */
static void min_free_kbytes_is_the_square_root(void **state)
{
	(void)state;
	static const uint64_t table[][2] = {{16, 512},    {32, 724},    {64, 1024},   {128, 1448},   {256, 2048},   {512, 2896},
	                                    {1024, 4096}, {2048, 5792}, {4096, 8192}, {8192, 11585}, {16384, 16384}};
	for (unsigned i = 0; i < sizeof table / sizeof table[0]; i++)
		assert_int_equal(min_free_kbytes_of(table[i][0] * 256), table[i][1]);
	assert_int_equal(min_free_kbytes_of(0), 128);
	assert_int_equal(min_free_kbytes_of(1ull << 31), 262144);
}

/* Would catch: settings that are read but not obeyed. */
static void settings_change_the_numbers(void **state)
{
	(void)state;
	struct bench bench;
	struct error error = {0};
	describe_kernel(&bench, 0x20000, 1);
	bench.settings.kernel.reserved_bytes = 64ull << 20;
	bench.settings.kernel.min_free_kbytes = 40000;
	bench.settings.kernel.watermark_scale_factor = 1000;
	bench.settings.kernel.percpu_pagelist_high_fraction = 8;
	bench.settings.kernel.lowmem_reserve_dma = 0;
	assert_non_null(boot(&bench, &error));
	/* Frames 1..9e and from 100 up are present; 64 MiB of them are kept. */
	assert_int_equal(bench.pages->managed_pages, 0x20000 - 0x100 + 0x9e - 16384);
	const struct zone *zone = &bench.buddy->zones[1];
	uint64_t early = zone->managed - 1470; /* when the limits were computed */
	uint64_t min = 10000 * early / (early + 3840);
	assert_int_equal(zone->watermark[WMARK_MIN], min);
	assert_int_equal(zone->watermark[WMARK_LOW], min + early / 10);
	assert_int_equal(zone->pcp[0].high, early / 8);
	assert_int_equal(bench.buddy->zones[0].lowmem_reserve[1], 0);
	page_allocator_check(bench.pages);
	finish(&bench);
}

/* Would catch: kept frames that overlap, spill into holes or run out of memory, at every kind of boundary. */
static void machines_of_any_size_boot_or_say_why_not(void **state)
{
	(void)state;
	static const uint64_t sizes_mib[] = {0,    1,    2,    4,    8,    12,   15,   16,   17,    20,    24,
	                                     27,   28,   31,   33,   48,   100,  1000, 3000, 3072,  3073,  4095,
	                                     4096, 4097, 4100, 4160, 4164, 4200, 4500, 8192, 65536, 262144};
	unsigned booted = 0;
	for (unsigned i = 0; i < sizeof sizes_mib / sizeof sizes_mib[0]; i++)
		for (unsigned order = 9; order < ORDERS; order++) {
			struct bench bench;
			struct error error = {0};
			describe_kernel(&bench, sizes_mib[i] * 256 + (order == 9 ? 7 : 0), order == 9 ? 1 : 128);
			bench.settings.kernel.pageblock_order = order;
			bench.settings.kernel.transparent_hugepage = order == 9;
			if (!boot(&bench, &error)) {
				assert_int_equal(error.kind, ERROR_USAGE);
				assert_true(sizes_mib[i] < 100);
			} else {
				page_allocator_check(bench.pages);
				assert_int_equal(bench.pages->allocated_pages, 0);
				booted++;
			}
			finish(&bench);
		}
	/* With one CPU all from 27 MiB up, with 128 (25 MiB of per-CPU data) all from 48 MiB up. */
	assert_true(booted >= 22 + 18);
}

static uint64_t resident_bytes(void)
{
	unsigned long long total, resident = 0;
	FILE *statm = fopen("/proc/self/statm", "r");
	assert_non_null(statm);
	assert_int_equal(fscanf(statm, "%llu %llu", &total, &resident), 2);
	fclose(statm);
	return resident * 4096;
}

/* Would catch: a model that touches its record of every frame. 4 GiB: at most 64 MiB; 1 TiB: under 2 s. */
static void memory_costs_the_host_little_before_it_is_used(void **state)
{
	(void)state;
	struct bench bench;
	struct error error = {0};
	uint64_t before = resident_bytes();
	describe_kernel(&bench, 0x100000, 1);
	assert_non_null(boot(&bench, &error));
	assert_true(resident_bytes() - before < 64ull << 20);
	finish(&bench);
	struct timespec start, end;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &start);
	describe_kernel(&bench, 1ull << 28, 1);
	assert_non_null(boot(&bench, &error));
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);
	assert_true(end.tv_sec - start.tv_sec < 2);
	assert_int_equal(bench_alloc(&bench, 0, GFP_KERNEL) >= 0x100000, 1);
	finish(&bench);
}

/* Would catch: gfp bits that choose the wrong zone (GFP_ZONE_TABLE). */
static void flags_choose_the_zone(void **state)
{
	(void)state;
	static const struct {
		gfp flags;
		unsigned zone;
	} cases[] = {{GFP_KERNEL, 2},
	             {GFP_ATOMIC, 2},
	             {GFP_KERNEL | __GFP_DMA, 0},
	             {GFP_KERNEL | __GFP_DMA32, 1},
	             {GFP_KERNEL | __GFP_HIGHMEM, 2},
	             {GFP_HIGHUSER_MOVABLE, 2},
	             {GFP_KERNEL | __GFP_MOVABLE | __GFP_DMA32, 1},
	             {GFP_KERNEL | __GFP_DMA | __GFP_DMA32, 0}};
	struct bench bench;
	struct error error = {0};
	describe_kernel(&bench, 0x1c0000, 1);
	assert_non_null(boot(&bench, &error));
	for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++)
		assert_ptr_equal(buddy_zone_of(bench.buddy, bench_alloc(&bench, 0, cases[i].flags)),
		                 &bench.buddy->zones[cases[i].zone]);
	finish(&bench);
}

/* Would catch: descriptions that contradict themselves and are taken. */
static void impossible_zones_are_refused(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 7; i++) {
		struct bench bench;
		struct error error = {0};
		bench_describe(&bench, 0x400, 0x400);
		struct zone_spec *zone = &bench.spec.zones[0];
		switch (i) {
		case 0:
			bench.spec.cpus = CPUS_MAX + 1;
			break;
		case 1:
			bench.spec.pageblock_order = ORDERS;
			break;
		case 2:
			zone->managed = 0x401;
			break;
		case 3:
			zone->spanned = UINT32_MAX;
			break;
		case 4:
			zone->index = LOWMEM_RESERVE_ZONES;
			break;
		case 5:
			bench.spec.zone_count = 0;
			break;
		default:
			bench.spec.zones[1] = bench.spec.zones[0];
			bench.spec.zone_count = 2;
		}
		struct page_allocator_wiring wiring = {
		        .settings = &bench.settings, .layout = &bench.layout, .steps = &bench.steps};
		assert_null(buddy_empty(&bench.spec, &wiring, &error));
		assert_int_equal(error.kind, ERROR_INPUT);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(a_described_machine_has_the_recorded_zones),
	        cmocka_unit_test(small_machines_do_not_group_by_mobility),
	        cmocka_unit_test(without_grouping_all_pages_are_unmovable),
	        cmocka_unit_test(reserved_ranges_give_the_recorded_zones),
	        cmocka_unit_test(holes_are_never_given_out),
	        cmocka_unit_test(reserved_ranges_are_read_or_refused),
	        cmocka_unit_test(high_memory_is_given_frame_by_frame),
	        cmocka_unit_test(boot_memory_lies_on_the_lists_in_ascending_order),
	        cmocka_unit_test(huge_pages_raise_the_watermarks),
	        cmocka_unit_test(highmem_has_its_own_rule),
	        cmocka_unit_test(min_free_kbytes_is_the_square_root),
	        cmocka_unit_test(settings_change_the_numbers),
	        cmocka_unit_test(machines_of_any_size_boot_or_say_why_not),
	        cmocka_unit_test(memory_costs_the_host_little_before_it_is_used),
	        cmocka_unit_test(flags_choose_the_zone),
	        cmocka_unit_test(impossible_zones_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
