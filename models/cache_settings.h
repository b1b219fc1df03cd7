/* SPDX-License-Identifier: MIT
 *
 * cache_settings.h - the caches of a machine as a scenario describes them: machine.caches, a list of lines from the first level
 * down, and the rules of counting.
 *
 *     caches: ["l1i size=32KiB ways=8 serves=code", "l1d size=32KiB ways=8 serves=data", "l2 size=1MiB ways=16",
 *              "llc size=8MiB ways=16 cores=all"]
 */
#ifndef MODELS_CACHE_SETTINGS_H
#define MODELS_CACHE_SETTINGS_H

#include "sim/cache_hierarchy.h"
#include "sim/setting.h"

struct settings;

/* The keys of a line; the struct they fill is cache_level_spec. */
extern const struct setting cache_spec_keys[];

/*
 * The caches that the settings describe: *specs of *count, to be given to cache_hierarchy_create() and then to
 * cache_specs_release(). false with *error if a line cannot be read.
 */
bool cache_specs_read(const struct settings *settings, struct cache_level_spec **specs, unsigned *count, struct error *error);
void cache_specs_release(struct cache_level_spec *specs, unsigned count);

/* One line, by itself. Release with cache_spec_release(). */
bool cache_spec_read(const char *line, const char *place, struct cache_level_spec *spec, struct error *error);
void cache_spec_release(struct cache_level_spec *spec);

struct cache_rules cache_rules_of(const struct settings *settings);

/*
 * A hierarchy of these caches and of the models that the registry has. NULL with *error if they do not fit together. simd as a
 * rule SIMD_AUTO.
 */
struct cache_hierarchy *caches_create(const struct cache_level_spec *specs, unsigned count, const struct cache_rules *rules,
                                      unsigned cpus, uint64_t seed, enum simd simd, struct error *error);

/* The same with every choice; the wiring's makers of levels and arrays are filled in. */
struct cache_hierarchy *caches_wire(struct cache_hierarchy_wiring wiring, struct error *error);

/* The hierarchy that the settings describe; machine.cpus is known by then. watch and owner: level_watch.h. */
struct cache_hierarchy *caches_of_settings(const struct settings *settings, bool watch, const uint32_t *owner,
                                           struct error *error);

#endif
