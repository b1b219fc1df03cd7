// SPDX-License-Identifier: GPL-2.0
/*
 * caches_slub.c - the state of a SLUB cache: geometry, each CPU's slab and partial list, the node's partial list, all in list
 * order with their free objects in free-list order.
 */
#include "oracle.h"

/* A free list longer than any slab's would be a loop. */
#define FREE_LIST_MAX 40000

const char *const allocator_name = "SLUB";

unsigned int cache_objects(const struct kmem_cache *cache)
{
	return cache->oo.x & 0xffff;
}

static void say_free_list(struct kmem_cache *cache, struct slab *slab, void *object)
{
	int i;

	for (i = 0; object && i < FREE_LIST_MAX; i++) {
		say(" %u", (unsigned int)(object - slab_address(slab)) / cache->size);
		object = *(void **)(object + cache->offset);
	}
}

static void say_slab(struct kmem_cache *cache, struct slab *slab)
{
	say(" %lx %u/%u/%u [", frame_of(slab_address(slab)), slab->inuse, slab->objects, slab->frozen);
	say_free_list(cache, slab, slab->freelist);
	say(" ]");
}

/* Kernels without partial lists per CPU show them as empty. */
#ifdef CONFIG_SLUB_CPU_PARTIAL
#define cpu_partial_of(cache) ((cache)->cpu_partial)
#define cpu_partial_slabs_of(cache) ((cache)->cpu_partial_slabs)
#else
#define cpu_partial_of(cache) 0u
#define cpu_partial_slabs_of(cache) 0u
#endif

static void dump_geometry(struct kmem_cache *cache)
{
	struct kmem_cache_node *node = cache->node[0];

	say("@C %s obj=%u size=%u inuse=%u align=%u offset=%u flags=%x order=%u objs=%u minorder=%u minobjs=%u min_partial=%lu "
	    "cpu_partial=%u cpu_partial_slabs=%u allocflags=%x ref=%d ctor=%d usersize=%u slabs=%ld total=%ld partial=%lu\n",
	    cache->name, cache->object_size, cache->size, cache->inuse, cache->align, cache->offset, cache->flags,
	    cache->oo.x >> 16, cache->oo.x & 0xffff, cache->min.x >> 16, cache->min.x & 0xffff, cache->min_partial,
	    cpu_partial_of(cache), cpu_partial_slabs_of(cache), cache->allocflags, cache->refcount, !!cache->ctor,
	    cache->usersize, atomic_long_read(&node->nr_slabs), atomic_long_read(&node->total_objects), node->nr_partial);
}

/* The list that the CPU takes from without a lock comes first, then the slab with its own list. */
static void dump_cpu(struct kmem_cache *cache, int cpu)
{
	struct kmem_cache_cpu *own = per_cpu_ptr(cache->cpu_slab, cpu);

	if (own->slab) {
		say("@CC %d {", cpu);
		say_free_list(cache, own->slab, own->freelist);
		say(" }");
		say_slab(cache, own->slab);
		say("\n");
	}
#ifdef CONFIG_SLUB_CPU_PARTIAL
	if (own->partial) {
		struct slab *slab;

		say("@CP %d slabs=%d", cpu, own->partial->slabs);
		for (slab = own->partial; slab; slab = slab->next)
			say_slab(cache, slab);
		say("\n");
	}
#endif
}

void dump_cache(struct kmem_cache *cache)
{
	struct kmem_cache_node *node = cache->node[0];
	struct slab *slab;
	unsigned long flags;
	int cpu;

	dump_geometry(cache);
	for_each_online_cpu(cpu)
		dump_cpu(cache, cpu);
	spin_lock_irqsave(&node->list_lock, flags);
	if (node->nr_partial) {
		say("@CN");
		list_for_each_entry(slab, &node->partial, slab_list)
			say_slab(cache, slab);
		say("\n");
	}
	spin_unlock_irqrestore(&node->list_lock, flags);
}

/* Full slabs are on no list; the frames tell of them. */
void dump_slab_pages(void)
{
	unsigned long pfn;
	struct slab *slab;

	for (pfn = 0; pfn < symbols.max_pfn; pfn++) {
		if (!pfn_valid(pfn) || !PageSlab(pfn_to_page(pfn)) || PageTail(pfn_to_page(pfn)))
			continue;
		slab = (struct slab *)pfn_to_page(pfn);
		say("@SP %lx %d %s %u/%u/%u\n", pfn, compound_order(pfn_to_page(pfn)), slab->slab_cache->name, slab->inuse,
		    slab->objects, slab->frozen);
	}
}
