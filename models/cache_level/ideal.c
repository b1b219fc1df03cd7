/* SPDX-License-Identifier: MIT
 *
 * ideal.c - a cache without an end: what was once in it stays until it is taken out (interface, order of requests and laws:
 * sim/port/cache_level.h).
 *
 * Algorithm: an instance keeps the words of its lines in the order in which they first came, and a hash table (open addressing,
 * at most half full) from tag to place. A line taken out leaves its place to itself, for when it comes again.
 *
 * MODEL: no machine has it. Effect: only first uses and uses after a removal miss, the least that any cache of that line can
 * have.
 */
#include "models/cache_level/requests.h"

#include <stdlib.h>

extern const struct cache_level_ops cache_level_ideal_ops;
struct cache_level *cache_level_ideal_create(const struct cache_level_wiring *wiring, struct error *error);

#define SLOTS_FIRST 1024u
#define HASH_FACTOR 0x9e3779b97f4a7c15u /* 2^64 over the golden ratio (Knuth, TAOCP vol. 3, 6.4) */

struct lines {
	uint64_t *words; /* tag and marks; without WAY_VALID the line is not here */
	uint32_t *slots; /* of the hash table: place in words plus 1, 0: empty */
	uint32_t count, capacity;
	uint32_t slots_count; /* a power of two, at least 2 * count */
};

struct ideal {
	struct cache_level level;
	struct lines *lines; /* one an instance */
};

static struct lines *lines_of(const struct cache_level *level, unsigned instance)
{
	return &((const struct ideal *)level)->lines[instance];
}

/* The slot of the tag, or the empty one where it would be. */
static uint32_t *slot_of(const struct lines *lines, uint64_t tag)
{
	uint32_t slot = (uint32_t)(((tag + 1) * HASH_FACTOR) >> 32) & (lines->slots_count - 1);
	while (lines->slots[slot] && way_tag(lines->words[lines->slots[slot] - 1]) != tag)
		slot = (slot + 1) & (lines->slots_count - 1);
	return &lines->slots[slot];
}

static void double_slots(struct lines *lines)
{
	free(lines->slots);
	lines->slots_count *= 2;
	SIM_ASSERT(lines->slots_count > 0);
	lines->slots = xcalloc(lines->slots_count, sizeof *lines->slots);
	for (uint32_t place = 0; place < lines->count; place++)
		*slot_of(lines, way_tag(lines->words[place])) = place + 1;
}

/* The word of the tag's line, NULL if it is not here. */
static uint64_t *find(const struct lines *lines, uint64_t tag)
{
	uint32_t place = *slot_of(lines, tag);
	return place && lines->words[place - 1] & WAY_VALID ? &lines->words[place - 1] : NULL;
}

/* Brings in a line that is not here. */
static void insert(struct lines *lines, uint64_t word)
{
	uint32_t *slot = slot_of(lines, way_tag(word));
	if (*slot) {
		lines->words[*slot - 1] = word;
		return;
	}
	if (lines->count == lines->capacity) {
		lines->capacity = lines->capacity ? 2 * lines->capacity : SLOTS_FIRST / 2;
		lines->words = xrealloc(lines->words, lines->capacity * sizeof *lines->words);
	}
	lines->words[lines->count++] = word;
	*slot = lines->count;
	if (2 * (uint64_t)lines->count > lines->slots_count)
		double_slots(lines);
}

/* One line of an access. Returns whether it missed. `fetches`: it is asked of the next level here and now, if at all. */
static bool serve(struct cache_level *level, unsigned instance, uint64_t request, const struct cache_about *about, bool fetches,
                  struct cache_batch *out)
{
	struct lines *lines = lines_of(level, instance);
	uint64_t tag = request >> level->line_shift, dirty = writes(request) ? WAY_DIRTY : 0, *word = find(lines, tag);
	if (level->watch)
		level_watch_access(level->watch, instance, tag, about->region, !word);
	if (word) {
		*word |= dirty;
		return false;
	}
	level->counters.fills++;
	insert(lines, way_word(tag, WAY_VALID | dirty));
	bool needs_line = !(dirty && needs_no_fetch(level, about)) && !(about->flags & REQUEST_CLEAN_VICTIM);
	if (needs_line && fetches)
		send_fetch(level, request, *about, out);
	return true;
}

static void ideal_run(struct cache_level *level, unsigned instance, const struct cache_batch *in, struct cache_batch *out)
{
	struct cache_counters *counters = &level->counters;
	uint64_t misses[ACCESS_KINDS] = {0};
	for (uint32_t first = 0, last; first < in->count; first = last + 1) {
		bool missed = false;
		for (last = first; in->about[last].flags & REQUEST_MORE; last++)
			;
		for (uint32_t i = first; i <= last; i++)
			missed |= serve(level, instance, in->requests[i], &in->about[i], first == last, out);
		if (missed && first < last)
			send_group(in, first, last, level, out);
		misses[in->about[first].kind] += missed;
		if (level->watch)
			cache_level_watch_done(level, &in->about[first], missed);
	}
	for (unsigned kind = 0; kind < ACCESS_KINDS; kind++) {
		counters->accesses[kind] += in->accesses[kind];
		counters->misses[kind] += misses[kind];
		counters->hits[kind] += in->accesses[kind] - misses[kind];
	}
}

static bool ideal_serve(struct cache_level *level, unsigned instance, uint64_t request, struct cache_about about,
                        struct cache_batch *out)
{
	level->evicted = 0;
	bool missed = serve(level, instance, request, &about, true, out);
	level->counters.accesses[about.kind]++;
	level->counters.misses[about.kind] += missed;
	level->counters.hits[about.kind] += !missed;
	if (level->watch)
		cache_level_watch_done(level, &about, missed);
	return !missed;
}

/* There are no arrays of ways to lead to. */
static const struct replacement_ops *ideal_route(const struct cache_level *level, unsigned instance, uint64_t marks,
                                                 struct replacement_route *route)
{
	(void)level;
	(void)instance;
	(void)marks;
	(void)route;
	return NULL;
}

static bool ideal_prefetch(struct cache_level *level, unsigned instance, struct cache_batch *out)
{
	(void)level;
	(void)instance;
	(void)out;
	return false;
}

static void take_out(struct cache_level *level, uint64_t *word)
{
	level->counters.removals++;
	level->counters.dirty_removals += (*word & WAY_DIRTY) != 0;
	*word &= ~WAY_MARKS;
}

static unsigned ideal_remove(struct cache_level *level, unsigned instance, uint64_t address, uint32_t bytes, bool *dirty)
{
	unsigned removed = 0;
	for (uint64_t tag = address >> level->line_shift; tag <= (address + bytes - 1) >> level->line_shift; tag++) {
		uint64_t *word = find(lines_of(level, instance), tag);
		if (!word)
			continue;
		*dirty |= (*word & WAY_DIRTY) != 0;
		take_out(level, word);
		removed++;
	}
	return removed;
}

static bool ideal_mark_dirty(struct cache_level *level, unsigned instance, uint64_t address)
{
	uint64_t *word = find(lines_of(level, instance), address >> level->line_shift);
	if (!word)
		return false;
	*word |= WAY_DIRTY;
	level->counters.dirty_received++;
	return true;
}

static bool ideal_clean(struct cache_level *level, unsigned instance, uint64_t address)
{
	uint64_t *word = find(lines_of(level, instance), address >> level->line_shift);
	if (!word || !(*word & WAY_DIRTY))
		return false;
	*word &= ~WAY_DIRTY;
	level->counters.shared_write_backs++;
	return true;
}

static void ideal_foresee(const struct cache_level *level, unsigned instance, uint64_t address)
{
	const struct lines *lines = lines_of(level, instance);
	uint64_t tag = address >> level->line_shift;
	__builtin_prefetch(&lines->slots[(uint32_t)(((tag + 1) * HASH_FACTOR) >> 32) & (lines->slots_count - 1)]);
}

static bool ideal_holds(const struct cache_level *level, unsigned instance, uint64_t address, uint64_t *marks)
{
	const uint64_t *word = find(lines_of(level, instance), address >> level->line_shift);
	if (word && marks)
		*marks = *word & WAY_MARKS;
	return word != NULL;
}

/* From the line that came last to the first. */
static void ideal_write_back(struct cache_level *level, unsigned instance, struct cache_batch *out)
{
	struct lines *lines = lines_of(level, instance);
	bool to_memory = !out || level->rule == CACHE_RULE_DEMAND || level->next_is_exclusive;
	const struct cache_about about = {
	        .kind = ACCESS_WRITEBACK, .flags = REQUEST_WHOLE_LINE, .cpu = (uint16_t)(instance * level->spec->cores)};
	for (uint32_t place = lines->count; place-- > 0;) {
		if (!(lines->words[place] & WAY_DIRTY))
			continue;
		lines->words[place] &= ~WAY_DIRTY;
		level->counters.flush_write_backs++;
		level->counters.to_memory += to_memory;
		if (!to_memory)
			send_line(level, way_tag(lines->words[place]) << level->line_shift, WAY_DIRTY, about, out);
	}
}

static void ideal_invalidate(struct cache_level *level, unsigned instance)
{
	struct lines *lines = lines_of(level, instance);
	for (uint32_t place = 0; place < lines->count; place++)
		if (lines->words[place] & WAY_VALID)
			take_out(level, &lines->words[place]);
}

static void ideal_each_line(const struct cache_level *level, unsigned instance,
                            void (*visit)(void *, uint64_t address, uint64_t marks), void *context)
{
	const struct lines *lines = lines_of(level, instance);
	for (uint32_t place = 0; place < lines->count; place++)
		if (lines->words[place] & WAY_VALID)
			visit(context, way_tag(lines->words[place]) << level->line_shift, lines->words[place] & WAY_MARKS);
}

static void ideal_check(const struct cache_level *level)
{
	const struct cache_counters *counters = &level->counters;
	uint64_t inside = 0, dirty = 0;
	for (unsigned instance = 0; instance < level->instances; instance++) {
		const struct lines *lines = lines_of(level, instance);
		SIM_ASSERT(2 * (uint64_t)lines->count <= lines->slots_count);
		for (uint32_t place = 0; place < lines->count; place++) {
			SIM_ASSERT(*slot_of(lines, way_tag(lines->words[place])) == place + 1);
			inside += (lines->words[place] & WAY_VALID) != 0;
			dirty += (lines->words[place] & WAY_DIRTY) != 0;
		}
	}
	for (unsigned kind = 0; kind < ACCESS_KINDS; kind++)
		SIM_ASSERT(counters->accesses[kind] == counters->hits[kind] + counters->misses[kind]);
	SIM_ASSERT(access_sum(counters->evictions) == 0 && access_sum(counters->write_backs) == 0);
	SIM_ASSERT(counters->fills == counters->removals + inside);
	uint64_t written = access_sum(counters->accesses) + counters->dirty_received;
	SIM_ASSERT(counters->flush_write_backs + counters->shared_write_backs + counters->dirty_removals + dirty <= written);
}

static void ideal_destroy(struct cache_level *level)
{
	struct ideal *ideal = (struct ideal *)level;
	for (unsigned instance = 0; instance < level->instances; instance++) {
		free(ideal->lines[instance].words);
		free(ideal->lines[instance].slots);
	}
	free(ideal->lines);
	free(ideal);
}

const struct cache_level_ops cache_level_ideal_ops = {
        .name = "ideal",
        .help = "without an end: only first uses miss",
        .run = ideal_run,
        .serve = ideal_serve,
        .route = ideal_route,
        .prefetch = ideal_prefetch,
        .remove = ideal_remove,
        .mark_dirty = ideal_mark_dirty,
        .clean = ideal_clean,
        .foresee = ideal_foresee,
        .holds = ideal_holds,
        .write_back = ideal_write_back,
        .invalidate = ideal_invalidate,
        .each_line = ideal_each_line,
        .check = ideal_check,
        .destroy = ideal_destroy,
};

struct cache_level *cache_level_ideal_create(const struct cache_level_wiring *wiring, struct error *error)
{
	const struct cache_level_spec *spec = wiring->spec;
	if (spec->inclusion == INCLUSION_EXCLUSIVE || spec->write != WRITE_BACK || !spec->write_allocate ||
	    spec->prefetch != PREFETCH_NONE) {
		error_set(error, ERROR_USAGE,
		          "cache %s: model=ideal keeps all that it was asked for; inclusion=exclusive, write=through, "
		          "write_allocate=no and prefetch do not go with it",
		          spec->name);
		return NULL;
	}
	struct ideal *ideal = xcalloc(1, sizeof *ideal);
	ideal->level = (struct cache_level){
	        .ops = &cache_level_ideal_ops,
	        .spec = spec,
	        .line_shift = (unsigned)__builtin_ctz(spec->line_bytes),
	        .instances = wiring->instances,
	        .next_line_bytes = spec->line_bytes,
	        .rule = wiring->rule,
	};
	ideal->lines = xcalloc(wiring->instances, sizeof *ideal->lines);
	for (unsigned instance = 0; instance < wiring->instances; instance++) {
		ideal->lines[instance].slots_count = SLOTS_FIRST;
		ideal->lines[instance].slots = xcalloc(SLOTS_FIRST, sizeof *ideal->lines[instance].slots);
	}
	return &ideal->level;
}
