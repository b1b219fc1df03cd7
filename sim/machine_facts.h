/* SPDX-License-Identifier: MIT
 *
 * machine_facts.h - what CPUID tells of a machine: a pure function from a table of leaves to caches, TLBs, address sizes,
 * topology and frequency.
 *
 *   Intel  caches: leaf 4          TLBs: leaf 18H, else the descriptors of leaf 2
 *   AMD    caches: 8000001DH,      TLBs: 80000005H, 80000006H, 80000019H
 *          else 80000005H, 80000006H
 *   both   topology: 1FH, BH, 8000001EH    frequency: 16H, 15H, 40000010H, the brand's "@ 3.40GHz"
 *
 * Sources: Intel 64 and IA-32 Architectures SDM vol. 2A, CPUID; AMD64 Architecture Programmer's Manual vol. 3, appendix E.
 *
 * MODEL: an array that holds stores only (Intel, since Ice Lake) is left out, and one that holds loads only serves all data.
 * MODEL: two arrays of one level that both hold a page size are one of their ways together; it then holds all sizes of both.
 *
 * Invariant of what is returned: levels of caches and of TLBs are 1, 2, ... without a gap; a level is one cache, or one for code
 * and one for data; no page size stands twice in a level of TLBs on one side; numbers are within the bounds below.
 */
#ifndef SIM_MACHINE_FACTS_H
#define SIM_MACHINE_FACTS_H

#include "sim/cpuid.h"

#define MACHINE_CACHES_MAX 16u
#define MACHINE_TLBS_MAX 24u
#define MACHINE_NOTES_MAX 32u
#define MACHINE_LEVELS_MAX 4u
#define MACHINE_CACHE_BYTES_MAX (64ull << 30)
#define MACHINE_TLB_ENTRIES_MAX (1u << 20)

#define CPUID_VENDOR_BYTES 13u
#define CPUID_BRAND_BYTES 49u

enum machine_serves { MACHINE_ALL, MACHINE_CODE, MACHINE_DATA };

enum machine_pages { MACHINE_4K = 1, MACHINE_2M = 2, MACHINE_4M = 4, MACHINE_1G = 8 };

/* Where a fact comes from: a leaf and subleaf, and of leaf 2 the descriptor (0: not of leaf 2). */
struct machine_source {
	uint32_t leaf, subleaf;
	uint8_t descriptor;
};

struct machine_cache {
	unsigned level;
	enum machine_serves serves;
	uint64_t size_bytes;
	uint32_t ways; /* 0: fully associative */
	uint32_t line_bytes;
	uint32_t cpus;  /* that share one instance; 0: not told */
	bool inclusive; /* of the levels above it */
	bool exclusive; /* a victim cache: by the manual, CPUID has no bit for it */
	bool complex_index;
	struct machine_source source;
};

struct machine_tlb {
	unsigned level;
	enum machine_serves serves;
	uint32_t entries;
	uint32_t ways;  /* 0: fully associative */
	unsigned pages; /* of enum machine_pages */
	struct machine_source source;
};

struct machine_facts {
	char vendor[CPUID_VENDOR_BYTES];
	char brand[CPUID_BRAND_BYTES]; /* printable ASCII, blanks at both ends taken off */
	unsigned family, model, stepping;
	struct machine_cache caches[MACHINE_CACHES_MAX]; /* by level, code before data */
	unsigned caches_count;
	struct machine_tlb tlbs[MACHINE_TLBS_MAX]; /* by level */
	unsigned tlbs_count;
	uint32_t cpus;    /* logical processors of a package; 0: not told */
	uint32_t threads; /* of a core; 0: not told */
	struct machine_source cpus_source;
	uint64_t frequency_hz; /* 0: not told */
	struct machine_source frequency_source;
	unsigned physical_bits, linear_bits; /* 0: not told */
	bool nx, pcid, smep, smap, la57, gigabyte_pages;
	bool hypervisor;
	char hypervisor_vendor[CPUID_VENDOR_BYTES]; /* of leaf 40000000H; "" if it hides */
	char *notes[MACHINE_NOTES_MAX];             /* sentences for the user, owned: what CPUID does not tell, or may fake */
	unsigned notes_count;
};

/* false with *error naming the leaf that cannot be, and what was expected; then there is nothing to be released. */
bool machine_facts_decode(const struct cpuid_table *table, struct machine_facts *facts, struct error *error);
void machine_facts_release(struct machine_facts *facts);

/* Adds a sentence, printf style; one that is there already, and one too many, is left out. */
void machine_facts_note(struct machine_facts *facts, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The value of machine.virtualized for a guest on such a processor: AMD's nested tables, or Intel's extended ones. */
const char *machine_facts_nesting(const struct machine_facts *facts);

/* AMD and its licensees, whose extended leaves these are. */
bool machine_facts_is_amd(const struct machine_facts *facts);

#endif
