/* SPDX-License-Identifier: MIT
 *
 * test_memory_hierarchy.c - memory behind the machine's caches: what an access costs by the level that has its line, and the
 * traffic of a zeroed page.
 */
#include "models/cache_settings.h"
#include "models/registry.h"
#include "models/settings.h"
#include "sim/core.h"
#include "tests/unit/test.h"

#include <stdlib.h>

struct rig {
	struct settings settings;
	struct cache_hierarchy *caches;
	struct memory *memory;
};

/* Latencies that are told apart in any sum. */
enum { L1 = 1, L2 = 100, LLC = 10000, DRAM = 1000000, ATOMIC = 100000000 };

static void set_caches(struct settings *settings)
{
	static const char *const lines[] = {"l1d size=128B ways=2", "l2 size=256B ways=4", "llc size=512B ways=8"};
	for (uint32_t i = 0; i < settings->machine.caches_count; i++)
		free(settings->machine.caches[i]);
	settings->machine.caches_count = 3;
	settings->machine.caches = xrealloc(settings->machine.caches, 3 * sizeof(char *));
	for (unsigned i = 0; i < 3; i++)
		settings->machine.caches[i] = xstrdup(lines[i]);
}

static void rig_init(struct rig *rig)
{
	struct error error = {0};
	settings_init(&rig->settings);
	set_caches(&rig->settings);
	rig->settings.machine.cpus = 1;
	rig->settings.machine.cache_line_bytes = 64;
	rig->settings.machine.l1_cycles = L1;
	rig->settings.machine.l2_cycles = L2;
	rig->settings.machine.llc_cycles = LLC;
	rig->settings.machine.dram_cycles = DRAM;
	rig->settings.machine.atomic_cycles = ATOMIC;
	rig->caches = caches_of_settings(&rig->settings, true, NULL, &error);
	if (!rig->caches)
		fail_msg("%s", error.text);
	rig->memory = memory_model("hierarchy", &error)
	                      ->create(&(struct memory_wiring){.settings = &rig->settings, .caches = rig->caches}, &error);
	assert_non_null(rig->memory);
}

static void rig_release(struct rig *rig)
{
	rig->memory->ops->check(rig->memory);
	memory_destroy(rig->memory);
	cache_hierarchy_destroy(rig->caches);
	settings_release(&rig->settings);
}

/* A modify has the lock prefix. */
static cycle cost(struct rig *rig, uint64_t address, uint32_t bytes, enum access_kind kind)
{
	const struct memory_request request = {
	        .address = address, .bytes = bytes, .kind = (uint8_t)kind, .is_locked = kind == ACCESS_MODIFY, .now = 7};
	struct cost parts;
	return memory_access(rig->memory, &request, &parts) - 7;
}

/*
 * One set each of 2, 4 and 8 lines, LRU: after n other lines a line is in L1 for n < 2, in L2 for n < 4, in the LLC for n < 8.
 * Would catch: a level taken for its neighbour, the second line of an access paid for once.
 */
static void each_level_costs_its_latency(void **state)
{
	(void)state;
	static const struct {
		unsigned others;
		cycle cycles;
	} cases[] = {{0, L1}, {1, L1}, {2, L2}, {3, L2}, {4, LLC}, {7, LLC}, {8, DRAM}};
	for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct rig rig;
		rig_init(&rig);
		assert_int_equal(cost(&rig, 0, 8, ACCESS_LOAD), DRAM);
		for (unsigned other = 1; other <= cases[i].others; other++)
			assert_int_equal(cost(&rig, 64 * other, 8, ACCESS_LOAD), DRAM);
		assert_int_equal(cost(&rig, 0, 8, ACCESS_LOAD), cases[i].cycles);
		assert_int_equal(cost(&rig, 0, 8, ACCESS_MODIFY), L1 + ATOMIC);
		assert_int_equal(cost(&rig, 65592, 16, ACCESS_STORE), 2 * DRAM);
		assert_int_equal(cost(&rig, 65592, 16, ACCESS_LOAD), 2 * L1);
		rig_release(&rig);
	}
}

/* Published: get_zeroed_page() is an allocation and the traffic of clearing it. Would catch: pages zeroed for nothing. */
static void a_zeroed_page_is_written_through_the_caches(void **state)
{
	(void)state;
	uint64_t stores[2];
	for (unsigned zeroed = 0; zeroed < 2; zeroed++) {
		struct rig rig;
		rig_init(&rig);
		rig.settings.machine.memory_bytes = 64ull << 20;
		rig.settings.kernel.init_on_alloc = false;
		struct error error = {0};
		struct layout layout;
		struct steps steps;
		struct machine machine;
		layout_init(&layout, 64);
		steps_init(&steps, true);
		machine_init(&machine, &(struct machine_wiring){.cpus = 1,
		                                                .line_bytes = 64,
		                                                .core = {.instructions_per_cycle = 1, .misses_in_flight = 1},
		                                                .memory = rig.memory});
		const struct page_allocator_wiring wiring = {&rig.settings, &layout, &steps, NULL, 1};
		struct page_allocator *pages = page_allocator_model("buddy", &error)->create(&wiring, &error);
		assert_non_null(pages);
		steps_clear(&steps);
		assert_true(page_alloc(pages, 0, GFP_KERNEL | (zeroed ? __GFP_ZERO : 0), 0).nr != UINT32_MAX);
		core_push(&machine, 0, &(struct job_about){.kind = JOB_PAGE_ALLOC}, &steps);
		machine_drain(&machine);
		stores[zeroed] = rig.caches->caches[0]->counters.accesses[ACCESS_STORE];
		page_allocator_destroy(pages);
		machine_release(&machine);
		steps_release(&steps);
		layout_release(&layout);
		rig_release(&rig);
	}
	assert_int_equal(stores[1] - stores[0], PAGE_SIZE / 64);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(each_level_costs_its_latency),
	        cmocka_unit_test(a_zeroed_page_is_written_through_the_caches),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
