/* SPDX-License-Identifier: MIT
 *
 * core_listener.h - what cores tell of their work to somebody who listens (machine.listener): each op when it is over, and the
 * times in which a core waited for others or served them.
 *
 * Cycles are those of the machine's clock. Calls come in the order in which things are known, not in that of their cycles.
 * Spans of one kind of one core do not overlap, nor do its ops; waits lie within the op that waited. An interrupt may begin
 * within the last step of an op before its wait (core_ipi.c), so it may overlap the edge of either.
 */
#ifndef SIM_CORE_LISTENER_H
#define SIM_CORE_LISTENER_H

#include "sim/op_cost.h"

/* An op that a core has paid for. What is pointed to lives as long as the call. */
struct core_job_done {
	unsigned cpu;
	const struct job_about *about;
	enum step_path path;
	cycle from, to;
	const struct cost *cost; /* its parts add up to `to` - `from` */
};

enum core_span_kind {
	SPAN_LOCK,     /* waited for a lock; `what` is the address of its word */
	SPAN_ACKS,     /* waited until other cores had acknowledged interrupts; `what` is 0 */
	SPAN_INTERRUPT /* served an interrupt; `what` is the core that sent it */
};

struct core_span {
	unsigned cpu;
	enum core_span_kind kind;
	uint64_t what;
	cycle from, to; /* `to` > `from` */
};

/* Embedded in the struct of who listens, as its first member. */
struct core_listener {
	void (*job)(struct core_listener *, const struct core_job_done *);
	void (*span)(struct core_listener *, const struct core_span *);
};

#endif
