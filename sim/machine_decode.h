/* SPDX-License-Identifier: MIT
 *
 * machine_decode.h - what the files that decode CPUID share among them (machine_facts.c, machine_caches.c, machine_tlbs.c).
 */
#ifndef SIM_MACHINE_DECODE_H
#define SIM_MACHINE_DECODE_H

#include "sim/machine_facts.h"

struct decoding {
	const struct cpuid_table *table;
	struct machine_facts *facts;
	struct error *error;
};

/* Bits high..low of a register. */
static inline uint32_t cpuid_bits(uint32_t value, unsigned high, unsigned low)
{
	return (value >> low) & (uint32_t)((1ull << (high - low + 1)) - 1);
}

/* The leaf's row, all zero where the processor has none. */
struct cpuid_leaf cpuid_get(const struct cpuid_table *table, uint32_t leaf, uint32_t subleaf);

/* Each fills its part of the facts. false with *error. */
bool machine_decode_caches(struct decoding *decoding);
bool machine_decode_tlbs(struct decoding *decoding);

/* APIC ids that the threads of a core span; 0: not told. */
uint32_t machine_core_span(const struct cpuid_table *table);

/*
 * Ways as AMD's leaves 80000006H and 80000019H encode them (APM vol. 3, table E-4): 0: there is none; *full: fully associative;
 * *elsewhere: the whole field is to be taken from 8000001DH; false: the code is reserved.
 */
bool machine_amd_ways(uint32_t code, uint32_t *ways, bool *full, bool *elsewhere);

#endif
