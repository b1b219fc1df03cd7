/* SPDX-License-Identifier: MIT
 *
 * page_mapper.h - the port that gives the kernel an address for a page: kmap(), kmap_local_page(), kmap_atomic() and their ends.
 *
 * A page of the direct map has its address there, and nothing is done; so on 64 bits for all pages. A page of high memory gets a
 * slot: a permanent one, which all CPUs share and may wait for, or one of the CPU's own, last in first out.
 *
 * Model: models/virtual_allocator/kmap.c. It embeds struct page_mapper as its first member and fills `ops`.
 */
#ifndef SIM_PORT_PAGE_MAPPER_H
#define SIM_PORT_PAGE_MAPPER_H

#include "sim/base.h"
#include "sim/layout.h"
#include "sim/steps.h"

struct metric;
struct settings; /* models/settings.h */

/* The kernel's calls. Numbers stand in recordings (.kmt). */
enum page_map_call {
	PAGE_MAP_PERMANENT, /* kmap(), kunmap() */
	PAGE_MAP_LOCAL,     /* kmap_local_page(), kunmap_local() */
	PAGE_MAP_ATOMIC,    /* kmap_atomic(), kunmap_atomic(): the same slots, with preemption and page faults off */
	PAGE_MAP_CALLS
};

enum page_map_result {
	PAGE_MAP_OK,
	PAGE_MAP_MUST_WAIT, /* permanent: every slot has users; the kernel sleeps until one is given back */
	PAGE_MAP_TOO_DEEP   /* of the CPU's own: as many are mapped one inside the other as there are; the kernel stops (BUG) */
};

enum page_unmap_result {
	PAGE_UNMAP_OK,
	PAGE_UNMAP_NOT_MAPPED,
	PAGE_UNMAP_WRONG_ORDER /* of the CPU's own: not the one mapped last */
};

struct page_mapper;

struct page_mapper_ops {
	const char *name;
	const char *help;

	/* Maps a frame; *at is its address if it went well. */
	enum page_map_result (*map)(struct page_mapper *, enum page_map_call, pfn, unsigned cpu, vaddr *at);
	/* Gives up what map() gave for the frame, with the same call on the same CPU. A wrong unmap changes nothing. */
	enum page_unmap_result (*unmap)(struct page_mapper *, enum page_map_call, pfn, vaddr at, unsigned cpu);

	/* Users of slots: calls of map() for pages of high memory that were not given up. */
	uint64_t (*users)(const struct page_mapper *);

	/* Walks everything, recounts and compares; a broken law is SIM_ASSERTed. */
	void (*check)(const struct page_mapper *);

	/* Counters of the model: rows beside the struct they live in (sim/metric.h). */
	const struct metric *metrics;
	const void *(*counters)(const struct page_mapper *);

	void (*destroy)(struct page_mapper *);
};

struct page_mapper {
	const struct page_mapper_ops *ops;
};

/* The pointers outlive the mapper. */
struct page_mapper_wiring {
	const struct settings *settings;
	struct layout *layout;
	struct steps *steps;
};

static inline enum page_map_result page_map(struct page_mapper *mapper, enum page_map_call call, pfn frame, unsigned cpu,
                                            vaddr *at)
{
	SIM_ASSERT(call < PAGE_MAP_CALLS && cpu < CPUS_MAX);
	*at = VADDR_NULL;
	enum page_map_result result = mapper->ops->map(mapper, call, frame, cpu, at);
	SIM_ASSERT((result == PAGE_MAP_OK) == (at->addr != 0));
	return result;
}

static inline enum page_unmap_result page_unmap(struct page_mapper *mapper, enum page_map_call call, pfn frame, vaddr at,
                                                unsigned cpu)
{
	SIM_ASSERT(call < PAGE_MAP_CALLS && cpu < CPUS_MAX);
	return mapper->ops->unmap(mapper, call, frame, at, cpu);
}

static inline void page_mapper_check(const struct page_mapper *mapper)
{
	mapper->ops->check(mapper);
}

static inline void page_mapper_destroy(struct page_mapper *mapper)
{
	if (mapper)
		mapper->ops->destroy(mapper);
}

/*
 * clear_highpage() and copy_highpage(): the pages are mapped, touched from end to end and unmapped, the last first. PAGE_MAP_OK,
 * or what mapping gave; then nothing is touched and nothing stays mapped.
 */
enum page_map_result page_mapper_clear(struct page_mapper *mapper, enum page_map_call call, struct steps *steps, pfn frame,
                                       unsigned cpu);
enum page_map_result page_mapper_copy(struct page_mapper *mapper, enum page_map_call call, struct steps *steps, pfn to, pfn from,
                                      unsigned cpu);

#endif
