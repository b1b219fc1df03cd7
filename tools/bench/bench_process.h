/* SPDX-License-Identifier: MIT
 *
 * bench_process.h - how long the replay of a trace takes whose accesses a process of the kernel makes (address_space: process).
 */
#ifndef TOOLS_BENCH_PROCESS_H
#define TOOLS_BENCH_PROCESS_H

#include "sim/base.h"

struct process_time {
	uint64_t accesses;
	double seconds; /* of the processor, in the replay's thread */
};

/*
 * Replays a trace's accesses, the first `most` of them, on the machine that settings tell ("key=value"; NULL ends them). Its
 * kernel makes the process, maps its areas, fills the pages that are read before they are written, and in the end takes it all
 * back. false with *error.
 */
bool process_bench(const char *trace, uint64_t most, const char *const settings[], struct process_time *time,
                   struct error *error);

#endif
