/* SPDX-License-Identifier: MIT
 *
 * test_kernel_layout.c - the kernel's map of a described machine: which paging mode has which addresses. Each test names the
 * mistake it would catch.
 */
#include "models/kernel_layout.h"
#include "models/settings.h"
#include "sim/port/user_memory.h"
#include "sim/port/virtual_allocator.h"
#include "tests/unit/test.h"

#include <stdlib.h>
#include <string.h>

#define MIB (1024ull * 1024)

extern const struct translation_ops translation_x86_4level_ops, translation_x86_5level_ops;
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

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(the_paging_mode_decides_the_map),
	        cmocka_unit_test(a_recorded_kernel_keeps_its_map),
	        cmocka_unit_test(areas_begin_where_the_map_has_them),
	        cmocka_unit_test(programs_begin_below_47_bits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
