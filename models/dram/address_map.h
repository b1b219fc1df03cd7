/* SPDX-License-Identifier: MIT
 *
 * address_map.h - where a line of main memory lies: machine.dram.mapping names the fields of an address from its highest bits to
 * its lowest, "row:rank:bank:column:group:channel". A field has the bits that its count needs, the row all that are left; the
 * bytes of a line lie below.
 */
#ifndef MODELS_DRAM_ADDRESS_MAP_H
#define MODELS_DRAM_ADDRESS_MAP_H

#include "sim/base.h"

struct machine_settings;

/* A field's bits of a line's number. */
struct address_field {
	unsigned shift;
	uint32_t mask;
};

struct address_map {
	struct address_field channel, rank, group, bank;
	unsigned line_shift, row_shift;
	unsigned bank_bits, group_bits;
	uint32_t hash_mask; /* bits of the row that are exclusive-ored into bank and group */
};

struct dram_place {
	uint32_t channel, rank;
	uint32_t bank; /* in the rank: 0 to groups * banks - 1 */
	uint64_t row;
};

/* false with *error filled if the mapping is no such list, or a row has less bytes than a line. */
bool address_map_init(struct address_map *map, const struct machine_settings *machine, struct error *error);

static inline uint32_t address_field_of(uint64_t line, struct address_field field)
{
	return (uint32_t)(line >> field.shift) & field.mask;
}

static inline struct dram_place address_map_place(const struct address_map *map, uint64_t line)
{
	uint64_t row = line >> map->row_shift;
	uint32_t bank = address_field_of(line, map->group) << map->bank_bits | address_field_of(line, map->bank);
	return (struct dram_place){.channel = address_field_of(line, map->channel),
	                           .rank = address_field_of(line, map->rank),
	                           .bank = bank ^ ((uint32_t)row & map->hash_mask),
	                           .row = row};
}

#endif
