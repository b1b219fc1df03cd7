/* SPDX-License-Identifier: MIT
 *
 * vmalloc_map.c - the page tables behind vmalloc's range (interface: vmalloc.h).
 *
 * Tables are made where a mapping first needs one, from order-0 pages that are zeroed, and never given back: the kernel's vunmap
 * clears entries only. On x86-64 the two levels above are there since boot (preallocate_vmalloc_pages); what can be missing is
 * the last level (2 MiB) and the one above it (1 GiB). On 32 bit without PAE there is only the last level (4 MiB).
 *
 * Source: mm/vmalloc.c: vmap_small_pages_range_noflush; include/asm-generic/pgalloc.h: GFP_PGTABLE_KERNEL, pmd_alloc_one,
 * __pte_alloc_one_kernel; arch/x86/mm/init_64.c.
 *
 * MODEL: a table made before the simulation began has no known frame, so writes to it are no steps.
 */
#include "models/virtual_allocator/vmalloc.h"

#include <string.h>

static size_t tables_for(const struct vmalloc *vmalloc, unsigned shift)
{
	return (size_t)(((vmalloc->at.end - vmalloc->at.start) >> shift) + 2);
}

void vmalloc_tables_init(struct vmalloc *vmalloc)
{
	vmalloc->pte_table_count = tables_for(vmalloc, vmalloc->at.pte_table_shift);
	vmalloc->pte_tables = lazy_alloc(vmalloc->pte_table_count, sizeof *vmalloc->pte_tables);
	if (!vmalloc->at.pmd_table_shift)
		return;
	vmalloc->pmd_table_count = tables_for(vmalloc, vmalloc->at.pmd_table_shift);
	vmalloc->pmd_tables = lazy_alloc(vmalloc->pmd_table_count, sizeof *vmalloc->pmd_tables);
}

static void give_back(struct vmalloc *vmalloc, const uint32_t *tables, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (!tables[i] || tables[i] == TABLE_UNKNOWN)
			continue;
		enum page_free_result result = page_free(vmalloc->pages, pfn_of(tables[i] - 1), 0, 0);
		SIM_ASSERT(result == PAGE_FREE_OK);
	}
}

void vmalloc_tables_release(struct vmalloc *vmalloc)
{
	if (vmalloc->pages && vmalloc->counters.page_table_pages) {
		give_back(vmalloc, vmalloc->pte_tables, vmalloc->pte_tables_end);
		if (vmalloc->pmd_tables)
			give_back(vmalloc, vmalloc->pmd_tables, vmalloc->pmd_table_count);
	}
	lazy_free(vmalloc->pte_tables, vmalloc->pte_table_count, sizeof *vmalloc->pte_tables);
	if (vmalloc->pmd_tables)
		lazy_free(vmalloc->pmd_tables, vmalloc->pmd_table_count, sizeof *vmalloc->pmd_tables);
	vmalloc->pmd_tables = NULL;
}

static size_t table_of(const struct vmalloc *vmalloc, uint64_t address, unsigned shift)
{
	return (size_t)((address >> shift) - (vmalloc->at.start >> shift));
}

static bool need_table(struct vmalloc *vmalloc, uint32_t *table, unsigned cpu)
{
	if (*table)
		return true;
	pfn frame = vmalloc->pages ? page_alloc(vmalloc->pages, 0, VMALLOC_TABLE_GFP, cpu) : pfn_of(TABLE_UNKNOWN - 1);
	if (frame.nr == UINT32_MAX)
		return false;
	*table = frame.nr + 1;
	vmalloc->counters.page_table_pages++;
	return true;
}

static void write_entries(const struct vmalloc *vmalloc, uint32_t table, uint64_t address, uint64_t pages)
{
	if (!vmalloc->steps->recording || !table || table == TABLE_UNKNOWN)
		return;
	uint64_t table_bytes = 1ull << vmalloc->at.pte_table_shift;
	uint64_t entry = (address & (table_bytes - 1)) >> PAGE_SHIFT;
	vaddr at = layout_page_address(vmalloc->layout, pfn_of(table - 1));
	step_write(vmalloc->steps, vaddr_of(at.addr + entry * vmalloc->at.pte_bytes), (uint32_t)(pages * vmalloc->at.pte_bytes));
}

/* Pages from `address` on that the same last-level table translates, at most `left`. */
static uint64_t in_table(const struct vmalloc *vmalloc, uint64_t address, uint64_t left)
{
	uint64_t table_bytes = 1ull << vmalloc->at.pte_table_shift;
	uint64_t room = (table_bytes - (address & (table_bytes - 1))) >> PAGE_SHIFT;
	return room < left ? room : left;
}

bool vmalloc_map_range(struct vmalloc *vmalloc, uint64_t start, uint32_t pages, unsigned cpu)
{
	uint64_t address = start;
	for (uint64_t left = pages, part; left; left -= part, address += part << PAGE_SHIFT) {
		part = in_table(vmalloc, address, left);
		if (vmalloc->pmd_tables &&
		    !need_table(vmalloc, &vmalloc->pmd_tables[table_of(vmalloc, address, vmalloc->at.pmd_table_shift)], cpu))
			return false;
		size_t table = table_of(vmalloc, address, vmalloc->at.pte_table_shift);
		if (!need_table(vmalloc, &vmalloc->pte_tables[table], cpu))
			return false;
		if (table >= vmalloc->pte_tables_end)
			vmalloc->pte_tables_end = table + 1;
		write_entries(vmalloc, vmalloc->pte_tables[table], address, part);
	}
	return true;
}

void vmalloc_unmap_range(struct vmalloc *vmalloc, uint64_t start, uint32_t pages)
{
	if (!vmalloc->steps->recording)
		return;
	uint64_t address = start;
	for (uint64_t left = pages, part; left; left -= part, address += part << PAGE_SHIFT) {
		part = in_table(vmalloc, address, left);
		write_entries(vmalloc, vmalloc->pte_tables[table_of(vmalloc, address, vmalloc->at.pte_table_shift)], address,
		              part);
	}
}

static void known(uint32_t *tables, size_t first, size_t last)
{
	for (size_t i = first; i <= last; i++)
		if (!tables[i])
			tables[i] = TABLE_UNKNOWN;
}

void vmalloc_tables_known(struct vmalloc *vmalloc, uint64_t start, uint64_t end)
{
	/* The guard page at the end was never mapped. */
	uint64_t last = end - PAGE_SIZE - 1;
	if (start < vmalloc->at.start || end > vmalloc->at.end || last < start)
		return;
	known(vmalloc->pte_tables, table_of(vmalloc, start, vmalloc->at.pte_table_shift),
	      table_of(vmalloc, last, vmalloc->at.pte_table_shift));
	if (vmalloc->pmd_tables)
		known(vmalloc->pmd_tables, table_of(vmalloc, start, vmalloc->at.pmd_table_shift),
		      table_of(vmalloc, last, vmalloc->at.pmd_table_shift));
}
