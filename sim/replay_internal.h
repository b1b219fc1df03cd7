/* SPDX-License-Identifier: MIT
 *
 * replay_internal.h - what the files of the replay share. Only sim/replay*.c include it.
 *
 *   replay.c          making one, the loop over all ops, who pays for an op, what is told of it
 *   replay_objects.c  objects and kmallocs
 *   replay_pages.c    blocks of pages, areas of kernel addresses, addresses for pages
 *   replay_users.c    processes and programs (calls of the port: replay_process.h, replay_program.h)
 *   replay_ticks.c    what is due at a time: samples, dumps, daemons
 *   replay_start.c    from a recorded start state on: what all ops say of it, which ones lie before it
 *   replay_check.c    the laws
 */
#ifndef SIM_REPLAY_INTERNAL_H
#define SIM_REPLAY_INTERNAL_H

#include "sim/follow.h"
#include "sim/follow_kfree_rcu.h"
#include "sim/follow_rcu.h"
#include "sim/replay.h"
#include "sim/replay_process.h"
#include "sim/replay_program.h"
#include "sim/space_peaks.h"

/* Ops that are read at once. */
#define BATCH_OPS 1024

/*
 * LIVE_BEFORE: allocated by an op before the start state. LIVE_LARGE: such a kmalloc of whole pages, which only the page
 * allocator knows. LIVE_UNKNOWN: not in the start state.
 */
enum live_state {
	LIVE_NOT,
	LIVE_OBJECT,
	LIVE_PAGES,
	LIVE_FAILED,
	LIVE_BEFORE,
	LIVE_LARGE,
	LIVE_UNKNOWN,
	LIVE_AREA,
	LIVE_MAP,
	LIVE_PROCESS
};

/* What an id stands for now. */
struct live {
	uint64_t address; /* of an object; frame number of pages */
	uint32_t bytes_req, bytes_alloc;
	uint32_t call_site;
	uint32_t cache; /* cache_id.nr, UINT32_MAX for large kmallocs */
	uint16_t cpu;
	uint8_t state;
	uint8_t order;    /* pages; of an area the call */
	bool gone;        /* an object that kfree_rcu() freed, without an op */
	bool other_areas; /* a process whose areas are not the recorded ones: there was no memory for a change */
	uint32_t gfp;     /* pages: decides the owner's mobility */
};

/* A clock tick that repeats in recorded time. */
struct tick {
	uint64_t every_ns, next_ns;
};

/* Blocks of one order that the recording asked for, and those that it did not get; and both at the last sample. */
struct order_requests {
	uint64_t asked, failed;
	uint64_t sampled_asked, sampled_failed;
};

struct replay {
	struct replay_config config;
	struct replay_parts parts;
	struct replay_counters counters;
	const struct trace_info *info;
	struct live *live;
	uint32_t *id_of_frame;         /* by frame, for frames of single live pages; NULL until a page moves */
	cache_id *caches;              /* by the recording's cache index */
	struct replay_cache *by_cache; /* by cache_id */
	uint32_t by_cache_count;
	struct replay_call_site *by_call_site;
	struct order_requests by_order[ORDERS];
	uint64_t time_ns;
	uint64_t next_tick_ns; /* the earliest of those below */
	struct tick sample, dump;
	uint64_t next_daemon_ns;      /* the earliest of these two */
	uint64_t daemon_ns[CPUS_MAX]; /* when the object allocator has work of its own on a CPU */
	uint64_t vmstat_ns[CPUS_MAX]; /* the same of the page allocator */
	uint32_t samples;
	/* from a start state */
	bool before_start; /* its moment has not come yet */
	struct follow follow;
	pfn **mapped; /* by id: pages that an area maps, owned; NULL: the recording has no areas */
	struct page_maps page_maps;
	struct space_peaks space_peaks;
	struct program_replay program;
	bool follows; /* the page allocator too: */
	struct follow_pages follow_pages;
	struct follow_kfree_rcu follow_kfree_rcu;
	bool puts_off; /* frees of SLAB_TYPESAFE_BY_RCU caches wait: */
	struct follow_rcu follow_rcu;
	uint32_t *seen_align;   /* by the recording's cache index: alignment that all its addresses have; 0 = too few of them */
	bool *unseen_calls;     /* by the recording's cache index: it has allocations without an event */
	uint64_t start_unknown; /* frames in use that no op and no slab stands for */
	uint64_t areas_before;  /* areas that were there when the replay began */
};

static inline bool is_object_op(const struct op *op)
{
	return op->kind <= OP_KFREE;
}

/* The frame that an object lies in. */
static inline uint32_t frame_of(const struct replay *replay, uint64_t address)
{
	uint64_t frame = (address - replay->config.direct_map) >> PAGE_SHIFT;
	return address >= replay->config.direct_map && frame < UINT32_MAX ? (uint32_t)frame : UINT32_MAX;
}

/* Whose slabs an op's object lies in: a number for each cache of the recording, and for each size of kmalloc. */
static inline uint32_t owner_of_op(const struct op *op)
{
	bool cache = op->kind == OP_CACHE_ALLOC || op->kind == OP_CACHE_FREE;
	return cache ? op->cache : 1u << 31 | (op->bytes_alloc & ~(1u << 31));
}

/* Whether RCU makes a cache's frees. */
static inline bool is_put_off(const struct replay *replay, uint32_t cache)
{
	return replay->puts_off && trace_cache(replay->parts.trace, cache)->flags & SLAB_TYPESAFE_BY_RCU;
}

/* Frames that areas hold, and processes. */
static inline uint64_t pages_of_areas(const struct replay *replay)
{
	return replay->parts.areas ? replay->parts.areas->ops->pages_held(replay->parts.areas) : 0;
}

static inline uint64_t pages_of_processes(const struct replay *replay)
{
	return replay->parts.users ? replay->parts.users->ops->pages_held(replay->parts.users) : 0;
}

/* Cycles since the start of the recording. */
static inline cycle cycle_at(const struct replay *replay, uint64_t time_ns)
{
	return (time_ns - replay->info->first_ns) * replay->config.frequency_mhz / 1000;
}

/* Whichever is due first. */
static inline void set_next_tick(struct replay *replay)
{
	uint64_t next_ns = replay->sample.next_ns < replay->dump.next_ns ? replay->sample.next_ns : replay->dump.next_ns;
	replay->next_tick_ns = next_ns < replay->next_daemon_ns ? next_ns : replay->next_daemon_ns;
}

/* The free of what could not be allocated. Always true: the run goes on. */
static inline bool replay_free_of_failed(struct replay *replay, struct live *live)
{
	replay->counters.frees_of_failed++;
	live->state = LIVE_NOT;
	return true;
}

/* ---- replay.c ---- */

/* The accounts of a cache; caches that a destroy and a create reuse share them. */
struct replay_cache *replay_cache_account(struct replay *replay, uint32_t cache);
/* Counts and tells a wrong op; false if the run stops at it. */
bool replay_wrong_op(struct replay *replay, const struct op *op, const char *what, struct error *error);

/* ---- each decides one op; false: the run stops at it, *error says why ---- */

bool replay_alloc_object(struct replay *replay, const struct op *op, unsigned cpu, struct error *error);
bool replay_free_object(struct replay *replay, const struct op *op, const struct op *next, unsigned cpu, struct error *error);
bool replay_alloc_pages(struct replay *replay, const struct op *op, unsigned cpu, struct error *error);
bool replay_free_pages(struct replay *replay, const struct op *op, unsigned cpu, struct error *error);
bool replay_alloc_area(struct replay *replay, const struct op *op, unsigned cpu, struct error *error);
bool replay_free_area(struct replay *replay, const struct op *op, unsigned cpu, struct error *error);
bool replay_map_page(struct replay *replay, const struct op *op, unsigned cpu, struct error *error);
bool replay_unmap_page(struct replay *replay, const struct op *op, unsigned cpu, struct error *error);
bool replay_clear_pages(struct replay *replay, const struct op *op, unsigned cpu, struct error *error);
bool replay_copy_pages(struct replay *replay, const struct op *op, unsigned cpu, struct error *error);
bool replay_decide_process(struct replay *replay, const struct op *op, unsigned cpu, struct error *error);
bool replay_run_program(struct replay *replay, const struct op *op, struct error *error);

/* ---- replay_objects.c ---- */

/* An object of a call site whose objects kfree_rcu() frees: it goes without an op. */
void replay_wait_for_kfree_rcu(struct replay *replay, const struct op *op, vaddr at);
/* The recording frees a slab that the model has objects in (struct follow_pages). */
void replay_slab_goes(void *context, pfn first, unsigned order, unsigned cpu);
/*
 * A free that the models of this run have nothing to do with: of what could not be allocated, of what the start state does not
 * have, or of whole pages that it has. false: it is none; nothing is done.
 */
bool replay_free_apart(struct replay *replay, struct live *live, unsigned cpu);

/* ---- replay_pages.c ---- */

/* The counter of pages of that mobility that the recording's own allocations hold (gfp_migratetype()'s rule). */
uint64_t *replay_owner_of(struct replay *replay, gfp flags);

/* ---- replay_ticks.c ---- */

uint64_t replay_pages_free(struct replay *replay, struct zone_view *zone, uint64_t *pcp);
bool replay_take_sample(struct replay *replay, struct error *error);
bool replay_take_dump(struct replay *replay, bool last, struct error *error);
/* Takes every sample and dump that is due before `time_ns`, and runs the daemons that are. */
bool replay_run_ticks(struct replay *replay, uint64_t time_ns, struct error *error);
/* Asks the object allocator when it has work of its own; the time is that of the first op or of the start state. */
void replay_start_daemons(struct replay *replay);
/* The processes' memory may have changed when its daemon is due. */
void replay_note_users_tick(struct replay *replay);

/* ---- replay_start.c ---- */

/* Whether the page allocator can be kept beside the recording: it is of the same allocator, and tells of pages. */
bool replay_can_follow(const struct replay *replay);
/*
 * A free that the import put in front of an allocation because the object was live: of the same address, or in a page that is
 * handed out anew. The recorded kernel freed it some time before.
 */
bool replay_is_made_up(const struct replay *replay, const struct op *op, const struct op *next);
/* Where the recorded allocator left frees to RCU, their moments are looked for. */
bool replay_begin_put_off(struct replay *replay, struct error *error);
/*
 * What all ops say of the caches together: which have allocations without an event; and, where the start state does not describe
 * its caches (SLOB), the alignment that all addresses of a cache share.
 */
bool replay_look_ahead(struct replay *replay, struct error *error);
bool replay_make_caches(struct replay *replay, struct error *error);
/* Whether an op lies outside of the time that is replayed; the first one inside brings the start state. Such an op is skipped. */
bool replay_is_outside(struct replay *replay, const struct op *op);
void replay_skip_op(struct replay *replay, const struct op *op);
/* Makes the frees that RCU has put off until now; their pages are the recording's. */
void replay_make_put_off(struct replay *replay, uint64_t line, unsigned cpu);

#endif
