/* SPDX-License-Identifier: MIT
 *
 * test_user_memory.c - every model of the user_memory port (models.def) against what the port promises.
 *
 * The models stand on the real page, object and virtual allocators, so that what they take and forget shows there: after the last
 * exit nothing may be left. A random history of processes is held against a plain array of which page each process must be able
 * to touch. Each test names the mistake it would catch.
 */
#include "models/registry.h"
#include "models/settings.h"
#include "sim/rng.h"
#include "tests/unit/test.h"

#include <string.h>

#define CPUS 4
#define MEMORY_BYTES (128ull << 20)
#define BASE 0x10000000ull

struct bench {
	struct settings settings;
	struct paging_controls controls;
	struct layout layout;
	struct steps steps;
	struct page_allocator *pages;
	struct object_allocator *objects;
	struct virtual_allocator *areas;
	struct user_memory *users;
	uint64_t pages_before, objects_before, areas_before;
};

static void begin(struct bench *bench, const struct user_memory_model *model, const char *mode, enum thp thp, bool recording)
{
	struct error error = {0};
	memset(bench, 0, sizeof *bench);
	settings_init(&bench->settings);
	bench->settings.machine.memory_bytes = MEMORY_BYTES;
	bench->settings.machine.cpus = CPUS;
	bench->settings.kernel.thp = thp;
	bench->controls = (struct paging_controls){.physical_bits = 46, .nx = true, .write_protect = true, .global_pages = true};
	layout_init(&bench->layout, 64);
	steps_init(&bench->steps, recording);
	struct page_allocator_wiring below = {
	        .settings = &bench->settings, .layout = &bench->layout, .steps = &bench->steps, .seed = 1};
	bench->pages = page_allocator_model("buddy", &error)->create(&below, &error);
	struct object_allocator_wiring beside = {
	        .settings = &bench->settings, .pages = bench->pages, .layout = &bench->layout, .steps = &bench->steps, .seed = 1};
	bench->objects = object_allocator_model("slub", &error)->create(&beside, &error);
	struct virtual_allocator_wiring stacks = {.settings = &bench->settings,
	                                          .pages = bench->pages,
	                                          .objects = bench->objects,
	                                          .layout = &bench->layout,
	                                          .steps = &bench->steps};
	bench->areas = virtual_allocator_model("ideal", &error)->create(&stacks, &error);
	const struct user_memory_wiring wiring = {.settings = &bench->settings,
	                                          .pages = bench->pages,
	                                          .objects = bench->objects,
	                                          .areas = bench->areas,
	                                          .layout = &bench->layout,
	                                          .steps = &bench->steps,
	                                          .mode = translation_model(mode, &error)->ops,
	                                          .controls = &bench->controls,
	                                          .cpus = CPUS};
	bench->users = model->create(&wiring, &error);
	if (!bench->users)
		fail_msg("%s: %s", model->ops->name, error.text);
	bench->objects_before = bench->objects->live_objects;
	/* Would catch: a model without ticks that is asked for one. */
	assert_true(bench->users->ops->tick || bench->users->next_tick_ns == UINT64_MAX);
	bench->pages_before = bench->pages->allocated_pages - bench->objects->ops->pages_held(bench->objects);
	bench->areas_before = bench->areas->live_areas;
}

/* After the model's end nothing that it took may be left. */
static void end(struct bench *bench)
{
	user_memory_check(bench->users);
	user_memory_destroy(bench->users);
	assert_int_equal(bench->objects->live_objects, bench->objects_before);
	assert_int_equal(bench->areas->live_areas, bench->areas_before);
	assert_int_equal(bench->pages->allocated_pages - bench->objects->ops->pages_held(bench->objects), bench->pages_before);
	object_allocator_check(bench->objects);
	page_allocator_check(bench->pages);
	virtual_allocator_destroy(bench->areas);
	object_allocator_destroy(bench->objects);
	page_allocator_destroy(bench->pages);
	steps_release(&bench->steps);
	layout_release(&bench->layout);
	settings_release(&bench->settings);
}

#define FOR_EACH_MODEL(model) for (const struct user_memory_model *model = user_memory_models; model->ops; model++)

static enum user_result touch(struct bench *bench, process_id process, uint64_t address, enum access_kind kind, unsigned cpu)
{
	const struct user_touch one = {.address = address, .bytes = 1, .stride = 1, .kind = kind};
	return user_touch(bench->users, process, &one, cpu);
}

static enum user_result map(struct bench *bench, process_id process, uint64_t start, uint64_t pages, enum user_area_kind kind)
{
	const struct user_area_request request = {
	        .start = start, .pages = pages, .kind = kind, .rights = USER_READ | USER_WRITE, .file = 7, .first_page = 3};
	return user_map(bench->users, process, &request, 0);
}

static struct process_view view(const struct bench *bench, process_id process)
{
	struct process_view seen;
	assert_true(bench->users->ops->view(bench->users, process, &seen));
	return seen;
}

/* A process that ends gives back every page, table, object and stack, and so does one that lives at the end. */
static void nothing_is_left(void **state)
{
	(void)state;
	FOR_EACH_MODEL(model)
	{
		struct bench bench;
		begin(&bench, model, "x86_4level", THP_NEVER, false);
		process_id first = user_create(bench.users, 0);
		assert_int_equal(map(&bench, first, BASE, 100, USER_ANONYMOUS), USER_OK);
		for (unsigned page = 0; page < 100; page++)
			assert_int_equal(touch(&bench, first, BASE + page * PAGE_SIZE, ACCESS_STORE, 0), USER_OK);
		process_id second = user_fork(bench.users, first, false, 1);
		assert_int_equal(touch(&bench, second, BASE, ACCESS_STORE, 1), USER_OK);
		user_memory_check(bench.users);
		user_exit(bench.users, second, 1);
		user_memory_check(bench.users);
		assert_int_equal(bench.users->live_processes, 1);
		end(&bench);
	}
}

/* Touches outside of areas, against rights, and mappings over others are told, and change nothing. */
static void wrong_use_is_told(void **state)
{
	(void)state;
	FOR_EACH_MODEL(model)
	{
		struct bench bench;
		begin(&bench, model, "x86_4level", THP_NEVER, false);
		process_id process = user_create(bench.users, 0);
		struct process_view before = view(&bench, process);
		assert_int_equal(touch(&bench, process, BASE, ACCESS_LOAD, 0), USER_NO_AREA);
		assert_int_equal(map(&bench, process, BASE + 1, 1, USER_ANONYMOUS), USER_BAD_RANGE);
		assert_int_equal(map(&bench, process, BASE, 0, USER_ANONYMOUS), USER_BAD_RANGE);
		assert_int_equal(map(&bench, process, 1ull << 47, 1, USER_ANONYMOUS), USER_BAD_RANGE);
		assert_int_equal(map(&bench, process, BASE, 1ull << 60, USER_ANONYMOUS), USER_BAD_RANGE);
		assert_int_equal(map(&bench, process, BASE, 1ull << 30, USER_ANONYMOUS), USER_NO_MEMORY);
		assert_int_equal(view(&bench, process).areas, before.areas);
		const struct user_area_request code = {.start = BASE, .pages = 4, .kind = USER_ANONYMOUS, .rights = USER_READ};
		assert_int_equal(user_map(bench.users, process, &code, 0), USER_OK);
		assert_int_equal(map(&bench, process, BASE + 3 * PAGE_SIZE, 2, USER_ANONYMOUS), USER_BAD_RANGE);
		assert_int_equal(touch(&bench, process, BASE, ACCESS_STORE, 0), USER_NO_RIGHT);
		assert_int_equal(touch(&bench, process, BASE, ACCESS_CODE, 0), USER_NO_RIGHT);
		assert_int_equal(touch(&bench, process, BASE, ACCESS_LOAD, 0), USER_OK);
		/* What may be written only may be read, as the processor has no way to forbid it. */
		const struct user_area_request sink = {
		        .start = BASE + (1 << 20), .pages = 1, .kind = USER_ANONYMOUS, .rights = USER_WRITE};
		assert_int_equal(user_map(bench.users, process, &sink, 0), USER_OK);
		assert_int_equal(touch(&bench, process, BASE + (1 << 20), ACCESS_LOAD, 0), USER_OK);
		assert_int_equal(touch(&bench, (process_id){99}, BASE, ACCESS_LOAD, 0), USER_NO_PROCESS);
		assert_int_equal(user_unmap(bench.users, process, BASE, 1ull << 40, 0), USER_BAD_RANGE);
		struct user_run run = {.instructions = 0};
		const struct access of_the_kernel = {.address = 0xffff888000000000, .bytes = 8, .kind = ACCESS_LOAD};
		assert_int_equal(user_run(bench.users, process, &of_the_kernel, 1, &run, 0), 1);
		assert_int_equal(run.result, USER_NO_AREA);
		end(&bench);
	}
}

/* Pages of private, shared and file areas after a fork: who sees whose, by the counts of their mappings. */
static void fork_shares_what_it_should(void **state)
{
	(void)state;
	FOR_EACH_MODEL(model)
	{
		struct bench bench;
		begin(&bench, model, "x86_4level", THP_NEVER, false);
		process_id parent = user_create(bench.users, 0);
		assert_int_equal(map(&bench, parent, BASE, 10, USER_ANONYMOUS), USER_OK);
		assert_int_equal(map(&bench, parent, BASE + (1 << 20), 10, USER_SHARED), USER_OK);
		assert_int_equal(map(&bench, parent, BASE + (2 << 20), 10, USER_FILE_SHARED), USER_OK);
		for (unsigned i = 0; i < 3; i++)
			assert_int_equal(touch(&bench, parent, BASE + ((uint64_t)i << 20), ACCESS_STORE, 0), USER_OK);
		uint64_t held = bench.users->ops->pages_held(bench.users);
		process_id child = user_fork(bench.users, parent, false, 0);
		struct process_view seen = view(&bench, child);
		/* The argument page and the one written; what has a file or is shared can be had again by a fault. */
		assert_int_equal(seen.anonymous, 2);
		assert_int_equal(seen.shared + seen.file, 0);
		/* Where there are tables: a top table of two frames, and three levels for the stack, and for the area. */
		uint64_t table = seen.tables > 0;
		assert_int_equal(bench.users->ops->pages_held(bench.users), held + (2 + 3 + 3) * table);
		held = bench.users->ops->pages_held(bench.users);
		assert_int_equal(touch(&bench, child, BASE + (1 << 20), ACCESS_STORE, 0), USER_OK);
		assert_int_equal(bench.users->ops->pages_held(bench.users), held);
		assert_int_equal(touch(&bench, child, BASE + (2 << 20), ACCESS_STORE, 0), USER_OK);
		held += table; /* for the next 2 MiB */
		assert_int_equal(bench.users->ops->pages_held(bench.users), held);
		assert_int_equal(touch(&bench, child, BASE, ACCESS_STORE, 0), USER_OK);
		assert_int_equal(bench.users->ops->pages_held(bench.users), held + 1);
		/* The parent is alone with its page now and takes it as it is. */
		assert_int_equal(touch(&bench, parent, BASE, ACCESS_STORE, 0), USER_OK);
		assert_int_equal(bench.users->ops->pages_held(bench.users), held + 1);
		end(&bench);
	}
}

/* Moves every frame that somebody maps into a fresh one, as compaction does; how many there are. */
static unsigned move_all(struct bench *bench)
{
	const struct user_memory_ops *ops = bench->users->ops;
	unsigned moved = 0;
	uint8_t *fresh = xcalloc(bench->pages->end_pfn, 1);
	for (uint32_t nr = 0; nr < bench->pages->end_pfn; nr++) {
		uint32_t count = ops->map_count(bench->users, pfn_of(nr));
		if (count == 0 || fresh[nr])
			continue;
		pfn to = page_alloc(bench->pages, 0, GFP_HIGHUSER_MOVABLE, 0);
		assert_int_not_equal(to.nr, UINT32_MAX);
		fresh[to.nr] = 1;
		assert_true(ops->moved(bench->users, pfn_of(nr), to));
		assert_int_equal(ops->map_count(bench->users, pfn_of(nr)), 0);
		assert_int_equal(ops->map_count(bench->users, to), count);
		assert_int_equal(page_free(bench->pages, pfn_of(nr), 0, 0), PAGE_FREE_OK);
		moved++;
	}
	free(fresh);
	return moved;
}

/* Pages keep their users, and what they are, wherever they lie. Would catch: a frame that somebody still looks for in its old
 * place. */
static void frames_may_move(void **state)
{
	static const enum user_area_kind kinds[] = {USER_ANONYMOUS, USER_SHARED, USER_FILE_PRIVATE, USER_FILE_SHARED};
	(void)state;
	FOR_EACH_MODEL(model)
	{
		struct bench bench;
		begin(&bench, model, "x86_4level", THP_NEVER, false);
		process_id parent = user_create(bench.users, 0), child = {0};
		for (unsigned round = 0; round < 3; round++) {
			for (unsigned i = 0; i < 4; i++) {
				uint64_t at = BASE + ((uint64_t)(4 * round + i) << 20);
				assert_int_equal(map(&bench, parent, at, 4, kinds[i]), USER_OK);
				assert_int_equal(touch(&bench, parent, at, ACCESS_STORE, 0), USER_OK);
				assert_int_equal(touch(&bench, parent, at + PAGE_SIZE, ACCESS_LOAD, 0), USER_OK);
			}
			if (round == 0)
				child = user_fork(bench.users, parent, false, 0);
			uint64_t held = bench.users->ops->pages_held(bench.users);
			/* Of the first round at least: the argument page, and of each area what takes a frame. */
			assert_true(move_all(&bench) >= 1 + 1 + 2 + 2);
			user_memory_check(bench.users);
			assert_int_equal(bench.users->ops->pages_held(bench.users), held);
			for (unsigned i = 0; i < 4; i++)
				assert_int_equal(touch(&bench, child, BASE + ((uint64_t)i << 20), ACCESS_STORE, 1), USER_OK);
		}
		/* Shared memory and pages of files are there again where nobody maps them any more. */
		assert_int_equal(user_exec(bench.users, child, 1), USER_OK);
		user_exit(bench.users, parent, 0);
		move_all(&bench);
		end(&bench);
	}
}

#define HISTORY_PROCESSES 12
#define HISTORY_PAGES 1200u

/*
 * madvise(MADV_DONTNEED) forgets private pages, of which the next touch is a new one, and keeps areas and shared contents; a hole
 * in the range is told, and the rest forgotten. Would catch: pages kept, areas that go, shared memory that is lost.
 */
static void forgotten_pages_come_back(void **state)
{
	(void)state;
	FOR_EACH_MODEL(model)
	{
		struct bench bench;
		begin(&bench, model, "x86_4level", THP_NEVER, false);
		process_id process = user_create(bench.users, 0);
		assert_int_equal(map(&bench, process, BASE, 10, USER_ANONYMOUS), USER_OK);
		assert_int_equal(map(&bench, process, BASE + 20 * PAGE_SIZE, 10, USER_SHARED), USER_OK);
		uint64_t before = view(&bench, process).anonymous;
		for (unsigned page = 0; page < 30; page++)
			if (page < 10 || page >= 20)
				assert_int_equal(touch(&bench, process, BASE + page * PAGE_SIZE, ACCESS_STORE, 0), USER_OK);
		uint64_t held = bench.users->ops->pages_held(bench.users);
		assert_int_equal(user_advise(bench.users, process, BASE + 2 * PAGE_SIZE, 5, USER_DONTNEED, 0), USER_OK);
		assert_int_equal(view(&bench, process).anonymous, before + 5);
		assert_int_equal(bench.users->ops->pages_held(bench.users), held - 5);
		assert_int_equal(user_advise(bench.users, process, BASE, 30, USER_DONTNEED, 0), USER_HOLE);
		assert_int_equal(view(&bench, process).anonymous, before);
		assert_int_equal(view(&bench, process).shared, 0);
		assert_int_equal(view(&bench, process).area_pages, 20 + USER_STACK_BYTES / PAGE_SIZE);
		assert_int_equal(bench.users->ops->pages_held(bench.users), held - 10);
		for (unsigned page = 20; page < 30; page++)
			assert_int_equal(touch(&bench, process, BASE + page * PAGE_SIZE, ACCESS_LOAD, 0), USER_OK);
		assert_int_equal(bench.users->ops->pages_held(bench.users), held - 10);
		assert_int_equal(user_advise(bench.users, process, BASE + 10 * PAGE_SIZE, 10, USER_HUGEPAGE, 0), USER_HOLE);
		assert_int_equal(user_advise(bench.users, process, BASE + 1, 1, USER_DONTNEED, 0), USER_BAD_RANGE);
		/* MADV_FREE: contents that may go, areas that stay, and no more pages than before when they are written again. */
		for (unsigned page = 0; page < 10; page++)
			assert_int_equal(touch(&bench, process, BASE + page * PAGE_SIZE, ACCESS_STORE, 0), USER_OK);
		assert_int_equal(user_advise(bench.users, process, BASE + 2 * PAGE_SIZE, 18, USER_FREE, 0), USER_HOLE);
		assert_int_equal(user_advise(bench.users, process, BASE, 25, USER_FREE, 0), USER_BAD_KIND);
		assert_int_equal(view(&bench, process).shared, 10);
		assert_true(view(&bench, process).anonymous <= before + 10);
		for (unsigned page = 0; page < 10; page++)
			assert_int_equal(touch(&bench, process, BASE + page * PAGE_SIZE, ACCESS_STORE, 0), USER_OK);
		assert_int_equal(view(&bench, process).anonymous, before + 10);
		assert_int_equal(view(&bench, process).area_pages, 20 + USER_STACK_BYTES / PAGE_SIZE);
		assert_int_equal(user_advise(bench.users, (process_id){99}, BASE, 1, USER_DONTNEED, 0), USER_NO_PROCESS);
		user_memory_check(bench.users);
		end(&bench);
	}
}

/*
 * mprotect() takes rights and gives them back, of a part of an area, and changes no contents; it ends at a hole. Would catch: a
 * write that still goes through, or never again, pages that go, rights of the whole area.
 */
static void rights_go_and_come(void **state)
{
	(void)state;
	FOR_EACH_MODEL(model)
	{
		struct bench bench;
		begin(&bench, model, "x86_4level", THP_ALWAYS, false);
		process_id process = user_create(bench.users, 0);
		assert_int_equal(map(&bench, process, BASE, 1024, USER_ANONYMOUS), USER_OK);
		for (unsigned page = 0; page < 1024; page++)
			assert_int_equal(touch(&bench, process, BASE + page * PAGE_SIZE, ACCESS_STORE, 0), USER_OK);
		uint64_t held = bench.users->ops->pages_held(bench.users), in = BASE + 600 * PAGE_SIZE;
		assert_int_equal(user_protect(bench.users, process, in, 10, USER_READ, 0), USER_OK);
		assert_int_equal(touch(&bench, process, in, ACCESS_STORE, 0), USER_NO_RIGHT);
		assert_int_equal(touch(&bench, process, in + 9 * PAGE_SIZE, ACCESS_LOAD, 0), USER_OK);
		assert_int_equal(touch(&bench, process, in + 10 * PAGE_SIZE, ACCESS_STORE, 0), USER_OK);
		assert_int_equal(touch(&bench, process, in - PAGE_SIZE, ACCESS_STORE, 0), USER_OK);
		assert_int_equal(user_protect(bench.users, process, in, 10, 0, 0), USER_OK);
		assert_int_equal(touch(&bench, process, in, ACCESS_LOAD, 0), USER_NO_RIGHT);
		user_memory_check(bench.users);
		assert_int_equal(user_protect(bench.users, process, in, 1000, USER_READ | USER_WRITE, 0), USER_HOLE);
		for (unsigned page = 0; page < 20; page++)
			assert_int_equal(touch(&bench, process, in + page * PAGE_SIZE, ACCESS_STORE, 0), USER_OK);
		assert_int_equal(view(&bench, process).area_pages, 1024 + USER_STACK_BYTES / PAGE_SIZE);
		assert_true(bench.users->ops->pages_held(bench.users) >= held);
		assert_true(bench.users->ops->pages_held(bench.users) <= held + 1); /* a table at most */
		assert_int_equal(user_protect(bench.users, process, BASE + 5000 * PAGE_SIZE, 1, USER_READ, 0), USER_HOLE);
		assert_int_equal(user_protect(bench.users, process, BASE, 0, USER_READ, 0), USER_BAD_RANGE);
		user_memory_check(bench.users);
		end(&bench);
	}
}

static enum user_result move_to(struct bench *bench, process_id process, uint64_t from, uint64_t pages, uint64_t to,
                                uint64_t then)
{
	const struct user_remap remap = {
	        .start = BASE + from * PAGE_SIZE, .pages = pages, .to = BASE + to * PAGE_SIZE, .new_pages = then};
	return user_remap(bench->users, process, &remap, 0);
}

/*
 * mremap() takes pages elsewhere without a new one, to and fro, and of shared memory and a file the same pages; it grows and
 * shrinks areas where they are; what it cannot do it tells, and leaves all as it was. Would catch: pages taken anew, or left
 * behind, an area that stays where it was, one that grows over another, one that moves over another and leaves it there.
 */
static void areas_move(void **state)
{
	(void)state;
	FOR_EACH_MODEL(model)
	{
		static const enum user_area_kind kinds[] = {USER_ANONYMOUS, USER_SHARED, USER_FILE_SHARED, USER_FILE_PRIVATE};
		struct bench bench;
		begin(&bench, model, "x86_4level", THP_ALWAYS, true);
		process_id process = user_create(bench.users, 0);
		const uint64_t stack = USER_STACK_BYTES / PAGE_SIZE;
		for (unsigned kind = 0; kind < 4; kind++) {
			assert_int_equal(map(&bench, process, BASE, 1500, kinds[kind]), USER_OK);
			for (unsigned page = 0; page < 1500; page++)
				if (page % 7 < 5)
					touch(&bench, process, BASE + page * PAGE_SIZE, ACCESS_STORE, 0);
			struct process_view before = view(&bench, process);
			uint64_t private_pages = before.anonymous, all = before.anonymous + before.shared + before.file;
			uint64_t held = bench.users->ops->pages_held(bench.users) - before.tables;
			assert_int_equal(move_to(&bench, process, 0, 1500, 10001, 1500), USER_OK);
			assert_int_equal(touch(&bench, process, BASE, ACCESS_LOAD, 0), USER_NO_AREA);
			user_memory_check(bench.users);
			/* Aligned alike: tables may go as they are. */
			assert_int_equal(move_to(&bench, process, 10001, 1500, 513, 1500), USER_OK);
			assert_int_equal(move_to(&bench, process, 513, 1024, 512 * 40 + 1, 1024), USER_OK);
			assert_int_equal(move_to(&bench, process, 512 * 40 + 1, 1024, 512 * 80 + 1, 1024), USER_OK);
			user_memory_check(bench.users);
			struct process_view after = view(&bench, process);
			assert_int_equal(after.area_pages, 1500 + stack);
			assert_int_equal(after.anonymous, private_pages);
			assert_int_equal(after.anonymous + after.shared + after.file, all);
			assert_int_equal(bench.users->ops->pages_held(bench.users) - after.tables, held);
			for (unsigned page = 0; page < 1024; page++)
				if (page % 7 < 5)
					assert_int_equal(
					        touch(&bench, process, BASE + (512 * 80 + 1 + page) * PAGE_SIZE, ACCESS_STORE, 0),
					        USER_OK);
			after = view(&bench, process);
			assert_int_equal(bench.users->ops->pages_held(bench.users) - after.tables, held);
			/* The child finds its own. */
			process_id child = user_fork(bench.users, process, false, 1);
			assert_int_equal(touch(&bench, child, BASE + (512 * 80 + 1) * PAGE_SIZE, ACCESS_STORE, 1), USER_OK);
			user_memory_check(bench.users);
			user_exit(bench.users, child, 1);
			/* To shrink and to grow. */
			assert_int_equal(move_to(&bench, process, 512 * 80 + 1, 1024, 512 * 80 + 1, 100), USER_OK);
			assert_int_equal(view(&bench, process).area_pages, 476 + 100 + stack);
			bool grows = kinds[kind] != USER_SHARED;
			assert_int_equal(move_to(&bench, process, 512 * 80 + 1, 100, 512 * 80 + 1, 130),
			                 grows ? USER_OK : USER_BAD_RANGE);
			assert_int_equal(touch(&bench, process, BASE + (512 * 80 + 1 + 129) * PAGE_SIZE, ACCESS_STORE, 0),
			                 grows ? USER_OK : USER_NO_AREA);
			assert_int_equal(move_to(&bench, process, 512 * 80 + 1, 50, 512 * 80 + 1, 60), USER_BAD_RANGE);
			assert_int_equal(move_to(&bench, process, 512 * 80 + 1, 200, 0, 200), USER_NO_AREA);
			assert_int_equal(move_to(&bench, process, 512 * 80 + 1, 50, 512 * 80 + 20, 50), USER_BAD_RANGE);
			assert_int_equal(move_to(&bench, process, 0, 5, 0, 4), USER_NO_AREA);
			assert_int_equal(move_to(&bench, process, 512 * 80 + 1, 0, 0, 4), USER_BAD_RANGE);
			/* The middle of an area, and more of it there. */
			if (grows)
				assert_int_equal(move_to(&bench, process, 512 * 80 + 11, 10, 0, 20), USER_OK);
			/* What is in the way goes, and no more of it. */
			uint64_t pages = view(&bench, process).area_pages;
			assert_int_equal(move_to(&bench, process, 512 * 80 + 31, 50, 513 + 1100, 50), USER_OK);
			assert_int_equal(view(&bench, process).area_pages, pages - 50);
			user_memory_check(bench.users);
			assert_int_equal(user_unmap(bench.users, process, BASE, 100000, 0), USER_OK);
			assert_int_equal(view(&bench, process).area_pages, stack);
		}
		const struct user_remap none = {.start = BASE, .pages = 1, .to = BASE, .new_pages = 1};
		assert_int_equal(user_remap(bench.users, (process_id){99}, &none, 0), USER_NO_PROCESS);
		user_memory_check(bench.users);
		end(&bench);
	}
}

/* What the plain array knows: the areas are all of one size, at BASE + area * HISTORY_PAGES pages. */
struct plain {
	bool live;
	process_id process;
	bool mapped[3][HISTORY_PAGES];
};

static void one_event(struct bench *bench, struct plain *plain, struct rng *rng)
{
	struct plain *at = &plain[rng_below(rng, HISTORY_PROCESSES)];
	unsigned cpu = (unsigned)rng_below(rng, CPUS), area = (unsigned)rng_below(rng, 3);
	uint64_t start = BASE + (uint64_t)area * HISTORY_PAGES * PAGE_SIZE;
	if (!at->live) {
		struct plain *from = &plain[rng_below(rng, HISTORY_PROCESSES)];
		bool forks = from->live && rng_below(rng, 4) > 0;
		process_id made = forks ? user_fork(bench->users, from->process, false, cpu) : user_create(bench->users, cpu);
		if (made.nr == UINT32_MAX)
			return;
		if (forks)
			*at = *from;
		else
			memset(at, 0, sizeof *at);
		at->live = true;
		at->process = made;
		return;
	}
	uint32_t page = rng_below(rng, HISTORY_PAGES), count = 1 + rng_below(rng, HISTORY_PAGES - page);
	static const enum user_area_kind kinds[] = {USER_ANONYMOUS, USER_SHARED, USER_FILE_PRIVATE};
	switch (rng_below(rng, 11)) {
	case 10: {
		/* Away and back. */
		const struct user_remap away = {.start = start + (uint64_t)page * PAGE_SIZE,
		                                .pages = count,
		                                .to = 2 * BASE + (uint64_t)page * PAGE_SIZE,
		                                .new_pages = count};
		const struct user_remap back = {.start = away.to, .pages = count, .to = away.start, .new_pages = count};
		if (user_remap(bench->users, at->process, &away, cpu) != USER_OK)
			return;
		steps_clear(&bench->steps);
		if (user_remap(bench->users, at->process, &back, cpu) != USER_OK)
			memset(&at->mapped[area][page], 0, count);
		return;
	}
	case 0:
		user_exit(bench->users, at->process, cpu);
		at->live = false;
		return;
	case 1:
		if (user_exec(bench->users, at->process, cpu) == USER_OK)
			memset(at->mapped, 0, sizeof at->mapped);
		return;
	case 2:
		assert_int_equal(user_unmap(bench->users, at->process, start + (uint64_t)page * PAGE_SIZE, count, cpu), USER_OK);
		memset(&at->mapped[area][page], 0, count);
		return;
	case 3:
	case 4:
		if (map(bench, at->process, start, HISTORY_PAGES, kinds[area]) == USER_OK)
			memset(at->mapped[area], 1, HISTORY_PAGES);
		return;
	case 5:
		user_switch(bench->users, rng_below(rng, 2) ? PROCESS_NONE : at->process, cpu);
		return;
	default: {
		enum access_kind kind = rng_below(rng, 2) ? ACCESS_STORE : ACCESS_LOAD;
		const struct user_touch run = {.address = start + (uint64_t)page * PAGE_SIZE,
		                               .bytes = (uint64_t)rng_below(rng, 20) * PAGE_SIZE + 1,
		                               .stride = 64,
		                               .kind = kind};
		enum user_result result = user_touch(bench->users, at->process, &run, cpu);
		bool all = true;
		for (uint64_t i = page; i <= page + (run.bytes - 1) / PAGE_SIZE && i < HISTORY_PAGES; i++)
			all &= at->mapped[area][i];
		if (page + (run.bytes - 1) / PAGE_SIZE < HISTORY_PAGES)
			assert_true(result == (all ? USER_OK : USER_NO_AREA) || result == USER_NO_MEMORY);
	}
	}
}

/* Any order of events keeps the laws: a page counted wrongly, a table freed too early, an area at the wrong place. */
static void random_history(const struct user_memory_model *model, const char *mode, enum thp thp, bool recording)
{
	static struct plain plain[HISTORY_PROCESSES];
	struct bench bench;
	struct rng rng;
	memset(plain, 0, sizeof plain);
	rng_init(&rng, 4, "history");
	begin(&bench, model, mode, thp, recording);
	for (unsigned event = 0; event < 3000; event++) {
		one_event(&bench, plain, &rng);
		steps_clear(&bench.steps);
		if (event % 100 == 0)
			user_memory_check(bench.users);
	}
	end(&bench);
}

static void any_history_keeps_the_laws(void **state)
{
	(void)state;
	FOR_EACH_MODEL(model)
	{
		random_history(model, "x86_4level", THP_NEVER, false);
		random_history(model, "x86_4level", THP_ALWAYS, true);
		random_history(model, "x86_5level", THP_ALWAYS, false);
		random_history(model, "x86_pae", THP_ALWAYS, false);
		random_history(model, "x86_32", THP_NEVER, true);
	}
}

static struct access access_of(enum access_kind kind, uint64_t address)
{
	return (struct access){.address = address, .bytes = 8, .kind = (uint8_t)kind};
}

/*
 * A run of accesses goes on until one faults or cannot be made, and says which steps came before that. Catches: an access left
 * out or made twice, a load that may stand where a store has to, a prefetch that faults, steps that miss or are one too many.
 */
static void a_run_stops_at_a_fault(void **state)
{
	(void)state;
	FOR_EACH_MODEL(model)
	{
		struct bench bench;
		struct user_run run = {.instructions = 3};
		bool faults = strcmp(model->ops->name, "ideal") != 0;
		begin(&bench, model, "x86_4level", THP_NEVER, true);
		process_id process = user_create(bench.users, 0);
		assert_int_equal(map(&bench, process, BASE, 4, USER_ANONYMOUS), USER_OK);
		assert_int_equal(touch(&bench, process, BASE, ACCESS_STORE, 0), USER_OK);
		assert_int_equal(touch(&bench, process, BASE + 2 * PAGE_SIZE, ACCESS_LOAD, 0), USER_OK);
		const struct access at[] = {
		        access_of(ACCESS_STORE, BASE + 8),
		        access_of(ACCESS_MODIFY, BASE + 16),
		        access_of(ACCESS_PREFETCH, BASE + 3 * PAGE_SIZE),
		        access_of(ACCESS_LOAD, BASE + 2 * PAGE_SIZE),
		        access_of(ACCESS_STORE, BASE + 2 * PAGE_SIZE), /* the zero page so far */
		        access_of(ACCESS_LOAD, BASE),
		        access_of(ACCESS_LOAD, BASE + 4 * PAGE_SIZE), /* behind the area */
		        access_of(ACCESS_LOAD, BASE),
		};
		steps_clear(&bench.steps);
		size_t made = user_run(bench.users, process, at, 8, &run, 0);
		assert_int_equal(made, faults ? 5 : 7);
		assert_int_equal(run.faulted, faults);
		if (faults) {
			/* A store, a load and a store, a prefetch, a load; then the fault's. */
			assert_int_equal(run.before, 5);
			assert_int_equal(run.result, USER_OK);
			assert_int_equal(bench.steps.at[bench.steps.count - 1].kind, STEP_WRITE);
			made += user_run(bench.users, process, at + made, 8 - made, &run, 0);
			assert_int_equal(made, 7);
		}
		assert_int_equal(run.result, USER_NO_AREA);
		assert_int_equal(user_run(bench.users, process, at + made, 1, &run, 0), 1);
		assert_int_equal(run.result, USER_OK);
		assert_false(run.faulted);
		assert_int_equal(view(&bench, process).anonymous, 1 + 2); /* the argument page; the prefetch took none */
		user_memory_check(bench.users);
		end(&bench);
	}
}

/*
 * A run whose every access takes a page, and as many steps as one may. Catches: room for the accesses' steps, which those of the
 * page allocator take in part.
 */
static void a_run_of_first_touches_has_room(void **state)
{
	enum { PAGES = 1365 }; /* three steps each: what the doubling of their array just holds */
	(void)state;
	FOR_EACH_MODEL(model)
	{
		struct bench bench;
		struct access at[PAGES];
		struct user_run run = {.instructions = UINT8_MAX + 1};
		begin(&bench, model, "x86_4level", THP_NEVER, true);
		process_id process = user_create(bench.users, 0);
		assert_int_equal(map(&bench, process, BASE, PAGES, USER_ANONYMOUS), USER_OK);
		for (unsigned page = 0; page < PAGES; page++)
			at[page] = access_of(ACCESS_MODIFY, BASE + page * PAGE_SIZE);
		steps_clear(&bench.steps);
		for (size_t made = 0; made < PAGES;) {
			run.faulted = false;
			made += user_run(bench.users, process, at + made, PAGES - made, &run, 0);
			assert_int_equal(run.result, USER_OK);
		}
		assert_int_equal(view(&bench, process).anonymous, 1 + PAGES);
		end(&bench);
	}
}

/* The frames that a small history takes beside kernel stacks: parent and child, pages written, read, copied and given back. */
static uint64_t frames_of_history(const struct user_memory_model *model)
{
	struct bench bench;
	begin(&bench, model, "x86_4level", THP_NEVER, false);
	uint64_t before = bench.pages->allocated_pages;
	process_id parent = user_create(bench.users, 0);
	assert_int_equal(map(&bench, parent, BASE, 64, USER_ANONYMOUS), USER_OK);
	for (unsigned page = 0; page < 40; page++)
		assert_int_equal(touch(&bench, parent, BASE + page * PAGE_SIZE, page < 30 ? ACCESS_STORE : ACCESS_LOAD, 0),
		                 USER_OK);
	process_id child = user_fork(bench.users, parent, false, 0);
	for (unsigned page = 0; page < 10; page++)
		assert_int_equal(touch(&bench, child, BASE + page * PAGE_SIZE, ACCESS_STORE, 1), USER_OK);
	assert_int_equal(user_unmap(bench.users, parent, BASE, 5, 0), USER_OK);
	assert_int_equal(view(&bench, parent).anonymous, 1 + 25);
	assert_int_equal(view(&bench, child).anonymous, 1 + 30);
	uint64_t taken = bench.pages->allocated_pages - before - bench.areas->ops->pages_held(bench.areas);
	end(&bench);
	return taken;
}

/*
 * The ideal model takes the pages that hold contents and nothing else: an argument page, 30 written ones, 10 copies of which the
 * parent gives 5 originals back; no model can do with less. Catches a frame for a page that was only read, or one that stays.
 */
static void ideal_takes_contents_alone(void **state)
{
	(void)state;
	FOR_EACH_MODEL(model)
	{
		uint64_t frames = frames_of_history(model);
		if (strcmp(model->ops->name, "ideal") == 0)
			assert_int_equal(frames, 1 + 30 + 10 - 5);
		else
			assert_true(frames > 1 + 30 + 10 - 5);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(nothing_is_left),
	        cmocka_unit_test(wrong_use_is_told),
	        cmocka_unit_test(forgotten_pages_come_back),
	        cmocka_unit_test(rights_go_and_come),
	        cmocka_unit_test(areas_move),
	        cmocka_unit_test(fork_shares_what_it_should),
	        cmocka_unit_test(frames_may_move),
	        cmocka_unit_test(any_history_keeps_the_laws),
	        cmocka_unit_test(a_run_stops_at_a_fault),
	        cmocka_unit_test(a_run_of_first_touches_has_room),
	        cmocka_unit_test(ideal_takes_contents_alone),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
