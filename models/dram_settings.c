/* SPDX-License-Identifier: MIT
 *
 * dram_settings.c - delays of machine.dram in whole clocks (interface and rule: dram_settings.h).
 */
#include "models/dram_settings.h"

#include "models/registry.h"
#include "models/settings.h"
#include "sim/setting.h"

#define PICOSECONDS_PER_SECOND 1000000000000ull

/*
 * count * to / from, rounded up. Exact: the count's whole periods first, so that no product is larger than from * to, and
 * settings keep frequencies to 100 GHz; both are taken in kHz, where a memory's clock has its last digit.
 */
static uint64_t scaled_up(uint64_t count, uint64_t from, uint64_t to)
{
	return count / from * to + (count % from * to + from - 1) / from;
}

/* A delay in clocks of `hz`. */
static uint64_t delay_in(uint64_t delay, uint64_t hz, const struct machine_settings *machine)
{
	uint64_t count = SETTING_DELAY_COUNT(delay), khz = hz / 1000;
	if (delay & SETTING_DELAY_CLOCKS)
		return scaled_up(count, machine->dram.clock_hz / 1000, khz);
	if (delay & SETTING_DELAY_CYCLES)
		return scaled_up(count, machine->frequency_hz / 1000, khz);
	return scaled_up(count, PICOSECONDS_PER_SECOND / 1000, khz);
}

uint64_t dram_delay_cycles(uint64_t delay, const struct machine_settings *machine)
{
	return delay_in(delay, machine->frequency_hz, machine);
}

uint64_t dram_delay_clocks(uint64_t delay, const struct machine_settings *machine)
{
	return delay_in(delay, machine->dram.clock_hz, machine);
}

struct dram *dram_of_settings(const struct settings *settings, struct error *error)
{
	const struct dram_model *model = dram_model(settings->machine.dram.model, error);
	return model ? model->create(&(struct dram_wiring){.settings = settings}, error) : NULL;
}
