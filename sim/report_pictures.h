/* SPDX-License-Identifier: MIT
 *
 * report_pictures.h - what report.c and report_pictures.c share: the runs of a picture, and how its data are written.
 *
 * Each picture is one function that asks the database and writes a data file for gnuplot: blocks of lines, one block a run,
 * parted by two empty lines, and what its template wants to know beside that into the script. Every text that comes from the
 * database passes gnuplot_text().
 */
#ifndef SIM_REPORT_PICTURES_H
#define SIM_REPORT_PICTURES_H

#include "sim/report.h"
#include "sim/store.h"

#include <stdio.h>

/* Panels, or bars and lines beside each other, that stay readable in 1200x800. */
#define RUNS_A_PICTURE 4
#define NAME_CHARACTERS 24

struct report_run {
	int64_t id;
	char *name;   /* in legends: the allocator, with more where that is not enough; owned */
	char *source; /* what was replayed on what, for the subtitle; owned */
	int64_t samples_step, last_sample, start_ns;
};

/* The runs of one picture, and where its data go. */
struct sheet {
	struct store *store;
	const struct report_run *runs;
	size_t count;
	FILE *data, *script;
	uint64_t points; /* lines of data; a picture without any is not drawn */
};

struct picture {
	const char *heading;
	bool (*write)(struct sheet *, struct error *);
	const char *lacking; /* what the runs lack if there is nothing to draw */
};

/* In the order of report_pictures (report.h). */
extern const struct picture pictures[];

/* Whether all runs stand in one picture, however many there are. */
bool picture_takes_all_runs(size_t picture);

/* Sets an element of an array of the script: NAME[2] = 'slab'. */
void script_text(struct sheet *sheet, const char *array, size_t index, const char *text, size_t characters);

/* "?1, ?2, ?3": so many parameters of a query. The caller frees it. */
char *parameter_list(size_t count);

#endif
