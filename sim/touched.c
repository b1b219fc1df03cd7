/* SPDX-License-Identifier: MIT
 *
 * touched.c - the set behind the count of touched blocks (interface: touched.h).
 */
#include "sim/touched.h"

#include <stdlib.h>

#define SLOTS_AT_FIRST 256u

void touched_init(struct touched *touched, uint32_t block_bytes)
{
	SIM_ASSERT(block_bytes && (block_bytes & (block_bytes - 1)) == 0);
	*touched = (struct touched){.capacity = SLOTS_AT_FIRST, .op = 1, .shift = (unsigned)__builtin_ctz(block_bytes)};
	touched->slots = xcalloc(touched->capacity, sizeof *touched->slots);
}

void touched_release(struct touched *touched)
{
	free(touched->slots);
	*touched = (struct touched){0};
}

/* The block's slot, or the slot that is free for it. */
static struct touched_slot *slot_of(const struct touched *touched, uint64_t block)
{
	uint64_t at = touched_home(touched, block);
	while (touched->slots[at].op == touched->op && touched->slots[at].block != block)
		at = (at + 1) & (touched->capacity - 1);
	return &touched->slots[at];
}

static void grow(struct touched *touched)
{
	struct touched old = *touched;
	touched->capacity *= 2;
	touched->slots = xcalloc(touched->capacity, sizeof *touched->slots);
	for (uint64_t at = 0; at < old.capacity; at++)
		if (old.slots[at].op == old.op)
			*slot_of(touched, old.slots[at].block) = old.slots[at];
	free(old.slots);
}

void touched_add_blocks(struct touched *touched, uint64_t first, uint64_t last)
{
	for (uint64_t block = first; block <= last; block++) {
		struct touched_slot *slot = slot_of(touched, block);
		if (slot->op == touched->op)
			continue;
		*slot = (struct touched_slot){.block = block, .op = touched->op};
		if (2 * ++touched->count > touched->capacity)
			grow(touched);
	}
}
