/* SPDX-License-Identifier: MIT
 *
 * slab_cache.c - what happens to a whole SLAB cache: create, merge, destroy, shrink, reap, view (interface: slab.h).
 *
 * Source: Linux 6.1 mm/slab_common.c (kmem_cache_create, find_mergeable, kmem_cache_destroy) and mm/slab.c (do_drain,
 * drain_cpu_caches, drain_freelist, drain_array, cache_reap, get_slabinfo).
 *
 * A cache's host struct stays when the cache is destroyed: the next cache gets its id and its addresses in the simulated machine,
 * so that caches which come and go do not use up address space.
 *
 * MODEL: the objects that the kernel allocates for its own descriptors in kmem_cache_create() (name, kmem_cache, node, shared
 * array) are not allocated: recordings show them as events of their own. Their bytes lie in kernel data and per-CPU data instead.
 * MODEL: only the kmalloc caches count as made before the second CPU came up. Other caches of that time (dentry, vm_area_struct)
 * have a higher free limit here than in a kernel with several CPUs, by one batch, unless a recorded state is loaded.
 */
#include "models/object_allocator/slab.h"

#include "models/object_allocator/cache_tunables.h"

#include <stdlib.h>
#include <string.h>

/* REAPTIMEOUT_NODE, and the tick of HZ=250 by which the kernel spreads the caches' turns. */
#define REAPTIMEOUT_NODE_MS 4000u
#define TICK_MS 4u

/* REAPTIMEOUT_AC; when CPU 0 reaps first, and how much earlier each further CPU does (round_jiffies_common()). */
#define REAPTIMEOUT_AC_MS 2000u
#define REAP_FIRST_MS 1816u
#define REAP_SKEW_TICKS 3u
/* How late a recorded turn may be (seen: up to 12 ms in a guest of one CPU), far less than half of the time between two. */
#define REAP_DELAY_MS 100u
#define NS_PER_MS 1000000u

#define POINTER_BYTES 8u

/* Making. */

static size_t array_bytes(uint32_t limit)
{
	return sizeof(struct array_cache) + limit * sizeof(struct slab_entry);
}

static void init_array(struct array_cache *array, uint32_t limit, uint32_t batchcount)
{
	*array = (struct array_cache){.limit = limit, .batchcount = batchcount};
}

/* Addresses for arrays longer than the cache had before; those it had are not used again. */
static void make_room(struct slab_allocator *allocator, struct slab_cache *cache)
{
	const struct slab_geometry *geometry = &cache->geometry;
	uint32_t shared = geometry->shared * geometry->batchcount;
	if (geometry->limit > cache->array_room) {
		cache->array_room = geometry->limit;
		cache->array_at = layout_per_cpu_alloc(allocator->wiring.layout,
		                                       ARRAY_CACHE_BYTES + POINTER_BYTES * geometry->limit, POINTER_BYTES);
	}
	if (shared > cache->shared_room) {
		cache->shared_room = shared;
		cache->shared_at = layout_kernel_data(allocator->wiring.layout, ARRAY_CACHE_BYTES + POINTER_BYTES * shared);
	}
}

static void make_arrays(struct slab_allocator *allocator, struct slab_cache *cache)
{
	const struct slab_geometry *geometry = &cache->geometry;
	make_room(allocator, cache);
	cache->array_stride = (uint32_t)array_bytes(geometry->limit);
	cache->arrays = xcalloc(allocator->rules.cpus, cache->array_stride);
	for (unsigned cpu = 0; cpu < allocator->rules.cpus; cpu++)
		init_array(cpu_array(cache, cpu), geometry->limit, geometry->batchcount);
	if (geometry->shared == 0)
		return;
	uint32_t limit = geometry->shared * geometry->batchcount;
	cache->node.shared = xcalloc(1, array_bytes(limit));
	/* The kernel gives a shared array a batchcount that nobody reads, 0xbaadf00d. */
	init_array(cache->node.shared, limit, 0xbaadf00du);
}

/* A host struct under an id that no cache has, with its addresses. */
static struct slab_cache *take_id(struct slab_allocator *allocator)
{
	if (allocator->unused_id != 0) {
		struct slab_cache *cache = allocator->caches[allocator->unused_id - 1];
		allocator->unused_id = cache->older;
		return cache;
	}
	struct layout *layout = allocator->wiring.layout;
	struct slab_cache *cache = xcalloc(1, sizeof *cache);
	cache->id = allocator->cache_limit++;
	cache->descriptor = layout_kernel_data(layout, KMEM_CACHE_BYTES);
	cache->node_at = layout_kernel_data(layout, KMEM_CACHE_NODE_BYTES);
	cache->array_room = ARRAY_LIMIT_MAX;
	cache->array_at = layout_per_cpu_alloc(layout, ARRAY_CACHE_BYTES + POINTER_BYTES * ARRAY_LIMIT_MAX, POINTER_BYTES);
	if (allocator->rules.cpus > 1) {
		cache->shared_room = SHARED_LIMIT_MAX;
		cache->shared_at = layout_kernel_data(layout, ARRAY_CACHE_BYTES + POINTER_BYTES * SHARED_LIMIT_MAX);
	}
	allocator->caches = xrealloc(allocator->caches, allocator->cache_limit * sizeof *allocator->caches);
	allocator->caches[cache->id] = cache;
	return cache;
}

/* list_add() on slab_caches: the newest cache stands first. */
static void enter_list(struct slab_allocator *allocator, struct slab_cache *cache)
{
	cache->older = allocator->newest_cache;
	cache->newer = 0;
	if (cache->older != 0)
		allocator->caches[cache->older - 1]->newer = cache->id + 1;
	else
		allocator->oldest_cache = cache->id + 1;
	allocator->newest_cache = cache->id + 1;
}

static void leave_list(struct slab_allocator *allocator, struct slab_cache *cache)
{
	*(cache->older ? &allocator->caches[cache->older - 1]->newer : &allocator->oldest_cache) = cache->newer;
	*(cache->newer ? &allocator->caches[cache->newer - 1]->older : &allocator->newest_cache) = cache->older;
}

/*
 * The caches' turns are spread by their descriptors' addresses. MODEL: a cache counts its time from the last reap before it was
 * made, as the model knows no clock between two reaps: its first turn may come up to two seconds early.
 */
static uint64_t first_reap_ms(const struct slab_allocator *allocator, const struct slab_cache *cache)
{
	uint64_t ticks = cache->descriptor.addr % (REAPTIMEOUT_NODE_MS / TICK_MS);
	return allocator->now_ms + REAPTIMEOUT_NODE_MS + ticks * TICK_MS;
}

static struct slab_cache *new_cache(struct slab_allocator *allocator, const struct cache_spec *spec,
                                    const struct slab_geometry *geometry)
{
	struct slab_cache *cache = take_id(allocator);
	*cache = (struct slab_cache){
	        .id = cache->id,
	        .descriptor = cache->descriptor,
	        .node_at = cache->node_at,
	        .array_at = cache->array_at,
	        .shared_at = cache->shared_at,
	        .array_room = cache->array_room,
	        .shared_room = cache->shared_room,
	        .geometry = *geometry,
	        .size = geometry->size,
	        .num = geometry->num,
	        .object_size = geometry->object_size,
	        .reciprocal = (uint32_t)(((1ull << 32) + geometry->size - 1) / geometry->size),
	        .index_at = (geometry->num + 7) / 8,
	        .refcount = 1,
	        .ctor = spec->ctor,
	        .usersize = slab_usersize(spec),
	        .used = true,
	};
	cache->name = xstrdup(spec->name);
	layout_name(allocator->wiring.layout, cache->node_at, KMEM_CACHE_NODE_BYTES, "kmem_cache_node", cache->name);
	if (allocator->freelist_random)
		cache->random_seq = cache_random_seq_create(&allocator->freelist_rng, cache->num);
	cache->node.next_reap_ms = first_reap_ms(allocator, cache);
	cache->node.free_limit = slab_free_limit(&allocator->rules, geometry, geometry->flags & SLAB_KMALLOC);
	make_arrays(allocator, cache);
	enter_list(allocator, cache);
	struct cache_tunables tunables = cache_tunables_of(allocator->wiring.settings, spec->name);
	if (tunables.set[TUNE_LIMIT])
		slab_tune_cpucache(allocator, cache, tunables.value[TUNE_LIMIT], tunables.value[TUNE_BATCHCOUNT],
		                   tunables.value[TUNE_SHARED], 0);
	return cache;
}

/* find_mergeable(): the oldest cache that a new one of this spec and geometry may share. */
static struct slab_cache *find_mergeable(const struct slab_allocator *allocator, const struct cache_spec *spec,
                                         const struct slab_geometry *geometry)
{
	if (!allocator->merge)
		return NULL;
	struct mergeable want = {.size = spec->object_size,
	                         .align = spec->align,
	                         .flags = geometry->flags,
	                         .never = spec->ctor || slab_usersize(spec) > 0};
	for (uint32_t at = allocator->oldest_cache; at != 0; at = allocator->caches[at - 1]->newer) {
		struct slab_cache *cache = allocator->caches[at - 1];
		struct mergeable have = {.size = cache->size,
		                         .align = cache->geometry.align,
		                         .flags = cache->geometry.flags,
		                         .never = cache->ctor || cache->usersize > 0 || cache->refcount < 0};
		if (slab_mergeable(&have, &want, allocator->rules.cache_line_bytes, POINTER_BYTES, true))
			return cache;
	}
	return NULL;
}

cache_id slab_create_cache(struct slab_allocator *allocator, const struct cache_spec *asked)
{
	struct cache_spec spec = *asked;
	spec.flags &= ~(uint32_t)SLAB_KMALLOC;
	struct slab_geometry geometry;
	if (!slab_geometry_of(&allocator->rules, &spec, &geometry))
		return CACHE_NONE;
	struct slab_cache *alias = find_mergeable(allocator, &spec, &geometry);
	if (!alias)
		return (cache_id){new_cache(allocator, &spec, &geometry)->id};
	alias->refcount++;
	if (alias->object_size < spec.object_size)
		alias->object_size = spec.object_size;
	return (cache_id){alias->id};
}

cache_id slab_create_kmalloc_cache(void *owner, const struct cache_spec *spec, enum kmalloc_cache_type type)
{
	(void)type;
	struct slab_allocator *allocator = owner;
	struct slab_geometry geometry;
	bool fits = slab_geometry_of(&allocator->rules, spec, &geometry);
	SIM_ASSERT(fits);
	struct slab_cache *cache = new_cache(allocator, spec, &geometry);
	cache->kmalloc = true;
	return (cache_id){cache->id};
}

/* Emptying. */

/* do_drain(): the whole CPU array goes back into the slabs. */
static void drain_cpu(struct slab_allocator *allocator, struct slab_cache *cache, unsigned of_cpu, unsigned cpu)
{
	struct array_cache *array = cpu_array(cache, of_cpu);
	uint32_t doomed = 0;
	step_lock(allocator->steps, cache->node_at);
	slab_free_block(allocator, cache, array->entry, array->avail, &doomed);
	step_unlock(allocator->steps, cache->node_at);
	array->avail = 0;
	step_write(allocator->steps, slab_array_address(allocator, cache, of_cpu), 4);
	slab_destroy_chain(allocator, doomed, cpu);
}

/* drain_array_locked(): the oldest `count` entries go back into the slabs. */
static void drain_array(struct slab_allocator *allocator, struct slab_cache *cache, struct array_cache *array, vaddr at,
                        uint32_t count, unsigned cpu)
{
	uint32_t doomed = 0;
	step_lock_irq(allocator->steps, cache->node_at);
	step_read(allocator->steps, vaddr_of(at.addr + ARRAY_CACHE_BYTES), array->avail * POINTER_BYTES);
	slab_free_block(allocator, cache, array->entry, count, &doomed);
	array->avail -= count;
	memmove(array->entry, array->entry + count, array->avail * sizeof *array->entry);
	step_write(allocator->steps, at, ARRAY_CACHE_BYTES + array->avail * POINTER_BYTES);
	step_unlock_irq(allocator->steps, cache->node_at);
	slab_destroy_chain(allocator, doomed, cpu);
}

/*
 * drain_cpu_caches(). MODEL: the CPUs drain one after the other, the calling one first, then upward; in the kernel those that get
 * the interrupt run at the same time, and the order in which they take the lock is not determined.
 */
static void drain_cpu_caches(struct slab_allocator *allocator, struct slab_cache *cache, unsigned cpu)
{
	drain_cpu(allocator, cache, cpu, cpu);
	for (unsigned other = 0; other < allocator->rules.cpus; other++)
		if (other != cpu)
			drain_cpu(allocator, cache, other, cpu);
	struct array_cache *shared = cache->node.shared;
	if (shared && shared->avail > 0)
		drain_array(allocator, cache, shared, cache->shared_at, shared->avail, cpu);
}

/* drain_freelist(): gives back up to `count` free slabs from the tail of their list; returns how many. */
static uint64_t drain_freelist(struct slab_allocator *allocator, struct slab_cache *cache, uint64_t count, unsigned cpu)
{
	struct slab_node *node = &cache->node;
	uint64_t freed = 0;
	for (; freed < count && node->list[SLABS_FREE].last != 0; freed++) {
		uint32_t number = node->list[SLABS_FREE].last;
		step_lock_irq(allocator->steps, cache->node_at);
		slab_list_del(allocator, cache, number);
		node->free_slabs--;
		node->total_slabs--;
		node->free_objects -= cache->num;
		step_update(allocator->steps, vaddr_of(cache->node_at.addr + NODE_TOTAL_SLABS), 3 * POINTER_BYTES);
		step_unlock_irq(allocator->steps, cache->node_at);
		slab_destroy_one(allocator, number, cpu);
	}
	return freed;
}

bool slab_shrink_cache(struct slab_allocator *allocator, struct slab_cache *cache, unsigned cpu)
{
	SIM_ASSERT(cpu < allocator->rules.cpus);
	drain_cpu_caches(allocator, cache, cpu);
	allocator->counters.shrunk += drain_freelist(allocator, cache, UINT64_MAX, cpu);
	return cache->node.list[SLABS_FULL].first != 0 || cache->node.list[SLABS_PARTIAL].first != 0;
}

/*
 * The CPUs' arrays are emptied under the old limit of free objects, the shared one under the new. MODEL: the kernel allocates the
 * new arrays and frees the old by kmalloc and in per-CPU memory; recordings show that as events of their own.
 */
void slab_tune_cpucache(struct slab_allocator *allocator, struct slab_cache *cache, uint32_t limit, uint32_t batchcount,
                        uint32_t shared, unsigned cpu)
{
	SIM_ASSERT(batchcount > 0 && batchcount <= limit && cpu < allocator->rules.cpus);
	for (unsigned other = 0; other < allocator->rules.cpus; other++)
		drain_cpu(allocator, cache, other, cpu);
	cache->geometry.limit = limit;
	cache->geometry.batchcount = batchcount;
	cache->geometry.shared = shared;
	cache->node.free_limit = slab_free_limit(&allocator->rules, &cache->geometry, false);
	struct array_cache *old_shared = cache->node.shared;
	if (old_shared)
		drain_array(allocator, cache, old_shared, cache->shared_at, old_shared->avail, cpu);
	cache->node.shared = NULL;
	free(old_shared);
	free(cache->arrays);
	make_arrays(allocator, cache);
}

static void release_cache(struct slab_cache *cache)
{
	free(cache->arrays);
	free(cache->node.shared);
	free(cache->name);
	free(cache->random_seq);
	cache->random_seq = NULL;
	cache->arrays = NULL;
	cache->node.shared = NULL;
	cache->name = NULL;
	cache->used = false;
}

/* kmem_cache_destroy(): a cache that several creators share only loses one; one with objects in use stays, emptied otherwise. */
bool slab_destroy_cache(struct slab_allocator *allocator, cache_id id, unsigned cpu)
{
	struct slab_cache *cache = slab_cache_of(allocator, id);
	SIM_ASSERT(cache);
	cache->refcount--;
	if (cache->refcount != 0)
		return cache->refcount > 0;
	if (slab_shrink_cache(allocator, cache, cpu))
		return false;
	leave_list(allocator, cache);
	release_cache(cache);
	cache->older = allocator->unused_id;
	allocator->unused_id = cache->id + 1;
	return true;
}

void slab_release_caches(struct slab_allocator *allocator)
{
	for (uint32_t nr = 0; nr < allocator->cache_limit; nr++) {
		release_cache(allocator->caches[nr]);
		free(allocator->caches[nr]);
	}
	free(allocator->caches);
}

/*
 * MODEL: a CPU that comes back is not counted into the free limit again (cpuup_prepare()), and caches made later count dead CPUs;
 * ops on a dead CPU work as before.
 */
void slab_cpu_dead(struct object_allocator *objects, unsigned dead, unsigned cpu)
{
	struct slab_allocator *allocator = slab_allocator_of(objects);
	SIM_ASSERT(dead < allocator->rules.cpus && cpu < allocator->rules.cpus && dead != cpu);
	for (uint32_t at = allocator->newest_cache; at != 0; at = allocator->caches[at - 1]->older) {
		struct slab_cache *cache = allocator->caches[at - 1];
		if (!allocator->cpu_dead[dead])
			cache->node.free_limit -= cache->geometry.batchcount;
		drain_cpu(allocator, cache, dead, cpu);
	}
	allocator->cpu_dead[dead] = true;
	for (uint32_t at = allocator->newest_cache; at != 0; at = allocator->caches[at - 1]->older)
		allocator->counters.shrunk += drain_freelist(allocator, allocator->caches[at - 1], UINT64_MAX, cpu);
}

/* Reaping. */

/* drain_array(): leaves an array alone that was used since the last time, else takes a fifth of its limit off its bottom. */
static void reap_array(struct slab_allocator *allocator, struct slab_cache *cache, struct array_cache *array, vaddr at,
                       unsigned cpu)
{
	step_read(allocator->steps, at, ARRAY_CACHE_BYTES);
	if (array->avail == 0)
		return;
	if (array->touched) {
		array->touched = 0;
		step_write(allocator->steps, at, ARRAY_CACHE_BYTES);
		return;
	}
	uint32_t count = (array->limit + 4) / 5;
	if (count > array->avail)
		count = (array->avail + 1) / 2;
	drain_array(allocator, cache, array, at, count, cpu);
}

static void reap_node(struct slab_allocator *allocator, struct slab_cache *cache, unsigned cpu)
{
	struct slab_node *node = &cache->node;
	if (node->shared)
		reap_array(allocator, cache, node->shared, cache->shared_at, cpu);
	if (node->free_touched) {
		node->free_touched = false;
		return;
	}
	/* Beside a recording, what goes back is told by it (slab_follow.c). */
	if (allocator->port.followed)
		return;
	uint64_t share = 5ull * cache->num;
	allocator->counters.reaped += drain_freelist(allocator, cache, (node->free_limit + share - 1) / share, cpu);
}

void slab_reap(struct object_allocator *objects, unsigned cpu, uint64_t now_ms)
{
	struct slab_allocator *allocator = slab_allocator_of(objects);
	SIM_ASSERT(cpu < allocator->rules.cpus && now_ms >= allocator->now_ms);
	allocator->now_ms = now_ms;
	for (uint32_t at = allocator->newest_cache; at != 0; at = allocator->caches[at - 1]->older) {
		struct slab_cache *cache = allocator->caches[at - 1];
		reap_array(allocator, cache, cpu_array(cache, cpu), slab_array_address(allocator, cache, cpu), cpu);
		if (cache->node.next_reap_ms > now_ms)
			continue;
		cache->node.next_reap_ms = now_ms + REAPTIMEOUT_NODE_MS;
		reap_node(allocator, cache, cpu);
	}
}

/* The clock is set once, before the first reap: the caches' turns, counted from 0 so far, move with it. */
static void set_clock(struct slab_allocator *allocator, uint64_t now_ms)
{
	for (uint32_t at = allocator->newest_cache; at != 0; at = allocator->caches[at - 1]->older)
		allocator->caches[at - 1]->node.next_reap_ms += now_ms - allocator->now_ms;
	allocator->now_ms = now_ms;
}

/*
 * The first time after now_ns at which CPU `cpu` reaps: every second whole second of jiffies, three jiffies earlier for each CPU
 * before it (start_cpu_timer(), cache_reap(), __round_jiffies_relative()).
 * MODEL: a tick of HZ=250, and time since boot is that of jiffies, which begin at -300 s in 32 bits: their seconds turn at 816 ms
 * (2^32 mod 250 = 46, 204 ticks before the next). The CPUs' timers start in the first second, so that they reap at 1.816 s, 3.816
 * s and so on; a recording whose clock does not begin at the boot has them at other moments, but as often. Where a recording
 * shows the moments (slab_reaper_seen()), they are those.
 */
static uint64_t next_reap_ns(const struct slab_allocator *allocator, unsigned cpu, uint64_t now_ns)
{
	uint64_t first_ns = (REAP_FIRST_MS - (uint64_t)cpu * REAP_SKEW_TICKS * TICK_MS) * NS_PER_MS;
	uint64_t every_ns = REAPTIMEOUT_AC_MS * NS_PER_MS;
	if (allocator->recorded_reaper[cpu].known)
		first_ns = allocator->recorded_reaper[cpu].seen_ns;
	return now_ns < first_ns ? first_ns : first_ns + ((now_ns - first_ns) / every_ns + 1) * every_ns;
}

/* Whether two moments are a whole number of turns apart, but for what a busy CPU delays a work item. */
static bool turns_apart(uint64_t from_ns, uint64_t to_ns)
{
	uint64_t every_ns = REAPTIMEOUT_AC_MS * NS_PER_MS, delay_ns = REAP_DELAY_MS * NS_PER_MS;
	uint64_t over_ns = (to_ns - from_ns) % every_ns;
	return to_ns - from_ns >= every_ns - delay_ns && (over_ns <= delay_ns || over_ns >= every_ns - delay_ns);
}

/* One moment may be that of another daemon or an unseen call; a second one some turns later is the reaper's. */
void slab_reaper_seen(struct object_allocator *objects, unsigned cpu, uint64_t now_ns)
{
	struct slab_allocator *allocator = slab_allocator_of(objects);
	SIM_ASSERT(cpu < allocator->rules.cpus);
	uint64_t seen_ns = allocator->recorded_reaper[cpu].seen_ns;
	if (seen_ns == 0 || now_ns < seen_ns) {
		allocator->recorded_reaper[cpu].seen_ns = now_ns;
		return;
	}
	bool turn = turns_apart(seen_ns, now_ns);
	if (!turn && allocator->recorded_reaper[cpu].known)
		return;
	if (now_ns - seen_ns >= REAP_DELAY_MS * NS_PER_MS)
		allocator->recorded_reaper[cpu].seen_ns = now_ns;
	if (!turn)
		return;
	allocator->recorded_reaper[cpu].known = true;
	/* Unless this turn was taken just before, at the moment it was expected. */
	if (now_ns / NS_PER_MS > allocator->now_ms + REAP_DELAY_MS)
		slab_reap(objects, cpu, now_ns / NS_PER_MS);
	allocator->reap_due_ns[cpu] = next_reap_ns(allocator, cpu, now_ns + REAP_DELAY_MS * NS_PER_MS);
}

uint64_t slab_tick(struct object_allocator *objects, unsigned cpu, uint64_t now_ns)
{
	struct slab_allocator *allocator = slab_allocator_of(objects);
	SIM_ASSERT(cpu < allocator->rules.cpus);
	uint64_t *due_ns = &allocator->reap_due_ns[cpu];
	if (*due_ns == 0) {
		/* Caches that the recording found live have been reaped before; only the time of day starts here. */
		if (now_ns / NS_PER_MS > allocator->now_ms)
			set_clock(allocator, now_ns / NS_PER_MS);
	} else if (now_ns >= *due_ns) {
		slab_reap(objects, cpu, now_ns / NS_PER_MS);
	}
	*due_ns = next_reap_ns(allocator, cpu, now_ns);
	return *due_ns;
}

/* get_slabinfo(): objects in arrays count as active. */
bool slab_view(const struct slab_allocator *allocator, cache_id id, struct cache_view *view)
{
	const struct slab_cache *cache = slab_cache_of(allocator, id);
	if (!cache)
		return false;
	const struct slab_geometry *geometry = &cache->geometry;
	const struct slab_node *node = &cache->node;
	*view = (struct cache_view){
	        .name = cache->name,
	        .object_size = cache->object_size,
	        .size = cache->size,
	        .align = geometry->align,
	        .flags = geometry->flags,
	        .objects_per_slab = cache->num,
	        .pages_per_slab = slab_frames(cache),
	        .active_objects = node->total_slabs * cache->num - node->free_objects,
	        .total_objects = node->total_slabs * cache->num,
	        .active_slabs = node->total_slabs - node->free_slabs,
	        .slabs = node->total_slabs,
	        .limit = geometry->limit,
	        .batchcount = geometry->batchcount,
	        .shared = geometry->shared,
	        .shared_available = node->shared ? node->shared->avail : 0,
	        .live_objects = cache->live,
	        .kmalloc = cache->kmalloc,
	};
	return true;
}
