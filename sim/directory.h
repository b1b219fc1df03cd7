/* SPDX-License-Identifier: MIT
 *
 * directory.h - which cores' caches hold a line: an exact directory, as a hash table of the lines that some cache holds.
 *
 * Holders are of two kinds: cores, whose own caches count as one, and caches that some cores share and others do not, by numbers
 * that the directory's owner gives them. A line that is in no such cache has no entry.
 *
 * Algorithm: open addressing with linear probing, at most half full; an entry that goes closes its gap, so there are no marks of
 * deleted entries (Knuth, TAOCP vol. 3, 6.4, algorithm R). Most lines are held by cores of one group of 16 neighbours only, and
 * have no owner but an only holder: all there is to know of such a line stands in its slot, four slots to a cache line of the
 * host. Any other line has a record beside the table.
 *
 * MODEL: real directories have an end and are told of clean lines' leaving only sometimes; this one is exact and has none.
 */
#ifndef SIM_DIRECTORY_H
#define SIM_DIRECTORY_H

#include "sim/base.h"

/* A set of cores, or of other things of which there are as many. */
struct core_set {
	uint64_t bits[CPUS_MAX / 64];
};

static inline void core_set_add(struct core_set *set, unsigned number)
{
	set->bits[number / 64] |= 1ull << number % 64;
}

static inline void core_set_remove(struct core_set *set, unsigned number)
{
	set->bits[number / 64] &= ~(1ull << number % 64);
}

static inline bool core_set_has(const struct core_set *set, unsigned number)
{
	return set->bits[number / 64] >> number % 64 & 1;
}

static inline bool core_set_empty(const struct core_set *set)
{
	return (set->bits[0] | set->bits[1]) == 0;
}

/* The lowest number not below `from`, CPUS_MAX if there is none. */
static inline unsigned core_set_next(const struct core_set *set, unsigned from)
{
	for (unsigned word = from / 64; word < CPUS_MAX / 64; word++, from = word * 64) {
		uint64_t bits = set->bits[word] >> from % 64;
		if (bits)
			return from + (unsigned)__builtin_ctzll(bits);
	}
	return CPUS_MAX;
}

static inline unsigned core_set_count(const struct core_set *set)
{
	return (unsigned)(__builtin_popcountll(set->bits[0]) + __builtin_popcountll(set->bits[1]));
}

#define OWNER_NONE UINT16_MAX

/* All that is known of a line. */
struct directory_entry {
	uint64_t line;          /* its number */
	struct core_set cores;  /* in whose own caches it is */
	struct core_set shared; /* in which shared caches */
	cycle busy_until;       /* it is on its way from one core to another, or kept by a locked instruction */
	uint16_t owner;         /* the core whose own caches have written it; OWNER_NONE */
};

/* A line's place in the table. */
struct directory_slot {
	uint64_t line; /* its number plus 1; 0: none */
	/* SLOT_RECORD, and above it the number of the line's record. Or, of a line with holders of one group of cores:
	 * busy_until, from bit SLOT_BUSY_SHIFT on, a bit for each core of the group, from bit SLOT_CORES_SHIFT on, the group's
	 * number, from bit SLOT_GROUP_SHIFT on, and SLOT_OWNED if the only holder is the owner. */
	uint64_t known;
};

#define SLOT_RECORD 1u
#define SLOT_OWNED 2u
#define SLOT_GROUP_SHIFT 2
#define SLOT_CORES_SHIFT 5
#define SLOT_BUSY_SHIFT 21

#define SLOT_GROUP (SLOT_BUSY_SHIFT - SLOT_CORES_SHIFT) /* cores of a group */
#define SLOT_GROUP_BITS ((1u << SLOT_CORES_SHIFT) - (1u << SLOT_GROUP_SHIFT))
#define SLOT_CORES_BITS ((1u << SLOT_BUSY_SHIFT) - (1u << SLOT_CORES_SHIFT))

_Static_assert(CPUS_MAX <= SLOT_GROUP << (SLOT_CORES_SHIFT - SLOT_GROUP_SHIFT), "a group's number fits");

/* A core as the only holder. */
static inline uint64_t slot_core(unsigned cpu)
{
	return (uint64_t)1 << (SLOT_CORES_SHIFT + cpu % SLOT_GROUP) | (uint64_t)(cpu / SLOT_GROUP) << SLOT_GROUP_SHIFT;
}

struct directory {
	struct directory_slot *slots; /* owned */
	uint64_t capacity, count;     /* of slots, a power of two; of lines */
	/* Records, those in use and those that are free: of these `line` is the number of the next free one. Owned. */
	struct directory_entry *records;
	uint32_t records_capacity, records_used, first_free;
};

void directory_init(struct directory *directory);
void directory_release(struct directory *directory);

static inline uint64_t directory_home(const struct directory *directory, uint64_t line)
{
	return (line * 0x9e3779b97f4a7c15ull >> 20) & (directory->capacity - 1);
}

/* Where the line is, or would be: then the slot's line is 0. Good until a line is added or dropped. */
static inline struct directory_slot *directory_place(const struct directory *directory, uint64_t line)
{
	uint64_t place = directory_home(directory, line);
	while (directory->slots[place].line != line + 1 && directory->slots[place].line != 0)
		place = (place + 1) & (directory->capacity - 1);
	return &directory->slots[place];
}

/* The line's slot, NULL if nobody holds it; good as long. */
static inline struct directory_slot *directory_find(const struct directory *directory, uint64_t line)
{
	struct directory_slot *slot = directory_place(directory, line);
	return slot->line ? slot : NULL;
}

/* A hint to the host: the line's slot will be looked at. */
static inline void directory_foresee(const struct directory *directory, uint64_t line)
{
	__builtin_prefetch(&directory->slots[directory_home(directory, line)], 1);
}

/* Whether the slot says that this core, and nothing else, holds its line. */
static inline bool directory_is_only(const struct directory_slot *slot, unsigned cpu)
{
	return (slot->known & (SLOT_CORES_BITS | SLOT_GROUP_BITS | SLOT_RECORD)) == slot_core(cpu);
}

/* The slot's line is held by a core, and owned, or is not. Returns whether the slot could be told; if not, nothing happened. */
static inline bool directory_set_core(struct directory_slot *slot, unsigned cpu, bool is_here, bool is_owned)
{
	const uint64_t core = slot_core(cpu), bit = core & SLOT_CORES_BITS, known = slot->known;
	if (known & SLOT_RECORD || ((known & SLOT_CORES_BITS) && ((known ^ core) & SLOT_GROUP_BITS)))
		return false;
	if (!(known & SLOT_CORES_BITS & ~bit)) {
		const uint64_t busy = known >> SLOT_BUSY_SHIFT << SLOT_BUSY_SHIFT;
		slot->known = busy | (is_here ? core | (is_owned ? SLOT_OWNED : 0) : 0);
		return true;
	}
	if (is_owned || (known & SLOT_OWNED))
		return false;
	slot->known = is_here ? known | bit : known & ~bit;
	return true;
}

/* Whether nobody holds the line of a slot without a record. */
static inline bool directory_is_left(const struct directory_slot *slot)
{
	return !(slot->known & (SLOT_CORES_BITS | SLOT_RECORD));
}

/* What is known of the slot's line. */
struct directory_entry directory_look(const struct directory *directory, const struct directory_slot *slot);

/* All that is known of the slot's line becomes this. It may be that nobody holds the line, for a while. */
void directory_set(struct directory *directory, struct directory_slot *slot, const struct directory_entry *entry);

/* Adds a line that has no slot, with this core as its only holder, and perhaps its owner, or with this shared cache. */
void directory_add(struct directory *directory, uint64_t line, unsigned cpu, bool is_owned);
void directory_add_shared(struct directory *directory, uint64_t line, unsigned number);

/* Drops a line. */
void directory_drop(struct directory *directory, struct directory_slot *slot);

/* The line is busy until then at least. */
void directory_keep(struct directory *directory, struct directory_slot *slot, cycle until);

/* Proves that every line is found, has a holder, and that its owner is one. */
void directory_check(const struct directory *directory);

#endif
