/* SPDX-License-Identifier: MIT
 *
 * cmd_diff.c - `kmemsim diff A B`: two states, or two recordings of a script, side by side.
 *
 * A state is FILE or FILE@TAG: a dump in a recording, a dump alone, or what `--dump state` printed. Two recordings of scripts are
 * compared call by call, then dump by dump.
 */
#include "sim/io/decompress.h"
#include "sim/recording.h"
#include "sim/state_diff.h"
#include "tools/kmemsim/command.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Largest file that is read, unpacked. */
#define STATE_BYTES_MAX (1ull << 30)

struct options {
	const char *side[2];
	unsigned sides;
};

static int parse(int key, char *argument, void *input, struct error *error)
{
	struct options *options = input;
	switch (key) {
	case ARGP_KEY_ARG:
		if (options->sides == 2)
			return ARGP_ERR_UNKNOWN;
		options->side[options->sides++] = argument;
		return 0;
	case ARGP_KEY_END:
		if (options->sides != 2)
			error_set(error, ERROR_USAGE, "expected two states or recordings; `kmemsim diff --help` shows the usage");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* ---- states ---- */

/* FILE@TAG where there is no file of that whole name; the path is the caller's. */
static char *split_tag(const char *side, const char **tag)
{
	const char *at = strrchr(side, '@');
	*tag = NULL;
	if (!at || access(side, F_OK) == 0)
		return xstrdup(side);
	*tag = at + 1;
	return xasprintf("%.*s", (int)(at - side), side);
}

static bool read_state(struct state_lines *state, const char *side, struct error *error)
{
	const char *tag;
	char *path = split_tag(side, &tag), *text;
	size_t bytes;
	bool done = decompress_all(path, STATE_BYTES_MAX, &text, &bytes, error) &&
	            state_lines_take(state, path, text, tag, false, error);
	free(path);
	return done;
}

static bool print_states(const struct state_lines *a, const struct state_lines *b)
{
	uint64_t compared, different = state_diff(a, b, stdout, &compared);
	printf("%s | %s: %" PRIu64 " of %" PRIu64 " lists and lines differ\n", a->tag, b->tag, different, compared);
	return different == 0;
}

static int diff_states(const struct options *options, struct error *error)
{
	struct state_lines a, b;
	if (!read_state(&a, options->side[0], error))
		return command_failed(error);
	if (!read_state(&b, options->side[1], error)) {
		state_lines_release(&a);
		return command_failed(error);
	}
	bool equal = print_states(&a, &b);
	state_lines_release(&a);
	state_lines_release(&b);
	return equal ? EXIT_SUCCESS : EXIT_DIFFERENT;
}

/* ---- recordings ---- */

/* The next line at or behind *at that is a call of the script or an event in one, NULL at the end. Counts calls. */
static const struct recording_line *next_call(const struct recording *recording, size_t *at, uint64_t *calls)
{
	for (; *at < recording->count; ++*at) {
		const struct recording_line *line = &recording->lines[*at];
		if (line->kind == LINE_NOTE || line->kind == LINE_SLABINFO || line->kind == LINE_DUMP)
			continue;
		*calls += !recording_is_event(line);
		++*at;
		return line;
	}
	return NULL;
}

static bool diff_calls(const struct recording *a, const struct recording *b)
{
	size_t a_at = 0, b_at = 0;
	uint64_t a_calls = 0, b_calls = 0;
	if (strcmp(a->begin, b->begin) != 0)
		printf("scripts: %s | %s\n", a->begin, b->begin);
	for (;;) {
		const struct recording_line *left = next_call(a, &a_at, &a_calls), *right = next_call(b, &b_at, &b_calls);
		if (!left && !right)
			break;
		if (left && right && strcmp(left->text, right->text) == 0)
			continue;
		/* An event stands before the allocation it is of, and behind a free. */
		a_calls += left && recording_is_event(left) && left->taken;
		printf("calls differ from call %" PRIu64 " on (lines %u and %u): %.80s | %.80s\n", a_calls,
		       left ? left->number : 0, right ? right->number : 0, left ? left->text : "(it ends)",
		       right ? right->text : "(it ends)");
		return false;
	}
	printf("all %" PRIu64 " calls and the events in them are the same\n", a_calls);
	return true;
}

/* The dump's lines as a text that state_lines_take() understands. */
static char *dump_text(const struct recording_dump *dump)
{
	char *text;
	size_t bytes;
	FILE *out = open_memstream(&text, &bytes);
	SIM_ASSERT(out);
	fprintf(out, "@STATE %.*s\n", (int)strcspn(dump->tag, " "), dump->tag);
	for (size_t i = 1; i < dump->count; i++)
		fprintf(out, "%s\n", dump->lines[i].text);
	fprintf(out, "@END\n");
	fclose(out);
	return text;
}

/* The next dump at or behind *at; false at the end. */
static bool next_dump(const struct recording *recording, size_t *at, struct recording_dump *dump)
{
	for (; *at < recording->count; ++*at) {
		const char *text = recording->lines[*at].text;
		if (!state_text_begins(text, "@STATE ") && !state_text_begins(text, "@CHECK "))
			continue;
		*dump = recording_dump_at(recording, *at);
		*at += dump->count;
		return true;
	}
	return false;
}

/* The dumps in their order; the first pair that differs is told in full, the others are counted. */
static bool diff_dumps(const struct recording *a, const struct recording *b)
{
	size_t a_at = 0, b_at = 0;
	uint64_t dumps = 0, different = 0;
	struct recording_dump left, right;
	struct error error = {0};
	FILE *nowhere = fopen("/dev/null", "w");
	SIM_ASSERT(nowhere);
	for (; next_dump(a, &a_at, &left) && next_dump(b, &b_at, &right); dumps++) {
		struct state_lines a_state, b_state;
		uint64_t compared;
		bool taken = state_lines_take(&a_state, a->path, dump_text(&left), NULL, true, &error) &&
		             state_lines_take(&b_state, b->path, dump_text(&right), NULL, true, &error);
		SIM_ASSERT(taken);
		uint64_t lists = state_diff(&a_state, &b_state, different ? nowhere : stdout, &compared);
		if (lists && !different)
			printf("%s | %s (lines %u and %u): %" PRIu64 " of %" PRIu64 " lists and lines differ\n", a_state.tag,
			       b_state.tag, left.lines->number, right.lines->number, lists, compared);
		different += lists > 0;
		state_lines_release(&a_state);
		state_lines_release(&b_state);
	}
	fclose(nowhere);
	printf("%" PRIu64 " of %" PRIu64 " dumps differ\n", different, dumps);
	return different == 0;
}

static int diff_recordings(const struct options *options, struct error *error)
{
	struct recording a, b;
	if (!recording_read(&a, options->side[0], error))
		return command_failed(error);
	if (!recording_read(&b, options->side[1], error)) {
		recording_release(&a);
		return command_failed(error);
	}
	bool calls = diff_calls(&a, &b), dumps = diff_dumps(&a, &b);
	recording_release(&a);
	recording_release(&b);
	return calls && dumps ? EXIT_SUCCESS : EXIT_DIFFERENT;
}

static int run(const struct command *command, int argc, char **argv)
{
	struct options options = {0};
	struct error error = {0};
	const struct command_line line = {command, parse, &options, &error};
	if (!command_parse(&line, argc, argv))
		return command_failed(&error);
	struct error no_recording = {0};
	bool recordings = recording_sniff(options.side[0], &no_recording) && recording_sniff(options.side[1], &no_recording);
	return recordings ? diff_recordings(&options, &error) : diff_states(&options, &error);
}

const struct command command_diff = {
        .name = "diff",
        .arguments = "A B",
        .summary = "Two states side by side: which lists differ, and where",
        .help = "A and B are states: FILE, or FILE@TAG where a file holds several (a recorded dump, a dump inside a recording, "
                "what --dump\n"
                "state printed; plain, gz, xz or zst). Each list that differs is a line: how long it is in A and in B, and the "
                "first place that\n"
                "differs. Two recordings of scripts are compared from call to call, and dump by dump.\n\n"
                "  kmemsim diff pages.log.xz@pg-initial pages.log.xz@pg-final\n"
                "  kmemsim replay trace.txt.xz --dump state@end >end.txt && kmemsim diff end.txt state_end.xz\n",
        .run = run,
};
