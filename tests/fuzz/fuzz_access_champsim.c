/* SPDX-License-Identifier: MIT
 *
 * fuzz_access_champsim.c - any bytes as records of ChampSim.
 */
#include "tests/fuzz/fuzz_access.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	return fuzz_access(data, size, "champsim");
}
