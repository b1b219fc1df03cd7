/* SPDX-License-Identifier: MIT
 *
 * access_cores.c - the accesses of a trace on cores (interface and rules: access_cores.h).
 */
#include "sim/access_cores.h"

#include "sim/core_internal.h"

#include <stdlib.h>

#define QUEUE_FIRST 1024u

void access_cores_init(struct access_cores *cores, struct machine *machine, uint32_t instructions_per_access, unsigned *cpu)
{
	*cores = (struct access_cores){.machine = machine, .instructions_per_access = instructions_per_access, .cpu = cpu};
	cores->queues = xcalloc(machine->cpus, sizeof *cores->queues);
	for (unsigned core = 0; core < machine->cpus; core++)
		cores->queues[core].awake = true;
}

void access_cores_release(struct access_cores *cores)
{
	for (unsigned cpu = 0; cores->queues && cpu < cores->machine->cpus; cpu++)
		free(cores->queues[cpu].at);
	free(cores->queues);
	*cores = (struct access_cores){0};
}

/* ---- one access ---- */

/* Whoever is handed the lock goes on at a cycle of its own, in its turn. */
static cycle give_lock(struct core *core, uint64_t address, cycle now)
{
	struct machine *machine = core->machine;
	now = core_unlock(core, address, now);
	uint32_t holder = lock_at(&machine->locks, address)->holder;
	if (holder == LOCK_FREE)
		return now;
	struct core *next = &machine->cores[holder];
	next->counters.busy_cycles += next->event.at - next->started;
	next->started = next->event.at;
	event_queue_remove(&machine->queue, &next->event);
	return now;
}

static cycle data(struct core *core, const struct access *access, cycle now)
{
	cycle written;
	if (access->region == ACCESS_TAKES_LOCK)
		return core_lock(core, access->address, now);
	if (access->region == ACCESS_GIVES_LOCK)
		return give_lock(core, access->address, now);
	switch ((enum access_kind)access->kind) {
	case ACCESS_STORE:
		return core_store(core, access->address, access->bytes, now, &written);
	case ACCESS_MODIFY:
		now = core_wait_for_loads(core, core_load(core, access->address, access->bytes, now));
		return core_store(core, access->address, access->bytes, now, &written);
	case ACCESS_PREFETCH:
		core_prefetch(core, access->address, now);
		return now;
	default:
		return core_load(core, access->address, access->bytes, now);
	}
}

static void spend_until(struct core *core, cycle now)
{
	core->counters.busy_cycles += now - core->started;
	core->started = now;
}

static void make(struct access_cores *cores, struct core *core, const struct access *access)
{
	cycle now = core->started;
	if (cores->cpu)
		*cores->cpu = core->cpu;
	if (access->kind == ACCESS_CODE) {
		cores->has_code = true;
		now = core_fetch(core, access->address, access->bytes, core_spend(core, 1, now));
	} else {
		if (!cores->has_code)
			now = core_spend(core, cores->instructions_per_access, now);
		now = data(core, access, now);
	}
	if (now != CYCLE_NEVER)
		spend_until(core, now);
}

/* ---- many cores ---- */

static void queue_add(struct access_queue *queue, const struct access *access)
{
	if (queue->count == queue->capacity) {
		uint32_t capacity = queue->capacity ? 2 * queue->capacity : QUEUE_FIRST;
		struct access *at = xcalloc(capacity, sizeof *at);
		for (uint32_t i = 0; i < queue->count; i++)
			at[i] = queue->at[(queue->first + i) & (queue->capacity - 1)];
		free(queue->at);
		*queue = (struct access_queue){.at = at, .count = queue->count, .capacity = capacity, .awake = queue->awake};
	}
	queue->at[(queue->first + queue->count++) & (queue->capacity - 1)] = *access;
}

static bool may_run(const struct access_cores *cores, unsigned cpu)
{
	return cores->queues[cpu].awake && !cores->machine->cores[cpu].waits_for;
}

/* The clock of the core that is farthest behind of those that may run, CYCLE_NEVER if there is none. */
static cycle last_clock(const struct access_cores *cores)
{
	cycle last = CYCLE_NEVER;
	for (unsigned cpu = 0; cpu < cores->machine->cpus; cpu++)
		if (may_run(cores, cpu) && cores->machine->cores[cpu].started < last)
			last = cores->machine->cores[cpu].started;
	return last;
}

static void wake(struct access_cores *cores, unsigned cpu)
{
	struct core *core = &cores->machine->cores[cpu];
	cycle others = last_clock(cores);
	if (others != CYCLE_NEVER && others > core->started)
		core->started = others;
	cores->queues[cpu].awake = true;
}

/* Accesses of the core that is behind, while it is. false: nobody's turn has come. */
static bool run_last(struct access_cores *cores)
{
	struct machine *machine = cores->machine;
	struct core *last = NULL;
	cycle next = CYCLE_NEVER;
	for (unsigned cpu = 0; cpu < machine->cpus; cpu++) {
		struct core *core = &machine->cores[cpu];
		if (!may_run(cores, cpu))
			continue;
		if (!last || core->started < last->started) {
			next = last ? last->started : CYCLE_NEVER;
			last = core;
		} else if (core->started < next) {
			next = core->started;
		}
	}
	if (!last || cores->queues[last->cpu].count == 0)
		return false;
	struct access_queue *queue = &cores->queues[last->cpu];
	do {
		if (last->takes) {
			spend_until(last, core_take(last, last->started));
			continue;
		}
		make(cores, last, &queue->at[queue->first]);
		queue->first = (queue->first + 1) & (queue->capacity - 1);
		queue->count--;
		cores->waiting--;
	} while (queue->count > 0 && !last->waits_for && last->started < next);
	return true;
}

/* Cores without accesses sleep until some come. */
static void let_sleep(struct access_cores *cores)
{
	for (unsigned cpu = 0; cpu < cores->machine->cpus; cpu++)
		cores->queues[cpu].awake = cores->queues[cpu].awake && cores->queues[cpu].count > 0;
}

/* ---- one core: what it will ask the memory for is known ---- */

#define PLANNED_REQUESTS 256u

/* The requests of make(). */
static unsigned requests_of(const struct access *access)
{
	return access->kind == ACCESS_MODIFY ? 2 : 1;
}

static bool is_lock(const struct access *access)
{
	return access->region == ACCESS_TAKES_LOCK || access->region == ACCESS_GIVES_LOCK;
}

/* Tells the memory of the next requests, up to a lock, whose own are not known. Returns how many it has taken. */
static size_t plan(const struct access_cores *cores, const struct access *accesses, size_t count)
{
	struct access request[PLANNED_REQUESTS + 1];
	size_t requests = 0;
	for (size_t i = 0; i < count && requests < PLANNED_REQUESTS && !is_lock(&accesses[i]); i++) {
		request[requests] = accesses[i];
		if (accesses[i].kind == ACCESS_MODIFY) {
			request[requests++].kind = ACCESS_LOAD;
			request[requests] = accesses[i];
			request[requests].kind = ACCESS_STORE;
		}
		requests++;
	}
	return memory_plan(cores->machine->memory, request, requests);
}

static void run_one_core(struct access_cores *cores, const struct access *accesses, size_t count)
{
	size_t planned = 0;
	for (size_t i = 0; i < count; i++) {
		if (planned == 0)
			planned = plan(cores, accesses + i, count - i);
		make(cores, &cores->machine->cores[0], &accesses[i]);
		size_t made = requests_of(&accesses[i]);
		planned -= made < planned ? made : planned;
	}
}

static void run_cores(struct access_cores *cores, const struct access *accesses, size_t count)
{
	struct machine *machine = cores->machine;
	for (size_t i = 0; i < count; i++) {
		unsigned cpu = accesses[i].cpu % machine->cpus;
		struct access_queue *queue = &cores->queues[cpu];
		if (!queue->awake)
			wake(cores, cpu);
		queue_add(queue, &accesses[i]);
		cores->waiting++;
		if (queue->count == ACCESS_CORES_AHEAD)
			let_sleep(cores);
		/* After each access, so that it does not matter how the trace is cut into batches. */
		while (run_last(cores))
			;
	}
}

void access_cores_run(struct access_cores *cores, const struct access *accesses, size_t count)
{
	if (cores->machine->cpus > 1) {
		run_cores(cores, accesses, count);
	} else {
		if (cores->cpu)
			*cores->cpu = 0;
		run_one_core(cores, accesses, count);
	}
	memory_settle(cores->machine->memory);
}

void access_cores_finish(struct access_cores *cores)
{
	struct machine *machine = cores->machine;
	while (cores->waiting > 0) {
		let_sleep(cores);
		SIM_ASSERT(run_last(cores)); /* else a lock was taken that nobody gives up */
	}
	for (unsigned cpu = 0; cpu < machine->cpus; cpu++) {
		struct core *core = &machine->cores[cpu];
		cycle done = core_wait_for_loads(core, core->started);
		spend_until(core, done);
	}
	memory_settle(machine->memory);
}

cycle access_cores_now(const struct access_cores *cores)
{
	cycle now = 0;
	for (unsigned cpu = 0; cpu < cores->machine->cpus; cpu++)
		if (cores->machine->cores[cpu].started > now)
			now = cores->machine->cores[cpu].started;
	return now;
}
