/* SPDX-License-Identifier: MIT
 *
 * test_steps_slub.c - what SLUB's paths touch, step by step: which field of which structure, in which order, which of it by a
 * locked instruction, and what under which lock. The lists were written from Linux 6.1 mm/slub.c (functions named at each) and
 * seen to be what Debian's kernel 6.1.0-56 does when it runs (docs/steps.md). A step that is missing, wrong or out of order
 * fails.
 *
 * The example is a cache of 1 KiB objects, four to a slab of one page; slab 0 is the page handed out first.
 */
#include "tests/unit/steps_text.h"

#include "models/object_allocator/slub.h"
#include "models/settings.h"
#include "tests/unit/frames.h"

#include <stdlib.h>

#define FIRST 0x100u
#define PER_SLAB 4u
#define SIZE 1024u
/* The free pointer lies in the middle of an object, where overflows of neighbours reach it last. */
#define OFFSET 512u

struct fixture {
	struct settings settings;
	struct layout layout;
	struct steps steps;
	struct frames frames;
	struct object_allocator *objects;
	struct slub_cache *cache;
	cache_id id;
	struct steps_text text;
};

static const struct text_field object_fields[] = {{0, "object"}, {OFFSET, "free_pointer"}, {0, NULL}};

static vaddr object(const struct fixture *f, uint32_t slab, uint32_t index)
{
	return vaddr_of(layout_page_address(&f->layout, pfn_of(FIRST + slab)).addr + index * SIZE);
}

static void name_structures(struct fixture *f)
{
	static const char *const slabs[] = {"slab0", "slab1", "slab2", "slab3"};
	static const char *const names[4][PER_SLAB] = {{"object00", "object01", "object02", "object03"},
	                                               {"object10", "object11", "object12", "object13"},
	                                               {"object20", "object21", "object22", "object23"},
	                                               {"object30", "object31", "object32", "object33"}};
	text_add(&f->text, "kmem_cache", f->cache->at.kmem_cache.addr, 224, slub_kmem_cache_fields);
	text_add(&f->text, "node", f->cache->at.node.addr, 64, slub_node_fields);
	text_add(&f->text, "cpu", layout_per_cpu(&f->layout, f->cache->at.cpu_offset, 0).addr, 32, kmem_cache_cpu_fields);
	text_add(&f->text, "nodestat", layout_per_cpu(&f->layout, slub_of(f->objects)->node_stat_offset, 0).addr, 64, NULL);
	for (uint32_t slab = 0; slab < 4; slab++) {
		text_add(&f->text, slabs[slab], layout_struct_page(&f->layout, pfn_of(FIRST + slab)).addr, 64, slub_slab_fields);
		for (uint32_t i = 0; i < PER_SLAB; i++)
			text_add(&f->text, names[slab][i], object(f, slab, i).addr, SIZE, object_fields);
	}
}

static struct fixture *fixture_new(bool hardened, bool init_on_alloc)
{
	struct fixture *f = calloc(1, sizeof *f);
	assert_non_null(f);
	settings_init(&f->settings);
	f->settings.machine.cpus = 2;
	f->settings.kernel.slub_max_order = 0;
	f->settings.kernel.slub_cpu_partial = true;
	f->settings.kernel.slab_merge = false;
	f->settings.kernel.slab_freelist_random = false;
	f->settings.kernel.slab_freelist_hardened = hardened;
	f->settings.kernel.init_on_alloc = init_on_alloc;
	layout_init(&f->layout, 64);
	steps_init(&f->steps, false);
	frames_init(&f->frames, FIRST);
	struct object_allocator_wiring wiring = {
	        .settings = &f->settings, .pages = &f->frames.base, .layout = &f->layout, .steps = &f->steps};
	struct error error = {0};
	f->objects = object_allocator_slub_create(&wiring, &error);
	assert_non_null(f->objects);
	f->id = cache_create(f->objects, &(struct cache_spec){.name = "test", .object_size = SIZE});
	f->cache = slub_of(f->objects)->caches[f->id.nr];
	assert_int_equal(f->cache->geometry.objects, PER_SLAB);
	assert_int_equal(f->cache->geometry.offset, OFFSET);
	assert_true(slub_tune_cpu_partial(slub_of(f->objects), f->cache, 4));
	assert_int_equal(f->cache->geometry.cpu_partial_slabs, 2);
	slub_tune_min_partial(f->cache, 0);
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

static vaddr alloc(struct fixture *f, unsigned cpu)
{
	steps_clear(&f->steps);
	return cache_alloc(f->objects, f->id, GFP_KERNEL, cpu).at;
}

static void take(struct fixture *f, uint32_t slab, uint32_t index, unsigned cpu)
{
	steps_clear(&f->steps);
	assert_int_equal(cache_free(f->objects, f->id, object(f, slab, index), cpu), OBJECT_FREE_OK);
}

static void expect(struct fixture *f, const char *steps)
{
	expect_steps(&f->text, &f->steps, steps);
}

/* The lists stay as they are written, a structure's steps to a line. */
/* clang-format off */
#define ENTRY \
	"read kmem_cache.object_size 4\nread kmem_cache.cpu_slab 8\n" \
	"read cpu.tid 8\nread cpu.freelist 8\nread cpu.slab 8\n"
#define REREAD(slab) "read " slab ".flags 8\nread cpu.slab 8\nread cpu.freelist 8\n"
#define COUNTERS(slab) "read " slab ".freelist 8\nread " slab ".counters 8\n"
#define EXCHANGE(slab) "read kmem_cache.flags 4\ncmpxchg " slab ".freelist 16\n"
#define LOAD_FREELIST(object) \
	"read kmem_cache.offset 4\nread " object ".free_pointer 8\n" \
	"write cpu.freelist 8\nupdate cpu.tid 8\n"

/* slab_alloc_node(): get_freepointer_safe(), this_cpu_cmpxchg_double(), prefetch_freepointer(). */
static void allocation_from_the_cpus_chain(void **state)
{
	(void)state;
	struct fixture *f = fixture_new(false, false);
	alloc(f, 0);
	f->steps.recording = true;
	assert_int_equal(alloc(f, 0).addr, object(f, 0, 1).addr);
	expect(f, ENTRY
	       "read kmem_cache.offset 4\n"
	       "read object01.free_pointer 8\n"
	       "read kmem_cache.cpu_slab 8\n"
	       "exchange cpu.freelist 16\n"
	       "read kmem_cache.offset 4\n"
	       "prefetch object02.free_pointer 1\n");
	assert_int_equal(f->text.instructions, f->settings.cost.slub_alloc);
	assert_int_equal(f->text.irqs_off + f->text.irqs_on, 0);
	fixture_free(f);
}

/* The same in Debian's kernel: freelist_ptr() reads the cache's secret, slab_want_init_on_alloc() its ctor and flags, and the
 * object is zeroed. Catches a zeroing that init_on_alloc does not ask for, and a secret that is read for nothing. */
static void allocation_hardened_and_zeroed(void **state)
{
	(void)state;
	struct fixture *f = fixture_new(true, true);
	alloc(f, 0);
	f->steps.recording = true;
	alloc(f, 0);
	expect(f, ENTRY
	       "read kmem_cache.offset 4\n"
	       "read object01.free_pointer 8\n"
	       "read kmem_cache.random 8\nread kmem_cache.cpu_slab 8\n"
	       "exchange cpu.freelist 16\n"
	       "read kmem_cache.offset 4\n"
	       "prefetch object02.free_pointer 1\n"
	       "read kmem_cache.ctor 8\nread kmem_cache.flags 4\nread kmem_cache.object_size 4\n"
	       "write object01.object 1024\n");
	assert_int_equal(f->text.instructions, f->settings.cost.slub_alloc + f->settings.cost.freelist_decode);
	fixture_free(f);
}

/* ___slab_alloc() up to new_slab, then allocate_slab(), new_slab, retry_load_slab, load_freelist. */
static void allocation_from_a_new_slab(void **state)
{
	(void)state;
	struct fixture *f = fixture_new(false, false);
	f->steps.recording = true;
	alloc(f, 0);
	expect(f, ENTRY
	       "read cpu.slab 8\nread cpu.partial 8\n"
	       "read kmem_cache.node[0] 8\nread node.nr_partial 8\n"
	       "read kmem_cache.oo 4\nread kmem_cache.allocflags 4\n"
	       "update slab0.flags 8\nread slab0.next 8\nupdate slab0.counters 8\n"
	       "update nodestat+6 1\n"
	       "write slab0.slab_cache 8\n"
	       "read kmem_cache.random_seq 8\nread kmem_cache.ctor 8\nwrite slab0.freelist 8\n"
	       "read kmem_cache.ctor 8\nread kmem_cache.offset 4\nwrite object00.free_pointer 8\n"
	       "read kmem_cache.ctor 8\nread kmem_cache.offset 4\nwrite object01.free_pointer 8\n"
	       "read kmem_cache.ctor 8\nread kmem_cache.offset 4\nwrite object02.free_pointer 8\n"
	       "read kmem_cache.offset 4\nwrite object03.free_pointer 8\n"
	       "update slab0.freelist 8\nupdate slab0.counters 8\n"
	       "read slab0.flags 8\nread kmem_cache.node[0] 8\n"
	       "atomic node.nr_slabs 8\natomic node.total_objects 8\n"
	       "read slab0.flags 8\n"
	       "read cpu.slab 8\nwrite cpu.slab 8\n"
	       LOAD_FREELIST("object00"));
	fixture_free(f);
}

/* slab_free(), do_slab_free(): the page leads to the slab twice, and the free pointer is written twice. */
static void free_into_the_cpus_chain(void **state)
{
	(void)state;
	struct fixture *f = fixture_new(true, true);
	alloc(f, 0);
	f->steps.recording = true;
	take(f, 0, 0, 0);
	expect(f,
	       "read slab0.next 8\nread slab0.flags 8\nread slab0.slab_cache 8\n"
	       "read slab0.next 8\nread slab0.flags 8\n"
	       "read kmem_cache.offset 4\nread kmem_cache.random 8\nwrite object00.free_pointer 8\n"
	       "read kmem_cache.cpu_slab 8\nread cpu.tid 8\nread cpu.slab 8\nread cpu.freelist 8\n"
	       "read kmem_cache.offset 4\nread kmem_cache.random 8\nwrite object00.free_pointer 8\n"
	       "read kmem_cache.cpu_slab 8\nexchange cpu.freelist 16\n");
	assert_int_equal(f->text.instructions, f->settings.cost.slub_free + 2 * f->settings.cost.freelist_decode);
	fixture_free(f);
}

#define FREE_ENTRY(slab, object) \
	"read " slab ".next 8\nread " slab ".flags 8\nread " slab ".slab_cache 8\n" \
	"read " slab ".next 8\nread " slab ".flags 8\n" \
	"read kmem_cache.offset 4\nwrite " object ".free_pointer 8\n" \
	"read kmem_cache.cpu_slab 8\nread cpu.tid 8\nread cpu.slab 8\n" \
	COUNTERS(slab) \
	"read kmem_cache.offset 4\nwrite " object ".free_pointer 8\n"

/* Allocates whole slabs 0 .. count - 1 on CPU 0; the last one stays its own. */
static void fill(struct fixture *f, uint32_t count)
{
	f->steps.recording = false;
	for (uint32_t i = 0; i < count * PER_SLAB; i++)
		assert_int_equal(alloc(f, 0).addr, object(f, i / PER_SLAB, i % PER_SLAB).addr);
	f->steps.recording = true;
}

/*
 * __slab_free() of an object of another CPU's slab: one locked instruction on the slab's struct page, which is what travels
 * between the CPUs; then ___slab_alloc(), get_freelist() on the CPU that owns the slab takes what was freed there.
 */
static void free_from_another_cpu_and_the_owners_refill(void **state)
{
	(void)state;
	struct fixture *f = fixture_new(false, false);
	fill(f, 1);
	text_add(&f->text, "cpu", layout_per_cpu(&f->layout, f->cache->at.cpu_offset, 1).addr, 32, kmem_cache_cpu_fields);
	take(f, 0, 1, 1);
	expect(f, FREE_ENTRY("slab0", "object01") EXCHANGE("slab0"));
	assert_int_equal(alloc(f, 0).addr, object(f, 0, 1).addr);
	expect(f, ENTRY
	       "read cpu.slab 8\n" REREAD("slab0") COUNTERS("slab0") EXCHANGE("slab0")
	       LOAD_FREELIST("object01"));
	fixture_free(f);
}

#define PUT_CPU_PARTIAL(slab) \
	"write " slab ".prev 4\nwrite " slab ".next 8\n" \
	"read kmem_cache.cpu_slab 8\nwrite cpu.partial 8\n"
#define EMPTIED "write cpu.slab 8\nupdate cpu.tid 8\nread cpu.partial 8\n"

/* __slab_free(), put_cpu_partial(): full slabs become CPU 0's partial slabs; then ___slab_alloc() takes one of them. */
static void cpu_partial_slabs_come_and_go(void **state)
{
	(void)state;
	struct fixture *f = fixture_new(false, false);
	fill(f, 3);
	take(f, 0, 0, 0);
	expect(f, FREE_ENTRY("slab0", "object00") EXCHANGE("slab0")
	       "read kmem_cache.cpu_slab 8\nread cpu.partial 8\n" PUT_CPU_PARTIAL("slab0"));
	take(f, 1, 0, 0);
	expect(f, FREE_ENTRY("slab1", "object10") EXCHANGE("slab1")
	       "read kmem_cache.cpu_slab 8\nread cpu.partial 8\n"
	       "read slab0.prev 4\nread kmem_cache.cpu_partial_slabs 4\n" PUT_CPU_PARTIAL("slab1"));
	assert_int_equal(alloc(f, 0).addr, object(f, 1, 0).addr);
	expect(f, ENTRY
	       "read cpu.slab 8\n" REREAD("slab2") COUNTERS("slab2") EXCHANGE("slab2") EMPTIED
	       "read cpu.slab 8\nread cpu.partial 8\nwrite cpu.slab 8\nread slab1.next 8\nwrite cpu.partial 8\n"
	       REREAD("slab1") COUNTERS("slab1") EXCHANGE("slab1") LOAD_FREELIST("object10"));
	/* The per-CPU lock at the used up slab, for the partial slab, and for its chain. */
	assert_int_equal(f->text.irqs_off, 3);
	assert_int_equal(f->text.irqs_on, 3);
	fixture_free(f);
}

/* add_partial() at the list's tail behind a list head; remove_partial() between two list heads. */
#define ADD_TAIL(slab, prev_next) \
	"update node.nr_partial 8\nread node.partial.prev 8\n" \
	"read node.partial.prev 8\nread " prev_next " 8\n" \
	"write node.partial.prev 8\nwrite " slab ".next 16\nwrite " prev_next " 8\n"
#define REMOVE(slab, prev_next, next_prev) \
	"read " slab ".next 16\nread " prev_next " 8\nread " next_prev " 8\n" \
	"write " next_prev " 8\nwrite " prev_next " 8\nwrite " slab ".next 16\n" \
	"update node.nr_partial 8\n"
#define FIND_NODE(slab) "read " slab ".flags 8\nread kmem_cache.node[0] 8\n"

/*
 * put_cpu_partial() with too many partial slabs, __unfreeze_partials(): the list lock is taken once, each slab changes by a
 * locked instruction and joins the node's tail. Then get_partial_node(), acquire_slab() take them back: the first for the CPU,
 * the next one as its partial slab.
 */
static void slabs_go_to_the_node_and_come_back(void **state)
{
	(void)state;
	struct fixture *f = fixture_new(false, false);
	fill(f, 4);
	take(f, 0, 0, 0);
	take(f, 1, 0, 0);
	take(f, 2, 0, 0);
	expect(f, FREE_ENTRY("slab2", "object20") EXCHANGE("slab2")
	       "read kmem_cache.cpu_slab 8\nread cpu.partial 8\n"
	       "read slab1.prev 4\nread kmem_cache.cpu_partial_slabs 4\n" PUT_CPU_PARTIAL("slab2")
	       "read slab1.next 8\n" FIND_NODE("slab1") "lock node.list_lock 4\n"
	       COUNTERS("slab1") EXCHANGE("slab1") ADD_TAIL("slab1", "node.partial.next")
	       "read slab0.next 8\n" FIND_NODE("slab0")
	       COUNTERS("slab0") EXCHANGE("slab0") ADD_TAIL("slab0", "slab1.next")
	       "unlock node.list_lock 4\n");
	assert_int_equal(f->text.irqs_off, 2);
	assert_int_equal(f->text.irqs_on, 2);
	f->steps.recording = false;
	alloc(f, 0); /* the one of slab 2, which is the CPU's now and used up */
	f->steps.recording = true;
	assert_int_equal(alloc(f, 0).addr, object(f, 1, 0).addr);
	expect(f, ENTRY
	       "read cpu.slab 8\n" REREAD("slab2") COUNTERS("slab2") EXCHANGE("slab2") EMPTIED
	       "read kmem_cache.node[0] 8\nread node.nr_partial 8\nlock node.list_lock 4\nread node.partial.next 8\n"
	       "read slab1.next 8\nread slab1.flags 8\n" COUNTERS("slab1") EXCHANGE("slab1")
	       REMOVE("slab1", "node.partial.next", "slab0.prev")
	       "read kmem_cache.cpu_partial_slabs 4\n"
	       "read slab0.next 8\nread slab0.flags 8\n" COUNTERS("slab0") EXCHANGE("slab0")
	       REMOVE("slab0", "node.partial.next", "node.partial.prev")
	       "read kmem_cache.cpu_slab 8\nread cpu.partial 8\n" PUT_CPU_PARTIAL("slab0")
	       "read kmem_cache.cpu_partial_slabs 4\n"
	       "unlock node.list_lock 4\n"
	       "read cpu.slab 8\nwrite cpu.slab 8\n"
	       LOAD_FREELIST("object10"));
	/* At the used up slab, for the list, within it for the CPU's partial slab, and to load the chain. */
	assert_int_equal(f->text.irqs_off, 4);
	assert_int_equal(f->text.irqs_on, 3);
	fixture_free(f);
}

/*
 * __slab_free() of the last object of a slab on the node's list, slab_empty, discard_slab(): the list lock is taken before the
 * slab's counters change, and given up before the page goes.
 */
static void the_last_free_gives_the_slab_back(void **state)
{
	(void)state;
	struct fixture *f = fixture_new(false, false);
	fill(f, 4);
	f->steps.recording = false;
	take(f, 0, 0, 0);
	take(f, 1, 0, 0);
	take(f, 2, 0, 0); /* slabs 1 and 0 are on the node's list */
	for (uint32_t i = 1; i < PER_SLAB - 1; i++)
		take(f, 0, i, 0);
	f->steps.recording = true;
	take(f, 0, PER_SLAB - 1, 0);
	expect(f, FREE_ENTRY("slab0", "object03")
	       FIND_NODE("slab0") "lock node.list_lock 4\n" EXCHANGE("slab0")
	       "read node.nr_partial 8\nread kmem_cache.min_partial 8\n"
	       REMOVE("slab0", "slab1.next", "node.partial.prev")
	       "unlock node.list_lock 4\n"
	       "read slab0.counters 8\n" FIND_NODE("slab0")
	       "atomic node.nr_slabs 8\natomic node.total_objects 8\n"
	       "read kmem_cache.flags 4\n"
	       "read slab0.flags 8\nupdate slab0.flags 8\nwrite slab0.slab_cache 8\n"
	       "update nodestat+6 1\n");
	assert_int_equal(f->frames.given, 1);
	fixture_free(f);
}
/* clang-format on */

/* virt_to_slab(): an object behind a slab's first page is found by its own page's struct, which names the head's. Catches a free
 * that looks at the head alone. */
static void a_free_reads_the_objects_own_page(void **state)
{
	(void)state;
	struct fixture *f = fixture_new(false, false);
	f->settings.kernel.slub_max_order = 3;
	object_allocator_destroy(f->objects);
	struct object_allocator_wiring wiring = {
	        .settings = &f->settings, .pages = &f->frames.base, .layout = &f->layout, .steps = &f->steps};
	struct error error = {0};
	f->objects = object_allocator_slub_create(&wiring, &error);
	f->id = cache_create(f->objects, &(struct cache_spec){.name = "test", .object_size = 4096});
	f->cache = slub_of(f->objects)->caches[f->id.nr];
	assert_true(f->cache->geometry.order > 0);
	vaddr last = VADDR_NULL;
	for (unsigned i = 0; i < 2; i++)
		last = alloc(f, 0);
	pfn tail = layout_pfn_of(&f->layout, last);
	assert_int_equal(tail.nr % 2, 1);
	f->steps.recording = true;
	steps_clear(&f->steps);
	cache_free(f->objects, f->id, last, 0);
	const struct step *first = f->steps.at;
	while (first->kind == STEP_SPEND || first->kind == STEP_IRQS)
		first++;
	assert_int_equal(first[0].address, layout_struct_page(&f->layout, tail).addr + 8);
	assert_int_equal(first[1].address, layout_struct_page(&f->layout, pfn_of(tail.nr - 1)).addr);
	fixture_free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(allocation_from_the_cpus_chain),
	        cmocka_unit_test(allocation_hardened_and_zeroed),
	        cmocka_unit_test(allocation_from_a_new_slab),
	        cmocka_unit_test(free_into_the_cpus_chain),
	        cmocka_unit_test(free_from_another_cpu_and_the_owners_refill),
	        cmocka_unit_test(cpu_partial_slabs_come_and_go),
	        cmocka_unit_test(slabs_go_to_the_node_and_come_back),
	        cmocka_unit_test(the_last_free_gives_the_slab_back),
	        cmocka_unit_test(a_free_reads_the_objects_own_page),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
