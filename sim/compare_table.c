/* SPDX-License-Identifier: MIT
 *
 * compare_table.c - runs beside each other, from v_compare (interface: result_table.h).
 *
 * compare_lines[] is the table's left side: what each line says, the column of v_compare behind it and how people read it. Lines
 * that perf kmem prints too bear its words. A line that no run has a number for is left out.
 */
#include "sim/result_table.h"

#include "sim/utf8.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum reading {
	READ_TEXT,
	READ_COUNT,
	READ_BYTES,
	READ_PAGES,
	READ_PERCENT,
	READ_PER_MILLE,
	READ_CYCLES,
	READ_MEAN,
	READ_NS,
	READ_SECONDS
};

struct compare_line {
	const char *text;
	const char *column; /* NULL: a heading */
	enum reading reading;
};

static const struct compare_line compare_lines[] = {
        {"Run", "run_id", READ_COUNT},
        {"Label", "label", READ_TEXT},
        {"Recording (its sha256 begins with)", "recording", READ_TEXT},
        {"Page allocator", "page_allocator", READ_TEXT},
        {"Status", "status", READ_TEXT},
        {"Ops replayed", "ops", READ_COUNT},
        {"Wrong ops", "wrong_ops", READ_COUNT},
        {"Asked for and given, all allocations", NULL, READ_TEXT},
        {"Allocations", "allocations", READ_COUNT},
        {"Total bytes requested", "total_bytes_requested", READ_BYTES},
        {"Total bytes allocated", "total_bytes_allocated", READ_BYTES},
        {"Total bytes wasted on internal fragmentation", "total_bytes_wasted", READ_BYTES},
        {"Internal fragmentation", "internal_fragmentation", READ_PERCENT},
        {"Ping-pong", "ping_pong", READ_COUNT},
        {"Memory held by the object allocator", NULL, READ_TEXT},
        {"Peak pages", "peak_pages", READ_PAGES},
        {"Final pages", "final_pages", READ_PAGES},
        {"Final slabs", "slabs", READ_COUNT},
        {"Live objects at the end", "live_objects", READ_COUNT},
        {"Bytes requested by live objects", "live_bytes_requested", READ_BYTES},
        {"Waste inside objects", "waste_in_objects", READ_BYTES},
        {"Waste in half-used slabs", "waste_in_slabs", READ_BYTES},
        {"Unusable index of free memory at the end", NULL, READ_TEXT},
        {"Order 1", "unusable_index_1", READ_PER_MILLE},
        {"Order 2", "unusable_index_2", READ_PER_MILLE},
        {"Order 3", "unusable_index_3", READ_PER_MILLE},
        {"Order 4", "unusable_index_4", READ_PER_MILLE},
        {"Order 5", "unusable_index_5", READ_PER_MILLE},
        {"Order 6", "unusable_index_6", READ_PER_MILLE},
        {"Order 7", "unusable_index_7", READ_PER_MILLE},
        {"Order 8", "unusable_index_8", READ_PER_MILLE},
        {"Order 9", "unusable_index_9", READ_PER_MILLE},
        {"Order 10", "unusable_index_10", READ_PER_MILLE},
        {"Processes", NULL, READ_TEXT},
        {"Page faults", "page_faults", READ_COUNT},
        {"Page faults that read a file", "file_read_faults", READ_COUNT},
        {"Page faults answered with a huge page", "huge_faults", READ_COUNT},
        {"Pages written to swap", "pages_swapped_out", READ_COUNT},
        {"Pages read from swap", "pages_swapped_in", READ_COUNT},
        {"Touched by an op (timing: cycles)", NULL, READ_TEXT},
        {"Cache lines, allocation, mean", "lines_per_alloc", READ_MEAN},
        {"Cache lines, free, mean", "lines_per_free", READ_MEAN},
        {"Pages (TLB entries), allocation, mean", "pages_per_alloc", READ_MEAN},
        {"Pages (TLB entries), free, mean", "pages_per_free", READ_MEAN},
        {"Cost in cycles (timing: cycles)", NULL, READ_TEXT},
        {"Allocation, median", "cycles_per_alloc_median", READ_CYCLES},
        {"Allocation, 99th percentile", "cycles_per_alloc_p99", READ_CYCLES},
        {"Free, median", "cycles_per_free_median", READ_CYCLES},
        {"Free, 99th percentile", "cycles_per_free_p99", READ_CYCLES},
        {"Where the cycles of an op went (allocations and frees; accesses), mean", NULL, READ_TEXT},
        {"All", "cost_mean", READ_MEAN},
        {"Instructions", "cost_compute", READ_MEAN},
        {"TLB lookups and page walks", "cost_tlb", READ_MEAN},
        {"First-level cache", "cost_l1", READ_MEAN},
        {"Caches between", "cost_l2", READ_MEAN},
        {"Last-level cache", "cost_llc", READ_MEAN},
        {"Other cores' lines", "cost_coherence", READ_MEAN},
        {"Memory", "cost_dram", READ_MEAN},
        {"Store buffer", "cost_store_buffer", READ_MEAN},
        {"Waiting for locks", "cost_lock", READ_MEAN},
        {"Interrupts between cores", "cost_ipi", READ_MEAN},
        {"Disks and swap", "cost_io", READ_MEAN},
        {"Locks (timing: cycles)", NULL, READ_TEXT},
        {"Locks taken", "lock_acquisitions", READ_COUNT},
        {"Lock waits", "lock_waits", READ_COUNT},
        {"Cycles waited for locks", "lock_wait_cycles", READ_COUNT},
        {"Time", NULL, READ_TEXT},
        {"Simulated", "simulated_ns", READ_NS},
        {"Simulated cycles", "cycles", READ_COUNT},
        {"Replay on this host", "replay_wall_s", READ_SECONDS},
};

#define COMPARE_LINES (sizeof compare_lines / sizeof compare_lines[0])

/* Names and statuses are cut to this so that columns stay columns. */
#define CELL_CHARACTERS 24

/* A whole number in groups of three digits. */
static char *grouped(int64_t number)
{
	char digits[24], text[40];
	snprintf(digits, sizeof digits, "%" PRId64, number);
	size_t length = strlen(digits), to = 0;
	for (size_t from = 0; from < length; from++) {
		text[to++] = digits[from];
		size_t rest = length - from - 1;
		if (rest && rest % 3 == 0 && digits[from] != '-')
			text[to++] = ',';
	}
	text[to] = '\0';
	return xstrdup(text);
}

static char *bytes_text(double bytes)
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	size_t unit = 0;
	while ((bytes >= 1024 || bytes <= -1024) && unit + 1 < sizeof units / sizeof units[0]) {
		bytes /= 1024;
		unit++;
	}
	return xasprintf("%.*f %s", unit ? 2 : 0, bytes, units[unit]);
}

static char *pages_text(const struct store_value *value)
{
	char *count = grouped(value->integer), *bytes = bytes_text(value->real * PAGE_SIZE);
	char *text = xasprintf("%s (%s)", count, bytes);
	free(count);
	free(bytes);
	return text;
}

static char *reading_text(const struct store_value *value, enum reading reading)
{
	if (value->kind == STORE_NULL)
		return xstrdup("-");
	switch (reading) {
	case READ_TEXT:
		return value->kind == STORE_TEXT ? utf8_line(value->text, CELL_CHARACTERS) : xstrdup("?");
	case READ_COUNT:
	case READ_CYCLES:
		return grouped(value->integer);
	case READ_MEAN:
		return xasprintf("%.2f", value->real);
	case READ_BYTES:
		return bytes_text(value->real);
	case READ_PAGES:
		return pages_text(value);
	case READ_PERCENT:
		return xasprintf("%.2f %%", value->real);
	case READ_PER_MILLE:
		return xasprintf("%.3f", value->real / 1000);
	case READ_NS:
		return xasprintf("%.3f s", value->real / 1e9);
	case READ_SECONDS:
		return xasprintf("%.3f s", value->real);
	}
	return xstrdup("?");
}

/* The cells of the text table: a column of compare_lines for each run. NULL where the run has no such number. */
struct comparison {
	size_t count, seen;
	char **cells; /* count x COMPARE_LINES, owned */
	char **heads; /* the allocator of each run, owned */
};

static const struct store_value *column_named(const struct store_row *row, const char *name)
{
	for (size_t column = 0; column < row->columns; column++) {
		if (strcmp(row->names[column], name) == 0)
			return &row->values[column];
	}
	return NULL;
}

static bool take_run(void *context, const struct store_row *row, struct error *error)
{
	struct comparison *comparison = context;
	const struct store_value *allocator = column_named(row, "allocator");
	if (comparison->seen == comparison->count || !allocator)
		return error_set(error, ERROR_INPUT, "the database's view v_compare is not that of kmemsim");
	char **cells = comparison->cells + comparison->seen * COMPARE_LINES;
	for (size_t line = 0; line < COMPARE_LINES; line++) {
		if (!compare_lines[line].column)
			continue;
		const struct store_value *value = column_named(row, compare_lines[line].column);
		if (value && value->kind != STORE_NULL)
			cells[line] = reading_text(value, compare_lines[line].reading);
	}
	comparison->heads[comparison->seen++] = reading_text(allocator, READ_TEXT);
	return true;
}

static bool line_has_numbers(const struct comparison *comparison, size_t line)
{
	for (size_t run = 0; run < comparison->count; run++) {
		if (comparison->cells[run * COMPARE_LINES + line])
			return true;
	}
	return false;
}

/* Whether a heading has a line below it that is printed. */
static bool heading_has_lines(const struct comparison *comparison, size_t heading)
{
	for (size_t line = heading + 1; line < COMPARE_LINES && compare_lines[line].column; line++) {
		if (line_has_numbers(comparison, line))
			return true;
	}
	return false;
}

static size_t run_width(const struct comparison *comparison, size_t run)
{
	size_t width = utf8_width(comparison->heads[run]);
	for (size_t line = 0; line < COMPARE_LINES; line++) {
		const char *cell = comparison->cells[run * COMPARE_LINES + line];
		if (cell && utf8_width(cell) > width)
			width = utf8_width(cell);
	}
	return width;
}

/* Width of the left column: perf kmem's longest line, indented. */
#define TEXT_WIDTH 46

static void print_line(const struct comparison *comparison, const char *text, size_t line, FILE *out)
{
	fprintf(out, "%-*s", TEXT_WIDTH, text);
	for (size_t run = 0; run < comparison->count; run++) {
		const char *cell = line < COMPARE_LINES ? comparison->cells[run * COMPARE_LINES + line] : comparison->heads[run];
		cell = cell ? cell : "-";
		fprintf(out, "  %*s%s", (int)(run_width(comparison, run) - utf8_width(cell)), "", cell);
	}
	fputc('\n', out);
}

static void print_comparison(const struct comparison *comparison, FILE *out)
{
	bool below = false; /* a heading */
	print_line(comparison, "Allocator", COMPARE_LINES, out);
	for (size_t line = 0; line < COMPARE_LINES; line++) {
		if (!compare_lines[line].column) {
			below = true;
			if (heading_has_lines(comparison, line))
				fprintf(out, "\n%s\n", compare_lines[line].text);
			continue;
		}
		if (!line_has_numbers(comparison, line))
			continue;
		char *text = xasprintf("%s%s", below ? "  " : "", compare_lines[line].text);
		print_line(comparison, text, line, out);
		free(text);
	}
}

static void comparison_release(struct comparison *comparison)
{
	for (size_t cell = 0; cell < comparison->count * COMPARE_LINES; cell++)
		free(comparison->cells[cell]);
	for (size_t run = 0; run < comparison->seen; run++)
		free(comparison->heads[run]);
	free(comparison->cells);
	free(comparison->heads);
}

static bool no_run(struct store *store, int64_t run, struct error *error)
{
	int64_t *runs = NULL;
	size_t count = 0;
	if (!table_all_runs(store, &runs, &count, error))
		return false;
	if (count == 0)
		error_set(error, ERROR_USAGE, "the database holds no run");
	else
		error_set(error, ERROR_USAGE,
		          "there is no run %" PRId64 " in the database; it holds %zu, from %" PRId64 " to %" PRId64, run, count,
		          runs[0], runs[count - 1]);
	free(runs);
	return false;
}

#define COMPARE_SQL "SELECT * FROM v_compare WHERE run_id = ?1"

static bool print_text(struct store *store, const int64_t *runs, size_t count, FILE *out, struct error *error)
{
	struct comparison comparison = {.count = count};
	comparison.cells = xcalloc(count * COMPARE_LINES, sizeof *comparison.cells);
	comparison.heads = xcalloc(count, sizeof *comparison.heads);
	bool ok = true;
	for (size_t run = 0; ok && run < count; run++) {
		ok = store_query(store, COMPARE_SQL, &runs[run], 1, take_run, &comparison, error);
		if (ok && comparison.seen != run + 1)
			ok = no_run(store, runs[run], error);
	}
	if (ok)
		print_comparison(&comparison, out);
	comparison_release(&comparison);
	return ok;
}

/* The rows of the runs asked for, in that order: "SELECT ... WHERE run_id IN (?1, ?2) ORDER BY CASE run_id WHEN ?1 THEN 1 ...".
 */
static char *rows_sql(size_t count)
{
	size_t bytes = 64 + count * 64;
	char *sql = xcalloc(bytes, 1), *to = sql, *end = sql + bytes;
	to += snprintf(to, (size_t)(end - to), "SELECT * FROM v_compare WHERE run_id IN (");
	for (size_t run = 1; run <= count; run++)
		to += snprintf(to, (size_t)(end - to), "%s?%zu", run > 1 ? "," : "", run);
	to += snprintf(to, (size_t)(end - to), ") ORDER BY CASE run_id");
	for (size_t run = 1; run <= count; run++)
		to += snprintf(to, (size_t)(end - to), " WHEN ?%zu THEN %zu", run, run);
	snprintf(to, (size_t)(end - to), " END");
	return sql;
}

static bool count_row(void *context, const struct store_row *row, struct error *error)
{
	(void)row, (void)error;
	++*(size_t *)context;
	return true;
}

static bool print_rows(struct store *store, const int64_t *runs, size_t count, enum table_format format, FILE *out,
                       struct error *error)
{
	for (size_t run = 0; run < count; run++) {
		size_t found = 0;
		if (!store_query(store, "SELECT 1 FROM run WHERE id = ?1", &runs[run], 1, count_row, &found, error))
			return false;
		if (!found)
			return no_run(store, runs[run], error);
	}
	char *sql = rows_sql(count);
	bool ok = query_table_print(store, sql, runs, count, format, out, error);
	free(sql);
	return ok;
}

bool compare_table_print(struct store *store, const int64_t *runs, size_t count, enum table_format format, FILE *out,
                         struct error *error)
{
	int64_t *all = NULL;
	if (count == 0) {
		if (!table_all_runs(store, &all, &count, error))
			return false;
		if (count == 0)
			return no_run(store, 0, error);
		runs = all;
	}
	bool ok = format == TABLE_TEXT ? print_text(store, runs, count, out, error)
	                               : print_rows(store, runs, count, format, out, error);
	free(all);
	return ok;
}
