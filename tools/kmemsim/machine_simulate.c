/* SPDX-License-Identifier: MIT
 *
 * machine_simulate.c - the pointer chases of machine_measure.c on a simulated machine (interface: machine_measure.h).
 *
 * The machine is the detected one with one CPU, read as a scenario reads it; its pages come from the page allocator at first
 * touch, and a guest's machine is simulated as a guest's. Each load begins when the one before it is done.
 *
 * MODEL: the allocator is as it booted, so pages of 4 KiB follow each other; the host's lie where its own allocator had room.
 */
#include "models/cache_settings.h"
#include "models/kernel_layout.h"
#include "models/mmu_settings.h"
#include "models/registry.h"
#include "models/scenario.h"
#include "sim/address_space.h"
#include "sim/cache_hierarchy.h"
#include "tools/kmemsim/machine_measure.h"
#include "tools/kmemsim/timed_machine.h"

#include <stdlib.h>
#include <string.h>

/* Where the chase lies: in user addresses, on a page of 2 MiB. */
#define CHASE_ADDRESS 0x7f0000000000ull
#define LOADS_MAX 65536u
#define MEMORY_MIN (1ull << 30)
#define SETS_MAX 64u

/* The parts of one simulated machine. */
struct rig {
	struct settings settings;
	struct layout layout;
	struct steps steps;
	struct page_allocator *pages;
	struct mmus mmus;
	struct address_space space;
	bool has_space;
	struct cache_hierarchy *caches;
	struct timed_machine timed;
};

/* ---- the machine ---- */

/* The detected machine as a scenario. free() it. */
static char *scenario_of(const struct detected *detected, const struct measured *measured)
{
	const struct machine_file file = {.facts = &detected->facts, .latencies = &measured->latencies, .indent = "  "};
	char *text;
	size_t length;
	FILE *out = open_memstream(&text, &length);
	SIM_ASSERT(out);
	fputs("# What does a pointer chase cost on the machine that was detected?\nmachine:\n", out);
	machine_file_print(&file, out);
	fclose(out);
	return text;
}

static bool load(const struct detected *detected, const struct measure_request *request, const struct measured *measured,
                 struct settings *settings, struct error *error)
{
	const char *sets[SETS_MAX + 5];
	size_t count = 0;
	uint64_t bytes = MEMORY_MIN;
	while (bytes < 2 * measured->max_bytes)
		bytes *= 2;
	char *memory = xasprintf("machine.memory=%llu MiB", (unsigned long long)(bytes >> 20));
	char *guest = xasprintf("machine.virtualized=%s", machine_facts_nesting(&detected->facts));
	char *host_page = xasprintf("machine.host_page=%s", measured->host_page ? measured->host_page : "2M");
	sets[count++] = "machine.cpus=1";
	sets[count++] = memory;
	if (detected->facts.hypervisor)
		sets[count++] = guest;
	if (measured->host_page)
		sets[count++] = host_page;
	for (size_t i = 0; request->sets && request->sets[i] && count < SETS_MAX + 4; i++)
		sets[count++] = request->sets[i];
	sets[count] = NULL;
	const struct scenario_source source = {.path = "the detected machine", .sets = sets};
	bool loaded = scenario_parse(&source, measured->scenario, strlen(measured->scenario), settings, error);
	free(memory);
	free(guest);
	free(host_page);
	return loaded;
}

static bool make_space(struct rig *rig, bool huge_pages, struct error *error)
{
	struct mmus *mmus = &rig->mmus;
	if (!mmus_create(mmus, &rig->settings, rig->settings.machine.cpus, error))
		return false;
	if (!mmus->walker)
		return true;
	if (!address_space_init(&rig->space, mmus->mode, &mmus->controls, &mmus->memory, rig->pages,
	                        huge_pages ? PAGES_TRANSPARENT_HUGE : PAGES_SMALL, mmus_host_address(mmus), error))
		return false;
	rig->has_space = true;
	for (unsigned cpu = 0; cpu < mmus->cpus; cpu++) {
		mmus->mmu[cpu].fault = address_space_fault;
		mmus->mmu[cpu].context = &rig->space;
		mmu_write_cr3(&mmus->mmu[cpu], rig->space.tables.root, 0, false);
	}
	return true;
}

/* Fills a rig that is all zero but its settings. */
static bool rig_make(struct rig *rig, bool huge_pages, struct error *error)
{
	const struct settings *settings = &rig->settings;
	const struct page_allocator_model *page_model = page_allocator_model(settings->page_allocator, error);
	kernel_layout_init(&rig->layout, settings, 0);
	steps_init(&rig->steps, false);
	if (!page_model)
		return false;
	const struct page_allocator_wiring wiring = {
	        .settings = settings, .layout = &rig->layout, .steps = &rig->steps, .seed = settings->seed};
	rig->pages = page_model->create(&wiring, error);
	if (!rig->pages || !make_space(rig, huge_pages, error))
		return false;
	rig->caches = caches_of_settings(settings, false, NULL, error);
	if (!rig->caches)
		return false;
	const struct timed_machine_parts parts = {
	        .settings = settings, .caches = rig->caches, .mmu = rig->mmus.mmu, .layout = &rig->layout};
	return timed_machine_create(&rig->timed, &parts, error);
}

static void rig_release(struct rig *rig)
{
	timed_machine_release(&rig->timed);
	cache_hierarchy_destroy(rig->caches);
	if (rig->has_space)
		address_space_release(&rig->space);
	if (rig->mmus.cpus)
		mmus_release(&rig->mmus);
	page_allocator_destroy(rig->pages);
	steps_release(&rig->steps);
	layout_release(&rig->layout);
}

/* ---- the chase ---- */

/* Follows `loads` lines from *at on, and returns the cycle at which the last is done. */
static cycle follow(struct rig *rig, const struct chase_series *series, const uint32_t *next, uint32_t *at, uint32_t loads,
                    cycle now)
{
	for (uint32_t i = 0; i < loads; i++) {
		const struct memory_request request = {.address = CHASE_ADDRESS + chase_offset(series, *at),
		                                       .bytes = sizeof(uint64_t),
		                                       .kind = ACCESS_LOAD,
		                                       .now = now};
		struct cost cost;
		now = memory_access(rig->timed.memory, &request, &cost);
		*at = next[*at];
	}
	return now;
}

static bool simulate_point(const struct settings *settings, const struct chase_series *series, const uint32_t *next,
                           struct chase_point *point, struct error *error)
{
	struct rig rig = {.settings = *settings};
	uint32_t at = 0;
	bool made = rig_make(&rig, series->huge_pages, error);
	if (made) {
		const uint32_t loads = point->count < LOADS_MAX ? point->count : LOADS_MAX;
		const cycle warm = follow(&rig, series, next, &at, point->count, 0);
		const cycle done = follow(&rig, series, next, &at, loads, warm);
		point->milli_cycles = ((done - warm) * 1000 + loads / 2) / loads;
		timed_machine_check(&rig.timed);
	}
	rig_release(&rig);
	return made;
}

bool machine_simulate(const struct detected *detected, const struct measure_request *request, struct measured *measured,
                      struct error *error)
{
	struct settings settings;
	measured->scenario = scenario_of(detected, measured);
	if (!load(detected, request, measured, &settings, error))
		return false;
	uint32_t *next = xcalloc(measured->max_bytes / CHASE_LINE_BYTES, sizeof *next);
	bool fine = true;
	for (unsigned series = 0; series < MEASURE_SERIES && fine; series++)
		for (unsigned i = 0; i < measured->count[series] && fine; i++) {
			struct chase_point *point = &measured->simulated[series][i];
			*point = (struct chase_point){.count = measured->points[series][i].count,
			                              .bytes = measured->points[series][i].bytes};
			chase_order(next, point->count, request->seed);
			fine = simulate_point(&settings, &measure_series[series], next, point, error);
			machine_progress(request, measured, series, i, 1);
			if (request->interrupt && *request->interrupt) {
				measured->interrupted = true;
				break;
			}
		}
	free(next);
	settings_release(&settings);
	return fine;
}
