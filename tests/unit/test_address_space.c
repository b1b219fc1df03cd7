/* SPDX-License-Identifier: MIT
 *
 * test_address_space.c - how addresses come about: segments of the 32-bit machine, the kernel's map, pages at first touch.
 */
#include "tests/unit/mmu_rig.h"

#include "models/settings.h"
#include "sim/address_space.h"
#include "sim/kernel_map.h"
#include "sim/segmentation.h"

extern const struct translation_ops translation_x86_4level_ops, translation_x86_5level_ops, translation_x86_pae_ops,
        translation_x86_32_ops;
struct page_allocator *page_allocator_buddy_create(const struct page_allocator_wiring *wiring, struct error *error);

/* ---- segmentation ---- */

/* Linux's flat segments (arch/x86/kernel/cpu/common.c: GDT_ENTRY_INIT c09a, c092, c0fa, c0f2), and some that are not flat. */
static const uint64_t gdt[] = {
        0,
        0x00cf9a000000ffff, /* 08 kernel code */
        0x00cf92000000ffff, /* 10 kernel data */
        0x00cffa000000ffff, /* 18 user code */
        0x00cff2000000ffff, /* 20 user data */
        0x12409234567800ff, /* 28 kernel data, base 12345678, limit ff */
        0x00409600000000ff, /* 30 kernel data, expand down from 100 */
        0x00cf12000000ffff, /* 38 kernel data, not present */
        0x00cf98000000ffff, /* 40 kernel code, execute only */
        0x00cf9e000000ffff, /* 48 kernel code, conforming */
        0x00cf90000000ffff, /* 50 kernel data, read only */
        0x0000890000000067, /* 58 TSS */
        0x00cf12000000ffff, /* 60 as 38 */
};
static const struct segment_tables segment_tables = {.gdt = {gdt, sizeof gdt}};

static uint32_t linear_of(uint16_t selector, unsigned cpl, uint32_t offset)
{
	struct segment segment;
	uint32_t linear = 0;
	assert_int_equal(segment_load(&segment_tables, SEGMENT_DATA, selector, cpl, &segment).fault, SEGMENT_OK);
	assert_int_equal(segment_address(&segment, SEGMENT_DATA, offset, 4, SEGMENT_READ, &linear).fault, SEGMENT_OK);
	return linear;
}

static void expect_load(enum segment_register which, uint16_t selector, unsigned cpl, enum segment_fault fault,
                        uint16_t error_code)
{
	struct segment segment = {0};
	struct segment_result result = segment_load(&segment_tables, which, selector, cpl, &segment);
	assert_int_equal(result.fault, fault);
	assert_int_equal(result.error_code, error_code);
}

static enum segment_fault use(uint16_t selector, enum segment_register which, uint32_t offset, uint32_t bytes,
                              enum segment_use use)
{
	struct segment segment;
	uint32_t linear;
	assert_int_equal(segment_load(&segment_tables, which, selector, 0, &segment).fault, SEGMENT_OK);
	return segment_address(&segment, which, offset, bytes, use, &linear).fault;
}

/* A logical address is selector:offset; base and limit of the descriptor make it linear, then paging makes it physical. */
static void a_logical_address_is_selector_and_offset(void **state)
{
	(void)state;
	assert_int_equal(linear_of(0x10, 0, 0xc0001234), 0xc0001234);
	assert_int_equal(linear_of(0x28, 0, 0x10), 0x12345688);
	struct rig rig;
	struct access out[2 * MMU_ROOM];
	static const char *const lines[] = {"tlb entries=16 ways=4", NULL};
	rig_begin(&rig, &translation_x86_32_ops, 0x100000);
	rig_map(&rig, 0x12345000, 0x777000 | WORD_WRITE | WORD_USER | WORD_ACCESSED, PAGE_4K);
	rig_tlbs(&rig, lines, false, true);
	size_t made = rig_access(&rig, ACCESS_LOAD, linear_of(0x28, 0, 0x10), 4, out, 2 * MMU_ROOM);
	assert_int_equal(made, 3);
	assert_int_equal(out[2].address, 0x777688);
	rig_end(&rig);
}

/* Would catch: a limit off by one, granularity left out, expand-down read as expand-up, the wrong vector. */
static void limits_and_types_are_checked(void **state)
{
	(void)state;
	assert_int_equal(use(0x28, SEGMENT_DATA, 0xfc, 4, SEGMENT_READ), SEGMENT_OK);
	assert_int_equal(use(0x28, SEGMENT_DATA, 0xfd, 4, SEGMENT_READ), SEGMENT_GENERAL_PROTECTION);
	assert_int_equal(use(0x28, SEGMENT_STACK, 0xfd, 4, SEGMENT_READ), SEGMENT_STACK_FAULT);
	assert_int_equal(use(0x10, SEGMENT_DATA, 0xfffffffc, 4, SEGMENT_READ), SEGMENT_OK);
	assert_int_equal(use(0x10, SEGMENT_DATA, 0xfffffffd, 4, SEGMENT_READ), SEGMENT_GENERAL_PROTECTION);
	assert_int_equal(use(0x30, SEGMENT_DATA, 0xff, 1, SEGMENT_READ), SEGMENT_GENERAL_PROTECTION);
	assert_int_equal(use(0x30, SEGMENT_DATA, 0x100, 4, SEGMENT_WRITE), SEGMENT_OK);
	assert_int_equal(use(0x50, SEGMENT_DATA, 0, 4, SEGMENT_WRITE), SEGMENT_GENERAL_PROTECTION);
	assert_int_equal(use(0x08, SEGMENT_CODE, 0, 4, SEGMENT_FETCH), SEGMENT_OK);
	assert_int_equal(use(0x08, SEGMENT_CODE, 0, 4, SEGMENT_WRITE), SEGMENT_GENERAL_PROTECTION);
	assert_int_equal(use(0x40, SEGMENT_CODE, 0, 4, SEGMENT_READ), SEGMENT_GENERAL_PROTECTION);
	assert_int_equal(use(0x10, SEGMENT_DATA, 0, 4, SEGMENT_FETCH), SEGMENT_GENERAL_PROTECTION);
	assert_int_equal(use(0x00, SEGMENT_DATA, 0, 4, SEGMENT_READ), SEGMENT_GENERAL_PROTECTION);
}

/* SDM vol. 3A 5.5 to 5.8, and the error codes of 6.15. */
static void privilege_is_checked_when_a_segment_is_loaded(void **state)
{
	(void)state;
	expect_load(SEGMENT_DATA, 0x23, 3, SEGMENT_OK, 0);
	expect_load(SEGMENT_DATA, 0x10, 3, SEGMENT_GENERAL_PROTECTION, 0x10);
	expect_load(SEGMENT_DATA, 0x13, 0, SEGMENT_GENERAL_PROTECTION, 0x10);
	expect_load(SEGMENT_DATA, 0x20, 0, SEGMENT_OK, 0);
	expect_load(SEGMENT_DATA, 0x40, 0, SEGMENT_GENERAL_PROTECTION, 0x40);
	expect_load(SEGMENT_DATA, 0x4b, 3, SEGMENT_OK, 0);
	expect_load(SEGMENT_DATA, 0x58, 0, SEGMENT_GENERAL_PROTECTION, 0x58);
	expect_load(SEGMENT_DATA, 0x68, 0, SEGMENT_GENERAL_PROTECTION, 0x68);
	expect_load(SEGMENT_DATA, 0x0c, 0, SEGMENT_GENERAL_PROTECTION, 0x0c);
	expect_load(SEGMENT_DATA, 0x38, 0, SEGMENT_NOT_PRESENT, 0x38);
	expect_load(SEGMENT_STACK, 0x38, 0, SEGMENT_STACK_FAULT, 0x38);
	expect_load(SEGMENT_STACK, 0x00, 0, SEGMENT_GENERAL_PROTECTION, 0);
	expect_load(SEGMENT_STACK, 0x20, 0, SEGMENT_GENERAL_PROTECTION, 0x20);
	expect_load(SEGMENT_STACK, 0x50, 0, SEGMENT_GENERAL_PROTECTION, 0x50);
	expect_load(SEGMENT_CODE, 0x10, 0, SEGMENT_GENERAL_PROTECTION, 0x10);
	expect_load(SEGMENT_CODE, 0x08, 3, SEGMENT_GENERAL_PROTECTION, 0x08);
	expect_load(SEGMENT_CODE, 0x4b, 3, SEGMENT_OK, 0);
	expect_load(SEGMENT_CODE, 0x1b, 3, SEGMENT_OK, 0);
}

/* ---- the kernel's map ---- */

#define MIB (1ull << 20)
#define GIB (1ull << 30)

/* A PC of 9 GiB: 1 GiB pages where the whole GiB is memory, 2 MiB where 2 MiB are, 4 KiB at the edges (split_mem_range()). */
static void the_direct_map_has_the_largest_pages_that_fit(void **state)
{
	(void)state;
	const struct ram_range ram[] = {{0x1000, 0x9f000}, {MIB, 3 * GIB - 0x20000}, {4 * GIB, 9 * GIB + 5 * MIB}};
	struct rig rig;
	struct layout layout;
	struct kernel_map map;
	enum page_size size;
	layout_init(&layout, 64);
	rig_begin(&rig, &translation_x86_4level_ops, 0x100000000000);
	const struct paging_controls controls = rig_controls();
	assert_true(kernel_map_init(&map, &translation_x86_4level_ops, &controls, &rig.memory, &layout, ram, 3));
	static const struct {
		uint64_t physical;
		enum page_size size;
	} expected[] = {{0, PAGE_4K},
	                {0xa0000, PAGE_4K},
	                {2 * MIB - 1, PAGE_4K},
	                {2 * MIB, PAGE_2M},
	                {GIB - 1, PAGE_2M},
	                {GIB, PAGE_1G},
	                {2 * GIB, PAGE_2M},
	                {3 * GIB - 2 * MIB - 1, PAGE_2M},
	                {3 * GIB - 2 * MIB, PAGE_4K},
	                {4 * GIB, PAGE_1G},
	                {9 * GIB - 1, PAGE_1G},
	                {9 * GIB, PAGE_2M},
	                {9 * GIB + 4 * MIB - 1, PAGE_2M},
	                {9 * GIB + 4 * MIB, PAGE_4K}};
	for (unsigned i = 0; i < sizeof expected / sizeof *expected; i++) {
		uint64_t word = page_tables_find(&map.tables, layout.direct_map + expected[i].physical, &size);
		assert_true(word & WORD_PRESENT && word & WORD_GLOBAL && !(word & (WORD_USER | WORD_EXECUTE)));
		assert_int_equal(size, expected[i].size);
		assert_int_equal(word & WORD_FRAME, expected[i].physical & ~(page_size_bytes(size) - 1));
	}
	assert_int_equal(page_tables_find(&map.tables, layout.direct_map + 3 * GIB, &size), 0);
	assert_int_equal(page_tables_find(&map.tables, layout.direct_map + 9 * GIB + 5 * MIB, &size), 0);
	assert_int_equal(map.tables.pages[PAGE_1G], 1 + 5);
	assert_true(page_tables_find(&map.tables, layout.vmemmap, &size) && size == PAGE_2M);
	assert_true(page_tables_find(&map.tables, 0xffffffff81000000u, &size) & WORD_EXECUTE && size == PAGE_2M);
	page_tables_check(&map.tables);
	kernel_map_release(&map);
	/* Without 1 GiB pages, the same by 2 MiB. */
	struct paging_controls older = controls;
	older.gigabyte_pages = false;
	assert_int_equal(kernel_map_page_size(&translation_x86_4level_ops, &older, &layout, ram, 3, GIB), PAGE_2M);
	rig_end(&rig);
}

/* x86-32: 896 MiB of direct map at c0000000; 4 KiB for the first 4 MiB, then 4 MiB pages (with PAE 2 MiB). */
static void the_32_bit_map_ends_at_low_memory(void **state)
{
	(void)state;
	const struct ram_range ram[] = {{0x1000, 0x9f000}, {MIB, 2 * GIB}};
	struct layout layout;
	struct rig rig;
	struct kernel_map map;
	enum page_size size;
	layout_init(&layout, 32);
	layout_set_32bit(&layout,
	                 &(struct layout_32bit){
	                         .lowmem_bytes = 896 * MIB, .memory_bytes = 2 * GIB, .cpus = 2, .kernel_cpus = 4, .pae = false});
	rig_begin(&rig, &translation_x86_32_ops, 0x100000000000);
	const struct paging_controls controls = rig_controls();
	assert_true(kernel_map_init(&map, &translation_x86_32_ops, &controls, &rig.memory, &layout, ram, 2));
	assert_true(page_tables_find(&map.tables, 0xc0000000u, &size) && size == PAGE_4K);
	assert_true(page_tables_find(&map.tables, 0xc0400000u, &size) && size == PAGE_4M);
	assert_true(page_tables_find(&map.tables, 0xf7ffffffu, &size) && size == PAGE_4M);
	assert_int_equal(page_tables_find(&map.tables, 0xf8000000u, &size), 0);
	kernel_map_release(&map);
	assert_true(kernel_map_init(&map, &translation_x86_pae_ops, &controls, &rig.memory, &layout, ram, 2));
	assert_true(page_tables_find(&map.tables, 0xc0200000u, &size) && size == PAGE_2M);
	kernel_map_release(&map);
	rig_end(&rig);
}

/*
 * Worked by hand for 2 GiB, 896 MiB of it low, two CPUs, struct pages of 32 bytes: 524,288 of them are the last 16 MiB of low
 * memory, from f7000000; two units of 29 pages below; data from c1200000. All of it is mapped before it is touched, but for a
 * second chunk of per-CPU data, which ends where the vmalloc area does (a recorded kernel for 4 CPUs printed VMALLOC_END
 * ff3fe000). Would catch: steps on the kernel's own data that no page table knows.
 */
static void a_32_bit_kernel_has_its_data_in_low_memory(void **state)
{
	(void)state;
	const struct ram_range ram[] = {{0, 2 * GIB}};
	struct layout layout;
	struct rig rig;
	struct kernel_map map;
	enum page_size size;
	layout_init(&layout, 32);
	layout_set_32bit(&layout,
	                 &(struct layout_32bit){
	                         .lowmem_bytes = 896 * MIB, .memory_bytes = 2 * GIB, .cpus = 2, .kernel_cpus = 4, .pae = false});
	rig_begin(&rig, &translation_x86_32_ops, 0x100000000000);
	const struct paging_controls controls = rig_controls();
	assert_true(kernel_map_init(&map, &translation_x86_32_ops, &controls, &rig.memory, &layout, ram, 1));
	uint64_t last = layout_struct_page(&layout, pfn_of(0x7ffff)).addr;
	assert_int_equal(layout_struct_page(&layout, pfn_of(0)).addr, 0xf7000000u);
	assert_int_equal(last, 0xf7ffffe0u);
	assert_int_equal(layout_region(&layout, last), REGION_VMEMMAP);
	assert_int_equal(page_tables_find(&map.tables, last, &size) & WORD_FRAME, 0x37c00000);
	assert_int_equal(size, PAGE_4M);
	uint64_t offset = layout_per_cpu_alloc(&layout, 29 * PAGE_SIZE - 86188, 4);
	assert_int_equal(layout_per_cpu(&layout, offset, 1).addr, 0xf7000000u - 29 * PAGE_SIZE + 86188);
	assert_int_equal(layout_region(&layout, layout_per_cpu(&layout, offset, 0).addr), REGION_PER_CPU);
	assert_true(page_tables_find(&map.tables, layout_per_cpu(&layout, offset, 0).addr, &size) & WORD_PRESENT);
	offset = layout_per_cpu_alloc(&layout, 128, 64); /* has no room in the first unit */
	uint64_t chunk = layout_per_cpu(&layout, offset, 1).addr;
	assert_int_equal(chunk, 0xff3fe000u - 29 * PAGE_SIZE);
	assert_int_equal(layout_per_cpu(&layout, layout_per_cpu_alloc(&layout, 64, 64), 0).addr,
	                 0xff3fe000u - 58 * PAGE_SIZE + 128);
	assert_int_equal(page_tables_find(&map.tables, chunk, &size), 0);
	assert_true(kernel_map_fault(&map, chunk, WALK_PAGE_FAULT, 0));
	assert_true(page_tables_find(&map.tables, chunk, &size) && size == PAGE_4K);
	uint64_t data = layout_kernel_data(&layout, 64).addr;
	assert_int_equal(data, 0xc1200000u);
	assert_int_equal(layout_region(&layout, data), REGION_TEXT);
	assert_int_equal(page_tables_find(&map.tables, data, &size) & WORD_FRAME, 0x1000000);
	kernel_map_release(&map);
	rig_end(&rig);
}

/* The drawing in sim/layout.h. */
static void every_address_is_in_its_region(void **state)
{
	(void)state;
	struct layout layout;
	layout_init(&layout, 64);
	assert_int_equal(layout_region(&layout, 0x400000), REGION_USER);
	assert_int_equal(layout_region(&layout, layout.direct_map), REGION_DIRECT_MAP);
	assert_int_equal(layout_region(&layout, layout.vmemmap + 64), REGION_VMEMMAP);
	assert_int_equal(layout_region(&layout, layout.per_cpu), REGION_PER_CPU);
	assert_int_equal(layout_region(&layout, layout.kernel_data), REGION_TEXT);
	assert_int_equal(layout_region(&layout, 0xffffc90000000000u), REGION_VMALLOC);
	assert_int_equal(layout_region(&layout, 0xffffe90000000000u), REGION_HOLE);
	layout_set_5level(&layout);
	assert_int_equal(layout_region(&layout, layout.direct_map), REGION_DIRECT_MAP);
	assert_int_equal(layout_region(&layout, layout.vmemmap), REGION_VMEMMAP);
	assert_int_equal(layout_region(&layout, layout.per_cpu), REGION_PER_CPU);
	assert_int_equal(layout_region(&layout, 0xffa0000000000000u), REGION_VMALLOC);
	layout_set_32bit(&layout,
	                 &(struct layout_32bit){
	                         .lowmem_bytes = 896 * MIB, .memory_bytes = 2 * GIB, .cpus = 1, .kernel_cpus = 4, .pae = false});
	assert_int_equal(layout_region(&layout, 0xbfffffff), REGION_USER);
	assert_int_equal(layout_region(&layout, 0xf8800000), REGION_VMALLOC);
}

/* The last GiB of a 32-bit kernel, as its boot log had it. */
struct published_map {
	const char *source;
	uint32_t kernel_cpus;
	bool pae;
	uint64_t vmalloc_reserve, memory; /* end of memory */
	uint64_t cpu_entry;               /* CPU_ENTRY_AREA_BASE; 0: not printed */
	uint64_t pkmap, pkmap_end, vmalloc, vmalloc_end, lowmem_end;
};

/*
 * "virtual kernel memory layout:" was printed up to 5.6; of 4.19 on the areas are those of 6.1. The fixmap, whose local kmaps are
 * fewer since 5.11, does not come so far down in any of them that a table more or less would be between.
 */
static const struct published_map published_maps[] = {
        {"5.1.0-rc2, one CPU, Initializing HighMem for node 0 (000373fe:0007fff0)", 1, false, 128 * MIB, 0x7fff0000, 0xffc00000,
         0xff400000, 0xff800000, 0xf7bfe000, 0xff3fe000, 0xf73fe000},
        {"a kernel with PAE for 8 CPUs: cpu_entry 0xffa00000, lowmem 885 MB", 8, true, 128 * MIB, 4 * GIB, 0xffa00000, 0xff600000,
         0xff800000, 0xf7dfe000, 0xff5fe000, 0xf75fe000},
        {"6.1.192 for 4 CPUs, 1 GiB: VMALLOC_END and PKMAP_BASE from its module, low ram: 0 - 373fe000", 4, false, 128 * MIB,
         0x3ffe0000, 0, 0xff400000, 0xff800000, 0xf7bfe000, 0xff3fe000, 0xf73fe000},
        {"Debian's 6.0.0-0.deb11.6-686-pae, NR_CPUS:32, low ram: 0 - 36ffe000", 32, true, 128 * MIB, 4 * GIB, 0, 0xff000000,
         0xff200000, 0xf77fe000, 0xfeffe000, 0xf6ffe000},
};

/*
 * Would catch: entry areas or local kmaps that do not grow with the CPUs, steps of a table of the other kind, a gap or a table
 * that is left out.
 */
static void the_last_gib_is_as_kernels_printed_it(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof published_maps / sizeof published_maps[0]; i++) {
		const struct published_map *expected = &published_maps[i];
		struct layout_32bit machine = {
		        .memory_bytes = expected->memory, .cpus = 1, .kernel_cpus = expected->kernel_cpus, .pae = expected->pae};
		struct layout layout;
		machine.lowmem_bytes = layout_maxmem_32bit(&machine, expected->vmalloc_reserve);
		const struct layout_fixed_32bit fixed = layout_fixed_32bit(&machine);
		assert_int_equal(0xc0000000u + machine.lowmem_bytes, expected->lowmem_end);
		assert_int_equal(fixed.vmalloc_end, expected->vmalloc_end);
		assert_int_equal(fixed.top, 0xfffff000u);
		if (expected->cpu_entry)
			assert_int_equal(fixed.pkmap_base + 2 * fixed.table_bytes, expected->cpu_entry);
		layout_init(&layout, 40);
		layout_set_32bit(&layout, &machine);
		assert_int_equal(layout_span_of(&layout, REGION_KMAP)->first, expected->pkmap);
		assert_int_equal(layout_span_of(&layout, REGION_KMAP)->last + 1, expected->pkmap_end);
		assert_int_equal(layout_span_of(&layout, REGION_VMALLOC)->first, expected->vmalloc);
		assert_int_equal(layout_span_of(&layout, REGION_VMALLOC)->last + 1, expected->vmalloc_end);
		assert_true(layout_span_of(&layout, REGION_FIXMAP)->first <= fixed.kmap_end);
	}
}

/*
 * By hand from pgtable_32_areas.h: reservetop=8M, without PAE: FIXADDR_TOP ff7ff000, so all below moves by 8 MiB; 1 byte more
 * than that takes another table. Memory of 64 MiB ends low memory, and memory of a GiB that is all low leaves nothing for
 * vmalloc. Would catch: a hole that is not rounded up to a table, a reserve that moves nothing, local slots that stay at the top.
 */
static void a_hole_at_the_top_moves_the_rest(void **state)
{
	(void)state;
	struct layout_32bit lab = {.lowmem_bytes = 0x373fe000, .memory_bytes = GIB, .cpus = 1, .kernel_cpus = 4};
	const uint64_t kmap_begin = layout_fixed_32bit(&lab).kmap_begin;
	assert_int_equal(kmap_begin, 0xfffff000u - 68 * PAGE_SIZE);
	assert_int_equal(layout_maxmem_32bit(&lab, 256 * MIB), 0x373fe000 - 128 * MIB);
	lab.reserve_top_bytes = 8 * MIB;
	assert_int_equal(layout_fixed_32bit(&lab).top, 0xff7ff000u);
	assert_int_equal(layout_fixed_32bit(&lab).kmap_begin, kmap_begin - 8 * MIB);
	assert_int_equal(layout_fixed_32bit(&lab).pkmap_base, 0xfec00000u);
	assert_int_equal(layout_maxmem_32bit(&lab, 128 * MIB), 0x373fe000 - 8 * MIB);
	lab.reserve_top_bytes++;
	assert_int_equal(layout_fixed_32bit(&lab).top, 0xff3ff000u);
	lab.pae = true;
	assert_int_equal(layout_fixed_32bit(&lab).top, 0xff5ff000u);
	assert_int_equal(layout_fixed_32bit(&lab).start, 0xff1fd000u);
	assert_int_equal(layout_fixed_32bit(&lab).pkmap_base, 0xfec00000u);
	assert_int_equal(layout_maxmem_32bit(&lab, 900 * MIB), 0x67fe000);
	assert_int_equal(layout_maxmem_32bit(&lab, 1020 * MIB), 0);
	const struct layout_32bit small = {.lowmem_bytes = 64 * MIB, .memory_bytes = 64 * MIB, .cpus = 1, .kernel_cpus = 4};
	const struct layout_32bit full = {.lowmem_bytes = 1020 * MIB, .memory_bytes = 2 * GIB, .cpus = 1, .kernel_cpus = 4};
	assert_int_equal(layout_vmalloc_32bit(&small).first, 0xc4800000u);
	assert_true(layout_vmalloc_32bit(&full).first > layout_vmalloc_32bit(&full).last);
}

/* What is mapped at first touch: a vmalloc page of 4 KiB, a CPU's data in 2 MiB; holes are not. */
static void the_rest_of_the_kernel_is_mapped_when_touched(void **state)
{
	(void)state;
	const struct ram_range ram[] = {{0x1000, 0x9f000}, {MIB, 256 * MIB}};
	struct rig rig;
	struct layout layout;
	struct kernel_map map;
	enum page_size size;
	layout_init(&layout, 64);
	rig_begin(&rig, &translation_x86_4level_ops, 0x100000000000);
	const struct paging_controls controls = rig_controls();
	assert_true(kernel_map_init(&map, &translation_x86_4level_ops, &controls, &rig.memory, &layout, ram, 2));
	assert_true(kernel_map_fault(&map, 0xffffc90000003456u, WALK_PAGE_FAULT, 0));
	assert_true(page_tables_find(&map.tables, 0xffffc90000003456u, &size) && size == PAGE_4K);
	assert_true(kernel_map_fault(&map, layout.per_cpu + 0x300000, WALK_PAGE_FAULT, PF_WRITE));
	assert_true(page_tables_find(&map.tables, layout.per_cpu + 0x200000, &size) && size == PAGE_2M);
	assert_false(kernel_map_fault(&map, 0xffffe90000000000u, WALK_PAGE_FAULT, 0));
	assert_false(kernel_map_fault(&map, layout.direct_map + 256 * MIB, WALK_PAGE_FAULT, 0));
	page_tables_check(&map.tables);
	kernel_map_release(&map);
	rig_end(&rig);
}

/* ---- pages at first touch ---- */

struct machine_of_pages {
	struct settings settings;
	struct layout layout;
	struct steps steps;
	struct page_allocator *pages;
};

static void machine_begin(struct machine_of_pages *machine, uint64_t memory_bytes)
{
	struct error error = {0};
	memset(machine, 0, sizeof *machine);
	settings_init(&machine->settings);
	machine->settings.machine.memory_bytes = memory_bytes;
	machine->settings.machine.cpus = 1;
	layout_init(&machine->layout, 64);
	steps_init(&machine->steps, false);
	machine->pages = page_allocator_buddy_create(
	        &(struct page_allocator_wiring){
	                .settings = &machine->settings, .layout = &machine->layout, .steps = &machine->steps, .seed = 1},
	        &error);
	if (!machine->pages)
		fail_msg("%s", error.text);
}

static void machine_end(struct machine_of_pages *machine)
{
	assert_int_equal(machine->pages->allocated_pages, 0);
	page_allocator_check(machine->pages);
	page_allocator_destroy(machine->pages);
	steps_release(&machine->steps);
	settings_release(&machine->settings);
}

static const char *const lines[] = {"dtlb entries=16 ways=4 serves=data", "dtlb_2m entries=8 ways=4 pages=2M serves=data",
                                    "stlb level=2 entries=96 ways=12 pages=4K+2M", NULL};

static void touch_pages(const struct translation_ops *mode, enum address_space_pages policy, uint64_t expect_small,
                        uint64_t expect_huge)
{
	struct machine_of_pages machine;
	struct rig rig;
	struct address_space space;
	struct access out[2 * MMU_ROOM];
	struct error error = {0};
	machine_begin(&machine, 64 * MIB);
	rig_begin(&rig, mode, 0x100000000000);
	const struct paging_controls controls = rig_controls();
	assert_true(address_space_init(&space, mode, &controls, &rig.memory, machine.pages, policy, (struct host_address){0},
	                               &error));
	rig_tlbs(&rig, lines, false, true);
	rig.mmu.fault = address_space_fault;
	rig.mmu.context = &space;
	walker_load_root(&rig.walker, space.tables.root, 0);
	for (unsigned round = 0; round < 2; round++)
		for (unsigned page = 0; page < 1024; page++) {
			uint64_t linear = 0x8000000u + ((uint64_t)page << 12) + page, word;
			enum page_size size;
			size_t made = rig_access(&rig, page % 3 ? ACCESS_LOAD : ACCESS_STORE, linear, 1, out, 2 * MMU_ROOM);
			word = page_tables_find(&space.tables, linear, &size);
			assert_int_equal(out[made - 1].address, (word & WORD_FRAME) + (linear & (page_size_bytes(size) - 1)));
		}
	assert_int_equal(space.counters.small_pages, expect_small);
	assert_int_equal(space.counters.huge_pages, expect_huge);
	assert_int_equal(rig.mmu.counters.faults, expect_small + expect_huge);
	address_space_check(&space);
	address_space_release(&space);
	rig_end(&rig);
	machine_end(&machine);
}

/* 4 MiB: 1024 pages of 4 KiB, or two of 2 MiB; every frame comes back. */
static void a_page_comes_at_its_first_touch(void **state)
{
	(void)state;
	touch_pages(&translation_x86_4level_ops, PAGES_SMALL, 1024, 0);
	touch_pages(&translation_x86_4level_ops, PAGES_TRANSPARENT_HUGE, 0, 2);
	touch_pages(&translation_x86_5level_ops, PAGES_TRANSPARENT_HUGE, 0, 2);
	touch_pages(&translation_x86_pae_ops, PAGES_TRANSPARENT_HUGE, 0, 2);
	touch_pages(&translation_x86_32_ops, PAGES_TRANSPARENT_HUGE, 1024, 0); /* 4 MiB pages are never transparent */
}

/* Where memory has no free block of 2 MiB, small pages come in its place; where it has none at all, accesses are refused. */
static void fragmentation_and_want_of_memory_show(void **state)
{
	(void)state;
	struct machine_of_pages machine;
	struct rig rig;
	struct address_space space;
	struct error error = {0};
	machine_begin(&machine, 32 * MIB);
	rig_begin(&rig, &translation_x86_4level_ops, 0x100000000000);
	const struct paging_controls controls = rig_controls();
	assert_true(address_space_init(&space, &translation_x86_4level_ops, &controls, &rig.memory, machine.pages,
	                               PAGES_TRANSPARENT_HUGE, (struct host_address){0}, &error));
	rig_tlbs(&rig, lines, false, true);
	rig.mmu.fault = address_space_fault;
	rig.mmu.context = &space;
	walker_load_root(&rig.walker, space.tables.root, 0);
	for (unsigned page = 0; page < 16384; page++) {
		size_t made;
		const struct access access = {.address = 0x40000000u + ((uint64_t)page << 12), .bytes = 8, .kind = ACCESS_LOAD};
		mmu_run(&rig.mmu, &access, 1, NULL, 0, &made);
	}
	assert_true(space.counters.huge_pages > 0 && space.counters.huge_fallback > 0 && space.counters.small_pages > 0);
	assert_true(space.counters.no_memory > 0);
	assert_int_equal(rig.mmu.counters.refused, space.counters.no_memory);
	assert_false(address_space_fault(&space, 0x40000000u, WALK_PAGE_FAULT, PF_PRESENT | PF_WRITE));
	address_space_check(&space);
	address_space_release(&space);
	rig_end(&rig);
	machine_end(&machine);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(a_logical_address_is_selector_and_offset),
	        cmocka_unit_test(limits_and_types_are_checked),
	        cmocka_unit_test(privilege_is_checked_when_a_segment_is_loaded),
	        cmocka_unit_test(the_direct_map_has_the_largest_pages_that_fit),
	        cmocka_unit_test(the_32_bit_map_ends_at_low_memory),
	        cmocka_unit_test(a_32_bit_kernel_has_its_data_in_low_memory),
	        cmocka_unit_test(every_address_is_in_its_region),
	        cmocka_unit_test(the_last_gib_is_as_kernels_printed_it),
	        cmocka_unit_test(a_hole_at_the_top_moves_the_rest),
	        cmocka_unit_test(the_rest_of_the_kernel_is_mapped_when_touched),
	        cmocka_unit_test(a_page_comes_at_its_first_touch),
	        cmocka_unit_test(fragmentation_and_want_of_memory_show),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
