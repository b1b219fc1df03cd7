/* SPDX-License-Identifier: MIT
 *
 * follow_rcu.h - frees that RCU puts off: their event is recorded when they are asked for, nothing when they take place.
 *
 * SLOB frees each object of a SLAB_TYPESAFE_BY_RCU cache in a callback (mm/slob.c: kmem_cache_free, kmem_rcu_free), and that
 * leaves no event. Callbacks run in the order of the frees, in softirqs, so a recording bounds the moment: the object's bytes are
 * handed out again, or its page is given back, not before it. A free is made behind the last softirq before the first such use of
 * its bytes or of a later one's; where the use is its page's free, right before that. What is never used again stays put off.
 *
 * MODEL: the moment is the latest one possible, and softirqs that leave no event are not seen. With several CPUs their queues
 * are one.
 *
 * Before the start all ops are told in their order, then follow_rcu_begin(). Host memory: 4 bytes for each 8 bytes of simulated
 * memory while they are told, 16 for each page given back, 40 for each free put off.
 *
 * Invariant: of `put_off` frees, `carried_out` were made in the allocator, in order; the rest is live there.
 */
#ifndef SIM_FOLLOW_RCU_H
#define SIM_FOLLOW_RCU_H

#include "sim/port/object_allocator.h"
#include "sim/trace.h"

struct rcu_free {
	uint64_t line, due; /* of the recording: of its event; it is made before this one, UINT64_MAX: never */
	uint64_t at;
	uint32_t bytes, cache; /* the recording's cache index */
	bool waits;            /* its event has come, and it is not made yet */
};

struct rcu_page {
	uint64_t line;
	uint32_t pfn;
};

struct rcu_softirq {
	uint64_t first, last; /* lines */
};

struct follow_rcu {
	struct object_allocator *objects;
	uint64_t direct_map, units;
	uint32_t *told; /* by unit of 8 bytes, while ops are told: the free that waits for its bytes' next use + 1 */
	struct rcu_free *frees;
	size_t count, room;
	size_t asked, made; /* the first free whose event has not come; the first one not made */
	struct rcu_page *pages;
	size_t page_count, page_room, page_at;
	struct rcu_softirq *softirqs;
	size_t softirq_count, softirq_room;
	uint64_t put_off, carried_out;
};

/* Reads the recording's softirqs and pages; `trace` is rewound by the caller. */
bool follow_rcu_init(struct follow_rcu *self, struct trace *trace, struct object_allocator *objects, uint64_t direct_map,
                     uint32_t end_pfn, struct error *error);
void follow_rcu_release(struct follow_rcu *self);

/* All ops in their order: a free that RCU puts off; bytes that are handed out. */
void follow_rcu_tell_free(struct follow_rcu *self, const struct op *op, uint32_t bytes);
void follow_rcu_tell_use(struct follow_rcu *self, uint64_t line, uint64_t from, uint64_t bytes);
void follow_rcu_begin(struct follow_rcu *self);

/* At the start state, before the op of `line`: what was asked for before and had not been made is still in use there. */
void follow_rcu_start(struct follow_rcu *self, uint64_t line, const cache_id *caches);
/* The free of that line: its object is at `at` and stays for now. false: it is none that is put off. */
bool follow_rcu_put_off(struct follow_rcu *self, uint64_t line, vaddr at);
/* Makes all frees that are due before what happens at `line`. */
void follow_rcu_to(struct follow_rcu *self, uint64_t line, unsigned cpu);
void follow_rcu_check(const struct follow_rcu *self);

#endif
