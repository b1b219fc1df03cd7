/* SPDX-License-Identifier: MIT
 *
 * test_published.c - facts that documents about real machines give: what memory maps cost, where zones end, how far kmalloc goes,
 * and what wrong calls must come to. Each allocator stands on the buddy model of a described x86-64 machine.
 *
 * Kept elsewhere: the order of 166 caches (test_slub_geometry.c), /proc/buddyinfo read and printed (test_procfs.c), buddyinfo and
 * the 166 caches' occupancy as a start (test_start_slabs.c), nesting of kmap_local and kmap with all slots taken (test_kmap.c).
 */
#include "models/registry.h"
#include "models/settings.h"
#include "models/virtual_allocator/vmalloc.h"
#include "tests/unit/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MIB (1ull << 20)
#define GIB (1ull << 30)

struct machine {
	struct settings settings;
	struct layout layout;
	struct steps steps;
	struct page_allocator *pages;
	struct object_allocator *objects; /* NULL without one */
};

static struct machine *machine_open_as(const char *objects, uint64_t memory_bytes, enum architecture architecture,
                                       uint32_t page_struct_bytes)
{
	struct machine *machine = xcalloc(1, sizeof *machine);
	struct error error = {0};
	settings_init(&machine->settings);
	machine->settings.kernel.init_on_alloc = false;
	machine->settings.machine.cpus = 1;
	machine->settings.machine.memory_bytes = memory_bytes;
	machine->settings.machine.architecture = architecture;
	machine->settings.kernel.page_struct_bytes = page_struct_bytes;
	layout_init(&machine->layout, page_struct_bytes);
	if (architecture == ARCHITECTURE_X86_32) {
		machine->settings.kernel.lowmem_bytes = 896 * MIB; /* of the books, whose kernels had fewer fixed maps */
		const struct layout_32bit places = settings_layout_32bit(&machine->settings);
		layout_set_32bit(&machine->layout, &places);
	}
	steps_init(&machine->steps, false);
	struct page_allocator_wiring wiring = {&machine->settings, &machine->layout, &machine->steps, NULL, 1};
	machine->pages = page_allocator_model("buddy", &error)->create(&wiring, &error);
	if (machine->pages && objects) {
		struct object_allocator_wiring above = {&machine->settings, machine->pages, &machine->layout, &machine->steps, 1};
		machine->objects = object_allocator_model(objects, &error)->create(&above, &error);
	}
	if (!machine->pages || (objects && !machine->objects))
		fail_msg("%s", error.text);
	return machine;
}

static struct machine *machine_open(const char *objects, uint64_t memory_bytes)
{
	return machine_open_as(objects, memory_bytes, ARCHITECTURE_X86_64, 64);
}

static void machine_close(struct machine *machine)
{
	if (machine->objects)
		object_allocator_check(machine->objects);
	page_allocator_check(machine->pages);
	object_allocator_destroy(machine->objects);
	page_allocator_destroy(machine->pages);
	steps_release(&machine->steps);
	layout_release(&machine->layout);
	settings_release(&machine->settings);
	free(machine);
}

static uint64_t memmap_bytes(uint32_t page_struct_bytes, uint64_t memory_bytes)
{
	struct layout layout;
	layout_init(&layout, page_struct_bytes);
	uint32_t end = (uint32_t)(memory_bytes / PAGE_SIZE);
	uint64_t bytes = layout_struct_page(&layout, pfn_of(end)).addr - layout_struct_page(&layout, pfn_of(0)).addr;
	layout_release(&layout);
	return bytes;
}

/* 64 bytes for each of the 2 Mi frames of 8 GiB are 128 MiB, 1.5 %; 40 bytes and 128 MiB are about 1 MiB. Catches a memory map
 * with gaps or of another size than the setting says. */
static void memory_maps(void **state)
{
	(void)state;
	assert_int_equal(8 * GIB / PAGE_SIZE, 2u << 20);
	assert_int_equal(memmap_bytes(64, 8 * GIB), 128 * MIB);
	assert_int_equal(memmap_bytes(64, 8 * GIB) * 1000 / (8 * GIB), 15);
	assert_int_equal(memmap_bytes(40, 128 * MIB), 32768 * 40);
	/* The memory map is memory the page allocator never gets. */
	struct machine *machine = machine_open(NULL, 8 * GIB);
	assert_true(machine->pages->managed_pages <= (8 * GIB - 128 * MIB) / PAGE_SIZE);
	machine_close(machine);
	struct machine *narrow = machine_open_as(NULL, 128 * MIB, ARCHITECTURE_X86_32, 32);
	struct machine *wide = machine_open_as(NULL, 128 * MIB, ARCHITECTURE_X86_32, 40);
	assert_int_equal(narrow->pages->managed_pages - wide->pages->managed_pages, 32768 * (40 - 32) / PAGE_SIZE);
	machine_close(narrow);
	machine_close(wide);
}

/* x86-64: DMA ends at 16 MiB, DMA32 at 4 GiB, NORMAL has the rest. Catches a zone that begins or ends elsewhere, and a request
 * served from above its zone. */
static void zones_of_x86_64(void **state)
{
	(void)state;
	struct machine *machine = machine_open(NULL, 8 * GIB);
	static const struct {
		const char *name;
		uint64_t end;
	} expected[] = {{"DMA", 16 * MIB}, {"DMA32", 4 * GIB}, {"Normal", 8 * GIB}};
	struct zone_view view;
	for (unsigned i = 0; i < 3; i++) {
		machine->pages->ops->zone_view(machine->pages, i, &view);
		assert_string_equal(view.name, expected[i].name);
		assert_true(view.managed > 0);
		/* Memory above 4 GiB begins behind the hole for devices: Normal's end is that much higher. */
		uint64_t end = (view.start_pfn + view.spanned) * PAGE_SIZE;
		assert_true(i < 2 ? end == expected[i].end : end >= expected[i].end);
		assert_true(i == 0 || view.start_pfn * PAGE_SIZE == expected[i - 1].end);
	}
	for (unsigned i = 0; i < 1000; i++) {
		assert_true(page_alloc(machine->pages, 0, GFP_KERNEL | __GFP_DMA, 0).nr < 16 * MIB / PAGE_SIZE);
		assert_true(page_alloc(machine->pages, 0, GFP_KERNEL | __GFP_DMA32, 0).nr < 4 * GIB / PAGE_SIZE);
	}
	machine_close(machine);
}

/* x86-32: DMA ends at 16 MiB, NORMAL at 896 MiB, HIGHMEM has the rest; the kernel has the last of 4 GiB of addresses. Catches a
 * zone that begins or ends elsewhere, and an object in memory that has no address. */
static void zones_of_x86_32(void **state)
{
	struct machine *machine = machine_open_as(*state, 2 * GIB, ARCHITECTURE_X86_32, 32);
	static const struct {
		const char *name;
		uint64_t end;
	} expected[] = {{"DMA", 16 * MIB}, {"Normal", 896 * MIB}, {"HighMem", 2 * GIB}};
	struct zone_view view;
	for (unsigned i = 0; i < 3; i++) {
		machine->pages->ops->zone_view(machine->pages, i, &view);
		assert_string_equal(view.name, expected[i].name);
		assert_true(view.managed > 0);
		assert_int_equal((view.start_pfn + view.spanned) * PAGE_SIZE, expected[i].end);
		assert_true(i == 0 || view.start_pfn * PAGE_SIZE == expected[i - 1].end);
	}
	assert_int_equal(view.managed, view.present); /* nothing of the kernel's lies in high memory */
	for (unsigned i = 0; i < 10000; i++) {
		vaddr at = object_kmalloc(machine->objects, 1 + i * 7 % 20000, GFP_KERNEL, 0).at;
		assert_true(at.addr >= 3 * GIB && at.addr < 3 * GIB + 896 * MIB);
	}
	assert_true(page_alloc(machine->pages, 0, GFP_HIGHUSER_MOVABLE, 0).nr >= 896 * MIB / PAGE_SIZE);
	assert_int_equal(layout_pfn_of(&machine->layout, vaddr_of(3 * GIB + 896 * MIB)).nr, PFN_NONE.nr);
	machine_close(machine);
}

/* kmalloc of 1, 2, 4 ... bytes succeeds up to 4,194,304; 8,388,608 fails. Catches another limit, and a limit that leaks pages. */
static void kmalloc_doubles_up_to_4_mib(void **state)
{
	struct machine *machine = machine_open(*state, 512 * MIB);
	for (uint32_t size = 1; size <= 4194304; size *= 2) {
		struct object object = object_kmalloc(machine->objects, size, GFP_KERNEL, 0);
		assert_true(object.at.addr > ZERO_SIZE_PTR.addr);
		assert_true(machine->objects->ops->ksize(machine->objects, object.at) >= size);
		assert_int_equal(object_kfree(machine->objects, object.at, 0), OBJECT_FREE_OK);
	}
	uint64_t pages = machine->pages->allocated_pages;
	assert_int_equal(object_kmalloc(machine->objects, 8388608, GFP_KERNEL, 0).at.addr, 0);
	assert_int_equal(machine->pages->allocated_pages, pages);
	machine_close(machine);
}

static void assert_doubles(struct machine *machine, uint64_t last_ok, enum virtual_alloc_result then)
{
	struct error error = {0};
	struct virtual_allocator_wiring wiring = {.settings = &machine->settings,
	                                          .pages = machine->pages,
	                                          .objects = machine->objects,
	                                          .layout = &machine->layout,
	                                          .steps = &machine->steps};
	struct virtual_allocator *areas = virtual_allocator_vmalloc_create(&wiring, &error);
	assert_non_null(areas);
	for (uint64_t size = 1; size <= last_ok; size *= 2) {
		struct virtual_area area = virtual_alloc(areas, size, 0);
		if (area.result != VIRTUAL_ALLOC_OK)
			fail_msg("vmalloc of %llu bytes: result %d", (unsigned long long)size, area.result);
		assert_int_equal(virtual_free(areas, area.at, 0), VIRTUAL_FREE_OK);
	}
	uint64_t pages = machine->pages->allocated_pages;
	assert_int_equal(virtual_alloc(areas, 2 * last_ok, 0).result, then);
	/* Pages of its own tables may stay, none of the area's. */
	assert_true(machine->pages->allocated_pages - pages < 64);
	areas->ops->check(areas);
	areas->ops->destroy(areas);
}

/* vmalloc of 1, 2, 4 ... bytes on a machine of 8 GiB: 4,294,967,296 succeeds, 8,589,934,592 "exceeds total pages". The recorded
 * machines (vmalloc_pow2): 512 MiB: 256 MiB and not 512; i386 with 1 GiB: 64 MiB, and not 128, for want of addresses. Catches a
 * limit on memory that is free instead of memory there is, and an area of 32 bits that reaches beyond its range. */
static void vmalloc_doubles_up_to_the_memory(void **state)
{
	struct machine *machine = machine_open(*state, 8 * GIB);
	assert_doubles(machine, 4 * GIB, VIRTUAL_ALLOC_EXCEEDS_TOTAL);
	machine_close(machine);
	machine = machine_open(*state, 0x1ffe0ull << PAGE_SHIFT);
	assert_doubles(machine, 256 * MIB, VIRTUAL_ALLOC_EXCEEDS_TOTAL);
	machine_close(machine);
	machine = machine_open_as(*state, 0x3ffe0ull << PAGE_SHIFT, ARCHITECTURE_X86_32, 32);
	assert_doubles(machine, 64 * MIB, VIRTUAL_ALLOC_NO_SPACE);
	machine_close(machine);
}

/* Taken with order 2, given back with order 3: told, and the block is as it was. Catches a merge of somebody else's frames. */
static void order_2_given_back_as_order_3(void **state)
{
	(void)state;
	struct machine *machine = machine_open(NULL, 512 * MIB);
	pfn block = page_alloc(machine->pages, 2, GFP_KERNEL, 0);
	uint64_t allocated = machine->pages->allocated_pages;
	assert_int_equal(page_free(machine->pages, block, 3, 0), PAGE_FREE_WRONG_ORDER);
	assert_int_equal(page_free(machine->pages, pfn_of(block.nr + 1), 0, 0), PAGE_FREE_NOT_HEAD);
	assert_int_equal(machine->pages->allocated_pages, allocated);
	page_allocator_check(machine->pages);
	assert_int_equal(page_free(machine->pages, block, 2, 0), PAGE_FREE_OK);
	assert_int_equal(page_free(machine->pages, block, 2, 0), PAGE_FREE_NOT_ALLOCATED);
	machine_close(machine);
}

/* Free of what is free, or of another owner, is told; kfree(NULL) does nothing. Catches a double free that goes through. */
static void wrong_frees(void **state)
{
	struct machine *machine = machine_open(*state, 512 * MIB);
	struct cache_spec spec = {.name = "one", .object_size = 200, .ctor = true},
	                  other = {.name = "two", .object_size = 300, .ctor = true};
	cache_id one = cache_create(machine->objects, &spec), two = cache_create(machine->objects, &other);
	vaddr object = cache_alloc(machine->objects, one, GFP_KERNEL, 0).at;
	vaddr large = object_kmalloc(machine->objects, 1u << 20, GFP_KERNEL, 0).at;
	assert_int_equal(cache_free(machine->objects, two, object, 0), OBJECT_FREE_WRONG_CACHE);
	assert_int_equal(cache_free(machine->objects, one, object, 0), OBJECT_FREE_OK);
	assert_int_not_equal(cache_free(machine->objects, one, object, 0), OBJECT_FREE_OK);
	assert_int_equal(object_kfree(machine->objects, large, 0), OBJECT_FREE_OK);
	assert_int_not_equal(object_kfree(machine->objects, large, 0), OBJECT_FREE_OK);
	uint64_t live = machine->objects->live_objects, pages = machine->pages->allocated_pages;
	assert_int_equal(object_kfree(machine->objects, VADDR_NULL, 0), OBJECT_FREE_OK);
	assert_int_equal(machine->objects->live_objects, live);
	assert_int_equal(machine->pages->allocated_pages, pages);
	machine_close(machine);
}

/* kmem_cache_destroy() while objects live is refused, and they can still be freed. Catches memory given away under its owner. */
static void destroyed_while_objects_live(void **state)
{
	struct machine *machine = machine_open(*state, 512 * MIB);
	struct cache_spec spec = {.name = "one", .object_size = 200, .ctor = true};
	cache_id one = cache_create(machine->objects, &spec);
	vaddr object = cache_alloc(machine->objects, one, GFP_KERNEL, 0).at;
	assert_false(cache_destroy(machine->objects, one, 0));
	object_allocator_check(machine->objects);
	assert_int_equal(cache_free(machine->objects, one, object, 0), OBJECT_FREE_OK);
	machine_close(machine);
}

/* Whether a recorded write covers these bytes. */
static bool writes_all(const struct steps *steps, uint64_t address, uint32_t bytes)
{
	for (uint32_t i = 0; i < steps->count; i++) {
		const struct step *step = &steps->at[i];
		if (step->kind == STEP_WRITE && step->address <= address && step->address + step->bytes >= address + bytes)
			return true;
	}
	return false;
}

/* kzalloc: the zeroing is a write of the whole object. Catches zeroed memory that costs nothing. */
static void zeroing_is_written(void **state)
{
	struct machine *machine = machine_open(*state, 512 * MIB);
	object_kmalloc(machine->objects, 2000, GFP_KERNEL, 0); /* the next ones find a slab */
	machine->steps.recording = true;
	for (unsigned zero = 0; zero < 2; zero++) {
		steps_clear(&machine->steps);
		vaddr at = object_kmalloc(machine->objects, 2000, GFP_KERNEL | (zero ? __GFP_ZERO : 0), 0).at;
		assert_int_equal(writes_all(&machine->steps, at.addr, 2000), zero);
	}
	machine->steps.recording = false;
	machine_close(machine);
}

/* get_zeroed_page: a page is written whole. */
static void zeroed_pages_are_written(void **state)
{
	(void)state;
	struct machine *machine = machine_open(NULL, 512 * MIB);
	machine->steps.recording = true;
	for (unsigned zero = 0; zero < 2; zero++) {
		steps_clear(&machine->steps);
		pfn frame = page_alloc(machine->pages, 0, GFP_KERNEL | (zero ? __GFP_ZERO : 0), 0);
		vaddr at = layout_page_address(&machine->layout, frame);
		assert_int_equal(writes_all(&machine->steps, at.addr, PAGE_SIZE), zero);
	}
	machine->steps.recording = false;
	machine_close(machine);
}

static char *const kernels[] = {"slub", "slab", "slob"};

#define FOR_EACH_KERNEL(test) \
	{#test ": slub", test, NULL, NULL, kernels[0]}, {#test ": slab", test, NULL, NULL, kernels[1]}, \
	{ \
#test ": slob", test, NULL, NULL, kernels[2] \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(memory_maps),
	        cmocka_unit_test(zones_of_x86_64),
	        cmocka_unit_test(zeroed_pages_are_written),
	        cmocka_unit_test(order_2_given_back_as_order_3),
	        FOR_EACH_KERNEL(zones_of_x86_32),
	        FOR_EACH_KERNEL(kmalloc_doubles_up_to_4_mib),
	        cmocka_unit_test_prestate(vmalloc_doubles_up_to_the_memory, kernels[0]),
	        FOR_EACH_KERNEL(wrong_frees),
	        FOR_EACH_KERNEL(destroyed_while_objects_live),
	        FOR_EACH_KERNEL(zeroing_is_written),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
