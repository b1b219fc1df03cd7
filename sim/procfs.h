/* SPDX-License-Identifier: MIT
 *
 * procfs.h - memory as the kernel shows it: /proc/buddyinfo, /proc/pagetypeinfo, /proc/zoneinfo, /proc/slabinfo and the two
 * fragmentation tables of /sys/kernel/debug/extfrag, printed from views and read back.
 *
 * Formats: Linux 6.1, mm/vmstat.c and mm/slab_common.c, byte for byte, on a kernel with the four migrate types of
 * sim/port/page_allocator.h. Zones without frames are left out, except in zoneinfo, which shows them short, as the kernel does.
 * MODEL: zoneinfo leaves out what no view knows: the node's counters ("per-node stats"), the zone's counters but nr_free_pages,
 * and node_unreclaimable.
 *
 * Readers take files of other kernels too (more migrate types, more zones' reserves, statistics columns): what they do not know
 * they skip, what they need and do not find is an error with "name:line". They read at most `length` bytes; numbers that do
 * not fit 64 bits are errors.
 */
#ifndef SIM_PROCFS_H
#define SIM_PROCFS_H

#include "sim/base.h"
#include "sim/port/object_allocator.h"
#include "sim/port/page_allocator.h"

#include <stdio.h>

/* ---- printing ---- */

void procfs_print_buddyinfo(const struct zone_view *zones, size_t count, FILE *out);

/* Counts of 100000 and more blocks show as ">100000", where the kernel stops counting. */
void procfs_print_pagetypeinfo(const struct zone_view *zones, size_t count, unsigned pageblock_order, FILE *out);

void procfs_print_zoneinfo(const struct zone_view *zones, size_t count, FILE *out);

/* Version 2.1, caches in the order given (the kernel shows the newest first). */
void procfs_print_slabinfo(const struct cache_view *caches, size_t count, FILE *out);

/* extfrag/unusable_index and extfrag/extfrag_index. */
void procfs_print_unusable_index(const struct zone_view *zones, size_t count, FILE *out);
void procfs_print_extfrag_index(const struct zone_view *zones, size_t count, FILE *out);

/* The part of free memory that blocks of `order` cannot use, per mille: 0 = all usable; 1000 also where nothing is free. */
unsigned procfs_unusable_index(const struct zone_view *zone, unsigned order);

/* Why a request of `order` would fail, per mille: near 0 = too little memory, near 1000 = fragmentation; -1000 = it would not
 * fail. */
int procfs_extfrag_index(const struct zone_view *zone, unsigned order);

/* ---- reading ---- */

/*
 * What the files of one machine tell of its zones. Start with {0} and read any of the three files in any order; zones are
 * matched by node and name. buddyinfo does not tell migrate types: it changes free_blocks only where pagetypeinfo has not been
 * read, and then counts every block as movable. Until zoneinfo is read, `present` is a lower bound: the free frames, at least 1.
 * A file that is refused leaves what was read of it: start over.
 */
struct procfs_memory {
	struct zone_view zones[ZONES_MAX]; /* names are constants, not owned */
	unsigned count;
	bool has_zoneinfo, has_buddyinfo, has_pagetypeinfo;
	unsigned pageblock_order;   /* of pagetypeinfo */
	unsigned capped_counts;     /* pagetypeinfo's ">100000": lower bounds, not counts */
	unsigned unknown_type_rows; /* rows of migrate types there is no model of (CMA, Isolate) that had blocks */
};

bool procfs_read_buddyinfo(struct procfs_memory *memory, const char *name, const char *text, size_t length, struct error *error);
bool procfs_read_pagetypeinfo(struct procfs_memory *memory, const char *name, const char *text, size_t length,
                              struct error *error);
bool procfs_read_zoneinfo(struct procfs_memory *memory, const char *name, const char *text, size_t length, struct error *error);

/* The zone of that node and name, NULL if no file named it. */
const struct zone_view *procfs_zone(const struct procfs_memory *memory, unsigned node, const char *name);

/* The caches of a slabinfo, in its order. Views hold what the file tells: size is its <objsize>; live_objects is 0. */
struct procfs_slabinfo {
	struct cache_view *at; /* names are owned by the struct */
	size_t count;
};

/* On failure there is nothing to release. */
bool procfs_read_slabinfo(struct procfs_slabinfo *slabinfo, const char *name, const char *text, size_t length,
                          struct error *error);
void procfs_slabinfo_release(struct procfs_slabinfo *slabinfo);

/* The cache of that name, NULL if there is none. */
const struct cache_view *procfs_slabinfo_cache(const struct procfs_slabinfo *slabinfo, const char *name);

#endif
