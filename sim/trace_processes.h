/* SPDX-License-Identifier: MIT
 *
 * trace_processes.h - what an import knows of processes, from page_fault_user, rss_stat and sched_switch (interface of
 * trace_processes.c and trace_user_pages.c; rules: docs/formats.md, "Processes").
 *
 *   tasks    thread number -> the process it is, by its op's id, and its address space
 *   mms      number of an address space in rss_stat -> the address space, while a task lives in it
 *   spaces   every address space there was, in order of first sight; what rss_stat told of it travels in the .kmt
 *
 * Laws: a process's id is a task's; each address space with tasks lists their ids; page blocks that are a space's pages stand in
 * its `pages` under their frames, unless a later fault has given the page another frame, or they lie in no area; an area's
 * `resident` counts at least the known pages in it (those shared at a fork are the parent's blocks).
 */
#ifndef SIM_TRACE_PROCESSES_H
#define SIM_TRACE_PROCESSES_H

#include "sim/trace.h"
#include "sim/trace_table.h"

struct attribution;
struct attribution_event;
struct page_block;

/* MODEL: what an area is is in no event; one is taken to cover the 2 MiB around a page that is touched, a table of pages. */
#define REGION_SHIFT 21u

struct user_task {
	uint64_t key; /* thread number + 1 */
	uint32_t id;  /* of its ops */
	uint32_t space;
	uint64_t fault_page; /* a fault that is not over yet: its page + 1, 0 = none */
	bool fault_writes;
};

struct user_page {
	uint64_t key; /* page + 1 */
	uint32_t frame;
};

struct user_region {
	uint64_t key;      /* address >> REGION_SHIFT, + 1 */
	uint32_t resident; /* pages of it whose frames are known, those of the parent's too */
};

struct user_space {
	struct trace_space told;
	bool mm_known, late; /* late: rss_stat told too late that it is another's */
	bool owned;          /* a thread named it as its own */
	uint32_t mm;
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
	struct number_map tasks, mms, dying;
	struct user_space *spaces;
	uint32_t spaces_count, spaces_room;
	uint32_t *on_cpu; /* by CPU: id + 1 of the process that runs there, 0 = none; owned */
	uint32_t cpus;    /* that processes were seen on */
	uint64_t live;    /* tasks that are processes */
};

void processes_init(struct processes *processes);
void processes_release(struct processes *processes);
/* One of the three events. */
void processes_event(struct attribution *self, const struct attribution_event *event);
/* Another event; true: it is the page allocation of a fault or of a page table, and done with. */
bool processes_take(struct attribution *self, const struct attribution_event *event);
/* A block of a user page is freed. */
void processes_page_gone(struct attribution *self, const struct attribution_event *event, const struct page_block *block);
void processes_check(const struct attribution *self);
/* What rss_stat told, for the file; owned by the caller. */
struct trace_space *processes_spaces(const struct processes *processes);

/*
 * trace_user_pages.c
 */

/* Whether an address may be a process's. */
bool user_pages_hold(const struct attribution *self, uint64_t address);
/* Makes an area around the page if none is there, touches it, and waits for the fault's page allocation. */
void user_pages_fault(struct attribution *self, const struct attribution_event *event, struct user_task *task);
/* A child's areas, and how many pages it shares in each. */
void user_pages_fork(struct user_space *child, const struct user_space *parent);
/* Known pages lie in areas, which count them. */
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
