/* SPDX-License-Identifier: MIT
 *
 * srrip.c - static re-reference interval prediction, two bits a way, hit priority.
 *
 * Each way has a prediction from 0 (used again at once) to 3 (in the distant future). A new way gets 2, a use sets 0. The lowest
 * way with 3 goes; while there is none, every way's prediction grows by one. Free ways are filled first, the lowest first.
 * Source: Jaleel, Theobald, Steely, Emer, High Performance Cache Replacement Using Re-Reference Interval Prediction, ISCA 2010
 * (SRRIP-HP, M = 2).
 *
 * The predictions of 32 ways lie in a word of the set's state.
 */
#include "models/replacement/array.h"

extern const struct replacement_ops replacement_srrip_ops;
struct replacement *replacement_srrip_create(const struct replacement_wiring *wiring, struct error *error);

#define PREDICTION_BITS 2u
#define WAYS_PER_WORD (64 / PREDICTION_BITS)
#define DISTANT 3ull
#define LONG 2ull
/* Bit 0 of each prediction. */
#define LOW_BITS 0x5555555555555555ull

INLINE void predict(struct replacement *array, uint32_t set, uint32_t way, uint64_t prediction)
{
	uint64_t *word = &state_of(array, set)[way / WAYS_PER_WORD];
	unsigned shift = way % WAYS_PER_WORD * PREDICTION_BITS;
	*word = (*word & ~(DISTANT << shift)) | prediction << shift;
}

static uint32_t srrip_use(struct replacement *array, uint32_t set, uint32_t way)
{
	predict(array, set, way, 0);
	return way;
}

/* The predictions that stand for ways in the given word of the state, as their bits 0. */
INLINE uint64_t ways_in(const struct replacement *array, uint32_t word)
{
	uint32_t left = array->ways - word * WAYS_PER_WORD;
	return left >= WAYS_PER_WORD ? LOW_BITS : LOW_BITS & ((1ull << (left * PREDICTION_BITS)) - 1);
}

/* The lowest way predicted for the distant future, `ways` if there is none. */
INLINE uint32_t distant_way(const struct replacement *array, const uint64_t *state)
{
	for (uint32_t word = 0; word < array->state_words; word++) {
		uint64_t distant = state[word] & state[word] >> 1 & ways_in(array, word);
		if (distant)
			return word * WAYS_PER_WORD + (uint32_t)__builtin_ctzll(distant) / PREDICTION_BITS;
	}
	return array->ways;
}

/* No prediction is 3, so adding one to each carries into none. */
INLINE void age(const struct replacement *array, uint64_t *state)
{
	for (uint32_t word = 0; word < array->state_words; word++)
		state[word] += ways_in(array, word);
}

static uint32_t srrip_insert(struct replacement *array, uint32_t set, uint64_t word, uint64_t payload, uint64_t *evicted,
                             uint64_t *evicted_payload)
{
	uint64_t *state = state_of(array, set);
	uint32_t way = free_way(array, set);
	if (way == array->ways)
		while ((way = distant_way(array, state)) == array->ways)
			age(array, state);
	replace_way(array, set, way, word, payload, evicted, evicted_payload);
	predict(array, set, way, LONG);
	return way;
}

static void srrip_remove(struct replacement *array, uint32_t set, uint32_t way)
{
	clear_way(array, set, way);
	predict(array, set, way, 0);
}

static size_t srrip_run(struct replacement *array, const uint64_t *requests, size_t count, struct replacement_miss *misses)
{
	return run_template(array, requests, count, misses, srrip_use, srrip_insert);
}

static bool srrip_take(struct replacement *array, uint64_t request, uint64_t *evicted)
{
	return take_template(array, request, evicted, srrip_use, srrip_insert);
}

const struct replacement_ops replacement_srrip_ops = {
        .name = "srrip",
        .help = "re-reference interval prediction: what was not used again goes before what was",
        .use = srrip_use,
        .insert = srrip_insert,
        .remove = srrip_remove,
        .run = srrip_run,
        .take = srrip_take,
};

struct replacement *replacement_srrip_create(const struct replacement_wiring *wiring, struct error *error)
{
	return replacement_make(&replacement_srrip_ops, wiring, (wiring->ways + WAYS_PER_WORD - 1) / WAYS_PER_WORD, error);
}
