/* SPDX-License-Identifier: MIT
 *
 * host_sysfs.h - the door to what the host's kernel says of its machine: /sys/devices/system/cpu, /sys/devices/system/node,
 * /sys/firmware/memmap, /proc/cpuinfo.
 */
#ifndef SIM_IO_HOST_SYSFS_H
#define SIM_IO_HOST_SYSFS_H

#include "sim/machine_facts.h"

#define HOST_RAM_MAX 128u
#define HOST_NODES_MAX 64u
#define HOST_TEXT_MAX 256u

/* What the kernel says. A number that is 0, or a text that is empty, is not told: files may be missing, and are then passed over.
 */
struct host_facts {
	uint32_t cpus;                                   /* online */
	struct machine_cache caches[MACHINE_CACHES_MAX]; /* of CPU 0; source, inclusive and the like are not filled */
	unsigned caches_count;
	uint64_t frequency_hz;
	const char *frequency_source; /* the file */
	unsigned linear_bits;         /* that the kernel uses */
	struct host_ram {
		uint64_t first, last; /* physical addresses */
	} ram[HOST_RAM_MAX];          /* in the order of addresses, none touching the next */
	unsigned ram_count;
	struct host_node {
		unsigned number;
		uint64_t memory_bytes;
		char cpus[HOST_TEXT_MAX];      /* "0-3,8" */
		char distances[HOST_TEXT_MAX]; /* "10 21" */
	} nodes[HOST_NODES_MAX];
	unsigned nodes_count;
};

/* Reads below a root folder, "" for the host's own. */
void host_sysfs_read(const char *root, struct host_facts *facts);

#endif
