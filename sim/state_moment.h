/* SPDX-License-Identifier: MIT
 *
 * state_moment.h - where in a recording a state dump was taken.
 *
 * A dump says when it was taken by the clock of the CPU that took it. With several CPUs that clock need not be the recording's,
 * and the other CPUs ran on. But each page event of the recording (sim/trace.h: details) fits only some states: before an
 * allocation its frame is on a CPU's list, after it in use; before it is taken from the zone, it is free there; and so on. The
 * moment is the place in the text where the fewest frames contradict the dump by what happened to them last, or happens next.
 *
 * If nothing contradicts the dump at the moment of its clock, that stands.
 */
#ifndef SIM_STATE_MOMENT_H
#define SIM_STATE_MOMENT_H

#include "sim/state_dump.h"
#include "sim/trace.h"

struct state_moment {
	uint64_t line;    /* of the first page event after the dump; UINT64_MAX: all were before it */
	uint64_t time_ns; /* of that event */
	uint64_t fewer;   /* frames that contradict the dump at its clock's moment, more than here */
	bool by_clock;    /* nothing fits better than the clock, which stands; the rest says nothing */
};

/*
 * Reads the details of `trace` and rewinds it. A recording without page events, or more than fit into memory, gives the clock's
 * moment. False with *error filled if it cannot be read.
 */
bool state_moment_find(struct state_moment *moment, const struct state_dump *dump, struct trace *trace, struct error *error);

#endif
