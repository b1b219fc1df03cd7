/* SPDX-License-Identifier: MIT
 *
 * replay_program.h - the accesses of a program, made by a process of the replay (sim/trace.h: OP_PROCESS_RUN).
 *
 *     access source -> access -> user memory decides (present, or a fault) -> steps -> the core of the access's thread pays
 *
 * With `timing: cycles` accesses between two faults are one job (JOB_ACCESSES), an access that faults is one of its own with all
 * that the fault does (JOB_TOUCH). An access stands for instructions_per_access instructions, unless the program tells its code:
 * then each fetch is one (sim/access_cores.h).
 *
 * Where there are several threads, the accesses of one op are decided thread by thread. A fault waits until the core of the last
 * one has paid for it, so that page tables change in the order of the decisions.
 *
 * A prefetch never faults; accesses that find no memory are counted and left out. MODEL: one that lies on two pages is two
 * accesses, one on each.
 */
#ifndef SIM_REPLAY_PROGRAM_H
#define SIM_REPLAY_PROGRAM_H

#include "sim/daemon_jobs.h"
#include "sim/port/access_source.h"
#include "sim/port/user_memory.h"
#include "sim/trace.h"

struct program_counters {
	uint64_t accesses; /* those left out too */
	uint64_t faults;   /* that they took */
	uint64_t left_out; /* parts of them, of one page each, for which there was no memory */
};

extern const struct metric program_metrics[];

struct program_replay {
	struct access_source *accesses; /* this and the next ones outlive it */
	struct user_memory *users;
	struct steps *steps;
	struct machine *machine; /* NULL: timing none */
	const struct daemon_cpus *daemons;
	uint32_t instructions_per_access;
	unsigned cpus;
	bool has_code; /* fetches have been seen */
	unsigned last_fault_cpu;
	struct program_counters counters;
};

/*
 * Makes the accesses of an op, of the thread that each access's CPU has; PROCESS_NONE: that could not be made. false with *error
 * if the program has fewer, or is damaged.
 */
bool program_run(struct program_replay *program, const struct op *op, const process_id threads[], struct error *error);

#endif
