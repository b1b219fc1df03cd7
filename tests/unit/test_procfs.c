/* SPDX-License-Identifier: MIT
 *
 * test_procfs.c - the kernel's tables: recorded files read and printed back byte for byte, indexes against the kernel's formulas
 * worked by hand, damaged files.
 */
#include "sim/procfs.h"
#include "tests/unit/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TRACE "traces/qemu-512m-slub-small/"
#define DATA "tests/data/proc/"

struct text {
	char *at;
	size_t length;
};

static struct text read_file(const char *path)
{
	FILE *in = fopen(path, "rb");
	if (!in)
		fail_msg("%s is missing", path);
	struct text text = {xcalloc(1u << 20, 1), 0};
	text.length = fread(text.at, 1, (1u << 20) - 1, in);
	fclose(in);
	return text;
}

static FILE *open_text(struct text *text)
{
	*text = (struct text){0};
	FILE *out = open_memstream(&text->at, &text->length);
	assert_non_null(out);
	return out;
}

/* Whether a line of a recorded zoneinfo is one that no view can tell (procfs.h says which those are). */
static bool is_unknown_zoneinfo_line(const char *line)
{
	if (strncmp(line, "  per-node stats", 16) == 0 || strncmp(line, "  node_unreclaimable", 20) == 0)
		return true;
	return strncmp(line, "      ", 6) == 0 && line[6] != ' ' && strncmp(line + 6, "nr_free_pages", 13) != 0;
}

/* The recorded text without those lines. */
static struct text known_zoneinfo(struct text recorded)
{
	struct text known;
	FILE *out = open_text(&known);
	char *rest = recorded.at;
	for (char *line; (line = strsep(&rest, "\n")) != NULL && rest;)
		if (!is_unknown_zoneinfo_line(line))
			fprintf(out, "%s\n", line);
	fclose(out);
	return known;
}

static void print_zones(const char *kind, const struct procfs_memory *memory, FILE *out)
{
	if (strcmp(kind, "buddyinfo") == 0)
		procfs_print_buddyinfo(memory->zones, memory->count, out);
	else if (strcmp(kind, "pagetypeinfo") == 0)
		procfs_print_pagetypeinfo(memory->zones, memory->count, memory->pageblock_order, out);
	else
		procfs_print_zoneinfo(memory->zones, memory->count, out);
}

static bool read_zones(const char *kind, struct procfs_memory *memory, const char *path, struct text text, struct error *error)
{
	if (strcmp(kind, "buddyinfo") == 0)
		return procfs_read_buddyinfo(memory, path, text.at, text.length, error);
	if (strcmp(kind, "pagetypeinfo") == 0)
		return procfs_read_pagetypeinfo(memory, path, text.at, text.length, error);
	return procfs_read_zoneinfo(memory, path, text.at, text.length, error);
}

/* Reads one recorded file, prints it, compares. */
static void check_round_trip(const char *folder, const char *kind)
{
	char path[200];
	snprintf(path, sizeof path, "%s%s", folder, kind);
	struct text recorded = read_file(path), printed;
	struct procfs_memory *memory = xcalloc(1, sizeof *memory);
	struct error error = {0};
	if (!read_zones(kind, memory, path, recorded, &error))
		fail_msg("%s", error.text);
	FILE *out = open_text(&printed);
	print_zones(kind, memory, out);
	fclose(out);
	if (strcmp(kind, "zoneinfo") == 0) {
		struct text known = known_zoneinfo(recorded);
		assert_string_equal(printed.at, known.at);
		free(known.at);
	} else {
		assert_string_equal(printed.at, recorded.at);
	}
	free(printed.at);
	free(recorded.at);
	free(memory);
}

/* Would catch: a wrong width, a lost trailing blank, a watermark printed without its boost, a threshold of the wrong CPU count.
 */
static void recorded_zone_files_print_back_byte_for_byte(void **state)
{
	(void)state;
	static const char *const folders[] = {TRACE "before/", TRACE "after/", DATA "slub64-512m-4cpus/", DATA "slub32-1g/",
	                                      DATA "slub64-6g/"};
	for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
		check_round_trip(folders[i], "buddyinfo");
		check_round_trip(folders[i], "pagetypeinfo");
		check_round_trip(folders[i], "zoneinfo");
	}
}

static void check_slabinfo(const char *path)
{
	struct text recorded = read_file(path), printed;
	struct procfs_slabinfo slabinfo;
	struct error error = {0};
	if (!procfs_read_slabinfo(&slabinfo, path, recorded.at, recorded.length, &error))
		fail_msg("%s", error.text);
	assert_true(slabinfo.count > 60);
	FILE *out = open_text(&printed);
	procfs_print_slabinfo(slabinfo.at, slabinfo.count, out);
	fclose(out);
	assert_string_equal(printed.at, recorded.at);
	free(printed.at);
	free(recorded.at);
	procfs_slabinfo_release(&slabinfo);
}

/* Would catch: columns shifted by names longer than 17 letters, tunables left out, SLUB's and SLAB's columns mixed up. */
static void recorded_slabinfo_prints_back_byte_for_byte(void **state)
{
	(void)state;
	check_slabinfo(TRACE "before/slabinfo");
	check_slabinfo(TRACE "after/slabinfo");
	check_slabinfo(DATA "slab64-512m/slabinfo");
	check_slabinfo(DATA "slub64-512m-4cpus/slabinfo");
}

/* Would catch: an order shifted by one, a zone lost. The published text lost the blank at each line's end. */
static void published_buddyinfo_prints_back(void **state)
{
	(void)state;
	struct text published = read_file(DATA "buddyinfo-linux-5.15.txt"), printed, trimmed;
	struct procfs_memory *memory = xcalloc(1, sizeof *memory);
	struct error error = {0};
	assert_true(procfs_read_buddyinfo(memory, "published", published.at, published.length, &error));
	FILE *out = open_text(&printed);
	procfs_print_buddyinfo(memory->zones, memory->count, out);
	fclose(out);
	out = open_text(&trimmed);
	for (size_t i = 0; i < printed.length; i++)
		if (printed.at[i] != ' ' || printed.at[i + 1] != '\n')
			fputc(printed.at[i], out);
	fclose(out);
	assert_string_equal(trimmed.at, published.at);
	const struct zone_view *normal = procfs_zone(memory, 0, "Normal");
	assert_non_null(normal);
	assert_int_equal(normal->free_blocks[10][MIGRATE_MOVABLE], 735);
	free(trimmed.at);
	free(printed.at);
	free(published.at);
	free(memory);
}

/* Would catch: fields stored one line off, the boost not taken off, a CPU's numbers given to another. */
static void zoneinfo_fills_the_view(void **state)
{
	(void)state;
	struct text recorded = read_file(DATA "slub64-512m-4cpus/zoneinfo");
	struct procfs_memory *memory = xcalloc(1, sizeof *memory);
	struct error error = {0};
	assert_true(procfs_read_zoneinfo(memory, "zoneinfo", recorded.at, recorded.length, &error));
	assert_int_equal(memory->count, 4);
	const struct zone_view *dma = procfs_zone(memory, 0, "DMA"), *dma32 = procfs_zone(memory, 0, "DMA32");
	assert_int_equal(dma->start_pfn, 1);
	assert_int_equal(dma->spanned, 4095);
	assert_int_equal(dma->present, 3998);
	assert_int_equal(dma->managed, 3840);
	assert_int_equal(dma->watermark_min, 21);
	assert_int_equal(dma32->start_pfn, 4096);
	assert_int_equal(dma32->cpus, 4);
	for (unsigned cpu = 0; cpu < 4; cpu++) {
		assert_int_equal(dma32->pcp[cpu].batch, 31);
		assert_int_equal(dma32->pcp[cpu].high, 213);
	}
	assert_null(procfs_zone(memory, 1, "DMA"));
	free(recorded.at);
	free(memory);
}

/* Would catch: the boost printed beside the watermarks but not in them (min_wmark_pages() includes it), or taken off twice. */
static void boost_is_part_of_shown_watermarks(void **state)
{
	(void)state;
	struct zone_view zone = {.name = "DMA32",
	                         .present = 1,
	                         .watermark_min = 100,
	                         .watermark_low = 125,
	                         .watermark_high = 150,
	                         .watermark_boost = 40};
	struct text printed;
	FILE *out = open_text(&printed);
	procfs_print_zoneinfo(&zone, 1, out);
	fclose(out);
	assert_non_null(strstr(printed.at, "boost    40\n        min      140\n        low      165\n        high     190\n"));
	struct procfs_memory *memory = xcalloc(1, sizeof *memory);
	struct error error = {0};
	assert_true(procfs_read_zoneinfo(memory, "zoneinfo", printed.at, printed.length, &error));
	assert_int_equal(memory->zones[0].watermark_min, 100);
	assert_int_equal(memory->zones[0].watermark_boost, 40);
	free(printed.at);
	free(memory);
}

/*
 * By hand from the formulas of mm/vmstat.c. Free: 6 blocks of order 0, 1 of order 2: 10 frames in 7 blocks.
 * unusable, order 1: 6 of 10 frames unusable = 0.600; order 3: all = 1.000; order 0: none.
 * extfrag, order 3: 1000 - (1000 + 10 * 1000 / 8) / 7 = 1000 - 2250 / 7 = 1000 - 321 = 679; order 2 would succeed: -1000.
 * Would catch: division before multiplication, suitable blocks counted in frames, rounding up.
 */
static void indexes_follow_the_formulas(void **state)
{
	(void)state;
	struct zone_view zone = {.name = "Normal", .present = 100};
	zone.free_blocks[0][MIGRATE_UNMOVABLE] = 2;
	zone.free_blocks[0][MIGRATE_MOVABLE] = 4;
	zone.free_blocks[2][MIGRATE_RECLAIMABLE] = 1;
	assert_int_equal(procfs_unusable_index(&zone, 0), 0);
	assert_int_equal(procfs_unusable_index(&zone, 1), 600);
	assert_int_equal(procfs_unusable_index(&zone, 2), 600);
	assert_int_equal(procfs_unusable_index(&zone, 3), 1000);
	assert_int_equal(procfs_extfrag_index(&zone, 2), -1000);
	assert_int_equal(procfs_extfrag_index(&zone, 3), 679);
	struct text printed;
	FILE *out = open_text(&printed);
	procfs_print_unusable_index(&zone, 1, out);
	procfs_print_extfrag_index(&zone, 1, out);
	fclose(out);
	assert_string_equal(
	        printed.at,
	        "Node 0, zone   Normal 0.000 0.600 0.600 1.000 1.000 1.000 1.000 1.000 1.000 1.000 1.000 \n"
	        "Node 0, zone   Normal -1.000 -1.000 -1.000  0.679  0.768  0.813  0.835  0.846  0.852  0.855  0.856 \n");
	free(printed.at);
}

/* Nothing free: all of nothing is unusable (1.000), and there is no fragmentation index (0.000). Would catch: a division by zero.
 */
static void indexes_of_an_empty_zone(void **state)
{
	(void)state;
	struct zone_view zone = {.name = "DMA", .present = 1};
	assert_int_equal(procfs_unusable_index(&zone, 5), 1000);
	assert_int_equal(procfs_extfrag_index(&zone, 5), 0);
}

/* The kernel stops counting a list at 100000 and says so. Would catch: a count printed that no kernel prints, or not read back.
 */
static void long_lists_are_capped(void **state)
{
	(void)state;
	struct zone_view zone = {.name = "Normal", .present = 1u << 20};
	zone.free_blocks[0][MIGRATE_MOVABLE] = 99999;
	zone.free_blocks[1][MIGRATE_MOVABLE] = 100000;
	zone.free_blocks[2][MIGRATE_MOVABLE] = 123456;
	struct text printed;
	FILE *out = open_text(&printed);
	procfs_print_pagetypeinfo(&zone, 1, 9, out);
	fclose(out);
	assert_non_null(strstr(printed.at, "type      Movable  99999 >100000 >100000      0 "));
	struct procfs_memory *memory = xcalloc(1, sizeof *memory);
	struct error error = {0};
	assert_true(procfs_read_pagetypeinfo(memory, "pagetypeinfo", printed.at, printed.length, &error));
	assert_int_equal(memory->capped_counts, 2);
	assert_int_equal(memory->pageblock_order, 9);
	free(printed.at);
	free(memory);
}

/* Each node has its own part with its own head. Would catch: the second node's head taken for rows of the first's tables. */
static void two_nodes_read_back(void **state)
{
	(void)state;
	struct zone_view zones[3] = {
	        {.name = "DMA", .present = 10}, {.name = "Normal", .present = 10}, {.name = "Normal", .node = 1, .present = 7}};
	zones[0].free_blocks[0][MIGRATE_UNMOVABLE] = 1;
	zones[1].free_blocks[1][MIGRATE_MOVABLE] = 2;
	zones[2].free_blocks[2][MIGRATE_HIGHATOMIC] = 3;
	zones[2].pageblocks[MIGRATE_HIGHATOMIC] = 4;
	struct text printed, again;
	FILE *out = open_text(&printed);
	procfs_print_pagetypeinfo(zones, 3, 10, out);
	fclose(out);
	struct procfs_memory *memory = xcalloc(1, sizeof *memory);
	struct error error = {0};
	assert_true(procfs_read_pagetypeinfo(memory, "pagetypeinfo", printed.at, printed.length, &error));
	assert_int_equal(memory->count, 3);
	assert_int_equal(procfs_zone(memory, 1, "Normal")->free_blocks[2][MIGRATE_HIGHATOMIC], 3);
	out = open_text(&again);
	procfs_print_pagetypeinfo(memory->zones, memory->count, memory->pageblock_order, out);
	fclose(out);
	assert_string_equal(printed.at, again.at);
	free(again.at);
	free(printed.at);
	free(memory);
}

/* A distribution kernel shows an Isolate row and column. Would catch: columns counted instead of named. */
static void unknown_migrate_types_are_skipped(void **state)
{
	(void)state;
	static const char text[] =
	        "Page block order: 9\nPages per block:  512\n\n"
	        "Free pages count per migrate type at order       0      1      2      3      4      5      6      7      8      "
	        "9     10 \n"
	        "Node    0, zone   Normal, type    Unmovable      1      0      0      0      0      0      0      0      0      "
	        "0      0 \n"
	        "Node    0, zone   Normal, type          CMA      7      0      0      0      0      0      0      0      0      "
	        "0      0 \n"
	        "Node    0, zone   Normal, type      Isolate      0      0      0      0      0      0      0      0      0      "
	        "0      0 \n"
	        "\nNumber of blocks type          CMA    Unmovable      Movable  Reclaimable   HighAtomic      Isolate \n"
	        "Node 0, zone   Normal            9            1            2            3            4            5 \n";
	struct procfs_memory *memory = xcalloc(1, sizeof *memory);
	struct error error = {0};
	assert_true(procfs_read_pagetypeinfo(memory, "pagetypeinfo", text, strlen(text), &error));
	assert_int_equal(memory->unknown_type_rows, 1);
	assert_int_equal(memory->zones[0].free_blocks[0][MIGRATE_UNMOVABLE], 1);
	assert_int_equal(memory->zones[0].pageblocks[MIGRATE_UNMOVABLE], 1);
	assert_int_equal(memory->zones[0].pageblocks[MIGRATE_HIGHATOMIC], 4);
	free(memory);
}

/* Would catch: exact counts by type overwritten by buddyinfo's sums when the files are read in the other order. */
static void order_of_reading_does_not_matter(void **state)
{
	(void)state;
	struct text buddyinfo = read_file(DATA "slub64-6g/buddyinfo"), types = read_file(DATA "slub64-6g/pagetypeinfo");
	struct text zoneinfo = read_file(DATA "slub64-6g/zoneinfo"), printed[2];
	for (int order = 0; order < 2; order++) {
		struct procfs_memory *memory = xcalloc(1, sizeof *memory);
		struct error error = {0};
		if (order == 0)
			assert_true(procfs_read_buddyinfo(memory, "b", buddyinfo.at, buddyinfo.length, &error));
		assert_true(procfs_read_pagetypeinfo(memory, "p", types.at, types.length, &error));
		if (order == 1)
			assert_true(procfs_read_buddyinfo(memory, "b", buddyinfo.at, buddyinfo.length, &error));
		assert_true(procfs_read_zoneinfo(memory, "z", zoneinfo.at, zoneinfo.length, &error));
		FILE *out = open_text(&printed[order]);
		procfs_print_pagetypeinfo(memory->zones, memory->count, memory->pageblock_order, out);
		fclose(out);
		free(memory);
	}
	assert_string_equal(printed[0].at, types.at);
	assert_string_equal(printed[1].at, types.at);
	free(printed[0].at);
	free(printed[1].at);
	free(buddyinfo.at);
	free(types.at);
	free(zoneinfo.at);
}

/* Would catch: the name cut at its first blank, or columns counted from the left. */
static void cache_names_may_hold_blanks(void **state)
{
	(void)state;
	static const char text[] =
	        "slabinfo - version: 2.1\n"
	        "# name\n"
	        "odd name 7             3      4    128   32    1 : tunables    0    0    0 : slabdata      1      2      0\n";
	struct procfs_slabinfo slabinfo;
	struct error error = {0};
	assert_true(procfs_read_slabinfo(&slabinfo, "slabinfo", text, strlen(text), &error));
	assert_int_equal(slabinfo.count, 1);
	const struct cache_view *cache = procfs_slabinfo_cache(&slabinfo, "odd name 7");
	assert_non_null(cache);
	assert_int_equal(cache->active_objects, 3);
	assert_int_equal(cache->slabs, 2);
	procfs_slabinfo_release(&slabinfo);
}

static void expect_error(bool (*read)(struct procfs_memory *, const char *, const char *, size_t, struct error *),
                         const char *text, const char *message)
{
	struct procfs_memory *memory = xcalloc(1, sizeof *memory);
	struct error error = {0};
	assert_false(read(memory, "file", text, strlen(text), &error));
	assert_int_equal(error.kind, ERROR_INPUT);
	if (!strstr(error.text, message))
		fail_msg("'%s' does not say '%s'", error.text, message);
	free(memory);
}

/* Would catch: damaged files taken as zeros, numbers wrapped around, errors without their line. */
static void damaged_files_are_refused_with_their_line(void **state)
{
	(void)state;
	expect_error(procfs_read_buddyinfo, "", "the file has none");
	expect_error(procfs_read_buddyinfo, "Node 0, zone DMA 1 2 3\n", "file:1: expected 11 counts");
	expect_error(procfs_read_buddyinfo, "\nNode 0, zone Nirmal 1 2 3 4 5 6 7 8 9 10 11\n", "file:2: expected a zone");
	expect_error(procfs_read_buddyinfo, "Node 0, zone DMA 1 2 3 4 5 6 7 8 9 10 11 12\n", "no more than 11");
	expect_error(procfs_read_buddyinfo, "Node 0, zone DMA 99999999999999999999 2 3 4 5 6 7 8 9 10 11\n", "11 counts");
	expect_error(procfs_read_buddyinfo, "Node 99999999999 zone", "'Node N, zone NAME'");
	expect_error(procfs_read_pagetypeinfo, "Page block order: 63\n", "order from 1 to 10");
	expect_error(procfs_read_pagetypeinfo, "Page block order: 9\n", "lacks one");
	expect_error(procfs_read_zoneinfo, "Node 0, zone DMA\n    cpu: 4000000000\n", "file:2: expected a CPU number");
	expect_error(procfs_read_zoneinfo, "Node 0, zone DMA\n        min      5\n        boost    9\n", "boost above");
	expect_error(procfs_read_zoneinfo, "Node 0, zone DMA\n        protection: (1, 2\n", "',' or ')'");
	struct procfs_slabinfo slabinfo;
	struct error error = {0};
	static const char version[] = "slabinfo - version: 1.1\n";
	assert_false(procfs_read_slabinfo(&slabinfo, "file", version, strlen(version), &error));
	static const char row[] = "slabinfo - version: 2.1\nx 1 2 3 4 : tunables 0 0 0 : slabdata 0 0 0\n";
	error = (struct error){0};
	assert_false(procfs_read_slabinfo(&slabinfo, "file", row, strlen(row), &error));
	assert_non_null(strstr(error.text, "file:2:"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(recorded_zone_files_print_back_byte_for_byte),
	        cmocka_unit_test(recorded_slabinfo_prints_back_byte_for_byte),
	        cmocka_unit_test(published_buddyinfo_prints_back),
	        cmocka_unit_test(zoneinfo_fills_the_view),
	        cmocka_unit_test(boost_is_part_of_shown_watermarks),
	        cmocka_unit_test(indexes_follow_the_formulas),
	        cmocka_unit_test(indexes_of_an_empty_zone),
	        cmocka_unit_test(long_lists_are_capped),
	        cmocka_unit_test(two_nodes_read_back),
	        cmocka_unit_test(unknown_migrate_types_are_skipped),
	        cmocka_unit_test(order_of_reading_does_not_matter),
	        cmocka_unit_test(cache_names_may_hold_blanks),
	        cmocka_unit_test(damaged_files_are_refused_with_their_line),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
