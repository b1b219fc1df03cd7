/* SPDX-License-Identifier: MIT
 *
 * fuzz_state.c - any bytes as a state dump: the first byte chooses the object allocator, the rest is the dump. A state that the
 * models take must keep their laws, and what they print of it must be taken again and print the same.
 */
#include "models/page_allocator/buddy.h"
#include "models/registry.h"
#include "sim/state_dump.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Machines above this only cost time. */
#define END_PFN_MAX (1u << 18)

struct machine {
	struct settings settings;
	struct layout layout;
	struct steps steps;
	struct page_allocator *pages;
	struct object_allocator *objects;
};

static bool read_dump(struct state_dump *dump, const char *text, size_t size)
{
	struct error error = {0};
	uint64_t number = 0;
	state_dump_init(dump);
	for (const char *at = text, *end = text + size; at < end;) {
		const char *stop = memchr(at, '\n', (size_t)(end - at));
		stop = stop ? stop : end;
		enum state_line_result result = state_dump_line(dump, at, (size_t)(stop - at), ++number, &error);
		SIM_ASSERT((result == STATE_WRONG) == (error.kind != ERROR_NONE));
		if (result == STATE_WHOLE)
			return true;
		if (result == STATE_WRONG)
			return false;
		at = stop + 1;
	}
	return false;
}

/* Pages, then objects in them; a refusal has a sentence. */
static bool load(struct machine *machine, const struct state_dump *dump, unsigned kind)
{
	static const char *const names[] = {"slub", "slab", "slob"};
	struct error error = {0};
	*machine = (struct machine){0};
	settings_init(&machine->settings);
	machine->settings.machine.cpus = 2;
	machine->settings.kernel.slab_freelist_random = false;
	layout_init(&machine->layout, machine->settings.kernel.page_struct_bytes);
	steps_init(&machine->steps, false);
	machine->pages = buddy_load(
	        dump,
	        &(struct page_allocator_wiring){
	                .settings = &machine->settings, .layout = &machine->layout, .steps = &machine->steps},
	        &error);
	SIM_ASSERT((machine->pages != NULL) == (error.kind == ERROR_NONE));
	if (!machine->pages)
		return false;
	page_allocator_check(machine->pages);
	const struct object_allocator_model *model = object_allocator_model(names[kind], &error);
	const struct object_allocator_wiring wiring = {.settings = &machine->settings,
	                                               .pages = machine->pages,
	                                               .layout = &machine->layout,
	                                               .steps = &machine->steps};
	machine->objects = model->create(&wiring, &error);
	bool loaded = machine->objects->ops->load_state(machine->objects, dump, &error);
	SIM_ASSERT(loaded == (error.kind == ERROR_NONE));
	if (loaded)
		object_allocator_check(machine->objects);
	return loaded;
}

static char *print(const struct machine *machine)
{
	char *text;
	size_t bytes;
	FILE *out = open_memstream(&text, &bytes);
	SIM_ASSERT(out);
	fprintf(out, "@STATE printed what=pmc ts=0\n");
	machine->pages->ops->print_state(machine->pages, out);
	machine->objects->ops->print_state(machine->objects, CACHE_NONE, out);
	fprintf(out, "@END printed\n");
	fclose(out);
	return text;
}

/* Destroying an allocator with objects gives their slabs back; a state may have put them on frames that are not in use. */
static void release(struct machine *machine)
{
	object_allocator_destroy(machine->objects);
	page_allocator_destroy(machine->pages);
	steps_release(&machine->steps);
	layout_release(&machine->layout);
	settings_release(&machine->settings);
}

static void check_printed(const struct machine *machine, unsigned kind)
{
	struct state_dump again;
	struct machine second;
	char *printed = print(machine);
	bool read = read_dump(&again, printed, strlen(printed));
	SIM_ASSERT(read);
	bool loaded = load(&second, &again, kind);
	SIM_ASSERT(loaded);
	char *twice = print(&second);
	SIM_ASSERT(strcmp(printed, twice) == 0);
	release(&second);
	state_dump_release(&again);
	free(twice);
	free(printed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct state_dump dump;
	struct machine machine;
	if (size == 0)
		return 0;
	unsigned kind = data[0] % 3;
	if (read_dump(&dump, (const char *)data + 1, size - 1) && dump.memory.max_pfn <= END_PFN_MAX) {
		if (load(&machine, &dump, kind))
			check_printed(&machine, kind);
		release(&machine);
	}
	state_dump_release(&dump);
	return 0;
}
