/* SPDX-License-Identifier: MIT
 *
 * test_replay_maps.c - ops that map, clear and copy pages, right ones and wrong ones, replayed under every allocator on a 32-bit
 * machine with high memory and on a 64-bit one.
 */
#include "models/registry.h"
#include "models/settings.h"
#include "models/virtual_allocator/kmap.h"
#include "sim/io/kmt.h"
#include "sim/replay.h"
#include "sim/workload.h"
#include "tests/unit/test.h"

#include <stdlib.h>

static const volatile sig_atomic_t go_on = 0;

/* Two blocks, a mapping of each kind in good order, a clear, a copy; and of wrong ones the four below. */
static void generate(struct workload *workload, const void *values)
{
	(void)values;
	workload_kind pages = workload_pages(workload, "p", 1, GFP_HIGHUSER | __GFP_ZERO);
	workload_kind small = workload_kmalloc(workload, "k", 100, GFP_KERNEL);
	workload_kind local = workload_page_map(workload, "l", PAGE_MAP_LOCAL, 64);
	workload_kind permanent = workload_page_map(workload, "m", PAGE_MAP_PERMANENT, 0);
	workload_kind clear = workload_page_clear(workload, "c", PAGE_MAP_ATOMIC);
	workload_kind copy = workload_page_copy(workload, "y", PAGE_MAP_LOCAL);
	workload_block first = workload_alloc(workload, 0, pages), second = workload_alloc(workload, 0, pages);
	workload_block object = workload_alloc(workload, 0, small);
	workload_block outer = workload_map(workload, 0, local, first, 0), inner = workload_map(workload, 0, local, first, 1);
	workload_free(workload, 0, inner);
	workload_free(workload, 0, outer);
	workload_block kept = workload_map(workload, 1, permanent, second, 1);
	workload_free(workload, 0, kept); /* permanent ones are every CPU's */
	workload_clear(workload, 1, clear, first);
	workload_copy(workload, 0, copy, second, first);
	workload_map(workload, 0, local, first, 2);       /* wrong: a block of two pages */
	workload_clear(workload, 0, clear, object);       /* wrong: an object */
	workload_copy(workload, 0, copy, second, second); /* wrong: onto itself */
	workload_block elsewhere = workload_map(workload, 1, local, first, 0);
	workload_free(workload, 0, elsewhere); /* wrong on 32 bits: mapped on the other CPU */
	workload_free(workload, 0, object);
	workload_free(workload, 0, first);
	workload_free(workload, 0, second);
}

static struct trace *load(void)
{
	static const struct workload_ops ops = {.name = "test", .generate = generate};
	struct error error = {0};
	const struct workload_wiring wiring = {.ops = &ops, .line = "test", .cpus = 2, .memory_bytes = 1u << 30, .seed = 1};
	int file = workload_write(&wiring, &error);
	assert_true(file >= 0);
	struct trace *trace = kmt_open(file, "test", &error);
	if (!trace)
		fail_msg("%s", error.text);
	return trace;
}

struct run {
	struct settings settings;
	struct layout layout;
	struct steps steps;
	struct trace *trace;
	struct page_mapper *mapper;
	struct page_allocator *pages;
	struct object_allocator *objects;
};

static void begin(struct run *run, const char *allocator, bool is_32bit)
{
	struct error error = {0};
	settings_init(&run->settings);
	run->settings.machine.cpus = 2;
	run->settings.machine.memory_bytes = 1u << 30;
	run->settings.machine.architecture = is_32bit ? ARCHITECTURE_X86_32 : ARCHITECTURE_X86_64;
	layout_init(&run->layout, 64);
	if (is_32bit) {
		const struct layout_32bit places = settings_layout_32bit(&run->settings);
		layout_set_32bit(&run->layout, &places);
	}
	steps_init(&run->steps, false);
	run->trace = load();
	run->mapper = page_mapper_kmap_create(&(struct page_mapper_wiring){&run->settings, &run->layout, &run->steps});
	const struct page_allocator_wiring below = {&run->settings, &run->layout, &run->steps, run->mapper, 1};
	run->pages = page_allocator_model("buddy", &error)->create(&below, &error);
	assert_non_null(run->pages);
	const struct object_allocator_wiring above = {&run->settings, run->pages, &run->layout, &run->steps, 1};
	run->objects = object_allocator_model(allocator, &error)->create(&above, &error);
	assert_non_null(run->objects);
}

static void release(struct run *run)
{
	object_allocator_destroy(run->objects);
	page_allocator_destroy(run->pages);
	page_mapper_destroy(run->mapper);
	trace_close(run->trace);
	steps_release(&run->steps);
	layout_release(&run->layout);
	settings_release(&run->settings);
}

static void replay_it(const char *allocator, bool is_32bit)
{
	struct error error = {0};
	struct run run;
	begin(&run, allocator, is_32bit);
	const struct replay_config config = {.frequency_mhz = 1000, .cpus = 2, .paranoid_every = 1};
	const struct replay_parts parts = {
	        .trace = run.trace, .pages = run.pages, .objects = run.objects, .mapper = run.mapper, .steps = &run.steps};
	struct replay *replay = replay_create(&config, &parts, &error);
	assert_non_null(replay);
	assert_int_equal(replay_run(replay, NULL, &go_on, &error), REPLAY_COMPLETE);
	const struct replay_counters *counters = replay_counters(replay);
	assert_int_equal(counters->page_maps, 4);
	assert_int_equal(counters->page_unmaps, is_32bit ? 3 : 4);
	assert_int_equal(counters->live_page_maps, is_32bit ? 1 : 0);
	assert_int_equal(counters->page_clears, 1);
	assert_int_equal(counters->pages_cleared, 2);
	assert_int_equal(counters->page_copies, 1);
	assert_int_equal(counters->pages_copied, 2);
	assert_int_equal(counters->wrong_ops, is_32bit ? 4 : 3);
	assert_int_equal(run.mapper->ops->users(run.mapper), is_32bit ? 1 : 0);
	replay_check(replay);
	replay_destroy(replay);
	release(&run);
}

/* Would catch: a wrong op that is made, or not told; an allocator whose runs differ; a slot on 64 bits; a mapping of the page
 * beside it; blocks of which one page is cleared. */
static void right_and_wrong_ops_under_every_allocator(void **state)
{
	(void)state;
	static const char *const allocators[] = {"slub", "slab", "slob", "ideal"};
	for (size_t i = 0; i < 4; i++) {
		replay_it(allocators[i], true);
		replay_it(allocators[i], false);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(right_and_wrong_ops_under_every_allocator)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
