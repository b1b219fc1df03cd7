/* SPDX-License-Identifier: MIT
 *
 * timed_plan.c - requests that are looked up before they are made (interface and rule: timed_plan.h).
 *
 * A stream keeps what reaches a level in the order in which requests without a plan would come: of each entry the line it asks
 * for, then the line it gives away, and all of that before the next entry's. So the clock needs one place in each stream.
 */
#include "models/memory/timed_plan.h"

#include "models/memory/timed_serve.h"

#include <stdlib.h>
#include <string.h>

/* An access of more bytes is made without a plan. */
#define PLAN_BYTES_MAX PAGE_SIZE
#define PLAN_ROOM (2 * PLAN_REQUESTS * MMU_ROOM)

/* ---- making one ---- */

static bool level_runs(const struct timed_memory *timed, unsigned depth)
{
	const struct cache_hierarchy_level *level = &timed->caches->level[depth];
	for (unsigned i = 0; i < level->caches; i++) {
		const struct cache_level *cache = level->cache[i];
		if (!cache->is_plain || cache->asks_for_accesses || cache->next_line_bytes != cache->spec->line_bytes ||
		    cache->line_shift != timed->line_shift)
			return false;
	}
	/* The last level serves what the others do not. */
	bool is_last = depth + 1 == timed->caches->levels;
	for (unsigned kind = 0; kind < ACCESS_KINDS; kind++) {
		bool passes = level->list_of[kind] == LIST_PASSING, is_planned = kind != ACCESS_PREFETCH && kind != ACCESS_MODIFY;
		if ((passes && is_last) || (is_planned && passes == (timed->core[0].path[kind].stop[depth].level != NULL)))
			return false;
	}
	return true;
}

static bool caches_run(const struct timed_memory *timed)
{
	for (unsigned depth = 0; depth < timed->caches->levels; depth++)
		if (!level_runs(timed, depth))
			return false;
	return true;
}

struct timed_plan *timed_plan_create(const struct timed_memory *timed)
{
	const struct mmu *mmu = timed->core[0].mmu;
	if (timed->cpus > 1 || timed->caches->levels == 0)
		return NULL;
	bool runs = caches_run(timed);
	if (mmu ? mmu->whole_batches : !runs)
		return NULL;
	struct timed_plan *plan = xcalloc(1, sizeof *plan);
	plan->looks_up_caches = runs;
	plan->out = xcalloc(PLAN_ROOM, sizeof *plan->out);
	plan->cycles = xcalloc(PLAN_ROOM, sizeof *plan->cycles);
	return plan;
}

void timed_plan_destroy(struct timed_plan *plan)
{
	if (!plan)
		return;
	for (unsigned depth = 0; depth <= CACHE_LEVELS_MAX; depth++) {
		cache_batch_release(&plan->stream[depth].batch);
		free(plan->stream[depth].parent);
	}
	for (unsigned list = 0; list < 2; list++) {
		cache_batch_release(&plan->in[list]);
		cache_batch_release(&plan->sent[list]);
	}
	free(plan->out);
	free(plan->cycles);
	free(plan);
}

/* ---- translations ---- */

/* Whether a request may be planned: not one that the MMU does not translate, and not too long. */
static bool takes(const struct timed_memory *timed, const struct access *request)
{
	const struct mmu *mmu = timed->core[0].mmu;
	return request->bytes > 0 && request->bytes <= PLAN_BYTES_MAX && request->kind != ACCESS_PREFETCH &&
	       request->kind != ACCESS_MODIFY &&
	       (!mmu || !mmu->walker || translation_canonical(mmu->walker->mode, request->address));
}

/* Requests that are taken, copied. */
static size_t take_requests(const struct timed_memory *timed, const struct access *requests, size_t count)
{
	struct timed_plan *plan = timed->plan;
	size_t taken = 0;
	while (taken < count && taken < PLAN_REQUESTS && takes(timed, &requests[taken])) {
		plan->request[taken] = requests[taken];
		plan->request[taken].cpu = 0;
		taken++;
	}
	return taken;
}

/* Returns how many requests are translated: all up to one that is refused. */
static size_t translate(const struct timed_memory *timed, size_t count)
{
	struct timed_plan *plan = timed->plan;
	struct mmu *mmu = timed->core[0].mmu;
	plan->at = 0;
	plan->is_refused = false;
	if (!mmu) {
		memcpy(plan->out, plan->request, count * sizeof *plan->out);
		plan->made = count;
		return count;
	}
	memset(plan->cycles, 0, plan->made * sizeof *plan->cycles);
	size_t done = mmu_run_told(mmu, plan->request, count, plan->out, plan->cycles, PLAN_ROOM, &plan->made, &plan->is_refused,
	                           &plan->refused_cycles);
	SIM_ASSERT(!mmu->partial);
	return done;
}

/* ---- caches ---- */

static void reserve_parents(struct plan_stream *stream)
{
	if (stream->capacity >= stream->batch.count)
		return;
	stream->capacity = stream->batch.capacity;
	stream->parent = xrealloc(stream->parent, stream->capacity * sizeof *stream->parent);
}

/* The lines of an access, or of a walk's reference, as they come to the first level. There is room for them. */
static inline void append_lines(const struct timed_memory *timed, struct cache_batch *batch, const struct access *access)
{
	const uint64_t marks = timed->caches->entry[access->kind].marks, line = 1ull << timed->line_shift;
	uint64_t address = access->address, end = access->address + access->bytes;
	struct cache_about about = {.kind = access->kind, .region = access->region};
	do {
		uint64_t line_end = (address | (line - 1)) + 1;
		if (marks)
			about.flags = (address & (line - 1)) == 0 && line_end <= end ? REQUEST_WHOLE_LINE : 0;
		about.order = (uint16_t)batch->count;
		batch->requests[batch->count] = (address & ~WAY_MARKS) | marks;
		batch->about[batch->count++] = about;
		batch->accesses[access->kind]++;
		address = line_end;
	} while (address < end);
}

/* Numbers what reached a level, by what asked for it. */
static void take_orders(struct plan_stream *stream)
{
	reserve_parents(stream);
	for (uint32_t i = 0; i < stream->batch.count; i++) {
		stream->parent[i] = stream->batch.about[i].order;
		stream->batch.about[i].order = (uint16_t)i;
	}
}

/* Whether all that came to a level goes to its first cache. */
static bool goes_to_first(const struct cache_hierarchy_level *level, const struct plan_stream *stream)
{
	for (unsigned kind = 0; kind < ACCESS_KINDS; kind++)
		if (stream->batch.accesses[kind] > 0 && level->list_of[kind] != 0)
			return false;
	return true;
}

/* Deals a stream to the caches of its level. What passes the level stays. */
static void deal(struct timed_plan *plan, const struct cache_hierarchy_level *level, const struct plan_stream *stream)
{
	for (unsigned list = 0; list < 2; list++) {
		cache_batch_clear(&plan->in[list]);
		cache_batch_clear(&plan->sent[list]);
	}
	for (uint32_t i = 0; i < stream->batch.count; i++) {
		unsigned list = level->list_of[stream->batch.about[i].kind];
		if (list == LIST_PASSING)
			continue;
		cache_batch_append(&plan->in[list], stream->batch.requests[i], stream->batch.about[i]);
		plan->in[list].accesses[stream->batch.about[i].kind]++;
	}
}

/* Puts what passes, and what each cache sent, in the order of what asked for it. */
static void gather(struct timed_plan *plan, const struct cache_hierarchy_level *level, const struct plan_stream *stream,
                   struct plan_stream *below)
{
	uint32_t at[2] = {0, 0};
	for (uint32_t i = 0; i < stream->batch.count; i++) {
		const struct cache_about about = stream->batch.about[i];
		unsigned list = level->list_of[about.kind];
		if (list == LIST_PASSING) {
			cache_batch_append(&below->batch, stream->batch.requests[i], about);
			below->batch.accesses[about.kind]++;
			continue;
		}
		const struct cache_batch *sent = &plan->sent[list];
		for (; at[list] < sent->count && sent->about[at[list]].order == i; at[list]++) {
			cache_batch_append(&below->batch, sent->requests[at[list]], sent->about[at[list]]);
			below->batch.accesses[sent->about[at[list]].kind]++;
		}
	}
}

static void run_level(struct timed_memory *timed, unsigned depth)
{
	struct timed_plan *plan = timed->plan;
	const struct cache_hierarchy_level *level = &timed->caches->level[depth];
	struct plan_stream *stream = &plan->stream[depth], *below = &plan->stream[depth + 1];
	below->next = 0;
	cache_batch_clear(&below->batch);
	if (goes_to_first(level, stream)) {
		cache_level_run(level->cache[0], 0, &stream->batch, &below->batch);
	} else {
		deal(plan, level, stream);
		for (unsigned list = 0; list < level->caches; list++)
			cache_level_run(level->cache[list], 0, &plan->in[list], &plan->sent[list]);
		gather(plan, level, stream, below);
	}
	take_orders(below);
}

/* What the first level's filter knew of last uses does not hold any more. */
static void forget_recents(struct timed_memory *timed)
{
	for (unsigned i = 0; i < timed->caches->count; i++)
		for (uint64_t place = 0; timed->level[i].recent && place <= timed->level[i].recent_mask; place++)
			timed->level[i].recent[place] = UINT64_MAX;
}

static void look_up_caches(struct timed_memory *timed)
{
	struct timed_plan *plan = timed->plan;
	struct plan_stream *first = &plan->stream[0];
	plan->has_lines = false;
	if (!plan->looks_up_caches)
		return;
	first->next = 0;
	cache_batch_clear(&first->batch);
	uint64_t lines = 0;
	for (size_t i = 0; i < plan->made; i++)
		lines += (plan->out[i].bytes >> timed->line_shift) + 2;
	/* With each level there may be twice as many, and each has a number. */
	if (lines > (uint64_t)UINT16_MAX >> timed->caches->levels)
		return;
	cache_batch_reserve(&first->batch, (uint32_t)lines);
	for (size_t i = 0; i < plan->made; i++)
		append_lines(timed, &first->batch, &plan->out[i]);
	forget_recents(timed);
	for (unsigned depth = 0; depth < timed->caches->levels; depth++)
		run_level(timed, depth);
	plan->has_lines = true;
}

size_t timed_plan_make(struct timed_memory *timed, const struct access *requests, size_t count)
{
	struct timed_plan *plan = timed->plan;
	SIM_ASSERT(plan->next == plan->requests);
	count = take_requests(timed, requests, count);
	if (count > 0)
		count = translate(timed, count);
	plan->requests = (unsigned)count;
	plan->next = 0;
	timed->is_planned = count > 0;
	if (count > 0)
		look_up_caches(timed);
	return count;
}

/* ---- the clock ---- */

/* Whether the entry of a level has asked the next level for something, which is not told yet. */
static bool has_asked(const struct plan_stream *below, uint32_t entry)
{
	return below->next < below->batch.count && below->parent[below->next] == entry;
}

/* The next entry of a level's stream, and all that follows from it. Returns when its line is there. */
static cycle serve_next(struct timed_memory *timed, unsigned depth, struct reach reach, struct cost *cost)
{
	struct plan_stream *stream = &timed->plan->stream[depth], *below = stream + 1;
	const struct timed_core *core = &timed->core[0];
	const uint32_t entry = stream->next++;
	const uint64_t request = stream->batch.requests[entry], line = request >> timed->line_shift;
	if (depth == timed->caches->levels)
		return timed_memory_transfer(timed, core, request, reach, cost);
	const struct timed_stop *at = &core->path[stream->batch.about[entry].kind].stop[depth];
	if (!at->level)
		return serve_next(timed, depth + 1, reach, cost);
	enter_level(timed, core, at->level, at->instance, request, &reach, cost);
	cycle here = reach.now + reach.cycles, done = wait_for_fill(timed, at->fills, line, here, cost);
	unsigned served_by = depth;
	if (has_asked(below, entry) && !(below->batch.requests[below->next] & WAY_DIRTY)) {
		/* A line that went while it was on its way: this miss is served with the one before it. */
		bool is_merged = done > here;
		struct cost *paid = is_merged ? &timed->unseen : cost;
		struct reach asks = reach;
		uint32_t slot = take_slot(timed, at, &asks, paid != &timed->unseen, paid);
		cycle fetched = serve_next(timed, depth + 1, asks, paid);
		fill_set_add(at->fills, slot, line, fetched, source_of(timed));
		done = is_merged ? done : fetched;
		served_by = is_merged ? depth : timed->served_by;
	}
	if (has_asked(below, entry)) /* the line that had to go, which nobody waits for */
		serve_next(timed, depth + 1, reach, &timed->unseen);
	timed->served_by = served_by;
	return done;
}

cycle timed_plan_line(struct timed_memory *timed, const struct access *access, cycle now, struct cost *cost)
{
	const struct plan_stream *first = &timed->plan->stream[0];
	SIM_ASSERT(first->next < first->batch.count &&
	           (first->batch.requests[first->next] ^ access->address) >> timed->line_shift == 0);
	cycle done = serve_next(timed, 0, (struct reach){.now = now}, cost);
	timed->counters.lines++;
	++*timed->depth_counter[timed->served_by];
	return done;
}

cycle timed_plan_hit(struct timed_memory *timed, const struct access *access, cycle now)
{
	struct plan_stream *first = &timed->plan->stream[0];
	const struct timed_stop *at = &timed->core[0].path[access->kind].stop[0];
	SIM_ASSERT(first->next < first->batch.count);
	if (!at->level || at->level->is_sliced || has_asked(first + 1, first->next))
		return 0;
	uint64_t line = access->address >> timed->line_shift;
	cycle began = now;
	/* A line on its way when the port is free would be there later at the earliest. */
	if (fill_set_find(at->fills, line, now + at->level->latency))
		return 0;
	if (at->level->ports)
		began = port_set_take(&at->level->ports[at->instance], at->cache->spec->ports, now);
	timed->counters.port_wait_cycles += began - now;
	first->next++;
	timed->counters.lines++;
	timed->counters.l1_hits++;
	return began - now + at->level->latency;
}
