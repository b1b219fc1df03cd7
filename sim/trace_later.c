/* SPDX-License-Identifier: MIT
 *
 * trace_later.c - events that wait, and what they tell of address spaces and threads (interface and law: trace_later.h).
 */
#include "sim/trace_later.h"

#include <stdlib.h>

void later_events_init(struct later_events *later, uint32_t room)
{
	*later = (struct later_events){.events = xcalloc(room, sizeof *later->events),
	                               .room = room,
	                               .next_own = xcalloc(room, sizeof *later->next_own),
	                               .next_fate = xcalloc(room, sizeof *later->next_fate),
	                               .next_read = xcalloc(room, sizeof *later->next_read)};
	number_map_init(&later->own, sizeof(struct later_chain));
	number_map_init(&later->fates, sizeof(struct later_chain));
	number_map_init(&later->reads, sizeof(struct later_chain));
}

void later_events_release(struct later_events *later)
{
	free(later->events);
	free(later->next_own);
	free(later->next_fate);
	free(later->next_read);
	number_map_release(&later->own);
	number_map_release(&later->fates);
	number_map_release(&later->reads);
}

static struct later_chain *find_chain(const struct number_map *chains, uint64_t number)
{
	return number_map_find(chains, number + 1, sizeof(struct later_chain));
}

static void append(struct number_map *chains, uint32_t *next, uint64_t number, uint32_t place)
{
	struct later_chain *chain = find_chain(chains, number);
	if (chain) {
		next[chain->last] = place;
	} else {
		chain = number_map_add(chains, number + 1, sizeof *chain);
		chain->first = place;
	}
	chain->last = place;
}

static void remove_first(struct number_map *chains, const uint32_t *next, uint64_t number, uint32_t place)
{
	struct later_chain *chain = find_chain(chains, number);
	SIM_ASSERT(chain && chain->first == place);
	if (chain->last == place)
		number_map_remove(chains, chain, sizeof *chain);
	else
		chain->first = next[place];
}

static bool names_space(const struct attribution_event *event)
{
	return event->kind == TEXT_RSS_STAT && event->process.has_mm;
}

static bool names_own_space(const struct attribution_event *event)
{
	return names_space(event) && event->process.current;
}

static bool is_end(const struct attribution_event *event)
{
	return event->process.gone && (event->kind == TEXT_SCHED_SWITCH || event->kind == TEXT_PROCESS_EXIT);
}

static bool is_exec(const struct attribution_event *event)
{
	return event->kind == TEXT_PROCESS_EXEC;
}

static bool is_fate(const struct attribution_event *event)
{
	return names_space(event) || is_exec(event) || is_end(event);
}

/* The thread of whose fate it tells. */
static uint32_t task_of_fate(const struct attribution_event *event)
{
	return is_end(event) || is_exec(event) ? event->process.prev_task : event->task;
}

#define WINDOW_SHIFT 16u
/* Above all user's addresses; what is below it, and a thread's number, fit into a key. */
#define READS_END (1ull << 56)

static uint64_t read_number(uint32_t task, uint64_t address)
{
	return (address >> WINDOW_SHIFT) << 23 | task;
}

static bool is_read(const struct attribution_event *event)
{
	return event->kind == TEXT_PAGE_FAULT && event->ptr_state == POINTER_VALUE && event->ptr < READS_END &&
	       !(event->process.error_code & (FAULT_WRITE | FAULT_INSTRUCTION | FAULT_PROTECTION));
}

void later_events_push(struct later_events *later, const struct attribution_event *event)
{
	SIM_ASSERT(later->count < later->room);
	uint32_t place = (later->first + later->count++) % later->room;
	later->events[place] = *event;
	later->forks_told = later->forks_told || event->kind == TEXT_NEW_TASK;
	later->execs_told = later->execs_told || is_exec(event);
	if (names_own_space(event))
		append(&later->own, later->next_own, event->process.mm, place);
	if (is_fate(event))
		append(&later->fates, later->next_fate, task_of_fate(event), place);
	if (is_read(event))
		append(&later->reads, later->next_read, read_number(event->task, event->ptr), place);
}

struct attribution_event later_events_pop(struct later_events *later)
{
	SIM_ASSERT(later->count > 0);
	uint32_t place = later->first;
	const struct attribution_event event = later->events[place];
	later->first = (place + 1) % later->room;
	later->count--;
	if (names_own_space(&event))
		remove_first(&later->own, later->next_own, event.process.mm, place);
	if (is_fate(&event))
		remove_first(&later->fates, later->next_fate, task_of_fate(&event), place);
	if (is_read(&event))
		remove_first(&later->reads, later->next_read, read_number(event.task, event.ptr), place);
	return event;
}

uint32_t later_owner(const struct later_events *later, uint32_t mm)
{
	const struct later_chain *chain = find_chain(&later->own, mm);
	return chain ? later->events[chain->first].task : 0;
}

/* The first event of the chain that names the thread's own space; NULL: there is none, or an exec or the thread's end before. */
static const struct attribution_event *first_own(const struct later_events *later, const struct later_chain *chain)
{
	for (uint32_t place = chain->first;; place = later->next_fate[place]) {
		const struct attribution_event *event = &later->events[place];
		if (names_own_space(event))
			return event;
		if (is_end(event) || is_exec(event) || place == chain->last)
			return NULL;
	}
}

bool later_space(const struct later_events *later, uint32_t task, uint32_t *mm)
{
	const struct later_chain *chain = find_chain(&later->fates, task);
	const struct attribution_event *own = chain ? first_own(later, chain) : NULL;
	if (!own)
		return false;
	*mm = own->process.mm;
	uint32_t place = chain->first;
	while (later->events[place].process.mm != *mm)
		place = later->next_fate[place];
	return &later->events[place] == own;
}

uint32_t later_reads(const struct later_events *later, uint32_t task, uint64_t address)
{
	const struct later_chain *chain = find_chain(&later->reads, read_number(task, address));
	uint32_t count = 0;
	if (!chain)
		return 0;
	for (uint32_t place = chain->first; count < LATER_READS_MAX; place = later->next_read[place]) {
		count += later->events[place].ptr >> PAGE_SHIFT != address >> PAGE_SHIFT;
		if (place == chain->last)
			break;
	}
	return count;
}

bool later_exec(const struct later_events *later, uint32_t task)
{
	const struct later_chain *chain = find_chain(&later->fates, task);
	if (!chain)
		return false;
	for (uint32_t place = chain->first;; place = later->next_fate[place]) {
		const struct attribution_event *event = &later->events[place];
		if (is_exec(event) || is_end(event))
			return is_exec(event);
		if (place == chain->last)
			return false;
	}
}
