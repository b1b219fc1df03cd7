/* SPDX-License-Identifier: MIT
 *
 * data_bus.c - bursts on a data bus (interface and invariant: data_bus.h).
 */
#include "models/dram/data_bus.h"

#include "sim/base.h"

#include <string.h>

/* The 64 clocks from `clock` on, which is in the window; those beyond the window are free. */
static uint64_t taken_from(const struct data_bus *bus, const uint64_t *taken, uint64_t clock)
{
	unsigned shift = clock % 64;
	uint64_t bits = taken[clock / 64 % DATA_BUS_WORDS] >> shift;
	uint64_t next = (clock / 64 + 1) * 64;
	if (shift == 0 || next >= bus->first + DATA_BUS_CLOCKS)
		return bits;
	return bits | taken[next / 64 % DATA_BUS_WORDS] << (64 - shift);
}

/* Bit i of the result: bits i to i + count - 1 are all set. */
static uint64_t runs_of(uint64_t bits, unsigned count)
{
	unsigned have = 1;
	for (; have * 2 <= count; have *= 2)
		bits &= bits >> have;
	return have < count ? bits & bits >> (count - have) : bits;
}

uint64_t data_bus_find(const struct data_bus *bus, bool is_write, uint64_t from, unsigned clocks)
{
	if (from < bus->first)
		from = bus->first;
	while (from < bus->end[is_write]) {
		uint64_t runs = runs_of(~taken_from(bus, bus->taken[is_write], from), clocks);
		if (runs)
			return from + (unsigned)__builtin_ctzll(runs);
		from += 64 - clocks + 1;
	}
	return from;
}

static void clear_words(struct data_bus *bus, uint64_t first, uint64_t count)
{
	for (unsigned direction = 0; direction < 2; direction++)
		memset(&bus->taken[direction][first], 0, count * sizeof bus->taken[direction][0]);
}

/* Moves the window so that it holds the clocks before `end`. */
static void move_window(struct data_bus *bus, uint64_t end)
{
	uint64_t first = (end - DATA_BUS_CLOCKS + 63) / 64 * 64;
	uint64_t words = (first - bus->first) / 64;
	if (words > DATA_BUS_WORDS)
		words = DATA_BUS_WORDS;
	uint64_t index = bus->first / 64 % DATA_BUS_WORDS;
	uint64_t upper = index + words > DATA_BUS_WORDS ? DATA_BUS_WORDS - index : words;
	clear_words(bus, index, upper);
	clear_words(bus, 0, words - upper);
	bus->first = first;
}

/* Takes the clocks from `from` to `end` - 1, as far as they are in the window, from a direction. Returns whether all were free.
 */
static bool take(struct data_bus *bus, bool is_write, uint64_t from, uint64_t end)
{
	uint64_t overlap = 0;
	if (bus->end[is_write] < end)
		bus->end[is_write] = end;
	if (from < bus->first)
		from = bus->first;
	while (from < end) {
		uint64_t next = (from / 64 + 1) * 64, stop = end < next ? end : next;
		uint64_t bits = ~0ull >> (64 - (stop - from)) << from % 64;
		uint64_t *word = &bus->taken[is_write][from / 64 % DATA_BUS_WORDS];
		overlap |= *word & bits;
		*word |= bits;
		from = stop;
	}
	return overlap == 0;
}

void data_bus_book(struct data_bus *bus, bool is_write, uint64_t at, unsigned clocks)
{
	SIM_ASSERT(at >= bus->first && clocks >= 1 && clocks <= DATA_BUS_BURST_MAX);
	uint64_t before = is_write ? bus->after_read : bus->after_write, after = is_write ? bus->after_write : bus->after_read;
	uint64_t end = at + clocks;
	if (end + after > bus->first + DATA_BUS_CLOCKS)
		move_window(bus, end + after);
	bool was_free = take(bus, is_write, at, end);
	SIM_ASSERT(was_free);
	take(bus, !is_write, at > before ? at - before : 0, end + after);
}
