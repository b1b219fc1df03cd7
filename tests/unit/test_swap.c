/* SPDX-License-Identifier: MIT
 *
 * test_swap.c - who gets which slot of a swap device, and when it is free again, against mm/swapfile.c and mm/swap_slots.c of
 * Linux 6.1 worked out by hand; and a disk's answers against closed forms.
 */
#include "models/page_reclaim/block_device.h"
#include "models/page_reclaim/swap.h"
#include "tests/unit/test.h"

static uint32_t dropped[64];
static unsigned dropped_count;

static bool note_drop(void *context, uint32_t frame, unsigned cpu)
{
	struct swap *swap = context;
	uint32_t slot = 1;
	while (swap_cache_find(swap, slot) != frame)
		slot++;
	swap_cache_remove(swap, cpu, slot, SHADOW_NONE);
	dropped[dropped_count++] = frame;
	return true;
}

static void make(struct swap *swap, uint32_t slots, unsigned cpus)
{
	dropped_count = 0;
	const struct swap_spec spec = {
	        .slots = slots, .cluster_slots = 256, .cpus = cpus, .seed = 1, .drop = note_drop, .context = swap};
	swap_init(swap, &spec);
	swap_check(swap);
}

/*
 * The header keeps cluster 0 off the list of free ones, so the first slot is that of cluster 1; a CPU takes 64 at once and goes
 * on where it was. Another CPU has a cluster of its own. Would catch: slots from the header's cluster, one cluster for all.
 */
static void clusters(void **state)
{
	struct swap swap;
	(void)state;
	make(&swap, 2048, 2);
	for (uint32_t i = 0; i < 100; i++) {
		assert_int_equal(swap_take(&swap, 0), 256 + i);
		assert_int_equal(swap.in_use, i < 64 ? 64 : 128);
	}
	assert_int_equal(swap_take(&swap, 1), 512);
	for (uint32_t i = 100; i < 256; i++)
		assert_int_equal(swap_take(&swap, 0), 256 + i);
	assert_int_equal(swap_take(&swap, 0), 768);
	swap_release(&swap);
}

/*
 * Free clusters come in columns of as many as a tree of the swap cache has (16,384 slots: 64 of 256), so that CPUs do not meet in
 * a tree: of 130, cluster 0 being the header's, 64 and 128 come first, then 1 and 65. Would catch: clusters in ascending order.
 */
static void clusters_by_tree(void **state)
{
	const uint32_t order[] = {64, 128, 1, 65, 129, 2};
	struct swap swap;
	(void)state;
	make(&swap, 130 * 256, 6);
	for (unsigned cpu = 0; cpu < 6; cpu++)
		assert_int_equal(swap_take(&swap, cpu), order[cpu] * 256);
	swap_release(&swap);
}

/* The last cluster is not whole, and not free therefore. Would catch: slots beyond the end. */
static void every_slot_once(void **state)
{
	static bool seen[3000];
	struct swap swap;
	(void)state;
	make(&swap, 3000, 1);
	for (unsigned i = 0; i < 2999; i++) {
		uint32_t slot = swap_take(&swap, 0);
		assert_in_range(slot, 1, 2999);
		assert_false(seen[slot]);
		seen[slot] = true;
		swap_duplicate(&swap, slot);
	}
	assert_int_equal(swap_take(&swap, 0), SWAP_SLOT_NONE);
	assert_int_equal(swap_free_slots(&swap), 0);
	swap_check(&swap);
	swap_release(&swap);
}

/* Freed slots wait for 64 others. Would catch: a slot that is free while an entry or the cache has it, a store of another size.
 */
static void the_way_back(void **state)
{
	struct swap swap;
	uint32_t slots[65];
	(void)state;
	make(&swap, 2048, 1);
	for (unsigned i = 0; i < 65; i++) {
		slots[i] = swap_take(&swap, 0);
		swap_cache_add(&swap, slots[i], 100 + i);
		swap_duplicate(&swap, slots[i]);
	}
	swap_duplicate(&swap, slots[0]);
	assert_int_equal(swap_entries(&swap, slots[0]), 2);
	assert_int_equal(swap.in_use, 128);
	for (unsigned i = 0; i < 65; i++) {
		swap_cache_remove(&swap, 0, slots[i], shadow_pack(i, 0, false));
		assert_int_equal(shadow_age(swap.map[slots[i]].shadow), i);
		swap_free(&swap, 0, slots[i]);
	}
	/* One is named still; 64 wait to be given back. */
	swap_check(&swap);
	assert_int_equal(swap.in_use, 128);
	swap_free(&swap, 0, slots[0]);
	assert_int_equal(swap.in_use, 128 - 64);
	swap_check(&swap);
	swap_drain_stores(&swap);
	assert_int_equal(swap.in_use, 0);
	assert_false(shadow_exists(swap.map[slots[1]].shadow));
	swap_check(&swap);
	swap_release(&swap);
}

/*
 * When more than half is in use and no free slot is left to stop at, slots that only the swap cache has are taken from it. Would
 * catch: slots of pages that entries name, a device that seems full although pages have two homes.
 */
static void full_device_takes_cached_slots(void **state)
{
	struct swap swap;
	(void)state;
	make(&swap, 257, 1);
	for (uint32_t i = 0; i < 255; i++) {
		uint32_t slot = swap_take(&swap, 0);
		swap_cache_add(&swap, slot, i);
		if (i != 7 && i != 8)
			swap_duplicate(&swap, slot);
	}
	assert_true(swap_is_full(&swap));
	assert_int_equal(swap_free_slots(&swap), 1);
	uint32_t last = swap_take(&swap, 0);
	assert_int_not_equal(last, SWAP_SLOT_NONE);
	swap_cache_add(&swap, last, 255);
	assert_int_equal(swap_take(&swap, 0), SWAP_SLOT_NONE);
	swap_check(&swap);
	for (unsigned i = 0; i < dropped_count; i++)
		assert_in_range(dropped[i], 7, 8);
	swap_release(&swap);
}

/* Would catch: latencies that do not overlap, data that do, a queue that takes one too many. */
static void device_times(void **state)
{
	struct block_device device;
	(void)state;
	/* 4096 bytes at 1 GB/s: 4,096 ns. */
	block_device_init(&device, &(struct block_device_spec){50000, 10000, 1000000000, 2});
	struct block_answer answer = block_device_read(&device, 1000, 4096);
	assert_int_equal(answer.taken_ns, 1000);
	assert_int_equal(answer.done_ns, 1000 + 4096 + 50000);
	answer = block_device_read(&device, 1000, 4096);
	assert_int_equal(answer.taken_ns, 1000);
	assert_int_equal(answer.done_ns, 1000 + 2 * 4096 + 50000);
	/* The third is taken when the first is done. */
	answer = block_device_write(&device, 1000, 4096);
	assert_int_equal(answer.taken_ns, 1000 + 4096 + 50000);
	assert_int_equal(answer.done_ns, 1000 + 4096 + 50000 + 4096 + 10000);
	/* Long after, it is idle. */
	answer = block_device_write(&device, 1000000, 8192);
	assert_int_equal(answer.done_ns, 1000000 + 8192 + 10000);
	assert_int_equal(device.counters.busy_ns, 5 * 4096);
	assert_int_equal(device.counters.bytes_read, 8192);
	assert_int_equal(device.counters.bytes_written, 3 * 4096);
}

/* A CPU takes 64 slots at a time. Would catch: a peak that stands still, or that counts what was asked for. */
static void the_peak_is_counted(void **state)
{
	struct swap swap;
	(void)state;
	make(&swap, 2048, 1);
	for (uint32_t i = 0; i < 65; i++)
		swap_take(&swap, 0);
	assert_int_equal(swap.in_use, 128);
	assert_int_equal(swap.counters.used_peak, 128);
	swap_release(&swap);
}

/*
 * With no free cluster a scan goes on from slot to slot (scan_swap_map_slots(): SWAP_LATENCY_LIMIT looks), so a CPU's 64 slots come of
 * one. Of 3000 slots 10 clusters are whole and not the header's; what is left then are 255 and 184 slots. Would catch: a scan that
 * ends with its first slot.
 */
static void a_scan_without_clusters_goes_on(void **state)
{
	struct swap swap;
	(void)state;
	make(&swap, 3000, 1);
	for (uint32_t i = 0; i < 10 * 256; i++)
		swap_duplicate(&swap, swap_take(&swap, 0));
	assert_int_equal(swap.in_use, 10 * 256);
	swap_duplicate(&swap, swap_take(&swap, 0));
	assert_int_equal(swap.in_use, 10 * 256 + 64);
	swap_release(&swap);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(clusters),
	        cmocka_unit_test(clusters_by_tree),
	        cmocka_unit_test(every_slot_once),
	        cmocka_unit_test(the_way_back),
	        cmocka_unit_test(full_device_takes_cached_slots),
	        cmocka_unit_test(device_times),
	        cmocka_unit_test(the_peak_is_counted),
	        cmocka_unit_test(a_scan_without_clusters_goes_on),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
