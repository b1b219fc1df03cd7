/* SPDX-License-Identifier: MIT
 *
 * curve_machines.c - machines' files into levels, levels into stacks (interface: curve_machines.h).
 */
#include "tools/kmemsim/curve_machines.h"

#include "models/cache_settings.h"
#include "models/scenario.h"
#include "models/tlb_settings.h"
#include "tools/kmemsim/configs.h"

#include <stdlib.h>
#include <string.h>

static bool same_accesses(const struct curve_machines *machines, unsigned stacks, uint64_t sets, enum curve_kinds kinds)
{
	return machines->stacks[stacks].sets.sets == sets && machines->stacks[stacks].kinds == kinds;
}

/* The stacks are made when all levels are known: they have the ways of the widest. */
static unsigned stacks_for(struct curve_machines *machines, uint64_t sets, uint32_t ways, enum curve_kinds kinds)
{
	unsigned at = 0;
	while (at < machines->stacks_count && !same_accesses(machines, at, sets, kinds))
		at++;
	if (at == machines->stacks_count) {
		machines->stacks_count++;
		machines->stacks[at].sets = (struct set_stacks){.sets = sets};
		machines->stacks[at].kinds = kinds;
	}
	if (machines->stacks[at].sets.ways < ways)
		machines->stacks[at].sets.ways = ways;
	return at;
}

/* A copy that CSV and JSON take as it is. */
static char *plain_name(const char *name)
{
	char *plain = xstrdup(name);
	for (char *at = plain; *at; at++)
		if (strchr("\"\\,", *at) || (unsigned char)*at < ' ')
			*at = '?';
	return plain;
}

static bool add_level(struct curve_machines *machines, const struct curve_level *level, enum curve_kinds kinds,
                      struct error *error)
{
	struct curve_level added = *level;
	added.ways = level->ways ? level->ways : (uint32_t)level->entries;
	if (added.ways == 0 || level->entries == 0 || level->entries % added.ways != 0 || added.ways > SET_STACKS_WAYS_MAX ||
	    level->entries > SET_STACKS_PLACES_MAX)
		return error_set(
		        error, ERROR_USAGE, "%s: %s: %llu entries in sets of %u; a curve takes whole sets of at most %u ways",
		        level->machine, level->name, (unsigned long long)level->entries, added.ways, SET_STACKS_WAYS_MAX);
	if (machines->levels == CURVE_LEVELS_MAX)
		return error_set(error, ERROR_USAGE, "the machines have more than %u levels; name some with --machine",
		                 CURVE_LEVELS_MAX);
	added.machine = plain_name(level->machine);
	added.name = plain_name(level->name);
	added.stacks = stacks_for(machines, level->entries / added.ways, added.ways, kinds);
	machines->level[machines->levels++] = added;
	return true;
}

/* Of the accesses that a level serves those that are wanted; false: none. */
static bool meet(enum curve_kinds serves, enum curve_kinds wanted, enum curve_kinds *kinds)
{
	*kinds = serves == CURVE_ALL ? wanted : serves;
	return wanted == CURVE_ALL || *kinds == wanted;
}

static bool add_caches(struct curve_machines *machines, const struct settings *settings, const struct curve_wanted *wanted,
                       struct error *error)
{
	static const enum curve_kinds serves[] = {
	        [SERVES_ALL] = CURVE_ALL, [SERVES_CODE] = CURVE_CODE, [SERVES_DATA] = CURVE_DATA};
	struct cache_level_spec *specs;
	unsigned count;
	bool added = cache_specs_read(settings, &specs, &count, error);
	if (!added)
		return false;
	for (unsigned i = 0; i < count && added; i++) {
		const struct curve_level level = {.machine = settings->machine.name,
		                                  .name = specs[i].name,
		                                  .entries = specs[i].size_bytes / specs[i].line_bytes,
		                                  .ways = specs[i].ways};
		enum curve_kinds kinds;
		bool has_end = strcmp(specs[i].model, "ideal") != 0;
		if (has_end && specs[i].line_bytes == wanted->block_bytes && meet(serves[specs[i].serves], wanted->kinds, &kinds))
			added = add_level(machines, &level, kinds, error);
	}
	cache_specs_release(specs, count);
	return added;
}

/* Whether an array that keeps `pages`, such as 4K+2M, keeps pages of this size. */
static bool keeps(const char *pages, uint64_t bytes)
{
	for (const char *at = pages; at; at = strchr(at, '+') ? strchr(at, '+') + 1 : NULL)
		for (enum page_size size = 0; size < PAGE_SIZES; size++) {
			const char *name = page_size_name(size);
			if (page_size_bytes(size) == bytes && strncmp(at, name, strlen(name)) == 0)
				return true;
		}
	return false;
}

static bool add_tlbs(struct curve_machines *machines, const struct settings *settings, const struct curve_wanted *wanted,
                     struct error *error)
{
	static const enum curve_kinds serves[] = {
	        [TLB_SERVES_ALL] = CURVE_ALL, [TLB_SERVES_CODE] = CURVE_CODE, [TLB_SERVES_DATA] = CURVE_DATA};
	bool added = true;
	for (uint32_t i = 0; i < settings->machine.tlbs_count && added; i++) {
		struct tlb_spec spec;
		if (!tlb_spec_read(settings->machine.tlbs[i], "machine.tlbs", &spec, error))
			return false;
		const struct curve_level level = {
		        .machine = settings->machine.name, .name = spec.name, .entries = spec.entries, .ways = spec.ways};
		enum curve_kinds kinds;
		if (spec.entries && keeps(spec.pages, wanted->block_bytes) && meet(serves[spec.serves], wanted->kinds, &kinds))
			added = add_level(machines, &level, kinds, error);
		tlb_spec_release(&spec);
	}
	return added;
}

static bool add_machine(struct curve_machines *machines, const char *name, const struct curve_wanted *wanted, struct error *error)
{
	char *set = xasprintf("--machine=%s", name);
	const struct scenario_source source = {.config_dirs = config_dirs(), .sets = (const char *const[]){set, NULL}};
	struct settings settings;
	bool added = scenario_load(&source, &settings, error);
	free(set);
	if (!added)
		return false;
	added = (wanted->tlb ? add_tlbs : add_caches)(machines, &settings, wanted, error);
	settings_release(&settings);
	return added;
}

static bool add_named(struct curve_machines *machines, const struct curve_wanted *wanted, struct error *error)
{
	char *names = xstrdup(wanted->machines), *rest = names, *name;
	bool added = true;
	while (added && (name = strsep(&rest, ",")))
		added = strcmp(name, "none") == 0 || add_machine(machines, name, wanted, error);
	free(names);
	return added;
}

static bool add_all(struct curve_machines *machines, const struct curve_wanted *wanted, struct error *error)
{
	struct config_list list;
	config_list_init(&list, config_dirs(), "machines");
	bool added = true;
	for (size_t i = 0; i < list.count && added; i++)
		added = add_machine(machines, list.at[i].name, wanted, error);
	config_list_release(&list);
	return added;
}

bool curve_machines_read(const struct curve_wanted *wanted, struct curve_machines *machines, struct error *error)
{
	machines->levels = machines->stacks_count = 0;
	bool added = wanted->machines ? add_named(machines, wanted, error) : add_all(machines, wanted, error);
	for (unsigned at = 0; at < machines->stacks_count; at++) {
		struct set_stacks *sets = &machines->stacks[at].sets;
		set_stacks_init(sets, sets->sets, sets->ways);
	}
	if (!added)
		curve_machines_release(machines);
	return added;
}

void curve_machines_release(struct curve_machines *machines)
{
	for (unsigned i = 0; i < machines->levels; i++) {
		free(machines->level[i].machine);
		free(machines->level[i].name);
	}
	for (unsigned at = 0; at < machines->stacks_count; at++)
		set_stacks_release(&machines->stacks[at].sets);
	machines->levels = machines->stacks_count = 0;
}

void curve_machines_count(struct curve_machines *machines, enum curve_kinds kinds, const uint64_t *blocks, size_t count)
{
	for (unsigned at = 0; at < machines->stacks_count; at++)
		if (machines->stacks[at].kinds == kinds)
			set_stacks_count(&machines->stacks[at].sets, blocks, count);
}

uint64_t curve_level_misses(const struct curve_machines *machines, const struct curve_level *level)
{
	return set_stacks_misses(&machines->stacks[level->stacks].sets, level->ways);
}

uint64_t curve_level_accesses(const struct curve_machines *machines, const struct curve_level *level)
{
	return machines->stacks[level->stacks].sets.accesses;
}

bool curve_levels_alike(const struct curve_level *left, const struct curve_level *right)
{
	return left->stacks == right->stacks && left->ways == right->ways;
}

void curve_machines_check(const struct curve_machines *machines)
{
	for (unsigned at = 0; at < machines->stacks_count; at++)
		set_stacks_check(&machines->stacks[at].sets);
}
