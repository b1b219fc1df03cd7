/* SPDX-License-Identifier: MIT
 *
 * trace_lives.c - forks, new programs and ends of tasks where events tell of them (interface and data: trace_processes.h; rules:
 * docs/formats.md, "Processes").
 *
 * In the kernel's order (kernel/fork.c, fs/exec.c, kernel/exit.c of Linux 6.1):
 *
 *   fork    the child's space is named by its maker (curr=0) as it is filled; then task_newtask
 *   execve  the new space is named by its maker (curr=0) as it gets its arguments; the thread changes over to it; the old space,
 *           if nobody else has it, is taken apart (curr=0); the kernel writes to the new one; then sched_process_exec
 *   exit    the space, if nobody else has it, is taken apart (curr=0); then sched_process_exit
 *
 * So a space that is made waits in the task that makes it (struct user_task, making) until it is told whose it is, and what comes
 * later tells whether a space is taken apart by an exec or by the end.
 */
#include "sim/trace_attribution.h"
#include "sim/trace_later.h"
#include "sim/trace_processes.h"

bool lives_told(const struct attribution *self)
{
	return self->later->forks_told && self->later->execs_told;
}

void lives_making(struct user_task *task, const struct text_process *told)
{
	if (!task)
		return;
	if (task->making.samples > 0 && task->making.mm != told->mm)
		task->making = (struct trace_space){0};
	processes_sample(&task->making, told);
}

/* The space gets the number and the counts of what was made for it, if that was told. */
static void take_made(struct processes *processes, uint32_t index, const struct trace_space *made)
{
	struct trace_space *told = &processes->spaces[index].told;
	if (made->samples == 0 || processes_mm(processes, made->mm))
		return;
	const struct trace_space before = *told;
	*told = *made;
	told->first_ns = before.first_ns;
	told->task = before.task;
	processes_bind_mm(processes, index, made->mm);
}

bool lives_exec_under_way(const struct attribution *self, uint32_t number)
{
	const struct user_task *task = processes_task(&self->processes, number);
	return task && !task->exec_made && task->making.samples > 0 && lives_told(self) && later_exec(self->later, number);
}

void lives_exec(struct attribution *self, const struct attribution_event *event, struct user_task *task)
{
	const struct trace_space made = task->making;
	task->making = (struct trace_space){0};
	task->exec_made = true;
	processes_exec(self, event, task);
	take_made(&self->processes, task->space, &made);
}

void lives_other_space(struct attribution *self, const struct attribution_event *event, struct user_task *task)
{
	struct processes *processes = &self->processes;
	uint32_t mm = event->process.mm;
	if (lives_exec_under_way(self, event->task))
		lives_exec(self, event, task);
	struct user_space *space = &processes->spaces[task->space];
	if (space->mm_known && space->mm == mm)
		return;
	/* Its number was told wrongly, or not at all: events were lost. */
	if (space->mm_known)
		number_map_remove(&processes->mms, processes_mm(processes, space->mm), sizeof(struct mm_entry));
	processes_bind_mm(processes, task->space, mm);
}

/* Kernel threads are no processes: they have no space of their own, whatever task makes them. */
static void new_task(struct attribution *self, const struct attribution_event *event)
{
	struct processes *processes = &self->processes;
	const struct text_process *told = &event->process;
	struct user_task *stale = processes_task(processes, told->next_task);
	bool shares = told->clone_flags & CLONE_SHARES_SPACE;
	if (event->task == 0 || told->next_task == 0 || told->next_task == event->task)
		return;
	if (stale)
		processes_exit(self, event, stale);
	if (shares && (told->clone_flags & CLONE_OF_KERNEL || !processes_task(processes, event->task)))
		return;
	if (shares) {
		processes_thread(self, event, told->next_task);
		return;
	}
	processes_fork(self, event, told->next_task);
	struct user_task *parent = processes_task(processes, event->task);
	take_made(processes, processes_task(processes, told->next_task)->space, &parent->making);
	parent->making = (struct trace_space){0};
}

/*
 * MODEL: where another thread than a process's first becomes a program, and with it takes over the first one's number, it ends
 * and a process of that number begins.
 */
static void new_program(struct attribution *self, const struct attribution_event *event)
{
	struct processes *processes = &self->processes;
	const struct text_process *told = &event->process;
	struct user_task *task = processes_task(processes, told->prev_task);
	if (told->next_task != told->prev_task) {
		if (task)
			processes_exit(self, event, task);
		return;
	}
	if (!task)
		return;
	if (!task->exec_made)
		lives_exec(self, event, task);
	processes->spaces[task->space].program = told->program;
	task->exec_made = false;
	task->making = (struct trace_space){0};
}

void lives_event(struct attribution *self, const struct attribution_event *event)
{
	self->summary->events_left_out++;
	self->summary->left_lives++;
	struct user_task *task;
	switch (event->kind) {
	case TEXT_NEW_TASK:
		if (lives_told(self))
			new_task(self, event);
		return;
	case TEXT_PROCESS_EXEC:
		if (lives_told(self))
			new_program(self, event);
		return;
	default:
		task = processes_task(&self->processes, event->process.prev_task);
		if (task)
			processes_exit(self, event, task);
	}
}
