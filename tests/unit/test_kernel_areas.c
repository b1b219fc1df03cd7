/* SPDX-License-Identifier: MIT
 *
 * test_kernel_areas.c - areas of the vmalloc range in the kernel's page tables: what the virtual allocator decides is what a page
 * walk finds, at the frames that it took.
 */
#include "tests/unit/mmu_rig.h"

#include "models/settings.h"
#include "sim/kernel_map.h"
#include "sim/port/virtual_allocator.h"

#define START 0xffffc90000000000u /* VMALLOC_START without KASLR */
#define MIB (1ull << 20)
#define AREA_PAGES_MAX 2048

extern const struct translation_ops translation_x86_4level_ops, translation_x86_5level_ops;
struct page_allocator *page_allocator_buddy_create(const struct page_allocator_wiring *wiring, struct error *error);
struct virtual_allocator *virtual_allocator_vmalloc_create(const struct virtual_allocator_wiring *wiring, struct error *error);
struct virtual_allocator *virtual_allocator_ideal_create(const struct virtual_allocator_wiring *wiring, struct error *error);

static const char *const tlb_lines[] = {"dtlb entries=64 ways=4 serves=data", "dtlb_2m entries=32 ways=4 pages=2M serves=data",
                                        "itlb entries=64 ways=4 pages=4K+2M serves=code", NULL};

struct world {
	struct settings settings;
	struct layout layout;
	struct steps steps;
	struct page_allocator *pages;
	struct virtual_allocator *areas;
	struct kernel_map map;
	struct rig rig;
};

static uint64_t frame_of_table(const void *context, uint64_t linear, unsigned shift)
{
	const struct virtual_allocator *areas = context;
	pfn frame = areas->ops->table_frame ? areas->ops->table_frame(areas, linear, shift) : PFN_NONE;
	return frame.nr == UINT32_MAX ? FRAME_NONE : (uint64_t)frame.nr << PAGE_SHIFT;
}

static void begin_paged(struct world *world, bool is_ideal, const struct translation_ops *mode)
{
	struct error error = {0};
	const struct ram_range ram = {0, 64 * MIB};
	memset(world, 0, sizeof *world);
	settings_init(&world->settings);
	world->settings.machine.memory_bytes = 64 * MIB;
	world->settings.machine.cpus = 1;
	layout_init(&world->layout, 64);
	if (mode == &translation_x86_5level_ops)
		layout_set_5level(&world->layout);
	steps_init(&world->steps, true);
	world->steps.maps = true;
	world->pages = page_allocator_buddy_create(
	        &(struct page_allocator_wiring){
	                .settings = &world->settings, .layout = &world->layout, .steps = &world->steps, .seed = 1},
	        &error);
	const struct virtual_allocator_wiring wiring = {
	        .settings = &world->settings, .pages = world->pages, .layout = &world->layout, .steps = &world->steps};
	world->areas =
	        is_ideal ? virtual_allocator_ideal_create(&wiring, &error) : virtual_allocator_vmalloc_create(&wiring, &error);
	assert_non_null(world->areas);
	rig_begin(&world->rig, mode, 0x100000000000);
	const struct paging_controls controls = rig_controls();
	assert_true(kernel_map_init(&world->map, mode, &controls, &world->rig.memory, &world->layout, &ram, 1));
	kernel_map_tell_areas(&world->map, &(struct area_tables){.frame = frame_of_table, .context = world->areas});
	rig_tlbs(&world->rig, tlb_lines, false, true);
	world->rig.mmu.fault = kernel_map_fault;
	world->rig.mmu.context = &world->map;
	walker_load_root(&world->rig.walker, world->map.tables.root, 0);
}

static void begin(struct world *world, bool is_ideal)
{
	begin_paged(world, is_ideal, &translation_x86_4level_ops);
}

static void end(struct world *world)
{
	virtual_allocator_check(world->areas);
	kernel_map_check(&world->map);
	kernel_map_release(&world->map);
	rig_end(&world->rig);
	virtual_allocator_destroy(world->areas);
	assert_int_equal(world->pages->allocated_pages, 0);
	page_allocator_check(world->pages);
	page_allocator_destroy(world->pages);
	steps_release(&world->steps);
	settings_release(&world->settings);
}

/* What a core does that comes to the steps: tables change, translations are dropped. */
static void come_to_steps(struct world *world)
{
	for (uint32_t i = 0; i < world->steps.count; i++) {
		const struct step *step = &world->steps.at[i];
		if (step->kind == STEP_MAP || step->kind == STEP_UNMAP)
			kernel_map_remap(&world->map, step);
		const struct tlb_scope scope =
		        step->address == STEP_ALL_ADDRESSES ? tlb_scope_everything() : tlb_scope_invlpg(step->address, 0);
		if (step->kind == STEP_INVALIDATE)
			mmu_invalidate(&world->rig.mmu, &scope);
	}
	steps_clear(&world->steps);
}

static uint64_t get(struct world *world, const struct virtual_request *request)
{
	struct virtual_area area = virtual_get(world->areas, request, 0);
	assert_int_equal(area.result, VIRTUAL_ALLOC_OK);
	come_to_steps(world);
	return area.at.addr;
}

static void put(struct world *world, uint64_t at, const struct virtual_request *request)
{
	assert_int_equal(virtual_put(world->areas, vaddr_of(at), request, 0), VIRTUAL_FREE_OK);
	come_to_steps(world);
}

/* Where an access to an address goes, and how many references of the walker stood before it; 0: it was refused. */
static uint64_t physical_of(struct world *world, uint64_t linear, unsigned *walked, uint64_t *last_entry)
{
	struct access out[2 * MMU_ROOM];
	size_t made = rig_access(&world->rig, ACCESS_LOAD, linear, 8, out, 2 * MMU_ROOM);
	*walked = 0;
	*last_entry = 0;
	for (size_t i = 0; i < made; i++)
		if (out[i].kind == ACCESS_WALK) {
			++*walked;
			*last_entry = out[i].address;
		}
	return made && out[made - 1].kind == ACCESS_LOAD ? out[made - 1].address : 0;
}

static uint64_t go_to(struct world *world, uint64_t linear)
{
	unsigned walked;
	uint64_t entry;
	return physical_of(world, linear, &walked, &entry);
}

/* Would catch: a frame made up instead of the area's, frames in another order, a page table elsewhere than in the frame that the
 * allocator took for it, a guard page that is mapped. */
static void a_walk_ends_at_the_areas_frame(void **state)
{
	(void)state;
	const struct virtual_request request = {.call = CALL_VMALLOC, .size = 700 * PAGE_SIZE};
	static pfn frames[AREA_PAGES_MAX];
	struct world world;
	unsigned walked;
	uint64_t entry;
	begin(&world, false);
	uint64_t at = get(&world, &request);
	assert_int_equal(at, START);
	assert_int_equal(world.areas->ops->area_pages(world.areas, vaddr_of(at), frames, AREA_PAGES_MAX), 700);
	for (unsigned page = 0; page < 700; page++) {
		uint64_t linear = at + page * PAGE_SIZE;
		pfn table = world.areas->ops->table_frame(world.areas, linear, 21);
		assert_int_equal(physical_of(&world, linear + 0x123, &walked, &entry),
		                 ((uint64_t)frames[page].nr << PAGE_SHIFT) + 0x123);
		assert_int_equal(walked, 4);
		assert_int_equal(entry, ((uint64_t)table.nr << PAGE_SHIFT) + page % 512 * 8);
	}
	assert_int_not_equal(world.areas->ops->table_frame(world.areas, at, 21).nr,
	                     world.areas->ops->table_frame(world.areas, at + 2 * MIB, 21).nr);
	assert_int_equal(world.map.counters.wrong_touches, 0);
	assert_int_equal(go_to(&world, at + 700 * PAGE_SIZE), 0);
	assert_int_equal(world.map.counters.wrong_touches, 1);
	assert_int_equal(world.map.first_wrong, at + 700 * PAGE_SIZE);
	/* Two tables and the one above them in frames of the page allocator; the one above that is the kernel's own. */
	assert_int_equal(world.map.counters.area_tables, 3);
	assert_int_equal(world.map.counters.tables_elsewhere, 1);
	end(&world);
}

/*
 * With 5 levels the table of 512 GiB of areas is made where one first needs it (preallocate_vmalloc_pages() makes those above it
 * alone). Would catch: that table left to the boot, or not in the frame that was taken for it; an area of 4-level addresses.
 */
static void with_five_levels_one_table_more_is_made(void **state)
{
	(void)state;
	const struct virtual_request request = {.call = CALL_VMALLOC, .size = PAGE_SIZE};
	struct world world;
	unsigned walked;
	uint64_t entry;
	begin_paged(&world, false, &translation_x86_5level_ops);
	uint64_t at = get(&world, &request), second = get(&world, &request);
	assert_int_equal(at, 0xffa0000000000000u);
	assert_int_equal(second, at + 2 * PAGE_SIZE);
	assert_int_not_equal(physical_of(&world, at, &walked, &entry), 0);
	assert_int_equal(walked, 5);
	assert_int_equal(world.map.counters.area_tables, 3);
	assert_int_equal(world.map.counters.tables_elsewhere, 1);
	const unsigned shifts[] = {21, 30, 39};
	for (unsigned i = 0; i < 3; i++) {
		assert_int_not_equal(world.areas->ops->table_frame(world.areas, at, shifts[i]).nr, UINT32_MAX);
		for (unsigned other = 0; other < i; other++)
			assert_int_not_equal(world.areas->ops->table_frame(world.areas, at, shifts[i]).nr,
			                     world.areas->ops->table_frame(world.areas, at, shifts[other]).nr);
	}
	end(&world);
}

/* Would catch: a translation that goes with vunmap() instead of the flush, one that stays beyond it, a wrong touch that is put
 * right or not counted. */
static void a_stale_translation_serves_until_the_flush(void **state)
{
	(void)state;
	static const pfn frames[] = {{7000}, {6000}, {8000}};
	const struct virtual_request request = {.call = CALL_VMAP, .size = 3 * PAGE_SIZE, .frames = frames};
	struct world world;
	begin(&world, false);
	uint64_t at = get(&world, &request);
	assert_int_equal(go_to(&world, at + PAGE_SIZE), 6000ull << PAGE_SHIFT);
	put(&world, at, &request);
	assert_int_equal(go_to(&world, at + PAGE_SIZE + 8), (6000ull << PAGE_SHIFT) + 8);
	assert_int_equal(go_to(&world, at + 2 * PAGE_SIZE), 0); /* no TLB had it */
	assert_int_equal(world.map.counters.wrong_touches, 1);
	world.areas->ops->purge(world.areas, 0);
	come_to_steps(&world);
	assert_int_equal(go_to(&world, at + PAGE_SIZE + 8), 0);
	assert_int_equal(world.map.counters.wrong_touches, 2);
	assert_int_equal(world.rig.mmu.counters.refused, 2);
	assert_int_equal(kernel_map_area_pages(&world.map), 0);
	end(&world);
}

/* Would catch: large pages that are mapped small, whose frame is not their block's, or that leave the table in whose place they
 * came; small ones after them that find the large page. */
static void large_pages_are_large(void **state)
{
	(void)state;
	const struct virtual_request small = {.call = CALL_VMALLOC, .size = 600 * PAGE_SIZE};
	const struct virtual_request huge = {.call = CALL_VMALLOC_HUGE, .size = 4 * MIB};
	struct world world;
	pfn frames[1024];
	unsigned walked;
	uint64_t entry, at;
	begin(&world, false);
	at = get(&world, &small);
	put(&world, at, &small);
	world.areas->ops->purge(world.areas, 0);
	come_to_steps(&world);
	at = get(&world, &huge);
	assert_int_equal(at, START);
	assert_int_equal(world.map.counters.pages_large, 2);
	assert_int_equal(world.map.counters.tables_dropped, 2);
	assert_int_equal(world.areas->ops->area_pages(world.areas, vaddr_of(at), frames, 1024), 1024);
	assert_int_equal(physical_of(&world, at + 3 * MIB, &walked, &entry), (uint64_t)frames[512].nr << PAGE_SHIFT | MIB);
	assert_int_equal(walked, 3);
	assert_int_equal(kernel_map_area_pages(&world.map), world.areas->ops->pages_mapped(world.areas));
	put(&world, at, &huge);
	world.areas->ops->purge(world.areas, 0);
	come_to_steps(&world);
	assert_int_equal(world.map.counters.pages_large, 0);
	at = get(&world, &small);
	assert_int_not_equal(go_to(&world, at + 599 * PAGE_SIZE), 0);
	assert_int_equal(world.map.counters.pages_small, 600 + 2);
	put(&world, at, &small);
	end(&world);
}

/* Would catch: a call whose frames are not mapped, or stay mapped when all is given back; frames of a device beyond 32 bits that
 * are cut; a module's page without the right to execute, data with it. */
static void every_call_maps_its_frames(void **state)
{
	(void)state;
	static pfn frames[70];
	for (uint32_t i = 0; i < 70; i++)
		frames[i] = pfn_of(9000 - 3 * i);
	const struct virtual_request requests[] = {{.call = CALL_VMALLOC, .size = 3 * PAGE_SIZE},
	                                           {.call = CALL_IOREMAP, .size = 5 * PAGE_SIZE, .physical = 0x3fffc0001000},
	                                           {.call = CALL_IOREMAP, .size = 2 * MIB, .physical = 0x3fffc0000000},
	                                           {.call = CALL_MODULE_ALLOC, .size = 9 * PAGE_SIZE},
	                                           {.call = CALL_THREAD_STACK, .size = 4 * PAGE_SIZE},
	                                           {.call = CALL_VM_MAP_RAM, .size = 3 * PAGE_SIZE, .frames = frames},
	                                           {.call = CALL_VM_MAP_RAM, .size = 70 * PAGE_SIZE, .frames = frames},
	                                           {.call = CALL_VMAP, .size = 2 * PAGE_SIZE, .frames = frames}};
	enum { REQUESTS = sizeof requests / sizeof *requests };
	uint64_t at[REQUESTS], expected = 3 + 5 + 512 + 9 + 4 + 3 + 70 + 2;
	struct world world;
	enum page_size size;
	begin(&world, false);
	for (unsigned i = 0; i < REQUESTS; i++)
		at[i] = get(&world, &requests[i]);
	assert_int_equal(kernel_map_area_pages(&world.map), expected);
	assert_int_equal(world.areas->ops->pages_mapped(world.areas), expected);
	assert_int_equal(go_to(&world, at[1] + 4 * PAGE_SIZE), 0x3fffc0005000);
	assert_int_equal(go_to(&world, at[2] + MIB), 0x3fffc0100000);
	assert_int_equal(go_to(&world, at[5] + 2 * PAGE_SIZE), 8994ull << PAGE_SHIFT);
	assert_int_equal(go_to(&world, at[6] + 69 * PAGE_SIZE), (9000ull - 3 * 69) << PAGE_SHIFT);
	assert_true(page_tables_find(&world.map.tables, at[3], &size) & WORD_EXECUTE);
	assert_false(page_tables_find(&world.map.tables, at[0], &size) & WORD_EXECUTE);
	kernel_map_check(&world.map);
	for (unsigned i = 0; i < REQUESTS; i++)
		put(&world, at[i], &requests[i]);
	/* The CPU keeps the stack for its next task. */
	assert_int_equal(kernel_map_area_pages(&world.map), 4);
	assert_int_equal(world.areas->ops->pages_mapped(world.areas), 4);
	virtual_allocator_destroy(world.areas);
	come_to_steps(&world);
	assert_int_equal(kernel_map_area_pages(&world.map), 0);
	struct error error = {0};
	world.areas = virtual_allocator_vmalloc_create(
	        &(struct virtual_allocator_wiring){
	                .settings = &world.settings, .pages = world.pages, .layout = &world.layout, .steps = &world.steps},
	        &error);
	end(&world);
}

/* Would catch: an area that is half mapped when memory for a table ran out and stays so, or is counted as mapped. */
static void a_failed_area_leaves_nothing(void **state)
{
	(void)state;
	static pfn taken[64 * MIB >> PAGE_SHIFT];
	struct world world;
	uint32_t count = 0;
	begin(&world, false);
	const struct virtual_request device = {.call = CALL_IOREMAP, .size = 1ull << 40, .physical = 1ull << 40 | PAGE_SIZE};
	while ((taken[count] = page_alloc(world.pages, 0, GFP_KERNEL, 0)).nr != UINT32_MAX)
		count++;
	for (unsigned i = 0; i < 200; i++)
		page_free(world.pages, taken[--count], 0, 0);
	assert_int_equal(virtual_get(world.areas, &device, 0).result, VIRTUAL_ALLOC_NO_PAGES);
	come_to_steps(&world);
	assert_int_equal(kernel_map_area_pages(&world.map), 0);
	assert_int_equal(world.areas->ops->pages_mapped(world.areas), 0);
	assert_true(world.map.counters.mapped >= 512);
	assert_int_equal(world.map.counters.mapped, world.map.counters.unmapped);
	while (count > 0)
		page_free(world.pages, taken[--count], 0, 0);
	end(&world);
}

/* Steps of two cores in another order than they were decided in. Would catch: a page that an overtaken unmapping takes from its
 * next user, one that an overtaken mapping brings back, a touch of such a page that counts as wrong. */
static void the_last_decision_holds(void **state)
{
	(void)state;
	static const pfn one[] = {{5000}}, two[] = {{5001}};
	const struct virtual_request first = {.call = CALL_VMAP, .size = PAGE_SIZE, .frames = one};
	const struct virtual_request second = {.call = CALL_VMAP, .size = PAGE_SIZE, .frames = two};
	struct world world;
	struct step map[2], unmap[2];
	begin(&world, false);
	for (unsigned i = 0; i < 2; i++) {
		steps_clear(&world.steps);
		struct virtual_area area = virtual_get(world.areas, i ? &second : &first, 0);
		assert_int_equal(area.at.addr, START);
		virtual_put(world.areas, area.at, &first, 0);
		world.areas->ops->purge(world.areas, 0);
		for (uint32_t s = 0; s < world.steps.count; s++) {
			if (world.steps.at[s].kind == STEP_MAP)
				map[i] = world.steps.at[s];
			if (world.steps.at[s].kind == STEP_UNMAP)
				unmap[i] = world.steps.at[s];
		}
	}
	steps_clear(&world.steps);
	kernel_map_remap(&world.map, &map[0]);
	kernel_map_remap(&world.map, &map[1]);
	kernel_map_check(&world.map);
	kernel_map_remap(&world.map, &unmap[0]);
	assert_int_equal(go_to(&world, START), 5001ull << PAGE_SHIFT);
	kernel_map_remap(&world.map, &unmap[1]);
	assert_int_equal(kernel_map_area_pages(&world.map), 0);
	assert_int_equal(world.map.counters.overtaken, 1);
	kernel_map_remap(&world.map, &unmap[0]);
	kernel_map_check(&world.map);
	kernel_map_remap(&world.map, &map[0]);
	const struct tlb_scope all = tlb_scope_everything();
	mmu_invalidate(&world.rig.mmu, &all);
	assert_int_equal(go_to(&world, START), 0);
	assert_int_equal(world.map.counters.overtaken_touches, 1);
	assert_int_equal(world.map.counters.wrong_touches, 0);
	end(&world);
}

/* Would catch: an ideal allocator whose areas have no pages behind them for a program that touches them. */
static void the_ideal_allocator_maps_too(void **state)
{
	(void)state;
	const struct virtual_request request = {.call = CALL_VMALLOC, .size = 100 * PAGE_SIZE};
	struct world world;
	pfn frames[100];
	begin(&world, true);
	uint64_t at = get(&world, &request);
	assert_int_equal(world.areas->ops->area_pages(world.areas, vaddr_of(at), frames, 100), 100);
	assert_int_equal(go_to(&world, at + 99 * PAGE_SIZE), (uint64_t)frames[99].nr << PAGE_SHIFT);
	assert_int_equal(kernel_map_area_pages(&world.map), 100);
	put(&world, at, &request);
	assert_int_equal(kernel_map_area_pages(&world.map), 0);
	end(&world);
}

/* Would catch: run lengths that are not cut into powers of two, a frame of more than 32 bits that is cut, steps for nobody. */
static void runs_of_pages_fit_their_steps(void **state)
{
	(void)state;
	struct steps steps;
	const struct step_mapping mapping = {.linear = START, .frame = 0xff12345678, .page_shift = 12};
	steps_init(&steps, true);
	step_map(&steps, &mapping, 13);
	assert_int_equal(steps.count, 0);
	steps.maps = true;
	step_map(&steps, &mapping, 13);
	assert_int_equal(steps.count, 3);
	uint64_t pages = 0;
	for (uint32_t i = 0; i < 3; i++) {
		struct step_mapping part = steps_mapping_of(&steps.at[i]);
		assert_int_equal(part.linear, START + (pages << PAGE_SHIFT));
		assert_int_equal(part.frame, 0xff12345678 + pages);
		pages += 1ull << part.order;
	}
	assert_int_equal(pages, 13);
	steps_release(&steps);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(a_walk_ends_at_the_areas_frame),
	        cmocka_unit_test(a_stale_translation_serves_until_the_flush),
	        cmocka_unit_test(large_pages_are_large),
	        cmocka_unit_test(every_call_maps_its_frames),
	        cmocka_unit_test(a_failed_area_leaves_nothing),
	        cmocka_unit_test(the_last_decision_holds),
	        cmocka_unit_test(the_ideal_allocator_maps_too),
	        cmocka_unit_test(runs_of_pages_fit_their_steps),
	        cmocka_unit_test(with_five_levels_one_table_more_is_made),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
