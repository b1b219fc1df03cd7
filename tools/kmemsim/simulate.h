/* SPDX-License-Identifier: MIT
 *
 * simulate.h - puts the parts of runs together: recording, models, machine, store.
 *
 * The commands run, replay and compare are different ways to fill a struct simulation; simulate() does the rest: imports the
 * recording once, completes the settings from it, writes one run per allocator into the database (in parallel processes, up to
 * the host's CPUs, numbered in the order asked for), and prints what came out.
 */
#ifndef TOOLS_SIMULATE_H
#define TOOLS_SIMULATE_H

#include "models/settings.h"
#include "sim/result_table.h"

struct simulation {
	struct settings *settings; /* completed by simulate() */
	const char *trace_path;    /* the recording, text or .kmt; NULL: settings->workload is made up */
	const char *db_path;       /* NULL: DEFAULT_DATABASE, its folder is made */
	const char *const *sets;   /* the user's own `key=value`, ends with NULL; they win over what the recording tells */
	bool recorded_kernel;      /* no scenario chose a kernel: take what the recording tells of its own */
	bool recorded_allocator;   /* nobody chose an allocator: take the recording's own */
	enum table_format format;  /* of the table on stdout; the summary of the import goes to stderr unless it is text */
};

#define DEFAULT_FOLDER "results"
#define DEFAULT_DATABASE DEFAULT_FOLDER "/kmemsim.db"

/* Returns the program's exit code; errors have been printed. */
int simulate(const struct simulation *simulation);

#endif
