/* SPDX-License-Identifier: MIT
 *
 * level_watch.h - a closer look at one cache or TLB: what it thrashes, and whose accesses miss in it.
 *
 * A level without a watch runs whole batches at full speed; one with a watch tells it of every access and every eviction.
 *
 * Laws: the regions' accesses and misses add up to the watch's, so do the owners'; those of struct thrash; and over the sizes of
 * pages the numbers of a kind add up to what the level itself counts for it (level_watch_check_kind).
 */
#ifndef SIM_LEVEL_WATCH_H
#define SIM_LEVEL_WATCH_H

#include "sim/access.h"
#include "sim/thrash.h"

/* Regions are numbered by who makes the accesses (struct access: region); 0 is "not told". Sizes of pages likewise. */
#define WATCH_REGIONS (1u << ACCESS_REGION_BITS)
#define WATCH_PAGES 8u

/* Owners beyond this many share the last number. */
#define WATCH_OWNERS_MAX 4096u

struct watch_share {
	uint64_t accesses, misses;
};

/* What accesses of one kind to pages of one size did. */
struct watch_kind {
	uint64_t accesses, misses;
	uint64_t evictions, write_backs; /* that they caused */
};

struct level_watch {
	unsigned instances;
	struct thrash *thrash; /* one for each instance; owned */
	uint64_t *now;         /* accesses of each instance; owned */
	uint64_t accesses, misses;
	struct watch_share region[WATCH_REGIONS];
	struct watch_kind kind[ACCESS_KINDS][WATCH_PAGES];
	const uint32_t *owner;      /* whose accesses come now; NULL: nobody's in particular */
	struct watch_share *owners; /* by number; owned */
	uint32_t owners_count;
};

/* window in accesses of one instance (thrash.h). *owner outlives the watch. */
struct level_watch *level_watch_create(unsigned instances, uint64_t window, const uint32_t *owner);
void level_watch_destroy(struct level_watch *watch);

/* An access to a block (a line's or a page's number), before what it evicts. `told` as in struct access: region. */
void level_watch_access(struct level_watch *watch, unsigned instance, uint64_t block, uint8_t told, bool missed);

/* The numbers of an access's kind and page, for what it does. */
static inline struct watch_kind *level_watch_kind(struct level_watch *watch, unsigned kind, uint8_t told)
{
	return &watch->kind[kind][access_page(told)];
}

/* A block had to go for the one that was missed last; used: it was hit since it came. */
void level_watch_evicted(struct level_watch *watch, unsigned instance, uint64_t block, bool used);

/* The sums over all instances. */
uint64_t level_watch_unused_evictions(const struct level_watch *watch);
uint64_t level_watch_remisses(const struct level_watch *watch);
uint64_t level_watch_ping_pong_blocks(const struct level_watch *watch);

void level_watch_check(const struct level_watch *watch);

/* Proves that a kind's numbers over all sizes of pages are `level`, what the level counted for it. */
void level_watch_check_kind(const struct level_watch *watch, unsigned kind, const struct watch_kind *level);

#endif
