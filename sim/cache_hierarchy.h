/* SPDX-License-Identifier: MIT
 *
 * cache_hierarchy.h - the caches of a machine, put together from the cache_level port.
 *
 *     accesses -> level 1 (L1I, L1D) -> level 2 -> ... -> last level -> memory
 *
 * A level is one cache, or one for code and one for data. Each cache has as many instances as its `cores` say: core c uses
 * instance c / cores. A kind of access that no cache of a level serves passes that level by.
 *
 * A batch runs level after level: all of it through the first, what that asks for through the second, and so on. Where a level
 * takes lines out of another one (inclusive, exclusive), each request runs to the end before the next begins. The counts do not
 * depend on how a stream is cut into batches, and caches without such relations give the same counts either way.
 *
 * Invariant: an inclusive cache holds every line of the levels above it. cache_hierarchy_check() proves it beside the caches'
 * laws.
 */
#ifndef SIM_CACHE_HIERARCHY_H
#define SIM_CACHE_HIERARCHY_H

#include "sim/port/cache_level.h"

#define CACHE_LEVELS_MAX 8u
#define HIERARCHY_CACHES_MAX (2 * CACHE_LEVELS_MAX)

/* What an access over several lines is. */
enum line_crossing {
	CROSSING_EACH_LINE, /* one access a line (Dinero IV, drcachesim) */
	CROSSING_ONE_ACCESS /* one access and at most one miss, then all its lines are asked of the next level (cachegrind) */
};

/* What a load-store is. */
enum modify_counts {
	MODIFY_LOAD_STORE, /* a load, then a store */
	MODIFY_LOAD        /* a load; its line is dirty all the same (cachegrind) */
};

struct cache_rules {
	enum cache_rule rule;
	enum line_crossing line_crossing;
	enum modify_counts modify;
	uint32_t walk_level; /* the first level that the page walker asks; 0 and 1: the first there is */
};

struct cache_hierarchy_wiring {
	const struct cache_level_spec *specs; /* from the first level down; copied */
	unsigned count;
	struct cache_rules rules;
	unsigned cpus;
	uint64_t seed;
	enum simd simd;
	bool one_by_one;             /* each request to its end before the next, even where nothing asks for it */
	bool watch;                  /* each cache has a watch (level_watch.h); slower */
	const uint32_t *watch_owner; /* whose accesses come now; may be NULL */
	struct cache_level *(*level)(const struct cache_level_wiring *, struct error *);
	struct replacement *(*array)(const char *policy, const struct replacement_wiring *, struct error *);
};

/* How a kind of access enters. */
struct cache_entry {
	uint8_t list;  /* of its first level; below */
	uint8_t shift; /* log2 of the line it is split by */
	bool simple;   /* an access within one line is one request of its own kind */
	uint64_t marks;
};

/* The lists that a level's requests are sorted into: its caches, and what passes it by. */
#define LIST_PASSING 2u
#define LISTS 3u

struct cache_hierarchy_level {
	struct cache_level *cache[2];
	unsigned caches;
	uint8_t list_of[ACCESS_KINDS];
	bool is_one;    /* one cache with one instance for all that comes */
	bool is_shared; /* every cache has one instance */
	struct cache_batch list[LISTS], sent[LISTS];
	uint64_t last_line[LISTS];
	struct cache_batch out;
};

struct cache_hierarchy {
	struct cache_rules rules;
	unsigned cpus, levels;
	bool one_by_one;
	uint32_t grain_shift[2]; /* log2 of the smallest line that code, that data may be cut into */
	struct cache_hierarchy_level level[CACHE_LEVELS_MAX];
	struct cache_entry entry[ACCESS_KINDS];
	struct replacement_route *routes;     /* ACCESS_KINDS for each cpu; NULL where accesses have to become requests */
	const struct replacement_ops *routed; /* the policy of all routes */
	struct replacement_miss misses[ACCESS_BATCH];
	struct cache_batch entering;                         /* one by one: the requests of the access that is on its way in */
	struct cache_level_spec specs[HIERARCHY_CACHES_MAX]; /* owned; in the order given */
	struct cache_level *caches[HIERARCHY_CACHES_MAX];
	unsigned depth[HIERARCHY_CACHES_MAX];
	unsigned count;
	uint64_t uncached; /* requests that no cache serves */
};

/* NULL with *error naming the cache and what does not fit. */
struct cache_hierarchy *cache_hierarchy_create(const struct cache_hierarchy_wiring *wiring, struct error *error);
void cache_hierarchy_destroy(struct cache_hierarchy *hierarchy);

/* Accesses in order, addresses physical (or as they are to be looked up). A cpu beyond the machine's shares the core cpu modulo
 * cpus. */
void cache_hierarchy_run(struct cache_hierarchy *hierarchy, const struct access *accesses, size_t count);

/* One access. Returns how many levels did not have (all of) it: 0 for a hit in the first, `levels` if memory had to give it. */
unsigned cache_hierarchy_access(struct cache_hierarchy *hierarchy, const struct access *access);

/*
 * Everything dirty is written back, level after level, and counted by the next one as the rule says. With `invalidate` no line
 * stays in any cache.
 */
void cache_hierarchy_flush(struct cache_hierarchy *hierarchy, bool invalidate);

/* The instance of a cache that a core uses. */
static inline unsigned cache_hierarchy_instance(const struct cache_level *cache, unsigned cpu)
{
	return cache->spec->cores ? cpu / cache->spec->cores : 0;
}

/* An exclusive cache gave a dirty line away (handed_up_dirty): the one above that the line came into has it now. */
void cache_hierarchy_hand_up(struct cache_hierarchy *hierarchy, struct cache_level *cache, uint64_t address,
                             const struct cache_about *about);

/* The cache of that name, NULL if there is none. Counters: ->counters. */
const struct cache_level *cache_hierarchy_find(const struct cache_hierarchy *hierarchy, const char *name);

/* Lines read from memory and written to it. */
uint64_t cache_hierarchy_memory_reads(const struct cache_hierarchy *hierarchy);
uint64_t cache_hierarchy_memory_writes(const struct cache_hierarchy *hierarchy);

void cache_hierarchy_check(const struct cache_hierarchy *hierarchy);

#endif
