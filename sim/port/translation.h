/* SPDX-License-Identifier: MIT
 *
 * translation.h - the port of paging modes: how a linear address picks entries, and what an entry's bits mean.
 *
 * Models: models/translation/{ideal,x86_4level,x86_5level,x86_pae,x86_32,x86_ept}.c. A model knows formats only: which bits of a
 * linear address index which table, where an entry keeps its frame and its rights, which bits are reserved. The tables themselves
 * are built by sim/page_table.c in simulated frames (sim/physical_memory.h) and walked by sim/walker.c; both know no format.
 *
 * A walk's outcome is one word, the same for every mode and for TLB entries: the page's physical address and the rights that all
 * entries on the way gave together (WORD_*).
 *
 * Source: Intel SDM vol. 3A, chapter 4 (paging), 28.3 (EPT); AMD APM vol. 2, chapter 5.
 */
#ifndef SIM_PORT_TRANSLATION_H
#define SIM_PORT_TRANSLATION_H

#include "sim/base.h"

enum page_size { PAGE_4K, PAGE_2M, PAGE_4M, PAGE_1G, PAGE_SIZES };

static inline unsigned page_size_shift(enum page_size size)
{
	static const uint8_t shifts[PAGE_SIZES] = {[PAGE_4K] = 12, [PAGE_2M] = 21, [PAGE_4M] = 22, [PAGE_1G] = 30};
	return shifts[size];
}

static inline uint64_t page_size_bytes(enum page_size size)
{
	return 1ull << page_size_shift(size);
}

/* "4K", "2M", "4M", "1G". */
const char *page_size_name(enum page_size size);

/*
 * A translation in one word. Rights are positive, so that an access is allowed if all bits that it needs are set. Bits 12 to 51
 * are the frame.
 */
#define WORD_PRESENT 0x1ull
#define WORD_WRITE 0x2ull
#define WORD_USER 0x4ull
#define WORD_EXECUTE 0x8ull
#define WORD_DIRTY 0x10ull
#define WORD_GLOBAL 0x20ull
#define WORD_ACCESSED 0x40ull
#define WORD_MEMORY_TYPE 0x380ull /* PWT, PCD and PAT of the leaf, as an index into the PAT */
#define WORD_MEMORY_TYPE_SHIFT 7
#define WORD_FRAME 0x000ffffffffff000ull
/* Rights that only hold if every entry on the way gives them. */
#define WORD_RIGHTS (WORD_WRITE | WORD_USER | WORD_EXECUTE)

/* An error code as the processor pushes it with #PF (Intel SDM vol. 3A, figure 4-12). */
#define PF_PRESENT 0x1u /* 0: an entry was not present */
#define PF_WRITE 0x2u
#define PF_USER 0x4u
#define PF_RESERVED 0x8u /* a reserved bit was set */
#define PF_FETCH 0x10u

/* Levels are numbered from the table that the page's own entry lies in: 0 page table, 1 page directory, ... */
#define PAGING_LEVELS_MAX 5

struct paging_level {
	const char *entry; /* "PTE", "PDE", ... : the manuals' word for an entry of this table */
	unsigned shift;    /* of the linear bits that index the table */
	unsigned index_bits;
	enum page_size page; /* of a leaf here; PAGE_SIZES: no leaf can be here */
};

/* What an entry says. */
struct paging_entry {
	uint64_t word; /* WORD_* of this entry alone; the frame is that of the page, or of the next table */
	bool leaf;
	bool reserved; /* a bit is set that must be clear */
};

/* What the machine's control registers and CPUID say of paging. */
struct paging_controls {
	unsigned physical_bits; /* MAXPHYADDR, 32 to 52 */
	bool nx;                /* EFER.NXE */
	bool large_pages;       /* CR4.PSE: 4 MiB pages of 32-bit paging (the other modes always have large pages) */
	bool gigabyte_pages;    /* CPUID PDPE1GB */
	bool write_protect;     /* CR0.WP: supervisor writes need the write right */
	bool smep, smap;        /* CR4: supervisor mode may not execute, may not touch, pages of user mode */
	bool global_pages;      /* CR4.PGE */
};

struct translation;

struct translation_ops {
	const char *name;
	const char *help;
	unsigned levels; /* 0: linear addresses are physical ones */
	unsigned linear_bits;
	bool sign_extended;   /* an address whose upper bits do not repeat the highest linear bit is no address: #GP */
	unsigned entry_bytes; /* 4 or 8 */
	uint64_t page_frame;  /* the frame's bits of a page table's entry, as in its word; no other bit's sense hangs on them */
	unsigned root_registers;    /* entries of the top table that the processor keeps in registers, loaded with CR3 (PAE: 4) */
	bool keeps_guest_registers; /* as a second stage: a guest's root registers stay such; else each of its walks reads the top
	                               table */
	struct paging_level level[PAGING_LEVELS_MAX];

	struct paging_entry (*decode)(const struct paging_controls *, unsigned level, uint64_t raw);
	/* The raw entry that decodes to this word; a leaf with its page size's frame. */
	uint64_t (*encode)(const struct paging_controls *, unsigned level, uint64_t word, bool leaf);
	/* The raw bits of accessed and dirty in an entry; 0 where the format has none. */
	uint64_t (*accessed)(unsigned level);
	uint64_t (*dirty)(unsigned level);
};

static inline bool translation_canonical(const struct translation_ops *mode, uint64_t linear)
{
	if (!mode->sign_extended)
		return mode->linear_bits == 64 || linear >> mode->linear_bits == 0;
	uint64_t upper = (uint64_t)((int64_t)linear >> (mode->linear_bits - 1));
	return upper == 0 || upper == UINT64_MAX;
}

static inline uint64_t paging_index(const struct paging_level *level, uint64_t linear)
{
	return linear >> level->shift & ((1ull << level->index_bits) - 1);
}

/* The level whose leaves have this page size, the mode's number of levels if it has none. */
unsigned translation_leaf_level(const struct translation_ops *mode, enum page_size size);

#endif
