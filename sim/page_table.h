/* SPDX-License-Identifier: MIT
 *
 * page_table.h - page tables, built in simulated frames in the formats of a paging mode.
 *
 * Every table lies in a frame of its own, taken from a frame source, and its entries are numbers in physical memory; there is no
 * second copy. Entries that point to tables are made as the kernel makes them: present, writable, accessed, for user mode in the
 * user's half (Linux 6.1 _PAGE_TABLE, _KERNPG_TABLE), so that the leaf alone decides.
 *
 * A guest's tables have guest-physical addresses in their entries; `host` then says where such an address lies.
 *
 * Invariant: tables[level] tables were taken for each level, and page_tables_check() finds as many by walking.
 */
#ifndef SIM_PAGE_TABLE_H
#define SIM_PAGE_TABLE_H

#include "sim/physical_memory.h"
#include "sim/port/translation.h"

#define FRAME_NONE UINT64_MAX

/* Where frames for tables come from: take() returns a physical address, FRAME_NONE if there is no memory. */
struct frame_source {
	uint64_t (*take)(void *context);
	void (*give)(void *context, uint64_t address);
	void *context;
};

/* Where a guest-physical address lies in the host; without one (NULL) addresses are the machine's own. */
struct host_address {
	uint64_t (*of)(void *context, uint64_t address);
	void *context;
};

struct page_tables {
	const struct translation_ops *mode;
	struct paging_controls controls;
	struct physical_memory *memory;
	struct frame_source frames;
	struct host_address host;
	uint64_t root; /* address of the top table */
	uint64_t tables[PAGING_LEVELS_MAX];
	uint64_t pages[PAGE_SIZES]; /* leaves present */
};

enum map_result { MAP_OK, MAP_NO_MEMORY, MAP_TAKEN };

/* Takes the top table (and with PAE the four below it, as the kernel does). false: no memory, and nothing was taken. */
bool page_tables_init(struct page_tables *tables);

/* Gives every table back. Pages are the owner's. */
void page_tables_release(struct page_tables *tables);

/*
 * Maps one page: `word` is its frame and rights (WORD_*). MAP_TAKEN: something is mapped there already, and nothing changed.
 * linear and the frame are aligned to the page.
 */
enum map_result page_tables_map(struct page_tables *tables, uint64_t linear, uint64_t word, enum page_size size);

/*
 * Makes the frame at `table` the table that the first entry of the walk which is not present points to; the frame is the
 * caller's. Something missing above the page tables' last level must be there (page_tables_level() > 0, no leaf).
 */
void page_tables_add(struct page_tables *tables, uint64_t linear, uint64_t table);

/* The table of a level below the top, on the walk for an address, goes: there is one, and no entry of it is present. Its frame is
 * the caller's, who invalidates TLBs. */
void page_tables_drop(struct page_tables *tables, uint64_t linear, unsigned level);

/* Makes the page's entry not present. false if none was mapped. The caller invalidates TLBs. */
bool page_tables_unmap(struct page_tables *tables, uint64_t linear);

/* Writes another word into a present leaf. false if none is mapped. */
bool page_tables_change(struct page_tables *tables, uint64_t linear, uint64_t word);

/* The leaf that maps an address: its word alone (not what the tables above take away), 0 if none. Sets no bit. */
uint64_t page_tables_find(const struct page_tables *tables, uint64_t linear, enum page_size *size);

/* The level in which a walk for an address ends: that of its page, or of the first entry that is not present. */
unsigned page_tables_level(const struct page_tables *tables, uint64_t linear);

/* Hands every present leaf to a visitor, in ascending order of linear addresses. */
typedef void page_visitor(void *context, uint64_t linear, uint64_t word, enum page_size size);
void page_tables_visit(const struct page_tables *tables, page_visitor *visit, void *context);

void page_tables_check(const struct page_tables *tables);

#endif
