/* SPDX-License-Identifier: MIT
 *
 * memory.h - the port that answers what an access of a core costs.
 *
 * Models: models/memory/{ideal,hierarchy}.c (a fixed number of cycles per level). A component answers with the cycle at which it
 * will be done: it reserves what it uses, and who comes earlier waits. There are no call-backs.
 */
#ifndef SIM_PORT_MEMORY_H
#define SIM_PORT_MEMORY_H

#include "sim/base.h"
#include "sim/steps.h"

struct cache_hierarchy;
struct layout;
struct mmu;
struct settings;
struct metric;
struct memory;

struct memory_ops {
	const char *name;
	const char *help;
	/* The cycle at which an access that starts at `now` is done; never before `now`. kind is STEP_READ, STEP_WRITE or
	 * STEP_ATOMIC. */
	cycle (*access)(struct memory *, unsigned cpu, vaddr, uint32_t bytes, enum step_kind kind, cycle now);
	void (*check)(const struct memory *);
	const struct metric *metrics;
	const void *(*counters)(const struct memory *);
	void (*destroy)(struct memory *);
};

struct memory {
	const struct memory_ops *ops;
};

struct memory_wiring {
	const struct settings *settings;
	/* These outlive the memory; NULL: the machine has none. */
	struct cache_hierarchy *caches;
	struct mmu *mmu; /* one for each core */
	const struct layout *layout;
};

static inline cycle memory_access(struct memory *memory, unsigned cpu, vaddr at, uint32_t bytes, enum step_kind kind, cycle now)
{
	cycle done = memory->ops->access(memory, cpu, at, bytes, kind, now);
	SIM_ASSERT(done >= now);
	return done;
}

static inline void memory_destroy(struct memory *memory)
{
	if (memory)
		memory->ops->destroy(memory);
}

#endif
