/* SPDX-License-Identifier: MIT
 *
 * lru_steps.c - (interface, sources and departures: lru_steps.h)
 */
#include "models/page_reclaim/lru_steps.h"

#include "models/page_reclaim/page_lru.h"
#include "sim/list_steps.h"

enum {
	LRUVEC_LISTS = 0,
	LRUVEC_LOCK = 80,
	LRUVEC_COSTS = 88, /* and nonresident_age */
	LRUVEC_BYTES = 136,
	COSTS_BYTES = 24,
	BATCH_COUNT = 0,
	BATCH_PAGES = 8,
	BATCH_BYTES = BATCH_PAGES + 8 * PAGEVEC_SIZE,
	PAGE_FLAGS = 0,
	PAGE_LRU = 8,
	PAGE_REFCOUNT = 52,
	POINTER_BYTES = 8
};

/* What release_pages() holds the lock for (SWAP_CLUSTER_MAX). */
#define RELEASED_AT_ONCE SWAP_CLUSTER_MAX

void lru_places_init(struct lru_places *places, struct layout *layout)
{
	*places = (struct lru_places){.layout = layout};
	if (!layout)
		return;
	places->batches = layout_per_cpu_static(layout, BATCHES * BATCH_BYTES);
	places->rotate = layout_per_cpu_static(layout, BATCH_BYTES);
}

static bool is_told(const struct page_lru *lru)
{
	return lru->places.layout && lru->steps->recording;
}

static vaddr lruvec_field(struct page_lru *lru, unsigned node, uint32_t offset)
{
	uint64_t *at = &lru->places.lruvec[node];
	if (!*at) {
		char name[16];
		*at = layout_kernel_data(lru->places.layout, LRUVEC_BYTES).addr;
		snprintf(name, sizeof name, "node %u", node);
		layout_name(lru->places.layout, vaddr_of(*at), LRUVEC_BYTES, "lruvec", name);
	}
	return vaddr_of(*at + offset);
}

static vaddr page_field(const struct page_lru *lru, uint32_t frame, uint32_t offset)
{
	return vaddr_of(layout_struct_page(lru->places.layout, pfn_of(frame)).addr + offset);
}

/* Where the links of a record lie: in a struct page, or in a node's lruvec. */
static vaddr links_of(struct page_lru *lru, uint32_t record)
{
	if (record < lru->end_pfn)
		return page_field(lru, record, PAGE_LRU);
	uint32_t head = record - lru->end_pfn;
	return lruvec_field(lru, head / LRU_HEADS, LRUVEC_LISTS + head % LRU_HEADS * 2 * POINTER_BYTES);
}

void lru_lock(struct page_lru *lru, unsigned node)
{
	if (is_told(lru))
		step_lock(lru->steps, lruvec_field(lru, node, LRUVEC_LOCK));
}

void lru_unlock(struct page_lru *lru, unsigned node)
{
	if (is_told(lru))
		step_unlock(lru->steps, lruvec_field(lru, node, LRUVEC_LOCK));
}

void lru_relock(struct page_lru *lru, uint32_t frame, unsigned *held)
{
	unsigned node = node_of_page(lru, frame);
	if (*held == node)
		return;
	lru_unlock_held(lru, *held);
	lru_lock(lru, node);
	*held = node;
}

void lru_unlock_held(struct page_lru *lru, unsigned held)
{
	if (held != NO_NODE)
		lru_unlock(lru, held);
}

void lru_step_cost(struct page_lru *lru, unsigned node)
{
	if (!is_told(lru))
		return;
	lru_lock(lru, node);
	step_update(lru->steps, lruvec_field(lru, node, LRUVEC_COSTS), COSTS_BYTES);
	lru_unlock(lru, node);
}

void lru_step_link(struct page_lru *lru, uint32_t frame, uint32_t prev, uint32_t next)
{
	if (is_told(lru))
		step_list_add(lru->steps, links_of(lru, frame), links_of(lru, prev), links_of(lru, next), POINTER_BYTES);
}

void lru_step_unlink(struct page_lru *lru, uint32_t frame)
{
	const struct user_page *page = page_of(lru, frame);
	if (is_told(lru))
		step_list_del(lru->steps, links_of(lru, frame), links_of(lru, page->prev), links_of(lru, page->next),
		              POINTER_BYTES);
}

void lru_step_reference(struct page_lru *lru, uint32_t frame)
{
	if (is_told(lru))
		step_atomic(lru->steps, page_field(lru, frame, PAGE_REFCOUNT), 4);
}

void lru_step_try_reference(struct page_lru *lru, uint32_t frame)
{
	if (is_told(lru))
		step_cmpxchg(lru->steps, page_field(lru, frame, PAGE_REFCOUNT), 4);
}

void lru_step_flag(struct page_lru *lru, uint32_t frame)
{
	if (is_told(lru))
		step_atomic(lru->steps, page_field(lru, frame, PAGE_FLAGS), 8);
}

void lru_step_batch(struct page_lru *lru, unsigned cpu, enum lru_batch batch, uint32_t place, uint32_t frame)
{
	if (!is_told(lru))
		return;
	uint64_t at = batch == BATCH_ROTATE ? lru->places.rotate : lru->places.batches + batch * BATCH_BYTES;
	vaddr own = layout_per_cpu(lru->places.layout, at, cpu);
	lru_step_reference(lru, frame);
	step_update(lru->steps, vaddr_of(own.addr + BATCH_COUNT), 1);
	step_write(lru->steps, vaddr_of(own.addr + BATCH_PAGES + 8 * place), 8);
}

void lru_list_release(struct page_lru *lru, unsigned cpu, uint32_t frame)
{
	unsigned node = node_of_page(lru, frame);
	bool locks = lru->places.released[cpu] == 0;
	lru->places.released[cpu] = (uint8_t)((lru->places.released[cpu] + 1) % RELEASED_AT_ONCE);
	if (locks)
		lru_lock(lru, node);
	lru_list_del(lru, frame);
	if (locks)
		lru_unlock(lru, node);
}
