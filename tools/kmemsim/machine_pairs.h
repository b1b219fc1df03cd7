/* SPDX-License-Identifier: MIT
 *
 * machine_pairs.h - what a message between each two cores of a simulated machine takes, beside what was measured on a real one.
 *
 * The experiment is the one that is published for many processors: two cores change one word by compare-exchange in turn, each as
 * soon as it sees the other's change; a message is half a round trip. Both cores try all the time, so the one whose turn it is
 * has asked for the line before the other is done with it.
 */
#ifndef TOOLS_MACHINE_PAIRS_H
#define TOOLS_MACHINE_PAIRS_H

#include "sim/base.h"

#include <stdio.h>

/* Thousandths of a cycle for each two cores. */
struct pair_table {
	unsigned cores;
	uint64_t *milli; /* [one * cores + other], both ways the same; owned */
};

struct pairs_request {
	const char *machine;     /* its name or file */
	const char *const *sets; /* of the simulated machine, `key=value`, ends with NULL */
	const char *measured;    /* a file of measured messages (docs/formats.md); NULL: none */
	uint64_t lines;          /* the mean over so many lines is told, from the first line of memory on */
};

struct pairs {
	char *name;                  /* of the machine; owned */
	unsigned complex;            /* cores that share a last-level cache */
	uint64_t lines;              /* of the request */
	uint64_t measured_mhz;       /* the clock that measured nanoseconds became cycles of */
	struct pair_table simulated; /* by the cores' numbers */
	struct pair_table measured;  /* cores: 0: nothing was measured */
	uint16_t order[2][CPUS_MAX]; /* the cores of the simulated, of the measured table as they are printed */
};

/* Simulates, and reads what was measured. false with *error; release *pairs in any case. */
bool machine_pairs(const struct pairs_request *request, struct pairs *pairs, struct error *error);
void machine_pairs_release(struct pairs *pairs);

/* Reads a file of measured messages. false with *error; release *table in any case. */
bool pair_table_read(struct pair_table *table, uint64_t *mhz, const char *path, struct error *error);

/* Cores of a complex in the order of what they have to its others, the nearest first; complexes in theirs. */
void pair_table_order(const struct pair_table *table, unsigned complex, uint16_t *order);

/* The table by classes of pairs, as text. */
void machine_pairs_print_text(const struct pairs *pairs, FILE *out);
/* Every pair, in the printed order. */
void machine_pairs_print_csv(const struct pairs *pairs, FILE *out);
/* Both tables as shades. */
bool machine_pairs_draw(const struct pairs *pairs, const char *path, struct error *error);

#endif
