/* SPDX-License-Identifier: MIT
 *
 * steps.c - the growing array behind steps.h.
 */
#include "sim/steps.h"

#include <stdlib.h>
#include <string.h>

void steps_init(struct steps *steps, bool recording)
{
	*steps = (struct steps){.recording = recording};
}

void steps_release(struct steps *steps)
{
	free(steps->at);
	free(steps->daemons);
	*steps = (struct steps){0};
}

void steps_append(struct steps *steps, enum step_kind kind, uint64_t address, uint32_t bytes)
{
	if (steps->count == steps->capacity) {
		steps->capacity = steps->capacity ? 2 * steps->capacity : 64;
		steps->at = xrealloc(steps->at, steps->capacity * sizeof *steps->at);
	}
	steps->at[steps->count++] = (struct step){.address = address, .bytes = bytes, .kind = (uint8_t)kind, .uses = steps->uses};
	steps->uses = false;
}

void steps_daemon_begin(struct steps *steps, enum step_daemon daemon)
{
	SIM_ASSERT(!steps->in_daemon);
	steps->in_daemon = true;
	steps->own_path = steps->path;
	steps->path = PATH_FAST;
	steps->uses = false;
	if (steps->daemons_count == steps->daemons_capacity) {
		steps->daemons_capacity = steps->daemons_capacity ? 2 * steps->daemons_capacity : 4;
		steps->daemons = xrealloc(steps->daemons, steps->daemons_capacity * sizeof *steps->daemons);
	}
	steps->daemons[steps->daemons_count++] = (struct daemon_part){.first = steps->count, .daemon = (uint8_t)daemon};
}

void steps_daemon_end(struct steps *steps)
{
	SIM_ASSERT(steps->in_daemon);
	struct daemon_part *part = &steps->daemons[steps->daemons_count - 1];
	part->count = steps->count - part->first;
	part->path = steps->path;
	if (part->count == 0)
		steps->daemons_count--;
	steps->in_daemon = false;
	steps->path = steps->own_path;
	steps->uses = false;
}

struct steps steps_of_daemon(const struct steps *steps, const struct daemon_part *part)
{
	return (struct steps){.at = steps->at + part->first, .count = part->count, .path = part->path};
}

void steps_drop_daemons(struct steps *steps)
{
	for (uint32_t i = steps->daemons_count; i-- > 0;) {
		const struct daemon_part *part = &steps->daemons[i];
		uint32_t end = part->first + part->count;
		memmove(steps->at + part->first, steps->at + end, (steps->count - end) * sizeof *steps->at);
		steps->count -= part->count;
	}
	steps->daemons_count = 0;
}
