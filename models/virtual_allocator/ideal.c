/* SPDX-License-Identifier: MIT
 *
 * ideal.c - the virtual allocator that cannot be better: constant time, and addresses never run out.
 *
 * Interface: the virtual_allocator port. Algorithm: each area begins where the last one ended, so a request never searches and a
 * freed range needs no purge and no TLB flush; it is never used again. Areas are found by binary search, as they ascend. Pages
 * come from the page allocator, as in any model.
 *
 * MODEL: no page tables of its own, no structures, no guard pages, no locks. Effect: what is left of the time is that of the
 * pages. Its areas are mapped all the same, by steps without a cost.
 *
 * Invariant: areas ascend and do not overlap; nr_pages = pages of all areas in use whose pages are their own.
 */
#include "sim/metric.h"
#include "sim/port/virtual_allocator.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

extern const struct virtual_allocator_ops virtual_allocator_ideal_ops;
struct virtual_allocator *virtual_allocator_ideal_create(const struct virtual_allocator_wiring *wiring, struct error *error);

/* Addresses from the start of vmalloc's range on are given out up to the kernel's image; 32 bits have those of 64 too. */
#define RANGE_START_32BIT 0xffffc90000000000u
#define RANGE_END 0xffffffff80000000u
#define AREAS_MIN 64u
/* arch/x86/include/asm/page_64_types.h: bytes of a kernel stack. */
#define THREAD_SIZE (4u * PAGE_SIZE)
#define PAGES_GFP (GFP_KERNEL | __GFP_NOWARN | __GFP_HIGHMEM)

struct ideal_counters {
	uint64_t calls, frees, fails, wrong_frees;
	uint64_t nr_pages, pages_mapped; /* gauges */
};

struct ideal_area {
	uint64_t start;
	uint32_t pages;
	enum virtual_call call;
	bool used;
	pfn *frames; /* owned */
};

struct ideal {
	struct virtual_allocator port;
	struct ideal_area *areas; /* owned; ascending */
	size_t count, room, dead; /* dead: areas at the front that are not in use any more */
	uint64_t start, next;     /* the first address of all, and of the next area */
	struct page_allocator *pages;
	struct steps *steps;
	bool is_64; /* its addresses are the kernel's: they can be mapped */
	struct ideal_counters counters;
};

static const struct metric ideal_metrics[] = {
        METRIC(struct ideal_counters, calls, "1", "Areas asked for"),
        METRIC(struct ideal_counters, frees, "1", "Areas given back"),
        METRIC(struct ideal_counters, fails, "1", "Requests that got nothing"),
        METRIC(struct ideal_counters, wrong_frees, "1", "Frees of what is no area, or by the wrong call"),
        GAUGE(struct ideal_counters, nr_pages, "pages", "Pages held by areas of vmalloc"),
        GAUGE(struct ideal_counters, pages_mapped, "pages", "Pages that areas map: their own, their callers', devices'"),
        METRIC_END};

static struct ideal *ideal_of(struct virtual_allocator *areas)
{
	return (struct ideal *)areas;
}

static const struct ideal *ideal_const(const struct virtual_allocator *areas)
{
	return (const struct ideal *)areas;
}

/* Index of the first area that ends above an address, ideal->count if there is none. */
static size_t area_index(const struct ideal *ideal, uint64_t from)
{
	size_t low = ideal->dead, high = ideal->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct ideal_area *area = &ideal->areas[middle];
		if (area->start + ((uint64_t)area->pages << PAGE_SHIFT) > from)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

static struct ideal_area *area_at(const struct ideal *ideal, vaddr at)
{
	size_t index = area_index(ideal, at.addr);
	struct ideal_area *area = index < ideal->count ? &ideal->areas[index] : NULL;
	return area && area->used && area->start == at.addr ? area : NULL;
}

/* Areas that are not in use any more are forgotten when there is no room: half of it is free then, or it doubles. */
static void make_room(struct ideal *ideal)
{
	if (ideal->count < ideal->room)
		return;
	size_t kept = 0;
	for (size_t i = 0; i < ideal->count; i++)
		if (ideal->areas[i].used)
			ideal->areas[kept++] = ideal->areas[i];
	ideal->count = kept;
	ideal->dead = 0;
	if (2 * kept < ideal->room)
		return;
	ideal->room = ideal->room ? 2 * ideal->room : AREAS_MIN;
	ideal->areas = xrealloc(ideal->areas, ideal->room * sizeof *ideal->areas);
}

static struct virtual_area failed(struct ideal *ideal, enum virtual_alloc_result result)
{
	ideal->counters.fails++;
	return (struct virtual_area){.result = result};
}

/* Whether the area's pages are its own. */
static bool has_pages(enum virtual_call call)
{
	return !virtual_call_maps(call) && call != CALL_IOREMAP;
}

/* Small pages from a physical address on, or the area's frames, those in a row together. */
static void tell_map(struct ideal *ideal, const struct ideal_area *area, uint64_t physical)
{
	ideal->counters.pages_mapped += area->pages;
	if (!ideal->is_64 || !ideal->pages || !ideal->steps->maps)
		return;
	for (uint32_t done = 0, run; done < area->pages; done += run) {
		uint64_t frame = area->frames ? area->frames[done].nr : (physical >> PAGE_SHIFT) + done;
		run = area->frames ? 1 : area->pages;
		while (area->frames && done + run < area->pages && area->frames[done + run].nr == frame + run)
			run++;
		const struct step_mapping mapping = {.linear = area->start + ((uint64_t)done << PAGE_SHIFT),
		                                     .frame = frame & (STEP_FRAMES - 1),
		                                     .page_shift = PAGE_SHIFT};
		step_map(ideal->steps, &mapping, run);
	}
}

static void tell_unmap(struct ideal *ideal, const struct ideal_area *area)
{
	ideal->counters.pages_mapped -= area->pages;
	if (ideal->is_64 && ideal->pages)
		step_unmap(ideal->steps, &(struct step_mapping){.linear = area->start, .page_shift = PAGE_SHIFT}, area->pages);
}

static struct virtual_area add_area(struct ideal *ideal, pfn *frames, uint32_t pages, const struct virtual_request *request)
{
	make_room(ideal);
	vaddr at = vaddr_of(ideal->next);
	ideal->areas[ideal->count++] =
	        (struct ideal_area){.start = at.addr, .pages = pages, .used = true, .call = request->call, .frames = frames};
	tell_map(ideal, &ideal->areas[ideal->count - 1], request->physical);
	ideal->next += (uint64_t)pages << PAGE_SHIFT;
	return (struct virtual_area){.at = at, .result = VIRTUAL_ALLOC_OK};
}

static void give_pages(struct ideal *ideal, const pfn *frames, uint32_t pages, unsigned cpu)
{
	for (uint32_t i = 0; i < pages && ideal->pages; i++) {
		enum page_free_result result = page_free(ideal->pages, frames[i], 0, cpu);
		SIM_ASSERT(result == PAGE_FREE_OK);
	}
}

static struct virtual_area make_filled(struct ideal *ideal, const struct virtual_request *request, uint64_t size, unsigned cpu)
{
	uint64_t limit = ideal->pages ? ideal->pages->managed_pages : UINT32_MAX - 1;
	if (!size || size >> PAGE_SHIFT > limit)
		return failed(ideal, VIRTUAL_ALLOC_EXCEEDS_TOTAL);
	uint32_t pages = (uint32_t)((size + PAGE_SIZE - 1) >> PAGE_SHIFT);
	if ((uint64_t)pages << PAGE_SHIFT > RANGE_END - ideal->next)
		return failed(ideal, VIRTUAL_ALLOC_NO_SPACE);
	pfn *frames = NULL;
	if (ideal->pages) {
		frames = xcalloc(pages, sizeof *frames);
		uint32_t taken = page_alloc_bulk(ideal->pages, PAGES_GFP, cpu, pages, frames);
		for (pfn one; taken < pages; frames[taken++] = one)
			if ((one = page_alloc(ideal->pages, 0, PAGES_GFP, cpu)).nr == UINT32_MAX)
				break;
		if (taken < pages) {
			give_pages(ideal, frames, taken, cpu);
			free(frames);
			return failed(ideal, VIRTUAL_ALLOC_NO_PAGES);
		}
		ideal->counters.nr_pages += pages;
	}
	return add_area(ideal, frames, pages, request);
}

static struct virtual_area make_mapped(struct ideal *ideal, const struct virtual_request *request)
{
	uint64_t first = request->call == CALL_IOREMAP ? request->physical % PAGE_SIZE : 0;
	uint64_t count = (first + request->size + PAGE_SIZE - 1) >> PAGE_SHIFT;
	if (!request->size || (request->frames && ideal->pages && count > ideal->pages->managed_pages))
		return failed(ideal, VIRTUAL_ALLOC_EXCEEDS_TOTAL);
	if (count > UINT32_MAX || count << PAGE_SHIFT > RANGE_END - ideal->next)
		return failed(ideal, VIRTUAL_ALLOC_NO_SPACE);
	pfn *copy = NULL;
	if (request->frames) {
		copy = xcalloc(count, sizeof *copy);
		memcpy(copy, request->frames, count * sizeof *copy);
	}
	struct virtual_area area = add_area(ideal, copy, (uint32_t)count, request);
	area.at = vaddr_of(area.at.addr + first);
	return area;
}

static struct virtual_area ideal_get(struct virtual_allocator *base, const struct virtual_request *request, unsigned cpu)
{
	struct ideal *ideal = ideal_of(base);
	ideal->counters.calls++;
	if (!has_pages(request->call))
		return make_mapped(ideal, request);
	uint64_t size = request->call == CALL_THREAD_STACK ? THREAD_SIZE : request->size;
	return make_filled(ideal, request, size, cpu);
}

/* vfree() frees what any of its kin made. */
static bool frees(enum virtual_call asked, enum virtual_call made)
{
	return asked == made || (asked == CALL_VMALLOC && made == CALL_VMALLOC_HUGE);
}

static enum virtual_free_result ideal_put(struct virtual_allocator *base, vaddr at, const struct virtual_request *request,
                                          unsigned cpu)
{
	struct ideal *ideal = ideal_of(base);
	uint64_t first = request->call == CALL_IOREMAP ? at.addr % PAGE_SIZE : 0;
	struct ideal_area *area = area_at(ideal, vaddr_of(at.addr - first));
	if (!area || !frees(request->call, area->call)) {
		ideal->counters.wrong_frees++;
		return area ? VIRTUAL_FREE_WRONG_CALL : VIRTUAL_FREE_NOT_AREA;
	}
	tell_unmap(ideal, area);
	if (has_pages(area->call) && ideal->pages) {
		give_pages(ideal, area->frames, area->pages, cpu);
		ideal->counters.nr_pages -= area->pages;
	}
	free(area->frames);
	area->frames = NULL;
	area->used = false;
	ideal->counters.frees++;
	while (ideal->dead < ideal->count && !ideal->areas[ideal->dead].used)
		ideal->dead++;
	return VIRTUAL_FREE_OK;
}

static void ideal_purge(struct virtual_allocator *base, unsigned cpu)
{
	(void)base;
	(void)cpu;
}

/* Free is all that was never handed out; nothing waits for a purge. */
static bool ideal_area_above(const struct virtual_allocator *base, enum area_list list, uint64_t from, struct area_view *view)
{
	const struct ideal *ideal = ideal_const(base);
	if (list == AREA_FREE) {
		*view = (struct area_view){ideal->next, RANGE_END};
		return from < RANGE_END && ideal->next < RANGE_END;
	}
	if (list == AREA_PURGE)
		return false;
	size_t index = area_index(ideal, from);
	while (index < ideal->count && !ideal->areas[index].used)
		index++;
	if (index == ideal->count)
		return false;
	const struct ideal_area *area = &ideal->areas[index];
	*view = (struct area_view){area->start, area->start + ((uint64_t)area->pages << PAGE_SHIFT)};
	return true;
}

static uint32_t ideal_area_pages(const struct virtual_allocator *base, vaddr at, pfn *frames, uint32_t room)
{
	const struct ideal_area *area = area_at(ideal_const(base), at);
	if (!area || !area->frames)
		return 0;
	if (room)
		memcpy(frames, area->frames, (area->pages < room ? area->pages : room) * sizeof *frames);
	return area->pages;
}

static uint64_t ideal_lazy_pages(const struct virtual_allocator *base)
{
	(void)base;
	return 0;
}

static void ideal_purges(const struct virtual_allocator *base, uint64_t *purges, uint64_t *tlb_flushes)
{
	(void)base;
	*purges = *tlb_flushes = 0;
}

static uint64_t ideal_pages_held(const struct virtual_allocator *base)
{
	return ideal_const(base)->counters.nr_pages;
}

/* On 32 bits its addresses are none of the kernel's, and nothing maps them. */
static uint64_t ideal_pages_mapped(const struct virtual_allocator *base)
{
	const struct ideal *ideal = ideal_const(base);
	return ideal->is_64 ? ideal->counters.pages_mapped : 0;
}

static void ideal_check(const struct virtual_allocator *base)
{
	const struct ideal *ideal = ideal_const(base);
	uint64_t end = ideal->start, pages = 0, live = 0, mapped = 0;
	for (size_t i = 0; i < ideal->count; i++) {
		const struct ideal_area *area = &ideal->areas[i];
		SIM_ASSERT(area->start >= end && area->pages);
		end = area->start + ((uint64_t)area->pages << PAGE_SHIFT);
		live += area->used;
		mapped += area->used ? area->pages : 0;
		if (area->used && has_pages(area->call) && ideal->pages)
			pages += area->pages;
	}
	SIM_ASSERT(end <= ideal->next && pages == ideal->counters.nr_pages && live == ideal->port.live_areas);
	SIM_ASSERT(mapped == ideal->counters.pages_mapped);
	SIM_ASSERT(ideal->counters.calls == ideal->counters.fails + ideal->counters.frees + live);
}

static const void *ideal_counters(const struct virtual_allocator *base)
{
	return &ideal_const(base)->counters;
}

static void ideal_destroy(struct virtual_allocator *base)
{
	struct ideal *ideal = ideal_of(base);
	for (size_t i = 0; i < ideal->count; i++) {
		const struct ideal_area *area = &ideal->areas[i];
		if (area->used && has_pages(area->call))
			give_pages(ideal, area->frames, area->pages, 0);
		free(area->frames);
	}
	free(ideal->areas);
	free(ideal);
}

const struct virtual_allocator_ops virtual_allocator_ideal_ops = {
        .name = "ideal",
        .help = "every area behind the last one, nothing to search or to purge",
        .get = ideal_get,
        .put = ideal_put,
        .purge = ideal_purge,
        .area_above = ideal_area_above,
        .area_pages = ideal_area_pages,
        .purges = ideal_purges,
        .lazy_pages = ideal_lazy_pages,
        .pages_held = ideal_pages_held,
        .pages_mapped = ideal_pages_mapped,
        .check = ideal_check,
        .metrics = ideal_metrics,
        .counters = ideal_counters,
        .destroy = ideal_destroy,
};

struct virtual_allocator *virtual_allocator_ideal_create(const struct virtual_allocator_wiring *wiring, struct error *error)
{
	(void)error;
	struct ideal *ideal = xcalloc(1, sizeof *ideal);
	ideal->port.ops = &virtual_allocator_ideal_ops;
	ideal->pages = wiring->pages;
	ideal->steps = wiring->steps;
	ideal->is_64 = wiring->layout->direct_map >> 32;
	ideal->start = ideal->is_64 ? layout_early_area_end(wiring->layout) : RANGE_START_32BIT;
	ideal->next = ideal->start;
	return &ideal->port;
}
