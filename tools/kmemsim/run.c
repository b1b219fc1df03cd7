/* SPDX-License-Identifier: MIT
 *
 * run.c - makes the parts, wires them, replays, writes the results (interface: run.h).
 */
#include "tools/kmemsim/run.h"

#include "models/cache_settings.h"
#include "models/kernel_code.h"
#include "models/kernel_layout.h"
#include "models/mmu_settings.h"
#include "models/page_reclaim/process_pages.h"
#include "models/registry.h"
#include "models/start_state.h"
#include "models/virtual_allocator/kmap.h"
#include "sim/kernel_map.h"
#include "sim/level_store.h"
#include "sim/meminfo.h"
#include "sim/procfs.h"
#include "sim/replay.h"
#include "sim/replay_program.h"
#include "sim/setting.h"
#include "sim/space_peaks.h"
#include "sim/state_moment.h"
#include "tools/kmemsim/irq_stacks.h"
#include "tools/kmemsim/op_events.h"
#include "tools/kmemsim/program_run.h"
#include "tools/kmemsim/recorded.h"
#include "tools/kmemsim/timed_machine.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

_Static_assert(SETTING_UNSET == DAEMON_CPU_AUTO, "the word auto of kernel.kswapd_cpu");

/* Caches that are named in the table of a run beside a recording. */
#define UNEQUAL_CACHES_SHOWN 10

/* Everything a run is made of; each part is NULL until it is made, so that run_release() can take apart what there is. */
struct parts {
	const struct run *run;
	struct trace *trace;
	struct store *store;
	struct layout layout;
	struct steps steps;
	struct page_allocator *pages;
	struct object_allocator *objects;
	struct virtual_allocator *areas; /* NULL: the recording has none */
	struct user_memory *users;       /* NULL: the recording has no processes */
	struct access_source *accesses;  /* NULL: none of its processes is a program whose accesses are known */
	struct process_pages *kept;      /* their pages, by age */
	struct user_tables user_tables;
	struct user_tables_fault user_faults[CPUS_MAX];
	struct page_mapper *mapper;
	struct cache_hierarchy *caches; /* NULL: the memory model has none */
	struct mmus mmus;               /* likewise; cpus 0 */
	struct kernel_map kernel_map;   /* of a machine whose addresses are translated */
	bool mapped;
	struct timed_machine machine;  /* timing: cycles */
	struct kernel_code_image code; /* that its cores fetch */
	bool timed;
	struct chrome_trace *events; /* NULL: not asked for */
	struct dump_request dump;
	struct procfs_slabinfo recorded;  /* empty: the recording has no slabinfo of its end */
	struct start_state start, expect; /* path NULL: none */
	struct state_moment start_moment, end_moment;
	struct trace_window window;
	struct replay *replay;
	double replay_s;
	struct cache_view owner_view; /* of the name that was asked for last */
};

static double host_seconds(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void print_caches(const struct parts *parts, FILE *out)
{
	struct object_allocator *objects = parts->objects;
	uint32_t limit = objects->ops->cache_limit(objects), count = 0;
	struct cache_view *views = xcalloc(limit, sizeof *views);
	for (uint32_t nr = limit; nr-- > 0;) /* the kernel shows the newest first */
		count += objects->ops->cache_view(objects, (cache_id){nr}, &views[count]);
	procfs_print_slabinfo(views, count, out);
	free(views);
}

/* All lists of the allocators, so that `kmemsim diff` and the loaders can read them back. */
static void print_state(const struct parts *parts, FILE *out)
{
	const struct page_allocator_ops *pages = parts->pages->ops;
	const struct object_allocator_ops *objects = parts->objects->ops;
	const char *what = pages->print_state ? (objects->print_state ? "pmc" : "pm") : (objects->print_state ? "c" : "none");
	bool areas = parts->areas && parts->areas->ops->print_state;
	fprintf(out, "@STATE simulated what=%s%s ts=%llu\n", what, areas ? "v" : "",
	        (unsigned long long)replay_time_ns(parts->replay));
	if (pages->print_state)
		pages->print_state(parts->pages, out);
	if (objects->print_state)
		objects->print_state(parts->objects, CACHE_NONE, out);
	if (areas)
		parts->areas->ops->print_state(parts->areas, out);
	fprintf(out, "@END simulated\n");
}

static struct meminfo read_meminfo(const struct parts *parts)
{
	const struct meminfo_parts of = {.pages = parts->pages,
	                                 .objects = parts->objects,
	                                 .areas = parts->areas,
	                                 .users = parts->users,
	                                 .layout = &parts->layout};
	struct meminfo info;
	meminfo_read(&info, &of);
	meminfo_check(&info);
	return info;
}

static void print_dump(const struct parts *parts, enum dump_kind kind, FILE *out)
{
	struct page_allocator *pages = parts->pages;
	unsigned count = pages->ops->zones(pages);
	struct zone_view *zones = xcalloc(count, sizeof *zones);
	for (unsigned index = 0; index < count; index++)
		pages->ops->zone_view(pages, index, &zones[index]);
	switch (kind) {
	case DUMP_BUDDYINFO:
		procfs_print_buddyinfo(zones, count, out);
		break;
	case DUMP_PAGETYPEINFO:
		procfs_print_pagetypeinfo(zones, count, pages->ops->pageblock_order(pages), out);
		break;
	case DUMP_ZONEINFO:
		procfs_print_zoneinfo(zones, count, out);
		break;
	case DUMP_SLABINFO:
		print_caches(parts, out);
		break;
	case DUMP_UNUSABLE_INDEX:
		procfs_print_unusable_index(zones, count, out);
		break;
	case DUMP_EXTFRAG_INDEX:
		procfs_print_extfrag_index(zones, count, out);
		break;
	case DUMP_STATE:
		print_state(parts, out);
		break;
	case DUMP_VMALLOCINFO:
		if (parts->areas && parts->areas->ops->print_info)
			parts->areas->ops->print_info(parts->areas, out);
		break;
	case DUMP_MEMINFO: {
		struct meminfo info = read_meminfo(parts);
		meminfo_print(&info, out);
		break;
	}
	case DUMP_PERCPU:
		kernel_layout_print_per_cpu(parts->run->settings, out);
		break;
	case DUMP_KINDS:
		SIM_UNREACHABLE("a kind of dump");
	}
	free(zones);
}

/* One kind of the kernel's files as a string that the caller frees. */
static char *dump_text(const struct parts *parts, enum dump_kind kind, struct error *error)
{
	char *text = NULL;
	size_t length;
	FILE *out = open_memstream(&text, &length);
	if (!out) {
		error_set(error, ERROR_HOST, "the host has no memory for a dump");
		return NULL;
	}
	print_dump(parts, kind, out);
	fclose(out);
	return text;
}

static bool write_dumps(void *context, uint32_t sample, bool last, struct error *error)
{
	const struct parts *parts = context;
	/* The end is always kept in the four kinds that people compare with their own machines. */
	unsigned kept_at_end = 1u << DUMP_BUDDYINFO | 1u << DUMP_PAGETYPEINFO | 1u << DUMP_ZONEINFO | 1u << DUMP_SLABINFO;
	unsigned kinds = last ? parts->dump.kinds | kept_at_end : parts->dump.kinds;
	for (unsigned kind = 0; kind < DUMP_KINDS; kind++) {
		if (!(kinds & 1u << kind))
			continue;
		char *text = dump_text(parts, (enum dump_kind)kind, error);
		bool written = text && store_snapshot(parts->store, parts->run->run_id, dump_kind_name((enum dump_kind)kind),
		                                      sample, text, error);
		free(text);
		if (!written)
			return false;
	}
	return true;
}

static bool settings_are_32bit(const struct parts *parts)
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
static bool image_fits(const struct parts *parts, uint64_t memory_end, struct error *error)
{
	uint64_t image_end = layout_span_of(&parts->layout, REGION_TEXT)->last + 1 - parts->layout.direct_map;
	return !settings_are_32bit(parts) || memory_end >= image_end ||
	       error_set(error, ERROR_USAGE,
	                 "machine.memory: %" PRIu64 " KiB do not hold the image of a 32-bit kernel, which ends at %" PRIu64
	                 " KiB; expected as many at least with timing: cycles, or machine.paging: ideal",
	                 memory_end >> 10, image_end >> 10);
}

/*
 * The kernel's own page tables, which all cores use.
 * MODEL: memory is one range, holes under 4 GiB are mapped with it. Effect: larger pages across a hole, which nothing touches.
 */
static bool map_kernel(struct parts *parts, struct error *error)
{
	struct mmus *mmus = &parts->mmus;
	const struct ram_range ram = {0, (uint64_t)parts->pages->end_pfn << PAGE_SHIFT};
	if (!mmus->walker)
		return true;
	if (mmus->host_mode)
		return error_set(error, ERROR_USAGE, "machine.virtualized: only runs of accesses can be those of a guest");
	if ((mmus->mode->linear_bits == 32) != settings_are_32bit(parts))
		return error_set(error, ERROR_USAGE, "machine.paging is %s, but the machine is of %s bits; expected %s, or ideal",
		                 mmus->mode->name, settings_are_32bit(parts) ? "32" : "64",
		                 settings_are_32bit(parts) ? "x86_32 or x86_pae" : "x86_4level or x86_5level");
	if (!image_fits(parts, ram.end, error))
		return false;
	parts->mapped = kernel_map_init(&parts->kernel_map, mmus->mode, &mmus->controls, &mmus->memory, &parts->layout, &ram, 1);
	if (!parts->mapped)
		return error_set(error, ERROR_USAGE, "machine.paging: %s maps no kernel", mmus->mode->name);
	if (parts->areas)
		kernel_map_tell_areas(&parts->kernel_map,
		                      &(struct area_tables){.frame = frame_of_table, .context = parts->areas});
	parts->steps.maps = parts->areas || settings_are_32bit(parts); /* the slots of high memory */
	for (unsigned cpu = 0; cpu < mmus->cpus; cpu++) {
		mmus->mmu[cpu].fault = kernel_map_fault;
		mmus->mmu[cpu].context = &parts->kernel_map;
		mmu_write_cr3(&mmus->mmu[cpu], parts->kernel_map.tables.root, 0, false);
	}
	return true;
}

/* Caches and TLBs, watched for the owners of the cores' jobs. */
static bool make_levels(struct parts *parts, struct error *error)
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

/* ---- names of what ops are counted for ---- */

static const char *owner_of_cache(void *context, uint32_t owner)
{
	struct parts *parts = context;
	static const char *const none = "pages and large kmallocs";
	if (owner == REPLAY_OWNER_NONE)
		return none;
	const struct object_allocator *objects = parts->objects;
	if (owner > objects->ops->cache_limit(objects) ||
	    !objects->ops->cache_view(objects, (cache_id){owner - 1}, &parts->owner_view))
		return "caches that are gone";
	return parts->owner_view.name;
}

static const char *name_of_call_site(void *context, uint32_t call_site)
{
	const struct parts *parts = context;
	return trace_call_site(parts->trace, call_site);
}

static struct op_cost_names names_of(struct parts *parts)
{
	return (struct op_cost_names){.owner = owner_of_cache, .call_site = name_of_call_site, .context = parts};
}

/* Page tables of processes beside the kernel's own, where walks are made. */
static struct user_tables *make_user_tables(struct parts *parts)
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
static bool make_irq_stacks(struct parts *parts, struct error *error)
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
static bool make_machine(struct parts *parts, struct error *error)
{
	const struct settings *settings = parts->run->settings;
	const struct op_cost_names names = names_of(parts);
	struct timed_machine_parts machine = {.settings = settings, .layout = &parts->layout};
	if (timed_machine_has_levels(settings) && !make_levels(parts, error))
		return false;
	if (!make_irq_stacks(parts, error))
		return false;
	machine.caches = parts->caches;
	machine.mmu = parts->mmus.mmu;
	machine.users = make_user_tables(parts);
	machine.code = kernel_code_init(&parts->code, settings, &parts->layout);
	if (machine.code && settings_are_32bit(parts))
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

static bool make_areas(struct parts *parts, struct error *error)
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

static bool make_users(struct parts *parts, struct error *error)
{
	const struct settings *settings = parts->run->settings;
	const struct translation_ops *mode = mode_of_processes(settings, error);
	const struct paging_controls controls = paging_controls_of(settings);
	if (!mode)
		return false;
	if ((mode->linear_bits == 32) != settings_are_32bit(parts))
		return error_set(error, ERROR_USAGE, "machine.paging is %s, but the machine is of %s bits; expected %s",
		                 mode->name, settings_are_32bit(parts) ? "32" : "64",
		                 settings_are_32bit(parts) ? "x86_32 or x86_pae" : "x86_4level or x86_5level");
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
		parts->kept = process_pages_create(settings, parts->pages, &parts->steps, parts->users);
	return parts->users != NULL;
}

/* The accesses that the recording's process makes. */
static bool open_program(struct parts *parts, struct error *error)
{
	if (!program_is_wanted(parts->run->settings))
		return true;
	parts->accesses = program_source_open(parts->run->settings, error);
	return parts->accesses != NULL;
}

static bool make_models(struct parts *parts, struct error *error)
{
	const struct settings *settings = parts->run->settings;
	const struct page_allocator_model *page_model = page_allocator_model(settings->page_allocator, error);
	const struct object_allocator_model *object_model = object_allocator_model(settings->allocator[0], error);
	if (!page_model || !object_model || !memory_model(settings->machine.memory_model, error))
		return false;
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
		return make_machine(parts, error);
	return make_irq_stacks(parts, error);
}

/* Where the states stand in the recording. */
static bool find_window(struct parts *parts, struct error *error)
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

static bool make_replay(struct parts *parts, struct error *error)
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
	        .dump = write_dumps,
	        .dump_context = parts,
	};
	parts->replay = replay_create(&config, &wired, error);
	return parts->replay != NULL;
}

static bool write_metrics(struct parts *parts, const char *component, const struct metric *metrics, const void *counters,
                          struct error *error)
{
	for (const struct metric *metric = metrics; metric && metric->name; metric++)
		if (!store_metric(parts->store, parts->run->run_id, component, metric, metric_value(metric, counters), error))
			return false;
	return true;
}

static bool write_caches(struct parts *parts, struct error *error)
{
	struct object_allocator *objects = parts->objects;
	for (uint32_t nr = 0; nr < objects->ops->cache_limit(objects); nr++) {
		struct store_cache row = {0};
		if (!objects->ops->cache_view(objects, (cache_id){nr}, &row.view))
			continue;
		const struct replay_cache *account = replay_cache(parts->replay, (cache_id){nr});
		row.slabs_peak = account->slabs_peak;
		row.total_allocs = account->total_allocs;
		row.total_frees = account->total_frees;
		row.bytes_req = account->bytes_req;
		row.bytes_alloc = account->bytes_alloc;
		row.live_bytes_req = account->live_bytes_req;
		row.live_bytes_alloc = account->live_bytes_alloc;
		const struct cache_view *recorded = procfs_slabinfo_cache(&parts->recorded, row.view.name);
		row.recorded_slabs = recorded ? (int64_t)recorded->slabs : -1;
		if (!store_cache(parts->store, parts->run->run_id, &row, error))
			return false;
	}
	return true;
}

static struct store_space_pages space_pages(const uint64_t pages[SPACE_MEMBERS], uint64_t resident)
{
	return (struct store_space_pages){.file = pages[SPACE_FILE],
	                                  .anonymous = pages[SPACE_ANONYMOUS],
	                                  .shared = pages[SPACE_SHARED],
	                                  .swapped = pages[SPACE_SWAP],
	                                  .resident = resident};
}

/* Resident pages of processes, beside what the recording tells of them. */
static bool write_spaces(struct parts *parts, struct error *error)
{
	const struct trace_space *spaces;
	uint32_t count = trace_spaces(parts->trace, &spaces);
	for (uint32_t nr = 0; parts->users && nr < count; nr++) {
		const struct trace_space *told = &spaces[nr];
		const struct space_peak *peak = replay_space_peak(parts->replay, nr);
		const struct store_space row = {.nr = nr,
		                                .task = told->task,
		                                .mm = told->mm,
		                                .samples = told->samples,
		                                .recorded = space_pages(told->peak_pages, told->peak_resident),
		                                .replayed = space_pages(peak->pages, peak->resident)};
		if (!store_space(parts->store, parts->run->run_id, &row, error))
			return false;
	}
	return true;
}

static bool write_call_sites(struct parts *parts, struct error *error)
{
	for (uint32_t index = 0; index < trace_info(parts->trace)->call_sites; index++) {
		const struct replay_call_site *site = replay_call_site(parts->replay, index);
		if (site->hit == 0)
			continue;
		const struct store_call_site row = {
		        .call_site = trace_call_site(parts->trace, index),
		        .hit = site->hit,
		        .ping_pong = site->ping_pong,
		        .bytes_req = site->bytes_req,
		        .bytes_alloc = site->bytes_alloc,
		        .live_objects = site->live_objects,
		        .live_bytes_req = site->live_bytes_req,
		        .live_bytes_alloc = site->live_bytes_alloc,
		};
		if (!store_call_site(parts->store, parts->run->run_id, &row, error))
			return false;
	}
	return true;
}

/* The name of a number of struct machine: caller. */
static const char *name_of_caller(void *context, uint32_t caller)
{
	const struct parts *parts = context;
	uint32_t sites = trace_info(parts->trace)->call_sites;
	if (caller == 0)
		return "pages and daemons";
	if (caller == WATCH_OWNERS_MAX - 1 && sites > caller)
		return "further call sites";
	return caller <= sites ? trace_call_site(parts->trace, caller - 1) : NULL;
}

/* Counters of all cores' MMUs and walkers, added up. */
static bool write_mmus(struct parts *parts, struct error *error)
{
	struct mmu_counters mmu = {0};
	struct walker_counters walker = {0};
	for (unsigned cpu = 0; cpu < parts->mmus.cpus; cpu++) {
		metrics_add(mmu_metrics, &mmu, &parts->mmus.mmu[cpu].counters);
		if (parts->mmus.walker)
			metrics_add(walker_metrics, &walker, &parts->mmus.walker[cpu].counters);
	}
	return write_metrics(parts, "mmu", mmu_metrics, &mmu, error) &&
	       (!parts->mmus.walker || write_metrics(parts, "walker", walker_metrics, &walker, error));
}

static bool write_levels(struct parts *parts, struct error *error)
{
	const bool by_caller = parts->run->settings->watch_owner == WATCH_OWNER_CALL_SITE;
	const struct level_names names = {
	        .by = by_caller ? "call site" : "owner", .owner = by_caller ? name_of_caller : owner_of_cache, .context = parts};
	struct store *store = parts->store;
	int64_t run_id = parts->run->run_id;
	uint32_t position = 0;
	return !parts->caches || (level_store_tlbs(store, run_id, parts->mmus.mmu, parts->mmus.cpus, &names, &position, error) &&
	                          level_store_caches(store, run_id, parts->caches, &names, &position, error) &&
	                          level_store_walks(store, run_id, parts->caches, error) && write_mmus(parts, error));
}

/* The kernel's page tables hold what areas map, once every core has come to all its steps. */
static bool write_map(struct parts *parts, bool is_whole, struct error *error)
{
	const struct kernel_map *map = &parts->kernel_map;
	const struct kernel_map_counters *counters = &map->counters;
	if (!parts->mapped)
		return true;
	kernel_map_check(map);
	if (is_whole && parts->areas)
		SIM_ASSERT(kernel_map_area_pages(map) == parts->areas->ops->pages_mapped(parts->areas));
	if (counters->wrong_touches)
		fprintf(stderr, "# %" PRIu64 " accesses were to addresses that nothing maps, the first to 0x%" PRIx64 "\n",
		        counters->wrong_touches, map->first_wrong);
	return write_metrics(parts, "kernel_map", kernel_map_metrics, counters, error);
}

static bool write_machine(struct parts *parts, bool is_whole, struct error *error)
{
	const struct op_cost_names names = names_of(parts);
	return write_map(parts, is_whole, error) &&
	       timed_machine_store(&parts->machine, parts->store, parts->run->run_id, &parts->layout, &names, error) &&
	       write_levels(parts, error);
}

static bool write_results(struct parts *parts, bool is_whole, struct error *error)
{
	struct page_allocator *pages = parts->pages;
	struct object_allocator *objects = parts->objects;
	const struct follow_pages_counters *followed = replay_follow_pages(parts->replay);
	const struct program_counters *program = replay_program_counters(parts->replay);
	const struct meminfo info = read_meminfo(parts);
	return write_metrics(parts, "replay", replay_metrics, replay_counters(parts->replay), error) &&
	       (!program || write_metrics(parts, "program", program_metrics, program, error)) &&
	       (!followed || write_metrics(parts, "follow_pages", follow_pages_metrics, followed, error)) &&
	       write_metrics(parts, "page_allocator", pages->ops->metrics, pages->ops->counters(pages), error) &&
	       write_metrics(parts, "object_allocator", objects->ops->metrics, objects->ops->counters(objects), error) &&
	       write_metrics(parts, "meminfo", meminfo_metrics, &info, error) &&
	       write_metrics(parts, "page_mapper", parts->mapper->ops->metrics, parts->mapper->ops->counters(parts->mapper),
	                     error) &&
	       (!parts->areas || write_metrics(parts, "virtual_allocator", parts->areas->ops->metrics,
	                                       parts->areas->ops->counters(parts->areas), error)) &&
	       (!parts->users || write_metrics(parts, "user_memory", parts->users->ops->metrics,
	                                       parts->users->ops->counters(parts->users), error)) &&
	       (!parts->kept || write_metrics(parts, "page_lru", lru_metrics, process_pages_counters(parts->kept), error)) &&
	       write_caches(parts, error) && write_call_sites(parts, error) && write_spaces(parts, error) &&
	       (!parts->timed || write_machine(parts, is_whole, error));
}

static bool read_states(struct parts *parts, struct error *error)
{
	const struct settings *settings = parts->run->settings;
	return (!is_named(settings->start) || start_state_read(&parts->start, settings->start, error)) &&
	       (!is_named(settings->expect) || start_state_read(&parts->expect, settings->expect, error));
}

static void print_share(FILE *out, const char *what, uint64_t compared, uint64_t equal)
{
	fprintf(out, "%-34s %10" PRIu64 " %10" PRIu64 " %8.3f %%\n", what, compared, equal,
	        compared ? 100.0 * (double)equal / (double)compared : 100.0);
}

static void print_moment(FILE *out, const char *which, const struct state_moment *moment)
{
	if (!moment->by_clock)
		fprintf(out,
		        "the %s state fits line %" PRIu64 " of the recording: %" PRIu64
		        " fewer frames contradict it than at its clock\n",
		        which, moment->line, moment->fewer);
}

/* What was made up for, so that one difference does not bring about the next; rows of 0 are left out. */
static void print_causes(FILE *out, const struct replay_counters *counters, const struct follow_pages_counters *pages)
{
	const struct {
		const char *what;
		uint64_t count;
	} rows[] = {
	        {"objects: freed without an event", counters->address_unseen_free},
	        {"objects: behind others", counters->address_unseen_alloc},
	        {"objects: freed later than asked for, by RCU", counters->frees_put_off},
	        {"objects: on a page put right", counters->address_page},
	        {"objects: out of reach", counters->address_lost},
	        {"objects: allocated without an event", counters->unseen_allocs_made},
	        {"  of them out of reach", counters->unseen_allocs_missed},
	        {"pages: behind bulk allocations", pages ? pages->allocs_bulk : 0},
	        {"pages: reordered by interrupts", pages ? pages->allocs_exchanged : 0},
	        {"pages: free elsewhere", pages ? pages->allocs_claimed : 0},
	        {"pages: out of reach", pages ? pages->allocs_lost : 0},
	        {"pages: taken by bulk allocations", pages ? pages->bulk_frames : 0},
	        {"pages: allocated past locked lists", pages ? pages->locked_allocs : 0},
	        {"pages: freed past locked lists", pages ? pages->locked_frees : 0},
	        {"pages: freed, not in use", pages ? pages->frees_claimed + pages->frees_lost : 0},
	        {"slabs: dropped with their pages", pages ? pages->slabs_evicted : 0},
	        {"slabs: needed too early", pages ? pages->slabs_refused : 0},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		if (rows[i].count)
			fprintf(out, "  %-42s %" PRIu64 "\n", rows[i].what, rows[i].count);
}

struct unequal {
	const char *name;
	uint64_t compared, count;
};

static int most_unequal_first(const void *a, const void *b)
{
	const struct unequal *x = a, *y = b;
	if (x->count != y->count)
		return x->count < y->count ? 1 : -1;
	return strcmp(x->name, y->name);
}

/* Which caches the objects are of that were not where the recording has them. */
static void print_unequal_caches(const struct parts *parts, FILE *out)
{
	const struct object_allocator *objects = parts->objects;
	uint32_t limit = objects->ops->cache_limit(objects), found = 0;
	struct unequal *rows = xcalloc((size_t)limit + 1, sizeof *rows);
	struct cache_view view;
	for (uint32_t nr = 0; nr < limit; nr++) {
		const struct replay_cache *cache = replay_cache(parts->replay, (cache_id){nr});
		if (cache->address_compared > cache->address_equal && objects->ops->cache_view(objects, (cache_id){nr}, &view))
			rows[found++] = (struct unequal){view.name, cache->address_compared,
			                                 cache->address_compared - cache->address_equal};
	}
	qsort(rows, found, sizeof *rows, most_unequal_first);
	for (uint32_t i = 0; i < found && i < UNEQUAL_CACHES_SHOWN; i++)
		fprintf(out, "  not equal, cache %-24s %" PRIu64 " of %" PRIu64 "\n", rows[i].name, rows[i].count,
		        rows[i].compared);
	free(rows);
}

/* The end of the run beside the state that was expected, and the recorded addresses beside the model's. */
static void print_expectation(const struct parts *parts, FILE *out)
{
	const struct replay_counters *counters = replay_counters(parts->replay);
	struct state_tally tally = {0};
	char *differences = NULL;
	size_t length;
	FILE *lines = open_memstream(&differences, &length);
	SIM_ASSERT(lines);
	if (parts->expect.path)
		start_state_compare(&parts->expect, parts->pages, parts->objects, &tally, lines);
	fclose(lines);
	if (parts->start.is_dump)
		print_moment(out, "start", &parts->start_moment);
	if (parts->start.is_dump && parts->expect.is_dump)
		print_moment(out, "end", &parts->end_moment);
	fprintf(out, "%-34s %10s %10s %10s\n", "against the recording", "compared", "equal", "share");
	if (parts->start.is_dump) {
		print_share(out, "objects at the recorded address", counters->address_compared, counters->address_equal);
		print_share(out, "page blocks at the recorded frame", counters->page_address_compared,
		            counters->page_address_equal);
		print_causes(out, counters, replay_follow_pages(parts->replay));
		print_unequal_caches(parts, out);
	}
	if (parts->expect.path) {
		if (tally.lists)
			print_share(out, "page lists and numbers at the end", tally.lists, tally.lists_equal);
		print_share(out, "free blocks per zone and order", tally.blocks, tally.blocks_equal);
		print_share(out, "  within 1 %", tally.blocks, tally.blocks_near);
		print_share(out, "slabs per cache", tally.caches, tally.caches_equal);
		print_share(out, "  within 1 %", tally.caches, tally.caches_near);
		print_share(out, "active objects per cache", tally.objects, tally.objects_equal);
		print_share(out, "  within 1 %", tally.objects, tally.objects_near);
	}
	if (tally.first[0])
		fprintf(out, "first list that differs: %s\n", tally.first);
	fputs(differences, out);
	free(differences);
}

/* Tells and stores how the end compares. */
static bool write_expectation(struct parts *parts, struct error *error)
{
	if (!parts->start.is_dump && !parts->expect.path)
		return true;
	char *text = NULL;
	size_t length;
	FILE *out = open_memstream(&text, &length);
	SIM_ASSERT(out);
	print_expectation(parts, out);
	fclose(out);
	bool written =
	        store_snapshot(parts->store, parts->run->run_id, "expectation", replay_samples(parts->replay) - 1, text, error);
	fprintf(stderr, "# %s\n%s\n", parts->run->settings->allocator[0], text);
	free(text);
	return written;
}

static bool end_row(struct parts *parts, const char *status, const struct error *why, double started, struct error *error)
{
	struct store_end end = {
	        .status = status,
	        .message = why->kind == ERROR_NONE ? NULL : why->text,
	        .wall_s = host_seconds() - started + parts->run->import_s,
	        .replay_wall_s = parts->replay_s,
	};
	if (parts->replay) {
		end.ops = replay_counters(parts->replay)->ops;
		end.peak_pages = replay_counters(parts->replay)->peak_slab_pages;
		end.simulated_ns = replay_time_ns(parts->replay) - trace_info(parts->trace)->first_ns;
	}
	if (parts->timed && parts->replay)
		end.cycles = parts->machine.machine.queue.now;
	if (store_run_end(parts->store, parts->run->run_id, &end, error))
		return true;
	/* Numbers that no column holds, as of times in a damaged .kmt, must not leave the run without its end. */
	struct error ignored = {0};
	const struct store_end bare = {.status = "failed", .message = error->text};
	store_run_end(parts->store, parts->run->run_id, &bare, &ignored);
	return false;
}

static void release(struct parts *parts)
{
	replay_destroy(parts->replay);
	timed_machine_release(&parts->machine);
	cache_hierarchy_destroy(parts->caches);
	if (parts->mapped)
		kernel_map_release(&parts->kernel_map);
	if (parts->mmus.cpus)
		mmus_release(&parts->mmus);
	user_memory_destroy(parts->users);
	process_pages_destroy(parts->kept);
	access_source_close(parts->accesses);
	virtual_allocator_destroy(parts->areas);
	page_mapper_destroy(parts->mapper);
	object_allocator_destroy(parts->objects);
	page_allocator_destroy(parts->pages);
	steps_release(&parts->steps);
	layout_release(&parts->layout);
	procfs_slabinfo_release(&parts->recorded);
	if (parts->start.path)
		start_state_release(&parts->start);
	if (parts->expect.path)
		start_state_release(&parts->expect);
	trace_close(parts->trace);
}

/* Replays and writes what came out, also of a replay that ended early. */
static bool replay_all(struct parts *parts, bool *interrupted, struct error *error)
{
	double started = host_seconds();
	enum replay_status status = replay_run(parts->replay, parts->run->progress, parts->run->interrupt, error);
	parts->replay_s = host_seconds() - started;
	*interrupted = status == REPLAY_INTERRUPTED;
	struct error at_results = {0};
	if (!write_results(parts, status == REPLAY_COMPLETE, &at_results) || !write_expectation(parts, &at_results))
		return error_set(error, at_results.kind, "%s", at_results.text);
	return status != REPLAY_FAILED;
}

bool run_one(const struct run *run, bool *interrupted, struct error *error)
{
	struct parts parts = {.run = run};
	double started = host_seconds();
	*interrupted = false;
	parts.store = store_open(run->db_path, error);
	if (!parts.store)
		return false;
	parts.trace = trace_open(run->trace_path, error);
	bool done = parts.trace && dump_request_parse(&parts.dump, run->settings->dump, "dump", error) &&
	            recorded_slabs_read(parts.trace, &parts.recorded, error) && read_states(&parts, error) &&
	            open_program(&parts, error) && make_models(&parts, error) && make_replay(&parts, error) &&
	            replay_all(&parts, interrupted, error);
	struct error at_events = {0};
	if (!op_events_close(parts.events, run->settings, &at_events) && done)
		done = error_set(error, at_events.kind, "%s", at_events.text);
	const char *status = !done ? "failed" : *interrupted ? "interrupted" : "complete";
	struct error at_end = {0};
	if (!end_row(&parts, status, error, started, &at_end))
		done = error_set(error, at_end.kind, "%s", at_end.text);
	release(&parts);
	if (!store_close(parts.store, &at_end) && done)
		done = error_set(error, at_end.kind, "%s", at_end.text);
	return done;
}
