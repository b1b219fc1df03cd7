/* SPDX-License-Identifier: MIT
 *
 * lru.c - least recently used: each set stands in the order of use, the latest first, and the last one goes.
 *
 * Moving words is cheaper than counters or links, because a set is one or two cache lines of the host and most uses are of the
 * first ways. run() looks at the first way before all others. Then either one loop looks and moves, or, with AVX2, all ways are
 * compared at once and written back moved by one as far as the way that was found, or to the last: a miss is not a branch.
 */
#include "models/replacement/order.h"

#include <immintrin.h>

extern const struct replacement_ops replacement_lru_ops;
struct replacement *replacement_lru_create(const struct replacement_wiring *wiring, struct error *error);

static uint32_t lru_use(struct replacement *array, uint32_t set, uint32_t way)
{
	return order_to_front(array, set, way);
}

static uint32_t lru_insert(struct replacement *array, uint32_t set, uint64_t word, uint64_t payload, uint64_t *evicted,
                           uint64_t *evicted_payload)
{
	return order_insert(array, set, word, payload, evicted, evicted_payload);
}

static void lru_remove(struct replacement *array, uint32_t set, uint32_t way)
{
	order_remove(array, set, way);
}

/* ---- run ---- */

/* Marks that do not make a word another one. */
#define OTHER_MARKS (WAY_MARKS & ~WAY_VALID)

/* Sets whose words do not stay in the host's nearest cache are fetched this many requests ahead. */
#define AHEAD 12u
#define AHEAD_WORDS_MIN (16u << 10)

/* What the loop knows of the array: in registers, not read anew after each store. */
struct loop {
	const struct replacement *array;
	uint64_t *words;
	uint64_t mask; /* of a linear index; 0: another one, or one set */
	uint32_t stride, ways;
	unsigned tag_shift;
	bool looks_ahead;
};

static struct loop loop_of(const struct replacement *array)
{
	bool linear = array->index == INDEX_LINEAR && array->sets_are_power_of_two;
	return (struct loop){.array = array,
	                     .words = array->words,
	                     .mask = linear ? array->sets - 1 : 0,
	                     .stride = array->stride,
	                     .ways = array->ways,
	                     .tag_shift = array->tag_shift,
	                     .looks_ahead = (uint64_t)array->sets * array->stride >= AHEAD_WORDS_MIN};
}

INLINE uint64_t *set_of(const struct loop *loop, uint64_t request)
{
	uint64_t tag = request >> loop->tag_shift, set = loop->mask ? tag & loop->mask : replacement_set_of(loop->array, tag);
	return loop->words + set * loop->stride;
}

INLINE uint64_t wanted_of(const struct loop *loop, uint64_t request)
{
	return way_word(request >> loop->tag_shift, WAY_VALID);
}

INLINE void look_ahead(const struct loop *loop, const uint64_t *requests, size_t i, size_t count)
{
	if (loop->looks_ahead && i + AHEAD < count)
		__builtin_prefetch(set_of(loop, requests[i + AHEAD]), 1);
}

static size_t run_plain(const struct loop *loop, const uint64_t *requests, size_t count, struct replacement_miss *misses)
{
	size_t missed = 0;
	for (size_t i = 0; i < count; i++) {
		look_ahead(loop, requests, i, count);
		uint64_t *words = set_of(loop, requests[i]), wanted = wanted_of(loop, requests[i]), word = words[0];
		uint64_t marks = requests[i] & OTHER_MARKS;
		if ((word & ~OTHER_MARKS) == wanted) {
			words[0] = word | marks;
			continue;
		}
		uint32_t way = 1;
		for (uint64_t before = word; way < loop->ways; way++) {
			word = words[way];
			words[way] = before;
			before = word;
			if ((word & ~OTHER_MARKS) == wanted)
				break;
		}
		words[0] = marks | (way < loop->ways ? word : wanted);
		misses[missed] = (struct replacement_miss){.evicted = word, .request = (uint32_t)i};
		missed += way == loop->ways;
	}
	return missed;
}

#define AVX2 __attribute__((target("avx2")))
#define LANES 4u
#define WAYS_AVX2 16u

/* From entry WAYS_AVX2 - 1 - n on: n + 1 words of ones, then zeros. */
static const uint64_t first_ones[2 * WAYS_AVX2] = {-1ull, -1ull, -1ull, -1ull, -1ull, -1ull, -1ull, -1ull,
                                                   -1ull, -1ull, -1ull, -1ull, -1ull, -1ull, -1ull, -1ull};

INLINE AVX2 __m256i load(const uint64_t *words)
{
	return _mm256_loadu_si256((const __m256i *)words);
}

/* One request that is not the first way's. Returns whether it missed. */
INLINE AVX2 bool one_avx2(uint64_t *words, uint64_t wanted, uint64_t marks, uint32_t last, uint64_t *evicted, unsigned vectors)
{
	const __m256i others = _mm256_set1_epi64x(OTHER_MARKS), key = _mm256_set1_epi64x((int64_t)(wanted | OTHER_MARKS));
	__m256i old[WAYS_AVX2 / LANES];
	unsigned equal = 0;
	for (unsigned v = 0; v < vectors; v++) {
		old[v] = load(words + v * LANES);
		__m256i same = _mm256_cmpeq_epi64(_mm256_or_si256(old[v], others), key);
		equal |= (unsigned)_mm256_movemask_pd(_mm256_castsi256_pd(same)) << (v * LANES);
	}
	uint32_t way = equal ? (uint32_t)__builtin_ctz(equal) : last;
	*evicted = words[last];
	uint64_t first = (equal ? words[way] : wanted) | marks;
	__m256i before = _mm256_set1_epi64x((int64_t)first);
	const uint64_t *moves = first_ones + WAYS_AVX2 - 1 - way;
	for (unsigned v = 0; v < vectors; v++) {
		__m256i moved = _mm256_blend_epi32(_mm256_permute4x64_epi64(old[v], 0x90), before, 0x03);
		before = _mm256_permute4x64_epi64(old[v], 0xff);
		_mm256_storeu_si256((__m256i *)(words + v * LANES), _mm256_blendv_epi8(old[v], moved, load(moves + v * LANES)));
	}
	return equal == 0;
}

INLINE AVX2 size_t run_vectors(const struct loop *loop, const uint64_t *requests, size_t count, struct replacement_miss *misses,
                               unsigned vectors)
{
	size_t missed = 0;
	for (size_t i = 0; i < count; i++) {
		look_ahead(loop, requests, i, count);
		uint64_t *words = set_of(loop, requests[i]), wanted = wanted_of(loop, requests[i]);
		uint64_t marks = requests[i] & OTHER_MARKS;
		if ((words[0] & ~OTHER_MARKS) == wanted) {
			words[0] |= marks;
			continue;
		}
		misses[missed].request = (uint32_t)i;
		missed += one_avx2(words, wanted, marks, loop->ways - 1, &misses[missed].evicted, vectors);
	}
	return missed;
}

static AVX2 size_t run_avx2(const struct loop *loop, const uint64_t *requests, size_t count, struct replacement_miss *misses)
{
	switch (loop->stride / LANES) {
	case 1:
		return run_vectors(loop, requests, count, misses, 1);
	case 2:
		return run_vectors(loop, requests, count, misses, 2);
	case 3:
		return run_vectors(loop, requests, count, misses, 3);
	default:
		return run_vectors(loop, requests, count, misses, 4);
	}
}

static size_t lru_run(struct replacement *array, const uint64_t *requests, size_t count, struct replacement_miss *misses)
{
	const struct loop loop = loop_of(array);
	if (array->simd >= SIMD_AVX2 && array->ways >= LANES / 2 + 1 && array->ways <= WAYS_AVX2)
		return run_avx2(&loop, requests, count, misses);
	return run_plain(&loop, requests, count, misses);
}

static void lru_check_set(const struct replacement *array, uint32_t set)
{
	order_check_set(array, set);
}

const struct replacement_ops replacement_lru_ops = {
        .name = "lru",
        .help = "the way that was not used for the longest time goes",
        .use = lru_use,
        .insert = lru_insert,
        .remove = lru_remove,
        .run = lru_run,
        .check_set = lru_check_set,
};

struct replacement *replacement_lru_create(const struct replacement_wiring *wiring, struct error *error)
{
	return replacement_make(&replacement_lru_ops, wiring, 0, error);
}
