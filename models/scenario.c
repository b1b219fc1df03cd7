/* SPDX-License-Identifier: MIT
 *
 * scenario.c - loads a scenario: files, what they include, and --set, each key through its row of the table (rules: scenario.h).
 *
 * A file is applied in two rounds: first what it includes, in order, then its own keys; so its own keys win. Files that are being
 * applied form a chain, which is how an include that comes back to itself is seen.
 */
#include "models/scenario.h"
#include "models/access_workload.h"
#include "models/machine_nodes.h"
#include "models/object_allocator/cache_tunables.h"
#include "models/object_allocator/slub.h"
#include "models/registry.h"
#include "models/reserved_range.h"
#include "models/variant.h"
#include "models/workload_line.h"
#include "sim/io/yaml_scenario.h"
#include "sim/nearest.h"
#include "sim/report.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Files that include files that include files ...: deeper is a mistake. */
#define INCLUDE_DEPTH_MAX 8

#define PLACE_MAX 500

/* The two groups that a name can stand for, and the kinds of files. The scenario's own kind comes last. */
enum group { GROUP_MACHINE, GROUP_KERNEL, GROUP_SCENARIO, GROUPS };

static const struct {
	const char *key;    /* `machine: NAME` */
	const char *prefix; /* of the keys in such a file */
	const char *noun, *folder;
	const char *name_key; /* gets the file's name */
} groups[GROUPS] = {[GROUP_MACHINE] = {"machine", "machine.", "machine", "machines", "machine.name"},
                    [GROUP_KERNEL] = {"kernel", "kernel.", "kernel", "kernels", "kernel.name"},
                    [GROUP_SCENARIO] = {"include", "", "scenario", "scenarios", NULL}};

/* A file being applied, and the one that included it. */
struct chain {
	const char *path; /* as messages call it */
	struct stat identity;
	const struct chain *includer;
	unsigned depth;
};

/* Settings that name files: where each was set decides what it is relative to. */
enum { PATH_TRACE, PATH_START, PATH_EXPECT, PATH_ACCESSES, NAMED_PATHS };
static const char *const path_keys[NAMED_PATHS] = {"trace", "start", "expect", "accesses"};

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

static void describe_place(char place[PLACE_MAX], const char *path, uint32_t line, uint32_t column)
{
	size_t length = strlen(path), shown = length > PLACE_MAX / 2 ? PLACE_MAX / 2 : length;
	snprintf(place, PLACE_MAX, "%s%s:%u:%u", shown < length ? "..." : "", path + length - shown, line, column);
}

/* ---- paths ---- */

static bool is_path(const char *name)
{
	size_t length = strlen(name);
	return strchr(name, '/') || (length > 5 && strcmp(name + length - 5, ".yaml") == 0) ||
	       (length > 4 && strcmp(name + length - 4, ".yml") == 0);
}

/* The folder part of a path with its '/', "" where there is none. */
static char *folder_of(const char *path)
{
	const char *slash = strrchr(path, '/');
	return xasprintf("%.*s", slash ? (int)(slash + 1 - path) : 0, path);
}

/* The file's name without folder and ending. */
static char *stem_of(const char *path)
{
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path, *dot = strrchr(name, '.');
	return xasprintf("%.*s", dot && dot > name ? (int)(dot - name) : (int)strlen(name), name);
}

static char *join_path(const char *folder, const char *path)
{
	return path[0] == '/' ? xstrdup(path) : xasprintf("%s%s", folder, path);
}

/* A config must be a regular file: reading a terminal or a pipe could wait for ever. */
static bool is_config_file(const char *path)
{
	struct stat found;
	return stat(path, &found) == 0 && S_ISREG(found.st_mode);
}

static bool is_there(const char *path)
{
	struct stat status;
	return stat(path, &status) == 0;
}

static bool is_file(const char *path)
{
	struct stat found;
	return stat(path, &found) == 0 && !S_ISDIR(found.st_mode);
}

/* ---- lists of configs ---- */

static int compare_configs(const void *left, const void *right)
{
	return strcmp(((const struct config *)left)->name, ((const struct config *)right)->name);
}

static bool has_config(const struct config_list *list, const char *name)
{
	for (size_t i = 0; i < list->count; i++)
		if (strcmp(list->at[i].name, name) == 0)
			return true;
	return false;
}

static void add_folder(struct config_list *list, const char *folder)
{
	DIR *directory = opendir(folder);
	for (const struct dirent *file; directory && (file = readdir(directory)) != NULL;) {
		size_t length = strlen(file->d_name);
		if (file->d_name[0] == '.' || length <= 5 || strcmp(file->d_name + length - 5, ".yaml") != 0)
			continue;
		char *name = stem_of(file->d_name);
		if (has_config(list, name)) {
			free(name);
			continue;
		}
		list->at = xrealloc(list->at, (list->count + 1) * sizeof *list->at);
		list->at[list->count++] = (struct config){.name = name, .path = xasprintf("%s/%s", folder, file->d_name)};
	}
	if (directory)
		closedir(directory);
}

static void add_config_dirs(struct config_list *list, const char *const *config_dirs, const char *kind)
{
	for (size_t i = 0; config_dirs && config_dirs[i]; i++) {
		char *folder = xasprintf("%s/%s", config_dirs[i], kind);
		add_folder(list, folder);
		free(folder);
	}
	if (list->count > 0)
		qsort(list->at, list->count, sizeof *list->at, compare_configs);
}

void config_list_init(struct config_list *list, const char *const *config_dirs, const char *kind)
{
	*list = (struct config_list){0};
	add_config_dirs(list, config_dirs, kind);
	for (size_t i = 0; i < list->count; i++)
		list->at[i].about = yaml_first_comment(list->at[i].path);
}

void config_list_release(struct config_list *list)
{
	for (size_t i = 0; i < list->count; i++) {
		free(list->at[i].name);
		free(list->at[i].path);
		free(list->at[i].about);
	}
	free(list->at);
	*list = (struct config_list){0};
}

/* ---- finding what a name stands for ---- */

static void fail_no_config(const struct loading *loading, enum group group, const char *name, const char *place)
{
	struct config_list list = {0};
	char *beside = xasprintf("%s%s", loading->scenario_folder, groups[group].folder);
	add_folder(&list, beside);
	add_config_dirs(&list, loading->source->config_dirs, groups[group].folder);
	struct nearest nearest;
	nearest_start(&nearest, name);
	for (size_t i = 0; i < list.count; i++)
		nearest_offer(&nearest, list.at[i].name);
	const char *meant = nearest_found(&nearest);
	char quoted[SETTING_QUOTE_MAX];
	error_set(loading->error, ERROR_USAGE, "%s: there is no %s %s%s%s%s (looked in %s/ and the config folders' %s/)", place,
	          groups[group].noun, setting_quote(name, quoted), meant ? "; did you mean '" : "", meant ? meant : "",
	          meant ? "'?" : "", beside, groups[group].folder);
	free(beside);
	config_list_release(&list);
}

/* The path of the file that a name means, fresh; NULL with the error. from_folder is where a path starts. */
static char *find_config(const struct loading *loading, enum group group, const char *name, const char *from_folder,
                         const char *place)
{
	char quoted[SETTING_QUOTE_MAX];
	if (!*name) {
		error_set(loading->error, ERROR_USAGE, "%s: %s: the name is empty", place, groups[group].key);
		return NULL;
	}
	if (is_path(name)) {
		char *path = join_path(from_folder, name);
		if (is_config_file(path))
			return path;
		error_set(loading->error, ERROR_HOST, "%s: %s: there is no file %s (%s)", place, groups[group].key,
		          setting_quote(name, quoted), path);
		free(path);
		return NULL;
	}
	char *path = xasprintf("%s%s/%s.yaml", loading->scenario_folder, groups[group].folder, name);
	for (size_t i = 0; !is_config_file(path); i++) {
		free(path);
		const char *const *folders = loading->source->config_dirs;
		if (!folders || !folders[i]) {
			fail_no_config(loading, group, name, place);
			return NULL;
		}
		path = xasprintf("%s/%s/%s.yaml", folders[i], groups[group].folder, name);
	}
	return path;
}

/* ---- keys ---- */

static bool has_prefix(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* Offers the groups of the table ("sample", "machine.latency") within the prefix, and the words that are no rows. */
static void offer_groups(struct nearest *nearest, const char *prefix, char found[YAML_KEY_LENGTH_MAX + 1])
{
	nearest_offer(nearest, "include");
	for (const struct setting *row = settings_table(); row->key; row++) {
		const char *dot = has_prefix(row->key, prefix) ? strchr(row->key + strlen(prefix), '.') : NULL;
		if (!dot)
			continue;
		char part[YAML_KEY_LENGTH_MAX + 1];
		snprintf(part, sizeof part, "%.*s", (int)(dot - row->key - (ptrdiff_t)strlen(prefix)), row->key + strlen(prefix));
		unsigned before = nearest->distance;
		nearest_offer(nearest, part);
		if (nearest->distance < before)
			nearest->name = strcpy(found, part);
	}
}

static bool fail_unknown_key(const struct loading *loading, const char *prefix, const char *key, const char *place)
{
	char quoted[SETTING_QUOTE_MAX], group[YAML_KEY_LENGTH_MAX + 1];
	struct nearest nearest;
	nearest_start(&nearest, key);
	offer_groups(&nearest, prefix, group);
	char *full = xasprintf("%s%s", prefix, key);
	const char *row = setting_nearest_key(settings_table(), full);
	if (!row)
		row = setting_nearest_key(settings_table(), key);
	/* A row that ends in the very word is meant even where it is long, as 'cpus' for 'machine.cpus'. */
	const char *last = row ? strrchr(row, '.') : NULL;
	bool exact = last && strcmp(last + 1, key) == 0;
	if (row && has_prefix(row, prefix))
		row += strlen(prefix);
	if (row)
		nearest_offer(&nearest, row);
	const char *meant = exact ? row : nearest_found(&nearest);
	free(full);
	setting_quote(key, quoted);
	if (!meant)
		return error_set(loading->error, ERROR_USAGE, "%s: unknown key %s; `kmemsim list settings` tells them all", place,
		                 quoted);
	return error_set(loading->error, ERROR_USAGE, "%s: unknown key %s; did you mean '%s'?", place, quoted, meant);
}

/* ---- settings whose text has a grammar of its own ---- */

static bool slub_debug_check(const struct settings *settings, struct error *error)
{
	struct slub_config unused = {0};
	return slub_debug_parse(&unused, settings->kernel.slub_debug, error);
}

static bool workload_check(const struct settings *settings, struct error *error)
{
	struct workload_line line;
	if (!settings->workload)
		return true;
	if (!workload_line_read(&line, settings->workload, "workload", error))
		return false;
	workload_line_release(&line);
	return true;
}

static bool access_workload_check(const struct settings *settings, struct error *error)
{
	return !settings->access_workload || access_workload_line_check(settings->access_workload, error);
}

/* The errors name the key. */
static const struct {
	const char *key;
	bool (*check)(const struct settings *settings, struct error *error);
} texts_with_grammar[] = {
        {"machine.reserved", reserved_ranges_check},     {"machine.nodes", machine_nodes_check},
        {"machine.distances", machine_distances_check},  {"kernel.slub_debug", slub_debug_check},
        {"kernel.cache_tunables", cache_tunables_check}, {"workload", workload_check},
        {"access_workload", access_workload_check},
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

static void release_variant_places(struct loading *loading)
{
	for (uint32_t i = 0; i < loading->variant_places_count; i++)
		free(loading->variant_places[i]);
	free(loading->variant_places);
}

static void note_variant_places(struct loading *loading, const struct given *given)
{
	release_variant_places(loading);
	loading->variant_places_count = loading->settings->variants_count;
	loading->variant_places = xcalloc((size_t)loading->variant_places_count + 1, sizeof *loading->variant_places);
	for (uint32_t i = 0; i < loading->variant_places_count; i++)
		loading->variant_places[i] = xstrdup(given->places ? given->places[i] : given->place);
}

/* Sets one row, and remembers what a path is relative to. */
static bool set_row(struct loading *loading, const struct setting *row, const struct given *given)
{
	struct dump_request request;
	const char *place = given->place;
	bool set = given->list ? setting_set_list(row, given->texts, given->places, given->count, loading->names,
	                                          loading->settings, place, loading->error)
	                       : setting_set(row, given->texts, given->count, false, loading->names, loading->settings, place,
	                                     loading->error);
	if (!set)
		return false;
	for (unsigned i = 0; i < NAMED_PATHS; i++) {
		struct named_path *path = &loading->paths[i];
		if (strcmp(row->key, path_keys[i]) != 0)
			continue;
		free(path->folder);
		path->folder = given->folder ? xstrdup(given->folder) : NULL;
		snprintf(path->place, sizeof path->place, "%s", place);
	}
	if (strcmp(row->key, "variants") == 0)
		note_variant_places(loading, given);
	if (strcmp(row->key, "dump") == 0)
		return dump_request_parse(&request, loading->settings->dump, place, loading->error);
	struct error why = {0};
	for (size_t i = 0; i < sizeof texts_with_grammar / sizeof *texts_with_grammar; i++)
		if (strcmp(row->key, texts_with_grammar[i].key) == 0 && !texts_with_grammar[i].check(loading->settings, &why))
			return error_set(loading->error, why.kind, "%s: %s", place, why.text);
	return true;
}

/* Whether the key names a map that holds rows: "sample" of "sample.every". */
static bool is_row_group(const char *key)
{
	size_t length = strlen(key);
	for (const struct setting *row = settings_table(); row->key; row++)
		if (strncmp(row->key, key, length) == 0 && row->key[length] == '.')
			return true;
	return false;
}

/* ---- files ---- */

static bool apply_file(struct loading *loading, enum group group, const char *path, const struct chain *includer,
                       const char *place);

/* The group a key of a file includes by name: `machine: pc`, `machine: {include: pc}`, `include: base`. GROUPS if it does not. */
static enum group included_group(enum group file_group, const struct yaml_entry *entry)
{
	if (strcmp(entry->key, "include") == 0)
		return file_group;
	for (enum group group = 0; file_group == GROUP_SCENARIO && group < GROUP_SCENARIO; group++) {
		const char *rest = entry->key + strlen(groups[group].key);
		if (!has_prefix(entry->key, groups[group].key))
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
		if (has_prefix(row->key, groups[group].prefix))
			setting_set_default(row, loading->settings);
}

static bool include_entry(struct loading *loading, const struct chain *file, enum group group, const struct yaml_entry *entry)
{
	char place[PLACE_MAX];
	describe_place(place, file->path, entry->value.line, entry->value.column);
	if (entry->kind == YAML_MAP)
		return error_set(loading->error, ERROR_USAGE, "%s: include: takes a name or a list of names", place);
	if (entry->kind == YAML_LIST && strcmp(entry->key, groups[group].key) == 0 && group != GROUP_SCENARIO)
		return error_set(loading->error, ERROR_USAGE, "%s: %s: takes one name, not a list", place, entry->key);
	char *folder = folder_of(file->path);
	bool applied = true;
	for (uint32_t i = 0; applied && i < entry->count; i++) {
		describe_place(place, file->path, entry->places[i].line, entry->places[i].column);
		char *path = find_config(loading, group, entry->values[i], folder, place);
		applied = path && apply_file(loading, group, path, file, place);
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
	char *folder = folder_of(file->path), **places = places_of(file, entry);
	const struct given given = {.texts = (const char *const *)entry->values,
	                            .places = (const char *const *)places,
	                            .count = entry->count,
	                            .list = entry->kind == YAML_LIST,
	                            .folder = folder,
	                            .place = place};
	bool set = set_row(loading, row, &given);
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
	const char *prefix = groups[group].prefix;
	char *full = xasprintf("%s%s", prefix, entry->key);
	const struct setting *row = setting_find(settings_table(), full);
	bool is_group = is_row_group(full);
	free(full);
	describe_place(place, file->path, entry->line, entry->column);
	if (!row && entry->kind == YAML_MAP && is_group)
		return true;
	if (!row && is_group)
		return error_set(loading->error, ERROR_USAGE, "%s: '%s' holds keys of its own, as in '%s: {...}'", place,
		                 entry->key, entry->key);
	if (!row)
		return fail_unknown_key(loading, prefix, entry->key, place);
	if (entry->kind == YAML_MAP)
		return error_set(loading->error, ERROR_USAGE, "%s: %s: takes a value, not a map", place, row->key);
	if (fail_if_set_before(loading, yaml, prefix, row, entry, place))
		return false;
	return set_from_entry(loading, file, row, entry);
}

/* A machine or kernel file gives its own name unless it sets one. */
static void set_group_name(struct loading *loading, enum group group, const char *path)
{
	if (!groups[group].name_key)
		return;
	const struct setting *row = setting_find(settings_table(), groups[group].name_key);
	char *stem = stem_of(path);
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

static bool apply_file(struct loading *loading, enum group group, const char *path, const struct chain *includer,
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

/* ---- --set and variants ---- */

static const char set_place[] = "--set", option_mark[] = "--";

/* The value's texts: a list may be written [a, b] or a,b. Changes the value; returns how many, at most SETTING_LIST_MAX + 1. */
static size_t split_list(char *value, const char *texts[SETTING_LIST_MAX + 1])
{
	size_t length = strlen(value), count = 0;
	if (length >= 2 && value[0] == '[' && value[length - 1] == ']') {
		value[length - 1] = 0;
		value++;
	}
	for (char *next = value; next && count <= SETTING_LIST_MAX; value = next) {
		next = strchr(value, ',');
		if (next)
			*next++ = 0;
		value += strspn(value, " ");
		for (char *end = value + strlen(value); end > value && end[-1] == ' ';)
			*--end = 0;
		texts[count++] = value;
	}
	return count;
}

/* `key=value` without the "--" of an option. */
static const char *bare_set(const char *set)
{
	return strncmp(set, option_mark, strlen(option_mark)) == 0 ? set + strlen(option_mark) : set;
}

/* What the user typed it as: the option, or --set. The caller frees it. */
static char *place_of_set(const char *set)
{
	return bare_set(set) == set ? xstrdup(set_place) : xasprintf("%.*s", (int)strcspn(set, "="), set);
}

static void add_said(struct loading *loading, const char *text, char *place, const char *folder)
{
	loading->said = xrealloc(loading->said, (loading->said_count + 1) * sizeof *loading->said);
	loading->said[loading->said_count++] = (struct said){.text = text, .place = place, .folder = folder};
}

/* A variant's own first, so that the user's win. variant_place: where the scenario has it. */
static void gather_said(struct loading *loading, const char *variant_place)
{
	const struct variant *variant = loading->source->variant;
	const char *const *sets = loading->source->sets;
	for (size_t i = 0; variant && i < variant->sets_count; i++)
		add_said(loading, variant->sets[i], xasprintf("%s: variants: %s", variant_place, variant->label),
		         loading->scenario_folder);
	for (size_t i = 0; sets && sets[i]; i++)
		add_said(loading, bare_set(sets[i]), place_of_set(sets[i]), NULL);
}

static bool apply_said(struct loading *loading, const struct said *said)
{
	char *key = xstrdup(said->text), *value = strchr(key, '=');
	SIM_ASSERT(value);
	*value++ = 0;
	const char *texts[SETTING_LIST_MAX + 1] = {value};
	const struct setting *row = setting_find(settings_table(), key);
	bool list = row && row->type == SETTING_LIST;
	size_t count = list ? split_list(value, texts) : 1;
	bool applied = true;
	if (row)
		applied = set_row(loading, row,
		                  &(struct given){.texts = texts,
		                                  .count = count,
		                                  .list = list && count > 1,
		                                  .folder = said->folder,
		                                  .place = said->place});
	else
		applied = fail_unknown_key(loading, "", key, said->place);
	free(key);
	return applied;
}

/* The group that "machine=NAME" or "kernel=NAME" names, GROUPS for any other key. */
static enum group group_of_said(const struct said *said)
{
	for (enum group group = 0; group < GROUP_SCENARIO; group++) {
		size_t length = strlen(groups[group].key);
		if (strncmp(said->text, groups[group].key, length) == 0 && said->text[length] == '=')
			return group;
	}
	return GROUPS;
}

/* Finds what is said of machine and kernel, which comes before the files, and applies it. */
static bool apply_said_groups(struct loading *loading)
{
	for (size_t i = 0; i < loading->said_count; i++) {
		const struct said *said = &loading->said[i];
		if (!strchr(said->text, '='))
			return error_set(loading->error, ERROR_USAGE, "%s: '%.200s' is not of the form KEY=VALUE", said->place,
			                 said->text);
		if (group_of_said(said) < GROUPS)
			loading->said_group[group_of_said(said)] = said;
	}
	for (enum group group = 0; group < GROUP_SCENARIO; group++) {
		const struct said *said = loading->said_group[group];
		if (!said)
			continue;
		char *path =
		        find_config(loading, group, strchr(said->text, '=') + 1, said->folder ? said->folder : "", said->place);
		bool applied = path && apply_file(loading, group, path, NULL, said->place);
		free(path);
		if (!applied)
			return false;
	}
	return true;
}

static bool apply_all_said(struct loading *loading)
{
	for (size_t i = 0; i < loading->said_count; i++)
		if (group_of_said(&loading->said[i]) == GROUPS && !apply_said(loading, &loading->said[i]))
			return false;
	return true;
}

/* ---- the whole ---- */

static void release_loading(struct loading *loading)
{
	for (unsigned i = 0; i < NAMED_PATHS; i++)
		free(loading->paths[i].folder);
	for (size_t i = 0; i < loading->said_count; i++)
		free(loading->said[i].place);
	free(loading->said);
	release_variant_places(loading);
	free(loading->scenario_folder);
}

static bool is_same_file(const char *left, const char *right)
{
	struct stat found_left, found_right;
	return stat(left, &found_left) == 0 && stat(right, &found_right) == 0 && found_left.st_dev == found_right.st_dev &&
	       found_left.st_ino == found_right.st_ino;
}

/* Leaves out "FOLDER/../" where the file stays the same (a FOLDER that is a link leads elsewhere). Changes the path. */
static void shorten_path(char *path)
{
	char *shorter = xstrdup(path);
	for (char *up = shorter; (up = strstr(up, "/../")) != NULL;) {
		char *folder = up;
		while (folder > shorter && folder[-1] != '/')
			folder--;
		bool is_name = folder < up && strncmp(folder, "..", (size_t)(up - folder)) != 0 && *folder != '.';
		if (!is_name) {
			up++;
			continue;
		}
		memmove(folder, up + 4, strlen(up + 4) + 1);
		up = folder > shorter ? folder - 1 : shorter;
	}
	if (is_same_file(path, shorter))
		memcpy(path, shorter, strlen(shorter) + 1);
	free(shorter);
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
	bool (*there)(const char *) = which == PATH_TRACE ? is_file : is_there;
	char *beside = join_path(named->folder ? named->folder : "", *path);
	if (there(beside)) {
		free(*path);
		shorten_path(beside);
		*path = beside;
		return true;
	}
	bool found = there(*path);
	if (!found)
		error_set(loading->error, ERROR_HOST, "%s: %s: there is no file '%s'", named->place, path_keys[which], beside);
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
	loading->scenario_folder = folder_of(loading->source->path ? loading->source->path : "");
	settings_init(loading->settings);
	gather_said(loading, variant_place);
	bool loaded = apply_said_groups(loading) && apply(loading, context) && apply_all_said(loading) && resolve_paths(loading);
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
	struct setting_names *registry = source->names ? NULL : scenario_registry_names();
	struct loading loading = {
	        .source = source, .names = registry ? registry : source->names, .settings = settings, .error = error};
	bool loaded = load_one(&loading, apply, context, source->path);
	if (loaded && !source->variant && !check_variants(&loading, apply, context)) {
		settings_release(settings);
		loaded = false;
	}
	release_loading(&loading);
	if (registry)
		scenario_names_release(registry);
	return loaded;
}

static bool apply_path(struct loading *loading, const void *context)
{
	const char *path = context;
	if (!path || is_path(path) || is_there(path))
		return !path || apply_file(loading, GROUP_SCENARIO, path, NULL, path);
	char *found = find_config(loading, GROUP_SCENARIO, path, "", "command line");
	bool applied = found && apply_file(loading, GROUP_SCENARIO, found, NULL, path);
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
	struct setting_names *names = scenario_registry_names();
	struct loading loading = {.source = &source, .names = names, .settings = settings, .error = error};
	gather_said(&loading, NULL);
	bool applied = apply_all_said(&loading);
	release_loading(&loading);
	scenario_names_release(names);
	return applied;
}

/* ---- names of the registry ---- */

/* The lists end with one whose `of` is NULL, names with NULL. */
struct name_lists {
	struct setting_names *at;
	size_t lists, names; /* names: of the last list */
};

static void begin_names(struct name_lists *lists, const char *of)
{
	lists->at = xrealloc(lists->at, (lists->lists + 2) * sizeof *lists->at);
	lists->at[lists->lists++] = (struct setting_names){of, xcalloc(1, sizeof *lists->at->names)};
	lists->at[lists->lists] = (struct setting_names){0};
	lists->names = 0;
}

static void add_name(struct name_lists *lists, const char *name)
{
	struct setting_names *last = &lists->at[lists->lists - 1];
	const char **names = xrealloc((void *)(uintptr_t)last->names, (lists->names + 2) * sizeof *names);
	names[lists->names++] = name;
	names[lists->names] = NULL;
	last->names = names;
}

/* Those of the models in a table of the registry. */
#define ADD_MODELS(lists, port) \
	for (const struct port##_model *model = port##_models; model->ops; model++) \
	add_name(lists, model->ops->name)

struct setting_names *scenario_registry_names(void)
{
	struct name_lists lists = {0};
	begin_names(&lists, "object_allocator");
	ADD_MODELS(&lists, object_allocator);
	begin_names(&lists, "page_allocator");
	ADD_MODELS(&lists, page_allocator);
	begin_names(&lists, "virtual_allocator");
	ADD_MODELS(&lists, virtual_allocator);
	begin_names(&lists, "user_memory");
	ADD_MODELS(&lists, user_memory);
	begin_names(&lists, "memory");
	ADD_MODELS(&lists, memory);
	begin_names(&lists, "replacement");
	ADD_MODELS(&lists, replacement);
	begin_names(&lists, "dram");
	ADD_MODELS(&lists, dram);
	begin_names(&lists, "cache_level");
	ADD_MODELS(&lists, cache_level);
	begin_names(&lists, "translation");
	add_name(&lists, PAGING_AUTO);
	ADD_MODELS(&lists, translation);
	begin_names(&lists, "report");
	for (size_t i = 0; report_pictures[i].name; i++)
		add_name(&lists, report_pictures[i].name);
	return lists.at;
}

void scenario_names_release(struct setting_names *names)
{
	for (struct setting_names *kind = names; kind->of; kind++)
		free((void *)(uintptr_t)kind->names);
	free(names);
}
