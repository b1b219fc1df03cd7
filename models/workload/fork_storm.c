/* SPDX-License-Identifier: MIT
 *
 * fork_storm.c - processes that are forked, run another program or not, and exit, at a rate.
 *
 * A step is a fork by a core, in the order of copy_process() (Linux 6.1, kernel/fork.c): task and stack, credentials, files, fs,
 * signals, address space (dup_mmap: areas, their reverse maps, nodes of the maple tree, page tables), pid; then the pages that
 * the two write (copies). A share of the children calls execve (fs/exec.c): a new address space takes the place of the old. When
 * `live` processes live, the oldest exits on its core (do_exit: pages, reverse maps, tables, areas, tree; files, fs), and the
 * parent's core reaps it (release_task). Objects that RCU frees come back later, on the core that gave them to RCU.
 *
 * Source of the numbers: allocations by each call site in traces/qemu-512m-slub-small, part "files" (130 forks, none of them
 * calls execve) and "fork" (132 forks, 72 call execve): a busybox shell, which is small. docs/workloads.md compares.
 * MODEL: every process is like every other.
 */
#include "models/kernel_load.h"
#include "sim/port/virtual_allocator.h"

#include <stdlib.h>

extern const struct workload_ops workload_fork_storm_ops;

struct fork_storm {
	char *name;
	struct load_pace pace;
	uint64_t grace_ns;
	uint32_t live, exec, away;
	uint32_t areas, mapped, tables, pages;
	uint32_t exec_areas, exec_mapped, exec_tables, exec_pages, exec_nodes;
	bool vmap_stack;
};

#define AT(field) .offset = offsetof(struct fork_storm, field), .size = sizeof(((struct fork_storm *)0)->field)
#define RECORDED "recorded: a shell of busybox (traces/qemu-512m-slub-small)"

/* A row of so many objects of a process. */
#define OBJECTS(name, field, what, number, text) \
	{ \
		.key = name, .type = SETTING_COUNT, .unit = what, .default_text = number, .min = 0, .max = 1000000, \
		.help = text, .source = RECORDED, AT(field) \
	}

static const struct setting keys[] = {
        SETTING_LINE_NAME(struct fork_storm, "fork_storm"),
        LOAD_PACE_KEYS(struct fork_storm, "forks", "1000", "300"),
        {.key = "live",
         .type = SETTING_COUNT,
         .unit = "processes",
         .default_text = "8",
         .min = 1,
         .max = 100000,
         .help = "Processes that live at once; then each fork ends the oldest",
         .source = LOAD_CHOICE,
         AT(live)},
        {.key = "exec",
         .type = SETTING_COUNT,
         .unit = "percent",
         .default_text = "55",
         .min = 0,
         .max = 100,
         .help = "Of the processes call execve",
         .source = RECORDED ": 72 of 132 in its part of forks",
         AT(exec)},
        {.key = "away",
         .type = SETTING_COUNT,
         .unit = "percent",
         .default_text = "50",
         .min = 0,
         .max = 100,
         .help = "Of the processes run on another core than their parent",
         .source = LOAD_CHOICE,
         AT(away)},
        OBJECTS("areas", areas, "areas", "10", "Areas (vm_area_struct) that a fork copies"),
        OBJECTS("mapped", mapped, "areas", "5", "Of them with private pages: an anon_vma and two anon_vma_chain each"),
        OBJECTS("tables", tables, "pages", "8", "Page tables of a forked process"),
        OBJECTS("pages", pages, "pages", "14", "Pages that it or its parent writes, and so copies"),
        OBJECTS("exec_areas", exec_areas, "areas", "10", "Areas of a new program"),
        OBJECTS("exec_mapped", exec_mapped, "areas", "4", "Of them with private pages: an anon_vma and an anon_vma_chain each"),
        OBJECTS("exec_tables", exec_tables, "pages", "10", "Page tables of a new program"),
        OBJECTS("exec_pages", exec_pages, "pages", "8", "Pages that a new program writes"),
        OBJECTS("exec_nodes", exec_nodes, "nodes", "14", "Maple nodes of which execve makes all but the last in vain"),
        {.key = "vmap_stack",
         .type = SETTING_BOOL,
         .default_text = "true",
         .help = "Stacks are vmalloc'ed, two a core kept for the next (VMAP_STACK); else blocks of order 2",
         .source = "Debian's and x86-64's default; the recorded kernels have it off",
         AT(vmap_stack)},
        LOAD_GRACE_KEY(struct fork_storm),
        {.key = NULL},
};

#define STACK_ORDER 2                                       /* THREAD_SIZE_ORDER, arch/x86/include/asm/page_64_types.h */
#define TABLE_GFP (GFP_KERNEL | __GFP_ZERO | __GFP_ACCOUNT) /* GFP_PGTABLE_USER (pgalloc.h), THREADINFO_GFP (thread_info.h) */
#define USER_GFP (GFP_HIGHUSER_MOVABLE | __GFP_COMP)
#define GATHER_PAGES 8    /* MMU_GATHER_BUNDLE, include/asm-generic/tlb.h: more pages need a page to list them */
#define BPRM_BYTES 416    /* struct linux_binprm, as recorded */
#define HEADERS_BYTES 560 /* program headers of a busybox, as recorded */
#define EXEC_NAMES 2      /* path and interpreter or argument, as recorded */

/* An address space, in the order in which exit_mmap() frees it. */
enum space_part { SPACE_PAGES, SPACE_MAPS, SPACE_TABLES, SPACE_AREAS, SPACE_NODES, SPACE_PARTS };

struct process {
	unsigned parent, cpu;
	workload_block task, stack, credentials, signal, sighand, files, fs, pid, pid_node, mm;
	struct block_list space[SPACE_PARTS];
};

struct kinds {
	workload_kind task, stack;
	workload_kind credentials, files, fs, sighand, signal, mm, pid, pid_node, sigqueue;
	workload_kind area_copy, anon_vma, chain_clone, chain_fork, node, table, page, gather;
	workload_kind bprm, name, headers, filp, exec_mm, exec_area, exec_chain, exec_page, exec_credentials;
};

struct storm {
	struct workload *workload;
	const struct fork_storm *values;
	struct rcu_frees rcu;
	struct kinds kinds;
	struct process *processes; /* ring of values->live */
	uint64_t forked, exited;
};

static void name_fork_kinds(struct kinds *kinds, struct workload *workload, bool vmap_stack)
{
	kinds->task = kernel_object(workload, CACHE_TASK_STRUCT, "dup_task_struct", GFP_KERNEL);
	kinds->stack = vmap_stack
	                       ? workload_area(workload, "alloc_thread_stack_node", CALL_THREAD_STACK, PAGE_SIZE << STACK_ORDER)
	                       : workload_pages(workload, "alloc_thread_stack_node", STACK_ORDER, TABLE_GFP);
	kinds->credentials = kernel_object(workload, CACHE_CRED_JAR, "prepare_creds", GFP_KERNEL);
	kinds->files = kernel_object(workload, CACHE_FILES, "dup_fd", GFP_KERNEL);
	kinds->fs = kernel_object(workload, CACHE_FS, "copy_fs_struct", GFP_KERNEL);
	kinds->sighand = kernel_object(workload, CACHE_SIGHAND, "copy_sighand", GFP_KERNEL);
	kinds->signal = kernel_object(workload, CACHE_SIGNAL, "copy_signal", GFP_KERNEL | __GFP_ZERO);
	kinds->mm = kernel_object(workload, CACHE_MM_STRUCT, "dup_mm", GFP_KERNEL);
	kinds->pid = kernel_object(workload, CACHE_PID, "alloc_pid", GFP_KERNEL);
	kinds->pid_node = kernel_object(workload, CACHE_RADIX_TREE_NODE, "alloc_pid", GFP_ATOMIC | __GFP_NOWARN);
	kinds->sigqueue = kernel_object(workload, CACHE_SIGQUEUE, "__sigqueue_alloc", GFP_ATOMIC);
	kinds->area_copy = kernel_object(workload, CACHE_VM_AREA_STRUCT, "vm_area_dup", GFP_KERNEL);
	kinds->anon_vma = kernel_object(workload, CACHE_ANON_VMA, "anon_vma_alloc", GFP_KERNEL);
	kinds->chain_clone = kernel_object(workload, CACHE_ANON_VMA_CHAIN, "anon_vma_clone", GFP_NOWAIT | __GFP_NOWARN);
	kinds->chain_fork = kernel_object(workload, CACHE_ANON_VMA_CHAIN, "anon_vma_fork", GFP_KERNEL);
	kinds->node = kernel_object(workload, CACHE_MAPLE_NODE, "mas_alloc_nodes", GFP_KERNEL);
	kinds->table = workload_pages(workload, "pte_alloc_one", 0, TABLE_GFP);
	kinds->page = workload_pages(workload, "wp_page_copy", 0, USER_GFP);
	kinds->gather = workload_pages(workload, "tlb_next_batch", 0, GFP_NOWAIT | __GFP_NOWARN);
}

static void name_exec_kinds(struct kinds *kinds, struct workload *workload)
{
	kinds->bprm = workload_kmalloc(workload, "alloc_bprm", BPRM_BYTES, GFP_KERNEL | __GFP_ZERO);
	kinds->name = kernel_object(workload, CACHE_NAMES, "getname_flags", GFP_KERNEL);
	kinds->headers = workload_kmalloc(workload, "load_elf_phdrs", HEADERS_BYTES, GFP_KERNEL);
	kinds->filp = kernel_object(workload, CACHE_FILP, "__alloc_file", GFP_KERNEL | __GFP_ZERO);
	kinds->exec_mm = kernel_object(workload, CACHE_MM_STRUCT, "mm_alloc", GFP_KERNEL);
	kinds->exec_area = kernel_object(workload, CACHE_VM_AREA_STRUCT, "vm_area_alloc", GFP_KERNEL);
	kinds->exec_chain = kernel_object(workload, CACHE_ANON_VMA_CHAIN, "__anon_vma_prepare", GFP_KERNEL);
	kinds->exec_page = workload_pages(workload, "do_anonymous_page", 0, USER_GFP | __GFP_ZERO);
	kinds->exec_credentials = kernel_object(workload, CACHE_CRED_JAR, "prepare_exec_creds", GFP_KERNEL);
}

static void *begin(struct workload *workload, const void *opaque)
{
	const struct fork_storm *values = opaque;
	struct storm *storm = xcalloc(1, sizeof *storm);
	storm->workload = workload;
	storm->values = values;
	rcu_frees_init(&storm->rcu, workload, values->grace_ns);
	name_fork_kinds(&storm->kinds, workload, values->vmap_stack);
	name_exec_kinds(&storm->kinds, workload);
	storm->processes = xcalloc(values->live, sizeof *storm->processes);
	return storm;
}

/* ---- address spaces ---- */

static void copy_space(struct storm *storm, struct process *process, unsigned cpu)
{
	struct workload *workload = storm->workload;
	const struct fork_storm *values = storm->values;
	const struct kinds *kinds = &storm->kinds;
	process->mm = workload_alloc(workload, cpu, kinds->mm);
	block_list_alloc(&process->space[SPACE_NODES], workload, cpu, kinds->node, 1);
	for (uint32_t area = 0; area < values->areas; area++) {
		block_list_alloc(&process->space[SPACE_AREAS], workload, cpu, kinds->area_copy, 1);
		if (area >= values->mapped)
			continue;
		block_list_alloc(&process->space[SPACE_MAPS], workload, cpu, kinds->chain_clone, 1);
		block_list_alloc(&process->space[SPACE_MAPS], workload, cpu, kinds->anon_vma, 1);
		block_list_alloc(&process->space[SPACE_MAPS], workload, cpu, kinds->chain_fork, 1);
	}
	block_list_alloc(&process->space[SPACE_TABLES], workload, cpu, kinds->table, values->tables);
}

/* exit_mmap() and mmdrop(). */
static void free_space(struct storm *storm, struct process *process, unsigned cpu)
{
	struct workload *workload = storm->workload;
	if (process->space[SPACE_PAGES].count > GATHER_PAGES) {
		workload_block gather = workload_alloc(workload, cpu, storm->kinds.gather);
		block_list_free(&process->space[SPACE_PAGES], workload, cpu);
		workload_free(workload, cpu, gather);
	}
	for (unsigned part = SPACE_PAGES; part < SPACE_PARTS; part++)
		block_list_free(&process->space[part], workload, cpu);
	workload_free(workload, cpu, process->mm);
}

/* ---- a process ---- */

static void copy_process(struct storm *storm, struct process *process)
{
	struct workload *workload = storm->workload;
	const struct kinds *kinds = &storm->kinds;
	unsigned cpu = process->parent;
	process->task = workload_alloc(workload, cpu, kinds->task);
	process->stack = workload_alloc(workload, cpu, kinds->stack);
	process->credentials = workload_alloc(workload, cpu, kinds->credentials);
	process->files = workload_alloc(workload, cpu, kinds->files);
	process->fs = workload_alloc(workload, cpu, kinds->fs);
	process->sighand = workload_alloc(workload, cpu, kinds->sighand);
	process->signal = workload_alloc(workload, cpu, kinds->signal);
	copy_space(storm, process, cpu);
	process->pid = workload_alloc(workload, cpu, kinds->pid);
	/* Few pids are in use, far from each other: each has a node of the tree for itself. */
	process->pid_node = workload_alloc(workload, cpu, kinds->pid_node);
}

/* Areas, their maps and tables of the new program, in the address space that execve made. */
static void map_program(struct storm *storm, struct process *process)
{
	struct workload *workload = storm->workload;
	const struct fork_storm *values = storm->values;
	const struct kinds *kinds = &storm->kinds;
	unsigned cpu = process->cpu;
	for (uint32_t area = 0; area < values->exec_areas; area++)
		block_list_alloc(&process->space[SPACE_AREAS], workload, cpu, kinds->exec_area, 1);
	for (uint32_t area = 0; area < values->exec_mapped; area++) {
		block_list_alloc(&process->space[SPACE_MAPS], workload, cpu, kinds->exec_chain, 1);
		block_list_alloc(&process->space[SPACE_MAPS], workload, cpu, kinds->anon_vma, 1);
	}
	for (uint32_t node = 0; node < values->exec_nodes; node++) {
		workload_block made = workload_alloc(workload, cpu, kinds->node);
		if (node + 1 < values->exec_nodes)
			rcu_frees_add(&storm->rcu, cpu, made);
		else
			block_list_add(&process->space[SPACE_NODES], made);
	}
	block_list_alloc(&process->space[SPACE_TABLES], workload, cpu, kinds->table, values->exec_tables);
	block_list_alloc(&process->space[SPACE_PAGES], workload, cpu, kinds->exec_page, values->exec_pages);
}

/* begin_new_exec() by the child, on its core: what execve needs for itself, and another address space and credentials. */
static void exec(struct storm *storm, struct process *process)
{
	struct workload *workload = storm->workload;
	const struct kinds *kinds = &storm->kinds;
	unsigned cpu = process->cpu;
	struct block_list own = {0};
	block_list_alloc(&own, workload, cpu, kinds->name, EXEC_NAMES);
	block_list_alloc(&own, workload, cpu, kinds->bprm, 1);
	workload_block mm = workload_alloc(workload, cpu, kinds->exec_mm);
	workload_block credentials = workload_alloc(workload, cpu, kinds->exec_credentials);
	workload_block file = workload_alloc(workload, cpu, kinds->filp);
	block_list_alloc(&own, workload, cpu, kinds->headers, 1);
	free_space(storm, process, cpu);
	process->mm = mm;
	rcu_frees_add(&storm->rcu, cpu, process->credentials);
	process->credentials = credentials;
	map_program(storm, process);
	rcu_frees_add(&storm->rcu, cpu, file);
	block_list_free(&own, workload, cpu);
	block_list_release(&own);
}

/*
 * An area's end is the virtual allocator's matter: two stacks are kept on each core for the next (NR_CACHED_STACKS).
 * MODEL: those that are not kept are freed at once; a kernel's wait for RCU first, like a block of pages here.
 */
static void free_stack(struct storm *storm, const struct process *process)
{
	if (storm->values->vmap_stack)
		workload_free(storm->workload, process->cpu, process->stack);
	else
		rcu_frees_add(&storm->rcu, process->cpu, process->stack);
}

/* do_exit() on the child's core, then release_task() on the parent's. */
static void end_process(struct storm *storm, struct process *process)
{
	struct workload *workload = storm->workload;
	free_space(storm, process, process->cpu);
	workload_free(workload, process->cpu, process->files);
	workload_free(workload, process->cpu, process->fs);
	workload_block child_signal = workload_alloc(workload, process->cpu, storm->kinds.sigqueue);
	free_stack(storm, process);
	unsigned cpu = process->parent;
	workload_free(workload, cpu, child_signal);
	workload_free(workload, cpu, process->sighand);
	rcu_frees_add(&storm->rcu, cpu, process->pid_node);
	rcu_frees_add(&storm->rcu, cpu, process->pid);
	rcu_frees_add(&storm->rcu, cpu, process->credentials);
	rcu_frees_add(&storm->rcu, cpu, process->signal);
	rcu_frees_add(&storm->rcu, cpu, process->task);
}

static void step(void *load)
{
	struct storm *storm = load;
	struct workload *workload = storm->workload;
	const struct fork_storm *values = storm->values;
	rcu_frees_run(&storm->rcu);
	if (storm->forked - storm->exited == values->live)
		end_process(storm, &storm->processes[storm->exited++ % values->live]);
	struct process *process = &storm->processes[storm->forked++ % values->live];
	process->parent = load_any_cpu(workload);
	process->cpu = load_other_cpu(workload, process->parent, values->away);
	copy_process(storm, process);
	block_list_alloc(&process->space[SPACE_PAGES], workload, process->cpu, storm->kinds.page, values->pages);
	if (load_chance(workload, values->exec))
		exec(storm, process);
}

static void end(void *load)
{
	struct storm *storm = load;
	while (storm->exited < storm->forked)
		end_process(storm, &storm->processes[storm->exited++ % storm->values->live]);
	rcu_frees_end(&storm->rcu);
	for (uint32_t nr = 0; nr < storm->values->live; nr++) {
		for (unsigned part = SPACE_PAGES; part < SPACE_PARTS; part++)
			block_list_release(&storm->processes[nr].space[part]);
	}
	free(storm->processes);
	free(storm);
}

static void generate(struct workload *workload, const void *values)
{
	kernel_load_generate(workload, &fork_storm_load, values, &((const struct fork_storm *)values)->pace);
}

const struct workload_ops workload_fork_storm_ops = {
        .name = "fork_storm",
        .help = "processes forked, exec'ed and reaped at a rate",
        .keys = keys,
        .values_bytes = sizeof(struct fork_storm),
        .generate = generate,
};

const struct kernel_load fork_storm_load = {.workload = &workload_fork_storm_ops, .begin = begin, .step = step, .end = end};
