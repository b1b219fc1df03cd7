/* SPDX-License-Identifier: MIT
 *
 * shards.c - the sample, its estimators and the heap that finds the highest hash (interface and algorithm: shards.h).
 */
#include "sim/shards.h"

#include "sim/rng.h"
#include "sim/stack_distance.h"

#include <math.h>
#include <stdlib.h>

/* Hashes are below this; a threshold of the same value samples all. */
#define HASH_LIMIT (1u << 24)

/* Distances below 2 * BUCKETS_AN_OCTAVE have a bucket each. */
#define OCTAVE_SHIFT 6u
#define BUCKETS_AN_OCTAVE (1u << OCTAVE_SHIFT)
#define BUCKETS ((64u - OCTAVE_SHIFT + 1) * BUCKETS_AN_OCTAVE)

struct estimator {
	struct stack_distance *stack;
	double at[BUCKETS]; /* weights by distance */
	double cold, weight;
};

struct sampled_block {
	uint64_t block;
	uint32_t hash, group;
};

struct shards {
	struct estimator whole, group[SHARDS_GROUPS];
	uint32_t threshold, blocks_max;
	uint64_t seed, accesses, sampled;
	struct sampled_block *heap; /* the highest hash first; of equal ones the highest block */
	uint32_t heap_count;
};

static unsigned bucket_of(double distance)
{
	if (distance >= 9.2e18)
		return BUCKETS - 1;
	uint64_t whole = (uint64_t)distance;
	if (whole < 2 * BUCKETS_AN_OCTAVE)
		return (unsigned)whole;
	unsigned shift = 63 - (unsigned)__builtin_clzll(whole) - OCTAVE_SHIFT;
	return shift * BUCKETS_AN_OCTAVE + (unsigned)(whole >> shift);
}

/* The finaliser of SplitMix64 (sim/rng.h), which is one to one. */
static uint64_t mix(uint64_t value)
{
	value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9ull;
	value = (value ^ value >> 27) * 0x94d049bb133111ebull;
	return value ^ value >> 31;
}

static double rate_of(const struct shards *shards)
{
	return (double)shards->threshold / HASH_LIMIT;
}

static bool goes_first(const struct sampled_block *left, const struct sampled_block *right)
{
	return left->hash != right->hash ? left->hash > right->hash : left->block > right->block;
}

static void heap_push(struct shards *shards, struct sampled_block block)
{
	uint32_t at = shards->heap_count++;
	for (; at > 0 && goes_first(&block, &shards->heap[(at - 1) / 2]); at = (at - 1) / 2)
		shards->heap[at] = shards->heap[(at - 1) / 2];
	shards->heap[at] = block;
}

static struct sampled_block heap_pop(struct shards *shards)
{
	struct sampled_block top = shards->heap[0], last = shards->heap[--shards->heap_count];
	uint32_t at = 0;
	for (uint32_t child = 1; child < shards->heap_count; child = 2 * at + 1) {
		if (child + 1 < shards->heap_count && goes_first(&shards->heap[child + 1], &shards->heap[child]))
			child++;
		if (!goes_first(&shards->heap[child], &last))
			break;
		shards->heap[at] = shards->heap[child];
		at = child;
	}
	shards->heap[at] = last;
	return top;
}

/* The threshold sinks to the highest hash; every block of that hash goes. */
static void sink_threshold(struct shards *shards)
{
	shards->threshold = shards->heap[0].hash;
	while (shards->heap_count > 0 && shards->heap[0].hash >= shards->threshold) {
		struct sampled_block gone = heap_pop(shards);
		stack_distance_remove(shards->whole.stack, gone.block);
		stack_distance_remove(shards->group[gone.group].stack, gone.block);
	}
}

/* Returns whether the block is new. */
static bool estimator_access(struct estimator *estimator, uint64_t block, double rate)
{
	uint64_t distance = stack_distance_access(estimator->stack, block);
	double weight = 1 / rate;
	estimator->weight += weight;
	if (distance == STACK_COLD)
		estimator->cold += weight;
	else
		estimator->at[bucket_of((double)distance * weight)] += weight;
	return distance == STACK_COLD;
}

static void sampled_access(struct shards *shards, uint64_t block, uint32_t hash, uint32_t group)
{
	double rate = rate_of(shards);
	shards->sampled++;
	estimator_access(&shards->group[group], block, rate / SHARDS_GROUPS);
	if (!estimator_access(&shards->whole, block, rate) || !shards->blocks_max)
		return;
	heap_push(shards, (struct sampled_block){block, hash, group});
	if (shards->heap_count > shards->blocks_max)
		sink_threshold(shards);
}

void shards_count(struct shards *shards, const uint64_t *blocks, size_t count)
{
	for (size_t index = 0; index < count; index++) {
		uint64_t mixed = mix(blocks[index] ^ shards->seed);
		uint32_t hash = (uint32_t)(mixed % HASH_LIMIT);
		if (hash < shards->threshold)
			sampled_access(shards, blocks[index], hash, (uint32_t)(mixed >> 32) % SHARDS_GROUPS);
	}
	shards->accesses += count;
}

struct shards *shards_create(double rate, uint32_t blocks_max, uint64_t seed)
{
	SIM_ASSERT(rate > 0 && rate <= 1 && blocks_max <= SHARDS_BLOCKS_MAX);
	struct shards *shards = xcalloc(1, sizeof *shards);
	struct rng rng;
	rng_init(&rng, seed, "shards");
	shards->seed = rng_next(&rng);
	shards->threshold = (uint32_t)ceil(rate * HASH_LIMIT);
	shards->blocks_max = blocks_max;
	shards->whole.stack = stack_distance_create();
	for (unsigned group = 0; group < SHARDS_GROUPS; group++)
		shards->group[group].stack = stack_distance_create();
	if (blocks_max)
		shards->heap = xcalloc((size_t)blocks_max + 1, sizeof *shards->heap);
	return shards;
}

void shards_destroy(struct shards *shards)
{
	if (!shards)
		return;
	stack_distance_destroy(shards->whole.stack);
	for (unsigned group = 0; group < SHARDS_GROUPS; group++)
		stack_distance_destroy(shards->group[group].stack);
	free(shards->heap);
	free(shards);
}

static double estimator_misses(const struct estimator *estimator, uint64_t size_blocks)
{
	double misses = estimator->cold;
	for (unsigned bucket = bucket_of((double)size_blocks); bucket < BUCKETS; bucket++)
		misses += estimator->at[bucket];
	return misses;
}

struct shards_estimate shards_misses(const struct shards *shards, uint64_t size_blocks)
{
	double of_group[SHARDS_GROUPS], mean = 0, squares = 0;
	for (unsigned group = 0; group < SHARDS_GROUPS; group++) {
		of_group[group] = estimator_misses(&shards->group[group], size_blocks);
		mean += of_group[group] / SHARDS_GROUPS;
	}
	for (unsigned group = 0; group < SHARDS_GROUPS; group++)
		squares += (of_group[group] - mean) * (of_group[group] - mean);
	/* A weight of hot blocks may stand for more than there was. */
	double misses = fmin(estimator_misses(&shards->whole, size_blocks), (double)shards->accesses);
	return (struct shards_estimate){misses, sqrt(squares / (SHARDS_GROUPS * (SHARDS_GROUPS - 1)))};
}

struct shards_facts shards_facts(const struct shards *shards)
{
	struct shards_facts facts = {
	        .rate = rate_of(shards),
	        .accesses = shards->accesses,
	        .sampled = shards->sampled,
	        .blocks = stack_distance_blocks(shards->whole.stack),
	        .unadjusted = shards->whole.weight,
	        .bytes = sizeof *shards + stack_distance_bytes(shards->whole.stack) +
	                 (shards->heap ? ((uint64_t)shards->blocks_max + 1) * sizeof *shards->heap : 0),
	};
	facts.distinct_blocks = facts.rate > 0 ? (double)facts.blocks / facts.rate : 0;
	for (unsigned group = 0; group < SHARDS_GROUPS; group++)
		facts.bytes += stack_distance_bytes(shards->group[group].stack);
	return facts;
}

void shards_check(const struct shards *shards)
{
	uint64_t blocks = 0;
	stack_distance_check(shards->whole.stack);
	for (unsigned group = 0; group < SHARDS_GROUPS; group++)
		blocks += stack_distance_blocks(shards->group[group].stack);
	SIM_ASSERT(blocks == stack_distance_blocks(shards->whole.stack));
	SIM_ASSERT(!shards->blocks_max || (blocks == shards->heap_count && blocks <= shards->blocks_max));
	for (uint32_t at = 0; at < shards->heap_count; at++)
		SIM_ASSERT(shards->heap[at].hash < shards->threshold);
}
