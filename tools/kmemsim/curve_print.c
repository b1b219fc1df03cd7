/* SPDX-License-Identifier: MIT
 *
 * curve_print.c - a miss curve as text, JSON and CSV (interface: curve.h).
 */
#include "tools/kmemsim/curve.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static double ratio(double part, uint64_t whole)
{
	return whole ? part / (double)whole : 0;
}

static void print_facts(const struct curve_request *request, const struct curve_result *result, FILE *out)
{
	const char *unit = request->tlb ? "pages" : "lines";
	fprintf(out, "%s: %" PRIu64 " records, %" PRIu64 " accesses to %.0f different %s of %" PRIu64 " bytes\n", request->trace,
	        result->records, result->accesses, curve_distinct(result), unit, request->block_bytes);
	if (result->end == CURVE_INTERRUPTED)
		fputs("interrupted: the rest of the trace was not read\n", out);
	if (result->end == CURVE_TOO_MANY_BLOCKS)
		fprintf(out,
		        "ended at %" PRIu64 " different %s (--max-blocks): the rest of the trace was not read; "
		        "--sample-size 65536 reads all of it\n",
		        stack_distance_blocks(result->stack), unit);
	if (result->stack) {
		fprintf(out, "exact; stack of %.1f MiB\n", (double)stack_distance_bytes(result->stack) / 1048576.0);
		return;
	}
	struct shards_facts facts = shards_facts(result->shards);
	fprintf(out,
	        "sampled: %" PRIu64 " accesses, %" PRIu64 " %s, rate %.6f at the end; the sample stands for %+.2f %% too many "
	        "accesses (adjusted); stacks of %.1f MiB\nsizes below %.0f %s are not resolved\n",
	        facts.sampled, facts.blocks, unit, facts.rate, 100 * (ratio(facts.unadjusted, facts.accesses) - 1),
	        (double)facts.bytes / 1048576.0, facts.rate > 0 ? 1 / facts.rate : 0, unit);
}

/* One line for a geometry and the levels that have it. */
static void print_geometry(const struct curve_request *request, const struct curve_machines *machines, unsigned index, FILE *out)
{
	const struct curve_level *level = &machines->level[index];
	uint64_t accesses = curve_level_accesses(machines, level), misses = curve_level_misses(machines, level);
	fprintf(out, "%8" PRIu64 " %10.6g %6u %14" PRIu64 " %14" PRIu64 " %8.3f %%", level->entries,
	        (double)level->entries * (double)request->block_bytes / 1024, level->ways, accesses, misses,
	        100 * ratio((double)misses, accesses));
	for (unsigned like = index; like < machines->levels; like++)
		if (curve_levels_alike(&machines->level[index], &machines->level[like]))
			fprintf(out, "%s %s %s", like == index ? " " : ",", machines->level[like].machine,
			        machines->level[like].name);
	fputc('\n', out);
}

/* Whether a level comes before another one in the table: the smaller one, or the earlier one of its size. */
static bool is_before(const struct curve_machines *machines, unsigned left, unsigned right)
{
	uint64_t left_entries = machines->level[left].entries, right_entries = machines->level[right].entries;
	return left_entries != right_entries ? left_entries < right_entries : left < right;
}

/* Whether a line of the table is this level's: something came to it, and no earlier level is like it. */
static bool has_line(const struct curve_machines *machines, unsigned index)
{
	unsigned like = 0;
	while (!curve_levels_alike(&machines->level[like], &machines->level[index]))
		like++;
	return like == index && curve_level_accesses(machines, &machines->level[index]) > 0;
}

static void print_machines(const struct curve_request *request, const struct curve_machines *machines, FILE *out)
{
	unsigned last = machines->levels;
	for (;;) {
		unsigned next = machines->levels;
		for (unsigned index = 0; index < machines->levels; index++)
			if (has_line(machines, index) && (last == machines->levels || is_before(machines, last, index)) &&
			    (next == machines->levels || is_before(machines, index, next)))
				next = index;
		if (next == machines->levels)
			return;
		if (last == machines->levels)
			fprintf(out,
			        "\nSizes of machines, each level alone (nothing is kept away by a level above), LRU, linear "
			        "index\n"
			        "%8s %10s %6s %14s %14s %10s  %s\n",
			        "entries", "KiB", "ways", "accesses", "misses", "ratio", "levels");
		print_geometry(request, machines, next, out);
		last = next;
	}
}

void curve_print_text(const struct curve_request *request, const struct curve_result *result, FILE *out)
{
	struct curve_point points[CURVE_POINTS_MAX];
	size_t count = curve_points(result, points);
	print_facts(request, result, out);
	fprintf(out, "\nFully associative LRU\n%12s %12s %14s %10s%s\n", "entries", "KiB", "misses", "ratio",
	        result->shards ? "   std. error" : "");
	for (size_t index = 0; index < count; index++) {
		fprintf(out, "%12" PRIu64 " %12.6g %14.0f %8.3f %%", points[index].blocks,
		        (double)points[index].blocks * (double)request->block_bytes / 1024, points[index].misses,
		        100 * ratio(points[index].misses, result->accesses));
		if (result->shards)
			fprintf(out, " %10.3f %%", 100 * ratio(points[index].standard_error, result->accesses));
		fputc('\n', out);
	}
	if (request->sets) {
		fprintf(out, "\n%" PRIu64 " sets, LRU\n%12s %14s %10s\n", request->sets, "ways", "misses", "ratio");
		for (uint32_t ways = 1; ways <= request->max_ways; ways++) {
			double misses = (double)set_stacks_misses(&result->by_sets, ways);
			fprintf(out, "%12u %14.0f %8.3f %%\n", ways, misses, 100 * ratio(misses, result->accesses));
		}
	}
	print_machines(request, &result->machines, out);
}

void curve_print_csv(const struct curve_request *request, const struct curve_result *result, FILE *out)
{
	struct curve_point points[CURVE_POINTS_MAX];
	size_t count = curve_points(result, points);
	fputs("size_blocks,size_bytes,misses,miss_ratio,standard_error\n", out);
	for (size_t index = 0; index < count; index++)
		fprintf(out, "%" PRIu64 ",%.0f,%.0f,%.9g,%.9g\n", points[index].blocks,
		        (double)points[index].blocks * (double)request->block_bytes, points[index].misses,
		        ratio(points[index].misses, result->accesses), ratio(points[index].standard_error, result->accesses));
}

static void print_machines_csv(const struct curve_result *result, FILE *out)
{
	fputs("machine,level,entries,ways,accesses,misses,share_of_all\n", out);
	for (unsigned index = 0; index < result->machines.levels; index++) {
		const struct curve_level *level = &result->machines.level[index];
		uint64_t accesses = curve_level_accesses(&result->machines, level);
		fprintf(out, "%s,%s,%" PRIu64 ",%u,%" PRIu64 ",%" PRIu64 ",%.9g\n", level->machine, level->name, level->entries,
		        level->ways, accesses, curve_level_misses(&result->machines, level),
		        ratio((double)accesses, result->accesses));
	}
}

static void print_histogram_csv(const struct curve_result *result, FILE *out)
{
	fputs("distance_from,distance_below,accesses\n", out);
	for (unsigned octave = 0; octave < curve_octaves(result); octave++)
		fprintf(out, "%" PRIu64 ",%" PRIu64 ",%.0f\n", octave ? UINT64_C(1) << (octave - 1) : 0, UINT64_C(1) << octave,
		        curve_in_octave(result, octave));
}

void curve_print_json(const struct curve_request *request, const struct curve_result *result, FILE *out)
{
	struct curve_point points[CURVE_POINTS_MAX];
	size_t count = curve_points(result, points);
	fprintf(out,
	        "{\"level\": \"%s\", \"block_bytes\": %" PRIu64 ", \"records\": %" PRIu64 ", \"accesses\": %" PRIu64
	        ", \"distinct_blocks\": %.0f, \"sampled\": %s, \"complete\": %s,\n\"curve\": [",
	        request->tlb ? "tlb" : "cache", request->block_bytes, result->records, result->accesses, curve_distinct(result),
	        result->shards ? "true" : "false", result->end == CURVE_COMPLETE ? "true" : "false");
	for (size_t index = 0; index < count; index++)
		fprintf(out, "%s{\"entries\": %" PRIu64 ", \"misses\": %.0f, \"standard_error\": %.0f}", index ? ",\n" : "\n",
		        points[index].blocks, points[index].misses, points[index].standard_error);
	fprintf(out, "],\n\"histogram\": [");
	for (unsigned octave = 0; octave < curve_octaves(result); octave++)
		fprintf(out, "%s{\"distance_from\": %" PRIu64 ", \"distance_below\": %" PRIu64 ", \"accesses\": %.0f}",
		        octave ? ",\n" : "\n", octave ? UINT64_C(1) << (octave - 1) : 0, UINT64_C(1) << octave,
		        curve_in_octave(result, octave));
	fprintf(out, "],\n\"sets\": %" PRIu64 ", \"misses_by_ways\": [", request->sets);
	for (uint32_t ways = 1; request->sets && ways <= request->max_ways; ways++)
		fprintf(out, "%s%" PRIu64, ways > 1 ? ", " : "", set_stacks_misses(&result->by_sets, ways));
	fprintf(out, "],\n\"machines\": [");
	for (unsigned index = 0; index < result->machines.levels; index++) {
		const struct curve_level *level = &result->machines.level[index];
		fprintf(out,
		        "%s{\"machine\": \"%s\", \"level\": \"%s\", \"entries\": %" PRIu64
		        ", \"ways\": %u, \"accesses\": %" PRIu64 ", \"misses\": %" PRIu64 "}",
		        index ? ",\n" : "\n", level->machine, level->name, level->entries, level->ways,
		        curve_level_accesses(&result->machines, level), curve_level_misses(&result->machines, level));
	}
	fprintf(out, "]}\n");
}

static FILE *open_in(const char *folder, const char *name, struct error *error)
{
	char *path = xasprintf("%s/%s", folder, name);
	FILE *file = fopen(path, "w");
	if (!file)
		error_set(error, ERROR_HOST, "%s: cannot be written: %s", path, strerror(errno));
	free(path);
	return file;
}

static bool close_in(FILE *file, const char *folder, struct error *error)
{
	bool written = !ferror(file);
	written = fclose(file) == 0 && written;
	return written || error_set(error, ERROR_HOST, "%s: a file in it cannot be written: %s", folder, strerror(errno));
}

bool curve_write(const struct curve_request *request, const struct curve_result *result, const char *folder, struct error *error)
{
	FILE *curve = open_in(folder, "curve.csv", error);
	if (!curve)
		return false;
	curve_print_csv(request, result, curve);
	if (!close_in(curve, folder, error))
		return false;
	FILE *histogram = open_in(folder, "histogram.csv", error);
	if (!histogram)
		return false;
	print_histogram_csv(result, histogram);
	if (!close_in(histogram, folder, error))
		return false;
	FILE *machines = open_in(folder, "machines.csv", error);
	if (!machines)
		return false;
	print_machines_csv(result, machines);
	return close_in(machines, folder, error);
}
