/* SPDX-License-Identifier: MIT
 *
 * scenario.c - loads a scenario: files, what they include, and --set, each key through its row of the table (rules: scenario.h).
 *
 * A file is applied in two rounds: first what it includes, in order, then its own keys; so its own keys win. Files that are being
 * applied form a chain, which is how an include that comes back to itself is seen.
 */
#include "models/scenario_internal.h"

#include "models/registry_names.h"
#include "models/variant.h"
#include "sim/io/yaml_scenario.h"
#include "sim/path.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Files that include files that include files ...: deeper is a mistake. */
#define INCLUDE_DEPTH_MAX 8

static void describe_place(char place[PLACE_MAX], const char *path, uint32_t line, uint32_t column)
{
	size_t length = strlen(path), shown = length > PLACE_MAX / 2 ? PLACE_MAX / 2 : length;
	snprintf(place, PLACE_MAX, "%s%s:%u:%u", shown < length ? "..." : "", path + length - shown, line, column);
}

/* ---- files ---- */

/* The group a key of a file includes by name: `machine: pc`, `machine: {include: pc}`, `include: base`. GROUPS if it does not. */
static enum group included_group(enum group file_group, const struct yaml_entry *entry)
{
	if (strcmp(entry->key, "include") == 0)
		return file_group;
	for (enum group group = 0; file_group == GROUP_SCENARIO && group < GROUP_SCENARIO; group++) {
		const char *rest = entry->key + strlen(scenario_groups[group].key);
		if (!scenario_has_prefix(entry->key, scenario_groups[group].key))
			continue;
		if (strcmp(rest, ".include") == 0 || (!*rest && entry->kind != YAML_MAP))
			return group;
	}
	return GROUPS;
}

/* Naming a machine or kernel means that one as its file has it: nothing of one named before stays. */
static void reset_group(struct loading *loading, enum group group)
{
	for (const struct setting *row = settings_table(); row->key; row++)
		if (scenario_has_prefix(row->key, scenario_groups[group].prefix))
			setting_set_default(row, loading->settings);
}

static bool include_entry(struct loading *loading, const struct chain *file, enum group group, const struct yaml_entry *entry)
{
	char place[PLACE_MAX];
	describe_place(place, file->path, entry->value.line, entry->value.column);
	if (entry->kind == YAML_MAP)
		return error_set(loading->error, ERROR_USAGE, "%s: include: takes a name or a list of names", place);
	if (entry->kind == YAML_LIST && strcmp(entry->key, scenario_groups[group].key) == 0 && group != GROUP_SCENARIO)
		return error_set(loading->error, ERROR_USAGE, "%s: %s: takes one name, not a list", place, entry->key);
	char *folder = path_folder(file->path);
	bool applied = true;
	for (uint32_t i = 0; applied && i < entry->count; i++) {
		describe_place(place, file->path, entry->places[i].line, entry->places[i].column);
		char *path = scenario_find_config(loading, group, entry->values[i], folder, place);
		applied = path && scenario_apply_file(loading, group, path, file, place);
		free(path);
	}
	free(folder);
	return applied;
}

/* What a round of apply_includes() takes up: the file's bases first, then its machine, then its kernel. */
static bool belongs_to_round(unsigned round, enum group group, const struct yaml_entry *entry)
{
	if (strcmp(entry->key, "include") == 0)
		return round == 0;
	return (group == GROUP_MACHINE && round == 1) || (group == GROUP_KERNEL && round == 2);
}

/* A name that --set or a variant gave has been applied before all files and stands for theirs. */
static bool apply_includes(struct loading *loading, const struct chain *file, enum group file_group, const struct yaml_file *yaml)
{
	for (unsigned round = 0; round < 3; round++)
		for (uint32_t i = 0; i < yaml->count; i++) {
			const struct yaml_entry *entry = &yaml->entries[i];
			enum group group = included_group(file_group, entry);
			if (group == GROUPS || !belongs_to_round(round, group, entry))
				continue;
			if (round > 0 && loading->said_group[group])
				continue;
			if (round > 0)
				reset_group(loading, group);
			if (!include_entry(loading, file, group, entry))
				return false;
		}
	return true;
}

/* Whether another spelling of the row was set before in the same file: `memory` and `machine.memory`. */
static bool fail_if_set_before(const struct loading *loading, const struct yaml_file *yaml, const char *prefix,
                               const struct setting *row, const struct yaml_entry *entry, const char *place)
{
	for (const struct yaml_entry *other = yaml->entries; other < entry; other++) {
		char full[2 * YAML_KEY_LENGTH_MAX];
		snprintf(full, sizeof full, "%s%s", prefix, other->key);
		if (other->kind != YAML_MAP && setting_find(settings_table(), full) == row)
			return !error_set(loading->error, ERROR_USAGE,
			                  "%s: the key '%s' sets again what '%s' set at line %u, column %u", place, entry->key,
			                  other->key, other->line, other->column);
	}
	return false;
}

/* The places of an entry's values, owned. */
static char **places_of(const struct chain *file, const struct yaml_entry *entry)
{
	char **places = xcalloc((size_t)entry->count + 1, sizeof *places);
	for (uint32_t i = 0; i < entry->count; i++) {
		char place[PLACE_MAX];
		describe_place(place, file->path, entry->places[i].line, entry->places[i].column);
		places[i] = xstrdup(place);
	}
	return places;
}

/* Sets a row to what the entry says. */
static bool set_from_entry(struct loading *loading, const struct chain *file, const struct setting *row,
                           const struct yaml_entry *entry)
{
	char place[PLACE_MAX];
	describe_place(place, file->path, entry->value.line, entry->value.column);
	char *folder = path_folder(file->path), **places = places_of(file, entry);
	const struct given given = {.texts = (const char *const *)entry->values,
	                            .places = (const char *const *)places,
	                            .count = entry->count,
	                            .list = entry->kind == YAML_LIST,
	                            .folder = folder,
	                            .place = place};
	bool set = scenario_set_row(loading, row, &given);
	for (uint32_t i = 0; i < entry->count; i++)
		free(places[i]);
	free(places);
	free(folder);
	return set;
}

static bool apply_entry(struct loading *loading, const struct chain *file, enum group group, const struct yaml_file *yaml,
                        const struct yaml_entry *entry)
{
	char place[PLACE_MAX];
	if (included_group(group, entry) != GROUPS)
		return true;
	const char *prefix = scenario_groups[group].prefix;
	char *full = xasprintf("%s%s", prefix, entry->key);
	const struct setting *row = setting_find(settings_table(), full);
	bool is_group = scenario_is_row_group(full);
	free(full);
	describe_place(place, file->path, entry->line, entry->column);
	if (!row && entry->kind == YAML_MAP && is_group)
		return true;
	if (!row && is_group)
		return error_set(loading->error, ERROR_USAGE, "%s: '%s' holds keys of its own, as in '%s: {...}'", place,
		                 entry->key, entry->key);
	if (!row)
		return scenario_unknown_key(loading, prefix, entry->key, place);
	if (entry->kind == YAML_MAP)
		return error_set(loading->error, ERROR_USAGE, "%s: %s: takes a value, not a map", place, row->key);
	if (fail_if_set_before(loading, yaml, prefix, row, entry, place))
		return false;
	return set_from_entry(loading, file, row, entry);
}

/* A machine or kernel file gives its own name unless it sets one. */
static void set_group_name(struct loading *loading, enum group group, const char *path)
{
	if (!scenario_groups[group].name_key)
		return;
	const struct setting *row = setting_find(settings_table(), scenario_groups[group].name_key);
	char *stem = path_stem(path);
	struct error ignored = {0};
	setting_set(row, (const char *const[]){stem}, 1, false, NULL, loading->settings, path, &ignored);
	free(stem);
}

static bool apply_yaml(struct loading *loading, enum group group, const struct chain *file, const struct yaml_file *yaml)
{
	if (!apply_includes(loading, file, group, yaml))
		return false;
	set_group_name(loading, group, file->path);
	for (uint32_t i = 0; i < yaml->count; i++)
		if (!apply_entry(loading, file, group, yaml, &yaml->entries[i]))
			return false;
	return true;
}

/* The first comment is the question where no key sets one. A comment that no setting may hold asks nothing. */
static void take_question(struct settings *settings, const struct yaml_file *yaml)
{
	const char *comment = yaml->first_comment;
	struct error ignored = {0};
	if (!settings->question && comment)
		setting_set(setting_find(settings_table(), "question"), &comment, 1, false, NULL, settings, yaml->name, &ignored);
}

static bool check_chain(const struct loading *loading, const struct chain *file, const char *place)
{
	for (const struct chain *outer = file->includer; outer; outer = outer->includer)
		if (outer->identity.st_dev == file->identity.st_dev && outer->identity.st_ino == file->identity.st_ino)
			return error_set(loading->error, ERROR_USAGE, "%s: %s includes itself in a circle", place, file->path);
	if (file->depth > INCLUDE_DEPTH_MAX)
		return error_set(loading->error, ERROR_USAGE, "%s: files include files more than %d deep", place,
		                 INCLUDE_DEPTH_MAX);
	return true;
}

bool scenario_apply_file(struct loading *loading, enum group group, const char *path, const struct chain *includer,
                         const char *place)
{
	struct chain file = {.path = path, .includer = includer, .depth = includer ? includer->depth + 1 : 0};
	if (stat(path, &file.identity) != 0)
		return error_set(loading->error, ERROR_HOST, "%s: cannot be opened: %s", path, strerror(errno));
	struct yaml_file yaml;
	if (!check_chain(loading, &file, place) || !yaml_file_read(&yaml, path, loading->error))
		return false;
	bool applied = apply_yaml(loading, group, &file, &yaml);
	if (applied && !includer && group == GROUP_SCENARIO)
		take_question(loading->settings, &yaml);
	yaml_file_release(&yaml);
	return applied;
}

/* ---- the whole ---- */

static void release_loading(struct loading *loading)
{
	for (unsigned i = 0; i < NAMED_PATHS; i++)
		free(loading->paths[i].folder);
	for (size_t i = 0; i < loading->said_count; i++)
		free(loading->said[i].place);
	free(loading->said);
	scenario_release_variant_places(loading);
	free(loading->scenario_folder);
}

static bool is_file(const char *path)
{
	return path_is_there(path) && !path_is_folder(path);
}

/* Turns a path as it was written into one that opens from the current folder. A recording is a file, a state may be a folder. */
static bool resolve_path(struct loading *loading, unsigned which)
{
	struct settings *settings = loading->settings;
	char **at[NAMED_PATHS] = {&settings->trace, &settings->start, &settings->expect, &settings->accesses};
	char **path = at[which];
	if (!is_named(*path))
		return true;
	const struct named_path *named = &loading->paths[which];
	bool (*there)(const char *) = which == PATH_TRACE ? is_file : path_is_there;
	char *beside = path_join(named->folder ? named->folder : "", *path);
	if (there(beside)) {
		free(*path);
		path_shorten(beside);
		*path = beside;
		return true;
	}
	bool found = there(*path);
	if (!found)
		error_set(loading->error, ERROR_HOST, "%s: %s: there is no file '%s'", named->place, scenario_path_keys[which],
		          beside);
	free(beside);
	return found;
}

static bool resolve_paths(struct loading *loading)
{
	for (unsigned which = 0; which < NAMED_PATHS; which++)
		if (!resolve_path(loading, which))
			return false;
	return true;
}

typedef bool apply_main(struct loading *loading, const void *context);

/* Reads the files with `apply`; variant_place: of the variant that is meant. The variants of the whole are not looked at. */
static bool load_one(struct loading *loading, apply_main *apply, const void *context, const char *variant_place)
{
	loading->scenario_folder = path_folder(loading->source->path ? loading->source->path : "");
	settings_init(loading->settings);
	scenario_gather_said(loading, variant_place);
	bool loaded = scenario_apply_said_groups(loading) && apply(loading, context) && scenario_apply_all_said(loading) &&
	              resolve_paths(loading);
	if (!loaded)
		settings_release(loading->settings);
	return loaded;
}

/* Reads the lines of `variants`. Labels are apart: a run's file of ops is named after its own. */
static bool read_variants(const struct loading *whole, struct variant *variants, uint32_t *count)
{
	char *const *places = whole->variant_places;
	for (; *count < whole->settings->variants_count; (*count)++) {
		struct variant *variant = &variants[*count];
		if (!variant_read(variant, whole->settings->variants[*count], places[*count], whole->error))
			return false;
		for (uint32_t i = 0; i < *count; i++) {
			if (!variant_is_same_label(variants[i].label, variant->label))
				continue;
			error_set(whole->error, ERROR_USAGE,
			          "%s: variants: the label '%s' is taken: '%s' at %s; expected one of its own", places[*count],
			          variant->label, variants[i].label, places[i]);
			variant_release(variant);
			return false;
		}
	}
	return true;
}

/* Loads a variant and forgets it again. */
static bool check_variant(const struct loading *whole, apply_main *apply, const void *context, const struct variant *variant,
                          const char *place)
{
	struct settings settings;
	struct scenario_source source = *whole->source;
	struct loading loading = {.source = &source, .names = whole->names, .settings = &settings, .error = whole->error};
	source.variant = variant;
	bool sound = load_one(&loading, apply, context, place);
	if (sound)
		settings_release(&settings);
	release_loading(&loading);
	return sound;
}

/* A mistake in any of them is told before one of them runs. */
static bool check_variants(const struct loading *whole, apply_main *apply, const void *context)
{
	struct variant variants[SETTING_LIST_MAX];
	uint32_t count = 0;
	bool sound = read_variants(whole, variants, &count);
	for (uint32_t i = 0; sound && i < count; i++)
		sound = check_variant(whole, apply, context, &variants[i], whole->variant_places[i]);
	for (uint32_t i = 0; i < count; i++)
		variant_release(&variants[i]);
	return sound;
}

static bool load(const struct scenario_source *source, struct settings *settings, struct error *error, apply_main *apply,
                 const void *context)
{
	struct setting_names *registry = source->names ? NULL : registry_names();
	struct loading loading = {
	        .source = source, .names = registry ? registry : source->names, .settings = settings, .error = error};
	bool loaded = load_one(&loading, apply, context, source->path);
	if (loaded && !source->variant && !check_variants(&loading, apply, context)) {
		settings_release(settings);
		loaded = false;
	}
	release_loading(&loading);
	if (registry)
		registry_names_release(registry);
	return loaded;
}

static bool apply_path(struct loading *loading, const void *context)
{
	const char *path = context;
	if (!path || scenario_is_path(path) || path_is_there(path))
		return !path || scenario_apply_file(loading, GROUP_SCENARIO, path, NULL, path);
	char *found = scenario_find_config(loading, GROUP_SCENARIO, path, "", "command line");
	bool applied = found && scenario_apply_file(loading, GROUP_SCENARIO, found, NULL, path);
	free(found);
	return applied;
}

bool scenario_load(const struct scenario_source *source, struct settings *settings, struct error *error)
{
	return load(source, settings, error, apply_path, source->path);
}

static bool apply_bytes(struct loading *loading, const void *context)
{
	const struct yaml_file *yaml = context;
	struct chain file = {.path = yaml->name};
	return apply_yaml(loading, GROUP_SCENARIO, &file, yaml);
}

bool scenario_parse(const struct scenario_source *source, const char *bytes, size_t length, struct settings *settings,
                    struct error *error)
{
	struct yaml_file yaml;
	if (!yaml_file_parse(&yaml, source->path ? source->path : "scenario", bytes, length, error))
		return false;
	bool loaded = load(source, settings, error, apply_bytes, &yaml);
	if (loaded)
		take_question(settings, &yaml);
	yaml_file_release(&yaml);
	return loaded;
}

bool scenario_apply_sets(const char *const *sets, struct settings *settings, struct error *error)
{
	const struct scenario_source source = {.sets = sets};
	struct setting_names *names = registry_names();
	struct loading loading = {.source = &source, .names = names, .settings = settings, .error = error};
	scenario_gather_said(&loading, NULL);
	bool applied = scenario_apply_all_said(&loading);
	release_loading(&loading);
	registry_names_release(names);
	return applied;
}
