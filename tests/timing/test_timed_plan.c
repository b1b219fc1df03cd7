/* SPDX-License-Identifier: MIT
 *
 * test_timed_plan.c - requests that are planned take the cycles, and count, what they do one by one: on random machines, and on a
 * recorded program with its page faults and walks.
 */
#include "tests/timing/random_machines.h"

#include "sim/io/access_format.h"
#include "tests/unit/mmu_rig.h"

#define MACHINES 200
#define REQUESTS 2000

/* Lines of a machine with two or three levels, small enough for everything to be evicted; most of them may be planned. */
static void make_lines(struct rng *rng, char lines[4][LINE_TEXT], const char *pointers[5])
{
	static const char *const policies[] = {"lru", "lru", "tree_plru", "fifo", "random"};
	static const char *const waits[] = {"", " ports=1", " slots=1", " slots=3 ports=2"};
	static const char *const last[] = {"", "", "", " inclusion=inclusive", " slices=2 busy=5"};
	unsigned count = 0, joint = rng_below(rng, 2);
	for (unsigned side = joint; side < 2; side++) {
		snprintf(lines[count], LINE_TEXT, "l1%c size=%uB ways=2 serves=%s replacement=%s%s", side ? 'd' : 'i',
		         128u << rng_below(rng, 3), side ? "data" : "code", pick(rng, policies, 5), pick(rng, waits, 4));
		pointers[count] = lines[count];
		count++;
	}
	if (rng_below(rng, 2)) {
		snprintf(lines[count], LINE_TEXT, "l2 size=1KiB ways=4 replacement=%s%s", pick(rng, policies, 5),
		         pick(rng, waits, 4));
		pointers[count] = lines[count];
		count++;
	}
	snprintf(lines[count], LINE_TEXT, "llc size=4KiB ways=%u replacement=%s%s", 4u << rng_below(rng, 3),
	         pick(rng, policies, 5), pick(rng, last, 5));
	pointers[count] = lines[count];
	count++;
	pointers[count] = NULL;
}

/* Near the last access, or anywhere in four times the caches; bytes, words over two lines, whole lines, three lines. */
static struct access make_request(struct rng *rng, uint64_t *address)
{
	static const uint8_t kinds[] = {ACCESS_LOAD, ACCESS_LOAD, ACCESS_STORE, ACCESS_STORE, ACCESS_CODE, ACCESS_MODIFY};
	static const uint32_t sizes[] = {1, 8, 8, 64, 130};
	*address = rng_below(rng, 4) ? *address + rng_below(rng, 40) : rng_below(rng, 1u << 14);
	return (struct access){.address = rng_below(rng, 3) ? *address : *address & ~(uint64_t)63,
	                       .bytes = sizes[rng_below(rng, 5)],
	                       .kind = kinds[rng_below(rng, 5 + (rng_below(rng, 20) == 0))]};
}

static cycle make(struct machine_rig *rig, const struct access *access, cycle now)
{
	const struct memory_request request = {
	        .address = access->address, .bytes = access->bytes, .kind = access->kind, .now = now};
	return memory_access(rig->memory, &request, &rig->cost);
}

/* Makes requests with plans in one machine and without in another. Each begins when the one before it is done, or sooner. */
static cycle make_both(struct machine_rig *planned, struct machine_rig *single, const struct access *accesses, size_t count,
                       struct rng *rng, cycle now, const char *what)
{
	size_t known = 0;
	for (size_t i = 0; i < count; i++) {
		if (i >= known)
			known = i + memory_plan(planned->memory, accesses + i, count - i);
		cycle done = make(planned, &accesses[i], now), expected = make(single, &accesses[i], now);
		if (done != expected || memcmp(&planned->cost, &single->cost, sizeof planned->cost) != 0)
			fail_msg("%s: request %zu is done at %llu with a plan, at %llu without", what, i,
			         (unsigned long long)done, (unsigned long long)expected);
		now = rng_below(rng, 3) ? done : now + rng_below(rng, 20);
	}
	return now;
}

/* Would catch: a line looked up twice or in another order, a victim's time told as its fetch's, a filter that outlives a plan, a
 * hit of no cycles counted twice. */
static void random_machines_take_the_same_cycles(void **state)
{
	(void)state;
	struct rng rng;
	rng_init(&rng, 1, "plan");
	unsigned made = 0, plans = 0;
	for (unsigned machine = 0; machine < MACHINES; machine++) {
		char lines[4][LINE_TEXT], what[5 * LINE_TEXT];
		const char *pointers[5];
		static struct access accesses[REQUESTS];
		make_lines(&rng, lines, pointers);
		struct machine_rig planned, single;
		machine_rig_settings(&planned, 1, pointers);
		machine_rig_settings(&single, 1, pointers);
		planned.settings.machine.cache_rule = single.settings.machine.cache_rule =
		        rng_below(&rng, 2) ? CACHE_RULE_DEMAND : CACHE_RULE_WRITEBACK;
		planned.settings.machine.l1_cycles = single.settings.machine.l1_cycles = rng_below(&rng, 4) ? L1 : 0;
		snprintf(what, sizeof what, "machine %u: %s; %s; %s; %s", machine, lines[0], lines[1],
		         pointers[2] ? lines[2] : "", pointers[2] && pointers[3] ? lines[3] : "");
		if (machine_rig_make(&planned, "timed", NULL)) {
			assert_true(machine_rig_make(&single, "timed", NULL));
			uint64_t address = 0;
			for (unsigned i = 0; i < REQUESTS; i++)
				accesses[i] = make_request(&rng, &address);
			make_both(&planned, &single, accesses, REQUESTS, &rng, 0, what);
			compare_counters(&planned, "with a plan", &single, "without", what);
			size_t told = memory_plan(planned.memory, accesses, REQUESTS);
			for (size_t i = 0; i < told; i++)
				make(&planned, &accesses[i], 0);
			plans += told > 0;
			made++;
			machine_rig_release(&single);
		} else {
			settings_release(&single.settings);
		}
		machine_rig_release(&planned);
	}
	assert_true(made > MACHINES / 2 && plans > MACHINES / 4);
}

struct program {
	struct rig rig;
	struct machine_rig machine;
	uint64_t faults;
};

/* A page gets the next frame when it is first touched; each thirtieth gets none, so that its accesses are refused. */
static bool first_touch(void *context, uint64_t linear, enum walk_outcome outcome, unsigned error_code)
{
	(void)outcome;
	(void)error_code;
	struct program *program = context;
	uint64_t page = linear & ~(uint64_t)(PAGE_SIZE - 1);
	if (++program->faults % 30 == 0)
		return false;
	return page_tables_map(&program->rig.tables, page,
	                       WORD_PRESENT | WORD_WRITE | WORD_EXECUTE | WORD_USER | rig_take(&program->rig), PAGE_4K) == MAP_OK;
}

static void make_program(struct program *program, const char *last)
{
	const char *const caches[] = {"l1i size=32KiB ways=8 serves=code", "l1d size=32KiB ways=8 serves=data slots=4",
	                              "l2 size=256KiB ways=4", last, NULL};
	static const char *const tlbs[] = {"itlb entries=16 ways=4 serves=code", "dtlb entries=16 ways=4 serves=data",
	                                   "stlb level=2 entries=64 ways=4 latency=9", NULL};
	rig_begin(&program->rig, translation_model("x86_4level", NULL)->ops, 1 << 20);
	program->rig.mmu.fault = first_touch;
	program->rig.mmu.context = program;
	rig_structure_cache(&program->rig, 1, 4);
	rig_tlbs(&program->rig, tlbs, false, true);
	machine_rig_settings(&program->machine, 1, caches);
	assert_true(machine_rig_make(&program->machine, "timed", &program->rig.mmu));
}

/* Would catch: lookups of further TLBs that are not paid for, a walk told of the wrong access, an access refused that moves on.
 */
static void a_recorded_program_takes_the_same_cycles(void **state)
{
	(void)state;
	static const char *const lasts[] = {"llc size=1MiB ways=16", "llc size=1MiB ways=16 inclusion=inclusive"};
	static struct access batch[ACCESS_BATCH];
	static struct program planned, single;
	for (unsigned i = 0; i < 2; i++) {
		struct error error = {0};
		struct rng rng;
		rng_init(&rng, i, "plan");
		planned.faults = single.faults = 0;
		make_program(&planned, lasts[i]);
		make_program(&single, lasts[i]);
		struct access_source *source = access_source_open("tests/data/access/mix.lackey.xz", NULL, &error);
		if (!source)
			fail_msg("%s", error.text);
		size_t count;
		cycle now = 0;
		while (access_source_read(source, batch, ACCESS_BATCH, &count, &error) && count > 0)
			now = make_both(&planned.machine, &single.machine, batch, count, &rng, now, lasts[i]);
		access_source_close(source);
		assert_true(planned.faults > 30 && planned.faults == single.faults);
		compare_counters(&planned.machine, "with a plan", &single.machine, "without", lasts[i]);
		assert_memory_equal(&planned.rig.mmu.counters, &single.rig.mmu.counters, sizeof single.rig.mmu.counters);
		assert_memory_equal(planned.rig.mmu.level_counters, single.rig.mmu.level_counters,
		                    sizeof single.rig.mmu.level_counters);
		machine_rig_release(&planned.machine);
		machine_rig_release(&single.machine);
		rig_end(&planned.rig);
		rig_end(&single.rig);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(random_machines_take_the_same_cycles),
	        cmocka_unit_test(a_recorded_program_takes_the_same_cycles),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
