/* SPDX-License-Identifier: MIT
 *
 * test_state_print.c - a recorded state, loaded into the models and printed by them, is the recorded text again; and what was
 * printed can be loaded. Expected values are the lines a real kernel printed (tests/oracle). Each test names the mistake it
 * would catch.
 */
#include "models/page_allocator/buddy.h"
#include "models/registry.h"
#include "sim/recording.h"
#include "sim/state_diff.h"
#include "tests/unit/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct machine {
	struct settings settings;
	struct layout layout;
	struct steps steps;
	struct page_allocator *pages;
	struct object_allocator *objects;
};

static void load(struct machine *machine, const struct state_dump *dump, const char *allocator, uint32_t cpus)
{
	struct error error = {0};
	settings_init(&machine->settings);
	machine->settings.machine.cpus = cpus;
	machine->settings.kernel.slab_merge = false;
	machine->settings.kernel.memcg_kmem = false;
	machine->settings.kernel.slab_freelist_random = false;
	machine->settings.kernel.transparent_hugepage = false;
	layout_init(&machine->layout, 64);
	steps_init(&machine->steps, false);
	machine->pages = buddy_load(dump,
	                            &(struct page_allocator_wiring){
	                                    .settings = &machine->settings, .layout = &machine->layout, .steps = &machine->steps},
	                            &error);
	if (!machine->pages)
		fail_msg("%s", error.text);
	machine->objects = object_allocator_model(allocator, &error)
	                           ->create(&(struct object_allocator_wiring){.settings = &machine->settings,
	                                                                      .pages = machine->pages,
	                                                                      .layout = &machine->layout,
	                                                                      .steps = &machine->steps},
	                                    &error);
	if (!machine->objects || !machine->objects->ops->load_state(machine->objects, dump, &error))
		fail_msg("%s", error.text);
	object_allocator_check(machine->objects);
	page_allocator_check(machine->pages);
}

static char *print(const struct machine *machine)
{
	char *text;
	size_t bytes;
	FILE *out = open_memstream(&text, &bytes);
	assert_non_null(out);
	fprintf(out, "@STATE printed what=pmc ts=0\n");
	machine->pages->ops->print_state(machine->pages, out);
	machine->objects->ops->print_state(machine->objects, CACHE_NONE, out);
	fprintf(out, "@END printed\n");
	fclose(out);
	return text;
}

static void release(struct machine *machine)
{
	object_allocator_destroy(machine->objects);
	page_allocator_destroy(machine->pages);
	steps_release(&machine->steps);
	layout_release(&machine->layout);
	settings_release(&machine->settings);
}

/* Whether the printed text has this line, blanks at the recorded line's end apart. */
static bool has_line(const char *text, const char *line)
{
	size_t length = strlen(line);
	while (length > 0 && line[length - 1] == ' ')
		length--;
	for (const char *at = text; (at = strstr(at, line[0] ? "@" : "")) && *at; at++)
		if (strncmp(at, line, length) == 0 && (at == text || at[-1] == '\n') && (at[length] == '\n' || at[length] == ' '))
			return true;
	return false;
}

static struct recording_dump dump_tagged(const struct recording *recording, const char *tag)
{
	for (size_t i = 0; i < recording->count; i++)
		if (state_text_begins(recording->lines[i].text, "@STATE ") &&
		    state_text_begins(recording->lines[i].text + strlen("@STATE "), tag))
			return recording_dump_at(recording, i);
	fail_msg("no dump %s", tag);
	return (struct recording_dump){0};
}

static void reread(struct state_dump *dump, const char *text)
{
	struct error error = {0};
	uint64_t number = 0;
	enum state_line_result result = STATE_OUTSIDE;
	state_dump_init(dump);
	for (const char *at = text; *at; at += strcspn(at, "\n") + 1) {
		result = state_dump_line(dump, at, strcspn(at, "\n"), ++number, &error);
		if (result == STATE_WRONG)
			fail_msg("%s", error.text);
	}
	assert_int_equal(result, STATE_WHOLE);
}

/* Lines that the models do not print as they are: what a frame is used for, and numbers of compaction. */
static bool is_exact(const char *line)
{
	return !state_text_begins(line, "@MAP ") && !state_text_begins(line, "@ZONE ") && !state_text_begins(line, "@END") &&
	       !state_text_begins(line, "@STATE ");
}

static void recorded_state_returns(const char *path, const char *allocator, const char *tag, unsigned lines_at_least)
{
	struct recording recording;
	struct state_dump dump, again;
	struct machine machine, second;
	struct error error = {0};
	if (!recording_read(&recording, path, &error))
		fail_msg("%s", error.text);
	struct recording_dump from = dump_tagged(&recording, tag);
	assert_true(recording_state(&recording, &from, &dump, &error));
	load(&machine, &dump, allocator, recording.cpus);
	char *printed = print(&machine);
	unsigned found = 0;
	for (size_t i = 0; i < from.count; i++) {
		const char *line = from.lines[i].text;
		if (!is_exact(line))
			continue;
		if (!has_line(printed, line))
			fail_msg("%s, %s: not printed: %.200s", path, tag, line);
		found++;
	}
	assert_true(found >= lines_at_least);
	reread(&again, printed);
	load(&second, &again, allocator, recording.cpus);
	char *twice = print(&second);
	assert_string_equal(printed, twice);
	free(twice);
	free(printed);
	release(&second);
	release(&machine);
	state_dump_release(&again);
	state_dump_release(&dump);
	recording_release(&recording);
}

/* Would catch: a list printed from the wrong end, a number left out, a cpu's part taken for another's. */
static void slub(void **state)
{
	(void)state;
	recorded_state_returns("tests/oracle/recordings/slub64/smp1/kmalloc_rand.log.xz", "slub", "kr-initial", 80);
	recorded_state_returns("tests/oracle/recordings/slub64/smp1/kmalloc_rand.log.xz", "slub", "kr-final", 80);
}

static void slab(void **state)
{
	(void)state;
	recorded_state_returns("tests/oracle/recordings/slab64/smp1/kmalloc_rand.log.xz", "slab", "kr-initial", 80);
	recorded_state_returns("tests/oracle/recordings/slab64/smp1/kmalloc_rand.log.xz", "slab", "kr-final", 80);
}

static void slob(void **state)
{
	(void)state;
	recorded_state_returns("tests/oracle/recordings/slob64/smp1/kmalloc_rand.log.xz", "slob", "kr-initial", 20);
	recorded_state_returns("tests/oracle/recordings/slob64/smp1/kmalloc_rand.log.xz", "slob", "kr-final", 20);
}

/* Would catch: one CPU's lists printed for all. */
static void pages_of_two_cpus(void **state)
{
	(void)state;
	recorded_state_returns("tests/oracle/recordings/slub64/smp2/slab_64_0.log.xz", "slub", "slab-initial", 40);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(slub),
	        cmocka_unit_test(slab),
	        cmocka_unit_test(slob),
	        cmocka_unit_test(pages_of_two_cpus),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
