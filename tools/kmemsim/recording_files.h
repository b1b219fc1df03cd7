/* SPDX-License-Identifier: MIT
 *
 * recording_files.h - which files below the paths of a command line are recordings.
 *
 * A folder is searched, folders in it too (not through symbolic links), in the order of names. Whether a file is a recording is
 * decided by how its (unpacked) content begins.
 */
#ifndef TOOLS_RECORDING_FILES_H
#define TOOLS_RECORDING_FILES_H

#include "sim/base.h"

struct recording_file {
	char *path;
	const char *name; /* the part of the path below the argument; the file's own name if the argument was the file */
};

struct recording_files {
	struct recording_file *at;
	size_t count, capacity;
};

/* Adds a file, which must be a recording, or all recordings of a folder, which must have one. False with *error filled. */
bool recording_files_add(struct recording_files *files, const char *path, struct error *error);
void recording_files_release(struct recording_files *files);

#endif
