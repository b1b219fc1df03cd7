/* SPDX-License-Identifier: MIT
 *
 * oracle.h - replays recordings of scripts (sim/recording.h) on the models and holds every address and every later state against
 * what the real kernel gave.
 *
 * One recording is replayed by oracle_replay(). The parts:
 *   oracle.c          counting, differences, comparing dumps line by line
 *   oracle_machine.c  the kernel and machine that wrote the recording, as settings
 *   oracle_events.c   a page allocator that follows the recorded events of each call
 *   oracle_pages.c    page scripts, and what is known of vmalloc's pages
 *   oracle_areas.c    the addresses of vmalloc scripts, beside their pages
 *   oracle_kmap.c     kmap scripts
 *   oracle_objects.c  slab and kmalloc scripts
 *   oracle_pow2.c     the scripts without a start state, from what stands beside them
 *
 * A call is equal if its address (or failure), its size and the page events inside it are as recorded; without a start state,
 * what of it does not depend on one. A state is one list or number of a later dump. What a recording cannot tell is counted as
 * neither and told in the note.
 */
#ifndef TOOLS_ORACLE_H
#define TOOLS_ORACLE_H

#include "models/settings.h"
#include "sim/port/object_allocator.h"
#include "sim/port/virtual_allocator.h"
#include "sim/recording.h"

struct oracle_options {
	unsigned differences; /* so many are kept of each recording */
	bool paranoid;        /* check every structure after each call */
};

/* What came out of one recording. */
struct oracle_tally {
	uint64_t calls, calls_equal;
	uint64_t states, states_equal;
	uint64_t foreign;  /* calls of others that were replayed too; they are part of `calls` */
	uint64_t excluded; /* states that the recording cannot decide */
};

struct oracle_result {
	struct oracle_tally tally;
	char *differences; /* sentences, a line or more each, owned; "" for none */
	char *note;        /* what else there is to say, owned; "" for nothing */
};

/*
 * Replays a recording on fresh models. False with *error filled if it is damaged or its machine cannot be told; *result holds
 * what came out until then.
 */
bool oracle_replay(const struct recording *recording, const struct oracle_options *options, struct oracle_result *result,
                   struct error *error);
void oracle_result_release(struct oracle_result *result);

/* --- between the files --- */

/* A replay under way. */
struct oracle {
	const struct recording *recording;
	const struct oracle_options *options;
	struct oracle_tally *tally;
	struct settings settings;
	struct layout layout;
	struct steps steps;
	char allocator[8];                /* slub, slab or slob; empty if the recording does not tell */
	struct page_allocator *buddy;     /* NULL without page lists to begin from or a machine that boots */
	struct object_allocator *objects; /* NULL in page and vmalloc scripts */
	struct virtual_allocator *areas;  /* NULL without vmalloc areas to begin from */
	cache_id own;                     /* the script's cache; CACHE_NONE without one */
	unsigned told;
	FILE *differences, *note;
};

/* Notes a difference (printf style) in what `line` recorded, with its call number; only the first few are kept. */
void oracle_differs(struct oracle *oracle, const struct recording_line *line, const char *format, ...)
        __attribute__((format(printf, 3, 4)));
/* Whether the next difference would be kept: else nobody needs its details. */
bool oracle_wants_difference(const struct oracle *oracle);
/* Adds the lines of the page allocator's state that hold one of two frames (UINT32_MAX: none) to the last difference. */
void oracle_tell_frames(struct oracle *oracle, uint32_t expected, uint32_t got);
/* Adds the script's cache as it is to the last difference. */
void oracle_tell_cache(struct oracle *oracle);

/* With --paranoid: proves the laws of all models. */
void oracle_check(struct oracle *oracle);

/* Makes the buddy from a dump that holds pages. */
bool oracle_load_pages(struct oracle *oracle, const struct state_dump *dump, struct error *error);
/* Makes vmalloc from a dump that holds its areas; `pages` are what stands behind areas, NULL: ranges only. */
bool oracle_load_areas(struct oracle *oracle, const struct state_dump *dump, struct page_allocator *pages, struct error *error);
/* Compares pages, areas or objects with a later dump. */
void oracle_compare_pages(struct oracle *oracle, const struct recording_line *line, const struct state_dump *dump);
void oracle_compare_areas(struct oracle *oracle, const struct recording_dump *dump);
void oracle_compare_objects(struct oracle *oracle, const struct recording_dump *dump);

/* Frees a block in the buddy, whether it was handed out since the start state or before. False: it is not in use. */
bool oracle_free_block(struct oracle *oracle, uint32_t frame, unsigned order, unsigned cpu);

/* Settings, layout and allocator of the recording's machine. */
bool oracle_machine(struct oracle *oracle, struct error *error);
/* Makes the object allocator on these pages. False with *error filled: the recording does not tell which one. */
bool oracle_make_objects(struct oracle *oracle, struct page_allocator *pages, struct error *error);

bool oracle_replay_pages(struct oracle *oracle, struct error *error);
bool oracle_replay_kmap(struct oracle *oracle, struct error *error);
bool oracle_replay_objects(struct oracle *oracle, struct error *error);
bool oracle_replay_pow2(struct oracle *oracle, struct error *error);

/* oracle_areas.c: a line of a vmalloc script; live[] has the address of each id. */
void oracle_area_line(struct oracle *oracle, const struct recording_line *line, vaddr *live);

/*
 * A page allocator that follows the events of the recording (oracle_events.c). With a buddy behind it each request goes to the
 * buddy, and what comes out is held against the next event; without one it hands out the recorded frames.
 */
struct follower {
	struct page_allocator base;
	struct oracle *oracle;
	const struct recording_line *call; /* the line of the call being made */
	size_t cursor, limit;              /* lines[cursor..limit) hold its events */
	bool in_order;                     /* false: nothing is compared, the recording is behind us */
	bool equal;                        /* the call's events were as recorded so far */
	uint32_t spare;                    /* next frame for requests that the recording does not have */
	uint8_t *held;                     /* per frame: order + 1 of a block handed out */
};

void follower_init(struct follower *follower, struct oracle *oracle);
/* A call begins, whose events stand in front of line `limit`. */
void follower_begin(struct follower *follower, const struct recording_line *line, size_t limit);
/* No event in front of line `limit` may be left over: what is left is somebody else's, or a difference (false). */
bool follower_end(struct follower *follower, size_t limit);

#endif
