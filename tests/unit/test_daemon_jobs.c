/* SPDX-License-Identifier: MIT
 *
 * test_daemon_jobs.c - steps of daemons among those of an op, and who pays for them; cycles worked out by hand.
 */
#include "models/registry.h"
#include "models/settings.h"
#include "sim/daemon_jobs.h"
#include "tests/unit/test.h"

#define SWITCH 1000u

struct rig {
	struct settings settings;
	struct memory *memory;
	struct machine machine;
	struct steps steps;
};

static void rig_init(struct rig *rig)
{
	struct error error = {0};
	settings_init(&rig->settings);
	rig->memory = memory_model("ideal", &error)->create(&(struct memory_wiring){.settings = &rig->settings}, &error);
	machine_init(&rig->machine,
	             &(struct machine_wiring){
	                     .cpus = 4,
	                     .line_bytes = 64,
	                     .core = {.instructions_per_cycle = 1, .misses_in_flight = 1, .context_switch_cycles = SWITCH},
	                     .memory = rig->memory});
	steps_init(&rig->steps, true);
}

static void rig_release(struct rig *rig)
{
	machine_drain(&rig->machine);
	machine_check(&rig->machine);
	steps_release(&rig->steps);
	machine_release(&rig->machine);
	memory_destroy(rig->memory);
	settings_release(&rig->settings);
}

/* An op of 100 + 10 instructions; kswapd works for 500 before it, kcompactd for 70 in its midst. */
static void decide(struct steps *steps)
{
	steps_daemon_begin(steps, DAEMON_KSWAPD);
	step_spend(steps, 500);
	step_path(steps, PATH_PAGES);
	steps_daemon_end(steps);
	step_path(steps, PATH_LISTS);
	step_spend(steps, 100);
	steps_daemon_begin(steps, DAEMON_KCOMPACTD);
	step_spend(steps, 70);
	steps_daemon_end(steps);
	step_spend(steps, 10);
}

static void push(struct rig *rig, uint32_t kswapd_cpu, uint32_t kcompactd_cpu)
{
	const struct daemon_cpus daemons = {{[DAEMON_KSWAPD] = kswapd_cpu, [DAEMON_KCOMPACTD] = kcompactd_cpu}};
	decide(&rig->steps);
	push_with_daemons(&rig->machine, &daemons, 0, &(struct job_about){.kind = JOB_PAGE_ALLOC, .call_site = NO_CALL_SITE},
	                  &rig->steps);
	assert_int_equal(rig->steps.count + rig->steps.daemons_count, 0);
	machine_drain(&rig->machine);
}

/* Would catch: a daemon's path told of the op, a part that loses or keeps a step of its neighbour, an empty part that is kept. */
static void test_parts_come_apart(void **state)
{
	(void)state;
	struct steps steps;
	steps_init(&steps, true);
	decide(&steps);
	steps_daemon_begin(&steps, DAEMON_KSWAPD);
	steps_daemon_end(&steps);
	assert_int_equal(steps.path, PATH_LISTS);
	assert_int_equal(steps.daemons_count, 2);
	const struct steps kswapd = steps_of_daemon(&steps, &steps.daemons[0]);
	const struct steps kcompactd = steps_of_daemon(&steps, &steps.daemons[1]);
	assert_int_equal(steps.daemons[1].daemon, DAEMON_KCOMPACTD);
	assert_int_equal(kswapd.count, 1);
	assert_int_equal(kswapd.at[0].bytes, 500);
	assert_int_equal(kswapd.path, PATH_PAGES);
	assert_int_equal(kcompactd.count, 1);
	assert_int_equal(kcompactd.at[0].bytes, 70);
	assert_int_equal(kcompactd.path, PATH_FAST);
	steps_drop_daemons(&steps);
	assert_int_equal(steps.count, 2);
	assert_int_equal(steps.at[0].bytes, 100);
	assert_int_equal(steps.at[1].bytes, 10);
	steps_release(&steps);
}

/*
 * On cores of their own: core 0 pays 110, core 2 a switch and 500, core 3 a switch and 70. Would catch: an op that still pays, a
 * daemon on the wrong core, one that is no daemon to its core and so costs no switch.
 */
static void test_daemons_run_where_they_are_told(void **state)
{
	(void)state;
	struct rig rig;
	rig_init(&rig);
	push(&rig, 2, 3);
	assert_int_equal(rig.machine.cores[0].counters.busy_cycles, 110);
	assert_int_equal(rig.machine.cores[1].counters.jobs, 0);
	assert_int_equal(rig.machine.cores[2].counters.busy_cycles, SWITCH + 500);
	assert_int_equal(rig.machine.cores[3].counters.busy_cycles, SWITCH + 70);
	assert_int_equal(rig.machine.measured[JOB_CYCLES][JOB_DAEMON].count, 2);
	assert_int_equal(rig.machine.measured[JOB_CYCLES][JOB_PAGE_ALLOC].max, 110);
	assert_int_equal(op_costs_of(&rig.machine.op_costs, 0, JOB_PAGE_ALLOC, PATH_LISTS)->cycles.count, 1);
	assert_int_equal(op_costs_of(&rig.machine.op_costs, 0, JOB_DAEMON, PATH_PAGES)->cycles.sum, SWITCH + 500);
	rig_release(&rig);
}

/*
 * On the op's own core, in the order of the decisions: to kswapd, 1500; to the op, 1000 + 110; to kcompactd, 1000 + 70. Would
 * catch: daemons that run after an op that they ran before, an op cut in two by a daemon.
 */
static void test_auto_is_the_ops_own_core(void **state)
{
	(void)state;
	struct rig rig;
	rig_init(&rig);
	push(&rig, DAEMON_CPU_AUTO, DAEMON_CPU_AUTO);
	assert_int_equal(rig.machine.cores[0].counters.jobs, 3);
	assert_int_equal(rig.machine.cores[0].counters.context_switches, 3);
	assert_int_equal(rig.machine.cores[0].started, SWITCH + 500 + SWITCH + 110 + SWITCH + 70);
	assert_int_equal(rig.machine.measured[JOB_CYCLES][JOB_PAGE_ALLOC].max, SWITCH + 110);
	rig_release(&rig);
}

/* Would catch: a job for a daemon that had nothing to do, an op without steps that no core counts. */
static void test_who_has_nothing_to_do(void **state)
{
	(void)state;
	struct rig rig;
	rig_init(&rig);
	const struct daemon_cpus daemons = {{1, 1}};
	push_with_daemons(&rig.machine, &daemons, 0, &(struct job_about){.kind = JOB_DAEMON, .call_site = NO_CALL_SITE},
	                  &rig.steps);
	steps_daemon_begin(&rig.steps, DAEMON_KSWAPD);
	step_spend(&rig.steps, 5);
	steps_daemon_end(&rig.steps);
	push_with_daemons(&rig.machine, &daemons, 0, &(struct job_about){.kind = JOB_DAEMON, .call_site = NO_CALL_SITE},
	                  &rig.steps);
	push_with_daemons(&rig.machine, &daemons, 3, &(struct job_about){.kind = JOB_PAGE_FREE, .call_site = NO_CALL_SITE},
	                  &rig.steps);
	machine_drain(&rig.machine);
	assert_int_equal(rig.machine.cores[0].counters.jobs, 0);
	assert_int_equal(rig.machine.cores[1].counters.jobs, 1);
	assert_int_equal(rig.machine.cores[3].counters.jobs, 1);
	rig_release(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_parts_come_apart),
	        cmocka_unit_test(test_daemons_run_where_they_are_told),
	        cmocka_unit_test(test_auto_is_the_ops_own_core),
	        cmocka_unit_test(test_who_has_nothing_to_do),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
