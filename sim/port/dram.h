/* SPDX-License-Identifier: MIT
 *
 * dram.h - the port of main memory: when a line that no cache has arrives, and when a line that goes has been taken.
 *
 * Models: models/dram/{fixed,ddr}.c. A model embeds struct dram as its first member.
 *
 * It has one verb. A memory reserves what the line uses (a queue's entry, a bank, the data bus) and answers at once with the
 * cycle; who comes earlier waits, and there are no call-backs. Reservations are made in the order of calls. Cores run a little
 * apart, so `now` may be smaller than one seen before by some hundred cycles: such a request is served with what the earlier
 * calls left.
 */
#ifndef SIM_PORT_DRAM_H
#define SIM_PORT_DRAM_H

#include "sim/base.h"

struct settings;
struct metric;
struct dram;

struct dram_ops {
	const char *name;
	const char *help;
	/* See dram_access(). */
	cycle (*access)(struct dram *, uint64_t physical, bool is_write, cycle now);
	void (*check)(const struct dram *);
	const struct metric *metrics;
	const void *(*counters)(const struct dram *);
	void (*destroy)(struct dram *);
};

struct dram {
	const struct dram_ops *ops;
};

struct dram_wiring {
	const struct settings *settings; /* machine.dram, machine.frequency, machine.cache_line; not kept */
};

/*
 * Moves the line (machine.cache_line) that holds the physical address, from `now` on, in cycles of the core clock. Returns, never
 * before `now`, the cycle at which a read's data has arrived, or at which the memory controller has taken a write's.
 */
static inline cycle dram_access(struct dram *dram, uint64_t physical, bool is_write, cycle now)
{
	cycle done = dram->ops->access(dram, physical, is_write, now);
	SIM_ASSERT(done >= now);
	return done;
}

static inline void dram_check(const struct dram *dram)
{
	dram->ops->check(dram);
}

static inline void dram_destroy(struct dram *dram)
{
	if (dram)
		dram->ops->destroy(dram);
}

#endif
