/* SPDX-License-Identifier: MIT
 *
 * kernel_layout.h - where the structures of a described machine's kernel lie (sim/layout.h): the map of its architecture, and
 * paging mode (machine.paging: 5 levels have a map of their own), and
 * per-CPU data at the frames that the early boot took for it (page_allocator/boot_memory.h).
 */
#ifndef MODELS_KERNEL_LAYOUT_H
#define MODELS_KERNEL_LAYOUT_H

#include "models/settings.h"
#include "sim/layout.h"

/*
 * Makes the layout of the settings, which know memory and CPUs. direct_map: where a recorded kernel had it; 0: where the
 * architecture has it. Release with layout_release().
 *
 * MODEL: beside a recorded state per-CPU data lies where a kernel that boots on such a machine puts it, and frames of it that the
 * state has in use or free are the state's all the same; on a machine that no kernel boots on, and with a kernel.reserved too
 * small, it keeps a region of its own. Effect: sets of physically indexed caches.
 */
void kernel_layout_init(struct layout *layout, const struct settings *settings, uint64_t direct_map);

/* The boot log's lines of the first chunk of per-CPU data (sim/percpu.h); nothing where no kernel boots. */
void kernel_layout_print_per_cpu(const struct settings *settings, FILE *out);

#endif
