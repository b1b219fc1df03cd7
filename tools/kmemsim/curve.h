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
#include "sim/store.h"
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

/* Different blocks, of a sample estimated. */
double curve_distinct(const struct curve_result *result);

/* Sizes up to 2^40 blocks are told, as far as the curve falls. */
#define CURVE_POINTS_MAX 82u
#define CURVE_OCTAVES 41u

struct curve_point {
	uint64_t blocks;
	double misses, standard_error;
};
size_t curve_points(const struct curve_result *result, struct curve_point points[CURVE_POINTS_MAX]);

/* Accesses of a distance in [2^(octave-1), 2^octave); of 0 in octave 0. The octaves from 0 that have any. */
double curve_in_octave(const struct curve_result *result, unsigned octave);
unsigned curve_octaves(const struct curve_result *result);

void curve_print_text(const struct curve_request *request, const struct curve_result *result, FILE *out);
void curve_print_json(const struct curve_request *request, const struct curve_result *result, FILE *out);
/* size_blocks, size_bytes, misses, miss_ratio, standard_error */
void curve_print_csv(const struct curve_request *request, const struct curve_result *result, FILE *out);
/* curve.csv, histogram.csv and machines.csv into a folder. */
bool curve_write(const struct curve_request *request, const struct curve_result *result, const char *folder, struct error *error);

/*
 * A curve in the database is a run. Its row comes before the pass, so that a database that cannot be written is told then; what
 * was measured after it. result is NULL where the pass failed, and why says how.
 */
bool curve_store_begin(struct store *store, const struct curve_request *request, int64_t *run_id, struct error *error);
struct curve_store_end {
	const struct curve_result *result;
	const struct error *why;
	double wall_s;
};
bool curve_store_end(struct store *store, int64_t run_id, const struct curve_request *request, const struct curve_store_end *end,
                     struct error *error);

#endif
