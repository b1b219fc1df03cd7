/* SPDX-License-Identifier: MIT
 *
 * machine_nodes.h - the NUMA nodes of a described machine: machine.nodes and machine.distances.
 *
 * An entry of machine.nodes is a node, in the order of physical addresses: "memory=2 GiB cpus=0-3,8". Without memory= a node has
 * an equal share of what the others leave; without cpus= it has no CPU, unless no node names any: then each has an equal run of
 * them. An entry of machine.distances is a row of the firmware's distance table (ACPI SLIT), "10 21"; without the table nodes are
 * 20 apart.
 */
#ifndef MODELS_MACHINE_NODES_H
#define MODELS_MACHINE_NODES_H

#include "models/settings.h"

#define MACHINE_NODES_MAX 4

/* include/linux/topology.h: LOCAL_DISTANCE and REMOTE_DISTANCE, in tenths of the distance to oneself. */
#define LOCAL_DISTANCE 10
#define REMOTE_DISTANCE 20

/* As the settings say; what they leave open is still open. */
struct machine_nodes {
	unsigned count; /* 0: the machine has no nodes, that is, one */
	bool has_memory[MACHINE_NODES_MAX];
	uint64_t memory_bytes[MACHINE_NODES_MAX];
	bool names_cpus; /* some node has cpus= */
	bool cpu_named[CPUS_MAX];
	uint8_t node_of_cpu[CPUS_MAX];
	uint8_t distance[MACHINE_NODES_MAX][MACHINE_NODES_MAX];
};

/* False with *error if an entry cannot be understood or contradicts another. */
bool machine_nodes_parse(struct machine_nodes *nodes, const struct settings *settings, struct error *error);

/* Whether machine.nodes, and machine.distances taken for itself, can be understood. */
bool machine_nodes_check(const struct settings *settings, struct error *error);
bool machine_distances_check(const struct settings *settings, struct error *error);

/* Gives each of the machine's CPUs its node, and shares `bytes` of memory among the nodes. */
bool machine_nodes_share(struct machine_nodes *nodes, unsigned cpus, uint64_t bytes, struct error *error);

#endif
