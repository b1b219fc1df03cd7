/* SPDX-License-Identifier: MIT
 *
 * report.h - pictures and tables of runs, from the database alone, so that a report can be drawn anywhere, years later.
 *
 * Pictures are drawn by gnuplot from the templates in tools/gnuplot/ (one a picture, and style.gp); the report hands them the
 * data. What cannot be drawn because the runs lack the numbers is said, and is no error.
 */
#ifndef SIM_REPORT_H
#define SIM_REPORT_H

#include "sim/base.h"

#include <stdio.h>

enum report_format { REPORT_PNG, REPORT_SVG };

struct report_options {
	const int64_t *runs; /* in the order they are to stand; runs_count 0: every run */
	size_t runs_count;
	const char *const *pictures; /* names of report_pictures[]; pictures_count 0: all */
	size_t pictures_count;
	const char *out;       /* folder of the pictures, made if missing */
	const char *templates; /* folder of the gnuplot templates */
	const char *gnuplot;   /* program; NULL: "gnuplot" */
	enum report_format format;
};

struct report_picture {
	const char *name; /* of the picture, its file and its template */
	const char *help; /* one line: what it shows */
};

/* Ends with a NULL name. */
extern const struct report_picture report_pictures[];

/* "png" or "svg". */
bool report_format_named(const char *name, enum report_format *format, struct error *error);

/*
 * Prints the comparison of the runs to table_out, draws the pictures and an index.html into the folder, and tells on table_out
 * which files there are.
 */
bool report_write(const char *db, const struct report_options *options, FILE *table_out, struct error *error);

#endif
