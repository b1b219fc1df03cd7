/* SPDX-License-Identifier: MIT
 *
 * timed_usual.c - the tables behind timed_usual.h.
 */
#include "models/memory/timed_usual.h"

#include <stdlib.h>

/* Whether accesses of a kind may be made in place in the cache of an entry. A load that stores does both there. */
static bool is_usual(const struct timed_core *core, unsigned kind, const struct timed_entry *first)
{
	const struct timed_entry *entry = &core->entry[kind];
	return entry->stop && entry->level == first->level && (kind != ACCESS_MODIFY || entry->store);
}

static void make_lines(struct timed_core *core, struct usual_lines *lines, unsigned kind)
{
	const struct timed_entry *first = &core->entry[kind];
	if (!core->mmu || !first->stop || !first->level->cache->arrays)
		return;
	const struct replacement *array = first->level->cache->arrays[first->stop->instance];
	if (!array->ops->in_place)
		return;
	lines->array = array;
	lines->shift = first->shift;
	lines->line = xcalloc(USUAL_LINES, sizeof *lines->line);
	for (unsigned i = 0; i < USUAL_LINES; i++)
		lines->line[i].linear = USUAL_NONE;
	for (unsigned of = 0; of < ACCESS_KINDS; of++)
		if ((of == ACCESS_CODE) == (kind == ACCESS_CODE) && !access_is_walk((uint8_t)of) && is_usual(core, of, first))
			lines->kinds |= 1u << of;
}

void usual_lines_make(struct timed_core *core)
{
	make_lines(core, &core->usual[MMU_DATA], ACCESS_LOAD);
	make_lines(core, &core->usual[MMU_CODE], ACCESS_CODE);
}

void usual_lines_release(struct timed_core *core)
{
	for (unsigned side = 0; side < MMU_SIDES; side++)
		free(core->usual[side].line);
}

void usual_lines_learn(const struct timed_core *core, const struct memory_request *request, const struct mmu_recent *recent)
{
	const struct usual_lines *lines = &core->usual[request->kind == ACCESS_CODE ? MMU_CODE : MMU_DATA];
	const uint64_t linear = request->address >> lines->shift;
	const uint64_t tag = (recent->frame | (request->address & recent->offsets)) >> lines->shift;
	struct replacement_in_place use;
	const uint32_t set = replacement_set_of(lines->array, tag), way = replacement_find(lines->array, set, tag);
	if (way == lines->array->ways || !lines->array->ops->in_place(lines->array, set, way, &use))
		return;
	lines->line[linear & (USUAL_LINES - 1)] = (struct usual_line){.linear = linear,
	                                                              .page = recent,
	                                                              .frame = recent->frame,
	                                                              .word = way_word(tag, WAY_MARKS),
	                                                              .use = use,
	                                                              .page_shift = (uint8_t)page_size_shift(recent->size)};
}
