/* SPDX-License-Identifier: MIT
 *
 * timed_serve.h - what a request meets at a level under the clock, whichever way it goes: port, slice, latency, a line on its
 * way, a slot (rules: timed.c).
 */
#ifndef MODELS_MEMORY_TIMED_SERVE_H
#define MODELS_MEMORY_TIMED_SERVE_H

#include "models/memory/timed.h"

/* How far a request has come: it started at `now`, waits added, and has been under way for `cycles` since. */
struct reach {
	cycle now;
	uint32_t cycles;
};

/* Waits for the line's slice, and goes the way to it. Returns when the request is there, and adds the way to *latency. */
static inline cycle enter_slice(const struct timed_level *level, const struct timed_core *core, unsigned instance,
                                uint64_t request, cycle at, uint32_t *latency)
{
	const struct cache_level_spec *spec = level->cache->spec;
	/* MODEL: the hash that spreads lines over slices is not published; this one spreads them as evenly. */
	unsigned slice = (unsigned)(((request >> level->cache->line_shift) * 0x9e3779b97f4a7c15ull >> 32) % spec->slices);
	*latency += interconnect_cycles(&level->interconnect, core->stop,
	                                interconnect_stop(&level->interconnect, slice, spec->slices));
	if (!level->slices)
		return at;
	return timeline_take(&level->slices[instance * spec->slices + slice], at, spec->busy_cycles);
}

/* Waits for a port and for the line's slice, and goes to it. After it reach->cycles is the level's latency. */
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

/* A miss waits for a slot that is free. */
static inline uint32_t take_slot(struct timed_memory *timed, const struct timed_stop *at, struct reach *reach, struct cost *cost)
{
	cycle asks = reach->now + reach->cycles, free;
	uint32_t slot = fill_set_slot(at->fills, asks, &free);
	if (free == asks)
		return slot;
	timed->counters.slot_waits += cost != &timed->unseen;
	timed->counters.slot_wait_cycles += cost != &timed->unseen ? free - asks : 0;
	reach->now += free - asks;
	cost->cycles[at->level->part] += free - asks;
	return slot;
}

/* A line, or a part of one, comes from memory or goes there. Returns when it is done. */
cycle timed_memory_transfer(struct timed_memory *timed, const struct timed_core *core, uint64_t request, struct reach reach,
                            struct cost *cost);

#endif
