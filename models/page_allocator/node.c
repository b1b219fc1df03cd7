/* SPDX-License-Identifier: MIT
 *
 * node.c - nodes: which CPUs and zones are near each other, and in which order a request tries the zones.
 *
 * Algorithm: each node lists itself first, then the others by distance; of equally near ones the next higher number, one without
 * CPUs, one that fewer nodes have put first so far. The zones of a node follow each other, highest first.
 * Source: mm/page_alloc.c of Linux 6.1: build_zonelists, find_next_best_node, build_zonerefs_node, build_thisnode_zonelists.
 *
 * Invariant: a zone list holds each zone with memory up to its index once.
 */
#include "models/page_allocator/buddy.h"

/* mm/page_alloc.c: PENALTY_FOR_NODE_WITH_CPUS; include/linux/numa.h: MAX_NUMNODES with Debian's CONFIG_NODES_SHIFT=10. */
#define PENALTY_FOR_NODE_WITH_CPUS 1
#define MAX_NUMNODES 1024

static bool has_memory(const struct buddy *buddy, unsigned node)
{
	for (unsigned i = 0; i < buddy->zone_count; i++)
		if (buddy->zones[i].node == node && buddy->zones[i].present)
			return true;
	return false;
}

/* The nearest node that is not used yet, NODES_MAX if there is none. The node itself comes first even without memory. */
static unsigned find_next_best_node(const struct buddy *buddy, const struct buddy_spec *spec, unsigned node, unsigned *used,
                                    const unsigned *load)
{
	unsigned best = NODES_MAX, best_value = UINT32_MAX;
	for (unsigned other = 0; other < buddy->node_count; other++) {
		if (*used >> other & 1 || !has_memory(buddy, other))
			continue;
		unsigned value = spec->distance[node][other];
		value += other < node;
		value += buddy->nodes[other].cpus ? PENALTY_FOR_NODE_WITH_CPUS : 0;
		value = value * MAX_NUMNODES + load[other];
		if (value < best_value) {
			best_value = value;
			best = other;
		}
	}
	if (!(*used >> node & 1))
		best = node;
	if (best < NODES_MAX)
		*used |= 1u << best;
	return best;
}

/* Appends the node's zones with memory up to each index, highest first. */
static void append_node(const struct buddy *buddy, struct zonelist *lists, unsigned node)
{
	for (unsigned highest = 0; highest < LOWMEM_RESERVE_ZONES; highest++)
		for (unsigned i = buddy->zone_count; i-- > 0;)
			if (buddy->zones[i].node == node && buddy->zones[i].index <= highest && buddy->zones[i].present)
				lists[highest].zones[lists[highest].length++] = (uint8_t)i;
}

static void build_zonelists(struct buddy *buddy, const struct buddy_spec *spec, unsigned node, unsigned *load)
{
	unsigned used = 0, previous = node, next;
	while ((next = find_next_best_node(buddy, spec, node, &used, load)) < NODES_MAX) {
		/* The first of a group of equally far ones is put behind for the nodes that follow. */
		if (spec->distance[node][next] != spec->distance[node][previous])
			load[next]++;
		append_node(buddy, buddy->zonelist[node], next);
		previous = next;
	}
	append_node(buddy, buddy->thisnode[node], node);
}

static void init_node(struct buddy *buddy, struct node *node, uint32_t heads)
{
	node->page_cache = heads;
	node->slab_cache = heads + 1;
	for (uint32_t head = heads; head < heads + NODE_LISTS; head++)
		frame_at(buddy, head)->next = frame_at(buddy, head)->prev = head;
	node->kswapd_highest_zone = LOWMEM_RESERVE_ZONES;
	node->nr_zones = 1;
	for (unsigned i = 0; i < buddy->zone_count; i++)
		if (&buddy->nodes[buddy->zones[i].node] == node && buddy->zones[i].present &&
		    buddy->zones[i].index >= node->nr_zones)
			node->nr_zones = buddy->zones[i].index + 1u;
	node->kcompactd_highest_zone = node->nr_zones - 1;
}

void nodes_init(struct buddy *buddy, const struct buddy_spec *spec, uint32_t next_head)
{
	unsigned load[NODES_MAX] = {0};
	for (unsigned cpu = 0; cpu < buddy->cpus; cpu++) {
		SIM_ASSERT(spec->node_of_cpu[cpu] < buddy->node_count);
		buddy->node_of_cpu[cpu] = spec->node_of_cpu[cpu];
		buddy->nodes[spec->node_of_cpu[cpu]].cpus++;
	}
	for (unsigned node = 0; node < buddy->node_count; node++)
		init_node(buddy, &buddy->nodes[node], next_head + node * NODE_LISTS);
	for (unsigned node = 0; node < buddy->node_count; node++)
		build_zonelists(buddy, spec, node, load);
}
