/* SPDX-License-Identifier: MIT
 *
 * order_of_use.h - sets with payloads in the order of use (struct replacement_ops: order_of_use), looked up and turned in place.
 *
 * find  tells the way of a word, and changes nothing
 * use   puts a way's word and payload first and moves those before it up by one
 * push  puts a word that is not there first, and moves all others up by one; the last one goes
 *
 * Each as a plain loop and with AVX2: the same contents. A caller's code is a template that takes the three as constants. With
 * them goes `vectors`, how many of them a set's ways fill, if they fill them and the template knows it, else 0.
 */
#ifndef SIM_ORDER_OF_USE_H
#define SIM_ORDER_OF_USE_H

#include "sim/port/replacement.h"

#if defined(__x86_64__)
#include <immintrin.h>
#define ORDER_HAS_AVX2 1
#endif
#include <string.h>

#define ORDER_INLINE static inline __attribute__((always_inline))

/* Tags have 60 bits, so this folds nothing. */
#define ORDER_NO_FOLD 63u

/* No way: the word is not there. */
#define ORDER_NOWHERE UINT32_MAX

/* Words of a vector; a set is whole vectors, those of its words that are no ways are zero. */
#define ORDER_VECTOR 4u

/* The sets of an array; a power of two of them. */
struct ordered_sets {
	uint64_t *words, *payloads;
	uint64_t set_mask;
	uint32_t ways, stride;
	unsigned fold; /* a tag's bits from here on are folded into the set's number (INDEX_XOR); ORDER_NO_FOLD: none */
};

static inline bool ordered_sets_fit(const struct replacement *array)
{
	return array->ops->order_of_use && array->payloads && array->sets_are_power_of_two;
}

static inline struct ordered_sets ordered_sets_of(const struct replacement *array)
{
	return (struct ordered_sets){.words = array->words,
	                             .payloads = array->payloads,
	                             .set_mask = array->sets - 1,
	                             .ways = array->ways,
	                             .stride = array->stride,
	                             .fold = array->index == INDEX_XOR ? array->index_bits : ORDER_NO_FOLD};
}

/* Where the tag's set begins in words and payloads. `folds`: whether there may be a fold. */
ORDER_INLINE size_t ordered_set(const struct ordered_sets *sets, uint64_t tag, bool folds)
{
	const uint64_t number = folds ? tag ^ tag >> sets->fold : tag;
	return (number & sets->set_mask) * sets->stride;
}

typedef uint32_t ordered_find(const struct ordered_sets *sets, size_t set, uint64_t word, unsigned vectors);
typedef void ordered_use(const struct ordered_sets *sets, size_t set, uint32_t way, uint64_t word, uint64_t payload,
                         unsigned vectors);
typedef void ordered_push(const struct ordered_sets *sets, size_t set, uint64_t word, uint64_t payload, unsigned vectors);

ORDER_INLINE uint32_t ordered_find_plain(const struct ordered_sets *sets, size_t set, uint64_t word, unsigned vectors)
{
	(void)vectors;
	const uint64_t *words = sets->words + set;
	for (uint32_t way = 0; way < sets->ways; way++)
		if (words[way] == word)
			return way;
	return ORDER_NOWHERE;
}

ORDER_INLINE void ordered_use_plain(const struct ordered_sets *sets, size_t set, uint32_t way, uint64_t word, uint64_t payload,
                                    unsigned vectors)
{
	(void)vectors;
	uint64_t *words = sets->words + set, *payloads = sets->payloads + set;
	memmove(words + 1, words, way * sizeof *words);
	memmove(payloads + 1, payloads, way * sizeof *payloads);
	words[0] = word;
	payloads[0] = payload;
}

ORDER_INLINE void ordered_push_plain(const struct ordered_sets *sets, size_t set, uint64_t word, uint64_t payload,
                                     unsigned vectors)
{
	ordered_use_plain(sets, set, sets->ways - 1, word, payload, vectors);
}

#ifdef ORDER_HAS_AVX2

#define ORDER_AVX2 __attribute__((target("avx2")))
#define ORDER_UP_BY_ONE 0x93 /* the permutation that moves each word of a vector up by one and the last to the front */

ORDER_INLINE ORDER_AVX2 __m256i ordered_equal_avx2(const uint64_t *words, __m256i wanted)
{
	return _mm256_cmpeq_epi64(_mm256_loadu_si256((const __m256i *)(const void *)words), wanted);
}

ORDER_INLINE ORDER_AVX2 unsigned ordered_bits_avx2(__m256i equal)
{
	return (unsigned)_mm256_movemask_pd(_mm256_castsi256_pd(equal));
}

/* A set of known length is looked through to its end: branches would cost more. */
ORDER_INLINE ORDER_AVX2 uint32_t ordered_find_avx2(const struct ordered_sets *sets, size_t set, uint64_t word, unsigned vectors)
{
	const uint64_t *words = sets->words + set;
	const __m256i wanted = _mm256_set1_epi64x((long long)word);
	if (!vectors) {
		for (uint32_t way = 0; way < sets->stride; way += ORDER_VECTOR) {
			unsigned equal = ordered_bits_avx2(ordered_equal_avx2(words + way, wanted));
			if (equal)
				return way + (uint32_t)__builtin_ctz(equal);
		}
		return ORDER_NOWHERE;
	}
	__m256i any = ordered_equal_avx2(words, wanted);
	for (unsigned i = 1; i < vectors; i++)
		any = _mm256_or_si256(any, ordered_equal_avx2(words + i * ORDER_VECTOR, wanted));
	if (!ordered_bits_avx2(any))
		return ORDER_NOWHERE;
	unsigned equal = 0;
	for (unsigned i = 0; i < vectors; i++)
		equal |= ordered_bits_avx2(ordered_equal_avx2(words + i * ORDER_VECTOR, wanted)) << i * ORDER_VECTOR;
	return (uint32_t)__builtin_ctz(equal);
}

/* A vector moves up by one, as far as `moves` says, and `before` comes below it. Returns what comes below the next one. */
ORDER_INLINE ORDER_AVX2 __m256i ordered_move_avx2(uint64_t *words, __m256i before, __m256i moves)
{
	const __m256i old = _mm256_loadu_si256((const __m256i *)(const void *)words);
	const __m256i turned = _mm256_permute4x64_epi64(old, ORDER_UP_BY_ONE);
	const __m256i moved = _mm256_blend_epi32(turned, before, 0x03);
	_mm256_storeu_si256((__m256i *)(void *)words,
	                    _mm256_castpd_si256(_mm256_blendv_pd(_mm256_castsi256_pd(old), _mm256_castsi256_pd(moved),
	                                                         _mm256_castsi256_pd(moves))));
	return turned;
}

ORDER_INLINE ORDER_AVX2 void ordered_use_avx2(const struct ordered_sets *sets, size_t set, uint32_t way, uint64_t word,
                                              uint64_t payload, unsigned vectors)
{
	uint64_t *words = sets->words + set, *payloads = sets->payloads + set;
	__m256i word_before = _mm256_set1_epi64x((long long)word), payload_before = _mm256_set1_epi64x((long long)payload);
	__m256i lane = _mm256_setr_epi64x(0, 1, 2, 3);
	const __m256i end = _mm256_set1_epi64x((long long)way + 1);
	const unsigned count = vectors ? vectors : way / ORDER_VECTOR + 1;
	for (unsigned i = 0; i < count; i++) {
		const __m256i moves = _mm256_cmpgt_epi64(end, lane);
		word_before = ordered_move_avx2(words + i * ORDER_VECTOR, word_before, moves);
		payload_before = ordered_move_avx2(payloads + i * ORDER_VECTOR, payload_before, moves);
		lane = _mm256_add_epi64(lane, _mm256_set1_epi64x(ORDER_VECTOR));
	}
}

/* The words of a set of whole vectors move up by one and another comes first. */
ORDER_INLINE ORDER_AVX2 void ordered_shift_avx2(uint64_t *words, uint64_t first, unsigned vectors)
{
	__m256i before = _mm256_set1_epi64x((long long)first);
	for (unsigned i = 0; i < vectors; i++) {
		__m256i *at = (__m256i *)(void *)(words + i * ORDER_VECTOR);
		const __m256i turned = _mm256_permute4x64_epi64(_mm256_loadu_si256(at), ORDER_UP_BY_ONE);
		_mm256_storeu_si256(at, _mm256_blend_epi32(turned, before, 0x03));
		before = turned;
	}
}

ORDER_INLINE ORDER_AVX2 void ordered_push_avx2(const struct ordered_sets *sets, size_t set, uint64_t word, uint64_t payload,
                                               unsigned vectors)
{
	if (!vectors) {
		ordered_use_avx2(sets, set, sets->ways - 1, word, payload, 0);
		return;
	}
	ordered_shift_avx2(sets->words + set, word, vectors);
	ordered_shift_avx2(sets->payloads + set, payload, vectors);
}

#endif

#endif
