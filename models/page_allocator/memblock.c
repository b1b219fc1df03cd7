/* SPDX-License-Identifier: MIT
 *
 * memblock.c - frames of the early boot (interface and source: memblock.h).
 */
#include "models/page_allocator/memblock.h"

void memblock_init(struct memblock *memblock, const struct memory_map *map)
{
	*memblock = (struct memblock){.map = map};
}

static void insert(struct memblock *memblock, unsigned at, struct range range)
{
	SIM_ASSERT(memblock->count < KEPT_RANGES_MAX);
	for (unsigned above = memblock->count++; above > at; above--)
		memblock->taken[above] = memblock->taken[above - 1];
	memblock->taken[at] = range;
}

static void drop(struct memblock *memblock, unsigned at)
{
	memblock->count--;
	for (; at < memblock->count; at++)
		memblock->taken[at] = memblock->taken[at + 1];
}

void memblock_reserve(struct memblock *memblock, struct range range)
{
	unsigned at = memblock->count;
	SIM_ASSERT(range.start < range.end);
	while (at > 0 && memblock->taken[at - 1].start > range.start)
		at--;
	SIM_ASSERT(at == 0 || memblock->taken[at - 1].end <= range.start);
	SIM_ASSERT(at == memblock->count || range.end <= memblock->taken[at].start);
	bool joins_above = at < memblock->count && memblock->taken[at].start == range.end;
	bool joins_below = at > 0 && memblock->taken[at - 1].end == range.start;
	if (joins_below) {
		memblock->taken[at - 1].end = joins_above ? memblock->taken[at].end : range.end;
		if (joins_above)
			drop(memblock, at);
	} else if (joins_above) {
		memblock->taken[at].start = range.start;
	} else {
		insert(memblock, at, range);
	}
}

void memblock_free(struct memblock *memblock, struct range range)
{
	for (unsigned at = 0; at < memblock->count; at++) {
		struct range taken = memblock->taken[at];
		if (range.start < taken.start || range.end > taken.end)
			continue;
		drop(memblock, at);
		if (taken.start < range.start)
			memblock_reserve(memblock, (struct range){taken.start, range.start});
		if (range.end < taken.end)
			memblock_reserve(memblock, (struct range){range.end, taken.end});
		return;
	}
	SIM_UNREACHABLE("frames that nobody has taken");
}

/*
 * The highest free stretch of memory in [lowest, end): no taken frame is in it. Empty if there is none. A stretch does not reach
 * beyond a range of memory.
 */
static struct range highest_free(const struct memblock *memblock, uint32_t lowest, uint32_t end)
{
	const struct memory_map *map = memblock->map;
	for (unsigned i = map->memory_count; i-- > 0;) {
		struct range free = range_both(map->memory[i], (struct range){lowest, end});
		for (unsigned at = memblock->count; at-- > 0 && free.start < free.end;) {
			struct range taken = memblock->taken[at];
			if (taken.start >= free.end)
				continue;
			if (taken.end < free.end) {
				free.start = taken.end > free.start ? taken.end : free.start;
				break;
			}
			free.end = taken.start;
		}
		if (free.start < free.end)
			return free;
	}
	return (struct range){0, 0};
}

uint32_t memblock_alloc(struct memblock *memblock, const struct memblock_request *request)
{
	struct range free = highest_free(memblock, request->lowest, request->end);
	SIM_ASSERT(request->pages > 0 && request->align > 0);
	for (; free.start < free.end; free = highest_free(memblock, request->lowest, free.start)) {
		if (free.end < request->pages)
			continue;
		uint32_t place = (free.end - (uint32_t)request->pages) & ~(request->align - 1);
		if (place < free.start)
			continue;
		memblock_reserve(memblock, (struct range){place, place + (uint32_t)request->pages});
		return place;
	}
	return MEMBLOCK_NONE;
}

bool memblock_alloc_scattered(struct memblock *memblock, const struct memblock_request *request)
{
	uint64_t wanted = request->pages;
	const struct memblock before = *memblock;
	while (wanted > 0) {
		struct range free = highest_free(memblock, request->lowest, request->end);
		if (free.start >= free.end || memblock->count == KEPT_RANGES_MAX) {
			*memblock = before;
			return false;
		}
		if (free.end - free.start > wanted)
			free.start = free.end - (uint32_t)wanted;
		memblock_reserve(memblock, free);
		wanted -= free.end - free.start;
	}
	return true;
}
