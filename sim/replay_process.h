/* SPDX-License-Identifier: MIT
 *
 * replay_process.h - ops of processes (sim/trace.h: OP_PROCESS_CREATE ... OP_PROCESS_LEAVE) as calls of the user_memory port;
 * OP_PROCESS_RUN: replay_program.h.
 *
 * Whose process an id stands for is the caller's knowledge (sim/replay.c).
 */
#ifndef SIM_REPLAY_PROCESS_H
#define SIM_REPLAY_PROCESS_H

#include "sim/port/user_memory.h"
#include "sim/trace.h"

enum process_op_result {
	PROCESS_OP_DONE,
	PROCESS_OP_NO_MEMORY, /* the simulated machine has none; what was done before stays */
	PROCESS_OP_WRONG      /* no correct program does this */
};

/* What an op did; `process` is the one that came to be. */
struct process_op_done {
	enum process_op_result result;
	process_id process;
	const char *what; /* PROCESS_OP_WRONG: a sentence's end */
	bool is_of_areas; /* PROCESS_OP_WRONG: because of the areas that are there, or are not */
};

/* Whether the op is one of these, and whether its id comes to stand for a process with it. */
static inline bool is_process_op(unsigned kind)
{
	return kind >= OP_PROCESS_CREATE && kind <= OP_PROCESS_REMAP;
}

static inline bool makes_process(unsigned kind)
{
	return kind == OP_PROCESS_CREATE || kind == OP_PROCESS_FORK;
}

/* subject: the process that the op is of; of OP_PROCESS_FORK the parent, of CREATE and LEAVE none. */
struct process_op_done process_op(struct user_memory *users, const struct op *op, process_id subject, unsigned cpu);

#endif
