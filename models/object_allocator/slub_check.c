/* SPDX-License-Identifier: MIT
 *
 * slub_check.c - the sanity walker of SLUB: every slab, chain and list is walked and recounted, and every counter is compared
 * with what it counts (slub_check(), interface: slub.h).
 */
#include "models/object_allocator/slub_internal.h"

#include <stdlib.h>

/* What the walk over the slabs of one cache finds. */
struct recount {
	uint64_t slabs, objects, live;
	uint64_t cpu_slabs, cpu_partial, node_partial;
};

/* Walks a chain; its objects must be free, and there can be no more of them than the slab has. */
static uint32_t chain_length(const struct slub_slab *slab, uint16_t head)
{
	uint32_t length = 0;
	for (uint16_t i = head; i != LINK_NONE; i = slab->links[i]) {
		SIM_ASSERT(i < slab->objects);
		SIM_ASSERT(length < slab->objects); /* a cycle */
		length++;
	}
	return length;
}

/* The CPU whose slab this is. */
static const struct slub_cpu *cpu_of(const struct slub *slub, const struct slub_slab *slab)
{
	const struct slub_cpu *found = NULL;
	for (uint32_t cpu = 0; cpu < slub->cpus; cpu++) {
		if (slab->cache->cpus[cpu].slab != slab)
			continue;
		SIM_ASSERT(!found);
		found = &slab->cache->cpus[cpu];
	}
	return found;
}

static void check_frames(const struct slub *slub, const struct slub_slab *slab)
{
	uint32_t entry = (uint32_t)(slab - slub->slabs) + 1;
	for (uint32_t i = 0; i < 1u << slab->order; i++)
		SIM_ASSERT(frame_map_get(&slub->kmalloc.frames, pfn_of(slab->first.nr + i)) == entry);
}

static void check_slab(const struct slub *slub, const struct slub_slab *slab, struct recount *count)
{
	const struct slub_geometry *g = &slab->cache->geometry;
	SIM_ASSERT((slab->order == g->order && slab->objects == g->objects) ||
	           (slab->order == g->min_order && slab->objects == g->min_objects));
	check_frames(slub, slab);
	uint32_t live = 0;
	for (uint32_t i = 0; i < slab->objects; i++) {
		SIM_ASSERT(slab->links[i] < slab->objects || slab->links[i] == LINK_NONE || slab->links[i] == LINK_LIVE);
		live += slab->links[i] == LINK_LIVE;
	}
	const struct slub_cpu *c = cpu_of(slub, slab);
	SIM_ASSERT((c != NULL) == (slab->place == SLUB_CPU));
	uint32_t own = chain_length(slab, slab->freelist), lockless = c ? chain_length(slab, c->freelist) : 0;
	SIM_ASSERT(own == (uint32_t)slab->objects - slab->inuse);
	SIM_ASSERT(live + own + lockless == slab->objects);
	SIM_ASSERT(slab->place != SLUB_FULL || own == 0);
	SIM_ASSERT((slab->place != SLUB_NODE_PARTIAL && slab->place != SLUB_CPU_PARTIAL) || own > 0);
	count->slabs++;
	count->objects += slab->objects;
	count->live += live;
	count->cpu_slabs += slab->place == SLUB_CPU;
	count->cpu_partial += slab->place == SLUB_CPU_PARTIAL;
	count->node_partial += slab->place == SLUB_NODE_PARTIAL;
}

static void check_node_list(const struct slub_cache *cache, const struct recount *count)
{
	uint64_t length = 0;
	const struct slub_slab *prev = NULL;
	for (const struct slub_slab *slab = cache->partial.head; slab; prev = slab, slab = slab->next) {
		SIM_ASSERT(slab->cache == cache && slab->place == SLUB_NODE_PARTIAL && slab->prev == prev);
		length++;
		SIM_ASSERT(length <= count->node_partial);
	}
	SIM_ASSERT(cache->partial.tail == prev);
	SIM_ASSERT(length == cache->partial.nr && length == count->node_partial);
}

static void check_cpus(const struct slub *slub, const struct slub_cache *cache, const struct recount *count)
{
	uint64_t partial = 0;
	for (uint32_t cpu = 0; cpu < slub->cpus; cpu++) {
		const struct slub_cpu *c = &cache->cpus[cpu];
		SIM_ASSERT(c->slab || c->freelist == LINK_NONE);
		SIM_ASSERT(!c->slab || (c->slab->cache == cache && c->slab->links == c->links &&
		                        c->address == slub_first_object(slub, c->slab)));
		SIM_ASSERT(cache->has_cpu_partial || !c->partial);
		for (const struct slub_slab *slab = c->partial; slab; slab = slab->next) {
			SIM_ASSERT(slab->cache == cache && slab->place == SLUB_CPU_PARTIAL);
			SIM_ASSERT(slab->slabs == (slab->next ? slab->next->slabs + 1 : 1));
			partial++;
			SIM_ASSERT(partial <= count->cpu_partial);
		}
	}
	SIM_ASSERT(partial == count->cpu_partial);
}

/* Laws of every cache. */
static void check_counters(const struct slub_cache *cache, const struct recount *count)
{
	const struct slub_counters *n = &cache->counters;
	const struct slub_start *start = &cache->start;
	SIM_ASSERT(slub_cache_live(cache) == count->live);
	SIM_ASSERT(start->slabs + n->alloc_slab - n->free_slab - n->shrink_slab == count->slabs);
	SIM_ASSERT(n->order_fallback <= n->alloc_slab);
	SIM_ASSERT(n->deactivate_to_tail <= n->deactivate_remote_frees && n->deactivate_remote_frees <= n->cpuslab_flush);
	SIM_ASSERT(n->cpu_partial_drain <= n->cpu_partial_free);
	SIM_ASSERT(n->free_frozen + n->cpu_partial_free + n->free_remove_partial <= n->free_slowpath);
}

/* Laws of caches with cpu slabs: each slow path ends in one of four ways; what came to a place and did not leave is there. */
static void check_cpu_slab_counters(const struct slub_cache *cache, const struct recount *count)
{
	const struct slub_counters *n = &cache->counters;
	const struct slub_start *start = &cache->start;
	SIM_ASSERT(n->alloc_slowpath == n->alloc_refill + n->alloc_from_partial + n->alloc_slab + n->alloc_failed);
	SIM_ASSERT(start->cpu_slabs + n->alloc_slab + n->alloc_from_partial + n->cpu_partial_alloc ==
	           n->deactivate_bypass + n->cpuslab_flush + count->cpu_slabs);
	SIM_ASSERT(start->node_partial + n->deactivate_to_head + n->deactivate_to_tail + n->free_add_partial ==
	           n->free_remove_partial + n->alloc_from_partial + n->cpu_partial_node + n->shrink_slab + count->node_partial);
	uint64_t flushed_empty = n->cpuslab_flush - n->deactivate_full - n->deactivate_to_head - n->deactivate_to_tail;
	if (!cache->has_cpu_partial) {
		SIM_ASSERT(flushed_empty == n->deactivate_empty);
		return;
	}
	SIM_ASSERT(start->cpu_partial + n->cpu_partial_free + n->cpu_partial_node ==
	           n->cpu_partial_alloc + n->free_add_partial + n->deactivate_empty - flushed_empty + count->cpu_partial);
	SIM_ASSERT(n->free_slab == n->deactivate_empty + n->free_remove_partial);
}

static void check_cache(const struct slub *slub, const struct slub_cache *cache, const struct recount *count)
{
	SIM_ASSERT(count->slabs + cache->start.unseen_slabs == cache->nr_slabs);
	SIM_ASSERT(count->objects + cache->start.unseen_objects == cache->total_objects);
	check_node_list(cache, count);
	check_cpus(slub, cache, count);
	check_counters(cache, count);
	if (!cache->debug)
		check_cpu_slab_counters(cache, count);
}

void slub_check(const struct object_allocator *objects)
{
	const struct slub *slub = (const struct slub *)objects;
	struct recount *counts = xcalloc(slub->cache_limit, sizeof *counts);
	uint64_t pages = 0, live = kmalloc_large_live(&slub->kmalloc), unused = 0, used = 0;
	for (uint32_t number = 0; number < slub->slab_limit; number++) {
		const struct slub_slab *slab = &slub->slabs[number];
		if (!slab->cache)
			continue;
		SIM_ASSERT(slub->caches[slab->cache->id] == slab->cache);
		check_slab(slub, slab, &counts[slab->cache->id]);
		pages += 1ull << slab->order;
		used++;
	}
	for (const struct slub_slab *slab = slub->slab_unused; slab; slab = slab->next) {
		SIM_ASSERT(!slab->cache);
		unused++;
	}
	SIM_ASSERT(used + unused == slub->slab_limit);
	for (uint32_t id = 0; id < slub->cache_limit; id++) {
		if (!slub->caches[id])
			continue;
		check_cache(slub, slub->caches[id], &counts[id]);
		live += counts[id].live;
		pages += slub->caches[id]->start.unseen_slabs << slub->caches[id]->geometry.order;
	}
	SIM_ASSERT(pages == slub->pages_slabs);
	SIM_ASSERT(live == objects->live_objects);
	kmalloc_check(&slub->kmalloc);
	free(counts);
}
