/* SPDX-License-Identifier: MIT
 *
 * boot_memory.h - what of a described machine's memory the kernel keeps for itself, frame by frame, as its early boot takes it:
 * image, struct pages, per-CPU data, tables, bounce buffers. memory_map.c calls it when memory and nodes are known.
 */
#ifndef MODELS_PAGE_ALLOCATOR_BOOT_MEMORY_H
#define MODELS_PAGE_ALLOCATOR_BOOT_MEMORY_H

#include "models/page_allocator/memory_map.h"

/* Fills kept, per_cpu*, mem_map, image_pfn and freed_late_pages. False with *error if there is not that much memory. */
bool boot_memory_keep(struct memory_map *map, const struct settings *settings, unsigned cpus, struct error *error);

#endif
