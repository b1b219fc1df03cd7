/* SPDX-License-Identifier: MIT
 *
 * replay_ticks.c - what is due at a time: samples, dumps, daemons (replay_internal.h).
 */
#include "sim/replay_internal.h"

#include "sim/level_store.h"

uint64_t replay_pages_free(struct replay *replay, struct zone_view *zone, uint64_t *pcp)
{
	uint64_t free_pages = 0;
	*pcp = 0;
	for (unsigned index = 0; index < replay->parts.pages->ops->zones(replay->parts.pages); index++) {
		replay->parts.pages->ops->zone_view(replay->parts.pages, index, zone);
		free_pages += zone->free_pages;
		for (unsigned cpu = 0; cpu < zone->cpus; cpu++)
			*pcp += zone->pcp[cpu].count;
	}
	return free_pages;
}

static void look_at_caches(struct replay *replay)
{
	struct object_allocator *objects = replay->parts.objects;
	for (uint32_t nr = 0; nr < objects->ops->cache_limit(objects); nr++) {
		struct cache_view view;
		if (!objects->ops->cache_view(objects, (cache_id){nr}, &view))
			continue;
		struct replay_cache *cache = replay_cache_account(replay, nr);
		if (view.slabs > cache->slabs_peak)
			cache->slabs_peak = view.slabs;
	}
}

static bool take_area_sample(struct replay *replay, uint32_t number, struct error *error)
{
	const struct virtual_allocator *areas = replay->parts.areas;
	if (!areas)
		return true;
	struct store_sample_area row = {.areas = replay->counters.live_areas,
	                                .pages = replay->counters.pages_areas,
	                                .pages_mapped = replay->counters.pages_mapped,
	                                .pages_lazy = areas->ops->lazy_pages(areas)};
	areas->ops->purges(areas, &row.purges, &row.tlb_flushes);
	return store_sample_area(replay->parts.store, replay->parts.run_id, number, &row, error);
}

/* A row for each order that was asked for since the sample before. */
static bool take_order_sample(struct replay *replay, uint32_t number, struct error *error)
{
	for (unsigned order = 0; order < ORDERS; order++) {
		struct order_requests *requests = &replay->by_order[order];
		uint64_t asked = requests->asked - requests->sampled_asked;
		if (asked > 0 && !store_sample_order(replay->parts.store, replay->parts.run_id, number, order, asked,
		                                     requests->failed - requests->sampled_failed, error))
			return false;
		requests->sampled_asked = requests->asked;
		requests->sampled_failed = requests->failed;
	}
	return true;
}

bool replay_take_sample(struct replay *replay, struct error *error)
{
	uint32_t number = replay->samples++;
	look_at_caches(replay);
	replay->counters.pages_areas = pages_of_areas(replay);
	replay->counters.pages_processes = pages_of_processes(replay);
	if (!replay->parts.store)
		return true;
	struct page_allocator *pages = replay->parts.pages;
	struct object_allocator *objects = replay->parts.objects;
	struct zone_view zone;
	uint64_t large = objects->ops->pages_large(objects);
	struct store_sample row = {
	        .time_ns = replay->time_ns,
	        .pages_allocated = pages->allocated_pages,
	        .pages_slab = objects->ops->pages_held(objects) - large,
	        .pages_kmalloc_large = large,
	        .pages_unmovable = replay->counters.pages_unmovable,
	        .pages_movable = replay->counters.pages_movable,
	        .pages_reclaimable = replay->counters.pages_reclaimable,
	        .bytes_req = replay->counters.bytes_req,
	        .bytes_alloc = replay->counters.bytes_alloc,
	        .live_objects = replay->counters.live_objects,
	};
	row.pages_free = replay_pages_free(replay, &zone, &row.pages_pcp);
	const struct level_moment moment = {.sample = number, .position = replay->counters.ops, .time_ns = replay->time_ns};
	if (replay->parts.caches &&
	    !level_store_caches_sample(replay->parts.store, replay->parts.run_id, &moment, replay->parts.caches, error))
		return false;
	if (replay->parts.mmu && !level_store_tlbs_sample(replay->parts.store, replay->parts.run_id, &moment, replay->parts.mmu,
	                                                  replay->config.cpus, error))
		return false;
	if (!store_sample(replay->parts.store, replay->parts.run_id, number, &row, error))
		return false;
	if (!take_area_sample(replay, number, error) || !take_order_sample(replay, number, error))
		return false;
	for (unsigned index = 0; index < pages->ops->zones(pages); index++) {
		pages->ops->zone_view(pages, index, &zone);
		if (zone.managed > 0 && !store_sample_zone(replay->parts.store, replay->parts.run_id, number, &zone, error))
			return false;
	}
	return true;
}

bool replay_take_dump(struct replay *replay, bool last, struct error *error)
{
	SIM_ASSERT(replay->samples > 0);
	if (!replay->parts.dump)
		return true;
	return replay->parts.dump(replay->parts.dump_context, replay->samples - 1, last, error);
}

/* Hands over what a daemon of a CPU did. */
static void pay_daemon(struct replay *replay, unsigned cpu)
{
	const struct job_about about = {.kind = JOB_DAEMON, .owner = REPLAY_OWNER_NONE, .call_site = NO_CALL_SITE};
	if (replay->parts.machine)
		push_with_daemons(replay->parts.machine, &replay->config.daemons, cpu, &about, replay->parts.steps);
}

/* Beside a recording its own events tell when a CPU folded its statistics. */
static uint64_t tick_pages(struct replay *replay, unsigned cpu)
{
	return replay->follows ? UINT64_MAX : page_allocator_tick(replay->parts.pages, cpu, replay->time_ns);
}

/* The daemon of the processes' memory works in all of them: it comes behind what was asked of every core. */
static void tick_users(struct replay *replay)
{
	struct user_memory *users = replay->parts.users;
	unsigned cpu = replay->config.user_memory_cpu;
	uint64_t now_ns = replay->time_ns - replay->info->first_ns;
	if (!users || users->next_tick_ns > now_ns)
		return;
	for (unsigned other = 0; replay->parts.machine && other < replay->config.cpus; other++)
		if (other != cpu)
			machine_wait_for(replay->parts.machine, other);
	replay->parts.steps->now_ns = now_ns;
	user_memory_tick(users, cpu, now_ns);
	pay_daemon(replay, cpu);
}

void replay_note_users_tick(struct replay *replay)
{
	const struct user_memory *users = replay->parts.users;
	if (!users || users->next_tick_ns == UINT64_MAX)
		return;
	uint64_t next_ns = replay->info->first_ns + users->next_tick_ns;
	if (next_ns < replay->next_daemon_ns)
		replay->next_daemon_ns = next_ns;
}

/* Lets the allocators do what is due on each CPU now. Samples of the same moment were taken before. */
static void run_daemons(struct replay *replay)
{
	replay->next_daemon_ns = UINT64_MAX;
	for (unsigned cpu = 0; cpu < replay->config.cpus; cpu++) {
		if (replay->daemon_ns[cpu] <= replay->time_ns) {
			if (replay->follows)
				follow_pages_supply(&replay->follow_pages, 0, UINT32_MAX);
			replay->daemon_ns[cpu] = object_allocator_tick(replay->parts.objects, cpu, replay->time_ns);
			if (replay->follows)
				follow_pages_unsupply(&replay->follow_pages);
			pay_daemon(replay, cpu);
		}
		if (replay->vmstat_ns[cpu] <= replay->time_ns) {
			replay->vmstat_ns[cpu] = tick_pages(replay, cpu);
			pay_daemon(replay, cpu);
		}
		uint64_t next_ns =
		        replay->daemon_ns[cpu] < replay->vmstat_ns[cpu] ? replay->daemon_ns[cpu] : replay->vmstat_ns[cpu];
		if (next_ns < replay->next_daemon_ns)
			replay->next_daemon_ns = next_ns;
	}
	tick_users(replay);
	replay_note_users_tick(replay);
}

void replay_start_daemons(struct replay *replay)
{
	for (unsigned cpu = 0; cpu < replay->config.cpus; cpu++)
		replay->daemon_ns[cpu] = replay->vmstat_ns[cpu] = replay->time_ns;
	run_daemons(replay);
	set_next_tick(replay);
}

bool replay_run_ticks(struct replay *replay, uint64_t time_ns, struct error *error)
{
	while (replay->next_tick_ns <= time_ns) {
		replay->time_ns = replay->next_tick_ns;
		if (replay->parts.machine && replay->config.asap)
			machine_settle(replay->parts.machine);
		else if (replay->parts.machine)
			machine_run_until(replay->parts.machine, cycle_at(replay, replay->time_ns));
		bool dump = replay->dump.next_ns == replay->next_tick_ns;
		if ((dump || replay->sample.next_ns == replay->next_tick_ns) && !replay_take_sample(replay, error))
			return false;
		if (dump && !replay_take_dump(replay, false, error))
			return false;
		if (dump)
			replay->dump.next_ns += replay->dump.every_ns;
		if (replay->sample.next_ns == replay->next_tick_ns)
			replay->sample.next_ns += replay->sample.every_ns;
		if (replay->next_daemon_ns <= replay->next_tick_ns)
			run_daemons(replay);
		set_next_tick(replay);
	}
	return true;
}
