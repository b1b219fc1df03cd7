/* SPDX-License-Identifier: MIT
 *
 * core.h - simulated cores that pay for steps.
 *
 * A decided op's steps go to the end of its core's queue (core_push). The core runs them one after the other: instruction cycles
 * pass, accesses take as long as the memory says, a taken lock makes it wait for its turn. After each step a core lets go first
 * whoever is due before its next one, so steps of all cores reach memory and locks in the order of the cycles they start at.
 *
 * Law: a core's busy cycles = the sum of the parts of its cost.
 */
#ifndef SIM_CORE_H
#define SIM_CORE_H

#include "sim/cost.h"
#include "sim/event.h"
#include "sim/histogram.h"
#include "sim/lock.h"
#include "sim/metric.h"
#include "sim/port/memory.h"
#include "sim/steps.h"
#include "sim/touched.h"

/* Ops that may wait in one core's queue before the replay waits for the core. */
#define CORE_JOBS 64

/* Kinds of jobs that have a histogram of their own. */
enum job_kind { JOB_OBJECT_ALLOC, JOB_OBJECT_FREE, JOB_PAGE_ALLOC, JOB_PAGE_FREE, JOB_DAEMON, JOB_KINDS };

/* What is measured of a job, each a histogram for each kind. */
enum job_measure {
	JOB_CYCLES, /* from its first step to the end of its last */
	JOB_LINES,  /* different cache lines that its steps touch, those of locks too */
	JOB_PAGES,  /* different pages: the TLB entries it needs where pages are of 4 KiB */
	JOB_MEASURES
};

/* The histogram's name in the database, "cycles_per_alloc", "lines_per_alloc" ..., and its unit. */
const char *job_histogram_name(enum job_measure measure, enum job_kind kind);
const char *job_histogram_unit(enum job_measure measure);

struct core_counters {
	uint64_t jobs;
	uint64_t busy_cycles;
	struct cost cost; /* where they went */
};

extern const struct metric core_metrics[];

struct core_job {
	struct step *at;
	uint32_t count, capacity;
	enum job_kind kind;
	uint32_t owner;
};

struct machine;

struct core {
	struct event event; /* queued while the core runs; first member */
	struct machine *machine;
	unsigned cpu;
	struct core_job jobs[CORE_JOBS];
	unsigned first, queued;
	uint32_t position; /* in the first job's steps */
	cycle started;     /* of the first job */
	struct lock *waits_for;
	cycle waits_since;
	struct core_counters counters;
};

struct machine {
	struct event_queue queue;
	struct lock_table locks;
	struct memory *memory; /* not owned */
	unsigned cpus;
	struct core *cores;
	uint32_t owner; /* of the job whose step runs now: who watches the memory's levels reads it (level_watch.h) */
	cycle horizon;  /* ops may still arrive after it, so no core runs further ahead than one step */
	struct touched lines, pages; /* of the job that ends */
	struct histogram measured[JOB_MEASURES][JOB_KINDS];
};

/* cpus in 1..CPUS_MAX; line_bytes, of a cache line, is a power of two. The memory outlives the machine. */
void machine_init(struct machine *machine, unsigned cpus, uint32_t line_bytes, struct memory *memory);
void machine_release(struct machine *machine);

/*
 * Hands a copy of the steps to a core. If its queue is full, time passes until there is room. owner: whom the accesses are
 * counted for, 0 for nobody in particular.
 */
void core_push(struct machine *machine, unsigned cpu, enum job_kind kind, uint32_t owner, const struct steps *steps);

/* Lets time pass up to and including a cycle before which no more ops will arrive. */
void machine_run_until(struct machine *machine, cycle until);

/* No more ops will arrive: lets time pass until every core's queue is empty. */
void machine_drain(struct machine *machine);

/* The sum of all cores' counters. */
struct core_counters machine_counters(const struct machine *machine);

void machine_check(const struct machine *machine);

#endif
