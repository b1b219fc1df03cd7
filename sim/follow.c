/* SPDX-License-Identifier: MIT
 *
 * follow.c - taking, holding and giving back objects until the model's lists are the recording's (interface, rules: follow.h).
 *
 * MODEL: where on the list an unseen free put its object, and when an unseen allocation really happened, is not known: both are
 * made where the recording first shows their effect. The order of one list is right from then on; which slabs were full or
 * empty in between may be not.
 */
#include "sim/follow.h"

#define UNIT 8u /* bytes: no two objects begin closer together */

void follow_init(struct follow *follow, struct object_allocator *objects, uint64_t direct_map, uint32_t end_pfn, uint64_t ops)
{
	*follow = (struct follow){.objects = objects, .direct_map = direct_map, .ops = ops};
	follow->units = (uint64_t)end_pfn * (PAGE_SIZE / UNIT);
	follow->upcoming = lazy_alloc(follow->units, 1);
	follow->fates = lazy_alloc(ops + 1, 1);
	follow->last_op = lazy_alloc(follow->units, sizeof *follow->last_op);
	follow->stray_bytes = follow->units / 8;
	follow->stray = lazy_alloc(follow->stray_bytes, 1);
}

/* The unit of an address, UINT64_MAX outside of memory. */
static uint64_t unit_of(const struct follow *follow, vaddr at)
{
	uint64_t unit = (at.addr - follow->direct_map) / UNIT;
	return at.addr < follow->direct_map || unit >= follow->units ? UINT64_MAX : unit;
}

void follow_look_ahead(struct follow *follow, vaddr at, enum follow_fate fate)
{
	uint64_t unit = unit_of(follow, at), op = follow->at++;
	SIM_ASSERT(op < follow->ops);
	if (unit == UINT64_MAX)
		return;
	uint32_t last = follow->last_op[unit];
	*(last ? &follow->fates[last - 1] : &follow->upcoming[unit]) = (uint8_t)fate;
	follow->last_op[unit] = (uint32_t)op + 1;
}

void follow_begin(struct follow *follow)
{
	lazy_free(follow->last_op, follow->units, sizeof *follow->last_op);
	follow->last_op = NULL;
	follow->at = 0;
}

void follow_next_op(struct follow *follow, vaddr at)
{
	uint64_t unit = unit_of(follow, at), op = follow->at++;
	if (unit != UINT64_MAX)
		follow->upcoming[unit] = follow->fates[op];
}

static enum follow_fate fate_of(const struct follow *follow, vaddr at)
{
	uint64_t unit = unit_of(follow, at);
	return unit == UINT64_MAX ? FATE_NONE : (enum follow_fate)follow->upcoming[unit];
}

void follow_release(struct follow *follow)
{
	if (follow->last_op)
		lazy_free(follow->last_op, follow->units, sizeof *follow->last_op);
	lazy_free(follow->upcoming, follow->units, 1);
	lazy_free(follow->fates, follow->ops + 1, 1);
	lazy_free(follow->stray, follow->stray_bytes, 1);
	*follow = (struct follow){0};
}

static void set_stray(struct follow *follow, vaddr at, bool stray)
{
	uint64_t unit = unit_of(follow, at);
	uint8_t bit = (uint8_t)(1u << unit % 8);
	if (unit != UINT64_MAX)
		follow->stray[unit / 8] = (uint8_t)(stray ? follow->stray[unit / 8] | bit : follow->stray[unit / 8] & ~bit);
}

static bool is_stray(const struct follow *follow, vaddr at)
{
	uint64_t unit = unit_of(follow, at);
	return unit != UINT64_MAX && follow->stray[unit / 8] >> unit % 8 & 1;
}

void follow_freed(struct follow *follow, vaddr at)
{
	set_stray(follow, at, false);
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

/* Gives objects back in reverse order, so that they stand as they stood; but `used`, those that an unseen call must have taken.
 */
static void put_back(struct follow *follow, const struct follow_call *call, const vaddr *taken, unsigned count, bool used)
{
	while (count-- > 0)
		if (!used || fate_of(follow, taken[count]) == FATE_ALLOC)
			give_back(follow, taken[count], call->cpu);
}

/* Allocates until the object at `at` comes. Those before it go back, but what unseen calls took; if it does not come, all do. */
static bool take_until(struct follow *follow, const struct follow_call *call, vaddr at, struct object *object)
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
	put_back(follow, call, taken, count, found && call->unseen_calls);
	return found;
}

/* Whether the recording has a page for a slab at the address that the object allocator has not taken yet. */
static bool page_waits(const struct follow *follow, const struct follow_call *call, vaddr at)
{
	return call->pages && follow_pages_granted(call->pages, (uint32_t)((at.addr - follow->direct_map) >> PAGE_SHIFT)) >= 0;
}

/*
 * The recorded kernel needed the page that the object lies in, so nothing else was free then. Takes what the model has left until
 * it needs the page too. Returns how many objects there were.
 */
static unsigned take_all_before_page(struct follow *follow, const struct follow_call *call, vaddr at)
{
	vaddr left[FOLLOW_LEFT_MAX];
	unsigned count = 0;
	struct object next = {0};
	if (!page_waits(follow, call, at))
		return 0;
	while (count < FOLLOW_LEFT_MAX) {
		next = make_call(follow, call);
		if (next.at.addr == 0 || !page_waits(follow, call, at))
			break;
		left[count++] = next.at;
	}
	put_back(follow, call, left, count, call->unseen_calls);
	if (next.at.addr != 0 && count < FOLLOW_LEFT_MAX)
		give_back(follow, next.at, call->cpu);
	return count;
}

/* The object at `at`, which stands behind others or on a list of another slab than the CPU's. */
static bool reach(struct follow *follow, const struct follow_call *call, vaddr at, struct object *object)
{
	return take_until(follow, call, at, object) || object_claim(follow->objects, at, object);
}

static bool place(struct follow *follow, const struct follow_call *call, vaddr at, struct object *object)
{
	return object_place(follow->objects, call->cache, call->bytes, call->gfp, call->cpu, at, object);
}

/* In a model that says beforehand what it would do, a call that would go elsewhere is never made. */
static enum follow_result follow_foreseen(struct follow *follow, const struct follow_call *call, vaddr at, struct object *object)
{
	bool stray = is_stray(follow, at);
	bool live = !stray && follow->objects->ops->ksize(follow->objects, at) > 0;
	if (live)
		give_back(follow, at, call->cpu);
	vaddr next = follow->objects->ops->follow->foresee(follow->objects, call->cache, call->bytes);
	bool agreed = next.addr == at.addr || (next.addr == 0 && page_waits(follow, call, at));
	if (!agreed && !stray && place(follow, call, at, object))
		return live ? FOLLOW_UNSEEN_FREE : FOLLOW_UNSEEN_ALLOC;
	*object = make_call(follow, call);
	if (object->at.addr == at.addr)
		return live ? FOLLOW_UNSEEN_FREE : FOLLOW_EQUAL;
	if (object->at.addr != 0)
		set_stray(follow, object->at, true);
	return FOLLOW_LOST;
}

static bool foresees(const struct follow *follow)
{
	return follow->objects->ops->follow && follow->objects->ops->follow->foresee;
}

enum follow_result follow_alloc(struct follow *follow, const struct follow_call *call, vaddr at, struct object *object)
{
	if (foresees(follow))
		return follow_foreseen(follow, call, at, object);
	bool live = !is_stray(follow, at) && follow->objects->ops->ksize(follow->objects, at) > 0;
	if (live)
		give_back(follow, at, call->cpu);
	unsigned left = take_all_before_page(follow, call, at);
	*object = make_call(follow, call);
	if (object->at.addr == at.addr)
		return live ? FOLLOW_UNSEEN_FREE : left ? FOLLOW_UNSEEN_ALLOC : FOLLOW_EQUAL;
	if (object->at.addr == 0)
		return FOLLOW_LOST;
	if (is_stray(follow, at)) {
		set_stray(follow, object->at, true);
		return FOLLOW_LOST;
	}
	give_back(follow, object->at, call->cpu);
	if (reach(follow, call, at, object))
		return live ? FOLLOW_UNSEEN_FREE : FOLLOW_UNSEEN_ALLOC;
	*object = make_call(follow, call);
	set_stray(follow, object->at, true);
	return FOLLOW_LOST;
}

bool follow_unseen_alloc(struct follow *follow, const struct follow_call *call, vaddr at)
{
	struct object object;
	if (is_stray(follow, at))
		return false;
	if (follow->objects->ops->ksize(follow->objects, at) > 0)
		return true;
	return foresees(follow) ? place(follow, call, at, &object) : reach(follow, call, at, &object);
}
