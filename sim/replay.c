/* SPDX-License-Identifier: MIT
 *
 * replay.c - one op after the other (interface, picture and laws: replay.h).
 */
#include "sim/replay.h"

#include "sim/level_store.h"

#include "sim/follow.h"
#include "sim/follow_kfree_rcu.h"
#include "sim/follow_rcu.h"
#include "sim/replay_process.h"
#include "sim/replay_program.h"
#include "sim/space_peaks.h"
#include "sim/usercopy_caches.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define BATCH_OPS 1024

/* struct kvfree_rcu_bulk_data (kernel/rcu/tree.c): words in front of the pointers in its page. */
#define RCU_BULK_HEAD_WORDS 2

/* SLOB puts this before a kmalloc of whole pages' size and less (ARCH_KMALLOC_MINALIGN). */
#define KMALLOC_HEADER_MAX 8u

/* So many objects of a cache, all aligned alike, have that alignment on purpose: by chance it would be one in 2^16. */
#define ALIGN_WITNESSES 16

/* L1_CACHE_BYTES of x86: what SLAB_HWCACHE_ALIGN aligns to. */
#define ALIGN_LINE 64u

/*
 * LIVE_BEFORE: allocated by an op before the start state. LIVE_LARGE: such a kmalloc of whole pages, which only the page
 * allocator knows. LIVE_UNKNOWN: not in the start state.
 */
enum live_state {
	LIVE_NOT,
	LIVE_OBJECT,
	LIVE_PAGES,
	LIVE_FAILED,
	LIVE_BEFORE,
	LIVE_LARGE,
	LIVE_UNKNOWN,
	LIVE_AREA,
	LIVE_MAP,
	LIVE_PROCESS
};

/* What an id stands for now. */
struct live {
	uint64_t address; /* of an object; frame number of pages */
	uint32_t bytes_req, bytes_alloc;
	uint32_t call_site;
	uint32_t cache; /* cache_id.nr, UINT32_MAX for large kmallocs */
	uint16_t cpu;
	uint8_t state;
	uint8_t order; /* pages; of an area the call */
	bool gone;     /* an object that kfree_rcu() freed, without an op */
	uint32_t gfp;  /* pages: decides the owner's mobility */
};

/* A clock tick that repeats in recorded time. */
struct tick {
	uint64_t every_ns, next_ns;
};

/* Blocks of one order that the recording asked for, and those that it did not get; and both at the last sample. */
struct order_requests {
	uint64_t asked, failed;
	uint64_t sampled_asked, sampled_failed;
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
	struct order_requests by_order[ORDERS];
	uint64_t time_ns;
	uint64_t next_tick_ns; /* the earliest of those below */
	struct tick sample, dump;
	uint64_t next_daemon_ns;      /* the earliest of these two */
	uint64_t daemon_ns[CPUS_MAX]; /* when the object allocator has work of its own on a CPU */
	uint64_t vmstat_ns[CPUS_MAX]; /* the same of the page allocator */
	uint32_t samples;
	/* from a start state */
	bool before_start; /* its moment has not come yet */
	struct follow follow;
	pfn **mapped; /* by id: pages that an area maps, owned; NULL: the recording has no areas */
	struct page_maps page_maps;
	struct space_peaks space_peaks;
	struct program_replay program;
	bool follows; /* the page allocator too: */
	struct follow_pages follow_pages;
	struct follow_kfree_rcu follow_kfree_rcu;
	bool puts_off; /* frees of SLAB_TYPESAFE_BY_RCU caches wait: */
	struct follow_rcu follow_rcu;
	uint32_t *seen_align;   /* by the recording's cache index: alignment that all its addresses have; 0 = too few of them */
	bool *unseen_calls;     /* by the recording's cache index: it has allocations without an event */
	uint64_t start_unknown; /* frames in use that no op and no slab stands for */
	uint64_t areas_before;  /* areas that were there when the replay began */
};

const struct metric replay_metrics[] = {
        METRIC(struct replay_counters, ops, "1", "Ops of the recording that were replayed"),
        METRIC(struct replay_counters, object_allocs, "1", "Objects handed out (kmem_cache_alloc and kmalloc)"),
        METRIC(struct replay_counters, object_frees, "1", "Objects given back"),
        METRIC(struct replay_counters, page_allocs, "1", "Page blocks handed out to the recording's own page allocations"),
        METRIC(struct replay_counters, page_frees, "1", "Page blocks given back"),
        METRIC(struct replay_counters, area_allocs, "1", "Areas of kernel addresses handed out (vmalloc, vmap, ioremap ...)"),
        METRIC(struct replay_counters, area_frees, "1", "Areas given back"),
        METRIC(struct replay_counters, failed_area_allocs, "1", "Areas that found no memory or no addresses"),
        METRIC(struct replay_counters, page_maps, "1", "Pages mapped at once (kmap, kmap_local_page, kmap_atomic)"),
        METRIC(struct replay_counters, page_map_waits, "1", "Pages to be mapped that had to wait for a slot"),
        METRIC(struct replay_counters, page_maps_late, "1", "Of them, those that got one"),
        METRIC(struct replay_counters, page_maps_given_up, "1", "Of them, those that were to be unmapped before they got one"),
        METRIC(struct replay_counters, page_unmaps, "1", "Pages unmapped"),
        METRIC(struct replay_counters, page_clears, "1", "Blocks of pages cleared"),
        METRIC(struct replay_counters, page_copies, "1", "Blocks of pages copied"),
        METRIC(struct replay_counters, pages_cleared, "pages", "Pages of the blocks cleared"),
        METRIC(struct replay_counters, pages_copied, "pages", "Pages of the blocks copied"),
        METRIC(struct replay_counters, failed_page_uses, "1",
               "Pages to be mapped, cleared or copied that could not be allocated"),
        METRIC(struct replay_counters, process_ops, "1", "Ops of processes (fork, exec, exit, map, touch, switch ...)"),
        METRIC(struct replay_counters, failed_process_ops, "1", "Ops of processes that found no memory"),
        GAUGE(struct replay_counters, live_processes, "1", "Processes at the end"),
        GAUGE(struct replay_counters, pages_processes, "pages", "Frames held by processes at the end"),
        METRIC(struct replay_counters, marks, "1", "Marks in the recording"),
        METRIC(struct replay_counters, failed_object_allocs, "1", "Object allocations that found no memory"),
        METRIC(struct replay_counters, first_failed_op, "1", "Number of the first op that was one of these; 0: none"),
        METRIC(struct replay_counters, first_failed_pages_free, "pages", "Free in all zones at that moment"),
        METRIC(struct replay_counters, failed_page_allocs, "1", "Page allocations that found no memory"),
        METRIC(struct replay_counters, frees_of_failed, "1", "Frees of what could not be allocated"),
        METRIC(struct replay_counters, wrong_ops, "1", "Ops that no correct program makes; listed in wrong_op"),
        METRIC(struct replay_counters, refused_caches_allocs, "1", "Allocations from caches that the allocator refused to make"),
        METRIC(struct replay_counters, skipped_ops, "1", "Ops before the start state or after the end state"),
        METRIC(struct replay_counters, frees_of_unknown, "1", "Frees of what the start state does not have"),
        METRIC(struct replay_counters, address_compared, "1", "Objects whose recorded address was held against the model's"),
        METRIC(struct replay_counters, address_equal, "1", "Of them, those at the recorded address"),
        METRIC(struct replay_counters, address_unseen_free, "1", "Of them, those that some call without an event had freed"),
        METRIC(struct replay_counters, address_unseen_alloc, "1",
               "Of them, those behind objects that no event took, or in another order"),
        METRIC(struct replay_counters, address_lost, "1", "Of them, those in another slab than the model's"),
        METRIC(struct replay_counters, address_page, "1",
               "Of them, those in a new slab whose page was not the model's own decision"),
        METRIC(struct replay_counters, page_address_compared, "1",
               "Page blocks whose recorded frame was held against the model's"),
        METRIC(struct replay_counters, page_address_equal, "1", "Of them, those at the recorded frame"),
        METRIC(struct replay_counters, frees_put_off, "1",
               "Frees that RCU makes later than their event; made so beside a recording"),
        METRIC(struct replay_counters, frees_made_before, "1", "Frees of what was taken for free when its effect showed"),
        METRIC(struct replay_counters, kfree_rcu_frees, "1", "Objects taken to be freed by kfree_rcu(), without an op"),
        METRIC(struct replay_counters, unseen_allocs_made, "1",
               "Allocations without an event that were made from the recorded address"),
        METRIC(struct replay_counters, unseen_allocs_missed, "1",
               "Allocations without an event whose address could not be reached"),
        METRIC(struct replay_counters, start_objects, "1", "Objects of the recording that were live at the start state"),
        METRIC(struct replay_counters, start_page_blocks, "1", "Page blocks of the recording that were live at the start state"),
        GAUGE(struct replay_counters, live_objects, "1", "Objects live at the end"),
        GAUGE(struct replay_counters, live_page_blocks, "1", "Page blocks live at the end"),
        GAUGE(struct replay_counters, live_areas, "1", "Areas live at the end"),
        GAUGE(struct replay_counters, live_page_maps, "1", "Pages mapped at the end"),
        GAUGE(struct replay_counters, pages_areas, "pages", "Held by areas and their page tables at the end"),
        GAUGE(struct replay_counters, pages_mapped, "pages", "Of the recording's own, mapped by areas at the end"),
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

/* The cache of that name in the start state, CACHE_NONE without one. */
static cache_id cache_of_state(const struct replay *replay, const struct trace_cache *cache)
{
	struct object_allocator *objects = replay->parts.objects;
	struct cache_view view;
	for (uint32_t nr = 0; replay->config.from_state && cache->named && nr < objects->ops->cache_limit(objects); nr++)
		if (objects->ops->cache_view(objects, (cache_id){nr}, &view) && strcmp(view.name, cache->name) == 0)
			return (cache_id){nr};
	return CACHE_NONE;
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
		        .align = replay->config.from_state && replay->seen_align[index] > cache->align ? replay->seen_align[index]
		                                                                                       : cache->align,
		        .flags = cache->flags,
		        .ctor = cache->ctor,
		        /* MODEL: where the region lies is not known; it only decides whether the cache may be merged. */
		        .usersize = cache->named && usercopy_cache(cache->name) ? cache->object_size : 0,
		};
		if (cache->object_size == 0)
			return error_set(error, ERROR_INPUT, "%s: cache '%s' has objects of 0 bytes", replay->info->source,
			                 cache->name);
		replay->caches[index] = cache_of_state(replay, cache);
		if (replay->caches[index].nr == UINT32_MAX)
			replay->caches[index] = cache_create(replay->parts.objects, &spec);
	}
	return true;
}

static bool is_object_op(const struct op *op)
{
	return op->kind <= OP_KFREE;
}

/* The frame that an object lies in. */
static uint32_t frame_of(const struct replay *replay, uint64_t address)
{
	uint64_t frame = (address - replay->config.direct_map) >> PAGE_SHIFT;
	return address >= replay->config.direct_map && frame < UINT32_MAX ? (uint32_t)frame : UINT32_MAX;
}

/* Whose slabs an op's object lies in: a number for each cache of the recording, and for each size of kmalloc. */
static uint32_t owner_of_op(const struct op *op)
{
	bool cache = op->kind == OP_CACHE_ALLOC || op->kind == OP_CACHE_FREE;
	return cache ? op->cache : 1u << 31 | (op->bytes_alloc & ~(1u << 31));
}

/* Whether the page allocator can be kept beside the recording: it is of the same allocator, and tells of pages. */
static bool can_follow(const struct replay *replay)
{
	static const char *const names[] = {
	        [RECORDED_UNKNOWN] = "", [RECORDED_SLUB] = "slub", [RECORDED_SLAB] = "slab", [RECORDED_SLOB] = "slob"};
	const struct object_allocator *objects = replay->parts.objects;
	return replay->config.from_state && objects->ops->follow &&
	       follow_pages_possible(replay->parts.trace, replay->parts.pages) &&
	       strcmp(objects->ops->name, names[replay->info->allocator]) == 0;
}

/*
 * A free that the import put in front of an allocation because the object was live: of the same address, or in a page that is
 * handed out anew. The recorded kernel freed it some time before.
 */
static bool is_made_up(const struct replay *replay, const struct op *op, const struct op *next)
{
	pfn first;
	bool before_object = next && next->line == op->line && (next->kind == OP_CACHE_ALLOC || next->kind == OP_KMALLOC);
	return before_object || follow_pages_allocated(&replay->follow_pages, op->line, &first);
}

/* At a batch's end the op behind is not at hand; one such free more or less decides nothing. */
static void look_at_kfree_rcu(struct replay *replay, const struct op *op, const struct op *next)
{
	if (op->kind == OP_KMALLOC && op->origin == OP_RECORDED)
		follow_kfree_rcu_told_alloc(&replay->follow_kfree_rcu, op->id, op->call_site);
	else if (op->kind == OP_KFREE && (next || op->origin != OP_RECORDED))
		follow_kfree_rcu_told_free(&replay->follow_kfree_rcu, op->id,
		                           !is_made_up(replay, op, next) &&
		                                   !follow_pages_hands_out(&replay->follow_pages, op->line));
}

/*
 * What all ops say of the caches together: which have allocations without an event; and, where the start state does not describe
 * its caches (SLOB), the alignment that all addresses of a cache share.
 */
/*
 * The alignment that all addresses of a cache share, `bits` being all of them. More than a cache line is believed only where the
 * size is a multiple of it: of objects that large a page holds but one.
 */
static uint32_t align_of(uint64_t bits, uint32_t object_size)
{
	uint32_t align = (uint32_t)(bits & -bits & (2 * PAGE_SIZE - 1));
	return align > ALIGN_LINE && object_size % align != 0 ? ALIGN_LINE : align;
}

/* Whether RCU makes a cache's frees. */
static bool is_put_off(const struct replay *replay, uint32_t cache)
{
	return replay->puts_off && trace_cache(replay->parts.trace, cache)->flags & SLAB_TYPESAFE_BY_RCU;
}

static void tell_rcu(struct replay *replay, const struct op *op)
{
	if (op->kind == OP_CACHE_FREE && is_put_off(replay, op->cache))
		follow_rcu_tell_free(&replay->follow_rcu, op, trace_cache(replay->parts.trace, op->cache)->object_size);
	else if (op->kind == OP_CACHE_ALLOC || op->kind == OP_KMALLOC)
		follow_rcu_tell_use(&replay->follow_rcu, op->line, op->address, op->bytes_req);
}

static bool look_ahead(struct replay *replay, struct error *error)
{
	uint32_t caches = replay->info->caches;
	struct op *batch = xcalloc(BATCH_OPS, sizeof *batch);
	uint64_t *bits = xcalloc(caches, sizeof *bits);
	size_t count;
	bool read;
	replay->unseen_calls = xcalloc(caches, sizeof *replay->unseen_calls);
	while ((read = trace_next(replay->parts.trace, batch, BATCH_OPS, &count, error)) && count > 0)
		for (size_t i = 0; i < count; i++) {
			if (replay->follows && is_object_op(&batch[i]))
				follow_pages_owner(&replay->follow_pages, batch[i].line, frame_of(replay, batch[i].address),
				                   owner_of_op(&batch[i]));
			follow_look_ahead(&replay->follow, vaddr_of(is_object_op(&batch[i]) ? batch[i].address : 0),
			                  batch[i].origin == OP_UNSEEN ? FATE_UNSEEN : FATE_ALLOC);
			if (replay->follows)
				look_at_kfree_rcu(replay, &batch[i], i + 1 < count ? &batch[i + 1] : NULL);
			if (replay->puts_off)
				tell_rcu(replay, &batch[i]);
			if (batch[i].kind != OP_CACHE_ALLOC)
				continue;
			bits[batch[i].cache] |= batch[i].address;
			replay->unseen_calls[batch[i].cache] |= batch[i].origin == OP_UNSEEN;
		}
	for (uint32_t index = 0; index < caches; index++) {
		bool told = trace_cache(replay->parts.trace, index)->allocs >= ALIGN_WITNESSES && bits[index] != 0;
		replay->seen_align[index] =
		        told ? align_of(bits[index], trace_cache(replay->parts.trace, index)->object_size) : 0;
	}
	free(bits);
	free(batch);
	follow_begin(&replay->follow);
	if (replay->puts_off)
		follow_rcu_begin(&replay->follow_rcu);
	if (replay->follows)
		follow_kfree_rcu_begin(&replay->follow_kfree_rcu);
	if (replay->follows)
		follow_pages_begin(&replay->follow_pages);
	return read && trace_rewind(replay->parts.trace, error);
}

static void set_next_tick(struct replay *replay)
{
	uint64_t next_ns = replay->sample.next_ns < replay->dump.next_ns ? replay->sample.next_ns : replay->dump.next_ns;
	replay->next_tick_ns = next_ns < replay->next_daemon_ns ? next_ns : replay->next_daemon_ns;
}

static void slab_goes(void *context, pfn first, unsigned order, unsigned cpu);

/* A page moved: the id that stands for it learns its new frame. Who stands for which frame is only written down once one moves.
 */
static void page_moved(void *context, pfn from, pfn to)
{
	struct replay *replay = context;
	if (replay->parts.users && replay->parts.users->ops->moved(replay->parts.users, from, to))
		return;
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

/* Whether a repeated interval (0 = never) gives no more samples than a database should hold. */
static bool interval_fits(const char *key, uint64_t every_ns, uint64_t length_ns, struct error *error)
{
	if (every_ns == 0 || length_ns / every_ns <= SAMPLES_MAX)
		return true;
	return error_set(
	        error, ERROR_USAGE,
	        "%s is %.6g s and the recording %.6g s long: that would be more than %u moments; expected %" PRIu64 " ms or more",
	        key, (double)every_ns / 1e9, (double)length_ns / 1e9, SAMPLES_MAX, length_ns / SAMPLES_MAX / 1000000 + 1);
}

/* Where the recorded allocator left frees to RCU, their moments are looked for. */
static bool begin_put_off(struct replay *replay, struct error *error)
{
	const struct replay_parts *parts = &replay->parts;
	parts->objects->followed = replay->follows;
	replay->puts_off = replay->follows && parts->objects->ops->follow->rcu_frees_objects;
	return !replay->puts_off || (trace_rewind(parts->trace, error) &&
	                             follow_rcu_init(&replay->follow_rcu, parts->trace, parts->objects, replay->config.direct_map,
	                                             parts->pages->end_pfn, error) &&
	                             trace_rewind(parts->trace, error));
}

static uint64_t pages_of_areas(const struct replay *replay)
{
	return replay->parts.areas ? replay->parts.areas->ops->pages_held(replay->parts.areas) : 0;
}

static uint64_t pages_of_processes(const struct replay *replay)
{
	return replay->parts.users ? replay->parts.users->ops->pages_held(replay->parts.users) : 0;
}

struct replay *replay_create(const struct replay_config *config, const struct replay_parts *parts, struct error *error)
{
	SIM_ASSERT(config->frequency_mhz > 0 && config->cpus > 0 && config->cpus <= CPUS_MAX);
	const struct trace_info *info = trace_info(parts->trace);
	uint64_t length_ns = info->last_ns - info->first_ns;
	if (!interval_fits("sample.every", config->sample_every_ns, length_ns, error) ||
	    !interval_fits("dump: every", config->dump_every_ns, length_ns, error))
		return NULL;
	struct replay *replay = xcalloc(1, sizeof *replay);
	replay->config = *config;
	replay->parts = *parts;
	replay->info = info;
	replay->live = lazy_alloc(info->ids, sizeof *replay->live);
	if (parts->areas)
		replay->mapped = lazy_alloc(info->ids, sizeof *replay->mapped);
	page_maps_init(&replay->page_maps, parts->mapper, parts->steps, info->ids);
	space_peaks_init(&replay->space_peaks, parts->trace);
	replay->by_call_site = xcalloc(info->call_sites, sizeof *replay->by_call_site);
	replay->program = (struct program_replay){.accesses = parts->accesses,
	                                          .users = parts->users,
	                                          .steps = parts->steps,
	                                          .machine = parts->machine,
	                                          .daemons = &replay->config.daemons,
	                                          .instructions_per_access = config->instructions_per_access,
	                                          .cpus = config->cpus};
	replay->time_ns = info->first_ns;
	replay->sample = (struct tick){config->sample_every_ns, config->sample_every_ns ? info->first_ns : UINT64_MAX};
	replay->dump = (struct tick){config->dump_every_ns, config->dump_every_ns ? info->first_ns : UINT64_MAX};
	replay->next_daemon_ns = UINT64_MAX;
	set_next_tick(replay);
	replay->seen_align = xcalloc(info->caches, sizeof *replay->seen_align);
	replay->before_start = config->from_state;
	replay->areas_before = parts->areas ? parts->areas->live_areas : 0;
	/* Counts of a start state without positions: in use, by nobody the run knows. */
	replay->start_unknown =
	        parts->pages->allocated_pages - parts->objects->ops->pages_held(parts->objects) - pages_of_areas(replay);
	if (config->from_state)
		follow_init(&replay->follow, parts->objects, config->direct_map, parts->pages->end_pfn, info->ops);
	replay->follows = can_follow(replay);
	if (replay->follows)
		follow_kfree_rcu_init(&replay->follow_kfree_rcu, info->call_sites, info->ids);
	if ((replay->follows && !follow_pages_init(&replay->follow_pages, parts->trace, parts->pages, parts->objects,
	                                           &config->window, config->cpus, error)) ||
	    !begin_put_off(replay, error) || (config->from_state && !look_ahead(replay, error)) || !make_caches(replay, error)) {
		replay_destroy(replay);
		return NULL;
	}
	parts->pages->moved = (struct page_moved){page_moved, replay};
	replay->follow_pages.slab_goes = slab_goes;
	replay->follow_pages.context = replay;
	return replay;
}

void replay_destroy(struct replay *replay)
{
	if (!replay)
		return;
	lazy_free(replay->live, replay->info->ids, sizeof *replay->live);
	if (replay->mapped) {
		for (uint32_t id = 0; id < replay->info->ids; id++)
			free(replay->mapped[id]);
		lazy_free(replay->mapped, replay->info->ids, sizeof *replay->mapped);
	}
	page_maps_release(&replay->page_maps);
	space_peaks_release(&replay->space_peaks);
	if (replay->config.from_state)
		follow_release(&replay->follow);
	if (replay->puts_off)
		follow_rcu_release(&replay->follow_rcu);
	if (replay->follows)
		follow_kfree_rcu_release(&replay->follow_kfree_rcu);
	if (replay->follows)
		follow_pages_release(&replay->follow_pages);
	free(replay->seen_align);
	free(replay->unseen_calls);
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

static bool take_area_sample(struct replay *replay, uint32_t number, struct error *error)
{
	const struct virtual_allocator *areas = replay->parts.areas;
	if (!areas)
		return true;
	struct store_sample_area row = {.areas = replay->counters.live_areas,
	                                .pages = replay->counters.pages_areas,
	                                .pages_mapped = replay->counters.pages_mapped,
	                                .pages_lazy = areas->ops->lazy_pages(areas)};
	areas->ops->purges(areas, &row.purges, &row.tlb_flushes);
	return store_sample_area(replay->parts.store, replay->parts.run_id, number, &row, error);
}

/* A row for each order that was asked for since the sample before. */
static bool take_order_sample(struct replay *replay, uint32_t number, struct error *error)
{
	for (unsigned order = 0; order < ORDERS; order++) {
		struct order_requests *requests = &replay->by_order[order];
		uint64_t asked = requests->asked - requests->sampled_asked;
		if (asked > 0 && !store_sample_order(replay->parts.store, replay->parts.run_id, number, order, asked,
		                                     requests->failed - requests->sampled_failed, error))
			return false;
		requests->sampled_asked = requests->asked;
		requests->sampled_failed = requests->failed;
	}
	return true;
}

static bool take_sample(struct replay *replay, struct error *error)
{
	uint32_t number = replay->samples++;
	look_at_caches(replay);
	replay->counters.pages_areas = pages_of_areas(replay);
	replay->counters.pages_processes = pages_of_processes(replay);
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
	const struct level_moment moment = {.sample = number, .position = replay->counters.ops, .time_ns = replay->time_ns};
	if (replay->parts.caches &&
	    !level_store_caches_sample(replay->parts.store, replay->parts.run_id, &moment, replay->parts.caches, error))
		return false;
	if (replay->parts.mmu && !level_store_tlbs_sample(replay->parts.store, replay->parts.run_id, &moment, replay->parts.mmu,
	                                                  replay->config.cpus, error))
		return false;
	if (!store_sample(replay->parts.store, replay->parts.run_id, number, &row, error))
		return false;
	if (!take_area_sample(replay, number, error) || !take_order_sample(replay, number, error))
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

/* Hands over what a daemon of a CPU did. */
static void pay_daemon(struct replay *replay, unsigned cpu)
{
	const struct job_about about = {.kind = JOB_DAEMON, .owner = REPLAY_OWNER_NONE, .call_site = NO_CALL_SITE};
	if (replay->parts.machine)
		push_with_daemons(replay->parts.machine, &replay->config.daemons, cpu, &about, replay->parts.steps);
}

/* Beside a recording its own events tell when a CPU folded its statistics. */
static uint64_t tick_pages(struct replay *replay, unsigned cpu)
{
	return replay->follows ? UINT64_MAX : page_allocator_tick(replay->parts.pages, cpu, replay->time_ns);
}

/* The daemon of the processes' memory works in all of them: it comes behind what was asked of every core. */
static void tick_users(struct replay *replay)
{
	struct user_memory *users = replay->parts.users;
	unsigned cpu = replay->config.user_memory_cpu;
	uint64_t now_ns = replay->time_ns - replay->info->first_ns;
	if (!users || users->next_tick_ns > now_ns)
		return;
	for (unsigned other = 0; replay->parts.machine && other < replay->config.cpus; other++)
		if (other != cpu)
			machine_wait_for(replay->parts.machine, other);
	replay->parts.steps->now_ns = now_ns;
	user_memory_tick(users, cpu, now_ns);
	pay_daemon(replay, cpu);
}

/* When that is due, beside the others. */
static void note_users_tick(struct replay *replay)
{
	const struct user_memory *users = replay->parts.users;
	if (!users || users->next_tick_ns == UINT64_MAX)
		return;
	uint64_t next_ns = replay->info->first_ns + users->next_tick_ns;
	if (next_ns < replay->next_daemon_ns)
		replay->next_daemon_ns = next_ns;
}

/* Lets the allocators do what is due on each CPU now. Samples of the same moment were taken before. */
static void run_daemons(struct replay *replay)
{
	replay->next_daemon_ns = UINT64_MAX;
	for (unsigned cpu = 0; cpu < replay->config.cpus; cpu++) {
		if (replay->daemon_ns[cpu] <= replay->time_ns) {
			if (replay->follows)
				follow_pages_supply(&replay->follow_pages, 0, UINT32_MAX);
			replay->daemon_ns[cpu] = object_allocator_tick(replay->parts.objects, cpu, replay->time_ns);
			if (replay->follows)
				follow_pages_unsupply(&replay->follow_pages);
			pay_daemon(replay, cpu);
		}
		if (replay->vmstat_ns[cpu] <= replay->time_ns) {
			replay->vmstat_ns[cpu] = tick_pages(replay, cpu);
			pay_daemon(replay, cpu);
		}
		uint64_t next_ns =
		        replay->daemon_ns[cpu] < replay->vmstat_ns[cpu] ? replay->daemon_ns[cpu] : replay->vmstat_ns[cpu];
		if (next_ns < replay->next_daemon_ns)
			replay->next_daemon_ns = next_ns;
	}
	tick_users(replay);
	note_users_tick(replay);
}

/* Takes every sample and dump that is due before `time_ns`, and runs the daemons that are. */
static bool run_ticks(struct replay *replay, uint64_t time_ns, struct error *error)
{
	while (replay->next_tick_ns <= time_ns) {
		replay->time_ns = replay->next_tick_ns;
		if (replay->parts.machine && replay->config.asap)
			machine_settle(replay->parts.machine);
		else if (replay->parts.machine)
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
	        [OP_AREA_ALLOC] = "area alloc",
	        [OP_AREA_FREE] = "area free",
	        [OP_PROCESS_CREATE] = "process create",
	        [OP_PROCESS_FORK] = "fork",
	        [OP_PROCESS_EXIT] = "exit",
	        [OP_PROCESS_EXEC] = "exec",
	        [OP_PROCESS_MAP] = "map",
	        [OP_PROCESS_UNMAP] = "unmap",
	        [OP_PROCESS_TOUCH] = "touch",
	        [OP_PROCESS_SWITCH] = "switch",
	        [OP_PROCESS_LEAVE] = "leave",
	        [OP_PROCESS_RUN] = "run of a program",
	        [OP_PAGE_MAP] = "page map",
	        [OP_PAGE_UNMAP] = "page unmap",
	        [OP_PAGE_CLEAR] = "page clear",
	        [OP_PAGE_COPY] = "page copy",
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

/* An allocation that the recording has an address for, from a start state on. */
static struct object follow_op(struct replay *replay, const struct op *op, cache_id cache, unsigned cpu)
{
	struct replay_counters *counters = &replay->counters;
	struct object object = {.cache = cache, .bytes_alloc = op->bytes_alloc};
	const struct follow_call call = {.cache = cache,
	                                 .bytes = op->bytes_req,
	                                 .gfp = op->gfp,
	                                 .cpu = cpu,
	                                 .pages = replay->follows ? &replay->follow_pages : NULL,
	                                 .unseen_calls = cache.nr != UINT32_MAX && replay->unseen_calls[op->cache]};
	if (op->origin == OP_UNSEEN) {
		bool made = follow_unseen_alloc(&replay->follow, &call, vaddr_of(op->address));
		counters->unseen_allocs_made += made;
		counters->unseen_allocs_missed += !made;
		object.at = made ? vaddr_of(op->address) : VADDR_NULL;
		return object;
	}
	enum follow_result result = follow_alloc(&replay->follow, &call, vaddr_of(op->address), &object);
	counters->address_compared++;
	bool of_page = result == FOLLOW_EQUAL && replay->follow_pages.put_right;
	counters->address_equal += result == FOLLOW_EQUAL && !of_page;
	counters->address_page += of_page;
	counters->address_unseen_free += result == FOLLOW_UNSEEN_FREE;
	counters->address_unseen_alloc += result == FOLLOW_UNSEEN_ALLOC;
	counters->address_lost += result == FOLLOW_LOST;
	if (object.cache.nr != UINT32_MAX) {
		struct replay_cache *account = cache_account(replay, object.cache.nr);
		account->address_compared++;
		account->address_equal += result == FOLLOW_EQUAL && !of_page;
	}
	return object;
}

static void wait_for_kfree_rcu(struct replay *replay, const struct op *op, vaddr at)
{
	if (replay->follows && op->kind == OP_KMALLOC)
		follow_kfree_rcu_wait(&replay->follow_kfree_rcu, op->call_site, &(struct follow_kfree_rcu_object){op->id, at});
}

/* Frees those of the objects that are still live, in one call. */
static void free_bulk_by_kfree_rcu(struct replay *replay, const struct follow_kfree_rcu_object *waiting, size_t length,
                                   unsigned cpu)
{
	vaddr *at = xcalloc(length, sizeof *at);
	size_t count = 0;
	for (size_t i = 0; i < length; i++) {
		struct live *live = &replay->live[waiting[i].id];
		if (live->state != LIVE_OBJECT || live->gone || live->address != waiting[i].at.addr ||
		    replay->parts.objects->ops->ksize(replay->parts.objects, waiting[i].at) == 0)
			continue;
		live->gone = true;
		follow_freed(&replay->follow, waiting[i].at);
		at[count++] = waiting[i].at;
	}
	replay->counters.kfree_rcu_frees += count;
	enum object_free_result result = cache_free_bulk(replay->parts.objects, CACHE_NONE, count, at, cpu);
	SIM_ASSERT(result == OBJECT_FREE_OK);
	free(at);
}

/* Gives back what waited for kfree_rcu(): page by page of pointers, the newest first. */
static void free_by_kfree_rcu(struct replay *replay, unsigned cpu)
{
	struct follow_kfree_rcu *rcu = &replay->follow_kfree_rcu;
	size_t pointer = replay->info->pointer_bits == 32 ? 4 : 8;
	size_t bulk = (PAGE_SIZE - RCU_BULK_HEAD_WORDS * pointer) / pointer;
	while (rcu->count > 0) {
		size_t from = (rcu->count - 1) / bulk * bulk;
		free_bulk_by_kfree_rcu(replay, rcu->waiting + from, rcu->count - from, cpu);
		rcu->count = from;
	}
}

/* The recording frees a slab that the model has objects in. */
static void slab_goes(void *context, pfn first, unsigned order, unsigned cpu)
{
	struct replay *replay = context;
	uint64_t from = replay->config.direct_map + ((uint64_t)first.nr << PAGE_SHIFT);
	if (follow_kfree_rcu_waits(&replay->follow_kfree_rcu, vaddr_of(from), vaddr_of(from + ((uint64_t)PAGE_SIZE << order))))
		free_by_kfree_rcu(replay, cpu);
}

/* No memory for an object: the first time, what was free all the same. */
static void note_failed_object(struct replay *replay)
{
	struct zone_view zone;
	uint64_t pcp;
	if (replay->counters.failed_object_allocs++)
		return;
	replay->counters.first_failed_op = replay->counters.ops;
	replay->counters.first_failed_pages_free = pages_free(replay, &zone, &pcp);
}

static bool alloc_object(struct replay *replay, const struct op *op, unsigned cpu, struct error *error)
{
	struct live *live = &replay->live[op->id];
	if (live->state != LIVE_NOT)
		return wrong_op(replay, op, "its id is still in use", error);
	struct object object = {0};
	cache_id cache = op->kind == OP_CACHE_ALLOC ? replay->caches[op->cache] : CACHE_NONE;
	if (op->kind == OP_CACHE_ALLOC && cache.nr == UINT32_MAX) {
		replay->counters.refused_caches_allocs++;
		live->state = LIVE_FAILED;
		return true;
	}
	if (replay->config.from_state && op->address)
		object = follow_op(replay, op, cache, cpu);
	else if (op->kind == OP_CACHE_ALLOC)
		object = cache_alloc(replay->parts.objects, cache, op->gfp, cpu);
	else
		object = object_kmalloc(replay->parts.objects, op->bytes_req, op->gfp, cpu);
	if (object.at.addr == 0) {
		note_failed_object(replay);
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
	wait_for_kfree_rcu(replay, op, object.at);
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

/* The free of what was live before the start state and is no object of the allocator's. */
static bool free_from_before(struct replay *replay, struct live *live, unsigned cpu)
{
	if (live->state == LIVE_LARGE && !replay->follows) {
		enum page_free_result result = page_free(replay->parts.pages, pfn_of((uint32_t)live->address), live->order, cpu);
		SIM_ASSERT(result == PAGE_FREE_OK);
		replay->start_unknown -= 1ull << live->order;
	}
	replay->counters.frees_of_unknown++;
	live->state = LIVE_NOT;
	return true;
}

static bool free_object(struct replay *replay, const struct op *op, const struct op *next, unsigned cpu, struct error *error)
{
	struct live *live = &replay->live[op->id];
	if (live->state == LIVE_LARGE || live->state == LIVE_UNKNOWN)
		return free_from_before(replay, live, cpu);
	if (live->state == LIVE_FAILED) {
		replay->counters.frees_of_failed++;
		live->state = LIVE_NOT;
		return true;
	}
	if (live->state != LIVE_OBJECT)
		return wrong_op(replay, op, live->state == LIVE_NOT ? "nothing is live under its id" : "its id stands for pages",
		                error);
	vaddr at = vaddr_of(live->address);
	if (live->gone || (replay->follows && is_made_up(replay, op, next))) {
		account_object_free(replay, live, cpu);
		live->state = LIVE_NOT;
		return true;
	}
	if (replay->puts_off && op->kind == OP_CACHE_FREE && is_put_off(replay, op->cache) &&
	    follow_rcu_put_off(&replay->follow_rcu, op->line, at)) {
		follow_freed(&replay->follow, at);
		account_object_free(replay, live, cpu);
		replay->counters.frees_put_off++;
		live->state = LIVE_NOT;
		return true;
	}
	/* The kernel accepts kmem_cache_free() of a kmalloc'ed object by its own cache; the recording then names a kmalloc cache.
	 */
	enum object_free_result result = op->kind == OP_CACHE_FREE && live->cache == replay->caches[op->cache].nr
	                                         ? cache_free(replay->parts.objects, (cache_id){live->cache}, at, cpu)
	                                         : object_kfree(replay->parts.objects, at, cpu);
	if (result != OBJECT_FREE_OK && !replay->follows)
		return wrong_op(replay, op, object_free_text(result), error);
	replay->counters.frees_made_before += result != OBJECT_FREE_OK;
	if (replay->config.from_state)
		follow_freed(&replay->follow, at);
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

static void enter_pages(struct replay *replay, const struct op *op, struct live *live, uint32_t first, unsigned cpu)
{
	*live = (struct live){.address = first, .cpu = (uint16_t)cpu, .state = LIVE_PAGES, .order = op->order, .gfp = op->gfp};
	if (replay->id_of_frame)
		replay->id_of_frame[first] = op->id;
	replay->counters.page_allocs++;
	replay->by_order[op->order].asked++;
	replay->counters.live_page_blocks++;
	*owner_of(replay, op->gfp) += 1ull << op->order;
}

static void fail_pages(struct replay *replay, const struct op *op, struct live *live)
{
	replay->counters.failed_page_allocs++;
	replay->by_order[op->order].asked++;
	replay->by_order[op->order].failed++;
	live->state = LIVE_FAILED;
}

/* The block was allocated at its event; here it only gets its owner. */
static bool alloc_followed_pages(struct replay *replay, const struct op *op, struct live *live, unsigned cpu)
{
	pfn first = pfn_of((uint32_t)op->address);
	if (op->origin == OP_RECORDED && follow_pages_allocated(&replay->follow_pages, op->line, &first) &&
	    first.nr == UINT32_MAX) {
		fail_pages(replay, op, live);
		return true;
	}
	follow_pages_claim(&replay->follow_pages, first);
	enter_pages(replay, op, live, first.nr, cpu);
	replay->start_unknown -= 1ull << op->order;
	return true;
}

static bool alloc_pages(struct replay *replay, const struct op *op, unsigned cpu, struct error *error)
{
	struct live *live = &replay->live[op->id];
	if (live->state != LIVE_NOT)
		return wrong_op(replay, op, "its id is still in use", error);
	if (replay->follows)
		return alloc_followed_pages(replay, op, live, cpu);
	if (replay->config.from_state && op->origin == OP_UNSEEN &&
	    page_adopt(replay->parts.pages, pfn_of((uint32_t)op->address), op->order)) {
		replay->start_unknown -= 1ull << op->order;
		enter_pages(replay, op, live, (uint32_t)op->address, cpu);
		return true;
	}
	pfn first = page_alloc(replay->parts.pages, op->order, op->gfp, cpu);
	if (first.nr == UINT32_MAX) {
		fail_pages(replay, op, live);
		return true;
	}
	if (replay->config.from_state && op->origin == OP_RECORDED && op->address) {
		replay->counters.page_address_compared++;
		replay->counters.page_address_equal += first.nr == op->address;
	}
	enter_pages(replay, op, live, first.nr, cpu);
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
	if (live->state == LIVE_LARGE || live->state == LIVE_UNKNOWN)
		return free_from_before(replay, live, cpu);
	if (live->state == LIVE_FAILED) {
		replay->counters.frees_of_failed++;
		live->state = LIVE_NOT;
		return true;
	}
	if (live->state != LIVE_PAGES)
		return wrong_op(replay, op,
		                live->state == LIVE_NOT ? "nothing is live under its id" : "its id stands for an object", error);
	enum page_free_result result = PAGE_FREE_OK;
	if (replay->follows)
		replay->start_unknown += 1ull << live->order;
	else
		result = page_free(replay->parts.pages, pfn_of((uint32_t)live->address), op->order, cpu);
	if (result != PAGE_FREE_OK)
		return wrong_op(replay, op, page_free_text(result), error);
	replay->counters.page_frees++;
	replay->counters.live_page_blocks--;
	*owner_of(replay, live->gfp) -= 1ull << live->order;
	live->state = LIVE_NOT;
	return true;
}

/* ---- areas of kernel addresses ---- */

static void give_mapped_pages(struct replay *replay, uint32_t id, uint64_t count, unsigned cpu)
{
	for (uint64_t i = 0; i < count; i++) {
		enum page_free_result result = page_free(replay->parts.pages, replay->mapped[id][i], 0, cpu);
		SIM_ASSERT(result == PAGE_FREE_OK);
	}
	free(replay->mapped[id]);
	replay->mapped[id] = NULL;
	replay->counters.pages_mapped -= count;
}

/* The pages that a caller of vmap() has: single ones, as drivers take them. */
static bool take_mapped_pages(struct replay *replay, uint32_t id, uint64_t count, gfp flags, unsigned cpu)
{
	pfn *frames = xcalloc(count, sizeof *frames);
	replay->mapped[id] = frames;
	for (uint64_t i = 0; i < count; i++) {
		frames[i] = page_alloc(replay->parts.pages, 0, flags, cpu);
		if (frames[i].nr == UINT32_MAX) {
			give_mapped_pages(replay, id, i, cpu);
			return false;
		}
		replay->counters.pages_mapped++;
	}
	return true;
}

static struct virtual_request area_request(const struct replay *replay, const struct op *op, const struct live *live)
{
	const char *site = trace_call_site(replay->parts.trace, live->call_site);
	return (struct virtual_request){.call = (enum virtual_call)op->order,
	                                .size = live->bytes_req,
	                                .frames = replay->mapped[op->id],
	                                .physical = op->address,
	                                .caller = *site ? site : NULL};
}

static bool alloc_area(struct replay *replay, const struct op *op, unsigned cpu, struct error *error)
{
	struct live *live = &replay->live[op->id];
	bool maps = virtual_call_maps((enum virtual_call)op->order);
	uint64_t pages = maps ? op->bytes_req >> PAGE_SHIFT : 0;
	if (live->state != LIVE_NOT)
		return wrong_op(replay, op, "its id is still in use", error);
	if (maps && op->bytes_req % PAGE_SIZE != 0)
		return wrong_op(replay, op, "it maps a part of a page", error);
	*live = (struct live){.bytes_req = op->bytes_req, .call_site = op->call_site, .cache = UINT32_MAX, .cpu = (uint16_t)cpu};
	struct virtual_area area = {0};
	if (!maps || take_mapped_pages(replay, op->id, pages, op->gfp, cpu)) {
		const struct virtual_request request = area_request(replay, op, live);
		area = virtual_get(replay->parts.areas, &request, cpu);
		if (maps && !area.at.addr)
			give_mapped_pages(replay, op->id, pages, cpu);
	}
	live->address = area.at.addr;
	live->order = op->order;
	live->state = area.at.addr ? LIVE_AREA : LIVE_FAILED;
	replay->counters.area_allocs += area.at.addr != 0;
	replay->counters.failed_area_allocs += area.at.addr == 0;
	replay->counters.live_areas += area.at.addr != 0;
	return true;
}

static bool free_area(struct replay *replay, const struct op *op, unsigned cpu, struct error *error)
{
	struct live *live = &replay->live[op->id];
	if (live->state == LIVE_FAILED) {
		replay->counters.frees_of_failed++;
		live->state = LIVE_NOT;
		return true;
	}
	if (live->state != LIVE_AREA)
		return wrong_op(replay, op, "no area is live under its id", error);
	const struct virtual_request request = area_request(replay, op, live);
	enum virtual_free_result result = virtual_put(replay->parts.areas, vaddr_of(live->address), &request, cpu);
	SIM_ASSERT(result == VIRTUAL_FREE_OK);
	if (replay->mapped[op->id])
		give_mapped_pages(replay, op->id, live->bytes_req >> PAGE_SHIFT, cpu);
	replay->counters.area_frees++;
	replay->counters.live_areas--;
	live->state = LIVE_NOT;
	return true;
}

/* ---- addresses for pages, and whole pages through them ---- */

/* The live block of an id that another op names; NULL after an answer to the op, which says whether the run goes on. */
static const struct live *block_of(struct replay *replay, const struct op *op, uint32_t id, bool *go_on, struct error *error)
{
	const struct live *live = &replay->live[id];
	*go_on = true;
	if (live->state == LIVE_PAGES)
		return live;
	if (live->state == LIVE_FAILED || live->state == LIVE_UNKNOWN)
		replay->counters.failed_page_uses++;
	else
		*go_on = wrong_op(replay, op, "it names a block of pages that is not live", error);
	return NULL;
}

static bool map_page(struct replay *replay, const struct op *op, unsigned cpu, struct error *error)
{
	struct live *live = &replay->live[op->id];
	if (live->state != LIVE_NOT)
		return wrong_op(replay, op, "its id is still in use", error);
	bool go_on;
	const struct live *block = block_of(replay, op, (uint32_t)op->address, &go_on, error);
	uint32_t page = (uint32_t)(op->address >> 32);
	if (!block) {
		live->state = LIVE_FAILED;
		return go_on;
	}
	if (page >= 1u << block->order)
		return wrong_op(replay, op, "the block has no such page", error);
	const struct page_mapping mapping = {
	        .frame = (uint32_t)block->address + page, .bytes = op->bytes_req, .cpu = (uint16_t)cpu, .call = op->order};
	enum page_map_result result = page_maps_map(&replay->page_maps, op->id, &mapping);
	if (result == PAGE_MAP_TOO_DEEP)
		return wrong_op(replay, op, "as many pages are mapped one inside the other as the CPU has slots", error);
	*live = (struct live){.call_site = op->call_site, .cache = UINT32_MAX, .cpu = (uint16_t)cpu, .state = LIVE_MAP};
	replay->counters.page_maps += result == PAGE_MAP_OK;
	replay->counters.page_map_waits += result == PAGE_MAP_MUST_WAIT;
	replay->counters.live_page_maps += result == PAGE_MAP_OK;
	return true;
}

static bool unmap_page(struct replay *replay, const struct op *op, unsigned cpu, struct error *error)
{
	struct live *live = &replay->live[op->id];
	if (live->state == LIVE_FAILED || live->state == LIVE_UNKNOWN) {
		replay->counters.frees_of_failed++;
		live->state = LIVE_NOT;
		return true;
	}
	if (live->state != LIVE_MAP)
		return wrong_op(replay, op, "no page is mapped under its id", error);
	uint64_t late = replay->page_maps.counters.made_late;
	switch (page_maps_unmap(&replay->page_maps, op->id, cpu)) {
	case PAGE_MAPS_UNMAPPED:
		break;
	case PAGE_MAPS_NEVER_MADE:
		replay->counters.frees_of_failed++;
		replay->counters.page_maps_given_up++;
		live->state = LIVE_NOT;
		return true;
	case PAGE_MAPS_NOT_MAPPED:
		return wrong_op(replay, op, "the page is not mapped on this CPU", error);
	case PAGE_MAPS_WRONG_ORDER:
		return wrong_op(replay, op, "another page was mapped after it and is to be unmapped first", error);
	}
	late = replay->page_maps.counters.made_late - late;
	replay->counters.page_unmaps++;
	replay->counters.page_maps_late += late;
	replay->counters.live_page_maps += late - 1;
	live->state = LIVE_NOT;
	return true;
}

/* What mapping said of one page of a clear or copy. */
static bool page_use_done(struct replay *replay, const struct op *op, enum page_map_result result, struct error *error)
{
	switch (result) {
	case PAGE_MAP_OK:
		return true;
	case PAGE_MAP_MUST_WAIT:
		return wrong_op(replay, op, "it waits for ever: every slot is in use", error);
	case PAGE_MAP_TOO_DEEP:
		return wrong_op(replay, op, "as many pages are mapped one inside the other as the CPU has slots", error);
	}
	SIM_UNREACHABLE("a result of mapping");
}

static bool clear_pages(struct replay *replay, const struct op *op, unsigned cpu, struct error *error)
{
	bool go_on;
	const struct live *block = block_of(replay, op, op->id, &go_on, error);
	if (!block)
		return go_on;
	enum page_map_result result = PAGE_MAP_OK;
	for (uint32_t page = 0; page < 1u << block->order && result == PAGE_MAP_OK; page++) {
		result = page_mapper_clear(replay->parts.mapper, (enum page_map_call)op->order, replay->parts.steps,
		                           pfn_of((uint32_t)block->address + page), cpu);
		replay->counters.pages_cleared += result == PAGE_MAP_OK;
	}
	replay->counters.page_clears += result == PAGE_MAP_OK;
	return page_use_done(replay, op, result, error);
}

static bool copy_pages(struct replay *replay, const struct op *op, unsigned cpu, struct error *error)
{
	bool go_on;
	const struct live *target = block_of(replay, op, op->id, &go_on, error);
	const struct live *source = target ? block_of(replay, op, (uint32_t)op->address, &go_on, error) : NULL;
	if (!source)
		return go_on;
	if (source->order != target->order || source == target)
		return wrong_op(replay, op, "the blocks are not two of one size", error);
	enum page_map_result result = PAGE_MAP_OK;
	for (uint32_t page = 0; page < 1u << target->order && result == PAGE_MAP_OK; page++) {
		result =
		        page_mapper_copy(replay->parts.mapper, (enum page_map_call)op->order, replay->parts.steps,
		                         pfn_of((uint32_t)target->address + page), pfn_of((uint32_t)source->address + page), cpu);
		replay->counters.pages_copied += result == PAGE_MAP_OK;
	}
	replay->counters.page_copies += result == PAGE_MAP_OK;
	return page_use_done(replay, op, result, error);
}

/* ---- processes ---- */

/*
 * What happens in an address space on one CPU comes behind what happened in it on another: that core has to come to its end
 * first. MODEL: so threads of a process take turns under the clock, and no two of them run at once.
 */
static void follow_process(const struct replay *replay, process_id process, unsigned cpu)
{
	struct process_view view;
	if (!replay->parts.machine || !replay->parts.users->ops->view(replay->parts.users, process, &view))
		return;
	unsigned last = view.last_cpu;
	if (last != cpu)
		machine_wait_for(replay->parts.machine, last);
}

/* The process that an op is of, or its parent; NULL: none lives there. */
static struct live *subject_of(struct replay *replay, const struct op *op)
{
	struct live *live = &replay->live[op->kind == OP_PROCESS_FORK ? op_parent_of(op) : op->id];
	return live->state == LIVE_PROCESS || live->state == LIVE_FAILED ? live : NULL;
}

static bool process_done(struct replay *replay, const struct op *op, const struct process_op_done *done, unsigned cpu,
                         struct error *error)
{
	if (done->result == PROCESS_OP_WRONG)
		return wrong_op(replay, op, done->what, error);
	bool failed = done->result == PROCESS_OP_NO_MEMORY;
	replay->counters.process_ops += !failed;
	replay->counters.failed_process_ops += failed;
	if (makes_process(op->kind))
		replay->live[op->id] = (struct live){.address = done->process.nr,
		                                     .cache = UINT32_MAX,
		                                     .cpu = (uint16_t)cpu,
		                                     .state = failed ? LIVE_FAILED : LIVE_PROCESS};
	if (op->kind == OP_PROCESS_EXIT)
		replay->live[op->id].state = LIVE_NOT;
	replay->counters.live_processes = replay->parts.users->live_processes;
	return true;
}

static bool decide_process(struct replay *replay, const struct op *op, unsigned cpu, struct error *error)
{
	struct process_op_done done = {.result = PROCESS_OP_NO_MEMORY, .process = PROCESS_NONE};
	process_id process = PROCESS_NONE;
	if (makes_process(op->kind) && replay->live[op->id].state != LIVE_NOT)
		return wrong_op(replay, op, "its id is still in use", error);
	if (op->kind != OP_PROCESS_CREATE && op->kind != OP_PROCESS_LEAVE) {
		struct live *live = subject_of(replay, op);
		if (!live)
			return wrong_op(replay, op, "no process is live under its id", error);
		/* One that could not be made does nothing. */
		if (live->state == LIVE_FAILED)
			return process_done(replay, op, &done, cpu, error);
		process = (process_id){(uint32_t)live->address};
		follow_process(replay, process, cpu);
	}
	done = process_op(replay->parts.users, op, process, cpu);
	if (done.result == PROCESS_OP_DONE)
		space_peaks_op(&replay->space_peaks, replay->parts.users, op, makes_process(op->kind) ? done.process : process);
	note_users_tick(replay);
	set_next_tick(replay);
	return process_done(replay, op, &done, cpu, error);
}

/* The threads of a program, whose ids follow each other. NULL, or what is wrong with the op. */
static const char *threads_of(const struct replay *replay, const struct op *op, process_id threads[])
{
	if (!replay->parts.accesses)
		return "it is of a program whose accesses are not here";
	if (op->bytes_alloc > replay->config.cpus)
		return "it has more threads than the machine has CPUs";
	for (uint32_t cpu = 0; cpu < op->bytes_alloc; cpu++) {
		const struct live *live = &replay->live[op->id + cpu];
		if (live->state != LIVE_PROCESS && live->state != LIVE_FAILED)
			return "no process is live under the id of one of its threads";
		threads[cpu] = live->state == LIVE_FAILED ? PROCESS_NONE : (process_id){(uint32_t)live->address};
	}
	return NULL;
}

static bool run_program(struct replay *replay, const struct op *op, struct error *error)
{
	process_id threads[CPUS_MAX];
	const char *what = threads_of(replay, op, threads);
	if (what)
		return wrong_op(replay, op, what, error);
	if (!program_run(&replay->program, op, threads, error))
		return false;
	if (threads[0].nr != UINT32_MAX)
		space_peaks_op(&replay->space_peaks, replay->parts.users, op, threads[0]);
	replay->counters.process_ops++;
	note_users_tick(replay);
	set_next_tick(replay);
	return true;
}

/* Lets the allocators decide one op. false: the run stops here. */
static bool decide(struct replay *replay, const struct op *op, const struct op *next, unsigned cpu, struct error *error)
{
	replay->counters.ops++;
	if (replay->parts.steps)
		replay->parts.steps->now_ns = op->time_ns - replay->info->first_ns;
	switch ((enum op_kind)op->kind) {
	case OP_CACHE_ALLOC:
	case OP_KMALLOC:
		return alloc_object(replay, op, cpu, error);
	case OP_CACHE_FREE:
	case OP_KFREE:
		return free_object(replay, op, next, cpu, error);
	case OP_PAGE_ALLOC:
		return alloc_pages(replay, op, cpu, error);
	case OP_PAGE_FREE:
		return free_pages(replay, op, cpu, error);
	case OP_AREA_ALLOC:
		return alloc_area(replay, op, cpu, error);
	case OP_AREA_FREE:
		return free_area(replay, op, cpu, error);
	case OP_PAGE_MAP:
		return map_page(replay, op, cpu, error);
	case OP_PAGE_UNMAP:
		return unmap_page(replay, op, cpu, error);
	case OP_PAGE_CLEAR:
		return clear_pages(replay, op, cpu, error);
	case OP_PAGE_COPY:
		return copy_pages(replay, op, cpu, error);
	case OP_PROCESS_CREATE:
	case OP_PROCESS_FORK:
	case OP_PROCESS_EXIT:
	case OP_PROCESS_EXEC:
	case OP_PROCESS_MAP:
	case OP_PROCESS_UNMAP:
	case OP_PROCESS_TOUCH:
	case OP_PROCESS_SWITCH:
	case OP_PROCESS_LEAVE:
		return decide_process(replay, op, cpu, error);
	case OP_PROCESS_RUN:
		return run_program(replay, op, error);
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
	case OP_AREA_ALLOC:
		return JOB_AREA_ALLOC;
	case OP_AREA_FREE:
		return JOB_AREA_FREE;
	case OP_PAGE_MAP:
		return JOB_PAGE_MAP;
	case OP_PAGE_UNMAP:
		return JOB_PAGE_UNMAP;
	case OP_PAGE_CLEAR:
		return JOB_PAGE_CLEAR;
	case OP_PAGE_COPY:
		return JOB_PAGE_COPY;
	case OP_PROCESS_TOUCH:
		return JOB_TOUCH;
	case OP_PROCESS_RUN:
		return JOB_ACCESSES;
	case OP_PROCESS_SWITCH:
	case OP_PROCESS_LEAVE:
		return JOB_SWITCH;
	default:
		return is_process_op(kind) ? JOB_PROCESS : JOB_PAGE_FREE;
	}
}

/* Whom an op's accesses are counted for. */
static uint32_t step_owner(const struct replay *replay, const struct op *op)
{
	if (job_of(op->kind) != JOB_OBJECT_ALLOC && job_of(op->kind) != JOB_OBJECT_FREE)
		return REPLAY_OWNER_NONE;
	const struct live *live = &replay->live[op->id];
	return live->state == LIVE_FAILED || live->cache == UINT32_MAX ? REPLAY_OWNER_NONE : replay_owner_of_cache(live->cache);
}

static uint32_t step_call_site(const struct replay *replay, const struct op *op)
{
	enum job_kind kind = job_of(op->kind);
	if (kind == JOB_PAGE_ALLOC || kind == JOB_PAGE_FREE || is_process_op(op->kind)) /* they have none of their own */
		return NO_CALL_SITE;
	return kind == JOB_PAGE_CLEAR || kind == JOB_PAGE_COPY ? op->call_site : replay->live[op->id].call_site;
}

/* What the core runs between two ops, in a job of its own, so that no op is charged with it. */
static void run_caller(struct replay *replay, unsigned cpu)
{
	const struct job_about about = {.kind = JOB_TOUCH, .owner = REPLAY_OWNER_NONE, .call_site = NO_CALL_SITE};
	struct step step = {.kind = STEP_RUN, .address = replay->config.caller_code};
	core_push(replay->parts.machine, cpu, &about, &(struct steps){.at = &step, .count = 1});
}

/* Hands the steps of the op just decided to its core; a program's are handed over access by access. What happened before the
 * recording costs nothing. */
static void pay(struct replay *replay, const struct op *op, unsigned cpu)
{
	if (op->kind != OP_MARK && op->kind != OP_PROCESS_RUN && op->origin == OP_RECORDED) {
		enum job_kind kind = job_of(op->kind);
		const struct job_about about = {
		        .kind = kind, .owner = step_owner(replay, op), .call_site = step_call_site(replay, op)};
		if (replay->config.caller_code)
			run_caller(replay, cpu);
		push_with_daemons(replay->parts.machine, &replay->config.daemons, cpu, &about, replay->parts.steps);
	}
	steps_clear(replay->parts.steps);
}

/* An op outside of the time from start state to end state. */
static void skip_op(struct replay *replay, const struct op *op)
{
	replay->counters.ops++;
	replay->counters.skipped_ops++;
	if (!replay->before_start || op->kind == OP_MARK || op->kind == OP_PAGE_CLEAR || op->kind == OP_PAGE_COPY)
		return;
	if (op->kind == OP_PAGE_MAP) {
		replay->live[op->id].state = LIVE_UNKNOWN;
		return;
	}
	if (is_process_op(op->kind)) {
		/* No state tells of processes: what they do later is left out, too. */
		if (makes_process(op->kind) || op->kind == OP_PROCESS_EXIT)
			replay->live[op->id].state = makes_process(op->kind) ? LIVE_FAILED : LIVE_NOT;
		return;
	}
	wait_for_kfree_rcu(replay, op, vaddr_of(op->address));
	bool pages = op->kind == OP_PAGE_ALLOC;
	if (op->kind == OP_CACHE_ALLOC || op->kind == OP_KMALLOC || pages)
		replay->live[op->id] =
		        (struct live){.address = op->address,
		                      .bytes_req = op->bytes_req,
		                      .bytes_alloc = op->bytes_alloc,
		                      .call_site = op->call_site,
		                      .cache = op->kind == OP_CACHE_ALLOC ? replay->caches[op->cache].nr : UINT32_MAX,
		                      .cpu = op->cpu,
		                      .state = pages ? LIVE_PAGES : LIVE_BEFORE,
		                      .order = op->order,
		                      .gfp = op->gfp};
	else
		replay->live[op->id].state = LIVE_NOT;
}

/* Takes over an object of the start state. */
static void start_with_object(struct replay *replay, struct live *live)
{
	struct object_allocator *objects = replay->parts.objects;
	vaddr at = vaddr_of(live->address);
	bool there = objects->ops->ksize(objects, at) > 0 || object_adopt(objects, at, (cache_id){live->cache}, live->bytes_req);
	if (there) {
		live->state = LIVE_OBJECT;
		replay->counters.start_objects++;
		replay->counters.live_objects++;
		replay->counters.bytes_req += live->bytes_req;
		replay->counters.bytes_alloc += live->bytes_alloc;
		replay->by_call_site[live->call_site].live_objects++;
		replay->by_call_site[live->call_site].live_bytes_req += live->bytes_req;
		replay->by_call_site[live->call_site].live_bytes_alloc += live->bytes_alloc;
		if (live->cache != UINT32_MAX) {
			cache_account(replay, live->cache)->live_bytes_req += live->bytes_req;
			replay->by_cache[live->cache].live_bytes_alloc += live->bytes_alloc;
		}
		return;
	}
	/* Whole pages, which only the page allocator knows. */
	uint64_t frame = (live->address - replay->config.direct_map) >> PAGE_SHIFT;
	live->state = LIVE_UNKNOWN;
	while (live->order < ORDERS && (uint64_t)PAGE_SIZE << live->order < live->bytes_req)
		live->order++;
	if (live->address % PAGE_SIZE == 0 && live->bytes_req >= PAGE_SIZE - KMALLOC_HEADER_MAX && live->order < ORDERS &&
	    frame < replay->parts.pages->end_pfn && page_adopt(replay->parts.pages, pfn_of((uint32_t)frame), live->order)) {
		live->address = frame;
		live->state = LIVE_LARGE;
	}
}

static void start_with_pages(struct replay *replay, struct live *live)
{
	if (live->address >= replay->parts.pages->end_pfn ||
	    !page_adopt(replay->parts.pages, pfn_of((uint32_t)live->address), live->order)) {
		live->state = LIVE_UNKNOWN;
		return;
	}
	replay->counters.start_page_blocks++;
	replay->counters.live_page_blocks++;
	*owner_of(replay, live->gfp) += 1ull << live->order;
}

/* Asks the object allocator when it has work of its own; the time is that of the first op or of the start state. */
static void start_daemons(struct replay *replay)
{
	for (unsigned cpu = 0; cpu < replay->config.cpus; cpu++)
		replay->daemon_ns[cpu] = replay->vmstat_ns[cpu] = replay->time_ns;
	run_daemons(replay);
	set_next_tick(replay);
}

/* Nothing is sampled before the start state. */
static void skip_tick(struct tick *tick, uint64_t until_ns)
{
	if (tick->every_ns && tick->next_ns < until_ns)
		tick->next_ns += (until_ns - tick->next_ns + tick->every_ns - 1) / tick->every_ns * tick->every_ns;
}

/* The moment of the start state: what the ops before it left live is what the allocators hold. */
static void start_from_state(struct replay *replay, uint64_t line)
{
	const struct replay_counters *counters = &replay->counters;
	replay->before_start = false;
	for (uint32_t id = 0; id < replay->info->ids; id++) {
		struct live *live = &replay->live[id];
		if (live->state == LIVE_BEFORE)
			start_with_object(replay, live);
		else if (live->state == LIVE_PAGES)
			start_with_pages(replay, live);
	}
	if (replay->puts_off)
		follow_rcu_start(&replay->follow_rcu, line, replay->caches);
	replay->start_unknown = replay->parts.pages->allocated_pages - pages_of_areas(replay) -
	                        replay->parts.objects->ops->pages_held(replay->parts.objects) - counters->pages_unmovable -
	                        counters->pages_movable - counters->pages_reclaimable;
	if (replay->config.window.start_ns > replay->time_ns)
		replay->time_ns = replay->config.window.start_ns;
	skip_tick(&replay->sample, replay->time_ns);
	skip_tick(&replay->dump, replay->time_ns);
	start_daemons(replay);
}

/* Whether an op lies outside of the time that is replayed; the first one inside brings the start state. */
static bool is_outside(struct replay *replay, const struct op *op)
{
	if (replay->before_start && (op->origin == OP_BEFORE || trace_is_before(&replay->config.window, op->line, op->time_ns)))
		return true;
	if (replay->before_start)
		start_from_state(replay, op->line);
	return trace_is_behind(&replay->config.window, op->line, op->time_ns);
}

/* Makes the frees that RCU has put off until now; their pages are the recording's. */
static void make_put_off(struct replay *replay, uint64_t line, unsigned cpu)
{
	follow_pages_supply(&replay->follow_pages, 0, UINT32_MAX);
	follow_rcu_to(&replay->follow_rcu, line, cpu);
	follow_pages_unsupply(&replay->follow_pages);
}

static bool replay_op(struct replay *replay, const struct op *op, const struct op *next, struct error *error)
{
	if (replay->config.from_state)
		follow_next_op(&replay->follow, vaddr_of(is_object_op(op) ? op->address : 0));
	if (replay->config.from_state && is_outside(replay, op)) {
		skip_op(replay, op);
		return true;
	}
	if (op->time_ns >= replay->next_tick_ns && !run_ticks(replay, op->time_ns, error))
		return false;
	if (op->time_ns > replay->time_ns)
		replay->time_ns = op->time_ns;
	/* MODEL: a machine of fewer CPUs than the recorded one does the same in the same order, several CPUs' work on one. */
	unsigned cpu = op->cpu < replay->config.cpus ? op->cpu : op->cpu % replay->config.cpus;
	struct machine *machine = replay->parts.machine;
	if (machine && !replay->config.asap)
		machine_run_until(machine, cycle_at(replay, replay->time_ns));
	if (replay->puts_off)
		make_put_off(replay, op->line, cpu);
	if (replay->follows) {
		follow_pages_to(&replay->follow_pages, op->line);
		if (is_object_op(op))
			follow_pages_supply(&replay->follow_pages, frame_of(replay, op->address), owner_of_op(op));
	}
	bool go_on = decide(replay, op, next, cpu, error);
	if (replay->follows)
		follow_pages_unsupply(&replay->follow_pages);
	if (machine)
		pay(replay, op, cpu);
	note_peaks(replay);
	if (replay->config.paranoid_every && replay->counters.ops % replay->config.paranoid_every == 0)
		replay_check(replay);
	return go_on;
}

static enum replay_status run_ops(struct replay *replay, const struct progress *progress, const volatile sig_atomic_t *interrupt,
                                  struct error *error)
{
	struct op *batch = xcalloc(BATCH_OPS, sizeof *batch);
	enum replay_status status = REPLAY_COMPLETE;
	size_t kept = 0; /* the last op of a batch waits for the one behind it */
	while (status == REPLAY_COMPLETE) {
		size_t count;
		if (*interrupt)
			status = REPLAY_INTERRUPTED;
		else if (!trace_next(replay->parts.trace, batch + kept, BATCH_OPS - kept, &count, error))
			status = REPLAY_FAILED;
		else if (kept + count == 0)
			break;
		if (status != REPLAY_COMPLETE)
			break;
		size_t have = kept + count, ready = count > 0 ? have - 1 : have;
		for (size_t index = 0; status == REPLAY_COMPLETE && index < ready; index++)
			if (!replay_op(replay, &batch[index], index + 1 < have ? &batch[index + 1] : NULL, error))
				status = REPLAY_FAILED;
		kept = have - ready;
		if (kept)
			batch[0] = batch[ready];
		if (progress)
			progress->tell(progress->context, replay->counters.ops, replay->info->ops);
	}
	free(batch);
	return status;
}

/* The events behind the last op; then what the pages say stands among the counters. */
static void finish_following(struct replay *replay)
{
	const struct follow_pages_counters *from = &replay->follow_pages.counters;
	follow_pages_to(&replay->follow_pages, UINT64_MAX);
	replay->counters.page_address_compared = from->allocs;
	replay->counters.page_address_equal = from->allocs_equal;
}

enum replay_status replay_run(struct replay *replay, const struct progress *progress, const volatile sig_atomic_t *interrupt,
                              struct error *error)
{
	if (!replay->before_start)
		start_daemons(replay);
	enum replay_status status = run_ops(replay, progress, interrupt, error);
	if (replay->follows && status == REPLAY_COMPLETE)
		finish_following(replay);
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

const struct program_counters *replay_program_counters(const struct replay *replay)
{
	return replay->parts.accesses ? &replay->program.counters : NULL;
}

const struct follow_pages_counters *replay_follow_pages(const struct replay *replay)
{
	return replay->follows ? &replay->follow_pages.counters : NULL;
}

const struct replay_cache *replay_cache(const struct replay *replay, cache_id cache)
{
	static const struct replay_cache nothing;
	return cache.nr < replay->by_cache_count ? &replay->by_cache[cache.nr] : &nothing;
}

const struct space_peak *replay_space_peak(const struct replay *replay, uint32_t space)
{
	SIM_ASSERT(space < replay->space_peaks.count);
	return &replay->space_peaks.peak[space];
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
	for (uint32_t id = 0; id < replay->info->ids && !replay->before_start; id++) {
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
	SIM_ASSERT(replay->before_start || replay->parts.pages->allocated_pages ==
	                                           pages + replay->start_unknown + (uint64_t)replay->follow_pages.balance +
	                                                   pages_of_areas(replay) + pages_of_processes(replay) +
	                                                   counters->pages_mapped +
	                                                   replay->parts.objects->ops->pages_held(replay->parts.objects));
}

/* Each block that the recording asked for is of one order. */
static void check_orders(const struct replay *replay)
{
	uint64_t asked = 0, failed = 0;
	for (unsigned order = 0; order < ORDERS; order++) {
		asked += replay->by_order[order].asked;
		failed += replay->by_order[order].failed;
	}
	SIM_ASSERT(asked == replay->counters.page_allocs + replay->counters.failed_page_allocs);
	SIM_ASSERT(failed == replay->counters.failed_page_allocs);
}

void replay_check(const struct replay *replay)
{
	const struct replay_counters *counters = &replay->counters;
	SIM_ASSERT(counters->ops == counters->object_allocs + counters->object_frees + counters->page_allocs +
	                                    counters->page_frees + counters->marks + counters->failed_object_allocs +
	                                    counters->failed_page_allocs + counters->frees_of_failed + counters->wrong_ops +
	                                    counters->refused_caches_allocs + counters->skipped_ops + counters->frees_of_unknown +
	                                    counters->area_allocs + counters->area_frees + counters->failed_area_allocs +
	                                    counters->process_ops + counters->failed_process_ops + counters->page_maps +
	                                    counters->page_map_waits + counters->page_unmaps + counters->page_clears +
	                                    counters->page_copies + counters->failed_page_uses);
	SIM_ASSERT(counters->page_maps + counters->page_maps_late == counters->page_unmaps + counters->live_page_maps);
	SIM_ASSERT(counters->page_maps == replay->page_maps.counters.made);
	SIM_ASSERT((counters->first_failed_op != 0) == (counters->failed_object_allocs != 0));
	SIM_ASSERT(counters->area_allocs == counters->area_frees + counters->live_areas);
	uint64_t processes = replay->parts.users ? replay->parts.users->live_processes : 0;
	SIM_ASSERT(!replay->parts.areas ||
	           replay->parts.areas->live_areas == counters->live_areas + replay->areas_before + processes);
	SIM_ASSERT(counters->start_objects + counters->object_allocs == counters->object_frees + counters->live_objects);
	SIM_ASSERT(counters->start_page_blocks + counters->page_allocs == counters->page_frees + counters->live_page_blocks);
	SIM_ASSERT(counters->address_compared == counters->address_equal + counters->address_unseen_free +
	                                                 counters->address_unseen_alloc + counters->address_lost +
	                                                 counters->address_page);
	SIM_ASSERT(counters->frees_put_off + counters->frees_made_before <= counters->object_frees);
	SIM_ASSERT(counters->bytes_alloc_equal <= counters->bytes_alloc_compared);
	if (replay->puts_off)
		follow_rcu_check(&replay->follow_rcu);
	if (replay->follows)
		follow_pages_check(&replay->follow_pages);
	check_live(replay);
	check_orders(replay);
	page_allocator_check(replay->parts.pages);
	object_allocator_check(replay->parts.objects);
	if (replay->parts.areas)
		virtual_allocator_check(replay->parts.areas);
	if (replay->parts.users)
		user_memory_check(replay->parts.users);
	page_maps_check(&replay->page_maps);
	if (replay->parts.machine)
		machine_check(replay->parts.machine);
}
