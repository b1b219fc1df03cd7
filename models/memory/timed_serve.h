/* SPDX-License-Identifier: MIT
 *
 * timed_serve.h - what a request meets at a level under the clock, whichever way it goes: port, slice, latency, a line on its
 * way, a slot (rules: timed.c).
 */
#ifndef MODELS_MEMORY_TIMED_SERVE_H
#define MODELS_MEMORY_TIMED_SERVE_H

#include "models/memory/timed.h"
#include "models/memory/timed_coherence.h"

/* How far a request has come: it started at `now`, waits added, and has been under way for `cycles` since. */
struct reach {
	cycle now;
	uint32_t cycles;
};

/* The slice of a level that keeps what lies at an address. */
static inline unsigned slice_of(const struct timed_level *level, uint64_t address)
{
	/* MODEL: the hash that spreads lines over slices is not published; this one spreads them as evenly. */
	return (unsigned)(((address >> level->cache->line_shift) * 0x9e3779b97f4a7c15ull >> 32) % level->cache->spec->slices);
}

/* From a core to a slice and back. */
static inline uint32_t way_to_slice(const struct timed_level *level, const struct timed_core *core, unsigned slice)
{
	return interconnect_cycles(&level->interconnect, core->stop,
	                           interconnect_stop(&level->interconnect, slice, level->cache->spec->slices));
}

/* Waits for the line's slice, and goes the way to it. Returns when the request is there, and adds the way to *latency. */
static inline cycle enter_slice(const struct timed_level *level, const struct timed_core *core, unsigned instance,
                                uint64_t request, cycle at, uint32_t *latency)
{
	const struct cache_level_spec *spec = level->cache->spec;
	unsigned slice = slice_of(level, request);
	*latency += way_to_slice(level, core, slice);
	if (!level->slices)
		return at;
	return timeline_take(&level->slices[instance * spec->slices + slice], at, spec->busy_cycles);
}

/* Waits for a port and for the line's slice, and goes to it. After it reach->cycles is the level's latency. cost NULL: nobody
 * asks for it. */
static inline void enter_level(struct timed_memory *timed, const struct timed_core *core, const struct timed_level *level,
                               unsigned instance, uint64_t request, struct reach *reach, struct cost *cost)
{
	cycle at = reach->now + reach->cycles, began = at;
	uint32_t latency = level->latency;
	if (level->ports) {
		began = port_set_take(&level->ports[instance], level->cache->spec->ports, at);
		timed->counters.port_wait_cycles += began - at;
	}
	if (level->is_sliced) {
		cycle free = enter_slice(level, core, instance, request, began, &latency);
		timed->counters.slice_wait_cycles += free - began;
		began = free;
	}
	if (latency < reach->cycles)
		latency = reach->cycles;
	if (cost)
		cost->cycles[level->part] += began - at + latency - reach->cycles;
	reach->now += began - at;
	reach->cycles = latency;
}

/* A line that the level has, or has asked for, may still be on its way. Returns when it is there; `done`: it is there already. */
static inline cycle wait_for_fill(struct timed_memory *timed, const struct fill_set *fills, uint64_t line, cycle done,
                                  struct cost *cost)
{
	const struct fill *fill = fill_set_find(fills, line, done);
	if (!fill || cost == &timed->unseen)
		return done;
	timed->counters.fill_waits++;
	timed->counters.fill_wait_cycles += fill->ready - done;
	cost->cycles[fill->part] += fill->ready - done;
	return fill->ready;
}

/* Where the line that was asked for last came from, as a part of the cost. */
static inline enum cost_part source_of(const struct timed_memory *timed)
{
	unsigned levels = timed->caches->levels;
	if (timed->served_by == levels)
		return COST_DRAM;
	if (timed->served_by > levels)
		return COST_COHERENCE;
	return timed->served_by + 1 == levels ? COST_LLC : COST_L2;
}

/* A miss waits for a slot that is free. is_seen: the wait counts; cost NULL: nobody asks for it. */
static inline uint32_t take_slot(struct timed_memory *timed, const struct timed_stop *at, struct reach *reach, bool is_seen,
                                 struct cost *cost)
{
	cycle asks = reach->now + reach->cycles, free;
	uint32_t slot = fill_set_slot(at->fills, asks, &free);
	if (free == asks)
		return slot;
	timed->counters.slot_waits += is_seen;
	timed->counters.slot_wait_cycles += is_seen ? free - asks : 0;
	reach->now += free - asks;
	if (cost)
		cost->cycles[at->level->part] += free - asks;
	return slot;
}

/* Whether a store to this line that comes again needs no telling. Of a line that cores took from each other every store is told.
 */
static inline bool may_write_again(const struct timed_memory *timed, const struct timed_level *level, uint64_t line)
{
	const struct coherence *coherence = timed->coherence;
	return level->cache->spec->write == WRITE_BACK && !(coherence && bounces_find(&coherence->bounces, line));
}

/* The first level's filter learns of a hit. */
static inline void remember_hit(const struct timed_memory *timed, const struct timed_level *level, uint64_t *recent,
                                uint64_t line, uint64_t marks)
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

/* What the first level's filter knew of last uses does not hold any more. */
static inline void forget_recents(const struct timed_memory *timed)
{
	for (unsigned i = 0; i < timed->caches->count; i++) {
		const struct timed_level *level = &timed->level[i];
		const uint64_t places = level->recent ? (level->recent_mask + 1) * level->cache->instances : 0;
		for (uint64_t place = 0; place < places; place++)
			level->recent[place] = UINT64_MAX;
	}
}

/* What a cache of the short path has answered to a request. */
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
                             uint64_t request, const struct cache_about *about, struct reach reach, struct cost *cost,
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

/* ---- timed_levels.c ---- */

/* A line, or a part of one, comes from memory or goes there. Returns when it is done. */
cycle timed_memory_transfer(struct timed_memory *timed, const struct timed_core *core, uint64_t request, struct reach reach,
                            struct cost *cost);

/* A request, or what is given away, goes to the levels from `below` on; a fetch that leaves the core's own caches there asks
 * other cores first. Returns when the core has its data. */
cycle timed_pass_on(struct timed_memory *timed, const struct timed_core *core, unsigned below, uint64_t request,
                    const struct cache_about *about, struct reach reach, struct cost *cost);

/* What follows from a request that took the cache at `first`, on the short path: missed[first] tells how; behind it is room for
 * all levels. Returns the same. */
cycle timed_serve_taken(struct timed_memory *timed, const struct timed_core *core, unsigned first, uint64_t request,
                        const struct cache_about *about, struct missed missed[], struct cost *cost);

/* The host is told of what the levels from `depth` on will look at. */
void timed_foresee(const struct timed_memory *timed, const struct timed_core *core, unsigned depth, uint64_t address,
                   uint8_t kind);

#endif
