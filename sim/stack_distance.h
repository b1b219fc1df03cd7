/* SPDX-License-Identifier: MIT
 *
 * stack_distance.h - LRU stack distances: for each access, how many other blocks were accessed since its block was last.
 *
 * A fully associative LRU level of n blocks hits exactly the accesses of a distance below n (Mattson, Gecsei, Slutz, Traiger:
 * Evaluation techniques for storage hierarchies, IBM Systems Journal 9, 1970). So one pass gives the misses of every size:
 *
 *     misses(n) = cold + accesses of distance n and more
 *
 * The FRONT blocks used last stand in an array in recency order, for most distances are short (Kim, Hill, Wood: Implementing
 * stack simulation for highly-associative memories, SIGMETRICS 1991). A block that falls out of it gets the next of the
 * time slots; one that comes back gives its slot up. Slots in use are bits, so a distance is FRONT plus the bits behind the
 * block's own, counted by words within a group and by a Fenwick tree over the groups (Bennett, Kruskal: LRU stack processing,
 * IBM Journal of Research and Development 19, 1975; Fenwick 1994). When the slots run out they are numbered anew, from 0.
 * An access costs O(log blocks); memory is at most STACK_BYTES_A_BLOCK a block at any time, whatever the length of the stream.
 *
 * Invariant: blocks = those in the front + slots in use; each slot in use is told by one block of the table.
 * Law: accesses = cold + the sum over all distances.
 */
#ifndef SIM_STACK_DISTANCE_H
#define SIM_STACK_DISTANCE_H

#include "sim/base.h"

/* The distance of a first access. */
#define STACK_COLD UINT64_MAX

/* The number of blocks a stack holds; its caller stops before. */
#define STACK_BLOCKS_MAX (1ull << 30)

/* The most host memory for each block, table and counts being twice there while they grow, above a floor of some 100 KiB. */
#define STACK_BYTES_A_BLOCK 128u

struct stack_distance;

struct stack_distance *stack_distance_create(void);
void stack_distance_destroy(struct stack_distance *stack);

/* One access: its distance, or STACK_COLD. It is not counted. */
uint64_t stack_distance_access(struct stack_distance *stack, uint64_t block);

/* Accesses in order, counted. */
void stack_distance_count(struct stack_distance *stack, const uint64_t *blocks, size_t count);

/* Forgets a block, as if it had never been accessed: distances over it get shorter by one. It must be there. */
void stack_distance_remove(struct stack_distance *stack, uint64_t block);

/* Blocks in the stack, and host memory now. */
uint64_t stack_distance_blocks(const struct stack_distance *stack);
uint64_t stack_distance_bytes(const struct stack_distance *stack);

/* What was counted. at[0 .. distances - 1] are accesses by distance; further ones are 0. */
struct stack_counts {
	const uint64_t *at;
	uint64_t distances, accesses, cold;
};
struct stack_counts stack_distance_counts(const struct stack_distance *stack);

void stack_distance_check(const struct stack_distance *stack);

#endif
