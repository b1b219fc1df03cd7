/* SPDX-License-Identifier: MIT
 *
 * directory.c - the hash table of lines (interface and algorithm: directory.h).
 */
#include "sim/directory.h"

#define CAPACITY_FIRST 4096u

_Static_assert(CPUS_MAX == 128, "core_set_empty() and core_set_count() take two words");

static void allocate(struct directory *directory, uint64_t capacity)
{
	directory->capacity = capacity;
	directory->lines = dense_alloc(capacity, sizeof *directory->lines);
	directory->entries = dense_alloc(capacity, sizeof *directory->entries);
}

void directory_init(struct directory *directory)
{
	*directory = (struct directory){0};
	allocate(directory, CAPACITY_FIRST);
}

void directory_release(struct directory *directory)
{
	if (directory->lines)
		lazy_free(directory->lines, directory->capacity, sizeof *directory->lines);
	if (directory->entries)
		lazy_free(directory->entries, directory->capacity, sizeof *directory->entries);
	*directory = (struct directory){0};
}

static void set_slot(struct directory *directory, uint64_t slot, const struct directory_entry *entry)
{
	directory->lines[slot] = entry->line;
	directory->entries[slot] = *entry;
}

/* The empty slot where a line's entry would be. */
static uint64_t empty_slot(const struct directory *directory, uint64_t line)
{
	uint64_t slot = directory_slot(directory, line);
	while (directory->lines[slot] != 0)
		slot = (slot + 1) & (directory->capacity - 1);
	return slot;
}

static void grow(struct directory *directory)
{
	struct directory old = *directory;
	allocate(directory, 2 * old.capacity);
	for (uint64_t slot = 0; slot < old.capacity; slot++)
		if (old.lines[slot])
			set_slot(directory, empty_slot(directory, old.lines[slot] - 1), &old.entries[slot]);
	directory_release(&old);
}

struct directory_entry *directory_make(struct directory *directory, uint64_t line)
{
	struct directory_entry *entry = directory_find(directory, line);
	if (entry)
		return entry;
	if (2 * (directory->count + 1) > directory->capacity)
		grow(directory);
	directory->count++;
	uint64_t slot = empty_slot(directory, line);
	set_slot(directory, slot, &(struct directory_entry){.line = line + 1, .owner = OWNER_NONE});
	return &directory->entries[slot];
}

void directory_drop(struct directory *directory, struct directory_entry *entry)
{
	uint64_t mask = directory->capacity - 1, gap = (uint64_t)(entry - directory->entries);
	directory->count--;
	/* Whoever stands behind the gap and would be looked for before it or in it moves into it. */
	for (uint64_t slot = (gap + 1) & mask; directory->lines[slot]; slot = (slot + 1) & mask) {
		uint64_t home = directory_slot(directory, directory->lines[slot] - 1);
		if (((slot - home) & mask) < ((slot - gap) & mask))
			continue;
		set_slot(directory, gap, &directory->entries[slot]);
		gap = slot;
	}
	set_slot(directory, gap, &(struct directory_entry){0});
}

void directory_check(const struct directory *directory)
{
	uint64_t count = 0;
	for (uint64_t slot = 0; slot < directory->capacity; slot++) {
		const struct directory_entry *entry = &directory->entries[slot];
		SIM_ASSERT(entry->line == directory->lines[slot]);
		if (entry->line == 0)
			continue;
		count++;
		SIM_ASSERT(directory_find(directory, entry->line - 1) == entry);
		SIM_ASSERT(!core_set_empty(&entry->cores) || !core_set_empty(&entry->shared));
		SIM_ASSERT(entry->owner == OWNER_NONE || core_set_has(&entry->cores, entry->owner));
	}
	SIM_ASSERT(count == directory->count && 2 * count <= directory->capacity);
}
