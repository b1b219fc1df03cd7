/* SPDX-License-Identifier: MIT
 *
 * slub_bulk.c - many objects in one call: kmem_cache_alloc_bulk(), kmem_cache_free_bulk(), kfree_bulk() (interface: slub.h).
 *
 * Freeing goes through the array from its end and gathers objects of one slab into a chain, until it has met three others;
 * each chain is then freed as a whole. The order of the chain decides which object is handed out next, so it is kept: the
 * object nearest the array's end comes first.
 *
 * Source: Linux 6.1 mm/slub.c (build_detached_freelist, slab_free_freelist_hook, kmem_cache_free_bulk, kmem_cache_alloc_bulk).
 */
#include "models/kernel_code.h"
#include "models/object_allocator/slub_internal.h"
#include "models/object_allocator/slub_steps.h"

/* The search for objects of the same slab ends at the third object of another (lookahead of build_detached_freelist). */
#define LOOKAHEAD 3

static bool is_large(const struct slub *slub, const struct slub_cache *cache, vaddr at)
{
	return !cache && kmalloc_large_bytes(&slub->kmalloc, at) != 0;
}

/* Marks the objects, or takes the marks of the first `count` back. A large block is marked by nothing. */
static void mark(struct slub *slub, const vaddr *at, size_t count, uint16_t value)
{
	for (size_t i = 0; i < count; i++) {
		struct slub_slab *slab = slub_slab_of(slub, at[i]);
		if (slab)
			slab->links[slub_object_index(slab->cache, (uint32_t)(at[i].addr - slub_first_object(slub, slab)))] =
			        value;
	}
}

static bool large_seen_before(const vaddr *at, size_t count, vaddr one)
{
	for (size_t i = 0; i < count; i++)
		if (at[i].addr == one.addr)
			return true;
	return false;
}

/* Looks at every object before any is freed. Marks make an object that stands in the array twice a double free. */
static enum object_free_result check_all(struct slub *slub, const struct slub_cache *cache, const vaddr *at, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct slub_slab *slab;
		uint16_t index;
		enum object_free_result result = slub_find_object(slub, cache, at[i], &slab, &index);
		if (result == OBJECT_FREE_OK) {
			slab->links[index] = LINK_FREEING;
			continue;
		}
		if (is_large(slub, cache, at[i])) {
			if (!large_seen_before(at, i, at[i]))
				continue;
			result = OBJECT_FREE_NOT_ALLOCATED;
		}
		mark(slub, at, i, LINK_LIVE);
		slub->wrong_frees++;
		return result;
	}
	mark(slub, at, count, LINK_LIVE);
	return OBJECT_FREE_OK;
}

/* Frees the last object of the array and those of its slab near it; returns how many are left. */
static size_t free_last(struct slub *slub, const struct slub_cache *cache, size_t count, vaddr *at, unsigned cpu)
{
	if (is_large(slub, cache, at[count - 1])) {
		enum object_free_result result = kfree_large(&slub->kmalloc, at[count - 1], cpu);
		SIM_ASSERT(result == OBJECT_FREE_OK);
		return count - 1;
	}
	struct slub_slab *slab;
	uint16_t head, tail;
	enum object_free_result result = slub_find_object(slub, cache, at[count - 1], &slab, &head);
	SIM_ASSERT(result == OBJECT_FREE_OK);
	tail = head;
	uint32_t objects = 1;
	size_t left = count - 1;
	int lookahead = LOOKAHEAD;
	slub_virt_to_slab(slub, slab, head);
	slub_write_pointer(slub, slab, head);
	for (size_t i = count - 1; i-- > 0;) {
		if (slub_slab_of(slub, at[i]) != slab) {
			if (--lookahead == 0)
				break;
			continue;
		}
		uint16_t index;
		result = slub_find_object(slub, cache, at[i], &slab, &index);
		SIM_ASSERT(result == OBJECT_FREE_OK);
		slub_virt_to_slab(slub, slab, index);
		slub_write_pointer(slub, slab, index);
		slab->links[tail] = index;
		tail = index;
		objects++;
		left--;
		vaddr other = at[left];
		at[left] = at[i];
		at[i] = other;
	}
	slab->cache->counters.free_bulk += objects - 1;
	slub_free_chain(slub, slab, head, tail, objects, cpu);
	return left;
}

enum object_free_result slub_free_bulk(struct slub *slub, cache_id id, size_t count, vaddr *at, unsigned cpu)
{
	const struct slub_cache *cache = slub_cache_of(slub, id);
	SIM_ASSERT(cache || id.nr == UINT32_MAX);
	enum object_free_result result = check_all(slub, cache, at, count);
	if (result != OBJECT_FREE_OK)
		return result;
	slub->base.live_objects -= count;
	while (count > 0)
		count = free_last(slub, cache, count, at, cpu);
	return OBJECT_FREE_OK;
}

bool slub_alloc_bulk(struct slub *slub, cache_id id, gfp flags, size_t count, vaddr *at, unsigned cpu)
{
	struct slub_cache *cache = slub_cache_of(slub, id);
	SIM_ASSERT(cache && cpu < slub->cpus);
	struct slub_cpu *c = &cache->cpus[cpu];
	step_run(slub_steps(slub), CODE_SLUB_ALLOC, slub->wiring.settings->cost.slub_alloc);
	slub_find_cpu(slub, cache);
	step_irqs(slub_steps(slub), IRQS_DISABLE);
	for (size_t i = 0; i < count; i++) {
		uint16_t index = c->freelist;
		slub->base.live_objects++;
		if (index != LINK_NONE) {
			at[i] = vaddr_of(c->address + (uint64_t)index * cache->geometry.size);
			slub_read_cpu(slub, cache, cpu, CPU_FREELIST_WORD);
			slub_read_pointer(slub, c->slab, index);
			slub_write_cpu(slub, cache, cpu, CPU_FREELIST_WORD);
			c->freelist = c->links[index];
			c->links[index] = LINK_LIVE;
			cache->counters.alloc_bulk++;
			continue;
		}
		slub_update_cpu(slub, cache, cpu, CPU_TID_WORD);
		step_irqs(slub_steps(slub), IRQS_ENABLE);
		at[i] = vaddr_of(slub_alloc_slow(slub, cache, flags, cpu));
		if (at[i].addr) {
			step_irqs(slub_steps(slub), IRQS_DISABLE);
			continue;
		}
		slub->base.live_objects--;
		slub_free_bulk(slub, id, i, at, cpu);
		return false;
	}
	slub_update_cpu(slub, cache, cpu, CPU_TID_WORD);
	step_irqs(slub_steps(slub), IRQS_ENABLE);
	for (size_t i = 0; i < count && slub_steps(slub)->recording; i++)
		slub_touch_init(slub, cache, flags, at[i].addr);
	return true;
}
