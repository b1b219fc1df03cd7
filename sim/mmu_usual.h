/* SPDX-License-Identifier: MIT
 *
 * mmu_usual.h - the usual way of accesses through an MMU with a walker, quickly. Same results as mmu.c.
 *
 * What is usual: an access within one page that
 *
 *   - the filter knows (mmu.h), whatever the MMU is like; or
 *   - finds its page of 4 KiB in the first level or the second, or in a page table that the walker's cache of page directory
 *     entries knows, or, of a walker without any cache, at the end of a walk from the top; the page allows it, is not global,
 *     accessed and, for a store, dirty.
 *
 * The second needs one or two levels that are not inclusive or exclusive, sets in the order of use (sim/order_of_use.h), no
 * guest, and in the access's half of the address space neither larger pages nor global ones so far; a first level that keeps
 * larger pages in the same array must not have had any. Everything is looked up before anything changes, so whatever turns out
 * not to be usual is left to mmu.c as if nobody had looked.
 */
#ifndef SIM_MMU_USUAL_H
#define SIM_MMU_USUAL_H

#include "sim/mmu.h"

/* For an MMU whose other fields are made. Freed with free(). */
struct mmu_usual *mmu_usual_new(struct mmu *mmu);

/*
 * Accesses in order up to the first that is not usual, or as many as leave MMU_ROOM of `capacity` before each. Returns how many;
 * they are counted, but for mmu->counters.accesses. Not of a watched MMU, nor in the middle of an access.
 */
size_t mmu_usual_run(struct mmu *mmu, const struct access *in, size_t count, struct walk_sink *sink, size_t capacity);

#endif
