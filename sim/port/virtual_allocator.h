/* SPDX-License-Identifier: MIT
 *
 * virtual_allocator.h - the port that hands out ranges of kernel addresses with something behind them (vmalloc, vmap, ioremap).
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

/* The kernel's calls that make an area; each has a call of its own that frees it. Numbers stand in recordings (.kmt). */
enum virtual_call {
	CALL_VMALLOC,      /* vmalloc(), vfree() */
	CALL_VMAP,         /* vmap(), vunmap(): pages of the caller, which stay the caller's */
	CALL_VMALLOC_HUGE, /* vmalloc_huge(), vfree(): in pages as large as there are */
	CALL_IOREMAP,      /* ioremap(), iounmap(): a range of physical addresses that is no memory */
	CALL_MODULE_ALLOC, /* module_alloc(), module_memfree() */
	CALL_THREAD_STACK, /* a kernel stack of a new task, and its end (kernel/fork.c); the size is the kernel's */
	CALL_VM_MAP_RAM,   /* vm_map_ram(), vm_unmap_ram(): as vmap, for a short time */
	VIRTUAL_CALLS
};

/* Whether the caller's pages are mapped. */
static inline bool virtual_call_maps(enum virtual_call call)
{
	return call == CALL_VMAP || call == CALL_VM_MAP_RAM;
}

struct virtual_request {
	enum virtual_call call;
	uint64_t size;      /* bytes; of the caller's pages: a multiple of pages */
	const pfn *frames;  /* of the calls that map the caller's pages, size / PAGE_SIZE of them */
	uint64_t physical;  /* ioremap: the first address */
	const char *caller; /* a name for lists of areas, which outlives the area; NULL: none */
};

struct virtual_allocator;

struct virtual_allocator_ops {
	const char *name;
	const char *help;

	/* Makes an area. */
	struct virtual_area (*get)(struct virtual_allocator *, const struct virtual_request *, unsigned cpu);
	/*
	 * Gives an area back; `request` tells call and size as get() was told. A wrong free changes nothing and is told by the
	 * result.
	 */
	enum virtual_free_result (*put)(struct virtual_allocator *, vaddr, const struct virtual_request *, unsigned cpu);

	/* Makes what was freed usable again (the kernel's purge of lazily freed areas). */
	void (*purge)(struct virtual_allocator *, unsigned cpu);

	/* The first area of a list that ends above `from`, so that a walk goes on from view.end; false if there is none. */
	bool (*area_above)(const struct virtual_allocator *, enum area_list, uint64_t from, struct area_view *);
	/* Frames mapped by the area that begins at `at`: their number, up to `room` of them in frames[]; 0 if there is no such
	 * area. */
	uint32_t (*area_pages)(const struct virtual_allocator *, vaddr at, pfn *frames, uint32_t room);
	/* Purges and flushes of all CPUs' TLBs so far. */
	void (*purges)(const struct virtual_allocator *, uint64_t *purges, uint64_t *tlb_flushes);
	/* Pages of freed areas that wait for a purge, guard pages included. */
	uint64_t (*lazy_pages)(const struct virtual_allocator *);
	/* Pages taken from the page allocator itself, not through the object allocator, and not given back; tables too. */
	uint64_t (*pages_held)(const struct virtual_allocator *);

	/* Pages that areas map now: their own, their callers', devices'; 0 where their addresses are none of the kernel's. The page
	 * tables that a kernel would have for them come from the model's steps (STEP_MAP, STEP_UNMAP). */
	uint64_t (*pages_mapped)(const struct virtual_allocator *);
	/* The frame that the model took for the page table which maps the 2^shift bytes around an address; PFN_NONE: it has none.
	 * NULL in a model without page tables. */
	pfn (*table_frame)(const struct virtual_allocator *, uint64_t linear, unsigned shift);

	/* The areas as /proc/vmallocinfo shows them. NULL in a model without one. */
	void (*print_info)(const struct virtual_allocator *, FILE *);

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

static inline struct virtual_area virtual_get(struct virtual_allocator *areas, const struct virtual_request *request,
                                              unsigned cpu)
{
	SIM_ASSERT(cpu < CPUS_MAX && request->call < VIRTUAL_CALLS);
	SIM_ASSERT(!virtual_call_maps(request->call) || request->size % PAGE_SIZE == 0);
	struct virtual_area area = areas->ops->get(areas, request, cpu);
	SIM_ASSERT((area.result == VIRTUAL_ALLOC_OK) == (area.at.addr != 0));
	SIM_ASSERT(area.at.addr % PAGE_SIZE ==
	           (area.at.addr && request->call == CALL_IOREMAP ? request->physical % PAGE_SIZE : 0));
	areas->live_areas += area.result == VIRTUAL_ALLOC_OK;
	return area;
}

static inline enum virtual_free_result virtual_put(struct virtual_allocator *areas, vaddr at,
                                                   const struct virtual_request *request, unsigned cpu)
{
	SIM_ASSERT(cpu < CPUS_MAX && request->call < VIRTUAL_CALLS);
	enum virtual_free_result result = areas->ops->put(areas, at, request, cpu);
	areas->live_areas -= result == VIRTUAL_FREE_OK;
	return result;
}

/* vmalloc(), vfree(), vmap(), vunmap() */
static inline struct virtual_area virtual_alloc(struct virtual_allocator *areas, uint64_t size, unsigned cpu)
{
	return virtual_get(areas, &(struct virtual_request){.call = CALL_VMALLOC, .size = size}, cpu);
}

static inline enum virtual_free_result virtual_free(struct virtual_allocator *areas, vaddr at, unsigned cpu)
{
	return virtual_put(areas, at, &(struct virtual_request){.call = CALL_VMALLOC}, cpu);
}

static inline struct virtual_area virtual_map(struct virtual_allocator *areas, const pfn *frames, uint32_t count, unsigned cpu)
{
	return virtual_get(areas,
	                   &(struct virtual_request){.call = CALL_VMAP, .size = (uint64_t)count << PAGE_SHIFT, .frames = frames},
	                   cpu);
}

static inline enum virtual_free_result virtual_unmap(struct virtual_allocator *areas, vaddr at, unsigned cpu)
{
	return virtual_put(areas, at, &(struct virtual_request){.call = CALL_VMAP}, cpu);
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
