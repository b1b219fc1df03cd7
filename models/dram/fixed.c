/* SPDX-License-Identifier: MIT
 *
 * fixed.c - main memory in which every line takes machine.dram.latency, however many are on their way.
 *
 * MODEL: no machine has it: it is the memory without banks, bus and refresh that others are held against. Writes are taken at
 * once.
 * Law: read_cycles = reads * latency.
 */
#include "models/dram_settings.h"
#include "models/settings.h"
#include "sim/metric.h"
#include "sim/port/dram.h"

#include <stdlib.h>

extern const struct dram_ops dram_fixed_ops;
struct dram *dram_fixed_create(const struct dram_wiring *wiring, struct error *error);

struct fixed_counters {
	uint64_t reads, writes, read_cycles;
};

struct fixed_dram {
	struct dram dram;
	uint64_t latency_cycles;
	struct fixed_counters counters;
};

static const struct metric fixed_metrics[] = {
        METRIC(struct fixed_counters, reads, "1", "Lines read"),
        METRIC(struct fixed_counters, writes, "1", "Lines written"),
        METRIC(struct fixed_counters, read_cycles, "cycles", "From the request of each line read to its arrival, in sum"),
        METRIC_END,
};

static cycle fixed_access(struct dram *dram, uint64_t physical, bool is_write, cycle now)
{
	(void)physical;
	struct fixed_dram *fixed = (struct fixed_dram *)dram;
	if (is_write) {
		fixed->counters.writes++;
		return now;
	}
	fixed->counters.reads++;
	fixed->counters.read_cycles += fixed->latency_cycles;
	return now + fixed->latency_cycles;
}

static void fixed_check(const struct dram *dram)
{
	const struct fixed_dram *fixed = (const struct fixed_dram *)dram;
	SIM_ASSERT(fixed->counters.read_cycles == fixed->counters.reads * fixed->latency_cycles);
}

static const void *fixed_counters(const struct dram *dram)
{
	return &((const struct fixed_dram *)dram)->counters;
}

static void fixed_destroy(struct dram *dram)
{
	free(dram);
}

const struct dram_ops dram_fixed_ops = {
        .name = "fixed",
        .help = "every line takes machine.dram.latency, without end of bandwidth",
        .access = fixed_access,
        .check = fixed_check,
        .metrics = fixed_metrics,
        .counters = fixed_counters,
        .destroy = fixed_destroy,
};

struct dram *dram_fixed_create(const struct dram_wiring *wiring, struct error *error)
{
	(void)error;
	const struct machine_settings *machine = &wiring->settings->machine;
	struct fixed_dram *fixed = xcalloc(1, sizeof *fixed);
	fixed->dram.ops = &dram_fixed_ops;
	fixed->latency_cycles = dram_delay_cycles(machine->dram.latency, machine);
	return &fixed->dram;
}
