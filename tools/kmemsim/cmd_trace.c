/* SPDX-License-Identifier: MIT
 *
 * cmd_trace.c - `kmemsim trace info|convert|check FILE`: recordings and access traces themselves.
 */
#include "sim/access_summary.h"
#include "sim/io/access_kmt.h"
#include "sim/trace_report.h"
#include "tools/kmemsim/command.h"
#include "tools/kmemsim/progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OPTION_JSON = 256, OPTION_FORMAT, OPTION_NO_PROCESSES };

static const struct argp_option trace_options[] = {
        {"json", OPTION_JSON, NULL, 0, "info: one JSON object instead of text", 0},
        {"format", OPTION_FORMAT, "FORMAT", 0, "FILE is an access trace of this format (`kmemsim list formats`)", 0},
        {"no-processes", OPTION_NO_PROCESSES, NULL, 0,
         "convert: leave out the events of processes; their page allocations stay ops", 0},
        {0},
};

struct options {
	const char *verb, *file, *out, *format;
	bool json;
	enum trace_processes processes;
};

static int parse(int key, char *argument, void *input, struct error *error)
{
	struct options *options = input;
	switch (key) {
	case OPTION_JSON:
		options->json = true;
		return 0;
	case OPTION_NO_PROCESSES:
		options->processes = TRACE_NO_PROCESSES;
		return 0;
	case OPTION_FORMAT:
		options->format = argument;
		return 0;
	case ARGP_KEY_ARG:
		if (!options->verb)
			options->verb = argument;
		else if (!options->file)
			options->file = argument;
		else if (!options->out && strcmp(options->verb, "convert") == 0)
			options->out = argument;
		else
			return ARGP_ERR_UNKNOWN;
		return 0;
	case ARGP_KEY_END:
		if (!options->file)
			error_set(error, ERROR_USAGE,
			          "expected `trace info|convert|check FILE`; `kmemsim trace --help` shows the usage");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static bool info(const struct options *options, const struct progress *progress, struct error *error)
{
	struct trace *trace = trace_open_any(options->file, progress, error);
	if (!trace)
		return false;
	if (options->json)
		trace_report_json(stdout, trace);
	else
		trace_report_text(stdout, trace);
	trace_close(trace);
	return true;
}

/* "dir/trace.txt.xz" -> "dir/trace.kmt" */
static char *native_name(const char *path)
{
	static const char *const endings[] = {".xz", ".gz", ".zst", ".txt"};
	char *name = xstrdup(path);
	for (size_t index = 0; index < sizeof endings / sizeof endings[0]; index++) {
		size_t length = strlen(name), ending = strlen(endings[index]);
		if (length > ending && strcmp(name + length - ending, endings[index]) == 0)
			name[length - ending] = '\0';
	}
	char *native = xasprintf("%s.kmt", name);
	free(name);
	return native;
}

static bool convert(const struct options *options, const struct progress *progress, struct error *error)
{
	char *beside = native_name(options->file);
	const char *out = options->out ? options->out : beside;
	struct trace_summary summary;
	bool converted = trace_import(options->file, out, options->processes, progress, &summary, error);
	struct trace *trace = converted ? trace_open(out, error) : NULL;
	if (trace) {
		printf("%s\n", out);
		trace_report_text(stdout, trace);
	}
	trace_close(trace);
	free(beside);
	return trace != NULL;
}

static bool check(const struct options *options, const struct progress *progress, struct error *error)
{
	uint64_t ops;
	if (!trace_check(options->file, progress, &ops, error))
		return false;
	printf("%s: %" PRIu64 " ops, sound from the first to the last\n", options->file, ops);
	return true;
}

static bool access_info(const struct options *options, struct access_source *source, const struct progress *progress,
                        struct error *error)
{
	struct access_summary summary;
	if (!access_summary_read(&summary, source, progress, error))
		return false;
	if (options->json)
		access_summary_json(&summary, options->file, source->ops->name, stdout);
	else
		access_summary_text(&summary, options->file, source->ops->name, stdout);
	return true;
}

static bool access_convert(const struct options *options, struct access_source *source, const struct progress *progress,
                           struct error *error)
{
	struct access_summary summary;
	char *beside = native_name(options->file);
	const char *out = options->out ? options->out : beside;
	bool converted = access_write_kmt(source, out, progress, &summary, error);
	if (converted) {
		printf("%s\n", out);
		access_summary_text(&summary, options->file, source->ops->name, stdout);
	}
	free(beside);
	return converted;
}

static bool access_check(const struct options *options, struct access_source *source, const struct progress *progress,
                         struct error *error)
{
	struct access_summary summary;
	if (!access_summary_read(&summary, source, progress, error))
		return false;
	printf("%s: %" PRIu64 " accesses (%s), sound from the first to the last\n", options->file,
	       access_summary_accesses(&summary), source->ops->name);
	return true;
}

struct verb {
	const char *name;
	bool (*of_recording)(const struct options *, const struct progress *, struct error *);
	bool (*of_accesses)(const struct options *, struct access_source *, const struct progress *, struct error *);
};

static const struct verb verbs[] = {
        {"info", info, access_info}, {"convert", convert, access_convert}, {"check", check, access_check}, {0}};

/* A file is an access trace if the user says so or its content does; else it is a recording. */
static bool do_verb(const struct options *options, const struct progress *progress, struct error *error)
{
	const struct verb *verb = verbs;
	while (verb->name && strcmp(verb->name, options->verb) != 0)
		verb++;
	if (!verb->name)
		return error_set(error, ERROR_USAGE, "trace: found '%s', expected info, convert or check", options->verb);
	const char *format = options->format ? options->format : access_source_recognise(options->file);
	if (!format)
		return verb->of_recording(options, progress, error);
	struct access_source *source = access_source_open(options->file, format, error);
	bool done = source && verb->of_accesses(options, source, progress, error);
	access_source_close(source);
	return done;
}

static int run(const struct command *command, int argc, char **argv)
{
	struct options options = {0};
	struct error error = {0};
	const struct command_line line = {command, parse, &options, &error};
	if (!command_parse(&line, argc, argv))
		return command_failed(&error);
	struct progress_bar bar;
	progress_bar_start(&bar, "reading");
	struct progress progress = progress_bar_callback(&bar);
	bool done = do_verb(&options, &progress, &error);
	progress_bar_end(&bar);
	return done ? EXIT_SUCCESS : command_failed(&error);
}

const struct command command_trace = {
        .name = "trace",
        .arguments = "info|convert|check FILE [OUT.kmt]",
        .summary = "Tell of a recording or access trace, convert it to .kmt, check it",
        .help = "  info     what was read, what was left out and why, what could not be seen\n"
                "  convert  text to the native format, which replays without parsing\n"
                "           (docs/formats.md); OUT defaults to the text's name\n"
                "  check    reads every op and every checksum\n\n"
                "A FILE may also be an access trace, in any format of `kmemsim list formats`.\n\n"
                "  kmemsim trace convert trace.txt.xz && kmemsim compare trace.kmt\n"
                "  valgrind --tool=lackey --trace-mem=yes --log-file=/dev/stdout true |\n"
                "      kmemsim trace convert --format lackey - true.kmt\n",
        .options = trace_options,
        .run = run,
};
