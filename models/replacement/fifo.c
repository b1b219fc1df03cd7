/* SPDX-License-Identifier: MIT
 *
 * fifo.c - first in, first out: each set stands in the order in which its ways came, the newest first, and the last one goes.
 */
#include "models/replacement/order.h"

extern const struct replacement_ops replacement_fifo_ops;
struct replacement *replacement_fifo_create(const struct replacement_wiring *wiring, struct error *error);

static uint32_t fifo_use(struct replacement *array, uint32_t set, uint32_t way)
{
	(void)array, (void)set;
	return way;
}

static uint32_t fifo_insert(struct replacement *array, uint32_t set, uint64_t word, uint64_t payload, uint64_t *evicted,
                            uint64_t *evicted_payload)
{
	return order_insert(array, set, word, payload, evicted, evicted_payload);
}

static void fifo_remove(struct replacement *array, uint32_t set, uint32_t way)
{
	order_remove(array, set, way);
}

static size_t fifo_run(struct replacement *array, const uint64_t *requests, size_t count, struct replacement_miss *misses)
{
	return run_template(array, requests, count, misses, fifo_use, fifo_insert);
}

static bool fifo_take(struct replacement *array, uint64_t request, uint64_t *evicted)
{
	return take_template(array, request, evicted, fifo_use, fifo_insert);
}

static void fifo_check_set(const struct replacement *array, uint32_t set)
{
	order_check_set(array, set);
}

const struct replacement_ops replacement_fifo_ops = {
        .name = "fifo",
        .help = "the way that came first goes, used or not",
        .use = fifo_use,
        .in_place = use_changes_nothing,
        .insert = fifo_insert,
        .remove = fifo_remove,
        .run = fifo_run,
        .take = fifo_take,
        .check_set = fifo_check_set,
};

struct replacement *replacement_fifo_create(const struct replacement_wiring *wiring, struct error *error)
{
	return replacement_make(&replacement_fifo_ops, wiring, 0, error);
}
