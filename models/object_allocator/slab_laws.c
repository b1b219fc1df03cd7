/* SPDX-License-Identifier: MIT
 *
 * slab_laws.c - check() of the SLAB model: walks every cache, recounts, and compares (interface: slab.h).
 *
 * Laws, per cache:
 *   every slab is on the list that its `active` says, linked both ways, and its frames' entries name it;
 *   index[active..num) names different objects, none of them in use; with CFLGS_OBJFREELIST_SLAB the deepest of them holds the
 * array; the entries of the arrays are different objects, none of them in use or in a stack; active objects of all slabs =
 * objects in use + entries of all arrays; the node's counts are those of the lists. Over all caches: each counter's law, see
 * check_counters().
 */
#include "models/object_allocator/slab.h"

#include <stdlib.h>
#include <string.h>

struct sums {
	uint64_t live, active, slabs, pages, records_units, off_slab_freelists;
};

static bool in_stack(const struct slab_cache *cache, const struct slab *slab, uint32_t index)
{
	const uint8_t *stack = slab->bytes + cache->index_at;
	for (uint32_t i = slab->active; i < cache->num; i++)
		if (stack[i] == index)
			return true;
	return false;
}

static void check_freelist(const struct slab_allocator *allocator, const struct slab_cache *cache, const struct slab *slab)
{
	uint64_t begin = layout_page_address(allocator->wiring.layout, pfn_of(slab->frame)).addr;
	uint64_t end = begin + ((uint64_t)slab_frames(cache) << PAGE_SHIFT);
	SIM_ASSERT(slab->s_mem >= begin && slab_object_address(cache, slab, cache->num) <= end);
	if (cache->geometry.flags & CFLGS_OFF_SLAB) {
		SIM_ASSERT(slab->freelist != 0 && (slab->freelist < begin || slab->freelist >= end));
	} else if (!(cache->geometry.flags & CFLGS_OBJFREELIST_SLAB)) {
		SIM_ASSERT(slab->freelist == end - cache->num);
		SIM_ASSERT(slab_object_address(cache, slab, cache->num) <= slab->freelist);
	} else if (slab->active == cache->num) {
		SIM_ASSERT(slab->freelist == 0);
	} else {
		uint32_t deepest = (slab->bytes + cache->index_at)[cache->num - 1];
		SIM_ASSERT(slab->freelist == slab_object_address(cache, slab, deepest));
	}
}

/* Returns the number of objects in use. */
static uint32_t check_objects(const struct slab_cache *cache, const struct slab *slab)
{
	uint64_t seen[(SLAB_OBJ_MAX_NUM + 63) / 64] = {0};
	const uint8_t *stack = slab->bytes + cache->index_at;
	for (uint32_t i = slab->active; i < cache->num; i++) {
		uint32_t index = stack[i];
		SIM_ASSERT(index < cache->num && !slab_object_live(slab, index));
		SIM_ASSERT(!(seen[index / 64] >> index % 64 & 1));
		seen[index / 64] |= 1ull << index % 64;
	}
	uint32_t live = 0;
	for (uint32_t index = 0; index < cache->num; index++)
		live += slab_object_live(slab, index);
	SIM_ASSERT(live <= slab->active);
	return live;
}

static void check_place(const struct slab_allocator *allocator, const struct slab_cache *cache, uint32_t number,
                        enum slab_list list)
{
	const struct slab *slab = slab_at(allocator, number);
	SIM_ASSERT(slab->cache == cache && slab->list == list && slab->active <= cache->num);
	SIM_ASSERT((list == SLABS_FULL) == (slab->active == cache->num));
	SIM_ASSERT((list == SLABS_FREE) == (slab->active == 0));
	for (uint32_t i = 0; i < slab_frames(cache); i++)
		SIM_ASSERT(frame_map_get(&allocator->kmalloc.frames, pfn_of(slab->frame + i)) == number);
}

struct list_sums {
	uint64_t slabs, active, live;
};

static struct list_sums check_list(const struct slab_allocator *allocator, const struct slab_cache *cache, enum slab_list list,
                                   struct sums *sums)
{
	struct list_sums found = {0};
	uint32_t prev = 0;
	for (uint32_t number = cache->node.list[list].first; number != 0; number = slab_at(allocator, number)->next) {
		const struct slab *slab = slab_at(allocator, number);
		SIM_ASSERT(slab->prev == prev && found.slabs < cache->node.total_slabs);
		check_place(allocator, cache, number, list);
		check_freelist(allocator, cache, slab);
		found.live += check_objects(cache, slab);
		found.active += slab->active;
		found.slabs++;
		sums->records_units += slab->units;
		prev = number;
	}
	SIM_ASSERT(cache->node.list[list].last == prev);
	return found;
}

static int compare_entries(const void *left, const void *right)
{
	const struct slab_entry *a = left;
	const struct slab_entry *b = right;
	if (a->slab != b->slab)
		return a->slab < b->slab ? -1 : 1;
	return (a->index > b->index) - (a->index < b->index);
}

static uint64_t entries_of(const struct slab_allocator *allocator, const struct slab_cache *cache)
{
	uint64_t count = cache->node.shared ? cache->node.shared->avail : 0;
	for (unsigned cpu = 0; cpu < allocator->rules.cpus; cpu++)
		count += cpu_array(cache, cpu)->avail;
	return count;
}

static size_t copy_entries(struct slab_entry *to, const struct array_cache *array)
{
	SIM_ASSERT(array->avail <= array->limit);
	memcpy(to, array->entry, array->avail * sizeof *to);
	return array->avail;
}

/* Returns the number of objects in arrays. */
static uint64_t check_arrays(const struct slab_allocator *allocator, const struct slab_cache *cache)
{
	uint64_t count = entries_of(allocator, cache);
	struct slab_entry *entries = xcalloc(count, sizeof *entries);
	size_t copied = 0;
	for (unsigned cpu = 0; cpu < allocator->rules.cpus; cpu++)
		copied += copy_entries(entries + copied, cpu_array(cache, cpu));
	if (cache->node.shared)
		copied += copy_entries(entries + copied, cache->node.shared);
	SIM_ASSERT(copied == count);
	qsort(entries, count, sizeof *entries, compare_entries);
	for (uint64_t i = 0; i < count; i++) {
		SIM_ASSERT(entries[i].slab != 0 && entries[i].slab < allocator->arena_used);
		const struct slab *slab = slab_at(allocator, entries[i].slab);
		SIM_ASSERT(slab->cache == cache && entries[i].index < cache->num);
		SIM_ASSERT(!slab_object_live(slab, entries[i].index) && !in_stack(cache, slab, entries[i].index));
		SIM_ASSERT(i == 0 || compare_entries(&entries[i - 1], &entries[i]) != 0);
	}
	free(entries);
	return count;
}

static void check_cache(const struct slab_allocator *allocator, const struct slab_cache *cache, struct sums *sums)
{
	const struct slab_node *node = &cache->node;
	uint64_t slabs = 0, active = 0, live = 0;
	for (unsigned list = 0; list < SLAB_LISTS; list++) {
		struct list_sums found = check_list(allocator, cache, (enum slab_list)list, sums);
		SIM_ASSERT(list != SLABS_FREE || found.slabs == node->free_slabs);
		slabs += found.slabs;
		active += found.active;
		live += found.live;
	}
	SIM_ASSERT(slabs == node->total_slabs);
	SIM_ASSERT(node->free_objects == slabs * cache->num - active);
	SIM_ASSERT(live == cache->live);
	SIM_ASSERT(active == live + check_arrays(allocator, cache));
	sums->live += live;
	sums->active += active;
	sums->slabs += slabs;
	sums->pages += slabs * slab_frames(cache);
	sums->off_slab_freelists += cache->geometry.flags & CFLGS_OFF_SLAB ? slabs : 0;
}

static uint64_t unused_units(const struct slab_allocator *allocator)
{
	uint64_t units = 0;
	for (uint32_t size = 1; size <= SLAB_UNITS_MAX; size++)
		for (uint32_t number = allocator->unused_record[size]; number != 0; number = slab_at(allocator, number)->next)
			units += size;
	return units;
}

static void check_counters(const struct slab_allocator *allocator, const struct sums *sums)
{
	const struct slab_counters *counters = &allocator->counters;
	uint64_t allocs = counters->allochit + counters->allocmiss - counters->alloc_failed;
	SIM_ASSERT(allocs + allocator->loaded.live - counters->freehit - counters->freemiss == sums->live);
	SIM_ASSERT(counters->allocmiss ==
	           counters->refill_shared + counters->refill_lists + counters->refill_grown + counters->alloc_failed);
	SIM_ASSERT(counters->freemiss == counters->flush_shared + counters->flush_lists);
	SIM_ASSERT(counters->num_active == sums->active && counters->high_mark >= sums->active);
	SIM_ASSERT(counters->num_allocations + allocator->loaded.active - counters->num_frees == sums->active);
	SIM_ASSERT(counters->grown + allocator->loaded.slabs - counters->reaped - counters->shrunk - counters->over_limit ==
	           sums->slabs);
	SIM_ASSERT(counters->pages_slab == sums->pages);
	SIM_ASSERT(allocator->off_slab_freelists == sums->off_slab_freelists);
	SIM_ASSERT(allocator->port.live_objects + allocator->off_slab_freelists ==
	           sums->live + kmalloc_large_live(&allocator->kmalloc));
	SIM_ASSERT(sums->records_units + unused_units(allocator) + 1 == allocator->arena_used);
}

void slab_check(const struct object_allocator *objects)
{
	const struct slab_allocator *allocator = (const struct slab_allocator *)(const void *)objects;
	struct sums sums = {0};
	uint32_t used = 0, listed = 0;
	for (uint32_t nr = 0; nr < allocator->cache_limit; nr++) {
		if (!allocator->caches[nr]->used)
			continue;
		used++;
		check_cache(allocator, allocator->caches[nr], &sums);
	}
	for (uint32_t at = allocator->newest_cache; at != 0; at = allocator->caches[at - 1]->older) {
		SIM_ASSERT(allocator->caches[at - 1]->used && listed < used);
		listed++;
	}
	SIM_ASSERT(listed == used);
	kmalloc_check(&allocator->kmalloc);
	check_counters(allocator, &sums);
}
