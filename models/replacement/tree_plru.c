/* SPDX-License-Identifier: MIT
 *
 * tree_plru.c - a binary tree of bits over the ways, each pointing to the half that was used longer ago.
 *
 * A use turns every bit on the way's path away from it. The way that goes is found by following the bits from the root. Free ways
 * are filled first, the lowest first.
 *
 * Any number of ways: the tree has a leaf for each number up to the next power of two, ways are its first leaves, and a node
 * whose right half has no way at all is passed to the left without looking at its bit.
 *
 * Node 1 is the root, node n has the children 2n and 2n+1; bit n of the set's state belongs to node n and is 1 if the right half
 * is the older one. Source: Al-Zoubi, Milenkovic, Milenkovic, Performance Evaluation of Cache Replacement Policies for the SPEC
 * CPU2000 Benchmark Suite, 2004.
 */
#include "models/replacement/array.h"

extern const struct replacement_ops replacement_tree_plru_ops;
struct replacement *replacement_tree_plru_create(const struct replacement_wiring *wiring, struct error *error);

/* Levels of nodes above the leaves. */
INLINE unsigned depth_of(uint32_t ways)
{
	return ways > 1 ? 32 - (unsigned)__builtin_clz(ways - 1) : 0;
}

INLINE bool bit_of(const uint64_t *bits, uint32_t node)
{
	return bits[node / 64] >> (node % 64) & 1;
}

/* The same as below for a tree whose nodes have all their bits in one word. */
INLINE uint64_t turned_away(uint64_t bits, uint32_t ways, uint32_t way)
{
	for (uint32_t node = way | 1u << depth_of(ways); node > 1; node /= 2)
		bits = (bits & ~(1ull << node / 2)) | (uint64_t)(~node & 1) << node / 2;
	return bits;
}

INLINE uint32_t tree_plru_use(struct replacement *array, uint32_t set, uint32_t way)
{
	uint64_t *bits = state_of(array, set);
	if (array->state_words == 1) {
		*bits = turned_away(*bits, array->ways, way);
		return way;
	}
	/* A leaf's number in the heap, then upward: an even child is the left one, so the right half is older now. */
	for (uint32_t node = way | 1u << depth_of(array->ways); node > 1; node /= 2) {
		uint32_t parent = node / 2;
		uint64_t bit = 1ull << (parent % 64);
		bits[parent / 64] = node % 2 == 0 ? bits[parent / 64] | bit : bits[parent / 64] & ~bit;
	}
	return way;
}

INLINE uint32_t oldest(const struct replacement *array, uint32_t set)
{
	const uint64_t *bits = state_of(array, set);
	uint32_t node = 1;
	for (unsigned below = depth_of(array->ways); below > 0; below--) {
		uint32_t right = 2 * node + 1;
		/* The right half's first leaf, as a way. */
		uint32_t first = (right << (below - 1)) - (1u << depth_of(array->ways));
		node = first < array->ways && bit_of(bits, node) ? right : 2 * node;
	}
	return node - (1u << depth_of(array->ways));
}

INLINE uint32_t tree_plru_insert(struct replacement *array, uint32_t set, uint64_t word, uint64_t payload, uint64_t *evicted,
                                 uint64_t *evicted_payload)
{
	uint32_t way = free_way(array, set);
	if (way == array->ways)
		way = oldest(array, set);
	replace_way(array, set, way, word, payload, evicted, evicted_payload);
	return tree_plru_use(array, set, way);
}

static void tree_plru_remove(struct replacement *array, uint32_t set, uint32_t way)
{
	clear_way(array, set, way);
}

static size_t tree_plru_run(struct replacement *array, const uint64_t *requests, size_t count, struct replacement_miss *misses)
{
	return run_template(array, requests, count, misses, tree_plru_use, tree_plru_insert);
}

#if defined(__x86_64__)
static REPLACEMENT_AVX2 bool take_avx2(struct replacement *array, uint64_t request, uint64_t *evicted)
{
	return take_found(array, request, evicted, replacement_find_avx2, tree_plru_use, tree_plru_insert);
}
#endif

static bool tree_plru_take(struct replacement *array, uint64_t request, uint64_t *evicted)
{
#if defined(__x86_64__)
	if (replacement_has_vectors(array))
		return take_avx2(array, request, evicted);
#endif
	return take_template(array, request, evicted, tree_plru_use, tree_plru_insert);
}

const struct replacement_ops replacement_tree_plru_ops = {
        .name = "tree_plru",
        .help = "bits of a binary tree point to the half that was used longer ago",
        .use = tree_plru_use,
        .insert = tree_plru_insert,
        .remove = tree_plru_remove,
        .run = tree_plru_run,
        .take = tree_plru_take,
};

struct replacement *replacement_tree_plru_create(const struct replacement_wiring *wiring, struct error *error)
{
	uint32_t nodes = wiring->ways > 0 && wiring->ways <= REPLACEMENT_WAYS_MAX ? 1u << depth_of(wiring->ways) : 1;
	return replacement_make(&replacement_tree_plru_ops, wiring, (nodes + 63) / 64, error);
}
