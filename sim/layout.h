/* SPDX-License-Identifier: MIT
 *
 * layout.h - where the simulated kernel's own structures lie, so that a touch has an address.
 *
 *   direct_map    + (pfn << 12)       every frame, and with it every object       (x86-64: ffff888000000000)
 *   vmemmap       + pfn * page_struct  the struct page array                        (x86-64: ffffea0000000000)
 *   per_cpu       + cpu * stride       per-CPU data: pcp lists, cpu slabs, arrays
 *   kernel_data   ...                  zones, kmem_cache descriptors, locks: handed out once, upward, never freed
 *
 * MODEL: descriptors lie in kernel_data and per_cpu, each on its own cache line, instead of inside slabs and the per-CPU
 * allocator's chunks. Which bytes share a line inside one structure is kept; which structures share a page is not.
 * Source of the bases: Documentation/arch/x86/x86_64/mm.rst (4-level, no KASLR).
 */
#ifndef SIM_LAYOUT_H
#define SIM_LAYOUT_H

#include "sim/base.h"

struct layout {
	uint64_t direct_map;
	uint32_t direct_map_frames; /* from here on frames are high memory, which has no address of its own */
	uint64_t vmemmap;
	uint32_t page_struct_bytes; /* sizeof(struct page): 64, 56 without its alignment; 32 or 40 on 32 bits */
	uint64_t per_cpu;
	uint64_t per_cpu_stride;
	uint64_t kernel_data;
	uint64_t kernel_data_used;
	uint64_t per_cpu_used;
	struct layout_label *labels; /* of kernel data and per-CPU data, ascending; owned */
	size_t labels_count;
	bool keeps_names; /* false: layout_name() does nothing, and there is nothing to release */
};

/* The 64-bit layout without KASLR. */
void layout_init(struct layout *layout, uint32_t page_struct_bytes);

/*
 * The map of a 32-bit kernel (PAGE_OFFSET c0000000), which ends after so many bytes of memory; object allocators tell the size of a
 * pointer from it.
 * MODEL: an access to a frame of high memory is told at direct_map + its physical address, beyond what 32 bits reach, in place of
 * the slot that kmap_local_page() gave it, and the regions of the kernel's own data keep their 64-bit addresses.
 */
void layout_set_32bit(struct layout *layout, uint64_t lowmem_bytes);

/* Lets the names be kept that models give their data, for one who will ask for them. */
void layout_keep_names(struct layout *layout);

void layout_release(struct layout *layout);

/* Hands out `bytes` of kernel data on a cache line of its own; the address never changes and is never given back. */
vaddr layout_kernel_data(struct layout *layout, uint32_t bytes);

/*
 * Names the data that begins at an address ("zone DMA32", "kmem_cache_node dentry"), for tables of locks and lines; a new name takes
 * the place of the old one. Both texts are copied.
 */
void layout_name(struct layout *layout, vaddr at, uint32_t bytes, const char *kind, const char *name);

/* The name of the data that an address lies in, "" if it has none. */
const char *layout_label(const struct layout *layout, vaddr at);

/* Hands out `bytes` of per-CPU data; returns the offset, to be used with layout_per_cpu(). */
uint64_t layout_per_cpu_alloc(struct layout *layout, uint32_t bytes);

static inline vaddr layout_per_cpu(const struct layout *layout, uint64_t offset, unsigned cpu)
{
	return vaddr_of(layout->per_cpu + cpu * layout->per_cpu_stride + offset);
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
