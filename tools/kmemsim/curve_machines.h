/* SPDX-License-Identifier: MIT
 *
 * curve_machines.h - the caches or TLBs of described machines (configs/machines/), as levels of a miss curve.
 *
 * A level is taken as LRU, its set being the block number modulo the sets. Levels of one number of sets that serve the same
 * accesses share their stacks, which are as deep as the widest of them.
 */
#ifndef TOOLS_CURVE_MACHINES_H
#define TOOLS_CURVE_MACHINES_H

#include "sim/set_stacks.h"

enum curve_kinds { CURVE_ALL, CURVE_DATA, CURVE_CODE, CURVE_KINDS };

#define CURVE_LEVELS_MAX 256u

struct curve_level {
	char *machine, *name; /* owned; without quotes, backslashes and commas */
	uint64_t entries;
	uint32_t ways;
	unsigned stacks; /* index into stacks[] */
};

struct curve_machines {
	struct curve_level level[CURVE_LEVELS_MAX];
	unsigned levels;
	struct {
		struct set_stacks sets;
		enum curve_kinds kinds;
	} stacks[CURVE_LEVELS_MAX];
	unsigned stacks_count;
};

/* Which levels are wanted. */
struct curve_wanted {
	const char *machines; /* names joined by commas; NULL: all that are there */
	bool tlb;
	uint64_t block_bytes;   /* only levels of lines, or pages, of this size */
	enum curve_kinds kinds; /* only levels that serve some of these; of them, only these accesses */
};

/* On failure there is nothing to release. */
bool curve_machines_read(const struct curve_wanted *wanted, struct curve_machines *machines, struct error *error);
void curve_machines_release(struct curve_machines *machines);

/* Blocks of accesses of these kinds, in order. */
void curve_machines_count(struct curve_machines *machines, enum curve_kinds kinds, const uint64_t *blocks, size_t count);

uint64_t curve_level_misses(const struct curve_machines *machines, const struct curve_level *level);
uint64_t curve_level_accesses(const struct curve_machines *machines, const struct curve_level *level);

/* Of the same sets, ways and accesses: they count the same. */
bool curve_levels_alike(const struct curve_level *left, const struct curve_level *right);

void curve_machines_check(const struct curve_machines *machines);

#endif
