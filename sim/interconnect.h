/* SPDX-License-Identifier: MIT
 *
 * interconnect.h - how far the stops of a chip's network are from each other: cores and slices of the last-level cache.
 *
 *   ring   stops in a circle; a message takes the shorter way round
 *   mesh   stops row by row in a grid as square as they allow; a message goes along one row and one column
 *   table  a number of hops for each pair
 *
 * Cores and slices are spread evenly over the stops, each from stop 0 on, so that with as many slices as cores every stop has one
 * of both. A core goes to a line's slice, whether that has the line or knows the core that has it. MODEL: links never are the bottleneck: a hop takes its cycles, however many messages there are.
 */
#ifndef SIM_INTERCONNECT_H
#define SIM_INTERCONNECT_H

#include "sim/base.h"

enum topology { TOPOLOGY_NONE, TOPOLOGY_RING, TOPOLOGY_MESH, TOPOLOGY_TABLE };

/* The most stops: one for each core. */
#define STOPS_MAX CPUS_MAX

struct interconnect {
	unsigned stops;
	uint32_t *cycles; /* from stop * stops + to stop; NULL: every way takes none; owned */
};

struct interconnect_wiring {
	enum topology topology;
	unsigned stops;      /* 1 to STOPS_MAX */
	uint32_t hop_cycles; /* of one hop */
	/* TOPOLOGY_TABLE: for each stop the hops to each, numbers with blanks between them. */
	char *const *rows;
	uint32_t rows_count;
};

/* false with *error if the rows do not say how far each stop is from each. */
bool interconnect_init(struct interconnect *interconnect, const struct interconnect_wiring *wiring, struct error *error);
void interconnect_release(struct interconnect *interconnect);

/* Cycles from one stop to another and back: what a request and its answer take. */
static inline uint32_t interconnect_cycles(const struct interconnect *interconnect, unsigned from, unsigned to)
{
	return interconnect->cycles ? interconnect->cycles[from * interconnect->stops + to] : 0;
}

/* The stop of number `index` of `count` cores, or slices. */
static inline unsigned interconnect_stop(const struct interconnect *interconnect, unsigned index, unsigned count)
{
	return index * interconnect->stops / count;
}

#endif
