/* SPDX-License-Identifier: MIT
 *
 * lru_avx512.c - runs of LRU sets with AVX-512 (interface, and what a turn is: lru.h).
 *
 * A run makes lists of turns, eight at a time: the word that each one wants, as it would come in, and its set. Then it takes them
 * one after the other. Of accesses in a row to one line the list has the first only, unless a later one sets marks that it does
 * not: the line is the most recently used one of its set, so the others change nothing.
 *
 * A turn compares a whole set with the wanted word at once, and writes the set back moved. Sets of up to a vector, as first
 * levels have them, branch on whether the word was there: a run of hits or misses is foreseen. Longer sets do without a branch,
 * because lower levels hit and miss by turns.
 */
#include "models/replacement/lru.h"

#include <immintrin.h>

#define AVX512 __attribute__((target("avx512f,avx512vl,avx512dq,avx512bw,bmi,bmi2,popcnt")))

#define WORDS 8u      /* of a vector */
#define HALF_WORDS 4u /* of half of one */
#define VECTORS_MAX (LRU_AVX512_WAYS_MAX / WORDS)

/* Turns of a list: with the accesses that they come from they stay in the host's first-level cache. */
#define TURNS 512u

struct turns {
	size_t count;
	uint64_t word[TURNS + WORDS]; /* the last vector written may reach over the end */
	uint64_t *set[TURNS + WORDS + AHEAD];
	uint32_t request[TURNS + WORDS];
};

/* ---- turns ---- */

/* The ways, a bit for each, that hold the word, marks apart. */
INLINE AVX512 uint32_t same_words(__m512i vector, __m512i word)
{
	return _mm512_testn_epi64_mask(_mm512_xor_si512(vector, word), _mm512_set1_epi64((long long)~OWNERS_MARKS));
}

/* Moves all words before the one at the lowest bit of `stop` up by one, over it. */
INLINE uint32_t moved_up(uint32_t stop)
{
	return stop ^ (stop - 1);
}

/* A turn. Returns whether the word was not there; then *evicted is the one that had to go, 0 if a way was free. */
typedef bool turn_step(uint64_t *words, uint32_t ways, uint64_t word, uint64_t *evicted);

INLINE AVX512 bool turn_half(uint64_t *words, uint32_t ways, uint64_t word, uint64_t *evicted)
{
	__m256i vector = _mm256_loadu_si256((const __m256i *)words), first = _mm256_set1_epi64x((long long)word);
	uint32_t same = _mm256_testn_epi64_mask(_mm256_xor_si256(vector, first), _mm256_set1_epi64x((long long)~OWNERS_MARKS));
	if (!same) {
		*evicted = words[ways - 1];
		__mmask8 in_use = (__mmask8)((1u << ways) - 1);
		_mm256_storeu_si256((__m256i *)words, _mm256_maskz_alignr_epi64(in_use, vector, first, HALF_WORDS - 1));
		return true;
	}
	first = _mm256_set1_epi64x((long long)(words[__builtin_ctz(same)] | word));
	__m256i moved = _mm256_mask_alignr_epi64(vector, (__mmask8)moved_up(same), vector, first, HALF_WORDS - 1);
	_mm256_storeu_si256((__m256i *)words, moved);
	return false;
}

INLINE AVX512 bool turn_1(uint64_t *words, uint32_t ways, uint64_t word, uint64_t *evicted)
{
	__m512i vector = _mm512_loadu_si512(words), first = _mm512_set1_epi64((long long)word);
	uint32_t same = same_words(vector, first);
	if (!same) {
		*evicted = words[ways - 1];
		__mmask8 in_use = (__mmask8)((1u << ways) - 1);
		_mm512_storeu_si512(words, _mm512_maskz_alignr_epi64(in_use, vector, first, WORDS - 1));
		return true;
	}
	first = _mm512_set1_epi64((long long)(words[__builtin_ctz(same)] | word));
	_mm512_storeu_si512(words, _mm512_mask_alignr_epi64(vector, (__mmask8)moved_up(same), vector, first, WORDS - 1));
	return false;
}

INLINE AVX512 bool turn_vectors(uint64_t *words, uint32_t ways, uint64_t word, uint64_t *evicted, unsigned vectors)
{
	const __m512i wanted = _mm512_set1_epi64((long long)word);
	__m512i vector[VECTORS_MAX];
	uint32_t same = 0;
	for (unsigned i = 0; i < vectors; i++) {
		vector[i] = _mm512_loadu_si512(words + i * WORDS);
		same |= same_words(vector[i], wanted) << (i * WORDS);
	}
	uint32_t stop = same | 1u << (ways - 1), moved = moved_up(stop);
	uint64_t old = words[__builtin_ctz(stop)];
	*evicted = old;
	/* Only the last word of it counts; a choice of two numbers would become a branch. */
	__m512i marks = _mm512_maskz_set1_epi64((__mmask8)((same != 0) << (WORDS - 1)), (long long)old);
	__m512i before = _mm512_or_si512(wanted, marks);
	for (unsigned i = 0; i < vectors; i++) {
		_mm512_storeu_si512(words + i * WORDS, _mm512_mask_alignr_epi64(vector[i], (__mmask8)(moved >> (i * WORDS)),
		                                                                vector[i], before, WORDS - 1));
		before = vector[i];
	}
	return !same;
}

INLINE AVX512 bool turn_2(uint64_t *words, uint32_t ways, uint64_t word, uint64_t *evicted)
{
	return turn_vectors(words, ways, word, evicted, 2);
}

INLINE AVX512 bool turn_3(uint64_t *words, uint32_t ways, uint64_t word, uint64_t *evicted)
{
	return turn_vectors(words, ways, word, evicted, 3);
}

INLINE AVX512 bool turn_4(uint64_t *words, uint32_t ways, uint64_t word, uint64_t *evicted)
{
	return turn_vectors(words, ways, word, evicted, 4);
}

/* ---- lists of turns, taken ---- */

/* Takes the list's turns. Returns the end of the misses written. `far`: the array is too large for the host's nearest cache. */
INLINE AVX512 struct replacement_miss *take(const struct turns *turns, uint32_t ways, struct replacement_miss *miss,
                                            turn_step *turn, unsigned vectors, bool far)
{
	const size_t count = turns->count;
	for (size_t i = 0; i < count; i++) {
		uint64_t *words = turns->set[i], word = turns->word[i];
		if (far) {
			for (unsigned line = 0; line < vectors; line++)
				__builtin_prefetch(turns->set[i + AHEAD] + line * WORDS, 1);
		} else if (((words[0] ^ word) & ~OWNERS_MARKS) == 0) {
			/* A store here would hold up the vector that is read next. */
			if ((words[0] | word) != words[0])
				words[0] |= word;
			continue;
		}
		miss->request = turns->request[i];
		miss += turn(words, ways, word, &miss->evicted);
	}
	return miss;
}

#define TAKE(name, turn, vectors, far) \
	static AVX512 struct replacement_miss *name(const struct turns *turns, uint32_t ways, struct replacement_miss *miss) \
	{ \
		return take(turns, ways, miss, turn, vectors, far); \
	}

TAKE(take_half, turn_half, 1, false)
TAKE(take_1, turn_1, 1, false)
TAKE(take_2, turn_2, 2, false)
TAKE(take_3, turn_3, 3, false)
TAKE(take_4, turn_4, 4, false)
TAKE(take_half_far, turn_half, 1, true)
TAKE(take_1_far, turn_1, 1, true)
TAKE(take_2_far, turn_2, 2, true)
TAKE(take_3_far, turn_3, 3, true)
TAKE(take_4_far, turn_4, 4, true)

typedef struct replacement_miss *take_function(const struct turns *, uint32_t ways, struct replacement_miss *);

/* By whole vectors of a set. */
static take_function *const takes[2][1 + VECTORS_MAX] = {{take_half, take_1, take_2, take_3, take_4},
                                                         {take_half_far, take_1_far, take_2_far, take_3_far, take_4_far}};

/* ---- lists of requests ---- */

/* The first `count` of a vector's words; all if there are more. */
INLINE __mmask8 first_words(size_t count)
{
	return (__mmask8)(count < WORDS ? (1u << count) - 1 : 0xff);
}

/* The sets of eight tags. */
INLINE AVX512 __m512i sets_of(const struct replacement *array, __m512i tags)
{
	if (!array->sets_are_power_of_two) {
		uint64_t each[WORDS];
		_mm512_storeu_si512(each, tags);
		for (unsigned i = 0; i < WORDS; i++)
			each[i] = replacement_set_of(array, each[i]);
		return _mm512_loadu_si512(each);
	}
	if (array->index == INDEX_XOR)
		tags = _mm512_xor_si512(tags, _mm512_srl_epi64(tags, _mm_cvtsi32_si128((int)array->index_bits)));
	return _mm512_and_si512(tags, _mm512_set1_epi64(array->sets - 1));
}

/* At most TURNS requests; the first is number `first` of the run. */
static AVX512 void list_requests(const struct replacement *array, const uint64_t *requests, size_t first, size_t count,
                                 struct turns *turns)
{
	const __m128i shift = _mm_cvtsi32_si128((int)array->tag_shift);
	const __m512i stride = _mm512_set1_epi64((long long)(array->stride * sizeof *array->words));
	const __m512i words = _mm512_set1_epi64((long long)(uintptr_t)array->words);
	__m256i number = _mm256_add_epi32(_mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7), _mm256_set1_epi32((int)first));
	for (size_t i = 0; i < count; i += WORDS) {
		__m512i request = _mm512_maskz_loadu_epi64(first_words(count - i), requests + first + i);
		__m512i tag = _mm512_srl_epi64(request, shift);
		__m512i marks = _mm512_or_si512(_mm512_and_si512(request, _mm512_set1_epi64((long long)OWNERS_MARKS)),
		                                _mm512_set1_epi64((long long)WAY_VALID));
		__m512i set = _mm512_add_epi64(words, _mm512_mul_epu32(sets_of(array, tag), stride));
		_mm512_storeu_si512(turns->word + i, _mm512_or_si512(_mm512_slli_epi64(tag, WAY_MARK_BITS), marks));
		_mm512_storeu_si512(turns->set + i, set);
		_mm256_storeu_si256((__m256i *)(turns->request + i), number);
		number = _mm256_add_epi32(number, _mm256_set1_epi32(WORDS));
	}
	for (unsigned i = 0; i < AHEAD; i++)
		turns->set[count + i] = array->words;
	turns->count = count;
}

size_t lru_run_avx512(struct replacement *array, const uint64_t *requests, size_t count, struct replacement_miss *misses)
{
	struct turns turns;
	bool far = (size_t)array->sets * array->stride > NEAR_WORDS;
	take_function *take_list = takes[far][array->stride / WORDS];
	struct replacement_miss *miss = misses;
	for (size_t first = 0; first < count; first += TURNS) {
		list_requests(array, requests, first, count - first < TURNS ? count - first : TURNS, &turns);
		miss = take_list(&turns, array->ways, miss);
	}
	return (size_t)(miss - misses);
}

/* ---- lists of accesses ---- */

bool lru_avx512_takes(const struct replacement_route route[ACCESS_KINDS])
{
	const struct replacement_route *known = NULL;
	for (unsigned kind = 0; kind < ACCESS_KINDS; kind++) {
		const struct replacement_route *here = &route[kind];
		if (!here->words)
			continue;
		known = known ? known : here;
		if (here->tag_shift != known->tag_shift || here->tag_mask != known->tag_mask ||
		    here->set_mask != known->set_mask || here->stride != known->stride || here->ways != known->ways)
			return false;
	}
	return known && known->ways >= LRU_AVX512_WAYS_MIN && known->ways <= LRU_AVX512_WAYS_MAX;
}

/* Routes of one geometry, in tables by kind. */
struct tables {
	uint64_t words[ACCESS_KINDS], marks[ACCESS_KINDS];
	struct replacement_route route;
};

static void make_tables(const struct replacement_route route[ACCESS_KINDS], struct tables *tables)
{
	for (unsigned kind = 0; kind < ACCESS_KINDS; kind++) {
		tables->words[kind] = (uint64_t)(uintptr_t)route[kind].words;
		tables->marks[kind] = WAY_VALID | route[kind].marks;
		if (route[kind].words)
			tables->route = route[kind];
	}
}

/* Where the second word of an access has what. */
#define ACCESS_CPU_SHIFT 32
#define ACCESS_KIND_SHIFT 48
_Static_assert(offsetof(struct access, bytes) == 8 && offsetof(struct access, cpu) == 12 && offsetof(struct access, kind) == 14,
               "an access is two words");

/* A byte for each kind, eight times, added up. */
INLINE AVX512 void add_kinds(uint64_t counts[ACCESS_KINDS], __m512i bytes)
{
	const __m512i even = _mm512_set1_epi64(0x00ff00ff00ff00ff);
	uint64_t sums[2] = {(uint64_t)_mm512_reduce_add_epi64(_mm512_and_si512(bytes, even)),
	                    (uint64_t)_mm512_reduce_add_epi64(_mm512_and_si512(_mm512_srli_epi64(bytes, 8), even))};
	for (unsigned kind = 0; kind < ACCESS_KINDS; kind++)
		counts[kind] += sums[kind % 2] >> (16 * (kind / 2)) & 0xffff;
}

/* At most TURNS accesses, from number `first` of the run on, until one that ends the run. Returns how many. */
static AVX512 size_t list_accesses(const struct tables *tables, const struct access *accesses, size_t first, size_t count,
                                   uint64_t counts[ACCESS_KINDS], struct turns *turns)
{
	const __m512i evens = _mm512_setr_epi64(0, 2, 4, 6, 8, 10, 12, 14), odds = _mm512_setr_epi64(1, 3, 5, 7, 9, 11, 13, 15);
	const __m512i arrays = _mm512_loadu_si512(tables->words), marks_of = _mm512_loadu_si512(tables->marks);
	const __m512i set_mask = _mm512_set1_epi64(tables->route.set_mask);
	const __m512i tag_mask = _mm512_set1_epi64((long long)tables->route.tag_mask);
	const __m512i stride = _mm512_set1_epi64((long long)(tables->route.stride * sizeof(uint64_t)));
	const __m512i in_line = _mm512_set1_epi64((1ll << tables->route.tag_shift) - 1);
	const __m512i cpu_bits = _mm512_set1_epi64(0xffffll << ACCESS_CPU_SHIFT);
	const __m512i cpu = _mm512_set1_epi64((long long)accesses->cpu << ACCESS_CPU_SHIFT);
	const __m512i owners = _mm512_set1_epi64((long long)OWNERS_MARKS), one = _mm512_set1_epi64(1);
	const __m128i shift = _mm_cvtsi32_si128((int)tables->route.tag_shift);
	__m256i number = _mm256_add_epi32(_mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7), _mm256_set1_epi32((int)first));
	__m512i last_word = _mm512_setzero_si512(), last_set = _mm512_setzero_si512(), kinds = _mm512_setzero_si512();
	size_t listed = 0, done = 0;
	while (done < count) {
		const uint64_t *at = &accesses[first + done].address;
		size_t left = count - done;
		__m512i low = _mm512_maskz_loadu_epi64(first_words(2 * left), at);
		__m512i high = _mm512_maskz_loadu_epi64(left > WORDS / 2 ? first_words(2 * left - WORDS) : 0, at + WORDS);
		__m512i address = _mm512_permutex2var_epi64(low, evens, high), rest = _mm512_permutex2var_epi64(low, odds, high);
		__m512i kind = _mm512_srli_epi64(rest, ACCESS_KIND_SHIFT); /* a permutation looks at its lowest three bits */
		__m512i array = _mm512_permutexvar_epi64(kind, arrays), marks = _mm512_permutexvar_epi64(kind, marks_of);
		__m512i bytes = _mm512_and_si512(rest, _mm512_set1_epi64(UINT32_MAX));
		__m512i end = _mm512_sub_epi64(_mm512_add_epi64(address, bytes), one);
		__m512i crosses = _mm512_andnot_si512(in_line, _mm512_xor_si512(address, end));
		__m512i others = _mm512_and_si512(cpu_bits, _mm512_xor_si512(rest, cpu));
		__m512i wrong = _mm512_or_si512(crosses, others);
		uint32_t here = first_words(left), ends = _mm512_test_epi64_mask(wrong, wrong);
		ends = (ends | _mm512_testn_epi64_mask(array, array)) & here;
		if (__builtin_expect(ends != 0, 0))
			here = (ends & (0 - ends)) - 1;
		kinds = _mm512_add_epi64(
		        kinds, _mm512_maskz_sllv_epi64((__mmask8)here, one,
		                                       _mm512_and_si512(_mm512_slli_epi64(kind, 3), _mm512_set1_epi64(0x38))));
		__m512i tag = _mm512_and_si512(_mm512_srl_epi64(address, shift), tag_mask);
		__m512i word = _mm512_or_si512(_mm512_slli_epi64(tag, WAY_MARK_BITS), marks);
		__m512i set = _mm512_add_epi64(array, _mm512_mul_epu32(_mm512_and_si512(tag, set_mask), stride));
		__m512i word_before = _mm512_alignr_epi64(word, last_word, WORDS - 1);
		__m512i set_before = _mm512_alignr_epi64(set, last_set, WORDS - 1);
		/* The same set and word, but for marks that the one before has. */
		__m512i differs = _mm512_andnot_si512(_mm512_and_si512(word_before, owners), _mm512_xor_si512(word, word_before));
		differs = _mm512_or_si512(differs, _mm512_xor_si512(set, set_before));
		__mmask8 listing = (__mmask8)(here & _mm512_test_epi64_mask(differs, differs));
		_mm512_storeu_si512(turns->word + listed, _mm512_maskz_compress_epi64(listing, word));
		_mm512_storeu_si512(turns->set + listed, _mm512_maskz_compress_epi64(listing, set));
		_mm256_storeu_si256((__m256i *)(turns->request + listed), _mm256_maskz_compress_epi32(listing, number));
		listed += (unsigned)__builtin_popcount(listing);
		done += (unsigned)__builtin_popcount(here);
		if (__builtin_expect(ends != 0, 0))
			break;
		number = _mm256_add_epi32(number, _mm256_set1_epi32(WORDS));
		last_word = word;
		last_set = set;
	}
	add_kinds(counts, kinds);
	turns->count = listed;
	return done;
}

size_t lru_run_accesses_avx512(const struct replacement_route route[ACCESS_KINDS], const struct access *accesses, size_t count,
                               struct replacement_ran *ran, struct replacement_miss *misses)
{
	struct tables tables;
	struct turns turns;
	make_tables(route, &tables);
	take_function *take_list = takes[false][tables.route.stride / WORDS];
	struct replacement_miss *miss = misses;
	*ran = (struct replacement_ran){0};
	while (ran->done < count) {
		size_t wanted = count - ran->done < TURNS ? count - ran->done : TURNS;
		size_t taken = list_accesses(&tables, accesses, ran->done, wanted, ran->accesses, &turns);
		miss = take_list(&turns, tables.route.ways, miss);
		ran->done += taken;
		if (taken < wanted)
			break;
	}
	return (size_t)(miss - misses);
}
