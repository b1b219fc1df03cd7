/* SPDX-License-Identifier: MIT
 *
 * data_bus.h - which clocks of a channel's data bus are taken: a window of the last DATA_BUS_CLOCKS clocks up to the latest
 * burst, one bit a clock. Bursts may be booked into gaps that earlier calls left: a line of an open row need not wait for one
 * whose bank is busy, as under a scheduler that takes what is ready first (FR-FCFS: Rixner et al., Memory Access Scheduling,
 * 2000).
 *
 * Invariant: no clock is booked twice; everything from `end` on is free; clocks before `first` are gone, booked or not.
 */
#ifndef MODELS_DRAM_DATA_BUS_H
#define MODELS_DRAM_DATA_BUS_H

#include <stdint.h>

/* More than the longest way from a full read queue's first burst to its last, and what cores run apart. */
#define DATA_BUS_CLOCKS 8192u
#define DATA_BUS_WORDS (DATA_BUS_CLOCKS / 64)

/* Longest burst that can be booked. */
#define DATA_BUS_BURST_MAX 64u

struct data_bus {
	uint64_t first; /* of the window; a multiple of 64 */
	uint64_t end;   /* one past the latest booked clock */
	uint64_t taken[DATA_BUS_WORDS];
};

/* The first of `clocks` (1 to DATA_BUS_BURST_MAX) free clocks in a row at `from` or later. */
uint64_t data_bus_find(const struct data_bus *bus, uint64_t from, unsigned clocks);

/* Books what data_bus_find() found. */
void data_bus_book(struct data_bus *bus, uint64_t at, unsigned clocks);

#endif
