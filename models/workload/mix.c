/* SPDX-License-Identifier: MIT
 *
 * mix.c - several kernel loads at once: each step is one of theirs, drawn by their weights. They have the defaults of their keys.
 *
 * Sources: the loads'. A load of weight 0 is not begun.
 */
#include "models/kernel_load.h"

#include <stdlib.h>

extern const struct workload_ops workload_mix_ops;

enum { MIX_FORK_STORM, MIX_FILES, MIX_NETWORK, MIX_DENTRIES, MIX_MODULE_LOAD, MIX_LOADS };

static const struct kernel_load *const loads[MIX_LOADS] = {&fork_storm_load, &files_load, &network_load, &dentries_load,
                                                           &module_load_load};

struct mix {
	char *name;
	struct load_pace pace;
	uint32_t weights[MIX_LOADS];
};

#define AT(field) .offset = offsetof(struct mix, field), .size = sizeof(((struct mix *)0)->field)

/* A row of a load's weight. */
#define WEIGHT(text, number, which) \
	{ \
		.key = text, .type = SETTING_COUNT, .unit = "parts", .default_text = number, .min = 0, .max = 1000000, \
		.help = "Weight of the steps of " text, .source = LOAD_CHOICE, AT(weights[which]) \
	}

static const struct setting keys[] = {
        {.key = "name", .type = SETTING_STRING, .default_text = "", .help = "mix", .source = "every line has one", AT(name)},
        LOAD_PACE_KEYS(struct mix, "steps", "10000", "10000"),
        WEIGHT("fork_storm", "1", MIX_FORK_STORM),
        WEIGHT("files", "10", MIX_FILES),
        WEIGHT("network", "100", MIX_NETWORK),
        WEIGHT("dentries", "10", MIX_DENTRIES),
        WEIGHT("module_load", "0", MIX_MODULE_LOAD),
        {.key = NULL},
};

struct state {
	struct workload *workload;
	const struct mix *values;
	void *loads[MIX_LOADS];     /* NULL: of weight 0 */
	void *values_of[MIX_LOADS]; /* owned */
	uint32_t sum;
};

static void begin_load(struct state *state, unsigned nr)
{
	const struct workload_ops *ops = loads[nr]->workload;
	state->values_of[nr] = xcalloc(1, ops->values_bytes);
	setting_table_init(ops->keys, state->values_of[nr]);
	state->loads[nr] = loads[nr]->begin(state->workload, state->values_of[nr]);
}

static void *begin(struct workload *workload, const void *opaque)
{
	const struct mix *values = opaque;
	struct state *state = xcalloc(1, sizeof *state);
	state->workload = workload;
	state->values = values;
	for (unsigned nr = 0; nr < MIX_LOADS; nr++) {
		state->sum += values->weights[nr];
		if (values->weights[nr] > 0)
			begin_load(state, nr);
	}
	return state;
}

static unsigned any_load(struct state *state)
{
	uint32_t drawn = rng_below(workload_rng(state->workload), state->sum);
	unsigned nr = 0;
	for (; drawn >= state->values->weights[nr]; nr++)
		drawn -= state->values->weights[nr];
	return nr;
}

static void step(void *load)
{
	struct state *state = load;
	unsigned nr = any_load(state);
	loads[nr]->step(state->loads[nr]);
}

static void end(void *load)
{
	struct state *state = load;
	for (unsigned nr = 0; nr < MIX_LOADS; nr++) {
		if (!state->loads[nr])
			continue;
		loads[nr]->end(state->loads[nr]);
		setting_table_release(loads[nr]->workload->keys, state->values_of[nr]);
		free(state->values_of[nr]);
	}
	free(state);
}

static void generate(struct workload *workload, const void *values)
{
	const struct kernel_load mix = {.workload = &workload_mix_ops, .begin = begin, .step = step, .end = end};
	kernel_load_generate(workload, &mix, values, &((const struct mix *)values)->pace);
}

static bool check(const void *opaque, const char *place, struct error *error)
{
	const struct mix *values = opaque;
	for (unsigned nr = 0; nr < MIX_LOADS; nr++)
		if (values->weights[nr] > 0)
			return true;
	return error_set(error, ERROR_USAGE, "%s: mix: all weights are 0; expected one load that has steps", place);
}

const struct workload_ops workload_mix_ops = {
        .name = "mix",
        .help = "steps of several kernel loads, by weight",
        .keys = keys,
        .values_bytes = sizeof(struct mix),
        .generate = generate,
        .check = check,
};
