/* SPDX-License-Identifier: MIT
 *
 * core_locks.c - queued spin locks between cores: which lines are touched, by whom and when (rules: core.h).
 *
 * Source: Linux 6.1 kernel/locking/qspinlock.c, queued_spin_lock_slowpath(): the first waiter sets the pending bit and spins on
 * the lock word; the next ones write the tail into the lock word, link themselves behind the one before, and spin on their own
 * node; the head of the queue spins on the lock word.
 */
#include "sim/core_internal.h"

/* The word, and what a node of the queue has that others write: next and locked. */
#define WORD_BYTES 4u
#define NODE_BYTES 16u

/* An access of a core that only spins: nobody pays for it, but lines move. */
static void spin_read(struct core *core, uint64_t address, cycle now)
{
	const struct memory_request request = {
	        .address = address, .bytes = WORD_BYTES, .cpu = (uint16_t)core->cpu, .kind = ACCESS_LOAD, .now = now};
	struct cost cost;
	memory_access(core->machine->memory, &request, &cost);
}

static cycle line_up(struct core *core, struct lock *lock, cycle now)
{
	cycle written;
	uint32_t before = lock->waiters;
	/* Both the pending bit and the tail are set by a locked instruction. */
	now = core_locked(core, lock->address, WORD_BYTES, now);
	if (before > 1 || (before == 1 && !lock->first_is_pending))
		now = core_store(core, core_queue_node(core->machine, lock->queue[before - 1]), NODE_BYTES, now, &written);
	lock_queue(lock, core->cpu);
	core->waits_for = lock;
	core->waits_since = now;
	return CYCLE_NEVER;
}

cycle core_lock(struct core *core, uint64_t address, cycle now)
{
	struct lock *lock = lock_at(&core->machine->locks, address);
	core->asked = now;
	now = core_locked(core, address, WORD_BYTES, now);
	if (!lock_try(lock, core->cpu))
		return line_up(core, lock, now);
	/* Given up already, but the store that says so is still on its way. */
	if (lock->free_at > now) {
		lock->waits++;
		lock->wait_cycles += lock->free_at - now;
		core_tell(core, SPAN_LOCK, address, now, lock->free_at);
	}
	now = core_wait_until(core, COST_LOCK, lock->free_at, now);
	lock->take_cycles += now - core->asked;
	return now;
}

/* The core finds the lock free and takes it, and wakes the one that is the head of the queue now. */
static cycle take(struct core *core, struct lock *lock, cycle now)
{
	struct machine *machine = core->machine;
	cycle written;
	now = core_wait_for_loads(core, core_load(core, lock->address, WORD_BYTES, now));
	if (!core->was_pending && lock->waiters == 0)
		return core_locked(core, lock->address, WORD_BYTES, now);
	now = core_store(core, lock->address, WORD_BYTES, now, &written);
	if (lock->waiters == 0)
		return now;
	struct core *head = &machine->cores[lock->queue[0]];
	if (!core->was_pending) {
		uint64_t node = core_queue_node(machine, head->cpu);
		now = core_store(core, node, NODE_BYTES, now, &written);
		spin_read(head, node, written);
	}
	spin_read(head, lock->address, written);
	return now;
}

cycle core_take(struct core *core, cycle now)
{
	struct lock *lock = core->takes;
	core->takes = NULL;
	now = take(core, lock, now);
	lock->take_cycles += now - core->asked;
	return now;
}

/* The lock was handed to a waiting core at `now`. */
static void end_wait(struct core *core, struct lock *lock, cycle now)
{
	if (now < core->waits_since)
		now = core->waits_since;
	if (now < core->interrupted_until)
		now = core->interrupted_until;
	lock->wait_cycles += now - core->waits_since;
	lock->take_cycles += now - core->asked;
	core->asked = now;
	core_pay(core, COST_LOCK, now - core->waits_since, core->waits_since);
	core_tell(core, SPAN_LOCK, lock->address, core->waits_since, now);
	core->waits_for = NULL;
	core->takes = lock;
	core_go_on(core, now);
}

cycle core_unlock(struct core *core, uint64_t address, cycle now)
{
	struct lock *lock = lock_at(&core->machine->locks, address);
	cycle written;
	now = core_store(core, address, WORD_BYTES, now, &written);
	bool was_pending = lock->first_is_pending;
	uint32_t next = lock_release(lock, core->cpu, written);
	if (next == LOCK_FREE)
		return now;
	struct core *waiter = &core->machine->cores[next];
	waiter->was_pending = was_pending;
	end_wait(waiter, lock, written);
	return now;
}
