/* SPDX-License-Identifier: MIT
 *
 * ddr_bank.c - the commands of one line: PRECHARGE and ACTIVATE where its row is not open, READ or WRITE, and its burst, each at
 * the first clock that bank, rank, bus and refresh allow (interface: ddr.h).
 *
 * A plan is made without changing anything; where a refresh comes between its commands it is made anew behind the refresh.
 */
#include "models/dram/ddr.h"

enum row_state { ROW_HIT, ROW_EMPTY, ROW_CONFLICT };

struct plan {
	const struct ddr_timing *timing;
	struct ddr_channel *channel;
	struct ddr_rank *rank;
	struct ddr_bank *bank;
	uint64_t row;
	uint64_t latency; /* READ or WRITE to its data */
	bool is_write;
	/* What the plan says. */
	enum row_state state;
	bool refresh_waited;
	struct activation activation; /* unless ROW_HIT */
	uint64_t column, data;        /* the clocks of READ or WRITE, and of the first data */
	uint64_t refreshes;
};

static uint64_t later(uint64_t left, uint64_t right)
{
	return left > right ? left : right;
}

/* Refreshes that the rank has begun up to a clock. Refresh n > 0 begins at n * tREFI of the rank's own count of clocks. */
static uint64_t refreshes_at(struct ddr_rank *rank, uint64_t clock, uint64_t trefi)
{
	clock += rank->refresh_offset;
	if (__builtin_expect(clock - rank->refreshed_at >= trefi, 0)) {
		rank->refreshes = clock / trefi;
		rank->refreshed_at = rank->refreshes * trefi;
	}
	return rank->refreshes;
}

/* The first clock at which the rank, asked for that clock before, takes commands again. */
static uint64_t refreshed(const struct ddr_rank *rank, uint64_t trfc)
{
	return rank->refreshes ? rank->refreshed_at + trfc - rank->refresh_offset : 0;
}

static enum row_state state_of(const struct plan *plan)
{
	const struct ddr_bank *bank = plan->bank;
	if (bank->row == DDR_NO_ROW || bank->refreshes < plan->refreshes)
		return ROW_EMPTY;
	return bank->row == plan->row ? ROW_HIT : ROW_CONFLICT;
}

/* The first clock from `from` on of READ or WRITE for its bank and rank; fills the activation that it needs. */
static uint64_t column_of(struct plan *plan, uint64_t from)
{
	const struct ddr_timing *timing = plan->timing;
	const struct ddr_bank *bank = plan->bank;
	if (plan->state == ROW_HIT)
		return later(from, bank->column_at);
	uint64_t activate =
	        plan->state == ROW_EMPTY ? later(from, bank->activate_at) : later(from, bank->precharge_at) + timing->trp;
	plan->activation = activations_find(&plan->rank->activations, activate, timing->trrd, timing->tfaw);
	return plan->activation.at + timing->trcd;
}

/* Fills what the plan says, with commands from `from` on. */
static void make_plan(struct plan *plan, uint64_t from)
{
	const struct ddr_timing *timing = plan->timing;
	struct ddr_rank *rank = plan->rank;
	for (;;) {
		plan->refreshes = refreshes_at(rank, from, timing->trefi);
		uint64_t ready = refreshed(rank, timing->trfc);
		plan->refresh_waited |= from < ready;
		plan->state = state_of(plan);
		uint64_t data = column_of(plan, later(from, ready)) + plan->latency;
		plan->data = data_bus_find(&plan->channel->bus, plan->is_write, data, timing->line);
		plan->column = plan->data - plan->latency;
		if (refreshes_at(rank, plan->column, timing->trefi) == plan->refreshes)
			return;
		plan->refresh_waited = true;
		from = rank->refreshed_at - rank->refresh_offset;
	}
}

static void count(struct ddr_counters *counters, const struct plan *plan)
{
	counters->row_hits += plan->state == ROW_HIT;
	counters->row_empty += plan->state == ROW_EMPTY;
	counters->row_conflicts += plan->state == ROW_CONFLICT;
	counters->refresh_waits += plan->refresh_waited;
	counters->bus_clocks += plan->timing->line;
}

uint64_t ddr_move(struct ddr_dram *ddr, const struct dram_place *place, bool is_write, uint64_t from)
{
	const struct ddr_timing *timing = &ddr->timing;
	struct ddr_channel *channel = &ddr->channel[place->channel];
	struct ddr_bank *bank = &channel->bank[place->rank * ddr->rank_banks + place->bank];
	struct plan plan = {
	        .timing = timing, .channel = channel, .rank = &channel->rank[place->rank], .bank = bank, .row = place->row};
	plan.latency = is_write ? timing->tcwl : timing->tcl;
	plan.is_write = is_write;
	/* Calls come in the bank's order, so the bank's last READ or WRITE stands before all of this line's commands. */
	if (bank->column_at)
		from = later(from, bank->column_at - timing->tccd);
	make_plan(&plan, from);
	count(&ddr->counters, &plan);
	data_bus_book(&channel->bus, is_write, plan.data, timing->line);
	if (plan.state != ROW_HIT) {
		activations_make(&plan.rank->activations, &plan.activation);
		bank->precharge_at = plan.activation.at + timing->tras;
	}
	uint64_t end = plan.data + timing->line;
	bank->precharge_at = later(bank->precharge_at, is_write ? end + timing->twr : plan.column + timing->trtp);
	bank->activate_at = bank->precharge_at + timing->trp;
	bank->column_at = plan.column + timing->tccd;
	bank->refreshes = plan.refreshes;
	bank->row = ddr->closed_page ? DDR_NO_ROW : place->row;
	return end;
}
