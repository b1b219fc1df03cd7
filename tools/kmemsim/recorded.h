/* SPDX-License-Identifier: MIT
 *
 * recorded.h - what a recording and the files beside it tell of the recorded machine and kernel.
 */
#ifndef TOOLS_RECORDED_H
#define TOOLS_RECORDED_H

#include "models/settings.h"
#include "sim/procfs.h"
#include "sim/trace.h"

/*
 * Fills the settings that are still auto: memory from the zoneinfo or buddyinfo beside the recording, else from the highest frame
 * seen; CPUs from the recording. With `kernel` also what its kernel was built with: pageblock order (pagetypeinfo), accounted
 * kmalloc caches (slabinfo), the size of struct page. A scenario's own values stand.
 */
bool recorded_complete(const struct trace *trace, bool kernel, struct settings *settings, struct error *error);

/* The slabinfo at the recording's end; empty if there is none beside it. Release with procfs_slabinfo_release(). */
bool recorded_slabs_read(const struct trace *trace, struct procfs_slabinfo *slabs, struct error *error);

#endif
