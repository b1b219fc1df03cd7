/* SPDX-License-Identifier: MIT
 *
 * test_steps_buddy.c - what the page allocator's paths touch, step by step: fields, order, locks. The lists were written from
 * Linux 6.1 mm/page_alloc.c (functions named at each) and seen to be what Debian's kernel 6.1.0-56 does when it runs
 * (docs/steps.md). A step that is missing, wrong or out of order fails.
 *
 * The example is one zone of 1024 frames on one CPU; page0 is its first frame. Every change of the free count goes to the zone at
 * once (stat_threshold 0).
 */
#include "tests/unit/buddy.h"
#include "tests/unit/steps_text.h"

#define START 0x400u
#define FRAMES 0x400u

struct fixture {
	struct bench bench;
	struct steps_text text;
};

static void fixture_start(struct fixture *f, uint32_t pcp_high)
{
	struct bench *bench = &f->bench;
	memset(&f->text, 0, sizeof f->text);
	bench_describe(bench, START, FRAMES);
	bench->spec.zones[0].pcp_high = pcp_high;
	bench_empty(bench);
}

static void fixture_name(struct fixture *f)
{
	static const char *const pages[] = {"page0", "page1"};
	static const char *const areas[] = {"free_area[0]", "free_area[1]", "free_area[2]",
	                                    "free_area[3]", "free_area[4]", "free_area[5]"};
	const struct buddy *buddy = f->bench.buddy;
	const struct zone *zone = &buddy->zones[0];
	const struct layout *layout = &f->bench.layout;
	bench_start(&f->bench);
	for (unsigned order = 0; order < 6; order++)
		text_add(&f->text, areas[order], zone->address.addr + 256 + order * 88u, 88, free_area_fields);
	text_add(&f->text, "zone", zone->address.addr, 1536, zone_fields);
	text_add(&f->text, "pcp", layout_per_cpu(layout, zone->pcp_offset, 0).addr, 256, pcp_fields);
	text_add(&f->text, "zonestat", layout_per_cpu(layout, zone->stat_offset, 0).addr, 64, zonestat_fields);
	text_add(&f->text, "vm_event", layout_per_cpu(layout, buddy->event_offset, 0).addr, 160, vm_event_fields);
	text_add(&f->text, "pageblocks", buddy->pageblock_bits.addr, 64, NULL);
	for (unsigned i = 0; i < 2; i++)
		text_add(&f->text, pages[i], layout_struct_page(layout, pfn_of(START + i)).addr, 64, page_fields);
	text_add(&f->text, "page2", layout_struct_page(layout, pfn_of(START + 2)).addr, 64, page_fields);
	text_add(&f->text, "page4", layout_struct_page(layout, pfn_of(START + 4)).addr, 64, page_fields);
}

static uint32_t alloc(struct fixture *f, unsigned order)
{
	steps_clear(&f->bench.steps);
	return page_alloc(f->bench.pages, order, GFP_KERNEL, 0).nr;
}

static void give(struct fixture *f, uint32_t nr, unsigned order)
{
	steps_clear(&f->bench.steps);
	assert_int_equal(page_free(f->bench.pages, pfn_of(nr), order, 0), PAGE_FREE_OK);
}

/* clang-format off */
/* zone_watermark_fast(), rmqueue_pcplist() up to the lock. */
#define ALLOC_ENTRY \
	"read zone.vm_stat 8\nread zone.watermark_boost 8\nread zone.watermark[low] 8\n" \
	"read zone.nr_reserved_highatomic 8\nread zone.lowmem_reserve[2] 8\n" \
	"read zone.per_cpu_pageset 8\nlock pcp.lock 4\nupdate pcp.free_factor 2\nread pcp.lists[0] 8\n"
/* list_del() of page0, alone on the CPU's list; zone_statistics(), prep_new_page(). */
#define ALLOC_END \
	"read page0.lru 16\nread pcp.lists[0] 8\nread pcp.lists[0].prev 8\n" \
	"write pcp.lists[0].prev 8\nwrite pcp.lists[0] 8\nwrite page0.lru 16\n" \
	"update pcp.count 4\nunlock pcp.lock 4\n" \
	"read page0.flags 8\nupdate vm_event.PGALLOC_NORMAL 8\n" \
	"read zone.node 4\nread zone.per_cpu_zonestats 8\nupdate zonestat.NUMA_HIT 8\nupdate zonestat.NUMA_LOCAL 8\n" \
	"read zone.flags 8\n" \
	"write page0.private 8\nwrite page0._refcount 4\nwrite page0.lru 8\n"
#define FREE_COUNT \
	"read zone.per_cpu_zonestats 8\nread zonestat.stat_threshold 1\natomic zone.vm_stat 8\nupdate zonestat.vm_stat_diff 1\n"
/* free_pages_prepare(), free_unref_page(), free_unref_page_commit(). */
#define FREE_TO_CPU \
	"read page0.flags 8\natomic page0._refcount 4\nread page0.lru 8\nread page0.flags 8\n" \
	"read page0.mapping 1\nwrite page0.private 8\nwrite page0.flags 8\n" \
	"read pageblocks+0 8\nwrite page0.index 8\n" \
	"read zone.per_cpu_pageset 8\nlock pcp.lock 4\n" \
	"update vm_event.PGFREE 8\nread pcp.lists[0] 8\n" \
	"read pcp.lists[0].prev 8\nread pcp.lists[0] 8\n" \
	"write pcp.lists[0].prev 8\nwrite page0.lru 16\nwrite pcp.lists[0] 8\n" \
	"read pcp.free_factor 2\nupdate pcp.count 4\nread pcp.high 4\nread zone.flags 8\n"

/* Into the CPU's list and out of it. Catches a zone lock on the fast paths. */
static void the_cpus_list(void **state)
{
	(void)state;
	struct fixture f;
	fixture_start(&f, 1000);
	bench_place(&f.bench, START, 0, MIGRATE_UNMOVABLE);
	bench_place(&f.bench, START + 256, 5, MIGRATE_MOVABLE); /* keeps the zone above its watermark */
	fixture_name(&f);
	assert_int_equal(alloc(&f, 0), START);
	f.bench.steps.recording = true;
	give(&f, START, 0);
	expect_steps(&f.text, &f.bench.steps, FREE_TO_CPU "unlock pcp.lock 4\n");
	assert_int_equal(alloc(&f, 0), START);
	expect_steps(&f.text, &f.bench.steps, ALLOC_ENTRY ALLOC_END);
	bench_end(&f.bench);
}

/*
 * rmqueue_bulk(), __rmqueue_smallest(), expand(): under the zone's lock the lists are looked at from the wanted order up, the
 * block leaves its list, its upper half joins the list below, and the lower one is checked and joins the CPU's.
 */
static void an_empty_list_is_filled_by_splitting(void **state)
{
	(void)state;
	struct fixture f;
	fixture_start(&f, 1000);
	bench_place(&f.bench, START, 1, MIGRATE_UNMOVABLE);
	fixture_name(&f);
	f.bench.steps.recording = true;
	assert_int_equal(alloc(&f, 0), START);
	expect_steps(&f.text, &f.bench.steps, ALLOC_ENTRY
	             "read pcp.batch 4\nlock zone.lock 4\n"
	             "read free_area[0].unmovable 8\nread free_area[1].unmovable 8\n"
	             "read page0.lru 16\nread free_area[1].unmovable 8\nread free_area[1].unmovable.prev 8\n"
	             "write free_area[1].unmovable.prev 8\nwrite free_area[1].unmovable 8\nwrite page0.lru 16\n"
	             "update page0._mapcount 4\nwrite page0.private 8\nupdate free_area[1].nr_free 8\n"
	             "read free_area[0].unmovable 8\n"
	             "read free_area[0].unmovable.prev 8\nread free_area[0].unmovable 8\n"
	             "write free_area[0].unmovable.prev 8\nwrite page1.lru 16\nwrite free_area[0].unmovable 8\n"
	             "update free_area[0].nr_free 8\nwrite page1.private 8\nupdate page1._mapcount 4\n"
	             "write page0.index 8\nread page0.flags 64\n"
	             "read pcp.lists[0].prev 8\n"
	             "read pcp.lists[0].prev 8\nread pcp.lists[0] 8\n"
	             "write pcp.lists[0].prev 8\nwrite page0.lru 16\nwrite pcp.lists[0] 8\n"
	             FREE_COUNT "unlock zone.lock 4\n"
	             "update pcp.count 4\nread pcp.lists[0] 8\n" ALLOC_END);
	bench_end(&f.bench);
}

/*
 * free_pcppages_bulk(), __free_one_page(): a CPU with more than it may have gives the last of its list back under the zone's
 * lock, inside its own; the free buddy leaves its list, the pair joins the next, at its
 * head or tail by a look at the buddy that the pair has (buddy_merge_likely). Catches a merge that does not touch the buddy.
 */
static void a_full_list_gives_back_and_merges(void **state)
{
	(void)state;
	struct fixture f;
	fixture_start(&f, 0);
	bench_place(&f.bench, START, 1, MIGRATE_UNMOVABLE);
	fixture_name(&f);
	assert_int_equal(alloc(&f, 0), START);
	f.bench.steps.recording = true;
	give(&f, START, 0);
	expect_steps(&f.text, &f.bench.steps, FREE_TO_CPU
	             "read pcp.count 4\nlock zone.lock 4\nread pcp.lists[0] 8\n"
	             "read pcp.lists[0].prev 8\nread page0.index 8\n"
	             "read page0.lru 16\nread pcp.lists[0] 8\nread pcp.lists[0].prev 8\n"
	             "write pcp.lists[0].prev 8\nwrite pcp.lists[0] 8\nwrite page0.lru 16\n"
	             "update pcp.count 4\nread page0.flags 64\n"
	             FREE_COUNT
	             "read page1._mapcount 4\nread page1.private 8\nread page1.flags 8\n"
	             "read page1.lru 16\nread free_area[0].unmovable 8\nread free_area[0].unmovable.prev 8\n"
	             "write free_area[0].unmovable.prev 8\nwrite free_area[0].unmovable 8\nwrite page1.lru 16\n"
	             "update page1._mapcount 4\nwrite page1.private 8\nupdate free_area[0].nr_free 8\n"
	             "read page2._mapcount 4\n"
	             "write page0.private 8\nupdate page0._mapcount 4\n"
	             "read page4._mapcount 4\n"
	             "read free_area[1].unmovable 8\n"
	             "read free_area[1].unmovable.prev 8\nread free_area[1].unmovable 8\n"
	             "write free_area[1].unmovable.prev 8\nwrite page0.lru 16\nwrite free_area[1].unmovable 8\n"
	             "update free_area[1].nr_free 8\n"
	             "unlock zone.lock 4\nunlock pcp.lock 4\n");
	bench_end(&f.bench);
}
/* clang-format on */

/* post_alloc_hook(): every page is zeroed with init_on_alloc. Catches a setting that only objects follow. */
static void init_on_alloc_zeroes_pages(void **state)
{
	(void)state;
	for (unsigned init = 0; init < 2; init++) {
		struct fixture f;
		bench_describe(&f.bench, START, FRAMES);
		f.bench.settings.kernel.init_on_alloc = init;
		bench_empty(&f.bench);
		bench_place(&f.bench, START, 0, MIGRATE_UNMOVABLE);
		bench_start(&f.bench);
		f.bench.steps.recording = true;
		assert_int_equal(alloc(&f, 0), START);
		unsigned zeroed = 0;
		for (uint32_t i = 0; i < f.bench.steps.count; i++)
			zeroed += f.bench.steps.at[i].kind == STEP_WRITE && f.bench.steps.at[i].bytes == PAGE_SIZE;
		assert_int_equal(zeroed, init);
		bench_end(&f.bench);
	}
}

/*
 * __zone_watermark_ok(): a request for two frames where only single ones are free looks at nr_free of each order from 1 to 10, and
 * at no more. Catches a look behind the last free_area.
 */
static void a_zone_without_blocks_is_looked_through_once(void **state)
{
	(void)state;
	struct fixture f;
	unsigned reads[12] = {0};
	fixture_start(&f, 1000);
	for (uint32_t i = 0; i < 40; i += 2)
		bench_place(&f.bench, START + i, 0, MIGRATE_UNMOVABLE);
	fixture_name(&f);
	f.bench.steps.recording = true;
	steps_clear(&f.bench.steps);
	assert_int_equal(page_alloc(f.bench.pages, 1, GFP_NOWAIT, 0).nr, BLOCK_NONE);
	uint64_t areas = f.bench.buddy->zones[0].address.addr + 256;
	for (uint32_t i = 0; i < f.bench.steps.count; i++) {
		const struct step *step = &f.bench.steps.at[i];
		if (step->kind == STEP_READ && step->address >= areas && step->address < areas + 12 * 88 &&
		    (step->address - areas) % 88 == 80)
			reads[(step->address - areas) / 88]++;
	}
	assert_int_equal(reads[0], 0);
	assert_true(reads[1] > 0);
	for (unsigned order = 2; order < 11; order++)
		assert_int_equal(reads[order], reads[1]);
	assert_int_equal(reads[11], 0);
	bench_end(&f.bench);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(the_cpus_list),
	        cmocka_unit_test(an_empty_list_is_filled_by_splitting),
	        cmocka_unit_test(a_full_list_gives_back_and_merges),
	        cmocka_unit_test(init_on_alloc_zeroes_pages),
	        cmocka_unit_test(a_zone_without_blocks_is_looked_through_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
