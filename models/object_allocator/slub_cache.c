/* SPDX-License-Identifier: MIT
 *
 * slub_cache.c - caches of SLUB: making, merging, shrinking, tuning, destroying and showing them (interface: slub.h).
 *
 * Ids are never used again, so a lower id is an older cache; the kernel's list of caches is the same order backwards.
 *
 * Source: Linux 6.1 mm/slub.c (kmem_cache_open, __kmem_cache_alias, __kmem_cache_do_shrink, free_partial, __kmem_cache_shutdown,
 * get_slabinfo, cpu_partial_store, min_partial_store) and mm/slab_common.c (kmem_cache_create_usercopy, kmem_cache_destroy).
 * MODEL: the kernel's own allocations for a cache (kmem_cache, kmem_cache_node, name, sysfs) are not made; recordings show them
 * as calls like any others.
 */
#include "models/object_allocator/cache_tunables.h"
#include "models/object_allocator/slub_internal.h"
#include "models/object_allocator/slub_steps.h"

#include <stdlib.h>
#include <string.h>

/* Flags kmem_cache_create() takes (SLAB_FLAGS_PERMITTED), and those of them SLUB does not know (CACHE_CREATE_MASK). */
#define SLAB_FLAGS_PERMITTED \
	(SLAB_HWCACHE_ALIGN | SLAB_CACHE_DMA | SLAB_CACHE_DMA32 | SLAB_PANIC | SLAB_TYPESAFE_BY_RCU | SLUB_DEBUG_FLAGS | \
	 SLAB_MEM_SPREAD | SLAB_NOLEAKTRACE | SLAB_RECLAIM_ACCOUNT | SLAB_ACCOUNT | SLAB_NO_USER_FLAGS)

/* Lists of slabs with 1 .. this many free objects are sorted by shrinking. */
#define SHRINK_PROMOTE_MAX 32

static struct slub_descriptors descriptors_take(struct slub *slub)
{
	if (slub->spares > 0)
		return slub->spare[--slub->spares];
	struct layout *layout = slub->wiring.layout;
	return (struct slub_descriptors){
	        .kmem_cache = layout_kernel_data(layout, KMEM_CACHE_BYTES),
	        .node = layout_kernel_data(layout, KMEM_CACHE_NODE_BYTES),
	        .cpu_offset = layout_per_cpu_alloc(layout, KMEM_CACHE_CPU_BYTES, KMEM_CACHE_CPU_ALIGN),
	};
}

static void descriptors_give(struct slub *slub, const struct slub_descriptors *at)
{
	if (slub->spares == slub->spare_capacity) {
		slub->spare_capacity = slub->spare_capacity ? 2 * slub->spare_capacity : 16;
		slub->spare = xrealloc(slub->spare, slub->spare_capacity * sizeof *slub->spare);
	}
	slub->spare[slub->spares++] = *at;
}

static uint32_t next_id(struct slub *slub)
{
	if (slub->cache_limit == slub->cache_capacity) {
		slub->cache_capacity = slub->cache_capacity ? 2 * slub->cache_capacity : 128;
		slub->caches = xrealloc(slub->caches, slub->cache_capacity * sizeof(struct slub_cache *));
	}
	return slub->cache_limit++;
}

/* `align` is the alignment asked for. NULL: the kernel refuses. */
static struct slub_cache *cache_open(struct slub *slub, const struct cache_spec *spec, uint32_t asked_flags)
{
	const struct slub_config *config = &slub->config;
	struct slub_geometry geometry;
	uint32_t flags = slub_cache_flags(config, asked_flags, spec->name);
	uint32_t align =
	        calculate_alignment(asked_flags, spec->align, spec->object_size, config->cache_line_bytes, config->pointer_bytes);
	if (!slub_geometry_calculate(&geometry, config, spec->object_size, align, flags, spec->ctor))
		return NULL;
	struct slub_cache *cache = xcalloc(1, sizeof *cache + slub->cpus * sizeof cache->cpus[0]);
	cache->geometry = geometry;
	cache->reciprocal = (1ull << SLUB_RECIPROCAL_SHIFT) / geometry.size + 1;
	cache->debug = geometry.flags & SLUB_DEBUG_FLAGS;
	cache->has_cpu_partial = config->cpu_partial && !cache->debug;
	cache->ctor = spec->ctor;
	cache->usersize = slab_usersize(spec);
	cache->refcount = 1;
	cache->name = xstrdup(spec->name);
	cache->at = descriptors_take(slub);
	layout_name(slub->wiring.layout, cache->at.node, KMEM_CACHE_NODE_BYTES, "kmem_cache_node", cache->name);
	if (slub->freelist_random)
		cache->random_seq = cache_random_seq_create(&slub->freelist_rng, geometry.objects);
	for (uint32_t cpu = 0; cpu < slub->cpus; cpu++)
		cache->cpus[cpu].freelist = LINK_NONE;
	cache->id = next_id(slub);
	slub->caches[cache->id] = cache;
	return cache;
}

/* An alias is tuned as the cache it went into: its folder in sysfs is a link to that cache's. */
static void apply_tunables(struct slub *slub, struct slub_cache *cache, const char *name)
{
	struct cache_tunables tunables = cache_tunables_of(slub->wiring.settings, name);
	if (tunables.set[TUNE_MIN_PARTIAL])
		slub_tune_min_partial(cache, tunables.value[TUNE_MIN_PARTIAL]);
	if (tunables.set[TUNE_CPU_PARTIAL])
		slub_tune_cpu_partial(slub, cache, tunables.value[TUNE_CPU_PARTIAL]);
}

static cache_id make_kmalloc_cache(void *owner, const struct cache_spec *spec, enum kmalloc_cache_type type)
{
	struct slub *slub = owner;
	struct slub_cache *cache = cache_open(slub, spec, spec->flags);
	if (!cache)
		return CACHE_NONE;
	cache->kmalloc = true;
	apply_tunables(slub, cache, spec->name);
	/* With memory cgroups, unaccounted kmallocs share slabs with nobody. */
	if (type == KMALLOC_NORMAL && slub->kmalloc.memcg_kmem)
		cache->refcount = -1;
	return (cache_id){cache->id};
}

bool slub_create_kmalloc_caches(struct slub *slub)
{
	struct kmalloc *kmalloc = &slub->kmalloc;
	kmalloc_create_caches(kmalloc, 0, make_kmalloc_cache, slub);
	for (unsigned index = kmalloc->shift_low; index <= KMALLOC_SHIFT_HIGH; index++)
		if (kmalloc->caches[KMALLOC_NORMAL][index].nr == UINT32_MAX)
			return false;
	return true;
}

/* The oldest cache that can hold the new one's objects, NULL if there is none. */
static struct slub_cache *find_mergeable(const struct slub *slub, const struct cache_spec *spec, uint32_t flags)
{
	const struct slub_config *config = &slub->config;
	const struct mergeable want = {.size = spec->object_size,
	                               .align = spec->align,
	                               .flags = slub_cache_flags(config, flags, spec->name),
	                               .never = spec->ctor || slab_usersize(spec) > 0};
	for (uint32_t id = 0; slub->merge && id < slub->cache_limit; id++) {
		struct slub_cache *cache = slub->caches[id];
		if (!cache)
			continue;
		const struct mergeable have = {.size = cache->geometry.size,
		                               .align = cache->geometry.align,
		                               .flags = cache->geometry.flags,
		                               .never = cache->ctor || cache->usersize > 0 || cache->refcount < 0};
		if (slab_mergeable(&have, &want, config->cache_line_bytes, config->pointer_bytes, false))
			return cache;
	}
	return NULL;
}

static void merge_into(const struct slub *slub, struct slub_cache *cache, uint32_t object_size)
{
	struct slub_geometry *g = &cache->geometry;
	uint32_t words = align_up(object_size, slub->config.pointer_bytes);
	cache->refcount++;
	if (g->object_size < object_size)
		g->object_size = object_size;
	if (g->inuse < words)
		g->inuse = words;
}

cache_id slub_cache_create(struct object_allocator *objects, const struct cache_spec *spec)
{
	struct slub *slub = slub_of(objects);
	if (spec->flags & ~SLAB_FLAGS_PERMITTED || spec->object_size == 0 || spec->object_size > KMALLOC_MAX_SIZE)
		return CACHE_NONE;
	uint32_t flags = spec->flags & ~SLAB_MEM_SPREAD;
	/* Without memory cgroups the flag is 0. */
	if (!slub->kmalloc.memcg_kmem)
		flags &= ~(uint32_t)SLAB_ACCOUNT;
	struct slub_cache *cache = find_mergeable(slub, spec, flags);
	if (cache)
		merge_into(slub, cache, spec->object_size);
	else
		cache = cache_open(slub, spec, flags);
	if (!cache)
		return CACHE_NONE;
	apply_tunables(slub, cache, spec->name);
	return (cache_id){cache->id};
}

/* MODEL: the CPUs flush one after the other in the order of their numbers; the kernel lets them do it at once. */
static void flush_all(struct slub *slub, struct slub_cache *cache)
{
	for (unsigned cpu = 0; cpu < slub->cpus; cpu++)
		slub_flush_cpu(slub, cache, cpu);
}

static void discard_list(struct slub *slub, struct slub_cache *cache, struct slub_list *list, unsigned cpu)
{
	while (list->head) {
		struct slub_slab *slab = list->head;
		slub_list_remove(list, slab);
		cache->counters.shrink_slab++;
		slub_discard_slab(slub, slab, cpu);
	}
}

/* Moves all of `from` in front of `to`. */
static void list_splice(struct slub_list *from, struct slub_list *to)
{
	while (from->tail) {
		struct slub_slab *slab = from->tail;
		slub_list_remove(from, slab);
		slub_list_add(to, slab, false);
	}
}

void slub_shrink(struct slub *slub, struct slub_cache *cache, unsigned cpu)
{
	struct slub_list discard = {0}, promote[SHRINK_PROMOTE_MAX] = {0};
	flush_all(slub, cache);
	slub_lock_node(slub, cache);
	for (struct slub_slab *slab = cache->partial.head, *next; slab; slab = next) {
		next = slab->next;
		uint32_t free_objects = (uint32_t)slab->objects - slab->inuse;
		slub_read_slab(slub, slab, SLAB_LIST_WORD);
		slub_read_slab(slub, slab, SLAB_COUNTERS_WORD);
		if (slab->inuse != 0 && free_objects > SHRINK_PROMOTE_MAX)
			continue;
		slub_touch_remove(slub, slab);
		slub_list_remove(&cache->partial, slab);
		slub_list_add(slab->inuse == 0 ? &discard : &promote[free_objects - 1], slab, false);
	}
	for (int i = SHRINK_PROMOTE_MAX - 1; i >= 0; i--)
		list_splice(&promote[i], &cache->partial);
	slub_unlock_node(slub, cache);
	discard_list(slub, cache, &discard, cpu);
}

void slub_cache_shrink(struct object_allocator *objects, cache_id id, unsigned cpu)
{
	struct slub *slub = slub_of(objects);
	struct slub_cache *cache = slub_cache_of(slub, id);
	SIM_ASSERT(cache && cpu < slub->cpus);
	slub_shrink(slub, cache, cpu);
}

/* Takes the empty slabs off the node's list and gives them back, the last first. */
static void free_partial(struct slub *slub, struct slub_cache *cache, unsigned cpu)
{
	struct slub_list discard = {0};
	slub_lock_node(slub, cache);
	for (struct slub_slab *slab = cache->partial.head, *next; slab; slab = next) {
		next = slab->next;
		if (slab->inuse != 0)
			continue;
		slub_remove_partial(slub, slab);
		slub_list_add(&discard, slab, false);
	}
	slub_unlock_node(slub, cache);
	discard_list(slub, cache, &discard, cpu);
}

static void add_counters(struct slub_counters *to, const struct slub_counters *from)
{
	for (const struct metric *metric = slub_metrics; metric->name; metric++) {
		uint64_t *value = (uint64_t *)(void *)((char *)to + metric->offset);
		*value += metric_value(metric, from);
	}
}

static void cache_release(struct slub *slub, struct slub_cache *cache)
{
	slub->caches[cache->id] = NULL;
	free(cache->random_seq);
	free(cache->name);
	free(cache);
}

bool slub_cache_destroy(struct object_allocator *objects, cache_id id, unsigned cpu)
{
	struct slub *slub = slub_of(objects);
	struct slub_cache *cache = slub_cache_of(slub, id);
	SIM_ASSERT(cache && cpu < slub->cpus);
	if (cache->kmalloc)
		return false;
	cache->refcount--;
	if (cache->refcount != 0)
		return cache->refcount > 0; /* others share it; below 0 it was tried before, and nothing more is done */
	flush_all(slub, cache);
	free_partial(slub, cache, cpu);
	if (cache->nr_slabs > 0)
		return false;
	add_counters(&slub->retired, &cache->counters);
	descriptors_give(slub, &cache->at);
	cache_release(slub, cache);
	return true;
}

bool slub_tune_cpu_partial(struct slub *slub, struct slub_cache *cache, uint32_t nr_objects)
{
	if (nr_objects > 0 && !cache->has_cpu_partial)
		return false;
	cache->geometry.cpu_partial = nr_objects;
	cache->geometry.cpu_partial_slabs = slub_cpu_partial_slabs(nr_objects, cache->geometry.objects);
	flush_all(slub, cache);
	return true;
}

void slub_tune_min_partial(struct slub_cache *cache, uint32_t min_partial)
{
	cache->geometry.min_partial = min_partial;
}

uint64_t slub_cache_live(const struct slub_cache *cache)
{
	const struct slub_counters *n = &cache->counters;
	return cache->start.objects + n->alloc_fastpath + n->alloc_slowpath + n->alloc_bulk - n->alloc_failed - n->free_fastpath -
	       n->free_slowpath - n->free_bulk;
}

bool slub_cache_view(const struct object_allocator *objects, cache_id id, struct cache_view *view)
{
	const struct slub_cache *cache = slub_cache_of((const struct slub *)objects, id);
	if (!cache)
		return false;
	uint64_t free_objects = 0;
	for (const struct slub_slab *slab = cache->partial.head; slab; slab = slab->next)
		free_objects += (uint64_t)slab->objects - slab->inuse;
	const struct slub_geometry *g = &cache->geometry;
	*view = (struct cache_view){
	        .name = cache->name,
	        .object_size = g->object_size,
	        .size = g->size,
	        .align = g->align,
	        .flags = g->flags,
	        .objects_per_slab = g->objects,
	        .pages_per_slab = 1u << g->order,
	        .active_objects = cache->total_objects - free_objects,
	        .total_objects = cache->total_objects,
	        .active_slabs = cache->nr_slabs,
	        .slabs = cache->nr_slabs,
	        .live_objects = slub_cache_live(cache),
	        .kmalloc = cache->kmalloc,
	};
	return true;
}

#define SLUB_METRIC(field, help) METRIC(struct slub_counters, field, "1", help)

const struct metric slub_metrics[] = {
        SLUB_METRIC(alloc_fastpath, "Allocations from the CPU's own chain"),
        SLUB_METRIC(alloc_slowpath, "Allocations that had to look further"),
        SLUB_METRIC(free_fastpath, "Frees into the CPU's own chain"),
        SLUB_METRIC(free_slowpath, "Frees into a slab that is not the CPU's"),
        SLUB_METRIC(free_frozen, "Slow frees into a slab that some CPU holds"),
        SLUB_METRIC(free_add_partial, "Slabs put on a node's partial list by a free or a drain"),
        SLUB_METRIC(free_remove_partial, "Slabs taken off a node's partial list because a free emptied them"),
        SLUB_METRIC(alloc_from_partial, "Cpu slabs got from a node's partial list"),
        SLUB_METRIC(alloc_slab, "Slabs got from the page allocator"),
        SLUB_METRIC(alloc_refill, "Cpu chains refilled from the slab's own chain"),
        SLUB_METRIC(free_slab, "Slabs given back to the page allocator by frees, drains and flushes"),
        SLUB_METRIC(cpuslab_flush, "Cpu slabs taken away from their CPU"),
        SLUB_METRIC(deactivate_full, "Flushed cpu slabs without a free object"),
        SLUB_METRIC(deactivate_empty, "Flushed or drained slabs without a live object, given back"),
        SLUB_METRIC(deactivate_to_head, "Flushed cpu slabs put at the head of the partial list"),
        SLUB_METRIC(deactivate_to_tail, "Flushed cpu slabs put at the tail of the partial list"),
        SLUB_METRIC(deactivate_remote_frees, "Flushed cpu slabs into which others had freed"),
        SLUB_METRIC(deactivate_bypass, "Full cpu slabs let go by an allocation"),
        SLUB_METRIC(order_fallback, "Slabs of the smallest order because the usual one was not to be had"),
        SLUB_METRIC(cpu_partial_alloc, "Cpu slabs got from the CPU's partial list"),
        SLUB_METRIC(cpu_partial_free, "Full slabs put on a CPU's partial list by a free"),
        SLUB_METRIC(cpu_partial_node, "Slabs moved from a node's partial list to a CPU's"),
        SLUB_METRIC(cpu_partial_drain, "CPU partial lists given to the node because they were full"),
        SLUB_METRIC(alloc_bulk, "Objects of bulk calls taken from the CPU's own chain"),
        SLUB_METRIC(alloc_failed, "Allocations that found no memory"),
        SLUB_METRIC(free_bulk, "Objects of bulk frees behind the first of their chain"),
        SLUB_METRIC(shrink_slab, "Slabs given back by shrinking or destroying a cache"),
        SLUB_METRIC(wrong_frees, "Frees refused: of what is free, of no object, into the wrong cache"),
        SLUB_METRIC(large_allocs, "Kmallocs above the largest cache, served by whole blocks of pages"),
        SLUB_METRIC(large_frees, "Large kmallocs given back"),
        SLUB_METRIC(large_failures, "Large kmallocs that got no memory"),
        METRIC_END,
};

const void *slub_counters(const struct object_allocator *objects)
{
	const struct slub *slub = (const struct slub *)objects;
	struct slub_counters *sum = slub->sum;
	*sum = slub->retired;
	for (uint32_t id = 0; id < slub->cache_limit; id++)
		if (slub->caches[id])
			add_counters(sum, &slub->caches[id]->counters);
	sum->wrong_frees += slub->wrong_frees;
	sum->large_allocs += slub->kmalloc.counters.large_allocs;
	sum->large_frees += slub->kmalloc.counters.large_frees;
	sum->large_failures += slub->kmalloc.counters.large_failures;
	return sum;
}

void slub_caches_release(struct slub *slub)
{
	for (uint32_t id = 0; id < slub->cache_limit; id++)
		if (slub->caches[id])
			cache_release(slub, slub->caches[id]);
	free(slub->caches);
	free(slub->spare);
}
