/* SPDX-License-Identifier: MIT
 *
 * page_maps.h - the mappings that a recording's ops make of its pages, by id, and those that wait for a slot.
 *
 * A permanent mapping that finds every slot in use waits, as its task would sleep; each unmap lets those that wait try again, in
 * the order of their calls (wake_up() in kunmap_high()). One that is to be unmapped while it still waits was never made: the
 * recorded machine had more slots, or gave them back in another order.
 *
 * MODEL: with `timing: cycles` a mapping that waited is paid by the op whose unmap let it go on.
 *
 * Laws: made + made_late = unmapped + live; waited = made_late + given_up + waiting.
 */
#ifndef SIM_PAGE_MAPS_H
#define SIM_PAGE_MAPS_H

#include "sim/port/page_mapper.h"

struct page_maps_counters {
	uint64_t made, waited, made_late, given_up, unmapped;
};

struct page_mapping {
	uint64_t at;
	uint32_t frame;
	uint32_t bytes; /* that its user writes */
	uint16_t cpu;
	uint8_t call;  /* enum page_map_call */
	uint8_t state; /* none, waits, live */
};

struct page_maps {
	struct page_mapper *mapper; /* not owned; NULL: the recording has no such ops */
	struct steps *steps;
	struct page_mapping *by_id; /* lazily touched */
	uint32_t ids;
	uint32_t *waiting; /* ids, the oldest first */
	uint32_t waiting_count, waiting_room;
	struct page_maps_counters counters;
};

void page_maps_init(struct page_maps *maps, struct page_mapper *mapper, struct steps *steps, uint32_t ids);
void page_maps_release(struct page_maps *maps);

/* The id must not be live. *mapping: frame, bytes (0 to PAGE_SIZE), cpu and call. Nothing is made of one that is too deep. */
enum page_map_result page_maps_map(struct page_maps *maps, uint32_t id, const struct page_mapping *mapping);

enum page_maps_unmap {
	PAGE_MAPS_UNMAPPED,
	PAGE_MAPS_NEVER_MADE, /* it was still waiting, and does not wait any more */
	PAGE_MAPS_NOT_MAPPED, /* a wrong unmap, which changes nothing; so the next */
	PAGE_MAPS_WRONG_ORDER
};

enum page_maps_unmap page_maps_unmap(struct page_maps *maps, uint32_t id, unsigned cpu);

void page_maps_check(const struct page_maps *maps);

#endif
