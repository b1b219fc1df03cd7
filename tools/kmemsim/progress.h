/* SPDX-License-Identifier: MIT
 *
 * progress.h - a bar on a terminal, silence elsewhere.
 */
#ifndef TOOLS_PROGRESS_H
#define TOOLS_PROGRESS_H

#include "sim/trace.h"

struct progress_bar {
	const char *label;
	bool shown;            /* stderr is a terminal */
	uint64_t last_drawn_ns; /* host clock: at most ten drawings a second */
	unsigned last_per_mille;
};

void progress_bar_start(struct progress_bar *bar, const char *label);
/* Draws how much is done, if it is time to. */
void progress_bar_tell(struct progress_bar *bar, uint64_t done, uint64_t total);
/* Wipes the bar. */
void progress_bar_end(struct progress_bar *bar);

/* A struct progress whose context is the bar. */
struct progress progress_bar_callback(struct progress_bar *bar);

#endif
