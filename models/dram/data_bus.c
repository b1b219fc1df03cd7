/* SPDX-License-Identifier: MIT
 *
 * data_bus.c - bursts on a data bus (interface and invariant: data_bus.h).
 */
#include "models/dram/data_bus.h"

#include "sim/base.h"

static uint64_t *word_of(struct data_bus *bus, uint64_t clock)
{
	return &bus->taken[clock / 64 % DATA_BUS_WORDS];
}

/* The 64 clocks from `clock` on, which is in the window; those beyond the window are free. */
static uint64_t taken_from(const struct data_bus *bus, uint64_t clock)
{
	unsigned shift = clock % 64;
	uint64_t bits = bus->taken[clock / 64 % DATA_BUS_WORDS] >> shift;
	uint64_t next = (clock / 64 + 1) * 64;
	if (shift == 0 || next >= bus->first + DATA_BUS_CLOCKS)
		return bits;
	return bits | bus->taken[next / 64 % DATA_BUS_WORDS] << (64 - shift);
}

/* Bit i of the result: bits i to i + count - 1 are all set. */
static uint64_t runs_of(uint64_t bits, unsigned count)
{
	unsigned have = 1;
	for (; have * 2 <= count; have *= 2)
		bits &= bits >> have;
	return have < count ? bits & bits >> (count - have) : bits;
}

uint64_t data_bus_find(const struct data_bus *bus, uint64_t from, unsigned clocks)
{
	if (from < bus->first)
		from = bus->first;
	while (from < bus->end) {
		uint64_t runs = runs_of(~taken_from(bus, from), clocks);
		if (runs)
			return from + (unsigned)__builtin_ctzll(runs);
		from += 64 - clocks + 1;
	}
	return from;
}

/* Moves the window so that it holds the clocks before `end`. */
static void move_window(struct data_bus *bus, uint64_t end)
{
	uint64_t first = (end - DATA_BUS_CLOCKS + 63) / 64 * 64;
	uint64_t words = (first - bus->first) / 64;
	for (uint64_t i = 0; i < words && i < DATA_BUS_WORDS; i++)
		bus->taken[(bus->first / 64 + i) % DATA_BUS_WORDS] = 0;
	bus->first = first;
}

void data_bus_book(struct data_bus *bus, uint64_t at, unsigned clocks)
{
	SIM_ASSERT(at >= bus->first && clocks >= 1 && clocks <= DATA_BUS_BURST_MAX);
	if (at + clocks > bus->first + DATA_BUS_CLOCKS)
		move_window(bus, at + clocks);
	uint64_t burst = ~0ull >> (64 - clocks);
	unsigned shift = at % 64;
	uint64_t *word = word_of(bus, at);
	SIM_ASSERT((*word & burst << shift) == 0);
	*word |= burst << shift;
	if (shift + clocks > 64) {
		word = word_of(bus, at + 64);
		SIM_ASSERT((*word & burst >> (64 - shift)) == 0);
		*word |= burst >> (64 - shift);
	}
	if (bus->end < at + clocks)
		bus->end = at + clocks;
}
