/* SPDX-License-Identifier: MIT
 *
 * run.c - one run from its recording to its rows: the parts are made, the replay runs, the results are written (interface:
 * run.h).
 */
#include "tools/kmemsim/run.h"

#include "tools/kmemsim/op_events.h"
#include "tools/kmemsim/program_run.h"
#include "tools/kmemsim/recorded.h"
#include "tools/kmemsim/run_parts.h"

#include <stdlib.h>
#include <time.h>

_Static_assert(SETTING_UNSET == DAEMON_CPU_AUTO, "the word auto of kernel.kswapd_cpu");

static double host_seconds(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static bool read_states(struct run_parts *parts, struct error *error)
{
	const struct settings *settings = parts->run->settings;
	return (!is_named(settings->start) || start_state_read(&parts->start, settings->start, error)) &&
	       (!is_named(settings->expect) || start_state_read(&parts->expect, settings->expect, error));
}

/* The accesses that the recording's process makes. */
static bool open_program(struct run_parts *parts, struct error *error)
{
	if (!program_is_wanted(parts->run->settings))
		return true;
	parts->accesses = program_source_open(parts->run->settings, error);
	return parts->accesses != NULL;
}

static bool end_row(struct run_parts *parts, const char *status, const struct error *why, double started, struct error *error)
{
	struct store_end end = {
	        .status = status,
	        .message = why->kind == ERROR_NONE ? NULL : why->text,
	        .wall_s = host_seconds() - started + parts->run->import_s,
	        .replay_wall_s = parts->replay_s,
	};
	if (parts->replay) {
		end.ops = replay_counters(parts->replay)->ops;
		end.peak_pages = replay_counters(parts->replay)->peak_slab_pages;
		end.simulated_ns = replay_time_ns(parts->replay) - trace_info(parts->trace)->first_ns;
	}
	if (parts->timed && parts->replay)
		end.cycles = parts->machine.machine.queue.now;
	if (store_run_end(parts->store, parts->run->run_id, &end, error))
		return true;
	/* Numbers that no column holds, as of times in a damaged .kmt, must not leave the run without its end. */
	struct error ignored = {0};
	const struct store_end bare = {.status = "failed", .message = error->text};
	store_run_end(parts->store, parts->run->run_id, &bare, &ignored);
	return false;
}

void run_release(struct run_parts *parts)
{
	replay_destroy(parts->replay);
	timed_machine_release(&parts->machine);
	cache_hierarchy_destroy(parts->caches);
	if (parts->mapped)
		kernel_map_release(&parts->kernel_map);
	if (parts->mmus.cpus)
		mmus_release(&parts->mmus);
	user_memory_destroy(parts->users);
	process_pages_destroy(parts->kept);
	access_source_close(parts->accesses);
	virtual_allocator_destroy(parts->areas);
	page_mapper_destroy(parts->mapper);
	object_allocator_destroy(parts->objects);
	page_allocator_destroy(parts->pages);
	steps_release(&parts->steps);
	layout_release(&parts->layout);
	procfs_slabinfo_release(&parts->recorded);
	if (parts->start.path)
		start_state_release(&parts->start);
	if (parts->expect.path)
		start_state_release(&parts->expect);
	trace_close(parts->trace);
}

/* Replays and writes what came out, also of a replay that ended early. */
static bool replay_all(struct run_parts *parts, bool *interrupted, struct error *error)
{
	double started = host_seconds();
	enum replay_status status = replay_run(parts->replay, parts->run->progress, parts->run->interrupt, error);
	parts->replay_s = host_seconds() - started;
	*interrupted = status == REPLAY_INTERRUPTED;
	struct error at_results = {0};
	if (!run_write_results(parts, status == REPLAY_COMPLETE, &at_results) || !run_write_expectation(parts, &at_results))
		return error_set(error, at_results.kind, "%s", at_results.text);
	return status != REPLAY_FAILED;
}

bool run_one(const struct run *run, bool *interrupted, struct error *error)
{
	struct run_parts parts = {.run = run};
	double started = host_seconds();
	*interrupted = false;
	parts.store = store_open(run->db_path, error);
	if (!parts.store)
		return false;
	parts.trace = trace_open(run->trace_path, error);
	bool done = parts.trace && dump_request_parse(&parts.dump, run->settings->dump, "dump", error) &&
	            recorded_slabs_read(parts.trace, &parts.recorded, error) && read_states(&parts, error) &&
	            open_program(&parts, error) && run_make_models(&parts, error) && run_make_replay(&parts, error) &&
	            replay_all(&parts, interrupted, error);
	struct error at_events = {0};
	if (!op_events_close(parts.events, run->settings, &at_events) && done)
		done = error_set(error, at_events.kind, "%s", at_events.text);
	const char *status = !done ? "failed" : *interrupted ? "interrupted" : "complete";
	struct error at_end = {0};
	if (!end_row(&parts, status, error, started, &at_end))
		done = error_set(error, at_end.kind, "%s", at_end.text);
	run_release(&parts);
	if (!store_close(parts.store, &at_end) && done)
		done = error_set(error, at_end.kind, "%s", at_end.text);
	return done;
}
