/* SPDX-License-Identifier: MIT
 *
 * hierarchy.c - memory behind the machine's caches (machine.caches): an access costs what the level that has its line costs.
 *
 *   first level            -> l1_cycles
 *   levels in between      -> l2_cycles
 *   last level             -> llc_cycles
 *   none                   -> dram_cycles
 *
 * A locked instruction is a load and a store of its line, and costs atomic_cycles on top. An access over several lines costs
 * their sum: nothing overlaps.
 *
 * MODEL: caches of different cores do not know of each other: a line that another core has written is found by its level, so
 * machine.latency.remote is never paid, and false sharing does not show.
 * Law: accesses = hits of all levels + dram_accesses; beside it the caches' own (sim/cache_hierarchy.h).
 */
#include "models/settings.h"
#include "sim/cache_hierarchy.h"
#include "sim/metric.h"
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
	unsigned line_shift;
	uint32_t atomic_cycles;
	struct {
		uint32_t cycles;
		uint64_t *counter;
	} depth[CACHE_LEVELS_MAX + 1]; /* by how many levels did not have the line */
	struct hierarchy_counters counters;
};

static const struct metric hierarchy_metrics[] = {
        METRIC(struct hierarchy_counters, accesses, "1", "Cache lines accessed"),
        METRIC(struct hierarchy_counters, l1_hits, "1", "Accesses to a line that the first level had"),
        METRIC(struct hierarchy_counters, l2_hits, "1", "Accesses to a line that a level between the first and the last had"),
        METRIC(struct hierarchy_counters, llc_hits, "1", "Accesses to a line that the last level had"),
        METRIC(struct hierarchy_counters, dram_accesses, "1", "Accesses to a line that no level had"),
        METRIC_END,
};

static cycle hierarchy_access(struct memory *memory, unsigned cpu, vaddr at, uint32_t bytes, enum step_kind kind, cycle now)
{
	struct hierarchy_memory *hierarchy = (struct hierarchy_memory *)memory;
	if (bytes == 0)
		return now;
	struct access access = {.cpu = (uint16_t)cpu,
	                        .kind = (uint8_t)(kind == STEP_READ    ? ACCESS_LOAD
	                                          : kind == STEP_WRITE ? ACCESS_STORE
	                                                               : ACCESS_MODIFY)};
	uint64_t address = at.addr, end = address + bytes, line_bytes = 1ull << hierarchy->line_shift;
	while (address < end) {
		uint64_t line_end = (address | (line_bytes - 1)) + 1;
		access.address = address;
		access.bytes = (uint32_t)((line_end < end ? line_end : end) - address);
		unsigned depth = cache_hierarchy_access(hierarchy->caches, &access);
		hierarchy->counters.accesses++;
		++*hierarchy->depth[depth].counter;
		now += hierarchy->depth[depth].cycles;
		address = line_end;
	}
	return kind == STEP_ATOMIC ? now + hierarchy->atomic_cycles : now;
}

static void hierarchy_check(const struct memory *memory)
{
	const struct hierarchy_memory *hierarchy = (const struct hierarchy_memory *)memory;
	const struct hierarchy_counters *counters = &hierarchy->counters;
	SIM_ASSERT(counters->accesses == counters->l1_hits + counters->l2_hits + counters->llc_hits + counters->dram_accesses);
	cache_hierarchy_check(hierarchy->caches);
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
        .help = "the caches of machine.caches: fixed cycles by the level that has the line",
        .access = hierarchy_access,
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
	hierarchy->line_shift = (unsigned)__builtin_ctz(wiring->settings->machine.cache_line_bytes);
	hierarchy->atomic_cycles = wiring->settings->machine.atomic_cycles;
	set_depths(hierarchy, &wiring->settings->machine);
	return &hierarchy->memory;
}
