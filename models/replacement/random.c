/* SPDX-License-Identifier: MIT
 *
 * random.c - any way goes: a free one if there is one (the lowest), else one drawn from the array's own stream (sim/rng.h).
 */
#include "models/replacement/array.h"
#include "sim/rng.h"

extern const struct replacement_ops replacement_random_ops;
struct replacement *replacement_random_create(const struct replacement_wiring *wiring, struct error *error);

static uint32_t random_use(struct replacement *array, uint32_t set, uint32_t way)
{
	(void)array, (void)set;
	return way;
}

static uint32_t random_insert(struct replacement *array, uint32_t set, uint64_t word, uint64_t payload, uint64_t *evicted,
                              uint64_t *evicted_payload)
{
	uint32_t way = free_way(array, set);
	if (way == array->ways) {
		struct rng rng = {array->random};
		way = rng_below(&rng, array->ways);
		array->random = rng.state;
	}
	replace_way(array, set, way, word, payload, evicted, evicted_payload);
	return way;
}

static void random_remove(struct replacement *array, uint32_t set, uint32_t way)
{
	clear_way(array, set, way);
}

static size_t random_run(struct replacement *array, const uint64_t *requests, size_t count, struct replacement_miss *misses)
{
	return run_template(array, requests, count, misses, random_use, random_insert);
}

static bool random_take(struct replacement *array, uint64_t request, uint64_t *evicted)
{
	return take_template(array, request, evicted, random_use, random_insert);
}

const struct replacement_ops replacement_random_ops = {
        .name = "random",
        .help = "any way goes, drawn from the seed",
        .has_stream = true,
        .use = random_use,
        .in_place = use_changes_nothing,
        .insert = random_insert,
        .remove = random_remove,
        .run = random_run,
        .take = random_take,
};

struct replacement *replacement_random_create(const struct replacement_wiring *wiring, struct error *error)
{
	return replacement_make(&replacement_random_ops, wiring, 0, error);
}
