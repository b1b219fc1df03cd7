/* SPDX-License-Identifier: MIT
 *
 * fuzz_access_xdin.c - any bytes as an extended din trace of Dinero IV.
 */
#include "tests/fuzz/fuzz_access.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	return fuzz_access(data, size, "xdin");
}
