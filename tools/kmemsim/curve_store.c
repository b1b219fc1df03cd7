/* SPDX-License-Identifier: MIT
 *
 * curve_store.c - a miss curve into the database (interface: curve.h; tables: results/README.md).
 *
 * Estimates of a sample are rounded to whole accesses.
 */
#include "tools/kmemsim/curve.h"

#include "sim/path.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A rate is told in parts of this. */
#define RATE_PARTS 1e9

static const char *const kinds_names[CURVE_KINDS] = {[CURVE_ALL] = "all", [CURVE_DATA] = "data", [CURVE_CODE] = "code"};

bool curve_store_begin(struct store *store, const struct curve_request *request, int64_t *run_id, struct error *error)
{
	const char *kinds = request->kinds == CURVE_ALL ? "" : request->kinds == CURVE_DATA ? "data of " : "code of ";
	char *label = xasprintf("%s%s, %s of %" PRIu64 " B%s", kinds, path_name(request->trace), request->tlb ? "pages" : "lines",
	                        request->block_bytes, request->sampled ? ", sampled" : "");
	const struct store_run row = {
	        .label = label,
	        .allocator = label,
	        .timing = "none",
	        .seed = request->seed,
	        .trace = path_name(request->trace),
	        .version = KMEMSIM_VERSION,
	        .compiler = __VERSION__,
	};
	bool begun = store_run_begin(store, &row, run_id, error);
	free(label);
	return begun;
}

static uint64_t rounded(double accesses)
{
	return accesses > 0 ? (uint64_t)llround(accesses) : 0;
}

static bool store_facts(struct store *store, int64_t run_id, const struct curve_request *request,
                        const struct curve_result *result, struct error *error)
{
	struct store_curve curve = {
	        .port = request->tlb ? "tlb" : "cache",
	        .kinds = kinds_names[request->kinds],
	        .unit_bytes = request->block_bytes,
	        .records = result->records,
	        .accesses = result->accesses,
	        .blocks = rounded(curve_distinct(result)),
	        .sampled = result->shards != NULL,
	};
	if (result->shards) {
		const struct shards_facts facts = shards_facts(result->shards);
		curve.sampled_blocks = facts.blocks;
		curve.sampled_accesses = facts.sampled;
		curve.rate_ppb = rounded(facts.rate * RATE_PARTS);
	}
	return store_curve(store, run_id, &curve, error);
}

/* Fully associative sizes, then those of --sets, which are exact of a sample too. */
static bool store_sizes(struct store *store, int64_t run_id, const struct curve_request *request,
                        const struct curve_result *result, struct error *error)
{
	struct curve_point points[CURVE_POINTS_MAX];
	const size_t count = curve_points(result, points);
	bool stored = true;
	for (size_t index = 0; index < count && stored; index++) {
		const struct store_curve_size size = {1, points[index].blocks, rounded(points[index].misses),
		                                      result->shards != NULL, rounded(points[index].standard_error)};
		stored = store_curve_size(store, run_id, &size, error);
	}
	for (uint32_t ways = 1; request->sets && ways <= request->max_ways && stored; ways++) {
		const struct store_curve_size size = {
		        .sets = request->sets, .ways = ways, .misses = set_stacks_misses(&result->by_sets, ways)};
		stored = store_curve_size(store, run_id, &size, error);
	}
	return stored;
}

static bool store_distances(struct store *store, int64_t run_id, const struct curve_result *result, struct error *error)
{
	bool stored = true;
	for (unsigned octave = 0; octave < curve_octaves(result) && stored; octave++) {
		const struct store_curve_distance row = {octave ? 1ull << (octave - 1) : 0, (1ull << octave) - 1,
		                                         rounded(curve_in_octave(result, octave))};
		stored = store_curve_distance(store, run_id, &row, error);
	}
	return stored;
}

static bool store_machines(struct store *store, int64_t run_id, const struct curve_machines *machines, struct error *error)
{
	bool stored = true;
	for (unsigned index = 0; index < machines->levels && stored; index++) {
		const struct curve_level *level = &machines->level[index];
		const struct store_curve_machine row = {
		        .machine = level->machine,
		        .level = level->name,
		        .entries = level->entries,
		        .ways = level->ways,
		        .accesses = curve_level_accesses(machines, level),
		        .misses = curve_level_misses(machines, level),
		};
		stored = store_curve_machine(store, run_id, &row, error);
	}
	return stored;
}

bool curve_store_end(struct store *store, int64_t run_id, const struct curve_request *request, const struct curve_store_end *end,
                     struct error *error)
{
	const struct curve_result *result = end->result;
	bool stored = !result ||
	              (store_facts(store, run_id, request, result, error) && store_sizes(store, run_id, request, result, error) &&
	               store_distances(store, run_id, result, error) && store_machines(store, run_id, &result->machines, error));
	const struct store_end row = {
	        .status = !result || !stored              ? "failed"
	                  : result->end == CURVE_COMPLETE ? "complete"
	                                                  : "interrupted",
	        .message = !result                                ? end->why->text
	                   : !stored                              ? error->text
	                   : result->end == CURVE_TOO_MANY_BLOCKS ? "ended at --max-blocks different blocks"
	                                                          : NULL,
	        .wall_s = end->wall_s,
	        .replay_wall_s = end->wall_s,
	        .ops = result ? result->records : 0,
	};
	return store_run_end(store, run_id, &row, stored ? error : &(struct error){0}) && stored;
}
