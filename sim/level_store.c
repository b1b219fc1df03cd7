/* SPDX-License-Identifier: MIT
 *
 * level_store.c - counters of caches into rows (interface: level_store.h).
 */
#include "sim/level_store.h"

static uint64_t sum(const uint64_t counts[ACCESS_KINDS])
{
	uint64_t all = 0;
	for (unsigned kind = 0; kind < ACCESS_KINDS; kind++)
		all += counts[kind];
	return all;
}

static void count_line(void *context, uint64_t address, uint64_t marks)
{
	(void)address;
	(void)marks;
	++*(uint64_t *)context;
}

static uint64_t lines_inside(const struct cache_level *cache)
{
	uint64_t lines = 0;
	for (unsigned instance = 0; instance < cache->instances; instance++)
		cache->ops->each_line(cache, instance, count_line, &lines);
	return lines;
}

static bool store_one_share(struct store *store, int64_t run_id, const char *level, const char *by, const char *name,
                            const struct watch_share *share, struct error *error)
{
	const struct store_level_share row = {level, by, name, share->accesses, share->misses};
	return share->accesses == 0 || store_level_share(store, run_id, &row, error);
}

bool level_store_shares(struct store *store, int64_t run_id, const char *level, const struct level_watch *watch,
                        const struct level_names *names, struct error *error)
{
	for (unsigned nr = 0; nr < WATCH_REGIONS; nr++) {
		const char *name = names->regions && names->regions[nr] ? names->regions[nr] : "not told";
		if (!store_one_share(store, run_id, level, "region", name, &watch->region[nr], error))
			return false;
	}
	for (uint32_t nr = 0; names->owner && nr < watch->owners_count; nr++) {
		const char *name = names->owner(names->context, nr);
		if (name && !store_one_share(store, run_id, level, "owner", name, &watch->owners[nr], error))
			return false;
	}
	return true;
}

static bool store_kinds(struct store *store, int64_t run_id, const struct cache_level *cache, struct error *error)
{
	const struct cache_counters *counters = &cache->counters;
	for (unsigned kind = 0; kind < ACCESS_KINDS; kind++) {
		const struct store_level_kind row = {.level = cache->spec->name,
		                                     .kind = access_kind_name(kind),
		                                     .accesses = counters->accesses[kind],
		                                     .hits = counters->hits[kind],
		                                     .misses = counters->misses[kind]};
		if (row.accesses && !store_level_kind(store, run_id, &row, error))
			return false;
	}
	return true;
}

static bool store_cache_level(struct store *store, int64_t run_id, const struct cache_level *cache, uint32_t position,
                              struct error *error)
{
	const struct cache_counters *counters = &cache->counters;
	const struct cache_level_spec *spec = cache->spec;
	uint64_t entries = spec->size_bytes / spec->line_bytes;
	struct store_level row = {.level = spec->name,
	                          .port = "cache",
	                          .position = position,
	                          .instances = cache->instances,
	                          .entries = entries,
	                          .ways = spec->ways ? spec->ways : entries,
	                          .unit_bytes = spec->line_bytes,
	                          .reach_bytes = lines_inside(cache) * spec->line_bytes,
	                          .accesses = sum(counters->accesses),
	                          .misses = sum(counters->misses),
	                          .evictions = counters->evictions,
	                          .write_backs = counters->write_backs,
	                          .watched = cache->watch != NULL};
	if (cache->watch) {
		row.thrash_window = cache->watch->thrash[0].window;
		row.unused_evictions = level_watch_unused_evictions(cache->watch);
		row.remisses = level_watch_remisses(cache->watch);
		row.ping_pong_blocks = level_watch_ping_pong_blocks(cache->watch);
	}
	return store_level(store, run_id, &row, error) && store_kinds(store, run_id, cache, error);
}

bool level_store_caches(struct store *store, int64_t run_id, const struct cache_hierarchy *caches,
                        const struct level_names *names, uint32_t *position, struct error *error)
{
	for (unsigned i = 0; i < caches->count; i++) {
		const struct cache_level *cache = caches->caches[i];
		if (!store_cache_level(store, run_id, cache, (*position)++, error))
			return false;
		if (cache->watch && !level_store_shares(store, run_id, cache->spec->name, cache->watch, names, error))
			return false;
	}
	return true;
}

bool level_store_caches_sample(struct store *store, int64_t run_id, uint32_t sample, uint64_t position, uint64_t time_ns,
                               const struct cache_hierarchy *caches, struct error *error)
{
	for (unsigned i = 0; i < caches->count; i++) {
		const struct cache_level *cache = caches->caches[i];
		const struct store_level_sample row = {.level = cache->spec->name,
		                                       .position = position,
		                                       .time_ns = time_ns,
		                                       .accesses = sum(cache->counters.accesses),
		                                       .misses = sum(cache->counters.misses)};
		if (!store_level_sample(store, run_id, sample, &row, error))
			return false;
	}
	return true;
}
