/* SPDX-License-Identifier: MIT
 *
 * reserve.c - servers and misses in flight (interface and rules: reserve.h).
 */
#include "sim/reserve.h"

#include <stdlib.h>
#include <string.h>

cycle port_set_take_later(struct port_set *set, uint32_t ports, cycle at)
{
	const cycle asked = at;
	struct port_cycle *taken;
	if (port_set_is_full(set, at))
		at = set->full_end;
	for (taken = &set->taken[at % PORT_CYCLES]; taken->at == at && taken->used >= ports;
	     taken = &set->taken[at % PORT_CYCLES])
		at++;
	if (taken->at != at) {
		if (port_set_is_full(set, taken->at))
			set->full_end = set->full;
		*taken = (struct port_cycle){.at = at};
	}
	if (++taken->used == ports && at > asked) {
		set->full = asked;
		set->full_end = at + 1;
	}
	return at;
}

/* Puts a stretch in its place; the oldest is forgotten where there is no room. */
static void insert(struct timeline *line, uint32_t place, cycle start, cycle end)
{
	if (line->count == TIMELINE_STRETCHES) {
		if (place == 0)
			return;
		line->count--;
		place--;
		memmove(&line->busy[0], &line->busy[1], line->count * sizeof line->busy[0]);
	}
	memmove(&line->busy[place + 1], &line->busy[place], (line->count - place) * sizeof line->busy[0]);
	line->busy[place].start = start;
	line->busy[place].end = end;
	line->count++;
}

cycle timeline_take(struct timeline *line, cycle at, cycle cycles)
{
	uint32_t place = line->count;
	/* As a rule it comes after all others. */
	while (place > 0 && line->busy[place - 1].end > at)
		place--;
	cycle start = at;
	for (; place < line->count && start + cycles > line->busy[place].start; place++)
		start = line->busy[place].end;
	bool touches_before = place > 0 && line->busy[place - 1].end == start;
	bool touches_after = place < line->count && line->busy[place].start == start + cycles;
	if (touches_before && touches_after) {
		line->busy[place - 1].end = line->busy[place].end;
		line->count--;
		memmove(&line->busy[place], &line->busy[place + 1], (line->count - place) * sizeof line->busy[0]);
	} else if (touches_before) {
		line->busy[place - 1].end = start + cycles;
	} else if (touches_after) {
		line->busy[place].start = start;
	} else {
		insert(line, place, start, start + cycles);
	}
	return start;
}

void timeline_check(const struct timeline *line)
{
	SIM_ASSERT(line->count <= TIMELINE_STRETCHES);
	for (uint32_t i = 0; i < line->count; i++) {
		SIM_ASSERT(line->busy[i].start < line->busy[i].end);
		SIM_ASSERT(i == 0 || line->busy[i - 1].end < line->busy[i].start);
	}
}

void fill_set_init(struct fill_set *set, uint32_t slots)
{
	*set = (struct fill_set){.slots = slots};
	if (slots > 0)
		set->slot = xcalloc(slots, sizeof *set->slot);
}

void fill_set_release(struct fill_set *set)
{
	free(set->slot);
	*set = (struct fill_set){0};
}

uint32_t fill_set_soonest(const struct fill_set *set, cycle now, cycle *free_at)
{
	uint32_t soonest = 0;
	*free_at = now;
	for (uint32_t slot = 0; slot < set->slots; slot++)
		if (set->slot[slot] <= now)
			return slot;
	for (uint32_t slot = 1; slot < set->slots; slot++)
		soonest = set->slot[slot] < set->slot[soonest] ? slot : soonest;
	*free_at = set->slot[soonest];
	return soonest;
}
