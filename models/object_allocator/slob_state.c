/* SPDX-License-Identifier: MIT
 *
 * slob_state.c - SLOB's lists as lines of a state dump, printed and read back (interface: print_state and load_state of
 * sim/port/object_allocator.h).
 *
 * Format: `@SL small|medium|large`, then for each page of the list, head first, ` pfn units [ offset+units ... ]`; pfn and
 * offsets (bytes) in hex, units decimal.
 */
#include "models/object_allocator/slob.h"
#include "sim/state_dump.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Pages that SLOB's dumps hold have at most this many blocks, else they could not be apart from each other. */
#define BLOCKS_MAX (SLOB_PAGE_UNITS / 2)

static const char *const list_names[SLOB_LISTS] = {"small", "medium", "large"};

/* The list a line tells of, SLOB_LISTS if it is no @SL line; *rest is what stands behind its name. */
static enum slob_list list_of_line(const char *text, const char **rest)
{
	for (enum slob_list list = 0; list < SLOB_LISTS; list++) {
		size_t length = strlen(list_names[list]);
		if (strncmp(text, "@SL ", 4) == 0 && strncmp(text + 4, list_names[list], length) == 0) {
			*rest = text + 4 + length;
			return list;
		}
	}
	return SLOB_LISTS;
}

static bool load_list(struct object_allocator *objects, enum slob_list list, const char *at, struct error *error)
{
	struct slob_block blocks[BLOCKS_MAX];
	for (at += strspn(at, " "); *at; at += strspn(at, " ")) {
		char *end;
		pfn frame = pfn_of((uint32_t)strtoul(at, &end, 16));
		strtoul(end, &end, 10);
		if (strncmp(end, " [", 2) != 0)
			return error_set(error, ERROR_INPUT, "\"%.40s\" is no page of an @SL line", at);
		uint32_t count = 0;
		for (at = end + 2; *at == ' ' && at[1] != ']'; at = end) {
			unsigned long offset = strtoul(at, &end, 16);
			if (*end != '+' || count == BLOCKS_MAX)
				return error_set(error, ERROR_INPUT, "\"%.40s\" is no block of an @SL line", at);
			unsigned long units = strtoul(end + 1, &end, 10);
			blocks[count++] = (struct slob_block){(uint16_t)(offset / SLOB_UNIT), (uint16_t)units};
		}
		if (strncmp(at, " ]", 2) != 0)
			return error_set(error, ERROR_INPUT, "\"%.40s\" does not end a page of an @SL line", at);
		at += 2;
		if (!slob_load_page(objects, list, frame, blocks, count, error))
			return false;
	}
	return true;
}

bool slob_load_state(struct object_allocator *objects, const struct state_dump *dump, struct error *error)
{
	for (size_t i = 0; i < dump->text_count; i++) {
		const char *rest;
		enum slob_list list = list_of_line(dump->texts[i].text, &rest);
		if (list != SLOB_LISTS && !load_list(objects, list, rest, error))
			return false;
	}
	return true;
}

static void print_list(FILE *out, const struct object_allocator *objects, enum slob_list list)
{
	struct slob_page_view page;
	fprintf(out, "@SL %s", list_names[list]);
	for (uint32_t cursor = 0; slob_next_page(objects, list, &cursor, &page);) {
		fprintf(out, " %x %u [", page.frame.nr, page.units);
		for (uint32_t i = 0; i < page.count; i++)
			fprintf(out, " %x+%u", page.blocks[i].offset * SLOB_UNIT, page.blocks[i].units);
		fprintf(out, " ]");
	}
	fprintf(out, "\n");
}

void slob_print_state(const struct object_allocator *objects, cache_id one, FILE *out)
{
	(void)one; /* its lists are of all caches */
	for (enum slob_list list = 0; list < SLOB_LISTS; list++)
		print_list(out, objects, list);
}
