/* SPDX-License-Identifier: MIT
 *
 * cmd_oracle.c - `kmemsim oracle PATH...`: replays recordings of real kernels and holds every address against them.
 *
 * Each recording is replayed in a process of its own, so that a defect ends one recording and not the run; as many at a time as
 * asked for. A process writes its lines and its tally into memory it shares by a file without a name. Rows are printed in the
 * order of the paths, whichever process is done first.
 */
#include "tools/kmemsim/command.h"
#include "tools/kmemsim/host_cpus.h"
#include "tools/kmemsim/oracle.h"
#include "tools/kmemsim/progress.h"
#include "tools/kmemsim/recording_files.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { OPTION_VERBOSE = 'v', OPTION_JOBS = 'j', OPTION_PARANOID = 256 };

/* Differences that --verbose shows of each recording unless it says how many. */
#define VERBOSE_DIFFERENCES 20
#define JOBS_MAX 1024

static const struct argp_option oracle_options_table[] = {
        {"verbose", OPTION_VERBOSE, "N", OPTION_ARG_OPTIONAL,
         "Tell the first N differences of each recording (default 20), not only one", 0},
        {"jobs", OPTION_JOBS, "N", 0, "Replay so many recordings at a time (default: the host's CPUs)", 0},
        {"paranoid", OPTION_PARANOID, NULL, 0, "Check every structure after each call", 0},
        {0},
};

struct options {
	struct oracle_options replay;
	unsigned jobs;
	struct recording_files files;
};

static bool take_count(const char *argument, unsigned max, unsigned *number, struct error *error)
{
	char *end;
	unsigned long value = strtoul(argument, &end, 10);
	if (*end || end == argument || value == 0 || value > max)
		return error_set(error, ERROR_USAGE, "oracle: found '%s', expected a number from 1 to %u", argument, max);
	*number = (unsigned)value;
	return true;
}

static int parse(int key, char *argument, void *input, struct error *error)
{
	struct options *options = input;
	switch (key) {
	case OPTION_VERBOSE:
		options->replay.differences = VERBOSE_DIFFERENCES;
		if (argument)
			take_count(argument, UINT32_MAX, &options->replay.differences, error);
		return 0;
	case OPTION_JOBS:
		take_count(argument, JOBS_MAX, &options->jobs, error);
		return 0;
	case OPTION_PARANOID:
		options->replay.paranoid = true;
		return 0;
	case ARGP_KEY_ARG:
		recording_files_add(&options->files, argument, error);
		return 0;
	case ARGP_KEY_END:
		if (options->files.count == 0 && error->kind == ERROR_NONE)
			error_set(error, ERROR_USAGE, "no recording named; `kmemsim oracle --help` shows the usage");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* ---- one recording, in its own process ---- */

/* What a process leaves behind at the start of its file; its text stands behind it. */
struct outcome {
	struct oracle_tally tally;
	enum error_kind kind; /* ERROR_NONE: replayed to its end */
	bool finished;
};

struct job {
	pid_t process; /* 0: not started, or waited for */
	int file;
	bool done;
	int status; /* of wait() */
};

static void print_outcome(FILE *out, const struct recording_file *file, const struct oracle_result *result,
                          const struct error *error)
{
	const struct oracle_tally *tally = &result->tally;
	fprintf(out, "%s calls=%" PRIu64 " equal=%" PRIu64 " states=%" PRIu64 " equal=%" PRIu64, file->name, tally->calls,
	        tally->calls_equal, tally->states, tally->states_equal);
	if (result->note && *result->note)
		fprintf(out, " (%s)", result->note + strspn(result->note, "; "));
	fprintf(out, "\n%s", result->differences ? result->differences : "");
	if (error->kind != ERROR_NONE)
		fprintf(out, "  stopped: %s\n", error->text);
}

static _Noreturn void replay_in_process(const struct recording_file *file, const struct oracle_options *options, int shared)
{
	struct outcome outcome = {0};
	struct error error = {0};
	struct recording recording;
	struct oracle_result result = {0};
	FILE *out = fdopen(shared, "w");
	SIM_ASSERT(out);
	fwrite(&outcome, sizeof outcome, 1, out);
	fflush(out); /* what is there if this process dies */
	if (recording_read(&recording, file->path, &error)) {
		oracle_replay(&recording, options, &result, &error);
		recording_release(&recording);
	}
	print_outcome(out, file, &result, &error);
	outcome = (struct outcome){.tally = result.tally, .kind = error.kind, .finished = true};
	oracle_result_release(&result);
	fflush(out);
	bool written = pwrite(shared, &outcome, sizeof outcome, 0) == (ssize_t)sizeof outcome;
	fclose(out);
	_exit(written ? EXIT_SUCCESS : ERROR_HOST);
}

static bool start_job(struct job *job, const struct options *options, size_t index, struct error *error)
{
	fflush(NULL);
	job->file = memfd_create("kmemsim-oracle", MFD_CLOEXEC);
	if (job->file < 0)
		return error_set(error, ERROR_HOST, "no file in memory for a process: %s", strerror(errno));
	job->process = fork();
	if (job->process < 0)
		return error_set(error, ERROR_HOST, "a process could not be started: %s", strerror(errno));
	if (job->process == 0)
		replay_in_process(&options->files.at[index], &options->replay, job->file);
	return true;
}

/* ---- all of them ---- */

struct totals {
	struct oracle_tally tally;
	enum error_kind worst;
	bool died;
};

static void copy_text(int file)
{
	char bytes[4096];
	ssize_t count;
	lseek(file, (off_t)sizeof(struct outcome), SEEK_SET);
	while ((count = read(file, bytes, sizeof bytes)) > 0)
		fwrite(bytes, 1, (size_t)count, stdout);
}

static void print_job(struct job *job, const struct recording_file *file, struct totals *totals)
{
	struct outcome outcome = {0};
	bool read_all = pread(job->file, &outcome, sizeof outcome, 0) == (ssize_t)sizeof outcome;
	if (!read_all || !outcome.finished || !WIFEXITED(job->status) || WEXITSTATUS(job->status) != EXIT_SUCCESS) {
		printf("%s died of a defect of kmemsim (status %d)\n", file->name, job->status);
		totals->died = true;
	} else {
		copy_text(job->file);
		totals->tally.calls += outcome.tally.calls;
		totals->tally.calls_equal += outcome.tally.calls_equal;
		totals->tally.states += outcome.tally.states;
		totals->tally.states_equal += outcome.tally.states_equal;
		if (outcome.kind > totals->worst)
			totals->worst = outcome.kind;
	}
	close(job->file);
}

/* Waits for one process and marks its job. */
static bool wait_for_one(struct job *jobs, size_t count, struct error *error)
{
	int status;
	pid_t process;
	do {
		process = wait(&status);
	} while (process < 0 && errno == EINTR);
	for (size_t i = 0; i < count; i++) {
		if (jobs[i].process != process)
			continue;
		jobs[i].process = 0;
		jobs[i].done = true;
		jobs[i].status = status;
		return true;
	}
	return error_set(error, ERROR_HOST, "a process of this program is lost");
}

static bool run_jobs(const struct options *options, struct totals *totals, struct error *error)
{
	size_t count = options->files.count, started = 0, printed = 0, running = 0;
	struct job *jobs = xcalloc(count, sizeof *jobs);
	struct progress_bar bar;
	bool done = true;
	progress_bar_start(&bar, "replaying");
	while (done && printed < count) {
		while (done && started < count && running < options->jobs) {
			done = start_job(&jobs[started], options, started, error);
			started += done;
			running += done;
		}
		done = done && wait_for_one(jobs, started, error);
		running -= done;
		for (; done && printed < started && jobs[printed].done; printed++) {
			progress_bar_end(&bar);
			print_job(&jobs[printed], &options->files.at[printed], totals);
			fflush(stdout);
		}
		progress_bar_tell(&bar, started - running, count);
	}
	progress_bar_end(&bar);
	free(jobs);
	return done;
}

/* A defect is worst, then an input that cannot be trusted or has nothing to replay, then a difference. */
static int exit_code(const struct totals *totals)
{
	const struct oracle_tally *tally = &totals->tally;
	if (totals->died)
		return EXIT_DIED;
	if (totals->worst != ERROR_NONE)
		return (int)totals->worst;
	if (tally->calls == 0) {
		fputs("kmemsim: not one call was replayed, so nothing was compared\n", stderr);
		return ERROR_INPUT;
	}
	return tally->calls == tally->calls_equal && tally->states == tally->states_equal ? EXIT_SUCCESS : EXIT_DIFFERENT;
}

static int replay_all(struct options *options)
{
	struct totals totals = {0};
	struct error error = {0};
	if (!run_jobs(options, &totals, &error))
		return command_failed(&error);
	const struct oracle_tally *tally = &totals.tally;
	printf("TOTAL calls=%" PRIu64 " equal=%" PRIu64 " states=%" PRIu64 " equal=%" PRIu64 "\n", tally->calls,
	       tally->calls_equal, tally->states, tally->states_equal);
	return exit_code(&totals);
}

static int run(const struct command *command, int argc, char **argv)
{
	unsigned cpus = host_cpus();
	struct options options = {.replay = {.differences = 1}, .jobs = cpus < JOBS_MAX ? cpus : JOBS_MAX};
	struct error error = {0};
	const struct command_line line = {command, parse, &options, &error};
	int code = command_parse(&line, argc, argv) ? replay_all(&options) : command_failed(&error);
	recording_files_release(&options.files);
	return code;
}

const struct command command_oracle = {
        .name = "oracle",
        .arguments = "PATH...",
        .summary = "Replay recorded kernel scripts: every address as recorded?",
        .help = "PATH is a recording made by tools/ground-truth, or a folder that is searched for them (plain, gz, xz or zst). "
                "Each script's\n"
                "calls are made on the models, from the state the recording begins with; what came out is held against the "
                "recording, call by\n"
                "call and list by list. One line a recording, its first difference below it, TOTAL at the end. The kernel, the "
                "machine and the\n"
                "allocator are taken from the recording itself and the facts beside it.\n\n"
                "  kmemsim oracle tests/oracle/recordings\n",
        .options = oracle_options_table,
        .run = run,
};
