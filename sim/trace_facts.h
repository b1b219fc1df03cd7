/* SPDX-License-Identifier: MIT
 *
 * trace_facts.h - the files of the recorded machine that lie beside a text recording, and what they say of its caches, allocator
 * and memory. Where they are looked for: docs/formats.md.
 */
#ifndef SIM_TRACE_FACTS_H
#define SIM_TRACE_FACTS_H

#include "sim/trace.h"

struct trace_facts {
	struct trace_fact *facts; /* owned, names and texts too */
	uint32_t count;
};

/* Reads the facts beside the recording at `path`. A file that is missing is none; one that cannot be read is an error. */
bool trace_facts_read(struct trace_facts *facts, const char *path, struct error *error);
void trace_facts_release(struct trace_facts *facts);

/* A cache as slub_sysfs or slabinfo shows it. */
struct fact_cache {
	char name[128];
	uint32_t object_size; /* 0 = not told (slabinfo) */
	uint32_t size;
	uint32_t align;
	bool from_sysfs; /* align and the flags below are told */
	bool hwcache_align, reclaim_account, ctor, cache_dma;
};

struct fact_caches {
	struct fact_cache *caches;
	uint32_t count, room;
};

/* Both moments, before and after the recording, are taken together. */
void fact_caches_read(struct fact_caches *caches, const struct trace_facts *facts);
void fact_caches_release(struct fact_caches *caches);
/* NULL if there is none of that name. */
const struct fact_cache *fact_cache_named(const struct fact_caches *caches, const char *name);

/* Which allocator the facts show: slab sysfs files are SLUB's, tunables other than 0 SLAB's, an empty slabinfo is SLOB's. */
enum recorded_allocator fact_allocator(const struct trace_facts *facts);
/* One beyond the highest frame of zoneinfo's zones, 0 = not told. */
uint64_t fact_memory_frames(const struct trace_facts *facts);

#endif
