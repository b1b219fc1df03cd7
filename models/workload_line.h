/* SPDX-License-Identifier: MIT
 *
 * workload_line.h - the setting `workload`: a line "NAME KEY=VALUE ..." and what it stands for.
 */
#ifndef MODELS_WORKLOAD_LINE_H
#define MODELS_WORKLOAD_LINE_H

#include "sim/workload.h"

struct workload_line {
	const struct workload_ops *ops;
	void *values; /* owned */
};

/* Reads a line. false with *error naming `place` and the nearest workload or key. */
bool workload_line_read(struct workload_line *line, const char *text, const char *place, struct error *error);
void workload_line_release(struct workload_line *line);

#endif
