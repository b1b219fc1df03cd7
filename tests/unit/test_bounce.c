/* SPDX-License-Identifier: MIT
 *
 * test_bounce.c - records of lines that cores take from each other: which words, who wrote, true and false sharing.
 */
#include "sim/bounce.h"
#include "tests/unit/test.h"

/* Would catch: a word too many or too few at an access's edges, words of 8 bytes where the line has other eighths. */
static void test_words_of_an_access(void **state)
{
	(void)state;
	struct bounces bounces = {.line_shift = 6};
	assert_int_equal(bounces_words(&bounces, 0x1000, 8), 0x01);
	assert_int_equal(bounces_words(&bounces, 0x1007, 2), 0x03);
	assert_int_equal(bounces_words(&bounces, 0x1038, 8), 0x80);
	assert_int_equal(bounces_words(&bounces, 0x1000, 64), 0xff);
	bounces.line_shift = 7; /* eighths of 16 bytes */
	assert_int_equal(bounces_words(&bounces, 0x1078, 8), 0x80);
	assert_int_equal(bounces_words(&bounces, 0x1008, 16), 0x03);
}

/*
 * Who uses a line, and what that is. Would catch: false sharing of a line that one core uses, or that nobody writes; true sharing
 * taken for false where one only reads what another wrote, or where both write one word; writers counted with readers.
 */
static void test_true_and_false_sharing(void **state)
{
	(void)state;
	static const struct {
		uint8_t written[3], read[3];
		bool is_true, is_false;
		unsigned writers;
	} cases[] = {
	        {{0x01, 0x02, 0}, {0, 0, 0}, false, true, 2},             /* each its own word */
	        {{0x01, 0, 0}, {0, 0x80, 0}, false, true, 1},             /* one writes, another reads elsewhere */
	        {{0x01, 0, 0}, {0, 0x01, 0}, true, false, 1},             /* one reads what another wrote */
	        {{0x01, 0x01, 0}, {0, 0, 0}, true, false, 2},             /* both write one word */
	        {{0x01, 0, 0x03}, {0, 0x40, 0}, true, false, 2},          /* the third writes the first one's */
	        {{0x0f, 0, 0}, {0x0f, 0, 0}, false, false, 1},            /* one core alone */
	        {{0, 0, 0}, {0x01, 0x01, 0x02}, false, false, 0},         /* nobody writes */
	        {{0x01, 0x02, 0x04}, {0x10, 0x20, 0x40}, false, true, 3}, /* three, each its own words */
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct bounced_line line = {0};
		for (unsigned cpu = 0; cpu < 3; cpu++) {
			line.written[cpu + 5] = cases[i].written[cpu];
			line.read[cpu + 5] = cases[i].read[cpu];
		}
		assert_int_equal(bounced_line_is_truly_shared(&line), cases[i].is_true);
		assert_int_equal(bounced_line_is_falsely_shared(&line), cases[i].is_false);
		assert_int_equal(bounced_line_writers(&line), cases[i].writers);
	}
}

/* Would catch: an order that forgets invalidations, ties in the order of records, more lines than there are. */
static void test_the_most_bounced_come_first(void **state)
{
	(void)state;
	struct bounces bounces;
	bounces_init(&bounces, 6);
	static const struct {
		uint64_t line, transfers, invalidations;
	} lines[] = {{9, 5, 0}, {7, 2, 3}, {3, 1, 9}, {4, 1, 0}};
	for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
		struct bounced_line *line = bounces_make(&bounces, lines[i].line);
		line->transfers_dirty = lines[i].transfers;
		line->invalidations = lines[i].invalidations;
	}
	const struct bounced_line *top[5];
	assert_int_equal(bounces_top(&bounces, top, 5), 4);
	static const uint64_t order[] = {3, 7, 9, 4};
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(top[i]->address, order[i] * 64);
	assert_int_equal(bounces_top(&bounces, top, 1), 1);
	bounces_release(&bounces);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_words_of_an_access),
	        cmocka_unit_test(test_true_and_false_sharing),
	        cmocka_unit_test(test_the_most_bounced_come_first),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
