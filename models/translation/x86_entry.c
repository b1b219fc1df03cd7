/* SPDX-License-Identifier: MIT
 *
 * x86_entry.c - the 8-byte entry of long mode and PAE (format: x86_entry.h).
 */
#include "models/translation/x86_entry.h"

/* The PAT index is PAT:PCD:PWT. */
#define TYPE_PWT (1ull << WORD_MEMORY_TYPE_SHIFT)
#define TYPE_PCD (2ull << WORD_MEMORY_TYPE_SHIFT)
#define TYPE_PAT (4ull << WORD_MEMORY_TYPE_SHIFT)

/* Bits that stand side by side here and there are moved together, and those that stand alone one by one. */
_Static_assert(X86_P == WORD_PRESENT && X86_RW == WORD_WRITE && X86_US == WORD_USER, "the rights stay where they are");
_Static_assert(X86_A << 1 == WORD_ACCESSED && X86_D >> 2 == WORD_DIRTY && X86_G >> 3 == WORD_GLOBAL, "accessed, dirty, global");
_Static_assert(X86_PWT << 4 == TYPE_PWT && X86_PCD << 4 == TYPE_PCD, "the memory type");

uint64_t x86_low_word(const struct paging_controls *controls, uint64_t raw, bool leaf, uint64_t pat)
{
	uint64_t word = WORD_EXECUTE | (raw & (X86_P | X86_RW | X86_US)) | (raw & X86_A) << 1 | (raw & (X86_PWT | X86_PCD)) << 4;
	if (!leaf)
		return word;
	word |= (raw & X86_D) >> 2;
	if (raw & X86_G && controls->global_pages)
		word |= WORD_GLOBAL;
	if (raw & pat)
		word |= TYPE_PAT;
	return word;
}

uint64_t x86_low_raw(uint64_t word, bool leaf, uint64_t pat)
{
	uint64_t raw = 0;
	if (word & WORD_PRESENT)
		raw |= X86_P;
	if (word & WORD_WRITE)
		raw |= X86_RW;
	if (word & WORD_USER)
		raw |= X86_US;
	if (word & WORD_ACCESSED)
		raw |= X86_A;
	if (word & TYPE_PWT)
		raw |= X86_PWT;
	if (word & TYPE_PCD)
		raw |= X86_PCD;
	if (!leaf)
		return raw;
	if (word & WORD_DIRTY)
		raw |= X86_D;
	if (word & WORD_GLOBAL)
		raw |= X86_G;
	if (word & TYPE_PAT)
		raw |= pat;
	return raw;
}

/* Bits of the frame of a leaf at a level: 12, 21 and 30 upward. */
static unsigned frame_shift(unsigned level)
{
	return PAGE_SHIFT + 9 * level;
}

struct paging_entry x86_decode(const struct paging_controls *controls, unsigned level, uint64_t raw)
{
	bool leaf = level == 0 || (level <= 2 && raw & X86_PS);
	struct paging_entry entry = {.word = x86_low_word(controls, raw, leaf, level ? X86_PAT_LARGE : X86_PAT), .leaf = leaf};
	uint64_t frame = raw & x86_bits(PAGE_SHIFT, 51);
	uint64_t reserved = x86_bits(controls->physical_bits, 51);
	if (leaf && level > 0) {
		frame &= x86_bits(frame_shift(level), 51);
		reserved |= x86_bits(13, frame_shift(level) - 1);
	}
	if (level > 2 || (level == 2 && !controls->gigabyte_pages))
		reserved |= X86_PS;
	if (!controls->nx)
		reserved |= X86_XD;
	if (raw & X86_XD)
		entry.word &= ~WORD_EXECUTE;
	entry.word |= frame;
	entry.reserved = (raw & reserved) != 0;
	return entry;
}

uint64_t x86_encode(const struct paging_controls *controls, unsigned level, uint64_t word, bool leaf)
{
	uint64_t raw = x86_low_raw(word, leaf, level ? X86_PAT_LARGE : X86_PAT) | (word & WORD_FRAME);
	if (leaf && level > 0)
		raw |= X86_PS;
	if (!(word & WORD_EXECUTE) && controls->nx)
		raw |= X86_XD;
	return raw;
}

uint64_t x86_accessed(unsigned level)
{
	(void)level;
	return X86_A;
}

uint64_t x86_dirty(unsigned level)
{
	(void)level;
	return X86_D;
}
