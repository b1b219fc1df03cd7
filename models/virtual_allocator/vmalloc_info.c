/* SPDX-License-Identifier: MIT
 *
 * vmalloc_info.c - the areas in use as /proc/vmallocinfo shows them (interface: vmalloc.h).
 *
 *     0xffffc90000000000-0xffffc90000005000   20480 dup_task_struct pages=4 vmalloc N0=4
 *     0xffffc90000000000-0xffffc9000005c000  376832 vmalloc
 *     0xffffc90000200000-0xffffc90000400000 2097152 vm_map_ram
 *     0xffffc90000400000-0xffffc90000402000    8192 unpurged vm_area
 *
 * The areas that wait for the purge follow the last one in use. Source: mm/vmalloc.c of Linux 6.1: s_show, show_numa_info,
 * show_purge_info.
 *
 * MODEL: the caller is the call site's name; the kernel adds its offset and size ("+0x35/0x80"). An area of a loaded state, of
 * which nothing is known but its range, shows that range alone. The kernel has N0= if it is built with CONFIG_NUMA, as on x86-64
 * (Debian), not on x86-32; all pages are node 0's.
 */
#include "models/virtual_allocator/vmalloc.h"

#include <inttypes.h>

/* %pK prints as many digits as a pointer has. */
static void print_range(const struct vmalloc *vmalloc, uint64_t start, uint64_t end, FILE *out)
{
	int digits = (int)(2 * vmalloc->at.pointer_bytes);
	fprintf(out, "0x%0*" PRIx64 "-0x%0*" PRIx64 " %7" PRIu64, digits, start, digits, end, end - start);
}

static void print_mapping(const struct vmalloc *vmalloc, const struct mapping *mapping, FILE *out)
{
	bool vmalloced = mapping->kind == MAPPING_VMALLOC || mapping->kind == MAPPING_PAGE_ARRAY,
	     numa = vmalloc->at.pointer_bytes == 8;
	if (mapping->caller)
		fprintf(out, " %s", mapping->caller);
	if (vmalloced && mapping->pages)
		fprintf(out, " pages=%" PRIu32, mapping->pages);
	if (mapping->physical)
		fprintf(out, " phys=0x%0*" PRIx64, (int)(2 * vmalloc->at.pointer_bytes), mapping->physical);
	if (mapping->kind == MAPPING_IOREMAP)
		fputs(" ioremap", out);
	if (vmalloced || mapping->kind == MAPPING_EARLY)
		fputs(" vmalloc", out);
	if (mapping->kind == MAPPING_VMAP)
		fputs(" vmap", out);
	if (mapping->array_is_area)
		fputs(" vpages", out);
	if (vmalloced && mapping->pages && numa)
		fprintf(out, " N0=%" PRIu32, mapping->pages);
}

static void print_area(const struct vmalloc *vmalloc, const struct area *at, FILE *out)
{
	const struct mapping *mapping = &vmalloc->mappings[at->mapping];
	print_range(vmalloc, at->start, at->end, out);
	if (mapping->kind == MAPPING_RAM || mapping->kind == MAPPING_RAM_BLOCK)
		fputs(" vm_map_ram", out);
	else if (mapping->kind != MAPPING_UNUSED)
		print_mapping(vmalloc, mapping, out);
	putc('\n', out);
}

void vmalloc_print_info(const struct virtual_allocator *areas, FILE *out)
{
	const struct vmalloc *vmalloc = vmalloc_const(areas);
	const struct area_tree *busy = &vmalloc->trees[AREA_BUSY], *purge = &vmalloc->trees[AREA_PURGE];
	for (uint32_t area = area_first(&vmalloc->pool, busy); area; area = area_next(&vmalloc->pool, area))
		print_area(vmalloc, area_of(&vmalloc->pool, area), out);
	/* It is a part of the last area's line in the kernel, so without one there is none. */
	for (uint32_t area = busy->count ? area_first(&vmalloc->pool, purge) : AREA_NONE; area;
	     area = area_next(&vmalloc->pool, area)) {
		print_range(vmalloc, area_of(&vmalloc->pool, area)->start, area_of(&vmalloc->pool, area)->end, out);
		fputs(" unpurged vm_area\n", out);
	}
}
