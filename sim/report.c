/* SPDX-License-Identifier: MIT
 *
 * report.c - draws pictures of runs (interface: report.h).
 *
 * What a picture shows is written by report_pictures.c. Here a small script names the data, the output and the runs and loads the
 * template that bears the picture's name; gnuplot draws, and index.html shows all. More runs than fit a picture are drawn on
 * several ("NAME-2.png"). Every text that comes from the database passes gnuplot_text() or html_text().
 */
#include "sim/report_pictures.h"

#include "sim/io/gnuplot.h"
#include "sim/path.h"
#include "sim/result_table.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* More points than this are not seen in a picture 1200 wide; every n-th sample is drawn, and the last. */
#define SAMPLES_DRAWN 1500

struct report {
	struct store *store;
	const struct report_options *options;
	struct report_run *runs; /* owned */
	size_t runs_count;
	char *folder; /* of the data and the script; removed at the end */
	FILE *page;   /* index.html */
};

bool report_format_named(const char *name, enum report_format *format, struct error *error)
{
	if (strcmp(name, "png") != 0 && strcmp(name, "svg") != 0)
		return error_set(error, ERROR_USAGE, "there is no picture format '%s'; choose png or svg", name);
	*format = name[0] == 'p' ? REPORT_PNG : REPORT_SVG;
	return true;
}

static const char *suffix(const struct report *report)
{
	return report->options->format == REPORT_SVG ? "svg" : "png";
}

/* A path inside the single quotes of a gnuplot script. */
static void script_path(FILE *script, const char *variable, const char *path)
{
	fprintf(script, "%s = '", variable);
	for (; *path; path++)
		fprintf(script, *path == '\'' ? "''" : "%c", *path);
	fputs("'\n", script);
}

static FILE *open_for_write(const char *path, struct error *error)
{
	FILE *file = fopen(path, "w");
	if (!file)
		error_set(error, ERROR_HOST, "%s: cannot be written: %s", path, strerror(errno));
	return file;
}

static bool close_written(FILE *file, const char *path, struct error *error)
{
	bool failed = ferror(file) != 0;
	failed |= fclose(file) != 0;
	return !failed || error_set(error, ERROR_HOST, "%s: cannot be written: %s", path, strerror(errno));
}

struct sheet_files {
	char *data, *script, *drawn, *final; /* owned */
};

static bool several_sources(const struct sheet *sheet)
{
	for (size_t i = 1; i < sheet->count; i++) {
		if (strcmp(sheet->runs[i].source, sheet->runs[0].source) != 0)
			return true;
	}
	return false;
}

/* Says in the script what the templates read. */
static void begin_script(const struct report *report, struct sheet *sheet, size_t picture, const struct sheet_files *files)
{
	FILE *script = sheet->script;
	fprintf(script, "FORMAT = '%s'\n", suffix(report));
	script_path(script, "DATA", files->data);
	script_path(script, "OUT", files->drawn);
	script_path(script, "TEMPLATES", report->options->templates);
	fprintf(script, "RUNS = %zu\narray NAME[RUNS]\narray LEGEND[RUNS]\n", sheet->count);
	for (size_t i = 0; i < sheet->count; i++)
		script_text(sheet, "NAME", i, sheet->runs[i].name, NAME_CHARACTERS);
	char *source = gnuplot_text(several_sources(sheet) ? "several recordings or machines" : sheet->runs[0].source, 120);
	fprintf(script, "HEADING = '%s'\nSOURCE = '%s'\n", pictures[picture].heading, source);
	free(source);
}

/* Writes data and script. sheet->points tells whether there is something to draw. */
static bool write_sheet(const struct report *report, struct sheet *sheet, size_t picture, const struct sheet_files *files,
                        struct error *error)
{
	sheet->data = open_for_write(files->data, error);
	sheet->script = open_for_write(files->script, error);
	bool ok = sheet->data && sheet->script;
	if (ok) {
		begin_script(report, sheet, picture, files);
		ok = pictures[picture].write(sheet, error);
		fprintf(sheet->script, "load TEMPLATES.'/style.gp'\nload TEMPLATES.'/%s.gp'\nunset output\n",
		        report_pictures[picture].name);
	}
	if (sheet->data && !close_written(sheet->data, files->data, error))
		ok = false;
	if (sheet->script && !close_written(sheet->script, files->script, error))
		ok = false;
	return ok;
}

/* The picture appears whole or not at all. */
static bool draw(const struct report *report, const struct sheet_files *files, struct error *error)
{
	const char *program = report->options->gnuplot ? report->options->gnuplot : "gnuplot";
	if (!gnuplot_run(program, files->script, error))
		return false;
	struct stat status;
	if (stat(files->drawn, &status) != 0 || status.st_size == 0)
		return error_set(error, ERROR_HOST, "gnuplot drew nothing into %s", files->drawn);
	return rename(files->drawn, files->final) == 0 ||
	       error_set(error, ERROR_HOST, "%s: cannot be written: %s", files->final, strerror(errno));
}

static void html_text(const char *text, FILE *page)
{
	for (; *text; text++) {
		if (*text == '<')
			fputs("&lt;", page);
		else if (*text == '>')
			fputs("&gt;", page);
		else if (*text == '&')
			fputs("&amp;", page);
		else if (*text == '"')
			fputs("&quot;", page);
		else
			fputc(*text, page);
	}
}

static void page_picture(const struct report *report, size_t picture, const char *final)
{
	fputs("<h2>", report->page);
	html_text(report_pictures[picture].help, report->page);
	fprintf(report->page, "</h2>\n<img src=\"%s\" width=\"1200\" height=\"800\" alt=\"", path_name(final));
	html_text(report_pictures[picture].help, report->page);
	fputs("\">\n", report->page);
}

static bool draw_sheet(struct report *report, size_t picture, size_t first, FILE *table_out, struct error *error)
{
	const char *name = report_pictures[picture].name;
	size_t number = first / RUNS_A_PICTURE + 1, left = report->runs_count - first;
	char page[24] = "";
	if (number > 1)
		snprintf(page, sizeof page, "-%zu", number);
	struct sheet sheet = {.store = report->store, .runs = report->runs + first, .count = left};
	if (left > RUNS_A_PICTURE && !picture_takes_all_runs(picture))
		sheet.count = RUNS_A_PICTURE;
	struct sheet_files files = {
	        .data = xasprintf("%s/%s.txt", report->folder, name),
	        .script = xasprintf("%s/%s.gp", report->folder, name),
	        .drawn = xasprintf("%s/%s%s.%s.part", report->options->out, name, page, suffix(report)),
	        .final = xasprintf("%s/%s%s.%s", report->options->out, name, page, suffix(report)),
	};
	bool ok = write_sheet(report, &sheet, picture, &files, error);
	if (ok && sheet.points == 0) {
		fprintf(table_out, "%s: not drawn: %s\n", name, pictures[picture].lacking);
	} else if (ok && draw(report, &files, error)) {
		fprintf(table_out, "%s: %s\n", files.final, report_pictures[picture].help);
		page_picture(report, picture, files.final);
	} else {
		ok = false;
		unlink(files.drawn);
	}
	unlink(files.data);
	unlink(files.script);
	free(files.data);
	free(files.script);
	free(files.drawn);
	free(files.final);
	return ok;
}

static bool wanted(const struct report_options *options, size_t picture)
{
	for (size_t i = 0; i < options->pictures_count; i++) {
		if (strcmp(options->pictures[i], report_pictures[picture].name) == 0)
			return true;
	}
	return options->pictures_count == 0;
}

static bool draw_all(struct report *report, FILE *table_out, struct error *error)
{
	fputc('\n', table_out);
	for (size_t picture = 0; report_pictures[picture].name; picture++) {
		if (!wanted(report->options, picture))
			continue;
		const size_t step = picture_takes_all_runs(picture) ? report->runs_count : RUNS_A_PICTURE;
		for (size_t first = 0; first < report->runs_count; first += step) {
			if (!draw_sheet(report, picture, first, table_out, error))
				return false;
		}
	}
	return true;
}

static bool unknown_picture(const char *name, struct error *error)
{
	char names[512] = "";
	size_t used = 0;
	for (size_t picture = 0; report_pictures[picture].name && used < sizeof names; picture++)
		used += (size_t)snprintf(names + used, sizeof names - used, "%s%s", picture ? ", " : "",
		                         report_pictures[picture].name);
	return error_set(error, ERROR_USAGE, "there is no picture '%s'; there are %s", name, names);
}

static bool check_pictures(const struct report_options *options, struct error *error)
{
	for (size_t i = 0; i < options->pictures_count; i++) {
		bool known = false;
		for (size_t picture = 0; report_pictures[picture].name; picture++)
			known |= strcmp(options->pictures[i], report_pictures[picture].name) == 0;
		if (!known)
			return unknown_picture(options->pictures[i], error);
	}
	return true;
}

static const char *text_of(const struct store_value *value, const char *otherwise)
{
	return value->kind == STORE_TEXT && value->text[0] ? value->text : otherwise;
}

/*
 * id, allocator, label, how many of the chosen bear that allocator, that label; trace, machine, kernel; last sample, start; how
 * many bear both.
 */
static bool take_run(void *context, const struct store_row *row, struct error *error)
{
	(void)error;
	struct report *report = context;
	struct report_run *run = &report->runs[report->runs_count++];
	const char *allocator = text_of(&row->values[1], "?"), *label = text_of(&row->values[2], "");
	run->id = row->values[0].integer;
	if (row->values[3].integer == 1)
		run->name = xstrdup(allocator);
	else if (label[0] && row->values[4].integer == 1)
		run->name = xstrdup(label);
	else if (label[0] && row->values[10].integer == 1)
		run->name = xasprintf("%s, %s", allocator, label);
	else
		run->name = xasprintf("%s, run %" PRId64, allocator, run->id);
	const char *trace = path_name(text_of(&row->values[5], "no recording")), *machine = text_of(&row->values[6], "");
	run->source =
	        *machine ? xasprintf("%s on %s, kernel %s", trace, machine, text_of(&row->values[7], "unnamed")) : xstrdup(trace);
	run->last_sample = row->values[8].kind == STORE_INTEGER ? row->values[8].integer : -1;
	run->start_ns = row->values[9].kind == STORE_INTEGER ? row->values[9].integer : 0;
	run->samples_step = run->last_sample / SAMPLES_DRAWN + 1;
	return true;
}

/* The comparison, which has refused runs that are not there, comes before. */
static bool read_runs(struct report *report, const int64_t *runs, size_t count, struct error *error)
{
	report->runs = xcalloc(count, sizeof *report->runs);
	char *list = parameter_list(count);
	char *sql = xasprintf(
	        "SELECT id, allocator, label, (SELECT count(*) FROM run AS o WHERE o.id IN (%s) AND o.allocator IS r.allocator),"
	        " (SELECT count(*) FROM run AS o WHERE o.id IN (%s) AND o.label IS r.label), trace, machine, kernel,"
	        " (SELECT max(sample) FROM sample WHERE run_id = r.id), (SELECT min(time_ns) FROM sample WHERE run_id = r.id),"
	        " (SELECT count(*) FROM run AS o WHERE o.id IN (%s) AND o.allocator IS r.allocator AND o.label IS r.label)"
	        " FROM run AS r WHERE id = ?%zu",
	        list, list, list, count + 1);
	int64_t *parameters = xcalloc(count + 1, sizeof *parameters);
	memcpy(parameters, runs, count * sizeof *runs);
	bool ok = true;
	for (size_t i = 0; ok && i < count; i++) {
		parameters[count] = runs[i];
		ok = store_query(report->store, sql, parameters, count + 1, take_run, report, error);
	}
	free(parameters);
	free(list);
	free(sql);
	return ok;
}

static bool make_folder(const char *path, struct error *error)
{
	char *part = xstrdup(path);
	bool ok = true;
	for (char *at = part + 1; ok && at[-1]; at++) {
		if (*at != '/' && *at != '\0')
			continue;
		char end = *at;
		*at = '\0';
		ok = mkdir(part, 0777) == 0 || errno == EEXIST;
		*at = end;
	}
	struct stat status;
	ok = ok && stat(path, &status) == 0;
	if (!ok)
		error_set(error, ERROR_HOST, "%s: the folder cannot be made: %s", path, strerror(errno));
	else if (!S_ISDIR(status.st_mode))
		ok = error_set(error, ERROR_HOST, "%s: is no folder", path);
	free(part);
	return ok;
}

/* What took most, of all runs together; a table without rows is left out. */
static const struct {
	const char *heading, *columns, *view, *order;
} dearest[] = {
        {"The ten dearest kinds of ops, by cache and path",
         "coalesce(label, allocator) AS run, kind, cache, path, ops, round(mean, 1) AS mean, median, p99, cycles", "v_op_cost",
         "cycles DESC, run_id, kind, cache, path"},
        {"The ten locks that took cores the longest",
         "coalesce(label, allocator) AS run, name, address, acquisitions, waits, wait_cycles, take_cycles,"
         " round(cycles_per_acquisition, 1) AS cycles_per_acquisition",
         "(SELECT * FROM v_lock WHERE take_cycles > 0)", "take_cycles DESC, run_id, address"},
        {"The ten lines that cores took from each other the most",
         "coalesce(label, allocator) AS run, name, address, transfers, invalidations, cores, writers, false_sharing", "v_line",
         "transfers + invalidations DESC, run_id, physical"},
};

static bool print_dearest_of(struct report *report, size_t which, const int64_t *runs, size_t count, FILE *out,
                             struct error *error)
{
	char *list = parameter_list(count), *table = NULL;
	char *sql = xasprintf("SELECT %s FROM %s WHERE run_id IN (%s) ORDER BY %s LIMIT 10", dearest[which].columns,
	                      dearest[which].view, list, dearest[which].order);
	size_t length;
	FILE *memory = open_memstream(&table, &length);
	SIM_ASSERT(memory);
	bool ok = query_table_print(report->store, sql, runs, count, TABLE_TEXT, memory, error);
	fclose(memory);
	if (ok && length > 0)
		fprintf(out, "\n%s\n%s", dearest[which].heading, table);
	free(table);
	free(sql);
	free(list);
	return ok;
}

static bool print_dearest(struct report *report, const int64_t *runs, size_t count, FILE *out, struct error *error)
{
	for (size_t which = 0; which < sizeof dearest / sizeof dearest[0]; which++)
		if (!print_dearest_of(report, which, runs, count, out, error))
			return false;
	return true;
}

/* The comparison and what was dearest go to table_out and, between <pre> tags, to the page. */
static bool print_tables(struct report *report, const int64_t *runs, size_t count, FILE *table_out, struct error *error)
{
	char *text = NULL;
	size_t length = 0;
	FILE *memory = open_memstream(&text, &length);
	if (!memory)
		return error_set(error, ERROR_HOST, "no memory for a table: %s", strerror(errno));
	bool ok = compare_table_print(report->store, runs, count, TABLE_TEXT, memory, error) &&
	          print_dearest(report, runs, count, memory, error);
	fclose(memory);
	if (ok) {
		fputs(text, table_out);
		fputs("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>kmemsim report</title>\n"
		      "<style>body{font-family:sans-serif;margin:2em}img{max-width:100%;height:auto}</style></head><body>\n"
		      "<h1>kmemsim report</h1>\n<pre>",
		      report->page);
		html_text(text, report->page);
		fputs("</pre>\n", report->page);
	}
	free(text);
	return ok;
}

static bool make_temporary(struct report *report, struct error *error)
{
	const char *parent = getenv("TMPDIR");
	report->folder = xasprintf("%s/kmemsim-report-XXXXXX", parent && parent[0] ? parent : P_tmpdir);
	if (mkdtemp(report->folder))
		return true;
	error_set(error, ERROR_HOST, "%s: a temporary folder cannot be made: %s", report->folder, strerror(errno));
	free(report->folder);
	report->folder = NULL;
	return false;
}

static bool write_with_page(struct report *report, const int64_t *runs, size_t count, FILE *table_out, struct error *error)
{
	return print_tables(report, runs, count, table_out, error) && read_runs(report, runs, count, error) &&
	       make_temporary(report, error) && draw_all(report, table_out, error);
}

static bool write_runs(struct report *report, const int64_t *runs, size_t count, FILE *table_out, struct error *error)
{
	if (!make_folder(report->options->out, error))
		return false;
	char *path = xasprintf("%s/index.html", report->options->out);
	report->page = open_for_write(path, error);
	bool ok = report->page && write_with_page(report, runs, count, table_out, error);
	if (report->page) {
		fputs("</body></html>\n", report->page);
		ok = close_written(report->page, path, error) && ok;
	}
	free(path);
	return ok;
}

static void report_release(struct report *report)
{
	for (size_t i = 0; i < report->runs_count; i++) {
		free(report->runs[i].name);
		free(report->runs[i].source);
	}
	free(report->runs);
	if (report->folder)
		rmdir(report->folder);
	free(report->folder);
}

bool report_write(const char *db, const struct report_options *options, FILE *table_out, struct error *error)
{
	if (!check_pictures(options, error))
		return false;
	struct report report = {.options = options};
	report.store = store_open_readonly(db, error);
	if (!report.store)
		return false;
	const int64_t *runs = options->runs;
	size_t count = options->runs_count;
	int64_t *all = NULL;
	bool ok = count > 0 || table_all_runs(report.store, &all, &count, error);
	if (ok && count == 0)
		ok = error_set(error, ERROR_USAGE, "%s: the database holds no run", db);
	ok = ok && write_runs(&report, all ? all : runs, count, table_out, error);
	report_release(&report);
	free(all);
	return store_close(report.store, error) && ok;
}
