/* SPDX-License-Identifier: MIT
 *
 * test_state_dump.c - reading recorded states, loading them into the buddy model, comparing with them; and what the reader does
 * with text that is no state. Each test names the mistake it would catch.
 */
#include "models/registry.h"
#include "models/settings.h"
#include "sim/rng.h"
#include "sim/state_dump.h"
#include "tests/unit/buddy.h"

#include <stdio.h>
#include <stdlib.h>

/* A machine of 8 MiB in the recorder's form (recorder and format: docs/formats.md); 0x410 is in use, 0x7f0..0x7ff are on an LRU
 * list. */
static const char *const lines[] = {
        "@STATE pg-initial what=pm ts=6541670784",
        "@MEM totalram=1024 totalhigh=0 pageshift=12 max_order=11 pageblock_order=10 migratetypes=4 mobility_off=0 "
        "max_low_pfn=800 "
        "max_pfn=800",
        "@ZONE 0 DMA start=400 spanned=1024 present=1024 managed=1024 wmin=21 wlow=26 whigh=31 boost=7 highatomic=0 phigh=26 "
        "pbatch=1 "
        "zflags=1 nr_free=562 diff0=-2 thr0=2 diff1=1 thr1=2 reserve=0,470,470,470 compact=0,0,0 drift=39",
        "@ZONE 2 Normal start=0 spanned=0 present=0 managed=0 wmin=0 wlow=0 whigh=0 boost=0 highatomic=0 phigh=4 pbatch=1 "
        "zflags=0 "
        "nr_free=0 diff0=0 thr0=0 diff1=0 thr1=0 reserve=0,0,0,0 compact=0,0,0 drift=0",
        "@FREE 0 0 0 : 403",
        "@FREE 0 4 0 : 420 440 460",
        "@FREE 0 9 1 : 600",
        "@PCP 0 0 count=3 high=26 batch=1 free_factor=2",
        "@PCPL 0 0 0 : 402",
        "@PCPL 0 0 4 : 404",
        "@PCP 0 1 count=0 high=26 batch=1 free_factor=0",
        "@PB 0 400 :1",
        "@MAP 0 : -1024 R2 x14 x1 l16",
        "@C kmalloc-8 8 8 8 0 40000000 0 512 0 512 5 120 2",
        "@END pg-initial ts=6545754708",
};
#define LINES (sizeof lines / sizeof lines[0])

static enum state_line_result feed(struct state_dump *dump, const char *text, uint64_t line, struct error *error)
{
	return state_dump_line(dump, text, strlen(text), line, error);
}

/* Reads `lines`, one of them replaced. */
static enum state_line_result read_all(struct state_dump *dump, size_t replaced, const char *by, struct error *error)
{
	enum state_line_result result = STATE_OUTSIDE;
	state_dump_init(dump);
	for (size_t i = 0; i < LINES && result != STATE_WRONG; i++)
		result = feed(dump, i == replaced ? by : lines[i], i + 1, error);
	return result;
}

static struct page_allocator *load(const struct state_dump *dump, struct bench *bench, struct error *error)
{
	memset(bench, 0, sizeof *bench);
	layout_init(&bench->layout, 64);
	struct page_allocator_wiring wiring = {.settings = &bench->settings, .layout = &bench->layout, .steps = &bench->steps};
	bench->pages = buddy_load(dump, &wiring, error);
	bench->buddy = (struct buddy *)bench->pages;
	return bench->pages;
}

/* Would catch: a field read from the wrong place, in the wrong base, or not at all. */
static void a_dump_is_read_whole(void **state)
{
	(void)state;
	struct state_dump dump;
	struct error error = {0};
	assert_int_equal(read_all(&dump, LINES, NULL, &error), STATE_WHOLE);
	assert_string_equal(dump.tag, "pg-initial");
	assert_true(state_dump_has(&dump, 'm') && !state_dump_has(&dump, 'c') && !state_dump_has(&dump, '\0'));
	assert_int_equal(dump.ts, 6541670784);
	assert_int_equal(dump.memory.max_pfn, 0x800);
	const struct state_zone *zone = &dump.zones[0];
	assert_string_equal(zone->name, "DMA");
	assert_int_equal(zone->start_pfn, 0x400);
	assert_int_equal(zone->nr_free, 562);
	assert_int_equal(zone->diff[0], -2);
	assert_int_equal(zone->cpus, 2);
	assert_int_equal(zone->lowmem_reserve[3], 470);
	assert_false(dump.zones[1].known);
	assert_int_equal(dump.free_list_count, 3);
	assert_int_equal(dump.free_lists[1].count, 3);
	assert_int_equal(dump.pfns[dump.free_lists[1].first + 2], 0x460);
	assert_int_equal(dump.pcps[0].free_factor, 2);
	assert_int_equal(dump.map[dump.map_count - 1].first, 0x411);
	assert_int_equal(dump.map[dump.map_count - 1].kind, 'l');
	assert_int_equal(dump.text_count, 1);
	assert_int_equal(dump.texts[0].line, 14);
	assert_string_equal(dump.texts[0].text, lines[13]);
	state_dump_release(&dump);
}

/* Would catch: a list in reverse, numbers left out, a comparison that sees nothing. */
static void a_loaded_state_equals_its_dump(void **state)
{
	(void)state;
	struct state_dump dump;
	struct bench bench;
	struct error error = {0};
	char text[256] = "";
	uint64_t compared = 0, equal = 0;
	read_all(&dump, LINES, NULL, &error);
	if (!load(&dump, &bench, &error))
		fail_msg("%s", error.text);
	page_allocator_check(bench.pages);
	buddy_compare(bench.pages, &dump, &compared, &equal, text, sizeof text);
	assert_string_equal(text, "");
	/* 44 free lists, 2 CPUs with 4 numbers and 12 lists, pageblocks, boost, highatomic, flags, the count and two differences.
	 */
	assert_int_equal(compared, 44 + 2 * (4 + 12) + 1 + 6);
	assert_int_equal(equal, compared);
	assert_int_equal(bench.pages->allocated_pages, 1024 - 561 - 3);
	assert_int_equal(page_alloc(bench.pages, 1, GFP_KERNEL | __GFP_DMA | __GFP_MOVABLE, 0).nr, 0x404);
	buddy_compare(bench.pages, &dump, &compared, &equal, text, sizeof text);
	assert_int_equal(compared - equal, 4); /* count, factor, list, and the boost flag that woke kswapd */
	assert_string_not_equal(text, "");
	page_allocator_destroy(bench.pages);
	state_dump_release(&dump);
}

/* Would catch: lines that mean nothing and are taken; a message without the line. */
static void damaged_lines_are_told(void **state)
{
	(void)state;
	static const struct {
		size_t line;
		const char *by;
	} cases[] = {
	        {0, "@STATE"},
	        {0, "@STATE tag ts=1"},
	        {0, "@STATE tag what=p ts=99999999999999999999999"},
	        {1, "@MEM totalram=x"},
	        {1, "@MEM totalram=1 totalhigh=0 pageshift=12 max_order=11 pageblock_order=99"},
	        {2, "@ZONE 16 DMA"},
	        {2, "@ZONE 0 a-name-that-is-much-too-long start=1"},
	        {2, "@ZONE 0 DMA start=fffffffffffff"},
	        {3, "@ZONE 0 DMA start=400 spanned=1 present=1 managed=1 wmin=0 wlow=0 whigh=0 boost=0 highatomic=0 phigh=0 "
	            "pbatch=0 "
	            "zflags=0 nr_free=0 diff1=0 thr1=0 reserve=0"},
	        {4, "@FREE 0 0 0 403"},
	        {4, "@FREE 0 0 : 403"},
	        {4, "@FREE 0 99 0 : 403"},
	        {4, "@FREE 0 0 0 : 403 zz"},
	        {4, "@FREE 0 0 0 : ffffffffffffffffff"},
	        {7, "@PCP 0 128 count=3 high=26 batch=1 free_factor=2"},
	        {7, "@PCP 0 0 count=3 high=26 batch=1 free_factor=99"},
	        {8, "@PCPL 0 0 64 : 402"},
	        {11, "@PB 0 400 :1x"},
	        {12, "@MAP 0 : R"},
	        {12, "@MAP 0 : R4000000000 R4000000000"},
	        {13, "@STATE again what=p ts=1"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct state_dump dump;
		struct error error = {0};
		char place[32];
		assert_int_equal(read_all(&dump, cases[i].line, cases[i].by, &error), STATE_WRONG);
		assert_int_equal(error.kind, ERROR_INPUT);
		snprintf(place, sizeof place, "line %zu ", cases[i].line + 1);
		assert_non_null(strstr(error.text, place));
		assert_int_equal(feed(&dump, "@END", 99, &error), STATE_OUTSIDE);
		state_dump_release(&dump);
	}
}

/* Would catch: states that contradict themselves and are taken as a start. */
static void contradicting_states_are_refused(void **state)
{
	(void)state;
	static const struct {
		size_t line;
		const char *by;
	} cases[] = {
	        {1, "@X"},
	        {2, "@X"},
	        {4, "@FREE 0 0 0 : 402"},         /* twice: also on a per-CPU list */
	        {4, "@FREE 0 0 0 : 421"},         /* inside a free block */
	        {4, "@FREE 0 0 0 : 403 403"},     /* the same twice */
	        {4, "@FREE 0 0 0 :"},             /* the count says one more */
	        {5, "@FREE 0 4 0 : 420 440 468"}, /* not aligned */
	        {5, "@FREE 0 4 9 : 420 440 460"}, /* no such type */
	        {6, "@FREE 0 9 1 : 800"},         /* beyond the zone */
	        {6, "@FREE 0 12 1 : 600"},        /* no such order */
	        {6, "@FREE 3 9 1 : 600"},         /* no such zone */
	        {7, "@PCP 0 0 count=4 high=26 batch=1 free_factor=2"},
	        {7, "@PCP 0 7 count=0 high=26 batch=1 free_factor=2"},
	        {8, "@PCPL 0 5 0 : 402"},  /* no such CPU */
	        {8, "@PCPL 0 0 40 : 402"}, /* no such list */
	        {11, "@PB 0 400 :11"},     /* more than the zone has */
	        {11, "@PB 0 0 :1"},        /* before the zone */
	        {11, "@PB 0 400 :7"},      /* no such type */
	        {3, "@ZONE 2 Strange start=0 spanned=0 present=0 managed=0 wmin=0 wlow=0 whigh=0 boost=0 highatomic=0 phigh=4 "
	            "pbatch=1 "
	            "zflags=0 nr_free=0 diff0=0 thr0=0 diff1=0 thr1=0 reserve=0,0,0,0 compact=0,0,0 drift=0"},
	        {3, "@ZONE 2 Normal start=500 spanned=16 present=16 managed=0 wmin=0 wlow=0 whigh=0 boost=0 highatomic=0 phigh=4 "
	            "pbatch=1 "
	            "zflags=0 nr_free=0 diff0=0 thr0=0 diff1=0 thr1=0 reserve=0,0,0,0 compact=0,0,0 drift=0"},
	        {3, "@ZONE 2 Normal start=0 spanned=0 present=0 managed=0 wmin=0 wlow=0 whigh=0 boost=0 highatomic=0 phigh=4 "
	            "pbatch=1 zflags=0 "
	            "nr_free=0 diff0=3 thr0=0 diff1=0 thr1=0 reserve=0,0,0,0 compact=0,0,0 drift=0"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct state_dump dump;
		struct bench bench;
		struct error error = {0};
		assert_int_equal(read_all(&dump, cases[i].line, cases[i].by, &error), STATE_WHOLE);
		if (load(&dump, &bench, &error))
			fail_msg("taken: %s", cases[i].by);
		assert_int_equal(error.kind, ERROR_INPUT);
		state_dump_release(&dump);
	}
}

/* Would catch: a reader that crashes, loops or eats memory on damage; every state that loads must also be sound. */
static void random_damage_is_survived(void **state)
{
	(void)state;
	struct rng rng;
	unsigned loaded = 0;
	rng_init(&rng, 1, "damage");
	for (unsigned round = 0; round < 20000; round++) {
		struct state_dump dump;
		struct bench bench;
		struct error error = {0};
		state_dump_init(&dump);
		uint32_t damaged = rng_below(&rng, LINES);
		for (size_t i = 0; i < LINES; i++) {
			char text[512];
			size_t length = strlen(lines[i]);
			memcpy(text, lines[i], length + 1);
			for (unsigned n = 0; i == damaged && n < 1 + round % 3; n++) {
				uint32_t at = rng_below(&rng, (uint32_t)length);
				text[at] = "0123456789abcdefx =:-,\0\377"[rng_below(&rng, 24)];
			}
			if (i == damaged && round % 7 == 0)
				length = rng_below(&rng, (uint32_t)length + 1);
			state_dump_line(&dump, text, length, i + 1, &error);
		}
		if (load(&dump, &bench, &error)) {
			page_allocator_check(bench.pages);
			for (unsigned n = 0; n < 20; n++)
				page_alloc(bench.pages, n % 5, GFP_KERNEL | __GFP_DMA, 0);
			page_allocator_check(bench.pages);
			page_allocator_destroy(bench.pages);
			loaded++;
		}
		state_dump_release(&dump);
	}
	assert_true(loaded > 1000 && loaded < 19000);
}

/* Would catch: the last of two differences told, not the first. */
static void the_first_difference_is_told(void **state)
{
	(void)state;
	struct state_dump dump;
	struct bench bench;
	struct error error = {0};
	char text[256] = "";
	uint64_t compared = 0, equal = 0;
	read_all(&dump, LINES, NULL, &error);
	assert_non_null(load(&dump, &bench, &error));
	struct zone *zone = &bench.buddy->zones[0];
	zone->watermark_boost += 1; /* of a zone's numbers the first */
	zone->nr_reserved_highatomic += 0x400;
	buddy_compare(bench.pages, &dump, &compared, &equal, text, sizeof text);
	assert_int_equal(compared - equal, 2);
	assert_non_null(strstr(text, "boost: expected 7, got 8"));
	page_allocator_destroy(bench.pages);
	state_dump_release(&dump);
}

/*
 * A dump names SLOB's pages that have room; those that are full are slab pages of the map and on no list. Would catch: full pages
 * left out, or a page with room counted twice; then it would not be SLOB's when its objects are freed.
 */
static void full_pages_of_slob_come_from_the_map(void **state)
{
	(void)state;
	struct state_dump dump;
	struct bench bench;
	struct error error = {0};
	enum state_line_result result = STATE_OUTSIDE;
	state_dump_init(&dump);
	for (size_t i = 0; i < LINES; i++) {
		const char *line = lines[i];
		if (strncmp(line, "@MAP", 4) == 0)
			line = "@MAP 0 : -1024 R2 x14 s3 l13";
		if (strncmp(line, "@C ", 3) == 0)
			line = "@SL small 410 20 [ 10+20 ]";
		result = feed(&dump, line, i + 1, &error);
		assert_int_not_equal(result, STATE_WRONG);
	}
	assert_int_equal(result, STATE_WHOLE);
	assert_non_null(load(&dump, &bench, &error));
	const struct object_allocator_wiring wiring = {
	        .settings = &bench.settings, .pages = bench.pages, .layout = &bench.layout, .steps = &bench.steps};
	struct object_allocator *objects = object_allocator_model("slob", &error)->create(&wiring, &error);
	if (!objects->ops->load_state(objects, &dump, &error))
		fail_msg("%s", error.text);
	assert_int_equal(objects->ops->pages_held(objects), 3);
	object_allocator_check(objects);
	object_allocator_destroy(objects);
	page_allocator_destroy(bench.pages);
	state_dump_release(&dump);
}

/*
 * The CPUs' lists of huge pages are there if the kernel has transparent huge pages, whether or not something is on them at the moment
 * of the dump. Would catch: the setting forgotten when a state is loaded.
 */
static void huge_lists_come_with_the_setting(void **state)
{
	(void)state;
	for (unsigned huge = 0; huge < 2; huge++) {
		struct state_dump dump;
		struct bench bench = {0};
		struct error error = {0};
		read_all(&dump, LINES, NULL, &error);
		layout_init(&bench.layout, 64);
		bench.settings.kernel.transparent_hugepage = huge;
		const struct page_allocator_wiring wiring = {
		        .settings = &bench.settings, .layout = &bench.layout, .steps = &bench.steps};
		bench.pages = buddy_load(&dump, &wiring, &error);
		assert_non_null(bench.pages);
		assert_int_equal(pcp_lists((struct buddy *)bench.pages), huge ? PCP_LISTS_MAX : PCP_LISTS_LOW);
		page_allocator_destroy(bench.pages);
		state_dump_release(&dump);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(a_dump_is_read_whole),
	        cmocka_unit_test(a_loaded_state_equals_its_dump),
	        cmocka_unit_test(damaged_lines_are_told),
	        cmocka_unit_test(contradicting_states_are_refused),
	        cmocka_unit_test(random_damage_is_survived),
	        cmocka_unit_test(the_first_difference_is_told),
	        cmocka_unit_test(full_pages_of_slob_come_from_the_map),
	        cmocka_unit_test(huge_lists_come_with_the_setting),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
