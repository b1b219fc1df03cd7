/* SPDX-License-Identifier: MIT
 *
 * scenario.h - from a scenario file, the configs it names and --set to one struct settings.
 *
 * A scenario is a YAML map; each key is a row of the settings table (models/settings.c), as nested maps or dotted. Beside them:
 *
 *     machine: NAME   includes machines/NAME.yaml, whose keys are machine.* keys; a name with '/' or .yaml is a path
 *                     (`machine: {include: NAME, cpus: 4}` does so too)
 *     kernel: NAME    likewise kernels/NAME.yaml and kernel.*
 *     include: NAME   (or a list) another file of the same kind, a base for this one
 *
 * Names are looked for beside the scenario (its folder's machines/, kernels/, scenarios/), then in each config folder.
 * Who wins: the later of defaults, included files in their order, machine and kernel, the file itself, --set in its order. Keys
 * of a file win over what it includes wherever they stand in it. Naming a machine starts from the machine.* defaults, so nothing
 * stays of one that a base named. `--set machine=NAME` stands for every `machine: NAME` of the files.
 *
 * Invariant: on success every value is within its row's range, every model name and line of a workload is known, `trace` names a
 * file that was there, every one of `variants` could be loaded by itself, and printing the settings and loading them again gives
 * the same settings.
 */
#ifndef MODELS_SCENARIO_H
#define MODELS_SCENARIO_H

#include "models/settings.h"
#include "models/variant.h"
#include "sim/setting.h"

/* What a scenario is loaded from. Each array ends with NULL; a NULL pointer stands for an empty one. */
struct scenario_source {
	const char *path;               /* the scenario, or its name in a config folder; NULL: only defaults and `sets` */
	const char *const *config_dirs; /* folders with machines/, kernels/, scenarios/ */
	const char *const *sets;        /* "key=value" each; "--key=value" where an option of that name said it, not --set */
	const struct variant *variant; /* the one of its runs that is meant, whose settings come before `sets`; NULL: the whole */
	const struct setting_names *names; /* valid model names; NULL: those of the registry */
};

/* Fills *settings (not initialised before), which the caller releases. On failure there is nothing to release. */
bool scenario_load(const struct scenario_source *source, struct settings *settings, struct error *error);

/* The same of YAML in memory, as if it lay in a file of that name. */
bool scenario_parse(const struct scenario_source *source, const char *bytes, size_t length, struct settings *settings,
                    struct error *error);

/*
 * Applies `key=value` texts once more to settings that are loaded, for a caller that filled in values which the texts shall win
 * over. machine= and kernel= are passed over: they name files, which scenario_load() has read. On failure the settings are mixed.
 */
bool scenario_apply_sets(const char *const *sets, struct settings *settings, struct error *error);

/* The configs of a kind ("machines", "kernels", "scenarios"), sorted by name; of equal names the first folder's. */
struct config_list {
	struct config {
		char *name, *path;
		char *about; /* its first comment, or NULL */
	} * at;
	size_t count;
};
void config_list_init(struct config_list *list, const char *const *config_dirs, const char *kind);
void config_list_release(struct config_list *list);

/* What `dump` asks for: KIND[,KIND...][@WHEN], WHEN is end, every=TIME or both joined by '|'; without @WHEN it is end. */
enum dump_kind {
	DUMP_BUDDYINFO,
	DUMP_PAGETYPEINFO,
	DUMP_ZONEINFO,
	DUMP_SLABINFO,
	DUMP_UNUSABLE_INDEX,
	DUMP_EXTFRAG_INDEX,
	DUMP_VMALLOCINFO,
	DUMP_MEMINFO,
	DUMP_PERCPU, /* the boot log's lines of the first chunk of per-CPU data */
	DUMP_STATE,  /* every list of every allocator, as lines of a state dump (sim/state_dump.h) */
	DUMP_KINDS
};

struct dump_request {
	unsigned kinds; /* bit 1 << kind */
	bool at_end;
	uint64_t every_ns; /* 0 = not repeated */
};

const char *dump_kind_name(enum dump_kind kind);

/* NULL or empty text asks for nothing. The message of an error begins with `place`. */
bool dump_request_parse(struct dump_request *request, const char *text, const char *place, struct error *error);

#endif
