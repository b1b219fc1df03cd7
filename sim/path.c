/* SPDX-License-Identifier: MIT
 *
 * path.c - paths as text, and what stands at them (interface: path.h).
 */
#include "sim/path.h"

#include "sim/base.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

const char *path_name(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? slash + 1 : path;
}

char *path_folder(const char *path)
{
	return xasprintf("%.*s", (int)(path_name(path) - path), path);
}

char *path_open_folder(const char *path)
{
	const char *slash = strrchr(path, '/');
	if (!slash)
		return xstrdup(".");
	return slash == path ? xstrdup("/") : xasprintf("%.*s", (int)(slash - path), path);
}

char *path_stem(const char *path)
{
	const char *name = path_name(path), *dot = strrchr(name, '.');
	return xasprintf("%.*s", dot && dot > name ? (int)(dot - name) : (int)strlen(name), name);
}

char *path_join(const char *folder, const char *path)
{
	return path[0] == '/' ? xstrdup(path) : xasprintf("%s%s", folder, path);
}

bool path_is_there(const char *path)
{
	struct stat found;
	return stat(path, &found) == 0;
}

bool path_is_regular(const char *path)
{
	struct stat found;
	return stat(path, &found) == 0 && S_ISREG(found.st_mode);
}

bool path_is_folder(const char *path)
{
	struct stat found;
	return stat(path, &found) == 0 && S_ISDIR(found.st_mode);
}

static bool is_same_file(const char *left, const char *right)
{
	struct stat found_left, found_right;
	return stat(left, &found_left) == 0 && stat(right, &found_right) == 0 && found_left.st_dev == found_right.st_dev &&
	       found_left.st_ino == found_right.st_ino;
}

void path_shorten(char *path)
{
	char *shorter = xstrdup(path);
	for (char *up = shorter; (up = strstr(up, "/../")) != NULL;) {
		char *folder = up;
		while (folder > shorter && folder[-1] != '/')
			folder--;
		bool is_name = folder < up && strncmp(folder, "..", (size_t)(up - folder)) != 0 && *folder != '.';
		if (!is_name) {
			up++;
			continue;
		}
		memmove(folder, up + 4, strlen(up + 4) + 1);
		up = folder > shorter ? folder - 1 : shorter;
	}
	if (is_same_file(path, shorter))
		memcpy(path, shorter, strlen(shorter) + 1);
	free(shorter);
}
