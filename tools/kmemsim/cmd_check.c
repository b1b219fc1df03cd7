/* SPDX-License-Identifier: MIT
 *
 * cmd_check.c - `kmemsim check SCENARIO`: reads a scenario as `run` would, says what is wrong or what it resolves to.
 */
#include "models/scenario.h"
#include "models/settings_doc.h"
#include "tools/kmemsim/command.h"
#include "tools/kmemsim/configs.h"

#include <stdio.h>
#include <stdlib.h>

enum { OPTION_SET = 256 };

#define SETS_MAX 256

static const struct argp_option check_options[] = {
        {"set", OPTION_SET, "KEY=VALUE", 0, "Set one setting over the scenario's, as `run` does", 0},
        {0},
};

struct check_options {
	const char *path;
	const char *sets[SETS_MAX + 1];
	size_t sets_count;
};

static int parse(int key, char *argument, void *input, struct error *error)
{
	struct check_options *options = input;
	switch (key) {
	case OPTION_SET:
		if (options->sets_count == SETS_MAX)
			error_set(error, ERROR_USAGE, "more than %d settings on the command line", SETS_MAX);
		else
			options->sets[options->sets_count++] = argument;
		return 0;
	case ARGP_KEY_ARG:
		if (options->path)
			return ARGP_ERR_UNKNOWN;
		options->path = argument;
		return 0;
	case ARGP_KEY_END:
		if (!options->path)
			error_set(error, ERROR_USAGE, "no scenario named; `kmemsim check --help` shows the usage");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static int run(const struct command *command, int argc, char **argv)
{
	struct check_options options = {0};
	struct error error = {0};
	const struct command_line line = {command, parse, &options, &error};
	if (!command_parse(&line, argc, argv))
		return command_failed(&error);
	const struct scenario_source source = {.path = options.path, .config_dirs = config_dirs(), .sets = options.sets};
	struct settings settings;
	struct dump_request dump;
	if (!scenario_load(&source, &settings, &error))
		return command_failed(&error);
	bool fine = dump_request_parse(&dump, settings.dump, options.path, &error);
	if (fine)
		settings_print_yaml(&settings, stdout);
	settings_release(&settings);
	return fine ? EXIT_SUCCESS : command_failed(&error);
}

const struct command command_check = {
        .name = "check",
        .arguments = "SCENARIO.yaml",
        .summary = "Check a scenario and print what it resolves to",
        .help = "SCENARIO.yaml is a file, or a name of `kmemsim list scenarios`. Prints every setting with its value after "
                "includes and --set; the output is a scenario itself. Errors name "
                "file, line, column, the key, what was found, what was expected and the nearest valid name.\n",
        .options = check_options,
        .run = run,
};
