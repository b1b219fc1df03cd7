/* SPDX-License-Identifier: MIT
 *
 * test_base.c - errors, histograms, random streams, layout.
 */
#include "sim/histogram.h"
#include "sim/layout.h"
#include "sim/rng.h"
#include "tests/unit/test.h"

#include <string.h>

/* Would catch: a later error that hides the cause. */
static void test_the_first_error_wins(void **state)
{
	(void)state;
	struct error error = {0};
	assert_false(error_set(&error, ERROR_INPUT, "a.txt:%d: first", 3));
	error_set(&error, ERROR_HOST, "second");
	assert_int_equal(error.kind, ERROR_INPUT);
	assert_string_equal(error.text, "a.txt:3: first");
}

/* Would catch: buckets that overlap, leave gaps or are wider than promised. */
static void test_histogram_buckets_cover_all_values_narrowly(void **state)
{
	(void)state;
	for (unsigned bucket = 1; bucket < HISTOGRAM_BUCKETS; bucket++) {
		uint64_t low = histogram_floor(bucket - 1), high = histogram_floor(bucket);
		assert_true(low < high);
		assert_true(low < 32 ? high == low + 1 : high - low <= low / 16);
		struct histogram histogram = {0};
		histogram_add(&histogram, high - 1);
		histogram_add(&histogram, high);
		assert_int_equal(histogram.at[bucket - 1], 1);
		assert_int_equal(histogram.at[bucket], 1);
	}
	struct histogram histogram = {0};
	histogram_add(&histogram, UINT64_MAX);
	assert_int_equal(histogram.at[HISTOGRAM_BUCKETS - 1], 1);
}

/* Would catch: a quantile off by one rank. Values 1..20: the 50th per cent is 10, the 99th 20 (nearest rank). */
static void test_histogram_quantiles(void **state)
{
	(void)state;
	struct histogram histogram = {0};
	assert_int_equal(histogram_quantile(&histogram, 500), 0);
	for (unsigned value = 1; value <= 20; value++)
		histogram_add(&histogram, value);
	assert_int_equal(histogram_quantile(&histogram, 500), 10);
	assert_int_equal(histogram_quantile(&histogram, 990), 20);
	assert_int_equal(histogram_quantile(&histogram, 0), 1);
	assert_int_equal(histogram_quantile(&histogram, 1000), 20);
	histogram_check(&histogram);
}

/* SplitMix64's published first outputs for state 1234567 (Vigna's reference: 6457827717110365317, 3203168211198807973). */
static void test_rng_is_splitmix64(void **state)
{
	(void)state;
	struct rng rng = {1234567};
	assert_true(rng_next(&rng) == 6457827717110365317u);
	assert_true(rng_next(&rng) == 3203168211198807973u);
}

/* Would catch: streams of two components that are the same. */
static void test_rng_streams_differ_by_name_and_seed(void **state)
{
	(void)state;
	struct rng a, b, c, again;
	rng_init(&a, 1, "slub");
	rng_init(&b, 1, "slab");
	rng_init(&c, 2, "slub");
	rng_init(&again, 1, "slub");
	uint64_t first = rng_next(&a);
	assert_true(first != rng_next(&b) && first != rng_next(&c) && first == rng_next(&again));
	for (unsigned i = 0; i < 1000; i++)
		assert_true(rng_below(&a, 7) < 7);
}

/* Would catch: an address of the direct map that does not lead back to its frame. */
static void test_layout_round_trip(void **state)
{
	(void)state;
	struct layout layout;
	layout_init(&layout, 56);
	assert_int_equal(layout_pfn_of(&layout, layout_page_address(&layout, pfn_of(0x825c))).nr, 0x825c);
	assert_int_equal(layout_pfn_of(&layout, vaddr_of(layout_page_address(&layout, pfn_of(7)).addr + 4095)).nr, 7);
	assert_int_equal(layout_pfn_of(&layout, vaddr_of(16)).nr, PFN_NONE.nr);
	assert_true(layout_struct_page(&layout, pfn_of(2)).addr == layout.vmemmap + 112);
	vaddr first = layout_kernel_data(&layout, 1), second = layout_kernel_data(&layout, 65),
	      third = layout_kernel_data(&layout, 1);
	assert_int_equal(second.addr - first.addr, 64);
	assert_int_equal(third.addr - second.addr, 128);
}

/* Would catch: a lock under its neighbour's name, or under that of a cache that is no more. */
static void test_layout_names(void **state)
{
	(void)state;
	struct layout layout;
	layout_init(&layout, 64);
	vaddr node = layout_kernel_data(&layout, 64), lock = layout_kernel_data(&layout, 4);
	vaddr pages = layout_per_cpu(&layout, layout_per_cpu_alloc(&layout, 256, 64), 1);
	layout_name(&layout, node, 64, "kmem_cache_node", "dentry");
	assert_string_equal(layout_label(&layout, node), ""); /* nobody has asked for names */
	layout_keep_names(&layout);
	layout_name(&layout, lock, 4, "slob_lock", "");
	layout_name(&layout, node, 64, "kmem_cache_node", "dentry");
	layout_name(&layout, pages, 256, "per_cpu_pages", "DMA32");
	assert_string_equal(layout_label(&layout, node), "kmem_cache_node dentry");
	assert_string_equal(layout_label(&layout, vaddr_of(node.addr + 63)), "kmem_cache_node dentry");
	assert_string_equal(layout_label(&layout, lock), "slob_lock");
	assert_string_equal(layout_label(&layout, vaddr_of(lock.addr + 4)), "");
	assert_string_equal(layout_label(&layout, vaddr_of(pages.addr + 255)), "per_cpu_pages DMA32");
	assert_string_equal(layout_label(&layout, vaddr_of(pages.addr - 1)), "");
	layout_name(&layout, node, 64, "kmem_cache_node", "inode_cache");
	assert_string_equal(layout_label(&layout, node), "kmem_cache_node inode_cache");
	layout_release(&layout);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_layout_names),
	        cmocka_unit_test(test_the_first_error_wins),
	        cmocka_unit_test(test_histogram_buckets_cover_all_values_narrowly),
	        cmocka_unit_test(test_histogram_quantiles),
	        cmocka_unit_test(test_rng_is_splitmix64),
	        cmocka_unit_test(test_rng_streams_differ_by_name_and_seed),
	        cmocka_unit_test(test_layout_round_trip),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
