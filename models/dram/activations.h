/* SPDX-License-Identifier: MIT
 *
 * activations.h - when a rank's rows were opened last: two activations are tRRD apart, and no five lie within tFAW (JESD79-4,
 * "tRRD", "tFAW"). An activation may be booked between earlier ones, where both rules leave room.
 *
 * Invariant: times ascend, and both rules hold among them.
 */
#ifndef MODELS_DRAM_ACTIVATIONS_H
#define MODELS_DRAM_ACTIVATIONS_H

#include <stdint.h>

/* How many are kept: nothing is booked before the oldest four. A power of two. */
#define ACTIVATIONS_KEPT 16u

/* Added to each clock, so that 0, which stands for one not made yet, is farther back than any rule reaches. */
#define ACTIVATIONS_BIAS (1ull << 40)

struct activations {
	uint64_t at[2 * ACTIVATIONS_KEPT]; /* a ring, twice, so that those kept lie in a row from `oldest` on */
	uint32_t oldest;
};

/* The activation that a find found: its clock, and its place among those kept. */
struct activation {
	uint64_t at;
	uint32_t place;
};

/* The first clock from `from` on at which a row may be opened. Nothing changes. */
struct activation activations_find(const struct activations *activations, uint64_t from, uint64_t trrd, uint64_t tfaw);

/* Makes what activations_find() found; nothing was made in between. */
void activations_make(struct activations *activations, const struct activation *activation);

#endif
