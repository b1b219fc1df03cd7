/* SPDX-License-Identifier: MIT
 *
 * gnuplot.h - the door to gnuplot, which draws pictures from a script.
 */
#ifndef SIM_IO_GNUPLOT_H
#define SIM_IO_GNUPLOT_H

#include "sim/base.h"

/*
 * Runs `program` (usually "gnuplot", looked for in PATH) on the script file and waits for it. A missing program and a script that
 * fails are errors; the second tells what gnuplot said.
 */
bool gnuplot_run(const char *program, const char *script, struct error *error);

/*
 * A copy of a text that is safe inside the quotes of a gnuplot script: what gnuplot would interpret (quotes, backquotes, which
 * run commands, backslashes) and control characters become '?'. At most `characters` long. free() it.
 */
char *gnuplot_text(const char *text, size_t characters);

#endif
