/* SPDX-License-Identifier: MIT
 *
 * set_stacks.c - moving blocks to the front of their set's stack (interface: set_stacks.h).
 */
#include "sim/set_stacks.h"

#include <stdlib.h>

void set_stacks_init(struct set_stacks *stacks, uint64_t sets, uint32_t ways)
{
	SIM_ASSERT(sets > 0 && ways > 0 && ways <= SET_STACKS_WAYS_MAX && sets <= SET_STACKS_PLACES_MAX / ways);
	*stacks = (struct set_stacks){.sets = sets, .ways = ways};
	stacks->stack = xcalloc(sets * ways, sizeof *stacks->stack);
	stacks->at = xcalloc(ways, sizeof *stacks->at);
	for (uint64_t place = 0; place < sets * ways; place++)
		stacks->stack[place] = SET_STACKS_NO_BLOCK;
}

void set_stacks_release(struct set_stacks *stacks)
{
	free(stacks->stack);
	free(stacks->at);
	*stacks = (struct set_stacks){0};
}

/* Puts the block first; returns the depth it had, `ways` if it was not there. */
static uint32_t move_to_front(uint64_t *stack, uint32_t ways, uint64_t block)
{
	uint64_t carried = block;
	for (uint32_t depth = 0; depth < ways; depth++) {
		uint64_t found = stack[depth];
		stack[depth] = carried;
		if (found == block)
			return depth;
		carried = found;
	}
	return ways;
}

void set_stacks_count(struct set_stacks *stacks, const uint64_t *blocks, size_t count)
{
	bool power_of_two = (stacks->sets & (stacks->sets - 1)) == 0;
	for (size_t index = 0; index < count; index++) {
		uint64_t set = power_of_two ? blocks[index] & (stacks->sets - 1) : blocks[index] % stacks->sets;
		uint32_t depth = move_to_front(&stacks->stack[set * stacks->ways], stacks->ways, blocks[index]);
		if (depth < stacks->ways)
			stacks->at[depth]++;
	}
	stacks->accesses += count;
}

uint64_t set_stacks_misses(const struct set_stacks *stacks, uint32_t ways)
{
	SIM_ASSERT(ways > 0 && ways <= stacks->ways);
	uint64_t misses = stacks->accesses;
	for (uint32_t depth = 0; depth < ways; depth++)
		misses -= stacks->at[depth];
	return misses;
}

void set_stacks_check(const struct set_stacks *stacks)
{
	uint64_t inside = 0;
	for (uint64_t set = 0; set < stacks->sets; set++)
		for (uint32_t depth = 0; depth < stacks->ways; depth++) {
			uint64_t block = stacks->stack[set * stacks->ways + depth];
			if (block == SET_STACKS_NO_BLOCK)
				continue;
			SIM_ASSERT(block % stacks->sets == set);
			SIM_ASSERT(depth == 0 || stacks->stack[set * stacks->ways + depth - 1] != SET_STACKS_NO_BLOCK);
			inside++;
		}
	/* What is inside came by a miss, and the full stack's misses never wrap below it. */
	SIM_ASSERT(set_stacks_misses(stacks, stacks->ways) >= inside);
	SIM_ASSERT(set_stacks_misses(stacks, stacks->ways) <= stacks->accesses);
}
