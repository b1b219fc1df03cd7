/* SPDX-License-Identifier: MIT
 *
 * activations.c - tRRD and tFAW of a rank (interface and invariant: activations.h).
 */
#include "models/dram/activations.h"

#include "sim/base.h"

/* Activations within tFAW, and so the distance at which tFAW holds (JESD79-4: four). */
#define WINDOW 4

static uint64_t later(uint64_t left, uint64_t right)
{
	return left > right ? left : right;
}

/* The first clock from `from` on that the four before a place allow. */
static uint64_t after_earlier(const uint64_t *place, uint64_t from, uint64_t trrd, uint64_t tfaw)
{
	return later(from, later(place[-1] + trrd, place[-WINDOW] + tfaw));
}

/* Whether the `count` > 0 ones from a place on, which are later, allow one at `at` before them: no five of them within tFAW. */
static bool before_later(const uint64_t *place, uint32_t count, uint64_t at, uint64_t trrd, uint64_t tfaw)
{
	return place[-3] + tfaw <= place[0] && at + trrd <= place[0] && (count < 2 || place[-2] + tfaw <= place[1]) &&
	       (count < 3 || place[-1] + tfaw <= place[2]) && (count < 4 || at + tfaw <= place[3]);
}

struct activation activations_find(const struct activations *activations, uint64_t from, uint64_t trrd, uint64_t tfaw)
{
	const uint64_t *kept = activations->at + activations->oldest;
	uint32_t place = ACTIVATIONS_KEPT;
	from += ACTIVATIONS_BIAS;
	while (place > WINDOW && kept[place - 1] > from)
		place--;
	uint64_t at = after_earlier(kept + place, from, trrd, tfaw);
	while (place < ACTIVATIONS_KEPT && !before_later(kept + place, ACTIVATIONS_KEPT - place, at, trrd, tfaw)) {
		place++;
		at = after_earlier(kept + place, from, trrd, tfaw);
	}
	return (struct activation){at - ACTIVATIONS_BIAS, place};
}

static void set(struct activations *activations, uint32_t place, uint64_t at)
{
	uint32_t index = (activations->oldest + place) % ACTIVATIONS_KEPT;
	activations->at[index] = activations->at[index + ACTIVATIONS_KEPT] = at;
}

void activations_make(struct activations *activations, const struct activation *activation)
{
	SIM_ASSERT(activation->place >= WINDOW && activation->place <= ACTIVATIONS_KEPT);
	/* The oldest one goes; those from the new one's place on move up. */
	activations->oldest = (activations->oldest + 1) % ACTIVATIONS_KEPT;
	const uint64_t *kept = activations->at + activations->oldest;
	uint32_t place = ACTIVATIONS_KEPT - 1;
	for (; place > activation->place - 1; place--)
		set(activations, place, kept[place - 1]);
	set(activations, place, activation->at + ACTIVATIONS_BIAS);
}
