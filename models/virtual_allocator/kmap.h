/* SPDX-License-Identifier: MIT
 *
 * kmap.h - how a 32-bit kernel reaches pages that its direct map does not cover (mm/highmem.c of Linux 6.1).
 *
 * Permanent slots (kmap): a ring of 1024 page addresses, 512 with PAE. A new mapping takes the next slot with count 0; counts say
 * how many users a mapping has, plus one. A mapping without users stays until the search comes round to slot 0, where all of
 * them are dropped with one TLB flush of all CPUs, so a page mapped again soon keeps its address. When every slot has users the
 * caller must wait: here it gets PAGE_MAP_MUST_WAIT, which is counted.
 *
 * A page's slot is found as page_address() finds it: by a hash of the address of its struct page, in a list of its bucket.
 *
 * Local slots (kmap_local, kmap_atomic): 16 fixed addresses a CPU, downwards, the last one mapped is the first to be unmapped;
 * another order is a wrong unmap, which changes nothing and is told.
 *
 * Pages of the direct map have their address there in both; nothing is done. On 64 bits all are.
 *
 * Source: map_new_virtual, flush_all_zero_pkmaps, kmap_high, kunmap_high, page_address, set_page_address, __kmap_local_pfn_prot,
 * kunmap_local_indexed; arch/x86/include/asm/pgtable_32_areas.h: LAST_PKMAP; include/asm-generic/kmap_size.h: KM_MAX_IDX.
 *
 * MODEL: in the kernel local slots belong to the task and move with it from CPU to CPU; here they stay with the CPU.
 * The tables of slots lie in the frames that the boot took for them, where page walks read them (layout_table_frame()).
 * MODEL: where those are not known (kernel.reserved, memory below the image's usual place) steps write to tables in kernel data.
 * Effect: a walk after a new mapping does not find the entry in the cache line that was just written.
 *
 * Invariant: a slot's count is 0 if and only if no page is mapped there; its users are the count less 1.
 */
#ifndef MODELS_VIRTUAL_ALLOCATOR_KMAP_H
#define MODELS_VIRTUAL_ALLOCATOR_KMAP_H

#include "sim/metric.h"
#include "sim/port/page_mapper.h"

/* LAST_PKMAP: slots of one page table, by the size of its entries. */
#define LAST_PKMAP 1024u
#define LAST_PKMAP_PAE 512u
/* PA_HASH_ORDER of mm/highmem.c */
#define PA_HASH_BUCKETS 128u

/* Where the simulated kernel has its slots. */
struct kmap_spec {
	uint64_t direct_map;   /* PAGE_OFFSET */
	uint32_t highmem_pfn;  /* first frame without a direct address */
	uint32_t end_pfn;      /* one beyond the last frame */
	uint64_t pkmap_base;   /* of slot 0 */
	uint32_t last_pkmap;   /* LAST_PKMAP or LAST_PKMAP_PAE */
	uint64_t fixmap_begin; /* address of the first CPU's first local slot; the others lie below */
	unsigned cpus;
	/* Of the struct pages, by whose addresses pages are hashed; 0: buckets by frame number. */
	uint64_t mem_map;
	uint32_t page_struct_bytes;
};

struct kmap_counters {
	uint64_t kmaps, kunmaps, waits;
	uint64_t new_mappings, flushes, dropped_mappings;
	uint64_t local_maps, local_unmaps, wrong_unmaps, too_deep;
	uint64_t lowmem_maps, lowmem_unmaps;
	uint64_t peak_users;
};

extern const struct metric kmap_metrics[];

/* Where its own structures lie, for steps. */
struct kmap_places {
	vaddr lock, last_pkmap_nr, wait, pkmap_count;
	vaddr pkmap_table, fixmap_table; /* entries of slot 0, of the first local slot (those of others lie below it) */
	vaddr hash, maps;                /* page_address_htable, page_address_maps */
	uint64_t task;                   /* per CPU: kmap_ctrl of the task that runs there */
	uint32_t pte_bytes;
};

/* Instructions (cost.kmap ... of the settings). */
struct kmap_costs {
	uint32_t kmap, new_slot, slot, flush_slot, drop, kunmap, local, local_unmap;
};

struct kmap {
	struct page_mapper port;
	struct kmap_spec spec;
	struct kmap_places places;
	struct layout *layout; /* NULL, with steps that do not record: addresses only */
	struct steps *steps;
	struct kmap_costs costs;
	bool is_32bit; /* false: no page is looked at, all have a direct address */
	uint32_t last_pkmap_nr;
	uint32_t *pkmap_count; /* by slot; owned */
	uint32_t *pkmap_frame; /* by slot */
	/* Lists of the hash, of slots + 1, 0 is the end. */
	uint16_t *next;
	uint16_t first[PA_HASH_BUCKETS];
	uint64_t users;
	uint8_t depth[CPUS_MAX];
	struct kmap_counters counters;
};

/* last_pkmap is a power of two of at least 2, cpus in 1..CPUS_MAX. The steps stay the caller's. */
void kmap_init(struct kmap *kmap, const struct kmap_spec *spec, struct steps *steps);
void kmap_release(struct kmap *kmap);

/* kmap(page); *at is its address if it went well. */
enum page_map_result kmap_page(struct kmap *kmap, pfn frame, unsigned cpu, vaddr *at);
enum page_unmap_result kunmap_page(struct kmap *kmap, pfn frame);

/* kmap_local_page(), kmap_atomic() and their ends. */
enum page_map_result kmap_local(struct kmap *kmap, pfn frame, unsigned cpu, vaddr *at);
enum page_unmap_result kunmap_local(struct kmap *kmap, vaddr at, unsigned cpu);

void kmap_check(const struct kmap *kmap);

/* The port's: slots, tables and kernel data where the layout and the settings (architecture, paging, memory) put them. */
struct page_mapper *page_mapper_kmap_create(const struct page_mapper_wiring *wiring);

#endif
