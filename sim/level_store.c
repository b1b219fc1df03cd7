/* SPDX-License-Identifier: MIT
 *
 * level_store.c - counters of TLBs and caches into rows (interface: level_store.h).
 */
#include "sim/level_store.h"

/* ---- what watches saw ---- */

static bool store_share(struct store *store, int64_t run_id, const char *level, const char *by, const char *name,
                        const struct watch_share *share, struct error *error)
{
	const struct store_level_share row = {level, by, name, share->accesses, share->misses};
	return share->accesses == 0 || store_level_share(store, run_id, &row, error);
}

/* The name of a region's number, NULL if no region has it. */
static const char *name_of_region(unsigned nr)
{
	if (nr == REGION_NONE)
		return "not told";
	return nr < REGIONS || (nr >= REGION_TABLES && nr < REGION_NUMBERS) ? region_name((enum region)nr) : NULL;
}

/* Shares of one watch; those of several watches of one level add up in the database. */
static bool store_shares(struct store *store, int64_t run_id, const char *level, const struct level_watch *watch,
                         const struct level_names *names, struct error *error)
{
	for (unsigned nr = 0; nr < WATCH_REGIONS; nr++) {
		const char *name = name_of_region(nr);
		SIM_ASSERT(name || watch->region[nr].accesses == 0);
		if (name && !store_share(store, run_id, level, "region", name, &watch->region[nr], error))
			return false;
	}
	for (uint32_t nr = 0; names->owner && nr < watch->owners_count; nr++) {
		const char *name = names->owner(names->context, nr);
		if (name && !store_share(store, run_id, level, names->by, name, &watch->owners[nr], error))
			return false;
	}
	return true;
}

static void add_watch(struct store_level *row, const struct level_watch *watch)
{
	if (!watch)
		return;
	row->watched = true;
	row->thrash_window = watch->thrash[0].window;
	row->unused_evictions += level_watch_unused_evictions(watch);
	row->remisses += level_watch_remisses(watch);
	row->ping_pong_blocks += level_watch_ping_pong_blocks(watch);
}

/* ---- caches ---- */

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

static bool store_cache_kind(struct store *store, int64_t run_id, const struct cache_level *cache, const char *kind,
                             uint64_t page_bytes, const struct watch_kind *counts, struct error *error)
{
	const struct store_level_kind row = {.level = cache->spec->name,
	                                     .kind = kind,
	                                     .page_bytes = page_bytes,
	                                     .accesses = counts->accesses,
	                                     .hits = counts->accesses - counts->misses,
	                                     .misses = counts->misses,
	                                     .evictions = counts->evictions,
	                                     .write_backs = counts->write_backs};
	bool is_empty = !row.accesses && !row.evictions && !row.write_backs;
	return is_empty || store_level_kind(store, run_id, &row, error);
}

/* What a watch tells of a kind, page size by page size. */
static bool store_watched_kind(struct store *store, int64_t run_id, const struct cache_level *cache, unsigned kind,
                               struct error *error)
{
	for (unsigned page = 0; page <= PAGE_SIZES; page++)
		if (!store_cache_kind(store, run_id, cache, access_kind_name(kind),
		                      page ? page_size_bytes((enum page_size)(page - 1)) : 0, &cache->watch->kind[kind][page],
		                      error))
			return false;
	return true;
}

static bool store_cache_kinds(struct store *store, int64_t run_id, const struct cache_level *cache, struct error *error)
{
	const struct cache_counters *counters = &cache->counters;
	for (unsigned kind = 0; kind < ACCESS_KINDS; kind++) {
		const struct watch_kind counts = {counters->accesses[kind], counters->misses[kind], counters->evictions[kind],
		                                  counters->write_backs[kind]};
		if (cache->watch ? !store_watched_kind(store, run_id, cache, kind, error)
		                 : !store_cache_kind(store, run_id, cache, access_kind_name(kind), 0, &counts, error))
			return false;
	}
	const struct watch_kind flushed = {.write_backs = counters->flush_write_backs};
	return store_cache_kind(store, run_id, cache, "flush", 0, &flushed, error);
}

static bool store_cache_level(struct store *store, int64_t run_id, const struct cache_level *cache, uint32_t position,
                              struct error *error)
{
	const struct cache_counters *counters = &cache->counters;
	const struct cache_level_spec *spec = cache->spec;
	struct store_level row = {.level = spec->name,
	                          .port = "cache",
	                          .position = position,
	                          .instances = cache->instances,
	                          .entries = cache->entries,
	                          .ways = spec->ways && cache->entries ? spec->ways : cache->entries,
	                          .unit_bytes = spec->line_bytes,
	                          .reach_bytes = lines_inside(cache) * spec->line_bytes,
	                          .accesses = access_sum(counters->accesses),
	                          .misses = access_sum(counters->misses),
	                          .evictions = access_sum(counters->evictions),
	                          .write_backs = access_sum(counters->write_backs) + counters->flush_write_backs};
	add_watch(&row, cache->watch);
	return store_level(store, run_id, &row, error) && store_cache_kinds(store, run_id, cache, error);
}

bool level_store_caches(struct store *store, int64_t run_id, const struct cache_hierarchy *caches,
                        const struct level_names *names, uint32_t *position, struct error *error)
{
	for (unsigned i = 0; i < caches->count; i++) {
		const struct cache_level *cache = caches->caches[i];
		if (!store_cache_level(store, run_id, cache, (*position)++, error))
			return false;
		if (cache->watch && !store_shares(store, run_id, cache->spec->name, cache->watch, names, error))
			return false;
	}
	return true;
}

bool level_store_caches_sample(struct store *store, int64_t run_id, const struct level_moment *moment,
                               const struct cache_hierarchy *caches, struct error *error)
{
	for (unsigned i = 0; i < caches->count; i++) {
		const struct cache_level *cache = caches->caches[i];
		const struct store_level_sample row = {.level = cache->spec->name,
		                                       .position = moment->position,
		                                       .time_ns = moment->time_ns,
		                                       .accesses = access_sum(cache->counters.accesses),
		                                       .misses = access_sum(cache->counters.misses)};
		if (!store_level_sample(store, run_id, moment->sample, &row, error))
			return false;
	}
	return true;
}

/* ---- TLBs ---- */

/* What one array of a level counted over all cores. */
struct array_counts {
	uint64_t hits[ACCESS_KINDS][PAGE_SIZES], misses[ACCESS_KINDS][PAGE_SIZES];
	uint64_t evictions[ACCESS_KINDS][PAGE_SIZES]; /* where it is watched */
	uint64_t all_accesses, all_misses;
	uint64_t smallest_page;
};

/* Whether the level asks this array for pages of that size on behalf of that kind. */
static bool asks(const struct mmu_level *level, const struct tlb_level *array, unsigned kind, unsigned size)
{
	return level->array[kind == ACCESS_CODE ? MMU_CODE : MMU_DATA][size] == array;
}

static void add_level_counts(struct array_counts *counts, const struct mmu *mmu, unsigned level, unsigned array)
{
	const struct mmu_level_counters *counters = &mmu->level_counters[level];
	for (unsigned kind = 0; kind < ACCESS_KINDS; kind++) {
		for (unsigned size = PAGE_SIZES; size-- > 0;) {
			if (!asks(&mmu->level[level], mmu->arrays[array], kind, size))
				continue;
			counts->hits[kind][size] += counters->hits[kind][size];
			counts->misses[kind][size] += counters->misses[kind][size];
			counts->all_accesses += counters->hits[kind][size] + counters->misses[kind][size];
			counts->all_misses += counters->misses[kind][size];
			counts->smallest_page = page_size_bytes((enum page_size)size);
		}
	}
}

static void add_evictions(struct array_counts *counts, const struct level_watch *watch)
{
	for (unsigned kind = 0; kind < ACCESS_KINDS; kind++)
		for (unsigned size = 0; size < PAGE_SIZES; size++)
			counts->evictions[kind][size] += watch->kind[kind][size + 1].evictions;
}

static struct array_counts count_array(const struct mmu *mmu, unsigned cpus, unsigned array)
{
	struct array_counts counts = {0};
	for (unsigned cpu = 0; cpu < cpus; cpu++) {
		for (unsigned level = 0; level < mmu[cpu].levels; level++)
			add_level_counts(&counts, &mmu[cpu], level, array);
		if (mmu[cpu].arrays[array]->watch)
			add_evictions(&counts, mmu[cpu].arrays[array]->watch);
	}
	return counts;
}

static bool store_array_kinds(struct store *store, int64_t run_id, const char *name, const struct array_counts *counts,
                              struct error *error)
{
	for (unsigned kind = 0; kind < ACCESS_KINDS; kind++) {
		for (unsigned size = 0; size < PAGE_SIZES; size++) {
			const struct store_level_kind row = {.level = name,
			                                     .kind = access_kind_name(kind),
			                                     .page_bytes = page_size_bytes((enum page_size)size),
			                                     .accesses = counts->hits[kind][size] + counts->misses[kind][size],
			                                     .hits = counts->hits[kind][size],
			                                     .misses = counts->misses[kind][size],
			                                     .evictions = counts->evictions[kind][size]};
			if ((row.accesses || row.evictions) && !store_level_kind(store, run_id, &row, error))
				return false;
		}
	}
	return true;
}

static void count_reach(void *context, struct tlb_entry entry)
{
	*(uint64_t *)context += page_size_bytes(tlb_tag_size(entry.tag));
}

static bool store_array(struct store *store, int64_t run_id, const struct mmu *mmu, unsigned cpus, unsigned array,
                        uint32_t position, struct error *error)
{
	const struct tlb_level *first = mmu[0].arrays[array];
	struct array_counts counts = count_array(mmu, cpus, array);
	struct store_level row = {.level = first->name,
	                          .port = "tlb",
	                          .position = position,
	                          .instances = cpus,
	                          .entries = first->capacity,
	                          .ways = first->ways,
	                          .unit_bytes = (uint32_t)counts.smallest_page,
	                          .accesses = counts.all_accesses,
	                          .misses = counts.all_misses};
	for (unsigned cpu = 0; cpu < cpus; cpu++) {
		const struct tlb_level *tlb = mmu[cpu].arrays[array];
		row.evictions += tlb->counters.evictions;
		tlb->ops->visit(tlb, count_reach, &row.reach_bytes);
		add_watch(&row, tlb->watch);
	}
	return store_level(store, run_id, &row, error) && store_array_kinds(store, run_id, first->name, &counts, error);
}

bool level_store_tlbs(struct store *store, int64_t run_id, const struct mmu *mmu, unsigned cpus, const struct level_names *names,
                      uint32_t *position, struct error *error)
{
	for (unsigned array = 0; array < mmu[0].arrays_count; array++) {
		if (!store_array(store, run_id, mmu, cpus, array, (*position)++, error))
			return false;
		for (unsigned cpu = 0; cpu < cpus; cpu++) {
			const struct tlb_level *tlb = mmu[cpu].arrays[array];
			if (tlb->watch && !store_shares(store, run_id, tlb->name, tlb->watch, names, error))
				return false;
		}
	}
	return true;
}

bool level_store_tlbs_sample(struct store *store, int64_t run_id, const struct level_moment *moment, const struct mmu *mmu,
                             unsigned cpus, struct error *error)
{
	for (unsigned array = 0; array < mmu[0].arrays_count; array++) {
		struct array_counts counts = count_array(mmu, cpus, array);
		const struct store_level_sample row = {.level = mmu[0].arrays[array]->name,
		                                       .position = moment->position,
		                                       .time_ns = moment->time_ns,
		                                       .accesses = counts.all_accesses,
		                                       .misses = counts.all_misses};
		if (!store_level_sample(store, run_id, moment->sample, &row, error))
			return false;
	}
	return true;
}

/* ---- page walks ---- */

static bool store_references(struct store *store, int64_t run_id, unsigned region, const char *served_by, uint64_t references,
                             struct error *error)
{
	const struct store_walk_reference row = {region_name((enum region)region), served_by, references};
	return references == 0 || store_walk_reference(store, run_id, &row, error);
}

bool level_store_walks(struct store *store, int64_t run_id, const struct cache_hierarchy *caches, struct error *error)
{
	for (unsigned region = REGION_TABLES; region < REGION_NUMBERS; region++) {
		uint64_t missed = 0;
		for (unsigned i = 0; i < caches->count; i++) {
			const struct level_watch *watch = caches->caches[i]->watch;
			if (!watch || watch->region[region].accesses == 0)
				continue;
			missed = watch->region[region].misses;
			if (!store_references(store, run_id, region, caches->caches[i]->spec->name,
			                      watch->region[region].accesses - missed, error))
				return false;
		}
		if (!store_references(store, run_id, region, "memory", missed, error))
			return false;
	}
	return true;
}
