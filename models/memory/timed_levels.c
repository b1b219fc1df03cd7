/* SPDX-License-Identifier: MIT
 *
 * timed_levels.c - requests through the levels of caches under the clock, and what the caches send on (rules: timed.c).
 *
 * The short path is that of caches that take a request each (cache_level_ops.take); the long one is for all others: what a cache
 * sends on comes in a batch. Both do the same.
 */
#include "models/memory/timed.h"
#include "models/memory/timed_coherence.h"
#include "models/memory/timed_serve.h"

/* ---- the last level's other side ---- */

/* How long a request at `at` waits for a line that is busy. */
static cycle wait_for_line(struct timed_memory *timed, cycle at)
{
	cycle busy_until = timed->coherence->supply.busy_until;
	if (busy_until <= at)
		return 0;
	timed->counters.line_waits++;
	timed->counters.line_wait_cycles += busy_until - at;
	return busy_until - at;
}

/* What a way of so many cycles from the core's request on takes beyond what has passed of it. */
static cycle beyond(uint32_t cycles, struct reach reach)
{
	return cycles > reach.cycles ? cycles - reach.cycles : 0;
}

/* Another core's clean copy comes in place of memory's; a written one has been asked for already. Returns when it is here. */
static cycle take_copy(struct timed_memory *timed, const struct timed_core *core, struct reach reach, struct cost *cost)
{
	const struct supply *supply = &timed->coherence->supply;
	cycle at = reach.now + reach.cycles;
	if (supply->is_dirty)
		return at;
	cycle cycles = wait_for_line(timed, at) + beyond(supply->cycles, reach);
	cost->cycles[COST_COHERENCE] += cycles;
	coherence_take(timed, core, false, at + cycles);
	timed->served_by = timed->caches->levels + 1;
	return at + cycles;
}

cycle timed_memory_transfer(struct timed_memory *timed, const struct timed_core *core, uint64_t request, struct reach reach,
                            struct cost *cost)
{
	cycle at = reach.now + reach.cycles;
	if (request & WAY_DIRTY) {
		timed->counters.dram_writes++;
		return dram_access(timed->dram, request & ~WAY_MARKS, true, at);
	}
	if (timed->coherence && timed->coherence->supply.is_active &&
	    timed->coherence->supply.line == request >> timed->coherence->line_shift)
		return take_copy(timed, core, reach, cost);
	timed->counters.dram_reads++;
	timed->served_by = timed->caches->levels;
	cycle done = dram_access(timed->dram, request & ~WAY_MARKS, false, at);
	cost->cycles[COST_DRAM] += done - at;
	return done;
}

/* ---- one level ---- */

static cycle serve(struct timed_memory *timed, const struct timed_core *core, unsigned depth, uint64_t request,
                   const struct cache_about *about, struct reach reach, struct cost *cost);
static cycle serve_path(struct timed_memory *timed, const struct timed_core *core, unsigned first, uint64_t request,
                        const struct cache_about *about, struct reach reach, struct cost *cost);

/* A request at one cache of a level. */
struct stop {
	struct timed_memory *timed;
	const struct timed_core *core;
	struct timed_level *level;
	unsigned depth, instance;
	struct reach reach;
	struct cost *cost;
	bool is_merged; /* it waits for a miss before it, not for what it misses itself */
};

/* What the caches above ask the level at depth `below` for. */
static cycle ask_below(struct timed_memory *timed, const struct timed_core *core, unsigned below, uint64_t request,
                       const struct cache_about *about, struct reach reach, struct cost *cost)
{
	if (below == timed->caches->levels)
		return timed_memory_transfer(timed, core, request, reach, cost);
	if (core->path[about->kind].stop[below].level)
		return serve_path(timed, core, below, request, about, reach, cost);
	return serve(timed, core, below, request, about, reach, cost);
}

/* A fetch for which the directory was asked: what other cores have of the line comes first. */
static cycle ask_others(struct timed_memory *timed, const struct timed_core *core, unsigned below, uint64_t request,
                        const struct cache_about *about, struct reach reach, struct cost *cost)
{
	const struct supply *supply = &timed->coherence->supply;
	cycle at = reach.now + reach.cycles, done;
	if (!supply->is_active)
		return ask_below(timed, core, below, request, about, reach, cost);
	uint32_t invalidate = supply->invalidate_cycles;
	if (supply->is_dirty) {
		ask_below(timed, core, below, request, about, reach, &timed->unseen);
		uint32_t latency = supply->cycles > invalidate ? supply->cycles : invalidate;
		done = at + wait_for_line(timed, at) + beyond(latency, reach);
		cost->cycles[COST_COHERENCE] += done - at;
		coherence_take(timed, core, true, done);
		timed->served_by = timed->caches->levels + 1;
	} else {
		done = ask_below(timed, core, below, request, about, reach, cost);
		cycle gone = invalidate ? at + beyond(invalidate, reach) : at;
		if (supply->busy_until > at)
			gone += supply->busy_until - at;
		if (invalidate && gone > done) {
			cost->cycles[COST_COHERENCE] += gone - done;
			done = gone;
		}
		if (invalidate)
			coherence_keep(timed->coherence, supply->line, done);
	}
	timed->coherence->supply.is_active = false;
	return done;
}

/* A fetch leaves the core's own caches. */
static cycle leave_core(struct timed_memory *timed, const struct timed_core *core, unsigned below, uint64_t request,
                        const struct cache_about *about, struct reach reach, struct cost *cost)
{
	coherence_leave(timed, core, request >> timed->coherence->line_shift, reach.now + reach.cycles);
	return ask_others(timed, core, below, request, about, reach, cost);
}

/* What a cache asks for, or gives away, goes to the level at depth `below`. */
cycle timed_pass_on(struct timed_memory *timed, const struct timed_core *core, unsigned below, uint64_t request,
                    const struct cache_about *about, struct reach reach, struct cost *cost)
{
	bool is_fetch = !(request & WAY_DIRTY) && about->kind != ACCESS_WRITEBACK;
	if (is_fetch && timed->leaves_at[about->kind][below])
		return leave_core(timed, core, below, request, about, reach, cost);
	return ask_below(timed, core, below, request, about, reach, cost);
}

/* The directory will look again where a line is that this cache has got, or let go. */
static void note(const struct stop *stop, uint64_t line)
{
	if (stop->timed->coherence)
		coherence_note(stop->timed->coherence, stop->level->cache, stop->instance, line);
}

/* A line that had to go. */
static void note_evicted(const struct stop *stop)
{
	if (stop->level->cache->evicted)
		note(stop, way_tag(stop->level->cache->evicted));
}

/*
 * A cache that some cores share prefetches: it is filled, and if others have written the line it comes from them. A request that
 * made the prefetch may not have got its own supply yet.
 */
static cycle prefetch_shared(const struct stop *stop, uint64_t request, const struct cache_about *about, struct reach reach,
                             struct cost *cost)
{
	struct timed_memory *timed = stop->timed;
	const struct cache_level *cache = stop->level->cache;
	const uint64_t line = request >> cache->line_shift;
	note(stop, line);
	const struct supply waiting = timed->coherence->supply;
	if (!coherence_leave_shared(timed, stop->core, cache, line, reach.now + reach.cycles))
		return timed_pass_on(timed, stop->core, stop->depth + 1, request, about, reach, cost);
	cycle done = ask_others(timed, stop->core, stop->depth + 1, request, about, reach, cost);
	timed->coherence->supply = waiting;
	return done;
}

/* A line that missed is fetched by a free slot. Returns when it is here. */
static cycle fetch(const struct stop *stop, uint64_t request, const struct cache_about *about, struct cost *cost)
{
	struct timed_memory *timed = stop->timed;
	struct fill_set *fills = &stop->level->fills[stop->instance];
	struct reach reach = stop->reach;
	cycle asks = reach.now + reach.cycles, free;
	bool is_shared = timed->coherence && stop->level->cache->spec->cores != 1;
	uint32_t slot = fill_set_slot(fills, asks, &free);
	if (free > asks && cost != &timed->unseen) {
		timed->counters.slot_waits++;
		timed->counters.slot_wait_cycles += free - asks;
	}
	reach.now += free - asks;
	cost->cycles[stop->level->part] += free - asks;
	cycle done = about->kind == ACCESS_PREFETCH && is_shared
	                     ? prefetch_shared(stop, request, about, reach, cost)
	                     : timed_pass_on(timed, stop->core, stop->depth + 1, request, about, reach, cost);
	fill_set_add(fills, slot, request >> stop->level->cache->line_shift, done, source_of(timed));
	return done;
}

/* The host is told of what the levels below will look at. */
void timed_foresee(const struct timed_memory *timed, const struct timed_core *core, unsigned depth, uint64_t address,
                   uint8_t kind)
{
	for (const struct timed_level *level; (level = timed->next[kind][depth]); depth = level->depth + 1)
		if (level->is_far)
			cache_level_foresee(level->cache, core->instance[level->cache->number], address);
	if (timed->coherence)
		directory_foresee(&timed->coherence->directory, address >> timed->coherence->line_shift);
}

/* One request that a cache sent on. What is not waited for may not hide where the line that is came from. */
static void send_unseen(const struct stop *stop, uint64_t request, const struct cache_about *about, bool is_fetch)
{
	struct timed_memory *timed = stop->timed;
	unsigned served_by = timed->served_by;
	if (is_fetch)
		fetch(stop, request, about, &timed->unseen);
	else
		timed_pass_on(timed, stop->core, stop->depth + 1, request, about, stop->reach, &timed->unseen);
	timed->served_by = served_by;
}

static cycle later(cycle one, cycle other)
{
	return one > other ? one : other;
}

/* A line that is longer than the next level's comes in pieces: it is here when the last one is. */
static cycle fetch_piece(const struct stop *stop, uint64_t request, const struct cache_about *about, cycle done)
{
	struct cost parts = {0};
	cycle start = stop->reach.now + stop->reach.cycles, fetched = fetch(stop, request, about, &parts);
	if (fetched <= done)
		return done;
	/* Of the pieces before it the cost has `done` - `start` cycles: as much of this one's are the same time. */
	cost_take_last(stop->cost, &parts, fetched - (done > start ? done : start));
	return fetched;
}

/* What a cache sent on: lines it asks for are waited for, unless they were prefetched; what it gives away is not. Returns when
 * they are here, also where nobody counts the cycles. */
static cycle send_all(const struct stop *stop, struct cache_batch *sent, uint8_t kind, cycle done)
{
	for (uint32_t i = 0; i < sent->count; i++) {
		uint64_t request = sent->requests[i];
		struct cache_about about = sent->about[i];
		bool is_fetch = !(request & WAY_DIRTY) && about.kind != ACCESS_WRITEBACK;
		bool is_prefetch = about.kind == ACCESS_PREFETCH && kind != ACCESS_PREFETCH;
		if (!is_fetch || is_prefetch)
			send_unseen(stop, request, &about, is_fetch);
		else if (stop->is_merged)
			fetch(stop, request, &about, &stop->timed->unseen);
		else if (stop->cost == &stop->timed->unseen)
			done = later(done, fetch(stop, request, &about, stop->cost));
		else if (sent->count == 1 || stop->level->cache->next_line_bytes >= stop->level->cache->spec->line_bytes)
			done = fetch(stop, request, &about, stop->cost);
		else
			done = fetch_piece(stop, request, &about, done);
	}
	cache_batch_clear(sent);
	return done;
}

/* ---- the short path ---- */

/*
 * The line that had to go for the one that missed: it is written to the next level, whose own line has to go for it where it is
 * not there, and so on. Nobody waits for it.
 */
static void give_away(struct timed_memory *timed, const struct timed_core *core, const struct timed_stop *at, uint8_t region,
                      const struct missed *gone)
{
	const struct timed_stop *path = core->path[ACCESS_WRITEBACK].stop, *next;
	const unsigned served_by = timed->served_by;
	unsigned depth = at->level->depth + 1;
	struct missed missed[CACHE_LEVELS_MAX];
	struct cache_about about;
	cache_about_set(&about, core->cpu, ACCESS_WRITEBACK, region);
	about.flags = REQUEST_WHOLE_LINE;
	for (; gone->taken.gives && (next = &path[depth])->level; depth++) {
		uint64_t request = way_tag(gone->taken.evicted) << next->cache->line_shift | WAY_DIRTY;
		take_stop(timed, core, next, request, &about, gone->reach, NULL, &missed[depth]);
		gone = &missed[depth];
		if (gone->taken.fetches) {
			timed_serve_taken(timed, core, depth, request, &about, missed, &timed->unseen);
			timed->served_by = served_by;
			return;
		}
	}
	if (gone->taken.gives)
		timed_pass_on(timed, core, depth, way_tag(gone->taken.evicted) << at->cache->line_shift | WAY_DIRTY, &about,
		              gone->reach, &timed->unseen);
	timed->served_by = served_by;
}

/* The fetch of a line that missed. */
static inline void set_fetch(struct cache_about *fetch, const struct cache_about *about, const struct missed *missed,
                             const struct timed_stop *at)
{
	cache_about_set(fetch, about->cpu, missed->taken.fetch_kind, about->region);
	fetch->taker = at->cache->number;
}

/* A request that waits for its line, which is on its way. What it misses is fetched all the same: the line went meanwhile. */
static cycle end_merged(struct timed_memory *timed, const struct timed_core *core, const struct timed_stop *at, uint64_t request,
                        const struct cache_about *about, struct missed *missed, struct cost *cost)
{
	const struct stop stop = {.timed = timed,
	                          .core = core,
	                          .level = at->level,
	                          .depth = at->level->depth,
	                          .instance = at->instance,
	                          .reach = missed->reach,
	                          .cost = cost};
	const uint64_t line = request >> at->cache->line_shift;
	cycle done = wait_for_fill(timed, at->fills, line, missed->reach.now + missed->reach.cycles, cost);
	if (missed->taken.fetches) {
		struct cache_about below;
		set_fetch(&below, about, missed, at);
		fetch(&stop, line << at->cache->line_shift, &below, &timed->unseen);
	}
	if (missed->taken.gives)
		give_away(timed, core, at, about->region, missed);
	timed->served_by = at->level->depth;
	return done;
}

/* The misses above the level that had the line at `done`: each has it now, the lowest first. */
static void fill_path(struct timed_memory *timed, const struct timed_core *core, const struct timed_stop *stop, uint64_t line,
                      uint8_t region, const struct missed *missed, unsigned first, unsigned end, cycle done)
{
	const enum cost_part source = source_of(timed);
	for (unsigned depth = end; depth-- > first;) {
		if (missed[depth].taken.fetches)
			fill_set_add(stop[depth].fills, missed[depth].slot, line, done, source);
		if (missed[depth].taken.gives)
			give_away(timed, core, &stop[depth], region, &missed[depth]);
	}
}

/* As timed_serve_taken(). The caller tells as constants what it knows of *cost: whether the request is seen, and whether its
 * parts are asked for. */
static inline __attribute__((always_inline)) cycle serve_taken(struct timed_memory *timed, const struct timed_core *core,
                                                               unsigned first, uint64_t request, const struct cache_about *about,
                                                               struct missed missed[], struct cost *cost, bool is_seen,
                                                               bool is_asked)
{
	const struct timed_stop *const stop = core->path[about->kind].stop, *at = &stop[first];
	const uint64_t line = request >> at->cache->line_shift;
	const uint8_t region = about->region;
	struct cost *const parts = is_asked ? cost : NULL;
	struct missed *miss = &missed[first];
	struct cache_about below;
	struct reach reach;
	unsigned depth = first;
	cycle done;
	for (;; take_stop(timed, core, ++at, request, about, reach, parts, ++miss)) {
		done = miss->reach.now + miss->reach.cycles;
		if (is_seen && fill_set_find(at->fills, line, done)) {
			done = end_merged(timed, core, at, request, about, miss, cost);
			break;
		}
		if (miss->taken.hit) {
			timed->served_by = depth;
			break;
		}
		depth++;
		if (!miss->taken.fetches)
			break;
		if (depth == 1 && !timed->is_foreseen)
			timed_foresee(timed, core, 1, request, about->kind);
		reach = miss->reach;
		miss->slot = take_slot(timed, at, &reach, is_seen, parts);
		request = line << at->cache->line_shift;
		set_fetch(&below, about, miss, at);
		about = &below;
		if (!stop[depth].level || depth == timed->leaves_core) {
			done = timed_pass_on(timed, core, depth, request, about, reach, cost);
			break;
		}
	}
	if (depth > first)
		fill_path(timed, core, stop, line, region, missed, first, depth, done);
	return done;
}

cycle timed_serve_taken(struct timed_memory *timed, const struct timed_core *core, unsigned first, uint64_t request,
                        const struct cache_about *about, struct missed missed[], struct cost *cost)
{
	if (cost == &timed->unseen)
		return serve_taken(timed, core, first, request, about, missed, cost, false, false);
	if (cost == &timed->unasked)
		return serve_taken(timed, core, first, request, about, missed, cost, true, false);
	return serve_taken(timed, core, first, request, about, missed, cost, true, true);
}

/* What serve() does from a level of the short path on: the same, without a batch for each cache. */
static cycle serve_path(struct timed_memory *timed, const struct timed_core *core, unsigned first, uint64_t request,
                        const struct cache_about *about, struct reach reach, struct cost *cost)
{
	struct missed missed[CACHE_LEVELS_MAX];
	take_stop(timed, core, &core->path[about->kind].stop[first], request, about, reach, cost, &missed[first]);
	return timed_serve_taken(timed, core, first, request, about, missed, cost);
}

/* ---- the long path ---- */
/* A request reaches the levels from `depth` on. Returns when the core has its data. */
static cycle serve(struct timed_memory *timed, const struct timed_core *core, unsigned depth, uint64_t request,
                   const struct cache_about *about, struct reach reach, struct cost *cost)
{
	struct cache_hierarchy *caches = timed->caches;
	struct timed_level *level = timed->next[about->kind][depth];
	if (!level) {
		caches->uncached++;
		timed->counters.uncached++;
		return timed_memory_transfer(timed, core, request, reach, cost);
	}
	struct cache_level *cache = level->cache;
	depth = level->depth;
	if (core->path[about->kind].stop[depth].level)
		return serve_path(timed, core, depth, request, about, reach, cost);
	struct stop stop = {.timed = timed,
	                    .core = core,
	                    .level = level,
	                    .depth = depth,
	                    .instance = core->instance[cache->number],
	                    .reach = reach,
	                    .cost = cost};
	struct cache_batch *sent = &level->sent;
	enter_level(timed, core, level, stop.instance, request, &stop.reach, cost);
	if (depth == 0 && !timed->is_foreseen)
		timed_foresee(timed, core, 1, request, about->kind);
	bool hit = cache->ops->serve(cache, stop.instance, request, *about, sent);
	if (cache->handed_up_dirty)
		cache_hierarchy_hand_up(caches, cache, request, about);
	note_evicted(&stop);
	/* What is shared may have got the line; what is exclusive may have given it away, upwards or, written, downwards. */
	if (cache->spec->cores != 1 || cache->spec->inclusion == INCLUSION_EXCLUSIVE)
		note(&stop, request >> cache->line_shift);
	if (stop.level->recent)
		remember(timed, level, stop.instance, request, hit);
	if (hit)
		timed->served_by = depth;
	cycle done = wait_for_fill(timed, &level->fills[stop.instance], request >> cache->line_shift,
	                           stop.reach.now + stop.reach.cycles, cost);
	/* A line that went while it was on its way: this miss is served with the one before it. */
	stop.is_merged = !hit && done > stop.reach.now + stop.reach.cycles;
	if (sent->count > 0)
		done = send_all(&stop, sent, about->kind, done);
	unsigned served_by = stop.is_merged ? depth : timed->served_by;
	stop.cost = &timed->unseen;
	stop.is_merged = false;
	while (cache->spec->prefetch != PREFETCH_NONE && cache->ops->prefetch(cache, stop.instance, sent)) {
		note_evicted(&stop);
		send_all(&stop, sent, ACCESS_PREFETCH, done);
	}
	timed->served_by = served_by;
	return done;
}
