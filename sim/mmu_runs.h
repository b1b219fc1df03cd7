/* SPDX-License-Identifier: MIT
 *
 * mmu_runs.h - TLBs without a walker, a whole batch at a level at a time: the same counts as access by access (sim/mmu.c),
 * faster.
 *
 * It serves an MMU without feedback: no walker, no prefetch, every level neither inclusive nor exclusive. A level's array runs
 * over the batch and leaves a list of what it missed, which the next level runs over. The first level takes the accesses as they
 * are where its arrays let it (sim/port/tlb_level.h: route). Else they become requests, and a page that its set was asked for
 * last is not asked for again (sim/port/replacement.h: USED_AGAIN); nothing else has touched the set since.
 */
#ifndef SIM_MMU_RUNS_H
#define SIM_MMU_RUNS_H

#include "sim/access.h"

struct mmu;
struct mmu_runs;

/* For an MMU whose levels are as they stay. */
struct mmu_runs *mmu_runs_new(const struct mmu *mmu);

/* Takes every access of the batch. */
void mmu_runs_do(struct mmu *mmu, const struct access *in, size_t count);

#endif
