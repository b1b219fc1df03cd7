/* SPDX-License-Identifier: MIT
 *
 * touched.h - how many different blocks (cache lines, pages) one op touches.
 *
 * A set of block numbers that is emptied at no cost: each slot bears the number of the op that wrote it. Invariant: count is the
 * number of slots of the current op, at most half of all.
 */
#ifndef SIM_TOUCHED_H
#define SIM_TOUCHED_H

#include "sim/base.h"

struct touched_slot {
	uint64_t block;
	uint64_t op;
};

struct touched {
	struct touched_slot *slots; /* open addressing, capacity a power of two; owned */
	uint64_t capacity, op;
	uint64_t count; /* of the current op */
	unsigned shift; /* log2 of a block's bytes */
};

/* block_bytes is a power of two. */
void touched_init(struct touched *touched, uint32_t block_bytes);
void touched_release(struct touched *touched);

/* Begins the next op. */
static inline void touched_clear(struct touched *touched)
{
	touched->op++;
	touched->count = 0;
}

/* The op touches the bytes from `address` on; none if bytes is 0. */
void touched_add(struct touched *touched, uint64_t address, uint64_t bytes);

#endif
