/* SPDX-License-Identifier: MIT
 *
 * timed_usual.h - lines that a core used lately, by their linear addresses: where the MMU's filter has their pages, and where the
 * first level's array has them. An access to one of them that is still there is made in place, quickly.
 *
 * Nothing has to be taken out of the table: what it says of a line is compared with the filter and the array at each use, and an
 * access of which anything differs goes the ordinary way, as if nobody had looked. The same counts, cycles and states come out.
 *
 * It keeps lines of first-level caches that accesses may go straight to (timed_entry.stop), and whose policy can tell what a use
 * does (replacement_ops.in_place).
 */
#ifndef MODELS_MEMORY_TIMED_USUAL_H
#define MODELS_MEMORY_TIMED_USUAL_H

#include "models/memory/timed.h"

/* Lines of a table, a power of two. */
#define USUAL_LINES 512u

struct usual_line {
	uint64_t linear;               /* its linear address >> line_shift; USUAL_NONE: none */
	const struct mmu_recent *page; /* where the MMU's filter would have its page */
	uint64_t frame;                /* of the page */
	uint64_t word;                 /* the way's in the array, all marks set */
	struct replacement_in_place use;
	uint8_t page_shift; /* log2 of the page's bytes */
};

#define USUAL_NONE UINT64_MAX

/* For a core whose entries and paths are made. */
void usual_lines_make(struct timed_core *core);
void usual_lines_release(struct timed_core *core);

/* An access by `recent`, in one line, has found that in the first level: the next ones may be usual. */
void usual_lines_learn(const struct timed_core *core, const struct memory_request *request, const struct mmu_recent *recent);

/* The line of an access, if the table has it; its page may not be its set's last, and the line may be gone. */
static inline const struct usual_line *usual_lines_find(const struct usual_lines *lines, const struct memory_request *request)
{
	const uint64_t linear = request->address >> lines->shift;
	/* One of no bytes reaches over any line here. */
	const uint64_t inside = request->address & ((1ull << lines->shift) - 1), beyond = (uint32_t)(request->bytes - 1);
	if (!(lines->kinds >> request->kind & 1) || (inside + beyond) >> lines->shift != 0)
		return NULL;
	const struct usual_line *line = &lines->line[linear & (USUAL_LINES - 1)];
	return line->linear == linear ? line : NULL;
}

/* Whether the MMU's filter knows the line's page, and allows the access. */
static inline bool usual_line_is_translated(const struct usual_line *line, const struct memory_request *request)
{
	const struct mmu_recent *page = line->page;
	return page->page == request->address >> line->page_shift && page->frame == line->frame &&
	       page->kinds >> request->kind & 1;
}

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
	*use->word |= writes ? WAY_DIRTY : 0;
}

#endif
