/* SPDX-License-Identifier: MIT
 *
 * timed_plan.h - requests of a core that are known before they are made: what becomes of them is looked up together, and their
 * time is told one by one.
 *
 * TLBs and caches do not ask the clock: which of them has what depends on the order of requests alone. So where one core is all
 * there is, requests that will follow each other for sure go through the MMU in one run, and through each cache in one run, a
 * level after the other; and when they are made, the clock goes along what was found. The same counts and cycles come out as
 * without a plan.
 *
 *   requests -> mmu_run_told() -> lines and page table entries, in order
 *            -> the first level's caches -> what they ask for, in order -> the next level -> ... -> what goes to memory
 *
 * Caches that give feedback (inclusive, exclusive), prefetch or are watched are asked one request at a time, as without a plan.
 */
#ifndef MODELS_MEMORY_TIMED_PLAN_H
#define MODELS_MEMORY_TIMED_PLAN_H

#include "models/memory/timed.h"

/* Requests at most in a plan. */
#define PLAN_REQUESTS 256u

/* What reaches a level, in order; behind the last level: memory. */
struct plan_stream {
	struct cache_batch batch;
	uint32_t *parent; /* which entry of the level before asked for it */
	uint32_t capacity, next;
};

/* Where what became of a request begins: in timed_plan.out, and in the first level's stream. */
struct planned {
	uint32_t at, line;
	/* It lies in one line, which no page walk and no further TLB is asked for first; where the caches are looked up, the
	 * first level has it. */
	bool is_plain;
};

struct timed_plan {
	struct planned request[PLAN_REQUESTS];
	unsigned requests, next;
	/* Translated: the references of walks, and accesses by their parts in pages. */
	struct access *out;
	uint32_t *cycles; /* of lookups in further TLBs, for each */
	size_t made;
	bool is_refused; /* the last request, or a page of it */
	uint64_t refused_cycles;
	bool looks_up_caches;
	uint8_t plain_kinds; /* a bit for each kind of request that may be plain */
	bool has_lines;      /* streams of this plan */
	struct plan_stream stream[CACHE_LEVELS_MAX + 1];
	struct cache_batch in[2], sent[2]; /* of the caches of a level */
};

/* A plan for the only core, or NULL: there are more, or no plan would be faster. */
struct timed_plan *timed_plan_create(const struct timed_memory *timed);
void timed_plan_destroy(struct timed_plan *plan);

/* Looks up as many requests as it takes of these, and returns how many. There are none left of those before. */
size_t timed_plan_make(struct timed_memory *timed, const struct access *requests, size_t count);

/* While plan->has_lines, the next line of what was looked up, as access_line() would serve it. */
cycle timed_plan_line(struct timed_memory *timed, const struct access *access, cycle now, struct cost *cost);

#endif
