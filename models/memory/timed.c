/* SPDX-License-Identifier: MIT
 *
 * timed.c - memory under the clock: TLBs, page walkers and caches with latencies, and what their requests share.
 *
 *   request -> MMU: filter | further TLBs + latency | page walk by a free walker, reference after reference
 *           -> level 1 -> ... -> last level -> memory
 *                port, slice: waits for its turn        (sim/reserve.h)
 *                here: latency of the level; on its way: when it is there
 *                not here: a miss slot, then the next level; what has to go follows without being waited for
 *
 * Tags are those of the cache_level port: each request goes through every level it reaches at once (cache_level_ops.serve), so
 * the counts are those of memory_model: hierarchy. Time is a second thing beside them: a request carries the cycle `now`, which
 * waits push on, and a level answers now + its latency, counted from the core as manuals do.
 *
 * A request of several lines starts one line a cycle, and is done when the last line is. A load-store takes its line once. A
 * locked instruction costs machine.latency.atomic on top.
 *
 * MODEL: a line's tag is there from its request on, not from its arrival: who asks for it meanwhile waits for it (a hit that
 * waits is a merged miss). MODEL: write-backs and prefetches take ports, slices and slots, but nobody waits for them. MODEL: the
 * walk for a next page (machine.tlb_prefetch) is waited for. MODEL: a frame of a 32-bit machine's high memory is reached without
 * a translation (sim/layout.h: layout_set_32bit).
 *
 * Source of latencies counted from the core: Intel 64 and IA-32 Architectures Optimization Reference Manual, tables of caches.
 *
 * Laws (check): lines = hits of all levels + lines from memory; reads of memory = fetches of the last level + reads that no cache
 * serves; beside them the caches' and the MMUs' own.
 */
#include "models/memory/timed.h"

#include "sim/metric.h"

#include <stdlib.h>

static const struct metric timed_metrics[] = {
        METRIC(struct timed_counters, lines, "1", "Cache lines accessed, by page walks too"),
        METRIC(struct timed_counters, l1_hits, "1", "Accesses to a line that the first level had"),
        METRIC(struct timed_counters, l2_hits, "1", "Accesses to a line that a level between the first and the last had"),
        METRIC(struct timed_counters, llc_hits, "1", "Accesses to a line that the last level had"),
        METRIC(struct timed_counters, dram_fetches, "1", "Accesses to a line that no level had"),
        METRIC(struct timed_counters, fill_waits, "1", "Requests that waited for a line on its way: merged misses"),
        METRIC(struct timed_counters, fill_wait_cycles, "cycles", "What they waited beyond the level's latency"),
        METRIC(struct timed_counters, slot_waits, "1", "Misses that waited for a free miss slot"),
        METRIC(struct timed_counters, slot_wait_cycles, "cycles", "What they waited"),
        METRIC(struct timed_counters, port_wait_cycles, "cycles", "What requests waited for a port of a cache"),
        METRIC(struct timed_counters, slice_wait_cycles, "cycles", "What requests waited for a slice of a cache"),
        METRIC(struct timed_counters, walks, "1", "Page walks that an access waited for"),
        METRIC(struct timed_counters, walk_cycles, "cycles", "From the miss to the end of the walk, in sum"),
        METRIC(struct timed_counters, walker_waits, "1", "Walks that waited for a free walker"),
        METRIC(struct timed_counters, walker_wait_cycles, "cycles", "What they waited"),
        METRIC(struct timed_counters, tlb_cycles, "cycles", "Lookups in further TLBs"),
        METRIC(struct timed_counters, dram_reads, "1", "Lines read from memory"),
        METRIC(struct timed_counters, dram_writes, "1", "Lines, or parts of lines, written to memory"),
        METRIC(struct timed_counters, uncached, "1", "Of both, requests that no cache serves"),
        METRIC_END,
};

/* How far a request has come: it started at `now`, waits added, and has been under way for `cycles` since. */
struct reach {
	cycle now;
	uint32_t cycles;
};

/* ---- the last level's other side ---- */

/* A line, or a part of one, comes from memory or goes there. Returns when it is done. */
static cycle memory_transfer(struct timed_memory *timed, uint64_t request, struct reach reach, struct cost *cost)
{
	cycle at = reach.now + reach.cycles;
	if (request & WAY_DIRTY) {
		timed->counters.dram_writes++;
		return dram_access(timed->dram, request & ~WAY_MARKS, true, at);
	}
	timed->counters.dram_reads++;
	if (cost != &timed->unseen)
		timed->served_by = timed->caches->levels;
	cycle done = dram_access(timed->dram, request & ~WAY_MARKS, false, at);
	cost->cycles[COST_DRAM] += done - at;
	return done;
}

/* ---- one level ---- */

static cycle serve(struct timed_memory *timed, const struct timed_core *core, unsigned depth, uint64_t request,
                   struct cache_about about, struct reach reach, struct cost *cost);

/* A request at one cache of a level. */
struct stop {
	struct timed_memory *timed;
	const struct timed_core *core;
	struct timed_level *level;
	unsigned depth, instance;
	struct reach reach;
	struct cost *cost;
};

static bool is_last(const struct stop *stop)
{
	return stop->depth + 1 == stop->timed->caches->levels;
}

/* What the cache asks for, or gives away, goes to the next level. */
static cycle pass_on(const struct stop *stop, uint64_t request, struct cache_about about, struct reach reach, struct cost *cost)
{
	if (is_last(stop))
		return memory_transfer(stop->timed, request, reach, cost);
	return serve(stop->timed, stop->core, stop->depth + 1, request, about, reach, cost);
}

/* Waits for a port and for the line's slice, and goes to it. After it reach.cycles is the level's latency. */
static void enter_level(struct stop *stop, uint64_t request)
{
	struct timed_level *level = stop->level;
	const struct cache_level_spec *spec = level->cache->spec;
	cycle at = stop->reach.now + stop->reach.cycles, began = at;
	uint32_t latency = level->latency;
	if (level->ports) {
		began = port_set_take(&level->ports[stop->instance], spec->ports, at);
		stop->timed->counters.port_wait_cycles += began - at;
	}
	if (level->slices || level->interconnect.cycles) {
		/* MODEL: the hash that spreads lines over slices is not published; this one spreads them as evenly. */
		unsigned slice = (unsigned)(((request >> level->cache->line_shift) * 0x9e3779b97f4a7c15ull >> 32) % spec->slices);
		if (level->slices) {
			cycle free =
			        timeline_take(&level->slices[stop->instance * spec->slices + slice], began, spec->busy_cycles);
			stop->timed->counters.slice_wait_cycles += free - began;
			began = free;
		}
		latency += interconnect_cycles(&level->interconnect, stop->core->stop,
		                               interconnect_stop(&level->interconnect, slice, spec->slices));
	}
	if (latency < stop->reach.cycles)
		latency = stop->reach.cycles;
	stop->cost->cycles[level->part] += began - at + latency - stop->reach.cycles;
	stop->reach.now += began - at;
	stop->reach.cycles = latency;
}

/* The line may still be on its way. Returns when it is there. */
static cycle wait_for_fill(const struct stop *stop, uint64_t request)
{
	cycle done = stop->reach.now + stop->reach.cycles;
	const struct fill *fill =
	        fill_set_find(&stop->level->fills[stop->instance], request >> stop->level->cache->line_shift, done);
	if (!fill || stop->cost == &stop->timed->unseen)
		return done;
	stop->timed->counters.fill_waits++;
	stop->timed->counters.fill_wait_cycles += fill->ready - done;
	stop->cost->cycles[fill->part] += fill->ready - done;
	return fill->ready;
}

/* Where the line that was asked for last came from, as a part of the cost. */
static enum cost_part source_of(const struct timed_memory *timed)
{
	unsigned levels = timed->caches->levels;
	if (timed->served_by == levels)
		return COST_DRAM;
	return timed->served_by + 1 == levels ? COST_LLC : COST_L2;
}

/* A line that missed is fetched by a free slot. Returns when it is here. */
static cycle fetch(const struct stop *stop, uint64_t request, struct cache_about about, struct cost *cost)
{
	struct timed_memory *timed = stop->timed;
	struct fill_set *fills = &stop->level->fills[stop->instance];
	struct reach reach = stop->reach;
	cycle asks = reach.now + reach.cycles, free;
	uint32_t slot = fill_set_slot(fills, asks, &free);
	if (free > asks && cost != &timed->unseen) {
		timed->counters.slot_waits++;
		timed->counters.slot_wait_cycles += free - asks;
	}
	reach.now += free - asks;
	cost->cycles[stop->level->part] += free - asks;
	cycle done = pass_on(stop, request, about, reach, cost);
	fill_set_add(fills, slot, request >> stop->level->cache->line_shift, done, source_of(timed));
	return done;
}

/* What a cache sent on: lines it asks for are waited for, unless they were prefetched; what it gives away is not. */
static cycle send_all(const struct stop *stop, struct cache_batch *sent, uint8_t kind, cycle done)
{
	struct timed_memory *timed = stop->timed;
	struct cost longest = {0};
	cycle here = done;
	for (uint32_t i = 0; i < sent->count; i++) {
		uint64_t request = sent->requests[i];
		struct cache_about about = sent->about[i];
		if ((request & WAY_DIRTY) || about.kind == ACCESS_WRITEBACK) {
			pass_on(stop, request, about, stop->reach, &timed->unseen);
			continue;
		}
		if (stop->cost == &timed->unseen || (about.kind == ACCESS_PREFETCH && kind != ACCESS_PREFETCH)) {
			fetch(stop, request, about, &timed->unseen);
			continue;
		}
		struct cost parts = {0};
		cycle fetched = fetch(stop, request, about, &parts);
		if (fetched <= done)
			continue;
		done = fetched;
		longest = parts;
	}
	if (done > here)
		cost_add(stop->cost, &longest);
	cache_batch_clear(sent);
	return done;
}

/* The first level's filter learns what a request of it has done. */
static void remember(const struct stop *stop, uint64_t request, bool hit)
{
	struct timed_level *level = stop->level;
	uint64_t line = request >> level->cache->line_shift;
	uint64_t *recent = &level->recent[stop->instance * (level->recent_mask + 1) + (line & level->recent_mask)];
	bool was_writable = *recent == (line << 1 | 1), writes = request & WAY_DIRTY;
	if (!hit)
		*recent = UINT64_MAX;
	else
		*recent = line << 1 | (was_writable || (writes && level->cache->spec->write == WRITE_BACK));
}

/* A request reaches the levels from `depth` on. Returns when the core has its data. */
static cycle serve(struct timed_memory *timed, const struct timed_core *core, unsigned depth, uint64_t request,
                   struct cache_about about, struct reach reach, struct cost *cost)
{
	struct cache_hierarchy *caches = timed->caches;
	while (depth < caches->levels && caches->level[depth].list_of[about.kind] == LIST_PASSING)
		depth++;
	if (depth == caches->levels) {
		caches->uncached++;
		timed->counters.uncached++;
		return memory_transfer(timed, request, reach, cost);
	}
	struct cache_level *cache = caches->level[depth].cache[caches->level[depth].list_of[about.kind]];
	struct stop stop = {.timed = timed,
	                    .core = core,
	                    .level = &timed->level[cache->number],
	                    .depth = depth,
	                    .instance = cache_hierarchy_instance(cache, core->cpu),
	                    .reach = reach,
	                    .cost = cost};
	struct cache_batch *sent = &caches->level[depth].out;
	enter_level(&stop, request);
	bool hit = cache->ops->serve(cache, stop.instance, request, about, sent);
	if (cache->handed_up_dirty)
		cache_hierarchy_hand_up(caches, cache, request, &about);
	if (stop.level->recent)
		remember(&stop, request, hit);
	if (hit && cost != &timed->unseen)
		timed->served_by = depth;
	cycle done = wait_for_fill(&stop, request);
	if (!hit && done > stop.reach.now + stop.reach.cycles) {
		/* It went while it was on its way: this miss is served with the one before it. */
		timed->served_by = depth;
		stop.cost = &timed->unseen;
	}
	if (sent->count > 0)
		done = send_all(&stop, sent, about.kind, done);
	if (cache->spec->prefetch == PREFETCH_NONE)
		return done;
	stop.cost = &timed->unseen;
	while (cache->ops->prefetch(cache, stop.instance, sent))
		send_all(&stop, sent, ACCESS_PREFETCH, done);
	return done;
}

/* ---- accesses ---- */

/* Whether the access lies in more than one line. */
static bool crosses(const struct access *access, unsigned shift)
{
	return access->address >> shift != (access->address + access->bytes - 1) >> shift;
}

/* The part of an access that lies in one line. Returns when it is done. */
static cycle access_line(struct timed_memory *timed, const struct timed_core *core, const struct access *access, cycle now,
                         struct cost *cost)
{
	uint64_t address = access->address & ~WAY_MARKS;
	struct cache_about about = {.cpu = (uint16_t)core->cpu, .kind = access->kind, .region = access->region};
	bool is_modify = access->kind == ACCESS_MODIFY;
	if (is_modify)
		about.kind = ACCESS_LOAD;
	uint64_t marks = timed->caches->entry[about.kind].marks;
	if (is_modify && timed->modify_is_load)
		marks = WAY_DIRTY;
	unsigned whole = timed->caches->entry[about.kind].shift;
	if (marks && about.kind != ACCESS_LOAD && access->bytes == 1ull << whole)
		about.flags = REQUEST_WHOLE_LINE;
	const struct reach reach = {.now = now};
	cycle done = serve(timed, core, 0, address | marks, about, reach, cost);
	timed->counters.lines++;
	++*timed->depth_counter[timed->served_by];
	if (is_modify && !timed->modify_is_load) {
		about.kind = ACCESS_STORE;
		about.flags = access->bytes == 1ull << timed->caches->entry[ACCESS_STORE].shift ? REQUEST_WHOLE_LINE : 0;
		serve(timed, core, 0, address | WAY_DIRTY, about, reach, &timed->unseen);
	}
	return done;
}

/* The lines of a request on their way: the next one starts at `now`, `before` tells why so late. */
struct issue {
	cycle now, done;
	struct cost before, longest; /* longest: up to `done` */
};

static void access_physical(struct timed_memory *timed, const struct timed_core *core, const struct access *access,
                            struct issue *issue)
{
	struct access line = *access;
	uint64_t address = access->address, end = address + access->bytes, line_bytes = 1ull << timed->line_shift;
	while (address < end) {
		uint64_t line_end = (address | (line_bytes - 1)) + 1;
		line.address = address;
		line.bytes = (uint32_t)((line_end < end ? line_end : end) - address);
		struct cost parts = issue->before;
		cycle done = access_line(timed, core, &line, issue->now, &parts);
		if (done > issue->done) {
			issue->done = done;
			issue->longest = parts;
		}
		issue->now++;
		issue->before.cycles[COST_L1]++;
		address = line_end;
	}
}

/* References of a walk by the walker that is free the soonest. Returns when the translation is known. */
static cycle walk(struct timed_memory *timed, struct timed_core *core, const struct access *references, size_t count, cycle now)
{
	unsigned soonest = 0;
	for (unsigned walker = 1; walker < timed->walkers && core->walker[soonest] > now; walker++)
		if (core->walker[walker] < core->walker[soonest])
			soonest = walker;
	cycle at = core->walker[soonest] > now ? core->walker[soonest] : now;
	timed->counters.walker_waits += at > now;
	timed->counters.walker_wait_cycles += at - now;
	struct cost parts = {0};
	for (size_t i = 0; i < count; i++)
		at = access_line(timed, core, &references[i], at, &parts);
	core->walker[soonest] = at;
	timed->counters.walks++;
	timed->counters.walk_cycles += at - now;
	return at;
}

static bool is_reference(const struct access *access)
{
	return access->kind == ACCESS_WALK || access->kind == ACCESS_WALK_STORE;
}

/* Cycles of the lookups that accesses of a kind have made beyond the first level. */
static uint64_t lookup_cycles(const struct mmu *mmu, uint8_t kind)
{
	uint64_t cycles = 0;
	for (unsigned level = 1; level < mmu->levels; level++)
		cycles += mmu->level_counters[level].accesses[kind] * mmu->level[level].latency_cycles;
	return cycles;
}

static void spend_in_tlbs(struct issue *issue, cycle cycles)
{
	issue->now += cycles;
	issue->before.cycles[COST_TLB] += cycles;
}

/* An access by its linear address that the filter does not know: with the page walks that it takes. */
static void access_linear(struct timed_memory *timed, struct timed_core *core, const struct access *access, struct issue *issue)
{
	struct access out[2 * MMU_ROOM];
	struct mmu *mmu = core->mmu;
	uint64_t looked_up = lookup_cycles(mmu, access->kind);
	size_t done, made;
	do {
		done = mmu_run(mmu, access, 1, out, 2 * MMU_ROOM, &made);
		uint64_t cycles = lookup_cycles(mmu, access->kind) - looked_up;
		looked_up += cycles;
		timed->counters.tlb_cycles += cycles;
		spend_in_tlbs(issue, cycles);
		for (size_t i = 0, first = 0; i < made; i++) {
			if (is_reference(&out[i]))
				continue;
			if (first < i)
				spend_in_tlbs(issue, walk(timed, core, &out[first], i - first, issue->now) - issue->now);
			access_physical(timed, core, &out[i], issue);
			first = i + 1;
		}
	} while (done == 0);
}

/* The usual case: a line that the first level's filter knows. Returns whether it was one. */
static inline bool access_recent(struct timed_memory *timed, const struct timed_core *core, const struct access *access,
                                 cycle now, struct cost *cost)
{
	const struct timed_entry *entry = &core->entry[access->kind];
	struct timed_level *level = entry->level;
	if (!level)
		return false;
	uint64_t line = access->address >> entry->shift;
	if ((entry->recent[line & level->recent_mask] | (entry->mark ^ 1)) != (line << 1 | 1) || crosses(access, entry->shift))
		return false;
	cycle at = now;
	if (entry->ports) {
		at = port_set_take(entry->ports, level->cache->spec->ports, now);
		timed->counters.port_wait_cycles += at - now;
	}
	cycle done = at + level->latency;
	cost->cycles[COST_L1] += done - now;
	const struct fill *fill = fill_set_find(entry->fills, line, done);
	if (fill) {
		timed->counters.fill_waits++;
		timed->counters.fill_wait_cycles += fill->ready - done;
		cost->cycles[fill->part] += fill->ready - done;
	}
	level->cache->counters.accesses[access->kind]++;
	level->cache->counters.hits[access->kind]++;
	timed->counters.lines++;
	timed->counters.l1_hits++;
	return true;
}

static void timed_access(struct memory *memory, const struct memory_request *request, struct cost *cost)
{
	struct timed_memory *timed = (struct timed_memory *)memory;
	SIM_ASSERT(request->cpu < timed->cpus);
	struct timed_core *core = &timed->core[request->cpu];
	struct access access = {.address = request->address, .bytes = request->bytes, .cpu = request->cpu, .kind = request->kind};
	if (access.bytes == 0)
		return;
	bool is_physical = !core->mmu;
	if (core->mmu && mmu_recent_access(core->mmu, &access, &access))
		is_physical = true;
	else if (core->mmu && core->mmu->walker && !translation_canonical(core->mmu->walker->mode, access.address)) {
		access.address -= timed->direct_map;
		is_physical = true;
	}
	if (is_physical && !request->is_locked && access_recent(timed, core, &access, request->now, cost))
		return;
	struct issue issue = {.now = request->now, .done = request->now};
	if (is_physical)
		access_physical(timed, core, &access, &issue);
	else
		access_linear(timed, core, &access, &issue);
	if (issue.now > issue.done) /* a walk whose access was refused */
		issue.longest = issue.before;
	cost_add(cost, &issue.longest);
	if (request->is_locked)
		cost->cycles[COST_COMPUTE] += timed->atomic_cycles;
}

static void timed_invalidate(struct memory *memory, unsigned cpu, const struct tlb_scope *scope)
{
	struct timed_memory *timed = (struct timed_memory *)memory;
	SIM_ASSERT(cpu < timed->cpus);
	if (timed->core[cpu].mmu)
		mmu_invalidate(timed->core[cpu].mmu, scope);
}

/* ---- laws ---- */

static void check_level(const struct timed_level *level)
{
	const struct cache_level_spec *spec = level->cache->spec;
	for (unsigned i = 0; level->slices && i < level->cache->instances * spec->slices; i++)
		timeline_check(&level->slices[i]);
	for (unsigned instance = 0; level->recent && instance < level->cache->instances; instance++)
		for (uint64_t i = 0; i <= level->recent_mask; i++) {
			uint64_t recent = level->recent[instance * (level->recent_mask + 1) + i], marks;
			if (recent == UINT64_MAX)
				continue;
			SIM_ASSERT(level->cache->ops->holds(level->cache, instance, recent >> 1 << level->cache->line_shift,
			                                    &marks));
			SIM_ASSERT(!(recent & 1) || (marks & WAY_DIRTY));
		}
}

static void timed_check(const struct memory *memory)
{
	const struct timed_memory *timed = (const struct timed_memory *)memory;
	const struct timed_counters *counters = &timed->counters;
	SIM_ASSERT(counters->lines == counters->l1_hits + counters->l2_hits + counters->llc_hits + counters->dram_fetches);
	SIM_ASSERT(counters->fill_waits <= counters->fill_wait_cycles && counters->slot_waits <= counters->slot_wait_cycles);
	SIM_ASSERT(counters->walker_waits <= counters->walks && counters->walker_wait_cycles <= counters->walk_cycles);
	SIM_ASSERT(counters->dram_reads + counters->dram_writes >= counters->uncached);
	for (unsigned i = 0; i < timed->caches->count; i++)
		check_level(&timed->level[i]);
	cache_hierarchy_check(timed->caches);
	dram_check(timed->dram);
	for (unsigned cpu = 0; cpu < timed->cpus; cpu++)
		if (timed->core[cpu].mmu)
			mmu_check(timed->core[cpu].mmu);
}

static const void *timed_counters(const struct memory *memory)
{
	return &((const struct timed_memory *)memory)->counters;
}

static void timed_destroy(struct memory *memory)
{
	struct timed_memory *timed = (struct timed_memory *)memory;
	for (unsigned i = 0; i < timed->caches->count; i++) {
		struct timed_level *level = &timed->level[i];
		for (unsigned instance = 0; level->fills && instance < level->cache->instances; instance++)
			fill_set_release(&level->fills[instance]);
		free(level->fills);
		free(level->ports);
		free(level->slices);
		free(level->recent);
		interconnect_release(&level->interconnect);
	}
	for (unsigned cpu = 0; timed->core && cpu < timed->cpus; cpu++)
		free(timed->core[cpu].walker);
	free(timed->core);
	free(timed);
}

const struct memory_ops memory_timed_ops = {
        .name = "timed",
        .help = "the TLBs, page walkers and caches of the machine under the clock: latencies, and waiting for what is shared",
        .access = timed_access,
        .invalidate = timed_invalidate,
        .check = timed_check,
        .metrics = timed_metrics,
        .counters = timed_counters,
        .destroy = timed_destroy,
};
