/* SPDX-License-Identifier: MIT
 *
 * command.c - what every command does alike: options by argp, errors to stderr (interface: command.h).
 */
#include "tools/kmemsim/command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static error_t parse_one(int key, char *argument, struct argp_state *state)
{
	const struct command_line *line = state->input;
	int result = line->parse(key, argument, line->input, line->error);
	if (line->error->kind != ERROR_NONE)
		return EINVAL;
	return result;
}

bool command_parse(const struct command_line *line, int argc, char **argv)
{
	static const struct argp_option no_options[] = {{0}};
	char *doc = xasprintf("%s\n\v%s", line->command->summary, line->command->help);
	char *name = xasprintf("kmemsim %s", line->command->name);
	const struct argp argp = {
	        .options = line->command->options ? line->command->options : no_options,
	        .parser = parse_one,
	        .args_doc = line->command->arguments,
	        .doc = doc,
	};
	char *command_name = argv[0];
	argv[0] = name; /* argp's usage line then shows the whole command */
	struct command_line input = *line;
	error_t result = argp_parse(&argp, argc, argv, 0, NULL, &input);
	argv[0] = command_name;
	free(name);
	free(doc);
	if (result != 0 && line->error->kind == ERROR_NONE)
		error_set(line->error, ERROR_USAGE, "%s", strerror(result));
	return line->error->kind == ERROR_NONE;
}

int command_failed(const struct error *error)
{
	SIM_ASSERT(error->kind != ERROR_NONE);
	fflush(stdout);
	fprintf(stderr, "kmemsim: %s\n", error->text);
	return (int)error->kind;
}
