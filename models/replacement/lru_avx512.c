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

/* What is known of an array's turns before they are taken; each is a loop of its own. */
struct known {
	unsigned vectors; /* of a set; 0: half of one */
	bool marked;      /* the owner sets marks */
	bool far;         /* the array is too large for the host's nearest cache */
	bool foreseen;    /* whether the word is there is nearly always the same: a branch on it costs nothing */
};

/* The ways, a bit for each, that hold the word, marks apart. */
INLINE AVX512 uint32_t same_words(__m512i vector, __m512i word, bool marked)
{
	if (!marked)
		return _mm512_cmpeq_epi64_mask(vector, word);
	return _mm512_testn_epi64_mask(_mm512_xor_si512(vector, word), _mm512_set1_epi64((long long)~OWNERS_MARKS));
}

INLINE AVX512 uint32_t same_words_of_half(__m256i vector, __m256i word, bool marked)
{
	if (!marked)
		return _mm256_cmpeq_epi64_mask(vector, word);
	return _mm256_testn_epi64_mask(_mm256_xor_si256(vector, word), _mm256_set1_epi64x((long long)~OWNERS_MARKS));
}

/* The words that move up by one so that the one at the lowest bit of `stop` is written over. */
INLINE uint32_t moved_up(uint32_t stop)
{
	return stop ^ (stop - 1);
}

/* A turn returns whether the word was not there; then *evicted is the one that had to go, 0 if a way was free. */
INLINE AVX512 bool turn_half(uint64_t *words, uint32_t ways, uint64_t word, uint64_t *evicted, bool marked)
{
	__m256i vector = _mm256_loadu_si256((const __m256i *)words), first = _mm256_set1_epi64x((long long)word);
	uint32_t same = same_words_of_half(vector, first, marked);
	if (!same) {
		*evicted = words[ways - 1];
		__mmask8 in_use = (__mmask8)((1u << ways) - 1);
		_mm256_storeu_si256((__m256i *)words, _mm256_maskz_alignr_epi64(in_use, vector, first, HALF_WORDS - 1));
		return true;
	}
	if (marked)
		first = _mm256_set1_epi64x((long long)(words[__builtin_ctz(same)] | word));
	__m256i moved = _mm256_mask_alignr_epi64(vector, (__mmask8)moved_up(same), vector, first, HALF_WORDS - 1);
	_mm256_storeu_si256((__m256i *)words, moved);
	return false;
}

/* Writes back the vectors of a set, the words before `stop` moved up and `first`'s last word first. */
INLINE AVX512 void write_moved(uint64_t *words, const __m512i *vector, unsigned vectors, __m512i first, uint32_t stop)
{
	uint32_t moved = moved_up(stop);
	for (unsigned i = 0; i < vectors; i++) {
		__m512i above = i ? vector[i - 1] : first;
		_mm512_storeu_si512(words + i * WORDS, _mm512_mask_alignr_epi64(vector[i], (__mmask8)(moved >> (i * WORDS)),
		                                                                vector[i], above, WORDS - 1));
	}
}

INLINE AVX512 bool turn(uint64_t *words, uint32_t ways, uint64_t word, uint64_t *evicted, struct known known)
{
	if (known.vectors == 0)
		return turn_half(words, ways, word, evicted, known.marked);
	const __m512i wanted = _mm512_set1_epi64((long long)word);
	__m512i vector[VECTORS_MAX];
	uint32_t same = 0;
	for (unsigned i = 0; i < known.vectors; i++) {
		vector[i] = _mm512_loadu_si512(words + i * WORDS);
		same |= same_words(vector[i], wanted, known.marked) << (i * WORDS);
	}
	uint32_t last = 1u << (ways - 1);
	if (known.foreseen && !same) {
		*evicted = words[ways - 1];
		write_moved(words, vector, known.vectors, wanted, last);
		return true;
	}
	uint32_t stop = same | last;
	uint64_t old = words[__builtin_ctz(stop)];
	__m512i first = wanted;
	*evicted = old;
	/* Only the last word of the vector counts; a choice between two numbers would become a branch. */
	if (known.marked)
		first = _mm512_or_si512(wanted, _mm512_maskz_set1_epi64((__mmask8)((same != 0) << (WORDS - 1)), (long long)old));
	write_moved(words, vector, known.vectors, first, stop);
	return !same;
}

/* ---- lists of turns, taken ---- */

/* Takes the list's turns. Returns the end of the misses written. */
INLINE AVX512 struct replacement_miss *take(const struct turns *turns, uint32_t ways, struct replacement_miss *miss,
                                            struct known known)
{
	const size_t count = turns->count;
	for (size_t i = 0; i < count; i++) {
		uint64_t *words = turns->set[i], word = turns->word[i];
		for (unsigned line = 0; known.far && line < known.vectors + (known.vectors == 0); line++)
			__builtin_prefetch(turns->set[i + AHEAD] + line * WORDS, 1);
		if (!known.far && ((words[0] ^ word) & ~OWNERS_MARKS) == 0) {
			/* A store here would hold up the vector that is read next. */
			if ((words[0] | word) != words[0])
				words[0] |= word;
			continue;
		}
		miss->request = turns->request[i];
		miss += turn(words, ways, word, &miss->evicted, known);
	}
	return miss;
}

typedef struct replacement_miss *take_function(const struct turns *, uint32_t ways, struct replacement_miss *);

#define TAKE(name, vectors, marked, far, foreseen) \
	static AVX512 struct replacement_miss *name##_##vectors(const struct turns *turns, uint32_t ways, \
	                                                        struct replacement_miss *miss) \
	{ \
		return take(turns, ways, miss, (struct known){vectors, marked, far, foreseen}); \
	}

/* Loops by vectors of a set. */
#define TAKES(name, marked, far, foreseen) \
	TAKE(name, 0, marked, far, true) \
	TAKE(name, 1, marked, far, true) \
	TAKE(name, 2, marked, far, foreseen) \
	TAKE(name, 3, marked, far, foreseen) \
	TAKE(name, 4, marked, far, foreseen) \
	static take_function *const name[1 + VECTORS_MAX] = {name##_0, name##_1, name##_2, name##_3, name##_4};

TAKES(take_near, true, false, false)
TAKES(take_near_unmarked, false, false, false)
TAKES(take_far, true, true, false)
TAKES(take_far_foreseen, true, true, true)

/* Of 16 turns at most one is not like the others. */
static bool can_foresee(size_t turns, size_t misses)
{
	return 16 * misses <= turns || 16 * (turns - misses) <= turns;
}

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
	unsigned vectors = array->stride / WORDS;
	take_function *take_list = (far ? take_far : array->unmarked ? take_near_unmarked : take_near)[vectors];
	struct replacement_miss *miss = misses;
	for (size_t first = 0; first < count; first += TURNS) {
		list_requests(array, requests, first, count - first < TURNS ? count - first : TURNS, &turns);
		struct replacement_miss *end = take_list(&turns, array->ways, miss);
		if (far)
			take_list = (can_foresee(turns.count, (size_t)(end - miss)) ? take_far_foreseen : take_far)[vectors];
		miss = end;
	}
	return (size_t)(miss - misses);
}

/* ---- one request ---- */

INLINE AVX512 bool take_one(struct replacement *array, uint64_t request, uint64_t *evicted, unsigned vectors)
{
	uint64_t tag = request >> array->tag_shift, word = way_word(tag, WAY_VALID | (request & OWNERS_MARKS));
	uint64_t *words = replacement_words(array, replacement_set_of(array, tag));
	return !turn(words, array->ways, word, evicted, (struct known){vectors, true, false, vectors < 2});
}

#define TAKE_ONE(vectors) \
	static AVX512 bool take_one_##vectors(struct replacement *array, uint64_t request, uint64_t *evicted) \
	{ \
		return take_one(array, request, evicted, vectors); \
	}

TAKE_ONE(0)
TAKE_ONE(1)
TAKE_ONE(2)
TAKE_ONE(3)
TAKE_ONE(4)

lru_take_function *lru_take_avx512(const struct replacement *array)
{
	static lru_take_function *const takes[1 + VECTORS_MAX] = {take_one_0, take_one_1, take_one_2, take_one_3, take_one_4};
	return takes[array->stride / WORDS];
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
		    here->set_mask != known->set_mask || here->stride != known->stride || here->ways != known->ways ||
		    here->unmarked != known->unmarked)
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

/* A list of accesses in the making. */
struct listing {
	__m512i arrays, marks; /* by kind */
	__m512i in_line;       /* the address's bits inside a line */
	__m512i tag_mask, set_mask, stride;
	__m512i cpu; /* where an access has its own */
	__m128i shift;
	struct turns *turns;
	size_t count;                /* of turns listed */
	__m512i last_word, last_set; /* of the eight before; the last of them counts */
	__m512i kinds;               /* accesses of each kind, a byte for each, eight times */
	__m256i number;              /* of the next eight in the run */
};

/* Lists accesses at `at`, eight or if there are not so many `left`, until one that ends the run. Returns how many. */
INLINE AVX512 size_t list_eight(struct listing *list, const uint64_t *at, size_t left)
{
	const __m512i one = _mm512_set1_epi64(1);
	uint32_t here = first_words(left);
	__m512i low = _mm512_maskz_loadu_epi64(first_words(2 * left), at);
	__m512i high = _mm512_maskz_loadu_epi64(first_words(left > WORDS / 2 ? 2 * left - WORDS : 0), at + WORDS);
	__m512i address = _mm512_permutex2var_epi64(low, _mm512_setr_epi64(0, 2, 4, 6, 8, 10, 12, 14), high);
	__m512i rest = _mm512_permutex2var_epi64(low, _mm512_setr_epi64(1, 3, 5, 7, 9, 11, 13, 15), high);
	__m512i kind = _mm512_srli_epi64(rest, ACCESS_KIND_SHIFT); /* a permutation looks at its lowest three bits */
	__m512i array = _mm512_permutexvar_epi64(kind, list->arrays);
	__m512i marks = _mm512_permutexvar_epi64(kind, list->marks);

	/* What lies over two lines, is another core's or has no route ends the run. */
	__m512i bytes = _mm512_and_si512(rest, _mm512_set1_epi64(UINT32_MAX));
	__m512i end = _mm512_sub_epi64(_mm512_add_epi64(address, bytes), one);
	__m512i crosses = _mm512_andnot_si512(list->in_line, _mm512_xor_si512(address, end));
	__m512i others = _mm512_and_si512(_mm512_set1_epi64(0xffffll << ACCESS_CPU_SHIFT), _mm512_xor_si512(rest, list->cpu));
	__m512i wrong = _mm512_or_si512(crosses, others);
	uint32_t ends = (uint32_t)_mm512_test_epi64_mask(wrong, wrong) | _mm512_testn_epi64_mask(array, array);
	if (__builtin_expect((ends & here) != 0, 0))
		here &= (ends & (0 - ends)) - 1;

	__m512i kind_bits = _mm512_and_si512(_mm512_slli_epi64(kind, 3), _mm512_set1_epi64(0x38));
	list->kinds = _mm512_add_epi64(list->kinds, _mm512_maskz_sllv_epi64((__mmask8)here, one, kind_bits));

	__m512i tag = _mm512_and_si512(_mm512_srl_epi64(address, list->shift), list->tag_mask);
	__m512i word = _mm512_or_si512(_mm512_slli_epi64(tag, WAY_MARK_BITS), marks);
	__m512i set = _mm512_add_epi64(array, _mm512_mul_epu32(_mm512_and_si512(tag, list->set_mask), list->stride));

	/* The same set and word as the one before, but for marks that that one has. */
	__m512i word_before = _mm512_alignr_epi64(word, list->last_word, WORDS - 1);
	__m512i set_before = _mm512_alignr_epi64(set, list->last_set, WORDS - 1);
	__m512i marks_before = _mm512_and_si512(word_before, _mm512_set1_epi64((long long)OWNERS_MARKS));
	__m512i differs = _mm512_andnot_si512(marks_before, _mm512_xor_si512(word, word_before));
	differs = _mm512_or_si512(differs, _mm512_xor_si512(set, set_before));
	__mmask8 listed = (__mmask8)(here & _mm512_test_epi64_mask(differs, differs));

	struct turns *turns = list->turns;
	_mm512_storeu_si512(turns->word + list->count, _mm512_maskz_compress_epi64(listed, word));
	_mm512_storeu_si512(turns->set + list->count, _mm512_maskz_compress_epi64(listed, set));
	_mm256_storeu_si256((__m256i *)(turns->request + list->count), _mm256_maskz_compress_epi32(listed, list->number));
	list->count += (unsigned)__builtin_popcount(listed);
	list->number = _mm256_add_epi32(list->number, _mm256_set1_epi32(WORDS));
	list->last_word = word;
	list->last_set = set;
	return (unsigned)__builtin_popcount(here);
}

/* At most TURNS accesses, from number `first` of the run on, until one that ends the run. Returns how many. */
static AVX512 size_t list_accesses(const struct tables *tables, const struct access *accesses, size_t first, size_t count,
                                   uint64_t counts[ACCESS_KINDS], struct turns *turns)
{
	const uint64_t *at = &accesses[first].address;
	const struct replacement_route *route = &tables->route;
	struct listing list = {
	        .arrays = _mm512_loadu_si512(tables->words),
	        .marks = _mm512_loadu_si512(tables->marks),
	        .in_line = _mm512_set1_epi64((1ll << route->tag_shift) - 1),
	        .tag_mask = _mm512_set1_epi64((long long)route->tag_mask),
	        .set_mask = _mm512_set1_epi64(route->set_mask),
	        .stride = _mm512_set1_epi64((long long)(route->stride * sizeof(uint64_t))),
	        .cpu = _mm512_set1_epi64((long long)accesses->cpu << ACCESS_CPU_SHIFT),
	        .shift = _mm_cvtsi32_si128((int)route->tag_shift),
	        .turns = turns,
	        .last_word = _mm512_setzero_si512(),
	        .last_set = _mm512_setzero_si512(),
	        .kinds = _mm512_setzero_si512(),
	        .number = _mm256_add_epi32(_mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7), _mm256_set1_epi32((int)first))};
	size_t done = 0, listed = WORDS;
	for (; done + WORDS <= count && listed == WORDS; done += listed)
		listed = list_eight(&list, at + 2 * done, WORDS);
	if (done < count && listed == WORDS)
		done += list_eight(&list, at + 2 * done, count - done);
	add_kinds(counts, list.kinds);
	turns->count = list.count;
	return done;
}

size_t lru_run_accesses_avx512(const struct replacement_route route[ACCESS_KINDS], const struct access *accesses, size_t count,
                               struct replacement_ran *ran, struct replacement_miss *misses)
{
	struct tables tables;
	struct turns turns;
	make_tables(route, &tables);
	take_function *take_list = (tables.route.unmarked ? take_near_unmarked : take_near)[tables.route.stride / WORDS];
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
