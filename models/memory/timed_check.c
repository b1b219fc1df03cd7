/* SPDX-License-Identifier: MIT
 *
 * timed_check.c - what memory under the clock counts, and the laws of it.
 *
 * Laws: lines = hits of all levels + lines from memory and from other cores; reads of memory and clean transfers at most
 * the fetches of the last level and the reads that no cache serves; beside them those of coherence, of the caches and the MMUs.
 */
#include "models/memory/timed.h"
#include "models/memory/timed_coherence.h"
#include "models/memory/timed_plan.h"

#include "sim/metric.h"

const struct metric memory_core_metrics[] = {
        METRIC(struct memory_core_counters, transfers_clean, "1", "Lines that came from another core as memory has them"),
        METRIC(struct memory_core_counters, transfers_dirty, "1", "Lines that came from another core that had written them"),
        METRIC(struct memory_core_counters, transfers_given, "1", "Lines that this core gave to others"),
        METRIC(struct memory_core_counters, invalidations_sent, "1", "Copies of others that went for this core's stores"),
        METRIC(struct memory_core_counters, invalidations_received, "1", "Copies of this core that went for others' stores"),
        METRIC(struct memory_core_counters, upgrades, "1", "Stores to a line that this core had and others too"),
        METRIC_END,
};

const struct metric timed_metrics[] = {
        METRIC(struct timed_counters, lines, "1", "Cache lines accessed, by page walks too"),
        METRIC(struct timed_counters, l1_hits, "1", "Accesses to a line that the first level had"),
        METRIC(struct timed_counters, l2_hits, "1", "Accesses to a line that a level between the first and the last had"),
        METRIC(struct timed_counters, llc_hits, "1", "Accesses to a line that the last level had"),
        METRIC(struct timed_counters, dram_fetches, "1", "Accesses to a line that no level had"),
        METRIC(struct timed_counters, remote_fetches, "1",
               "Accesses to a line that another core, or a shared cache of others, had"),
        METRIC(struct timed_counters, transfers_clean, "1",
               "Lines that came from another core as memory has them, prefetched too"),
        METRIC(struct timed_counters, transfers_dirty, "1", "Lines that came from another core that had written them"),
        METRIC(struct timed_counters, shared_transfers, "1", "Of both, those from a cache that other cores share"),
        METRIC(struct timed_counters, invalidations, "1", "Copies that went for another core's store"),
        METRIC(struct timed_counters, shared_invalidations, "1", "Of them, those in caches that other cores share"),
        METRIC(struct timed_counters, upgrades, "1", "Stores to a line that the core had and others too"),
        METRIC(struct timed_counters, line_waits, "1", "Waits for a line on its way to another core, or kept by it"),
        METRIC(struct timed_counters, line_wait_cycles, "cycles", "What they took"),
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

/* What the last level sent to memory in the course of requests. */
static uint64_t last_level_writes(const struct timed_memory *timed)
{
	const struct cache_hierarchy_level *last = &timed->caches->level[timed->caches->levels - 1];
	uint64_t writes = 0;
	for (unsigned list = 0; list < last->caches; list++) {
		const struct cache_counters *counters = &last->cache[list]->counters;
		writes += access_sum(counters->write_backs) + counters->writes_through;
	}
	return writes;
}

void timed_check(const struct memory *memory)
{
	const struct timed_memory *timed = (const struct timed_memory *)memory;
	const struct timed_counters *counters = &timed->counters;
	SIM_ASSERT(!timed->plan || timed->plan->next == timed->plan->requests);
	SIM_ASSERT(counters->lines == counters->l1_hits + counters->l2_hits + counters->llc_hits + counters->dram_fetches +
	                                      counters->remote_fetches);
	SIM_ASSERT(counters->remote_fetches <= counters->transfers_clean + counters->transfers_dirty);
	SIM_ASSERT(counters->line_waits <= counters->line_wait_cycles);
	SIM_ASSERT(counters->fill_waits <= counters->fill_wait_cycles && counters->slot_waits <= counters->slot_wait_cycles);
	SIM_ASSERT(counters->walker_waits <= counters->walks && counters->walker_wait_cycles <= counters->walk_cycles);
	SIM_ASSERT(counters->dram_reads + counters->dram_writes >= counters->uncached);
	SIM_ASSERT(counters->dram_reads <= cache_hierarchy_memory_reads(timed->caches) + counters->uncached);
	SIM_ASSERT(timed->coherence ||
	           counters->dram_reads + counters->dram_writes ==
	                   cache_hierarchy_memory_reads(timed->caches) + last_level_writes(timed) + counters->uncached);
	for (unsigned i = 0; i < timed->caches->count; i++)
		check_level(&timed->level[i]);
	if (timed->coherence)
		coherence_check(timed);
	cache_hierarchy_check(timed->caches);
	dram_check(timed->dram);
	for (unsigned cpu = 0; cpu < timed->cpus; cpu++)
		if (timed->core[cpu].mmu)
			mmu_check(timed->core[cpu].mmu);
	for (unsigned i = 0; i < timed->cpus * MMU_SIDES; i++)
		usual_lines_check(&memory->usual[i]);
}
