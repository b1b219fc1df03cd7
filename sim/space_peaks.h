/* SPDX-License-Identifier: MIT
 *
 * space_peaks.h - how many pages of each recorded address space (struct trace_space) were resident at most in a replay, to be
 * laid beside what rss_stat told of it.
 *
 * A space is that of the ops that name it (op_space_of()) and of the processes they make. It is looked at after each op of one of
 * these.
 */
#ifndef SIM_SPACE_PEAKS_H
#define SIM_SPACE_PEAKS_H

#include "sim/port/user_memory.h"
#include "sim/trace.h"

/* Pages of 4 KiB. `resident` is of file, anonymous and shared pages together. */
struct space_peak {
	uint64_t pages[SPACE_MEMBERS];
	uint64_t resident;
};

struct space_peaks {
	uint32_t count;          /* 0: the recording tells of none, and nothing is kept */
	struct space_peak *peak; /* by space; owned */
	uint32_t *space_of;      /* by op id: space + 1, 0 = none; owned */
};

void space_peaks_init(struct space_peaks *peaks, const struct trace *trace);
void space_peaks_release(struct space_peaks *peaks);
/* After an op of a process that went well. */
void space_peaks_op(struct space_peaks *peaks, const struct user_memory *users, const struct op *op, process_id process);

#endif
