/* SPDX-License-Identifier: MIT
 *
 * access_input.h - the bytes of an access trace, unpacked, for readers of text (whole lines) and of records (as many bytes as
 * asked).
 *
 * One buffer of fixed size, filled from decompress.h. What lies in [at, end) is next; input_lines() makes sure that a whole line
 * is there, input_bytes() that so many bytes are. Positions for errors are kept here: lines from 1, offsets of the unpacked
 * stream from 0.
 */
#ifndef SIM_IO_ACCESS_INPUT_H
#define SIM_IO_ACCESS_INPUT_H

#include "sim/io/decompress.h"

/* One read; small enough to stay in the second-level cache until it is parsed. */
#define INPUT_READ_BYTES (128u << 10)
/* A longer line is none of an access trace. The buffer holds one such line and one read. */
#define INPUT_LINE_BYTES_MAX (64u << 10)

struct access_input {
	struct decompress *stream;
	char *path;
	unsigned char *buffer;
	unsigned char *at, *end;
	unsigned char *lines_end; /* behind the last newline in [at, end); at: none */
	uint64_t end_offset;      /* of `end` in the unpacked stream */
	uint64_t line;            /* number of the line that begins at `at` */
	bool ended;               /* nothing comes behind `end` */
	bool newline_added;       /* the last line had none */
};

/* "-" is standard input. */
bool input_open(struct access_input *input, const char *path, struct error *error);
void input_close(struct access_input *input);

/* Reads until `bytes` (at most INPUT_READ_BYTES) are in [at, end), or all there are. */
bool input_bytes(struct access_input *input, size_t bytes, struct error *error);

/*
 * Reads until a whole line is in [at, lines_end); at == lines_end afterwards: the end. A last line without a newline is given
 * one, and newline_added says so.
 */
bool input_lines(struct access_input *input, struct error *error);

/* Where `at` stands in the unpacked stream. */
uint64_t input_offset(const struct access_input *input);

#endif
