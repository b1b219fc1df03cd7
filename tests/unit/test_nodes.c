/* SPDX-License-Identifier: MIT
 *
 * test_nodes.c - machines described with several nodes (machine.nodes, machine.distances): whose the frames are, in which order a
 * request goes from node to node, and how /proc shows it. Orders are derived by hand from find_next_best_node() of Linux 6.1.
 */
#include "models/machine_nodes.h"
#include "sim/procfs.h"
#include "tests/unit/buddy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MIB_PAGES 256u
#define GIB_PAGES (1024u * MIB_PAGES)

static void set_list(char ***list, uint32_t *count, const char *const *texts, uint32_t number)
{
	*list = xcalloc(number, sizeof **list);
	for (uint32_t i = 0; i < number; i++)
		(*list)[i] = xstrdup(texts[i]);
	*count = number;
}

static void describe(struct bench *bench, uint64_t end_pfn, uint32_t cpus, const char *const *nodes, uint32_t count)
{
	memset(bench, 0, sizeof *bench);
	settings_init(&bench->settings);
	layout_init(&bench->layout, 64);
	steps_init(&bench->steps, false);
	bench->settings.machine.memory_bytes = end_pfn << PAGE_SHIFT;
	bench->settings.machine.cpus = cpus;
	set_list(&bench->settings.machine.nodes, &bench->settings.machine.nodes_count, nodes, count);
}

static void set_distances(struct bench *bench, const char *const *rows, uint32_t count)
{
	set_list(&bench->settings.machine.distances, &bench->settings.machine.distances_count, rows, count);
}

static bool boot(struct bench *bench, struct error *error)
{
	struct page_allocator_wiring wiring = {.settings = &bench->settings, .layout = &bench->layout, .steps = &bench->steps};
	bench->pages = page_allocator_buddy_create(&wiring, error);
	bench->buddy = (struct buddy *)bench->pages;
	return bench->pages;
}

static void must_boot(struct bench *bench)
{
	struct error error = {0};
	if (!boot(bench, &error))
		fail_msg("%s", error.text);
}

static void finish(struct bench *bench)
{
	if (bench->pages)
		page_allocator_check(bench->pages);
	page_allocator_destroy(bench->pages);
	steps_release(&bench->steps);
	layout_release(&bench->layout);
	settings_release(&bench->settings);
}

static const char *const four[] = {"share", "share", "share", "share"};

/* The nodes of CPU 0's node's list for Normal, in order, each once. */
static void assert_order(const struct buddy *buddy, unsigned node, const uint8_t *expected)
{
	const struct zonelist *list = &buddy->zonelist[node][2];
	unsigned at = 0;
	for (unsigned i = 0; i < list->length; i++) {
		unsigned of = buddy->zones[list->zones[i]].node;
		if (i > 0 && of == buddy->zones[list->zones[i - 1]].node) {
			/* a node's zones: highest first */
			assert_true(buddy->zones[list->zones[i]].index < buddy->zones[list->zones[i - 1]].index);
			continue;
		}
		assert_int_equal(of, expected[at]);
		at++;
	}
	assert_int_equal(at, buddy->node_count);
}

/*
 * Four nodes in a square, a CPU on each. A node's worth is its distance, one more if its number is lower, one more for its CPUs;
 * then its load, one for each time it was first of its distance. Node 0: 1 and 3 are worth 21, 1 comes first (load 1: 1), then 3,
 * then 2 (2: 1). Node 1: 2 is worth 21, 0 is worth 22: 2 (2: 2), 0, then 3 (3: 1). Node 2: 3 (3: 2), 1, 0 (0: 1). Node 3: 0 and 2
 * are worth 22, 0 has the smaller load: 0, 2, 1. Would catch: distances not handed on, a table read by columns, loads forgotten.
 */
static void four_nodes_in_a_square(void **state)
{
	(void)state;
	static const char *const rows[] = {"10 20 30 20", "20 10 20 30", "30 20 10 20", "20 30 20 10"};
	static const uint8_t expected[4][4] = {{0, 1, 3, 2}, {1, 2, 0, 3}, {2, 3, 1, 0}, {3, 0, 2, 1}};
	struct bench bench;
	describe(&bench, 512 * MIB_PAGES, 4, four, 4);
	set_distances(&bench, rows, 4);
	must_boot(&bench);
	for (unsigned node = 0; node < 4; node++)
		assert_order(bench.buddy, node, expected[node]);
	finish(&bench);
}

/*
 * A table that is not symmetric, and a node without CPUs, which is preferred among equals. Node 0: 3 is worth 20, 1 with its CPU
 * 21, 2 31. Node 1: 0 is worth 25 + 1 + 1, 2 is worth 26 + 1, but was first of a distance once, 0 never: 0, 2, 3. Node 2: 0 is
 * worth 22 as is 3, 1 is worth 23; 0 was first once, 3 twice: 0, 3, 1. Node 3: 0, 1, 2. Would catch: a symmetric reading, CPUs
 * not told to nodes.
 */
static void distances_one_way_and_a_node_without_cpus(void **state)
{
	(void)state;
	static const char *const nodes[] = {"cpus=0", "cpus=1", "cpus=2,3", "cpus=none"};
	static const char *const rows[] = {"10 20 30 20", "25 10 26 40", "20 21 10 22", "20 30 40 10"};
	static const uint8_t expected[4][4] = {{0, 3, 1, 2}, {1, 0, 2, 3}, {2, 0, 3, 1}, {3, 0, 1, 2}};
	struct bench bench;
	describe(&bench, 512 * MIB_PAGES, 4, nodes, 4);
	set_distances(&bench, rows, 4);
	must_boot(&bench);
	assert_int_equal(bench.buddy->nodes[2].cpus, 2);
	assert_int_equal(bench.buddy->nodes[3].cpus, 0);
	for (unsigned node = 0; node < 4; node++)
		assert_order(bench.buddy, node, expected[node]);
	finish(&bench);
}

/* A node of 4 GiB and one of 4 GiB behind it, memory ending at 9 GiB because of the hole under 4 GiB. Would catch: a hole that
 * counts as memory of a node, zones that cross nodes, reserves for another node's memory. */
static void two_nodes_of_4_gib(void **state)
{
	(void)state;
	static const char *const nodes[] = {"memory=4 GiB cpus=0-2", "memory=4GiB cpus=3"};
	static const struct {
		const char *name;
		uint32_t start, spanned;
	} expected[8] = {{"DMA", 1, 4095},
	                 {"DMA32", 4096, GIB_PAGES * 4 - 4096},
	                 {"Normal", GIB_PAGES * 4, GIB_PAGES},
	                 {"Movable", 0, 0},
	                 {"DMA", 0, 0},
	                 {"DMA32", 0, 0},
	                 {"Normal", GIB_PAGES * 5, GIB_PAGES * 4},
	                 {"Movable", 0, 0}};
	struct bench bench;
	describe(&bench, 9 * GIB_PAGES, 4, nodes, 2);
	must_boot(&bench);
	assert_int_equal(bench.pages->ops->zones(bench.pages), 8);
	uint64_t share = 0, managed = 0;
	for (unsigned i = 0; i < 8; i++) {
		struct zone_view view;
		bench.pages->ops->zone_view(bench.pages, i, &view);
		assert_string_equal(view.name, expected[i].name);
		assert_int_equal(view.node, i / 4);
		assert_int_equal(view.start_pfn, expected[i].start);
		assert_int_equal(view.spanned, expected[i].spanned);
		share += view.watermark_min;
		managed += view.managed;
	}
	/* DMA32 ends in QEMU's hole; memory of 4 GiB on each node but for 32 frames of ACPI tables and the first MiB's holes. */
	assert_int_equal(bench.buddy->zones[1].present, GIB_PAGES * 3 - 32 - 4096);
	/* __setup_per_zone_wmarks(): the zones share min_free_kbytes by what they manage. */
	assert_true(share * 4 <= min_free_kbytes_for_hugepages(min_free_kbytes_of(managed), 9, 4, managed));
	/* setup_per_zone_lowmem_reserve(): only for memory of its own node. */
	assert_int_equal(bench.buddy->zones[1].lowmem_reserve[2], bench.buddy->zones[2].managed / 256);
	/* zone_highsize(): the low mark among the node's CPUs, 3 and 1. */
	assert_int_equal(bench.buddy->zones[2].pcp[0].high, bench.buddy->zones[2].watermark[WMARK_LOW] / 3);
	assert_int_equal(bench.buddy->zones[6].pcp[0].high, bench.buddy->zones[6].watermark[WMARK_LOW]);
	/* Node 1's struct pages lie on it: 4 GiB of 64-byte entries are 64 MiB. */
	assert_true(bench.buddy->zones[6].present - bench.buddy->zones[6].managed >= 64 * MIB_PAGES);
	assert_true(bench.buddy->zones[6].present - bench.buddy->zones[6].managed < 90 * MIB_PAGES);
	finish(&bench);
}

/* A CPU takes its own node's memory, then goes through the others in order, and the statistics say so; /proc has a line for each
 * zone and node. Would catch: CPUs on the wrong node, memory of far nodes first, numa_* counters that miss a path. */
static void memory_runs_out_node_by_node(void **state)
{
	(void)state;
	static const char *const nodes[] = {"memory=48MiB cpus=0", "memory=32MiB cpus=1", "memory=16MiB cpus=none", "share"};
	static const char *const rows[] = {"10 40 20 30", "40 10 20 30", "20 20 10 30", "30 30 30 10"};
	static const unsigned order[] = {1, 2, 3, 0};
	struct bench bench;
	describe(&bench, 128 * MIB_PAGES, 2, nodes, 4);
	bench.settings.kernel.transparent_hugepage = false;
	set_distances(&bench, rows, 4);
	must_boot(&bench);
	unsigned at = 0;
	uint64_t taken = 0, own = 0;
	for (;; taken++) {
		pfn frame = page_alloc(bench.pages, 3, GFP_KERNEL, 1);
		if (frame.nr == UINT32_MAX)
			break;
		unsigned node = buddy_zone_of(bench.buddy, frame.nr)->node;
		while (node != order[at] && at < 3)
			at++;
		/* Below the low mark all nodes' last frames are taken in a second walk, in the same order. */
		own += node == 1;
		if (taken < 5000 / 8)
			assert_int_equal(node, 1);
	}
	assert_int_equal(at, 3);
	assert_int_equal(bench.buddy->counters.numa_hit, own);
	assert_int_equal(bench.buddy->counters.numa_miss, taken - own);
	assert_int_equal(bench.buddy->counters.numa_local, own);

	struct zone_view views[ZONES_MAX];
	unsigned zones = bench.pages->ops->zones(bench.pages);
	for (unsigned i = 0; i < zones; i++)
		bench.pages->ops->zone_view(bench.pages, i, &views[i]);
	char *text = NULL;
	size_t length;
	FILE *out = open_memstream(&text, &length);
	procfs_print_buddyinfo(views, zones, out);
	procfs_print_zoneinfo(views, zones, out);
	fclose(out);
	static const char *const lines[] = {"Node 0, zone      DMA ", "Node 0, zone    DMA32 ", "Node 1, zone    DMA32 ",
	                                    "Node 2, zone    DMA32 ", "Node 3, zone    DMA32 ", "Node 3, zone    DMA32\n"};
	for (unsigned i = 0; i < sizeof lines / sizeof lines[0]; i++)
		if (!strstr(text, lines[i]))
			fail_msg("no \"%s\" in\n%s", lines[i], text);
	assert_null(strstr(text, "Node 1, zone      DMA "));
	free(text);
	finish(&bench);
}

/* Would catch: entries that are taken for something else, contradictions that are not told. */
static void wrong_nodes_are_refused(void **state)
{
	(void)state;
	static const struct {
		const char *nodes[2], *rows[2];
		const char *says;
	} cases[] = {{{"memory=256MiB", "memory=128MiB"}, {0}, "leave out one"},
	             {{"memory=256MiB", "memory=512MiB"}, {0}, "more than"},
	             {{"memory=256", "share"}, {0}, "with its unit"},
	             {{"cpus=0-1", "cpus=1"}, {0}, "CPU 1 is on nodes 0 and 1"},
	             {{"cpus=0", "share"}, {0}, "CPU 1 of 2 is on no node"},
	             {{"cpus=0-2", "share"}, {0}, "CPU 2; the machine has 2"},
	             {{"cpus=1-0", "share"}, {0}, "a list such as"},
	             {{"cpus=0,", "cpus=1 "}, {0}, NULL},
	             {{"cpus=a", "share"}, {0}, "a list such as"},
	             {{"cpus=0-999", "share"}, {0}, "a list such as"},
	             {{"256MiB", "share"}, {0}, "expected memory=SIZE"},
	             {{"share", "share"}, {"10 20", "20 11"}, "10 to itself"},
	             {{"share", "share"}, {"10 10", "20 10"}, "11 to 255"},
	             {{"share", "share"}, {"10 20 30", "20 10"}, "expected 2 numbers"},
	             {{"share", "share"}, {"10 256", "20 10"}, "11 to 255"},
	             {{"share", "share"}, {"10", NULL}, "1 rows for 2 nodes"}};
	for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct bench bench;
		struct error error = {0};
		describe(&bench, 512 * MIB_PAGES, 2, cases[i].nodes, 2);
		if (cases[i].rows[0])
			set_distances(&bench, cases[i].rows, cases[i].rows[1] ? 2 : 1);
		if (!cases[i].says) {
			must_boot(&bench);
		} else {
			if (boot(&bench, &error))
				fail_msg("case %u was taken", i);
			assert_int_equal(error.kind, ERROR_USAGE);
			if (!strstr(error.text, cases[i].says))
				fail_msg("case %u: %s", i, error.text);
		}
		finish(&bench);
	}
}

/*
 * Would catch: lists of one node that are another's, or that nobody set up; a node left out or one too many; kcompactd that
 * begins with a zone that its node does not have (kcompactd(): pgdat->nr_zones - 1).
 */
static void each_node_keeps_its_own_page_cache(void **state)
{
	(void)state;
	struct bench bench;
	describe(&bench, 512 * MIB_PAGES, 2, four, 2);
	bench.settings.kernel.reclaim_page_cache = 25;
	must_boot(&bench);
	for (unsigned node = 0; node < 2; node++) {
		const struct node *self = &bench.buddy->nodes[node];
		uint64_t managed = 0, kept = 0;
		for (unsigned i = 0; i < bench.buddy->zone_count; i++)
			managed += bench.buddy->zones[i].node == node ? bench.buddy->zones[i].managed : 0;
		for (uint32_t nr = frame_at(bench.buddy, self->page_cache)->next; nr != self->page_cache;
		     nr = frame_at(bench.buddy, nr)->next) {
			assert_int_equal(bench.buddy->zones[frame_at(bench.buddy, nr)->zone].node, node);
			kept++;
		}
		assert_in_range(kept, managed / 5, managed / 3);
		assert_int_equal(self->kcompactd_highest_zone, self->nr_zones - 1);
	}
	finish(&bench);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(four_nodes_in_a_square),  cmocka_unit_test(distances_one_way_and_a_node_without_cpus),
	        cmocka_unit_test(two_nodes_of_4_gib),      cmocka_unit_test(memory_runs_out_node_by_node),
	        cmocka_unit_test(wrong_nodes_are_refused), cmocka_unit_test(each_node_keeps_its_own_page_cache),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
