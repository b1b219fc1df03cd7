/* SPDX-License-Identifier: MIT
 *
 * cache_hierarchy.c - accesses through the levels of caches (interface, order and invariant: cache_hierarchy.h).
 *
 * First accesses are split into lines. Requests of one core in a row to the same line of a plain cache become one request marked
 * USED_AGAIN: the line is the most recently used one, so the others hit whatever the policy. Then each level sorts what comes
 * into one list a cache, runs the lists, and merges what they send by the order of what made them send it.
 */
#include "sim/cache_hierarchy.h"

#include <stdlib.h>
#include <string.h>

/* No line of 16 bytes or more has this number. */
#define NO_LINE UINT64_MAX

/* ---- batches ---- */

void cache_batch_reserve(struct cache_batch *batch, uint32_t count)
{
	if (count <= batch->capacity)
		return;
	uint32_t capacity = batch->capacity ? batch->capacity : ACCESS_BATCH;
	while (capacity < count)
		capacity *= 2;
	batch->requests = xrealloc(batch->requests, capacity * sizeof *batch->requests);
	batch->about = xrealloc(batch->about, capacity * sizeof *batch->about);
	batch->capacity = capacity;
}

void cache_batch_release(struct cache_batch *batch)
{
	free(batch->requests);
	free(batch->about);
	*batch = (struct cache_batch){0};
}

static void append_counts(struct cache_batch *to, const struct cache_batch *from)
{
	for (unsigned kind = 0; kind < ACCESS_KINDS; kind++)
		to->accesses[kind] += from->accesses[kind];
	to->has_groups |= from->has_groups;
}

/* Appends the lists to `out`, merged by the order of their requests. */
static void merge(const struct cache_batch lists[LISTS], struct cache_batch *out)
{
	uint32_t at[LISTS] = {0};
	for (;;) {
		unsigned first = LISTS;
		for (unsigned list = 0; list < LISTS; list++) {
			if (at[list] == lists[list].count)
				continue;
			if (first == LISTS || lists[list].about[at[list]].order < lists[first].about[at[first]].order)
				first = list;
		}
		if (first == LISTS)
			break;
		cache_batch_append(out, lists[first].requests[at[first]], lists[first].about[at[first]]);
		at[first]++;
	}
	for (unsigned list = 0; list < LISTS; list++)
		append_counts(out, &lists[list]);
}

/* ---- one level ---- */

static void clear_lists(struct cache_hierarchy_level *level)
{
	for (unsigned list = 0; list < LISTS; list++) {
		cache_batch_clear(&level->list[list]);
		level->last_line[list] = NO_LINE;
	}
}

/* The only list with requests in it, LISTS if there are several or none. */
static unsigned only_list(const struct cache_hierarchy_level *level)
{
	unsigned only = LISTS;
	for (unsigned list = 0; list < LISTS; list++) {
		if (level->list[list].count == 0)
			continue;
		if (only != LISTS)
			return LISTS;
		only = list;
	}
	return only;
}

static void run_list(struct cache_hierarchy *hierarchy, struct cache_hierarchy_level *level, unsigned list, unsigned cpu,
                     struct cache_batch *out)
{
	struct cache_batch *in = &level->list[list];
	if (in->count == 0)
		return;
	if (list != LIST_PASSING) {
		cache_level_run(level->cache[list], cache_hierarchy_instance(level->cache[list], cpu), in, out);
		return;
	}
	if (!out) {
		hierarchy->uncached += in->count;
		return;
	}
	for (uint32_t i = 0; i < in->count; i++)
		cache_batch_append(out, in->requests[i], in->about[i]);
	append_counts(out, in);
}

/* Runs what the level's lists hold, all of one core's instances, and empties them. `out` NULL: the level is the last. */
static void run_lists(struct cache_hierarchy *hierarchy, struct cache_hierarchy_level *level, unsigned cpu,
                      struct cache_batch *out)
{
	unsigned only = only_list(level);
	if (only != LISTS || !out) {
		for (unsigned list = 0; list < LISTS; list++)
			run_list(hierarchy, level, list, cpu, out);
	} else {
		for (unsigned list = 0; list < LISTS; list++) {
			cache_batch_clear(&level->sent[list]);
			run_list(hierarchy, level, list, cpu, &level->sent[list]);
		}
		merge(level->sent, out);
	}
	clear_lists(level);
}

static struct cache_batch *out_of(struct cache_hierarchy *hierarchy, unsigned depth)
{
	return depth + 1 < hierarchy->levels ? &hierarchy->level[depth].out : NULL;
}

/* Sorts requests [first, end), which end with a whole access, into the level's lists. */
static void sort_requests(struct cache_hierarchy_level *level, const struct cache_batch *in, uint32_t first, uint32_t end)
{
	for (uint32_t i = first; i < end; i++) {
		struct cache_batch *list = &level->list[level->list_of[in->about[i].kind]];
		struct cache_about about = in->about[i];
		about.order = (uint16_t)(i - first);
		cache_batch_append(list, in->requests[i], about);
		list->has_groups |= (about.flags & REQUEST_MORE) != 0;
		list->accesses[about.kind] += !(about.flags & REQUEST_MORE);
	}
}

/* The end of the run of requests from `first` that can be sorted together: same instances, whole accesses, countable order. */
static uint32_t end_of_run(const struct cache_hierarchy_level *level, const struct cache_batch *in, uint32_t first)
{
	uint32_t end = first;
	while (end < in->count && end - first < ACCESS_BATCH && (level->is_shared || in->about[end].cpu == in->about[first].cpu))
		end++;
	while (end < in->count && (in->about[end - 1].flags & REQUEST_MORE))
		end++;
	return end;
}

static void run_level(struct cache_hierarchy *hierarchy, unsigned depth, const struct cache_batch *in)
{
	struct cache_hierarchy_level *level = &hierarchy->level[depth];
	struct cache_batch *out = out_of(hierarchy, depth);
	if (level->is_one) {
		cache_level_run(level->cache[0], 0, in, out);
		return;
	}
	for (uint32_t first = 0, end; first < in->count; first = end) {
		end = end_of_run(level, in, first);
		sort_requests(level, in, first, end);
		run_lists(hierarchy, level, in->about[first].cpu, out);
	}
}

/* What the first level sent goes through all the others. */
static void run_below(struct cache_hierarchy *hierarchy)
{
	for (unsigned depth = 1; depth < hierarchy->levels; depth++) {
		struct cache_batch *in = &hierarchy->level[depth - 1].out;
		run_level(hierarchy, depth, in);
		cache_batch_clear(in);
	}
}

/* ---- one request after the other ---- */

void cache_hierarchy_hand_up(struct cache_hierarchy *hierarchy, struct cache_level *cache, uint64_t address,
                             const struct cache_about *about)
{
	cache->handed_up_dirty = false;
	struct cache_level *taker = hierarchy->caches[about->taker];
	bool taken = taker->ops->mark_dirty(taker, cache_hierarchy_instance(taker, about->cpu), address);
	SIM_ASSERT(taken);
}

static void descend(struct cache_hierarchy *hierarchy, unsigned depth, const struct cache_batch *from, uint32_t first,
                    uint32_t end);

/* Takes each access of the batch below `depth` in turn. */
static void descend_all(struct cache_hierarchy *hierarchy, unsigned depth, const struct cache_batch *batch)
{
	for (uint32_t first = 0, end; first < batch->count; first = end) {
		for (end = first + 1; batch->about[end - 1].flags & REQUEST_MORE; end++)
			;
		descend(hierarchy, depth, batch, first, end);
	}
}

/* What a cache sent goes down, then each prefetch that waits is made and what it sends goes down. */
static void prefetch_and_descend(struct cache_hierarchy *hierarchy, unsigned depth, struct cache_level *cache, unsigned instance)
{
	struct cache_batch *out = out_of(hierarchy, depth);
	do {
		if (!out)
			continue;
		descend_all(hierarchy, depth + 1, out);
		cache_batch_clear(out);
	} while (cache->ops->prefetch(cache, instance, out));
}

static void descend(struct cache_hierarchy *hierarchy, unsigned depth, const struct cache_batch *from, uint32_t first,
                    uint32_t end)
{
	if (depth == hierarchy->levels) {
		hierarchy->uncached += end - first;
		return;
	}
	struct cache_hierarchy_level *level = &hierarchy->level[depth];
	unsigned list = level->list_of[from->about[first].kind];
	if (list == LIST_PASSING) {
		descend(hierarchy, depth + 1, from, first, end);
		return;
	}
	struct cache_about about = from->about[first];
	uint64_t address = from->requests[first];
	struct cache_batch *out = out_of(hierarchy, depth);
	sort_requests(level, from, first, end);
	if (out)
		cache_batch_clear(out);
	run_lists(hierarchy, level, about.cpu, out);
	if (level->cache[list]->handed_up_dirty)
		cache_hierarchy_hand_up(hierarchy, level->cache[list], address, &about);
	prefetch_and_descend(hierarchy, depth, level->cache[list], cache_hierarchy_instance(level->cache[list], about.cpu));
}

/* ---- accesses into the first level's lists ---- */

/* One request for the first level. One by one, an access goes to its end as soon as all its requests are there. */
static void enter(struct cache_hierarchy *hierarchy, uint64_t request, struct cache_about about)
{
	const struct cache_entry *entry = &hierarchy->entry[about.kind];
	struct cache_hierarchy_level *level = &hierarchy->level[0];
	struct cache_batch *list = hierarchy->one_by_one ? &hierarchy->entering : &level->list[entry->list];
	bool more = about.flags & REQUEST_MORE;
	list->has_groups |= more;
	list->accesses[about.kind] += !more;
	cache_batch_append(list, request, about);
	level->last_line[entry->list] = NO_LINE;
	if (!hierarchy->one_by_one || more)
		return;
	descend(hierarchy, 0, list, 0, list->count);
	cache_batch_clear(list);
}

/* An access as one request a line; `marks` as its kind says, or WAY_DIRTY for a modify that counts as a load. */
static void enter_lines(struct cache_hierarchy *hierarchy, const struct access *access, struct cache_about about, uint64_t marks)
{
	bool one_access = hierarchy->rules.line_crossing == CROSSING_ONE_ACCESS;
	unsigned shift = one_access ? hierarchy->grain_shift[about.kind != ACCESS_CODE] : hierarchy->entry[about.kind].shift;
	uint64_t line_bytes = 1ull << shift, bytes = access->bytes ? access->bytes : 1;
	/* cachegrind cuts an access to the smallest line of all caches, so that it never has more than two. */
	uint64_t longest = 1ull << (hierarchy->grain_shift[0] < hierarchy->grain_shift[1] ? hierarchy->grain_shift[0]
	                                                                                  : hierarchy->grain_shift[1]);
	if (one_access && bytes > longest)
		bytes = longest;
	uint64_t at = access->address, last = at + bytes - 1 < at ? UINT64_MAX : at + bytes - 1;
	for (;;) {
		uint64_t line_end = at | (line_bytes - 1), end = line_end < last ? line_end : last;
		/* A modify that counts as a load reads its line all the same. */
		about.flags = marks && about.kind != ACCESS_LOAD && end - at + 1 == line_bytes ? REQUEST_WHOLE_LINE : 0;
		if (end < last && one_access)
			about.flags |= REQUEST_MORE;
		enter(hierarchy, (at & ~WAY_MARKS) | marks, about);
		if (end == last)
			return;
		at = end + 1;
	}
}

static void enter_access(struct cache_hierarchy *hierarchy, const struct access *access, uint16_t order, uint16_t cpu)
{
	struct cache_about about = {.cpu = cpu, .order = order, .kind = access->kind, .region = access->region};
	if (access->kind != ACCESS_MODIFY) {
		enter_lines(hierarchy, access, about, hierarchy->entry[access->kind].marks);
		return;
	}
	about.kind = ACCESS_LOAD;
	if (hierarchy->rules.modify == MODIFY_LOAD) {
		enter_lines(hierarchy, access, about, WAY_DIRTY);
		return;
	}
	enter_lines(hierarchy, access, about, 0);
	about.kind = ACCESS_STORE;
	enter_lines(hierarchy, access, about, WAY_DIRTY);
}

/* An access as it is, into the list of its kind, or into the last request of that list. */
static bool joins_last(struct cache_hierarchy *hierarchy, const struct access *access)
{
	const struct cache_entry *entry = &hierarchy->entry[access->kind];
	struct cache_hierarchy_level *level = &hierarchy->level[0];
	struct cache_batch *list = &level->list[entry->list];
	uint64_t line = access->address >> entry->shift;
	if (!entry->simple || line != (access->address + access->bytes - 1) >> entry->shift ||
	    line != level->last_line[entry->list])
		return false;
	list->requests[list->count - 1] |= USED_AGAIN | entry->marks;
	list->accesses[access->kind]++;
	return true;
}

static void enter_or_join(struct cache_hierarchy *hierarchy, const struct access *access, size_t order, unsigned cpu)
{
	const struct cache_entry *entry = &hierarchy->entry[access->kind];
	if (joins_last(hierarchy, access))
		return;
	enter_access(hierarchy, access, (uint16_t)order, (uint16_t)cpu);
	uint64_t line = access->address >> entry->shift;
	if (entry->simple && line == (access->address + access->bytes - 1) >> entry->shift)
		hierarchy->level[0].last_line[entry->list] = line;
}

/* What accesses that came by routes count. */
static void count_accesses(struct cache_hierarchy *hierarchy, const uint64_t counts[ACCESS_KINDS])
{
	for (unsigned kind = 0; kind < ACCESS_KINDS; kind++) {
		uint64_t here = counts[kind];
		if (here == 0)
			continue;
		struct cache_hierarchy_level *level = &hierarchy->level[0];
		struct cache_counters *counters = &level->cache[level->list_of[kind]]->counters;
		bool is_modify = kind == ACCESS_MODIFY;
		unsigned first = is_modify ? ACCESS_LOAD : kind;
		counters->accesses[first] += here;
		counters->hits[first] += here;
		if (is_modify && hierarchy->rules.modify == MODIFY_LOAD_STORE) {
			counters->accesses[ACCESS_STORE] += here;
			counters->hits[ACCESS_STORE] += here;
		}
	}
}

/* Runs accesses through the first level by their routes. Returns how many. */
static size_t run_routes(struct cache_hierarchy *hierarchy, const struct access *accesses, size_t count, unsigned cpu)
{
	struct cache_hierarchy_level *level = &hierarchy->level[0];
	struct cache_batch *out = out_of(hierarchy, 0);
	struct routed_misses run = {.accesses = accesses, .routes = hierarchy->routes + cpu * ACCESS_KINDS, .cpu = cpu};
	struct replacement_ran ran;
	size_t missed = hierarchy->routed->run_accesses(run.routes, accesses, count, &ran, hierarchy->misses);
	count_accesses(hierarchy, ran.accesses);
	for (size_t first = 0; first < missed; first += run.count) {
		uint8_t list = level->list_of[accesses[hierarchy->misses[first].request].kind];
		run.misses = hierarchy->misses + first;
		run.count = level->caches == 1 ? missed : 1;
		while (first + run.count < missed &&
		       level->list_of[accesses[hierarchy->misses[first + run.count].request].kind] == list)
			run.count++;
		level->cache[list]->ops->missed(level->cache[list], &run, out);
	}
	return ran.done;
}

/* At most ACCESS_BATCH accesses. */
static void run_chunk(struct cache_hierarchy *hierarchy, const struct access *accesses, size_t count)
{
	struct cache_hierarchy_level *level = &hierarchy->level[0];
	struct cache_batch *out = out_of(hierarchy, 0);
	unsigned cpu = accesses->cpu % hierarchy->cpus;
	bool routed = hierarchy->routes != NULL;
	for (size_t done = 0; done < count;) {
		SIM_ASSERT(accesses[done].kind < ACCESS_KINDS);
		unsigned on = accesses[done].cpu % hierarchy->cpus;
		if (on != cpu && !level->is_shared)
			run_lists(hierarchy, level, cpu, out);
		cpu = on;
		size_t run = routed ? run_routes(hierarchy, accesses + done, count - done, cpu) : 0;
		done += run;
		if (run > 0)
			continue;
		/* A kind without a route likely comes again soon. */
		routed = routed && hierarchy->routes[cpu * ACCESS_KINDS + accesses[done].kind].words;
		if (routed) {
			enter_access(hierarchy, &accesses[done++], 0, (uint16_t)cpu);
			run_lists(hierarchy, level, cpu, out);
			continue;
		}
		enter_or_join(hierarchy, &accesses[done], done, cpu);
		done++;
	}
	run_lists(hierarchy, level, cpu, out);
	run_below(hierarchy);
}

void cache_hierarchy_run(struct cache_hierarchy *hierarchy, const struct access *accesses, size_t count)
{
	if (hierarchy->one_by_one) {
		for (size_t i = 0; i < count; i++)
			enter_access(hierarchy, &accesses[i], 0, (uint16_t)(accesses[i].cpu % hierarchy->cpus));
		return;
	}
	for (size_t done = 0; done < count; done += ACCESS_BATCH)
		run_chunk(hierarchy, accesses + done, count - done < ACCESS_BATCH ? count - done : ACCESS_BATCH);
}

/* Misses of the program's own and the walker's accesses. */
static uint64_t demand_misses(const struct cache_level *cache)
{
	uint64_t misses = 0;
	for (unsigned kind = 0; kind <= ACCESS_WALK_STORE; kind++)
		misses += cache->counters.misses[kind];
	return misses;
}

static uint64_t level_misses(const struct cache_hierarchy_level *level)
{
	uint64_t misses = 0;
	for (unsigned cache = 0; cache < level->caches; cache++)
		misses += demand_misses(level->cache[cache]);
	return misses;
}

unsigned cache_hierarchy_access(struct cache_hierarchy *hierarchy, const struct access *access)
{
	uint64_t before[CACHE_LEVELS_MAX];
	for (unsigned depth = 0; depth < hierarchy->levels; depth++)
		before[depth] = level_misses(&hierarchy->level[depth]);
	cache_hierarchy_run(hierarchy, access, 1);
	unsigned depth = hierarchy->levels;
	while (depth > 0 && level_misses(&hierarchy->level[depth - 1]) == before[depth - 1])
		depth--;
	return depth;
}

/* ---- flush ---- */

/* Writes one cache back into the levels below it. */
static void write_back(struct cache_hierarchy *hierarchy, struct cache_level *cache, unsigned depth)
{
	struct cache_batch dirty = {0};
	for (unsigned instance = 0; instance < cache->instances; instance++) {
		cache->ops->write_back(cache, instance, out_of(hierarchy, depth) ? &dirty : NULL);
		descend_all(hierarchy, depth + 1, &dirty);
		cache_batch_clear(&dirty);
	}
	cache_batch_release(&dirty);
}

void cache_hierarchy_flush(struct cache_hierarchy *hierarchy, bool invalidate)
{
	/* All caches of a level before the next level: else a line of that would be written back once for each of them. */
	for (unsigned depth = 0; depth < hierarchy->levels; depth++)
		for (unsigned list = 0; list < hierarchy->level[depth].caches; list++)
			write_back(hierarchy, hierarchy->level[depth].cache[list], depth);
	for (unsigned i = 0; i < hierarchy->count && invalidate; i++)
		for (unsigned instance = 0; instance < hierarchy->caches[i]->instances; instance++)
			hierarchy->caches[i]->ops->invalidate(hierarchy->caches[i], instance);
}

/* ---- counts and laws ---- */

const struct cache_level *cache_hierarchy_find(const struct cache_hierarchy *hierarchy, const char *name)
{
	for (unsigned i = 0; i < hierarchy->count; i++)
		if (strcmp(hierarchy->specs[i].name, name) == 0)
			return hierarchy->caches[i];
	return NULL;
}

uint64_t cache_hierarchy_memory_reads(const struct cache_hierarchy *hierarchy)
{
	uint64_t reads = 0;
	const struct cache_hierarchy_level *last = &hierarchy->level[hierarchy->levels - 1];
	for (unsigned cache = 0; cache < last->caches; cache++)
		reads += last->cache[cache]->counters.fetches;
	return reads;
}

uint64_t cache_hierarchy_memory_writes(const struct cache_hierarchy *hierarchy)
{
	uint64_t writes = 0;
	for (unsigned i = 0; i < hierarchy->count; i++) {
		const struct cache_counters *counters = &hierarchy->caches[i]->counters;
		writes += counters->to_memory;
		writes += hierarchy->depth[i] + 1 == hierarchy->levels ? counters->writes_through : 0;
	}
	return writes;
}

/* Looks for every line of one instance in the inclusive cache below it. */
struct inclusion_check {
	const struct cache_level *below;
	unsigned instance;
};

static void line_is_below(void *context, uint64_t address, uint64_t marks)
{
	(void)marks;
	const struct inclusion_check *check = context;
	SIM_ASSERT(check->below->ops->holds(check->below, check->instance, address, NULL));
}

static void check_inclusion(const struct cache_hierarchy *hierarchy, unsigned below)
{
	const struct cache_level *inclusive = hierarchy->caches[below];
	for (unsigned i = 0; i < hierarchy->count; i++) {
		const struct cache_level *cache = hierarchy->caches[i];
		if (hierarchy->depth[i] >= hierarchy->depth[below])
			continue;
		for (unsigned instance = 0; instance < cache->instances; instance++) {
			unsigned cpu = instance * (cache->spec->cores ? cache->spec->cores : hierarchy->cpus);
			struct inclusion_check check = {inclusive, cache_hierarchy_instance(inclusive, cpu)};
			cache->ops->each_line(cache, instance, line_is_below, &check);
		}
	}
}

static void check_watch(const struct cache_level *cache)
{
	const struct cache_counters *counters = &cache->counters;
	level_watch_check(cache->watch);
	for (unsigned kind = 0; kind < ACCESS_KINDS; kind++)
		level_watch_check_kind(cache->watch, kind,
		                       &(struct watch_kind){counters->accesses[kind], counters->misses[kind],
		                                            counters->evictions[kind], counters->write_backs[kind]});
}

void cache_hierarchy_check(const struct cache_hierarchy *hierarchy)
{
	for (unsigned i = 0; i < hierarchy->count; i++) {
		hierarchy->caches[i]->ops->check(hierarchy->caches[i]);
		if (hierarchy->caches[i]->watch)
			check_watch(hierarchy->caches[i]);
		if (hierarchy->specs[i].inclusion == INCLUSION_INCLUSIVE)
			check_inclusion(hierarchy, i);
	}
}

/* ---- making it ---- */

static bool overlaps(const struct cache_level *cache, unsigned instance, const struct cache_level *below, unsigned below_instance,
                     unsigned cpus)
{
	unsigned cores = cache->spec->cores ? cache->spec->cores : cpus;
	return cache_hierarchy_instance(below, instance * cores) == below_instance;
}

static unsigned back_invalidate(void *context, struct cache_level *from, unsigned from_instance, uint64_t address, bool *dirty)
{
	struct cache_hierarchy *hierarchy = context;
	unsigned held = 0;
	for (unsigned i = 0; i < hierarchy->count && hierarchy->caches[i] != from; i++) {
		struct cache_level *cache = hierarchy->caches[i];
		for (unsigned instance = 0; instance < cache->instances; instance++)
			if (overlaps(cache, instance, from, from_instance, hierarchy->cpus))
				held += cache->ops->remove(cache, instance, address, from->spec->line_bytes, dirty);
	}
	return held;
}

static bool serves_kind(const struct cache_level_spec *spec, unsigned kind)
{
	return spec->serves == SERVES_ALL || (spec->serves == SERVES_CODE) == (kind == ACCESS_CODE);
}

/* Levels by place in the list: one for code beside one for data share a level. */
static bool place_levels(struct cache_hierarchy *hierarchy, struct error *error)
{
	for (unsigned i = 0; i < hierarchy->count; i++) {
		struct cache_level_spec *spec = &hierarchy->specs[i];
		const struct cache_level_spec *before = i ? &hierarchy->specs[i - 1] : NULL;
		bool beside = before && spec->serves != SERVES_ALL && before->serves != SERVES_ALL &&
		              spec->serves != before->serves && (i < 2 || hierarchy->specs[i - 2].level < before->level);
		if (spec->level == 0)
			spec->level = before ? before->level + !beside : 1;
		if (before && spec->level < before->level)
			return error_set(error, ERROR_USAGE,
			                 "cache %s: level %u stands after level %u of %s; the list goes from the first "
			                 "level down",
			                 spec->name, spec->level, before->level, before->name);
		bool same = before && spec->level == before->level;
		if (same && !beside)
			return error_set(
			        error, ERROR_USAGE,
			        "cache %s: level %u is that of %s; two caches share a level where one serves code and one data",
			        spec->name, spec->level, before->name);
		hierarchy->levels += !same;
		if (hierarchy->levels > CACHE_LEVELS_MAX)
			return error_set(error, ERROR_USAGE, "cache %s: there may be %u levels", spec->name, CACHE_LEVELS_MAX);
		hierarchy->depth[i] = hierarchy->levels - 1;
	}
	return true;
}

static bool names_differ(const struct cache_hierarchy *hierarchy, struct error *error)
{
	for (unsigned i = 0; i < hierarchy->count; i++)
		for (unsigned j = 0; j < i; j++)
			if (strcmp(hierarchy->specs[i].name, hierarchy->specs[j].name) == 0)
				return error_set(error, ERROR_USAGE, "there are two caches %s; each has a name of its own",
				                 hierarchy->specs[i].name);
	return true;
}

static bool line_fits(const struct cache_level_spec *spec, struct error *error)
{
	uint32_t line = spec->line_bytes;
	if (line < CACHE_LINE_BYTES_MIN || line > CACHE_LINE_BYTES_MAX || (line & (line - 1)) != 0)
		return error_set(error, ERROR_USAGE, "cache %s: line %u bytes; expected a power of two from %u to %u", spec->name,
		                 line, CACHE_LINE_BYTES_MIN, CACHE_LINE_BYTES_MAX);
	return true;
}

/* What a cache must be to be exclusive of the level above. */
static bool exclusive_fits(const struct cache_hierarchy *hierarchy, unsigned i, struct error *error)
{
	const struct cache_level_spec *spec = &hierarchy->specs[i];
	if (hierarchy->depth[i] == 0)
		return error_set(error, ERROR_USAGE, "cache %s: inclusion=exclusive needs a level above", spec->name);
	if (spec->write != WRITE_BACK || !spec->write_allocate || spec->prefetch != PREFETCH_NONE)
		return error_set(error, ERROR_USAGE,
		                 "cache %s: an exclusive cache is filled by what leaves the level above; write=through, "
		                 "write_allocate=no and prefetch do not go with inclusion=exclusive",
		                 spec->name);
	return true;
}

/* An exclusive cache hands lines to the level above, so nothing may pass that one by. */
static bool nothing_passes_to_exclusive(const struct cache_hierarchy *hierarchy, struct error *error)
{
	for (unsigned i = 0; i < hierarchy->count; i++) {
		unsigned depth = hierarchy->depth[i];
		if (hierarchy->specs[i].inclusion != INCLUSION_EXCLUSIVE)
			continue;
		for (unsigned kind = 0; kind < ACCESS_KINDS; kind++)
			if (hierarchy->level[depth].list_of[kind] != LIST_PASSING &&
			    hierarchy->level[depth - 1].list_of[kind] == LIST_PASSING)
				return error_set(
				        error, ERROR_USAGE,
				        "cache %s: inclusion=exclusive needs a level above that serves all it serves, code, "
				        "data and page walks",
				        hierarchy->specs[i].name);
	}
	return true;
}

static bool rules_fit(const struct cache_rules *rules, struct error *error)
{
	if (rules->rule == CACHE_RULE_WRITEBACK && rules->line_crossing == CROSSING_ONE_ACCESS)
		return error_set(
		        error, ERROR_USAGE,
		        "an access over two lines that counts as one is a rule of demand counting; with write-backs counted, "
		        "each line is an access");
	return true;
}

static bool walker_fits(const struct cache_hierarchy *hierarchy, struct error *error)
{
	uint32_t last = hierarchy->specs[hierarchy->count - 1].level;
	if (hierarchy->rules.walk_level > last)
		return error_set(error, ERROR_USAGE, "the page walker begins with caches of level %u; the last level is %u",
		                 hierarchy->rules.walk_level, last);
	return true;
}

/* What one cache must be to stand below another. */
static bool pair_fits(const struct cache_hierarchy *hierarchy, unsigned above, unsigned below, struct error *error)
{
	const struct cache_level_spec *upper = &hierarchy->specs[above], *lower = &hierarchy->specs[below];
	if (lower->cores && (upper->cores == 0 || lower->cores % upper->cores != 0))
		return error_set(error, ERROR_USAGE, "cache %s: cores=%u does not hold whole groups of the cores that share %s",
		                 lower->name, lower->cores, upper->name);
	if (lower->inclusion == INCLUSION_INCLUSIVE && upper->line_bytes > lower->line_bytes)
		return error_set(error, ERROR_USAGE, "cache %s: inclusion=inclusive needs lines of at least the %u bytes of %s",
		                 lower->name, upper->line_bytes, upper->name);
	if (lower->inclusion == INCLUSION_INCLUSIVE && upper->inclusion == INCLUSION_EXCLUSIVE)
		return error_set(
		        error, ERROR_USAGE,
		        "cache %s: inclusion=inclusive below the exclusive %s: a line on its way there could not be kept here",
		        lower->name, upper->name);
	if (lower->inclusion != INCLUSION_EXCLUSIVE || hierarchy->depth[above] + 1 != hierarchy->depth[below])
		return true;
	if (upper->line_bytes != lower->line_bytes)
		return error_set(error, ERROR_USAGE, "cache %s: inclusion=exclusive needs lines as long as those of %s",
		                 lower->name, upper->name);
	return true;
}

static bool caches_fit(const struct cache_hierarchy *hierarchy, struct error *error)
{
	for (unsigned i = 0; i < hierarchy->count; i++) {
		if (!line_fits(&hierarchy->specs[i], error))
			return false;
		if (hierarchy->specs[i].inclusion == INCLUSION_EXCLUSIVE && !exclusive_fits(hierarchy, i, error))
			return false;
		if (hierarchy->specs[i].inclusion == INCLUSION_INCLUSIVE && !hierarchy->specs[i].write_allocate)
			return error_set(error, ERROR_USAGE,
			                 "cache %s: inclusion=inclusive holds every line of the levels above; write_allocate=no "
			                 "does not go with it",
			                 hierarchy->specs[i].name);
		for (unsigned above = 0; above < i; above++) {
			if (hierarchy->depth[above] < hierarchy->depth[i] && !pair_fits(hierarchy, above, i, error))
				return false;
			if (hierarchy->depth[above] == hierarchy->depth[i] && hierarchy->depth[i] > 0 &&
			    hierarchy->specs[above].line_bytes != hierarchy->specs[i].line_bytes)
				return error_set(error, ERROR_USAGE,
				                 "caches %s and %s share a level; their lines must be equally long",
				                 hierarchy->specs[above].name, hierarchy->specs[i].name);
		}
	}
	return true;
}

/* The kinds that a level does not serve pass it by; the walker's do as far as the level it begins with. */
static void route_level(struct cache_hierarchy *hierarchy, unsigned depth)
{
	struct cache_hierarchy_level *level = &hierarchy->level[depth];
	level->is_shared = true;
	for (unsigned list = 0; list < level->caches; list++)
		level->is_shared &= level->cache[list]->instances == 1;
	level->is_one = level->caches == 1 && level->is_shared;
	for (unsigned kind = 0; kind < ACCESS_KINDS; kind++) {
		level->list_of[kind] = LIST_PASSING;
		for (unsigned list = 0; list < level->caches; list++)
			if (serves_kind(level->cache[list]->spec, kind) &&
			    !(access_is_walk(kind) && level->cache[list]->spec->level < hierarchy->rules.walk_level))
				level->list_of[kind] = (uint8_t)list;
		level->is_one &= level->list_of[kind] == 0;
	}
	for (unsigned list = 0; list < LISTS; list++) {
		cache_batch_reserve(&level->list[list], 1);
		level->last_line[list] = NO_LINE;
	}
}

static bool needs_feedback(const struct cache_level *cache)
{
	return cache->spec->inclusion != INCLUSION_NEITHER;
}

static bool takes(const struct cache_level *cache)
{
	const struct cache_level_spec *spec = cache->spec;
	return spec->inclusion != INCLUSION_EXCLUSIVE && spec->write == WRITE_BACK && spec->write_allocate &&
	       spec->prefetch == PREFETCH_NONE && !cache->next_is_exclusive && !cache->watch;
}

static bool is_plain(const struct cache_level *cache)
{
	return takes(cache) && cache->spec->inclusion == INCLUSION_NEITHER;
}

/* The first level that serves a kind, `levels` if none does. */
static unsigned first_level_of(const struct cache_hierarchy *hierarchy, unsigned kind)
{
	unsigned depth = 0;
	while (depth < hierarchy->levels && hierarchy->level[depth].list_of[kind] == LIST_PASSING)
		depth++;
	return depth;
}

static void make_entries(struct cache_hierarchy *hierarchy)
{
	unsigned grain[2] = {__builtin_ctz(CACHE_LINE_BYTES_MAX), __builtin_ctz(CACHE_LINE_BYTES_MAX)};
	for (unsigned i = 0; i < hierarchy->count; i++)
		for (unsigned data = 0; data < 2; data++)
			if (serves_kind(&hierarchy->specs[i], data ? ACCESS_LOAD : ACCESS_CODE) &&
			    hierarchy->caches[i]->line_shift < grain[data])
				grain[data] = hierarchy->caches[i]->line_shift;
	for (unsigned data = 0; data < 2; data++)
		hierarchy->grain_shift[data] = grain[data];
	for (unsigned kind = 0; kind < ACCESS_KINDS; kind++) {
		struct cache_entry *entry = &hierarchy->entry[kind];
		unsigned depth = first_level_of(hierarchy, kind), list = hierarchy->level[0].list_of[kind];
		const struct cache_hierarchy_level *level = depth < hierarchy->levels ? &hierarchy->level[depth] : NULL;
		const struct cache_level *first = level ? level->cache[level->list_of[kind]] : NULL;
		bool one_access = hierarchy->rules.line_crossing == CROSSING_ONE_ACCESS;
		entry->list = (uint8_t)list;
		entry->shift = (uint8_t)(one_access || !first ? grain[kind != ACCESS_CODE] : first->line_shift);
		entry->simple = kind != ACCESS_MODIFY && list != LIST_PASSING && first->is_plain;
		entry->marks = kind == ACCESS_STORE || kind == ACCESS_WALK_STORE || kind == ACCESS_WRITEBACK ? WAY_DIRTY : 0;
	}
}

/* Routes for all cores and kinds, if the first level's arrays allow them. */
static void make_routes(struct cache_hierarchy *hierarchy)
{
	struct cache_hierarchy_level *level = &hierarchy->level[0];
	if (hierarchy->one_by_one || hierarchy->rules.line_crossing == CROSSING_ONE_ACCESS)
		return;
	struct replacement_route *routes = xcalloc(hierarchy->cpus * ACCESS_KINDS, sizeof *routes);
	bool possible = true;
	const struct replacement_ops *policy = NULL;
	for (unsigned cpu = 0; cpu < hierarchy->cpus; cpu++)
		for (unsigned kind = 0; kind < ACCESS_KINDS; kind++) {
			if (level->list_of[kind] == LIST_PASSING)
				continue;
			const struct cache_level *cache = level->cache[level->list_of[kind]];
			uint64_t marks = kind == ACCESS_MODIFY ? WAY_DIRTY : hierarchy->entry[kind].marks;
			const struct replacement_ops *ops = cache->ops->route(cache, cache_hierarchy_instance(cache, cpu), marks,
			                                                      &routes[cpu * ACCESS_KINDS + kind]);
			possible &= ops && (!policy || ops == policy);
			policy = ops;
		}
	if (!possible || !policy) {
		free(routes);
		return;
	}
	hierarchy->routes = routes;
	hierarchy->routed = policy;
}

/* What caches have to know of their neighbours. */
static void introduce(struct cache_hierarchy *hierarchy)
{
	bool includes_below = false;
	for (unsigned depth = hierarchy->levels; depth-- > 0;) {
		struct cache_hierarchy_level *level = &hierarchy->level[depth];
		const struct cache_level *next = depth + 1 < hierarchy->levels ? hierarchy->level[depth + 1].cache[0] : NULL;
		bool includes_here = false;
		for (unsigned list = 0; list < level->caches; list++) {
			struct cache_level *cache = level->cache[list];
			cache->next_line_bytes = next ? next->spec->line_bytes : cache->spec->line_bytes;
			cache->next_is_memory = !next;
			cache->next_is_exclusive = next && next->spec->inclusion == INCLUSION_EXCLUSIVE;
			cache->fetches_whole_lines = includes_below;
			cache->asks_for_accesses = hierarchy->rules.line_crossing == CROSSING_ONE_ACCESS;
			for (unsigned i = 0; i < hierarchy->count; i++)
				cache->keep_dirty |= (hierarchy->specs[i].write == WRITE_BACK ? 1u : 0u) << i;
			if (cache->spec->inclusion == INCLUSION_INCLUSIVE) {
				cache->back_invalidate = back_invalidate;
				cache->back_invalidate_context = hierarchy;
				includes_here = true;
			}
			cache->takes = cache->ops->take && takes(cache);
			cache->is_plain = is_plain(cache);
			hierarchy->one_by_one |= needs_feedback(cache);
		}
		includes_below |= includes_here;
	}
}

static bool make_caches(struct cache_hierarchy *hierarchy, const struct cache_hierarchy_wiring *wiring, struct error *error)
{
	for (unsigned i = 0; i < hierarchy->count; i++) {
		const struct cache_level_spec *spec = &hierarchy->specs[i];
		unsigned cores = spec->cores ? spec->cores : hierarchy->cpus;
		struct cache_level_wiring level_wiring = {.spec = spec,
		                                          .instances = (hierarchy->cpus + cores - 1) / cores,
		                                          .rule = wiring->rules.rule,
		                                          .simd = wiring->simd,
		                                          .seed = wiring->seed,
		                                          .array = wiring->array};
		hierarchy->caches[i] = wiring->level(&level_wiring, error);
		if (!hierarchy->caches[i])
			return false;
		if (wiring->watch)
			hierarchy->caches[i]->watch = level_watch_create(
			        hierarchy->caches[i]->instances, spec->size_bytes / spec->line_bytes, wiring->watch_owner);
		struct cache_hierarchy_level *level = &hierarchy->level[hierarchy->depth[i]];
		hierarchy->caches[i]->number = (uint8_t)i;
		level->cache[level->caches++] = hierarchy->caches[i];
	}
	return true;
}

struct cache_hierarchy *cache_hierarchy_create(const struct cache_hierarchy_wiring *wiring, struct error *error)
{
	if (wiring->count == 0 || wiring->count > HIERARCHY_CACHES_MAX || wiring->cpus == 0 || wiring->cpus > CPUS_MAX) {
		error_set(error, ERROR_USAGE, "%u caches for %u cores; there may be 1 to %u caches for 1 to %u cores",
		          wiring->count, wiring->cpus, HIERARCHY_CACHES_MAX, (unsigned)CPUS_MAX);
		return NULL;
	}
	struct cache_hierarchy *hierarchy = xcalloc(1, sizeof *hierarchy);
	*hierarchy = (struct cache_hierarchy){
	        .rules = wiring->rules, .cpus = wiring->cpus, .count = wiring->count, .one_by_one = wiring->one_by_one};
	for (unsigned i = 0; i < wiring->count; i++) {
		hierarchy->specs[i] = wiring->specs[i];
		hierarchy->specs[i].name = xstrdup(wiring->specs[i].name);
		hierarchy->specs[i].model = xstrdup(wiring->specs[i].model);
		hierarchy->specs[i].replacement = xstrdup(wiring->specs[i].replacement);
	}
	if (!rules_fit(&wiring->rules, error) || !names_differ(hierarchy, error) || !place_levels(hierarchy, error) ||
	    !walker_fits(hierarchy, error) || !caches_fit(hierarchy, error) || !make_caches(hierarchy, wiring, error)) {
		cache_hierarchy_destroy(hierarchy);
		return NULL;
	}
	introduce(hierarchy);
	for (unsigned i = 0; i < hierarchy->count; i++)
		hierarchy->caches[i]->prefetches_wait = hierarchy->one_by_one;
	for (unsigned depth = 0; depth < hierarchy->levels; depth++)
		route_level(hierarchy, depth);
	if (!nothing_passes_to_exclusive(hierarchy, error)) {
		cache_hierarchy_destroy(hierarchy);
		return NULL;
	}
	make_entries(hierarchy);
	make_routes(hierarchy);
	return hierarchy;
}

void cache_hierarchy_destroy(struct cache_hierarchy *hierarchy)
{
	if (!hierarchy)
		return;
	for (unsigned i = 0; i < hierarchy->count; i++) {
		if (hierarchy->caches[i])
			level_watch_destroy(hierarchy->caches[i]->watch);
		cache_level_destroy(hierarchy->caches[i]);
		free(hierarchy->specs[i].name);
		free(hierarchy->specs[i].model);
		free(hierarchy->specs[i].replacement);
	}
	for (unsigned depth = 0; depth < CACHE_LEVELS_MAX; depth++) {
		struct cache_hierarchy_level *level = &hierarchy->level[depth];
		for (unsigned list = 0; list < LISTS; list++) {
			cache_batch_release(&level->list[list]);
			cache_batch_release(&level->sent[list]);
		}
		cache_batch_release(&level->out);
	}
	cache_batch_release(&hierarchy->entering);
	free(hierarchy->routes);
	free(hierarchy);
}
