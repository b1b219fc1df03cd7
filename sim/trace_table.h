/* SPDX-License-Identifier: MIT
 *
 * trace_table.h - the tables an import keeps: texts, rows by their key, and maps from a number.
 *
 *   string_table   text -> dense index, in the order of first sight
 *   row_table      a row whose first bytes are its key -> dense index, likewise
 *   number_map     a number other than 0 -> an entry, with removal (open addressing, linear probing, entries moved back on
 * removal)
 *
 * Indexes follow the order of first sight alone, so nothing that is written depends on a hash.
 */
#ifndef SIM_TRACE_TABLE_H
#define SIM_TRACE_TABLE_H

#include "sim/base.h"

#include <string.h>

/* "No such index". */
#define TABLE_NONE UINT32_MAX

/* Spreads 64 bits: the finalizer of MurmurHash3 (public domain, A. Appleby). */
static inline uint64_t table_mix(uint64_t key)
{
	key = (key ^ key >> 33) * 0xff51afd7ed558ccdu;
	key = (key ^ key >> 33) * 0xc4ceb9fe1a85ec53u;
	return key ^ key >> 33;
}

struct string_entry {
	uint64_t offset;
	uint32_t hash, length;
};

struct string_table {
	char *bytes; /* every text with a terminating 0 */
	uint64_t bytes_used, bytes_room;
	struct string_entry *entries;
	uint32_t count, room;
	uint32_t *slots; /* index + 1, 0 = free */
	uint32_t slots_mask;
};

void string_table_init(struct string_table *table);
void string_table_release(struct string_table *table);
/* The index of the text, which is added if it is new. */
uint32_t string_table_index(struct string_table *table, const char *text, size_t length);
/* Valid until the next text is added. */
const char *string_table_text(const struct string_table *table, uint32_t index);

struct row_table {
	unsigned char *rows;
	size_t row_bytes, key_bytes;
	uint32_t count, room;
	uint32_t *slots; /* index + 1, 0 = free */
	uint32_t slots_mask;
};

void row_table_init(struct row_table *table, size_t row_bytes, size_t key_bytes);
void row_table_release(struct row_table *table);
/* The index of the row with the key that `row` begins with; if there is none, the whole of *row is added. Keys hold no padding.
 */
uint32_t row_table_index(struct row_table *table, const void *row);
/* TABLE_NONE if there is no row with that key. */
uint32_t row_table_find(const struct row_table *table, const void *row);
/* Valid until the next row is added. */
static inline void *row_table_row(const struct row_table *table, uint32_t index)
{
	SIM_ASSERT(index < table->count);
	return table->rows + index * table->row_bytes;
}

struct number_map {
	unsigned char *entries; /* each begins with its key as uint64_t, 0 = free */
	size_t mask, count;
};

void number_map_init(struct number_map *map, size_t entry_bytes);
void number_map_release(struct number_map *map);
void number_map_grow(struct number_map *map, size_t entry_bytes);

static inline uint64_t number_map_key(const struct number_map *map, size_t slot, size_t entry_bytes)
{
	uint64_t key;
	memcpy(&key, map->entries + slot * entry_bytes, sizeof key);
	return key;
}

/* NULL if there is no entry. Valid until the map is changed. */
static inline void *number_map_find(const struct number_map *map, uint64_t key, size_t entry_bytes)
{
	for (size_t slot = table_mix(key) & map->mask;; slot = (slot + 1) & map->mask) {
		uint64_t here = number_map_key(map, slot, entry_bytes);
		if (here == key)
			return map->entries + slot * entry_bytes;
		if (here == 0)
			return NULL;
	}
}

/* Adds a zeroed entry with that key, which must not be there. Valid until the map is changed. */
static inline void *number_map_add(struct number_map *map, uint64_t key, size_t entry_bytes)
{
	if (2 * ++map->count > map->mask)
		number_map_grow(map, entry_bytes);
	size_t slot = table_mix(key) & map->mask;
	while (number_map_key(map, slot, entry_bytes) != 0)
		slot = (slot + 1) & map->mask;
	memcpy(map->entries + slot * entry_bytes, &key, sizeof key);
	return map->entries + slot * entry_bytes;
}

/* Takes out an entry that number_map_find() gave. */
static inline void number_map_remove(struct number_map *map, void *entry, size_t entry_bytes)
{
	size_t hole = (size_t)((unsigned char *)entry - map->entries) / entry_bytes;
	for (size_t slot = (hole + 1) & map->mask;; slot = (slot + 1) & map->mask) {
		uint64_t key = number_map_key(map, slot, entry_bytes);
		if (key == 0)
			break;
		size_t home = table_mix(key) & map->mask;
		/* An entry may move back to the hole only if its home is not between the two. */
		if (((slot - home) & map->mask) < ((slot - hole) & map->mask))
			continue;
		memcpy(map->entries + hole * entry_bytes, map->entries + slot * entry_bytes, entry_bytes);
		hole = slot;
	}
	memset(map->entries + hole * entry_bytes, 0, entry_bytes);
	map->count--;
}

#endif
