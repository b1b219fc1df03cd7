/* SPDX-License-Identifier: MIT
 *
 * fuzz_access_dynamorio.c - any bytes as what DynamoRIO's view prints.
 */
#include "tests/fuzz/fuzz_access.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	return fuzz_access(data, size, "dynamorio");
}
