/* SPDX-License-Identifier: MIT
 *
 * touched.c - the set behind the counts of touched lines and pages (interface: touched.h).
 */
#include "sim/touched.h"

#include <stdlib.h>

#define SLOTS_AT_FIRST 256u

void touched_init(struct touched *touched, uint32_t line_bytes)
{
	SIM_ASSERT(line_bytes >= TOUCHED_LINE_MIN && line_bytes <= PAGE_SIZE && (line_bytes & (line_bytes - 1)) == 0);
	*touched = (struct touched){.capacity = SLOTS_AT_FIRST, .op = 1, .shift = (unsigned)__builtin_ctz(line_bytes)};
	touched->slots = xcalloc(touched->capacity, sizeof *touched->slots);
}

void touched_release(struct touched *touched)
{
	free(touched->slots);
	*touched = (struct touched){0};
}

/* The page's slot, or the slot that is free for it. */
static struct touched_slot *slot_of(const struct touched *touched, uint64_t page)
{
	struct touched_slot *slot = touched_home(touched->slots, touched->capacity, page), *end = touched->slots + touched->capacity;
	while (slot->op == touched->op && slot->page != page)
		slot = slot + 1 < end ? slot + 1 : touched->slots;
	return slot;
}

static void grow(struct touched *touched)
{
	struct touched old = *touched;
	touched->capacity *= 2;
	touched->slots = xcalloc(touched->capacity, sizeof *touched->slots);
	for (uint64_t at = 0; at < old.capacity; at++)
		if (old.slots[at].op == old.op)
			*slot_of(touched, old.slots[at].page) = old.slots[at];
	free(old.slots);
}

static struct touched_slot *page_of(struct touched *touched, uint64_t page)
{
	struct touched_slot *slot = slot_of(touched, page);
	if (slot->op == touched->op)
		return slot;
	if (2 * touched->pages == touched->capacity) {
		grow(touched);
		slot = slot_of(touched, page);
	}
	*slot = (struct touched_slot){.page = page, .op = touched->op};
	touched->pages++;
	return slot;
}

/* Lines of one page, `first` to `last` counted in it. */
static void add_lines(struct touched *touched, uint64_t page, unsigned first, unsigned last)
{
	struct touched_slot *slot = page_of(touched, page);
	for (unsigned line = first, end; line <= last; line = end + 1) {
		end = line | (TOUCHED_WORD_BITS - 1);
		if (end > last)
			end = last;
		uint64_t *word = &slot->lines[line / TOUCHED_WORD_BITS];
		uint64_t added = ~0ull >> (TOUCHED_WORD_BITS - 1 - (end - line)) << line % TOUCHED_WORD_BITS & ~*word;
		touched->lines += (unsigned)__builtin_popcountll(added);
		*word |= added;
	}
}

void touched_add(struct touched *touched, uint64_t address, uint64_t bytes)
{
	for (uint64_t part; bytes > 0; bytes -= part, address += part) {
		const uint64_t inside = address & (PAGE_SIZE - 1);
		part = PAGE_SIZE - inside < bytes ? PAGE_SIZE - inside : bytes;
		add_lines(touched, address >> PAGE_SHIFT, (unsigned)(inside >> touched->shift),
		          (unsigned)((inside + part - 1) >> touched->shift));
	}
}
