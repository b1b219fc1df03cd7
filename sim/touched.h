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

static inline uint64_t touched_home(const struct touched *touched, uint64_t block)
{
	return (block * 0x9e3779b97f4a7c15u >> 20) & (touched->capacity - 1);
}

/* Blocks `first` to `last` are touched. */
void touched_add_blocks(struct touched *touched, uint64_t first, uint64_t last);

/* Whether the op has touched the block. It may say no although it has: never of the block that was added last to its slot. */
static inline bool touched_knows(const struct touched *touched, uint64_t block)
{
	const struct touched_slot *slot = &touched->slots[touched_home(touched, block)];
	return slot->op == touched->op && slot->block == block;
}

/* The op touches the bytes from `address` on; none if bytes is 0. */
static inline void touched_add(struct touched *touched, uint64_t address, uint64_t bytes)
{
	if (bytes == 0)
		return;
	uint64_t first = address >> touched->shift, last = (address + bytes - 1) >> touched->shift;
	/* Most blocks are touched several times in a row. */
	if (first == last && touched_knows(touched, first))
		return;
	touched_add_blocks(touched, first, last);
}

#endif
