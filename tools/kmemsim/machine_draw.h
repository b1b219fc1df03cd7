/* SPDX-License-Identifier: MIT
 *
 * machine_draw.h - the pictures of `kmemsim machine`: data and a script for gnuplot in a folder that goes when it is drawn.
 */
#ifndef TOOLS_MACHINE_DRAW_H
#define TOOLS_MACHINE_DRAW_H

#include "sim/base.h"

#include <stdio.h>

struct machine_picture {
	const char *heading, *source;                      /* its first two lines; source: any text */
	const char *template;                              /* the file of tools/gnuplot that draws it, without .gp */
	const void *context;                               /* handed to these two */
	void (*write_data)(const void *context, FILE *);   /* blocks of lines */
	void (*write_script)(const void *context, FILE *); /* variables that the template wants; NULL: none */
};

/* path: .png or .svg. */
bool machine_picture_draw(const struct machine_picture *picture, const char *path, struct error *error);

#endif
