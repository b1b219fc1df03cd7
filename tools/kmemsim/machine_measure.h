/* SPDX-License-Identifier: MIT
 *
 * machine_measure.h - the host's memory measured by pointer chases, and the same chases on the detected machine, simulated.
 */
#ifndef TOOLS_MACHINE_MEASURE_H
#define TOOLS_MACHINE_MEASURE_H

#include "models/machine_file.h"
#include "sim/chase.h"
#include "sim/store.h"
#include "sim/trace.h"
#include "tools/kmemsim/machine_detect.h"

#include <signal.h>

#define MEASURE_SERIES 4u
#define MEASURE_LINES_HUGE 0u /* the series that caches are found in */
#define MEASURE_PAGES 2u      /* and TLBs */
#define MEASURE_PAGES_HUGE 3u /* and how large a guest's pages are in its host */

/* What is measured, in the order of the series' numbers. */
extern const struct chase_series measure_series[MEASURE_SERIES];

struct measure_request {
	uint64_t max_bytes; /* 0: three times the last-level cache */
	unsigned repeats;
	uint64_t seed;
	const char *const *sets; /* of the simulated machine, `key=value`, ends with NULL */
	const struct progress *progress;
	const volatile sig_atomic_t *interrupt;
};

struct measured {
	uint64_t max_bytes, cycle_fs;
	unsigned count[MEASURE_SERIES];
	struct chase_point points[MEASURE_SERIES][CHASE_POINTS_MAX], simulated[MEASURE_SERIES][CHASE_POINTS_MAX];
	struct chase_capacities capacities;
	struct chase_findings found, found_simulated;
	struct machine_latencies latencies;
	uint64_t llc_told_bytes; /* by CPUID, where less was measured: the facts then have what was measured; else 0 */
	char *scenario;          /* the simulated machine as YAML; owned */
	const char *host_page;   /* machine.host_page of a guest, as it was found; NULL: no guest, or not found */
	bool interrupted;
};

/*
 * Measures the host and simulates the machine that was detected, whose last-level cache gets the ways that were found where these
 * are less than half of what CPUID tells. false with *error; release *measured in any case.
 */
bool machine_measure(struct detected *detected, const struct measure_request *request, struct measured *measured,
                     struct error *error);
void machine_measured_release(struct measured *measured);

/* Fills what the simulated machine says to the same points. */
bool machine_simulate(const struct detected *detected, const struct measure_request *request, struct measured *measured,
                      struct error *error);

/* Tells of a point that is done, of the half that measures (0) or that simulates (1). */
void machine_progress(const struct measure_request *request, const struct measured *measured, unsigned series, unsigned point,
                      unsigned half);

/* ---- what is made of it ---- */

/* Measured against simulated, as text. */
void machine_print_text(const struct measured *measured, FILE *out);
/* Every point. */
void machine_print_csv(const struct measured *measured, FILE *out);
/* A picture. title: what was measured. */
bool machine_draw(const struct measured *measured, const char *title, const char *path, struct error *error);
/* Two runs, the measured and the simulated one. */
bool machine_store(const struct measured *measured, const char *name, const char *db, struct error *error);

#endif
