/* SPDX-License-Identifier: MIT
 *
 * test_trace_recordings.c - the recording that travels with kmemsim, imported. What is expected was counted in its text with grep
 * (events by name, frees of NULL) and with a script of a few lines that knows only "a page block that holds an object is a slab".
 */
#include "tests/unit/trace_case.h"

#include "sim/io/kmt.h"
#include "sim/trace_facts.h"

#define RECORDING "traces/qemu-512m-slub-small/trace.txt.xz"

/* grep -c ': NAME:' of the text */
#define KMALLOC_EVENTS 21202u
#define KFREE_EVENTS 18139u
#define KFREE_NULL_EVENTS 4860u
#define CACHE_ALLOC_EVENTS 72715u
#define CACHE_FREE_EVENTS 53819u
#define PAGE_ALLOC_EVENTS 27371u
#define PAGE_FREE_EVENTS 25936u
#define BATCHED_EVENTS 21077u
#define INTERNAL_EVENTS (17857u + 9680u + 9u) /* zone_locked, pcpu_drain, extfrag */
#define MARKS 11u
#define HEADER_LINES 12u
/* Page blocks that held an object while they were live, and how many of them were freed. */
#define SLAB_BLOCKS 1443u
#define SLAB_BLOCK_FREES 67u

static struct trace *trace;
static struct trace_summary summary;

static int open_recording(void **state)
{
	struct error error = {0};
	(void)state;
	trace = trace_open_any(RECORDING, NULL, &error);
	assert_string_equal(error.text, "");
	summary = trace_info(trace)->summary;
	return 0;
}

static int close_recording(void **state)
{
	(void)state;
	trace_close(trace);
	return 0;
}

static void test_every_line_is_accounted_for(void **state)
{
	(void)state;
	const uint64_t events = KMALLOC_EVENTS + KFREE_EVENTS + CACHE_ALLOC_EVENTS + CACHE_FREE_EVENTS + PAGE_ALLOC_EVENTS +
	                        PAGE_FREE_EVENTS + BATCHED_EVENTS + INTERNAL_EVENTS;
	assert_int_equal(summary.lines, events + MARKS + HEADER_LINES);
	assert_int_equal(summary.headers, HEADER_LINES);
	assert_int_equal(summary.marks, MARKS);
	assert_int_equal(summary.left_zone_internal, INTERNAL_EVENTS);
	assert_int_equal(summary.left_batched_duplicates, BATCHED_EVENTS);
	assert_int_equal(summary.left_null_frees, KFREE_NULL_EVENTS);
	assert_int_equal(summary.left_slab_pages, SLAB_BLOCKS);
	assert_int_equal(summary.left_slab_page_frees, SLAB_BLOCK_FREES);
	assert_int_equal(summary.events_used,
	                 events - INTERNAL_EVENTS - BATCHED_EVENTS - KFREE_NULL_EVENTS - SLAB_BLOCKS - SLAB_BLOCK_FREES);
	assert_int_equal(summary.lines_damaged + summary.events_unknown + summary.unknown_keys + summary.unknown_gfp_names, 0);
	assert_int_equal(summary.events_lost + summary.time_went_back + summary.left_failed_allocs, 0);
}

static void test_ops_are_the_events(void **state)
{
	uint64_t recorded[OP_KINDS] = {0}, ops = 0, last_ns = 0;
	struct error error = {0};
	struct op batch[1000];
	size_t count;
	(void)state;
	do {
		assert_true(trace_next(trace, batch, 1000, &count, &error));
		for (size_t i = 0; i < count; i++) {
			const struct op *op = &batch[i];
			recorded[op->kind] += op->origin == OP_RECORDED;
			assert_true(op->time_ns >= last_ns || op->origin == OP_BEFORE);
			last_ns = op->time_ns;
			if (op->kind == OP_CACHE_ALLOC)
				assert_int_equal(op->bytes_req, trace_cache(trace, op->cache)->object_size);
		}
		ops += count;
	} while (count > 0);
	assert_true(trace_rewind(trace, &error));
	assert_int_equal(ops, trace_info(trace)->ops);
	assert_int_equal(recorded[OP_CACHE_ALLOC], CACHE_ALLOC_EVENTS);
	assert_int_equal(recorded[OP_KMALLOC], KMALLOC_EVENTS);
	assert_int_equal(recorded[OP_PAGE_ALLOC], PAGE_ALLOC_EVENTS - SLAB_BLOCKS);
	assert_int_equal(recorded[OP_PAGE_FREE], PAGE_FREE_EVENTS - SLAB_BLOCK_FREES);
	assert_int_equal(recorded[OP_MARK], MARKS);
	/* A free of an object whose free was unseen stands before the allocation that takes its place. */
	assert_int_equal(recorded[OP_CACHE_FREE] + recorded[OP_KFREE],
	                 CACHE_FREE_EVENTS + KFREE_EVENTS - KFREE_NULL_EVENTS + summary.reallocated + summary.unseen_frees);
}

/* The sizes that the events tell of a cache are those of the recorded kernel's slab sysfs files. */
static void test_caches_are_the_kernels(void **state)
{
	const struct trace_fact *facts;
	struct fact_caches caches;
	uint32_t compared = 0;
	(void)state;
	struct trace_facts own = {0};
	own.count = trace_facts(trace, &facts);
	own.facts = calloc(own.count, sizeof *own.facts);
	memcpy(own.facts, facts, own.count * sizeof *own.facts);
	fact_caches_read(&caches, &own);
	for (uint32_t i = 0; i < trace_info(trace)->caches; i++) {
		const struct trace_cache *cache = trace_cache(trace, i);
		if (!cache->named)
			continue;
		const struct fact_cache *fact = fact_cache_named(&caches, cache->name);
		assert_non_null(fact);
		assert_int_equal(cache->object_size, fact->object_size);
		assert_int_equal(cache->bytes_alloc, fact->size);
		assert_int_equal(cache->ctor, fact->ctor);
		compared++;
	}
	assert_true(compared >= 30);
	fact_caches_release(&caches);
	free(own.facts);
}

/* nokaslr, classic SPARSEMEM, sizeof(struct page) 64 (facts of the recorded kernel). */
static void test_machine_is_told(void **state)
{
	const struct trace_info *info = trace_info(trace);
	(void)state;
	assert_int_equal(info->cpus, 1);
	assert_int_equal(info->pointer_bits, 64);
	assert_int_equal(info->direct_map, 0xffff888000000000);
	assert_int_equal(info->page_struct_bytes, 64);
	assert_int_equal(info->allocator, RECORDED_SLUB);
	assert_in_range(info->end_pfn, 0x1f000, 0x1ffe0);
	assert_non_null(trace_fact_named(trace, "zoneinfo"));
	assert_non_null(trace_fact_named(trace, "slabinfo.after"));
	/* sha256sum of the file */
	assert_string_equal(info->sha256, "e8a2d0ca75870416c4ae25c3e648407a2026e2d13aa458718b38a4273a8c04f4");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_every_line_is_accounted_for),
	        cmocka_unit_test(test_ops_are_the_events),
	        cmocka_unit_test(test_caches_are_the_kernels),
	        cmocka_unit_test(test_machine_is_told),
	};
	return cmocka_run_group_tests(tests, open_recording, close_recording);
}
