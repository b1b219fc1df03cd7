/* SPDX-License-Identifier: MIT
 *
 * host_cpus.h - how many CPUs of the host this program may use: those of its affinity (taskset, cpusets), as nproc counts them.
 */
#ifndef TOOLS_HOST_CPUS_H
#define TOOLS_HOST_CPUS_H

/* At least 1. */
unsigned host_cpus(void);

#endif
