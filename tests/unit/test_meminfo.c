/* SPDX-License-Identifier: MIT
 *
 * test_meminfo.c - memory by kind: the kernel's format, and that the kinds add up. Each test names the mistake it would catch.
 */
#include "models/kernel_layout.h"
#include "models/registry.h"
#include "sim/meminfo.h"
#include "tests/unit/test.h"

#include <stdlib.h>
#include <string.h>

#define MIB (1024ull * 1024)

struct rig {
	struct settings settings;
	struct layout layout;
	struct steps steps;
	struct page_allocator *pages;
	struct object_allocator *objects;
	struct virtual_allocator *areas;
};

static void rig_begin(struct rig *rig, unsigned cpus)
{
	struct error error = {0};
	memset(rig, 0, sizeof *rig);
	settings_init(&rig->settings);
	rig->settings.machine.memory_bytes = 0x1ffe0ull << PAGE_SHIFT;
	rig->settings.machine.cpus = cpus;
	rig->settings.kernel.transparent_hugepage = false;
	kernel_layout_init(&rig->layout, &rig->settings, 0);
	steps_init(&rig->steps, false);
	rig->pages =
	        page_allocator_model("buddy", &error)
	                ->create(&(struct page_allocator_wiring){&rig->settings, &rig->layout, &rig->steps, NULL, 1}, &error);
	rig->objects =
	        object_allocator_model("slub", &error)
	                ->create(&(struct object_allocator_wiring){&rig->settings, rig->pages, &rig->layout, &rig->steps, 1},
	                         &error);
	rig->areas = virtual_allocator_model("vmalloc", &error)
	                     ->create(&(struct virtual_allocator_wiring){&rig->settings, rig->pages, rig->objects, &rig->layout,
	                                                                 &rig->steps},
	                              &error);
	assert_non_null(rig->areas);
}

static void rig_end(struct rig *rig)
{
	virtual_allocator_destroy(rig->areas);
	object_allocator_destroy(rig->objects);
	page_allocator_destroy(rig->pages);
	steps_release(&rig->steps);
	layout_release(&rig->layout);
	settings_release(&rig->settings);
}

static struct meminfo read_now(const struct rig *rig)
{
	const struct meminfo_parts parts = {
	        .pages = rig->pages, .objects = rig->objects, .areas = rig->areas, .layout = &rig->layout};
	struct meminfo info;
	meminfo_read(&info, &parts);
	meminfo_check(&info);
	return info;
}

static void expect_line(const struct meminfo *info, const char *line)
{
	char *text = NULL;
	size_t length;
	FILE *out = open_memstream(&text, &length);
	meminfo_print(info, out);
	fclose(out);
	if (!strstr(text, line))
		fail_msg("no line '%s' in\n%s", line, text);
	free(text);
}

/*
 * Lines of a recorded /proc/meminfo of Linux 6.1.192 on 2 CPUs with 512 MiB (125,902 managed pages; Percpu 504 kB: 50 pages of
 * the first chunk and 13 of a second for each of two units). Would catch: other columns, a vmalloc area that is one byte longer,
 * units counted once.
 */
static void lines_are_the_kernels(void **state)
{
	(void)state;
	struct rig rig;
	rig_begin(&rig, 2);
	/* Per-CPU data that fills the first chunk and 13 pages of another. */
	while (layout_per_cpu_chunks(&rig.layout) == 1)
		layout_per_cpu_alloc(&rig.layout, PAGE_SIZE, PAGE_SIZE);
	layout_per_cpu_alloc(&rig.layout, 12 * PAGE_SIZE, PAGE_SIZE);
	struct meminfo info = read_now(&rig);
	expect_line(&info, "Percpu:              504 kB\n");
	expect_line(&info, "VmallocTotal:   34359738367 kB\n");
	expect_line(&info, "VmallocChunk:          0 kB\n");
	info.mem_total = 125902;
	info.mem_free = 489420 / 4;
	info.slab_reclaimable = 2088 / 4;
	info.slab_unreclaimable = 3380 / 4;
	info.kernel_stack = 480 / 4;
	expect_line(&info, "MemTotal:         503608 kB\nMemFree:          489420 kB\n");
	expect_line(&info, "Slab:               5468 kB\nSReclaimable:       2088 kB\nSUnreclaim:         3380 kB\n");
	expect_line(&info, "KernelStack:         480 kB\nPageTables:            0 kB\n");
	rig_end(&rig);
}

/* Closed forms. Would catch: stacks that CPUs keep counted as live, blocks counted twice, large kmallocs that are in no slab. */
static void kinds_are_what_was_asked_for(void **state)
{
	(void)state;
	struct rig rig;
	rig_begin(&rig, 1);
	struct meminfo before = read_now(&rig);
	assert_int_equal(before.other, 0);
	assert_int_equal(before.percpu, 50);
	assert_int_equal(before.kernel_stack, 0);
	pfn block = page_alloc(rig.pages, 3, GFP_KERNEL, 0);
	const struct virtual_request stack = {.call = CALL_THREAD_STACK};
	struct virtual_area first = virtual_get(rig.areas, &stack, 0), second = virtual_get(rig.areas, &stack, 0);
	struct virtual_area area = virtual_alloc(rig.areas, 3 * PAGE_SIZE, 0);
	struct object large = object_kmalloc(rig.objects, 64 * 1024, GFP_KERNEL, 0);
	struct meminfo now = read_now(&rig);
	assert_int_equal(now.other, 8);
	assert_int_equal(now.kernel_stack, 8);
	assert_int_equal(now.vmalloc_used, 8 + 3);
	assert_true(now.slab_unreclaimable >= before.slab_unreclaimable + 16);
	virtual_put(rig.areas, first.at, &stack, 0);
	struct meminfo after = read_now(&rig);
	assert_int_equal(after.kernel_stack, 4);
	assert_int_equal(after.vmalloc_used, 8 + 3); /* the CPU keeps it */
	virtual_put(rig.areas, second.at, &stack, 0);
	virtual_free(rig.areas, area.at, 0);
	object_kfree(rig.objects, large.at, 0);
	page_free(rig.pages, block, 3, 0);
	assert_int_equal(read_now(&rig).other, 0);
	rig_end(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(lines_are_the_kernels),
	        cmocka_unit_test(kinds_are_what_was_asked_for),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
