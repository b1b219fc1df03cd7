/* SPDX-License-Identifier: MIT
 *
 * ideal.c - processes whose memory costs nothing but the pages they need: the bound that the kernel's way is held against.
 *
 * Interface: the user_memory port. Here are the processes, what is counted, and the accesses; what an address space holds and how
 * its pages come is in ideal_space.h.
 *
 * MODEL: no page faults, no page tables, no TLBs and their flushes, no switches of address spaces, no huge pages, no locks, and
 * no frames or objects for tasks and areas; kernel stacks are areas of the virtual allocator, where there is one. Effect: what is
 * left of memory is the pages that hold contents, what is left of the time is the program's accesses. MODEL: accesses go through
 * the kernel's direct map, as there are no tables to walk; those of high memory are left out. MODEL: private and shared pages are
 * told to no page_watcher: they are neither reclaimed nor swapped, so unmap_page() knows pages of files alone. Effect: memory
 * ends where all of it is private pages. MODEL: what MADV_FREE names goes at once. Effect: the least memory that is right.
 *
 * Laws (check): those of ideal_space.h; processes made - ended = there are = the sharers of all address spaces.
 */
#include "models/settings.h"
#include "models/user_memory/ideal_space.h"
#include "models/user_memory/rules.h"
#include "sim/metric.h"

#include <stdlib.h>

extern const struct user_memory_ops user_memory_ideal_ops;
struct user_memory *user_memory_ideal_create(const struct user_memory_wiring *wiring, struct error *error);

struct ideal_counters {
	uint64_t processes_created, processes_forked, threads_created, execs, exits;
	/* The rest is of the address spaces (ideal_counters()). */
	uint64_t touched_pages; /* = the next seven */
	uint64_t touches_found, touches_taken, touches_zero, touches_copied, touches_file, touches_shared, touches_failed;
	uint64_t mapped_pages, zero_pages, private_pages, shared_pages, kept_pages;
};

struct process {
	struct space *space; /* NULL: no such process */
	vaddr stack;
	uint32_t next_free; /* of one that is over: number + 1 */
};

struct ideal {
	struct user_memory port;
	struct virtual_allocator *stacks; /* NULL: there are none */
	struct layout *layout;
	struct steps *steps;
	uint32_t user_access_cycles;
	struct spaces spaces;
	struct process *processes; /* by process_id; owned */
	uint32_t process_count, process_room, free_process;
	struct ideal_counters counters;
};

static const struct metric ideal_metrics[] = {
        METRIC(struct ideal_counters, processes_created, "1", "Processes made by the kernel itself"),
        METRIC(struct ideal_counters, processes_forked, "1", "Processes made by fork()"),
        METRIC(struct ideal_counters, threads_created, "1", "Threads made by clone(CLONE_VM)"),
        METRIC(struct ideal_counters, execs, "1", "Programs that took a process over (execve)"),
        METRIC(struct ideal_counters, exits, "1", "Processes and threads that ended"),
        METRIC(struct ideal_counters, touched_pages, "1", "Pages that touches came by, each time counted"),
        METRIC(struct ideal_counters, touches_found, "1", "Of them, those that were there"),
        METRIC(struct ideal_counters, touches_taken, "1", "Of them, those that took a frame"),
        METRIC(struct ideal_counters, touches_zero, "1", "Of them, reads of what nobody wrote"),
        METRIC(struct ideal_counters, touches_copied, "1", "Of them, writes that took a frame in place of one that others use"),
        METRIC(struct ideal_counters, touches_file, "1", "Of them, those of a file's page that was not mapped"),
        METRIC(struct ideal_counters, touches_shared, "1", "Of them, those of shared memory that was not mapped"),
        METRIC(struct ideal_counters, touches_failed, "1", "Of them, those without memory, outside of areas, against rights"),
        GAUGE(struct ideal_counters, mapped_pages, "pages", "Mapped at the end, each as often as it is (rss)"),
        GAUGE(struct ideal_counters, zero_pages, "1", "Pages at the end that were read and never written"),
        GAUGE(struct ideal_counters, private_pages, "pages", "Frames of private pages at the end"),
        GAUGE(struct ideal_counters, shared_pages, "pages", "Frames of shared memory at the end"),
        GAUGE(struct ideal_counters, kept_pages, "pages", "Frames of files that the model keeps at the end"),
        METRIC_END};

static const struct virtual_request stack_call = {.call = CALL_THREAD_STACK, .size = PAGE_SIZE << 2, .caller = "dup_task_struct"};

static struct ideal *ideal_of(const struct user_memory *users)
{
	return (struct ideal *)(uintptr_t)users;
}

/* NULL: no such process. */
static struct space *space_of(const struct user_memory *users, process_id process)
{
	const struct ideal *ideal = ideal_of(users);
	return process.nr < ideal->process_count ? ideal->processes[process.nr].space : NULL;
}

/* The same, where something happens in it. */
static struct space *enter_space(struct user_memory *users, process_id process, unsigned cpu)
{
	struct space *space = space_of(users, process);
	if (space)
		space->last_cpu = cpu;
	return space;
}

/* ---- processes ---- */

static uint32_t take_number(struct ideal *ideal)
{
	uint32_t free_process = ideal->free_process;
	if (free_process > 0) {
		ideal->free_process = ideal->processes[free_process - 1].next_free;
		return free_process - 1;
	}
	if (ideal->process_count == ideal->process_room) {
		ideal->process_room = 2 * ideal->process_room + 16;
		ideal->processes = xrealloc(ideal->processes, ideal->process_room * sizeof *ideal->processes);
	}
	return ideal->process_count++;
}

/* A process with a kernel stack in an address space (NULL: no memory for one), which is left if there is none for the stack. */
static process_id begin_process(struct ideal *ideal, struct space *space, uint64_t *made, unsigned cpu)
{
	if (!space)
		return PROCESS_NONE;
	vaddr stack = ideal->stacks ? virtual_get(ideal->stacks, &stack_call, cpu).at : VADDR_NULL;
	if (ideal->stacks && !stack.addr) {
		space_leave(&ideal->spaces, space, cpu);
		return PROCESS_NONE;
	}
	uint32_t nr = take_number(ideal);
	ideal->processes[nr] = (struct process){.space = space, .stack = stack};
	++*made;
	return (process_id){nr};
}

static process_id ideal_create(struct user_memory *users, unsigned cpu)
{
	struct ideal *ideal = ideal_of(users);
	return begin_process(ideal, space_of_program(&ideal->spaces, cpu), &ideal->counters.processes_created, cpu);
}

static process_id ideal_fork(struct user_memory *users, process_id parent, bool thread, unsigned cpu)
{
	struct ideal *ideal = ideal_of(users);
	struct space *space = enter_space(users, parent, cpu);
	if (!space)
		return PROCESS_NONE;
	if (!thread)
		return begin_process(ideal, space_fork(&ideal->spaces, space, cpu), &ideal->counters.processes_forked, cpu);
	space->sharers++;
	return begin_process(ideal, space, &ideal->counters.threads_created, cpu);
}

static enum user_result ideal_exec(struct user_memory *users, process_id process, unsigned cpu)
{
	struct ideal *ideal = ideal_of(users);
	struct space *old = space_of(users, process);
	if (!old)
		return USER_NO_PROCESS;
	struct space *space = space_of_program(&ideal->spaces, cpu);
	if (!space)
		return USER_NO_MEMORY;
	ideal->processes[process.nr].space = space;
	space_leave(&ideal->spaces, old, cpu);
	ideal->counters.execs++;
	return USER_OK;
}

static void ideal_exit(struct user_memory *users, process_id process, unsigned cpu)
{
	struct ideal *ideal = ideal_of(users);
	struct space *space = space_of(users, process);
	SIM_ASSERT(space);
	if (ideal->stacks) {
		enum virtual_free_result result =
		        virtual_put(ideal->stacks, ideal->processes[process.nr].stack, &stack_call, cpu);
		SIM_ASSERT(result == VIRTUAL_FREE_OK);
	}
	ideal->processes[process.nr] = (struct process){.next_free = ideal->free_process};
	ideal->free_process = process.nr + 1;
	space_leave(&ideal->spaces, space, cpu);
	ideal->counters.exits++;
}

static void ideal_switch(struct user_memory *users, process_id process, unsigned cpu)
{
	enter_space(users, process, cpu);
}

/* ---- areas and touches ---- */

static enum user_result ideal_map(struct user_memory *users, process_id process, const struct user_area_request *request,
                                  unsigned cpu)
{
	struct space *space = enter_space(users, process, cpu);
	return space ? space_map(&ideal_of(users)->spaces, space, request, cpu) : USER_NO_PROCESS;
}

static enum user_result ideal_unmap(struct user_memory *users, process_id process, uint64_t start, uint64_t pages, unsigned cpu)
{
	struct spaces *spaces = &ideal_of(users)->spaces;
	if (!space_of(users, process))
		return USER_NO_PROCESS;
	if (!user_range_is_valid(spaces->user_end, start, pages))
		return USER_BAD_RANGE;
	uint64_t first = start >> PAGE_SHIFT;
	space_unmap(spaces, enter_space(users, process, cpu), first, first + pages, cpu);
	return USER_OK;
}

static enum user_result ideal_remap(struct user_memory *users, process_id process, const struct user_remap *remap, unsigned cpu)
{
	struct spaces *spaces = &ideal_of(users)->spaces;
	if (!space_of(users, process))
		return USER_NO_PROCESS;
	if (!user_remap_is_valid(spaces->user_end, remap))
		return USER_BAD_RANGE;
	return space_remap(spaces, enter_space(users, process, cpu), remap, cpu);
}

/* Up to where areas lie side by side from a page on. */
static uint64_t end_of_areas(const struct area_set *areas, uint64_t first, uint64_t end)
{
	const struct area *area;
	while (first < end && (area = area_set_find(areas, first)))
		first = area->end;
	return first < end ? first : end;
}

static enum user_result ideal_protect(struct user_memory *users, process_id process, uint64_t start, uint64_t pages,
                                      unsigned rights, unsigned cpu)
{
	if (!space_of(users, process))
		return USER_NO_PROCESS;
	if (!user_range_is_valid(ideal_of(users)->spaces.user_end, start, pages))
		return USER_BAD_RANGE;
	uint64_t first = start >> PAGE_SHIFT;
	struct space *space = enter_space(users, process, cpu);
	uint64_t end = end_of_areas(&space->areas, first, first + pages);
	if (end > first)
		space_protect(space, first, end, rights);
	return end == first + pages ? USER_OK : USER_HOLE;
}

/* MADV_FREE, area by area up to the first one that is not for it. False: it was met. */
static bool free_pages(struct ideal *ideal, struct space *space, uint64_t first, uint64_t end, unsigned cpu)
{
	while (first < end) {
		const struct area *area = area_set_from(&space->areas, first);
		if (!area || area->first >= end)
			return true;
		if (!user_area_is_anonymous(area->kind))
			return false;
		uint64_t from = area->first > first ? area->first : first, to = area->end < end ? area->end : end;
		space_forget(&ideal->spaces, space, from, to, cpu);
		first = to;
	}
	return true;
}

/*
 * Pages of one size, and files read as they are asked for: but for DONTNEED and FREE, which are one here, advice changes nothing.
 */
static enum user_result ideal_advise(struct user_memory *users, process_id process, uint64_t start, uint64_t pages,
                                     enum user_advice advice, unsigned cpu)
{
	struct spaces *spaces = &ideal_of(users)->spaces;
	if (!space_of(users, process))
		return USER_NO_PROCESS;
	if (!user_range_is_valid(spaces->user_end, start, pages))
		return USER_BAD_RANGE;
	uint64_t first = start >> PAGE_SHIFT;
	struct space *space = enter_space(users, process, cpu);
	if (advice == USER_DONTNEED)
		space_forget(spaces, space, first, first + pages, cpu);
	if (advice == USER_FREE && !free_pages(ideal_of(users), space, first, first + pages, cpu))
		return USER_BAD_KIND;
	return end_of_areas(&space->areas, first, first + pages) == first + pages ? USER_OK : USER_HOLE;
}

/* The accesses of a touch that begin in the page of an address, from there on. */
static void make_accesses(struct ideal *ideal, const struct user_touch *run, uint64_t at, pfn frame)
{
	uint64_t next = user_touch_next_page(run, at), page = layout_page_address(ideal->layout, frame).addr;
	bool reached = layout_region(ideal->layout, page) == REGION_DIRECT_MAP;
	for (; at < next && at - run->address < run->bytes; at += run->stride) {
		vaddr to = vaddr_of(page + at % PAGE_SIZE);
		step_spend(ideal->steps, ideal->user_access_cycles);
		if (reached && run->kind == ACCESS_STORE)
			step_write(ideal->steps, to, user_access_bytes(run, at));
		else if (reached)
			step_read(ideal->steps, to, user_access_bytes(run, at));
	}
}

static enum user_result ideal_touch(struct user_memory *users, process_id process, const struct user_touch *run, unsigned cpu)
{
	struct ideal *ideal = ideal_of(users);
	uint64_t user_end = ideal->spaces.user_end;
	if (!space_of(users, process))
		return USER_NO_PROCESS;
	if (run->address >= user_end || run->bytes > user_end - run->address)
		return USER_BAD_RANGE;
	struct space *space = enter_space(users, process, cpu);
	for (uint64_t at = run->address; at - run->address < run->bytes; at = user_touch_next_page(run, at)) {
		pfn frame;
		enum user_result result = space_touch(&ideal->spaces, space, at >> PAGE_SHIFT, run->kind, cpu, &frame);
		if (result != USER_OK)
			return result;
		if (ideal->steps->recording)
			make_accesses(ideal, run, at, frame);
	}
	return USER_OK;
}

/* A page that comes at its first touch takes no step, so nothing faults. */
static size_t ideal_run(struct user_memory *users, process_id process, const struct access *accesses, size_t count,
                        struct user_run *run, unsigned cpu)
{
	struct ideal *ideal = ideal_of(users);
	struct space *space = enter_space(users, process, cpu);
	size_t made = 0;
	run->result = space ? USER_OK : USER_NO_PROCESS;
	if (!space)
		return 1;
	while (made < count && run->result == USER_OK) {
		const struct access *access = &accesses[made++];
		enum access_kind kind = access->kind == ACCESS_MODIFY ? ACCESS_STORE : (enum access_kind)access->kind;
		pfn frame;
		run->before = ideal->steps->count;
		if (kind == ACCESS_PREFETCH)
			continue;
		run->result = space_touch(&ideal->spaces, space, access->address >> PAGE_SHIFT, kind, cpu, &frame);
		if (run->result != USER_OK)
			continue;
		vaddr page = layout_page_address(ideal->layout, frame);
		steps_reserve(ideal->steps, USER_ACCESS_STEPS); /* the page allocator took some */
		if (layout_region(ideal->layout, page.addr) == REGION_DIRECT_MAP)
			user_access_steps(ideal->steps, run, access, vaddr_of(page.addr + access->address % PAGE_SIZE));
	}
	return made;
}

/* ---- frames ---- */

static bool ideal_moved(struct user_memory *users, pfn from, pfn to)
{
	const struct page_watcher *watcher = &users->watcher;
	bool watched = watcher->moved && watcher->moved(watcher->context, from, to);
	return spaces_moved(&ideal_of(users)->spaces, from, to) || watched;
}

static uint32_t ideal_map_count(const struct user_memory *users, pfn frame)
{
	return frame_users_count(&ideal_of(users)->spaces.users, frame);
}

static uint32_t ideal_huge_map_count(const struct user_memory *users, pfn first, uint32_t *whole)
{
	*whole = 0;
	return ideal_map_count(users, first);
}

static uint32_t ideal_split_page(struct user_memory *users, pfn first, unsigned cpu)
{
	(void)users;
	(void)first;
	(void)cpu;
	SIM_UNREACHABLE("a huge page");
}

static uint32_t ideal_referenced(struct user_memory *users, pfn frame, bool *executable, unsigned cpu)
{
	(void)cpu;
	return spaces_referenced(&ideal_of(users)->spaces, frame, executable);
}

static uint32_t ideal_unmap_page(struct user_memory *users, pfn frame, uint64_t entry, bool *dirty, unsigned cpu)
{
	(void)entry;
	return spaces_unmap_page(&ideal_of(users)->spaces, frame, dirty, cpu);
}

/* There are no translations to be old. */
static void ideal_flush_unmapped(struct user_memory *users, bool only_dirty, unsigned cpu)
{
	(void)users;
	(void)only_dirty;
	(void)cpu;
}

static void ideal_shared_left(struct user_memory *users, pfn frame, uint64_t entry)
{
	(void)users;
	(void)frame;
	(void)entry;
	SIM_UNREACHABLE("shared memory that no watcher was told of");
}

/* ---- what is told, and the laws ---- */

static bool ideal_view(const struct user_memory *users, process_id process, struct process_view *view)
{
	const struct space *space = space_of(users, process);
	if (!space)
		return false;
	*view = (struct process_view){.areas = space->areas.count,
	                              .area_pages = area_set_pages(&space->areas),
	                              .anonymous = space->mapped[PRIVATE],
	                              .file = space->mapped[OF_FILE],
	                              .shared = space->mapped[SHARED],
	                              .sharers = space->sharers,
	                              .last_cpu = space->last_cpu};
	return true;
}

static uint64_t ideal_pages_held(const struct user_memory *users)
{
	const struct spaces *spaces = &ideal_of(users)->spaces;
	const struct page_watcher *watcher = &users->watcher;
	return spaces->private_pages + page_store_count(&spaces->shared) + page_store_count(&spaces->own_files) +
	       (watcher->pages_held ? watcher->pages_held(watcher->context) : 0);
}

static const void *ideal_counters(const struct user_memory *users)
{
	const struct spaces *spaces = &ideal_of(users)->spaces;
	struct ideal_counters *counters = &ideal_of(users)->counters;
	const uint64_t *touches = spaces->touches;
	counters->touched_pages = spaces->touched_pages;
	counters->touches_found = touches[TOUCH_FOUND];
	counters->touches_taken = touches[TOUCH_TOOK];
	counters->touches_zero = touches[TOUCH_ZERO];
	counters->touches_copied = touches[TOUCH_COPIED];
	counters->touches_file = touches[TOUCH_FILE];
	counters->touches_shared = touches[TOUCH_SHARED];
	counters->touches_failed = touches[TOUCH_NO_MEMORY] + touches[TOUCH_NO_AREA] + touches[TOUCH_NO_RIGHT];
	counters->mapped_pages = spaces->mapped[PRIVATE] + spaces->mapped[OF_FILE] + spaces->mapped[SHARED];
	counters->zero_pages = spaces->mapped[ZERO];
	counters->private_pages = spaces->private_pages;
	counters->shared_pages = page_store_count(&spaces->shared);
	counters->kept_pages = page_store_count(&spaces->own_files);
	return counters;
}

static void ideal_check(const struct user_memory *users)
{
	const struct ideal *ideal = ideal_of(users);
	const struct ideal_counters *sum = &ideal->counters;
	uint64_t live = 0, sharers = 0;
	spaces_check(&ideal->spaces);
	for (uint32_t nr = 0; nr < ideal->process_count; nr++)
		live += ideal->processes[nr].space != NULL;
	for (const struct space *space = ideal->spaces.first; space; space = space->next)
		sharers += space->sharers;
	SIM_ASSERT(sharers == live);
	SIM_ASSERT(sum->processes_created + sum->processes_forked + sum->threads_created - sum->exits == live);
	if (users->watcher.check)
		users->watcher.check(users->watcher.context);
}

static void ideal_destroy(struct user_memory *users)
{
	struct ideal *ideal = ideal_of(users);
	for (uint32_t nr = 0; nr < ideal->process_count; nr++)
		if (ideal->processes[nr].space)
			ideal_exit(users, (process_id){nr}, 0);
	spaces_release(&ideal->spaces);
	free(ideal->processes);
	free(ideal);
}

const struct user_memory_ops user_memory_ideal_ops = {
        .name = "ideal",
        .help = "processes whose pages come at once and cost nothing: no faults, page tables, switches or structures",
        .create = ideal_create,
        .fork = ideal_fork,
        .exec = ideal_exec,
        .exit = ideal_exit,
        .map = ideal_map,
        .unmap = ideal_unmap,
        .remap = ideal_remap,
        .advise = ideal_advise,
        .protect = ideal_protect,
        .touch = ideal_touch,
        .run = ideal_run,
        .switch_to = ideal_switch,
        .moved = ideal_moved,
        .map_count = ideal_map_count,
        .huge_map_count = ideal_huge_map_count,
        .referenced = ideal_referenced,
        .unmap_page = ideal_unmap_page,
        .split_page = ideal_split_page,
        .flush_unmapped = ideal_flush_unmapped,
        .shared_left = ideal_shared_left,
        .view = ideal_view,
        .pages_held = ideal_pages_held,
        .check = ideal_check,
        .metrics = ideal_metrics,
        .counters = ideal_counters,
        .destroy = ideal_destroy,
};

struct user_memory *user_memory_ideal_create(const struct user_memory_wiring *wiring, struct error *error)
{
	(void)error;
	struct ideal *ideal = xcalloc(1, sizeof *ideal);
	SIM_ASSERT(wiring->mode->levels > 0);
	*ideal = (struct ideal){.port = {.ops = &user_memory_ideal_ops, .next_tick_ns = UINT64_MAX},
	                        .stacks = wiring->areas,
	                        .layout = wiring->layout,
	                        .steps = wiring->steps,
	                        .user_access_cycles = wiring->settings->cost.user_access};
	spaces_init(&ideal->spaces, wiring->pages, &ideal->port.files, user_end_of(wiring->mode));
	return &ideal->port;
}
