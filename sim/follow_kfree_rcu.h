/* SPDX-License-Identifier: MIT
 *
 * follow_kfree_rcu.h - objects of a recording that kfree_rcu() frees, which leaves no event.
 *
 * A call site whose objects nobody is seen to free, although their addresses are handed out again, frees them so. The kernel
 * gathers such objects and gives them back in bulk, some seconds later (kernel/rcu/tree.c: kvfree_call_rcu, kfree_rcu_monitor,
 * kfree_rcu_work). That it did shows when a slab with one of them is freed: all of them are taken to be freed then.
 *
 * MODEL: those that were handed to kfree_rcu() shortly before are freed too early; a bulk of which no slab became free is not
 * seen.
 */
#ifndef SIM_FOLLOW_KFREE_RCU_H
#define SIM_FOLLOW_KFREE_RCU_H

#include "sim/port/object_allocator.h"

/* What a call site did, over the whole recording. */
struct follow_kfree_rcu_site {
	uint32_t frees, unseen_frees;
};

struct follow_kfree_rcu_object {
	uint32_t id;
	vaddr at;
};

struct follow_kfree_rcu {
	struct follow_kfree_rcu_site *sites; /* by call site */
	uint32_t *site_of;                   /* by id, while sites are told: call site + 1, 0 = none */
	uint32_t ids;
	struct follow_kfree_rcu_object *waiting; /* oldest first */
	size_t count, room;
};

void follow_kfree_rcu_init(struct follow_kfree_rcu *self, uint32_t call_sites, uint32_t ids);
void follow_kfree_rcu_release(struct follow_kfree_rcu *self);

/* Before the start, for all ops in their order: a kmalloc, and the free of an object, seen or made up. */
void follow_kfree_rcu_told_alloc(struct follow_kfree_rcu *self, uint32_t id, uint32_t call_site);
void follow_kfree_rcu_told_free(struct follow_kfree_rcu *self, uint32_t id, bool seen);
/* No more ops are told. */
void follow_kfree_rcu_begin(struct follow_kfree_rcu *self);

/* A kmalloc of the call site gave the object: it waits, if it is such a call site's. */
void follow_kfree_rcu_wait(struct follow_kfree_rcu *self, uint32_t call_site, const struct follow_kfree_rcu_object *object);
/* Whether one of those that wait lies in [from, end). All of them are the caller's to free then. */
bool follow_kfree_rcu_waits(const struct follow_kfree_rcu *self, vaddr from, vaddr end);

#endif
