/* SPDX-License-Identifier: MIT
 *
 * test_against_ideal.c - every registered model of a port beside the port's ideal twin: the same calls, in lockstep, on ample
 * memory. What a caller may rely on must come out the same: which calls succeed, which frees are refused, how much is handed out.
 * Where things lie and what they cost is each model's own.
 */
#include "models/cache_settings.h"
#include "models/registry.h"
#include "models/settings.h"
#include "sim/rng.h"
#include "tests/unit/test.h"

#include <string.h>

#define CALLS 30000u
#define SLOTS 700u
#define CACHES 6u
#define CPUS 2u

struct rig {
	struct settings settings;
	struct layout layout;
	struct steps steps;
	struct page_allocator *pages;
	struct object_allocator *objects;
	cache_id caches[CACHES];
	uint64_t live[SLOTS];
};

static void rig_init(struct rig *rig, const struct page_allocator_model *pages, const struct object_allocator_model *objects)
{
	struct error error = {0};
	memset(rig, 0, sizeof *rig);
	settings_init(&rig->settings);
	rig->settings.machine.cpus = CPUS;
	rig->settings.machine.memory_bytes = 512u << 20;
	rig->settings.kernel.slab_merge = false; /* the ideal keeps like caches apart */
	layout_init(&rig->layout, 64);
	steps_init(&rig->steps, false);
	rig->pages = pages->create(&(struct page_allocator_wiring){&rig->settings, &rig->layout, &rig->steps, NULL, 1}, &error);
	assert_non_null(rig->pages);
	if (!objects)
		return;
	rig->objects = objects->create(
	        &(struct object_allocator_wiring){&rig->settings, rig->pages, &rig->layout, &rig->steps, 1}, &error);
	assert_non_null(rig->objects);
}

static void rig_release(struct rig *rig)
{
	if (rig->objects)
		object_allocator_check(rig->objects);
	page_allocator_check(rig->pages);
	object_allocator_destroy(rig->objects);
	page_allocator_destroy(rig->pages);
	steps_release(&rig->steps);
	layout_release(&rig->layout);
	settings_release(&rig->settings);
}

/* One random page call: whether it succeeded, or how a free ended. */
static int page_call(struct rig *rig, uint64_t random)
{
	uint32_t slot = (uint32_t)(random % SLOTS);
	unsigned order = (unsigned)(slot % 5), cpu = (unsigned)(random >> 32 & (CPUS - 1));
	if (!rig->live[slot]) {
		rig->live[slot] = page_alloc(rig->pages, order, GFP_KERNEL, cpu).nr;
		return rig->live[slot] != PFN_NONE.nr;
	}
	if (random >> 40 & 1) /* a wrong order first: refused, nothing happens */
		return 10 + (page_free(rig->pages, pfn_of((uint32_t)rig->live[slot]), order + 1, cpu) == PAGE_FREE_OK);
	enum page_free_result result = page_free(rig->pages, pfn_of((uint32_t)rig->live[slot]), order, cpu);
	rig->live[slot] = 0;
	return 20 + (result == PAGE_FREE_OK);
}

/* Would catch: a page allocator that refuses what there is memory for, or takes a free that it must not take. */
static void test_page_allocators(void **state)
{
	(void)state;
	struct error error = {0};
	for (const struct page_allocator_model *model = page_allocator_models; model->ops; model++) {
		struct rig ideal, rig;
		struct rng rng;
		rng_init(&rng, 1, "against ideal");
		rig_init(&ideal, page_allocator_model("ideal", &error), NULL);
		rig_init(&rig, model, NULL);
		for (unsigned call = 0; call < CALLS; call++) {
			uint64_t random = rng_next(&rng);
			assert_int_equal(page_call(&ideal, random), page_call(&rig, random));
			assert_int_equal(ideal.pages->allocated_pages, rig.pages->allocated_pages);
		}
		rig_release(&ideal);
		rig_release(&rig);
	}
}

static void make_caches(struct rig *rig)
{
	static const uint32_t sizes[CACHES] = {8, 24, 192, 704, 2112, 4096};
	static const char *const names[CACHES] = {"a", "b", "c", "d", "e", "f"};
	for (unsigned cache = 0; cache < CACHES; cache++) {
		const struct cache_spec spec = {.name = names[cache], .object_size = sizes[cache], .ctor = cache & 1};
		rig->caches[cache] = cache_create(rig->objects, &spec);
		assert_int_not_equal(rig->caches[cache].nr, CACHE_NONE.nr);
	}
}

static int object_call(struct rig *rig, uint64_t random)
{
	uint32_t slot = (uint32_t)(random % SLOTS), size = (uint32_t)(random >> 20) % (slot % 50 == 0 ? 100000 : 3000);
	unsigned cpu = (unsigned)(random >> 40 & (CPUS - 1)), cache = slot % (2 * CACHES);
	if (!rig->live[slot]) {
		struct object object = cache < CACHES ? cache_alloc(rig->objects, rig->caches[cache], GFP_KERNEL, cpu)
		                                      : object_kmalloc(rig->objects, size, GFP_KERNEL, cpu);
		if (object.at.addr > ZERO_SIZE_PTR.addr && cache >= CACHES)
			assert_true(rig->objects->ops->ksize(rig->objects, object.at) >= size);
		rig->live[slot] = object.at.addr;
		return object.at.addr != 0;
	}
	vaddr at = vaddr_of(rig->live[slot]);
	if (random >> 41 & 1 && cache < CACHES) /* the middle of an object, then another cache: refused */
		return 10 + (cache_free(rig->objects, rig->caches[cache], vaddr_of(at.addr + 4), cpu) == OBJECT_FREE_OK) +
		       (cache_free(rig->objects, rig->caches[(cache + 1) % CACHES], at, cpu) == OBJECT_FREE_OK);
	enum object_free_result result =
	        cache < CACHES ? cache_free(rig->objects, rig->caches[cache], at, cpu) : object_kfree(rig->objects, at, cpu);
	rig->live[slot] = 0;
	return 20 + (result == OBJECT_FREE_OK);
}

/* Would catch: an allocator that fails with memory left, counts another number of live objects, or takes a wrong free. */
static void test_object_allocators(void **state)
{
	(void)state;
	struct error error = {0};
	for (const struct object_allocator_model *model = object_allocator_models; model->ops; model++) {
		struct rig ideal, rig;
		struct rng rng;
		rng_init(&rng, 2, "against ideal");
		rig_init(&ideal, page_allocator_model("buddy", &error), object_allocator_model("ideal", &error));
		rig_init(&rig, page_allocator_model("buddy", &error), model);
		make_caches(&ideal);
		make_caches(&rig);
		for (unsigned call = 0; call < CALLS; call++) {
			uint64_t random = rng_next(&rng);
			assert_int_equal(object_call(&ideal, random), object_call(&rig, random));
			assert_int_equal(ideal.objects->live_objects, rig.objects->live_objects);
		}
		rig_release(&ideal);
		rig_release(&rig);
	}
}

/* Would catch: a memory that answers with a cycle before the access, or in which coming again costs more than coming first. */
static void test_memories(void **state)
{
	(void)state;
	struct error error = {0};
	for (const struct memory_model *model = memory_models; model->ops; model++) {
		struct settings settings;
		settings_init(&settings);
		struct memory *ideal =
		        memory_model("ideal", &error)->create(&(struct memory_wiring){.settings = &settings}, &error);
		settings.machine.cpus = 1;
		struct cache_hierarchy *caches = caches_of_settings(&settings, false, NULL, &error);
		assert_non_null(caches);
		struct dram *dram = dram_model("fixed", &error)->create(&(struct dram_wiring){.settings = &settings}, &error);
		const struct memory_wiring wiring = {.settings = &settings, .caches = caches, .dram = dram};
		struct memory *memory = model->create(&wiring, &error);
		assert_non_null(memory);
		for (uint64_t line = 0; line < 1000; line++) {
			struct memory_request request = {
			        .address = 0xffff888000000000u + line * 4096, .bytes = 8, .kind = ACCESS_LOAD};
			struct cost cost;
			cycle first = memory_access(memory, &request, &cost);
			assert_true(first >= memory_access(ideal, &request, &cost));
			request.now = first;
			assert_true(memory_access(memory, &request, &cost) - first <= first);
		}
		memory->ops->check(memory);
		memory_destroy(ideal);
		memory_destroy(memory);
		cache_hierarchy_destroy(caches);
		dram_destroy(dram);
		settings_release(&settings);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_page_allocators),
	        cmocka_unit_test(test_object_allocators),
	        cmocka_unit_test(test_memories),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
