/* SPDX-License-Identifier: MIT
 *
 * fuzz_access.c - any bytes as an access trace whose format is told by its content, plain or packed.
 */
#include "tests/fuzz/fuzz_access.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	return fuzz_access(data, size, NULL);
}
