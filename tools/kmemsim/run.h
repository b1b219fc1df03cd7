/* SPDX-License-Identifier: MIT
 *
 * run.h - one run: a recording under one allocator, written into the database under a run id that is there already.
 */
#ifndef TOOLS_RUN_H
#define TOOLS_RUN_H

#include "models/scenario.h"
#include "models/settings.h"
#include "sim/trace.h"

#include <signal.h>

struct run {
	const struct settings *settings; /* complete; its allocator list has one name */
	const char *trace_path;          /* .kmt */
	const char *db_path;
	int64_t run_id;
	double import_s; /* host seconds that importing the recording took before the run */
	const struct progress *progress;
	const volatile sig_atomic_t *interrupt;
};

/*
 * Runs it. The run's row ends as complete, interrupted or failed; false with *error filled unless it is complete or interrupted.
 */
bool run_one(const struct run *run, bool *interrupted, struct error *error);

#endif
