/* SPDX-License-Identifier: MIT
 *
 * variants.h - a scenario that is run several times, each time with some settings of its own (the setting `variants`).
 */
#ifndef TOOLS_VARIANTS_H
#define TOOLS_VARIANTS_H

#include "models/settings.h"
#include "sim/result_table.h"

#define VARIANT_SETS_MAX 16

/* "LABEL KEY=VALUE KEY=VALUE ...": what one run of the scenario has of its own. */
struct variant {
	char *label;                  /* owned */
	char *sets[VARIANT_SETS_MAX]; /* "key=value", owned */
	size_t sets_count;
};

/* Reads one. false with *error naming `place` and what was expected; then there is nothing to release. */
bool variant_read(struct variant *variant, const char *text, const char *place, struct error *error);
void variant_release(struct variant *variant);

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
