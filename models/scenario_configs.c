/* SPDX-License-Identifier: MIT
 *
 * scenario_configs.c - the configs of a folder, and the file that a name means (interface: scenario.h, scenario_internal.h).
 */
#include "models/scenario_internal.h"

#include "sim/nearest.h"
#include "sim/path.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

const struct scenario_group scenario_groups[GROUPS] = {
        [GROUP_MACHINE] = {"machine", "machine.", "machine", "machines", "machine.name"},
        [GROUP_KERNEL] = {"kernel", "kernel.", "kernel", "kernels", "kernel.name"},
        [GROUP_SCENARIO] = {"include", "", "scenario", "scenarios", NULL}};

bool scenario_is_path(const char *name)
{
	size_t length = strlen(name);
	return strchr(name, '/') || (length > 5 && strcmp(name + length - 5, ".yaml") == 0) ||
	       (length > 4 && strcmp(name + length - 4, ".yml") == 0);
}

/* ---- lists ---- */

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
		char *name = path_stem(file->d_name);
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
	char *beside = xasprintf("%s%s", loading->scenario_folder, scenario_groups[group].folder);
	add_folder(&list, beside);
	add_config_dirs(&list, loading->source->config_dirs, scenario_groups[group].folder);
	struct nearest nearest;
	nearest_start(&nearest, name);
	for (size_t i = 0; i < list.count; i++)
		nearest_offer(&nearest, list.at[i].name);
	const char *meant = nearest_found(&nearest);
	char quoted[SETTING_QUOTE_MAX];
	error_set(loading->error, ERROR_USAGE, "%s: there is no %s %s%s%s%s (looked in %s/ and the config folders' %s/)", place,
	          scenario_groups[group].noun, setting_quote(name, quoted), meant ? "; did you mean '" : "", meant ? meant : "",
	          meant ? "'?" : "", beside, scenario_groups[group].folder);
	free(beside);
	config_list_release(&list);
}

char *scenario_find_config(const struct loading *loading, enum group group, const char *name, const char *from_folder,
                           const char *place)
{
	char quoted[SETTING_QUOTE_MAX];
	if (!*name) {
		error_set(loading->error, ERROR_USAGE, "%s: %s: the name is empty", place, scenario_groups[group].key);
		return NULL;
	}
	if (scenario_is_path(name)) {
		char *path = path_join(from_folder, name);
		if (path_is_regular(path))
			return path;
		error_set(loading->error, ERROR_HOST, "%s: %s: there is no file %s (%s)", place, scenario_groups[group].key,
		          setting_quote(name, quoted), path);
		free(path);
		return NULL;
	}
	char *path = xasprintf("%s%s/%s.yaml", loading->scenario_folder, scenario_groups[group].folder, name);
	for (size_t i = 0; !path_is_regular(path); i++) {
		free(path);
		const char *const *folders = loading->source->config_dirs;
		if (!folders || !folders[i]) {
			fail_no_config(loading, group, name, place);
			return NULL;
		}
		path = xasprintf("%s/%s/%s.yaml", folders[i], scenario_groups[group].folder, name);
	}
	return path;
}
