/* SPDX-License-Identifier: MIT
 *
 * count_space.c - an address space that fills at first touch (interface: count_space.h).
 */
#include "tools/kmemsim/count_space.h"

#include "models/mmu_settings.h"
#include "models/registry.h"
#include "models/settings.h"

#define FIRST_FRAME (1ull << 20)

/* Where user space ends in the lower half of 48-bit addresses. */
#define UPPER_HALF (1ull << 63)

static uint64_t take_frame(void *context)
{
	struct count_space *space = context;
	space->next_frame += PAGE_SIZE;
	return space->next_frame - PAGE_SIZE;
}

/* A page that was never touched gets a frame; nothing else is put right. */
static bool first_touch(void *context, uint64_t linear, enum walk_outcome outcome, unsigned error_code)
{
	struct count_space *space = context;
	if (outcome != WALK_PAGE_FAULT || (error_code & PF_PRESENT))
		return false;
	uint64_t word = WORD_PRESENT | WORD_WRITE | WORD_EXECUTE | (linear < UPPER_HALF ? WORD_USER : 0);
	return page_tables_map(&space->tables, linear & ~(uint64_t)(PAGE_SIZE - 1), word | take_frame(space), PAGE_4K) == MAP_OK;
}

bool count_space_init(struct count_space *space, struct error *error)
{
	const struct translation_model *mode = translation_model("x86_4level", error);
	const struct walkers walkers = {&space->walker, NULL};
	struct settings settings;
	settings_init(&settings);
	const struct paging_controls controls = paging_controls_of(&settings);
	*space = (struct count_space){.next_frame = FIRST_FRAME};
	physical_memory_init(&space->memory);
	space->tables = (struct page_tables){.mode = mode->ops,
	                                     .controls = controls,
	                                     .memory = &space->memory,
	                                     .frames = {.take = take_frame, .context = space}};
	bool has_root = page_tables_init(&space->tables);
	SIM_ASSERT(has_root);
	space->walker = (struct walker){.mode = mode->ops, .controls = controls, .memory = &space->memory};
	walker_load_root(&space->walker, space->tables.root, 0);
	bool made = structure_caches_create(&walkers, &settings, error);
	settings_release(&settings);
	return made;
}

void count_space_release(struct count_space *space)
{
	walker_release(&space->walker);
	/* The tables go with the memory that they lie in. */
	physical_memory_release(&space->memory);
}

void count_space_attach(struct count_space *space, struct mmu *mmu)
{
	mmu->walker = &space->walker;
	mmu->fault = first_touch;
	mmu->context = space;
}

void count_space_check(const struct count_space *space)
{
	walker_check(&space->walker);
	page_tables_check(&space->tables);
}
