/* SPDX-License-Identifier: MIT
 *
 * command.h - the commands of the program. Each is one file cmd_<name>.c that exports one struct command; main.c lists them.
 *
 * A command's texts and option table serve its --help, the manual page and the completion alike.
 */
#ifndef TOOLS_COMMAND_H
#define TOOLS_COMMAND_H

#include "sim/base.h"

#include <argp.h>

/* Exit codes beside those of enum error_kind (sim/base.h). */
#define EXIT_INTERRUPTED 130 /* as a shell reports SIGINT; what was measured is in the database */
#define EXIT_DIFFERENT 1     /* a check that was asked for found something */
#define EXIT_DIED 70         /* a run's process died of a defect (EX_SOFTWARE of sysexits.h) */

struct command {
	const char *name;
	const char *arguments; /* "SCENARIO.yaml" */
	const char *summary;   /* one line */
	const char *help;      /* paragraphs, each one line: what it does, an example; lines that begin with two spaces stay as they are */
	const struct argp_option *options; /* ends with {0}; NULL: none of its own */
	int (*run)(const struct command *, int argc, char **argv); /* argv[0] is the command's name; returns the exit code */
};

extern const struct command command_run, command_replay, command_compare, command_report, command_trace, command_list,
        command_check, command_oracle, command_diff, command_count, command_curve,
        command_machine;

/*
 * Parses a command's options with argp. parse() gets each option's key and argument, and ARGP_KEY_ARG for each argument; it
 * returns 0, ARGP_ERR_UNKNOWN, or fills *error. Returns false with *error filled. --help prints the command's page and exits.
 */
struct command_line {
	const struct command *command;
	int (*parse)(int key, char *argument, void *input, struct error *error);
	void *input;
	struct error *error;
};
bool command_parse(const struct command_line *line, int argc, char **argv);

/* Prints "kmemsim: ..." for an error and returns its exit code. */
int command_failed(const struct error *error);

#endif
