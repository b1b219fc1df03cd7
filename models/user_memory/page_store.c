/* SPDX-License-Identifier: MIT
 *
 * page_store.c - (interface: page_store.h)
 */
#include "models/user_memory/page_store.h"

#include "models/user_memory/page_tree.h"

#define ALL_PAGES (1ull << (PAGE_TREE_LEVELS * PAGE_TREE_BITS))

struct content {
	uint64_t key;
	struct page_tree pages; /* frame numbers plus 1 */
};

struct stored_frame {
	uint64_t key;
	uint32_t number;
	uint64_t index;
};

static struct content *find_content(const struct page_store *store, uint32_t number)
{
	return number_map_find(&store->contents, (uint64_t)number + 1, sizeof(struct content));
}

static struct stored_frame *find_frame(const struct page_store *store, pfn frame)
{
	return number_map_find(&store->frames, (uint64_t)frame.nr + 1, sizeof(struct stored_frame));
}

void page_store_init(struct page_store *store, struct page_allocator *pages)
{
	*store = (struct page_store){.pages = pages};
	number_map_init(&store->contents, sizeof(struct content));
	number_map_init(&store->frames, sizeof(struct stored_frame));
}

pfn page_store_find(const struct page_store *store, uint32_t number, uint64_t index)
{
	struct content *content = find_content(store, number);
	const uint64_t *word = content ? page_tree_word(&content->pages, index, false) : NULL;
	return word && *word ? pfn_of((uint32_t)(*word - 1)) : PFN_NONE;
}

static void put(struct page_store *store, struct content *content, uint32_t number, uint64_t index, pfn frame)
{
	*page_tree_word(&content->pages, index, true) = (uint64_t)frame.nr + 1;
	struct stored_frame *stored = number_map_add(&store->frames, (uint64_t)frame.nr + 1, sizeof *stored);
	stored->number = number;
	stored->index = index;
}

pfn page_store_make(struct page_store *store, uint32_t number, uint64_t index, unsigned cpu)
{
	pfn frame = page_alloc(store->pages, 0, GFP_HIGHUSER_MOVABLE, cpu);
	if (frame.nr == UINT32_MAX)
		return frame;
	struct content *content = find_content(store, number);
	if (!content)
		content = number_map_add(&store->contents, (uint64_t)number + 1, sizeof *content);
	put(store, content, number, index, frame);
	return frame;
}

struct giving {
	struct page_store *store;
	unsigned cpu;
};

static void give_back(void *context, uint64_t index, uint64_t *word)
{
	const struct giving *giving = context;
	pfn frame = pfn_of((uint32_t)(*word - 1));
	(void)index;
	number_map_remove(&giving->store->frames, find_frame(giving->store, frame), sizeof(struct stored_frame));
	enum page_free_result result = page_free(giving->store->pages, frame, 0, giving->cpu);
	SIM_ASSERT(result == PAGE_FREE_OK);
}

static void empty(struct page_store *store, struct content *content, unsigned cpu)
{
	page_tree_visit(&content->pages, 0, ALL_PAGES, give_back, &(struct giving){store, cpu});
	page_tree_release(&content->pages);
}

void page_store_drop(struct page_store *store, uint32_t number, unsigned cpu)
{
	struct content *content = find_content(store, number);
	if (!content)
		return;
	empty(store, content, cpu);
	number_map_remove(&store->contents, content, sizeof *content);
}

void page_store_release(struct page_store *store)
{
	for (size_t slot = 0; slot <= store->contents.mask; slot++) {
		struct content *content = (void *)(store->contents.entries + slot * sizeof *content);
		if (content->key)
			empty(store, content, 0);
	}
	SIM_ASSERT(store->frames.count == 0);
	number_map_release(&store->contents);
	number_map_release(&store->frames);
}

bool page_store_moved(struct page_store *store, pfn from, pfn to)
{
	struct stored_frame *stored = find_frame(store, from);
	if (!stored)
		return false;
	const struct stored_frame moved = *stored;
	number_map_remove(&store->frames, stored, sizeof *stored);
	put(store, find_content(store, moved.number), moved.number, moved.index, to);
	return true;
}
