/* SPDX-License-Identifier: MIT
 *
 * page_maps.c - mappings by id (interface and laws: page_maps.h).
 */
#include "sim/page_maps.h"

#include <stdlib.h>
#include <string.h>

enum { MAPPING_NONE, MAPPING_WAITS, MAPPING_LIVE };

void page_maps_init(struct page_maps *maps, struct page_mapper *mapper, struct steps *steps, uint32_t ids)
{
	*maps = (struct page_maps){.mapper = mapper, .steps = steps, .ids = ids};
	if (mapper)
		maps->by_id = lazy_alloc(ids, sizeof *maps->by_id);
}

void page_maps_release(struct page_maps *maps)
{
	if (maps->by_id)
		lazy_free(maps->by_id, maps->ids, sizeof *maps->by_id);
	free(maps->waiting);
	*maps = (struct page_maps){0};
}

static enum page_map_result try(struct page_maps *maps, struct page_mapping *mapping, unsigned cpu)
{
	vaddr at;
	enum page_map_result result = page_map(maps->mapper, (enum page_map_call)mapping->call, pfn_of(mapping->frame), cpu, &at);
	if (result != PAGE_MAP_OK)
		return result;
	mapping->at = at.addr;
	mapping->state = MAPPING_LIVE;
	if (mapping->bytes)
		step_write(maps->steps, at, mapping->bytes);
	return PAGE_MAP_OK;
}

static void wait_for_slot(struct page_maps *maps, uint32_t id)
{
	if (maps->waiting_count == maps->waiting_room) {
		maps->waiting_room = maps->waiting_room ? 2 * maps->waiting_room : 64;
		maps->waiting = xrealloc(maps->waiting, maps->waiting_room * sizeof *maps->waiting);
	}
	maps->waiting[maps->waiting_count++] = id;
	maps->by_id[id].state = MAPPING_WAITS;
	maps->counters.waited++;
}

enum page_map_result page_maps_map(struct page_maps *maps, uint32_t id, const struct page_mapping *mapping)
{
	SIM_ASSERT(maps->mapper && id < maps->ids && maps->by_id[id].state == MAPPING_NONE && mapping->bytes <= PAGE_SIZE);
	struct page_mapping *own = &maps->by_id[id];
	*own = *mapping;
	own->state = MAPPING_NONE;
	enum page_map_result result = try(maps, own, mapping->cpu);
	maps->counters.made += result == PAGE_MAP_OK;
	if (result == PAGE_MAP_MUST_WAIT)
		wait_for_slot(maps, id);
	return result;
}

static void forget_waiting(struct page_maps *maps, uint32_t place)
{
	memmove(&maps->waiting[place], &maps->waiting[place + 1], (maps->waiting_count - place - 1) * sizeof *maps->waiting);
	maps->waiting_count--;
}

static void wake_waiting(struct page_maps *maps, unsigned cpu)
{
	while (maps->waiting_count && try(maps, &maps->by_id[maps->waiting[0]], cpu) == PAGE_MAP_OK) {
		maps->counters.made_late++;
		forget_waiting(maps, 0);
	}
}

static enum page_maps_unmap give_up(struct page_maps *maps, uint32_t id)
{
	uint32_t place = 0;
	while (maps->waiting[place] != id)
		place++;
	forget_waiting(maps, place);
	maps->by_id[id].state = MAPPING_NONE;
	maps->counters.given_up++;
	return PAGE_MAPS_NEVER_MADE;
}

enum page_maps_unmap page_maps_unmap(struct page_maps *maps, uint32_t id, unsigned cpu)
{
	SIM_ASSERT(maps->mapper && id < maps->ids && maps->by_id[id].state != MAPPING_NONE);
	struct page_mapping *mapping = &maps->by_id[id];
	if (mapping->state == MAPPING_WAITS)
		return give_up(maps, id);
	enum page_map_call call = (enum page_map_call)mapping->call;
	switch (page_unmap(maps->mapper, call, pfn_of(mapping->frame), vaddr_of(mapping->at), cpu)) {
	case PAGE_UNMAP_OK:
		break;
	case PAGE_UNMAP_NOT_MAPPED:
		return PAGE_MAPS_NOT_MAPPED;
	case PAGE_UNMAP_WRONG_ORDER:
		return PAGE_MAPS_WRONG_ORDER;
	}
	mapping->state = MAPPING_NONE;
	maps->counters.unmapped++;
	if (call == PAGE_MAP_PERMANENT)
		wake_waiting(maps, cpu);
	return PAGE_MAPS_UNMAPPED;
}

void page_maps_check(const struct page_maps *maps)
{
	const struct page_maps_counters *counters = &maps->counters;
	uint64_t live = 0, waiting = 0;
	for (uint32_t id = 0; maps->by_id && id < maps->ids; id++) {
		live += maps->by_id[id].state == MAPPING_LIVE;
		waiting += maps->by_id[id].state == MAPPING_WAITS;
	}
	SIM_ASSERT(counters->made + counters->made_late == counters->unmapped + live);
	SIM_ASSERT(counters->waited == counters->made_late + counters->given_up + waiting && waiting == maps->waiting_count);
	if (maps->mapper)
		page_mapper_check(maps->mapper);
}
