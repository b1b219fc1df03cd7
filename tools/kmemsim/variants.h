/* SPDX-License-Identifier: MIT
 *
 * variants.h - a scenario that is run several times, each time with some settings of its own (the setting `variants`).
 */
#ifndef TOOLS_VARIANTS_H
#define TOOLS_VARIANTS_H

#include "models/settings.h"
#include "models/variant.h"
#include "sim/result_table.h"

struct variants_run {
	const struct settings *settings; /* of the scenario: its variants, and how many allocators each has */
	const char *input;
	const char *db_path; /* NULL: DEFAULT_DATABASE */
	enum table_format format;
	/* Runs one variant to its end, in a process of its own; returns the exit code. */
	int (*run)(void *context, const struct variant *variant);
	void *context;
};

/*
 * Runs all variants into one database, as many at once as the host has cores; their rows stand in the order of the scenario. Then
 * prints the runs beside each other. Returns the program's exit code: the first variant's that failed.
 */
int variants_simulate(const struct variants_run *run);

#endif
