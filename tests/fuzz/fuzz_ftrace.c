/* SPDX-License-Identifier: MIT
 *
 * fuzz_ftrace.c - any bytes as the text of /sys/kernel/tracing/trace, plain or packed; the corpus holds that text.
 */
#include "tests/fuzz/fuzz_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	return fuzz_text(data, size);
}
