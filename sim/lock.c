/* SPDX-License-Identifier: MIT
 *
 * lock.c - locks by address and their queues (interface and invariants: lock.h).
 */
#include "sim/lock.h"

#include <stdlib.h>
#include <string.h>

void lock_table_init(struct lock_table *locks)
{
	*locks = (struct lock_table){.capacity = 64};
	locks->slots = xcalloc(locks->capacity, sizeof(struct lock *));
	locks->in_order = xcalloc(locks->capacity, sizeof(struct lock *));
}

void lock_table_release(struct lock_table *locks)
{
	for (uint32_t index = 0; index < locks->count; index++)
		free(locks->in_order[index]);
	free(locks->in_order);
	free(locks->slots);
	*locks = (struct lock_table){0};
}

static struct lock **slot_of(struct lock_table *locks, uint64_t address)
{
	uint32_t index = (uint32_t)((address * 0x9e3779b97f4a7c15u) >> 32) & (locks->capacity - 1);
	while (locks->slots[index] && locks->slots[index]->address != address)
		index = (index + 1) & (locks->capacity - 1);
	return &locks->slots[index];
}

static void grow(struct lock_table *locks)
{
	locks->capacity *= 2;
	free(locks->slots);
	locks->slots = xcalloc(locks->capacity, sizeof(struct lock *));
	locks->in_order = xrealloc(locks->in_order, locks->capacity * sizeof(struct lock *));
	for (uint32_t index = 0; index < locks->count; index++)
		*slot_of(locks, locks->in_order[index]->address) = locks->in_order[index];
}

struct lock *lock_at(struct lock_table *locks, uint64_t address)
{
	struct lock **slot = slot_of(locks, address);
	if (*slot)
		return *slot;
	if (2 * (locks->count + 1) > locks->capacity) {
		grow(locks);
		slot = slot_of(locks, address);
	}
	struct lock *lock = xcalloc(1, sizeof *lock);
	lock->address = address;
	lock->holder = LOCK_FREE;
	*slot = lock;
	locks->in_order[locks->count++] = lock;
	return lock;
}

bool lock_try(struct lock *lock, unsigned cpu)
{
	SIM_ASSERT(cpu < CPUS_MAX && lock->holder != cpu);
	if (lock->holder != LOCK_FREE)
		return false;
	lock->holder = cpu;
	lock->acquisitions++;
	return true;
}

void lock_queue(struct lock *lock, unsigned cpu)
{
	SIM_ASSERT(lock->holder != LOCK_FREE && lock->waiters < CPUS_MAX);
	if (lock->waiters == 0)
		lock->first_is_pending = true;
	lock->queue[lock->waiters++] = (uint16_t)cpu;
	lock->waits++;
}

uint32_t lock_release(struct lock *lock, unsigned cpu, cycle at)
{
	SIM_ASSERT(lock->holder == cpu);
	lock->releases++;
	lock->free_at = at;
	if (lock->waiters == 0) {
		lock->holder = LOCK_FREE;
		return LOCK_FREE;
	}
	lock->holder = lock->queue[0];
	lock->waiters--;
	memmove(lock->queue, lock->queue + 1, lock->waiters * sizeof lock->queue[0]);
	lock->first_is_pending = false;
	lock->acquisitions++;
	lock->hand_overs++;
	return lock->holder;
}

void lock_table_check(const struct lock_table *locks)
{
	for (uint32_t index = 0; index < locks->count; index++) {
		const struct lock *lock = locks->in_order[index];
		SIM_ASSERT(lock->holder != LOCK_FREE || lock->waiters == 0);
		SIM_ASSERT(lock->acquisitions == lock->releases + (lock->holder != LOCK_FREE));
		SIM_ASSERT(lock->waits <= lock->acquisitions + lock->waiters);
		SIM_ASSERT(lock->hand_overs <= lock->waits);
		SIM_ASSERT(lock->waits > 0 || lock->wait_cycles == 0);
		SIM_ASSERT(lock->wait_cycles <= lock->take_cycles);
	}
}
