/* SPDX-License-Identifier: MIT
 *
 * curve.h - `kmemsim curve`: one pass over an access trace, and the misses of every size of a cache or TLB.
 *
 * Accesses are cut into blocks (lines, or pages): one over several blocks is one access of each; a load-store is a load, then a
 * store. Addresses are used as they are, those of all CPUs together. A level stands alone: what a first level would keep away
 * from a second is not taken off.
 */
#ifndef TOOLS_CURVE_H
#define TOOLS_CURVE_H

#include "sim/set_stacks.h"
#include "sim/shards.h"
#include "sim/stack_distance.h"
#include "sim/trace.h"
#include "tools/kmemsim/curve_machines.h"

#include <signal.h>
#include <stdio.h>

/* Different blocks of an exact pass unless told: some 4 GiB of host memory. */
#define CURVE_BLOCKS_MAX (1u << 25)

struct curve_request {
	const char *trace, *format;
	const char *machines; /* names joined by commas, "none"; NULL: all */
	bool tlb;             /* sizes are entries, not bytes */
	uint64_t block_bytes; /* of a line or page; a power of two */
	uint64_t sets;        /* 0: no table of associativities */
	uint32_t max_ways;
	uint64_t records; /* 0: all */
	enum curve_kinds kinds;
	uint64_t max_blocks; /* of an exact pass: where they are reached the trace ends */
	bool sampled;
	double rate;
	uint32_t sample_blocks; /* 0: the rate stays */
	uint64_t seed;
	const struct progress *progress;
	const volatile sig_atomic_t *interrupt;
};

enum curve_end { CURVE_COMPLETE, CURVE_INTERRUPTED, CURVE_TOO_MANY_BLOCKS };

struct curve_result {
	struct stack_distance *stack; /* NULL if sampled */
	struct shards *shards;        /* NULL if not */
	struct set_stacks by_sets;    /* of request->sets */
	struct curve_machines machines;
	uint64_t records;  /* read */
	uint64_t accesses; /* of the wanted kinds, to blocks */
	enum curve_end end;
};

/* On failure there is nothing to release. */
bool curve_run(const struct curve_request *request, struct curve_result *result, struct error *error);
void curve_release(struct curve_result *result);

void curve_print_text(const struct curve_request *request, const struct curve_result *result, FILE *out);
void curve_print_json(const struct curve_request *request, const struct curve_result *result, FILE *out);
/* size_blocks, size_bytes, misses, miss_ratio, standard_error */
void curve_print_csv(const struct curve_request *request, const struct curve_result *result, FILE *out);
/* curve.csv, histogram.csv, machines.csv and curve.png into a folder, which is made where it is not there. */
bool curve_write(const struct curve_request *request, const struct curve_result *result, const char *folder,
                 const char *templates, struct error *error);

#endif
