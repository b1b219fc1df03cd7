/* SPDX-License-Identifier: MIT
 *
 * cache_level.h - the port of one cache: L1I, L1D, L2, LLC. All its instances (one a core, one for all, one for some cores) are
 * in it. sim/cache_hierarchy.c puts caches together.
 *
 * Models: models/cache_level/{set_assoc,ideal}.c. A model embeds struct cache_level as its first member.
 *
 * A cache takes a batch of requests in order and appends what it asks of the next level to that level's batch, in this order for
 * each request: the fetch of the line, the data written through, the dirty line that had to go, then the same for each line that
 * the prefetcher brings. That is Dinero IV's order (d4ref: its pending references are a stack).
 *
 * Laws (check): for each kind accesses = hits + misses; fills = evictions of all kinds + removals + lines inside; prefetch fills
 * = used + unused ones gone + unused ones inside; write-backs of all kinds, flushes and reads of others + dirty removals + dirty
 * lines inside <= writes + dirty lines received.
 */
#ifndef SIM_PORT_CACHE_LEVEL_H
#define SIM_PORT_CACHE_LEVEL_H

#include "sim/access.h"
#include "sim/level_watch.h"
#include "sim/port/replacement.h"

/* Marks of a way (sim/port/replacement.h), and of a request: it writes its line. */
#define WAY_DIRTY 2ull
#define WAY_PREFETCHED 4ull /* brought by this cache's prefetcher and not used yet */
#define WAY_USED 8ull       /* hit since it came; kept only where a watch asks for it */
/* In its place where nobody watches: the core's next cache may not have the line (models/memory/timed_coherence.c). */
#define WAY_ALONE WAY_USED

/* The smallest and largest line. 16 bytes leave room for the marks in a request's address. */
#define CACHE_LINE_BYTES_MIN 16u
#define CACHE_LINE_BYTES_MAX 4096u

enum cache_serves { SERVES_ALL, SERVES_CODE, SERVES_DATA };

/* What a cache holds of what the caches above it hold. */
enum cache_inclusion {
	INCLUSION_NEITHER,
	INCLUSION_INCLUSIVE, /* everything: what goes here goes there too (back-invalidation) */
	INCLUSION_EXCLUSIVE  /* nothing: it is filled by what leaves the level above, and a hit moves up */
};

enum cache_write { WRITE_BACK, WRITE_THROUGH };

/* Dinero IV's prefetch policies, whole lines, and a stride detector. A prefetch is made at reads, never at stores. */
enum cache_prefetch {
	PREFETCH_NONE,
	PREFETCH_ALWAYS, /* at each read */
	PREFETCH_MISS,   /* at each read that misses */
	PREFETCH_TAGGED, /* at each read that misses or is the first use of a prefetched line */
	PREFETCH_STRIDE  /* when a page's reads show the same distance twice in a row */
};

/* One cache as a scenario describes it (models/cache_settings.c: its keys and their defaults). */
struct cache_level_spec {
	char *name;
	char *model; /* of this port */
	uint64_t size_bytes;
	uint32_t ways; /* 0: one set of all lines */
	uint32_t line_bytes;
	uint32_t level; /* 0: as its place in the list says */
	uint32_t cores; /* that share one; 0: all */
	char *replacement;
	enum replacement_index index;
	enum cache_serves serves;
	enum cache_inclusion inclusion;
	enum cache_write write;
	bool write_allocate;
	enum cache_prefetch prefetch;
	uint32_t prefetch_distance, prefetch_degree; /* lines, or strides, ahead; how many */
	/* What a clock has to know of it (models/memory/timed.c). */
	uint32_t latency_cycles; /* from the core, to the data of a line that is here; LATENCY_AUTO: as its place says */
	uint32_t slots;          /* misses in flight, of one instance; 0: no end */
	uint32_t ports;          /* requests that an instance takes in a cycle; 0: no end */
	uint32_t slices;         /* that share its lines by a hash of the address; 1 and more */
	uint32_t busy_cycles;    /* how long a request keeps its slice; 0: no time */
};

/* No machine has a first level that answers in no time, so 0 is free to mean "as machine.latency has it". */
#define LATENCY_AUTO 0u

/* What the eviction of a dirty line does at the next level. */
enum cache_rule {
	CACHE_RULE_DEMAND,   /* nothing: it goes to memory unseen (cachegrind, drcachesim) */
	CACHE_RULE_WRITEBACK /* a store of a whole line: looks it up, refreshes it, or brings it in (Dinero IV) */
};

/* Requests between levels. Below the first level an address is that of a line, or of a part of one. */
#define REQUEST_WHOLE_LINE 1u   /* a write of every byte of the line: nothing has to be fetched for it */
#define REQUEST_CLEAN_VICTIM 2u /* the level above lets an unwritten line go */
#define REQUEST_MORE 4u         /* the next request belongs to the same access, which counts once */

struct cache_about {
	uint16_t cpu;
	uint8_t kind;   /* enum access_kind: what made the request */
	uint8_t region; /* of the access, as struct access tells it */
	uint16_t order; /* place in the batch that this came from, for merging what the caches of one level send */
	uint8_t flags;
	uint8_t taker; /* of a fetch: number of the cache that the line comes into */
};

/* What an access asks the first level for, or a cache the next one. Written field by field: a struct that the compiler puts
 * together on the stack and takes as a whole is read before its parts have got there. */
static inline void cache_about_set(struct cache_about *about, unsigned cpu, uint8_t kind, uint8_t region)
{
	about->cpu = (uint16_t)cpu;
	about->kind = kind;
	about->region = region;
	about->order = 0;
	about->flags = 0;
	about->taker = 0;
}

/* Requests in order: two arrays, because the hot loops look at the first one only. */
struct cache_batch {
	uint64_t *requests; /* address, its lowest bits the marks (sim/port/replacement.h: run) */
	struct cache_about *about;
	uint32_t count, capacity;
	bool has_groups;                 /* some request has REQUEST_MORE */
	uint64_t accesses[ACCESS_KINDS]; /* that the batch stands for: a request may stand for many in a row to its line */
};

struct cache_counters {
	uint64_t accesses[ACCESS_KINDS], hits[ACCESS_KINDS], misses[ACCESS_KINDS];
	uint64_t fills;                     /* lines brought in */
	uint64_t evictions[ACCESS_KINDS];   /* lines that went for a new one, by the kind of request that brought it */
	uint64_t removals;                  /* lines taken out: back-invalidated, invalidated, moved up */
	uint64_t dirty_received;            /* lines that the exclusive level below handed up with their data */
	uint64_t write_backs[ACCESS_KINDS]; /* dirty lines that left for the next level or memory, by what made them leave */
	uint64_t flush_write_backs;         /* dirty lines that a flush wrote back */
	uint64_t shared_write_backs;        /* dirty lines that another core's read made clean */
	uint64_t to_memory;                 /* of both, those that went to memory: from the last level, or past the others */
	uint64_t dirty_removals;            /* removed lines whose data went to the one who removed them */
	uint64_t fetches;                   /* lines asked of the next level */
	uint64_t writes_through;            /* stores handed on */
	uint64_t clean_victims;             /* clean lines handed to an exclusive next level */
	uint64_t back_invalidations;        /* lines that this cache's evictions took out of the levels above */
	uint64_t prefetches;                /* made by this cache's prefetcher */
	uint64_t prefetch_fills;            /* of them lines that were not here yet */
	uint64_t prefetch_used;             /* prefetched lines used at least once */
	uint64_t prefetch_unused;           /* prefetched lines that went before any use */
};

struct cache_level;

/* Misses of one instance, for accesses of one core that came by routes. */
struct routed_misses {
	const struct access *accesses;
	const struct replacement_route *routes; /* by kind */
	const struct replacement_miss *misses;
	size_t count;
	unsigned cpu;
};

/* What became of a request that take() served. */
struct cache_taken {
	uint64_t evicted;   /* the word that had to go, 0: none */
	bool hit;           /* the line was here, and there is nothing to send */
	bool fetches;       /* the line is asked of the next level, by this kind of request */
	uint8_t fetch_kind; /* enum access_kind */
	bool gives;         /* the word that had to go is dirty, and the next level, or memory, is given it */
};

/* Requests at most of a run that take_run() serves. */
#define CACHE_RUN_MAX 64u

/* Requests to lines of which no two share a set, and what became of them. */
struct cache_run {
	uint64_t requests[CACHE_RUN_MAX];
	uint32_t count;
	/* Filled by take_run(). */
	struct replacement_miss misses[CACHE_RUN_MAX];
	uint32_t missed;
	uint64_t gives;     /* a bit for each miss: the word that had to go is dirty, and the next level, or memory, is given it */
	bool fetches;       /* lines that missed are asked of the next level, by this kind of request */
	uint8_t fetch_kind; /* enum access_kind */
};

struct cache_level_ops {
	const char *name;
	const char *help;
	/* Serves requests of cores that share this instance, in order; `out` NULL: the next level is memory. */
	void (*run)(struct cache_level *, unsigned instance, const struct cache_batch *in, struct cache_batch *out);
	/*
	 * One request, as run() of that request alone, from its lookup to the last thing it asks of the next level, which is
	 * appended to `out`: what the last level sends to memory, too, where next_is_memory. Returns whether the line was here.
	 */
	bool (*serve)(struct cache_level *, unsigned instance, uint64_t request, struct cache_about about,
	              struct cache_batch *out);
	/*
	 * As serve() of a request to a cache that `takes`, but what follows from it is the caller's to send: the line's fetch,
	 * and then the line that had to go. NULL where serve() has to do.
	 */
	struct cache_taken (*take)(struct cache_level *, unsigned instance, uint64_t request, const struct cache_about *about);
	/* As take() of each request, all alike. NULL where take() is. */
	void (*take_run)(struct cache_level *, unsigned instance, const struct cache_about *about, struct cache_run *run);
	/* How accesses of a kind that sets these marks find this instance's array, and its policy; NULL where they have to come
	 * as requests. */
	const struct replacement_ops *(*route)(const struct cache_level *, unsigned instance, uint64_t marks,
	                                       struct replacement_route *route);
	/* An array missed, for accesses that came by a route: counts the misses and sends what follows from them. Every access
	 * was counted as a hit. */
	void (*missed)(struct cache_level *, const struct routed_misses *, struct cache_batch *out);
	/* Makes the next prefetch that waits (prefetches_wait): false if there is none. */
	bool (*prefetch)(struct cache_level *, unsigned instance, struct cache_batch *out);
	/* Takes out all lines that overlap the range. Returns how many; *dirty says whether one of them was dirty. */
	unsigned (*remove)(struct cache_level *, unsigned instance, uint64_t address, uint32_t bytes, bool *dirty);
	/* A line that is here is dirty from now on. Returns whether it is here. */
	bool (*mark_dirty)(struct cache_level *, unsigned instance, uint64_t address);
	/* A line's data were written back because another core reads them: it is clean from now on. Returns whether it was dirty.
	 */
	bool (*clean)(struct cache_level *, unsigned instance, uint64_t address);
	/* A hint to the host: a request of that line will come soon. Changes nothing. NULL: cache_level.arrays tell where it is.
	 */
	void (*foresee)(const struct cache_level *, unsigned instance, uint64_t address);
	/* Whether the byte's line is here; its marks in *marks (may be NULL). */
	bool (*holds)(const struct cache_level *, unsigned instance, uint64_t address, uint64_t *marks);
	/* Writes every dirty line back; all lines stay, clean. */
	void (*write_back)(struct cache_level *, unsigned instance, struct cache_batch *out);
	/* All lines leave, whatever they hold. */
	void (*invalidate)(struct cache_level *, unsigned instance);
	/* Calls back for every line that is here. */
	void (*each_line)(const struct cache_level *, unsigned instance, void (*visit)(void *, uint64_t address, uint64_t marks),
	                  void *context);
	void (*check)(const struct cache_level *);
	void (*destroy)(struct cache_level *);
};

struct cache_level {
	const struct cache_level_ops *ops;
	const struct cache_level_spec *spec; /* owned by the hierarchy */
	unsigned line_shift;
	unsigned instances;
	uint64_t entries;            /* lines of an instance; 0: it has no end */
	struct replacement **arrays; /* one an instance, of a cache made of sets; NULL: of no other; owned */
	uint8_t number;              /* in the hierarchy */
	uint32_t next_line_bytes;    /* of the next level; the own where that is memory */
	enum cache_rule rule;
	bool next_is_exclusive;
	bool next_is_memory;    /* it is the last level: serve() and prefetch() append what goes to memory and count it as such */
	bool asks_for_accesses; /* a miss asks the next level for what the access touches, not for the line: cachegrind */
	bool fetches_whole_lines; /* even a store of a whole line fetches: a level below has to hold every line */
	uint32_t keep_dirty; /* bit by number: who takes dirty lines from an exclusive cache; for others they are written back */
	bool is_plain;       /* neither prefetcher nor feedback nor odd writes: run() may take requests USED_AGAIN */
	bool takes; /* take() may serve: as is_plain, but for the lines that an inclusive cache takes out of those above it */
	bool prefetches_wait; /* run() leaves prefetches to prefetch(), so that what it sends can be served before them */
	uint64_t evicted;     /* the word that had to go for the last serve() or prefetch(), 0: none */
	bool handed_up_dirty; /* the last request moved a dirty line up; cleared by who reads it */
	struct cache_counters counters;
	struct level_watch *watch; /* told of every line looked up and every line that has to go; NULL: nobody watches */
	/* Takes a line out of the levels above; returns how many caches held it. NULL unless inclusive. */
	unsigned (*back_invalidate)(void *context, struct cache_level *, unsigned instance, uint64_t address, bool *dirty);
	void *back_invalidate_context;
};

struct cache_level_wiring {
	const struct cache_level_spec *spec;
	unsigned instances;
	enum cache_rule rule;
	enum simd simd;
	uint64_t seed;
	/* Makes the array of one instance: NULL with *error on failure. */
	struct replacement *(*array)(const char *policy, const struct replacement_wiring *, struct error *);
};

/* As ops->foresee(). */
static inline void cache_level_foresee(const struct cache_level *cache, unsigned instance, uint64_t address)
{
	if (cache->ops->foresee) {
		cache->ops->foresee(cache, instance, address);
		return;
	}
	const struct replacement *array = cache->arrays[instance];
	const uint64_t *words = replacement_words(array, replacement_set_of(array, address >> cache->line_shift));
	__builtin_prefetch(words, 1);
	__builtin_prefetch(words + array->stride - 1, 1);
}

/* As ops->holds(). A line that was used just now is mostly the first of its set, so that is looked at first. */
static inline bool cache_level_holds(const struct cache_level *cache, unsigned instance, uint64_t address, uint64_t *marks)
{
	const uint64_t tag = address >> cache->line_shift;
	if (cache->arrays) {
		const struct replacement *array = cache->arrays[instance];
		const uint64_t word = *replacement_words(array, replacement_set_of(array, tag));
		if ((word & ~WAY_OWNERS_MARKS) == way_word(tag, WAY_VALID)) {
			*marks = word & WAY_MARKS;
			return true;
		}
	}
	return cache->ops->holds(cache, instance, address, marks);
}

/* Tells the watch of an access that is done with, whose first request this was. */
static inline void cache_level_watch_done(struct cache_level *cache, const struct cache_about *about, bool missed)
{
	struct watch_kind *seen = level_watch_kind(cache->watch, about->kind, about->region);
	seen->accesses++;
	seen->misses += missed;
}

void cache_batch_reserve(struct cache_batch *batch, uint32_t count);
void cache_batch_release(struct cache_batch *batch);

static inline void cache_batch_clear(struct cache_batch *batch)
{
	batch->count = 0;
	batch->has_groups = false;
	for (unsigned kind = 0; kind < ACCESS_KINDS; kind++)
		batch->accesses[kind] = 0;
}

/* Appends without counting an access. */
static inline void cache_batch_append(struct cache_batch *batch, uint64_t request, struct cache_about about)
{
	if (__builtin_expect(batch->count == batch->capacity, 0))
		cache_batch_reserve(batch, batch->count + 1);
	batch->requests[batch->count] = request;
	batch->about[batch->count++] = about;
}

static inline void cache_level_run(struct cache_level *cache, unsigned instance, const struct cache_batch *in,
                                   struct cache_batch *out)
{
	SIM_ASSERT(instance < cache->instances);
	cache->ops->run(cache, instance, in, out);
}

static inline void cache_level_destroy(struct cache_level *cache)
{
	if (cache)
		cache->ops->destroy(cache);
}

#endif
