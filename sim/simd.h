/* SPDX-License-Identifier: MIT
 *
 * simd.h - which vector instructions the hot loops use, picked when the program runs.
 *
 * A portable build holds every variant; each gives the same contents. simd_pick() turns "auto" into the widest that the host has,
 * and takes the plain one in the place of one that it has not. SIMD_AVX512 stands for the extensions that every processor since
 * Skylake-SP and Zen 4 has together (Intel SDM vol. 1, 15.4): F, VL, DQ and BW, and BMI1 and BMI2 before them.
 */
#ifndef SIM_SIMD_H
#define SIM_SIMD_H

#include "sim/base.h"

enum simd { SIMD_AUTO, SIMD_PLAIN, SIMD_AVX2, SIMD_AVX512, SIMDS };

static inline bool simd_has(enum simd simd)
{
	if (simd == SIMD_AVX512)
		return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
		       __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
		       __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
	return simd != SIMD_AVX2 || __builtin_cpu_supports("avx2");
}

static inline enum simd simd_pick(enum simd asked)
{
	if (asked != SIMD_AUTO)
		return simd_has(asked) ? asked : SIMD_PLAIN;
	enum simd simd = SIMD_AVX512;
	while (!simd_has(simd))
		simd--;
	return simd;
}

#endif
