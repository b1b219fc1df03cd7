/* SPDX-License-Identifier: MIT
 *
 * area_set.c - (interface: area_set.h)
 */
#include "models/user_memory/area_set.h"

#include <stdlib.h>
#include <string.h>

void area_set_release(struct area_set *set)
{
	free(set->at);
	*set = (struct area_set){0};
}

/* Index of the first area that ends above a page. */
static uint32_t index_above(const struct area_set *set, uint64_t page)
{
	uint32_t low = 0, high = set->count;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (set->at[middle].end > page)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

const struct area *area_set_find(const struct area_set *set, uint64_t page)
{
	uint32_t index = index_above(set, page);
	return index < set->count && set->at[index].first <= page ? &set->at[index] : NULL;
}

const struct area *area_set_from(const struct area_set *set, uint64_t page)
{
	uint32_t index = index_above(set, page);
	return index < set->count ? &set->at[index] : NULL;
}

bool area_set_is_free(const struct area_set *set, uint64_t first, uint64_t end)
{
	uint32_t index = index_above(set, first);
	return index == set->count || set->at[index].first >= end;
}

static void insert(struct area_set *set, uint32_t index, const struct area *area)
{
	if (set->count == set->room) {
		set->room = 2 * set->room + 8;
		set->at = xrealloc(set->at, set->room * sizeof *set->at);
	}
	memmove(set->at + index + 1, set->at + index, (set->count - index) * sizeof *set->at);
	set->at[index] = *area;
	set->count++;
}

void area_set_add(struct area_set *set, const struct area *area)
{
	uint32_t index = index_above(set, area->first);
	struct area *below = index > 0 ? &set->at[index - 1] : NULL;
	if (area->kind == USER_HEAP && below && below->kind == USER_HEAP && below->end == area->first &&
	    below->rights == area->rights)
		below->end = area->end;
	else
		insert(set, index, area);
}

void area_set_grow(struct area_set *set, uint64_t page, uint64_t pages)
{
	uint32_t index = index_above(set, page);
	SIM_ASSERT(index < set->count && area_set_is_free(set, set->at[index].end, set->at[index].end + pages));
	set->at[index].end += pages;
}

/* An area that holds both `at` and the page before it becomes two. Index of the first area from `at` on. */
static uint32_t split(struct area_set *set, uint64_t at)
{
	uint32_t index = index_above(set, at);
	if (index == set->count || set->at[index].first >= at)
		return index;
	struct area tail = set->at[index];
	tail.first_page += at - tail.first;
	tail.first = at;
	set->at[index].end = at;
	insert(set, index + 1, &tail);
	return index + 1;
}

void area_set_cut(struct area_set *set, uint64_t first, uint64_t end, void (*gone)(void *context, const struct area *),
                  void *context)
{
	uint32_t from = split(set, first), to = split(set, end);
	for (uint32_t i = from; i < to; i++)
		gone(context, &set->at[i]);
	memmove(set->at + from, set->at + to, (set->count - to) * sizeof *set->at);
	set->count -= to - from;
}

uint64_t area_set_pages(const struct area_set *set)
{
	uint64_t pages = 0;
	for (uint32_t i = 0; i < set->count; i++)
		pages += set->at[i].end - set->at[i].first;
	return pages;
}

void area_set_check(const struct area_set *set)
{
	for (uint32_t i = 0; i < set->count; i++)
		SIM_ASSERT(set->at[i].first < set->at[i].end && (i == 0 || set->at[i - 1].end <= set->at[i].first));
}
