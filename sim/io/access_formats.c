/* SPDX-License-Identifier: MIT
 *
 * access_formats.c - the formats of access traces, how one is told, and the reader they share (interface: access_format.h,
 * sim/port/access_source.h).
 *
 * A format is the user's word, or what the first bytes can be, or, if they can be several or none, what the name says. Text can
 * be a format if its first line that tells anything is one of that format's; records say themselves what they may begin with.
 */
#include "sim/access_thread.h"
#include "sim/io/access_text.h"
#include "sim/nearest.h"
#include "sim/utf8.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

const struct access_format *const access_formats[] = {&access_format_kmt,
                                                      &access_format_gem5,
                                                      &access_format_lackey,
                                                      &access_format_dynamorio,
                                                      &access_format_din,
                                                      &access_format_plain,
                                                      &access_format_plain_hex,
                                                      &access_format_xdin,
                                                      &access_format_champsim,
                                                      &access_format_raw,
                                                      NULL};

/* Bytes that are looked at to tell a format. */
#define SNIFF_BYTES (16u << 10)

/* Bytes of a wrong line that are shown. */
#define SHOWN_CHARACTERS 80

#define NO TEXT_NO_DIGIT
#define NO_8 NO, NO, NO, NO, NO, NO, NO, NO
#define NO_16 NO_8, NO_8
#define NO_64 NO_16, NO_16, NO_16, NO_16
#define LETTERS NO, 10, 11, 12, 13, 14, 15, NO, NO_8, NO_16

const unsigned char text_digit[256] = {NO_16, NO_16, NO_16, 0,  1,  2,  3,  4,       5,       6,     7,    8,
                                       9,     NO,    NO,    NO, NO, NO, NO, LETTERS, LETTERS, NO_64, NO_64};

bool access_wrong_at(const struct access_reader *reader, uint64_t offset, struct error *error, const char *format, ...)
{
	char text[512];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	return error_set(error, ERROR_INPUT, "%s: byte %llu of the trace: %s", reader->input.path, (unsigned long long)offset,
	                 text);
}

/* The line at the input's cursor is wrong. */
static bool wrong_line(const struct access_reader *reader, const char *problem, struct error *error)
{
	const struct access_input *input = &reader->input;
	const unsigned char *newline = rawmemchr(input->at, '\n');
	int length = newline - input->at > 4 * SHOWN_CHARACTERS ? 4 * SHOWN_CHARACTERS : (int)(newline - input->at);
	char *found = xasprintf("%.*s", length, (const char *)input->at);
	char *shown = utf8_line(found, SHOWN_CHARACTERS);
	error_set(error, ERROR_INPUT, "%s: line %llu: %s%sfound '%s', expected %s (%s)", input->path,
	          (unsigned long long)input->line, problem ? problem : "", problem ? ": " : "", shown, reader->format->expected,
	          reader->format->name);
	free(shown);
	free(found);
	return false;
}

/* Reads whole lines that are in the buffer. */
static bool read_buffered_lines(struct access_reader *reader, struct access *batch, size_t capacity, size_t *count,
                                struct error *error)
{
	struct access_input *input = &reader->input;
	enum access_line (*const parse)(struct text_cursor *, struct access *) = reader->format->line;
	struct text_cursor cursor = {.at = input->at, .state = reader->state};
	size_t made = *count;
	while (cursor.at < input->lines_end && made < capacity) {
		enum access_line line = parse(&cursor, &batch[made]);
		if (line == LINE_WRONG)
			return *count = made, wrong_line(reader, cursor.problem, error);
		made += line == LINE_ACCESS;
		const unsigned char *at = cursor.at;
		if (*at != '\n')
			at = rawmemchr(at, '\n');
		cursor.at = at + 1;
		input->at += cursor.at - input->at;
		input->line++;
	}
	*count = made;
	return true;
}

static bool read_lines(struct access_reader *reader, struct access *batch, size_t capacity, size_t *count, struct error *error)
{
	struct access_input *input = &reader->input;
	*count = 0;
	while (*count < capacity) {
		/* What is there is handed on before a pipe is waited for. */
		if (*count > 0 && input->at == input->lines_end)
			return true;
		if (!input_lines(input, error))
			return false;
		if (input->at == input->lines_end)
			return true;
		if (input->newline_added && !reader->format->hand_written)
			return wrong_line(reader, "the file ends within a line: it was cut", error);
		if (!read_buffered_lines(reader, batch, capacity, count, error))
			return false;
	}
	return true;
}

static bool reader_read(struct access_source *source, struct access *batch, size_t capacity, size_t *count, struct error *error)
{
	struct access_reader *reader = (struct access_reader *)source;
	bool sound = reader->format->line ? read_lines(reader, batch, capacity, count, error)
	                                  : reader->format->read(reader, batch, capacity, count, error);
	source->bytes_done = decompress_done(reader->input.stream);
	return sound;
}

static void reader_stop(struct access_source *source)
{
	decompress_stop(((struct access_reader *)source)->input.stream);
}

static void reader_close(struct access_source *source)
{
	struct access_reader *reader = (struct access_reader *)source;
	if (reader->format && reader->format->end)
		reader->format->end(reader->state);
	input_close(&reader->input);
	free(reader->state);
	free(reader);
}

/* The first line that tells anything decides. */
static bool text_begins(const struct access_format *format, const struct access_input *input)
{
	void *state = xcalloc(1, format->state_bytes + 1);
	struct text_cursor cursor = {.at = input->at, .state = state};
	struct access access;
	enum access_line line = LINE_NOTHING;
	*input->end = '\n'; /* there is room for one byte behind the end */
	while (line == LINE_NOTHING && cursor.at < input->end) {
		const unsigned char *next = (const unsigned char *)rawmemchr(cursor.at, '\n') + 1;
		line = format->line(&cursor, &access);
		cursor.at = next;
	}
	if (format->end)
		format->end(state);
	free(state);
	return line == LINE_ACCESS;
}

static bool content_may_be(const struct access_format *format, const struct access_input *input)
{
	size_t length = (size_t)(input->end - input->at);
	return format->line ? text_begins(format, input) : format->begins(input->at, length, input->ended);
}

/* "dir/a.trace.xz" ends with ".trace" */
static bool name_may_be(const struct access_format *format, const char *path)
{
	static const char *const packings[] = {".xz", ".gz", ".zst"};
	size_t length = strlen(path);
	for (size_t i = 0; i < sizeof packings / sizeof packings[0]; i++)
		if (length > strlen(packings[i]) && strcmp(path + length - strlen(packings[i]), packings[i]) == 0) {
			length -= strlen(packings[i]);
			break;
		}
	for (const char *ending = format->endings; ending && *ending;) {
		size_t ending_length = strcspn(ending, " ");
		if (length > ending_length && memcmp(path + length - ending_length, ending, ending_length) == 0)
			return true;
		ending += ending_length + (ending[ending_length] == ' ');
	}
	return false;
}

static const struct access_format *format_named(const char *name, struct error *error)
{
	struct nearest nearest;
	nearest_start(&nearest, name);
	for (size_t i = 0; access_formats[i]; i++) {
		if (strcmp(access_formats[i]->name, name) == 0)
			return access_formats[i];
		nearest_offer(&nearest, access_formats[i]->name);
	}
	const char *meant = nearest_found(&nearest);
	error_set(error, ERROR_USAGE, "there is no format '%s' of access traces%s%s%s; `kmemsim list formats` shows them all",
	          name, meant ? "; did you mean '" : "", meant ? meant : "", meant ? "'?" : "");
	return NULL;
}

/* The first whose content and name fit, else whose content fits, else whose name does: the table goes from strict to lax. */
static const struct access_format *format_of(const struct access_input *input, struct error *error)
{
	const struct access_format *by_content = NULL, *by_name = NULL;
	for (size_t i = 0; access_formats[i]; i++) {
		const struct access_format *format = access_formats[i];
		bool content = content_may_be(format, input), name = name_may_be(format, input->path);
		if (content && name)
			return format;
		by_content = content && !by_content ? format : by_content;
		by_name = name && !by_name ? format : by_name;
	}
	if (by_content || by_name)
		return by_content ? by_content : by_name;
	error_set(error, ERROR_INPUT,
	          "%s: %s of no known format of access traces; its format may be said with --format (`kmemsim list formats` "
	          "shows them all)",
	          input->path, input->at == input->end ? "this file is empty, and so" : "this is");
	return NULL;
}

static bool begin(struct access_reader *reader, const char *format, struct error *error)
{
	struct access_input *input = &reader->input;
	reader->source.bytes_total = decompress_total(input->stream);
	if (format)
		reader->format = format_named(format, error);
	else if (input_bytes(input, SNIFF_BYTES, error))
		reader->format = format_of(input, error);
	return reader->format != NULL;
}

struct access_source *access_reader_open(const char *path, const char *format, struct error *error)
{
	struct access_reader *reader = xcalloc(1, sizeof *reader);
	reader->source.ops = &reader->ops;
	reader->ops = (struct access_source_ops){.read = reader_read, .stop = reader_stop, .close = reader_close};
	if (!input_open(&reader->input, path, error) || !begin(reader, format, error)) {
		reader_close(&reader->source);
		return NULL;
	}
	reader->ops.name = reader->format->name;
	reader->ops.help = reader->format->help;
	reader->state = xcalloc(1, reader->format->state_bytes + 1);
	return &reader->source;
}

struct access_source *access_source_open(const char *path, const char *format, struct error *error)
{
	struct access_source *reader = access_reader_open(path, format, error);
	return reader ? access_thread_start(reader) : NULL;
}

const char *access_source_recognise(const char *path)
{
	struct error ignored = {0};
	struct access_input input = {0};
	struct stat status;
	const char *name = NULL;
	if (stat(path, &status) != 0 || !S_ISREG(status.st_mode))
		return NULL;
	if (input_open(&input, path, &ignored) && input_bytes(&input, SNIFF_BYTES, &ignored))
		for (size_t i = 0; access_formats[i] && !name; i++)
			name = content_may_be(access_formats[i], &input) ? access_formats[i]->name : NULL;
	input_close(&input);
	return name;
}

const char *access_source_format(size_t index, const char **help)
{
	for (size_t i = 0; access_formats[i]; i++)
		if (i == index) {
			*help = access_formats[i]->help;
			return access_formats[i]->name;
		}
	return NULL;
}
