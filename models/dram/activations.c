/* SPDX-License-Identifier: MIT
 *
 * activations.c - tRRD and tFAW of a rank (interface and invariant: activations.h).
 */
#include "models/dram/activations.h"

#include "sim/base.h"

/* Activations within tFAW, and so the distance at which tFAW holds (JESD79-4: four). */
#define WINDOW 4u

/* The i-th oldest. */
static uint64_t stamp_of(const struct activations *activations, uint32_t i)
{
	return activations->stamp[(activations->oldest + i) % ACTIVATIONS_KEPT];
}

/* The first clock `delay` after a stamp. */
static uint64_t after(uint64_t stamp, uint64_t delay)
{
	return stamp ? stamp - 1 + delay : 0;
}

static uint64_t later(uint64_t left, uint64_t right)
{
	return left > right ? left : right;
}

/* The first clock from `from` on that the four before `place` allow. */
static uint64_t after_earlier(const struct activations *activations, uint32_t place, uint64_t from, uint64_t trrd, uint64_t tfaw)
{
	from = later(from, after(stamp_of(activations, place - 1), trrd));
	return later(from, after(stamp_of(activations, place - WINDOW), tfaw));
}

/* Whether those from `place` on, which came later, allow one at `at` before them. */
static bool before_later(const struct activations *activations, uint32_t place, uint64_t at, uint64_t trrd, uint64_t tfaw)
{
	if (place < ACTIVATIONS_KEPT && at + trrd > stamp_of(activations, place) - 1)
		return false;
	for (uint32_t i = 0; i < WINDOW && place + i < ACTIVATIONS_KEPT; i++) {
		bool is_first = i == WINDOW - 1; /* of the five that end with the i-th later one */
		uint64_t from = is_first ? at + tfaw : after(stamp_of(activations, place + i - (WINDOW - 1)), tfaw);
		if (from > stamp_of(activations, place + i) - 1)
			return false;
	}
	return true;
}

struct activation activations_find(const struct activations *activations, uint64_t from, uint64_t trrd, uint64_t tfaw)
{
	uint32_t place = ACTIVATIONS_KEPT;
	if (stamp_of(activations, place - 1) <= from + 1)
		return (struct activation){after_earlier(activations, place, from, trrd, tfaw), place};
	while (place > WINDOW && stamp_of(activations, place - 1) > from + 1)
		place--;
	for (;; place++) {
		uint64_t at = after_earlier(activations, place, from, trrd, tfaw);
		if (before_later(activations, place, at, trrd, tfaw))
			return (struct activation){at, place};
	}
}

void activations_make(struct activations *activations, const struct activation *activation)
{
	SIM_ASSERT(activation->place >= WINDOW && activation->place <= ACTIVATIONS_KEPT);
	/* The oldest one goes; those before the new one's place move up. */
	uint32_t oldest = activations->oldest = (activations->oldest + 1) % ACTIVATIONS_KEPT, place = ACTIVATIONS_KEPT - 1;
	for (; place > activation->place - 1; place--)
		activations->stamp[(oldest + place) % ACTIVATIONS_KEPT] =
		        activations->stamp[(oldest + place - 1) % ACTIVATIONS_KEPT];
	activations->stamp[(oldest + place) % ACTIVATIONS_KEPT] = activation->at + 1;
}
