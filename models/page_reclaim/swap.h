/* SPDX-License-Identifier: MIT
 *
 * swap.h - the slots of a swap device, who gets which, and the pages that are in memory and in a slot at once (the swap cache).
 *
 * A *slot* is room for one page; slot 0 holds the header. A slot is counted by the page-table entries that name it, and marked
 * while a page of the swap cache or a CPU's own store of slots has it (SWAP_HAS_CACHE). A *cluster* is 512 slots where the kernel
 * can swap huge pages (x86-64), else 256; a CPU takes slots from a cluster of its own in ascending order, and then the next free
 * cluster. Over that each CPU has a store of 64 slots taken at once, and gives 64 back at once. A huge page takes the next free
 * cluster as a whole, past the stores, where its size is a cluster's.
 * A slot without its page keeps the shadow of that page (page_lru.h), until it is free.
 *
 * Source: mm/swapfile.c of Linux 6.1: setup_swap_map_and_extents, scan_swap_map_slots, scan_swap_map_try_ssd_cluster,
 * scan_swap_map_ssd_cluster_conflict, set_cluster_next, swap_alloc_cluster, swap_free_cluster, swap_range_alloc,
 * swap_range_free, get_swap_pages, __swap_duplicate, __swap_entry_free_locked, put_swap_folio, free_swap_and_cache,
 * swapcache_free_entries; mm/swap_slots.c; mm/swap_state.c: add_to_swap_cache, __delete_from_swap_cache; include/linux/swap.h:
 * vm_swap_full. MODEL: one device, without seek times (SWP_SOLIDSTATE), no discard. MODEL: counts have 30 bits, where the
 * kernel's map has 6 and continues in pages of its own (add_swap_count_continuation). Where the kernel draws a random number, so
 * does the run's seed.
 *
 * Laws: slots in use = named by entries or in the swap cache + in the CPUs' stores; nr_swap_pages = slots - slots in use; every
 * cluster's count is that of its slots.
 */
#ifndef MODELS_PAGE_RECLAIM_SWAP_H
#define MODELS_PAGE_RECLAIM_SWAP_H

#include "models/page_reclaim/shadow.h"
#include "sim/base.h"
#include "sim/rng.h"

#define SWAP_SLOT_NONE 0u
#define SWAP_FRAME_NONE UINT32_MAX
/* Pages of a huge page; what SWAPFILE_CLUSTER is where one is swapped as a whole (CONFIG_THP_SWAP). */
#define SWAP_HUGE_SLOTS 512
/* include/linux/swap_slots.h: SWAP_SLOTS_CACHE_SIZE. */
#define SWAP_STORE_SLOTS 64
/* 64 GiB. */
#define SWAP_SLOTS_MAX (1u << 24)

struct swap_slot {
	uint32_t count; /* page-table entries that name it; SWAP_HAS_CACHE and SWAP_BAD beside them */
	uint32_t frame; /* of the swap cache; SWAP_FRAME_NONE */
	page_shadow shadow;
};

struct swap_cluster {
	uint32_t count; /* slots in use */
	uint32_t next;  /* on the list of free clusters */
	bool is_free;   /* on that list */
};

/* A CPU's cluster and its stores. */
struct swap_cpu {
	uint32_t cluster; /* SWAP_CLUSTER_NONE */
	uint32_t next;    /* slot */
	uint32_t scan_base;
	uint32_t taken[SWAP_STORE_SLOTS], taken_at, taken_count;
	uint32_t given[SWAP_STORE_SLOTS], given_count;
};

struct swap_counters {
	uint64_t slots_allocated, slots_freed; /* from and to the device, stores not looked at */
	uint64_t used_peak;                    /* the most slots in use */
};

struct swap {
	uint32_t slots; /* with the header; 0: no device */
	uint32_t cluster_slots;
	unsigned cpus;
	struct swap_slot *map;         /* owned */
	struct swap_cluster *clusters; /* owned */
	uint32_t cluster_count, free_head, free_tail;
	uint32_t lowest, highest; /* slots that may be free lie between; highest 0: none is */
	uint32_t in_use;          /* of slots - 1 */
	bool stores_active;       /* swap_slot_cache_active */
	struct swap_cpu cpu[CPUS_MAX];
	struct rng rng;
	uint32_t cached; /* pages of the swap cache */
	/*
	 * A page leaves the swap cache (swap_cache_remove()) because its slot is wanted: it stays where it is, and is dirty from
	 * now on. False: it cannot, being written, or a huge page of which another slot is named still.
	 */
	bool (*drop)(void *context, uint32_t frame, unsigned cpu);
	void *context;
	struct swap_counters counters;
};

struct swap_spec {
	uint32_t slots;         /* with the header, up to SWAP_SLOTS_MAX; 0 or 1: no device */
	uint32_t cluster_slots; /* SWAPFILE_CLUSTER */
	unsigned cpus;
	uint64_t seed;
	bool (*drop)(void *context, uint32_t frame, unsigned cpu);
	void *context;
};

void swap_init(struct swap *swap, const struct swap_spec *spec);
void swap_release(struct swap *swap);

/* Slots that may be given out (get_nr_swap_pages); all there are (total_swap_pages). */
static inline uint32_t swap_free_slots(const struct swap *swap)
{
	return swap->slots ? swap->slots - 1 - swap->in_use : 0;
}

static inline uint32_t swap_total_slots(const struct swap *swap)
{
	return swap->slots ? swap->slots - 1 : 0;
}

/* More than half is in use: slots of pages that are in memory are given up where they are met (vm_swap_full). */
static inline bool swap_is_full(const struct swap *swap)
{
	return swap_free_slots(swap) * 2ull < swap_total_slots(swap);
}

/* A slot for a page that goes into the swap cache with it; SWAP_SLOT_NONE if there is none (folio_alloc_swap). */
uint32_t swap_take(struct swap *swap, unsigned cpu);
/* The slots of a free cluster for a huge page, the first of them; SWAP_SLOT_NONE: none, or a huge page is no cluster. */
uint32_t swap_take_cluster(struct swap *swap);

/* The frame enters the swap cache under a slot that swap_take() gave or that entries name. */
void swap_cache_add(struct swap *swap, uint32_t slot, uint32_t frame);
/* It leaves, and its shadow may stay. The slot is free if no entry names it. */
void swap_cache_remove(struct swap *swap, unsigned cpu, uint32_t slot, page_shadow shadow);
/*
 * The same of a huge page, whose first slot and frame are told. Where no entry names any of its slots the cluster is given back
 * at once (put_swap_folio()).
 */
void swap_cache_add_cluster(struct swap *swap, uint32_t slot, uint32_t frame);
void swap_cache_remove_cluster(struct swap *swap, unsigned cpu, uint32_t slot, page_shadow shadow);

/* SWAP_FRAME_NONE: the page is on the device alone. */
static inline uint32_t swap_cache_find(const struct swap *swap, uint32_t slot)
{
	return swap->map[slot].frame;
}

/* Page-table entries that name the slot. */
uint32_t swap_entries(const struct swap *swap, uint32_t slot);
/* One entry more, or one less; what is named by none, and in no cache, is free. */
void swap_duplicate(struct swap *swap, uint32_t slot);
void swap_free(struct swap *swap, unsigned cpu, uint32_t slot);

/* Gives back what all CPUs hold in their stores. */
void swap_drain_stores(struct swap *swap);

void swap_check(const struct swap *swap);

#endif
