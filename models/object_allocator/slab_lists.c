/* SPDX-License-Identifier: MIT
 *
 * slab_lists.c - slab records, the arena they lie in, and the lists they stand on (interface: slab.h).
 *
 * A record takes as many units of the arena as its objects need; a given-back record is chained by size and used again, last
 * given first. The arena is reserved for the worst case and costs host memory only where records were.
 *
 * Steps of the lists are those of the kernel's doubly linked lists: a list's neighbours are the struct pages of other slabs, or
 * the list head in the node.
 */
#include "models/object_allocator/slab.h"
#include "sim/list_steps.h"

#include <string.h>

/* prev and next of struct list_head. */
#define POINTER_BYTES 8u
#define LIST_HEAD_BYTES 16u

static uint32_t record_units(const struct slab_cache *cache)
{
	size_t bytes = offsetof(struct slab, bytes) + cache->index_at + cache->num;
	return (uint32_t)((bytes + SLAB_UNIT - 1) / SLAB_UNIT);
}

static uint32_t arena_take(struct slab_allocator *allocator, uint32_t units)
{
	uint32_t number = allocator->unused_record[units];
	if (number != 0) {
		allocator->unused_record[units] = slab_at(allocator, number)->next;
		return number;
	}
	number = allocator->arena_used;
	SIM_ASSERT(number + units <= allocator->arena_units && number + units < FRAME_LARGE);
	allocator->arena_used += units;
	return number;
}

uint32_t slab_record_take(struct slab_allocator *allocator, struct slab_cache *cache, pfn frame)
{
	uint32_t units = record_units(cache);
	uint32_t number = arena_take(allocator, units);
	struct slab *slab = slab_at(allocator, number);
	memset(slab, 0, offsetof(struct slab, bytes) + cache->index_at);
	slab->cache = cache;
	slab->frame = frame.nr;
	slab->units = (uint8_t)units;
	slab->list = SLAB_LISTS;
	frame_map_set(&allocator->kmalloc.frames, frame, slab_frames(cache), number);
	return number;
}

void slab_record_give(struct slab_allocator *allocator, uint32_t number)
{
	struct slab *slab = slab_at(allocator, number);
	frame_map_set(&allocator->kmalloc.frames, pfn_of(slab->frame), slab_frames(slab->cache), 0);
	slab->cache = NULL;
	slab->next = allocator->unused_record[slab->units];
	allocator->unused_record[slab->units] = number;
}

static vaddr head_address(const struct slab_cache *cache, enum slab_list list)
{
	return vaddr_of(cache->node_at.addr + NODE_LISTS + LIST_HEAD_BYTES * (uint32_t)list);
}

/* Where the list pointers of a neighbour lie: number 0 is the head. */
static vaddr link_address(const struct slab_allocator *allocator, const struct slab_cache *cache, enum slab_list list,
                          uint32_t number)
{
	return number == 0 ? head_address(cache, list) : slab_page_field(allocator, slab_at(allocator, number), SLAB_PAGE_LIST);
}

/* list_add(), list_add_tail(): the list's head says who its neighbour is. */
static void record_add(struct slab_allocator *allocator, const struct slab_cache *cache, uint32_t number, bool tail)
{
	if (!allocator->steps->recording)
		return;
	const struct slab *slab = slab_at(allocator, number);
	vaddr head = head_address(cache, slab->list);
	step_read(allocator->steps, tail ? list_prev_pointer(head, POINTER_BYTES) : head, POINTER_BYTES);
	step_use(allocator->steps);
	step_list_add(allocator->steps, slab_page_field(allocator, slab, SLAB_PAGE_LIST),
	              link_address(allocator, cache, slab->list, slab->prev),
	              link_address(allocator, cache, slab->list, slab->next), POINTER_BYTES);
}

static void link_between(struct slab_allocator *allocator, struct slab_cache *cache, enum slab_list list, uint32_t number,
                         uint32_t prev, uint32_t next)
{
	struct slab_list_head *head = &cache->node.list[list];
	struct slab *slab = slab_at(allocator, number);
	slab->prev = prev;
	slab->next = next;
	slab->list = (uint8_t)list;
	*(prev ? &slab_at(allocator, prev)->next : &head->first) = number;
	*(next ? &slab_at(allocator, next)->prev : &head->last) = number;
}

void slab_list_add(struct slab_allocator *allocator, struct slab_cache *cache, enum slab_list list, uint32_t number)
{
	link_between(allocator, cache, list, number, 0, cache->node.list[list].first);
	record_add(allocator, cache, number, false);
}

void slab_list_add_tail(struct slab_allocator *allocator, struct slab_cache *cache, enum slab_list list, uint32_t number)
{
	link_between(allocator, cache, list, number, cache->node.list[list].last, 0);
	record_add(allocator, cache, number, true);
}

void slab_list_del(struct slab_allocator *allocator, struct slab_cache *cache, uint32_t number)
{
	struct slab *slab = slab_at(allocator, number);
	if (slab->list == SLAB_LISTS)
		return;
	struct slab_list_head *head = &cache->node.list[slab->list];
	*(slab->prev ? &slab_at(allocator, slab->prev)->next : &head->first) = slab->next;
	*(slab->next ? &slab_at(allocator, slab->next)->prev : &head->last) = slab->prev;
	if (allocator->steps->recording)
		step_list_del(allocator->steps, slab_page_field(allocator, slab, SLAB_PAGE_LIST),
		              link_address(allocator, cache, slab->list, slab->prev),
		              link_address(allocator, cache, slab->list, slab->next), POINTER_BYTES);
	slab->list = SLAB_LISTS;
}
