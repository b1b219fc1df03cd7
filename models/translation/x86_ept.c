/* SPDX-License-Identifier: MIT
 *
 * x86_ept.c - extended page tables: a guest's physical addresses to the host's, four levels.
 *
 *   bits 0, 1, 2: read, write, execute; an entry is present if any is set | 7 leaf | 8 accessed | 9 dirty | M-1:12 frame
 *   leaves: 5:3 memory type, 6 ignore PAT
 *
 * Source: Intel SDM vol. 3C 28.3.2, tables 28-1 to 28-6. Write without read is a misconfiguration (28.3.3.1), told here as a
 * reserved bit. AMD's nested paging uses the ordinary long-mode tables instead (x86_4level; APM vol. 2 15.25).
 */
#include "models/translation/x86_entry.h"

extern const struct translation_ops translation_x86_ept_ops;

#define EPT_READ 0x1ull
#define EPT_WRITE 0x2ull
#define EPT_EXECUTE 0x4ull
#define EPT_LEAF 0x80ull
#define EPT_A 0x100ull
#define EPT_D 0x200ull
#define EPT_TYPE_WRITE_BACK (6ull << 3)

static struct paging_entry ept_decode(const struct paging_controls *controls, unsigned level, uint64_t raw)
{
	bool leaf = level == 0 || (level <= 2 && raw & EPT_LEAF);
	unsigned frame = leaf ? PAGE_SHIFT + 9 * level : PAGE_SHIFT;
	uint64_t reserved = x86_bits(controls->physical_bits, 51) | x86_bits(PAGE_SHIFT, frame - 1);
	if (!leaf)
		reserved |= x86_bits(3, 6);
	if (level > 2 || (level == 2 && !controls->gigabyte_pages))
		reserved |= EPT_LEAF;
	struct paging_entry entry = {.word = WORD_USER | (raw & x86_bits(frame, 51)), .leaf = leaf};
	if (raw & (EPT_READ | EPT_WRITE | EPT_EXECUTE))
		entry.word |= WORD_PRESENT;
	if (raw & EPT_WRITE)
		entry.word |= WORD_WRITE;
	if (raw & EPT_EXECUTE)
		entry.word |= WORD_EXECUTE;
	if (raw & EPT_A)
		entry.word |= WORD_ACCESSED;
	if (leaf && raw & EPT_D)
		entry.word |= WORD_DIRTY;
	entry.reserved = (raw & reserved) != 0 || ((raw & EPT_WRITE) && !(raw & EPT_READ));
	return entry;
}

static uint64_t ept_encode(const struct paging_controls *controls, unsigned level, uint64_t word, bool leaf)
{
	(void)controls;
	uint64_t raw = word & WORD_FRAME;
	if (word & WORD_PRESENT)
		raw |= EPT_READ;
	if (word & WORD_WRITE)
		raw |= EPT_WRITE;
	if (word & WORD_EXECUTE)
		raw |= EPT_EXECUTE;
	if (word & WORD_ACCESSED)
		raw |= EPT_A;
	if (!leaf)
		return raw;
	raw |= EPT_TYPE_WRITE_BACK;
	if (word & WORD_DIRTY)
		raw |= EPT_D;
	return level > 0 ? raw | EPT_LEAF : raw;
}

static uint64_t ept_accessed(unsigned level)
{
	(void)level;
	return EPT_A;
}

static uint64_t ept_dirty(unsigned level)
{
	(void)level;
	return EPT_D;
}

const struct translation_ops translation_x86_ept_ops = {
        .name = "x86_ept",
        .help = "Intel's second stage: a guest's physical addresses to the host's, four levels",
        .levels = 4,
        .linear_bits = 48,
        .entry_bytes = 8,
        .page_frame = WORD_FRAME,
        .keeps_guest_registers = true,
        .level = {{"EPT PTE", 12, 9, PAGE_4K},
                  {"EPT PDE", 21, 9, PAGE_2M},
                  {"EPT PDPTE", 30, 9, PAGE_1G},
                  {"EPT PML4E", 39, 9, PAGE_SIZES}},
        .decode = ept_decode,
        .encode = ept_encode,
        .accessed = ept_accessed,
        .dirty = ept_dirty,
};
