/* SPDX-License-Identifier: MIT
 *
 * test_store.c - the database: what is written is read back, views by hand-worked numbers, equal runs have equal digests, several
 * writers, killed writers, and hosts that refuse.
 */
#include "sim/rng.h"
#include "sim/store.h"
#include "tests/unit/test.h"

#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

struct rig {
	char folder[64];
	char db[80];
};

static int set_up(void **state)
{
	struct rig *rig = xcalloc(1, sizeof *rig);
	strcpy(rig->folder, P_tmpdir "/kmemsim-test-XXXXXX");
	assert_non_null(mkdtemp(rig->folder));
	snprintf(rig->db, sizeof rig->db, "%s/a.db", rig->folder);
	*state = rig;
	return 0;
}

static bool exists_beside(const struct rig *rig, const char *suffix)
{
	char path[96];
	snprintf(path, sizeof path, "%s%s", rig->db, suffix);
	return access(path, F_OK) == 0;
}

static int tear_down(void **state)
{
	struct rig *rig = *state;
	static const char *const suffixes[] = {"", "-wal", "-shm", "-journal"};
	for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
		char path[96];
		snprintf(path, sizeof path, "%s%s", rig->db, suffixes[i]);
		unlink(path);
	}
	rmdir(rig->folder);
	free(rig);
	return 0;
}

static void must(bool ok, const struct error *error)
{
	if (!ok)
		fail_msg("%s", error->text);
}

static struct store *open_store(const struct rig *rig)
{
	struct error error = {0};
	struct store *store = store_open(rig->db, &error);
	must(store, &error);
	return store;
}

static void close_store(struct store *store)
{
	struct error error = {0};
	must(store_close(store, &error), &error);
}

static int64_t begin(struct store *store, const char *allocator)
{
	struct error error = {0};
	const struct store_run run = {.label = "test", .allocator = allocator, .seed = UINT64_MAX, .compiler = "cc", .cpus = 2};
	int64_t id = 0;
	must(store_run_begin(store, &run, &id, &error), &error);
	return id;
}

static void end(struct store *store, int64_t run)
{
	struct error error = {0};
	const struct store_end row = {.status = "complete", .ops = 10, .wall_s = 1.5};
	must(store_run_end(store, run, &row, &error), &error);
}

/* The first column of a query's rows, joined by spaces. */
struct answer {
	char text[4096];
	size_t length, rows;
};

static bool add_answer(void *context, const struct store_row *row, struct error *error)
{
	(void)error;
	struct answer *answer = context;
	for (size_t column = 0; column < row->columns; column++) {
		const struct store_value *value = &row->values[column];
		char text[1024];
		switch (value->kind) {
		case STORE_INTEGER:
			snprintf(text, sizeof text, "%" PRId64, value->integer);
			break;
		case STORE_REAL:
			snprintf(text, sizeof text, "%g", value->real);
			break;
		default:
			snprintf(text, sizeof text, "%s", value->kind == STORE_TEXT ? value->text : "NULL");
			break;
		}
		answer->length += (size_t)snprintf(answer->text + answer->length, sizeof answer->text - answer->length, "%s%s",
		                                   answer->length ? " " : "", text);
		assert_true(answer->length < sizeof answer->text);
	}
	answer->rows++;
	return true;
}

static void assert_answer(struct store *store, const char *sql, const char *expected)
{
	struct error error = {0};
	struct answer answer = {0};
	must(store_query(store, sql, NULL, 0, add_answer, &answer, &error), &error);
	assert_string_equal(answer.text, expected);
}

static void sample(struct store *store, int64_t run, uint32_t number, const struct store_sample *row)
{
	struct error error = {0};
	must(store_sample(store, run, number, row, &error), &error);
}

static void zone(struct store *store, int64_t run, uint32_t number, const struct zone_view *view)
{
	struct error error = {0};
	must(store_sample_zone(store, run, number, view, &error), &error);
}

/* Would catch: columns bound in the wrong order, NULL for what is not known, names that are no UTF-8. */
static void test_rows_are_read_back(void **state)
{
	const struct rig *rig = *state;
	struct error error = {0};
	struct store *store = open_store(rig);
	int64_t run = begin(store, "slub");
	static const struct metric metric = {"alloc_fastpath", "1", METRIC_COUNTER, "Allocations from the cpu slab", 0};
	must(store_metric(store, run, "slub", &metric, 41, &error), &error);
	must(store_metric(store, run, "slub", &metric, 42, &error), &error);
	must(store_snapshot(store, run, "buddyinfo", 0, "Node 0, zone DMA 1 2\n", &error), &error);
	const struct store_cache cache = {.view = {.name = "dentry\xff",
	                                           .object_size = 1,
	                                           .size = 2,
	                                           .align = 3,
	                                           .flags = 4,
	                                           .objects_per_slab = 5,
	                                           .pages_per_slab = 6,
	                                           .active_objects = 7,
	                                           .total_objects = 8,
	                                           .active_slabs = 9,
	                                           .slabs = 10,
	                                           .limit = 11,
	                                           .batchcount = 12,
	                                           .shared = 13,
	                                           .shared_available = 14,
	                                           .live_objects = 15,
	                                           .kmalloc = true},
	                                  .slabs_peak = 16,
	                                  .total_allocs = 17,
	                                  .total_frees = 18,
	                                  .bytes_req = 19,
	                                  .bytes_alloc = 20,
	                                  .live_bytes_req = 21,
	                                  .live_bytes_alloc = 22,
	                                  .recorded_slabs = -1};
	must(store_cache(store, run, &cache, &error), &error);
	must(store_cache(store, run, &cache, &error), &error);
	sample(store, run, 3, &(struct store_sample){.time_ns = 5});
	must(store_sample_order(store, run, 3, 9, 12, 4, &error), &error);
	const struct store_lock lock = {"zone->lock", 0xffff888000001000, 3, 2, 1, 100, 140};
	must(store_lock(store, run, &lock, &error), &error);
	must(store_line(store, run, &(struct store_line){"qnodes", 0xffffc88000001040, 0x41000, 1, 20, 30, 4, 3, 2, true},
	                &error),
	     &error);
	must(store_line(store, run, &(struct store_line){"page tables", 0, 0x42000, 5, 6, 41, 8, 2, 1, false}, &error), &error);
	const struct store_wrong_op wrong = {7, 0, "kfree", "double free"};
	must(store_wrong_op(store, run, &wrong, &error), &error);
	end(store, run);
	assert_answer(store, "SELECT id, label, allocator, status, seed, cpus, ops, machine, peak_pages FROM run",
	              "1 test slub complete 18446744073709551615 2 10 NULL NULL");
	assert_answer(store, "SELECT * FROM metric", "1 slub alloc_fastpath 42 1 counter Allocations from the cpu slab");
	assert_answer(store, "SELECT * FROM sample_order", "1 3 9 12 4");
	assert_answer(store, "SELECT * FROM snapshot", "1 buddyinfo 0 Node 0, zone DMA 1 2\n");
	assert_answer(
	        store,
	        "SELECT nr, name, object_size, size, align, flags, objects_per_slab, pages_per_slab, active_objects, "
	        "total_objects,"
	        " active_slabs, slabs, tunable_limit, tunable_batchcount, tunable_shared, shared_available, live_objects, "
	        "kmalloc,"
	        " slabs_peak, total_allocs, total_frees, bytes_req, bytes_alloc, live_bytes_req, live_bytes_alloc, recorded_slabs"
	        " FROM cache WHERE nr = 1",
	        "1 dentry? 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 1 16 17 18 19 20 21 22 NULL");
	assert_answer(store, "SELECT * FROM lock", "1 0xffff888000001000 zone->lock 3 2 1 100 140");
	assert_answer(store, "SELECT * FROM line",
	              "1 0x0000000000041000 0xffffc88000001040 qnodes 1 20 30 4 3 2 1 "
	              "1 0x0000000000042000 NULL page tables 5 6 41 8 2 1 0");
	/* The most events first, transfers and invalidations alike: 52 before 51; where no core named it, the physical address.
	 */
	assert_answer(store, "SELECT name, address, transfers, false_sharing FROM v_line",
	              "page tables 0x0000000000042000 11 0 qnodes 0xffffc88000001040 21 1");
	assert_answer(store, "SELECT * FROM wrong_op", "1 0 7 NULL kfree double free");
	close_store(store);
}

/*
 * Two paths of one cache: 3 ops of 10 cycles (6 of instructions, 4 of the first level), 1 op of 130 (10, 100 of memory, 20 of a
 * lock). Together 160 cycles, 40 an op. Two rows of a call site add up.
 * Would catch: parts in the wrong columns, means of means, a kind of op that is left out or taken in.
 */
static void test_costs(void **state)
{
	struct error error = {0};
	struct store *store = open_store(*state);
	int64_t run = begin(store, "slub");
	struct histogram fast = {0}, slow = {0};
	for (unsigned i = 0; i < 3; i++)
		histogram_add(&fast, 10);
	histogram_add(&slow, 130);
	const struct cost fast_cost = {.cycles = {[COST_COMPUTE] = 18, [COST_L1] = 12}};
	const struct cost slow_cost = {.cycles = {[COST_COMPUTE] = 10, [COST_DRAM] = 100, [COST_LOCK] = 20}};
	must(store_op_cost(store, run, &(struct store_op_cost){"alloc", "dentry", "fast", 7, &fast, &fast_cost}, &error), &error);
	must(store_op_cost(store, run, &(struct store_op_cost){"free", "dentry", "pages", 7, &slow, &slow_cost}, &error), &error);
	must(store_op_cost(store, run, &(struct store_op_cost){"page_free", "", "fast", 0, &slow, &slow_cost}, &error), &error);
	for (unsigned i = 0; i < 2; i++)
		must(store_site_cost(store, run, &(struct store_site_cost){"alloc", "d_alloc", 3, &fast_cost}, &error), &error);
	end(store, run);
	assert_answer(store, "SELECT cost_mean, cost_compute, cost_l1, cost_dram, cost_lock, cost_tlb, cost_ipi FROM v_compare",
	              "40 7 3 25 5 0 0");
	assert_answer(
	        store,
	        "SELECT path, ops, mean, median, p99, compute, l1, lock FROM v_op_cost WHERE kind != 'page_free' ORDER BY kind",
	        "fast 3 10 10 10 6 4 0 pages 1 130 130 130 10 0 20");
	assert_answer(store, "SELECT part, cycles_per_op FROM v_cost_stack WHERE kind = 'free' AND cycles > 0 ORDER BY position",
	              "compute 10 dram 100 lock 20");
	assert_answer(store, "SELECT ops, cycles, compute, l1 FROM site_cost", "6 60 36 24");
	close_store(store);
}

/*
 * Free blocks 4 of order 0, 1 of order 2, 1 of order 10: 1032 pages. Of them 1028 lie in blocks of order 1 and above, so the
 * index of order 1 is 4 * 1000 / 1032 = 3; from order 3 on 8 * 1000 / 1032 = 7. A zone with nothing free has 1000 (mm/vmstat.c,
 * unusable_free_index). Would catch: rounding up, suitable blocks counted as blocks, zones mixed up.
 */
static void test_unusable_index(void **state)
{
	struct store *store = open_store(*state);
	int64_t run = begin(store, "slub");
	const struct store_sample row = {.time_ns = 5};
	sample(store, run, 0, &row);
	struct zone_view view = {.name = "DMA", .free_pages = 1032};
	view.free_blocks[0][MIGRATE_UNMOVABLE] = 3;
	view.free_blocks[0][MIGRATE_HIGHATOMIC] = 1;
	view.free_blocks[2][MIGRATE_RECLAIMABLE] = 1;
	view.free_blocks[10][MIGRATE_MOVABLE] = 1;
	zone(store, run, 0, &view);
	const struct zone_view empty = {.name = "Normal"};
	zone(store, run, 0, &empty);
	assert_answer(store, "SELECT unusable_index FROM v_fragmentation WHERE zone = 'DMA' ORDER BY page_order",
	              "0 3 3 7 7 7 7 7 7 7 7");
	assert_answer(store, "SELECT DISTINCT unusable_index FROM v_fragmentation WHERE zone = 'Normal'", "1000");
	assert_answer(store, "SELECT unusable_index FROM v_fragmentation_machine ORDER BY page_order", "0 3 3 7 7 7 7 7 7 7 7");
	assert_answer(store, "SELECT unusable_index_0, unusable_index_2, unusable_index_10 FROM v_compare", "0 3 7");
	assert_answer(store,
	              "SELECT unmovable, movable, reclaimable, highatomic FROM v_free_blocks WHERE zone = 'DMA' AND page_order "
	              "IN (0, 2, 10)",
	              "3 0 0 1 0 0 1 0 0 1 0 0");
	assert_answer(store, "SELECT DISTINCT free_pages FROM v_fragmentation WHERE zone = 'DMA'", "1032");
	close_store(store);
}

/* Worked by hand. Would catch: totals over samples instead of the last, large kmallocs forgotten, perf's percentage upside down.
 */
static void test_compare(void **state)
{
	struct error error = {0};
	struct store *store = open_store(*state);
	int64_t run = begin(store, "slab");
	const struct store_sample peak = {.pages_slab = 90, .pages_kmalloc_large = 2};
	const struct store_sample last = {
	        .pages_slab = 10, .pages_kmalloc_large = 1, .bytes_req = 30000, .bytes_alloc = 40000, .live_objects = 3};
	sample(store, run, 0, &peak);
	sample(store, run, 1, &last);
	const struct store_call_site one = {.call_site = "a+0x1", .hit = 2, .ping_pong = 1, .bytes_req = 50, .bytes_alloc = 64};
	const struct store_call_site two = {.call_site = "b+0x2", .hit = 1, .bytes_req = 25, .bytes_alloc = 36};
	must(store_call_site(store, run, &one, &error), &error);
	must(store_call_site(store, run, &two, &error), &error);
	must(store_call_site(store, run, &one, &error), &error);
	const struct store_cache cache = {
	        .view = {.name = "a", .slabs = 3, .pages_per_slab = 2}, .live_bytes_req = 4000, .live_bytes_alloc = 5000};
	must(store_cache(store, run, &cache, &error), &error);
	const struct store_cache pooled = {.view = {.name = "b"}, .live_bytes_req = 100, .live_bytes_alloc = 120};
	must(store_cache(store, run, &pooled, &error), &error);
	assert_answer(store,
	              "SELECT allocations, ping_pong, total_bytes_requested, total_bytes_allocated, total_bytes_wasted, "
	              "peak_pages, final_pages,"
	              " slabs, live_objects, waste_in_objects, waste_in_slabs FROM v_compare",
	              "5 2 125 164 39 92 11 3 3 10000 5056");
	assert_answer(store, "SELECT round(internal_fragmentation, 4) FROM v_compare", "23.7805"); /* 100 - 100 * 125 / 164 */
	assert_answer(store,
	              "SELECT callsite, total_alloc, alloc_per, total_req, req_per, hit, ping_pong, frag, waste FROM "
	              "v_callsite_waste LIMIT 1",
	              "a+0x1 128 32 100 25 4 2 21.875 28");
	assert_answer(store, "SELECT bytes_held, waste_in_objects, waste_in_slabs, waste FROM v_cache_waste ORDER BY nr",
	              "24576 1000 19576 20576 0 20 NULL 20");
	const struct store_end row = {.status = "complete", .peak_pages = 95};
	must(store_run_end(store, run, &row, &error), &error);
	assert_answer(store, "SELECT peak_pages FROM v_compare", "95");
	close_store(store);
}

/*
 * Worked by hand: 1000 accesses, 300 misses, 90 of them re-misses: index 0.09; between the samples 400 accesses with 200 misses
 * are 500 per thousand. Would catch: sums instead of differences between samples, an index of levels that were not watched.
 */
static void test_levels(void **state)
{
	struct error error = {0};
	struct store *store = open_store(*state);
	int64_t run = begin(store, "slub");
	const struct store_level stlb = {.level = "stlb",
	                                 .port = "tlb",
	                                 .position = 4,
	                                 .instances = 2,
	                                 .entries = 1536,
	                                 .ways = 12,
	                                 .unit_bytes = 4096,
	                                 .reach_bytes = 6291456,
	                                 .accesses = 1000,
	                                 .misses = 300,
	                                 .evictions = 250,
	                                 .watched = true,
	                                 .thrash_window = 1536,
	                                 .unused_evictions = 20,
	                                 .remisses = 90,
	                                 .ping_pong_blocks = 3};
	const struct store_level llc = {.level = "llc", .port = "cache", .position = 3, .accesses = 0};
	must(store_level(store, run, &stlb, &error) && store_level(store, run, &llc, &error), &error);
	const struct store_level_kind walk = {"stlb", "load", 4096, 1000, 700, 300, 250, 0};
	must(store_level_kind(store, run, &walk, &error), &error);
	const struct store_level_sample first = {"stlb", 600, 5, 600, 100}, second = {"stlb", 1000, 9, 1000, 300};
	must(store_level_sample(store, run, 0, &first, &error) && store_level_sample(store, run, 1, &second, &error), &error);
	const struct store_level_share share = {"stlb", "region", "vmalloc", 100, 75};
	must(store_level_share(store, run, &share, &error), &error);
	const struct store_walk_reference reference = {"PTE", "l2", 17};
	must(store_walk_reference(store, run, &reference, &error), &error);
	assert_answer(store, "SELECT level, hits, miss_ratio, thrash_index, unused_evictions FROM v_level ORDER BY position",
	              "llc 0 0 NULL NULL stlb 700 0.3 0.09 20");
	assert_answer(store, "SELECT * FROM level_kind", "1 stlb 4096 load 1000 700 300 250 0");
	assert_answer(store,
	              "SELECT position, accesses_since, misses_since, misses_per_thousand FROM v_level_sample ORDER BY sample",
	              "600 600 100 166.667 1000 400 200 500");
	assert_answer(store, "SELECT level, by, name, miss_ratio FROM v_level_share", "stlb region vmalloc 0.75");
	assert_answer(store, "SELECT * FROM walk_reference", "1 PTE l2 17");
	close_store(store);
}

/*
 * Would catch: a ratio of the wrong accesses, sets taken for entries, a second row of a size that is refused, an estimate that
 * looks exact, machines of one name that collide, rows of a curve that outlive their run.
 */
static void test_curves(void **state)
{
	struct error error = {0};
	struct store *store = open_store(*state);
	const int64_t run = begin(store, NULL);
	const struct store_curve curve = {.port = "cache",
	                                  .kinds = "data",
	                                  .unit_bytes = 64,
	                                  .records = 900,
	                                  .accesses = 1000,
	                                  .blocks = 5,
	                                  .sampled = true,
	                                  .sampled_blocks = 3,
	                                  .sampled_accesses = 80,
	                                  .rate_ppb = 500000000};
	const struct store_curve_size sizes[] = {{1, 4, 300, true, 20}, {1, 4, 250, false, 7}, {16, 2, 125, false, 0}};
	const struct store_curve_distance distances[] = {{0, 0, 500}, {1, 1, 0}, {2, 3, 250}};
	const struct store_curve_machine machines[] = {{"pc", "l1d", 512, 8, 1000, 10}, {"pc", "l1d", 512, 8, 400, 10}};
	bool stored = store_curve(store, run, &curve, &error);
	for (size_t i = 0; i < 3; i++)
		stored = stored && store_curve_size(store, run, &sizes[i], &error) &&
		         store_curve_distance(store, run, &distances[i], &error);
	for (size_t i = 0; i < 2; i++)
		stored = stored && store_curve_machine(store, run, &machines[i], &error);
	must(stored, &error);
	assert_answer(store, "SELECT port, kinds, records, sampled_blocks, rate_ppb FROM curve", "cache data 900 3 500000000");
	assert_answer(store, "SELECT sets, ways, entries, bytes, misses, miss_ratio, standard_error FROM v_curve ORDER BY sets",
	              "1 4 4 256 250 0.25 NULL 16 2 32 2048 125 0.125 NULL");
	assert_answer(store, "SELECT lowest, highest, share, share_up_to FROM v_curve_distance ORDER BY lowest",
	              "0 0 0.5 0.5 1 1 0 0.5 2 3 0.25 0.75");
	assert_answer(store, "SELECT nr, level, bytes, miss_ratio, sees_all FROM v_curve_machine ORDER BY nr",
	              "0 l1d 32768 0.01 1 1 l1d 32768 0.025 0");
	must(store_close(store, &error), &error);
}

/* A law: the view's quantiles are those of histogram_quantile(). Would catch: another rounding of the rank. */
static void test_quantiles(void **state)
{
	struct error error = {0};
	struct store *store = open_store(*state);
	int64_t run = begin(store, "slub");
	struct rng rng;
	rng_init(&rng, 1, "quantiles");
	for (unsigned count = 1; count <= 1500; count += 107) {
		struct histogram histogram = {0};
		for (unsigned i = 0; i < count; i++)
			histogram_add(&histogram, rng_below(&rng, 1u << (1 + rng_below(&rng, 20))));
		char name[32], sql[128], expected[96];
		snprintf(name, sizeof name, "h%u", count);
		must(store_histogram(store, run, name, "cycles", &histogram, &error), &error);
		snprintf(sql, sizeof sql, "SELECT count, min, median, p90, p99, max FROM v_histogram WHERE name = '%s'", name);
		snprintf(expected, sizeof expected, "%u %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64, count,
		         histogram.min, histogram_quantile(&histogram, 500), histogram_quantile(&histogram, 900),
		         histogram_quantile(&histogram, 990), histogram.max);
		assert_answer(store, sql, expected);
	}
	close_store(store);
}

struct variant {
	bool backwards; /* rows in another order */
	bool flushed;   /* each row in a batch of its own */
	uint64_t bytes; /* of a sample */
	const char *trace, *compiler;
	double wall_s;
};

/* Fills a fresh database and takes its digest. */
static void digest_of(const struct rig *rig, const struct variant *variant, char digest[65])
{
	struct error error = {0};
	unlink(rig->db);
	struct store *store = open_store(rig);
	const struct store_run run = {
	        .allocator = "slub", .trace = variant->trace, .trace_sha256 = "ab", .compiler = variant->compiler};
	int64_t id;
	must(store_run_begin(store, &run, &id, &error), &error);
	for (uint32_t i = 0; i < 20; i++) {
		uint32_t number = variant->backwards ? 19 - i : i;
		const struct store_sample row = {.time_ns = number, .bytes_req = number == 7 ? variant->bytes : 0};
		sample(store, id, number, &row);
		if (variant->flushed)
			must(store_flush(store, &error), &error);
	}
	const struct store_end row = {.status = "complete", .wall_s = variant->wall_s, .replay_wall_s = variant->wall_s};
	must(store_run_end(store, id, &row, &error), &error);
	must(store_digest(store, digest, &error), &error);
	close_store(store);
}

/* Would catch: a digest that depends on the clock, the compiler or the order of writing, or that overlooks a number. */
static void test_digest(void **state)
{
	const struct variant plain = {.bytes = 5, .trace = "a/t", .compiler = "gcc", .wall_s = 1};
	const struct variant same = {
	        .backwards = true, .flushed = true, .bytes = 5, .trace = "b/t", .compiler = "clang", .wall_s = 2};
	const struct variant other = {.bytes = 6, .trace = "a/t", .compiler = "gcc", .wall_s = 1};
	char digests[3][65];
	digest_of(*state, &plain, digests[0]);
	digest_of(*state, &same, digests[1]);
	digest_of(*state, &other, digests[2]);
	assert_int_equal(strlen(digests[0]), 64);
	assert_string_equal(digests[0], digests[1]);
	assert_string_not_equal(digests[0], digests[2]);
}

static void write_file(const char *path, const char *bytes, size_t length)
{
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, length, file), length);
	fclose(file);
}

static void patch_file(const char *path, long offset, const char *bytes, size_t length)
{
	FILE *file = fopen(path, "r+");
	assert_non_null(file);
	assert_int_equal(fseek(file, offset, SEEK_SET), 0);
	assert_int_equal(fwrite(bytes, 1, length, file), length);
	fclose(file);
}

static void assert_refused(const char *path, bool writing, enum error_kind kind, const char *words)
{
	struct error error = {0};
	struct store *store = writing ? store_open(path, &error) : store_open_readonly(path, &error);
	assert_null(store);
	assert_int_equal(error.kind, kind);
	if (!strstr(error.text, words))
		fail_msg("'%s' does not say '%s'", error.text, words);
}

/* Would catch: a foreign file taken over or damaged, and errors that do not say what is wrong. */
static void test_foreign_files_are_refused(void **state)
{
	const struct rig *rig = *state;
	const char text[] =
	        "This is a text and no database at all. It is longer than a header of SQLite, which has one hundred bytes.";
	write_file(rig->db, text, sizeof text);
	assert_refused(rig->db, true, ERROR_INPUT, "not a database");
	assert_refused(rig->db, false, ERROR_INPUT, "not a database");
	char found[sizeof text];
	FILE *file = fopen(rig->db, "r");
	assert_int_equal(fread(found, 1, sizeof found, file), sizeof found);
	fclose(file);
	assert_memory_equal(found, text, sizeof text);
	unlink(rig->db);

	assert_refused(rig->db, false, ERROR_HOST, "cannot be read");
	assert_refused(rig->folder, true, ERROR_HOST, "a folder");
	assert_refused("/dev/null", true, ERROR_HOST, "no regular file");
	assert_refused("/nonexistent/a.db", true, ERROR_HOST, "cannot be made in the folder /nonexistent/: No such file");

	/* The file header holds user_version at byte 60 and application_id at byte 68, high byte first. */
	close_store(open_store(rig));
	patch_file(rig->db, 60, "\0\0\0\x63", 4);
	assert_refused(rig->db, true, ERROR_INPUT, "version 99");
	assert_refused(rig->db, false, ERROR_INPUT, "version 99");
	patch_file(rig->db, 68, "abcd", 4);
	assert_refused(rig->db, true, ERROR_INPUT, "not one of kmemsim");
}

/* Would catch: a counter that ran below zero stored as a negative number. */
static void test_too_large_numbers_are_refused(void **state)
{
	struct store *store = open_store(*state);
	int64_t run = begin(store, "slub");
	struct error error = {0};
	const struct store_sample row = {.bytes_req = (uint64_t)-1};
	assert_false(store_sample(store, run, 0, &row, &error));
	assert_int_equal(error.kind, ERROR_INPUT);
	const struct store_sample fits = {.bytes_req = INT64_MAX};
	sample(store, run, 0, &fits);
	assert_answer(store, "SELECT bytes_req FROM sample", "9223372036854775807");
	close_store(store);
}

/* Would catch: a query that changes the database, rows without a run. */
static void test_queries_only_read_and_rows_need_a_run(void **state)
{
	struct store *store = open_store(*state);
	struct error error = {0};
	struct answer answer = {0};
	begin(store, "slub");
	assert_false(store_query(store, "DELETE FROM run", NULL, 0, add_answer, &answer, &error));
	assert_int_equal(error.kind, ERROR_USAGE);
	assert_answer(store, "SELECT count(*) FROM run", "1");
	memset(&error, 0, sizeof error);
	const struct store_sample row = {0};
	assert_true(store_sample(store, 77, 0, &row, &error));
	assert_false(store_flush(store, &error));
	assert_non_null(strstr(error.text, "FOREIGN KEY"));
	close_store(store);
}

static void assert_sound(struct store *store)
{
	assert_answer(store, "PRAGMA integrity_check", "ok");
	assert_answer(store, "SELECT count(*) FROM pragma_foreign_key_check", "0");
}

/* A child that does `work` and exits with 0 if it went well. */
static pid_t start(void (*work)(const struct rig *, unsigned), const struct rig *rig, unsigned number)
{
	fflush(NULL);
	pid_t child = fork();
	assert_true(child >= 0);
	if (child > 0)
		return child;
	work(rig, number);
	_exit(0);
}

static void child_must(bool ok, const struct error *error)
{
	if (!ok) {
		fprintf(stderr, "child: %s\n", error->text);
		_exit(1);
	}
}

#define WRITERS 5
#define SAMPLES 600

/* Opens, begins a run, writes samples in many small batches, ends the run. */
static void writer(const struct rig *rig, unsigned number)
{
	struct error error = {0};
	struct store *store = store_open(rig->db, &error);
	child_must(store, &error);
	const struct store_run run = {.allocator = "slub", .seed = number};
	int64_t id = 0;
	child_must(store_run_begin(store, &run, &id, &error), &error);
	for (uint32_t i = 0; i < SAMPLES; i++) {
		const struct store_sample row = {.time_ns = number};
		child_must(store_sample(store, id, i, &row, &error), &error);
		if (i % 20 == 0)
			child_must(store_flush(store, &error), &error);
	}
	const struct store_end row = {.status = "complete"};
	child_must(store_run_end(store, id, &row, &error), &error);
	child_must(store_close(store, &error), &error);
}

/* Would catch: "database is locked" between writers, tables made twice, rows lost, -wal and -shm left behind. */
static void test_several_processes_write_at_once(void **state)
{
	const struct rig *rig = *state;
	pid_t children[WRITERS];
	for (unsigned i = 0; i < WRITERS; i++)
		children[i] = start(writer, rig, i);
	for (unsigned i = 0; i < WRITERS; i++) {
		int status;
		assert_int_equal(waitpid(children[i], &status, 0), children[i]);
		assert_int_equal(status, 0);
	}
	assert_false(exists_beside(rig, "-wal"));
	assert_false(exists_beside(rig, "-shm"));
	assert_false(exists_beside(rig, "-journal"));
	struct error error = {0};
	struct store *store = store_open_readonly(rig->db, &error);
	must(store, &error);
	assert_answer(store, "SELECT count(*), count(DISTINCT seed), sum(status = 'complete') FROM run", "5 5 5");
	assert_answer(store, "SELECT count(*), sum(sample), count(DISTINCT time_ns) FROM sample", "3000 898500 5");
	assert_sound(store);
	close_store(store);
	assert_false(exists_beside(rig, "-wal"));
}

/* Writes samples for ever; after each flush tells through the pipe how many are safe. */
static void endless_writer(const struct rig *rig, unsigned pipe_end)
{
	struct error error = {0};
	struct store *store = store_open(rig->db, &error);
	child_must(store, &error);
	const struct store_run run = {.allocator = "slub"};
	int64_t id = 0;
	child_must(store_run_begin(store, &run, &id, &error), &error);
	for (uint32_t i = 0;; i++) {
		const struct store_sample row = {.bytes_req = i};
		const struct zone_view view = {.name = "DMA"};
		child_must(store_sample(store, id, i, &row, &error), &error);
		child_must(store_sample_zone(store, id, i, &view, &error), &error);
		if (i % 10 != 9)
			continue;
		child_must(store_flush(store, &error), &error);
		uint32_t safe = i + 1;
		if (write((int)pipe_end, &safe, sizeof safe) != sizeof safe)
			_exit(1);
	}
}

static uint32_t last_told(int pipe_end)
{
	uint32_t safe = 0, told;
	while (read(pipe_end, &told, sizeof told) == sizeof told)
		safe = told;
	return safe;
}

/* Would catch: a database that does not open after kill -9, samples that were told safe and are gone, a lock that stays. */
static void test_a_killed_writer_loses_nothing_written(void **state)
{
	const struct rig *rig = *state;
	struct rng rng;
	rng_init(&rng, 1, "kill");
	for (int round = 0; round < 25; round++) {
		int ends[2];
		assert_int_equal(pipe(ends), 0);
		pid_t child = start(endless_writer, rig, (unsigned)ends[1]);
		close(ends[1]);
		usleep(rng_below(&rng, 12000));
		kill(child, SIGKILL);
		int status;
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_true(WIFSIGNALED(status));
		uint32_t safe = last_told(ends[0]);
		close(ends[0]);
		if (!exists_beside(rig, "") || safe == 0)
			continue;
		struct error error = {0};
		struct store *store = store_open_readonly(rig->db, &error);
		must(store, &error);
		assert_sound(store);
		char sql[256];
		snprintf(sql, sizeof sql,
		         "SELECT count(*) >= %u, count(*) = max(sample) + 1, min(status) FROM sample JOIN run ON id = run_id"
		         " WHERE run_id = (SELECT max(id) FROM run)",
		         safe);
		assert_answer(store, sql, "1 1 running");
		close_store(store);
	}
	/* The next writer goes on in the same file and leaves it whole. */
	struct store *store = open_store(rig);
	end(store, begin(store, "slab"));
	assert_sound(store);
	close_store(store);
	assert_false(exists_beside(rig, "-wal"));
}

/* Writes until the host refuses; the refusal must be told as an error, with a reason. Exits with 0 if it is. */
static void write_until_refused(const struct rig *rig, const char *words)
{
	struct error error = {0};
	struct store *store = store_open(rig->db, &error);
	int64_t id = 0;
	const struct store_run run = {.allocator = "slub"};
	bool ok = store && store_run_begin(store, &run, &id, &error);
	for (uint32_t i = 0; ok && i < 1000000; i++) {
		const struct store_sample row = {.bytes_req = INT64_MAX};
		ok = store_sample(store, id, i, &row, &error);
	}
	if (ok || error.kind != ERROR_HOST || !strstr(error.text, words)) {
		fprintf(stderr, "the host's refusal was told as '%s'\n", error.text);
		_exit(1);
	}
	struct error ignored = {0};
	store_close(store, &ignored);
	_exit(0);
}

static void fill_to_limit(const struct rig *rig, unsigned bytes)
{
	signal(SIGXFSZ, SIG_IGN);
	const struct rlimit limit = {bytes, bytes};
	setrlimit(RLIMIT_FSIZE, &limit);
	write_until_refused(rig, "File too large");
}

static void assert_child_ends_well(pid_t child)
{
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* Would catch: a crash or an endless loop where a file may not grow, and a database that is damaged by it. */
static void test_a_file_that_may_not_grow(void **state)
{
	const struct rig *rig = *state;
	assert_child_ends_well(start(fill_to_limit, rig, 700000));
	struct error error = {0};
	struct store *store = store_open_readonly(rig->db, &error);
	must(store, &error);
	assert_sound(store);
	assert_answer(store, "SELECT count(*) FROM run", "1");
	close_store(store);
	/* Not even room for the tables. */
	tear_down(&(void *){memcpy(xcalloc(1, sizeof *rig), rig, sizeof *rig)});
	assert_int_equal(mkdir(rig->folder, 0700), 0);
	assert_child_ends_well(start(fill_to_limit, rig, 8192));
}

/* In a name space of its own, where it may mount; 77: it may not. */
static void fill_small_disk(const struct rig *rig, unsigned number)
{
	(void)number;
	if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
	    mount("none", rig->folder, "tmpfs", 0, "size=600k") != 0)
		_exit(77);
	write_until_refused(rig, "full");
}

/* Would catch: a crash (SIGBUS in the shared-memory file) or a hang on a full disk. */
static void test_a_full_disk(void **state)
{
	pid_t child = start(fill_small_disk, *state, 0);
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
		skip();
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* As a user who may not write; reading must work all the same. */
static void use_unwritable(const struct rig *rig, unsigned number)
{
	(void)number;
	struct error error = {0}, refused = {0};
	if (geteuid() == 0 && setuid(65534) != 0)
		_exit(1);
	struct store *store = store_open_readonly(rig->db, &error);
	child_must(store, &error);
	struct answer answer = {0};
	child_must(store_query(store, "SELECT count(*) FROM run", NULL, 0, add_answer, &answer, &error), &error);
	child_must(store_close(store, &error), &error);
	store = store_open(rig->db, &refused);
	if (store || refused.kind != ERROR_HOST || !strstr(refused.text, "read-only") || strcmp(answer.text, "1") != 0) {
		fprintf(stderr, "child: '%s', '%s'\n", refused.text, answer.text);
		_exit(1);
	}
	char beside[300];
	struct error no_room = {0};
	snprintf(beside, sizeof beside, "%s/new.db", rig->folder);
	if (store_open(beside, &no_room) || !strstr(no_room.text, "Permission denied")) {
		fprintf(stderr, "child: '%s'\n", no_room.text);
		_exit(1);
	}
}

/* Would catch: a new database refused as a file that is not there, a report that needs to write beside its database, and a run
 * that finds out at its end that it cannot be written.
 */
static void test_a_database_that_cannot_be_written(void **state)
{
	const struct rig *rig = *state;
	struct store *store = open_store(rig);
	begin(store, "slub");
	close_store(store);
	/* Bytes 18 and 19 of the header: 2 is WAL, as a copy of a database in use has it. */
	for (int wal = 0; wal < 2; wal++) {
		if (wal)
			patch_file(rig->db, 18, "\2\2", 2);
		assert_int_equal(chmod(rig->db, 0444), 0);
		assert_int_equal(chmod(rig->folder, 0555), 0);
		pid_t child = start(use_unwritable, rig, 0);
		int status;
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_int_equal(chmod(rig->folder, 0700), 0);
		assert_int_equal(chmod(rig->db, 0644), 0);
		assert_int_equal(status, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(test_rows_are_read_back, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(test_costs, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(test_unusable_index, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(test_levels, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(test_curves, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(test_compare, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(test_quantiles, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(test_digest, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(test_foreign_files_are_refused, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(test_too_large_numbers_are_refused, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(test_queries_only_read_and_rows_need_a_run, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(test_several_processes_write_at_once, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(test_a_killed_writer_loses_nothing_written, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(test_a_file_that_may_not_grow, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(test_a_full_disk, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(test_a_database_that_cannot_be_written, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
