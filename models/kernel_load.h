/* SPDX-License-Identifier: MIT
 *
 * kernel_load.h - what the made-up kernel loads share: steps at a rate, lists of blocks, frees that wait for RCU.
 *
 *     begin -> step, step, step ... -> end
 *
 * A load does one thing at each step (a process forked, a packet received, ...); steps begin at a rate of simulated time, and
 * there are `count` of them, or as many as fit into `duration`. `mix` runs steps of several loads by turns.
 *
 * RCU (Linux 6.1, kernel/rcu/tree.c): a callback waits until the grace period behind the running one is over; here all grace
 * periods are equally long, so what is given at time t is freed behind the next but one multiple of their length.
 * MODEL: callbacks run at the beginning of the first step after that, all at once, on the CPU that gave them; a kernel runs ten
 * at a time (rcutree.blimit) in softirq context.
 */
#ifndef MODELS_KERNEL_LOAD_H
#define MODELS_KERNEL_LOAD_H

#include "models/kernel_caches.h"
#include "sim/setting.h"
#include "sim/workload.h"

/* ---- steps ---- */

struct load_pace {
	uint32_t rate;        /* steps a second of simulated time */
	uint64_t count;       /* of steps */
	uint64_t duration_ns; /* of simulated time; 0: as long as `count` takes */
};

#define LOAD_CHOICE "a choice: enough to be past the start"

/* The rows of a struct that has a `struct load_pace pace`. steps: what there is a number of. */
#define LOAD_PACE_KEYS(values, steps, default_rate, default_count) \
	{.key = "rate", \
	 .type = SETTING_COUNT, \
	 .unit = steps " a second", \
	 .default_text = default_rate, \
	 .min = 1, \
	 .max = 100000000, \
	 .help = "How many " steps " begin in a second of simulated time, on all cores together", \
	 .source = LOAD_CHOICE, \
	 .offset = offsetof(values, pace.rate), \
	 .size = sizeof(uint32_t)}, \
	        {.key = "count", \
	         .type = SETTING_COUNT, \
	         .unit = steps, \
	         .default_text = default_count, \
	         .min = 1, \
	         .max = 1000000000000, \
	         .help = "How many " steps " there are, unless duration says how long", \
	         .source = LOAD_CHOICE, \
	         .offset = offsetof(values, pace.count), \
	         .size = sizeof(uint64_t)}, \
	{ \
		.key = "duration", .type = SETTING_DURATION, .default_text = "by_count", .zero_word = "by_count", .min = 1, \
		.max = 366ull * 24 * 3600 * 1000000000, .help = "Simulated time that " steps " begin in", .source = LOAD_CHOICE, \
		.offset = offsetof(values, pace.duration_ns), .size = sizeof(uint64_t) \
	}

struct kernel_load {
	const struct workload_ops *workload; /* its name and keys */
	void *(*begin)(struct workload *, const void *values);
	void (*step)(void *load);
	void (*end)(void *load); /* frees all that lives, and the load */
};

extern const struct kernel_load fork_storm_load, processes_load, files_load, network_load, dentries_load, module_load_load;

/* Number of steps: count, or those that fit into duration. */
uint64_t load_pace_steps(const struct load_pace *pace);

void kernel_load_generate(struct workload *workload, const struct kernel_load *load, const void *values,
                          const struct load_pace *pace);

/* ---- chance ---- */

bool load_chance(struct workload *workload, uint32_t percent);
unsigned load_any_cpu(struct workload *workload);
/* With so many percent another core than this, each other one as likely; of one core, itself. */
unsigned load_other_cpu(struct workload *workload, unsigned cpu, uint32_t percent);

/* ---- what lives together ---- */

struct block_list {
	workload_block *at; /* owned */
	uint32_t count, room;
};

void block_list_add(struct block_list *list, workload_block block);
void block_list_alloc(struct block_list *list, struct workload *workload, unsigned cpu, workload_kind kind, uint32_t count);
/* Frees the blocks in the order in which they came; the list is empty then. */
void block_list_free(struct block_list *list, struct workload *workload, unsigned cpu);
void block_list_release(struct block_list *list);

/* ---- RCU ---- */

struct rcu_free {
	uint64_t due_ns;
	workload_block block;
	unsigned cpu;
};

struct rcu_frees {
	struct workload *workload;
	uint64_t grace_ns;
	struct rcu_free *at; /* owned; a ring, room is a power of two */
	size_t first, count, room;
};

/* The row of a struct that has a `uint64_t grace_ns`. */
#define LOAD_GRACE_KEY(values) \
	{ \
		.key = "grace", .type = SETTING_DURATION, .default_text = "8 ms", .min = 1000, .max = 10000000000, \
		.help = "Length of an RCU grace period: what RCU frees waits for the end of the next one", \
		.source = "two ticks of 250 Hz: the first look at quiescent states comes after one " \
		          "(jiffies_till_first_fqs)", \
		.offset = offsetof(values, grace_ns), .size = sizeof(uint64_t) \
	}

void rcu_frees_init(struct rcu_frees *rcu, struct workload *workload, uint64_t grace_ns);
/* call_rcu() on that CPU. */
void rcu_frees_add(struct rcu_frees *rcu, unsigned cpu, workload_block block);
void rcu_frees_add_list(struct rcu_frees *rcu, unsigned cpu, struct block_list *list);
/* Frees what has waited long enough. */
void rcu_frees_run(struct rcu_frees *rcu);
/* Frees all, as rcu_barrier() makes sure of, and the ring. */
void rcu_frees_end(struct rcu_frees *rcu);

#endif
