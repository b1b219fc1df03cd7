/* SPDX-License-Identifier: MIT
 *
 * level_watch.c - counts behind the closer look at a level (interface and laws: level_watch.h).
 */
#include "sim/level_watch.h"

#include <stdlib.h>

#define OWNERS_AT_FIRST 16u

struct level_watch *level_watch_create(unsigned instances, uint64_t window, const uint32_t *owner)
{
	struct level_watch *watch = xcalloc(1, sizeof *watch);
	watch->instances = instances;
	watch->owner = owner;
	watch->thrash = xcalloc(instances, sizeof *watch->thrash);
	watch->now = xcalloc(instances, sizeof *watch->now);
	for (unsigned instance = 0; instance < instances; instance++)
		thrash_init(&watch->thrash[instance], window);
	return watch;
}

void level_watch_destroy(struct level_watch *watch)
{
	if (!watch)
		return;
	for (unsigned instance = 0; instance < watch->instances; instance++)
		thrash_release(&watch->thrash[instance]);
	free(watch->thrash);
	free(watch->now);
	free(watch->owners);
	free(watch);
}

static struct watch_share *owner_share(struct level_watch *watch)
{
	uint32_t owner = *watch->owner < WATCH_OWNERS_MAX ? *watch->owner : WATCH_OWNERS_MAX - 1;
	if (owner >= watch->owners_count) {
		uint32_t count = watch->owners_count ? watch->owners_count : OWNERS_AT_FIRST;
		while (count <= owner)
			count *= 2;
		watch->owners = xrealloc(watch->owners, count * sizeof *watch->owners);
		for (uint32_t nr = watch->owners_count; nr < count; nr++)
			watch->owners[nr] = (struct watch_share){0};
		watch->owners_count = count;
	}
	return &watch->owners[owner];
}

static void share_add(struct watch_share *share, bool missed)
{
	share->accesses++;
	share->misses += missed;
}

void level_watch_access(struct level_watch *watch, unsigned instance, uint64_t block, uint8_t told, bool missed)
{
	SIM_ASSERT(instance < watch->instances);
	uint64_t now = ++watch->now[instance];
	watch->accesses++;
	watch->misses += missed;
	share_add(&watch->region[access_region(told)], missed);
	if (watch->owner)
		share_add(owner_share(watch), missed);
	if (missed)
		thrash_missed(&watch->thrash[instance], block, now);
}

void level_watch_evicted(struct level_watch *watch, unsigned instance, uint64_t block, bool used)
{
	SIM_ASSERT(instance < watch->instances);
	thrash_evicted(&watch->thrash[instance], block, used, watch->now[instance]);
}

uint64_t level_watch_unused_evictions(const struct level_watch *watch)
{
	uint64_t sum = 0;
	for (unsigned instance = 0; instance < watch->instances; instance++)
		sum += watch->thrash[instance].unused_evictions;
	return sum;
}

uint64_t level_watch_remisses(const struct level_watch *watch)
{
	uint64_t sum = 0;
	for (unsigned instance = 0; instance < watch->instances; instance++)
		sum += watch->thrash[instance].remisses;
	return sum;
}

uint64_t level_watch_ping_pong_blocks(const struct level_watch *watch)
{
	uint64_t sum = 0;
	for (unsigned instance = 0; instance < watch->instances; instance++)
		sum += watch->thrash[instance].ping_pong_blocks;
	return sum;
}

static void check_shares(const struct level_watch *watch, const struct watch_share *shares, uint32_t count)
{
	struct watch_share sum = {0};
	for (uint32_t nr = 0; nr < count; nr++) {
		SIM_ASSERT(shares[nr].misses <= shares[nr].accesses);
		sum.accesses += shares[nr].accesses;
		sum.misses += shares[nr].misses;
	}
	SIM_ASSERT(sum.accesses == watch->accesses && sum.misses == watch->misses);
}

void level_watch_check(const struct level_watch *watch)
{
	check_shares(watch, watch->region, WATCH_REGIONS);
	if (watch->owner)
		check_shares(watch, watch->owners, watch->owners_count);
	uint64_t now = 0;
	for (unsigned instance = 0; instance < watch->instances; instance++) {
		thrash_check(&watch->thrash[instance]);
		now += watch->now[instance];
	}
	SIM_ASSERT(now == watch->accesses && level_watch_remisses(watch) <= watch->misses);
}

void level_watch_check_kind(const struct level_watch *watch, unsigned kind, const struct watch_kind *level)
{
	struct watch_kind sum = {0};
	for (unsigned page = 0; page < WATCH_PAGES; page++) {
		const struct watch_kind *here = &watch->kind[kind][page];
		sum.accesses += here->accesses;
		sum.misses += here->misses;
		sum.evictions += here->evictions;
		sum.write_backs += here->write_backs;
	}
	SIM_ASSERT(sum.accesses == level->accesses && sum.misses == level->misses && sum.evictions == level->evictions &&
	           sum.write_backs == level->write_backs);
}
