/* SPDX-License-Identifier: MIT
 *
 * test_chase.c - pointer chases: their orders and sizes, what is found in curves whose steps are known, and the host's clock.
 */
#include "tests/unit/test.h"

#include "sim/chase.h"
#include "sim/io/host_chase.h"

#include <stdlib.h>
#include <string.h>

#define KIB 1024ull
#define MIB (1024 * KIB)

static const struct chase_series lines = {"lines", CHASE_LINE_BYTES, false};
static const struct chase_series pages = {"pages", PAGE_SIZE, false};

/* Would catch: several small cycles, which stay in a cache that the set does not fit in. */
static void an_order_is_one_cycle(void **state)
{
	(void)state;
	for (uint32_t count = 1; count <= 300; count++) {
		uint32_t next[300], at = 0, steps = 0;
		chase_order(next, count, count);
		do {
			assert_true(next[at] < count);
			at = next[at];
			steps++;
		} while (at != 0 && steps <= count);
		assert_int_equal(steps, count);
	}
}

/* Would catch: lines in order, which a prefetcher knows; the same order whatever the seed. */
static void an_order_is_random(void **state)
{
	(void)state;
	uint32_t next[4096], other[4096], neighbours = 0;
	chase_order(next, 4096, 1);
	chase_order(other, 4096, 2);
	for (uint32_t i = 0; i < 4096; i++)
		neighbours += next[i] == (i + 1) % 4096;
	assert_true(neighbours < 16); /* one is expected */
	assert_int_not_equal(memcmp(next, other, sizeof next), 0);
}

/* Would catch: pages whose lines all lie in one set of a cache, lines of one page in another's place. */
static void lines_of_pages_are_spread(void **state)
{
	(void)state;
	bool used[64] = {false};
	for (uint32_t i = 0; i < 64; i++) {
		assert_int_equal(chase_offset(&lines, i), i * 64);
		assert_int_equal(chase_offset(&pages, i) / PAGE_SIZE, i);
		assert_false(used[chase_offset(&pages, i) % PAGE_SIZE / 64]);
		used[chase_offset(&pages, i) % PAGE_SIZE / 64] = true;
	}
}

/* Would catch: sizes that stop before the largest, a step that is not sqrt(2). */
static void sizes_grow_by_the_root_of_two(void **state)
{
	(void)state;
	struct chase_point points[CHASE_POINTS_MAX];
	unsigned count = chase_plan(&lines, 128 * MIB, points);
	assert_int_equal(count, 31); /* 2^12 to 2^27 in half powers */
	assert_int_equal(points[0].bytes, 4 * KIB);
	assert_int_equal(points[30].bytes, 128 * MIB);
	for (unsigned i = 1; i < count; i++) {
		const uint64_t square = points[i].bytes * points[i].bytes, twice = 2 * points[i - 1].bytes * points[i - 1].bytes;
		assert_true(square < twice * 104 / 100 && square > twice * 96 / 100);
		assert_int_equal(points[i].bytes, points[i].count * 64ull);
	}
	count = chase_plan(&pages, 1 * MIB, points);
	assert_int_equal(points[0].count, 16);
	assert_int_equal(points[count - 1].count, 256);
	assert_int_equal(chase_plan(&lines, CHASE_BYTES_MIN - 1, points), 0);
}

/* A curve with these plateaus, each up to and with a size. */
static void fill(struct chase_point *points, unsigned count, const uint64_t ends[4], const uint64_t values[4])
{
	for (unsigned i = 0; i < count; i++) {
		unsigned level = 0;
		while (level < 3 && points[i].bytes > ends[level])
			level++;
		points[i].milli_cycles = values[level];
	}
}

/* Zen 4 with 4 of its 32 MiB. Would catch: a last level that is taken as large as it is said to be, steps one point off. */
static void caches_are_found(void **state)
{
	(void)state;
	struct chase_point points[CHASE_POINTS_MAX];
	const uint64_t ends[4] = {32 * KIB, 1 * MIB, 5 * MIB}, values[4] = {4000, 14000, 50000, 400000};
	const struct chase_capacities told = {
	        .l1_bytes = 32 * KIB, .l2_bytes = 1 * MIB, .llc_bytes = 32 * MIB, .llc_exclusive = true};
	struct chase_findings found = {0};
	unsigned count = chase_plan(&lines, 128 * MIB, points);
	fill(points, count, ends, values);
	chase_find_caches(points, count, &told, &found);
	assert_int_equal(found.l1, 4000);
	assert_int_equal(found.l2, 14000);
	assert_int_equal(found.llc, 50000);
	assert_int_equal(found.dram, 400000);
	assert_int_equal(found.l1_step_bytes, 32 * KIB);
	assert_int_equal(found.l2_step_bytes, 1 * MIB);
	assert_int_equal(found.llc_step_bytes, 4 * MIB); /* the last point before 5 MiB */
}

/* Would catch: numbers made up for levels that the sets did not reach. */
static void what_was_not_reached_is_not_found(void **state)
{
	(void)state;
	struct chase_point points[CHASE_POINTS_MAX];
	const uint64_t ends[4] = {32 * KIB, 1 * MIB, 5 * MIB}, values[4] = {4000, 14000, 50000, 400000};
	const struct chase_capacities told = {.l1_bytes = 32 * KIB, .l2_bytes = 1 * MIB, .llc_bytes = 32 * MIB};
	struct chase_findings found = {0};
	unsigned count = chase_plan(&lines, 256 * KIB, points);
	fill(points, count, ends, values);
	chase_find_caches(points, count, &told, &found);
	assert_int_equal(found.l1, 4000);
	assert_int_equal(found.l2, 14000);
	assert_int_equal(found.l1_step_bytes, 32 * KIB);
	assert_true(found.llc == 0 && found.dram == 0 && found.l2_step_bytes == 0 && found.llc_step_bytes == 0);
	struct chase_findings nothing = {0};
	chase_find_caches(points, 0, &told, &nothing);
	assert_true(nothing.l1 == 0 && nothing.dram == 0);
}

/* Would catch: a host's small pages that are not seen, or seen in a guest whose large pages the TLBs keep; a guess of too few
 * sets. */
static void split_pages_are_found(void **state)
{
	(void)state;
	struct chase_point points[CHASE_POINTS_MAX];
	const uint64_t split_ends[4] = {72 * 4 * KIB, 512 * 4 * KIB, 3072 * 4 * KIB},
	               whole_ends[4] = {512 * 4 * KIB, 3072 * 4 * KIB};
	const uint64_t split_values[4] = {4000, 11000, 22000, 60000}, whole_values[4] = {4000, 15000, 15000};
	const struct chase_capacities told = {.l1_bytes = 32 * KIB, .tlb_entries = 72, .last_tlb_entries = 3072};
	const struct chase_findings found = {.tlb_miss = 11000}, nothing = {0};
	unsigned count = chase_plan(&pages, 64 * MIB, points);
	bool split = false;
	fill(points, count, split_ends, split_values);
	assert_true(chase_find_split(points, count, &told, &found, &split) && split);
	assert_false(chase_find_split(points, count, &told, &nothing, &split));
	assert_false(chase_find_split(points, 2, &told, &found, &split));
	fill(points, count, whole_ends, whole_values);
	assert_true(chase_find_split(points, count, &told, &found, &split) && !split);
}

/* Would catch: the first cache's step taken for a TLB's. */
static void tlbs_are_found(void **state)
{
	(void)state;
	struct chase_point points[CHASE_POINTS_MAX];
	/* 72 entries, 512 lines of the first cache, 3072 entries */
	const uint64_t ends[4] = {72 * 4 * KIB, 512 * 4 * KIB, 3072 * 4 * KIB}, values[4] = {4000, 11000, 22000, 80000};
	const struct chase_capacities told = {.l1_bytes = 32 * KIB, .tlb_entries = 72, .last_tlb_entries = 3072};
	struct chase_findings found = {0};
	unsigned count = chase_plan(&pages, 128 * MIB, points);
	fill(points, count, ends, values);
	chase_find_tlbs(points, count, &told, &found);
	assert_int_equal(found.tlb_miss, 11000);
	assert_int_equal(found.tlb_step_pages, 64);
	assert_int_equal(found.last_tlb_miss, 80000);
	assert_int_equal(found.last_tlb_step_pages, 2896);
}

/* Would catch: the mean in place of the median, which one disturbed point would move. */
static void a_plateau_is_a_median(void **state)
{
	(void)state;
	const struct chase_point points[] = {
	        {.bytes = 1, .milli_cycles = 10}, {.bytes = 2, .milli_cycles = 900}, {.bytes = 3, .milli_cycles = 12}};
	assert_int_equal(chase_plateau(points, 3, 1, 3), 12);
	assert_int_equal(chase_plateau(points, 3, 4, 9), 0);
	assert_int_equal(chase_step(points, 3, 10, 500), 1);
	assert_int_equal(chase_step(points, 3, 10, 5000), 0);
}

/* No processor loads in a cycle, nor runs at 10 GHz. Would catch: loads left out, a unit of time mistaken. */
static void the_host_takes_time(void **state)
{
	(void)state;
	uint32_t next[64];
	struct error error = {0};
	struct host_chase *chase = host_chase_open(64 * KIB, true, &error);
	assert_non_null(chase);
	chase_order(next, 64, 1);
	const uint64_t load = host_chase_run(chase, &lines, next, 64, 20), cycle_fs = host_cycle(20);
	host_chase_close(chase);
	assert_true(load > 0 && load < 1000000000);
	if (cycle_fs)
		assert_true(cycle_fs > 100000 && load > cycle_fs);
	assert_true(host_available_bytes() > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(an_order_is_one_cycle),
	        cmocka_unit_test(an_order_is_random),
	        cmocka_unit_test(lines_of_pages_are_spread),
	        cmocka_unit_test(sizes_grow_by_the_root_of_two),
	        cmocka_unit_test(caches_are_found),
	        cmocka_unit_test(what_was_not_reached_is_not_found),
	        cmocka_unit_test(tlbs_are_found),
	        cmocka_unit_test(split_pages_are_found),
	        cmocka_unit_test(a_plateau_is_a_median),
	        cmocka_unit_test(the_host_takes_time),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
