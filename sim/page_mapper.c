/* SPDX-License-Identifier: MIT
 *
 * page_mapper.c - whole pages through mappings (interface: sim/port/page_mapper.h).
 *
 * Source: include/linux/highmem.h: clear_highpage(), copy_highpage(), which maps the source first and unmaps it last.
 */
#include "sim/port/page_mapper.h"
#include "sim/port/page_allocator.h"

static void unmap(struct page_mapper *mapper, enum page_map_call call, pfn frame, vaddr at, unsigned cpu)
{
	enum page_unmap_result result = page_unmap(mapper, call, frame, at, cpu);
	SIM_ASSERT(result == PAGE_UNMAP_OK);
}

enum page_map_result page_mapper_clear(struct page_mapper *mapper, enum page_map_call call, struct steps *steps, pfn frame,
                                       unsigned cpu)
{
	vaddr at;
	enum page_map_result result = page_map(mapper, call, frame, cpu, &at);
	if (result != PAGE_MAP_OK)
		return result;
	step_write(steps, at, PAGE_SIZE);
	unmap(mapper, call, frame, at, cpu);
	return PAGE_MAP_OK;
}

enum page_map_result page_mapper_copy(struct page_mapper *mapper, enum page_map_call call, struct steps *steps, pfn to, pfn from,
                                      unsigned cpu)
{
	vaddr source, target;
	enum page_map_result result = page_map(mapper, call, from, cpu, &source);
	if (result != PAGE_MAP_OK)
		return result;
	result = page_map(mapper, call, to, cpu, &target);
	if (result == PAGE_MAP_OK) {
		step_read(steps, source, PAGE_SIZE);
		step_write(steps, target, PAGE_SIZE);
		unmap(mapper, call, to, target, cpu);
	}
	unmap(mapper, call, from, source, cpu);
	return result;
}

/* Whether frames up to the last of a block have addresses of the direct map. */
static bool is_direct(const struct page_contents *contents, uint64_t last)
{
	return last < contents->layout->direct_map_frames;
}

void page_contents_clear(const struct page_contents *contents, pfn first, unsigned order, unsigned cpu)
{
	if (is_direct(contents, (uint64_t)first.nr + (1u << order) - 1)) {
		step_write(contents->steps, layout_page_address(contents->layout, first), PAGE_SIZE << order);
		return;
	}
	for (uint32_t page = 0; contents->mapper && page < 1u << order; page++)
		page_mapper_clear(contents->mapper, PAGE_MAP_LOCAL, contents->steps, pfn_of(first.nr + page), cpu);
}

void page_contents_copy(const struct page_contents *contents, pfn to, pfn from, unsigned cpu)
{
	if (is_direct(contents, to.nr > from.nr ? to.nr : from.nr)) {
		step_read(contents->steps, layout_page_address(contents->layout, from), PAGE_SIZE);
		step_write(contents->steps, layout_page_address(contents->layout, to), PAGE_SIZE);
		return;
	}
	if (contents->mapper)
		page_mapper_copy(contents->mapper, PAGE_MAP_LOCAL, contents->steps, to, from, cpu);
}
