/* SPDX-License-Identifier: MIT
 *
 * usual_lines.c - the tables behind usual_lines.h.
 */
#include "sim/usual_lines.h"

#include <stdlib.h>

void usual_lines_init(struct usual_lines *lines)
{
	lines->kinds = lines->kinds_made;
	lines->line = xcalloc(USUAL_LINES, sizeof *lines->line);
	for (unsigned i = 0; i < USUAL_LINES; i++)
		lines->line[i].linear = USUAL_NONE;
}

void usual_lines_release(struct usual_lines *lines)
{
	free(lines->line);
	*lines = (struct usual_lines){0};
}

void usual_lines_check(const struct usual_lines *lines)
{
	for (unsigned size = 0; size < PAGE_SIZES; size++)
		SIM_ASSERT(access_sum(lines->count[size]) == 0);
	SIM_ASSERT(lines->port_wait_cycles == 0);
}

void usual_lines_learn(struct usual_lines *lines, uint64_t address, unsigned kind)
{
	const struct mmu_recent *recent = mmu_recent_of(lines->mmu, address, kind);
	struct replacement_in_place use;
	if (!recent || lines->mmu->watched)
		return;
	const uint64_t linear = address >> lines->shift, tag = (recent->frame | (address & recent->offsets)) >> lines->shift;
	const uint32_t set = replacement_set_of(lines->array, tag), way = replacement_find(lines->array, set, tag);
	if (way == lines->array->ways || !lines->array->ops->in_place(lines->array, set, way, &use))
		return;
	lines->sizes |= (uint8_t)(1u << recent->size);
	lines->line[linear & (USUAL_LINES - 1)] = (struct usual_line){.linear = linear,
	                                                              .page = recent,
	                                                              .number = recent->page,
	                                                              .frame = recent->frame,
	                                                              .word = way_word(tag, WAY_MARKS),
	                                                              .use = use};
}

bool usual_lines_turn(const struct usual_lines *lines, const struct usual_line *line, uint64_t address, unsigned kind)
{
	return mmu_known_recent(lines->mmu, address, 1, kind) && usual_line_is_translated(line, kind);
}
