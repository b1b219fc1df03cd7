/* SPDX-License-Identifier: MIT
 *
 * cmd_curve.c - `kmemsim curve TRACE`: the misses of every size of a cache or TLB, in one pass.
 */
#include "sim/report.h"
#include "sim/setting.h"
#include "tools/kmemsim/command.h"
#include "tools/kmemsim/configs.h"
#include "tools/kmemsim/curve.h"
#include "tools/kmemsim/interrupt.h"
#include "tools/kmemsim/progress.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

enum {
	OPTION_LINE = 256,
	OPTION_PAGE,
	OPTION_LEVEL,
	OPTION_KIND,
	OPTION_SETS,
	OPTION_WAYS,
	OPTION_FORMAT,
	OPTION_RECORDS,
	OPTION_MACHINE,
	OPTION_BLOCKS,
	OPTION_SAMPLE,
	OPTION_SAMPLE_SIZE,
	OPTION_SEED,
	OPTION_DB,
	OPTION_OUT,
	OPTION_JSON,
	OPTION_CSV
};

#define MAX_WAYS_DEFAULT 16u
#define LINE_BYTES_MIN 16u
#define BLOCK_BYTES_MAX (1ull << 30)

static const struct argp_option curve_options[] = {
        {"level", OPTION_LEVEL, "cache|tlb", 0, "Blocks are lines (the default) or pages", 0},
        {"line", OPTION_LINE, "SIZE", 0, "Bytes of a line (default 64)", 0},
        {"page", OPTION_PAGE, "SIZE", 0, "Bytes of a page (default 4KiB)", 0},
        {"kind", OPTION_KIND, "all|data|code", 0, "Which accesses (default all)", 0},
        {"sets", OPTION_SETS, "N", 0, "Also the misses of N sets with 1, 2, ... ways", 0},
        {"max-ways", OPTION_WAYS, "N", 0, "The most ways of --sets (default 16)", 0},
        {"machine", OPTION_MACHINE, "NAMES", 0, "Levels of these machines, joined by commas, or none (default all)", 0},
        {"format", OPTION_FORMAT, "NAME", 0, "The trace's format, where the file does not tell", 1},
        {"records", OPTION_RECORDS, "N", 0, "Read the first N records only", 1},
        {"max-blocks", OPTION_BLOCKS, "N", 0, "End an exact pass at N different blocks (default 32 Mi, some 4 GiB)", 2},
        {"sample", OPTION_SAMPLE, "RATE", 0, "Sample this share of the blocks, 0.01 for one in a hundred", 2},
        {"sample-size", OPTION_SAMPLE_SIZE, "N", 0, "Sample at most N blocks: memory stays bounded", 2},
        {"seed", OPTION_SEED, "N", 0, "Of the sample (default 1)", 2},
        {"db", OPTION_DB, "FILE", 0, "Write what was measured into this database too, as a run of its own", 3},
        {"out", OPTION_OUT, "DIR", 0, "Write curve.csv, histogram.csv, machines.csv, curves.png; database: DIR/curve.db", 3},
        {"json", OPTION_JSON, NULL, 0, "One JSON object instead of the tables", 3},
        {"csv", OPTION_CSV, NULL, 0, "The curve as CSV instead of the tables", 3},
        {0},
};

struct options {
	struct curve_request request;
	uint64_t line_bytes, page_bytes;
	const char *db, *out;
	bool json, csv;
};

static uint64_t number_of(const char *option, enum setting_type type, const char *text, uint64_t min, uint64_t max,
                          struct error *error)
{
	char why[SETTING_WHY_MAX];
	uint64_t number = 0;
	if (!setting_parse_number(type, text, &number, why))
		error_set(error, ERROR_USAGE, "--%s: found '%s', which %s", option, text, why);
	else if (number < min || number > max)
		error_set(error, ERROR_USAGE, "--%s: found %s, expected %llu to %llu", option, text, (unsigned long long)min,
		          (unsigned long long)max);
	return number;
}

/* Bytes, with a unit or without. */
static uint64_t block_of(const char *option, const char *text, struct error *error)
{
	char *with_unit = xasprintf("%s%s", text, text[strspn(text, "0123456789")] ? "" : " B");
	uint64_t bytes = number_of(option, SETTING_SIZE, with_unit, LINE_BYTES_MIN, BLOCK_BYTES_MAX, error);
	if (error->kind == ERROR_NONE && bytes & (bytes - 1))
		error_set(error, ERROR_USAGE, "--%s: found %s, expected a power of two", option, text);
	free(with_unit);
	return bytes;
}

static double rate_of(const char *text, struct error *error)
{
	char *end;
	double rate = strtod(text, &end);
	if (end == text || *end || !(rate > 0 && rate <= 1))
		error_set(error, ERROR_USAGE, "--sample: found '%s', expected a share above 0 and at most 1, such as 0.01", text);
	return rate;
}

static unsigned word_of(const char *option, const char *found, const char *const *words, const char *all, struct error *error)
{
	for (unsigned index = 0; words[index]; index++)
		if (strcmp(words[index], found) == 0)
			return index;
	error_set(error, ERROR_USAGE, "--%s: found '%s', expected %s", option, found, all);
	return 0;
}

static int end_of_line(struct options *options, struct error *error)
{
	struct curve_request *request = &options->request;
	request->block_bytes = request->tlb ? options->page_bytes : options->line_bytes;
	if (!request->trace)
		error_set(error, ERROR_USAGE,
		          "expected a trace, or - for standard input; `kmemsim curve --help` shows the usage");
	else if (request->sets > SET_STACKS_PLACES_MAX / request->max_ways)
		error_set(error, ERROR_USAGE, "--sets: %llu sets of %u ways are more than %llu entries",
		          (unsigned long long)request->sets, request->max_ways, SET_STACKS_PLACES_MAX);
	return 0;
}

static int parse(int key, char *argument, void *input, struct error *error)
{
	static const char *const levels[] = {"cache", "tlb", NULL};
	static const char *const kinds[] = {[CURVE_ALL] = "all", [CURVE_DATA] = "data", [CURVE_CODE] = "code", NULL};
	struct options *options = input;
	struct curve_request *request = &options->request;
	switch (key) {
	case OPTION_LINE:
		return options->line_bytes = block_of("line", argument, error), 0;
	case OPTION_PAGE:
		return options->page_bytes = block_of("page", argument, error), 0;
	case OPTION_LEVEL:
		return request->tlb = word_of("level", argument, levels, "cache or tlb", error) == 1, 0;
	case OPTION_KIND:
		return request->kinds = (enum curve_kinds)word_of("kind", argument, kinds, "all, data or code", error), 0;
	case OPTION_SETS:
		return request->sets = number_of("sets", SETTING_COUNT, argument, 1, SET_STACKS_PLACES_MAX, error), 0;
	case OPTION_WAYS:
		return request->max_ways =
		               (uint32_t)number_of("max-ways", SETTING_COUNT, argument, 1, SET_STACKS_WAYS_MAX, error),
		       0;
	case OPTION_FORMAT:
		return request->format = argument, 0;
	case OPTION_RECORDS:
		return request->records = number_of("records", SETTING_COUNT, argument, 1, UINT64_MAX, error), 0;
	case OPTION_MACHINE:
		return request->machines = argument, 0;
	case OPTION_BLOCKS:
		return request->max_blocks = number_of("max-blocks", SETTING_COUNT, argument, 1, STACK_BLOCKS_MAX / 2, error), 0;
	case OPTION_SAMPLE:
		return request->sampled = true, request->rate = rate_of(argument, error), 0;
	case OPTION_SAMPLE_SIZE:
		request->sampled = true;
		request->sample_blocks =
		        (uint32_t)number_of("sample-size", SETTING_COUNT, argument, SHARDS_BLOCKS_MIN, SHARDS_BLOCKS_MAX, error);
		return 0;
	case OPTION_SEED:
		return request->seed = number_of("seed", SETTING_COUNT, argument, 0, UINT64_MAX, error), 0;
	case OPTION_DB:
		return options->db = argument, 0;
	case OPTION_OUT:
		return options->out = argument, 0;
	case OPTION_JSON:
		return options->json = true, 0;
	case OPTION_CSV:
		return options->csv = true, 0;
	case ARGP_KEY_ARG:
		if (request->trace)
			return ARGP_ERR_UNKNOWN;
		return request->trace = argument, 0;
	case ARGP_KEY_END:
		return end_of_line(options, error);
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static double host_seconds(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* The pass, with its run's row in the database before it and its results behind it. */
static bool measure(struct options *options, struct store *store, int64_t *run_id, struct curve_result *result,
                    struct error *error)
{
	struct progress_bar bar;
	if (store && !curve_store_begin(store, &options->request, run_id, error))
		return false;
	const double started_s = host_seconds();
	progress_bar_start(&bar, "measuring distances");
	struct progress progress = progress_bar_callback(&bar);
	options->request.progress = &progress;
	options->request.interrupt = catch_interrupts();
	bool done = curve_run(&options->request, result, error);
	progress_bar_end(&bar);
	const struct curve_store_end end = {done ? result : NULL, error, host_seconds() - started_s};
	struct error at_end = {0};
	if (!store || curve_store_end(store, *run_id, &options->request, &end, &at_end))
		return done;
	if (done) {
		curve_release(result);
		*error = at_end;
	}
	return false;
}

/* The database is open for the pass only: the report opens it for itself. */
static bool measure_into(struct options *options, const char *db, int64_t *run_id, struct curve_result *result,
                         struct error *error)
{
	struct store *store = db ? store_open(db, error) : NULL;
	if (db && !store)
		return false;
	bool done = measure(options, store, run_id, result, error);
	struct error at_close = {0};
	if (store_close(store, &at_close) || !done)
		return done;
	curve_release(result);
	*error = at_close;
	return false;
}

/* The picture of this run, from the database as a later report draws it; its words are not wanted here. */
static bool draw(const char *db, const char *out, int64_t run_id, struct error *error)
{
	static const char *const pictures[] = {"curves"};
	const struct report_options report = {.runs = &run_id,
	                                      .runs_count = 1,
	                                      .pictures = pictures,
	                                      .pictures_count = 1,
	                                      .out = out,
	                                      .templates = template_dir()};
	FILE *nowhere = fopen("/dev/null", "w");
	if (!nowhere)
		return error_set(error, ERROR_HOST, "/dev/null: cannot be written: %s", strerror(errno));
	bool drawn = report_write(db, &report, nowhere, error);
	fclose(nowhere);
	return drawn;
}

static int finish(const struct options *options, const char *db, int64_t run_id, struct curve_result *result)
{
	struct error error = {0};
	void (*print)(const struct curve_request *, const struct curve_result *, FILE *) = options->json  ? curve_print_json
	                                                                                   : options->csv ? curve_print_csv
	                                                                                                  : curve_print_text;
	print(&options->request, result, stdout);
	bool written = !options->out ||
	               (curve_write(&options->request, result, options->out, &error) && draw(db, options->out, run_id, &error));
	enum curve_end end = result->end;
	curve_release(result);
	if (!written)
		return command_failed(&error);
	return end == CURVE_INTERRUPTED ? EXIT_INTERRUPTED : end == CURVE_TOO_MANY_BLOCKS ? (int)ERROR_STOPPED : EXIT_SUCCESS;
}

static int run(const struct command *command, int argc, char **argv)
{
	struct options options = {.request = {.max_ways = MAX_WAYS_DEFAULT, .max_blocks = CURVE_BLOCKS_MAX, .rate = 1, .seed = 1},
	                          .line_bytes = 64,
	                          .page_bytes = PAGE_SIZE};
	struct error error = {0};
	const struct command_line line = {command, parse, &options, &error};
	if (!command_parse(&line, argc, argv))
		return command_failed(&error);
	if (options.out && mkdir(options.out, 0777) != 0 && errno != EEXIST) {
		error_set(&error, ERROR_HOST, "--out: %s: cannot be made: %s", options.out, strerror(errno));
		return command_failed(&error);
	}
	struct curve_result result;
	int64_t run_id = 0;
	char *beside = options.out ? xasprintf("%s/curve.db", options.out) : NULL;
	const char *db = options.db ? options.db : beside;
	bool done = measure_into(&options, db, &run_id, &result, &error);
	int code = done ? finish(&options, db, run_id, &result) : command_failed(&error);
	free(beside);
	return code;
}

const struct command command_curve = {
        .name = "curve",
        .arguments = "TRACE",
        .summary = "Misses of every size of a cache or TLB, in one pass",
        .help = "Miss curve and distances of an access trace, and what sizes of real machines\n"
                "would give, each level alone. Exact, or sampled with its error told; docs/curves.md.\n"
                "\n"
                "  kmemsim curve TRACE --out curves\n"
                "  kmemsim curve TRACE --db results/curves.db; kmemsim report results/curves.db\n"
                "  kmemsim curve TRACE --level tlb --sets 16 --max-ways 8\n"
                "  kmemsim curve TRACE --sample-size 8192 --json\n",
        .options = curve_options,
        .run = run,
};
