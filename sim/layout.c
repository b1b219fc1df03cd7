/* SPDX-License-Identifier: MIT
 *
 * layout.c - handing out addresses of kernel data (interface and map: layout.h).
 */
#include "sim/layout.h"

#define LINE 64u

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

uint64_t layout_per_cpu_alloc(struct layout *layout, uint32_t bytes)
{
	uint64_t offset = layout->per_cpu_used;
	layout->per_cpu_used += round_up_to_line(bytes);
	SIM_ASSERT(layout->per_cpu_used <= layout->per_cpu_stride);
	return offset;
}
