/* SPDX-License-Identifier: MIT
 *
 * lock.h - spin locks of the simulated kernel, known by the address of their lock word, and the cores that wait for them.
 *
 * Waiters queue in the order of their arrival and are served in that order, as the kernel's queued spin locks do.
 *
 * Invariants: a lock without a holder has no waiters; acquisitions = releases + (1 if held); waits <= acquisitions +
 * waiters; hand-overs <= waits. Wait cycles <= take cycles.
 */
#ifndef SIM_LOCK_H
#define SIM_LOCK_H

#include "sim/base.h"

#define LOCK_FREE UINT32_MAX

struct lock {
	uint64_t address;
	uint32_t holder; /* cpu, or LOCK_FREE */
	uint32_t waiters;
	uint16_t queue[CPUS_MAX]; /* waiting cpus, first served first */
	bool first_is_pending;    /* the first of them came when nobody waited: it spins on the lock word, without a place in the
	                             kernel's queue */
	cycle free_at;            /* when the store that gave it up last has reached memory */
	uint64_t acquisitions, releases, waits, hand_overs, wait_cycles;
	uint64_t take_cycles; /* from asking for it until having it: waits, and the ways of the lock word's line */
};

struct lock_table {
	struct lock **slots; /* open addressing by address, a power of two, at most half full */
	uint32_t capacity, count;
	struct lock **in_order; /* by first use: the order of reports */
};

void lock_table_init(struct lock_table *locks);
void lock_table_release(struct lock_table *locks);

/* The lock at that address, made on first use. */
struct lock *lock_at(struct lock_table *locks, uint64_t address);

/* Takes the lock for `cpu` if nobody holds it. */
bool lock_try(struct lock *lock, unsigned cpu);

/* Puts the cpu behind those that wait for a lock that somebody holds. */
void lock_queue(struct lock *lock, unsigned cpu);

/* Gives the lock up, at that cycle. It passes to the first waiter, whose cpu is returned, or becomes free (LOCK_FREE). */
uint32_t lock_release(struct lock *lock, unsigned cpu, cycle at);

void lock_table_check(const struct lock_table *locks);

#endif
