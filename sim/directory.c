/* SPDX-License-Identifier: MIT
 *
 * directory.c - the hash table of lines (interface and algorithm: directory.h).
 */
#include "sim/directory.h"

#include <stdlib.h>

#define CAPACITY_FIRST 4096u
#define RECORDS_FIRST 64u

_Static_assert(CPUS_MAX == 128, "core_set_empty() and core_set_count() take two words");

static void allocate(struct directory *directory, uint64_t capacity)
{
	directory->capacity = capacity;
	directory->slots = dense_alloc(capacity, sizeof *directory->slots);
}

void directory_init(struct directory *directory)
{
	*directory = (struct directory){0};
	allocate(directory, CAPACITY_FIRST);
}

void directory_release(struct directory *directory)
{
	if (directory->slots)
		lazy_free(directory->slots, directory->capacity, sizeof *directory->slots);
	free(directory->records);
	*directory = (struct directory){0};
}

static void grow(struct directory *directory)
{
	const struct directory old = *directory;
	allocate(directory, 2 * old.capacity);
	for (uint64_t place = 0; place < old.capacity; place++)
		if (old.slots[place].line)
			*directory_place(directory, old.slots[place].line - 1) = old.slots[place];
	lazy_free(old.slots, old.capacity, sizeof *old.slots);
}

/* ---- records ---- */

static bool has_record(const struct directory_slot *slot)
{
	return slot->known & SLOT_RECORD;
}

static uint32_t record_of(const struct directory_slot *slot)
{
	return (uint32_t)(slot->known >> 1);
}

static uint32_t take_record(struct directory *directory)
{
	if (directory->first_free < directory->records_used) {
		uint32_t number = directory->first_free;
		directory->first_free = (uint32_t)directory->records[number].line;
		return number;
	}
	if (directory->records_used == directory->records_capacity) {
		directory->records_capacity = directory->records_capacity ? 2 * directory->records_capacity : RECORDS_FIRST;
		directory->records = xrealloc(directory->records, directory->records_capacity * sizeof *directory->records);
	}
	directory->first_free = ++directory->records_used;
	return directory->records_used - 1;
}

static void free_record(struct directory *directory, const struct directory_slot *slot)
{
	directory->records[record_of(slot)].line = directory->first_free;
	directory->first_free = record_of(slot);
}

/* ---- entries ---- */

#define SLOT_BUSY_MAX (UINT64_MAX >> SLOT_BUSY_SHIFT)

struct directory_entry directory_look(const struct directory *directory, const struct directory_slot *slot)
{
	if (has_record(slot))
		return directory->records[record_of(slot)];
	const unsigned first = (unsigned)((slot->known & SLOT_GROUP_BITS) >> SLOT_GROUP_SHIFT) * SLOT_GROUP;
	struct directory_entry entry = {
	        .line = slot->line - 1, .busy_until = slot->known >> SLOT_BUSY_SHIFT, .owner = OWNER_NONE};
	entry.cores.bits[first / 64] = (slot->known & SLOT_CORES_BITS) >> SLOT_CORES_SHIFT << first % 64;
	if (slot->known & SLOT_OWNED)
		entry.owner = (uint16_t)core_set_next(&entry.cores, first);
	return entry;
}

/* Whether a slot can tell all, and in *known how. */
static bool fits_slot(const struct directory_entry *entry, uint64_t *known)
{
	const unsigned cpu = core_set_next(&entry->cores, 0), first = cpu < CPUS_MAX ? cpu / SLOT_GROUP * SLOT_GROUP : 0;
	const uint64_t cores = entry->cores.bits[first / 64] >> first % 64;
	if (!core_set_empty(&entry->shared) || cores >> SLOT_GROUP || core_set_next(&entry->cores, first + SLOT_GROUP) < CPUS_MAX)
		return false;
	if (entry->busy_until > SLOT_BUSY_MAX || (entry->owner != OWNER_NONE && (entry->owner != cpu || (cores & (cores - 1)))))
		return false;
	*known = entry->busy_until << SLOT_BUSY_SHIFT | cores << SLOT_CORES_SHIFT |
	         (uint64_t)(first / SLOT_GROUP) << SLOT_GROUP_SHIFT | (entry->owner != OWNER_NONE ? SLOT_OWNED : 0);
	return true;
}

void directory_set(struct directory *directory, struct directory_slot *slot, const struct directory_entry *entry)
{
	uint64_t known;
	if (fits_slot(entry, &known)) {
		if (has_record(slot))
			free_record(directory, slot);
		slot->known = known;
		return;
	}
	if (!has_record(slot))
		slot->known = (uint64_t)take_record(directory) << 1 | SLOT_RECORD;
	directory->records[record_of(slot)] = *entry;
}

static void add(struct directory *directory, const struct directory_slot *slot)
{
	if (2 * (directory->count + 1) > directory->capacity)
		grow(directory);
	directory->count++;
	*directory_place(directory, slot->line - 1) = *slot;
}

void directory_add(struct directory *directory, uint64_t line, unsigned cpu, bool is_owned)
{
	add(directory, &(struct directory_slot){line + 1, slot_core(cpu) | (is_owned ? SLOT_OWNED : 0)});
}

void directory_add_shared(struct directory *directory, uint64_t line, unsigned number)
{
	struct directory_entry entry = {.line = line, .owner = OWNER_NONE};
	core_set_add(&entry.shared, number);
	const uint32_t record = take_record(directory);
	directory->records[record] = entry;
	add(directory, &(struct directory_slot){line + 1, (uint64_t)record << 1 | SLOT_RECORD});
}

void directory_drop(struct directory *directory, struct directory_slot *slot)
{
	uint64_t mask = directory->capacity - 1, gap = (uint64_t)(slot - directory->slots);
	directory->count--;
	if (has_record(slot))
		free_record(directory, slot);
	/* Whoever stands behind the gap and would be looked for before it or in it moves into it. */
	for (uint64_t place = (gap + 1) & mask; directory->slots[place].line; place = (place + 1) & mask) {
		uint64_t home = directory_home(directory, directory->slots[place].line - 1);
		if (((place - home) & mask) < ((place - gap) & mask))
			continue;
		directory->slots[gap] = directory->slots[place];
		gap = place;
	}
	directory->slots[gap] = (struct directory_slot){0};
}

void directory_keep(struct directory *directory, struct directory_slot *slot, cycle until)
{
	if (has_record(slot) || until > SLOT_BUSY_MAX) {
		struct directory_entry entry = directory_look(directory, slot);
		if (entry.busy_until < until) {
			entry.busy_until = until;
			directory_set(directory, slot, &entry);
		}
		return;
	}
	if (slot->known >> SLOT_BUSY_SHIFT < until)
		slot->known = (slot->known & ((1u << SLOT_BUSY_SHIFT) - 1)) | until << SLOT_BUSY_SHIFT;
}

/* ---- laws ---- */

/* Every record is a line's or free. */
static void check_records(const struct directory *directory, uint32_t used)
{
	for (uint32_t number = directory->first_free; number < directory->records_used; used++) {
		SIM_ASSERT(used <= directory->records_used);
		number = (uint32_t)directory->records[number].line;
	}
	SIM_ASSERT(used == directory->records_used);
}

void directory_check(const struct directory *directory)
{
	uint64_t count = 0;
	uint32_t records = 0;
	for (uint64_t place = 0; place < directory->capacity; place++) {
		const struct directory_slot *slot = &directory->slots[place];
		if (slot->line == 0)
			continue;
		const struct directory_entry entry = directory_look(directory, slot);
		count++;
		records += has_record(slot);
		SIM_ASSERT(entry.line + 1 == slot->line);
		SIM_ASSERT(directory_find(directory, entry.line) == slot);
		SIM_ASSERT(!core_set_empty(&entry.cores) || !core_set_empty(&entry.shared));
		SIM_ASSERT(entry.owner == OWNER_NONE || core_set_has(&entry.cores, entry.owner));
	}
	SIM_ASSERT(count == directory->count && 2 * count <= directory->capacity);
	check_records(directory, records);
}
