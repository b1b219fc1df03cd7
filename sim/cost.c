/* SPDX-License-Identifier: MIT
 *
 * cost.c - the names of the parts (interface: cost.h).
 */
#include "sim/cost.h"

static const struct {
	const char *name, *help;
} parts[COST_PARTS] = {
        [COST_COMPUTE] = {"compute", "instructions"},
        [COST_TLB] = {"tlb", "lookups in further TLBs, and page walks"},
        [COST_L1] = {"l1", "the first level of caches"},
        [COST_L2] = {"l2", "levels of caches between the first and the last"},
        [COST_LLC] = {"llc", "the last level of caches, and the way to it"},
        [COST_COHERENCE] = {"coherence", "lines fetched from other cores, and copies of others made invalid"},
        [COST_DRAM] = {"dram", "memory"},
        [COST_STORE_BUFFER] = {"store_buffer", "waiting for room in the store buffer, or for it to drain"},
        [COST_LOCK] = {"lock", "waiting for a lock that another core holds"},
        [COST_IPI] = {"ipi", "waiting for other cores to acknowledge interrupts, and serving theirs"},
        [COST_IO] = {"io", "sleeping until a disk or swap device is done"},
};

const char *cost_part_name(enum cost_part part)
{
	SIM_ASSERT(part < COST_PARTS);
	return parts[part].name;
}

const char *cost_part_help(enum cost_part part)
{
	SIM_ASSERT(part < COST_PARTS);
	return parts[part].help;
}
