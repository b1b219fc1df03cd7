/* SPDX-License-Identifier: MIT
 *
 * cmd_report.c - `kmemsim report DB`: tables and pictures of runs, from the database alone.
 */
#include "sim/io/yaml_scenario.h"
#include "sim/report.h"
#include "sim/store.h"
#include "tools/kmemsim/command.h"
#include "tools/kmemsim/configs.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OPTION_RUN = 256, OPTION_OUT, OPTION_FORMAT, OPTION_PICTURE };

#define RUNS_MAX 64
#define PICTURES_MAX 32

static const struct argp_option report_options[] = {
        {"run", OPTION_RUN, "N[,N...]", 0, "Only these runs, in this order (default: every run)", 0},
        {"out", OPTION_OUT, "DIR", 0, "Where the pictures go (default: the database's name without .db)", 0},
        {"format", OPTION_FORMAT, "png|svg", 0, "Form of the pictures (default png)", 0},
        {"picture", OPTION_PICTURE, "NAME", 0,
         "Only this picture (again and again; default: what the runs' scenarios ask for, else all)", 0},
        {0},
};

struct options {
	const char *db, *out;
	enum report_format format;
	int64_t runs[RUNS_MAX];
	size_t runs_count;
	const char *pictures[PICTURES_MAX];
	size_t pictures_count;
	bool all_pictures; /* a run asks for all there are */
};

static bool add_runs(struct options *options, const char *argument, struct error *error)
{
	for (const char *at = argument;;) {
		char *end;
		errno = 0;
		long long run = strtoll(at, &end, 10);
		if (end == at || errno || run <= 0 || (*end && *end != ','))
			return error_set(error, ERROR_USAGE, "--run: found '%s', expected numbers of runs such as 1,2,3",
			                 argument);
		if (options->runs_count == RUNS_MAX)
			return error_set(error, ERROR_USAGE, "--run: more than %d runs", RUNS_MAX);
		options->runs[options->runs_count++] = run;
		if (!*end)
			return true;
		at = end + 1;
	}
}

static int parse(int key, char *argument, void *input, struct error *error)
{
	struct options *options = input;
	switch (key) {
	case OPTION_RUN:
		add_runs(options, argument, error);
		return 0;
	case OPTION_OUT:
		options->out = argument;
		return 0;
	case OPTION_FORMAT:
		report_format_named(argument, &options->format, error);
		return 0;
	case OPTION_PICTURE:
		if (options->pictures_count == PICTURES_MAX)
			error_set(error, ERROR_USAGE, "--picture: more than %d pictures", PICTURES_MAX);
		else
			options->pictures[options->pictures_count++] = argument;
		return 0;
	case ARGP_KEY_ARG:
		/* `--run 1 2 3` reads as people write it. */
		if (options->runs_count > 0 && argument[strspn(argument, "0123456789,")] == '\0') {
			add_runs(options, argument, error);
			return 0;
		}
		if (options->db)
			return ARGP_ERR_UNKNOWN;
		options->db = argument;
		return 0;
	case ARGP_KEY_END:
		if (!options->db)
			error_set(error, ERROR_USAGE, "no database named; `kmemsim report --help` shows the usage");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* "results/demo.db" -> "results/demo" */
static char *folder_beside(const char *db)
{
	char *folder = xstrdup(db);
	char *dot = strrchr(folder, '.');
	if (dot && dot > folder && strcmp(dot, ".db") == 0)
		*dot = '\0';
	else {
		free(folder);
		folder = xasprintf("%s.report", db);
	}
	return folder;
}

static bool has_run(const struct options *options, int64_t run)
{
	for (size_t index = 0; index < options->runs_count; index++)
		if (options->runs[index] == run)
			return true;
	return options->runs_count == 0;
}

static void add_wish(struct options *options, const char *name)
{
	for (size_t picture = 0; report_pictures[picture].name; picture++) {
		const char *known = report_pictures[picture].name;
		for (size_t index = 0; index < options->pictures_count; index++)
			if (strcmp(options->pictures[index], known) == 0)
				known = "";
		if (strcmp(known, name) == 0 && options->pictures_count < PICTURES_MAX)
			options->pictures[options->pictures_count++] = known;
	}
}

/* columns: run, its scenario, whether it is a miss curve. What the scenario's key `report` lists; a curve has no scenario. */
static bool take_wishes(void *context, const struct store_row *row, struct error *error)
{
	struct options *options = context;
	struct yaml_file yaml;
	const char *text = row->values[1].kind == STORE_TEXT ? row->values[1].text : "";
	if (!has_run(options, row->values[0].integer))
		return true;
	if (row->values[2].integer) {
		add_wish(options, "curves");
		return true;
	}
	if (!yaml_file_parse(&yaml, "the run's scenario", text, strlen(text), error))
		return false;
	const struct yaml_entry *wishes = yaml_file_entry(&yaml, "report");
	if (!wishes || wishes->count == 0)
		options->all_pictures = true;
	for (uint32_t index = 0; wishes && index < wishes->count; index++)
		add_wish(options, wishes->values[index]);
	yaml_file_release(&yaml);
	return true;
}

/* Where no option chooses pictures, the scenarios of the runs do: what any of them asks for is drawn. */
static bool choose_pictures(struct options *options, struct error *error)
{
	if (options->pictures_count > 0)
		return true;
	struct store *store = store_open_readonly(options->db, error);
	bool chosen = store && store_query(store, "SELECT id, scenario, id IN (SELECT run_id FROM curve) FROM run", NULL, 0,
	                                   take_wishes, options, error);
	if (options->all_pictures)
		options->pictures_count = 0;
	return store_close(store, error) && chosen;
}

static int run(const struct command *command, int argc, char **argv)
{
	struct options options = {0};
	struct error error = {0};
	const struct command_line line = {command, parse, &options, &error};
	if (!command_parse(&line, argc, argv))
		return command_failed(&error);
	if (!choose_pictures(&options, &error))
		return command_failed(&error);
	char *beside = folder_beside(options.db);
	const struct report_options report = {
	        .runs = options.runs,
	        .runs_count = options.runs_count,
	        .pictures = options.pictures,
	        .pictures_count = options.pictures_count,
	        .out = options.out ? options.out : beside,
	        .templates = template_dir(),
	        .format = options.format,
	};
	bool written = report_write(options.db, &report, stdout, &error);
	free(beside);
	return written ? EXIT_SUCCESS : command_failed(&error);
}

const struct command command_report = {
        .name = "report",
        .arguments = "DB",
        .summary = "Draw and tabulate the runs of a database",
        .help = "Fragmentation over time per order, memory by owner over time, footprint per allocator, waste per cache and per "
                "call site, cycles per op, misses of levels, miss curves. Needs nothing but the database and gnuplot.\n\n"
                "  kmemsim report results/demo.db --run 1 2 3 --out pictures --format svg\n",
        .options = report_options,
        .run = run,
};
