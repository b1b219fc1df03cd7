/* SPDX-License-Identifier: MIT
 *
 * set_assoc.c - a set-associative cache of any number of sets and ways (interface, order of requests and laws:
 * sim/port/cache_level.h; who goes: sim/port/replacement.h).
 *
 * A plain cache (write-back, write-allocate, no prefetcher, in no relation to its neighbours) hands the whole batch to the array
 * and looks at the misses only. All others serve one request after the other. Both give the same counts.
 *
 * Source of the rules: Dinero IV (ref.c: d4ref) for what a store, a write-through, a dirty victim and a prefetch do, and for the
 * order in which they reach the next level.
 */
#include "models/cache_level/requests.h"

#include <stdlib.h>
#include <string.h>

extern const struct cache_level_ops cache_level_set_assoc_ops;
struct cache_level *cache_level_set_assoc_create(const struct cache_level_wiring *wiring, struct error *error);

/* The stride prefetcher sees a page's reads together, because a trace does not tell which instruction makes them.
 * MODEL: hardware tells streams apart by page (Intel's streamer) or by instruction; 16 pages at once is a usual number. */
#define STREAMS 16u

struct stream {
	uint64_t page; /* plus 1; 0: not in use */
	uint64_t line; /* last seen */
	int64_t stride;
	uint64_t used; /* when last */
};

struct stream_table {
	struct stream stream[STREAMS];
	uint64_t clock;
};

/* A prefetch that waits for its cause to be done with. */
struct waiting {
	uint64_t line;
	struct cache_about about;
};

struct set_assoc {
	struct cache_level level;
	struct stream_table *streams; /* one an instance; NULL without stride prefetcher */
	struct waiting *waiting;      /* degree of them; NULL without prefetcher */
	uint32_t first_waiting, end_waiting;
	struct replacement_miss *misses;
	uint32_t misses_capacity;
};

/* One request on its way through a cache. */
struct visit {
	struct set_assoc *cache;
	struct replacement *array;
	unsigned instance;
	uint64_t request;
	struct cache_about about;
	struct cache_batch *out;
};

/* What an inclusive cache lets go may stay in none above it. Returns whether one of them had it dirty. */
static bool take_from_above(struct cache_level *level, unsigned instance, uint64_t word)
{
	bool dirty = false;
	level->counters.back_invalidations += level->back_invalidate(level->back_invalidate_context, level, instance,
	                                                             way_tag(word) << level->line_shift, &dirty);
	return dirty;
}

/* What becomes of a way that had to go. */
static void send_victim(struct set_assoc *cache, unsigned instance, uint64_t word, struct cache_about about,
                        struct cache_batch *out)
{
	struct cache_level *level = &cache->level;
	uint64_t address = way_tag(word) << level->line_shift;
	bool dirty = word & WAY_DIRTY;
	if (level->back_invalidate)
		dirty |= take_from_above(level, instance, word);
	if (word & WAY_PREFETCHED)
		level->counters.prefetch_unused++;
	uint8_t cause = about.kind;
	if (dirty && level->watch)
		level_watch_kind(level->watch, cause, about.region)->write_backs++;
	about.kind = ACCESS_WRITEBACK;
	about.flags = REQUEST_WHOLE_LINE;
	about.region = 0; /* the line's own is not known any more */
	if (dirty) {
		bool to_next = level->rule == CACHE_RULE_WRITEBACK || level->next_is_exclusive;
		level->counters.write_backs[cause]++;
		level->counters.to_memory += !out || level->next_is_memory || !to_next;
		if (out && (to_next || level->next_is_memory))
			send_line(level, address, WAY_DIRTY, about, out);
	} else if (level->next_is_exclusive) {
		level->counters.clean_victims++;
		about.flags |= REQUEST_CLEAN_VICTIM;
		send_line(level, address, 0, about, out);
	}
}

/* The line that had to go for a new one. */
static void send_evicted(struct set_assoc *cache, unsigned instance, uint64_t word, struct cache_about about,
                         struct cache_batch *out)
{
	cache->level.counters.evictions[about.kind]++;
	cache->level.evicted = word;
	if (cache->level.watch) {
		level_watch_evicted(cache->level.watch, instance, way_tag(word), word & WAY_USED);
		level_watch_kind(cache->level.watch, about.kind, about.region)->evictions++;
	}
	send_victim(cache, instance, word, about, out);
}

/* ---- plain caches ---- */

/* The first and last request of the group that request i belongs to. */
static void group_of(const struct cache_batch *in, uint32_t i, uint32_t *first, uint32_t *last)
{
	*first = *last = i;
	while (*first > 0 && (in->about[*first - 1].flags & REQUEST_MORE))
		--*first;
	while (in->about[*last].flags & REQUEST_MORE)
		++*last;
}

static void plain_victim(struct cache_level *level, uint64_t word, struct cache_about about, struct cache_batch *out)
{
	level->counters.write_backs[about.kind]++;
	level->counters.to_memory += !out || level->next_is_memory || level->rule == CACHE_RULE_DEMAND;
	if (!out || (level->rule == CACHE_RULE_DEMAND && !level->next_is_memory))
		return;
	about.kind = ACCESS_WRITEBACK;
	about.flags = REQUEST_WHOLE_LINE;
	send_line(level, way_tag(word) << level->line_shift, WAY_DIRTY, about, out);
}

/* What misses count, a byte for each kind (sim/access.h). */
struct miss_bytes {
	uint64_t misses, evictions, write_backs;
};

static inline void count_miss(struct miss_bytes *bytes, uint8_t kind, uint64_t evicted)
{
	_Static_assert(WAY_VALID == 1 && WAY_DIRTY == 2, "the lowest bits of a word");
	unsigned shift = 8u * kind;
	bytes->misses += 1ull << shift;
	bytes->evictions += (evicted & 1) << shift;
	bytes->write_backs += (evicted >> 1 & 1) << shift;
}

/*
 * The usual case: a miss asks the next level for one line by its own kind, and a dirty victim goes to memory unseen. Nothing of
 * that depends on the request, so the loops below have no branches.
 */
static bool misses_are_simple(const struct cache_level *level, const struct cache_batch *out)
{
	return level->rule == CACHE_RULE_DEMAND && !level->asks_for_accesses && !(out && level->next_is_memory) &&
	       (!out || level->next_line_bytes >= 1u << level->line_shift);
}

static void end_simple_misses(struct cache_level *level, const struct miss_bytes *bytes, size_t count, struct cache_batch *out)
{
	struct cache_counters *counters = &level->counters;
	uint64_t write_backs[ACCESS_KINDS] = {0};
	add_kind_bytes(counters->misses, bytes->misses);
	add_kind_bytes(counters->evictions, bytes->evictions);
	add_kind_bytes(write_backs, bytes->write_backs);
	for (unsigned kind = 0; kind < ACCESS_KINDS; kind++) {
		counters->write_backs[kind] += write_backs[kind];
		counters->to_memory += write_backs[kind];
	}
	counters->fetches += count;
	if (!out)
		return;
	add_kind_bytes(out->accesses, bytes->misses);
	out->count += (uint32_t)count;
}

/* At most KIND_BYTES_MAX misses; `out` has room for them. */
static void simple_misses(struct cache_level *level, const struct cache_batch *in, const struct replacement_miss *misses,
                          size_t count, struct cache_batch *out)
{
	const uint64_t line_mask = ~((1ull << level->line_shift) - 1);
	struct cache_about *fetches = out ? out->about + out->count : NULL;
	uint64_t *requests = out ? out->requests + out->count : NULL;
	struct miss_bytes bytes = {0};
	for (size_t m = 0; m < count; m++) {
		uint32_t at = misses[m].request;
		count_miss(&bytes, in->about[at].kind, misses[m].evicted);
		if (!out)
			continue;
		/* Written in place: a copy changed byte by byte would have to wait for its own bytes. */
		fetches[m] = in->about[at];
		fetches[m].flags = 0;
		fetches[m].taker = level->number;
		requests[m] = in->requests[at] & line_mask;
	}
	end_simple_misses(level, &bytes, count, out);
}

/* As simple_misses(), of accesses that came by routes. */
static void simple_routed_misses(struct cache_level *level, const struct routed_misses *run, size_t first, size_t count,
                                 struct cache_batch *out)
{
	const uint64_t line_mask = ~((1ull << level->line_shift) - 1);
	struct cache_about *fetches = out ? out->about + out->count : NULL;
	uint64_t *requests = out ? out->requests + out->count : NULL;
	struct miss_bytes bytes = {0};
	for (size_t m = 0; m < count; m++) {
		const struct replacement_miss *miss = &run->misses[first + m];
		const struct access *access = &run->accesses[miss->request];
		uint8_t kind = access->kind == ACCESS_MODIFY ? (uint8_t)ACCESS_LOAD : access->kind;
		count_miss(&bytes, kind, miss->evicted);
		if (!out)
			continue;
		fetches[m] = (struct cache_about){
		        .cpu = (uint16_t)run->cpu, .kind = kind, .region = access->region, .taker = level->number};
		requests[m] = access->address & line_mask;
	}
	end_simple_misses(level, &bytes, count, out);
}

/* The kinds that fetches of each kind go on as. */
static void fetch_kinds(const struct cache_level *level, uint8_t kinds[ACCESS_KINDS])
{
	for (unsigned kind = 0; kind < ACCESS_KINDS; kind++)
		kinds[kind] = fetch_kind(level, (uint8_t)kind);
}

static void plain_misses(struct set_assoc *cache, const struct cache_batch *in, size_t missed, struct cache_batch *out)
{
	struct cache_level *level = &cache->level;
	uint64_t misses[ACCESS_KINDS] = {0}, evictions[ACCESS_KINDS] = {0}, unfetched = 0;
	uint64_t line_mask = ~((1ull << level->line_shift) - 1);
	uint8_t kinds[ACCESS_KINDS];
	/* The usual case: one request of the next level for each miss, and perhaps a victim. */
	bool is_simple = out && !level->asks_for_accesses && level->next_line_bytes >= 1u << level->line_shift;
	fetch_kinds(level, kinds);
	if (out)
		cache_batch_reserve(out, out->count + 2 * (uint32_t)missed);
	for (size_t m = 0, part; m < missed && misses_are_simple(level, out); m += part) {
		part = missed - m < KIND_BYTES_MAX ? missed - m : KIND_BYTES_MAX;
		simple_misses(level, in, cache->misses + m, part, out);
	}
	if (misses_are_simple(level, out))
		return;
	for (size_t m = 0; m < missed; m++) {
		const struct replacement_miss *miss = &cache->misses[m];
		struct cache_about about = in->about[miss->request];
		uint64_t request = in->requests[miss->request];
		misses[about.kind]++;
		if (writes(request) && needs_no_fetch(level, &about)) {
			unfetched++;
		} else if (is_simple) {
			/* Written in place: a copy changed byte by byte would have to wait for its own bytes. */
			struct cache_about *fetch = &out->about[out->count];
			out->requests[out->count++] = request & line_mask;
			*fetch = in->about[miss->request];
			fetch->kind = kinds[about.kind];
			fetch->flags = 0;
			fetch->taker = level->number;
			out->accesses[kinds[about.kind]]++;
		} else if (out) {
			send_fetch(level, request, about, out);
			level->counters.fetches--;
		}
		if (!miss->evicted)
			continue;
		evictions[about.kind]++;
		if (miss->evicted & WAY_DIRTY)
			plain_victim(level, miss->evicted, about, out);
	}
	level->counters.fetches += missed - unfetched;
	for (unsigned kind = 0; kind < ACCESS_KINDS; kind++) {
		level->counters.misses[kind] += misses[kind];
		level->counters.evictions[kind] += evictions[kind];
	}
}

/* As plain_misses() where some accesses have several requests: such an access misses once, and goes on as a whole. The rule is
 * that of demand (sim/cache_hierarchy.c: rules_fit). */
static void plain_group_misses(struct set_assoc *cache, const struct cache_batch *in, size_t missed, struct cache_batch *out)
{
	struct cache_counters *counters = &cache->level.counters;
	uint32_t done = 0; /* requests before it belong to accesses that were counted */
	for (size_t m = 0; m < missed; m++) {
		const struct replacement_miss *miss = &cache->misses[m];
		if (miss->evicted) {
			uint8_t kind = in->about[miss->request].kind;
			counters->evictions[kind]++;
			counters->write_backs[kind] += (miss->evicted & WAY_DIRTY) != 0;
			counters->to_memory += (miss->evicted & WAY_DIRTY) != 0;
		}
		if (miss->request < done)
			continue;
		uint32_t first, last;
		group_of(in, miss->request, &first, &last);
		counters->misses[in->about[first].kind]++;
		send_group(in, first, last, &cache->level, out);
		done = last + 1;
	}
}

static const struct replacement_ops *set_assoc_route(const struct cache_level *level, unsigned instance, uint64_t marks,
                                                     struct replacement_route *route)
{
	const struct replacement *array = level->arrays[instance];
	if (!level->is_plain || !array->ops->run_accesses || !array->sets_are_power_of_two || array->index != INDEX_LINEAR)
		return NULL;
	*route = (struct replacement_route){.words = array->words,
	                                    .marks = marks,
	                                    .tag_mask = UINT64_MAX,
	                                    .set_mask = array->sets - 1,
	                                    .stride = array->stride,
	                                    .ways = array->ways,
	                                    .tag_shift = array->tag_shift,
	                                    .unmarked = array->unmarked,
	                                    .simd = array->simd};
	return array->ops;
}

static void routed_miss(struct cache_level *level, const struct routed_misses *run, const struct replacement_miss *miss,
                        struct cache_batch *out)
{
	const struct access *access = &run->accesses[miss->request];
	uint8_t kind = access->kind == ACCESS_MODIFY ? (uint8_t)ACCESS_LOAD : access->kind;
	bool writes_line = run->routes[access->kind].marks && kind != ACCESS_LOAD && access->bytes >> level->line_shift;
	const struct cache_about about = {
	        .cpu = (uint16_t)run->cpu, .kind = kind, .region = access->region, .flags = writes_line ? REQUEST_WHOLE_LINE : 0};
	level->counters.misses[kind]++;
	if (!needs_no_fetch(level, &about))
		send_fetch(level, access->address, about, out);
	if (!miss->evicted)
		return;
	level->counters.evictions[kind]++;
	if (miss->evicted & WAY_DIRTY)
		plain_victim(level, miss->evicted, about, out);
}

static void set_assoc_missed(struct cache_level *level, const struct routed_misses *run, struct cache_batch *out)
{
	struct cache_counters *counters = &level->counters;
	uint64_t before[ACCESS_KINDS];
	memcpy(before, counters->misses, sizeof before);
	if (out)
		cache_batch_reserve(out, out->count + (uint32_t)run->count);
	bool is_simple = misses_are_simple(level, out);
	for (size_t m = 0, part; m < run->count && is_simple; m += part) {
		part = run->count - m < KIND_BYTES_MAX ? run->count - m : KIND_BYTES_MAX;
		simple_routed_misses(level, run, m, part, out);
	}
	for (size_t m = 0; m < run->count && !is_simple; m++)
		routed_miss(level, run, &run->misses[m], out);
	for (unsigned kind = 0; kind < ACCESS_KINDS; kind++)
		counters->hits[kind] -= counters->misses[kind] - before[kind];
	counters->fills += run->count;
}

static void run_plain(struct set_assoc *cache, unsigned instance, const struct cache_batch *in, struct cache_batch *out)
{
	struct cache_counters *counters = &cache->level.counters;
	if (cache->misses_capacity < in->count) {
		cache->misses_capacity = in->count;
		cache->misses = xrealloc(cache->misses, in->count * sizeof *cache->misses);
	}
	uint64_t misses_before[ACCESS_KINDS];
	for (unsigned kind = 0; kind < ACCESS_KINDS; kind++)
		misses_before[kind] = counters->misses[kind];
	size_t missed = replacement_run(cache->level.arrays[instance], in->requests, in->count, cache->misses);
	counters->fills += missed;
	if (in->has_groups)
		plain_group_misses(cache, in, missed, out);
	else
		plain_misses(cache, in, missed, out);
	for (unsigned kind = 0; kind < ACCESS_KINDS; kind++)
		counters->hits[kind] += in->accesses[kind] - (counters->misses[kind] - misses_before[kind]);
}

/* ---- all others, one request at a time ---- */

static struct stream *stream_of(struct stream_table *table, uint64_t page)
{
	struct stream *oldest = &table->stream[0];
	for (unsigned i = 0; i < STREAMS; i++) {
		struct stream *stream = &table->stream[i];
		if (stream->page == page + 1)
			return stream;
		if (stream->used < oldest->used)
			oldest = stream;
	}
	*oldest = (struct stream){0};
	return oldest;
}

/* The distance in lines at which this page's reads go on, 0 if they show none. */
static int64_t stride_seen(struct stream_table *table, uint64_t line, unsigned lines_shift)
{
	struct stream *stream = stream_of(table, line >> lines_shift);
	bool is_new = stream->page == 0;
	int64_t stride = is_new ? 0 : (int64_t)(line - stream->line);
	stream->used = ++table->clock;
	if (!is_new && stride == 0)
		return 0;
	bool again = stride != 0 && stride == stream->stride;
	stream->page = (line >> lines_shift) + 1;
	stream->line = line;
	stream->stride = stride;
	return again ? stride : 0;
}

static bool serve(struct visit *visit, bool fetches);

static void watch_prefetch(const struct visit *visit, uint64_t tag, bool missed)
{
	struct cache_level *level = &visit->cache->level;
	level_watch_access(level->watch, visit->instance, tag, visit->about.region, missed);
	cache_level_watch_done(level, &visit->about, missed);
}

static void prefetch_line(const struct visit *cause, uint64_t line)
{
	struct cache_level *level = &cause->cache->level;
	struct visit visit = *cause;
	visit.request = line << level->line_shift;
	visit.about.kind = ACCESS_PREFETCH;
	visit.about.flags = 0;
	level->counters.prefetches++;
	level->counters.accesses[ACCESS_PREFETCH]++;
	uint64_t tag = line & (TAG_MAX >> (level->line_shift - WAY_MARK_BITS));
	uint32_t set = replacement_set_of(visit.array, tag), way = replacement_find(visit.array, set, tag);
	if (level->watch)
		watch_prefetch(&visit, tag, way == visit.array->ways);
	if (way < visit.array->ways) {
		replacement_use(visit.array, set, way);
		level->counters.hits[ACCESS_PREFETCH]++;
		return;
	}
	level->counters.misses[ACCESS_PREFETCH]++;
	level->counters.prefetch_fills++;
	level->counters.fills++;
	uint64_t evicted;
	replacement_insert(visit.array, set, way_word(tag, WAY_VALID | WAY_PREFETCHED), 0, &evicted, NULL);
	send_fetch(level, visit.request, visit.about, visit.out);
	if (evicted)
		send_evicted(visit.cache, visit.instance, evicted, visit.about, visit.out);
}

/* Now, or when the cause is done with. */
static void ask_for_prefetch(const struct visit *visit, uint64_t line)
{
	struct set_assoc *cache = visit->cache;
	if (!cache->level.prefetches_wait) {
		prefetch_line(visit, line);
		return;
	}
	SIM_ASSERT(cache->end_waiting < cache->level.spec->prefetch_degree);
	cache->waiting[cache->end_waiting++] = (struct waiting){line, visit->about};
}

static bool set_assoc_prefetch(struct cache_level *level, unsigned instance, struct cache_batch *out)
{
	struct set_assoc *cache = (struct set_assoc *)level;
	if (cache->first_waiting == cache->end_waiting) {
		cache->first_waiting = cache->end_waiting = 0;
		return false;
	}
	const struct waiting *waiting = &cache->waiting[cache->first_waiting++];
	const struct visit visit = {.cache = cache,
	                            .array = cache->level.arrays[instance],
	                            .instance = instance,
	                            .about = waiting->about,
	                            .out = out};
	level->evicted = 0;
	prefetch_line(&visit, waiting->line);
	return true;
}

static void prefetch_after(const struct visit *visit, bool missed, bool first_use)
{
	const struct cache_level *level = &visit->cache->level;
	const struct cache_level_spec *spec = level->spec;
	uint64_t line = visit->request >> level->line_shift;
	int64_t stride = 1;
	switch (spec->prefetch) {
	case PREFETCH_NONE:
		return;
	case PREFETCH_ALWAYS:
		break;
	case PREFETCH_MISS:
		if (!missed)
			return;
		break;
	case PREFETCH_TAGGED:
		if (!missed && !first_use)
			return;
		break;
	case PREFETCH_STRIDE:
		stride = stride_seen(&visit->cache->streams[visit->instance], line, PAGE_SHIFT - level->line_shift);
		if (stride == 0)
			return;
		break;
	}
	for (uint32_t i = 0; i < spec->prefetch_degree; i++) {
		uint64_t wanted = line + (uint64_t)stride * (spec->prefetch_distance + i);
		/* What a page holds behind its end may belong to somebody else. */
		if (spec->prefetch == PREFETCH_STRIDE && (wanted ^ line) >> (PAGE_SHIFT - level->line_shift) != 0)
			return;
		ask_for_prefetch(visit, wanted);
	}
}

/* The line is here. Returns whether this is its first use since it was prefetched. */
static bool serve_hit(struct visit *visit, uint32_t set, uint32_t way)
{
	struct cache_level *level = &visit->cache->level;
	uint64_t *word = &replacement_words(visit->array, set)[way];
	bool first_use = *word & WAY_PREFETCHED;
	level->counters.prefetch_used += first_use;
	*word &= ~WAY_PREFETCHED;
	*word |= level->watch ? WAY_USED : 0;
	if (level->spec->inclusion == INCLUSION_EXCLUSIVE && !writes(visit->request) && !is_victim(&visit->about)) {
		uint64_t gone = *word;
		replacement_remove(visit->array, set, way);
		level->counters.removals++;
		if ((gone & WAY_DIRTY) && (level->keep_dirty >> visit->about.taker & 1)) {
			level->counters.dirty_removals++;
			level->handed_up_dirty = true;
		} else if (gone & WAY_DIRTY) {
			send_victim(visit->cache, visit->instance, gone, visit->about, visit->out);
		}
		return first_use;
	}
	if (writes(visit->request) && level->spec->write == WRITE_BACK)
		*word |= WAY_DIRTY;
	replacement_use(visit->array, set, way);
	if (writes(visit->request) && level->spec->write == WRITE_THROUGH)
		send_store(level, visit->request, visit->about, visit->out);
	return first_use;
}

/* Brings the line in. `fetches`: it is asked of the next level here and now, if it has to be at all. */
static void serve_miss(struct visit *visit, uint32_t set, uint64_t tag, bool fetches)
{
	struct cache_level *level = &visit->cache->level;
	const struct cache_level_spec *spec = level->spec;
	bool is_write = writes(visit->request), is_exclusive = spec->inclusion == INCLUSION_EXCLUSIVE;
	bool comes_in = is_exclusive ? is_victim(&visit->about) : !is_write || spec->write_allocate;
	uint64_t evicted = 0;
	if (comes_in) {
		uint64_t marks = WAY_VALID | (is_write && spec->write == WRITE_BACK ? WAY_DIRTY : 0);
		level->counters.fills++;
		replacement_insert(visit->array, set, way_word(tag, marks), 0, &evicted, NULL);
	}
	bool passes_store = is_write && (!comes_in || spec->write == WRITE_THROUGH);
	bool wants_line = !is_write || (comes_in && !needs_no_fetch(level, &visit->about));
	/* By demand a miss asks the next level once, and the store that goes on is that. */
	if (passes_store && level->rule == CACHE_RULE_DEMAND)
		wants_line = false;
	if (is_victim(&visit->about) && (is_exclusive || (visit->about.flags & REQUEST_CLEAN_VICTIM)))
		wants_line = false;
	if (wants_line && fetches)
		send_fetch(level, visit->request, visit->about, visit->out);
	if (passes_store)
		send_store(level, visit->request, visit->about, visit->out);
	if (evicted)
		send_evicted(visit->cache, visit->instance, evicted, visit->about, visit->out);
}

/* One request from beginning to end. Returns whether it missed. */
static bool serve(struct visit *visit, bool fetches)
{
	const struct cache_level *level = &visit->cache->level;
	uint64_t tag = visit->request >> level->line_shift;
	uint32_t set = replacement_set_of(visit->array, tag), way = replacement_find(visit->array, set, tag);
	bool missed = way == visit->array->ways, first_use = false;
	if (level->watch)
		level_watch_access(level->watch, visit->instance, tag, visit->about.region, missed);
	if (missed)
		serve_miss(visit, set, tag, fetches);
	else
		first_use = serve_hit(visit, set, way);
	if (!writes(visit->request) && !is_victim(&visit->about))
		prefetch_after(visit, missed, first_use);
	return missed;
}

static void run_each(struct set_assoc *cache, unsigned instance, const struct cache_batch *in, struct cache_batch *out)
{
	struct cache_counters *counters = &cache->level.counters;
	struct visit visit = {.cache = cache, .array = cache->level.arrays[instance], .instance = instance, .out = out};
	for (uint32_t first = 0, last; first < in->count; first = last + 1) {
		bool missed = false;
		for (last = first; in->about[last].flags & REQUEST_MORE; last++)
			;
		for (uint32_t i = first; i <= last; i++) {
			visit.request = in->requests[i] & ~USED_AGAIN;
			visit.about = in->about[i];
			missed |= serve(&visit, first == last);
		}
		if (missed && first < last)
			send_group(in, first, last, &cache->level, out);
		counters->misses[in->about[first].kind] += missed;
		counters->hits[in->about[first].kind] += !missed;
		if (cache->level.watch)
			cache_level_watch_done(&cache->level, &in->about[first], missed);
	}
}

static void set_assoc_run(struct cache_level *level, unsigned instance, const struct cache_batch *in, struct cache_batch *out)
{
	struct set_assoc *cache = (struct set_assoc *)level;
	for (unsigned kind = 0; kind < ACCESS_KINDS; kind++)
		level->counters.accesses[kind] += in->accesses[kind];
	if (level->is_plain)
		run_plain(cache, instance, in, out);
	else
		run_each(cache, instance, in, out);
}

/* ---- one request ---- */

/* A plain cache's request: the array does everything at once. Returns whether it missed. */
static bool serve_plain(struct set_assoc *cache, unsigned instance, uint64_t request, struct cache_about about,
                        struct cache_batch *out)
{
	struct cache_level *level = &cache->level;
	struct replacement *array = cache->level.arrays[instance];
	uint64_t evicted;
	if (array->take(array, request, &evicted))
		return false;
	level->counters.fills++;
	level->evicted = evicted;
	if (!writes(request) || !needs_no_fetch(level, &about))
		send_fetch(level, request, about, out);
	if (evicted) {
		level->counters.evictions[about.kind]++;
		if (evicted & WAY_DIRTY)
			plain_victim(level, evicted, about, out);
	}
	return true;
}

static bool serve_any(struct set_assoc *cache, unsigned instance, uint64_t request, struct cache_about about,
                      struct cache_batch *out)
{
	struct visit visit = {.cache = cache,
	                      .array = cache->level.arrays[instance],
	                      .instance = instance,
	                      .request = request,
	                      .about = about,
	                      .out = out};
	return serve(&visit, true);
}

static bool set_assoc_serve(struct cache_level *level, unsigned instance, uint64_t request, struct cache_about about,
                            struct cache_batch *out)
{
	struct set_assoc *cache = (struct set_assoc *)level;
	level->evicted = 0;
	bool missed = level->is_plain ? serve_plain(cache, instance, request, about, out)
	                              : serve_any(cache, instance, request, about, out);
	level->counters.accesses[about.kind]++;
	level->counters.misses[about.kind] += missed;
	level->counters.hits[about.kind] += !missed;
	if (level->watch)
		cache_level_watch_done(level, &about, missed);
	return !missed;
}

/* A miss of a cache that takes requests put a dirty word out, or one that is dirty above. Returns whether the next level, or
 * memory, is given it. */
static bool give_victim(struct cache_level *level, uint8_t kind)
{
	level->counters.write_backs[kind]++;
	level->counters.to_memory += level->next_is_memory || level->rule == CACHE_RULE_DEMAND;
	return level->next_is_memory || level->rule == CACHE_RULE_WRITEBACK;
}

/* Whether the word that had to go is dirty: here, or in a cache above, which has to let it go too. */
static inline bool is_dirty_victim(struct cache_level *level, unsigned instance, uint64_t word)
{
	bool dirty = word & WAY_DIRTY;
	if (level->back_invalidate)
		dirty |= take_from_above(level, instance, word);
	return dirty;
}

static struct cache_taken set_assoc_take(struct cache_level *level, unsigned instance, uint64_t request,
                                         const struct cache_about *about)
{
	struct replacement *array = level->arrays[instance];
	struct cache_counters *counters = &level->counters;
	uint64_t evicted = 0;
	counters->accesses[about->kind]++;
	if (array->take(array, request, &evicted)) {
		counters->hits[about->kind]++;
		return (struct cache_taken){.hit = true};
	}
	const bool fetches = !writes(request) || !needs_no_fetch(level, about);
	struct cache_taken taken = {.evicted = evicted, .fetches = fetches, .fetch_kind = fetch_kind(level, about->kind)};
	counters->misses[about->kind]++;
	counters->fills++;
	counters->fetches += fetches;
	if (!evicted)
		return taken;
	counters->evictions[about->kind]++;
	if (is_dirty_victim(level, instance, evicted))
		taken.gives = give_victim(level, about->kind);
	return taken;
}

static void set_assoc_take_run(struct cache_level *level, unsigned instance, const struct cache_about *about,
                               struct cache_run *run)
{
	struct cache_counters *counters = &level->counters;
	const uint8_t kind = about->kind;
	uint32_t evictions = 0;
	run->missed = (uint32_t)replacement_run(level->arrays[instance], run->requests, run->count, run->misses);
	run->fetches = !writes(run->requests[0]) || !needs_no_fetch(level, about);
	run->fetch_kind = fetch_kind(level, kind);
	run->gives = 0;
	for (uint32_t i = 0; i < run->missed; i++) {
		const uint64_t evicted = run->misses[i].evicted;
		evictions += evicted != 0;
		if (evicted && is_dirty_victim(level, instance, evicted))
			run->gives |= (uint64_t)give_victim(level, kind) << i;
	}
	counters->accesses[kind] += run->count;
	counters->hits[kind] += run->count - run->missed;
	counters->misses[kind] += run->missed;
	counters->fills += run->missed;
	counters->fetches += run->fetches ? run->missed : 0;
	counters->evictions[kind] += evictions;
}

/* ---- lines taken out, marked, looked for ---- */

static unsigned set_assoc_remove(struct cache_level *level, unsigned instance, uint64_t address, uint32_t bytes, bool *dirty)
{
	struct replacement *array = level->arrays[instance];
	unsigned removed = 0;
	for (uint64_t tag = address >> level->line_shift; tag <= (address + bytes - 1) >> level->line_shift; tag++) {
		uint32_t set = replacement_set_of(array, tag), way = replacement_find(array, set, tag);
		if (way == array->ways)
			continue;
		uint64_t word = replacement_words(array, set)[way];
		replacement_remove(array, set, way);
		level->counters.removals++;
		level->counters.dirty_removals += (word & WAY_DIRTY) != 0;
		level->counters.prefetch_unused += (word & WAY_PREFETCHED) != 0;
		*dirty |= (word & WAY_DIRTY) != 0;
		removed++;
	}
	return removed;
}

static uint64_t *find_word(const struct cache_level *level, unsigned instance, uint64_t address)
{
	const struct replacement *array = level->arrays[instance];
	uint64_t tag = address >> level->line_shift;
	uint32_t set = replacement_set_of(array, tag);
	uint64_t *words = replacement_words(array, set);
	/* As a rule the line was used just now. */
	if ((words[0] & ~WAY_OWNERS_MARKS) == way_word(tag, WAY_VALID))
		return words;
	uint32_t way = replacement_find(array, set, tag);
	return way < array->ways ? &words[way] : NULL;
}

static bool set_assoc_mark_dirty(struct cache_level *level, unsigned instance, uint64_t address)
{
	uint64_t *word = find_word(level, instance, address);
	if (!word)
		return false;
	*word |= WAY_DIRTY;
	level->counters.dirty_received++;
	return true;
}

static bool set_assoc_clean(struct cache_level *level, unsigned instance, uint64_t address)
{
	uint64_t *word = find_word(level, instance, address);
	if (!word || !(*word & WAY_DIRTY))
		return false;
	*word &= ~WAY_DIRTY;
	level->counters.shared_write_backs++;
	return true;
}

static bool set_assoc_holds(const struct cache_level *level, unsigned instance, uint64_t address, uint64_t *marks)
{
	const uint64_t *word = find_word(level, instance, address);
	if (word && marks)
		*marks = *word & WAY_MARKS;
	return word != NULL;
}

/* From the last set and way to the first, as Dinero IV does (d4copyback: a stack). */
static void set_assoc_write_back(struct cache_level *level, unsigned instance, struct cache_batch *out)
{
	struct replacement *array = level->arrays[instance];
	bool to_memory = !out || level->rule == CACHE_RULE_DEMAND || level->next_is_exclusive;
	/* To the caches of the cores that use this instance. */
	const struct cache_about about = {
	        .kind = ACCESS_WRITEBACK, .flags = REQUEST_WHOLE_LINE, .cpu = (uint16_t)(instance * level->spec->cores)};
	for (uint32_t set = array->sets; set-- > 0;) {
		uint64_t *words = replacement_words(array, set);
		for (uint32_t way = array->ways; way-- > 0;) {
			if (!(words[way] & WAY_DIRTY))
				continue;
			words[way] &= ~WAY_DIRTY;
			level->counters.flush_write_backs++;
			level->counters.to_memory += to_memory;
			if (!to_memory)
				send_line(level, way_tag(words[way]) << level->line_shift, WAY_DIRTY, about, out);
		}
	}
}

static bool always(void *context, uint64_t word, uint64_t payload)
{
	struct cache_level *level = context;
	(void)payload;
	level->counters.removals++;
	level->counters.dirty_removals += (word & WAY_DIRTY) != 0;
	level->counters.prefetch_unused += (word & WAY_PREFETCHED) != 0;
	return true;
}

static void set_assoc_invalidate(struct cache_level *level, unsigned instance)
{
	struct replacement *array = level->arrays[instance];
	for (uint32_t set = 0; set < array->sets; set++)
		replacement_remove_if(array, set, always, level);
}

static void set_assoc_each_line(const struct cache_level *level, unsigned instance,
                                void (*visit)(void *, uint64_t address, uint64_t marks), void *context)
{
	const struct replacement *array = level->arrays[instance];
	for (uint32_t set = 0; set < array->sets; set++) {
		const uint64_t *words = replacement_words(array, set);
		for (uint32_t way = 0; way < array->ways; way++)
			if (words[way] & WAY_VALID)
				visit(context, way_tag(words[way]) << level->line_shift, words[way] & WAY_MARKS);
	}
}

/* ---- laws ---- */

static void set_assoc_check(const struct cache_level *level)
{
	const struct set_assoc *cache = (const struct set_assoc *)level;
	const struct cache_counters *counters = &level->counters;
	uint64_t inside = 0, dirty = 0, unused = 0, marked;
	for (unsigned instance = 0; instance < level->instances; instance++) {
		replacement_check(cache->level.arrays[instance]);
		inside += replacement_count(cache->level.arrays[instance], WAY_DIRTY, &marked);
		dirty += marked;
		replacement_count(cache->level.arrays[instance], WAY_PREFETCHED, &marked);
		unused += marked;
	}
	for (unsigned kind = 0; kind < ACCESS_KINDS; kind++)
		SIM_ASSERT(counters->accesses[kind] == counters->hits[kind] + counters->misses[kind]);
	SIM_ASSERT(counters->fills == access_sum(counters->evictions) + counters->removals + inside);
	SIM_ASSERT(counters->prefetch_fills == counters->prefetch_used + counters->prefetch_unused + unused);
	SIM_ASSERT(counters->prefetch_fills <= counters->prefetches);
	uint64_t written = counters->accesses[ACCESS_STORE] + counters->accesses[ACCESS_LOAD] +
	                   counters->accesses[ACCESS_WALK_STORE] + counters->accesses[ACCESS_WRITEBACK] +
	                   counters->dirty_received;
	uint64_t written_back = access_sum(counters->write_backs) + counters->flush_write_backs + counters->shared_write_backs;
	SIM_ASSERT(level->back_invalidate || written_back + counters->dirty_removals + dirty <= written);
}

static void set_assoc_destroy(struct cache_level *level)
{
	struct set_assoc *cache = (struct set_assoc *)level;
	for (unsigned instance = 0; cache->level.arrays && instance < level->instances; instance++)
		replacement_destroy(cache->level.arrays[instance]);
	free(cache->level.arrays);
	free(cache->streams);
	free(cache->waiting);
	free(cache->misses);
	free(cache);
}

const struct cache_level_ops cache_level_set_assoc_ops = {
        .name = "set_assoc",
        .help = "sets of ways, filled and replaced by a policy",
        .run = set_assoc_run,
        .serve = set_assoc_serve,
        .take = set_assoc_take,
        .take_run = set_assoc_take_run,
        .route = set_assoc_route,
        .missed = set_assoc_missed,
        .prefetch = set_assoc_prefetch,
        .remove = set_assoc_remove,
        .mark_dirty = set_assoc_mark_dirty,
        .clean = set_assoc_clean,
        .holds = set_assoc_holds,
        .write_back = set_assoc_write_back,
        .invalidate = set_assoc_invalidate,
        .each_line = set_assoc_each_line,
        .check = set_assoc_check,
        .destroy = set_assoc_destroy,
};

/* Sets of the described size; 0 with *error if the numbers do not fit each other. */
static uint32_t sets_of(const struct cache_level_spec *spec, uint32_t *ways, struct error *error)
{
	uint64_t lines = spec->size_bytes / spec->line_bytes;
	*ways = spec->ways ? spec->ways : (uint32_t)(lines <= REPLACEMENT_WAYS_MAX ? lines : 0);
	if (*ways == 0 || lines == 0 || lines * spec->line_bytes != spec->size_bytes || lines % *ways != 0 ||
	    lines / *ways > REPLACEMENT_SETS_MAX) {
		error_set(error, ERROR_USAGE,
		          "cache %s: size %llu bytes is no whole number of sets of %u ways of %u bytes; sizes that are would be "
		          "multiples of %llu bytes",
		          spec->name, (unsigned long long)spec->size_bytes, spec->ways, spec->line_bytes,
		          (unsigned long long)spec->line_bytes * (*ways ? *ways : 1));
		return 0;
	}
	return (uint32_t)(lines / *ways);
}

struct cache_level *cache_level_set_assoc_create(const struct cache_level_wiring *wiring, struct error *error)
{
	const struct cache_level_spec *spec = wiring->spec;
	uint32_t ways, sets = sets_of(spec, &ways, error);
	if (sets == 0)
		return NULL;
	struct set_assoc *cache = xcalloc(1, sizeof *cache);
	cache->level = (struct cache_level){
	        .ops = &cache_level_set_assoc_ops,
	        .spec = spec,
	        .line_shift = (unsigned)__builtin_ctz(spec->line_bytes),
	        .instances = wiring->instances,
	        .entries = (uint64_t)sets * ways,
	        .next_line_bytes = spec->line_bytes,
	        .rule = wiring->rule,
	};
	cache->level.arrays = xcalloc(wiring->instances, sizeof(struct replacement *));
	if (spec->prefetch != PREFETCH_NONE)
		cache->waiting = xcalloc(spec->prefetch_degree, sizeof *cache->waiting);
	if (spec->prefetch == PREFETCH_STRIDE)
		cache->streams = xcalloc(wiring->instances, sizeof *cache->streams);
	for (unsigned instance = 0; instance < wiring->instances; instance++) {
		char *stream = xasprintf("%s %u", spec->name, instance);
		struct replacement_wiring array = {.sets = sets,
		                                   .ways = ways,
		                                   .index = spec->index,
		                                   .tag_shift = cache->level.line_shift,
		                                   .simd = wiring->simd,
		                                   .seed = wiring->seed,
		                                   .stream = stream};
		cache->level.arrays[instance] = wiring->array(spec->replacement, &array, error);
		free(stream);
		if (!cache->level.arrays[instance]) {
			set_assoc_destroy(&cache->level);
			return NULL;
		}
	}
	return &cache->level;
}
