/* SPDX-License-Identifier: MIT
 *
 * ideal.c - the page allocator that cannot be better: constant time, and never fragmented.
 *
 * Interface: the page_allocator port, one zone "Normal". Algorithm: each order has a range of frame numbers of its own, as
 * large as all of memory, and a stack of freed blocks in it; an allocation pops that stack or takes the next unused block, as
 * long as memory has that many frames left in all. So free memory always serves any order, whatever was freed. Bound: two pops or
 * pushes and one touch of the struct page a call; 5 bytes a block ever used.
 *
 * MODEL: frame numbers run over eleven times the memory there is. Effect: an allocator above sees memory that is nowhere
 * fragmented; caches see more distinct addresses than a machine has; x86-32, whose addresses end before, is refused.
 * MODEL: no reserves, no watermarks, no per-CPU lists, no locks; all frames of memory are given out.
 *
 * Invariant: managed = allocated + free; a block is on its order's stack or allocated or was never used.
 */
#include "models/settings.h"
#include "sim/metric.h"
#include "sim/port/page_allocator.h"

#include <stdlib.h>

/* Frame numbers begin at the first aligned block of the highest order, so that none is 0. */
#define BLOCK_MAX_FRAMES (1u << (ORDERS - 1))
#define PAGEBLOCK_ORDER_DEFAULT (ORDERS - 1)
#define BLOCK_NONE UINT32_MAX

struct ideal_counters {
	uint64_t pgalloc, pgfree;
	uint64_t alloc_fail, wrong_frees;
};

/* Blocks of one order: numbers 0.. in the order's range. */
struct pool {
	uint32_t first_pfn;
	uint32_t capacity, used; /* blocks; those from `used` on were never handed out */
	uint32_t top;            /* of the stack of freed blocks, BLOCK_NONE: empty */
	uint32_t freed;          /* blocks on the stack */
	uint32_t *below;         /* stack links by block */
	bool *allocated;         /* by block */
};

struct ideal {
	struct page_allocator port;
	struct pool pools[ORDERS];
	unsigned pageblock_order;
	struct ideal_counters counters;
	struct steps *steps;
	const struct layout *layout;
	struct page_contents contents;
	struct cost_settings cost;
};

static const struct metric ideal_metrics[] = {
        METRIC(struct ideal_counters, pgalloc, "pages", "Pages handed out"),
        METRIC(struct ideal_counters, pgfree, "pages", "Pages taken back"),
        METRIC(struct ideal_counters, alloc_fail, "1", "Requests that got nothing"),
        METRIC(struct ideal_counters, wrong_frees, "1", "Frees of what is not an allocated block of that order"), METRIC_END};

static struct ideal *ideal_of(struct page_allocator *pages)
{
	return (struct ideal *)pages;
}

static const struct ideal *ideal_const(const struct page_allocator *pages)
{
	return (const struct ideal *)pages;
}

static void touch(const struct ideal *ideal, pfn first, uint32_t cycles)
{
	step_write(ideal->steps, layout_struct_page(ideal->layout, first), ideal->layout->page_struct_bytes);
	step_spend(ideal->steps, cycles);
}

static uint64_t free_pages(const struct ideal *ideal)
{
	return ideal->port.managed_pages - (ideal->counters.pgalloc - ideal->counters.pgfree);
}

static pfn ideal_alloc(struct page_allocator *pages, unsigned order, gfp flags, unsigned cpu)
{
	struct ideal *ideal = ideal_of(pages);
	if (order >= ORDERS || free_pages(ideal) < 1ull << order) {
		ideal->counters.alloc_fail++;
		return PFN_NONE;
	}
	struct pool *pool = &ideal->pools[order];
	uint32_t block = pool->top;
	if (block != BLOCK_NONE) {
		pool->top = pool->below[block];
		pool->freed--;
	} else {
		SIM_ASSERT(pool->used < pool->capacity);
		block = pool->used++;
	}
	pool->allocated[block] = true;
	ideal->counters.pgalloc += 1ull << order;
	pfn first = pfn_of(pool->first_pfn + (block << order));
	touch(ideal, first, ideal->cost.page_alloc);
	if (flags & __GFP_ZERO)
		page_contents_clear(&ideal->contents, first, order, cpu);
	return first;
}

/* The order in whose range a frame number lies, ORDERS if in none. */
static unsigned order_of(const struct ideal *ideal, pfn frame)
{
	unsigned order = 0;
	while (order < ORDERS && (frame.nr < ideal->pools[order].first_pfn ||
	                          (frame.nr - ideal->pools[order].first_pfn) >> order >= ideal->pools[order].capacity))
		order++;
	return order;
}

static enum page_free_result judge_free(const struct ideal *ideal, pfn first, unsigned order)
{
	unsigned real = order_of(ideal, first);
	if (real == ORDERS)
		return PAGE_FREE_NOT_ALLOCATED;
	uint32_t offset = first.nr - ideal->pools[real].first_pfn;
	if (!ideal->pools[real].allocated[offset >> real])
		return PAGE_FREE_NOT_ALLOCATED;
	if (offset & ((1u << real) - 1))
		return PAGE_FREE_NOT_HEAD;
	return real == order ? PAGE_FREE_OK : PAGE_FREE_WRONG_ORDER;
}

static enum page_free_result ideal_free(struct page_allocator *pages, pfn first, unsigned order, unsigned cpu)
{
	(void)cpu;
	struct ideal *ideal = ideal_of(pages);
	enum page_free_result result = judge_free(ideal, first, order);
	if (result != PAGE_FREE_OK) {
		ideal->counters.wrong_frees++;
		return result;
	}
	struct pool *pool = &ideal->pools[order];
	uint32_t block = (first.nr - pool->first_pfn) >> order;
	pool->allocated[block] = false;
	pool->below[block] = pool->top;
	pool->top = block;
	pool->freed++;
	ideal->counters.pgfree += 1ull << order;
	touch(ideal, first, ideal->cost.page_free);
	return PAGE_FREE_OK;
}

static void ideal_drain(struct page_allocator *pages)
{
	(void)pages; /* there are no per-CPU lists */
}

static unsigned ideal_zones(const struct page_allocator *pages)
{
	(void)pages;
	return 1;
}

/* Free memory as a machine without fragmentation would show it: as few and large blocks as the count allows. */
static void ideal_zone_view(const struct page_allocator *pages, unsigned zone, struct zone_view *view)
{
	const struct ideal *ideal = ideal_const(pages);
	SIM_ASSERT(zone == 0);
	*view = (struct zone_view){
	        .name = "Normal",
	        .start_pfn = ideal->pools[0].first_pfn,
	        .spanned = pages->end_pfn - ideal->pools[0].first_pfn,
	        .present = pages->managed_pages,
	        .managed = pages->managed_pages,
	        .free_pages = free_pages(ideal),
	};
	view->pageblocks[MIGRATE_MOVABLE] = pages->managed_pages >> ideal->pageblock_order;
	uint64_t left = view->free_pages;
	for (unsigned order = ORDERS; order-- > 0;) {
		view->free_blocks[order][MIGRATE_MOVABLE] = left >> order;
		left &= (1ull << order) - 1;
	}
}

static unsigned ideal_pageblock_order(const struct page_allocator *pages)
{
	return ideal_const(pages)->pageblock_order;
}

static void ideal_check(const struct page_allocator *pages)
{
	const struct ideal *ideal = ideal_const(pages);
	uint64_t allocated_pages = 0;
	for (unsigned order = 0; order < ORDERS; order++) {
		const struct pool *pool = &ideal->pools[order];
		uint32_t allocated = 0, freed = 0;
		for (uint32_t block = 0; block < pool->used; block++)
			allocated += pool->allocated[block];
		for (uint32_t block = pool->top; block != BLOCK_NONE; block = pool->below[block], freed++)
			SIM_ASSERT(block < pool->used && !pool->allocated[block] && freed < pool->freed);
		SIM_ASSERT(freed == pool->freed && allocated + freed == pool->used && pool->used <= pool->capacity);
		allocated_pages += (uint64_t)allocated << order;
	}
	SIM_ASSERT(allocated_pages == ideal->counters.pgalloc - ideal->counters.pgfree);
	SIM_ASSERT(allocated_pages == pages->allocated_pages);
}

static const void *ideal_counters(const struct page_allocator *pages)
{
	return &ideal_const(pages)->counters;
}

static void ideal_destroy(struct page_allocator *pages)
{
	struct ideal *ideal = ideal_of(pages);
	if (!ideal)
		return;
	for (unsigned order = 0; order < ORDERS; order++) {
		lazy_free(ideal->pools[order].below, ideal->pools[order].capacity, sizeof(uint32_t));
		lazy_free(ideal->pools[order].allocated, ideal->pools[order].capacity, sizeof(bool));
	}
	free(ideal);
}

struct page_allocator *page_allocator_ideal_create(const struct page_allocator_wiring *wiring, struct error *error);

const struct page_allocator_ops page_allocator_ideal_ops = {
        .name = "ideal",
        .help = "never fragmented, constant time: any order as long as enough frames are free",
        .alloc = ideal_alloc,
        .free = ideal_free,
        .drain = ideal_drain,
        .zones = ideal_zones,
        .zone_view = ideal_zone_view,
        .pageblock_order = ideal_pageblock_order,
        .check = ideal_check,
        .metrics = ideal_metrics,
        .counters = ideal_counters,
        .destroy = ideal_destroy,
};

struct page_allocator *page_allocator_ideal_create(const struct page_allocator_wiring *wiring, struct error *error)
{
	uint64_t frames = wiring->settings->machine.memory_bytes >> PAGE_SHIFT;
	uint64_t range = (frames + BLOCK_MAX_FRAMES - 1) / BLOCK_MAX_FRAMES * BLOCK_MAX_FRAMES;
	if (!frames || range >= (UINT32_MAX - BLOCK_MAX_FRAMES) / ORDERS) {
		error_set(error, ERROR_USAGE, "memory: %llu bytes; the ideal page allocator takes between 4 KiB and 1.4 TiB",
		          (unsigned long long)wiring->settings->machine.memory_bytes);
		return NULL;
	}
	if (wiring->settings->machine.architecture == ARCHITECTURE_X86_32) {
		error_set(error, ERROR_USAGE,
		          "page_allocator: found 'ideal' on an x86-32 machine, whose addresses do not reach the frames that it numbers; "
		          "expected buddy");
		return NULL;
	}
	struct ideal *ideal = xcalloc(1, sizeof *ideal);
	for (unsigned order = 0; order < ORDERS; order++) {
		struct pool *pool = &ideal->pools[order];
		pool->first_pfn = (uint32_t)(BLOCK_MAX_FRAMES + order * range);
		pool->capacity = (uint32_t)(frames >> order);
		pool->top = BLOCK_NONE;
		pool->below = lazy_alloc(pool->capacity, sizeof(uint32_t));
		pool->allocated = lazy_alloc(pool->capacity, sizeof(bool));
	}
	ideal->port.ops = &page_allocator_ideal_ops;
	ideal->port.end_pfn = (uint32_t)(BLOCK_MAX_FRAMES + ORDERS * range);
	ideal->port.managed_pages = frames;
	ideal->pageblock_order = wiring->settings->kernel.pageblock_order;
	if (!ideal->pageblock_order || ideal->pageblock_order >= ORDERS)
		ideal->pageblock_order = PAGEBLOCK_ORDER_DEFAULT;
	ideal->steps = wiring->steps;
	ideal->layout = wiring->layout;
	ideal->contents = (struct page_contents){wiring->mapper, wiring->layout, wiring->steps};
	ideal->cost = wiring->settings->cost;
	return &ideal->port;
}
