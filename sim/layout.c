/* SPDX-License-Identifier: MIT
 *
 * layout.c - handing out addresses of kernel data (interface and map: layout.h).
 */
#include "sim/layout.h"

#include <stdlib.h>
#include <string.h>

#define LINE 64u

struct layout_label {
	uint64_t start, end;
	char *name;
};

static const struct layout_span spans_4level[] = {{0, 0x00007fffffffffffu, REGION_USER},
                                                  {0xffff888000000000u, 0xffffc87fffffffffu, REGION_DIRECT_MAP},
                                                  {0xffffc88000000000u, 0xffffc8ffffffffffu, REGION_PER_CPU},
                                                  {0xffffc90000000000u, 0xffffe8ffffffffffu, REGION_VMALLOC},
                                                  {0xffffea0000000000u, 0xffffeaffffffffffu, REGION_VMEMMAP},
                                                  {0xffffffff80000000u, 0xffffffff9fffffffu, REGION_TEXT},
                                                  {0xffffffffa0000000u, 0xfffffffffeffffffu, REGION_MODULES},
                                                  {0xffffffffff000000u, 0xffffffffff5fffffu, REGION_FIXMAP}};

static const struct layout_span spans_5level[] = {{0, 0x00ffffffffffffffu, REGION_USER},
                                                  {0xff11000000000000u, 0xff90ffffffffffffu, REGION_DIRECT_MAP},
                                                  {0xff91000000000000u, 0xff9fffffffffffffu, REGION_PER_CPU},
                                                  {0xffa0000000000000u, 0xffd1ffffffffffffu, REGION_VMALLOC},
                                                  {0xffd4000000000000u, 0xffd5ffffffffffffu, REGION_VMEMMAP},
                                                  {0xffffffff80000000u, 0xffffffff9fffffffu, REGION_TEXT},
                                                  {0xffffffffa0000000u, 0xfffffffffeffffffu, REGION_MODULES},
                                                  {0xffffffffff000000u, 0xffffffffff5fffffu, REGION_FIXMAP}};

static const struct layout_span spans_i386[] = {{0, 0xbfffffffu, REGION_USER},
                                                {0xc0000000u, 0xc0ffffffu, REGION_DIRECT_MAP},
                                                {0xc1000000u, 0xc1ffffffu, REGION_TEXT},
                                                {0xc2000000u, 0xf7ffffffu, REGION_DIRECT_MAP},
                                                {0xf8800000u, 0xff7fdfffu, REGION_VMALLOC},
                                                {0xff800000u, 0xffbfffffu, REGION_KMAP},
                                                {0xffc00000u, 0xffffefffu, REGION_FIXMAP}};

static void set_spans(struct layout *layout, const struct layout_span *spans, size_t bytes)
{
	memset(layout->spans, 0, sizeof layout->spans);
	memcpy(layout->spans, spans, bytes);
}

void layout_init(struct layout *layout, uint32_t page_struct_bytes)
{
	*layout = (struct layout){
	        .direct_map = 0xffff888000000000u,
	        .direct_map_frames = UINT32_MAX,
	        .vmemmap = 0xffffea0000000000u,
	        .page_struct_bytes = page_struct_bytes,
	        .per_cpu = 0xffffc88000000000u, /* below vmalloc, in the hole that no other region uses */
	        .per_cpu_stride = 1u << 24,
	        .kernel_data = 0xffffffff82000000u,
	};
	set_spans(layout, spans_4level, sizeof spans_4level);
}

void layout_set_5level(struct layout *layout)
{
	layout->direct_map = 0xff11000000000000u;
	layout->vmemmap = 0xffd4000000000000u;
	layout->per_cpu = 0xff91000000000000u;
	set_spans(layout, spans_5level, sizeof spans_5level);
}

void layout_set_32bit(struct layout *layout, uint64_t lowmem_bytes)
{
	layout->direct_map = 0xc0000000u;
	layout->direct_map_frames = (uint32_t)(lowmem_bytes >> PAGE_SHIFT);
	set_spans(layout, spans_i386, sizeof spans_i386);
}

const char *region_name(enum region region)
{
	static const char *const names[REGIONS] = {
	        [REGION_NONE] = "none",       [REGION_USER] = "user",       [REGION_DIRECT_MAP] = "direct map",
	        [REGION_PER_CPU] = "per-cpu", [REGION_VMALLOC] = "vmalloc", [REGION_VMEMMAP] = "vmemmap",
	        [REGION_KMAP] = "kmap",       [REGION_TEXT] = "text",       [REGION_MODULES] = "modules",
	        [REGION_FIXMAP] = "fixmap",   [REGION_HOLE] = "hole"};
	static const char *const tables[REGION_NUMBERS - REGION_TABLES] = {
	        "PTE",        "PDE",        "PDPTE",        "PML4E",        "PML5E",
	        "nested PTE", "nested PDE", "nested PDPTE", "nested PML4E", "nested PML5E"};
	if (region >= REGION_TABLES && region < REGION_NUMBERS)
		return tables[region - REGION_TABLES];
	SIM_ASSERT(region < REGIONS);
	return names[region];
}

enum region layout_region(const struct layout *layout, uint64_t address)
{
	for (unsigned i = 0; i < LAYOUT_SPANS && layout->spans[i].region != REGION_NONE; i++)
		if (address >= layout->spans[i].first && address <= layout->spans[i].last)
			return layout->spans[i].region;
	return REGION_HOLE;
}

const struct layout_span *layout_span_of(const struct layout *layout, enum region region)
{
	for (unsigned i = 0; i < LAYOUT_SPANS && layout->spans[i].region != REGION_NONE; i++)
		if (layout->spans[i].region == region)
			return &layout->spans[i];
	return NULL;
}

void layout_keep_names(struct layout *layout)
{
	layout->keeps_names = true;
}

static uint64_t round_up_to_line(uint64_t bytes)
{
	return (bytes + LINE - 1) & ~(uint64_t)(LINE - 1);
}

vaddr layout_kernel_data(struct layout *layout, uint32_t bytes)
{
	uint64_t at = layout->kernel_data + layout->kernel_data_used;
	layout->kernel_data_used += round_up_to_line(bytes);
	SIM_ASSERT(layout->kernel_data_used <= 0x1e000000u); /* up to the modules area */
	return vaddr_of(at);
}

/* The first label that ends beyond the address. */
static size_t label_beyond(const struct layout *layout, uint64_t at)
{
	size_t low = 0, high = layout->labels_count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (layout->labels[middle].end <= at)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

void layout_name(struct layout *layout, vaddr at, uint32_t bytes, const char *kind, const char *name)
{
	if (!layout->keeps_names)
		return;
	size_t place = label_beyond(layout, at.addr);
	const struct layout_label label = {at.addr, at.addr + bytes, xasprintf("%s%s%s", kind, *name ? " " : "", name)};
	if (place < layout->labels_count && layout->labels[place].start == at.addr) {
		free(layout->labels[place].name);
		layout->labels[place] = label;
		return;
	}
	layout->labels = xrealloc(layout->labels, (layout->labels_count + 1) * sizeof *layout->labels);
	memmove(&layout->labels[place + 1], &layout->labels[place], (layout->labels_count - place) * sizeof *layout->labels);
	layout->labels[place] = label;
	layout->labels_count++;
}

const char *layout_label(const struct layout *layout, vaddr at)
{
	size_t place = label_beyond(layout, at.addr);
	return place < layout->labels_count && layout->labels[place].start <= at.addr ? layout->labels[place].name : "";
}

void layout_release(struct layout *layout)
{
	for (size_t index = 0; index < layout->labels_count; index++)
		free(layout->labels[index].name);
	free(layout->labels);
	layout->labels = NULL;
	layout->labels_count = 0;
}

uint64_t layout_per_cpu_alloc(struct layout *layout, uint32_t bytes)
{
	uint64_t offset = layout->per_cpu_used;
	layout->per_cpu_used += round_up_to_line(bytes);
	SIM_ASSERT(layout->per_cpu_used <= layout->per_cpu_stride);
	return offset;
}
