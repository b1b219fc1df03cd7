/* SPDX-License-Identifier: MIT
 *
 * thrash.c - what a level evicted lately, in a hash table (interface, formula and laws: thrash.h).
 *
 * A slot that fell out of the window and never saw a re-miss tells nothing any more; when the table is half full such slots are
 * left behind while it is made anew, and it grows only if too many remain.
 */
#include "sim/thrash.h"

#include <stdlib.h>

#define SLOTS_AT_FIRST 1024u

/* The re-misses of a slot count up to PING_PONG_REMISSES and no further. */
#define REMISS_SHIFT 60
#define EVICTED_MASK ((1ull << REMISS_SHIFT) - 1)

static uint64_t remisses_of(const struct thrash_slot *slot)
{
	return slot->evicted >> REMISS_SHIFT;
}

static struct thrash_slot *slot_of(struct thrash_slot *slots, uint64_t capacity, uint64_t block)
{
	uint64_t at = ((block + 1) * 0x9e3779b97f4a7c15u >> 20) & (capacity - 1);
	while (slots[at].block && slots[at].block != block + 1)
		at = (at + 1) & (capacity - 1);
	return &slots[at];
}

static bool worth_keeping(const struct thrash *thrash, const struct thrash_slot *slot, uint64_t now)
{
	return slot->block && (remisses_of(slot) > 0 || now - (slot->evicted & EVICTED_MASK) <= thrash->window);
}

static void make_anew(struct thrash *thrash, uint64_t now)
{
	uint64_t kept = 0;
	for (uint64_t at = 0; at < thrash->capacity; at++)
		kept += worth_keeping(thrash, &thrash->slots[at], now);
	uint64_t capacity = thrash->capacity ? thrash->capacity : SLOTS_AT_FIRST;
	while (4 * (kept + 1) > capacity)
		capacity *= 2;
	struct thrash_slot *slots = xcalloc(capacity, sizeof *slots);
	for (uint64_t at = 0; at < thrash->capacity; at++)
		if (worth_keeping(thrash, &thrash->slots[at], now))
			*slot_of(slots, capacity, thrash->slots[at].block - 1) = thrash->slots[at];
	free(thrash->slots);
	thrash->slots = slots;
	thrash->capacity = capacity;
	thrash->used = kept;
}

void thrash_init(struct thrash *thrash, uint64_t window)
{
	SIM_ASSERT(window > 0);
	*thrash = (struct thrash){.window = window};
	make_anew(thrash, 0);
}

void thrash_release(struct thrash *thrash)
{
	free(thrash->slots);
	*thrash = (struct thrash){0};
}

void thrash_evicted(struct thrash *thrash, uint64_t block, bool used, uint64_t now)
{
	SIM_ASSERT(now <= EVICTED_MASK);
	thrash->evictions++;
	thrash->unused_evictions += !used;
	struct thrash_slot *slot = slot_of(thrash->slots, thrash->capacity, block);
	if (!slot->block) {
		if (2 * (thrash->used + 1) > thrash->capacity) {
			make_anew(thrash, now);
			slot = slot_of(thrash->slots, thrash->capacity, block);
		}
		thrash->used++;
		slot->block = block + 1;
	}
	slot->evicted = remisses_of(slot) << REMISS_SHIFT | now;
}

void thrash_missed(struct thrash *thrash, uint64_t block, uint64_t now)
{
	struct thrash_slot *slot = slot_of(thrash->slots, thrash->capacity, block);
	uint64_t evicted = slot->evicted & EVICTED_MASK;
	if (!slot->block || evicted == 0 || now - evicted > thrash->window)
		return;
	thrash->remisses++;
	uint64_t remisses = remisses_of(slot);
	if (remisses < PING_PONG_REMISSES)
		thrash->ping_pong_blocks += ++remisses == PING_PONG_REMISSES;
	slot->evicted = remisses << REMISS_SHIFT; /* it is back: the next miss on it needs an eviction first */
}

double thrash_index(const struct thrash *thrash, uint64_t accesses)
{
	SIM_ASSERT(thrash->remisses <= accesses);
	return accesses ? (double)thrash->remisses / (double)accesses : 0;
}

void thrash_check(const struct thrash *thrash)
{
	SIM_ASSERT(thrash->unused_evictions <= thrash->evictions && thrash->remisses <= thrash->evictions);
	uint64_t used = 0, ping_pong = 0;
	for (uint64_t at = 0; at < thrash->capacity; at++) {
		used += thrash->slots[at].block != 0;
		ping_pong += remisses_of(&thrash->slots[at]) == PING_PONG_REMISSES;
	}
	SIM_ASSERT(used == thrash->used && 2 * used <= thrash->capacity);
	SIM_ASSERT(ping_pong == thrash->ping_pong_blocks);
}
