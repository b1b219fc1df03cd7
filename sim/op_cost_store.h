/* SPDX-License-Identifier: MIT
 *
 * op_cost_store.h - what ops cost, from op_cost.h into the database: tables op_cost and site_cost.
 */
#ifndef SIM_OP_COST_STORE_H
#define SIM_OP_COST_STORE_H

#include "sim/op_cost.h"
#include "sim/store.h"

struct op_cost_names {
	const char *(*owner)(void *context, uint32_t owner);
	const char *(*call_site)(void *context, uint32_t call_site);
	void *context;
};

/* A row for each owner, kind and path that was seen, and one for each call site and kind. */
bool op_cost_store(struct store *store, int64_t run_id, const struct op_costs *costs, const struct op_cost_names *names,
                   struct error *error);

#endif
