/* SPDX-License-Identifier: MIT
 *
 * test_dram.c - main memory against closed forms: every model of the dram port against what the port promises.
 */
#include "models/registry.h"
#include "models/settings.h"
#include "sim/metric.h"
#include "sim/rng.h"
#include "sim/setting.h"
#include "tests/unit/test.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(every_model_keeps_the_contract),
	        cmocka_unit_test(fixed_latency_in_any_unit),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
