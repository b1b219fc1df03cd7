/* SPDX-License-Identifier: MIT
 *
 * timed_rig.h - a machine with a memory model for tests: caches from lines as in machine.caches, requests one by one.
 */
#ifndef TESTS_TIMED_RIG_H
#define TESTS_TIMED_RIG_H

#include "models/cache_settings.h"
#include "models/registry.h"
#include "models/settings.h"
#include "sim/setting.h"
#include "tests/unit/test.h"

#include <stdlib.h>
#include <string.h>

struct machine_rig {
	struct settings settings;
	struct cache_hierarchy *caches;
	struct dram *dram;
	struct memory *memory;
	struct cost cost; /* of the last request */
};

/* Latencies that are told apart in any sum. */
enum { L1 = 4, L2 = 14, LLC = 44, DRAM = 240, REMOTE = 100, FAR = 300, ATOMIC = 1000 };

/* Settings of so many cores with these caches, ended by NULL. */
static inline void machine_rig_settings(struct machine_rig *rig, unsigned cpus, const char *const *lines)
{
	memset(rig, 0, sizeof *rig);
	settings_init(&rig->settings);
	struct machine_settings *machine = &rig->settings.machine;
	for (uint32_t i = 0; i < machine->caches_count; i++)
		free(machine->caches[i]);
	for (machine->caches_count = 0; lines[machine->caches_count];)
		machine->caches_count++;
	machine->caches = xrealloc(machine->caches, machine->caches_count * sizeof(char *));
	for (uint32_t i = 0; i < machine->caches_count; i++)
		machine->caches[i] = xstrdup(lines[i]);
	machine->cpus = cpus;
	machine->l1_cycles = L1;
	machine->l2_cycles = L2;
	machine->llc_cycles = LLC;
	machine->dram_cycles = DRAM;
	machine->dram.latency = (DRAM - LLC) | SETTING_DELAY_CYCLES;
	machine->remote_cycles = REMOTE;
	machine->remote_far_cycles = FAR;
	machine->atomic_cycles = ATOMIC;
}

/* false: the caches do not fit together. */
static inline bool machine_rig_make(struct machine_rig *rig, const char *model, struct mmu *mmu)
{
	struct error error = {0};
	rig->caches = caches_of_settings(&rig->settings, false, NULL, &error);
	if (!rig->caches)
		return false;
	rig->dram = dram_model(rig->settings.machine.dram.model, &error)
	                    ->create(&(struct dram_wiring){.settings = &rig->settings}, &error);
	const struct memory_wiring wiring = {.settings = &rig->settings, .caches = rig->caches, .mmu = mmu, .dram = rig->dram};
	rig->memory = memory_model(model, &error)->create(&wiring, &error);
	if (!rig->memory)
		fail_msg("%s", error.text);
	return true;
}

static inline void machine_rig_release(struct machine_rig *rig)
{
	if (rig->memory)
		rig->memory->ops->check(rig->memory);
	memory_destroy(rig->memory);
	cache_hierarchy_destroy(rig->caches);
	dram_destroy(rig->dram);
	settings_release(&rig->settings);
}

/* One request of eight bytes; the cycle at which it is done. A modify has the lock prefix. */
static inline cycle rig_request(struct machine_rig *rig, unsigned cpu, enum access_kind kind, uint64_t address, cycle now)
{
	const struct memory_request request = {.address = address,
	                                       .bytes = 8,
	                                       .cpu = (uint16_t)cpu,
	                                       .kind = (uint8_t)kind,
	                                       .is_locked = kind == ACCESS_MODIFY,
	                                       .now = now};
	return memory_access(rig->memory, &request, &rig->cost);
}

static inline cycle rig_load(struct machine_rig *rig, unsigned cpu, uint64_t address, cycle now)
{
	return rig_request(rig, cpu, ACCESS_LOAD, address, now);
}

static inline cycle rig_store(struct machine_rig *rig, unsigned cpu, uint64_t address, cycle now)
{
	return rig_request(rig, cpu, ACCESS_STORE, address, now);
}

/* A counter of the model by its name. */
static inline uint64_t rig_counter(const struct machine_rig *rig, const char *name)
{
	for (const struct metric *metric = rig->memory->ops->metrics; metric->name; metric++)
		if (strcmp(metric->name, name) == 0)
			return metric_value(metric, rig->memory->ops->counters(rig->memory));
	fail_msg("there is no counter %s", name);
	return 0;
}

#endif
