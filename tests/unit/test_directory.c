/* SPDX-License-Identifier: MIT
 *
 * test_directory.c - the directory against a plain array of entries: lines that one core holds, in slots, and lines with records.
 */
#include "tests/unit/test.h"

#include "sim/directory.h"
#include "sim/rng.h"

#define LINES 6000u /* more than half of the first table: it grows */
#define CORES 40u   /* of three groups */
#define STEPS 200000u

/* What is known of each line, as one would write it down. */
static struct directory_entry plain[LINES];

static bool is_held(const struct directory_entry *entry)
{
	return !core_set_empty(&entry->cores) || !core_set_empty(&entry->shared);
}

/* Numbers far apart, whose hashes meet. */
static uint64_t line_of(unsigned index)
{
	return index % 7 ? index : (uint64_t)index << 40;
}

static void compare(const struct directory *directory, unsigned index)
{
	const struct directory_slot *slot = directory_find(directory, line_of(index));
	assert_int_equal(slot != NULL, is_held(&plain[index]));
	if (!slot)
		return;
	const struct directory_entry entry = directory_look(directory, slot);
	assert_int_equal(entry.line, line_of(index));
	assert_memory_equal(&entry.cores, &plain[index].cores, sizeof entry.cores);
	assert_memory_equal(&entry.shared, &plain[index].shared, sizeof entry.shared);
	assert_int_equal(entry.owner, plain[index].owner);
	assert_int_equal(entry.busy_until, plain[index].busy_until);
	for (unsigned cpu = 0; cpu < CORES; cpu++)
		if (directory_is_only(slot, cpu))
			assert_true(core_set_has(&entry.cores, cpu) && core_set_count(&entry.cores) == 1 &&
			            core_set_empty(&entry.shared));
}

/* A core gets the line, alone or beside others, or a shared cache does. */
static void gain(struct directory *directory, unsigned index, unsigned cpu, bool is_shared, bool is_owned)
{
	struct directory_slot *slot = directory_find(directory, line_of(index));
	struct directory_entry *entry = &plain[index];
	core_set_add(is_shared ? &entry->shared : &entry->cores, cpu);
	if (!is_shared && (is_owned || entry->owner == cpu))
		entry->owner = is_owned ? (uint16_t)cpu : OWNER_NONE;
	if (!slot && is_shared)
		directory_add_shared(directory, line_of(index), cpu);
	else if (!slot)
		directory_add(directory, line_of(index), cpu, is_owned);
	else if (is_shared || !directory_set_core(slot, cpu, true, is_owned))
		directory_set(directory, slot, entry);
}

/* A core loses the line. */
static void leave(struct directory *directory, unsigned index, unsigned cpu)
{
	struct directory_slot *slot = directory_find(directory, line_of(index));
	struct directory_entry *entry = &plain[index];
	core_set_remove(&entry->cores, cpu);
	if (entry->owner == cpu)
		entry->owner = OWNER_NONE;
	if (slot && !directory_set_core(slot, cpu, false, false))
		directory_set(directory, slot, entry);
	else if (slot)
		assert_int_equal(directory_is_left(slot), !is_held(entry));
	if (is_held(entry))
		return;
	if (slot)
		directory_drop(directory, slot);
	*entry = (struct directory_entry){.line = line_of(index), .owner = OWNER_NONE};
}

static void lose(struct directory *directory, unsigned index)
{
	struct directory_slot *slot = directory_find(directory, line_of(index));
	if (slot)
		directory_drop(directory, slot);
	plain[index] = (struct directory_entry){.line = line_of(index), .owner = OWNER_NONE};
}

/* Some of them later than a slot has bits for. */
static void keep(struct directory *directory, unsigned index, cycle until)
{
	struct directory_slot *slot = directory_find(directory, line_of(index));
	if (!slot)
		return;
	directory_keep(directory, slot, until);
	if (plain[index].busy_until < until)
		plain[index].busy_until = until;
}

/* Would catch: a slot that says less than the record it stands for, a record that two lines have, a line lost in a closed gap. */
static void lines_are_known_as_they_were_told(void **state)
{
	(void)state;
	struct directory directory;
	struct rng rng;
	rng_init(&rng, 1, "directory");
	directory_init(&directory);
	for (unsigned index = 0; index < LINES; index++)
		lose(&directory, index);
	for (unsigned step = 0; step < STEPS; step++) {
		/* Up, then mostly down. */
		unsigned index = (unsigned)rng_below(&rng, LINES), what = (unsigned)rng_below(&rng, step < STEPS / 2 ? 16 : 9);
		/* As a rule of one group. */
		unsigned cpu = (unsigned)rng_below(&rng, rng_below(&rng, 4) ? 3 : CORES);
		if (what < 2)
			leave(&directory, index, cpu);
		else if (what < 5)
			lose(&directory, index);
		else if (what < 8)
			keep(&directory, index, rng_below(&rng, 16) ? rng_below(&rng, 1000) : UINT64_MAX - rng_below(&rng, 1000));
		else
			gain(&directory, index, cpu, what == 8, rng_below(&rng, 4) == 0);
		compare(&directory, index);
		if (step % 10000 == 0)
			directory_check(&directory);
	}
	uint64_t held = 0;
	for (unsigned index = 0; index < LINES; index++) {
		compare(&directory, index);
		held += is_held(&plain[index]);
	}
	assert_int_equal(directory.count, held);
	directory_release(&directory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(lines_are_known_as_they_were_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
