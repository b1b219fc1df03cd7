/* SPDX-License-Identifier: MIT
 *
 * vmstat.c - each CPU folds its share of the zones' statistics into them, once a second (kernel.vmstat).
 *
 * Source: mm/vmstat.c (refresh_cpu_vm_stats, need_update, sysctl_stat_interval); kernel/time/timer.c (round_jiffies_common).
 *
 * MODEL: of the counters only the free pages are known; the others are looked at and never have changed. MODEL: a CPU looks at
 * whole seconds, 3 jiffies after the one before it, and folds if it has something; a kernel's CPU that had nothing waits for
 * vmstat_shepherd, at most a second more. MODEL: the machine's own counters (vm_zone_stat) are not touched, as in
 * zone_mod_free_pages().
 *
 * Law: free pages of a zone = its count + what its CPUs hold back, before and after (check.c).
 */
#include "models/page_allocator/buddy.h"

#define INTERVAL_NS 1000000000ull
/* 3 jiffies; CONFIG_HZ=250 in Debian's kernel. */
#define SKEW_NS 12000000ull

static bool need_update(const struct buddy *buddy, unsigned cpu)
{
	for (unsigned i = 0; i < buddy->zone_count; i++)
		if (buddy->zones[i].pcp[cpu].free_pages_delta)
			return true;
	return false;
}

/* this_cpu_xchg() of one counter's byte, which x86 makes of a compare-and-exchange without lock prefix. */
static void take_counter(const struct buddy *buddy, vaddr at)
{
	step_spend(buddy->steps, buddy->cost.vmstat_item);
	step_update(buddy->steps, at, 1);
}

static void fold_free_pages(const struct buddy *buddy, struct zone *zone, unsigned cpu)
{
	struct pcp *pcp = &zone->pcp[cpu];
	zone->free_pages += pcp->free_pages_delta;
	pcp->free_pages_delta = 0;
	step_atomic(buddy->steps, zone_field(zone, ZONE_VM_STAT_OFFSET), ZONE_WORD);
	step_write(buddy->steps, pcp_field(buddy, zone, cpu, PCP_EXPIRE_OFFSET), sizeof(int16_t));
}

static void fold_zone(const struct buddy *buddy, struct zone *zone, unsigned cpu)
{
	bool changed = zone->pcp[cpu].free_pages_delta != 0;
	step_read(buddy->steps, zone_field(zone, ZONE_ZONESTATS_OFFSET), ZONE_WORD);
	step_use(buddy->steps);
	for (unsigned item = 0; item < ZONE_STAT_ITEMS; item++) {
		take_counter(buddy, zone_stat_field(buddy, zone, cpu, item));
		if (item == 0 && changed)
			fold_free_pages(buddy, zone, cpu);
	}
	step_read(buddy->steps, pcp_field(buddy, zone, cpu, PCP_EXPIRE_OFFSET), sizeof(int16_t));
	if (!changed)
		return;
	/* The lists of a zone of the CPU's own node stay. */
	step_read(buddy->steps, pcp_field(buddy, zone, cpu, PCP_COUNT_OFFSET), INT_BYTES);
	if (zone->pcp[cpu].count > 0)
		step_write(buddy->steps, pcp_field(buddy, zone, cpu, PCP_EXPIRE_OFFSET), sizeof(int16_t));
}

static void refresh_cpu_vm_stats(struct buddy *buddy, unsigned cpu)
{
	for (unsigned i = 0; i < buddy->zone_count; i++)
		fold_zone(buddy, &buddy->zones[i], cpu);
	for (unsigned node = 0; node < buddy->node_count; node++) {
		vaddr stats = layout_per_cpu(buddy->layout, buddy->nodes[node].stat_offset, cpu);
		for (unsigned item = 0; item < NODE_STAT_ITEMS; item++)
			take_counter(buddy, vaddr_of(stats.addr + NODESTAT_DIFF_OFFSET + item));
	}
}

uint64_t buddy_tick(struct page_allocator *pages, unsigned cpu, uint64_t now_ns)
{
	struct buddy *buddy = buddy_of(pages);
	SIM_ASSERT(cpu < buddy->cpus);
	if (!buddy->vmstat)
		return UINT64_MAX;
	uint64_t skew_ns = cpu * SKEW_NS, *due_ns = &buddy->vmstat_due_ns[cpu];
	if (*due_ns && now_ns >= *due_ns && need_update(buddy, cpu))
		refresh_cpu_vm_stats(buddy, cpu);
	*due_ns = now_ns < skew_ns ? skew_ns : ((now_ns - skew_ns) / INTERVAL_NS + 1) * INTERVAL_NS + skew_ns;
	return *due_ns;
}
