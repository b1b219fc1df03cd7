/* SPDX-License-Identifier: MIT
 *
 * boot_tables.c - page tables of a 32-bit kernel's early boot that others will write to or walk through: where they lie
 * (interface: boot_internal.h).
 *
 *   end of low memory   a table for each 2 or 4 MiB that memory does not fill; the first has one since startup
 *   fixmap              that of early_ioremap() and that of the top are in the image's .bss; if local kmaps reach over more than
 *                       one table, theirs are made anew, one behind the other (page_table_kmap_check())
 *   permanent kmaps     one
 *
 * They come from pgt_buf, six frames at the end of the image, and when those are used up from the end of low memory. Source:
 * arch/x86/mm/init.c: alloc_low_pages(), early_alloc_pgt_buf(); arch/x86/mm/init_32.c: page_table_range_init(),
 * early_ioremap_page_table_range_init(), permanent_kmaps_init(); arch/x86/mm/ioremap.c: early_ioremap_init(); head_32.S. In the
 * recorded boot none lies outside of the image: the initrd was moved to the very end of low memory.
 *
 * MODEL: .bss begins with five pages before early_ioremap()'s table, that of the top second, as in a kernel without PAE; where
 * memory has holes, tables of low memory come in ascending order. Effect: lines of the caches.
 */
#include "models/page_allocator/boot_internal.h"

/* INIT_PGT_BUF_SIZE: 2 * INIT_PGD_PAGE_TABLES. */
#define PGT_BUF_PAGES 6u
/* The part of the image with .bss and brk. */
#define BSS_PART 1u
#define INITIAL_PG_FIXMAP 1u
#define BM_PTE 5u
#define ISA_END_PFN 0x100u

uint32_t boot_low_pages(struct boot *boot, uint32_t pages)
{
	const struct memblock_request request = {pages, 1, HIGH_MEMORY_START, boot->end};
	if (!boot->image_is_whole)
		return MEMBLOCK_NONE;
	if (boot->pgt_buf_used + pages > PGT_BUF_PAGES)
		return memblock_alloc(&boot->memblock, &request);
	uint32_t first = boot->map->image_pfn + boot->kernel->image[BSS_PART].end - PGT_BUF_PAGES + boot->pgt_buf_used;
	boot->pgt_buf_used += pages;
	return first;
}

void boot_note_table(struct boot *boot, uint64_t linear, unsigned shift, uint32_t frame)
{
	if (frame == MEMBLOCK_NONE)
		return;
	SIM_ASSERT(boot->map->tables < LAYOUT_TABLES_MAX);
	boot->map->table[boot->map->tables++] = (struct layout_table){linear, shift, frame};
}

static uint32_t bss_page(const struct boot *boot, uint32_t page)
{
	return boot->image_is_whole ? boot->map->image_pfn + boot->kernel->image[BSS_PART].start + page : MEMBLOCK_NONE;
}

/* Blocks of a table that memory fills in part have pages of 4 KiB. */
static void map_ends(struct boot *boot, const struct layout_fixed_32bit *fixed)
{
	const uint32_t block = (uint32_t)(fixed->table_bytes >> PAGE_SHIFT);
	for (uint32_t start = block; start < boot->end; start += block) {
		struct range within = {start, start + block < boot->end ? start + block : boot->end};
		uint64_t pages = memory_in(boot->map, within);
		if (pages > 0 && pages < block && boot->map->tables < LAYOUT_TABLES_MAX / 2)
			boot_note_table(boot, fixed->page_offset + ((uint64_t)start << PAGE_SHIFT), fixed->table_shift,
			                boot_low_pages(boot, 1));
	}
}

/* The table that a part of the fixmap has before its turn; MEMBLOCK_NONE: none. */
static uint32_t fixmap_table(struct boot *boot, const struct layout_fixed_32bit *fixed, uint64_t linear)
{
	if (linear >> fixed->table_shift == fixed->btmap_begin >> fixed->table_shift)
		return bss_page(boot, BM_PTE);
	if (linear >> fixed->table_shift == UINT32_MAX >> fixed->table_shift)
		return bss_page(boot, INITIAL_PG_FIXMAP);
	return boot_low_pages(boot, 1);
}

static void map_fixmap(struct boot *boot, const struct layout_fixed_32bit *fixed)
{
	const uint64_t first = fixed->kmap_end >> fixed->table_shift, last = fixed->kmap_begin >> fixed->table_shift;
	uint32_t in_a_row = first == last ? MEMBLOCK_NONE : boot_low_pages(boot, (uint32_t)(last - first + 1));
	for (uint64_t at = fixed->start >> fixed->table_shift; at <= (fixed->top - 1) >> fixed->table_shift; at++) {
		uint32_t frame = fixmap_table(boot, fixed, at << fixed->table_shift);
		if (in_a_row != MEMBLOCK_NONE && at >= first && at <= last)
			frame = in_a_row + (uint32_t)(at - first);
		boot_note_table(boot, at << fixed->table_shift, fixed->table_shift, frame);
	}
}

void boot_map_memory(struct boot *boot)
{
	const struct layout_32bit machine = settings_layout_32bit(boot->settings);
	const struct layout_fixed_32bit fixed = layout_fixed_32bit(&machine);
	map_ends(boot, &fixed);
	map_fixmap(boot, &fixed);
}

void boot_map_kmaps(struct boot *boot)
{
	const struct layout_32bit machine = settings_layout_32bit(boot->settings);
	const struct layout_fixed_32bit fixed = layout_fixed_32bit(&machine);
	boot_note_table(boot, fixed.pkmap_base, fixed.table_shift, boot_low_pages(boot, 1));
}
