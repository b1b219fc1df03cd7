/* SPDX-License-Identifier: MIT
 *
 * count.h - `kmemsim count`: an access trace through caches and TLBs that the command line names, and what each of them counted.
 *
 * Every level has a name of the command line (l1i, l1d, l2, llc, itlb, dtlb, stlb). A level not named is not there: what would
 * have gone to it goes to the next one.
 */
#ifndef TOOLS_COUNT_H
#define TOOLS_COUNT_H

#include "sim/cache_hierarchy.h"
#include "sim/port/translation.h"
#include "sim/trace.h"

#include <signal.h>
#include <stdio.h>

enum count_cache { COUNT_L1I, COUNT_L1D, COUNT_L2, COUNT_LLC, COUNT_CACHES };
enum count_tlb { COUNT_ITLB, COUNT_DTLB, COUNT_STLB, COUNT_TLBS };

enum count_walk { WALK_NONE, WALK_4LEVEL };

extern const char *const count_cache_names[COUNT_CACHES], *const count_tlb_names[COUNT_TLBS];

/* What one simulator of the world counts (docs/counting.md); the command line's defaults are those of drcachesim. */
struct count_rules {
	const char *name;
	const char *help;
	struct cache_rules caches;
	bool final_flush; /* what is dirty at the end of the trace is written back and counted */
};

extern const struct count_rules count_rules_known[]; /* ends with a NULL name */

struct count_request {
	const char *trace, *format;                        /* format NULL: told by the file */
	const char *cache[COUNT_CACHES], *tlb[COUNT_TLBS]; /* the user's words, NULL: not named */
	struct count_rules rules;
	enum count_walk walk;
	uint64_t records;     /* of the trace; 0: all */
	uint64_t flush_every; /* accesses, a load-store being two if the rules say so; 0: never */
	const struct progress *progress;
	const volatile sig_atomic_t *interrupt;
};

/* What a level counted; entries of kinds that it never sees are 0. */
struct count_level {
	const char *name;
	char geometry[64]; /* "32 KiB, 8-way, 64 B, lru" */
	bool is_tlb;
	uint64_t accesses[ACCESS_KINDS], misses[ACCESS_KINDS];
	uint64_t own_prefetches, own_prefetch_misses; /* of kind prefetch, what its own prefetcher made */
	uint64_t write_backs;                         /* dirty lines that left, but for the flush at the trace's end */
};

struct count_result {
	uint64_t records, kinds[ACCESS_KINDS]; /* of the trace */
	uint64_t flushes;                      /* but for that at the trace's end */
	struct count_level level[COUNT_CACHES + COUNT_TLBS];
	unsigned levels;
	uint64_t memory_reads, memory_writes; /* lines */
	uint64_t walks, walk_reads[PAGING_LEVELS_MAX],
	        walk_stores;             /* for misses; entries read, from the page's own up; bits set */
	uint64_t first_touches, refused; /* pages that got a frame; accesses to addresses that are none */
	bool has_caches;
	bool has_walks;
	bool interrupted;
};

/* Accesses and misses of a level: all that came to it, its own prefetcher not among them. */
uint64_t count_accesses(const struct count_level *level);
uint64_t count_misses(const struct count_level *level);

bool count_run(const struct count_request *request, struct count_result *result, struct error *error);

void count_print_text(const struct count_request *request, const struct count_result *result, FILE *out);
void count_print_json(const struct count_result *result, FILE *out);

#endif
