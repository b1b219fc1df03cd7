/* SPDX-License-Identifier: MIT
 *
 * hierarchy.c - memory behind the machine's TLBs and caches (machine.tlbs, machine.caches): an access is translated by its core's
 * MMU, and costs what the level that has its line costs; so does each reference of a page walk that stands before it.
 *
 *   first level            -> l1_cycles
 *   levels in between      -> l2_cycles
 *   last level             -> llc_cycles
 *   none                   -> dram_cycles
 *
 * A locked instruction is a load and a store of its line, and costs atomic_cycles on top. An access over several lines costs
 * their sum, and a walk the sum of its references: nothing overlaps. Without MMUs addresses are taken as they are.
 *
 * MODEL: caches of different cores do not know of each other: a line that another core has written is found by its level, so
 * machine.latency.remote is never paid, and false sharing does not show.
 * MODEL: looking up a second-level TLB costs nothing.
 * MODEL: without page walks every page that a slot of kmap() maps in turn has the slot's address, and so its cache lines.
 * Law: accesses = hits of all levels + dram_accesses; beside it the caches' and the MMUs' own.
 */
#include "models/settings.h"
#include "sim/cache_hierarchy.h"
#include "sim/metric.h"
#include "sim/mmu.h"
#include "sim/port/memory.h"

#include <stdlib.h>

extern const struct memory_ops memory_hierarchy_ops;
struct memory *memory_hierarchy_create(const struct memory_wiring *wiring, struct error *error);

struct hierarchy_counters {
	uint64_t accesses, l1_hits, l2_hits, llc_hits, dram_accesses;
};

struct hierarchy_memory {
	struct memory memory;
	struct cache_hierarchy *caches; /* not owned */
	struct mmu *mmu;                /* one for each core; NULL: addresses are taken as they are; not owned */
	unsigned cpus;
	unsigned line_shift;
	uint32_t atomic_cycles;
	struct {
		uint32_t cycles;
		enum cost_part part;
		uint64_t *counter;
	} depth[CACHE_LEVELS_MAX + 1]; /* by how many levels did not have the line */
	struct hierarchy_counters counters;
};

static const struct metric hierarchy_metrics[] = {
        METRIC(struct hierarchy_counters, accesses, "1", "Cache lines accessed, by page walks too"),
        METRIC(struct hierarchy_counters, l1_hits, "1", "Accesses to a line that the first level had"),
        METRIC(struct hierarchy_counters, l2_hits, "1", "Accesses to a line that a level between the first and the last had"),
        METRIC(struct hierarchy_counters, llc_hits, "1", "Accesses to a line that the last level had"),
        METRIC(struct hierarchy_counters, dram_accesses, "1", "Accesses to a line that no level had"),
        METRIC_END,
};

/* A physical access, line after line. `part` tells where its cycles go; COST_PARTS: to those of the level that had the line. */
static void access_lines(struct hierarchy_memory *hierarchy, const struct access *access, enum cost_part part, struct cost *cost)
{
	struct access line = *access;
	uint64_t address = access->address, end = address + access->bytes, line_bytes = 1ull << hierarchy->line_shift;
	while (address < end) {
		uint64_t line_end = (address | (line_bytes - 1)) + 1;
		line.address = address;
		line.bytes = (uint32_t)((line_end < end ? line_end : end) - address);
		unsigned depth = cache_hierarchy_access(hierarchy->caches, &line);
		hierarchy->counters.accesses++;
		++*hierarchy->depth[depth].counter;
		cost->cycles[part == COST_PARTS ? hierarchy->depth[depth].part : part] += hierarchy->depth[depth].cycles;
		address = line_end;
	}
}

/* An access by its linear address, with the page walks that it takes. */
static void access_linear(struct hierarchy_memory *hierarchy, struct mmu *mmu, const struct access *access, struct cost *cost)
{
	struct access out[2 * MMU_ROOM];
	size_t done, made;
	do {
		done = mmu_run(mmu, access, 1, out, 2 * MMU_ROOM, &made);
		for (size_t i = 0; i < made; i++) {
			access_lines(hierarchy, &out[i], access_is_walk(out[i].kind) ? COST_TLB : COST_PARTS, cost);
		}
	} while (done == 0);
}

static cycle hierarchy_access(struct memory *memory, const struct memory_request *request, struct cost *cost)
{
	struct hierarchy_memory *hierarchy = (struct hierarchy_memory *)memory;
	struct cost own;
	if (!cost) {
		hierarchy_access(memory, request, &own);
		return cost_total(&own);
	}
	*cost = (struct cost){0};
	if (request->bytes == 0)
		return 0;
	struct access access = {.address = request->address, .bytes = request->bytes, .cpu = request->cpu, .kind = request->kind};
	SIM_ASSERT(request->cpu < hierarchy->cpus);
	struct mmu *mmu = hierarchy->mmu ? &hierarchy->mmu[request->cpu] : NULL;
	if (mmu)
		access_linear(hierarchy, mmu, &access, cost);
	else
		access_lines(hierarchy, &access, COST_PARTS, cost);
	if (request->is_locked)
		cost->cycles[COST_COMPUTE] += hierarchy->atomic_cycles;
	return 0;
}

static void hierarchy_invalidate(struct memory *memory, unsigned cpu, const struct tlb_scope *scope)
{
	struct hierarchy_memory *hierarchy = (struct hierarchy_memory *)memory;
	if (hierarchy->mmu)
		mmu_invalidate(&hierarchy->mmu[cpu], scope);
}

static void hierarchy_switch_space(struct memory *memory, unsigned cpu, uint64_t root, unsigned pcid, bool no_flush)
{
	struct hierarchy_memory *hierarchy = (struct hierarchy_memory *)memory;
	if (hierarchy->mmu && hierarchy->mmu[cpu].walker)
		mmu_write_cr3(&hierarchy->mmu[cpu], root, pcid, no_flush);
}

static void hierarchy_check(const struct memory *memory)
{
	const struct hierarchy_memory *hierarchy = (const struct hierarchy_memory *)memory;
	const struct hierarchy_counters *counters = &hierarchy->counters;
	SIM_ASSERT(counters->accesses == counters->l1_hits + counters->l2_hits + counters->llc_hits + counters->dram_accesses);
	cache_hierarchy_check(hierarchy->caches);
	for (unsigned cpu = 0; hierarchy->mmu && cpu < hierarchy->cpus; cpu++)
		mmu_check(&hierarchy->mmu[cpu]);
}

static const void *hierarchy_counters(const struct memory *memory)
{
	return &((const struct hierarchy_memory *)memory)->counters;
}

static void hierarchy_destroy(struct memory *memory)
{
	free(memory);
}

const struct memory_ops memory_hierarchy_ops = {
        .name = "hierarchy",
        .help = "the TLBs and caches of the machine: fixed cycles by the level that has the line",
        .access = hierarchy_access,
        .invalidate = hierarchy_invalidate,
        .switch_space = hierarchy_switch_space,
        .check = hierarchy_check,
        .metrics = hierarchy_metrics,
        .counters = hierarchy_counters,
        .destroy = hierarchy_destroy,
};

/* What an access costs, and where it is counted, by the number of levels that did not have the line. */
static void set_depths(struct hierarchy_memory *hierarchy, const struct machine_settings *machine)
{
	struct hierarchy_counters *counters = &hierarchy->counters;
	unsigned levels = hierarchy->caches->levels;
	for (unsigned depth = 0; depth <= levels; depth++) {
		bool is_dram = depth == levels, is_last = depth + 1 == levels;
		hierarchy->depth[depth].cycles = is_dram      ? machine->dram_cycles
		                                 : depth == 0 ? machine->l1_cycles
		                                 : is_last    ? machine->llc_cycles
		                                              : machine->l2_cycles;
		hierarchy->depth[depth].part = is_dram ? COST_DRAM : depth == 0 ? COST_L1 : is_last ? COST_LLC : COST_L2;
		hierarchy->depth[depth].counter = is_dram      ? &counters->dram_accesses
		                                  : depth == 0 ? &counters->l1_hits
		                                  : is_last    ? &counters->llc_hits
		                                               : &counters->l2_hits;
	}
}

struct memory *memory_hierarchy_create(const struct memory_wiring *wiring, struct error *error)
{
	if (!wiring->caches) {
		error_set(error, ERROR_USAGE, "machine.memory_model is hierarchy, but machine.caches describes no cache");
		return NULL;
	}
	struct hierarchy_memory *hierarchy = xcalloc(1, sizeof *hierarchy);
	hierarchy->memory.ops = &memory_hierarchy_ops;
	hierarchy->caches = wiring->caches;
	hierarchy->mmu = wiring->mmu;
	hierarchy->cpus = wiring->settings->machine.cpus;
	hierarchy->line_shift = (unsigned)__builtin_ctz(wiring->settings->machine.cache_line_bytes);
	hierarchy->atomic_cycles = wiring->settings->machine.atomic_cycles;
	set_depths(hierarchy, &wiring->settings->machine);
	return &hierarchy->memory;
}
