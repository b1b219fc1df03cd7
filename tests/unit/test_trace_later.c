/* SPDX-License-Identifier: MIT
 *
 * test_trace_later.c - what waiting events tell of address spaces and threads: against a search through all of them, and in time
 * that does not grow with how many wait.
 */
#include "tests/unit/trace_case.h"

#include "sim/rng.h"
#include "sim/trace_later.h"

#include <time.h>

#define ROOM 24u
#define NUMBERS 4u /* of threads and of spaces: few, so that they meet often */

/* What waits, in order, and the answers that a search gives. */
struct searched {
	struct attribution_event events[ROOM];
	uint32_t count;
};

static uint32_t searched_owner(const struct searched *waiting, uint32_t mm)
{
	for (uint32_t i = 0; i < waiting->count; i++) {
		const struct attribution_event *event = &waiting->events[i];
		if (event->kind == TEXT_RSS_STAT && event->process.has_mm && event->process.current && event->process.mm == mm)
			return event->task;
	}
	return 0;
}

static bool searched_space(const struct searched *waiting, uint32_t task, uint32_t *mm)
{
	bool named[NUMBERS] = {false};
	for (uint32_t i = 0; i < waiting->count; i++) {
		const struct attribution_event *event = &waiting->events[i];
		bool ends = event->kind == TEXT_PROCESS_EXIT || event->kind == TEXT_SCHED_SWITCH;
		if ((event->kind == TEXT_PROCESS_EXEC || (ends && event->process.gone)) && event->process.prev_task == task)
			return false;
		if (event->kind != TEXT_RSS_STAT || !event->process.has_mm || event->task != task)
			continue;
		*mm = event->process.mm;
		if (event->process.current)
			return !named[*mm];
		named[*mm] = true;
	}
	return false;
}

/* Whether the thread becomes a program before it ends. */
static bool searched_exec(const struct searched *waiting, uint32_t task)
{
	for (uint32_t i = 0; i < waiting->count; i++) {
		const struct attribution_event *event = &waiting->events[i];
		bool ends = event->kind == TEXT_PROCESS_EXIT || event->kind == TEXT_SCHED_SWITCH;
		if (event->process.prev_task != task)
			continue;
		if (event->kind == TEXT_PROCESS_EXEC || (ends && event->process.gone))
			return event->kind == TEXT_PROCESS_EXEC;
	}
	return false;
}

/* Reads where nothing was mapped in other pages of the 64 KiB. */
static uint32_t searched_reads(const struct searched *waiting, uint32_t task, uint64_t address)
{
	uint32_t count = 0;
	for (uint32_t i = 0; i < waiting->count; i++) {
		const struct attribution_event *event = &waiting->events[i];
		count += event->kind == TEXT_PAGE_FAULT && event->process.error_code == FAULT_USER && event->task == task &&
		         event->ptr / 65536 == address / 65536 && event->ptr / 4096 != address / 4096;
	}
	return count < LATER_READS_MAX ? count : LATER_READS_MAX;
}

static struct attribution_event some_event(struct rng *rng)
{
	static const uint8_t kinds[] = {TEXT_RSS_STAT,   TEXT_RSS_STAT,     TEXT_SCHED_SWITCH, TEXT_PAGE_FAULT,
	                                TEXT_PAGE_FAULT, TEXT_PROCESS_EXEC, TEXT_PROCESS_EXIT, TEXT_KFREE};
	static const uint32_t codes[] = {FAULT_USER, FAULT_USER, FAULT_USER | FAULT_WRITE, FAULT_USER | FAULT_PROTECTION,
	                                 FAULT_USER | FAULT_INSTRUCTION};
	return (struct attribution_event){.kind = kinds[rng_below(rng, 8)],
	                                  .ptr = rng_below(rng, 64) * PAGE_SIZE,
	                                  .ptr_state = POINTER_VALUE,
	                                  .task = (uint32_t)rng_below(rng, NUMBERS),
	                                  .process = {.mm = (uint32_t)rng_below(rng, NUMBERS),
	                                              .prev_task = (uint32_t)rng_below(rng, NUMBERS),
	                                              .error_code = codes[rng_below(rng, 5)],
	                                              .has_mm = rng_below(rng, 8) > 0,
	                                              .current = rng_below(rng, 3) == 0,
	                                              .gone = rng_below(rng, 4) == 0}};
}

static void compare(const struct later_events *later, const struct searched *waiting)
{
	for (uint32_t number = 0; number < NUMBERS; number++) {
		uint32_t mm = 0, expected = 0;
		assert_int_equal(later_owner(later, number), searched_owner(waiting, number));
		bool told = searched_space(waiting, number, &expected);
		assert_int_equal(later_space(later, number, &mm), told);
		if (told)
			assert_int_equal(mm, expected);
		assert_int_equal(later_exec(later, number), searched_exec(waiting, number));
		uint64_t address = (uint64_t)number * 7 % 64 * PAGE_SIZE;
		assert_int_equal(later_reads(later, number, address), searched_reads(waiting, number, address));
	}
}

/* Would catch: a chain that keeps what was taken out or loses what is behind it, also where the ring wraps around. */
static void test_chains_answer_as_a_search_does(void **state)
{
	(void)state;
	struct rng rng;
	struct later_events later;
	struct searched waiting = {.count = 0};
	rng_init(&rng, 1, "later");
	later_events_init(&later, ROOM);
	for (unsigned step = 0; step < 20000; step++) {
		bool push = waiting.count == 0 || (waiting.count < ROOM && rng_below(&rng, 2) == 0);
		if (push) {
			waiting.events[waiting.count] = some_event(&rng);
			later_events_push(&later, &waiting.events[waiting.count++]);
		} else {
			const struct attribution_event first = later_events_pop(&later);
			assert_int_equal(first.kind, waiting.events[0].kind);
			assert_int_equal(first.task, waiting.events[0].task);
			memmove(waiting.events, waiting.events + 1, --waiting.count * sizeof *waiting.events);
		}
		assert_int_equal(later.count, waiting.count);
		compare(&later, &waiting);
	}
	while (later.count > 0)
		later_events_pop(&later);
	assert_int_equal(later.own.count + later.fates.count + later.reads.count, 0);
	later_events_release(&later);
}

/* A recording of a shell with so many children that touch a page each; `tell`: each says which address space is its own. */
static char *fork_storm(unsigned children, bool tell)
{
	char *text;
	size_t length;
	FILE *out = open_memstream(&text, &length);
	assert_non_null(out);
	for (unsigned child = 2; child < children + 2; child++) {
		const char *head = " [000] ..... 1.0:";
		fprintf(out, "  sh-1%s rss_stat: mm_id=1 curr=1 type=MM_ANONPAGES size=4096B\n", head);
		fprintf(out, "  sh-1%s rss_stat: mm_id=%u curr=0 type=MM_ANONPAGES size=4096B\n", head, child);
		fprintf(out, "  sh-%u%s page_fault_user: address=0x400000 ip=0x1 error_code=0x6\n", child, head);
		fprintf(out, "  sh-%u%s rss_stat: mm_id=%u curr=%d type=MM_ANONPAGES size=4096B\n", child, head, child, tell);
	}
	fclose(out);
	return text;
}

static double seconds_of_storm(unsigned children, bool tell)
{
	struct trace_case c;
	char *text = fork_storm(children, tell);
	case_begin(&c);
	clock_t begin = clock();
	assert_true(case_import(&c, text));
	double seconds = (double)(clock() - begin) / CLOCKS_PER_SEC;
	assert_int_equal(c.summary.processes, children + 1);
	case_end(&c);
	free(text);
	return seconds;
}

/* Would catch: a search through all that waits for each thread, which finds at once what is near, and never what is not there. */
static void test_silent_children_cost_no_more(void **state)
{
	(void)state;
	double told = seconds_of_storm(20000, true), silent = seconds_of_storm(20000, false);
	if (silent > 5 * told + 0.1)
		fail_msg("%.2f s for children that tell their address space, %.2f s for silent ones", told, silent);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_chains_answer_as_a_search_does),
	        cmocka_unit_test(test_silent_children_cost_no_more),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
