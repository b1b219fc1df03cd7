/* SPDX-License-Identifier: MIT
 *
 * core_internal.h - what the files of a core share: core.c (jobs), core_plan.c (what is known of them beforehand), core_steps.c
 * (loads, stores, instructions), core_locks.c, core_ipi.c. Nobody else includes it.
 *
 * `now` is the cycle that the core has come to; functions that let it work or wait return the cycle at which it goes on, and
 * have added the cycles between to the parts of its cost.
 */
#ifndef SIM_CORE_INTERNAL_H
#define SIM_CORE_INTERNAL_H

#include "sim/core.h"

/* A core's own line for queued locks, and the one that other cores announce interrupts in (qnodes, cfd_data). */
static inline uint64_t core_queue_node(const struct machine *machine, unsigned cpu)
{
	return machine->own_lines[cpu];
}

static inline uint64_t core_ipi_line(const struct machine *machine, unsigned cpu)
{
	return core_queue_node(machine, cpu) + machine->line_bytes;
}

static inline cycle core_pay(struct core *core, enum cost_part part, cycle cycles, cycle now)
{
	core->counters.cost.cycles[part] += cycles;
	return now + cycles;
}

/* Waits until `until`, if that is not over. */
static inline cycle core_wait_until(struct core *core, enum cost_part part, cycle until, cycle now)
{
	return until > now ? core_pay(core, part, until - now, now) : now;
}

/* Tells who listens, if it took any time. */
static inline void core_tell(const struct core *core, enum core_span_kind kind, uint64_t what, cycle from, cycle to)
{
	struct core_listener *listener = core->machine->listener;
	if (listener && to > from)
		listener->span(listener, &(struct core_span){core->cpu, kind, what, from, to});
}

/*
 * Whether somebody else comes first: an event that is due, or an op that may still arrive before `now`. If not, the clock is
 * where an event of this core at `now` would have moved it.
 */
static inline bool core_must_wait(struct machine *machine, cycle now)
{
	if (event_queue_next(&machine->queue) <= now)
		return true;
	if (now <= machine->horizon)
		return false;
	if (machine->awaited == 0)
		return true;
	machine->queue.now = now;
	return false;
}

/* core_plan.c: tells the memory of the loads and stores that the core will make next for sure, of which there is one at least. */
void core_plan(struct core *core);

/* Before each load, store and fetch that is a step of its own. */
static inline void core_foresee(struct core *core)
{
	if (core->machine->awaited == 0 || core->machine->cpus > 1)
		return;
	if (core->foreseen == 0)
		core_plan(core);
	core->foreseen--;
}

/* Steps of the first job, from its position on, until somebody else comes first or there are no more. CYCLE_NEVER: the core
 * waits. */
cycle core_run_steps(struct core *core, cycle now);
cycle core_wait_for_loads(struct core *core, cycle now);
/* Waits for what of the fetch lies beyond the first level. */
cycle core_fetch(struct core *core, uint64_t address, uint32_t bytes, cycle now);
cycle core_load(struct core *core, uint64_t address, uint32_t bytes, cycle now);
/* *written: when it has left the store buffer. */
cycle core_store(struct core *core, uint64_t address, uint32_t bytes, cycle now, cycle *written);
cycle core_locked(struct core *core, uint64_t address, uint32_t bytes, cycle now);
cycle core_update(struct core *core, uint64_t address, uint32_t bytes, cycle now);
cycle core_exchange(struct core *core, uint64_t address, uint32_t bytes, cycle now);
cycle core_cmpxchg(struct core *core, uint64_t address, uint32_t bytes, cycle now);
void core_prefetch(struct core *core, uint64_t address, cycle now);
/* Fetches the lines of a piece of code in order, waiting for each beyond the first level, then as core_spend(). */
cycle core_run_code(struct core *core, uint64_t code, uint32_t instructions, cycle now);
cycle core_spend(struct core *core, uint32_t instructions, cycle now);
cycle core_switch_irqs(struct core *core, enum step_irqs which, cycle now);
cycle core_sleep(struct core *core, uint64_t ns, cycle now);

/* CYCLE_NEVER: the core waits now, and will be woken. */
cycle core_lock(struct core *core, uint64_t address, cycle now);
cycle core_unlock(struct core *core, uint64_t address, cycle now);
/* Goes on with the lock that was handed to the core. */
cycle core_take(struct core *core, cycle now);

void core_serve_interrupt(struct event *event, cycle now);
/* pages: from `address` on; of STEP_LEAVE_SPACE what CR3 is loaded with. */
cycle core_invalidate(struct core *core, uint64_t address, uint32_t pages, cycle now);
cycle core_send_ipi(struct core *core, const struct step *step, cycle now);
/* root: STEP_KERNEL_ROOT or an address; bytes: as STEP_SWITCH has them. */
cycle core_load_cr3(struct core *core, uint64_t root, uint32_t bytes, cycle now);
void core_change_table(struct core *core, const struct step *step);
cycle core_wait_for_acks(struct core *core, cycle now);

/* The laws of what was fetched. */
void machine_check_code(const struct machine *machine);

/* Queues the core to go on at a cycle. */
void core_go_on(struct core *core, cycle at);

#endif
