/* SPDX-License-Identifier: MIT
 *
 * test_report.c - tables by hand-worked text, pictures by their headers, and names that try to be commands.
 */
#include "sim/report.h"
#include "sim/result_table.h"
#include "sim/utf8.h"
#include "tests/unit/test.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TEMPLATES "tools/gnuplot"

struct rig {
	char folder[64], db[80], out[80];
};

static int set_up(void **state)
{
	struct rig *rig = xcalloc(1, sizeof *rig);
	strcpy(rig->folder, P_tmpdir "/kmemsim-test-XXXXXX");
	assert_non_null(mkdtemp(rig->folder));
	snprintf(rig->db, sizeof rig->db, "%s/a.db", rig->folder);
	snprintf(rig->out, sizeof rig->out, "%s/out/deep", rig->folder);
	*state = rig;
	return 0;
}

static int tear_down(void **state)
{
	struct rig *rig = *state;
	char *command = xasprintf("rm -rf '%s'", rig->folder);
	assert_int_equal(system(command), 0);
	free(command);
	free(rig);
	return 0;
}

static void must(bool ok, const struct error *error)
{
	if (!ok)
		fail_msg("%s", error->text);
}

static void add_samples(struct store *store, int64_t run, uint32_t samples)
{
	struct error error = {0};
	for (uint32_t i = 0; i < samples; i++) {
		const struct store_sample row = {.time_ns = 1000000000ull + i * 10000000ull,
		                                 .pages_free = 1000,
		                                 .pages_slab = 256 + i,
		                                 .pages_movable = 100 + 3 * i,
		                                 .bytes_req = 900000,
		                                 .bytes_alloc = 1000000,
		                                 .live_objects = 12345};
		must(store_sample(store, run, i, &row, &error), &error);
		struct zone_view zone = {.name = "DMA32"};
		zone.free_blocks[0][MIGRATE_MOVABLE] = i;
		zone.free_blocks[10][MIGRATE_MOVABLE] = 4;
		must(store_sample_zone(store, run, i, &zone, &error), &error);
		if (i % 2 == 1)
			must(store_sample_order(store, run, i, 9, 4, 1, &error), &error);
	}
}

static void add_results(struct store *store, int64_t run, const char *name, bool timed)
{
	struct error error = {0};
	const struct store_call_site site = {
	        .call_site = name, .hit = 10, .ping_pong = 4, .bytes_req = 3 << 20, .bytes_alloc = 4 << 20};
	must(store_call_site(store, run, &site, &error), &error);
	const struct store_cache cache = {
	        .view = {.name = name, .slabs = 2, .pages_per_slab = 1}, .live_bytes_req = 100, .live_bytes_alloc = 128};
	must(store_cache(store, run, &cache, &error), &error);
	must(store_metric(store, run, "meminfo", &(struct metric){.name = "slab_reclaimable", .unit = "pages", .help = ""}, 256,
	                  &error),
	     &error);
	if (!timed)
		return;
	struct histogram histogram = {0};
	for (uint64_t cycles = 10; cycles < 1000; cycles += 7)
		histogram_add(&histogram, cycles);
	must(store_histogram(store, run, "cycles_per_alloc", "cycles", &histogram, &error), &error);
	const struct cost cost = {.cycles = {[COST_COMPUTE] = histogram.sum - 1000, [COST_L1] = 900, [COST_LOCK] = 100}};
	const struct store_op_cost op = {"alloc", "dentry", "fast", 1, &histogram, &cost};
	must(store_op_cost(store, run, &op, &error), &error);
	const struct store_site_cost site_cost = {"alloc", "d_alloc+0x1c", 10, &cost};
	must(store_site_cost(store, run, &site_cost, &error), &error);
	const struct store_lock lock = {"zone Normal", 0xffff888000001000, 30, 2, 1, 500, 900};
	must(store_lock(store, run, &lock, &error), &error);
	const struct store_line line = {.name = "kmem_cache_node dentry",
	                                .address = 0xffff888000001000,
	                                .physical = 0x1000,
	                                .transfers_dirty = 30,
	                                .cores = 2,
	                                .writers = 2,
	                                .false_sharing = true};
	must(store_line(store, run, &line, &error), &error);
}

static void add_levels(struct store *store, int64_t run)
{
	struct error error = {0};
	static const char *const names[] = {"dtlb", "stlb", "l1d"};
	for (uint32_t nr = 0; nr < 3; nr++) {
		const struct store_level level = {.level = names[nr],
		                                  .port = nr < 2 ? "tlb" : "cache",
		                                  .position = nr,
		                                  .accesses = 1000,
		                                  .misses = 300,
		                                  .watched = true,
		                                  .remisses = 100};
		must(store_level(store, run, &level, &error), &error);
		for (uint32_t sample = 0; sample < 30; sample++) {
			const struct store_level_sample row = {names[nr], sample * 1000, sample, sample * 100, sample * (nr + 5)};
			must(store_level_sample(store, run, sample, &row, &error), &error);
		}
		const struct store_level_share share = {names[nr], "region", "vmalloc", 100, 75};
		must(store_level_share(store, run, &share, &error), &error);
	}
	const struct store_walk_reference reference = {"PTE", "l2", 17};
	must(store_walk_reference(store, run, &reference, &error), &error);
}

static void add_curve(struct store *store, int64_t run)
{
	struct error error = {0};
	const struct store_curve curve = {.port = "cache", .kinds = "all", .unit_bytes = 64, .accesses = 1000, .blocks = 50};
	must(store_curve(store, run, &curve, &error), &error);
	for (uint64_t size = 1; size < 100; size *= 2) {
		must(store_curve_size(store, run, &(struct store_curve_size){1, size, 1000 / size, true, 5}, &error), &error);
		must(store_curve_distance(store, run, &(struct store_curve_distance){size / 2, size - 1, 1000 / size}, &error),
		     &error);
	}
	must(store_curve_size(store, run, &(struct store_curve_size){.sets = 4, .ways = 2, .misses = 300}, &error), &error);
	const struct store_curve_machine machine = {"pc", "l1", 512, 8, 1000, 50};
	must(store_curve_machine(store, run, &machine, &error), &error);
}

/* A database with one run for each allocator named. */
static void fill(const struct rig *rig, const char *const *allocators, size_t count, uint32_t samples, bool timed)
{
	struct error error = {0};
	struct store *store = store_open(rig->db, &error);
	must(store, &error);
	for (size_t i = 0; i < count; i++) {
		const struct store_run run = {.label = timed && i == 2 ? "what 5% else" : "what if",
		                              .allocator = allocators[i],
		                              .trace = "/recordings/boot.txt.xz",
		                              .machine = "pc"};
		int64_t id;
		must(store_run_begin(store, &run, &id, &error), &error);
		add_samples(store, id, samples);
		if (samples)
			add_results(store, id, allocators[i], timed);
		if (samples && timed)
			add_levels(store, id), add_curve(store, id);
		const struct store_end end = {
		        .status = "complete", .ops = 1234567, .simulated_ns = 2500000000, .replay_wall_s = 0.5};
		must(store_run_end(store, id, &end, &error), &error);
	}
	must(store_close(store, &error), &error);
}

static char *file_text(const char *path, size_t *length)
{
	FILE *file = fopen(path, "r");
	assert_non_null(file);
	char *text = xcalloc(1u << 20, 1);
	*length = fread(text, 1, (1u << 20) - 1, file);
	fclose(file);
	return text;
}

static char *out_path(const struct rig *rig, const char *name)
{
	return xasprintf("%s/%s", rig->out, name);
}

static bool out_exists(const struct rig *rig, const char *name)
{
	char *path = out_path(rig, name);
	bool exists = access(path, F_OK) == 0;
	free(path);
	return exists;
}

/* Draws a report and gives what it said; NULL if it failed. */
static char *report(const struct rig *rig, struct report_options options, struct error *error)
{
	char *text = NULL;
	size_t length = 0;
	FILE *table = open_memstream(&text, &length);
	assert_non_null(table);
	options.out = rig->out;
	if (!options.templates)
		options.templates = TEMPLATES;
	bool ok = report_write(rig->db, &options, table, error);
	fclose(table);
	if (ok)
		return text;
	free(text);
	return NULL;
}

static void assert_says(const char *text, const char *words)
{
	if (!strstr(text, words))
		fail_msg("'%s' is not in:\n%s", words, text);
}

/* A PNG begins with its signature and the header chunk with width and height, high byte first. */
static void assert_png(const struct rig *rig, const char *name)
{
	size_t length;
	char *path = out_path(rig, name), *bytes = file_text(path, &length);
	assert_true(length > 5000);
	assert_memory_equal(bytes, "\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x04\xb0\0\0\x03\x20", 24);
	free(bytes);
	free(path);
}

static const char *const three[] = {"slub", "slab", "slob"};

/* Would catch: a picture missing or of another size, a template that gnuplot does not understand. */
static void test_pictures(void **state)
{
	const struct rig *rig = *state;
	struct error error = {0};
	fill(rig, three, 3, 30, true);
	char *said = report(rig, (struct report_options){0}, &error);
	must(said, &error);
	for (size_t i = 0; report_pictures[i].name; i++) {
		char *name = xasprintf("%s.png", report_pictures[i].name);
		assert_png(rig, name);
		assert_says(said, name);
		free(name);
	}
	assert_false(out_exists(rig, "cycles.png.part"));
	size_t length;
	char *path = out_path(rig, "index.html"), *page = file_text(path, &length);
	assert_says(page, "src=\"fragmentation.png\"");
	assert_says(page, "Total bytes wasted on internal fragmentation");
	assert_says(page, "The ten dearest kinds of ops, by cache and path");
	assert_says(page, "zone Normal");
	assert_says(page, "kmem_cache_node dentry");
	assert_says(page, "</html>");
	free(page);
	free(path);
	free(said);
}

/* Would catch: --picture or --format ignored. */
static void test_one_picture_as_svg(void **state)
{
	const struct rig *rig = *state;
	struct error error = {0};
	fill(rig, three, 3, 30, false);
	const char *const pictures[] = {"footprint"};
	char *said =
	        report(rig, (struct report_options){.pictures = pictures, .pictures_count = 1, .format = REPORT_SVG}, &error);
	must(said, &error);
	free(said);
	assert_false(out_exists(rig, "memory.svg"));
	size_t length;
	char *path = out_path(rig, "footprint.svg"), *picture = file_text(path, &length);
	assert_says(picture, "<svg");
	assert_says(picture, "boot.txt.xz on pc");
	assert_says(picture, "slob: peak 1.11 MiB, end 1.11 MiB"); /* 285 pages of 4 KiB */
	free(picture);
	free(path);
}

/* Would catch: a report that fails, or draws nothing without a word, where runs were not sampled or not timed. */
static void test_what_cannot_be_drawn_is_said(void **state)
{
	struct error error = {0};
	fill(*state, three, 1, 1, false);
	char *said = report(*state, (struct report_options){0}, &error);
	must(said, &error);
	assert_says(said, "fragmentation: not drawn: the runs have no samples");
	assert_says(said, "cycles: not drawn: no run was timed");
	assert_says(said, "cache_waste.png");
	free(said);
}

/* Would catch: a run that is still empty makes gnuplot fail. */
static void test_a_run_without_anything(void **state)
{
	struct error error = {0};
	fill(*state, three, 1, 0, false);
	char *said = report(*state, (struct report_options){0}, &error);
	must(said, &error);
	assert_says(said, "memory: not drawn");
	assert_says(said, "callsite_waste: not drawn");
	free(said);
}

/* Would catch: more runs than fit one picture lose some, or runs of one allocator that cannot be told apart. */
static void test_many_runs(void **state)
{
	const struct rig *rig = *state;
	const char *const five[] = {"slub", "slub", "slab", "slob", "ideal"};
	struct error error = {0};
	fill(rig, five, 5, 5, false);
	const char *const pictures[] = {"footprint"};
	char *said =
	        report(rig, (struct report_options){.pictures = pictures, .pictures_count = 1, .format = REPORT_SVG}, &error);
	must(said, &error);
	free(said);
	size_t length;
	char *path = out_path(rig, "footprint.svg"), *picture = file_text(path, &length);
	assert_says(picture, "slub, run 1: peak");
	assert_says(picture, "slub, run 2: peak");
	assert_null(strstr(picture, "ideal"));
	free(picture);
	free(path);
	path = out_path(rig, "footprint-2.svg");
	picture = file_text(path, &length);
	assert_says(picture, "ideal: peak");
	free(picture);
	free(path);
}

/* Would catch: variants of several allocators that a picture calls by their number although the label tells them apart. */
static void test_names_of_runs(void **state)
{
	const struct rig *rig = *state;
	const char *const four[] = {"slub", "slab", "slub", "slab"}; /* labels: what if, what if, what 5% else, what if */
	struct error error = {0};
	fill(rig, four, 4, 5, true);
	const char *const pictures[] = {"footprint"};
	char *said =
	        report(rig, (struct report_options){.pictures = pictures, .pictures_count = 1, .format = REPORT_SVG}, &error);
	must(said, &error);
	free(said);
	size_t length;
	char *path = out_path(rig, "footprint.svg"), *picture = file_text(path, &length);
	assert_says(picture, "slub, what if: peak");
	assert_says(picture, "slab, run 2: peak");
	assert_says(picture, "what 5% else: peak");
	assert_says(picture, "slab, run 4: peak");
	free(picture);
	free(path);
}

/* Would catch: names out of a recording that gnuplot runs as commands or a browser as a script, or that break the script. */
static void test_names_are_not_commands(void **state)
{
	const struct rig *rig = *state;
	char *evil = xasprintf("`touch %s/pwned`'.system(\"touch %s/pwned\").'\\\n<script>\xff{/Bold x}_^@%%s", rig->folder,
	                       rig->folder);
	const char *const allocators[] = {evil, evil};
	struct error error = {0};
	fill(rig, allocators, 2, 10, true);
	char *said = report(rig, (struct report_options){0}, &error);
	must(said, &error);
	assert_png(rig, "fragmentation.png");
	assert_png(rig, "cache_waste.png");
	assert_png(rig, "callsite_waste.png");
	char *pwned = xasprintf("%s/pwned", rig->folder);
	assert_int_not_equal(access(pwned, F_OK), 0);
	size_t length;
	char *path = out_path(rig, "index.html"), *page = file_text(path, &length);
	assert_null(strstr(page, "<script"));
	free(page);
	free(path);
	free(pwned);
	free(said);
	free(evil);
}

/* Would catch: errors of the child that are swallowed. */
static void test_gnuplot_missing_or_failing(void **state)
{
	const struct rig *rig = *state;
	fill(rig, three, 3, 10, false);
	struct error missing = {0}, failing = {0};
	assert_null(report(rig, (struct report_options){.gnuplot = "no-such-gnuplot"}, &missing));
	assert_int_equal(missing.kind, ERROR_HOST);
	assert_says(missing.text, "'no-such-gnuplot' is not installed");
	assert_null(report(rig, (struct report_options){.templates = "/nonexistent/it's"}, &failing));
	assert_int_equal(failing.kind, ERROR_HOST);
	assert_says(failing.text, "gnuplot failed");
	assert_says(failing.text, "/nonexistent/it's/style.gp");
	assert_false(out_exists(rig, "fragmentation.png"));
	assert_false(out_exists(rig, "fragmentation.png.part"));
}

/* Would catch: wrong choices taken silently. */
static void test_choices_that_are_not_there(void **state)
{
	const struct rig *rig = *state;
	fill(rig, three, 3, 5, false);
	struct error run_error = {0}, picture_error = {0}, format_error = {0};
	const int64_t runs[] = {7};
	assert_null(report(rig, (struct report_options){.runs = runs, .runs_count = 1}, &run_error));
	assert_says(run_error.text, "there is no run 7 in the database; it holds 3, from 1 to 3");
	const char *const pictures[] = {"tlb"};
	assert_null(report(rig, (struct report_options){.pictures = pictures, .pictures_count = 1}, &picture_error));
	assert_says(picture_error.text, "no picture 'tlb'");
	enum report_format format;
	assert_false(report_format_named("gif", &format, &format_error));
	assert_int_equal(format_error.kind, ERROR_USAGE);
}

/* What a function prints about the runs of the rig's database. */
static char *printed(const struct rig *rig, const char *sql, const int64_t *runs, size_t count, enum table_format format)
{
	struct error error = {0};
	char *text = NULL;
	size_t length = 0;
	FILE *out = open_memstream(&text, &length);
	struct store *store = store_open_readonly(rig->db, &error);
	must(store, &error);
	if (sql)
		must(query_table_print(store, sql, runs, count, format, out, &error), &error);
	else
		must(compare_table_print(store, runs, count, format, out, &error), &error);
	must(store_close(store, &error), &error);
	fclose(out);
	return text;
}

/* A line of the comparison of two runs: what it says to the left, both numbers right-aligned under each other. */
static void assert_line(const char *text, const char *says, const char *first, const char *second)
{
	char line[128];
	snprintf(line, sizeof line, "%-46s  %14s  %14s\n", says, first, second);
	assert_says(text, line);
}

/* Numbers of fill() as people read them: 281 pages at the end are 1.10 MiB; 4 of 12 MiB given were not asked for, which is 25 %.
 */
static void test_compare_text(void **state)
{
	const struct rig *rig = *state;
	fill(rig, three, 3, 26, false);
	const int64_t runs[] = {3, 1};
	char *text = printed(rig, NULL, runs, 2, TABLE_TEXT);
	assert_line(text, "Allocator", "slob", "slub");
	assert_line(text, "Ops replayed", "1,234,567", "1,234,567");
	assert_line(text, "  Total bytes requested", "3.00 MiB", "3.00 MiB");
	assert_line(text, "  Total bytes wasted on internal fragmentation", "1.00 MiB", "1.00 MiB");
	assert_line(text, "  Internal fragmentation", "25.00 %", "25.00 %");
	assert_line(text, "  Final pages", "281 (1.10 MiB)", "281 (1.10 MiB)");
	assert_line(text, "  Simulated", "2.500 s", "2.500 s");
	assert_null(strstr(text, "Cost in cycles"));
	assert_null(strstr(text, "slab "));
	free(text);
}

/* Would catch: separators and quotes that are not escaped (RFC 4180, RFC 8259). */
static void test_csv_and_json(void **state)
{
	const struct rig *rig = *state;
	fill(rig, three, 3, 2, false);
	const char *sql = "SELECT 1 AS a, 2.5 AS b, NULL AS c, 'x,\"y\"' || char(10) AS d UNION ALL SELECT -7, 0.1, ?1, 'plain'";
	const int64_t parameters[] = {5};
	char *csv = printed(rig, sql, parameters, 1, TABLE_CSV);
	assert_string_equal(csv, "a,b,c,d\r\n1,2.5,,\"x,\"\"y\"\"\n\"\r\n-7,0.1,5,plain\r\n");
	char *json = printed(rig, sql, parameters, 1, TABLE_JSON);
	assert_string_equal(json, "[\n {\"a\": 1, \"b\": 2.5, \"c\": null, \"d\": \"x,\\\"y\\\"\\u000a\"},\n"
	                          " {\"a\": -7, \"b\": 0.1, \"c\": 5, \"d\": \"plain\"}\n]\n");
	char *text = printed(rig, sql, parameters, 1, TABLE_TEXT);
	assert_string_equal(text, " a      b  c  d\n 1  2.500  -  x,\"y\"?\n-7  0.100  5  plain\n");
	char *none = printed(rig, "SELECT 1 WHERE 0", NULL, 0, TABLE_JSON);
	assert_string_equal(none, "[]\n");
	const int64_t runs[] = {2, 1};
	char *rows = printed(rig, NULL, runs, 2, TABLE_CSV);
	assert_non_null(strstr(rows, "\r\n2,what if,slab,"));
	assert_true(strstr(rows, "\r\n2,what if,slab,") < strstr(rows, "\r\n1,what if,slub,"));
	free(csv);
	free(json);
	free(text);
	free(none);
	free(rows);
}

static bool ignore_row(void *context, const struct store_row *row, struct error *error)
{
	(void)context, (void)row, (void)error;
	return true;
}

static bool find_name(void *context, const struct store_row *row, struct error *error)
{
	(void)error;
	assert_says(context, row->values[0].text);
	return true;
}

/* Would catch: an example in results/README.md that does not work, a table or view that it does not name. */
static void test_the_documented_queries_work(void **state)
{
	const struct rig *rig = *state;
	fill(rig, three, 3, 5, true);
	struct error error = {0};
	struct store *store = store_open_readonly(rig->db, &error);
	must(store, &error);
	size_t length, queries = 0;
	char *page = file_text("results/README.md", &length);
	must(store_query(store, "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite%'",
	                 NULL, 0, find_name, page, &error),
	     &error);
	for (char *at = page; (at = strstr(at, "```sql\n")); queries++) {
		at += strlen("```sql\n");
		char *end = strstr(at, "```");
		assert_non_null(end);
		*end = '\0';
		must(store_query(store, at, NULL, 0, ignore_row, NULL, &error), &error);
		at = end + 1;
	}
	assert_true(queries > 15);
	free(page);
	must(store_close(store, &error), &error);
}

/* The table of RFC 3629, section 4. Would catch: overlong forms, surrogates and cut characters taken for text. */
static void test_utf8(void **state)
{
	(void)state;
	assert_int_equal(utf8_character("a", 1), 1);
	assert_int_equal(utf8_character("\xc3\xa9", 2), 2);
	assert_int_equal(utf8_character("\xe2\x82\xac", 3), 3);
	assert_int_equal(utf8_character("\xf0\x9f\x98\x80", 4), 4);
	assert_int_equal(utf8_character("\xf0\x9f\x98\x80", 3), 0);
	assert_int_equal(utf8_character("\xc0\x80", 2), 0);
	assert_int_equal(utf8_character("\xe0\x9f\x80", 3), 0);
	assert_int_equal(utf8_character("\xed\xa0\x80", 3), 0);
	assert_int_equal(utf8_character("\xf4\x90\x80\x80", 4), 0);
	assert_int_equal(utf8_character("\x80", 1), 0);
	char *line = utf8_line("a\xc3\xa9\n\xff"
	                       "b",
	                       4);
	assert_string_equal(line, "a\xc3\xa9??");
	assert_int_equal(utf8_width(line), 4);
	free(line);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(test_pictures, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(test_one_picture_as_svg, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(test_what_cannot_be_drawn_is_said, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(test_a_run_without_anything, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(test_many_runs, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(test_names_of_runs, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(test_names_are_not_commands, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(test_gnuplot_missing_or_failing, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(test_choices_that_are_not_there, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(test_compare_text, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(test_csv_and_json, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(test_the_documented_queries_work, set_up, tear_down),
	        cmocka_unit_test(test_utf8),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
