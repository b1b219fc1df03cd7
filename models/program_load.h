/* SPDX-License-Identifier: MIT
 *
 * program_load.h - a program whose accesses are known, as ops of a process (sim/workload.h): its areas are mapped, the pages that
 * have contents are written in the order of their addresses, then come its accesses, PROGRAM_STEP_NS of simulated time each.
 *
 * Each CPU that makes accesses has a thread. Where there are several, those of each PROGRAM_WINDOW accesses are decided thread by
 * thread.
 */
#ifndef MODELS_PROGRAM_LOAD_H
#define MODELS_PROGRAM_LOAD_H

#include "sim/program.h"
#include "sim/workload.h"

#define PROGRAM_STEP_NS 1u
#define PROGRAM_WINDOW 256u

/* The generator's values. */
struct program_load {
	const struct program *program;
	uint64_t user_end; /* as in sim/port/user_memory.h */
};

extern const struct workload_ops program_load_ops;

#endif
