/* SPDX-License-Identifier: MIT
 *
 * cmd_run.c - `kmemsim run SCENARIO.yaml`, `kmemsim compare SCENARIO.yaml|TRACE` and `kmemsim replay TRACE`: three ways to say
 * what simulate() shall do.
 */
#include "models/scenario.h"
#include "tools/kmemsim/access_run.h"
#include "tools/kmemsim/command.h"
#include "tools/kmemsim/configs.h"
#include "tools/kmemsim/op_events.h"
#include "tools/kmemsim/program_run.h"
#include "tools/kmemsim/simulate.h"
#include "tools/kmemsim/variants.h"

#include <stdlib.h>
#include <string.h>

/* Keys of options without a letter. */
enum {
	OPTION_SET = 256,
	OPTION_DB,
	OPTION_SEED,
	OPTION_PARANOID,
	OPTION_DUMP,
	OPTION_MACHINE,
	OPTION_KERNEL,
	OPTION_ALLOCATOR,
	OPTION_FORMAT,
	OPTION_START,
	OPTION_EXPECT
};

#define SETS_MAX 256

struct run_options {
	const char *input; /* scenario or recording */
	const char *db;
	enum table_format format;
	char *sets[SETS_MAX]; /* "key=value", owned */
	size_t sets_count;
	bool kernel_chosen;
	const struct variant *variant; /* the one that this process is to run; NULL: it has not come to that */
};

#define SET_OPTION \
	{ \
		"set", OPTION_SET, "KEY=VALUE", 0, \
		        "Set one setting over the scenario's (again and again; keys: kmemsim list settings)", 0 \
	}
#define DB_OPTION \
	{ \
		"db", OPTION_DB, "FILE", 0, "The database to write into (default " DEFAULT_DATABASE ")", 0 \
	}
#define SEED_OPTION \
	{ \
		"seed", OPTION_SEED, "N", 0, "Start of every random stream (the same as --set seed=N)", 0 \
	}
#define PARANOID_OPTION \
	{ \
		"paranoid", OPTION_PARANOID, "N", OPTION_ARG_OPTIONAL, \
		        "Check every structure each N ops (default 1000), not only at the end", 0 \
	}
#define DUMP_OPTION \
	{ \
		"dump", OPTION_DUMP, "KIND[,KIND...][@WHEN]", 0, \
		        "Print buddyinfo, pagetypeinfo, zoneinfo, slabinfo, unusable_index, extfrag_index, vmallocinfo in the " \
		        "kernel's formats, or state (every list, for kmemsim diff); WHEN is end or every=TIME", \
		        0 \
	}
#define MACHINE_OPTION \
	{ \
		"machine", OPTION_MACHINE, "NAME|FILE", 0, "The machine (kmemsim list machines)", 0 \
	}
#define KERNEL_OPTION \
	{ \
		"kernel", OPTION_KERNEL, "NAME|FILE", 0, "The kernel's settings (default: what the recording tells)", 0 \
	}
#define START_OPTION \
	{ \
		"start", OPTION_START, "FILE", 0, \
		        "Start from a recorded state: a dump, or a folder with /proc/buddyinfo and the like", 0 \
	}
#define EXPECT_OPTION \
	{ \
		"expect", OPTION_EXPECT, "FILE", 0, "Hold the end against a recorded state", 0 \
	}
#define FORMAT_OPTION \
	{ \
		"format", OPTION_FORMAT, "text|csv|json", 0, "Form of the table (default text)", 0 \
	}

static const struct argp_option run_option_table[] = {
        SET_OPTION, DB_OPTION, SEED_OPTION, PARANOID_OPTION, DUMP_OPTION, FORMAT_OPTION, {0},
};

static const struct argp_option replay_option_table[] = {
        MACHINE_OPTION,
        KERNEL_OPTION,
        {"allocator", OPTION_ALLOCATOR, "NAME", 0, "The object allocator (default: the recording's own, else slub)", 0},
        START_OPTION,
        EXPECT_OPTION,
        SET_OPTION,
        DB_OPTION,
        SEED_OPTION,
        PARANOID_OPTION,
        DUMP_OPTION,
        FORMAT_OPTION,
        {0},
};

static const struct argp_option compare_option_table[] = {
        {"allocator", OPTION_ALLOCATOR, "NAME,NAME...", 0,
         "The object allocators (default: the scenario's list, else slab,slub,slob)", 0},
        MACHINE_OPTION,
        KERNEL_OPTION,
        SET_OPTION,
        DB_OPTION,
        SEED_OPTION,
        PARANOID_OPTION,
        DUMP_OPTION,
        FORMAT_OPTION,
        {0},
};

static bool add_set(struct run_options *options, const char *key, const char *value, struct error *error)
{
	if (options->sets_count == SETS_MAX)
		return error_set(error, ERROR_USAGE, "more than %d settings on the command line", SETS_MAX);
	options->sets[options->sets_count++] = key ? xasprintf("--%s=%s", key, value) : xstrdup(value);
	return true;
}

static int parse_run_option(int key, char *argument, void *input, struct error *error)
{
	struct run_options *options = input;
	switch (key) {
	case OPTION_SET:
		add_set(options, NULL, argument, error);
		return 0;
	case OPTION_DB:
		options->db = argument;
		return 0;
	case OPTION_SEED:
		add_set(options, "seed", argument, error);
		return 0;
	case OPTION_PARANOID:
		add_set(options, "paranoid", argument ? argument : "1000", error);
		return 0;
	case OPTION_DUMP:
		add_set(options, "dump", argument, error);
		return 0;
	case OPTION_MACHINE:
		add_set(options, "machine", argument, error);
		return 0;
	case OPTION_KERNEL:
		options->kernel_chosen = true;
		add_set(options, "kernel", argument, error);
		return 0;
	case OPTION_ALLOCATOR:
		add_set(options, "allocator", argument, error);
		return 0;
	case OPTION_START:
		add_set(options, "start", argument, error);
		return 0;
	case OPTION_EXPECT:
		add_set(options, "expect", argument, error);
		return 0;
	case OPTION_FORMAT:
		table_format_named(argument, &options->format, error);
		return 0;
	case ARGP_KEY_ARG:
		if (options->input)
			return ARGP_ERR_UNKNOWN;
		options->input = argument;
		return 0;
	case ARGP_KEY_END:
		if (!options->input)
			error_set(error, ERROR_USAGE, "no input named; `--help` shows the usage");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static bool is_scenario(const char *path)
{
	const char *dot = strrchr(path, '.');
	return dot && (strcmp(dot, ".yaml") == 0 || strcmp(dot, ".yml") == 0);
}

/* Whether the user's own settings name the key. */
static bool sets_key(const struct run_options *options, const char *key)
{
	size_t length = strlen(key);
	for (size_t index = 0; index < options->sets_count; index++) {
		const char *set = options->sets[index];
		set += strncmp(set, "--", 2) == 0 ? 2 : 0; /* an option of its own */
		if (strncmp(set, key, length) == 0 && set[length] == '=')
			return true;
	}
	return false;
}

/* The run's row then holds a scenario that can be run again. */
static void name_recording(struct settings *settings, const char *path, struct error *error)
{
	if (settings->trace)
		error_set(error, ERROR_USAGE, "--set: trace: the command line names the recording '%s' already", path);
	else
		settings->trace = xstrdup(path);
}

/* A scenario names one thing to run. */
static bool check_source(const struct settings *settings, const char *input, struct error *error)
{
	int named = is_named(settings->trace) + is_named(settings->accesses) + is_named(settings->workload) +
	            is_named(settings->access_workload);
	if (named == 0)
		return error_set(error, ERROR_USAGE,
		                 "%s: nothing to run; expected a line such as `trace: trace.txt.xz`, `accesses: program.kmt`, "
		                 "`workload: kmalloc_loop` or `access_workload: pointer_chase`",
		                 input);
	return named == 1 ||
	       error_set(error, ERROR_USAGE,
	                 "%s: a run is given one of trace, accesses, workload and access_workload, not several", input);
}

static int run_simulation(struct run_options *options, bool scenario, bool compare, struct error *error);

/* One variant of a scenario, in a process of its own. */
static int run_variant(void *context, const struct variant *variant)
{
	struct run_options options = *(const struct run_options *)context;
	struct error error = {0};
	options.variant = variant;
	return run_simulation(&options, true, false, &error);
}

static int run_simulation(struct run_options *options, bool scenario, bool compare, struct error *error)
{
	const char *sets[SETS_MAX + 2] = {0};
	for (size_t index = 0; index < options->sets_count; index++)
		sets[index] = options->sets[index];
	struct settings settings;
	const struct scenario_source source = {.path = scenario ? options->input : NULL,
	                                       .config_dirs = config_dirs(),
	                                       .sets = sets,
	                                       .variant = options->variant};
	if (!scenario_load(&source, &settings, error))
		return command_failed(error);
	if (compare && settings.allocators < 2 && !sets_key(options, "allocator")) {
		/* A scenario of one allocator has nothing to compare it with; the trio of kernels is what people ask for. */
		settings_release(&settings);
		sets[options->sets_count] = "allocator=slab,slub,slob";
		if (!scenario_load(&source, &settings, error))
			return command_failed(error);
	}
	if (!scenario && !compare && settings.allocators > 1)
		error_set(error, ERROR_USAGE, "replay runs one allocator, not %u; `kmemsim compare` runs several",
		          settings.allocators);
	else if (!scenario)
		name_recording(&settings, options->input, error);
	else if (options->variant || settings.variants_count == 0)
		check_source(&settings, options->input, error);
	if (options->variant) {
		free(settings.label);
		settings.label = xstrdup(options->variant->label);
		op_events_name(&settings, settings.label);
	}
	int code;
	if (error->kind != ERROR_NONE) {
		code = command_failed(error);
	} else if (settings.variants_count > 0 && !options->variant) {
		const struct variants_run run = {.settings = &settings,
		                                 .input = options->input,
		                                 .db_path = options->db,
		                                 .format = options->format,
		                                 .run = run_variant,
		                                 .context = options};
		code = variants_simulate(&run);
	} else if ((is_named(settings.accesses) || is_named(settings.access_workload)) && !program_is_wanted(&settings)) {
		const struct access_simulation simulation = {
		        .settings = &settings, .db_path = options->db, .format = options->format};
		code = access_simulate(&simulation);
	} else {
		const struct simulation simulation = {
		        .settings = &settings,
		        .trace_path = settings.trace,
		        .db_path = options->db,
		        .sets = sets,
		        .recorded_kernel = !scenario && !options->kernel_chosen,
		        .recorded_allocator = !scenario && !compare && !sets_key(options, "allocator"),
		        .format = options->format,
		};
		code = simulate(&simulation);
	}
	settings_release(&settings);
	return code;
}

/* What the three commands share: options, then a simulation. */
static int run_command(const struct command *command, int argc, char **argv, bool compare)
{
	struct run_options options = {0};
	struct error error = {0};
	const struct command_line line = {.command = command, .parse = parse_run_option, .input = &options, .error = &error};
	int code;
	if (!command_parse(&line, argc, argv))
		code = command_failed(&error);
	else
		code = run_simulation(&options, command == &command_run || (compare && is_scenario(options.input)), compare,
		                      &error);
	for (size_t index = 0; index < options.sets_count; index++)
		free(options.sets[index]);
	return code;
}

static int run_plainly(const struct command *command, int argc, char **argv)
{
	return run_command(command, argc, argv, false);
}

static int run_compare(const struct command *command, int argc, char **argv)
{
	return run_command(command, argc, argv, true);
}

const struct command command_run = {
        .name = "run",
        .arguments = "SCENARIO.yaml",
        .summary = "Run a scenario: one run per value of its allocator list",
        .help = "SCENARIO.yaml is a file, or a name of `kmemsim list scenarios`. It says what to run, on which machine and "
                "kernel, with which allocators; docs/settings.md has every key. Each run goes into the database as it happens; "
                "Ctrl-C keeps what was measured.\n\n"
                "  kmemsim run larger-than-memory --set swap.size=2GiB\n",
        .options = run_option_table,
        .run = run_plainly,
};

const struct command command_replay = {
        .name = "replay",
        .arguments = "TRACE",
        .summary = "Replay a recording, no scenario needed",
        .help = "TRACE is the text of /sys/kernel/tracing/trace, of `trace-cmd report` or of `perf script` (plain, gz, xz or "
                "zst), or a .kmt file. Memory size, CPUs, allocator and kernel settings are taken from the recording and the "
                "/proc files beside it (docs/formats.md); --set wins over them.\n\n"
                "  kmemsim replay trace.txt.xz --allocator slab\n",
        .options = replay_option_table,
        .run = run_plainly,
};

const struct command command_compare = {
        .name = "compare",
        .arguments = "SCENARIO.yaml|TRACE",
        .summary = "The same ops under several allocators: one table",
        .help = "Runs each allocator in a process of its own, up to as many at a time as the host has CPUs, into one "
                "database.\n\n"
                "  kmemsim compare trace.txt.xz --allocator slab,slub,slob --set timing=cycles\n",
        .options = compare_option_table,
        .run = run_compare,
};
