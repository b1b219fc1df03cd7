/* SPDX-License-Identifier: MIT
 *
 * program_run.h - accesses of a program (settings accesses, access_workload), and the recording that makes them a process's
 * (address_space: process).
 */
#ifndef TOOLS_KMEMSIM_PROGRAM_RUN_H
#define TOOLS_KMEMSIM_PROGRAM_RUN_H

#include "models/settings.h"
#include "sim/port/access_source.h"
#include "sim/trace.h"

/* Whether the run's accesses are to be a process's. */
bool program_is_wanted(const struct settings *settings);

/* The memory of a machine that runs a program, where nobody said how much it has. */
uint64_t program_memory_bytes(const struct settings *settings);

/* The trace of accesses, or made-up ones, from the first one on. NULL with *error. */
struct access_source *program_source_open(const struct settings *settings, struct error *error);

/*
 * Writes the recording of the program's process (models/program_load.h) into a file without a name. Reads all its accesses for
 * that. Returns the file's descriptor, -1 with *error on failure.
 */
int program_write(const struct settings *settings, struct error *error);

#endif
