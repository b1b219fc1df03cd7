/* SPDX-License-Identifier: MIT
 *
 * host_cpus.c - the CPUs of the affinity (interface: host_cpus.h).
 */
#include "tools/kmemsim/host_cpus.h"

#include <sched.h>
#include <unistd.h>

unsigned host_cpus(void)
{
	cpu_set_t set;
	/* It fails on hosts with more CPUs than a cpu_set_t holds. */
	long cpus = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : sysconf(_SC_NPROCESSORS_ONLN);
	return cpus > 0 ? (unsigned)cpus : 1;
}
