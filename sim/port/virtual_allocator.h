/* SPDX-License-Identifier: MIT
 *
 * virtual_allocator.h - the port that hands out ranges of kernel addresses with pages behind them (vmalloc, vmap).
 *
 * Models: models/virtual_allocator/{vmalloc,ideal}.c. A model embeds struct virtual_allocator as its first member and fills
 * `ops`. It asks the page allocator and the object allocator of its wiring for pages, page tables and its own structures.
 * Everything a caller may rely on is asserted in the wrappers below; tests/conformance runs every model against them.
 */
#ifndef SIM_PORT_VIRTUAL_ALLOCATOR_H
#define SIM_PORT_VIRTUAL_ALLOCATOR_H

#include "sim/base.h"
#include "sim/layout.h"
#include "sim/port/object_allocator.h"
#include "sim/port/page_allocator.h"
#include "sim/steps.h"

#include <stdio.h>

struct settings; /* models/settings.h */
struct metric;

enum virtual_alloc_result {
	VIRTUAL_ALLOC_OK,
	VIRTUAL_ALLOC_NO_SPACE,     /* no range of addresses is long enough, even after a purge */
	VIRTUAL_ALLOC_NO_PAGES,     /* no pages, page tables or structures for it */
	VIRTUAL_ALLOC_EXCEEDS_TOTAL /* more pages than the machine has; a size of 0 is refused as this too */
};

enum virtual_free_result {
	VIRTUAL_FREE_OK,
	VIRTUAL_FREE_NOT_AREA,  /* no area that is in use begins there */
	VIRTUAL_FREE_WRONG_CALL /* vfree() of an area made by vmap(), or the other way round */
};

/* What came out of an allocation; at is VADDR_NULL unless it went well. */
struct virtual_area {
	vaddr at;
	enum virtual_alloc_result result;
};

/* The lists an area can be on. */
enum area_list {
	AREA_FREE,  /* can be handed out */
	AREA_BUSY,  /* in use */
	AREA_PURGE, /* freed, but not usable before the next purge and its TLB flush */
	AREA_LISTS
};

/* A range of one list: [start, end). A busy one includes its guard page. */
struct area_view {
	uint64_t start, end;
};

struct virtual_allocator;

struct virtual_allocator_ops {
	const char *name;
	const char *help;

	/* vmalloc(size): whole pages, mapped one behind the other. */
	struct virtual_area (*valloc)(struct virtual_allocator *, uint64_t size, unsigned cpu);
	/* Gives an area and its pages back. A wrong free changes nothing and is told by the result. */
	enum virtual_free_result (*vfree)(struct virtual_allocator *, vaddr, unsigned cpu);
	/* Maps pages that the caller has; they stay the caller's. */
	struct virtual_area (*vmap)(struct virtual_allocator *, const pfn *frames, uint32_t count, unsigned cpu);
	enum virtual_free_result (*vunmap)(struct virtual_allocator *, vaddr, unsigned cpu);

	/* Makes what was freed usable again (the kernel's purge of lazily freed areas). */
	void (*purge)(struct virtual_allocator *, unsigned cpu);

	/* The first area of a list that ends above `from`, so that a walk goes on from view.end; false if there is none. */
	bool (*area_above)(const struct virtual_allocator *, enum area_list, uint64_t from, struct area_view *);
	/* Frames mapped by the area that begins at `at`: their number, up to `room` of them in frames[]; 0 if there is no such
	 * area. */
	uint32_t (*area_pages)(const struct virtual_allocator *, vaddr at, pfn *frames, uint32_t room);
	/* Pages of freed areas that wait for a purge, guard pages included. */
	uint64_t (*lazy_pages)(const struct virtual_allocator *);

	/* The areas as lines of a state dump (sim/state_dump.h). NULL in a model without them. */
	void (*print_state)(const struct virtual_allocator *, FILE *);

	/* Walks everything, recounts and compares; a broken law is SIM_ASSERTed. */
	void (*check)(const struct virtual_allocator *);

	/* Counters of the model: rows beside the struct they live in (sim/metric.h). */
	const struct metric *metrics;
	const void *(*counters)(const struct virtual_allocator *);

	/* Areas in use give their pages and objects back. */
	void (*destroy)(struct virtual_allocator *);
};

struct virtual_allocator {
	const struct virtual_allocator_ops *ops;
	uint64_t live_areas; /* handed out and not given back; kept by the wrappers */
};

/* What a virtual allocator is made of and stands on. The pointers outlive the allocator. */
struct virtual_allocator_wiring {
	const struct settings *settings;
	struct page_allocator *pages;     /* NULL: ranges only, nothing is behind them and none is too large */
	struct object_allocator *objects; /* NULL: its own structures lie in kernel data */
	struct layout *layout;
	struct steps *steps;
};

static inline struct virtual_area virtual_alloc(struct virtual_allocator *areas, uint64_t size, unsigned cpu)
{
	SIM_ASSERT(cpu < CPUS_MAX);
	struct virtual_area area = areas->ops->valloc(areas, size, cpu);
	SIM_ASSERT((area.result == VIRTUAL_ALLOC_OK) == (area.at.addr != 0) && area.at.addr % PAGE_SIZE == 0);
	areas->live_areas += area.result == VIRTUAL_ALLOC_OK;
	return area;
}

static inline enum virtual_free_result virtual_free(struct virtual_allocator *areas, vaddr at, unsigned cpu)
{
	SIM_ASSERT(cpu < CPUS_MAX);
	enum virtual_free_result result = areas->ops->vfree(areas, at, cpu);
	areas->live_areas -= result == VIRTUAL_FREE_OK;
	return result;
}

static inline struct virtual_area virtual_map(struct virtual_allocator *areas, const pfn *frames, uint32_t count, unsigned cpu)
{
	SIM_ASSERT(cpu < CPUS_MAX);
	struct virtual_area area = areas->ops->vmap(areas, frames, count, cpu);
	SIM_ASSERT((area.result == VIRTUAL_ALLOC_OK) == (area.at.addr != 0) && area.at.addr % PAGE_SIZE == 0);
	areas->live_areas += area.result == VIRTUAL_ALLOC_OK;
	return area;
}

static inline enum virtual_free_result virtual_unmap(struct virtual_allocator *areas, vaddr at, unsigned cpu)
{
	SIM_ASSERT(cpu < CPUS_MAX);
	enum virtual_free_result result = areas->ops->vunmap(areas, at, cpu);
	areas->live_areas -= result == VIRTUAL_FREE_OK;
	return result;
}

static inline void virtual_allocator_check(const struct virtual_allocator *areas)
{
	areas->ops->check(areas);
}

static inline void virtual_allocator_destroy(struct virtual_allocator *areas)
{
	if (areas)
		areas->ops->destroy(areas);
}

#endif
