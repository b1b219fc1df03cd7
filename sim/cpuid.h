/* SPDX-License-Identifier: MIT
 *
 * cpuid.h - what the CPUID instruction answered, as a table: one row for each leaf and subleaf, from the host
 * (sim/io/host_cpuid.h) or from a file.
 *
 * Files are what `cpuid -r` prints and cpuid_print() writes (docs/formats.md, "CPUID tables"):
 *
 *     CPU 0:
 *        0x00000004 0x00: eax=0x1c004121 ebx=0x01c0003f ecx=0x0000003f edx=0x00000000
 *
 * Of several CPUs the first one's rows are taken. Invariant: no leaf and subleaf stands in a table twice.
 */
#ifndef SIM_CPUID_H
#define SIM_CPUID_H

#include "sim/base.h"

#include <stdio.h>

/* A processor answers a few hundred; more rows than this are no CPUID table. */
#define CPUID_LEAVES_MAX 4096u
#define CPUID_FILE_BYTES_MAX (16u << 20)

struct cpuid_leaf {
	uint32_t leaf, subleaf;
	uint32_t eax, ebx, ecx, edx;
};

struct cpuid_table {
	struct cpuid_leaf *at; /* owned, in the order they were added */
	size_t count;
};

/* Adds a row. false: the leaf and subleaf are there already, or the table is full. */
bool cpuid_add(struct cpuid_table *table, const struct cpuid_leaf *leaf);
void cpuid_release(struct cpuid_table *table);

/* The row of a leaf and subleaf, NULL if there is none. */
const struct cpuid_leaf *cpuid_find(const struct cpuid_table *table, uint32_t leaf, uint32_t subleaf);

/* Reads a file's text into a table that is empty. An error says "name:line" and what was expected; then nothing is to be
 * released. */
bool cpuid_read(struct cpuid_table *table, const char *name, const char *text, size_t length, struct error *error);

/* The table as text that cpuid_read() takes. */
void cpuid_print(const struct cpuid_table *table, FILE *out);

#endif
