/* SPDX-License-Identifier: MIT
 *
 * level_store.h - what the machine's caches counted, as rows of the database (tables level, level_kind, level_sample,
 * level_share).
 */
#ifndef SIM_LEVEL_STORE_H
#define SIM_LEVEL_STORE_H

#include "sim/cache_hierarchy.h"
#include "sim/store.h"

/* The name of an owner's number; NULL: nobody had it. The text lives until the next call. */
typedef const char *owner_name(void *context, uint32_t owner);

/* What the rows are named by. */
struct level_names {
	const char *const *regions; /* by number, up to WATCH_REGIONS; NULL entries: not in use */
	owner_name *owner;          /* NULL: no owners were told */
	void *context;
};

/* The end: a row for each cache, kind, and where it was watched region and owner. `position` is the first one's, and counted up.
 */
bool level_store_caches(struct store *store, int64_t run_id, const struct cache_hierarchy *caches,
                        const struct level_names *names, uint32_t *position, struct error *error);

/* A moment: what each cache counted so far. */
bool level_store_caches_sample(struct store *store, int64_t run_id, uint32_t sample, uint64_t position, uint64_t time_ns,
                               const struct cache_hierarchy *caches, struct error *error);

/* Rows of what a level's watch saw of regions and owners. */
bool level_store_shares(struct store *store, int64_t run_id, const char *level, const struct level_watch *watch,
                        const struct level_names *names, struct error *error);

#endif
