/* SPDX-License-Identifier: MIT
 *
 * test_timed_coherence.c - the laws of several cores' caches (timed_coherence.c: coherence_check) and of inclusion, every few
 * requests, on random machines of the kinds that a machine file can describe: caches of one core, of two, of four and of all,
 * inclusive, exclusive and neither, with prefetchers, written through and without allocation, passed by code and by page walks.
 */
#include "tests/timing/random_machines.h"

#include "models/memory/timed.h"

#define MACHINES 300
#define REQUESTS 400
#define CHECK_EACH 8
#define FLUSHES 8
#define LINES 4
#define CORES 8u

/* The first level: one cache, one of each kind, or that of data alone, so that code passes it by. */
static unsigned make_first(struct rng *rng, char lines[LINES][LINE_TEXT])
{
	static const char *const policies[] = {"lru", "tree_plru", "fifo", "random"};
	static const char *const prefetches[] = {"", "", "", " prefetch=always", " prefetch=tagged", " prefetch=miss"};
	static const char *const writes[] = {"", "", "", "", " write=through", " write_allocate=no"};
	unsigned kind = rng_below(rng, 4), count = 0;
	for (unsigned side = kind < 2 ? kind : 2; side < 3; side++, count++) {
		static const char *const names[] = {"l1 serves=all", "l1i serves=code", "l1d serves=data"};
		if (kind == 0 && side > 0)
			break;
		snprintf(lines[count], LINE_TEXT, "%s size=%uB ways=%u replacement=%s%s%s", names[side],
		         256u << rng_below(rng, 2), 2u << rng_below(rng, 2), pick(rng, policies, 4), pick(rng, prefetches, 6),
		         side == 1 ? "" : pick(rng, writes, 6));
	}
	return count;
}

/* Two or three levels, small enough for everything to be evicted. */
static void make_lines(struct rng *rng, char lines[LINES][LINE_TEXT], const char *pointers[LINES + 1])
{
	static const char *const policies[] = {"lru", "lru", "tree_plru", "fifo", "random"};
	static const char *const prefetches[] = {"", "", " prefetch=always", " prefetch=tagged", " prefetch=miss"};
	static const char *const writes[] = {"", "", "", "", " write=through", " write_allocate=no"};
	static const char *const inclusions[] = {"", "", " inclusion=inclusive", " inclusion=exclusive", " inclusion=exclusive"};
	static const char *const middles[] = {"1", "2", "2"};
	static const char *const lasts[] = {"all", "all", "4", "2", "1"};
	unsigned count = make_first(rng, lines);
	for (unsigned level = rng_below(rng, 4) ? 0 : 1; level < 2; level++) {
		const char *inclusion = pick(rng, inclusions, 5), *plain = "";
		bool is_exclusive = strstr(inclusion, "exclusive");
		snprintf(lines[count], LINE_TEXT, "%s size=%uKiB ways=%u replacement=%s cores=%s%s%s%s", level ? "llc" : "l2",
		         (1u << level) << rng_below(rng, 2), 2u << rng_below(rng, 2), pick(rng, policies, 5),
		         level ? pick(rng, lasts, 5) : pick(rng, middles, 3), is_exclusive ? plain : pick(rng, prefetches, 5),
		         is_exclusive ? plain : pick(rng, writes, 6), inclusion);
		count++;
	}
	for (unsigned i = 0; i < count; i++)
		pointers[i] = lines[i];
	pointers[count] = NULL;
}

/* false: the caches do not fit together. */
static bool make(struct machine_rig *rig, struct rng *rng, const char *const *lines, unsigned walk_level)
{
	machine_rig_settings(rig, CORES, lines);
	rig->settings.machine.coherence = rng_below(rng, 3) ? COHERENCE_MESI : COHERENCE_MOESI;
	rig->settings.machine.cache_rule = rng_below(rng, 3) ? CACHE_RULE_WRITEBACK : CACHE_RULE_DEMAND;
	rig->settings.machine.cache_walk_level = walk_level;
	struct error error = {0};
	rig->caches = caches_of_settings(&rig->settings, false, NULL, &error);
	if (!rig->caches)
		return false;
	rig->dram = dram_model("fixed", &error)->create(&(struct dram_wiring){.settings = &rig->settings}, &error);
	const struct memory_wiring wiring = {.settings = &rig->settings, .caches = rig->caches, .dram = rig->dram};
	rig->memory = memory_model("timed", &error)->create(&wiring, &error);
	return rig->memory != NULL;
}

/* Somewhere in 64 bytes to 16 KiB that all cores use. */
static struct memory_request make_request(struct rng *rng, unsigned cpu)
{
	static const uint8_t kinds[] = {ACCESS_LOAD,   ACCESS_LOAD, ACCESS_LOAD, ACCESS_STORE,     ACCESS_STORE,
	                                ACCESS_MODIFY, ACCESS_CODE, ACCESS_WALK, ACCESS_WALK_STORE};
	uint64_t address = rng_below(rng, 64u << 2 * rng_below(rng, 5));
	bool is_whole = rng_below(rng, 4) == 0;
	struct memory_request request = {.address = is_whole ? address & ~63ull : address,
	                                 .bytes = is_whole ? 64 : 8,
	                                 .cpu = (uint16_t)cpu,
	                                 .kind = kinds[rng_below(rng, 9)]};
	request.is_locked = request.kind == ACCESS_MODIFY && rng_below(rng, 2);
	return request;
}

/* Begins at `start`, and returns when all requests are done. */
static cycle run(struct machine_rig *rig, struct rng *rng, unsigned requests, unsigned check_each, cycle start)
{
	cycle now[CORES], last = start;
	unsigned cpu = 0;
	for (unsigned core = 0; core < CORES; core++)
		now[core] = start;
	for (unsigned i = 0; i < requests; i++) {
		if (rng_below(rng, 3) == 0)
			cpu = rng_below(rng, CORES);
		struct memory_request request = make_request(rng, cpu);
		request.now = now[cpu];
		cycle done = memory_access(rig->memory, &request, &rig->cost);
		now[cpu] = rng_below(rng, 3) ? done : now[cpu] + rng_below(rng, 20);
		last = done > last ? done : last;
		if (i % check_each == 0)
			rig->memory->ops->check(rig->memory);
	}
	return last;
}

/*
 * Would catch: a shared cache's prefetcher, or code and page walks that pass a core's own caches, taking a line below that
 * another core has written.
 */
static void the_laws_hold_on_every_machine(void **state)
{
	(void)state;
	unsigned made = 0;
	for (unsigned machine = 0; machine < MACHINES; machine++) {
		struct rng rng;
		rng_init(&rng, machine, "coherence");
		char lines[LINES][LINE_TEXT] = {{0}};
		const char *pointers[LINES + 1];
		make_lines(&rng, lines, pointers);
		struct machine_rig rig;
		if (make(&rig, &rng, pointers, 1 + machine % 2)) {
			run(&rig, &rng, REQUESTS, CHECK_EACH, 0);
			made++;
		}
		machine_rig_release(&rig);
	}
	assert_true(made > MACHINES / 2);
}

/*
 * Would catch: a line that a flush writes back into a cache that did not have it, or that had to go for it, and the directory is
 * not told.
 */
static void the_laws_hold_after_a_flush(void **state)
{
	(void)state;
	unsigned made = 0;
	for (unsigned machine = 0; machine < MACHINES; machine++) {
		struct rng rng;
		rng_init(&rng, machine, "flush");
		char lines[LINES][LINE_TEXT] = {{0}};
		const char *pointers[LINES + 1];
		make_lines(&rng, lines, pointers);
		struct machine_rig rig;
		if (make(&rig, &rng, pointers, 1 + machine % 2)) {
			cycle now = 0;
			for (unsigned flush = 0; flush < FLUSHES; flush++) {
				now = run(&rig, &rng, REQUESTS / FLUSHES, CHECK_EACH, now);
				cache_hierarchy_flush(rig.caches, rng_below(&rng, 4) == 0);
				memory_caches_changed(rig.memory);
				rig.memory->ops->check(rig.memory);
			}
			made++;
		}
		machine_rig_release(&rig);
	}
	assert_true(made > MACHINES / 2);
}

/*
 * Machines that seldom break a rule, checked after every request. Would catch, in their order: a written line that an exclusive
 * cache of the core's own gives to the level below, its core still said to own it; a written line that a shared exclusive cache
 * hands up while others have it; a line that stays in a shared cache when the inclusive one below lets it go in the same access;
 * code that passes the second of two own levels by and is not asked for.
 */
static void the_laws_hold_where_they_are_hard(void **state)
{
	static const char *const machines[][LINES + 1] = {
	        {"l1 size=512B ways=2 write=through", "l2 size=2KiB ways=2 cores=1 inclusion=exclusive",
	         "llc size=4KiB ways=2 cores=all"},
	        {"l1i serves=code size=512B ways=4 prefetch=miss", "l1d serves=data size=256B ways=2 replacement=fifo",
	         "l2 size=1KiB ways=4 cores=2 inclusion=exclusive", "llc size=4KiB ways=4 cores=all prefetch=tagged"},
	        {"l1 size=256B ways=2 replacement=random prefetch=tagged",
	         "l2 size=2KiB ways=2 replacement=lru cores=2 prefetch=always",
	         "llc size=2KiB ways=4 replacement=random cores=2 prefetch=always inclusion=inclusive"},
	        {"l1i serves=code size=256B ways=2", "l1d serves=data size=256B ways=2",
	         "l2 serves=data size=1KiB ways=2 cores=1", "llc size=2KiB ways=2 cores=2"},
	};
	(void)state;
	for (unsigned i = 0; i < 5 * sizeof machines / sizeof machines[0]; i++) {
		struct rng rng;
		rng_init(&rng, i, "hard");
		struct machine_rig rig;
		assert_true(make(&rig, &rng, machines[i / 5], 1));
		run(&rig, &rng, 5 * REQUESTS, 1, 0);
		machine_rig_release(&rig);
	}
}

static uint64_t given(const struct machine_rig *rig, unsigned cpu)
{
	return ((const struct memory_core_counters *)rig->memory->ops->core_counters(rig->memory, cpu))->transfers_given;
}

/*
 * Line 0 and line 1 are written by two cores of a pair; a core of another pair reads line 0, and its second level prefetches line
 * 1. Would catch: a prefetched line from memory while it is written elsewhere; one that still has an owner who writes it again
 * unasked; a prefetch that changes where the line that it follows comes from.
 */
static void a_shared_prefetch_asks_the_owner(void **state)
{
	static const char *const lines[] = {"l1 size=1KiB ways=2", "l2 size=4KiB ways=4 cores=2 prefetch=always",
	                                    "llc size=16KiB ways=4 cores=all", NULL};
	(void)state;
	struct machine_rig rig;
	machine_rig_settings(&rig, 4, lines);
	assert_true(machine_rig_make(&rig, "timed", NULL));
	rig_store(&rig, 3, 0, 0);
	rig_store(&rig, 2, 64, 100000);
	assert_int_equal(rig_load(&rig, 0, 0, 200000), 200000 + REMOTE);
	assert_int_equal(rig_counter(&rig, "transfers_dirty"), 2);
	assert_int_equal(given(&rig, 3), 1);
	assert_int_equal(given(&rig, 2), 1);
	uint64_t upgrades = rig_counter(&rig, "upgrades");
	rig_store(&rig, 2, 64, 300000);
	assert_int_equal(rig_counter(&rig, "upgrades"), upgrades + 1);
	assert_int_equal(rig_counter(&rig, "shared_invalidations"), 1);
	machine_rig_release(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(the_laws_hold_on_every_machine), cmocka_unit_test(the_laws_hold_after_a_flush),
	        cmocka_unit_test(the_laws_hold_where_they_are_hard), cmocka_unit_test(a_shared_prefetch_asks_the_owner)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
