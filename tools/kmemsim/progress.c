/* SPDX-License-Identifier: MIT
 *
 * progress.c - drawing the bar (interface: progress.h).
 */
#include "tools/kmemsim/progress.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define BAR_COLUMNS 40
#define DRAW_EVERY_NS 100000000u

static uint64_t host_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void progress_bar_start(struct progress_bar *bar, const char *label)
{
	*bar = (struct progress_bar){.label = label, .shown = isatty(STDERR_FILENO) == 1};
}

void progress_bar_tell(struct progress_bar *bar, uint64_t done, uint64_t total)
{
	if (!bar->shown || total == 0)
		return;
	uint64_t now = host_ns();
	if (now - bar->last_drawn_ns < DRAW_EVERY_NS)
		return;
	bar->last_drawn_ns = now;
	unsigned per_mille = done >= total ? 1000 : (unsigned)((double)done * 1000.0 / (double)total);
	unsigned filled = per_mille * BAR_COLUMNS / 1000;
	fprintf(stderr, "\r%-24.24s [", bar->label);
	for (unsigned column = 0; column < BAR_COLUMNS; column++)
		fputc(column < filled ? '#' : ' ', stderr);
	fprintf(stderr, "] %3u %%", per_mille / 10);
	fflush(stderr);
	bar->last_per_mille = per_mille;
}

void progress_bar_end(struct progress_bar *bar)
{
	if (bar->shown && bar->last_drawn_ns)
		fprintf(stderr, "\r%*s\r", 24 + BAR_COLUMNS + 10, "");
}

static void tell(void *context, uint64_t done, uint64_t total)
{
	progress_bar_tell(context, done, total);
}

struct progress progress_bar_callback(struct progress_bar *bar)
{
	return (struct progress){tell, bar};
}
