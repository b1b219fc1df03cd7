/* SPDX-License-Identifier: MIT
 *
 * test_start_state.c - states as a run's start: reading them, bringing allocators into them, following a recording from there.
 */
#include "tests/unit/state_world.h"

#include "sim/follow.h"

/* Catches: a list loaded backwards, a full slab forgotten, a slab whose frames cannot be given back. */
static void test_dump_is_loaded_in_order(void **unused)
{
	(void)unused;
	struct world world;
	begin(&world, dump_text);
	assert_int_equal(world.settings.machine.cpus, 1);
	cache_id cache = things(&world);
	assert_int_equal(cache_alloc(world.objects, cache, GFP_KERNEL, 0).at.addr, address(&world, 0x10, 0));
	assert_int_equal(cache_alloc(world.objects, cache, GFP_KERNEL, 0).at.addr, address(&world, 0x10, 3072));
	assert_int_equal(page_alloc(world.pages, 0, GFP_KERNEL, 0).nr, 0x31);
	for (uint32_t i = 0; i < 4; i++)
		assert_int_equal(cache_free(world.objects, cache, vaddr_of(address(&world, 0x11, i * 1024)), 0), OBJECT_FREE_OK);
	end(&world);
}

/* Catches: an unseen allocation that leaves those before it off the list in the wrong order, or that counts as equal. */
static void test_follow_takes_what_no_event_took(void **unused)
{
	(void)unused;
	struct world world;
	struct follow follow;
	struct object object;
	begin(&world, dump_text);
	follow_init(&follow, world.objects, world.layout.direct_map, world.pages->end_pfn, 0);
	struct follow_call call = {.cache = things(&world), .gfp = GFP_KERNEL};
	/* The list is 0 3 1: object 1 is behind two others, which go back as they were. */
	assert_int_equal(follow_alloc(&follow, &call, vaddr_of(address(&world, 0x10, 1024)), &object), FOLLOW_UNSEEN_ALLOC);
	assert_int_equal(follow_alloc(&follow, &call, vaddr_of(address(&world, 0x10, 0)), &object), FOLLOW_EQUAL);
	/* Object 2 is live: its free was not seen. */
	assert_int_equal(follow_alloc(&follow, &call, vaddr_of(address(&world, 0x10, 2048)), &object), FOLLOW_UNSEEN_FREE);
	assert_int_equal(follow_alloc(&follow, &call, vaddr_of(address(&world, 0x10, 3072)), &object), FOLLOW_EQUAL);
	/* No slab of the cache is there. */
	assert_int_equal(follow_alloc(&follow, &call, vaddr_of(address(&world, 0x500, 0)), &object), FOLLOW_LOST);
	follow_release(&follow);
	end(&world);
}

/* Catches: an exchange that loses a block of a list, or hands out a frame that is not free. */
static void test_exchange_keeps_the_list(void **unused)
{
	(void)unused;
	struct world world;
	begin(&world, dump_text);
	pfn got = page_alloc(world.pages, 0, GFP_KERNEL, 0);
	assert_int_equal(got.nr, 0x31);
	const struct page_follow_ops *beside = world.pages->ops->follow;
	assert_true(beside->exchange(world.pages, got, pfn_of(0x30), 0));
	assert_false(beside->exchange(world.pages, pfn_of(0x30), pfn_of(0x10), 0)); /* in use */
	assert_int_equal(page_alloc(world.pages, 0, GFP_KERNEL, 0).nr, 0x31);
	end(&world);
}

/* Catches: counts that are not placed exactly, a placement that depends on anything but the seed. */
static void test_buddyinfo_alone_is_a_start(void **unused)
{
	(void)unused;
	struct world world;
	struct state_tally tally;
	begin(&world, "Node 0, zone      DMA      1      0      1      0      2      1      1      0      1      1      2 \n"
	              "Node 0, zone    DMA32      7      5      3      9     20      1      4      2      2      1    100 \n");
	FILE *out = fopen("/dev/null", "w");
	start_state_compare(&world.state, world.pages, world.objects, &tally, out);
	fclose(out);
	assert_int_equal(tally.blocks, 2 * ORDERS);
	assert_int_equal(tally.blocks_equal, tally.blocks);
	end(&world);
}

/* Catches: a damaged or foreign file taken for a state. */
static void test_wrong_states_are_errors(void **unused)
{
	(void)unused;
	static const char *const texts[] = {"nothing of the kind\n", "@STATE x what=p ts=1\n@MEM tot", ""};
	struct world world;
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		struct error error = {0};
		write_state(&world, texts[i]);
		assert_false(start_state_read(&world.state, world.path, &error));
		assert_int_equal(error.kind, ERROR_INPUT);
		unlink(world.path);
	}
}

/* The hand-made dump with one text in place of another. */
static void refuses(const char *from, const char *to)
{
	struct world world;
	struct error error = {0};
	char text[sizeof dump_text + 64];
	const char *at = strstr(dump_text, from);
	assert_non_null(at);
	snprintf(text, sizeof text, "%.*s%s%s", (int)(at - dump_text), dump_text, to, at + strlen(from));
	begin_pages(&world, text);
	assert_false(start_state_objects(&world.state, world.objects, NULL, &error));
	assert_int_equal(error.kind, ERROR_INPUT);
	release(&world); /* after a state that was refused an allocator can only be destroyed */
}

/* Catches: a slab in frames that are free or held twice, a size cut to 32 bits, a state of another allocator that is
 * taken for an empty one. */
static void test_states_that_cannot_be_are_refused(void **unused)
{
	(void)unused;
	refuses("@SP 11 0", "@SP 20 0");
	refuses("@SP 11 0", "@SP 1000 0");
	refuses("things 4/4/0", "things 4/5/0");
	refuses("usersize=0", "usersize=4294967296");
	refuses("@END here", "@SL small\n@END here");
}

/* Catches: an exchange after which two free blocks of one order lie side by side, which no buddy allocator leaves apart. */
static void test_exchange_leaves_no_pair(void **unused)
{
	(void)unused;
	static const char *const changes[][2] = {
	        {"nr_free=3073", "nr_free=3074"}, {"@FREE 0 0 0 : 20", "@FREE 0 0 0 : 20 40"}, {": 31 30", ": 21 30"}};
	struct world world;
	char *text = xstrdup(dump_text);
	for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
		char *at = strstr(text, changes[i][0]), *changed;
		assert_non_null(at);
		changed = xasprintf("%.*s%s%s", (int)(at - text), text, changes[i][1], at + strlen(changes[i][0]));
		free(text);
		text = changed;
	}
	begin(&world, text);
	const struct page_follow_ops *beside = world.pages->ops->follow;
	assert_int_equal(page_alloc(world.pages, 0, GFP_KERNEL, 0).nr, 0x21);
	/* 40 is free, but 21 in its place would lie beside 20. */
	assert_false(beside->exchange(world.pages, pfn_of(0x21), pfn_of(0x40), 0));
	assert_int_equal(page_alloc(world.pages, 0, GFP_KERNEL, 0).nr, 0x30);
	/* 20 for 30: 31 is in use. */
	assert_true(beside->exchange(world.pages, pfn_of(0x30), pfn_of(0x20), 0));
	end(&world);
	free(text);
}

/* Catches: a start from counts alone that has no watermarks, so that nobody ever reclaims. */
static void test_counts_alone_give_watermarks(void **unused)
{
	(void)unused;
	struct world world;
	begin_pages(&world,
	            "Node 0, zone      DMA      0      0      0      1      2      1      1      0      1      1      3\n"
	            "Node 0, zone    DMA32    100     50     20     10      5      5      5      5      5      5     40\n");
	struct zone_view view;
	for (unsigned zone = 0; zone < world.pages->ops->zones(world.pages); zone++) {
		world.pages->ops->zone_view(world.pages, zone, &view);
		assert_true(view.watermark_min > 0);
		/* __setup_per_zone_wmarks(): a quarter of min between the marks, and no less than 10/10000 of the zone. */
		assert_true(view.watermark_low >= view.watermark_min + view.watermark_min / 4);
	}
	end(&world);
}

/* Catches: a zone's last frame that cannot be claimed, or one behind it that can. */
static void test_claims_reach_the_end_of_a_zone(void **unused)
{
	(void)unused;
	struct world world;
	begin(&world, dump_text);
	assert_true(page_claim(world.pages, pfn_of(0xfff), 0, GFP_KERNEL));
	assert_false(page_claim(world.pages, pfn_of(0x1000), 0, GFP_KERNEL));
	end(&world);
}

/*
 * Where counts tell of more free frames than the machine was said to have, the zone gets twice their number, rounded up to
 * blocks. Catches: a zone that is a block too short for it.
 */
static void test_a_zone_is_made_large_enough(void **unused)
{
	(void)unused;
	struct world world;
	begin_pages(&world,
	            "Node 0, zone      DMA      0      0      0      1      2      1      1      0      1      1      3\n"
	            "Node 0, zone    DMA32      0      0      0      0      0      0      0      0      0      0    400\n");
	struct zone_view view;
	assert_true(world.settings.machine.memory_bytes < (1ull << 30));
	world.pages->ops->zone_view(world.pages, 1, &view);
	assert_string_equal(view.name, "DMA32");
	assert_in_range(view.spanned, 2 * 400 * 1024, 2 * 400 * 1024 + 1024);
	end(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_dump_is_loaded_in_order),        cmocka_unit_test(test_follow_takes_what_no_event_took),
	        cmocka_unit_test(test_exchange_keeps_the_list),        cmocka_unit_test(test_buddyinfo_alone_is_a_start),
	        cmocka_unit_test(test_wrong_states_are_errors),        cmocka_unit_test(test_states_that_cannot_be_are_refused),
	        cmocka_unit_test(test_exchange_leaves_no_pair),        cmocka_unit_test(test_counts_alone_give_watermarks),
	        cmocka_unit_test(test_claims_reach_the_end_of_a_zone), cmocka_unit_test(test_a_zone_is_made_large_enough),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
