/* SPDX-License-Identifier: MIT
 *
 * test_start_slabs.c - /proc files alone as the start of a run: what a machine's owner copied is what the simulated machine shows
 * before the first call.
 */
#include "models/registry.h"
#include "models/start_state.h"
#include "tests/unit/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DATA "tests/data/"

struct world {
	char folder[96];
	struct settings settings;
	struct layout layout;
	struct steps steps;
	struct start_state state;
	struct page_allocator *pages;
	struct object_allocator *objects;
	struct error error;
};

static char *read_text(const char *path)
{
	FILE *in = fopen(path, "r");
	if (!in)
		fail_msg("%s is not there", path);
	char *text = xcalloc(1u << 18, 1);
	text[fread(text, 1, (1u << 18) - 1, in)] = '\0';
	fclose(in);
	return text;
}

static void write_text(const struct world *world, const char *name, const char *text)
{
	char path[160];
	snprintf(path, sizeof path, "%s/%s", world->folder, name);
	FILE *out = fopen(path, "w");
	assert_non_null(out);
	fputs(text, out);
	fclose(out);
}

static void copy_file(const struct world *world, const char *name, const char *from)
{
	char *text = read_text(from);
	write_text(world, name, text);
	free(text);
}

static void open_world(struct world *world, uint32_t cpus)
{
	*world = (struct world){0};
	snprintf(world->folder, sizeof world->folder, "%s/start-slabs-%ld", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp",
	         (long)getpid());
	mkdir(world->folder, 0777);
	settings_init(&world->settings);
	world->settings.machine.cpus = cpus;
	world->settings.kernel.memcg_kmem = false;
}

/* Brings the allocator into the state of the folder's files; false if that is refused. */
static bool start(struct world *world, const char *allocator, uint64_t seed)
{
	layout_init(&world->layout, 64);
	steps_init(&world->steps, false);
	if (!start_state_read(&world->state, world->folder, &world->error))
		fail_msg("%s", world->error.text);
	start_state_complete(&world->state, &world->settings);
	const struct page_allocator_wiring wiring = {&world->settings, &world->layout, &world->steps, NULL, seed};
	world->pages = start_state_pages(&world->state, &wiring, &world->error);
	if (!world->pages)
		return false;
	const struct object_allocator_wiring above = {&world->settings, world->pages, &world->layout, &world->steps, seed};
	world->objects = object_allocator_model(allocator, &world->error)->create(&above, &world->error);
	return start_state_objects(&world->state, world->objects, &above, &world->error);
}

static void must_start(struct world *world, const char *allocator, uint64_t seed)
{
	if (!start(world, allocator, seed))
		fail_msg("%s", world->error.text);
}

/* The allocators are gone, the files stay for another start. */
static void stop(struct world *world)
{
	object_allocator_destroy(world->objects);
	page_allocator_destroy(world->pages);
	if (world->state.path)
		start_state_release(&world->state);
	layout_release(&world->layout);
	steps_release(&world->steps);
}

static void close_world(struct world *world)
{
	static const char *const names[] = {"buddyinfo", "pagetypeinfo", "zoneinfo", "slabinfo"};
	stop(world);
	settings_release(&world->settings);
	for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
		char path[160];
		snprintf(path, sizeof path, "%s/%s", world->folder, names[i]);
		unlink(path);
	}
	rmdir(world->folder);
}

static bool view_of(const struct world *world, const char *name, struct cache_view *view)
{
	for (uint32_t nr = 0; nr < world->objects->ops->cache_limit(world->objects); nr++)
		if (world->objects->ops->cache_view(world->objects, (cache_id){nr}, view) && strcmp(view->name, name) == 0)
			return true;
	return false;
}

/* Caches of the file that the simulated machine shows with the same numbers; the others' names are told. */
static unsigned count_equal(const struct world *world)
{
	unsigned equal = 0;
	for (size_t i = 0; i < world->state.slabs.count; i++) {
		const struct cache_view *told = &world->state.slabs.at[i];
		struct cache_view view = {0};
		bool same = view_of(world, told->name, &view) && view.slabs == told->slabs &&
		            view.active_slabs == told->active_slabs && view.total_objects == told->total_objects &&
		            view.active_objects == told->active_objects && view.objects_per_slab == told->objects_per_slab &&
		            view.pages_per_slab == told->pages_per_slab;
		if (!same)
			print_message("%s: %llu of %llu objects in %llu slabs, told %llu of %llu in %llu\n", told->name,
			              (unsigned long long)view.active_objects, (unsigned long long)view.total_objects,
			              (unsigned long long)view.slabs, (unsigned long long)told->active_objects,
			              (unsigned long long)told->total_objects, (unsigned long long)told->slabs);
		equal += same;
	}
	return equal;
}

static char *buddyinfo_of(const struct world *world)
{
	struct zone_view zones[ZONES_MAX];
	unsigned count = world->pages->ops->zones(world->pages);
	for (unsigned i = 0; i < count; i++)
		world->pages->ops->zone_view(world->pages, i, &zones[i]);
	char *text = NULL;
	size_t length;
	FILE *out = open_memstream(&text, &length);
	procfs_print_buddyinfo(zones, count, out);
	fclose(out);
	return text;
}

/* The published tables in the form of /proc/slabinfo: geometry and occupancy of the same 166 caches, row by row. */
static char *published_slabinfo(void)
{
	FILE *geometry = fopen(DATA "slub/slub-geometry-linux-5.15-16cpu.tsv", "r");
	FILE *occupancy = fopen(DATA "slub/slub-occupancy-linux-5.15-16cpu.tsv", "r");
	char *text = NULL, shape[256], use[256];
	size_t length;
	FILE *out = open_memstream(&text, &length);
	assert_true(geometry && occupancy && out);
	fputs("slabinfo - version: 2.1\n", out);
	while (fgets(shape, sizeof shape, geometry) && fgets(use, sizeof use, occupancy)) {
		char name[128], same[128];
		unsigned size, objects, pages;
		unsigned long long active, total, active_slabs, slabs;
		if (sscanf(shape, "%127[^\t#]\t%u\t%u\t%u", name, &size, &objects, &pages) != 4)
			continue;
		assert_int_equal(sscanf(use, "%127[^\t]\t%llu\t%llu\t%llu\t%llu", same, &active, &total, &active_slabs, &slabs),
		                 5);
		assert_string_equal(name, same);
		assert_int_equal(total, slabs * objects);
		fprintf(out, "%-17s %6llu %6llu %6u %4u %4u : tunables    0    0    0 : slabdata %6llu %6llu      0\n", name,
		        active, total, size, objects, pages, active_slabs, slabs);
	}
	fclose(out);
	fclose(geometry);
	fclose(occupancy);
	return text;
}

/* The published machine: 166 caches, 15,541 slabs, its buddyinfo printed back byte for byte. Catches: slabs or objects lost or
 * invented, slabs in frames that are free, a cache of another shape. */
static void published_tables_are_a_start(void **unused)
{
	(void)unused;
	struct world world;
	open_world(&world, 16);
	char *slabinfo = published_slabinfo(), *told = read_text(DATA "proc/buddyinfo-linux-5.15.txt");
	write_text(&world, "slabinfo", slabinfo);
	write_text(&world, "buddyinfo", told);
	must_start(&world, "slub", 1);
	assert_int_equal(world.state.slabs.count, 166);
	assert_int_equal(count_equal(&world), 166);
	assert_int_equal(world.objects->ops->pages_held(world.objects), 42956);
	assert_int_equal(world.objects->live_objects, 707145);
	/* The published copy lost the blank at the end of each line. */
	char *shown = buddyinfo_of(&world), *to = shown;
	for (const char *at = shown; *at; at++)
		if (at[0] != ' ' || at[1] != '\n')
			*to++ = *at;
	*to = '\0';
	assert_string_equal(shown, told);
	page_allocator_check(world.pages);
	object_allocator_check(world.objects);
	free(shown);
	free(told);
	free(slabinfo);
	close_world(&world);
}

/* Four files of one recorded machine, for the allocator that was recorded. Catches: what zoneinfo says of holes and watermarks
 * ignored, slabs that cannot be used or given back afterwards. */
static void start_of(const char *allocator, const char *slabinfo, uint32_t cpus)
{
	struct world world;
	open_world(&world, cpus);
	copy_file(&world, "buddyinfo", DATA "proc/slub64-512m-4cpus/buddyinfo");
	copy_file(&world, "pagetypeinfo", DATA "proc/slub64-512m-4cpus/pagetypeinfo");
	copy_file(&world, "zoneinfo", DATA "proc/slub64-512m-4cpus/zoneinfo");
	copy_file(&world, "slabinfo", slabinfo);
	must_start(&world, allocator, 1);
	assert_int_equal(count_equal(&world), world.state.slabs.count);
	uint64_t live = world.objects->live_objects;
	vaddr at[2000];
	for (unsigned i = 0; i < 2000; i++) {
		at[i] = object_kmalloc(world.objects, 1 + i % 9000, GFP_KERNEL, i % cpus).at;
		assert_true(at[i].addr > ZERO_SIZE_PTR.addr);
	}
	for (unsigned i = 0; i < 2000; i++)
		assert_int_equal(object_kfree(world.objects, at[i], i % cpus), OBJECT_FREE_OK);
	assert_int_equal(world.objects->live_objects, live);
	for (uint32_t nr = 0; nr < world.objects->ops->cache_limit(world.objects); nr++)
		world.objects->ops->cache_shrink(world.objects, (cache_id){nr}, 0);
	page_allocator_check(world.pages);
	object_allocator_check(world.objects);
	close_world(&world);
}

static void recorded_slub_is_a_start(void **unused)
{
	(void)unused;
	start_of("slub", DATA "proc/slub64-512m-4cpus/slabinfo", 4);
}

static void recorded_slab_is_a_start(void **unused)
{
	(void)unused;
	start_of("slab", DATA "proc/slab64-512m/slabinfo", 1);
}

/* Catches: a draw that depends on anything but the seed, or not on it. */
static void the_seed_decides_the_places(void **unused)
{
	(void)unused;
	vaddr first[3];
	for (unsigned i = 0; i < 3; i++) {
		struct world world;
		open_world(&world, 4);
		copy_file(&world, "buddyinfo", DATA "proc/slub64-512m-4cpus/buddyinfo");
		write_text(&world, "slabinfo",
		           "slabinfo - version: 2.1\n"
		           "things 100 256 128 32 1 : tunables 0 0 0 : slabdata 8 8 0\n");
		must_start(&world, "slub", i == 2 ? 7 : 1);
		struct cache_view view;
		uint32_t nr = 0;
		while (!world.objects->ops->cache_view(world.objects, (cache_id){nr}, &view) || strcmp(view.name, "things") != 0)
			nr++;
		first[i] = cache_alloc(world.objects, (cache_id){nr}, GFP_KERNEL, 0).at;
		close_world(&world);
	}
	assert_int_equal(first[0].addr, first[1].addr);
	assert_int_not_equal(first[0].addr, first[2].addr);
}

/* A file of another allocator: the live objects are there, in slabs of the run's own. Catches: counts of slabs taken over. */
static void another_allocators_objects_live_on(void **unused)
{
	(void)unused;
	struct world world;
	struct cache_view view;
	open_world(&world, 4);
	copy_file(&world, "buddyinfo", DATA "proc/slub64-512m-4cpus/buddyinfo");
	write_text(&world, "slabinfo",
	           "slabinfo - version: 2.1\n"
	           "things 100 250 128 25 1 : tunables 120 60 8 : slabdata 9 10 0\n");
	must_start(&world, "slub", 1);
	assert_true(view_of(&world, "things", &view));
	assert_int_equal(view.objects_per_slab, 32);
	assert_int_equal(view.slabs, 4);
	assert_int_equal(view.active_objects, 100);
	object_allocator_check(world.objects);
	close_world(&world);
}

/* Catches: a start that cannot be and is taken, or hangs looking for room. */
static void impossible_starts_are_refused(void **unused)
{
	(void)unused;
	struct world world;
	open_world(&world, 4);
	copy_file(&world, "buddyinfo", DATA "proc/slub64-512m-4cpus/buddyinfo");
	write_text(&world, "slabinfo",
	           "slabinfo - version: 2.1\n"
	           "things 32000000 32000000 128 32 1 : tunables 0 0 0 : slabdata 1000000 1000000 0\n");
	assert_false(start(&world, "slub", 1));
	assert_int_equal(world.error.kind, ERROR_INPUT);
	stop(&world);
	world.state = (struct start_state){0};
	world.error = (struct error){0};
	assert_false(start(&world, "slob", 1));
	assert_int_equal(world.error.kind, ERROR_USAGE);
	close_world(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(published_tables_are_a_start),       cmocka_unit_test(recorded_slub_is_a_start),
	        cmocka_unit_test(recorded_slab_is_a_start),           cmocka_unit_test(the_seed_decides_the_places),
	        cmocka_unit_test(another_allocators_objects_live_on), cmocka_unit_test(impossible_starts_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
