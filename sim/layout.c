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
	        .kernel_data_end = 0xffffffffa0000000u, /* the modules area */
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

/* i386: PAGE_OFFSET; the image at CONFIG_PHYSICAL_START. */
#define I386_DIRECT_MAP 0xc0000000u
#define I386_TEXT 0xc1000000u
#define I386_DATA 0xc1200000u /* MODEL: 2 MiB of text; in a small kernel the rest of its image is data */
#define I386_TEXT_END 0xc2000000u
/* arch/x86/include/asm/pgtable_32_areas.h, VMALLOC_OFFSET: a hole above low memory. */
#define VMALLOC_OFFSET (8u << 20)

/* Per-CPU data of a CPU: recorded boots of the i386 kernel (models/page_allocator/memory_map.c). */
#define I386_PER_CPU_UNIT (29u << PAGE_SHIFT)

#define LARGEST_BLOCK (1ull << 10) /* pages: MAX_ORDER_NR_PAGES */

/* arch/x86/include/asm/fixmap.h, behind the local kmaps: PCIe's window and two pages of GHES; early_ioremap()'s; the test of WP,
 * TXT. */
#define FIX_PERMANENT_REST 3u
#define FIX_BTMAPS 512u
#define FIX_TEMPORARY_REST 2u
/* struct cpu_entry_area: descriptor table, entry stack, double-fault stack, two guards, 5 of the TSS, 33 of the debug store. */
#define CPU_ENTRY_AREA_PAGES 43u
#define CPU_ENTRY_IDT_PAGES 1u
#define VMALLOC_END_GAP (2u * PAGE_SIZE)
/* arch/x86/Kconfig: NR_CPUS_RANGE_END with X86_BIGSMP. */
#define I386_NR_CPUS_MAX 64u

static uint32_t kernel_cpus_32bit(const struct layout_32bit *machine)
{
	return machine->kernel_cpus < I386_NR_CPUS_MAX ? machine->kernel_cpus : I386_NR_CPUS_MAX;
}

/* Entries of a page table. */
static uint32_t table_entries(const struct layout_32bit *machine)
{
	return machine->pae ? 512 : 1024;
}

/* FIXADDR_TOT_START. The boot's mappings must not share a table's end, so they may begin at the next multiple of their number. */
static uint64_t fixmap_start(const struct layout_32bit *machine)
{
	uint32_t pages = FIX_KMAP_BEGIN + KM_MAX_IDX * kernel_cpus_32bit(machine) + FIX_PERMANENT_REST;
	if (pages / table_entries(machine) != (pages + FIX_BTMAPS - 1) / table_entries(machine))
		pages = (pages + FIX_BTMAPS - 1) / FIX_BTMAPS * FIX_BTMAPS;
	return FIXADDR_TOP_32BIT - (uint64_t)(pages + FIX_BTMAPS + FIX_TEMPORARY_REST) * PAGE_SIZE;
}

/* PKMAP_BASE: below the fixmap come the CPUs' entry areas, the LDT and the permanent kmaps, each from a table's first page on. */
static uint64_t pkmap_base(const struct layout_32bit *machine)
{
	uint64_t table = (uint64_t)table_entries(machine) * PAGE_SIZE;
	uint64_t entry_pages = (uint64_t)CPU_ENTRY_AREA_PAGES * kernel_cpus_32bit(machine) + CPU_ENTRY_IDT_PAGES;
	uint64_t entry_areas = (fixmap_start(machine) - entry_pages * PAGE_SIZE) & ~(table - 1);
	return entry_areas - 2 * table;
}

uint64_t layout_maxmem_32bit(const struct layout_32bit *machine, uint64_t vmalloc_reserve)
{
	return pkmap_base(machine) - VMALLOC_END_GAP - I386_DIRECT_MAP - vmalloc_reserve;
}

/* The end of the direct map's memory. */
static uint64_t lowmem_end(const struct layout_32bit *machine)
{
	uint64_t lowmem = machine->lowmem_bytes < machine->memory_bytes ? machine->lowmem_bytes : machine->memory_bytes;
	return lowmem & ~(uint64_t)(PAGE_SIZE - 1);
}

struct layout_span layout_vmalloc_32bit(const struct layout_32bit *machine)
{
	return (struct layout_span){I386_DIRECT_MAP + lowmem_end(machine) + VMALLOC_OFFSET,
	                            pkmap_base(machine) - VMALLOC_END_GAP - 1, REGION_VMALLOC};
}

static void set_spans_32bit(struct layout *layout, const struct layout_32bit *machine)
{
	uint64_t pkmap = pkmap_base(machine), pkmap_bytes = (uint64_t)table_entries(machine) * PAGE_SIZE;
	const struct layout_span spans[] = {{0, I386_DIRECT_MAP - 1, REGION_USER},
	                                    {I386_DIRECT_MAP, I386_TEXT - 1, REGION_DIRECT_MAP},
	                                    {I386_TEXT, I386_TEXT_END - 1, REGION_TEXT},
	                                    {I386_TEXT_END, layout->per_cpu - 1, REGION_DIRECT_MAP},
	                                    {layout->per_cpu, layout->vmemmap - 1, REGION_PER_CPU},
	                                    {layout->vmemmap, I386_DIRECT_MAP + lowmem_end(machine) - 1, REGION_VMEMMAP},
	                                    layout_vmalloc_32bit(machine),
	                                    {pkmap, pkmap + pkmap_bytes - 1, REGION_KMAP},
	                                    {fixmap_start(machine), FIXADDR_TOP_32BIT - 1, REGION_FIXMAP}};
	set_spans(layout, spans, sizeof spans);
}

void layout_set_32bit(struct layout *layout, const struct layout_32bit *machine)
{
	uint64_t lowmem = lowmem_end(machine);
	uint64_t blocks = (machine->memory_bytes >> PAGE_SHIFT) / LARGEST_BLOCK + 1;
	uint64_t map_bytes = blocks * LARGEST_BLOCK * layout->page_struct_bytes;
	if ((machine->memory_bytes >> PAGE_SHIFT) % LARGEST_BLOCK == 0)
		map_bytes -= LARGEST_BLOCK * layout->page_struct_bytes;
	uint64_t per_cpu_bytes = (uint64_t)machine->cpus * I386_PER_CPU_UNIT;
	/* Memory too small for it is refused by the page allocator. */
	uint64_t first =
	        lowmem > map_bytes + per_cpu_bytes ? (lowmem - map_bytes - per_cpu_bytes) & ~(uint64_t)(PAGE_SIZE - 1) : 0;
	layout->direct_map = I386_DIRECT_MAP;
	layout->direct_map_frames = (uint32_t)(machine->lowmem_bytes >> PAGE_SHIFT);
	layout->per_cpu = I386_DIRECT_MAP + first;
	layout->per_cpu_stride = I386_PER_CPU_UNIT;
	layout->per_cpu_units = machine->cpus;
	layout->per_cpu_chunks_end = layout_vmalloc_32bit(machine).last + 1;
	layout->vmemmap = layout->per_cpu + per_cpu_bytes;
	layout->kernel_data = I386_DATA;
	layout->kernel_data_end = I386_TEXT_END;
	set_spans_32bit(layout, machine);
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
	SIM_ASSERT(layout->kernel_data + layout->kernel_data_used <= layout->kernel_data_end);
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
	uint64_t offset = layout->per_cpu_used, size = round_up_to_line(bytes), stride = layout->per_cpu_stride;
	uint64_t room = stride - offset % stride, chunks = 1;
	if (size > room)
		offset += room;
	layout->per_cpu_used = offset + size;
	if (layout->per_cpu_chunks_end)
		chunks += (layout->per_cpu_chunks_end - layout_span_of(layout, REGION_VMALLOC)->first) /
		          (stride * layout->per_cpu_units);
	SIM_ASSERT(size <= stride && layout->per_cpu_used <= chunks * stride);
	return offset;
}

vaddr layout_per_cpu_in_chunk(const struct layout *layout, uint64_t offset, unsigned cpu)
{
	uint64_t stride = layout->per_cpu_stride, chunk = offset / stride;
	SIM_ASSERT(layout->per_cpu_chunks_end && cpu < layout->per_cpu_units);
	return vaddr_of(layout->per_cpu_chunks_end - chunk * layout->per_cpu_units * stride + cpu * stride + offset % stride);
}

bool layout_is_per_cpu_chunk(const struct layout *layout, uint64_t address)
{
	if (!layout->per_cpu_chunks_end || layout->per_cpu_used <= layout->per_cpu_stride)
		return false;
	uint64_t chunks = (layout->per_cpu_used - 1) / layout->per_cpu_stride;
	uint64_t bytes = chunks * layout->per_cpu_units * layout->per_cpu_stride;
	return address < layout->per_cpu_chunks_end && address >= layout->per_cpu_chunks_end - bytes;
}
