/* SPDX-License-Identifier: MIT
 *
 * test_kmalloc.c - size classes, types, names and the large path of kmalloc.h.
 *
 * Expected values: include/linux/slab.h (__kmalloc_index: the ranges of sizes), mm/slab_common.c (kmalloc_info: names), and the
 * known limit of 4 MiB.
 */
#include "tests/unit/test.h"

#include "models/object_allocator/kmalloc.h"
#include "models/settings.h"
#include "tests/unit/frames.h"

#include <stdlib.h>

struct made {
	struct cache_spec spec[64];
	enum kmalloc_cache_type type[64];
	uint32_t count;
};

struct fixture {
	struct settings settings;
	struct layout layout;
	struct steps steps;
	struct frames frames;
	struct object_allocator_wiring wiring;
	struct kmalloc kmalloc;
	struct made made;
};

static cache_id make(void *owner, const struct cache_spec *spec, enum kmalloc_cache_type type)
{
	struct made *made = owner;
	assert_true(made->count < 64);
	made->spec[made->count] = *spec;
	made->type[made->count] = type;
	return (cache_id){made->count++};
}

static struct fixture *fixture_new(unsigned shift_low, bool memcg)
{
	struct fixture *f = calloc(1, sizeof *f);
	assert_non_null(f);
	settings_init(&f->settings);
	f->settings.kernel.memcg_kmem = memcg;
	layout_init(&f->layout, 64);
	steps_init(&f->steps, false);
	frames_init(&f->frames, 0x100);
	f->wiring = (struct object_allocator_wiring){
	        .settings = &f->settings, .pages = &f->frames.base, .layout = &f->layout, .steps = &f->steps};
	kmalloc_init(&f->kmalloc, &f->wiring, shift_low);
	kmalloc_create_caches(&f->kmalloc, 0, make, &f->made);
	return f;
}

static void fixture_free(struct fixture *f)
{
	kmalloc_check(&f->kmalloc);
	kmalloc_release(&f->kmalloc);
	steps_release(&f->steps);
	settings_release(&f->settings);
	free(f);
}

static uint32_t served_by(const struct fixture *f, uint32_t size, gfp flags)
{
	return f->made.spec[kmalloc_slab(&f->kmalloc, size, flags).nr].object_size;
}

/* Catches a bound of a class that is off by one, a class left out, 96 or 192 used outside 65..96 and 129..192. */
static void every_size_gets_its_class(void **state)
{
	(void)state;
	static const uint32_t classes[] = {8, 16, 32, 64, 96, 128, 192, 256, 512, 1024, 2048, 4096, 8192};
	for (unsigned low = KMALLOC_SHIFT_LOW_SLUB; low <= KMALLOC_SHIFT_LOW_SLAB; low += 2) {
		struct fixture *f = fixture_new(low, false);
		unsigned class = low == KMALLOC_SHIFT_LOW_SLUB ? 0 : 2;
		for (uint32_t size = 1; size <= KMALLOC_MAX_CACHE_SIZE; size++) {
			if (size > classes[class])
				class ++;
			assert_int_equal(served_by(f, size, GFP_KERNEL), classes[class]);
		}
		fixture_free(f);
	}
}

/* Catches a wrong priority among the flags: DMA before reclaimable before accounted. */
static void the_type_follows_the_flags(void **state)
{
	(void)state;
	struct fixture *f = fixture_new(KMALLOC_SHIFT_LOW_SLUB, true);
	assert_int_equal(kmalloc_type(&f->kmalloc, GFP_KERNEL | __GFP_ZERO), KMALLOC_NORMAL);
	assert_int_equal(kmalloc_type(&f->kmalloc, GFP_KERNEL | __GFP_ACCOUNT), KMALLOC_CGROUP);
	assert_int_equal(kmalloc_type(&f->kmalloc, GFP_KERNEL | __GFP_ACCOUNT | __GFP_RECLAIMABLE), KMALLOC_RECLAIM);
	assert_int_equal(kmalloc_type(&f->kmalloc, GFP_KERNEL | __GFP_ACCOUNT | __GFP_RECLAIMABLE | __GFP_DMA), KMALLOC_DMA);
	assert_int_equal(kmalloc_type(&f->kmalloc, GFP_KERNEL | __GFP_DMA32), KMALLOC_NORMAL);
	fixture_free(f);
	f = fixture_new(KMALLOC_SHIFT_LOW_SLUB, false);
	assert_int_equal(kmalloc_type(&f->kmalloc, GFP_KERNEL | __GFP_ACCOUNT), KMALLOC_NORMAL);
	fixture_free(f);
}

/* Catches caches made in another order than the kernel's, under other names, with other flags or alignments. */
static void caches_are_made_in_order(void **state)
{
	(void)state;
	static const char *const first[] = {"kmalloc-8",  "kmalloc-16",  "kmalloc-32",  "kmalloc-64",
	                                    "kmalloc-96", "kmalloc-128", "kmalloc-192", "kmalloc-256"};
	struct fixture *f = fixture_new(KMALLOC_SHIFT_LOW_SLUB, true);
	assert_int_equal(f->made.count, 4 * 13);
	for (size_t i = 0; i < sizeof first / sizeof *first; i++)
		assert_string_equal(f->made.spec[i].name, first[i]);
	assert_string_equal(f->made.spec[12].name, "kmalloc-8k");
	assert_string_equal(f->made.spec[13].name, "kmalloc-cg-8");
	assert_string_equal(f->made.spec[2 * 13 + 9].name, "kmalloc-rcl-1k");
	assert_string_equal(f->made.spec[3 * 13 + 4].name, "dma-kmalloc-96");
	assert_int_equal(f->made.spec[0].flags & ~0x1000u, 0);
	assert_int_equal(f->made.spec[13].flags & ~0x1000u, SLAB_ACCOUNT);
	assert_int_equal(f->made.spec[2 * 13].flags & ~0x1000u, SLAB_RECLAIM_ACCOUNT);
	assert_int_equal(f->made.spec[3 * 13].flags & ~0x1000u, SLAB_CACHE_DMA);
	assert_int_equal(f->made.spec[0].align, 8);
	assert_int_equal(f->made.spec[4].align, 8); /* 96 is no power of two */
	assert_int_equal(f->made.spec[7].align, 256);
	fixture_free(f);
	f = fixture_new(KMALLOC_SHIFT_LOW_SLAB, false);
	assert_int_equal(f->made.count, 3 * 11);
	assert_string_equal(f->made.spec[0].name, "kmalloc-32");
	assert_string_equal(f->made.spec[11].name, "kmalloc-rcl-32");
	fixture_free(f);
}

/* Catches a wrong order for a size, a missing __GFP_COMP, and a limit other than 4 MiB. */
static void large_requests_take_whole_blocks(void **state)
{
	(void)state;
	struct fixture *f = fixture_new(KMALLOC_SHIFT_LOW_SLUB, false);
	static const struct {
		uint32_t size;
		unsigned order;
	} cases[] = {{8193, 2}, {16384, 2}, {16385, 3}, {1u << 20, 8}, {(1u << 20) + 1, 9}, {(1u << 22) - 1, 10}, {1u << 22, 10}};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct object object = kmalloc_large(&f->kmalloc, cases[i].size, GFP_KERNEL | __GFP_HIGHMEM, 0);
		assert_int_not_equal(object.at.addr, 0);
		assert_int_equal(f->frames.asked_order[i], cases[i].order);
		assert_int_equal(f->frames.asked_flags[i], GFP_KERNEL | __GFP_COMP);
		assert_int_equal(object.bytes_alloc, 4096u << cases[i].order);
		assert_int_equal(object.cache.nr, UINT32_MAX);
		assert_int_equal(kmalloc_large_bytes(&f->kmalloc, object.at), 4096u << cases[i].order);
		assert_int_equal(f->kmalloc.pages_large, 1u << cases[i].order);
		kmalloc_check(&f->kmalloc);
		assert_int_equal(kfree_large(&f->kmalloc, object.at, 0), OBJECT_FREE_OK);
		assert_int_equal(f->kmalloc.pages_large, 0);
	}
	uint32_t asked = f->frames.asked;
	assert_int_equal(kmalloc_large(&f->kmalloc, (1u << 22) + 1, GFP_KERNEL, 0).at.addr, 0);
	assert_int_equal(kmalloc_large(&f->kmalloc, 1u << 23, GFP_KERNEL, 0).at.addr, 0);
	assert_int_equal(kmalloc_large(&f->kmalloc, UINT32_MAX, GFP_KERNEL, 0).at.addr, 0);
	assert_int_equal(f->frames.asked, asked);
	assert_int_equal(f->kmalloc.counters.large_failures, 3);
	fixture_free(f);
}

/* Catches a double free that is not seen, a free inside a block that is taken, and an entry that is used by two blocks. */
static void wrong_large_frees_change_nothing(void **state)
{
	(void)state;
	struct fixture *f = fixture_new(KMALLOC_SHIFT_LOW_SLUB, false);
	struct object one = kmalloc_large(&f->kmalloc, 10000, GFP_KERNEL, 0),
	              two = kmalloc_large(&f->kmalloc, 20000, GFP_KERNEL, 0);
	assert_int_equal(kfree_large(&f->kmalloc, vaddr_of(one.at.addr + 8), 0), OBJECT_FREE_NOT_OBJECT);
	assert_int_equal(kfree_large(&f->kmalloc, vaddr_of(one.at.addr + 4096), 0), OBJECT_FREE_NOT_OBJECT);
	assert_int_equal(kfree_large(&f->kmalloc, vaddr_of(0x1000), 0), OBJECT_FREE_NOT_OBJECT);
	assert_int_equal(f->kmalloc.pages_large, 4 + 8);
	assert_int_equal(kfree_large(&f->kmalloc, one.at, 0), OBJECT_FREE_OK);
	assert_int_equal(kfree_large(&f->kmalloc, one.at, 0), OBJECT_FREE_NOT_OBJECT);
	struct object three = kmalloc_large(&f->kmalloc, 9000, GFP_KERNEL, 0);
	assert_int_equal(f->kmalloc.large_used, 2); /* the first one's entry serves again */
	kmalloc_check(&f->kmalloc);
	assert_int_equal(kfree_large(&f->kmalloc, two.at, 0), OBJECT_FREE_OK);
	assert_int_equal(kfree_large(&f->kmalloc, three.at, 0), OBJECT_FREE_OK);
	assert_int_equal(f->kmalloc.pages_large, 0);
	fixture_free(f);
}

/* Catches an entry or a count that stays behind when the page allocator has nothing. */
static void no_memory_for_a_large_request(void **state)
{
	(void)state;
	struct fixture *f = fixture_new(KMALLOC_SHIFT_LOW_SLUB, false);
	f->frames.fail_from_order = 3;
	assert_int_equal(kmalloc_large(&f->kmalloc, 20000, GFP_KERNEL, 0).at.addr, 0);
	assert_int_equal(f->kmalloc.pages_large, 0);
	assert_int_equal(f->kmalloc.counters.large_failures, 1);
	assert_int_equal(f->kmalloc.large_used, 0);
	fixture_free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(every_size_gets_its_class),        cmocka_unit_test(the_type_follows_the_flags),
	        cmocka_unit_test(caches_are_made_in_order),         cmocka_unit_test(large_requests_take_whole_blocks),
	        cmocka_unit_test(wrong_large_frees_change_nothing), cmocka_unit_test(no_memory_for_a_large_request),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
