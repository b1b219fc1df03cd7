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
#include "sim/port/virtual_allocator.h"
#include "sim/setting.h"

/*
 * Where the first core's accesses lie, by the key `region`: in a program; in the kernel's direct map, so many bytes behind its
 * start, past the frames that the kernel itself has; in its vmalloc area, that of modules, and its image (sim/layout.h). The next
 * core's own working set begins behind it, at whole 2 MiB. Direct map and vmalloc area are those of 4 levels, until
 * access_workload_set_layout() says otherwise.
 */
#define ACCESS_WORKLOAD_BASE 0x10000000ull
#define ACCESS_WORKLOAD_DIRECT_MAP_OFFSET 0x10000000ull
#define ACCESS_WORKLOAD_DIRECT_MAP_BASE (0xffff888000000000ull + ACCESS_WORKLOAD_DIRECT_MAP_OFFSET)
#define ACCESS_WORKLOAD_VMALLOC_BASE 0xffffc90000000000ull
#define ACCESS_WORKLOAD_MODULES_BASE 0xffffffffa0000000ull
#define ACCESS_WORKLOAD_TEXT_BASE 0xffffffff81000000ull
#define ACCESS_WORKLOAD_TEXT_END 0xffffffffa0000000ull

/* Accesses for so many cores. NULL with *error naming the nearest name or key. */
struct access_source *access_workload_open(const char *line, unsigned cpus, uint64_t seed, struct error *error);

/* Whether the line names a pattern and its keys. false with *error naming the nearest name or key. */
bool access_workload_line_check(const char *line, struct error *error);

struct layout;

/* Moves what lies in the kernel's direct map or vmalloc area to where a 64-bit kernel has them; before the first access. */
void access_workload_set_layout(struct access_source *source, const struct layout *layout);

/*
 * The areas that a source from access_workload_open() wants of the kernel's virtual allocator, by number from 0 on; false beyond
 * the last. access_workload_place() tells where one lies, before the first access is read; without it, it lies as above.
 */
bool access_workload_area(const struct access_source *source, unsigned number, struct virtual_request *request);
void access_workload_place(struct access_source *source, unsigned number, uint64_t at);

/* Names the lines of a source from access_workload_open() that reports may tell; most have none. */
void access_workload_name_lines(const struct access_source *source, struct layout *layout);

/* The patterns, for lists: a name, a line of help and its keys (the first is the name) by index; NULL behind the last. */
const char *access_workload_pattern(size_t index, const char **help, const struct setting **keys);

#endif
