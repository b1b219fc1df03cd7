/* SPDX-License-Identifier: MIT
 *
 * chase.c - orders, sizes and findings of pointer chases (interface: chase.h).
 */
#include "sim/chase.h"

#include "sim/rng.h"

#include <stdlib.h>

/* sqrt(2) as a fraction, 1.5 per mille off. */
#define ROOT_NUMERATOR 181u
#define ROOT_DENOMINATOR 128u
/* What a first-level TLB's miss has to add to the plateau before it to be seen: a tenth. */
#define RISE_NUMERATOR 11u
#define RISE_DENOMINATOR 10u

static uint64_t above(uint64_t bytes)
{
	return bytes / ROOT_DENOMINATOR * ROOT_NUMERATOR;
}

static uint64_t below(uint64_t bytes)
{
	return bytes / ROOT_NUMERATOR * ROOT_DENOMINATOR;
}

unsigned chase_plan(const struct chase_series *series, uint64_t max_bytes, struct chase_point points[CHASE_POINTS_MAX])
{
	/* A line a page begins with as many lines. */
	const uint64_t first =
	        CHASE_BYTES_MIN / CHASE_LINE_BYTES * series->stride_bytes / (series->stride_bytes == PAGE_SIZE ? 4 : 1);
	unsigned count = 0;
	for (; count < CHASE_POINTS_MAX; count++) {
		uint64_t bytes = first << count / 2;
		if (count % 2)
			bytes = above(bytes);
		const uint64_t lines = bytes / series->stride_bytes;
		if (bytes > max_bytes || bytes > CHASE_BYTES_MAX)
			break;
		points[count] = (struct chase_point){.count = (uint32_t)lines, .bytes = lines * series->stride_bytes};
	}
	return count;
}

void chase_order(uint32_t *next, uint32_t count, uint64_t seed)
{
	struct rng rng;
	rng_init(&rng, seed, "chase");
	for (uint32_t i = 0; i < count; i++)
		next[i] = i;
	for (uint32_t i = count - 1; i > 0; i--) {
		const uint32_t other = rng_below(&rng, i), line = next[i];
		next[i] = next[other];
		next[other] = line;
	}
}

/* ---- what is found ---- */

static int by_value(const void *left, const void *right)
{
	const uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
	return a < b ? -1 : a > b;
}

uint64_t chase_plateau(const struct chase_point *points, unsigned count, uint64_t from_bytes, uint64_t to_bytes)
{
	uint64_t values[CHASE_POINTS_MAX];
	unsigned found = 0;
	for (unsigned i = 0; i < count; i++)
		if (points[i].bytes >= from_bytes && points[i].bytes <= to_bytes)
			values[found++] = points[i].milli_cycles;
	qsort(values, found, sizeof *values, by_value);
	return found ? values[(found - 1) / 2] : 0;
}

uint64_t chase_step(const struct chase_point *points, unsigned count, uint64_t low, uint64_t high)
{
	if (low == 0 || high <= low)
		return 0;
	for (unsigned i = 0; i < count; i++)
		if (points[i].milli_cycles >= (low + high) / 2)
			return i ? points[i - 1].bytes : 0;
	return 0;
}

/* The last level: how far it reaches is found, not taken from what is known, since a guest may have a part of it. */
static void find_llc(const struct chase_point *points, unsigned count, const struct chase_capacities *capacities,
                     struct chase_findings *findings)
{
	const uint64_t first = above(capacities->l2_bytes);
	findings->llc = chase_plateau(points, count, first, 2 * first);
	findings->llc_step_bytes = chase_step(points, count, findings->llc, findings->dram);
	const uint64_t again = chase_plateau(points, count, first, below(findings->llc_step_bytes));
	if (again)
		findings->llc = again;
}

void chase_find_caches(const struct chase_point *points, unsigned count, const struct chase_capacities *capacities,
                       struct chase_findings *findings)
{
	const uint64_t last = capacities->llc_bytes  ? capacities->llc_bytes + capacities->l2_bytes
	                      : capacities->l2_bytes ? capacities->l2_bytes
	                                             : capacities->l1_bytes;
	findings->l1 = chase_plateau(points, count, 0, below(capacities->l1_bytes));
	if (count && points[count - 1].bytes >= 2 * last)
		findings->dram = chase_plateau(points, count, 2 * last, UINT64_MAX);
	if (capacities->l2_bytes)
		findings->l2 = chase_plateau(points, count, above(capacities->l1_bytes), below(capacities->l2_bytes));
	if (capacities->llc_bytes)
		find_llc(points, count, capacities, findings);
	const uint64_t after_l2 = findings->llc ? findings->llc : findings->dram;
	findings->l1_step_bytes = chase_step(points, count, findings->l1, findings->l2 ? findings->l2 : after_l2);
	findings->l2_step_bytes = chase_step(points, count, findings->l2, after_l2);
}

/* Where sets of a line a page begin to miss more than the first TLB. */
static uint64_t end_of_first_misses(const struct chase_capacities *capacities)
{
	const uint64_t last = (uint64_t)capacities->last_tlb_entries * PAGE_SIZE,
	               l1_pages = capacities->l1_bytes / CHASE_LINE_BYTES * PAGE_SIZE;
	return last && last < l1_pages ? last : l1_pages;
}

void chase_find_tlbs(const struct chase_point *points, unsigned count, const struct chase_capacities *capacities,
                     struct chase_findings *findings)
{
	const uint64_t first = (uint64_t)capacities->tlb_entries * PAGE_SIZE,
	               last = (uint64_t)capacities->last_tlb_entries * PAGE_SIZE, end = end_of_first_misses(capacities);
	const uint64_t in_first = chase_plateau(points, count, 0, below(first));
	const uint64_t after_first = chase_plateau(points, count, above(first), below(end));
	if (after_first > in_first * RISE_NUMERATOR / RISE_DENOMINATOR) {
		findings->tlb_miss = after_first;
		findings->tlb_step_pages = (uint32_t)(chase_step(points, count, in_first, after_first) / PAGE_SIZE);
	}
	if (last <= first)
		return;
	const uint64_t in_last = chase_plateau(points, count, last / 4, below(last));
	findings->last_tlb_miss = chase_plateau(points, count, above(last), 2 * above(last));
	findings->last_tlb_step_pages = (uint32_t)(chase_step(points, count, in_last, findings->last_tlb_miss) / PAGE_SIZE);
}

bool chase_find_split(const struct chase_point *points, unsigned count, const struct chase_capacities *capacities,
                      const struct chase_findings *findings, bool *split)
{
	const uint64_t first = (uint64_t)capacities->tlb_entries * PAGE_SIZE;
	const uint64_t in_first = chase_plateau(points, count, 0, below(first));
	const uint64_t after_first = chase_plateau(points, count, above(first), below(end_of_first_misses(capacities)));
	if (!findings->tlb_miss || !in_first || !after_first)
		return false;
	*split = 2 * after_first >= in_first + findings->tlb_miss;
	return true;
}
