/* SPDX-License-Identifier: MIT
 *
 * test_level_watch.c - caches that are watched count as caches that are not, and what a watch tells of regions, owners and
 * thrashing.
 */
#include "models/cache_settings.h"
#include "sim/rng.h"
#include "tests/unit/test.h"

#include <string.h>

#define SPECS_MAX 4

static struct cache_hierarchy *make(const char *const *lines, unsigned count, bool watch, const uint32_t *owner)
{
	struct error error = {0};
	struct cache_level_spec specs[SPECS_MAX];
	for (unsigned i = 0; i < count; i++)
		if (!cache_spec_read(lines[i], "test", &specs[i], &error))
			fail_msg("%s", error.text);
	struct cache_hierarchy *caches = caches_wire((struct cache_hierarchy_wiring){.specs = specs,
	                                                                             .count = count,
	                                                                             .rules = {.rule = CACHE_RULE_WRITEBACK},
	                                                                             .cpus = 2,
	                                                                             .watch = watch,
	                                                                             .watch_owner = owner},
	                                             &error);
	if (!caches)
		fail_msg("%s", error.text);
	for (unsigned i = 0; i < count; i++)
		cache_spec_release(&specs[i]);
	return caches;
}

/* Would catch: a watched cache that serves by another rule than the fast one. */
static void a_watch_changes_no_count(void **state)
{
	(void)state;
	static const char *const machines[][3] = {
	        {"l1d size=1KiB ways=2", "l2 size=4KiB ways=4", "llc size=12KiB ways=3 cores=all"},
	        {"l1d size=1KiB ways=4 replacement=tree_plru", "l2 size=4KiB ways=4 replacement=srrip",
	         "llc size=16KiB ways=8 cores=all inclusion=inclusive"},
	        {"l1d size=512B ways=1 prefetch=tagged", "l2 size=2KiB ways=2 replacement=fifo",
	         "llc size=8KiB ways=4 cores=all inclusion=exclusive"},
	};
	for (unsigned machine = 0; machine < 3; machine++) {
		uint32_t owner = 0;
		struct cache_hierarchy *plain = make(machines[machine], 3, false, NULL);
		struct cache_hierarchy *watched = make(machines[machine], 3, true, &owner);
		struct rng rng;
		rng_init(&rng, machine, "accesses");
		for (unsigned i = 0; i < 20000; i++) {
			struct access access = {.address = rng_below(&rng, rng_below(&rng, 4) ? 3000 : 40000),
			                        .bytes = 1 + rng_below(&rng, 16),
			                        .kind = (uint8_t)(rng_below(&rng, 3) ? ACCESS_LOAD : ACCESS_STORE),
			                        .cpu = (uint16_t)rng_below(&rng, 2),
			                        .region =
			                                (uint8_t)(rng_below(&rng, 5) | rng_below(&rng, 5) << ACCESS_REGION_BITS)};
			owner = rng_below(&rng, 40);
			cache_hierarchy_run(plain, &access, 1);
			cache_hierarchy_run(watched, &access, 1);
		}
		cache_hierarchy_check(plain);
		cache_hierarchy_check(watched);
		for (unsigned i = 0; i < 3; i++) {
			const struct level_watch *watch = watched->caches[i]->watch;
			uint64_t accesses = 0;
			for (unsigned kind = 0; kind < ACCESS_KINDS; kind++)
				accesses += watched->caches[i]->counters.accesses[kind];
			assert_memory_equal(&plain->caches[i]->counters, &watched->caches[i]->counters,
			                    sizeof(struct cache_counters));
			assert_int_equal(watch->accesses, accesses);
			assert_true(level_watch_unused_evictions(watch) > 0);
		}
		cache_hierarchy_destroy(plain);
		cache_hierarchy_destroy(watched);
	}
}

/*
 * Worked by hand: one set of two ways, round trips over three lines of 64 bytes. Trip 1 misses cold; afterwards each line was
 * evicted by the access before it. Region 3 makes the first trip, region 4 the other nine.
 */
static void a_round_trip_too_long_thrashes(void **state)
{
	(void)state;
	static const char *const lines[] = {"l1d size=128B ways=2"};
	uint32_t owner = 7;
	struct cache_hierarchy *caches = make(lines, 1, true, &owner);
	for (unsigned trip = 0; trip < 10; trip++) {
		owner = trip < 5 ? 7 : 1000;
		for (unsigned line = 0; line < 3; line++) {
			struct access access = {.address = 64 * line,
			                        .bytes = 8,
			                        .kind = trip == 0 ? ACCESS_STORE : ACCESS_LOAD,
			                        .region = trip == 0 ? 3 : access_on_page(4, 1)};
			cache_hierarchy_run(caches, &access, 1);
		}
	}
	const struct level_watch *watch = caches->caches[0]->watch;
	cache_hierarchy_check(caches);
	assert_int_equal(watch->misses, 30);
	assert_int_equal(level_watch_remisses(watch), 27);
	assert_int_equal(level_watch_unused_evictions(watch), 28);
	assert_int_equal(level_watch_ping_pong_blocks(watch), 3);
	assert_int_equal(watch->region[3].misses, 3);
	assert_int_equal(watch->region[4].accesses, 27);
	/* The third store evicts the first line, dirty; the loads evict all others, of which the first two are dirty. */
	const struct watch_kind *stores = &watch->kind[ACCESS_STORE][0], *loads = &watch->kind[ACCESS_LOAD][2];
	assert_int_equal(stores->evictions, 1);
	assert_int_equal(stores->write_backs, 1);
	assert_int_equal(loads->accesses, 27);
	assert_int_equal(loads->evictions, 27);
	assert_int_equal(loads->write_backs, 2);
	assert_int_equal(watch->owners[7].accesses, 15);
	assert_int_equal(watch->owners[1000].accesses, 15);
	cache_hierarchy_destroy(caches);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(a_watch_changes_no_count),
	        cmocka_unit_test(a_round_trip_too_long_thrashes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
