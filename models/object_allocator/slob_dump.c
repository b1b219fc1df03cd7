/* SPDX-License-Identifier: MIT
 *
 * slob_dump.c - brings SLOB into the state of a recorded dump (interface: slob.h).
 *
 *   @SL small|medium|large PAGE PAGE ...   a list, head first; PAGE is `pfn units [ offset+units ... ]`
 *   @MAP                                   frames of kind s that no list names are full pages
 *
 * pfn and offsets (bytes) are hexadecimal, units decimal. A dump of SLOB does not name its caches: the recording's ops make them.
 */
#include "models/object_allocator/dump_text.h"
#include "models/object_allocator/slob.h"

/* More blocks cannot be in a page without touching each other. */
#define BLOCKS_MAX (SLOB_PAGE_UNITS / 2)

static const char *const list_names[SLOB_LISTS] = {"small", "medium", "large"};

static bool take_blocks(const char **at, struct slob_block *blocks, uint32_t *count)
{
	if (!dump_skip(at, "["))
		return false;
	for (*count = 0; !dump_skip(at, "]"); ++*count) {
		uint64_t offset, units;
		if (*count == BLOCKS_MAX || !dump_take(at, 16, PAGE_SIZE - 1, &offset) || !dump_skip(at, "+") ||
		    !dump_take(at, 10, SLOB_PAGE_UNITS, &units))
			return false;
		blocks[*count] = (struct slob_block){(uint16_t)(offset / SLOB_UNIT), (uint16_t)units};
	}
	return true;
}

static bool load_list(struct object_allocator *objects, struct page_allocator *pages, enum slob_list list,
                      const struct state_text *line, struct error *error)
{
	struct slob_block blocks[BLOCKS_MAX];
	const char *at = line->text + strlen("@SL ") + strlen(list_names[list]);
	for (at += strspn(at, " "); *at; at += strspn(at, " ")) {
		uint64_t frame, units;
		uint32_t count;
		if (!dump_take(&at, 16, UINT32_MAX - 1, &frame) || !dump_take(&at, 10, SLOB_PAGE_UNITS, &units) ||
		    !take_blocks(&at, blocks, &count))
			return dump_error(line, "not a list of pages", error);
		if (!slob_load_page(objects, list, pfn_of((uint32_t)frame), blocks, count, error))
			return false;
		if (!page_adopt(pages, pfn_of((uint32_t)frame), 0))
			return dump_error(line, "a page of the heap is free in the page allocator", error);
	}
	return true;
}

static bool load_lists(struct object_allocator *objects, struct page_allocator *pages, const struct state_dump *dump,
                       struct error *error)
{
	for (size_t i = 0; i < dump->text_count; i++)
		for (enum slob_list list = 0; list < SLOB_LISTS; list++)
			if (dump_starts(dump->texts[i].text, "@SL ") && dump_starts(dump->texts[i].text + 4, list_names[list]) &&
			    !load_list(objects, pages, list, &dump->texts[i], error))
				return false;
	return true;
}

bool slob_load_pages(struct object_allocator *objects, struct page_allocator *pages, const struct state_dump *dump,
                     struct error *error)
{
	if (!load_lists(objects, pages, dump, error))
		return false;
	for (size_t i = 0; i < dump->map_count; i++) {
		const struct state_run *run = &dump->map[i];
		struct error known = {0};
		for (uint32_t nr = run->first; run->kind == 's' && nr < run->first + run->count && nr < pages->end_pfn; nr++)
			if (page_adopt(pages, pfn_of(nr), 0) && !slob_load_page(objects, SLOB_FULL, pfn_of(nr), NULL, 0, &known))
				return error_set(error, known.kind, "%s", known.text);
	}
	return true;
}
