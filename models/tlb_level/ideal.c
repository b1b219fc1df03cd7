/* SPDX-License-Identifier: MIT
 *
 * ideal.c - a TLB array without an end: what was once in it stays until it is invalidated.
 *
 * Algorithm: a hash table from tag to word, open addressing, at most half full; an entry taken out leaves its slot marked.
 *
 * MODEL: no machine has it. Effect: only first uses and uses after an invalidation miss, the least that any TLB can have.
 */
#include "sim/port/tlb_level.h"

#include <stdio.h>
#include <stdlib.h>

extern const struct tlb_level_ops tlb_level_ideal_ops;
struct tlb_level *tlb_level_ideal_create(const struct tlb_wiring *wiring, struct error *error);

/* In a slot: a tag plus 1, so that 0 is an empty slot. */
#define SLOT_REMOVED UINT64_MAX
#define SLOTS_FIRST 1024u
#define HASH_FACTOR 0x9e3779b97f4a7c15u /* 2^64 over the golden ratio (Knuth, TAOCP vol. 3, 6.4) */

struct slot {
	uint64_t key, word;
};

struct ideal {
	struct tlb_level tlb;
	struct slot *slots;
	size_t capacity;       /* a power of two */
	size_t taken, entries; /* slots that are not empty; of them those not removed */
};

/* The tag's slot, or the empty one where it would be looked for last. */
static struct slot *slot_of(const struct ideal *ideal, uint64_t tag)
{
	size_t index = (size_t)(((tag + 1) * HASH_FACTOR) >> 32) & (ideal->capacity - 1);
	while (ideal->slots[index].key && ideal->slots[index].key != tag + 1)
		index = (index + 1) & (ideal->capacity - 1);
	return &ideal->slots[index];
}

static bool is_entry(const struct slot *slot)
{
	return slot->key != 0 && slot->key != SLOT_REMOVED;
}

static void rebuild(struct ideal *ideal)
{
	struct ideal old = *ideal;
	ideal->capacity = 2 * old.entries >= old.capacity / 2 ? 2 * old.capacity : old.capacity;
	ideal->slots = xcalloc(ideal->capacity, sizeof *ideal->slots);
	ideal->taken = old.entries;
	for (size_t index = 0; index < old.capacity; index++)
		if (is_entry(&old.slots[index]))
			*slot_of(ideal, old.slots[index].key - 1) = old.slots[index];
	free(old.slots);
}

static bool ideal_use(struct tlb_level *tlb, uint64_t tag, uint64_t **word)
{
	struct slot *slot = slot_of((struct ideal *)tlb, tag);
	if (!slot->key)
		return false;
	if (word)
		*word = &slot->word;
	return true;
}

static struct tlb_entry ideal_fill(struct tlb_level *tlb, struct tlb_entry entry)
{
	struct ideal *ideal = (struct ideal *)tlb;
	if (2 * (ideal->taken + 1) > ideal->capacity)
		rebuild(ideal);
	struct slot *slot = slot_of(ideal, entry.tag);
	SIM_ASSERT(!slot->key);
	*slot = (struct slot){entry.tag + 1, entry.word};
	ideal->taken++;
	ideal->entries++;
	return (struct tlb_entry){TLB_NONE, 0};
}

static struct tlb_entry ideal_remove(struct tlb_level *tlb, uint64_t tag)
{
	struct ideal *ideal = (struct ideal *)tlb;
	struct slot *slot = slot_of(ideal, tag);
	if (!slot->key)
		return (struct tlb_entry){TLB_NONE, 0};
	slot->key = SLOT_REMOVED;
	ideal->entries--;
	return (struct tlb_entry){tag, slot->word};
}

static uint64_t ideal_invalidate(struct tlb_level *tlb, const struct tlb_scope *scope)
{
	struct ideal *ideal = (struct ideal *)tlb;
	uint64_t gone = 0;
	for (size_t index = 0; index < ideal->capacity; index++) {
		if (!is_entry(&ideal->slots[index]) || !tlb_scope_has(scope, ideal->slots[index].key - 1))
			continue;
		ideal->slots[index].key = SLOT_REMOVED;
		gone++;
	}
	ideal->entries -= gone;
	return gone;
}

static uint64_t ideal_entries(const struct tlb_level *tlb)
{
	return ((const struct ideal *)tlb)->entries;
}

static void ideal_visit(const struct tlb_level *tlb, void (*visit)(void *, struct tlb_entry), void *context)
{
	const struct ideal *ideal = (const struct ideal *)tlb;
	for (size_t index = 0; index < ideal->capacity; index++)
		if (is_entry(&ideal->slots[index]))
			visit(context, (struct tlb_entry){ideal->slots[index].key - 1, ideal->slots[index].word});
}

static void ideal_check(const struct tlb_level *tlb)
{
	const struct ideal *ideal = (const struct ideal *)tlb;
	size_t taken = 0, entries = 0;
	for (size_t index = 0; index < ideal->capacity; index++) {
		taken += ideal->slots[index].key != 0;
		entries += is_entry(&ideal->slots[index]);
		if (is_entry(&ideal->slots[index]))
			SIM_ASSERT(slot_of(ideal, ideal->slots[index].key - 1) == &ideal->slots[index]);
	}
	SIM_ASSERT(taken == ideal->taken && entries == ideal->entries && 2 * taken <= ideal->capacity);
}

static void ideal_destroy(struct tlb_level *tlb)
{
	free(((struct ideal *)tlb)->slots);
	free(tlb);
}

const struct tlb_level_ops tlb_level_ideal_ops = {
        .name = "ideal",
        .help = "without an end: only first uses miss",
        .use = ideal_use,
        .find = ideal_use,
        .fill = ideal_fill,
        .remove = ideal_remove,
        .invalidate = ideal_invalidate,
        .entries = ideal_entries,
        .visit = ideal_visit,
        .check = ideal_check,
        .destroy = ideal_destroy,
};

struct tlb_level *tlb_level_ideal_create(const struct tlb_wiring *wiring, struct error *error)
{
	(void)error;
	struct ideal *ideal = xcalloc(1, sizeof *ideal);
	ideal->tlb.ops = &tlb_level_ideal_ops;
	ideal->tlb.sets = 1;
	snprintf(ideal->tlb.name, sizeof ideal->tlb.name, "%s", wiring->name);
	ideal->capacity = SLOTS_FIRST;
	ideal->slots = xcalloc(ideal->capacity, sizeof *ideal->slots);
	return &ideal->tlb;
}
