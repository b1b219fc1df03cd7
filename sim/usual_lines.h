/* SPDX-License-Identifier: MIT
 *
 * usual_lines.h - lines of a first-level cache that a core used lately, by their linear addresses: where the MMU's filter has
 * their pages, and where the cache's array has them. An access to one of them that is still there is made in place, at once.
 *
 * Nothing has to be taken out of the table: what it says of a line is compared with the filter and the array at each use, and an
 * access of which anything differs goes the ordinary way, as if nobody had looked. The same counts, cycles and states come out.
 *
 * A memory model makes a table for each side of a core, teaches it (usual_lines_learn), and adds what was counted in it to the
 * counters of MMU and caches when it is told to (sim/port/memory.h: settle).
 */
#ifndef SIM_USUAL_LINES_H
#define SIM_USUAL_LINES_H

#include "sim/mmu.h"
#include "sim/port/cache_level.h"
#include "sim/reserve.h"

/* Lines of a table, a power of two. */
#define USUAL_LINES 512u

struct usual_line {
	uint64_t linear;               /* its linear address >> shift; USUAL_NONE: none */
	const struct mmu_recent *page; /* where the MMU's filter would have its page */
	uint64_t number, frame;        /* of the page, as the filter has them */
	uint64_t word;                 /* the way's in the array, all marks set */
	struct replacement_in_place use;
};

#define USUAL_NONE UINT64_MAX

struct usual_lines {
	struct usual_line *line; /* owned */
	uint32_t kinds;          /* of access that are usual now, a bit each; 0: none */
	/* What the memory tells of the cache; kinds_made: that may be usual. */
	uint32_t kinds_made;
	unsigned shift;         /* log2 of a line's bytes */
	uint32_t latency;       /* 1 and more */
	uint32_t locked_cycles; /* of a locked access, beyond what one without a lock prefix takes */
	uint32_t ports_count;
	struct port_set *ports; /* NULL: no end of them */
	const struct fill_set *fills;
	const struct replacement *array;
	struct mmu *mmu;
	/* The line used last of those with these lowest bits: << 1, and more (models/memory/timed.h). */
	uint64_t *recent;
	uint64_t recent_mask;
	/* What the memory has not been told of yet. */
	uint64_t count[PAGE_SIZES][ACCESS_KINDS];
	uint64_t port_wait_cycles;
	uint8_t sizes; /* of pages that had a line ever, a bit for each */
};

/* A table without a line, whose other fields tell of the cache. */
void usual_lines_init(struct usual_lines *lines);
void usual_lines_release(struct usual_lines *lines);

/* Nothing is counted in it that the memory has not been told of. */
void usual_lines_check(const struct usual_lines *lines);

/* An access has been made whose line the table may have: the next ones are usual, if that is here now. */
void usual_lines_learn(struct usual_lines *lines, uint64_t address, unsigned kind);

/* Whether an access lies in one line, and is of a kind that may be usual. */
static inline bool usual_lines_may_have(const struct usual_lines *lines, uint64_t address, uint32_t bytes, unsigned kind)
{
	return lines->kinds >> kind & 1 && bytes > 0 && address >> lines->shift == (address + bytes - 1) >> lines->shift;
}

/* The line of an access, if the table has it; its page may not be the last of its set, and the line may be gone. */
static inline const struct usual_line *usual_lines_find(const struct usual_lines *lines, uint64_t address, uint32_t bytes,
                                                        unsigned kind)
{
	const uint64_t linear = address >> lines->shift;
	const struct usual_line *line = &lines->line[linear & (USUAL_LINES - 1)];
	return usual_lines_may_have(lines, address, bytes, kind) && line->linear == linear ? line : NULL;
}

/* Whether the MMU's filter knows the line's page, and allows the access. */
static inline bool usual_line_is_translated(const struct usual_line *line, unsigned kind)
{
	const struct mmu_recent *page = line->page;
	return page->page == line->number && page->frame == line->frame && page->kinds >> kind & 1;
}

/* Whether it is after the first level of TLBs was asked for a larger page. */
bool usual_lines_turn(const struct usual_lines *lines, const struct usual_line *line, uint64_t address, unsigned kind);

/* Whether the first level has the line. */
static inline bool usual_line_is_here(const struct usual_line *line)
{
	return (*line->use.word | WAY_OWNERS_MARKS) == line->word;
}

/* What one more use changes in the array. */
static inline void usual_line_use(const struct usual_line *line, bool writes)
{
	const struct replacement_in_place *use = &line->use;
	*use->state = (*use->state & ~(uint64_t)use->cleared) | use->set;
	if (writes)
		*use->word |= WAY_DIRTY;
}

/* A request's turn at the cache's port. */
static inline cycle usual_lines_enter(struct usual_lines *lines, cycle now)
{
	const cycle began = lines->ports ? port_set_take(lines->ports, lines->ports_count, now) : now;
	lines->port_wait_cycles += began - now;
	return began;
}

/*
 * The cycles that an access at `now` takes, all of them the first level's, if it is usual. 0: it is not, and the memory is to be
 * asked. The first level of TLBs may have been asked by then, which changes nothing for who asks it next. A locked one takes
 * locked_cycles more.
 */
static inline cycle usual_lines_access(struct usual_lines *lines, uint64_t address, uint32_t bytes, unsigned kind, cycle now)
{
	const struct usual_line *line = usual_lines_find(lines, address, bytes, kind);
	if (!line)
		return 0;
	if (!usual_line_is_translated(line, kind) && !usual_lines_turn(lines, line, address, kind))
		return 0;
	const uint64_t number = way_tag(line->word);
	/* A line that is on its way when the port is free would be there later at the earliest. */
	if (!usual_line_is_here(line) || fill_set_find(lines->fills, number, now + lines->latency))
		return 0;
	usual_line_use(line, kind == ACCESS_STORE || kind == ACCESS_MODIFY);
	uint64_t *recent = &lines->recent[number & lines->recent_mask];
	if (*recent >> 1 != number)
		*recent = number << 1;
	lines->count[line->page->size][kind]++;
	const cycle began = usual_lines_enter(lines, now);
	if (kind == ACCESS_MODIFY) /* the store that follows: nobody waits for it */
		usual_lines_enter(lines, now);
	return began - now + lines->latency;
}

#endif
