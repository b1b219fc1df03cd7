/* SPDX-License-Identifier: MIT
 *
 * results.c - dumps, table and comparison with the recording (interface: results.h).
 */
#include "tools/kmemsim/results.h"

#include "models/scenario.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct dump_print {
	unsigned kinds;
	bool at_end;
};

/* columns: kind, allocator, time_ns, last, text */
static bool print_dump_row(void *context, const struct store_row *row, struct error *error)
{
	(void)error;
	const struct dump_print *print = context;
	bool wanted = false;
	for (unsigned kind = 0; kind < DUMP_KINDS; kind++)
		if (print->kinds & 1u << kind && strcmp(row->values[0].text, dump_kind_name((enum dump_kind)kind)) == 0)
			wanted = true;
	if (!wanted || (row->values[3].integer && !print->at_end))
		return true;
	printf("# %s under %s at %.6f s\n%s\n", row->values[0].text, row->values[1].text, row->values[2].real / 1e9,
	       row->values[4].text);
	return true;
}

static bool print_dumps(const struct results *results, struct store *store, struct error *error)
{
	struct dump_request request;
	if (!dump_request_parse(&request, results->dump, "dump", error))
		return false;
	struct dump_print print = {request.kinds, request.at_end};
	for (uint32_t index = 0; print.kinds && index < results->count; index++)
		if (!store_query(store,
		                 "SELECT kind, run.allocator, time_ns, sample = (SELECT max(sample) FROM sample WHERE run_id = "
		                 "?1), text "
		                 "FROM snapshot JOIN sample USING (run_id, sample) JOIN run ON run.id = run_id WHERE run_id = ?1 "
		                 "ORDER BY sample, kind",
		                 &results->runs[index].id, 1, print_dump_row, &print, error))
			return false;
	return true;
}

/* A cache of fewer slabs says little: one slab more is more than a tenth of it. */
#define SLABS_TOLD_FROM "10"

/* columns: allocations whose bytes_alloc the recording tells, of them the equal ones */
static bool print_bytes_alloc(void *context, const struct store_row *row, struct error *error)
{
	(void)context;
	(void)error;
	printf("  bytes_alloc as recorded: %lld of %lld allocations\n", (long long)row->values[1].integer,
	       (long long)row->values[0].integer);
	return true;
}

/* columns: cache, recorded slabs, slabs, difference */
static bool print_slabs(void *context, const struct store_row *row, struct error *error)
{
	bool *headed = context;
	(void)error;
	if (!*headed)
		printf("  %-24s  %14s  %10s  %10s\n", "cache (" SLABS_TOLD_FROM " slabs and more)", "slabs recorded",
		       "slabs here", "difference");
	*headed = true;
	printf("  %-24s  %14lld  %10lld  %8.1f %%\n", row->values[0].text, (long long)row->values[1].integer,
	       (long long)row->values[2].integer, row->values[3].real);
	return true;
}

/* Address spaces of fewer pages say little, and the rest is in the database. */
#define PAGES_TOLD_FROM "64"
#define SPACES_TOLD "12"

/* columns: task, recorded pages, pages, difference */
static bool print_space(void *context, const struct store_row *row, struct error *error)
{
	bool *headed = context;
	(void)error;
	if (!*headed)
		printf("\nResident pages of processes against the recording (rss_stat)\n  %-24s  %14s  %10s  %10s\n",
		       "task (" PAGES_TOLD_FROM " pages and more)", "peak recorded", "peak here", "difference");
	*headed = true;
	printf("  %-24lld  %14lld  %10lld  %8.1f %%\n", (long long)row->values[0].integer, (long long)row->values[1].integer,
	       (long long)row->values[2].integer, row->values[3].real);
	return true;
}

/* How many pages processes had at most; processes do not depend on the object allocator, so it is told of one run. */
static bool print_spaces(const struct results *results, struct store *store, struct error *error)
{
	bool headed = false;
	if (results->count == 0)
		return true;
	return store_query(store,
	                   "SELECT task, recorded_pages, pages, difference_percent FROM v_recorded_rss "
	                   "WHERE run_id = ?1 AND recorded_pages >= " PAGES_TOLD_FROM
	                   " ORDER BY recorded_pages DESC, nr LIMIT " SPACES_TOLD,
	                   &results->runs[0].id, 1, print_space, &headed, error);
}

/* How close the run of the recording's own allocator came to what the recording tells of it. */
static bool print_against_recording(const struct results *results, struct store *store, struct error *error)
{
	bool headed = false;
	for (uint32_t index = 0; index < results->count; index++) {
		const struct printed_run *run = &results->runs[index];
		if (!results->own_allocator || strcmp(run->allocator, results->own_allocator) != 0)
			continue;
		printf("\nAgainst the recording, whose own allocator was %s\n", results->own_allocator);
		if (!store_query(store,
		                 "SELECT max(value) FILTER (WHERE name = 'bytes_alloc_compared'), "
		                 "max(value) FILTER (WHERE name = 'bytes_alloc_equal') FROM metric WHERE run_id = ?1 AND "
		                 "component = 'replay'",
		                 &run->id, 1, print_bytes_alloc, NULL, error) ||
		    !store_query(store,
		                 "SELECT cache, recorded_slabs, slabs, difference_percent FROM v_recorded_slabs "
		                 "WHERE run_id = ?1 AND recorded_slabs >= " SLABS_TOLD_FROM
		                 " ORDER BY recorded_slabs DESC, cache",
		                 &run->id, 1, print_slabs, &headed, error))
			return false;
	}
	return true;
}

bool print_results(const char *db, const struct results *results, struct error *error)
{
	struct store *store = store_open_readonly(db, error);
	if (!store)
		return false;
	int64_t *runs = xcalloc(results->count, sizeof *runs);
	for (uint32_t index = 0; index < results->count; index++)
		runs[index] = results->runs[index].id;
	bool text = results->format == TABLE_TEXT;
	bool printed = (!text || print_dumps(results, store, error)) &&
	               compare_table_print(store, runs, results->count, results->format, stdout, error) &&
	               (!text || (print_against_recording(results, store, error) && print_spaces(results, store, error)));
	free(runs);
	struct error at_close = {0};
	return store_close(store, &at_close) && printed;
}
