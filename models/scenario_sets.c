/* SPDX-License-Identifier: MIT
 *
 * scenario_sets.c - what is said over the files: --set, options, and the settings of a variant (interface: scenario_internal.h).
 */
#include "models/scenario_internal.h"

#include <stdlib.h>
#include <string.h>

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

void scenario_gather_said(struct loading *loading, const char *variant_place)
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
		applied = scenario_set_row(loading, row,
		                           &(struct given){.texts = texts,
		                                           .count = count,
		                                           .list = list && count > 1,
		                                           .folder = said->folder,
		                                           .place = said->place});
	else
		applied = scenario_unknown_key(loading, "", key, said->place);
	free(key);
	return applied;
}

/* The group that "machine=NAME" or "kernel=NAME" names, GROUPS for any other key. */
static enum group group_of_said(const struct said *said)
{
	for (enum group group = 0; group < GROUP_SCENARIO; group++) {
		size_t length = strlen(scenario_groups[group].key);
		if (strncmp(said->text, scenario_groups[group].key, length) == 0 && said->text[length] == '=')
			return group;
	}
	return GROUPS;
}

bool scenario_apply_said_groups(struct loading *loading)
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
		char *path = scenario_find_config(loading, group, strchr(said->text, '=') + 1, said->folder ? said->folder : "",
		                                  said->place);
		bool applied = path && scenario_apply_file(loading, group, path, NULL, said->place);
		free(path);
		if (!applied)
			return false;
	}
	return true;
}

bool scenario_apply_all_said(struct loading *loading)
{
	for (size_t i = 0; i < loading->said_count; i++)
		if (group_of_said(&loading->said[i]) == GROUPS && !apply_said(loading, &loading->said[i]))
			return false;
	return true;
}
