/* SPDX-License-Identifier: MIT
 *
 * configs.c - the search path of configs (interface: configs.h).
 */
#include "tools/kmemsim/configs.h"

#include <stdlib.h>
#include <unistd.h>

const char *const *config_dirs(void)
{
	static const char *dirs[4];
	const char *candidates[] = {getenv("KMEMSIM_CONFIGS"), KMEMSIM_SOURCE_DIR "/configs", KMEMSIM_DATA_DIR "/configs"};
	size_t count = 0;
	for (size_t index = 0; index < sizeof candidates / sizeof candidates[0]; index++)
		if (candidates[index] && access(candidates[index], R_OK | X_OK) == 0)
			dirs[count++] = candidates[index];
	dirs[count] = NULL;
	return dirs;
}

const char *template_dir(void)
{
	return access(KMEMSIM_SOURCE_DIR "/tools/gnuplot", R_OK | X_OK) == 0 ? KMEMSIM_SOURCE_DIR "/tools/gnuplot"
	                                                                     : KMEMSIM_DATA_DIR "/gnuplot";
}
