/* SPDX-License-Identifier: MIT
 *
 * test_caches.c - hierarchies of caches beside a second one written with plain lists, on random machines and streams; batches cut
 * anyhow; the counting rules; what cannot be a hierarchy.
 */
#include "models/cache_settings.h"
#include "models/settings.h"
#include "sim/rng.h"
#include "tests/unit/test.h"

#include <stdlib.h>
#include <string.h>

/* ---- the second opinion ---- */

#define LIST_MAX 64
#define INSTANCES_MAX 8

struct plain_line {
	uint64_t number;
	bool dirty, prefetched;
};

/* A set in order: LRU and FIFO, most recent first. */
struct plain_set {
	struct plain_line line[LIST_MAX];
	unsigned count;
};

struct plain_cache {
	const struct cache_level_spec *spec;
	unsigned depth, sets, ways;
	struct plain_set *set[INSTANCES_MAX];
	struct cache_counters counters;
};

struct plain {
	struct plain_cache cache[6];
	unsigned caches, levels, cpus;
	struct cache_rules rules;
};

/* What one level asks of the next. */
struct plain_request {
	uint64_t address;
	unsigned kind;
	bool write, whole, clean_victim;
	struct plain_cache *sender;
};

struct plain_list {
	struct plain_request request[400];
	unsigned count;
};

static unsigned plain_instance(const struct plain_cache *cache, unsigned cpu)
{
	return cache->spec->cores ? cpu / cache->spec->cores : 0;
}

static struct plain_set *plain_set_of(struct plain_cache *cache, unsigned cpu, uint64_t address)
{
	return &cache->set[plain_instance(cache, cpu)][address / cache->spec->line_bytes % cache->sets];
}

static unsigned plain_find(const struct plain_set *set, uint64_t number)
{
	unsigned i = 0;
	while (i < set->count && set->line[i].number != number)
		i++;
	return i;
}

static struct plain_line plain_take_out(struct plain_set *set, unsigned i)
{
	struct plain_line line = set->line[i];
	for (; i + 1 < set->count; i++)
		set->line[i] = set->line[i + 1];
	set->count--;
	return line;
}

static void plain_put_first(struct plain_set *set, struct plain_line line)
{
	for (unsigned i = set->count++; i > 0; i--)
		set->line[i] = set->line[i - 1];
	set->line[0] = line;
}

static void plain_used(struct plain_cache *cache, struct plain_set *set, unsigned i)
{
	if (strcmp(cache->spec->replacement, "lru") == 0)
		plain_put_first(set, plain_take_out(set, i));
}

static bool plain_serves(const struct plain *plain, const struct plain_cache *cache, unsigned kind)
{
	if ((kind == ACCESS_WALK || kind == ACCESS_WALK_STORE) && cache->depth + 1 < plain->rules.walk_level)
		return false;
	return cache->spec->serves == SERVES_ALL || (cache->spec->serves == SERVES_CODE) == (kind == ACCESS_CODE);
}

static struct plain_cache *plain_at(struct plain *plain, unsigned depth, unsigned kind)
{
	for (unsigned i = 0; i < plain->caches; i++)
		if (plain->cache[i].depth == depth && plain_serves(plain, &plain->cache[i], kind))
			return &plain->cache[i];
	return NULL;
}

static struct plain_cache *plain_any_at(struct plain *plain, unsigned depth)
{
	for (unsigned i = 0; i < plain->caches; i++)
		if (plain->cache[i].depth == depth)
			return &plain->cache[i];
	return NULL;
}

static void plain_say(struct plain *plain, struct plain_cache *cache, struct plain_list *list, struct plain_request request,
                      unsigned bytes)
{
	struct plain_cache *next = plain_any_at(plain, cache->depth + 1);
	if (!next)
		return;
	unsigned step = next->spec->line_bytes;
	if (bytes < step)
		request.whole = false;
	for (unsigned done = 0; done < bytes; done += step, request.address += step)
		list->request[list->count++] = request;
}

static void plain_fetch(struct plain *plain, struct plain_cache *cache, struct plain_list *list, uint64_t address, unsigned kind,
                        struct plain_cache *asked)
{
	if (plain->rules.rule == CACHE_RULE_WRITEBACK) {
		kind = kind == ACCESS_STORE || kind == ACCESS_WRITEBACK ? ACCESS_LOAD : kind;
		kind = kind == ACCESS_WALK_STORE ? ACCESS_WALK : kind;
	}
	unsigned bytes = cache->spec->line_bytes;
	cache->counters.fetches++;
	plain_say(plain, cache, list,
	          (struct plain_request){.address = address / bytes * bytes,
	                                 .kind = kind,
	                                 .sender = cache->spec->inclusion == INCLUSION_EXCLUSIVE ? asked : cache},
	          bytes);
}

/* An inclusive cache's line goes: it goes everywhere above too. */
static void plain_back_invalidate(struct plain *plain, struct plain_cache *from, unsigned instance, uint64_t address, bool *dirty)
{
	for (unsigned i = 0; i < plain->caches; i++) {
		struct plain_cache *cache = &plain->cache[i];
		for (unsigned cpu = 0; cache->depth < from->depth && cpu < plain->cpus; cpu++) {
			if (plain_instance(from, cpu) != instance)
				continue;
			for (uint64_t at = address; at < address + from->spec->line_bytes; at += cache->spec->line_bytes) {
				struct plain_set *set = plain_set_of(cache, cpu, at);
				unsigned found = plain_find(set, at / cache->spec->line_bytes);
				if (found == set->count)
					continue;
				struct plain_line gone = plain_take_out(set, found);
				*dirty |= gone.dirty;
				cache->counters.removals++;
				cache->counters.dirty_removals += gone.dirty;
				cache->counters.prefetch_unused += gone.prefetched;
				from->counters.back_invalidations++;
			}
		}
	}
}

static bool plain_next_is_exclusive(struct plain *plain, const struct plain_cache *cache)
{
	const struct plain_cache *next = plain_any_at(plain, cache->depth + 1);
	return next && next->spec->inclusion == INCLUSION_EXCLUSIVE;
}

static void plain_victim(struct plain *plain, struct plain_cache *cache, unsigned cpu, unsigned cause, struct plain_line line,
                         struct plain_list *list)
{
	uint64_t address = line.number * cache->spec->line_bytes;
	bool dirty = line.dirty, exclusive = plain_next_is_exclusive(plain, cache);
	if (cache->spec->inclusion == INCLUSION_INCLUSIVE)
		plain_back_invalidate(plain, cache, plain_instance(cache, cpu), address, &dirty);
	cache->counters.prefetch_unused += line.prefetched;
	cache->counters.write_backs[cause] += dirty;
	struct plain_request request = {address, ACCESS_WRITEBACK, dirty, true, !dirty, cache};
	if (dirty ? plain->rules.rule == CACHE_RULE_WRITEBACK || exclusive : exclusive)
		plain_say(plain, cache, list, request, cache->spec->line_bytes);
	cache->counters.clean_victims += !dirty && exclusive;
}

static void plain_bring(struct plain *plain, struct plain_cache *cache, unsigned cpu, uint64_t address, unsigned kind,
                        struct plain_line line, struct plain_line *victim, bool *has_victim)
{
	(void)plain;
	struct plain_set *set = plain_set_of(cache, cpu, address);
	*has_victim = set->count == cache->ways;
	if (*has_victim)
		*victim = plain_take_out(set, set->count - 1);
	cache->counters.evictions[kind] += *has_victim;
	cache->counters.fills++;
	line.number = address / cache->spec->line_bytes;
	plain_put_first(set, line);
}

static void plain_prefetch(struct plain *plain, struct plain_cache *cache, unsigned cpu, uint64_t address,
                           struct plain_list *list)
{
	struct plain_set *set = plain_set_of(cache, cpu, address);
	unsigned found = plain_find(set, address / cache->spec->line_bytes);
	cache->counters.prefetches++;
	cache->counters.accesses[ACCESS_PREFETCH]++;
	if (found < set->count) {
		plain_used(cache, set, found);
		cache->counters.hits[ACCESS_PREFETCH]++;
		return;
	}
	struct plain_line victim;
	bool has_victim;
	cache->counters.misses[ACCESS_PREFETCH]++;
	cache->counters.prefetch_fills++;
	plain_bring(plain, cache, cpu, address, ACCESS_PREFETCH, (struct plain_line){.prefetched = true}, &victim, &has_victim);
	plain_fetch(plain, cache, list, address, ACCESS_PREFETCH, NULL);
	if (has_victim)
		plain_victim(plain, cache, cpu, ACCESS_PREFETCH, victim, list);
}

/* Whether a level below must have every line that this one has. */
static bool plain_is_included(struct plain *plain, const struct plain_cache *cache)
{
	bool included = false;
	for (unsigned i = 0; i < plain->caches; i++)
		included |= plain->cache[i].depth > cache->depth && plain->cache[i].spec->inclusion == INCLUSION_INCLUSIVE;
	return included;
}

static void plain_ask(struct plain *plain, unsigned depth, unsigned cpu, struct plain_request request);

/* Serves a request that misses; what it sends goes to the list. */
static void plain_miss(struct plain *plain, struct plain_cache *cache, unsigned cpu, struct plain_request request,
                       struct plain_list *list)
{
	const struct cache_level_spec *spec = cache->spec;
	bool is_victim = request.kind == ACCESS_WRITEBACK, exclusive = spec->inclusion == INCLUSION_EXCLUSIVE;
	bool comes_in = exclusive ? is_victim : !request.write || spec->write_allocate;
	bool goes_on = request.write && (!comes_in || spec->write == WRITE_THROUGH);
	bool needs_line = comes_in || !request.write;
	if (request.write && request.whole && plain->rules.rule == CACHE_RULE_WRITEBACK && !plain_is_included(plain, cache))
		needs_line = false;
	if (goes_on && plain->rules.rule == CACHE_RULE_DEMAND)
		needs_line = false;
	if (is_victim && (exclusive || request.clean_victim))
		needs_line = false;
	struct plain_line victim;
	bool has_victim = false;
	if (comes_in)
		plain_bring(plain, cache, cpu, request.address, request.kind,
		            (struct plain_line){.dirty = request.write && spec->write == WRITE_BACK}, &victim, &has_victim);
	if (needs_line)
		plain_fetch(plain, cache, list, request.address, request.kind, request.sender);
	if (goes_on) {
		cache->counters.writes_through++;
		struct plain_cache *next = plain_any_at(plain, cache->depth + 1);
		if (next && next->spec->line_bytes != spec->line_bytes)
			request.whole = false;
		if (next)
			list->request[list->count++] = request;
	}
	if (has_victim)
		plain_victim(plain, cache, cpu, request.kind, victim, list);
}

/* Serves a request that hits. Returns whether its line goes up dirty. */
static bool plain_hit(struct plain *plain, struct plain_cache *cache, unsigned cpu, struct plain_request request, unsigned found,
                      struct plain_list *list)
{
	struct plain_set *set = plain_set_of(cache, cpu, request.address);
	cache->counters.prefetch_used += set->line[found].prefetched;
	set->line[found].prefetched = false;
	if (cache->spec->inclusion == INCLUSION_EXCLUSIVE && !request.write && request.kind != ACCESS_WRITEBACK) {
		struct plain_line gone = plain_take_out(set, found);
		cache->counters.removals++;
		if (!gone.dirty)
			return false;
		if (request.sender->spec->write == WRITE_BACK) {
			cache->counters.dirty_removals++;
			return true;
		}
		plain_victim(plain, cache, cpu, request.kind, gone, list);
		return false;
	}
	bool through = cache->spec->write == WRITE_THROUGH;
	set->line[found].dirty |= request.write && !through;
	plain_used(cache, set, found);
	if (request.write && through) {
		cache->counters.writes_through++;
		struct plain_cache *next = plain_any_at(plain, cache->depth + 1);
		if (next && next->spec->line_bytes != cache->spec->line_bytes)
			request.whole = false;
		if (next)
			list->request[list->count++] = request;
	}
	return false;
}

static void plain_prefetches(struct plain *plain, struct plain_cache *cache, unsigned cpu, struct plain_request request,
                             bool missed, bool first_use)
{
	enum cache_prefetch how = cache->spec->prefetch;
	bool goes =
	        how == PREFETCH_ALWAYS || (how == PREFETCH_MISS && missed) || (how == PREFETCH_TAGGED && (missed || first_use));
	if (request.write || request.kind == ACCESS_WRITEBACK || !goes)
		return;
	uint64_t line = request.address / cache->spec->line_bytes;
	for (unsigned i = 0; i < cache->spec->prefetch_degree; i++) {
		struct plain_list *list = xcalloc(1, sizeof *list);
		plain_prefetch(plain, cache, cpu, (line + cache->spec->prefetch_distance + i) * cache->spec->line_bytes, list);
		for (unsigned sent = 0; sent < list->count; sent++)
			plain_ask(plain, cache->depth + 1, cpu, list->request[sent]);
		free(list);
	}
}

/* One request to the end, then what it asks of the next level, in order. */
static void plain_ask(struct plain *plain, unsigned depth, unsigned cpu, struct plain_request request)
{
	if (depth == plain->levels)
		return;
	struct plain_cache *cache = plain_at(plain, depth, request.kind);
	if (!cache) {
		plain_ask(plain, depth + 1, cpu, request);
		return;
	}
	struct plain_list *list = xcalloc(1, sizeof *list);
	struct plain_set *set = plain_set_of(cache, cpu, request.address);
	unsigned found = plain_find(set, request.address / cache->spec->line_bytes);
	bool missed = found == set->count, goes_up_dirty = false, first_use = false;
	cache->counters.accesses[request.kind]++;
	cache->counters.misses[request.kind] += missed;
	cache->counters.hits[request.kind] += !missed;
	if (missed) {
		plain_miss(plain, cache, cpu, request, list);
	} else {
		first_use = set->line[found].prefetched;
		goes_up_dirty = plain_hit(plain, cache, cpu, request, found, list);
	}
	if (goes_up_dirty) {
		struct plain_cache *above = request.sender;
		struct plain_set *taker = plain_set_of(above, cpu, request.address);
		unsigned place = plain_find(taker, request.address / above->spec->line_bytes);
		assert_true(place < taker->count);
		taker->line[place].dirty = true;
		above->counters.dirty_received++;
	}
	for (unsigned i = 0; i < list->count; i++)
		plain_ask(plain, depth + 1, cpu, list->request[i]);
	free(list);
	plain_prefetches(plain, cache, cpu, request, missed, first_use);
}

static void plain_lines(struct plain *plain, const struct access *access, unsigned kind, bool write)
{
	struct plain_cache *first = NULL;
	for (unsigned depth = 0; !first && depth < plain->levels; depth++)
		first = plain_at(plain, depth, kind);
	uint64_t line_bytes = first->spec->line_bytes, end = access->address + access->bytes;
	for (uint64_t at = access->address; at < end; at = (at / line_bytes + 1) * line_bytes) {
		struct plain_request request = {.address = at, .kind = kind, .write = write};
		request.whole = kind != ACCESS_LOAD && at % line_bytes == 0 && end - at >= line_bytes;
		plain_ask(plain, 0, access->cpu % plain->cpus, request);
	}
}

static void plain_access(struct plain *plain, const struct access *access)
{
	if (access->kind == ACCESS_MODIFY && plain->rules.modify == MODIFY_LOAD_STORE) {
		plain_lines(plain, access, ACCESS_LOAD, false);
		plain_lines(plain, access, ACCESS_STORE, true);
	} else if (access->kind == ACCESS_MODIFY) {
		plain_lines(plain, access, ACCESS_LOAD, true);
	} else {
		plain_lines(plain, access, access->kind, access->kind == ACCESS_STORE || access->kind == ACCESS_WALK_STORE);
	}
}

static void plain_init(struct plain *plain, const struct cache_hierarchy *hierarchy)
{
	*plain = (struct plain){
	        .caches = hierarchy->count, .levels = hierarchy->levels, .cpus = hierarchy->cpus, .rules = hierarchy->rules};
	for (unsigned i = 0; i < hierarchy->count; i++) {
		struct plain_cache *cache = &plain->cache[i];
		const struct cache_level_spec *spec = &hierarchy->specs[i];
		unsigned lines = (unsigned)(spec->size_bytes / spec->line_bytes);
		cache->spec = spec;
		cache->depth = hierarchy->depth[i];
		cache->ways = spec->ways ? spec->ways : lines;
		cache->sets = lines / cache->ways;
		assert_true(cache->ways < LIST_MAX);
		for (unsigned instance = 0; instance < hierarchy->caches[i]->instances; instance++)
			cache->set[instance] = xcalloc(cache->sets, sizeof(struct plain_set));
	}
}

static void plain_release(struct plain *plain)
{
	for (unsigned i = 0; i < plain->caches; i++)
		for (unsigned instance = 0; instance < INSTANCES_MAX; instance++)
			free(plain->cache[i].set[instance]);
}

/* ---- comparing ---- */

static char machine_text[600];

static void expect_equal(const char *cache, const char *what, uint64_t found, uint64_t expected)
{
	if (found != expected)
		fail_msg("%s: %s: %s: %llu, by plain lists %llu", machine_text, cache, what, (unsigned long long)found,
		         (unsigned long long)expected);
}

static void expect_counters(const char *name, const struct cache_counters *found, const struct cache_counters *plain)
{
	for (unsigned kind = 0; kind < ACCESS_KINDS; kind++) {
		expect_equal(name, "accesses", found->accesses[kind], plain->accesses[kind]);
		expect_equal(name, "misses", found->misses[kind], plain->misses[kind]);
		expect_equal(name, "hits", found->hits[kind], plain->hits[kind]);
		expect_equal(name, "evictions", found->evictions[kind], plain->evictions[kind]);
		expect_equal(name, "write_backs", found->write_backs[kind], plain->write_backs[kind]);
	}
	expect_equal(name, "fills", found->fills, plain->fills);
	expect_equal(name, "removals", found->removals, plain->removals);
	expect_equal(name, "dirty_removals", found->dirty_removals, plain->dirty_removals);
	expect_equal(name, "dirty_received", found->dirty_received, plain->dirty_received);
	expect_equal(name, "fetches", found->fetches, plain->fetches);
	expect_equal(name, "writes_through", found->writes_through, plain->writes_through);
	expect_equal(name, "clean_victims", found->clean_victims, plain->clean_victims);
	expect_equal(name, "back_invalidations", found->back_invalidations, plain->back_invalidations);
	expect_equal(name, "prefetches", found->prefetches, plain->prefetches);
	expect_equal(name, "prefetch_fills", found->prefetch_fills, plain->prefetch_fills);
	expect_equal(name, "prefetch_used", found->prefetch_used, plain->prefetch_used);
	expect_equal(name, "prefetch_unused", found->prefetch_unused, plain->prefetch_unused);
}

struct contents {
	struct plain_cache *cache;
	unsigned instance;
	uint64_t lines;
};

static void expect_line(void *context, uint64_t address, uint64_t marks)
{
	struct contents *contents = context;
	struct plain_cache *cache = contents->cache;
	struct plain_set *set = &cache->set[contents->instance][address / cache->spec->line_bytes % cache->sets];
	unsigned found = plain_find(set, address / cache->spec->line_bytes);
	assert_true(found < set->count);
	assert_int_equal((marks & WAY_DIRTY) != 0, set->line[found].dirty);
	assert_int_equal((marks & WAY_PREFETCHED) != 0, set->line[found].prefetched);
	contents->lines++;
}

static void expect_contents(struct plain_cache *plain, const struct cache_level *cache)
{
	for (unsigned instance = 0; instance < cache->instances; instance++) {
		struct contents contents = {plain, instance, 0};
		uint64_t lines = 0;
		for (unsigned set = 0; set < plain->sets; set++)
			lines += plain->set[instance][set].count;
		cache->ops->each_line(cache, instance, expect_line, &contents);
		assert_int_equal(contents.lines, lines);
	}
}

static void expect_same(struct plain *plain, const struct cache_hierarchy *hierarchy)
{
	for (unsigned i = 0; i < hierarchy->count; i++) {
		expect_counters(hierarchy->specs[i].name, &hierarchy->caches[i]->counters, &plain->cache[i].counters);
		expect_contents(&plain->cache[i], hierarchy->caches[i]);
	}
	cache_hierarchy_check(hierarchy);
}

/* ---- machines and streams ---- */

#define STREAM 3000

/* Accesses that press on small caches: neighbours, one set, and anything, by several cores, some over lines. */
static void make_stream(struct access *accesses, unsigned count, unsigned cpus, struct rng *rng)
{
	uint64_t base = 0x100000;
	unsigned cpu = 0;
	for (unsigned i = 0; i < count; i++) {
		if (rng_below(rng, 60) == 0)
			base = rng_below(rng, 8) ? 0x100000 + rng_below(rng, 1u << 14)
			                         : 0xffff888000000000u + rng_below(rng, 1u << 13);
		if (rng_below(rng, 5) == 0)
			cpu = rng_below(rng, cpus + 1);
		uint64_t offset = rng_below(rng, 3) == 0 ? 512 * rng_below(rng, 24) : rng_below(rng, 700);
		static const uint8_t kinds[] = {ACCESS_CODE,   ACCESS_LOAD, ACCESS_LOAD,       ACCESS_STORE, ACCESS_STORE,
		                                ACCESS_MODIFY, ACCESS_WALK, ACCESS_WALK_STORE, ACCESS_CODE,  ACCESS_LOAD};
		accesses[i] = (struct access){.address = base + offset,
		                              .bytes = rng_below(rng, 20) ? 1 + rng_below(rng, 8) : 16u << rng_below(rng, 4),
		                              .cpu = (uint16_t)cpu,
		                              .kind = kinds[rng_below(rng, sizeof kinds)]};
		if (rng_below(rng, 3) == 0 && i > 0)
			accesses[i].address = accesses[i - 1].address;
		if (rng_below(rng, 3) == 0)
			accesses[i].address = accesses[i].address / accesses[i].bytes * accesses[i].bytes;
	}
}

static struct cache_hierarchy *make(const char *const *lines, unsigned count, const struct cache_rules *rules, unsigned cpus,
                                    enum simd simd)
{
	struct cache_level_spec specs[6] = {0};
	struct error error = {0};
	machine_text[0] = '\0';
	for (unsigned i = 0; i < count; i++) {
		if (!cache_spec_read(lines[i], "test", &specs[i], &error))
			fail_msg("%s", error.text);
		strcat(strcat(machine_text, i ? "; " : ""), lines[i]);
	}
	struct cache_hierarchy *hierarchy = caches_create(specs, count, rules, cpus, 1, simd, &error);
	for (unsigned i = 0; i < count; i++)
		cache_spec_release(&specs[i]);
	if (!hierarchy)
		fail_msg("%s: %s", machine_text, error.text);
	return hierarchy;
}

/* Hands the stream over in batches of any size. */
static void run_cut(struct cache_hierarchy *hierarchy, const struct access *accesses, unsigned count, struct rng *rng)
{
	for (unsigned done = 0; done < count;) {
		unsigned some = rng_below(rng, 3) ? rng_below(rng, 400) : rng_below(rng, 3);
		some = some > count - done ? count - done : some;
		cache_hierarchy_run(hierarchy, accesses + done, some);
		done += some;
	}
}

static void try_machine(const char *const *lines, unsigned count, const struct cache_rules *rules, unsigned cpus, enum simd simd,
                        struct rng *rng)
{
	static struct access accesses[STREAM];
	struct cache_hierarchy *hierarchy = make(lines, count, rules, cpus, simd);
	struct plain plain;
	plain_init(&plain, hierarchy);
	make_stream(accesses, STREAM, cpus, rng);
	for (unsigned i = 0; i < STREAM; i++)
		plain_access(&plain, &accesses[i]);
	run_cut(hierarchy, accesses, STREAM, rng);
	expect_same(&plain, hierarchy);
	plain_release(&plain);
	cache_hierarchy_destroy(hierarchy);
}

static const char *pick(const char *const *words, struct rng *rng)
{
	unsigned count = 0;
	while (words[count])
		count++;
	return words[rng_below(rng, count)];
}

static const char *const policies[] = {"lru", "lru", "fifo", NULL};
static const char *const writes[] = {"",  "", "", " write=through", " write_allocate=no", " write=through write_allocate=no",
                                     NULL};
static const char *const inclusive_writes[] = {"", " write=through", NULL};
static const char *const prefetches[] = {"",
                                         "",
                                         "",
                                         " prefetch=always",
                                         " prefetch=miss",
                                         " prefetch=tagged prefetch_degree=2",
                                         " prefetch=tagged prefetch_distance=3",
                                         NULL};
static const char *const inclusions[] = {"", "", " inclusion=inclusive", " inclusion=exclusive", NULL};

/* Ways and sets, not powers of two either. */
static char *geometry(unsigned line, unsigned scale, struct rng *rng)
{
	static const unsigned ways[] = {1, 2, 3, 4, 6, 8, 12, 16, 20};
	unsigned of = ways[rng_below(rng, sizeof ways / sizeof *ways)], sets = 1 + rng_below(rng, 8 * scale);
	return xasprintf("size=%uB ways=%u line=%uB replacement=%s", line * of * sets, of, line, pick(policies, rng));
}

/* Plain caches only: what the whole batches run through. */
static void plain_machines_equal_plain_lists(void **state)
{
	(void)state;
	struct rng rng;
	rng_init(&rng, 3, "plain machines");
	for (unsigned try = 0; try < 120; try++) {
		unsigned cpus = try % 3 == 0 ? 1 + rng_below(&rng, 4) : 1, split = rng_below(&rng, 2),
		         levels = 1 + rng_below(&rng, 3);
		struct cache_rules rules = {.rule = (enum cache_rule)rng_below(&rng, 2),
		                            .modify = (enum modify_counts)rng_below(&rng, 2)};
		rules.walk_level = rng_below(&rng, levels + 1);
		char *lines[6];
		unsigned count = 0, line = 16u << rng_below(&rng, 4);
		for (unsigned level = 0; level < levels; level++) {
			for (unsigned half = 0; half <= (level == 0 && split); half++) {
				char *sizes = geometry(line, level + 1, &rng);
				const char *serves = level > 0 || !split ? "" : half ? " serves=data" : " serves=code";
				lines[count] = xasprintf("c%u %s%s%s", count, sizes, serves,
				                         level == 2 || cpus == 3 ? " cores=all" : "");
				count++;
				free(sizes);
			}
			if (rng_below(&rng, 4) == 0)
				line = 16u << rng_below(&rng, 4);
		}
		try_machine((const char *const *)lines, count, &rules, cpus, (enum simd)(try % SIMDS), &rng);
		for (unsigned i = 0; i < count; i++)
			free(lines[i]);
	}
}

/*
 * Anything: write-through, no allocation, prefetchers, inclusive and exclusive levels, one to four cores.
 * Would catch: any wrong order, dirt lost on its way, a line taken out of the wrong core's cache.
 */
static void odd_machines_equal_plain_lists(void **state)
{
	(void)state;
	struct rng rng;
	rng_init(&rng, 4, "odd machines");
	for (unsigned try = 0; try < 120; try++) {
		unsigned cpus = 1 + rng_below(&rng, 4), split = rng_below(&rng, 2), levels = 2 + rng_below(&rng, 2);
		struct cache_rules rules = {.rule = (enum cache_rule)rng_below(&rng, 2),
		                            .modify = (enum modify_counts)rng_below(&rng, 2)};
		char *lines[6];
		unsigned count = 0, line = 16u << rng_below(&rng, 4);
		bool had_exclusive = false;
		for (unsigned level = 0; level < levels; level++)
			for (unsigned half = 0; half <= (level == 0 && split); half++) {
				char *sizes = geometry(line, level + 1, &rng);
				const char *serves = level > 0 || !split ? "" : half ? " serves=data" : " serves=code";
				const char *inclusion = level > 0 ? pick(inclusions, &rng) : "";
				bool exclusive = strstr(inclusion, "exclusive");
				if (had_exclusive && !exclusive)
					inclusion = "";
				had_exclusive |= exclusive;
				const char *write = exclusive                        ? ""
				                    : strstr(inclusion, "inclusive") ? pick(inclusive_writes, &rng)
				                                                     : pick(writes, &rng);
				lines[count] = xasprintf("c%u %s%s%s%s%s%s", count, sizes, serves, inclusion, write,
				                         exclusive ? "" : pick(prefetches, &rng),
				                         level == levels - 1 ? " cores=all" : "");
				count++;
				free(sizes);
			}
		try_machine((const char *const *)lines, count, &rules, cpus, SIMD_AUTO, &rng);
		for (unsigned i = 0; i < count; i++)
			free(lines[i]);
	}
}

/* ---- by hand ---- */

static const struct cache_counters *counters_of(const struct cache_hierarchy *hierarchy, const char *name)
{
	return &cache_hierarchy_find(hierarchy, name)->counters;
}

static void load(struct cache_hierarchy *hierarchy, uint64_t address)
{
	const struct access access = {.address = address, .bytes = 4, .kind = ACCESS_LOAD};
	cache_hierarchy_run(hierarchy, &access, 1);
}

/*
 * Lines 0, 3, 6 of a page: the second equal distance prefetches 9, which is then used. The next one, 9 + 3, too; a page's end
 * stops it. Would catch: a stride taken for one at its first sight, pages mixed up, a prefetch beyond the page.
 */
static void strides_are_seen_within_a_page(void **state)
{
	(void)state;
	const struct cache_rules rules = {0};
	struct cache_hierarchy *hierarchy =
	        make((const char *const[]){"l1 size=8KiB ways=8 prefetch=stride"}, 1, &rules, 1, SIMD_AUTO);
	const struct cache_counters *counters = counters_of(hierarchy, "l1");
	for (unsigned i = 0; i < 3; i++) {
		load(hierarchy, 0x10000 + 64 * 3 * i);
		load(hierarchy, 0x90000 + 64 * 5 * i * i); /* 0, 5, 20: no stride */
		assert_int_equal(counters->prefetches, i == 2);
	}
	assert_true(cache_hierarchy_find(hierarchy, "l1")->ops->holds(hierarchy->caches[0], 0, 0x10000 + 64 * 9, NULL));
	uint64_t misses = counters->misses[ACCESS_LOAD];
	load(hierarchy, 0x10000 + 64 * 9);
	assert_int_equal(counters->misses[ACCESS_LOAD], misses);
	assert_int_equal(counters->prefetch_used, 1);
	assert_int_equal(counters->prefetches, 2);
	for (unsigned line = 61; line < 64; line++)
		load(hierarchy, 0x20000 + 64 * line);
	assert_int_equal(counters->prefetches, 2);
	cache_hierarchy_check(hierarchy);
	cache_hierarchy_destroy(hierarchy);
}

/*
 * cachegrind's rule (cg_sim.c): an access over two lines is one access and one miss, and both its lines are looked up in the next
 * level, the one that hit above too.
 */
static void one_access_over_two_lines_misses_once(void **state)
{
	(void)state;
	const struct cache_rules rules = {.line_crossing = CROSSING_ONE_ACCESS, .modify = MODIFY_LOAD};
	struct cache_hierarchy *hierarchy =
	        make((const char *const[]){"d1 size=512B ways=2", "ll size=256B ways=4"}, 2, &rules, 1, SIMD_AUTO);
	load(hierarchy, 0x1000);
	const struct access crossing = {.address = 0x103c, .bytes = 8, .kind = ACCESS_MODIFY};
	cache_hierarchy_run(hierarchy, &crossing, 1);
	const struct cache_counters *d1 = counters_of(hierarchy, "d1"), *ll = counters_of(hierarchy, "ll");
	assert_int_equal(d1->accesses[ACCESS_LOAD], 2);
	assert_int_equal(d1->misses[ACCESS_LOAD], 2);
	assert_int_equal(ll->accesses[ACCESS_LOAD], 2);
	assert_int_equal(ll->misses[ACCESS_LOAD], 2);
	/* The line that hit above was refreshed below: three more lines leave it and the crossing's second one in four ways last.
	 */
	load(hierarchy, 0x2000);
	load(hierarchy, 0x3000);
	load(hierarchy, 0x4000);
	assert_false(hierarchy->caches[1]->ops->holds(hierarchy->caches[1], 0, 0x1000, NULL));
	assert_true(hierarchy->caches[1]->ops->holds(hierarchy->caches[1], 0, 0x1040, NULL));
	cache_hierarchy_check(hierarchy);
	cache_hierarchy_destroy(hierarchy);
}

/* Would catch: a level reported one too near or too far, which would cost the wrong cycles. */
static void depth_is_where_the_line_was(void **state)
{
	(void)state;
	const struct cache_rules rules = {.rule = CACHE_RULE_WRITEBACK};
	struct cache_hierarchy *hierarchy =
	        make((const char *const[]){"l1 size=64B ways=1", "l2 size=128B ways=2"}, 2, &rules, 1, SIMD_AUTO);
	struct access a = {.address = 0, .bytes = 4, .kind = ACCESS_STORE}, b = {.address = 64, .bytes = 4, .kind = ACCESS_LOAD};
	assert_int_equal(cache_hierarchy_access(hierarchy, &a), 2);
	assert_int_equal(cache_hierarchy_access(hierarchy, &a), 0);
	assert_int_equal(cache_hierarchy_access(hierarchy, &b), 2);
	assert_int_equal(cache_hierarchy_access(hierarchy, &a), 1);
	cache_hierarchy_flush(hierarchy, true);
	assert_int_equal(cache_hierarchy_memory_writes(hierarchy), 1);
	assert_int_equal(cache_hierarchy_memory_reads(hierarchy), 2);
	assert_int_equal(cache_hierarchy_access(hierarchy, &a), 2);
	cache_hierarchy_check(hierarchy);
	cache_hierarchy_destroy(hierarchy);
}

struct refusal {
	const char *lines[3];
	const char *says;
};

/* Would catch: a machine that cannot be, tried; an error that does not name the cache. */
static void what_does_not_fit_is_refused(void **state)
{
	(void)state;
	static const struct refusal refusals[] = {
	        {{"l1 size=1000B ways=8"}, "l1"},
	        {{"l1 size=1KiB ways=3"}, "multiples of 192"},
	        {{"l1 size=1KiB ways=2 prefetch=mis"}, "did you mean 'miss'"},
	        {{"l1 size=1KiB wyas=2"}, "did you mean 'ways'"},
	        {{"l1 size=1KiB ways=2 replacement=lur"}, "lur"},
	        {{"size=1KiB"}, "NAME"},
	        {{"l1 ways"}, "KEY=VALUE"},
	        {{"l1", "l1"}, "two caches l1"},
	        {{"l1 inclusion=exclusive"}, "needs a level above"},
	        {{"l1 line=128B", "l2 inclusion=inclusive"}, "l2"},
	        {{"l1 line=128B", "l2 inclusion=exclusive"}, "l2"},
	        {{"l1", "l2 inclusion=exclusive prefetch=miss"}, "l2"},
	        {{"l1", "l2 inclusion=inclusive write_allocate=no"}, "l2"},
	        {{"l1 serves=data", "l2 inclusion=exclusive"}, "l2"},
	        {{"l1", "l2 inclusion=exclusive", "l3 inclusion=inclusive"}, "l3"},
	        {{"l1 cores=2", "l2 cores=1"}, "l2"},
	        {{"l1 level=2", "l2 level=1"}, "l2"},
	        {{"l1 level=1", "l2 level=1"}, "share a level"},
	};
	const struct cache_rules rules = {0};
	for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
		struct cache_level_spec specs[3] = {0};
		struct error error = {0};
		unsigned count = 0;
		bool read = true;
		while (read && count < 3 && refusals[i].lines[count]) {
			read = cache_spec_read(refusals[i].lines[count], "here", &specs[count], &error);
			count += read;
		}
		struct cache_hierarchy *hierarchy = read ? caches_create(specs, count, &rules, 4, 1, SIMD_AUTO, &error) : NULL;
		if (hierarchy)
			fail_msg("%s was taken", refusals[i].lines[0]);
		assert_int_equal(error.kind, ERROR_USAGE);
		if (!strstr(error.text, refusals[i].says))
			fail_msg("'%s' does not say '%s'", error.text, refusals[i].says);
		for (unsigned spec = 0; spec < count; spec++)
			cache_spec_release(&specs[spec]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(plain_machines_equal_plain_lists), cmocka_unit_test(odd_machines_equal_plain_lists),
	        cmocka_unit_test(strides_are_seen_within_a_page),   cmocka_unit_test(one_access_over_two_lines_misses_once),
	        cmocka_unit_test(depth_is_where_the_line_was),      cmocka_unit_test(what_does_not_fit_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
