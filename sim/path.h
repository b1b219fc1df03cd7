/* SPDX-License-Identifier: MIT
 *
 * path.h - a path taken apart and put together, as text; and what stands at one.
 */
#ifndef SIM_PATH_H
#define SIM_PATH_H

#include <stdbool.h>

/* What stands behind the last '/', the whole path where there is none. */
const char *path_name(const char *path);

/* The folder with its '/', "" where the path names none; the caller frees it. */
char *path_folder(const char *path);

/* The folder as the system's calls take it: without a closing '/', "." where the path names none; the caller frees it. */
char *path_open_folder(const char *path);

/* The name without its ending; the caller frees it. */
char *path_stem(const char *path);

/* A path that is relative to a folder as path_folder() gives it; the caller frees it. */
char *path_join(const char *folder, const char *path);

bool path_is_there(const char *path);
bool path_is_regular(const char *path); /* no folder, terminal or pipe */
bool path_is_folder(const char *path);

/* Leaves out "FOLDER/../" where the file stays the same (a FOLDER that is a link leads elsewhere). Changes the path. */
void path_shorten(char *path);

#endif
