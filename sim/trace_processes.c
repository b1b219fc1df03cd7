/* SPDX-License-Identifier: MIT
 *
 * trace_processes.c - which processes there are, and which address space each has (interface and data: trace_processes.h; rules:
 * docs/formats.md, "Processes").
 *
 * Events name threads (the line's, or the two of a switch) and, in rss_stat, address spaces, by a hash of the kernel's address of
 * struct mm_struct. `curr=1` says that the thread has that space. So a space that is first named by a thread which
 * does not have it is being made by that thread: for itself if it has the space later (execve), for a child if another has it
 * later (fork). What comes later is asked of the events that wait (trace_later.h). A space whose own thread names it as not its
 * own any more is taken apart: the thread ends.
 */
#include "sim/trace_processes.h"

#include "sim/port/user_memory.h"
#include "sim/trace_attribution.h"
#include "sim/trace_later.h"

#include <stdlib.h>
#include <string.h>

void processes_init(struct processes *processes)
{
	*processes = (struct processes){0};
	number_map_init(&processes->tasks, sizeof(struct user_task));
	number_map_init(&processes->mms, sizeof(struct mm_entry));
	number_map_init(&processes->dying, sizeof(struct dying_mm));
	number_map_init(&processes->files, sizeof(struct program_file));
}

static void release_pages(struct user_space *space)
{
	number_map_release(&space->pages);
	number_map_release(&space->regions);
	free(space->ids);
	space->ids = NULL;
	space->ids_count = space->ids_room = 0;
}

void processes_release(struct processes *processes)
{
	for (uint32_t i = 0; i < processes->spaces_count; i++)
		if (processes->spaces[i].ids_count > 0)
			release_pages(&processes->spaces[i]);
	free(processes->spaces);
	free(processes->on_cpu);
	number_map_release(&processes->tasks);
	number_map_release(&processes->mms);
	number_map_release(&processes->dying);
	number_map_release(&processes->files);
}

struct trace_space *processes_spaces(const struct processes *processes)
{
	struct trace_space *spaces = xcalloc((size_t)processes->spaces_count + 1, sizeof *spaces);
	for (uint32_t i = 0; i < processes->spaces_count; i++)
		spaces[i] = processes->spaces[i].told;
	return spaces;
}

void processes_push(struct attribution *self, const struct attribution_event *event, uint32_t id,
                    const struct process_profile *profile, uint64_t address)
{
	const struct profile_row row = {.what = (uint32_t)profile->kind | profile->order << 8 | (uint32_t)OP_RECORDED << 16,
	                                .gfp = profile->gfp,
	                                .bytes_req = profile->bytes_req,
	                                .bytes_alloc = profile->bytes_alloc,
	                                .group = TABLE_NONE,
	                                .name = TABLE_NONE};
	window_push(self, event, id, window_profile(self, &row), address);
}

struct user_task *processes_task(const struct processes *processes, uint32_t number)
{
	return number_map_find(&processes->tasks, (uint64_t)number + 1, sizeof(struct user_task));
}

struct mm_entry *processes_mm(const struct processes *processes, uint32_t mm)
{
	return number_map_find(&processes->mms, (uint64_t)mm + 1, sizeof(struct mm_entry));
}

/* ---- address spaces ---- */

static uint32_t new_space(struct processes *processes, const struct attribution_event *event, uint32_t task)
{
	if (processes->spaces_count == processes->spaces_room) {
		processes->spaces_room = 2 * processes->spaces_room + 64;
		processes->spaces = xrealloc(processes->spaces, processes->spaces_room * sizeof *processes->spaces);
	}
	struct user_space *space = &processes->spaces[processes->spaces_count];
	*space = (struct user_space){.told = {.first_ns = event->time_ns, .task = task}};
	number_map_init(&space->pages, sizeof(struct user_page));
	number_map_init(&space->regions, sizeof(struct user_region));
	return processes->spaces_count++;
}

void processes_bind_mm(struct processes *processes, uint32_t index, uint32_t mm)
{
	struct user_space *space = &processes->spaces[index];
	SIM_ASSERT(!processes_mm(processes, mm));
	struct mm_entry *entry = number_map_add(&processes->mms, (uint64_t)mm + 1, sizeof *entry);
	struct dying_mm *dying = number_map_find(&processes->dying, (uint64_t)mm + 1, sizeof *dying);
	if (dying)
		number_map_remove(&processes->dying, dying, sizeof *dying);
	entry->space = index;
	space->mm_known = true;
	space->mm = mm;
}

static void enter_space(struct processes *processes, uint32_t index, uint32_t id)
{
	struct user_space *space = &processes->spaces[index];
	if (space->ids_count == space->ids_room) {
		space->ids_room = 2 * space->ids_room + 1;
		space->ids = xrealloc(space->ids, space->ids_room * sizeof *space->ids);
	}
	space->ids[space->ids_count++] = id;
}

/* What is left of the space's counters goes down to 0 while it is taken apart. */
static void end_space(struct processes *processes, struct user_space *space)
{
	release_pages(space);
	if (!space->mm_known)
		return;
	number_map_remove(&processes->mms, processes_mm(processes, space->mm), sizeof(struct mm_entry));
	struct dying_mm *dying = number_map_add(&processes->dying, (uint64_t)space->mm + 1, sizeof *dying);
	for (unsigned member = 0; member < SPACE_MEMBERS; member++)
		dying->pages[member] = (int64_t)space->told.last_pages[member];
}

static void leave_space(struct processes *processes, uint32_t index, uint32_t id)
{
	struct user_space *space = &processes->spaces[index];
	uint32_t at = 0;
	while (at < space->ids_count && space->ids[at] != id)
		at++;
	SIM_ASSERT(at < space->ids_count);
	memmove(space->ids + at, space->ids + at + 1, (--space->ids_count - at) * sizeof *space->ids);
	if (space->ids_count == 0)
		end_space(processes, space);
}

/* ---- processes ---- */

static struct user_task *add_task(struct attribution *self, uint32_t number, uint32_t id, uint32_t space)
{
	struct user_task *task = number_map_add(&self->processes.tasks, (uint64_t)number + 1, sizeof *task);
	task->id = id;
	task->space = space;
	self->processes.live++;
	enter_space(&self->processes, space, id);
	return task;
}

static struct user_task *push_fork(struct attribution *self, const struct attribution_event *event, uint32_t number,
                                   uint32_t parent, uint32_t space, enum fork_kind kind)
{
	uint32_t id = window_new_id(self);
	const struct process_profile fork = {.kind = OP_PROCESS_FORK, .order = kind};
	processes_push(self, event, id, &fork, process_address(parent, space));
	self->summary->process_ops++;
	self->summary->processes += kind == FORK_PROCESS;
	self->summary->threads += kind == FORK_THREAD;
	return add_task(self, number, id, space);
}

static struct user_task *push_create(struct attribution *self, const struct attribution_event *event, uint32_t number)
{
	uint32_t id = window_new_id(self), space = new_space(&self->processes, event, number);
	processes_push(self, event, id, &(struct process_profile){.kind = OP_PROCESS_CREATE}, process_address(0, space));
	self->summary->process_ops++;
	self->summary->processes++;
	return add_task(self, number, id, space);
}

void processes_exec(struct attribution *self, const struct attribution_event *event, struct user_task *task)
{
	uint32_t old = task->space;
	task->space = new_space(&self->processes, event, event->task);
	task->fault_page = 0;
	processes_push(self, event, task->id, &(struct process_profile){.kind = OP_PROCESS_EXEC},
	               process_address(0, task->space));
	self->summary->process_ops++;
	self->summary->execs++;
	self->processes.on_cpu[event->cpu] = task->id + 1;
	enter_space(&self->processes, task->space, task->id);
	leave_space(&self->processes, old, task->id);
}

void processes_fork(struct attribution *self, const struct attribution_event *event, uint32_t number)
{
	struct processes *processes = &self->processes;
	const struct user_task *parent = processes_of(self, event);
	uint32_t id = parent->id, from = parent->space, space = new_space(processes, event, number);
	user_pages_fork(&processes->spaces[space], &processes->spaces[from]);
	push_fork(self, event, number, id, space, FORK_PROCESS);
	processes->on_cpu[event->cpu] = id + 1;
}

void processes_thread(struct attribution *self, const struct attribution_event *event, uint32_t number)
{
	const struct user_task *parent = processes_of(self, event);
	push_fork(self, event, number, parent->id, parent->space, FORK_THREAD);
}

void processes_exit(struct attribution *self, const struct attribution_event *event, struct user_task *task)
{
	struct processes *processes = &self->processes;
	window_push(self, event, task->id, KMT_FREE, 0);
	window_release_id(self, task->id);
	self->summary->process_ops++;
	for (uint32_t cpu = 0; cpu < processes->cpus; cpu++)
		if (processes->on_cpu[cpu] == task->id + 1)
			processes->on_cpu[cpu] = 0;
	leave_space(processes, task->space, task->id);
	number_map_remove(&processes->tasks, task, sizeof *task);
	processes->live--;
}

/* ---- events ---- */

/* A thread that is seen for the first time to have an address space. */
static struct user_task *make_process(struct attribution *self, const struct attribution_event *event)
{
	struct processes *processes = &self->processes;
	uint32_t mm = event->process.mm;
	bool told = event->kind == TEXT_RSS_STAT, known = told && event->process.current;
	/* What a thread names now as not its own is not its own yet, whatever it says of it later. */
	if (!known && later_space(self->later, event->task, &mm))
		known = !told || mm != event->process.mm;
	const struct mm_entry *shared = known ? processes_mm(processes, mm) : NULL;
	if (shared)
		return push_fork(self, event, event->task, processes->spaces[shared->space].ids[0], shared->space, FORK_THREAD);
	struct user_task *made = push_create(self, event, event->task);
	if (known)
		processes_bind_mm(processes, made->space, mm);
	return made;
}

struct user_task *processes_of(struct attribution *self, const struct attribution_event *event)
{
	struct user_task *task = processes_task(&self->processes, event->task);
	return task ? task : make_process(self, event);
}

static void leave_out(struct attribution *self, uint64_t *reason)
{
	self->summary->events_left_out++;
	(*reason)++;
}

static void fault(struct attribution *self, const struct attribution_event *event)
{
	if (event->task == 0 || event->ptr_state != POINTER_VALUE || !user_pages_hold(self, event->ptr)) {
		leave_out(self, &self->summary->left_wild_faults);
		return;
	}
	struct user_task *task = processes_of(self, event);
	/* What execve writes to is the new space. */
	if ((event->process.error_code & (FAULT_USER | FAULT_WRITE)) == FAULT_WRITE && lives_exec_under_way(self, event->task))
		lives_exec(self, event, task);
	self->processes.on_cpu[event->cpu] = task->id + 1;
	user_pages_fault(self, event, task);
	self->summary->events_used++;
}

/* A thread's own space, told by rss_stat. */
static void own_space(struct attribution *self, const struct attribution_event *event)
{
	struct processes *processes = &self->processes;
	struct user_task *task = processes_of(self, event);
	struct user_space *space = &processes->spaces[task->space];
	uint32_t mm = event->process.mm;
	const struct mm_entry *entry = processes_mm(processes, mm);
	if (entry && entry->space != task->space) {
		self->summary->threads_apart += !space->late;
		space->late = true;
	} else if (!entry && space->mm_known && lives_told(self)) {
		lives_other_space(self, event, task);
	} else if (!entry && space->mm_known) {
		processes_exec(self, event, task);
		processes_bind_mm(processes, task->space, mm);
	} else if (!entry) {
		processes_bind_mm(processes, task->space, mm);
	}
}

/* Whether what is told of the space is its end; one that grows is another at the same place. */
static bool is_dying(struct processes *processes, const struct text_process *told)
{
	struct dying_mm *dying = number_map_find(&processes->dying, (uint64_t)told->mm + 1, sizeof *dying);
	if (!dying)
		return false;
	bool shrinks = told->rss_pages <= dying->pages[told->member];
	dying->pages[told->member] = told->rss_pages;
	bool empty = true;
	for (unsigned member = 0; member < SPACE_MEMBERS; member++)
		empty = empty && dying->pages[member] == 0;
	if (empty || !shrinks)
		number_map_remove(&processes->dying, dying, sizeof *dying);
	return shrinks;
}

/* A space of no task, named by a thread that has another or none: it is being made. */
static void made_space(struct attribution *self, const struct attribution_event *event)
{
	struct processes *processes = &self->processes;
	uint32_t mm = event->process.mm;
	if (event->task == 0 || is_dying(processes, &event->process))
		return;
	uint32_t owner = later_owner(self->later, mm);
	if (owner == 0)
		return;
	struct user_task *maker = processes_task(processes, event->task);
	if (owner == event->task) {
		/* A kernel thread that becomes a program is a process from its first fault on. */
		if (maker) {
			processes_exec(self, event, maker);
			processes_bind_mm(processes, maker->space, mm);
		}
		return;
	}
	struct user_task *stale = processes_task(processes, owner);
	if (stale)
		processes_exit(self, event, stale);
	processes_fork(self, event, owner);
	processes_bind_mm(processes, processes_task(processes, owner)->space, mm);
}

/* One that is being made, or whose thread names it as not its own any more; execve names several times what it makes. */
static void other_space(struct attribution *self, const struct attribution_event *event)
{
	const struct mm_entry *entry = processes_mm(&self->processes, event->process.mm);
	struct user_task *task = processes_task(&self->processes, event->task);
	if (!entry && lives_told(self)) {
		lives_making(task, &event->process);
	} else if (!entry) {
		made_space(self, event);
	} else if (task && task->space == entry->space && self->processes.spaces[entry->space].owned) {
		if (!lives_exec_under_way(self, event->task))
			processes_exit(self, event, task);
		else
			lives_exec(self, event, task);
		is_dying(&self->processes, &event->process);
	}
}

void processes_sample(struct trace_space *told, const struct text_process *process)
{
	uint64_t pages = process->rss_pages > 0 ? (uint64_t)process->rss_pages : 0, resident = 0;
	told->mm = process->mm;
	told->samples++;
	told->last_pages[process->member] = pages;
	if (pages > told->peak_pages[process->member])
		told->peak_pages[process->member] = pages;
	for (unsigned member = 0; member < SPACE_MEMBERS; member++)
		resident += member == SPACE_SWAP ? 0 : told->last_pages[member];
	if (resident > told->peak_resident)
		told->peak_resident = resident;
}

static void rss_stat(struct attribution *self, const struct attribution_event *event)
{
	leave_out(self, &self->summary->left_rss_stats);
	if (!event->process.has_mm)
		return;
	if (event->process.current && event->task != 0)
		own_space(self, event);
	else
		other_space(self, event);
	const struct mm_entry *entry = processes_mm(&self->processes, event->process.mm);
	if (!entry)
		return;
	struct user_space *space = &self->processes.spaces[entry->space];
	space->owned = space->owned || event->process.current;
	processes_sample(&space->told, &event->process);
}

/* What a switch leaves behind is told by the switch; what it goes on with may be a thread that no event named yet. */
static void sched_switch(struct attribution *self, const struct attribution_event *event)
{
	struct processes *processes = &self->processes;
	struct user_task *before = event->process.gone ? processes_task(processes, event->process.prev_task) : NULL;
	if (before && event->process.prev_task != 0)
		processes_exit(self, event, before);
	const struct user_task *next = event->process.next_task ? processes_task(processes, event->process.next_task) : NULL;
	uint32_t *on_cpu = &processes->on_cpu[event->cpu];
	uint32_t now = next ? next->id + 1 : 0;
	if (*on_cpu == now) {
		leave_out(self, &self->summary->left_switches);
		return;
	}
	*on_cpu = now;
	const struct process_profile profile = {.kind = next ? OP_PROCESS_SWITCH : OP_PROCESS_LEAVE};
	processes_push(self, event, next ? next->id : 0, &profile, 0);
	self->summary->events_used++;
}

void processes_event(struct attribution *self, const struct attribution_event *event)
{
	struct processes *processes = &self->processes;
	if (!processes->any)
		processes->on_cpu = xcalloc(TEXT_CPUS_MAX, sizeof *processes->on_cpu);
	processes->any = true;
	if (event->cpu >= processes->cpus)
		processes->cpus = event->cpu + 1u;
	if (event->kind == TEXT_PAGE_FAULT)
		fault(self, event);
	else if (event->kind == TEXT_RSS_STAT)
		rss_stat(self, event);
	else if (event->kind == TEXT_SCHED_SWITCH)
		sched_switch(self, event);
	else
		lives_event(self, event);
}

void processes_check(const struct attribution *self)
{
	const struct processes *processes = &self->processes;
	uint64_t ids = 0, bound = 0, tasks = 0;
	for (uint32_t i = 0; i < processes->spaces_count; i++) {
		const struct user_space *space = &processes->spaces[i];
		ids += space->ids_count;
		bound += space->ids_count > 0 && space->mm_known;
		user_pages_check(self, space);
		for (unsigned member = 0; member < SPACE_MEMBERS; member++)
			SIM_ASSERT(space->told.peak_pages[member] >= space->told.last_pages[member]);
	}
	for (size_t slot = 0; slot <= processes->tasks.mask; slot++) {
		const struct user_task *task = (const void *)(processes->tasks.entries + slot * sizeof *task);
		tasks += task->key != 0;
		SIM_ASSERT(task->key == 0 || processes->spaces[task->space].ids_count > 0);
	}
	SIM_ASSERT(ids == processes->live && tasks == processes->live && bound == processes->mms.count);
	SIM_ASSERT(self->summary->processes == processes->spaces_count - self->summary->execs);
}
