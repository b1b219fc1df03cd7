/* SPDX-License-Identifier: MIT
 *
 * directory.h - which cores' caches hold a line: an exact directory, as a hash table of the lines that some cache holds.
 *
 * Holders are of two kinds: cores, whose own caches count as one, and caches that some cores share and others do not, by numbers
 * that the directory's owner gives them. A line that is in no such cache has no entry.
 *
 * Algorithm: open addressing with linear probing, at most half full; an entry that goes closes its gap, so there are no marks of
 * deleted entries (Knuth, TAOCP vol. 3, 6.4, algorithm R). The lines' numbers stand once more by themselves, eight to a cache
 * line of the host, so that probing stays in one or two of these; most lines that are looked for have no entry.
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

struct directory_entry {
	_Alignas(64) uint64_t line; /* its number plus 1; 0: no entry. An entry is one cache line of the host */
	struct core_set cores;      /* in whose own caches it is */
	struct core_set shared;     /* in which shared caches */
	cycle busy_until;           /* it is on its way from one core to another, or kept by a locked instruction */
	uint16_t owner;             /* the core whose own caches have written it; OWNER_NONE */
};

struct directory {
	uint64_t *lines;                 /* of each entry; owned */
	struct directory_entry *entries; /* owned */
	uint64_t capacity, count;        /* a power of two */
};

void directory_init(struct directory *directory);
void directory_release(struct directory *directory);

static inline uint64_t directory_slot(const struct directory *directory, uint64_t line)
{
	return (line * 0x9e3779b97f4a7c15ull >> 20) & (directory->capacity - 1);
}

/* The line's entry, NULL if it has none; good until an entry is made or dropped. */
static inline struct directory_entry *directory_find(const struct directory *directory, uint64_t line)
{
	uint64_t slot = directory_slot(directory, line);
	while (directory->lines[slot] != line + 1) {
		if (directory->lines[slot] == 0) {
			__builtin_prefetch(&directory->entries[slot], 1); /* as a rule one is made soon */
			return NULL;
		}
		slot = (slot + 1) & (directory->capacity - 1);
	}
	return &directory->entries[slot];
}

/* A hint to the host: the line's entry will be looked for. */
static inline void directory_foresee(const struct directory *directory, uint64_t line)
{
	uint64_t slot = directory_slot(directory, line);
	__builtin_prefetch(&directory->lines[slot], 1);
	__builtin_prefetch(&directory->entries[slot], 1);
}

/* The line's entry, made if there is none: nobody holds it yet. */
struct directory_entry *directory_make(struct directory *directory, uint64_t line);

/* Drops an entry. */
void directory_drop(struct directory *directory, struct directory_entry *entry);

/* Proves that every entry is found, has a holder, and that its owner is one. */
void directory_check(const struct directory *directory);

#endif
