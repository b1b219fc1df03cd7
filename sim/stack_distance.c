/* SPDX-License-Identifier: MIT
 *
 * stack_distance.c - the front, the table of blocks and the slots behind them (interface and algorithm: stack_distance.h).
 *
 * The group that slots are given out of is left out of the Fenwick tree until it is full: giving a slot is then a bit alone.
 */
#include "sim/stack_distance.h"

#include <stdlib.h>
#include <string.h>

#define FRONT 8u

/* A group of slots is a cache line of bits. */
#define GROUP_SHIFT 9u
#define GROUP_SLOTS (1u << GROUP_SHIFT)
#define GROUP_WORDS (GROUP_SLOTS / 64)

#define TABLE_SHIFT_MIN 10u
#define SLOTS_MIN 4096u
/* Slots for each block when they are numbered anew: the cost of that is spread over SLOTS_A_BLOCK - 1 accesses a block. */
#define SLOTS_A_BLOCK 4u

/* Blocks whose table entries are fetched ahead. */
#define AHEAD 12u

/* Slots of a table entry that are none. */
#define SLOT_FREE UINT64_MAX        /* the entry is empty */
#define SLOT_FRONT (UINT64_MAX - 1) /* the block is in the front */

/* 2^64 / golden ratio: Knuth's multiplicative hashing (The Art of Computer Programming 3, 6.4). */
#define GOLDEN 0x9e3779b97f4a7c15ull

/* The bits that are set in a word, by adding up neighbours; a processor's own instruction is not on every machine. */
static uint64_t set_bits(uint64_t word)
{
	word -= word >> 1 & 0x5555555555555555u;
	word = (word & 0x3333333333333333u) + (word >> 2 & 0x3333333333333333u);
	word = (word + (word >> 4)) & 0x0f0f0f0f0f0f0f0fu;
	return word * 0x0101010101010101u >> 56;
}

struct entry {
	uint64_t block, slot;
};

struct stack_distance {
	uint64_t front[FRONT]; /* the block used last first */
	size_t front_entry[FRONT];
	unsigned front_count;
	unsigned table_shift;
	struct entry *table; /* open addressing, at most 5/8 full */
	uint64_t blocks;
	uint64_t *used;   /* a bit a slot */
	uint32_t *groups; /* Fenwick tree over the slots in use of each closed group */
	uint64_t slots, next_slot;
	uint64_t below;  /* slots in use */
	uint64_t closed; /* of them in closed groups */
	uint64_t *at;
	uint64_t at_size, accesses, cold;
};

static size_t table_size(const struct stack_distance *stack)
{
	return (size_t)1 << stack->table_shift;
}

static size_t home(const struct stack_distance *stack, uint64_t block)
{
	uint64_t mixed = (block ^ block >> 32) * GOLDEN;
	return (size_t)(mixed >> (64 - stack->table_shift));
}

/* The block's entry, or the empty one where it would stand. */
static size_t find(const struct stack_distance *stack, uint64_t block)
{
	size_t mask = table_size(stack) - 1, at = home(stack, block);
	while (stack->table[at].block != block && stack->table[at].slot != SLOT_FREE)
		at = (at + 1) & mask;
	/* An empty entry's block is not looked at: it may be equal by chance. */
	return at;
}

static struct entry *make_table(size_t size)
{
	struct entry *table = xcalloc(size, sizeof *table);
	for (size_t at = 0; at < size; at++)
		table[at].slot = SLOT_FREE;
	return table;
}

static void find_front_again(struct stack_distance *stack)
{
	for (unsigned place = 0; place < stack->front_count; place++)
		stack->front_entry[place] = find(stack, stack->front[place]);
}

static void grow_table(struct stack_distance *stack)
{
	struct entry *old = stack->table;
	size_t old_size = table_size(stack);
	stack->table_shift++;
	stack->table = make_table(table_size(stack));
	for (size_t at = 0; at < old_size; at++)
		if (old[at].slot != SLOT_FREE)
			stack->table[find(stack, old[at].block)] = old[at];
	free(old);
	find_front_again(stack);
}

static uint64_t groups_count(const struct stack_distance *stack)
{
	return stack->slots >> GROUP_SHIFT;
}

static uint32_t bits_of_group(const struct stack_distance *stack, uint64_t group)
{
	const uint64_t *word = &stack->used[group * GROUP_WORDS];
	uint32_t bits = 0;
	for (unsigned index = 0; index < GROUP_WORDS; index++)
		bits += (uint32_t)set_bits(word[index]);
	return bits;
}

/* Slots in use before this one within its group. */
static uint64_t rank_in_group(const struct stack_distance *stack, uint64_t slot)
{
	uint64_t rank = set_bits(stack->used[slot / 64] & ((1ull << slot % 64) - 1));
	for (uint64_t word = slot >> GROUP_SHIFT << (GROUP_SHIFT - 6); word < slot / 64; word++)
		rank += set_bits(stack->used[word]);
	return rank;
}

static uint64_t sum_groups(const struct stack_distance *stack, uint64_t groups)
{
	uint64_t sum = 0;
	for (; groups; groups &= groups - 1)
		sum += stack->groups[groups];
	return sum;
}

static void add_to_group(struct stack_distance *stack, uint64_t group, uint32_t count)
{
	for (uint64_t node = group + 1, nodes = groups_count(stack); node <= nodes; node += node & -node)
		stack->groups[node] += count;
}

/* Slots in use before this one. */
static uint64_t rank(const struct stack_distance *stack, uint64_t slot)
{
	uint64_t group = slot >> GROUP_SHIFT, open = stack->next_slot >> GROUP_SHIFT;
	return (group >= open ? stack->closed : sum_groups(stack, group)) + rank_in_group(stack, slot);
}

static void make_slots(struct stack_distance *stack, uint64_t slots)
{
	free(stack->used);
	free(stack->groups);
	stack->slots = slots;
	stack->used = xcalloc(slots / 64, sizeof *stack->used);
	stack->groups = xcalloc(groups_count(stack) + 1, sizeof *stack->groups);
}

/* The blocks below the front get the slots 0, 1, ... in their order. */
static void number_anew(struct stack_distance *stack)
{
	for (size_t at = 0; at < table_size(stack); at++)
		if (stack->table[at].slot < SLOT_FRONT)
			stack->table[at].slot = rank(stack, stack->table[at].slot);
	uint64_t slots = SLOTS_MIN;
	while (slots < SLOTS_A_BLOCK * stack->blocks)
		slots *= 2;
	make_slots(stack, slots);
	for (uint64_t slot = 0; slot < stack->below; slot++)
		stack->used[slot / 64] |= 1ull << slot % 64;
	stack->next_slot = stack->below;
	uint64_t closed_groups = stack->next_slot >> GROUP_SHIFT;
	stack->closed = closed_groups << GROUP_SHIFT;
	for (uint64_t group = 0; group < closed_groups; group++)
		add_to_group(stack, group, GROUP_SLOTS);
}

static void give_slot(struct stack_distance *stack, size_t entry)
{
	if (stack->next_slot == stack->slots)
		number_anew(stack);
	uint64_t slot = stack->next_slot++;
	stack->used[slot / 64] |= 1ull << slot % 64;
	stack->below++;
	stack->table[entry].slot = slot;
	if (stack->next_slot % GROUP_SLOTS == 0) {
		uint32_t bits = bits_of_group(stack, slot >> GROUP_SHIFT);
		add_to_group(stack, slot >> GROUP_SHIFT, bits);
		stack->closed += bits;
	}
}

static void take_slot(struct stack_distance *stack, uint64_t slot)
{
	stack->used[slot / 64] &= ~(1ull << slot % 64);
	stack->below--;
	if (slot >> GROUP_SHIFT < stack->next_slot >> GROUP_SHIFT) {
		add_to_group(stack, slot >> GROUP_SHIFT, UINT32_MAX); /* minus one */
		stack->closed--;
	}
}

/* The block comes to the front of the front; the last of a full front falls out. */
static void push_front(struct stack_distance *stack, uint64_t block, size_t entry)
{
	if (stack->front_count == FRONT)
		give_slot(stack, stack->front_entry[FRONT - 1]);
	else
		stack->front_count++;
	for (unsigned place = stack->front_count - 1; place > 0; place--) {
		stack->front[place] = stack->front[place - 1];
		stack->front_entry[place] = stack->front_entry[place - 1];
	}
	stack->front[0] = block;
	stack->front_entry[0] = entry;
	stack->table[entry].slot = SLOT_FRONT;
}

static void move_to_front(struct stack_distance *stack, unsigned from)
{
	uint64_t block = stack->front[from];
	size_t entry = stack->front_entry[from];
	for (unsigned place = from; place > 0; place--) {
		stack->front[place] = stack->front[place - 1];
		stack->front_entry[place] = stack->front_entry[place - 1];
	}
	stack->front[0] = block;
	stack->front_entry[0] = entry;
}

static size_t insert(struct stack_distance *stack, uint64_t block, size_t entry)
{
	if (8 * (stack->blocks + 1) > 5 * table_size(stack)) {
		grow_table(stack);
		entry = find(stack, block);
	}
	SIM_ASSERT(stack->blocks < STACK_BLOCKS_MAX);
	stack->blocks++;
	stack->table[entry].block = block;
	return entry;
}

uint64_t stack_distance_access(struct stack_distance *stack, uint64_t block)
{
	for (unsigned place = 0; place < stack->front_count; place++)
		if (stack->front[place] == block) {
			move_to_front(stack, place);
			return place;
		}
	size_t entry = find(stack, block);
	uint64_t slot = stack->table[entry].slot;
	if (slot == SLOT_FREE) {
		push_front(stack, block, insert(stack, block, entry));
		return STACK_COLD;
	}
	uint64_t distance = stack->front_count + stack->below - 1 - rank(stack, slot);
	take_slot(stack, slot);
	stack->table[entry].slot = SLOT_FRONT; /* before slots may be numbered anew: it has none */
	push_front(stack, block, entry);
	return distance;
}

static void count_distance(struct stack_distance *stack, uint64_t distance)
{
	if (distance >= stack->at_size) {
		uint64_t size = stack->at_size ? stack->at_size : SLOTS_MIN;
		while (size <= distance)
			size *= 2;
		stack->at = xrealloc(stack->at, size * sizeof *stack->at);
		memset(stack->at + stack->at_size, 0, (size - stack->at_size) * sizeof *stack->at);
		stack->at_size = size;
	}
	stack->at[distance]++;
}

void stack_distance_count(struct stack_distance *stack, const uint64_t *blocks, size_t count)
{
	for (size_t index = 0; index < count; index++) {
		if (index + AHEAD < count)
			__builtin_prefetch(&stack->table[home(stack, blocks[index + AHEAD])], 1);
		uint64_t distance = stack_distance_access(stack, blocks[index]);
		if (distance == STACK_COLD)
			stack->cold++;
		else
			count_distance(stack, distance);
	}
	stack->accesses += count;
}

/* Entries behind a gap that would not be found any more move into it (Knuth, algorithm 6.4R). */
static void erase_entry(struct stack_distance *stack, size_t gap)
{
	size_t mask = table_size(stack) - 1;
	for (size_t at = (gap + 1) & mask; stack->table[at].slot != SLOT_FREE; at = (at + 1) & mask) {
		size_t wanted = home(stack, stack->table[at].block);
		if (((at - wanted) & mask) >= ((at - gap) & mask)) {
			stack->table[gap] = stack->table[at];
			gap = at;
		}
	}
	stack->table[gap].slot = SLOT_FREE;
}

void stack_distance_remove(struct stack_distance *stack, uint64_t block)
{
	size_t entry = find(stack, block);
	uint64_t slot = stack->table[entry].slot;
	SIM_ASSERT(slot != SLOT_FREE);
	if (slot < SLOT_FRONT) {
		take_slot(stack, slot);
	} else {
		unsigned place = 0;
		while (stack->front[place] != block)
			place++;
		stack->front_count--;
		memmove(&stack->front[place], &stack->front[place + 1], (stack->front_count - place) * sizeof stack->front[0]);
	}
	erase_entry(stack, entry);
	stack->blocks--;
	find_front_again(stack);
}

struct stack_distance *stack_distance_create(void)
{
	struct stack_distance *stack = xcalloc(1, sizeof *stack);
	stack->table_shift = TABLE_SHIFT_MIN;
	stack->table = make_table(table_size(stack));
	make_slots(stack, SLOTS_MIN);
	return stack;
}

void stack_distance_destroy(struct stack_distance *stack)
{
	if (!stack)
		return;
	free(stack->table);
	free(stack->used);
	free(stack->groups);
	free(stack->at);
	free(stack);
}

uint64_t stack_distance_blocks(const struct stack_distance *stack)
{
	return stack->blocks;
}

uint64_t stack_distance_bytes(const struct stack_distance *stack)
{
	return sizeof *stack + table_size(stack) * sizeof *stack->table + stack->slots / 8 +
	       (groups_count(stack) + 1) * sizeof *stack->groups + stack->at_size * sizeof *stack->at;
}

struct stack_counts stack_distance_counts(const struct stack_distance *stack)
{
	return (struct stack_counts){stack->at, stack->at_size, stack->accesses, stack->cold};
}

void stack_distance_check(const struct stack_distance *stack)
{
	uint64_t in_table = 0, in_front = 0, bits = 0, counted = 0;
	for (size_t at = 0; at < table_size(stack); at++) {
		uint64_t slot = stack->table[at].slot;
		if (slot == SLOT_FREE)
			continue;
		in_table++;
		in_front += slot == SLOT_FRONT;
		SIM_ASSERT(find(stack, stack->table[at].block) == at);
		SIM_ASSERT(slot == SLOT_FRONT || (slot < stack->next_slot && stack->used[slot / 64] >> slot % 64 & 1));
	}
	for (uint64_t group = 0; group < groups_count(stack); group++) {
		SIM_ASSERT(group > stack->next_slot >> GROUP_SHIFT || rank(stack, group << GROUP_SHIFT) == bits);
		bits += bits_of_group(stack, group);
	}
	for (unsigned place = 0; place < stack->front_count; place++)
		SIM_ASSERT(stack->front_entry[place] == find(stack, stack->front[place]));
	for (uint64_t distance = 0; distance < stack->at_size; distance++)
		counted += stack->at[distance];
	SIM_ASSERT(in_table == stack->blocks && in_front == stack->front_count && bits == stack->below);
	SIM_ASSERT(stack->blocks == stack->front_count + stack->below);
	SIM_ASSERT(stack->accesses == stack->cold + counted);
}
