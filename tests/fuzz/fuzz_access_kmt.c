/* SPDX-License-Identifier: MIT
 *
 * fuzz_access_kmt.c - any bytes as a native file of accesses.
 */
#include "tests/fuzz/fuzz_access.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	return fuzz_access(data, size, "kmt");
}
