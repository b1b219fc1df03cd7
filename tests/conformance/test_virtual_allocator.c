/* SPDX-License-Identifier: MIT
 *
 * test_virtual_allocator.c - every model of the virtual_allocator port (models.def) against what the port promises.
 *
 * What a model hands out is entered in an array of ranges, which knows overlaps and nothing of how a model works. The models
 * stand on the real page and object allocators, so that what they take and forget shows there. Each test names the mistake it
 * would catch.
 */
#include "models/registry.h"
#include "models/settings.h"
#include "sim/metric.h"
#include "sim/rng.h"
#include "tests/unit/test.h"

#include <stdlib.h>
#include <string.h>

#define CPUS 4
#define MEMORY_BYTES (64ull << 20)
#define LIVE_MAX 200
#define PAGES_MAX 700

struct live {
	uint64_t start;
	uint32_t pages;
	bool mapped;
};

struct bench {
	struct settings settings;
	struct layout layout;
	struct steps steps;
	struct page_allocator *pages;
	struct object_allocator *objects;
	struct virtual_allocator *areas;
	uint64_t pages_before, objects_before;
	struct live live[LIVE_MAX];
	unsigned lives;
};

static void begin(struct bench *bench, const struct virtual_allocator_model *model, bool recording)
{
	struct error error = {0};
	memset(bench, 0, sizeof *bench);
	settings_init(&bench->settings);
	bench->settings.machine.memory_bytes = MEMORY_BYTES;
	bench->settings.machine.cpus = CPUS;
	layout_init(&bench->layout, 64);
	steps_init(&bench->steps, recording);
	struct page_allocator_wiring below = {
	        .settings = &bench->settings, .layout = &bench->layout, .steps = &bench->steps, .seed = 1};
	bench->pages = page_allocator_model("buddy", &error)->create(&below, &error);
	assert_non_null(bench->pages);
	struct object_allocator_wiring beside = {
	        .settings = &bench->settings, .pages = bench->pages, .layout = &bench->layout, .steps = &bench->steps, .seed = 1};
	bench->objects = object_allocator_model("slub", &error)->create(&beside, &error);
	assert_non_null(bench->objects);
	bench->pages_before = bench->pages->allocated_pages - bench->objects->ops->pages_held(bench->objects);
	bench->objects_before = bench->objects->live_objects;
	struct virtual_allocator_wiring wiring = {.settings = &bench->settings,
	                                          .pages = bench->pages,
	                                          .objects = bench->objects,
	                                          .layout = &bench->layout,
	                                          .steps = &bench->steps};
	bench->areas = model->create(&wiring, &error);
	if (!bench->areas)
		fail_msg("%s: %s", model->ops->name, error.text);
	assert_ptr_equal(bench->areas->ops, model->ops);
}

/* After the model's end nothing that it took may be left. */
static void end(struct bench *bench)
{
	virtual_allocator_check(bench->areas);
	virtual_allocator_destroy(bench->areas);
	object_allocator_check(bench->objects);
	assert_int_equal(bench->objects->live_objects, bench->objects_before);
	assert_int_equal(bench->pages->allocated_pages - bench->objects->ops->pages_held(bench->objects), bench->pages_before);
	page_allocator_check(bench->pages);
	object_allocator_destroy(bench->objects);
	page_allocator_destroy(bench->pages);
	steps_release(&bench->steps);
	layout_release(&bench->layout);
	settings_release(&bench->settings);
}

static void enter(struct bench *bench, vaddr at, uint32_t pages, bool mapped)
{
	uint64_t bytes = (uint64_t)pages << PAGE_SHIFT;
	for (unsigned i = 0; i < bench->lives; i++) {
		const struct live *other = &bench->live[i];
		assert_true(at.addr + bytes <= other->start || other->start + ((uint64_t)other->pages << PAGE_SHIFT) <= at.addr);
	}
	bench->live[bench->lives++] = (struct live){at.addr, pages, mapped};
}

static void leave(struct bench *bench, unsigned i, unsigned cpu)
{
	struct live live = bench->live[i];
	vaddr at = vaddr_of(live.start);
	enum virtual_free_result result =
	        live.mapped ? virtual_unmap(bench->areas, at, cpu) : virtual_free(bench->areas, at, cpu);
	assert_int_equal(result, VIRTUAL_FREE_OK);
	bench->live[i] = bench->live[--bench->lives];
}

/* Would catch: two areas at one address, a page in two areas, pages that are lost or given back twice, broken counters. */
static void test_random_calls(const struct virtual_allocator_model *model, bool recording)
{
	static pfn frames[PAGES_MAX];
	struct bench *bench = xcalloc(1, sizeof *bench);
	struct rng rng;
	rng_init(&rng, 7, "areas");
	begin(bench, model, recording);
	for (unsigned op = 0; op < 6000; op++) {
		unsigned cpu = op % CPUS;
		steps_clear(&bench->steps);
		if (bench->lives == LIVE_MAX || (bench->lives && rng_below(&rng, 100) < 45)) {
			leave(bench, rng_below(&rng, bench->lives), cpu);
			continue;
		}
		uint32_t pages = 1 + rng_below(&rng, rng_below(&rng, 50) ? 40 : PAGES_MAX);
		bool mapped = rng_below(&rng, 8) == 0;
		for (uint32_t i = 0; i < pages; i++)
			frames[i] = pfn_of(4096 + i);
		uint64_t bytes = ((uint64_t)pages << PAGE_SHIFT) - rng_below(&rng, PAGE_SIZE);
		struct virtual_area area =
		        mapped ? virtual_map(bench->areas, frames, pages, cpu) : virtual_alloc(bench->areas, bytes, cpu);
		if (area.result != VIRTUAL_ALLOC_OK) {
			assert_int_equal(area.result, VIRTUAL_ALLOC_NO_PAGES);
			continue;
		}
		assert_int_equal(bench->areas->ops->area_pages(bench->areas, area.at, frames, PAGES_MAX), pages);
		enter(bench, area.at, pages, mapped);
		if (op % 256 == 0)
			virtual_allocator_check(bench->areas);
	}
	assert_int_equal(bench->areas->live_areas, bench->lives);
	end(bench);
	free(bench);
}

/* Would catch: a wrong free that changes something, or is taken. */
static void test_wrong_frees(const struct virtual_allocator_model *model)
{
	struct bench *bench = xcalloc(1, sizeof *bench);
	pfn frames[2] = {pfn_of(77), pfn_of(5)};
	begin(bench, model, false);
	struct virtual_area area = virtual_alloc(bench->areas, 3 * PAGE_SIZE, 0), map = virtual_map(bench->areas, frames, 2, 0);
	assert_int_equal(area.result, VIRTUAL_ALLOC_OK);
	assert_int_equal(map.result, VIRTUAL_ALLOC_OK);
	assert_int_equal(virtual_free(bench->areas, vaddr_of(area.at.addr + PAGE_SIZE), 0), VIRTUAL_FREE_NOT_AREA);
	assert_int_equal(virtual_free(bench->areas, vaddr_of(0x1000), 0), VIRTUAL_FREE_NOT_AREA);
	assert_int_equal(virtual_free(bench->areas, map.at, 0), VIRTUAL_FREE_WRONG_CALL);
	assert_int_equal(virtual_unmap(bench->areas, area.at, 0), VIRTUAL_FREE_WRONG_CALL);
	assert_int_equal(bench->areas->live_areas, 2);
	assert_int_equal(virtual_free(bench->areas, area.at, 0), VIRTUAL_FREE_OK);
	assert_int_equal(virtual_free(bench->areas, area.at, 0), VIRTUAL_FREE_NOT_AREA);
	assert_int_equal(virtual_unmap(bench->areas, map.at, 0), VIRTUAL_FREE_OK);
	end(bench);
	free(bench);
}

/* Would catch: a request that cannot be met leaving something behind. Pages are more than memory has left, or has at all. */
static void test_failures(const struct virtual_allocator_model *model)
{
	struct bench *bench = xcalloc(1, sizeof *bench);
	begin(bench, model, false);
	assert_int_equal(virtual_alloc(bench->areas, 0, 0).result, VIRTUAL_ALLOC_EXCEEDS_TOTAL);
	assert_int_equal(virtual_alloc(bench->areas, UINT64_MAX, 0).result, VIRTUAL_ALLOC_EXCEEDS_TOTAL);
	assert_int_equal(virtual_alloc(bench->areas, 2 * MEMORY_BYTES, 0).result, VIRTUAL_ALLOC_EXCEEDS_TOTAL);
	uint64_t half = bench->pages->managed_pages / 2 + bench->pages->managed_pages / 8;
	struct virtual_area first = virtual_alloc(bench->areas, half << PAGE_SHIFT, 0);
	assert_int_equal(first.result, VIRTUAL_ALLOC_OK);
	assert_int_equal(virtual_alloc(bench->areas, half << PAGE_SHIFT, 1).result, VIRTUAL_ALLOC_NO_PAGES);
	virtual_allocator_check(bench->areas);
	assert_int_equal(virtual_free(bench->areas, first.at, 2), VIRTUAL_FREE_OK);
	assert_int_equal(virtual_alloc(bench->areas, half << PAGE_SHIFT, 3).result, VIRTUAL_ALLOC_OK);
	end(bench);
	free(bench);
}

/* Would catch: a lock that stays taken, or is let go twice, on any way through a call. */
static void test_steps_are_balanced(const struct virtual_allocator_model *model)
{
	struct bench *bench = xcalloc(1, sizeof *bench);
	begin(bench, model, true);
	for (unsigned op = 0; op < 64; op++) {
		steps_clear(&bench->steps);
		struct virtual_area area = virtual_alloc(bench->areas, (uint64_t)(1 + op * 17) << PAGE_SHIFT, 0);
		if (op % 3)
			virtual_free(bench->areas, area.at, 1);
		int held = 0;
		for (uint32_t i = 0; i < bench->steps.count; i++) {
			held += (bench->steps.at[i].kind == STEP_LOCK) - (bench->steps.at[i].kind == STEP_UNLOCK);
			assert_true(held >= 0);
		}
		assert_int_equal(held, 0);
	}
	end(bench);
	free(bench);
}

/*
 * Would catch: a call of the port that a model does not know, that keeps or loses pages, that frees by another call, or that
 * leaves a lock taken. Each call a few times on each CPU, sizes from a page to 4 MiB.
 */
static void test_every_call(const struct virtual_allocator_model *model)
{
	static pfn frames[1024];
	struct bench *bench = xcalloc(1, sizeof *bench);
	begin(bench, model, true);
	for (uint32_t i = 0; i < 1024; i++)
		frames[i] = pfn_of(4096 + i);
	for (unsigned call = 0; call < VIRTUAL_CALLS; call++)
		for (unsigned round = 0; round < 4 * CPUS; round++) {
			struct virtual_request request = {.call = (enum virtual_call)call,
			                                  .size = (uint64_t)PAGE_SIZE << round % 11};
			struct virtual_request other = {.call = call == CALL_VMAP ? CALL_IOREMAP : CALL_VMAP,
			                                .size = request.size};
			request.frames = virtual_call_maps(request.call) ? frames : NULL;
			request.physical = call == CALL_IOREMAP ? 0xfed00010 : 0;
			steps_clear(&bench->steps);
			struct virtual_area area = virtual_get(bench->areas, &request, round % CPUS);
			assert_int_equal(area.result, VIRTUAL_ALLOC_OK);
			assert_int_not_equal(virtual_put(bench->areas, area.at, &other, 0), VIRTUAL_FREE_OK);
			if (round % 4 != 3 || call == CALL_VM_MAP_RAM)
				assert_int_equal(virtual_put(bench->areas, area.at, &request, round % CPUS), VIRTUAL_FREE_OK);
			int held = 0;
			for (uint32_t i = 0; i < bench->steps.count; i++)
				held += (bench->steps.at[i].kind == STEP_LOCK) - (bench->steps.at[i].kind == STEP_UNLOCK);
			assert_int_equal(held, 0);
			virtual_allocator_check(bench->areas);
		}
	bench->areas->ops->purge(bench->areas, 0);
	end(bench);
	free(bench);
}

static void test_all_models(void **state)
{
	(void)state;
	for (const struct virtual_allocator_model *model = virtual_allocator_models; model->ops; model++) {
		assert_non_null(model->ops->help);
		assert_true(model->ops->metrics && model->ops->metrics->name);
		test_random_calls(model, false);
		test_random_calls(model, true);
		test_wrong_frees(model);
		test_failures(model);
		test_steps_are_balanced(model);
		test_every_call(model);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_all_models)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
