/* SPDX-License-Identifier: MIT
 *
 * timed.c - memory under the clock: TLBs, page walkers and caches with latencies, and what their requests share.
 *
 *   request -> MMU: filter | further TLBs + latency | page walk by a free walker, reference after reference
 *           -> level 1 -> ... -> last level -> memory
 *                port, slice: waits for its turn        (sim/reserve.h)
 *                here: latency of the level; on its way: when it is there
 *                not here: a miss slot, then the next level; what has to go follows without being waited for
 *
 * Tags are those of the cache_level port: each request goes through every level it reaches at once (cache_level_ops.serve), so
 * the counts are those of memory_model: hierarchy. Time is a second thing beside them: a request carries the cycle `now`, which
 * waits push on, and a level answers now + its latency, counted from the core as manuals do.
 *
 * Between a core's own caches and those it shares stands the directory of timed_coherence.c, where there are several cores.
 *
 * A request of several lines starts one line a cycle, and is done when the last line is. A load-store takes its line once. A
 * locked instruction costs machine.latency.atomic on top.
 *
 * MODEL: a line's tag is there from its request on, not from its arrival: who asks for it meanwhile waits for it (a hit that
 * waits is a merged miss). MODEL: write-backs and prefetches take ports, slices and slots, but nobody waits for them. MODEL: the
 * walk for a next page (machine.tlb_prefetch) is waited for. MODEL: without page walks every page that a slot of kmap() maps in
 * turn has the slot's address, and so its cache lines.
 *
 * Source of latencies counted from the core: Intel 64 and IA-32 Architectures Optimization Reference Manual, tables of caches.
 */
#include "models/memory/timed.h"
#include "models/memory/timed_coherence.h"
#include "models/memory/timed_plan.h"
#include "models/memory/timed_serve.h"

#include <stdlib.h>

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
                   struct cache_about about, struct reach reach, struct cost *cost);
static cycle serve_path(struct timed_memory *timed, const struct timed_core *core, unsigned first, uint64_t request,
                        struct cache_about about, struct reach reach, struct cost *cost);

/* A request at one cache of a level. */
struct stop {
	struct timed_memory *timed;
	const struct timed_core *core;
	struct timed_level *level;
	unsigned depth, instance;
	struct reach reach;
	struct cost *cost;
};

/* What the caches above ask the level at depth `below` for. */
static cycle ask_below(struct timed_memory *timed, const struct timed_core *core, unsigned below, uint64_t request,
                       struct cache_about about, struct reach reach, struct cost *cost)
{
	if (below == timed->caches->levels)
		return timed_memory_transfer(timed, core, request, reach, cost);
	if (core->path[about.kind].stop[below].level)
		return serve_path(timed, core, below, request, about, reach, cost);
	return serve(timed, core, below, request, about, reach, cost);
}

/* A fetch for which the directory was asked: what other cores have of the line comes first. */
static cycle ask_others(struct timed_memory *timed, const struct timed_core *core, unsigned below, uint64_t request,
                        struct cache_about about, struct reach reach, struct cost *cost)
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
                        struct cache_about about, struct reach reach, struct cost *cost)
{
	coherence_leave(timed, core, request >> timed->coherence->line_shift, reach.now + reach.cycles);
	return ask_others(timed, core, below, request, about, reach, cost);
}

/* What a cache asks for, or gives away, goes to the level at depth `below`. */
static cycle pass_on(struct timed_memory *timed, const struct timed_core *core, unsigned below, uint64_t request,
                     struct cache_about about, struct reach reach, struct cost *cost)
{
	bool is_fetch = !(request & WAY_DIRTY) && about.kind != ACCESS_WRITEBACK;
	if (is_fetch && timed->leaves_at[about.kind][below])
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
static cycle prefetch_shared(const struct stop *stop, uint64_t request, struct cache_about about, struct reach reach,
                             struct cost *cost)
{
	struct timed_memory *timed = stop->timed;
	const struct cache_level *cache = stop->level->cache;
	const uint64_t line = request >> cache->line_shift;
	note(stop, line);
	const struct supply waiting = timed->coherence->supply;
	if (!coherence_leave_shared(timed, stop->core, cache, line, reach.now + reach.cycles))
		return pass_on(timed, stop->core, stop->depth + 1, request, about, reach, cost);
	cycle done = ask_others(timed, stop->core, stop->depth + 1, request, about, reach, cost);
	timed->coherence->supply = waiting;
	return done;
}

/* A line that missed is fetched by a free slot. Returns when it is here. */
static cycle fetch(const struct stop *stop, uint64_t request, struct cache_about about, struct cost *cost)
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
	cycle done = about.kind == ACCESS_PREFETCH && is_shared
	                     ? prefetch_shared(stop, request, about, reach, cost)
	                     : pass_on(timed, stop->core, stop->depth + 1, request, about, reach, cost);
	fill_set_add(fills, slot, request >> stop->level->cache->line_shift, done, source_of(timed));
	return done;
}

/* The host is told of what the levels below will look at. */
static void foresee(const struct timed_memory *timed, const struct timed_core *core, unsigned depth, uint64_t address,
                    uint8_t kind)
{
	for (const struct timed_level *level; (level = timed->next[kind][depth]); depth = level->depth + 1)
		level->cache->ops->foresee(level->cache, core->instance[level->cache->number], address);
	if (timed->coherence)
		directory_foresee(&timed->coherence->directory, address >> timed->coherence->line_shift);
}

/* One request that a cache sent on. What is not waited for may not hide where the line that is came from. */
static void send_unseen(const struct stop *stop, uint64_t request, struct cache_about about, bool is_fetch)
{
	struct timed_memory *timed = stop->timed;
	unsigned served_by = timed->served_by;
	if (is_fetch)
		fetch(stop, request, about, &timed->unseen);
	else
		pass_on(timed, stop->core, stop->depth + 1, request, about, stop->reach, &timed->unseen);
	timed->served_by = served_by;
}

/* A line that is longer than the next level's comes in pieces: it is here when the last one is. */
static cycle fetch_piece(const struct stop *stop, uint64_t request, struct cache_about about, cycle done)
{
	struct cost parts = {0};
	cycle start = stop->reach.now + stop->reach.cycles, fetched = fetch(stop, request, about, &parts);
	if (fetched <= done)
		return done;
	/* Of the pieces before it the cost has `done` - `start` cycles: as much of this one's are the same time. */
	cost_take_last(stop->cost, &parts, fetched - (done > start ? done : start));
	return fetched;
}

/* What a cache sent on: lines it asks for are waited for, unless they were prefetched; what it gives away is not. */
static cycle send_all(const struct stop *stop, struct cache_batch *sent, uint8_t kind, cycle done)
{
	for (uint32_t i = 0; i < sent->count; i++) {
		uint64_t request = sent->requests[i];
		struct cache_about about = sent->about[i];
		bool is_fetch = !(request & WAY_DIRTY) && about.kind != ACCESS_WRITEBACK;
		bool is_prefetch = about.kind == ACCESS_PREFETCH && kind != ACCESS_PREFETCH;
		if (!is_fetch || is_prefetch)
			send_unseen(stop, request, about, is_fetch);
		else if (stop->cost == &stop->timed->unseen)
			fetch(stop, request, about, stop->cost);
		else if (sent->count == 1 || stop->level->cache->next_line_bytes >= stop->level->cache->spec->line_bytes)
			done = fetch(stop, request, about, stop->cost);
		else
			done = fetch_piece(stop, request, about, done);
	}
	cache_batch_clear(sent);
	return done;
}

/* Whether a store to this line that comes again needs no telling. Of a line that cores took from each other every store is told.
 */
static bool may_write_again(const struct timed_memory *timed, const struct timed_level *level, uint64_t line)
{
	const struct coherence *coherence = timed->coherence;
	return level->cache->spec->write == WRITE_BACK && !(coherence && bounces_find(&coherence->bounces, line));
}

/* The first level's filter learns of a hit. */
static void remember_hit(const struct timed_memory *timed, const struct timed_level *level, uint64_t *recent, uint64_t line,
                         uint64_t marks)
{
	bool was_writable = *recent == (line << 1 | 1);
	*recent = line << 1 | (was_writable || (marks && may_write_again(timed, level, line)));
}

/* The first level's filter learns what a request of it has done. */
static inline void remember(const struct timed_memory *timed, const struct timed_level *level, unsigned instance,
                            uint64_t request, bool hit)
{
	uint64_t line = request >> level->cache->line_shift;
	uint64_t *recent = &level->recent[instance * (level->recent_mask + 1) + (line & level->recent_mask)];
	if (!hit)
		*recent = UINT64_MAX;
	else
		remember_hit(timed, level, recent, line, request & WAY_DIRTY);
}

/* ---- the short path ---- */

/* A miss on it. */
struct missed {
	struct reach reach; /* when it was known */
	struct cache_taken taken;
	uint32_t slot;
};

/* The directory is told what is new in a cache, and what had to go. */
static inline void note_taken(struct timed_memory *timed, const struct timed_stop *at, uint64_t line,
                              const struct cache_taken *taken)
{
	if (at->cache->instances == 1)
		return;
	if (taken->evicted)
		coherence_note_gone(timed->coherence, at->cache, at->instance, taken->evicted);
	if (at->cache->spec->cores != 1)
		coherence_note(timed->coherence, at->cache, at->instance, line);
}

/* A request takes a cache of the short path. */
static inline void take_stop(struct timed_memory *timed, const struct timed_core *core, const struct timed_stop *at,
                             uint64_t request, struct cache_about about, struct reach reach, struct cost *cost,
                             struct missed *miss)
{
	enter_level(timed, core, at->level, at->instance, request, &reach, cost);
	miss->taken = at->cache->ops->take(at->cache, at->instance, request, about);
	miss->reach = reach;
	if (timed->coherence)
		note_taken(timed, at, request >> at->cache->line_shift, &miss->taken);
	if (at->level->recent)
		remember(timed, at->level, at->instance, request, miss->taken.hit);
}

static cycle serve_taken(struct timed_memory *timed, const struct timed_core *core, unsigned first, uint64_t request,
                         struct cache_about about, const struct missed *taken, struct cost *cost);

/*
 * The line that had to go for the one that missed: it is written to the next level, whose own line has to go for it where it is
 * not there, and so on. Nobody waits for it.
 */
static void give_away(struct timed_memory *timed, const struct timed_core *core, const struct timed_stop *at, uint8_t region,
                      const struct missed *missed)
{
	const struct timed_stop *path = core->path[ACCESS_WRITEBACK].stop, *next;
	const struct cache_about about = {
	        .cpu = (uint16_t)core->cpu, .kind = ACCESS_WRITEBACK, .region = region, .flags = REQUEST_WHOLE_LINE};
	const unsigned served_by = timed->served_by;
	unsigned depth = at->level->depth + 1;
	struct missed gone = *missed;
	for (; gone.taken.gives && (next = &path[depth])->level; depth++) {
		uint64_t request = way_tag(gone.taken.evicted) << next->cache->line_shift | WAY_DIRTY;
		take_stop(timed, core, next, request, about, gone.reach, &timed->unseen, &gone);
		if (gone.taken.fetches) {
			serve_taken(timed, core, depth, request, about, &gone, &timed->unseen);
			gone.taken.gives = false;
		}
	}
	if (gone.taken.gives)
		pass_on(timed, core, depth, way_tag(gone.taken.evicted) << at->cache->line_shift | WAY_DIRTY, about, gone.reach,
		        &timed->unseen);
	timed->served_by = served_by;
}

/* A request that waits for its line, which is on its way. What it misses is fetched all the same: the line went meanwhile. */
static cycle end_merged(struct timed_memory *timed, const struct timed_core *core, const struct timed_stop *at, uint64_t request,
                        struct cache_about about, struct missed *missed, struct cost *cost)
{
	const struct stop stop = {.timed = timed,
	                          .core = core,
	                          .level = at->level,
	                          .depth = at->level->depth,
	                          .instance = at->instance,
	                          .reach = missed->reach,
	                          .cost = cost};
	cycle done =
	        wait_for_fill(timed, at->fills, request >> at->cache->line_shift, missed->reach.now + missed->reach.cycles, cost);
	if (missed->taken.fetches) {
		about.kind = missed->taken.fetch_kind;
		about.flags = 0;
		about.taker = at->cache->number;
		fetch(&stop, request & ~WAY_MARKS, about, &timed->unseen);
	}
	if (missed->taken.gives)
		give_away(timed, core, at, about.region, missed);
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

/* What follows from a request that took the cache at `first`, on the short path. */
static cycle serve_taken(struct timed_memory *timed, const struct timed_core *core, unsigned first, uint64_t request,
                         struct cache_about about, const struct missed *taken, struct cost *cost)
{
	const struct timed_stop *const stop = core->path[about.kind].stop, *at = &stop[first];
	const uint64_t line = request >> at->cache->line_shift;
	struct missed missed[CACHE_LEVELS_MAX], *miss = &missed[first];
	struct reach reach;
	unsigned depth = first;
	cycle done;
	for (*miss = *taken;; take_stop(timed, core, ++at, request, about, reach, cost, ++miss)) {
		done = miss->reach.now + miss->reach.cycles;
		if (cost != &timed->unseen && fill_set_find(at->fills, line, done)) {
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
			foresee(timed, core, 1, request, about.kind);
		reach = miss->reach;
		miss->slot = take_slot(timed, at, &reach, cost);
		request &= ~WAY_MARKS;
		about.kind = miss->taken.fetch_kind;
		about.flags = 0;
		about.taker = at->cache->number;
		if (!stop[depth].level || depth == timed->leaves_core) {
			done = pass_on(timed, core, depth, request, about, reach, cost);
			break;
		}
	}
	if (depth > first)
		fill_path(timed, core, stop, line, about.region, missed, first, depth, done);
	return done;
}

/* What serve() does from a level of the short path on: the same, without a batch for each cache. */
static cycle serve_path(struct timed_memory *timed, const struct timed_core *core, unsigned first, uint64_t request,
                        struct cache_about about, struct reach reach, struct cost *cost)
{
	struct missed taken;
	take_stop(timed, core, &core->path[about.kind].stop[first], request, about, reach, cost, &taken);
	return serve_taken(timed, core, first, request, about, &taken, cost);
}

/* ---- the long path ---- */
/* A request reaches the levels from `depth` on. Returns when the core has its data. */
static cycle serve(struct timed_memory *timed, const struct timed_core *core, unsigned depth, uint64_t request,
                   struct cache_about about, struct reach reach, struct cost *cost)
{
	struct cache_hierarchy *caches = timed->caches;
	struct timed_level *level = timed->next[about.kind][depth];
	if (!level) {
		caches->uncached++;
		timed->counters.uncached++;
		return timed_memory_transfer(timed, core, request, reach, cost);
	}
	struct cache_level *cache = level->cache;
	depth = level->depth;
	if (core->path[about.kind].stop[depth].level)
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
		foresee(timed, core, 1, request, about.kind);
	bool hit = cache->ops->serve(cache, stop.instance, request, about, sent);
	if (cache->handed_up_dirty)
		cache_hierarchy_hand_up(caches, cache, request, &about);
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
	bool is_merged = !hit && done > stop.reach.now + stop.reach.cycles;
	/* A line that went while it was on its way: this miss is served with the one before it. */
	if (is_merged)
		stop.cost = &timed->unseen;
	if (sent->count > 0)
		done = send_all(&stop, sent, about.kind, done);
	unsigned served_by = is_merged ? depth : timed->served_by;
	stop.cost = &timed->unseen;
	while (cache->spec->prefetch != PREFETCH_NONE && cache->ops->prefetch(cache, stop.instance, sent)) {
		note_evicted(&stop);
		send_all(&stop, sent, ACCESS_PREFETCH, done);
	}
	timed->served_by = served_by;
	return done;
}

/* ---- accesses ---- */

/* Whether the access lies in more than one line. */
static bool crosses(const struct access *access, unsigned shift)
{
	return access->address >> shift != (access->address + access->bytes - 1) >> shift;
}

/* Whether the caches were asked already (timed_plan.h). */
static inline bool is_looked_up(const struct timed_memory *timed)
{
	return timed->plan && timed->plan->has_lines;
}

static bool is_reference(const struct access *access)
{
	return access->kind == ACCESS_WALK || access->kind == ACCESS_WALK_STORE;
}

/* Several cores: which words of a line that bounces the access touches, the directory, and how long the line is kept. */
static void end_shared(struct timed_memory *timed, const struct timed_core *core, const struct access *access, bool writes,
                       cycle done)
{
	struct coherence *coherence = timed->coherence;
	uint64_t line = access->address >> coherence->line_shift;
	coherence->supply.is_active = false;
	if (coherence->notes_count > 0)
		coherence_settle(timed);
	if (timed->kept_cycles || timed->served_by == timed->caches->levels)
		coherence_keep(coherence, line, done + timed->kept_cycles);
	if (!writes && timed->served_by < coherence->first_shared)
		return;
	struct bounced_line *bounced = bounces_find(&coherence->bounces, line);
	if (!bounced)
		return;
	uint8_t words = bounces_words(&coherence->bounces, access->address, access->bytes);
	if (!bounced->linear && !is_reference(access))
		bounced->linear = (line << coherence->line_shift) + timed->to_linear;
	if (writes)
		bounced->written[core->cpu] |= words;
	if (!writes || access->kind == ACCESS_MODIFY)
		bounced->read[core->cpu] |= words;
}

/* As serve() from the first level on; most requests find their line there, and nothing follows from them. */
static inline cycle serve_first(struct timed_memory *timed, const struct timed_core *core, uint64_t request,
                                struct cache_about about, struct reach reach, struct cost *cost)
{
	const struct timed_stop *at = &core->path[about.kind].stop[0];
	struct missed taken;
	if (!at->level && timed->leaves_at[about.kind][0] && !(request & WAY_DIRTY))
		return leave_core(timed, core, 0, request, about, reach, cost);
	if (!at->level)
		return serve(timed, core, 0, request, about, reach, cost);
	take_stop(timed, core, at, request, about, reach, cost, &taken);
	cycle done = taken.reach.now + taken.reach.cycles;
	if (taken.taken.hit && !fill_set_find(at->fills, request >> at->cache->line_shift, done))
		return done;
	return serve_taken(timed, core, 0, request, about, &taken, cost);
}

/* The part of an access that lies in one line. Returns when it is done. */
static cycle access_line(struct timed_memory *timed, const struct timed_core *core, const struct access *access, cycle now,
                         struct cost *cost)
{
	if (is_looked_up(timed))
		return timed_plan_line(timed, access, now, cost);
	uint64_t address = access->address & ~WAY_MARKS;
	struct cache_about about = {.cpu = (uint16_t)core->cpu, .kind = access->kind, .region = access->region};
	bool is_modify = access->kind == ACCESS_MODIFY;
	if (is_modify)
		about.kind = ACCESS_LOAD;
	uint64_t marks = timed->caches->entry[about.kind].marks;
	if (is_modify && timed->modify_is_load)
		marks = WAY_DIRTY;
	unsigned whole = timed->caches->entry[about.kind].shift;
	if (marks && about.kind != ACCESS_LOAD && access->bytes == 1ull << whole)
		about.flags = REQUEST_WHOLE_LINE;
	bool writes = marks || is_modify;
	if (timed->coherence) {
		timed->coherence->current = core->cpu;
		if (writes)
			now = coherence_own(timed, core, access, now, cost);
	}
	const struct reach reach = {.now = now};
	/* A store that needs no fetch is served where it goes. */
	timed->served_by = 0;
	cycle done = serve_first(timed, core, address | marks, about, reach, cost);
	unsigned served_by = timed->served_by;
	timed->counters.lines++;
	++*timed->depth_counter[served_by];
	if (is_modify && !timed->modify_is_load) {
		about.kind = ACCESS_STORE;
		about.flags = access->bytes == 1ull << timed->caches->entry[ACCESS_STORE].shift ? REQUEST_WHOLE_LINE : 0;
		serve(timed, core, 0, address | WAY_DIRTY, about, reach, &timed->unseen);
	}
	timed->served_by = served_by;
	if (timed->coherence)
		end_shared(timed, core, access, writes, done);
	return done;
}

/* ---- lines, the short way ---- */

/* A line that the first level, asked already, does not have. Returns when it is here. */
static __attribute__((noinline)) cycle line_missed(struct timed_memory *timed, const struct timed_core *core, uint64_t request,
                                                   struct cache_about about, const struct cache_taken *taken, cycle now,
                                                   struct cost *cost)
{
	const struct timed_stop *first = &core->path[about.kind].stop[0];
	struct missed missed = {.reach = {.now = now}, .taken = *taken};
	enter_level(timed, core, first->level, first->instance, request, &missed.reach, cost);
	remember(timed, first->level, first->instance, request, false);
	timed->served_by = 0; /* a store that needs no fetch is served where it goes */
	cycle done = serve_taken(timed, core, 0, request, about, &missed, cost);
	if (cost != &timed->unseen) {
		timed->counters.lines++;
		++*timed->depth_counter[timed->served_by];
	}
	return done;
}

/* A request's turn at the first level's port. */
static inline cycle enter_first(struct timed_memory *timed, const struct timed_entry *entry, cycle now)
{
	if (!entry->ports)
		return now;
	cycle at = port_set_take(entry->ports, entry->level->cache->spec->ports, now);
	timed->counters.port_wait_cycles += at - now;
	return at;
}

/* The first level has the line. *in_first: as line_quick() tells it. */
static inline cycle line_here(struct timed_memory *timed, const struct timed_entry *entry, uint64_t line, cycle now,
                              struct cost *cost, bool *in_first)
{
	cycle done = enter_first(timed, entry, now) + entry->level->latency;
	timed->counters.lines++;
	timed->counters.l1_hits++;
	const struct fill *fill = fill_set_find(entry->fills, line, done);
	*in_first = !fill;
	if (!fill)
		return done;
	*cost = (struct cost){0};
	cost->cycles[COST_L1] = done - now;
	timed->counters.fill_waits++;
	timed->counters.fill_wait_cycles += fill->ready - done;
	cost->cycles[fill->part] += fill->ready - done;
	return fill->ready;
}

/* Whether the first level's filter knows the line, for an access by this entry. */
static inline bool is_recent(const struct timed_entry *entry, uint64_t line)
{
	uint64_t recent = entry->recent[line & entry->level->recent_mask];
	return (recent | (entry->mark ^ 1)) == (line << 1 | 1);
}

/* Asks the first level for a line that the filter does not know. */
static inline struct cache_taken take_first(struct timed_memory *timed, const struct timed_entry *entry,
                                            const struct access *access, uint64_t line, uint64_t *request,
                                            struct cache_about *about)
{
	*request = (access->address & ~WAY_MARKS) | (entry->mark ? WAY_DIRTY : 0);
	*about = (struct cache_about){.cpu = access->cpu, .kind = access->kind, .region = access->region};
	if (entry->mark && access->bytes == 1ull << entry->shift)
		about->flags = REQUEST_WHOLE_LINE;
	struct cache_taken taken = entry->stop->cache->ops->take(entry->stop->cache, entry->stop->instance, *request, *about);
	if (taken.hit)
		remember_hit(timed, entry->level, &entry->recent[line & entry->level->recent_mask], line, entry->mark);
	return taken;
}

/* An access that lies in one line, by an entry with a short path or of a line that the filter knows. Returns when it is done; in
 * *in_first whether all its cycles are the first level's: if not, *cost tells what they are. */
static inline cycle line_quick(struct timed_memory *timed, const struct timed_core *core, const struct access *access, cycle now,
                               struct cost *cost, bool *in_first)
{
	const struct timed_entry *entry = &core->entry[access->kind];
	uint64_t line = access->address >> entry->shift, request;
	struct cache_about about;
	if (is_recent(entry, line)) {
		entry->level->cache->counters.accesses[access->kind]++;
		entry->level->cache->counters.hits[access->kind]++;
		return line_here(timed, entry, line, now, cost, in_first);
	}
	struct cache_taken taken = take_first(timed, entry, access, line, &request, &about);
	if (taken.hit)
		return line_here(timed, entry, line, now, cost, in_first);
	*in_first = false;
	*cost = (struct cost){0};
	return line_missed(timed, core, request, about, &taken, now, cost);
}

/* The store of an access that loads and stores: nobody waits for it. */
static inline void store_unseen(struct timed_memory *timed, const struct timed_core *core, struct access store, cycle now)
{
	store.kind = ACCESS_STORE;
	const struct timed_entry *entry = &core->entry[ACCESS_STORE];
	uint64_t line = store.address >> entry->shift, request;
	struct cache_about about;
	if (is_recent(entry, line)) {
		entry->level->cache->counters.accesses[ACCESS_STORE]++;
		entry->level->cache->counters.hits[ACCESS_STORE]++;
		enter_first(timed, entry, now);
		return;
	}
	struct cache_taken taken = take_first(timed, entry, &store, line, &request, &about);
	if (taken.hit)
		enter_first(timed, entry, now);
	else
		line_missed(timed, core, request, about, &taken, now, &timed->unseen);
}

/* Whether line_quick() may take an access of this kind in one line. */
static inline bool is_quick(const struct timed_core *core, const struct access *access)
{
	const struct timed_entry *entry = &core->entry[access->kind];
	return entry->stop || (entry->level && is_recent(entry, access->address >> entry->shift));
}

/*
 * The usual case: an access in one line, the short way. Returns whether that was one; then *done is when it is done, and
 * *in_first as of line_quick().
 */
static inline bool access_quick(struct timed_memory *timed, const struct timed_core *core, const struct access *access, cycle now,
                                struct cost *cost, cycle *done, bool *in_first)
{
	if (crosses(access, timed->line_shift))
		return false;
	if (access->kind != ACCESS_MODIFY) {
		if (!is_quick(core, access))
			return false;
		*done = line_quick(timed, core, access, now, cost, in_first);
		return true;
	}
	if (!core->modifies_quickly)
		return false;
	struct access load = *access;
	load.kind = ACCESS_LOAD;
	*done = line_quick(timed, core, &load, now, cost, in_first);
	unsigned served_by = timed->served_by;
	store_unseen(timed, core, *access, now);
	timed->served_by = served_by;
	return true;
}

/* A request on its way: its next line starts at `now`, those before it are done at `done`, and *cost tells why. */
struct issue {
	cycle now, done;
	struct cost *cost;
};

/* Nothing was under way while the translation of what comes next was looked for. */
static void end_lookup(struct issue *issue)
{
	if (issue->now <= issue->done)
		return;
	issue->cost->cycles[COST_TLB] += issue->now - issue->done;
	issue->done = issue->now;
}

static void issue_line_quick(struct timed_memory *timed, const struct timed_core *core, const struct access *line,
                             struct issue *issue)
{
	struct cost parts;
	bool in_first;
	cycle done, before = issue->done;
	if (!access_quick(timed, core, line, issue->now, &parts, &done, &in_first)) {
		parts = (struct cost){0};
		done = access_line(timed, core, line, issue->now, &parts);
		in_first = false;
	}
	if (done <= before)
		return;
	if (in_first)
		issue->cost->cycles[COST_L1] += done - before;
	else if (issue->now == before)
		cost_add(issue->cost, &parts);
	else
		cost_take_last(issue->cost, &parts, done - before);
	issue->done = done;
}

static void issue_line(struct timed_memory *timed, const struct timed_core *core, const struct access *line, struct issue *issue)
{
	end_lookup(issue);
	if (core->is_alone && !is_looked_up(timed)) {
		issue_line_quick(timed, core, line, issue);
		return;
	}
	if (issue->now == issue->done) {
		issue->done = access_line(timed, core, line, issue->now, issue->cost);
		return;
	}
	/* The lines before it are under way: it counts for what it takes longer than they. */
	struct cost parts = {0};
	cycle done = access_line(timed, core, line, issue->now, &parts);
	if (done <= issue->done)
		return;
	cost_take_last(issue->cost, &parts, done - issue->done);
	issue->done = done;
}

static void access_physical(struct timed_memory *timed, const struct timed_core *core, const struct access *access,
                            struct issue *issue)
{
	if (!crosses(access, timed->line_shift)) {
		issue_line(timed, core, access, issue);
		issue->now++;
		return;
	}
	struct access line = *access;
	uint64_t address = access->address, end = address + access->bytes, line_bytes = 1ull << timed->line_shift;
	while (address < end) {
		uint64_t line_end = (address | (line_bytes - 1)) + 1;
		line.address = address;
		line.bytes = (uint32_t)((line_end < end ? line_end : end) - address);
		issue_line(timed, core, &line, issue);
		issue->now++;
		address = line_end;
	}
}

/* References of a walk by the walker that is free the soonest. Returns when the translation is known. */
static cycle walk(struct timed_memory *timed, struct timed_core *core, const struct access *references, size_t count, cycle now)
{
	unsigned soonest = 0;
	for (unsigned walker = 1; walker < timed->walkers && core->walker[soonest] > now; walker++)
		if (core->walker[walker] < core->walker[soonest])
			soonest = walker;
	cycle at = core->walker[soonest] > now ? core->walker[soonest] : now;
	timed->counters.walker_waits += at > now;
	timed->counters.walker_wait_cycles += at - now;
	struct cost parts = {0};
	uint32_t kept_cycles = timed->kept_cycles;
	timed->kept_cycles = 0;
	for (size_t i = 0; i < count; i++)
		at = access_line(timed, core, &references[i], at, &parts);
	timed->kept_cycles = kept_cycles;
	core->walker[soonest] = at;
	timed->counters.walks++;
	timed->counters.walk_cycles += at - now;
	return at;
}

/* What an access, or a part of one, refers to in physical memory, one after the other: page table entries and what it is for. */
static void access_entries(struct timed_memory *timed, struct timed_core *core, const struct access *out, size_t count,
                           uint64_t linear, struct issue *issue)
{
	size_t first = 0;
	/*
	 * At once, so that the host fetches side by side what will be looked at one after the other: the last table's entry and
	 * what it leads to. Those of the tables before it are few, and in the first level as a rule.
	 */
	timed->is_foreseen = count > 1;
	for (size_t i = count > 1 ? count - 2 : count; i < count && !is_looked_up(timed); i++)
		foresee(timed, core, 1, out[i].address, out[i].kind == ACCESS_MODIFY ? (uint8_t)ACCESS_LOAD : out[i].kind);
	for (size_t i = 0; i < count; i++) {
		if (is_reference(&out[i]))
			continue;
		if (first < i)
			issue->now = walk(timed, core, &out[first], i - first, issue->now);
		timed->to_linear = linear - out[i].address;
		linear += out[i].bytes;
		access_physical(timed, core, &out[i], issue);
		first = i + 1;
	}
	if (first < count) /* refused after its walk */
		issue->now = walk(timed, core, &out[first], count - first, issue->now);
	if (first < count || count == 0)
		end_lookup(issue);
	timed->is_foreseen = false;
}

/* An access by its linear address that the filter does not know: with the page walks that it takes. */
static void access_linear(struct timed_memory *timed, struct timed_core *core, const struct access *access, struct issue *issue)
{
	struct access out[2 * MMU_ROOM];
	struct mmu *mmu = core->mmu;
	uint64_t looked_up = mmu_lookup_cycles(mmu, access->kind), linear = access->address;
	size_t done, made;
	do {
		done = mmu_run(mmu, access, 1, out, 2 * MMU_ROOM, &made);
		uint64_t cycles = mmu_lookup_cycles(mmu, access->kind) - looked_up;
		looked_up += cycles;
		timed->counters.tlb_cycles += cycles;
		issue->now += cycles;
		access_entries(timed, core, out, made, linear, issue);
		for (size_t i = 0; i < made; i++)
			linear += is_reference(&out[i]) ? 0 : out[i].bytes;
	} while (done == 0);
}

/* Where the entries of a plan end that are the next request's: behind its last byte, or at the end where it is refused. */
static size_t planned_entries(const struct timed_plan *plan, const struct access *request)
{
	size_t end = plan->at;
	for (uint64_t bytes = 0; bytes < request->bytes && end < plan->made; end++)
		bytes += is_reference(&plan->out[end]) ? 0 : plan->out[end].bytes;
	return end;
}

static void end_planned(struct timed_memory *timed)
{
	struct timed_plan *plan = timed->plan;
	plan->next++;
	timed->is_planned = plan->next < plan->requests;
	plan->has_lines = plan->has_lines && plan->next < plan->requests;
	SIM_ASSERT(plan->next < plan->requests || plan->at == plan->made);
}

/* A request that was planned: its translation is known. */
static cycle access_planned(struct timed_memory *timed, struct timed_core *core, const struct memory_request *request,
                            struct cost *cost)
{
	struct timed_plan *plan = timed->plan;
	const struct access *planned = &plan->request[plan->next], *out = &plan->out[plan->at];
	SIM_ASSERT(planned->address == request->address && planned->bytes == request->bytes && planned->kind == request->kind &&
	           !request->is_locked);
	cycle in_first;
	if (plan->has_lines && out->bytes == planned->bytes && plan->cycles[plan->at] == 0 && !is_reference(out) &&
	    !crosses(out, timed->line_shift) && (in_first = timed_plan_hit(timed, out, request->now)) > 0) {
		plan->at++;
		end_planned(timed);
		return in_first;
	}
	*cost = (struct cost){0};
	size_t end = planned_entries(plan, planned);
	uint64_t cycles = plan->is_refused && plan->next + 1 == plan->requests ? plan->refused_cycles : 0;
	for (size_t i = plan->at; i < end; i++)
		cycles += plan->cycles[i];
	struct issue issue = {.now = request->now + cycles, .done = request->now, .cost = cost};
	timed->counters.tlb_cycles += cycles;
	timed->kept_cycles = 0;
	access_entries(timed, core, out, end - plan->at, request->address, &issue);
	plan->at = end;
	end_planned(timed);
	return 0;
}

static __attribute__((noinline)) cycle access_slow(struct timed_memory *timed, struct timed_core *core,
                                                   const struct memory_request *request, struct mmu_place place,
                                                   struct cost *cost)
{
	struct access access = {.address = place.is_known ? place.physical : request->address,
	                        .bytes = request->bytes,
	                        .cpu = request->cpu,
	                        .kind = request->kind,
	                        .region = place.region};
	SIM_ASSERT(place.is_known || !core->mmu->walker || translation_canonical(core->mmu->walker->mode, access.address));
	cycle done;
	bool in_first;
	if (place.is_known && !request->is_locked &&
	    access_quick(timed, core, &access, request->now, cost, &done, &in_first))
		return in_first ? done - request->now : 0;
	*cost = (struct cost){0};
	struct issue issue = {.now = request->now, .done = request->now, .cost = cost};
	timed->kept_cycles = request->is_locked ? timed->atomic_cycles : 0;
	timed->to_linear = request->address - access.address;
	if (place.is_known)
		access_physical(timed, core, &access, &issue);
	else
		access_linear(timed, core, &access, &issue);
	if (request->is_locked)
		cost->cycles[COST_COMPUTE] += timed->atomic_cycles;
	return 0;
}

static cycle timed_access(struct memory *memory, const struct memory_request *request, struct cost *cost)
{
	struct timed_memory *timed = (struct timed_memory *)memory;
	SIM_ASSERT(request->cpu < timed->cpus);
	struct timed_core *core = &timed->core[request->cpu];
	const uint64_t address = request->address;
	const unsigned kind = request->kind;
	struct mmu_place place = {.physical = address, .is_known = true};
	if (request->bytes == 0) {
		*cost = (struct cost){0};
		return 0;
	}
	if (timed->is_planned)
		return access_planned(timed, core, request, cost);
	if (core->mmu) {
		place = mmu_recent_access(core->mmu, address, request->bytes, kind);
		if (!place.is_known)
			place = mmu_known_access(core->mmu, address, request->bytes, kind);
	}
	/* The usual case: one line, which the first level's filter knows. */
	const struct timed_entry *entry = &core->entry[kind];
	const uint64_t line = place.physical >> entry->shift;
	if (!place.is_known || !entry->level || ((address ^ (address + request->bytes - 1)) >> timed->line_shift) != 0 ||
	    !is_recent(entry, line))
		return access_slow(timed, core, request, place, cost);
	bool in_first;
	entry->level->cache->counters.accesses[kind]++;
	entry->level->cache->counters.hits[kind]++;
	cycle done = line_here(timed, entry, line, request->now, cost, &in_first);
	return in_first ? done - request->now : 0;
}

static size_t timed_plan(struct memory *memory, const struct access *requests, size_t count)
{
	struct timed_memory *timed = (struct timed_memory *)memory;
	return timed->plan ? timed_plan_make(timed, requests, count) : 0;
}

static void timed_invalidate(struct memory *memory, unsigned cpu, const struct tlb_scope *scope)
{
	struct timed_memory *timed = (struct timed_memory *)memory;
	SIM_ASSERT(cpu < timed->cpus && (!timed->plan || timed->plan->next == timed->plan->requests));
	if (timed->core[cpu].mmu)
		mmu_invalidate(timed->core[cpu].mmu, scope);
}

static void timed_switch_space(struct memory *memory, unsigned cpu, uint64_t root, unsigned pcid, bool no_flush)
{
	struct timed_memory *timed = (struct timed_memory *)memory;
	SIM_ASSERT(cpu < timed->cpus);
	if (timed->core[cpu].mmu && timed->core[cpu].mmu->walker)
		mmu_write_cr3(timed->core[cpu].mmu, root, pcid, no_flush);
}

static const void *timed_counters(const struct memory *memory)
{
	return &((const struct timed_memory *)memory)->counters;
}

static const void *timed_core_counters(const struct memory *memory, unsigned cpu)
{
	static const struct memory_core_counters none;
	const struct timed_memory *timed = (const struct timed_memory *)memory;
	SIM_ASSERT(cpu < timed->cpus);
	return timed->coherence ? &timed->coherence->core[cpu] : &none;
}

static size_t timed_bounced_lines(const struct memory *memory, const struct bounced_line **top, size_t count)
{
	const struct timed_memory *timed = (const struct timed_memory *)memory;
	return timed->coherence ? bounces_top(&timed->coherence->bounces, top, count) : 0;
}

static void timed_destroy(struct memory *memory)
{
	struct timed_memory *timed = (struct timed_memory *)memory;
	for (unsigned i = 0; i < timed->caches->count; i++) {
		struct timed_level *level = &timed->level[i];
		for (unsigned instance = 0; level->fills && instance < level->cache->instances; instance++)
			fill_set_release(&level->fills[instance]);
		free(level->fills);
		free(level->ports);
		free(level->slices);
		free(level->recent);
		cache_batch_release(&level->sent);
		interconnect_release(&level->interconnect);
	}
	for (unsigned cpu = 0; timed->core && cpu < timed->cpus; cpu++)
		free(timed->core[cpu].walker);
	free(timed->core);
	coherence_destroy(timed->coherence);
	timed_plan_destroy(timed->plan);
	free(timed);
}

const struct memory_ops memory_timed_ops = {
        .name = "timed",
        .help = "the TLBs, page walkers and caches of the machine under the clock: latencies, and waiting for what is shared",
        .has_dram = true,
        .access = timed_access,
        .plan = timed_plan,
        .invalidate = timed_invalidate,
        .switch_space = timed_switch_space,
        .check = timed_check,
        .metrics = timed_metrics,
        .counters = timed_counters,
        .core_metrics = memory_core_metrics,
        .core_counters = timed_core_counters,
        .bounced_lines = timed_bounced_lines,
        .destroy = timed_destroy,
};
