/* SPDX-License-Identifier: MIT
 *
 * reclaim.h - the load model's start: page cache and reclaimable slab that a machine holds before the recording begins.
 */
#ifndef MODELS_PAGE_ALLOCATOR_RECLAIM_H
#define MODELS_PAGE_ALLOCATOR_RECLAIM_H

#include "models/page_allocator/buddy.h"

/* Before buddy_start(): fills shares of each node's memory, in percent, as far as the high watermarks let it. */
void reclaim_fill(struct buddy *buddy, uint32_t page_cache_percent, uint32_t slab_percent, uint64_t seed);

#endif
