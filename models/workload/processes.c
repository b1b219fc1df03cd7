/* SPDX-License-Identifier: MIT
 *
 * processes.c - a shell that starts programs, and programs that take turns on the cores, each with memory of its own.
 *
 * The shell is a process with a heap that it has written. A round of the load is a turn: on one core after the other the next
 * process goes on, and touches a part of its working set, page after page, in an order of chance. When a process has had `turns`
 * of them it ends, and the shell forks another one in its place: the child writes some of the shell's pages (each a copy), runs
 * execve, maps a program (text and data of a file, heap, anonymous memory) and goes on from there. Between two turns a core may
 * run a kernel thread.
 */
#include "models/kernel_load.h"
#include "sim/port/user_memory.h"

#include <stdlib.h>

enum program_advice { ADVICE_NONE, ADVICE_HUGEPAGE, ADVICE_NOHUGEPAGE };
static const char *const advice_names[] = {"none", "hugepage", "nohugepage", NULL};

struct processes {
	char *name;
	struct load_pace pace;
	uint32_t live, pages, touched, accesses, writes, turns, inherited, copied, kernel, threads, unmap, dontneed, lazyfree,
	        protect, remap;
	enum program_advice advice;
};

#define AT(field) .offset = offsetof(struct processes, field), .size = sizeof(((struct processes *)0)->field)

#define NUMBER(key_, unit_, default_, min_, max_, help_) \
	{ \
		.key = #key_, .type = SETTING_COUNT, .unit = unit_, .default_text = default_, .min = min_, .max = max_, \
		.help = help_, .source = LOAD_CHOICE, AT(key_) \
	}

static const struct setting keys[] = {
        SETTING_LINE_NAME(struct processes, "processes"),
        LOAD_PACE_KEYS(struct processes, "turns", "10000", "5000"),
        NUMBER(live, "processes", "8", 1, 10000, "Programs that live at once; they take turns, each always on the same core"),
        NUMBER(pages, "pages", "256", 1, 1000000, "Anonymous memory of a program"),
        NUMBER(touched, "pages", "64", 1, 1000000, "Working set: so many of them, the same ones at every turn"),
        NUMBER(accesses, "accesses", "4", 1, 512, "To each page of the working set at a turn, spread over it"),
        NUMBER(writes, "percent", "30", 0, 100, "Of the pages of a working set are written at a turn, others read"),
        NUMBER(turns, "turns", "100", 1, 1000000000, "Of a program; then it ends, and another one is forked in its place"),
        NUMBER(inherited, "pages", "64", 1, 1000000, "Heap of the shell, which it has written, and a fork shares"),
        NUMBER(copied, "pages", "8", 0, 1000000, "Of them a child writes before execve"),
        NUMBER(kernel, "percent", "0", 0, 100, "Of the turns end with a kernel thread on the core (lazy TLB)"),
        NUMBER(threads, "threads", "0", 0, 64,
               "Of each program beside its first one, each on the next core; they have its turns by turns"),
        NUMBER(unmap, "percent", "0", 0, 100, "Of the turns end with munmap and mmap of a tenth of the memory"),
        NUMBER(dontneed, "percent", "0", 0, 100, "Of the turns end with madvise(MADV_DONTNEED) of a tenth of the memory"),
        NUMBER(lazyfree, "percent", "0", 0, 100, "Of the turns end with madvise(MADV_FREE) of a tenth of the memory"),
        NUMBER(protect, "percent", "0", 0, 100,
               "Of the turns end with two calls of mprotect of a tenth of the memory: no writes, and writes again"),
        NUMBER(remap, "percent", "0", 0, 100,
               "Of the turns end with two calls of mremap: a tenth of the memory goes elsewhere, and back"),
        {.key = "advice",
         .type = SETTING_ENUM,
         .names = advice_names,
         .default_text = "none",
         .help = "What a program says of its anonymous memory when it maps it: MADV_HUGEPAGE, MADV_NOHUGEPAGE, or nothing",
         .source = LOAD_CHOICE,
         AT(advice)},
        {.key = NULL},
};

/* Where a program's parts lie, as a linker puts them without randomization (not position-independent). */
#define TEXT_START 0x400000u
#define TEXT_PAGES 32u
#define DATA_START 0x600000u
#define DATA_PAGES 8u
#define HEAP_START 0x800000u
#define HEAP_PAGES 16u
/* Where a part of a program's memory goes for a while (remap): below the rest, with room for a tenth of it. */
#define MOVED_START 0x7e0000000000u
#define MOVED_START_32BIT 0x20000000u
#define TEXT_FILE 1u
#define THREADS_MAX 65u
/* Of one op: at 8 bytes an access half of TOUCH_ACCESSES_MAX. */
#define RUN_PAGES 1024u

struct program {
	workload_block threads[THREADS_MAX];
	uint32_t count, turn; /* threads; turns it has had */
	unsigned cpu;
	uint32_t *set; /* owned: pages of its working set */
	bool lives;
};

struct load {
	struct workload *workload;
	const struct processes *values;
	uint64_t start, moved; /* of a program's memory, and of what remap moves of it */
	workload_block shell;
	struct program *programs;
	uint32_t next;
};

/* One page has as many accesses as asked for; a run over several leaves no page out, and may make one more of each. */
static void touch(struct load *load, workload_block process, unsigned cpu, uint64_t address, uint32_t pages, enum touch_kind kind)
{
	uint32_t accesses = load->values->accesses, stride = PAGE_SIZE / accesses;
	for (uint32_t done = 0; done < pages; done += RUN_PAGES) {
		uint32_t now = pages - done < RUN_PAGES ? pages - done : RUN_PAGES;
		const struct workload_touch run = {.address = address + ((uint64_t)done << PAGE_SHIFT),
		                                   .bytes = now > 1 ? now << PAGE_SHIFT : accesses * stride,
		                                   .stride = stride,
		                                   .kind = kind};
		workload_touch(load->workload, cpu, process, &run);
	}
}

static void map(struct load *load, workload_block process, unsigned cpu, uint64_t start, uint64_t pages, enum user_area_kind kind)
{
	const struct user_area_request request = {.start = start, .pages = pages, .kind = kind, .rights = USER_READ | USER_WRITE};
	workload_process_map(load->workload, cpu, process, &request);
}

/* ---- a program ---- */

/* Different pages of the memory, in an order of chance: the first `touched` of a shuffle. */
static void choose_set(struct load *load, struct program *program)
{
	uint32_t pages = load->values->pages, wanted = load->values->touched < pages ? load->values->touched : pages;
	uint32_t *all = xcalloc(pages, sizeof *all);
	for (uint32_t i = 0; i < pages; i++)
		all[i] = i;
	for (uint32_t i = 0; i < wanted; i++) {
		uint32_t other = i + rng_below(workload_rng(load->workload), pages - i), kept = all[i];
		all[i] = all[other];
		all[other] = kept;
	}
	free(program->set);
	program->set = all;
}

static void map_program(struct load *load, const struct program *program)
{
	workload_block process = program->threads[0];
	unsigned cpu = program->cpu;
	workload_process_map(load->workload, cpu, process,
	                     &(struct user_area_request){.start = TEXT_START,
	                                                 .pages = TEXT_PAGES,
	                                                 .kind = USER_FILE_PRIVATE,
	                                                 .rights = USER_READ | USER_EXECUTE,
	                                                 .file = TEXT_FILE});
	workload_process_map(load->workload, cpu, process,
	                     &(struct user_area_request){.start = DATA_START,
	                                                 .pages = DATA_PAGES,
	                                                 .kind = USER_FILE_PRIVATE,
	                                                 .rights = USER_READ | USER_WRITE,
	                                                 .file = TEXT_FILE,
	                                                 .first_page = TEXT_PAGES});
	map(load, process, cpu, HEAP_START, HEAP_PAGES, USER_HEAP);
	map(load, process, cpu, load->start, load->values->pages, USER_ANONYMOUS);
	if (load->values->advice != ADVICE_NONE)
		workload_process_advise(load->workload, cpu, process, load->start, load->values->pages,
		                        load->values->advice == ADVICE_HUGEPAGE ? USER_HUGEPAGE : USER_NOHUGEPAGE);
	touch(load, process, cpu, TEXT_START, TEXT_PAGES, TOUCH_EXECUTE);
	touch(load, process, cpu, DATA_START, DATA_PAGES, TOUCH_WRITE);
	touch(load, process, cpu, HEAP_START, HEAP_PAGES, TOUCH_WRITE);
}

static void start_program(struct load *load, uint32_t nr)
{
	struct program *program = &load->programs[nr];
	const struct processes *values = load->values;
	struct workload *workload = load->workload;
	unsigned cpus = workload_cpus(workload);
	program->cpu = nr % cpus;
	/* The shell runs where its child will. */
	program->threads[0] = workload_process_fork(workload, program->cpu, load->shell, FORK_PROCESS);
	uint32_t copied = values->copied < values->inherited ? values->copied : values->inherited;
	if (copied > 0)
		touch(load, program->threads[0], program->cpu, HEAP_START, copied, TOUCH_WRITE);
	workload_process_exec(workload, program->cpu, program->threads[0]);
	map_program(load, program);
	program->count = 1;
	for (uint32_t thread = 0; thread < values->threads; thread++)
		program->threads[program->count++] =
		        workload_process_fork(workload, program->cpu, program->threads[0], FORK_THREAD);
	choose_set(load, program);
	program->turn = 0;
	program->lives = true;
}

static void end_program(struct load *load, struct program *program)
{
	unsigned cpus = workload_cpus(load->workload);
	while (program->count > 0) {
		program->count--;
		workload_process_exit(load->workload, (program->cpu + program->count) % cpus, program->threads[program->count]);
	}
	program->lives = false;
}

static void use_memory(struct load *load, const struct program *program, workload_block thread, unsigned cpu)
{
	const struct processes *values = load->values;
	uint32_t count = values->touched < values->pages ? values->touched : values->pages;
	for (uint32_t i = 0; i < count; i++)
		touch(load, thread, cpu, load->start + ((uint64_t)program->set[i] << PAGE_SHIFT), 1,
		      load_chance(load->workload, values->writes) ? TOUCH_WRITE : TOUCH_READ);
}

/* Where one of the tenths of the memory begins, by chance. */
static uint64_t any_tenth(struct load *load, uint64_t *pages)
{
	uint64_t tenth = load->values->pages / 10 + 1;
	uint64_t parts = load->values->pages / tenth;
	*pages = tenth;
	return load->start + (rng_below(workload_rng(load->workload), (uint32_t)parts) * tenth << PAGE_SHIFT);
}

/* A tenth of the memory goes, and comes back empty. */
static void renew_memory(struct load *load, workload_block thread, unsigned cpu)
{
	uint64_t pages, start = any_tenth(load, &pages);
	workload_process_unmap(load->workload, cpu, thread, start, pages);
	map(load, thread, cpu, start, pages, USER_ANONYMOUS);
}

static void advise_memory(struct load *load, workload_block thread, unsigned cpu, enum user_advice advice)
{
	uint64_t pages, start = any_tenth(load, &pages);
	workload_process_advise(load->workload, cpu, thread, start, pages, advice);
}

/* A tenth of the memory goes elsewhere, as an allocator that makes a large block larger has it, and comes back. */
static void move_memory(struct load *load, workload_block thread, unsigned cpu)
{
	uint64_t pages, start = any_tenth(load, &pages);
	struct user_remap away = {.start = start, .pages = pages, .to = load->moved, .new_pages = pages + 1};
	struct user_remap back = {.start = load->moved, .pages = pages + 1, .to = start, .new_pages = pages};
	workload_process_remap(load->workload, cpu, thread, &away);
	workload_process_remap(load->workload, cpu, thread, &back);
}

static void protect_memory(struct load *load, workload_block thread, unsigned cpu)
{
	uint64_t pages, start = any_tenth(load, &pages);
	workload_process_protect(load->workload, cpu, thread, start, pages, USER_READ);
	workload_process_protect(load->workload, cpu, thread, start, pages, USER_READ | USER_WRITE);
}

/* ---- the load ---- */

static void *begin(struct workload *workload, const void *opaque)
{
	struct load *load = xcalloc(1, sizeof *load);
	load->workload = workload;
	load->values = opaque;
	load->programs = xcalloc(load->values->live, sizeof *load->programs);
	load->start = workload_map_start(workload);
	load->moved = load->start > UINT32_MAX ? MOVED_START : MOVED_START_32BIT;
	load->shell = workload_process_create(workload, 0);
	if (!workload_has_room(workload, load->start, load->values->pages, "pages") ||
	    !workload_has_room(workload, HEAP_START, load->values->inherited, "inherited"))
		return load;
	map(load, load->shell, 0, HEAP_START, load->values->inherited, USER_HEAP);
	touch(load, load->shell, 0, HEAP_START, load->values->inherited, TOUCH_WRITE);
	return load;
}

static void step(void *opaque)
{
	struct load *load = opaque;
	const struct processes *values = load->values;
	uint32_t nr = load->next++ % values->live;
	struct program *program = &load->programs[nr];
	if (program->lives && program->turn == values->turns)
		end_program(load, program);
	if (!program->lives)
		start_program(load, nr);
	uint32_t at = program->turn++ % program->count;
	workload_block thread = program->threads[at];
	unsigned cpu = (program->cpu + at) % workload_cpus(load->workload);
	workload_process_switch(load->workload, cpu, thread);
	use_memory(load, program, thread, cpu);
	if (load_chance(load->workload, values->unmap))
		renew_memory(load, thread, cpu);
	/* Loads without it draw what they always drew. */
	if (values->dontneed && load_chance(load->workload, values->dontneed))
		advise_memory(load, thread, cpu, USER_DONTNEED);
	if (values->lazyfree && load_chance(load->workload, values->lazyfree))
		advise_memory(load, thread, cpu, USER_FREE);
	if (values->protect && load_chance(load->workload, values->protect))
		protect_memory(load, thread, cpu);
	if (values->remap && load_chance(load->workload, values->remap))
		move_memory(load, thread, cpu);
	if (load_chance(load->workload, values->kernel))
		workload_process_leave(load->workload, cpu);
}

static void end(void *opaque)
{
	struct load *load = opaque;
	for (uint32_t nr = 0; nr < load->values->live; nr++) {
		if (load->programs[nr].lives)
			end_program(load, &load->programs[nr]);
		free(load->programs[nr].set);
	}
	workload_process_exit(load->workload, 0, load->shell);
	free(load->programs);
	free(load);
}

static void generate(struct workload *workload, const void *values)
{
	kernel_load_generate(workload, &processes_load, values, &((const struct processes *)values)->pace);
}

const struct workload_ops workload_processes_ops = {
        .name = "processes",
        .help = "a shell's programs that take turns on the cores: fork, execve, a working set, switches, exit",
        .keys = keys,
        .values_bytes = sizeof(struct processes),
        .generate = generate,
};

const struct kernel_load processes_load = {.workload = &workload_processes_ops, .begin = begin, .step = step, .end = end};
