/* SPDX-License-Identifier: MIT
 *
 * kernel_map_areas.h - what the two files of the kernel's map share: kernel_map.c (what is there from the start, first touches)
 * and kernel_map_areas.c (areas, by steps).
 */
#ifndef SIM_KERNEL_MAP_AREAS_H
#define SIM_KERNEL_MAP_AREAS_H

#include "sim/kernel_map.h"

/* The kernel's data is global, and marked accessed and dirty from the start (_PAGE_KERNEL). */
#define WORD_KERNEL (WORD_PRESENT | WORD_WRITE | WORD_ACCESSED | WORD_DIRTY | WORD_GLOBAL)

/* An access that no page serves. */
void kernel_map_note_wrong(struct kernel_map *map, uint64_t linear);

#endif
