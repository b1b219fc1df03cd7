/* SPDX-License-Identifier: MIT
 *
 * access_run.h - a run that is given a program's memory accesses in place of a recording (scenario keys `accesses` and
 * `access_workload`): through the
 * machine's TLBs and caches, each of them watched, into the database.
 */
#ifndef TOOLS_ACCESS_RUN_H
#define TOOLS_ACCESS_RUN_H

#include "models/settings.h"
#include "sim/result_table.h"

struct access_simulation {
	struct settings *settings; /* completed here */
	const char *db_path;       /* NULL: DEFAULT_DATABASE */
	enum table_format format;  /* of the table on stdout */
};

/* Returns the program's exit code; errors have been printed. */
int access_simulate(const struct access_simulation *simulation);

#endif
