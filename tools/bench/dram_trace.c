/* SPDX-License-Identifier: MIT
 *
 * dram_trace.c - traces of lines for main memory in DRAMsim3's text format, and the dram/ddr model run on them. For
 * tools/bench/dramsim3-parity, which holds the two side by side.
 *
 *     kmemsim-dram-trace make random|stream|four APART WRITES COUNT   a trace on standard output: COUNT lines, mean APART clocks
 *                                                                     between two, WRITES of a hundred are written; four: runs of
 *                                                                     four lines of a random row
 *     kmemsim-dram-trace run < TRACE                                  prints the mean clocks of a read and the clock of the last
 * end
 *
 * The memory is that of DRAMsim3's DDR4_8Gb_x8_3200.ini with one rank and the core at the memory's clock, so that cycles are
 * clocks.
 */
#include "models/registry.h"
#include "models/settings.h"
#include "sim/metric.h"
#include "sim/rng.h"
#include "sim/setting.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_BYTES 64u
#define ROW_BYTES 8192u
#define LINES (1u << 27) /* of 8 GiB */

static int make_trace(const char *kind, uint64_t apart, uint64_t writes, uint64_t count)
{
	struct rng rng;
	uint64_t clock = 0, address = 0;
	rng_init(&rng, 5, "dram trace");
	for (uint64_t i = 0; i < count; i++) {
		uint64_t random = rng_next(&rng);
		if (strcmp(kind, "random") == 0)
			address = random % LINES * LINE_BYTES;
		else if (strcmp(kind, "four") == 0 && i % 4 == 0)
			address = random % (LINES * (uint64_t)LINE_BYTES / ROW_BYTES) * ROW_BYTES;
		else
			address += LINE_BYTES;
		printf("0x%" PRIx64 " %s %" PRIu64 "\n", address, rng_next(&rng) % 100 < writes ? "WRITE" : "READ", clock);
		clock += rng_next(&rng) % (2 * apart + 1);
	}
	return EXIT_SUCCESS;
}

/* What differs from the defaults, which are this memory's timings. */
static const char *const values[][2] = {
        {"machine.frequency", "1600 MHz"},       {"machine.dram.channels", "1"},
        {"machine.dram.bank_hash", "false"},     {"machine.dram.mapping", "row:rank:bank:group:column:channel"},
        {"machine.dram.controller", "0 clocks"}, {"machine.dram.trfc", "560 clocks"},
        {"machine.dram.trefi", "12480 clocks"},  {"machine.dram.write_queue", "32"}};

static struct dram *make_memory(struct settings *settings)
{
	struct error error = {0};
	settings_init(settings);
	for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
		if (!setting_set(setting_find(settings_table(), values[i][0]), &values[i][1], 1, false, NULL, settings,
		                 "dram_trace", &error))
			break;
	struct dram *dram = NULL;
	if (error.kind == ERROR_NONE)
		dram = dram_model("ddr", &error)->create(&(struct dram_wiring){.settings = settings}, &error);
	if (!dram)
		fprintf(stderr, "kmemsim-dram-trace: %s\n", error.text);
	return dram;
}

static int run_trace(void)
{
	struct settings settings;
	struct dram *dram = make_memory(&settings);
	if (!dram)
		return ERROR_USAGE;
	char kind[16];
	uint64_t address, clock, reads = 0, latency = 0;
	cycle last = 0;
	while (scanf("%" SCNx64 " %15s %" SCNu64, &address, kind, &clock) == 3) {
		bool is_write = strcmp(kind, "WRITE") == 0;
		cycle end = dram_access(dram, address, is_write, clock);
		last = end > last ? end : last;
		latency += is_write ? 0 : end - clock;
		reads += !is_write;
	}
	printf("%.1f %" PRIu64 "\n", reads ? (double)latency / (double)reads : 0.0, last);
	dram_check(dram);
	dram_destroy(dram);
	settings_release(&settings);
	return EXIT_SUCCESS;
}

int main(int count, char **arguments)
{
	if (count == 6 && strcmp(arguments[1], "make") == 0)
		return make_trace(arguments[2], strtoull(arguments[3], NULL, 10), strtoull(arguments[4], NULL, 10),
		                  strtoull(arguments[5], NULL, 10));
	if (count == 2 && strcmp(arguments[1], "run") == 0)
		return run_trace();
	fputs("kmemsim-dram-trace: expected make KIND APART WRITES COUNT, or run\n", stderr);
	return ERROR_USAGE;
}
