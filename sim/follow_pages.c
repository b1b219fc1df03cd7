/* SPDX-License-Identifier: MIT
 *
 * follow_pages.c - from the events of a recorded page allocator to calls of a modelled one (interface, rules: follow_pages.h).
 *
 * Once at the start: events are read; backwards, each learns the next event of its frame; forwards, the frames taken from a zone
 * are divided among the allocations behind them on the same CPU at the same level (task, softirq, interrupt).
 *
 * MODEL: when the bulk allocator ran is only known where it refilled a list; else it is where its effect first shows. Until then
 * the list holds too many pages, and may be drained too early.
 */
#include "sim/follow_pages.h"

#include <stdlib.h>
#include <string.h>

#define BATCH_DETAILS 1024
#define NONE UINT32_MAX
/* Blocks of a CPU's list that are looked at: more than any refill leaves. */
#define LIST_ROOM 1024

/* Task, softirq, interrupt: each may stop the ones before it at any place. */
#define LEVELS 3

enum { ROLE_NONE, ROLE_SERVES, ROLE_BULK };

struct page_event {
	uint64_t line, time_ns;
	uint32_t pfn;
	uint32_t next;    /* the next event that begins with this frame or covers it; NONE */
	uint32_t partner; /* of the last frame taken from the zone for an allocation: that allocation; NONE */
	uint32_t owner;   /* of an allocation: whose object was seen in it first; NONE */
	uint32_t result;  /* of an allocation that was made: the model's frame */
	gfp gfp;
	uint16_t cpu;
	uint8_t kind; /* enum detail_kind */
	uint8_t order, type, level;
	bool equal;    /* the model's own frame was the recorded one */
	bool made;     /* the allocation was made at the events of its refill */
	bool past;     /* it went past the CPU's list */
	bool refilled; /* the list was filled for it */
	bool bulk;     /* frame taken from the zone: the last one of a refill that no allocation explains */
};

const struct metric follow_pages_metrics[] = {
        METRIC(struct follow_pages_counters, allocs, "1", "Page blocks whose recorded frame was held against the model's"),
        METRIC(struct follow_pages_counters, allocs_equal, "1", "Of them, those at the recorded frame"),
        METRIC(struct follow_pages_counters, allocs_bulk, "1", "Of them, those behind frames that the bulk allocator took"),
        METRIC(struct follow_pages_counters, allocs_exchanged, "1",
               "Of them, those that an interrupt's calls put at another place of the list"),
        METRIC(struct follow_pages_counters, allocs_claimed, "1", "Of them, those that were free elsewhere in the model"),
        METRIC(struct follow_pages_counters, allocs_lost, "1", "Of them, those in use in the model, or without memory"),
        METRIC(struct follow_pages_counters, frees, "1", "Frees of page blocks"),
        METRIC(struct follow_pages_counters, locked_allocs, "1",
               "Page allocations of interrupts that went past a locked per-CPU list"),
        METRIC(struct follow_pages_counters, locked_frees, "1", "Page frees that went past a locked per-CPU list"),
        METRIC(struct follow_pages_counters, bulk_frames, "pages", "Frames taken by the bulk allocator, without an event"),
        METRIC(struct follow_pages_counters, frames_moved, "pages", "Frames that the recording has on another list"),
        METRIC(struct follow_pages_counters, frees_claimed, "1", "Page frees of what was free in the model"),
        METRIC(struct follow_pages_counters, frees_lost, "1", "Page frees of what is no block of the model"),
        METRIC(struct follow_pages_counters, slabs_evicted, "1", "Slabs freed by the recording that the model still had"),
        METRIC(struct follow_pages_counters, slabs_refused, "1",
               "Pages that the model needed for slabs and the recording did not"),
        METRIC_END,
};

bool follow_pages_possible(const struct trace *trace, const struct page_allocator *pages)
{
	uint64_t details = trace_info(trace)->details;
	return pages->ops->follow && details > 0 && details <= FOLLOW_DETAILS_MAX;
}

static uint8_t level_of(uint8_t context)
{
	return context & CONTEXT_HARDIRQ ? 2 : context & CONTEXT_SOFTIRQ ? 1 : 0;
}

static bool block_is_inside(const struct follow_pages *self, const struct detail *detail)
{
	return detail->pfn + (1ull << detail->order) <= self->pages->end_pfn;
}

static bool read_events(struct follow_pages *self, struct trace *trace, const struct trace_window *window, struct error *error)
{
	struct detail *batch = xcalloc(BATCH_DETAILS, sizeof *batch);
	uint8_t levels[CPUS_MAX] = {0};
	size_t count;
	bool read;
	while ((read = trace_next_details(trace, batch, BATCH_DETAILS, &count, error)) && count > 0)
		for (size_t i = 0; i < count; i++) {
			const struct detail *detail = &batch[i];
			unsigned cpu = detail->cpu % self->cpus;
			if (detail->kind == DETAIL_CONTEXT)
				levels[cpu] = level_of(detail->context);
			if (detail->kind == DETAIL_CONTEXT || detail->kind == DETAIL_EXTFRAG ||
			    trace_is_behind(window, detail->line, detail->time_ns) || !block_is_inside(self, detail))
				continue;
			if (self->first == self->count && trace_is_before(window, detail->line, detail->time_ns))
				self->first++;
			self->events[self->count++] = (struct page_event){.line = detail->line,
			                                                  .time_ns = detail->time_ns,
			                                                  .pfn = (uint32_t)detail->pfn,
			                                                  .next = NONE,
			                                                  .partner = NONE,
			                                                  .owner = NONE,
			                                                  .result = NONE,
			                                                  .gfp = detail->gfp,
			                                                  .cpu = (uint16_t)cpu,
			                                                  .kind = detail->kind,
			                                                  .order = detail->order,
			                                                  .type = detail->type,
			                                                  .level = levels[cpu]};
		}
	free(batch);
	return read;
}

/* Backwards: what happens to each event's frame next. Leaves in `upcoming` what happens to each frame first. */
static void link_frames(struct follow_pages *self)
{
	for (uint32_t nr = 0; nr < self->pages->end_pfn; nr++)
		self->upcoming[nr] = NONE;
	for (uint32_t i = self->count; i-- > self->first;) {
		struct page_event *event = &self->events[i];
		event->next = self->upcoming[event->pfn];
		for (uint32_t nr = event->pfn; nr < event->pfn + (1u << event->order); nr++)
			self->upcoming[nr] = i;
	}
}

/* Frames taken from the zone in a row, on one CPU at one level, with no other event of theirs between. */
struct run {
	uint32_t first, last, length;
};

/*
 * The frames of a run before an allocation: the part from the allocation's own frame on was taken for it, what is before by a
 * call without an event.
 */
static void divide_run(struct follow_pages *self, const struct run *run, uint32_t alloc)
{
	struct page_event *events = self->events;
	uint32_t own = NONE, length = 0, before = NONE;
	for (uint32_t i = run->first; i <= run->last && run->length > 0; i++) {
		bool of_run = events[i].kind == DETAIL_ZONE_LOCKED && events[i].cpu == events[run->first].cpu &&
		              events[i].level == events[run->first].level;
		if (!of_run)
			continue;
		if (alloc != NONE && events[i].pfn == events[alloc].pfn) {
			own = i;
			length = 0;
		}
		length++;
		if (own == NONE)
			before = i;
	}
	if (before != NONE)
		events[before].bulk = true;
	if (own == NONE)
		return;
	events[run->last].partner = alloc;
	events[alloc].past = length == 1 && events[alloc].level > 0;
	events[alloc].refilled = !events[alloc].past;
}

static void divide_runs(struct follow_pages *self)
{
	struct run runs[CPUS_MAX][LEVELS] = {0};
	for (uint32_t i = self->first; i < self->count; i++) {
		struct page_event *event = &self->events[i];
		struct run *run = &runs[event->cpu][event->level];
		if (event->kind == DETAIL_ZONE_LOCKED) {
			run->first = run->length++ > 0 ? run->first : i;
			run->last = i;
			continue;
		}
		divide_run(self, run, event->kind == DETAIL_PAGE_ALLOC ? i : NONE);
		run->length = 0;
	}
}

static void grant(struct follow_pages *self, pfn first, unsigned order, uint32_t event)
{
	if (self->granted_count == self->granted_room) {
		self->granted_room = 2 * self->granted_room + 16;
		self->granted = xrealloc(self->granted, self->granted_room * sizeof *self->granted);
	}
	self->granted[self->granted_count++] = (struct granted){first, event, (uint8_t)order};
}

static void ungrant(struct follow_pages *self, size_t index)
{
	self->granted_count--;
	memmove(&self->granted[index], &self->granted[index + 1], (self->granted_count - index) * sizeof *self->granted);
}

/* The granted block that begins with the frame; granted_count if there is none. */
static size_t find_granted(const struct follow_pages *self, pfn first)
{
	size_t index = 0;
	while (index < self->granted_count && self->granted[index].first.nr != first.nr)
		index++;
	return index;
}

static bool holds(const struct granted *granted, uint32_t frame)
{
	return frame >= granted->first.nr && frame < granted->first.nr + (1u << granted->order);
}

int follow_pages_granted(const struct follow_pages *self, uint32_t frame)
{
	for (size_t i = 0; i < self->granted_count; i++)
		if (holds(&self->granted[i], frame))
			return self->granted[i].order;
	return -1;
}

/* Which granted block answers the object allocator: the one that the object lies in, else the oldest of the same owner. */
static size_t choose_granted(const struct follow_pages *self, unsigned order)
{
	size_t found = self->granted_count;
	for (size_t i = self->granted_count; i-- > 0;) {
		const struct granted *granted = &self->granted[i];
		if (granted->order != order)
			continue;
		if (self->wanted && holds(granted, self->wanted))
			return i;
		if (granted->event != NONE && self->events[granted->event].owner == self->owner)
			found = i;
	}
	return found;
}

static pfn supply_alloc(void *context, unsigned order, gfp flags, unsigned cpu)
{
	struct follow_pages *self = context;
	(void)flags;
	(void)cpu;
	size_t index = choose_granted(self, order);
	if (index == self->granted_count) {
		self->counters.slabs_refused++;
		return PFN_NONE;
	}
	pfn first = self->granted[index].first;
	uint32_t event = self->granted[index].event;
	self->put_right |= event != NONE && !self->events[event].equal;
	ungrant(self, index);
	self->balance -= 1ll << order;
	return first;
}

/* The block stays in use until the recording frees it. */
static enum page_free_result supply_free(void *context, pfn first, unsigned order, unsigned cpu)
{
	struct follow_pages *self = context;
	(void)cpu;
	grant(self, first, order, NONE);
	self->balance += 1ll << order;
	return PAGE_FREE_OK;
}

void follow_pages_supply(struct follow_pages *self, uint32_t frame, uint32_t owner)
{
	self->wanted = frame;
	self->owner = owner;
	self->put_right = false;
	self->pages->supply = &self->supply;
}

void follow_pages_unsupply(struct follow_pages *self)
{
	self->pages->supply = NULL;
}

bool follow_pages_init(struct follow_pages *self, struct trace *trace, struct page_allocator *pages,
                       struct object_allocator *objects, const struct trace_window *window, unsigned cpus, struct error *error)
{
	*self = (struct follow_pages){.pages = pages, .objects = objects, .cpus = cpus, .result = PFN_NONE};
	self->supply = (struct page_supply){supply_alloc, supply_free, self};
	self->events = xcalloc((size_t)trace_info(trace)->details, sizeof *self->events);
	self->upcoming = xcalloc(pages->end_pfn, sizeof *self->upcoming);
	self->serving = lazy_alloc(pages->end_pfn, sizeof *self->serving);
	if (!read_events(self, trace, window, error))
		return false;
	link_frames(self);
	divide_runs(self);
	return true;
}

void follow_pages_release(struct follow_pages *self)
{
	if (self->pages && self->pages->supply == &self->supply)
		self->pages->supply = NULL;
	if (self->serving)
		lazy_free(self->serving, self->pages->end_pfn, sizeof *self->serving);
	free(self->events);
	free(self->upcoming);
	free(self->granted);
	*self = (struct follow_pages){0};
}

static void cover(struct follow_pages *self, const struct page_event *event, uint32_t by)
{
	for (uint32_t nr = event->pfn; nr < event->pfn + (1u << event->order); nr++)
		self->serving[nr] = by;
}

void follow_pages_owner(struct follow_pages *self, uint64_t line, uint32_t frame, uint32_t owner)
{
	for (; self->at < self->count && self->events[self->at].line <= line; self->at++) {
		const struct page_event *event = &self->events[self->at];
		if (event->kind == DETAIL_PAGE_ALLOC)
			cover(self, event, self->at + 1);
		else if (event->kind == DETAIL_PAGE_FREE)
			cover(self, event, 0);
	}
	uint32_t by = frame < self->pages->end_pfn ? self->serving[frame] : 0;
	if (by && self->events[by - 1].owner == NONE)
		self->events[by - 1].owner = owner;
}

bool follow_pages_hands_out(const struct follow_pages *self, uint64_t line)
{
	return self->at > 0 && self->events[self->at - 1].line == line && self->events[self->at - 1].kind == DETAIL_PAGE_ALLOC;
}

void follow_pages_begin(struct follow_pages *self)
{
	lazy_free(self->serving, self->pages->end_pfn, sizeof *self->serving);
	self->serving = NULL;
	self->at = self->first;
}

/* A frame on a list that no recorded allocation takes: its next event is a free, or there is none. */
static bool taken_unseen(const struct follow_pages *self, pfn block)
{
	uint32_t next = self->upcoming[block.nr];
	return next == NONE || (next >= self->at && self->events[next].kind == DETAIL_PAGE_FREE);
}

/* Takes frames as the bulk allocator does; they are nobody's that the run knows. */
static void take_unseen(struct follow_pages *self, gfp flags, unsigned cpu, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		pfn frame = page_take(self->pages, flags, cpu);
		if (frame.nr == UINT32_MAX)
			return;
		self->balance++;
		self->counters.bulk_frames++;
	}
}

static unsigned list_of(const struct follow_pages *self, unsigned order, gfp flags, unsigned cpu, pfn blocks[LIST_ROOM])
{
	return self->pages->ops->follow->list(self->pages, order, flags, cpu, blocks, LIST_ROOM);
}

/*
 * A frame that the recorded kernel has elsewhere, as it filled this list anew: what happens to it next tells where. Taken from
 * the zone: in the zone's lists; else on the list of the CPU of its next event.
 */
static bool move_away(struct follow_pages *self, pfn frame, gfp flags)
{
	uint32_t next = self->upcoming[frame.nr];
	if (next == NONE || next < self->at || !page_claim(self->pages, frame, 0, flags))
		return false;
	const struct page_event *event = &self->events[next];
	self->pages->lists_locked = event->kind == DETAIL_ZONE_LOCKED;
	enum page_free_result result = page_free_unsupplied(self->pages, frame, 0, event->cpu);
	SIM_ASSERT(result == PAGE_FREE_OK);
	self->pages->lists_locked = false;
	self->counters.frames_moved++;
	return true;
}

/* The recorded list was empty: frames that the bulk allocator took stay to be taken, the others go to where they are. Their
 * number. */
static unsigned empty_list(struct follow_pages *self, const pfn *blocks, unsigned length, gfp flags)
{
	unsigned left = 0;
	for (unsigned i = 0; i < length; i++)
		left += taken_unseen(self, blocks[i]) || !move_away(self, blocks[i], flags);
	return left;
}

/* Frames of the CPU's list that the bulk allocator must have taken before this allocation. */
static unsigned taken_before(struct follow_pages *self, const struct page_event *event)
{
	pfn blocks[LIST_ROOM];
	if (event->order > 0 || event->past)
		return 0;
	unsigned length = list_of(self, event->order, event->gfp, event->cpu, blocks), unseen = 0, place = 0;
	if (event->refilled)
		return empty_list(self, blocks, length, event->gfp);
	while (place < length && blocks[place].nr != event->pfn) {
		unseen += unseen == place && taken_unseen(self, blocks[place]);
		place++;
	}
	return place < length ? unseen : 0;
}

/* The object allocator lets go of a slab that the recorded kernel freed. false: it cannot. */
static bool evict(struct follow_pages *self, const struct page_event *event)
{
	if (!self->objects->ops->follow->holds(self->objects, pfn_of(event->pfn)))
		return true;
	follow_pages_supply(self, event->pfn, NONE);
	if (self->slab_goes)
		self->slab_goes(self->context, pfn_of(event->pfn), event->order, event->cpu);
	bool gone = !self->objects->ops->follow->holds(self->objects, pfn_of(event->pfn));
	bool evicted = !gone && object_evict(self->objects, pfn_of(event->pfn), event->cpu);
	follow_pages_unsupply(self);
	self->counters.slabs_evicted += evicted;
	/* No call freed it, in a task: it may have been a daemon. */
	if (evicted && event->kind == DETAIL_PAGE_FREE && event->level == 0 && self->objects->ops->follow->daemon_seen)
		self->objects->ops->follow->daemon_seen(self->objects, event->cpu, event->time_ns);
	return gone || evicted;
}

/* A block that the recording hands out is in use here: it was freed without an event. false: it is not this block that is in use.
 */
static bool free_unseen(struct follow_pages *self, const struct page_event *event)
{
	pfn first = pfn_of(event->pfn);
	if (!evict(self, event))
		return false;
	size_t index = find_granted(self, first);
	if (index < self->granted_count)
		ungrant(self, index);
	enum page_free_result result = page_free_unsupplied(self->pages, first, event->order, event->cpu);
	if (result == PAGE_FREE_NOT_ALLOCATED && page_adopt(self->pages, first, event->order))
		result = page_free_unsupplied(self->pages, first, event->order, event->cpu);
	self->balance -= result == PAGE_FREE_OK ? 1ll << event->order : 0;
	return result == PAGE_FREE_OK;
}

/* Brings the recorded block about in place of the model's. */
static pfn put_right(struct follow_pages *self, const struct page_event *event, pfn got)
{
	const struct page_follow_ops *follow = self->pages->ops->follow;
	pfn recorded = pfn_of(event->pfn);
	if (got.nr != UINT32_MAX && follow->exchange(self->pages, got, recorded, event->order)) {
		self->counters.allocs_exchanged++;
		return recorded;
	}
	if (got.nr != UINT32_MAX) {
		enum page_free_result result = page_free_unsupplied(self->pages, got, event->order, event->cpu);
		SIM_ASSERT(result == PAGE_FREE_OK);
	}
	bool claimed = page_claim(self->pages, recorded, event->order, event->gfp);
	if (!claimed && free_unseen(self, event))
		claimed = page_claim(self->pages, recorded, event->order, event->gfp);
	self->counters.allocs_claimed += claimed;
	self->counters.allocs_lost += !claimed;
	return claimed ? recorded : PFN_NONE;
}

static void make_alloc(struct follow_pages *self, struct page_event *event)
{
	unsigned unseen = taken_before(self, event);
	take_unseen(self, event->gfp, event->cpu, unseen);
	self->pages->lists_locked = event->past;
	pfn got = page_alloc_unsupplied(self->pages, event->order, event->gfp, event->cpu);
	self->pages->lists_locked = false;
	self->counters.locked_allocs += event->past;
	self->counters.allocs++;
	bool equal = got.nr == event->pfn;
	event->equal = equal && unseen == 0;
	self->counters.allocs_equal += event->equal;
	self->counters.allocs_bulk += equal && unseen > 0;
	if (!equal)
		got = put_right(self, event, got);
	event->made = true;
	event->result = got.nr;
	self->balance += got.nr == UINT32_MAX ? 0 : 1ll << event->order;
}

static void see_alloc(struct follow_pages *self, struct page_event *event)
{
	if (!event->made)
		make_alloc(self, event);
	self->result_line = event->line;
	self->result = event->result == UINT32_MAX ? PFN_NONE : pfn_of(event->result);
	if (event->result != UINT32_MAX)
		grant(self, self->result, event->order, (uint32_t)(event - self->events));
}

/* What the bulk allocator asks for (mm/vmalloc.c: GFP_KERNEL with __GFP_HIGHMEM for pages), with the type the events tell. */
static gfp bulk_gfp(unsigned type)
{
	return GFP_KERNEL | __GFP_HIGHMEM |
	       (type == MIGRATE_MOVABLE       ? __GFP_MOVABLE
	        : type == MIGRATE_RECLAIMABLE ? __GFP_RECLAIMABLE
	                                      : 0);
}

/* A list was filled and no allocation explains it: the bulk allocator emptied it, and took at least one frame of the new ones. */
static void make_bulk(struct follow_pages *self, const struct page_event *event)
{
	pfn blocks[LIST_ROOM];
	gfp flags = bulk_gfp(event->type);
	if (event->order > 0)
		return;
	unsigned length = list_of(self, 0, flags, event->cpu, blocks), unseen = 0;
	take_unseen(self, flags, event->cpu, empty_list(self, blocks, length, flags) + 1);
	length = list_of(self, 0, flags, event->cpu, blocks);
	while (unseen < length && taken_unseen(self, blocks[unseen]))
		unseen++;
	/* All of them would be a frame too many: then the list would have been filled again. */
	take_unseen(self, flags, event->cpu, unseen);
}

static void see_zone_locked(struct follow_pages *self, const struct page_event *event)
{
	if (event->bulk)
		make_bulk(self, event);
	if (event->partner != NONE)
		make_alloc(self, &self->events[event->partner]);
}

static void make_free(struct follow_pages *self, const struct page_event *event, unsigned order)
{
	pfn first = pfn_of(event->pfn);
	uint32_t next = event->next;
	self->counters.frees++;
	if (!evict(self, event)) {
		self->counters.frees_lost++;
		return;
	}
	size_t index = find_granted(self, first);
	if (index < self->granted_count)
		ungrant(self, index);
	self->pages->lists_locked = next != NONE && self->events[next].kind == DETAIL_ZONE_LOCKED && order <= 3;
	self->counters.locked_frees += self->pages->lists_locked;
	enum page_free_result result = page_free_unsupplied(self->pages, first, order, event->cpu);
	if (result == PAGE_FREE_NOT_ALLOCATED && page_adopt(self->pages, first, order))
		result = page_free_unsupplied(self->pages, first, order, event->cpu);
	if (result == PAGE_FREE_NOT_ALLOCATED && page_claim(self->pages, first, order, GFP_KERNEL)) {
		self->balance += 1ll << order;
		self->counters.frees_claimed++;
		result = page_free_unsupplied(self->pages, first, order, event->cpu);
	}
	self->pages->lists_locked = false;
	self->balance -= result == PAGE_FREE_OK ? 1ll << order : 0;
	self->counters.frees_lost += result != PAGE_FREE_OK;
}

static void see_free(struct follow_pages *self, const struct page_event *event)
{
	uint32_t next = event->next;
	if (next != NONE && self->events[next].kind == DETAIL_PAGE_FREE_BATCHED)
		return;
	make_free(self, event, event->order);
}

static void see(struct follow_pages *self, struct page_event *event)
{
	switch ((enum detail_kind)event->kind) {
	case DETAIL_PAGE_ALLOC:
		see_alloc(self, event);
		break;
	case DETAIL_PAGE_FREE:
		see_free(self, event);
		break;
	case DETAIL_PAGE_FREE_BATCHED:
		make_free(self, event, 0);
		break;
	case DETAIL_ZONE_LOCKED:
		see_zone_locked(self, event);
		break;
	default:
		break;
	}
	self->upcoming[event->pfn] = event->next;
}

void follow_pages_to(struct follow_pages *self, uint64_t line)
{
	while (self->at < self->count && self->events[self->at].line <= line) {
		struct page_event *event = &self->events[self->at++];
		see(self, event);
	}
}

bool follow_pages_allocated(const struct follow_pages *self, uint64_t line, pfn *first)
{
	*first = self->result;
	return line != 0 && self->result_line == line;
}

void follow_pages_claim(struct follow_pages *self, pfn first)
{
	size_t index = find_granted(self, first);
	if (index < self->granted_count)
		ungrant(self, index);
}

void follow_pages_check(const struct follow_pages *self)
{
	const struct follow_pages_counters *counters = &self->counters;
	SIM_ASSERT(counters->allocs == counters->allocs_equal + counters->allocs_bulk + counters->allocs_exchanged +
	                                       counters->allocs_claimed + counters->allocs_lost);
	SIM_ASSERT(counters->locked_allocs <= counters->allocs);
	SIM_ASSERT(counters->locked_frees <= counters->frees);
	SIM_ASSERT(counters->frees_claimed + counters->frees_lost <= counters->frees);
}
