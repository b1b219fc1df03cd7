/* SPDX-License-Identifier: MIT
 *
 * test_vmalloc.c - areas of vmalloc against mm/vmalloc.c worked out by hand.
 */
#include "models/settings.h"
#include "models/virtual_allocator/vmalloc.h"
#include "sim/rng.h"
#include "tests/unit/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define START 0xffffc90000000000u
#define PAGES(n) ((uint64_t)(n) << PAGE_SHIFT)

/* ---- the trees ---- */

static uint32_t add(struct area_pool *pool, struct area_tree *tree, uint64_t start, uint64_t end)
{
	uint32_t area = area_new(pool);
	area_of(pool, area)->start = start;
	area_of(pool, area)->end = end;
	return area_insert(pool, tree, area) ? area : AREA_NONE;
}

/* What the search must find, by looking at every area in the order of addresses. */
static uint64_t lowest_by_walk(const struct area_pool *pool, const struct area_tree *tree, const struct area_request *request)
{
	for (uint32_t area = area_first(pool, tree); area; area = area_next(pool, area)) {
		const struct area *at = area_of(pool, area);
		uint64_t begin = at->start > request->start ? at->start : request->start;
		if (begin + request->size <= at->end)
			return begin + request->size <= request->end ? begin : 0;
	}
	return 0;
}

/* Would catch: a wrong rotation, colour or subtree size; a search that is not the lowest; a merge that forgets a neighbour. */
static void trees_hold_their_laws(void **state)
{
	(void)state;
	struct steps steps;
	struct area_pool pool;
	struct area_tree busy = {0}, spare = {0};
	struct rng rng;
	steps_init(&steps, false);
	rng_init(&rng, 3, "trees");
	area_pool_init(&pool, &steps, 64);
	add(&pool, &spare, PAGES(1), PAGES(100000));
	for (unsigned op = 0; op < 20000; op++) {
		struct area_request request = {.size = PAGES(1 + rng_below(&rng, 30)), .align = 1};
		request.start = PAGES(1 + (rng_below(&rng, 2) ? 0 : rng_below(&rng, 9000)));
		request.end = PAGES(99000);
		uint64_t begin = 0, expected = lowest_by_walk(&pool, &spare, &request);
		uint32_t from = area_lowest_match(&pool, &spare, &request, &begin);
		assert_int_equal(from ? begin : 0, expected);
		uint32_t victim = area_find_above(&pool, &busy, PAGES(rng_below(&rng, 9000)));
		if (victim && rng_below(&rng, 100) < 49) {
			uint32_t dropped[2];
			area_remove(&pool, &busy, victim);
			area_merge_or_add(&pool, &spare, victim, dropped);
			for (unsigned i = 0; i < 2 && dropped[i]; i++)
				area_drop(&pool, dropped[i]);
		} else if (from) {
			uint64_t end = area_of(&pool, from)->end, start = area_of(&pool, from)->start;
			area_remove(&pool, &spare, from);
			area_drop(&pool, from);
			if (start < begin)
				assert_true(add(&pool, &spare, start, begin));
			if (begin + request.size < end)
				assert_true(add(&pool, &spare, begin + request.size, end));
			assert_true(add(&pool, &busy, begin, begin + request.size));
		}
		if (op % 16)
			continue;
		area_tree_check(&pool, &busy, false);
		area_tree_check(&pool, &spare, true);
	}
	assert_int_equal(add(&pool, &spare, PAGES(99990), PAGES(99991)), AREA_NONE);
	area_pool_release(&pool);
}

/*
 * Would catch: a search for an aligned range that takes any area it fits into. The lower area has room for exactly the request,
 * aligned; the search wants room for the worst alignment too, so it goes right at once, unless the search stops at the area
 * itself.
 */
static void aligned_searches_want_the_worst_case(void **state)
{
	(void)state;
	struct steps steps;
	struct area_pool pool;
	struct area_tree tree = {0};
	uint64_t at;
	steps_init(&steps, false);
	area_pool_init(&pool, &steps, 64);
	uint32_t middle = add(&pool, &tree, PAGES(33), PAGES(34));
	add(&pool, &tree, PAGES(16), PAGES(24));
	uint32_t high = add(&pool, &tree, PAGES(65), PAGES(90));
	assert_int_equal(tree.root, middle);
	struct area_request request = {.size = PAGES(8), .align = PAGES(8), .start = PAGES(1), .end = PAGES(100)};
	assert_int_equal(area_lowest_match(&pool, &tree, &request, &at), high);
	assert_int_equal(at, PAGES(72));
	request.end = request.start + request.size;
	assert_int_equal(area_lowest_match(&pool, &tree, &request, &at), AREA_NONE);
	area_pool_release(&pool);
}

/* ---- areas ---- */

struct bench {
	struct settings settings;
	struct layout layout;
	struct steps steps;
	struct virtual_allocator *areas;
};

static void begin(struct bench *bench, unsigned cpus, bool is_64)
{
	struct error error = {0};
	memset(bench, 0, sizeof *bench);
	settings_init(&bench->settings);
	bench->settings.machine.cpus = cpus;
	bench->settings.machine.memory_bytes = 1ull << 30;
	layout_init(&bench->layout, 64);
	if (!is_64) {
		bench->settings.kernel.nr_cpus =
		        4; /* of a recorded boot (configs/kernels/lab-6.1-i386.yaml): MAXMEM is 373fe000 */
		const struct layout_32bit machine = settings_layout_32bit(&bench->settings);
		layout_set_32bit(&bench->layout, &machine);
	}
	steps_init(&bench->steps, false);
	struct virtual_allocator_wiring wiring = {.settings = &bench->settings, .layout = &bench->layout, .steps = &bench->steps};
	bench->areas = virtual_allocator_vmalloc_create(&wiring, &error);
	assert_non_null(bench->areas);
}

static void end(struct bench *bench)
{
	virtual_allocator_check(bench->areas);
	virtual_allocator_destroy(bench->areas);
	layout_release(&bench->layout);
	settings_release(&bench->settings);
}

static uint64_t take(struct bench *bench, uint64_t size)
{
	struct virtual_area area = virtual_alloc(bench->areas, size, 0);
	assert_int_equal(area.result, VIRTUAL_ALLOC_OK);
	return area.at.addr;
}

static void give(struct bench *bench, uint64_t at)
{
	assert_int_equal(virtual_free(bench->areas, vaddr_of(at), 0), VIRTUAL_FREE_OK);
}

/* Would catch: no guard page or two, a size that is not rounded up, a freed range that is used again before the purge. */
static void freed_areas_wait_for_the_purge(void **state)
{
	(void)state;
	struct bench bench;
	begin(&bench, 1, true);
	uint64_t first = take(&bench, 1), second = take(&bench, PAGES(2)), third = take(&bench, PAGES(1) + 1);
	assert_int_equal(first, START);
	assert_int_equal(second, START + PAGES(2));
	assert_int_equal(third, START + PAGES(5));
	give(&bench, first);
	assert_int_equal(bench.areas->ops->lazy_pages(bench.areas), 2);
	assert_int_equal(take(&bench, 1), START + PAGES(8));
	give(&bench, second);
	bench.areas->ops->purge(bench.areas, 0);
	assert_int_equal(bench.areas->ops->lazy_pages(bench.areas), 0);
	assert_int_equal(take(&bench, PAGES(4)), START);
	end(&bench);
}

/* Would catch: another limit than 8192 pages for each bit of the number of CPUs, or a purge at the limit instead of above it. */
static void the_purge_is_due_above_the_limit(void **state)
{
	(void)state;
	static const unsigned logs[][2] = {{1, 1}, {2, 2}, {3, 2}, {4, 3}, {64, 7}, {128, 8}};
	for (unsigned i = 0; i < sizeof logs / sizeof *logs; i++) {
		struct bench bench;
		uint64_t limit = 8192ull * logs[i][1];
		begin(&bench, logs[i][0], true);
		/* 255 pages and a guard page each; no page array of these is an area. */
		uint64_t areas = limit / 256;
		for (uint64_t n = 0; n < areas; n++)
			take(&bench, PAGES(255));
		uint64_t last = take(&bench, 1);
		for (uint64_t n = 0; n < areas; n++)
			give(&bench, START + n * PAGES(256));
		assert_int_equal(bench.areas->ops->lazy_pages(bench.areas), limit);
		give(&bench, last);
		assert_int_equal(bench.areas->ops->lazy_pages(bench.areas), 0);
		end(&bench);
	}
}

/* Would catch: a page array that is an area too early or too late (8 bytes a page: above 512 pages), or stays behind. */
static void long_page_arrays_are_areas(void **state)
{
	(void)state;
	struct bench bench;
	begin(&bench, 1, true);
	uint64_t small = take(&bench, PAGES(512)), large = take(&bench, PAGES(513));
	assert_int_equal(large, small + PAGES(513));
	uint64_t next = take(&bench, 1);
	assert_int_equal(next, large + PAGES(514) + PAGES(3));
	assert_int_equal(virtual_free(bench.areas, vaddr_of(large + PAGES(514)), 0), VIRTUAL_FREE_WRONG_CALL);
	give(&bench, large);
	assert_int_equal(bench.areas->ops->lazy_pages(bench.areas), 514 + 3);
	end(&bench);
}

/*
 * Would catch: a full range that fails although freed areas wait, or that never fails; a request for more than the whole range,
 * 120 MiB of 32 bits, that fails without a purge. The recorded i386 machine failed at 128 MiB with areas waiting, and
 * /proc/vmallocinfo had none of them behind it.
 */
static void a_full_range_purges_first(void **state)
{
	(void)state;
	struct bench bench;
	begin(&bench, 4, false);
	assert_int_equal(virtual_alloc(bench.areas, 128u << 20, 0).result, VIRTUAL_ALLOC_NO_SPACE);
	uint64_t first = take(&bench, 64u << 20);
	assert_int_equal(first, 0xf7bfe000);
	assert_int_equal(virtual_alloc(bench.areas, 64u << 20, 0).result, VIRTUAL_ALLOC_NO_SPACE);
	give(&bench, first);
	assert_true(bench.areas->ops->lazy_pages(bench.areas) > 0);
	assert_int_equal(take(&bench, 64u << 20), 0xf7bfe000);
	assert_int_equal(bench.areas->ops->lazy_pages(bench.areas), 0);
	give(&bench, take(&bench, 1));
	assert_int_equal(bench.areas->ops->lazy_pages(bench.areas), 2);
	assert_int_equal(virtual_alloc(bench.areas, 128u << 20, 0).result, VIRTUAL_ALLOC_NO_SPACE);
	assert_int_equal(bench.areas->ops->lazy_pages(bench.areas), 0);
	end(&bench);
}

/* Areas of so many pages of addresses, guard pages included, made and freed: they wait for the purge. */
static void make_lazy(struct bench *bench, uint64_t pages)
{
	uint64_t areas[32], count = 0;
	for (; pages > 513 && count < 31; pages -= 513)
		areas[count++] = take(bench, PAGES(512)); /* more would have an area for a page array */
	areas[count++] = take(bench, PAGES(pages - 1));
	while (count > 0)
		give(bench, areas[--count]);
}

/*
 * The recorded machine's vmalloc_pow2 (slab64, two CPUs): vmalloc and vfree of 1, 2, 4 ... bytes up to 256 MiB. Its free
 * addresses began at ffffc90001831000, and from there on 11,123 pages waited for a purge, as the last dump of the script before
 * it says, and four more, of a terminal that was opened in between. Purges come as 16, 64, 128 and 256 MiB are freed; the page
 * arrays of those outlive them. Would catch: page arrays of another length, a freed range that is used before the purge, a purge
 * too early or too late, or one that takes the page array with it.
 */
static void doubling_sizes_lie_as_recorded(void **state)
{
	(void)state;
	static const uint32_t first_free = 0x1831000,
	                      low[] = {
	                              0x43a8000, 0x43aa000, 0x43ac000, 0x43ae000, 0x43b0000, 0x43b2000, 0x43b4000, 0x43b6000,
	                              0x43b8000, 0x43ba000, 0x43bc000, 0x43be000, 0x43c0000, 0x43c2000, 0x43c5000, 0x43ca000,
	                              0x43d3000, 0x43e4000, 0x4405000, 0x4446000, 0x44c7000, 0x45c8000, 0x47c9000, 0x4bcd000,
	                              0x53d3000, 0x1831000, 0x63dd000, 0x3864000, 0x1872000,
	                      };
	struct bench bench;
	begin(&bench, 2, true);
	make_lazy(&bench, 11123);
	make_lazy(&bench, 4);
	for (unsigned i = 0; i < sizeof low / sizeof *low; i++) {
		uint64_t at = take(&bench, 1ull << i);
		assert_int_equal(at, START + low[i] - first_free);
		give(&bench, at);
	}
	/* 256 MiB and its page array, which /proc/vmallocinfo shows as unpurged behind it: 528384 bytes. */
	assert_int_equal(bench.areas->ops->lazy_pages(bench.areas), 528384 >> PAGE_SHIFT);
	end(&bench);
}

/* ---- pages ---- */

/* A page allocator that notes what it is asked for: frames ascend from 1; a bulk call gives at most `bulk_limit`. */
struct noted_pages {
	struct page_allocator port;
	char calls[512];
	unsigned bulk_limit;
	uint32_t next;
	uint32_t left;                           /* frames until memory is out */
	const struct virtual_allocator *watched; /* NULL: none */
	unsigned frees;
	uint64_t lazy[2]; /* pages of the watched one that wait for a purge, as the first and the second page are freed */
};

static void note(struct noted_pages *pages, const char *what, unsigned first, unsigned second)
{
	size_t used = strlen(pages->calls);
	snprintf(pages->calls + used, sizeof pages->calls - used, "%s %x %x;", what, first, second);
}

static pfn noted_alloc(struct page_allocator *base, unsigned order, gfp flags, unsigned cpu)
{
	struct noted_pages *pages = (struct noted_pages *)base;
	(void)cpu;
	note(pages, "one", order, flags);
	if (!pages->left)
		return PFN_NONE;
	pages->left--;
	return pfn_of(pages->next++);
}

static unsigned noted_bulk(struct page_allocator *base, gfp flags, unsigned cpu, unsigned wanted, pfn *frames)
{
	struct noted_pages *pages = (struct noted_pages *)base;
	unsigned taken = 0;
	(void)cpu;
	note(pages, "bulk", wanted, flags);
	for (; taken < wanted && taken < pages->bulk_limit && pages->left; taken++, pages->left--)
		frames[taken] = pfn_of(pages->next++);
	base->allocated_pages += taken;
	return taken;
}

static enum page_free_result noted_free(struct page_allocator *base, pfn frame, unsigned order, unsigned cpu)
{
	struct noted_pages *pages = (struct noted_pages *)base;
	(void)cpu;
	if (frame.nr < 4 || frame.nr % 100 == 0)
		note(pages, "free", frame.nr, order);
	if (pages->watched && pages->frees < 2)
		pages->lazy[pages->frees++] = pages->watched->ops->lazy_pages(pages->watched);
	pages->left++;
	return PAGE_FREE_OK;
}

static const struct page_allocator_ops noted_ops = {.alloc = noted_alloc, .free = noted_free, .alloc_bulk = noted_bulk};

/* Memory of 100,000 noted frames, on one CPU. */
static void begin_with_pages(struct bench *bench, struct noted_pages *pages)
{
	struct error error = {0};
	*pages = (struct noted_pages){.port = {.ops = &noted_ops, .end_pfn = 100000, .managed_pages = 100000},
	                              .bulk_limit = 100,
	                              .next = 1,
	                              .left = 100000};
	begin(bench, 1, true);
	virtual_allocator_destroy(bench->areas);
	const struct virtual_allocator_wiring wiring = {
	        .settings = &bench->settings, .pages = &pages->port, .layout = &bench->layout, .steps = &bench->steps};
	bench->areas = virtual_allocator_vmalloc_create(&wiring, &error);
	assert_non_null(bench->areas);
}

static void assert_calls(struct noted_pages *pages, const char *expected)
{
	assert_string_equal(pages->calls, expected);
	pages->calls[0] = '\0';
}

/*
 * Would catch: another size of bulk calls than 100, other flags (2cc2: GFP_KERNEL|__GFP_NOWARN|__GFP_HIGHMEM; tables dc0:
 * GFP_KERNEL|__GFP_ZERO), tables before pages, one table too many, a second bulk call after a short one, pages freed backwards.
 */
static void pages_come_in_the_kernels_order(void **state)
{
	(void)state;
	struct noted_pages pages;
	struct bench bench;
	begin_with_pages(&bench, &pages);
	uint64_t first = take(&bench, PAGES(250));
	assert_calls(&pages, "bulk 64 2cc2;bulk 64 2cc2;bulk 32 2cc2;one 0 dc0;one 0 dc0;");
	give(&bench, first);
	assert_calls(&pages, "free 1 0;free 2 0;free 3 0;free 64 0;free c8 0;");
	/* 251 pages of the first table's 512 are passed; 261 remain. */
	pages.bulk_limit = 3;
	take(&bench, PAGES(5));
	assert_calls(&pages, "bulk 5 2cc2;one 0 2cc2;one 0 2cc2;");
	pages.bulk_limit = 100;
	take(&bench, PAGES(254));
	assert_calls(&pages, "bulk 64 2cc2;bulk 64 2cc2;bulk 36 2cc2;");
	take(&bench, PAGES(1));
	assert_calls(&pages, "bulk 1 2cc2;one 0 dc0;");
	/* A request that memory cannot meet gives back what it got. */
	pages.left = 150;
	uint64_t allocated = pages.port.allocated_pages;
	assert_int_equal(virtual_alloc(bench.areas, PAGES(200), 0).result, VIRTUAL_ALLOC_NO_PAGES);
	assert_int_equal(pages.port.allocated_pages, allocated);
	end(&bench);
	assert_int_equal(pages.port.allocated_pages, 0);
}

/*
 * 32 MiB on one CPU are one page more than may wait, with their guard page. Would catch: a purge at the end of vfree(), which
 * would take the page array (16 pages and a guard page) too, or one before the freeing task can have given the CPU up.
 */
static void the_purge_comes_behind_the_first_page(void **state)
{
	(void)state;
	struct noted_pages pages;
	struct bench bench;
	begin_with_pages(&bench, &pages);
	uint64_t at = take(&bench, 32u << 20);
	pages.watched = bench.areas;
	give(&bench, at);
	pages.watched = NULL;
	assert_int_equal(pages.lazy[0], 8193);
	assert_int_equal(pages.lazy[1], 0);
	assert_int_equal(bench.areas->ops->lazy_pages(bench.areas), 17);
	end(&bench);
}

/* ---- calls beside vmalloc() ---- */

static struct virtual_area get(struct bench *bench, const struct virtual_request *request, unsigned cpu)
{
	struct virtual_area area = virtual_get(bench->areas, request, cpu);
	assert_int_equal(area.result, VIRTUAL_ALLOC_OK);
	return area;
}

static const struct vmalloc_counters *counters(const struct bench *bench)
{
	return bench->areas->ops->counters(bench->areas);
}

/*
 * Would catch: an area of large pages that is not aligned to them or not whole ones, large pages for less than one, a table that
 * stays behind one, large pages on 32 bits (which then have 4 MiB of small ones from the start of the range on).
 */
static void large_pages_are_aligned(void **state)
{
	(void)state;
	const struct virtual_request huge = {.call = CALL_VMALLOC_HUGE, .size = 3u << 20};
	const struct virtual_request less = {.call = CALL_VMALLOC_HUGE, .size = (2u << 20) - 1};
	struct bench bench;
	begin(&bench, 1, true);
	take(&bench, 1);
	uint64_t at = get(&bench, &huge, 0).at.addr;
	assert_int_equal(at, START + (2u << 20));
	assert_int_equal(counters(&bench)->large_mappings, 2);
	/* In front of the large one there is room: two pages of the first area, three of the page array, then 512 and a guard
	 * page do not fit before 2 MiB. */
	assert_int_equal(get(&bench, &less, 0).at.addr, at + (4u << 20) + PAGE_SIZE);
	assert_int_equal(counters(&bench)->large_mappings, 2);
	assert_int_equal(virtual_put(bench.areas, vaddr_of(at), &(struct virtual_request){.call = CALL_VMALLOC}, 0),
	                 VIRTUAL_FREE_OK);
	end(&bench);
	begin(&bench, 1, false);
	get(&bench, &huge, 0);
	assert_int_equal(counters(&bench)->large_mappings, 0);
	end(&bench);
}

/*
 * Would catch: pages of a stack, a module or a page array counted as another's, a stack that a CPU keeps left out, pages of a
 * large area (513 of them need an array of two) counted with those of its array.
 */
static void pages_are_counted_by_what_they_are_of(void **state)
{
	(void)state;
	const struct virtual_request stack = {.call = CALL_THREAD_STACK, .size = PAGES(4)};
	const struct virtual_request module = {.call = CALL_MODULE_ALLOC, .size = PAGES(7)};
	struct noted_pages pages;
	struct bench bench;
	uint64_t stacks[4];
	begin_with_pages(&bench, &pages);
	uint64_t area = take(&bench, PAGES(513)), code = get(&bench, &module, 0).at.addr;
	for (unsigned i = 0; i < 4; i++)
		stacks[i] = get(&bench, &stack, 0).at.addr;
	assert_int_equal(counters(&bench)->pages_of_areas, 513);
	assert_int_equal(counters(&bench)->pages_of_arrays, 2);
	assert_int_equal(counters(&bench)->pages_of_modules, 7);
	assert_int_equal(counters(&bench)->pages_of_stacks, 16);
	virtual_allocator_check(bench.areas);
	give(&bench, area);
	assert_int_equal(virtual_put(bench.areas, vaddr_of(code), &module, 0), VIRTUAL_FREE_OK);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(virtual_put(bench.areas, vaddr_of(stacks[i]), &stack, 0), VIRTUAL_FREE_OK);
	assert_int_equal(counters(&bench)->pages_of_areas + counters(&bench)->pages_of_arrays, 0);
	assert_int_equal(counters(&bench)->pages_of_modules, 0);
	assert_int_equal(counters(&bench)->pages_of_stacks, 8);
	end(&bench);
}

/*
 * Would catch: an ioremap() that is aligned to a page or beyond 1 GiB, that counts the offset in its page twice, or that is
 * mapped in large pages though its physical address is not aligned.
 */
static void devices_are_aligned_to_their_size(void **state)
{
	(void)state;
	const struct virtual_request small = {.call = CALL_IOREMAP, .size = 0x2010, .physical = 0xfed00ff0};
	const struct virtual_request large = {.call = CALL_IOREMAP, .size = 3ull << 30, .physical = 0xc0000000};
	const struct virtual_request odd = {.call = CALL_IOREMAP, .size = 2u << 20, .physical = 0xc0001000};
	struct bench bench;
	begin(&bench, 1, true);
	take(&bench, 1);
	assert_int_equal(get(&bench, &small, 0).at.addr, START + PAGES(4) + 0xff0);
	assert_int_equal(get(&bench, &odd, 0).at.addr, START + (2u << 20));
	assert_int_equal(counters(&bench)->large_mappings, 0);
	uint64_t at = get(&bench, &large, 0).at.addr;
	assert_int_equal(at % (1u << 30), 0);
	assert_int_equal(counters(&bench)->large_mappings, 3 * 512);
	assert_int_equal(virtual_put(bench.areas, vaddr_of(START + PAGES(4) + 0xff0), &small, 0), VIRTUAL_FREE_OK);
	assert_int_equal(virtual_put(bench.areas, vaddr_of(START + PAGES(4) + 0xff0), &small, 0), VIRTUAL_FREE_NOT_AREA);
	end(&bench);
}

/* Would catch: modules elsewhere than behind the image, beyond its end, or left to a later purge (vm_unmap_aliases). On 32 bits
 * they lie in vmalloc's range. */
static void modules_have_their_range(void **state)
{
	(void)state;
	const struct virtual_request module = {.call = CALL_MODULE_ALLOC, .size = 0x5000};
	const struct virtual_request longest = {.call = CALL_MODULE_ALLOC, .size = 0xffffffffff000000 - 0xffffffffa0000000};
	struct bench bench;
	begin(&bench, 2, true);
	uint64_t at = get(&bench, &module, 0).at.addr;
	assert_int_equal(at, 0xffffffffa0000000);
	assert_int_equal(get(&bench, &module, 0).at.addr, at + PAGES(6));
	assert_int_equal(virtual_get(bench.areas, &longest, 0).result, VIRTUAL_ALLOC_NO_SPACE);
	assert_int_equal(virtual_put(bench.areas, vaddr_of(at), &module, 0), VIRTUAL_FREE_OK);
	assert_int_equal(bench.areas->ops->lazy_pages(bench.areas), 0);
	assert_int_equal(get(&bench, &module, 0).at.addr, at);
	end(&bench);
	begin(&bench, 2, false);
	assert_int_equal(get(&bench, &module, 0).at.addr, 0xf7bfe000);
	end(&bench);
}

/* Would catch: more or fewer than two stacks kept, one that another CPU gets, the older one first, a kept stack that can be
 * freed.
 */
static void two_stacks_wait_on_each_cpu(void **state)
{
	(void)state;
	const struct virtual_request stack = {.call = CALL_THREAD_STACK};
	struct bench bench;
	vaddr at[4];
	begin(&bench, 2, true);
	take(&bench, 1);
	for (unsigned i = 0; i < 4; i++)
		at[i] = get(&bench, &stack, 0).at;
	/* 16 KiB, aligned to that, with a guard page: every 32 KiB. */
	assert_int_equal(at[0].addr, START + PAGES(4));
	assert_int_equal(at[1].addr, START + PAGES(12));
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(virtual_put(bench.areas, at[i], &stack, 0), VIRTUAL_FREE_OK);
	assert_int_equal(bench.areas->ops->lazy_pages(bench.areas), 5);
	assert_int_equal(virtual_put(bench.areas, at[0], &stack, 0), VIRTUAL_FREE_NOT_AREA);
	assert_int_equal(get(&bench, &stack, 1).at.addr, START + PAGES(36));
	assert_int_equal(get(&bench, &stack, 0).at.addr, at[0].addr);
	assert_int_equal(get(&bench, &stack, 0).at.addr, at[1].addr);
	assert_int_equal(counters(&bench)->stacks_from_cache, 2);
	end(&bench);
}

static uint64_t map_ram(struct bench *bench, uint32_t pages, unsigned cpu)
{
	static pfn frames[65];
	const struct virtual_request request = {.call = CALL_VM_MAP_RAM, .size = PAGES(pages), .frames = frames};
	return get(bench, &request, cpu).at.addr;
}

static void unmap_ram(struct bench *bench, uint64_t at, uint32_t pages, enum virtual_free_result expected)
{
	const struct virtual_request request = {.call = CALL_VM_MAP_RAM, .size = PAGES(pages)};
	assert_int_equal(virtual_put(bench->areas, vaddr_of(at), &request, 0), expected);
}

/*
 * Blocks of 256 pages (a kernel for 8192 CPUs), 1 MiB each. Would catch: pieces that are not powers of two, that are used again
 * before the whole block came back, a block that two CPUs share, a fragmented one that survives a purge, 65 pages from a block.
 */
static void short_mappings_come_from_blocks(void **state)
{
	(void)state;
	struct bench bench;
	begin(&bench, 2, true);
	uint64_t first = map_ram(&bench, 3, 0);
	assert_int_equal(first, START);
	assert_int_equal(map_ram(&bench, 1, 0), START + PAGES(4));
	assert_int_equal(map_ram(&bench, 1, 1), START + PAGES(256));
	assert_int_equal(map_ram(&bench, 65, 0), START + PAGES(512));
	unmap_ram(&bench, START, 1, VIRTUAL_FREE_NOT_AREA);
	unmap_ram(&bench, START, 3, VIRTUAL_FREE_OK);
	unmap_ram(&bench, START, 3, VIRTUAL_FREE_NOT_AREA);
	assert_int_equal(map_ram(&bench, 64, 0), START + PAGES(5));
	unmap_ram(&bench, START + PAGES(5), 64, VIRTUAL_FREE_OK);
	bench.areas->ops->purge(bench.areas, 0);
	assert_int_equal(counters(&bench)->ram_blocks_freed, 0);
	unmap_ram(&bench, START + PAGES(4), 1, VIRTUAL_FREE_OK);
	unmap_ram(&bench, START + PAGES(512), 65, VIRTUAL_FREE_OK);
	bench.areas->ops->purge(bench.areas, 0);
	assert_int_equal(counters(&bench)->ram_blocks_fragmented, 1);
	assert_int_equal(bench.areas->ops->lazy_pages(bench.areas), 0);
	/* Four pieces of 64 pages fill a block, and the last of them to come back frees it. */
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(map_ram(&bench, 64, 0), START + PAGES(64 * i));
	for (unsigned i = 0; i < 4; i++)
		unmap_ram(&bench, START + PAGES(64 * i), 64, VIRTUAL_FREE_OK);
	assert_int_equal(bench.areas->ops->lazy_pages(bench.areas), 256);
	end(&bench);
}

/* Would catch: a flush that leaves a CPU out, interrupts the own one, does not wait, or drops page by page what is more than 33.
 */
static void a_purge_flushes_every_cpu(void **state)
{
	(void)state;
	static const uint32_t pages[] = {32, 33}; /* and a guard page */
	for (unsigned i = 0; i < 2; i++) {
		struct bench bench;
		begin(&bench, 4, true);
		bench.steps.recording = true;
		give(&bench, take(&bench, PAGES(pages[i])));
		steps_clear(&bench.steps);
		bench.areas->ops->purge(bench.areas, 2);
		unsigned sent = 0, dropped = 0, all = 0, waits = 0;
		for (uint32_t s = 0; s < bench.steps.count; s++) {
			const struct step *step = &bench.steps.at[s];
			if (step->kind == STEP_IPI)
				sent |= 1u << step->bytes;
			dropped += step->kind == STEP_INVALIDATE && step->address != STEP_ALL_ADDRESSES;
			all += step->kind == STEP_INVALIDATE && step->address == STEP_ALL_ADDRESSES;
			waits += step->kind == STEP_IPI_WAIT;
		}
		assert_int_equal(sent, 1u << 0 | 1u << 1 | 1u << 3);
		assert_int_equal(dropped, i == 0 ? 33 : 0);
		assert_int_equal(all, i);
		assert_int_equal(waits, 1);
		steps_release(&bench.steps);
		end(&bench);
	}
}

/* vmalloc=256M on a machine of 1 GiB: ff3fe000 - 256 MiB is where low memory ends, and 8 MiB later the range begins. With 64 MiB
 * of memory it begins 8 MiB above them, with 896 MiB of low memory above those. Would catch: a range that knows none of it. */
static void the_reserve_moves_the_range(void **state)
{
	(void)state;
	static const uint64_t cases[][4] = {{1ull << 30, 256ull << 20, 0, 0xefbfe000},
	                                    {64ull << 20, 128ull << 20, 0, 0xc4800000},
	                                    {1ull << 30, 128ull << 20, 0, 0xf7bfe000},
	                                    {1ull << 30, 128ull << 20, 896ull << 20, 0xf8800000}};
	for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct error error = {0};
		struct bench bench;
		begin(&bench, 1, false);
		virtual_allocator_destroy(bench.areas);
		bench.settings.machine.memory_bytes = cases[i][0];
		bench.settings.kernel.vmalloc_reserve_bytes = cases[i][1];
		bench.settings.kernel.lowmem_bytes = cases[i][2];
		struct virtual_allocator_wiring wiring = {
		        .settings = &bench.settings, .layout = &bench.layout, .steps = &bench.steps};
		bench.areas = virtual_allocator_vmalloc_create(&wiring, &error);
		assert_int_equal(take(&bench, 1), cases[i][3]);
		end(&bench);
	}
}

/* The lines of s_show() worked out by hand. Would catch: another order of the words, a width, a missing guard page in the sizes,
 * a page count that vmap does not have, purged areas in front. */
static void vmallocinfo_is_the_kernels(void **state)
{
	(void)state;
	static pfn frames[2];
	const struct virtual_request map = {.call = CALL_VMAP, .size = PAGES(2), .frames = frames, .caller = "drm_gem_vmap"};
	const struct virtual_request io = {.call = CALL_IOREMAP, .size = 0x10, .physical = 0xfed00004, .caller = "hpet_enable"};
	struct noted_pages pages;
	struct bench bench;
	char *printed;
	size_t bytes;
	begin_with_pages(&bench, &pages);
	uint64_t gone = take(&bench, 1);
	get(&bench, &(struct virtual_request){.call = CALL_VMALLOC, .size = PAGES(513), .caller = "n_tty_open"}, 0);
	get(&bench, &map, 0);
	get(&bench, &io, 0);
	map_ram(&bench, 65, 0);
	give(&bench, gone);
	FILE *out = open_memstream(&printed, &bytes);
	bench.areas->ops->print_info(bench.areas, out);
	fclose(out);
	assert_string_equal(printed, "0xffffc90000002000-0xffffc90000204000 2105344 n_tty_open pages=513 vmalloc vpages N0=513\n"
	                             "0xffffc90000204000-0xffffc90000207000   12288 n_tty_open pages=2 vmalloc N0=2\n"
	                             "0xffffc90000207000-0xffffc9000020a000   12288 drm_gem_vmap vmap\n"
	                             "0xffffc9000020a000-0xffffc9000020c000    8192 hpet_enable phys=0x00000000fed00000 ioremap\n"
	                             "0xffffc9000020c000-0xffffc9000024d000  266240 vm_map_ram\n"
	                             "0xffffc90000000000-0xffffc90000002000    8192 unpurged vm_area\n");
	free(printed);
	end(&bench);
}

/* ---- dumps ---- */

static const char dump_text[] = "@VM start=ffffc90000000000 end=ffffe8ffffffffff lazy=6\n"
                                "@VA free : 1-ffffc90000000000 ffffc90000006000-ffffffffffffffff\n"
                                "@VA busy :\n"
                                "@VA purge : ffffc90000000000-ffffc90000006000\n";

static bool load(struct bench *bench, const char *lines)
{
	struct state_dump dump;
	struct error error = {0};
	char *text = xasprintf("@STATE a what=v ts=1\n%s@END a ts=2\n", lines), *rest = text;
	uint64_t number = 0;
	state_dump_init(&dump);
	for (char *line; (line = strsep(&rest, "\n")) && *line;)
		assert_int_not_equal(state_dump_line(&dump, line, strlen(line), ++number, &error), STATE_WRONG);
	bool done = vmalloc_load_state(bench->areas, &dump, &error);
	assert_int_equal(done, error.kind == ERROR_NONE);
	state_dump_release(&dump);
	free(text);
	return done;
}

/* Would catch: a list that is read into another, lazy pages that are not counted, a printed form that the recorder does not have.
 */
static void a_dump_comes_back(void **state)
{
	(void)state;
	struct bench bench;
	char *printed;
	size_t bytes;
	begin(&bench, 1, true);
	assert_true(load(&bench, dump_text));
	FILE *out = open_memstream(&printed, &bytes);
	bench.areas->ops->print_state(bench.areas, out);
	fclose(out);
	assert_string_equal(printed, dump_text);
	free(printed);
	assert_int_equal(take(&bench, 1), START + PAGES(6));
	end(&bench);
}

/* Would catch: areas that overlap, run backwards or have no range being taken in. */
static void a_wrong_dump_is_refused(void **state)
{
	(void)state;
	static const char *const wrong[] = {
	        "@VA free : 1-2000\n",
	        "@VM start=ffffc90000000000 end=ffffc80000000000 lazy=0\n",
	        "@VM start=ffffc90000000000 end=ffffe8ffffffffff lazy=0\n@VA free : 1-2000 1000-3000\n",
	        "@VM start=ffffc90000000000 end=ffffe8ffffffffff lazy=0\n@VA free : 3000-2000\n",
	        "@VM start=ffffc90000000000 end=ffffe8ffffffffff lazy=0\n@VA idle : 1-2\n",
	        "@VM start=ffffc90000000000 end=ffffe8ffffffffff lazy=0\n@VA busy : 1-2 x\n",
	        "",
	};
	for (unsigned i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		struct bench bench;
		begin(&bench, 1, true);
		assert_false(load(&bench, wrong[i]));
		virtual_allocator_destroy(bench.areas);
		layout_release(&bench.layout);
		settings_release(&bench.settings);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(trees_hold_their_laws),
	        cmocka_unit_test(aligned_searches_want_the_worst_case),
	        cmocka_unit_test(freed_areas_wait_for_the_purge),
	        cmocka_unit_test(the_purge_is_due_above_the_limit),
	        cmocka_unit_test(long_page_arrays_are_areas),
	        cmocka_unit_test(a_full_range_purges_first),
	        cmocka_unit_test(pages_come_in_the_kernels_order),
	        cmocka_unit_test(the_purge_comes_behind_the_first_page),
	        cmocka_unit_test(a_dump_comes_back),
	        cmocka_unit_test(a_wrong_dump_is_refused),
	        cmocka_unit_test(doubling_sizes_lie_as_recorded),
	        cmocka_unit_test(large_pages_are_aligned),
	        cmocka_unit_test(pages_are_counted_by_what_they_are_of),
	        cmocka_unit_test(devices_are_aligned_to_their_size),
	        cmocka_unit_test(modules_have_their_range),
	        cmocka_unit_test(two_stacks_wait_on_each_cpu),
	        cmocka_unit_test(short_mappings_come_from_blocks),
	        cmocka_unit_test(a_purge_flushes_every_cpu),
	        cmocka_unit_test(the_reserve_moves_the_range),
	        cmocka_unit_test(vmallocinfo_is_the_kernels),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
