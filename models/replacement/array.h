/* SPDX-License-Identifier: MIT
 *
 * array.h - what the files of this folder share: making the array of sets, and the loop of replacement_run().
 *
 * The loop is a template: each policy hands in its own steps as constant functions, and the compiler makes one loop a policy and
 * kind of vector instruction of it.
 */
#ifndef MODELS_REPLACEMENT_ARRAY_H
#define MODELS_REPLACEMENT_ARRAY_H

#include "sim/port/replacement.h"

#define INLINE static inline __attribute__((always_inline))

/* An array with zeroed words and state. NULL with *error if the geometry is out of bounds. */
struct replacement *replacement_make(const struct replacement_ops *ops, const struct replacement_wiring *wiring,
                                     uint32_t state_words, struct error *error);

INLINE uint64_t *state_of(const struct replacement *array, uint32_t set)
{
	return array->state + (size_t)set * array->state_words;
}

/* The lowest way that is not in use, `ways` if all are. */
INLINE uint32_t free_way(const struct replacement *array, uint32_t set)
{
	const uint64_t *words = replacement_words(array, set);
	uint32_t way = 0;
	while (way < array->ways && (words[way] & WAY_VALID))
		way++;
	return way;
}

/* Writes the word and payload of a way and tells what was there. */
INLINE void replace_way(struct replacement *array, uint32_t set, uint32_t way, uint64_t word, uint64_t payload, uint64_t *evicted,
                        uint64_t *evicted_payload)
{
	size_t place = (size_t)set * array->stride + way;
	*evicted = array->words[place];
	array->words[place] = word;
	if (!array->payloads)
		return;
	if (evicted_payload)
		*evicted_payload = array->payloads[place];
	array->payloads[place] = payload;
}

/* in_place() of a use that changes nothing: the word is the state that it leaves as it is. */
INLINE bool use_changes_nothing(const struct replacement *array, uint32_t set, uint32_t way, struct replacement_in_place *use)
{
	uint64_t *word = &replacement_words(array, set)[way];
	*use = (struct replacement_in_place){.word = word, .state = word};
	return true;
}

/* remove() of a policy that keeps ways in place. */
INLINE void clear_way(struct replacement *array, uint32_t set, uint32_t way)
{
	size_t place = (size_t)set * array->stride + way;
	array->words[place] = 0;
	if (array->payloads)
		array->payloads[place] = 0;
}

typedef uint32_t use_step(struct replacement *, uint32_t set, uint32_t way);
typedef uint32_t insert_step(struct replacement *, uint32_t set, uint64_t word, uint64_t payload, uint64_t *evicted,
                             uint64_t *evicted_payload);

INLINE size_t run_template(struct replacement *array, const uint64_t *requests, size_t count, struct replacement_miss *misses,
                           use_step *use, insert_step *insert)
{
	size_t missed = 0;
	for (size_t i = 0; i < count; i++) {
		uint64_t tag = requests[i] >> array->tag_shift, marks = requests[i] & WAY_MARKS & ~USED_AGAIN;
		uint32_t set = replacement_set_of(array, tag), way = replacement_find(array, set, tag);
		if (way < array->ways) {
			replacement_words(array, set)[way] |= marks;
			use(array, set, way);
			continue;
		}
		misses[missed].request = (uint32_t)i;
		way = insert(array, set, way_word(tag, WAY_VALID | marks), 0, &misses[missed++].evicted, NULL);
		if (requests[i] & USED_AGAIN)
			use(array, set, way);
	}
	return missed;
}

typedef uint32_t find_step(const struct replacement *, uint32_t set, uint64_t tag);

/* A run of one request, with a policy's own way to find a tag. */
INLINE bool take_found(struct replacement *array, uint64_t request, uint64_t *evicted, find_step *find, use_step *use,
                       insert_step *insert)
{
	uint64_t tag = request >> array->tag_shift, marks = request & WAY_MARKS & ~USED_AGAIN;
	uint32_t set = replacement_set_of(array, tag), way = find(array, set, tag);
	if (way < array->ways) {
		replacement_words(array, set)[way] |= marks;
		use(array, set, way);
		return true;
	}
	way = insert(array, set, way_word(tag, WAY_VALID | marks), 0, evicted, NULL);
	if (request & USED_AGAIN)
		use(array, set, way);
	return false;
}

INLINE bool take_template(struct replacement *array, uint64_t request, uint64_t *evicted, use_step *use, insert_step *insert)
{
	return take_found(array, request, evicted, replacement_find, use, insert);
}

#endif
