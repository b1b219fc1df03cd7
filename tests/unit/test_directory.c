/* SPDX-License-Identifier: MIT
 *
 * test_directory.c - the directory of lines against an array that says of each line whether it has an entry, and what is in it.
 */
#include "sim/directory.h"
#include "sim/rng.h"
#include "tests/unit/test.h"

#include <stdlib.h>

/* Past the first table, of 4096 slots, and the next two. */
#define LINES 9000u

/* The line of a number: neighbours, and lines far apart. */
static uint64_t line_of(uint32_t number)
{
	return number % 2 ? number : (uint64_t)number << 30;
}

static void make(struct directory *directory, uint32_t number)
{
	struct directory_entry *entry = directory_make(directory, line_of(number));
	assert_int_equal(entry->owner, OWNER_NONE);
	assert_true(core_set_empty(&entry->cores));
	core_set_add(&entry->cores, number % CPUS_MAX);
	entry->busy_until = number;
}

static void expect(const struct directory *directory, uint32_t number, bool there)
{
	const struct directory_entry *entry = directory_find(directory, line_of(number));
	assert_true((entry != NULL) == there);
	if (there) {
		assert_true(core_set_has(&entry->cores, number % CPUS_MAX));
		assert_int_equal(entry->busy_until, number);
	}
}

/* Would catch: entries that are lost, or found empty, when the table grows; a line that was made twice. */
static void every_entry_outlives_growth(void **state)
{
	(void)state;
	struct directory directory;
	directory_init(&directory);
	for (uint32_t number = 0; number < LINES; number++)
		make(&directory, number);
	assert_int_equal(directory.count, LINES);
	for (uint32_t number = 0; number < LINES; number++)
		expect(&directory, number, true);
	expect(&directory, LINES, false);
	assert_ptr_equal(directory_make(&directory, line_of(7)), directory_find(&directory, line_of(7)));
	assert_int_equal(directory.count, LINES);
	directory_check(&directory);
	directory_release(&directory);
}

/* Would catch: a gap that is left, or closed by an entry that is then looked for elsewhere. */
static void dropped_entries_leave_no_gap(void **state)
{
	(void)state;
	struct directory directory;
	struct rng rng;
	bool *there = xcalloc(LINES, sizeof *there);
	uint64_t count = 0;
	rng_init(&rng, 1, "directory");
	directory_init(&directory);
	for (uint32_t turn = 0; turn < 20 * LINES; turn++) {
		uint32_t number = (uint32_t)rng_below(&rng, LINES);
		if (there[number])
			directory_drop(&directory, directory_find(&directory, line_of(number)));
		else
			make(&directory, number);
		there[number] = !there[number];
		count += there[number] ? 1 : UINT64_MAX;
	}
	assert_int_equal(directory.count, count);
	for (uint32_t number = 0; number < LINES; number++)
		expect(&directory, number, there[number]);
	directory_check(&directory);
	directory_release(&directory);
	free(there);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(every_entry_outlives_growth),
	        cmocka_unit_test(dropped_entries_leave_no_gap),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
