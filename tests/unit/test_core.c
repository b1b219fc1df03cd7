/* SPDX-License-Identifier: MIT
 *
 * test_core.c - exact cycles of cores, locks and the ideal memory, worked out by hand.
 */
#include "models/registry.h"
#include "models/settings.h"
#include "sim/core.h"
#include "tests/unit/test.h"

#define LINE_A 0xffff888000001000u
#define LINE_B 0xffff888000002000u
#define LOCK_WORD 0xffffffff82000000u

struct rig {
	struct settings settings;
	struct memory *memory;
	struct machine machine;
	struct steps steps;
};

/* L1 4, LLC 40, another core's 100, memory 200 cycles; a locked instruction 18 more. */
static void rig_init(struct rig *rig, unsigned cpus)
{
	settings_init(&rig->settings);
	rig->settings.machine.cache_line_bytes = 64;
	rig->settings.machine.l1_cycles = 4;
	rig->settings.machine.llc_cycles = 40;
	rig->settings.machine.remote_cycles = 100;
	rig->settings.machine.dram_cycles = 200;
	rig->settings.machine.atomic_cycles = 18;
	struct error error = {0};
	const struct memory_model *model = memory_model("ideal", &error);
	assert_non_null(model);
	rig->memory = model->create(&(struct memory_wiring){.settings = &rig->settings}, &error);
	assert_non_null(rig->memory);
	machine_init(&rig->machine, &(struct machine_wiring){.cpus = cpus,
	                                                     .line_bytes = 64,
	                                                     .core = {.instructions_per_cycle = 1, .misses_in_flight = 1},
	                                                     .memory = rig->memory});
	steps_init(&rig->steps, true);
}

static void rig_release(struct rig *rig)
{
	machine_check(&rig->machine);
	rig->memory->ops->check(rig->memory);
	steps_release(&rig->steps);
	machine_release(&rig->machine);
	memory_destroy(rig->memory);
	settings_release(&rig->settings);
}

static void push(struct rig *rig, unsigned cpu)
{
	core_push(&rig->machine, cpu, &(struct job_about){.kind = JOB_OBJECT_ALLOC}, &rig->steps);
	steps_clear(&rig->steps);
}

/* Would catch: a line counted once for each access, the second line of a crossing access forgotten, a lock's line forgotten. */
static void test_an_op_touches_lines_and_pages(void **state)
{
	(void)state;
	struct rig rig;
	rig_init(&rig, 1);
	step_read(&rig.steps, vaddr_of(LINE_A), 8);
	step_write(&rig.steps, vaddr_of(LINE_A + 60), 8);        /* the same line and the next */
	step_read(&rig.steps, vaddr_of(LINE_A + PAGE_SIZE), 64); /* another page */
	step_lock(&rig.steps, vaddr_of(LINE_A + 2 * PAGE_SIZE));
	step_spend(&rig.steps, 7); /* no memory */
	step_unlock(&rig.steps, vaddr_of(LINE_A + 2 * PAGE_SIZE));
	step_write(&rig.steps, vaddr_of(LINE_A + 3 * PAGE_SIZE), 5000); /* 79 lines, two pages */
	push(&rig, 0);
	machine_drain(&rig.machine);
	assert_int_equal(rig.machine.measured[JOB_LINES][JOB_OBJECT_ALLOC].max, 2 + 1 + 1 + 79);
	assert_int_equal(rig.machine.measured[JOB_PAGES][JOB_OBJECT_ALLOC].max, 1 + 1 + 1 + 2);
	step_read(&rig.steps, vaddr_of(LINE_A), 8); /* the next op begins anew */
	push(&rig, 0);
	machine_drain(&rig.machine);
	assert_int_equal(rig.machine.measured[JOB_LINES][JOB_OBJECT_ALLOC].min, 1);
	assert_int_equal(rig.machine.measured[JOB_LINES][JOB_OBJECT_ALLOC].count, 2);
	rig_release(&rig);
}

/*
 * Instructions that a load takes along cost what those of a step of their own do. Would catch: instructions lost or done behind
 * the access, a fetch without its instruction, rooms of a finished job that are mistaken for another's.
 */
static void test_instructions_before_an_access(void **state)
{
	(void)state;
	struct rig rig;
	uint64_t cycles[2];
	for (unsigned along = 0; along < 2; along++) {
		rig_init(&rig, 1);
		for (unsigned job = 0; job < 3; job++) {
			steps_reserve(&rig.steps, 8);
			if (!along)
				step_spend(&rig.steps, 5);
			steps_put(&rig.steps, STEP_READ, LINE_A, 8, along ? 5 : 0);
			if (!along)
				step_spend(&rig.steps, 7);
			steps_put(&rig.steps, STEP_WRITE, LINE_A + 64, 8, along ? 7 : 0);
			steps_put(&rig.steps, STEP_FETCH, LINE_B, 4, 0);
			push(&rig, 0);
			machine_drain(&rig.machine);
		}
		const struct core_counters sum = machine_counters(&rig.machine);
		cycles[along] = sum.busy_cycles;
		assert_int_equal(sum.cost.cycles[COST_COMPUTE], 3 * (5 + 7 + 1));
		rig_release(&rig);
	}
	assert_int_equal(cycles[0], cycles[1]);
	/* Three misses; then loads and stores of the first level, whose fetches take nothing. */
	assert_int_equal(cycles[0], 3 * 13 + 3 * 200 + 2 * 2 * 4);
}

/* Would catch: a level's latency counted twice, or a second access that still misses. */
static void test_an_access_costs_its_level(void **state)
{
	(void)state;
	struct rig rig;
	rig_init(&rig, 2);
	step_read(&rig.steps, vaddr_of(LINE_A), 8);      /* 200: nobody has it */
	step_read(&rig.steps, vaddr_of(LINE_A + 56), 8); /* 4: same line */
	step_read(&rig.steps, vaddr_of(LINE_A + 60), 8); /* 4 + 200: two lines */
	step_spend(&rig.steps, 7);
	push(&rig, 0);
	machine_drain(&rig.machine);
	assert_int_equal(rig.machine.measured[JOB_CYCLES][JOB_OBJECT_ALLOC].max, 200 + 4 + 4 + 200 + 7);
	/* Would catch: a run that ends before its last op does. */
	assert_int_equal(rig.machine.queue.now, 200 + 4 + 4 + 200 + 7);
	step_read(&rig.steps, vaddr_of(LINE_A), 8);  /* 40: core 0 holds it clean */
	step_write(&rig.steps, vaddr_of(LINE_A), 8); /* 4 */
	push(&rig, 1);
	machine_drain(&rig.machine);
	step_atomic(&rig.steps, vaddr_of(LINE_A), 8); /* 100 + 18: core 1 wrote it */
	push(&rig, 0);
	machine_drain(&rig.machine);
	struct core_counters sum = machine_counters(&rig.machine);
	assert_int_equal(sum.jobs, 3);
	assert_int_equal(sum.cost.cycles[COST_COMPUTE], 7 + 18);
	assert_int_equal(sum.cost.cycles[COST_L1], 4 + 4 + 4);
	assert_int_equal(sum.cost.cycles[COST_LLC], 40);
	assert_int_equal(sum.cost.cycles[COST_COHERENCE], 100);
	assert_int_equal(sum.cost.cycles[COST_DRAM], 400);
	assert_int_equal(sum.busy_cycles, 415 + 44 + 118);
	rig_release(&rig);
}

/* Would catch: a read that makes a line clean although its own core had written it. */
static void test_reading_ones_own_written_line_keeps_it_written(void **state)
{
	(void)state;
	struct rig rig;
	rig_init(&rig, 2);
	step_write(&rig.steps, vaddr_of(LINE_A), 8);
	step_read(&rig.steps, vaddr_of(LINE_A), 8);
	push(&rig, 0);
	machine_drain(&rig.machine);
	step_read(&rig.steps, vaddr_of(LINE_A), 8);
	push(&rig, 1);
	machine_drain(&rig.machine);
	assert_int_equal(rig.machine.cores[1].counters.busy_cycles, 100);
	rig_release(&rig);
}

static void critical_section(struct rig *rig, unsigned cpu)
{
	step_lock(&rig->steps, vaddr_of(LOCK_WORD));
	step_spend(&rig->steps, 1000);
	step_unlock(&rig->steps, vaddr_of(LOCK_WORD));
	push(rig, cpu);
}

/*
 * Three cores want one lock at cycle 0.
 *   core 0: lock word from memory 200+18 -> 218; holds to 1218; its store 1218+100 (core 2's attempt owned the line) = 1318
 *   core 1: at 0 the line is core 0's, written: 100+18 -> 118; sets the pending bit 4+18 -> 140 and waits; given the lock at
 *           1318: reads the word 100 -> 1418, writes it 4 -> 1422; holds to 2422; its store finds the line that core 2, which
 *           spins, has read: 40 -> 2462
 *   core 2: 100+18 -> 118, writes the tail 4+18 -> 140, waits; given the lock at 2462: reads 100 -> 2562, nobody behind it, so
 *           one compare-and-exchange 4+18 -> 2584; 3584; its store 4 -> 3588.
 * Would catch: waiters served out of order, a hand-over that costs nothing, a wait counted as busy twice.
 */
static void test_waiters_are_served_in_order(void **state)
{
	(void)state;
	struct rig rig;
	rig_init(&rig, 3);
	for (unsigned cpu = 0; cpu < 3; cpu++)
		critical_section(&rig, cpu);
	machine_drain(&rig.machine);
	assert_int_equal(rig.machine.cores[0].started, 1318);
	assert_int_equal(rig.machine.cores[1].started, 2462);
	assert_int_equal(rig.machine.cores[2].started, 3588);
	assert_int_equal(rig.machine.cores[0].counters.cost.cycles[COST_LOCK], 0);
	assert_int_equal(rig.machine.cores[1].counters.cost.cycles[COST_LOCK], 1318 - 140);
	assert_int_equal(rig.machine.cores[2].counters.cost.cycles[COST_LOCK], 2462 - 140);
	const struct lock *lock = lock_at(&rig.machine.locks, LOCK_WORD);
	assert_int_equal(lock->acquisitions, 3);
	assert_int_equal(lock->waits, 2);
	assert_int_equal(lock->wait_cycles, (1318 - 140) + (2462 - 140));
	rig_release(&rig);
}

/* Would catch: cores that run one after the other instead of at the same time. */
static void test_cores_overlap(void **state)
{
	(void)state;
	struct rig rig;
	rig_init(&rig, 2);
	for (unsigned cpu = 0; cpu < 2; cpu++) {
		step_spend(&rig.steps, 500);
		step_read(&rig.steps, vaddr_of(cpu ? LINE_B : LINE_A), 8);
		push(&rig, cpu);
	}
	machine_drain(&rig.machine);
	assert_int_equal(rig.machine.cores[0].started, 700);
	assert_int_equal(rig.machine.cores[1].started, 700);
	rig_release(&rig);
}

/* Would catch: a full queue that loses or reorders an op. */
static void test_a_full_queue_lets_time_pass(void **state)
{
	(void)state;
	struct rig rig;
	rig_init(&rig, 1);
	for (unsigned job = 0; job < 3 * CORE_JOBS; job++) {
		step_spend(&rig.steps, 10);
		push(&rig, 0);
	}
	machine_drain(&rig.machine);
	assert_int_equal(rig.machine.cores[0].counters.jobs, 3 * CORE_JOBS);
	assert_int_equal(rig.machine.cores[0].started, 3 * CORE_JOBS * 10);
	rig_release(&rig);
}

/*
 * Core 0 has the lock from 5000 on; an op that arrives for core 1 at 5500 has to wait, although core 0 has nothing else to wait
 * for and might run far ahead of the clock. Core 0: 5000 + 218 for the word, 1000 inside: until 6218, and its store takes 100
 * more, since core 1's attempt (100+18, and 4+18 for the pending bit) has taken the line: 6318. Would catch: a core that runs past the arrival of an op and frees a lock
 * "before" it was asked for.
 */
static void test_no_core_runs_past_an_arrival(void **state)
{
	(void)state;
	struct rig rig;
	rig_init(&rig, 2);
	step_spend(&rig.steps, 5000);
	critical_section(&rig, 0);
	machine_run_until(&rig.machine, 5500);
	critical_section(&rig, 1);
	machine_drain(&rig.machine);
	assert_int_equal(rig.machine.cores[0].started, 6318);
	assert_int_equal(rig.machine.cores[1].counters.cost.cycles[COST_LOCK], 6318 - (5500 + 140));
	rig_release(&rig);
}

/* Would catch: an op without steps that never leaves the queue. */
static void test_an_op_without_steps_costs_nothing(void **state)
{
	(void)state;
	struct rig rig;
	rig_init(&rig, 1);
	push(&rig, 0);
	machine_drain(&rig.machine);
	assert_int_equal(rig.machine.measured[JOB_CYCLES][JOB_OBJECT_ALLOC].count, 1);
	assert_int_equal(rig.machine.measured[JOB_CYCLES][JOB_OBJECT_ALLOC].sum, 0);
	rig_release(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_an_op_touches_lines_and_pages),
	        cmocka_unit_test(test_instructions_before_an_access),
	        cmocka_unit_test(test_an_access_costs_its_level),
	        cmocka_unit_test(test_reading_ones_own_written_line_keeps_it_written),
	        cmocka_unit_test(test_waiters_are_served_in_order),
	        cmocka_unit_test(test_cores_overlap),
	        cmocka_unit_test(test_a_full_queue_lets_time_pass),
	        cmocka_unit_test(test_no_core_runs_past_an_arrival),
	        cmocka_unit_test(test_an_op_without_steps_costs_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
