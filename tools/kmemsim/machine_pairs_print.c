/* SPDX-License-Identifier: MIT
 *
 * machine_pairs_print.c - measured messages between cores read from a file; both tables as text, CSV, picture (interface:
 * machine_pairs.h).
 */
#include "tools/kmemsim/machine_draw.h"
#include "tools/kmemsim/machine_pairs.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MHZ_MAX 100000u
#define NS_MAX 100000.0

/* ---- what was measured ---- */

struct pair_reader {
	struct pair_table *table;
	const char *path;
	unsigned line; /* of the file */
	unsigned core; /* whose row comes next */
};

/* Core `core` to all before it. */
static bool read_row(struct pair_reader *reader, char *text, uint64_t mhz, struct error *error)
{
	struct pair_table *table = reader->table;
	unsigned core = reader->core++;
	char *at = text;
	if (core == CPUS_MAX)
		return error_set(error, ERROR_INPUT, "%s:%u: more than %u cores", reader->path, reader->line, CPUS_MAX);
	for (unsigned other = 0; other < core; other++) {
		char *end;
		double ns = strtod(at, &end);
		if (end == at || !(ns > 0 && ns <= NS_MAX) || (other + 1 < core ? *end != ',' : *end != '\0'))
			return error_set(error, ERROR_INPUT,
			                 "%s:%u: expected %u numbers of nanoseconds, one for each core before", reader->path,
			                 reader->line, core);
		uint64_t milli = (uint64_t)(ns * (double)mhz + 0.5);
		table->milli[core * CPUS_MAX + other] = table->milli[other * CPUS_MAX + core] = milli;
		at = end + 1;
	}
	return true;
}

static bool read_lines(struct pair_reader *reader, uint64_t *mhz, FILE *in, struct error *error)
{
	char *text = NULL;
	size_t room = 0;
	bool fine = true;
	while (fine && getline(&text, &room, in) >= 0) {
		reader->line++;
		text[strcspn(text, "\r\n")] = '\0';
		if (text[0] == '#' || text[0] == '\0')
			continue;
		if (*mhz) {
			fine = read_row(reader, text, *mhz, error);
			continue;
		}
		char *end;
		*mhz = strncmp(text, "MHz,", 4) == 0 ? strtoull(text + 4, &end, 10) : 0;
		if (*mhz == 0 || *mhz > MHZ_MAX || *end)
			fine = error_set(error, ERROR_INPUT, "%s:%u: found '%s', expected the clock, such as MHz,4000",
			                 reader->path, reader->line, text);
	}
	free(text);
	return fine;
}

/* From rows as long as a table may be to rows of its own length. */
static void close_rows(struct pair_table *table, unsigned cores)
{
	for (unsigned one = 0; one < cores; one++)
		memmove(&table->milli[one * cores], &table->milli[one * CPUS_MAX], cores * sizeof *table->milli);
	table->cores = cores;
}

bool pair_table_read(struct pair_table *table, uint64_t *mhz, const char *path, struct error *error)
{
	*table = (struct pair_table){.milli = xcalloc((size_t)CPUS_MAX * CPUS_MAX, sizeof *table->milli)};
	*mhz = 0;
	FILE *in = fopen(path, "r");
	if (!in)
		return error_set(error, ERROR_HOST, "%s: %s", path, strerror(errno));
	struct pair_reader reader = {.table = table, .path = path, .core = 1};
	bool fine = read_lines(&reader, mhz, in, error);
	fclose(in);
	if (fine && reader.core < 2)
		fine = error_set(error, ERROR_INPUT, "%s: found no pair of cores", path);
	close_rows(table, reader.core);
	return fine;
}

/* ---- classes of pairs ---- */

/* What a core has to the others of its complex together; alone in it, to all. */
static uint64_t sum_of(const struct pair_table *table, unsigned complex, unsigned core)
{
	uint64_t sum = 0;
	for (unsigned other = 0; other < table->cores; other++)
		if (complex == 1 || other / complex == core / complex)
			sum += table->milli[core * table->cores + other];
	return sum;
}

void pair_table_order(const struct pair_table *table, unsigned complex, uint16_t *order)
{
	for (unsigned core = 0; core < table->cores; core++) {
		unsigned at = core;
		for (; at % complex > 0 && sum_of(table, complex, order[at - 1]) > sum_of(table, complex, core); at--)
			order[at] = order[at - 1];
		order[at] = (uint16_t)core;
	}
}

static uint64_t simulated(const struct pairs *pairs, unsigned one, unsigned other)
{
	return pairs->simulated.milli[pairs->order[0][one] * pairs->simulated.cores + pairs->order[0][other]];
}

static uint64_t measured(const struct pairs *pairs, unsigned one, unsigned other)
{
	return pairs->measured.milli[pairs->order[1][one] * pairs->measured.cores + pairs->order[1][other]];
}

static bool is_near(const struct pairs *pairs, unsigned one, unsigned other)
{
	return one / pairs->complex == other / pairs->complex;
}

static int by_size(const void *one, const void *other)
{
	uint64_t a = *(const uint64_t *)one, b = *(const uint64_t *)other;
	return a < b ? -1 : a > b;
}

/* How far pairs of complexes lie from their mean, and from sums of what each core has to all others of its complex. */
struct spread {
	double from_mean, from_sums; /* squares, added up */
	double parts;                /* what the core with the most has more than the one with the least, added up */
	unsigned pairs, complexes;
};

static double cycles_of(const struct pair_table *table, unsigned one, unsigned other)
{
	return (double)table->milli[one * table->cores + other] / 1000;
}

/*
 * The parts of n cores whose sums lie nearest to all pairs (least squares): a core has its pairs together, less what they would
 * be if all cores were alike, in n - 2 parts. part: all zero. Returns the mean of pairs.
 */
static double parts_of_complex(const struct pair_table *table, unsigned first, unsigned count, double *part)
{
	double all = 0;
	for (unsigned core = 0; core < count; core++) {
		for (unsigned other = 0; other < count; other++)
			part[core] += cycles_of(table, first + core, first + other);
		all += part[core] / 2;
	}
	for (unsigned core = 0; core < count; core++)
		part[core] = (part[core] - all / (count - 1)) / (count - 2);
	return 2 * all / (count * (count - 1));
}

static void add_complex(const struct pair_table *table, unsigned first, unsigned count, struct spread *spread)
{
	double part[CPUS_MAX] = {0};
	double mean = parts_of_complex(table, first, count, part), least = part[0], most = part[0];
	for (unsigned one = 1; one < count; one++) {
		least = part[one] < least ? part[one] : least;
		most = part[one] > most ? part[one] : most;
		for (unsigned other = 0; other < one; other++) {
			double cycles = cycles_of(table, first + one, first + other), sum = part[one] + part[other];
			spread->from_mean += (cycles - mean) * (cycles - mean);
			spread->from_sums += (cycles - sum) * (cycles - sum);
			spread->pairs++;
		}
	}
	spread->parts += most - least;
	spread->complexes++;
}

/* Of complexes with four cores or more: with three, sums are all that there is. */
static void print_spread(const struct pair_table *table, unsigned complex, FILE *out)
{
	struct spread spread = {0};
	for (unsigned first = 0; first < table->cores; first += complex) {
		unsigned count = table->cores - first < complex ? table->cores - first : complex;
		if (count >= 4)
			add_complex(table, first, count, &spread);
	}
	if (spread.pairs > 0)
		fprintf(out, " %9.1f %9.1f %9.1f", sqrt(spread.from_mean / spread.pairs), sqrt(spread.from_sums / spread.pairs),
		        spread.parts / spread.complexes);
}

static void print_class(const char *name, uint64_t *milli, unsigned count, FILE *out)
{
	uint64_t sum = 0;
	qsort(milli, count, sizeof *milli, by_size);
	for (unsigned i = 0; i < count; i++)
		sum += milli[i];
	fprintf(out, "  %-36s %9.1f %9.1f %9.1f %9.1f", name, (double)(milli[(count - 1) / 2] + milli[count / 2]) / 2000,
	        (double)sum / count / 1000, (double)milli[0] / 1000, (double)milli[count - 1] / 1000);
}

static void end_class(const struct pair_table *table, unsigned complex, bool near, FILE *out)
{
	if (near)
		print_spread(table, complex, out);
	fputc('\n', out);
}

/* Pairs behind one last-level cache, or behind two. */
static void print_pairs(const struct pairs *pairs, bool near, FILE *out)
{
	unsigned cores = pairs->simulated.cores, count = 0, close = 0;
	size_t room = (size_t)cores * cores;
	uint64_t *values = xcalloc(2 * room, sizeof *values);
	for (unsigned one = 1; one < cores; one++)
		for (unsigned other = 0; other < one; other++)
			if (is_near(pairs, one, other) == near) {
				values[count] = simulated(pairs, one, other);
				values[room + count] = pairs->measured.cores ? measured(pairs, one, other) : 0;
				uint64_t was = values[room + count], is = values[count];
				close += 10 * is >= 9 * was && 10 * is <= 11 * was;
				count++;
			}
	if (count > 0) {
		fprintf(out, "%u pairs behind %s\n", count, near ? "one last-level cache" : "two");
		if (pairs->measured.cores) {
			char *name = xasprintf("measured (at %" PRIu64 " MHz)", pairs->measured_mhz);
			print_class(name, values + room, count, out);
			free(name);
			end_class(&pairs->measured, pairs->complex, near, out);
		}
		print_class("simulated", values, count, out);
		end_class(&pairs->simulated, pairs->complex, near, out);
		if (pairs->measured.cores)
			fprintf(out, "  %-36s %9u\n", "simulated within a tenth of measured", close);
	}
	free(values);
}

void machine_pairs_print_text(const struct pairs *pairs, FILE *out)
{
	char *heading = xasprintf("%s: cycles of a message, mean of %" PRIu64 " line%s", pairs->name, pairs->lines,
	                          pairs->lines == 1 ? "" : "s");
	fprintf(out, "%s\n  %-36s %9s %9s %9s %9s %9s %9s %9s\n", heading, "", "median", "mean", "min", "max", "spread",
	        "but sums", "parts");
	free(heading);
	print_pairs(pairs, true, out);
	print_pairs(pairs, false, out);
}

void machine_pairs_print_csv(const struct pairs *pairs, FILE *out)
{
	fputs("one,other,last_level,simulated_cycles,measured_cycles\n", out);
	for (unsigned one = 1; one < pairs->simulated.cores; one++)
		for (unsigned other = 0; other < one; other++) {
			fprintf(out, "%u,%u,%s,%.3f,", one, other, is_near(pairs, one, other) ? "one" : "two",
			        (double)simulated(pairs, one, other) / 1000);
			if (pairs->measured.cores)
				fprintf(out, "%.3f", (double)measured(pairs, one, other) / 1000);
			fputc('\n', out);
		}
}

/* ---- the picture ---- */

static void print_data(const void *context, FILE *out)
{
	const struct pairs *pairs = context;
	unsigned cores = pairs->simulated.cores;
	for (unsigned block = pairs->measured.cores ? 0 : 1; block < 2; block++) {
		for (unsigned one = 0; one < cores; one++) {
			for (unsigned other = 0; other < cores; other++) {
				uint64_t milli = block == 0 ? measured(pairs, one, other) : simulated(pairs, one, other);
				if (one == other)
					fputs(" NaN", out);
				else
					fprintf(out, " %.3f", (double)milli / 1000);
			}
			fputc('\n', out);
		}
		fputs("\n\n", out);
	}
}

static void widen(const struct pair_table *table, uint64_t *least, uint64_t *most)
{
	for (unsigned one = 1; one < table->cores; one++)
		for (unsigned other = 0; other < one; other++) {
			uint64_t milli = table->milli[one * table->cores + other];
			*least = milli < *least ? milli : *least;
			*most = milli > *most ? milli : *most;
		}
}

static void print_variables(const void *context, FILE *out)
{
	const struct pairs *pairs = context;
	uint64_t least = UINT64_MAX, most = 0;
	widen(&pairs->simulated, &least, &most);
	widen(&pairs->measured, &least, &most);
	fprintf(out, "LEAST = %.3f\nMOST = %.3f\n", (double)least / 1000, (double)most / 1000);
	fprintf(out, "CORES = %u\nCOMPLEX = %u\nMEASURED = %d\n", pairs->simulated.cores, pairs->complex,
	        pairs->measured.cores > 0);
}

bool machine_pairs_draw(const struct pairs *pairs, const char *path, struct error *error)
{
	char *source =
	        xasprintf("%s; cores behind one last-level cache in the order of what they have to each other", pairs->name);
	bool drawn = machine_picture_draw(&(struct machine_picture){.heading = "Cycles of a message between each two cores",
	                                                            .source = source,
	                                                            .template = "pairs",
	                                                            .context = pairs,
	                                                            .write_data = print_data,
	                                                            .write_script = print_variables},
	                                  path, error);
	free(source);
	return drawn;
}
