/* SPDX-License-Identifier: MIT
 *
 * fuzz_access_plain.c - any bytes as plain text with decimal numbers.
 */
#include "tests/fuzz/fuzz_access.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	return fuzz_access(data, size, "plain");
}
