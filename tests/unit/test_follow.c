/* SPDX-License-Identifier: MIT
 *
 * test_follow.c - a page allocator beside the events of a recording (sim/follow_pages.h), and the moment of a state in one
 * (sim/state_moment.h). Each recording is a few lines; what the kernel did follows from mm/page_alloc.c and the dump's lists:
 * the CPU's list of unmovable frames holds 31 30, the zone's 20, refills take one frame.
 */
#include "tests/unit/state_world.h"
#include "tests/unit/trace_case.h"

#include "sim/follow_kfree_rcu.h"
#include "sim/follow_pages.h"
#include "sim/state_moment.h"

#define LINE(context, time, event) "   a-1     [000] " context "  0.0000" #time ": " event "\n"
#define TASK "....."
#define SOFTIRQ "..s.."
#define ALLOC(pfn) "mm_page_alloc: page=1 pfn=0x" #pfn " order=0 migratetype=0 gfp_flags=GFP_KERNEL"
#define ZONE(pfn) "mm_page_alloc_zone_locked: page=1 pfn=0x" #pfn " order=0 migratetype=0 percpu_refill=1"
#define FREE(pfn) "mm_page_free: page=1 pfn=0x" #pfn " order=0"
#define BATCHED(pfn) "mm_page_free_batched: page=1 pfn=0x" #pfn " order=0"

struct beside {
	struct world world;
	struct trace_case recording;
	struct follow_pages follow;
};

/* A world, a recording, and the one beside the other; no event is made yet. */
static void begin_beside(struct beside *beside, const char *text)
{
	struct error error = {0};
	const struct trace_window window = {0};
	begin(&beside->world, dump_text);
	case_begin(&beside->recording);
	assert_true(case_import(&beside->recording, text));
	assert_true(follow_pages_possible(beside->recording.trace, beside->world.pages));
	assert_true(follow_pages_init(&beside->follow, beside->recording.trace, beside->world.pages, beside->world.objects,
	                              &window, 1, &error));
	follow_pages_begin(&beside->follow);
}

static void end_beside(struct beside *beside)
{
	follow_pages_check(&beside->follow);
	follow_pages_release(&beside->follow);
	case_end(&beside->recording);
	end(&beside->world);
}

/* Makes all calls of a recording; the counters. */
static struct follow_pages_counters counters_of(const char *text)
{
	struct beside beside;
	begin_beside(&beside, text);
	uint64_t before = beside.world.pages->allocated_pages;
	follow_pages_to(&beside.follow, UINT64_MAX);
	struct follow_pages_counters counters = beside.follow.counters;
	assert_int_equal(beside.world.pages->allocated_pages, before + (uint64_t)beside.follow.balance);
	end_beside(&beside);
	return counters;
}

/* Catches: a refill that is taken for a call of its own. */
static void test_refill_belongs_to_its_allocation(void **unused)
{
	(void)unused;
	struct follow_pages_counters got = counters_of(LINE(TASK, 01, ALLOC(31)) LINE(TASK, 02, ALLOC(30))
	                                                       LINE(TASK, 03, ZONE(20)) LINE(TASK, 04, ALLOC(20)));
	assert_int_equal(got.allocs, 3);
	assert_int_equal(got.allocs_equal, 3);
	assert_int_equal(got.bulk_frames, 0);
}

/* Catches: an interrupt's free put on the list although what happens next to its frame shows that it was locked. */
static void test_free_past_a_locked_list(void **unused)
{
	(void)unused;
	struct follow_pages_counters got = counters_of(LINE(TASK, 01, ALLOC(31)) LINE(SOFTIRQ, 02, FREE(31)) LINE(
	        TASK, 03, ALLOC(30)) LINE(TASK, 04, ZONE(31)) LINE(TASK, 05, ALLOC(31)));
	assert_int_equal(got.allocs_equal, 3);
	assert_int_equal(got.locked_frees, 1);
}

/* Catches: an interrupt's single frame from the zone taken for a refill: the list would have to be empty then. */
static void test_allocation_past_a_locked_list(void **unused)
{
	(void)unused;
	struct follow_pages_counters got =
	        counters_of(LINE(SOFTIRQ, 01, ZONE(20)) LINE(SOFTIRQ, 02, ALLOC(20)) LINE(TASK, 03, ALLOC(31)));
	assert_int_equal(got.allocs_equal, 2);
	assert_int_equal(got.locked_allocs, 1);
	assert_int_equal(got.bulk_frames, 0);
}

/* Catches: a page of a list freed at its mm_page_free, where it is only looked at. */
static void test_batched_free_takes_effect_late(void **unused)
{
	(void)unused;
	struct follow_pages_counters got = counters_of(LINE(TASK, 01, ALLOC(31)) LINE(TASK, 02, FREE(31)) LINE(
	        SOFTIRQ, 03, ALLOC(30)) LINE(TASK, 04, BATCHED(31)) LINE(TASK, 05, ALLOC(31)));
	assert_int_equal(got.allocs_equal, 3);
	assert_int_equal(got.frees, 1);
}

/* Catches: frames that vmalloc took left on the list; an allocation behind them counted as the model's own. */
static void test_bulk_allocation_is_told_by_its_frees(void **unused)
{
	(void)unused;
	struct follow_pages_counters got =
	        counters_of(LINE(TASK, 01, ALLOC(30)) LINE(TASK, 02, FREE(31)) LINE(TASK, 03, ALLOC(31)));
	assert_int_equal(got.allocs_bulk, 1);
	assert_int_equal(got.allocs_equal, 1);
	assert_int_equal(got.bulk_frames, 1);
}

/* Catches: a refill without an allocation passed over, so that the list still holds what was taken from it. */
static void test_bulk_allocation_is_told_by_its_refill(void **unused)
{
	(void)unused;
	struct follow_pages_counters got = counters_of(LINE(TASK, 01, ZONE(20)) LINE(TASK, 02, FREE(30)) LINE(TASK, 03, ALLOC(30))
	                                                       LINE(TASK, 04, FREE(20)) LINE(TASK, 05, ALLOC(20)));
	assert_int_equal(got.bulk_frames, 3);
	assert_int_equal(got.allocs_equal, 2);
	assert_int_equal(got.frees_claimed, 0);
}

/* Catches: the model's frame handed on in place of the recorded one, and a correction that counts as equal. */
static void test_interrupt_changes_the_order(void **unused)
{
	(void)unused;
	struct follow_pages_counters got = counters_of(LINE(SOFTIRQ, 01, ALLOC(30)) LINE(TASK, 02, ALLOC(31)));
	assert_int_equal(got.allocs_exchanged, 1);
	assert_int_equal(got.allocs_equal, 1);
}

/* Catches: a block that cannot be had because the model thinks it in use, or has it inside of a larger one. */
static void test_block_is_taken_from_where_it_is(void **unused)
{
	(void)unused;
	struct follow_pages_counters got = counters_of(LINE(TASK, 01, ALLOC(456)) LINE(TASK, 02, ALLOC(12)) LINE(
	        TASK, 03, FREE(12)) LINE(TASK, 04, FREE(456)) LINE(TASK, 05, ALLOC(12)));
	assert_int_equal(got.allocs_claimed, 2);
	assert_int_equal(got.allocs_equal, 1);
	assert_int_equal(got.allocs_lost, 0);
}

/* Catches: slabs on other pages than the recording's, or on pages that it has for somebody else. */
static void test_slabs_get_the_recorded_pages(void **unused)
{
	(void)unused;
	struct beside beside;
	begin_beside(&beside, LINE(TASK, 01, ALLOC(31)));
	cache_id cache = things(&beside.world);
	for (unsigned i = 0; i < 3; i++)
		cache_alloc(beside.world.objects, cache, GFP_KERNEL, 0);
	follow_pages_supply(&beside.follow, 0x31, 0);
	assert_int_equal(cache_alloc(beside.world.objects, cache, GFP_KERNEL, 0).at.addr, 0);
	assert_int_equal(beside.follow.counters.slabs_refused, 2); /* of the cache's order, then of the smallest */
	follow_pages_unsupply(&beside.follow);
	follow_pages_to(&beside.follow, UINT64_MAX);
	assert_int_equal(follow_pages_granted(&beside.follow, 0x31), 0);
	follow_pages_supply(&beside.follow, 0x31, 0);
	assert_int_equal(cache_alloc(beside.world.objects, cache, GFP_KERNEL, 0).at.addr, address(&beside.world, 0x31, 0));
	assert_int_equal(follow_pages_granted(&beside.follow, 0x31), -1);
	assert_false(beside.follow.put_right);
	end_beside(&beside);
}

/* Catches: a slab that stays although its pages are somebody else's, with objects in it that count as live. */
static void test_slab_goes_with_its_pages(void **unused)
{
	(void)unused;
	struct beside beside;
	begin_beside(&beside, LINE(TASK, 01, FREE(11)) LINE(TASK, 02, FREE(10)) LINE(TASK, 03, ALLOC(10)));
	struct object_allocator *objects = beside.world.objects;
	uint64_t live = objects->live_objects;
	assert_true(objects->ops->follow->holds(objects, pfn_of(0x11)));
	follow_pages_to(&beside.follow, UINT64_MAX);
	assert_false(objects->ops->follow->holds(objects, pfn_of(0x11)) || objects->ops->follow->holds(objects, pfn_of(0x10)));
	assert_int_equal(beside.follow.counters.slabs_evicted, 2);
	assert_int_equal(beside.follow.counters.allocs_equal, 1);
	assert_int_equal(objects->live_objects, live - 4 - 1);
	end_beside(&beside);
}

/* Catches: an object taken out of a chain that breaks it, or one that is live handed out a second time. */
static void test_object_is_taken_out_of_its_chain(void **unused)
{
	(void)unused;
	struct world world;
	struct object object;
	begin(&world, dump_text);
	/* The chain is 0 3 1. */
	assert_true(object_claim(world.objects, vaddr_of(address(&world, 0x10, 3072)), &object));
	assert_int_equal(object.at.addr, address(&world, 0x10, 3072));
	assert_false(object_claim(world.objects, vaddr_of(address(&world, 0x10, 3072)), &object));
	assert_false(object_claim(world.objects, vaddr_of(address(&world, 0x10, 8)), &object));
	assert_false(object_claim(world.objects, vaddr_of(address(&world, 0x50, 0)), &object));
	assert_int_equal(cache_alloc(world.objects, things(&world), GFP_KERNEL, 0).at.addr, address(&world, 0x10, 0));
	assert_int_equal(cache_alloc(world.objects, things(&world), GFP_KERNEL, 0).at.addr, address(&world, 0x10, 1024));
	end(&world);
}

/* Tells `count` objects of a call site that are freed seen or unseen. */
static void tell_site(struct follow_kfree_rcu *rcu, uint32_t site, unsigned count, bool seen)
{
	for (unsigned i = 0; i < count; i++) {
		follow_kfree_rcu_told_alloc(rcu, i, site);
		follow_kfree_rcu_told_free(rcu, i, seen);
	}
}

/* Catches: objects of a site that frees by kfree() taken for those of kfree_rcu(), and one chance reallocation for a rule. */
static void test_sites_that_free_by_rcu(void **unused)
{
	(void)unused;
	struct follow_kfree_rcu rcu;
	follow_kfree_rcu_init(&rcu, 4, 64);
	tell_site(&rcu, 0, 40, false);
	tell_site(&rcu, 1, 40, true);
	tell_site(&rcu, 1, 20, false);
	tell_site(&rcu, 2, 3, false);
	follow_kfree_rcu_begin(&rcu);
	for (uint32_t site = 0; site < 4; site++)
		follow_kfree_rcu_wait(&rcu, site, &(struct follow_kfree_rcu_object){site, vaddr_of(0x1000 * (site + 1))});
	assert_int_equal(rcu.count, 1);
	assert_int_equal(rcu.waiting[0].id, 0);
	assert_true(follow_kfree_rcu_waits(&rcu, vaddr_of(0x1000), vaddr_of(0x2000)));
	assert_false(follow_kfree_rcu_waits(&rcu, vaddr_of(0x2000), vaddr_of(0x9000)));
	assert_false(follow_kfree_rcu_waits(&rcu, vaddr_of(0), vaddr_of(0x1000)));
	follow_kfree_rcu_release(&rcu);
}

/* Frees before the dump, allocations behind it; its clock says 5 us. */
#define AROUND_THE_DUMP(a, b, c, d) \
	LINE(TASK, a, FREE(30)) LINE(TASK, b, FREE(31)) LINE(TASK, c, ALLOC(31)) LINE(TASK, d, ALLOC(30))

static struct state_moment moment_of(const char *text)
{
	struct world world;
	struct trace_case recording;
	struct state_moment moment;
	struct error error = {0};
	begin(&world, dump_text);
	case_begin(&recording);
	assert_true(case_import(&recording, text));
	assert_true(state_moment_find(&moment, &world.state.dump, recording.trace, &error));
	case_end(&recording);
	end(&world);
	return moment;
}

/* Catches: a run that starts where another CPU's clock says, with frames that were freed before or are handed out behind. */
static void test_moment_is_told_by_the_pages(void **unused)
{
	(void)unused;
	struct state_moment early = moment_of(AROUND_THE_DUMP(01, 02, 03, 04));
	assert_false(early.by_clock);
	assert_int_equal(early.line, 3);
	assert_int_equal(early.time_ns, 3000);
	assert_int_equal(early.fewer, 2);
	struct state_moment late = moment_of(AROUND_THE_DUMP(06, 07, 08, 09));
	assert_int_equal(late.line, 3);
	assert_true(moment_of(AROUND_THE_DUMP(01, 02, 08, 09)).by_clock);
	assert_true(moment_of(LINE(TASK, 01, "kfree: call_site=f ptr=ffff888001000000")).by_clock);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_refill_belongs_to_its_allocation),
	        cmocka_unit_test(test_free_past_a_locked_list),
	        cmocka_unit_test(test_allocation_past_a_locked_list),
	        cmocka_unit_test(test_batched_free_takes_effect_late),
	        cmocka_unit_test(test_bulk_allocation_is_told_by_its_frees),
	        cmocka_unit_test(test_bulk_allocation_is_told_by_its_refill),
	        cmocka_unit_test(test_interrupt_changes_the_order),
	        cmocka_unit_test(test_block_is_taken_from_where_it_is),
	        cmocka_unit_test(test_slabs_get_the_recorded_pages),
	        cmocka_unit_test(test_slab_goes_with_its_pages),
	        cmocka_unit_test(test_object_is_taken_out_of_its_chain),
	        cmocka_unit_test(test_sites_that_free_by_rcu),
	        cmocka_unit_test(test_moment_is_told_by_the_pages),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
