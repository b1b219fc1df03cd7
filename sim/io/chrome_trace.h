/* SPDX-License-Identifier: MIT
 *
 * chrome_trace.h - what cores did in a window of simulated time, as Chrome's trace JSON, which ui.perfetto.dev and
 * chrome://tracing show (docs/formats.md describes the events).
 *
 * It listens to the cores (core_listener.h) and writes each op as a complete event on its core's row, waits nested in it, and
 * interrupts on a row of their own beside it. The file appears under its name when it is closed, whole, however the run ended.
 *
 * Times are rounded down to nanoseconds, begin and end alike, so that what lies within something else still does; the exact
 * cycles stand in each event's args.
 *
 * Source: "Trace Event Format" (Google, the Chromium project's document), JSON object format, events X and M.
 * Law: events of the window = those written + those left out beyond the limit.
 */
#ifndef SIM_IO_CHROME_TRACE_H
#define SIM_IO_CHROME_TRACE_H

#include "sim/core_listener.h"
#include "sim/layout.h"
#include "sim/op_cost_store.h"

struct chrome_trace_wiring {
	const char *path;  /* the caller's, valid as long as the trace */
	const char *title; /* of the process in the picture: the run's label */
	cycle from, to;    /* events that overlap these cycles, `to` not among them; CYCLE_NEVER: to the end */
	uint64_t limit;    /* events; the rest of the window is counted */
	uint64_t frequency_mhz;
	unsigned cpus;
	struct op_cost_names names;  /* of caches and call sites; called while the run goes on */
	const struct layout *layout; /* of locks' names; outlives the trace */
};

struct chrome_trace;

/* NULL with *error: the host refused. */
struct chrome_trace *chrome_trace_open(const struct chrome_trace_wiring *wiring, struct error *error);
/* To be wired into the machine; the trace's. */
struct core_listener *chrome_trace_listener(struct chrome_trace *trace);
/* Ends the file and gives it its name. The trace is gone afterwards, whatever the result. NULL is closed already. */
bool chrome_trace_close(struct chrome_trace *trace, struct error *error);

/* Events of the window so far: in the file, and beyond the limit. */
uint64_t chrome_trace_written(const struct chrome_trace *trace);
uint64_t chrome_trace_left_out(const struct chrome_trace *trace);

#endif
