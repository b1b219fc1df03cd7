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
 *   its page is new, and the model has objects   those were allocated unseen: all of them are taken
 *   it is free, behind others                    of a cache with unseen calls, those whose next event is a free were allocated
 *                                                unseen and stay taken; the rest keep their places, as an interrupt's calls
 *                                                changed places with the call it interrupted
 *   neither                                      the lists are of other slabs; the model's own address stands
 *
 * An allocation counts as equal only if the model gave the address by itself, before any of this. What happens to an address next
 * is known from a pass over all ops before the start. Host memory: a byte for each op, and for each 8 bytes of the simulated
 * memory that holds objects one byte and a bit, during that pass four bytes more.
 */
#ifndef SIM_FOLLOW_H
#define SIM_FOLLOW_H

#include "sim/follow_pages.h"
#include "sim/port/object_allocator.h"

/* How many objects are taken at most to reach one: more than any list of a CPU that one slab fills. */
#define FOLLOW_TAKES_MAX 64
/* How many objects a cache may have left when it needs a new slab: more than all partial slabs of a CPU hold. */
#define FOLLOW_LEFT_MAX 4096

struct follow {
	struct object_allocator *objects;
	uint64_t direct_map;
	uint64_t units;    /* of 8 bytes each */
	uint64_t ops, at;  /* of the recording; the next of them */
	uint8_t *upcoming; /* by unit: enum follow_fate of the object that begins there */
	uint8_t *fates;    /* by op: what happens next at its address */
	uint32_t *last_op; /* by unit, while fates are told: the last op there + 1 */
	uint64_t stray_bytes;
	uint8_t *stray; /* a bit for each unit: handed to an op whose recorded address is another */
};

/* What a recording does next with an address. */
enum follow_fate {
	FATE_NONE,
	FATE_ALLOC, /* an event hands it out */
	FATE_UNSEEN /* its free shows that a call without an event had handed it out */
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

void follow_init(struct follow *follow, struct object_allocator *objects, uint64_t direct_map, uint32_t end_pfn, uint64_t ops);
void follow_release(struct follow *follow);
/* Before the start, for all ops of a recording in their order: what happens at the op's address. */
void follow_look_ahead(struct follow *follow, vaddr at, enum follow_fate fate);
/* No more ops are told; they come again from the first on. */
void follow_begin(struct follow *follow);
/* The next op is made, or passed over. */
void follow_next_op(struct follow *follow, vaddr at);

/* Makes the recorded allocation whose address is `at`. *object is what the model holds now: at `at` unless the result is
 * FOLLOW_LOST. */
enum follow_result follow_alloc(struct follow *follow, const struct follow_call *call, vaddr at, struct object *object);
/* Makes an allocation without an event, told by its later free: exactly the object at `at`. false: it could not be reached. */
bool follow_unseen_alloc(struct follow *follow, const struct follow_call *call, vaddr at);
/* The object at `at` is freed by an op. */
void follow_freed(struct follow *follow, vaddr at);

#endif
