/* SPDX-License-Identifier: MIT
 *
 * configs.h - where machines, kernels and scenarios by name lie: $KMEMSIM_CONFIGS, the source tree, the installed folder; and
 * the templates of pictures.
 */
#ifndef TOOLS_CONFIGS_H
#define TOOLS_CONFIGS_H

/* Folders that are there, ends with NULL; lives as long as the program. */
const char *const *config_dirs(void);

/* The folder of the gnuplot templates: the source tree's, else the installed one. */
const char *template_dir(void);

#endif
