/* SPDX-License-Identifier: MIT
 *
 * access_input.c - the buffer between decompress.h and the readers of access traces (interface: access_input.h).
 */
#include "sim/io/access_input.h"

#include <stdlib.h>
#include <string.h>

/* One byte more for the newline that a last line may lack. */
#define BUFFER_BYTES (INPUT_LINE_BYTES_MAX + INPUT_READ_BYTES + 1)

bool input_open(struct access_input *input, const char *path, struct error *error)
{
	*input = (struct access_input){.line = 1};
	input->path = xstrdup(strcmp(path, "-") == 0 ? "/dev/stdin" : path);
	input->stream = decompress_open(input->path, NULL, error);
	input->buffer = xcalloc(BUFFER_BYTES, 1);
	input->at = input->end = input->lines_end = input->buffer;
	return input->stream != NULL;
}

void input_close(struct access_input *input)
{
	decompress_close(input->stream);
	free(input->buffer);
	free(input->path);
	*input = (struct access_input){0};
}

/* One read behind `end`; what is left is moved to the buffer's beginning first. */
static bool fill(struct access_input *input, struct error *error)
{
	size_t left = (size_t)(input->end - input->at), count;
	SIM_ASSERT(left <= INPUT_LINE_BYTES_MAX || left < INPUT_READ_BYTES);
	memmove(input->buffer, input->at, left);
	input->at = input->lines_end = input->buffer;
	input->end = input->buffer + left;
	size_t room = BUFFER_BYTES - 1 - left;
	if (!decompress_read(input->stream, input->end, room < INPUT_READ_BYTES ? room : INPUT_READ_BYTES, &count, error))
		return false;
	input->end += count;
	input->end_offset += count;
	input->ended = count == 0;
	return true;
}

bool input_bytes(struct access_input *input, size_t bytes, struct error *error)
{
	SIM_ASSERT(bytes <= INPUT_READ_BYTES);
	while ((size_t)(input->end - input->at) < bytes && !input->ended)
		if (!fill(input, error))
			return false;
	return true;
}

static void find_lines_end(struct access_input *input)
{
	const unsigned char *newline = memrchr(input->at, '\n', (size_t)(input->end - input->at));
	input->lines_end = newline ? input->buffer + (newline + 1 - input->buffer) : input->at;
}

static void end_last_line(struct access_input *input)
{
	*input->end++ = '\n';
	input->end_offset++;
	input->lines_end = input->end;
	input->newline_added = true;
}

bool input_lines(struct access_input *input, struct error *error)
{
	if (input->at < input->lines_end)
		return true;
	find_lines_end(input); /* input_bytes() may have read some */
	while (input->at == input->lines_end && !input->ended) {
		if ((size_t)(input->end - input->at) >= INPUT_LINE_BYTES_MAX)
			return error_set(error, ERROR_INPUT, "%s: line %llu is longer than %u bytes, which no access trace has",
			                 input->path, (unsigned long long)input->line, INPUT_LINE_BYTES_MAX);
		if (!fill(input, error))
			return false;
		find_lines_end(input);
	}
	if (input->at == input->lines_end && input->at < input->end)
		end_last_line(input);
	return true;
}

uint64_t input_offset(const struct access_input *input)
{
	return input->end_offset - (uint64_t)(input->end - input->at);
}
