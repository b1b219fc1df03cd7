/* SPDX-License-Identifier: MIT
 *
 * trace_attribution.h - from events of a recording to ops: what each event means, what lived where, and what could not be seen.
 * The rules are told in docs/formats.md; here is how they are kept.
 *
 *   window     the last ops, still in memory; what is learned about one of them is written into it. What is learned later goes
 *              to the list of late corrections (trace_window.c)
 *   live       address -> object that is handed out
 *   blocks     first frame -> block of pages that is handed out; the blocks that serve slabs too, they only make no ops
 *   frames     frame -> the slab that lies there, and which object addresses were seen in it (trace_frames.c)
 *   slabs      what is known of one slab, or of one frame of one, from the first object in it to the free of its pages
 *   groups     (call site, bytes_req, bytes_alloc) of cache allocations: they are taken to be of one cache, whose name the frees
 *              of the group's objects tell, or else the objects that share slabs with them
 *   profiles   everything that equal allocations share
 *   processes  tasks, their address spaces and which pages of those lie in which blocks (trace_processes.h)
 *
 * Invariant: an id is free, or is an object's in `live`, or a process's, or a block's in `blocks` that has an op, which those of
 * slabs, user pages and page tables have not.
 */
#ifndef SIM_TRACE_ATTRIBUTION_H
#define SIM_TRACE_ATTRIBUTION_H

#include "sim/io/kmt.h"
#include "sim/trace.h"
#include "sim/trace_processes.h"
#include "sim/trace_table.h"
#include "sim/trace_text.h"

struct later_events;

/* An event whose texts are indexes: call_site (or a mark's text) into strings, name into names (TABLE_NONE: not printed). */
struct attribution_event {
	uint64_t time_ns, line;
	uint64_t ptr, page, pfn;
	uint32_t call_site, name;
	gfp gfp;
	uint32_t bytes_req, bytes_alloc;
	uint16_t cpu;
	uint8_t kind; /* enum text_kind */
	uint8_t order;
	uint8_t ptr_state, page_state; /* enum text_pointer */
	uint8_t ptr_digits;
	bool has_pfn;
	uint8_t context; /* CONTEXT_ bits of trace.h */
	uint32_t task;   /* thread number, 0 = idle or not told */
	struct text_process process;
};

struct live_object {
	uint64_t address;
	uint64_t op; /* number of the op that allocated it */
	uint32_t id, profile;
};

struct page_block {
	uint64_t key; /* first frame + 1 */
	uint64_t op;
	uint32_t id, profile; /* of the op; profile is TABLE_NONE where there never was one */
	uint32_t slab;        /* index + 1 of the slab it serves, 0 = none */
	uint8_t order;
	uint8_t use;    /* enum block_use */
	uint32_t space; /* BLOCK_USER_PAGE: index of its struct user_space */
	uint64_t page;  /* likewise: the page's linear address by PAGE_SIZE */
};

/* Blocks that models of user memory make themselves have no op. */
enum block_use { BLOCK_HAS_OP, BLOCK_USER_PAGE, BLOCK_PAGE_TABLE };

struct frame {
	uint64_t key;
	uint32_t slab; /* index + 1, 0 = none */
	uint32_t seen; /* index of its bits in seen_bits + 1, 0 = none */
};

struct slab {
	uint32_t name;        /* of its cache, in names; TABLE_NONE = not told */
	uint32_t group;       /* of the last cache allocation in it */
	uint32_t bytes_alloc; /* of the last kmalloc in it, 0 = none */
	uint32_t references;  /* frames and blocks that point here */
	bool recorded;        /* its pages were allocated during the recording */
	bool freed;           /* its pages are free again */
};

struct group {
	uint32_t call_site, bytes_req, bytes_alloc; /* the key */
	uint32_t name;                              /* TABLE_NONE = not told */
	uint32_t parent;                            /* another group of the same cache, or itself */
	uint32_t flags;                             /* SLAB_RECLAIM_ACCOUNT, SLAB_CACHE_DMA as the pages of its slabs tell */
};

struct profile_row {
	uint32_t what; /* kind, order << 8, origin << 16 */
	uint32_t call_site, gfp, bytes_req, bytes_alloc;
	uint32_t group; /* cache allocations */
	uint32_t name;  /* the cache's, where it is not the group's */
	uint32_t padding;
	uint64_t count; /* ops that have this profile, those taken back not counted; not part of the key */
};
#define PROFILE_KEY_BYTES offsetof(struct profile_row, padding)

/* A correction whose cache is still a name. */
struct late_correction {
	uint64_t op;
	uint32_t name;    /* KMT_TAKEN_BACK: the op is taken back */
	uint32_t profile; /* of the op */
};

/* The last page allocation of a CPU, where frames of objects cannot be told. */
struct neighbour {
	uint64_t key; /* of the block, 0 = none */
	uint32_t cpu;
	gfp gfp;
};
#define NEIGHBOURS 256u

struct seen_pages {
	uint64_t key; /* (frame >> 9) + 1 */
	uint64_t bits[8];
};

/* What is known of the recorded machine before the first event is attributed. */
struct attribution_machine {
	uint64_t direct_map;  /* meaningful if frames_known */
	bool frames_known;    /* an object's address tells its frame */
	bool page_frees_seen; /* mm_page_free is among the recorded events */
	bool is_32bit;
	enum recorded_allocator allocator;
};

struct attribution {
	struct trace_summary *summary;
	struct string_table *strings, *names;
	struct attribution_machine machine;

	struct kmt_writer *writer;
	struct kmt_op *window;
	size_t window_used;
	uint64_t window_first; /* number of window[0] */
	struct late_correction *late;
	size_t late_count, late_room;
	struct kmt_op *prologue;
	size_t prologue_count, prologue_room;

	uint64_t frees; /* ops that free */
	uint32_t *free_ids;
	size_t free_id_count, free_id_room;
	uint32_t ids;

	struct row_table profiles, groups;
	struct number_map live, blocks, frames, pages_seen;
	uint64_t blocks_of_order[ORDERS];
	uint64_t slab_blocks, process_blocks; /* of them those without an op */
	uint64_t (*seen_bits)[8];
	uint32_t seen_bits_count, seen_bits_room;
	struct slab *slabs;
	uint32_t slab_count, slab_room, free_slab; /* free slabs are chained by `group` */

	struct processes processes;
	const struct later_events *later; /* not owned */

	struct neighbour neighbours[NEIGHBOURS];
	struct error error;    /* of writing; ends the import */
	uint64_t last_batched; /* frame + 1 of the last mm_page_free_batched that was taken as a free */
	uint64_t first_ns, last_ns, previous_ns;
	uint64_t end_pfn;
	bool any_event;
};

void attribution_init(struct attribution *self, struct trace_summary *summary, struct string_table *strings,
                      struct string_table *names, struct kmt_writer *writer);
void attribution_release(struct attribution *self);
/* Takes one event. false: the file could not be written. */
bool attribution_event(struct attribution *self, const struct attribution_event *event, struct error *error);
/* Writes the rest of the window and the prologue. */
bool attribution_finish(struct attribution *self, struct error *error);
/* Recounts everything and compares. */
void attribution_check(const struct attribution *self);

/*
 * trace_window.c
 */

/* The index of the profile; counts an op for it. */
uint32_t window_profile(struct attribution *self, const struct profile_row *row);
/* Appends an op; gives its number. When the file cannot be written, self->error is set and ops are dropped from then on. */
uint64_t window_push(struct attribution *self, const struct attribution_event *event, uint32_t id, uint32_t profile,
                     uint64_t address);
/* Appends an op of the time before the recording. */
void window_push_before(struct attribution *self, const struct attribution_event *event, uint32_t id, uint32_t profile,
                        uint64_t address);
/* Takes an allocation back. */
void window_take_back(struct attribution *self, uint64_t op, uint32_t profile);
/* An allocation's object is of another cache than its profile's group. */
void window_rename(struct attribution *self, uint64_t op, uint32_t profile, uint32_t name);
uint32_t window_new_id(struct attribution *self);
/* An id that was never used before. */
uint32_t window_fresh_id(struct attribution *self);
void window_release_id(struct attribution *self, uint32_t id);
void window_finish(struct attribution *self);

/*
 * trace_frames.c
 */

/* The slab that the object's address lies in; makes it known that one lies there. group: of a cache allocation, else TABLE_NONE.
 */
struct slab *frames_object(struct attribution *self, const struct attribution_event *event, bool allocated, uint32_t group);
/* Marks the address as seen; tells whether it was before. */
bool frames_see_object(struct attribution *self, uint64_t address);
void frames_page_alloc(struct attribution *self, const struct attribution_event *event);
void frames_page_free(struct attribution *self, const struct attribution_event *event);
/* A block that no op stands for: a page of a process, or a page table. */
void frames_process_block(struct attribution *self, const struct attribution_event *event, const struct page_block *like);
/* An event on this CPU that is no page allocation: where frames cannot be told, decides whether the block before serves a slab.
 */
void frames_neighbour(struct attribution *self, const struct attribution_event *event, bool object_alloc);

/*
 * trace_attribution.c, for trace_frames.c: an object's frames are handed out anew although it is live.
 */
void attribution_lost_object(struct attribution *self, const struct attribution_event *event, uint64_t address);

static inline struct profile_row *attribution_profile(const struct attribution *self, uint32_t index)
{
	return row_table_row(&self->profiles, index);
}

static inline struct group *attribution_group(const struct attribution *self, uint32_t index)
{
	return row_table_row(&self->groups, index);
}

#endif
