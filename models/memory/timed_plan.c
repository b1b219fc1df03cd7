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

/* Fewer requests, as a kernel makes them between two locked instructions, are made sooner without a plan. */
#define PLAN_REQUESTS_MIN 24u
/* An access of more bytes is made without a plan. */
#define PLAN_BYTES_MAX 256u
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
	for (unsigned kind = ACCESS_CODE; kind <= ACCESS_STORE; kind++) {
		const struct timed_level *first = timed->core[0].path[kind].stop[0].level;
		if (!runs || (first && timed_level_is_plain(first)))
			plan->plain_kinds |= (uint8_t)(1u << kind);
	}
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

/* How many of the requests are taken, and in *bytes how many bytes they touch. */
static size_t count_taken(const struct timed_memory *timed, const struct access *requests, size_t count, uint64_t *bytes)
{
	size_t taken = 0;
	*bytes = 0;
	for (; taken < count && taken < PLAN_REQUESTS && takes(timed, &requests[taken]); taken++)
		*bytes += requests[taken].bytes;
	return taken;
}

/* Returns how many requests are translated: all up to one that is refused. */
static size_t translate(const struct timed_memory *timed, const struct access *requests, size_t count)
{
	struct timed_plan *plan = timed->plan;
	struct mmu *mmu = timed->core[0].mmu;
	plan->is_refused = false;
	if (!mmu) {
		memcpy(plan->out, requests, count * sizeof *plan->out);
		plan->made = count;
		return count;
	}
	memset(plan->cycles, 0, plan->made * sizeof *plan->cycles);
	size_t done = mmu_run_told(mmu, requests, count, plan->out, plan->cycles, PLAN_ROOM, &plan->made, &plan->is_refused,
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

static void look_up_caches(struct timed_memory *timed)
{
	forget_recents(timed);
	for (unsigned depth = 0; depth < timed->caches->levels; depth++)
		run_level(timed, depth);
}

/* ---- requests ---- */

/* Whether an entry of timed_plan.out lies in one line. */
static bool is_one_line(const struct access *out, unsigned line_shift)
{
	return ((out->address ^ (out->address + out->bytes - 1)) >> line_shift) == 0;
}

/* A line of an access, or of a walk's reference, as it comes to the first level. There is room for it. */
static inline void append_line(struct cache_batch *batch, const struct access *access, uint64_t address, uint64_t marks,
                               bool is_whole)
{
	const uint32_t entry = batch->count++;
	struct cache_about *about = &batch->about[entry];
	cache_about_set(about, 0, access->kind, access->region);
	about->order = (uint16_t)entry;
	if (marks && is_whole)
		about->flags = REQUEST_WHOLE_LINE;
	batch->requests[entry] = (address & ~WAY_MARKS) | marks;
	batch->accesses[access->kind]++;
}

static void append_lines(struct cache_batch *batch, const struct access *access, uint64_t marks, uint64_t line)
{
	const uint64_t end = access->address + access->bytes;
	for (uint64_t address = access->address, line_end; address < end; address = line_end) {
		line_end = (address | (line - 1)) + 1;
		append_line(batch, access, address, marks, (address & (line - 1)) == 0 && line_end <= end);
	}
}

/* Lays the requests out: tells of each where it is found, and appends its lines where caches are looked up. */
static void lay_out(const struct timed_memory *timed, const struct access *requests)
{
	struct timed_plan *plan = timed->plan;
	struct cache_batch *batch = &plan->stream[0].batch;
	const struct cache_entry *entry = timed->caches->entry;
	const unsigned shift = timed->line_shift, count = plan->requests, plain_kinds = plan->plain_kinds;
	const size_t made = plan->made;
	size_t at = 0;
	for (unsigned i = 0; i < count; i++) {
		const uint32_t bytes = requests[i].bytes;
		const struct access *out = &plan->out[at];
		plan->request[i].at = (uint32_t)at;
		plan->request[i].line = batch->count;
		plan->request[i].is_plain = at < made && out->bytes == bytes && plan->cycles[at] == 0 &&
		                            plain_kinds >> out->kind & 1 && is_one_line(out, shift);
		if (plan->request[i].is_plain) {
			at++;
			if (plan->has_lines)
				append_line(batch, out, out->address, entry[out->kind].marks, bytes == 1u << shift);
			continue;
		}
		/* To behind its last byte, or to the end where it is refused. */
		for (uint32_t done = 0; done < bytes && at < made; at++) {
			out = &plan->out[at];
			done += access_is_walk(out->kind) ? 0 : out->bytes;
			if (plan->has_lines)
				append_lines(batch, out, entry[out->kind].marks, 1ull << shift);
		}
	}
	SIM_ASSERT(at == made);
}

/* Requests whose line the first level does not have are not plain. */
static void find_plain(struct timed_plan *plan)
{
	const struct plan_stream *below = &plan->stream[1];
	unsigned request = 0;
	for (uint32_t asked = 0; asked < below->batch.count; asked++) {
		while (request + 1 < plan->requests && plan->request[request + 1].line <= below->parent[asked])
			request++;
		plan->request[request].is_plain = false;
	}
}

size_t timed_plan_make(struct timed_memory *timed, const struct access *requests, size_t count)
{
	struct timed_plan *plan = timed->plan;
	uint64_t bytes;
	SIM_ASSERT(plan->next == plan->requests);
	count = count_taken(timed, requests, count, &bytes);
	plan->next = plan->requests = 0;
	if (count < PLAN_REQUESTS_MIN)
		return 0;
	count = translate(timed, requests, count);
	plan->requests = (unsigned)count;
	timed->is_planned = count > 0;
	for (unsigned side = 0; timed->is_planned && side < MMU_SIDES; side++)
		timed->core[0].usual[side].kinds = 0;
	/* Lines at most. With each level there may be twice as many, and each has a number. */
	const uint64_t lines = (bytes >> timed->line_shift) + 2 * plan->made;
	plan->has_lines = plan->looks_up_caches && lines <= (uint64_t)UINT16_MAX >> timed->caches->levels;
	cache_batch_clear(&plan->stream[0].batch);
	cache_batch_reserve(&plan->stream[0].batch, (uint32_t)lines);
	lay_out(timed, requests);
	if (plan->has_lines) {
		look_up_caches(timed);
		find_plain(plan);
	}
	return count;
}

/* ---- the clock ---- */

/* Whether the entry of a level has asked the next level for something, which is not told yet. */
static bool has_asked(const struct plan_stream *below, uint32_t entry)
{
	return below->next < below->batch.count && below->parent[below->next] == entry;
}

/* Of a level that an entry of its stream came to: what is left to do once the line is there. */
struct arrival {
	const struct timed_stop *at; /* at->level NULL: the level is passed by */
	uint32_t entry, slot;
	bool fetches;
	struct reach reach;
};

static cycle serve_next(struct timed_memory *timed, unsigned first, struct reach reach, struct cost *cost);

/* A line that went while it was on its way: this miss is served with the one before it. */
static void fetch_again(struct timed_memory *timed, const struct timed_stop *at, uint64_t line, struct reach reach)
{
	uint32_t slot = take_slot(timed, at, &reach, false, NULL);
	cycle fetched = serve_next(timed, at->level->depth + 1, reach, &timed->unseen);
	fill_set_add(at->fills, slot, line, fetched, source_of(timed));
}

/* The line that was asked for is there, by a level that was served. */
static void arrive(struct timed_memory *timed, const struct arrival *arrival, uint64_t line, cycle done)
{
	const struct timed_stop *at = arrival->at;
	if (!at->level)
		return;
	if (arrival->fetches)
		fill_set_add(at->fills, arrival->slot, line, done, source_of(timed));
	if (!has_asked(&timed->plan->stream[at->level->depth + 1], arrival->entry))
		return;
	/* The line that had to go, which nobody waits for. */
	const unsigned served_by = timed->served_by;
	serve_next(timed, at->level->depth + 1, arrival->reach, &timed->unseen);
	timed->served_by = served_by;
}

/* The next entry of a level's stream, and all that follows from it. Returns when its line is there. */
static cycle serve_next(struct timed_memory *timed, unsigned first, struct reach reach, struct cost *cost)
{
	struct plan_stream *stream = &timed->plan->stream[first];
	const struct timed_core *core = &timed->core[0];
	const uint64_t request = stream->batch.requests[stream->next], line = request >> timed->line_shift;
	struct arrival arrivals[CACHE_LEVELS_MAX], *arrival = arrivals;
	cycle done = 0;
	bool goes_on = true;
	for (unsigned depth = first; goes_on; depth++, stream++) {
		const uint32_t entry = stream->next++;
		if (depth == timed->caches->levels) {
			done = timed_memory_transfer(timed, core, stream->batch.requests[entry], reach, cost);
			break;
		}
		const struct timed_stop *at = &core->path[stream->batch.about[entry].kind].stop[depth];
		arrival->at = at;
		if (at->level) {
			enter_level(timed, core, at->level, at->instance, request, &reach, cost);
			const cycle here = reach.now + reach.cycles;
			done = wait_for_fill(timed, at->fills, line, here, cost);
			goes_on = has_asked(stream + 1, entry) && !(stream[1].batch.requests[stream[1].next] & WAY_DIRTY);
			arrival->entry = entry;
			arrival->reach = reach;
			if (goes_on && done > here) {
				fetch_again(timed, at, line, reach);
				goes_on = false;
			}
			if (goes_on)
				arrival->slot = take_slot(timed, at, &reach, cost != &timed->unseen, cost);
			else
				timed->served_by = depth;
			arrival->fetches = goes_on;
		}
		arrival++;
	}
	while (arrival-- > arrivals)
		arrive(timed, arrival, line, done);
	return done;
}

cycle timed_plan_line(struct timed_memory *timed, const struct access *access, cycle now, struct cost *cost)
{
	struct plan_stream *first = &timed->plan->stream[0];
	SIM_ASSERT(first->next < first->batch.count &&
	           (first->batch.requests[first->next] ^ access->address) >> timed->line_shift == 0);
	const struct timed_stop *at = &timed->core[0].path[access->kind].stop[0];
	struct reach reach = {.now = now};
	cycle done;
	if (at->level && !has_asked(first + 1, first->next)) {
		const uint64_t request = first->batch.requests[first->next++];
		enter_level(timed, &timed->core[0], at->level, at->instance, request, &reach, cost);
		done = wait_for_fill(timed, at->fills, request >> timed->line_shift, reach.now + reach.cycles, cost);
		timed->served_by = 0;
	} else {
		done = serve_next(timed, 0, reach, cost);
	}
	timed->counters.lines++;
	++*timed->depth_counter[timed->served_by];
	return done;
}
