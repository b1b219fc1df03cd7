/* SPDX-License-Identifier: MIT
 *
 * follow_pages.h - keeps a page allocator beside a recording from a known start state.
 *
 * The details of a recording (sim/trace.h) hold every event of the page allocator. Here they are turned into the calls that the
 * kernel made, in the order in which they took effect; the model answers each, and its answer is held against the recorded frame.
 * All events are in memory, so that each can be asked what happens to its frame next. What an event alone does not say:
 *
 *   a free in an interrupt          if its frame is next taken from the zone, with no drain in between, the CPU's list was found
 *                                   locked, and the free went past it
 *   one frame taken from the zone   in an interrupt: the allocation went past the locked list; else it is a list's refill
 *   frames taken from the zone,     the bulk allocator (vmalloc) filled the list; it is then taken from until the list is as the
 *   and no allocation               recording needs it: frames whose next event is a free
 *   an allocation behind others     those that are next freed were taken by the bulk allocator; else an interrupt's calls changed
 *                                   places with the call it interrupted: the two blocks are exchanged
 *   mm_page_free_batched            the page of a list takes effect here, not at its mm_page_free
 *
 * A frame counts as equal only if the model gave it by itself, with nothing made up for at that call.
 *
 * Pages of slabs (all whose event makes no op) are kept ready for the object allocator, which is answered from them while
 * `supply` is set: a page that the recording did not hand out is refused, one that the model gives back early stays in use.
 *
 * Invariant: what the page allocator holds allocated is what the recording has allocated at this event.
 */
#ifndef SIM_FOLLOW_PAGES_H
#define SIM_FOLLOW_PAGES_H

#include "sim/metric.h"
#include "sim/port/object_allocator.h"
#include "sim/port/page_allocator.h"
#include "sim/trace.h"

/* Details beyond this are too many to be held in memory at once: such a recording is not followed. */
#define FOLLOW_DETAILS_MAX (1u << 26)

struct follow_pages_counters {
	uint64_t allocs, allocs_equal;        /* allocation events; of them, those at the recorded frame */
	uint64_t allocs_bulk;                 /* after frames were taken that the bulk allocator must have taken */
	uint64_t allocs_exchanged;            /* another block of the lists stood first */
	uint64_t allocs_claimed;              /* the frame was free elsewhere */
	uint64_t allocs_lost;                 /* the frame was in use, or there was no memory */
	uint64_t frees;                       /* free events */
	uint64_t locked_allocs, locked_frees; /* calls of interrupts that went past a locked list */
	uint64_t bulk_frames;                 /* taken by calls without an event */
	uint64_t frames_moved;                /* to where the recording has them */
	uint64_t frees_claimed, frees_lost;   /* frees of what was free in the model; of what is no block of it */
	uint64_t slabs_evicted;               /* slab pages freed while the model kept them */
	uint64_t slabs_refused;               /* pages that the object allocator asked for and the recording did not */
};

extern const struct metric follow_pages_metrics[];

struct page_event;

/* A block that the recording has allocated and neither an op nor the object allocator holds. */
struct granted {
	pfn first;
	uint32_t event; /* the allocation, UINT32_MAX: given back by the object allocator */
	uint8_t order;
};

struct follow_pages {
	struct page_allocator *pages;
	struct object_allocator *objects;
	struct page_event *events;
	uint32_t count, first, at; /* first: of the window; those before it only tell what the ops' lines are */
	uint32_t *serving;         /* by frame: the last allocation that covers it, while owners are told */
	uint32_t *upcoming; /* by frame: the next event that begins with it; out of date for frames that stand on no list */
	struct granted *granted;
	size_t granted_count, granted_room;
	unsigned cpus;
	struct page_supply supply;
	/* Told before a slab is dropped that the recording frees: unseen calls may have freed what lives in it. May be NULL. */
	void (*slab_goes)(void *context, pfn first, unsigned order, unsigned cpu);
	void *context;
	uint64_t result_line; /* of the last allocation event */
	pfn result;
	uint32_t wanted; /* the frame that the object allocator's next page must hold */
	uint32_t owner;  /* who asks: see follow_pages_owner() */
	bool put_right;  /* since follow_pages_supply(): a page was handed on that was not the model's own decision */
	int64_t balance; /* frames allocated less frames freed by events; less those taken by the object allocator */
	struct follow_pages_counters counters;
};

/* Whether the recording's details can be followed with this model. */
bool follow_pages_possible(const struct trace *trace, const struct page_allocator *pages);
/*
 * Reads the details of the window of `trace`, which is rewound by the caller. False with *error
 * filled if the recording cannot be read.
 */
bool follow_pages_init(struct follow_pages *self, struct trace *trace, struct page_allocator *pages,
                       struct object_allocator *objects, const struct trace_window *window, unsigned cpus, struct error *error);
void follow_pages_release(struct follow_pages *self);

/* Before the start: an op's object lies in the frame, so the last block allocated there by line `line` serves a slab of `owner`.
 */
void follow_pages_owner(struct follow_pages *self, uint64_t line, uint32_t frame, uint32_t owner);
/* While owners are told: whether the last event up to line `line` is of that line and allocates a block. */
bool follow_pages_hands_out(const struct follow_pages *self, uint64_t line);
/* No more owners are told. */
void follow_pages_begin(struct follow_pages *self);
/* Makes all calls up to and with the event of that line. */
void follow_pages_to(struct follow_pages *self, uint64_t line);
/* Whether the event of that line, the last one that calls were made for, allocated a block. *first: the model's. */
bool follow_pages_allocated(const struct follow_pages *self, uint64_t line, pfn *first);
/* The block is an op's: it is no slab's. */
void follow_pages_claim(struct follow_pages *self, pfn first);
/* The object allocator is answered from the recording: for an op whose object lies in `frame`, of `owner`. */
void follow_pages_supply(struct follow_pages *self, uint32_t frame, uint32_t owner);
void follow_pages_unsupply(struct follow_pages *self);
/* The order of the granted block that holds the frame and that the object allocator has not taken yet; -1: there is none. */
int follow_pages_granted(const struct follow_pages *self, uint32_t frame);
/* Proves the laws of the counters. */
void follow_pages_check(const struct follow_pages *self);

#endif
