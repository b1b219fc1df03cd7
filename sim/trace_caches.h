/* SPDX-License-Identifier: MIT
 *
 * trace_caches.h - the caches of a recording, once all events were seen: which group of allocations is of which cache, what the
 * cache is called, and how it must have been created for its objects to take the bytes they took.
 */
#ifndef SIM_TRACE_CACHES_H
#define SIM_TRACE_CACHES_H

#include "sim/trace_attribution.h"
#include "sim/trace_facts.h"

struct resolved_caches {
	struct trace_cache *caches; /* names are owned */
	uint32_t count;
	struct kmt_profile *profiles; /* as many as the attribution has */
	struct kmt_late *late;
	size_t late_count;
};

/* pointer_bits of the recorded kernel. Counts what it had to guess in the attribution's summary. */
void caches_resolve(struct resolved_caches *resolved, struct attribution *attribution, const struct fact_caches *facts,
                    uint32_t pointer_bits);
void caches_release(struct resolved_caches *resolved);

/*
 * Finds the alignment, flags and constructor that make objects of cache->object_size take cache->bytes_alloc in the recorded
 * allocator: the simplest explanation (docs/formats.md). fact may be NULL. cache->flags is added to.
 */
void caches_infer(struct trace_cache *cache, enum recorded_allocator allocator, uint32_t pointer_bits,
                  const struct fact_cache *fact);

#endif
