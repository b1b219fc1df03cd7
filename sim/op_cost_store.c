/* SPDX-License-Identifier: MIT
 *
 * op_cost_store.c - what ops cost into the database (interface: op_cost_store.h).
 */
#include "sim/op_cost_store.h"

static bool store_op(struct store *store, int64_t run_id, const struct op_costs *costs, const struct op_cost_names *names,
                     uint32_t owner, enum job_kind kind, enum step_path path, struct error *error)
{
	const struct op_cost *cost = op_costs_of(costs, owner, kind, path);
	if (!cost)
		return true;
	const struct store_op_cost row = {.kind = job_kind_name(kind),
	                                  .owner = owner,
	                                  .cache = names->owner(names->context, owner),
	                                  .path = step_path_name(path),
	                                  .cycles = &cost->cycles,
	                                  .cost = &cost->cost};
	return store_op_cost(store, run_id, &row, error);
}

bool op_cost_store(struct store *store, int64_t run_id, const struct op_costs *costs, const struct op_cost_names *names,
                   struct error *error)
{
	for (uint32_t owner = 0; owner < costs->owners; owner++)
		for (enum job_kind kind = 0; kind < JOB_KINDS; kind++)
			for (enum step_path path = 0; path < STEP_PATHS; path++)
				if (!store_op(store, run_id, costs, names, owner, kind, path, error))
					return false;
	for (uint32_t site = 0; site < costs->sites; site++)
		for (enum job_kind kind = 0; kind < JOB_KINDS; kind++) {
			const struct site_cost *cost = op_costs_of_site(costs, site, kind);
			const struct store_site_cost row = {.kind = job_kind_name(kind),
			                                    .call_site =
			                                            cost->count ? names->call_site(names->context, site) : "",
			                                    .ops = cost->count,
			                                    .cost = &cost->cost};
			if (cost->count && !store_site_cost(store, run_id, &row, error))
				return false;
		}
	return true;
}
