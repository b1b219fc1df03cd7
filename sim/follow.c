/* SPDX-License-Identifier: MIT
 *
 * follow.c - taking, holding and giving back objects until the model's lists are the recording's (interface, rules: follow.h).
 *
 * MODEL: where on the list an unseen free put its object, and when an unseen allocation really happened, is not known: both are
 * made where the recording first shows their effect. The order of one list is right from then on; which slabs were full or
 * empty in between may be not.
 */
#include "sim/follow.h"

#define HELD_UNIT 8u /* bytes: no two objects begin closer together */

void follow_init(struct follow *follow, struct object_allocator *objects, uint64_t direct_map, uint32_t end_pfn)
{
	*follow = (struct follow){.objects = objects, .direct_map = direct_map};
	follow->held_bytes = (uint64_t)end_pfn * (PAGE_SIZE / HELD_UNIT / 8);
	follow->held = lazy_alloc(follow->held_bytes, 1);
	follow->stray = lazy_alloc(follow->held_bytes, 1);
}

void follow_release(struct follow *follow)
{
	lazy_free(follow->held, follow->held_bytes, 1);
	lazy_free(follow->stray, follow->held_bytes, 1);
	*follow = (struct follow){0};
}

/* The byte of an address's bit, NULL if it is outside of memory. */
static uint8_t *byte_of(const struct follow *follow, uint8_t *bits, vaddr at, uint8_t *bit)
{
	uint64_t unit = (at.addr - follow->direct_map) / HELD_UNIT;
	*bit = (uint8_t)(1u << unit % 8);
	return at.addr < follow->direct_map || unit / 8 >= follow->held_bytes ? NULL : &bits[unit / 8];
}

static void set_bit(const struct follow *follow, uint8_t *bits, vaddr at, bool set)
{
	uint8_t bit, *byte = byte_of(follow, bits, at, &bit);
	if (byte)
		*byte = (uint8_t)(set ? *byte | bit : *byte & ~bit);
}

static bool is_stray(const struct follow *follow, vaddr at)
{
	uint8_t bit;
	const uint8_t *byte = byte_of(follow, follow->stray, at, &bit);
	return byte && *byte & bit;
}

void follow_freed(struct follow *follow, vaddr at)
{
	set_bit(follow, follow->held, at, false);
	set_bit(follow, follow->stray, at, false);
}

static struct object make_call(struct follow *follow, const struct follow_call *call)
{
	if (call->cache.nr == UINT32_MAX)
		return object_kmalloc(follow->objects, call->bytes, call->gfp, call->cpu);
	return cache_alloc(follow->objects, call->cache, call->gfp, call->cpu);
}

static void give_back(struct follow *follow, vaddr at, unsigned cpu)
{
	enum object_free_result result = object_kfree(follow->objects, at, cpu);
	SIM_ASSERT(result == OBJECT_FREE_OK);
}

/* Allocates until the object at `at` comes. Those before it are held, or given back in reverse order; if it does not come, all
 * are. */
static bool take_until(struct follow *follow, const struct follow_call *call, vaddr at, bool hold, struct object *object)
{
	vaddr taken[FOLLOW_TAKES_MAX];
	unsigned count = 0;
	bool found = false;
	while (!found && count < FOLLOW_TAKES_MAX) {
		struct object next = make_call(follow, call);
		if (next.at.addr == 0)
			break;
		found = next.at.addr == at.addr;
		if (found)
			*object = next;
		else
			taken[count++] = next.at;
	}
	if (found && hold && count <= FOLLOW_HOLDS_MAX) {
		while (count-- > 0)
			set_bit(follow, follow->held, taken[count], true);
		return true;
	}
	while (count-- > 0)
		give_back(follow, taken[count], call->cpu);
	return found;
}

/*
 * The recorded kernel needed the page that the object lies in, so nothing else was free: what the model has left was taken by
 * calls without an event. Returns how many objects.
 */
static unsigned take_all_before_page(struct follow *follow, const struct follow_call *call, vaddr at)
{
	uint32_t frame = (uint32_t)((at.addr - follow->direct_map) >> PAGE_SHIFT);
	unsigned count = 0;
	while (call->pages && follow_pages_granted(call->pages, frame) >= 0) {
		struct object next = make_call(follow, call);
		if (next.at.addr == 0)
			return count;
		if (follow_pages_granted(call->pages, frame) < 0) {
			give_back(follow, next.at, call->cpu);
			return count;
		}
		set_bit(follow, follow->held, next.at, true);
		count++;
	}
	return count;
}

enum follow_result follow_alloc(struct follow *follow, const struct follow_call *call, vaddr at, struct object *object)
{
	bool live = !is_stray(follow, at) && follow->objects->ops->ksize(follow->objects, at) > 0;
	if (live) {
		follow_freed(follow, at);
		give_back(follow, at, call->cpu);
	}
	unsigned taken = take_all_before_page(follow, call, at);
	*object = make_call(follow, call);
	if (object->at.addr == at.addr)
		return live ? FOLLOW_UNSEEN_FREE : taken ? FOLLOW_UNSEEN_ALLOC : FOLLOW_EQUAL;
	if (object->at.addr == 0)
		return FOLLOW_LOST;
	if (is_stray(follow, at)) {
		set_bit(follow, follow->stray, object->at, true);
		return FOLLOW_LOST;
	}
	give_back(follow, object->at, call->cpu);
	if (take_until(follow, call, at, call->unseen_calls, object) || object_claim(follow->objects, at, object))
		return live ? FOLLOW_UNSEEN_FREE : FOLLOW_UNSEEN_ALLOC;
	*object = make_call(follow, call);
	set_bit(follow, follow->stray, object->at, true);
	return FOLLOW_LOST;
}

bool follow_unseen_alloc(struct follow *follow, const struct follow_call *call, vaddr at)
{
	struct object object;
	if (is_stray(follow, at))
		return false;
	if (follow->objects->ops->ksize(follow->objects, at) > 0) {
		follow_freed(follow, at);
		return true;
	}
	return take_until(follow, call, at, false, &object);
}
