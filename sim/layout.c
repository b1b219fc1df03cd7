/* SPDX-License-Identifier: MIT
 *
 * layout.c - handing out addresses of kernel data (interface and map: layout.h).
 */
#include "sim/layout.h"

#include <stdlib.h>

#define LINE 64u

struct layout_label {
	uint64_t start, end;
	char *name;
};

void layout_init(struct layout *layout, uint32_t page_struct_bytes)
{
	*layout = (struct layout){
	        .direct_map = 0xffff888000000000u,
	        .vmemmap = 0xffffea0000000000u,
	        .page_struct_bytes = page_struct_bytes,
	        .per_cpu = 0xffffc88000000000u, /* below vmalloc, in the hole that no other region uses */
	        .per_cpu_stride = 1u << 24,
	        .kernel_data = 0xffffffff82000000u,
	};
}

void layout_set_32bit(struct layout *layout)
{
	layout->direct_map = 0xc0000000u;
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

vaddr layout_kernel_data_named(struct layout *layout, uint32_t bytes, const char *name)
{
	vaddr at = layout_kernel_data(layout, bytes);
	layout->labels = xrealloc(layout->labels, (layout->labels_count + 1) * sizeof *layout->labels);
	layout->labels[layout->labels_count++] = (struct layout_label){at.addr, at.addr + bytes, xstrdup(name)};
	return at;
}

const char *layout_label(const struct layout *layout, vaddr at)
{
	size_t low = 0, high = layout->labels_count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (layout->labels[middle].end <= at.addr)
			low = middle + 1;
		else
			high = middle;
	}
	return low < layout->labels_count && layout->labels[low].start <= at.addr ? layout->labels[low].name : "";
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
