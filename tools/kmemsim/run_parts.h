/* SPDX-License-Identifier: MIT
 *
 * run_parts.h - the parts of one run, shared by the files that make them (run_models, run_machine), write down what they hold and
 * counted (run_dumps, run_results) and compare the end with a recording (run_expect). run.c calls these in order, and
 * tools/bench/bench_process.c, which looks at the clock between them; nobody else includes this.
 *
 * Functions that return bool return false with *error filled.
 */
#ifndef TOOLS_RUN_PARTS_H
#define TOOLS_RUN_PARTS_H

#include "models/kernel_code.h"
#include "models/mmu_settings.h"
#include "models/page_reclaim/process_pages.h"
#include "models/start_state.h"
#include "sim/kernel_map.h"
#include "sim/meminfo.h"
#include "sim/procfs.h"
#include "sim/replay.h"
#include "sim/state_moment.h"
#include "tools/kmemsim/run.h"
#include "tools/kmemsim/timed_machine.h"

/* Everything a run is made of; each part is NULL until it is made, so that run_release() can take apart what there is. */
struct run_parts {
	const struct run *run;
	struct trace *trace;
	struct store *store;
	struct layout layout;
	struct steps steps;
	struct page_allocator *pages;
	struct object_allocator *objects;
	struct virtual_allocator *areas; /* NULL: the recording has none */
	struct user_memory *users;       /* NULL: the recording has no processes */
	struct access_source *accesses;  /* NULL: none of its processes is a program whose accesses are known */
	struct process_pages *kept;      /* their pages, by age */
	struct user_tables user_tables;
	struct user_tables_fault user_faults[CPUS_MAX];
	struct page_mapper *mapper;
	struct cache_hierarchy *caches; /* NULL: the memory model has none */
	struct mmus mmus;               /* likewise; cpus 0 */
	struct kernel_map kernel_map;   /* of a machine whose addresses are translated */
	bool mapped;
	struct timed_machine machine;  /* timing: cycles */
	struct kernel_code_image code; /* that its cores fetch */
	bool timed;
	struct chrome_trace *events; /* NULL: not asked for */
	struct dump_request dump;
	struct procfs_slabinfo recorded;  /* empty: the recording has no slabinfo of its end */
	struct start_state start, expect; /* path NULL: none */
	struct state_moment start_moment, end_moment;
	struct trace_window window;
	struct replay *replay;
	double replay_s;
	struct cache_view owner_view; /* of the name that was asked for last */
};

/* Whether the machine is of x86-32. */
bool run_is_32bit(const struct run_parts *parts);

/* Makes the allocators and, with timing: cycles, the machine. parts->trace, .start and .accesses are there already. */
bool run_make_models(struct run_parts *parts, struct error *error);

/* Memory, cores and their clock, and a listener where one is asked for; behind the allocators. Makes the IRQ stacks too. */
bool run_make_machine(struct run_parts *parts, struct error *error);

/* After the kernel's map, which maps them, and before the cores, which use them. */
bool run_make_irq_stacks(struct run_parts *parts, struct error *error);

/* The replay of the recording's window on the parts. */
bool run_make_replay(struct run_parts *parts, struct error *error);

/* Keeps the dumps of a sample; struct replay_parts.dump, whose context is the parts. */
bool run_write_dumps(void *parts, uint32_t sample, bool last, struct error *error);

/* Memory by kind, checked. */
struct meminfo run_meminfo(const struct run_parts *parts);

/* Names of what ops are counted for; they live as long as the parts. */
struct op_cost_names run_names(struct run_parts *parts);

/* Writes what every part counted. is_whole: the replay came to its end. */
bool run_write_results(struct run_parts *parts, bool is_whole, struct error *error);

/* Takes apart what there is; the store stays open. */
void run_release(struct run_parts *parts);

/* Tells and stores how the end compares with the recording; nothing without a recorded state. */
bool run_write_expectation(struct run_parts *parts, struct error *error);

#endif
