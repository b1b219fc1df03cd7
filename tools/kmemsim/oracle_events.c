/* SPDX-License-Identifier: MIT
 *
 * oracle_events.c - the page allocator of a replayed object script: it follows the recorded events of each call (interface:
 * oracle.h, struct follower).
 *
 * With a buddy behind it, a request is answered by the buddy, and the answer is held against the next event of the call. Events
 * that are not the call's own - an interrupt's, another CPU's, or of an object that the models do not have - are calls of
 * somebody else and are made on the buddy where they stand. Without a buddy (a recording without page lists) the recorded frames
 * are handed out, so that the object allocator is still tested alone.
 *
 * After a difference the run goes on: with the buddy's frame, or with a spare one beyond the recorded memory.
 * Invariant: the frame an allocator is handed is never one it holds already.
 */
#include "tools/kmemsim/oracle.h"

#include <string.h>

/* Frames beyond the recorded memory, for requests that a recording without page lists does not have. */
#define SPARE_FRAMES (1u << 20)

static void differs(struct follower *follower, const char *did, uint32_t frame, unsigned order, gfp flags,
                    const struct recording_line *event)
{
	follower->equal = false;
	oracle_differs(follower->oracle, follower->call, "in \"%.80s\" the model %s frame %x order %u gfp %x; recorded: %.80s",
	               follower->call->text, did, frame, order, flags, event ? event->text : "no page event");
	if (follower->oracle->buddy)
		oracle_tell_frames(follower->oracle, event ? event->frame : UINT32_MAX, frame);
}

/* The next page event of the call, NULL for none. */
static const struct recording_line *next_event(struct follower *follower)
{
	for (; follower->cursor < follower->limit; follower->cursor++)
		if (follower->oracle->recording->lines[follower->cursor].kind == LINE_BLOCK)
			return &follower->oracle->recording->lines[follower->cursor];
	return NULL;
}

/* ---- calls of others ---- */

/* Whether an event can be the script's own: its calls are made by a task on the first CPU. */
static bool is_script(const struct recording_line *event)
{
	return event->cpu == 0 && event->context == 't';
}

/* Whether a call of the window is one whose objects the models do not have: its page events then stand alone. */
static bool has_unknown_objects(const struct follower *follower, size_t limit)
{
	for (size_t i = follower->cursor; i < limit; i++)
		if (follower->oracle->recording->lines[i].kind == LINE_OBJECT)
			return true;
	return false;
}

/* Whether the object allocator holds a frame of the block, by a block that it was handed since the start. */
static bool holds_of(const struct follower *follower, uint32_t first, unsigned order)
{
	uint32_t end = first + (1u << order);
	if (order >= ORDERS || first >= follower->base.end_pfn || end > follower->base.end_pfn)
		return false;
	for (uint32_t frame = first; frame < end; frame++)
		if (follower->held[frame])
			return true;
	for (unsigned above = order + 1; above < ORDERS; above++)
		if (follower->held[first & ~((1u << above) - 1)] > above)
			return true;
	return false;
}

/*
 * Makes somebody else's page call on the buddy. Once there was a difference the object allocator may hold what the recording
 * gives back as another's: that stays its.
 */
static void make_foreign(struct follower *follower, const struct recording_line *event)
{
	struct oracle *oracle = follower->oracle;
	if (event->cpu >= oracle->settings.machine.cpus)
		return;
	oracle->tally->calls++;
	oracle->tally->foreign++;
	if (!event->taken) {
		bool stays = oracle->told > 0 && holds_of(follower, event->frame, event->order);
		bool done = !stays && oracle_free_block(oracle, event->frame, event->order, event->cpu);
		oracle->tally->calls_equal += done;
		if (!done)
			oracle_differs(oracle, event, "\"%.80s\" of somebody else: nothing of that order is in use there",
			               event->text);
		return;
	}
	pfn got = page_alloc(oracle->buddy, event->order, event->flags, event->cpu);
	oracle->tally->calls_equal += got.nr == event->frame;
	if (got.nr == event->frame)
		return;
	oracle_differs(oracle, event, "\"%.80s\" of somebody else: expected frame %x, got %x", event->text, event->frame, got.nr);
	oracle_tell_frames(oracle, event->frame, got.nr);
}

/* Makes the calls of others that stand in front of the event at `at`. */
static void make_foreign_until(struct follower *follower, size_t at)
{
	for (; follower->cursor < at; follower->cursor++) {
		const struct recording_line *event = &follower->oracle->recording->lines[follower->cursor];
		if (event->kind == LINE_BLOCK)
			make_foreign(follower, event);
	}
}

/* ---- without a buddy ---- */

static pfn spare_block(struct follower *follower, unsigned order)
{
	uint32_t frames = 1u << order;
	uint32_t first = (follower->spare + frames - 1) & ~(frames - 1);
	if (first + frames > follower->base.end_pfn)
		return PFN_NONE;
	follower->spare = first + frames;
	follower->held[first] = (uint8_t)(order + 1);
	return pfn_of(first);
}

/*
 * A block of the recorded order is handed out. A request of a higher order than recorded failed in the recording (the kernel
 * tries again with a lower order), and so does any request of a call that failed as a whole.
 */
static pfn scripted_alloc(struct follower *follower, unsigned order, gfp flags)
{
	if (follower->call->failed)
		return PFN_NONE;
	const struct recording_line *event = next_event(follower);
	if (!event || !event->taken || event->order > order) {
		differs(follower, "asks for", UINT32_MAX, order, flags, event);
		return spare_block(follower, order);
	}
	if (event->order < order)
		return PFN_NONE;
	if (event->flags != flags)
		differs(follower, "asks with other flags for", event->frame, order, flags, event);
	follower->cursor++;
	if (event->frame >= follower->oracle->recording->end_pfn || follower->held[event->frame]) {
		differs(follower, "holds already", event->frame, order, flags, event);
		return spare_block(follower, order);
	}
	follower->held[event->frame] = (uint8_t)(order + 1);
	return pfn_of(event->frame);
}

static void scripted_free(struct follower *follower, pfn first, unsigned order)
{
	follower->held[first.nr] = 0;
	if (!follower->in_order)
		return;
	const struct recording_line *event = next_event(follower);
	if (!event || event->taken || event->frame != first.nr || event->order != order)
		differs(follower, "gives back", first.nr, order, 0, event);
	else
		follower->cursor++;
}

/* ---- with a buddy ---- */

/* The call's next event that could be this request, SIZE_MAX for none. A request of a higher order may have failed. */
static size_t matching_alloc(const struct follower *follower, unsigned order, gfp flags)
{
	for (size_t i = follower->cursor; i < follower->limit; i++) {
		const struct recording_line *event = &follower->oracle->recording->lines[i];
		if (event->kind == LINE_BLOCK && event->taken && is_script(event) && event->flags == flags &&
		    event->order == order)
			return i;
	}
	return SIZE_MAX;
}

static pfn followed_alloc(struct follower *follower, unsigned order, gfp flags, unsigned cpu)
{
	struct oracle *oracle = follower->oracle;
	size_t match = matching_alloc(follower, order, flags);
	const struct recording_line *event = match == SIZE_MAX ? NULL : &oracle->recording->lines[match];
	if (event)
		make_foreign_until(follower, match);
	pfn got = page_alloc(oracle->buddy, order, flags, cpu);
	if (got.nr < follower->base.end_pfn)
		follower->held[got.nr] = (uint8_t)(order + 1);
	if (event)
		follower->cursor = match + 1;
	if (got.nr != (event ? event->frame : UINT32_MAX))
		differs(follower, "gets", got.nr, order, flags, event ? event : next_event(follower));
	return got;
}

static size_t matching_free(const struct follower *follower, uint32_t frame, unsigned order)
{
	for (size_t i = follower->cursor; i < follower->limit; i++) {
		const struct recording_line *event = &follower->oracle->recording->lines[i];
		if (event->kind == LINE_BLOCK && !event->taken && event->frame == frame && event->order == order)
			return i;
	}
	return SIZE_MAX;
}

static void followed_free(struct follower *follower, pfn first, unsigned order, unsigned cpu)
{
	size_t match = matching_free(follower, first.nr, order);
	follower->held[first.nr] = 0;
	if (match != SIZE_MAX)
		make_foreign_until(follower, match);
	bool done = oracle_free_block(follower->oracle, first.nr, order, cpu);
	if (match != SIZE_MAX)
		follower->cursor = match + 1;
	if (match == SIZE_MAX || !done)
		differs(follower, "gives back", first.nr, order, 0, next_event(follower));
}

/* ---- the port ---- */

static struct follower *follower_of(struct page_allocator *base)
{
	return (struct follower *)base;
}

static pfn follower_alloc(struct page_allocator *base, unsigned order, gfp flags, unsigned cpu)
{
	struct follower *follower = follower_of(base);
	if (order >= ORDERS)
		return PFN_NONE;
	return follower->oracle->buddy ? followed_alloc(follower, order, flags, cpu) : scripted_alloc(follower, order, flags);
}

/* A frame that was never handed out was taken before the recording began. */
static enum page_free_result follower_free(struct page_allocator *base, pfn first, unsigned order, unsigned cpu)
{
	struct follower *follower = follower_of(base);
	if (first.nr >= base->end_pfn)
		return PAGE_FREE_NOT_ALLOCATED;
	if (base->allocated_pages < 1ull << order)
		base->allocated_pages += 1ull << order;
	if (follower->oracle->buddy)
		followed_free(follower, first, order, cpu);
	else
		scripted_free(follower, first, order);
	return PAGE_FREE_OK;
}

static void follower_drain(struct page_allocator *base)
{
	struct page_allocator *buddy = follower_of(base)->oracle->buddy;
	if (buddy)
		buddy->ops->drain(buddy);
}

static unsigned follower_zones(const struct page_allocator *base)
{
	(void)base;
	return 0;
}

static void follower_zone_view(const struct page_allocator *base, unsigned zone, struct zone_view *view)
{
	(void)base;
	(void)zone;
	*view = (struct zone_view){0};
}

static unsigned follower_pageblock_order(const struct page_allocator *base)
{
	(void)base;
	return ORDERS - 1;
}

static void follower_check(const struct page_allocator *base)
{
	(void)base;
}

static void follower_destroy(struct page_allocator *base)
{
	struct follower *follower = follower_of(base);
	lazy_free(follower->held, base->end_pfn, 1);
}

static const struct page_allocator_ops follower_ops = {
        .name = "follower",
        .help = "holds page requests against a recording",
        .alloc = follower_alloc,
        .free = follower_free,
        .drain = follower_drain,
        .zones = follower_zones,
        .zone_view = follower_zone_view,
        .pageblock_order = follower_pageblock_order,
        .check = follower_check,
        .destroy = follower_destroy,
};

void follower_init(struct follower *follower, struct oracle *oracle)
{
	uint32_t memory = (uint32_t)oracle->recording->end_pfn;
	uint32_t end = memory < UINT32_MAX - 2 * SPARE_FRAMES ? memory + SPARE_FRAMES : memory;
	*follower = (struct follower){
	        .base = {.ops = &follower_ops, .end_pfn = end, .managed_pages = end},
	        .oracle = oracle,
	        .in_order = true,
	        .spare = memory,
	        .held = lazy_alloc(end, 1),
	};
}

void follower_begin(struct follower *follower, const struct recording_line *line, size_t limit)
{
	follower->call = line;
	follower->limit = limit;
	follower->equal = true;
	follower->oracle->tally->calls++;
}

bool follower_end(struct follower *follower, size_t limit)
{
	struct oracle *oracle = follower->oracle;
	bool unknown = has_unknown_objects(follower, limit), all_met = true;
	follower->limit = limit;
	for (const struct recording_line *event; (event = next_event(follower)); follower->cursor++) {
		if (!oracle->buddy && (unknown || !is_script(event)))
			continue;
		if (oracle->buddy)
			make_foreign(follower, event);
		if (unknown || !is_script(event) || !all_met)
			continue;
		all_met = false;
		oracle_differs(oracle, follower->call, "\"%.80s\" leaves a recorded page event over: line %u: %.80s",
		               follower->call->text, event->number, event->text);
	}
	follower->cursor = limit;
	return all_met;
}
