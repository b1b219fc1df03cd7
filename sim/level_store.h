/* SPDX-License-Identifier: MIT
 *
 * level_store.h - what the machine's TLBs and caches counted, as rows of the database (tables level, level_kind, level_sample,
 * level_share, walk_reference).
 *
 * A TLB's row is that of an array ("dtlb", "stlb"), over all cores: what came to its level for the page sizes and the side (code,
 * data) that it serves. A page whose size no array of a level keeps is in no row of that level.
 */
#ifndef SIM_LEVEL_STORE_H
#define SIM_LEVEL_STORE_H

#include "sim/cache_hierarchy.h"
#include "sim/mmu.h"
#include "sim/store.h"

/* The name of an owner's number; NULL: nobody had it. The text lives until the next call. */
typedef const char *owner_name(void *context, uint32_t owner);

/* What the rows are named by. */
struct level_names {
	const char *by;    /* what owners are: "owner", a cache, or "call site" */
	owner_name *owner; /* NULL: no owners were told */
	void *context;
};

/* The end: a row for each cache, kind, and where it was watched region and owner. `position` is the first one's, and counted up.
 */
bool level_store_caches(struct store *store, int64_t run_id, const struct cache_hierarchy *caches,
                        const struct level_names *names, uint32_t *position, struct error *error);

/* The same of the cores' TLBs. */
bool level_store_tlbs(struct store *store, int64_t run_id, const struct mmu *mmu, unsigned cpus, const struct level_names *names,
                      uint32_t *position, struct error *error);

/* The walker's references by entry and by the cache that had them, from what the caches' watches saw. */
bool level_store_walks(struct store *store, int64_t run_id, const struct cache_hierarchy *caches, struct error *error);

/* A moment of a run. */
struct level_moment {
	uint32_t sample;
	uint64_t position, time_ns;
};

/* What each cache, each TLB counted so far. */
bool level_store_caches_sample(struct store *store, int64_t run_id, const struct level_moment *moment,
                               const struct cache_hierarchy *caches, struct error *error);
bool level_store_tlbs_sample(struct store *store, int64_t run_id, const struct level_moment *moment, const struct mmu *mmu,
                             unsigned cpus, struct error *error);

#endif
