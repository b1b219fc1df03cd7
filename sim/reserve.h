/* SPDX-License-Identifier: MIT
 *
 * reserve.h - what a request of a component under the clock has to share with others: ports, a server that takes one request
 * after the other, and the slots of misses in flight.
 *
 * Each answers at once with the cycle at which the request has what it asked for, and keeps it for that request. Requests come
 * nearly in the order of their cycles: one that starts earlier than another that was made before it is served with what is left.
 *
 *   port_set   so many requests begin in a cycle
 *   timeline   one request at a time, each for some cycles; a gap between two is used by who fits into it
 *   fill_set   lines on their way, and so many at a time; who asks for one of them is served when it is there
 */
#ifndef SIM_RESERVE_H
#define SIM_RESERVE_H

#include "sim/base.h"
#include "sim/cost.h"

/* ---- ports ---- */

/* Cycles that are remembered. MODEL: two requests that are so many cycles apart, and made in the wrong order, do not see each
 * other. */
#define PORT_CYCLES 64u

struct port_cycle {
	cycle at;
	uint32_t used; /* requests that begin then */
};

struct port_set {
	struct port_cycle taken[PORT_CYCLES];
	cycle full,
	        full_end; /* all of taken[] of the cycles from `full` to before `full_end` is taken; equal: nothing is known */
};

/* Whether all requests of a cycle are known to have begun. */
static inline bool port_set_is_full(const struct port_set *set, cycle at)
{
	return at - set->full < set->full_end - set->full;
}

/* The rest of port_set_take(), where a request may have to wait. */
cycle port_set_take_later(struct port_set *set, uint32_t ports, cycle at);

/* The first cycle from `at` on in which fewer than `ports` requests begin; this one begins then. ports is 1 or more. */
static inline cycle port_set_take(struct port_set *set, uint32_t ports, cycle at)
{
	struct port_cycle *taken = &set->taken[at % PORT_CYCLES];
	const bool is_first = taken->at != at;
	/* Where all of `at` is known to be taken and not remembered, what is in its place is of the same stretch. */
	if (is_first ? port_set_is_full(set, taken->at) : taken->used >= ports)
		return port_set_take_later(set, ports, at);
	taken->at = at;
	taken->used = is_first ? 1 : taken->used + 1;
	return at;
}

/* ---- one request at a time ---- */

/* Stretches of time that are remembered, those without a gap between them as one. */
#define TIMELINE_STRETCHES 8u

/* Invariant: stretches stand in order, and between two lies a gap. */
struct timeline {
	struct {
		cycle start, end;
	} busy[TIMELINE_STRETCHES];
	uint32_t count;
};

/* The first cycle from `at` on from which `cycles` (1 and more) cycles are free; they are this request's. */
cycle timeline_take(struct timeline *line, cycle at, cycle cycles);

void timeline_check(const struct timeline *line);

/* ---- misses in flight ---- */

/* Lines in flight that are remembered, a power of two.
 * MODEL: of two whose numbers fall together the later one is. Effect: a request for the other is served as if it were there. */
#define FILLS_REMEMBERED 256u

struct fill {
	uint64_t line; /* its number plus 1; 0: none */
	cycle ready;
	enum cost_part part; /* whose cycles somebody spends who waits for it */
};

_Static_assert(FILLS_REMEMBERED == 1u << (64 - 56), "fill_set_place() gives as many numbers");

struct fill_set {
	cycle latest; /* when the last of all is there */
	struct fill remembered[FILLS_REMEMBERED];
	uint32_t slots;
	cycle *slot; /* when each is free again; NULL: there is no end of them; owned */
};

void fill_set_init(struct fill_set *set, uint32_t slots);
void fill_set_release(struct fill_set *set);

static inline uint64_t fill_set_place(uint64_t line)
{
	return line * 0x9e3779b97f4a7c15ull >> 56;
}

/* The line's way to here, NULL if it is not on its way at `now`. */
static inline const struct fill *fill_set_find(const struct fill_set *set, uint64_t line, cycle now)
{
	if (now >= set->latest)
		return NULL;
	const struct fill *fill = &set->remembered[fill_set_place(line)];
	return fill->line == line + 1 && fill->ready > now ? fill : NULL;
}

/* The slot that is free the soonest, and in *free_at the cycle, not before `now`, from which it is; of slots that are free now
 * the first. Of a set with slots. */
uint32_t fill_set_soonest(const struct fill_set *set, cycle now, cycle *free_at);

/* The same of any set. */
static inline uint32_t fill_set_slot(const struct fill_set *set, cycle now, cycle *free_at)
{
	/* Where nothing is on its way, the first slot is free, as all are. */
	if (set->slots > 0 && now < set->latest)
		return fill_set_soonest(set, now, free_at);
	*free_at = now;
	return 0;
}

/* The line is on its way by that slot until `ready`. */
static inline void fill_set_add(struct fill_set *set, uint32_t slot, uint64_t line, cycle ready, enum cost_part part)
{
	if (set->slots > 0)
		set->slot[slot] = ready;
	if (ready > set->latest)
		set->latest = ready;
	struct fill *fill = &set->remembered[fill_set_place(line)];
	fill->line = line + 1;
	fill->ready = ready;
	fill->part = part;
}

#endif
