/* SPDX-License-Identifier: MIT
 *
 * touched.h - how many different cache lines and pages one op touches.
 *
 * A set of pages, with a bit for each line of a page, that is emptied at no cost: each slot bears the number of the op that wrote
 * it.
 *
 * Invariant: pages is the number of slots of the current op, at most half of all; lines the number of bits in them.
 */
#ifndef SIM_TOUCHED_H
#define SIM_TOUCHED_H

#include "sim/base.h"

/* The shortest line, of which a page has the most. */
#define TOUCHED_LINE_MIN 16u
#define TOUCHED_WORD_BITS 64u
#define TOUCHED_WORDS ((unsigned)PAGE_SIZE / TOUCHED_LINE_MIN / TOUCHED_WORD_BITS)

struct touched_slot {
	uint64_t page;
	uint64_t op;
	uint64_t lines[TOUCHED_WORDS];
};

struct touched {
	struct touched_slot *slots; /* open addressing, capacity a power of two; owned */
	uint64_t capacity, op;
	uint64_t lines, pages; /* of the current op */
	unsigned shift;        /* log2 of a line's bytes */
};

/* line_bytes is a power of two, TOUCHED_LINE_MIN to PAGE_SIZE. */
void touched_init(struct touched *touched, uint32_t line_bytes);
void touched_release(struct touched *touched);

/* Begins the next op. */
static inline void touched_clear(struct touched *touched)
{
	touched->op++;
	touched->lines = 0;
	touched->pages = 0;
}

/* Where a page is, if no other one has taken its place. */
static inline struct touched_slot *touched_home(const struct touched *touched, uint64_t page)
{
	return &touched->slots[(page * 0x9e3779b97f4a7c15u >> 20) & (touched->capacity - 1)];
}

/* The page comes into a slot that is free, as long as half of all are. */
static inline void touched_begin_page(struct touched *touched, struct touched_slot *slot, uint64_t page)
{
	*slot = (struct touched_slot){.page = page, .op = touched->op};
	touched->pages++;
}

/* As touched_add(), any bytes. */
void touched_add_any(struct touched *touched, uint64_t address, uint64_t bytes);

/* The op touches the bytes from `address` on; none if bytes is 0. */
static inline void touched_add(struct touched *touched, uint64_t address, uint64_t bytes)
{
	const uint64_t page = address >> PAGE_SHIFT, line = (address & (PAGE_SIZE - 1)) >> touched->shift;
	struct touched_slot *slot = touched_home(touched, page);
	/* Most are one line, and find their page's place, or that it is free. */
	if ((address ^ (address + bytes - 1)) >> touched->shift != 0 || bytes == 0) {
		touched_add_any(touched, address, bytes);
		return;
	}
	if (slot->op != touched->op && 2 * touched->pages < touched->capacity) {
		touched_begin_page(touched, slot, page);
	} else if (slot->page != page || slot->op != touched->op) {
		touched_add_any(touched, address, bytes);
		return;
	}
	uint64_t *word = &slot->lines[line / TOUCHED_WORD_BITS];
	touched->lines += !(*word >> line % TOUCHED_WORD_BITS & 1);
	*word |= 1ull << line % TOUCHED_WORD_BITS;
}

#endif
