/* SPDX-License-Identifier: MIT
 *
 * follow_kfree_rcu.c - which call sites free by kfree_rcu(), and whose objects wait for it (interface: follow_kfree_rcu.h).
 */
#include "sim/follow_kfree_rcu.h"

#include <stdlib.h>

/* So many objects whose addresses came again without a free are no chance; of so many, one may seem to have been freed by
 * kfree(). */
#define WITNESSES 16u

void follow_kfree_rcu_init(struct follow_kfree_rcu *self, uint32_t call_sites, uint32_t ids)
{
	*self = (struct follow_kfree_rcu){.ids = ids};
	self->sites = xcalloc((size_t)call_sites + 1, sizeof *self->sites);
	self->site_of = lazy_alloc((size_t)ids + 1, sizeof *self->site_of);
}

void follow_kfree_rcu_release(struct follow_kfree_rcu *self)
{
	follow_kfree_rcu_begin(self);
	free(self->sites);
	free(self->waiting);
	*self = (struct follow_kfree_rcu){0};
}

void follow_kfree_rcu_told_alloc(struct follow_kfree_rcu *self, uint32_t id, uint32_t call_site)
{
	self->site_of[id] = call_site + 1;
}

void follow_kfree_rcu_told_free(struct follow_kfree_rcu *self, uint32_t id, bool seen)
{
	if (self->site_of[id])
		*(seen ? &self->sites[self->site_of[id] - 1].frees : &self->sites[self->site_of[id] - 1].unseen_frees) += 1;
	self->site_of[id] = 0;
}

void follow_kfree_rcu_begin(struct follow_kfree_rcu *self)
{
	if (self->site_of)
		lazy_free(self->site_of, (size_t)self->ids + 1, sizeof *self->site_of);
	self->site_of = NULL;
}

void follow_kfree_rcu_wait(struct follow_kfree_rcu *self, uint32_t call_site, const struct follow_kfree_rcu_object *object)
{
	const struct follow_kfree_rcu_site *site = &self->sites[call_site];
	if (site->unseen_frees < WITNESSES || site->unseen_frees / WITNESSES < site->frees)
		return;
	if (self->count == self->room) {
		self->room = 2 * self->room + 64;
		self->waiting = xrealloc(self->waiting, self->room * sizeof *self->waiting);
	}
	self->waiting[self->count++] = *object;
}

bool follow_kfree_rcu_waits(const struct follow_kfree_rcu *self, vaddr from, vaddr end)
{
	for (size_t i = self->count; i-- > 0;)
		if (self->waiting[i].at.addr >= from.addr && self->waiting[i].at.addr < end.addr)
			return true;
	return false;
}
