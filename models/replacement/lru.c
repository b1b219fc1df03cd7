/* SPDX-License-Identifier: MIT
 *
 * lru.c - least recently used: each set stands in the order of use, the latest first, and the last one goes.
 *
 * Moving words is cheaper than counters or links, because a set is one or two cache lines of the host and most uses are of the
 * first ways. A run takes a set's whole turn in registers, with the widest vectors that the host has: here the plain way and
 * AVX2, in lru_avx512.c AVX-512.
 */
#include "models/replacement/lru.h"
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

/* ---- runs: a set's whole turn in registers ---- */

/* No word: not valid, and yet not zero. */
#define FOUND (WAY_MARKS & ~WAY_VALID)

/* A turn (lru.h). Returns the word that had to go, FOUND if nothing had to because it was there. */
typedef uint64_t turn_step(uint64_t *words, uint32_t ways, uint64_t wanted, uint64_t marks);

INLINE uint64_t turn_plain(uint64_t *words, uint32_t ways, uint64_t wanted, uint64_t marks)
{
	uint64_t before = words[0];
	for (uint32_t way = 1; way < ways; way++) {
		uint64_t word = words[way];
		words[way] = before;
		before = word;
		if ((word & ~OWNERS_MARKS) == wanted) {
			words[0] = word | marks;
			return FOUND;
		}
	}
	words[0] = wanted | marks;
	return before;
}

#define AVX2 __attribute__((target("avx2")))

/* Words of a vector, and the permutation that moves each up by one and the last to the front. */
#define AVX2_WORDS 4u
#define UP_BY_ONE 0x93

/* As turn_plain() for sets of `vectors` vectors, at most four. */
INLINE AVX2 uint64_t turn_avx2(uint64_t *words, uint32_t ways, uint64_t wanted, uint64_t marks, unsigned vectors)
{
	const __m256i key = _mm256_set1_epi64x((long long)wanted);
	const __m256i compared = _mm256_set1_epi64x((long long)~OWNERS_MARKS);
	__m256i vector[4];
	unsigned equal = 0;
	for (unsigned i = 0; i < vectors; i++) {
		vector[i] = _mm256_loadu_si256((const __m256i *)(words + i * AVX2_WORDS));
		__m256i same = _mm256_cmpeq_epi64(_mm256_and_si256(vector[i], compared), key);
		equal |= (unsigned)_mm256_movemask_pd(_mm256_castsi256_pd(same)) << (i * AVX2_WORDS);
	}
	uint32_t way = equal ? (uint32_t)__builtin_ctz(equal) : ways - 1;
	uint64_t old = words[way], first = (equal ? old : wanted) | marks;
	__m256i before = _mm256_set1_epi64x((long long)first), lane = _mm256_setr_epi64x(0, 1, 2, 3);
	const __m256i last = _mm256_set1_epi64x((long long)way + 1);
	for (unsigned i = 0; i < vectors; i++) {
		__m256i turned = _mm256_permute4x64_epi64(vector[i], UP_BY_ONE);
		__m256i moved = _mm256_blend_epi32(turned, before, 0x03);
		__m256i moves = _mm256_cmpgt_epi64(last, lane);
		_mm256_storeu_si256((__m256i *)(words + i * AVX2_WORDS), _mm256_blendv_epi8(vector[i], moved, moves));
		before = turned;
		lane = _mm256_add_epi64(lane, _mm256_set1_epi64x(AVX2_WORDS));
	}
	return equal ? FOUND : old;
}

INLINE AVX2 uint64_t turn_avx2_1(uint64_t *words, uint32_t ways, uint64_t wanted, uint64_t marks)
{
	return turn_avx2(words, ways, wanted, marks, 1);
}

INLINE AVX2 uint64_t turn_avx2_2(uint64_t *words, uint32_t ways, uint64_t wanted, uint64_t marks)
{
	return turn_avx2(words, ways, wanted, marks, 2);
}

INLINE AVX2 uint64_t turn_avx2_3(uint64_t *words, uint32_t ways, uint64_t wanted, uint64_t marks)
{
	return turn_avx2(words, ways, wanted, marks, 3);
}

INLINE AVX2 uint64_t turn_avx2_4(uint64_t *words, uint32_t ways, uint64_t wanted, uint64_t marks)
{
	return turn_avx2(words, ways, wanted, marks, 4);
}

INLINE size_t run_turns(struct replacement *array, const uint64_t *requests, size_t count, struct replacement_miss *misses,
                        turn_step *turn, bool linear, bool far)
{
	const unsigned shift = array->tag_shift;
	const uint32_t ways = array->ways, mask = array->sets - 1;
	const size_t stride = array->stride;
	size_t missed = 0;
	for (size_t i = 0; i < count; i++) {
		uint64_t tag = requests[i] >> shift;
		uint64_t *words = array->words + (linear ? tag & mask : replacement_set_of(array, tag)) * stride;
		if (far && i + AHEAD < count) {
			uint64_t next = requests[i + AHEAD] >> shift;
			const uint64_t *soon = array->words + (linear ? next & mask : replacement_set_of(array, next)) * stride;
			__builtin_prefetch(soon, 1);
			__builtin_prefetch(soon + stride - 1, 1);
		}
		uint64_t wanted = way_word(tag, WAY_VALID), marks = requests[i] & OWNERS_MARKS;
		if ((words[0] & ~OWNERS_MARKS) == wanted) {
			/* A store here would hold up the vector that is read next. */
			if ((words[0] & marks) != marks)
				words[0] |= marks;
			continue;
		}
		uint64_t evicted = turn(words, ways, wanted, marks);
		misses[missed] = (struct replacement_miss){.evicted = evicted, .request = (uint32_t)i};
		missed += evicted != FOUND;
	}
	return missed;
}

static void count_kinds(const struct access *accesses, size_t count, uint64_t counts[ACCESS_KINDS])
{
	for (size_t done = 0, end; done < count; done = end) {
		uint64_t bytes = 0;
		for (end = done; end < count && end < done + KIND_BYTES_MAX; end++)
			bytes += kind_byte(accesses[end].kind);
		add_kind_bytes(counts, bytes);
	}
}

INLINE size_t run_access_turns(const struct replacement_route *route, const struct access *accesses, size_t count,
                               struct replacement_ran *ran, struct replacement_miss *misses, turn_step *turn)
{
	const uint16_t cpu = accesses->cpu;
	size_t missed = 0, i;
	for (i = 0; i < count; i++) {
		const struct access *access = &accesses[i];
		const struct replacement_route *way_in = &route[access->kind];
		uint64_t tag = access->address >> way_in->tag_shift;
		if (tag != (access->address + access->bytes - 1) >> way_in->tag_shift || access->cpu != cpu || !way_in->words)
			break;
		tag &= way_in->tag_mask;
		uint64_t *words = way_in->words + (tag & way_in->set_mask) * way_in->stride;
		uint64_t wanted = way_word(tag, WAY_VALID), marks = way_in->marks;
		if ((words[0] & ~OWNERS_MARKS) == wanted) {
			if ((words[0] & marks) != marks)
				words[0] |= marks;
			continue;
		}
		uint64_t evicted = turn(words, way_in->ways, wanted, marks);
		misses[missed] = (struct replacement_miss){.evicted = evicted, .request = (uint32_t)i};
		missed += evicted != FOUND;
	}
	*ran = (struct replacement_ran){.done = i};
	count_kinds(accesses, i, ran->accesses);
	return missed;
}

#define RUN_ACCESSES(name, attribute, turn) \
	static attribute size_t name(const struct replacement_route *route, const struct access *accesses, size_t count, \
	                             struct replacement_ran *ran, struct replacement_miss *misses) \
	{ \
		return run_access_turns(route, accesses, count, ran, misses, turn); \
	}

RUN_ACCESSES(run_accesses_plain, , turn_plain)
RUN_ACCESSES(run_accesses_avx2_1, AVX2, turn_avx2_1)
RUN_ACCESSES(run_accesses_avx2_2, AVX2, turn_avx2_2)
RUN_ACCESSES(run_accesses_avx2_3, AVX2, turn_avx2_3)
RUN_ACCESSES(run_accesses_avx2_4, AVX2, turn_avx2_4)

typedef size_t run_accesses_function(const struct replacement_route *, const struct access *, size_t, struct replacement_ran *,
                                     struct replacement_miss *);

static run_accesses_function *const runs_accesses_avx2[4] = {run_accesses_avx2_1, run_accesses_avx2_2, run_accesses_avx2_3,
                                                             run_accesses_avx2_4};

/* Vectors of a set if all routes have as many, 0 if not. */
static unsigned common_vectors(const struct replacement_route route[ACCESS_KINDS])
{
	unsigned vectors = 0;
	for (unsigned kind = 0; kind < ACCESS_KINDS; kind++) {
		if (!route[kind].words)
			continue;
		unsigned here = route[kind].stride % AVX2_WORDS ? 0 : route[kind].stride / AVX2_WORDS;
		if (here == 0 || (vectors && here != vectors))
			return 0;
		vectors = here;
	}
	return vectors;
}

static enum simd common_simd(const struct replacement_route route[ACCESS_KINDS])
{
	enum simd simd = SIMD_AVX512;
	for (unsigned kind = 0; kind < ACCESS_KINDS; kind++)
		if (route[kind].words && route[kind].simd < simd)
			simd = route[kind].simd;
	return simd;
}

static size_t lru_run_accesses(const struct replacement_route route[ACCESS_KINDS], const struct access *accesses, size_t count,
                               struct replacement_ran *ran, struct replacement_miss *misses)
{
	enum simd simd = common_simd(route);
	if (simd == SIMD_AVX512 && lru_avx512_takes(route))
		return lru_run_accesses_avx512(route, accesses, count, ran, misses);
	unsigned vectors = common_vectors(route);
	if (simd >= SIMD_AVX2 && vectors >= 1 && vectors <= 4)
		return runs_accesses_avx2[vectors - 1](route, accesses, count, ran, misses);
	return run_accesses_plain(route, accesses, count, ran, misses);
}

#define RUN(name, attribute, turn, linear, far) \
	static attribute size_t name(struct replacement *array, const uint64_t *requests, size_t count, \
	                             struct replacement_miss *misses) \
	{ \
		return run_turns(array, requests, count, misses, turn, linear, far); \
	}

RUN(run_plain, , turn_plain, false, false)
RUN(run_plain_far, , turn_plain, false, true)
RUN(run_avx2_1, AVX2, turn_avx2_1, true, false)
RUN(run_avx2_2, AVX2, turn_avx2_2, true, false)
RUN(run_avx2_3, AVX2, turn_avx2_3, true, false)
RUN(run_avx2_4, AVX2, turn_avx2_4, true, false)
RUN(run_avx2_1_far, AVX2, turn_avx2_1, true, true)
RUN(run_avx2_2_far, AVX2, turn_avx2_2, true, true)
RUN(run_avx2_3_far, AVX2, turn_avx2_3, true, true)
RUN(run_avx2_4_far, AVX2, turn_avx2_4, true, true)

typedef size_t run_function(struct replacement *, const uint64_t *, size_t, struct replacement_miss *);

static run_function *const runs_avx2[2][4] = {{run_avx2_1, run_avx2_2, run_avx2_3, run_avx2_4},
                                              {run_avx2_1_far, run_avx2_2_far, run_avx2_3_far, run_avx2_4_far}};

static size_t lru_run(struct replacement *array, const uint64_t *requests, size_t count, struct replacement_miss *misses)
{
	bool far = (size_t)array->sets * array->stride > NEAR_WORDS;
	bool linear = array->sets_are_power_of_two && array->index == INDEX_LINEAR;
	unsigned vectors = array->stride / AVX2_WORDS;
	if (array->simd == SIMD_AVX512 && array->ways >= LRU_AVX512_WAYS_MIN && array->ways <= LRU_AVX512_WAYS_MAX)
		return lru_run_avx512(array, requests, count, misses);
	if (array->simd >= SIMD_AVX2 && linear && array->ways > 2 && vectors <= 4)
		return runs_avx2[far][vectors - 1](array, requests, count, misses);
	return (far ? run_plain_far : run_plain)(array, requests, count, misses);
}

/* ---- one request ---- */

static bool lru_take(struct replacement *array, uint64_t request, uint64_t *evicted)
{
	return take_template(array, request, evicted, lru_use, lru_insert);
}

/* Sets of so many vectors, without payloads. */
INLINE AVX2 bool take_avx2(struct replacement *array, uint64_t request, uint64_t *evicted, unsigned vectors)
{
	const uint64_t tag = request >> array->tag_shift, wanted = way_word(tag, WAY_VALID), marks = request & OWNERS_MARKS;
	uint64_t *words = array->words + (size_t)replacement_set_of(array, tag) * vectors * AVX2_WORDS;
	if (request & USED_AGAIN)
		return lru_take(array, request, evicted);
	if ((words[0] & ~OWNERS_MARKS) == wanted) {
		if ((words[0] & marks) != marks)
			words[0] |= marks;
		return true;
	}
	uint64_t gone = turn_avx2(words, array->ways, wanted, marks, vectors);
	if (gone == FOUND)
		return true;
	*evicted = gone;
	return false;
}

#define TAKE_ONE(vectors) \
	static AVX2 bool take_avx2_##vectors(struct replacement *array, uint64_t request, uint64_t *evicted) \
	{ \
		return take_avx2(array, request, evicted, vectors); \
	}

TAKE_ONE(1)
TAKE_ONE(2)
TAKE_ONE(3)
TAKE_ONE(4)

static lru_take_function *const takes_avx2[4] = {take_avx2_1, take_avx2_2, take_avx2_3, take_avx2_4};

/* The way to take one request that is made for such sets. */
static lru_take_function *take_of(const struct replacement *array)
{
	if (array->simd == SIMD_AVX2 && !array->payloads && array->stride % AVX2_WORDS == 0 && array->stride <= 4 * AVX2_WORDS &&
	    array->ways > 2)
		return takes_avx2[array->stride / AVX2_WORDS - 1];
	if (array->simd == SIMD_AVX512 && array->ways >= LRU_AVX512_WAYS_MIN && array->ways <= LRU_AVX512_WAYS_MAX)
		return lru_take_avx512(array);
	return lru_take;
}

static void lru_check_set(const struct replacement *array, uint32_t set)
{
	order_check_set(array, set);
}

/* The first way is the one that was used last. */
static bool lru_in_place(const struct replacement *array, uint32_t set, uint32_t way, struct replacement_in_place *use)
{
	return way == 0 && use_changes_nothing(array, set, way, use);
}

const struct replacement_ops replacement_lru_ops = {
        .name = "lru",
        .help = "the way that was not used for the longest time goes",
        .order_of_use = true,
        .use = lru_use,
        .in_place = lru_in_place,
        .insert = lru_insert,
        .remove = lru_remove,
        .run = lru_run,
        .take = lru_take,
        .run_accesses = lru_run_accesses,
        .check_set = lru_check_set,
};

struct replacement *replacement_lru_create(const struct replacement_wiring *wiring, struct error *error)
{
	struct replacement *array = replacement_make(&replacement_lru_ops, wiring, 0, error);
	if (array)
		array->take = take_of(array);
	return array;
}
