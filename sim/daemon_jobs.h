/* SPDX-License-Identifier: MIT
 *
 * daemon_jobs.h - hands an op's steps to its core, and what a daemon did among them (steps_daemon_begin) to the core where the
 * daemon runs, as a job of its own.
 *
 * The jobs come in the order of the decisions: a daemon that ran before the op's first own step is handed over before it, others
 * behind it. On other cores they run beside it.
 *
 * MODEL: decisions are those of daemons that run at once; only who pays, and when, is theirs. What a daemon frees goes to the
 * lists of the CPU that let it run.
 */
#ifndef SIM_DAEMON_JOBS_H
#define SIM_DAEMON_JOBS_H

#include "sim/core.h"

/* The daemon runs on the CPU whose op let it run. */
#define DAEMON_CPU_AUTO UINT32_MAX

struct daemon_cpus {
	uint32_t cpu[STEP_DAEMONS]; /* of the machine's; or DAEMON_CPU_AUTO */
};

/* The op's own job is handed over even without steps, a daemon's (JOB_DAEMON) only with some. Clears the steps. */
void push_with_daemons(struct machine *machine, const struct daemon_cpus *daemons, unsigned cpu, const struct job_about *about,
                       struct steps *steps);

#endif
