/* SPDX-License-Identifier: MIT
 *
 * fuzz_start_state.c - any bytes as the files of /proc that a run starts from: the first byte chooses the object allocator, lines
 * "==" part zoneinfo, buddyinfo, pagetypeinfo and slabinfo. What is taken must make allocators that keep their laws, and can be
 * held against it; what is refused is refused with a sentence.
 */
#include "models/registry.h"
#include "models/start_state.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

/* Machines above these only cost time. */
#define FRAMES_MAX (1u << 18)
#define OBJECTS_MAX 100000u

static char folder[64];
static const char *const names[] = {"zoneinfo", "buddyinfo", "pagetypeinfo", "slabinfo"};
#define FILES (sizeof names / sizeof *names)

static void remove_files(void)
{
	for (size_t i = 0; i < FILES; i++) {
		char *path = xasprintf("%s/%s", folder, names[i]);
		unlink(path);
		free(path);
	}
	rmdir(folder);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	strcpy(folder, "/tmp/kmemsim-fuzz-XXXXXX");
	char *made = mkdtemp(folder);
	SIM_ASSERT(made);
	atexit(remove_files);
	return 0;
}

/* Where the line "==" is that ends this file, or the end. */
static size_t end_of_file(const char *text, size_t size)
{
	const char *at = size >= 3 ? memmem(text, size, "==\n", 3) : NULL;
	return at ? (size_t)(at - text) : size;
}

static void write_files(const char *text, size_t size)
{
	for (size_t i = 0; i < FILES; i++) {
		size_t length = end_of_file(text, size), passed = length + 3 < size ? length + 3 : size;
		char *path = xasprintf("%s/%s", folder, names[i]);
		unlink(path);
		FILE *file = length > 0 ? fopen(path, "we") : NULL;
		if (file) {
			fwrite(text, 1, length, file);
			fclose(file);
		}
		free(path);
		text += passed;
		size -= passed;
	}
}

static bool is_small(const struct start_state *state)
{
	uint64_t objects = 0;
	for (unsigned i = 0; i < state->memory.count; i++) {
		const struct zone_view *zone = &state->memory.zones[i];
		if (zone->spanned > FRAMES_MAX || zone->start_pfn > FRAMES_MAX)
			return false;
	}
	for (size_t i = 0; i < state->slabs.count; i++)
		objects += state->slabs.at[i].total_objects;
	return objects <= OBJECTS_MAX;
}

static void start(const struct start_state *state, const char *objects_name)
{
	struct error error = {0};
	struct settings settings;
	struct layout layout;
	struct steps steps;
	settings_init(&settings);
	settings.machine.cpus = 2;
	settings.machine.memory_bytes = 512ull << 20;
	start_state_complete(state, &settings);
	layout_init(&layout, settings.kernel.page_struct_bytes);
	steps_init(&steps, false);
	const struct page_allocator_wiring pages_wiring = {.settings = &settings, .layout = &layout, .steps = &steps};
	struct page_allocator *pages = start_state_pages(state, &pages_wiring, &error);
	SIM_ASSERT((pages != NULL) == (error.kind == ERROR_NONE) && (pages || error.text[0]));
	if (pages) {
		page_allocator_check(pages);
		const struct object_allocator_wiring wiring = {
		        .settings = &settings, .pages = pages, .layout = &layout, .steps = &steps};
		struct object_allocator *objects = object_allocator_model(objects_name, &error)->create(&wiring, &error);
		struct state_tally tally = {0};
		FILE *nowhere = fopen("/dev/null", "we");
		SIM_ASSERT(objects && nowhere);
		bool placed = start_state_objects(state, objects, &wiring, &error);
		SIM_ASSERT(placed == (error.kind == ERROR_NONE) && (placed || error.text[0]));
		if (placed)
			start_state_compare(state, pages, objects, &tally, nowhere);
		fclose(nowhere);
		object_allocator_destroy(objects);
		page_allocator_destroy(pages);
	}
	steps_release(&steps);
	layout_release(&layout);
	settings_release(&settings);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const allocators[] = {"slub", "slab", "slob", "ideal"};
	struct start_state state;
	struct error error = {0};
	if (size == 0)
		return 0;
	write_files((const char *)data + 1, size - 1);
	bool read = start_state_read(&state, folder, &error);
	SIM_ASSERT(read == (error.kind == ERROR_NONE) && (read || error.text[0]));
	if (read && is_small(&state))
		start(&state, allocators[data[0] % 4]);
	if (read)
		start_state_release(&state);
	return 0;
}
