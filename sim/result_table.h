/* SPDX-License-Identifier: MIT
 *
 * result_table.h - results as tables for people (text) and programs (CSV, JSON), read from the database.
 *
 * Text has units people read (MiB, %); CSV (RFC 4180, one header line) and JSON (an array of objects) have the plain numbers and
 * the column names of the views, which results/README.md and docs/metrics.md explain.
 */
#ifndef SIM_RESULT_TABLE_H
#define SIM_RESULT_TABLE_H

#include "sim/store.h"

#include <stdio.h>

enum table_format { TABLE_TEXT, TABLE_CSV, TABLE_JSON };

/* "text", "csv" or "json". */
bool table_format_named(const char *name, enum table_format *format, struct error *error);

/* The ids of every run, ascending; free() the array. */
bool table_all_runs(struct store *store, int64_t **runs, size_t *count, struct error *error);

/*
 * The runs beside each other: text has a line for each number and a column for each run, in the order given; CSV and JSON have
 * the rows of v_compare. count 0 means every run. A run that is not there is an error.
 */
bool compare_table_print(struct store *store, const int64_t *runs, size_t count, enum table_format format, FILE *out,
                         struct error *error);

/* Whatever a query gives, for instance "SELECT * FROM v_cache_waste WHERE run_id = ?1". */
bool query_table_print(struct store *store, const char *sql, const int64_t *parameters, size_t parameters_count,
                       enum table_format format, FILE *out, struct error *error);

#endif
