/* SPDX-License-Identifier: MIT
 *
 * machine_file.h - a machine's YAML file (configs/machines/) written from what CPUID and the kernel say of a real one.
 *
 * Each line bears where it comes from. What neither tells is left out, so that the settings' defaults stand. The file is one that
 * models/scenario.h reads.
 */
#ifndef MODELS_MACHINE_FILE_H
#define MODELS_MACHINE_FILE_H

#include "sim/io/host_sysfs.h"
#include "sim/machine_facts.h"

/* What was measured, in cycles from the core; 0: not measured, the settings' defaults stand. */
struct machine_latencies {
	uint32_t l1, l2, llc, dram;
	uint32_t last_tlb;         /* that a lookup in the second level of TLBs adds */
	uint64_t dram_picoseconds; /* of memory alone, without the last level's lookup */
	uint64_t frequency_hz;     /* of the core while it was measured */
};

struct machine_file {
	const struct machine_facts *facts;
	const struct host_facts *host;             /* NULL: a machine known by its CPUID only */
	const struct machine_latencies *latencies; /* NULL: not measured */
	const char *indent;                        /* before each line */
};

/* Where the kernel's files and CPUID disagree, as notes of the facts. Also completes what CPUID leaves open. */
void machine_file_compare(struct machine_facts *facts, const struct host_facts *host);

void machine_file_print(const struct machine_file *file, FILE *out);

#endif
