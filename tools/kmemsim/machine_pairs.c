/* SPDX-License-Identifier: MIT
 *
 * machine_pairs.c - messages between cores of a simulated machine (interface: machine_pairs.h).
 *
 * Two cores take turns: each asks for the line, with a locked instruction, when its last one is done. What the other had of it is
 * then still going on, so the request waits for it, as that of a core does which tries all the time.
 *
 * MODEL: a try that comes too early costs nothing; on silicon it may take the line away before the answer is written.
 */
#include "tools/kmemsim/machine_pairs.h"

#include "models/cache_settings.h"
#include "models/kernel_layout.h"
#include "models/scenario.h"
#include "sim/cache_hierarchy.h"
#include "tools/kmemsim/configs.h"
#include "tools/kmemsim/timed_machine.h"

#include <stdlib.h>
#include <string.h>

/* The first messages bring the line from memory, the others are counted. */
#define MESSAGES_BEFORE 4u
#define MESSAGES 16u
#define SETS_MAX 64u

/* The parts of the simulated machine. */
struct rig {
	struct settings settings;
	struct layout layout;
	struct cache_hierarchy *caches;
	struct timed_machine timed;
	cycle now;
};

static bool load(const struct pairs_request *request, struct settings *settings, struct error *error)
{
	const char *sets[SETS_MAX + 1];
	size_t count = 0;
	char *machine = xasprintf("--machine=%s", request->machine);
	sets[count++] = machine;
	for (size_t i = 0; request->sets && request->sets[i] && count < SETS_MAX; i++)
		sets[count++] = request->sets[i];
	sets[count] = NULL;
	bool loaded = scenario_load(&(struct scenario_source){.config_dirs = config_dirs(), .sets = sets}, settings, error);
	free(machine);
	return loaded;
}

static bool settings_fit(const struct settings *settings, struct error *error)
{
	if (strcmp(settings->machine.memory_model, "timed") != 0)
		return error_set(error, ERROR_USAGE,
		                 "machine.memory_model: found %s, expected timed, which knows lines of other cores",
		                 settings->machine.memory_model);
	if (settings->machine.cpus < 2)
		return error_set(error, ERROR_USAGE, "machine.cpus: expected 2 or more, as --set machine.cpus=8 gives");
	return true;
}

/* Fills a rig that is all zero but its settings. */
static bool rig_make(struct rig *rig, struct error *error)
{
	rig->caches = caches_of_settings(&rig->settings, false, NULL, error);
	if (!rig->caches)
		return false;
	const struct timed_machine_parts parts = {.settings = &rig->settings, .caches = rig->caches, .layout = &rig->layout};
	return timed_machine_create(&rig->timed, &parts, error);
}

static void rig_release(struct rig *rig)
{
	timed_machine_release(&rig->timed);
	cache_hierarchy_destroy(rig->caches);
	layout_release(&rig->layout);
	settings_release(&rig->settings);
}

/* So many messages between two cores. Each may begin when its own last one is done, which *done tells and is told. */
static void exchange(struct rig *rig, const uint16_t core[2], uint64_t address, unsigned messages, cycle done[2])
{
	for (unsigned i = 0; i < messages; i++) {
		const struct memory_request request = {.address = address,
		                                       .bytes = sizeof(uint64_t),
		                                       .cpu = core[i % 2],
		                                       .kind = ACCESS_MODIFY,
		                                       .is_locked = true,
		                                       .now = done[i % 2]};
		struct cost cost;
		done[i % 2] = memory_access(rig->timed.memory, &request, &cost);
	}
}

/* Cycles of a pair's messages. */
static cycle time_pair(struct rig *rig, uint16_t one, uint16_t other, uint64_t address)
{
	const uint16_t core[2] = {one, other};
	cycle done[2] = {rig->now, rig->now}, before;
	exchange(rig, core, address, MESSAGES_BEFORE, done);
	before = done[1];
	exchange(rig, core, address, MESSAGES, done);
	rig->now = done[1];
	return done[1] - before;
}

static void table_init(struct pair_table *table, unsigned cores)
{
	table->cores = cores;
	table->milli = xcalloc((size_t)cores * cores, sizeof *table->milli);
}

static void simulate(struct rig *rig, struct pairs *pairs)
{
	unsigned cores = rig->settings.machine.cpus;
	uint32_t line_bytes = rig->settings.machine.cache_line_bytes;
	table_init(&pairs->simulated, cores);
	for (uint16_t one = 1; one < cores; one++)
		for (uint16_t other = 0; other < one; other++) {
			cycle sum = 0;
			for (uint64_t line = 0; line < pairs->lines; line++)
				sum += time_pair(rig, one, other, line * line_bytes);
			uint64_t milli = sum * 1000 / (MESSAGES * pairs->lines);
			pairs->simulated.milli[one * cores + other] = pairs->simulated.milli[other * cores + one] = milli;
		}
}

bool machine_pairs(const struct pairs_request *request, struct pairs *pairs, struct error *error)
{
	*pairs = (struct pairs){.lines = request->lines, .name = xstrdup(request->machine)};
	struct rig rig = {0};
	if (!load(request, &rig.settings, error))
		return false;
	kernel_layout_init(&rig.layout, &rig.settings, 0);
	bool fine = settings_fit(&rig.settings, error) && rig_make(&rig, error);
	if (fine) {
		const struct cache_level *last = rig.caches->caches[rig.caches->count - 1];
		pairs->complex = last->spec->cores ? last->spec->cores : rig.settings.machine.cpus;
		simulate(&rig, pairs);
		timed_machine_check(&rig.timed);
		pair_table_order(&pairs->simulated, pairs->complex, pairs->order[0]);
	}
	if (fine && request->measured) {
		fine = pair_table_read(&pairs->measured, &pairs->measured_mhz, request->measured, error) &&
		       (pairs->measured.cores == pairs->simulated.cores ||
		        error_set(error, ERROR_USAGE, "%s: of %u cores, but machine.cpus is %u", request->measured,
		                  pairs->measured.cores, pairs->simulated.cores));
		if (fine)
			pair_table_order(&pairs->measured, pairs->complex, pairs->order[1]);
	}
	rig_release(&rig);
	return fine;
}

void machine_pairs_release(struct pairs *pairs)
{
	free(pairs->name);
	free(pairs->simulated.milli);
	free(pairs->measured.milli);
}
