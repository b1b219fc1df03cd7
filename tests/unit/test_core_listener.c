/* SPDX-License-Identifier: MIT
 *
 * test_core_listener.c - what cores tell who listens, and the trace JSON made of it, with times worked out by hand.
 */
#include "models/registry.h"
#include "models/settings.h"
#include "sim/core.h"
#include "sim/io/chrome_trace.h"
#include "tests/unit/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINE_A 0xffff888000001000u
#define LOCK_WORD 0xffffffff82000000u

struct rig {
	struct settings settings;
	struct memory *memory;
	struct layout layout;
	struct machine machine;
	struct steps steps;
	char path[40];
	struct chrome_trace *trace;
};

/* 2000 cycles are a microsecond. */
#define MHZ 2000

static const char *owner_name(void *context, uint32_t owner)
{
	(void)context;
	return owner == 7 ? "quoted \"cache\"" : "other";
}

static const char *site_name(void *context, uint32_t site)
{
	(void)context;
	return site == 3 ? "back\\slash+0x1/0x2" : "elsewhere";
}

static void rig_init(struct rig *rig, unsigned cpus, cycle from, cycle to, uint64_t limit)
{
	struct error error = {0};
	settings_init(&rig->settings);
	rig->settings.machine.cache_line_bytes = 64;
	rig->settings.machine.l1_cycles = 4;
	rig->settings.machine.llc_cycles = 40;
	rig->settings.machine.remote_cycles = 100;
	rig->settings.machine.dram_cycles = 200;
	rig->settings.machine.atomic_cycles = 18;
	rig->memory = memory_model("ideal", &error)->create(&(struct memory_wiring){.settings = &rig->settings}, &error);
	layout_init(&rig->layout, 64);
	layout_keep_names(&rig->layout);
	strcpy(rig->path, "/tmp/kmemsim-events.XXXXXX");
	close(mkstemp(rig->path));
	const struct chrome_trace_wiring events = {.path = rig->path,
	                                           .title = "slub",
	                                           .from = from,
	                                           .to = to,
	                                           .limit = limit,
	                                           .frequency_mhz = MHZ,
	                                           .cpus = cpus,
	                                           .names = {.owner = owner_name, .call_site = site_name},
	                                           .layout = &rig->layout};
	rig->trace = chrome_trace_open(&events, &error);
	assert_non_null(rig->trace);
	machine_init(&rig->machine, &(struct machine_wiring){.cpus = cpus,
	                                                     .line_bytes = 64,
	                                                     .core = {.instructions_per_cycle = 1,
	                                                              .misses_in_flight = 1,
	                                                              .ipi_send_cycles = 10,
	                                                              .ipi_cycles = 1000,
	                                                              .ipi_handler_cycles = 300,
	                                                              .ipi_ack_cycles = 50},
	                                                     .memory = rig->memory,
	                                                     .listener = chrome_trace_listener(rig->trace)});
	steps_init(&rig->steps, true);
}

/* Ends the run and returns the file's text, which the caller frees. */
static char *rig_finish(struct rig *rig)
{
	struct error error = {0};
	machine_drain(&rig->machine);
	machine_check(&rig->machine);
	assert_true(chrome_trace_close(rig->trace, &error));
	FILE *in = fopen(rig->path, "r");
	assert_non_null(in);
	char *text = xcalloc(1, 1 << 16);
	assert_true(fread(text, 1, (1 << 16) - 1, in) > 0);
	fclose(in);
	remove(rig->path);
	steps_release(&rig->steps);
	machine_release(&rig->machine);
	layout_release(&rig->layout);
	memory_destroy(rig->memory);
	settings_release(&rig->settings);
	return text;
}

static void push(struct rig *rig, unsigned cpu, const struct job_about *about)
{
	core_push(&rig->machine, cpu, about, &rig->steps);
	steps_clear(&rig->steps);
}

static unsigned count_of(const char *text, const char *what)
{
	unsigned count = 0;
	for (; (text = strstr(text, what)) != NULL; text += strlen(what))
		count++;
	return count;
}

/*
 * A read from memory and seven instructions: cycles 0 to 207, at 2000 MHz 0.000 to 0.103 us (103.5 ns rounded down). A second op
 * of 11 instructions: 207 to 218, from 103 to 109 ns. Would catch: a duration rounded by itself (5.5 ns: ops that overlap or
 * gape), a name that breaks the JSON, a part of the cost left out, nanoseconds where the format has microseconds.
 */
static void test_ops_have_exact_times(void **state)
{
	(void)state;
	struct rig rig;
	rig_init(&rig, 1, 0, CYCLE_NEVER, 10);
	step_read(&rig.steps, vaddr_of(LINE_A), 8);
	step_spend(&rig.steps, 7);
	push(&rig, 0, &(struct job_about){.kind = JOB_OBJECT_ALLOC, .owner = 7, .call_site = 3});
	step_path(&rig.steps, PATH_PAGES);
	step_spend(&rig.steps, 11);
	push(&rig, 0, &(struct job_about){.kind = JOB_PAGE_FREE, .call_site = NO_CALL_SITE});
	char *text = rig_finish(&rig);
	assert_string_equal(
	        text, "{\"displayTimeUnit\":\"ns\",\"traceEvents\":[\n"
	              "{\"ph\":\"M\",\"pid\":1,\"tid\":0,\"name\":\"process_name\",\"args\":{\"name\":\"slub\"}},\n"
	              "{\"ph\":\"M\",\"pid\":1,\"tid\":0,\"name\":\"thread_name\",\"args\":{\"name\":\"core 0\"}},\n"
	              "{\"ph\":\"M\",\"pid\":1,\"tid\":0,\"name\":\"thread_sort_index\",\"args\":{\"sort_index\":0}},\n"
	              "{\"ph\":\"X\",\"pid\":1,\"tid\":0,\"cat\":\"alloc\",\"ts\":0.000,\"dur\":0.103,"
	              "\"name\":\"alloc quoted \\\"cache\\\"\",\"args\":{\"begin_cycle\":0,\"cycles\":207,\"path\":\"fast\","
	              "\"call_site\":\"back\\\\slash+0x1/0x2\",\"compute\":7,\"dram\":200}},\n"
	              "{\"ph\":\"X\",\"pid\":1,\"tid\":0,\"cat\":\"page_free\",\"ts\":0.103,\"dur\":0.006,"
	              "\"name\":\"page_free\",\"args\":{\"begin_cycle\":207,\"cycles\":11,\"path\":\"pages\",\"compute\":11}}\n"
	              "],\"otherData\":{\"written\":2,\"left_out\":0,\"frequency_mhz\":2000}}\n");
	free(text);
}

/*
 * Two cores want one lock at cycle 0 (the first two of test_core.c's three, without the third): core 0 has it from 218, holds it
 * to 1218, and its store reaches the word, which core 1's attempt took, at 1318. Core 1 tries at 118, sets the pending bit at
 * 140, waits to 1318, reads the word, 1418, and writes it, 1422: the op ends at 2422 + 4 for its store, 2426.
 * Would catch: a wait on the wrong row, one that begins with the attempt, a lock without its name.
 */
static void test_a_wait_lies_in_its_op(void **state)
{
	(void)state;
	struct rig rig;
	rig_init(&rig, 2, 0, CYCLE_NEVER, 10);
	layout_name(&rig.layout, vaddr_of(LOCK_WORD), 64, "zone", "DMA32");
	for (unsigned cpu = 0; cpu < 2; cpu++) {
		step_lock(&rig.steps, vaddr_of(LOCK_WORD));
		step_spend(&rig.steps, 1000);
		step_unlock(&rig.steps, vaddr_of(LOCK_WORD));
		push(&rig, cpu, &(struct job_about){.kind = JOB_PAGE_ALLOC, .call_site = NO_CALL_SITE});
	}
	char *text = rig_finish(&rig);
	assert_non_null(strstr(text,
	                       "\"tid\":2,\"cat\":\"lock\",\"ts\":0.070,\"dur\":0.589,\"name\":\"wait for lock: zone DMA32\","
	                       "\"args\":{\"begin_cycle\":140,\"cycles\":1178,\"lock\":\"0xffffffff82000000\"}}"));
	assert_non_null(strstr(text, "\"tid\":0,\"cat\":\"page_alloc\",\"ts\":0.000,\"dur\":0.659,"));
	assert_non_null(strstr(text, "\"tid\":2,\"cat\":\"page_alloc\",\"ts\":0.000,\"dur\":1.213,"));
	assert_int_equal(count_of(text, "\"ph\":\"X\""), 3);
	free(text);
}

/*
 * Core 0 interrupts core 1: the entry's line comes from memory, 200 + 18; sending 10: 228; it arrives at 1228, is served to 1528,
 * and acknowledged at 1578. Core 0 waits from 228 on. Would catch: an interrupt on the row of ops, one told of the core that sent
 * it, a wait for acknowledgements that is not told.
 */
static void test_an_interrupt_has_a_row_of_its_own(void **state)
{
	(void)state;
	struct rig rig;
	rig_init(&rig, 2, 0, CYCLE_NEVER, 10);
	step_ipi(&rig.steps, 1, STEP_NO_ADDRESS);
	step_ipi_wait(&rig.steps);
	push(&rig, 0, &(struct job_about){.kind = JOB_PAGE_FREE, .call_site = NO_CALL_SITE});
	char *text = rig_finish(&rig);
	assert_non_null(strstr(text, "\"tid\":3,\"cat\":\"interrupt\",\"ts\":0.614,\"dur\":0.150,\"name\":\"interrupt\","
	                             "\"args\":{\"begin_cycle\":1228,\"cycles\":300,\"from_core\":0}}"));
	assert_non_null(strstr(text, "\"tid\":0,\"cat\":\"ipi\",\"ts\":0.114,\"dur\":0.675,"));
	assert_non_null(strstr(text, "\"tid\":0,\"cat\":\"page_free\",\"ts\":0.000,\"dur\":0.789,"));
	assert_non_null(strstr(text, "{\"name\":\"core 1, interrupts\"}"));
	free(text);
}

/*
 * Ten ops of 100 cycles; of the window from 250 to 600 the third (200 to 300, which reaches into it) to the sixth (500 to 600),
 * not the seventh, which begins at its end. Would catch: an op before or behind the window, one that was there at its beginning
 * left out, more than the limit, a count of what is left out that counts all.
 */
static void test_the_window_and_the_limit(void **state)
{
	(void)state;
	for (unsigned limit = 4; limit >= 3; limit--) {
		struct rig rig;
		rig_init(&rig, 1, 250, 600, limit);
		for (unsigned op = 0; op < 10; op++) {
			step_spend(&rig.steps, 100);
			push(&rig, 0, &(struct job_about){.kind = JOB_OBJECT_FREE, .owner = 1, .call_site = NO_CALL_SITE});
		}
		char *text = rig_finish(&rig);
		assert_int_equal(count_of(text, "\"ph\":\"X\""), limit);
		assert_non_null(strstr(text, "{\"begin_cycle\":200,"));
		assert_non_null(strstr(text, limit == 4 ? "{\"written\":4,\"left_out\":0," : "{\"written\":3,\"left_out\":1,"));
		free(text);
	}
}

/* Would catch: a file of no ops that is no JSON, a folder that is not there taken for success. */
static void test_nothing_and_nowhere(void **state)
{
	(void)state;
	struct rig rig;
	rig_init(&rig, 1, 0, CYCLE_NEVER, 10);
	char *text = rig_finish(&rig);
	assert_non_null(strstr(text, "\"sort_index\":0}}\n],\"otherData\":{\"written\":0,"));
	free(text);
	struct error error = {0};
	assert_null(chrome_trace_open(
	        &(struct chrome_trace_wiring){
	                .path = "/nowhere/events.json", .limit = 1, .frequency_mhz = 1, .cpus = 1, .title = ""},
	        &error));
	assert_int_equal(error.kind, ERROR_HOST);
	assert_non_null(strstr(error.text, "/nowhere/events.json"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_ops_have_exact_times),
	        cmocka_unit_test(test_a_wait_lies_in_its_op),
	        cmocka_unit_test(test_an_interrupt_has_a_row_of_its_own),
	        cmocka_unit_test(test_the_window_and_the_limit),
	        cmocka_unit_test(test_nothing_and_nowhere),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
