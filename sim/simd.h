/* SPDX-License-Identifier: MIT
 *
 * simd.h - which vector instructions the hot loops use, picked when the program runs.
 *
 * A portable build holds every variant; each gives the same contents. simd_pick() turns "auto" into the widest that the host has,
 * and takes the plain one in the place of one that it has not.
 */
#ifndef SIM_SIMD_H
#define SIM_SIMD_H

#include "sim/base.h"

enum simd { SIMD_AUTO, SIMD_PLAIN, SIMD_AVX2 };

static inline bool simd_has(enum simd simd)
{
	return simd != SIMD_AVX2 || __builtin_cpu_supports("avx2");
}

static inline enum simd simd_pick(enum simd asked)
{
	if (asked != SIMD_AUTO)
		return simd_has(asked) ? asked : SIMD_PLAIN;
	return simd_has(SIMD_AVX2) ? SIMD_AVX2 : SIMD_PLAIN;
}

#endif
