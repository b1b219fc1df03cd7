/* SPDX-License-Identifier: MIT
 *
 * x86_entry.h - the 8-byte entry that 4-level, 5-level and PAE paging share (Intel SDM vol. 3A, tables 4-8 to 4-20).
 *
 *   63 XD | 62:52 ignored | 51:M reserved | M-1:12 frame | 11:9 ignored | 8 G | 7 PS or PAT | 6 D | 5 A | 4 PCD | 3 PWT | 2 U/S |
 * 1 R/W | 0 P
 *
 * A leaf above the page table has PS set, its PAT in bit 12 and its frame from the bit of its page size on; what lies between is
 * reserved.
 */
#ifndef MODELS_TRANSLATION_X86_ENTRY_H
#define MODELS_TRANSLATION_X86_ENTRY_H

#include "sim/port/translation.h"

#define X86_P 0x1ull
#define X86_RW 0x2ull
#define X86_US 0x4ull
#define X86_PWT 0x8ull
#define X86_PCD 0x10ull
#define X86_A 0x20ull
#define X86_D 0x40ull
#define X86_PS 0x80ull
#define X86_G 0x100ull
#define X86_PAT 0x80ull         /* of an entry of a page table */
#define X86_PAT_LARGE 0x1000ull /* of a leaf above it */
#define X86_XD (1ull << 63)

/* Bits first to last, both included; none if last < first. */
static inline uint64_t x86_bits(unsigned first, unsigned last)
{
	return last < first ? 0 : (UINT64_MAX >> (63 - last)) & (UINT64_MAX << first);
}

/* The word's bits that an entry keeps in its lowest nine, whatever its width. */
uint64_t x86_low_word(const struct paging_controls *controls, uint64_t raw, bool leaf, uint64_t pat);
uint64_t x86_low_raw(uint64_t word, bool leaf, uint64_t pat);

/* Entries of tables whose leaves have the sizes 4K, 2M and 1G at levels 0, 1 and 2. */
struct paging_entry x86_decode(const struct paging_controls *controls, unsigned level, uint64_t raw);
uint64_t x86_encode(const struct paging_controls *controls, unsigned level, uint64_t word, bool leaf);
uint64_t x86_accessed(unsigned level);
uint64_t x86_dirty(unsigned level);

#endif
