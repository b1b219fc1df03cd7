/* SPDX-License-Identifier: MIT
 *
 * test_core_flow.c - what a core goes on past and what it waits for, in exact cycles worked out by hand on the ideal memory:
 * loads in flight, the store buffer, compare-and-exchange, queued locks, interrupts.
 */
#include "models/registry.h"
#include "models/settings.h"
#include "sim/core.h"
#include "tests/unit/test.h"

#define LINE(n) (0xffff888000001000u + 64u * (n))
#define LOCK_WORD 0xffffffff82000000u

struct rig {
	struct settings settings;
	struct memory *memory;
	struct machine machine;
	struct steps steps;
};

/* L1 4, LLC 40, another core's 100, memory 200 cycles; a locked instruction 18 more, an update 16. */
static void rig_init(struct rig *rig, unsigned cpus, struct core_config config)
{
	settings_init(&rig->settings);
	rig->settings.machine.cache_line_bytes = 64;
	rig->settings.machine.l1_cycles = 4;
	rig->settings.machine.llc_cycles = 40;
	rig->settings.machine.remote_cycles = 100;
	rig->settings.machine.dram_cycles = 200;
	rig->settings.machine.atomic_cycles = 18;
	config.cmpxchg_cycles = 16;
	config.pushf_cycles = 2;
	config.cli_cycles = 5;
	config.sti_cycles = 9;
	config.exception_cycles = 30;
	struct error error = {0};
	rig->memory = memory_model("ideal", &error)->create(&(struct memory_wiring){.settings = &rig->settings}, &error);
	assert_non_null(rig->memory);
	machine_init(&rig->machine,
	             &(struct machine_wiring){.cpus = cpus, .line_bytes = 64, .core = config, .memory = rig->memory});
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

static void push_kind(struct rig *rig, unsigned cpu, enum job_kind kind)
{
	core_push(&rig->machine, cpu, &(struct job_about){.kind = kind, .call_site = NO_CALL_SITE}, &rig->steps);
	steps_clear(&rig->steps);
}

static void push(struct rig *rig, unsigned cpu)
{
	push_kind(rig, cpu, JOB_OBJECT_ALLOC);
}

/* Runs the steps written down as one op of core 0; how long it took. */
static cycle took(struct rig *rig)
{
	cycle before = rig->machine.cores[0].counters.busy_cycles;
	push(rig, 0);
	machine_drain(&rig->machine);
	return rig->machine.cores[0].counters.busy_cycles - before;
}

static uint64_t part(const struct rig *rig, unsigned cpu, enum cost_part which)
{
	return rig->machine.cores[cpu].counters.cost.cycles[which];
}

/*
 * Three loads that miss, ten instructions before each. One in flight: 3 * 210. Two: they begin at 10 and 20, the third when the
 * first is there, at 210, until 410. Three: 10, 20, 30, the last until 230.
 * Would catch: loads that wait for each other although they are independent, a limit that is off by one, an op that ends before
 * its loads do, waiting that is counted twice.
 */
static void test_loads_in_flight(void **state)
{
	(void)state;
	static const cycle expected[] = {[1] = 630, [2] = 410, [3] = 230, [4] = 230};
	for (uint32_t in_flight = 1; in_flight <= 4; in_flight++) {
		struct rig rig;
		rig_init(&rig, 1, (struct core_config){.instructions_per_cycle = 1, .misses_in_flight = in_flight});
		for (unsigned n = 0; n < 3; n++) {
			step_spend(&rig.steps, 10);
			step_read(&rig.steps, vaddr_of(LINE(n)), 8);
		}
		assert_int_equal(took(&rig), expected[in_flight]);
		assert_int_equal(part(&rig, 0, COST_COMPUTE), 30);
		assert_int_equal(part(&rig, 0, COST_DRAM), expected[in_flight] - 30);
		rig_release(&rig);
	}
}

/*
 * A list of three: each address comes out of the load before. 3 * 200 when cold, 3 * 4 in the first level; the two independent
 * loads beside them cost nothing more. Would catch: a use that waits for the last load only when it missed, or for none.
 */
static void test_a_chase_waits(void **state)
{
	(void)state;
	struct rig rig;
	rig_init(&rig, 1, (struct core_config){.instructions_per_cycle = 1, .misses_in_flight = 10});
	for (unsigned round = 0; round < 2; round++) {
		for (unsigned n = 0; n < 3; n++) {
			step_use(&rig.steps);
			step_read(&rig.steps, vaddr_of(LINE(n)), 8);
			step_read(&rig.steps, vaddr_of(LINE(10 + n)), 8);
		}
		assert_int_equal(took(&rig), round ? 12 : 600);
	}
	rig_release(&rig);
}

/*
 * Two lines that are here, 4 cycles each, and in the same cycle one of them once more: the op ends with the first of the loads.
 * Would catch: a load that takes the place of one that is done later, where that has the place of a miss that is over.
 */
static void test_the_latest_load_is_waited_for(void **state)
{
	(void)state;
	struct rig rig;
	rig_init(&rig, 1, (struct core_config){.instructions_per_cycle = 4, .misses_in_flight = 10});
	step_read(&rig.steps, vaddr_of(LINE(0)), 128);
	assert_int_equal(took(&rig), 400);
	step_read(&rig.steps, vaddr_of(LINE(0)), 128);
	step_read(&rig.steps, vaddr_of(LINE(0)), 8);
	assert_int_equal(took(&rig), 8);
	rig_release(&rig);
}

/* Of some instructions a cycle, one short of two cycles' take one cycle and leave the rest, which the next one fills. Would
 * catch: each step rounded, three a cycle taken for two or four. */
static void test_instructions_fill_cycles(void **state)
{
	(void)state;
	static const uint32_t per_cycle[] = {1, 3, 4, 6};
	for (unsigned i = 0; i < 4; i++) {
		struct rig rig;
		rig_init(&rig, 1, (struct core_config){.instructions_per_cycle = per_cycle[i], .misses_in_flight = 1});
		step_spend(&rig.steps, 2 * per_cycle[i] - 1);
		assert_int_equal(took(&rig), 1);
		step_spend(&rig.steps, 1);
		assert_int_equal(took(&rig), 1);
		step_spend(&rig.steps, 1000 * per_cycle[i]);
		assert_int_equal(took(&rig), 1000);
		rig_release(&rig);
	}
}

/*
 * PUSHF 2, CLI 5, STI 9, an exception 30; with a lock its access from memory, its prefix and its store too. Would catch: one of
 * them for another.
 */
static void test_interrupts_are_switched(void **state)
{
	(void)state;
	struct rig rig;
	rig_init(&rig, 1, (struct core_config){.instructions_per_cycle = 1, .misses_in_flight = 1});
	step_irqs(&rig.steps, IRQS_SAVE);
	step_irqs(&rig.steps, IRQS_ENABLE);
	assert_int_equal(took(&rig), 2 + 5 + 9);
	step_irqs(&rig.steps, IRQS_DISABLE);
	step_irqs(&rig.steps, IRQS_ENABLE);
	assert_int_equal(took(&rig), 5 + 9);
	step_lock_irqsave(&rig.steps, vaddr_of(0x1000));
	step_unlock_irqrestore(&rig.steps, vaddr_of(0x1000));
	assert_int_equal(took(&rig), 2 + 5 + 200 + 18 + 4 + 9);
	step_irqs(&rig.steps, IRQS_EXCEPTION);
	assert_int_equal(took(&rig), 30);
	assert_int_equal(part(&rig, 0, COST_COMPUTE), 2 + 5 + 9 + 5 + 9 + 2 + 5 + 18 + 9 + 30);
	rig_release(&rig);
}

/*
 * Two places in the store buffer. Stores to three lines nobody has, at 0, 0 and 0: the third finds the buffer full until the
 * first has left at 200; then the op is over. Twenty cycles later a locked instruction waits for what is left, until 400, and
 * takes 4 + 18.
 * Would catch: stores that the core waits for, a buffer with a place too many, a locked instruction that overtakes stores.
 */
static void test_the_store_buffer(void **state)
{
	(void)state;
	struct rig rig;
	rig_init(&rig, 1, (struct core_config){.instructions_per_cycle = 1, .misses_in_flight = 10, .store_buffer = 2});
	for (unsigned n = 0; n < 3; n++)
		step_write(&rig.steps, vaddr_of(LINE(n)), 8);
	assert_int_equal(took(&rig), 200);
	assert_int_equal(part(&rig, 0, COST_STORE_BUFFER), 200);
	step_spend(&rig.steps, 20);
	step_atomic(&rig.steps, vaddr_of(LINE(0)), 8);
	assert_int_equal(took(&rig), 20 + 180 + 4 + 18);
	assert_int_equal(part(&rig, 0, COST_STORE_BUFFER), 200 + 180);
	rig_release(&rig);
}

/* Would catch: an unlocked compare-and-exchange that waits for the stores before it, or not for its own 16 cycles. */
static void test_an_exchange_does_not_drain(void **state)
{
	(void)state;
	struct rig rig;
	rig_init(&rig, 1, (struct core_config){.instructions_per_cycle = 1, .misses_in_flight = 10, .store_buffer = 8});
	step_read(&rig.steps, vaddr_of(LINE(1)), 8);
	assert_int_equal(took(&rig), 200);
	step_write(&rig.steps, vaddr_of(LINE(0)), 8); /* until 400 */
	step_exchange(&rig.steps, vaddr_of(LINE(1)), 16);
	assert_int_equal(took(&rig), 4 + 16);
	assert_int_equal(part(&rig, 0, COST_STORE_BUFFER), 0);
	rig_release(&rig);
}

/*
 * Nobody waits for an update of a line that is in memory; what it writes leaves the store buffer at 200, which a locked
 * instruction waits for: until 200, then 4 + 18. A core that waits for every load waits for the update, too. Would catch: a
 * counter that holds up the path, one that leaves no store behind.
 */
static void test_an_update_goes_on(void **state)
{
	(void)state;
	struct rig rig;
	rig_init(&rig, 1, (struct core_config){.instructions_per_cycle = 1, .misses_in_flight = 10, .store_buffer = 8});
	step_update(&rig.steps, vaddr_of(LINE(0)), 8);
	step_spend(&rig.steps, 50);
	assert_int_equal(took(&rig), 50);
	step_atomic(&rig.steps, vaddr_of(LINE(0)), 8);
	assert_int_equal(took(&rig), 150 + 4 + 18);
	rig_release(&rig);
	rig_init(&rig, 1, (struct core_config){.instructions_per_cycle = 1, .misses_in_flight = 1, .store_buffer = 8});
	step_update(&rig.steps, vaddr_of(LINE(0)), 8);
	step_spend(&rig.steps, 50);
	assert_int_equal(took(&rig), 250);
	rig_release(&rig);
}

/*
 * Both cores read a word. Core 1's read, 40, takes the line, so core 0's exchange finds it clean with another core: it changes
 * the word at 200 + 40 + 18 = 258. Core 1 thinks until 540, and exchanges: core 0's line, 100 + 18 -> 658: the word is not what
 * it had read. Once more: 4 to read, 4 + 18 -> 684.
 * Would catch: a compare-and-exchange that succeeds on what has changed meanwhile, one that tries again for ever.
 */
static void test_a_changed_word_is_tried_again(void **state)
{
	(void)state;
	struct rig rig;
	rig_init(&rig, 2, (struct core_config){.instructions_per_cycle = 1, .misses_in_flight = 1});
	step_read(&rig.steps, vaddr_of(LINE(0)), 8);
	step_cmpxchg(&rig.steps, vaddr_of(LINE(0)), 8);
	push(&rig, 0);
	step_read(&rig.steps, vaddr_of(LINE(0)), 8);
	step_spend(&rig.steps, 500);
	step_cmpxchg(&rig.steps, vaddr_of(LINE(0)), 8);
	push(&rig, 1);
	machine_drain(&rig.machine);
	assert_int_equal(rig.machine.cores[0].started, 200 + 40 + 18);
	assert_int_equal(rig.machine.cores[1].started, 40 + 500 + 100 + 18 + 4 + 4 + 18);
	assert_int_equal(rig.machine.cores[0].counters.cmpxchg_retries, 0);
	assert_int_equal(rig.machine.cores[1].counters.cmpxchg_retries, 1);
	rig_release(&rig);
}

/* Would catch: a prefetch that somebody waits for, or that brings nothing. */
static void test_a_prefetch_is_not_waited_for(void **state)
{
	(void)state;
	struct rig rig;
	rig_init(&rig, 1, (struct core_config){.instructions_per_cycle = 1, .misses_in_flight = 1});
	step_prefetch(&rig.steps, vaddr_of(LINE(0)));
	assert_int_equal(took(&rig), 0);
	step_read(&rig.steps, vaddr_of(LINE(0)), 8);
	assert_int_equal(took(&rig), 4);
	rig_release(&rig);
}

/*
 * An unlock is a store: the lock is free when it has left the buffer. Core 0 has the lock at 218, unlocks at 218 behind a store
 * that is under way until 418, and is done. Core 1 comes at 250 and has the lock's line at 250 + 100 + 18 = 368: it waits for 50.
 * Would catch: a lock that is free before what it protects is written.
 */
static void test_an_unlock_waits_for_the_stores_before_it(void **state)
{
	(void)state;
	struct rig rig;
	rig_init(&rig, 2, (struct core_config){.instructions_per_cycle = 1, .misses_in_flight = 1, .store_buffer = 8});
	step_lock(&rig.steps, vaddr_of(LOCK_WORD));
	step_write(&rig.steps, vaddr_of(LINE(0)), 8); /* 218 .. 418 */
	step_unlock(&rig.steps, vaddr_of(LOCK_WORD));
	push(&rig, 0);
	step_spend(&rig.steps, 250);
	step_lock(&rig.steps, vaddr_of(LOCK_WORD)); /* 250 + 118 = 368, free at 418 */
	step_unlock(&rig.steps, vaddr_of(LOCK_WORD));
	push(&rig, 1);
	machine_drain(&rig.machine);
	assert_int_equal(rig.machine.cores[0].started, 218);
	assert_int_equal(part(&rig, 1, COST_LOCK), 50);
	assert_int_equal(rig.machine.cores[1].started, 418);
	assert_int_equal(lock_at(&rig.machine.locks, LOCK_WORD)->wait_cycles, 50);
	rig_release(&rig);
}

/*
 * Four cores, one lock, no store buffer. Core 0 holds it from 218 to 1218. Cores 1, 2, 3 come at 0, each 100 + 18 = 118 for the
 * word and 4 + 18 for the pending bit or the tail: 140. Core 3 also links itself behind core 2, whose node nobody has touched:
 * 200 -> 340.
 *   core 1 (pending): unlock stores at core 3's line, 100: 1318; reads 100, writes 4: 1422; core 2, head of the queue, reads
 * along; holds to 2422; its store: line read by core 2, 40: 2462. core 2 (head): 2462 reads 100 -> 2562; core 3 is behind it: a
 * plain store, 4 -> 2566, then core 3's node, which nobody has touched: 200 -> 2766; core 3 reads its node and the word; holds to
 * 3766; its store: line read by core 3, 40: 3806. core 3: 3806 reads 100 -> 3906; nobody behind: 4 + 18 -> 3928, 4928, 4 -> 4932.
 * Would catch: hand-over out of order, queue nodes that share a line, a head that is not told.
 */
static void test_the_queue_of_a_lock(void **state)
{
	(void)state;
	struct rig rig;
	rig_init(&rig, 4, (struct core_config){.instructions_per_cycle = 1, .misses_in_flight = 1});
	for (unsigned cpu = 0; cpu < 4; cpu++) {
		step_lock(&rig.steps, vaddr_of(LOCK_WORD));
		step_spend(&rig.steps, 1000);
		step_unlock(&rig.steps, vaddr_of(LOCK_WORD));
		push(&rig, cpu);
	}
	machine_drain(&rig.machine);
	assert_int_equal(rig.machine.cores[0].started, 1318);
	assert_int_equal(rig.machine.cores[1].started, 2462);
	assert_int_equal(rig.machine.cores[2].started, 3806);
	assert_int_equal(rig.machine.cores[3].started, 4932);
	assert_int_equal(part(&rig, 3, COST_LOCK), 3806 - 340);
	assert_int_equal(lock_at(&rig.machine.locks, LOCK_WORD)->hand_overs, 3);
	rig_release(&rig);
}

static const struct core_config interrupts = {.instructions_per_cycle = 1,
                                              .misses_in_flight = 1,
                                              .ipi_send_cycles = 50,
                                              .ipi_cycles = 700,
                                              .ipi_handler_cycles = 300,
                                              .ipi_ack_cycles = 100,
                                              .invalidate_cycles = 20};

/*
 * Core 0 asks an idle core 1 and a core 2 at work to drop all translations: the lines it writes cost 200 + 18 each, commands 50:
 * sent at 268 and 536. Core 1: 968 .. 1288, acknowledged at 1388. Core 2 is within 2000 instructions: from 2000 on, until 2320,
 * known at 2420. Would catch: an interrupt that cuts a step, one that an idle core does not serve, a sender that goes on early,
 * cycles of a handler that nobody pays.
 */
static void test_interrupts_are_acknowledged(void **state)
{
	(void)state;
	struct rig rig;
	rig_init(&rig, 3, interrupts);
	step_spend(&rig.steps, 2000);
	step_spend(&rig.steps, 10);
	push(&rig, 2);
	step_ipi(&rig.steps, 1, STEP_ALL_ADDRESSES);
	step_ipi(&rig.steps, 2, STEP_ALL_ADDRESSES);
	step_ipi_wait(&rig.steps);
	push(&rig, 0);
	machine_drain(&rig.machine);
	assert_int_equal(rig.machine.cores[1].started, 1288);
	assert_int_equal(part(&rig, 1, COST_IPI), 320);
	assert_int_equal(rig.machine.cores[2].started, 2000 + 320 + 10);
	assert_int_equal(rig.machine.cores[0].started, 2420);
	assert_int_equal(part(&rig, 0, COST_IPI), 2420 - 2 * 218);
	assert_int_equal(rig.machine.cores[1].counters.ipis_served, 1);
	rig_release(&rig);
}

/*
 * Two interrupts, one after the other: the first finds the four lines at the top of the IRQ stack in memory, 200 cycles each, the
 * second in the first level, which costs nothing beyond the handler's 300. Would catch: a stack that no interrupt touches, lines
 * below it that are not the last ones, hits that are paid twice, cycles of the stack that nobody pays.
 */
static void test_an_interrupt_writes_its_stack(void **state)
{
	(void)state;
	struct rig rig;
	rig_init(&rig, 2, interrupts);
	rig.machine.irq_stack_top[1] = LINE(64);
	for (unsigned interrupt = 0; interrupt < 2; interrupt++) {
		step_ipi(&rig.steps, 1, STEP_ALL_ADDRESSES);
		step_ipi_wait(&rig.steps);
		push(&rig, 0);
		machine_drain(&rig.machine);
		assert_int_equal(part(&rig, 1, COST_IPI), interrupt == 0 ? 320 + 800 : 640 + 800);
	}
	assert_int_equal(rig.machine.cores[1].counters.irq_stack_lines, 8);
	for (unsigned line = 60; line < 64; line++)
		step_read(&rig.steps, vaddr_of(LINE(line)), 8);
	push(&rig, 1);
	machine_drain(&rig.machine);
	assert_int_equal(part(&rig, 1, COST_L1), 16); /* all four are there */
	rig_release(&rig);
}

/*
 * A core that waits for a lock serves an interrupt meanwhile. Core 0 holds the lock from 218 to 3218 and gives it up at 3318;
 * core 1 waits from 140 on and serves core 2's interrupt (sent at 268, 968 .. 1268) within its waiting.
 * Would catch: an interrupt that waits for the lock, cycles of a wait that are paid twice.
 */
static void test_a_waiting_core_serves_interrupts(void **state)
{
	(void)state;
	struct rig rig;
	rig_init(&rig, 3, interrupts);
	for (unsigned cpu = 0; cpu < 2; cpu++) {
		step_lock(&rig.steps, vaddr_of(LOCK_WORD));
		step_spend(&rig.steps, 3000);
		step_unlock(&rig.steps, vaddr_of(LOCK_WORD));
		push(&rig, cpu);
	}
	step_ipi(&rig.steps, 1, STEP_NO_ADDRESS);
	step_ipi_wait(&rig.steps);
	push(&rig, 2);
	machine_drain(&rig.machine);
	assert_int_equal(rig.machine.cores[2].started, 268 + 700 + 300 + 100);
	assert_int_equal(part(&rig, 1, COST_LOCK), 3318 - 140);
	assert_int_equal(part(&rig, 1, COST_IPI), 0);
	rig_release(&rig);
}

/* Would catch: a daemon for which nobody switches, or a switch between two ops of the same thread. */
static void test_a_daemon_needs_a_switch(void **state)
{
	(void)state;
	struct rig rig;
	rig_init(&rig, 1,
	         (struct core_config){.instructions_per_cycle = 1, .misses_in_flight = 1, .context_switch_cycles = 2000});
	static const enum job_kind kinds[] = {JOB_OBJECT_ALLOC, JOB_OBJECT_FREE, JOB_DAEMON, JOB_DAEMON, JOB_PAGE_ALLOC};
	for (unsigned i = 0; i < 5; i++) {
		step_spend(&rig.steps, 10);
		push_kind(&rig, 0, kinds[i]);
	}
	machine_drain(&rig.machine);
	assert_int_equal(rig.machine.cores[0].counters.context_switches, 2);
	assert_int_equal(rig.machine.cores[0].started, 2 * 2000 + 5 * 10);
	rig_release(&rig);
}

/* Would catch: a sleep counted as work, one that begins before what was read is there, nanoseconds taken for cycles. */
static void test_a_sleep_is_time_of_the_device(void **state)
{
	(void)state;
	struct rig rig;
	rig_init(&rig, 1, (struct core_config){.instructions_per_cycle = 1, .misses_in_flight = 10});
	rig.machine.frequency_mhz = 3500;
	step_spend(&rig.steps, 100);
	step_sleep(&rig.steps, 80000);
	step_spend(&rig.steps, 50);
	push(&rig, 0);
	machine_drain(&rig.machine);
	assert_int_equal(part(&rig, 0, COST_IO), 280000);
	assert_int_equal(part(&rig, 0, COST_COMPUTE), 150);
	assert_int_equal(rig.machine.cores[0].started, 280150);
	machine_check(&rig.machine);
	rig_release(&rig);
}

/* Would catch: an op counted for another owner, path or call site. */
static void test_costs_by_owner_and_path(void **state)
{
	(void)state;
	struct rig rig;
	rig_init(&rig, 1, (struct core_config){.instructions_per_cycle = 1, .misses_in_flight = 1});
	for (unsigned i = 0; i < 6; i++) {
		step_spend(&rig.steps, 100 * (i + 1));
		step_path(&rig.steps, i % 2 ? PATH_LISTS : PATH_FAST);
		core_push(&rig.machine, 0, &(struct job_about){JOB_OBJECT_FREE, i / 2, 7}, &rig.steps);
		steps_clear(&rig.steps);
	}
	machine_drain(&rig.machine);
	const struct op_costs *costs = &rig.machine.op_costs;
	for (unsigned i = 0; i < 6; i++) {
		const struct op_cost *row = op_costs_of(costs, i / 2, JOB_OBJECT_FREE, i % 2 ? PATH_LISTS : PATH_FAST);
		assert_non_null(row);
		assert_int_equal(row->cycles.count, 1);
		assert_int_equal(row->cycles.sum, 100 * (i + 1));
	}
	assert_null(op_costs_of(costs, 0, JOB_OBJECT_FREE, PATH_PAGES));
	assert_null(op_costs_of(costs, 99, JOB_OBJECT_FREE, PATH_FAST));
	assert_int_equal(op_costs_of_site(costs, 7, JOB_OBJECT_FREE)->count, 6);
	assert_int_equal(op_costs_of_site(costs, 7, JOB_OBJECT_FREE)->cost.cycles[COST_COMPUTE], 2100);
	rig_release(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_loads_in_flight),
	        cmocka_unit_test(test_a_chase_waits),
	        cmocka_unit_test(test_the_latest_load_is_waited_for),
	        cmocka_unit_test(test_instructions_fill_cycles),
	        cmocka_unit_test(test_interrupts_are_switched),
	        cmocka_unit_test(test_the_store_buffer),
	        cmocka_unit_test(test_an_exchange_does_not_drain),
	        cmocka_unit_test(test_an_update_goes_on),
	        cmocka_unit_test(test_a_changed_word_is_tried_again),
	        cmocka_unit_test(test_a_prefetch_is_not_waited_for),
	        cmocka_unit_test(test_an_unlock_waits_for_the_stores_before_it),
	        cmocka_unit_test(test_the_queue_of_a_lock),
	        cmocka_unit_test(test_interrupts_are_acknowledged),
	        cmocka_unit_test(test_an_interrupt_writes_its_stack),
	        cmocka_unit_test(test_a_waiting_core_serves_interrupts),
	        cmocka_unit_test(test_a_daemon_needs_a_switch),
	        cmocka_unit_test(test_a_sleep_is_time_of_the_device),
	        cmocka_unit_test(test_costs_by_owner_and_path),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
