/* SPDX-License-Identifier: MIT
 *
 * lru.c - least recently used: each set stands in the order of use, the latest first, and the last one goes.
 *
 * Moving words is cheaper than counters or links, because a set is one or two cache lines of the host and most uses are of the
 * first ways.
 */
#include "models/replacement/order.h"

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

static size_t lru_run(struct replacement *array, const uint64_t *requests, size_t count, struct replacement_miss *misses)
{
	return run_template(array, requests, count, misses, lru_use, lru_insert);
}

static void lru_check_set(const struct replacement *array, uint32_t set)
{
	order_check_set(array, set);
}

const struct replacement_ops replacement_lru_ops = {
        .name = "lru",
        .help = "the way that was not used for the longest time goes",
        .use = lru_use,
        .insert = lru_insert,
        .remove = lru_remove,
        .run = lru_run,
        .check_set = lru_check_set,
};

struct replacement *replacement_lru_create(const struct replacement_wiring *wiring, struct error *error)
{
	return replacement_make(&replacement_lru_ops, wiring, 0, error);
}
