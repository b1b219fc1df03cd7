/* SPDX-License-Identifier: MIT
 *
 * oracle_areas.c - the addresses of vmalloc scripts on the vmalloc model (interface: oracle.h).
 *
 *     v id bytes lazy=N       before vmalloc(): pages that wait for a purge
 *     V id address : frames   what it gave; FAIL if nothing
 *     F id lazy=N             before vfree()
 *
 * The model has ranges only here: pages are replayed beside it (oracle_pages.c), since calls of others stand between them. An
 * area that was recorded as FAIL for want of pages was made and freed again, which is done here as well. lazy= is a state.
 *
 * Page tables are part of the call: as many as the recording asked pages for, in the call that first needed them.
 */
#include "models/virtual_allocator/vmalloc.h"
#include "tools/kmemsim/oracle.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

bool oracle_load_areas(struct oracle *oracle, const struct state_dump *dump, struct page_allocator *pages, struct error *error)
{
	struct virtual_allocator_wiring wiring = {
	        .settings = &oracle->settings, .pages = pages, .layout = &oracle->layout, .steps = &oracle->steps};
	oracle->areas = virtual_allocator_vmalloc_create(&wiring, error);
	if (!oracle->areas || !vmalloc_load_state(oracle->areas, dump, error))
		return false;
	virtual_allocator_check(oracle->areas);
	return true;
}

static void compare_lazy(struct oracle *oracle, const struct recording_line *line)
{
	uint64_t expected = state_text_number(line->text, "lazy", UINT64_MAX);
	uint64_t got = oracle->areas->ops->lazy_pages(oracle->areas);
	if (expected == UINT64_MAX)
		return;
	oracle->tally->states++;
	oracle->tally->states_equal += expected == got;
	if (expected != got)
		oracle_differs(oracle, line, "\"%.60s\": %" PRIu64 " pages wait for a purge in the model", line->text, got);
}

/* The v line of a V line: the request's size stands there, and the call's events behind it. */
static const struct recording_line *request_of(const struct oracle *oracle, const struct recording_line *line)
{
	const struct recording_line *at = line;
	while (at > oracle->recording->lines && (at->kind != LINE_VMALLOC || at->id != line->id))
		at--;
	return at;
}

/* Page tables made inside a call: no other page of these kernels is asked for with those flags alone. */
static uint64_t recorded_tables(const struct recording_line *from, const struct recording_line *to)
{
	uint64_t tables = 0;
	for (; from < to; from++)
		tables += from->kind == LINE_BLOCK && from->taken && from->context == 't' && from->order == 0 &&
		          from->flags == VMALLOC_TABLE_GFP;
	return tables;
}

static uint64_t tables_made(const struct oracle *oracle)
{
	return ((const struct vmalloc_counters *)oracle->areas->ops->counters(oracle->areas))->page_table_pages;
}

static void make_area(struct oracle *oracle, const struct recording_line *line, vaddr *live)
{
	const struct recording_line *request = request_of(oracle, line);
	uint64_t tables = tables_made(oracle), tables_expected = recorded_tables(request, line);
	struct virtual_area area = virtual_alloc(oracle->areas, request->kind == LINE_VMALLOC ? request->size : 0, 0);
	const char *at = strchr(line->text + strlen("V "), ' ');
	uint64_t expected = line->failed || !at ? 0 : strtoull(at, NULL, 16);
	live[line->id] = area.at;
	if (line->failed && area.at.addr) {
		virtual_free(oracle->areas, area.at, 0);
		live[line->id] = area.at = VADDR_NULL;
	}
	tables = tables_made(oracle) - tables;
	bool equal = expected == area.at.addr && (line->failed || tables == tables_expected);
	oracle->tally->calls++;
	oracle->tally->calls_equal += equal;
	if (!equal)
		oracle_differs(oracle, line,
		               "\"%.40s\": expected area %" PRIx64 " with %" PRIu64 " new page tables, got %" PRIx64
		               " with %" PRIu64,
		               line->text, expected, tables_expected, area.at.addr, tables);
}

static void free_area(struct oracle *oracle, const struct recording_line *line, vaddr *live)
{
	enum virtual_free_result result = virtual_free(oracle->areas, live[line->id], 0);
	live[line->id] = VADDR_NULL;
	oracle->tally->calls++;
	oracle->tally->calls_equal += result == VIRTUAL_FREE_OK;
	if (result != VIRTUAL_FREE_OK)
		oracle_differs(oracle, line, "\"%.40s\": the model has no area of that id", line->text);
}

void oracle_area_line(struct oracle *oracle, const struct recording_line *line, vaddr *live)
{
	if (!oracle->areas)
		return;
	if (line->kind != LINE_AREA)
		compare_lazy(oracle, line);
	if (line->kind == LINE_AREA)
		make_area(oracle, line, live);
	else if (line->kind == LINE_VFREE)
		free_area(oracle, line, live);
	if (oracle->options->paranoid)
		virtual_allocator_check(oracle->areas);
}
