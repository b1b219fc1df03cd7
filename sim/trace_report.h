/* SPDX-License-Identifier: MIT
 *
 * trace_report.h - a recording told in words or in JSON, and checked (commands trace info, trace convert, trace check).
 */
#ifndef SIM_TRACE_REPORT_H
#define SIM_TRACE_REPORT_H

#include "sim/trace.h"

#include <stdio.h>

/* What was read, what was left out and why, what could not be seen; then the machine, the caches, the facts. */
void trace_report_text(FILE *out, const struct trace *trace);
/* The same as one JSON object. */
void trace_report_json(FILE *out, const struct trace *trace);

/*
 * Reads a recording of any form from its first op to its last, so that every checksum, index and id in it is checked; a text is
 * imported for that. *ops is how many there are. false with *error telling where it is damaged.
 */
bool trace_check(const char *path, const struct progress *progress, uint64_t *ops, struct error *error);

#endif
