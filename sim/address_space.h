/* SPDX-License-Identifier: MIT
 *
 * address_space.h - the address space of a program whose accesses are recorded: page tables whose pages come at first touch.
 *
 * A page fault takes a frame from the page allocator, as the kernel does for anonymous memory (Linux 6.1 do_anonymous_page(),
 * do_huge_pmd_anonymous_page()), and so do the tables. With transparent huge pages a fault in a 2 MiB range that holds no page
 * yet asks for a block of order 9 first. So frames lie as contiguous, or as scattered, as the allocator's state lets them.
 *
 * MODEL: the first touch allocates, be it a load or a store: recordings do not tell areas, so there is no zero page, no file and
 * no guard page. Every page can be read, written and executed. With huge pages every 2 MiB range may have one.
 *
 * Invariant: frames taken for pages = pages mapped, by their sizes; frames taken for tables = tables.
 */
#ifndef SIM_ADDRESS_SPACE_H
#define SIM_ADDRESS_SPACE_H

#include "sim/page_table.h"
#include "sim/port/page_allocator.h"
#include "sim/walker.h"

enum address_space_pages {
	PAGES_SMALL,
	PAGES_TRANSPARENT_HUGE,
	PAGES_OF_KERNEL, /* no address space of a program: the kernel's own map (sim/kernel_map.h) */
	PAGES_OF_PROCESS /* those that the model of processes gives (sim/replay_program.h) */
};

struct address_space_counters {
	uint64_t faults;        /* put right by a page */
	uint64_t small_pages;   /* of 4 KiB, mapped */
	uint64_t huge_pages;    /* of 2 MiB, mapped */
	uint64_t huge_fallback; /* faults that asked for a huge page, and got a small one */
	uint64_t no_memory;     /* faults for which there was none */
	uint64_t wrong;         /* faults that no page can put right */
};

extern const struct metric address_space_metrics[];

struct address_space {
	struct page_tables tables;
	struct page_allocator *pages; /* not owned */
	enum address_space_pages policy;
	unsigned cpu; /* whose lists the next frames come from */
	struct address_space_counters counters;
};

/* host: of a guest, where its addresses lie; all zero on bare metal. false with *error if there is no memory for the first
 * tables. The memory and the allocator outlive the space. */
bool address_space_init(struct address_space *space, const struct translation_ops *mode, const struct paging_controls *controls,
                        struct physical_memory *memory, struct page_allocator *pages, enum address_space_pages policy,
                        struct host_address host, struct error *error);

/* Gives every frame back. */
void address_space_release(struct address_space *space);

/* struct mmu: fault, with the space as its context. */
bool address_space_fault(void *space, uint64_t linear, enum walk_outcome outcome, unsigned error_code);

void address_space_check(const struct address_space *space);

#endif
