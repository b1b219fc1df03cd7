/* SPDX-License-Identifier: MIT
 *
 * rng.h - seeded random streams, one per component.
 *
 * One seed per run; each component derives its own stream from the seed and its name, so that adding a consumer does not
 * change what the others draw. Algorithm: SplitMix64 (Steele, Lea, Flood 2014), 64 bits of state, equal on every host.
 */
#ifndef SIM_RNG_H
#define SIM_RNG_H

#include "sim/base.h"

struct rng {
	uint64_t state;
};

/* Starts the stream that (seed, name) stands for. */
void rng_init(struct rng *rng, uint64_t seed, const char *name);

/* 64 fresh bits. */
uint64_t rng_next(struct rng *rng);

/* A number in [0, limit), limit > 0, by multiplication (bias below 2^-32 for limits below 2^32). */
uint32_t rng_below(struct rng *rng, uint32_t limit);

#endif
