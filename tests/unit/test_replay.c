/* SPDX-License-Identifier: MIT
 *
 * test_replay.c - the main loop on small recordings written by hand, whose numbers can be counted by eye.
 */
#include "models/registry.h"
#include "models/settings.h"
#include "sim/replay.h"
#include "tests/unit/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const volatile sig_atomic_t go_on = 0;
static const volatile sig_atomic_t stop_now = 1;

struct rig {
	char kmt[64];
	struct trace *trace;
	struct settings settings;
	struct layout layout;
	struct steps steps;
	struct page_allocator *pages;
	struct object_allocator *objects;
	struct memory *memory;
	struct machine machine;
	struct replay *replay;
};

static void rig_init(struct rig *rig, const char *text, const char *allocator, enum timing timing)
{
	struct error error = {0};
	struct trace_summary summary;
	char name[] = "/tmp/kmemsim-test-replay-XXXXXX";
	int fd = mkstemp(name);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	snprintf(rig->kmt, sizeof rig->kmt, "%s.kmt", name);
	if (!trace_import(name, rig->kmt, TRACE_PROCESSES, NULL, &summary, &error))
		fail_msg("%s", error.text);
	unlink(name);
	rig->trace = trace_open(rig->kmt, &error);
	assert_non_null(rig->trace);
	settings_init(&rig->settings);
	rig->settings.timing = timing;
	rig->settings.machine.cpus = 2;
	rig->settings.machine.memory_bytes = 64u << 20;
	layout_init(&rig->layout, 64);
	steps_init(&rig->steps, timing == TIMING_CYCLES);
	const struct page_allocator_wiring page_wiring = {&rig->settings, &rig->layout, &rig->steps, NULL, 1};
	rig->pages = page_allocator_model("buddy", &error)->create(&page_wiring, &error);
	assert_non_null(rig->pages);
	const struct object_allocator_wiring wiring = {&rig->settings, rig->pages, &rig->layout, &rig->steps, 1};
	rig->objects = object_allocator_model(allocator, &error)->create(&wiring, &error);
	assert_non_null(rig->objects);
	rig->memory = memory_model("ideal", &error)->create(&(struct memory_wiring){.settings = &rig->settings}, &error);
	machine_init(&rig->machine, &(struct machine_wiring){.cpus = 2,
	                                                     .line_bytes = 64,
	                                                     .core = {.instructions_per_cycle = 1, .misses_in_flight = 1},
	                                                     .memory = rig->memory});
	const struct replay_config config = {.frequency_mhz = 1000, .cpus = 2, .paranoid_every = 1};
	const struct replay_parts parts = {
	        .trace = rig->trace,
	        .pages = rig->pages,
	        .objects = rig->objects,
	        .steps = &rig->steps,
	        .machine = timing == TIMING_CYCLES ? &rig->machine : NULL,
	};
	rig->replay = replay_create(&config, &parts, &error);
	assert_non_null(rig->replay);
}

static void rig_release(struct rig *rig)
{
	replay_destroy(rig->replay);
	machine_release(&rig->machine);
	memory_destroy(rig->memory);
	object_allocator_destroy(rig->objects);
	page_allocator_destroy(rig->pages);
	steps_release(&rig->steps);
	layout_release(&rig->layout);
	settings_release(&rig->settings);
	trace_close(rig->trace);
	unlink(rig->kmt);
}

/* Two objects of one cache and a kmalloc; one object goes back on the other cpu; one page block comes and stays. */
static const char small_load[] =
        "            sh-1       [000] .....     1.000000: kmem_cache_alloc: call_site=open+0x1/0x2 ptr=ffff888004001000 "
        "bytes_req=200 bytes_alloc=256 gfp_flags=GFP_KERNEL node=-1 accounted=false\n"
        "            sh-1       [000] .....     1.000001: kmem_cache_alloc: call_site=open+0x1/0x2 ptr=ffff888004001100 "
        "bytes_req=200 bytes_alloc=256 gfp_flags=GFP_KERNEL node=-1 accounted=false\n"
        "            sh-1       [001] .....     1.000002: kmalloc: call_site=pipe+0x1/0x2 ptr=ffff888004002000 bytes_req=100 "
        "bytes_alloc=128 gfp_flags=GFP_KERNEL node=-1 accounted=false\n"
        "            sh-1       [001] .....     1.000003: kmem_cache_free: call_site=close+0x1/0x2 ptr=ffff888004001000 "
        "name=filp\n"
        "            sh-1       [001] .....     1.000004: mm_page_alloc: page=ffffea0000180000 pfn=0x6000 order=2 migratetype=0 "
        "gfp_flags=GFP_KERNEL\n";

/* Would catch: bytes counted from the wrong side, a free on another cpu not seen, pages put to the wrong owner. */
static void test_accounts(void **state)
{
	(void)state;
	struct rig rig;
	rig_init(&rig, small_load, "slub", TIMING_NONE);
	struct error error = {0};
	assert_int_equal(replay_run(rig.replay, NULL, &go_on, &error), REPLAY_COMPLETE);
	const struct replay_counters *counters = replay_counters(rig.replay);
	assert_int_equal(counters->ops, 5);
	assert_int_equal(counters->object_allocs, 3);
	assert_int_equal(counters->object_frees, 1);
	assert_int_equal(counters->live_objects, 2);
	assert_int_equal(counters->bytes_req, 300);
	assert_int_equal(counters->total_bytes_requested, 500);
	assert_int_equal(counters->peak_bytes_req, 500);
	assert_int_equal(counters->total_bytes_allocated, 256 + 256 + 128);
	assert_int_equal(counters->bytes_alloc_compared, 3);
	assert_int_equal(counters->bytes_alloc_equal, 3);
	assert_int_equal(counters->ping_pong, 1);
	assert_int_equal(counters->pages_unmovable, 4);
	assert_int_equal(counters->wrong_ops, 0);
	assert_int_equal(replay_time_ns(rig.replay), 1000004000);
	rig_release(&rig);
}

/* Would catch: timing that changes what is decided. */
static void test_timing_decides_nothing(void **state)
{
	(void)state;
	const char *const allocators[] = {"slub", "slab", "slob", "ideal"};
	for (size_t index = 0; index < 4; index++) {
		struct rig plain, timed;
		struct error error = {0};
		rig_init(&plain, small_load, allocators[index], TIMING_NONE);
		rig_init(&timed, small_load, allocators[index], TIMING_CYCLES);
		assert_int_equal(replay_run(plain.replay, NULL, &go_on, &error), REPLAY_COMPLETE);
		assert_int_equal(replay_run(timed.replay, NULL, &go_on, &error), REPLAY_COMPLETE);
		assert_memory_equal(replay_counters(plain.replay), replay_counters(timed.replay), sizeof(struct replay_counters));
		assert_int_equal(machine_counters(&timed.machine).jobs, 5);
		assert_true(timed.machine.measured[JOB_CYCLES][JOB_OBJECT_ALLOC].min > 0);
		rig_release(&plain);
		rig_release(&timed);
	}
}

/* 64 MiB hold fewer than 32 blocks of 4 MiB. Would catch: a failed allocation whose free is then a wrong op. */
static void test_no_memory_is_a_result(void **state)
{
	(void)state;
	char *text = NULL;
	size_t length;
	FILE *out = open_memstream(&text, &length);
	for (unsigned block = 0; block < 32; block++)
		fprintf(out,
		        "  sh-1   [000] .....     1.%06u: mm_page_alloc: page=%x pfn=0x%x order=10 migratetype=0 "
		        "gfp_flags=GFP_KERNEL\n",
		        block, 0xea000000u + block, 0x8000 + 1024 * block);
	for (unsigned block = 0; block < 32; block++)
		fprintf(out, "  sh-1   [000] .....     2.%06u: mm_page_free: page=%x pfn=0x%x order=10\n", block,
		        0xea000000u + block, 0x8000 + 1024 * block);
	fclose(out);
	struct rig rig;
	struct error error = {0};
	rig_init(&rig, text, "slub", TIMING_NONE);
	assert_int_equal(replay_run(rig.replay, NULL, &go_on, &error), REPLAY_COMPLETE);
	const struct replay_counters *counters = replay_counters(rig.replay);
	assert_true(counters->failed_page_allocs > 0);
	assert_int_equal(counters->page_allocs + counters->failed_page_allocs, 32);
	assert_int_equal(counters->frees_of_failed, counters->failed_page_allocs);
	assert_int_equal(counters->wrong_ops, 0);
	assert_int_equal(rig.pages->allocated_pages, 0);
	rig_release(&rig);
	free(text);
}

/* Would catch: an interrupt that is seen only at the end. */
static void test_an_interrupt_ends_the_run(void **state)
{
	(void)state;
	struct rig rig;
	struct error error = {0};
	rig_init(&rig, small_load, "slub", TIMING_NONE);
	assert_int_equal(replay_run(rig.replay, NULL, &stop_now, &error), REPLAY_INTERRUPTED);
	assert_int_equal(replay_counters(rig.replay)->ops, 0);
	rig_release(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_accounts),
	        cmocka_unit_test(test_timing_decides_nothing),
	        cmocka_unit_test(test_no_memory_is_a_result),
	        cmocka_unit_test(test_an_interrupt_ends_the_run),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
