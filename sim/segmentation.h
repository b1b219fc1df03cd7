/* SPDX-License-Identifier: MIT
 *
 * segmentation.h - logical addresses of a 32-bit machine: selector:offset to a linear address, as a processor in protected mode
 * forms and checks it.
 *
 *   selector   15:3 index | 2 table (0 GDT, 1 LDT) | 1:0 RPL
 *   descriptor 63:56 base | 55 G | 54 D/B | 51:48 limit | 47 P | 46:45 DPL | 44 S | 43:40 type | 39:16 base | 15:0 limit
 *
 *   selector -> segment_load(): is there such a descriptor, may this register hold it at this privilege  -> struct segment
 *   segment, offset -> segment_address(): type and limit                                                 -> linear address
 *
 * Source: Intel SDM vol. 3A 3.4 (selectors, descriptors, types), 5.3 (limits), 5.4 (types), 5.5 to 5.8 (privilege); the vectors
 * are those of 6.15. The system segments (TSS, gates, LDT) are no memory and are refused.
 */
#ifndef SIM_SEGMENTATION_H
#define SIM_SEGMENTATION_H

#include "sim/base.h"

enum segment_register { SEGMENT_CODE, SEGMENT_STACK, SEGMENT_DATA };

enum segment_use { SEGMENT_READ, SEGMENT_WRITE, SEGMENT_FETCH };

enum segment_fault {
	SEGMENT_OK,
	SEGMENT_NOT_PRESENT = 11,       /* #NP */
	SEGMENT_STACK_FAULT = 12,       /* #SS */
	SEGMENT_GENERAL_PROTECTION = 13 /* #GP */
};

/* A segment register's hidden part. */
struct segment {
	uint16_t selector;
	bool usable; /* false: the null selector was loaded */
	bool code, readable, writable, conforming, expand_down;
	bool wide; /* D/B: offsets of 32 bits */
	uint32_t base;
	uint32_t limit; /* in bytes, granularity applied */
	unsigned dpl;
};

/* A descriptor table in memory, and how many bytes it has (its limit plus 1). */
struct descriptor_table {
	const uint64_t *descriptors;
	uint32_t bytes;
};

struct segment_tables {
	struct descriptor_table gdt, ldt;
};

/* What went wrong, and the error code that is pushed: the selector without its RPL, or 0. */
struct segment_result {
	enum segment_fault fault;
	uint16_t error_code;
};

/* What a descriptor says, without a check. */
struct segment segment_decode(uint64_t descriptor);

/* Loads a segment register at a privilege level (0 to 3). *segment changes only if that goes well. */
struct segment_result segment_load(const struct segment_tables *tables, enum segment_register which, uint16_t selector,
                                   unsigned cpl, struct segment *segment);

/* The linear address of `bytes` (1 and more) at an offset. */
struct segment_result segment_address(const struct segment *segment, enum segment_register which, uint32_t offset, uint32_t bytes,
                                      enum segment_use use, uint32_t *linear);

#endif
