/* SPDX-License-Identifier: MIT
 *
 * op_cost.c - what ops cost (interface and law: op_cost.h).
 */
#include "sim/op_cost.h"

#include <stdlib.h>
#include <string.h>

const char *job_kind_name(enum job_kind kind)
{
	static const char *const names[JOB_KINDS] = {"alloc",      "free",      "page_alloc", "page_free",  "daemon_run",
	                                             "area_alloc", "area_free", "page_map",   "page_unmap", "page_clear",
	                                             "page_copy",  "process",   "touch",      "switch",     "accesses"};
	SIM_ASSERT(kind < JOB_KINDS);
	return names[kind];
}

const char *step_path_name(enum step_path path)
{
	static const char *const names[STEP_PATHS] = {"fast", "lists", "pages"};
	SIM_ASSERT(path < STEP_PATHS);
	return names[path];
}

static size_t cell(uint32_t owner, enum job_kind kind, enum step_path path)
{
	return ((size_t)owner * JOB_KINDS + kind) * STEP_PATHS + path;
}

/* Makes room for numbers up to and including `last`; the new rows are all zero. Returns how many there are now. */
static uint32_t grow(void **rows, uint32_t count, uint32_t last, size_t row_bytes)
{
	uint32_t grown = count ? count : 16;
	while (grown <= last)
		grown *= 2;
	*rows = xrealloc(*rows, grown * row_bytes);
	memset((char *)*rows + count * row_bytes, 0, (grown - count) * row_bytes);
	return grown;
}

void op_costs_add(struct op_costs *costs, const struct op_cost_key *key, const struct cost *cost)
{
	uint32_t owner = key->about.owner, site = key->about.call_site;
	enum job_kind kind = key->about.kind;
	if (owner >= costs->owners)
		costs->owners =
		        grow((void **)&costs->by_owner, costs->owners, owner, JOB_KINDS * STEP_PATHS * sizeof *costs->by_owner);
	if (site != NO_CALL_SITE && site >= costs->sites)
		costs->sites = grow((void **)&costs->by_site, costs->sites, site, JOB_KINDS * sizeof *costs->by_site);
	struct op_cost **row = &costs->by_owner[cell(owner, kind, (enum step_path)key->path)];
	if (!*row)
		*row = xcalloc(1, sizeof **row);
	histogram_add(&(*row)->cycles, cost_total(cost));
	cost_add(&(*row)->cost, cost);
	if (site == NO_CALL_SITE)
		return;
	struct site_cost *at = &costs->by_site[(size_t)site * JOB_KINDS + kind];
	at->count++;
	cost_add(&at->cost, cost);
}

void op_costs_release(struct op_costs *costs)
{
	for (size_t i = 0; i < (size_t)costs->owners * JOB_KINDS * STEP_PATHS; i++)
		free(costs->by_owner[i]);
	free(costs->by_owner);
	free(costs->by_site);
	*costs = (struct op_costs){0};
}

const struct op_cost *op_costs_of(const struct op_costs *costs, uint32_t owner, enum job_kind kind, enum step_path path)
{
	return owner < costs->owners ? costs->by_owner[cell(owner, kind, path)] : NULL;
}

const struct site_cost *op_costs_of_site(const struct op_costs *costs, uint32_t site, enum job_kind kind)
{
	static const struct site_cost none;
	return site < costs->sites ? &costs->by_site[(size_t)site * JOB_KINDS + kind] : &none;
}

void op_costs_check(const struct op_costs *costs)
{
	uint64_t ops = 0, ops_of_sites = 0;
	for (size_t i = 0; i < (size_t)costs->owners * JOB_KINDS * STEP_PATHS; i++) {
		const struct op_cost *row = costs->by_owner[i];
		if (!row)
			continue;
		histogram_check(&row->cycles);
		SIM_ASSERT(row->cycles.sum == cost_total(&row->cost));
		ops += row->cycles.count;
	}
	for (size_t i = 0; i < (size_t)costs->sites * JOB_KINDS; i++)
		ops_of_sites += costs->by_site[i].count;
	SIM_ASSERT(ops_of_sites <= ops);
}
