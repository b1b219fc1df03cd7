/* SPDX-License-Identifier: MIT
 *
 * usercopy_caches.h - which named caches of Linux 6.1 are made with a region that user copies may touch.
 *
 * No event and no file of /proc tells it, but it decides merging: a cache with a region is never merged
 * (kmem_cache_create_usercopy, mm/slab_common.c). So it is told here by name.
 */
#ifndef SIM_USERCOPY_CACHES_H
#define SIM_USERCOPY_CACHES_H

#include "sim/base.h"

/* Whether the kernel makes the cache of that name by kmem_cache_create_usercopy() with a region that is not empty. */
bool usercopy_cache(const char *name);

#endif
