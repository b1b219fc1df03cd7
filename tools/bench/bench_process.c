/* SPDX-License-Identifier: MIT
 *
 * bench_process.c - a run as `kmemsim run` makes it, of which only the replay is timed: neither reading the accesses ahead to
 * find the process's areas, nor making the models, nor writing the results (interface: bench_process.h).
 */
#include "tools/bench/bench_process.h"

#include "sim/io/access_kmt.h"
#include "tools/kmemsim/program_run.h"
#include "tools/kmemsim/recorded.h"
#include "tools/kmemsim/run_parts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SETS_MAX 16u

static double thread_seconds(void)
{
	struct timespec now;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* The only function whose instructions are counted. */
__attribute__((noinline)) static bool run_pass_batch_of_process(struct replay *replay, struct error *error)
{
	static const volatile sig_atomic_t never;
	return replay_run(replay, NULL, &never, error) == REPLAY_COMPLETE;
}

/* ---- the beginning of a trace ---- */

struct beginning {
	struct access_source source;
	struct access_source *inner;
	uint64_t left;
};

static bool beginning_read(struct access_source *source, struct access *batch, size_t capacity, size_t *count,
                           struct error *error)
{
	struct beginning *beginning = (struct beginning *)source;
	if (!access_source_read(beginning->inner, batch, beginning->left < capacity ? (size_t)beginning->left : capacity, count,
	                        error))
		return false;
	beginning->left -= *count;
	return true;
}

static void beginning_close(struct access_source *source)
{
	access_source_close(((struct beginning *)source)->inner);
}

/* Writes the first accesses of a trace into a file, and returns how many there are; 0 with *error. */
static uint64_t write_beginning(const char *trace, uint64_t most, const char *file, struct error *error)
{
	static const struct access_source_ops ops = {.name = "beginning",
	                                             .help = "the first accesses of another source",
	                                             .read = beginning_read,
	                                             .close = beginning_close};
	struct beginning beginning = {.source.ops = &ops, .inner = access_source_open(trace, NULL, error), .left = most};
	struct access_summary summary;
	bool written = beginning.inner && access_write_kmt(&beginning.source, file, NULL, &summary, error);
	access_source_close(beginning.inner);
	return written ? most - beginning.left : 0;
}

/* ---- one run ---- */

static bool run_replay(struct run_parts *parts, struct process_time *time, struct error *error)
{
	if (!run_make_models(parts, error) || !run_make_replay(parts, error))
		return false;
	double started = thread_seconds();
	bool sound = run_pass_batch_of_process(parts->replay, error);
	time->seconds = thread_seconds() - started;
	return sound;
}

static bool run_trace(struct settings *settings, const char *kmt, const char *db, struct process_time *time, struct error *error)
{
	struct run run = {.settings = settings, .trace_path = kmt, .db_path = db};
	struct run_parts parts = {.run = &run};
	const struct store_run row = {.allocator = settings->allocator[0]};
	parts.store = store_open(db, error);
	bool sound = parts.store && store_run_begin(parts.store, &row, &run.run_id, error);
	parts.trace = sound ? trace_open(kmt, error) : NULL;
	parts.accesses = parts.trace ? program_source_open(settings, error) : NULL;
	sound = parts.accesses && recorded_complete(parts.trace, settings, error) &&
	        recorded_slabs_read(parts.trace, &parts.recorded, error) && run_replay(&parts, time, error);
	run_release(&parts);
	return (!parts.store || store_close(parts.store, error)) && sound;
}

static bool run_settings(struct settings *settings, const char *db, struct process_time *time, struct error *error)
{
	settings->machine.cpus = 1;
	settings->machine.memory_bytes = program_memory_bytes(settings);
	int trace = program_write(settings, error);
	if (trace < 0)
		return false;
	char *kmt = xasprintf("/proc/self/fd/%d", trace);
	bool sound = run_trace(settings, kmt, db, time, error);
	free(kmt);
	close(trace);
	return sound;
}

static bool load_settings(struct settings *settings, const char *const own[], const char *trace, struct error *error)
{
	static const char *const config_dirs[] = {KMEMSIM_SOURCE_DIR "/configs", NULL};
	const char *sets[SETS_MAX] = {"timing=cycles", "address_space=process", "pace=asap", "watch.levels=false",
	                              "sample.every=off"};
	size_t count = 5;
	char *accesses = xasprintf("accesses=%s", trace);
	for (sets[count++] = accesses; *own; own++) {
		SIM_ASSERT(count + 1 < SETS_MAX);
		sets[count++] = *own;
	}
	bool sound = scenario_load(&(struct scenario_source){.config_dirs = config_dirs, .sets = sets}, settings, error);
	free(accesses);
	return sound;
}

bool process_bench(const char *trace, uint64_t most, const char *const own[], struct process_time *time, struct error *error)
{
	struct settings settings;
	char folder[] = "/tmp/kmemsim-bench-XXXXXX";
	if (!mkdtemp(folder))
		return error_set(error, ERROR_HOST, "%s: %s", folder, strerror(errno));
	char *file = xasprintf("%s/trace.kma", folder), *db = xasprintf("%s/run.db", folder);
	*time = (struct process_time){.accesses = write_beginning(trace, most, file, error)};
	bool sound = time->accesses > 0 && load_settings(&settings, own, file, error);
	if (sound) {
		sound = run_settings(&settings, db, time, error);
		settings_release(&settings);
	}
	unlink(file);
	unlink(db);
	rmdir(folder);
	free(file);
	free(db);
	return sound;
}
