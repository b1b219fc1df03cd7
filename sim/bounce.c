/* SPDX-License-Identifier: MIT
 *
 * bounce.c - records of lines (interface: bounce.h): an array in the order of their first event, and a hash table into it.
 */
#include "sim/bounce.h"

#include <stdlib.h>

#define SLOTS (2 * BOUNCED_LINES_MAX)

void bounces_init(struct bounces *bounces, unsigned line_shift)
{
	SIM_ASSERT(line_shift >= 3);
	*bounces = (struct bounces){.line_shift = line_shift};
	bounces->lines = dense_alloc(BOUNCED_LINES_MAX, sizeof *bounces->lines);
	bounces->slots = dense_alloc(SLOTS, sizeof *bounces->slots);
	bounces->seen = dense_alloc(SEEN_BITS / 64, sizeof *bounces->seen);
}

void bounces_release(struct bounces *bounces)
{
	if (bounces->lines) {
		lazy_free(bounces->lines, BOUNCED_LINES_MAX, sizeof *bounces->lines);
		lazy_free(bounces->slots, SLOTS, sizeof *bounces->slots);
		lazy_free(bounces->seen, SEEN_BITS / 64, sizeof *bounces->seen);
	}
	*bounces = (struct bounces){0};
}

/* The slot of a line, or the empty one where it would be. */
static struct bounce_slot *slot_of(const struct bounces *bounces, uint64_t line)
{
	uint32_t slot = (uint32_t)bounces_hash(line) % SLOTS;
	while (bounces->slots[slot].number && bounces->slots[slot].line != line)
		slot = (slot + 1) % SLOTS;
	return &bounces->slots[slot];
}

struct bounced_line *bounces_search(const struct bounces *bounces, uint64_t line)
{
	uint32_t number = slot_of(bounces, line)->number;
	return number ? &bounces->lines[number - 1] : NULL;
}

struct bounced_line *bounces_make(struct bounces *bounces, uint64_t line)
{
	struct bounce_slot *slot = slot_of(bounces, line);
	if (slot->number)
		return &bounces->lines[slot->number - 1];
	if (bounces->count == BOUNCED_LINES_MAX) {
		bounces->untold++;
		return NULL;
	}
	bounces->lines[bounces->count].address = line << bounces->line_shift;
	*slot = (struct bounce_slot){.line = line, .number = ++bounces->count};
	uint64_t bit = bounces_hash(line) % SEEN_BITS;
	bounces->seen[bit / 64] |= 1ull << bit % 64;
	return &bounces->lines[slot->number - 1];
}

uint8_t bounces_words(const struct bounces *bounces, uint64_t address, uint32_t bytes)
{
	unsigned shift = bounces->line_shift - 3;
	uint64_t mask = (1ull << bounces->line_shift) - 1;
	unsigned first = (unsigned)((address & mask) >> shift), last = (unsigned)(((address + bytes - 1) & mask) >> shift);
	return (uint8_t)((0xffu >> (LINE_WORDS - 1 - (last - first))) << first);
}

bool bounced_line_is_truly_shared(const struct bounced_line *line)
{
	unsigned written = 0, used = 0;
	for (unsigned cpu = 0; cpu < CPUS_MAX; cpu++) {
		unsigned uses = line->written[cpu] | line->read[cpu];
		if ((written & uses) || (used & line->written[cpu]))
			return true;
		written |= line->written[cpu];
		used |= uses;
	}
	return false;
}

unsigned bounced_line_writers(const struct bounced_line *line)
{
	unsigned writers = 0;
	for (unsigned cpu = 0; cpu < CPUS_MAX; cpu++)
		writers += line->written[cpu] != 0;
	return writers;
}

bool bounced_line_is_falsely_shared(const struct bounced_line *line)
{
	unsigned users = 0;
	for (unsigned cpu = 0; cpu < CPUS_MAX; cpu++)
		users += (line->written[cpu] | line->read[cpu]) != 0;
	return users > 1 && bounced_line_writers(line) > 0 && !bounced_line_is_truly_shared(line);
}

static uint64_t events_of(const struct bounced_line *line)
{
	return line->transfers_clean + line->transfers_dirty + line->invalidations;
}

static int compare_lines(const void *left, const void *right)
{
	const struct bounced_line *a = *(const struct bounced_line *const *)left, *b = *(const struct bounced_line *const *)right;
	if (events_of(a) != events_of(b))
		return events_of(a) < events_of(b) ? 1 : -1;
	return (a->address > b->address) - (a->address < b->address);
}

size_t bounces_top(const struct bounces *bounces, const struct bounced_line **top, size_t count)
{
	const struct bounced_line **all = xcalloc(bounces->count + 1, sizeof *all);
	for (uint32_t i = 0; i < bounces->count; i++)
		all[i] = &bounces->lines[i];
	qsort(all, bounces->count, sizeof *all, compare_lines);
	if (count > bounces->count)
		count = bounces->count;
	for (size_t i = 0; i < count; i++)
		top[i] = all[i];
	free(all);
	return count;
}
