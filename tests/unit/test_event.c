/* SPDX-License-Identifier: MIT
 *
 * test_event.c - the clock's total order.
 */
#include "sim/event.h"
#include "sim/rng.h"
#include "tests/unit/test.h"

struct probe {
	struct event event;
	unsigned number;
	unsigned *log;
	unsigned *logged;
};

static void note(struct event *event, cycle now)
{
	struct probe *probe = (struct probe *)(void *)event;
	assert_int_equal(now, event->at);
	probe->log[(*probe->logged)++] = probe->number;
}

/* Would catch: ties decided by address or heap shape instead of (phase, sequence). */
static void test_ties_go_by_phase_then_insertion(void **state)
{
	(void)state;
	struct event_queue queue;
	event_queue_init(&queue);
	unsigned log[6], logged = 0;
	struct probe probes[6];
	for (unsigned i = 0; i < 6; i++) {
		probes[i] = (struct probe){{.run = note, .phase = i < 3 ? PHASE_SAMPLE : PHASE_CORE}, i, log, &logged};
		event_queue_add(&queue, &probes[i].event, 5);
	}
	event_queue_run_until(&queue, 4);
	assert_int_equal(logged, 0);
	event_queue_run_until(&queue, 5);
	const unsigned expected[6] = {3, 4, 5, 0, 1, 2};
	assert_memory_equal(log, expected, sizeof expected);
	event_queue_release(&queue);
}

/* Would catch: a removed event that still runs, a heap that loses its order after a removal in the middle. */
static void test_random_adds_and_removes_run_in_order(void **state)
{
	(void)state;
	enum { COUNT = 500 };
	struct event_queue queue;
	event_queue_init(&queue);
	struct rng rng;
	rng_init(&rng, 1, "test");
	unsigned log[COUNT], logged = 0;
	static struct probe probes[COUNT];
	unsigned removed = 0;
	for (unsigned i = 0; i < COUNT; i++) {
		probes[i] = (struct probe){{.run = note, .phase = PHASE_CORE}, i, log, &logged};
		event_queue_add(&queue, &probes[i].event, rng_below(&rng, 100));
	}
	for (unsigned i = 0; i < COUNT; i += 3) {
		event_queue_remove(&queue, &probes[i].event);
		event_queue_remove(&queue, &probes[i].event); /* not queued: nothing happens */
		event_queue_check(&queue);
		removed++;
	}
	event_queue_run_until(&queue, 1000);
	assert_int_equal(logged, COUNT - removed);
	for (unsigned i = 1; i < logged; i++) {
		const struct probe *a = &probes[log[i - 1]], *b = &probes[log[i]];
		assert_true(a->event.at < b->event.at || (a->event.at == b->event.at && a->number < b->number));
	}
	assert_int_equal(queue.now, 1000);
	event_queue_release(&queue);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_ties_go_by_phase_then_insertion),
	        cmocka_unit_test(test_random_adds_and_removes_run_in_order),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
