/* SPDX-License-Identifier: MIT
 *
 * steps.c - the growing array behind steps.h.
 */
#include "sim/steps.h"

#include <stdlib.h>

void steps_init(struct steps *steps, bool recording)
{
	*steps = (struct steps){.recording = recording};
}

void steps_release(struct steps *steps)
{
	free(steps->at);
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
