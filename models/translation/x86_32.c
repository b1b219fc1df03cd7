/* SPDX-License-Identifier: MIT
 *
 * x86_32.c - 32-bit paging: two levels of 1024 entries of 4 bytes, pages of 4 KiB and, with CR4.PSE, 4 MiB.
 *
 * A 4 MiB page's frame has its bits 39:32 in bits 20:13 of the entry (PSE-36, Intel SDM vol. 3A table 4-4); bit 21, and those
 * above the machine's physical width, are reserved. Nothing else is, and there is no XD bit.
 */
#include "models/translation/x86_entry.h"

extern const struct translation_ops translation_x86_32_ops;

#define LARGE_SHIFT 22
#define WORD_FRAME_32BIT 0xfffff000u
#define PSE36_LAST 39 /* highest physical bit of a 4 MiB page */

static struct paging_entry two_level_decode(const struct paging_controls *controls, unsigned level, uint64_t raw)
{
	bool large = level == 1 && raw & X86_PS && controls->large_pages;
	bool leaf = level == 0 || large;
	struct paging_entry entry = {.word = x86_low_word(controls, raw, leaf, large ? X86_PAT_LARGE : X86_PAT), .leaf = leaf};
	if (!large) {
		entry.word |= raw & x86_bits(PAGE_SHIFT, 31);
		return entry;
	}
	uint64_t upper = (raw & x86_bits(13, 20)) << (32 - 13);
	unsigned width = controls->physical_bits <= PSE36_LAST ? controls->physical_bits : PSE36_LAST + 1;
	entry.word |= (raw & x86_bits(LARGE_SHIFT, 31)) | upper;
	entry.reserved = (raw & 1ull << 21) != 0 || (upper & x86_bits(width, 63)) != 0;
	return entry;
}

static uint64_t two_level_encode(const struct paging_controls *controls, unsigned level, uint64_t word, bool leaf)
{
	(void)controls;
	bool large = leaf && level == 1;
	uint64_t raw = x86_low_raw(word, leaf, large ? X86_PAT_LARGE : X86_PAT);
	if (!large)
		return raw | (word & x86_bits(PAGE_SHIFT, 31));
	return raw | X86_PS | (word & x86_bits(LARGE_SHIFT, 31)) | (word & x86_bits(32, PSE36_LAST)) >> (32 - 13);
}

const struct translation_ops translation_x86_32_ops = {
        .name = "x86_32",
        .help = "x86-32, two levels, pages of 4 KiB, 4 MiB",
        .levels = 2,
        .linear_bits = 32,
        .entry_bytes = 4,
        .page_frame = WORD_FRAME_32BIT,
        .level = {{"PTE", 12, 10, PAGE_4K}, {"PDE", 22, 10, PAGE_4M}},
        .decode = two_level_decode,
        .encode = two_level_encode,
        .accessed = x86_accessed,
        .dirty = x86_dirty,
};
