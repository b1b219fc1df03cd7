/* SPDX-License-Identifier: MIT
 *
 * recording_files.c - finding recordings (interface: recording_files.h).
 */
#include "tools/kmemsim/recording_files.h"

#include "sim/path.h"
#include "sim/recording.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Folders inside of folders, as a bound for hostile trees. */
#define DEPTH_MAX 64

static void add(struct recording_files *files, const char *path, size_t name_at)
{
	if (files->count == files->capacity) {
		files->capacity = files->capacity ? 2 * files->capacity : 64;
		files->at = xrealloc(files->at, files->capacity * sizeof *files->at);
	}
	struct recording_file *file = &files->at[files->count++];
	file->path = xstrdup(path);
	file->name = file->path + name_at;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int is_visible(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static bool search(struct recording_files *files, const char *folder, size_t name_at, unsigned depth, struct error *error);

static bool take_entry(struct recording_files *files, const char *path, size_t name_at, unsigned depth, struct error *error)
{
	struct stat status;
	if (lstat(path, &status) != 0)
		return true; /* it went away while the folder was read */
	if (S_ISDIR(status.st_mode))
		return depth == DEPTH_MAX || search(files, path, name_at, depth + 1, error);
	struct error unreadable = {0};
	bool found = S_ISREG(status.st_mode) && recording_sniff(path, &unreadable);
	/* A damaged file that may be a recording is kept: reading it tells what is wrong with it. */
	if (found || unreadable.kind == ERROR_INPUT)
		add(files, path, name_at);
	return true;
}

static bool search(struct recording_files *files, const char *folder, size_t name_at, unsigned depth, struct error *error)
{
	struct dirent **entries;
	int count = scandir(folder, &entries, is_visible, by_name);
	if (count < 0)
		return error_set(error, ERROR_HOST, "%s: %s", folder, strerror(errno));
	bool done = true;
	for (int i = 0; i < count; i++) {
		char *path = xasprintf("%s/%s", folder, entries[i]->d_name);
		done = done && take_entry(files, path, name_at, depth, error);
		free(path);
		free(entries[i]);
	}
	free(entries);
	return done;
}

static bool add_folder(struct recording_files *files, const char *path, struct error *error)
{
	size_t length = strlen(path), before = files->count;
	while (length > 1 && path[length - 1] == '/')
		length--;
	char *folder = xasprintf("%.*s", (int)length, path);
	bool done = search(files, folder, length + 1, 0, error);
	free(folder);
	if (done && files->count == before)
		return error_set(error, ERROR_INPUT, "%s: no recording in this folder", path);
	return done;
}

bool recording_files_add(struct recording_files *files, const char *path, struct error *error)
{
	struct stat status;
	if (stat(path, &status) != 0)
		return error_set(error, ERROR_HOST, "%s: %s", path, strerror(errno));
	if (S_ISDIR(status.st_mode))
		return add_folder(files, path, error);
	add(files, path, (size_t)(path_name(path) - path));
	return true;
}

void recording_files_release(struct recording_files *files)
{
	for (size_t i = 0; i < files->count; i++)
		free(files->at[i].path);
	free(files->at);
	*files = (struct recording_files){0};
}
