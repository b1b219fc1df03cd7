/* SPDX-License-Identifier: MIT
 *
 * process.c - processes: how they begin, become another program, and end (interface: mm.h).
 *
 * Source: Linux 6.1 kernel/fork.c: copy_process(), dup_task_struct(), dup_mm(), dup_mmap(), mmput(), __mmdrop(); mm/memory.c:
 * copy_page_range(), copy_present_pte(), vma_needs_copy(); mm/huge_memory.c: copy_huge_pmd(); fs/exec.c: do_execveat_common(),
 * exec_mmap(), setup_arg_pages(); mm/mmap.c: exit_mmap(); kernel/exit.c: do_exit(), release_task().
 * MODEL: what RCU frees later (task, credentials, pid, signal) is freed at once, and so are stacks beyond the two that a CPU
 * keeps. MODEL: of execve the file and its headers, argument strings of more than a page and the new credentials are left out.
 */
#include "models/kernel_code.h"
#include "models/user_memory/mm.h"

#include <stdlib.h>

/* arch/x86/include/asm/page_64_types.h: THREAD_SIZE_ORDER; thread_info.h: THREADINFO_GFP. */
#define STACK_ORDER 2u
#define STACK_GFP (GFP_KERNEL | __GFP_ACCOUNT | __GFP_ZERO)
#define STACK_CALL \
	((struct virtual_request){.call = CALL_THREAD_STACK, .size = PAGE_SIZE << STACK_ORDER, .caller = "dup_task_struct"})
#define BPRM_BYTES 416u /* sizeof(struct linux_binprm), as recorded */
#define NAMES_OF_EXEC 2u

/* ---- address spaces ---- */

static void list_space(struct mm *mm, struct space *space)
{
	if (mm->spaces_count == mm->spaces_room) {
		mm->spaces_room = mm->spaces_room ? 2 * mm->spaces_room : 16;
		mm->spaces = xrealloc(mm->spaces, mm->spaces_room * sizeof(struct space *));
	}
	space->slot = mm->spaces_count;
	mm->spaces[mm->spaces_count++] = space;
}

static void unlist_space(struct mm *mm, const struct space *space)
{
	mm->spaces[space->slot] = mm->spaces[--mm->spaces_count];
	mm->spaces[space->slot]->slot = space->slot;
}

/* __mmdrop() */
void space_free(struct mm *mm, struct space *space, unsigned cpu)
{
	SIM_ASSERT(space->areas_count == 0);
	tables_release(mm, space, cpu);
	mm_free_object(mm, OBJECT_MM, &space->object, cpu);
	unlist_space(mm, space);
	free(space);
}

static struct space *space_make(struct mm *mm, unsigned cpu)
{
	struct object object = mm_object(mm, OBJECT_MM, GFP_KERNEL, cpu);
	if (!object.at.addr)
		return NULL;
	struct space *space = xcalloc(1, sizeof *space);
	*space = (struct space){.object = object, .sharers = 1, .lazy = 1, .ctx_id = ++mm->next_ctx_id, .last_cpu = cpu};
	step_write(mm->steps, object.at, MM_CPUMASK);
	if (!tables_init(mm, space, cpu)) {
		mm_free_object(mm, OBJECT_MM, &object, cpu);
		free(space);
		return NULL;
	}
	list_space(mm, space);
	return space;
}

struct ending {
	struct mm *mm;
	struct space *space;
	unsigned cpu;
};

static void zap_entry(void *context, const struct entry *entry, uint64_t linear)
{
	const struct ending *ending = context;
	entry_zap(ending->mm, ending->space, entry, linear, ending->cpu);
}

/* exit_mmap(): nobody runs in it any more. */
static void empty_space(struct mm *mm, struct space *space, unsigned cpu)
{
	struct ending ending = {mm, space, cpu};
	lock_space(mm, space, false);
	gather_begin(mm);
	tables_visit(mm, space, 0, mm->user_end, zap_entry, &ending);
	unlock_space(mm, space, false);
	lock_space(mm, space, true);
	bool freed = tables_prune(mm, space, 0, mm->user_end, cpu);
	gather_end(mm, space, true, freed, cpu);
	areas_release(mm, space, cpu);
	unlock_space(mm, space, true);
}

/* mmput() of a thread that has left it. */
static void leave_space(struct mm *mm, struct space *space, unsigned cpu)
{
	step_atomic(mm->steps, mm_field(&space->object, MM_USERS), 4);
	if (--space->sharers > 0)
		return;
	khugepaged_exit(mm, space, cpu);
	empty_space(mm, space, cpu);
	space_put(mm, space, cpu);
}

/* A new program's address space: its stack, and in it a page with the arguments. */
static struct space *make_program(struct mm *mm, unsigned cpu)
{
	struct space *space = space_make(mm, cpu);
	if (!space)
		return NULL;
	const struct user_area_request stack = user_stack_request(mm->user_end);
	uint64_t arguments = user_stack_end(mm->user_end) - PAGE_SIZE;
	if (areas_map(mm, space, &stack, cpu) == USER_OK && fault_touch(mm, space, arguments, ACCESS_STORE, cpu) == USER_OK)
		return space;
	leave_space(mm, space, cpu);
	return NULL;
}

/* ---- fork's copy of page tables ---- */

struct copying {
	struct mm *mm;
	struct space *from, *to;
	struct table *locked, *locked_copy;
	unsigned cpu;
	bool failed;
};

static void unlock_both(struct copying *copying)
{
	if (copying->locked) {
		entry_unlock(copying->mm, &(struct entry){.table = copying->locked});
		entry_unlock(copying->mm, &(struct entry){.table = copying->locked_copy});
	}
	copying->locked = copying->locked_copy = NULL;
}

static void lock_both(struct copying *copying, const struct entry *from, const struct entry *to)
{
	if (copying->locked == from->table)
		return;
	unlock_both(copying);
	entry_lock(copying->mm, to);
	entry_lock(copying->mm, from);
	copying->locked = from->table;
	copying->locked_copy = to->table;
}

/* copy_present_pte(), copy_huge_pmd(): the child's entry for a page. Areas that share their pages do not come here. */
static uint64_t share_page(struct copying *copying, const struct entry *from, uint64_t word)
{
	struct mm *mm = copying->mm;
	pfn frame = pfn_of((uint32_t)((word & WORD_FRAME) >> PAGE_SHIFT));
	bool whole = from->level > 0;
	step_atomic(mm->steps, page_field(mm, frame, PAGE_REFCOUNT), 4);
	mm->page[frame.nr].exclusive = false;
	page_mapped(mm, copying->to, frame, whole);
	if (word & WORD_WRITE)
		entry_write(mm, from, word & ~WORD_WRITE);
	return word & ~(WORD_WRITE | WORD_ACCESSED);
}

static void copy_entry(void *context, const struct entry *from, uint64_t linear)
{
	struct copying *copying = context;
	struct mm *mm = copying->mm;
	struct entry to;
	if (copying->failed)
		return;
	if (copying->locked != from->table)
		unlock_both(copying);
	/* What makes room for the child's table may take a huge page apart: then its parts are copied (-EAGAIN of
	 * copy_huge_pmd()). */
	if (!tables_entry(mm, copying->to, linear, from->level, true, copying->cpu, &to) ||
	    (from->level > 0 && !huge_deposit(mm, copying->to, to.table, copying->cpu))) {
		copying->failed = true;
		return;
	}
	if (from->level > 0 && from->table->child[from->index]) {
		huge_withdraw(mm, copying->to, to.table, copying->cpu);
		tables_visit(mm, copying->from, linear, linear + HUGE_BYTES, copy_entry, copying);
		return;
	}
	lock_both(copying, from, &to);
	step_run(mm->steps, CODE_FORK_ENTRY, mm->cost.fork_entry);
	entry_read(mm, from);
	uint64_t word = entry_word(from);
	/* What made room for the child's table may have taken a file's page away. */
	if (!word)
		return;
	mm->counters.entries_forked++;
	if (word & WORD_SPECIAL) {
		mm->counters.zero_entries++;
	} else if (word & WORD_SWAP) {
		copying->to->rss[MAPPED_NOT]++;
		if (mm->port.watcher.swap_taken)
			mm->port.watcher.swap_taken(mm->port.watcher.context, (word & WORD_FRAME) >> WORD_SWAP_SHIFT);
	} else {
		word = share_page(copying, from, word);
	}
	entry_write(mm, &to, word);
}

/* copy_page_range(): what can be had again by a fault is not copied, so nothing of shared memory and shared files. */
static bool copy_area(struct mm *mm, struct space *to, struct space *from, const struct area *area, unsigned cpu)
{
	struct copying copying = {.mm = mm, .from = from, .to = to, .cpu = cpu};
	if (!area->anon_vma)
		return true;
	tables_visit(mm, from, area->start, area->end, copy_entry, &copying);
	unlock_both(&copying);
	return !copying.failed;
}

/* dup_mm(), dup_mmap() */
static struct space *copy_space(struct mm *mm, struct space *from, unsigned cpu)
{
	struct space *to = space_make(mm, cpu);
	if (!to)
		return NULL;
	step_read(mm->steps, from->object.at, MM_CPUMASK);
	to->has_moved = from->has_moved;
	lock_space(mm, from, true);
	khugepaged_fork(mm, to, from, cpu);
	bool copied = true;
	for (uint32_t i = 0; copied && i < from->areas_count; i++)
		copied = area_fork(mm, to, from->areas[i], cpu) && copy_area(mm, to, from, from->areas[i], cpu);
	flush_range(mm, from, 0, UINT32_MAX, true, cpu);
	unlock_space(mm, from, true);
	if (copied)
		return to;
	leave_space(mm, to, cpu);
	return NULL;
}

/* ---- processes ---- */

static uint32_t take_process(struct mm *mm)
{
	if (mm->free_count > 0)
		return mm->free_processes[--mm->free_count];
	if (mm->processes_count == mm->processes_room) {
		mm->processes_room = mm->processes_room ? 2 * mm->processes_room : 16;
		mm->processes = xrealloc(mm->processes, mm->processes_room * sizeof *mm->processes);
		mm->free_processes = xrealloc(mm->free_processes, mm->processes_room * sizeof *mm->free_processes);
	}
	return mm->processes_count++;
}

static bool take_stack(struct mm *mm, struct process *process, unsigned cpu)
{
	process->stack_pages = PFN_NONE;
	if (mm->stacks) {
		process->stack = virtual_get(mm->stacks, &STACK_CALL, cpu).at;
		return process->stack.addr != 0;
	}
	process->stack_pages = page_alloc(mm->pages, STACK_ORDER, STACK_GFP, cpu);
	if (process->stack_pages.nr == UINT32_MAX)
		return false;
	mm->counters.stack_pages += 1u << STACK_ORDER;
	return true;
}

static void give_stack(struct mm *mm, struct process *process, unsigned cpu)
{
	if (process->stack.addr) {
		enum virtual_free_result result = virtual_put(mm->stacks, process->stack, &STACK_CALL, cpu);
		SIM_ASSERT(result == VIRTUAL_FREE_OK);
	}
	if (process->stack_pages.nr != UINT32_MAX) {
		enum page_free_result result = page_free(mm->pages, process->stack_pages, STACK_ORDER, cpu);
		SIM_ASSERT(result == PAGE_FREE_OK);
		mm->counters.stack_pages -= 1u << STACK_ORDER;
	}
}

/* The structures of a task but its address space; threads share most of them. */
static bool take_structures(struct mm *mm, struct process *process, bool thread, unsigned cpu)
{
	const struct {
		struct object *object;
		enum object_kind kind;
		bool shared;
	} parts[] = {{&process->credentials, OBJECT_CRED, true},
	             {&process->files, OBJECT_FILES, true},
	             {&process->fs, OBJECT_FS, true},
	             {&process->sighand, OBJECT_SIGHAND, true},
	             {&process->signal, OBJECT_SIGNAL, true}};
	process->task = mm_object(mm, OBJECT_TASK, GFP_KERNEL, cpu);
	if (!process->task.at.addr || !take_stack(mm, process, cpu))
		return false;
	step_write(mm->steps, process->task.at, 2944);
	for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
		if (thread && parts[i].shared)
			continue;
		*parts[i].object = mm_object(mm, parts[i].kind, GFP_KERNEL, cpu);
		if (!parts[i].object->at.addr)
			return false;
	}
	return true;
}

static void give_structures(struct mm *mm, struct process *process, unsigned cpu)
{
	const struct {
		struct object *object;
		enum object_kind kind;
	} parts[] = {{&process->files, OBJECT_FILES},      {&process->fs, OBJECT_FS},
	             {&process->sighand, OBJECT_SIGHAND},  {&process->pid, OBJECT_PID},
	             {&process->credentials, OBJECT_CRED}, {&process->signal, OBJECT_SIGNAL},
	             {&process->task, OBJECT_TASK}};
	give_stack(mm, process, cpu);
	for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
		if (parts[i].object->at.addr)
			mm_free_object(mm, parts[i].kind, parts[i].object, cpu);
}

/* Enters a process whose address space `space` is; frees what it has where that is NULL, or there is no memory for its pid. */
static process_id enter_process(struct mm *mm, struct process *made, struct space *space, unsigned cpu)
{
	made->space = space;
	if (space)
		made->pid = mm_object(mm, OBJECT_PID, GFP_KERNEL, cpu);
	if (!made->pid.at.addr) {
		if (space)
			leave_space(mm, space, cpu);
		give_structures(mm, made, cpu);
		mm->counters.forks_failed++;
		return PROCESS_NONE;
	}
	uint32_t nr = take_process(mm);
	made->used = true;
	made->on_cpu = UINT32_MAX;
	mm->processes[nr] = *made;
	return (process_id){nr};
}

process_id process_create(struct mm *mm, unsigned cpu)
{
	struct process made = {.stack_pages = PFN_NONE};
	step_run(mm->steps, CODE_FORK, mm->cost.fork);
	step_run(mm->steps, CODE_EXEC, mm->cost.exec);
	bool taken = take_structures(mm, &made, false, cpu);
	process_id process = enter_process(mm, &made, taken ? make_program(mm, cpu) : NULL, cpu);
	mm->counters.processes_created += process.nr != UINT32_MAX;
	return process;
}

process_id process_fork(struct mm *mm, process_id parent, bool thread, unsigned cpu)
{
	struct process made = {.thread = thread, .stack_pages = PFN_NONE};
	struct process *from = process_of(mm, parent);
	if (!from)
		return PROCESS_NONE;
	switch_to_process(mm, parent, cpu);
	step_run(mm->steps, CODE_FORK, mm->cost.fork);
	step_read(mm->steps, from->task.at, 2944);
	struct space *space = NULL;
	bool taken = take_structures(mm, &made, thread, cpu);
	if (taken && thread) {
		space = from->space;
		space->sharers++;
		step_atomic(mm->steps, mm_field(&space->object, MM_USERS), 4);
	} else if (taken) {
		space = copy_space(mm, from->space, cpu);
	}
	process_id process = enter_process(mm, &made, space, cpu);
	mm->counters.processes_forked += process.nr != UINT32_MAX && !thread;
	mm->counters.threads_created += process.nr != UINT32_MAX && thread;
	return process;
}

/* What execve needs for itself. */
static bool take_exec(struct mm *mm, struct object names[NAMES_OF_EXEC], struct object *bprm, unsigned cpu)
{
	for (unsigned i = 0; i < NAMES_OF_EXEC; i++)
		names[i] = mm_object(mm, OBJECT_NAMES, GFP_KERNEL, cpu);
	*bprm = object_kmalloc(mm->objects, BPRM_BYTES, GFP_KERNEL | __GFP_ZERO, cpu);
	return names[0].at.addr && names[1].at.addr && bprm->at.addr;
}

static void give_exec(struct mm *mm, const struct object names[NAMES_OF_EXEC], const struct object *bprm, unsigned cpu)
{
	if (bprm->at.addr) {
		enum object_free_result result = object_kfree(mm->objects, bprm->at, cpu);
		SIM_ASSERT(result == OBJECT_FREE_OK);
	}
	for (unsigned i = NAMES_OF_EXEC; i-- > 0;)
		if (names[i].at.addr)
			mm_free_object(mm, OBJECT_NAMES, &names[i], cpu);
}

enum user_result process_exec(struct mm *mm, process_id process, unsigned cpu)
{
	struct process *at = process_of(mm, process);
	struct object names[NAMES_OF_EXEC], bprm;
	if (!at)
		return USER_NO_PROCESS;
	switch_to_process(mm, process, cpu);
	step_run(mm->steps, CODE_EXEC, mm->cost.exec);
	struct space *space = take_exec(mm, names, &bprm, cpu) ? make_program(mm, cpu) : NULL;
	if (space) {
		struct space *old = at->space;
		at->space = space;
		switch_to_space(mm, space, cpu);
		leave_space(mm, old, cpu);
		mm->counters.execs++;
	}
	give_exec(mm, names, &bprm, cpu);
	return space ? USER_OK : USER_NO_MEMORY;
}

void process_exit(struct mm *mm, process_id process, unsigned cpu)
{
	struct process *at = process_of(mm, process);
	SIM_ASSERT(at);
	switch_to_process(mm, process, cpu);
	step_run(mm->steps, CODE_EXIT, mm->cost.exit);
	struct process gone = *at;
	/* exit_mm(): the CPU keeps the space for now, without a task of it. */
	switch_to_kernel(mm, cpu);
	leave_space(mm, gone.space, cpu);
	give_structures(mm, &gone, cpu);
	mm->processes[process.nr] = (struct process){0};
	mm->free_processes[mm->free_count++] = process.nr;
	mm->counters.exits++;
}
