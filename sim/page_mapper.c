/* SPDX-License-Identifier: MIT
 *
 * page_mapper.c - whole pages through mappings (interface: sim/port/page_mapper.h).
 *
 * Source: include/linux/highmem.h: clear_highpage(), copy_highpage(), which maps the source first and unmaps it last.
 */
#include "sim/port/page_mapper.h"

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
