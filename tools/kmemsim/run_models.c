/* SPDX-License-Identifier: MIT
 *
 * run_models.c - makes the models of a run and the replay that drives them (interface: run_parts.h).
 */
#include "tools/kmemsim/run_parts.h"

#include "models/kernel_layout.h"
#include "models/registry.h"
#include "models/virtual_allocator/kmap.h"
#include "tools/kmemsim/recorded.h"

#include <inttypes.h>
#include <stdlib.h>

static bool make_areas(struct run_parts *parts, struct error *error)
{
	const struct settings *settings = parts->run->settings;
	const struct virtual_allocator_model *model = virtual_allocator_model(settings->virtual_allocator, error);
	const struct virtual_allocator_wiring wiring = {.settings = settings,
	                                                .pages = parts->pages,
	                                                .objects = parts->objects,
	                                                .layout = &parts->layout,
	                                                .steps = &parts->steps};
	parts->areas = model ? model->create(&wiring, error) : NULL;
	return parts->areas != NULL;
}

static bool make_users(struct run_parts *parts, struct error *error)
{
	const struct settings *settings = parts->run->settings;
	const struct translation_ops *mode = mode_of_processes(settings, error);
	const struct paging_controls controls = paging_controls_of(settings);
	if (!mode)
		return false;
	if ((mode->linear_bits == 32) != run_is_32bit(parts))
		return error_set(error, ERROR_USAGE, "machine.paging is %s, but the machine is of %s bits; expected %s",
		                 mode->name, run_is_32bit(parts) ? "32" : "64",
		                 run_is_32bit(parts) ? "x86_32 or x86_pae" : "x86_4level or x86_5level");
	const struct user_memory_wiring wiring = {.settings = settings,
	                                          .pages = parts->pages,
	                                          .objects = parts->objects,
	                                          .areas = parts->areas,
	                                          .layout = &parts->layout,
	                                          .steps = &parts->steps,
	                                          .mapper = parts->mapper,
	                                          .mode = mode,
	                                          .controls = &controls,
	                                          .cpus = settings->machine.cpus};
	const struct user_memory_model *model = user_memory_model(settings->user_memory, error);
	parts->users = model ? model->create(&wiring, error) : NULL;
	if (parts->users)
		parts->kept = process_pages_create(settings, parts->pages, &parts->layout, &parts->steps, parts->users);
	return parts->users != NULL;
}

bool run_make_models(struct run_parts *parts, struct error *error)
{
	const struct settings *settings = parts->run->settings;
	const struct page_allocator_model *page_model = page_allocator_model(settings->page_allocator, error);
	const struct object_allocator_model *object_model = object_allocator_model(settings->allocator[0], error);
	if (!page_model || !object_model || !memory_model(settings->machine.memory_model, error))
		return false;
	if (parts->start.path && settings->kernel.percpu_alloc == PERCPU_ALLOC_PAGE)
		return error_set(
		        error, ERROR_USAGE,
		        "kernel.percpu_alloc: page, but start: %s is the state of a kernel that embedded its per-CPU data; "
		        "expected embed",
		        parts->start.path);
	/* Recorded addresses are the recorded kernel's. */
	kernel_layout_init(&parts->layout, settings, parts->start.path ? trace_info(parts->trace)->direct_map : 0);
	parts->timed = settings->timing == TIMING_CYCLES;
	if (parts->timed)
		layout_keep_names(&parts->layout); /* of the locks, which only cores take */
	steps_init(&parts->steps, parts->timed);
	if (settings->cost.code_fetch)
		parts->steps.runs = STEP_RUN;
	parts->mapper = page_mapper_kmap_create(
	        &(struct page_mapper_wiring){.settings = settings, .layout = &parts->layout, .steps = &parts->steps});
	const struct page_allocator_wiring wiring = {.settings = settings,
	                                             .layout = &parts->layout,
	                                             .steps = &parts->steps,
	                                             .mapper = parts->mapper,
	                                             .seed = settings->seed};
	parts->pages = parts->start.path ? start_state_pages(&parts->start, &wiring, error) : page_model->create(&wiring, error);
	if (!parts->pages) {
		recorded_blame_cpus(parts->trace, settings, error);
		return false;
	}
	const struct object_allocator_wiring above = {.settings = settings,
	                                              .pages = parts->pages,
	                                              .layout = &parts->layout,
	                                              .steps = &parts->steps,
	                                              .seed = settings->seed};
	parts->objects = object_model->create(&above, error);
	if (!parts->objects || (parts->start.path && !start_state_objects(&parts->start, parts->objects, &above, error)))
		return false;
	bool processes = trace_has_processes(parts->trace);
	if ((processes || trace_has_areas(parts->trace)) && !make_areas(parts, error))
		return false;
	if (processes && !make_users(parts, error))
		return false;
	if (parts->timed)
		return run_make_machine(parts, error);
	return run_make_irq_stacks(parts, error);
}

/* Where the states stand in the recording. */
static bool find_window(struct run_parts *parts, struct error *error)
{
	if (!parts->start.is_dump)
		return true;
	if (!state_moment_find(&parts->start_moment, &parts->start.dump, parts->trace, error))
		return false;
	parts->window = (struct trace_window){.start_ns = parts->start.dump.ts};
	if (!parts->start_moment.by_clock)
		parts->window =
		        (struct trace_window){.start_ns = parts->start_moment.time_ns, .start_line = parts->start_moment.line};
	if (!parts->expect.is_dump)
		return true;
	if (!state_moment_find(&parts->end_moment, &parts->expect.dump, parts->trace, error))
		return false;
	parts->window.end_ns = parts->expect.dump.ts;
	if (!parts->end_moment.by_clock)
		parts->window.end_line = parts->end_moment.line;
	return true;
}

/* Whether a setting names a CPU of the machine, or none. */
static bool is_cpu(const char *key, uint32_t cpu, uint32_t cpus, struct error *error)
{
	if (cpu == SETTING_UNSET || cpu < cpus)
		return true;
	return error_set(error, ERROR_USAGE, "%s is %" PRIu32 ", but the machine has CPUs 0 to %" PRIu32, key, cpu, cpus - 1);
}

bool run_make_replay(struct run_parts *parts, struct error *error)
{
	if (!find_window(parts, error))
		return false;
	const struct settings *settings = parts->run->settings;
	const struct kernel_settings *kernel = &settings->kernel;
	if (!is_cpu("kernel.kswapd_cpu", kernel->kswapd_cpu, settings->machine.cpus, error) ||
	    !is_cpu("kernel.kcompactd_cpu", kernel->kcompactd_cpu, settings->machine.cpus, error) ||
	    !is_cpu("kernel.khugepaged.cpu", kernel->khugepaged.cpu, settings->machine.cpus, error))
		return false;
	const struct replay_config config = {
	        .asap = settings->pace == PACE_ASAP,
	        .stop_on_error = settings->on_error == ON_ERROR_STOP,
	        .sample_every_ns = settings->sample_every_ns,
	        .dump_every_ns = parts->dump.every_ns,
	        .paranoid_every = settings->paranoid_every,
	        .frequency_mhz = settings_mhz(settings),
	        .cpus = settings->machine.cpus,
	        .daemons = {{[DAEMON_KSWAPD] = kernel->kswapd_cpu, [DAEMON_KCOMPACTD] = kernel->kcompactd_cpu}},
	        .user_memory_cpu = kernel->khugepaged.cpu,
	        .from_state = parts->start.is_dump,
	        .window = parts->window,
	        .direct_map = parts->layout.direct_map,
	        .instructions_per_access = settings->instructions_per_access,
	        .caller_code = parts->timed && settings->cost.caller_code > 0 ? CODE_CALLER : CODE_NONE,
	};
	const struct replay_parts wired = {
	        .trace = parts->trace,
	        .pages = parts->pages,
	        .objects = parts->objects,
	        .areas = parts->areas,
	        .users = parts->users,
	        .mapper = parts->mapper,
	        .accesses = parts->accesses,
	        .steps = &parts->steps,
	        .machine = parts->timed ? &parts->machine.machine : NULL,
	        .caches = parts->caches,
	        .mmu = parts->mmus.mmu,
	        .store = parts->store,
	        .run_id = parts->run->run_id,
	        .dump = run_write_dumps,
	        .dump_context = parts,
	};
	parts->replay = replay_create(&config, &wired, error);
	return parts->replay != NULL;
}
