/* SPDX-License-Identifier: MIT
 *
 * order.h - sets kept in an order: the way that goes next is the last, a new one comes first. LRU and FIFO share it.
 *
 * Invariant: the ways in use stand before those that are not.
 */
#ifndef MODELS_REPLACEMENT_ORDER_H
#define MODELS_REPLACEMENT_ORDER_H

#include "models/replacement/array.h"

#include <string.h>

/* Moves the first `way` ways up by one and puts a word first. */
INLINE void order_put_first(uint64_t *words, uint32_t way, uint64_t word)
{
	memmove(words + 1, words, way * sizeof *words);
	words[0] = word;
}

INLINE uint32_t order_to_front(struct replacement *array, uint32_t set, uint32_t way)
{
	uint64_t *words = replacement_words(array, set);
	order_put_first(words, way, words[way]);
	if (array->payloads) {
		uint64_t *payloads = replacement_payloads(array, set);
		order_put_first(payloads, way, payloads[way]);
	}
	return 0;
}

INLINE uint32_t order_insert(struct replacement *array, uint32_t set, uint64_t word, uint64_t payload, uint64_t *evicted,
                             uint64_t *evicted_payload)
{
	uint32_t last = array->ways - 1;
	uint64_t *words = replacement_words(array, set);
	*evicted = words[last];
	order_put_first(words, last, word);
	if (!array->payloads)
		return 0;
	uint64_t *payloads = replacement_payloads(array, set);
	if (evicted_payload)
		*evicted_payload = payloads[last];
	order_put_first(payloads, last, payload);
	return 0;
}

INLINE void order_take_out(uint64_t *words, uint32_t way, uint32_t ways)
{
	memmove(words + way, words + way + 1, (ways - way - 1) * sizeof *words);
	words[ways - 1] = 0;
}

INLINE void order_remove(struct replacement *array, uint32_t set, uint32_t way)
{
	order_take_out(replacement_words(array, set), way, array->ways);
	if (array->payloads)
		order_take_out(replacement_payloads(array, set), way, array->ways);
}

INLINE void order_check_set(const struct replacement *array, uint32_t set)
{
	const uint64_t *words = replacement_words(array, set);
	for (uint32_t way = 1; way < array->ways; way++)
		SIM_ASSERT(!(words[way] & WAY_VALID) || (words[way - 1] & WAY_VALID));
}

#endif
