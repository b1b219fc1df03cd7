/* SPDX-License-Identifier: MIT
 *
 * page_allocator.h - the port that hands out blocks of 2^order page frames.
 *
 * Models: models/page_allocator/{buddy,ideal}.c. A model embeds struct page_allocator as its first member and fills `ops`.
 * Everything a caller may rely on is asserted in the wrappers below; tests/conformance runs every model against them.
 */
#ifndef SIM_PORT_PAGE_ALLOCATOR_H
#define SIM_PORT_PAGE_ALLOCATOR_H

#include "sim/base.h"
#include "sim/gfp.h"
#include "sim/layout.h"
#include "sim/port/page_mapper.h"
#include "sim/port/page_reclaimer.h"
#include "sim/steps.h"

#include <stdio.h>

struct settings; /* models/settings.h */
struct metric;

/* Migrate types as in Linux 6.1 (include/linux/mmzone.h) without CMA and ISOLATE. */
enum migratetype { MIGRATE_UNMOVABLE, MIGRATE_MOVABLE, MIGRATE_RECLAIMABLE, MIGRATE_HIGHATOMIC, MIGRATE_TYPES };

#define ZONES_MAX 16
#define LOWMEM_RESERVE_ZONES 4

/* One zone as the kernel's /proc files show it. Counts are in frames unless they say blocks. */
struct zone_view {
	const char *name; /* "DMA", "DMA32", "Normal", "HighMem", "Movable" */
	unsigned node;
	uint64_t start_pfn, spanned, present, managed;
	uint64_t watermark_min, watermark_low, watermark_high; /* without boost */
	uint64_t watermark_boost;
	uint64_t lowmem_reserve[LOWMEM_RESERVE_ZONES];
	uint64_t free_pages; /* in the buddy lists; pages on per-CPU lists are not free here, as in the kernel */
	uint64_t free_blocks[ORDERS][MIGRATE_TYPES];
	uint64_t pageblocks[MIGRATE_TYPES];
	unsigned cpus;
	struct {
		uint32_t count, high, batch;
	} pcp[CPUS_MAX];
};

enum page_free_result {
	PAGE_FREE_OK,
	PAGE_FREE_NOT_ALLOCATED, /* the frame is free, or not memory at all */
	PAGE_FREE_NOT_HEAD,      /* inside an allocated block, not its first frame */
	PAGE_FREE_WRONG_ORDER    /* allocated with another order */
};

struct page_allocator;

/* Calls of no kernel, for sim/follow_pages.h alone: what a recording shows is brought about in the model. */
struct page_follow_ops {
	/*
	 * Makes the block just handed out and a free block of the same order change places on the lists, so that `wanted` is the
	 * one handed out. false, and nothing changed, if `wanted` is no such block.
	 */
	bool (*exchange)(struct page_allocator *, pfn got, pfn wanted, unsigned order);
	/* Hands out this very block, wherever its frames are free. false, and nothing changed, if one of them is not. */
	bool (*claim)(struct page_allocator *, pfn, unsigned order, gfp flags);
	/* Takes one frame as the inner loop of the bulk allocator does. */
	pfn (*take)(struct page_allocator *, gfp flags, unsigned cpu);
	/* The CPU's list that such a request looks at first, head first: up to `room` blocks of it. */
	unsigned (*list)(const struct page_allocator *, unsigned order, gfp flags, unsigned cpu, pfn *blocks, unsigned room);
};

struct page_allocator_ops {
	const char *name;
	const char *help;

	/* Takes 2^order frames for `flags` on `cpu`. Returns the first frame, PFN_NONE if there is no memory. */
	pfn (*alloc)(struct page_allocator *, unsigned order, gfp flags, unsigned cpu);

	/* Gives a block back. A wrong free changes nothing and is told by the result. */
	enum page_free_result (*free)(struct page_allocator *, pfn, unsigned order, unsigned cpu);

	/*
	 * Makes a block that is in use since the start state known, so that it can be freed; false if it is no such block. NULL:
	 * the model has no such blocks.
	 */
	bool (*adopt)(struct page_allocator *, pfn, unsigned order);

	/* What keeps the model beside a recording. NULL: the model has no lists that a recording could tell of. */
	const struct page_follow_ops *follow;

	/*
	 * Takes up to `wanted` single frames in one call and returns how many it put into frames[] (the kernel's
	 * __alloc_pages_bulk()); it keeps allocated_pages itself. NULL: they are taken one by one, as the wrapper then does.
	 */
	unsigned (*alloc_bulk)(struct page_allocator *, gfp flags, unsigned cpu, unsigned wanted, pfn *frames);

	/*
	 * Makes a block that is in use into single frames, which are freed one by one (the kernel's split_page()). NULL: the
	 * model keeps blocks whole.
	 */
	void (*split)(struct page_allocator *, pfn, unsigned order);

	/* Returns every per-CPU list's pages to the buddy lists (the kernel's drain_all_pages). */
	void (*drain)(struct page_allocator *);

	/* All zones of the machine, those without memory (present 0) too, as /proc/zoneinfo shows them. */
	unsigned (*zones)(const struct page_allocator *);
	void (*zone_view)(const struct page_allocator *, unsigned zone, struct zone_view *);

	/* The order of a pageblock, log2 of frames. */
	unsigned (*pageblock_order)(const struct page_allocator *);

	/*
	 * The allocator's own work at fixed times (a daemon): does what is due on `cpu` at now_ns, and returns when it wants to
	 * be called for that CPU again, > now_ns. Called first at the start, then in the order of time. NULL: it has none.
	 */
	uint64_t (*tick)(struct page_allocator *, unsigned cpu, uint64_t now_ns);

	/* Lists and numbers of all zones as lines of a state dump (sim/state_dump.h). NULL in a model without them. */
	void (*print_state)(const struct page_allocator *, FILE *);

	/* Walks everything, recounts and compares; a broken law is SIM_ASSERTed. */
	void (*check)(const struct page_allocator *);

	/* Counters of the model: rows beside the struct they live in (sim/metric.h). */
	const struct metric *metrics;
	const void *(*counters)(const struct page_allocator *);

	void (*destroy)(struct page_allocator *);
};

/* Whom a model tells that compaction moved an allocated frame. Without a listener no allocated frame moves. */
struct page_moved {
	/*
	 * The block of one frame at `from` is now at `to`; frees name the new frame. Comes from within an allocation, or a free
	 * after its block is gone. No call of the port from here.
	 */
	void (*tell)(void *context, pfn from, pfn to);
	void *context;
};

/* Answers calls in the model's place: the pages are those of a recording, which has told of them already. */
struct page_supply {
	pfn (*alloc)(void *context, unsigned order, gfp flags, unsigned cpu);
	enum page_free_result (*free)(void *context, pfn first, unsigned order, unsigned cpu);
	void *context;
};

struct page_allocator {
	const struct page_allocator_ops *ops;
	uint32_t end_pfn;         /* one beyond the highest frame there is; constant, for maps by frame number */
	uint64_t managed_pages;   /* frames the allocator was given; constant */
	uint64_t allocated_pages; /* frames handed out and not given back; kept by the wrappers */
	struct page_moved moved;  /* set by the owner of movable frames, or left empty */
	/* Who has pages to give back when memory is short; NULL: nobody. It outlives its last page. */
	const struct page_reclaimer *reclaimer;
	/* Beside a recording (sim/follow_pages.h): */
	const struct page_supply *supply; /* NULL, or who answers for the model */
	bool lists_locked;                /* the next call finds the CPU's lists locked and goes past them */
};

/* What a page allocator is made of and stands on. The pointers outlive the allocator. */
struct page_allocator_wiring {
	const struct settings *settings;
	struct layout *layout;
	struct steps *steps;
	struct page_mapper *mapper; /* NULL: contents of high memory are not touched */
	uint64_t seed;
};

/* What touching pages from within takes. */
struct page_contents {
	struct page_mapper *mapper;
	const struct layout *layout;
	struct steps *steps;
};

/* clear_highpage() of each page of a block, copy_highpage(). A page that the CPU has no slot for is not touched. */
void page_contents_clear(const struct page_contents *contents, pfn first, unsigned order, unsigned cpu);
void page_contents_copy(const struct page_contents *contents, pfn to, pfn from, unsigned cpu);

/* The model's own answer, whoever answers for it. */
static inline pfn page_alloc_unsupplied(struct page_allocator *pages, unsigned order, gfp flags, unsigned cpu)
{
	SIM_ASSERT(cpu < CPUS_MAX);
	pfn first = pages->ops->alloc(pages, order, flags, cpu);
	if (first.nr != UINT32_MAX) {
		SIM_ASSERT(order < ORDERS && (first.nr & ((1u << order) - 1)) == 0);
		pages->allocated_pages += 1ull << order;
		SIM_ASSERT(pages->allocated_pages <= pages->managed_pages);
	}
	return first;
}

static inline pfn page_alloc(struct page_allocator *pages, unsigned order, gfp flags, unsigned cpu)
{
	if (pages->supply)
		return pages->supply->alloc(pages->supply->context, order, flags, cpu);
	return page_alloc_unsupplied(pages, order, flags, cpu);
}

/* Up to `wanted` single frames; fewer, even none, if there is no memory. */
static inline unsigned page_alloc_bulk(struct page_allocator *pages, gfp flags, unsigned cpu, unsigned wanted, pfn *frames)
{
	SIM_ASSERT(cpu < CPUS_MAX);
	if (pages->ops->alloc_bulk) {
		unsigned taken = pages->ops->alloc_bulk(pages, flags, cpu, wanted, frames);
		SIM_ASSERT(taken <= wanted && pages->allocated_pages <= pages->managed_pages);
		return taken;
	}
	for (unsigned taken = 0; taken < wanted; taken++) {
		frames[taken] = page_alloc(pages, 0, flags, cpu);
		if (frames[taken].nr == UINT32_MAX)
			return taken;
	}
	return wanted;
}

static inline enum page_free_result page_free_unsupplied(struct page_allocator *pages, pfn first, unsigned order, unsigned cpu)
{
	SIM_ASSERT(cpu < CPUS_MAX);
	enum page_free_result result = pages->ops->free(pages, first, order, cpu);
	if (result == PAGE_FREE_OK) {
		SIM_ASSERT(pages->allocated_pages >= 1ull << order);
		pages->allocated_pages -= 1ull << order;
	}
	return result;
}

static inline enum page_free_result page_free(struct page_allocator *pages, pfn first, unsigned order, unsigned cpu)
{
	if (pages->supply)
		return pages->supply->free(pages->supply->context, first, order, cpu);
	return page_free_unsupplied(pages, first, order, cpu);
}

/* false: the block stays one, and is freed as one. */
static inline bool page_split(struct page_allocator *pages, pfn first, unsigned order)
{
	if (!pages->ops->split)
		return false;
	pages->ops->split(pages, first, order);
	return true;
}

static inline bool page_claim(struct page_allocator *pages, pfn first, unsigned order, gfp flags)
{
	bool claimed = pages->ops->follow->claim(pages, first, order, flags);
	pages->allocated_pages += (uint64_t)claimed << order;
	return claimed;
}

static inline pfn page_take(struct page_allocator *pages, gfp flags, unsigned cpu)
{
	pfn frame = pages->ops->follow->take(pages, flags, cpu);
	pages->allocated_pages += frame.nr != UINT32_MAX;
	return frame;
}

static inline bool page_adopt(struct page_allocator *pages, pfn first, unsigned order)
{
	return pages->ops->adopt && pages->ops->adopt(pages, first, order);
}

/* The same for the frames of a recorded state, which a model that does not adopt takes on trust. */
static inline bool page_adopt_recorded(struct page_allocator *pages, pfn first, unsigned order)
{
	return !pages->ops->adopt || pages->ops->adopt(pages, first, order);
}

/* UINT64_MAX: never again. */
static inline uint64_t page_allocator_tick(struct page_allocator *pages, unsigned cpu, uint64_t now_ns)
{
	if (!pages->ops->tick)
		return UINT64_MAX;
	uint64_t next_ns = pages->ops->tick(pages, cpu, now_ns);
	SIM_ASSERT(next_ns > now_ns);
	return next_ns;
}

static inline void page_allocator_check(const struct page_allocator *pages)
{
	pages->ops->check(pages);
}

static inline void page_allocator_destroy(struct page_allocator *pages)
{
	if (pages)
		pages->ops->destroy(pages);
}

#endif
