/* SPDX-License-Identifier: MIT
 *
 * test_access_cores.c - accesses of a trace on cores, in exact cycles worked out by hand on the ideal memory (L1 4, LLC 40,
 * another core's 100, memory 200 cycles).
 */
#include "models/access_workload.h"
#include "models/registry.h"
#include "models/settings.h"
#include "sim/access_cores.h"
#include "tests/unit/test.h"

#define LINE(n) (0x100000u + 64u * (n))

struct rig {
	struct settings settings;
	struct memory *memory;
	struct machine machine;
	struct access_cores cores;
};

static void rig_init(struct rig *rig, unsigned cpus, struct core_config config)
{
	settings_init(&rig->settings);
	rig->settings.machine.cache_line_bytes = 64;
	rig->settings.machine.l1_cycles = 4;
	rig->settings.machine.llc_cycles = 40;
	rig->settings.machine.remote_cycles = 100;
	rig->settings.machine.dram_cycles = 200;
	rig->settings.machine.atomic_cycles = 20;
	struct error error = {0};
	rig->memory = memory_model("ideal", &error)->create(&(struct memory_wiring){.settings = &rig->settings}, &error);
	assert_non_null(rig->memory);
	machine_init(&rig->machine,
	             &(struct machine_wiring){.cpus = cpus, .line_bytes = 64, .core = config, .memory = rig->memory});
	access_cores_init(&rig->cores, &rig->machine, 3, NULL);
}

static void rig_release(struct rig *rig)
{
	machine_check(&rig->machine);
	assert_int_equal(rig->cores.waiting, 0);
	access_cores_release(&rig->cores);
	machine_release(&rig->machine);
	memory_destroy(rig->memory);
	settings_release(&rig->settings);
}

static struct access at(enum access_kind kind, uint64_t address, unsigned cpu)
{
	return (struct access){.address = address, .bytes = 4, .kind = (uint8_t)kind, .cpu = (uint16_t)cpu};
}

static const struct core_config blocking = {.instructions_per_cycle = 1, .misses_in_flight = 1};

/*
 * Data only: three instructions for each access, then the access. Load 3 + 200, load 3 + 4, store to a new line 3 + 200,
 * load-store of the first 3 + 4 + 4. Would catch: instructions forgotten or counted for each line, a load-store that costs once.
 */
static void test_data_only(void **state)
{
	(void)state;
	struct rig rig;
	rig_init(&rig, 1, blocking);
	const struct access trace[] = {at(ACCESS_LOAD, LINE(0), 0), at(ACCESS_LOAD, LINE(0) + 8, 0), at(ACCESS_STORE, LINE(1), 0),
	                               at(ACCESS_MODIFY, LINE(0), 0)};
	access_cores_run(&rig.cores, trace, 4);
	access_cores_finish(&rig.cores);
	assert_int_equal(access_cores_now(&rig.cores), 203 + 7 + 203 + 11);
	assert_int_equal(rig.machine.cores[0].counters.cost.cycles[COST_COMPUTE], 12);
	rig_release(&rig);
}

/*
 * With code each fetch is one instruction: 1 + 200 for a new line, 1 for the next in the same line, and data adds no more
 * instructions: 200. Would catch: a fetch that hits and is waited for, instructions counted twice.
 */
static void test_code(void **state)
{
	(void)state;
	struct rig rig;
	rig_init(&rig, 1, blocking);
	const struct access trace[] = {at(ACCESS_CODE, LINE(9), 0), at(ACCESS_CODE, LINE(9) + 4, 0), at(ACCESS_LOAD, LINE(0), 0)};
	access_cores_run(&rig.cores, trace, 3);
	access_cores_finish(&rig.cores);
	assert_int_equal(access_cores_now(&rig.cores), 201 + 1 + 200);
	rig_release(&rig);
}

/*
 * Core 0 makes ten loads that miss, 203 each, and then reads line 99; core 1's one load, of line 99, comes last in the trace but
 * first in time: memory at 203; core 0 finds it with core 1, 40. Would catch: accesses made in the order of the trace.
 */
static void test_the_core_behind_goes_first(void **state)
{
	(void)state;
	struct rig rig;
	rig_init(&rig, 2, blocking);
	struct access trace[12];
	for (unsigned n = 0; n < 10; n++)
		trace[n] = at(ACCESS_LOAD, LINE(n), 0);
	trace[10] = at(ACCESS_LOAD, LINE(99), 0);
	trace[11] = at(ACCESS_LOAD, LINE(99), 1);
	access_cores_run(&rig.cores, trace, 12);
	access_cores_finish(&rig.cores);
	assert_int_equal(rig.machine.cores[0].started, 10 * 203 + 43);
	assert_int_equal(rig.machine.cores[1].started, 203);
	rig_release(&rig);
}

/* Batches cut anywhere give the same cycles. Would catch: state that lives in one batch only. */
static void test_batches_do_not_matter(void **state)
{
	(void)state;
	enum { COUNT = 3000 };
	cycle whole[3];
	for (unsigned cut = 0; cut < 4; cut++) {
		struct rig rig;
		uint64_t seed = 12345;
		rig_init(&rig, 3, (struct core_config){.instructions_per_cycle = 2, .misses_in_flight = 4, .store_buffer = 5});
		struct access trace[COUNT];
		for (unsigned i = 0; i < COUNT; i++) {
			seed = seed * 6364136223846793005u + 1442695040888963407u;
			trace[i] = at(seed >> 60 & 1 ? ACCESS_STORE : ACCESS_LOAD, LINE(seed >> 33 & 255),
			              (unsigned)(seed >> 50) % 3);
		}
		static const unsigned pieces[] = {COUNT, 1, 7, 1000};
		for (unsigned i = 0; i < COUNT; i += pieces[cut])
			access_cores_run(&rig.cores, trace + i, COUNT - i < pieces[cut] ? COUNT - i : pieces[cut]);
		access_cores_finish(&rig.cores);
		for (unsigned cpu = 0; cpu < 3; cpu++) {
			if (cut == 0)
				whole[cpu] = rig.machine.cores[cpu].started;
			assert_int_equal(rig.machine.cores[cpu].started, whole[cpu]);
		}
		rig_release(&rig);
	}
}

/* Runs a lock_sharing workload, read in batches of so many accesses. */
static void run_lock(struct rig *rig, const char *line, unsigned cpus, size_t batch)
{
	struct error error = {0};
	struct access accesses[1000];
	struct access_source *source = access_workload_open(line, cpus, 1, &error);
	size_t count;
	rig_init(rig, cpus, blocking);
	assert_non_null(source);
	while (access_source_read(source, accesses, batch, &count, &error) && count > 0)
		access_cores_run(&rig->cores, accesses, count);
	access_cores_finish(&rig->cores);
	access_source_close(source);
}

/*
 * Core 0 has the lock at 3 + 200 + 20, and changes what it protects until 223 + 3 + 200 + 4 = 430. Core 1 finds it taken at 3 +
 * 100 + 20, says that it waits 4 + 20 later, at 147. Core 0's unlock takes the line back: 433 + 100. Core 1 sees it at 633, has
 * the lock at 637, the data at 637 + 3 + 100 + 4, and is done at 744 + 3 + 4. Would catch: a core that goes on without the lock,
 * at the cycle it began to wait, or without taking the line; waits that are nobody's busy cycles (machine_check).
 */
static void test_two_cores_and_a_lock(void **state)
{
	(void)state;
	struct rig rig;
	run_lock(&rig, "lock_sharing neighbours=0 count=6", 2, 1000);
	const struct lock *lock = rig.machine.locks.in_order[0];
	assert_int_equal(rig.machine.cores[0].started, 533);
	assert_int_equal(rig.machine.cores[1].started, 751);
	assert_int_equal(lock->acquisitions, 2);
	assert_int_equal(lock->hand_overs, 1);
	assert_int_equal(lock->wait_cycles, 533 - 147);
	assert_int_equal(lock->take_cycles, 220 + 634);
	rig_release(&rig);
}

/*
 * A turn of a core that has all lines: 3 + 4 + 20, 3 + 4 + 4, 3 + 4, together 45; the first two lines come from memory, 196 more
 * each. With the neighbour's word on the next line that is all. On the lock's line, the line is the neighbour's again before each
 * acquisition but the first: each transfer to a core takes 96 more than its own line, and nothing else does. Would catch: words
 * on the wrong line, a neighbour that waits for the lock, one that is done too soon, cycles of a transfer that are lost.
 */
static void test_a_neighbour_of_the_lock_word(void **state)
{
	(void)state;
	enum { TURNS = 50, ALONE = 45 * TURNS + 2 * 196, TAKE = 24 * TURNS + 196, USES = 64 };
	struct rig rig;
	run_lock(&rig, "lock_sharing neighbours=0 count=150", 1, 1000);
	assert_int_equal(rig.machine.cores[0].started, ALONE);
	assert_int_equal(rig.machine.locks.in_order[0]->take_cycles, TAKE);
	rig_release(&rig);

	run_lock(&rig, "lock_sharing layout=padded uses=64 count=3350", 2, 1000);
	assert_int_equal(rig.machine.locks.in_order[0]->acquisitions, TURNS);
	assert_int_equal(rig.machine.cores[0].started, ALONE);
	assert_int_equal(rig.machine.cores[1].started, 11 * USES * TURNS + 196);
	rig_release(&rig);

	run_lock(&rig, "lock_sharing layout=shared uses=64 count=3350", 2, 1000);
	uint64_t to_taker = rig.machine.cores[0].counters.cost.cycles[COST_COHERENCE] / 100;
	uint64_t to_neighbour = rig.machine.cores[1].counters.cost.cycles[COST_COHERENCE] / 100;
	assert_int_equal(rig.machine.cores[0].started, ALONE + 96 * to_taker);
	assert_int_equal(rig.machine.cores[1].started, 11 * USES * TURNS + 96 * to_neighbour);
	assert_true(rig.machine.cores[1].started > rig.machine.cores[0].started);
	assert_true(to_taker >= TURNS - 1 && to_neighbour >= to_taker);
	assert_true(rig.machine.locks.in_order[0]->take_cycles >= TAKE + 96 * (TURNS - 1));
	rig_release(&rig);
}

/* Would catch: a hand-over that depends on what has been read by then. */
static void test_batches_do_not_matter_to_locks(void **state)
{
	(void)state;
	static const size_t batches[] = {1000, 1, 7};
	cycle whole[4];
	for (unsigned i = 0; i < 3; i++) {
		struct rig rig;
		run_lock(&rig, "lock_sharing count=3000", 4, batches[i]);
		for (unsigned cpu = 0; cpu < 4; cpu++) {
			if (i == 0)
				whole[cpu] = rig.machine.cores[cpu].started;
			assert_int_equal(rig.machine.cores[cpu].started, whole[cpu]);
		}
		assert_int_equal(rig.machine.locks.in_order[0]->acquisitions, 120 * 3);
		rig_release(&rig);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_data_only),
	        cmocka_unit_test(test_code),
	        cmocka_unit_test(test_the_core_behind_goes_first),
	        cmocka_unit_test(test_batches_do_not_matter),
	        cmocka_unit_test(test_two_cores_and_a_lock),
	        cmocka_unit_test(test_a_neighbour_of_the_lock_word),
	        cmocka_unit_test(test_batches_do_not_matter_to_locks),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
