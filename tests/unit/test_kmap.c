/* SPDX-License-Identifier: MIT
 *
 * test_kmap.c - permanent and local mappings of high memory, against mm/highmem.c worked out by hand.
 */
#include "models/virtual_allocator/kmap.h"
#include "tests/unit/test.h"

/* As in the recording of a 1 GiB machine, but for the first frame of high memory. */
#define HIGH 0x37000u
#define BASE 0xff400000u
#define FIXMAP 0xfffbb000u

static struct kmap make(uint32_t slots)
{
	static struct steps steps; /* records nothing */
	struct kmap kmap;
	kmap_init(&kmap,
	          &(struct kmap_spec){.direct_map = 0xc0000000,
	                              .highmem_pfn = HIGH,
	                              .end_pfn = HIGH + 8192,
	                              .pkmap_base = BASE,
	                              .last_pkmap = slots,
	                              .fixmap_begin = FIXMAP,
	                              .cpus = 2},
	          &steps);
	return kmap;
}

static uint64_t map(struct kmap *kmap, uint32_t frame)
{
	vaddr at = VADDR_NULL;
	assert_int_equal(kmap_page(kmap, pfn_of(frame), 0, &at), PAGE_MAP_OK);
	kmap_check(kmap);
	return at.addr;
}

/* Would catch: a search that begins with slot 0, a mapping that goes when its last user goes, a second slot for one page. */
static void slots_ascend_and_stay(void **state)
{
	(void)state;
	struct kmap kmap = make(1024);
	assert_int_equal(map(&kmap, HIGH), BASE + 0x1000);
	assert_int_equal(map(&kmap, HIGH + 1), BASE + 0x2000);
	assert_int_equal(kunmap_page(&kmap, pfn_of(HIGH)), PAGE_UNMAP_OK);
	assert_int_equal(kunmap_page(&kmap, pfn_of(HIGH)), PAGE_UNMAP_NOT_MAPPED);
	assert_int_equal(kmap.pkmap_count[1], 1);
	assert_int_equal(map(&kmap, HIGH + 2), BASE + 0x3000);
	assert_int_equal(map(&kmap, HIGH), BASE + 0x1000);
	assert_int_equal(map(&kmap, HIGH), BASE + 0x1000);
	assert_int_equal(kmap.pkmap_count[1], 3);
	assert_int_equal(kunmap_page(&kmap, pfn_of(HIGH + 5)), PAGE_UNMAP_NOT_MAPPED);
	kmap_release(&kmap);
}

/* Would catch: a flush at another place than slot 0, a flush that drops mappings with users, slot 0 left out after it. */
static void the_search_comes_round(void **state)
{
	(void)state;
	struct kmap kmap = make(4);
	map(&kmap, HIGH + 1); /* slot 1, stays in use */
	for (uint32_t i = 2; i < 4; i++) {
		map(&kmap, HIGH + i);
		assert_int_equal(kunmap_page(&kmap, pfn_of(HIGH + i)), PAGE_UNMAP_OK);
	}
	assert_int_equal(kmap.counters.flushes, 0);
	assert_int_equal(map(&kmap, HIGH + 4), BASE);
	assert_int_equal(kmap.counters.flushes, 1);
	assert_int_equal(kmap.counters.dropped_mappings, 2);
	assert_int_equal(map(&kmap, HIGH + 5), BASE + 0x2000);
	assert_int_equal(map(&kmap, HIGH + 1), BASE + 0x1000);
	kmap_release(&kmap);
}

/* Would catch: a full ring that overwrites a mapping or searches for ever; one slot left that is not found. */
static void a_full_ring_must_wait(void **state)
{
	(void)state;
	vaddr at;
	struct kmap kmap = make(512);
	for (uint32_t i = 0; i < 512; i++)
		map(&kmap, HIGH + i);
	assert_int_equal(kmap_page(&kmap, pfn_of(HIGH + 600), 0, &at), PAGE_MAP_MUST_WAIT);
	assert_int_equal(kmap.counters.waits, 1);
	assert_int_equal(kunmap_page(&kmap, pfn_of(HIGH + 99)), PAGE_UNMAP_OK);
	assert_int_equal(map(&kmap, HIGH + 600), BASE + 100 * 0x1000);
	kmap_check(&kmap);
	kmap_release(&kmap);
}

/* Would catch: local slots that ascend, are shared by CPUs, come back in any order, or never run out (KM_MAX_IDX 16: 15 deep). */
static void local_slots_are_a_stack(void **state)
{
	(void)state;
	vaddr at[KM_MAX_IDX], other;
	struct kmap kmap = make(1024);
	for (unsigned i = 0; i < KM_MAX_IDX - 1; i++) {
		assert_int_equal(kmap_local(&kmap, pfn_of(HIGH + i), 0, &at[i]), PAGE_MAP_OK);
		assert_int_equal(at[i].addr, FIXMAP - i * 0x1000);
	}
	assert_int_equal(kmap_local(&kmap, pfn_of(HIGH), 0, &other), PAGE_MAP_TOO_DEEP);
	assert_int_equal(kmap_local(&kmap, pfn_of(HIGH), 1, &other), PAGE_MAP_OK);
	assert_int_equal(other.addr, FIXMAP - 16 * 0x1000);
	assert_int_equal(kunmap_local(&kmap, at[3], 0), PAGE_UNMAP_WRONG_ORDER);
	assert_int_equal(kunmap_local(&kmap, other, 0), PAGE_UNMAP_NOT_MAPPED);
	assert_int_equal(kunmap_local(&kmap, at[14], 0), PAGE_UNMAP_OK);
	assert_int_equal(kunmap_local(&kmap, at[13], 0), PAGE_UNMAP_OK);
	assert_int_equal(kmap.counters.wrong_unmaps, 2);
	kmap_check(&kmap);
	kmap_release(&kmap);
}

/* Would catch: a slot spent on a page that the direct map has. */
static void low_memory_needs_nothing(void **state)
{
	(void)state;
	vaddr at;
	struct kmap kmap = make(1024);
	assert_int_equal(map(&kmap, 0x275c), 0xc275c000);
	assert_int_equal(kmap_local(&kmap, pfn_of(0x275c), 1, &at), PAGE_MAP_OK);
	assert_int_equal(at.addr, 0xc275c000);
	assert_int_equal(kunmap_local(&kmap, at, 1), PAGE_UNMAP_OK);
	assert_int_equal(kunmap_page(&kmap, pfn_of(0x275c)), PAGE_UNMAP_OK);
	assert_int_equal(kmap.counters.kmaps + kmap.counters.local_maps, 0);
	kmap_release(&kmap);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(slots_ascend_and_stay),    cmocka_unit_test(the_search_comes_round),
	        cmocka_unit_test(a_full_ring_must_wait),    cmocka_unit_test(local_slots_are_a_stack),
	        cmocka_unit_test(low_memory_needs_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
