/* SPDX-License-Identifier: MIT
 *
 * cmd_trace.c - `kmemsim trace info|convert|check FILE`: recordings themselves.
 */
#include "sim/trace_report.h"
#include "tools/kmemsim/command.h"
#include "tools/kmemsim/progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OPTION_JSON = 256 };

static const struct argp_option trace_options[] = {
        {"json", OPTION_JSON, NULL, 0, "info: one JSON object instead of text", 0},
        {0},
};

struct options {
	const char *verb, *file, *out;
	bool json;
};

static int parse(int key, char *argument, void *input, struct error *error)
{
	struct options *options = input;
	switch (key) {
	case OPTION_JSON:
		options->json = true;
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
	bool converted = trace_import(options->file, out, progress, &summary, error);
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
	bool done;
	if (strcmp(options.verb, "info") == 0)
		done = info(&options, &progress, &error);
	else if (strcmp(options.verb, "convert") == 0)
		done = convert(&options, &progress, &error);
	else if (strcmp(options.verb, "check") == 0)
		done = check(&options, &progress, &error);
	else
		done = error_set(&error, ERROR_USAGE, "trace: found '%s', expected info, convert or check", options.verb);
	progress_bar_end(&bar);
	return done ? EXIT_SUCCESS : command_failed(&error);
}

const struct command command_trace = {
        .name = "trace",
        .arguments = "info|convert|check FILE [OUT.kmt]",
        .summary = "Tell of a recording, convert it to .kmt, check it",
        .help = "  info     what was read, what was left out and why, what could not be seen\n"
                "  convert  text to the native format, which replays without parsing\n"
                "           (docs/formats.md); OUT defaults to the text's name\n"
                "  check    reads every op and every checksum\n\n"
                "  kmemsim trace convert trace.txt.xz && kmemsim compare trace.kmt\n",
        .options = trace_options,
        .run = run,
};
