/* SPDX-License-Identifier: MIT
 *
 * simulate.c - from a recording and settings to finished runs and a table (interface: simulate.h).
 *
 * Order of things: the recording is imported once, into an unnamed file that every process opens by its descriptor; the settings
 * are completed from it; the runs' rows are made in the order asked for; then each run goes its way, alone in this process or
 * several in child processes. A child that dies leaves its run marked failed.
 */
#include "tools/kmemsim/simulate.h"

#include "models/registry.h"
#include "models/scenario.h"
#include "models/settings_doc.h"
#include "models/start_state.h"
#include "models/workload_line.h"
#include "sim/store.h"
#include "sim/trace_report.h"
#include "tools/kmemsim/command.h"
#include "tools/kmemsim/host_cpus.h"
#include "tools/kmemsim/interrupt.h"
#include "tools/kmemsim/op_events.h"
#include "tools/kmemsim/program_run.h"
#include "tools/kmemsim/progress.h"
#include "tools/kmemsim/recorded.h"
#include "tools/kmemsim/results.h"
#include "tools/kmemsim/run.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* How long the parent sleeps between two looks at its children. */
#define POLL_NS 20000000

/* Memory of a machine that runs a workload, where nobody said how much it has. */
#define WORKLOAD_MEMORY_BYTES (1ull << 30)

struct job {
	struct settings settings; /* with one allocator */
	int64_t run_id;
	pid_t child; /* 0 = not started or over */
	bool started;
	int code;               /* exit code when over */
	_Atomic uint64_t *done; /* ops so far, shared between the processes */
};

struct batch {
	const struct simulation *simulation;
	const char *db_path;
	const volatile sig_atomic_t *interrupt; /* set from when there is something to keep */
	char *trace_path;                       /* of the .kmt */
	int trace_fd;                           /* of an unnamed imported file, -1 = the recording is .kmt itself */
	uint64_t trace_ops;
	const char *own_allocator; /* of the recorded kernel, NULL = not known */
	double import_s;
	struct job *jobs;
	uint32_t jobs_count;
	_Atomic uint64_t *progress; /* one counter a job */
};

static double host_seconds(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* No start state tells of processes, and what follows one has to be the recording's page allocations, all of them. */
static enum trace_processes processes_of(const struct settings *settings)
{
	bool wanted = settings->trace_processes && !is_named(settings->start);
	return wanted ? TRACE_PROCESSES : TRACE_NO_PROCESSES;
}

/* Imports a text recording into a file without a name, which every process opens by its descriptor. */
static bool import_text(struct batch *batch, const char *path, struct error *error)
{
	struct progress_bar bar;
	progress_bar_start(&bar, "importing");
	struct progress progress = progress_bar_callback(&bar);
	double started = host_seconds();
	batch->trace_fd = trace_import_unnamed(path, processes_of(batch->simulation->settings), &progress, error);
	batch->import_s = host_seconds() - started;
	progress_bar_end(&bar);
	if (batch->trace_fd < 0)
		return false;
	batch->trace_path = xasprintf("/proc/self/fd/%d", batch->trace_fd);
	return true;
}

/* Writes the ops of a workload. */
static int write_workload(const struct settings *settings, struct error *error)
{
	struct workload_line line;
	struct progress_bar bar;
	if (!workload_line_read(&line, settings->workload, "workload", error))
		return -1;
	progress_bar_start(&bar, "making up");
	struct progress progress = progress_bar_callback(&bar);
	const struct workload_wiring wiring = {.ops = line.ops,
	                                       .values = line.values,
	                                       .line = settings->workload,
	                                       .cpus = settings->machine.cpus,
	                                       .memory_bytes = settings->machine.memory_bytes,
	                                       .is_32bit = settings->machine.architecture == ARCHITECTURE_X86_32,
	                                       .seed = settings->seed,
	                                       .progress = &progress};
	int file = workload_write(&wiring, error);
	progress_bar_end(&bar);
	workload_line_release(&line);
	return file;
}

/* Makes up ops in place of a recording. Without a machine's size it has 1 GiB, or what a program gets, and one core. */
static bool make_up(struct batch *batch, struct settings *settings, struct error *error)
{
	bool is_program = program_is_wanted(settings);
	if (settings->machine.cpus == 0)
		settings->machine.cpus = 1;
	if (settings->machine.memory_bytes == 0)
		settings->machine.memory_bytes = is_program ? program_memory_bytes(settings) : WORKLOAD_MEMORY_BYTES;
	batch->trace_fd = is_program ? program_write(settings, error) : write_workload(settings, error);
	if (batch->trace_fd < 0)
		return false;
	batch->trace_path = xasprintf("/proc/self/fd/%d", batch->trace_fd);
	return true;
}

/* The recording as .kmt: as it is, imported, or made up. */
static bool get_recording(struct batch *batch, struct error *error)
{
	const struct simulation *simulation = batch->simulation;
	if (!simulation->trace_path)
		return make_up(batch, simulation->settings, error);
	if (!trace_is_native(simulation->trace_path))
		return import_text(batch, simulation->trace_path, error);
	batch->trace_path = xstrdup(simulation->trace_path);
	return true;
}

/* The model of the recording's own allocator, NULL if that could not be told. */
static const char *allocator_of(enum recorded_allocator recorded)
{
	switch (recorded) {
	case RECORDED_SLUB:
		return "slub";
	case RECORDED_SLAB:
		return "slab";
	case RECORDED_SLOB:
		return "slob";
	case RECORDED_UNKNOWN:
		break;
	}
	return NULL;
}

static void set_allocator(struct settings *settings, const char *name)
{
	for (uint32_t index = 0; index < settings->allocators; index++)
		free(settings->allocator[index]);
	settings->allocator = xrealloc(settings->allocator, sizeof *settings->allocator);
	settings->allocator[0] = xstrdup(name);
	settings->allocators = 1;
}

/* A recorded start state says more of its machine than the recording does, and more than the settings may. */
static bool complete_from_start(struct settings *settings, struct error *error)
{
	struct start_state start;
	if (!is_named(settings->start))
		return true;
	if (!start_state_read(&start, settings->start, error))
		return false;
	start_state_complete(&start, settings);
	start_state_release(&start);
	return true;
}

/*
 * The kernel as recorded, under what the user sets. MODEL: whether the recorded kernel shuffled its free lists is in no file; one
 * that did drew an order nobody can replay, so from a start state on, whose addresses are followed, new slabs are filled in
 * address order.
 */
static bool complete_kernel(const struct trace *trace, const struct simulation *simulation, struct error *error)
{
	struct settings *settings = simulation->settings;
	if (!simulation->recorded_kernel)
		return true;
	if (!recorded_kernel(trace, settings, error))
		return false;
	if (is_named(settings->start))
		settings->kernel.slab_freelist_random = false;
	return scenario_apply_sets(simulation->sets, settings, error);
}

/* Opens the recording, tells its summary and completes the settings from it. */
static bool read_recording(struct batch *batch, struct error *error)
{
	const struct simulation *simulation = batch->simulation;
	if (!get_recording(batch, error))
		return false;
	struct trace *trace = trace_open(batch->trace_path, error);
	if (!trace)
		return false;
	batch->trace_ops = trace_info(trace)->ops;
	trace_report_text(simulation->format == TABLE_TEXT ? stdout : stderr, trace);
	batch->own_allocator = allocator_of(trace_info(trace)->allocator);
	if (simulation->recorded_allocator && batch->own_allocator)
		set_allocator(simulation->settings, batch->own_allocator);
	bool complete = complete_kernel(trace, simulation, error) && complete_from_start(simulation->settings, error) &&
	                recorded_complete(trace, simulation->settings, error);
	trace_close(trace);
	return complete;
}

static bool make_rows(struct batch *batch, struct error *error)
{
	const struct settings *settings = batch->simulation->settings;
	/* Before, while the recording is imported, there is nothing to keep, and the first Ctrl-C kills. */
	batch->interrupt = catch_interrupts();
	struct trace *trace = trace_open(batch->trace_path, error);
	struct store *store = trace ? store_open(batch->db_path, error) : NULL;
	bool made = store != NULL;
	for (uint32_t index = 0; made && index < batch->jobs_count; index++) {
		struct job *job = &batch->jobs[index];
		settings_copy(&job->settings, settings);
		set_allocator(&job->settings, settings->allocator[index]);
		if (batch->jobs_count > 1)
			op_events_name(&job->settings, settings->allocator[index]);
		char *scenario = NULL;
		size_t length;
		FILE *out = open_memstream(&scenario, &length);
		SIM_ASSERT(out);
		settings_print_yaml(&job->settings, out);
		fclose(out);
		const struct store_run row = {
		        .label = settings->label ? settings->label : settings->allocator[index],
		        .allocator = settings->allocator[index],
		        .page_allocator = settings->page_allocator,
		        .timing = settings->timing == TIMING_CYCLES ? "cycles" : "none",
		        .seed = settings->seed,
		        .scenario = scenario,
		        .trace = trace_info(trace)->source,
		        .trace_sha256 = trace_info(trace)->sha256,
		        .version = KMEMSIM_VERSION,
		        .compiler = __VERSION__,
		        .machine = settings->machine.name,
		        .kernel = settings->kernel.name,
		        .cpus = settings->machine.cpus,
		        .memory_bytes = settings->machine.memory_bytes,
		        .frequency_hz = settings->machine.frequency_hz,
		};
		made = store_run_begin(store, &row, &job->run_id, error);
		free(scenario);
	}
	struct error at_close = {0};
	if (store && !store_close(store, &at_close))
		made = error_set(error, at_close.kind, "%s", at_close.text);
	trace_close(trace);
	return made;
}

static void tell_done(void *context, uint64_t done, uint64_t total)
{
	(void)total;
	atomic_store_explicit((_Atomic uint64_t *)context, done, memory_order_relaxed);
}

static int run_job(struct batch *batch, struct job *job, const struct progress *progress)
{
	struct error error = {0};
	bool interrupted;
	const struct run run = {
	        .settings = &job->settings,
	        .trace_path = batch->trace_path,
	        .db_path = batch->db_path,
	        .run_id = job->run_id,
	        .import_s = batch->import_s,
	        .progress = progress,
	        .interrupt = batch->interrupt,
	};
	if (!run_one(&run, &interrupted, &error))
		return command_failed(&error);
	return interrupted ? EXIT_INTERRUPTED : EXIT_SUCCESS;
}

static void run_alone(struct batch *batch)
{
	struct progress_bar bar;
	progress_bar_start(&bar, "replaying");
	struct progress progress = progress_bar_callback(&bar);
	batch->jobs[0].code = run_job(batch, &batch->jobs[0], &progress);
	progress_bar_end(&bar);
}

static bool start_child(struct batch *batch, struct job *job, struct error *error)
{
	fflush(stdout);
	fflush(stderr);
	job->child = fork();
	if (job->child < 0) {
		job->child = 0;
		return error_set(error, ERROR_HOST, "cannot start a process: %s", strerror(errno));
	}
	if (job->child == 0) {
		const struct progress progress = {tell_done, (void *)job->done};
		int code = run_job(batch, job, &progress);
		fflush(stdout);
		_exit(code);
	}
	job->started = true;
	return true;
}

/* The run of a child that died has nobody else to end it. */
static void mark_dead(struct batch *batch, struct job *job, int signal_number)
{
	struct error error = {0};
	job->code = EXIT_DIED;
	fprintf(stderr, "kmemsim: run %lld (%s) died: %s\n", (long long)job->run_id, job->settings.allocator[0],
	        strsignal(signal_number));
	struct store *store = store_open(batch->db_path, &error);
	char *message = xasprintf("the process died: %s", strsignal(signal_number));
	const struct store_end end = {.status = "failed", .message = message};
	if (store && store_run_end(store, job->run_id, &end, &error))
		store_close(store, &error);
	free(message);
}

static void reap(struct batch *batch, unsigned *running)
{
	int status;
	pid_t child;
	while ((child = waitpid(-1, &status, WNOHANG)) > 0) {
		for (uint32_t index = 0; index < batch->jobs_count; index++) {
			struct job *job = &batch->jobs[index];
			if (job->child != child)
				continue;
			job->child = 0;
			(*running)--;
			if (WIFEXITED(status))
				job->code = WEXITSTATUS(status);
			else
				mark_dead(batch, job, WTERMSIG(status));
		}
	}
}

static void stop_children(const struct batch *batch)
{
	for (uint32_t index = 0; index < batch->jobs_count; index++)
		if (batch->jobs[index].child > 0)
			kill(batch->jobs[index].child, SIGTERM);
}

static void run_in_children(struct batch *batch)
{
	unsigned at_once = host_cpus(), running = 0;
	uint32_t next = 0;
	bool told = false;
	struct progress_bar bar;
	progress_bar_start(&bar, "replaying");
	while (next < batch->jobs_count || running > 0) {
		while (next < batch->jobs_count && running < at_once && !*batch->interrupt) {
			struct error error = {0};
			struct job *job = &batch->jobs[next++];
			if (start_child(batch, job, &error))
				running++;
			else
				job->code = command_failed(&error);
		}
		if (*batch->interrupt && !told) {
			stop_children(batch);
			next = batch->jobs_count;
			told = true;
		}
		reap(batch, &running);
		uint64_t done = 0;
		for (uint32_t index = 0; index < batch->jobs_count; index++)
			done += atomic_load_explicit(batch->jobs[index].done, memory_order_relaxed);
		progress_bar_tell(&bar, done, batch->trace_ops * batch->jobs_count);
		if (running > 0)
			nanosleep(&(struct timespec){0, POLL_NS}, NULL);
	}
	progress_bar_end(&bar);
}

/* Runs that an interrupt kept from starting end as interrupted, too. */
static void end_unstarted(struct batch *batch)
{
	for (uint32_t index = 0; index < batch->jobs_count; index++) {
		struct job *job = &batch->jobs[index];
		if (batch->jobs_count == 1 || job->started || job->code != EXIT_SUCCESS)
			continue;
		struct error error = {0};
		job->code = EXIT_INTERRUPTED;
		struct store *store = store_open(batch->db_path, &error);
		const struct store_end end = {.status = "interrupted", .message = "interrupted before it began"};
		if (store && store_run_end(store, job->run_id, &end, &error))
			store_close(store, &error);
	}
}

static bool print_all(const struct batch *batch, struct error *error)
{
	struct printed_run *runs = xcalloc(batch->jobs_count, sizeof *runs);
	for (uint32_t index = 0; index < batch->jobs_count; index++)
		runs[index] = (struct printed_run){batch->jobs[index].run_id, batch->jobs[index].settings.allocator[0]};
	const struct results results = {
	        .runs = runs,
	        .count = batch->jobs_count,
	        .dump = batch->simulation->settings->dump,
	        .own_allocator = batch->own_allocator,
	        .format = batch->simulation->format,
	};
	bool printed = print_results(batch->db_path, &results, error);
	free(runs);
	return printed;
}

/* A database that cannot be written is told before a long import, not after it. */
static bool try_database(const char *path, struct error *error)
{
	struct store *store = store_open(path, error);
	return store && store_close(store, error);
}

static bool prepare(struct batch *batch, struct error *error)
{
	if (!batch->simulation->db_path && mkdir(DEFAULT_FOLDER, 0777) != 0 && errno != EEXIST)
		return error_set(error, ERROR_HOST, DEFAULT_FOLDER ": the folder for " DEFAULT_DATABASE " cannot be made: %s",
		                 strerror(errno));
	bool there = access(batch->db_path, F_OK) == 0;
	if (!try_database(batch->db_path, error))
		return false;
	if (!op_events_check(batch->simulation->settings, error) || !read_recording(batch, error)) {
		if (!there)
			unlink(batch->db_path);
		return false;
	}
	batch->jobs_count = batch->simulation->settings->allocators;
	batch->jobs = xcalloc(batch->jobs_count, sizeof *batch->jobs);
	size_t bytes = batch->jobs_count * sizeof *batch->progress;
	void *shared = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		return error_set(error, ERROR_HOST, "no memory to share between processes: %s", strerror(errno));
	batch->progress = shared;
	for (uint32_t index = 0; index < batch->jobs_count; index++)
		batch->jobs[index].done = &batch->progress[index];
	return make_rows(batch, error);
}

static void release(struct batch *batch)
{
	for (uint32_t index = 0; index < batch->jobs_count; index++)
		settings_release(&batch->jobs[index].settings);
	free(batch->jobs);
	if (batch->progress)
		munmap((void *)batch->progress, batch->jobs_count * sizeof *batch->progress);
	if (batch->trace_fd >= 0)
		close(batch->trace_fd);
	free(batch->trace_path);
}

/* The worst of the runs' exit codes. */
static int exit_code(const struct batch *batch)
{
	int code = EXIT_SUCCESS;
	for (uint32_t index = 0; index < batch->jobs_count; index++)
		if (batch->jobs[index].code > code)
			code = batch->jobs[index].code;
	return code;
}

int simulate(const struct simulation *simulation)
{
	struct batch batch = {
	        .simulation = simulation,
	        .db_path = simulation->db_path ? simulation->db_path : DEFAULT_DATABASE,
	        .trace_fd = -1,
	};
	struct error error = {0};
	int code;
	signal(SIGXFSZ, SIG_IGN); /* a file too large is an error of write(), which is told */
	if (!prepare(&batch, &error)) {
		code = command_failed(&error);
	} else {
		if (batch.jobs_count == 1)
			run_alone(&batch);
		else
			run_in_children(&batch);
		end_unstarted(&batch);
		code = exit_code(&batch);
		if (!print_all(&batch, &error))
			code = command_failed(&error);
	}
	release(&batch);
	return code;
}
