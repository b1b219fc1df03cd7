/* SPDX-License-Identifier: MIT
 *
 * directory.c - the hash table of lines (interface and algorithm: directory.h).
 */
#include "sim/directory.h"

#define CAPACITY_FIRST 4096u

_Static_assert(CPUS_MAX == 128, "core_set_empty() and core_set_count() take two words");

void directory_init(struct directory *directory)
{
	*directory = (struct directory){.capacity = CAPACITY_FIRST};
	directory->entries = dense_alloc(CAPACITY_FIRST, sizeof *directory->entries);
}

void directory_release(struct directory *directory)
{
	if (directory->entries)
		lazy_free(directory->entries, directory->capacity, sizeof *directory->entries);
	*directory = (struct directory){0};
}

/* The empty slot where a line's entry would be. */
static struct directory_entry *empty_slot(const struct directory *directory, uint64_t line)
{
	uint64_t slot = directory_slot(directory, line);
	while (directory->entries[slot].line != 0)
		slot = (slot + 1) & (directory->capacity - 1);
	return &directory->entries[slot];
}

static void grow(struct directory *directory)
{
	struct directory_entry *old = directory->entries;
	uint64_t capacity = directory->capacity;
	directory->capacity = 2 * capacity;
	directory->entries = dense_alloc(directory->capacity, sizeof *directory->entries);
	for (uint64_t slot = 0; slot < capacity; slot++)
		if (old[slot].line)
			*empty_slot(directory, old[slot].line - 1) = old[slot];
	lazy_free(old, capacity, sizeof *old);
}

struct directory_entry *directory_make(struct directory *directory, uint64_t line)
{
	struct directory_entry *entry = directory_find(directory, line);
	if (entry)
		return entry;
	if (2 * (directory->count + 1) > directory->capacity)
		grow(directory);
	directory->count++;
	entry = empty_slot(directory, line);
	*entry = (struct directory_entry){.line = line + 1, .owner = OWNER_NONE};
	return entry;
}

void directory_drop(struct directory *directory, struct directory_entry *entry)
{
	uint64_t mask = directory->capacity - 1, gap = (uint64_t)(entry - directory->entries);
	directory->count--;
	/* Whoever stands behind the gap and would be looked for before it or in it moves into it. */
	for (uint64_t slot = (gap + 1) & mask; directory->entries[slot].line; slot = (slot + 1) & mask) {
		uint64_t home = directory_slot(directory, directory->entries[slot].line - 1);
		if (((slot - home) & mask) < ((slot - gap) & mask))
			continue;
		directory->entries[gap] = directory->entries[slot];
		gap = slot;
	}
	directory->entries[gap] = (struct directory_entry){0};
}

void directory_check(const struct directory *directory)
{
	uint64_t count = 0;
	for (uint64_t slot = 0; slot < directory->capacity; slot++) {
		const struct directory_entry *entry = &directory->entries[slot];
		if (entry->line == 0)
			continue;
		count++;
		SIM_ASSERT(directory_find(directory, entry->line - 1) == entry);
		SIM_ASSERT(!core_set_empty(&entry->cores) || !core_set_empty(&entry->shared));
		SIM_ASSERT(entry->owner == OWNER_NONE || core_set_has(&entry->cores, entry->owner));
	}
	SIM_ASSERT(count == directory->count && 2 * count <= directory->capacity);
}
