/* SPDX-License-Identifier: MIT
 *
 * test_dram.c - main memory against closed forms: every model of the dram port against what the port promises, each timing rule
 * of dram/ddr.c at its edge, and its parts against brute force. Each test names the mistake it would catch.
 */
#include "models/dram/activations.h"
#include "models/dram/address_map.h"
#include "models/dram/data_bus.h"
#include "models/registry.h"
#include "models/scenario.h"
#include "models/settings.h"
#include "sim/metric.h"
#include "sim/rng.h"
#include "sim/setting.h"
#include "tests/unit/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Sets a value by its key, as a scenario would. */
static void set(struct settings *settings, const char *key, const char *text)
{
	struct error error = {0};
	const struct setting *row = setting_find(settings_table(), key);
	if (!row)
		fail_msg("no setting %s", key);
	if (!setting_set(row, &text, 1, false, NULL, settings, "test", &error))
		fail_msg("%s", error.text);
}

static struct dram *make(const char *name, const struct settings *settings)
{
	struct error error = {0};
	const struct dram_model *model = dram_model(name, &error);
	struct dram *dram = model ? model->create(&(struct dram_wiring){.settings = settings}, &error) : NULL;
	if (!dram)
		fail_msg("%s", error.text);
	return dram;
}

static uint64_t counter(const struct dram *dram, const char *name)
{
	for (const struct metric *metric = dram->ops->metrics; metric->name; metric++)
		if (strcmp(metric->name, name) == 0)
			return metric_value(metric, dram->ops->counters(dram));
	fail_msg("no counter %s", name);
	return 0;
}

/* ---- every model ---- */

/*
 * Random lines at times that go on, stand and fall back by some hundred cycles. Would catch: an answer before the request, a
 * request that is not counted, a model whose answers depend on what another one did.
 */
static void every_model_keeps_the_contract(void **state)
{
	(void)state;
	for (const struct dram_model *model = dram_models; model->ops; model++) {
		struct settings settings;
		settings_init(&settings);
		struct dram *dram = make(model->ops->name, &settings), *twin = make(model->ops->name, &settings);
		struct rng rng;
		rng_init(&rng, 1, "dram");
		cycle now = 1000;
		uint64_t writes = 0, calls = 20000;
		for (uint64_t call = 0; call < calls; call++) {
			uint64_t random = rng_next(&rng), address = random >> 20 & 0xffffffff;
			bool is_write = random % 3 == 0;
			cycle at = now - random / 16 % 500;
			cycle done = dram_access(dram, address, is_write, at);
			assert_true(done >= at);
			assert_int_equal(done, dram_access(twin, address, is_write, at));
			now += random / 1024 % 64;
			writes += is_write;
		}
		assert_int_equal(counter(dram, "writes"), writes);
		assert_int_equal(counter(dram, "reads"), calls - writes);
		dram_check(dram);
		dram_destroy(dram);
		dram_destroy(twin);
		settings_release(&settings);
	}
}

/* ---- fixed ---- */

/*
 * 80 ns of a core of 2.5 GHz are 200 cycles, of one of 3.333 GHz 266.64: 267. Four memory clocks of 1.2 GHz are 10 cycles of
 * 3 GHz. Would catch: a delay rounded down, or told in the wrong clock.
 */
static void fixed_latency_in_any_unit(void **state)
{
	(void)state;
	static const struct {
		const char *frequency, *latency;
		cycle cycles;
	} cases[] = {{"2.5 GHz", "80 ns", 200}, {"3.333 GHz", "80 ns", 267}, {"3 GHz", "240 cycles", 240},
	             {"3 GHz", "4 clocks", 10}, {"3 GHz", "1 ps", 1},        {"3 GHz", "0 ps", 0}};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct settings settings;
		settings_init(&settings);
		set(&settings, "machine.frequency", cases[i].frequency);
		set(&settings, "machine.dram.latency", cases[i].latency);
		set(&settings, "machine.dram.clock", "1200 MHz");
		struct dram *dram = make("fixed", &settings);
		assert_int_equal(dram_access(dram, 0x1234, false, 7), 7 + cases[i].cycles);
		assert_int_equal(dram_access(dram, 0x1234, false, 7), 7 + cases[i].cycles);
		assert_int_equal(dram_access(dram, 0x1234, true, 7), 7);
		dram_check(dram);
		dram_destroy(dram);
		settings_release(&settings);
	}
}

/* ---- ddr: a memory whose numbers are told apart in any sum ---- */

/* The memory's clock is the core's, so that cycles are clocks. Delays in clocks. */
enum {
	CONTROLLER = 1000,
	TCL = 11,
	TCWL = 9,
	TRCD = 13,
	TRP = 17,
	TRAS = 41,
	TRTP = 6,
	TCCD = 5,
	TRRD = 3,
	TFAW = 29,
	TWR = 19,
	TWTR = 8,
	TRTW = 2,
	TRFC = 211,
	TREFI = 5000,
	LINE = 4,
	GROUPS = 4,
	BANKS = 4,
	COLUMNS = 128
};

/* Of a read of a row that is open; of one in a closed bank; of one where another row is open. */
enum { HIT = TCL + LINE + CONTROLLER, EMPTY = TRCD + HIT, CONFLICT = TRP + EMPTY };

struct rig {
	struct settings settings;
	struct dram *dram;
};

static void set_clocks(struct settings *settings, const char *key, unsigned clocks)
{
	char name[64], text[32];
	snprintf(name, sizeof name, "machine.dram.%s", key);
	snprintf(text, sizeof text, "%u clocks", clocks);
	set(settings, name, text);
}

/* Without refresh, rows and columns as they are named, writes written at once. */
static void rig_init(struct rig *rig)
{
	static const struct {
		const char *key;
		unsigned clocks;
	} delays[] = {{"controller", CONTROLLER},
	              {"tcl", TCL},
	              {"tcwl", TCWL},
	              {"trcd", TRCD},
	              {"trp", TRP},
	              {"tras", TRAS},
	              {"trtp", TRTP},
	              {"tccd", TCCD},
	              {"trrd", TRRD},
	              {"tfaw", TFAW},
	              {"twr", TWR},
	              {"twtr", TWTR},
	              {"trtw", TRTW},
	              {"trfc", TRFC}};
	static const char *const values[][2] = {{"machine.frequency", "1 GHz"},   {"machine.dram.clock", "1 GHz"},
	                                        {"machine.dram.channels", "1"},   {"machine.dram.bank_hash", "false"},
	                                        {"machine.dram.trefi", "off"},    {"machine.dram.read_queue", "256"},
	                                        {"machine.dram.write_high", "1"}, {"machine.dram.write_low", "0"}};
	rig->dram = NULL;
	settings_init(&rig->settings);
	for (size_t i = 0; i < sizeof values / sizeof *values; i++)
		set(&rig->settings, values[i][0], values[i][1]);
	for (size_t i = 0; i < sizeof delays / sizeof *delays; i++)
		set_clocks(&rig->settings, delays[i].key, delays[i].clocks);
}

static void rig_make(struct rig *rig)
{
	rig->dram = make("ddr", &rig->settings);
}

static void rig_release(struct rig *rig)
{
	dram_check(rig->dram);
	dram_destroy(rig->dram);
	settings_release(&rig->settings);
}

/* A line's address by the default mapping, row:rank:bank:column:group:channel; `bank` counts through all groups. */
static uint64_t at(unsigned bank, uint64_t row, unsigned column)
{
	return (((row * BANKS + bank % BANKS) * COLUMNS + column) * GROUPS + bank / BANKS) * 64;
}

static cycle read_at(struct rig *rig, uint64_t address, cycle now)
{
	return dram_access(rig->dram, address, false, now);
}

/* Would catch: any of the three latencies wrong, a row not kept open or not closed, an outcome counted as another. */
static void idle_latencies(void **state)
{
	(void)state;
	struct rig rig;
	rig_init(&rig);
	rig_make(&rig);
	assert_int_equal(read_at(&rig, at(3, 7, 0), 100), 100 + EMPTY);
	assert_int_equal(read_at(&rig, at(3, 7, 5), 1000), 1000 + HIT);
	assert_int_equal(read_at(&rig, at(3, 8, 5), 2000), 2000 + CONFLICT);
	assert_int_equal(read_at(&rig, at(9, 8, 5), 3000), 3000 + EMPTY);
	assert_int_equal(read_at(&rig, at(9, 8, 5) + 63, 4000), 4000 + HIT);
	assert_int_equal(counter(rig.dram, "row_hits"), 2);
	assert_int_equal(counter(rig.dram, "row_empty"), 2);
	assert_int_equal(counter(rig.dram, "row_conflicts"), 1);
	assert_int_equal(counter(rig.dram, "bus_clocks"), 5 * LINE);
	assert_int_equal(counter(rig.dram, "read_cycles"), 2 * HIT + 2 * EMPTY + CONFLICT);
	rig_release(&rig);
}

/* Would catch: a closed-page memory that finds a row open, or that does not wait for its own PRECHARGE. */
static void closed_page(void **state)
{
	(void)state;
	struct rig rig;
	rig_init(&rig);
	set(&rig.settings, "machine.dram.page_policy", "closed");
	rig_make(&rig);
	for (uint64_t i = 0; i < 4; i++)
		assert_int_equal(read_at(&rig, at(3, 7, 0), 100 + i * 1000), 100 + i * 1000 + EMPTY);
	assert_int_equal(read_at(&rig, at(3, 7, 0), 3101), 3100 + TRAS + TRP + EMPTY);
	assert_int_equal(counter(rig.dram, "row_empty"), 5);
	rig_release(&rig);
}

/* Would catch: lines of one row slower or faster than tCCD; those of several groups slower than the bus. */
static void a_stream_runs_at_the_rate_of_the_bus(void **state)
{
	(void)state;
	struct rig rig;
	rig_init(&rig);
	rig_make(&rig);
	for (unsigned i = 0; i < COLUMNS; i++)
		assert_int_equal(read_at(&rig, at(0, 1, i), 0), EMPTY + i * TCCD);
	rig_release(&rig);
	rig_init(&rig);
	rig_make(&rig);
	/* Rows first, far apart, so that the stream finds them open. */
	for (unsigned bank = 0; bank < GROUPS * BANKS; bank++)
		read_at(&rig, at(bank, 1, 0), bank * 100);
	for (uint64_t i = 0; i < GROUPS * COLUMNS; i++)
		assert_int_equal(read_at(&rig, at(0, 1, 0) + i * 64, 10000), 10000 + HIT + i * LINE);
	rig_release(&rig);
}

/*
 * Two channels of 8 bytes, 2 x 1.6 GHz: 25.6 GB/s each; N lines of a core of 3 GHz end after N * 64 / 51.2 ns. Would catch: a
 * burst's clocks rounded to cycles, so that the error grows with N; channels that wait for each other.
 */
static void bandwidth_of_the_channels(void **state)
{
	(void)state;
	struct rig rig;
	rig_init(&rig);
	set(&rig.settings, "machine.frequency", "3 GHz");
	set(&rig.settings, "machine.dram.clock", "1.6 GHz");
	set(&rig.settings, "machine.dram.channels", "2");
	set(&rig.settings, "machine.dram.controller", "0 ps");
	rig_make(&rig);
	const uint64_t lines = 2 * GROUPS * COLUMNS, first = 1000000;
	for (uint64_t i = 0; i < 2 * GROUPS; i++)
		read_at(&rig, i * 64, i * 1000);
	cycle done = 0;
	for (uint64_t i = 0; i < lines; i++)
		done = read_at(&rig, i * 64, first);
	/* 1000000 cycles are 533333.3 clocks; the last data ends at clock 533334 + tCL + lines / 2 * 4. */
	uint64_t clocks = 533334 + TCL + lines / 2 * LINE;
	assert_int_equal(done, (clocks * 15 + 7) / 8);
	rig_release(&rig);
}

/* A core of 3 GHz, a clock of 1.6 GHz: 15 cycles are 8 clocks. Would catch: a late time that overflows, and then is rounded off.
 */
static void late_times_are_as_exact_as_early_ones(void **state)
{
	(void)state;
	for (unsigned phase = 0; phase < 15; phase++) {
		struct rig rig;
		rig_init(&rig);
		set(&rig.settings, "machine.frequency", "3 GHz");
		set(&rig.settings, "machine.dram.clock", "1.6 GHz");
		rig_make(&rig);
		cycle early = read_at(&rig, at(0, 1, 0), phase);
		cycle late = read_at(&rig, at(1, 1, 0), (15ull << 57) + phase) - (15ull << 57);
		assert_int_equal(early,
		                 ((phase * 8 + 14) / 15 + EMPTY) * 15 / 8 + (((phase * 8 + 14) / 15 + EMPTY) * 15 % 8 > 0));
		assert_int_equal(late, early);
		rig_release(&rig);
	}
}

/* Would catch: a line of two bursts that takes the bus for one, a burst longer than the line that takes it for none. */
static void lines_are_whole_bursts(void **state)
{
	(void)state;
	static const struct {
		const char *line, *bus;
		unsigned clocks;
	} cases[] = {{"128 B", "8 B", 2 * LINE}, {"64 B", "16 B", LINE}, {"32 B", "8 B", LINE}, {"64 B", "2 B", 4 * LINE}};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct rig rig;
		rig_init(&rig);
		set(&rig.settings, "machine.cache_line", cases[i].line);
		set(&rig.settings, "machine.dram.bus", cases[i].bus);
		rig_make(&rig);
		assert_int_equal(read_at(&rig, 0, 0), EMPTY - LINE + cases[i].clocks);
		assert_int_equal(counter(rig.dram, "bus_clocks"), cases[i].clocks);
		rig_release(&rig);
	}
}

/* Would catch: rows of one bank opened faster than tRC = tRAS + tRP, or, where tRTP is longer, than tRCD + tRTP + tRP. */
static void rows_of_one_bank_come_at_trc(void **state)
{
	(void)state;
	struct rig rig;
	rig_init(&rig);
	rig_make(&rig);
	for (uint64_t row = 0; row < 100; row++)
		assert_int_equal(read_at(&rig, at(5, row, 0), 0), EMPTY + row * (TRAS + TRP));
	rig_release(&rig);
	rig_init(&rig);
	set_clocks(&rig.settings, "trtp", 50);
	rig_make(&rig);
	for (uint64_t row = 0; row < 100; row++)
		assert_int_equal(read_at(&rig, at(5, row, 0), 0), EMPTY + row * (TRCD + 50 + TRP));
	rig_release(&rig);
}

/* Would catch: banks that wait for each other, a fifth ACTIVATE within tFAW, tRRD not held. */
static void banks_overlap_within_trrd_and_tfaw(void **state)
{
	(void)state;
	struct rig rig;
	rig_init(&rig);
	set_clocks(&rig.settings, "trrd", LINE + 1);
	rig_make(&rig);
	for (unsigned bank = 0; bank < GROUPS * BANKS; bank++)
		assert_int_equal(read_at(&rig, at(bank, 1, 0), 0), EMPTY + bank / 4 * TFAW + bank % 4 * (LINE + 1));
	rig_release(&rig);
	rig_init(&rig);
	set_clocks(&rig.settings, "tfaw", 0);
	rig_make(&rig);
	/* tRRD is shorter than a line: the bus is what they wait for. */
	for (unsigned bank = 0; bank < GROUPS * BANKS; bank++)
		assert_int_equal(read_at(&rig, at(bank, 1, 0), 0), EMPTY + bank * LINE);
	rig_release(&rig);
}

/* ---- ddr: each rule at its edge ---- */

/* What is done before the request under test; all of it begins at clock 10000. */
typedef void (*prologue)(struct rig *);

enum { START = 10000 };

static void read_row_1(struct rig *rig)
{
	assert_int_equal(read_at(rig, at(0, 1, 0), START), START + EMPTY);
}

static void open_four_rows(struct rig *rig)
{
	for (unsigned bank = 0; bank < 4; bank++)
		read_at(rig, at(bank, 1, 0), START);
}

/* The write opens its row at START; its data ends at START + WRITE_END. */
enum { WRITE_END = TRCD + TCWL + LINE };

static void write_row_1(struct rig *rig)
{
	read_at(rig, at(6, 1, 0), 0);
	assert_int_equal(dram_access(rig->dram, at(0, 1, 0), true, START), START);
}

/*
 * A request that a rule holds back until clock `ready` and that takes `latency` from there: asked for at ready - 1 it is not
 * ready at ready - 1, but at ready; asked for at ready it does not wait; asked for later it comes later.
 */
struct edge {
	const char *rule;
	unsigned longer; /* the rule's clocks where another rule would hide it; 0: as they are */
	prologue before;
	uint64_t address;
	cycle ready, latency;
};

static void hold_edge(const struct edge *edge)
{
	for (int offset = -1; offset <= 1; offset++) {
		struct rig rig;
		rig_init(&rig);
		if (edge->longer)
			set_clocks(&rig.settings, edge->rule, edge->longer);
		rig_make(&rig);
		edge->before(&rig);
		cycle done = read_at(&rig, edge->address, edge->ready + (cycle)(int64_t)offset);
		cycle expected = edge->ready + (offset > 0) + edge->latency;
		if (done != expected)
			fail_msg("%s, asked %+d from its edge: done at %llu, expected %llu", edge->rule, offset,
			         (unsigned long long)done, (unsigned long long)expected);
		rig_release(&rig);
	}
}

/* Would catch: any of these rules off by one clock. */
static void not_ready_a_clock_before_ready_at_the_clock(void **state)
{
	(void)state;
	const struct edge edges[] = {
	        {"tccd", 0, read_row_1, at(0, 1, 1), START + TRCD + TCCD, HIT},
	        {"tras", 0, read_row_1, at(0, 2, 0), START + TRAS, CONFLICT},
	        {"trtp", 50, read_row_1, at(0, 2, 0), START + TRCD + 50, CONFLICT},
	        {"trrd", LINE + 2, read_row_1, at(1, 1, 0), START + LINE + 2, EMPTY},
	        {"tfaw", 0, open_four_rows, at(4, 1, 0), START + TFAW, EMPTY},
	        {"twtr", 0, write_row_1, at(6, 1, 1), START + WRITE_END + TWTR, HIT},
	        {"twr", 0, write_row_1, at(0, 2, 0), START + WRITE_END + TWR, CONFLICT},
	};
	for (size_t i = 0; i < sizeof edges / sizeof *edges; i++)
		hold_edge(&edges[i]);
}

/* A write between two reads: its data follows the first one's after tRTW, the second READ its data after tWTR. */
static void the_bus_turns_around(void **state)
{
	(void)state;
	for (unsigned trtw = 0; trtw < 4; trtw++) {
		struct rig rig;
		rig_init(&rig);
		set_clocks(&rig.settings, "trtw", trtw);
		rig_make(&rig);
		for (unsigned bank = 0; bank < 3; bank++)
			read_at(&rig, at(bank, 1, 0), bank * 1000);
		cycle end = read_at(&rig, at(0, 1, 1), START) - CONTROLLER;
		assert_int_equal(dram_access(rig.dram, at(1, 1, 1), true, START), START);
		assert_int_equal(read_at(&rig, at(2, 1, 1), START), end + trtw + LINE + TWTR + HIT);
		rig_release(&rig);
	}
}

/* ---- ddr: refresh ---- */

static void set_refresh(struct rig *rig)
{
	rig_init(rig);
	set_clocks(&rig->settings, "trefi", TREFI);
	rig_make(rig);
}

/*
 * Refresh n takes clocks n * tREFI to n * tREFI + tRFC - 1 and closes the rows. Would catch: a refresh a clock too long or short,
 * one before the first tREFI, a row open after it, commands on both sides of it, one that is found only if somebody looked at the
 * time.
 */
static void refresh_takes_trfc_each_trefi(void **state)
{
	(void)state;
	static const struct {
		cycle open, now, done; /* a row is opened at `open` where that is not 0 */
	} cases[] = {{0, 0, EMPTY},
	             {0, TREFI - TRCD - 1, TREFI - TRCD - 1 + EMPTY},
	             {0, TREFI - TRCD, TREFI + TRFC + EMPTY},
	             {0, TREFI, TREFI + TRFC + EMPTY},
	             {0, TREFI + TRFC - 1, TREFI + TRFC + EMPTY},
	             {0, TREFI + TRFC, TREFI + TRFC + EMPTY},
	             {0, TREFI + TRFC + 1, TREFI + TRFC + 1 + EMPTY},
	             {1000, TREFI - 1, TREFI - 1 + HIT},
	             {1000, TREFI, TREFI + TRFC + EMPTY},
	             {1000, TREFI + TRFC + 9, TREFI + TRFC + 9 + EMPTY},
	             {1000, 1000000ull * TREFI + 7, 1000000ull * TREFI + TRFC + EMPTY},
	             {1000, 1000000ull * TREFI + TRFC + 7, 1000000ull * TREFI + TRFC + 7 + EMPTY}};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct rig rig;
		set_refresh(&rig);
		if (cases[i].open)
			read_at(&rig, at(0, 1, 0), cases[i].open);
		assert_int_equal(read_at(&rig, at(0, 1, 1), cases[i].now), cases[i].done);
		assert_int_equal(counter(rig.dram, "refresh_waits"), cases[i].done > cases[i].now + EMPTY);
		rig_release(&rig);
	}
}

/* Two ranks: their refreshes are half a tREFI apart, and the other rank answers meanwhile. */
static void ranks_are_refreshed_in_turns(void **state)
{
	(void)state;
	struct rig rig;
	rig_init(&rig);
	set_clocks(&rig.settings, "trefi", TREFI);
	set(&rig.settings, "machine.dram.ranks", "2");
	rig_make(&rig);
	const uint64_t rank1 = 64ull * GROUPS * COLUMNS * BANKS;
	assert_int_equal(read_at(&rig, 0, TREFI / 2), TREFI / 2 + TRFC + EMPTY);
	assert_int_equal(read_at(&rig, rank1, TREFI / 2), TREFI / 2 + EMPTY);
	assert_int_equal(read_at(&rig, rank1, TREFI), TREFI + TRFC + EMPTY);
	assert_int_equal(read_at(&rig, 0, TREFI + 50), TREFI + 50 + HIT);
	rig_release(&rig);
}

/*
 * A stream over all groups through a hundred refreshes: beside tRFC each costs at most the rows' opening. Would catch: a refresh
 * that stops the bus for longer, or is passed over while the bus is busy.
 */
static void refresh_takes_its_share_of_the_bandwidth(void **state)
{
	(void)state;
	struct rig rig;
	set_refresh(&rig);
	const uint64_t refreshes = 100, lines = refreshes * (TREFI - TRFC) / LINE;
	cycle now = 0, done = 0;
	for (uint64_t i = 0; i < lines; i++) {
		done = read_at(&rig, i * 64, now);
		now = done > 2000 ? done - 2000 : 0;
	}
	assert_true(done > (refreshes - 1) * TREFI);
	/* A row of each group is opened anew at the end of each row (512 lines) and after each refresh. */
	uint64_t openings = lines / (GROUPS * COLUMNS) + refreshes + 1;
	assert_in_range(done, lines * LINE + (refreshes - 1) * TRFC, lines * LINE + (refreshes + 3) * TRFC + openings * CONFLICT);
	rig_release(&rig);
}

/* ---- ddr: queues ---- */

/* Would catch: a read that comes in while all entries are taken, an entry given back too late or to one too many. */
static void a_full_read_queue_waits_for_its_first_end(void **state)
{
	(void)state;
	struct rig rig;
	rig_init(&rig);
	set(&rig.settings, "machine.dram.read_queue", "2");
	rig_make(&rig);
	cycle first = read_at(&rig, at(0, 1, 0), 0), second = read_at(&rig, at(0, 2, 0), 0);
	assert_int_equal(first, EMPTY);
	assert_int_equal(second, TRAS + CONFLICT);
	/* Another bank's read has to wait for the first's end, the next one for that read's; then the second is on the bus. */
	assert_int_equal(read_at(&rig, at(1, 1, 0), 0), first - CONTROLLER + EMPTY);
	assert_int_equal(read_at(&rig, at(2, 1, 0), 0), second + LINE);
	assert_int_equal(counter(rig.dram, "read_queue_waits"), 2);
	rig_release(&rig);
}

static void set_write_queue(struct rig *rig, const char *size, const char *high, const char *low)
{
	rig_init(rig);
	set(&rig->settings, "machine.dram.write_queue", size);
	set(&rig->settings, "machine.dram.write_high", high);
	set(&rig->settings, "machine.dram.write_low", low);
	rig_make(rig);
}

/*
 * Of four writes two wait until the fourth comes; then two are written. Would catch: a write that is paid for when it comes, a
 * read of a waiting line that goes to the bank, one that is written twice, reads that go before the writes that are on their way.
 */
static void writes_wait_and_answer_reads(void **state)
{
	(void)state;
	struct rig rig;
	set_write_queue(&rig, "8", "4", "2");
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(dram_access(rig.dram, at(i, 1, 0), true, 100), 100);
	assert_int_equal(counter(rig.dram, "writes_waiting"), 3);
	assert_int_equal(counter(rig.dram, "bus_clocks"), 0);
	assert_int_equal(read_at(&rig, at(1, 1, 0), 200), 200 + CONTROLLER);
	assert_int_equal(dram_access(rig.dram, at(1, 1, 0) + 8, true, 300), 300);
	assert_int_equal(counter(rig.dram, "forwarded"), 1);
	assert_int_equal(counter(rig.dram, "merged"), 1);
	assert_int_equal(dram_access(rig.dram, at(9, 1, 0), true, 400), 400);
	assert_int_equal(counter(rig.dram, "writes_waiting"), 2);
	/* Banks 0 and 1 were opened at 400 and 403; the second's data follows the first's. */
	cycle end = 400 + WRITE_END + LINE;
	assert_int_equal(read_at(&rig, at(0, 1, 1), 400), end + TWTR + HIT);
	assert_int_equal(read_at(&rig, at(2, 1, 0), 5000), 5000 + CONTROLLER);
	assert_int_equal(counter(rig.dram, "row_empty"), 2);
	assert_int_equal(counter(rig.dram, "row_hits"), 1);
	rig_release(&rig);
}

/* Eight writes in turns to two rows of a bank, seven written: row after row four and three. Would catch: writing in their order.
 */
static void writes_are_written_row_after_row(void **state)
{
	(void)state;
	struct rig rig;
	set_write_queue(&rig, "8", "8", "1");
	for (unsigned i = 0; i < 8; i++)
		dram_access(rig.dram, at(0, i % 2, i), true, 0);
	assert_int_equal(counter(rig.dram, "row_empty"), 1);
	assert_int_equal(counter(rig.dram, "row_conflicts"), 1);
	assert_int_equal(counter(rig.dram, "row_hits"), 5);
	assert_int_equal(counter(rig.dram, "writes_waiting"), 1);
	rig_release(&rig);
}

/*
 * Three writes to the same row number, two of one bank; two are written. Would catch: rows of other banks or ranks taken for the
 * same, which puts the third before the second.
 */
static void rows_of_other_banks_are_others(void **state)
{
	(void)state;
	const uint64_t others[] = {at(1, 1, 0), 64ull * GROUPS * COLUMNS * BANKS};
	for (unsigned i = 0; i < 2; i++) {
		struct rig rig;
		rig_init(&rig);
		set(&rig.settings, "machine.dram.ranks", i ? "2" : "1");
		set(&rig.settings, "machine.dram.write_high", "3");
		set(&rig.settings, "machine.dram.write_low", "1");
		rig_make(&rig);
		dram_access(rig.dram, i ? 0 : at(0, 1, 0), true, 0);
		dram_access(rig.dram, at(0, 2, 0) * (i + 1), true, 0);
		dram_access(rig.dram, others[i], true, 0);
		assert_int_equal(read_at(&rig, others[i], START), START + CONTROLLER);
		assert_int_equal(counter(rig.dram, "forwarded"), 1);
		rig_release(&rig);
	}
}

/* Lines 0 and 1025 share an entry of the filter. Would catch: a read answered with another line's data, a write lost in another.
 */
static void the_filter_is_not_the_answer(void **state)
{
	(void)state;
	struct rig rig;
	set_write_queue(&rig, "8", "8", "1");
	dram_access(rig.dram, 0, true, 0);
	read_at(&rig, 1025 * 64, 100);
	dram_access(rig.dram, 1025 * 64, true, 200);
	assert_int_equal(counter(rig.dram, "forwarded"), 0);
	assert_int_equal(counter(rig.dram, "merged"), 0);
	rig_release(&rig);
}

/*
 * Two writes, the first held up by a row conflict, so that the second's data goes before. A read goes between them where the bus
 * has time to turn around twice, else behind both. Would catch: turn-arounds of the latest write only, a gap left unused.
 */
static void a_read_goes_between_two_writes_where_there_is_room(void **state)
{
	(void)state;
	/* The second write's data ends after tCWL + a line, the first's begins tRP + tRCD after that of an open row. */
	const unsigned room = TRP + TRCD + TCWL - (TCWL + LINE) - (TWTR + TCL + LINE);
	for (unsigned trtw = room - 1; trtw <= room + 1; trtw++) {
		struct rig rig;
		set_write_queue(&rig, "8", "2", "0");
		dram_destroy(rig.dram);
		set_clocks(&rig.settings, "tccd", 0);
		set_clocks(&rig.settings, "trtw", trtw);
		rig_make(&rig);
		for (unsigned bank = 0; bank < 3; bank++)
			read_at(&rig, at(bank, 1, 0), bank * 1000);
		dram_access(rig.dram, at(0, 2, 0), true, START);
		dram_access(rig.dram, at(1, 1, 1), true, START);
		cycle after = trtw <= room ? TCWL + LINE : TRP + WRITE_END;
		assert_int_equal(read_at(&rig, at(2, 1, 2), START), START + after + TWTR + HIT);
		rig_release(&rig);
	}
}

/* A queue of two, each write written as it comes: the third waits for the first's end, the fourth for the second's. */
static void a_full_write_queue_waits(void **state)
{
	(void)state;
	struct rig rig;
	set_write_queue(&rig, "2", "1", "0");
	assert_int_equal(dram_access(rig.dram, at(0, 1, 0), true, 0), 0);
	assert_int_equal(dram_access(rig.dram, at(1, 1, 0), true, 0), 0);
	assert_int_equal(dram_access(rig.dram, at(2, 1, 0), true, 0), WRITE_END);
	assert_int_equal(dram_access(rig.dram, at(3, 1, 0), true, 0), WRITE_END + LINE);
	/* The third one's commands began when it had been taken. */
	assert_int_equal(dram_access(rig.dram, at(4, 1, 0), true, 0), 2 * WRITE_END);
	assert_int_equal(counter(rig.dram, "write_queue_waits"), 3);
	rig_release(&rig);
}

/* ---- ddr: time that does not only go on ---- */

/* Would catch: a request of a core that runs behind which waits for what came later in time, though bank and bus were free. */
static void a_core_that_runs_behind_uses_what_is_left(void **state)
{
	(void)state;
	struct rig rig;
	rig_init(&rig);
	rig_make(&rig);
	assert_int_equal(read_at(&rig, at(0, 1, 0), START), START + EMPTY);
	assert_int_equal(read_at(&rig, at(1, 1, 0), START - 400), START - 400 + EMPTY);
	/* The same bank is reserved in the order of calls. */
	assert_int_equal(read_at(&rig, at(0, 1, 1), START - 300), START + TRCD + TCCD + HIT);
	rig_release(&rig);
	/* A refresh that lies between such a request and its bank's last one has not held it up. */
	set_refresh(&rig);
	cycle after = TREFI + TRFC + 100;
	assert_int_equal(read_at(&rig, at(0, 1, 0), after), after + EMPTY);
	assert_int_equal(read_at(&rig, at(0, 1, 1), TREFI - 50), after + TRCD + TCCD + HIT);
	assert_int_equal(counter(rig.dram, "refresh_waits"), 0);
	rig_release(&rig);
}

enum { FUZZ_CALLS = 20000, FUZZ_CLOCKS = 1 << 20 };

/*
 * Random reads of two channels, two ranks, with refresh, times that fall back. A second opinion on the bus: every read's data is
 * the LINE clocks before its end, and no clock of a channel has two. Within a bank data comes in the order of calls. Would catch:
 * a clock booked twice, a bank used out of order.
 */
static void no_clock_of_the_bus_is_used_twice(void **state)
{
	(void)state;
	static uint8_t taken[2][FUZZ_CLOCKS];
	memset(taken, 0, sizeof taken);
	cycle last[2][2][GROUPS * BANKS] = {0};
	struct rig rig;
	rig_init(&rig);
	set_clocks(&rig.settings, "trefi", TREFI);
	set(&rig.settings, "machine.dram.channels", "2");
	set(&rig.settings, "machine.dram.ranks", "2");
	set(&rig.settings, "machine.dram.read_queue", "32");
	rig_make(&rig);
	struct rng rng;
	rng_init(&rng, 2, "dram");
	cycle now = 1000;
	for (unsigned call = 0; call < FUZZ_CALLS; call++) {
		uint64_t random = rng_next(&rng), line = random >> 40 & 0x3fffff;
		unsigned channel = line & 1, group = line >> 1 & 3, bank = line >> 10 & 3, rank = line >> 12 & 1;
		cycle asked = now - random % 500, end = read_at(&rig, line * 64, asked) - CONTROLLER;
		assert_true(end >= asked + TCL + LINE && end < FUZZ_CLOCKS);
		for (cycle clock = end - LINE; clock < end; clock++)
			assert_int_equal(taken[channel][clock]++, 0);
		assert_true(end >= last[channel][rank][group * BANKS + bank] + LINE);
		last[channel][rank][group * BANKS + bank] = end;
		now += random >> 12 & 31;
	}
	assert_true(counter(rig.dram, "row_hits") > 0 && counter(rig.dram, "refresh_waits") > 0);
	rig_release(&rig);
}

/* ---- the parts: second opinions by brute force ---- */

/* Whether a burst may begin at a clock: its own clocks free of data, those of the other direction far enough. */
static bool bus_allows(const uint8_t *data, bool is_write, uint64_t from, unsigned clocks, uint64_t before, uint64_t after)
{
	const uint8_t other = is_write ? 1 : 2;
	for (uint64_t clock = from; clock < from + clocks; clock++)
		if (data[clock])
			return false;
	for (uint64_t clock = from > before ? from - before : 0; clock < from + clocks + after; clock++)
		if (data[clock] == other)
			return false;
	return true;
}

/*
 * Reads and writes (clocks of data 1 and 2 in the array). Would catch: a gap passed over, a burst over two words of the bitmap
 * torn, a window that keeps old bits, a turn-around too short or too long on either side.
 */
static void bus_against_an_array(void **state)
{
	(void)state;
	static uint8_t data[FUZZ_CLOCKS];
	static struct data_bus bus;
	struct rng rng;
	rng_init(&rng, 3, "dram");
	uint64_t front = 0;
	memset(data, 0, sizeof data);
	bus = (struct data_bus){.after_read = 2, .after_write = 19};
	for (unsigned call = 0; call < FUZZ_CALLS / 2; call++) {
		uint64_t random = rng_next(&rng);
		bool is_write = random >> 40 & 1;
		unsigned clocks = 1 + (unsigned)(random % (call % 2 ? 8 : DATA_BUS_BURST_MAX));
		uint64_t from = front > 9000 ? front - 9000 + (random >> 8) % 9100 : (random >> 8) % 100, found = from;
		if (found < bus.first)
			found = bus.first;
		while (!bus_allows(data, is_write, found, clocks, is_write ? 2 : 19, is_write ? 19 : 2))
			found++;
		assert_int_equal(data_bus_find(&bus, is_write, from, clocks), found);
		data_bus_book(&bus, is_write, found, clocks);
		memset(data + found, is_write ? 2 : 1, clocks);
		if (front < found + clocks)
			front = found + clocks;
		front += random >> 24 & 15;
		if (call % 1000 == 999)
			front += DATA_BUS_CLOCKS / 2 * (random >> 32 & 3);
		assert_true(front < FUZZ_CLOCKS - 2 * DATA_BUS_CLOCKS);
	}
}

/* Whether both rules hold for the clocks of `times`, in any order, with one more. */
static bool activation_allowed(const uint64_t *times, unsigned count, uint64_t at_clock, uint64_t trrd, uint64_t tfaw)
{
	uint64_t sorted[24];
	unsigned kept = 0;
	for (unsigned i = 0; i <= count; i++) {
		uint64_t time = i < count ? times[i] : at_clock;
		unsigned place = kept++;
		for (; place > 0 && sorted[place - 1] > time; place--)
			sorted[place] = sorted[place - 1];
		sorted[place] = time;
	}
	for (unsigned i = 1; i < kept; i++)
		if (sorted[i] - sorted[i - 1] < trrd || (i >= 4 && sorted[i] - sorted[i - 4] < tfaw))
			return false;
	return true;
}

/*
 * Each activation against all clocks from the asked one on, held against the last ones. Would catch: five activations within tFAW
 * where one is put between earlier ones, and a wait where there was room.
 */
static void activations_against_brute_force(void **state)
{
	(void)state;
	static const uint64_t rules[][2] = {{4, 34}, {3, 29}, {4, 0}, {0, 20}, {7, 16}, {0, 0}};
	for (size_t rule = 0; rule < sizeof rules / sizeof *rules; rule++) {
		uint64_t trrd = rules[rule][0], tfaw = rules[rule][1], times[16] = {0}, now = 0;
		unsigned count = 0;
		struct activations activations = {0};
		struct rng rng;
		rng_init(&rng, 4, "dram");
		for (unsigned call = 0; call < 5000; call++) {
			uint64_t random = rng_next(&rng), from = now > 60 ? now - random % 60 : now + random % 3;
			struct activation found = activations_find(&activations, from, trrd, tfaw);
			uint64_t expected = from;
			/* The model knows the last sixteen and puts nothing before the oldest four of them. */
			if (count == 16 && expected < times[3])
				expected = times[3];
			while (!activation_allowed(times, count, expected, trrd, tfaw))
				expected++;
			assert_int_equal(found.at, expected);
			activations_make(&activations, &found);
			if (count == 16)
				memmove(times, times + 1, 15 * sizeof *times);
			unsigned place = count < 16 ? count++ : 15;
			for (; place > 0 && times[place - 1] > expected; place--)
				times[place] = times[place - 1];
			times[place] = expected;
			now += random >> 16 & 15;
		}
	}
}

/* Every mapping puts exactly one row's lines into each row of each bank. Would catch: fields that overlap, a hash that merges
 * banks. */
static void every_mapping_is_one_to_one(void **state)
{
	(void)state;
	static const char *const mappings[] = {"row:rank:bank:column:group:channel", "row:column:channel:rank:bank:group",
	                                       "row:channel:group:bank:rank:column"};
	enum { ROWS = 8, ALL = ROWS * 2 * 4 * 16 };
	for (size_t i = 0; i < 2 * sizeof mappings / sizeof *mappings; i++) {
		struct settings settings;
		struct error error = {0};
		struct address_map map;
		settings_init(&settings);
		set(&settings, "machine.dram.channels", "4");
		set(&settings, "machine.dram.ranks", "2");
		set(&settings, "machine.dram.mapping", mappings[i / 2]);
		set(&settings, "machine.dram.bank_hash", i % 2 ? "true" : "false");
		assert_true(address_map_init(&map, &settings.machine, &error));
		unsigned lines[ALL] = {0};
		for (uint64_t line = 0; line < (uint64_t)ALL * COLUMNS; line++) {
			struct dram_place place = address_map_place(&map, line);
			assert_true(place.row < ROWS && place.channel < 4 && place.rank < 2 && place.bank < 16);
			lines[((place.row * 4 + place.channel) * 2 + place.rank) * 16 + place.bank]++;
		}
		for (unsigned place = 0; place < ALL; place++)
			assert_int_equal(lines[place], COLUMNS);
		/* The next row is in the same bank without the hash, in another with it. */
		uint64_t row = 1ull << map.row_shift;
		assert_true((address_map_place(&map, 0).bank == address_map_place(&map, row).bank) == (i % 2 == 0));
		settings_release(&settings);
	}
}

/* Would catch: a setting that is taken though the memory cannot be made of it, a message that does not say what to change. */
static void refused_settings(void **state)
{
	(void)state;
	static const char *const cases[][3] = {
	        {"mapping", "row:rank:bank:column:group", "too few names"},
	        {"mapping", "row:rank:bank:column:group:channel:row", "too many names"},
	        {"mapping", "row:rank:bank:column:group:group", "twice"},
	        {"mapping", "rank:row:bank:column:group:channel", "row is not the first"},
	        {"mapping", "row:rank:banks:column:group:channel", "none of them"},
	        {"mapping", "row:rank:bank:column:group:", "too few names"},
	        {"mapping", "row:rank:bank:column:group:channel:", "too many names"},
	        {"trefi", "300 ns", "leave no time between refreshes"},
	        {"write_high", "65", "more than machine.dram.write_queue"},
	        {"write_low", "16", "not less than machine.dram.write_high"},
	        {"twtr", "2000 clocks", "to turn around"},
	        {"bus", "1 B", NULL},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct settings settings;
		struct error error = {0};
		settings_init(&settings);
		char *key = xasprintf("machine.dram.%s", cases[i][0]);
		set(&settings, key, cases[i][1]);
		struct dram *dram = dram_model("ddr", &error)->create(&(struct dram_wiring){.settings = &settings}, &error);
		if (cases[i][2] && (dram || !strstr(error.text, cases[i][2])))
			fail_msg("%s: %s: '%s'", key, cases[i][1], error.text);
		assert_true(cases[i][2] || dram);
		dram_destroy(dram);
		free(key);
		settings_release(&settings);
	}
}

/*
 * The machines of configs/ with a core at their memory's clock, so that cycles are clocks: an idle read in a closed bank by the
 * numbers of the data sheets, and lines in order at the rate of all channels. Would catch: a machine whose memory cannot be made,
 * a bus of another width, a burst that is no line.
 */
static void memories_of_the_machines(void **state)
{
	(void)state;
	static const struct {
		const char *machine, *frequency;
		cycle controller, trcd, tcl, line;
		unsigned channels;
	} machines[] = {{"haswell", "800 MHz", 16, 11, 11, 4, 2},         {"skylake", "1066.667 MHz", 22, 15, 15, 4, 2},
	                {"icelake-server", "1600 MHz", 32, 22, 22, 4, 8}, {"golden-cove", "2400 MHz", 48, 39, 40, 8, 16},
	                {"zen2", "1600 MHz", 32, 22, 22, 4, 2},           {"zen3", "1600 MHz", 32, 22, 22, 4, 2},
	                {"zen4", "2400 MHz", 48, 39, 40, 8, 4},           {"pentium3", "133.333 MHz", 6, 3, 3, 4, 1}};
	static const char *const dirs[] = {"configs", NULL};
	for (size_t i = 0; i < sizeof machines / sizeof *machines; i++) {
		struct settings settings;
		struct error error = {0};
		char *machine = xasprintf("machine=%s", machines[i].machine);
		char *frequency = xasprintf("machine.frequency=%s", machines[i].frequency);
		const char *const sets[] = {machine, frequency, "machine.dram.trefi=off", NULL};
		if (!scenario_load(&(struct scenario_source){.config_dirs = dirs, .sets = sets}, &settings, &error))
			fail_msg("%s", error.text);
		struct dram *dram = make(settings.machine.dram.model, &settings);
		cycle idle = machines[i].controller + machines[i].trcd + machines[i].tcl + machines[i].line, done = 0;
		uint64_t line_bytes = settings.machine.cache_line_bytes, lines = 256ull * machines[i].channels;
		assert_int_equal(dram_access(dram, 0, false, 0), idle);
		assert_int_equal(counter(dram, "bus_clocks"), machines[i].line);
		for (uint64_t line = 1; line < lines; line++)
			done = dram_access(dram, line * line_bytes, false, 0);
		/* A channel's 256 lines lie in rows that are opened meanwhile; the first one's opening shows, and its queue's
		 * pace. */
		assert_in_range(done, idle + 255 * machines[i].line, idle + 255 * machines[i].line * 2);
		dram_check(dram);
		dram_destroy(dram);
		free(machine);
		free(frequency);
		settings_release(&settings);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(every_model_keeps_the_contract),
	        cmocka_unit_test(fixed_latency_in_any_unit),
	        cmocka_unit_test(idle_latencies),
	        cmocka_unit_test(closed_page),
	        cmocka_unit_test(a_stream_runs_at_the_rate_of_the_bus),
	        cmocka_unit_test(bandwidth_of_the_channels),
	        cmocka_unit_test(late_times_are_as_exact_as_early_ones),
	        cmocka_unit_test(lines_are_whole_bursts),
	        cmocka_unit_test(rows_of_one_bank_come_at_trc),
	        cmocka_unit_test(banks_overlap_within_trrd_and_tfaw),
	        cmocka_unit_test(not_ready_a_clock_before_ready_at_the_clock),
	        cmocka_unit_test(the_bus_turns_around),
	        cmocka_unit_test(refresh_takes_trfc_each_trefi),
	        cmocka_unit_test(ranks_are_refreshed_in_turns),
	        cmocka_unit_test(refresh_takes_its_share_of_the_bandwidth),
	        cmocka_unit_test(a_full_read_queue_waits_for_its_first_end),
	        cmocka_unit_test(writes_wait_and_answer_reads),
	        cmocka_unit_test(writes_are_written_row_after_row),
	        cmocka_unit_test(rows_of_other_banks_are_others),
	        cmocka_unit_test(the_filter_is_not_the_answer),
	        cmocka_unit_test(a_read_goes_between_two_writes_where_there_is_room),
	        cmocka_unit_test(a_full_write_queue_waits),
	        cmocka_unit_test(a_core_that_runs_behind_uses_what_is_left),
	        cmocka_unit_test(no_clock_of_the_bus_is_used_twice),
	        cmocka_unit_test(bus_against_an_array),
	        cmocka_unit_test(activations_against_brute_force),
	        cmocka_unit_test(every_mapping_is_one_to_one),
	        cmocka_unit_test(refused_settings),
	        cmocka_unit_test(memories_of_the_machines),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
