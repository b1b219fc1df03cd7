/* SPDX-License-Identifier: MIT
 *
 * host_cpuid.h - the door to the CPUID instruction of the processor that runs the program.
 */
#ifndef SIM_IO_HOST_CPUID_H
#define SIM_IO_HOST_CPUID_H

#include "sim/cpuid.h"

/*
 * Fills an empty table with all leaves of one of the host's CPUs, the calling thread held there meanwhile. false with *error on a
 * processor that is no x86.
 */
bool host_cpuid_read(struct cpuid_table *table, struct error *error);

#endif
