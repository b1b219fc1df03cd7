/* SPDX-License-Identifier: MIT
 *
 * slub.c - the SLUB object allocator: handing out and taking back objects (object_allocator_slub_ops).
 *
 * Allocation, in this order: the CPU's own chain; the chain that others freed into the CPU's slab; the CPU's partial slabs;
 * the node's partial slabs, of which it takes several; a fresh slab. Free: into the CPU's own chain if the slab is the CPU's;
 * else into the slab's chain, and if that slab was full it becomes the first of the CPU's partial slabs. When those are too
 * many, all of them go to the node's list, and empty ones beyond min_partial back to the page allocator.
 * Caches with debug flags know no cpu slabs: each call takes one object from, or gives one to, a slab under the node's lock.
 *
 * Source: Linux 6.1 mm/slub.c (slab_alloc_node, ___slab_alloc, get_freelist, get_partial_node, acquire_slab,
 * alloc_single_from_partial, alloc_single_from_new_slab, do_slab_free, __slab_free, free_to_partial_list, put_cpu_partial,
 * __unfreeze_partials, deactivate_slab, flush_cpu_slab). The page allocator's frames are never pfmemalloc.
 * MODEL: pages got below the watermarks are not kept apart for __GFP_MEMALLOC users (pfmemalloc_match).
 *
 * Invariant: a chain's objects have their successor in links[], all other objects LINK_LIVE; slub_check.c proves it.
 */
#include "models/object_allocator/slub.h"
#include "models/kernel_code.h"

#include "models/object_allocator/cache_tunables.h"
#include "models/object_allocator/slub_internal.h"
#include "models/object_allocator/slub_steps.h"

#include <stdlib.h>

static void cpu_install(const struct slub *slub, struct slub_cpu *c, struct slub_slab *slab)
{
	slab->place = SLUB_CPU;
	c->slab = slab;
	c->links = slab->links;
	c->address = slub_first_object(slub, slab);
	c->freelist = LINK_NONE;
}

/* Takes the CPU's slab away; what becomes of it is the caller's to decide. */
static struct slub_slab *cpu_remove(struct slub_cpu *c)
{
	struct slub_slab *slab = c->slab;
	c->slab = NULL;
	c->links = NULL;
	c->address = 0;
	c->freelist = LINK_NONE;
	if (slab)
		slab->place = SLUB_FULL;
	return slab;
}

static const struct cost_settings *costs(const struct slub *slub)
{
	return &slub->wiring.settings->cost;
}

/* Hands out the first object of the CPU slab's new chain. */
static uint64_t load_freelist(const struct slub *slub, struct slub_cache *cache, unsigned cpu, uint16_t chain)
{
	struct slub_cpu *c = &cache->cpus[cpu];
	slub_read_pointer(slub, c->slab, chain);
	slub_write_cpu(slub, cache, cpu, CPU_FREELIST_WORD);
	slub_update_cpu(slub, cache, cpu, CPU_TID_WORD);
	step_irqs(slub_steps(slub), IRQS_ENABLE);
	c->freelist = c->links[chain];
	c->links[chain] = LINK_LIVE;
	return c->address + (uint64_t)chain * cache->geometry.size;
}

/* get_freelist(), acquire_slab(): takes over the slab's own chain; LINK_NONE if it has none. */
static uint16_t take_chain(const struct slub *slub, struct slub_slab *slab)
{
	uint16_t chain = slab->freelist;
	slab->freelist = LINK_NONE;
	slab->inuse = slab->objects;
	slub_read_counters(slub, slab);
	slub_exchange_counters(slub, slab);
	return chain;
}

static void cpu_partial_push(const struct slub *slub, struct slub_cache *cache, struct slub_slab *slab, unsigned cpu)
{
	struct slub_cpu *c = &cache->cpus[cpu];
	slab->place = SLUB_CPU_PARTIAL;
	slab->next = c->partial;
	slab->prev = NULL;
	slab->slabs = c->partial ? c->partial->slabs + 1 : 1;
	c->partial = slab;
	step_write(slub_steps(slub), slub_page_word(slub, slab, SLAB_SLABS_WORD), INT_BYTES);
	slub_write_slab(slub, slab, SLAB_LIST_WORD);
	slub_find_cpu(slub, cache);
	slub_write_cpu(slub, cache, cpu, CPU_PARTIAL_WORD);
}

/* Whether a slab without objects in use leaves: the node has enough of them. */
static bool surplus(const struct slub *slub, const struct slub_slab *slab)
{
	const struct slub_cache *cache = slab->cache;
	if (slab->inuse != 0)
		return false;
	slub_read_node(slub, cache, NODE_NR_PARTIAL_WORD);
	slub_read_field(slub, cache, CACHE_MIN_PARTIAL);
	return cache->partial.nr >= cache->geometry.min_partial;
}

/*
 * Gives a chain of a CPU's partial slabs to the node: each to the tail of its list, from the chain's head on, except that empty
 * ones beyond min_partial go back to the page allocator, the last found first.
 */
static void unfreeze_partials(struct slub *slub, struct slub_cache *cache, struct slub_slab *chain, unsigned cpu)
{
	struct slub_slab *discard = NULL;
	bool locked = false;
	step_path(slub_steps(slub), PATH_LISTS);
	while (chain) {
		struct slub_slab *slab = chain;
		step_use(slub_steps(slub));
		slub_read_slab(slub, slab, SLAB_LIST_WORD);
		chain = slab->next;
		slab->next = NULL;
		slub_find_node(slub, slab);
		if (!locked)
			slub_lock_node(slub, cache);
		locked = true;
		step_run(slub_steps(slub), CODE_SLUB_UNFREEZE_SLAB, costs(slub)->slub_unfreeze_slab);
		slub_read_counters(slub, slab);
		slub_exchange_counters(slub, slab);
		if (surplus(slub, slab)) {
			slub_write_slab(slub, slab, SLAB_LIST_WORD);
			slab->place = SLUB_FULL;
			slab->next = discard;
			discard = slab;
		} else {
			slub_add_partial(slub, slab, true);
			cache->counters.free_add_partial++;
		}
	}
	slub_unlock_node(slub, cache);
	while (discard) {
		struct slub_slab *slab = discard;
		slub_read_slab(slub, slab, SLAB_LIST_WORD);
		discard = slab->next;
		cache->counters.deactivate_empty++;
		cache->counters.free_slab++;
		slub_discard_slab(slub, slab, cpu);
	}
}

/* Makes a slab the first of the CPU's partial slabs; with `drain`, if those are as many as may be, they go to the node first. */
static void put_cpu_partial(struct slub *slub, struct slub_cache *cache, struct slub_slab *slab, unsigned cpu, bool drain)
{
	struct slub_cpu *c = &cache->cpus[cpu];
	struct slub_slab *unfreeze = NULL;
	step_run(slub_steps(slub), CODE_SLUB_PUT_CPU_PARTIAL, costs(slub)->slub_put_cpu_partial);
	step_irqs(slub_steps(slub), IRQS_SAVE);
	slub_find_cpu(slub, cache);
	slub_read_cpu(slub, cache, cpu, CPU_PARTIAL_WORD);
	if (c->partial) {
		step_use(slub_steps(slub));
		step_read(slub_steps(slub), slub_page_word(slub, c->partial, SLAB_SLABS_WORD), INT_BYTES);
		if (drain)
			slub_read_field(slub, cache, CACHE_CPU_PARTIAL_SLABS);
		if (drain && c->partial->slabs >= cache->geometry.cpu_partial_slabs) {
			unfreeze = c->partial;
			c->partial = NULL;
		}
	}
	cpu_partial_push(slub, cache, slab, cpu);
	if (drain) /* else under the node's lock, where they stay off */
		step_irqs(slub_steps(slub), IRQS_ENABLE);
	if (unfreeze) {
		unfreeze_partials(slub, cache, unfreeze, cpu);
		cache->counters.cpu_partial_drain++;
	}
}

/*
 * Takes slabs from the head of the node's partial list: the first for the CPU to allocate from at once, then, where the cache
 * has cpu partial lists, more until they are above half of what that list may hold. The first one's chain, or LINK_NONE.
 */
static uint16_t get_partial_node(struct slub *slub, struct slub_cache *cache, unsigned cpu)
{
	uint16_t chain = LINK_NONE;
	slub_read_field(slub, cache, CACHE_NODE);
	step_use(slub_steps(slub));
	slub_read_node(slub, cache, NODE_NR_PARTIAL_WORD);
	if (cache->partial.nr == 0)
		return LINK_NONE;
	step_run(slub_steps(slub), CODE_SLUB_GET_PARTIAL, costs(slub)->slub_get_partial);
	step_path(slub_steps(slub), PATH_LISTS);
	slub_lock_node(slub, cache);
	slub_read_node(slub, cache, NODE_LIST_WORD);
	uint32_t wanted = cache->has_cpu_partial ? cache->geometry.cpu_partial_slabs / 2 + 1 : 0;
	for (uint32_t taken = 0; cache->partial.nr > 0; taken++) {
		struct slub_slab *slab = cache->partial.head;
		step_use(slub_steps(slub));
		slub_read_slab(slub, slab, SLAB_LIST_WORD);
		slub_read_slab(slub, slab, SLAB_FLAGS_WORD);
		step_spend(slub_steps(slub), costs(slub)->slub_partial_slab);
		if (taken == 0) {
			chain = take_chain(slub, slab);
			slub_remove_partial(slub, slab);
			cpu_install(slub, &cache->cpus[cpu], slab);
			cache->counters.alloc_from_partial++;
		} else {
			/* One that only waits is frozen and keeps its chain. */
			slub_read_counters(slub, slab);
			slub_exchange_counters(slub, slab);
			slub_remove_partial(slub, slab);
			put_cpu_partial(slub, cache, slab, cpu, false);
			cache->counters.cpu_partial_node++;
		}
		if (cache->has_cpu_partial)
			slub_read_field(slub, cache, CACHE_CPU_PARTIAL_SLABS);
		if (taken >= wanted)
			break;
	}
	slub_unlock_node(slub, cache);
	return chain;
}

/* Debugging checks and marks every byte of an object at each call. MODEL: the walk of the slab's whole chain is not. */
static void touch_debug(const struct slub *slub, const struct slub_slab *slab, uint16_t index)
{
	const struct slub_geometry *g = &slab->cache->geometry;
	vaddr slot = vaddr_of(slub_first_object(slub, slab) - g->red_left_pad + (uint64_t)index * g->size);
	if (g->flags & SLAB_CONSISTENCY_CHECKS)
		step_read(slub_steps(slub), slot, g->size);
	if (g->flags & (SLAB_RED_ZONE | SLAB_POISON | SLAB_STORE_USER))
		step_write(slub_steps(slub), slot, g->size);
}

/* One object from the node's first partial slab, or from a fresh one, which then joins that list at the head. */
static uint64_t alloc_debug(struct slub *slub, struct slub_cache *cache, gfp flags, unsigned cpu)
{
	slub_lock_node(slub, cache);
	struct slub_slab *slab = cache->partial.head;
	bool fresh = !slab;
	if (fresh) {
		slub_unlock_node(slub, cache);
		slab = slub_new_slab(slub, cache, flags, cpu);
		if (!slab) {
			cache->counters.alloc_failed++;
			return 0;
		}
		slub_lock_node(slub, cache);
	}
	uint16_t index = slab->freelist;
	touch_debug(slub, slab, index);
	slab->freelist = slab->links[index];
	slab->links[index] = LINK_LIVE;
	slab->inuse++;
	if (fresh && slab->inuse < slab->objects)
		slub_add_partial(slub, slab, false);
	else if (!fresh && slab->inuse == slab->objects)
		slub_remove_partial(slub, slab);
	slub_unlock_node(slub, cache);
	return slub_first_object(slub, slab) + (uint64_t)index * cache->geometry.size;
}

/* The CPU's slab is full, the next of its partial slabs takes its place. */
static void cpu_next_partial(const struct slub *slub, struct slub_cache *cache, unsigned cpu)
{
	struct slub_cpu *c = &cache->cpus[cpu];
	struct slub_slab *slab = c->partial;
	step_run(slub_steps(slub), CODE_SLUB_CPU_PARTIAL, costs(slub)->slub_cpu_partial);
	step_irqs(slub_steps(slub), IRQS_SAVE);
	slub_read_cpu(slub, cache, cpu, CPU_SLAB_WORD);
	slub_read_cpu(slub, cache, cpu, CPU_PARTIAL_WORD);
	slub_write_cpu(slub, cache, cpu, CPU_SLAB_WORD);
	step_use(slub_steps(slub));
	slub_read_slab(slub, slab, SLAB_LIST_WORD);
	slub_write_cpu(slub, cache, cpu, CPU_PARTIAL_WORD);
	step_irqs(slub_steps(slub), IRQS_ENABLE);
	c->partial = slab->next;
	slab->next = NULL;
	cpu_install(slub, c, slab);
	cache->counters.cpu_partial_alloc++;
}

/* pfmemalloc_match(), then the CPU's words once more, now with interrupts off. */
static void touch_reread(const struct slub *slub, const struct slub_cache *cache, const struct slub_slab *slab, unsigned cpu)
{
	step_use(slub_steps(slub));
	slub_read_slab(slub, slab, SLAB_FLAGS_WORD);
	step_irqs(slub_steps(slub), IRQS_SAVE);
	slub_read_cpu(slub, cache, cpu, CPU_SLAB_WORD);
	slub_read_cpu(slub, cache, cpu, CPU_FREELIST_WORD);
}

/* The first chain that the CPU's slab or one of its partial slabs has; LINK_NONE if they are all used up. */
static uint16_t refill_from_cpu(const struct slub *slub, struct slub_cache *cache, unsigned cpu)
{
	struct slub_cpu *c = &cache->cpus[cpu];
	slub_read_cpu(slub, cache, cpu, CPU_SLAB_WORD);
	for (;;) {
		if (!c->slab) {
			slub_read_cpu(slub, cache, cpu, CPU_PARTIAL_WORD);
			if (!c->partial)
				return LINK_NONE;
			cpu_next_partial(slub, cache, cpu);
		}
		touch_reread(slub, cache, c->slab, cpu);
		uint16_t chain = take_chain(slub, c->slab);
		if (chain != LINK_NONE) {
			cache->counters.alloc_refill++;
			return chain;
		}
		slub_write_cpu(slub, cache, cpu, CPU_SLAB_WORD);
		slub_update_cpu(slub, cache, cpu, CPU_TID_WORD);
		step_irqs(slub_steps(slub), IRQS_ENABLE);
		cpu_remove(c);
		cache->counters.deactivate_bypass++;
	}
}

/* A fresh slab becomes the CPU's: nobody else knows it, so its counters need no atomic. LINK_NONE: no memory. */
static uint16_t refill_from_new_slab(struct slub *slub, struct slub_cache *cache, gfp flags, unsigned cpu)
{
	struct slub_slab *slab = slub_new_slab(slub, cache, flags, cpu);
	if (!slab)
		return LINK_NONE;
	slub_update_slab(slub, slab, SLAB_FREELIST_WORD);
	slub_update_slab(slub, slab, SLAB_COUNTERS_WORD);
	slub_touch_nr_slabs(slub, slab);
	slub_read_slab(slub, slab, SLAB_FLAGS_WORD);
	cpu_install(slub, &cache->cpus[cpu], slab);
	uint16_t chain = slab->freelist;
	slab->freelist = LINK_NONE;
	slab->inuse = slab->objects;
	return chain;
}

uint64_t slub_alloc_slow(struct slub *slub, struct slub_cache *cache, gfp flags, unsigned cpu)
{
	cache->counters.alloc_slowpath++;
	step_run(slub_steps(slub), CODE_SLUB_ALLOC_SLOW, costs(slub)->slub_alloc_slow);
	uint16_t chain = refill_from_cpu(slub, cache, cpu);
	if (chain != LINK_NONE)
		return load_freelist(slub, cache, cpu, chain);
	if (cache->debug)
		return alloc_debug(slub, cache, flags, cpu);
	chain = get_partial_node(slub, cache, cpu);
	if (chain == LINK_NONE)
		chain = refill_from_new_slab(slub, cache, flags, cpu);
	if (chain == LINK_NONE) {
		cache->counters.alloc_failed++;
		return 0;
	}
	/* retry_load_slab: the CPU has no slab still, and takes this one. */
	step_irqs(slub_steps(slub), IRQS_SAVE);
	slub_read_cpu(slub, cache, cpu, CPU_SLAB_WORD);
	slub_write_cpu(slub, cache, cpu, CPU_SLAB_WORD);
	return load_freelist(slub, cache, cpu, chain);
}

/* What every allocation begins with: the CPU's words, tid first. code: of the fast path. */
static __attribute__((noinline)) void touch_alloc(const struct slub *slub, const struct slub_cache *cache, unsigned cpu,
                                                  enum kernel_code code)
{
	step_run(slub_steps(slub), code, costs(slub)->slub_alloc);
	slub_read_field(slub, cache, CACHE_OBJECT_SIZE);
	slub_find_cpu(slub, cache);
	slub_read_cpu(slub, cache, cpu, CPU_TID_WORD);
	slub_read_cpu(slub, cache, cpu, CPU_FREELIST_WORD);
	slub_read_cpu(slub, cache, cpu, CPU_SLAB_WORD);
}

/*
 * The fast path: freelist and tid change by one cmpxchg16b, which is not locked, for they are the CPU's own. Then the line of the
 * next object's free pointer is fetched (prefetch_freepointer); behind the last object that is the address `offset`, which is
 * nobody's.
 */
static __attribute__((noinline)) void touch_alloc_fast(const struct slub *slub, const struct slub_cache *cache, unsigned cpu,
                                                       uint64_t address)
{
	const struct slub_cpu *c = &cache->cpus[cpu];
	slub_read_field(slub, cache, CACHE_OFFSET);
	step_use(slub_steps(slub));
	step_read(slub_steps(slub), vaddr_of(address + cache->geometry.offset), slub_words(slub, 1));
	slub_decode_pointer(slub, cache);
	slub_read_field(slub, cache, CACHE_CPU_SLAB);
	slub_exchange_cpu(slub, cache, cpu);
	slub_read_field(slub, cache, CACHE_OFFSET);
	if (c->freelist == LINK_NONE)
		return;
	step_use(slub_steps(slub));
	step_prefetch(slub_steps(slub), slub_free_pointer(slub, c->slab, c->freelist));
}

static inline struct object slub_take(struct slub *slub, struct slub_cache *cache, gfp flags, unsigned cpu, enum kernel_code code)
{
	SIM_ASSERT(cpu < slub->cpus);
	struct slub_cpu *c = &cache->cpus[cpu];
	uint16_t index = c->freelist;
	uint64_t address;
	if (slub_steps(slub)->recording)
		touch_alloc(slub, cache, cpu, code);
	if (index != LINK_NONE) {
		address = c->address + (uint64_t)index * cache->geometry.size;
		c->freelist = c->links[index];
		c->links[index] = LINK_LIVE;
		cache->counters.alloc_fastpath++;
		if (slub_steps(slub)->recording)
			touch_alloc_fast(slub, cache, cpu, address);
	} else {
		address = slub_alloc_slow(slub, cache, flags, cpu);
	}
	if (slub_steps(slub)->recording)
		slub_touch_init(slub, cache, flags, address);
	return (struct object){.at = {address}, .bytes_alloc = cache->geometry.size, .cache = {cache->id}};
}

static struct object slub_alloc(struct object_allocator *objects, cache_id id, gfp flags, unsigned cpu)
{
	struct slub *slub = slub_of(objects);
	struct slub_cache *cache = slub_cache_of(slub, id);
	SIM_ASSERT(cache);
	return slub_take(slub, cache, flags, cpu, CODE_SLUB_ALLOC);
}

static struct object slub_kmalloc(struct object_allocator *objects, uint32_t size, gfp flags, unsigned cpu)
{
	struct slub *slub = slub_of(objects);
	if (size > KMALLOC_MAX_CACHE_SIZE)
		return kmalloc_large(&slub->kmalloc, size, flags, cpu);
	if (size == 0)
		return (struct object){.at = ZERO_SIZE_PTR, .bytes_alloc = 0, .cache = CACHE_NONE};
	if (slub_steps(slub)->recording)
		kmalloc_touch_slab(&slub->kmalloc, size, flags);
	return slub_take(slub, slub->caches[kmalloc_slab(&slub->kmalloc, size, flags).nr], flags, cpu, CODE_SLUB_KMALLOC);
}

/*
 * Takes the CPU's slab to where it belongs: its CPU chain goes in front of its own, then it joins the node's list, at the tail
 * if others had freed into it, or leaves if it is empty and the list long enough.
 */
static void deactivate_slab(struct slub *slub, struct slub_slab *slab, uint16_t chain, unsigned cpu)
{
	struct slub_cache *cache = slab->cache;
	bool tail = slab->freelist != LINK_NONE;
	slub_find_node(slub, slab);
	slub_read_slab(slub, slab, SLAB_FREELIST_WORD);
	if (tail)
		cache->counters.deactivate_remote_frees++;
	if (chain != LINK_NONE) {
		uint16_t last = chain, objects = 1;
		slub_read_pointer(slub, slab, last);
		for (; slab->links[last] != LINK_NONE; objects++) {
			last = slab->links[last];
			slub_read_pointer(slub, slab, last);
		}
		slub_write_pointer(slub, slab, last);
		slab->links[last] = slab->freelist;
		slab->freelist = chain;
		slab->inuse = (uint16_t)(slab->inuse - objects);
	}
	slub_read_counters(slub, slab);
	if (surplus(slub, slab)) {
		slub_exchange_counters(slub, slab);
		cache->counters.deactivate_empty++;
		cache->counters.free_slab++;
		slub_discard_slab(slub, slab, cpu);
	} else if (slab->freelist != LINK_NONE) {
		slub_lock_node(slub, cache);
		slub_exchange_counters(slub, slab);
		slub_add_partial(slub, slab, tail);
		slub_unlock_node(slub, cache);
		*(tail ? &cache->counters.deactivate_to_tail : &cache->counters.deactivate_to_head) += 1;
	} else {
		slub_exchange_counters(slub, slab);
		cache->counters.deactivate_full++;
	}
}

/* The pages of emptied slabs go to the lists of `by`, the CPU that does the work. */
static void slub_flush_cpu_from(struct slub *slub, struct slub_cache *cache, unsigned cpu, unsigned by)
{
	struct slub_cpu *c = &cache->cpus[cpu];
	if (!c->slab && !c->partial)
		return;
	step_write(slub_steps(slub), slub_cpu_word(slub, cache, cpu, 0), slub_words(slub, 4));
	if (c->slab) {
		uint16_t chain = c->freelist;
		deactivate_slab(slub, cpu_remove(c), chain, by);
		cache->counters.cpuslab_flush++;
	}
	struct slub_slab *partial = c->partial;
	c->partial = NULL;
	if (partial)
		unfreeze_partials(slub, cache, partial, by);
}

void slub_flush_cpu(struct slub *slub, struct slub_cache *cache, unsigned cpu)
{
	slub_flush_cpu_from(slub, cache, cpu, cpu);
}

/* Puts a chain in front of the slab's own. Returns what was there before. */
static uint16_t splice(struct slub_slab *slab, uint16_t head, uint16_t tail, uint32_t count)
{
	uint16_t prior = slab->freelist;
	slab->links[tail] = prior;
	slab->freelist = head;
	slab->inuse = (uint16_t)(slab->inuse - count);
	return prior;
}

static void free_debug(struct slub *slub, struct slub_slab *slab, uint16_t head, uint16_t tail, uint32_t count, unsigned cpu)
{
	struct slub_cache *cache = slab->cache;
	slub_lock_node(slub, cache);
	for (uint16_t i = head; i != tail; i = slab->links[i])
		touch_debug(slub, slab, i);
	touch_debug(slub, slab, tail);
	slub_write_pointer(slub, slab, tail);
	slub_update_slab(slub, slab, SLAB_COUNTERS_WORD);
	slub_write_slab(slub, slab, SLAB_FREELIST_WORD);
	bool was_full = splice(slab, head, tail, count) == LINK_NONE;
	bool discard = slab->inuse == 0 && cache->partial.nr >= cache->geometry.min_partial;
	if (was_full && !discard) {
		slub_add_partial(slub, slab, true);
		cache->counters.free_add_partial++;
	} else if (!was_full && discard) {
		slub_remove_partial(slub, slab);
		cache->counters.free_remove_partial++;
	}
	slub_unlock_node(slub, cache);
	if (discard) {
		cache->counters.free_slab++;
		slub_discard_slab(slub, slab, cpu);
	}
}

/*
 * The slab just freed into may have to change lists; the lock is held since before its counters changed. An empty slab leaves if
 * the node has enough, a slab that was full joins the node's list where no CPU may keep it.
 */
static void free_under_lock(struct slub *slub, struct slub_slab *slab, bool was_full, unsigned cpu)
{
	struct slub_cache *cache = slab->cache;
	bool discard = surplus(slub, slab);
	if (discard && !was_full) {
		slub_remove_partial(slub, slab);
		cache->counters.free_remove_partial++;
	} else if (!discard && was_full) {
		slub_add_partial(slub, slab, true);
		cache->counters.free_add_partial++;
	}
	slub_unlock_node(slub, cache);
	if (discard) {
		cache->counters.free_slab++;
		slub_discard_slab(slub, slab, cpu);
	}
}

static __attribute__((noinline)) void free_slow(struct slub *slub, struct slub_slab *slab, uint16_t head, uint16_t tail,
                                                uint32_t count, unsigned cpu)
{
	struct slub_cache *cache = slab->cache;
	cache->counters.free_slowpath++;
	step_run(slub_steps(slub), CODE_SLUB_FREE_SLOW, costs(slub)->slub_free_slow);
	if (cache->debug) {
		free_debug(slub, slab, head, tail, count, cpu);
		return;
	}
	slub_read_counters(slub, slab);
	slub_write_pointer(slub, slab, tail);
	bool was_full = splice(slab, head, tail, count) == LINK_NONE;
	bool frozen = slub_frozen(slab), freezes = was_full && cache->has_cpu_partial;
	bool locks = !frozen && !freezes && (was_full || slab->inuse == 0);
	if (locks) {
		step_run(slub_steps(slub), CODE_SLUB_FREE_NODE, costs(slub)->slub_free_node);
		step_path(slub_steps(slub), PATH_LISTS);
		slub_find_node(slub, slab);
		slub_lock_node(slub, cache);
	}
	slub_exchange_counters(slub, slab);
	if (frozen) {
		cache->counters.free_frozen++;
	} else if (freezes) {
		cache->counters.cpu_partial_free++;
		put_cpu_partial(slub, cache, slab, cpu, true);
	} else if (locks) {
		free_under_lock(slub, slab, was_full, cpu);
	}
}

/*
 * What every free begins with. The object's page leads to its slab twice: to see that the slab's cache is the caller's (kfree():
 * to find it) and again in slab_free(). slab_free_freelist_hook() then chains the objects anew, which writes each pointer.
 */
static __attribute__((noinline)) void touch_free(const struct slub *slub, const struct slub_slab *slab, uint16_t head,
                                                 uint16_t tail, unsigned cpu, enum kernel_code code)
{
	const struct slub_cache *cache = slab->cache;
	step_run(slub_steps(slub), code, costs(slub)->slub_free);
	slub_virt_to_slab(slub, slab, head);
	slub_read_slab(slub, slab, SLAB_CACHE_WORD);
	slub_virt_to_slab(slub, slab, head);
	for (uint16_t i = head; i != tail; i = slab->links[i]) {
		slub_read_pointer(slub, slab, i);
		slub_write_pointer(slub, slab, i);
	}
	slub_write_pointer(slub, slab, tail);
	slub_find_cpu(slub, cache);
	slub_read_cpu(slub, cache, cpu, CPU_TID_WORD);
	slub_read_cpu(slub, cache, cpu, CPU_SLAB_WORD);
}

/* do_slab_free() into the CPU's own chain. */
static __attribute__((noinline)) void touch_free_fast(const struct slub *slub, const struct slub_slab *slab, uint16_t tail,
                                                      unsigned cpu)
{
	slub_read_cpu(slub, slab->cache, cpu, CPU_FREELIST_WORD);
	slub_write_pointer(slub, slab, tail);
	slub_read_field(slub, slab->cache, CACHE_CPU_SLAB);
	slub_exchange_cpu(slub, slab->cache, cpu);
}

static inline void free_chain(struct slub *slub, struct slub_slab *slab, uint16_t head, uint16_t tail, uint32_t count,
                              unsigned cpu, enum kernel_code code)
{
	SIM_ASSERT(cpu < slub->cpus);
	struct slub_cpu *c = &slab->cache->cpus[cpu];
	bool fast = c->slab == slab;
	if (slub_steps(slub)->recording)
		touch_free(slub, slab, head, tail, cpu, code);
	if (fast) {
		if (slub_steps(slub)->recording)
			touch_free_fast(slub, slab, tail, cpu);
		slab->links[tail] = c->freelist;
		c->freelist = head;
		slab->cache->counters.free_fastpath++;
	} else {
		free_slow(slub, slab, head, tail, count, cpu);
	}
}

void slub_free_chain(struct slub *slub, struct slub_slab *slab, uint16_t head, uint16_t tail, uint32_t count, unsigned cpu)
{
	free_chain(slub, slab, head, tail, count, cpu, CODE_SLUB_FREE);
}

static inline enum object_free_result find_object(const struct slub *slub, const struct slub_cache *cache, vaddr at,
                                                  struct slub_slab **slab_out, uint16_t *index_out)
{
	struct slub_slab *slab = slub_slab_of(slub, at);
	if (!slab)
		return OBJECT_FREE_NOT_OBJECT;
	/* Before the first object, in its left red zone, the distance is negative: so large that no index leads there. */
	uint64_t distance = at.addr - slub_first_object(slub, slab);
	uint32_t index = slub_object_index(slab->cache, (uint32_t)distance);
	if (index >= slab->objects || index * slab->cache->geometry.size != distance)
		return OBJECT_FREE_NOT_OBJECT;
	if (slab->links[index] != LINK_LIVE)
		return OBJECT_FREE_NOT_ALLOCATED;
	if (cache && slab->cache != cache)
		return OBJECT_FREE_WRONG_CACHE;
	*slab_out = slab;
	*index_out = (uint16_t)index;
	return OBJECT_FREE_OK;
}

enum object_free_result slub_find_object(const struct slub *slub, const struct slub_cache *cache, vaddr at,
                                         struct slub_slab **slab, uint16_t *index)
{
	return find_object(slub, cache, at, slab, index);
}

static bool is_large(const struct slub *slub, vaddr at)
{
	return frame_map_get(&slub->kmalloc.frames, layout_pfn_of(slub->wiring.layout, at)) & FRAME_LARGE;
}

static __attribute__((noinline)) enum object_free_result wrong_free(struct slub *slub, enum object_free_result result)
{
	slub->wrong_frees++;
	return result;
}

static enum object_free_result slub_free(struct object_allocator *objects, cache_id id, vaddr at, unsigned cpu)
{
	struct slub *slub = slub_of(objects);
	const struct slub_cache *cache = slub_cache_of(slub, id);
	SIM_ASSERT(cache);
	struct slub_slab *slab;
	uint16_t index;
	enum object_free_result result = find_object(slub, cache, at, &slab, &index);
	if (result == OBJECT_FREE_OK) {
		free_chain(slub, slab, index, index, 1, cpu, CODE_SLUB_FREE);
		return OBJECT_FREE_OK;
	}
	if (kmalloc_large_bytes(&slub->kmalloc, at) != 0)
		result = OBJECT_FREE_WRONG_CACHE;
	return wrong_free(slub, result);
}

static enum object_free_result slub_kfree(struct object_allocator *objects, vaddr at, unsigned cpu)
{
	struct slub *slub = slub_of(objects);
	if (at.addr <= ZERO_SIZE_PTR.addr)
		return OBJECT_FREE_OK;
	struct slub_slab *slab;
	uint16_t index;
	enum object_free_result result = find_object(slub, NULL, at, &slab, &index);
	if (result == OBJECT_FREE_OK) {
		free_chain(slub, slab, index, index, 1, cpu, CODE_SLUB_KFREE);
		return OBJECT_FREE_OK;
	}
	if (is_large(slub, at))
		result = kfree_large(&slub->kmalloc, at, cpu);
	return result == OBJECT_FREE_OK ? result : wrong_free(slub, result);
}

static bool slub_port_alloc_bulk(struct object_allocator *objects, cache_id id, gfp flags, size_t count, vaddr *at, unsigned cpu)
{
	return slub_alloc_bulk(slub_of(objects), id, flags, count, at, cpu);
}

static enum object_free_result slub_port_free_bulk(struct object_allocator *objects, cache_id id, size_t count, vaddr *at,
                                                   unsigned cpu)
{
	return slub_free_bulk(slub_of(objects), id, count, at, cpu);
}

/* slub_cpu_dead(): of each cache, the newest first. */
static void slub_cpu_dead(struct object_allocator *objects, unsigned dead, unsigned cpu)
{
	struct slub *slub = slub_of(objects);
	SIM_ASSERT(dead < slub->cpus && cpu < slub->cpus && dead != cpu);
	for (uint32_t id = slub->cache_limit; id-- > 0;)
		if (slub->caches[id])
			slub_flush_cpu_from(slub, slub->caches[id], dead, cpu);
}

static uint32_t slub_ksize(const struct object_allocator *objects, vaddr at)
{
	const struct slub *slub = (const struct slub *)objects;
	struct slub_slab *slab;
	uint16_t index;
	if (find_object(slub, NULL, at, &slab, &index) != OBJECT_FREE_OK)
		return kmalloc_large_bytes(&slub->kmalloc, at);
	const struct slub_geometry *g = &slab->cache->geometry;
	if (g->flags & (SLAB_RED_ZONE | SLAB_POISON))
		return g->object_size;
	return g->flags & (SLAB_TYPESAFE_BY_RCU | SLAB_STORE_USER) ? g->inuse : g->size;
}

static uint32_t slub_cache_limit(const struct object_allocator *objects)
{
	return ((const struct slub *)objects)->cache_limit;
}

static uint64_t slub_pages_large(const struct object_allocator *objects)
{
	return ((const struct slub *)objects)->kmalloc.pages_large;
}

static uint64_t slub_pages_held(const struct object_allocator *objects)
{
	const struct slub *slub = (const struct slub *)objects;
	return slub->pages_slabs + slub->kmalloc.pages_large;
}

static void slub_destroy(struct object_allocator *objects)
{
	struct slub *slub = slub_of(objects);
	slub_caches_release(slub);
	slub_links_release(&slub->links);
	lazy_free(slub->slabs, slub->kmalloc.frames.frames, sizeof *slub->slabs);
	kmalloc_release(&slub->kmalloc);
	free(slub->sum);
	free(slub);
}

const struct object_allocator_ops object_allocator_slub_ops = {
        .name = "slub",
        .help = "Linux 6.1 SLUB: per-CPU slabs with lockless chains, per-CPU and per-node partial lists",
        .cache_create = slub_cache_create,
        .cache_destroy = slub_cache_destroy,
        .cache_shrink = slub_cache_shrink,
        .alloc = slub_alloc,
        .free = slub_free,
        .kmalloc = slub_kmalloc,
        .kfree = slub_kfree,
        .alloc_bulk = slub_port_alloc_bulk,
        .free_bulk = slub_port_free_bulk,
        .cpu_dead = slub_cpu_dead,
        .ksize = slub_ksize,
        .cache_limit = slub_cache_limit,
        .cache_view = slub_cache_view,
        .pages_held = slub_pages_held,
        .pages_large = slub_pages_large,
        .print_state = slub_print_state,
        .load_state = slub_load_state,
        .place_slab = slub_place_slab,
        .follow = &slub_follow_ops,
        .check = slub_check,
        .metrics = slub_metrics,
        .counters = slub_counters,
        .destroy = slub_destroy,
};

/* A kernel address below 4 GiB means a machine of 32 bits, whose pointers are half as long. */
static uint32_t pointer_bytes(const struct layout *layout)
{
	return layout->direct_map >> 32 ? 8 : 4;
}

static struct slub_config config_of(const struct object_allocator_wiring *wiring)
{
	const struct settings *settings = wiring->settings;
	return (struct slub_config){
	        .cpus = settings->machine.cpus ? settings->machine.cpus : 1,
	        .pointer_bytes = pointer_bytes(wiring->layout),
	        .cache_line_bytes = settings->machine.cache_line_bytes,
	        .min_order = settings->kernel.slub_min_order,
	        .max_order = settings->kernel.slub_max_order,
	        .min_objects = settings->kernel.slub_min_objects,
	        .cpu_partial = settings->kernel.slub_cpu_partial,
	};
}

struct object_allocator *object_allocator_slub_create(const struct object_allocator_wiring *wiring, struct error *error)
{
	struct slub *slub = xcalloc(1, sizeof *slub);
	slub->base.ops = &object_allocator_slub_ops;
	slub->wiring = *wiring;
	slub->config = config_of(wiring);
	if (!slub_debug_parse(&slub->config, wiring->settings->kernel.slub_debug, error) ||
	    !cache_tunables_check(wiring->settings, error)) {
		free(slub);
		return NULL;
	}
	slub->cpus = slub->config.cpus;
	slub->merge = wiring->settings->kernel.slab_merge;
	slub->freelist_random = wiring->settings->kernel.slab_freelist_random;
	rng_init(&slub->freelist_rng, wiring->seed, "slub freelists");
	slub->hardened = wiring->settings->kernel.slab_freelist_hardened;
	slub->node_stat_offset = layout_per_cpu_alloc(wiring->layout, PER_CPU_NODESTAT_BYTES, PER_CPU_ALIGN_MIN);
	kmalloc_init(&slub->kmalloc, &slub->wiring, KMALLOC_SHIFT_LOW_SLUB);
	slub->slabs = lazy_alloc(slub->kmalloc.frames.frames, sizeof *slub->slabs);
	slub->sum = xcalloc(1, sizeof *slub->sum);
	if (slub_create_kmalloc_caches(slub))
		return &slub->base;
	error_set(error, ERROR_USAGE,
	          "kernel.slub_min_order: %u is an order no slab can have; a kernel would not boot (at most %d)",
	          slub->config.min_order, ORDERS - 1);
	slub_destroy(&slub->base);
	return NULL;
}
