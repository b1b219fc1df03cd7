/* SPDX-License-Identifier: MIT
 *
 * result_table.c - what a query gives, as text, CSV or JSON (interface: result_table.h; the comparison: compare_table.c).
 */
#include "sim/result_table.h"

#include "sim/utf8.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

bool table_format_named(const char *name, enum table_format *format, struct error *error)
{
	static const char *const names[] = {[TABLE_TEXT] = "text", [TABLE_CSV] = "csv", [TABLE_JSON] = "json"};
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		if (strcmp(name, names[i]) == 0) {
			*format = (enum table_format)i;
			return true;
		}
	}
	return error_set(error, ERROR_USAGE, "there is no format '%s' for tables; choose text, csv or json", name);
}

struct run_list {
	int64_t *runs;
	size_t count;
};

static bool add_run(void *context, const struct store_row *row, struct error *error)
{
	(void)error;
	struct run_list *list = context;
	list->runs = xrealloc(list->runs, (list->count + 1) * sizeof *list->runs);
	list->runs[list->count++] = row->values[0].integer;
	return true;
}

bool table_all_runs(struct store *store, int64_t **runs, size_t *count, struct error *error)
{
	struct run_list list = {0};
	if (!store_query(store, "SELECT id FROM run ORDER BY id", NULL, 0, add_run, &list, error)) {
		free(list.runs);
		return false;
	}
	*runs = list.runs;
	*count = list.count;
	return true;
}

/* A real number in its shortest form that reads back as itself, the same on every host. */
static void print_real(double real, FILE *out)
{
	char text[32];
	for (int digits = 6; digits <= 17; digits++) {
		snprintf(text, sizeof text, "%.*g", digits, real);
		if (strtod(text, NULL) == real)
			break;
	}
	fputs(text, out);
}

static void print_csv_text(const char *text, FILE *out)
{
	if (!strpbrk(text, ",\"\r\n")) {
		fputs(text, out);
		return;
	}
	fputc('"', out);
	for (; *text; text++) {
		if (*text == '"')
			fputc('"', out);
		fputc(*text, out);
	}
	fputc('"', out);
}

static void print_csv_value(const struct store_value *value, FILE *out)
{
	switch (value->kind) {
	case STORE_NULL:
		break;
	case STORE_INTEGER:
		fprintf(out, "%" PRId64, value->integer);
		break;
	case STORE_REAL:
		print_real(value->real, out);
		break;
	case STORE_TEXT:
		print_csv_text(value->text, out);
		break;
	}
}

static void print_json_value(const struct store_value *value, FILE *out)
{
	switch (value->kind) {
	case STORE_NULL:
		fputs("null", out);
		break;
	case STORE_INTEGER:
		fprintf(out, "%" PRId64, value->integer);
		break;
	case STORE_REAL:
		if (isfinite(value->real))
			print_real(value->real, out);
		else
			fputs("null", out);
		break;
	case STORE_TEXT:
		utf8_print_json(value->text, out);
		break;
	}
}

/* A table that grows row by row; text is kept until all widths are known. */
struct table {
	enum table_format format;
	FILE *out;
	size_t rows, columns;
	char **cells; /* text only: header first, columns a row; owned */
	bool *right;  /* text only: columns of numbers; owned */
};

/* Longer texts, snapshots for instance, are cut; CSV and JSON have them whole. */
#define CELL_CHARACTERS 60

static char *cell_text(const struct store_value *value)
{
	switch (value->kind) {
	case STORE_INTEGER:
		return xasprintf("%" PRId64, value->integer);
	case STORE_REAL:
		return xasprintf("%.3f", value->real);
	case STORE_TEXT:
		return utf8_line(value->text, CELL_CHARACTERS);
	default:
		return xstrdup("-");
	}
}

static void add_text_row(struct table *table, const struct store_row *row)
{
	if (table->rows == 0) {
		table->cells = xcalloc(row->columns, sizeof *table->cells);
		table->right = xcalloc(row->columns, sizeof *table->right);
		for (size_t column = 0; column < row->columns; column++)
			table->cells[column] = xstrdup(row->names[column]);
	}
	size_t first = (table->rows + 1) * row->columns;
	table->cells = xrealloc(table->cells, (first + row->columns) * sizeof *table->cells);
	for (size_t column = 0; column < row->columns; column++) {
		const struct store_value *value = &row->values[column];
		table->right[column] |= value->kind == STORE_INTEGER || value->kind == STORE_REAL;
		table->cells[first + column] = cell_text(value);
	}
}

static void print_csv_row(struct table *table, const struct store_row *row)
{
	for (size_t column = 0; table->rows == 0 && column < row->columns; column++)
		fprintf(table->out, "%s%s", row->names[column], column + 1 < row->columns ? "," : "\r\n");
	for (size_t column = 0; column < row->columns; column++) {
		print_csv_value(&row->values[column], table->out);
		fputs(column + 1 < row->columns ? "," : "\r\n", table->out);
	}
}

static void print_json_row(struct table *table, const struct store_row *row)
{
	fputs(table->rows == 0 ? "[\n {" : ",\n {", table->out);
	for (size_t column = 0; column < row->columns; column++) {
		fputs(column ? ", " : "", table->out);
		utf8_print_json(row->names[column], table->out);
		fputs(": ", table->out);
		print_json_value(&row->values[column], table->out);
	}
	fputc('}', table->out);
}

static bool table_row(void *context, const struct store_row *row, struct error *error)
{
	(void)error;
	struct table *table = context;
	table->columns = row->columns;
	switch (table->format) {
	case TABLE_TEXT:
		add_text_row(table, row);
		break;
	case TABLE_CSV:
		print_csv_row(table, row);
		break;
	case TABLE_JSON:
		print_json_row(table, row);
		break;
	}
	table->rows++;
	return true;
}

static void print_text(const struct table *table)
{
	int *widths = xcalloc(table->columns, sizeof *widths);
	for (size_t cell = 0; cell < (table->rows + 1) * table->columns; cell++) {
		int width = (int)utf8_width(table->cells[cell]);
		if (width > widths[cell % table->columns])
			widths[cell % table->columns] = width;
	}
	for (size_t cell = 0; cell < (table->rows + 1) * table->columns; cell++) {
		size_t column = cell % table->columns;
		int pad = widths[column] - (int)utf8_width(table->cells[cell]);
		bool last = column + 1 == table->columns;
		if (table->right[column])
			fprintf(table->out, "%*s%s", pad, "", table->cells[cell]);
		else
			fprintf(table->out, "%s%*s", table->cells[cell], last ? 0 : pad, "");
		fputs(last ? "\n" : "  ", table->out);
	}
	free(widths);
}

static void table_finish(struct table *table, bool ok)
{
	if (ok && table->format == TABLE_JSON)
		fputs(table->rows ? "\n]\n" : "[]\n", table->out);
	if (ok && table->format == TABLE_TEXT && table->rows)
		print_text(table);
	for (size_t cell = 0; table->cells && cell < (table->rows + 1) * table->columns; cell++)
		free(table->cells[cell]);
	free(table->cells);
	free(table->right);
}

bool query_table_print(struct store *store, const char *sql, const int64_t *parameters, size_t parameters_count,
                       enum table_format format, FILE *out, struct error *error)
{
	struct table table = {.format = format, .out = out};
	bool ok = store_query(store, sql, parameters, parameters_count, table_row, &table, error);
	table_finish(&table, ok);
	return ok;
}
