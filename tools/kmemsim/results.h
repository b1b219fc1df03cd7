/* SPDX-License-Identifier: MIT
 *
 * results.h - what a command prints of its runs when they are over, read from the database.
 */
#ifndef TOOLS_RESULTS_H
#define TOOLS_RESULTS_H

#include "sim/result_table.h"

struct printed_run {
	int64_t id;
	const char *allocator;
};

struct results {
	const struct printed_run *runs; /* in the order they stand in the table */
	uint32_t count;
	const char *dump;          /* the scenario's dump: key */
	const char *own_allocator; /* of the recorded kernel, NULL = not known */
	enum table_format format;
};

/*
 * Prints the dumps that were asked for, the table, and how close the run of the recording's own allocator came to the recording.
 * CSV and JSON are the table alone; the dumps are in the database's table snapshot.
 */
bool print_results(const char *db, const struct results *results, struct error *error);

#endif
