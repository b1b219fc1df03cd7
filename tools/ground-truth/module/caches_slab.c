// SPDX-License-Identifier: GPL-2.0
/*
 * caches_slab.c - the state of a SLAB cache: geometry and tunables, each CPU's array and the shared one, the three lists of
 * slabs in list order with their free indices.
 */
#include "oracle.h"

const char *const allocator_name = "SLAB";

/* The kernel keeps this structure to itself, in mm/slab.c; the fields and their order must be those there. */
struct object_array {
	unsigned int avail, limit, batchcount, touched;
	void *entry[];
};

unsigned int cache_objects(const struct kmem_cache *cache)
{
	return cache->num;
}

static void dump_array(const char *tag, int cpu, struct object_array *array)
{
	unsigned int i;

	say("%s %d avail=%u limit=%u batch=%u touched=%u [", tag, cpu, array->avail, array->limit, array->batchcount,
	    array->touched);
	for (i = 0; i < array->avail; i++)
		say(" %lx.%x", frame_of(array->entry[i]), offset_of(array->entry[i]));
	say(" ]\n");
}

/* Indices are bytes where no slab can hold more than 256 objects. */
static unsigned int free_index(struct slab *slab, unsigned int i)
{
	if ((PAGE_SIZE >> 8) <= SLAB_OBJ_MIN_SIZE)
		return ((u8 *)slab->freelist)[i];
	return ((u16 *)slab->freelist)[i];
}

static void dump_list(struct kmem_cache *cache, const char *name, struct list_head *list)
{
	struct slab *slab;
	unsigned int i;

	if (list_empty(list))
		return;
	say("@CL %s", name);
	list_for_each_entry(slab, list, slab_list) {
		say(" %lx %u/%u colour=%x fl=%lx.%x [", frame_of(slab_address(slab)), slab->active, cache->num,
		    (unsigned int)(slab->s_mem - slab_address(slab)), slab->freelist ? frame_of(slab->freelist) : 0,
		    offset_of(slab->freelist));
		for (i = slab->active; slab->freelist && i < cache->num; i++)
			say(" %u", free_index(slab, i));
		say(" ]");
	}
	say("\n");
}

static void dump_geometry(struct kmem_cache *cache)
{
	struct kmem_cache_node *node = cache->node[0];

	say("@C %s obj=%d size=%u align=%d flags=%x order=%u objs=%u colour=%zu colour_off=%u freelist_size=%u limit=%u batch=%u "
	    "shared=%u allocflags=%x ref=%d ctor=%d usersize=%u total_slabs=%lu free_slabs=%lu free_objects=%lu free_limit=%u "
	    "colour_next=%u free_touched=%d\n",
	    cache->name, cache->object_size, cache->size, cache->align, cache->flags, cache->gfporder, cache->num, cache->colour,
	    cache->colour_off, cache->freelist_size, cache->limit, cache->batchcount, cache->shared, cache->allocflags,
	    cache->refcount, !!cache->ctor, cache->usersize, node->total_slabs, node->free_slabs, node->free_objects,
	    node->free_limit, node->colour_next, node->free_touched);
}

void dump_cache(struct kmem_cache *cache)
{
	struct kmem_cache_node *node = cache->node[0];
	unsigned long flags;
	int cpu;

	dump_geometry(cache);
	for_each_online_cpu(cpu)
		dump_array("@CC", cpu, per_cpu_ptr((struct object_array __percpu *)cache->cpu_cache, cpu));
	spin_lock_irqsave(&node->list_lock, flags);
	if (node->shared)
		dump_array("@CS", 0, (void *)node->shared);
	dump_list(cache, "partial", &node->slabs_partial);
	dump_list(cache, "free", &node->slabs_free);
	dump_list(cache, "full", &node->slabs_full);
	spin_unlock_irqrestore(&node->list_lock, flags);
}

/* The three lists hold every slab; there is nothing to add. */
void dump_slab_pages(void)
{
}
