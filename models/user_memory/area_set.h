/* SPDX-License-Identifier: MIT
 *
 * area_set.h - the areas of an address space as ranges of pages, in ascending order; none lies over another. On the host alone:
 * the model `ideal` keeps its areas in it.
 */
#ifndef MODELS_USER_MEMORY_AREA_SET_H
#define MODELS_USER_MEMORY_AREA_SET_H

#include "sim/port/user_memory.h"

/* Pages by number, linear address >> PAGE_SHIFT. */
struct area {
	uint64_t first, end; /* up to but without */
	enum user_area_kind kind;
	unsigned rights;
	uint32_t number;     /* of what it shows: a file, shared memory */
	uint64_t first_page; /* of that at `first` */
};

struct area_set {
	struct area *at; /* owned */
	uint32_t count, room;
};

void area_set_release(struct area_set *set);
/* NULL: the page is in no area. Valid until the set is changed. */
const struct area *area_set_find(const struct area_set *set, uint64_t page);
/* The first area that ends above a page; NULL: none does. */
const struct area *area_set_from(const struct area_set *set, uint64_t page);
/* Whether no area is in the range. */
bool area_set_is_free(const struct area_set *set, uint64_t first, uint64_t end);
/* Of a free range. A heap that ends where another one begins grows (do_brk_flags()). */
void area_set_add(struct area_set *set, const struct area *area);
/* The area that a page is in has so many pages more at its end, where there is room. */
void area_set_grow(struct area_set *set, uint64_t page, uint64_t pages);
/* Takes out what lies in the range, of an area that reaches over its edge the part in it; tells each part. */
void area_set_cut(struct area_set *set, uint64_t first, uint64_t end, void (*gone)(void *context, const struct area *),
                  void *context);
/* Pages of all areas. */
uint64_t area_set_pages(const struct area_set *set);
/* Asserts the order. */
void area_set_check(const struct area_set *set);

#endif
