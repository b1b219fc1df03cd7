/* SPDX-License-Identifier: MIT
 *
 * address_map.c - fields of an address from the text of machine.dram.mapping (interface: address_map.h).
 */
#include "models/dram/address_map.h"

#include "models/settings.h"

#include <string.h>

enum { FIELD_ROW, FIELD_RANK, FIELD_BANK, FIELD_COLUMN, FIELD_GROUP, FIELD_CHANNEL, FIELDS };

static const char *const field_names[FIELDS] = {"row", "rank", "bank", "column", "group", "channel"};

static unsigned bits_of(uint32_t count)
{
	return (unsigned)__builtin_ctz(count);
}

static bool refuse(const struct machine_settings *machine, const char *why, struct error *error)
{
	return error_set(
	        error, ERROR_USAGE,
	        "machine.dram.mapping: '%s': %s; it names row, rank, bank, column, group and channel once each, row first, "
	        "with ':' between them",
	        machine->dram.mapping ? machine->dram.mapping : "", why);
}

/* The index of the field whose name the first `length` bytes are; FIELDS if none. */
static unsigned field_named(const char *text, size_t length)
{
	unsigned field = 0;
	while (field < FIELDS && (strlen(field_names[field]) != length || memcmp(field_names[field], text, length) != 0))
		field++;
	return field;
}

/* The fields in the text's order. */
static bool read_order(const struct machine_settings *machine, unsigned order[FIELDS], struct error *error)
{
	const char *text = machine->dram.mapping ? machine->dram.mapping : "";
	unsigned seen = 0;
	for (unsigned i = 0; i < FIELDS; i++) {
		size_t length = strcspn(text, ":");
		unsigned field = field_named(text, length);
		if (field == FIELDS)
			return refuse(machine, *text ? "a name that is none of them" : "too few names", error);
		if (seen & 1u << field)
			return refuse(machine, "a name that stands twice", error);
		seen |= 1u << field;
		order[i] = field;
		text += length + (i + 1 < FIELDS && text[length] == ':');
	}
	if (*text)
		return refuse(machine, "too many names", error);
	return order[0] == FIELD_ROW ? true : refuse(machine, "row is not the first", error);
}

bool address_map_init(struct address_map *map, const struct machine_settings *machine, struct error *error)
{
	const struct dram_settings *dram = &machine->dram;
	unsigned order[FIELDS];
	if (!read_order(machine, order, error))
		return false;
	if (dram->row_bytes < machine->cache_line_bytes)
		return error_set(error, ERROR_USAGE, "machine.dram.row: %u bytes are less than machine.cache_line, %u",
		                 dram->row_bytes, machine->cache_line_bytes);
	const uint32_t counts[FIELDS] = {[FIELD_RANK] = dram->ranks,
	                                 [FIELD_BANK] = dram->banks,
	                                 [FIELD_COLUMN] = dram->row_bytes / machine->cache_line_bytes,
	                                 [FIELD_GROUP] = dram->bank_groups,
	                                 [FIELD_CHANNEL] = dram->channels};
	struct address_field fields[FIELDS];
	unsigned shift = 0;
	for (unsigned i = FIELDS; --i > 0;) {
		fields[order[i]] = (struct address_field){.shift = shift, .mask = counts[order[i]] - 1};
		shift += bits_of(counts[order[i]]);
	}
	*map = (struct address_map){.channel = fields[FIELD_CHANNEL],
	                            .rank = fields[FIELD_RANK],
	                            .group = fields[FIELD_GROUP],
	                            .bank = fields[FIELD_BANK],
	                            .line_shift = bits_of(machine->cache_line_bytes),
	                            .row_shift = shift,
	                            .bank_bits = bits_of(dram->banks),
	                            .group_bits = bits_of(dram->bank_groups)};
	map->hash_mask = dram->bank_hash ? (1u << (map->bank_bits + map->group_bits)) - 1 : 0;
	return true;
}
