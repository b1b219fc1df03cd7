/* SPDX-License-Identifier: MIT
 *
 * test_page_maps.c - pages that a recording maps, clears and copies, on the kmap model of a 32-bit machine: addresses and steps
 * against mm/highmem.c worked out by hand, and the published sizes of its map.
 */
#include "models/settings.h"
#include "models/virtual_allocator/kmap.h"
#include "sim/page_maps.h"
#include "sim/port/page_allocator.h"
#include "tests/unit/made_up.h"

#include <string.h>

#define GIB (1ull << 30)
#define HIGH (896u << 8) /* first frame of high memory */
#define FIXMAP 0xfffbb000u

struct bench {
	struct settings settings;
	struct layout layout;
	struct steps steps;
	struct page_mapper *mapper;
	struct page_maps maps;
};

static void begin(struct bench *bench, const char *paging, unsigned cpus)
{
	settings_init(&bench->settings);
	bench->settings.machine.architecture = ARCHITECTURE_X86_32;
	bench->settings.machine.cpus = cpus;
	bench->settings.machine.memory_bytes = 2 * GIB;
	free(bench->settings.machine.paging);
	bench->settings.machine.paging = xstrdup(paging);
	layout_init(&bench->layout, 40);
	layout_set_32bit(
	        &bench->layout,
	        &(struct layout_32bit){.lowmem_bytes = 896ull << 20, .memory_bytes = 2 * GIB, .cpus = cpus, .kernel_cpus = 32});
	steps_init(&bench->steps, true);
	bench->mapper = page_mapper_kmap_create(
	        &(struct page_mapper_wiring){.settings = &bench->settings, .layout = &bench->layout, .steps = &bench->steps});
	page_maps_init(&bench->maps, bench->mapper, &bench->steps, 4096);
}

/* Every slot is back, and nothing waits. */
static void end(struct bench *bench)
{
	page_maps_check(&bench->maps);
	assert_int_equal(bench->mapper->ops->users(bench->mapper), 0);
	assert_int_equal(bench->maps.waiting_count, 0);
	page_maps_release(&bench->maps);
	page_mapper_destroy(bench->mapper);
	steps_release(&bench->steps);
	settings_release(&bench->settings);
}

static enum page_map_result map(struct bench *bench, uint32_t id, enum page_map_call call, uint32_t frame, unsigned cpu)
{
	const struct page_mapping mapping = {.frame = frame, .cpu = (uint16_t)cpu, .call = (uint8_t)call};
	return page_maps_map(&bench->maps, id, &mapping);
}

/* How many steps of a kind touch an address; any address with 0. */
static unsigned steps_at(const struct bench *bench, enum step_kind kind, uint64_t address)
{
	unsigned count = 0;
	for (uint32_t i = 0; i < bench->steps.count; i++)
		count += bench->steps.at[i].kind == kind && (address == 0 || bench->steps.at[i].address == address);
	return count;
}

/* Would catch: a mapping that is lost when every slot is in use, that goes on before a slot is free, or out of turn; one that is
 * unmapped twice. */
static void those_that_wait_go_on_in_turn(void **state)
{
	(void)state;
	struct bench bench;
	begin(&bench, "x86_pae", 2);
	for (uint32_t id = 0; id < LAST_PKMAP_PAE; id++)
		assert_int_equal(map(&bench, id, PAGE_MAP_PERMANENT, HIGH + id, 0), PAGE_MAP_OK);
	for (uint32_t id = 1000; id < 1003; id++)
		assert_int_equal(map(&bench, id, PAGE_MAP_PERMANENT, HIGH + id, 1), PAGE_MAP_MUST_WAIT);
	assert_int_equal(page_maps_unmap(&bench.maps, 1001, 1), PAGE_MAPS_NEVER_MADE);
	assert_int_equal(page_maps_unmap(&bench.maps, 7, 0), PAGE_MAPS_UNMAPPED);
	page_maps_check(&bench.maps);
	assert_int_equal(bench.maps.counters.made_late, 1);
	assert_int_equal(bench.maps.waiting_count, 1);
	assert_int_equal(bench.maps.waiting[0], 1002);
	assert_int_equal(page_maps_unmap(&bench.maps, 1000, 1), PAGE_MAPS_UNMAPPED);
	assert_int_equal(page_maps_unmap(&bench.maps, 1002, 1), PAGE_MAPS_UNMAPPED);
	for (uint32_t id = 0; id < LAST_PKMAP_PAE; id++)
		if (id != 7)
			assert_int_equal(page_maps_unmap(&bench.maps, id, 0), PAGE_MAPS_UNMAPPED);
	end(&bench);
}

/* Would catch: local mappings given up in any order, on another CPU, or deeper than there are slots. */
static void local_mappings_are_a_stack(void **state)
{
	(void)state;
	struct bench bench;
	begin(&bench, "x86_32", 2);
	assert_int_equal(map(&bench, 0, PAGE_MAP_LOCAL, HIGH, 1), PAGE_MAP_OK);
	assert_int_equal(map(&bench, 1, PAGE_MAP_ATOMIC, HIGH + 1, 1), PAGE_MAP_OK);
	assert_int_equal(bench.maps.by_id[0].at, FIXMAP - 16 * PAGE_SIZE);
	assert_int_equal(bench.maps.by_id[1].at, FIXMAP - 17 * PAGE_SIZE);
	assert_int_equal(page_maps_unmap(&bench.maps, 0, 1), PAGE_MAPS_WRONG_ORDER);
	assert_int_equal(page_maps_unmap(&bench.maps, 1, 0), PAGE_MAPS_NOT_MAPPED);
	for (uint32_t id = 2; id < KM_MAX_IDX - 1; id++)
		assert_int_equal(map(&bench, id, PAGE_MAP_LOCAL, HIGH + id, 1), PAGE_MAP_OK);
	assert_int_equal(map(&bench, 100, PAGE_MAP_LOCAL, HIGH, 1), PAGE_MAP_TOO_DEEP);
	for (uint32_t id = KM_MAX_IDX - 1; id-- > 0;)
		assert_int_equal(page_maps_unmap(&bench.maps, id, 1), PAGE_MAPS_UNMAPPED);
	end(&bench);
}

/* Would catch: contents touched elsewhere than at the slots, a translation that outlives its slot, a copy that unmaps in the
 * order it mapped. */
static void a_copy_goes_through_two_local_slots(void **state)
{
	(void)state;
	struct bench bench;
	begin(&bench, "x86_32", 2);
	assert_int_equal(page_mapper_copy(bench.mapper, PAGE_MAP_LOCAL, &bench.steps, pfn_of(HIGH + 5), pfn_of(HIGH + 9), 0),
	                 PAGE_MAP_OK);
	assert_int_equal(steps_at(&bench, STEP_READ, FIXMAP), 1);
	assert_int_equal(steps_at(&bench, STEP_WRITE, FIXMAP - PAGE_SIZE), 1);
	assert_int_equal(steps_at(&bench, STEP_INVALIDATE, 0), 2);
	assert_int_equal(steps_at(&bench, STEP_INVALIDATE, FIXMAP), 1);
	assert_int_equal(steps_at(&bench, STEP_IPI, 0) + steps_at(&bench, STEP_LOCK, 0), 0);
	end(&bench);
}

/* Would catch: a flush that leaves other cores' TLBs alone, one with each mapping, or one outside of kmap_lock. 1024 slots: the
 * search that begins behind slot 0 takes 1023 before it comes round. */
static void coming_round_flushes_all_cores(void **state)
{
	(void)state;
	struct bench bench;
	begin(&bench, "x86_32", 4);
	for (uint32_t i = 0; i < LAST_PKMAP - 1; i++)
		page_mapper_clear(bench.mapper, PAGE_MAP_PERMANENT, &bench.steps, pfn_of(HIGH + i), 0);
	assert_int_equal(steps_at(&bench, STEP_IPI, 0) + steps_at(&bench, STEP_INVALIDATE, 0), 0);
	steps_clear(&bench.steps);
	page_mapper_clear(bench.mapper, PAGE_MAP_PERMANENT, &bench.steps, pfn_of(HIGH + LAST_PKMAP), 0);
	assert_int_equal(steps_at(&bench, STEP_IPI, STEP_ALL_ADDRESSES), 3);
	assert_int_equal(steps_at(&bench, STEP_INVALIDATE, STEP_ALL_ADDRESSES), 1);
	assert_int_equal(steps_at(&bench, STEP_IPI_WAIT, 0), 1);
	assert_int_equal(steps_at(&bench, STEP_LOCK, 0), steps_at(&bench, STEP_UNLOCK, 0));
	end(&bench);
}

/* Would catch: a zeroed page of high memory that is written at an address beyond 32 bits, a slot spent on low memory. */
static void zeroing_maps_high_pages_only(void **state)
{
	(void)state;
	struct bench bench;
	begin(&bench, "x86_32", 1);
	const struct page_contents contents = {bench.mapper, &bench.layout, &bench.steps};
	page_contents_clear(&contents, pfn_of(HIGH - 2), 1, 0);
	assert_int_equal(bench.steps.count, 1);
	assert_int_equal(bench.steps.at[0].bytes, 2 * PAGE_SIZE);
	page_contents_clear(&contents, pfn_of(HIGH), 1, 0);
	assert_int_equal(steps_at(&bench, STEP_WRITE, FIXMAP), 2); /* page by page, in the same slot */
	for (uint32_t i = 0; i < bench.steps.count; i++)
		assert_true(bench.steps.at[i].address <= UINT32_MAX || bench.steps.at[i].kind == STEP_SPEND);
	end(&bench);
}

/* Published: 16 Mi struct pages of 40 bytes, 640 MiB of low memory (Documentation/mm/highmem.rst: they must lie in the permanent
 * mapping; 36 bits are Intel's); 1024 slots of kmap, 512 with PAE, end to end in 4 or 2 MiB. Would catch: mem_map of low memory
 * alone, or of 64 bytes.
 */
static void the_map_of_64_gib(void **state)
{
	(void)state;
	struct layout layout;
	layout_init(&layout, 40);
	layout_set_32bit(
	        &layout,
	        &(struct layout_32bit){
	                .lowmem_bytes = 896ull << 20, .memory_bytes = 64 * GIB, .cpus = 1, .kernel_cpus = 32, .pae = true});
	const struct layout_span *map = layout_span_of(&layout, REGION_VMEMMAP), *slots = layout_span_of(&layout, REGION_KMAP);
	assert_int_equal(map->last + 1 - map->first, 640ull << 20);
	assert_int_equal(map->last + 1, 0xf8000000u);
	assert_int_equal(slots->last + 1 - slots->first, (uint64_t)LAST_PKMAP_PAE << PAGE_SHIFT);
	assert_true(LAST_PKMAP_PAE * 2 == LAST_PKMAP && KM_MAX_IDX == 16);
}

/* Would catch: ids of a load that are used after they went, mappings that stay. */
static void a_made_up_load_gives_all_back(void **state)
{
	(void)state;
	struct seen seen = made("highmem files=50 pages=3 hold=20 mapped=10", 2);
	assert_int_equal(seen.allocs, 2 + 50 * 2 + 150 * 2 + 15 + 150); /* sources, files, pages and heads, tables, mappings */
	assert_int_equal(seen.uses, 150);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(those_that_wait_go_on_in_turn),       cmocka_unit_test(local_mappings_are_a_stack),
	        cmocka_unit_test(a_copy_goes_through_two_local_slots), cmocka_unit_test(coming_round_flushes_all_cores),
	        cmocka_unit_test(zeroing_maps_high_pages_only),        cmocka_unit_test(the_map_of_64_gib),
	        cmocka_unit_test(a_made_up_load_gives_all_back),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
