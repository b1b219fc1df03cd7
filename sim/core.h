/* SPDX-License-Identifier: MIT
 *
 * core.h - simulated cores that pay for steps.
 *
 * A decided op's steps go to the end of its core's queue (core_push). The core runs them in order: instructions take their
 * cycles, accesses take as long as the memory says, a taken lock makes it wait for its turn. After each step a core lets go first
 * whoever is due before its next one, so steps of all cores reach memory and locks in the order of the cycles they start at.
 *
 * The core runs in order, and goes on where it can:
 *
 *   load       goes on at once; whoever needs what it brings waits for it (step_use), and the op's end does. While
 *              misses_in_flight loads that missed the first level are on their way, no further load begins, in the order of the
 *              program; with 1 the core waits for every load, hit or miss.
 *   store      goes into the store buffer, whose lines are fetched at once and written in order (Intel SDM vol. 3A 8.2.2). A
 *              full buffer makes the core wait; with none it waits for every store.
 *   locked     waits for all loads and for the store buffer to drain, then for its own access (Intel SDM vol. 3A 8.2.2, 8.2.3.9)
 *   update     goes on at once, as a load nobody waits for; what it writes goes into the store buffer when its line is there
 *   exchange   waits for its access and machine.core.cmpxchg; what it writes goes into the store buffer
 *   irqs       PUSHF, CLI, STI: machine.core.pushf, .cli, .sti beyond an instruction each; an exception: machine.core.exception
 *   cmpxchg    as locked; if another core has changed the word since this core read it, reads and tries again
 *   unlock     as a store: the lock is free when that has left the store buffer
 *
 * Cores that wait for one lock do what the kernel's queued spin lock does (Linux 6.1 kernel/locking/qspinlock.c): the first of
 * them spins on the lock word, the others queue up, each spinning on a line of its own, and are served in the order of arrival.
 *
 * An interrupt of another core (STEP_IPI) is served where the step at work ends, or at once by a core that has nothing to do or
 * waits; the one that sent it goes on and waits for all acknowledgements at STEP_IPI_WAIT. Its handler writes the highest lines
 * of the core's IRQ stack, where it has one (struct layout: irq_stack): what of that is beyond the first level of caches comes to
 * machine.core.ipi_handler.
 *
 * MODEL: no out-of-order window, no branch misses. Waiting for a lock keeps interrupts open. The code of the kernel's paths is
 * taken to be in the first-level cache, unless it is fetched:
 *
 *   run        (STEP_RUN in place of instructions alone) fetches the lines of a piece of code (sim/code_image.h), one after the
 *              other, in the order in which the path comes to them; a line of the first level and its TLB takes nothing, any
 *              other is waited for, before the work that the piece does
 *
 * MODEL: of a fetch nothing overlaps with another one or with the work before it: no core that predicts branches ahead of what it
 * runs waits for each line alone (docs/models.md: how far off).
 *
 * MODEL: a handler's frames on the IRQ stack have IRQ_STACK_LINES lines; registers that the entry pushes on the stack it
 * interrupts are not touched. Effect: a few lines of a stack that is warm or not.
 *
 * Laws: a core's busy cycles = the sum of the parts of its cost; the sum over all kinds of ops = the sum over all cores; lines of
 * the IRQ stack = IRQ_STACK_LINES of each interrupt served, or none where there is none; lines of code fetched = the sum over all
 * pieces of how often each ran * its lines (machines with lines of CODE_LINE bytes).
 */
#ifndef SIM_CORE_H
#define SIM_CORE_H

#include "sim/code_image.h"
#include "sim/core_config.h"
#include "sim/core_listener.h"
#include "sim/cost.h"
#include "sim/event.h"
#include "sim/histogram.h"
#include "sim/lock.h"
#include "sim/metric.h"
#include "sim/op_cost.h"
#include "sim/port/memory.h"
#include "sim/steps.h"
#include "sim/touched.h"
#include "sim/user_tables.h"
#include "sim/usual_lines.h"

/* Lines at the top of the IRQ stack that a function call interrupt writes: the link to the interrupted stack, and the frames of
 * sysvec_call_function(), generic_smp_call_function_interrupt(), flush_smp_call_function_queue() and flush_tlb_func(). */
#define IRQ_STACK_LINES 4u

/* Ops that may wait in one core's queue before the replay waits for the core; a power of two. */
#define CORE_JOBS 64
/* The same where those that came first may be made later, together (machine_wiring: settles). */
#define CORE_JOBS_SETTLED 512
/* Then, of all steps that wait: more are made at once. */
#define CORE_STEPS_SETTLED (1u << 16)

/* What is measured of a job, each a histogram for each kind. */
enum job_measure {
	JOB_CYCLES, /* from its first step to the end of its last */
	JOB_LINES,  /* different cache lines that its steps touch, those of locks too; not of JOB_ACCESSES */
	JOB_PAGES,  /* different pages: the TLB entries it needs where pages are of 4 KiB; likewise */
	JOB_MEASURES
};

/* The histogram's name in the database, "cycles_per_alloc", "lines_per_alloc" ..., and its unit. */
const char *job_histogram_name(enum job_measure measure, enum job_kind kind);
const char *job_histogram_unit(enum job_measure measure);

struct core_counters {
	uint64_t jobs;
	uint64_t busy_cycles;
	struct cost cost;         /* where they went */
	uint64_t cmpxchg_retries; /* compare-and-exchanges made once more */
	uint64_t ipis_sent, ipis_served;
	uint64_t irq_stack_lines; /* of the IRQ stack, touched in serving them */
	uint64_t context_switches;
	uint64_t cr3_loads;
	uint64_t code_lines, code_stalls; /* fetched by STEP_RUN; waited for */
	uint64_t code_cycles;             /* so long */
};

extern const struct metric core_metrics[];

struct core_job {
	struct step *at;
	uint32_t count, capacity;
	struct job_about about;
	uint8_t path; /* enum step_path */
};

/* A load or store on its way. */
struct core_flight {
	cycle done;
	bool in_first;    /* all its cycles are of the first level */
	struct cost cost; /* of a load, unless in_first */
};

struct machine;

struct core {
	struct event event;     /* queued while the core runs; first member */
	struct event interrupt; /* queued while an interrupt is on its way to this core */
	struct machine *machine;
	unsigned cpu;
	struct usual_lines *usual; /* the memory's for this core; of data, and of code */
	struct core_job *jobs;     /* a ring; owned */
	unsigned first, queued;
	uint64_t queued_steps;
	uint32_t position;     /* in the first job's steps */
	cycle started;         /* of the first job */
	bool is_begun;         /* the first job */
	struct cost before;    /* counters.cost at its start */
	bool ran_daemon;       /* the last job was one */
	uint32_t instructions; /* done of a cycle that is not full yet */
	/* What is on its way. */
	struct core_flight misses[CORE_MISSES_MAX];
	unsigned first_miss, miss_count;
	/* Of the loads nobody waited for yet, the one that is done last: where its cycles go; NULL: to the first level. */
	cycle latest_done;
	const struct cost *latest;
	struct cost latest_hit;        /* of one that is no miss, but waits in the first level */
	cycle stores[CORE_STORES_MAX]; /* when each has left the buffer */
	unsigned first_store, store_count;
	cycle last_store;
	/* The word read last, for a compare-and-exchange. */
	uint64_t read_address;
	cycle read_at;
	/* Waiting. */
	struct lock *waits_for;
	struct lock *takes; /* handed to this core: it goes on by taking it */
	bool was_pending;   /* as the first waiter, outside the kernel's queue */
	cycle asked;        /* for a lock: since when its lock.take_cycles are not counted yet */
	bool waits_for_acks;
	cycle waits_since;
	cycle interrupted_until; /* busy with an interrupt although waiting or idle */
	struct core_ipi {
		cycle at;
		uint64_t address;
		uint32_t pages; /* from there on, or what CR3 is to be loaded with */
		uint32_t sender;
	} ipis[CPUS_MAX]; /* on their way to this core, by time */
	uint32_t ipi_count;
	uint32_t acks_awaited;
	cycle acked;
	uint32_t foreseen; /* loads and stores to come that the memory was told of, or that are made without */
	/* Of processes: */
	unsigned pcid;  /* that CR3 was loaded with last */
	uint64_t entry; /* of a page table, whose value comes next */
	struct core_counters counters;
};

/* Words that compare-and-exchanges changed lately. MODEL: two words that share a slot forget each other's; a retry is then not
 * seen. */
#define CMPXCHG_WORDS 4096u

struct cmpxchg_word {
	uint64_t address;
	cycle changed;
	uint32_t cpu;
};

/*
 * Who keeps the page tables that the memory's MMUs walk: remap() is called with each STEP_MAP and STEP_UNMAP, when the core has
 * come to it, so that accesses of earlier steps find what was there before.
 */
struct table_keeper {
	void (*remap)(void *context, const struct step *step);
	void *context;
};

struct machine {
	struct event_queue queue;
	struct lock_table locks;
	struct memory *memory;           /* not owned */
	struct core_listener *listener;  /* not owned; NULL: nobody listens */
	struct user_tables *user_tables; /* not owned; NULL: no process has any that are walked */
	struct table_keeper tables;      /* remap NULL: nobody */
	const struct code_image *code;   /* not owned; NULL: no step is a STEP_RUN */
	uint64_t *code_runs;             /* of each piece; owned */
	struct core_config config;
	unsigned per_cycle_shift; /* log2 of config.instructions_per_cycle; 32: that is no power of two */
	uint64_t frequency_mhz;
	unsigned cpus;
	struct core *cores;
	struct cmpxchg_word *words;
	uint64_t irq_stack_top[CPUS_MAX]; /* 0: interrupts touch no stack */
	uint64_t own_lines[CPUS_MAX];     /* address of each core's line for queued locks; behind it for interrupts sent to it */
	uint32_t line_bytes;
	/* Of the job whose step runs now, for who watches the memory's levels (level_watch.h). */
	uint32_t owner;
	uint32_t caller;  /* its call site's number plus 1; 0: the job has none */
	cycle horizon;    /* ops may still arrive after it, so no core runs further ahead than one step ... */
	unsigned awaited; /* ... but until so many jobs are over, before which none will */
	unsigned ring;    /* jobs of each core */
	bool settles;
	struct touched touched; /* by the job that ends */
	struct histogram measured[JOB_MEASURES][JOB_KINDS];
	struct op_costs op_costs;
};

struct machine_wiring {
	unsigned cpus;       /* 1..CPUS_MAX */
	uint32_t line_bytes; /* of a cache line, a power of two */
	struct core_config core;
	uint64_t frequency_mhz; /* cycles of a microsecond of sleep; 0 where nobody sleeps */
	/* One core whose ops come as fast as it makes them, and nobody looks at it or the memory before machine_settle(): jobs
	 * may wait until then, as what is made together is made quicker. */
	bool settles;
	struct memory *memory;           /* outlives the machine */
	struct core_listener *listener;  /* lives as long as the machine runs; NULL: nobody listens */
	struct user_tables *user_tables; /* of processes, outlives the machine; NULL: there are none */
	struct table_keeper tables;      /* likewise; remap NULL: nobody keeps page tables */
	const struct code_image *code;   /* of the pieces that STEP_RUN names, lives as long; NULL: there are none */
	struct layout *layout;           /* takes the cores' own lines from it; NULL: they lie at address 0 and up */
};

void machine_init(struct machine *machine, const struct machine_wiring *wiring);
void machine_release(struct machine *machine);

/* Hands a copy of the steps to a core. If its queue is full, time passes until there is room, or, where the machine settles, may
 * pass later. */
void core_push(struct machine *machine, unsigned cpu, const struct job_about *about, const struct steps *steps);

/* The same of steps that nobody needs any more: as a rule the core takes them as they are, and what *steps holds after it is
 * room. */
void core_give(struct machine *machine, unsigned cpu, const struct job_about *about, struct steps *steps);

/* Where it `settles`: makes the jobs that core_push() has left, as if it had left none. Else there are none. */
void machine_settle(struct machine *machine);

/* Lets time pass up to and including a cycle before which no more ops will arrive. */
void machine_run_until(struct machine *machine, cycle until);

/* Lets time pass until a core has done all that it was given. */
void machine_wait_for(struct machine *machine, unsigned cpu);

/* No more ops will arrive: lets time pass until every core has done its last one. */
void machine_drain(struct machine *machine);

/* The sum of all cores' counters. */
struct core_counters machine_counters(const struct machine *machine);

void machine_check(const struct machine *machine);

#endif
