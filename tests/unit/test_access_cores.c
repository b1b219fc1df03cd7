/* SPDX-License-Identifier: MIT
 *
 * test_access_cores.c - accesses of a trace on cores, in exact cycles worked out by hand on the ideal memory (L1 4, LLC 40,
 * another core's 100, memory 200 cycles).
 */
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

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_data_only),
	        cmocka_unit_test(test_code),
	        cmocka_unit_test(test_the_core_behind_goes_first),
	        cmocka_unit_test(test_batches_do_not_matter),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
