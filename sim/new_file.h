/* SPDX-License-Identifier: MIT
 *
 * new_file.h - a file that appears under its name when it is whole, or not at all.
 *
 * Until then it has no name where the file system allows that (O_TMPFILE), so that nothing is left however the process ends;
 * elsewhere it lies beside its place under a name of its own.
 */
#ifndef SIM_NEW_FILE_H
#define SIM_NEW_FILE_H

#include "sim/base.h"

struct new_file {
	int file;
	const char *path; /* the caller's, valid as long as this */
	char *temporary;  /* NULL: it has no name */
};

/* false: the host refused. */
bool new_file_begin(struct new_file *self, const char *path, struct error *error);
/* Gives the file its name if `whole`, replacing what had it; else removes it. false with the error: it has no name. */
bool new_file_end(struct new_file *self, bool whole, struct error *error);

/*
 * A file that never has a name, in $TMPDIR or /tmp, and is gone with its last descriptor however the process ends. *name, which
 * the caller frees, is for errors. -1 with the error: the host refused; then there is no name either.
 */
int new_file_unnamed(char **name, struct error *error);

#endif
