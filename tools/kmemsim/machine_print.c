/* SPDX-License-Identifier: MIT
 *
 * machine_print.c - what was measured beside what was simulated: text, CSV, picture (interface: machine_measure.h).
 */
#include "tools/kmemsim/machine_draw.h"
#include "tools/kmemsim/machine_measure.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define CELL_MAX 32u

static const char *cycles_text(uint64_t milli_cycles, char text[CELL_MAX])
{
	if (milli_cycles)
		snprintf(text, CELL_MAX, "%.1f", (double)milli_cycles / 1000);
	else
		strcpy(text, "-");
	return text;
}

static const char *size_text(uint64_t bytes, char text[CELL_MAX])
{
	if (bytes)
		snprintf(text, CELL_MAX, "%" PRIu64 " KiB", bytes >> 10);
	else
		strcpy(text, "-");
	return text;
}

static const char *pages_text(uint64_t pages, char text[CELL_MAX])
{
	if (pages)
		snprintf(text, CELL_MAX, "%" PRIu64 " pages", pages);
	else
		strcpy(text, "-");
	return text;
}

static void print_rows(const struct measured *measured, FILE *out)
{
	const struct chase_findings *found = &measured->found, *simulated = &measured->found_simulated;
	char left[CELL_MAX], right[CELL_MAX];
	const struct {
		const char *what;
		uint64_t measured, simulated;
		const char *(*text)(uint64_t, char[CELL_MAX]);
	} rows[] = {
	        {"cycles of a load: L1", found->l1, simulated->l1, cycles_text},
	        {"  L2", found->l2, simulated->l2, cycles_text},
	        {"  last level", found->llc, simulated->llc, cycles_text},
	        {"  memory", found->dram, simulated->dram, cycles_text},
	        {"  behind a miss of the first TLB", found->tlb_miss, simulated->tlb_miss, cycles_text},
	        {"  behind a miss of the last TLB", found->last_tlb_miss, simulated->last_tlb_miss, cycles_text},
	        {"largest set that fits: L1", found->l1_step_bytes, simulated->l1_step_bytes, size_text},
	        {"  L2", found->l2_step_bytes, simulated->l2_step_bytes, size_text},
	        {"  last level", found->llc_step_bytes, simulated->llc_step_bytes, size_text},
	        {"  first TLB", found->tlb_step_pages, simulated->tlb_step_pages, pages_text},
	        {"  last TLB", found->last_tlb_step_pages, simulated->last_tlb_step_pages, pages_text},
	};
	fprintf(out, "%-34s %12s %12s\n", "", "measured", "simulated");
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		fprintf(out, "%-34s %12s %12s\n", rows[i].what, rows[i].text(rows[i].measured, left),
		        rows[i].text(rows[i].simulated, right));
}

/* Points whose simulated cycles are within a quarter of the measured ones. */
static void print_agreement(const struct measured *measured, FILE *out)
{
	fputs("\nsimulated within a quarter of measured:\n", out);
	for (unsigned series = 0; series < MEASURE_SERIES; series++) {
		unsigned near = 0;
		for (unsigned i = 0; i < measured->count[series]; i++) {
			const uint64_t host = measured->points[series][i].milli_cycles,
			               machine = measured->simulated[series][i].milli_cycles;
			near += 4 * machine >= 3 * host && 4 * machine <= 5 * host;
		}
		fprintf(out, "%-34s %9u of %u\n", measure_series[series].name, near, measured->count[series]);
	}
}

void machine_print_text(const struct measured *measured, FILE *out)
{
	fprintf(out, "The cores' clock: %" PRIu64 " MHz; sets up to %" PRIu64 " MiB\n\n",
	        measured->latencies.frequency_hz / 1000000, measured->max_bytes >> 20);
	print_rows(measured, out);
	if (!measured->interrupted)
		print_agreement(measured, out);
	if (measured->host_page)
		fprintf(out, "\nThis is a guest. Its pages of 2 MiB %s, so its host is simulated with pages of %s.\n",
		        strcmp(measured->host_page, "4K") == 0 ? "miss the TLBs as pages of 4 KiB do" : "are whole in the TLBs",
		        measured->host_page);
	if (measured->llc_told_bytes)
		fprintf(out,
		        "\nThe last level is simulated with the size that was found, not with the %" PRIu64 " KiB of CPUID.\n",
		        measured->llc_told_bytes >> 10);
}

void machine_print_csv(const struct measured *measured, FILE *out)
{
	fputs("series,lines,bytes,measured_ns,measured_cycles,simulated_cycles\n", out);
	for (unsigned series = 0; series < MEASURE_SERIES; series++)
		for (unsigned i = 0; i < measured->count[series]; i++) {
			const struct chase_point *point = &measured->points[series][i];
			fprintf(out, "\"%s\",%u,%" PRIu64 ",%.3f,%.2f,", measure_series[series].name, point->count, point->bytes,
			        (double)point->femtoseconds / 1e6, (double)point->milli_cycles / 1000);
			if (measured->simulated[series][i].milli_cycles)
				fprintf(out, "%.2f", (double)measured->simulated[series][i].milli_cycles / 1000);
			fputc('\n', out);
		}
}

/* ---- the picture ---- */

/* A block of "lines bytes cycles" for each series, measured, then simulated. */
static void print_data(const void *context, FILE *out)
{
	const struct measured *measured = context;
	for (unsigned series = 0; series < MEASURE_SERIES; series++)
		for (unsigned simulated = 0; simulated < 2; simulated++) {
			const struct chase_point *points = simulated ? measured->simulated[series] : measured->points[series];
			for (unsigned i = 0; i < measured->count[series]; i++)
				if (points[i].milli_cycles)
					fprintf(out, "%u %" PRIu64 " %.3f\n", points[i].count, points[i].bytes,
					        (double)points[i].milli_cycles / 1000);
			fputs("\n\n", out);
		}
}

bool machine_draw(const struct measured *measured, const char *title, const char *path, struct error *error)
{
	return machine_picture_draw(
	        &(struct machine_picture){.heading = "A chain of loads over growing sets: the host and its machine, simulated",
	                                  .source = title,
	                                  .template = "chase",
	                                  .context = measured,
	                                  .write_data = print_data},
	        path, error);
}
