/* SPDX-License-Identifier: MIT
 *
 * access_source.h - the port that gives the accesses of a recorded program, in program order.
 *
 * One file a format (sim/io/access_<format>.c), one line in sim/io/access_formats.c. access_source_open() tells the format by the
 * file's content where content can tell it, else by its name, else by the user's word (--format).
 */
#ifndef SIM_PORT_ACCESS_SOURCE_H
#define SIM_PORT_ACCESS_SOURCE_H

#include "sim/access.h"

struct access_source;

struct access_source_ops {
	const char *name; /* "lackey", "din", ... */
	const char *help;
	/*
	 * The next accesses, addresses virtual: up to `capacity` of them, *count 0 with true at the end. false: the file is
	 * damaged from here on, and *error says file, line or offset, what was found and what was expected.
	 */
	bool (*read)(struct access_source *, struct access *batch, size_t capacity, size_t *count, struct error *error);
	/* Called from another thread: a read() that waits for input fails now. NULL: it never waits for long. */
	void (*stop)(struct access_source *);
	void (*close)(struct access_source *);
};

struct access_source {
	const struct access_source_ops *ops;
	uint64_t bytes_done, bytes_total; /* of the file as it lies there, for progress; total 0: a pipe */
	bool has_locks; /* some accesses take and give up spin locks (ACCESS_TAKES_LOCK): each one taken is given up */
};

/*
 * NULL in `format`: told by content or name. NULL with *error filled on failure; "-" is standard input. The file is unpacked and
 * parsed on a thread of its own, a few batches ahead.
 */
struct access_source *access_source_open(const char *path, const char *format, struct error *error);

/*
 * The format of a regular file whose content is one of an access trace, whatever its name; NULL: it is none, or cannot be read
 * twice.
 */
const char *access_source_recognise(const char *path);

/* The formats, for lists: a name and a line of help by index; NULL behind the last. */
const char *access_source_format(size_t index, const char **help);

static inline bool access_source_read(struct access_source *source, struct access *batch, size_t capacity, size_t *count,
                                      struct error *error)
{
	bool sound = source->ops->read(source, batch, capacity, count, error);
	SIM_ASSERT(!sound || *count <= capacity);
	return sound;
}

static inline void access_source_close(struct access_source *source)
{
	if (source)
		source->ops->close(source);
}

#endif
