/* SPDX-License-Identifier: MIT
 *
 * mm_rig.h - the model `mm` of processes over a page allocator and an object allocator, for its tests: made, and taken apart with
 * its laws proved; pages mapped and touched; what its steps and tables say.
 */
#ifndef TESTS_UNIT_MM_RIG_H
#define TESTS_UNIT_MM_RIG_H

#include "models/registry.h"
#include "models/settings.h"
#include "models/user_memory/mm.h"
#include "tests/unit/test.h"

#include <string.h>

#define BASE 0x10000000ull

struct mm_rig {
	struct settings settings;
	struct paging_controls controls;
	struct layout layout;
	struct steps steps;
	struct page_allocator *pages;
	struct object_allocator *objects;
	struct user_memory *users;
	struct mm *mm;
};

/* Settings as by default; the test changes what it wants before mm_rig_make(). */
static inline void mm_rig_init(struct mm_rig *rig, uint64_t memory_bytes, unsigned cpus)
{
	memset(rig, 0, sizeof *rig);
	settings_init(&rig->settings);
	rig->settings.machine.memory_bytes = memory_bytes;
	rig->settings.machine.cpus = cpus;
}

static inline void mm_rig_make(struct mm_rig *rig, const char *pages, const char *objects, bool recording)
{
	struct error error = {0};
	rig->controls = (struct paging_controls){.physical_bits = 46, .nx = true, .write_protect = true, .global_pages = true};
	layout_init(&rig->layout, 64);
	steps_init(&rig->steps, recording);
	const struct page_allocator_wiring below = {
	        .settings = &rig->settings, .layout = &rig->layout, .steps = &rig->steps, .seed = 1};
	rig->pages = page_allocator_model(pages, &error)->create(&below, &error);
	const struct object_allocator_wiring beside = {
	        .settings = &rig->settings, .pages = rig->pages, .layout = &rig->layout, .steps = &rig->steps, .seed = 1};
	rig->objects = object_allocator_model(objects, &error)->create(&beside, &error);
	const struct user_memory_wiring wiring = {.settings = &rig->settings,
	                                          .pages = rig->pages,
	                                          .objects = rig->objects,
	                                          .layout = &rig->layout,
	                                          .steps = &rig->steps,
	                                          .mode = translation_model("x86_4level", &error)->ops,
	                                          .controls = &rig->controls,
	                                          .cpus = rig->settings.machine.cpus};
	rig->users = user_memory_model("mm", &error)->create(&wiring, &error);
	assert_non_null(rig->users);
	rig->mm = mm_of(rig->users);
	steps_clear(&rig->steps);
}

/* What is left when the processes are gone. */
static inline void mm_rig_release(struct mm_rig *rig)
{
	object_allocator_destroy(rig->objects);
	page_allocator_check(rig->pages);
	page_allocator_destroy(rig->pages);
	steps_release(&rig->steps);
	layout_release(&rig->layout);
	settings_release(&rig->settings);
}

static inline void mm_rig_end(struct mm_rig *rig)
{
	user_memory_check(rig->users);
	user_memory_destroy(rig->users);
	mm_rig_release(rig);
}

static inline void mm_rig_map(struct mm_rig *rig, process_id process, uint64_t start, uint64_t pages, enum user_area_kind kind,
                              unsigned cpu)
{
	const struct user_area_request request = {.start = start, .pages = pages, .kind = kind, .rights = USER_READ | USER_WRITE};
	assert_int_equal(user_map(rig->users, process, &request, cpu), USER_OK);
}

static inline void mm_rig_touch(struct mm_rig *rig, process_id process, uint64_t address, uint64_t pages, enum access_kind kind,
                                unsigned cpu)
{
	const struct user_touch run = {.address = address, .bytes = pages * PAGE_SIZE, .stride = PAGE_SIZE, .kind = kind};
	steps_clear(&rig->steps);
	assert_int_equal(user_touch(rig->users, process, &run, cpu), USER_OK);
}

/* Steps of a kind since the last touch; bytes 0: of any length. */
static inline uint32_t mm_rig_steps(const struct mm_rig *rig, enum step_kind kind, uint32_t bytes)
{
	uint32_t count = 0;
	for (uint32_t i = 0; i < rig->steps.count; i++)
		count += rig->steps.at[i].kind == kind && (bytes == 0 || rig->steps.at[i].bytes == bytes);
	return count;
}

static inline pfn mm_rig_frame(const struct mm_rig *rig, process_id process, uint64_t linear)
{
	struct entry entry;
	entry_find(rig->mm, rig->mm->processes[process.nr].space, linear, &entry);
	return pfn_of((uint32_t)((entry_word(&entry) & WORD_FRAME) >> PAGE_SHIFT));
}

#endif
