/* SPDX-License-Identifier: MIT
 *
 * scenario_internal.h - a scenario while it is loaded, shared by the files that do it: scenario (files, variants, the whole),
 * scenario_configs (finds files), scenario_rows (sets one key), scenario_sets (--set and variants). Nobody else includes this.
 *
 * Functions that return bool return false with loading->error filled.
 */
#ifndef MODELS_SCENARIO_INTERNAL_H
#define MODELS_SCENARIO_INTERNAL_H

#include "models/scenario.h"
#include "sim/io/yaml_scenario.h"

#include <sys/stat.h>

#define PLACE_MAX 500

/* The two groups that a name can stand for, and the kinds of files. The scenario's own kind comes last. */
enum group { GROUP_MACHINE, GROUP_KERNEL, GROUP_SCENARIO, GROUPS };

extern const struct scenario_group {
	const char *key;    /* `machine: NAME` */
	const char *prefix; /* of the keys in such a file */
	const char *noun, *folder;
	const char *name_key; /* gets the file's name */
} scenario_groups[GROUPS];

/* A file being applied, and the one that included it. */
struct chain {
	const char *path; /* as messages call it */
	struct stat identity;
	const struct chain *includer;
	unsigned depth;
};

/* Settings that name files: where each was set decides what it is relative to. */
enum { PATH_TRACE, PATH_START, PATH_EXPECT, PATH_ACCESSES, NAMED_PATHS };
extern const char *const scenario_path_keys[NAMED_PATHS];

struct named_path {
	char *folder; /* of the file that set it, NULL where --set did */
	char place[PLACE_MAX];
};

/* A "key=value" that is applied over the files: of --set, of an option, or of a variant. */
struct said {
	const char *text;
	char *place;        /* owned: what messages call it */
	const char *folder; /* where its paths start, NULL: the current folder */
};

struct loading {
	const struct scenario_source *source;
	const struct setting_names *names;
	struct settings *settings;
	char *scenario_folder;
	struct said *said; /* in the order in which they are applied */
	size_t said_count;
	const struct said *said_group[GROUPS]; /* of them, those that name a machine or kernel, which stand for names in files */
	struct named_path paths[NAMED_PATHS];
	char **variant_places; /* of each value of the setting `variants`; owned */
	uint32_t variant_places_count;
	struct error *error;
};

/* What a row is set from. */
struct given {
	const char *const *texts;
	const char *const *places; /* of each; NULL: all have the one below */
	size_t count;
	bool list;          /* the user wrote one */
	const char *folder; /* what paths are relative to; NULL: the current one */
	const char *place;
};

/* ---- finding files ---- */

/* Whether a name is a path to a config, not one to be looked for. */
bool scenario_is_path(const char *name);

/* The path of the file that a name means, fresh; NULL with the error. from_folder is where a path starts. */
char *scenario_find_config(const struct loading *loading, enum group group, const char *name, const char *from_folder,
                           const char *place);

/* ---- one key ---- */

bool scenario_has_prefix(const char *text, const char *prefix);

/* Whether the key names a map that holds rows: "sample" of "sample.every". */
bool scenario_is_row_group(const char *key);

/* Always false: the error tells the key and the nearest that there is. */
bool scenario_unknown_key(const struct loading *loading, const char *prefix, const char *key, const char *place);

/* Sets one row, and remembers what a path is relative to. */
bool scenario_set_row(struct loading *loading, const struct setting *row, const struct given *given);

void scenario_release_variant_places(struct loading *loading);

/* ---- files, and what is said over them ---- */

/* Applies a file and before it what it includes. place: what named it. includer: NULL for the first. */
bool scenario_apply_file(struct loading *loading, enum group group, const char *path, const struct chain *includer,
                         const char *place);

/* A variant's own first, so that the user's win. variant_place: where the scenario has it. */
void scenario_gather_said(struct loading *loading, const char *variant_place);

/* Finds what is said of machine and kernel, which comes before the files, and applies it. */
bool scenario_apply_said_groups(struct loading *loading);

/* Applies the rest, behind the files. */
bool scenario_apply_all_said(struct loading *loading);

#endif
