/* SPDX-License-Identifier: MIT
 *
 * x86_pae.c - PAE paging: 32-bit linear addresses, entries of 8 bytes, pages of 4 KiB and 2 MiB.
 *
 * The four PDPTEs are registers that a load of CR3 fills, so a walk reads a PDE and a PTE only. They have no rights, no accessed
 * bit, and reserved bits of their own (Intel SDM vol. 3A 4.4.1, table 4-8). In a PDE and PTE all of bits 62:M are reserved
 * (tables 4-9 to 4-11), where long mode ignores 62:52.
 */
#include "models/translation/x86_entry.h"

extern const struct translation_ops translation_x86_pae_ops;

#define LEVEL_PDPTE 2

static struct paging_entry decode_pdpte(const struct paging_controls *controls, uint64_t raw)
{
	uint64_t reserved = X86_RW | X86_US | x86_bits(5, 8) | x86_bits(controls->physical_bits, 63);
	return (struct paging_entry){
	        .word = (raw & X86_P ? WORD_PRESENT : 0) | WORD_RIGHTS | WORD_ACCESSED | (raw & x86_bits(PAGE_SHIFT, 51)),
	        .reserved = (raw & reserved) != 0,
	};
}

static struct paging_entry pae_decode(const struct paging_controls *controls, unsigned level, uint64_t raw)
{
	if (level == LEVEL_PDPTE)
		return decode_pdpte(controls, raw);
	struct paging_entry entry = x86_decode(controls, level, raw);
	entry.reserved = entry.reserved || (raw & x86_bits(52, 62)) != 0;
	return entry;
}

static uint64_t pae_encode(const struct paging_controls *controls, unsigned level, uint64_t word, bool leaf)
{
	if (level == LEVEL_PDPTE)
		return (word & WORD_PRESENT ? X86_P : 0) | (word & WORD_FRAME);
	return x86_encode(controls, level, word, leaf);
}

static uint64_t pae_accessed(unsigned level)
{
	return level == LEVEL_PDPTE ? 0 : X86_A;
}

const struct translation_ops translation_x86_pae_ops = {
        .name = "x86_pae",
        .help = "x86-32 with PAE, pages of 4 KiB, 2 MiB",
        .levels = 3,
        .linear_bits = 32,
        .entry_bytes = 8,
        .page_frame = WORD_FRAME,
        .root_registers = 4,
        .level = {{"PTE", 12, 9, PAGE_4K}, {"PDE", 21, 9, PAGE_2M}, {"PDPTE", 30, 2, PAGE_SIZES}},
        .decode = pae_decode,
        .encode = pae_encode,
        .accessed = pae_accessed,
        .dirty = x86_dirty,
};
