/* SPDX-License-Identifier: MIT
 *
 * state_world.h - for tests that start from a state: a dump made by hand after the format of docs/formats.md, and allocators
 * brought into it. Expected addresses follow from its lists.
 */
#ifndef TESTS_STATE_WORLD_H
#define TESTS_STATE_WORLD_H

#include "tests/unit/test.h"

#include "models/object_allocator/slub.h"
#include "models/page_allocator/buddy.h"
#include "models/start_state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* 16 MiB in zone DMA, 12 MiB free in blocks of order 10; the slab of cache things lies at frame 10, its chain is 3 1, with 0
 * lockless. */
static const char dump_text[] =
        "before\n"
        "@STATE here what=pc ts=5000\n"
        "@MEM totalram=4095 totalhigh=0 pageshift=12 max_order=11 pageblock_order=10 migratetypes=4 mobility_off=0 "
        "max_low_pfn=1000 "
        "max_pfn=1000\n"
        "@ZONE 0 DMA start=1 spanned=4095 present=4095 managed=4095 wmin=1 wlow=2 whigh=3 boost=0 highatomic=0 phigh=26 pbatch=1 "
        "zflags=0 nr_free=3073 diff0=0 thr0=2 reserve=0,0,0,0 compact=0,0,0 drift=0\n"
        "@FREE 0 0 0 : 20\n"
        "@FREE 0 10 1 : 400 800 c00\n"
        "@PCP 0 0 count=2 high=26 batch=1 free_factor=0\n"
        "@PCPL 0 0 0 : 31 30\n"
        "@PB 0 0 :0111\n"
        "@C things obj=1024 size=1024 inuse=1024 align=8 offset=512 flags=40040000 order=0 objs=4 minorder=0 minobjs=4 "
        "min_partial=5 "
        "cpu_partial=24 cpu_partial_slabs=12 allocflags=0 ref=1 ctor=0 usersize=0 slabs=2 total=8 partial=0\n"
        "@CC 0 { 0 3 1 } 10 4/4/1 [ ]\n"
        "@SP 10 0 things 4/4/1\n"
        "@SP 11 0 things 4/4/0\n"
        "@END here ts=5001\n";

struct world {
	char path[64];
	struct settings settings;
	struct layout layout;
	struct steps steps;
	struct start_state state;
	struct page_allocator *pages;
	struct object_allocator *objects;
};

static inline void write_state(struct world *world, const char *text)
{
	snprintf(world->path, sizeof world->path, "%s/start-state-%ld", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp",
	         (long)getpid());
	FILE *out = fopen(world->path, "w");
	assert_non_null(out);
	fputs(text, out);
	fclose(out);
}

/* Everything but the objects' own state. */
static inline void begin_pages(struct world *world, const char *text)
{
	struct error error = {0};
	*world = (struct world){0};
	write_state(world, text);
	settings_init(&world->settings);
	layout_init(&world->layout, 64);
	steps_init(&world->steps, false);
	if (!start_state_read(&world->state, world->path, &error))
		fail_msg("%s", error.text);
	start_state_complete(&world->state, &world->settings);
	const struct page_allocator_wiring wiring = {
	        .settings = &world->settings, .layout = &world->layout, .steps = &world->steps, .seed = 1};
	world->pages = start_state_pages(&world->state, &wiring, &error);
	if (!world->pages)
		fail_msg("%s", error.text);
	world->objects = object_allocator_slub_create(
	        &(struct object_allocator_wiring){
	                .settings = &world->settings, .pages = world->pages, .layout = &world->layout, .steps = &world->steps},
	        &error);
}

static inline void begin(struct world *world, const char *text)
{
	struct error error = {0};
	begin_pages(world, text);
	if (!start_state_objects(&world->state, world->objects, NULL, &error))
		fail_msg("%s", error.text);
}

static inline void release(struct world *world)
{
	object_allocator_destroy(world->objects);
	page_allocator_destroy(world->pages);
	start_state_release(&world->state);
	layout_release(&world->layout);
	steps_release(&world->steps);
	settings_release(&world->settings);
	unlink(world->path);
}

static inline void end(struct world *world)
{
	page_allocator_check(world->pages);
	object_allocator_check(world->objects);
	release(world);
}

static inline uint64_t address(const struct world *world, uint32_t frame, uint32_t offset)
{
	return world->layout.direct_map + ((uint64_t)frame << PAGE_SHIFT) + offset;
}

static inline cache_id things(const struct world *world)
{
	struct cache_view view;
	for (uint32_t nr = 0; nr < world->objects->ops->cache_limit(world->objects); nr++)
		if (world->objects->ops->cache_view(world->objects, (cache_id){nr}, &view) && strcmp(view.name, "things") == 0)
			return (cache_id){nr};
	fail_msg("the state's cache is not there");
	return CACHE_NONE;
}

#endif
