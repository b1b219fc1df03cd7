/* SPDX-License-Identifier: MIT
 *
 * rng.c - SplitMix64 (interface and source: rng.h).
 */
#include "sim/rng.h"

void rng_init(struct rng *rng, uint64_t seed, const char *name)
{
	uint64_t hash = 0xcbf29ce484222325u; /* FNV-1a, 64 bits */
	for (const char *at = name; *at; at++)
		hash = (hash ^ (unsigned char)*at) * 0x100000001b3u;
	rng->state = seed ^ hash;
}

uint64_t rng_next(struct rng *rng)
{
	uint64_t z = rng->state += 0x9e3779b97f4a7c15u;
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

uint32_t rng_below(struct rng *rng, uint32_t limit)
{
	SIM_ASSERT(limit > 0);
	return (uint32_t)(((rng_next(rng) >> 32) * limit) >> 32);
}
