/* SPDX-License-Identifier: MIT
 *
 * vmalloc.h - inside the vmalloc model: ranges of kernel addresses as Linux 6.1 hands them out (mm/vmalloc.c).
 *
 * Three nouns. An *area* is a range of addresses on one of three trees: free, busy, or freed and waiting for the purge. A
 * *mapping* is what lies behind a busy area: the kernel's vm_struct with its page array. A *page table* is a page of the last
 * level (or one above it) that translates a part of the range; once made it stays.
 *
 *   area_tree.c      the trees, the lowest fit, merging
 *   vmalloc.c        the port: areas, pages, lazy purge
 *   vmalloc_map.c    page tables and what writing them touches
 *   vmalloc_ram.c    vm_map_ram's blocks
 *   vmalloc_info.c   /proc/vmallocinfo
 *   vmalloc_state.c  areas of a recorded dump, and as lines of one
 *
 * An area is as long as its pages and one guard page. A freed area joins its neighbours on the purge tree; when more than
 * lazy_max_pages() wait there, all of them go to the free tree, after one flush of every CPU's TLB.
 *
 * Calls beside vmalloc() and vmap(): vmalloc_huge() takes pages of 2 MiB (64 bits only: CONFIG_HAVE_ARCH_HUGE_VMALLOC) and does
 * with small ones if there are none; ioremap() begins at a multiple of its size rounded up to a power of two, at most 1 GiB (2 or
 * 4 MiB on 32 bits); module_alloc() has a range of its own on 64 bits, and its free purges at once, for a page that was code may
 * not stay so; a kernel stack begins at a multiple of its size, and two that were freed wait on each CPU for the next task;
 * vm_map_ram() of up to a word's bits of pages takes its addresses from a block of the CPU (vmalloc_ram.c). What the boot put at
 * the start of the range before there was vmalloc (percpu_alloc=page) is an area without a guard page that nobody frees.
 *
 * Source: mm/vmalloc.c: alloc_vmap_area, __alloc_vmap_area, adjust_va_to_fit_type, preload_this_cpu_lock, free_vmap_area_noflush,
 * lazy_max_pages, __purge_vmap_area_lazy, _vm_unmap_aliases, __get_vm_area_node, vm_area_alloc_pages, __vmalloc_area_node,
 * __vmalloc_node_range, __vunmap, vm_remove_mappings, vmap, s_show; kernel/fork.c: alloc_thread_stack_node, free_thread_stack;
 * arch/x86/mm/ioremap.c: __ioremap_caller; arch/x86/kernel/module.c: module_alloc; arch/x86/mm/tlb.c: flush_tlb_kernel_range.
 *
 * The purge is a worker's on the CPU that made it due. vfree() gives the CPU up behind each page, so the purge comes behind the
 * first one: before the page array of a large area is freed, which then waits for the next purge. MODEL: a worker that was woken
 * runs as soon as the CPU is given up; behind a call that does not give it up (vunmap()), at its end. MODEL: a stack that finds
 * no place on its CPU is freed at once; the kernel waits for a grace period of RCU and looks for a place once more. MODEL: an
 * interrupt drops one translation or all; the kernel's drops up to 33 one by one. MODEL: ioremap() uses pages of 2 MiB where it
 * could of 1 GiB; what it does for types of memory (PAT, MTRR) is left out. MODEL: pages of modules stay in the direct map as
 * they are; the kernel takes them out until the flush, which can split large pages. MODEL: x86-32 has stacks as x86-64 does; the
 * kernel's there are blocks of order 1.
 *
 * Invariants: the three trees do not overlap; lazy pages = pages of the purge tree; nr_vmalloc_pages = pages of all mappings that
 * vmalloc() and its kin made = those of areas, modules, stacks and page arrays; pages_mapped = pages that all mappings and pieces
 * of blocks map.
 */
#ifndef MODELS_VIRTUAL_ALLOCATOR_VMALLOC_H
#define MODELS_VIRTUAL_ALLOCATOR_VMALLOC_H

#include "models/virtual_allocator/area_tree.h"
#include "sim/metric.h"
#include "sim/port/virtual_allocator.h"
#include "sim/state_dump.h"

/* mm/vmalloc.c, lazy_max_pages(): 32 MiB for each doubling of the CPUs. */
#define LAZY_PAGES_PER_LOG ((32u << 20) >> PAGE_SHIFT)
/* kernel/fork.c: stacks that a CPU keeps. */
#define NR_CACHED_STACKS 2u
/* arch/x86/include/asm/page_64_types.h: bytes of a kernel stack. */
#define THREAD_SIZE (4u * PAGE_SIZE)
/* arch/x86/mm/tlb.c, tlb_single_page_flush_ceiling: more pages than this are flushed with everything. */
#define TLB_SINGLE_PAGES 33u
/* mm/vmalloc.c, vm_area_alloc_pages(): pages in one call of the bulk allocator. */
#define VMALLOC_BULK_MAX 100u

struct vmalloc_counters {
	uint64_t vmalloc_calls, vmap_calls, vfree_calls, vunmap_calls;
	uint64_t ioremap_calls, iounmap_calls, vm_map_ram_calls, vm_unmap_ram_calls;
	uint64_t stacks_from_cache, stacks_to_cache;
	uint64_t large_fallbacks, large_mappings;
	uint64_t ram_blocks_made, ram_blocks_freed, ram_blocks_fragmented;
	uint64_t fail_space, fail_pages, fail_exceeds_total;
	uint64_t wrong_frees;
	uint64_t areas_allocated, areas_freed;
	uint64_t purges, purged_areas, purged_pages, tlb_flushes;
	uint64_t page_table_pages, page_table_pages_freed;
	uint64_t nr_vmalloc_pages, vmap_lazy_nr, pages_mapped; /* gauges */
	/* What nr_vmalloc_pages are of: gauges. */
	uint64_t pages_of_areas, pages_of_modules, pages_of_stacks, pages_of_arrays;
};

/* A page array is an area of vmalloc's that belongs to another one; a block of vm_map_ram's belongs to its users. */
enum mapping_kind {
	MAPPING_UNUSED,
	MAPPING_VMALLOC, /* has pages of its own */
	MAPPING_PAGE_ARRAY,
	MAPPING_VMAP,
	MAPPING_IOREMAP,
	MAPPING_RAM, /* of vm_map_ram(), too large for a block */
	MAPPING_RAM_BLOCK,
	MAPPING_EARLY, /* of the boot, for good (vm_area_register_early()) */
	MAPPING_KINDS
};

/* struct vm_struct: what is behind a busy area. Those of vm_map_ram() have none, in the kernel. */
struct mapping {
	enum mapping_kind kind;
	enum virtual_call call;
	uint32_t pages;  /* mapped or, of a vmalloc() under way, taken so far */
	uint32_t room;   /* of frames[] */
	uint32_t mapped; /* pages from the area's start on that its page tables map */
	uint32_t next_unused;
	unsigned block_order; /* of the blocks that its pages are freed in */
	bool array_is_area;
	pfn *frames;        /* owned; kept for the next user of this mapping unless large */
	vaddr address;      /* of the simulated vm_struct; VADDR_NULL: none */
	vaddr page_array;   /* of the simulated array of struct page pointers; VADDR_NULL: none */
	uint64_t physical;  /* ioremap: the first page */
	uint64_t bytes;     /* without the guard page */
	const char *caller; /* NULL: none */
};

/* Levels of page tables that a range may lack; whose tables have PTEs, entries of the level above them, and so on. */
enum vmalloc_level { LEVEL_PTE, LEVEL_PMD, LEVEL_PUD, VMALLOC_LEVELS };

/* The tables of a level, by what they map. */
struct table_frames {
	unsigned shift; /* log2 of the bytes that one maps; 0: those of this range are there since boot, or the level is folded */
	uint32_t **chunk; /* owned; frame + 1 by table, 0 for none; a chunk is NULL before its first table */
	size_t chunks;
};

/* Page tables of one range. */
struct vmalloc_tables {
	uint64_t start, end;
	const struct layout *layout; /* knows the boot's own tables, which nobody makes again or gives back */
	struct table_frames level[VMALLOC_LEVELS];
};

/* mm/vmalloc.c, VMAP_BBMAP_BITS_MAX: pages of the largest block. */
#define RAM_BLOCK_PAGES_MAX 1024u

/* struct vmap_block: addresses for short mappings, handed out from its start to its end once. */
struct ram_block {
	uint32_t area;
	unsigned cpu;
	uint32_t free, dirty; /* pages never handed out; pages given back */
	uint32_t dirty_min, dirty_max;
	bool queued;     /* on its CPU's list */
	vaddr address;   /* of the simulated struct */
	uint8_t *taken;  /* owned; by page: 0, or 1 + the order of the piece in use that begins there */
	uint8_t *mapped; /* owned; by page: pages that the piece which begins there maps */
};

/* In the order in which they were made. */
struct ram_blocks {
	struct ram_block *at; /* owned */
	uint32_t count, room;
	uint32_t pages;   /* of a block */
	uint32_t largest; /* pages of the largest request that a block serves */
	uint64_t live;    /* pieces in use */
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
	unsigned pud_table_shift; /* the same of the next; 0: those tables are there since boot */
	unsigned large_shift;     /* log2 of vmalloc_huge()'s pages; 0: it has none */
	unsigned ioremap_shift_max;
	uint64_t modules_start, modules_end;
};

struct vmalloc {
	struct virtual_allocator port;
	struct area_pool pool;
	struct area_tree trees[AREA_LISTS];
	struct mapping *mappings; /* owned; index 0 is none */
	uint32_t mapping_capacity, mappings_used, mapping_unused;
	uint32_t preloaded[CPUS_MAX]; /* ne_fit_preload_node: the spare area of a CPU, for splits */
	uint64_t lazy_max_pages;
	struct vmalloc_tables tables, module_tables;
	uint64_t tables_held; /* pages of tables */
	struct ram_blocks ram;
	uint32_t cached_stacks[CPUS_MAX][NR_CACHED_STACKS]; /* areas */
	uint64_t cached_stacks_offset;                      /* of the simulated per-CPU pointers */
	uint64_t stacks_cached;
	struct vmalloc_layout at;
	unsigned cpus;
	uint32_t kernel_cpus; /* CONFIG_NR_CPUS */
	const struct cost_settings *costs;
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

/* What is to be mapped: frames of their own, or those from a physical address on. `large`: in large pages, whole ones. */
struct behind {
	const pfn *frames; /* NULL: those from `physical` on */
	uint64_t physical;
	bool large;
};

/*
 * Writes the translations of a range, making tables that are missing. Returns how many pages are mapped now, from the first on:
 * fewer if there was no memory for a table.
 */
uint64_t vmalloc_map_range(struct vmalloc *vmalloc, uint64_t start, uint64_t pages, const struct behind *behind, unsigned cpu);
/* Takes back the translations of as many pages as are mapped there. */
void vmalloc_unmap_range(struct vmalloc *vmalloc, uint64_t start, uint64_t pages);
/* flush_tlb_kernel_range(): on this CPU and, by interrupts, on all others. */
void vmalloc_flush_tlbs(struct vmalloc *vmalloc, uint64_t start, uint64_t end, unsigned cpu);
/* A range that a recorded kernel mapped: its tables are there. */
void vmalloc_tables_known(struct vmalloc *vmalloc, uint64_t start, uint64_t end);
void vmalloc_tables_init(struct vmalloc *vmalloc);
/* The frame of the table that maps the 2^shift bytes around an address; PFN_NONE: there is none, or its frame is not known. */
pfn vmalloc_table_frame(const struct vmalloc *vmalloc, uint64_t address, unsigned shift);
void vmalloc_tables_release(struct vmalloc *vmalloc);

/*
 * What vmalloc_ram.c needs of vmalloc.c: alloc_vmap_area() and free_vmap_area_noflush(), memory for structures, and the mapping
 * that is noted for an area.
 */
struct vmalloc_range {
	uint64_t size, align, start, end;
};
enum virtual_alloc_result vmalloc_alloc_area(struct vmalloc *vmalloc, const struct vmalloc_range *range, unsigned cpu,
                                             uint32_t *area);
void vmalloc_free_area(struct vmalloc *vmalloc, uint32_t area, unsigned cpu);
bool vmalloc_take_memory(struct vmalloc *vmalloc, uint64_t bytes, unsigned cpu, vaddr *at);
void vmalloc_give_memory(struct vmalloc *vmalloc, vaddr at, unsigned cpu);
struct mapping *vmalloc_new_mapping(struct vmalloc *vmalloc, enum mapping_kind kind, uint32_t area);
void vmalloc_drop_mapping(struct vmalloc *vmalloc, uint32_t area);

/* vmalloc_ram.c: vb_alloc(), with the pages mapped; vb_free(); purge_fragmented_blocks_allcpus(). */
struct virtual_area vmalloc_ram_map(struct vmalloc *vmalloc, const pfn *frames, uint32_t pages, unsigned cpu);
enum virtual_free_result vmalloc_ram_unmap(struct vmalloc *vmalloc, vaddr at, uint32_t pages, unsigned cpu);
void vmalloc_ram_purge(struct vmalloc *vmalloc, unsigned cpu);
/* Joins what the blocks hold unflushed to [*start, *end); false: they hold nothing of the kind. */
bool vmalloc_ram_dirty(const struct vmalloc *vmalloc, uint64_t *start, uint64_t *end);
void vmalloc_ram_init(struct vmalloc *vmalloc, bool is_64);
/* Gives every block back, whoever still uses it. */
void vmalloc_ram_release(struct vmalloc *vmalloc);
/* Returns how many pages the pieces of all blocks map. */
uint64_t vmalloc_ram_check(const struct vmalloc *vmalloc);

/* vmalloc_info.c */
void vmalloc_print_info(const struct virtual_allocator *areas, FILE *out);

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
