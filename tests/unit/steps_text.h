/* SPDX-License-Identifier: MIT
 *
 * steps_text.h - recorded steps as text, for tests that hold a path against a list written by hand: one line a step, its kind,
 * the structure and field it touches, and how many bytes ("read kmem_cache.cpu_slab 8"). Instructions and switches of interrupts
 * are left out and counted.
 *
 * A test names the structures of its example by their addresses; their fields come from tables below, which were written from
 * the debugging information of Debian's Linux 6.1 for amd64 and know nothing of the models' constants.
 */
#ifndef TESTS_UNIT_STEPS_TEXT_H
#define TESTS_UNIT_STEPS_TEXT_H

#include "tests/unit/test.h"

#include "sim/steps.h"

#include <stdio.h>
#include <string.h>

struct text_field {
	uint32_t offset;
	const char *name;
};

/* A structure that lies somewhere: its name, where, how many bytes, and its fields (ends with a NULL name; NULL: one field). */
struct text_struct {
	const char *name;
	uint64_t at;
	uint64_t bytes;
	const struct text_field *fields;
};

#define TEXT_STRUCTS 32
#define TEXT_BYTES 16384

struct steps_text {
	struct text_struct structs[TEXT_STRUCTS];
	unsigned count;
	uint64_t instructions;      /* of the steps printed last */
	unsigned irqs_off, irqs_on; /* in them, how often interrupts were switched */
	char text[TEXT_BYTES];
};

static inline void text_add(struct steps_text *text, const char *name, uint64_t at, uint64_t bytes,
                            const struct text_field *fields)
{
	assert_true(text->count < TEXT_STRUCTS);
	text->structs[text->count++] = (struct text_struct){name, at, bytes, fields};
}

static inline const struct text_struct *text_struct_of(const struct steps_text *text, uint64_t address)
{
	for (unsigned i = 0; i < text->count; i++)
		if (address >= text->structs[i].at && address - text->structs[i].at < text->structs[i].bytes)
			return &text->structs[i];
	return NULL;
}

static inline const char *text_field_of(const struct text_struct *structure, uint64_t address)
{
	for (const struct text_field *field = structure->fields; field && field->name; field++)
		if (structure->at + field->offset == address)
			return field->name;
	return NULL;
}

/* All steps but the instructions, a line each. */
static inline const char *text_of(struct steps_text *text, const struct steps *steps)
{
	static const char *const kinds[] = {[STEP_READ] = "read",         [STEP_WRITE] = "write",   [STEP_ATOMIC] = "atomic",
	                                    [STEP_CMPXCHG] = "cmpxchg",   [STEP_UPDATE] = "update", [STEP_EXCHANGE] = "exchange",
	                                    [STEP_PREFETCH] = "prefetch", [STEP_LOCK] = "lock",     [STEP_UNLOCK] = "unlock"};
	size_t used = 0;
	text->instructions = 0;
	text->irqs_off = text->irqs_on = 0;
	text->text[0] = '\0';
	for (uint32_t i = 0; i < steps->count; i++) {
		const struct step *step = &steps->at[i];
		if (step->kind == STEP_SPEND) {
			text->instructions += step->bytes;
			continue;
		}
		if (step->kind == STEP_IRQS) {
			text->irqs_off += step->bytes != IRQS_ENABLE;
			text->irqs_on += step->bytes == IRQS_ENABLE;
			continue;
		}
		const struct text_struct *structure = text_struct_of(text, step->address);
		const char *field = structure ? text_field_of(structure, step->address) : NULL;
		char offset[32];
		snprintf(offset, sizeof offset, "+%llu", (unsigned long long)(step->address - (structure ? structure->at : 0)));
		used += (size_t)snprintf(text->text + used, TEXT_BYTES - used, "%s %s%s%s %u\n", kinds[step->kind],
		                         structure ? structure->name : "?", field ? "." : "", field ? field : offset,
		                         step->bytes);
		assert_true(used < TEXT_BYTES);
	}
	return text->text;
}

/* Demands that the steps are these, and tells of the first that is not. */
static inline void expect_steps(struct steps_text *text, const struct steps *steps, const char *expected)
{
	const char *got = text_of(text, steps);
	for (unsigned line = 1; *got || *expected; line++) {
		int got_bytes = (int)strcspn(got, "\n"), expected_bytes = (int)strcspn(expected, "\n");
		if (got_bytes != expected_bytes || strncmp(got, expected, (size_t)got_bytes) != 0)
			fail_msg("step %u is \"%.*s\", expected \"%.*s\"; then \"%.60s\", expected \"%.60s\"", line, got_bytes,
			         got, expected_bytes, expected, got + got_bytes, expected + expected_bytes);
		got += got_bytes + (got[got_bytes] != '\0');
		expected += expected_bytes + (expected[expected_bytes] != '\0');
	}
}

/* struct kmem_cache of SLUB, include/linux/slub_def.h */
static const struct text_field slub_kmem_cache_fields[] = {{0, "cpu_slab"},
                                                           {8, "flags"},
                                                           {16, "min_partial"},
                                                           {28, "object_size"},
                                                           {40, "offset"},
                                                           {48, "cpu_partial_slabs"},
                                                           {52, "oo"},
                                                           {60, "allocflags"},
                                                           {72, "ctor"},
                                                           {184, "random"},
                                                           {200, "random_seq"},
                                                           {216, "node[0]"},
                                                           {0, NULL}};
static const struct text_field kmem_cache_cpu_fields[] = {{0, "freelist"}, {8, "tid"}, {16, "slab"}, {24, "partial"}, {0, NULL}};
static const struct text_field slub_node_fields[] = {
        {0, "list_lock"},      {8, "nr_partial"}, {16, "partial.next"}, {24, "partial.prev"}, {32, "nr_slabs"},
        {40, "total_objects"}, {0, NULL}};
/* struct slab of SLUB, mm/slab.h; `next` is also slab_list.next and the page's compound_head, `slabs` slab_list.prev */
static const struct text_field slub_slab_fields[] = {{0, "flags"},     {8, "next"},      {16, "prev"},      {24, "slab_cache"},
                                                     {32, "freelist"}, {40, "counters"}, {52, "_refcount"}, {0, NULL}};

/* struct page, include/linux/mm_types.h */
static const struct text_field page_fields[] = {{0, "flags"},      {8, "lru"},        {16, "lru.prev"},
                                                {24, "mapping"},   {32, "index"},     {40, "private"},
                                                {48, "_mapcount"}, {52, "_refcount"}, {0, NULL}};
/* struct zone up to its free areas, and behind them; struct free_area; struct per_cpu_pages; struct per_cpu_zonestat */
static const struct text_field zone_fields[] = {{0, "watermark[min]"},
                                                {8, "watermark[low]"},
                                                {32, "watermark_boost"},
                                                {40, "nr_reserved_highatomic"},
                                                {64, "lowmem_reserve[2]"},
                                                {88, "node"},
                                                {96, "zone_pgdat"},
                                                {104, "per_cpu_pageset"},
                                                {112, "per_cpu_zonestats"},
                                                {1224, "flags"},
                                                {1232, "lock"},
                                                {1344, "vm_stat"},
                                                {0, NULL}};
static const struct text_field free_area_fields[] = {{0, "unmovable"}, {8, "unmovable.prev"}, {80, "nr_free"}, {0, NULL}};
static const struct text_field pcp_fields[] = {{0, "lock"},         {4, "count"},     {8, "high"},           {12, "batch"},
                                               {16, "free_factor"}, {24, "lists[0]"}, {32, "lists[0].prev"}, {0, NULL}};
static const struct text_field zonestat_fields[] = {
        {0, "vm_stat_diff"}, {11, "stat_threshold"}, {16, "NUMA_HIT"}, {48, "NUMA_LOCAL"}, {0, NULL}};
static const struct text_field vm_event_fields[] = {{48, "PGALLOC_NORMAL"}, {152, "PGFREE"}, {0, NULL}};

/* struct kmem_cache, kmem_cache_node, slab and array_cache of SLAB: include/linux/slab_def.h, mm/slab.h, mm/slab.c */
static const struct text_field slab_kmem_cache_fields[] = {
        {0, "cpu_cache"},   {32, "flags"}, {36, "num"},          {40, "gfporder"},    {44, "allocflags"}, {48, "colour"},
        {56, "colour_off"}, {64, "ctor"},  {100, "object_size"}, {112, "random_seq"}, {128, "node[0]"},   {0, NULL}};
static const struct text_field slab_node_fields[] = {
        {0, "list_lock"},   {8, "partial"},      {16, "partial.prev"}, {24, "full"},          {32, "full.prev"},
        {40, "free"},       {48, "free.prev"},   {56, "total_slabs"},  {64, "free_slabs"},    {72, "free_objects"},
        {80, "free_limit"}, {84, "colour_next"}, {88, "shared"},       {112, "free_touched"}, {0, NULL}};
static const struct text_field slab_slab_fields[] = {{0, "flags"},     {8, "list"},   {16, "list.prev"}, {24, "slab_cache"},
                                                     {32, "freelist"}, {40, "s_mem"}, {48, "active"},    {0, NULL}};
static const struct text_field array_cache_fields[] = {{0, "avail"},     {4, "limit"},     {8, "batchcount"}, {12, "touched"},
                                                       {16, "entry[0]"}, {24, "entry[1]"}, {0, NULL}};

#endif
