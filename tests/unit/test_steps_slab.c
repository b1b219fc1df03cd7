/* SPDX-License-Identifier: MIT
 *
 * test_steps_slab.c - what SLAB's paths touch, step by step: fields, order, locks. The lists were written from Linux 6.1
 * mm/slab.c (functions named at each); those of the CPU's array, of the shared array and of a new slab were seen to be what a
 * kernel with CONFIG_SLAB does when it runs (docs/steps.md). A step that is missing, wrong or out of order fails.
 *
 * The example is a cache of 1 KiB objects, four to a slab of one page, on two CPUs: arrays hold two objects and move one at a
 * time, the shared array holds one. slab0 is the page handed out first; the index array lies in its last object.
 */
#include "tests/unit/steps_text.h"

#include "models/object_allocator/slab.h"
#include "models/settings.h"
#include "tests/unit/frames.h"

#include <stdlib.h>

#define FIRST 0x100u
#define PER_SLAB 4u
#define SIZE 1024u

struct fixture {
	struct settings settings;
	struct layout layout;
	struct steps steps;
	struct frames frames;
	struct object_allocator *objects;
	struct slab_cache *cache;
	cache_id id;
	struct steps_text text;
};

static vaddr object(const struct fixture *f, uint32_t slab, uint32_t index)
{
	return vaddr_of(layout_page_address(&f->layout, pfn_of(FIRST + slab)).addr + index * SIZE);
}

static void name_structures(struct fixture *f)
{
	static const char *const names[PER_SLAB] = {"object0", "object1", "object2", "object3"};
	struct slab_allocator *slab = slab_allocator_of(f->objects);
	text_add(&f->text, "kmem_cache", f->cache->descriptor.addr, 136, slab_kmem_cache_fields);
	text_add(&f->text, "node", f->cache->node_at.addr, 120, slab_node_fields);
	text_add(&f->text, "array", slab_array_address(slab, f->cache, 0).addr, 64, array_cache_fields);
	text_add(&f->text, "shared", f->cache->shared_at.addr, 64, array_cache_fields);
	text_add(&f->text, "nodestat", layout_per_cpu(&f->layout, slab->node_stat_offset, 0).addr, 64, NULL);
	text_add(&f->text, "slab0", layout_struct_page(&f->layout, pfn_of(FIRST)).addr, 64, slab_slab_fields);
	for (uint32_t i = 0; i < PER_SLAB; i++)
		text_add(&f->text, names[i], object(f, 0, i).addr, SIZE, NULL);
}

static struct fixture *fixture_new(bool init_on_alloc)
{
	struct fixture *f = calloc(1, sizeof *f);
	assert_non_null(f);
	settings_init(&f->settings);
	f->settings.machine.cpus = 2;
	f->settings.kernel.slab_freelist_random = false;
	f->settings.kernel.slab_freelist_hardened = false;
	f->settings.kernel.init_on_alloc = init_on_alloc;
	layout_init(&f->layout, 64);
	steps_init(&f->steps, false);
	frames_init(&f->frames, FIRST);
	struct object_allocator_wiring wiring = {
	        .settings = &f->settings, .pages = &f->frames.base, .layout = &f->layout, .steps = &f->steps};
	struct error error = {0};
	f->objects = object_allocator_slab_create(&wiring, &error);
	assert_non_null(f->objects);
	f->id = cache_create(f->objects, &(struct cache_spec){.name = "test", .object_size = SIZE});
	f->cache = slab_cache_of(slab_allocator_of(f->objects), f->id);
	assert_int_equal(f->cache->num, PER_SLAB);
	slab_tune_cpucache(slab_allocator_of(f->objects), f->cache, 2, 1, 1, 0);
	assert_non_null(f->cache->node.shared);
	assert_int_equal(f->cache->node.shared->limit, 1);
	name_structures(f);
	return f;
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

static void take(struct fixture *f, uint32_t index)
{
	steps_clear(&f->steps);
	assert_int_equal(cache_free(f->objects, f->id, object(f, 0, index), 0), OBJECT_FREE_OK);
}

static void expect(struct fixture *f, const char *steps)
{
	expect_steps(&f->text, &f->steps, steps);
}

/* The lists stay as they are written, a structure's steps to a line. */
/* clang-format off */
#define ENTRY "read kmem_cache.cpu_cache 8\nread array.avail 4\n"
/* The end of ____cache_alloc() and of cache_alloc_refill(): the entry on top, and prefetchw() of the object. */
#define TAKE(entry, object) \
	"write array.touched 4\nupdate array.avail 4\nread array." entry " 8\nprefetch " object " 1\n"
#define REFILL \
	"read kmem_cache.cpu_cache 8\nread array.batchcount 4\nread array.touched 4\nread array.avail 4\n" \
	"read kmem_cache.node[0] 8\nread node.shared 8\nread node.free_objects 8\n"
/* alloc_block() of one object, whose number is a byte of the index array in object3. */
#define ALLOC_BLOCK(index) \
	"read slab0.active 4\nread kmem_cache.num 4\nread slab0.s_mem 8\nread slab0.freelist 8\n" \
	"read object3+" index " 1\nupdate slab0.active 4\nwrite array.entry[0] 8\nupdate array.avail 4\n"
#define LIST_ADD(list) \
	"read node." list " 8\nread node." list ".prev 8\nread node." list " 8\n" \
	"write node." list ".prev 8\nwrite slab0.list 16\nwrite node." list " 8\n"
#define LIST_ADD_TAIL(list) \
	"read node." list ".prev 8\nread node." list ".prev 8\nread node." list " 8\n" \
	"write node." list ".prev 8\nwrite slab0.list 16\nwrite node." list " 8\n"
#define LIST_DEL(list) \
	"read slab0.list 16\nread node." list " 8\nread node." list ".prev 8\n" \
	"write node." list ".prev 8\nwrite node." list " 8\nwrite slab0.list 16\n"

/* cache_alloc_refill(), cache_grow_begin(), cache_grow_end() of a cache without slabs: nothing is locked until the slab is there. */
static void allocation_from_a_new_slab(void **state)
{
	(void)state;
	struct fixture *f = fixture_new(false);
	f->steps.recording = true;
	assert_int_equal(alloc(f).addr, object(f, 0, 0).addr);
	expect(f, ENTRY REFILL
	       "read shared.avail 4\n"
	       "read kmem_cache.allocflags 4\nread kmem_cache.gfporder 4\n"
	       "update nodestat+6 1\nupdate slab0.flags 8\n"
	       "read kmem_cache.node[0] 8\nupdate node.colour_next 4\nread kmem_cache.colour 8\nread kmem_cache.colour_off 4\n"
	       "write slab0.active 4\nwrite slab0.s_mem 8\nwrite slab0.slab_cache 16\n"
	       "read kmem_cache.random_seq 8\nwrite object3+0 4\nread kmem_cache.ctor 8\n"
	       "read kmem_cache.cpu_cache 8\nread array.avail 4\n"
	       ALLOC_BLOCK("0")
	       "write slab0.list 16\nread slab0.flags 8\n"
	       "read kmem_cache.node[0] 8\nlock node.list_lock 4\nupdate node.total_slabs 8\n"
	       LIST_ADD("partial")
	       "update node.free_objects 8\nunlock node.list_lock 4\n"
	       TAKE("entry[0]", "object0+0"));
	assert_int_equal(f->text.instructions,
	                 f->settings.cost.slab_alloc + f->settings.cost.slab_refill + f->settings.cost.slab_grow +
	                 f->settings.cost.slab_setup_object * PER_SLAB + f->settings.cost.slab_refill_object +
	                 f->settings.cost.slab_refill_slab);
	fixture_free(f);
}

/* cache_alloc_refill(), get_first_slab(), alloc_block(), fixup_slab_list(): one object of a partial slab, under the list lock. */
static void allocation_from_a_partial_slab(void **state)
{
	(void)state;
	struct fixture *f = fixture_new(false);
	alloc(f);
	f->steps.recording = true;
	assert_int_equal(alloc(f).addr, object(f, 0, 1).addr);
	expect(f, ENTRY REFILL
	       "lock node.list_lock 4\nread node.shared 8\n"
	       "read shared.avail 4\nread array.limit 4\nread array.avail 4\n"
	       "read node.partial 8\n" ALLOC_BLOCK("1") LIST_DEL("partial") LIST_ADD("partial")
	       "update node.free_objects 8\nunlock node.list_lock 4\n"
	       TAKE("entry[0]", "object1+0"));
	fixture_free(f);
}

/* ___cache_free() into the array and ____cache_alloc() out of it. Catches a lock, or a list, on the fast paths. */
#define FREE_ENTRY \
	"read slab0.list 8\nread slab0.flags 8\nread slab0.slab_cache 8\nread slab0.list 8\nread slab0.flags 8\n" \
	"read kmem_cache.cpu_cache 8\nread array.avail 4\nread array.limit 4\n"
static void the_cpus_array(void **state)
{
	(void)state;
	struct fixture *f = fixture_new(true);
	alloc(f);
	f->steps.recording = true;
	take(f, 0);
	expect(f, FREE_ENTRY "read array.avail 4\nupdate array.avail 4\nwrite array.entry[0] 8\n");
	assert_int_equal(f->text.instructions, f->settings.cost.slab_free);
	assert_int_equal(f->text.irqs_off, 1);
	assert_int_equal(f->text.irqs_on, 1);
	assert_int_equal(alloc(f).addr, object(f, 0, 0).addr);
	expect(f, ENTRY TAKE("entry[0]", "object0+0")
	       "read kmem_cache.ctor 8\nread kmem_cache.flags 4\nread kmem_cache.object_size 4\nwrite object0+0 1024\n");
	assert_int_equal(f->text.instructions, f->settings.cost.slab_alloc);
	fixture_free(f);
}

#define FLUSH \
	FREE_ENTRY "read array.batchcount 4\nread kmem_cache.node[0] 8\nlock node.list_lock 4\n" \
	"read node.shared 8\nread shared.limit 4\nread shared.avail 4\n"
/* The array's rest moves down, the object comes on top. */
#define FLUSH_END \
	"unlock node.list_lock 4\nupdate array.avail 4\nread array.entry[1] 8\nwrite array.entry[0] 8\n" \
	"read array.avail 4\nupdate array.avail 4\nwrite array.entry[1] 8\n"

/*
 * cache_flusharray(): the oldest object goes to the shared array; when that is full, free_block() puts the next one back into its
 * slab, which moves from the full list to the partial one. Then transfer_objects() takes the shared one.
 */
static void a_full_array_gives_away_and_takes_back(void **state)
{
	(void)state;
	struct fixture *f = fixture_new(false);
	for (uint32_t i = 0; i < PER_SLAB; i++)
		assert_int_equal(alloc(f).addr, object(f, 0, i).addr);
	take(f, 0);
	take(f, 1);
	f->steps.recording = true;
	take(f, 2);
	expect(f, FLUSH
	       "read array.entry[0] 8\nwrite shared.entry[0] 8\nupdate shared.avail 4\n" FLUSH_END);
	take(f, 3);
	expect(f, FLUSH
	       "read array.entry[0] 8\nupdate node.free_objects 8\n"
	       "read slab0.list 8\nread slab0.flags 8\n" LIST_DEL("full")
	       "read slab0.s_mem 8\nupdate slab0.active 4\nread slab0.freelist 8\nwrite slab0.freelist 8\n"
	       "write object1+3 1\n" LIST_ADD_TAIL("partial")
	       "read node.free_objects 8\nread node.free_limit 4\n" FLUSH_END);
	f->steps.recording = false;
	alloc(f);
	alloc(f);
	f->steps.recording = true;
	assert_int_equal(alloc(f).addr, object(f, 0, 0).addr);
	expect(f, ENTRY REFILL
	       "lock node.list_lock 4\nread node.shared 8\n"
	       "read shared.avail 4\nread array.limit 4\nread array.avail 4\n"
	       "read shared.entry[0] 8\nwrite array.entry[0] 8\nupdate shared.avail 4\nupdate array.avail 4\n"
	       "write shared.touched 4\nunlock node.list_lock 4\n"
	       TAKE("entry[0]", "object0+0"));
	fixture_free(f);
}
/* clang-format on */

/* __free_one(): CONFIG_SLAB_FREELIST_HARDENED looks at the entry on top for the same object. Catches a look at another entry. */
static void a_hardened_kernel_looks_at_the_top(void **state)
{
	(void)state;
	struct fixture *f = fixture_new(false);
	f->settings.kernel.slab_freelist_hardened = true;
	alloc(f);
	alloc(f);
	take(f, 1);
	f->steps.recording = true;
	take(f, 0);
	expect(f, FREE_ENTRY "read array.avail 4\nread array.entry[0] 8\nupdate array.avail 4\nwrite array.entry[1] 8\n");
	fixture_free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(allocation_from_a_new_slab),
	        cmocka_unit_test(allocation_from_a_partial_slab),
	        cmocka_unit_test(the_cpus_array),
	        cmocka_unit_test(a_full_array_gives_away_and_takes_back),
	        cmocka_unit_test(a_hardened_kernel_looks_at_the_top),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
