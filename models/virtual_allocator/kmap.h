/* SPDX-License-Identifier: MIT
 *
 * kmap.h - how a 32-bit kernel reaches pages that its direct map does not cover (mm/highmem.c of Linux 6.1).
 *
 * Permanent slots (kmap): a ring of 1024 page addresses, 512 with PAE. A new mapping takes the next slot with count 0; counts say
 * how many users a mapping has, plus one. A mapping without users stays until the search comes round to slot 0, where all of
 * them are dropped with one TLB flush, so a page mapped again soon keeps its address. When every slot has users the caller must
 * wait: here it gets KMAP_MUST_WAIT, which is counted.
 *
 * Local slots (kmap_local, kmap_atomic): 16 fixed addresses a CPU, downwards, the last one mapped is the first to be unmapped;
 * another order is a wrong unmap, which changes nothing and is told.
 *
 * Pages of the direct map have their address there in both; nothing is done.
 *
 * Source: map_new_virtual, flush_all_zero_pkmaps, kmap_high, kunmap_high, __kmap_local_pfn_prot, kunmap_local_indexed;
 * arch/x86/include/asm/pgtable_32_areas.h: LAST_PKMAP; include/asm-generic/kmap_size.h: KM_MAX_IDX.
 *
 * MODEL: in the kernel local slots belong to the task and move with it from CPU to CPU; here they stay with the CPU.
 *
 * Invariant: a slot's count is 0 if and only if no page is mapped there; its users are the count less 1.
 */
#ifndef MODELS_VIRTUAL_ALLOCATOR_KMAP_H
#define MODELS_VIRTUAL_ALLOCATOR_KMAP_H

#include "sim/base.h"
#include "sim/metric.h"

/* LAST_PKMAP: slots of one page table, by the size of its entries. */
#define LAST_PKMAP 1024u
#define LAST_PKMAP_PAE 512u
/* The depth at which the kernel gives up: the slot of that number is never used. */
#define KM_MAX_IDX 16u

/* Where the simulated kernel has its slots. */
struct kmap_spec {
	uint64_t direct_map;   /* PAGE_OFFSET */
	uint32_t highmem_pfn;  /* first frame without a direct address */
	uint32_t end_pfn;      /* one beyond the last frame */
	uint64_t pkmap_base;   /* of slot 0 */
	uint32_t last_pkmap;   /* LAST_PKMAP or LAST_PKMAP_PAE */
	uint64_t fixmap_begin; /* address of the first CPU's first local slot; the others lie below */
	unsigned cpus;
};

struct kmap_counters {
	uint64_t kmaps, kunmaps, waits;
	uint64_t new_mappings, flushes, dropped_mappings;
	uint64_t local_maps, local_unmaps, wrong_unmaps;
};

extern const struct metric kmap_metrics[];

struct kmap {
	struct kmap_spec spec;
	uint32_t last_pkmap_nr;
	uint32_t *pkmap_count; /* by slot; owned */
	uint32_t *pkmap_frame; /* by slot */
	uint16_t *slot_of;     /* by frame from highmem_pfn on: slot + 1, 0 for none; lazily touched */
	uint8_t depth[CPUS_MAX];
	struct kmap_counters counters;
};

enum kmap_result { KMAP_OK, KMAP_MUST_WAIT, KMAP_TOO_DEEP };
enum kunmap_result { KUNMAP_OK, KUNMAP_NOT_MAPPED, KUNMAP_WRONG_ORDER };

/* last_pkmap is a power of two of at least 2, cpus in 1..CPUS_MAX. */
void kmap_init(struct kmap *kmap, const struct kmap_spec *spec);
void kmap_release(struct kmap *kmap);

/* kmap(page); *at is its address if it went well. */
enum kmap_result kmap_page(struct kmap *kmap, pfn frame, vaddr *at);
enum kunmap_result kunmap_page(struct kmap *kmap, pfn frame);

/* kmap_local_page(), kmap_atomic() and their ends. */
enum kmap_result kmap_local(struct kmap *kmap, pfn frame, unsigned cpu, vaddr *at);
enum kunmap_result kunmap_local(struct kmap *kmap, vaddr at, unsigned cpu);

void kmap_check(const struct kmap *kmap);

#endif
