/* SPDX-License-Identifier: MIT
 *
 * follow.h - keeps an object allocator beside a recording that does not show every call.
 *
 * A recording from a known start state tells the address of every object. Some calls leave no event: kmem_cache_alloc_bulk() and
 * kmem_cache_free_bulk() (the maple tree's nodes), kfree_bulk() behind kfree_rcu(). After such a call the model's lists are not
 * the kernel's, and it says another address than the recording, from then on for good. What the address says of the unseen call
 * is used to put the lists right:
 *
 *   the recorded address is live in the model    it was freed unseen: it is freed, and the allocation made again
 *   it is free, behind others                    those were allocated unseen (or are held back for the same reason): they are
 *                                                taken until the address comes; of a cache with unseen calls they stay taken
 *                                                ("held"), else they are given back in reverse order
 *   neither                                      the lists are of other slabs; the model's own address stands
 *
 * An allocation counts as equal only if the model gave the address by itself, before any of this. Host memory: one bit for each
 * 8 bytes of the simulated memory that holds objects.
 */
#ifndef SIM_FOLLOW_H
#define SIM_FOLLOW_H

#include "sim/follow_pages.h"
#include "sim/port/object_allocator.h"

/* How many objects are taken at most to reach one: more than any list of a CPU that one slab fills. */
#define FOLLOW_TAKES_MAX 64
/*
 * How many of them may stay taken: what one bulk call of the maple tree asks for at most, the slots of one maple_alloc node
 * (include/linux/maple_tree.h: MAPLE_ALLOC_SLOTS of 64-bit kernels; 61 on 32 bit, where no recording tells the two apart).
 *
 * MODEL: a bound on the look-ahead, not a fact of the load: several bulk calls may lie between two events, and most take a few
 * nodes. What lies beyond is given back, in reverse, as if it had been reordered. docs/workload-traces.md tells how the results
 * change with other bounds.
 */
#define FOLLOW_HOLDS_MAX 30

struct follow {
	struct object_allocator *objects;
	uint64_t direct_map;
	uint64_t held_bytes;
	uint8_t *held;  /* a bit for each 8 bytes: taken by a call that was not seen */
	uint8_t *stray; /* likewise: handed to an op whose recorded address is another */
};

/* What one allocation is made of; cache CACHE_NONE: kmalloc(bytes). */
struct follow_call {
	cache_id cache;
	uint32_t bytes;
	gfp gfp;
	unsigned cpu;
	bool unseen_calls;          /* the cache has calls that leave no event */
	struct follow_pages *pages; /* NULL: pages are not followed */
};

enum follow_result {
	FOLLOW_EQUAL,        /* the model's own decision */
	FOLLOW_UNSEEN_FREE,  /* the address was live in the model */
	FOLLOW_UNSEEN_ALLOC, /* others stood before it */
	FOLLOW_LOST          /* it could not be reached */
};

void follow_init(struct follow *follow, struct object_allocator *objects, uint64_t direct_map, uint32_t end_pfn);
void follow_release(struct follow *follow);

/* Makes the recorded allocation whose address is `at`. *object is what the model holds now: at `at` unless the result is
 * FOLLOW_LOST. */
enum follow_result follow_alloc(struct follow *follow, const struct follow_call *call, vaddr at, struct object *object);
/* Makes an allocation without an event, told by its later free: exactly the object at `at`. false: it could not be reached. */
bool follow_unseen_alloc(struct follow *follow, const struct follow_call *call, vaddr at);
/* The object at `at` is freed by an op: if it was held, it is no longer. */
void follow_freed(struct follow *follow, vaddr at);

#endif
