/* SPDX-License-Identifier: MIT
 *
 * slub_follow.c - SLUB beside a recording (interface: struct object_follow_ops): a slab goes because the recorded kernel freed
 * its pages, an object is handed out because the recorded kernel did.
 *
 * None of this is a decision of the kernel. It is booked as if the start state had been another, so that the laws of
 * slub_check.c hold.
 */
#include "models/object_allocator/slub_internal.h"

static bool slub_holds(const struct object_allocator *objects, pfn first)
{
	const struct slub *slub = (const struct slub *)objects;
	uint32_t entry = frame_map_get(&slub->kmalloc.frames, first);
	if (entry == 0 || entry & FRAME_LARGE)
		return entry != 0;
	return slub->slabs[entry - 1].first.nr == first.nr;
}

/* The link to `slab` in the list of partial slabs of the CPU that keeps it. */
static struct slub_slab **cpu_partial_link(struct slub *slub, const struct slub_slab *slab, struct slub_slab **head)
{
	for (uint32_t cpu = 0; cpu < slub->cpus; cpu++) {
		struct slub_slab **link = &slab->cache->cpus[cpu].partial;
		*head = *link;
		while (*link && *link != slab)
			link = &(*link)->next;
		if (*link)
			return link;
	}
	SIM_UNREACHABLE("a partial slab of no CPU");
}

static void leave_cpu_partial(struct slub *slub, struct slub_slab *slab)
{
	struct slub_slab *head, **link = cpu_partial_link(slub, slab, &head);
	for (struct slub_slab *before = head; before != slab; before = before->next)
		before->slabs--;
	*link = slab->next;
	slab->next = NULL;
	slab->cache->start.cpu_partial--;
}

static void leave_cpu(struct slub *slub, struct slub_slab *slab)
{
	for (uint32_t cpu = 0; cpu < slub->cpus; cpu++) {
		struct slub_cpu *c = &slab->cache->cpus[cpu];
		if (c->slab == slab)
			*c = (struct slub_cpu){.partial = c->partial, .freelist = LINK_NONE};
	}
	slab->cache->start.cpu_slabs--;
}

/* Takes the slab off whatever list it is on. */
static void leave_lists(struct slub *slub, struct slub_slab *slab)
{
	switch ((enum slub_place)slab->place) {
	case SLUB_CPU:
		leave_cpu(slub, slab);
		break;
	case SLUB_CPU_PARTIAL:
		leave_cpu_partial(slub, slab);
		break;
	case SLUB_NODE_PARTIAL:
		slub_list_remove(&slab->cache->partial, slab);
		slab->cache->start.node_partial--;
		break;
	case SLUB_FULL:
		break;
	}
	slab->place = SLUB_FULL;
}

static uint64_t slub_evict(struct object_allocator *objects, pfn first, unsigned cpu)
{
	struct slub *slub = (struct slub *)objects;
	uint32_t entry = frame_map_get(&slub->kmalloc.frames, first);
	if (entry & FRAME_LARGE) {
		enum object_free_result result =
		        kfree_large(&slub->kmalloc, layout_page_address(slub->wiring.layout, first), cpu);
		SIM_ASSERT(result == OBJECT_FREE_OK);
		return 1;
	}
	struct slub_slab *slab = &slub->slabs[entry - 1];
	struct slub_cache *cache = slab->cache;
	uint64_t live = 0;
	for (uint32_t i = 0; i < slab->objects; i++)
		live += slab->links[i] == LINK_LIVE;
	leave_lists(slub, slab);
	cache->start.objects -= live;
	cache->start.slabs--;
	unsigned order = slab->order;
	slub_slab_release(slub, slab);
	enum page_free_result result = page_free(slub->wiring.pages, first, order, cpu);
	SIM_ASSERT(result == PAGE_FREE_OK);
	return live;
}

/* Takes the object out of a chain; false if it is not in it. */
static bool unchain(struct slub_slab *slab, uint16_t *head, uint16_t index)
{
	for (uint16_t *link = head; *link != LINK_NONE; link = &slab->links[*link])
		if (*link == index) {
			*link = slab->links[index];
			slab->links[index] = LINK_LIVE;
			return true;
		}
	return false;
}

/* The chain of the CPU whose slab this is; NULL: it is no CPU's. */
static uint16_t *chain_of_cpu(const struct slub *slub, const struct slub_slab *slab)
{
	for (uint32_t cpu = 0; cpu < slub->cpus; cpu++)
		if (slab->cache->cpus[cpu].slab == slab)
			return &slab->cache->cpus[cpu].freelist;
	return NULL;
}

static bool slub_claim(struct object_allocator *objects, vaddr at, struct object *object)
{
	struct slub *slub = (struct slub *)objects;
	struct slub_slab *slab = slub_slab_of(slub, at);
	uint16_t index;
	if (!slab)
		return false;
	uint64_t distance = at.addr - slub_first_object(slub, slab);
	index = (uint16_t)slub_object_index(slab->cache, (uint32_t)distance);
	if (distance >> 32 || index >= slab->objects || index * slab->cache->geometry.size != distance ||
	    slab->links[index] == LINK_LIVE)
		return false;
	uint16_t *of_cpu = chain_of_cpu(slub, slab);
	if (!of_cpu || !unchain(slab, of_cpu, index)) {
		bool found = unchain(slab, &slab->freelist, index);
		SIM_ASSERT(found);
		slab->inuse++;
		if (slab->freelist == LINK_NONE && !of_cpu)
			leave_lists(slub, slab);
	}
	slab->cache->start.objects++;
	*object = (struct object){.at = at, .bytes_alloc = slab->cache->geometry.size, .cache = {slab->cache->id}};
	return true;
}

const struct object_follow_ops slub_follow_ops = {.holds = slub_holds, .evict = slub_evict, .claim = slub_claim};
