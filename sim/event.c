/* SPDX-License-Identifier: MIT
 *
 * event.c - the binary heap behind event.h.
 */
#include "sim/event.h"

#include <stdlib.h>

void event_queue_init(struct event_queue *queue)
{
	*queue = (struct event_queue){.next = CYCLE_NEVER};
}

void event_queue_release(struct event_queue *queue)
{
	free(queue->heap);
	*queue = (struct event_queue){0};
}

static bool before(const struct event *a, const struct event *b)
{
	if (a->at != b->at)
		return a->at < b->at;
	if (a->phase != b->phase)
		return a->phase < b->phase;
	return a->sequence < b->sequence;
}

static void put(struct event_queue *queue, size_t index, struct event *event)
{
	queue->heap[index] = event;
	event->place = index + 1;
}

static void sift_up(struct event_queue *queue, size_t index, struct event *event)
{
	while (index > 0 && before(event, queue->heap[(index - 1) / 2])) {
		put(queue, index, queue->heap[(index - 1) / 2]);
		index = (index - 1) / 2;
	}
	put(queue, index, event);
}

static void sift_down(struct event_queue *queue, size_t index, struct event *event)
{
	for (;;) {
		size_t child = 2 * index + 1;
		if (child >= queue->count)
			break;
		if (child + 1 < queue->count && before(queue->heap[child + 1], queue->heap[child]))
			child++;
		if (!before(queue->heap[child], event))
			break;
		put(queue, index, queue->heap[child]);
		index = child;
	}
	put(queue, index, event);
}

void event_queue_add(struct event_queue *queue, struct event *event, cycle at)
{
	SIM_ASSERT(event->place == 0 && at >= queue->now);
	if (queue->count == queue->capacity) {
		queue->capacity = queue->capacity ? 2 * queue->capacity : 16;
		queue->heap = xrealloc(queue->heap, queue->capacity * sizeof(struct event *));
	}
	event->at = at;
	event->sequence = queue->next_sequence++;
	sift_up(queue, queue->count++, event);
	if (at < queue->next)
		queue->next = at;
}

void event_queue_remove(struct event_queue *queue, struct event *event)
{
	if (event->place == 0)
		return;
	size_t index = event->place - 1;
	SIM_ASSERT(index < queue->count && queue->heap[index] == event);
	event->place = 0;
	struct event *last = queue->heap[--queue->count];
	if (last != event && index > 0 && before(last, queue->heap[(index - 1) / 2]))
		sift_up(queue, index, last);
	else if (last != event)
		sift_down(queue, index, last);
	queue->next = queue->count ? queue->heap[0]->at : CYCLE_NEVER;
}

void event_queue_run_next(struct event_queue *queue)
{
	SIM_ASSERT(queue->count > 0);
	struct event *next = queue->heap[0];
	event_queue_remove(queue, next);
	SIM_ASSERT(next->at >= queue->now);
	queue->now = next->at;
	next->run(next, queue->now);
}

void event_queue_run_until(struct event_queue *queue, cycle until)
{
	while (event_queue_next(queue) <= until)
		event_queue_run_next(queue);
	if (until > queue->now)
		queue->now = until;
}

void event_queue_check(const struct event_queue *queue)
{
	SIM_ASSERT(queue->next == (queue->count ? queue->heap[0]->at : CYCLE_NEVER));
	for (size_t index = 0; index < queue->count; index++) {
		const struct event *event = queue->heap[index];
		SIM_ASSERT(event->place == index + 1 && event->at >= queue->now);
		SIM_ASSERT(index == 0 || before(queue->heap[(index - 1) / 2], event));
	}
}
