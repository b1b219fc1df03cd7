/* SPDX-License-Identifier: MIT
 *
 * ddr_queue.c - the queues of a channel (interface: ddr.h). A read holds its entry until its data has ended, a write until its
 * own has; the slots know since when an entry that is not in use is free.
 */
#include "models/dram/ddr.h"

static uint64_t *slot_of(struct ddr_slots *slots, uint32_t index)
{
	return &slots->free_at[(slots->first + index) % DRAM_QUEUE_MAX];
}

void ddr_slots_init(struct ddr_slots *slots, uint32_t count)
{
	SIM_ASSERT(count <= DRAM_QUEUE_MAX);
	slots->first = 0;
	slots->count = count;
	for (uint32_t i = 0; i < count; i++)
		slots->free_at[i] = 0;
}

uint64_t ddr_slots_take(struct ddr_slots *slots, uint64_t now)
{
	SIM_ASSERT(slots->count > 0);
	uint64_t free_at = *slot_of(slots, 0);
	slots->first++;
	slots->count--;
	return free_at > now ? free_at : now;
}

/* Most are the latest, or nearly so, and stand at the end at once. */
void ddr_slots_give(struct ddr_slots *slots, uint64_t free_at)
{
	SIM_ASSERT(slots->count < DRAM_QUEUE_MAX);
	uint32_t place = slots->count++;
	for (; place > 0 && *slot_of(slots, place - 1) > free_at; place--)
		*slot_of(slots, place) = *slot_of(slots, place - 1);
	*slot_of(slots, place) = free_at;
}

static struct ddr_waiting_write *write_of(struct ddr_channel *channel, uint32_t index)
{
	return &channel->write[(channel->first_write + index) % DRAM_QUEUE_MAX];
}

bool ddr_write_waits(struct ddr_channel *channel, uint64_t line)
{
	if (channel->line_filter[ddr_filter_of(line)] == 0)
		return false;
	for (uint32_t i = 0; i < channel->waiting; i++)
		if (write_of(channel, i)->line == line)
			return true;
	return false;
}

static bool is_same_row(const struct ddr_waiting_write *left, const struct ddr_waiting_write *right)
{
	return left->row == right->row && left->bank == right->bank && left->rank == right->rank;
}

/* Where a write stands: behind the last one to its row, else at the end. */
static uint32_t place_of(struct ddr_channel *channel, const struct ddr_waiting_write *write)
{
	if (channel->row_filter[ddr_filter_of(write->row)] == 0)
		return channel->waiting;
	for (uint32_t i = channel->waiting; i > 0; i--)
		if (is_same_row(write_of(channel, i - 1), write))
			return i;
	return channel->waiting;
}

static void put_in(struct ddr_channel *channel, const struct ddr_waiting_write *write)
{
	uint32_t place = place_of(channel, write);
	for (uint32_t i = channel->waiting++; i > place; i--)
		*write_of(channel, i) = *write_of(channel, i - 1);
	*write_of(channel, place) = *write;
	channel->line_filter[ddr_filter_of(write->line)]++;
	channel->row_filter[ddr_filter_of(write->row)]++;
}

static struct ddr_waiting_write take_first(struct ddr_channel *channel)
{
	struct ddr_waiting_write write = *write_of(channel, 0);
	channel->first_write++;
	channel->waiting--;
	channel->line_filter[ddr_filter_of(write.line)]--;
	channel->row_filter[ddr_filter_of(write.row)]--;
	return write;
}

/*
 * Writes until `write_low` wait, each at the first clocks that the reads and writes booked so far leave; reads that come from now
 * on may go between them where the bus has time to turn around. Row after row: those to the row of the oldest write, then those
 * to the row of the oldest of the others.
 */
static void drain_writes(struct ddr_dram *ddr, uint32_t channel_nr, uint64_t now)
{
	struct ddr_channel *channel = &ddr->channel[channel_nr];
	while (channel->waiting > ddr->write_low) {
		const struct ddr_waiting_write write = take_first(channel);
		ddr->counters.writes_waiting--;
		const struct dram_place place = {channel_nr, write.rank, write.bank, write.row};
		ddr_slots_give(&channel->write_slots, ddr_move(ddr, &place, true, now));
	}
	ddr->counters.write_drains++;
}

uint64_t ddr_queue_write(struct ddr_dram *ddr, const struct dram_place *place, uint64_t line, uint64_t now)
{
	struct ddr_channel *channel = &ddr->channel[place->channel];
	if (ddr_write_waits(channel, line)) {
		ddr->counters.merged++;
		return now;
	}
	uint64_t taken = ddr_slots_take(&channel->write_slots, now);
	ddr->counters.write_queue_waits += taken > now;
	put_in(channel, &(struct ddr_waiting_write){.line = line, .row = place->row, .rank = place->rank, .bank = place->bank});
	ddr->counters.writes_waiting++;
	if (channel->waiting >= ddr->write_high)
		drain_writes(ddr, place->channel, taken);
	return taken;
}
