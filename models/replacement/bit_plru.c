/* SPDX-License-Identifier: MIT
 *
 * bit_plru.c - one bit a way says that it was used of late.
 *
 * A use sets the way's bit; if then all ways of the set have it, the others lose theirs. The lowest way without the bit goes.
 * Free ways are filled first, the lowest first. Source: Al-Zoubi, Milenkovic, Milenkovic, Performance Evaluation of Cache
 * Replacement Policies for the SPEC CPU2000 Benchmark Suite, 2004 (PLRUm).
 */
#include "models/replacement/array.h"

extern const struct replacement_ops replacement_bit_plru_ops;
struct replacement *replacement_bit_plru_create(const struct replacement_wiring *wiring, struct error *error);

/* The bits of the state's last word that stand for ways. */
INLINE uint64_t last_bits(uint32_t ways)
{
	return ways % 64 ? (1ull << (ways % 64)) - 1 : UINT64_MAX;
}

/* The lowest way whose bit is not set, `ways` if all are. */
INLINE uint32_t lowest_unused(const struct replacement *array, const uint64_t *bits)
{
	uint32_t words = array->state_words;
	for (uint32_t word = 0; word < words; word++) {
		uint64_t unused = ~bits[word] & (word + 1 == words ? last_bits(array->ways) : UINT64_MAX);
		if (unused)
			return 64 * word + (uint32_t)__builtin_ctzll(unused);
	}
	return array->ways;
}

static uint32_t bit_plru_use(struct replacement *array, uint32_t set, uint32_t way)
{
	uint64_t *bits = state_of(array, set);
	bits[way / 64] |= 1ull << (way % 64);
	if (lowest_unused(array, bits) < array->ways)
		return way;
	for (uint32_t word = 0; word < array->state_words; word++)
		bits[word] = 0;
	bits[way / 64] = 1ull << (way % 64);
	return way;
}

static uint32_t bit_plru_insert(struct replacement *array, uint32_t set, uint64_t word, uint64_t payload, uint64_t *evicted,
                                uint64_t *evicted_payload)
{
	uint32_t way = free_way(array, set);
	if (way == array->ways)
		way = lowest_unused(array, state_of(array, set));
	/* The only way of a set of one always has its bit. */
	if (way == array->ways)
		way = 0;
	replace_way(array, set, way, word, payload, evicted, evicted_payload);
	return bit_plru_use(array, set, way);
}

static void bit_plru_remove(struct replacement *array, uint32_t set, uint32_t way)
{
	clear_way(array, set, way);
	state_of(array, set)[way / 64] &= ~(1ull << (way % 64));
}

static size_t bit_plru_run(struct replacement *array, const uint64_t *requests, size_t count, struct replacement_miss *misses)
{
	return run_template(array, requests, count, misses, bit_plru_use, bit_plru_insert);
}

static bool bit_plru_take(struct replacement *array, uint64_t request, uint64_t *evicted)
{
	return take_template(array, request, evicted, bit_plru_use, bit_plru_insert);
}

static void bit_plru_check_set(const struct replacement *array, uint32_t set)
{
	SIM_ASSERT(array->ways == 1 || lowest_unused(array, state_of(array, set)) < array->ways);
}

const struct replacement_ops replacement_bit_plru_ops = {
        .name = "bit_plru",
        .help = "the lowest way that was not used since all the others were goes",
        .use = bit_plru_use,
        .insert = bit_plru_insert,
        .remove = bit_plru_remove,
        .run = bit_plru_run,
        .take = bit_plru_take,
        .check_set = bit_plru_check_set,
};

struct replacement *replacement_bit_plru_create(const struct replacement_wiring *wiring, struct error *error)
{
	return replacement_make(&replacement_bit_plru_ops, wiring, (wiring->ways + 63) / 64, error);
}
