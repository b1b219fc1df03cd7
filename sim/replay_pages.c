/* SPDX-License-Identifier: MIT
 *
 * replay_pages.c - ops of pages, of areas of kernel addresses, and of addresses for pages (replay_internal.h).
 */
#include "sim/replay_internal.h"

#include <stdlib.h>

/* ---- blocks of pages ---- */

uint64_t *replay_owner_of(struct replay *replay, gfp flags)
{
	if (flags & __GFP_MOVABLE)
		return &replay->counters.pages_movable;
	return flags & __GFP_RECLAIMABLE ? &replay->counters.pages_reclaimable : &replay->counters.pages_unmovable;
}

static void enter_pages(struct replay *replay, const struct op *op, struct live *live, uint32_t first, unsigned cpu)
{
	*live = (struct live){.address = first, .cpu = (uint16_t)cpu, .state = LIVE_PAGES, .order = op->order, .gfp = op->gfp};
	if (replay->id_of_frame)
		replay->id_of_frame[first] = op->id;
	replay->counters.page_allocs++;
	replay->by_order[op->order].asked++;
	replay->counters.live_page_blocks++;
	*replay_owner_of(replay, op->gfp) += 1ull << op->order;
}

static void fail_pages(struct replay *replay, const struct op *op, struct live *live)
{
	replay->counters.failed_page_allocs++;
	replay->by_order[op->order].asked++;
	replay->by_order[op->order].failed++;
	live->state = LIVE_FAILED;
}

/* The block was allocated at its event; here it only gets its owner. */
static bool alloc_followed_pages(struct replay *replay, const struct op *op, struct live *live, unsigned cpu)
{
	pfn first = pfn_of((uint32_t)op->address);
	if (op->origin == OP_RECORDED && follow_pages_allocated(&replay->follow_pages, op->line, &first) &&
	    first.nr == UINT32_MAX) {
		fail_pages(replay, op, live);
		return true;
	}
	follow_pages_claim(&replay->follow_pages, first);
	enter_pages(replay, op, live, first.nr, cpu);
	replay->start_unknown -= 1ull << op->order;
	return true;
}

bool replay_alloc_pages(struct replay *replay, const struct op *op, unsigned cpu, struct error *error)
{
	struct live *live = &replay->live[op->id];
	if (live->state != LIVE_NOT)
		return replay_wrong_op(replay, op, "its id is still in use", error);
	if (replay->follows)
		return alloc_followed_pages(replay, op, live, cpu);
	if (replay->config.from_state && op->origin == OP_UNSEEN &&
	    page_adopt(replay->parts.pages, pfn_of((uint32_t)op->address), op->order)) {
		replay->start_unknown -= 1ull << op->order;
		enter_pages(replay, op, live, (uint32_t)op->address, cpu);
		return true;
	}
	pfn first = page_alloc(replay->parts.pages, op->order, op->gfp, cpu);
	if (first.nr == UINT32_MAX) {
		fail_pages(replay, op, live);
		return true;
	}
	if (replay->config.from_state && op->origin == OP_RECORDED && op->address) {
		replay->counters.page_address_compared++;
		replay->counters.page_address_equal += first.nr == op->address;
	}
	enter_pages(replay, op, live, first.nr, cpu);
	return true;
}

static const char *page_free_text(enum page_free_result result)
{
	switch (result) {
	case PAGE_FREE_OK:
		break;
	case PAGE_FREE_NOT_ALLOCATED:
		return "the frame is free already";
	case PAGE_FREE_NOT_HEAD:
		return "the frame lies inside a block";
	case PAGE_FREE_WRONG_ORDER:
		return "the block was allocated with another order";
	}
	SIM_UNREACHABLE("a wrong free");
}

bool replay_free_pages(struct replay *replay, const struct op *op, unsigned cpu, struct error *error)
{
	struct live *live = &replay->live[op->id];
	if (live->state != LIVE_PAGES && replay_free_apart(replay, live, cpu))
		return true;
	if (live->state != LIVE_PAGES)
		return replay_wrong_op(replay, op,
		                       live->state == LIVE_NOT ? "nothing is live under its id" : "its id stands for an object",
		                       error);
	enum page_free_result result = PAGE_FREE_OK;
	if (replay->follows)
		replay->start_unknown += 1ull << live->order;
	else
		result = page_free(replay->parts.pages, pfn_of((uint32_t)live->address), op->order, cpu);
	if (result != PAGE_FREE_OK)
		return replay_wrong_op(replay, op, page_free_text(result), error);
	replay->counters.page_frees++;
	replay->counters.live_page_blocks--;
	*replay_owner_of(replay, live->gfp) -= 1ull << live->order;
	live->state = LIVE_NOT;
	return true;
}

/* ---- areas of kernel addresses ---- */

static void give_mapped_pages(struct replay *replay, uint32_t id, uint64_t count, unsigned cpu)
{
	for (uint64_t i = 0; i < count; i++) {
		enum page_free_result result = page_free(replay->parts.pages, replay->mapped[id][i], 0, cpu);
		SIM_ASSERT(result == PAGE_FREE_OK);
	}
	free(replay->mapped[id]);
	replay->mapped[id] = NULL;
	replay->counters.pages_mapped -= count;
}

/* The pages that a caller of vmap() has: single ones, as drivers take them. */
static bool take_mapped_pages(struct replay *replay, uint32_t id, uint64_t count, gfp flags, unsigned cpu)
{
	pfn *frames = xcalloc(count, sizeof *frames);
	replay->mapped[id] = frames;
	for (uint64_t i = 0; i < count; i++) {
		frames[i] = page_alloc(replay->parts.pages, 0, flags, cpu);
		if (frames[i].nr == UINT32_MAX) {
			give_mapped_pages(replay, id, i, cpu);
			return false;
		}
		replay->counters.pages_mapped++;
	}
	return true;
}

static struct virtual_request area_request(const struct replay *replay, const struct op *op, const struct live *live)
{
	const char *site = trace_call_site(replay->parts.trace, live->call_site);
	return (struct virtual_request){.call = (enum virtual_call)op->order,
	                                .size = live->bytes_req,
	                                .frames = replay->mapped[op->id],
	                                .physical = op->address,
	                                .caller = *site ? site : NULL};
}

bool replay_alloc_area(struct replay *replay, const struct op *op, unsigned cpu, struct error *error)
{
	struct live *live = &replay->live[op->id];
	bool maps = virtual_call_maps((enum virtual_call)op->order);
	uint64_t pages = maps ? op->bytes_req >> PAGE_SHIFT : 0;
	if (live->state != LIVE_NOT)
		return replay_wrong_op(replay, op, "its id is still in use", error);
	if (maps && op->bytes_req % PAGE_SIZE != 0)
		return replay_wrong_op(replay, op, "it maps a part of a page", error);
	*live = (struct live){.bytes_req = op->bytes_req, .call_site = op->call_site, .cache = UINT32_MAX, .cpu = (uint16_t)cpu};
	struct virtual_area area = {0};
	if (!maps || take_mapped_pages(replay, op->id, pages, op->gfp, cpu)) {
		const struct virtual_request request = area_request(replay, op, live);
		area = virtual_get(replay->parts.areas, &request, cpu);
		if (maps && !area.at.addr)
			give_mapped_pages(replay, op->id, pages, cpu);
	}
	live->address = area.at.addr;
	live->order = op->order;
	live->state = area.at.addr ? LIVE_AREA : LIVE_FAILED;
	replay->counters.area_allocs += area.at.addr != 0;
	replay->counters.failed_area_allocs += area.at.addr == 0;
	replay->counters.live_areas += area.at.addr != 0;
	return true;
}

bool replay_free_area(struct replay *replay, const struct op *op, unsigned cpu, struct error *error)
{
	struct live *live = &replay->live[op->id];
	if (live->state == LIVE_FAILED)
		return replay_free_of_failed(replay, live);
	if (live->state != LIVE_AREA)
		return replay_wrong_op(replay, op, "no area is live under its id", error);
	const struct virtual_request request = area_request(replay, op, live);
	enum virtual_free_result result = virtual_put(replay->parts.areas, vaddr_of(live->address), &request, cpu);
	SIM_ASSERT(result == VIRTUAL_FREE_OK);
	if (replay->mapped[op->id])
		give_mapped_pages(replay, op->id, live->bytes_req >> PAGE_SHIFT, cpu);
	replay->counters.area_frees++;
	replay->counters.live_areas--;
	live->state = LIVE_NOT;
	return true;
}

/* ---- addresses for pages, and whole pages through them ---- */

/* The live block of an id that another op names; NULL after an answer to the op, which says whether the run goes on. */
static const struct live *block_of(struct replay *replay, const struct op *op, uint32_t id, bool *go_on, struct error *error)
{
	const struct live *live = &replay->live[id];
	*go_on = true;
	if (live->state == LIVE_PAGES)
		return live;
	if (live->state == LIVE_FAILED || live->state == LIVE_UNKNOWN)
		replay->counters.failed_page_uses++;
	else
		*go_on = replay_wrong_op(replay, op, "it names a block of pages that is not live", error);
	return NULL;
}

bool replay_map_page(struct replay *replay, const struct op *op, unsigned cpu, struct error *error)
{
	struct live *live = &replay->live[op->id];
	if (live->state != LIVE_NOT)
		return replay_wrong_op(replay, op, "its id is still in use", error);
	bool go_on;
	const struct live *block = block_of(replay, op, (uint32_t)op->address, &go_on, error);
	uint32_t page = (uint32_t)(op->address >> 32);
	if (!block) {
		live->state = LIVE_FAILED;
		return go_on;
	}
	if (page >= 1u << block->order)
		return replay_wrong_op(replay, op, "the block has no such page", error);
	const struct page_mapping mapping = {
	        .frame = (uint32_t)block->address + page, .bytes = op->bytes_req, .cpu = (uint16_t)cpu, .call = op->order};
	enum page_map_result result = page_maps_map(&replay->page_maps, op->id, &mapping);
	if (result == PAGE_MAP_TOO_DEEP)
		return replay_wrong_op(replay, op, "as many pages are mapped one inside the other as the CPU has slots", error);
	*live = (struct live){.call_site = op->call_site, .cache = UINT32_MAX, .cpu = (uint16_t)cpu, .state = LIVE_MAP};
	replay->counters.page_maps += result == PAGE_MAP_OK;
	replay->counters.page_map_waits += result == PAGE_MAP_MUST_WAIT;
	replay->counters.live_page_maps += result == PAGE_MAP_OK;
	return true;
}

bool replay_unmap_page(struct replay *replay, const struct op *op, unsigned cpu, struct error *error)
{
	struct live *live = &replay->live[op->id];
	if (live->state == LIVE_FAILED || live->state == LIVE_UNKNOWN)
		return replay_free_of_failed(replay, live);
	if (live->state != LIVE_MAP)
		return replay_wrong_op(replay, op, "no page is mapped under its id", error);
	uint64_t late = replay->page_maps.counters.made_late;
	switch (page_maps_unmap(&replay->page_maps, op->id, cpu)) {
	case PAGE_MAPS_UNMAPPED:
		break;
	case PAGE_MAPS_NEVER_MADE:
		replay->counters.page_maps_given_up++;
		return replay_free_of_failed(replay, live);
	case PAGE_MAPS_NOT_MAPPED:
		return replay_wrong_op(replay, op, "the page is not mapped on this CPU", error);
	case PAGE_MAPS_WRONG_ORDER:
		return replay_wrong_op(replay, op, "another page was mapped after it and is to be unmapped first", error);
	}
	late = replay->page_maps.counters.made_late - late;
	replay->counters.page_unmaps++;
	replay->counters.page_maps_late += late;
	replay->counters.live_page_maps += late - 1;
	live->state = LIVE_NOT;
	return true;
}

/* What mapping said of one page of a clear or copy. */
static bool page_use_done(struct replay *replay, const struct op *op, enum page_map_result result, struct error *error)
{
	switch (result) {
	case PAGE_MAP_OK:
		return true;
	case PAGE_MAP_MUST_WAIT:
		return replay_wrong_op(replay, op, "it waits for ever: every slot is in use", error);
	case PAGE_MAP_TOO_DEEP:
		return replay_wrong_op(replay, op, "as many pages are mapped one inside the other as the CPU has slots", error);
	}
	SIM_UNREACHABLE("a result of mapping");
}

bool replay_clear_pages(struct replay *replay, const struct op *op, unsigned cpu, struct error *error)
{
	bool go_on;
	const struct live *block = block_of(replay, op, op->id, &go_on, error);
	if (!block)
		return go_on;
	enum page_map_result result = PAGE_MAP_OK;
	for (uint32_t page = 0; page < 1u << block->order && result == PAGE_MAP_OK; page++) {
		result = page_mapper_clear(replay->parts.mapper, (enum page_map_call)op->order, replay->parts.steps,
		                           pfn_of((uint32_t)block->address + page), cpu);
		replay->counters.pages_cleared += result == PAGE_MAP_OK;
	}
	replay->counters.page_clears += result == PAGE_MAP_OK;
	return page_use_done(replay, op, result, error);
}

bool replay_copy_pages(struct replay *replay, const struct op *op, unsigned cpu, struct error *error)
{
	bool go_on;
	const struct live *target = block_of(replay, op, op->id, &go_on, error);
	const struct live *source = target ? block_of(replay, op, (uint32_t)op->address, &go_on, error) : NULL;
	if (!source)
		return go_on;
	if (source->order != target->order || source == target)
		return replay_wrong_op(replay, op, "the blocks are not two of one size", error);
	enum page_map_result result = PAGE_MAP_OK;
	for (uint32_t page = 0; page < 1u << target->order && result == PAGE_MAP_OK; page++) {
		result =
		        page_mapper_copy(replay->parts.mapper, (enum page_map_call)op->order, replay->parts.steps,
		                         pfn_of((uint32_t)target->address + page), pfn_of((uint32_t)source->address + page), cpu);
		replay->counters.pages_copied += result == PAGE_MAP_OK;
	}
	replay->counters.page_copies += result == PAGE_MAP_OK;
	return page_use_done(replay, op, result, error);
}
