/* SPDX-License-Identifier: MIT
 *
 * vmalloc_map.c - the page tables behind vmalloc's range and that of modules (interface: vmalloc.h).
 *
 * Tables are made where a mapping first needs one, from order-0 pages that are zeroed. The kernel's vunmap clears entries only;
 * a table goes back when a large page takes its place. On x86-64 the two top levels are there since boot
 * (preallocate_vmalloc_pages); what can be missing is the last level (2 MiB), the one above it (1 GiB) and, with 5 levels, the
 * next (512 GiB). The kernel's image and its modules have all but the last since boot (level2_kernel_pgt, level2_fixmap_pgt). On
 * 32 bit without PAE there is only the last level (4 MiB).
 *
 * Source: mm/vmalloc.c: vmap_small_pages_range_noflush, vmap_try_huge_pmd, vunmap_pmd_range; arch/x86/mm/pgtable.c:
 * pmd_set_huge, pmd_free_pte_page; include/asm-generic/pgalloc.h: GFP_PGTABLE_KERNEL, pmd_alloc_one, __pte_alloc_one_kernel;
 * arch/x86/mm/init_64.c.
 *
 * MODEL: a table made before the simulation began has no known frame, so writes to it are no steps, and it is not given back.
 */
#include "models/virtual_allocator/vmalloc.h"

#include <stdlib.h>

/* Numbers of tables that the host keeps together. */
#define CHUNK_TABLES 8192u

static size_t table_of(const struct vmalloc_tables *tables, const struct table_frames *level, uint64_t address)
{
	return (size_t)((address >> level->shift) - (tables->start >> level->shift));
}

/* Where the number of the table for an address is kept; the level is one of the range's. */
static uint32_t *table_at(struct vmalloc_tables *tables, enum vmalloc_level of, uint64_t address)
{
	struct table_frames *level = &tables->level[of];
	size_t table = table_of(tables, level, address);
	uint32_t **chunk = &level->chunk[table / CHUNK_TABLES];
	if (!*chunk)
		*chunk = xcalloc(CHUNK_TABLES, sizeof **chunk);
	return &(*chunk)[table % CHUNK_TABLES];
}

/* Frame + 1 of the table for an address, 0 if there is none; the level is one of the range's. */
static uint32_t table_for(const struct vmalloc_tables *tables, enum vmalloc_level of, uint64_t address)
{
	const struct table_frames *level = &tables->level[of];
	size_t table = table_of(tables, level, address);
	const uint32_t *chunk = level->chunk[table / CHUNK_TABLES];
	if (chunk && chunk[table % CHUNK_TABLES])
		return chunk[table % CHUNK_TABLES];
	pfn of_boot = layout_table_frame(tables->layout, address, level->shift);
	return of_boot.nr == UINT32_MAX ? 0 : of_boot.nr + 1;
}

static void init_level(struct vmalloc_tables *tables, enum vmalloc_level of, unsigned shift)
{
	struct table_frames *level = &tables->level[of];
	level->shift = shift;
	if (!shift)
		return;
	level->chunks = table_of(tables, level, tables->end) / CHUNK_TABLES + 1;
	level->chunk = xcalloc(level->chunks, sizeof *level->chunk);
}

void vmalloc_tables_init(struct vmalloc *vmalloc)
{
	const struct vmalloc_layout *at = &vmalloc->at;
	vmalloc->tables = (struct vmalloc_tables){.start = at->start, .end = at->end, .layout = vmalloc->layout};
	init_level(&vmalloc->tables, LEVEL_PTE, at->pte_table_shift);
	init_level(&vmalloc->tables, LEVEL_PMD, at->pmd_table_shift);
	init_level(&vmalloc->tables, LEVEL_PUD, at->pud_table_shift);
	if (at->modules_start == at->start)
		return;
	vmalloc->module_tables =
	        (struct vmalloc_tables){.start = at->modules_start, .end = at->modules_end, .layout = vmalloc->layout};
	init_level(&vmalloc->module_tables, LEVEL_PTE, at->pte_table_shift);
}

static void give_table(struct vmalloc *vmalloc, uint32_t *table, unsigned cpu)
{
	uint32_t frame = *table;
	*table = 0;
	if (!frame || frame == TABLE_UNKNOWN)
		return;
	enum page_free_result result = page_free(vmalloc->pages, pfn_of(frame - 1), 0, cpu);
	SIM_ASSERT(result == PAGE_FREE_OK);
	vmalloc->counters.page_table_pages_freed++;
	vmalloc->tables_held--;
}

static void release_level(struct vmalloc *vmalloc, struct table_frames *level)
{
	for (size_t i = 0; i < level->chunks; i++) {
		for (size_t table = 0; level->chunk[i] && table < CHUNK_TABLES; table++)
			give_table(vmalloc, &level->chunk[i][table], 0);
		free(level->chunk[i]);
	}
	free(level->chunk);
}

static void release(struct vmalloc *vmalloc, struct vmalloc_tables *tables)
{
	for (unsigned level = 0; level < VMALLOC_LEVELS; level++)
		release_level(vmalloc, &tables->level[level]);
	*tables = (struct vmalloc_tables){0};
}

void vmalloc_tables_release(struct vmalloc *vmalloc)
{
	release(vmalloc, &vmalloc->tables);
	release(vmalloc, &vmalloc->module_tables);
}

static bool is_of_modules(const struct vmalloc *vmalloc, uint64_t address)
{
	return vmalloc->module_tables.start && address >= vmalloc->module_tables.start;
}

static struct vmalloc_tables *tables_of(struct vmalloc *vmalloc, uint64_t address)
{
	return is_of_modules(vmalloc, address) ? &vmalloc->module_tables : &vmalloc->tables;
}

static void write_entries(const struct vmalloc *vmalloc, uint32_t table, uint64_t entry, uint64_t count)
{
	if (!vmalloc->steps->recording || !table || table == TABLE_UNKNOWN)
		return;
	vaddr at = layout_page_address(vmalloc->layout, pfn_of(table - 1));
	step_write(vmalloc->steps, vaddr_of(at.addr + entry * vmalloc->at.pte_bytes), (uint32_t)(count * vmalloc->at.pte_bytes));
}

/* Index of the entry for an address in its table. */
static uint64_t entry_of(uint64_t address, unsigned table_shift, unsigned entry_shift)
{
	return (address & ((1ull << table_shift) - 1)) >> entry_shift;
}

/* The entry for the table of an address in the one above it, where that is a page of its own. */
static void write_upper_entry(const struct vmalloc *vmalloc, const struct vmalloc_tables *tables, enum vmalloc_level of,
                              uint64_t address)
{
	if (of + 1 < VMALLOC_LEVELS && tables->level[of + 1].shift)
		write_entries(vmalloc, table_for(tables, (enum vmalloc_level)(of + 1), address),
		              entry_of(address, tables->level[of + 1].shift, tables->level[of].shift), 1);
}

/* Makes the table of an address if it is missing. */
static bool need_table(struct vmalloc *vmalloc, struct vmalloc_tables *tables, enum vmalloc_level of, uint64_t address,
                       unsigned cpu)
{
	if (table_for(tables, of, address))
		return true;
	uint32_t *table = table_at(tables, of, address);
	pfn frame = vmalloc->pages ? page_alloc(vmalloc->pages, 0, VMALLOC_TABLE_GFP, cpu) : pfn_of(TABLE_UNKNOWN - 1);
	if (frame.nr == UINT32_MAX)
		return false;
	*table = frame.nr + 1;
	vmalloc->counters.page_table_pages++;
	vmalloc->tables_held += vmalloc->pages != NULL;
	write_upper_entry(vmalloc, tables, of, address);
	return true;
}

/* The levels above the last, from the top down. */
static bool need_upper_tables(struct vmalloc *vmalloc, struct vmalloc_tables *tables, uint64_t address, unsigned cpu)
{
	for (unsigned level = VMALLOC_LEVELS; --level > LEVEL_PTE;)
		if (tables->level[level].shift && !need_table(vmalloc, tables, (enum vmalloc_level)level, address, cpu))
			return false;
	return true;
}

pfn vmalloc_table_frame(const struct vmalloc *vmalloc, uint64_t address, unsigned shift)
{
	const struct vmalloc_tables *tables = is_of_modules(vmalloc, address) ? &vmalloc->module_tables : &vmalloc->tables;
	uint32_t table = 0;
	if (address < tables->start || address > tables->end || !vmalloc->pages)
		return PFN_NONE;
	for (unsigned level = 0; level < VMALLOC_LEVELS; level++)
		if (shift == tables->level[level].shift)
			table = table_for(tables, (enum vmalloc_level)level, address);
	return table == 0 || table == TABLE_UNKNOWN ? PFN_NONE : pfn_of(table - 1);
}

/* Pages from `address` on that the same last-level table translates, at most `left`. */
static uint64_t in_table(const struct vmalloc *vmalloc, uint64_t address, uint64_t left)
{
	uint64_t table_bytes = 1ull << vmalloc->at.pte_table_shift;
	uint64_t room = (table_bytes - (address & (table_bytes - 1))) >> PAGE_SHIFT;
	return room < left ? room : left;
}

/* ---- what the tables say, in steps ---- */

/* Small pages from the `first` of an area on, those with frames in a row together. Bits of a frame that no entry has are lost. */
static void tell_small(struct vmalloc *vmalloc, uint64_t address, const struct behind *behind, uint64_t first, uint64_t pages)
{
	const uint64_t frame_mask = STEP_FRAMES - 1;
	if (!vmalloc->steps->maps || !vmalloc->pages)
		return;
	for (uint64_t done = 0, run; done < pages; done += run) {
		uint64_t frame = (behind->physical >> PAGE_SHIFT) + first + done;
		run = pages - done;
		if (behind->frames) {
			const pfn *frames = behind->frames + first + done;
			frame = frames->nr;
			for (run = 1; done + run < pages && frames[run].nr == frame + run;)
				run++;
		}
		step_map(vmalloc->steps,
		         &(struct step_mapping){
		                 .linear = address + (done << PAGE_SHIFT), .frame = frame & frame_mask, .page_shift = PAGE_SHIFT},
		         run);
	}
}

static void tell_large(struct vmalloc *vmalloc, uint64_t address, const struct behind *behind, uint64_t first)
{
	uint64_t frame = behind->frames ? behind->frames[first].nr : (behind->physical >> PAGE_SHIFT) + first;
	if (vmalloc->pages)
		step_map(vmalloc->steps,
		         &(struct step_mapping){.linear = address,
		                                .frame = frame & (STEP_FRAMES - 1),
		                                .page_shift = vmalloc->at.pte_table_shift},
		         1);
}

/* ---- the port's two ---- */

/* The entry above the last level points to a large page in place of a table, which goes back (pmd_free_pte_page()). */
static void map_large(struct vmalloc *vmalloc, struct vmalloc_tables *tables, uint64_t address, unsigned cpu)
{
	uint32_t *table = table_at(tables, LEVEL_PTE, address);
	if (*table) {
		vmalloc_flush_tlbs(vmalloc, address, address + PAGE_SIZE, cpu);
		give_table(vmalloc, table, cpu);
	}
	write_upper_entry(vmalloc, tables, LEVEL_PTE, address);
	vmalloc->counters.large_mappings++;
}

static bool map_small(struct vmalloc *vmalloc, struct vmalloc_tables *tables, uint64_t address, uint64_t pages, unsigned cpu)
{
	if (!need_table(vmalloc, tables, LEVEL_PTE, address, cpu))
		return false;
	write_entries(vmalloc, table_for(tables, LEVEL_PTE, address), entry_of(address, vmalloc->at.pte_table_shift, PAGE_SHIFT),
	              pages);
	return true;
}

uint64_t vmalloc_map_range(struct vmalloc *vmalloc, uint64_t start, uint64_t pages, const struct behind *behind, unsigned cpu)
{
	struct vmalloc_tables *tables = tables_of(vmalloc, start);
	const uint64_t table_pages = 1ull << (vmalloc->at.pte_table_shift - PAGE_SHIFT);
	uint64_t address = start, done = 0;
	for (uint64_t part; done < pages; done += part, address += part << PAGE_SHIFT) {
		part = in_table(vmalloc, address, pages - done);
		if (!need_upper_tables(vmalloc, tables, address, cpu))
			break;
		if (behind->large && tables->level[LEVEL_PMD].shift && part == table_pages) {
			map_large(vmalloc, tables, address, cpu);
			tell_large(vmalloc, address, behind, done);
		} else {
			if (!map_small(vmalloc, tables, address, part, cpu))
				break;
			tell_small(vmalloc, address, behind, done, part);
		}
	}
	vmalloc->counters.pages_mapped += done;
	return done;
}

void vmalloc_unmap_range(struct vmalloc *vmalloc, uint64_t start, uint64_t pages)
{
	vmalloc->counters.pages_mapped -= pages;
	if (!vmalloc->steps->recording)
		return;
	struct vmalloc_tables *tables = tables_of(vmalloc, start);
	uint64_t address = start;
	for (uint64_t left = pages, part; left; left -= part, address += part << PAGE_SHIFT) {
		part = in_table(vmalloc, address, left);
		uint32_t table = table_for(tables, LEVEL_PTE, address);
		bool is_small = table || !tables->level[LEVEL_PMD].shift;
		if (is_small)
			write_entries(vmalloc, table, entry_of(address, vmalloc->at.pte_table_shift, PAGE_SHIFT), part);
		else
			write_upper_entry(vmalloc, tables, LEVEL_PTE, address);
		if (vmalloc->pages)
			step_unmap(vmalloc->steps,
			           &(struct step_mapping){.linear = address,
			                                  .page_shift = is_small ? PAGE_SHIFT : vmalloc->at.pte_table_shift},
			           is_small ? part : 1);
	}
}

void vmalloc_tables_known(struct vmalloc *vmalloc, uint64_t start, uint64_t end)
{
	struct vmalloc_tables *tables = tables_of(vmalloc, start);
	/* The guard page at the end was never mapped. */
	uint64_t last = end - PAGE_SIZE - 1;
	if (start < tables->start || end > tables->end || last < start)
		return;
	for (unsigned level = 0; level < VMALLOC_LEVELS; level++) {
		unsigned shift = tables->level[level].shift;
		for (uint64_t table = start >> shift; shift && table <= last >> shift; table++) {
			uint32_t *at = table_at(tables, (enum vmalloc_level)level, table << shift);
			*at = *at ? *at : TABLE_UNKNOWN;
		}
	}
}
