// SPDX-License-Identifier: GPL-2.0
/*
 * caches.c - what SLUB's and SLAB's caches have in common: the list of them, and the numbers that /proc/slabinfo shows.
 */
#include "oracle.h"

const char *const letters_before_slab_script = "p";
const char *const letters_of_kmalloc = "pk";

void dump_caches(const char *name_begins)
{
	struct kmem_cache *cache;

	list_for_each_entry(cache, symbols.slab_caches, list)
		if (!name_begins || !strncmp(cache->name, name_begins, strlen(name_begins)))
			dump_cache(cache);
}

void say_slabinfo(struct kmem_cache *cache)
{
	struct slabinfo info;

	memset(&info, 0, sizeof(info));
	symbols.get_slabinfo(cache, &info);
	say("k active=%lu num=%lu act_slabs=%lu slabs=%lu shared=%lu objs=%u order=%u\n", info.active_objs, info.num_objs,
	    info.active_slabs, info.num_slabs, info.shared_avail, info.objects_per_slab, info.cache_order);
}
