/* SPDX-License-Identifier: MIT
 *
 * test_entry_area.c - stacks of a CPU that are no task's: their places, sizes and guards, against addresses that machines printed
 * and the kernel's documentation. Each test names the mistake it would catch.
 */
#include "tests/unit/mmu_rig.h"

#include "sim/entry_area.h"
#include "sim/kernel_map.h"

#include <string.h>

extern const struct translation_ops translation_x86_4level_ops;

#define MIB (1024ull * 1024)

static const struct entry_part *part(const char *name)
{
	const struct entry_part *at = entry_parts;
	while (at->pages > 0 && strcmp(at->name, name) != 0)
		at++;
	assert_true(at->pages > 0);
	return at;
}

static uint64_t address(const char *name, unsigned cpu)
{
	return entry_area(cpu) + (uint64_t)part(name)->area_page * PAGE_SIZE;
}

/*
 * Registers of CPUs 0 and 1 that machine monitors printed: "GDT= fffffe0000001000", "TR =0040 fffffe0000003000 00004087"; "GDT=
 * fffffe000003c000", "TR =0040 fffffe000003e000 00004087". Would catch: an area of another size, a TSS shorter than its limit.
 */
static void areas_are_where_machines_have_them(void **state)
{
	(void)state;
	assert_int_equal(address("gdt_page", 0), 0xfffffe0000001000u);
	assert_int_equal(address("cpu_tss_rw", 0), 0xfffffe0000003000u);
	assert_int_equal(address("gdt_page", 1), 0xfffffe000003c000u);
	assert_int_equal(address("cpu_tss_rw", 1), 0xfffffe000003e000u);
	assert_true(part("cpu_tss_rw")->pages * PAGE_SIZE >= 0x4088);
	assert_int_equal(IRQ_STACK_BYTES, 16 * 1024);
}

/*
 * System.map of 5.19 and of 6.6: cpu_debug_store 1000, irq_stack_backing_store 2000, cpu_tss_rw 6000, gdt_page b000,
 * exception_stacks c000, entry_stack_storage 18000, and behind it 19000. Would catch: two of them in one place, stacks in another
 * order.
 */
static void backing_stores_are_where_system_map_has_them(void **state)
{
	(void)state;
	assert_int_equal(part("cpu_debug_store")->unit_page, 0x1);
	assert_int_equal(IRQ_STACK_PER_CPU_OFFSET, 0x2000);
	assert_int_equal(part("cpu_tss_rw")->unit_page, 0x6);
	assert_int_equal(part("gdt_page")->unit_page, 0xb);
	assert_int_equal(part("DF_stack")->unit_page, 0xc);
	assert_int_equal(part("entry_stack_storage")->unit_page, 0x18);
	assert_int_equal(PER_CPU_PAGE_ALIGNED_END, 0x19000);
	bool used[PER_CPU_PAGE_ALIGNED_END / PAGE_SIZE] = {false};
	for (unsigned page = 2; page < 6; page++)
		used[page] = true;
	for (const struct entry_part *at = entry_parts; at->pages > 0; at++)
		for (unsigned page = at->unit_page; page < at->unit_page + at->pages; page++) {
			assert_false(used[page]);
			used[page] = true;
		}
}

/*
 * Of CPU 1 of a machine: every exception stack has 8 KiB at the frames of its per-CPU data, with a page below that nothing maps;
 * the IRQ stack 16 KiB and a guard page behind. Would catch: a guard that is mapped, another CPU's frames.
 */
static void stacks_have_guards(void **state)
{
	(void)state;
	const struct ram_range ram[] = {{0, 256 * MIB}};
	const struct percpu_sizes sizes = percpu_sizes_x86(true, 212992);
	const char *const stacks[] = {"DF_stack", "NMI_stack", "DB_stack", "MCE_stack"};
	struct percpu_chunk chunk;
	struct layout layout;
	struct rig rig;
	struct kernel_map map;
	enum page_size size;
	percpu_plan(&chunk, &sizes, 2, NULL);
	layout_init(&layout, 64);
	layout_place_per_cpu(&layout, &(struct layout_places){.per_cpu = &chunk, .per_cpu_group = {128 * MIB}});
	layout.irq_stack[0] = 0xffffc90000000000u;
	layout.irq_stack[1] = 0xffffc90000005000u;
	rig_begin(&rig, &translation_x86_4level_ops, 0x100000000000);
	const struct paging_controls controls = rig_controls();
	assert_true(kernel_map_init(&map, &translation_x86_4level_ops, &controls, &rig.memory, &layout, ram, 1));
	kernel_map_entry_areas(&map, 2, true);
	uint64_t unit = 128 * MIB + chunk.unit_bytes;
	for (unsigned i = 0; i < 4; i++) {
		uint64_t at = address(stacks[i], 1);
		assert_int_equal(part(stacks[i])->pages * PAGE_SIZE, EXCEPTION_STACK_BYTES);
		assert_int_equal(page_tables_find(&map.tables, at, &size) & WORD_FRAME, unit + 0xc000 + i * 0x2000);
		assert_int_equal(size, PAGE_4K);
		assert_true(page_tables_find(&map.tables, at + PAGE_SIZE, &size) & WORD_PRESENT);
		assert_int_equal(page_tables_find(&map.tables, at - PAGE_SIZE, &size), 0);
		assert_int_equal(page_tables_find(&map.tables, at + 2 * PAGE_SIZE, &size), 0);
		assert_int_equal(layout_region(&layout, at), REGION_ENTRY_AREA);
	}
	for (unsigned page = 0; page < 4; page++)
		assert_int_equal(page_tables_find(&map.tables, 0xffffc90000005000u + page * PAGE_SIZE, &size) & WORD_FRAME,
		                 unit + 0x2000 + page * PAGE_SIZE);
	assert_int_equal(page_tables_find(&map.tables, 0xffffc90000004000u, &size), 0);
	assert_int_equal(page_tables_find(&map.tables, 0xffffc90000009000u, &size), 0);
	kernel_map_release(&map);
	layout_release(&layout);
	rig_end(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(areas_are_where_machines_have_them),
	        cmocka_unit_test(backing_stores_are_where_system_map_has_them),
	        cmocka_unit_test(stacks_have_guards),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
