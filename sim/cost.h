/* SPDX-License-Identifier: MIT
 *
 * cost.h - where cycles go: one number for each part that a core may wait for. The parts are the whole; there is no total beside
 * them that could differ.
 *
 * The parts of one access stand in the order of time: the page walk first, then the levels of caches from the core down, what
 * other cores' copies cost, and memory. Somebody who waits only for the end of an access waits for the last parts of it
 * (cost_take_last).
 */
#ifndef SIM_COST_H
#define SIM_COST_H

#include "sim/base.h"

enum cost_part {
	COST_COMPUTE,      /* instructions */
	COST_TLB,          /* lookups in further TLBs, and page walks */
	COST_L1,           /* the first level of caches */
	COST_L2,           /* levels between the first and the last */
	COST_LLC,          /* the last level, and the way to it */
	COST_COHERENCE,    /* lines fetched from other cores, copies of others made invalid */
	COST_DRAM,         /* memory */
	COST_STORE_BUFFER, /* waiting for room in the store buffer, or for it to drain */
	COST_LOCK,         /* waiting for a lock that another core holds */
	COST_IPI,          /* waiting for other cores to acknowledge, and serving their interrupts */
	COST_IO,           /* sleeping until a disk or swap device is done */
	COST_PARTS
};

struct cost {
	uint64_t cycles[COST_PARTS];
};

/* "compute", "tlb", ... as the database and reports name them. */
const char *cost_part_name(enum cost_part part);
const char *cost_part_help(enum cost_part part);

/* A sum that the compiler makes number by number. The parts were just written one by one: a vector of them would have to wait. */
#define COST_ONE_BY_ONE(sum) __asm__("" : "+r"(sum))

/* Nothing costs anything. Number by number: for a struct of this size compilers take a string instruction, which starts slowly.
 */
static inline void cost_clear(struct cost *cost)
{
	for (unsigned part = 0; part < COST_PARTS; part++) {
		uint64_t none = 0;
		COST_ONE_BY_ONE(none);
		cost->cycles[part] = none;
	}
}

static inline uint64_t cost_total(const struct cost *cost)
{
	uint64_t total = 0;
	for (unsigned part = 0; part < COST_PARTS; part++) {
		total += cost->cycles[part];
		COST_ONE_BY_ONE(total);
	}
	return total;
}

static inline void cost_add(struct cost *to, const struct cost *from)
{
	for (unsigned part = 0; part < COST_PARTS; part++)
		to->cycles[part] += from->cycles[part];
}

/* Adds to *to the last `cycles` cycles of an access that took *of, which has at least as many. */
static inline void cost_take_last(struct cost *to, const struct cost *of, uint64_t cycles)
{
	for (unsigned part = COST_PARTS; part-- > 0 && cycles > 0;) {
		uint64_t taken = of->cycles[part] < cycles ? of->cycles[part] : cycles;
		to->cycles[part] += taken;
		cycles -= taken;
	}
	SIM_ASSERT(cycles == 0);
}

#endif
