/* SPDX-License-Identifier: MIT
 *
 * slab_follow.c - SLAB beside a recording (interface: struct object_follow_ops): a slab goes because the recorded kernel freed
 * its pages. What the reaper gives back is told that way too (reap_node() in slab_cache.c leaves it alone then), as the turns of
 * its caches follow from addresses that no state tells; and so is when it runs (slab_reaper_seen() there).
 *
 * None of this is a decision of the kernel. Objects that lived in the slab, or stood in an array, are booked as freed, and the
 * slab as reaped, so that the laws of slab_laws.c hold.
 */
#include "models/object_allocator/slab.h"

bool slab_holds(const struct object_allocator *objects, pfn first)
{
	const struct slab_allocator *allocator = (const struct slab_allocator *)(const void *)objects;
	uint32_t number = frame_map_get(&allocator->kmalloc.frames, first);
	if (number == 0 || number & FRAME_LARGE)
		return number != 0;
	return slab_at(allocator, number)->frame == first.nr;
}

/* Takes the slab's objects out of an array; the others keep their order. */
static void leave_array(struct array_cache *array, uint32_t number)
{
	uint32_t kept = 0;
	for (uint32_t i = 0; i < array->avail; i++)
		if (array->entry[i].slab != number)
			array->entry[kept++] = array->entry[i];
	array->avail = kept;
}

static void leave_arrays(struct slab_allocator *allocator, struct slab_cache *cache, uint32_t number)
{
	for (unsigned cpu = 0; cpu < allocator->rules.cpus; cpu++)
		leave_array(cpu_array(cache, cpu), number);
	if (cache->node.shared)
		leave_array(cache->node.shared, number);
}

/* Takes the slab off its list and out of the counts; returns how many of its objects were live. */
static uint64_t leave_cache(struct slab_allocator *allocator, uint32_t number)
{
	struct slab *slab = slab_at(allocator, number);
	struct slab_cache *cache = slab->cache;
	uint64_t live = 0;
	for (uint32_t i = 0; i < cache->num; i++)
		live += slab_object_live(slab, i);
	leave_arrays(allocator, cache, number);
	cache->node.free_slabs -= slab->list == SLABS_FREE;
	slab_list_del(allocator, cache, number);
	cache->node.total_slabs--;
	cache->node.free_objects -= cache->num - slab->active;
	cache->live -= live;
	allocator->counters.num_frees += slab->active;
	allocator->counters.num_active -= slab->active;
	allocator->counters.reaped++;
	allocator->loaded.live -= live;
	return live;
}

uint64_t slab_evict(struct object_allocator *objects, pfn first, unsigned cpu)
{
	struct slab_allocator *allocator = (struct slab_allocator *)(void *)objects;
	uint32_t number = frame_map_get(&allocator->kmalloc.frames, first);
	if (number & FRAME_LARGE) {
		enum object_free_result result =
		        kfree_large(&allocator->kmalloc, layout_page_address(allocator->wiring.layout, first), cpu);
		SIM_ASSERT(result == OBJECT_FREE_OK);
		return 1;
	}
	uint64_t live = leave_cache(allocator, number);
	slab_at(allocator, number)->next = 0;
	slab_destroy_chain(allocator, number, cpu);
	return live;
}
