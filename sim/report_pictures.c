/* SPDX-License-Identifier: MIT
 *
 * report_pictures.c - the data of each picture, from the database (interface: report_pictures.h).
 */
#include "sim/report_pictures.h"

#include "sim/cost.h"
#include "sim/io/gnuplot.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Bars in the pictures of waste. */
#define BARS 20
#define BAR_NAME_CHARACTERS 34
#define CURVE_NAME_CHARACTERS 90
/* include/linux/mmzone.h: PAGE_ALLOC_COSTLY_ORDER. */
#define LARGEST_CHEAP_ORDER "3"

const struct report_picture report_pictures[] = {
        {"fragmentation", "Unusable index of free memory over time, for each order"},
        {"served", "Large blocks asked for, and which share of them there was, over time"},
        {"memory", "Memory by owner over time"},
        {"footprint", "Memory held by each object allocator over time"},
        {"kinds", "Memory by kind at the end, as /proc/meminfo tells it"},
        {"cache_waste", "The 20 caches that waste most memory at the end"},
        {"callsite_waste", "The 20 call sites that waste most bytes over all their allocations"},
        {"cycles", "Cycles of allocations and frees, as cumulative shares"},
        {"stack", "Where the cycles of an allocation and of a free went, or of an access"},
        {"paths", "Cycles of an op, by kind of op and how far it went"},
        {"locks", "Cycles that locks took cores: until they had them, and of them the waits for other cores"},
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

static bool sheet_query(struct sheet *sheet, const char *sql, const int64_t *parameters, size_t count, store_row_function *each,
                        struct error *error)
{
	return store_query(sheet->store, sql, parameters, count, each, sheet, error);
}

static void end_block(struct sheet *sheet)
{
	fputs("\n\n", sheet->data);
}

void script_text(struct sheet *sheet, const char *array, size_t index, const char *text, size_t characters)
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

/* A block for each run: seconds, served requests per hundred of the samples together that are one point of the picture. */
static bool write_served(struct sheet *sheet, struct error *error)
{
	for (size_t i = 0; any_course(sheet) && i < sheet->count; i++) {
		const struct report_run *run = &sheet->runs[i];
		const int64_t parameters[] = {run->id, run->samples_step, run->start_ns};
		const uint64_t before = sheet->points;
		if (!sheet_query(sheet,
		                 "SELECT (max(s.time_ns) - ?3) / 1e9, 100.0 - 100.0 * sum(o.failed) / sum(o.asked)"
		                 " FROM sample_order AS o JOIN sample AS s USING(run_id, sample)"
		                 " WHERE o.run_id = ?1 AND o.page_order > " LARGEST_CHEAP_ORDER
		                 " GROUP BY s.sample / ?2 ORDER BY s.sample / ?2",
		                 parameters, 3, write_numbers, error))
			return false;
		if (sheet->points == before)
			fputs("NaN NaN\n", sheet->data);
		end_block(sheet);
	}
	return true;
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

char *parameter_list(size_t count)
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

/* Kernel stacks count apart from the rest of vmalloc; the hatched part is never told. */
static bool write_kinds(struct sheet *sheet, struct error *error)
{
	return write_bars(
	        sheet,
	        "SELECT run_id, CASE name WHEN 'vmalloc_used' THEN 'vmalloc_used, with kernel_stack' ELSE name END AS name,"
	        " value / 256.0 AS waste, 0 AS inside FROM metric WHERE component = 'meminfo'"
	        " AND name NOT IN ('mem_total', 'mem_free', 'vmalloc_total', 'high_total', 'high_free', 'kernel_stack')",
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

/* All cycles from asking for a lock until having it; of them the waits are the inner part. */
static bool write_locks(struct sheet *sheet, struct error *error)
{
	return write_bars(sheet, "SELECT run_id, name, take_cycles / 1000.0 AS waste, wait_cycles / 1000.0 AS inside FROM lock",
	                  error);
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
	bool waits = false;
	for (size_t line = 0; line < points->lines.count; line++) {
		script_text(sheet, "LINE", line, points->lines.at[line], NAME_CHARACTERS);
		for (size_t place = 0; place < points->places.count; place++, sheet->points++) {
			waits |= points->waits[line][place] > 0;
			if (points->cycles[line][place] > 0)
				fprintf(sheet->data, "%zu %.9g %.9g\n", place + 1, points->cycles[line][place],
				        points->waits[line][place]);
		}
		end_block(sheet);
	}
	fprintf(sheet->script, "PANELS = %d\n", waits ? 2 : 1);
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
		        sheet->store,
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

#define NO_LEVELS "no run has caches or TLBs (machine.memory_model: timed or hierarchy, and timing: cycles or accesses)"

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
	        sheet->store,
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

const struct picture pictures[] = {
        {"Fragmentation of free memory over time", write_fragmentation, "the runs have no samples over time"},
        {"Requests for large blocks that were served, over time", write_served,
         "no run asked for blocks of order 4 and more over time"},
        {"Memory by owner over time", write_memory, "the runs have no samples over time"},
        {"Footprint of the object allocators", write_footprint, "the runs have no samples over time"},
        {"Memory by kind at the end of the run", write_kinds, "no run has reached its end"},
        {"Memory wasted by caches at the end of the run", write_cache_waste,
         "no cache of the runs wastes anything, or no run has reached its end"},
        {"Bytes wasted inside objects, by call site", write_callsite_waste,
         "no call site of the runs wastes anything, or no run has reached its end"},
        {"Cycles of an allocation and of a free", write_cycles, NOT_TIMED},
        {"Where the cycles of an op went", write_stack, NOT_TIMED},
        {"Cycles of an op by its path", write_paths, NOT_TIMED},
        {"Cycles from asking for a lock to having it", write_locks, "no run was timed (timing: cycles), or no core took a lock"},
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

bool picture_takes_all_runs(size_t picture)
{
	return pictures[picture].write == write_variants;
}
