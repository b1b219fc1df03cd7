/* SPDX-License-Identifier: MIT
 *
 * shadow.h - what stays of a page when it is evicted: when that was, and whether it had been active (mm/workingset.c of
 * Linux 6.1, pack_shadow). Kept where the page was, in a file or in a swap slot.
 *
 * MODEL: the time has 60 bits; a 32-bit kernel has 14 left of it, in coarser steps.
 */
#ifndef MODELS_PAGE_RECLAIM_SHADOW_H
#define MODELS_PAGE_RECLAIM_SHADOW_H

#include "sim/base.h"

/* All zero: there is none. */
typedef struct {
	uint64_t bits;
} page_shadow;

#define SHADOW_NONE ((page_shadow){0})

static inline page_shadow shadow_pack(uint64_t age, unsigned node, bool workingset)
{
	return (page_shadow){age << 4 | (uint64_t)node << 2 | (uint64_t)workingset << 1 | 1};
}

static inline bool shadow_exists(page_shadow shadow)
{
	return shadow.bits & 1;
}

static inline uint64_t shadow_age(page_shadow shadow)
{
	return shadow.bits >> 4;
}

static inline unsigned shadow_node(page_shadow shadow)
{
	return shadow.bits >> 2 & 3;
}

static inline bool shadow_workingset(page_shadow shadow)
{
	return shadow.bits >> 1 & 1;
}

#endif
