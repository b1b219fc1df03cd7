/* SPDX-License-Identifier: MIT
 *
 * op_events.h - the file of ops under the clock that a run writes beside the database (settings events.*; sim/io/chrome_trace.h).
 */
#ifndef TOOLS_OP_EVENTS_H
#define TOOLS_OP_EVENTS_H

#include "models/settings.h"
#include "sim/io/chrome_trace.h"

/* Whether the settings ask for a file. */
bool op_events_wanted(const struct settings *settings);

/* Whether a run with these settings can write it. */
bool op_events_check(const struct settings *settings, struct error *error);

/* One of several runs writes a file of its own: NAME.json becomes NAME.WHICH.json, where WHICH is its allocator or variant. */
void op_events_name(struct settings *settings, const char *which);

/* NULL with *error: the host refused. */
struct chrome_trace *op_events_open(const struct settings *settings, const struct op_cost_names *names,
                                    const struct layout *layout, struct error *error);

/* Ends the file, and tells what it has not room for. NULL: there is none. */
bool op_events_close(struct chrome_trace *events, const struct settings *settings, struct error *error);

#endif
