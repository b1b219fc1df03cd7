/* SPDX-License-Identifier: MIT
 *
 * trace_processes.h - what an import knows of processes, from events of faults, counters, switches and lives (interface of
 * trace_processes.c, trace_lives.c and trace_user_pages.c; rules: docs/formats.md, "Processes").
 *
 *   tasks    thread number -> the process it is, by its op's id, and its address space
 *   mms      number of an address space in rss_stat -> the address space, while a task lives in it
 *   spaces   every address space there was, in order of first sight; what rss_stat told of it travels in the .kmt
 *
 * Laws: a process's id is a task's; each address space with tasks lists their ids; page blocks that are a space's pages stand in
 * its `pages` under their frames, unless a later fault has given the page another frame, or they lie in no area; pages in `pages`
 * are mapped; a region has a touched page, and its touched pages are mapped.
 */
#ifndef SIM_TRACE_PROCESSES_H
#define SIM_TRACE_PROCESSES_H

#include "sim/trace.h"
#include "sim/trace_table.h"

struct attribution;
struct text_process;
struct attribution_event;
struct page_block;

/* What is known of a space's pages is kept by 2 MiB, a table of pages. */
#define REGION_SHIFT 21u
#define REGION_PAGES (1u << (REGION_SHIFT - PAGE_SHIFT))
#define REGION_WORDS (REGION_PAGES / 64)
/*
 * MODEL: what an area is is in no event; one is taken to cover the 1 MiB around a page that is touched, so that no huge page has
 * room; or the 2 MiB where a fault got one.
 */
#define AREA_PAGES (REGION_PAGES / 2)
/* MODEL: likewise of a file; pages that a fault of one maps at most (default of fault_around_bytes, mm/memory.c), aligned. */
#define WINDOW_PAGES 16u
/* Places in address spaces, each far from the others, where files of one program lie. */
#define FILE_BASES 8u

struct user_task {
	uint64_t key; /* thread number + 1 */
	uint32_t id;  /* of its ops */
	uint32_t space;
	uint64_t fault_page; /* a fault that is not over yet: its page + 1, 0 = none */
	bool fault_writes;
	bool exec_made;            /* the exec that is under way is an op already */
	struct trace_space making; /* the space that it makes, as rss_stat tells it; samples 0: none */
};

struct user_page {
	uint64_t key; /* page + 1 */
	uint32_t frame;
};

struct user_region {
	uint64_t key;                                         /* address >> REGION_SHIFT, + 1 */
	uint64_t mapped[REGION_WORDS], touched[REGION_WORDS]; /* a bit a page: in an area; had a fault since */
};

/* What lies near the page `at` of an address space is taken to be of this file. */
struct file_base {
	uint64_t at;
	uint32_t file;
};

/* The number of a program's file at its n-th base. */
struct program_file {
	uint64_t key; /* program << 8 | n, + 1 */
	uint32_t file;
};

/* Pages beside each other that are given back: one unmap. */
struct pending_unmap {
	uint64_t first, pages; /* 0: none */
	uint32_t space;
	uint64_t time_ns, line; /* of the first of them */
	uint16_t cpu;
};

struct user_space {
	struct trace_space told;
	bool mm_known, late; /* late: rss_stat told too late that it is another's */
	bool owned;          /* a thread named it as its own */
	uint32_t mm;
	uint32_t program; /* hash of its program's path; 0: not told */
	uint32_t bases_count;
	struct file_base bases[FILE_BASES];
	uint32_t *ids; /* of its tasks; owned */
	uint32_t ids_count, ids_room;
	struct number_map pages, regions; /* of areas alone, not of the stack; released when the last task leaves */
};

struct mm_entry {
	uint64_t key; /* number + 1 */
	uint32_t space;
};

/* An address space that no task is in any more and that is taken apart. */
struct dying_mm {
	uint64_t key;
	int64_t pages[SPACE_MEMBERS]; /* by enum space_member */
};

struct processes {
	bool any; /* an event of processes was seen */
	struct number_map tasks, mms, dying, files;
	uint32_t files_count;
	struct pending_unmap pending;
	struct user_space *spaces;
	uint32_t spaces_count, spaces_room;
	uint32_t *on_cpu; /* by CPU: id + 1 of the process that runs there, 0 = none; owned */
	uint32_t cpus;    /* that processes were seen on */
	uint64_t live;    /* tasks that are processes */
};

void processes_init(struct processes *processes);
void processes_release(struct processes *processes);
/* An event of processes. */
void processes_event(struct attribution *self, const struct attribution_event *event);
/* Another event; true: it is the page allocation of a fault or of a page table, and done with. */
bool processes_take(struct attribution *self, const struct attribution_event *event);
/* A block of a user page is freed. */
void processes_page_gone(struct attribution *self, const struct attribution_event *event, const struct page_block *block);
void processes_check(const struct attribution *self);
/* What rss_stat told, for the file; owned by the caller. */
struct trace_space *processes_spaces(const struct processes *processes);

/*
 * trace_processes.c, for trace_lives.c
 */

/* NULL: the thread is no process. */
struct user_task *processes_task(const struct processes *processes, uint32_t number);
/* The event's thread, which becomes a process if it is none. */
struct user_task *processes_of(struct attribution *self, const struct attribution_event *event);
/* NULL: no task lives in a space of that number. */
struct mm_entry *processes_mm(const struct processes *processes, uint32_t mm);
/* No task may live in another of that number. */
void processes_bind_mm(struct processes *processes, uint32_t space, uint32_t mm);
/* The event's thread makes a process or a thread of that number, which is none yet. */
void processes_fork(struct attribution *self, const struct attribution_event *event, uint32_t number);
void processes_thread(struct attribution *self, const struct attribution_event *event, uint32_t number);
/* The task goes on in a new space, whose number is not known. */
void processes_exec(struct attribution *self, const struct attribution_event *event, struct user_task *task);
void processes_exit(struct attribution *self, const struct attribution_event *event, struct user_task *task);
void processes_sample(struct trace_space *told, const struct text_process *process);

/*
 * trace_lives.c
 */

/* Whether task_newtask and sched_process_exec tell who forks and execs; else rss_stat must. */
bool lives_told(const struct attribution *self);
/* task_newtask, sched_process_exec or sched_process_exit. */
void lives_event(struct attribution *self, const struct attribution_event *event);
/* A space that nobody has is named by a task that has another; task may be NULL. */
void lives_making(struct user_task *task, const struct text_process *told);
/* Whether the thread makes a space for a program that is told of later. */
bool lives_exec_under_way(const struct attribution *self, uint32_t number);
/* The exec that is under way leaves the old space now. */
void lives_exec(struct attribution *self, const struct attribution_event *event, struct user_task *task);
/* A task names as its own a space that nobody has, and not the one that it was known to have. */
void lives_other_space(struct attribution *self, const struct attribution_event *event, struct user_task *task);

/*
 * trace_user_pages.c
 */

/* Whether an address may be a process's. */
bool user_pages_hold(const struct attribution *self, uint64_t address);
/* Makes an area around the page if none is there, touches it, and waits for the fault's page allocation. */
void user_pages_fault(struct attribution *self, const struct attribution_event *event, struct user_task *task);
/* A child's areas are its parent's. */
void user_pages_fork(struct user_space *child, const struct user_space *parent);
/* Writes down what was given back; before any event but the free of a page. */
void user_pages_flush(struct attribution *self);
/* Known pages lie in areas. */
void user_pages_check(const struct attribution *self, const struct user_space *space);

/* Writes down an op of a process. `order`, `gfp`, `bytes_req` and `bytes_alloc` as struct op has them. */
struct process_profile {
	enum op_kind kind;
	unsigned order;
	gfp gfp;
	uint32_t bytes_req, bytes_alloc;
};
void processes_push(struct attribution *self, const struct attribution_event *event, uint32_t id,
                    const struct process_profile *profile, uint64_t address);

#endif
