/* SPDX-License-Identifier: MIT
 *
 * event.h - the clock: a queue of events with a total order.
 *
 * The queue wakes whoever has the lowest (cycle, phase, sequence). The sequence counts insertions, so two events never tie and
 * the order does not depend on the host. An event is embedded in the struct it wakes, as its first member; it is in the queue at
 * most once. Binary heap; add, remove and run cost O(log n).
 *
 * Invariant: `now` never goes back; no queued event lies before it.
 */
#ifndef SIM_EVENT_H
#define SIM_EVENT_H

#include "sim/base.h"

#define CYCLE_NEVER UINT64_MAX

/* Who goes first within one cycle. */
enum event_phase {
	PHASE_CORE,  /* cores that run steps */
	PHASE_SAMPLE /* those who look at the state after the cycle's work */
};

struct event {
	cycle at;
	uint64_t sequence;
	void (*run)(struct event *, cycle now);
	enum event_phase phase;
	size_t place; /* in the heap, counted from 1; 0 = not queued */
};

struct event_queue {
	struct event **heap;
	size_t count, capacity;
	uint64_t next_sequence;
	cycle now;
	cycle next; /* of the first event, CYCLE_NEVER if there is none */
};

void event_queue_init(struct event_queue *queue);
void event_queue_release(struct event_queue *queue);

/* Queues an event that is not queued, at a cycle that is not over. The event stays the caller's. */
void event_queue_add(struct event_queue *queue, struct event *event, cycle at);

/* Takes an event out, if it is in. */
void event_queue_remove(struct event_queue *queue, struct event *event);

/* The cycle of the next event, CYCLE_NEVER if there is none. */
static inline cycle event_queue_next(const struct event_queue *queue)
{
	return queue->next;
}

/* Takes the next event out, moves the clock to it and runs it. There must be one. */
void event_queue_run_next(struct event_queue *queue);

/* Runs every event up to and including `until`, then moves the clock there. */
void event_queue_run_until(struct event_queue *queue, cycle until);

/* Walks the heap and compares: order, places, the clock. */
void event_queue_check(const struct event_queue *queue);

#endif
