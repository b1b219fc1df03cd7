/* SPDX-License-Identifier: MIT
 *
 * fuzz_access_raw.c - any bytes as raw records.
 */
#include "tests/fuzz/fuzz_access.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	return fuzz_access(data, size, "raw");
}
