/* SPDX-License-Identifier: MIT
 *
 * test_kernel_layout.c - the kernel's map of a described machine: which paging mode has which addresses. Each test names the
 * mistake it would catch.
 */
#include "models/kernel_layout.h"
#include "models/settings.h"
#include "models/virtual_allocator/kmap.h"
#include "sim/kernel_map.h"
#include "sim/port/user_memory.h"
#include "sim/port/virtual_allocator.h"
#include "tests/unit/mmu_rig.h"

#include <stdlib.h>
#include <string.h>

#define MIB (1024ull * 1024)

extern const struct translation_ops translation_x86_4level_ops, translation_x86_5level_ops, translation_x86_32_ops;
struct virtual_allocator *virtual_allocator_vmalloc_create(const struct virtual_allocator_wiring *wiring, struct error *error);
struct virtual_allocator *virtual_allocator_ideal_create(const struct virtual_allocator_wiring *wiring, struct error *error);

static void describe(struct settings *settings, const char *paging)
{
	settings_init(settings);
	settings->machine.memory_bytes = 512 * MIB;
	settings->machine.cpus = 2;
	free(settings->machine.paging);
	settings->machine.paging = xstrdup(paging);
}

/*
 * Documentation/x86/x86_64/mm.rst of Linux 6.1, both tables. Would catch: a map of 4 levels under LA57, a map of 5 levels on a
 * machine that does not page so, regions below that the modes share and that moved.
 */
static void the_paging_mode_decides_the_map(void **state)
{
	(void)state;
	static const struct {
		const char *paging;
		uint64_t user_last, direct_map, vmalloc_first, vmalloc_last, vmemmap;
	} maps[] = {{"auto", 0x00007fffffffffff, 0xffff888000000000, 0xffffc90000000000, 0xffffe8ffffffffff, 0xffffea0000000000},
	            {"x86_4level", 0x00007fffffffffff, 0xffff888000000000, 0xffffc90000000000, 0xffffe8ffffffffff,
	             0xffffea0000000000},
	            {"ideal", 0x00007fffffffffff, 0xffff888000000000, 0xffffc90000000000, 0xffffe8ffffffffff, 0xffffea0000000000},
	            {"x86_5level", 0x00ffffffffffffff, 0xff11000000000000, 0xffa0000000000000, 0xffd1ffffffffffff,
	             0xffd4000000000000}};
	for (size_t i = 0; i < sizeof maps / sizeof maps[0]; i++) {
		struct settings settings;
		struct layout layout;
		describe(&settings, maps[i].paging);
		kernel_layout_init(&layout, &settings, 0);
		assert_int_equal(layout_span_of(&layout, REGION_USER)->last, maps[i].user_last);
		assert_int_equal(layout_page_address(&layout, pfn_of(1)).addr, maps[i].direct_map + PAGE_SIZE);
		assert_int_equal(layout_span_of(&layout, REGION_VMALLOC)->first, maps[i].vmalloc_first);
		assert_int_equal(layout_span_of(&layout, REGION_VMALLOC)->last, maps[i].vmalloc_last);
		assert_int_equal(layout_struct_page(&layout, pfn_of(1)).addr, maps[i].vmemmap + 64);
		assert_int_equal(layout_span_of(&layout, REGION_ENTRY_AREA)->first, 0xfffffe0000000000u);
		assert_int_equal(layout_span_of(&layout, REGION_TEXT)->first, 0xffffffff80000000u);
		assert_int_equal(layout_span_of(&layout, REGION_MODULES)->first, 0xffffffffa0000000u);
		/* The first chunk lies in the direct map, further ones end where vmalloc does: a published 0xffffe8ffffe00000. */
		assert_in_range(layout.per_cpu, maps[i].direct_map, maps[i].direct_map + 512 * MIB);
		assert_int_equal(layout.per_cpu_chunks_end, (maps[i].vmalloc_last + 1) - 2 * MIB);
		layout_release(&layout);
		settings_release(&settings);
	}
}

/*
 * Beside a recorded state the map is the recorded kernel's. Would catch: objects of a 4-level kernel's state in a map of 5 levels
 * because the machine would page so, and the other way round.
 */
static void a_recorded_kernel_keeps_its_map(void **state)
{
	(void)state;
	struct settings settings;
	struct layout layout;
	describe(&settings, "x86_5level");
	kernel_layout_init(&layout, &settings, 0xffff9a4380000000u); /* with KASLR */
	assert_int_equal(layout.direct_map, 0xffff9a4380000000u);
	assert_int_equal(layout_span_of(&layout, REGION_VMALLOC)->first, 0xffffc90000000000u);
	layout_release(&layout);
	settings_release(&settings);
	describe(&settings, "auto");
	kernel_layout_init(&layout, &settings, 0xff11000000000000u);
	assert_int_equal(layout_span_of(&layout, REGION_VMALLOC)->first, 0xffa0000000000000u);
	layout_release(&layout);
	settings_release(&settings);
}

/* Would catch: areas of a virtual allocator that keeps the addresses of 4 levels. */
static void areas_begin_where_the_map_has_them(void **state)
{
	(void)state;
	struct virtual_allocator *(*const create[])(const struct virtual_allocator_wiring *, struct error *) = {
	        virtual_allocator_vmalloc_create, virtual_allocator_ideal_create};
	for (unsigned model = 0; model < 2; model++)
		for (unsigned five = 0; five < 2; five++) {
			struct settings settings;
			struct layout layout;
			struct steps steps;
			struct error error = {0};
			describe(&settings, five ? "x86_5level" : "x86_4level");
			kernel_layout_init(&layout, &settings, 0);
			steps_init(&steps, false);
			const struct virtual_allocator_wiring wiring = {
			        .settings = &settings, .layout = &layout, .steps = &steps};
			struct virtual_allocator *areas = create[model](&wiring, &error);
			assert_non_null(areas);
			struct virtual_area area = virtual_alloc(areas, 1, 0);
			assert_int_equal(area.result, VIRTUAL_ALLOC_OK);
			assert_int_equal(area.at.addr, five ? 0xffa0000000000000u : 0xffffc90000000000u);
			assert_int_equal(virtual_free(areas, area.at, 0), VIRTUAL_FREE_OK);
			virtual_allocator_check(areas);
			virtual_allocator_destroy(areas);
			layout_release(&layout);
			settings_release(&settings);
		}
}

/*
 * TASK_SIZE_MAX and DEFAULT_MAP_WINDOW of arch/x86/include/asm/page_64_types.h: with 5 levels a program that asks for it gets
 * addresses of 56 bits, but its stack stays below 47. Would catch: a stack that moves with the levels.
 */
static void programs_begin_below_47_bits(void **state)
{
	(void)state;
	assert_int_equal(user_end_of(&translation_x86_4level_ops), 0x00007ffffffff000u);
	assert_int_equal(user_end_of(&translation_x86_5level_ops), 0x00fffffffffff000u);
	assert_int_equal(user_stack_end(user_end_of(&translation_x86_4level_ops)), 0x00007ffffffff000u);
	assert_int_equal(user_stack_end(user_end_of(&translation_x86_5level_ops)), 0x00007ffffffff000u);
}

/*
 * percpu_alloc=page: per-CPU data of each CPU at the start of vmalloc's range, page by page in descending frames, through tables
 * at the boot's frames; the first area of vmalloc() lies behind it and uses the same table; further chunks end a page below
 * VMALLOC_END. A published 3.x log has "PERCPU: 32 4K pages/cpu @ffffc90000000000". Would catch: units in the direct map, pages
 * of another size or order, an area over them, one that can be freed.
 */
static void per_cpu_data_by_pages_is_an_early_area(void **state)
{
	(void)state;
	const uint64_t start = 0xffffc90000000000u, unit = 46 * PAGE_SIZE;
	const struct ram_range ram = {0, 512 * MIB};
	const struct paging_controls controls = rig_controls();
	struct settings settings;
	struct layout layout;
	struct steps steps;
	struct kernel_map map;
	struct rig rig;
	struct error error = {0};
	enum page_size size;
	char *text = NULL;
	size_t length;
	describe(&settings, "x86_4level");
	settings.kernel.percpu_alloc = PERCPU_ALLOC_PAGE;
	kernel_layout_init(&layout, &settings, 0);
	assert_int_equal(layout_per_cpu(&layout, 0, 0).addr, start);
	assert_int_equal(layout_per_cpu(&layout, 8, 1).addr, start + unit + 8);
	assert_int_equal(layout_region(&layout, start + 2 * unit - 1), REGION_PER_CPU);
	assert_int_equal(layout_region(&layout, start + 2 * unit), REGION_VMALLOC);
	assert_int_equal(layout.per_cpu_chunks_end, 0xffffe8fffffff000u);
	rig_begin(&rig, &translation_x86_4level_ops, 0x100000000000);
	assert_true(kernel_map_init(&map, &translation_x86_4level_ops, &controls, &rig.memory, &layout, &ram, 1));
	uint64_t frame = page_tables_find(&map.tables, start, &size) & WORD_FRAME;
	assert_int_equal(size, PAGE_4K);
	assert_int_equal(frame, layout_per_cpu_physical(&layout, 0, 0));
	for (uint64_t page = 1; page < 2 * 46; page++)
		assert_int_equal(page_tables_find(&map.tables, start + page * PAGE_SIZE, &size) & WORD_FRAME,
		                 frame - page * PAGE_SIZE);
	assert_int_equal(page_tables_find(&map.tables, start + 2 * unit, &size), 0);
	/* The walk's last reference is of the table that the boot took behind the pages. */
	walker_load_root(&rig.walker, map.tables.root, 0);
	uint64_t table = (uint64_t)layout_table_frame(&layout, start, 21).nr << PAGE_SHIFT;
	assert_int_equal(table, frame - (2 * 46 + 2) * PAGE_SIZE);
	static const char *const lines[] = {"dtlb entries=64 ways=4 serves=data", NULL};
	struct access out[2 * MMU_ROOM];
	rig_tlbs(&rig, lines, false, true);
	size_t made = rig_access(&rig, ACCESS_LOAD, start + unit, 8, out, 2 * MMU_ROOM);
	assert_int_equal(made, 5);
	assert_int_equal(out[3].address, table + 46 * 8);
	assert_int_equal(out[4].address, frame - unit);
	steps_init(&steps, false);
	const struct virtual_allocator_wiring wiring = {.settings = &settings, .layout = &layout, .steps = &steps};
	struct virtual_allocator *areas = virtual_allocator_vmalloc_create(&wiring, &error);
	struct virtual_area area = virtual_alloc(areas, 1, 0);
	assert_int_equal(area.at.addr, start + 2 * unit);
	assert_int_equal(areas->ops->table_frame(areas, start, 21).nr, UINT32_MAX); /* no pages are modelled here */
	FILE *info = open_memstream(&text, &length);
	areas->ops->print_info(areas, info);
	fclose(info);
	const char *expected = "0xffffc90000000000-0xffffc9000005c000  376832 vmalloc\n";
	assert_true(strncmp(text, expected, strlen(expected)) == 0);
	free(text);
	assert_int_equal(virtual_free(areas, vaddr_of(start), 0), VIRTUAL_FREE_WRONG_CALL);
	assert_int_equal(virtual_free(areas, area.at, 0), VIRTUAL_FREE_OK);
	virtual_allocator_check(areas);
	virtual_allocator_destroy(areas);
	kernel_map_check(&map);
	kernel_map_release(&map);
	rig_end(&rig);
	layout_release(&layout);
	settings_release(&settings);
}

/* What steps write to in a page. */
static uint64_t entry_written(const struct steps *steps, uint64_t page)
{
	uint64_t entry = 0;
	for (uint32_t i = 0; i < steps->count; i++)
		if (steps->at[i].kind == STEP_WRITE && steps->at[i].address >> PAGE_SHIFT == page >> PAGE_SHIFT)
			entry = steps->at[i].address;
	return entry;
}

/*
 * What kmap() and kmap_local_page() write is what a walk reads next: the boot's table, in the direct map. Would catch: tables of
 * the steps elsewhere than those of the walks, local slots that count upward, entries of the wrong size.
 */
static void slots_are_written_where_walks_read_them(void **state)
{
	(void)state;
	static const char *const lines[] = {"dtlb entries=64 ways=4 serves=data", NULL};
	const struct ram_range ram = {0, 1024 * MIB};
	struct paging_controls controls = rig_controls();
	struct settings settings;
	struct layout layout;
	struct steps steps;
	struct kernel_map map;
	struct rig rig;
	struct access out[2 * MMU_ROOM];
	vaddr slot[2];
	describe(&settings, "x86_32");
	settings.machine.memory_bytes = 1024 * MIB;
	settings.machine.architecture = ARCHITECTURE_X86_32;
	settings.kernel.page_struct_bytes = 32;
	settings.kernel.nr_cpus = 4;
	kernel_layout_init(&layout, &settings, 0);
	steps_init(&steps, true);
	steps.maps = true;
	struct page_mapper *mapper =
	        page_mapper_kmap_create(&(struct page_mapper_wiring){.settings = &settings, .layout = &layout, .steps = &steps});
	rig_begin(&rig, &translation_x86_32_ops, 0x80000000);
	assert_true(kernel_map_init(&map, &translation_x86_32_ops, &controls, &rig.memory, &layout, &ram, 1));
	kernel_map_tell_areas(&map, NULL);
	walker_load_root(&rig.walker, map.tables.root, 0);
	rig_tlbs(&rig, lines, false, true);
	for (unsigned local = 0; local < 2; local++) {
		const pfn frame = pfn_of(layout.direct_map_frames + 7 + local);
		const uint64_t table = 0xc0000000u + (local ? 0x13b3000u : 0x13fd000u);
		assert_int_equal(local ? kmap_local((struct kmap *)mapper, frame, 0, &slot[1])
		                       : kmap_page((struct kmap *)mapper, frame, 0, &slot[0]),
		                 PAGE_MAP_OK);
		const uint64_t entry = entry_written(&steps, table);
		assert_int_equal(entry, table + (slot[local].addr >> PAGE_SHIFT & 1023) * 4);
		kernel_map_remap_all(&map, &steps);
		steps_clear(&steps);
		size_t made = rig_access(&rig, ACCESS_LOAD, slot[local].addr, 4, out, 2 * MMU_ROOM);
		assert_int_equal(made, 3);
		assert_int_equal(out[1].address, entry - 0xc0000000u);
		assert_int_equal(out[2].address, (uint64_t)frame.nr << PAGE_SHIFT);
	}
	assert_int_equal(kunmap_local((struct kmap *)mapper, slot[1], 0), PAGE_UNMAP_OK);
	assert_int_equal(kunmap_page((struct kmap *)mapper, pfn_of(layout.direct_map_frames + 7)), PAGE_UNMAP_OK);
	page_mapper_destroy(mapper);
	kernel_map_release(&map);
	rig_end(&rig);
	steps_release(&steps);
	layout_release(&layout);
	settings_release(&settings);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(the_paging_mode_decides_the_map),
	        cmocka_unit_test(a_recorded_kernel_keeps_its_map),
	        cmocka_unit_test(areas_begin_where_the_map_has_them),
	        cmocka_unit_test(programs_begin_below_47_bits),
	        cmocka_unit_test(per_cpu_data_by_pages_is_an_early_area),
	        cmocka_unit_test(slots_are_written_where_walks_read_them),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
