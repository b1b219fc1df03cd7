/* SPDX-License-Identifier: MIT
 *
 * main.c - the program: finds the command, and tells about all of them (--help, --version, --man, --completion).
 */
#include "sim/nearest.h"
#include "tools/kmemsim/command.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct command *const commands[] = {
        &command_run,   &command_replay, &command_compare, &command_report, &command_trace, &command_list,
        &command_check, &command_oracle, &command_diff,    &command_count,  &command_curve,
        &command_machine,
};
#define COMMANDS (sizeof commands / sizeof commands[0])

static const char about[] =
        "Cycle-level simulator of Linux memory management on x86: replays what a recorded kernel did on models of the Linux 6.1\n"
        "allocators, and answers what another allocator, another setting or another machine would have made of it.\n";

static const char examples[] = "  kmemsim compare trace.txt.xz             the same load under SLAB, SLUB and SLOB: one table\n"
                               "  kmemsim report results/kmemsim.db        pictures of every run in the database\n"
                               "  kmemsim run scenario.yaml --set seed=7   a described experiment, one value changed\n"
                               "  kmemsim list settings                    every key a scenario may have\n";

static const char exit_codes[] =
        "  0 all went well    1 a check found a difference    2 the command line or scenario is wrong    3 an input file is "
        "damaged\n"
        "  4 the host refused (file, space, program)    5 stopped by on_error: stop    70 a run died of a defect of kmemsim\n"
        "  130 interrupted; what was measured is kept\n";

static void print_help(FILE *out)
{
	fprintf(out, "Usage: kmemsim COMMAND [OPTION...] [ARGUMENT...]\n%s\nCommands:\n", about);
	for (size_t index = 0; index < COMMANDS; index++)
		fprintf(out, "  %-8s %-44s %s\n", commands[index]->name, commands[index]->arguments, commands[index]->summary);
	fprintf(out, "\nExamples:\n%s\nExit codes:\n%s\n", examples, exit_codes);
	fputs("`kmemsim COMMAND --help` tells all of a command. `kmemsim --version`, `kmemsim --man` (the manual page),\n"
	      "`kmemsim --completion` (for bash: source it).\n",
	      out);
}

/* troff reads a dot at a line's start as a request and a backslash as an escape. */
static void print_troff(const char *text, FILE *out)
{
	bool at_start = true;
	for (; *text; text++) {
		if (at_start && (*text == '.' || *text == '\''))
			fputs("\\&", out);
		if (*text == '\\')
			fputs("\\e", out);
		else if (*text == '-')
			fputs("\\-", out);
		else
			fputc(*text, out);
		at_start = *text == '\n';
	}
}

static void print_man_option(const struct argp_option *option)
{
	printf(".TP\n");
	if (option->key > 0 && option->key < 128 && isalnum(option->key))
		printf("\\fB\\-%c\\fR, ", option->key);
	printf("\\fB\\-\\-");
	print_troff(option->name, stdout);
	printf("\\fR");
	if (option->arg)
		printf(option->flags & OPTION_ARG_OPTIONAL ? "[=\\fI%s\\fR]" : " \\fI%s\\fR", option->arg);
	printf("\n");
	print_troff(option->doc, stdout);
	printf("\n");
}

/* Paragraphs are filled; lines that begin with two spaces, examples and lists, stay as they are. */
static void print_man_help(const char *help)
{
	for (const char *end; *help; help = *end ? end + 1 : end) {
		end = strchrnul(help, '\n');
		bool verbatim = strncmp(help, "  ", 2) == 0;
		char *line = xasprintf("%.*s\n", (int)(end - help), help);
		if (end == help)
			printf(".PP\n");
		if (verbatim)
			printf(".nf\n");
		if (end > help)
			print_troff(line, stdout);
		if (verbatim)
			printf(".fi\n");
		free(line);
	}
}

static void print_man(void)
{
	printf(".TH KMEMSIM 1 \"\" \"kmemsim %s\" \"User Commands\"\n.SH NAME\nkmemsim \\- ", KMEMSIM_VERSION);
	printf("simulate Linux memory management\n.SH SYNOPSIS\n.B kmemsim\n\\fICOMMAND\\fR [\\fIOPTION\\fR...] "
	       "[\\fIARGUMENT\\fR...]\n.SH DESCRIPTION\n");
	print_troff(about, stdout);
	printf(".SH COMMANDS\n");
	for (size_t index = 0; index < COMMANDS; index++) {
		const struct command *command = commands[index];
		printf(".SS kmemsim %s ", command->name);
		print_troff(command->arguments, stdout);
		printf("\n");
		print_troff(command->summary, stdout);
		printf(".\n.PP\n");
		print_man_help(command->help);
		for (const struct argp_option *option = command->options; option && option->name; option++)
			print_man_option(option);
	}
	printf(".SH EXAMPLES\n.nf\n");
	print_troff(examples, stdout);
	printf(".fi\n.SH EXIT STATUS\n.nf\n");
	print_troff(exit_codes, stdout);
	printf(".fi\n");
}

/* "[ports|models]" and "info|convert FILE": the words of the first argument, where it is a choice of words in small letters; a
 * blank after a bar lets the usage line break. */
static void print_choices(const char *arguments)
{
	const char *at = arguments + (*arguments == '[');
	size_t length = strspn(at, "abcdefghijklmnopqrstuvwxyz| ");
	if (!memchr(at, '|', length))
		return;
	printf(" choices=\"");
	for (size_t index = 0; index < length; index++)
		putchar(at[index] == '|' ? ' ' : at[index]);
	printf("\"");
}

static void print_completion(void)
{
	printf("# bash completion for kmemsim: source it, or install it as bash-completion/completions/kmemsim\n"
	       "_kmemsim() {\n\tlocal word=${COMP_WORDS[COMP_CWORD]} words= choices=\n\tcase ${COMP_WORDS[1]} in\n");
	for (size_t index = 0; index < COMMANDS; index++) {
		printf("\t%s) words=\"--help", commands[index]->name);
		for (const struct argp_option *option = commands[index]->options; option && option->name; option++)
			printf(" --%s", option->name);
		printf("\"");
		print_choices(commands[index]->arguments);
		printf(" ;;\n");
	}
	printf("\tesac\n\tif [ \"$COMP_CWORD\" = 1 ]; then\n\t\tCOMPREPLY=($(compgen -W \"");
	for (size_t index = 0; index < COMMANDS; index++)
		printf("%s ", commands[index]->name);
	printf("--help --version --man --completion\" -- \"$word\"))\n"
	       "\telif [[ $word == -* ]]; then\n\t\tCOMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n"
	       "\telif [ \"$COMP_CWORD\" = 2 ] && [ -n \"$choices\" ]; then\n"
	       "\t\tCOMPREPLY=($(compgen -W \"$choices\" -- \"$word\"))\n"
	       "\telse\n\t\tCOMPREPLY=($(compgen -f -- \"$word\"))\n\tfi\n}\ncomplete -o filenames -F _kmemsim kmemsim\n");
}

static int no_such_command(const char *name)
{
	struct nearest nearest;
	nearest_start(&nearest, name);
	for (size_t index = 0; index < COMMANDS; index++)
		nearest_offer(&nearest, commands[index]->name);
	const char *meant = nearest_found(&nearest);
	fprintf(stderr, "kmemsim: there is no command '%s'%s%s%s; `kmemsim --help` shows them all\n", name,
	        meant ? "; did you mean '" : "", meant ? meant : "", meant ? "'" : "");
	return ERROR_USAGE;
}

/* Options that stand for a whole answer; false: the word is none of them. */
static bool tell_about(const char *option)
{
	if (strcmp(option, "--help") == 0 || strcmp(option, "-h") == 0 || strcmp(option, "-?") == 0 ||
	    strcmp(option, "help") == 0)
		print_help(stdout);
	else if (strcmp(option, "--version") == 0 || strcmp(option, "-V") == 0)
		printf("kmemsim %s\n", KMEMSIM_VERSION);
	else if (strcmp(option, "--man") == 0)
		print_man();
	else if (strcmp(option, "--completion") == 0)
		print_completion();
	else
		return false;
	return true;
}

static int run(int argc, char **argv)
{
	const char *first = argv[1];
	if (strcmp(first, "help") == 0 && argc > 2)
		return run(3, (char *[]){argv[0], argv[2], "--help", NULL});
	if (tell_about(first))
		return EXIT_SUCCESS;
	for (size_t index = 0; index < COMMANDS; index++)
		if (strcmp(first, commands[index]->name) == 0)
			return commands[index]->run(commands[index], argc - 1, argv + 1);
	return no_such_command(first);
}

int main(int argc, char **argv)
{
	argp_err_exit_status = ERROR_USAGE;
	if (argc < 2) {
		print_help(stderr);
		return ERROR_USAGE;
	}
	int code = run(argc, argv);
	bool written = !ferror(stdout);
	if (fflush(stdout) == 0 && written)
		return code;
	fprintf(stderr, "kmemsim: standard output could not be written to its end: %s\n", strerror(errno));
	return code == EXIT_SUCCESS ? ERROR_HOST : code;
}
