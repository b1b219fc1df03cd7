/* SPDX-License-Identifier: MIT
 *
 * vmalloc.h - inside the vmalloc model: ranges of kernel addresses as Linux 6.1 hands them out (mm/vmalloc.c).
 *
 * Three nouns. An *area* is a range of addresses on one of three trees: free, busy, or freed and waiting for the purge. A
 * *mapping* is what lies behind a busy area: the kernel's vm_struct with its page array. A *page table* is a page of the last
 * level (or the one above it) that translates a part of the range; once made it stays.
 *
 *   area_tree.c      the trees, the lowest fit, merging
 *   vmalloc.c        the port: areas, pages, lazy purge
 *   vmalloc_map.c    page tables and what writing them touches
 *   vmalloc_state.c  areas of a recorded dump, and as lines of one
 *
 * An area is as long as its pages and one guard page. A freed area joins its neighbours on the purge tree; when more than
 * lazy_max_pages() wait there, all of them go to the free tree, after one flush of every CPU's TLB.
 *
 * Source: mm/vmalloc.c: alloc_vmap_area, __alloc_vmap_area, adjust_va_to_fit_type, preload_this_cpu_lock, free_vmap_area_noflush,
 * lazy_max_pages, __purge_vmap_area_lazy, __get_vm_area_node, vm_area_alloc_pages, __vmalloc_area_node, __vunmap, vmap.
 *
 * MODEL: the purge runs at the end of the vfree() that made it due; in the kernel a worker does it when the freeing task gives
 * the CPU up, which for large areas can be between two of their pages. MODEL: a flush of the TLBs is counted, but is no step yet;
 * no instruction cycles are spent here.
 *
 * Invariants: the three trees do not overlap; lazy pages = pages of the purge tree; nr_vmalloc_pages = pages of all mappings that
 * vmalloc() made.
 */
#ifndef MODELS_VIRTUAL_ALLOCATOR_VMALLOC_H
#define MODELS_VIRTUAL_ALLOCATOR_VMALLOC_H

#include "models/virtual_allocator/area_tree.h"
#include "sim/metric.h"
#include "sim/port/virtual_allocator.h"
#include "sim/state_dump.h"

/* mm/vmalloc.c, lazy_max_pages(): 32 MiB for each doubling of the CPUs. */
#define LAZY_PAGES_PER_LOG ((32u << 20) >> PAGE_SHIFT)
/* mm/vmalloc.c, vm_area_alloc_pages(): pages in one call of the bulk allocator. */
#define VMALLOC_BULK_MAX 100u

struct vmalloc_counters {
	uint64_t vmalloc_calls, vmap_calls, vfree_calls, vunmap_calls;
	uint64_t fail_space, fail_pages, fail_exceeds_total;
	uint64_t wrong_frees;
	uint64_t areas_allocated, areas_freed;
	uint64_t purges, purged_areas, purged_pages, tlb_flushes;
	uint64_t page_table_pages;
	uint64_t nr_vmalloc_pages, vmap_lazy_nr; /* gauges */
};

/* A page array is an area of vmalloc's that belongs to another one. */
enum mapping_kind { MAPPING_UNUSED, MAPPING_VMALLOC, MAPPING_PAGE_ARRAY, MAPPING_VMAP };

/* struct vm_struct: what is behind a busy area. */
struct mapping {
	enum mapping_kind kind;
	uint32_t pages; /* mapped or, of a vmalloc() under way, taken so far */
	uint32_t room;  /* of frames[] */
	uint32_t next_unused;
	pfn *frames;      /* owned; kept for the next user of this mapping unless large */
	vaddr address;    /* of the simulated vm_struct */
	vaddr page_array; /* of the simulated array of struct page pointers; VADDR_NULL: none */
	bool array_is_area;
};

/* Where the simulated kernel keeps what, by its word size. */
struct vmalloc_layout {
	uint64_t start, end;    /* VMALLOC_START, VMALLOC_END */
	uint64_t address_end;   /* ULONG_MAX */
	uint32_t area_bytes;    /* sizeof(struct vmap_area) */
	uint32_t mapping_bytes; /* sizeof(struct vm_struct) */
	uint32_t pointer_bytes;
	uint32_t pte_bytes;
	unsigned pte_table_shift; /* log2 of the bytes that one last-level table maps */
	unsigned pmd_table_shift; /* the same one level up; 0: that level is folded */
};

struct vmalloc {
	struct virtual_allocator port;
	struct area_pool pool;
	struct area_tree trees[AREA_LISTS];
	struct mapping *mappings; /* owned; index 0 is none */
	uint32_t mapping_capacity, mappings_used, mapping_unused;
	uint32_t preloaded[CPUS_MAX]; /* ne_fit_preload_node: the spare area of a CPU, for splits */
	uint64_t lazy_max_pages;
	uint32_t *pte_tables; /* frame + 1 by table, 0 for none; lazily touched */
	uint32_t *pmd_tables;
	size_t pte_table_count, pmd_table_count;
	size_t pte_tables_end; /* no table at or above it was made here */
	struct vmalloc_layout at;
	unsigned cpus;
	struct page_allocator *pages;
	struct object_allocator *objects;
	cache_id area_cache;
	struct layout *layout;
	struct steps *steps;
	vaddr busy_lock, free_lock, purge_lock; /* vmap_area_lock, free_vmap_area_lock, purge_vmap_area_lock */
	struct vmalloc_counters counters;
};

extern const struct virtual_allocator_ops virtual_allocator_vmalloc_ops;
struct virtual_allocator *virtual_allocator_vmalloc_create(const struct virtual_allocator_wiring *wiring, struct error *error);

/* include/asm-generic/pgalloc.h, GFP_PGTABLE_KERNEL: flags of a page table's page. */
#define VMALLOC_TABLE_GFP (GFP_KERNEL | __GFP_ZERO)

/* One more than the frame of a page table that was there before the simulation began, or is made where pages are not modelled. */
#define TABLE_UNKNOWN UINT32_MAX

static inline struct vmalloc *vmalloc_of(struct virtual_allocator *areas)
{
	return (struct vmalloc *)areas;
}

static inline const struct vmalloc *vmalloc_const(const struct virtual_allocator *areas)
{
	return (const struct vmalloc *)areas;
}

/* Writes the translations of a range, making tables that are missing; false: no memory for one. */
bool vmalloc_map_range(struct vmalloc *vmalloc, uint64_t start, uint32_t pages, unsigned cpu);
void vmalloc_unmap_range(struct vmalloc *vmalloc, uint64_t start, uint32_t pages);
/* A range that a recorded kernel mapped: its tables are there. */
void vmalloc_tables_known(struct vmalloc *vmalloc, uint64_t start, uint64_t end);
void vmalloc_tables_init(struct vmalloc *vmalloc);
void vmalloc_tables_release(struct vmalloc *vmalloc);

/* A spare struct vmap_area without a call of the object allocator: of a loaded state, or without one. */
uint32_t vmalloc_area_at_boot(struct vmalloc *vmalloc);
/*
 * Puts the areas of a dump (@VM, @VA) into a fresh model. False with *error filled if they contradict each other; the model can
 * then only be destroyed.
 * MODEL: the trees are as if their areas had come in the order of their addresses, which only decides fits of aligned requests;
 * what lazy= says is not used, the purge list tells it; each CPU holds a spare struct vmap_area; page tables are there for busy
 * areas and those that wait for the purge.
 */
bool vmalloc_load_state(struct virtual_allocator *areas, const struct state_dump *dump, struct error *error);
void vmalloc_print_state(const struct virtual_allocator *areas, FILE *out);

#endif
