/* SPDX-License-Identifier: MIT
 *
 * trace_later.h - events that were read and wait to be attributed: what comes later in the recording, as far as it can be seen.
 *
 * A ring. What is asked of it is answered without a search: events that name an address space as their thread's own are chained
 * by that space's number, those that say what becomes of a thread by the thread's.
 *
 *   own     rss_stat with curr=1, by the number of the address space
 *   fates   rss_stat of any space, a new program, and the switch away from a thread that ends or its exit, by the thread's number
 *   reads   reading faults where no page is mapped, by thread and 64 KiB of its addresses
 *
 * Law: a chain holds the places of all waiting events of its kind and number, in their order; there is none for what waits not.
 */
#ifndef SIM_TRACE_LATER_H
#define SIM_TRACE_LATER_H

#include "sim/trace_attribution.h"

struct later_chain {
	uint64_t key;
	uint32_t first, last; /* places in the ring */
};

struct later_events {
	struct attribution_event *events; /* the ring */
	uint32_t room, first, count;
	struct number_map own, fates, reads;
	bool forks_told, execs_told; /* task_newtask, sched_process_exec were ever among them */
	/* By place: the place of the chain's next event; of its last one without meaning. */
	uint32_t *next_own, *next_fate, *next_read;
};

/* room: how many events may wait, > 0. */
void later_events_init(struct later_events *later, uint32_t room);
void later_events_release(struct later_events *later);
/* Behind all that wait; there must be room. */
void later_events_push(struct later_events *later, const struct attribution_event *event);
/* Takes out the first; there must be one. */
struct attribution_event later_events_pop(struct later_events *later);

/* The thread that is first to name the space as its own; 0: none of those that wait does. */
uint32_t later_owner(const struct later_events *later, uint32_t mm);
/*
 * The space that the thread has now: the first that it names as its own while it lives and runs this program, unless it names it
 * before as one that it has not, which execve does. false: it is not told.
 */
bool later_space(const struct later_events *later, uint32_t task, uint32_t *mm);
/* Reading faults of the thread in other pages of the 64 KiB about the address, where no page was mapped: up to LATER_READS_MAX.
 */
#define LATER_READS_MAX 2u
uint32_t later_reads(const struct later_events *later, uint32_t task, uint64_t address);
/* Whether a new program of the thread (sched_process_exec) comes before its end. */
bool later_exec(const struct later_events *later, uint32_t task);

#endif
