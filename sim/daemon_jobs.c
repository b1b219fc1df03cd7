/* SPDX-License-Identifier: MIT
 *
 * daemon_jobs.c - steps parted between an op and daemons (interface and rules: daemon_jobs.h).
 */
#include "sim/daemon_jobs.h"

#include <stdlib.h>
#include <string.h>

static void push_part(struct machine *machine, const struct daemon_cpus *daemons, unsigned cpu, const struct steps *steps,
                      const struct daemon_part *part)
{
	const struct job_about about = {.kind = JOB_DAEMON, .call_site = NO_CALL_SITE};
	const struct steps of_daemon = steps_of_daemon(steps, part);
	uint32_t chosen = daemons->cpu[part->daemon];
	core_push(machine, chosen == DAEMON_CPU_AUTO ? cpu : chosen, &about, &of_daemon);
}

/* How many parts stand before the op's first own step. */
static uint32_t leading(const struct steps *steps)
{
	uint32_t count = 0;
	for (uint32_t end = 0; count < steps->daemons_count && steps->daemons[count].first == end; count++)
		end += steps->daemons[count].count;
	return count;
}

void push_with_daemons(struct machine *machine, const struct daemon_cpus *daemons, unsigned cpu, const struct job_about *about,
                       struct steps *steps)
{
	SIM_ASSERT(!steps->in_daemon);
	uint32_t first = leading(steps), count = steps->daemons_count;
	if (count == 0) {
		if (about->kind != JOB_DAEMON || steps->count > 0)
			core_give(machine, cpu, about, steps);
		steps_clear(steps);
		return;
	}
	/* The op's own come in one piece, so the others wait aside. */
	struct steps own = *steps;
	own.at = xcalloc(steps->count, sizeof *own.at);
	memcpy(own.at, steps->at, steps->count * sizeof *own.at);
	steps_drop_daemons(&own);
	for (uint32_t i = 0; i < first; i++)
		push_part(machine, daemons, cpu, steps, &steps->daemons[i]);
	if (about->kind != JOB_DAEMON || own.count > 0)
		core_push(machine, cpu, about, &own);
	for (uint32_t i = first; i < count; i++)
		push_part(machine, daemons, cpu, steps, &steps->daemons[i]);
	free(own.at);
	steps_clear(steps);
}
