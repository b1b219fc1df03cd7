/* SPDX-License-Identifier: MIT
 *
 * state_moment.c - counting contradictions between a dump and the page events around it (interface: state_moment.h).
 *
 * Two passes over the events: backwards, for each place how many frames contradict the dump by their next event; forwards, by
 * their last one. Each event changes only what its own frames say, so the sum is kept, not counted anew.
 */
#include "sim/state_moment.h"

#include <stdlib.h>

#define BATCH_DETAILS 1024
/* Details beyond this are too many to be held in memory at once. */
#define DETAILS_MAX (1u << 26)
#define NONE UINT32_MAX

enum whereabouts { IN_USE, IN_ZONE, ON_LIST };

struct event {
	uint64_t line, time_ns;
	uint32_t pfn;
	uint8_t kind, order;
};

struct search {
	struct event *events;
	uint32_t count, end_pfn;
	uint8_t *where;     /* by frame: enum whereabouts in the dump */
	uint32_t *event_of; /* by frame: its next, or last, event */
	uint32_t *after;    /* by event: frames that contradict the dump by their next event from here on */
};

static void place_lists(struct search *search, const struct state_dump *dump, const struct state_list *list, size_t lists,
                        enum whereabouts where)
{
	for (; lists-- > 0; list++) {
		uint32_t frames = 1u << (where == IN_ZONE ? list->order : 0);
		/* A CPU's list holds blocks of one order: three lists an order (MIGRATE_PCPTYPES), behind order 3 those of
		 * pageblocks. */
		if (where == ON_LIST)
			frames = list->list / 3 <= 3 ? 1u << list->list / 3 : 1u << dump->memory.pageblock_order;
		for (size_t i = 0; i < list->count; i++)
			for (uint32_t nr = dump->pfns[list->first + i], end = nr + frames; nr < end && nr < search->end_pfn; nr++)
				search->where[nr] = (uint8_t)where;
	}
}

/* Where a frame must be before the event; -1: anywhere. */
static int where_before(enum detail_kind kind)
{
	switch (kind) {
	case DETAIL_PAGE_ALLOC:
	case DETAIL_PCPU_DRAIN:
		return ON_LIST;
	case DETAIL_ZONE_LOCKED:
		return IN_ZONE;
	case DETAIL_PAGE_FREE:
		return IN_USE;
	default:
		return -1;
	}
}

/* Whether a frame may be there after the event. A freed block may have gone past the CPU's list. */
static bool fits_after(enum detail_kind kind, enum whereabouts where)
{
	switch (kind) {
	case DETAIL_PAGE_ALLOC:
		return where == IN_USE;
	case DETAIL_PCPU_DRAIN:
		return where == IN_ZONE;
	case DETAIL_ZONE_LOCKED:
		return where == ON_LIST;
	case DETAIL_PAGE_FREE:
		return where != IN_USE;
	default:
		return true;
	}
}

static bool contradicts_before(const struct search *search, uint32_t event, uint32_t nr)
{
	if (event == NONE)
		return false;
	int where = where_before(search->events[event].kind);
	return where >= 0 && search->where[nr] != where;
}

static bool contradicts_after(const struct search *search, uint32_t event, uint32_t nr)
{
	return event != NONE && !fits_after(search->events[event].kind, search->where[nr]);
}

static bool read_events(struct search *search, struct trace *trace, struct error *error)
{
	struct detail batch[BATCH_DETAILS];
	size_t count;
	bool read;
	while ((read = trace_next_details(trace, batch, BATCH_DETAILS, &count, error)) && count > 0)
		for (size_t i = 0; i < count; i++) {
			const struct detail *detail = &batch[i];
			bool of_pages = detail->kind != DETAIL_CONTEXT && detail->kind != DETAIL_EXTFRAG &&
			                detail->kind != DETAIL_PAGE_FREE_BATCHED;
			if (of_pages && detail->pfn + (1ull << detail->order) <= search->end_pfn)
				search->events[search->count++] = (struct event){
				        detail->line, detail->time_ns, (uint32_t)detail->pfn, detail->kind, detail->order};
		}
	return read;
}

static void forget_events(struct search *search)
{
	for (uint32_t nr = 0; nr < search->end_pfn; nr++)
		search->event_of[nr] = NONE;
}

static void count_after(struct search *search)
{
	uint32_t sum = 0;
	forget_events(search);
	search->after[search->count] = 0;
	for (uint32_t i = search->count; i-- > 0; search->after[i] = sum) {
		const struct event *event = &search->events[i];
		for (uint32_t nr = event->pfn; nr < event->pfn + (1u << event->order); nr++) {
			sum -= contradicts_before(search, search->event_of[nr], nr);
			sum += contradicts_before(search, i, nr);
			search->event_of[nr] = i;
		}
	}
}

/* The place with the fewest contradictions, of equal ones the nearest to that of the clock. */
static uint32_t find_place(struct search *search, uint32_t by_clock, struct state_moment *moment)
{
	uint32_t best = 0, before = 0;
	uint64_t fewest = UINT64_MAX, at_clock = 0;
	forget_events(search);
	for (uint32_t i = 0; i <= search->count; i++) {
		uint64_t sum = (uint64_t)before + search->after[i];
		uint32_t away = i > by_clock ? i - by_clock : by_clock - i,
		         best_away = best > by_clock ? best - by_clock : by_clock - best;
		if (i == by_clock)
			at_clock = sum;
		if (sum < fewest || (sum == fewest && away < best_away)) {
			fewest = sum;
			best = i;
		}
		for (uint32_t nr = search->events[i].pfn;
		     i < search->count && nr < search->events[i].pfn + (1u << search->events[i].order); nr++) {
			before -= contradicts_after(search, search->event_of[nr], nr);
			before += contradicts_after(search, i, nr);
			search->event_of[nr] = i;
		}
	}
	moment->fewer = at_clock - fewest;
	return best;
}

static void find_moment(struct search *search, const struct state_dump *dump, struct state_moment *moment)
{
	uint32_t by_clock = 0;
	place_lists(search, dump, dump->free_lists, dump->free_list_count, IN_ZONE);
	place_lists(search, dump, dump->pcp_lists, dump->pcp_list_count, ON_LIST);
	while (by_clock < search->count && search->events[by_clock].time_ns < dump->ts)
		by_clock++;
	count_after(search);
	uint32_t place = find_place(search, by_clock, moment);
	moment->by_clock = moment->fewer == 0;
	if (moment->by_clock)
		return;
	moment->line = place < search->count ? search->events[place].line : UINT64_MAX;
	moment->time_ns = place < search->count ? search->events[place].time_ns : UINT64_MAX;
}

bool state_moment_find(struct state_moment *moment, const struct state_dump *dump, struct trace *trace, struct error *error)
{
	uint64_t details = trace_info(trace)->details;
	*moment = (struct state_moment){.by_clock = true};
	if (details == 0 || details > DETAILS_MAX || dump->memory.max_pfn == 0 || dump->memory.max_pfn > UINT32_MAX / 2 ||
	    dump->free_list_count == 0)
		return true;
	struct search search = {.end_pfn = (uint32_t)dump->memory.max_pfn};
	search.events = xcalloc((size_t)details + 1, sizeof *search.events);
	search.after = xcalloc((size_t)details + 1, sizeof *search.after);
	search.where = xcalloc(search.end_pfn, 1);
	search.event_of = xcalloc(search.end_pfn, sizeof *search.event_of);
	bool read = read_events(&search, trace, error) && trace_rewind(trace, error);
	if (read && search.count > 0)
		find_moment(&search, dump, moment);
	free(search.events);
	free(search.after);
	free(search.where);
	free(search.event_of);
	return read;
}
