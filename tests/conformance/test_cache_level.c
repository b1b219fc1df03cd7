/* SPDX-License-Identifier: MIT
 *
 * test_cache_level.c - every registered cache model, with room for all that comes: what is known of such a cache without looking
 * into it, and the same stream through it and through the port's ideal twin, alone and beside small neighbours of every kind.
 */
#include "models/cache_settings.h"
#include "models/registry.h"
#include "sim/rng.h"
#include "tests/unit/test.h"

#include <stdlib.h>
#include <string.h>

#define STREAM 4000u
#define CPUS 2u
#define LINE 64u
#define BASE 0x100000u
#define LINES 512u /* that a stream touches: far fewer than the 1 MiB of the cache under test hold, in every set */

/* The cache under test is %s; its neighbours are small. */
static const char *const machines[][3] = {
        {"x %s"},
        {"x %s serves=data"},
        {"l1 size=1KiB ways=2", "x %s cores=all"},
        {"l1 size=1KiB ways=2 write=through", "x %s cores=all"},
        {"l1 size=1KiB ways=2 line=32B", "x %s cores=all inclusion=inclusive"},
        {"x %s", "l2 size=4KiB ways=4 cores=all inclusion=inclusive"},
        {"x %s", "l2 size=4KiB ways=4 line=32B cores=all prefetch=tagged"},
        {"l1 size=1KiB ways=2", "l2 size=2KiB ways=4 inclusion=exclusive", "x %s cores=all"},
        {"x %s", "l2 size=2KiB ways=4 inclusion=exclusive"},
};
#define MACHINES (sizeof machines / sizeof *machines)

static struct cache_hierarchy *make(const char *const lines[3], const char *model, const struct cache_rules *rules)
{
	struct cache_level_spec specs[3] = {0};
	struct error error = {0};
	unsigned count = 0;
	for (; count < 3 && lines[count]; count++) {
		char *under_test = xasprintf("size=1MiB ways=16 line=%uB model=%s", LINE, model);
		const char *hole = strstr(lines[count], "%s");
		char *line = hole ? xasprintf("%.*s%s%s", (int)(hole - lines[count]), lines[count], under_test, hole + 2)
		                  : xstrdup(lines[count]);
		if (!cache_spec_read(line, "test", &specs[count], &error))
			fail_msg("%s", error.text);
		free(under_test);
		free(line);
	}
	struct cache_hierarchy *hierarchy = caches_create(specs, count, rules, CPUS, 1, SIMD_AUTO, &error);
	if (!hierarchy)
		fail_msg("%s: %s", lines[0], error.text);
	for (unsigned i = 0; i < count; i++)
		cache_spec_release(&specs[i]);
	return hierarchy;
}

static void make_stream(struct access *accesses, uint64_t seed)
{
	static const uint8_t kinds[] = {ACCESS_CODE,  ACCESS_LOAD,   ACCESS_LOAD, ACCESS_STORE,
	                                ACCESS_STORE, ACCESS_MODIFY, ACCESS_WALK, ACCESS_WALK_STORE};
	struct rng rng;
	rng_init(&rng, seed, "stream");
	for (unsigned i = 0; i < STREAM; i++) {
		uint32_t bytes = rng_below(&rng, 8) ? 1 + rng_below(&rng, 8) : 16u << rng_below(&rng, 4);
		uint64_t offset = rng_below(&rng, 3) ? rng_below(&rng, 2048) : rng_below(&rng, LINES * LINE - 256);
		accesses[i] = (struct access){.address = BASE + (rng_below(&rng, 2) ? offset : offset / LINE * LINE),
		                              .bytes = bytes,
		                              .cpu = (uint16_t)rng_below(&rng, CPUS),
		                              .kind = kinds[rng_below(&rng, sizeof kinds)]};
	}
}

static void expect_same_counters(const char *what, const struct cache_hierarchy *found, const struct cache_hierarchy *ideal)
{
	for (unsigned i = 0; i < found->count; i++)
		if (memcmp(&found->caches[i]->counters, &ideal->caches[i]->counters, sizeof(struct cache_counters)) != 0)
			fail_msg("%s: cache %s counts otherwise than with the ideal model", what, found->specs[i].name);
	assert_int_equal(cache_hierarchy_memory_reads(found), cache_hierarchy_memory_reads(ideal));
	assert_int_equal(cache_hierarchy_memory_writes(found), cache_hierarchy_memory_writes(ideal));
}

struct lines {
	uint64_t marks[LINES];
	bool here[LINES];
};

static void note_line(void *context, uint64_t address, uint64_t marks)
{
	struct lines *lines = context;
	uint64_t line = (address - BASE) / LINE;
	assert_true(address >= BASE && line < LINES && !lines->here[line]);
	lines->here[line] = true;
	lines->marks[line] = marks;
}

static void expect_same_lines(const struct cache_level *found, const struct cache_level *ideal)
{
	for (unsigned instance = 0; instance < found->instances; instance++) {
		struct lines of_found = {0}, of_ideal = {0};
		found->ops->each_line(found, instance, note_line, &of_found);
		ideal->ops->each_line(ideal, instance, note_line, &of_ideal);
		assert_memory_equal(&of_found, &of_ideal, sizeof of_found);
	}
}

static void run_beside_ideal(const char *const lines[3], const char *model, const struct cache_rules *rules, uint64_t seed)
{
	static struct access accesses[STREAM];
	struct cache_hierarchy *found = make(lines, model, rules), *ideal = make(lines, "ideal", rules);
	make_stream(accesses, seed);
	cache_hierarchy_run(found, accesses, STREAM / 2);
	for (unsigned i = 0; i < STREAM / 2; i++)
		cache_hierarchy_run(ideal, &accesses[i], 1);
	expect_same_counters(lines[0], found, ideal);
	expect_same_lines(cache_hierarchy_find(found, "x"), cache_hierarchy_find(ideal, "x"));
	cache_hierarchy_check(ideal);
	cache_hierarchy_flush(found, true);
	cache_hierarchy_flush(ideal, true);
	cache_hierarchy_run(found, accesses + STREAM / 2, STREAM / 2);
	cache_hierarchy_run(ideal, accesses + STREAM / 2, STREAM / 2);
	if (lines[1] == NULL || !strstr(lines[0], "%s")) /* else the order of the flush decides what the level below still had */
		expect_same_counters(lines[0], found, ideal);
	expect_same_lines(cache_hierarchy_find(found, "x"), cache_hierarchy_find(ideal, "x"));
	cache_hierarchy_check(found);
	cache_hierarchy_check(ideal);
	cache_hierarchy_destroy(found);
	cache_hierarchy_destroy(ideal);
}

/* Would catch: a model that forgets a line or its dirt, fetches where it need not, counts a group twice, or does not let go what
 * an inclusive level takes out. */
static void ample_caches_equal_the_ideal(void **state)
{
	(void)state;
	static const struct cache_rules rules[] = {
	        {.rule = CACHE_RULE_DEMAND},
	        {.rule = CACHE_RULE_WRITEBACK},
	        {.rule = CACHE_RULE_DEMAND, .line_crossing = CROSSING_ONE_ACCESS, .modify = MODIFY_LOAD}};
	for (const struct cache_level_model *model = cache_level_models; model->ops; model++)
		for (unsigned machine = 0; machine < MACHINES; machine++)
			for (unsigned rule = 0; rule < sizeof rules / sizeof *rules; rule++)
				run_beside_ideal(machines[machine], model->ops->name, &rules[rule], machine);
}

/* Would catch: a cache with room for all in which a line misses twice, or one that does not write back each dirty line once. */
static void only_first_uses_miss(void **state)
{
	(void)state;
	static struct access accesses[STREAM];
	const struct cache_rules rules = {.rule = CACHE_RULE_WRITEBACK};
	make_stream(accesses, 77);
	for (const struct cache_level_model *model = cache_level_models; model->ops; model++) {
		struct cache_hierarchy *hierarchy = make((const char *const[3]){"x %s cores=all"}, model->ops->name, &rules);
		bool touched[LINES] = {0}, written[LINES] = {0};
		uint64_t lines = 0, dirty = 0;
		for (unsigned i = 0; i < STREAM; i++) {
			bool writes = accesses[i].kind == ACCESS_STORE || accesses[i].kind == ACCESS_MODIFY ||
			              accesses[i].kind == ACCESS_WALK_STORE;
			uint64_t last = (accesses[i].address - BASE + accesses[i].bytes - 1) / LINE;
			for (uint64_t line = (accesses[i].address - BASE) / LINE; line <= last; line++) {
				lines += !touched[line];
				dirty += writes && !written[line];
				touched[line] = true;
				written[line] |= writes;
			}
		}
		cache_hierarchy_run(hierarchy, accesses, STREAM);
		const struct cache_counters *counters = &cache_hierarchy_find(hierarchy, "x")->counters;
		assert_int_equal(access_sum(counters->misses), lines);
		assert_int_equal(counters->fills, lines);
		cache_hierarchy_flush(hierarchy, false);
		assert_int_equal(counters->flush_write_backs, dirty);
		assert_int_equal(cache_hierarchy_memory_writes(hierarchy), dirty);
		cache_hierarchy_flush(hierarchy, true);
		assert_int_equal(counters->flush_write_backs, dirty);
		assert_int_equal(counters->removals, lines);
		cache_hierarchy_check(hierarchy);
		cache_hierarchy_destroy(hierarchy);
	}
}

/* Would catch: an ideal cache that takes a setting which would have no effect on it. */
static void what_the_ideal_cannot_be_is_refused(void **state)
{
	(void)state;
	static const char *const odd[] = {"write=through", "write_allocate=no", "prefetch=miss"};
	const struct cache_rules rules = {0};
	for (unsigned i = 0; i < sizeof odd / sizeof *odd; i++) {
		struct cache_level_spec spec;
		struct error error = {0};
		char *line = xasprintf("l1 model=ideal %s", odd[i]);
		assert_true(cache_spec_read(line, "test", &spec, &error));
		assert_null(caches_create(&spec, 1, &rules, 1, 1, SIMD_AUTO, &error));
		assert_int_equal(error.kind, ERROR_USAGE);
		assert_non_null(strstr(error.text, "cache l1: model=ideal"));
		cache_spec_release(&spec);
		free(line);
	}
	struct cache_level_spec spec;
	struct error error = {0};
	assert_true(cache_spec_read("l1 model=idael", "test", &spec, &error));
	assert_null(caches_create(&spec, 1, &rules, 1, 1, SIMD_AUTO, &error));
	assert_non_null(strstr(error.text, "did you mean 'ideal'"));
	cache_spec_release(&spec);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(ample_caches_equal_the_ideal),
	        cmocka_unit_test(only_first_uses_miss),
	        cmocka_unit_test(what_the_ideal_cannot_be_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
