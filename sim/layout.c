/* SPDX-License-Identifier: MIT
 *
 * layout.c - handing out addresses of kernel data (interface and map: layout.h).
 */
#include "sim/layout.h"

#include "sim/entry_area.h"

#include <stdlib.h>
#include <string.h>

#define LINE 64u
#define OWN_UNIT (1ull << 24)

struct layout_label {
	uint64_t start, end;
	char *name;
};

static const struct layout_span spans_4level[] = {{0, 0x00007fffffffffffu, REGION_USER},
                                                  {0xffff888000000000u, 0xffffc87fffffffffu, REGION_DIRECT_MAP},
                                                  {0xffffc88000000000u, 0xffffc8ffffffffffu, REGION_PER_CPU},
                                                  {0xffffc90000000000u, 0xffffe8ffffffffffu, REGION_VMALLOC},
                                                  {0xffffea0000000000u, 0xffffeaffffffffffu, REGION_VMEMMAP},
                                                  {0xfffffe0000000000u, 0xfffffe7fffffffffu, REGION_ENTRY_AREA},
                                                  {0xffffffff80000000u, 0xffffffff9fffffffu, REGION_TEXT},
                                                  {0xffffffffa0000000u, 0xfffffffffeffffffu, REGION_MODULES},
                                                  {0xffffffffff000000u, 0xffffffffff5fffffu, REGION_FIXMAP}};

static const struct layout_span spans_5level[] = {{0, 0x00ffffffffffffffu, REGION_USER},
                                                  {LAYOUT_DIRECT_MAP_5LEVEL, LAYOUT_DIRECT_MAP_5LEVEL_END - 1, REGION_DIRECT_MAP},
                                                  {0xff91000000000000u, 0xff9fffffffffffffu, REGION_PER_CPU},
                                                  {0xffa0000000000000u, 0xffd1ffffffffffffu, REGION_VMALLOC},
                                                  {0xffd4000000000000u, 0xffd5ffffffffffffu, REGION_VMEMMAP},
                                                  {0xfffffe0000000000u, 0xfffffe7fffffffffu, REGION_ENTRY_AREA},
                                                  {0xffffffff80000000u, 0xffffffff9fffffffu, REGION_TEXT},
                                                  {0xffffffffa0000000u, 0xfffffffffeffffffu, REGION_MODULES},
                                                  {0xffffffffff000000u, 0xffffffffff5fffffu, REGION_FIXMAP}};

static void set_spans(struct layout *layout, const struct layout_span *spans, size_t bytes)
{
	memset(layout->spans, 0, sizeof layout->spans);
	memcpy(layout->spans, spans, bytes);
}

/* Units that nobody has placed: half of each for static data. */
static void set_own_region(struct layout *layout, uint64_t first)
{
	layout->per_cpu = first;
	layout->per_cpu_stride = layout->per_cpu_first_end = OWN_UNIT;
	layout->per_cpu_static_end = layout->per_cpu_used = OWN_UNIT / 2;
	layout->per_cpu_static_used = 0;
	for (unsigned cpu = 0; cpu < CPUS_MAX; cpu++)
		layout->per_cpu_unit[cpu] = first + (uint64_t)cpu * OWN_UNIT;
}

void layout_init(struct layout *layout, uint32_t page_struct_bytes)
{
	*layout = (struct layout){
	        .direct_map = 0xffff888000000000u,
	        .direct_map_frames = UINT32_MAX,
	        .vmemmap = 0xffffea0000000000u,
	        .page_struct_bytes = page_struct_bytes,
	        .kernel_data = 0xffffffff82000000u,
	        .kernel_data_end = 0xffffffffa0000000u, /* the modules area */
	};
	set_spans(layout, spans_4level, sizeof spans_4level);
	set_own_region(layout, 0xffffc88000000000u); /* below vmalloc, in the hole that no other region uses */
}

void layout_set_5level(struct layout *layout)
{
	layout->is_5level = true;
	layout->direct_map = LAYOUT_DIRECT_MAP_5LEVEL;
	layout->vmemmap = 0xffd4000000000000u;
	set_spans(layout, spans_5level, sizeof spans_5level);
	set_own_region(layout, 0xff91000000000000u);
}

/* i386: PAGE_OFFSET; the image at CONFIG_PHYSICAL_START. */
#define I386_DIRECT_MAP 0xc0000000u
#define I386_TEXT 0xc1000000u
#define I386_DATA 0xc1200000u /* MODEL: 2 MiB of text; in a small kernel the rest of its image is data */
#define I386_TEXT_END 0xc2000000u
/* arch/x86/include/asm/pgtable_32_areas.h, VMALLOC_OFFSET: a hole above low memory. */
#define VMALLOC_OFFSET (8u << 20)

/* Static per-CPU data of a CPU: a recorded boot of an i386 kernel. */
#define I386_PER_CPU_STATIC 86188u

#define LARGEST_BLOCK (1ull << 10) /* pages: MAX_ORDER_NR_PAGES */

/* arch/x86/include/asm/fixmap.h: pages from FIXADDR_TOP down to the local kmaps: a hole, two consoles, the local APIC and 64 of
 * the I/O APICs; behind the local kmaps: PCIe's window and two pages of GHES; early_ioremap()'s; the test of WP,
 * TXT. */
#define FIX_KMAP_BEGIN 68u
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

/*
 * FIXADDR_TOT_START, in pages below the top; *btmap_end: those of early_ioremap() come behind so many. They must not share a
 * table's end, so they may begin at the next multiple of their number.
 */
static uint32_t fixmap_pages(const struct layout_32bit *machine, uint32_t *btmap_end)
{
	uint32_t pages = FIX_KMAP_BEGIN + KM_MAX_IDX * kernel_cpus_32bit(machine) + FIX_PERMANENT_REST;
	uint32_t entries = machine->pae ? 512 : 1024;
	if (pages / entries != (pages + FIX_BTMAPS - 1) / entries)
		pages = (pages + FIX_BTMAPS - 1) / FIX_BTMAPS * FIX_BTMAPS;
	*btmap_end = pages;
	return pages + FIX_BTMAPS + FIX_TEMPORARY_REST;
}

struct layout_fixed_32bit layout_fixed_32bit(const struct layout_32bit *machine)
{
	struct layout_fixed_32bit fixed = {.page_offset = I386_DIRECT_MAP, .table_shift = machine->pae ? 21 : 22};
	uint32_t btmap_end, pages = fixmap_pages(machine, &btmap_end);
	fixed.table_bytes = 1ull << fixed.table_shift;
	/* reserve_top_address(): the hole is rounded up to whole tables. */
	fixed.top = (((1ull << 32) - machine->reserve_top_bytes) & ~(fixed.table_bytes - 1)) - PAGE_SIZE;
	fixed.start = fixed.top - (uint64_t)pages * PAGE_SIZE;
	fixed.kmap_begin = fixed.top - FIX_KMAP_BEGIN * PAGE_SIZE;
	fixed.kmap_end = fixed.kmap_begin - (uint64_t)(KM_MAX_IDX * kernel_cpus_32bit(machine) - 1) * PAGE_SIZE;
	fixed.btmap_begin = fixed.top - (uint64_t)(btmap_end + FIX_BTMAPS - 1) * PAGE_SIZE;
	/* Below come the CPUs' entry areas, the LDT and the permanent kmaps, each from a table's first page on. */
	uint64_t entry_pages = (uint64_t)CPU_ENTRY_AREA_PAGES * kernel_cpus_32bit(machine) + CPU_ENTRY_IDT_PAGES;
	fixed.pkmap_base = ((fixed.start - entry_pages * PAGE_SIZE) & ~(fixed.table_bytes - 1)) - 2 * fixed.table_bytes;
	fixed.vmalloc_end = fixed.pkmap_base - VMALLOC_END_GAP;
	return fixed;
}

uint64_t layout_maxmem_32bit(const struct layout_32bit *machine, uint64_t vmalloc_reserve)
{
	uint64_t end = layout_fixed_32bit(machine).vmalloc_end, taken = I386_DIRECT_MAP + vmalloc_reserve;
	return end > taken ? end - taken : 0;
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
	                            layout_fixed_32bit(machine).vmalloc_end - 1, REGION_VMALLOC};
}

static void set_spans_32bit(struct layout *layout, const struct layout_32bit *machine)
{
	const struct layout_fixed_32bit fixed = layout_fixed_32bit(machine);
	uint64_t lowmem = I386_DIRECT_MAP + lowmem_end(machine);
	const struct layout_span spans[] = {{0, I386_DIRECT_MAP - 1, REGION_USER},
	                                    {I386_DIRECT_MAP, I386_TEXT - 1, REGION_DIRECT_MAP},
	                                    {I386_TEXT, I386_TEXT_END - 1, REGION_TEXT},
	                                    {I386_TEXT_END, layout->vmemmap - 1, REGION_DIRECT_MAP},
	                                    {layout->vmemmap, lowmem - 1, REGION_VMEMMAP},
	                                    {lowmem, lowmem - 1, REGION_DIRECT_MAP},
	                                    layout_vmalloc_32bit(machine),
	                                    {fixed.pkmap_base, fixed.pkmap_base + fixed.table_bytes - 1, REGION_KMAP},
	                                    {fixed.start, fixed.top - 1, REGION_FIXMAP}};
	set_spans(layout, spans, sizeof spans);
}

/* The struct pages of 32 bits lie elsewhere in low memory. */
static void move_mem_map(struct layout *layout, uint64_t first, uint64_t bytes)
{
	for (unsigned i = 1; i + 1 < LAYOUT_SPANS; i++) {
		struct layout_span *span = &layout->spans[i];
		if (span->region != REGION_VMEMMAP)
			continue;
		uint64_t last = span[1].last;
		span[-1].last = first - 1;
		*span = (struct layout_span){first, first + bytes - 1, REGION_VMEMMAP};
		span[1] = (struct layout_span){first + bytes, last, REGION_DIRECT_MAP};
	}
	layout->vmemmap = first;
}

static bool is_64bit(const struct layout *layout)
{
	return layout->direct_map >> 32;
}

/*
 * Further chunks end where vmalloc does, at a multiple of the atoms (mm/vmalloc.c: pcpu_get_vm_areas()). VMALLOC_END is the last
 * byte on 64 bits, the first behind it on 32.
 */
static uint64_t chunks_end(const struct layout *layout, uint32_t atom_bytes)
{
	uint64_t end = layout_span_of(layout, REGION_VMALLOC)->last + (is_64bit(layout) ? 0 : 1);
	return end & ~(uint64_t)(atom_bytes - 1);
}

static void set_groups(struct layout *layout, const struct percpu_chunk *chunk, const uint64_t *first)
{
	layout->per_cpu_groups = chunk->groups;
	layout->per_cpu_by_pages = chunk->by_pages;
	layout->per_cpu = first[0];
	for (unsigned group = 0; group < chunk->groups; group++) {
		layout->per_cpu = first[group] < layout->per_cpu ? first[group] : layout->per_cpu;
		layout->per_cpu_group[group] =
		        (struct layout_units){first[group], chunk->group[group].cpus, percpu_group_bytes(chunk, group)};
	}
	for (unsigned cpu = 0; cpu < chunk->cpus; cpu++)
		layout->per_cpu_unit[cpu] =
		        first[chunk->group_of_cpu[cpu]] + (uint64_t)chunk->unit_of_cpu[cpu] * chunk->unit_bytes;
	layout->per_cpu_stride = chunk->unit_bytes;
	layout->per_cpu_first_end = percpu_used_bytes(chunk);
	layout->per_cpu_static_end = chunk->static_bytes;
	/* Behind the stacks, descriptors and the like, which 64 bits alone have there in such numbers. */
	layout->per_cpu_static_used = is_64bit(layout) ? PER_CPU_PAGE_ALIGNED_END : 0;
	SIM_ASSERT(layout->per_cpu_static_used < layout->per_cpu_static_end);
	layout->per_cpu_used = chunk->static_bytes + chunk->reserved_bytes;
	layout->per_cpu_chunks_end = chunks_end(layout, chunk->atom_bytes);
}

void layout_place_per_cpu(struct layout *layout, const struct layout_places *places)
{
	uint64_t first[PERCPU_GROUPS_MAX] = {0};
	for (unsigned group = 0; group < places->per_cpu->groups; group++)
		first[group] = places->per_cpu->by_pages ? layout_span_of(layout, REGION_VMALLOC)->first
		                                         : layout->direct_map + places->per_cpu_group[group];
	layout->per_cpu_runs = places->per_cpu_runs;
	SIM_ASSERT(layout->per_cpu_runs <= PERCPU_RUNS_MAX);
	for (unsigned run = 0; run < places->per_cpu_runs; run++)
		layout->per_cpu_run[run] = places->per_cpu_run[run];
	if (places->mem_map_bytes)
		move_mem_map(layout, layout->direct_map + places->mem_map, places->mem_map_bytes);
	set_groups(layout, places->per_cpu, first);
}

uint64_t layout_per_cpu_physical(const struct layout *layout, uint64_t offset, unsigned cpu)
{
	uint64_t address = layout->per_cpu_unit[cpu] + offset;
	SIM_ASSERT(layout->per_cpu_groups > 0 && offset < layout->per_cpu_stride);
	if (!layout->per_cpu_by_pages)
		return address - layout->direct_map;
	uint64_t page = (address - layout->per_cpu) >> PAGE_SHIFT;
	unsigned run = 0;
	while (run + 1 < layout->per_cpu_runs && layout->per_cpu_run[run + 1].page <= page)
		run++;
	uint64_t frame = layout->per_cpu_run[run].pfn - (page - layout->per_cpu_run[run].page);
	return (frame << PAGE_SHIFT) + (address & (PAGE_SIZE - 1));
}

void layout_place_tables(struct layout *layout, const struct layout_table *table, unsigned tables)
{
	SIM_ASSERT(tables <= LAYOUT_TABLES_MAX);
	layout->tables = tables;
	for (unsigned i = 0; i < tables; i++)
		layout->table[i] = table[i];
}

pfn layout_table_frame(const struct layout *layout, uint64_t linear, unsigned shift)
{
	for (unsigned i = 0; i < layout->tables; i++)
		if (layout->table[i].shift == shift && layout->table[i].linear >> shift == linear >> shift)
			return pfn_of(layout->table[i].pfn);
	return PFN_NONE;
}

static const struct layout_span *span_in(const struct layout_span *spans, enum region region)
{
	while (spans->region != region)
		spans++;
	return spans;
}

uint64_t layout_vmalloc_start_64bit(bool is_5level)
{
	return span_in(is_5level ? spans_5level : spans_4level, REGION_VMALLOC)->first;
}

uint64_t layout_early_area_end(const struct layout *layout)
{
	return layout->per_cpu_by_pages ? layout->per_cpu + layout->per_cpu_group[0].bytes
	                                : layout_span_of(layout, REGION_VMALLOC)->first;
}

void layout_set_32bit(struct layout *layout, const struct layout_32bit *machine)
{
	const struct percpu_sizes sizes = percpu_sizes_x86(false, I386_PER_CPU_STATIC);
	struct percpu_chunk chunk;
	uint64_t lowmem = lowmem_end(machine);
	uint64_t blocks = (machine->memory_bytes >> PAGE_SHIFT) / LARGEST_BLOCK + 1;
	uint64_t map_bytes = blocks * LARGEST_BLOCK * layout->page_struct_bytes;
	if ((machine->memory_bytes >> PAGE_SHIFT) % LARGEST_BLOCK == 0)
		map_bytes -= LARGEST_BLOCK * layout->page_struct_bytes;
	percpu_plan(&chunk, &sizes, machine->cpus ? machine->cpus : 1, NULL);
	uint64_t per_cpu_bytes = percpu_group_bytes(&chunk, 0);
	/* Memory too small for it is refused by the page allocator. */
	uint64_t first =
	        lowmem > map_bytes + per_cpu_bytes ? (lowmem - map_bytes - per_cpu_bytes) & ~(uint64_t)(PAGE_SIZE - 1) : 0;
	layout->is_5level = false;
	layout->direct_map = I386_DIRECT_MAP;
	layout->direct_map_frames = (uint32_t)(machine->lowmem_bytes >> PAGE_SHIFT);
	layout->vmemmap = I386_DIRECT_MAP + first + per_cpu_bytes;
	layout->kernel_data = I386_DATA;
	layout->kernel_data_end = I386_TEXT_END;
	set_spans_32bit(layout, machine);
	set_groups(layout, &chunk, &(uint64_t){I386_DIRECT_MAP + first});
}

const char *region_name(enum region region)
{
	static const char *const names[REGIONS] = {
	        [REGION_NONE] = "none",       [REGION_USER] = "user",       [REGION_DIRECT_MAP] = "direct map",
	        [REGION_PER_CPU] = "per-cpu", [REGION_VMALLOC] = "vmalloc", [REGION_VMEMMAP] = "vmemmap",
	        [REGION_KMAP] = "kmap",       [REGION_TEXT] = "text",       [REGION_MODULES] = "modules",
	        [REGION_FIXMAP] = "fixmap",   [REGION_HOLE] = "hole",       [REGION_ENTRY_AREA] = "entry area"};
	static const char *const tables[REGION_NUMBERS - REGION_TABLES] = {
	        "PTE",        "PDE",        "PDPTE",        "PML4E",        "PML5E",
	        "nested PTE", "nested PDE", "nested PDPTE", "nested PML4E", "nested PML5E"};
	if (region >= REGION_TABLES && region < REGION_NUMBERS)
		return tables[region - REGION_TABLES];
	SIM_ASSERT(region < REGIONS);
	return names[region];
}

/* Whether an address lies in the used part of a unit of the first chunk; by pages nobody else has the rest. */
static bool is_in_unit(const struct layout *layout, uint64_t address)
{
	uint64_t used = layout->per_cpu_by_pages ? layout->per_cpu_stride : layout->per_cpu_first_end;
	for (unsigned group = 0; group < layout->per_cpu_groups; group++) {
		const struct layout_units *units = &layout->per_cpu_group[group];
		uint64_t offset = address - units->first;
		if (address >= units->first && offset < units->cpus * layout->per_cpu_stride)
			return offset % layout->per_cpu_stride < used;
	}
	return false;
}

enum region layout_region(const struct layout *layout, uint64_t address)
{
	if (is_in_unit(layout, address))
		return REGION_PER_CPU;
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

uint64_t layout_per_cpu_static(struct layout *layout, uint32_t bytes)
{
	uint64_t offset = layout->per_cpu_static_used;
	layout->per_cpu_static_used += round_up_to_line(bytes);
	SIM_ASSERT(layout->per_cpu_static_used <= layout->per_cpu_static_end);
	return offset;
}

/* The bytes of a chunk's largest group; *span: from its lowest unit to the end of its highest. */
static uint64_t largest_group(const struct layout *layout, uint64_t *span)
{
	uint64_t largest = 0;
	*span = 0;
	for (unsigned group = 0; group < layout->per_cpu_groups; group++) {
		const struct layout_units *units = &layout->per_cpu_group[group];
		uint64_t end = units->first - layout->per_cpu + units->bytes;
		largest = units->bytes > largest ? units->bytes : largest;
		*span = end > *span ? end : *span;
	}
	return largest;
}

/* Chunks that the addresses of further ones have room for. */
static uint64_t chunks_max(const struct layout *layout)
{
	uint64_t span, largest = largest_group(layout, &span);
	if (!layout->per_cpu_chunks_end)
		return 1;
	uint64_t room = layout->per_cpu_chunks_end - layout_span_of(layout, REGION_VMALLOC)->first;
	return room < span ? 1 : 2 + (room - span) / largest;
}

uint64_t layout_per_cpu_chunks(const struct layout *layout)
{
	return layout->per_cpu_used <= layout->per_cpu_stride ? 1 : 1 + (layout->per_cpu_used - 1) / layout->per_cpu_stride;
}

uint64_t layout_per_cpu_alloc(struct layout *layout, uint32_t bytes, uint32_t align)
{
	uint64_t stride = layout->per_cpu_stride;
	align = align < PER_CPU_ALIGN_MIN ? PER_CPU_ALIGN_MIN : align;
	uint64_t offset = (layout->per_cpu_used + align - 1) & ~(uint64_t)(align - 1);
	bool is_in_first = offset < stride && offset + bytes <= layout->per_cpu_first_end;
	SIM_ASSERT(bytes <= stride && align <= PAGE_SIZE);
	if (!is_in_first && (offset < stride || offset % stride + bytes > stride))
		offset = (offset / stride + 1) * stride;
	layout->per_cpu_used = offset + bytes;
	SIM_ASSERT(layout_per_cpu_chunks(layout) <= chunks_max(layout));
	return offset;
}

/*
 * Where a further chunk's copy of the lowest unit lies: groups are as far from each other as in the first chunk, the highest of
 * the first further chunk ends where chunks do, and each chunk is below the one before by the largest group.
 */
static uint64_t chunk_base(const struct layout *layout, uint64_t chunk)
{
	uint64_t span, largest = largest_group(layout, &span);
	return layout->per_cpu_chunks_end - span - (chunk - 1) * largest;
}

vaddr layout_per_cpu_in_chunk(const struct layout *layout, uint64_t offset, unsigned cpu)
{
	uint64_t stride = layout->per_cpu_stride;
	SIM_ASSERT(layout->per_cpu_chunks_end && cpu < CPUS_MAX && layout->per_cpu_unit[cpu]);
	return vaddr_of(chunk_base(layout, offset / stride) + layout->per_cpu_unit[cpu] - layout->per_cpu + offset % stride);
}

bool layout_is_per_cpu_chunk(const struct layout *layout, uint64_t address)
{
	uint64_t chunks = layout_per_cpu_chunks(layout);
	for (uint64_t chunk = 1; chunk < chunks; chunk++)
		for (unsigned group = 0; group < layout->per_cpu_groups; group++) {
			const struct layout_units *units = &layout->per_cpu_group[group];
			uint64_t first = chunk_base(layout, chunk) + units->first - layout->per_cpu;
			if (address >= first && address < first + units->bytes)
				return true;
		}
	return false;
}
