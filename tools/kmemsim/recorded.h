/* SPDX-License-Identifier: MIT
 *
 * recorded.h - what a recording and the files beside it tell of the recorded machine and kernel.
 */
#ifndef TOOLS_RECORDED_H
#define TOOLS_RECORDED_H

#include "models/settings.h"
#include "sim/procfs.h"
#include "sim/trace.h"

/* The name of a kernel whose settings the recording told, where no scenario names one. */
#define RECORDED_KERNEL "recorded"

/*
 * Sets what the recording tells of how its kernel was built: page block order (pagetypeinfo), accounted kmalloc caches
 * (slabinfo), the size of struct page, where high memory begins (zoneinfo). It stands for a kernel's file, so the user's own
 * values are set after it.
 */
bool recorded_kernel(const struct trace *trace, struct settings *settings, struct error *error);

/*
 * Fills the settings that are still auto: architecture from the recording's pointers; memory from the zoneinfo or buddyinfo
 * beside the recording, else from the highest frame seen and what a kernel for the CPUs keeps; CPUs from the recording, at most
 * CPUS_MAX; the paging mode of x86-32. Values that somebody set stand.
 */
bool recorded_complete(const struct trace *trace, struct settings *settings, struct error *error);

/*
 * Where no kernel fits into the memory but one of 1 CPU would, and the CPUs are the recording's: adds to the error which line of
 * the recording tells so many. Reads the recording up to there.
 */
void recorded_blame_cpus(struct trace *trace, const struct settings *settings, struct error *error);

/* The slabinfo at the recording's end; empty if there is none beside it. Release with procfs_slabinfo_release(). */
bool recorded_slabs_read(const struct trace *trace, struct procfs_slabinfo *slabs, struct error *error);

#endif
