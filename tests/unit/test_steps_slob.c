/* SPDX-License-Identifier: MIT
 *
 * test_steps_slob.c - what SLOB's paths touch, step by step: fields, order, the one lock. The lists were written from Linux 6.1
 * mm/slob.c (functions named at each). A step that is missing, wrong or out of order fails.
 *
 * The example is a cache of 64-byte objects. page0 and page1 are the pages handed out first; small is the list of small objects.
 */
#include "tests/unit/steps_text.h"

#include "models/object_allocator/slob.h"
#include "models/settings.h"
#include "tests/unit/frames.h"

#include <stdlib.h>

/* The registry's prototype. */
struct object_allocator *object_allocator_slob_create(const struct object_allocator_wiring *wiring, struct error *error);

#define FIRST 0x100u
#define SIZE 64u

struct fixture {
	struct settings settings;
	struct layout layout;
	struct steps steps;
	struct frames frames;
	struct object_allocator *objects;
	cache_id id;
	struct steps_text text;
};

/* struct slab of SLOB, mm/slab.h */
static const struct text_field slab_fields[] = {{0, "flags"},     {8, "list"},   {16, "list.prev"},
                                                {32, "freelist"}, {40, "units"}, {0, NULL}};
static const struct text_field head_fields[] = {{0, "next"}, {8, "prev"}, {0, NULL}};

static vaddr object(const struct fixture *f, uint32_t page, uint32_t index)
{
	return vaddr_of(layout_page_address(&f->layout, pfn_of(FIRST + page)).addr + index * SIZE);
}

static struct fixture *fixture_new(void)
{
	struct fixture *f = calloc(1, sizeof *f);
	assert_non_null(f);
	settings_init(&f->settings);
	layout_init(&f->layout, 64);
	steps_init(&f->steps, false);
	frames_init(&f->frames, FIRST);
	struct object_allocator_wiring wiring = {
	        .settings = &f->settings, .pages = &f->frames.base, .layout = &f->layout, .steps = &f->steps};
	struct error error = {0};
	f->objects = object_allocator_slob_create(&wiring, &error);
	assert_non_null(f->objects);
	f->id = cache_create(f->objects, &(struct cache_spec){.name = "test", .object_size = SIZE});
	text_add(&f->text, "slab0", layout_struct_page(&f->layout, pfn_of(FIRST)).addr, 64, slab_fields);
	text_add(&f->text, "slab1", layout_struct_page(&f->layout, pfn_of(FIRST + 1)).addr, 64, slab_fields);
	text_add(&f->text, "page0", object(f, 0, 0).addr, PAGE_SIZE, NULL);
	text_add(&f->text, "page1", object(f, 1, 0).addr, PAGE_SIZE, NULL);
	return f;
}

/*
 * Where the heap's own variables lie only its steps tell, here those of an allocation from a new page: the lock is what is
 * locked, the list's head what is read next, the count of slab pages what is per-CPU.
 */
static void name_variables(struct fixture *f)
{
	bool locked = false, headed = false, counted = false;
	for (uint32_t i = 0; i < f->steps.count; i++) {
		const struct step *step = &f->steps.at[i];
		if (step->kind == STEP_LOCK && !locked) {
			text_add(&f->text, "slob_lock", step->address, 4, NULL);
			locked = true;
		} else if (locked && !headed && step->kind == STEP_READ) {
			text_add(&f->text, "small", step->address, 16, head_fields);
			headed = true;
		} else if (!counted && layout_region(&f->layout, step->address) == REGION_PER_CPU) {
			text_add(&f->text, "nodestat", step->address - 6, 64, NULL);
			counted = true;
		}
	}
	assert_true(locked && headed && counted);
}

static void fixture_free(struct fixture *f)
{
	object_allocator_check(f->objects);
	object_allocator_destroy(f->objects);
	steps_release(&f->steps);
	settings_release(&f->settings);
	free(f);
}

static vaddr alloc(struct fixture *f)
{
	steps_clear(&f->steps);
	return cache_alloc(f->objects, f->id, GFP_KERNEL, 0).at;
}

static void take(struct fixture *f, uint32_t page, uint32_t index)
{
	steps_clear(&f->steps);
	assert_int_equal(cache_free(f->objects, f->id, object(f, page, index), 0), OBJECT_FREE_OK);
}

static void expect(struct fixture *f, const char *steps)
{
	expect_steps(&f->text, &f->steps, steps);
}

/* The lists stay as they are written, a structure's steps to a line. */
/* clang-format off */
#define LOCK "lock slob_lock+0 4\n"
#define UNLOCK "unlock slob_lock+0 4\n"

/* slob_alloc() of an empty list: the lock is taken to look and taken again for the new page. Catches a page fetched under it. */
static void allocation_from_a_new_page(void **state)
{
	(void)state;
	struct fixture *f = fixture_new();
	f->steps.recording = true;
	assert_int_equal(alloc(f).addr, object(f, 0, 0).addr);
	name_variables(f);
	expect(f, LOCK "read small.next 8\n" UNLOCK
	       "update nodestat+6 1\nupdate slab0.flags 8\n" LOCK
	       "write slab0.units 8\nwrite slab0.freelist 8\nwrite slab0.list 16\nwrite page0+0 4\n"
	       "read small.prev 8\nread small.next 8\nwrite small.prev 8\nwrite slab0.list 16\nwrite small.next 8\n"
	       "update slab0.flags 8\n"
	       "read slab0.freelist 8\nread page0+0 4\n"
	       "write slab0.freelist 8\nwrite page0+64 4\nupdate slab0.units 8\n" UNLOCK);
	fixture_free(f);
}

/* slob_alloc(), slob_page_alloc(): the list's first page has a hole that is too small, which is looked at, and room behind it. */
static void allocation_walks_the_chain(void **state)
{
	(void)state;
	struct fixture *f = fixture_new();
	cache_id little = cache_create(f->objects, &(struct cache_spec){.name = "little", .object_size = 32});
	f->steps.recording = true;
	vaddr hole = cache_alloc(f->objects, little, GFP_KERNEL, 0).at;
	name_variables(f);
	alloc(f);
	assert_int_equal(cache_free(f->objects, little, hole, 0), OBJECT_FREE_OK);
	f->steps.recording = true;
	assert_int_equal(alloc(f).addr, object(f, 0, 0).addr + 96);
	expect(f, LOCK "read small.next 8\nread slab0.units 8\nread slab0.freelist 8\nread page0+0 4\nread page0+96 4\n"
	       "write page0+0 4\nwrite page0+160 4\nupdate slab0.units 8\n" UNLOCK);
	assert_int_equal(f->text.instructions,
	                 f->settings.cost.slob_alloc + f->settings.cost.slob_page + 2 * f->settings.cost.slob_block);
	fixture_free(f);
}

#define FREE_ENTRY "read slab0.list 8\nread slab0.flags 8\n" LOCK "read slab0.units 8\nread slab0.flags 8\n"

/* slob_free(): in front of the first free block, with which the run does not join; then between two with which it does. */
static void free_into_a_page(void **state)
{
	(void)state;
	struct fixture *f = fixture_new();
	f->steps.recording = true;
	alloc(f);
	name_variables(f);
	for (uint32_t i = 1; i < 4; i++)
		alloc(f);
	take(f, 0, 1);
	expect(f, FREE_ENTRY "update slab0.units 8\nread slab0.freelist 8\nwrite page0+64 4\nwrite slab0.freelist 8\n" UNLOCK);
	take(f, 0, 3);
	expect(f, FREE_ENTRY "update slab0.units 8\nread slab0.freelist 8\nread page0+64 4\n"
	       "read page0+256 4\nwrite page0+192 4\nwrite page0+64 4\n" UNLOCK);
	take(f, 0, 2);
	expect(f, FREE_ENTRY "update slab0.units 8\nread slab0.freelist 8\nread page0+64 4\n"
	       "read page0+192 4\nwrite page0+128 4\nwrite page0+64 4\n" UNLOCK);
	take(f, 0, 0);
	expect(f, FREE_ENTRY
	       "read slab0.list 16\nread small.next 8\nread small.prev 8\nwrite small.prev 8\nwrite small.next 8\n"
	       "write slab0.list 16\nupdate slab0.flags 8\n" UNLOCK
	       "update slab0.flags 8\nupdate nodestat+6 1\n");
	fixture_free(f);
}
/* clang-format on */

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(allocation_from_a_new_page),
	        cmocka_unit_test(allocation_walks_the_chain),
	        cmocka_unit_test(free_into_a_page),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
