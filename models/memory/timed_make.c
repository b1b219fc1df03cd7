/* SPDX-License-Identifier: MIT
 *
 * timed_make.c - the memory model `timed` made from the machine's settings (rules: timed.c).
 */
#include "models/memory/timed.h"
#include "models/memory/timed_coherence.h"
#include "models/memory/timed_plan.h"
#include "models/memory/timed_run.h"

#include <limits.h>
#include <stdlib.h>

struct memory *memory_timed_create(const struct memory_wiring *wiring, struct error *error);

/* ---- lines that an inclusive cache takes out of those above it ---- */

static void forget_line(struct timed_level *level, unsigned instance, uint64_t address)
{
	if (level->recent)
		level->recent[instance * (level->recent_mask + 1) + (address >> level->cache->line_shift & level->recent_mask)] =
		        UINT64_MAX;
}

/* Takes a line of the cache below out of one instance. */
static unsigned remove_line(struct timed_level *level, unsigned instance, uint64_t address, uint32_t bytes, bool *dirty)
{
	if (level->cache->counters.fills == 0) /* as one of code, where nobody fetches any */
		return 0;
	for (uint64_t at = address; at < address + bytes; at += level->cache->spec->line_bytes)
		forget_line(level, instance, at);
	return level->cache->ops->remove(level->cache, instance, address, bytes, dirty);
}

static unsigned cores_of(const struct timed_memory *timed, const struct cache_level *cache)
{
	return cache->spec->cores ? cache->spec->cores : timed->cpus;
}

static unsigned back_invalidate(void *context, struct cache_level *from, unsigned from_instance, uint64_t address, bool *dirty)
{
	struct timed_memory *timed = context;
	if (timed->coherence)
		return coherence_back_invalidate(timed, from, from_instance, address, dirty);
	unsigned held = 0;
	if (timed->cpus == 1) {
		for (unsigned i = 0; i < from->number; i++)
			held += remove_line(&timed->level[i], 0, address, from->spec->line_bytes, dirty);
		return held;
	}
	unsigned cores = cores_of(timed, from), first = from_instance * cores, last = first + cores - 1;
	if (last >= timed->cpus)
		last = timed->cpus - 1;
	for (unsigned i = 0; i < from->number; i++) {
		struct timed_level *level = &timed->level[i];
		for (unsigned instance = cache_hierarchy_instance(level->cache, first);
		     instance <= cache_hierarchy_instance(level->cache, last); instance++)
			held += remove_line(level, instance, address, from->spec->line_bytes, dirty);
	}
	return held;
}

/* ---- levels ---- */

static uint32_t latency_of(const struct machine_settings *machine, const struct cache_hierarchy *caches, unsigned number)
{
	unsigned depth = caches->depth[number];
	if (caches->specs[number].latency_cycles != LATENCY_AUTO)
		return caches->specs[number].latency_cycles;
	if (depth == 0)
		return machine->l1_cycles;
	return depth + 1 == caches->levels ? machine->llc_cycles : machine->l2_cycles;
}

static enum cost_part part_of(const struct cache_hierarchy *caches, unsigned number)
{
	unsigned depth = caches->depth[number];
	if (depth == 0)
		return COST_L1;
	return depth + 1 == caches->levels ? COST_LLC : COST_L2;
}

/* The filter of a first-level cache: as many places as the largest power of two that divides its sets. */
static void make_recent(struct timed_level *level)
{
	const struct cache_level_spec *spec = level->cache->spec;
	if (spec->prefetch != PREFETCH_NONE || level->cache->watch)
		return;
	uint64_t lines = spec->size_bytes / spec->line_bytes, sets = spec->ways ? lines / spec->ways : 1;
	/* A cache without an end has no sets that a use could change. */
	if (sets == 0)
		sets = 1;
	uint64_t places = spec->index == INDEX_LINEAR ? sets & -sets : 1;
	level->recent_mask = places - 1;
	level->recent = xcalloc(places * level->cache->instances, sizeof *level->recent);
	for (uint64_t i = 0; i < places * level->cache->instances; i++)
		level->recent[i] = UINT64_MAX;
}

/* As many lines, of a word each, are 64 KiB: more than a host's first level of caches has. */
#define FAR_LINES 8192u

static bool make_level(struct timed_memory *timed, const struct machine_settings *machine, unsigned number, struct error *error)
{
	struct timed_level *level = &timed->level[number];
	struct cache_level *cache = timed->caches->caches[number];
	const struct cache_level_spec *spec = cache->spec;
	*level = (struct timed_level){.cache = cache,
	                              .depth = timed->caches->depth[number],
	                              .latency = latency_of(machine, timed->caches, number),
	                              .part = part_of(timed->caches, number)};
	level->is_far = cache->entries == 0 || cache->entries * cache->instances >= FAR_LINES;
	level->fills = xcalloc(cache->instances, sizeof *level->fills);
	for (unsigned instance = 0; instance < cache->instances; instance++)
		fill_set_init(&level->fills[instance], spec->slots);
	if (spec->ports > 0)
		level->ports = xcalloc(cache->instances, sizeof *level->ports);
	if (spec->busy_cycles > 0)
		level->slices = xcalloc((size_t)cache->instances * spec->slices, sizeof *level->slices);
	level->is_sliced = level->slices;
	if (timed->caches->depth[number] == 0)
		make_recent(level);
	cache->prefetches_wait = true;
	if (cache->back_invalidate) {
		cache->back_invalidate = back_invalidate;
		cache->back_invalidate_context = timed;
	}
	if (timed->caches->depth[number] + 1 < timed->caches->levels)
		return true;
	unsigned cores = cores_of(timed, cache), stops = spec->slices > cores ? spec->slices : cores;
	const struct interconnect_wiring wiring = {.topology = machine->topology,
	                                           .stops = stops,
	                                           .hop_cycles = machine->hop_cycles,
	                                           .rows = machine->hops,
	                                           .rows_count = machine->hops_count};
	if (!interconnect_init(&level->interconnect, &wiring, error))
		return false;
	level->is_sliced = level->slices || level->interconnect.cycles;
	return true;
}

/* ---- cores ---- */

static void make_entry(struct timed_memory *timed, struct timed_core *core, unsigned kind)
{
	const struct cache_hierarchy_level *first = &timed->caches->level[0];
	if (first->list_of[kind] == LIST_PASSING || kind == ACCESS_MODIFY)
		return;
	struct timed_level *level = &timed->level[first->cache[first->list_of[kind]]->number];
	unsigned instance = cache_hierarchy_instance(level->cache, core->cpu);
	if (!level->recent || !timed_level_is_plain(level))
		return;
	core->entry[kind] = (struct timed_entry){.level = level,
	                                         .fills = &level->fills[instance],
	                                         .ports = level->ports ? &level->ports[instance] : NULL,
	                                         .recent = &level->recent[instance * (level->recent_mask + 1)],
	                                         .recent_mask = level->recent_mask,
	                                         .mark = timed->caches->entry[kind].marks != 0,
	                                         .accesses = &level->cache->counters.accesses[kind],
	                                         .hits = &level->cache->counters.hits[kind],
	                                         .ports_count = level->cache->spec->ports,
	                                         .latency = level->latency,
	                                         .shift = level->cache->line_shift};
}

/* Loads that store enter together where both go to one cache. */
static void make_modify(const struct timed_memory *timed, struct timed_core *core)
{
	const struct timed_entry *load = &core->entry[ACCESS_LOAD], *store = &core->entry[ACCESS_STORE];
	core->modifies_quickly = load->stop && store->stop && !timed->modify_is_load;
	if (!core->modifies_quickly || load->recent != store->recent)
		return;
	core->entry[ACCESS_MODIFY] = *load;
	core->entry[ACCESS_MODIFY].mark = store->mark;
	core->entry[ACCESS_MODIFY].store = store;
}

/* Whether a cache takes requests, and asks for lines as long as its own. */
static bool is_direct(const struct cache_level *cache)
{
	return cache->takes && !cache->asks_for_accesses && cache->next_line_bytes == cache->spec->line_bytes;
}

static void make_path(struct timed_memory *timed, struct timed_core *core, unsigned kind)
{
	/* A store's fetch is a load. */
	unsigned fetch = kind == ACCESS_STORE || kind == ACCESS_WRITEBACK ? ACCESS_LOAD
	                 : kind == ACCESS_WALK_STORE                      ? ACCESS_WALK
	                                                                  : kind;
	for (unsigned depth = 0; depth < timed->caches->levels; depth++) {
		struct timed_level *level = timed->next[kind][depth];
		if (!level || level->depth != depth || !is_direct(level->cache) || timed->next[fetch][depth] != level)
			continue;
		unsigned instance = core->instance[level->cache->number];
		core->path[kind].stop[depth] = (struct timed_stop){level, level->cache, &level->fills[instance], instance};
	}
}

/* Accesses of one line may go from their entry straight to the short path, if they need not be told to other cores first. */
static void make_quick(const struct timed_memory *timed, struct timed_core *core, unsigned kind)
{
	const struct timed_stop *first = &core->path[kind].stop[0];
	struct timed_entry *entry = &core->entry[kind];
	bool writes = kind != ACCESS_LOAD && kind != ACCESS_CODE && kind != ACCESS_WALK && kind != ACCESS_PREFETCH;
	if ((!timed->coherence || !writes) && first->level && first->level == entry->level)
		entry->stop = first;
}

/* The kinds of access that may be made in place in the cache of an entry: they go straight to it, and make the line dirty where
 * they store. A load that stores does both there. */
static uint32_t usual_kinds(const struct timed_core *core, const struct timed_entry *first, enum mmu_side side)
{
	uint32_t kinds = 0;
	for (unsigned kind = 0; kind < ACCESS_KINDS; kind++) {
		const struct timed_entry *entry = &core->entry[kind];
		const bool stores = kind == ACCESS_STORE || kind == ACCESS_MODIFY;
		if ((kind == ACCESS_CODE) == (side == MMU_CODE) && !access_is_walk(kind) && entry->stop &&
		    entry->level == first->level && entry->mark == stores && (kind != ACCESS_MODIFY || entry->store))
			kinds |= 1u << kind;
	}
	return kinds;
}

/* Of several cores only loads would be usual, and their tables would take the host more than they save it. */
static void make_usual(struct timed_memory *timed, struct timed_core *core, enum mmu_side side)
{
	const struct timed_entry *entry = &core->entry[side == MMU_CODE ? ACCESS_CODE : ACCESS_LOAD];
	if (timed->coherence || !core->mmu || !entry->stop || !entry->level->cache->arrays)
		return;
	const struct replacement *array = entry->level->cache->arrays[entry->stop->instance];
	if (!array->ops->in_place)
		return;
	struct usual_lines *lines = &core->usual[side];
	*lines = (struct usual_lines){.kinds_made = usual_kinds(core, entry, side),
	                              .shift = entry->shift,
	                              .latency = entry->latency,
	                              .locked_cycles = timed->atomic_cycles,
	                              .ports = entry->ports,
	                              .ports_count = entry->ports_count,
	                              .fills = entry->fills,
	                              .array = array,
	                              .mmu = core->mmu,
	                              .recent = entry->recent,
	                              .recent_mask = entry->recent_mask};
	usual_lines_init(lines);
	timed->has_usual = true;
}

/* Where each kind of fetch leaves a core: above the first level that serves it and lies at or below `leaves_core`. */
static void make_leaves(struct timed_memory *timed)
{
	timed->leaves_core = timed->coherence ? timed->coherence->first_shared : UINT_MAX;
	for (unsigned kind = 0; timed->coherence && kind < ACCESS_KINDS; kind++)
		for (unsigned depth = 0; depth <= timed->leaves_core; depth++) {
			const struct timed_level *next = timed->next[kind][depth];
			timed->leaves_at[kind][depth] = !next || next->depth >= timed->leaves_core;
		}
}

/* Where there is a directory it is told of prefetches when they are made, which is the long way. */
static void make_short_paths(struct timed_memory *timed)
{
	make_leaves(timed);
	for (unsigned cpu = 0; cpu < timed->cpus; cpu++)
		for (unsigned kind = 0; kind < ACCESS_KINDS; kind++)
			if ((kind != ACCESS_PREFETCH || !timed->coherence) && kind != ACCESS_MODIFY) {
				make_path(timed, &timed->core[cpu], kind);
				make_quick(timed, &timed->core[cpu], kind);
			}
	for (unsigned cpu = 0; cpu < timed->cpus; cpu++) {
		struct timed_core *core = &timed->core[cpu];
		for (unsigned kind = 0; kind < ACCESS_KINDS; kind++)
			core->entry[kind].run_lines = timed_run_room(timed, core, kind);
		make_modify(timed, core);
		make_usual(timed, core, MMU_DATA);
		make_usual(timed, core, MMU_CODE);
	}
}

static void make_cores(struct timed_memory *timed, struct mmu *mmu)
{
	const struct cache_level *last = timed->caches->caches[timed->caches->count - 1];
	const struct interconnect *interconnect = &timed->level[last->number].interconnect;
	unsigned cores = cores_of(timed, last);
	timed->core = xcalloc(timed->cpus, sizeof *timed->core);
	timed->memory.usual = xcalloc(timed->cpus, MMU_SIDES * sizeof *timed->memory.usual);
	for (unsigned cpu = 0; cpu < timed->cpus; cpu++) {
		struct timed_core *core = &timed->core[cpu];
		core->cpu = cpu;
		core->mmu = mmu ? &mmu[cpu] : NULL;
		core->usual = &timed->memory.usual[cpu * MMU_SIDES];
		for (unsigned i = 0; i < timed->caches->count; i++)
			core->instance[i] = (uint8_t)cache_hierarchy_instance(timed->caches->caches[i], cpu);
		core->stop = interconnect_stop(interconnect, cpu % cores, cores);
		core->walker = xcalloc(timed->walkers, sizeof *core->walker);
		for (unsigned kind = 0; kind < ACCESS_KINDS; kind++)
			make_entry(timed, core, kind);
	}
}

static void make_counters(struct timed_memory *timed)
{
	struct timed_counters *counters = &timed->counters;
	unsigned levels = timed->caches->levels;
	for (unsigned depth = 0; depth < levels; depth++)
		timed->depth_counter[depth] = depth == 0            ? &counters->l1_hits
		                              : depth + 1 == levels ? &counters->llc_hits
		                                                    : &counters->l2_hits;
	timed->depth_counter[levels] = &counters->dram_fetches;
	timed->depth_counter[levels + 1] = &counters->remote_fetches;
}

/* Which level serves a kind of access from each depth on. */
static void make_paths(struct timed_memory *timed)
{
	for (unsigned kind = 0; kind < ACCESS_KINDS; kind++)
		for (unsigned depth = timed->caches->levels; depth-- > 0;) {
			const struct cache_hierarchy_level *level = &timed->caches->level[depth];
			unsigned list = level->list_of[kind];
			timed->next[kind][depth] =
			        list == LIST_PASSING ? timed->next[kind][depth + 1] : &timed->level[level->cache[list]->number];
		}
}

static bool settings_fit(const struct memory_wiring *wiring, struct error *error)
{
	SIM_ASSERT(wiring->dram);
	if (!wiring->caches)
		return error_set(error, ERROR_USAGE, "machine.memory_model is timed, but machine.caches describes no cache");
	if (wiring->caches->rules.line_crossing == CROSSING_ONE_ACCESS)
		return error_set(
		        error, ERROR_USAGE,
		        "machine.cache_line_crossing: one_access is a rule of counting; machine.memory_model: timed takes "
		        "line after line, expected each_line");
	return true;
}

struct memory *memory_timed_create(const struct memory_wiring *wiring, struct error *error)
{
	if (!settings_fit(wiring, error))
		return NULL;
	const struct machine_settings *machine = &wiring->settings->machine;
	struct timed_memory *timed = xcalloc(1, sizeof *timed);
	*timed = (struct timed_memory){
	        .memory.ops = &memory_timed_ops,
	        .caches = wiring->caches,
	        .cpus = machine->cpus,
	        .line_shift = (unsigned)__builtin_ctz(machine->cache_line_bytes),
	        .dram = wiring->dram,
	        .atomic_cycles = machine->atomic_cycles,
	        .walkers = machine->walkers,
	        .modify_is_load = wiring->caches->rules.modify == MODIFY_LOAD,
	};
	for (unsigned kind = 0; kind < ACCESS_KINDS; kind++)
		if (timed->caches->entry[kind].shift < timed->line_shift)
			timed->line_shift = timed->caches->entry[kind].shift;
	for (unsigned number = 0; number < timed->caches->count; number++)
		if (!make_level(timed, machine, number, error)) {
			memory_destroy(&timed->memory);
			return NULL;
		}
	make_paths(timed);
	make_counters(timed);
	make_cores(timed, wiring->mmu);
	if (!coherence_create(timed, machine, error)) {
		memory_destroy(&timed->memory);
		return NULL;
	}
	make_short_paths(timed);
	timed->plan = timed_plan_create(timed);
	return &timed->memory;
}
