/* SPDX-License-Identifier: MIT
 *
 * access_format.h - what a format of access traces is, and the reader they share.
 *
 * A format is one file access_<format>.c that exports one of these, and a line in access_formats.c. A text format reads one line;
 * a format of records reads a batch. Positions, whole lines and errors are the reader's business.
 */
#ifndef SIM_IO_ACCESS_FORMAT_H
#define SIM_IO_ACCESS_FORMAT_H

#include "sim/io/access_input.h"
#include "sim/port/access_source.h"

/* What a line of text is. */
enum access_line {
	LINE_ACCESS,
	LINE_NOTHING, /* a comment, what the tool says of itself, a record that touches no memory */
	LINE_WRONG    /* text_cursor.problem says why, or is NULL: it is not of the format */
};

struct access_reader;
struct text_cursor;

struct access_format {
	const char *name, *help;
	const char *endings;  /* of file names, packing left out: ".din .trace"; NULL: none */
	const char *expected; /* in errors: "'I  ADDRESS,SIZE' ..." */
	bool hand_written;    /* text whose last line may lack its newline; elsewhere that means that the file was cut */
	size_t state_bytes;
	/* Text: whether this may be a trace's first line that tells anything (LINE_NOTHING are skipped); reads one line. */
	enum access_line (*line)(struct text_cursor *cursor, struct access *access);
	/* Records: whether a trace may begin so; `whole`: these bytes are all there are. Only for formats without `line`. */
	bool (*begins)(const unsigned char *bytes, size_t length, bool whole);
	/* Records: as access_source_ops.read. */
	bool (*read)(struct access_reader *reader, struct access *batch, size_t capacity, size_t *count, struct error *error);
	void (*end)(void *state); /* frees what the state holds; NULL: nothing */
};

/* The source of every format. */
struct access_reader {
	struct access_source source;
	struct access_source_ops ops;
	const struct access_format *format;
	struct access_input input;
	void *state;
};

/* Ends with NULL; from strict to lax, so that the first one whose content fits is the one. */
extern const struct access_format *const access_formats[];

extern const struct access_format access_format_kmt, access_format_lackey, access_format_gem5, access_format_dynamorio,
        access_format_din, access_format_xdin, access_format_champsim, access_format_plain, access_format_plain_hex,
        access_format_raw;

/* access_source_open() without its thread. */
struct access_source *access_reader_open(const char *path, const char *format, struct error *error);

/* Positions of records: "FILE: byte N: ..." */
bool access_wrong_at(const struct access_reader *reader, uint64_t offset, struct error *error, const char *format, ...)
        __attribute__((format(printf, 4, 5)));

/* Whether an access may be so; else *problem says why not. */
static inline bool access_is_possible(uint64_t address, uint64_t bytes, const char **problem)
{
	if (bytes == 0)
		*problem = "the size is 0";
	else if (bytes > ACCESS_BYTES_MAX)
		*problem = "the size is above 1 MiB";
	else if (address + bytes - 1 < address)
		*problem = "the access runs over the end of the address space";
	else
		return true;
	return false;
}

#endif
