/* SPDX-License-Identifier: MIT
 *
 * test_stack_distance.c - stack distances against a list that is searched from the top, set stacks against a direct simulation of
 * each associativity, SHARDS against the exact curve.
 */
#include "tests/unit/test.h"

#include "sim/port/access_source.h"
#include "sim/rng.h"
#include "sim/set_stacks.h"
#include "sim/shards.h"
#include "sim/stack_distance.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The second model: all blocks ever seen in recency order. */
struct list {
	uint64_t blocks[32768];
	size_t count;
};

static uint64_t list_access(struct list *list, uint64_t block)
{
	size_t at = 0;
	while (at < list->count && list->blocks[at] != block)
		at++;
	bool cold = at == list->count;
	list->count += cold;
	assert_true(list->count <= sizeof list->blocks / sizeof list->blocks[0]);
	memmove(&list->blocks[1], &list->blocks[0], at * sizeof list->blocks[0]);
	list->blocks[0] = block;
	return cold ? STACK_COLD : at;
}

static void list_remove(struct list *list, uint64_t block)
{
	size_t at = 0;
	while (list->blocks[at] != block)
		at++;
	memmove(&list->blocks[at], &list->blocks[at + 1], (--list->count - at) * sizeof list->blocks[0]);
}

/* Streams that hurt: every distance; always the oldest; up and down; few blocks; wide jumps whose table entries collide. */
enum stream { RANDOM, CYCLE, ZIGZAG, HOT, STRIDES, EXTREMES, WIDE, STREAMS };

static uint64_t stream_block(enum stream stream, uint64_t step, struct rng *rng)
{
	switch (stream) {
	case RANDOM:
		return rng_below(rng, 1500);
	case CYCLE:
		return step % 1025;
	case ZIGZAG:
		return step / 600 % 2 ? 599 - step % 600 : step % 600;
	case HOT:
		return rng_below(rng, 16) ? rng_below(rng, 9) : rng_below(rng, 3000);
	case WIDE:
		return rng_below(rng, 2) ? rng_below(rng, 30000) : step % 30000;
	case STRIDES:
		return (uint64_t)rng_below(rng, 700) << 40;
	default:
		return rng_below(rng, 2) ? UINT64_MAX - 1 - rng_below(rng, 300) : rng_below(rng, 300);
	}
}

/* Would catch: a slot counted twice, an order lost when slots are numbered anew, a group closed wrongly, a stale front entry. */
static void distances_are_those_of_a_list(void **state)
{
	(void)state;
	for (enum stream stream = 0; stream < STREAMS; stream++) {
		struct rng rng;
		rng_init(&rng, stream, "stream");
		static struct list list;
		list.count = 0;
		struct stack_distance *stack = stack_distance_create();
		for (uint64_t step = 0; step < 20000; step++) {
			uint64_t block = stream_block(stream, step, &rng);
			assert_int_equal(stack_distance_access(stack, block), list_access(&list, block));
			if (step % 1777 == 0)
				stack_distance_check(stack);
		}
		assert_int_equal(stack_distance_blocks(stack), list.count);
		stack_distance_check(stack);
		stack_distance_destroy(stack);
	}
}

/* Would catch: a gap in the table that hides a block, a front that keeps a removed one. */
static void removed_blocks_are_forgotten(void **state)
{
	(void)state;
	for (enum stream stream = 0; stream < STREAMS; stream++) {
		struct rng rng;
		rng_init(&rng, stream, "removal");
		static struct list list;
		list.count = 0;
		struct stack_distance *stack = stack_distance_create();
		for (uint64_t step = 0; step < 10000; step++) {
			uint64_t block = stream_block(stream, step, &rng);
			assert_int_equal(stack_distance_access(stack, block), list_access(&list, block));
			if (rng_below(&rng, 3) == 0) {
				uint64_t gone = list.blocks[rng_below(&rng, (uint32_t)list.count)];
				list_remove(&list, gone);
				stack_distance_remove(stack, gone);
			}
			if (step % 997 == 0)
				stack_distance_check(stack);
		}
		stack_distance_check(stack);
		stack_distance_destroy(stack);
	}
}

/* A walk round n blocks: n cold, all others of distance n - 1 (closed form), also where slots were numbered anew many times. */
static void a_round_walk_has_one_distance(void **state)
{
	(void)state;
	const uint64_t sizes[] = {1, 8, 9, 512, 513, 4096, 70000};
	for (size_t size = 0; size < sizeof sizes / sizeof sizes[0]; size++) {
		struct stack_distance *stack = stack_distance_create();
		uint64_t n = sizes[size], accesses = 5 * n + 20000;
		for (uint64_t step = 0; step < accesses; step++)
			stack_distance_count(stack, &(uint64_t){step % n * 4096 + 7}, 1);
		struct stack_counts counts = stack_distance_counts(stack);
		assert_int_equal(counts.cold, n);
		assert_int_equal(counts.at[n - 1], accesses - n);
		assert_true(stack_distance_bytes(stack) < n * STACK_BYTES_A_BLOCK + (100u << 10));
		stack_distance_check(stack);
		stack_distance_destroy(stack);
	}
}

/* One set-associative LRU level, by time stamps: nothing in common with a stack. */
static uint64_t direct_misses(const uint64_t *blocks, size_t count, uint64_t sets, uint32_t ways)
{
	uint64_t *tag = calloc(sets * ways, sizeof *tag), *used_at = calloc(sets * ways, sizeof *used_at), misses = 0;
	for (size_t index = 0; index < count; index++) {
		uint64_t first = blocks[index] % sets * ways, victim = first;
		bool hit = false;
		for (uint64_t way = first; way < first + ways && !hit; way++) {
			hit = used_at[way] && tag[way] == blocks[index];
			if (hit || used_at[way] < used_at[victim])
				victim = way;
		}
		misses += !hit;
		tag[victim] = blocks[index];
		used_at[victim] = index + 1;
	}
	free(tag);
	free(used_at);
	return misses;
}

static void set_stacks_are_each_associativity(void **state)
{
	(void)state;
	enum { COUNT = 12000 };
	static uint64_t blocks[COUNT];
	const uint64_t sets[] = {1, 2, 16, 48, 64, 128};
	for (enum stream stream = 0; stream < STREAMS; stream++) {
		struct rng rng;
		rng_init(&rng, stream, "sets");
		for (uint64_t step = 0; step < COUNT; step++)
			blocks[step] = stream_block(stream, step, &rng);
		for (size_t of = 0; of < sizeof sets / sizeof sets[0]; of++) {
			struct set_stacks stacks;
			set_stacks_init(&stacks, sets[of], 12);
			set_stacks_count(&stacks, blocks, 5000);
			set_stacks_count(&stacks, blocks + 5000, COUNT - 5000);
			set_stacks_check(&stacks);
			for (uint32_t ways = 1; ways <= 12; ways += ways < 4 ? 1 : 4)
				assert_int_equal(set_stacks_misses(&stacks, ways), direct_misses(blocks, COUNT, sets[of], ways));
			set_stacks_release(&stacks);
		}
	}
}

static uint64_t exact_misses(const struct stack_counts *counts, uint64_t size)
{
	uint64_t misses = counts->cold;
	for (uint64_t distance = size; distance < counts->distances; distance++)
		misses += counts->at[distance];
	return misses;
}

#define SAMPLED_ACCESSES 400000u

/* Half the accesses are spread over 8,000 blocks evenly, half over 40,000: curves with a bend. */
static void fill_mixed(uint64_t *blocks, struct rng *rng)
{
	for (uint32_t index = 0; index < SAMPLED_ACCESSES; index++)
		blocks[index] = rng_below(rng, 2) ? rng_below(rng, 8000) : 100000 + rng_below(rng, 40000);
}

/* A sample of all blocks is the exact curve. Would catch: a distance scaled twice, a bucket's border that is off by one. */
static void a_sample_of_all_is_exact(void **state)
{
	(void)state;
	uint64_t *blocks = calloc(SAMPLED_ACCESSES, sizeof *blocks);
	struct rng rng;
	rng_init(&rng, 1, "mixed");
	fill_mixed(blocks, &rng);
	struct stack_distance *stack = stack_distance_create();
	struct shards *shards = shards_create(1, 0, 1);
	stack_distance_count(stack, blocks, SAMPLED_ACCESSES);
	shards_count(shards, blocks, SAMPLED_ACCESSES);
	struct stack_counts counts = stack_distance_counts(stack);
	const uint64_t sizes[] = {1, 2, 63, 64, 127, 128, 130, 1536, 4096, 16384, 32768, 65536};
	for (size_t size = 0; size < sizeof sizes / sizeof sizes[0]; size++)
		assert_true(shards_misses(shards, sizes[size]).misses == (double)exact_misses(&counts, sizes[size]));
	assert_true(shards_facts(shards).distinct_blocks == (double)stack_distance_blocks(stack));
	shards_check(shards);
	shards_destroy(shards);
	stack_distance_destroy(stack);
	free(blocks);
}

/*
 * Over 20 seeds: the mean error is small against the spread, and the standard error that is told holds what it says. Of normal
 * errors 95 % lie within two standard errors; with 7 degrees of freedom of the told one, 91 %. Would catch: a biased scale, an
 * error that is told too small. The paper's own bound for 8,000 blocks is a mean absolute error of the ratio of about 0.01.
 */
static void check_sampling(double rate, uint32_t blocks_max)
{
	enum { SEEDS = 20 };
	const uint64_t sizes[] = {2048, 4096, 8192, 16384, 32768};
	const size_t sizes_count = sizeof sizes / sizeof sizes[0];
	uint64_t *blocks = calloc(SAMPLED_ACCESSES, sizeof *blocks);
	struct rng rng;
	rng_init(&rng, 2, "mixed");
	fill_mixed(blocks, &rng);
	struct stack_distance *stack = stack_distance_create();
	stack_distance_count(stack, blocks, SAMPLED_ACCESSES);
	struct stack_counts counts = stack_distance_counts(stack);
	unsigned within = 0;
	double absolute = 0, bias = 0;
	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		struct shards *shards = shards_create(rate, blocks_max, seed);
		shards_count(shards, blocks, SAMPLED_ACCESSES);
		shards_check(shards);
		assert_true(!blocks_max || shards_facts(shards).blocks <= blocks_max);
		for (size_t size = 0; size < sizes_count; size++) {
			struct shards_estimate estimate = shards_misses(shards, sizes[size]);
			double error = estimate.misses - (double)exact_misses(&counts, sizes[size]);
			within += fabs(error) <= 2 * estimate.standard_error;
			absolute += fabs(error) / SAMPLED_ACCESSES;
			bias += error / SAMPLED_ACCESSES;
		}
		shards_destroy(shards);
	}
	const double tries = SEEDS * (double)sizes_count;
	print_message("rate %g, at most %u blocks: mean absolute error of the ratio %.4f, bias %.4f, within 2 standard errors %u "
	              "of %g\n",
	              rate, blocks_max, absolute / tries, bias / tries, within, tries);
	assert_true(absolute / tries < 0.02);
	assert_true(fabs(bias / tries) < 0.01);
	assert_true(within > 0.8 * tries);
	stack_distance_destroy(stack);
	free(blocks);
}

static void a_sample_tells_its_error(void **state)
{
	(void)state;
	check_sampling(0.05, 0);
	check_sampling(1, 2000);
}

/*
 * What DynamoRIO's drcachesim and cachegrind's core count on a published trace of 10 million accesses, in L1D (32 KiB, 8 ways)
 * and DTLB (64 entries, 4 ways), on the whole of it and on its first 6 million. Runs where $KMEMSIM_ACCESS_TRACES names the
 * folder. Would catch: any way, set or line taken wrongly at full length.
 */
static void check_published(const char *path, uint64_t records, uint64_t l1d, uint64_t dtlb)
{
	static uint64_t lines[ACCESS_BATCH], pages[ACCESS_BATCH];
	static struct access batch[ACCESS_BATCH];
	struct error error = {0};
	struct access_source *source = access_source_open(path, "raw", &error);
	assert_non_null(source);
	struct set_stacks caches, tlbs;
	set_stacks_init(&caches, 64, 12);
	set_stacks_init(&tlbs, 16, 6);
	struct stack_distance *stack = stack_distance_create();
	size_t count;
	while (records > 0 &&
	       access_source_read(source, batch, records < ACCESS_BATCH ? (size_t)records : ACCESS_BATCH, &count, &error) &&
	       count > 0) {
		for (size_t index = 0; index < count; index++) {
			lines[index] = batch[index].address >> 6;
			pages[index] = batch[index].address >> 12;
		}
		set_stacks_count(&caches, lines, count);
		set_stacks_count(&tlbs, pages, count);
		stack_distance_count(stack, lines, count);
		records -= count;
	}
	assert_int_equal(records, 0);
	assert_int_equal(set_stacks_misses(&caches, 8), l1d);
	assert_int_equal(set_stacks_misses(&tlbs, 4), dtlb);
	set_stacks_check(&caches);
	set_stacks_check(&tlbs);
	stack_distance_check(stack);
	access_source_close(source);
	stack_distance_destroy(stack);
	set_stacks_release(&caches);
	set_stacks_release(&tlbs);
}

static void published_counts(void **state)
{
	(void)state;
	const char *folder = getenv("KMEMSIM_ACCESS_TRACES");
	if (!folder) {
		skip();
		return;
	}
	char *path = xasprintf("%s/mixed-10m.b8.zst", folder);
	check_published(path, 10000000, 3205696, 3006119);
	check_published(path, 6000000, 207620, 37148);
	free(path);
}

/* One set is the whole stack cut off. Would catch: the two structures disagreeing on a depth. */
static void one_set_is_the_stack(void **state)
{
	(void)state;
	enum { ACCESSES = 30000, WAYS = 300 };
	struct stack_distance *stack = stack_distance_create();
	struct set_stacks one;
	struct rng rng;
	rng_init(&rng, 4, "blocks");
	set_stacks_init(&one, 1, WAYS);
	for (unsigned access = 0; access < ACCESSES; access++) {
		uint64_t block = rng_below(&rng, 1 + rng_below(&rng, 400));
		stack_distance_count(stack, &block, 1);
		set_stacks_count(&one, &block, 1);
	}
	struct stack_counts counts = stack_distance_counts(stack);
	for (uint32_t ways = 1; ways <= WAYS; ways++)
		assert_int_equal(set_stacks_misses(&one, ways), exact_misses(&counts, ways));
	set_stacks_release(&one);
	stack_distance_destroy(stack);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(distances_are_those_of_a_list), cmocka_unit_test(removed_blocks_are_forgotten),
	        cmocka_unit_test(a_round_walk_has_one_distance), cmocka_unit_test(set_stacks_are_each_associativity),
	        cmocka_unit_test(one_set_is_the_stack),          cmocka_unit_test(published_counts),
	        cmocka_unit_test(a_sample_of_all_is_exact),      cmocka_unit_test(a_sample_tells_its_error),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
