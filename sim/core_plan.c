/* SPDX-License-Identifier: MIT
 *
 * core_plan.c - tells the memory of loads and stores before a core makes them (core_internal.h: core_foresee; port/memory.h:
 * plan).
 *
 * With one core nobody else asks the memory for anything, so what it will ask for next stands in its jobs: the loads, stores
 * and fetches from the step at work on, up to one after which a load may find other page tables or translations, or that asks
 * for something else. Jobs beyond those that are awaited do not count: somebody may look at the memory before they begin.
 */
#include "sim/core_internal.h"

#define PLANNED_REQUESTS 256u

/* Whether the step is no request, and none of the next ones needs to wait for it. */
static bool is_quiet(const struct step *step)
{
	return step->kind == STEP_SPEND || step->kind == STEP_IRQS || step->kind == STEP_SLEEP;
}

static enum access_kind kind_of(const struct step *step)
{
	if (step->kind == STEP_FETCH)
		return ACCESS_CODE;
	return step->kind == STEP_READ ? ACCESS_LOAD : ACCESS_STORE;
}

/* Adds the requests of a job from a step on; false: something else comes behind them, or there are enough. */
static bool add_requests(const struct core_job *job, uint32_t from, struct access *requests, size_t *count)
{
	for (const struct step *step = job->at + from, *end = job->at + job->count; step < end; step++) {
		if (is_quiet(step))
			continue;
		if ((step->kind != STEP_READ && step->kind != STEP_WRITE && step->kind != STEP_FETCH) ||
		    *count == PLANNED_REQUESTS)
			return false;
		requests[(*count)++] =
		        (struct access){.address = step->address, .bytes = step->bytes, .kind = (uint8_t)kind_of(step)};
	}
	return true;
}

/* Whether whoever watches the memory's levels counts both jobs' requests for the same. */
static bool is_of_same(const struct job_about *one, const struct job_about *other)
{
	return one->owner == other->owner && one->call_site == other->call_site;
}

void core_plan(struct core *core)
{
	const struct machine *machine = core->machine;
	const struct core_job *first = &core->jobs[core->first], *next;
	struct access requests[PLANNED_REQUESTS];
	size_t count = 0;
	bool more = add_requests(first, core->position, requests, &count);
	for (unsigned job = 1; more && job < machine->awaited && job < core->queued; job++) {
		next = &core->jobs[(core->first + job) % machine->ring];
		more = is_of_same(&first->about, &next->about) && add_requests(next, 0, requests, &count);
	}
	size_t taken = memory_plan(machine->memory, requests, count);
	core->foreseen = (uint32_t)(taken > 0 ? taken : count);
}
