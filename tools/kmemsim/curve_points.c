/* SPDX-License-Identifier: MIT
 *
 * curve_points.c - the sizes and distances at which a miss curve is told (interface: curve.h).
 *
 * Sizes are each power of two and half-way between. Distances are told by powers of two.
 */
#include "tools/kmemsim/curve.h"

#include <math.h>

double curve_distinct(const struct curve_result *result)
{
	return result->stack ? (double)stack_distance_blocks(result->stack) : shards_facts(result->shards).distinct_blocks;
}

/* 1, 2, 3, 4, 6, 8, 12, ... up to the first size that holds all. */
size_t curve_points(const struct curve_result *result, struct curve_point points[CURVE_POINTS_MAX])
{
	size_t count = 0;
	double held = curve_distinct(result);
	struct stack_counts counts = {0};
	if (result->stack)
		counts = stack_distance_counts(result->stack);
	uint64_t distance = 0, hits = 0;
	for (unsigned octave = 0; octave < CURVE_OCTAVES; octave++)
		for (unsigned half = 0; half < (octave ? 2u : 1u); half++) {
			struct curve_point point = {.blocks = (2ull + half) << octave >> 1};
			if (result->stack) {
				for (; distance < point.blocks && distance < counts.distances; distance++)
					hits += counts.at[distance];
				point.misses = (double)(counts.accesses - hits);
			} else {
				struct shards_estimate estimate = shards_misses(result->shards, point.blocks);
				point.misses = estimate.misses;
				point.standard_error = estimate.standard_error;
			}
			points[count++] = point;
			if ((double)point.blocks >= held)
				return count;
		}
	return count;
}

double curve_in_octave(const struct curve_result *result, unsigned octave)
{
	uint64_t from = octave ? 1ull << (octave - 1) : 0, to = 1ull << octave;
	if (!result->stack)
		return octave ? shards_misses(result->shards, from).misses - shards_misses(result->shards, to).misses
		              : (double)result->accesses - shards_misses(result->shards, 1).misses;
	struct stack_counts counts = stack_distance_counts(result->stack);
	uint64_t sum = 0;
	for (uint64_t distance = from; distance < to && distance < counts.distances; distance++)
		sum += counts.at[distance];
	return (double)sum;
}

unsigned curve_octaves(const struct curve_result *result)
{
	unsigned count = 1;
	while (count < CURVE_OCTAVES && ldexp(1, (int)count - 1) < curve_distinct(result))
		count++;
	return count;
}
