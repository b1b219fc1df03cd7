/* SPDX-License-Identifier: MIT
 *
 * follow.c - the buddy model beside a recording (sim/follow_pages.h): blocks change places, are taken from wherever they are
 * free, or as the bulk allocator takes them; a CPU's list is shown.
 *
 * None of this is a decision of the kernel. Every block is counted as taken from the list it was on, so that the laws of
 * check.c hold.
 */
#include "models/page_allocator/request.h"

/* Two blocks of one order: the place on the list, the counts and the types stay, only the frames change. */
static bool buddy_exchange(struct page_allocator *pages, pfn got, pfn wanted, unsigned order)
{
	struct buddy *buddy = buddy_of(pages);
	if (wanted.nr >= pages->end_pfn || !buddy_zone_of(buddy, wanted.nr))
		return false;
	struct frame *mine = frame_at(buddy, got.nr), *other = frame_at(buddy, wanted.nr);
	if (other->order != order || other->zone != mine->zone || (other->state != FRAME_PCP && other->state != FRAME_BUDDY))
		return false;
	/* No pair of free blocks may come of it. */
	const struct frame *pair = frame_at(buddy, got.nr ^ 1u << order);
	if (other->state == FRAME_BUDDY && (order == ORDERS - 1 || (pair->state == FRAME_BUDDY && pair->order == order)))
		return false;
	const struct frame listed = *other, taken = *mine;
	list_del(buddy, wanted.nr);
	*mine = listed;
	*other = taken;
	list_insert(buddy, got.nr, listed.prev, listed.next);
	return true;
}

/* The first frame of the free block that holds the frame, BLOCK_NONE if it is in use. */
static uint32_t free_block_of(const struct buddy *buddy, uint32_t nr)
{
	for (unsigned order = 0; order < ORDERS; order++) {
		uint32_t head = nr & ~((1u << order) - 1);
		const struct frame *frame = frame_at(buddy, head);
		if (frame->state == FRAME_REST || frame->order < order)
			continue;
		return frame->state == FRAME_BUDDY || frame->state == FRAME_PCP ? head : BLOCK_NONE;
	}
	return BLOCK_NONE;
}

/* The per-CPU lists that a block stands on, told by the head at the end of its list. */
static struct pcp *pcp_of_block(const struct buddy *buddy, struct zone *zone, uint32_t nr)
{
	uint32_t head = nr;
	do
		head = frame_at(buddy, head)->next;
	while (head < buddy->list_heads);
	for (unsigned cpu = 0; cpu < buddy->cpus; cpu++)
		if (head >= zone->pcp[cpu].lists && head < zone->pcp[cpu].lists + pcp_lists(buddy))
			return &zone->pcp[cpu];
	SIM_UNREACHABLE("a block on a list of no CPU");
}

static void take_from_pcp(struct buddy *buddy, struct zone *zone, uint32_t nr)
{
	unsigned order = frame_at(buddy, nr)->order;
	pcp_of_block(buddy, zone, nr)->count -= 1u << order;
	list_del(buddy, nr);
	frame_at(buddy, nr)->state = FRAME_REST;
	buddy->counters.pcp_alloc_pages += 1ull << order;
}

static bool buddy_claim(struct page_allocator *pages, pfn first, unsigned order, gfp flags)
{
	struct buddy *buddy = buddy_of(pages);
	uint32_t end = first.nr + (1u << order);
	struct zone *zone = end <= pages->end_pfn ? buddy_zone_of(buddy, first.nr) : NULL;
	if (!zone || !zone_spans(zone, end - 1))
		return false;
	for (uint32_t nr = first.nr; nr < end; nr++) {
		uint32_t head = free_block_of(buddy, nr);
		/* A block of a CPU's list is not taken apart. */
		if (head == BLOCK_NONE || (frame_at(buddy, head)->state == FRAME_PCP &&
		                           (head < first.nr || head + (1u << frame_at(buddy, head)->order) > end)))
			return false;
	}
	for (uint32_t nr = first.nr; nr < end;) {
		uint32_t head = free_block_of(buddy, nr);
		unsigned part = frame_at(buddy, head)->order < order ? frame_at(buddy, head)->order : order;
		if (frame_at(buddy, head)->state == FRAME_PCP) {
			take_from_pcp(buddy, zone, head);
		} else {
			split_out(buddy, zone, head, nr, part);
			zone_mod_free_pages(buddy, zone, 0, -(1 << part));
			buddy->counters.buddy_alloc_pages += 1ull << part;
		}
		nr += 1u << part;
	}
	buddy->counters.alloc_requests++;
	buddy->counters.alloc_buddy++;
	/* MODEL: whose CPU it was is not told; recordings are of one node. */
	struct request request = request_of(buddy, order, flags, 0);
	count_nodes(buddy, zone, &request, 1);
	frame_at(buddy, first.nr)->zone = zone->number;
	frame_at(buddy, first.nr)->type = (uint8_t)pageblock_type(buddy, zone, first.nr);
	hand_out(buddy, zone, first.nr, order, flags, 0);
	return true;
}

static pfn buddy_take(struct page_allocator *pages, gfp flags, unsigned cpu)
{
	struct buddy *buddy = buddy_of(pages);
	struct request request = request_of(buddy, 0, flags, cpu);
	pfn frame;
	if (!request.zonelist->length)
		return PFN_NONE;
	struct zone *zone = &buddy->zones[request.zonelist->zones[0]];
	if (!rmqueue_pcplist_bulk(buddy, zone, request.type, ALLOC_WMARK_LOW, cpu, 1, &frame))
		return PFN_NONE;
	buddy->counters.alloc_requests++;
	buddy->counters.alloc_pcp++;
	count_nodes(buddy, zone, &request, 1);
	hand_out(buddy, zone, frame.nr, 0, flags, cpu);
	return frame;
}

static unsigned buddy_list(const struct page_allocator *pages, unsigned order, gfp flags, unsigned cpu, pfn *blocks,
                           unsigned room)
{
	const struct buddy *buddy = buddy_const(pages);
	struct request request = request_of(buddy, order, flags, cpu);
	if (!request.zonelist->length || !pcp_allowed_order(buddy, order))
		return 0;
	const struct zone *zone = &buddy->zones[request.zonelist->zones[0]];
	uint32_t head = zone->pcp[cpu].lists + order_to_pindex(request.type, order);
	unsigned count = 0;
	for (uint32_t nr = frame_at(buddy, head)->next; nr != head && count < room; nr = frame_at(buddy, nr)->next)
		blocks[count++] = pfn_of(nr);
	return count;
}

const struct page_follow_ops buddy_follow_ops = {
        .exchange = buddy_exchange, .claim = buddy_claim, .take = buddy_take, .list = buddy_list};
