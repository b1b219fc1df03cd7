/* SPDX-License-Identifier: MIT
 *
 * test_mmu_watch.c - an MMU that is watched translates and counts as one that is not, and tells of its thrashing.
 */
#include "models/registry.h"
#include "sim/rng.h"
#include "tests/unit/mmu_rig.h"

#define USER (WORD_PRESENT | WORD_WRITE | WORD_USER | WORD_EXECUTE)

static void map_pages(struct rig *rig, unsigned small, unsigned large)
{
	struct error error = {0};
	rig_begin(rig, translation_model("x86_4level", &error)->ops, 64u << 20);
	for (uint64_t page = 0; page < small; page++)
		rig_map(rig, page * PAGE_SIZE, USER | (page * PAGE_SIZE), PAGE_4K);
	for (uint64_t page = 0; page < large; page++)
		rig_map(rig, (1ull << 30) + (page << 21), USER | ((1ull << 30) + (page << 21)), PAGE_2M);
}

/* Would catch: an entry's mark of use taken for a part of its translation, a filter that hides hits from the watch. */
static void a_watch_changes_no_count(void **state)
{
	(void)state;
	static const char *const machines[][5] = {
	        {"dtlb entries=8 ways=2", "dtlb_2m entries=2 ways=2 pages=2M", "stlb level=2 entries=32 ways=4 pages=4K+2M",
	         NULL},
	        {"tlb entries=8 ways=all pages=4K+2M", "stlb level=2 entries=24 ways=4 pages=4K+2M inclusion=exclusive", NULL},
	};
	for (unsigned machine = 0; machine < 2; machine++) {
		struct rig plain, watched;
		struct rig *rigs[2] = {&plain, &watched};
		uint32_t owner = 3;
		for (unsigned i = 0; i < 2; i++) {
			map_pages(rigs[i], 100, 10);
			rig_tlbs(rigs[i], machines[machine], false, true);
		}
		mmu_watch(&watched.mmu, &owner);
		struct rng rng;
		rng_init(&rng, machine, "pages");
		for (unsigned i = 0; i < 30000; i++) {
			uint64_t linear = rng_below(&rng, 4) ? rng_below(&rng, 1 + rng_below(&rng, 100)) * PAGE_SIZE
			                                     : (1ull << 30) + ((uint64_t)rng_below(&rng, 10) << 21);
			enum access_kind kind = rng_below(&rng, 3) ? ACCESS_LOAD : ACCESS_STORE;
			struct access out[2][MMU_ROOM];
			size_t made = rig_access(&plain, kind, linear, 8, out[0], MMU_ROOM);
			assert_int_equal(rig_access(&watched, kind, linear, 8, out[1], MMU_ROOM), made);
			assert_memory_equal(out[0], out[1], made * sizeof(struct access));
		}
		assert_memory_equal(plain.mmu.level_counters, watched.mmu.level_counters, sizeof plain.mmu.level_counters);
		assert_memory_equal(&plain.mmu.counters, &watched.mmu.counters, sizeof plain.mmu.counters);
		uint64_t told = 0;
		for (unsigned i = 0; i < watched.mmu.arrays_count; i++) {
			const struct level_watch *watch = watched.mmu.arrays[i]->watch;
			told += watch->accesses;
			assert_int_equal(watch->owners[3].accesses, watch->accesses);
			assert_true(level_watch_unused_evictions(watch) > 0);
		}
		uint64_t counted = watched.mmu.counters.pages;
		for (unsigned size = 0; size < PAGE_SIZES; size++)
			counted += watched.mmu.level_counters[0].misses[ACCESS_LOAD][size] +
			           watched.mmu.level_counters[0].misses[ACCESS_STORE][size];
		assert_int_equal(told, counted);
		rig_end(&plain);
		rig_end(&watched);
	}
}

/* Worked by hand: two entries, round trips over three pages: all but the first three misses are re-misses, no entry is ever hit.
 */
static void a_round_trip_too_long_thrashes(void **state)
{
	(void)state;
	static const char *const lines[] = {"tlb entries=2 ways=all", NULL};
	struct rig rig;
	struct access out[MMU_ROOM];
	map_pages(&rig, 3, 0);
	rig_tlbs(&rig, lines, false, true);
	mmu_watch(&rig.mmu, NULL);
	for (unsigned access = 0; access < 30; access++)
		rig_access(&rig, ACCESS_LOAD, access % 3 * PAGE_SIZE, 8, out, MMU_ROOM);
	const struct level_watch *watch = rig.mmu.arrays[0]->watch;
	assert_int_equal(watch->misses, 30);
	assert_int_equal(level_watch_remisses(watch), 27);
	assert_int_equal(level_watch_unused_evictions(watch), 28);
	assert_int_equal(level_watch_ping_pong_blocks(watch), 3);
	assert_int_equal(watch->kind[ACCESS_LOAD][PAGE_4K + 1].evictions, 28);
	mmu_check(&rig.mmu);
	rig_end(&rig);
}

/* The references of a cold walk tell the entries' levels. Would catch: levels counted from the wrong end. */
static void references_tell_their_level(void **state)
{
	(void)state;
	static const char *const lines[] = {"tlb entries=2 ways=all", NULL};
	struct rig rig;
	struct access out[MMU_ROOM];
	map_pages(&rig, 1, 0);
	rig_tlbs(&rig, lines, false, true);
	size_t made = rig_access(&rig, ACCESS_LOAD, 0, 8, out, MMU_ROOM);
	static const char *const names[] = {"PML4E", "PDPTE", "PDE", "PTE"};
	unsigned reads = 0;
	for (size_t i = 0; i < made; i++)
		if (out[i].kind == ACCESS_WALK)
			assert_string_equal(region_name((enum region)out[i].region), names[reads++]);
	assert_int_equal(reads, 4);
	rig_end(&rig);
}

/*
 * One entry for pages of two sizes: a load of a large page evicts the small one, a store to the small one the large one. What
 * goes on tells the page's size, found by a walk or remembered. Would catch: an eviction counted for the page that came.
 */
static void evictions_are_of_the_page_that_goes(void **state)
{
	(void)state;
	static const char *const lines[] = {"tlb entries=1 ways=all pages=4K+2M", NULL};
	struct rig rig;
	struct layout layout;
	struct access out[MMU_ROOM];
	layout_init(&layout, 64);
	map_pages(&rig, 1, 1);
	rig_tlbs(&rig, lines, false, true);
	rig.mmu.layout = &layout;
	mmu_watch(&rig.mmu, NULL);
	rig_access(&rig, ACCESS_STORE, 0, 8, out, MMU_ROOM);
	for (unsigned again = 0; again < 2; again++) {
		size_t made = rig_access(&rig, ACCESS_LOAD, 1ull << 30, 8, out, MMU_ROOM);
		assert_int_equal(access_region(out[made - 1].region), REGION_USER);
		assert_int_equal(access_page(out[made - 1].region), PAGE_2M + 1);
	}
	rig_access(&rig, ACCESS_STORE, 0, 8, out, MMU_ROOM);
	const struct level_watch *watch = rig.mmu.arrays[0]->watch;
	assert_int_equal(watch->kind[ACCESS_LOAD][PAGE_4K + 1].evictions, 1);
	assert_int_equal(watch->kind[ACCESS_STORE][PAGE_2M + 1].evictions, 1);
	mmu_check(&rig.mmu);
	rig_end(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(a_watch_changes_no_count),
	        cmocka_unit_test(a_round_trip_too_long_thrashes),
	        cmocka_unit_test(references_tell_their_level),
	        cmocka_unit_test(evictions_are_of_the_page_that_goes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
