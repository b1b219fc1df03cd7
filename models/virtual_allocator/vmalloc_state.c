/* SPDX-License-Identifier: MIT
 *
 * vmalloc_state.c - areas of a recorded dump, and as lines of one (interface: vmalloc.h).
 *
 *     @VM start=ffffc90000000000 end=ffffe8ffffffffff lazy=232
 *     @VA free : 1-ffffc90000000000 ffffc90001903000-ffffffffa0000000 ...
 *     @VA busy : ...
 *     @VA purge : ...
 *
 * Addresses are hexadecimal, ranges ascend and do not include their end.
 */
#include "models/virtual_allocator/vmalloc.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* The longest range there can be: above those of 4-level and 5-level tables (VMALLOC_SIZE_TB_L4, 32 TiB; _L5, 12800 TiB). */
#define RANGE_MAX (1ull << 46)
#define RANGE_MAX_5LEVEL (1ull << 54)

static const char *const list_names[AREA_LISTS] = {[AREA_FREE] = "free", [AREA_BUSY] = "busy", [AREA_PURGE] = "purge"};

/* ---- from a dump ---- */

/* The hexadecimal number behind ` key=`; false if there is none. */
static bool hex_value(const char *text, const char *key, uint64_t *value)
{
	const char *at = strstr(text, key);
	char *end;
	if (!at)
		return false;
	at += strlen(key);
	*value = strtoull(at, &end, 16);
	return end != at;
}

static bool take_range(const char **at, uint64_t *start, uint64_t *end)
{
	char *rest;
	*start = strtoull(*at, &rest, 16);
	if (rest == *at || *rest != '-')
		return false;
	const char *second = rest + 1;
	*end = strtoull(second, &rest, 16);
	if (rest == second)
		return false;
	*at = rest;
	return true;
}

static bool place_area(struct vmalloc *vmalloc, enum area_list list, uint64_t start, uint64_t end)
{
	if (start >= end || end > vmalloc->at.address_end)
		return false;
	uint32_t area = vmalloc_area_at_boot(vmalloc);
	area_of(&vmalloc->pool, area)->start = start;
	area_of(&vmalloc->pool, area)->end = end;
	if (!area_insert(&vmalloc->pool, &vmalloc->trees[list], area)) {
		area_drop(&vmalloc->pool, area);
		return false;
	}
	if (list == AREA_PURGE)
		vmalloc->counters.vmap_lazy_nr += (end - start) >> PAGE_SHIFT;
	if (list != AREA_FREE)
		vmalloc_tables_known(vmalloc, start, end);
	return true;
}

/* An "@VA list : start-end ..." line. */
static bool load_list(struct vmalloc *vmalloc, const struct state_text *line, struct error *error)
{
	for (unsigned list = 0; list < AREA_LISTS; list++) {
		const char *at = line->text + strlen("@VA ");
		size_t length = strlen(list_names[list]);
		if (strncmp(at, list_names[list], length) != 0 || at[length] != ' ')
			continue;
		at = strchr(at, ':');
		if (!at)
			break;
		at++;
		for (at += strspn(at, " "); *at; at += strspn(at, " ")) {
			uint64_t start, end;
			if (!take_range(&at, &start, &end) || !place_area(vmalloc, (enum area_list)list, start, end))
				return error_set(error, ERROR_INPUT,
				                 "line %" PRIu64 ": \"%.40s\" is no range of its own among the areas", line->line,
				                 at);
		}
		return true;
	}
	return error_set(error, ERROR_INPUT, "line %" PRIu64 ": found \"%.20s\", expected @VA free, busy or purge", line->line,
	                 line->text);
}

/* The default range goes, and everything that a fresh model holds free. */
static void set_range(struct vmalloc *vmalloc, uint64_t start, uint64_t end)
{
	vmalloc_tables_release(vmalloc);
	vmalloc->at.start = start;
	vmalloc->at.end = end;
	vmalloc_tables_init(vmalloc);
	uint32_t everything = area_first(&vmalloc->pool, &vmalloc->trees[AREA_FREE]);
	if (!everything)
		return;
	area_remove(&vmalloc->pool, &vmalloc->trees[AREA_FREE], everything);
	area_drop(&vmalloc->pool, everything);
}

static bool load_range(struct vmalloc *vmalloc, const struct state_text *line, struct error *error)
{
	uint64_t start, end;
	const uint64_t range_max = vmalloc->layout->is_5level ? RANGE_MAX_5LEVEL : RANGE_MAX;
	bool known = hex_value(line->text, " start=", &start) && hex_value(line->text, " end=", &end);
	if (!known || start >= end || end > vmalloc->at.address_end || end - start > range_max)
		return error_set(error, ERROR_INPUT, "line %" PRIu64 ": \"%.80s\" is no range of this kind of kernel", line->line,
		                 line->text);
	set_range(vmalloc, start, end);
	return true;
}

bool vmalloc_load_state(struct virtual_allocator *areas, const struct state_dump *dump, struct error *error)
{
	struct vmalloc *vmalloc = vmalloc_of(areas);
	bool ranged = false;
	SIM_ASSERT(!vmalloc->counters.areas_allocated);
	for (size_t i = 0; i < dump->text_count; i++) {
		const struct state_text *line = &dump->texts[i];
		bool range = state_text_begins(line->text, "@VM "), list = state_text_begins(line->text, "@VA ");
		if ((range && ranged) || (list && !ranged))
			return error_set(error, ERROR_INPUT,
			                 "line %" PRIu64 ": expected one @VM line, and the @VA lines behind it", line->line);
		if ((range && !load_range(vmalloc, line, error)) || (list && !load_list(vmalloc, line, error)))
			return false;
		ranged |= range;
	}
	if (!ranged)
		return error_set(error, ERROR_INPUT, "line %" PRIu64 ": the dump has no @VM line", dump->line);
	for (unsigned cpu = 0; cpu < vmalloc->cpus; cpu++)
		vmalloc->preloaded[cpu] = vmalloc_area_at_boot(vmalloc);
	return true;
}

/* ---- as lines of a dump ---- */

void vmalloc_print_state(const struct virtual_allocator *areas, FILE *out)
{
	const struct vmalloc *vmalloc = vmalloc_const(areas);
	fprintf(out, "@VM start=%" PRIx64 " end=%" PRIx64 " lazy=%" PRIu64 "\n", vmalloc->at.start, vmalloc->at.end,
	        vmalloc->counters.vmap_lazy_nr);
	for (unsigned list = 0; list < AREA_LISTS; list++) {
		fprintf(out, "@VA %s :", list_names[list]);
		const struct area_tree *tree = &vmalloc->trees[list];
		for (uint32_t area = area_first(&vmalloc->pool, tree); area; area = area_next(&vmalloc->pool, area)) {
			const struct area *at = area_of(&vmalloc->pool, area);
			fprintf(out, " %" PRIx64 "-%" PRIx64, at->start, at->end);
		}
		putc('\n', out);
	}
}
