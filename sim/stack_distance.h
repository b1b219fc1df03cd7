/* SPDX-License-Identifier: MIT
 *
 * stack_distance.h - LRU stack distances: one pass over a stream of blocks, and the misses of every size are known.
 *
 * The distance of an access is the number of different blocks accessed since the last access to the same block; of a first access
 * it is infinite. A fully associative LRU level of n entries misses exactly where the distance is n or more (Mattson, Gecsei,
 * Slutz, Traiger: Evaluation techniques for storage hierarchies, 1970). A level of s sets is s such levels, each for the blocks
 * of its set, so distances within sets give the misses of every number of ways (Hill, Smith: Evaluating associativity in CPU
 * caches, 1989).
 *
 * stack_distances keeps the whole stack: the most recent blocks in an array in order; the others by the time at which they left
 * it, a bit for each moment that is some block's last, with counts of set bits over growing stretches, so that "how many blocks
 * came later" is a sum of few numbers (after Bennett, Kruskal: LRU stack processing, 1975, with their tree made flat). Memory:
 * about 30 bytes for each different block.
 *
 * set_distances keeps the most recent blocks of each set up to a number of ways; what is further down counts as infinite.
 *
 * Laws: the counts of all distances, infinite among them, add up to the accesses; misses fall as sizes grow.
 */
#ifndef SIM_STACK_DISTANCE_H
#define SIM_STACK_DISTANCE_H

#include "sim/base.h"

/* The distance of a first access. */
#define DISTANCE_INFINITE UINT64_MAX

/* The most recent blocks, which are looked at first. */
#define DISTANCE_FRONT 16u

#define DISTANCE_STEPS 3

struct stack_distances {
	uint64_t front[DISTANCE_FRONT]; /* most recent first */
	unsigned front_count;
	struct distance_slot *slots;      /* of blocks that have left the front: open addressing; owned */
	uint64_t capacity, used;          /* a power of two, at most half full of live and deserted slots */
	uint64_t live;                    /* blocks that have left the front and not come back */
	uint32_t *slot_at;                /* by moment, the slot of the block that left then; owned */
	uint64_t *bits;                   /* by moment, whether a block left then and has not come back; owned */
	uint32_t *set_in[DISTANCE_STEPS]; /* set bits in stretches of three lengths; owned */
	uint64_t moments, now;            /* room, and the next moment */
	uint64_t *count;                  /* accesses by distance, up to counts; owned */
	uint64_t counts;
	uint64_t infinite, accesses;
};

void stack_distances_init(struct stack_distances *distances);
void stack_distances_release(struct stack_distances *distances);

/* One access to a block, which is below 2^63. Returns its distance and counts it. */
uint64_t stack_distances_access(struct stack_distances *distances, uint64_t block);

/* Many accesses in order; faster, as the host need not wait for each. */
void stack_distances_run(struct stack_distances *distances, const uint64_t *blocks, size_t count);

/* Takes a block out of the stack, as if it had never been accessed; false if it was not there. What was counted stays. */
bool stack_distances_forget(struct stack_distances *distances, uint64_t block);

/* Misses of a fully associative LRU level of that many entries. */
uint64_t stack_distances_misses(const struct stack_distances *distances, uint64_t entries);

/* Different blocks in the stack. */
uint64_t stack_distances_blocks(const struct stack_distances *distances);

void stack_distances_check(const struct stack_distances *distances);

struct set_distances {
	uint64_t sets, ways;
	uint64_t *blocks; /* sets x ways, each set most recent first, plus 1; 0: nothing; owned */
	uint64_t *count;  /* accesses by distance below ways; owned */
	uint64_t further, accesses;
};

/* sets x ways is at most 2^28. A block's set is its number modulo sets. */
void set_distances_init(struct set_distances *distances, uint64_t sets, uint64_t ways);
void set_distances_release(struct set_distances *distances);
void set_distances_access(struct set_distances *distances, uint64_t block);
/* Misses of an LRU level of those sets and 1..ways ways. */
uint64_t set_distances_misses(const struct set_distances *distances, uint64_t ways);

#endif
