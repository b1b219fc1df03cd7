/* SPDX-License-Identifier: MIT
 *
 * start_state.h - the recorded state of a kernel's memory, as the start of a run or as what its end is held against.
 *
 * A state is a dump (sim/state_dump.h: lists in order, every slab; plain, gz, xz or zst; the first dump of the file), or files of
 * /proc in a folder or alone (buddyinfo, pagetypeinfo, zoneinfo, slabinfo): those only count, so positions are placed by seeded
 * rules (models/page_allocator/place.c, models/start_slabs.h).
 */
#ifndef MODELS_START_STATE_H
#define MODELS_START_STATE_H

#include "models/settings.h"
#include "sim/port/object_allocator.h"
#include "sim/port/page_allocator.h"
#include "sim/procfs.h"
#include "sim/state_dump.h"

#include <stdio.h>

struct start_state {
	char *path;
	bool is_dump;
	struct state_dump dump;       /* is_dump */
	struct procfs_memory memory;  /* else */
	struct procfs_slabinfo slabs; /* else; empty without a slabinfo */
};

bool start_state_read(struct start_state *state, const char *path, struct error *error);
void start_state_release(struct start_state *state);

/* Completes CPUs, memory size and pageblock order where the settings leave them to the recording. */
void start_state_complete(const struct start_state *state, struct settings *settings);

/* The page allocator in this state. NULL with *error: the model named by the settings cannot be brought into it. */
struct page_allocator *start_state_pages(const struct start_state *state, const struct page_allocator_wiring *wiring,
                                         struct error *error);
/* Brings the fresh object allocator, made of this wiring, into the state of a dump, or of a slabinfo (models/start_slabs.h). */
bool start_state_objects(const struct start_state *state, struct object_allocator *objects,
                         const struct object_allocator_wiring *wiring, struct error *error);

/* What a comparison found. Numbers are one for each cache (slabs) and each zone and order (free blocks). */
struct state_tally {
	uint64_t lists, lists_equal; /* of the page allocator, with a dump */
	uint64_t blocks, blocks_equal, blocks_near;
	uint64_t caches, caches_equal, caches_near;    /* their slabs */
	uint64_t objects, objects_equal, objects_near; /* their active objects as /proc/slabinfo counts them */
	char first[256];                               /* the first list that differs */
};

/* A number within one per cent, or within one of a small number, is near. */
bool state_near(uint64_t expected, uint64_t got);

/* Holds the allocators against the state; writes a line for each number that is not near. */
void start_state_compare(const struct start_state *state, const struct page_allocator *pages,
                         const struct object_allocator *objects, struct state_tally *tally, FILE *out);

#endif
