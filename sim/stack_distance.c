/* SPDX-License-Identifier: MIT
 *
 * stack_distance.c - the stack of blocks, and the stacks of sets (interface, sources, laws: stack_distance.h).
 *
 * A block that leaves the front gets the next moment: its bit in `bits`. When it is accessed again, the set bits behind its
 * moment are the blocks that left after it, and the front's lie above them. Set bits are counted over stretches of 1 << shift
 * moments, each step of shifts[] longer by 16, so that a sum looks at few of each. When no moment is left, those that are set
 * move down to the first ones, in order; room for as many again makes that rare.
 */
#include "sim/stack_distance.h"

#include <stdlib.h>
#include <string.h>

#define WORD_SHIFT 6 /* moments a word of bits */

/* Moments that a count of each step stands for. */
static const unsigned shifts[DISTANCE_STEPS] = {10, 14, 18};

#define MOMENTS_AT_FIRST (1u << 18)
#define SLOTS_AT_FIRST 1024u

/* Accesses between asking the host's caches for a slot and needing it. */
#define AHEAD 12u

/* The most different blocks: slots are numbered by 32 bits. */
#define BLOCKS_MAX (1ull << 30)

/* A deserted slot keeps its block, so that those behind it are found; it is taken again when the block comes back. */
#define DESERTED UINT32_MAX

struct distance_slot {
	uint64_t block; /* plus 1; 0: empty */
	uint32_t moment;
	uint32_t unused;
};

/* Where the search for a block's slot begins. */
static uint64_t slot_first(const struct stack_distances *distances, uint64_t block)
{
	return ((block + 1) * 0x9e3779b97f4a7c15u >> 24) & (distances->capacity - 1);
}

static struct distance_slot *slot_of(const struct stack_distances *distances, uint64_t block)
{
	uint64_t at = slot_first(distances, block);
	while (distances->slots[at].block && distances->slots[at].block != block + 1)
		at = (at + 1) & (distances->capacity - 1);
	return &distances->slots[at];
}

static void make_slots(struct stack_distances *distances, uint64_t capacity)
{
	SIM_ASSERT(capacity <= 2 * BLOCKS_MAX);
	struct distance_slot *old = distances->slots;
	uint64_t old_capacity = distances->capacity;
	distances->slots = xcalloc(capacity, sizeof *distances->slots);
	distances->capacity = capacity;
	distances->used = 0;
	for (uint64_t at = 0; at < old_capacity; at++) {
		if (!old[at].block || old[at].moment == DESERTED)
			continue;
		struct distance_slot *slot = slot_of(distances, old[at].block - 1);
		*slot = old[at];
		distances->slot_at[slot->moment] = (uint32_t)(slot - distances->slots);
		distances->used++;
	}
	free(old);
}

static void make_moments(struct stack_distances *distances, uint64_t moments)
{
	free(distances->bits);
	distances->moments = moments;
	distances->bits = xcalloc(moments >> WORD_SHIFT, sizeof *distances->bits);
	for (unsigned step = 0; step < DISTANCE_STEPS; step++) {
		free(distances->set_in[step]);
		distances->set_in[step] = xcalloc(moments >> shifts[step], sizeof *distances->set_in[step]);
	}
}

static void set_moment(struct stack_distances *distances, uint64_t moment)
{
	distances->bits[moment >> WORD_SHIFT] |= 1ull << (moment & 63);
	for (unsigned step = 0; step < DISTANCE_STEPS; step++)
		distances->set_in[step][moment >> shifts[step]]++;
}

static void clear_moment(struct stack_distances *distances, uint64_t moment)
{
	distances->bits[moment >> WORD_SHIFT] &= ~(1ull << (moment & 63));
	for (unsigned step = 0; step < DISTANCE_STEPS; step++)
		distances->set_in[step][moment >> shifts[step]]--;
}

/* Moves the set moments down to the first ones; afterwards at least half of the moments are free. */
static void move_down(struct stack_distances *distances)
{
	uint32_t *old = distances->slot_at;
	uint64_t *old_bits = distances->bits;
	uint64_t old_words = distances->moments >> WORD_SHIFT, moments = MOMENTS_AT_FIRST;
	while (moments < 2 * distances->live)
		moments *= 2;
	distances->bits = NULL;
	make_moments(distances, moments);
	distances->slot_at = xcalloc(moments, sizeof *distances->slot_at);
	distances->now = 0;
	for (uint64_t word = 0; word < old_words; word++) {
		for (uint64_t left = old_bits[word]; left; left &= left - 1) {
			uint32_t slot = old[word << WORD_SHIFT | (unsigned)__builtin_ctzll(left)];
			distances->slots[slot].moment = (uint32_t)distances->now;
			distances->slot_at[distances->now] = slot;
			set_moment(distances, distances->now++);
		}
	}
	free(old);
	free(old_bits);
}

/* The bits that are set in a word, by adding up neighbours; a processor's own instruction is not on every machine. */
static uint64_t set_bits(uint64_t word)
{
	word -= word >> 1 & 0x5555555555555555u;
	word = (word & 0x3333333333333333u) + (word >> 2 & 0x3333333333333333u);
	word = (word + (word >> 4)) & 0x0f0f0f0f0f0f0f0fu;
	return word * 0x0101010101010101u >> 56;
}

/* Set bits behind a moment: in its word, in the words to the end of its stretch, in the stretches to the end of the next ... */
static uint64_t later_than(const struct stack_distances *distances, uint64_t moment)
{
	uint64_t later = set_bits(distances->bits[moment >> WORD_SHIFT] >> 1 >> (moment & 63));
	uint64_t last = distances->now - 1;
	uint64_t word_end = ((moment >> shifts[0]) + 1) << (shifts[0] - WORD_SHIFT);
	if (word_end > (last >> WORD_SHIFT) + 1)
		word_end = (last >> WORD_SHIFT) + 1;
	for (uint64_t word = (moment >> WORD_SHIFT) + 1; word < word_end; word++)
		later += set_bits(distances->bits[word]);
	for (unsigned step = 0; step < DISTANCE_STEPS; step++) {
		uint64_t at = (moment >> shifts[step]) + 1, stop = (last >> shifts[step]) + 1;
		if (step + 1 < DISTANCE_STEPS) {
			uint64_t longer = ((moment >> shifts[step + 1]) + 1) << (shifts[step + 1] - shifts[step]);
			stop = stop < longer ? stop : longer;
		}
		for (; at < stop; at++)
			later += distances->set_in[step][at];
	}
	return later;
}

void stack_distances_init(struct stack_distances *distances)
{
	*distances = (struct stack_distances){0};
	make_moments(distances, MOMENTS_AT_FIRST);
	distances->slot_at = xcalloc(distances->moments, sizeof *distances->slot_at);
	make_slots(distances, SLOTS_AT_FIRST);
}

void stack_distances_release(struct stack_distances *distances)
{
	free(distances->slots);
	free(distances->slot_at);
	free(distances->bits);
	for (unsigned step = 0; step < DISTANCE_STEPS; step++)
		free(distances->set_in[step]);
	free(distances->count);
	*distances = (struct stack_distances){0};
}

/* The block leaves the front and gets the next moment. */
static void leave_front(struct stack_distances *distances, uint64_t block)
{
	if (distances->now == distances->moments)
		move_down(distances);
	struct distance_slot *slot = slot_of(distances, block);
	if (!slot->block) {
		if (2 * (distances->used + 1) > distances->capacity) {
			make_slots(distances, 4 * (distances->live + 1) > distances->capacity ? 2 * distances->capacity
			                                                                      : distances->capacity);
			slot = slot_of(distances, block);
		}
		distances->used++;
		slot->block = block + 1;
	}
	slot->moment = (uint32_t)distances->now;
	distances->slot_at[distances->now] = (uint32_t)(slot - distances->slots);
	set_moment(distances, distances->now++);
	distances->live++;
}

/* Takes a block that left the front out of the stack; its distance, DISTANCE_INFINITE if it is not there. */
static uint64_t come_back(struct stack_distances *distances, uint64_t block)
{
	struct distance_slot *slot = slot_of(distances, block);
	if (!slot->block || slot->moment == DESERTED)
		return DISTANCE_INFINITE;
	uint64_t distance = distances->front_count + later_than(distances, slot->moment);
	clear_moment(distances, slot->moment);
	slot->moment = DESERTED;
	distances->live--;
	return distance;
}

static void count(struct stack_distances *distances, uint64_t distance)
{
	distances->accesses++;
	if (distance == DISTANCE_INFINITE) {
		distances->infinite++;
		return;
	}
	if (distance >= distances->counts) {
		uint64_t counts = distances->counts ? distances->counts : 1024;
		while (counts <= distance)
			counts *= 2;
		distances->count = xrealloc(distances->count, counts * sizeof *distances->count);
		memset(distances->count + distances->counts, 0, (counts - distances->counts) * sizeof *distances->count);
		distances->counts = counts;
	}
	distances->count[distance]++;
}

/* Where the block stands in the front, front_count if it does not. */
static unsigned place_in_front(const struct stack_distances *distances, uint64_t block)
{
	unsigned place = 0;
	while (place < distances->front_count && distances->front[place] != block)
		place++;
	return place;
}

uint64_t stack_distances_access(struct stack_distances *distances, uint64_t block)
{
	unsigned place = place_in_front(distances, block);
	uint64_t distance = place;
	if (place == distances->front_count) {
		distance = come_back(distances, block);
		if (distances->front_count == DISTANCE_FRONT)
			leave_front(distances, distances->front[--place]);
		else
			distances->front_count++;
	}
	for (; place > 0; place--)
		distances->front[place] = distances->front[place - 1];
	distances->front[0] = block;
	count(distances, distance);
	return distance;
}

void stack_distances_run(struct stack_distances *distances, const uint64_t *blocks, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (i + AHEAD < count)
			__builtin_prefetch(&distances->slots[slot_first(distances, blocks[i + AHEAD])]);
		stack_distances_access(distances, blocks[i]);
	}
}

bool stack_distances_forget(struct stack_distances *distances, uint64_t block)
{
	unsigned place = place_in_front(distances, block);
	if (place == distances->front_count)
		return come_back(distances, block) != DISTANCE_INFINITE;
	distances->front_count--;
	for (; place < distances->front_count; place++)
		distances->front[place] = distances->front[place + 1];
	return true;
}

uint64_t stack_distances_misses(const struct stack_distances *distances, uint64_t entries)
{
	uint64_t hits = 0;
	for (uint64_t distance = 0; distance < entries && distance < distances->counts; distance++)
		hits += distances->count[distance];
	return distances->accesses - hits;
}

uint64_t stack_distances_blocks(const struct stack_distances *distances)
{
	return distances->front_count + distances->live;
}

void stack_distances_check(const struct stack_distances *distances)
{
	uint64_t counted = distances->infinite, set = 0;
	for (uint64_t distance = 0; distance < distances->counts; distance++)
		counted += distances->count[distance];
	SIM_ASSERT(counted == distances->accesses);
	for (uint64_t word = 0; word < distances->moments >> WORD_SHIFT; word++)
		set += set_bits(distances->bits[word]);
	SIM_ASSERT(set == distances->live && 2 * distances->used <= distances->capacity);
}

void set_distances_init(struct set_distances *distances, uint64_t sets, uint64_t ways)
{
	SIM_ASSERT(sets > 0 && ways > 0 && sets <= (1ull << 28) / ways);
	*distances = (struct set_distances){.sets = sets, .ways = ways};
	distances->blocks = lazy_alloc(sets * ways, sizeof *distances->blocks);
	distances->count = xcalloc(ways, sizeof *distances->count);
}

void set_distances_release(struct set_distances *distances)
{
	lazy_free(distances->blocks, distances->sets * distances->ways, sizeof *distances->blocks);
	free(distances->count);
	*distances = (struct set_distances){0};
}

void set_distances_access(struct set_distances *distances, uint64_t block)
{
	uint64_t set = (distances->sets & (distances->sets - 1)) == 0 ? block & (distances->sets - 1) : block % distances->sets;
	uint64_t *stack = distances->blocks + set * distances->ways, carried = block + 1;
	distances->accesses++;
	for (uint64_t way = 0; way < distances->ways; way++) {
		uint64_t here = stack[way];
		stack[way] = carried;
		if (here == block + 1) {
			distances->count[way]++;
			return;
		}
		if (here == 0)
			break;
		carried = here;
	}
	distances->further++;
}

uint64_t set_distances_misses(const struct set_distances *distances, uint64_t ways)
{
	SIM_ASSERT(ways >= 1 && ways <= distances->ways);
	uint64_t misses = distances->further;
	for (uint64_t way = ways; way < distances->ways; way++)
		misses += distances->count[way];
	return misses;
}
