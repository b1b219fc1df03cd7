/* SPDX-License-Identifier: MIT
 *
 * test_access_workload.c - made-up accesses: which lines, how often, by whom, in which order.
 */
#include "models/access_workload.h"
#include "tests/unit/test.h"

#include <stdlib.h>
#include <string.h>

#define LINES_MAX 4096
#define REGION (2u << 20)

static struct access_source *open_line(const char *line, unsigned cpus, uint64_t seed)
{
	struct error error = {0};
	struct access_source *source = access_workload_open(line, cpus, seed, &error);
	if (!source)
		fail_msg("%s", error.text);
	return source;
}

/* All accesses, owned. Reads them in batches of odd sizes. */
static struct access *read_all(const char *line, unsigned cpus, uint64_t seed, size_t *count)
{
	struct access_source *source = open_line(line, cpus, seed);
	struct error error = {0};
	struct access *all = NULL;
	size_t got, batch = 1;
	for (*count = 0;; *count += got) {
		batch = batch * 3 % 1021;
		all = xrealloc(all, (*count + batch) * sizeof *all);
		assert_true(access_source_read(source, all + *count, batch, &got, &error));
		if (got == 0)
			break;
	}
	access_source_close(source);
	return all;
}

/* How often each line of one core's working set is touched. Asserts that nothing lies outside of it. */
static uint32_t *count_lines(const char *line, size_t bytes, size_t *count)
{
	static uint32_t times[LINES_MAX];
	struct access *all = read_all(line, 1, 1, count);
	memset(times, 0, sizeof times);
	for (size_t i = 0; i < *count; i++) {
		uint64_t offset = all[i].address - ACCESS_WORKLOAD_BASE;
		assert_true(offset + all[i].bytes <= bytes);
		times[offset / 64]++;
	}
	free(all);
	return times;
}

/* Would catch: a permutation of several cycles, which leaves lines out. */
static void test_a_chase_visits_each_line_once_a_round(void **state)
{
	(void)state;
	size_t count;
	struct access *all = read_all("pointer_chase bytes=64KiB count=3072", 1, 5, &count);
	assert_int_equal(count, 3 * 1024);
	for (unsigned round = 0; round < 3; round++) {
		bool seen[1024] = {false};
		for (unsigned i = 0; i < 1024; i++) {
			uint64_t line = (all[1024 * round + i].address - ACCESS_WORKLOAD_BASE) / 64;
			assert_true(line < 1024 && !seen[line]);
			seen[line] = true;
		}
	}
	free(all);
}

/* Would catch: the words between left out, an end that is not the end. */
static void test_streams_and_strides(void **state)
{
	(void)state;
	size_t count;
	const uint32_t *times = count_lines("stream bytes=4KiB count=1024", 4096, &count);
	for (unsigned line = 0; line < 64; line++)
		assert_int_equal(times[line], 16); /* two rounds of 512 words */
	times = count_lines("strided bytes=4KiB stride=192B count=220", 4096, &count);
	for (unsigned line = 0; line < 64; line++)
		assert_int_equal(times[line], line % 3 == 0 ? 10 : 0); /* ten rounds of 22 */
	/* 4096 - 8 is no multiple of 72: 57 places from 0 to 4032. */
	times = count_lines("strided bytes=4KiB stride=72B count=57", 4096, &count);
	for (unsigned line = 0; line < 63; line++)
		assert_int_equal(times[line], (72 * 57 > 64 * line) && (64 * line + 63) / 72 * 72 >= 64 * line);
}

/* Chi-squared of 255 degrees of freedom stays below 347 with all but one in ten thousand seeds. Would catch: lines preferred. */
static void test_random_is_even(void **state)
{
	(void)state;
	size_t count;
	const uint32_t *times = count_lines("random bytes=16KiB count=256000", 16384, &count);
	double squares = 0;
	for (unsigned line = 0; line < 256; line++)
		squares += ((double)times[line] - 1000) * ((double)times[line] - 1000) / 1000;
	assert_true(squares < 347);
}

static int by_times(const void *left, const void *right)
{
	uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
	return (a < b) - (a > b);
}

/*
 * With exponent 1 and n lines the k-th is touched 1 / (k H(n)) of the time, H(1024) = 7.5092; with 2 it is 1 / (k^2 1.6440); with
 * 0.5, 1 / (sqrt(k) 62.546). Would catch: columns of the alias method that are filled wrongly, another exponent.
 */
static void test_zipf_is_zipfs(void **state)
{
	(void)state;
	static const struct {
		const char *line;
		double sum, power[3]; /* rank^exponent of ranks 1, 2, 4 */
	} cases[] = {{"zipf bytes=64KiB count=1000000", 7.5092, {1, 2, 4}},
	             {"zipf bytes=64KiB count=1000000 exponent=2", 1.6440, {1, 4, 16}},
	             {"zipf bytes=64KiB count=1000000 exponent=0.5", 62.546, {1, 1.4142, 2}}};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		size_t count;
		uint32_t *times = count_lines(cases[i].line, 65536, &count);
		qsort(times, 1024, sizeof *times, by_times);
		for (unsigned rank = 0; rank < 3; rank++) {
			double expected = 1e6 / (cases[i].sum * cases[i].power[rank]);
			/* Six standard deviations: at most the root of what is expected, each. */
			double off = ((double)times[(1u << rank) - 1] - expected) * ((double)times[(1u << rank) - 1] - expected);
			assert_true(off < 36 * expected);
		}
	}
}

/* Would catch: all cores on one line or word where they should not be, kinds that are no change. */
static void test_cores_on_a_line(void **state)
{
	(void)state;
	size_t count;
	struct access *all = read_all("false_sharing count=12", 4, 1, &count);
	for (unsigned i = 0; i < 12; i++) {
		assert_int_equal(all[i].cpu, i % 4);
		assert_int_equal(all[i].kind, ACCESS_MODIFY);
		assert_int_equal(all[i].address, ACCESS_WORKLOAD_BASE + 8 * (i % 4));
	}
	free(all);
	all = read_all("false_sharing spacing=64B count=4", 4, 1, &count);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(all[i].address, ACCESS_WORKLOAD_BASE + 64 * i);
	free(all);
	all = read_all("shared_counter count=8", 4, 1, &count);
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(all[i].address, ACCESS_WORKLOAD_BASE);
	free(all);
}

/*
 * Three cores, the last a neighbour: whole turns, even where `count` ends within one. Would catch: a lock that stays taken, the
 * layouts exchanged, a neighbour's word that is the lock's.
 */
static void test_a_lock_and_its_neighbours(void **state)
{
	(void)state;
	static const struct {
		const char *line;
		uint64_t word;
		enum access_kind kind;
	} cases[] = {{"lock_sharing uses=2 count=9", 8, ACCESS_MODIFY},
	             {"lock_sharing uses=2 count=9 layout=padded neighbour=read", 72, ACCESS_LOAD}};
	for (unsigned i = 0; i < 2; i++) {
		size_t count;
		struct access *all = read_all(cases[i].line, 3, 1, &count);
		assert_int_equal(count, 16);
		for (unsigned at = 0; at < 16; at++) {
			unsigned turn = at % 8, step = turn % 3;
			uint64_t offset = all[at].address - ACCESS_WORKLOAD_BASE;
			assert_int_equal(all[at].cpu, turn / 3);
			assert_int_equal(offset, turn > 5 ? cases[i].word : step == 1 ? 128 : 0);
			if (turn > 5)
				assert_int_equal(all[at].kind, cases[i].kind);
			assert_int_equal(all[at].region, turn > 5    ? 0
			                                 : step == 0 ? ACCESS_TAKES_LOCK
			                                 : step == 2 ? ACCESS_GIVES_LOCK
			                                             : 0);
		}
		free(all);
	}
}

/* Would catch: working sets that overlap or are not shared where they should be, stores that are not counted. */
static void test_whose_set_and_stores(void **state)
{
	(void)state;
	size_t count, stores = 0;
	struct access *all = read_all("random bytes=4KiB count=40000 stores=30", 2, 1, &count);
	for (size_t i = 0; i < count; i++) {
		assert_int_equal((all[i].address - ACCESS_WORKLOAD_BASE) / REGION, all[i].cpu);
		stores += all[i].kind == ACCESS_STORE;
	}
	assert_in_range(stores, 12000 - 370, 12000 + 370); /* four standard deviations of 92 */
	free(all);
	all = read_all("random bytes=4KiB count=1000 shared=true", 2, 1, &count);
	for (size_t i = 0; i < count; i++)
		assert_true(all[i].address < ACCESS_WORKLOAD_BASE + 4096);
	free(all);
}

/* Would catch: a seed that nobody reads, a table that remembers the run before. */
static void test_seeds(void **state)
{
	(void)state;
	const char *lines[] = {"pointer_chase bytes=64KiB count=500", "random count=500", "zipf bytes=64KiB count=500"};
	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
		size_t count;
		struct access *first = read_all(lines[i], 3, 7, &count), *again = read_all(lines[i], 3, 7, &count),
		              *other = read_all(lines[i], 3, 8, &count);
		assert_memory_equal(first, again, count * sizeof *first);
		assert_true(memcmp(first, other, count * sizeof *first) != 0);
		free(first);
		free(again);
		free(other);
	}
}

/* Would catch: data that is fetched or code that is loaded, functions that begin in their middle or end early, code in the place
 * of data, a core in another one's. */
static void test_code_and_data(void **state)
{
	(void)state;
	size_t count;
	bool seen[2][16] = {{false}};
	const char *line = "calls bytes=1MiB code=4KiB function=256B count=4000";
	struct access *all = read_all(line, 2, 3, &count);
	for (size_t i = 0; i < count; i++) {
		unsigned cpu = i / 2 % 2;
		assert_int_equal(all[i].cpu, cpu);
		assert_int_equal(all[i].kind, i % 2 ? ACCESS_LOAD : ACCESS_CODE);
		uint64_t offset = all[i].address - ACCESS_WORKLOAD_BASE - REGION * (i % 2 ? cpu : 2 + cpu);
		assert_true(offset + all[i].bytes <= (i % 2 ? 1u << 20 : 4096u));
		if (i % 2)
			continue;
		assert_int_equal(offset / 64 % 4, i / 4 % 4);
		assert_true(i / 4 % 4 == 0 || all[i].address == all[i - 4].address + 64);
		seen[cpu][offset / 256] = true;
	}
	for (unsigned function = 0; function < 16; function++)
		assert_true(seen[0][function] && seen[1][function]);
	free(all);
	all = read_all("random kind=fetch bytes=64KiB count=100", 1, 1, &count);
	for (size_t i = 0; i < count; i++)
		assert_int_equal(all[i].kind, ACCESS_CODE);
	free(all);
}

/* Would catch: a working set that is no area, one whose area is not where it was put, cores that do not share. */
static void test_areas_of_working_sets(void **state)
{
	(void)state;
	struct access_source *source = open_line("calls bytes=1MiB code=64KiB region=vmalloc code_region=modules count=8", 2, 1);
	struct virtual_request request;
	struct access all[8];
	struct error error = {0};
	size_t count;
	for (unsigned number = 0; number < 4; number++) {
		assert_true(access_workload_area(source, number, &request));
		assert_int_equal(request.call, number < 2 ? CALL_VMALLOC : CALL_MODULE_ALLOC);
		assert_int_equal(request.size, number < 2 ? 1u << 20 : 64u << 10);
		access_workload_place(source, number, (number + 1ull) << 40);
	}
	assert_false(access_workload_area(source, 4, &request));
	assert_true(access_source_read(source, all, 8, &count, &error));
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(all[i].address >> 40, 1 + (i % 2 ? 0 : 2u) + i / 2 % 2);
	access_source_close(source);
	source = open_line("random bytes=1MiB region=vmalloc_huge shared=true count=8", 2, 1);
	assert_true(access_workload_area(source, 0, &request) && request.call == CALL_VMALLOC_HUGE);
	assert_false(access_workload_area(source, 1, &request));
	access_workload_place(source, 0, 1ull << 41);
	assert_true(access_source_read(source, all, 8, &count, &error));
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(all[i].address >> 40, 2);
	access_source_close(source);
	source = open_line("random bytes=1MiB region=text", 2, 1);
	assert_false(access_workload_area(source, 0, &request));
	access_source_close(source);
}

/* Would catch: a wrong name or key that is taken silently. */
static void test_wrong_lines(void **state)
{
	(void)state;
	static const struct {
		const char *line, *told;
	} cases[] = {{"pointer_chas", "pointer_chase"},
	             {"stream stride=8B", "stride"},
	             {"zipf exponent=3", "1.5"},
	             {"", "no ''"},
	             {"lock_sharing neighbours=1", "1 core"},
	             {"random kind=fetch region=vmalloc", "region=vmalloc"},
	             {"random kind=fetch stores=3", "stores=3"},
	             {"calls code_region=direct_map", "code_region=direct_map"},
	             {"calls code=64B", "larger than code"},
	             {"random bytes=600MiB region=text", "image"}};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct error error = {0};
		assert_null(access_workload_open(cases[i].line, 1, 1, &error));
		if (!strstr(error.text, cases[i].told))
			fail_msg("'%s' does not name '%s'", error.text, cases[i].told);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_a_chase_visits_each_line_once_a_round),
	        cmocka_unit_test(test_streams_and_strides),
	        cmocka_unit_test(test_random_is_even),
	        cmocka_unit_test(test_zipf_is_zipfs),
	        cmocka_unit_test(test_cores_on_a_line),
	        cmocka_unit_test(test_a_lock_and_its_neighbours),
	        cmocka_unit_test(test_whose_set_and_stores),
	        cmocka_unit_test(test_seeds),
	        cmocka_unit_test(test_code_and_data),
	        cmocka_unit_test(test_areas_of_working_sets),
	        cmocka_unit_test(test_wrong_lines),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
