/* SPDX-License-Identifier: MIT
 *
 * timed_machine.c - memory, cores and their clock (interface: timed_machine.h).
 */
#include "tools/kmemsim/timed_machine.h"

#include "models/dram_settings.h"
#include "models/registry.h"
#include "sim/bounce.h"

#include <string.h>

/* Lines that the database keeps of a run, the most bounced ones. */
#define LINES_STORED 1000

bool timed_machine_has_levels(const struct settings *settings)
{
	return strcmp(settings->machine.memory_model, "ideal") != 0;
}

bool timed_machine_create(struct timed_machine *timed, const struct timed_machine_parts *parts, struct error *error)
{
	const struct settings *settings = parts->settings;
	const struct memory_model *model = memory_model(settings->machine.memory_model, error);
	if (!model || (model->ops->has_dram && !(timed->dram = dram_of_settings(settings, error))))
		return false;
	const struct memory_wiring wiring = {
	        .settings = settings, .caches = parts->caches, .mmu = parts->mmu, .layout = parts->layout, .dram = timed->dram};
	timed->memory = model->create(&wiring, error);
	if (!timed->memory)
		return false;
	const struct machine_wiring cores = {.cpus = settings->machine.cpus,
	                                     .line_bytes = settings->machine.cache_line_bytes,
	                                     .core = settings->machine.core,
	                                     .frequency_mhz = settings_mhz(settings),
	                                     .settles = settings->pace == PACE_ASAP && settings->machine.cpus == 1,
	                                     .memory = timed->memory,
	                                     .listener = parts->listener,
	                                     .user_tables = parts->users,
	                                     .tables = parts->tables,
	                                     .code = parts->code,
	                                     .layout = parts->layout};
	machine_init(&timed->machine, &cores);
	return true;
}

void timed_machine_release(struct timed_machine *timed)
{
	if (timed->machine.cpus)
		machine_release(&timed->machine);
	memory_destroy(timed->memory);
	dram_destroy(timed->dram);
}

void timed_machine_check(const struct timed_machine *timed)
{
	machine_check(&timed->machine);
	timed->memory->ops->check(timed->memory);
	if (timed->dram)
		timed->dram->ops->check(timed->dram);
}

static bool store_counters(struct store *store, int64_t run_id, const char *component, const struct metric *metrics,
                           const void *counters, struct error *error)
{
	for (const struct metric *metric = metrics; metric->name; metric++)
		if (!store_metric(store, run_id, component, metric, metric_value(metric, counters), error))
			return false;
	return true;
}

static bool store_locks(const struct lock_table *locks, struct store *store, int64_t run_id, const struct layout *layout,
                        struct error *error)
{
	for (uint32_t index = 0; index < locks->count; index++) {
		const struct lock *lock = locks->in_order[index];
		const struct store_lock row = {
		        .name = layout_label(layout, vaddr_of(lock->address)),
		        .address = lock->address,
		        .acquisitions = lock->acquisitions,
		        .waits = lock->waits,
		        .hand_overs = lock->hand_overs,
		        .wait_cycles = lock->wait_cycles,
		        .take_cycles = lock->take_cycles,
		};
		if (!store_lock(store, run_id, &row, error))
			return false;
	}
	return true;
}

/* What lies in a line: its data's name, else its part of the map. */
static const char *line_name(const struct layout *layout, uint64_t linear)
{
	const char *label = layout_label(layout, vaddr_of(linear));
	if (linear == 0)
		return "page tables";
	if (*label)
		return label;
	if (linear >= layout->kernel_data && linear < layout->kernel_data + layout->kernel_data_used)
		return "kernel data";
	return region_name(layout_region(layout, linear));
}

static bool store_lines(const struct memory *memory, struct store *store, int64_t run_id, const struct layout *layout,
                        struct error *error)
{
	const struct bounced_line *top[LINES_STORED];
	size_t count = memory->ops->bounced_lines ? memory->ops->bounced_lines(memory, top, LINES_STORED) : 0;
	for (size_t i = 0; i < count; i++) {
		const struct bounced_line *line = top[i];
		const struct store_line row = {
		        .name = line_name(layout, line->linear),
		        .address = line->linear,
		        .physical = line->address,
		        .transfers_clean = line->transfers_clean,
		        .transfers_dirty = line->transfers_dirty,
		        .invalidations = line->invalidations,
		        .upgrades = line->upgrades,
		        .cores = core_set_count(&line->cores),
		        .writers = bounced_line_writers(line),
		        .false_sharing = bounced_line_is_falsely_shared(line),
		};
		if (!store_line(store, run_id, &row, error))
			return false;
	}
	return true;
}

static bool store_histograms(const struct machine *machine, struct store *store, int64_t run_id, struct error *error)
{
	for (enum job_measure measure = 0; measure < JOB_MEASURES; measure++)
		for (enum job_kind kind = 0; kind < JOB_KINDS; kind++)
			if (!store_histogram(store, run_id, job_histogram_name(measure, kind), job_histogram_unit(measure),
			                     &machine->measured[measure][kind], error))
				return false;
	return true;
}

bool timed_machine_store(const struct timed_machine *timed, struct store *store, int64_t run_id, const struct layout *layout,
                         const struct op_cost_names *names, struct error *error)
{
	const struct machine *machine = &timed->machine;
	const struct memory *memory = timed->memory;
	const struct dram *dram = timed->dram;
	struct core_counters cores = machine_counters(machine);
	return store_histograms(machine, store, run_id, error) && store_locks(&machine->locks, store, run_id, layout, error) &&
	       store_lines(memory, store, run_id, layout, error) &&
	       op_cost_store(store, run_id, &machine->op_costs, names, error) &&
	       store_counters(store, run_id, "core", core_metrics, &cores, error) &&
	       store_counters(store, run_id, "memory", memory->ops->metrics, memory->ops->counters(memory), error) &&
	       (!dram || store_counters(store, run_id, "dram", dram->ops->metrics, dram->ops->counters(dram), error));
}
