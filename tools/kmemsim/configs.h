/* SPDX-License-Identifier: MIT
 *
 * configs.h - where machines, kernels and scenarios by name lie: $KMEMSIM_CONFIGS, the source tree, the installed folder.
 */
#ifndef TOOLS_CONFIGS_H
#define TOOLS_CONFIGS_H

/* Folders that are there, ends with NULL; lives as long as the program. */
const char *const *config_dirs(void);

#endif
