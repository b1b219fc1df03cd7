/* SPDX-License-Identifier: MIT
 *
 * op_events.c - settings events.* to a file (interface: op_events.h).
 */
#include "tools/kmemsim/op_events.h"

#include "sim/event.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SUFFIX ".json"

bool op_events_wanted(const struct settings *settings)
{
	return is_named(settings->events_file);
}

bool op_events_check(const struct settings *settings, struct error *error)
{
	if (!op_events_wanted(settings))
		return true;
	if (settings->timing != TIMING_CYCLES)
		return error_set(error, ERROR_USAGE,
		                 "events.file: '%.200s' would stay empty: ops take no time; expected timing: cycles",
		                 settings->events_file);
	if (settings->events_to_ns && settings->events_to_ns <= settings->events_from_ns)
		return error_set(error, ERROR_USAGE,
		                 "events.to is %" PRIu64 " ns, but events.from %" PRIu64 " ns; expected a later end, or `end`",
		                 settings->events_to_ns, settings->events_from_ns);
	return true;
}

void op_events_name(struct settings *settings, const char *which)
{
	if (!op_events_wanted(settings))
		return;
	char *path = settings->events_file;
	size_t length = strlen(path), suffix = strlen(SUFFIX);
	if (length > suffix && strcmp(path + length - suffix, SUFFIX) == 0)
		length -= suffix;
	settings->events_file = xasprintf("%.*s.%s" SUFFIX, (int)length, path, which);
	for (char *at = settings->events_file + length; (at = strchr(at, '/')) != NULL;)
		*at = '-'; /* of a variant's label */
	free(path);
}

/* The first cycle that is not before a time. */
static cycle cycle_of(uint64_t ns, uint64_t mhz)
{
	return ns / 1000 * mhz + (ns % 1000 * mhz + 999) / 1000;
}

struct chrome_trace *op_events_open(const struct settings *settings, const struct op_cost_names *names,
                                    const struct layout *layout, struct error *error)
{
	uint64_t mhz = settings_mhz(settings);
	const struct chrome_trace_wiring wiring = {
	        .path = settings->events_file,
	        .title = settings->label ? settings->label : settings->allocator[0],
	        .from = cycle_of(settings->events_from_ns, mhz),
	        .to = settings->events_to_ns ? cycle_of(settings->events_to_ns, mhz) : CYCLE_NEVER,
	        .limit = settings->events_limit,
	        .frequency_mhz = mhz,
	        .cpus = settings->machine.cpus,
	        .names = *names,
	        .layout = layout,
	};
	return chrome_trace_open(&wiring, error);
}

bool op_events_close(struct chrome_trace *events, const struct settings *settings, struct error *error)
{
	if (!events)
		return true;
	uint64_t written = chrome_trace_written(events), left_out = chrome_trace_left_out(events);
	if (!chrome_trace_close(events, error))
		return false;
	if (left_out)
		fprintf(stderr,
		        "kmemsim: %s holds the first %" PRIu64 " events of its window, %" PRIu64 " are left out (events.limit)\n",
		        settings->events_file, written, left_out);
	return true;
}
