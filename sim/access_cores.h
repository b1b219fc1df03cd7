/* SPDX-License-Identifier: MIT
 *
 * access_cores.h - cores that make the accesses of a trace, under the clock: instructions, loads and stores as sim/core.h has
 * them, fetches of code, one stream of accesses a core.
 *
 * Each core runs at its own speed: of all cores that have accesses left, the one whose clock is behind makes its next one. So a
 * core whose accesses have not been read yet holds the others up until they are, or until one of those has
 * ACCESS_CORES_AHEAD waiting; then it is taken to be asleep, and goes on at the clock of the others when its next access comes.
 *
 *   code       an instruction; its fetch costs nothing if the first level has it, else the core waits for what lies beyond
 *   load       core_load;   store: core_store;   load-store: a load that is waited for, and a store
 *   lock       core_lock, core_unlock: a core whose turn has not come makes no access until it has the lock
 *   other      in a trace without code each load or store stands for instructions_per_access instructions
 *
 * MODEL: a trace does not tell which loads an address comes out of: loads are independent of each other, as many at once as
 * machine.core.misses_in_flight says. With 1 each is waited for, which is right for a chase through pointers.
 */
#ifndef SIM_ACCESS_CORES_H
#define SIM_ACCESS_CORES_H

#include "sim/access.h"
#include "sim/core.h"

#define ACCESS_CORES_AHEAD (1u << 20)

struct access_queue {
	struct access *at; /* a ring of `capacity`, a power of two */
	uint32_t first, count, capacity;
	bool awake;
};

struct access_cores {
	struct machine *machine; /* runs nothing else; not owned */
	uint32_t instructions_per_access;
	bool has_code;               /* the trace tells instructions */
	unsigned *cpu;               /* set to the core before each of its accesses; may be NULL */
	struct access_queue *queues; /* one a core; not used with one core */
	uint64_t waiting;            /* accesses in all queues */
};

void access_cores_init(struct access_cores *cores, struct machine *machine, uint32_t instructions_per_access, unsigned *cpu);
void access_cores_release(struct access_cores *cores);

/* Takes accesses in the order of the trace, and makes those whose turn has come. A cpu beyond the machine's is one modulo them.
 */
void access_cores_run(struct access_cores *cores, const struct access *accesses, size_t count);

/* The trace is over: makes all that is left. */
void access_cores_finish(struct access_cores *cores);

/* The clock of the core that is farthest. */
cycle access_cores_now(const struct access_cores *cores);

#endif
