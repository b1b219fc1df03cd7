/* SPDX-License-Identifier: MIT
 *
 * segmentation.c - forming and checking logical addresses (interface and sources: segmentation.h).
 */
#include "sim/segmentation.h"

#define SELECTOR_RPL 3u
#define SELECTOR_LDT 4u

/* Bits of a descriptor. */
#define TYPE_WRITE_OR_READ (1ull << 41)     /* data: writable; code: readable */
#define TYPE_EXPAND_OR_CONFORM (1ull << 42) /* data: expand down; code: conforming */
#define TYPE_CODE (1ull << 43)
#define DESCRIPTOR_S (1ull << 44) /* code or data, not a system segment */
#define DESCRIPTOR_DPL_SHIFT 45
#define DESCRIPTOR_P (1ull << 47)
#define DESCRIPTOR_DB (1ull << 54)
#define DESCRIPTOR_G (1ull << 55)

static struct segment_result fault(enum segment_fault vector, uint16_t selector)
{
	return (struct segment_result){vector, (uint16_t)(selector & ~SELECTOR_RPL)};
}

struct segment segment_decode(uint64_t descriptor)
{
	uint32_t limit = (uint32_t)((descriptor & 0xffff) | (descriptor >> 32 & 0xf0000));
	struct segment segment = {
	        .usable = true,
	        .code = descriptor & TYPE_CODE,
	        .wide = descriptor & DESCRIPTOR_DB,
	        .base = (uint32_t)((descriptor >> 16 & 0xffffff) | (descriptor >> 32 & 0xff000000)),
	        .limit = descriptor & DESCRIPTOR_G ? limit << 12 | 0xfff : limit,
	        .dpl = (unsigned)(descriptor >> DESCRIPTOR_DPL_SHIFT & 3),
	};
	bool second = descriptor & TYPE_WRITE_OR_READ, third = descriptor & TYPE_EXPAND_OR_CONFORM;
	segment.readable = !segment.code || second;
	segment.writable = !segment.code && second;
	segment.conforming = segment.code && third;
	segment.expand_down = !segment.code && third;
	return segment;
}

/* The descriptor that a selector names; false if its table ends before it. */
static bool find_descriptor(const struct segment_tables *tables, uint16_t selector, uint64_t *descriptor)
{
	const struct descriptor_table *table = selector & SELECTOR_LDT ? &tables->ldt : &tables->gdt;
	uint32_t offset = selector & ~(SELECTOR_RPL | SELECTOR_LDT);
	if (offset + sizeof *descriptor > table->bytes)
		return false;
	*descriptor = table->descriptors[offset / sizeof *descriptor];
	return true;
}

/* Whether a register may hold the segment (5.5 for data, 5.7 for the stack, 5.8.1 for code). */
static bool may_hold(const struct segment *segment, enum segment_register which, unsigned rpl, unsigned cpl)
{
	switch (which) {
	case SEGMENT_CODE:
		if (!segment->code)
			return false;
		return segment->conforming ? segment->dpl <= cpl : segment->dpl == cpl && rpl <= cpl;
	case SEGMENT_STACK:
		return segment->writable && rpl == cpl && segment->dpl == cpl;
	case SEGMENT_DATA:
		return segment->readable && (segment->conforming || (rpl <= segment->dpl && cpl <= segment->dpl));
	}
	SIM_UNREACHABLE("a segment register");
}

struct segment_result segment_load(const struct segment_tables *tables, enum segment_register which, uint16_t selector,
                                   unsigned cpl, struct segment *segment)
{
	uint64_t descriptor;
	SIM_ASSERT(cpl <= 3);
	if ((selector & ~SELECTOR_RPL) == 0) {
		if (which != SEGMENT_DATA)
			return fault(SEGMENT_GENERAL_PROTECTION, 0);
		*segment = (struct segment){.selector = selector};
		return (struct segment_result){0};
	}
	if (!find_descriptor(tables, selector, &descriptor) || !(descriptor & DESCRIPTOR_S))
		return fault(SEGMENT_GENERAL_PROTECTION, selector);
	struct segment loaded = segment_decode(descriptor);
	loaded.selector = selector;
	if (!may_hold(&loaded, which, selector & SELECTOR_RPL, cpl))
		return fault(SEGMENT_GENERAL_PROTECTION, selector);
	if (!(descriptor & DESCRIPTOR_P))
		return fault(which == SEGMENT_STACK ? SEGMENT_STACK_FAULT : SEGMENT_NOT_PRESENT, selector);
	*segment = loaded;
	return (struct segment_result){0};
}

/* An expand-down segment has the offsets above its limit (5.3). */
static bool within_limit(const struct segment *segment, uint32_t offset, uint32_t bytes)
{
	uint64_t last = (uint64_t)offset + bytes - 1;
	if (!segment->expand_down)
		return last <= segment->limit;
	return offset > segment->limit && last <= (segment->wide ? UINT32_MAX : UINT16_MAX);
}

static bool allows(const struct segment *segment, enum segment_use use)
{
	switch (use) {
	case SEGMENT_READ:
		return segment->readable;
	case SEGMENT_WRITE:
		return segment->writable;
	case SEGMENT_FETCH:
		return segment->code;
	}
	SIM_UNREACHABLE("a use of a segment");
}

struct segment_result segment_address(const struct segment *segment, enum segment_register which, uint32_t offset, uint32_t bytes,
                                      enum segment_use use, uint32_t *linear)
{
	SIM_ASSERT(bytes > 0);
	if (!segment->usable || !allows(segment, use))
		return fault(SEGMENT_GENERAL_PROTECTION, 0);
	if (!within_limit(segment, offset, bytes))
		return fault(which == SEGMENT_STACK ? SEGMENT_STACK_FAULT : SEGMENT_GENERAL_PROTECTION, 0);
	*linear = segment->base + offset; /* modulo 2^32, as the adder does it */
	return (struct segment_result){0};
}
