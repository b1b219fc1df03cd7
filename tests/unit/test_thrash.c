/* SPDX-License-Identifier: MIT
 *
 * test_thrash.c - the account of thrashing beside closed forms: round trips over n blocks of a fully associative LRU level of e
 * entries, streams, and a level kept here in the plainest way.
 */
#include "sim/rng.h"
#include "sim/thrash.h"
#include "tests/unit/test.h"

#include <string.h>

#define ENTRIES 8u

/* A fully associative LRU level as a list, most recent first. */
struct level {
	struct thrash thrash;
	uint64_t block[ENTRIES];
	bool used[ENTRIES];
	unsigned filled;
	uint64_t accesses, misses;
};

static void level_init(struct level *level, uint64_t window)
{
	memset(level, 0, sizeof *level);
	thrash_init(&level->thrash, window);
}

static void level_access(struct level *level, uint64_t block)
{
	level->accesses++;
	unsigned at = 0;
	while (at < level->filled && level->block[at] != block)
		at++;
	bool hit = at < level->filled;
	if (!hit) {
		level->misses++;
		thrash_missed(&level->thrash, block, level->accesses);
		if (level->filled == ENTRIES)
			thrash_evicted(&level->thrash, level->block[ENTRIES - 1], level->used[ENTRIES - 1], level->accesses);
		else
			level->filled++;
		at = level->filled - 1;
	}
	memmove(level->block + 1, level->block, at * sizeof *level->block);
	memmove(level->used + 1, level->used, at * sizeof *level->used);
	level->block[0] = block;
	level->used[0] = hit;
}

static void round_trips(struct level *level, unsigned blocks, unsigned trips)
{
	level_init(level, ENTRIES);
	for (unsigned trip = 0; trip < trips; trip++)
		for (unsigned block = 0; block < blocks; block++)
			level_access(level, block);
	thrash_check(&level->thrash);
}

/* Would catch: hits counted as re-misses. */
static void all_that_fits_does_not_thrash(void **state)
{
	(void)state;
	struct level level;
	round_trips(&level, ENTRIES, 100);
	assert_int_equal(level.misses, ENTRIES);
	assert_int_equal(level.thrash.remisses, 0);
	assert_true(thrash_index(&level.thrash, level.accesses) == 0);
	thrash_release(&level.thrash);
}

/* Would catch: a window counted from the wrong side. All but the first round miss on what was evicted n - e accesses ago. */
static void a_little_too_much_thrashes_fully(void **state)
{
	(void)state;
	for (unsigned blocks = ENTRIES + 1; blocks <= 2 * ENTRIES; blocks++) {
		struct level level;
		round_trips(&level, blocks, 100);
		assert_int_equal(level.misses, level.accesses);
		assert_int_equal(level.thrash.remisses, 99 * blocks);
		assert_int_equal(level.thrash.evictions, level.accesses - ENTRIES);
		assert_int_equal(level.thrash.unused_evictions, level.thrash.evictions);
		assert_int_equal(level.thrash.ping_pong_blocks, blocks);
		thrash_release(&level.thrash);
	}
}

/* Would catch: a window that is one too long. */
static void twice_the_level_and_more_is_shortage(void **state)
{
	(void)state;
	struct level level;
	round_trips(&level, 2 * ENTRIES + 1, 100);
	assert_int_equal(level.misses, level.accesses);
	assert_int_equal(level.thrash.remisses, 0);
	thrash_release(&level.thrash);
}

/* Would catch: memory that grows with the stream. */
static void a_stream_leaves_nothing_behind(void **state)
{
	(void)state;
	struct level level;
	round_trips(&level, 1000000, 1);
	assert_int_equal(level.thrash.remisses, 0);
	assert_true(level.thrash.capacity <= 4096);
	thrash_release(&level.thrash);
}

/* Would catch: blocks evicted after a hit counted as unused. */
static void a_block_that_was_hit_is_no_unused_eviction(void **state)
{
	(void)state;
	struct level level;
	level_init(&level, ENTRIES);
	for (unsigned block = 0; block < 100; block++) {
		level_access(&level, block);
		if (block % 2)
			level_access(&level, block);
	}
	assert_int_equal(level.thrash.evictions, 100 - ENTRIES);
	assert_int_equal(level.thrash.unused_evictions, (100 - ENTRIES) / 2);
	thrash_release(&level.thrash);
}

/* The same by an array with a cell for each block. Would catch: slots lost when the table is made anew. */
static void equals_a_table_without_hashing(void **state)
{
	(void)state;
	enum { BLOCKS = 5000 };
	static uint64_t evicted[BLOCKS];
	static unsigned times[BLOCKS];
	struct thrash thrash;
	thrash_init(&thrash, 700);
	struct rng rng;
	rng_init(&rng, 1, "thrash");
	uint64_t remisses = 0, ping_pong = 0;
	for (uint64_t now = 1; now < 300000; now++) {
		uint64_t block = rng_below(&rng, rng_below(&rng, 2) ? 200 : BLOCKS);
		if (rng_below(&rng, 2)) {
			thrash_evicted(&thrash, block, true, now);
			evicted[block] = now;
			continue;
		}
		thrash_missed(&thrash, block, now);
		if (evicted[block] && now - evicted[block] <= 700) {
			remisses++;
			ping_pong += ++times[block] == PING_PONG_REMISSES;
			evicted[block] = 0;
		}
	}
	thrash_check(&thrash);
	assert_int_equal(thrash.remisses, remisses);
	assert_int_equal(thrash.ping_pong_blocks, ping_pong);
	thrash_release(&thrash);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(all_that_fits_does_not_thrash),
	        cmocka_unit_test(a_little_too_much_thrashes_fully),
	        cmocka_unit_test(twice_the_level_and_more_is_shortage),
	        cmocka_unit_test(a_stream_leaves_nothing_behind),
	        cmocka_unit_test(a_block_that_was_hit_is_no_unused_eviction),
	        cmocka_unit_test(equals_a_table_without_hashing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
