/* SPDX-License-Identifier: MIT
 *
 * data_bus.h - which clocks of a channel's data bus a read or a write can still have: for each direction a window of the last
 * DATA_BUS_CLOCKS clocks up to the latest booked ones, one bit a clock. A burst takes its clocks from both directions, and from
 * the other one those around it in which the bus turns around. Bursts may be booked into gaps that earlier calls left: a line of
 * an open row need not wait for one whose bank is busy, as under a scheduler that takes what is ready first (FR-FCFS: Rixner et
 * al., Memory Access Scheduling, 2000).
 *
 * Invariant: no clock is booked twice; a write's data begins at least after_read clocks behind the end of a read's before it, a
 * read's after_write behind a write's. Clocks before `first` are gone, booked or not.
 */
#ifndef MODELS_DRAM_DATA_BUS_H
#define MODELS_DRAM_DATA_BUS_H

#include <stdbool.h>
#include <stdint.h>

/* More than the longest way from a full read queue's first burst to its last, and what cores run apart. */
#define DATA_BUS_CLOCKS 8192u
#define DATA_BUS_WORDS (DATA_BUS_CLOCKS / 64)

/* Longest burst that can be booked, and longest turn-around. */
#define DATA_BUS_BURST_MAX 64u
#define DATA_BUS_TURN_MAX 1024u

struct data_bus {
	uint64_t after_read, after_write; /* clocks of a turn-around, at most DATA_BUS_TURN_MAX */
	uint64_t first;                   /* of the window; a multiple of 64 */
	uint64_t end[2];                  /* one past the latest clock that a read, that a write cannot have */
	uint64_t taken[2][DATA_BUS_WORDS];
};

/* The first of `clocks` (1 to DATA_BUS_BURST_MAX) clocks in a row at `from` or later that the direction can have. */
uint64_t data_bus_find(const struct data_bus *bus, bool is_write, uint64_t from, unsigned clocks);

/* Books what data_bus_find() found. */
void data_bus_book(struct data_bus *bus, bool is_write, uint64_t at, unsigned clocks);

#endif
