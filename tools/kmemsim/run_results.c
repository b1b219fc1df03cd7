/* SPDX-License-Identifier: MIT
 *
 * run_results.c - what a run counted, as rows of the database (interface: run_parts.h).
 */
#include "tools/kmemsim/run_parts.h"

#include "sim/level_store.h"
#include "sim/replay_program.h"
#include "sim/space_peaks.h"

#include <inttypes.h>
#include <stdio.h>

static const char *owner_of_cache(void *context, uint32_t owner)
{
	struct run_parts *parts = context;
	static const char *const none = "pages and large kmallocs";
	if (owner == REPLAY_OWNER_NONE)
		return none;
	const struct object_allocator *objects = parts->objects;
	if (owner > objects->ops->cache_limit(objects) ||
	    !objects->ops->cache_view(objects, (cache_id){owner - 1}, &parts->owner_view))
		return "caches that are gone";
	return parts->owner_view.name;
}

static const char *name_of_call_site(void *context, uint32_t call_site)
{
	const struct run_parts *parts = context;
	return trace_call_site(parts->trace, call_site);
}

struct op_cost_names run_names(struct run_parts *parts)
{
	return (struct op_cost_names){.owner = owner_of_cache, .call_site = name_of_call_site, .context = parts};
}

static bool write_metrics(struct run_parts *parts, const char *component, const struct metric *metrics, const void *counters,
                          struct error *error)
{
	for (const struct metric *metric = metrics; metric && metric->name; metric++)
		if (!store_metric(parts->store, parts->run->run_id, component, metric, metric_value(metric, counters), error))
			return false;
	return true;
}

static bool write_caches(struct run_parts *parts, struct error *error)
{
	struct object_allocator *objects = parts->objects;
	for (uint32_t nr = 0; nr < objects->ops->cache_limit(objects); nr++) {
		struct store_cache row = {0};
		if (!objects->ops->cache_view(objects, (cache_id){nr}, &row.view))
			continue;
		const struct replay_cache *account = replay_cache(parts->replay, (cache_id){nr});
		row.slabs_peak = account->slabs_peak;
		row.total_allocs = account->total_allocs;
		row.total_frees = account->total_frees;
		row.bytes_req = account->bytes_req;
		row.bytes_alloc = account->bytes_alloc;
		row.live_bytes_req = account->live_bytes_req;
		row.live_bytes_alloc = account->live_bytes_alloc;
		const struct cache_view *recorded = procfs_slabinfo_cache(&parts->recorded, row.view.name);
		row.recorded_slabs = recorded ? (int64_t)recorded->slabs : -1;
		if (!store_cache(parts->store, parts->run->run_id, &row, error))
			return false;
	}
	return true;
}

static struct store_space_pages space_pages(const uint64_t pages[SPACE_MEMBERS], uint64_t resident)
{
	return (struct store_space_pages){.file = pages[SPACE_FILE],
	                                  .anonymous = pages[SPACE_ANONYMOUS],
	                                  .shared = pages[SPACE_SHARED],
	                                  .swapped = pages[SPACE_SWAP],
	                                  .resident = resident};
}

/* Resident pages of processes, beside what the recording tells of them. */
static bool write_spaces(struct run_parts *parts, struct error *error)
{
	const struct trace_space *spaces;
	uint32_t count = trace_spaces(parts->trace, &spaces);
	for (uint32_t nr = 0; parts->users && nr < count; nr++) {
		const struct trace_space *told = &spaces[nr];
		const struct space_peak *peak = replay_space_peak(parts->replay, nr);
		const struct store_space row = {.nr = nr,
		                                .task = told->task,
		                                .mm = told->mm,
		                                .samples = told->samples,
		                                .recorded = space_pages(told->peak_pages, told->peak_resident),
		                                .replayed = space_pages(peak->pages, peak->resident)};
		if (!store_space(parts->store, parts->run->run_id, &row, error))
			return false;
	}
	return true;
}

static bool write_call_sites(struct run_parts *parts, struct error *error)
{
	for (uint32_t index = 0; index < trace_info(parts->trace)->call_sites; index++) {
		const struct replay_call_site *site = replay_call_site(parts->replay, index);
		if (site->hit == 0)
			continue;
		const struct store_call_site row = {
		        .call_site = trace_call_site(parts->trace, index),
		        .hit = site->hit,
		        .ping_pong = site->ping_pong,
		        .bytes_req = site->bytes_req,
		        .bytes_alloc = site->bytes_alloc,
		        .live_objects = site->live_objects,
		        .live_bytes_req = site->live_bytes_req,
		        .live_bytes_alloc = site->live_bytes_alloc,
		};
		if (!store_call_site(parts->store, parts->run->run_id, &row, error))
			return false;
	}
	return true;
}

/* The name of a number of struct machine: caller. */
static const char *name_of_caller(void *context, uint32_t caller)
{
	const struct run_parts *parts = context;
	uint32_t sites = trace_info(parts->trace)->call_sites;
	if (caller == 0)
		return "pages and daemons";
	if (caller == WATCH_OWNERS_MAX - 1 && sites > caller)
		return "further call sites";
	return caller <= sites ? trace_call_site(parts->trace, caller - 1) : NULL;
}

/* Counters of all cores' MMUs and walkers, added up. */
static bool write_mmus(struct run_parts *parts, struct error *error)
{
	struct mmu_counters mmu = {0};
	struct walker_counters walker = {0};
	for (unsigned cpu = 0; cpu < parts->mmus.cpus; cpu++) {
		metrics_add(mmu_metrics, &mmu, &parts->mmus.mmu[cpu].counters);
		if (parts->mmus.walker)
			metrics_add(walker_metrics, &walker, &parts->mmus.walker[cpu].counters);
	}
	return write_metrics(parts, "mmu", mmu_metrics, &mmu, error) &&
	       (!parts->mmus.walker || write_metrics(parts, "walker", walker_metrics, &walker, error));
}

static bool write_levels(struct run_parts *parts, struct error *error)
{
	const bool by_caller = parts->run->settings->watch_owner == WATCH_OWNER_CALL_SITE;
	const struct level_names names = {
	        .by = by_caller ? "call site" : "owner", .owner = by_caller ? name_of_caller : owner_of_cache, .context = parts};
	struct store *store = parts->store;
	int64_t run_id = parts->run->run_id;
	uint32_t position = 0;
	return !parts->caches || (level_store_tlbs(store, run_id, parts->mmus.mmu, parts->mmus.cpus, &names, &position, error) &&
	                          level_store_caches(store, run_id, parts->caches, &names, &position, error) &&
	                          level_store_walks(store, run_id, parts->caches, error) && write_mmus(parts, error));
}

/* The kernel's page tables hold what areas map, once every core has come to all its steps. */
static bool write_map(struct run_parts *parts, bool is_whole, struct error *error)
{
	const struct kernel_map *map = &parts->kernel_map;
	const struct kernel_map_counters *counters = &map->counters;
	if (!parts->mapped)
		return true;
	kernel_map_check(map);
	if (is_whole && parts->areas)
		SIM_ASSERT(kernel_map_area_pages(map) == parts->areas->ops->pages_mapped(parts->areas));
	if (counters->wrong_touches)
		fprintf(stderr, "# %" PRIu64 " accesses were to addresses that nothing maps, the first to 0x%" PRIx64 "\n",
		        counters->wrong_touches, map->first_wrong);
	return write_metrics(parts, "kernel_map", kernel_map_metrics, counters, error);
}

static bool write_machine(struct run_parts *parts, bool is_whole, struct error *error)
{
	const struct op_cost_names names = run_names(parts);
	return write_map(parts, is_whole, error) &&
	       timed_machine_store(&parts->machine, parts->store, parts->run->run_id, &parts->layout, &names, error) &&
	       write_levels(parts, error);
}

bool run_write_results(struct run_parts *parts, bool is_whole, struct error *error)
{
	struct page_allocator *pages = parts->pages;
	struct object_allocator *objects = parts->objects;
	const struct follow_pages_counters *followed = replay_follow_pages(parts->replay);
	const struct program_counters *program = replay_program_counters(parts->replay);
	const struct meminfo info = run_meminfo(parts);
	return write_metrics(parts, "replay", replay_metrics, replay_counters(parts->replay), error) &&
	       (!program || write_metrics(parts, "program", program_metrics, program, error)) &&
	       (!followed || write_metrics(parts, "follow_pages", follow_pages_metrics, followed, error)) &&
	       write_metrics(parts, "page_allocator", pages->ops->metrics, pages->ops->counters(pages), error) &&
	       write_metrics(parts, "object_allocator", objects->ops->metrics, objects->ops->counters(objects), error) &&
	       write_metrics(parts, "meminfo", meminfo_metrics, &info, error) &&
	       write_metrics(parts, "page_mapper", parts->mapper->ops->metrics, parts->mapper->ops->counters(parts->mapper),
	                     error) &&
	       (!parts->areas || write_metrics(parts, "virtual_allocator", parts->areas->ops->metrics,
	                                       parts->areas->ops->counters(parts->areas), error)) &&
	       (!parts->users || write_metrics(parts, "user_memory", parts->users->ops->metrics,
	                                       parts->users->ops->counters(parts->users), error)) &&
	       (!parts->kept || write_metrics(parts, "page_lru", lru_metrics, process_pages_counters(parts->kept), error)) &&
	       write_caches(parts, error) && write_call_sites(parts, error) && write_spaces(parts, error) &&
	       (!parts->timed || write_machine(parts, is_whole, error));
}
