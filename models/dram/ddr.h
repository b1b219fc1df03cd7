/* SPDX-License-Identifier: MIT
 *
 * ddr.h - the parts of dram/ddr.c, which tells what they do together. All times are clocks of the memory.
 */
#ifndef MODELS_DRAM_DDR_H
#define MODELS_DRAM_DDR_H

#include "models/dram/activations.h"
#include "models/dram/address_map.h"
#include "models/dram/data_bus.h"
#include "models/dram_settings.h"
#include "sim/port/dram.h"

/* Entries of the filters that tell most lines and rows from those of writes that wait. */
#define DRAM_FILTER_ENTRIES 1024u

/* The rules' numbers, in clocks, by their names in JESD79. */
struct ddr_timing {
	uint64_t controller;
	uint64_t tcl, tcwl, trcd, trp, tras, trtp, tccd, trrd, tfaw, twr, twtr, trtw;
	uint64_t trfc, trefi; /* trefi of a memory that is never refreshed: DDR_NO_REFRESH */
	unsigned line;        /* clocks of a line on the data bus */
};

#define DDR_NO_REFRESH (UINT64_MAX / 4)
#define DDR_NO_ROW UINT64_MAX

struct ddr_bank {
	uint64_t row;          /* open row, DDR_NO_ROW: none */
	uint64_t refreshes;    /* of its rank, when its last command came: a later refresh has closed the row */
	uint64_t column_at;    /* the earliest clock of the next READ or WRITE, */
	uint64_t precharge_at; /* PRECHARGE */
	uint64_t activate_at;  /* and ACTIVATE */
};

struct ddr_rank {
	struct activations activations;
	uint64_t refreshes, refreshed_at; /* the refresh seen last: its number, and the clock it began, of ddr_refresh_clock() */
	uint64_t refresh_offset;
};

/* When each entry of a queue is free again: a ring, the earliest first. Entries in use are not in it. */
struct ddr_slots {
	uint32_t first, count;
	uint64_t free_at[DRAM_QUEUE_MAX];
};

struct ddr_waiting_write {
	uint64_t line, row;
	uint32_t rank, bank;
};

struct ddr_channel {
	struct data_bus bus;
	struct ddr_slots read_slots, write_slots;
	uint32_t first_write, waiting; /* writes that wait: a ring in the order in which they will be written */
	struct ddr_waiting_write write[DRAM_QUEUE_MAX];
	uint16_t line_filter[DRAM_FILTER_ENTRIES], row_filter[DRAM_FILTER_ENTRIES]; /* how many, by ddr_filter_of() */
	struct ddr_rank *rank;
	struct ddr_bank *bank; /* of all ranks */
};

struct ddr_counters {
	uint64_t reads, writes, row_hits, row_empty, row_conflicts;
	uint64_t forwarded, merged, refresh_waits, read_queue_waits, write_queue_waits, write_drains;
	uint64_t bus_clocks, read_cycles, writes_waiting;
};

struct ddr_dram {
	struct dram dram;
	struct ddr_timing timing;
	struct address_map map;
	uint64_t core_period, clock_period; /* so many core cycles are so many clocks: the least such numbers */
	uint64_t exact_max;                 /* cycles or clocks up to which a product with a period fits */
	uint32_t channels, ranks, rank_banks;
	uint32_t read_queue, write_queue, write_high, write_low;
	bool closed_page;
	struct ddr_counters counters;
	struct ddr_channel *channel;
	struct ddr_rank *rank_memory;
	struct ddr_bank *bank_memory;
};

/* ddr_bank.c: moves a line, with no command before `from`. Returns the clock at which its data ends. */
uint64_t ddr_move(struct ddr_dram *ddr, const struct dram_place *place, bool is_write, uint64_t from);

/* ddr_queue.c. Fills a queue's slots: all are free at 0. */
void ddr_slots_init(struct ddr_slots *slots, uint32_t count);

/* A slot for a request that comes at `now`: returns when it has one, and takes it out. */
uint64_t ddr_slots_take(struct ddr_slots *slots, uint64_t now);

/* Gives a slot back that is free from a clock on. */
void ddr_slots_give(struct ddr_slots *slots, uint64_t free_at);

/* Whether a write of the line waits. */
bool ddr_write_waits(struct ddr_channel *channel, uint64_t line);

/* Takes a write; returns when it has been taken. */
uint64_t ddr_queue_write(struct ddr_dram *ddr, const struct dram_place *place, uint64_t line, uint64_t now);

static inline uint32_t ddr_filter_of(uint64_t number)
{
	return (uint32_t)(number ^ number >> 10) % DRAM_FILTER_ENTRIES;
}

#endif
