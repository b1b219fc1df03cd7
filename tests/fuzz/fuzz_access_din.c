/* SPDX-License-Identifier: MIT
 *
 * fuzz_access_din.c - any bytes as a din trace of Dinero.
 */
#include "tests/fuzz/fuzz_access.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	return fuzz_access(data, size, "din");
}
