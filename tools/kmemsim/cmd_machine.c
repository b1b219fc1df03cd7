/* SPDX-License-Identifier: MIT
 *
 * cmd_machine.c - `kmemsim machine detect|cpuid`: the host as a machine to simulate.
 */
#include "models/machine_file.h"
#include "sim/nearest.h"
#include "tools/kmemsim/command.h"
#include "tools/kmemsim/machine_detect.h"

#include <stdlib.h>
#include <string.h>

enum { OPTION_CPUID = 256, OPTION_OUT };

static const struct argp_option machine_options[] = {
        {"cpuid", OPTION_CPUID, "FILE", 0, "Another machine's answers (cpuid -r) instead of the host's", 0},
        {"out", OPTION_OUT, "FILE", 0, "Write there, not to standard output", 0},
        {0},
};

struct machine_options {
	const char *verb, *cpuid, *out;
};

static int parse(int key, char *argument, void *input, struct error *error)
{
	struct machine_options *options = input;
	switch (key) {
	case OPTION_CPUID:
		return options->cpuid = argument, 0;
	case OPTION_OUT:
		return options->out = argument, 0;
	case ARGP_KEY_ARG:
		if (options->verb)
			return ARGP_ERR_UNKNOWN;
		return options->verb = argument, 0;
	case ARGP_KEY_END:
		if (!options->verb)
			error_set(error, ERROR_USAGE, "expected detect or cpuid; `kmemsim machine --help` shows the usage");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static void print_file(const void *context, FILE *out)
{
	machine_file_print(context, out);
}

static void print_table(const void *context, FILE *out)
{
	cpuid_print(context, out);
}

static bool detect(const struct machine_options *options, struct error *error)
{
	struct detected detected;
	if (!machine_detect(&detected, options->cpuid, error))
		return false;
	for (unsigned i = 0; i < detected.facts.notes_count; i++)
		fprintf(stderr, "kmemsim: note: %s\n", detected.facts.notes[i]);
	const struct machine_file file = {
	        .facts = &detected.facts, .host = detected.is_host ? &detected.host : NULL, .indent = ""};
	bool written = machine_write(options->out, print_file, &file, error);
	machine_detected_release(&detected);
	return written;
}

static bool cpuid(const struct machine_options *options, struct error *error)
{
	struct cpuid_table table;
	if (!machine_table_read(&table, options->cpuid, error))
		return false;
	bool written = machine_write(options->out, print_table, &table, error);
	cpuid_release(&table);
	return written;
}

static const struct verb {
	const char *name;
	bool (*run)(const struct machine_options *, struct error *);
} verbs[] = {{"detect", detect}, {"cpuid", cpuid}, {0}};

static bool do_verb(const struct machine_options *options, struct error *error)
{
	struct nearest nearest;
	nearest_start(&nearest, options->verb);
	for (const struct verb *verb = verbs; verb->name; verb++) {
		if (strcmp(verb->name, options->verb) == 0)
			return verb->run(options, error);
		nearest_offer(&nearest, verb->name);
	}
	const char *meant = nearest_found(&nearest);
	return error_set(error, ERROR_USAGE, "machine: found '%s', expected detect or cpuid%s%s%s", options->verb,
	                 meant ? "; did you mean '" : "", meant ? meant : "", meant ? "'?" : "");
}

static int run(const struct command *command, int argc, char **argv)
{
	struct machine_options options = {0};
	struct error error = {0};
	const struct command_line line = {command, parse, &options, &error};
	if (!command_parse(&line, argc, argv) || !do_verb(&options, &error))
		return command_failed(&error);
	return EXIT_SUCCESS;
}

const struct command command_machine = {
        .name = "machine",
        .arguments = "detect|cpuid",
        .summary = "Describe the host as a machine to simulate",
        .help = "  detect   a machine's YAML from CPUID and /sys; each line says where it is\n"
                "           from, and notes say what a virtual machine hides\n"
                "  cpuid    what CPUID answers, as --cpuid takes it (and cpuid -r prints it)\n\n"
                "A scenario takes the file by its path, `machine: ./mine.yaml`, or by its name\n"
                "from the folder machines/ beside it. More: docs/machine.md.\n\n"
                "  kmemsim machine detect --out mine.yaml\n"
                "  kmemsim check scenario.yaml --set machine=./mine.yaml\n"
                "  kmemsim machine cpuid --out there.txt           on one machine\n"
                "  kmemsim machine detect --cpuid there.txt        on another\n",
        .options = machine_options,
        .run = run,
};
