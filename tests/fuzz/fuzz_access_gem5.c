/* SPDX-License-Identifier: MIT
 *
 * fuzz_access_gem5.c - any bytes as a packet trace of gem5.
 */
#include "tests/fuzz/fuzz_access.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	return fuzz_access(data, size, "gem5");
}
