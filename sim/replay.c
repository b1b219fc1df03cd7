/* SPDX-License-Identifier: MIT
 *
 * replay.c - one op after the other (interface, picture and laws: replay.h).
 */
#include "sim/replay.h"

#include "sim/usercopy_caches.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define BATCH_OPS 1024

enum live_state { LIVE_NOT, LIVE_OBJECT, LIVE_PAGES, LIVE_FAILED };

/* What an id stands for now. */
struct live {
	uint64_t address; /* of an object; frame number of pages */
	uint32_t bytes_req, bytes_alloc;
	uint32_t call_site;
	uint32_t cache; /* cache_id.nr, UINT32_MAX for large kmallocs */
	uint16_t cpu;
	uint8_t state;
	uint8_t order; /* pages */
	uint32_t gfp;  /* pages: decides the owner's mobility */
};

/* A clock tick that repeats in recorded time. */
struct tick {
	uint64_t every_ns, next_ns;
};

struct replay {
	struct replay_config config;
	struct replay_parts parts;
	struct replay_counters counters;
	const struct trace_info *info;
	struct live *live;
	uint32_t *id_of_frame;         /* by frame, for frames of single live pages; NULL until a page moves */
	cache_id *caches;              /* by the recording's cache index */
	struct replay_cache *by_cache; /* by cache_id */
	uint32_t by_cache_count;
	struct replay_call_site *by_call_site;
	uint64_t time_ns;
	uint64_t next_tick_ns; /* the earliest of those below */
	struct tick sample, dump;
	uint64_t next_daemon_ns;      /* the earliest of daemon_ns */
	uint64_t daemon_ns[CPUS_MAX]; /* when the object allocator has work of its own on a CPU */
	uint32_t samples;
};

const struct metric replay_metrics[] = {
        METRIC(struct replay_counters, ops, "1", "Ops of the recording that were replayed"),
        METRIC(struct replay_counters, object_allocs, "1", "Objects handed out (kmem_cache_alloc and kmalloc)"),
        METRIC(struct replay_counters, object_frees, "1", "Objects given back"),
        METRIC(struct replay_counters, page_allocs, "1", "Page blocks handed out to the recording's own page allocations"),
        METRIC(struct replay_counters, page_frees, "1", "Page blocks given back"),
        METRIC(struct replay_counters, marks, "1", "Marks in the recording"),
        METRIC(struct replay_counters, failed_object_allocs, "1", "Object allocations that found no memory"),
        METRIC(struct replay_counters, failed_page_allocs, "1", "Page allocations that found no memory"),
        METRIC(struct replay_counters, frees_of_failed, "1", "Frees of what could not be allocated"),
        METRIC(struct replay_counters, wrong_ops, "1", "Ops that no correct program makes; listed in wrong_op"),
        METRIC(struct replay_counters, refused_caches_allocs, "1", "Allocations from caches that the allocator refused to make"),
        GAUGE(struct replay_counters, live_objects, "1", "Objects live at the end"),
        GAUGE(struct replay_counters, live_page_blocks, "1", "Page blocks live at the end"),
        GAUGE(struct replay_counters, bytes_req, "bytes", "Bytes asked for, of live objects"),
        GAUGE(struct replay_counters, bytes_alloc, "bytes", "Bytes given, of live objects"),
        METRIC(struct replay_counters, total_bytes_requested, "bytes", "Bytes asked for, over all allocations"),
        METRIC(struct replay_counters, total_bytes_allocated, "bytes", "Bytes given, over all allocations"),
        METRIC(struct replay_counters, ping_pong, "1", "Objects freed on another CPU than allocated on (perf kmem's Ping-pong)"),
        METRIC(struct replay_counters, bytes_alloc_compared, "1", "Allocations whose bytes_alloc the recording tells"),
        METRIC(struct replay_counters, bytes_alloc_equal, "1", "Of them, those where the model gave the same"),
        GAUGE(struct replay_counters, pages_unmovable, "pages", "Held by the recording's unmovable page allocations"),
        GAUGE(struct replay_counters, pages_movable, "pages", "Held by the recording's movable page allocations"),
        GAUGE(struct replay_counters, pages_reclaimable, "pages", "Held by the recording's reclaimable page allocations"),
        METRIC(struct replay_counters, moved_pages, "pages", "Page allocations that compaction moved to another frame"),
        GAUGE(struct replay_counters, peak_pages, "pages", "Most frames allocated at once"),
        GAUGE(struct replay_counters, peak_slab_pages, "pages", "Most frames held by the object allocator at once"),
        GAUGE(struct replay_counters, peak_bytes_req, "bytes", "Most bytes asked for that were live at once"),
        METRIC_END,
};

/* The accounts of a cache; caches that a destroy and a create reuse share them. */
static struct replay_cache *cache_account(struct replay *replay, uint32_t cache)
{
	if (cache >= replay->by_cache_count) {
		uint32_t count = 2 * cache + 16;
		replay->by_cache = xrealloc(replay->by_cache, count * sizeof *replay->by_cache);
		memset(replay->by_cache + replay->by_cache_count, 0, (count - replay->by_cache_count) * sizeof *replay->by_cache);
		replay->by_cache_count = count;
	}
	return &replay->by_cache[cache];
}

static bool make_caches(struct replay *replay, struct error *error)
{
	uint32_t count = replay->info->caches;
	replay->caches = xcalloc(count, sizeof *replay->caches);
	for (uint32_t index = 0; index < count; index++) {
		const struct trace_cache *cache = trace_cache(replay->parts.trace, index);
		struct cache_spec spec = {
		        .name = cache->name,
		        .object_size = cache->object_size,
		        .align = cache->align,
		        .flags = cache->flags,
		        .ctor = cache->ctor,
		        /* MODEL: where the region lies is not known; it only decides whether the cache may be merged. */
		        .usersize = cache->named && usercopy_cache(cache->name) ? cache->object_size : 0,
		};
		if (cache->object_size == 0)
			return error_set(error, ERROR_INPUT, "%s: cache '%s' has objects of 0 bytes", replay->info->source,
			                 cache->name);
		replay->caches[index] = cache_create(replay->parts.objects, &spec);
	}
	return true;
}

static void set_next_tick(struct replay *replay)
{
	uint64_t next_ns = replay->sample.next_ns < replay->dump.next_ns ? replay->sample.next_ns : replay->dump.next_ns;
	replay->next_tick_ns = next_ns < replay->next_daemon_ns ? next_ns : replay->next_daemon_ns;
}

/* A page moved: the id that stands for it learns its new frame. Who stands for which frame is only written down once one moves.
 */
static void page_moved(void *context, pfn from, pfn to)
{
	struct replay *replay = context;
	if (!replay->id_of_frame) {
		replay->id_of_frame = lazy_alloc(replay->parts.pages->end_pfn, sizeof *replay->id_of_frame);
		for (uint32_t id = 0; id < replay->info->ids; id++)
			if (replay->live[id].state == LIVE_PAGES)
				replay->id_of_frame[replay->live[id].address] = id;
	}
	uint32_t id = replay->id_of_frame[from.nr];
	SIM_ASSERT(id < replay->info->ids && replay->live[id].state == LIVE_PAGES && replay->live[id].address == from.nr);
	replay->live[id].address = to.nr;
	replay->id_of_frame[to.nr] = id;
	replay->counters.moved_pages++;
}

struct replay *replay_create(const struct replay_config *config, const struct replay_parts *parts, struct error *error)
{
	SIM_ASSERT(config->frequency_mhz > 0 && config->cpus > 0 && config->cpus <= CPUS_MAX);
	const struct trace_info *info = trace_info(parts->trace);
	uint64_t length_ns = info->last_ns - info->first_ns;
	if (config->sample_every_ns && length_ns / config->sample_every_ns > SAMPLES_MAX) {
		error_set(error, ERROR_USAGE,
		          "sample.every is %" PRIu64 " ns, but the recording is %" PRIu64
		          " ns long: that would be more than %u samples",
		          config->sample_every_ns, length_ns, SAMPLES_MAX);
		return NULL;
	}
	if (config->dump_every_ns && length_ns / config->dump_every_ns > SAMPLES_MAX) {
		error_set(error, ERROR_USAGE,
		          "dump every %" PRIu64 " ns, but the recording is %" PRIu64 " ns long: that would be more than %u dumps",
		          config->dump_every_ns, length_ns, SAMPLES_MAX);
		return NULL;
	}
	struct replay *replay = xcalloc(1, sizeof *replay);
	replay->config = *config;
	replay->parts = *parts;
	replay->info = info;
	replay->live = lazy_alloc(info->ids, sizeof *replay->live);
	replay->by_call_site = xcalloc(info->call_sites, sizeof *replay->by_call_site);
	replay->time_ns = info->first_ns;
	replay->sample = (struct tick){config->sample_every_ns, config->sample_every_ns ? info->first_ns : UINT64_MAX};
	replay->dump = (struct tick){config->dump_every_ns, config->dump_every_ns ? info->first_ns : UINT64_MAX};
	replay->next_daemon_ns = UINT64_MAX;
	set_next_tick(replay);
	if (!make_caches(replay, error)) {
		replay_destroy(replay);
		return NULL;
	}
	parts->pages->moved = (struct page_moved){page_moved, replay};
	return replay;
}

void replay_destroy(struct replay *replay)
{
	if (!replay)
		return;
	lazy_free(replay->live, replay->info->ids, sizeof *replay->live);
	if (replay->id_of_frame)
		lazy_free(replay->id_of_frame, replay->parts.pages->end_pfn, sizeof *replay->id_of_frame);
	if (replay->parts.pages->moved.context == replay)
		replay->parts.pages->moved = (struct page_moved){0};
	free(replay->caches);
	free(replay->by_cache);
	free(replay->by_call_site);
	free(replay);
}

static uint64_t pages_free(struct replay *replay, struct zone_view *zone, uint64_t *pcp)
{
	uint64_t free_pages = 0;
	*pcp = 0;
	for (unsigned index = 0; index < replay->parts.pages->ops->zones(replay->parts.pages); index++) {
		replay->parts.pages->ops->zone_view(replay->parts.pages, index, zone);
		free_pages += zone->free_pages;
		for (unsigned cpu = 0; cpu < zone->cpus; cpu++)
			*pcp += zone->pcp[cpu].count;
	}
	return free_pages;
}

static void look_at_caches(struct replay *replay)
{
	struct object_allocator *objects = replay->parts.objects;
	for (uint32_t nr = 0; nr < objects->ops->cache_limit(objects); nr++) {
		struct cache_view view;
		if (!objects->ops->cache_view(objects, (cache_id){nr}, &view))
			continue;
		struct replay_cache *cache = cache_account(replay, nr);
		if (view.slabs > cache->slabs_peak)
			cache->slabs_peak = view.slabs;
	}
}

static bool take_sample(struct replay *replay, struct error *error)
{
	uint32_t number = replay->samples++;
	look_at_caches(replay);
	if (!replay->parts.store)
		return true;
	struct page_allocator *pages = replay->parts.pages;
	struct object_allocator *objects = replay->parts.objects;
	struct zone_view zone;
	uint64_t large = objects->ops->pages_large(objects);
	struct store_sample row = {
	        .time_ns = replay->time_ns,
	        .pages_allocated = pages->allocated_pages,
	        .pages_slab = objects->ops->pages_held(objects) - large,
	        .pages_kmalloc_large = large,
	        .pages_unmovable = replay->counters.pages_unmovable,
	        .pages_movable = replay->counters.pages_movable,
	        .pages_reclaimable = replay->counters.pages_reclaimable,
	        .bytes_req = replay->counters.bytes_req,
	        .bytes_alloc = replay->counters.bytes_alloc,
	        .live_objects = replay->counters.live_objects,
	};
	row.pages_free = pages_free(replay, &zone, &row.pages_pcp);
	if (!store_sample(replay->parts.store, replay->parts.run_id, number, &row, error))
		return false;
	for (unsigned index = 0; index < pages->ops->zones(pages); index++) {
		pages->ops->zone_view(pages, index, &zone);
		if (zone.managed > 0 && !store_sample_zone(replay->parts.store, replay->parts.run_id, number, &zone, error))
			return false;
	}
	return true;
}

static bool take_dump(struct replay *replay, bool last, struct error *error)
{
	SIM_ASSERT(replay->samples > 0);
	if (!replay->parts.dump)
		return true;
	return replay->parts.dump(replay->parts.dump_context, replay->samples - 1, last, error);
}

/* Cycles since the start of the recording. */
static cycle cycle_at(const struct replay *replay, uint64_t time_ns)
{
	return (time_ns - replay->info->first_ns) * replay->config.frequency_mhz / 1000;
}

/* Lets the object allocator do what is due on each CPU now. Samples of the same moment were taken before. */
static void run_daemons(struct replay *replay)
{
	replay->next_daemon_ns = UINT64_MAX;
	for (unsigned cpu = 0; cpu < replay->config.cpus; cpu++) {
		if (replay->daemon_ns[cpu] <= replay->time_ns) {
			replay->daemon_ns[cpu] = object_allocator_tick(replay->parts.objects, cpu, replay->time_ns);
			if (replay->parts.machine && replay->parts.steps->count > 0) {
				core_push(replay->parts.machine, cpu, JOB_DAEMON, replay->parts.steps);
				steps_clear(replay->parts.steps);
			}
		}
		if (replay->daemon_ns[cpu] < replay->next_daemon_ns)
			replay->next_daemon_ns = replay->daemon_ns[cpu];
	}
}

/* Takes every sample and dump that is due before `time_ns`, and runs the daemons that are. */
static bool run_ticks(struct replay *replay, uint64_t time_ns, struct error *error)
{
	while (replay->next_tick_ns <= time_ns) {
		replay->time_ns = replay->next_tick_ns;
		if (replay->parts.machine && !replay->config.asap)
			machine_run_until(replay->parts.machine, cycle_at(replay, replay->time_ns));
		bool dump = replay->dump.next_ns == replay->next_tick_ns;
		if ((dump || replay->sample.next_ns == replay->next_tick_ns) && !take_sample(replay, error))
			return false;
		if (dump && !take_dump(replay, false, error))
			return false;
		if (dump)
			replay->dump.next_ns += replay->dump.every_ns;
		if (replay->sample.next_ns == replay->next_tick_ns)
			replay->sample.next_ns += replay->sample.every_ns;
		if (replay->next_daemon_ns <= replay->next_tick_ns)
			run_daemons(replay);
		set_next_tick(replay);
	}
	return true;
}

static const char *op_name(uint8_t kind)
{
	static const char *const names[OP_KINDS] = {
	        [OP_CACHE_ALLOC] = "kmem_cache_alloc",
	        [OP_CACHE_FREE] = "kmem_cache_free",
	        [OP_KMALLOC] = "kmalloc",
	        [OP_KFREE] = "kfree",
	        [OP_PAGE_ALLOC] = "mm_page_alloc",
	        [OP_PAGE_FREE] = "mm_page_free",
	        [OP_MARK] = "mark",
	};
	return kind < OP_KINDS ? names[kind] : "unknown op";
}

/* Counts and tells a wrong op; false if the run stops at it. */
static bool wrong_op(struct replay *replay, const struct op *op, const char *what, struct error *error)
{
	uint64_t number = replay->counters.wrong_ops++;
	if (replay->parts.store && number < WRONG_OPS_LISTED) {
		struct store_wrong_op row = {
		        .op = replay->counters.ops, .line = op->line, .kind = op_name(op->kind), .what = what};
		if (!store_wrong_op(replay->parts.store, replay->parts.run_id, &row, error))
			return false;
	}
	if (!replay->config.stop_on_error)
		return true;
	return error_set(error, ERROR_STOPPED, "%s: op %" PRIu64 " (line %" PRIu64 "): %s: %s", replay->info->source,
	                 replay->counters.ops, op->line, op_name(op->kind), what);
}

static void note_peaks(struct replay *replay)
{
	struct replay_counters *counters = &replay->counters;
	uint64_t pages = replay->parts.pages->allocated_pages;
	if (pages > counters->peak_pages)
		counters->peak_pages = pages;
	uint64_t held = replay->parts.objects->ops->pages_held(replay->parts.objects);
	if (held > counters->peak_slab_pages)
		counters->peak_slab_pages = held;
	if (counters->bytes_req > counters->peak_bytes_req)
		counters->peak_bytes_req = counters->bytes_req;
}

static void account_object(struct replay *replay, const struct op *op, const struct live *live)
{
	struct replay_counters *counters = &replay->counters;
	counters->object_allocs++;
	counters->live_objects++;
	counters->bytes_req += live->bytes_req;
	counters->bytes_alloc += live->bytes_alloc;
	counters->total_bytes_requested += live->bytes_req;
	counters->total_bytes_allocated += live->bytes_alloc;
	struct replay_call_site *site = &replay->by_call_site[live->call_site];
	site->hit++;
	site->live_objects++;
	site->bytes_req += live->bytes_req;
	site->bytes_alloc += live->bytes_alloc;
	site->live_bytes_req += live->bytes_req;
	site->live_bytes_alloc += live->bytes_alloc;
	bool compared = op->origin == OP_RECORDED && op->bytes_alloc != 0;
	bool equal = compared && op->bytes_alloc == live->bytes_alloc;
	counters->bytes_alloc_compared += compared;
	counters->bytes_alloc_equal += equal;
	if (live->cache == UINT32_MAX)
		return;
	struct replay_cache *cache = cache_account(replay, live->cache);
	cache->total_allocs++;
	cache->bytes_req += live->bytes_req;
	cache->bytes_alloc += live->bytes_alloc;
	cache->live_bytes_req += live->bytes_req;
	cache->live_bytes_alloc += live->bytes_alloc;
	cache->compared += compared;
	cache->equal += equal;
}

static bool alloc_object(struct replay *replay, const struct op *op, unsigned cpu, struct error *error)
{
	struct live *live = &replay->live[op->id];
	if (live->state != LIVE_NOT)
		return wrong_op(replay, op, "its id is still in use", error);
	struct object object = {0};
	if (op->kind == OP_CACHE_ALLOC) {
		cache_id cache = replay->caches[op->cache];
		if (cache.nr == UINT32_MAX) {
			replay->counters.refused_caches_allocs++;
			live->state = LIVE_FAILED;
			return true;
		}
		object = cache_alloc(replay->parts.objects, cache, op->gfp, cpu);
	} else {
		object = object_kmalloc(replay->parts.objects, op->bytes_req, op->gfp, cpu);
	}
	if (object.at.addr == 0) {
		replay->counters.failed_object_allocs++;
		live->state = LIVE_FAILED;
		return true;
	}
	*live = (struct live){.address = object.at.addr,
	                      .bytes_req = op->bytes_req,
	                      .bytes_alloc = object.bytes_alloc,
	                      .call_site = op->call_site,
	                      .cache = object.cache.nr,
	                      .cpu = (uint16_t)cpu,
	                      .state = LIVE_OBJECT};
	account_object(replay, op, live);
	return true;
}

static const char *object_free_text(enum object_free_result result)
{
	switch (result) {
	case OBJECT_FREE_OK:
		break;
	case OBJECT_FREE_NOT_ALLOCATED:
		return "the object is free already";
	case OBJECT_FREE_NOT_OBJECT:
		return "the address is no object's";
	case OBJECT_FREE_WRONG_CACHE:
		return "the object belongs to another cache";
	}
	SIM_UNREACHABLE("a wrong free");
}

static void account_object_free(struct replay *replay, const struct live *live, unsigned cpu)
{
	struct replay_counters *counters = &replay->counters;
	counters->object_frees++;
	counters->live_objects--;
	counters->bytes_req -= live->bytes_req;
	counters->bytes_alloc -= live->bytes_alloc;
	counters->ping_pong += live->cpu != cpu;
	struct replay_call_site *site = &replay->by_call_site[live->call_site];
	site->ping_pong += live->cpu != cpu;
	site->live_objects--;
	site->live_bytes_req -= live->bytes_req;
	site->live_bytes_alloc -= live->bytes_alloc;
	if (live->cache == UINT32_MAX)
		return;
	struct replay_cache *cache = &replay->by_cache[live->cache];
	cache->total_frees++;
	cache->live_bytes_req -= live->bytes_req;
	cache->live_bytes_alloc -= live->bytes_alloc;
}

static bool free_object(struct replay *replay, const struct op *op, unsigned cpu, struct error *error)
{
	struct live *live = &replay->live[op->id];
	if (live->state == LIVE_FAILED) {
		replay->counters.frees_of_failed++;
		live->state = LIVE_NOT;
		return true;
	}
	if (live->state != LIVE_OBJECT)
		return wrong_op(replay, op, live->state == LIVE_NOT ? "nothing is live under its id" : "its id stands for pages",
		                error);
	vaddr at = vaddr_of(live->address);
	/* The kernel accepts kmem_cache_free() of a kmalloc'ed object by its own cache; the recording then names a kmalloc cache.
	 */
	enum object_free_result result = op->kind == OP_CACHE_FREE && live->cache == replay->caches[op->cache].nr
	                                         ? cache_free(replay->parts.objects, (cache_id){live->cache}, at, cpu)
	                                         : object_kfree(replay->parts.objects, at, cpu);
	if (result != OBJECT_FREE_OK)
		return wrong_op(replay, op, object_free_text(result), error);
	account_object_free(replay, live, cpu);
	live->state = LIVE_NOT;
	return true;
}

/* The counter of the owner that a page allocation with these flags belongs to (gfp_migratetype's rule). */
static uint64_t *owner_of(struct replay *replay, gfp flags)
{
	if (flags & __GFP_MOVABLE)
		return &replay->counters.pages_movable;
	return flags & __GFP_RECLAIMABLE ? &replay->counters.pages_reclaimable : &replay->counters.pages_unmovable;
}

static bool alloc_pages(struct replay *replay, const struct op *op, unsigned cpu, struct error *error)
{
	struct live *live = &replay->live[op->id];
	if (live->state != LIVE_NOT)
		return wrong_op(replay, op, "its id is still in use", error);
	pfn first = page_alloc(replay->parts.pages, op->order, op->gfp, cpu);
	if (first.nr == UINT32_MAX) {
		replay->counters.failed_page_allocs++;
		live->state = LIVE_FAILED;
		return true;
	}
	*live = (struct live){.address = first.nr, .cpu = (uint16_t)cpu, .state = LIVE_PAGES, .order = op->order, .gfp = op->gfp};
	if (replay->id_of_frame)
		replay->id_of_frame[first.nr] = op->id;
	replay->counters.page_allocs++;
	replay->counters.live_page_blocks++;
	*owner_of(replay, op->gfp) += 1ull << op->order;
	return true;
}

static const char *page_free_text(enum page_free_result result)
{
	switch (result) {
	case PAGE_FREE_OK:
		break;
	case PAGE_FREE_NOT_ALLOCATED:
		return "the frame is free already";
	case PAGE_FREE_NOT_HEAD:
		return "the frame lies inside a block";
	case PAGE_FREE_WRONG_ORDER:
		return "the block was allocated with another order";
	}
	SIM_UNREACHABLE("a wrong free");
}

static bool free_pages(struct replay *replay, const struct op *op, unsigned cpu, struct error *error)
{
	struct live *live = &replay->live[op->id];
	if (live->state == LIVE_FAILED) {
		replay->counters.frees_of_failed++;
		live->state = LIVE_NOT;
		return true;
	}
	if (live->state != LIVE_PAGES)
		return wrong_op(replay, op,
		                live->state == LIVE_NOT ? "nothing is live under its id" : "its id stands for an object", error);
	enum page_free_result result = page_free(replay->parts.pages, pfn_of((uint32_t)live->address), op->order, cpu);
	if (result != PAGE_FREE_OK)
		return wrong_op(replay, op, page_free_text(result), error);
	replay->counters.page_frees++;
	replay->counters.live_page_blocks--;
	*owner_of(replay, live->gfp) -= 1ull << live->order;
	live->state = LIVE_NOT;
	return true;
}

/* Lets the allocators decide one op. false: the run stops here. */
static bool decide(struct replay *replay, const struct op *op, unsigned cpu, struct error *error)
{
	replay->counters.ops++;
	switch ((enum op_kind)op->kind) {
	case OP_CACHE_ALLOC:
	case OP_KMALLOC:
		return alloc_object(replay, op, cpu, error);
	case OP_CACHE_FREE:
	case OP_KFREE:
		return free_object(replay, op, cpu, error);
	case OP_PAGE_ALLOC:
		return alloc_pages(replay, op, cpu, error);
	case OP_PAGE_FREE:
		return free_pages(replay, op, cpu, error);
	case OP_MARK:
		replay->counters.marks++;
		return true;
	case OP_KINDS:
		break;
	}
	SIM_UNREACHABLE("an op kind that the trace reader lets through");
}

static enum job_kind job_of(uint8_t kind)
{
	switch ((enum op_kind)kind) {
	case OP_CACHE_ALLOC:
	case OP_KMALLOC:
		return JOB_OBJECT_ALLOC;
	case OP_CACHE_FREE:
	case OP_KFREE:
		return JOB_OBJECT_FREE;
	case OP_PAGE_ALLOC:
		return JOB_PAGE_ALLOC;
	default:
		return JOB_PAGE_FREE;
	}
}

/* Hands the steps of the op just decided to its core. What happened before the recording costs nothing. */
static void pay(struct replay *replay, const struct op *op, unsigned cpu)
{
	if (op->kind != OP_MARK && op->origin == OP_RECORDED)
		core_push(replay->parts.machine, cpu, job_of(op->kind), replay->parts.steps);
	steps_clear(replay->parts.steps);
}

static bool replay_op(struct replay *replay, const struct op *op, struct error *error)
{
	if (op->time_ns >= replay->next_tick_ns && !run_ticks(replay, op->time_ns, error))
		return false;
	if (op->time_ns > replay->time_ns)
		replay->time_ns = op->time_ns;
	unsigned cpu = op->cpu < replay->config.cpus ? op->cpu : op->cpu % replay->config.cpus;
	struct machine *machine = replay->parts.machine;
	if (machine && !replay->config.asap)
		machine_run_until(machine, cycle_at(replay, replay->time_ns));
	bool go_on = decide(replay, op, cpu, error);
	if (machine)
		pay(replay, op, cpu);
	note_peaks(replay);
	if (replay->config.paranoid_every && replay->counters.ops % replay->config.paranoid_every == 0)
		replay_check(replay);
	return go_on;
}

/* Asks the object allocator when it has work of its own; the time is that of the first op. */
static void start_daemons(struct replay *replay)
{
	for (unsigned cpu = 0; cpu < replay->config.cpus; cpu++)
		replay->daemon_ns[cpu] = replay->time_ns;
	run_daemons(replay);
	set_next_tick(replay);
}

static enum replay_status run_ops(struct replay *replay, const struct progress *progress, const volatile sig_atomic_t *interrupt,
                                  struct error *error)
{
	struct op *batch = xcalloc(BATCH_OPS, sizeof *batch);
	enum replay_status status = REPLAY_COMPLETE;
	while (status == REPLAY_COMPLETE) {
		size_t count;
		if (*interrupt)
			status = REPLAY_INTERRUPTED;
		else if (!trace_next(replay->parts.trace, batch, BATCH_OPS, &count, error))
			status = REPLAY_FAILED;
		else if (count == 0)
			break;
		for (size_t index = 0; status == REPLAY_COMPLETE && index < count; index++)
			if (!replay_op(replay, &batch[index], error))
				status = REPLAY_FAILED;
		if (progress)
			progress->tell(progress->context, replay->counters.ops, replay->info->ops);
	}
	free(batch);
	return status;
}

enum replay_status replay_run(struct replay *replay, const struct progress *progress, const volatile sig_atomic_t *interrupt,
                              struct error *error)
{
	start_daemons(replay);
	enum replay_status status = run_ops(replay, progress, interrupt, error);
	if (replay->parts.machine)
		machine_drain(replay->parts.machine);
	/* A failed store has said so already; a wrong op that stops the run leaves a state worth keeping. */
	struct error at_end = {0};
	if (!take_sample(replay, &at_end) || !take_dump(replay, true, &at_end)) {
		error_set(error, at_end.kind, "%s", at_end.text);
		return REPLAY_FAILED;
	}
	replay_check(replay);
	return status;
}

const struct replay_counters *replay_counters(const struct replay *replay)
{
	return &replay->counters;
}

const struct replay_cache *replay_cache(const struct replay *replay, cache_id cache)
{
	static const struct replay_cache nothing;
	return cache.nr < replay->by_cache_count ? &replay->by_cache[cache.nr] : &nothing;
}

const struct replay_call_site *replay_call_site(const struct replay *replay, uint32_t call_site)
{
	SIM_ASSERT(call_site < replay->info->call_sites);
	return &replay->by_call_site[call_site];
}

uint32_t replay_samples(const struct replay *replay)
{
	return replay->samples;
}

uint64_t replay_time_ns(const struct replay *replay)
{
	return replay->time_ns;
}

static void check_live(const struct replay *replay)
{
	const struct replay_counters *counters = &replay->counters;
	uint64_t objects = 0, blocks = 0, pages = 0, bytes_req = 0, bytes_alloc = 0;
	for (uint32_t id = 0; id < replay->info->ids; id++) {
		const struct live *live = &replay->live[id];
		objects += live->state == LIVE_OBJECT;
		blocks += live->state == LIVE_PAGES;
		pages += live->state == LIVE_PAGES ? 1ull << live->order : 0;
		bytes_req += live->state == LIVE_OBJECT ? live->bytes_req : 0;
		bytes_alloc += live->state == LIVE_OBJECT ? live->bytes_alloc : 0;
	}
	SIM_ASSERT(objects == counters->live_objects && blocks == counters->live_page_blocks);
	SIM_ASSERT(bytes_req == counters->bytes_req && bytes_alloc == counters->bytes_alloc);
	SIM_ASSERT(pages == counters->pages_unmovable + counters->pages_movable + counters->pages_reclaimable);
	SIM_ASSERT(replay->parts.pages->allocated_pages == pages + replay->parts.objects->ops->pages_held(replay->parts.objects));
}

void replay_check(const struct replay *replay)
{
	const struct replay_counters *counters = &replay->counters;
	SIM_ASSERT(counters->ops == counters->object_allocs + counters->object_frees + counters->page_allocs +
	                                    counters->page_frees + counters->marks + counters->failed_object_allocs +
	                                    counters->failed_page_allocs + counters->frees_of_failed + counters->wrong_ops +
	                                    counters->refused_caches_allocs);
	SIM_ASSERT(counters->object_allocs == counters->object_frees + counters->live_objects);
	SIM_ASSERT(counters->page_allocs == counters->page_frees + counters->live_page_blocks);
	SIM_ASSERT(counters->bytes_alloc_equal <= counters->bytes_alloc_compared);
	check_live(replay);
	page_allocator_check(replay->parts.pages);
	object_allocator_check(replay->parts.objects);
	if (replay->parts.machine)
		machine_check(replay->parts.machine);
}
