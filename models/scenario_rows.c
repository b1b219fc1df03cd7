/* SPDX-License-Identifier: MIT
 *
 * scenario_rows.c - sets a row of the table of settings, and tells what a key may have meant that is none (interface:
 * scenario_internal.h).
 */
#include "models/scenario_internal.h"

#include "models/access_workload.h"
#include "models/machine_nodes.h"
#include "models/object_allocator/cache_tunables.h"
#include "models/object_allocator/slub.h"
#include "models/reserved_range.h"
#include "models/workload_line.h"
#include "sim/nearest.h"

#include <stdlib.h>
#include <string.h>

const char *const scenario_path_keys[NAMED_PATHS] = {"trace", "start", "expect", "accesses"};

bool scenario_has_prefix(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* Offers the groups of the table ("sample", "machine.latency") within the prefix, and the words that are no rows. */
static void offer_groups(struct nearest *nearest, const char *prefix, char found[YAML_KEY_LENGTH_MAX + 1])
{
	nearest_offer(nearest, "include");
	for (const struct setting *row = settings_table(); row->key; row++) {
		const char *dot = scenario_has_prefix(row->key, prefix) ? strchr(row->key + strlen(prefix), '.') : NULL;
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

bool scenario_unknown_key(const struct loading *loading, const char *prefix, const char *key, const char *place)
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
	if (row && scenario_has_prefix(row, prefix))
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

void scenario_release_variant_places(struct loading *loading)
{
	for (uint32_t i = 0; i < loading->variant_places_count; i++)
		free(loading->variant_places[i]);
	free(loading->variant_places);
}

static void note_variant_places(struct loading *loading, const struct given *given)
{
	scenario_release_variant_places(loading);
	loading->variant_places_count = loading->settings->variants_count;
	loading->variant_places = xcalloc((size_t)loading->variant_places_count + 1, sizeof *loading->variant_places);
	for (uint32_t i = 0; i < loading->variant_places_count; i++)
		loading->variant_places[i] = xstrdup(given->places ? given->places[i] : given->place);
}

bool scenario_set_row(struct loading *loading, const struct setting *row, const struct given *given)
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
		if (strcmp(row->key, scenario_path_keys[i]) != 0)
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

bool scenario_is_row_group(const char *key)
{
	size_t length = strlen(key);
	for (const struct setting *row = settings_table(); row->key; row++)
		if (strncmp(row->key, key, length) == 0 && row->key[length] == '.')
			return true;
	return false;
}
