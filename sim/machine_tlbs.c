/* SPDX-License-Identifier: MIT
 *
 * machine_tlbs.c - TLBs as CPUID tells them (interface, sources and what is merged: machine_facts.h).
 *
 * AMD tells each page size by itself, also where one array holds several of them. Arrays of one level and side with equal entries
 * are taken as one, as AMD's optimization guides for families 17h and 19h say of theirs ("2.7 memory address translation").
 */
#include "sim/machine_decode.h"

#include <stdlib.h>

#define LEAF_DESCRIPTORS 0x2u
#define LEAF_TLBS 0x18u
#define LEAF_AMD_L1 0x80000005u
#define LEAF_AMD_L2 0x80000006u
#define LEAF_AMD_1G 0x80000019u

#define SUBLEAVES_MAX 64u
#define WAYS_FULL_L1 0xffu /* of 80000005H */

enum { TYPE_NONE, TYPE_DATA, TYPE_CODE, TYPE_UNIFIED, TYPE_LOADS, TYPE_STORES };

#define LARGE (MACHINE_2M | MACHINE_4M)

/* ---- one array ---- */

static bool sides_meet(enum machine_serves left, enum machine_serves right)
{
	return left == MACHINE_ALL || right == MACHINE_ALL || left == right;
}

static uint32_t sets_of(const struct machine_tlb *tlb)
{
	return tlb->ways ? tlb->entries / tlb->ways : 1;
}

/* Another array of the level that holds a size of this one on its side; NULL: none. */
static struct machine_tlb *rival_of(struct machine_facts *facts, const struct machine_tlb *tlb)
{
	for (unsigned i = 0; i < facts->tlbs_count; i++) {
		struct machine_tlb *other = &facts->tlbs[i];
		if (other->level == tlb->level && sides_meet(other->serves, tlb->serves) && (other->pages & tlb->pages))
			return other;
	}
	return NULL;
}

/* Sizes that the other arrays of a level hold on a side. */
static unsigned held_by_others(const struct machine_facts *facts, const struct machine_tlb *tlb)
{
	unsigned pages = 0;
	for (unsigned i = 0; i < facts->tlbs_count; i++) {
		const struct machine_tlb *other = &facts->tlbs[i];
		if (other != tlb && other->level == tlb->level && sides_meet(other->serves, tlb->serves))
			pages |= other->pages;
	}
	return pages;
}

/* Ways of both together, of as many sets as the one that is there has. */
static void join(struct machine_facts *facts, struct machine_tlb *into, const struct machine_tlb *tlb)
{
	uint32_t sets = sets_of(into), ways = tlb->entries / sets;
	machine_facts_note(
	        facts,
	        "TLBs of level %u with %u and %u entries both hold a page size: they are one array here, which gives the "
	        "sizes that only one of them holds too many entries",
	        into->level, into->entries, tlb->entries);
	into->entries += ways * sets;
	into->ways = into->ways ? into->ways + ways : 0;
	into->pages |= tlb->pages & ~held_by_others(facts, into);
}

/* A descriptor that is told twice is one array. */
static bool is_told_twice(const struct machine_tlb *left, const struct machine_tlb *right)
{
	return left->source.descriptor && left->source.descriptor == right->source.descriptor && left->pages == right->pages;
}

static bool add(struct decoding *decoding, const struct machine_tlb *tlb)
{
	struct machine_facts *facts = decoding->facts;
	const struct machine_source *source = &tlb->source;
	if (tlb->level == 0 || tlb->level > MACHINE_LEVELS_MAX)
		return error_set(decoding->error, ERROR_INPUT, "CPUID leaf 0x%x subleaf %u: a TLB of level %u; expected 1 to %u",
		                 source->leaf, source->subleaf, tlb->level, MACHINE_LEVELS_MAX);
	if (tlb->entries == 0 || tlb->entries > MACHINE_TLB_ENTRIES_MAX)
		return error_set(decoding->error, ERROR_INPUT,
		                 "CPUID leaf 0x%x subleaf %u: a TLB of %u entries; expected 1 to %u", source->leaf,
		                 source->subleaf, tlb->entries, MACHINE_TLB_ENTRIES_MAX);
	if (tlb->ways && tlb->entries % tlb->ways)
		return error_set(decoding->error, ERROR_INPUT,
		                 "CPUID leaf 0x%x subleaf %u: a TLB of %u entries in %u ways; expected a multiple", source->leaf,
		                 source->subleaf, tlb->entries, tlb->ways);
	struct machine_tlb *rival = rival_of(facts, tlb);
	if (rival && is_told_twice(rival, tlb))
		return true;
	if (rival && rival->serves == tlb->serves && rival->entries + tlb->entries <= MACHINE_TLB_ENTRIES_MAX) {
		join(facts, rival, tlb);
		return true;
	}
	if (rival) {
		machine_facts_note(facts, "leaf 0x%x subleaf %u: a TLB is left out, since another of its level holds its pages",
		                   source->leaf, source->subleaf);
		return true;
	}
	if (facts->tlbs_count == MACHINE_TLBS_MAX)
		return error_set(decoding->error, ERROR_INPUT, "CPUID leaf 0x%x: more than %u TLBs", source->leaf,
		                 MACHINE_TLBS_MAX);
	facts->tlbs[facts->tlbs_count++] = *tlb;
	return true;
}

/* ---- Intel: leaf 18H ---- */

static bool decode_subleaf(struct decoding *decoding, const struct cpuid_leaf *row)
{
	static const enum machine_serves serves[] = {[TYPE_DATA] = MACHINE_DATA,
	                                             [TYPE_CODE] = MACHINE_CODE,
	                                             [TYPE_UNIFIED] = MACHINE_ALL,
	                                             [TYPE_LOADS] = MACHINE_DATA};
	const uint32_t type = cpuid_bits(row->edx, 4, 0), ways = cpuid_bits(row->ebx, 31, 16), pages = cpuid_bits(row->ebx, 3, 0);
	if (type > TYPE_LOADS || pages == 0) {
		machine_facts_note(decoding->facts, "leaf 0x18 subleaf %u: a TLB %s is left out", row->subleaf,
		                   type == TYPE_STORES ? "for stores only" : "of unknown type");
		return true;
	}
	const uint64_t entries = (uint64_t)ways * row->ecx;
	if (entries > MACHINE_TLB_ENTRIES_MAX)
		return error_set(decoding->error, ERROR_INPUT,
		                 "CPUID leaf 0x18 subleaf %u: a TLB of %llu entries; expected 1 to %u", row->subleaf,
		                 (unsigned long long)entries, MACHINE_TLB_ENTRIES_MAX);
	const struct machine_tlb tlb = {.level = cpuid_bits(row->edx, 7, 5),
	                                .serves = serves[type],
	                                .entries = (uint32_t)entries,
	                                .ways = row->edx >> 8 & 1 ? 0 : ways,
	                                .pages = pages,
	                                .source = {.leaf = LEAF_TLBS, .subleaf = row->subleaf}};
	return add(decoding, &tlb);
}

static bool decode_leaf_18(struct decoding *decoding)
{
	const uint32_t last = cpuid_get(decoding->table, LEAF_TLBS, 0).eax;
	for (uint32_t subleaf = 0; subleaf <= last && subleaf < SUBLEAVES_MAX; subleaf++) {
		const struct cpuid_leaf row = cpuid_get(decoding->table, LEAF_TLBS, subleaf);
		if (cpuid_bits(row.edx, 4, 0) != TYPE_NONE && !decode_subleaf(decoding, &row))
			return false;
	}
	return true;
}

/* ---- Intel: leaf 2 ---- */

/* Descriptors of TLBs (SDM vol. 2A, CPUID, "Encoding of CPUID leaf 2 descriptors"). ways 0: fully associative, or not told. */
static const struct descriptor {
	uint8_t number;
	uint8_t level;
	uint8_t serves;
	uint8_t pages;
	uint16_t entries, ways;
} descriptors[] = {
        {0x01, 1, MACHINE_CODE, MACHINE_4K, 32, 4},
        {0x02, 1, MACHINE_CODE, MACHINE_4M, 2, 0},
        {0x03, 1, MACHINE_DATA, MACHINE_4K, 64, 4},
        {0x04, 1, MACHINE_DATA, MACHINE_4M, 8, 4},
        {0x05, 2, MACHINE_DATA, MACHINE_4M, 32, 4},
        {0x0b, 1, MACHINE_CODE, MACHINE_4M, 4, 4},
        {0x4f, 1, MACHINE_CODE, MACHINE_4K, 32, 0},
        {0x50, 1, MACHINE_CODE, MACHINE_4K | LARGE, 64, 0},
        {0x51, 1, MACHINE_CODE, MACHINE_4K | LARGE, 128, 0},
        {0x52, 1, MACHINE_CODE, MACHINE_4K | LARGE, 256, 0},
        {0x55, 1, MACHINE_CODE, LARGE, 7, 0},
        {0x56, 1, MACHINE_DATA, MACHINE_4M, 16, 4},
        {0x57, 1, MACHINE_DATA, MACHINE_4K, 16, 4},
        {0x59, 1, MACHINE_DATA, MACHINE_4K, 16, 0},
        {0x5a, 1, MACHINE_DATA, LARGE, 32, 4},
        {0x5b, 1, MACHINE_DATA, MACHINE_4K | MACHINE_4M, 64, 0},
        {0x5c, 1, MACHINE_DATA, MACHINE_4K | MACHINE_4M, 128, 0},
        {0x5d, 1, MACHINE_DATA, MACHINE_4K | MACHINE_4M, 256, 0},
        {0x61, 1, MACHINE_CODE, MACHINE_4K, 48, 0},
        {0x63, 1, MACHINE_DATA, LARGE, 32, 4},
        {0x63, 1, MACHINE_DATA, MACHINE_1G, 4, 4},
        {0x64, 1, MACHINE_DATA, MACHINE_4K, 512, 4},
        {0x6a, 1, MACHINE_DATA, MACHINE_4K, 64, 8},
        {0x6b, 1, MACHINE_DATA, MACHINE_4K, 256, 8},
        {0x6c, 1, MACHINE_DATA, LARGE, 128, 8},
        {0x6d, 1, MACHINE_DATA, MACHINE_1G, 16, 0},
        {0x76, 1, MACHINE_CODE, LARGE, 8, 0},
        {0xa0, 1, MACHINE_DATA, MACHINE_4K, 32, 0},
        {0xb0, 1, MACHINE_CODE, MACHINE_4K, 128, 4},
        {0xb1, 1, MACHINE_CODE, LARGE, 8, 4},
        {0xb2, 1, MACHINE_CODE, MACHINE_4K, 64, 4},
        {0xb3, 1, MACHINE_DATA, MACHINE_4K, 128, 4},
        {0xb4, 2, MACHINE_DATA, MACHINE_4K, 256, 4},
        {0xb5, 1, MACHINE_CODE, MACHINE_4K, 64, 8},
        {0xb6, 1, MACHINE_CODE, MACHINE_4K, 128, 8},
        {0xba, 2, MACHINE_DATA, MACHINE_4K, 64, 4},
        {0xc0, 1, MACHINE_DATA, MACHINE_4K | MACHINE_4M, 8, 4},
        {0xc1, 2, MACHINE_ALL, MACHINE_4K | LARGE, 1024, 8},
        {0xc2, 1, MACHINE_DATA, MACHINE_4K | LARGE, 16, 4},
        {0xc3, 2, MACHINE_ALL, MACHINE_4K | LARGE, 1536, 6},
        {0xc3, 2, MACHINE_ALL, MACHINE_1G, 16, 4},
        {0xc4, 1, MACHINE_DATA, LARGE, 32, 4},
        {0xca, 2, MACHINE_ALL, MACHINE_4K, 512, 4},
};

static bool decode_descriptor(struct decoding *decoding, uint8_t number)
{
	for (size_t i = 0; i < sizeof descriptors / sizeof *descriptors; i++) {
		const struct descriptor *known = &descriptors[i];
		const struct machine_tlb tlb = {.level = known->level,
		                                .serves = known->serves,
		                                .entries = known->entries,
		                                .ways = known->ways,
		                                .pages = known->pages,
		                                .source = {.leaf = LEAF_DESCRIPTORS, .descriptor = number}};
		if (known->number == number && !add(decoding, &tlb))
			return false;
	}
	return true;
}

/* Bytes of the four registers but the lowest of EAX, which counts calls; a register whose top bit is set says nothing. */
static bool decode_leaf_2(struct decoding *decoding)
{
	const struct cpuid_leaf row = cpuid_get(decoding->table, LEAF_DESCRIPTORS, 0);
	const uint32_t registers[] = {row.eax & ~0xffu, row.ebx, row.ecx, row.edx};
	for (unsigned i = 0; i < 4; i++)
		for (unsigned byte = 0; byte < 4 && !(registers[i] >> 31); byte++)
			if (!decode_descriptor(decoding, (uint8_t)(registers[i] >> 8 * byte)))
				return false;
	return true;
}

/* ---- AMD ---- */

bool machine_amd_ways(uint32_t code, uint32_t *ways, bool *full, bool *elsewhere)
{
	static const uint8_t by_code[16] = {[1] = 1, 2, 3, 4, 6, 8, [8] = 16, [0xa] = 32, 48, 64, 96, 128};
	*full = code == 0xf;
	*elsewhere = code == 0x9;
	*ways = by_code[code];
	return *ways || code == 0 || *full || *elsewhere;
}

/* The array of the same level and side that this one is another view of. */
static struct machine_tlb *view_of(struct machine_facts *facts, const struct machine_tlb *tlb)
{
	for (unsigned i = 0; i < facts->tlbs_count; i++) {
		struct machine_tlb *other = &facts->tlbs[i];
		if (other->level == tlb->level && other->serves == tlb->serves && other->entries == tlb->entries)
			return other;
	}
	return NULL;
}

static bool add_amd(struct decoding *decoding, const struct machine_tlb *tlb)
{
	struct machine_tlb *view = view_of(decoding->facts, tlb);
	if (!view)
		return add(decoding, tlb);
	if (view->ways != tlb->ways)
		machine_facts_note(
		        decoding->facts,
		        "leaf 0x%x says other ways of a level %u TLB's large pages than of its 4 KiB pages: those of 4 KiB "
		        "pages are taken for all",
		        tlb->source.leaf, tlb->level);
	view->pages |= tlb->pages;
	return true;
}

/* Half a register of 80000005H: ways and entries in a byte each. */
static bool add_amd_first(struct decoding *decoding, uint32_t half, enum machine_serves serves, unsigned pages)
{
	const uint32_t ways = cpuid_bits(half, 15, 8), entries = cpuid_bits(half, 7, 0);
	const struct machine_tlb tlb = {.level = 1,
	                                .serves = serves,
	                                .entries = entries,
	                                .ways = ways == WAYS_FULL_L1 ? 0 : ways,
	                                .pages = pages,
	                                .source = {.leaf = LEAF_AMD_L1}};
	return ways == 0 || entries == 0 || add_amd(decoding, &tlb);
}

/* Half a register of 80000006H or 80000019H: ways by their code in 4 bits, entries in 12. */
static bool add_amd_coded(struct decoding *decoding, uint32_t half, struct machine_tlb tlb)
{
	bool full, elsewhere;
	tlb.entries = cpuid_bits(half, 11, 0);
	if (!machine_amd_ways(cpuid_bits(half, 15, 12), &tlb.ways, &full, &elsewhere) || elsewhere)
		return error_set(decoding->error, ERROR_INPUT, "CPUID leaf 0x%x: a TLB with ways of the reserved code %u",
		                 tlb.source.leaf, cpuid_bits(half, 15, 12));
	if (tlb.entries == 0 || (tlb.ways == 0 && !full))
		return true;
	return add_amd(decoding, &tlb);
}

static bool add_amd_pair(struct decoding *decoding, uint32_t value, struct machine_tlb tlb)
{
	tlb.serves = MACHINE_CODE;
	if (!add_amd_coded(decoding, cpuid_bits(value, 15, 0), tlb))
		return false;
	tlb.serves = MACHINE_DATA;
	return add_amd_coded(decoding, cpuid_bits(value, 31, 16), tlb);
}

static bool decode_amd(struct decoding *decoding)
{
	const struct cpuid_leaf first = cpuid_get(decoding->table, LEAF_AMD_L1, 0);
	const struct cpuid_leaf second = cpuid_get(decoding->table, LEAF_AMD_L2, 0);
	const struct cpuid_leaf huge = cpuid_get(decoding->table, LEAF_AMD_1G, 0);
	const struct {
		uint32_t value;
		struct machine_tlb tlb;
	} coded[] = {
	        {second.ebx, {.level = 2, .pages = MACHINE_4K, .source = {.leaf = LEAF_AMD_L2}}},
	        {second.eax, {.level = 2, .pages = LARGE, .source = {.leaf = LEAF_AMD_L2}}},
	        {huge.eax, {.level = 1, .pages = MACHINE_1G, .source = {.leaf = LEAF_AMD_1G}}},
	        {huge.ebx, {.level = 2, .pages = MACHINE_1G, .source = {.leaf = LEAF_AMD_1G}}},
	};
	bool fine = add_amd_first(decoding, first.ebx & 0xffff, MACHINE_CODE, MACHINE_4K) &&
	            add_amd_first(decoding, first.ebx >> 16, MACHINE_DATA, MACHINE_4K) &&
	            add_amd_first(decoding, first.eax & 0xffff, MACHINE_CODE, LARGE) &&
	            add_amd_first(decoding, first.eax >> 16, MACHINE_DATA, LARGE);
	for (size_t i = 0; fine && i < sizeof coded / sizeof *coded; i++)
		fine = add_amd_pair(decoding, coded[i].value, coded[i].tlb);
	if (fine && huge.eax == 0 && decoding->facts->gigabyte_pages)
		machine_facts_note(decoding->facts,
		                   "leaf 80000019H tells no TLB for pages of 1 GiB, though the processor has such pages");
	return fine;
}

/* ---- all of them ---- */

static int by_level(const void *left, const void *right)
{
	const struct machine_tlb *a = left, *b = right;
	if (a->level != b->level)
		return a->level < b->level ? -1 : 1;
	if ((a->serves == MACHINE_ALL) != (b->serves == MACHINE_ALL))
		return a->serves == MACHINE_ALL ? 1 : -1;
	if (a->serves != b->serves)
		return a->serves < b->serves ? -1 : 1;
	return a->pages < b->pages ? -1 : a->pages > b->pages;
}

bool machine_decode_tlbs(struct decoding *decoding)
{
	struct machine_facts *facts = decoding->facts;
	bool fine = machine_facts_is_amd(facts) ? decode_amd(decoding)
	                                        : decode_leaf_18(decoding) && (facts->tlbs_count > 0 || decode_leaf_2(decoding));
	if (!fine)
		return false;
	qsort(facts->tlbs, facts->tlbs_count, sizeof facts->tlbs[0], by_level);
	for (unsigned i = 0; i < facts->tlbs_count; i++) {
		unsigned before = i ? facts->tlbs[i - 1].level : 0, level = facts->tlbs[i].level;
		if (level > before + 1)
			return error_set(decoding->error, ERROR_INPUT, "CPUID tells a TLB of level %u and none of level %u",
			                 level, before + 1);
	}
	return true;
}
