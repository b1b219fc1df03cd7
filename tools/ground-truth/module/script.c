// SPDX-License-Identifier: GPL-2.0
/*
 * script.c - what the scripts share: one stream of random numbers, the table of live objects, the pattern of growing and
 * shrinking.
 *
 * The numbers are xorshift64 (Marsaglia, "Xorshift RNGs", 2003, the triple 13, 7, 17), so that a script can be made anew from its
 * seed; the log holds every outcome, so nobody needs to.
 */
#include "oracle.h"
#include <linux/math64.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/workqueue.h>

/* What a seed of 0, which xorshift cannot leave, stands for. */
#define SEED_OF_ZERO 88172645463325252ULL

struct script_object objects[OBJECTS_MAX];

static u64 random_state;
static u32 live[OBJECTS_MAX], live_number, next_id;

/* Lets what the kernel has put off happen before the script, not in it. */
void script_quiesce(void)
{
	synchronize_rcu();
	rcu_barrier();
	flush_scheduled_work();
	cond_resched();
}

void script_seed(u64 seed)
{
	random_state = seed ? seed : SEED_OF_ZERO;
}

u32 random_below(u32 limit)
{
	u32 remainder;

	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	div_u64_rem(random_state >> 16, limit, &remainder);
	return remainder;
}

void live_reset(void)
{
	live_number = 0;
	next_id = 0;
}

u32 live_count(void)
{
	return live_number;
}

u32 live_add(void)
{
	live[live_number++] = next_id;
	return next_id++;
}

void live_drop_last(void)
{
	live_number--;
}

u32 live_take_random(void)
{
	u32 i = random_below(live_number), id = live[i];

	live[i] = live[--live_number];
	return id;
}

bool script_allocates(bool room, u32 percent)
{
	return !live_number || (room && random_below(100) < percent);
}

/* The share of allocations, phase by phase: the live set grows and shrinks in steps of different steepness. */
u32 usual_percent(u32 call, u32 phase_calls)
{
	static const u8 percent[] = {70, 50, 30, 60, 40, 80, 20, 55};

	return percent[call / phase_calls % ARRAY_SIZE(percent)];
}
