/* SPDX-License-Identifier: MIT
 *
 * walker.h - the page walker of a core: reads page tables from simulated memory, as far as its paging-structure caches do not
 * spare it.
 *
 *   PML5E -> PML4E -> PDPTE -> PDE -> PTE        one reference each (x86-64 with 5 levels)
 *     a paging-structure cache for each level but the last keeps what such an entry gave: the table it points to, and the rights
 *     that it and those above it give. A walk starts below the lowest level whose cache knows the address.
 *
 * Every entry read is an ACCESS_WALK, every accessed or dirty bit set an ACCESS_WALK_STORE, in the order in which they happen, at
 * the entry's physical address; in place of a region it tells the entry's level (sim/layout.h: REGION_TABLES).
 *
 * Nested paging: tables of a guest hold guest-physical addresses. A walker with a `host` walks the host's tables, with the host
 * walker's own caches and nested TLB, for the top table, for every table that an entry points to, and for the page at last: with
 * 4 levels on 4 levels and all caches cold 5 * 4 + 4 = 24 references. Paging-structure caches of the guest hold host-physical
 * addresses (Intel SDM vol. 3C 28.4.1, combined mappings), so what they spare they spare in both dimensions. In general n levels
 * on m cost (n + 1) * (m + 1) - 1; PAE's top level, in registers, is none of the n, but for a guest of AMD's, which reads it at
 * each walk.
 *
 * Rules: Intel SDM vol. 3A 4.6 (rights), 4.7 (error codes), 4.8 (accessed and dirty), 4.10.3 (paging-structure caches), vol.
 * 3C 28.3; AMD APM vol. 2 5.3 to 5.5, 15.25.
 *
 * MODEL: caches of different levels are looked up together and the lowest that knows the address counts as used, the others do
 * not. MODEL: the host's pages give every right; a walk does not look at the rights of the second stage. MODEL: a guest's walk
 * goes on where the host gave memory; a real one begins again. MODEL: a walk that prefetches sets no bits; it gives up where one
 * would have to be set.
 *
 * Laws: walks = walks that started + addresses that are none + walks without a top table; entries of a level read = walks that
 * started there + walks that went on from the level above; walks that started = walks that ended.
 */
#ifndef SIM_WALKER_H
#define SIM_WALKER_H

#include "sim/access.h"
#include "sim/layout.h"
#include "sim/metric.h"
#include "sim/page_table.h"
#include "sim/port/tlb_level.h"

enum walk_outcome {
	WALK_OK,
	WALK_PAGE_FAULT,         /* #PF with the error code */
	WALK_GENERAL_PROTECTION, /* not a canonical address: #GP(0) */
	WALK_HOST_FAULT,         /* the host has no page there and would not give one (EPT violation, #NPF) */
	WALK_GIVEN_UP            /* a prefetch that came upon an entry not accessed yet */
};

/* What is asked of a walk. */
struct walk_request {
	uint64_t linear;
	bool write, user, fetch;
	bool prefetch;
};

struct walk {
	enum walk_outcome outcome;
	unsigned error_code; /* PF_*, of WALK_PAGE_FAULT */
	uint64_t word;       /* WORD_* of the page: what a TLB keeps */
	enum page_size size;
};

/* Where references go. */
struct walk_sink {
	struct access *at; /* room for WALK_REFERENCES_MAX; NULL: they are only counted */
	size_t count;
	uint16_t cpu; /* of the access that made the walk */
	/* Of the MMU, beside `at`: what the lookups for an access in TLB levels behind the first take. Zeroed by the owner; NULL:
	 * not told. */
	uint32_t *cycles;
};

/* Five levels on five: 5 * (5 + 1) + 5 reads, those of the host twice where it has to give memory, and a store for every entry.
 */
#define WALK_REFERENCES_MAX 128

struct walker_counters {
	uint64_t walks, not_canonical, no_root;
	uint64_t starts[PAGING_LEVELS_MAX]; /* at the entry of which level a walk began: below it nothing was cached */
	uint64_t reads[PAGING_LEVELS_MAX];  /* entries read, by level */
	uint64_t stores[PAGING_LEVELS_MAX]; /* accessed or dirty bits set */
	uint64_t ends[PAGING_LEVELS_MAX];   /* in the entry of which level a walk ended: a page, or a fault */
	uint64_t register_reads;            /* of the reads, those of PAE's four registers, which are no reference */
	uint64_t page_faults, host_faults, given_up;
	uint64_t nested_lookups, nested_hits; /* of the nested TLB, by the guest's walker */
};

struct walker {
	const struct translation_ops *mode;
	struct paging_controls controls;
	struct physical_memory *memory;
	uint64_t root; /* CR3: address of the top table */
	unsigned pcid;
	uint64_t registers[4];                          /* PAE's PDPTEs */
	struct tlb_level *structure[PAGING_LEVELS_MAX]; /* the paging-structure cache of a level's entries; NULL: none; owned */
	struct walker *host;                            /* NULL: no guest; not owned */
	bool second_stage;                              /* a host's walker, for its references' region */
	struct tlb_level *nested; /* of a host's walker: guest-physical to host-physical pages; NULL: none; owned */
	/* Of a host's walker: gives the guest memory where it has none. false: it will not. */
	bool (*host_fault)(void *context, uint64_t guest_physical);
	void *context;
	struct walker_counters counters;
};

/* Takes the root and, with PAE, loads the registers. The caller invalidates. */
void walker_load_root(struct walker *walker, uint64_t root, unsigned pcid);

struct walk walker_walk(struct walker *walker, const struct walk_request *request, struct walk_sink *sink);

/* What a walk for an access of a cpu refers to: the entry of a level. */
static inline struct access walker_reference(const struct walker *walker, uint16_t cpu, uint64_t entry, unsigned level,
                                             enum access_kind kind)
{
	return (struct access){.address = entry,
	                       .bytes = walker->mode->entry_bytes,
	                       .cpu = cpu,
	                       .kind = (uint8_t)kind,
	                       .region = (uint8_t)((walker->second_stage ? REGION_NESTED_TABLES : REGION_TABLES) + level)};
}

/* Walks that were done elsewhere (sim/mmu_usual.c), of which each read an entry of every level from `start` down to that of its
 * page in a page table. */
static inline void walker_count_usual(struct walker *walker, unsigned start, uint64_t walks)
{
	walker->counters.walks += walks;
	walker->counters.starts[start] += walks;
	for (unsigned level = 0; level <= start; level++)
		walker->counters.reads[level] += walks;
	walker->counters.ends[0] += walks;
}

/* What an access needs of a word to be allowed, WORD_* bits; dirty is not a right and not in it. */
bool walker_allows(const struct walker *walker, const struct walk_request *request, uint64_t word);

/* Takes out of the paging-structure caches what the scope covers; INVLPG takes everything of its PCID. */
void walker_invalidate(struct walker *walker, const struct tlb_scope *scope);

void walker_check(const struct walker *walker);
void walker_release(struct walker *walker);

extern const struct metric walker_metrics[];

#endif
