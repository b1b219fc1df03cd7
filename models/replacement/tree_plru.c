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

/* The bits on a way's path become the same at each use, whatever they were. */
static bool tree_plru_in_place(const struct replacement *array, uint32_t set, uint32_t way, struct replacement_in_place *use)
{
	uint32_t away[2] = {0}; /* from an even child, the left one, and from a right one */
	if (array->ways > 32)   /* as many nodes as replacement_in_place has bits */
		return false;
	for (uint32_t node = way | 1u << depth_of(array->ways); node > 1; node /= 2)
		away[node % 2] |= 1u << node / 2;
	*use = (struct replacement_in_place){
	        .word = &replacement_words(array, set)[way], .state = state_of(array, set), .cleared = away[1], .set = away[0]};
	return true;
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

#if defined(__x86_64__)
/* The lowest way of a set of whole vectors whose word, owner's marks left out, is `wanted`; `ways` if none is. */
INLINE REPLACEMENT_AVX2 uint32_t find_in_full(const uint64_t *words, uint64_t wanted, uint32_t ways)
{
	const __m256i all = _mm256_set1_epi64x((long long)wanted);
	const __m256i compared = _mm256_set1_epi64x((long long)~WAY_OWNERS_MARKS);
	unsigned equal = 0;
	for (uint32_t way = 0; way < ways; way += REPLACEMENT_AVX2_WORDS) {
		__m256i here = _mm256_and_si256(_mm256_loadu_si256((const __m256i *)(const void *)(words + way)), compared);
		equal |= (unsigned)_mm256_movemask_pd(_mm256_castsi256_pd(_mm256_cmpeq_epi64(here, all))) << way;
	}
	return equal ? (uint32_t)__builtin_ctz(equal) : ways;
}

/* The leaf that the bits point to from the root of a tree that is full. */
INLINE uint32_t oldest_in_full(uint64_t bits, unsigned depth)
{
	uint32_t node = 1;
	for (unsigned below = depth; below > 0; below--)
		node = 2 * node + (uint32_t)(bits >> node & 1);
	return node - (1u << depth);
}

/* The nodes above a way of a full tree of 2, 4, 8 or 16 leaves, a bit each, and those of them that a use turns to the right. */
#define NODE_ABOVE(way, depth, up) (1u << (((way) | 1u << (depth)) >> (up)))
#define TURN_ABOVE(way, depth, up) ((~((way) | 1u << (depth)) >> ((up)-1) & 1u) * NODE_ABOVE(way, depth, up))
#define PATH_UP(way, depth) \
	((NODE_ABOVE(way, depth, 1) | NODE_ABOVE(way, depth, 2) | NODE_ABOVE(way, depth, 3) | NODE_ABOVE(way, depth, 4)) & ~1u)
#define TURN_UP(way, depth) \
	((TURN_ABOVE(way, depth, 1) | TURN_ABOVE(way, depth, 2) | TURN_ABOVE(way, depth, 3) | TURN_ABOVE(way, depth, 4)) & ~1u)
#define OF_4_WAYS(what, way, depth) what(way, depth), what((way) + 1u, depth), what((way) + 2u, depth), what((way) + 3u, depth)
#define OF_16_WAYS(what, depth) \
	OF_4_WAYS(what, 0u, depth), OF_4_WAYS(what, 4u, depth), OF_4_WAYS(what, 8u, depth), OF_4_WAYS(what, 12u, depth)

static const uint16_t paths_up[3][16] = {
        {OF_4_WAYS(PATH_UP, 0u, 2)}, {OF_4_WAYS(PATH_UP, 0u, 3), OF_4_WAYS(PATH_UP, 4u, 3)}, {OF_16_WAYS(PATH_UP, 4)}};
static const uint16_t turns_up[3][16] = {
        {OF_4_WAYS(TURN_UP, 0u, 2)}, {OF_4_WAYS(TURN_UP, 0u, 3), OF_4_WAYS(TURN_UP, 4u, 3)}, {OF_16_WAYS(TURN_UP, 4)}};

/* As turned_away() of a tree that is full, of depth 2 to 4. */
INLINE uint64_t turned_in_full(uint64_t bits, unsigned depth, uint32_t way)
{
	return (bits & ~(uint64_t)paths_up[depth - 2][way]) | turns_up[depth - 2][way];
}

/* take() of a tree that is full, has its bits in one word, and whose depth the compiler knows. */
INLINE REPLACEMENT_AVX2 bool take_in_full(struct replacement *array, uint64_t request, uint64_t *evicted, unsigned depth)
{
	const uint32_t ways = 1u << depth;
	uint64_t tag = request >> array->tag_shift, marks = request & WAY_OWNERS_MARKS, wanted = way_word(tag, WAY_VALID);
	uint32_t set = replacement_set_of(array, tag);
	uint64_t *words = replacement_words(array, set), *bits = &array->state[set];
	uint32_t way = find_in_full(words, wanted, ways);
	bool found = way < ways;
	if (found) {
		words[way] |= marks;
	} else {
		way = find_in_full(words, 0, ways);
		if (way == ways)
			way = oldest_in_full(*bits, depth);
		*evicted = words[way];
		words[way] = wanted | marks;
	}
	*bits = turned_in_full(*bits, depth, way);
	return found;
}

static REPLACEMENT_AVX2 bool take_4_avx2(struct replacement *array, uint64_t request, uint64_t *evicted)
{
	return take_in_full(array, request, evicted, 2);
}

static REPLACEMENT_AVX2 bool take_8_avx2(struct replacement *array, uint64_t request, uint64_t *evicted)
{
	return take_in_full(array, request, evicted, 3);
}

static REPLACEMENT_AVX2 bool take_16_avx2(struct replacement *array, uint64_t request, uint64_t *evicted)
{
	return take_in_full(array, request, evicted, 4);
}

/* run() of such a tree: what is used again is used twice, which changes nothing more. */
INLINE REPLACEMENT_AVX2 size_t run_in_full(struct replacement *array, const uint64_t *requests, size_t count,
                                           struct replacement_miss *misses, unsigned depth)
{
	size_t missed = 0;
	for (size_t i = 0; i < count; i++) {
		misses[missed].request = (uint32_t)i;
		missed += !take_in_full(array, requests[i], &misses[missed].evicted, depth);
	}
	return missed;
}

static REPLACEMENT_AVX2 size_t run_4_avx2(struct replacement *array, const uint64_t *requests, size_t count,
                                          struct replacement_miss *misses)
{
	return run_in_full(array, requests, count, misses, 2);
}

static REPLACEMENT_AVX2 size_t run_8_avx2(struct replacement *array, const uint64_t *requests, size_t count,
                                          struct replacement_miss *misses)
{
	return run_in_full(array, requests, count, misses, 3);
}

static REPLACEMENT_AVX2 size_t run_16_avx2(struct replacement *array, const uint64_t *requests, size_t count,
                                           struct replacement_miss *misses)
{
	return run_in_full(array, requests, count, misses, 4);
}

static REPLACEMENT_AVX2 bool take_avx2(struct replacement *array, uint64_t request, uint64_t *evicted)
{
	return take_found(array, request, evicted, replacement_find_avx2, tree_plru_use, tree_plru_insert);
}
#endif

static size_t tree_plru_run(struct replacement *array, const uint64_t *requests, size_t count, struct replacement_miss *misses)
{
#if defined(__x86_64__)
	if (replacement_has_vectors(array)) {
		if (array->ways == 8)
			return run_8_avx2(array, requests, count, misses);
		if (array->ways == 4)
			return run_4_avx2(array, requests, count, misses);
		if (array->ways == 16)
			return run_16_avx2(array, requests, count, misses);
	}
#endif
	return run_template(array, requests, count, misses, tree_plru_use, tree_plru_insert);
}

static bool tree_plru_take(struct replacement *array, uint64_t request, uint64_t *evicted)
{
	return take_template(array, request, evicted, tree_plru_use, tree_plru_insert);
}

typedef bool take_function(struct replacement *, uint64_t request, uint64_t *evicted);

/* The way to take one request that is made for such sets. */
static take_function *take_of(const struct replacement *array)
{
#if defined(__x86_64__)
	if (replacement_has_vectors(array)) {
		/* Caches' usual numbers of ways; what is used again is used twice, which changes nothing more. */
		if (array->ways == 8)
			return take_8_avx2;
		if (array->ways == 4)
			return take_4_avx2;
		return array->ways == 16 ? take_16_avx2 : take_avx2;
	}
#else
	(void)array;
#endif
	return tree_plru_take;
}

const struct replacement_ops replacement_tree_plru_ops = {
        .name = "tree_plru",
        .help = "bits of a binary tree point to the half that was used longer ago",
        .use = tree_plru_use,
        .in_place = tree_plru_in_place,
        .insert = tree_plru_insert,
        .remove = tree_plru_remove,
        .run = tree_plru_run,
        .take = tree_plru_take,
};

struct replacement *replacement_tree_plru_create(const struct replacement_wiring *wiring, struct error *error)
{
	uint32_t nodes = wiring->ways > 0 && wiring->ways <= REPLACEMENT_WAYS_MAX ? 1u << depth_of(wiring->ways) : 1;
	struct replacement *array = replacement_make(&replacement_tree_plru_ops, wiring, (nodes + 63) / 64, error);
	if (array)
		array->take = take_of(array);
	return array;
}
