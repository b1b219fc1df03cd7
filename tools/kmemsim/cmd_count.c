/* SPDX-License-Identifier: MIT
 *
 * cmd_count.c - `kmemsim count TRACE`: the misses of named caches and TLBs on an access trace, without a scenario.
 */
#include "sim/nearest.h"
#include "sim/setting.h"
#include "tools/kmemsim/command.h"
#include "tools/kmemsim/count.h"
#include "tools/kmemsim/interrupt.h"
#include "tools/kmemsim/progress.h"

#include <stdlib.h>
#include <string.h>

enum {
	OPTION_CACHE = 256, /* and COUNT_CACHES in all, then the TLBs */
	OPTION_TLB = OPTION_CACHE + COUNT_CACHES,
	OPTION_LIKE = OPTION_TLB + COUNT_TLBS,
	OPTION_RULE,
	OPTION_CROSSING,
	OPTION_MODIFY,
	OPTION_FINAL_FLUSH,
	OPTION_FLUSH_EVERY,
	OPTION_WALK,
	OPTION_WALK_LEVEL,
	OPTION_FORMAT,
	OPTION_RECORDS,
	OPTION_JSON
};

static const struct argp_option count_options[] = {
        {"l1i", OPTION_CACHE + COUNT_L1I, "SIZE,WAYS,LINE", 0,
         "First-level cache of instructions; also ,KEY=VALUE of machine.caches", 0},
        {"l1d", OPTION_CACHE + COUNT_L1D, "SIZE,WAYS,LINE", 0, "First-level cache of data", 0},
        {"l2", OPTION_CACHE + COUNT_L2, "SIZE,WAYS,LINE", 0, "Second-level cache", 0},
        {"llc", OPTION_CACHE + COUNT_LLC, "SIZE,WAYS,LINE", 0, "Last-level cache (cachegrind's LL)", 0},
        {"itlb", OPTION_TLB + COUNT_ITLB, "ENTRIES,WAYS", 0, "TLB of instructions; also ,KEY=VALUE of machine.tlbs", 0},
        {"dtlb", OPTION_TLB + COUNT_DTLB, "ENTRIES,WAYS", 0, "TLB of data", 0},
        {"stlb", OPTION_TLB + COUNT_STLB, "ENTRIES,WAYS", 0, "Second-level TLB", 0},
        {"like", OPTION_LIKE, "NAME", 0, "Count as drcachesim (the default), cachegrind or dinero do", 1},
        {"rule", OPTION_RULE, "demand|writeback", 0, "writeback: a dirty line that goes is a store to the next level", 1},
        {"crossing", OPTION_CROSSING, "each|one", 0, "An access over several lines is one access each, or one in all", 1},
        {"modify", OPTION_MODIFY, "two|one", 0, "A load-store is a load and a store, or a load that leaves its line dirty", 1},
        {"final-flush", OPTION_FINAL_FLUSH, "yes|no", 0, "What is dirty at the end is written back and counted", 1},
        {"flush-every", OPTION_FLUSH_EVERY, "N", 0, "Write back and empty all caches after every N records of the trace", 1},
        {"walk", OPTION_WALK, "none|4level", 0, "What a miss of the last TLB costs: nothing, or a page walk through the caches",
         1},
        {"walk-level", OPTION_WALK_LEVEL, "N", 0, "The first level of caches that the walker asks (1)", 1},
        {"format", OPTION_FORMAT, "NAME", 0, "The trace's format, where the file does not tell", 2},
        {"records", OPTION_RECORDS, "N", 0, "Read the first N records only", 2},
        {"json", OPTION_JSON, NULL, 0, "One JSON object with keys like l1d.misses instead of the table", 2},
        {0},
};

struct options {
	struct count_request request;
	/* What was said of its own is kept whatever --like says, before or after. */
	const char *like, *rule, *crossing, *modify, *final_flush;
	uint64_t walk_level; /* 0: not said */
	bool json;
};

/* The place of a word among others. */
static bool word_of(const char *option, const char *found, const char *const *words, unsigned *index, struct error *error)
{
	char all[128] = "";
	for (*index = 0; words[*index]; ++*index) {
		if (strcmp(words[*index], found) == 0)
			return true;
		size_t length = strlen(all);
		snprintf(all + length, sizeof all - length, "%s%s", length ? " or " : "", words[*index]);
	}
	return error_set(error, ERROR_USAGE, "--%s: found '%s', expected %s", option, found, all);
}

static int number_of(const char *option, const char *text, uint64_t *number, struct error *error)
{
	char why[SETTING_WHY_MAX];
	if (!setting_parse_number(SETTING_COUNT, text, number, why))
		error_set(error, ERROR_USAGE, "--%s: %s", option, why);
	else if (*number == 0)
		error_set(error, ERROR_USAGE, "--%s: found 0, expected 1 or more", option);
	return 0;
}

static int parse_walk(struct options *options, const char *text, struct error *error)
{
	static const char *const walks[] = {[WALK_NONE] = "none", [WALK_4LEVEL] = "4level", NULL};
	unsigned walk;
	if (word_of("walk", text, walks, &walk, error))
		options->request.walk = (enum count_walk)walk;
	return 0;
}

static int parse(int key, char *argument, void *input, struct error *error)
{
	struct options *options = input;
	struct count_request *request = &options->request;
	if (key >= OPTION_CACHE && key < OPTION_TLB)
		return request->cache[key - OPTION_CACHE] = argument, 0;
	if (key >= OPTION_TLB && key < OPTION_LIKE)
		return request->tlb[key - OPTION_TLB] = argument, 0;
	switch (key) {
	case OPTION_LIKE:
		return options->like = argument, 0;
	case OPTION_RULE:
		return options->rule = argument, 0;
	case OPTION_CROSSING:
		return options->crossing = argument, 0;
	case OPTION_MODIFY:
		return options->modify = argument, 0;
	case OPTION_FINAL_FLUSH:
		return options->final_flush = argument, 0;
	case OPTION_FLUSH_EVERY:
		return number_of("flush-every", argument, &request->flush_every, error);
	case OPTION_WALK:
		return parse_walk(options, argument, error);
	case OPTION_WALK_LEVEL:
		return number_of("walk-level", argument, &options->walk_level, error);
	case OPTION_FORMAT:
		return request->format = argument, 0;
	case OPTION_RECORDS:
		return number_of("records", argument, &request->records, error);
	case OPTION_JSON:
		return options->json = true, 0;
	case ARGP_KEY_ARG:
		if (request->trace)
			return ARGP_ERR_UNKNOWN;
		return request->trace = argument, 0;
	case ARGP_KEY_END:
		if (!request->trace)
			error_set(error, ERROR_USAGE,
			          "expected a trace, or - for standard input; `kmemsim count --help` shows the usage");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static bool find_rules(const char *like, struct count_rules *rules, struct error *error)
{
	struct nearest nearest;
	nearest_start(&nearest, like);
	for (const struct count_rules *known = count_rules_known; known->name; known++) {
		if (strcmp(known->name, like) == 0)
			return *rules = *known, true;
		nearest_offer(&nearest, known->name);
	}
	const char *meant = nearest_found(&nearest);
	return error_set(error, ERROR_USAGE, "--like: found '%s', expected drcachesim, cachegrind or dinero%s%s%s", like,
	                 meant ? "; did you mean '" : "", meant ? meant : "", meant ? "'?" : "");
}

/* The rules of --like, but for what was said by itself. */
static bool resolve_rules(struct options *options, struct error *error)
{
	static const char *const rules[] = {[CACHE_RULE_DEMAND] = "demand", [CACHE_RULE_WRITEBACK] = "writeback", NULL};
	static const char *const crossings[] = {[CROSSING_EACH_LINE] = "each", [CROSSING_ONE_ACCESS] = "one", NULL};
	static const char *const modifies[] = {[MODIFY_LOAD_STORE] = "two", [MODIFY_LOAD] = "one", NULL};
	static const char *const no_yes[] = {"no", "yes", NULL};
	struct count_rules *of = &options->request.rules;
	unsigned index;
	if (!find_rules(options->like ? options->like : count_rules_known[0].name, of, error))
		return false;
	if (options->rule && word_of("rule", options->rule, rules, &index, error))
		of->caches.rule = (enum cache_rule)index;
	if (options->crossing && word_of("crossing", options->crossing, crossings, &index, error))
		of->caches.line_crossing = (enum line_crossing)index;
	if (options->modify && word_of("modify", options->modify, modifies, &index, error))
		of->caches.modify = (enum modify_counts)index;
	if (options->final_flush && word_of("final-flush", options->final_flush, no_yes, &index, error))
		of->final_flush = index == 1;
	if (options->walk_level && options->request.walk == WALK_NONE)
		error_set(error, ERROR_USAGE, "--walk-level: nothing is walked; say --walk 4level too");
	if (options->walk_level > CACHE_LEVELS_MAX)
		error_set(error, ERROR_USAGE, "--walk-level: found %llu, expected 1 to %u",
		          (unsigned long long)options->walk_level, CACHE_LEVELS_MAX);
	of->caches.walk_level = (uint32_t)options->walk_level;
	return error->kind == ERROR_NONE;
}

static int run(const struct command *command, int argc, char **argv)
{
	struct options options = {0};
	struct error error = {0};
	const struct command_line line = {command, parse, &options, &error};
	if (!command_parse(&line, argc, argv) || !resolve_rules(&options, &error))
		return command_failed(&error);
	struct progress_bar bar;
	struct count_result result;
	progress_bar_start(&bar, "counting");
	struct progress progress = progress_bar_callback(&bar);
	options.request.progress = &progress;
	options.request.interrupt = catch_interrupts();
	bool done = count_run(&options.request, &result, &error);
	progress_bar_end(&bar);
	if (!done)
		return command_failed(&error);
	if (options.json)
		count_print_json(&result, stdout);
	else
		count_print_text(&options.request, &result, stdout);
	return result.interrupted ? EXIT_INTERRUPTED : EXIT_SUCCESS;
}

const struct command command_count = {
        .name = "count",
        .arguments = "TRACE",
        .summary = "Count the misses of caches and TLBs on an access trace",
        .help = "TRACE: valgrind lackey, Dinero din, raw records and others, packed or not\n"
                "(`kmemsim list formats`); - is standard input. A level not named is not there.\n"
                "\n"
                "  kmemsim count TRACE --l1d 32768,8,64 --l2 1MiB,16,64\n"
                "  kmemsim count TRACE --dtlb 64,4 --stlb 1536,12 --json\n"
                "  kmemsim count TRACE --like cachegrind --l1i 32KiB,8,64 --l1d 32KiB,8,64 \\\n"
                "    --llc 8MiB,16,64\n"
                "\n"
                "Counting rules and JSON keys: docs/counting.md.\n",
        .options = count_options,
        .run = run,
};
