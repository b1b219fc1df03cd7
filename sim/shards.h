/* SPDX-License-Identifier: MIT
 *
 * shards.h - miss curves from a sample of the blocks: SHARDS (Waldspurger, Park, Garthwaite, Ahmad: Efficient MRC construction
 * with SHARDS, FAST 2015).
 *
 * A block is in the sample if its hash is below a threshold, so all its accesses are in or none. With the share R of blocks in
 * the sample, a distance of d there stands for d / R, and an access for 1 / R accesses. Fixed rate: R stays. Fixed size: the
 * sample holds at most blocks_max blocks; when one more comes, the threshold sinks to the highest hash in the sample, and that
 * block goes; an access counts for the 1 / R of its time (the paper scales what was counted instead, which is the same sum).
 * SHARDS-adj: what the sample's weights lack (or have too much) of all accesses is taken for accesses of distance 0.
 *
 * The error is told from the sample itself: its blocks fall by their hash into SHARDS_GROUPS groups, each a sample of the share
 * R / SHARDS_GROUPS with stacks and estimate of its own; their spread gives the standard error of the mean (random groups:
 * Wolter, Introduction to Variance Estimation, chapter 2). What it cannot tell: sizes below 1 / R blocks are not resolved.
 *
 * Memory: with a fixed size, at most (2 blocks_max) * (STACK_BYTES_A_BLOCK + 16) and the buckets; independent of the trace.
 */
#ifndef SIM_SHARDS_H
#define SIM_SHARDS_H

#include "sim/base.h"

#define SHARDS_GROUPS 8u
#define SHARDS_BLOCKS_MIN 64u
#define SHARDS_BLOCKS_MAX (1u << 28)

struct shards;

/* rate in (0, 1]: the share of blocks, to begin with; blocks_max 0: it stays. */
struct shards *shards_create(double rate, uint32_t blocks_max, uint64_t seed);
void shards_destroy(struct shards *shards);
void shards_count(struct shards *shards, const uint64_t *blocks, size_t count);

struct shards_estimate {
	double misses, standard_error; /* of a fully associative LRU level */
};
/* Exact in size below 128 blocks, else of the next lower of 64 steps an octave. */
struct shards_estimate shards_misses(const struct shards *shards, uint64_t size_blocks);

struct shards_facts {
	double rate; /* at the end */
	uint64_t accesses, sampled;
	uint64_t blocks;        /* in the sample */
	double distinct_blocks; /* of the whole trace, estimated */
	double unadjusted;      /* accesses that the sample's weights stand for */
	uint64_t bytes;         /* host memory */
};
struct shards_facts shards_facts(const struct shards *shards);
void shards_check(const struct shards *shards);

#endif
