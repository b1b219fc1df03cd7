/* SPDX-License-Identifier: MIT
 *
 * address_space.c - pages at first touch (interface and invariant: address_space.h).
 */
#include "sim/address_space.h"

/* log2 of the frames of a huge page. */
#define HUGE_ORDER 9

/* Source: Linux 6.1 include/linux/gfp_types.h, mm/memory.c (alloc_zeroed_user_highpage_movable), mm/huge_memory.c
 * (vma_thp_gfp_mask: GFP_TRANSHUGE_LIGHT, no reclaim at faults by default), asm-generic/pgalloc.h (GFP_PGTABLE_USER). */
#define GFP_PAGE (GFP_HIGHUSER_MOVABLE | __GFP_ZERO)
#define GFP_HUGE_PAGE (GFP_TRANSHUGE_LIGHT | __GFP_ZERO)
#define GFP_TABLE (GFP_KERNEL | __GFP_ZERO)

#define WORD_ANONYMOUS \
	(WORD_PRESENT | WORD_WRITE | WORD_USER | WORD_EXECUTE | WORD_ACCESSED | WORD_DIRTY) /* mk_pte, pte_mkdirty, pte_mkwrite \
	                                                                                     */

const struct metric address_space_metrics[] = {
        METRIC(struct address_space_counters, faults, "1", "Page faults that a page put right"),
        METRIC(struct address_space_counters, small_pages, "1", "Pages of 4 KiB mapped"),
        METRIC(struct address_space_counters, huge_pages, "1", "Pages of 2 MiB mapped"),
        METRIC(struct address_space_counters, huge_fallback, "1", "Faults that wanted a huge page and got a small one"),
        METRIC(struct address_space_counters, no_memory, "1", "Faults for which there was no memory"),
        METRIC(struct address_space_counters, wrong, "1", "Faults that no page can put right"),
        METRIC_END,
};

static uint64_t take_frames(struct address_space *space, unsigned order, gfp flags)
{
	pfn first = page_alloc(space->pages, order, flags, space->cpu);
	return first.nr == UINT32_MAX ? FRAME_NONE : (uint64_t)first.nr << PAGE_SHIFT;
}

static void give_frames(struct address_space *space, uint64_t address, unsigned order)
{
	enum page_free_result result = page_free(space->pages, pfn_of((uint32_t)(address >> PAGE_SHIFT)), order, space->cpu);
	SIM_ASSERT(result == PAGE_FREE_OK);
}

static uint64_t take_table(void *context)
{
	return take_frames(context, 0, GFP_TABLE);
}

static void give_table(void *context, uint64_t address)
{
	give_frames(context, address, 0);
}

bool address_space_init(struct address_space *space, const struct translation_ops *mode, const struct paging_controls *controls,
                        struct physical_memory *memory, struct page_allocator *pages, enum address_space_pages policy,
                        struct host_address host, struct error *error)
{
	SIM_ASSERT(policy != PAGES_OF_KERNEL);
	*space = (struct address_space){.pages = pages, .policy = policy};
	space->tables = (struct page_tables){.mode = mode,
	                                     .controls = *controls,
	                                     .memory = memory,
	                                     .host = host,
	                                     .frames = {.take = take_table, .give = give_table, .context = space}};
	if (translation_leaf_level(mode, PAGE_2M) == mode->levels)
		space->policy = PAGES_SMALL;
	return page_tables_init(&space->tables) ||
	       error_set(error, ERROR_USAGE, "memory: none is left for an address space's tables");
}

/* Maps a block at the page that holds the address; gives it back if that cannot be. */
static enum map_result map_block(struct address_space *space, uint64_t linear, enum page_size size, gfp flags)
{
	unsigned order = page_size_shift(size) - PAGE_SHIFT;
	uint64_t frames = take_frames(space, order, flags);
	if (frames == FRAME_NONE)
		return MAP_NO_MEMORY;
	enum map_result result =
	        page_tables_map(&space->tables, linear & ~(page_size_bytes(size) - 1), frames | WORD_ANONYMOUS, size);
	if (result != MAP_OK)
		give_frames(space, frames, order);
	return result;
}

/* Whether the 2 MiB around an address have no page and no page table yet. */
static bool is_untouched(const struct address_space *space, uint64_t linear)
{
	return page_tables_level(&space->tables, linear) >= translation_leaf_level(space->tables.mode, PAGE_2M);
}

static bool put_page(struct address_space *space, uint64_t linear)
{
	if (space->policy == PAGES_TRANSPARENT_HUGE && is_untouched(space, linear)) {
		if (map_block(space, linear, PAGE_2M, GFP_HUGE_PAGE) == MAP_OK) {
			space->counters.huge_pages++;
			return true;
		}
		space->counters.huge_fallback++;
	}
	if (map_block(space, linear, PAGE_4K, GFP_PAGE) != MAP_OK)
		return false;
	space->counters.small_pages++;
	return true;
}

bool address_space_fault(void *context, uint64_t linear, enum walk_outcome outcome, unsigned error_code)
{
	struct address_space *space = context;
	if (outcome != WALK_PAGE_FAULT || error_code & PF_PRESENT) {
		space->counters.wrong++;
		return false;
	}
	if (!put_page(space, linear)) {
		space->counters.no_memory++;
		return false;
	}
	space->counters.faults++;
	return true;
}

static void give_page(void *context, uint64_t linear, uint64_t word, enum page_size size)
{
	(void)linear;
	give_frames(context, word & WORD_FRAME, page_size_shift(size) - PAGE_SHIFT);
}

void address_space_release(struct address_space *space)
{
	if (space->tables.root == FRAME_NONE || !space->pages)
		return;
	page_tables_visit(&space->tables, give_page, space);
	page_tables_release(&space->tables);
}

void address_space_check(const struct address_space *space)
{
	const struct address_space_counters *counters = &space->counters;
	SIM_ASSERT(counters->faults == counters->small_pages + counters->huge_pages);
	SIM_ASSERT(counters->small_pages == space->tables.pages[PAGE_4K]);
	SIM_ASSERT(counters->huge_pages == space->tables.pages[PAGE_2M]);
	page_tables_check(&space->tables);
}
