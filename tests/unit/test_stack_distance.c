/* SPDX-License-Identifier: MIT
 *
 * test_stack_distance.c - distances beside a plain list, beside closed forms, and beside caches that are simulated size by size.
 */
#include "sim/rng.h"
#include "sim/stack_distance.h"
#include "tests/unit/test.h"

#include <string.h>

/* A list, most recent first: where a block stands is its distance. */
struct list {
	uint64_t block[40000];
	unsigned count;
};

static uint64_t list_take(struct list *list, uint64_t block)
{
	unsigned at = 0;
	while (at < list->count && list->block[at] != block)
		at++;
	if (at == list->count)
		return DISTANCE_INFINITE;
	memmove(list->block + at, list->block + at + 1, (--list->count - at) * sizeof *list->block);
	return at;
}

static uint64_t list_access(struct list *list, uint64_t block)
{
	uint64_t distance = list_take(list, block);
	memmove(list->block + 1, list->block, list->count++ * sizeof *list->block);
	list->block[0] = block;
	return distance;
}

/* Would catch: a moment or its stretch counted twice or not at all, at any border of words, stretches and fields; blocks lost
 * when moments move down or slots are made anew. */
static void distances_are_places_in_a_list(void **state)
{
	(void)state;
	static const uint32_t blocks[] = {1, 2, 17, 300, 5000, 30000};
	static struct list list;
	for (unsigned i = 0; i < sizeof blocks / sizeof blocks[0]; i++) {
		struct stack_distances distances;
		stack_distances_init(&distances);
		list.count = 0;
		struct rng rng;
		rng_init(&rng, i, "blocks");
		unsigned accesses = i < 4 ? 400000 : 60000; /* more than one round of moments for the small ones */
		for (unsigned access = 0; access < accesses; access++) {
			uint64_t block = rng_below(&rng, 2) ? rng_below(&rng, blocks[i]) : access % blocks[i];
			if (rng_below(&rng, 100) == 0)
				assert_int_equal(stack_distances_forget(&distances, block),
				                 list_take(&list, block) != DISTANCE_INFINITE);
			assert_int_equal(stack_distances_access(&distances, block), list_access(&list, block));
		}
		stack_distances_check(&distances);
		assert_int_equal(stack_distances_blocks(&distances), list.count);
		stack_distances_release(&distances);
	}
}

/* Round trips over n blocks: n first accesses, all others at distance n - 1. Would catch: off by one in misses. */
static void round_trips(void **state)
{
	(void)state;
	for (uint64_t blocks = 1; blocks < 400000; blocks = blocks * 5 + 3) {
		struct stack_distances distances;
		stack_distances_init(&distances);
		for (unsigned trip = 0; trip < 4; trip++)
			for (uint64_t block = 0; block < blocks; block++)
				stack_distances_access(&distances, block);
		assert_int_equal(stack_distances_misses(&distances, blocks), blocks);
		assert_int_equal(stack_distances_misses(&distances, blocks - 1), 4 * blocks);
		stack_distances_check(&distances);
		stack_distances_release(&distances);
	}
}

/* A cache of sets and ways, kept as plainly as can be: every way with the time of its last use. */
static uint64_t simulated_misses(const uint64_t *blocks, size_t count, unsigned sets, unsigned ways)
{
	static uint64_t tag[1024], used[1024];
	uint64_t misses = 0;
	memset(used, 0, sizeof used);
	for (size_t i = 0; i < count; i++) {
		unsigned first = (unsigned)(blocks[i] % sets) * ways, way = first, oldest = first;
		for (; way < first + ways && !(used[way] && tag[way] == blocks[i]); way++)
			if (used[way] < used[oldest])
				oldest = way;
		if (way == first + ways) {
			misses++;
			way = oldest;
			tag[way] = blocks[i];
		}
		used[way] = i + 1;
	}
	return misses;
}

/* Would catch: a set's stack that does not move as LRU does, ways counted from one side too many. */
static void every_way_count_is_that_cache(void **state)
{
	(void)state;
	enum { ACCESSES = 20000, WAYS = 16 };
	static uint64_t blocks[ACCESSES];
	static const unsigned sets[] = {1, 3, 16, 48};
	struct rng rng;
	rng_init(&rng, 3, "blocks");
	for (unsigned i = 0; i < ACCESSES; i++)
		blocks[i] = rng_below(&rng, 3) ? rng_below(&rng, 300) : i % 700;
	for (unsigned i = 0; i < sizeof sets / sizeof sets[0]; i++) {
		struct set_distances distances;
		set_distances_init(&distances, sets[i], WAYS);
		for (unsigned access = 0; access < ACCESSES; access++)
			set_distances_access(&distances, blocks[access]);
		for (unsigned ways = 1; ways <= WAYS; ways++)
			assert_int_equal(set_distances_misses(&distances, ways),
			                 simulated_misses(blocks, ACCESSES, sets[i], ways));
		set_distances_release(&distances);
	}
}

/* One set is the whole stack cut off. Many at once are one after the other. Would catch: any two disagreeing. */
static void one_set_is_the_stack(void **state)
{
	(void)state;
	enum { ACCESSES = 30000 };
	static uint64_t blocks[ACCESSES];
	struct stack_distances whole, run;
	struct set_distances one;
	stack_distances_init(&run);
	stack_distances_init(&whole);
	set_distances_init(&one, 1, 64);
	struct rng rng;
	rng_init(&rng, 4, "blocks");
	for (unsigned i = 0; i < ACCESSES; i++) {
		uint64_t block = rng_below(&rng, 1 + rng_below(&rng, 200));
		stack_distances_access(&whole, block);
		set_distances_access(&one, block);
		blocks[i] = block;
	}
	stack_distances_run(&run, blocks, ACCESSES);
	for (unsigned ways = 1; ways <= 200; ways++)
		assert_int_equal(stack_distances_misses(&run, ways), stack_distances_misses(&whole, ways));
	stack_distances_release(&run);
	for (unsigned ways = 1; ways <= 64; ways++)
		assert_int_equal(stack_distances_misses(&whole, ways), set_distances_misses(&one, ways));
	stack_distances_release(&whole);
	set_distances_release(&one);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(distances_are_places_in_a_list),
	        cmocka_unit_test(round_trips),
	        cmocka_unit_test(every_way_count_is_that_cache),
	        cmocka_unit_test(one_set_is_the_stack),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
