/* SPDX-License-Identifier: MIT
 *
 * access_run.c - accesses through the machine, samples and results into the database (interface: access_run.h).
 */
#include "tools/kmemsim/access_run.h"

#include "models/cache_settings.h"
#include "models/settings_doc.h"
#include "sim/level_store.h"
#include "sim/port/access_source.h"
#include "tools/kmemsim/command.h"
#include "tools/kmemsim/progress.h"
#include "tools/kmemsim/simulate.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static volatile sig_atomic_t interrupt_seen;

static void note_interrupt(int signal_number)
{
	(void)signal_number;
	interrupt_seen = 1;
}

/* The first Ctrl-C ends the run and keeps what it has, the second one kills. */
static void catch_interrupts(void)
{
	struct sigaction action = {.sa_handler = note_interrupt, .sa_flags = (int)SA_RESETHAND};
	sigemptyset(&action.sa_mask);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	signal(SIGXFSZ, SIG_IGN); /* a file too large is an error of write(), which is told */
}

/* Everything a run is made of; each part is NULL until it is made. */
struct parts {
	const struct settings *settings;
	struct access_source *source;
	struct cache_hierarchy *caches;
	struct store *store;
	int64_t run_id;
	uint64_t accesses, next_sample;
	uint32_t samples;
	double started_s;
	bool interrupted;
};

static double host_seconds(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* What a recording would have told of its machine. */
static void complete_settings(struct settings *settings)
{
	if (settings->machine.cpus == 0)
		settings->machine.cpus = 1;
}

static bool begin_row(struct parts *parts, struct error *error)
{
	const struct settings *settings = parts->settings;
	char *scenario = NULL;
	size_t length;
	FILE *out = open_memstream(&scenario, &length);
	SIM_ASSERT(out);
	settings_print_yaml(settings, out);
	fclose(out);
	const char *slash = strrchr(settings->accesses, '/');
	const struct store_run row = {
	        .label = settings->label ? settings->label : settings->machine.name,
	        .allocator = settings->label ? settings->label : settings->machine.name,
	        .timing = "none",
	        .seed = settings->seed,
	        .scenario = scenario,
	        .trace = slash ? slash + 1 : settings->accesses,
	        .version = KMEMSIM_VERSION,
	        .compiler = __VERSION__,
	        .machine = settings->machine.name,
	        .cpus = settings->machine.cpus,
	        .memory_bytes = settings->machine.memory_bytes,
	        .frequency_hz = settings->machine.frequency_hz,
	};
	bool begun = store_run_begin(parts->store, &row, &parts->run_id, error);
	free(scenario);
	return begun;
}

static bool take_sample(struct parts *parts, struct error *error)
{
	return level_store_caches_sample(parts->store, parts->run_id, parts->samples++, parts->accesses, 0, parts->caches, error);
}

/* Runs a batch, cut where samples are due. */
static bool run_batch(struct parts *parts, const struct access *batch, size_t count, struct error *error)
{
	uint64_t every = parts->settings->sample_accesses;
	while (count > 0) {
		size_t now = count;
		if (every && parts->next_sample - parts->accesses < now)
			now = (size_t)(parts->next_sample - parts->accesses);
		cache_hierarchy_run(parts->caches, batch, now);
		parts->accesses += now;
		batch += now;
		count -= now;
		if (every && parts->accesses == parts->next_sample) {
			parts->next_sample += every;
			if (!take_sample(parts, error))
				return false;
		}
	}
	return true;
}

static bool run_source(struct parts *parts, struct error *error)
{
	struct access batch[ACCESS_BATCH];
	struct progress_bar bar;
	progress_bar_start(&bar, "running");
	size_t count;
	bool sound = true;
	while (!interrupt_seen && (sound = access_source_read(parts->source, batch, ACCESS_BATCH, &count, error)) && count > 0 &&
	       (sound = run_batch(parts, batch, count, error)))
		progress_bar_tell(&bar, parts->source->bytes_done, parts->source->bytes_total);
	progress_bar_end(&bar);
	parts->interrupted = interrupt_seen;
	return sound;
}

/* What was measured up to here, also of a run that ended early. */
static bool write_results(struct parts *parts, struct error *error)
{
	const struct level_names names = {0};
	uint32_t position = 0;
	cache_hierarchy_check(parts->caches);
	return take_sample(parts, error) &&
	       level_store_caches(parts->store, parts->run_id, parts->caches, &names, &position, error);
}

static bool end_row(struct parts *parts, bool done, const struct error *why, struct error *error)
{
	const struct store_end end = {
	        .status = !done                ? "failed"
	                  : parts->interrupted ? "interrupted"
	                                       : "complete",
	        .message = done ? NULL : why->text,
	        .wall_s = host_seconds() - parts->started_s,
	        .replay_wall_s = host_seconds() - parts->started_s,
	        .ops = parts->accesses,
	};
	return store_run_end(parts->store, parts->run_id, &end, error);
}

static bool print_levels(struct parts *parts, enum table_format format, struct error *error)
{
	return query_table_print(
	        parts->store,
	        "SELECT level, accesses, misses, round(100.0 * miss_ratio, 3) AS miss_percent, evictions, write_backs,"
	        " round(thrash_index, 4) AS thrash_index, ping_pong_blocks FROM v_level WHERE run_id = ?1"
	        " ORDER BY position",
	        &parts->run_id, 1, format, stdout, error);
}

static bool make_parts(struct parts *parts, const char *db_path, struct error *error)
{
	parts->source = access_source_open(parts->settings->accesses, NULL, error);
	if (parts->source)
		parts->caches = caches_of_settings(parts->settings, true, NULL, error);
	if (parts->caches)
		parts->store = store_open(db_path, error);
	parts->next_sample = parts->settings->sample_accesses;
	return parts->store && begin_row(parts, error);
}

static bool run_all(struct parts *parts, enum table_format format, struct error *error)
{
	bool done = run_source(parts, error);
	struct error at_results = {0};
	if (!write_results(parts, &at_results) && done)
		done = error_set(error, at_results.kind, "%s", at_results.text);
	struct error at_end = {0};
	if (!end_row(parts, done, error, &at_end) && done)
		done = error_set(error, at_end.kind, "%s", at_end.text);
	return done && print_levels(parts, format, error);
}

int access_simulate(const struct access_simulation *simulation)
{
	struct error error = {0};
	catch_interrupts();
	complete_settings(simulation->settings);
	struct parts parts = {.settings = simulation->settings, .started_s = host_seconds()};
	const char *db_path = simulation->db_path ? simulation->db_path : DEFAULT_DATABASE;
	bool done = make_parts(&parts, db_path, &error) && run_all(&parts, simulation->format, &error);
	struct error at_close = {0};
	if (parts.store && !store_close(parts.store, &at_close) && done)
		done = error_set(&error, at_close.kind, "%s", at_close.text);
	access_source_close(parts.source);
	cache_hierarchy_destroy(parts.caches);
	if (!done)
		return command_failed(&error);
	return parts.interrupted ? EXIT_INTERRUPTED : EXIT_SUCCESS;
}
