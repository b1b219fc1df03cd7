/* SPDX-License-Identifier: MIT
 *
 * kernel_load.c - steps, lists and RCU of made-up kernel loads (interface: kernel_load.h).
 */
#include "models/kernel_load.h"

#include <stdlib.h>

#define NS_PER_S 1000000000u
#define TELL_EVERY 4096 /* steps between two words about progress */
#define ROOM_FIRST 16

uint64_t load_pace_steps(const struct load_pace *pace)
{
	if (pace->duration_ns == 0)
		return pace->count;
	uint64_t steps = pace->duration_ns / NS_PER_S * pace->rate + pace->duration_ns % NS_PER_S * pace->rate / NS_PER_S;
	return steps ? steps : 1;
}

/* When a step begins, without the drift of a rounded distance. */
static uint64_t step_ns(const struct load_pace *pace, uint64_t step)
{
	return step / pace->rate * NS_PER_S + step % pace->rate * NS_PER_S / pace->rate;
}

void kernel_load_generate(struct workload *workload, const struct kernel_load *load, const void *values,
                          const struct load_pace *pace)
{
	uint64_t steps = load_pace_steps(pace);
	void *state = load->begin(workload, values);
	for (uint64_t step = 0; step < steps && !workload_has_failed(workload); step++) {
		workload_wait_until(workload, step_ns(pace, step));
		load->step(state);
		if (step % TELL_EVERY == 0)
			workload_tell(workload, step, steps);
	}
	load->end(state);
}

bool load_chance(struct workload *workload, uint32_t percent)
{
	return rng_below(workload_rng(workload), 100) < percent;
}

unsigned load_any_cpu(struct workload *workload)
{
	return rng_below(workload_rng(workload), workload_cpus(workload));
}

unsigned load_other_cpu(struct workload *workload, unsigned cpu, uint32_t percent)
{
	unsigned cpus = workload_cpus(workload);
	if (cpus == 1 || !load_chance(workload, percent))
		return cpu;
	return (cpu + 1 + rng_below(workload_rng(workload), cpus - 1)) % cpus;
}

void block_list_add(struct block_list *list, workload_block block)
{
	if (list->count == list->room) {
		list->room = list->room ? 2 * list->room : ROOM_FIRST;
		list->at = xrealloc(list->at, list->room * sizeof *list->at);
	}
	list->at[list->count++] = block;
}

void block_list_alloc(struct block_list *list, struct workload *workload, unsigned cpu, workload_kind kind, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		block_list_add(list, workload_alloc(workload, cpu, kind));
}

void block_list_free(struct block_list *list, struct workload *workload, unsigned cpu)
{
	for (uint32_t i = 0; i < list->count; i++)
		workload_free(workload, cpu, list->at[i]);
	list->count = 0;
}

void block_list_release(struct block_list *list)
{
	SIM_ASSERT(list->count == 0);
	free(list->at);
	*list = (struct block_list){0};
}

void rcu_frees_init(struct rcu_frees *rcu, struct workload *workload, uint64_t grace_ns)
{
	*rcu = (struct rcu_frees){.workload = workload, .grace_ns = grace_ns};
}

static void make_room(struct rcu_frees *rcu)
{
	size_t room = rcu->room ? 2 * rcu->room : ROOM_FIRST;
	struct rcu_free *at = xcalloc(room, sizeof *at);
	for (size_t i = 0; i < rcu->count; i++)
		at[i] = rcu->at[(rcu->first + i) & (rcu->room - 1)];
	free(rcu->at);
	rcu->at = at;
	rcu->first = 0;
	rcu->room = room;
}

void rcu_frees_add(struct rcu_frees *rcu, unsigned cpu, workload_block block)
{
	if (rcu->count == rcu->room)
		make_room(rcu);
	uint64_t due_ns = (workload_now_ns(rcu->workload) / rcu->grace_ns + 2) * rcu->grace_ns;
	rcu->at[(rcu->first + rcu->count++) & (rcu->room - 1)] = (struct rcu_free){due_ns, block, cpu};
}

void rcu_frees_add_list(struct rcu_frees *rcu, unsigned cpu, struct block_list *list)
{
	for (uint32_t i = 0; i < list->count; i++)
		rcu_frees_add(rcu, cpu, list->at[i]);
	list->count = 0;
}

/* The oldest, as all wait equally long. */
static void free_first(struct rcu_frees *rcu)
{
	const struct rcu_free *first = &rcu->at[rcu->first];
	workload_free(rcu->workload, first->cpu, first->block);
	rcu->first = (rcu->first + 1) & (rcu->room - 1);
	rcu->count--;
}

void rcu_frees_run(struct rcu_frees *rcu)
{
	uint64_t now_ns = workload_now_ns(rcu->workload);
	while (rcu->count > 0 && rcu->at[rcu->first].due_ns <= now_ns)
		free_first(rcu);
}

void rcu_frees_end(struct rcu_frees *rcu)
{
	while (rcu->count > 0)
		free_first(rcu);
	free(rcu->at);
	*rcu = (struct rcu_frees){0};
}
