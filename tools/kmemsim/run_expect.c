/* SPDX-License-Identifier: MIT
 *
 * run_expect.c - a run beside the recording: addresses, and the state that was expected at its end (interface: run_parts.h).
 */
#include "tools/kmemsim/run_parts.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Caches that are named in the table of a run beside a recording. */
#define UNEQUAL_CACHES_SHOWN 10

static void print_share(FILE *out, const char *what, uint64_t compared, uint64_t equal)
{
	fprintf(out, "%-34s %10" PRIu64 " %10" PRIu64 " %8.3f %%\n", what, compared, equal,
	        compared ? 100.0 * (double)equal / (double)compared : 100.0);
}

static void print_moment(FILE *out, const char *which, const struct state_moment *moment)
{
	if (!moment->by_clock)
		fprintf(out,
		        "the %s state fits line %" PRIu64 " of the recording: %" PRIu64
		        " fewer frames contradict it than at its clock\n",
		        which, moment->line, moment->fewer);
}

/* What was made up for, so that one difference does not bring about the next; rows of 0 are left out. */
static void print_causes(FILE *out, const struct replay_counters *counters, const struct follow_pages_counters *pages)
{
	const struct {
		const char *what;
		uint64_t count;
	} rows[] = {
	        {"objects: freed without an event", counters->address_unseen_free},
	        {"objects: behind others", counters->address_unseen_alloc},
	        {"objects: freed later than asked for, by RCU", counters->frees_put_off},
	        {"objects: on a page put right", counters->address_page},
	        {"objects: out of reach", counters->address_lost},
	        {"objects: allocated without an event", counters->unseen_allocs_made},
	        {"  of them out of reach", counters->unseen_allocs_missed},
	        {"pages: behind bulk allocations", pages ? pages->allocs_bulk : 0},
	        {"pages: reordered by interrupts", pages ? pages->allocs_exchanged : 0},
	        {"pages: free elsewhere", pages ? pages->allocs_claimed : 0},
	        {"pages: out of reach", pages ? pages->allocs_lost : 0},
	        {"pages: taken by bulk allocations", pages ? pages->bulk_frames : 0},
	        {"pages: allocated past locked lists", pages ? pages->locked_allocs : 0},
	        {"pages: freed past locked lists", pages ? pages->locked_frees : 0},
	        {"pages: freed, not in use", pages ? pages->frees_claimed + pages->frees_lost : 0},
	        {"slabs: dropped with their pages", pages ? pages->slabs_evicted : 0},
	        {"slabs: needed too early", pages ? pages->slabs_refused : 0},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		if (rows[i].count)
			fprintf(out, "  %-42s %" PRIu64 "\n", rows[i].what, rows[i].count);
}

struct unequal {
	const char *name;
	uint64_t compared, count;
};

static int most_unequal_first(const void *a, const void *b)
{
	const struct unequal *x = a, *y = b;
	if (x->count != y->count)
		return x->count < y->count ? 1 : -1;
	return strcmp(x->name, y->name);
}

/* Which caches the objects are of that were not where the recording has them. */
static void print_unequal_caches(const struct run_parts *parts, FILE *out)
{
	const struct object_allocator *objects = parts->objects;
	uint32_t limit = objects->ops->cache_limit(objects), found = 0;
	struct unequal *rows = xcalloc((size_t)limit + 1, sizeof *rows);
	struct cache_view view;
	for (uint32_t nr = 0; nr < limit; nr++) {
		const struct replay_cache *cache = replay_cache(parts->replay, (cache_id){nr});
		if (cache->address_compared > cache->address_equal && objects->ops->cache_view(objects, (cache_id){nr}, &view))
			rows[found++] = (struct unequal){view.name, cache->address_compared,
			                                 cache->address_compared - cache->address_equal};
	}
	qsort(rows, found, sizeof *rows, most_unequal_first);
	for (uint32_t i = 0; i < found && i < UNEQUAL_CACHES_SHOWN; i++)
		fprintf(out, "  not equal, cache %-24s %" PRIu64 " of %" PRIu64 "\n", rows[i].name, rows[i].count,
		        rows[i].compared);
	free(rows);
}

/* The end of the run beside the state that was expected, and the recorded addresses beside the model's. */
static void print_expectation(const struct run_parts *parts, FILE *out)
{
	const struct replay_counters *counters = replay_counters(parts->replay);
	struct state_tally tally = {0};
	char *differences = NULL;
	size_t length;
	FILE *lines = open_memstream(&differences, &length);
	SIM_ASSERT(lines);
	if (parts->expect.path)
		start_state_compare(&parts->expect, parts->pages, parts->objects, &tally, lines);
	fclose(lines);
	if (parts->start.is_dump)
		print_moment(out, "start", &parts->start_moment);
	if (parts->start.is_dump && parts->expect.is_dump)
		print_moment(out, "end", &parts->end_moment);
	fprintf(out, "%-34s %10s %10s %10s\n", "against the recording", "compared", "equal", "share");
	if (parts->start.is_dump) {
		print_share(out, "objects at the recorded address", counters->address_compared, counters->address_equal);
		print_share(out, "page blocks at the recorded frame", counters->page_address_compared,
		            counters->page_address_equal);
		print_causes(out, counters, replay_follow_pages(parts->replay));
		print_unequal_caches(parts, out);
	}
	if (parts->expect.path) {
		if (tally.lists)
			print_share(out, "page lists and numbers at the end", tally.lists, tally.lists_equal);
		print_share(out, "free blocks per zone and order", tally.blocks, tally.blocks_equal);
		print_share(out, "  within 1 %", tally.blocks, tally.blocks_near);
		print_share(out, "slabs per cache", tally.caches, tally.caches_equal);
		print_share(out, "  within 1 %", tally.caches, tally.caches_near);
		print_share(out, "active objects per cache", tally.objects, tally.objects_equal);
		print_share(out, "  within 1 %", tally.objects, tally.objects_near);
	}
	if (tally.first[0])
		fprintf(out, "first list that differs: %s\n", tally.first);
	fputs(differences, out);
	free(differences);
}

/* Tells and stores how the end compares. */
bool run_write_expectation(struct run_parts *parts, struct error *error)
{
	if (!parts->start.is_dump && !parts->expect.path)
		return true;
	char *text = NULL;
	size_t length;
	FILE *out = open_memstream(&text, &length);
	SIM_ASSERT(out);
	print_expectation(parts, out);
	fclose(out);
	bool written =
	        store_snapshot(parts->store, parts->run->run_id, "expectation", replay_samples(parts->replay) - 1, text, error);
	fprintf(stderr, "# %s\n%s\n", parts->run->settings->allocator[0], text);
	free(text);
	return written;
}
