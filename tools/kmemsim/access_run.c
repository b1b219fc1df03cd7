/* SPDX-License-Identifier: MIT
 *
 * access_run.c - accesses through the machine, samples and results into the database (interface: access_run.h).
 */
#include "tools/kmemsim/access_run.h"

#include "models/access_workload.h"
#include "models/cache_settings.h"
#include "models/kernel_layout.h"
#include "models/mmu_settings.h"
#include "models/registry.h"
#include "models/settings_doc.h"
#include "models/start_state.h"
#include "sim/access_cores.h"
#include "sim/kernel_map.h"
#include "sim/level_store.h"
#include "sim/path.h"
#include "sim/port/access_source.h"
#include "tools/kmemsim/command.h"
#include "tools/kmemsim/flush_every.h"
#include "tools/kmemsim/interrupt.h"
#include "tools/kmemsim/op_events.h"
#include "tools/kmemsim/program_run.h"
#include "tools/kmemsim/progress.h"
#include "tools/kmemsim/simulate.h"
#include "tools/kmemsim/timed_machine.h"

#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Everything a run is made of; each part is NULL (mmus: no cpus) until it is made. */
struct parts {
	const struct settings *settings;
	struct access_source *source;
	struct layout layout;
	struct steps steps; /* of making areas; else never recorded */
	struct page_allocator *pages;
	struct virtual_allocator *areas; /* NULL: the accesses want none */
	struct mmus mmus;
	struct address_space space;
	struct kernel_map kernel_map;
	bool has_space;  /* addresses are translated */
	bool has_kernel; /* by the kernel's map, not by an address space of a program's own */
	struct cache_hierarchy *caches;
	struct flush_every flush;
	bool timed;
	struct timed_machine machine; /* these two: timing: cycles */
	struct access_cores cores;
	struct store *store;
	int64_t run_id;
	uint64_t accesses, next_sample;
	uint32_t samples;
	double started_s;
	const volatile sig_atomic_t *interrupt;
	bool interrupted;
};

static double host_seconds(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* What a recording would have told of its machine; a start state does, where there is one. */
static bool complete_settings(struct settings *settings, struct start_state *start, struct error *error)
{
	if (op_events_wanted(settings))
		return error_set(error, ERROR_USAGE, "events.file: '%.200s': only runs of recordings have ops to tell of",
		                 settings->events_file);
	if (is_named(settings->start)) {
		if (!start_state_read(start, settings->start, error))
			return false;
		start_state_complete(start, settings);
	}
	if (settings->machine.cpus == 0)
		settings->machine.cpus = 1;
	if (settings->machine.memory_bytes == 0)
		settings->machine.memory_bytes = program_memory_bytes(settings);
	return true;
}

static bool begin_row(struct parts *parts, struct error *error)
{
	const struct settings *settings = parts->settings;
	char *scenario = NULL;
	size_t length;
	FILE *out = open_memstream(&scenario, &length);
	SIM_ASSERT(out);
	settings_print_yaml(settings, out);
	fclose(out);
	bool from_file = is_named(settings->accesses);
	const struct store_run row = {
	        .label = settings->label ? settings->label : settings->machine.name,
	        .allocator = settings->label ? settings->label : settings->machine.name,
	        .timing = settings->timing == TIMING_CYCLES ? "cycles" : "none",
	        .seed = settings->seed,
	        .scenario = scenario,
	        .trace = from_file ? path_name(settings->accesses) : settings->access_workload,
	        .version = KMEMSIM_VERSION,
	        .compiler = __VERSION__,
	        .machine = settings->machine.name,
	        .cpus = settings->machine.cpus,
	        .memory_bytes = settings->machine.memory_bytes,
	        .frequency_hz = settings->machine.frequency_hz,
	};
	bool begun = store_run_begin(parts->store, &row, &parts->run_id, error);
	free(scenario);
	return begun;
}

static bool take_sample(struct parts *parts, struct error *error)
{
	const struct level_moment moment = {.sample = parts->samples++, .position = parts->accesses};
	return level_store_caches_sample(parts->store, parts->run_id, &moment, parts->caches, error) &&
	       level_store_tlbs_sample(parts->store, parts->run_id, &moment, parts->mmus.mmu, parts->mmus.cpus, error);
}

/* Accesses of one core, in order: through its MMU, then the caches, which get what is not translated as it came. */
static void run_core(struct parts *parts, const struct access *accesses, size_t count)
{
	struct access out[ACCESS_BATCH];
	unsigned cpu = accesses[0].cpu % parts->mmus.cpus;
	parts->space.cpu = cpu;
	size_t done = 0, made;
	if (!parts->has_space) {
		while (done < count)
			done += mmu_run(&parts->mmus.mmu[cpu], accesses + done, count - done, NULL, 0, &made);
		cache_hierarchy_run(parts->caches, accesses, count);
		return;
	}
	while (done < count) {
		done += mmu_run(&parts->mmus.mmu[cpu], accesses + done, count - done, out, ACCESS_BATCH, &made);
		cache_hierarchy_run(parts->caches, out, made);
	}
}

static void run_accesses(void *context, const struct access *accesses, size_t count)
{
	struct parts *parts = context;
	if (parts->timed) {
		access_cores_run(&parts->cores, accesses, count);
		return;
	}
	for (size_t first = 0, end; first < count; first = end) {
		end = first + 1;
		while (end < count && accesses[end].cpu % parts->mmus.cpus == accesses[first].cpu % parts->mmus.cpus)
			end++;
		run_core(parts, accesses + first, end - first);
	}
}

/* Flushes are of no time. MODEL: what cores were given before one comes to its end first, so they wait for each other there. */
static void flush_caches(struct parts *parts, bool invalidate)
{
	if (parts->timed)
		access_cores_finish(&parts->cores);
	cache_hierarchy_flush(parts->caches, invalidate);
	if (parts->timed)
		memory_caches_changed(parts->machine.memory);
}

static void empty_caches(void *context)
{
	flush_caches(context, true);
}

/* Runs a batch, cut where samples are due. */
static bool run_batch(struct parts *parts, const struct access *batch, size_t count, struct error *error)
{
	uint64_t every = parts->settings->sample_accesses;
	while (count > 0) {
		size_t now = count;
		if (every && parts->next_sample - parts->accesses < now)
			now = (size_t)(parts->next_sample - parts->accesses);
		flush_every_run(&parts->flush, batch, now);
		parts->accesses += now;
		batch += now;
		count -= now;
		if (every && parts->accesses == parts->next_sample) {
			parts->next_sample += every;
			if (!take_sample(parts, error))
				return false;
		}
	}
	return true;
}

static bool run_source(struct parts *parts, struct error *error)
{
	struct access batch[ACCESS_BATCH];
	struct progress_bar bar;
	progress_bar_start(&bar, "running");
	size_t count;
	bool sound = true;
	while (!*parts->interrupt && (sound = access_source_read(parts->source, batch, ACCESS_BATCH, &count, error)) &&
	       count > 0 && (sound = run_batch(parts, batch, count, error)))
		progress_bar_tell(&bar, parts->source->bytes_done, parts->source->bytes_total);
	if (parts->timed)
		access_cores_finish(&parts->cores);
	progress_bar_end(&bar);
	parts->interrupted = *parts->interrupt;
	return sound;
}

static bool write_metrics(struct parts *parts, const char *component, const struct metric *metrics, const void *counters,
                          struct error *error)
{
	for (const struct metric *metric = metrics; metric->name; metric++)
		if (!store_metric(parts->store, parts->run_id, component, metric, metric_value(metric, counters), error))
			return false;
	return true;
}

static bool write_map(struct parts *parts, struct error *error)
{
	const struct kernel_map *map = &parts->kernel_map;
	kernel_map_check(map);
	if (map->counters.wrong_touches)
		fprintf(stderr, "# %" PRIu64 " accesses were to addresses that nothing maps, the first to 0x%" PRIx64 "\n",
		        map->counters.wrong_touches, map->first_wrong);
	return write_metrics(parts, "kernel_map", kernel_map_metrics, &map->counters, error);
}

/* Counters of all cores' MMUs and walkers, added up; of the address space, and of the allocator that gave its frames. */
static bool write_counters(struct parts *parts, struct error *error)
{
	struct mmu_counters mmu = {0};
	struct walker_counters walker = {0};
	for (unsigned cpu = 0; cpu < parts->mmus.cpus; cpu++) {
		metrics_add(mmu_metrics, &mmu, &parts->mmus.mmu[cpu].counters);
		if (parts->has_space)
			metrics_add(walker_metrics, &walker, &parts->mmus.walker[cpu].counters);
	}
	if (!write_metrics(parts, "mmu", mmu_metrics, &mmu, error))
		return false;
	if (!parts->has_space)
		return true;
	if (walker.not_canonical)
		fprintf(stderr, "# %" PRIu64 " accesses were to addresses that %s does not have\n", walker.not_canonical,
		        parts->mmus.mode->name);
	const struct page_allocator_ops *pages = parts->pages->ops;
	const struct virtual_allocator *areas = parts->areas;
	return (!parts->has_kernel || write_map(parts, error)) &&
	       (!areas || write_metrics(parts, "virtual_allocator", areas->ops->metrics, areas->ops->counters(areas), error)) &&
	       write_metrics(parts, "walker", walker_metrics, &walker, error) &&
	       (parts->has_kernel ||
	        write_metrics(parts, "address_space", address_space_metrics, &parts->space.counters, error)) &&
	       write_metrics(parts, "page_allocator", pages->metrics, pages->counters(parts->pages), error);
}

static const char *no_name(void *context, uint32_t number)
{
	(void)context;
	(void)number;
	return "";
}

/* Where the cycles went, on all cores and in memory. */
static bool write_cycles(struct parts *parts, struct error *error)
{
	const struct op_cost_names names = {.owner = no_name, .call_site = no_name};
	if (!parts->timed)
		return true;
	timed_machine_check(&parts->machine);
	return timed_machine_store(&parts->machine, parts->store, parts->run_id, &parts->layout, &names, error);
}

/* What was measured up to here, also of a run that ended early. */
static bool write_results(struct parts *parts, struct error *error)
{
	const struct level_names names = {0};
	uint32_t position = 0;
	cache_hierarchy_check(parts->caches);
	mmus_check(&parts->mmus);
	if (parts->has_space && !parts->has_kernel)
		address_space_check(&parts->space);
	return take_sample(parts, error) &&
	       level_store_tlbs(parts->store, parts->run_id, parts->mmus.mmu, parts->mmus.cpus, &names, &position, error) &&
	       level_store_caches(parts->store, parts->run_id, parts->caches, &names, &position, error) &&
	       level_store_walks(parts->store, parts->run_id, parts->caches, error) && write_counters(parts, error) &&
	       write_cycles(parts, error);
}

static bool end_row(struct parts *parts, bool done, const struct error *why, struct error *error)
{
	const struct store_end end = {
	        .status = !done                ? "failed"
	                  : parts->interrupted ? "interrupted"
	                                       : "complete",
	        .message = done ? NULL : why->text,
	        .wall_s = host_seconds() - parts->started_s,
	        .replay_wall_s = host_seconds() - parts->started_s,
	        .ops = parts->accesses,
	        .cycles = parts->timed ? access_cores_now(&parts->cores) : 0,
	};
	return store_run_end(parts->store, parts->run_id, &end, error);
}

static bool print_levels(struct parts *parts, enum table_format format, struct error *error)
{
	return query_table_print(
	        parts->store,
	        "SELECT level, accesses, misses, round(100.0 * miss_ratio, 3) AS miss_percent, evictions, write_backs,"
	        " round(thrash_index, 4) AS thrash_index, ping_pong_blocks FROM v_level WHERE run_id = ?1"
	        " ORDER BY position",
	        &parts->run_id, 1, format, stdout, error);
}

/* The page allocator that frames come from: as the machine boots, or from the start state. */
static bool make_pages(struct parts *parts, const struct start_state *start, struct error *error)
{
	const struct settings *settings = parts->settings;
	const struct page_allocator_model *model = page_allocator_model(settings->page_allocator, error);
	if (!model)
		return false;
	kernel_layout_init(&parts->layout, settings, 0);
	if (!is_named(settings->accesses))
		access_workload_set_layout(parts->source, &parts->layout);
	if (parts->source->has_locks) {
		layout_keep_names(&parts->layout);
		access_workload_name_lines(parts->source, &parts->layout);
	}
	steps_init(&parts->steps, false);
	const struct page_allocator_wiring wiring = {
	        .settings = settings, .layout = &parts->layout, .steps = &parts->steps, .seed = settings->seed};
	parts->pages = start->path ? start_state_pages(start, &wiring, error) : model->create(&wiring, error);
	return parts->pages != NULL;
}

/* The page tables behind all MMUs: those of the kernel, or of a program. */
static bool make_tables(struct parts *parts, struct error *error)
{
	struct mmus *mmus = &parts->mmus;
	const struct ram_range ram = {0, (uint64_t)parts->pages->end_pfn << PAGE_SHIFT};
	parts->has_kernel = parts->settings->address_space == PAGES_OF_KERNEL;
	if (parts->has_kernel && (mmus->host_mode || mmus->mode->linear_bits == 32)) {
		parts->has_kernel = false;
		return error_set(
		        error, ERROR_USAGE,
		        "address_space: kernel needs machine.paging x86_4level or x86_5level, and no machine.virtualized");
	}
	if (parts->has_kernel)
		parts->has_space =
		        kernel_map_init(&parts->kernel_map, mmus->mode, &mmus->controls, &mmus->memory, &parts->layout, &ram, 1);
	else
		parts->has_space = address_space_init(&parts->space, mmus->mode, &mmus->controls, &mmus->memory, parts->pages,
		                                      parts->settings->address_space, mmus_host_address(mmus), error);
	parts->has_kernel &= parts->has_space;
	if (parts->has_kernel && parts->layout.per_cpu_groups)
		kernel_map_entry_areas(&parts->kernel_map, parts->settings->machine.cpus, false);
	return parts->has_space;
}

static uint64_t frame_of_table(const void *context, uint64_t linear, unsigned shift)
{
	const struct virtual_allocator *areas = context;
	pfn frame = areas->ops->table_frame ? areas->ops->table_frame(areas, linear, shift) : PFN_NONE;
	return frame.nr == UINT32_MAX ? FRAME_NONE : (uint64_t)frame.nr << PAGE_SHIFT;
}

/* The areas that the accesses lie in, mapped before the first of them. */
static bool make_areas(struct parts *parts, struct error *error)
{
	const struct settings *settings = parts->settings;
	struct virtual_request request;
	if (!parts->has_kernel || is_named(settings->accesses) || !access_workload_area(parts->source, 0, &request))
		return true;
	const struct virtual_allocator_model *model = virtual_allocator_model(settings->virtual_allocator, error);
	const struct virtual_allocator_wiring wiring = {
	        .settings = settings, .pages = parts->pages, .layout = &parts->layout, .steps = &parts->steps};
	parts->areas = model ? model->create(&wiring, error) : NULL;
	if (!parts->areas)
		return false;
	kernel_map_tell_areas(&parts->kernel_map, &(struct area_tables){.frame = frame_of_table, .context = parts->areas});
	parts->steps.recording = parts->steps.maps = true;
	for (unsigned number = 0; access_workload_area(parts->source, number, &request); number++) {
		struct virtual_area area = virtual_get(parts->areas, &request, 0);
		kernel_map_remap_all(&parts->kernel_map, &parts->steps);
		steps_clear(&parts->steps);
		if (area.result != VIRTUAL_ALLOC_OK)
			return error_set(error, ERROR_USAGE, "access_workload: the kernel has no %s for an area of %llu bytes",
			                 area.result == VIRTUAL_ALLOC_NO_SPACE ? "addresses" : "memory",
			                 (unsigned long long)request.size);
		access_workload_place(parts->source, number, area.at.addr);
	}
	parts->steps.recording = parts->steps.maps = false;
	SIM_ASSERT(kernel_map_area_pages(&parts->kernel_map) == parts->areas->ops->pages_mapped(parts->areas));
	return true;
}

/* MMUs, and the address space behind them where addresses are translated. */
static bool make_space(struct parts *parts, struct error *error)
{
	struct mmus *mmus = &parts->mmus;
	if (!mmus_create(mmus, parts->settings, parts->settings->machine.cpus, error))
		return false;
	if (mmus->walker && !make_tables(parts, error))
		return false;
	for (unsigned cpu = 0; cpu < mmus->cpus; cpu++) {
		struct mmu *mmu = &mmus->mmu[cpu];
		mmu->layout = &parts->layout;
		if (parts->settings->watch_levels)
			mmu_watch(mmu, NULL);
		if (!parts->has_space)
			continue;
		mmu->fault = parts->has_kernel ? kernel_map_fault : address_space_fault;
		mmu->context = parts->has_kernel ? (void *)&parts->kernel_map : &parts->space;
		mmu_write_cr3(mmu, parts->has_kernel ? parts->kernel_map.tables.root : parts->space.tables.root, 0, false);
	}
	return true;
}

/* Cores and a clock, where cycles are asked for. */
static bool make_machine(struct parts *parts, struct error *error)
{
	const struct settings *settings = parts->settings;
	const struct timed_machine_parts machine = {
	        .settings = settings, .caches = parts->caches, .mmu = parts->mmus.mmu, .layout = &parts->layout};
	if (settings->timing != TIMING_CYCLES)
		return true;
	if (!timed_machine_create(&parts->machine, &machine, error))
		return false;
	access_cores_init(&parts->cores, &parts->machine.machine, settings->instructions_per_access, &parts->space.cpu);
	parts->timed = true;
	return true;
}

/* The trace of accesses, or made-up ones. */
static struct access_source *open_source(const struct settings *settings, struct error *error)
{
	struct access_source *source = program_source_open(settings, error);
	if (!source || !source->has_locks || (settings->timing == TIMING_CYCLES && !settings->machine.cache_flush_every))
		return source;
	if (settings->timing != TIMING_CYCLES)
		error_set(error, ERROR_USAGE, "access_workload: '%s' takes locks, which needs timing: cycles",
		          settings->access_workload);
	else
		error_set(error, ERROR_USAGE,
		          "machine.cache_flush_every: access_workload '%s' takes locks, which cores would wait for at a flush; "
		          "expected "
		          "never",
		          settings->access_workload);
	access_source_close(source);
	return NULL;
}

static bool make_parts(struct parts *parts, const struct start_state *start, const char *db_path, struct error *error)
{
	parts->source = open_source(parts->settings, error);
	if (!parts->source || !make_pages(parts, start, error) || !make_space(parts, error) || !make_areas(parts, error))
		return false;
	parts->caches = caches_of_settings(parts->settings, parts->settings->watch_levels, NULL, error);
	parts->flush = (struct flush_every){.every = parts->settings->machine.cache_flush_every,
	                                    .modify = parts->settings->machine.cache_modify,
	                                    .run = run_accesses,
	                                    .flush = empty_caches,
	                                    .context = parts};
	if (parts->caches && make_machine(parts, error))
		parts->store = store_open(db_path, error);
	parts->next_sample = parts->settings->sample_accesses;
	return parts->store && begin_row(parts, error);
}

static void release(struct parts *parts)
{
	access_source_close(parts->source);
	if (parts->timed)
		access_cores_release(&parts->cores);
	timed_machine_release(&parts->machine);
	cache_hierarchy_destroy(parts->caches);
	if (parts->has_kernel)
		kernel_map_release(&parts->kernel_map);
	else if (parts->has_space)
		address_space_release(&parts->space);
	if (parts->mmus.cpus)
		mmus_release(&parts->mmus);
	virtual_allocator_destroy(parts->areas);
	page_allocator_destroy(parts->pages);
	steps_release(&parts->steps);
	layout_release(&parts->layout);
}

static bool run_all(struct parts *parts, enum table_format format, struct error *error)
{
	bool done = run_source(parts, error);
	enum cache_flush flush = parts->settings->machine.cache_flush;
	if (done && !parts->interrupted && flush != CACHE_FLUSH_NONE)
		flush_caches(parts, flush == CACHE_FLUSH_INVALIDATE);
	struct error at_results = {0};
	if (!write_results(parts, &at_results) && done)
		done = error_set(error, at_results.kind, "%s", at_results.text);
	struct error at_end = {0};
	if (!end_row(parts, done, error, &at_end) && done)
		done = error_set(error, at_end.kind, "%s", at_end.text);
	return done && print_levels(parts, format, error);
}

int access_simulate(const struct access_simulation *simulation)
{
	struct error error = {0};
	struct start_state start = {0};
	signal(SIGXFSZ, SIG_IGN); /* a file too large is an error of write(), which is told */
	struct parts parts = {.settings = simulation->settings, .started_s = host_seconds(), .interrupt = catch_interrupts()};
	const char *db_path = simulation->db_path ? simulation->db_path : DEFAULT_DATABASE;
	bool done = complete_settings(simulation->settings, &start, &error) && make_parts(&parts, &start, db_path, &error) &&
	            run_all(&parts, simulation->format, &error);
	struct error at_close = {0};
	if (parts.store && !store_close(parts.store, &at_close) && done)
		done = error_set(&error, at_close.kind, "%s", at_close.text);
	release(&parts);
	if (start.path)
		start_state_release(&start);
	if (!done)
		return command_failed(&error);
	return parts.interrupted ? EXIT_INTERRUPTED : EXIT_SUCCESS;
}
