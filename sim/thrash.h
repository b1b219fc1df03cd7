/* SPDX-License-Identifier: MIT
 *
 * thrash.h - does a TLB or a cache throw out what it will want again at once?
 *
 * The account of one level, fed by its evictions and misses. A miss on a block (a page, a line) that the level evicted at most
 * `window` of its accesses earlier is a re-miss. A block that was re-missed PING_PONG_REMISSES times goes to and fro.
 *
 *     thrash index = remisses / accesses        0: nothing that was thrown out was wanted again within the window
 *                                               1: every access missed on what had just been thrown out
 *
 * With the level's number of entries as the window, an access sequence that goes round and round over n blocks of a fully
 * associative LRU level of e entries has the index 0 for n <= e (all hit), tends to 1 for e < n <= 2e, and is 0 beyond, where a
 * level twice as large would not help either: shortage, not thrashing. Streams that never come back have the index 0.
 *
 * Laws: unused_evictions <= evictions; remisses <= misses <= accesses; remisses <= evictions.
 * Memory: one slot of 16 bytes, at most half of the slots full, for each block evicted within the window or ever re-missed.
 */
#ifndef SIM_THRASH_H
#define SIM_THRASH_H

#include "sim/base.h"

/* A block that is thrown out and wanted again this often is not an accident of one phase change. */
#define PING_PONG_REMISSES 4

struct thrash_slot {
	uint64_t block;   /* plus 1; 0 = empty */
	uint64_t evicted; /* the level's access number at the last eviction, with the number of re-misses in the top bits */
};

struct thrash {
	uint64_t window;
	uint64_t evictions, unused_evictions, remisses;
	uint64_t ping_pong_blocks;
	struct thrash_slot *slots; /* open addressing, capacity a power of two; owned */
	uint64_t capacity, used;
};

/* window in accesses of the level, 1 and more. */
void thrash_init(struct thrash *thrash, uint64_t window);
void thrash_release(struct thrash *thrash);

/* The level's `now`th access (1, 2, ...) evicted a block; used: it was hit since it came. block is below 2^63. */
void thrash_evicted(struct thrash *thrash, uint64_t block, bool used, uint64_t now);
/* The level's `now`th access missed on a block. To be told before the eviction that the miss causes. */
void thrash_missed(struct thrash *thrash, uint64_t block, uint64_t now);

/* remisses / accesses, 0 for a level without accesses. */
double thrash_index(const struct thrash *thrash, uint64_t accesses);

void thrash_check(const struct thrash *thrash);

#endif
