/* SPDX-License-Identifier: MIT
 *
 * replay.c - one op after the other (interface, picture and laws: replay.h).
 */
#include "sim/replay_internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

const struct metric replay_metrics[] = {
        METRIC(struct replay_counters, ops, "1", "Ops of the recording that were replayed"),
        METRIC(struct replay_counters, object_allocs, "1", "Objects handed out (kmem_cache_alloc and kmalloc)"),
        METRIC(struct replay_counters, object_frees, "1", "Objects given back"),
        METRIC(struct replay_counters, page_allocs, "1", "Page blocks handed out to the recording's own page allocations"),
        METRIC(struct replay_counters, page_frees, "1", "Page blocks given back"),
        METRIC(struct replay_counters, area_allocs, "1", "Areas of kernel addresses handed out (vmalloc, vmap, ioremap ...)"),
        METRIC(struct replay_counters, area_frees, "1", "Areas given back"),
        METRIC(struct replay_counters, failed_area_allocs, "1", "Areas that found no memory or no addresses"),
        METRIC(struct replay_counters, page_maps, "1", "Pages mapped at once (kmap, kmap_local_page, kmap_atomic)"),
        METRIC(struct replay_counters, page_map_waits, "1", "Pages to be mapped that had to wait for a slot"),
        METRIC(struct replay_counters, page_maps_late, "1", "Of them, those that got one"),
        METRIC(struct replay_counters, page_maps_given_up, "1", "Of them, those that were to be unmapped before they got one"),
        METRIC(struct replay_counters, page_unmaps, "1", "Pages unmapped"),
        METRIC(struct replay_counters, page_clears, "1", "Blocks of pages cleared"),
        METRIC(struct replay_counters, page_copies, "1", "Blocks of pages copied"),
        METRIC(struct replay_counters, pages_cleared, "pages", "Pages of the blocks cleared"),
        METRIC(struct replay_counters, pages_copied, "pages", "Pages of the blocks copied"),
        METRIC(struct replay_counters, failed_page_uses, "1",
               "Pages to be mapped, cleared or copied that could not be allocated"),
        METRIC(struct replay_counters, process_ops, "1", "Ops of processes (fork, exec, exit, map, touch, switch ...)"),
        METRIC(struct replay_counters, failed_process_ops, "1", "Ops of processes that found no memory"),
        GAUGE(struct replay_counters, live_processes, "1", "Processes at the end"),
        GAUGE(struct replay_counters, pages_processes, "pages", "Frames held by processes at the end"),
        METRIC(struct replay_counters, marks, "1", "Marks in the recording"),
        METRIC(struct replay_counters, failed_object_allocs, "1", "Object allocations that found no memory"),
        METRIC(struct replay_counters, first_failed_op, "1", "Number of the first op that was one of these; 0: none"),
        METRIC(struct replay_counters, first_failed_pages_free, "pages", "Free in all zones at that moment"),
        METRIC(struct replay_counters, failed_page_allocs, "1", "Page allocations that found no memory"),
        METRIC(struct replay_counters, frees_of_failed, "1", "Frees of what could not be allocated"),
        METRIC(struct replay_counters, wrong_ops, "1", "Ops that no correct program makes; listed in wrong_op"),
        METRIC(struct replay_counters, refused_caches_allocs, "1", "Allocations from caches that the allocator refused to make"),
        METRIC(struct replay_counters, skipped_ops, "1", "Ops before the start state or after the end state"),
        METRIC(struct replay_counters, frees_of_unknown, "1", "Frees of what the start state does not have"),
        METRIC(struct replay_counters, address_compared, "1", "Objects whose recorded address was held against the model's"),
        METRIC(struct replay_counters, address_equal, "1", "Of them, those at the recorded address"),
        METRIC(struct replay_counters, address_unseen_free, "1", "Of them, those that some call without an event had freed"),
        METRIC(struct replay_counters, address_unseen_alloc, "1",
               "Of them, those behind objects that no event took, or in another order"),
        METRIC(struct replay_counters, address_lost, "1", "Of them, those in another slab than the model's"),
        METRIC(struct replay_counters, address_page, "1",
               "Of them, those in a new slab whose page was not the model's own decision"),
        METRIC(struct replay_counters, page_address_compared, "1",
               "Page blocks whose recorded frame was held against the model's"),
        METRIC(struct replay_counters, page_address_equal, "1", "Of them, those at the recorded frame"),
        METRIC(struct replay_counters, frees_put_off, "1",
               "Frees that RCU makes later than their event; made so beside a recording"),
        METRIC(struct replay_counters, frees_made_before, "1", "Frees of what was taken for free when its effect showed"),
        METRIC(struct replay_counters, kfree_rcu_frees, "1", "Objects taken to be freed by kfree_rcu(), without an op"),
        METRIC(struct replay_counters, unseen_allocs_made, "1",
               "Allocations without an event that were made from the recorded address"),
        METRIC(struct replay_counters, unseen_allocs_missed, "1",
               "Allocations without an event whose address could not be reached"),
        METRIC(struct replay_counters, start_objects, "1", "Objects of the recording that were live at the start state"),
        METRIC(struct replay_counters, start_page_blocks, "1", "Page blocks of the recording that were live at the start state"),
        GAUGE(struct replay_counters, live_objects, "1", "Objects live at the end"),
        GAUGE(struct replay_counters, live_page_blocks, "1", "Page blocks live at the end"),
        GAUGE(struct replay_counters, live_areas, "1", "Areas live at the end"),
        GAUGE(struct replay_counters, live_page_maps, "1", "Pages mapped at the end"),
        GAUGE(struct replay_counters, pages_areas, "pages", "Held by areas and their page tables at the end"),
        GAUGE(struct replay_counters, pages_mapped, "pages", "Of the recording's own, mapped by areas at the end"),
        GAUGE(struct replay_counters, bytes_req, "bytes", "Bytes asked for, of live objects"),
        GAUGE(struct replay_counters, bytes_alloc, "bytes", "Bytes given, of live objects"),
        METRIC(struct replay_counters, total_bytes_requested, "bytes", "Bytes asked for, over all allocations"),
        METRIC(struct replay_counters, total_bytes_allocated, "bytes", "Bytes given, over all allocations"),
        METRIC(struct replay_counters, ping_pong, "1", "Objects freed on another CPU than allocated on (perf kmem's Ping-pong)"),
        METRIC(struct replay_counters, bytes_alloc_compared, "1", "Allocations whose bytes_alloc the recording tells"),
        METRIC(struct replay_counters, bytes_alloc_equal, "1", "Of them, those where the model gave the same"),
        GAUGE(struct replay_counters, pages_unmovable, "pages", "Held by the recording's unmovable page allocations"),
        GAUGE(struct replay_counters, pages_movable, "pages", "Held by the recording's movable page allocations"),
        GAUGE(struct replay_counters, pages_reclaimable, "pages", "Held by the recording's reclaimable page allocations"),
        METRIC(struct replay_counters, moved_pages, "pages", "Page allocations that compaction moved to another frame"),
        GAUGE(struct replay_counters, peak_pages, "pages", "Most frames allocated at once"),
        GAUGE(struct replay_counters, peak_slab_pages, "pages", "Most frames held by the object allocator at once"),
        GAUGE(struct replay_counters, peak_bytes_req, "bytes", "Most bytes asked for that were live at once"),
        METRIC_END,
};

/* The accounts of a cache; caches that a destroy and a create reuse share them. */
struct replay_cache *replay_cache_account(struct replay *replay, uint32_t cache)
{
	if (cache >= replay->by_cache_count) {
		uint32_t count = 2 * cache + 16;
		replay->by_cache = xrealloc(replay->by_cache, count * sizeof *replay->by_cache);
		memset(replay->by_cache + replay->by_cache_count, 0, (count - replay->by_cache_count) * sizeof *replay->by_cache);
		replay->by_cache_count = count;
	}
	return &replay->by_cache[cache];
}

/* A page moved: the id that stands for it learns its new frame. Who stands for which frame is only written down once one moves.
 */
static void page_moved(void *context, pfn from, pfn to)
{
	struct replay *replay = context;
	if (replay->parts.users && replay->parts.users->ops->moved(replay->parts.users, from, to))
		return;
	if (!replay->id_of_frame) {
		replay->id_of_frame = lazy_alloc(replay->parts.pages->end_pfn, sizeof *replay->id_of_frame);
		for (uint32_t id = 0; id < replay->info->ids; id++)
			if (replay->live[id].state == LIVE_PAGES)
				replay->id_of_frame[replay->live[id].address] = id;
	}
	uint32_t id = replay->id_of_frame[from.nr];
	SIM_ASSERT(id < replay->info->ids && replay->live[id].state == LIVE_PAGES && replay->live[id].address == from.nr);
	replay->live[id].address = to.nr;
	replay->id_of_frame[to.nr] = id;
	replay->counters.moved_pages++;
}

/* Whether a repeated interval (0 = never) gives no more samples than a database should hold. */
static bool interval_fits(const char *key, uint64_t every_ns, uint64_t length_ns, struct error *error)
{
	if (every_ns == 0 || length_ns / every_ns <= SAMPLES_MAX)
		return true;
	return error_set(
	        error, ERROR_USAGE,
	        "%s is %.6g s and the recording %.6g s long: that would be more than %u moments; expected %" PRIu64 " ms or more",
	        key, (double)every_ns / 1e9, (double)length_ns / 1e9, SAMPLES_MAX, length_ns / SAMPLES_MAX / 1000000 + 1);
}

struct replay *replay_create(const struct replay_config *config, const struct replay_parts *parts, struct error *error)
{
	SIM_ASSERT(config->frequency_mhz > 0 && config->cpus > 0 && config->cpus <= CPUS_MAX);
	const struct trace_info *info = trace_info(parts->trace);
	uint64_t length_ns = info->last_ns - info->first_ns;
	if (!interval_fits("sample.every", config->sample_every_ns, length_ns, error) ||
	    !interval_fits("dump: every", config->dump_every_ns, length_ns, error))
		return NULL;
	struct replay *replay = xcalloc(1, sizeof *replay);
	replay->config = *config;
	replay->parts = *parts;
	replay->info = info;
	replay->live = lazy_alloc(info->ids, sizeof *replay->live);
	if (parts->areas)
		replay->mapped = lazy_alloc(info->ids, sizeof *replay->mapped);
	page_maps_init(&replay->page_maps, parts->mapper, parts->steps, info->ids);
	space_peaks_init(&replay->space_peaks, parts->trace);
	replay->by_call_site = xcalloc(info->call_sites, sizeof *replay->by_call_site);
	replay->program = (struct program_replay){.accesses = parts->accesses,
	                                          .users = parts->users,
	                                          .steps = parts->steps,
	                                          .machine = parts->machine,
	                                          .daemons = &replay->config.daemons,
	                                          .instructions_per_access = config->instructions_per_access,
	                                          .cpus = config->cpus};
	replay->time_ns = info->first_ns;
	replay->sample = (struct tick){config->sample_every_ns, config->sample_every_ns ? info->first_ns : UINT64_MAX};
	replay->dump = (struct tick){config->dump_every_ns, config->dump_every_ns ? info->first_ns : UINT64_MAX};
	replay->next_daemon_ns = UINT64_MAX;
	set_next_tick(replay);
	replay->seen_align = xcalloc(info->caches, sizeof *replay->seen_align);
	replay->before_start = config->from_state;
	replay->areas_before = parts->areas ? parts->areas->live_areas : 0;
	/* Counts of a start state without positions: in use, by nobody the run knows. */
	replay->start_unknown =
	        parts->pages->allocated_pages - parts->objects->ops->pages_held(parts->objects) - pages_of_areas(replay);
	if (config->from_state)
		follow_init(&replay->follow, parts->objects, config->direct_map, parts->pages->end_pfn, info->ops);
	replay->follows = replay_can_follow(replay);
	if (replay->follows)
		follow_kfree_rcu_init(&replay->follow_kfree_rcu, info->call_sites, info->ids);
	if ((replay->follows && !follow_pages_init(&replay->follow_pages, parts->trace, parts->pages, parts->objects,
	                                           &config->window, config->cpus, error)) ||
	    !replay_begin_put_off(replay, error) || (config->from_state && !replay_look_ahead(replay, error)) ||
	    !replay_make_caches(replay, error)) {
		replay_destroy(replay);
		return NULL;
	}
	parts->pages->moved = (struct page_moved){page_moved, replay};
	replay->follow_pages.slab_goes = replay_slab_goes;
	replay->follow_pages.context = replay;
	return replay;
}

void replay_destroy(struct replay *replay)
{
	if (!replay)
		return;
	lazy_free(replay->live, replay->info->ids, sizeof *replay->live);
	if (replay->mapped) {
		for (uint32_t id = 0; id < replay->info->ids; id++)
			free(replay->mapped[id]);
		lazy_free(replay->mapped, replay->info->ids, sizeof *replay->mapped);
	}
	page_maps_release(&replay->page_maps);
	space_peaks_release(&replay->space_peaks);
	if (replay->config.from_state)
		follow_release(&replay->follow);
	if (replay->puts_off)
		follow_rcu_release(&replay->follow_rcu);
	if (replay->follows)
		follow_kfree_rcu_release(&replay->follow_kfree_rcu);
	if (replay->follows)
		follow_pages_release(&replay->follow_pages);
	free(replay->seen_align);
	free(replay->unseen_calls);
	if (replay->id_of_frame)
		lazy_free(replay->id_of_frame, replay->parts.pages->end_pfn, sizeof *replay->id_of_frame);
	if (replay->parts.pages->moved.context == replay)
		replay->parts.pages->moved = (struct page_moved){0};
	free(replay->caches);
	free(replay->by_cache);
	free(replay->by_call_site);
	free(replay);
}

static const char *op_name(uint8_t kind)
{
	static const char *const names[OP_KINDS] = {
	        [OP_CACHE_ALLOC] = "kmem_cache_alloc",
	        [OP_CACHE_FREE] = "kmem_cache_free",
	        [OP_KMALLOC] = "kmalloc",
	        [OP_KFREE] = "kfree",
	        [OP_PAGE_ALLOC] = "mm_page_alloc",
	        [OP_PAGE_FREE] = "mm_page_free",
	        [OP_MARK] = "mark",
	        [OP_AREA_ALLOC] = "area alloc",
	        [OP_AREA_FREE] = "area free",
	        [OP_PROCESS_CREATE] = "process create",
	        [OP_PROCESS_FORK] = "fork",
	        [OP_PROCESS_EXIT] = "exit",
	        [OP_PROCESS_EXEC] = "exec",
	        [OP_PROCESS_MAP] = "map",
	        [OP_PROCESS_UNMAP] = "unmap",
	        [OP_PROCESS_TOUCH] = "touch",
	        [OP_PROCESS_SWITCH] = "switch",
	        [OP_PROCESS_LEAVE] = "leave",
	        [OP_PROCESS_RUN] = "run of a program",
	        [OP_PROCESS_ADVISE] = "advise",
	        [OP_PROCESS_PROTECT] = "protect",
	        [OP_PROCESS_REMAP] = "remap",
	        [OP_PAGE_MAP] = "page map",
	        [OP_PAGE_UNMAP] = "page unmap",
	        [OP_PAGE_CLEAR] = "page clear",
	        [OP_PAGE_COPY] = "page copy",
	};
	return kind < OP_KINDS ? names[kind] : "unknown op";
}

/* Counts and tells a wrong op; false if the run stops at it. */
bool replay_wrong_op(struct replay *replay, const struct op *op, const char *what, struct error *error)
{
	uint64_t number = replay->counters.wrong_ops++;
	if (replay->parts.store && number < WRONG_OPS_LISTED) {
		struct store_wrong_op row = {
		        .op = replay->counters.ops, .line = op->line, .kind = op_name(op->kind), .what = what};
		if (!store_wrong_op(replay->parts.store, replay->parts.run_id, &row, error))
			return false;
	}
	if (!replay->config.stop_on_error)
		return true;
	return error_set(error, ERROR_STOPPED, "%s: op %" PRIu64 " (line %" PRIu64 "): %s: %s", replay->info->source,
	                 replay->counters.ops, op->line, op_name(op->kind), what);
}

static void note_peaks(struct replay *replay)
{
	struct replay_counters *counters = &replay->counters;
	uint64_t pages = replay->parts.pages->allocated_pages;
	if (pages > counters->peak_pages)
		counters->peak_pages = pages;
	uint64_t held = replay->parts.objects->ops->pages_held(replay->parts.objects);
	if (held > counters->peak_slab_pages)
		counters->peak_slab_pages = held;
	if (counters->bytes_req > counters->peak_bytes_req)
		counters->peak_bytes_req = counters->bytes_req;
}

/* Lets the allocators decide one op. false: the run stops here. */
static bool decide(struct replay *replay, const struct op *op, const struct op *next, unsigned cpu, struct error *error)
{
	replay->counters.ops++;
	if (replay->parts.steps)
		replay->parts.steps->now_ns = op->time_ns - replay->info->first_ns;
	switch ((enum op_kind)op->kind) {
	case OP_CACHE_ALLOC:
	case OP_KMALLOC:
		return replay_alloc_object(replay, op, cpu, error);
	case OP_CACHE_FREE:
	case OP_KFREE:
		return replay_free_object(replay, op, next, cpu, error);
	case OP_PAGE_ALLOC:
		return replay_alloc_pages(replay, op, cpu, error);
	case OP_PAGE_FREE:
		return replay_free_pages(replay, op, cpu, error);
	case OP_AREA_ALLOC:
		return replay_alloc_area(replay, op, cpu, error);
	case OP_AREA_FREE:
		return replay_free_area(replay, op, cpu, error);
	case OP_PAGE_MAP:
		return replay_map_page(replay, op, cpu, error);
	case OP_PAGE_UNMAP:
		return replay_unmap_page(replay, op, cpu, error);
	case OP_PAGE_CLEAR:
		return replay_clear_pages(replay, op, cpu, error);
	case OP_PAGE_COPY:
		return replay_copy_pages(replay, op, cpu, error);
	case OP_PROCESS_CREATE:
	case OP_PROCESS_FORK:
	case OP_PROCESS_EXIT:
	case OP_PROCESS_EXEC:
	case OP_PROCESS_MAP:
	case OP_PROCESS_UNMAP:
	case OP_PROCESS_TOUCH:
	case OP_PROCESS_SWITCH:
	case OP_PROCESS_LEAVE:
	case OP_PROCESS_ADVISE:
	case OP_PROCESS_PROTECT:
	case OP_PROCESS_REMAP:
		return replay_decide_process(replay, op, cpu, error);
	case OP_PROCESS_RUN:
		return replay_run_program(replay, op, error);
	case OP_MARK:
		replay->counters.marks++;
		return true;
	case OP_KINDS:
		break;
	}
	SIM_UNREACHABLE("an op kind that the trace reader lets through");
}

static enum job_kind job_of(uint8_t kind)
{
	switch ((enum op_kind)kind) {
	case OP_CACHE_ALLOC:
	case OP_KMALLOC:
		return JOB_OBJECT_ALLOC;
	case OP_CACHE_FREE:
	case OP_KFREE:
		return JOB_OBJECT_FREE;
	case OP_PAGE_ALLOC:
		return JOB_PAGE_ALLOC;
	case OP_AREA_ALLOC:
		return JOB_AREA_ALLOC;
	case OP_AREA_FREE:
		return JOB_AREA_FREE;
	case OP_PAGE_MAP:
		return JOB_PAGE_MAP;
	case OP_PAGE_UNMAP:
		return JOB_PAGE_UNMAP;
	case OP_PAGE_CLEAR:
		return JOB_PAGE_CLEAR;
	case OP_PAGE_COPY:
		return JOB_PAGE_COPY;
	case OP_PROCESS_TOUCH:
		return JOB_TOUCH;
	case OP_PROCESS_RUN:
		return JOB_ACCESSES;
	case OP_PROCESS_SWITCH:
	case OP_PROCESS_LEAVE:
		return JOB_SWITCH;
	default:
		return is_process_op(kind) ? JOB_PROCESS : JOB_PAGE_FREE;
	}
}

/* Whom an op's accesses are counted for. */
static uint32_t step_owner(const struct replay *replay, const struct op *op)
{
	if (job_of(op->kind) != JOB_OBJECT_ALLOC && job_of(op->kind) != JOB_OBJECT_FREE)
		return REPLAY_OWNER_NONE;
	const struct live *live = &replay->live[op->id];
	return live->state == LIVE_FAILED || live->cache == UINT32_MAX ? REPLAY_OWNER_NONE : replay_owner_of_cache(live->cache);
}

static uint32_t step_call_site(const struct replay *replay, const struct op *op)
{
	enum job_kind kind = job_of(op->kind);
	if (kind == JOB_PAGE_ALLOC || kind == JOB_PAGE_FREE || is_process_op(op->kind)) /* they have none of their own */
		return NO_CALL_SITE;
	return kind == JOB_PAGE_CLEAR || kind == JOB_PAGE_COPY ? op->call_site : replay->live[op->id].call_site;
}

/* What the core runs between two ops, in a job of its own, so that no op is charged with it. */
static void run_caller(struct replay *replay, unsigned cpu)
{
	const struct job_about about = {.kind = JOB_TOUCH, .owner = REPLAY_OWNER_NONE, .call_site = NO_CALL_SITE};
	struct step step = {.kind = STEP_RUN, .address = replay->config.caller_code};
	core_push(replay->parts.machine, cpu, &about, &(struct steps){.at = &step, .count = 1});
}

/* Hands the steps of the op just decided to its core; a program's are handed over access by access. What happened before the
 * recording costs nothing. */
static void pay(struct replay *replay, const struct op *op, unsigned cpu)
{
	if (op->kind != OP_MARK && op->kind != OP_PROCESS_RUN && op->origin == OP_RECORDED) {
		enum job_kind kind = job_of(op->kind);
		const struct job_about about = {
		        .kind = kind, .owner = step_owner(replay, op), .call_site = step_call_site(replay, op)};
		if (replay->config.caller_code)
			run_caller(replay, cpu);
		push_with_daemons(replay->parts.machine, &replay->config.daemons, cpu, &about, replay->parts.steps);
	}
	steps_clear(replay->parts.steps);
}

static bool replay_op(struct replay *replay, const struct op *op, const struct op *next, struct error *error)
{
	if (replay->config.from_state)
		follow_next_op(&replay->follow, vaddr_of(is_object_op(op) ? op->address : 0));
	if (replay->config.from_state && replay_is_outside(replay, op)) {
		replay_skip_op(replay, op);
		return true;
	}
	if (op->time_ns >= replay->next_tick_ns && !replay_run_ticks(replay, op->time_ns, error))
		return false;
	if (op->time_ns > replay->time_ns)
		replay->time_ns = op->time_ns;
	/* MODEL: a machine of fewer CPUs than the recorded one does the same in the same order, several CPUs' work on one. */
	unsigned cpu = op->cpu < replay->config.cpus ? op->cpu : op->cpu % replay->config.cpus;
	struct machine *machine = replay->parts.machine;
	if (machine && !replay->config.asap)
		machine_run_until(machine, cycle_at(replay, replay->time_ns));
	if (replay->puts_off)
		replay_make_put_off(replay, op->line, cpu);
	if (replay->follows) {
		follow_pages_to(&replay->follow_pages, op->line);
		if (is_object_op(op))
			follow_pages_supply(&replay->follow_pages, frame_of(replay, op->address), owner_of_op(op));
	}
	bool go_on = decide(replay, op, next, cpu, error);
	if (replay->follows)
		follow_pages_unsupply(&replay->follow_pages);
	if (machine)
		pay(replay, op, cpu);
	note_peaks(replay);
	if (replay->config.paranoid_every && replay->counters.ops % replay->config.paranoid_every == 0)
		replay_check(replay);
	return go_on;
}

static enum replay_status run_ops(struct replay *replay, const struct progress *progress, const volatile sig_atomic_t *interrupt,
                                  struct error *error)
{
	struct op *batch = xcalloc(BATCH_OPS, sizeof *batch);
	enum replay_status status = REPLAY_COMPLETE;
	size_t kept = 0; /* the last op of a batch waits for the one behind it */
	while (status == REPLAY_COMPLETE) {
		size_t count;
		if (*interrupt)
			status = REPLAY_INTERRUPTED;
		else if (!trace_next(replay->parts.trace, batch + kept, BATCH_OPS - kept, &count, error))
			status = REPLAY_FAILED;
		else if (kept + count == 0)
			break;
		if (status != REPLAY_COMPLETE)
			break;
		size_t have = kept + count, ready = count > 0 ? have - 1 : have;
		for (size_t index = 0; status == REPLAY_COMPLETE && index < ready; index++)
			if (!replay_op(replay, &batch[index], index + 1 < have ? &batch[index + 1] : NULL, error))
				status = REPLAY_FAILED;
		kept = have - ready;
		if (kept)
			batch[0] = batch[ready];
		if (progress)
			progress->tell(progress->context, replay->counters.ops, replay->info->ops);
	}
	free(batch);
	return status;
}

/* The events behind the last op; then what the pages say stands among the counters. */
static void finish_following(struct replay *replay)
{
	const struct follow_pages_counters *from = &replay->follow_pages.counters;
	follow_pages_to(&replay->follow_pages, UINT64_MAX);
	replay->counters.page_address_compared = from->allocs;
	replay->counters.page_address_equal = from->allocs_equal;
}

enum replay_status replay_run(struct replay *replay, const struct progress *progress, const volatile sig_atomic_t *interrupt,
                              struct error *error)
{
	if (!replay->before_start)
		replay_start_daemons(replay);
	enum replay_status status = run_ops(replay, progress, interrupt, error);
	if (replay->follows && status == REPLAY_COMPLETE)
		finish_following(replay);
	if (replay->parts.machine)
		machine_drain(replay->parts.machine);
	/* A failed store has said so already; a wrong op that stops the run leaves a state worth keeping. */
	struct error at_end = {0};
	if (!replay_take_sample(replay, &at_end) || !replay_take_dump(replay, true, &at_end)) {
		error_set(error, at_end.kind, "%s", at_end.text);
		return REPLAY_FAILED;
	}
	replay_check(replay);
	return status;
}

const struct replay_counters *replay_counters(const struct replay *replay)
{
	return &replay->counters;
}

const struct program_counters *replay_program_counters(const struct replay *replay)
{
	return replay->parts.accesses ? &replay->program.counters : NULL;
}

const struct follow_pages_counters *replay_follow_pages(const struct replay *replay)
{
	return replay->follows ? &replay->follow_pages.counters : NULL;
}

const struct replay_cache *replay_cache(const struct replay *replay, cache_id cache)
{
	static const struct replay_cache nothing;
	return cache.nr < replay->by_cache_count ? &replay->by_cache[cache.nr] : &nothing;
}

const struct space_peak *replay_space_peak(const struct replay *replay, uint32_t space)
{
	SIM_ASSERT(space < replay->space_peaks.count);
	return &replay->space_peaks.peak[space];
}

const struct replay_call_site *replay_call_site(const struct replay *replay, uint32_t call_site)
{
	SIM_ASSERT(call_site < replay->info->call_sites);
	return &replay->by_call_site[call_site];
}

uint32_t replay_samples(const struct replay *replay)
{
	return replay->samples;
}

uint64_t replay_time_ns(const struct replay *replay)
{
	return replay->time_ns;
}
