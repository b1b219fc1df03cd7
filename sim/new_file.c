/* SPDX-License-Identifier: MIT
 *
 * new_file.c - files without a name until they are whole (interface: new_file.h).
 */
#include "sim/new_file.h"

#include "sim/path.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Times a name that is taken is tried anew. */
#define NAMES_MAX 1000u

/* umask() cannot be read without setting it. */
static mode_t usual_mode(void)
{
	mode_t mask = umask(0);
	umask(mask);
	return 0666 & ~mask;
}

bool new_file_begin(struct new_file *self, const char *path, struct error *error)
{
	*self = (struct new_file){.path = path, .file = -1};
	/* What is no file is not replaced by one. */
	if (path_is_there(path) && !path_is_regular(path))
		return error_set(error, ERROR_HOST, "%s: is there, and no regular file; expected a file's name", path);
	char *folder = path_open_folder(path);
	self->file = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0666);
	free(folder);
	if (self->file >= 0)
		return true;
	self->temporary = xasprintf("%s.XXXXXX", path);
	self->file = mkostemp(self->temporary, O_CLOEXEC);
	if (self->file >= 0 && fchmod(self->file, usual_mode()) == 0)
		return true;
	error_set(error, ERROR_HOST, "%s: a file beside it could not be created: %s", path, strerror(errno));
	new_file_end(self, false, NULL);
	return false;
}

/* Links the nameless file beside its place: only a rename replaces what is there at one stroke. */
static bool give_temporary_name(struct new_file *self)
{
	char *nameless = xasprintf("/proc/self/fd/%d", self->file);
	bool linked = false;
	errno = EEXIST;
	for (unsigned i = 0; !linked && errno == EEXIST && i < NAMES_MAX; i++) {
		free(self->temporary);
		self->temporary = xasprintf("%s.%d.%u", self->path, (int)getpid(), i);
		linked = linkat(AT_FDCWD, nameless, AT_FDCWD, self->temporary, AT_SYMLINK_FOLLOW) == 0;
	}
	free(nameless);
	if (!linked) {
		free(self->temporary);
		self->temporary = NULL;
	}
	return linked;
}

bool new_file_end(struct new_file *self, bool whole, struct error *error)
{
	bool done = whole && (self->temporary || give_temporary_name(self));
	if (self->file >= 0 && close(self->file) != 0)
		done = false;
	done = done && rename(self->temporary, self->path) == 0;
	if (whole && !done)
		error_set(error, ERROR_HOST, "%s: %s", self->path, strerror(errno));
	if (!done && self->temporary)
		unlink(self->temporary);
	free(self->temporary);
	*self = (struct new_file){.file = -1};
	return done || !whole;
}

int new_file_unnamed(char **name, struct error *error)
{
	const char *folder = getenv("TMPDIR");
	*name = xasprintf("%s/kmemsim.XXXXXX", folder && *folder ? folder : "/tmp");
	int file = mkostemp(*name, O_CLOEXEC);
	if (file >= 0) {
		unlink(*name);
		return file;
	}
	error_set(error, ERROR_HOST, "%s: a temporary file could not be created: %s", *name, strerror(errno));
	free(*name);
	*name = NULL;
	return -1;
}
