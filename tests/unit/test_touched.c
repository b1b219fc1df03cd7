/* SPDX-License-Identifier: MIT
 *
 * test_touched.c - the counts of lines and pages that an op touches, beside lists of them kept here in the plainest way.
 */
#include "sim/rng.h"
#include "sim/touched.h"
#include "tests/unit/test.h"

#define BLOCKS_MAX 8192u

struct plain {
	uint64_t block[BLOCKS_MAX];
	unsigned count;
};

static void plain_add(struct plain *plain, uint64_t first, uint64_t last)
{
	for (uint64_t block = first; block <= last; block++) {
		unsigned at = 0;
		while (at < plain->count && plain->block[at] != block)
			at++;
		if (at == plain->count)
			plain->block[plain->count++] = block;
	}
}

/* An op: ranges near one of a few places, so that many meet lines that are there, and now and then one far away. */
static void random_op(struct touched *touched, struct rng *rng, unsigned shift)
{
	static struct plain lines, pages;
	uint64_t places[3];
	touched_clear(touched);
	struct touching touching = touching_begin(touched);
	lines.count = pages.count = 0;
	for (unsigned i = 0; i < 3; i++)
		places[i] = rng_next(rng) >> rng_below(rng, 8);
	for (unsigned ranges = 1 + rng_below(rng, 40); ranges > 0; ranges--) {
		uint64_t address = places[rng_below(rng, 3)] + rng_below(rng, 100u << shift);
		uint64_t bytes = rng_below(rng, 2) ? rng_below(rng, 9) : rng_below(rng, 170u << shift);
		if (address + bytes < address)
			continue;
		touching_add(touched, &touching, address, bytes);
		if (bytes > 0) {
			plain_add(&lines, address >> shift, (address + bytes - 1) >> shift);
			plain_add(&pages, address >> PAGE_SHIFT, (address + bytes - 1) >> PAGE_SHIFT);
		}
		assert_int_equal(touching.lines, lines.count);
		assert_int_equal(touching.pages, pages.count);
	}
	touching_end(touched, touching);
	assert_int_equal(touched->lines, lines.count);
	assert_int_equal(touched->pages, pages.count);
}

/* Would catch: a line at the edge of its page counted twice or never, lines of the op before, a range of no bytes, the line before
 * taken for another one. */
static void random_ops_count_as_a_list_does(void **state)
{
	(void)state;
	for (unsigned shift = 4; shift <= 12; shift++) {
		struct touched touched;
		struct rng rng = {shift};
		touched_init(&touched, 1u << shift);
		for (unsigned op = 0; op < 100; op++)
			random_op(&touched, &rng, shift);
		touched_release(&touched);
	}
}

/* Would catch: pages that are lost when the slots become more. */
static void as_many_pages_as_there_are(void **state)
{
	(void)state;
	struct touched touched;
	touched_init(&touched, 32);
	touched_clear(&touched);
	for (uint64_t round = 0; round < 2; round++)
		for (uint64_t page = 0; page < 5000; page++)
			touched_add(&touched, page * 3 * PAGE_SIZE, PAGE_SIZE / 2);
	assert_int_equal(touched.pages, 5000);
	assert_int_equal(touched.lines, 5000 * 64);
	touched_release(&touched);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(random_ops_count_as_a_list_does),
	                                   cmocka_unit_test(as_many_pages_as_there_are)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
