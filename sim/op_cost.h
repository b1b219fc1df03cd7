/* SPDX-License-Identifier: MIT
 *
 * op_cost.h - what ops cost, by kind, owner and path, and by call site: how many, a histogram of their cycles, and where those
 * went.
 *
 * Tables grow with what is seen; owners and call sites are the caller's dense numbers.
 * Law: each row's histogram counts its ops, and its sum is that of the row's parts; so for all rows together.
 * Call sites have at most as many.
 */
#ifndef SIM_OP_COST_H
#define SIM_OP_COST_H

#include "sim/cost.h"
#include "sim/histogram.h"
#include "sim/steps.h"

/* Kinds of ops that cores pay for. */
enum job_kind {
	JOB_OBJECT_ALLOC,
	JOB_OBJECT_FREE,
	JOB_PAGE_ALLOC,
	JOB_PAGE_FREE,
	JOB_DAEMON,
	JOB_AREA_ALLOC,
	JOB_AREA_FREE,
	JOB_PAGE_MAP,
	JOB_PAGE_UNMAP,
	JOB_PAGE_CLEAR,
	JOB_PAGE_COPY,
	JOB_PROCESS, /* create, fork, exec, map, unmap, exit */
	JOB_TOUCH,
	JOB_SWITCH,
	JOB_ACCESSES, /* of a program, between two faults */
	JOB_KINDS
};

/* "alloc", "free", "page_alloc", "page_free", "daemon_run", "area_alloc", "area_free", "page_map" ...; "fast", "lists", "pages"
 */
const char *job_kind_name(enum job_kind kind);
const char *step_path_name(enum step_path path);

/* Whose steps they are, and for whom they are counted. */
struct job_about {
	enum job_kind kind;
	uint32_t owner;     /* a cache, as the caller numbers them; 0: nobody in particular */
	uint32_t call_site; /* as the caller numbers them; NO_CALL_SITE */
};

#define NO_CALL_SITE UINT32_MAX

struct op_cost_key {
	struct job_about about;
	uint8_t path; /* enum step_path */
};

struct op_cost {
	struct histogram cycles;
	struct cost cost;
};

/* Of one kind from one call site. */
struct site_cost {
	uint64_t count;
	struct cost cost;
};

struct op_costs {
	struct op_cost **by_owner; /* [owner][kind][path]; NULL: none seen; owned */
	uint32_t owners;
	struct site_cost *by_site; /* [site][kind]; owned */
	uint32_t sites;
};

void op_costs_add(struct op_costs *costs, const struct op_cost_key *key, const struct cost *cost);
void op_costs_release(struct op_costs *costs);

/* NULL if no such op was seen. */
const struct op_cost *op_costs_of(const struct op_costs *costs, uint32_t owner, enum job_kind kind, enum step_path path);

/* The call site's row, all zero if nothing was seen. */
const struct site_cost *op_costs_of_site(const struct op_costs *costs, uint32_t site, enum job_kind kind);

void op_costs_check(const struct op_costs *costs);

#endif
