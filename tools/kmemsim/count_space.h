/* SPDX-License-Identifier: MIT
 *
 * count_space.h - the address space of `kmemsim count --walk`: four levels of page tables whose pages and tables get frames in
 * the order of first touch, and the walker with the paging-structure caches and controls of a machine of which nothing is said
 * (models/settings.c).
 *
 * Frames count upward from 1 MiB, pages and tables alike, so a run depends on nothing but its trace.
 * MODEL: there is no page allocator behind it; a scenario's run of a trace has one.
 */
#ifndef TOOLS_COUNT_SPACE_H
#define TOOLS_COUNT_SPACE_H

#include "sim/mmu.h"

struct count_space {
	struct walker walker;
	struct physical_memory memory;
	struct page_tables tables;
	uint64_t next_frame; /* its physical address */
};

bool count_space_init(struct count_space *space, struct error *error);
void count_space_release(struct count_space *space);

/* Gives the MMU this space's walker; before mmu_init(). */
void count_space_attach(struct count_space *space, struct mmu *mmu);

void count_space_check(const struct count_space *space);

#endif
