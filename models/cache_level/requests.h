/* SPDX-License-Identifier: MIT
 *
 * requests.h - what every cache asks of the next level, whatever it is made of: the fetch of a line, data that goes on, the whole
 * access where cachegrind's rule wants it.
 *
 * `out` is the next level's batch; NULL: the next level is memory, which keeps no counts of its own.
 *
 * Source of the rules: Dinero IV (ref.c: d4ref) for lines and stores, cachegrind (cg_sim.c) for accesses that go on as they are.
 */
#ifndef MODELS_CACHE_LEVEL_REQUESTS_H
#define MODELS_CACHE_LEVEL_REQUESTS_H

#include "sim/port/cache_level.h"

/* Whether the request writes its line. */
static inline bool writes(uint64_t request)
{
	return request & WAY_DIRTY;
}

/* A line that the level above let go, dirty or not. */
static inline bool is_victim(const struct cache_about *about)
{
	return about->kind == ACCESS_WRITEBACK;
}

/* Asks the next level for, or gives it, one line of ours; in pieces if its lines are smaller. */
static inline void send_line(const struct cache_level *level, uint64_t address, uint64_t marks, struct cache_about about,
                             struct cache_batch *out)
{
	if (!out)
		return;
	uint32_t line_bytes = 1u << level->line_shift, next_bytes = level->next_line_bytes;
	if (__builtin_expect(next_bytes == line_bytes, 1)) {
		cache_batch_append(out, address | marks, about);
		out->accesses[about.kind]++;
		return;
	}
	if (next_bytes > line_bytes)
		about.flags &= (uint8_t)~REQUEST_WHOLE_LINE;
	uint32_t step = next_bytes < line_bytes ? next_bytes : line_bytes;
	for (uint32_t offset = 0; offset < line_bytes; offset += step) {
		cache_batch_append(out, (address + offset) | marks, about);
		out->accesses[about.kind]++;
	}
}

/* The first byte of the address's line. */
static inline uint64_t line_of(const struct cache_level *level, uint64_t address)
{
	return address >> level->line_shift << level->line_shift;
}

/* A fetch on behalf of a store is a read in Dinero, and a store's miss in cachegrind. */
static inline uint8_t fetch_kind(const struct cache_level *level, uint8_t kind)
{
	if (level->rule == CACHE_RULE_DEMAND)
		return kind;
	if (kind == ACCESS_STORE || kind == ACCESS_WRITEBACK)
		return ACCESS_LOAD;
	return kind == ACCESS_WALK_STORE ? ACCESS_WALK : kind;
}

/* A line that missed. */
static inline void send_fetch(struct cache_level *level, uint64_t address, struct cache_about about, struct cache_batch *out)
{
	level->counters.fetches++;
	about.kind = fetch_kind(level, about.kind);
	about.flags = 0;
	/* What an exclusive cache has not got comes to the one that asked it. */
	if (level->spec->inclusion != INCLUSION_EXCLUSIVE)
		about.taker = level->number;
	if (!level->asks_for_accesses) {
		send_line(level, line_of(level, address), 0, about, out);
	} else if (out) {
		cache_batch_append(out, address & ~WAY_MARKS, about);
		out->accesses[about.kind]++;
	}
}

/* A store's data goes on; how many bytes is not known any more, so the next level takes it for a part of a line. */
static inline void send_store(struct cache_level *level, uint64_t request, struct cache_about about, struct cache_batch *out)
{
	level->counters.writes_through++;
	if (!out)
		return;
	if (level->next_line_bytes != 1u << level->line_shift)
		about.flags &= (uint8_t)~REQUEST_WHOLE_LINE;
	cache_batch_append(out, request, about);
	out->accesses[about.kind]++;
}

/* Requests first to last of `in`, which are one access that missed, go on as they are. */
static inline void send_group(const struct cache_batch *in, uint32_t first, uint32_t last, struct cache_level *level,
                              struct cache_batch *out)
{
	level->counters.fetches += last - first + 1;
	if (!out)
		return;
	for (uint32_t i = first; i <= last; i++)
		cache_batch_append(out, in->requests[i] & ~WAY_MARKS, in->about[i]);
	out->has_groups = true;
	out->accesses[in->about[first].kind]++;
}

/* Whether a store of a whole line may do without a fetch. */
static inline bool needs_no_fetch(const struct cache_level *level, const struct cache_about *about)
{
	return level->rule == CACHE_RULE_WRITEBACK && (about->flags & REQUEST_WHOLE_LINE) && !level->fetches_whole_lines;
}

#endif
