/* SPDX-License-Identifier: MIT
 *
 * bounce.h - lines that cores take from each other: how often, which cores, and which words of the line each of them wrote and
 * read, so that true sharing (words that several use) can be told from false sharing (each uses its own).
 *
 * A line has a record from its first transfer, invalidation or upgrade on. MODEL: there are BOUNCED_LINES_MAX records; later
 * lines are counted together (untold). MODEL: a word's store is seen from the record's beginning on, a load where it misses the
 * core's own caches.
 */
#ifndef SIM_BOUNCE_H
#define SIM_BOUNCE_H

#include "sim/directory.h"

#define BOUNCED_LINES_MAX 16384u

/* Words of a line that are told apart: its eighths, 8 bytes each of a line of 64. */
#define LINE_WORDS 8u

struct bounced_line {
	uint64_t address;                          /* physical, of its first byte */
	uint64_t linear;                           /* the same as a core named it first; 0: only page walkers used it */
	uint64_t transfers_clean, transfers_dirty; /* from another core, which had or had not written it */
	uint64_t invalidations;                    /* copies taken from cores and shared caches */
	uint64_t upgrades;                         /* a core had the line and asked for it alone */
	struct core_set cores;                     /* that took part */
	uint8_t written[CPUS_MAX], read[CPUS_MAX]; /* by each core: a bit for each word */
};

struct bounce_slot {
	uint64_t line;
	uint32_t number; /* of its record, plus 1; 0: none */
};

struct bounces {
	unsigned line_shift;
	struct bounced_line *lines; /* BOUNCED_LINES_MAX; owned */
	uint32_t count;
	struct bounce_slot *slots; /* twice as many; owned */
	uint64_t *seen;            /* a bit for each hash: clear where no line of it has a record; owned */
	uint64_t untold;           /* events of lines without a record */
};

/* line_shift: log2 of the line, 3 and more. */
void bounces_init(struct bounces *bounces, unsigned line_shift);
void bounces_release(struct bounces *bounces);

/* Bits that say of most lines without a record at once that they have none: 16 KiB, an eighth of them set at most. */
#define SEEN_BITS (8 * BOUNCED_LINES_MAX)

static inline uint64_t bounces_hash(uint64_t line)
{
	return line * 0x9e3779b97f4a7c15ull >> 40;
}

struct bounced_line *bounces_search(const struct bounces *bounces, uint64_t line);

/* The record of a line (its number), NULL if it has none. */
static inline struct bounced_line *bounces_find(const struct bounces *bounces, uint64_t line)
{
	uint64_t bit = bounces_hash(line) % SEEN_BITS;
	return bounces->seen[bit / 64] >> bit % 64 & 1 ? bounces_search(bounces, line) : NULL;
}

/* The same, made if there is none; NULL, and counted as untold, where no record is left. */
struct bounced_line *bounces_make(struct bounces *bounces, uint64_t line);

/* The words that an access of some bytes, all in one line, touches. */
uint8_t bounces_words(const struct bounces *bounces, uint64_t address, uint32_t bytes);

/* Whether some word that one core wrote was used by another. */
bool bounced_line_is_truly_shared(const struct bounced_line *line);

/*
 * Whether several cores used it, one of them wrote, and no word that one wrote was used by another: they share the line and
 * nothing in it.
 */
bool bounced_line_is_falsely_shared(const struct bounced_line *line);

/* Cores that wrote to it. */
unsigned bounced_line_writers(const struct bounced_line *line);

/* The `count` lines with the most transfers and invalidations, the first the most, by address among equals. Returns how many. */
size_t bounces_top(const struct bounces *bounces, const struct bounced_line **top, size_t count);

#endif
