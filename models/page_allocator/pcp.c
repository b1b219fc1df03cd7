/* SPDX-License-Identifier: MIT
 *
 * pcp.c - the per-CPU lists of a zone: blocks of orders 0..3 (and of whole pageblocks with huge pages) that a CPU keeps back, so
 * that most calls need no zone lock.
 *
 * Algorithm: last in, first out at the list's head; an empty list is filled with a batch at its tail, under one hold of the
 * zone lock; a CPU that holds `high` frames returns some, oldest first, more each time it only frees (free_factor).
 * Source: mm/page_alloc.c of Linux 6.1: rmqueue_pcplist, __rmqueue_pcplist, rmqueue_bulk, free_unref_page,
 * free_unref_page_commit, nr_pcp_high, nr_pcp_free, free_pcppages_bulk, drain_pages_zone.
 *
 * MODEL: the pcp lock is found taken only where a recording shows it (port.lists_locked), so elsewhere no call goes round the
 * lists for that reason (in the kernel an interrupt on the same CPU can). Effect: none on one CPU without interrupts.
 *
 * Invariant: pcp.count is the number of frames on the CPU's lists of the zone.
 */
#include "models/kernel_code.h"
#include "models/page_allocator/buddy.h"

/* rmqueue_bulk(): returns how many blocks were added to the list's tail. */
static unsigned rmqueue_bulk(struct buddy *buddy, struct zone *zone, unsigned order, unsigned blocks, uint32_t list,
                             unsigned type, unsigned alloc_flags, unsigned cpu)
{
	unsigned taken = 0;
	step_path(buddy->steps, PATH_LISTS);
	step_run(buddy->steps, CODE_PAGE_BULK, buddy->cost.page_bulk);
	step_lock_irqsave(buddy->steps, zone_lock_address(zone));
	while (taken < blocks) {
		uint32_t nr = rmqueue_locked(buddy, zone, order, type, alloc_flags);
		if (nr == BLOCK_NONE)
			break;
		step_spend(buddy->steps, buddy->cost.page_bulk_block);
		touch_check_pages(buddy, nr, order);
		frame_at(buddy, nr)->state = FRAME_PCP;
		list_add_tail(buddy, nr, list);
		touch_list_add(buddy, nr, list, pcp_list_address(buddy, zone, cpu, list - zone->pcp[cpu].lists), true);
		taken++;
	}
	zone_mod_free_pages(buddy, zone, cpu, -(int32_t)(taken << order));
	step_unlock_irqrestore(buddy->steps, zone_lock_address(zone));
	buddy->counters.pcp_refill_pages += (uint64_t)taken << order;
	return taken;
}

/* __rmqueue_pcplist(): a block from the list, which is filled first if it is empty. */
static uint32_t take_from_list(struct buddy *buddy, struct zone *zone, unsigned order, unsigned type, unsigned alloc_flags,
                               unsigned cpu)
{
	struct pcp *pcp = &zone->pcp[cpu];
	uint32_t list = pcp->lists + order_to_pindex(type, order);
	vaddr list_at = pcp_list_address(buddy, zone, cpu, order_to_pindex(type, order));
	step_read(buddy->steps, list_at, ZONE_WORD);
	if (list_empty(buddy, list)) {
		step_read(buddy->steps, pcp_field(buddy, zone, cpu, PCP_BATCH_OFFSET), INT_BYTES);
		unsigned batch = pcp->batch;
		if (batch > 1)
			batch = batch >> order > 2 ? batch >> order : 2;
		pcp->count += rmqueue_bulk(buddy, zone, order, batch, list, type, alloc_flags, cpu) << order;
		step_update(buddy->steps, pcp_field(buddy, zone, cpu, PCP_COUNT_OFFSET), INT_BYTES);
		step_read(buddy->steps, list_at, ZONE_WORD);
		if (list_empty(buddy, list))
			return BLOCK_NONE;
	}
	uint32_t nr = frame_at(buddy, list)->next;
	step_use(buddy->steps);
	touch_list_del(buddy, nr, list, list_at);
	step_update(buddy->steps, pcp_field(buddy, zone, cpu, PCP_COUNT_OFFSET), INT_BYTES);
	list_del(buddy, nr);
	pcp->count -= 1u << order;
	buddy->counters.pcp_alloc_pages += 1u << order;
	return nr;
}

static void lock_pcp(const struct buddy *buddy, const struct zone *zone, unsigned cpu)
{
	step_read(buddy->steps, zone_field(zone, ZONE_PAGESET_OFFSET), ZONE_WORD);
	step_use(buddy->steps);
	step_lock(buddy->steps, pcp_address(buddy, zone, cpu));
}

uint32_t rmqueue_pcplist(struct buddy *buddy, struct zone *zone, unsigned order, unsigned type, unsigned alloc_flags,
                         unsigned cpu)
{
	lock_pcp(buddy, zone, cpu);
	step_update(buddy->steps, pcp_field(buddy, zone, cpu, PCP_FREE_FACTOR_OFFSET), sizeof(int16_t));
	zone->pcp[cpu].free_factor >>= 1;
	uint32_t nr = take_from_list(buddy, zone, order, type, alloc_flags, cpu);
	step_unlock(buddy->steps, pcp_address(buddy, zone, cpu));
	return nr;
}

unsigned rmqueue_pcplist_bulk(struct buddy *buddy, struct zone *zone, unsigned type, unsigned alloc_flags, unsigned cpu,
                              unsigned wanted, pfn *frames)
{
	unsigned taken = 0;
	lock_pcp(buddy, zone, cpu);
	while (taken < wanted) {
		uint32_t nr = take_from_list(buddy, zone, 0, type, alloc_flags, cpu);
		if (nr == BLOCK_NONE)
			break;
		frames[taken++] = pfn_of(nr);
	}
	step_unlock(buddy->steps, pcp_address(buddy, zone, cpu));
	return taken;
}

/* Returns blocks of one list, last first, until `frames` frames are back or the list is empty. */
static int32_t drain_list(struct buddy *buddy, struct zone *zone, unsigned cpu, unsigned worker, unsigned pindex, int32_t frames)
{
	struct pcp *pcp = &zone->pcp[cpu];
	uint32_t list = pcp->lists + pindex;
	unsigned order = pindex_to_order(buddy, pindex);
	do {
		uint32_t nr = frame_at(buddy, list)->prev;
		step_spend(buddy->steps, buddy->cost.page_drain_block);
		step_read(buddy->steps, list_prev_pointer(pcp_list_address(buddy, zone, cpu, pindex), ZONE_WORD), ZONE_WORD);
		step_use(buddy->steps);
		page_read(buddy, nr, PAGE_INDEX); /* get_pcppage_migratetype() */
		touch_list_del(buddy, nr, list, pcp_list_address(buddy, zone, cpu, pindex));
		step_update(buddy->steps, pcp_field(buddy, zone, cpu, PCP_COUNT_OFFSET), INT_BYTES);
		touch_check_pages(buddy, nr, 0);
		list_del(buddy, nr);
		frames -= 1 << order;
		pcp->count -= 1u << order;
		buddy->counters.pcp_drain_pages += 1u << order;
		free_one_page(buddy, zone, nr, order, frame_at(buddy, nr)->type, false, worker);
	} while (frames > 0 && !list_empty(buddy, list));
	return frames;
}

/* free_pcppages_bulk(): list by list, round and round, beginning with list `pindex`; `worker` is the CPU that does it. */
static void free_pcppages_bulk(struct buddy *buddy, struct zone *zone, unsigned cpu, unsigned worker, int32_t frames, int pindex)
{
	struct pcp *pcp = &zone->pcp[cpu];
	int min_pindex = 0, max_pindex = (int)pcp_lists(buddy) - 1;
	if (frames > (int32_t)pcp->count)
		frames = (int32_t)pcp->count;
	step_path(buddy->steps, PATH_LISTS);
	step_run(buddy->steps, CODE_PAGE_DRAIN, buddy->cost.page_drain);
	step_read(buddy->steps, pcp_field(buddy, zone, cpu, PCP_COUNT_OFFSET), INT_BYTES);
	step_lock_irqsave(buddy->steps, zone_lock_address(zone));
	pindex--;
	while (frames > 0) {
		for (;;) {
			if (++pindex > max_pindex)
				pindex = min_pindex;
			step_read(buddy->steps, pcp_list_address(buddy, zone, cpu, (unsigned)pindex), ZONE_WORD);
			if (!list_empty(buddy, pcp->lists + (uint32_t)pindex))
				break;
			if (pindex == max_pindex)
				max_pindex--;
			if (pindex == min_pindex)
				min_pindex++;
		}
		frames = drain_list(buddy, zone, cpu, worker, (unsigned)pindex, frames);
	}
	step_unlock_irqrestore(buddy->steps, zone_lock_address(zone));
}

/* How many frames to give back when the lists are full: twice as many each time there was no allocation in between. */
static int32_t nr_pcp_free(struct pcp *pcp, uint32_t high, bool free_high)
{
	uint32_t batch = pcp->batch;
	if (free_high)
		return (int32_t)pcp->count;
	if (high < batch)
		return 1;
	uint32_t min_free = batch, max_free = high - batch;
	batch <<= pcp->free_factor;
	if (batch < max_free && pcp->free_factor < PCP_BATCH_SCALE_MAX)
		pcp->free_factor++;
	if (batch >= max_free)
		return (int32_t)max_free;
	return (int32_t)(batch <= min_free ? min_free : batch);
}

/* How many frames the lists may hold now. */
static uint32_t nr_pcp_high(const struct pcp *pcp, const struct zone *zone, bool free_high)
{
	if (!pcp->high || free_high)
		return 0;
	if (!zone->reclaim_active)
		return pcp->high;
	return pcp->batch << 2 < pcp->high ? pcp->batch << 2 : pcp->high;
}

void free_unref_page(struct buddy *buddy, struct zone *zone, uint32_t nr, unsigned order, unsigned cpu)
{
	struct pcp *pcp = &zone->pcp[cpu];
	struct frame *frame = frame_at(buddy, nr);
	unsigned type = pageblock_type(buddy, zone, nr);
	step_read(buddy->steps, pageblock_word(buddy, nr), ZONE_WORD);
	page_write(buddy, nr, PAGE_INDEX); /* set_pcppage_migratetype() */
	frame->state = FRAME_PCP;
	frame->type = (uint8_t)type;
	if (type >= MIGRATE_PCPTYPES)
		type = MIGRATE_MOVABLE;

	unsigned pindex = order_to_pindex(type, order);
	lock_pcp(buddy, zone, cpu);
	list_add(buddy, nr, pcp->lists + pindex);
	touch_vm_event(buddy, cpu, VM_EVENT_PGFREE_OFFSET);
	touch_list_add(buddy, nr, pcp->lists + pindex, pcp_list_address(buddy, zone, cpu, pindex), false);
	step_read(buddy->steps, pcp_field(buddy, zone, cpu, PCP_FREE_FACTOR_OFFSET), sizeof(int16_t));
	step_update(buddy->steps, pcp_field(buddy, zone, cpu, PCP_COUNT_OFFSET), INT_BYTES);
	step_read(buddy->steps, pcp_field(buddy, zone, cpu, PCP_HIGH_OFFSET), INT_BYTES);
	step_read(buddy->steps, zone_field(zone, ZONE_FLAGS_OFFSET), ZONE_WORD);
	pcp->count += 1u << order;
	buddy->counters.pcp_free_pages += 1u << order;

	bool free_high = pcp->free_factor && order && order <= PAGE_ALLOC_COSTLY_ORDER;
	uint32_t high = nr_pcp_high(pcp, zone, free_high);
	if (pcp->count >= high)
		free_pcppages_bulk(buddy, zone, cpu, cpu, nr_pcp_free(pcp, high, free_high), (int)pindex);
	step_unlock(buddy->steps, pcp_address(buddy, zone, cpu));
}

void drain_pages_zone(struct buddy *buddy, struct zone *zone, unsigned cpu, unsigned worker)
{
	const struct pcp *pcp = &zone->pcp[cpu];
	uint32_t left;
	do {
		left = pcp->count;
		if (!left)
			return;
		uint32_t part = pcp->batch << PCP_BATCH_SCALE_MAX;
		if (part > left)
			part = left;
		lock_pcp(buddy, zone, cpu);
		free_pcppages_bulk(buddy, zone, cpu, worker, (int32_t)part, 0);
		step_unlock(buddy->steps, pcp_address(buddy, zone, cpu));
		left -= part;
	} while (left);
}

void drain_all_pages(struct buddy *buddy, unsigned cpu)
{
	for (unsigned of = 0; of < buddy->cpus; of++)
		for (unsigned i = 0; i < buddy->zone_count; i++)
			drain_pages_zone(buddy, &buddy->zones[i], of, cpu);
}
