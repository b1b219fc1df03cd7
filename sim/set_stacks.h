/* SPDX-License-Identifier: MIT
 *
 * set_stacks.h - an LRU stack for each set: the misses of every associativity of a number of sets in one pass.
 *
 * With the set of a block given, a set-associative LRU level of w ways hits the accesses whose distance within their own set is
 * below w (Mattson et al. 1970; Hill, Smith: Evaluating associativity in CPU caches, IEEE Transactions on Computers 38, 1989).
 * The set is the block number modulo the number of sets, as caches and TLBs of one level with a linear index have it.
 *
 * Stacks are `ways` deep; what lies deeper misses in all of them. Law: accesses = misses(w) + hits at depths below w, any w.
 */
#ifndef SIM_SET_STACKS_H
#define SIM_SET_STACKS_H

#include "sim/base.h"

#define SET_STACKS_WAYS_MAX 4096u
/* Sets times ways, of 8 bytes of host memory each. */
#define SET_STACKS_PLACES_MAX (1ull << 27)

struct set_stacks {
	uint64_t sets;
	uint32_t ways;
	uint64_t *stack; /* owned; each set's blocks, the one used last first; NO_BLOCK behind them */
	uint64_t *at;    /* owned; hits at each depth */
	uint64_t accesses;
};

/* No block has this number: blocks are larger than a byte. */
#define SET_STACKS_NO_BLOCK UINT64_MAX

void set_stacks_init(struct set_stacks *stacks, uint64_t sets, uint32_t ways);
void set_stacks_release(struct set_stacks *stacks);
void set_stacks_count(struct set_stacks *stacks, const uint64_t *blocks, size_t count);
/* Misses of 1..ways ways. */
uint64_t set_stacks_misses(const struct set_stacks *stacks, uint32_t ways);
void set_stacks_check(const struct set_stacks *stacks);

#endif
