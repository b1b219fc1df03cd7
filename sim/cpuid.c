/* SPDX-License-Identifier: MIT
 *
 * cpuid.c - tables of CPUID's answers, read from text and printed (interface and format: cpuid.h).
 */
#include "sim/cpuid.h"

#include <stdlib.h>
#include <string.h>

#define HEX_DIGITS_MAX 8

bool cpuid_add(struct cpuid_table *table, const struct cpuid_leaf *leaf)
{
	if (table->count == CPUID_LEAVES_MAX || cpuid_find(table, leaf->leaf, leaf->subleaf))
		return false;
	table->at = xrealloc(table->at, (table->count + 1) * sizeof *table->at);
	table->at[table->count++] = *leaf;
	return true;
}

void cpuid_release(struct cpuid_table *table)
{
	free(table->at);
	*table = (struct cpuid_table){0};
}

const struct cpuid_leaf *cpuid_find(const struct cpuid_table *table, uint32_t leaf, uint32_t subleaf)
{
	for (size_t i = 0; i < table->count; i++)
		if (table->at[i].leaf == leaf && table->at[i].subleaf == subleaf)
			return &table->at[i];
	return NULL;
}

void cpuid_print(const struct cpuid_table *table, FILE *out)
{
	fputs("CPU 0:\n", out);
	for (size_t i = 0; i < table->count; i++) {
		const struct cpuid_leaf *row = &table->at[i];
		fprintf(out, "   0x%08x 0x%02x: eax=0x%08x ebx=0x%08x ecx=0x%08x edx=0x%08x\n", row->leaf, row->subleaf, row->eax,
		        row->ebx, row->ecx, row->edx);
	}
}

/* ---- reading ---- */

struct cursor {
	const char *at, *end; /* of a line, without its newline */
};

static void skip_blanks(struct cursor *cursor)
{
	while (cursor->at < cursor->end && (*cursor->at == ' ' || *cursor->at == '\t' || *cursor->at == '\r'))
		cursor->at++;
}

static bool take(struct cursor *cursor, const char *text)
{
	size_t length = strlen(text);
	if ((size_t)(cursor->end - cursor->at) < length || memcmp(cursor->at, text, length) != 0)
		return false;
	cursor->at += length;
	return true;
}

static int hex_digit(char letter)
{
	if (letter >= '0' && letter <= '9')
		return letter - '0';
	letter |= 0x20;
	return letter >= 'a' && letter <= 'f' ? letter - 'a' + 10 : -1;
}

/* "0x" and one to eight hexadecimal digits. */
static bool take_hex(struct cursor *cursor, uint32_t *value)
{
	skip_blanks(cursor);
	if (!take(cursor, "0x"))
		return false;
	unsigned digits = 0;
	*value = 0;
	for (; cursor->at < cursor->end && hex_digit(*cursor->at) >= 0; cursor->at++, digits++)
		*value = *value << 4 | (uint32_t)hex_digit(*cursor->at);
	return digits > 0 && digits <= HEX_DIGITS_MAX;
}

static bool take_register(struct cursor *cursor, const char *name, uint32_t *value)
{
	skip_blanks(cursor);
	return take(cursor, name) && take_hex(cursor, value);
}

static bool take_row(struct cursor *cursor, struct cpuid_leaf *row)
{
	bool taken = take_hex(cursor, &row->leaf) && take_hex(cursor, &row->subleaf) && take(cursor, ":") &&
	             take_register(cursor, "eax=", &row->eax) && take_register(cursor, "ebx=", &row->ebx) &&
	             take_register(cursor, "ecx=", &row->ecx) && take_register(cursor, "edx=", &row->edx);
	skip_blanks(cursor);
	return taken && cursor->at == cursor->end;
}

/* What a file has been read of so far. */
struct reading {
	struct cpuid_table *table;
	const char *name;
	unsigned long line;
	unsigned cpus; /* heads "CPU N:" */
	struct error *error;
};

static bool read_row(struct reading *reading, struct cursor line)
{
	struct cpuid_leaf row;
	if (!take_row(&line, &row))
		return error_set(
		        reading->error, ERROR_INPUT,
		        "%s:%lu: expected a row '0xLEAF 0xSUBLEAF: eax=0x... ebx=0x... ecx=0x... edx=0x...' as `cpuid -r` and "
		        "`kmemsim machine cpuid` print it",
		        reading->name, reading->line);
	if (reading->cpus == 0)
		return error_set(reading->error, ERROR_INPUT, "%s:%lu: expected a line 'CPU 0:' before the first row",
		                 reading->name, reading->line);
	if (reading->cpus > 1 || cpuid_add(reading->table, &row))
		return true;
	if (reading->table->count == CPUID_LEAVES_MAX)
		return error_set(reading->error, ERROR_INPUT, "%s:%lu: more than %u rows of one CPU", reading->name,
		                 reading->line, CPUID_LEAVES_MAX);
	return error_set(reading->error, ERROR_INPUT, "%s:%lu: leaf 0x%08x subleaf 0x%02x stands twice", reading->name,
	                 reading->line, row.leaf, row.subleaf);
}

static bool read_line(struct reading *reading, struct cursor line)
{
	skip_blanks(&line);
	if (line.at == line.end || *line.at == '#')
		return true;
	if (!take(&line, "CPU"))
		return read_row(reading, line);
	/* `cpuid -1 -r` prints "CPU:", without a number. */
	skip_blanks(&line);
	while (line.at < line.end && *line.at >= '0' && *line.at <= '9')
		line.at++;
	bool is_head = take(&line, ":");
	skip_blanks(&line);
	reading->cpus++;
	return (is_head && line.at == line.end) ||
	       error_set(reading->error, ERROR_INPUT, "%s:%lu: expected 'CPU N:'", reading->name, reading->line);
}

bool cpuid_read(struct cpuid_table *table, const char *name, const char *text, size_t length, struct error *error)
{
	struct reading reading = {.table = table, .name = name, .error = error};
	const char *stop = text + length;
	bool fine = true;
	for (const char *at = text; at < stop && fine;) {
		const char *newline = memchr(at, '\n', (size_t)(stop - at));
		const char *end = newline ? newline : stop;
		reading.line++;
		fine = read_line(&reading, (struct cursor){at, end});
		at = newline ? newline + 1 : stop;
	}
	if (fine && table->count == 0)
		fine = error_set(error, ERROR_INPUT, "%s: has no rows of CPUID", name);
	if (!fine)
		cpuid_release(table);
	return fine;
}
