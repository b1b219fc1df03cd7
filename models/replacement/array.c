/* SPDX-License-Identifier: MIT
 *
 * array.c - arrays of sets: made, searched by predicate, counted, checked, freed (interface: sim/port/replacement.h).
 */
#include "models/replacement/array.h"
#include "sim/rng.h"

#include <stdlib.h>

/* Words of the vectors. Sets of at most two ways are kept as they are: a vector would be mostly air. */
#define AVX2_WORDS 4u
#define AVX512_WORDS 8u

static uint32_t stride_of(uint32_t ways, enum simd simd)
{
	uint32_t words = simd == SIMD_AVX512 && ways > AVX2_WORDS ? AVX512_WORDS : AVX2_WORDS;
	return ways <= 2 ? ways : (ways + words - 1) / words * words;
}

static bool geometry_fits(const struct replacement_wiring *wiring, struct error *error)
{
	uint32_t sets = wiring->sets, ways = wiring->ways;
	if (sets == 0 || sets > REPLACEMENT_SETS_MAX)
		return error_set(error, ERROR_USAGE, "%s: %u sets; there may be 1 to %u", wiring->stream, sets,
		                 REPLACEMENT_SETS_MAX);
	if (ways == 0 || ways > REPLACEMENT_WAYS_MAX)
		return error_set(error, ERROR_USAGE, "%s: %u ways; there may be 1 to %u", wiring->stream, ways,
		                 REPLACEMENT_WAYS_MAX);
	if ((uint64_t)sets * ways > REPLACEMENT_SETS_MAX)
		return error_set(error, ERROR_USAGE, "%s: %u sets of %u ways; there may be %u ways in all", wiring->stream, sets,
		                 ways, REPLACEMENT_SETS_MAX);
	if (wiring->index == INDEX_XOR && (sets & (sets - 1)) != 0)
		return error_set(error, ERROR_USAGE, "%s: index=xor needs a power of two of sets, found %u", wiring->stream,
		                 sets);
	return true;
}

struct replacement *replacement_make(const struct replacement_ops *ops, const struct replacement_wiring *wiring,
                                     uint32_t state_words, struct error *error)
{
	if (!geometry_fits(wiring, error))
		return NULL;
	struct replacement *array = xcalloc(1, sizeof *array);
	enum simd simd = simd_pick(wiring->simd);
	bool power_of_two = (wiring->sets & (wiring->sets - 1)) == 0;
	*array = (struct replacement){
	        .ops = ops,
	        .take = ops->take,
	        .sets = wiring->sets,
	        .ways = wiring->ways,
	        .stride = stride_of(wiring->ways, simd),
	        .index = wiring->index,
	        .index_bits = power_of_two ? (unsigned)__builtin_ctz(wiring->sets) : 0,
	        .sets_are_power_of_two = power_of_two,
	        .modulo_mask = wiring->number_bits ? (1ull << wiring->number_bits) - 1 : UINT64_MAX,
	        .tag_shift = wiring->tag_shift,
	        .unmarked = wiring->unmarked,
	        .simd = simd,
	        .state_words = state_words,
	};
	struct rng rng;
	rng_init(&rng, wiring->seed, wiring->stream);
	array->random = rng.state;
	array->words = dense_alloc((size_t)array->sets * array->stride, sizeof *array->words);
	if (wiring->payloads)
		array->payloads = dense_alloc((size_t)array->sets * array->stride, sizeof *array->payloads);
	if (state_words)
		array->state = dense_alloc((size_t)array->sets * state_words, sizeof *array->state);
	return array;
}

void replacement_destroy(struct replacement *array)
{
	if (!array)
		return;
	lazy_free(array->words, (size_t)array->sets * array->stride, sizeof *array->words);
	if (array->payloads)
		lazy_free(array->payloads, (size_t)array->sets * array->stride, sizeof *array->payloads);
	if (array->state)
		lazy_free(array->state, (size_t)array->sets * array->state_words, sizeof *array->state);
	free(array);
}

uint32_t replacement_remove_if(struct replacement *array, uint32_t set, replacement_predicate *goes, void *context)
{
	uint32_t removed = 0;
	const uint64_t *words = replacement_words(array, set);
	/* From the last to the first, because those behind a removed way may move down. */
	for (uint32_t way = array->ways; way-- > 0;) {
		if (!(words[way] & WAY_VALID))
			continue;
		if (!goes(context, words[way], array->payloads ? replacement_payloads(array, set)[way] : 0))
			continue;
		replacement_remove(array, set, way);
		removed++;
	}
	return removed;
}

uint64_t replacement_count(const struct replacement *array, uint64_t marks, uint64_t *marked)
{
	uint64_t valid = 0, with_marks = 0;
	for (uint32_t set = 0; set < array->sets; set++) {
		const uint64_t *words = replacement_words(array, set);
		for (uint32_t way = 0; way < array->ways; way++) {
			valid += words[way] & WAY_VALID;
			with_marks += (words[way] & marks) != 0;
		}
	}
	if (marked)
		*marked = with_marks;
	return valid;
}

static int compare_words(const void *left, const void *right)
{
	uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
	return (a > b) - (a < b);
}

static void check_set(const struct replacement *array, uint32_t set, uint64_t *tags)
{
	const uint64_t *words = replacement_words(array, set);
	uint32_t valid = 0;
	for (uint32_t way = 0; way < array->ways; way++) {
		if (!(words[way] & WAY_VALID)) {
			SIM_ASSERT(words[way] == 0);
			continue;
		}
		tags[valid++] = way_tag(words[way]);
		SIM_ASSERT(replacement_set_of(array, way_tag(words[way])) == set);
	}
	for (uint32_t way = array->ways; way < array->stride; way++)
		SIM_ASSERT(words[way] == 0);
	qsort(tags, valid, sizeof *tags, compare_words);
	for (uint32_t i = 1; i < valid; i++)
		SIM_ASSERT(tags[i] != tags[i - 1]);
	if (array->ops->check_set)
		array->ops->check_set(array, set);
}

void replacement_check(const struct replacement *array)
{
	uint64_t *tags = xcalloc(array->ways, sizeof *tags);
	for (uint32_t set = 0; set < array->sets; set++)
		check_set(array, set, tags);
	free(tags);
}
