/* SPDX-License-Identifier: MIT
 *
 * ddr.c - synchronous DRAM behind a memory controller: channels, ranks, banks with an open row, a data bus, refresh, and queues
 * of reads and writes. DDR3, DDR4, DDR5 and SDR SDRAM differ in numbers only (machine.dram).
 *
 * A line is one or more bursts, back to back, in one row of one bank (address_map.h says which). Its commands come at the first
 * clocks that these rules leave (JESD79-4, chapter 4 and 13; the names are the standard's):
 *
 *   row open (hit)      READ                           done = controller + tCL + line
 *   no row (empty)      ACTIVATE, READ                 done = controller + tRCD + tCL + line
 *   other row           PRECHARGE, ACTIVATE, READ      done = controller + tRP + tRCD + tCL + line
 *
 *   bank:  tRAS and tRTP or tWR before PRECHARGE, tRP after it, tCCD between READs or WRITEs
 *   rank:  tRRD between ACTIVATEs, at most four within tFAW (activations.h)
 *   bus:   a line's clocks are its own (data_bus.h); tRTW from read data to write data, tWTR from write data to a READ
 *   rank:  at n * tREFI, n > 0, a refresh closes every row and takes tRFC; ranks take turns
 *
 * Reads are served as they come, and may use any time that earlier calls left on a bank of their own and on the bus. Writes are
 * taken into the write queue; when write_high of them wait, those beyond write_low get their times like reads, row after row
 * (ddr_queue.c). A read of a line that waits there is answered from the queue, a write to one is merged with it. A request that
 * finds its queue full comes when an entry is free.
 *
 * Time: a request comes at the first edge of the memory's clock that is not before it; delays are rounded up to clocks, and what
 * comes out is rounded up to a core cycle. Only these roundings differ from exact time, and they do not add up.
 *
 * MODEL: commands have no bus of their own. Bank groups are banks: tCCD holds in one bank, tRRD is one for all banks. A rank's
 * data may follow another's at once. A refresh begins at its clock, whatever the bank does, and its PRECHARGE is in tRFC. Writes
 * are written by number of those that wait, never because nobody reads. An open row stays open until another one is wanted, or a
 * refresh. Reads already answered are not overtaken.
 *
 * Laws (check): row hits + empty + conflicts = reads - forwarded + writes - merged - waiting; bus clocks = that * clocks of a
 * line.
 */
#include "models/dram/ddr.h"

#include "models/settings.h"
#include "sim/metric.h"

#include <stdlib.h>

extern const struct dram_ops dram_ddr_ops;
struct dram *dram_ddr_create(const struct dram_wiring *wiring, struct error *error);

static const struct metric ddr_metrics[] = {
        METRIC(struct ddr_counters, reads, "1", "Lines read"),
        METRIC(struct ddr_counters, writes, "1", "Lines written by caches"),
        METRIC(struct ddr_counters, row_hits, "1", "Lines moved from or to a row that was open"),
        METRIC(struct ddr_counters, row_empty, "1", "Lines moved that found no row open in their bank"),
        METRIC(struct ddr_counters, row_conflicts, "1", "Lines moved that found another row open in their bank"),
        METRIC(struct ddr_counters, forwarded, "1", "Reads answered from the write queue"),
        METRIC(struct ddr_counters, merged, "1", "Writes to a line that waited in the write queue"),
        METRIC(struct ddr_counters, refresh_waits, "1", "Lines whose commands a refresh delayed"),
        METRIC(struct ddr_counters, read_queue_waits, "1", "Reads that found the read queue full"),
        METRIC(struct ddr_counters, write_queue_waits, "1", "Writes that found the write queue full"),
        METRIC(struct ddr_counters, write_drains, "1", "Times that write_high writes waited, and were written"),
        METRIC(struct ddr_counters, bus_clocks, "clocks", "Clocks of the memory with data on the bus, all channels in sum"),
        METRIC(struct ddr_counters, read_cycles, "cycles", "From the request of each line read to its arrival, in sum"),
        GAUGE(struct ddr_counters, writes_waiting, "1", "Writes in the write queues"),
        METRIC_END,
};

/* count * to / from, rounded up. */
static uint64_t scaled_up(const struct ddr_dram *ddr, uint64_t count, uint64_t from, uint64_t to)
{
	if (__builtin_expect(count <= ddr->exact_max, 1))
		return (count * to + from - 1) / from;
	return count / from * to + (count % from * to + from - 1) / from;
}

static uint64_t read_line(struct ddr_dram *ddr, const struct dram_place *place, uint64_t line, uint64_t clock)
{
	struct ddr_channel *channel = &ddr->channel[place->channel];
	ddr->counters.reads++;
	if (ddr_write_waits(channel, line)) {
		ddr->counters.forwarded++;
		return clock + ddr->timing.controller;
	}
	uint64_t taken = ddr_slots_take(&channel->read_slots, clock);
	ddr->counters.read_queue_waits += taken > clock;
	uint64_t end = ddr_move(ddr, place, false, taken);
	ddr_slots_give(&channel->read_slots, end);
	return end + ddr->timing.controller;
}

static cycle ddr_access(struct dram *dram, uint64_t physical, bool is_write, cycle now)
{
	struct ddr_dram *ddr = (struct ddr_dram *)dram;
	uint64_t line = physical >> ddr->map.line_shift;
	uint64_t clock = scaled_up(ddr, now, ddr->core_period, ddr->clock_period);
	struct dram_place place = address_map_place(&ddr->map, line);
	if (is_write) {
		ddr->counters.writes++;
		uint64_t taken = ddr_queue_write(ddr, &place, line, clock);
		return taken == clock ? now : scaled_up(ddr, taken, ddr->clock_period, ddr->core_period);
	}
	cycle done = scaled_up(ddr, read_line(ddr, &place, line, clock), ddr->clock_period, ddr->core_period);
	ddr->counters.read_cycles += done - now;
	return done;
}

/* ---- check ---- */

static void check_slots(const struct ddr_slots *slots)
{
	for (uint32_t i = 1; i < slots->count; i++)
		SIM_ASSERT(slots->free_at[(slots->first + i - 1) % DRAM_QUEUE_MAX] <=
		           slots->free_at[(slots->first + i) % DRAM_QUEUE_MAX]);
}

static void check_channel(const struct ddr_dram *ddr, const struct ddr_channel *channel)
{
	unsigned lines = 0, rows = 0;
	for (uint32_t i = 0; i < DRAM_FILTER_ENTRIES; i++) {
		lines += channel->line_filter[i];
		rows += channel->row_filter[i];
	}
	SIM_ASSERT(lines == channel->waiting && rows == channel->waiting);
	SIM_ASSERT(channel->waiting < ddr->write_high);
	SIM_ASSERT(channel->read_slots.count == ddr->read_queue);
	SIM_ASSERT(channel->write_slots.count + channel->waiting == ddr->write_queue);
	check_slots(&channel->read_slots);
	check_slots(&channel->write_slots);
	for (uint32_t bank = 0; bank < ddr->ranks * ddr->rank_banks; bank++)
		SIM_ASSERT(channel->bank[bank].activate_at >= channel->bank[bank].precharge_at);
}

static void ddr_check(const struct dram *dram)
{
	const struct ddr_dram *ddr = (const struct ddr_dram *)dram;
	const struct ddr_counters *counters = &ddr->counters;
	uint64_t moved = counters->row_hits + counters->row_empty + counters->row_conflicts, waiting = 0;
	for (uint32_t i = 0; i < ddr->channels; i++) {
		check_channel(ddr, &ddr->channel[i]);
		waiting += ddr->channel[i].waiting;
	}
	SIM_ASSERT(waiting == counters->writes_waiting);
	uint64_t read = counters->reads - counters->forwarded, queued = counters->writes - counters->merged;
	SIM_ASSERT(moved == read + queued - waiting);
	SIM_ASSERT(counters->bus_clocks == moved * ddr->timing.line);
	SIM_ASSERT(counters->refresh_waits <= moved);
	SIM_ASSERT(counters->read_queue_waits <= read && counters->write_queue_waits <= queued);
	SIM_ASSERT(counters->write_drains * (ddr->write_high - ddr->write_low) == queued - waiting);
	uint64_t least = (ddr->timing.controller + ddr->timing.tcl + ddr->timing.line) * ddr->core_period / ddr->clock_period;
	SIM_ASSERT(counters->read_cycles >= read * least);
}

static const void *ddr_counters(const struct dram *dram)
{
	return &((const struct ddr_dram *)dram)->counters;
}

static void ddr_destroy(struct dram *dram)
{
	struct ddr_dram *ddr = (struct ddr_dram *)dram;
	free(ddr->bank_memory);
	free(ddr->rank_memory);
	free(ddr->channel);
	free(ddr);
}

const struct dram_ops dram_ddr_ops = {
        .name = "ddr",
        .help = "SDRAM: channels, ranks and banks with open rows, data bus, refresh, queues (DDR3 to DDR5, SDR)",
        .access = ddr_access,
        .check = ddr_check,
        .metrics = ddr_metrics,
        .counters = ddr_counters,
        .destroy = ddr_destroy,
};

/* ---- making one ---- */

static uint64_t greatest_common_divisor(uint64_t left, uint64_t right)
{
	while (right) {
		uint64_t rest = left % right;
		left = right;
		right = rest;
	}
	return left;
}

/* Frequencies in kHz: a memory's clock has no finer digit, and products with them fit. */
static void set_periods(struct ddr_dram *ddr, const struct machine_settings *machine)
{
	uint64_t core_khz = machine->frequency_hz / 1000, clock_khz = machine->dram.clock_hz / 1000;
	uint64_t common = greatest_common_divisor(core_khz, clock_khz);
	ddr->core_period = core_khz / common;
	ddr->clock_period = clock_khz / common;
	uint64_t larger = ddr->core_period > ddr->clock_period ? ddr->core_period : ddr->clock_period;
	ddr->exact_max = UINT64_MAX / larger - 1;
}

static bool set_timing(struct ddr_dram *ddr, const struct machine_settings *machine, struct error *error)
{
	const struct dram_settings *dram = &machine->dram;
	uint32_t burst_bytes = dram->bus_bytes * dram->burst, line_bytes = machine->cache_line_bytes;
	uint32_t bursts = (line_bytes + burst_bytes - 1) / burst_bytes;
	uint32_t clocks = bursts * dram->burst / dram->transfers;
	ddr->timing = (struct ddr_timing){
	        .controller = dram_delay_clocks(dram->controller, machine),
	        .tcl = dram_delay_clocks(dram->tcl, machine),
	        .tcwl = dram_delay_clocks(dram->tcwl, machine),
	        .trcd = dram_delay_clocks(dram->trcd, machine),
	        .trp = dram_delay_clocks(dram->trp, machine),
	        .tras = dram_delay_clocks(dram->tras, machine),
	        .trtp = dram_delay_clocks(dram->trtp, machine),
	        .tccd = dram_delay_clocks(dram->tccd, machine),
	        .trrd = dram_delay_clocks(dram->trrd, machine),
	        .tfaw = dram_delay_clocks(dram->tfaw, machine),
	        .twr = dram_delay_clocks(dram->twr, machine),
	        .twtr = dram_delay_clocks(dram->twtr, machine),
	        .trtw = dram_delay_clocks(dram->trtw, machine),
	        .trfc = dram_delay_clocks(dram->trfc, machine),
	        .trefi = dram->trefi ? dram_delay_clocks(dram->trefi, machine) : DDR_NO_REFRESH,
	        .line = clocks,
	};
	struct ddr_timing *timing = &ddr->timing;
	if (clocks == 0 || clocks > DATA_BUS_BURST_MAX)
		return error_set(error, ERROR_USAGE,
		                 "machine.dram: a line of %u bytes takes %u clocks of the bus; it may take 1 to %u", line_bytes,
		                 clocks, DATA_BUS_BURST_MAX);
	uint64_t turn = timing->twtr + timing->tcl > timing->trtw ? timing->twtr + timing->tcl : timing->trtw;
	if (turn > DATA_BUS_TURN_MAX)
		return error_set(
		        error, ERROR_USAGE,
		        "machine.dram: the bus takes %llu clocks to turn around (tRTW, or tWTR + tCL); it may take at most %u",
		        (unsigned long long)turn, DATA_BUS_TURN_MAX);
	/* Between two refreshes a row is opened, used and closed. */
	uint64_t needed = timing->trfc + timing->tfaw + timing->trrd + timing->trp + timing->tras + timing->trcd + timing->tcl +
	                  timing->tcwl + timing->twr + timing->line;
	if (timing->trefi <= needed)
		return error_set(error, ERROR_USAGE,
		                 "machine.dram.trefi: %llu clocks leave no time between refreshes; more than %llu are needed "
		                 "(tRFC and a row opened, used and closed)",
		                 (unsigned long long)timing->trefi, (unsigned long long)needed);
	return true;
}

static bool set_queues(struct ddr_dram *ddr, const struct dram_settings *dram, struct error *error)
{
	ddr->read_queue = dram->read_queue;
	ddr->write_queue = dram->write_queue;
	ddr->write_high = dram->write_high;
	ddr->write_low = dram->write_low;
	if (ddr->write_high > ddr->write_queue)
		return error_set(error, ERROR_USAGE, "machine.dram.write_high: %u is more than machine.dram.write_queue, %u",
		                 ddr->write_high, ddr->write_queue);
	if (ddr->write_low >= ddr->write_high)
		return error_set(error, ERROR_USAGE, "machine.dram.write_low: %u is not less than machine.dram.write_high, %u",
		                 ddr->write_low, ddr->write_high);
	return true;
}

static void make_channels(struct ddr_dram *ddr)
{
	uint32_t ranks = ddr->channels * ddr->ranks;
	ddr->channel = xcalloc(ddr->channels, sizeof *ddr->channel);
	ddr->rank_memory = xcalloc(ranks, sizeof *ddr->rank_memory);
	ddr->bank_memory = xcalloc((size_t)ranks * ddr->rank_banks, sizeof *ddr->bank_memory);
	for (size_t bank = 0; bank < (size_t)ranks * ddr->rank_banks; bank++)
		ddr->bank_memory[bank].row = DDR_NO_ROW;
	for (uint32_t i = 0; i < ddr->channels; i++) {
		struct ddr_channel *channel = &ddr->channel[i];
		channel->rank = &ddr->rank_memory[(size_t)i * ddr->ranks];
		channel->bank = &ddr->bank_memory[(size_t)i * ddr->ranks * ddr->rank_banks];
		channel->bus.after_read = ddr->timing.trtw;
		channel->bus.after_write = ddr->timing.twtr + ddr->timing.tcl;
		ddr_slots_init(&channel->read_slots, ddr->read_queue);
		ddr_slots_init(&channel->write_slots, ddr->write_queue);
		/* The last rank's first refresh is at tREFI, the others' in equal steps before. */
		for (uint32_t rank = 0; rank < ddr->ranks; rank++)
			channel->rank[rank].refresh_offset = ddr->timing.trefi - ddr->timing.trefi / ddr->ranks * (rank + 1);
	}
}

struct dram *dram_ddr_create(const struct dram_wiring *wiring, struct error *error)
{
	const struct machine_settings *machine = &wiring->settings->machine;
	struct ddr_dram *ddr = xcalloc(1, sizeof *ddr);
	ddr->dram.ops = &dram_ddr_ops;
	ddr->channels = machine->dram.channels;
	ddr->ranks = machine->dram.ranks;
	ddr->rank_banks = machine->dram.bank_groups * machine->dram.banks;
	ddr->closed_page = machine->dram.page_policy == DRAM_PAGE_CLOSED;
	set_periods(ddr, machine);
	if (!address_map_init(&ddr->map, machine, error) || !set_timing(ddr, machine, error) ||
	    !set_queues(ddr, &machine->dram, error)) {
		free(ddr);
		return NULL;
	}
	make_channels(ddr);
	return &ddr->dram;
}
