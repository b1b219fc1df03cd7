/* SPDX-License-Identifier: MIT
 *
 * replay_start.c - from a recorded start state on (replay_internal.h).
 */
#include "sim/replay_internal.h"

#include "sim/usercopy_caches.h"

#include <stdlib.h>
#include <string.h>

/* SLOB puts this before a kmalloc of whole pages' size and less (ARCH_KMALLOC_MINALIGN). */
#define KMALLOC_HEADER_MAX 8u

/* So many objects of a cache, all aligned alike, have that alignment on purpose: by chance it would be one in 2^16. */
#define ALIGN_WITNESSES 16

/* L1_CACHE_BYTES of x86: what SLAB_HWCACHE_ALIGN aligns to. */
#define ALIGN_LINE 64u

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

bool replay_make_caches(struct replay *replay, struct error *error)
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

bool replay_can_follow(const struct replay *replay)
{
	static const char *const names[] = {
	        [RECORDED_UNKNOWN] = "", [RECORDED_SLUB] = "slub", [RECORDED_SLAB] = "slab", [RECORDED_SLOB] = "slob"};
	const struct object_allocator *objects = replay->parts.objects;
	return replay->config.from_state && objects->ops->follow &&
	       follow_pages_possible(replay->parts.trace, replay->parts.pages) &&
	       strcmp(objects->ops->name, names[replay->info->allocator]) == 0;
}

bool replay_is_made_up(const struct replay *replay, const struct op *op, const struct op *next)
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
		                           !replay_is_made_up(replay, op, next) &&
		                                   !follow_pages_hands_out(&replay->follow_pages, op->line));
}

/*
 * The alignment that all addresses of a cache share, `bits` being all of them. More than a cache line is believed only where the
 * size is a multiple of it: of objects that large a page holds but one.
 */
static uint32_t align_of(uint64_t bits, uint32_t object_size)
{
	uint32_t align = (uint32_t)(bits & -bits & (2 * PAGE_SIZE - 1));
	return align > ALIGN_LINE && object_size % align != 0 ? ALIGN_LINE : align;
}

static void tell_rcu(struct replay *replay, const struct op *op)
{
	if (op->kind == OP_CACHE_FREE && is_put_off(replay, op->cache))
		follow_rcu_tell_free(&replay->follow_rcu, op, trace_cache(replay->parts.trace, op->cache)->object_size);
	else if (op->kind == OP_CACHE_ALLOC || op->kind == OP_KMALLOC)
		follow_rcu_tell_use(&replay->follow_rcu, op->line, op->address, op->bytes_req);
}

bool replay_look_ahead(struct replay *replay, struct error *error)
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

bool replay_begin_put_off(struct replay *replay, struct error *error)
{
	const struct replay_parts *parts = &replay->parts;
	parts->objects->followed = replay->follows;
	replay->puts_off = replay->follows && parts->objects->ops->follow->rcu_frees_objects;
	return !replay->puts_off || (trace_rewind(parts->trace, error) &&
	                             follow_rcu_init(&replay->follow_rcu, parts->trace, parts->objects, replay->config.direct_map,
	                                             parts->pages->end_pfn, error) &&
	                             trace_rewind(parts->trace, error));
}

/* An op outside of the time from start state to end state. */
void replay_skip_op(struct replay *replay, const struct op *op)
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
	replay_wait_for_kfree_rcu(replay, op, vaddr_of(op->address));
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
			replay_cache_account(replay, live->cache)->live_bytes_req += live->bytes_req;
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
	*replay_owner_of(replay, live->gfp) += 1ull << live->order;
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
	replay_start_daemons(replay);
}

bool replay_is_outside(struct replay *replay, const struct op *op)
{
	if (replay->before_start && (op->origin == OP_BEFORE || trace_is_before(&replay->config.window, op->line, op->time_ns)))
		return true;
	if (replay->before_start)
		start_from_state(replay, op->line);
	return trace_is_behind(&replay->config.window, op->line, op->time_ns);
}

void replay_make_put_off(struct replay *replay, uint64_t line, unsigned cpu)
{
	follow_pages_supply(&replay->follow_pages, 0, UINT32_MAX);
	follow_rcu_to(&replay->follow_rcu, line, cpu);
	follow_pages_unsupply(&replay->follow_pages);
}
