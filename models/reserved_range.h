/* SPDX-License-Identifier: MIT
 *
 * reserved_range.h - a range of physical addresses that the firmware says is no usable memory, as machine.reserved has it:
 *
 *     3ffe0000-3fffffff      first and last byte in hexadecimal (0x or not), as /proc/iomem and the boot log's e820 lines show it
 *     16 MiB at 1 GiB        its size and where it begins, each a size with its unit or a number 0x...
 */
#ifndef MODELS_RESERVED_RANGE_H
#define MODELS_RESERVED_RANGE_H

#include "models/settings.h"

/* Bytes, the end not included; start < end. */
struct reserved_range {
	uint64_t start, end;
};

/* False with *error, which names the text, if that is no such range. */
bool reserved_range_parse(const char *text, struct reserved_range *range, struct error *error);

/* Whether every entry of machine.reserved can be understood. */
bool reserved_ranges_check(const struct settings *settings, struct error *error);

#endif
