/* SPDX-License-Identifier: MIT
 *
 * access_workload.h - accesses that nobody recorded: the setting `access_workload`, a line "NAME KEY=VALUE ...", as a source of
 * accesses (sim/port/access_source.h).
 *
 * Cores take turns, one access each (lock_sharing: several), in the order of their numbers. Same line, seed and number of cores:
 * the same accesses.
 */
#ifndef MODELS_ACCESS_WORKLOAD_H
#define MODELS_ACCESS_WORKLOAD_H

#include "sim/port/access_source.h"
#include "sim/setting.h"

/*
 * Where the first core's accesses lie, by the key `region`: in a program; in the kernel's direct map, past the frames that the
 * kernel itself has; in its vmalloc area (sim/layout.h: 4 levels). The next core's own working set begins behind it, at whole 2
 * MiB.
 */
#define ACCESS_WORKLOAD_BASE 0x10000000ull
#define ACCESS_WORKLOAD_DIRECT_MAP_BASE 0xffff888010000000ull
#define ACCESS_WORKLOAD_VMALLOC_BASE 0xffffc90000000000ull

/* Accesses for so many cores. NULL with *error naming the nearest name or key. */
struct access_source *access_workload_open(const char *line, unsigned cpus, uint64_t seed, struct error *error);

struct layout;

/* Names the lines of a source from access_workload_open() that reports may tell; most have none. */
void access_workload_name_lines(const struct access_source *source, struct layout *layout);

/* The patterns, for lists: a name, a line of help and its keys (the first is the name) by index; NULL behind the last. */
const char *access_workload_pattern(size_t index, const char **help, const struct setting **keys);

#endif
