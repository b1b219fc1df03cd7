/* SPDX-License-Identifier: MIT
 *
 * run_machine.c - what the cores of a run work on: levels, the kernel's map, page tables of processes, stacks (interface:
 * run_parts.h).
 */
#include "tools/kmemsim/run_parts.h"

#include "models/cache_settings.h"
#include "tools/kmemsim/irq_stacks.h"
#include "tools/kmemsim/op_events.h"

#include <inttypes.h>

bool run_is_32bit(const struct run_parts *parts)
{
	return parts->run->settings->machine.architecture == ARCHITECTURE_X86_32;
}

/* Where the virtual allocator has its page tables. */
static uint64_t frame_of_table(const void *context, uint64_t linear, unsigned shift)
{
	const struct virtual_allocator *areas = context;
	pfn frame = areas->ops->table_frame ? areas->ops->table_frame(areas, linear, shift) : PFN_NONE;
	return frame.nr == UINT32_MAX ? FRAME_NONE : (uint64_t)frame.nr << PAGE_SHIFT;
}

/* A 32-bit kernel's image lies in its direct map, below everything else that the layout has there. */
static bool image_fits(const struct run_parts *parts, uint64_t memory_end, struct error *error)
{
	uint64_t image_end = layout_span_of(&parts->layout, REGION_TEXT)->last + 1 - parts->layout.direct_map;
	return !run_is_32bit(parts) || memory_end >= image_end ||
	       error_set(error, ERROR_USAGE,
	                 "machine.memory: %" PRIu64 " KiB do not hold the image of a 32-bit kernel, which ends at %" PRIu64
	                 " KiB; expected as many at least with timing: cycles, or machine.paging: ideal",
	                 memory_end >> 10, image_end >> 10);
}

/*
 * The kernel's own page tables, which all cores use.
 * MODEL: memory is one range, holes under 4 GiB are mapped with it. Effect: larger pages across a hole, which nothing touches.
 */
static bool map_kernel(struct run_parts *parts, struct error *error)
{
	struct mmus *mmus = &parts->mmus;
	const struct ram_range ram = {0, (uint64_t)parts->pages->end_pfn << PAGE_SHIFT};
	if (!mmus->walker)
		return true;
	if (mmus->host_mode)
		return error_set(error, ERROR_USAGE, "machine.virtualized: only runs of accesses can be those of a guest");
	if ((mmus->mode->linear_bits == 32) != run_is_32bit(parts))
		return error_set(error, ERROR_USAGE, "machine.paging is %s, but the machine is of %s bits; expected %s, or ideal",
		                 mmus->mode->name, run_is_32bit(parts) ? "32" : "64",
		                 run_is_32bit(parts) ? "x86_32 or x86_pae" : "x86_4level or x86_5level");
	if (!image_fits(parts, ram.end, error))
		return false;
	parts->mapped = kernel_map_init(&parts->kernel_map, mmus->mode, &mmus->controls, &mmus->memory, &parts->layout, &ram, 1);
	if (!parts->mapped)
		return error_set(error, ERROR_USAGE, "machine.paging: %s maps no kernel", mmus->mode->name);
	if (parts->areas)
		kernel_map_tell_areas(&parts->kernel_map,
		                      &(struct area_tables){.frame = frame_of_table, .context = parts->areas});
	parts->steps.maps = parts->areas || run_is_32bit(parts); /* the slots of high memory */
	for (unsigned cpu = 0; cpu < mmus->cpus; cpu++) {
		mmus->mmu[cpu].fault = kernel_map_fault;
		mmus->mmu[cpu].context = &parts->kernel_map;
		mmu_write_cr3(&mmus->mmu[cpu], parts->kernel_map.tables.root, 0, false);
	}
	return true;
}

/* Caches and TLBs, watched for the owners of the cores' jobs. */
static bool make_levels(struct run_parts *parts, struct error *error)
{
	const struct settings *settings = parts->run->settings;
	const struct machine *machine = &parts->machine.machine;
	const uint32_t *owner = settings->watch_owner == WATCH_OWNER_CALL_SITE ? &machine->caller : &machine->owner;
	parts->caches = caches_of_settings(settings, settings->watch_levels, owner, error);
	if (!parts->caches || !mmus_create(&parts->mmus, settings, settings->machine.cpus, error))
		return false;
	for (unsigned cpu = 0; cpu < parts->mmus.cpus; cpu++) {
		parts->mmus.mmu[cpu].layout = &parts->layout;
		if (settings->watch_levels)
			mmu_watch(&parts->mmus.mmu[cpu], owner);
	}
	return map_kernel(parts, error);
}

/* Page tables of processes beside the kernel's own, where walks are made. */
static struct user_tables *make_user_tables(struct run_parts *parts)
{
	struct mmus *mmus = &parts->mmus;
	if (!parts->users || !parts->mapped)
		return NULL;
	const struct paging_level *top = &mmus->mode->level[mmus->mode->levels - 1];
	const uint32_t entries = 1u << top->index_bits;
	parts->user_tables = (struct user_tables){
	        .memory = &mmus->memory,
	        .kernel_root = parts->kernel_map.tables.root,
	        .entry_bytes = mmus->mode->entry_bytes,
	        .entries = entries,
	        .first_kernel_entry =
	                mmus->mode->sign_extended ? entries / 2 : (uint32_t)(parts->layout.direct_map >> top->shift)};
	for (unsigned cpu = 0; cpu < mmus->cpus; cpu++) {
		struct mmu *mmu = &mmus->mmu[cpu];
		parts->user_faults[cpu] = (struct user_tables_fault){
		        .tables = &parts->user_tables, .walker = mmu->walker, .next = mmu->fault, .context = mmu->context};
		mmu->fault = user_tables_fault;
		mmu->context = &parts->user_faults[cpu];
	}
	return &parts->user_tables;
}

/* After the kernel's map, which maps them, and before the cores, which use them. */
bool run_make_irq_stacks(struct run_parts *parts, struct error *error)
{
	const struct irq_stacks stacks = {.settings = parts->run->settings,
	                                  .layout = &parts->layout,
	                                  .pages = parts->pages,
	                                  .areas = parts->areas,
	                                  .map = parts->mapped ? &parts->kernel_map : NULL,
	                                  .steps = &parts->steps,
	                                  .of_state = parts->start.path != NULL};
	return irq_stacks_make(&stacks, error);
}

/* Memory, cores and their clock, and a listener where one is asked for. */
bool run_make_machine(struct run_parts *parts, struct error *error)
{
	const struct settings *settings = parts->run->settings;
	const struct op_cost_names names = run_names(parts);
	struct timed_machine_parts machine = {.settings = settings, .layout = &parts->layout};
	if (timed_machine_has_levels(settings) && !make_levels(parts, error))
		return false;
	if (!run_make_irq_stacks(parts, error))
		return false;
	machine.caches = parts->caches;
	machine.mmu = parts->mmus.mmu;
	machine.users = make_user_tables(parts);
	machine.code = kernel_code_init(&parts->code, settings, &parts->layout);
	if (machine.code && run_is_32bit(parts))
		return error_set(
		        error, ERROR_USAGE,
		        "cost.code_fetch, cost.caller_code: no code is known of a kernel for x86-32; expected false and 0 B");
	if (parts->mapped)
		machine.tables = (struct table_keeper){.remap = kernel_map_remap, .context = &parts->kernel_map};
	if (op_events_wanted(settings)) {
		parts->events = op_events_open(settings, &names, &parts->layout, error);
		if (!parts->events)
			return false;
		machine.listener = chrome_trace_listener(parts->events);
	}
	return timed_machine_create(&parts->machine, &machine, error);
}
