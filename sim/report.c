/* SPDX-License-Identifier: MIT
 *
 * report.c - draws pictures of runs (interface: report.h).
 *
 * Each picture is one function that asks the database and writes a data file for gnuplot: blocks of lines, one block a run,
 * parted by two empty lines. A small script names the data, the output and the runs and loads the template that bears the
 * picture's name. More runs than fit a picture are drawn on several ("NAME-2.png"). Every text that comes from the database
 * passes gnuplot_text() or html_text().
 */
#include "sim/report.h"

#include "sim/cost.h"
#include "sim/io/gnuplot.h"
#include "sim/result_table.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Panels, or bars and lines beside each other, that stay readable in 1200x800. */
#define RUNS_A_PICTURE 4
/* More points than this are not seen in a picture 1200 wide; every n-th sample is drawn, and the last. */
#define SAMPLES_DRAWN 1500
/* Bars in the pictures of waste. */
#define BARS 20
#define NAME_CHARACTERS 24
#define BAR_NAME_CHARACTERS 34
#define CURVE_NAME_CHARACTERS 90

struct report_run {
	int64_t id;
	char *name;   /* in legends: the allocator, with more where that is not enough; owned */
	char *source; /* what was replayed on what, for the subtitle; owned */
	int64_t samples_step, last_sample, start_ns;
};

struct report {
	struct store *store;
	const struct report_options *options;
	struct report_run *runs; /* owned */
	size_t runs_count;
	char *folder; /* of the data and the script; removed at the end */
	FILE *page;   /* index.html */
};

/* The runs of one picture, and where its data go. */
struct sheet {
	struct report *report;
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

const struct report_picture report_pictures[] = {
        {"fragmentation", "Unusable index of free memory over time, for each order"},
        {"memory", "Memory by owner over time"},
        {"footprint", "Memory held by each object allocator over time"},
        {"cache_waste", "The 20 caches that waste most memory at the end"},
        {"callsite_waste", "The 20 call sites that waste most bytes over all their allocations"},
        {"cycles", "Cycles of allocations and frees, as cumulative shares"},
        {"stack", "Where the cycles of an allocation and of a free went, or of an access"},
        {"paths", "Cycles of an op, by kind of op and how far it went"},
        {"locks", "Cycles that cores waited for locks"},
        {"lines", "The 20 cache lines that cores took from each other the most, and false sharing"},
        {"sites", "The 20 call sites whose allocations and frees took most cycles"},
        {"variants", "Cycles of an op over the variants of a scenario, a line for each allocator"},
        {"levels", "Misses of each cache and TLB, and how much of it is thrashing"},
        {"misses", "Misses of caches and TLBs over time"},
        {"regions", "Misses by level and region of memory"},
        {"walks", "What the page walker read, and where it found it"},
        {"curves", "Misses of every size of a cache or TLB, and how far apart uses are"},
        {NULL, NULL},
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

static bool sheet_query(struct sheet *sheet, const char *sql, const int64_t *parameters, size_t count, store_row_function *each,
                        struct error *error)
{
	return store_query(sheet->report->store, sql, parameters, count, each, sheet, error);
}

static void end_block(struct sheet *sheet)
{
	fputs("\n\n", sheet->data);
}

/* Sets an element of an array of the script: NAME[2] = 'slab'. */
static void script_text(struct sheet *sheet, const char *array, size_t index, const char *text, size_t characters)
{
	char *safe = gnuplot_text(text, characters);
	fprintf(sheet->script, "%s[%zu] = '%s'\n", array, index + 1, safe);
	free(safe);
}

/* All columns of a row as numbers: one line of data. Nothing known is drawn as a gap. */
static bool write_numbers(void *context, const struct store_row *row, struct error *error)
{
	(void)error;
	struct sheet *sheet = context;
	for (size_t column = 0; column < row->columns; column++) {
		const struct store_value *value = &row->values[column];
		if (value->kind == STORE_INTEGER || value->kind == STORE_REAL)
			fprintf(sheet->data, "%s%.9g", column ? " " : "", value->real);
		else
			fprintf(sheet->data, "%sNaN", column ? " " : "");
	}
	fputc('\n', sheet->data);
	sheet->points++;
	return true;
}

/* Runs a query with the parameters run, step, last sample and start for each run: a block of numbers each. */
static bool write_series(struct sheet *sheet, const char *sql, struct error *error)
{
	for (size_t i = 0; i < sheet->count; i++) {
		const struct report_run *run = &sheet->runs[i];
		int64_t parameters[] = {run->id, run->samples_step, run->last_sample, run->start_ns};
		if (!sheet_query(sheet, sql, parameters, 4, write_numbers, error))
			return false;
		end_block(sheet);
	}
	return true;
}

/* A run with one sample has an end but no course. */
static bool any_course(const struct sheet *sheet)
{
	for (size_t i = 0; i < sheet->count; i++) {
		if (sheet->runs[i].last_sample > 0)
			return true;
	}
	return false;
}

#define SAMPLES_OF_RUN "s.run_id = ?1 AND (s.sample % ?2 = 0 OR s.sample = ?3)"

static bool write_fragmentation(struct sheet *sheet, struct error *error)
{
	/* A row a sample: seconds, then the index of orders 1 to 10. */
	return !any_course(sheet) ||
	       write_series(sheet,
	                    "SELECT (s.time_ns - ?4) / 1e9,"
	                    " max(CASE f.page_order WHEN 1 THEN f.unusable_index END) / 1e3,"
	                    " max(CASE f.page_order WHEN 2 THEN f.unusable_index END) / 1e3,"
	                    " max(CASE f.page_order WHEN 3 THEN f.unusable_index END) / 1e3,"
	                    " max(CASE f.page_order WHEN 4 THEN f.unusable_index END) / 1e3,"
	                    " max(CASE f.page_order WHEN 5 THEN f.unusable_index END) / 1e3,"
	                    " max(CASE f.page_order WHEN 6 THEN f.unusable_index END) / 1e3,"
	                    " max(CASE f.page_order WHEN 7 THEN f.unusable_index END) / 1e3,"
	                    " max(CASE f.page_order WHEN 8 THEN f.unusable_index END) / 1e3,"
	                    " max(CASE f.page_order WHEN 9 THEN f.unusable_index END) / 1e3,"
	                    " max(CASE f.page_order WHEN 10 THEN f.unusable_index END) / 1e3"
	                    /* Asked of the view, so that only these samples are unfolded: of a million others, none. */
	                    " FROM v_fragmentation_machine AS f JOIN sample AS s USING(run_id, sample)"
	                    " WHERE f.run_id = ?1 AND (f.sample % ?2 = 0 OR f.sample = ?3)"
	                    " GROUP BY s.sample ORDER BY s.sample",
	                    error);
}

static bool write_memory(struct sheet *sheet, struct error *error)
{
	return !any_course(sheet) ||
	       write_series(
	               sheet,
	               "SELECT (s.time_ns - ?4) / 1e9, pages_unmovable / 256.0, pages_reclaimable / 256.0, pages_movable / 256.0,"
	               " pages_kmalloc_large / 256.0, pages_slab / 256.0, pages_pcp / 256.0"
	               " FROM sample AS s WHERE " SAMPLES_OF_RUN " ORDER BY s.sample",
	               error);
}

/* Peak and final MiB into the legend. */
static bool write_peak(void *context, const struct store_row *row, struct error *error)
{
	(void)error;
	struct sheet *sheet = context;
	size_t index = (size_t)row->values[2].integer;
	char *text =
	        xasprintf("%s: peak %.2f MiB, end %.2f MiB", sheet->runs[index].name, row->values[0].real, row->values[1].real);
	script_text(sheet, "LEGEND", index, text, 2 * NAME_CHARACTERS + 40);
	free(text);
	return true;
}

static bool write_footprint(struct sheet *sheet, struct error *error)
{
	if (!any_course(sheet))
		return true;
	for (size_t i = 0; i < sheet->count; i++) {
		int64_t parameters[] = {sheet->runs[i].id, (int64_t)i};
		script_text(sheet, "LEGEND", i, sheet->runs[i].name, NAME_CHARACTERS);
		if (!sheet_query(sheet, "SELECT peak_pages / 256.0, final_pages / 256.0, ?2 FROM v_compare WHERE run_id = ?1",
		                 parameters, 2, write_peak, error))
			return false;
	}
	return write_series(sheet,
	                    "SELECT (s.time_ns - ?4) / 1e9, (pages_slab + pages_kmalloc_large) / 256.0, bytes_req / 1048576.0"
	                    " FROM sample AS s WHERE " SAMPLES_OF_RUN " ORDER BY s.sample",
	                    error);
}

/* A bar: its place from the top, two numbers, its name. */
static bool write_bar(void *context, const struct store_row *row, struct error *error)
{
	(void)error;
	struct sheet *sheet = context;
	const struct store_value *name = &row->values[3];
	char *safe = gnuplot_text(name->kind == STORE_TEXT ? name->text : "?", BAR_NAME_CHARACTERS);
	fprintf(sheet->data, "%" PRId64 " %.9g %.9g \"%s\"\n", row->values[0].integer, row->values[1].real, row->values[2].real,
	        safe);
	free(safe);
	sheet->points++;
	return true;
}

/* "?1, ?2, ?3" for the runs of a sheet. */
static char *parameter_list(size_t count)
{
	char *list = xcalloc(count + 1, 8), *to = list;
	for (size_t i = 1; i <= count; i++)
		to += sprintf(to, "%s?%zu", i > 1 ? ", " : "", i);
	return list;
}

/*
 * The BARS names with the largest waste in any of the runs; for each run a block with the waste of those names. `rows` gives
 * (run_id, name, waste, of it inside objects).
 */
static bool write_bars(struct sheet *sheet, const char *rows, struct error *error)
{
	char *list = parameter_list(sheet->count);
	char *sql = xasprintf(
	        "WITH w(run_id, name, waste, inside) AS (SELECT run_id, name, sum(waste), sum(inside) FROM (%s)"
	        " WHERE run_id IN (%s) GROUP BY run_id, name),"
	        " top(name, most) AS (SELECT name, max(waste) FROM w GROUP BY name HAVING max(waste) > 0"
	        " ORDER BY 2 DESC, 1 LIMIT %d) "
	        "SELECT row_number() OVER (ORDER BY t.most DESC, t.name), coalesce(w.waste, 0), coalesce(w.inside, 0), t.name"
	        " FROM top AS t LEFT JOIN w ON w.name = t.name AND w.run_id = ?%zu ORDER BY 1",
	        rows, list, BARS, sheet->count + 1);
	int64_t parameters[RUNS_A_PICTURE + 1];
	bool ok = true;
	for (size_t i = 0; i < sheet->count; i++)
		parameters[i] = sheet->runs[i].id;
	for (size_t i = 0; ok && i < sheet->count; i++) {
		parameters[sheet->count] = sheet->runs[i].id;
		script_text(sheet, "LEGEND", i, sheet->runs[i].name, NAME_CHARACTERS);
		ok = sheet_query(sheet, sql, parameters, sheet->count + 1, write_bar, error);
		end_block(sheet);
	}
	free(list);
	free(sql);
	return ok;
}

/* Where slabs serve many caches (SLOB), what a cache wastes in them is not known: the legend says so. */
static bool write_legend(void *context, const struct store_row *row, struct error *error)
{
	(void)error;
	struct sheet *sheet = context;
	size_t index = (size_t)row->values[1].integer;
	if (row->values[0].kind != STORE_INTEGER || row->values[0].integer > 0)
		return true;
	char *text = xasprintf("%s (no slabs per cache: inside objects only)", sheet->runs[index].name);
	script_text(sheet, "LEGEND", index, text, 2 * NAME_CHARACTERS + 40);
	free(text);
	return true;
}

static bool write_cache_waste(struct sheet *sheet, struct error *error)
{
	if (!write_bars(sheet,
	                "SELECT run_id, cache AS name, waste / 1024.0 AS waste, waste_in_objects / 1024.0 AS inside FROM "
	                "v_cache_waste",
	                error))
		return false;
	for (size_t i = 0; i < sheet->count; i++) {
		int64_t parameters[] = {sheet->runs[i].id, (int64_t)i};
		if (!sheet_query(sheet, "SELECT sum(slabs), ?2 FROM cache WHERE run_id = ?1", parameters, 2, write_legend, error))
			return false;
	}
	return true;
}

static bool write_callsite_waste(struct sheet *sheet, struct error *error)
{
	return write_bars(sheet, "SELECT run_id, callsite AS name, waste / 1024.0 AS waste, 0 AS inside FROM v_callsite_waste",
	                  error);
}

/* A block of numbers, one line without any where there are none. */
static bool write_block(struct sheet *sheet, const char *sql, int64_t run, struct error *error)
{
	const uint64_t before = sheet->points;
	if (!sheet_query(sheet, sql, &run, 1, write_numbers, error))
		return false;
	if (sheet->points == before)
		fputs("NaN NaN NaN\n", sheet->data);
	end_block(sheet);
	return true;
}

#define NOT_TIMED "no run was timed (timing: cycles)"

/* A block for allocations and one for frees a run: cycles, share of ops that took at most so many. */
static bool write_cycles(struct sheet *sheet, struct error *error)
{
	static const char *const questions[] = {
	        "SELECT b.highest, sum(b.count) OVER (ORDER BY b.lowest) * 100.0 / h.count FROM histogram_bucket AS b"
	        " JOIN histogram AS h USING(run_id, name) WHERE b.run_id = ?1 AND b.name = 'cycles_per_alloc' ORDER BY b.lowest",
	        "SELECT b.highest, sum(b.count) OVER (ORDER BY b.lowest) * 100.0 / h.count FROM histogram_bucket AS b"
	        " JOIN histogram AS h USING(run_id, name) WHERE b.run_id = ?1 AND b.name = 'cycles_per_free' ORDER BY b.lowest",
	};
	for (size_t i = 0; i < sheet->count; i++) {
		for (size_t question = 0; question < 2; question++) {
			if (!write_block(sheet, questions[question], sheet->runs[i].id, error))
				return false;
		}
	}
	return true;
}

/* A block for allocations (or accesses) and one for frees: for each run and part, the last first, the run's and the part's
 * number, its cycles of an op, and those up to and including it. */
static bool write_stack(struct sheet *sheet, struct error *error)
{
	static const char *const questions[] = {
	        "SELECT ?2, position + 1, cycles_per_op, sum(cycles_per_op) OVER (ORDER BY position) FROM v_cost_stack"
	        " WHERE run_id = ?1 AND kind IN ('alloc', 'access') ORDER BY position DESC",
	        "SELECT ?2, position + 1, cycles_per_op, sum(cycles_per_op) OVER (ORDER BY position) FROM v_cost_stack"
	        " WHERE run_id = ?1 AND kind = 'free' ORDER BY position DESC",
	};
	fprintf(sheet->script, "PARTS = %d\narray PART[PARTS]\n", COST_PARTS);
	for (enum cost_part part = 0; part < COST_PARTS; part++)
		script_text(sheet, "PART", part, cost_part_name(part), NAME_CHARACTERS);
	uint64_t points[2] = {0};
	for (size_t question = 0; question < 2; question++) {
		const uint64_t before = sheet->points;
		for (size_t i = 0; i < sheet->count; i++) {
			const int64_t parameters[] = {sheet->runs[i].id, (int64_t)i + 1};
			if (!sheet_query(sheet, questions[question], parameters, 2, write_numbers, error))
				return false;
		}
		points[question] = sheet->points - before;
		if (points[question] == 0)
			fputs("NaN NaN NaN NaN\n", sheet->data);
		end_block(sheet);
	}
	fprintf(sheet->script, "array KINDS[2] = ['%s', '%s']\n", points[1] ? "Allocation" : "", points[1] ? "Free" : "");
	return true;
}

static bool write_paths(struct sheet *sheet, struct error *error)
{
	return write_bars(sheet,
	                  "SELECT run_id, kind || ', ' || path AS name, 1.0 * sum(cycles) / sum(ops) AS waste,"
	                  " 1.0 * sum(tlb + l1 + l2 + llc + coherence + dram) / sum(ops) AS inside FROM op_cost"
	                  " GROUP BY run_id, kind, path",
	                  error);
}

static bool write_locks(struct sheet *sheet, struct error *error)
{
	return write_bars(sheet, "SELECT run_id, name, wait_cycles / 1000.0 AS waste, 0 AS inside FROM lock", error);
}

/* Transfers; of lines that share nothing but the line all of them are the inner part. */
static bool write_lines(struct sheet *sheet, struct error *error)
{
	return write_bars(sheet,
	                  "SELECT run_id, substr(name, 1, 15) || ' ' || address AS name, transfers / 1000.0 AS waste,"
	                  " false_sharing * transfers / 1000.0 AS inside FROM v_line",
	                  error);
}

static bool write_sites(struct sheet *sheet, struct error *error)
{
	return write_bars(sheet,
	                  "SELECT run_id, call_site AS name, cycles / 1e6 AS waste,"
	                  " (tlb + l1 + l2 + llc + coherence + dram) / 1e6 AS inside FROM site_cost",
	                  error);
}

/* ---- variants ---- */

/* Lines in the picture, and places on its axis. */
#define VARIANT_LINES 4
#define VARIANT_PLACES 64

struct variant_names {
	char *at[VARIANT_PLACES]; /* owned */
	size_t count, most;
};

/* The number of a name, in the order of first sight; `most` if there is no room for it. */
static size_t variant_number(struct variant_names *names, const char *name)
{
	size_t number = 0;
	while (number < names->count && strcmp(names->at[number], name) != 0)
		number++;
	if (number == names->count && number < names->most)
		names->at[names->count++] = xstrdup(name);
	return number;
}

struct variant_points {
	struct variant_names lines, places;
	double cycles[VARIANT_LINES][VARIANT_PLACES], waits[VARIANT_LINES][VARIANT_PLACES]; /* 0: no run */
};

/* Columns: label, allocator, cycles of an op, of them waits for locks and other cores' lines. */
static bool take_variant(void *context, const struct store_row *row, struct error *error)
{
	(void)error;
	struct variant_points *points = context;
	if (row->values[0].kind != STORE_TEXT || row->values[2].kind == STORE_NULL)
		return true;
	size_t place = variant_number(&points->places, row->values[0].text);
	size_t line = variant_number(&points->lines, row->values[1].kind == STORE_TEXT ? row->values[1].text : "?");
	if (place == VARIANT_PLACES || line == VARIANT_LINES)
		return true;
	points->cycles[line][place] = row->values[2].real;
	points->waits[line][place] = row->values[3].real;
	return true;
}

static void write_variant_points(struct sheet *sheet, const struct variant_points *points)
{
	fprintf(sheet->script, "LINES = %zu\narray LINE[LINES]\nPLACES = %zu\narray PLACE[PLACES]\n", points->lines.count,
	        points->places.count);
	for (size_t place = 0; place < points->places.count; place++)
		script_text(sheet, "PLACE", place, points->places.at[place], NAME_CHARACTERS);
	for (size_t line = 0; line < points->lines.count; line++) {
		script_text(sheet, "LINE", line, points->lines.at[line], NAME_CHARACTERS);
		for (size_t place = 0; place < points->places.count; place++, sheet->points++)
			if (points->cycles[line][place] > 0)
				fprintf(sheet->data, "%zu %.9g %.9g\n", place + 1, points->cycles[line][place],
				        points->waits[line][place]);
		end_block(sheet);
	}
}

/* A block for each allocator (of accesses: one): place of the variant, cycles of an op, of them those waited for others. */
static bool write_variants(struct sheet *sheet, struct error *error)
{
	struct variant_points *points = xcalloc(1, sizeof *points);
	points->lines.most = VARIANT_LINES;
	points->places.most = VARIANT_PLACES;
	bool ok = true;
	for (size_t i = 0; ok && i < sheet->count; i++)
		ok = store_query(
		        sheet->report->store,
		        "SELECT c.label, CASE WHEN c.allocator = c.label THEN 'accesses' ELSE c.allocator END, c.cost_mean,"
		        " c.cost_lock + c.cost_coherence + c.cost_ipi FROM v_compare AS c WHERE c.run_id = ?1"
		        " AND (c.label <> c.allocator OR c.run_id NOT IN (SELECT run_id FROM op_cost))",
		        &sheet->runs[i].id, 1, take_variant, points, error);
	if (ok && points->places.count > 1)
		write_variant_points(sheet, points);
	for (size_t line = 0; line < points->lines.count; line++)
		free(points->lines.at[line]);
	for (size_t place = 0; place < points->places.count; place++)
		free(points->places.at[place]);
	free(points);
	return ok;
}

#define NO_LEVELS "no run has caches or TLBs (machine.memory_model: hierarchy, and timing: cycles or an access trace)"

/* Misses per thousand accesses of the level; the inner part are re-misses. */
static bool write_levels(struct sheet *sheet, struct error *error)
{
	return write_bars(sheet,
	                  "SELECT run_id, level AS name, 1000.0 * misses / max(accesses, 1) AS waste,"
	                  " 1000.0 * coalesce(remisses, 0) / max(accesses, 1) AS inside FROM level",
	                  error);
}

/* The levels of all runs, at most MISS_PANELS, in the machine's order; a panel each. */
#define MISS_PANELS 6

struct panels {
	size_t count;
	char *name[MISS_PANELS]; /* owned */
};

static bool take_panel(void *context, const struct store_row *row, struct error *error)
{
	(void)error;
	struct panels *panels = context;
	if (panels->count < MISS_PANELS && row->values[0].kind == STORE_TEXT)
		panels->name[panels->count++] = xstrdup(row->values[0].text);
	return true;
}

static bool write_panel(struct sheet *sheet, int64_t panel, struct error *error)
{
	for (size_t i = 0; i < sheet->count; i++) {
		int64_t parameters[] = {sheet->runs[i].id, panel};
		uint64_t before = sheet->points;
		if (!sheet_query(sheet,
		                 "SELECT s.position / 1e6, s.misses_per_thousand FROM v_level_sample AS s"
		                 " WHERE s.run_id = ?1 AND s.level = (SELECT level FROM level GROUP BY level"
		                 " HAVING level IN (SELECT level FROM level_sample WHERE accesses > 0) ORDER BY min(position), "
		                 "level LIMIT 1 OFFSET ?2)"
		                 " AND s.sample % (SELECT max(sample) / 1500 + 1 FROM level_sample WHERE run_id = ?1) = 0"
		                 " ORDER BY s.sample",
		                 parameters, 2, write_numbers, error))
			return false;
		if (sheet->points == before)
			fputs("NaN NaN\n", sheet->data);
		end_block(sheet);
	}
	return true;
}

/* For each panel a block for each run: million accesses, misses per thousand accesses of the level since the sample before. */
static bool write_misses(struct sheet *sheet, struct error *error)
{
	struct panels panels = {0};
	bool ok = store_query(
	        sheet->report->store,
	        "SELECT level FROM level GROUP BY level HAVING level IN (SELECT level FROM level_sample WHERE accesses > 0)"
	        " ORDER BY min(position), level",
	        NULL, 0, take_panel, &panels, error);
	fprintf(sheet->script, "PANELS = %zu\narray PANEL[%d]\n", panels.count, MISS_PANELS);
	for (size_t panel = 0; ok && panel < panels.count; panel++) {
		script_text(sheet, "PANEL", panel, panels.name[panel], NAME_CHARACTERS);
		ok = write_panel(sheet, (int64_t)panel, error);
	}
	for (size_t panel = 0; panel < panels.count; panel++)
		free(panels.name[panel]);
	return ok;
}

static bool write_regions(struct sheet *sheet, struct error *error)
{
	return write_bars(sheet,
	                  "SELECT run_id, level || ', ' || name AS name, misses / 1000.0 AS waste, 0 AS inside FROM level_share"
	                  " WHERE by = 'region'",
	                  error);
}

static bool write_walks(struct sheet *sheet, struct error *error)
{
	return write_bars(
	        sheet,
	        "SELECT run_id, entry || ' in ' || served_by AS name, refs / 1000.0 AS waste, 0 AS inside FROM walk_reference",
	        error);
}

/* columns: what was measured, first uses in per cent, the run's place, whether sizes are estimates. */
static bool write_curve_legend(void *context, const struct store_row *row, struct error *error)
{
	(void)error;
	struct sheet *sheet = context;
	const char *label = row->values[0].kind == STORE_TEXT ? row->values[0].text : "?";
	const size_t index = (size_t)row->values[2].integer;
	char *legend = xasprintf("%s%s", label, row->values[3].integer ? " (with standard errors)" : "");
	char *name = xasprintf("%s; first uses: %.2f %%", label, row->values[1].real);
	script_text(sheet, "LEGEND", index, legend, CURVE_NAME_CHARACTERS);
	script_text(sheet, "NAME", index, name, CURVE_NAME_CHARACTERS);
	free(name);
	free(legend);
	return true;
}

#define CURVE_BLOCKS 4

/* For each run four blocks: sizes, distances, levels of machines, sizes in sets; all in bytes and per cent of the accesses. */
static bool write_curves(struct sheet *sheet, struct error *error)
{
	static const char *const questions[CURVE_BLOCKS] = {
	        "SELECT bytes, 100 * miss_ratio, 100 * coalesce(standard_error, 0) FROM v_curve"
	        " WHERE run_id = ?1 AND sets = 1 AND accesses > 0 ORDER BY ways",
	        "SELECT max(lowest, 0.5) * unit_bytes, (highest + 1) * unit_bytes, 100 * share FROM v_curve_distance"
	        " WHERE run_id = ?1 AND share_up_to > 0 ORDER BY lowest",
	        "SELECT bytes, 100 * miss_ratio FROM v_curve_machine WHERE run_id = ?1 AND sees_all AND accesses > 0 ORDER BY nr",
	        "SELECT bytes, 100 * miss_ratio FROM v_curve WHERE run_id = ?1 AND sets > 1 AND accesses > 0 ORDER BY ways",
	};
	uint64_t points[CURVE_BLOCKS] = {0};
	for (size_t i = 0; i < sheet->count; i++) {
		const int64_t parameters[] = {sheet->runs[i].id, (int64_t)i};
		if (!sheet_query(
		            sheet,
		            "SELECT r.label, 100.0 * min(c.blocks, c.accesses) / max(c.accesses, 1), ?2, c.rate_ppb IS NOT NULL"
		            " FROM curve AS c JOIN run AS r ON r.id = c.run_id WHERE c.run_id = ?1",
		            parameters, 2, write_curve_legend, error))
			return false;
		for (size_t question = 0; question < CURVE_BLOCKS; question++) {
			const uint64_t before = sheet->points;
			if (!write_block(sheet, questions[question], sheet->runs[i].id, error))
				return false;
			points[question] += sheet->points - before;
		}
	}
	fprintf(sheet->script, "MACHINES = %d\nSETS = %d\n", points[2] > 0, points[3] > 0);
	return true;
}

static const struct picture pictures[] = {
        {"Fragmentation of free memory over time", write_fragmentation, "the runs have no samples over time"},
        {"Memory by owner over time", write_memory, "the runs have no samples over time"},
        {"Footprint of the object allocators", write_footprint, "the runs have no samples over time"},
        {"Memory wasted by caches at the end of the run", write_cache_waste,
         "no cache of the runs wastes anything, or no run has reached its end"},
        {"Bytes wasted inside objects, by call site", write_callsite_waste,
         "no call site of the runs wastes anything, or no run has reached its end"},
        {"Cycles of an allocation and of a free", write_cycles, NOT_TIMED},
        {"Where the cycles of an op went", write_stack, NOT_TIMED},
        {"Cycles of an op by its path", write_paths, NOT_TIMED},
        {"Cycles waited for locks", write_locks, "no run was timed (timing: cycles), or no core waited for a lock"},
        {"Transfers of cache lines between cores", write_lines,
         "no run was timed with memory model timed and several cores, or no core took a line from another"},
        {"Cycles of allocations and frees, by call site", write_sites, NOT_TIMED},
        {"Cycles of an op over the variants of the scenario", write_variants,
         "the runs are no variants of a scenario with timing: cycles"},
        {"Misses of each level", write_levels, NO_LEVELS},
        {"Misses over time", write_misses, NO_LEVELS},
        {"Misses by level and region of memory", write_regions, NO_LEVELS},
        {"References of the page walker", write_walks, "no run walked page tables"},
        {"Misses of every size, and how far apart uses are", write_curves, "no run is a miss curve (kmemsim curve --db)"},
};

_Static_assert(sizeof pictures / sizeof pictures[0] + 1 == sizeof report_pictures / sizeof report_pictures[0],
               "each picture has a name and a function");

/* Whether all runs stand in one picture, however many there are. */
static bool takes_all_runs(size_t picture)
{
	return pictures[picture].write == write_variants;
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
static void begin_script(struct sheet *sheet, size_t picture, const struct sheet_files *files)
{
	const struct report *report = sheet->report;
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
static bool write_sheet(struct sheet *sheet, size_t picture, const struct sheet_files *files, struct error *error)
{
	sheet->data = open_for_write(files->data, error);
	sheet->script = open_for_write(files->script, error);
	bool ok = sheet->data && sheet->script;
	if (ok) {
		begin_script(sheet, picture, files);
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
	const char *slash = strrchr(final, '/');
	fputs("<h2>", report->page);
	html_text(report_pictures[picture].help, report->page);
	fprintf(report->page, "</h2>\n<img src=\"%s\" width=\"1200\" height=\"800\" alt=\"", slash ? slash + 1 : final);
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
	struct sheet sheet = {.report = report, .runs = report->runs + first, .count = left};
	if (left > RUNS_A_PICTURE && !takes_all_runs(picture))
		sheet.count = RUNS_A_PICTURE;
	struct sheet_files files = {
	        .data = xasprintf("%s/%s.txt", report->folder, name),
	        .script = xasprintf("%s/%s.gp", report->folder, name),
	        .drawn = xasprintf("%s/%s%s.%s.part", report->options->out, name, page, suffix(report)),
	        .final = xasprintf("%s/%s%s.%s", report->options->out, name, page, suffix(report)),
	};
	bool ok = write_sheet(&sheet, picture, &files, error);
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
		const size_t step = takes_all_runs(picture) ? report->runs_count : RUNS_A_PICTURE;
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

static const char *file_name(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? slash + 1 : path;
}

/* id, allocator, label, how many of the chosen bear that allocator, that label; trace, machine, kernel; last sample, start. */
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
	else
		run->name = xasprintf("%s, run %" PRId64, allocator, run->id);
	const char *trace = file_name(text_of(&row->values[5], "no recording")), *machine = text_of(&row->values[6], "");
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
	        " (SELECT max(sample) FROM sample WHERE run_id = r.id), (SELECT min(time_ns) FROM sample WHERE run_id = r.id)"
	        " FROM run AS r WHERE id = ?%zu",
	        list, list, count + 1);
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
        {"The ten locks that cores waited for the longest",
         "coalesce(label, allocator) AS run, name, address, acquisitions, waits, wait_cycles",
         "(SELECT * FROM v_lock WHERE wait_cycles > 0)", "wait_cycles DESC, run_id, address"},
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
