/* SPDX-License-Identifier: MIT
 *
 * replay_check.c - the laws of the replay (replay_internal.h).
 */
#include "sim/replay_internal.h"

static void check_live(const struct replay *replay)
{
	const struct replay_counters *counters = &replay->counters;
	uint64_t objects = 0, blocks = 0, pages = 0, bytes_req = 0, bytes_alloc = 0;
	for (uint32_t id = 0; id < replay->info->ids && !replay->before_start; id++) {
		const struct live *live = &replay->live[id];
		objects += live->state == LIVE_OBJECT;
		blocks += live->state == LIVE_PAGES;
		pages += live->state == LIVE_PAGES ? 1ull << live->order : 0;
		bytes_req += live->state == LIVE_OBJECT ? live->bytes_req : 0;
		bytes_alloc += live->state == LIVE_OBJECT ? live->bytes_alloc : 0;
	}
	SIM_ASSERT(objects == counters->live_objects && blocks == counters->live_page_blocks);
	SIM_ASSERT(bytes_req == counters->bytes_req && bytes_alloc == counters->bytes_alloc);
	SIM_ASSERT(pages == counters->pages_unmovable + counters->pages_movable + counters->pages_reclaimable);
	SIM_ASSERT(replay->before_start || replay->parts.pages->allocated_pages ==
	                                           pages + replay->start_unknown + (uint64_t)replay->follow_pages.balance +
	                                                   pages_of_areas(replay) + pages_of_processes(replay) +
	                                                   counters->pages_mapped +
	                                                   replay->parts.objects->ops->pages_held(replay->parts.objects));
}

/* Each block that the recording asked for is of one order. */
static void check_orders(const struct replay *replay)
{
	uint64_t asked = 0, failed = 0;
	for (unsigned order = 0; order < ORDERS; order++) {
		asked += replay->by_order[order].asked;
		failed += replay->by_order[order].failed;
	}
	SIM_ASSERT(asked == replay->counters.page_allocs + replay->counters.failed_page_allocs);
	SIM_ASSERT(failed == replay->counters.failed_page_allocs);
}

void replay_check(const struct replay *replay)
{
	const struct replay_counters *counters = &replay->counters;
	SIM_ASSERT(counters->ops == counters->object_allocs + counters->object_frees + counters->page_allocs +
	                                    counters->page_frees + counters->marks + counters->failed_object_allocs +
	                                    counters->failed_page_allocs + counters->frees_of_failed + counters->wrong_ops +
	                                    counters->refused_caches_allocs + counters->skipped_ops + counters->frees_of_unknown +
	                                    counters->area_allocs + counters->area_frees + counters->failed_area_allocs +
	                                    counters->process_ops + counters->failed_process_ops + counters->page_maps +
	                                    counters->page_map_waits + counters->page_unmaps + counters->page_clears +
	                                    counters->page_copies + counters->failed_page_uses);
	SIM_ASSERT(counters->page_maps + counters->page_maps_late == counters->page_unmaps + counters->live_page_maps);
	SIM_ASSERT(counters->page_maps == replay->page_maps.counters.made);
	SIM_ASSERT((counters->first_failed_op != 0) == (counters->failed_object_allocs != 0));
	SIM_ASSERT(counters->area_allocs == counters->area_frees + counters->live_areas);
	uint64_t processes = replay->parts.users ? replay->parts.users->live_processes : 0;
	SIM_ASSERT(!replay->parts.areas ||
	           replay->parts.areas->live_areas == counters->live_areas + replay->areas_before + processes);
	SIM_ASSERT(counters->start_objects + counters->object_allocs == counters->object_frees + counters->live_objects);
	SIM_ASSERT(counters->start_page_blocks + counters->page_allocs == counters->page_frees + counters->live_page_blocks);
	SIM_ASSERT(counters->address_compared == counters->address_equal + counters->address_unseen_free +
	                                                 counters->address_unseen_alloc + counters->address_lost +
	                                                 counters->address_page);
	SIM_ASSERT(counters->frees_put_off + counters->frees_made_before <= counters->object_frees);
	SIM_ASSERT(counters->bytes_alloc_equal <= counters->bytes_alloc_compared);
	if (replay->puts_off)
		follow_rcu_check(&replay->follow_rcu);
	if (replay->follows)
		follow_pages_check(&replay->follow_pages);
	check_live(replay);
	check_orders(replay);
	page_allocator_check(replay->parts.pages);
	object_allocator_check(replay->parts.objects);
	if (replay->parts.areas)
		virtual_allocator_check(replay->parts.areas);
	if (replay->parts.users)
		user_memory_check(replay->parts.users);
	page_maps_check(&replay->page_maps);
	if (replay->parts.machine)
		machine_check(replay->parts.machine);
}
