/* SPDX-License-Identifier: MIT
 *
 * machine_store.c - measured and simulated points into the database (interface: machine_measure.h; table: results/README.md,
 * chase).
 */
#include "tools/kmemsim/machine_measure.h"

#include <stdlib.h>

static bool store_points(struct store *store, int64_t run_id, const struct measured *measured,
                         const struct chase_point points[MEASURE_SERIES][CHASE_POINTS_MAX], uint64_t *loads, struct error *error)
{
	bool stored = true;
	for (unsigned series = 0; series < MEASURE_SERIES; series++)
		for (unsigned i = 0; i < measured->count[series] && stored; i++) {
			const struct chase_point *point = &points[series][i];
			const struct store_chase row = {.series = measure_series[series].name,
			                                .lines = point->count,
			                                .bytes = point->bytes,
			                                .milli_cycles = point->milli_cycles,
			                                .femtoseconds = point->femtoseconds};
			if (point->milli_cycles == 0)
				continue;
			stored = store_chase(store, run_id, &row, error);
			++*loads;
		}
	return stored;
}

static bool store_one(struct store *store, const struct measured *measured, const struct store_run *run,
                      const struct chase_point points[MEASURE_SERIES][CHASE_POINTS_MAX], struct error *error)
{
	int64_t run_id;
	uint64_t count = 0;
	if (!store_run_begin(store, run, &run_id, error))
		return false;
	bool stored = store_points(store, run_id, measured, points, &count, error);
	const struct store_end end = {.status = !stored                 ? "failed"
	                                        : measured->interrupted ? "interrupted"
	                                                                : "complete",
	                              .message = stored ? NULL : error->text,
	                              .ops = count};
	return store_run_end(store, run_id, &end, stored ? error : &(struct error){0}) && stored;
}

bool machine_store(const struct measured *measured, const char *name, const char *db, struct error *error)
{
	struct store *store = store_open(db, error);
	if (!store)
		return false;
	const char *const labels[] = {"measured", "simulated"};
	bool stored = true;
	for (unsigned i = 0; i < 2 && stored; i++) {
		const struct store_run run = {.label = labels[i],
		                              .allocator = labels[i],
		                              .timing = i ? "cycles" : "none",
		                              .scenario = i ? measured->scenario : NULL,
		                              .version = KMEMSIM_VERSION,
		                              .compiler = __VERSION__,
		                              .machine = name,
		                              .cpus = 1,
		                              .frequency_hz = measured->latencies.frequency_hz};
		stored = store_one(store, measured, &run, i ? measured->simulated : measured->points, error);
	}
	struct error at_close = {0};
	if (!store_close(store, &at_close) && stored)
		stored = error_set(error, at_close.kind, "%s", at_close.text);
	return stored;
}
