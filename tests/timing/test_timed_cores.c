/* SPDX-License-Identifier: MIT
 *
 * test_timed_cores.c - lines that several cores use, under the clock: what a transfer, an upgrade and a wait for a line cost, and
 * that the directory is what the caches hold.
 *
 * A line of a core behind the same last-level cache comes in REMOTE = 100 cycles, one behind another in FAR = 300; a level
 * answers in L1 = 4, L2 = 14, LLC = 44, memory in DRAM = 240.
 */
#include "tests/timing/timed_rig.h"

#include "sim/bounce.h"
#include "sim/metric.h"
#include "sim/rng.h"

#include <stdio.h>

/* Big enough for nothing to be evicted. */
static const char *const intel[] = {"l1d size=32KiB ways=8", "l2 size=256KiB ways=8",
                                    "llc size=1MiB ways=16 cores=all inclusion=inclusive", NULL};
static const char *const amd[] = {"l1d size=32KiB ways=8", "l2 size=256KiB ways=8 inclusion=inclusive",
                                  "llc size=1MiB ways=16 cores=4 inclusion=exclusive", NULL};

static void make(struct machine_rig *rig, unsigned cpus, const char *const *lines, enum coherence_protocol protocol)
{
	machine_rig_settings(rig, cpus, lines);
	rig->settings.machine.coherence = protocol;
	assert_true(machine_rig_make(rig, "timed", NULL));
}

static uint64_t core_counter(const struct machine_rig *rig, unsigned cpu, const char *name)
{
	for (const struct metric *metric = rig->memory->ops->core_metrics; metric->name; metric++)
		if (strcmp(metric->name, name) == 0)
			return metric_value(metric, rig->memory->ops->core_counters(rig->memory, cpu));
	fail_msg("there is no counter %s", name);
	return 0;
}

/*
 * A line that core 0 has written is read by 1 and 2. MESI: 1 gets it from 0, which writes it back, so 2 has it from the LLC.
 * MOESI: 0 owns it, so 2 gets it from 0 too. Would catch: a written line read from below, an owner that is forgotten or kept.
 */
static void a_written_line_comes_from_its_core(void **state)
{
	(void)state;
	static const struct {
		enum coherence_protocol protocol;
		cycle third;
		uint64_t dirty;
	} cases[] = {{COHERENCE_MESI, LLC, 1}, {COHERENCE_MOESI, REMOTE, 2}};
	for (unsigned i = 0; i < 2; i++) {
		struct machine_rig rig;
		make(&rig, 4, intel, cases[i].protocol);
		assert_int_equal(rig_store(&rig, 0, 0, 0), DRAM);
		assert_int_equal(rig_load(&rig, 1, 0, 1000), 1000 + REMOTE);
		assert_int_equal(rig.cost.cycles[COST_COHERENCE], REMOTE - L2);
		assert_int_equal(rig_load(&rig, 2, 0, 2000), 2000 + cases[i].third);
		assert_int_equal(rig_load(&rig, 0, 0, 3000), 3000 + L1);
		assert_int_equal(rig_counter(&rig, "transfers_dirty"), cases[i].dirty);
		assert_int_equal(core_counter(&rig, 0, "transfers_given"), cases[i].dirty);
		/* 0 has it with others now: its store asks. */
		assert_int_equal(rig_store(&rig, 0, 0, 4000), 4000 + REMOTE);
		assert_int_equal(core_counter(&rig, 0, "upgrades"), 1);
		assert_int_equal(core_counter(&rig, 0, "invalidations_sent"), 2);
		assert_int_equal(core_counter(&rig, 1, "invalidations_received"), 1);
		assert_int_equal(rig_store(&rig, 0, 0, 5000), 5000 + L1);
		assert_int_equal(rig_load(&rig, 1, 0, 6000), 6000 + REMOTE);
		machine_rig_release(&rig);
	}
}

/* A line that nobody else has is written without a word. Would catch: an upgrade of an exclusive line. */
static void an_exclusive_line_is_written_silently(void **state)
{
	(void)state;
	struct machine_rig rig;
	make(&rig, 2, intel, COHERENCE_MESI);
	rig_load(&rig, 0, 0, 0);
	assert_int_equal(rig_store(&rig, 0, 0, 1000), 1000 + L1);
	assert_int_equal(rig_counter(&rig, "upgrades") + rig_counter(&rig, "invalidations"), 0);
	machine_rig_release(&rig);
}

/*
 * Behind another LLC a line is FAR away: dirty at 300, clean at 300 because no shared cache of the asking core has it; within the
 * complex the exclusive LLC has not got it either, so the other core gives it at 100. A locked instruction of core 4 takes both
 * copies: as long as the farthest, and its own 1000 cycles. Would catch: one distance for all, memory read where a core has it.
 */
static void another_complex_is_far(void **state)
{
	(void)state;
	struct machine_rig rig;
	make(&rig, 8, amd, COHERENCE_MOESI);
	assert_int_equal(rig_load(&rig, 0, 0, 0), DRAM);
	assert_int_equal(rig_load(&rig, 1, 0, 1000), 1000 + REMOTE);
	assert_int_equal(rig_load(&rig, 4, 0, 2000), 2000 + FAR);
	assert_int_equal(rig_load(&rig, 5, 0, 3000), 3000 + REMOTE);
	assert_int_equal(rig_request(&rig, 4, ACCESS_MODIFY, 0, 4000), 4000 + FAR + ATOMIC);
	assert_int_equal(rig_counter(&rig, "invalidations"), 3);
	assert_int_equal(rig_load(&rig, 0, 0, 10000), 10000 + FAR);
	assert_int_equal(rig_counter(&rig, "dram_reads"), 1);
	machine_rig_release(&rig);
}

/* A line that went to the other complex' LLC, written. Would catch: a shared cache that nobody asks. */
static void a_line_in_anothers_shared_cache_comes_from_there(void **state)
{
	(void)state;
	static const char *const tiny[] = {"l1d size=64B ways=1", "l2 size=128B ways=2 inclusion=inclusive",
	                                   "llc size=4KiB ways=16 cores=2 inclusion=exclusive", NULL};
	for (unsigned protocol = COHERENCE_MESI; protocol <= COHERENCE_MOESI; protocol++) {
		struct machine_rig rig;
		make(&rig, 4, tiny, protocol);
		rig_store(&rig, 0, 0, 0);
		/* To the second level, and from there to the LLC of cores 0 and 1. */
		for (uint64_t line = 1; line < 4; line++)
			rig_load(&rig, 0, 64 * line, 100 * line + 1000);
		assert_int_equal(rig_load(&rig, 2, 0, 2000), 2000 + FAR);
		assert_int_equal(rig_counter(&rig, "transfers_dirty"), 1);
		assert_int_equal(rig_counter(&rig, "shared_transfers"), 1);
		assert_int_equal(rig_counter(&rig, "dram_writes"), protocol == COHERENCE_MESI);
		assert_int_equal(rig_store(&rig, 3, 0, 3000), 3000 + FAR); /* 2 is near, the LLC of 0 and 1 far */
		assert_int_equal(rig_counter(&rig, "shared_invalidations"), 1);
		machine_rig_release(&rig);
	}
}

/*
 * Eight cores write one line at once. The first has it from memory at 240. Each other one has found its own caches without it at
 * 14 and waits; from then on a transfer takes REMOTE - L2 = 86: done at 240 + 86 n. Would catch: transfers side by side.
 */
static void cores_that_write_one_line_take_turns(void **state)
{
	(void)state;
	struct machine_rig rig;
	make(&rig, 8, intel, COHERENCE_MESI);
	for (unsigned cpu = 0; cpu < 8; cpu++)
		assert_int_equal(rig_store(&rig, cpu, 8 * cpu, 0), DRAM + (REMOTE - L2) * cpu);
	assert_int_equal(rig_counter(&rig, "transfers_dirty"), 7);
	assert_int_equal(rig_counter(&rig, "line_waits"), 7);
	const struct bounced_line *top[2];
	assert_int_equal(rig.memory->ops->bounced_lines(rig.memory, top, 2), 1);
	assert_int_equal(top[0]->address, 0);
	assert_int_equal(top[0]->transfers_dirty, 7);
	assert_int_equal(top[0]->invalidations, 7);
	assert_int_equal(core_set_count(&top[0]->cores), 8);
	assert_int_equal(top[0]->written[3], 1u << 3);
	assert_false(bounced_line_is_truly_shared(top[0]));
	assert_true(bounced_line_is_falsely_shared(top[0]));
	rig_load(&rig, 0, 8 * 3, 10000);
	assert_true(bounced_line_is_truly_shared(top[0]));
	assert_false(bounced_line_is_falsely_shared(top[0]));
	machine_rig_release(&rig);
}

/* A locked instruction keeps its line for its 1000 cycles: asked for at 1339 it comes one cycle late, at 1340 not. */
static void a_locked_instruction_keeps_its_line(void **state)
{
	(void)state;
	/* The line is there at 240 and kept until 1240; core 1 looks for it 14 cycles after its request. */
	static const struct {
		cycle now, done;
	} cases[] = {{300, 1240 + REMOTE - L2}, {1225, 1240 + REMOTE - L2}, {1226, 1226 + REMOTE}, {1227, 1227 + REMOTE}};
	for (unsigned i = 0; i < 4; i++) {
		struct machine_rig rig;
		make(&rig, 2, intel, COHERENCE_MESI);
		assert_int_equal(rig_request(&rig, 0, ACCESS_MODIFY, 0, 0), DRAM + ATOMIC);
		assert_int_equal(rig_request(&rig, 1, ACCESS_MODIFY, 0, cases[i].now), cases[i].done + ATOMIC);
		/* And so does core 1, which had it from core 0, its line. */
		assert_int_equal(rig_load(&rig, 0, 0, cases[i].done + 100), cases[i].done + ATOMIC + REMOTE - L2);
		machine_rig_release(&rig);
	}
}

/*
 * Core 1 reads at 1000 what core 0 has written, and has it at 1100; a store of core 0 meanwhile, at 1010, has to wait for that:
 * an upgrade from 1100 on. At 1100 and later it does not wait. Would catch: a line taken back while it is on its way.
 */
static void an_upgrade_waits_for_a_line_on_its_way(void **state)
{
	(void)state;
	static const struct {
		cycle now, done;
	} cases[] = {{1010, 1100 + REMOTE}, {1099, 1100 + REMOTE}, {1100, 1100 + REMOTE}, {1101, 1101 + REMOTE}};
	for (unsigned i = 0; i < 4; i++) {
		struct machine_rig rig;
		make(&rig, 2, intel, COHERENCE_MESI);
		rig_store(&rig, 0, 0, 0);
		assert_int_equal(rig_load(&rig, 1, 0, 1000), 1000 + REMOTE);
		assert_int_equal(rig_store(&rig, 0, 0, cases[i].now), cases[i].done);
		assert_int_equal(rig_counter(&rig, "line_waits"), cases[i].now < 1100);
		machine_rig_release(&rig);
	}
}

/*
 * Eight cores and eight slices on a ring. A clean line comes from its slice of the LLC, which tells how far the slice is from
 * each core but the first; a written line then takes the ways of both cores to that slice, however near they are to each other.
 * Would catch: the way from core to core, one core's way alone, another slice than that of the LLC.
 */
static void a_transfer_goes_by_the_slice(void **state)
{
	(void)state;
	static const char *const lines[] = {"l1d size=32KiB ways=8", "l2 size=256KiB ways=8",
	                                    "llc size=1MiB ways=16 cores=all inclusion=inclusive slices=8", NULL};
	struct machine_rig rig;
	machine_rig_settings(&rig, 8, lines);
	rig.settings.machine.topology = TOPOLOGY_RING;
	rig.settings.machine.hop_cycles = 7;
	assert_true(machine_rig_make(&rig, "timed", NULL));
	cycle now = 0, least = 1000, most = 0;
	for (uint64_t line = 0; line < 16; line++) {
		cycle way[8] = {0};
		rig_load(&rig, 0, 64 * line, now);
		for (unsigned cpu = 1; cpu < 8; cpu++) {
			now += 1000;
			way[cpu] = rig_load(&rig, cpu, 64 * line, now) - now - LLC;
		}
		for (unsigned from = 1; from < 8; from++)
			for (unsigned to = 1; to < 8; to++) {
				if (from == to)
					continue;
				rig_store(&rig, from, 64 * line, now + 1000);
				cycle took = rig_load(&rig, to, 64 * line, now + 2000) - now - 2000;
				assert_int_equal(took, REMOTE + way[from] + way[to]);
				least = took < least ? took : least;
				most = took > most ? took : most;
				now += 2000;
			}
	}
	/* Next to the slice, and on it; as far from it as the ring goes, and next to that. */
	assert_int_equal(least, REMOTE + 7);
	assert_int_equal(most, REMOTE + 7 * (4 + 3));
	machine_rig_release(&rig);
}

/* ---- a second opinion ---- */

/* One line as a table of states has it, where nothing is ever evicted. */
struct opinion {
	unsigned holders; /* a bit for each core */
	int owner;        /* -1: none */
	bool in_llc;
};

static cycle opinion_access(struct opinion *line, unsigned cpu, bool writes, bool moesi)
{
	unsigned bit = 1u << cpu;
	bool holds = line->holders & bit, alone = line->holders == bit;
	cycle below = line->in_llc ? LLC : DRAM, cycles;
	if (holds && (!writes || alone))
		cycles = L1;
	else if (holds || (line->owner >= 0 && line->owner != (int)cpu))
		cycles = REMOTE;
	else
		cycles = writes && line->holders && below < REMOTE ? REMOTE : below;
	line->in_llc = true;
	if (writes) {
		line->holders = bit;
		line->owner = (int)cpu;
	} else if (!holds) {
		line->holders |= bit;
		line->owner = moesi ? line->owner : -1;
	}
	return cycles;
}

#define OPINION_LINES 24
#define CORES 6

/* Would catch: any wrong turn of MESI or MOESI. */
static void random_accesses_cost_what_the_states_say(void **state)
{
	(void)state;
	for (unsigned moesi = 0; moesi < 2; moesi++) {
		struct opinion lines[OPINION_LINES];
		struct machine_rig rig;
		struct rng rng;
		rng_init(&rng, 7, "states");
		for (unsigned line = 0; line < OPINION_LINES; line++)
			lines[line] = (struct opinion){.owner = -1};
		make(&rig, CORES, intel, moesi ? COHERENCE_MOESI : COHERENCE_MESI);
		for (unsigned i = 0; i < 20000; i++) {
			unsigned line = rng_below(&rng, OPINION_LINES), cpu = rng_below(&rng, CORES);
			bool writes = rng_below(&rng, 3) == 0;
			cycle now = 10000 * (i + 1);
			cycle expected = now + opinion_access(&lines[line], cpu, writes, moesi);
			cycle done = rig_request(&rig, cpu, writes ? ACCESS_STORE : ACCESS_LOAD, 64 * line, now);
			if (done != expected)
				fail_msg("access %u, line %u, core %u, %s: %llu cycles, expected %llu", i, line, cpu,
				         writes ? "store" : "load", (unsigned long long)(done - now),
				         (unsigned long long)(expected - now));
		}
		machine_rig_release(&rig);
	}
}

/*
 * Small caches of every kind of relation under random accesses of several cores, also at the same time: the directory is held
 * against the caches every hundred accesses. Would catch: a copy that outlives an invalidation, a line that nobody knows of.
 */
static void the_directory_is_what_the_caches_hold(void **state)
{
	(void)state;
	static const char *const machines[][5] = {
	        {"l1i size=256B ways=2 serves=code", "l1d size=256B ways=2 serves=data", "l2 size=1KiB ways=4",
	         "llc size=4KiB ways=8 cores=all inclusion=inclusive", NULL},
	        {"l1i size=256B ways=2 serves=code", "l1d size=256B ways=2 serves=data replacement=srrip",
	         "l2 size=1KiB ways=4 inclusion=inclusive replacement=tree_plru",
	         "llc size=4KiB ways=8 cores=2 inclusion=exclusive", NULL},
	        {"l1d size=256B ways=2 prefetch=miss prefetch_degree=2", "l2 size=1KiB ways=4 prefetch=stride",
	         "llc size=2KiB ways=8 cores=all", NULL},
	        {"l1d size=256B ways=2 write=through", "l2 size=1KiB ways=4 cores=2 inclusion=inclusive",
	         "llc size=4KiB ways=8 cores=all inclusion=inclusive", NULL},
	        {"l1d size=256B ways=2", "l2 size=1KiB ways=4 inclusion=exclusive", "llc size=4KiB ways=8 cores=4", NULL},
	        {"l1d size=256B ways=2", "l2 size=1KiB ways=4 write_allocate=false", NULL},
	};
	static const uint8_t kinds[] = {ACCESS_LOAD, ACCESS_LOAD, ACCESS_STORE, ACCESS_MODIFY, ACCESS_CODE};
	for (unsigned machine = 0; machine < sizeof machines / sizeof machines[0]; machine++)
		for (unsigned protocol = COHERENCE_MESI; protocol <= COHERENCE_MOESI; protocol++)
			for (unsigned demand = 0; demand < 2; demand++) {
				struct machine_rig rig;
				struct rng rng;
				rng_init(&rng, machine, "directory");
				machine_rig_settings(&rig, 4, machines[machine]);
				rig.settings.machine.coherence = protocol;
				rig.settings.machine.cache_rule = demand ? CACHE_RULE_DEMAND : CACHE_RULE_WRITEBACK;
				assert_true(machine_rig_make(&rig, "timed", NULL));
				for (unsigned i = 0; i < 4000; i++) {
					struct memory_request request = {.address =
					                                         rng_below(&rng, 96) * 64 + rng_below(&rng, 56),
					                                 .bytes = rng_below(&rng, 4) ? 8 : 100,
					                                 .cpu = (uint16_t)rng_below(&rng, 4),
					                                 .kind = kinds[rng_below(&rng, 5)],
					                                 .now = 40 * i};
					request.is_locked = request.kind == ACCESS_MODIFY;
					memory_access(rig.memory, &request, &rig.cost);
					if (i % 100 == 0)
						rig.memory->ops->check(rig.memory);
				}
				machine_rig_release(&rig);
			}
}

/* Would catch: caches that coherence cannot keep right taken all the same. */
static void caches_that_do_not_fit_are_refused(void **state)
{
	(void)state;
	static const char *const shared[] = {"l1d size=32KiB ways=8 cores=2", "llc size=1MiB ways=16 cores=all", NULL};
	static const char *const lengths[] = {"l1d size=32KiB ways=8 line=32B", "llc size=1MiB ways=16 cores=all", NULL};
	const char *const *const machines[] = {shared, lengths};
	static const char *const said[] = {"is shared (cores=2)", "lines of one length"};
	for (unsigned i = 0; i < 2; i++) {
		struct machine_rig rig;
		struct error error = {0};
		machine_rig_settings(&rig, 4, machines[i]);
		rig.caches = caches_of_settings(&rig.settings, false, NULL, &error);
		rig.dram = dram_model("fixed", &error)->create(&(struct dram_wiring){.settings = &rig.settings}, &error);
		const struct memory_wiring wiring = {.settings = &rig.settings, .caches = rig.caches, .dram = rig.dram};
		assert_null(memory_model("timed", &error)->create(&wiring, &error));
		assert_non_null(strstr(error.text, said[i]));
		machine_rig_release(&rig);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(a_written_line_comes_from_its_core),
	        cmocka_unit_test(an_exclusive_line_is_written_silently),
	        cmocka_unit_test(another_complex_is_far),
	        cmocka_unit_test(a_line_in_anothers_shared_cache_comes_from_there),
	        cmocka_unit_test(cores_that_write_one_line_take_turns),
	        cmocka_unit_test(a_locked_instruction_keeps_its_line),
	        cmocka_unit_test(an_upgrade_waits_for_a_line_on_its_way),
	        cmocka_unit_test(a_transfer_goes_by_the_slice),
	        cmocka_unit_test(random_accesses_cost_what_the_states_say),
	        cmocka_unit_test(the_directory_is_what_the_caches_hold),
	        cmocka_unit_test(caches_that_do_not_fit_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
