/* SPDX-License-Identifier: MIT
 *
 * layout.h - where the simulated kernel's own structures lie, so that a touch has an address, and the map of addresses around
 * them.
 *
 *   direct_map    + (pfn << 12)       every frame, and with it every object
 *   vmemmap       + pfn * page_struct  the struct page array
 *   per_cpu_unit[cpu] + offset         per-CPU data: pcp lists, cpu slabs, arrays
 *   kernel_data   ...                  zones, kmem_cache descriptors, locks: handed out once, upward, never freed
 *
 * The map, without KASLR (Documentation/x86/x86_64/mm.rst; i386: arch/x86/include/asm/pgtable_32_areas.h, here with PAE, built
 * for 32 CPUs; layout_vmalloc_32bit()):
 *
 *             4 levels             5 levels             i386
 *   user      0000000000000000     0000000000000000     00000000
 *             00007fffffffffff     00ffffffffffffff     bfffffff
 *   direct    ffff888000000000     ff11000000000000     c0000000    every frame; pages as large as fit (sim/kernel_map.h)
 *   map       ffffc87fffffffff     ff90ffffffffffff     f6ffdfff    i386: the first 879.99 MiB
 *   per-CPU   (direct map)         (direct map)         (lowmem)    a unit for each CPU, with percpu_alloc=page in pages at the
 *                                                                   start of vmalloc; what has no room there at the end of
 *                                                                   vmalloc. Until layout_place_per_cpu() says where, from
 *             ffffc88000000000     ff91000000000000                 here on, in a hole of the kernel's map
 *   vmalloc   ffffc90000000000     ffa0000000000000     f77fe000    4 KiB pages
 *             ffffe8ffffffffff     ffd1ffffffffffff     feffdfff
 *   vmemmap   ffffea0000000000     ffd4000000000000     (lowmem)    2 MiB pages; i386: mem_map, the last of low memory
 *             ffffeaffffffffff     ffd5ffffffffffff
 *   kmap                                                ff000000    permanent kmaps
 *                                                       ff1fffff
 *   text      ffffffff80000000     ffffffff80000000     c1000000    the kernel's image, 2 MiB pages (i386: in the direct map)
 *             ffffffff9fffffff     ffffffff9fffffff     c1ffffff
 *   entry     fffffe0000000000     fffffe0000000000                 descriptors and stacks of each CPU's entry into the kernel,
 *   areas     fffffe7fffffffff     fffffe7fffffffff                 4 KiB pages (sim/entry_area.h)
 *   modules   ffffffffa0000000     ffffffffa0000000
 *             fffffffffeffffff     fffffffffeffffff
 *   fixmap    ffffffffff000000     ffffffffff000000     ff9fd000    4 KiB pages, those of kmap_local on i386
 *             ffffffffff5fffff     ffffffffff5fffff     ffffefff
 *
 * MODEL: descriptors lie in kernel_data, each on its own cache line, instead of inside slabs. Which bytes share a line inside one
 * structure is kept; which structures share a page is not.
 * MODEL: static per-CPU data lies behind the kernel's page-aligned, each on a cache line of its own; dynamic one follows what
 * came before at the alignment that its caller asks for, and is never given back. Effect: other users of per-CPU data, which a
 * kernel has between them, are not there; caches that are destroyed leave holes in a kernel.
 */
#ifndef SIM_LAYOUT_H
#define SIM_LAYOUT_H

#include "sim/base.h"
#include "sim/percpu.h"

/* Whose memory an address is. */
enum region {
	REGION_NONE, /* not told */
	REGION_USER,
	REGION_DIRECT_MAP,
	REGION_PER_CPU,
	REGION_VMALLOC,
	REGION_VMEMMAP,
	REGION_KMAP,
	REGION_TEXT,
	REGION_MODULES,
	REGION_FIXMAP,
	REGION_ENTRY_AREA, /* struct cpu_entry_area of each CPU */
	REGION_HOLE,       /* the kernel's half, but nothing of it */
	REGIONS,
	/* The page walker's references bear in place of a region the level of the entry: here + 0 of a PTE, + 1 of a PDE ... */
	REGION_TABLES = 16,
	REGION_NESTED_TABLES = 21, /* the same of a guest's second stage */
	REGION_NUMBERS = 26
};

/* "user", "direct map", ... */
const char *region_name(enum region region);

/* A part of the map: addresses from first to last. */
struct layout_span {
	uint64_t first, last;
	enum region region;
};

#define LAYOUT_SPANS 11

/* A page table that the boot made: the first address that it maps, log2 of the bytes that it maps, the frame that it lies in. */
struct layout_table {
	uint64_t linear;
	unsigned shift;
	uint32_t pfn;
};

/* Of per-CPU data by pages the tables of 128 units of 1 MiB, else a few. */
#define LAYOUT_TABLES_MAX 80

/* arch/x86/include/asm/page_64_types.h, __PAGE_OFFSET_BASE_L5; where that map ends. */
#define LAYOUT_DIRECT_MAP_5LEVEL 0xff11000000000000u
#define LAYOUT_DIRECT_MAP_5LEVEL_END 0xff91000000000000u

struct layout {
	bool is_5level; /* layout_set_5level() */
	uint64_t direct_map;
	uint32_t direct_map_frames; /* from here on frames are high memory, which has no address of its own */
	uint64_t vmemmap;
	uint32_t page_struct_bytes; /* sizeof(struct page): 64, 56 without its alignment; 32 or 40 on 32 bits */
	/* Per-CPU data, by offsets in a CPU's unit: below per_cpu_static_end static data, from there on dynamic. */
	uint64_t per_cpu;                /* the lowest unit (pcpu_base_addr) */
	uint64_t per_cpu_unit[CPUS_MAX]; /* of the first chunk */
	uint64_t per_cpu_static_used, per_cpu_static_end;
	uint64_t per_cpu_used;       /* of dynamic data; in the first chunk, then in further ones */
	uint64_t per_cpu_first_end;  /* of a unit of the first chunk */
	uint64_t per_cpu_stride;     /* from a unit to the next; offsets from here on are those of further chunks */
	uint64_t per_cpu_chunks_end; /* further chunks lie below it, each below the one before; 0: there are none */
	unsigned per_cpu_groups;     /* 0: units have a region of their own */
	bool per_cpu_by_pages;       /* they lie at the start of vmalloc's range, in the frames of per_cpu_run[] */
	struct layout_units {
		uint64_t first; /* address of its first unit */
		uint64_t cpus;  /* units of these are used, one behind the other */
		uint64_t bytes; /* with the units that no CPU has */
	} per_cpu_group[PERCPU_GROUPS_MAX];
	struct percpu_run per_cpu_run[PERCPU_RUNS_MAX];
	unsigned per_cpu_runs;
	struct layout_table table[LAYOUT_TABLES_MAX];
	unsigned tables;
	uint64_t irq_stack[CPUS_MAX]; /* the lowest address of each CPU's; 0: it has none, and interrupts touch no stack */
	uint64_t kernel_data;
	uint64_t kernel_data_used;
	uint64_t kernel_data_end;
	struct layout_label *labels; /* of kernel data and per-CPU data, ascending; owned */
	size_t labels_count;
	struct layout_span spans[LAYOUT_SPANS]; /* ascending; region REGION_NONE: unused */
	bool keeps_names;                       /* false: layout_name() does nothing, and there is nothing to release */
};

/* The 64-bit layout with 4 levels, without KASLR. */
void layout_init(struct layout *layout, uint32_t page_struct_bytes);

/* The same with 5 levels (CONFIG_X86_5LEVEL, on a processor with LA57). */
void layout_set_5level(struct layout *layout);

/* The region that an address lies in. */
enum region layout_region(const struct layout *layout, uint64_t address);

/* The span of a region, NULL if the map has none. */
const struct layout_span *layout_span_of(const struct layout *layout, enum region region);

/* What the places of a 32-bit kernel's own data depend on. */
struct layout_32bit {
	uint64_t lowmem_bytes; /* what the direct map reaches */
	uint64_t memory_bytes; /* end of memory */
	unsigned cpus;
	uint32_t kernel_cpus; /* CONFIG_NR_CPUS; above 64 as 64 */
	bool pae;
	uint32_t reserve_top_bytes; /* boot parameter reservetop=: a hole above the fixmap */
};

/* asm-generic/kmap_size.h: local kmaps of a CPU, at which depth the kernel gives up. */
#define KM_MAX_IDX 16u

/*
 * Addresses above vmalloc's range, from the top down: FIXADDR_TOP, the fixmap down to `start` (FIXADDR_TOT_START), in it the
 * local kmaps from kmap_begin down to kmap_end and early_ioremap()'s pages, the highest at btmap_begin; CPUs' entry areas and the
 * LDT; the permanent kmaps from pkmap_base on; vmalloc_end (VMALLOC_END). A page table maps table_bytes.
 */
struct layout_fixed_32bit {
	uint64_t page_offset, top, kmap_begin, kmap_end, btmap_begin, start, pkmap_base, vmalloc_end;
	uint64_t table_bytes;
	unsigned table_shift;
};

/*
 * Source: arch/x86/include/asm/pgtable_32_areas.h, fixmap.h, cpu_entry_area.h; arch/x86/mm/pgtable.c: reserve_top_address().
 * `machine`: its kernel's CPUs, PAE and hole at the top.
 *
 * MODEL: the fixmap and struct cpu_entry_area are those of Debian's options (PCI_MMCONFIG, ACPI_APEI_GHES, INTEL_TXT,
 * X86_IOPL_IOPERM). Effect: another kernel's MAXMEM can be another multiple of 2 or 4 MiB; kernel.lowmem says it.
 */
struct layout_fixed_32bit layout_fixed_32bit(const struct layout_32bit *machine);

/*
 * MAXMEM of a 32-bit kernel: bytes of low memory where memory is larger, from PAGE_OFFSET to VMALLOC_END less the bytes kept for
 * vmalloc (__VMALLOC_RESERVE); 0 if that is more than there is. Source: arch/x86/mm/init_32.c: find_low_pfn_range(). A boot
 * without PAE, for 4 CPUs, ends at 373fe000 (configs/kernels/lab-6.1-i386.yaml), Debian's 6.0.0-0.deb11.6-686-pae, for 32, at
 * 36ffe000 (published boot log).
 */
uint64_t layout_maxmem_32bit(const struct layout_32bit *machine, uint64_t vmalloc_reserve);

/* VMALLOC_START, 8 MiB above the end of low memory, to VMALLOC_END; empty (last < first) if low memory leaves no room. */
struct layout_span layout_vmalloc_32bit(const struct layout_32bit *machine);

/*
 * The map of a 32-bit kernel (PAGE_OFFSET c0000000), not of NUMA; object allocators tell the size of a pointer from it. The
 * kernel takes its early memory from the end of low memory downward: first mem_map, one array of struct pages over all memory, in
 * whole blocks of the largest order (mm/page_alloc.c: alloc_node_mem_map()), then a unit of per-CPU data for each CPU
 * (arch/x86/kernel/setup_percpu.c); later chunks of per-CPU data have units as large, at the end of the vmalloc area
 * (mm/percpu-vm.c). Its data follows its text, from physical 16 MiB on.
 *
 * A frame of high memory has no address here; sim/port/page_mapper.h gives it one.
 *
 * MODEL: nothing else is taken from the end of low memory before mem_map, unless layout_place_per_cpu() says where that is.
 * Effect: sets of the caches that struct pages fall into.
 */
void layout_set_32bit(struct layout *layout, const struct layout_32bit *machine);

/* Where the boot put what layout_init() and layout_set_32bit() only guess; physical addresses. */
struct layout_places {
	const struct percpu_chunk *per_cpu;
	uint64_t per_cpu_group[PERCPU_GROUPS_MAX]; /* the first unit of each */
	uint64_t mem_map, mem_map_bytes;           /* x86-32: the struct pages; 0 bytes: not told */
	const struct percpu_run *per_cpu_run;      /* by pages: in place of per_cpu_group */
	unsigned per_cpu_runs;
};

/* Puts per-CPU data into the direct map, or (by pages) to the start of vmalloc's range; before the first of it is handed out,
 * once direct_map is what it stays. */
void layout_place_per_cpu(struct layout *layout, const struct layout_places *places);

/* Page tables that the boot made, those of upper levels before those below them. */
void layout_place_tables(struct layout *layout, const struct layout_table *table, unsigned tables);

/* The frame of a table that the boot made; PFN_NONE: it made none there, or it is not known where. */
pfn layout_table_frame(const struct layout *layout, uint64_t linear, unsigned shift);

/* VMALLOC_START of 64 bits. */
uint64_t layout_vmalloc_start_64bit(bool is_5level);

/* The addresses of vmalloc that the boot has given out before there is vmalloc: from its start up to here. */
uint64_t layout_early_area_end(const struct layout *layout);

/* Lets the names be kept that models give their data, for one who will ask for them. */
void layout_keep_names(struct layout *layout);

void layout_release(struct layout *layout);

/* Hands out `bytes` of kernel data on a cache line of its own; the address never changes and is never given back. */
vaddr layout_kernel_data(struct layout *layout, uint32_t bytes);

/*
 * Names the data that begins at an address ("zone DMA32", "kmem_cache_node dentry"), for tables of locks and lines; a new name
 * takes the place of the old one. Both texts are copied.
 */
void layout_name(struct layout *layout, vaddr at, uint32_t bytes, const char *kind, const char *name);

/* The name of the data that an address lies in, "" if it has none. */
const char *layout_label(const struct layout *layout, vaddr at);

/* PCPU_MIN_ALLOC_SIZE: what dynamic per-CPU data is a multiple of. */
#define PER_CPU_ALIGN_MIN 4u

/* Hands out `bytes` of static per-CPU data on a cache line of its own; returns the offset, to be used with layout_per_cpu(). */
uint64_t layout_per_cpu_static(struct layout *layout, uint32_t bytes);

/* The same of dynamic data, at a multiple of `align`, a power of two (alloc_percpu(), __alloc_percpu()). */
uint64_t layout_per_cpu_alloc(struct layout *layout, uint32_t bytes, uint32_t align);

/* The address of data in a further chunk. */
vaddr layout_per_cpu_in_chunk(const struct layout *layout, uint64_t offset, unsigned cpu);

/* Whether an address lies in a chunk of per-CPU data that is not the first. */
bool layout_is_per_cpu_chunk(const struct layout *layout, uint64_t address);

/* The physical address of a CPU's data in the first chunk, which has been placed. */
uint64_t layout_per_cpu_physical(const struct layout *layout, uint64_t offset, unsigned cpu);

/* Chunks of per-CPU data, the first counted in. */
uint64_t layout_per_cpu_chunks(const struct layout *layout);

static inline vaddr layout_per_cpu(const struct layout *layout, uint64_t offset, unsigned cpu)
{
	if (offset >= layout->per_cpu_stride)
		return layout_per_cpu_in_chunk(layout, offset, cpu);
	return vaddr_of(layout->per_cpu_unit[cpu] + offset);
}

static inline vaddr layout_page_address(const struct layout *layout, pfn frame)
{
	return vaddr_of(layout->direct_map + ((uint64_t)frame.nr << PAGE_SHIFT));
}

static inline vaddr layout_struct_page(const struct layout *layout, pfn frame)
{
	return vaddr_of(layout->vmemmap + (uint64_t)frame.nr * layout->page_struct_bytes);
}

/* The frame an address of the direct map lies in. PFN_NONE for an address outside of the map. */
static inline pfn layout_pfn_of(const struct layout *layout, vaddr at)
{
	uint64_t offset = at.addr - layout->direct_map;
	if (at.addr < layout->direct_map || offset >> PAGE_SHIFT >= layout->direct_map_frames)
		return PFN_NONE;
	return pfn_of((uint32_t)(offset >> PAGE_SHIFT));
}

#endif
