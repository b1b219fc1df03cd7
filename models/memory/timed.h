/* SPDX-License-Identifier: MIT
 *
 * timed.h - what the files of the memory model `timed` share: timed.c (accesses), timed_levels.c (requests through the levels),
 * timed_serve.h (what a request meets at one), timed_plan.c (requests known beforehand), timed_run.c (lines of one
 * access), timed_coherence.c (several cores), timed_make.c (making it), timed_check.c (counters and laws).
 */
#ifndef MODELS_MEMORY_TIMED_H
#define MODELS_MEMORY_TIMED_H

#include "models/settings.h"
#include "sim/cache_hierarchy.h"
#include "sim/interconnect.h"
#include "sim/mmu.h"
#include "sim/port/dram.h"
#include "sim/port/memory.h"
#include "sim/reserve.h"
#include "sim/usual_lines.h"

/* A cache under the clock; what has an array has one element for each instance. */
struct timed_level {
	struct cache_level *cache;
	unsigned depth;
	uint32_t latency;        /* from the core, to the data of a line that is here */
	struct cache_batch sent; /* by the last request */
	enum cost_part part;
	struct fill_set *fills;
	struct port_set *ports;  /* NULL: no end of them */
	struct timeline *slices; /* slices of them for each instance; NULL: they take no time */
	bool is_sliced;          /* a line's slice costs time, or the way to it */
	bool is_far;             /* so many lines that the host does not have its sets at hand */
	struct interconnect interconnect;
	/*
	 * The line that was used last, by a hit, among those whose numbers have these lowest bits, and whether a store to it
	 * changes nothing but its data: line << 1 | writable. The bits are some of the set's, so the line is its set's last, and
	 * using it once more changes nothing in any policy. NULL: every use has to be told.
	 */
	uint64_t *recent;
	uint64_t recent_mask;
};

/*
 * Whether a hit there is told by the cycles of the first level alone (memory_ops.access): the way to a slice is another part, and
 * no cycle at all would not be told from cycles that stand in the cost.
 */
static inline bool timed_level_is_plain(const struct timed_level *level)
{
	return !level->is_sliced && level->latency > 0;
}

/* A cache on the short path of a core's requests. */
struct timed_stop {
	struct timed_level *level; /* NULL: requests go the long way from here on */
	struct cache_level *cache;
	struct fill_set *fills;
	unsigned instance;
};

/* The short path of a kind of request, by depth: caches that take it one after the other (cache_level_ops.take), and ask for
 * lines as long as their own. */
struct timed_path {
	struct timed_stop stop[CACHE_LEVELS_MAX + 1];
};

/* Where a core's accesses of a kind enter. */
struct timed_entry {
	struct timed_level *level; /* NULL: no cache of the first level serves them, or their path is always the long one */
	struct fill_set *fills;
	struct port_set *ports;
	uint64_t *recent;
	uint64_t recent_mask;
	uint64_t mark;             /* 1: a writable line is needed */
	uint64_t *accesses, *hits; /* the cache's counters of them */
	uint32_t ports_count, latency;
	unsigned shift;     /* log2 of the cache's line */
	unsigned run_lines; /* whole lines of an access that may be looked up at once (timed_run.h); 0: one after the other */
	/* The short path, for accesses that other cores need not be told of first; NULL: there is none. */
	const struct timed_stop *stop;
	/* Of ACCESS_MODIFY, which enters as a load: the store that follows in the same cache. */
	const struct timed_entry *store;
};

struct timed_core {
	struct mmu *mmu; /* NULL: addresses are taken as they are */
	unsigned cpu;
	unsigned stop;                          /* of the interconnect */
	cycle *walker;                          /* when each is free again; owned */
	uint8_t instance[HIERARCHY_CACHES_MAX]; /* that it uses of each cache */
	bool modifies_quickly;                  /* loads and stores both have short paths */
	struct timed_entry entry[ACCESS_KINDS];
	struct timed_path path[ACCESS_KINDS];
	struct usual_lines *usual; /* of data, and of code; among timed_memory's */
};

struct timed_counters {
	uint64_t lines;                                    /* accessed, by page walks too */
	uint64_t l1_hits, l2_hits, llc_hits, dram_fetches; /* of them, by what had the line */
	uint64_t remote_fetches;                           /* another core, or a shared cache of others, had it */
	uint64_t fill_waits, fill_wait_cycles;             /* for a line on its way */
	uint64_t slot_waits, slot_wait_cycles;             /* for a free miss slot */
	uint64_t port_wait_cycles, slice_wait_cycles;
	uint64_t walks, walk_cycles; /* page walks that an access waited for, a free walker's wait with them */
	uint64_t walker_waits, walker_wait_cycles;
	uint64_t tlb_cycles;                       /* of further TLBs' lookups */
	uint64_t transfers_clean, transfers_dirty; /* of lines from other cores and their shared caches */
	uint64_t shared_transfers;                 /* of both, those from shared caches */
	uint64_t invalidations;                    /* copies that went for another core's store */
	uint64_t shared_invalidations;             /* of them, those in shared caches */
	uint64_t upgrades;                         /* stores to a line that the core had and others too */
	uint64_t line_waits, line_wait_cycles;     /* for a line on its way to, or kept by, another core */
	uint64_t dram_reads, dram_writes;
	uint64_t uncached; /* of both, requests that no cache serves */
};

/* The same of one core. */
struct memory_core_counters {
	uint64_t transfers_clean, transfers_dirty; /* to it */
	uint64_t transfers_given;                  /* from it */
	uint64_t invalidations_sent, invalidations_received;
	uint64_t upgrades;
};

extern const struct metric memory_core_metrics[];

struct coherence;
struct timed_plan;

struct timed_memory {
	struct memory memory;
	struct cache_hierarchy *caches; /* not owned */
	struct dram *dram;              /* not owned */
	unsigned cpus;
	unsigned line_shift; /* accesses are cut into these */
	uint32_t atomic_cycles;
	uint32_t walkers;
	bool modify_is_load;                                          /* an access that loads and stores counts as a load */
	struct timed_level level[HIERARCHY_CACHES_MAX];               /* by the cache's number */
	struct timed_level *next[ACCESS_KINDS][CACHE_LEVELS_MAX + 1]; /* from a depth on; NULL: memory */
	struct timed_core *core;                                      /* owned */
	struct timed_plan *plan;                                      /* owned; NULL: there never is one */
	unsigned leaves_core; /* depth from which on other cores have a say; UINT_MAX: there is no other */
	/* Whether what asks the level at a depth, or below where that passes the kind by, comes from a core's own caches, or from
	 * the core, and other cores have a say there. */
	bool leaves_at[ACCESS_KINDS][CACHE_LEVELS_MAX + 1];
	struct coherence *coherence; /* NULL: no two cores have caches of their own; owned */
	uint64_t *depth_counter[CACHE_LEVELS_MAX + 2];
	unsigned served_by;   /* depth of the level that had the last line asked for; `levels`: memory, one more: another core */
	bool has_usual;       /* some core's accesses may be usual (sim/usual_lines.h) */
	bool is_planned;      /* the next request was told of before (timed_plan.h) */
	bool is_foreseen;     /* the host knows what the request on its way will look at */
	uint64_t to_linear;   /* of the access at work: what its physical address lacks to its linear one */
	struct cost unseen;   /* cycles that nobody waits for */
	struct cost unasked;  /* parts that nobody asks for, as those of page walks, which count as a whole */
	uint32_t kept_cycles; /* how long a locked instruction keeps its line after the access */
	struct timed_counters counters;
};

extern const struct memory_ops memory_timed_ops;

extern const struct metric timed_metrics[];

/* memory_ops.check (laws: timed_check.c). */
void timed_check(const struct memory *memory);

#endif
