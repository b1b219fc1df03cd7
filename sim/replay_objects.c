/* SPDX-License-Identifier: MIT
 *
 * replay_objects.c - ops of objects and kmallocs (replay_internal.h).
 */
#include "sim/replay_internal.h"

#include <stdlib.h>

/* struct kvfree_rcu_bulk_data (kernel/rcu/tree.c): words in front of the pointers in its page. */
#define RCU_BULK_HEAD_WORDS 2

static void account_object(struct replay *replay, const struct op *op, const struct live *live)
{
	struct replay_counters *counters = &replay->counters;
	counters->object_allocs++;
	counters->live_objects++;
	counters->bytes_req += live->bytes_req;
	counters->bytes_alloc += live->bytes_alloc;
	counters->total_bytes_requested += live->bytes_req;
	counters->total_bytes_allocated += live->bytes_alloc;
	struct replay_call_site *site = &replay->by_call_site[live->call_site];
	site->hit++;
	site->live_objects++;
	site->bytes_req += live->bytes_req;
	site->bytes_alloc += live->bytes_alloc;
	site->live_bytes_req += live->bytes_req;
	site->live_bytes_alloc += live->bytes_alloc;
	bool compared = op->origin == OP_RECORDED && op->bytes_alloc != 0;
	bool equal = compared && op->bytes_alloc == live->bytes_alloc;
	counters->bytes_alloc_compared += compared;
	counters->bytes_alloc_equal += equal;
	if (live->cache == UINT32_MAX)
		return;
	struct replay_cache *cache = replay_cache_account(replay, live->cache);
	cache->total_allocs++;
	cache->bytes_req += live->bytes_req;
	cache->bytes_alloc += live->bytes_alloc;
	cache->live_bytes_req += live->bytes_req;
	cache->live_bytes_alloc += live->bytes_alloc;
	cache->compared += compared;
	cache->equal += equal;
}

/* An allocation that the recording has an address for, from a start state on. */
static struct object follow_op(struct replay *replay, const struct op *op, cache_id cache, unsigned cpu)
{
	struct replay_counters *counters = &replay->counters;
	struct object object = {.cache = cache, .bytes_alloc = op->bytes_alloc};
	const struct follow_call call = {.cache = cache,
	                                 .bytes = op->bytes_req,
	                                 .gfp = op->gfp,
	                                 .cpu = cpu,
	                                 .pages = replay->follows ? &replay->follow_pages : NULL,
	                                 .unseen_calls = cache.nr != UINT32_MAX && replay->unseen_calls[op->cache]};
	if (op->origin == OP_UNSEEN) {
		bool made = follow_unseen_alloc(&replay->follow, &call, vaddr_of(op->address));
		counters->unseen_allocs_made += made;
		counters->unseen_allocs_missed += !made;
		object.at = made ? vaddr_of(op->address) : VADDR_NULL;
		return object;
	}
	enum follow_result result = follow_alloc(&replay->follow, &call, vaddr_of(op->address), &object);
	counters->address_compared++;
	bool of_page = result == FOLLOW_EQUAL && replay->follow_pages.put_right;
	counters->address_equal += result == FOLLOW_EQUAL && !of_page;
	counters->address_page += of_page;
	counters->address_unseen_free += result == FOLLOW_UNSEEN_FREE;
	counters->address_unseen_alloc += result == FOLLOW_UNSEEN_ALLOC;
	counters->address_lost += result == FOLLOW_LOST;
	if (object.cache.nr != UINT32_MAX) {
		struct replay_cache *account = replay_cache_account(replay, object.cache.nr);
		account->address_compared++;
		account->address_equal += result == FOLLOW_EQUAL && !of_page;
	}
	return object;
}

void replay_wait_for_kfree_rcu(struct replay *replay, const struct op *op, vaddr at)
{
	if (replay->follows && op->kind == OP_KMALLOC)
		follow_kfree_rcu_wait(&replay->follow_kfree_rcu, op->call_site, &(struct follow_kfree_rcu_object){op->id, at});
}

/* Frees those of the objects that are still live, in one call. */
static void free_bulk_by_kfree_rcu(struct replay *replay, const struct follow_kfree_rcu_object *waiting, size_t length,
                                   unsigned cpu)
{
	vaddr *at = xcalloc(length, sizeof *at);
	size_t count = 0;
	for (size_t i = 0; i < length; i++) {
		struct live *live = &replay->live[waiting[i].id];
		if (live->state != LIVE_OBJECT || live->gone || live->address != waiting[i].at.addr ||
		    replay->parts.objects->ops->ksize(replay->parts.objects, waiting[i].at) == 0)
			continue;
		live->gone = true;
		follow_freed(&replay->follow, waiting[i].at);
		at[count++] = waiting[i].at;
	}
	replay->counters.kfree_rcu_frees += count;
	enum object_free_result result = cache_free_bulk(replay->parts.objects, CACHE_NONE, count, at, cpu);
	SIM_ASSERT(result == OBJECT_FREE_OK);
	free(at);
}

/* Gives back what waited for kfree_rcu(): page by page of pointers, the newest first. */
static void free_by_kfree_rcu(struct replay *replay, unsigned cpu)
{
	struct follow_kfree_rcu *rcu = &replay->follow_kfree_rcu;
	size_t pointer = replay->info->pointer_bits == 32 ? 4 : 8;
	size_t bulk = (PAGE_SIZE - RCU_BULK_HEAD_WORDS * pointer) / pointer;
	while (rcu->count > 0) {
		size_t from = (rcu->count - 1) / bulk * bulk;
		free_bulk_by_kfree_rcu(replay, rcu->waiting + from, rcu->count - from, cpu);
		rcu->count = from;
	}
}

void replay_slab_goes(void *context, pfn first, unsigned order, unsigned cpu)
{
	struct replay *replay = context;
	uint64_t from = replay->config.direct_map + ((uint64_t)first.nr << PAGE_SHIFT);
	if (follow_kfree_rcu_waits(&replay->follow_kfree_rcu, vaddr_of(from), vaddr_of(from + ((uint64_t)PAGE_SIZE << order))))
		free_by_kfree_rcu(replay, cpu);
}

/* No memory for an object: the first time, what was free all the same. */
static void note_failed_object(struct replay *replay)
{
	struct zone_view zone;
	uint64_t pcp;
	if (replay->counters.failed_object_allocs++)
		return;
	replay->counters.first_failed_op = replay->counters.ops;
	replay->counters.first_failed_pages_free = replay_pages_free(replay, &zone, &pcp);
}

bool replay_alloc_object(struct replay *replay, const struct op *op, unsigned cpu, struct error *error)
{
	struct live *live = &replay->live[op->id];
	if (live->state != LIVE_NOT)
		return replay_wrong_op(replay, op, "its id is still in use", error);
	struct object object = {0};
	cache_id cache = op->kind == OP_CACHE_ALLOC ? replay->caches[op->cache] : CACHE_NONE;
	if (op->kind == OP_CACHE_ALLOC && cache.nr == UINT32_MAX) {
		replay->counters.refused_caches_allocs++;
		live->state = LIVE_FAILED;
		return true;
	}
	if (replay->config.from_state && op->address)
		object = follow_op(replay, op, cache, cpu);
	else if (op->kind == OP_CACHE_ALLOC)
		object = cache_alloc(replay->parts.objects, cache, op->gfp, cpu);
	else
		object = object_kmalloc(replay->parts.objects, op->bytes_req, op->gfp, cpu);
	if (object.at.addr == 0) {
		note_failed_object(replay);
		live->state = LIVE_FAILED;
		return true;
	}
	*live = (struct live){.address = object.at.addr,
	                      .bytes_req = op->bytes_req,
	                      .bytes_alloc = object.bytes_alloc,
	                      .call_site = op->call_site,
	                      .cache = object.cache.nr,
	                      .cpu = (uint16_t)cpu,
	                      .state = LIVE_OBJECT};
	account_object(replay, op, live);
	replay_wait_for_kfree_rcu(replay, op, object.at);
	return true;
}

static const char *object_free_text(enum object_free_result result)
{
	switch (result) {
	case OBJECT_FREE_OK:
		break;
	case OBJECT_FREE_NOT_ALLOCATED:
		return "the object is free already";
	case OBJECT_FREE_NOT_OBJECT:
		return "the address is no object's";
	case OBJECT_FREE_WRONG_CACHE:
		return "the object belongs to another cache";
	}
	SIM_UNREACHABLE("a wrong free");
}

static void account_object_free(struct replay *replay, const struct live *live, unsigned cpu)
{
	struct replay_counters *counters = &replay->counters;
	counters->object_frees++;
	counters->live_objects--;
	counters->bytes_req -= live->bytes_req;
	counters->bytes_alloc -= live->bytes_alloc;
	counters->ping_pong += live->cpu != cpu;
	struct replay_call_site *site = &replay->by_call_site[live->call_site];
	site->ping_pong += live->cpu != cpu;
	site->live_objects--;
	site->live_bytes_req -= live->bytes_req;
	site->live_bytes_alloc -= live->bytes_alloc;
	if (live->cache == UINT32_MAX)
		return;
	struct replay_cache *cache = &replay->by_cache[live->cache];
	cache->total_frees++;
	cache->live_bytes_req -= live->bytes_req;
	cache->live_bytes_alloc -= live->bytes_alloc;
}

bool replay_free_apart(struct replay *replay, struct live *live, unsigned cpu)
{
	if (live->state == LIVE_FAILED)
		return replay_free_of_failed(replay, live);
	if (live->state != LIVE_LARGE && live->state != LIVE_UNKNOWN)
		return false;
	if (live->state == LIVE_LARGE && !replay->follows) {
		enum page_free_result result = page_free(replay->parts.pages, pfn_of((uint32_t)live->address), live->order, cpu);
		SIM_ASSERT(result == PAGE_FREE_OK);
		replay->start_unknown -= 1ull << live->order;
	}
	replay->counters.frees_of_unknown++;
	live->state = LIVE_NOT;
	return true;
}

bool replay_free_object(struct replay *replay, const struct op *op, const struct op *next, unsigned cpu, struct error *error)
{
	struct live *live = &replay->live[op->id];
	if (live->state != LIVE_OBJECT && replay_free_apart(replay, live, cpu))
		return true;
	if (live->state != LIVE_OBJECT)
		return replay_wrong_op(
		        replay, op, live->state == LIVE_NOT ? "nothing is live under its id" : "its id stands for pages", error);
	vaddr at = vaddr_of(live->address);
	if (live->gone || (replay->follows && replay_is_made_up(replay, op, next))) {
		account_object_free(replay, live, cpu);
		live->state = LIVE_NOT;
		return true;
	}
	if (replay->puts_off && op->kind == OP_CACHE_FREE && is_put_off(replay, op->cache) &&
	    follow_rcu_put_off(&replay->follow_rcu, op->line, at)) {
		follow_freed(&replay->follow, at);
		account_object_free(replay, live, cpu);
		replay->counters.frees_put_off++;
		live->state = LIVE_NOT;
		return true;
	}
	/* The kernel accepts kmem_cache_free() of a kmalloc'ed object by its own cache; the recording then names a kmalloc cache.
	 */
	enum object_free_result result = op->kind == OP_CACHE_FREE && live->cache == replay->caches[op->cache].nr
	                                         ? cache_free(replay->parts.objects, (cache_id){live->cache}, at, cpu)
	                                         : object_kfree(replay->parts.objects, at, cpu);
	if (result != OBJECT_FREE_OK && !replay->follows)
		return replay_wrong_op(replay, op, object_free_text(result), error);
	replay->counters.frees_made_before += result != OBJECT_FREE_OK;
	if (replay->config.from_state)
		follow_freed(&replay->follow, at);
	account_object_free(replay, live, cpu);
	live->state = LIVE_NOT;
	return true;
}
