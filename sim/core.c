/* SPDX-License-Identifier: MIT
 *
 * core.c - cores run steps (interface and laws: core.h).
 */
#include "sim/core.h"

#include <stdlib.h>
#include <string.h>

#define COST_METRIC(part, name, help) \
	{ \
		name "_cycles", "cycles", METRIC_COUNTER, help, offsetof(struct core_counters, cost.cycles[part]) \
	}

const struct metric core_metrics[] = {
        METRIC(struct core_counters, jobs, "1", "Ops whose steps were run"),
        METRIC(struct core_counters, busy_cycles, "cycles", "Cycles in which a core had an op to run"),
        COST_METRIC(COST_COMPUTE, "compute", "Of the busy cycles, those of instructions"),
        COST_METRIC(COST_TLB, "tlb", "Those of further TLBs and page walks"),
        COST_METRIC(COST_L1, "l1", "Those of the first level of caches"),
        COST_METRIC(COST_L2, "l2", "Those of levels of caches between the first and the last"),
        COST_METRIC(COST_LLC, "llc", "Those of the last level of caches, and the way to it"),
        COST_METRIC(COST_COHERENCE, "coherence", "Those of lines fetched from other cores, and of making others' copies invalid"),
        COST_METRIC(COST_DRAM, "dram", "Those of memory"),
        COST_METRIC(COST_STORE_BUFFER, "store_buffer", "Those spent waiting for the store buffer"),
        COST_METRIC(COST_LOCK, "lock", "Those spent waiting for a lock"),
        COST_METRIC(COST_IPI, "ipi", "Those of waiting for acknowledgements and of serving interrupts"),
        METRIC_END,
};

static const char *const histogram_names[JOB_MEASURES][JOB_KINDS] = {
        [JOB_CYCLES] = {"cycles_per_alloc", "cycles_per_free", "cycles_per_page_alloc", "cycles_per_page_free",
                        "cycles_per_daemon_run"},
        [JOB_LINES] = {"lines_per_alloc", "lines_per_free", "lines_per_page_alloc", "lines_per_page_free",
                       "lines_per_daemon_run"},
        [JOB_PAGES] = {"pages_per_alloc", "pages_per_free", "pages_per_page_alloc", "pages_per_page_free",
                       "pages_per_daemon_run"},
};

const char *job_histogram_name(enum job_measure measure, enum job_kind kind)
{
	SIM_ASSERT(measure < JOB_MEASURES && kind < JOB_KINDS);
	return histogram_names[measure][kind];
}

const char *job_histogram_unit(enum job_measure measure)
{
	static const char *const units[JOB_MEASURES] = {[JOB_CYCLES] = "cycles", [JOB_LINES] = "lines", [JOB_PAGES] = "pages"};
	SIM_ASSERT(measure < JOB_MEASURES);
	return units[measure];
}

/* What the job's steps touched, however the machine served them. */
static void measure_touched(struct machine *machine, const struct core_job *job)
{
	touched_clear(&machine->lines);
	touched_clear(&machine->pages);
	for (uint32_t index = 0; index < job->count; index++) {
		const struct step *step = &job->at[index];
		if (step->kind == STEP_SPEND)
			continue;
		touched_add(&machine->lines, step->address, step->bytes);
		touched_add(&machine->pages, step->address, step->bytes);
	}
	histogram_add(&machine->measured[JOB_LINES][job->kind], machine->lines.count);
	histogram_add(&machine->measured[JOB_PAGES][job->kind], machine->pages.count);
}

static void finish_job(struct core *core, cycle now)
{
	struct core_job *job = &core->jobs[core->first];
	histogram_add(&core->machine->measured[JOB_CYCLES][job->kind], now - core->started);
	measure_touched(core->machine, job);
	core->counters.jobs++;
	core->counters.busy_cycles += now - core->started;
	core->first = (core->first + 1) % CORE_JOBS;
	core->queued--;
	core->position = 0;
	core->started = now;
}

/* Makes the access of a step. Its cycles are the core's from now on. */
static cycle access_memory(struct core *core, const struct step *step, enum access_kind kind, bool is_locked, cycle now)
{
	const struct memory_request request = {.address = step->address,
	                                       .bytes = step->bytes,
	                                       .cpu = (uint16_t)core->cpu,
	                                       .kind = (uint8_t)kind,
	                                       .is_locked = is_locked,
	                                       .now = now};
	struct cost cost;
	core->machine->owner = core->jobs[core->first].owner;
	cycle done = memory_access(core->machine->memory, &request, &cost);
	cost_add(&core->counters.cost, &cost);
	return done;
}

/* The lock was handed to a waiting core at `now`: it goes on from there, after fetching the line of the lock word. */
static void end_wait(struct core *core, cycle now)
{
	core->waits_for->wait_cycles += now - core->waits_since;
	core->counters.cost.cycles[COST_LOCK] += now - core->waits_since;
	core->waits_for = NULL;
	cycle done = access_memory(core, &core->jobs[core->first].at[core->position], ACCESS_LOAD, false, now);
	core->position++;
	event_queue_add(&core->machine->queue, &core->event, done);
}

/* Runs one step that starts at `now`; returns the cycle at which it is done, CYCLE_NEVER if the core now waits for a lock. */
static cycle run_step(struct core *core, const struct step *step, cycle now)
{
	struct machine *machine = core->machine;
	switch (step->kind) {
	case STEP_READ:
		return access_memory(core, step, ACCESS_LOAD, false, now);
	case STEP_WRITE:
		return access_memory(core, step, ACCESS_STORE, false, now);
	case STEP_ATOMIC:
		return access_memory(core, step, ACCESS_MODIFY, true, now);
	case STEP_SPEND:
		core->counters.cost.cycles[COST_COMPUTE] += step->bytes;
		return now + step->bytes;
	case STEP_LOCK: {
		cycle done = access_memory(core, step, ACCESS_MODIFY, true, now);
		struct lock *lock = lock_at(&machine->locks, step->address);
		if (lock_acquire(lock, core->cpu))
			return done;
		core->waits_for = lock;
		core->waits_since = done;
		return CYCLE_NEVER;
	}
	case STEP_UNLOCK: {
		cycle done = access_memory(core, step, ACCESS_STORE, false, now);
		uint32_t next = lock_release(lock_at(&machine->locks, step->address), core->cpu);
		if (next != LOCK_FREE) {
			struct core *waiter = &machine->cores[next];
			end_wait(waiter, done > waiter->waits_since ? done : waiter->waits_since);
		}
		return done;
	}
	}
	SIM_UNREACHABLE("a kind of step");
}

/* Whether somebody else comes first: an event that is due, or an op that may still arrive before `now`. */
static bool must_wait(const struct machine *machine, cycle now)
{
	return now > machine->horizon || event_queue_next(&machine->queue) <= now;
}

static void core_run(struct event *event, cycle now)
{
	struct core *core = (struct core *)(void *)event;
	while (core->queued > 0) {
		const struct core_job *job = &core->jobs[core->first];
		if (core->position == job->count) {
			finish_job(core, now);
			continue;
		}
		cycle done = run_step(core, &job->at[core->position], now);
		if (done == CYCLE_NEVER)
			return;
		core->position++;
		now = done;
		if (must_wait(core->machine, now)) {
			event_queue_add(&core->machine->queue, event, now);
			return;
		}
	}
}

void machine_init(struct machine *machine, unsigned cpus, uint32_t line_bytes, struct memory *memory)
{
	SIM_ASSERT(cpus > 0 && cpus <= CPUS_MAX);
	*machine = (struct machine){.memory = memory, .cpus = cpus};
	event_queue_init(&machine->queue);
	lock_table_init(&machine->locks);
	touched_init(&machine->lines, line_bytes);
	touched_init(&machine->pages, PAGE_SIZE);
	machine->cores = xcalloc(cpus, sizeof *machine->cores);
	for (unsigned cpu = 0; cpu < cpus; cpu++) {
		struct core *core = &machine->cores[cpu];
		core->event = (struct event){.run = core_run, .phase = PHASE_CORE};
		core->machine = machine;
		core->cpu = cpu;
	}
}

void machine_release(struct machine *machine)
{
	for (unsigned cpu = 0; cpu < machine->cpus; cpu++)
		for (unsigned job = 0; job < CORE_JOBS; job++)
			free(machine->cores[cpu].jobs[job].at);
	free(machine->cores);
	touched_release(&machine->pages);
	touched_release(&machine->lines);
	lock_table_release(&machine->locks);
	event_queue_release(&machine->queue);
	*machine = (struct machine){0};
}

void core_push(struct machine *machine, unsigned cpu, enum job_kind kind, uint32_t owner, const struct steps *steps)
{
	SIM_ASSERT(cpu < machine->cpus);
	struct core *core = &machine->cores[cpu];
	while (core->queued == CORE_JOBS)
		event_queue_run_next(&machine->queue);
	struct core_job *job = &core->jobs[(core->first + core->queued) % CORE_JOBS];
	if (steps->count > job->capacity) {
		job->capacity = steps->count;
		job->at = xrealloc(job->at, job->capacity * sizeof *job->at);
	}
	if (steps->count > 0)
		memcpy(job->at, steps->at, steps->count * sizeof *job->at);
	job->count = steps->count;
	job->kind = kind;
	job->owner = owner;
	if (core->queued++ == 0) {
		SIM_ASSERT(core->event.place == 0 && core->position == 0);
		/* `started` is the end of the core's last op: it may lie ahead of the clock. */
		if (core->started < machine->queue.now)
			core->started = machine->queue.now;
		event_queue_add(&machine->queue, &core->event, core->started);
	}
}

void machine_run_until(struct machine *machine, cycle until)
{
	machine->horizon = until;
	event_queue_run_until(&machine->queue, until);
}

static bool machine_busy(const struct machine *machine)
{
	for (unsigned cpu = 0; cpu < machine->cpus; cpu++)
		if (machine->cores[cpu].queued > 0)
			return true;
	return false;
}

void machine_drain(struct machine *machine)
{
	machine->horizon = CYCLE_NEVER;
	while (machine_busy(machine))
		event_queue_run_next(&machine->queue);
}

struct core_counters machine_counters(const struct machine *machine)
{
	struct core_counters sum = {0};
	for (unsigned cpu = 0; cpu < machine->cpus; cpu++) {
		const struct core_counters *counters = &machine->cores[cpu].counters;
		sum.jobs += counters->jobs;
		sum.busy_cycles += counters->busy_cycles;
		cost_add(&sum.cost, &counters->cost);
	}
	return sum;
}

void machine_check(const struct machine *machine)
{
	event_queue_check(&machine->queue);
	lock_table_check(&machine->locks);
	uint64_t jobs = 0;
	for (unsigned cpu = 0; cpu < machine->cpus; cpu++) {
		const struct core *core = &machine->cores[cpu];
		const struct core_counters *counters = &core->counters;
		jobs += counters->jobs;
		if (core->queued == 0) /* within a job its cycles are not added up yet */
			SIM_ASSERT(counters->busy_cycles == cost_total(&counters->cost));
		SIM_ASSERT(core->queued == 0 || core->event.place != 0 || core->waits_for != NULL);
	}
	for (unsigned measure = 0; measure < JOB_MEASURES; measure++) {
		uint64_t measured = 0;
		for (unsigned kind = 0; kind < JOB_KINDS; kind++) {
			histogram_check(&machine->measured[measure][kind]);
			measured += machine->measured[measure][kind].count;
		}
		SIM_ASSERT(measured == jobs);
	}
}
