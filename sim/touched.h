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
static inline struct touched_slot *touched_home(struct touched_slot *slots, uint64_t capacity, uint64_t page)
{
	return &slots[(page * 0x9e3779b97f4a7c15u >> 20) & (capacity - 1)];
}

/* What a run of touches keeps at hand, out of the way of what they write. */
struct touching {
	struct touched_slot *slots;
	uint64_t capacity, op, lines, pages;
	uint64_t last; /* the line touched last, by its number; UINT64_MAX: none */
	unsigned shift;
};

static inline struct touching touching_begin(const struct touched *touched)
{
	return (struct touching){.slots = touched->slots,
	                         .capacity = touched->capacity,
	                         .op = touched->op,
	                         .lines = touched->lines,
	                         .pages = touched->pages,
	                         .last = UINT64_MAX,
	                         .shift = touched->shift};
}

static inline void touching_end(struct touched *touched, struct touching touching)
{
	touched->lines = touching.lines;
	touched->pages = touching.pages;
}

/* Bytes in one line, whose page finds its place, or that it is free: most do. false: nothing happened. */
static inline bool touching_line(struct touching *touching, uint64_t address, uint64_t bytes)
{
	const uint64_t number = address >> touching->shift;
	if ((address + bytes - 1) >> touching->shift != number || bytes == 0)
		return false;
	if (number == touching->last)
		return true;
	const uint64_t page = address >> PAGE_SHIFT, line = (address & (PAGE_SIZE - 1)) >> touching->shift;
	struct touched_slot *slot = touched_home(touching->slots, touching->capacity, page);
	const uint64_t bit = 1ull << line % TOUCHED_WORD_BITS;
	uint64_t *word = &slot->lines[line / TOUCHED_WORD_BITS];
	if (slot->op == touching->op) {
		if (slot->page != page)
			return false;
	} else {
		if (2 * touching->pages >= touching->capacity)
			return false;
		*slot = (struct touched_slot){.page = page, .op = touching->op};
		touching->pages++;
	}
	touching->lines += !(*word & bit);
	*word |= bit;
	touching->last = number;
	return true;
}

/* The op touches the bytes from `address` on; none if bytes is 0. */
void touched_add(struct touched *touched, uint64_t address, uint64_t bytes);

/* The same in a run. */
static inline void touching_add(struct touched *touched, struct touching *touching, uint64_t address, uint64_t bytes)
{
	if (touching_line(touching, address, bytes))
		return;
	touching_end(touched, *touching);
	touched_add(touched, address, bytes);
	*touching = touching_begin(touched);
}

#endif
