/* SPDX-License-Identifier: MIT
 *
 * dram_settings.h - what machine.dram means in clocks: delays of picoseconds, memory clocks or core cycles (sim/setting.h,
 * SETTING_DELAY) as whole numbers of one clock.
 *
 * Rule: a delay is rounded up to whole clocks of its user, as a memory controller has to: commands begin at edges of the memory's
 * clock (JESD79-4, "rounding algorithms", without its tolerance of 2.5 %: a bin's own numbers are told in clocks).
 */
#ifndef MODELS_DRAM_SETTINGS_H
#define MODELS_DRAM_SETTINGS_H

#include "sim/base.h"

struct dram;
struct machine_settings;
struct settings;

/* The main memory that machine.dram describes; NULL with *error. */
struct dram *dram_of_settings(const struct settings *settings, struct error *error);

/* Most entries of a queue in front of main memory. */
#define DRAM_QUEUE_MAX 256u

/* A delay of the settings in cycles of the core clock, and in clocks of the memory; rounded up. */
uint64_t dram_delay_cycles(uint64_t delay, const struct machine_settings *machine);
uint64_t dram_delay_clocks(uint64_t delay, const struct machine_settings *machine);

#endif
