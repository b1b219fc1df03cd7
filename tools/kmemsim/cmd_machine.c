/* SPDX-License-Identifier: MIT
 *
 * cmd_machine.c - `kmemsim machine detect|measure|cpuid|pairs`: the host as a machine to simulate; messages between cores.
 */
#include "sim/nearest.h"
#include "sim/setting.h"
#include "tools/kmemsim/command.h"
#include "tools/kmemsim/interrupt.h"
#include "tools/kmemsim/machine_measure.h"
#include "tools/kmemsim/machine_pairs.h"
#include "tools/kmemsim/progress.h"

#include <stdlib.h>
#include <string.h>

enum {
	OPTION_CPUID = 256,
	OPTION_OUT,
	OPTION_MAX,
	OPTION_REPEATS,
	OPTION_SEED,
	OPTION_DB,
	OPTION_MACHINE,
	OPTION_MEASURED,
	OPTION_LINES,
	OPTION_SET,
	OPTION_CSV,
	OPTION_PICTURE
};

#define SETS_MAX 32u
#define REPEATS_DEFAULT 25u
#define REPEATS_MAX 10000u
#define MAX_BYTES_MIN (64u << 10)
#define LINES_MAX 65536u

static const struct argp_option machine_options[] = {
        {"cpuid", OPTION_CPUID, "FILE", 0, "Another machine's answers (cpuid -r) instead of the host's", 0},
        {"out", OPTION_OUT, "FILE", 0, "Write the machine's YAML there (detect: default standard output)", 0},
        {"max", OPTION_MAX, "SIZE", 0, "measure: the largest set (default 3 last-level caches)", 1},
        {"repeats", OPTION_REPEATS, "N", 0, "measure: runs of each set, of which the least counts (default 25)", 1},
        {"seed", OPTION_SEED, "N", 0, "measure: of the order of lines (default 1)", 1},
        {"db", OPTION_DB, "FILE", 0, "measure: every point into a database", 1},
        {"machine", OPTION_MACHINE, "NAME|FILE", 0, "pairs: the machine (kmemsim list machines)", 2},
        {"measured", OPTION_MEASURED, "FILE", 0, "pairs: what was measured on a real one (docs/formats.md)", 2},
        {"lines", OPTION_LINES, "N", 0, "pairs: the mean of so many lines (default 1)", 2},
        {"set", OPTION_SET, "KEY=VALUE", 0, "measure, pairs: a setting of the simulated machine", 3},
        {"csv", OPTION_CSV, "FILE", 0, "measure, pairs: every point, every pair", 3},
        {"picture", OPTION_PICTURE, "FILE", 0, "measure, pairs: measured against simulated, .png or .svg", 3},
        {0},
};

struct machine_options {
	const char *verb, *cpuid, *out, *csv, *db, *picture;
	const char *sets[SETS_MAX + 1];
	size_t sets_count;
	bool of_measure, of_pairs, of_both; /* an option was given that only measure has, only pairs, only both */
	bool interrupted;                   /* of a measurement: what was measured is told */
	struct measure_request request;
	struct pairs_request pairs;
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

static int parse(int key, char *argument, void *input, struct error *error)
{
	struct machine_options *options = input;
	options->of_measure |= key >= OPTION_MAX && key <= OPTION_DB;
	options->of_pairs |= key >= OPTION_MACHINE && key <= OPTION_LINES;
	options->of_both |= key >= OPTION_SET && key <= OPTION_PICTURE;
	switch (key) {
	case OPTION_CPUID:
		return options->cpuid = argument, 0;
	case OPTION_OUT:
		return options->out = argument, 0;
	case OPTION_MAX:
		return options->request.max_bytes =
		               number_of("max", SETTING_SIZE, argument, MAX_BYTES_MIN, CHASE_BYTES_MAX, error),
		       0;
	case OPTION_REPEATS:
		return options->request.repeats = (unsigned)number_of("repeats", SETTING_COUNT, argument, 1, REPEATS_MAX, error),
		       0;
	case OPTION_SEED:
		return options->request.seed = number_of("seed", SETTING_COUNT, argument, 0, UINT64_MAX, error), 0;
	case OPTION_MACHINE:
		return options->pairs.machine = argument, 0;
	case OPTION_MEASURED:
		return options->pairs.measured = argument, 0;
	case OPTION_LINES:
		return options->pairs.lines = number_of("lines", SETTING_COUNT, argument, 1, LINES_MAX, error), 0;
	case OPTION_SET:
		if (options->sets_count == SETS_MAX)
			error_set(error, ERROR_USAGE, "more than %u settings on the command line", SETS_MAX);
		else
			options->sets[options->sets_count++] = argument;
		return 0;
	case OPTION_CSV:
		return options->csv = argument, 0;
	case OPTION_DB:
		return options->db = argument, 0;
	case OPTION_PICTURE:
		return options->picture = argument, 0;
	case ARGP_KEY_ARG:
		if (options->verb)
			return ARGP_ERR_UNKNOWN;
		return options->verb = argument, 0;
	case ARGP_KEY_END:
		if (!options->verb)
			error_set(error, ERROR_USAGE,
			          "expected detect, measure, cpuid or pairs; `kmemsim machine --help` shows the usage");
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

static void print_notes(const struct machine_facts *facts, unsigned from)
{
	for (unsigned i = from; i < facts->notes_count; i++)
		fprintf(stderr, "kmemsim: note: %s\n", facts->notes[i]);
}

/* Whether the options are those of the verb. */
static bool options_fit(const struct machine_options *options, bool measures, bool pairs, struct error *error)
{
	if (options->of_measure && !measures)
		return error_set(error, ERROR_USAGE, "--max, --repeats, --seed and --db are of `kmemsim machine measure`");
	if (options->of_pairs && !pairs)
		return error_set(error, ERROR_USAGE, "--machine, --measured and --lines are of `kmemsim machine pairs`");
	if (options->of_both && !measures && !pairs)
		return error_set(error, ERROR_USAGE, "--set, --csv and --picture are of `kmemsim machine measure` and `pairs`");
	if (options->cpuid && (measures || pairs))
		return error_set(error, ERROR_USAGE,
		                 measures ? "--cpuid: only the host can be measured"
		                          : "--cpuid: expected --machine, of a machine's file");
	return true;
}

static bool detect(struct machine_options *options, struct error *error)
{
	struct detected detected;
	if (!options_fit(options, false, false, error) || !machine_detect(&detected, options->cpuid, error))
		return false;
	print_notes(&detected.facts, 0);
	const struct machine_file file = {
	        .facts = &detected.facts, .host = detected.is_host ? &detected.host : NULL, .indent = ""};
	bool written = machine_write(options->out, print_file, &file, error);
	machine_detected_release(&detected);
	return written;
}

/* ---- measure ---- */

static void print_csv(const void *context, FILE *out)
{
	machine_print_csv(context, out);
}

static bool write_measured(const struct machine_options *options, const struct detected *detected,
                           const struct measured *measured, struct error *error)
{
	const struct machine_file file = {
	        .facts = &detected->facts, .host = &detected->host, .latencies = &measured->latencies, .indent = ""};
	const char *name = detected->facts.brand[0] ? detected->facts.brand : detected->facts.vendor;
	machine_print_text(measured, stdout);
	return (!options->out || machine_write(options->out, print_file, &file, error)) &&
	       (!options->csv || machine_write(options->csv, print_csv, measured, error)) &&
	       (!options->db || machine_store(measured, name, options->db, error)) &&
	       (!options->picture || machine_draw(measured, name, options->picture, error));
}

static bool measure_detected(struct machine_options *options, struct detected *detected, struct error *error)
{
	struct measured measured;
	struct progress_bar bar;
	struct measure_request request = options->request;
	progress_bar_start(&bar, "measuring");
	struct progress progress = progress_bar_callback(&bar);
	request.progress = &progress;
	request.interrupt = catch_interrupts();
	request.sets = options->sets;
	const unsigned notes = detected->facts.notes_count;
	bool done = machine_measure(detected, &request, &measured, error);
	progress_bar_end(&bar);
	print_notes(&detected->facts, notes);
	done = done && write_measured(options, detected, &measured, error);
	options->interrupted = measured.interrupted;
	machine_measured_release(&measured);
	return done;
}

static bool measure(struct machine_options *options, struct error *error)
{
	struct detected detected;
	if (!options_fit(options, true, false, error) || !machine_detect(&detected, NULL, error))
		return false;
	print_notes(&detected.facts, 0);
	bool done = measure_detected(options, &detected, error);
	machine_detected_release(&detected);
	return done;
}

static bool cpuid(struct machine_options *options, struct error *error)
{
	struct cpuid_table table;
	if (!options_fit(options, false, false, error) || !machine_table_read(&table, options->cpuid, error))
		return false;
	bool written = machine_write(options->out, print_table, &table, error);
	cpuid_release(&table);
	return written;
}

/* ---- pairs ---- */

static void print_pairs_csv(const void *context, FILE *out)
{
	machine_pairs_print_csv(context, out);
}

static bool pairs(struct machine_options *options, struct error *error)
{
	struct pairs found;
	struct pairs_request request = options->pairs;
	request.sets = options->sets;
	if (!options_fit(options, false, true, error))
		return false;
	if (!request.machine || options->out)
		return error_set(error, ERROR_USAGE,
		                 request.machine ? "--out: expected --csv, of pairs" : "pairs: expected --machine");
	bool done = machine_pairs(&request, &found, error);
	if (done)
		machine_pairs_print_text(&found, stdout);
	done = done && (!options->csv || machine_write(options->csv, print_pairs_csv, &found, error)) &&
	       (!options->picture || machine_pairs_draw(&found, options->picture, error));
	machine_pairs_release(&found);
	return done;
}

static const struct verb {
	const char *name;
	bool (*run)(struct machine_options *, struct error *);
} verbs[] = {{"detect", detect}, {"measure", measure}, {"cpuid", cpuid}, {"pairs", pairs}, {0}};

static bool do_verb(struct machine_options *options, struct error *error)
{
	struct nearest nearest;
	nearest_start(&nearest, options->verb);
	for (const struct verb *verb = verbs; verb->name; verb++) {
		if (strcmp(verb->name, options->verb) == 0)
			return verb->run(options, error);
		nearest_offer(&nearest, verb->name);
	}
	const char *meant = nearest_found(&nearest);
	return error_set(error, ERROR_USAGE, "machine: found '%s', expected detect, measure, cpuid or pairs%s%s%s", options->verb,
	                 meant ? "; did you mean '" : "", meant ? meant : "", meant ? "'?" : "");
}

static int run(const struct command *command, int argc, char **argv)
{
	struct machine_options options = {.request = {.repeats = REPEATS_DEFAULT, .seed = 1}, .pairs = {.lines = 1}};
	struct error error = {0};
	const struct command_line line = {command, parse, &options, &error};
	if (!command_parse(&line, argc, argv) || !do_verb(&options, &error))
		return command_failed(&error);
	return options.interrupted ? EXIT_INTERRUPTED : EXIT_SUCCESS;
}

const struct command command_machine = {
        .name = "machine",
        .arguments = "detect|measure|cpuid|pairs",
        .summary = "Describe the host as a machine to simulate; messages between cores",
        .help = "  detect   a machine's YAML from CPUID and /sys; each line says where it is\n"
                "           from, and notes say what a virtual machine hides\n"
                "  measure  chains of loads over growing sets on the host, the least of many\n"
                "           short runs; the same on the detected machine, simulated; both\n"
                "           beside each other. --out is the machine's YAML with the latencies\n"
                "           found\n"
                "  cpuid    what CPUID answers, as --cpuid takes it (and cpuid -r prints it)\n"
                "  pairs    what a message between each two cores of a simulated machine\n"
                "           takes: a word that both change by compare-exchange in turn.\n"
                "           --measured is what a real one took, and is told beside it\n\n"
                "A scenario takes the file by its path, `machine: ./mine.yaml`, or by its name\n"
                "from the folder machines/ beside it. More: docs/machine.md.\n\n"
                "  kmemsim machine detect --out mine.yaml\n"
                "  kmemsim machine measure --out mine.yaml --picture mine.png\n"
                "  kmemsim check scenario.yaml --set machine=./mine.yaml\n"
                "  kmemsim machine cpuid --out there.txt           on one machine\n"
                "  kmemsim machine detect --cpuid there.txt        on another\n"
                "  kmemsim machine pairs --machine zen3 --set machine.cpus=16\n",
        .options = machine_options,
        .run = run,
};
