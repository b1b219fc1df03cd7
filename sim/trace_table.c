/* SPDX-License-Identifier: MIT
 *
 * trace_table.c - the growing parts of the import's tables (interface: trace_table.h).
 *
 * All tables are open-addressed with at most half of their slots in use; they grow by doubling.
 */
#include "sim/trace_table.h"

#include <stdlib.h>

#define FIRST_SLOTS 256u

static uint64_t load64(const unsigned char *at)
{
	uint64_t word;
	memcpy(&word, at, sizeof word);
	return word;
}

static uint64_t load32(const unsigned char *at)
{
	uint32_t word;
	memcpy(&word, at, sizeof word);
	return word;
}

/* The bytes of a text of less than 8, each at least once, in one word. */
static uint64_t load_short(const unsigned char *at, size_t length)
{
	if (length >= 4)
		return load32(at) | load32(at + length - 4) << 32;
	if (length == 0)
		return 0;
	return (uint64_t)at[0] | (uint64_t)at[length / 2] << 8 | (uint64_t)at[length - 1] << 16;
}

/* The last word of a longer text overlaps the one before it. */
static uint32_t hash_bytes(const void *text, size_t length)
{
	const unsigned char *at = text, *end = at + length;
	uint64_t hash = length;
	if (length < 8)
		return (uint32_t)table_mix(hash << 56 ^ load_short(at, length));
	for (; end - at > 8; at += 8) {
		hash = (hash ^ load64(at)) * 0x9e3779b97f4a7c15u; /* 2^64 / golden ratio */
		hash ^= hash >> 32;
	}
	return (uint32_t)table_mix(hash ^ load64(end - 8));
}

void string_table_init(struct string_table *table)
{
	*table = (struct string_table){.slots_mask = FIRST_SLOTS - 1};
	table->slots = xcalloc(FIRST_SLOTS, sizeof *table->slots);
}

void string_table_release(struct string_table *table)
{
	free(table->bytes);
	free(table->entries);
	free(table->slots);
	*table = (struct string_table){0};
}

static void string_table_grow(struct string_table *table)
{
	table->slots_mask = 2 * table->slots_mask + 1;
	free(table->slots);
	table->slots = xcalloc((size_t)table->slots_mask + 1, sizeof *table->slots);
	for (uint32_t index = 0; index < table->count; index++) {
		uint32_t slot = table->entries[index].hash & table->slots_mask;
		while (table->slots[slot] != 0)
			slot = (slot + 1) & table->slots_mask;
		table->slots[slot] = index + 1;
	}
}

static void string_table_add(struct string_table *table, uint32_t hash, const char *text, size_t length)
{
	if (table->count == table->room) {
		table->room = table->room ? 2 * table->room : FIRST_SLOTS;
		table->entries = xrealloc(table->entries, table->room * sizeof *table->entries);
	}
	if (table->bytes_used + length + 1 > table->bytes_room) {
		table->bytes_room = 2 * table->bytes_room + length + 4096;
		table->bytes = xrealloc(table->bytes, table->bytes_room);
	}
	table->entries[table->count++] = (struct string_entry){table->bytes_used, hash, (uint32_t)length};
	memcpy(table->bytes + table->bytes_used, text, length);
	table->bytes[table->bytes_used + length] = '\0';
	table->bytes_used += length + 1;
}

uint32_t string_table_index(struct string_table *table, const char *text, size_t length)
{
	uint32_t hash = hash_bytes(text, length);
	uint32_t slot = hash & table->slots_mask;
	for (; table->slots[slot] != 0; slot = (slot + 1) & table->slots_mask) {
		const struct string_entry *entry = &table->entries[table->slots[slot] - 1];
		if (entry->hash == hash && entry->length == length && memcmp(table->bytes + entry->offset, text, length) == 0)
			return table->slots[slot] - 1;
	}
	string_table_add(table, hash, text, length);
	table->slots[slot] = table->count;
	if (table->count > table->slots_mask / 2)
		string_table_grow(table);
	return table->count - 1;
}

const char *string_table_text(const struct string_table *table, uint32_t index)
{
	SIM_ASSERT(index < table->count);
	return table->bytes + table->entries[index].offset;
}

void row_table_init(struct row_table *table, size_t row_bytes, size_t key_bytes)
{
	*table = (struct row_table){.row_bytes = row_bytes, .key_bytes = key_bytes, .slots_mask = FIRST_SLOTS - 1};
	table->slots = xcalloc(FIRST_SLOTS, sizeof *table->slots);
}

void row_table_release(struct row_table *table)
{
	free(table->rows);
	free(table->slots);
	*table = (struct row_table){0};
}

static void row_table_grow(struct row_table *table)
{
	table->slots_mask = 2 * table->slots_mask + 1;
	free(table->slots);
	table->slots = xcalloc((size_t)table->slots_mask + 1, sizeof *table->slots);
	for (uint32_t index = 0; index < table->count; index++) {
		uint32_t slot = hash_bytes(table->rows + index * table->row_bytes, table->key_bytes) & table->slots_mask;
		while (table->slots[slot] != 0)
			slot = (slot + 1) & table->slots_mask;
		table->slots[slot] = index + 1;
	}
}

/* The slot that holds the key, or the free one where it belongs. */
static uint32_t row_slot(const struct row_table *table, const void *row)
{
	uint32_t slot = hash_bytes(row, table->key_bytes) & table->slots_mask;
	while (table->slots[slot] != 0 &&
	       memcmp(table->rows + (table->slots[slot] - 1) * table->row_bytes, row, table->key_bytes) != 0)
		slot = (slot + 1) & table->slots_mask;
	return slot;
}

uint32_t row_table_find(const struct row_table *table, const void *row)
{
	uint32_t slot = row_slot(table, row);
	return table->slots[slot] != 0 ? table->slots[slot] - 1 : TABLE_NONE;
}

uint32_t row_table_index(struct row_table *table, const void *row)
{
	uint32_t slot = row_slot(table, row);
	if (table->slots[slot] != 0)
		return table->slots[slot] - 1;
	if (table->count == table->room) {
		table->room = table->room ? 2 * table->room : FIRST_SLOTS;
		table->rows = xrealloc(table->rows, table->room * table->row_bytes);
	}
	memcpy(table->rows + table->count * table->row_bytes, row, table->row_bytes);
	table->slots[slot] = ++table->count;
	uint32_t index = table->count - 1;
	if (table->count > table->slots_mask / 2)
		row_table_grow(table);
	return index;
}

void number_map_init(struct number_map *map, size_t entry_bytes)
{
	*map = (struct number_map){.mask = FIRST_SLOTS - 1};
	map->entries = xcalloc(FIRST_SLOTS, entry_bytes);
}

void number_map_release(struct number_map *map)
{
	free(map->entries);
	*map = (struct number_map){0};
}

void number_map_grow(struct number_map *map, size_t entry_bytes)
{
	unsigned char *old = map->entries;
	size_t old_mask = map->mask;
	map->mask = 2 * map->mask + 1;
	map->entries = xcalloc(map->mask + 1, entry_bytes);
	for (size_t i = 0; i <= old_mask; i++) {
		uint64_t key;
		memcpy(&key, old + i * entry_bytes, sizeof key);
		if (key == 0)
			continue;
		size_t slot = table_mix(key) & map->mask;
		while (number_map_key(map, slot, entry_bytes) != 0)
			slot = (slot + 1) & map->mask;
		memcpy(map->entries + slot * entry_bytes, old + i * entry_bytes, entry_bytes);
	}
	free(old);
}
