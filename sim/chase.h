/* SPDX-License-Identifier: MIT
 *
 * chase.h - pointer chases: loads of which each tells the next one's address, over a set of cache lines in random order. The host
 * runs them (sim/io/host_chase.h) and so does a simulated machine; this is what both have in common, and what is found in the
 * numbers.
 *
 * A set is `count` lines `stride` apart: next to each other, or one in each page, there with a varying offset so that pages do
 * not meet in few sets of a cache. The order is one cycle over all lines (Sattolo 1986), so a cycle longer than a level holds
 * misses it.
 */
#ifndef SIM_CHASE_H
#define SIM_CHASE_H

#include "sim/base.h"

#define CHASE_LINE_BYTES 64u
#define CHASE_POINTS_MAX 64u
#define CHASE_BYTES_MIN 4096u
/* Above 2^32 lines of 64 bytes numbers of lines do not fit; and no host has the memory. */
#define CHASE_BYTES_MAX (64ull << 30)

struct chase_series {
	const char *name;
	uint32_t stride_bytes; /* CHASE_LINE_BYTES or PAGE_SIZE */
	bool huge_pages;       /* of 2 MiB, where there are any */
};

struct chase_point {
	uint32_t count;                      /* lines */
	uint64_t bytes;                      /* count * stride */
	uint64_t femtoseconds, milli_cycles; /* of a load; simulated ones have no time */
};

/* The sizes of a series up to max_bytes: CHASE_BYTES_MIN lines apart, each sqrt(2) of the one before. Returns how many. */
unsigned chase_plan(const struct chase_series *series, uint64_t max_bytes, struct chase_point points[CHASE_POINTS_MAX]);

/* Where line i lies. */
static inline uint64_t chase_offset(const struct chase_series *series, uint32_t i)
{
	const uint32_t lines = series->stride_bytes / CHASE_LINE_BYTES;
	/* 37 is odd, so `lines` pages in a row have all offsets there are. */
	return (uint64_t)i * series->stride_bytes + (uint64_t)(i * 37u % lines) * CHASE_LINE_BYTES;
}

/* Fills next[]: from line i to line next[i], one cycle over all. count > 0. */
void chase_order(uint32_t *next, uint32_t count, uint64_t seed);

/* ---- what is found ---- */

/* Capacities as they are known beforehand; 0: there is no such level. */
struct chase_capacities {
	uint64_t l1_bytes, l2_bytes, llc_bytes;
	uint32_t tlb_entries, last_tlb_entries; /* of 4 KiB pages of data, first and last level */
	bool llc_exclusive;                     /* of L2: both together hold more */
};

/* 0: not found. A step is the largest set before the crossing of the middle of two plateaus. */
struct chase_findings {
	uint64_t l1, l2, llc, dram; /* plateaus in 1/1000 cycle */
	uint64_t l1_step_bytes, l2_step_bytes, llc_step_bytes;
	uint64_t tlb_miss, last_tlb_miss; /* what a line in each of so many pages costs, as plateaus */
	uint32_t tlb_step_pages, last_tlb_step_pages;
};

/* Of a series of lines next to each other. */
void chase_find_caches(const struct chase_point *points, unsigned count, const struct chase_capacities *capacities,
                       struct chase_findings *findings);
/* Of a series of a line a page. */
void chase_find_tlbs(const struct chase_point *points, unsigned count, const struct chase_capacities *capacities,
                     struct chase_findings *findings);

/*
 * Whether pages of 2 MiB are no larger than 4 KiB to the TLBs, as those of a guest are whose host has pages of 4 KiB (AMD APM
 * vol. 2 15.25: a TLB keeps the smaller of both sizes): a line in each 4 KiB of them misses the first TLB where it does in pages
 * of 4 KiB. points: of such a series; findings: what chase_find_tlbs() found in pages of 4 KiB. *split only where true is
 * returned; false: the sets did not reach beyond the first TLB.
 */
bool chase_find_split(const struct chase_point *points, unsigned count, const struct chase_capacities *capacities,
                      const struct chase_findings *findings, bool *split);

/* The median of the points from..to bytes, 0 if there are none. */
uint64_t chase_plateau(const struct chase_point *points, unsigned count, uint64_t from_bytes, uint64_t to_bytes);
/* The last size before the first point at or above the middle of low and high; 0: none is, or the first one. */
uint64_t chase_step(const struct chase_point *points, unsigned count, uint64_t low, uint64_t high);

#endif
