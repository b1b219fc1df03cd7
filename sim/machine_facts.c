/* SPDX-License-Identifier: MIT
 *
 * machine_facts.c - CPUID decoded: who made the processor, topology, frequency, widths, and what is to be said of a virtual
 * machine (interface and sources: machine_facts.h). Caches and TLBs: machine_caches.c, machine_tlbs.c.
 */
#include "sim/machine_facts.h"

#include "sim/machine_decode.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LEAF_VERSION 0x1u
#define LEAF_FEATURES 0x7u
#define LEAF_TOPOLOGY 0xbu
#define LEAF_CLOCKS 0x15u
#define LEAF_FREQUENCY 0x16u
#define LEAF_TOPOLOGY_V2 0x1fu
#define LEAF_HYPERVISOR 0x40000000u
#define LEAF_HYPERVISOR_CLOCK 0x40000010u
#define LEAF_EXTENDED_FEATURES 0x80000001u
#define LEAF_BRAND 0x80000002u
#define LEAF_WIDTHS 0x80000008u
#define LEAF_AMD_TOPOLOGY 0x8000001eu

#define TOPOLOGY_SUBLEAVES_MAX 8u
#define TOPOLOGY_THREAD 1u /* level type of leaves BH and 1FH: threads of a core */

#define MHZ 1000000ull
#define KHZ 1000ull
/* Faster than this is no processor: the bound of machine.frequency. */
#define FREQUENCY_MAX (100000 * MHZ)

struct cpuid_leaf cpuid_get(const struct cpuid_table *table, uint32_t leaf, uint32_t subleaf)
{
	const struct cpuid_leaf *row = cpuid_find(table, leaf, subleaf);
	return row ? *row : (struct cpuid_leaf){.leaf = leaf, .subleaf = subleaf};
}

void machine_facts_note(struct machine_facts *facts, const char *format, ...)
{
	if (facts->notes_count == MACHINE_NOTES_MAX)
		return;
	char *text;
	va_list arguments;
	va_start(arguments, format);
	int length = vasprintf(&text, format, arguments);
	va_end(arguments);
	SIM_ASSERT(length >= 0);
	for (unsigned i = 0; i < facts->notes_count; i++)
		if (strcmp(facts->notes[i], text) == 0) {
			free(text);
			return;
		}
	facts->notes[facts->notes_count++] = text;
}

bool machine_facts_is_amd(const struct machine_facts *facts)
{
	return strcmp(facts->vendor, "AuthenticAMD") == 0 || strcmp(facts->vendor, "HygonGenuine") == 0;
}

const char *machine_facts_nesting(const struct machine_facts *facts)
{
	return machine_facts_is_amd(facts) ? "x86_4level" : "x86_ept";
}

/* ---- who it is ---- */

/* Copies registers as text: what is no printable ASCII becomes '?', a NUL ends it. */
static void take_text(char *text, const uint32_t *registers, unsigned count)
{
	unsigned length = 4 * count;
	memcpy(text, registers, length);
	text[length] = '\0';
	for (char *at = text; *at; at++)
		if (*at < ' ' || *at > '~')
			*at = '?';
}

static void trim(char *text)
{
	size_t first = strspn(text, " "), length = strlen(text + first);
	memmove(text, text + first, length + 1);
	while (length > 0 && text[length - 1] == ' ')
		text[--length] = '\0';
}

static void decode_names(struct decoding *decoding)
{
	struct machine_facts *facts = decoding->facts;
	const struct cpuid_leaf vendor = cpuid_get(decoding->table, 0, 0);
	take_text(facts->vendor, (const uint32_t[]){vendor.ebx, vendor.edx, vendor.ecx}, 3);
	uint32_t brand[12];
	for (unsigned i = 0; i < 3; i++) {
		const struct cpuid_leaf row = cpuid_get(decoding->table, LEAF_BRAND + i, 0);
		memcpy(&brand[4 * i], (const uint32_t[]){row.eax, row.ebx, row.ecx, row.edx}, 16);
	}
	take_text(facts->brand, brand, 12);
	trim(facts->brand);
	/* SDM vol. 2A, CPUID, figure 3-6: the extended family counts only with family 15, the extended model with 6 and 15. */
	const uint32_t version = cpuid_get(decoding->table, LEAF_VERSION, 0).eax;
	unsigned family = cpuid_bits(version, 11, 8), model = cpuid_bits(version, 7, 4);
	facts->stepping = cpuid_bits(version, 3, 0);
	facts->family = family == 15 ? family + cpuid_bits(version, 27, 20) : family;
	facts->model = family == 6 || family == 15 ? cpuid_bits(version, 19, 16) << 4 | model : model;
}

static void decode_features(struct decoding *decoding)
{
	struct machine_facts *facts = decoding->facts;
	const struct cpuid_leaf version = cpuid_get(decoding->table, LEAF_VERSION, 0);
	const struct cpuid_leaf features = cpuid_get(decoding->table, LEAF_FEATURES, 0);
	const struct cpuid_leaf extended = cpuid_get(decoding->table, LEAF_EXTENDED_FEATURES, 0);
	const uint32_t widths = cpuid_get(decoding->table, LEAF_WIDTHS, 0).eax;
	facts->pcid = version.ecx >> 17 & 1;
	facts->hypervisor = version.ecx >> 31;
	facts->smep = features.ebx >> 7 & 1;
	facts->smap = features.ebx >> 20 & 1;
	facts->la57 = features.ecx >> 16 & 1;
	facts->nx = extended.edx >> 20 & 1;
	facts->gigabyte_pages = extended.edx >> 26 & 1;
	facts->physical_bits = cpuid_bits(widths, 7, 0);
	facts->linear_bits = cpuid_bits(widths, 15, 8);
	if (!facts->hypervisor)
		return;
	const struct cpuid_leaf hypervisor = cpuid_get(decoding->table, LEAF_HYPERVISOR, 0);
	take_text(facts->hypervisor_vendor, (const uint32_t[]){hypervisor.ebx, hypervisor.ecx, hypervisor.edx}, 3);
}

/* ---- topology ---- */

/* The leaf of levels that the processor has: 1FH, else BH; 0: neither. A leaf of zeroes is one it does not have. */
static uint32_t topology_leaf(const struct cpuid_table *table)
{
	if (cpuid_bits(cpuid_get(table, LEAF_TOPOLOGY_V2, 0).ecx, 15, 8) != 0)
		return LEAF_TOPOLOGY_V2;
	return cpuid_bits(cpuid_get(table, LEAF_TOPOLOGY, 0).ecx, 15, 8) != 0 ? LEAF_TOPOLOGY : 0;
}

uint32_t machine_core_span(const struct cpuid_table *table)
{
	const uint32_t leaf = topology_leaf(table);
	const struct cpuid_leaf row = cpuid_get(table, leaf, 0);
	return leaf && cpuid_bits(row.ecx, 15, 8) == TOPOLOGY_THREAD ? 1u << cpuid_bits(row.eax, 4, 0) : 0;
}

static void decode_topology(struct decoding *decoding)
{
	struct machine_facts *facts = decoding->facts;
	const uint32_t leaf = topology_leaf(decoding->table);
	for (uint32_t subleaf = 0; leaf && subleaf < TOPOLOGY_SUBLEAVES_MAX; subleaf++) {
		const struct cpuid_leaf row = cpuid_get(decoding->table, leaf, subleaf);
		uint32_t type = cpuid_bits(row.ecx, 15, 8), count = cpuid_bits(row.ebx, 15, 0);
		if (type == 0)
			break;
		if (type == TOPOLOGY_THREAD)
			facts->threads = count;
		facts->cpus = count;
		facts->cpus_source = (struct machine_source){.leaf = leaf, .subleaf = subleaf};
	}
	if (leaf)
		return;
	const struct cpuid_leaf version = cpuid_get(decoding->table, LEAF_VERSION, 0);
	const bool many = version.edx >> 28 & 1;
	facts->cpus = many ? cpuid_bits(version.ebx, 23, 16) : 1;
	facts->cpus_source = (struct machine_source){.leaf = LEAF_VERSION};
	if (machine_facts_is_amd(facts) && cpuid_find(decoding->table, LEAF_AMD_TOPOLOGY, 0))
		facts->threads = cpuid_bits(cpuid_get(decoding->table, LEAF_AMD_TOPOLOGY, 0).ebx, 15, 8) + 1;
}

/* ---- frequency ---- */

/* "... @ 3.40GHz" in hertz, 0 if the brand says none. */
static uint64_t brand_frequency(const char *brand)
{
	const char *at = strrchr(brand, '@');
	if (!at)
		return 0;
	uint64_t number = 0, fraction_of = 0;
	for (at += 1; *at == ' '; at++)
		;
	for (; (*at >= '0' && *at <= '9') || (*at == '.' && !fraction_of); at++) {
		if (*at == '.') {
			fraction_of = 1;
			continue;
		}
		if (number > FREQUENCY_MAX)
			return 0;
		number = 10 * number + (uint64_t)(*at - '0');
		fraction_of *= 10;
	}
	uint64_t unit = strncmp(at, "GHz", 3) == 0 ? 1000 * MHZ : strncmp(at, "MHz", 3) == 0 ? MHZ : 0;
	if (fraction_of > unit || number > FREQUENCY_MAX / MHZ)
		return 0;
	return fraction_of ? number * (unit / fraction_of) : number * unit;
}

/* Clock of the timestamp counter: crystal times ratio (SDM vol. 2A, CPUID leaf 15H). */
static uint64_t counter_frequency(const struct cpuid_leaf *clocks)
{
	if (clocks->eax == 0 || clocks->ebx == 0 || clocks->ecx == 0)
		return 0;
	return (uint64_t)clocks->ecx * clocks->ebx / clocks->eax;
}

static void decode_frequency(struct decoding *decoding)
{
	struct machine_facts *facts = decoding->facts;
	const struct cpuid_leaf clocks = cpuid_get(decoding->table, LEAF_CLOCKS, 0);
	const struct {
		uint32_t leaf;
		uint64_t hz;
	} told[] = {
	        {LEAF_FREQUENCY, cpuid_bits(cpuid_get(decoding->table, LEAF_FREQUENCY, 0).eax, 15, 0) * MHZ},
	        {LEAF_CLOCKS, counter_frequency(&clocks)},
	        {LEAF_HYPERVISOR_CLOCK, facts->hypervisor ? cpuid_get(decoding->table, LEAF_HYPERVISOR_CLOCK, 0).eax * KHZ : 0},
	        {LEAF_BRAND, brand_frequency(facts->brand)},
	};
	for (size_t i = 0; i < sizeof told / sizeof *told; i++) {
		if (told[i].hz < MHZ || told[i].hz > FREQUENCY_MAX)
			continue;
		facts->frequency_hz = told[i].hz;
		facts->frequency_source = (struct machine_source){.leaf = told[i].leaf};
		return;
	}
}

/* ---- what is to be said ---- */

static void note_virtual_machine(struct machine_facts *facts)
{
	if (!facts->hypervisor)
		return;
	machine_facts_note(facts,
	                   "this is a virtual machine (%s%s): its hypervisor chooses what CPUID says. CPUs and what they share, "
	                   "TLBs and the frequency may be hidden or made up; caches may be shared with other guests",
	                   facts->hypervisor_vendor[0] ? "hypervisor " : "no hypervisor's name", facts->hypervisor_vendor);
	machine_facts_note(facts,
	                   "a TLB miss of a guest walks two dimensions of tables: machine.virtualized=%s does that in runs of "
	                   "accesses; it is off in this file, as on a bare machine",
	                   machine_facts_nesting(facts));
}

static void note_what_is_missing(struct decoding *decoding)
{
	struct machine_facts *facts = decoding->facts;
	const struct cpuid_leaf features = cpuid_get(decoding->table, LEAF_FEATURES, 0);
	if (facts->frequency_hz == 0)
		machine_facts_note(facts, "CPUID tells no frequency");
	if (facts->physical_bits == 0)
		machine_facts_note(facts, "leaf 80000008H is missing: the width of addresses is not told");
	if (facts->tlbs_count == 0)
		machine_facts_note(facts, "CPUID tells no TLBs: machine.tlbs keeps its default");
	if (facts->threads > 1)
		machine_facts_note(facts, "%u threads share a core and its TLBs: here each CPU has TLBs of its own",
		                   facts->threads);
	if (facts->cpus > CPUS_MAX)
		machine_facts_note(facts, "%u CPUs a package; at most %d can be simulated", facts->cpus, CPUS_MAX);
	if (features.edx >> 15 & 1)
		machine_facts_note(facts, "the processor has cores of several kinds: these are the answers of one of them");
}

bool machine_facts_decode(const struct cpuid_table *table, struct machine_facts *facts, struct error *error)
{
	*facts = (struct machine_facts){0};
	struct decoding decoding = {.table = table, .facts = facts, .error = error};
	decode_names(&decoding);
	decode_features(&decoding);
	decode_topology(&decoding);
	decode_frequency(&decoding);
	note_virtual_machine(facts);
	if (machine_decode_caches(&decoding) && machine_decode_tlbs(&decoding)) {
		note_what_is_missing(&decoding);
		return true;
	}
	machine_facts_release(facts);
	return false;
}

void machine_facts_release(struct machine_facts *facts)
{
	for (unsigned i = 0; i < facts->notes_count; i++)
		free(facts->notes[i]);
	*facts = (struct machine_facts){0};
}
