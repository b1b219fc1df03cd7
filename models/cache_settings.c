/* SPDX-License-Identifier: MIT
 *
 * cache_settings.c - the keys of machine.caches, and hierarchies made from them (interface: cache_settings.h).
 */
#include "models/cache_settings.h"

#include "models/registry.h"
#include "models/settings.h"
#include "sim/interconnect.h"

#include <stdlib.h>

#define AT(field) .offset = offsetof(struct cache_level_spec, field), .size = sizeof(((struct cache_level_spec *)0)->field)

#define KIB 1024ull
#define GIB (1024ull * 1024ull * KIB)

#define INTEL_OPTIMIZATION "Intel 64 and IA-32 Architectures Optimization Reference Manual"

static const char *const index_names[] = {[INDEX_LINEAR] = "linear", [INDEX_XOR] = "xor", NULL};
static const char *const serves_names[] = {[SERVES_ALL] = "all", [SERVES_CODE] = "code", [SERVES_DATA] = "data", NULL};
static const char *const inclusion_names[] = {
        [INCLUSION_NEITHER] = "neither", [INCLUSION_INCLUSIVE] = "inclusive", [INCLUSION_EXCLUSIVE] = "exclusive", NULL};
static const char *const write_names[] = {[WRITE_BACK] = "back", [WRITE_THROUGH] = "through", NULL};
static const char *const prefetch_names[] = {[PREFETCH_NONE] = "none",     [PREFETCH_ALWAYS] = "always", [PREFETCH_MISS] = "miss",
                                             [PREFETCH_TAGGED] = "tagged", [PREFETCH_STRIDE] = "stride", NULL};

const struct setting cache_spec_keys[] = {
        SETTING_LINE_NAME(struct cache_level_spec, "The cache's name in tables: the line's first word"),
        {.key = "model",
         .type = SETTING_STRING,
         .default_text = "set_assoc",
         .names_of = "cache_level",
         .help = "set_assoc: sets of ways; ideal: keeps every line, whatever size, ways, replacement and index say",
         .source = "what machines have",
         AT(model)},
        {.key = "size",
         .type = SETTING_SIZE,
         .default_text = "32 KiB",
         .min = CACHE_LINE_BYTES_MIN,
         .max = 64 * GIB,
         .help = "Bytes of lines in one instance; any whole number of sets of `ways` lines",
         .source = INTEL_OPTIMIZATION ": L1 of Skylake",
         AT(size_bytes)},
        {.key = "ways",
         .type = SETTING_COUNT,
         .default_text = "8",
         .zero_word = "all",
         .min = 1,
         .max = REPLACEMENT_WAYS_MAX,
         .help = "Lines of a set; all: one set",
         .source = INTEL_OPTIMIZATION ": L1 of Skylake",
         AT(ways)},
        {.key = "line",
         .type = SETTING_SIZE,
         .default_text = "64 B",
         .min = CACHE_LINE_BYTES_MIN,
         .max = CACHE_LINE_BYTES_MAX,
         .power_of_two = true,
         .help = "Bytes of a line",
         .source = "Intel SDM vol. 1: 64 bytes since Pentium 4",
         AT(line_bytes)},
        {.key = "level",
         .type = SETTING_COUNT,
         .default_text = "auto",
         .zero_word = "auto",
         .min = 1,
         .max = 255,
         .help = "Its distance from the core; auto: one more than the line before, or the same where one serves code and the "
                 "other data",
         .source = "the order of the lines",
         AT(level)},
        {.key = "cores",
         .type = SETTING_COUNT,
         .default_text = "1",
         .zero_word = "all",
         .min = 1,
         .max = CPUS_MAX,
         .help = "Cores that share an instance: neighbours by number",
         .source = "a private cache",
         AT(cores)},
        {.key = "replacement",
         .type = SETTING_STRING,
         .default_text = "lru",
         .names_of = "replacement",
         .help = "Which line of a full set goes",
         .source = "what cachegrind, Dinero IV and drcachesim use unless told",
         AT(replacement)},
        {.key = "index",
         .type = SETTING_ENUM,
         .names = index_names,
         .default_text = "linear",
         .help = "A line's set: linear: line number modulo sets; xor: its lowest bits xor the next as many",
         .source = "what cachegrind, Dinero IV and drcachesim do",
         AT(index)},
        {.key = "serves",
         .type = SETTING_ENUM,
         .names = serves_names,
         .default_text = "all",
         .help = "Which accesses come to it; the others pass it by",
         .source = "a unified cache",
         AT(serves)},
        {.key = "inclusion",
         .type = SETTING_ENUM,
         .names = inclusion_names,
         .default_text = "neither",
         .help = "inclusive: holds every line of the levels above, and takes out there what goes here; exclusive: is filled by "
                 "what leaves the level above, and a hit moves up",
         .source = "what cachegrind, Dinero IV and drcachesim do unless told",
         AT(inclusion)},
        {.key = "write",
         .type = SETTING_ENUM,
         .names = write_names,
         .default_text = "back",
         .help = "back: a store stays here until its line goes; through: every store goes on to the next level",
         .source = "Intel SDM vol. 3, 11.3: memory type WB",
         AT(write)},
        {.key = "write_allocate",
         .type = SETTING_BOOL,
         .default_text = "true",
         .help = "A store that misses brings its line in",
         .source = "Intel SDM vol. 3, 11.3: memory type WB",
         AT(write_allocate)},
        {.key = "prefetch",
         .type = SETTING_ENUM,
         .names = prefetch_names,
         .default_text = "none",
         .help = "Which reads bring later lines in too: always, those that miss, tagged (or use a prefetched line first), "
                 "or stride: the second equal distance in a row within a page",
         .source = "what cachegrind, Dinero IV and drcachesim do unless told",
         AT(prefetch)},
        {.key = "prefetch_distance",
         .type = SETTING_COUNT,
         .unit = "lines, or strides",
         .default_text = "1",
         .min = 1,
         .max = 4096,
         .help = "How far ahead the first prefetched line is",
         .source = "Dinero IV: one block",
         AT(prefetch_distance)},
        {.key = "prefetch_degree",
         .type = SETTING_COUNT,
         .unit = "lines",
         .default_text = "1",
         .min = 1,
         .max = 64,
         .help = "How many lines in a row are prefetched",
         .source = "Dinero IV: one block",
         AT(prefetch_degree)},
        {.key = "latency",
         .type = SETTING_COUNT,
         .unit = "cycles",
         .default_text = "auto",
         .zero_word = "auto",
         .min = 1,
         .max = 1000000,
         .help = "From the core to the data of a line that is here; auto: machine.latency of its place",
         .source = "the manuals' load-to-use latency",
         AT(latency_cycles)},
        {.key = "slots",
         .type = SETTING_COUNT,
         .default_text = "unlimited",
         .zero_word = "unlimited",
         .min = 1,
         .max = 4096,
         .help = "Misses of an instance that may be in flight at a time: fill buffers, miss status registers",
         .source = "a machine whose other limits count",
         AT(slots)},
        {.key = "ports",
         .type = SETTING_COUNT,
         .default_text = "unlimited",
         .zero_word = "unlimited",
         .min = 1,
         .max = 64,
         .help = "Requests that an instance takes in a cycle",
         .source = "a machine whose other limits count",
         AT(ports)},
        {.key = "slices",
         .type = SETTING_COUNT,
         .default_text = "1",
         .min = 1,
         .max = STOPS_MAX,
         .help = "Parts of an instance, each at a stop of machine.interconnect, that share its lines by a hash of the address",
         .source = "a cache of one piece",
         AT(slices)},
        {.key = "busy",
         .type = SETTING_COUNT,
         .unit = "cycles",
         .default_text = "0",
         .min = 0,
         .max = 1000,
         .help = "How long a request keeps its slice from the next one",
         .source = "a machine whose other limits count",
         AT(busy_cycles)},
        {.key = NULL}};

bool cache_spec_read(const char *line, const char *place, struct cache_level_spec *spec, struct error *error)
{
	return setting_read_line(cache_spec_keys, line, NULL, spec, place, error);
}

void cache_spec_release(struct cache_level_spec *spec)
{
	setting_table_release(cache_spec_keys, spec);
}

bool cache_specs_read(const struct settings *settings, struct cache_level_spec **specs, unsigned *count, struct error *error)
{
	uint32_t lines = settings->machine.caches_count;
	*specs = xcalloc(lines ? lines : 1, sizeof **specs);
	for (*count = 0; *count < lines; ++*count)
		if (!cache_spec_read(settings->machine.caches[*count], "machine.caches", &(*specs)[*count], error)) {
			cache_specs_release(*specs, *count);
			return false;
		}
	return true;
}

void cache_specs_release(struct cache_level_spec *specs, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		cache_spec_release(&specs[i]);
	free(specs);
}

struct cache_rules cache_rules_of(const struct settings *settings)
{
	const struct machine_settings *machine = &settings->machine;
	return (struct cache_rules){.rule = machine->cache_rule,
	                            .line_crossing = machine->cache_line_crossing,
	                            .modify = machine->cache_modify,
	                            .walk_level = machine->cache_walk_level};
}

static struct replacement *make_array(const char *policy, const struct replacement_wiring *wiring, struct error *error)
{
	const struct replacement_model *model = replacement_model(policy, error);
	return model ? model->create(wiring, error) : NULL;
}

static struct cache_level *make_level(const struct cache_level_wiring *wiring, struct error *error)
{
	const struct cache_level_model *model = cache_level_model(wiring->spec->model, error);
	return model ? model->create(wiring, error) : NULL;
}

struct cache_hierarchy *caches_wire(struct cache_hierarchy_wiring wiring, struct error *error)
{
	wiring.level = make_level;
	wiring.array = make_array;
	return cache_hierarchy_create(&wiring, error);
}

struct cache_hierarchy *caches_create(const struct cache_level_spec *specs, unsigned count, const struct cache_rules *rules,
                                      unsigned cpus, uint64_t seed, enum simd simd, struct error *error)
{
	return caches_wire(
	        (struct cache_hierarchy_wiring){
	                .specs = specs, .count = count, .rules = *rules, .cpus = cpus, .seed = seed, .simd = simd},
	        error);
}

struct cache_hierarchy *caches_of_settings(const struct settings *settings, bool watch, const uint32_t *owner,
                                           struct error *error)
{
	struct cache_level_spec *specs;
	struct error cause = {0};
	unsigned count;
	if (!cache_specs_read(settings, &specs, &count, error))
		return NULL;
	struct cache_hierarchy *caches = caches_wire((struct cache_hierarchy_wiring){.specs = specs,
	                                                                             .count = count,
	                                                                             .rules = cache_rules_of(settings),
	                                                                             .cpus = settings->machine.cpus,
	                                                                             .seed = settings->seed,
	                                                                             .simd = SIMD_AUTO,
	                                                                             .watch = watch,
	                                                                             .watch_owner = owner},
	                                             &cause);
	if (!caches)
		error_set(error, cause.kind, "machine.caches: %s", cause.text);
	cache_specs_release(specs, count);
	return caches;
}
