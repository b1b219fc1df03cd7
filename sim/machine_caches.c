/* SPDX-License-Identifier: MIT
 *
 * machine_caches.c - caches as CPUID tells them (interface and sources: machine_facts.h).
 *
 * Leaf 4 and AMD's 8000001DH have one layout: a subleaf a cache, until one of type 0. size = ways * partitions * line * sets.
 */
#include "sim/machine_decode.h"

#include <stdlib.h>

#define LEAF_CACHES 0x4u
#define LEAF_AMD_L1 0x80000005u
#define LEAF_AMD_L2 0x80000006u
#define LEAF_AMD_CACHES 0x8000001du

#define SUBLEAVES_MAX 64u
#define LINE_BYTES_MIN 16u
#define LINE_BYTES_MAX 256u
#define WAYS_FULL_L1 0xffu /* of 80000005H */
#define L3_UNIT_BYTES (512u << 10)
#define KIB 1024u
/* What a core complex has, where a hypervisor leaves out 8000001DH and 80000006H tells the package's sum: 16 ways in all Zen
 * cores; 16 MiB in family 17h (Zen 2), 32 MiB since (AMD software optimization guides for families 17h, 19h, 1Ah: L3). */
#define COMPLEX_L3_WAYS 16u
#define COMPLEX_L3_BYTES_17H (16u << 20)
#define COMPLEX_L3_BYTES (32u << 20)
/* The L3 of these families takes what L2 lets go (AMD software optimization guides for families 17h, 19h, 1Ah: cache). */
#define FAMILY_VICTIM_L3 0x17u

enum { TYPE_NONE, TYPE_DATA, TYPE_CODE, TYPE_UNIFIED };

static bool fail(struct decoding *decoding, const struct machine_cache *cache, const char *found)
{
	return error_set(decoding->error, ERROR_INPUT, "CPUID leaf 0x%x subleaf %u: a level %u cache with %s", cache->source.leaf,
	                 cache->source.subleaf, cache->level, found);
}

static bool add(struct decoding *decoding, const struct machine_cache *cache)
{
	struct machine_facts *facts = decoding->facts;
	if (facts->caches_count == MACHINE_CACHES_MAX)
		return error_set(decoding->error, ERROR_INPUT, "CPUID leaf 0x%x: more than %u caches", cache->source.leaf,
		                 MACHINE_CACHES_MAX);
	if (cache->line_bytes < LINE_BYTES_MIN || cache->line_bytes > LINE_BYTES_MAX ||
	    (cache->line_bytes & (cache->line_bytes - 1)))
		return fail(decoding, cache, "a line that is no power of two from 16 to 256 bytes");
	if (cache->size_bytes == 0 || cache->size_bytes > MACHINE_CACHE_BYTES_MAX)
		return fail(decoding, cache, "a size that is none, or above 64 GiB");
	uint64_t way = (uint64_t)cache->line_bytes * (cache->ways ? cache->ways : 1);
	if (cache->size_bytes % way)
		return fail(decoding, cache, "a size that is no whole number of sets");
	if (cache->ways == 0 && cache->size_bytes / cache->line_bytes > MACHINE_TLB_ENTRIES_MAX)
		return fail(decoding, cache, "more than 1 Mi lines in one set");
	facts->caches[facts->caches_count++] = *cache;
	return true;
}

/* CPUs that share a cache, of the APIC ids that its field says they span at most. */
static uint32_t sharing(const struct decoding *decoding, uint32_t ids, bool is_exact)
{
	const struct machine_facts *facts = decoding->facts;
	if (is_exact || facts->cpus == 0)
		return ids;
	if (ids <= machine_core_span(decoding->table) && facts->threads)
		return ids < facts->threads ? ids : facts->threads;
	return ids < facts->cpus ? ids : facts->cpus;
}

static bool decode_subleaf(struct decoding *decoding, const struct cpuid_leaf *row)
{
	static const enum machine_serves serves[] = {
	        [TYPE_DATA] = MACHINE_DATA, [TYPE_CODE] = MACHINE_CODE, [TYPE_UNIFIED] = MACHINE_ALL};
	const bool amd = row->leaf == LEAF_AMD_CACHES;
	const uint32_t type = cpuid_bits(row->eax, 4, 0);
	if (type > TYPE_UNIFIED) {
		machine_facts_note(decoding->facts, "leaf 0x%x subleaf %u: a cache of unknown type %u is left out", row->leaf,
		                   row->subleaf, type);
		return true;
	}
	const uint64_t ways = cpuid_bits(row->ebx, 31, 22) + 1, partitions = cpuid_bits(row->ebx, 21, 12) + 1,
	               line = cpuid_bits(row->ebx, 11, 0) + 1, sets = (uint64_t)row->ecx + 1;
	struct machine_cache cache = {
	        .level = cpuid_bits(row->eax, 7, 5),
	        .serves = serves[type],
	        .size_bytes = ways * partitions * line, /* at most 2^32 */
	        .ways = (uint32_t)ways,
	        .line_bytes = (uint32_t)line,
	        .cpus = sharing(decoding, cpuid_bits(row->eax, 25, 14) + 1, amd),
	        .inclusive = row->edx >> 1 & 1,
	        .complex_index = row->edx >> 2 & 1,
	        .source = {.leaf = row->leaf, .subleaf = row->subleaf},
	};
	if (cache.size_bytes > MACHINE_CACHE_BYTES_MAX / sets)
		return fail(decoding, &cache, "a size above 64 GiB");
	cache.size_bytes *= sets;
	if (row->eax >> 9 & 1)
		cache.ways = 0;
	if (amd && cache.level == 3 && !cache.inclusive && decoding->facts->family >= FAMILY_VICTIM_L3)
		cache.exclusive = true;
	if (cache.level == 1)
		cache.inclusive = false; /* there is nothing above it */
	return add(decoding, &cache);
}

static bool decode_leaf(struct decoding *decoding, uint32_t leaf)
{
	for (uint32_t subleaf = 0; subleaf < SUBLEAVES_MAX; subleaf++) {
		const struct cpuid_leaf row = cpuid_get(decoding->table, leaf, subleaf);
		if (cpuid_bits(row.eax, 4, 0) == TYPE_NONE)
			break;
		if (!decode_subleaf(decoding, &row))
			return false;
	}
	return true;
}

/* ---- AMD before 8000001DH ---- */

static bool add_amd_l1(struct decoding *decoding, uint32_t value, enum machine_serves serves)
{
	if (cpuid_bits(value, 31, 24) == 0)
		return true;
	const uint32_t ways = cpuid_bits(value, 23, 16);
	const struct machine_cache cache = {.level = 1,
	                                    .serves = serves,
	                                    .size_bytes = (uint64_t)cpuid_bits(value, 31, 24) * KIB,
	                                    .ways = ways == WAYS_FULL_L1 ? 0 : ways,
	                                    .line_bytes = cpuid_bits(value, 7, 0),
	                                    .source = {.leaf = LEAF_AMD_L1}};
	return ways == 0 ? fail(decoding, &cache, "no ways") : add(decoding, &cache);
}

/* The L3 that a core reaches, where only the package's is told. */
static void take_complex_l3(struct machine_facts *facts, struct machine_cache *cache)
{
	const uint64_t share = facts->family == FAMILY_VICTIM_L3 ? COMPLEX_L3_BYTES_17H : COMPLEX_L3_BYTES;
	machine_facts_note(
	        facts,
	        "leaf 0x8000001d is hidden, and leaf 0x80000006 tells the L3 of the whole package, %llu KiB: a core complex's "
	        "share is taken as at most %llu KiB in %u ways (unverified)",
	        (unsigned long long)(cache->size_bytes / KIB), (unsigned long long)(share / KIB), COMPLEX_L3_WAYS);
	if (cache->size_bytes > share)
		cache->size_bytes = share;
	cache->ways = COMPLEX_L3_WAYS;
	cache->exclusive = true;
}

static bool add_amd_lower(struct decoding *decoding, uint32_t value, unsigned level, uint64_t size_bytes)
{
	struct machine_cache cache = {.level = level,
	                              .serves = MACHINE_ALL,
	                              .size_bytes = size_bytes,
	                              .line_bytes = cpuid_bits(value, 7, 0),
	                              .source = {.leaf = LEAF_AMD_L2}};
	bool full, elsewhere;
	if (size_bytes == 0)
		return true;
	if (!machine_amd_ways(cpuid_bits(value, 15, 12), &cache.ways, &full, &elsewhere))
		return fail(decoding, &cache, "ways of a reserved code");
	if (elsewhere && (level != 3 || decoding->facts->family < FAMILY_VICTIM_L3))
		return fail(decoding, &cache, "ways that another leaf tells, which is not there");
	if (elsewhere)
		take_complex_l3(decoding->facts, &cache);
	if (cache.ways == 0 && !full)
		return true;
	return add(decoding, &cache);
}

static bool decode_amd_old(struct decoding *decoding)
{
	const struct cpuid_leaf l1 = cpuid_get(decoding->table, LEAF_AMD_L1, 0);
	const struct cpuid_leaf lower = cpuid_get(decoding->table, LEAF_AMD_L2, 0);
	return add_amd_l1(decoding, l1.edx, MACHINE_CODE) && add_amd_l1(decoding, l1.ecx, MACHINE_DATA) &&
	       add_amd_lower(decoding, lower.ecx, 2, (uint64_t)cpuid_bits(lower.ecx, 31, 16) * KIB) &&
	       add_amd_lower(decoding, lower.edx, 3, (uint64_t)cpuid_bits(lower.edx, 31, 18) * L3_UNIT_BYTES);
}

/* ---- all of them ---- */

static int by_level(const void *left, const void *right)
{
	const struct machine_cache *a = left, *b = right;
	if (a->level != b->level)
		return a->level < b->level ? -1 : 1;
	return a->serves < b->serves ? -1 : a->serves > b->serves;
}

/* The invariant of levels. */
static bool levels_fit(struct decoding *decoding)
{
	const struct machine_facts *facts = decoding->facts;
	for (unsigned i = 0; i < facts->caches_count; i++) {
		const struct machine_cache *cache = &facts->caches[i], *before = i ? cache - 1 : NULL;
		const bool same = before && before->level == cache->level;
		if (!same && cache->level != (before ? before->level + 1 : 1))
			return fail(decoding, cache, before ? "none of the level above it" : "none of level 1");
		if (same && (before->serves == MACHINE_ALL || before->serves == cache->serves))
			return fail(decoding, cache, "another of its level for the same accesses");
		if (cache->level > MACHINE_LEVELS_MAX)
			return fail(decoding, cache, "a level above 4");
		if (cache->line_bytes != facts->caches[0].line_bytes)
			return fail(decoding, cache, "a line of another size than the first level's");
	}
	return true;
}

bool machine_decode_caches(struct decoding *decoding)
{
	struct machine_facts *facts = decoding->facts;
	const bool amd = machine_facts_is_amd(facts);
	if (!decode_leaf(decoding, amd ? LEAF_AMD_CACHES : LEAF_CACHES))
		return false;
	if (facts->caches_count == 0 && amd && !decode_amd_old(decoding))
		return false;
	if (facts->caches_count == 0)
		return error_set(decoding->error, ERROR_INPUT, "CPUID tells no cache of a processor by '%s'; expected %s",
		                 facts->vendor, amd ? "leaf 0x8000001d, or 0x80000005 and 0x80000006" : "leaf 4");
	qsort(facts->caches, facts->caches_count, sizeof facts->caches[0], by_level);
	return levels_fit(decoding);
}
