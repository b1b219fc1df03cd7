/* SPDX-License-Identifier: MIT
 *
 * replay.h - the main loop: ops of a recording go through the allocators, in the recording's order.
 *
 *     trace -> op -> allocator decides -> steps -> core pays (timing: cycles)
 *                         |
 *                         +-> counters, samples -> store
 *
 * Decisions are always taken in the order of the recording, so that allocators give the same addresses with and without timing,
 * and at any pace. With `timing: cycles` an op's steps join the queue of the core that recorded it, at the recorded time or, at
 * pace asap, as soon as that core has room.
 *
 * A wrong op (a free of nothing, a double free, ...) is counted and told with its place; the state stays sound.
 *
 * From a recorded start state (config.from_state) the ops before its moment are not replayed: what they left live is in the
 * state, at the recorded addresses. From then on each address the recording tells is held against the model's, and calls that
 * leave no event are made where their effect is seen (follow.h). A page block that the model took from another place of its
 * lists than the kernel is exchanged for the recorded one (port op exchange), so that one unseen call does not part the two for
 * good; "equal" counts what the model decided before that.
 *
 * MODEL: with `timing: cycles` the calls made to follow a recording are paid by the op that showed them.
 *
 * Laws: every op is in exactly one counter of struct replay_counters; live ids = live at the start + allocations - frees.
 */
#ifndef SIM_REPLAY_H
#define SIM_REPLAY_H

#include "sim/daemon_jobs.h"
#include "sim/follow_pages.h"
#include "sim/metric.h"
#include "sim/page_maps.h"
#include "sim/port/access_source.h"
#include "sim/port/object_allocator.h"
#include "sim/port/page_allocator.h"
#include "sim/port/user_memory.h"
#include "sim/port/virtual_allocator.h"
#include "sim/store.h"
#include "sim/trace.h"

#include <signal.h>

/* Wrong ops beyond this many are counted, not listed. */
#define WRONG_OPS_LISTED 1000

/* Whom a core's accesses are counted for (core_push): a cache of the object allocator, or pages, large kmallocs and daemons. */
#define REPLAY_OWNER_NONE 0u
static inline uint32_t replay_owner_of_cache(uint32_t cache)
{
	return cache + 1;
}

/* More samples than this are refused: they would be a mistake in the unit. */
#define SAMPLES_MAX 1000000u

struct replay_config {
	bool asap; /* ignore recorded times */
	bool stop_on_error;
	uint64_t sample_every_ns;         /* 0 = no samples but the last */
	uint64_t dump_every_ns;           /* 0 = no dumps but the last */
	uint64_t paranoid_every;          /* check() of everything every so many ops; 0 = at the end only */
	uint64_t frequency_mhz;           /* cycles per microsecond, > 0 */
	unsigned cpus;                    /* ops of cpus beyond are folded onto these */
	uint32_t instructions_per_access; /* of a program (sim/replay_program.h) */
	uint32_t caller_code;       /* a piece of the machine's code that a core runs before each op, as JOB_TOUCH; 0: none */
	struct daemon_cpus daemons; /* where the page allocator's run */
	unsigned user_memory_cpu;   /* where that of the processes' memory runs (user_memory_tick) */
	bool from_state;            /* the allocators hold the recorded kernel's state of the window's start */
	struct trace_window window; /* with from_state: ops outside are left out */
	uint64_t direct_map;        /* with from_state: where the addresses of objects begin */
};

struct replay_counters {
	/* ops = the sum of the next twenty-three */
	uint64_t ops;
	uint64_t object_allocs, object_frees, page_allocs, page_frees, marks;
	uint64_t failed_object_allocs, failed_page_allocs; /* no memory in the simulated machine */
	uint64_t frees_of_failed;                          /* their frees, which have nothing to free */
	uint64_t wrong_ops;                                /* told one by one in table wrong_op */
	uint64_t refused_caches_allocs;                    /* allocations from a cache that the allocator could not make */

	uint64_t area_allocs, area_frees, failed_area_allocs; /* ranges of kernel addresses */
	uint64_t process_ops, failed_process_ops;             /* of processes; the failed ones found no memory */

	uint64_t page_maps, page_map_waits, page_unmaps; /* pages given an address (sim/page_maps.h) */
	uint64_t page_clears, page_copies;               /* of whole blocks */
	uint64_t failed_page_uses;                       /* of these, of pages that could not be allocated */

	uint64_t first_failed_op, first_failed_pages_free; /* of the first allocation of objects that found no memory; 0: none */

	uint64_t skipped_ops;      /* outside of the time from start state to end state */
	uint64_t frees_of_unknown; /* of what the start state does not have live */

	/* From a start state: recorded addresses held against the model's, and why they differ (follow.h). */
	uint64_t address_compared, address_equal;
	uint64_t address_unseen_free, address_unseen_alloc, address_lost, address_page; /* compared = equal + these */
	uint64_t page_address_compared, page_address_equal;
	uint64_t frees_put_off;                            /* among object_frees: asked for here, made later (follow_rcu.h) */
	uint64_t frees_made_before;                        /* among object_frees: of what was freed when its effect showed */
	uint64_t kfree_rcu_frees;                          /* without an op */
	uint64_t unseen_allocs_made, unseen_allocs_missed; /* among object_allocs and frees_of_failed's allocations */
	uint64_t start_objects, start_page_blocks;         /* of the recording's, live at the start */

	uint64_t page_maps_late,
	        page_maps_given_up;               /* of page_map_waits, those that got a slot; that were to be unmapped before */
	uint64_t pages_cleared, pages_copied;     /* by page_clears and page_copies, page by page */
	uint64_t live_processes, pages_processes; /* at the end; frames that user memory holds */
	uint64_t live_objects, live_page_blocks, live_areas, live_page_maps;
	uint64_t pages_areas;                                  /* behind areas, their tables too */
	uint64_t pages_mapped;                                 /* of the recording's, given to calls that map them */
	uint64_t bytes_req, bytes_alloc;                       /* of live objects */
	uint64_t total_bytes_requested, total_bytes_allocated; /* over all allocations, as perf kmem counts */
	uint64_t ping_pong;                                    /* freed on another cpu than allocated: perf kmem's Ping-pong */
	uint64_t bytes_alloc_compared,
	        bytes_alloc_equal; /* allocations whose bytes_alloc the recording has; and those that agree */
	uint64_t pages_unmovable, pages_movable, pages_reclaimable; /* held by the recording's own page allocations */
	uint64_t moved_pages;                                       /* compaction gave a live page allocation another frame */
	uint64_t peak_pages;                                        /* most frames allocated at once, all owners */
	uint64_t peak_slab_pages;                                   /* most frames held by the object allocator at once */
	uint64_t peak_bytes_req;
};

extern const struct metric replay_metrics[];

/* Accounts of one cache of the object allocator, by cache_id. */
struct replay_cache {
	uint64_t total_allocs, total_frees;
	uint64_t bytes_req, bytes_alloc;
	uint64_t live_bytes_req, live_bytes_alloc;
	uint64_t compared, equal; /* bytes_alloc against the recording */
	uint64_t address_compared, address_equal;
	uint64_t slabs_peak; /* as seen by samples */
};

struct replay_call_site {
	uint64_t hit, ping_pong;
	uint64_t bytes_req, bytes_alloc;
	uint64_t live_objects, live_bytes_req, live_bytes_alloc;
};

struct replay_parts {
	struct trace *trace;
	struct page_allocator *pages;
	struct object_allocator *objects;
	struct virtual_allocator *areas; /* NULL: the recording has none */
	struct user_memory *users;       /* NULL: the recording has no processes */
	struct page_mapper *mapper;      /* NULL: the recording maps no pages */
	struct access_source *accesses;  /* of the program that OP_PROCESS_RUN is about; NULL: no op is */
	struct steps *steps;
	struct machine *machine;              /* NULL: timing none */
	const struct cache_hierarchy *caches; /* behind the machine's memory, sampled with the rest; NULL: none */
	const struct mmu *mmu;                /* one for each cpu, likewise; NULL: none */
	struct store *store;                  /* NULL: nothing is stored */
	int64_t run_id;
	/* Called at each dump moment with the number of the sample taken then, and at the end; may be NULL. false ends the
	 * replay. */
	bool (*dump)(void *context, uint32_t sample, bool last, struct error *error);
	void *dump_context;
};

enum replay_status { REPLAY_COMPLETE, REPLAY_INTERRUPTED, REPLAY_FAILED };

struct replay;
struct space_peak;       /* sim/space_peaks.h */
struct program_counters; /* sim/replay_program.h */

/* Makes the caches of the recording in the object allocator. NULL with *error filled if the parts do not fit together. */
struct replay *replay_create(const struct replay_config *config, const struct replay_parts *parts, struct error *error);
void replay_destroy(struct replay *replay);

/*
 * Runs to the end of the recording, until *interrupt is set, or until an error (then *error says it). What was measured up to
 * there stands in the counters and the store; the last sample is the state at the end.
 */
enum replay_status replay_run(struct replay *replay, const struct progress *progress, const volatile sig_atomic_t *interrupt,
                              struct error *error);

const struct replay_counters *replay_counters(const struct replay *replay);
/* NULL: there is no program. */
const struct program_counters *replay_program_counters(const struct replay *replay);
/* How the page allocator was kept beside the recording; NULL if it was not. */
const struct follow_pages_counters *replay_follow_pages(const struct replay *replay);
const struct replay_cache *replay_cache(const struct replay *replay, cache_id cache);
const struct replay_call_site *replay_call_site(const struct replay *replay, uint32_t call_site);
/* Of an address space of the recording (trace_spaces()). */
const struct space_peak *replay_space_peak(const struct replay *replay, uint32_t space);
/* Number of samples taken, and the simulated time reached. */
uint32_t replay_samples(const struct replay *replay);
uint64_t replay_time_ns(const struct replay *replay);

/* Recounts the live table against the counters and calls check() of every part. */
void replay_check(const struct replay *replay);

#endif
