/* SPDX-License-Identifier: MIT
 *
 * page_reclaimer.h - what a page allocator asks of who keeps pages of user memory and of files, when memory is short.
 *
 * The allocator knows its watermarks, and which zones would help; the reclaimer knows which pages are old. It gives frames back
 * by page_free(), from within the calls below. Model: models/page_reclaim. The allocator in models/page_allocator/reclaim.c asks
 * in the order of Linux 6.1 (mm/vmscan.c): balance_pgdat(), shrink_node().
 */
#ifndef SIM_PORT_PAGE_RECLAIMER_H
#define SIM_PORT_PAGE_RECLAIMER_H

#include "sim/base.h"
#include "sim/gfp.h"

/* What calls of one reclaim brought, added up. */
struct reclaim_result {
	uint64_t scanned;                        /* pages looked at closely (sc->nr_scanned) */
	uint64_t reclaimed;                      /* frames given back */
	uint64_t scanned_kswapd, scanned_direct; /* pages looked at, by who asked: pgscan_kswapd, pgscan_direct */
	bool skipped_deactivate;                 /* an active list was left alone that could have been aged */
	/*
	 * kswapd lies down now, for a device: it goes on at a later turn, when kswapd_sleeps() says no more. unfinished: it does
	 * so in the middle of the pass.
	 */
	bool asleep, unfinished;
};

/* A pass over a node (struct scan_control). */
struct reclaim_request {
	unsigned node, cpu;
	uint32_t end_pfn;    /* frames of the node from here on do not help: higher zones */
	int priority;        /* 12 (1/4096 of each list) down to 0 (all) */
	uint64_t to_reclaim; /* enough */
	gfp flags;
	bool kswapd;
	bool kswapd_failed; /* kswapd has given the node up: nobody waits for its sake */
	bool may_swap, may_writepage;
	bool force_deactivate;
	uint64_t free_pages, high_watermarks; /* of the node's zones, together */
	struct reclaim_result *result;
};

struct page_reclaimer {
	/* shrink_lruvec() of the node. */
	void (*shrink)(void *context, const struct reclaim_request *);
	/* kswapd_age_node(): before each of its passes. */
	void (*age)(void *context, const struct reclaim_request *);
	/* A reclaim of the node is over; balanced: kswapd's, with enough free. */
	void (*end)(void *context, unsigned node, bool balanced);
	/* What could be reclaimed in a zone (numbered as the port's zone_view), of a node's inactive lists. */
	uint64_t (*reclaimable)(void *context, unsigned zone);
	uint64_t (*inactive)(void *context, unsigned node);
	/* Direct reclaim has got nothing down to priority 1: the CPU may have to wait (reclaim_throttle(), NOPROGRESS). */
	void (*no_progress)(void *context, unsigned cpu);
	/* The node's kswapd is asleep, on the clock of a CPU; the CPU sleeps until it is not. */
	bool (*kswapd_sleeps)(void *context, unsigned node, unsigned cpu);
	void (*wait_for_kswapd)(void *context, unsigned node, unsigned cpu);
	void *context;
};

#endif
