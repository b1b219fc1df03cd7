/* SPDX-License-Identifier: MIT
 *
 * interconnect.c - distances between stops (interface: interconnect.h).
 */
#include "sim/interconnect.h"

#include <stdlib.h>

/* The most hops that a table may say. */
#define HOPS_MAX 1000u

static unsigned difference(unsigned a, unsigned b)
{
	return a > b ? a - b : b - a;
}

static unsigned ring_hops(unsigned stops, unsigned from, unsigned to)
{
	unsigned way = difference(from, to);
	return way < stops - way ? way : stops - way;
}

/* The least number of columns whose square is not below the number of stops. */
static unsigned mesh_columns(unsigned stops)
{
	unsigned columns = 1;
	while (columns * columns < stops)
		columns++;
	return columns;
}

static unsigned mesh_hops(unsigned columns, unsigned from, unsigned to)
{
	return difference(from % columns, to % columns) + difference(from / columns, to / columns);
}

/* The numbers of one row of a table. */
static bool read_row(const char *row, unsigned stops, uint32_t *hops, struct error *error)
{
	const char *at = row;
	for (unsigned to = 0; to < stops; to++) {
		char *end;
		unsigned long number = strtoul(at, &end, 10);
		if (end == at || number > HOPS_MAX)
			return error_set(error, ERROR_USAGE,
			                 "machine.interconnect.distances: '%s': expected %u numbers of hops, each 0 to %u", row,
			                 stops, HOPS_MAX);
		hops[to] = (uint32_t)number;
		at = end;
	}
	while (*at == ' ')
		at++;
	return !*at || error_set(error, ERROR_USAGE, "machine.interconnect.distances: '%s': more than %u numbers", row, stops);
}

bool interconnect_init(struct interconnect *interconnect, const struct interconnect_wiring *wiring, struct error *error)
{
	unsigned stops = wiring->stops, columns = mesh_columns(stops);
	SIM_ASSERT(stops > 0 && stops <= STOPS_MAX);
	*interconnect = (struct interconnect){.stops = stops};
	if (wiring->topology == TOPOLOGY_NONE)
		return true;
	if (wiring->topology == TOPOLOGY_TABLE && wiring->rows_count != stops)
		return error_set(error, ERROR_USAGE, "machine.interconnect.distances: %u rows; expected one for each of %u stops",
		                 wiring->rows_count, stops);
	interconnect->cycles = xcalloc((size_t)stops * stops, sizeof *interconnect->cycles);
	for (unsigned from = 0; from < stops; from++) {
		uint32_t *row = &interconnect->cycles[from * stops];
		if (wiring->topology == TOPOLOGY_TABLE && !read_row(wiring->rows[from], stops, row, error)) {
			interconnect_release(interconnect);
			return false;
		}
		for (unsigned to = 0; to < stops; to++) {
			if (wiring->topology == TOPOLOGY_RING)
				row[to] = ring_hops(stops, from, to);
			else if (wiring->topology == TOPOLOGY_MESH)
				row[to] = mesh_hops(columns, from, to);
			row[to] *= wiring->hop_cycles;
		}
	}
	return true;
}

void interconnect_release(struct interconnect *interconnect)
{
	free(interconnect->cycles);
	*interconnect = (struct interconnect){0};
}
