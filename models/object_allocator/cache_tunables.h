/* SPDX-License-Identifier: MIT
 *
 * cache_tunables.h - per-cache tunables of a scenario, kernel.cache_tunables: what an administrator writes to
 * /sys/kernel/slab/<cache>/cpu_partial and min_partial (SLUB) or to /proc/slabinfo (SLAB), as if written right after the cache
 * was made.
 *
 * An entry is "NAME KEY=NUMBER ...": "dentry cpu_partial=0", "filp limit=32 batchcount=16 shared=4". NAME is the cache's own
 * name. Each allocator takes the keys it has and leaves the others, so that one scenario runs on both. Of two entries that set
 * the same key of a cache the later one counts.
 */
#ifndef MODELS_OBJECT_ALLOCATOR_CACHE_TUNABLES_H
#define MODELS_OBJECT_ALLOCATOR_CACHE_TUNABLES_H

#include "models/settings.h"
#include "sim/base.h"

/* The longest array a CPU, or all together, may have: a bound of the model, far above what anybody uses. */
#define TUNED_ARRAY_MAX 16384u

enum cache_tunable { TUNE_CPU_PARTIAL, TUNE_MIN_PARTIAL, TUNE_LIMIT, TUNE_BATCHCOUNT, TUNE_SHARED, CACHE_TUNABLES };

struct cache_tunables {
	bool set[CACHE_TUNABLES];
	uint32_t value[CACHE_TUNABLES];
};

/* Whether every entry can be understood; the error names the entry and what it should be. */
bool cache_tunables_check(const struct settings *settings, struct error *error);

/* What is set for the cache of that name; all unset if nothing is. The settings passed cache_tunables_check(). */
struct cache_tunables cache_tunables_of(const struct settings *settings, const char *name);

#endif
